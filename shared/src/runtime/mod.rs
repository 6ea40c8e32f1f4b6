//! What every function runs on: settings, AWS clients, HTTP, secrets, the clock, request fields, metrics and logs.

pub mod aws;
pub mod backoff;
pub mod clock;
pub mod credentials;
pub mod dependencies;
pub mod http;
pub mod ip;
pub mod lambda_account;
pub mod metrics;
pub mod request_fields;
pub mod serve;
pub mod settings;
pub mod telemetry;
