//! Logs: one JSON line an event, on standard output, where Lambda collects them.
//!
//! The one idea: only what this project logs itself gets out below the level of a warning. The AWS SDK and the HTTP client show
//! whole requests at their finer levels, numbers and codes included; no log level may turn that on.

use crate::runtime::settings::Environment;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The crates whose logs follow the level that is set.
const OURS: [&str; 8] =
    ["check_code", "checklist", "delivery_status", "fake_twilio", "inbound_sms", "local", "send_code", "shared"];

/// Starts logging to standard output at the level of `AWS_LAMBDA_LOG_LEVEL`, which Lambda sets from `LoggingConfig`; at
/// `INFO` without one. Later calls change nothing.
pub fn start(environment: &Environment) {
    let level = environment.optional("AWS_LAMBDA_LOG_LEVEL").and_then(|level| level.parse().ok());
    // An error only means that logging has been started before.
    let _ = subscriber(level.unwrap_or(LevelFilter::INFO), std::io::stdout).try_init();
}

/// What [`start`] starts, writing elsewhere.
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
