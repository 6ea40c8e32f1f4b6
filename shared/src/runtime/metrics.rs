//! Metrics: one line of CloudWatch's embedded metric format per invocation, on standard output, which Lambda collects anyway. It
//! takes no call, no permission and no time to wait.
//!
//! An invocation emits a list of [`Metric`]s, and the line is a pure function of that list, so it can be tested like an answer. The
//! `metrique` crate serves the same purpose, but as of August 2026 it is at 0.1 and writes through a process-wide sink.
//!
//! Each combination of dimension values is a metric that costs money, so there are few: the stack, and for some metrics one more,
//! with few values. None is personal data. Format:
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use crate::phone::number::Region;
use crate::runtime::settings::Environment;
use crate::twilio::price::Dollars;
use serde_json::{Map, Value, json};
use std::io::Write as _;
use std::sync::Arc;
use strum::IntoEnumIterator as _;

/// The namespace of all metrics.
pub const NAMESPACE: &str = "Tollgate";

/// Something that happened in an invocation. The variants' names are the metrics' names in CloudWatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumIter, strum::IntoStaticStr)]
pub enum Metric {
    /// Twilio accepted a message with a code.
    Sent,
    /// A send was refused, for this reason.
    Refused(&'static str),
    /// This many codes were approved. Divided by [`Metric::Sent`] it is the conversion, which pumping lowers. A send emits 0:
    /// without it, CloudWatch has missing data where conversion is zero, and the alarm would stay silent.
    Verified(u64),
    /// A user was offered to text for a verification.
    TextToVerifyOffered,
    /// A text of a user was approved.
    TextToVerifyApproved,
    /// A code was wrong.
    CheckIncorrect,
    /// A message to this country was delivered.
    Delivered(Option<Region>),
    /// A message to this country was not delivered.
    Undelivered(Option<Region>),
    /// Why it was not delivered, as Twilio's error code: 30007 is carrier filtering, 30450 a block against SMS pumping.
    DeliveryErrors(u32),
    /// A webhook was called by a sender other than Twilio.
    ForgedWebhooks,
    /// Twilio rejected a message for a reason other than its recipient, or its answer is unknown.
    TwilioErrors,
    /// The caller sent an invalid request. Lambda counts it among its own errors, but no part of the stack is broken.
    InvalidRequests,
    /// The table, or another service of AWS, failed.
    StoreErrors,
    /// A request gave way to others that wrote the same items at the same time. Whoever sends many for one phone can cause these, so they
    /// must not roll a deployment back.
    WriteConflicts,
    /// A secret can't be read or is invalid, or Twilio rejects its credentials.
    CredentialErrors,
    /// The duration of send-code, in milliseconds.
    SendLatency(u64),
    /// The estimated cost of what was sent.
    EstimatedSpend(Dollars),
    /// The number of failed checks of the checklist.
    ChecklistFailures(u64),
}

/// The second dimension of a metric, besides the stack.
enum By {
    /// Only the stack's metric.
    Nothing,
    /// The stack's metric, and one per value.
    Also(&'static str, String),
    /// Only one per value.
    Only(&'static str, String),
}

impl Metric {
    /// One metric of each kind, with zeros and empty values.
    pub fn kinds() -> impl Iterator<Item = Self> {
        Self::iter()
    }

    /// Its name in CloudWatch.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// CloudWatch has no unit for money.
    const fn unit(self) -> &'static str {
        match self {
            Self::SendLatency(_) => "Milliseconds",
            Self::EstimatedSpend(_) => "None",
            _ => "Count",
        }
    }

    fn value(self) -> Value {
        match self {
            Self::Verified(number) | Self::SendLatency(number) | Self::ChecklistFailures(number) => number.into(),
            Self::EstimatedSpend(dollars) => dollars.as_f64().into(),
            _ => 1.into(),
        }
    }

    fn by(self) -> By {
        match self {
            Self::Refused(reason) => By::Also("Reason", reason.to_owned()),
            Self::Delivered(country) | Self::Undelivered(country) => {
                By::Also("Country", country.map_or_else(|| "none".to_owned(), |country| country.to_string()))
            }
            Self::DeliveryErrors(code) => By::Only("ErrorCode", code.to_string()),
            _ => By::Nothing,
        }
    }
}

/// The line that CloudWatch reads these metrics of a stack from; `None` without metrics. No metric may occur twice.
#[must_use]
pub fn line(metrics: &[Metric], stack: &str, now_ms: u64) -> Option<String> {
    if metrics.is_empty() {
        return None;
    }
    let directive = |dimensions: Value, metrics: Value| json!({"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics});
    let mut members = Map::new();
    let (mut directives, mut of_the_stack) = (vec![], vec![]);
    for metric in metrics {
        let definition = json!({"Name": metric.name(), "Unit": metric.unit()});
        members.insert(metric.name().to_owned(), metric.value());
        match metric.by() {
            By::Nothing => of_the_stack.push(definition),
            By::Also(dimension, value) => {
                members.insert(dimension.to_owned(), value.into());
                directives.push(directive(json!([["Stack"], ["Stack", dimension]]), json!([definition])));
            }
            By::Only(dimension, value) => {
                members.insert(dimension.to_owned(), value.into());
                directives.push(directive(json!([["Stack", dimension]]), json!([definition])));
            }
        }
    }
    if !of_the_stack.is_empty() {
        directives.push(directive(json!([["Stack"]]), of_the_stack.into()));
    }
    members.insert("Stack".to_owned(), stack.into());
    members.insert("_aws".to_owned(), json!({"Timestamp": now_ms, "CloudWatchMetrics": directives}));
    Some(Value::Object(members).to_string())
}

/// Takes the lines of metrics.
#[derive(Clone)]
pub struct Sink(Arc<dyn Fn(&str) + Send + Sync>);

impl Sink {
    /// Standard output, which Lambda sends to CloudWatch.
    #[must_use]
    pub fn stdout() -> Self {
        // A line that can't be written is lost, and the invocation continues.
        Self::new(|line| drop(writeln!(std::io::stdout(), "{line}")))
    }

    /// Discards them.
    #[must_use]
    pub fn none() -> Self {
        Self::new(|_| {})
    }

    /// Passes each line to `take`.
    pub fn new(take: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }
}

/// Records the metrics of a stack.
#[derive(Clone)]
pub struct Meter {
    stack: String,
    sink: Sink,
}

impl Meter {
    /// For the stack that `STACK_NAME` names.
    #[must_use]
    pub fn new(environment: &Environment, sink: Sink) -> Self {
        Self { stack: environment.optional("STACK_NAME").unwrap_or("tollgate").to_owned(), sink }
    }

    /// Writes the metrics of an invocation, if there are any.
    pub fn record(&self, metrics: &[Metric], now_ms: u64) {
        if let Some(line) = line(metrics, &self.stack, now_ms) {
            (self.sink.0)(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio::price::SegmentPrices;
    use std::collections::BTreeSet;

    /// One metric of each kind, with values as they occur.
    fn all() -> Vec<Metric> {
        let us = "US".parse().ok();
        let with_values = |metric| match metric {
            Metric::Refused(_) => Metric::Refused("phone_limit"),
            Metric::Verified(_) => Metric::Verified(1),
            Metric::Delivered(_) => Metric::Delivered(us),
            Metric::Undelivered(_) => Metric::Undelivered(us),
            Metric::DeliveryErrors(_) => Metric::DeliveryErrors(30007),
            Metric::SendLatency(_) => Metric::SendLatency(380),
            Metric::EstimatedSpend(_) => Metric::EstimatedSpend("0.0083".parse::<SegmentPrices>().unwrap().of(None, 2)),
            Metric::ChecklistFailures(_) => Metric::ChecklistFailures(3),
            metric => metric,
        };
        Metric::kinds().map(with_values).collect()
    }

    /// What the specification asks of a line, as far as it is to be checked without CloudWatch.
    fn assert_is_emf(line: &str) {
        assert!(!line.contains('\n'), "one event, one line: {line}");
        let root: Value = serde_json::from_str(line).unwrap();
        let aws = root["_aws"].as_object().unwrap();
        assert_eq!(aws.keys().collect::<Vec<_>>(), ["CloudWatchMetrics", "Timestamp"]);
        assert!(aws["Timestamp"].is_u64());
        let text = |value: &Value, longest| {
            let text = value.as_str().unwrap().to_owned();
            assert!((1..=longest).contains(&text.len()) && text.is_ascii() && !text.starts_with(':'), "{text}");
            text
        };
        for directive in aws["CloudWatchMetrics"].as_array().unwrap() {
            let members: BTreeSet<_> = directive.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(members, ["Dimensions", "Metrics", "Namespace"].into());
            text(&directive["Namespace"], 1024);
            for set in directive["Dimensions"].as_array().unwrap() {
                let set = set.as_array().unwrap();
                assert!(set.len() <= 30);
                for dimension in set {
                    text(&root[text(dimension, 250)], 1024);
                }
            }
            let metrics = directive["Metrics"].as_array().unwrap();
            assert!((1..=100).contains(&metrics.len()));
            for metric in metrics {
                let members: BTreeSet<_> = metric.as_object().unwrap().keys().map(String::as_str).collect();
                assert_eq!(members, ["Name", "Unit"].into());
                assert!(["Count", "Milliseconds", "None"].contains(&text(&metric["Unit"], 1024).as_str()));
                assert!(root[text(&metric["Name"], 1024)].is_number(), "{line}");
            }
        }
    }

    #[test]
    fn every_line_is_what_the_specification_asks_for() {
        let all = all();
        assert_is_emf(&line(&all, "tollgate", 1_800_000_000_250).unwrap());
        for metric in all {
            assert_is_emf(&line(&[metric], "my-stack", 1).unwrap());
        }
        assert_eq!(line(&[], "tollgate", 1), None);
    }

    #[test]
    fn a_line_says_what_happened_to_the_stack_and_by_one_dimension_more() {
        let metrics = [Metric::Refused("ip_limit"), Metric::SendLatency(12)];
        let line: Value = serde_json::from_str(&line(&metrics, "tollgate", 1_800_000_000_250).unwrap()).unwrap();
        assert_eq!(
            line,
            json!({
                "_aws": {
                    "Timestamp": 1_800_000_000_250_u64,
                    "CloudWatchMetrics": [
                        {
                            "Namespace": "Tollgate",
                            "Dimensions": [["Stack"], ["Stack", "Reason"]],
                            "Metrics": [{"Name": "Refused", "Unit": "Count"}],
                        },
                        {
                            "Namespace": "Tollgate",
                            "Dimensions": [["Stack"]],
                            "Metrics": [{"Name": "SendLatency", "Unit": "Milliseconds"}],
                        },
                    ],
                },
                "Stack": "tollgate",
                "Reason": "ip_limit",
                "Refused": 1,
                "SendLatency": 12,
            })
        );
    }

    #[test]
    fn a_number_of_no_country_and_an_error_code_are_dimensions_too() {
        let metrics = [Metric::Undelivered(None), Metric::DeliveryErrors(30450)];
        let line: Value = serde_json::from_str(&line(&metrics, "tollgate", 1).unwrap()).unwrap();
        assert_eq!((&line["Country"], &line["ErrorCode"]), (&json!("none"), &json!("30450")));
        assert_eq!(line["_aws"]["CloudWatchMetrics"][1]["Dimensions"], json!([["Stack", "ErrorCode"]]));
    }
}
