//! The repository keeps its own promises: the template, the settings, the README and the code say the same.

use shared::settings::Environment;
use std::collections::BTreeMap;
use std::path::Path;

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

#[test]
fn the_readme_shows_every_parameter_with_its_default_and_every_answer() {
    let readme = read("README.md");
    for (name, default) in parameters(&read("template.yaml")) {
        let shown = if default.is_empty() { "empty".to_owned() } else { format!("`{default}`") };
        let row = readme.lines().find(|line| line.starts_with(&format!("| `{name}` ")));
        assert!(row.is_some_and(|row| row.contains(&shown)), "{name} = {shown}: {row:?}");
    }
    for answer in [
        "sent",
        "refused",
        "unknown",
        "in_progress",
        "invalid_phone_number",
        "country_not_allowed",
        "prefix_blocked",
        "number_type_not_allowed",
        "opted_out",
        "phone_limit",
        "ip_limit",
        "rejected_by_twilio",
        "InvalidRequest",
        "IdempotencyKeyReused",
        "StoreUnavailable",
        "CredentialsUnavailable",
        "TwilioUnavailable",
    ] {
        assert!(readme.contains(&format!("`{answer}`")), "{answer}");
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
        } else if name.starts_with("check-code") {
            check_code::request::Request::parse(&event).is_ok()
        } else {
            name.starts_with("inbound-sms") && event["requestContext"]["http"]["path"] == "/sms"
        };
        assert!(read, "{name}");
    }
}
