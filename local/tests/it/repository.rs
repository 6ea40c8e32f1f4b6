//! The repository keeps its own promises: the template, the settings, the documentation and the code say the same.

use crate::support::{items, sid, start};
use crate::template::Template;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;
use shared::runtime::metrics::{Metric, NAMESPACE};
use shared::runtime::settings::Environment;
use shared::twilio::url::CALL_AGAIN;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use strum::VariantNames as _;

fn read(path: &str) -> String {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(top.join(path)).unwrap()
}

/// `PhoneLimit` for `PHONE_LIMIT`.
fn parameter(variable: &str) -> String {
    let word = |word: &str| word[..1].to_owned() + &word[1..].to_lowercase();
    variable.split('_').map(word).collect()
}

/// The parameters of the template and their defaults.
fn parameters(template: &str) -> BTreeMap<String, String> {
    let section = template.split("\nParameters:\n").nth(1).unwrap().split("\nConditions:\n").next().unwrap();
    let mut parameters = BTreeMap::new();
    let mut name = "";
    for line in section.lines() {
        if let Some(parameter) = line.strip_prefix("  ").filter(|line| !line.starts_with([' ', '#'])) {
            name = parameter.trim_end_matches(':');
        } else if let Some(default) = line.strip_prefix("    Default: ") {
            parameters.insert(name.to_owned(), default.trim_matches('"').to_owned());
        }
    }
    parameters
}

#[test]
fn the_template_and_the_code_have_the_same_settings_with_the_same_defaults() {
    let template = read("template.yaml");
    let parameters = parameters(&template);
    for (variable, default) in Environment::defaults().filter(|(variable, _)| *variable != "TWILIO_FROM") {
        assert_eq!(parameters.get(&parameter(variable)).map(String::as_str), Some(default), "{variable}");
        assert!(template.contains(&format!("{variable}: !Ref {}", parameter(variable))), "{variable}");
    }
}

