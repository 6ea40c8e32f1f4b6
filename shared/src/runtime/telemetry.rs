//! Logs: one JSON object per line, on standard output, which Lambda collects.
//!
//! The log level applies only to this project's own crates. At their finer levels, the AWS SDK and the HTTP client log whole
//! requests, with phone numbers and codes; no log level turns that on.

use crate::runtime::settings::Environment;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The crates that the log level applies to.
const OURS: [&str; 8] =
    ["check_code", "checklist", "delivery_status", "fake_twilio", "inbound_sms", "local", "send_code", "shared"];

/// Starts logging to standard output at the level of `AWS_LAMBDA_LOG_LEVEL`, which Lambda sets from `LoggingConfig`; at
/// `INFO` without one. Later calls change nothing.
pub fn start(environment: &Environment) {
    let level = environment.optional("AWS_LAMBDA_LOG_LEVEL").and_then(|level| level.parse().ok());
    // An error only means that logging was started before.
    let _ = subscriber(level.unwrap_or(LevelFilter::INFO), std::io::stdout).try_init();
}

/// The subscriber of [`start`], with another level or writer.
pub fn subscriber(
    level: LevelFilter,
    writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static,
) -> impl Subscriber + Send + Sync {
    let targets = Targets::new()
        .with_default(LevelFilter::ERROR)
        .with_target("lambda_runtime", LevelFilter::WARN)
        .with_targets(OURS.map(|target| (target, level)));
    let lines = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
    Registry::default().with(lines.with_writer(writer).with_filter(targets))
}