/// All names that a part of the template refers to, by `!Ref` or in a `!Sub`.
fn references(part: &Value) -> BTreeSet<String> {
    match part {
        Value::Object(members) => {
            let own = members.get("Ref").and_then(Value::as_str).map(str::to_owned);
            let text = members.get("Fn::Sub").and_then(Value::as_str).unwrap_or_default();
            let in_text = text.split("${").skip(1).map(|piece| piece.split('}').next().unwrap().to_owned());
            members.values().flat_map(references).chain(own).chain(in_text).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn every_parameter_that_a_function_goes_by_is_in_the_settings_that_publish_it_anew() {
    let template = Template::with(&[]);
    let names = parameters(&read("template.yaml")).into_keys().chain(["TwilioFrom".to_owned()]).collect();
    let of_all = template.written(["Globals", "Function"]);
    let functions = template.functions();
    let functions = functions.iter().map(|name| template.written(["Resources", name, "Properties"]));
    // What decides how a deployment goes is no part of a version. SendingCredential is behind a condition.
    let not_of_a_version = ["Deployment".to_owned()].into();
    let mut used: BTreeSet<_> = functions.chain([of_all]).flat_map(references).collect();
    used = &(&used & &names) - &not_of_a_version;
    used.insert("SendingCredential".to_owned());
    let settings = references(template.written(["Resources", "Settings", "Properties"]));
    assert_eq!(&settings & &names, used);
}

/// The pipe knows a message only by the names and types of its attributes.
#[tokio::test]
async fn the_event_for_the_app_is_made_of_what_a_message_has() {
    let local = start([]).await;
    local.text_in("+14155550123", "\"quoted\"\nand more", &sid(1)).await;
    let message = items(&local, "message#").await.remove(0);
    let template = Template::with(&[("InboundEvents", "on")]);
    let pipe = template.get(["Resources", "InboundPipe", "Properties"]);
    let mut event = pipe["TargetParameters"]["InputTemplate"].as_str().unwrap().to_owned();
    let paths: Vec<_> = event.split('<').skip(1).map(|piece| piece.split('>').next().unwrap().to_owned()).collect();
    assert_eq!(paths.len(), 6);
    for path in paths {
        let (name, kind) = path.strip_prefix("$.dynamodb.NewImage.").unwrap().split_once('.').unwrap();
        let value = match (kind, &message[name]) {
            ("S", AttributeValue::S(text)) | ("N", AttributeValue::N(text)) => Value::from(text.as_str()),
            ("L", AttributeValue::L(_)) => Value::Array(vec![]),
            (kind, value) => panic!("{name} is not of type {kind}: {value:?}"),
        };
        event = event.replace(&format!("<{path}>"), &value.to_string());
    }
    let event: Value = serde_json::from_str(&event).unwrap();
    assert_eq!((&event["body"], &event["message_sid"]), (&"\"quoted\"\nand more".into(), &sid(1).into()));

    let filter = pipe["SourceParameters"]["FilterCriteria"]["Filters"][0]["Pattern"].as_str().unwrap();
    let filter: Value = serde_json::from_str(filter).unwrap();
    let prefix = filter["dynamodb"]["Keys"]["pk"]["S"][0]["prefix"].as_str().unwrap();
    assert!(message["pk"].as_s().unwrap().starts_with(prefix), "{prefix}");
    assert_eq!(filter["eventName"], serde_json::json!(["INSERT"]));
}

#[test]
fn twilio_calls_every_webhook_of_the_template_again_after_a_failure() {
    const API: &str = "https://a1b2c3d4e5.execute-api.us-east-1.amazonaws.com";
    const OURS: &str = "https://sms.example.com/twilio";
    for (public_url, base) in [("", API), (OURS, OURS)] {
        let template = Template::with(&[("PublicUrl", public_url)]);
        let status = format!("{base}/sms/status{CALL_AGAIN}");
        assert_eq!(template.get(["Outputs", "WebhookUrl", "Value"]), format!("{base}/sms{CALL_AGAIN}"));
        assert_eq!(template.get(["Outputs", "StatusCallbackUrl", "Value"]), status);
        assert_eq!(template.environment("SendCode")["STATUS_CALLBACK"], status);
    }
}

#[test]
fn nobody_is_asked_for_more_than_a_number() {
    let template = read("template.yaml");
    let all = template.split("\nParameters:\n").nth(1).unwrap().split("\nConditions:\n").next().unwrap();
    let with_default = parameters(&template);
    let names = all.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'));
    let without: Vec<_> = names.filter(|name| !name.starts_with(' ') && !with_default.contains_key(*name)).collect();
    assert_eq!(without, ["TwilioFrom"]);
    assert!(all.starts_with("  TwilioFrom:\n"), "what must be known is asked first");
}

/// The metrics of ours that an alarm goes by, and the names of their dimensions.
fn own_metrics(alarm: &Value) -> Vec<(&str, Value)> {
    let calculated = alarm["Metrics"].as_array().into_iter().flatten().map(|query| &query["MetricStat"]["Metric"]);
    let metrics = calculated.chain([alarm]).filter(|metric| metric["Namespace"] == NAMESPACE);
    let names = |metric: &Value| -> Value {
        metric["Dimensions"].as_array().unwrap().iter().map(|dimension| dimension["Name"].clone()).collect()
    };
    metrics.map(|metric| (metric["MetricName"].as_str().unwrap(), names(metric))).collect()
}

#[test]
fn every_metric_and_alarm_of_the_template_is_one_that_is_counted_and_explained() {
    let operations = read("docs/operations.md");
    let template = Template::with(&[]);
    let resources = template.written(["Resources"]).as_object().unwrap();
    let alarms = resources.values().filter(|resource| resource["Type"] == "AWS::CloudWatch::Alarm");
    let mut metrics = BTreeSet::new();
    for alarm in alarms {
        let name =
            alarm["Properties"]["AlarmName"]["Fn::Sub"].as_str().unwrap().strip_prefix("${AWS::StackName}-").unwrap();
        assert!(
            operations.contains(&format!("\n| `{name}` |")),
            "docs/operations.md does not explain the alarm {name}"
        );
        let own = |metric: &Value| metric["Namespace"] == NAMESPACE;
        let calculated = alarm["Properties"]["Metrics"].as_array().into_iter().flatten();
        let calculated = calculated.map(|query| &query["MetricStat"]["Metric"]).filter(|metric| own(metric));
        let single = Some(&alarm["Properties"]).filter(|metric| own(metric));
        metrics.extend(calculated.chain(single).map(|metric| metric["MetricName"].as_str().unwrap()));
        assert!(alarm["Properties"]["TreatMissingData"].is_string(), "{name} leaves to chance what missing data means");
    }
    let all: Vec<_> = Metric::kinds().collect();
    let counted: Vec<_> = all.iter().map(|metric| metric.name()).collect();
    assert!(metrics.len() > 5 && metrics.iter().all(|metric| counted.contains(metric)), "{metrics:?}");
    let alarmed: Vec<_> = resources
        .values()
        .filter(|resource| resource["Type"] == "AWS::CloudWatch::Alarm")
        .flat_map(|alarm| own_metrics(&alarm["Properties"]))
        .collect();
    assert!(alarmed.len() > 5, "{alarmed:?}");
    for (metric, dimensions) in alarmed {
        let line = all.iter().find(|counted| counted.name() == metric).unwrap();
        let line = shared::runtime::metrics::line(&[*line], "stack", 0).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        let counted = &line["_aws"]["CloudWatchMetrics"][0]["Dimensions"];
        assert!(
            counted.as_array().unwrap().contains(&dimensions),
            "{metric} is not counted by {dimensions}: {counted}"
        );
    }
    let dashboard: Value = {
        let body = template.get(["Resources", "Dashboard", "Properties", "DashboardBody"]);
        serde_json::from_str(body.as_str().unwrap()).unwrap()
    };
    for metric in counted {
        assert!(dashboard.to_string().contains(metric), "{metric} is not on the dashboard");
        let row = format!("\n| `{metric}` |");
        assert!(operations.contains(&row), "docs/operations.md does not explain the metric {metric}");
    }
}

#[test]
fn the_documentation_shows_every_parameter_with_its_default() {
    let settings = read("docs/settings.md");
    let parameters = parameters(&read("template.yaml"));
    for (name, default) in &parameters {
        let shown = if default.is_empty() { "empty".to_owned() } else { format!("`{default}`") };
        let row = settings.lines().find(|line| line.starts_with(&format!("| `{name}` | ")));
        assert!(row.is_some_and(|row| row.contains(&format!("| {shown} |"))), "{name} = {shown}: {row:?}");
    }
    let documented = settings.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let unknown: Vec<_> = documented.filter(|name| *name != "TwilioFrom" && !parameters.contains_key(*name)).collect();
    assert_eq!(unknown, [""; 0], "docs/settings.md explains what is no parameter");
}

#[test]
fn the_documentation_shows_every_answer() {
    let api = read("docs/api.md");
    let errors = [
        "InvalidRequest",
        "IdempotencyKeyReused",
        "StoreUnavailable",
        "CredentialsUnavailable",
        "TwilioUnavailable",
        "NoRandomness",
    ];
    let statuses = send_code::answer::Answer::VARIANTS.iter().chain(check_code::answer::Answer::VARIANTS);
    for answer in statuses.chain(send_code::answer::Reason::VARIANTS).chain(&errors) {
        assert!(api.contains(&format!("`{answer}`")), "{answer}");
    }
}

#[test]
fn the_events_are_what_the_functions_read() {
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("events")).unwrap() {
        let path = entry.unwrap().path();
        let event: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let read = if name.starts_with("send-code") {
            send_code::request::Request::parse(&event, "id").is_ok()
        } else if name.starts_with("checklist") {
            checklist::request::Request::parse(&event).is_ok()
        } else if name.starts_with("check-code") {
            check_code::request::Request::parse(&event).is_ok()
        } else if name.starts_with("delivery-status") {
            event["requestContext"]["http"]["path"] == "/sms/status"
        } else {
            name.starts_with("inbound-sms") && event["requestContext"]["http"]["path"] == "/sms"
        };
        assert!(read, "{name}");
    }
}
