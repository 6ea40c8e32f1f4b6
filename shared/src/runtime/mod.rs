//! What every function runs on: settings, AWS clients, HTTP, secrets, the clock, metrics and logs.

pub mod aws;
pub mod backoff;
pub mod clock;
pub mod credentials;
pub mod dependencies;
pub mod http;
pub mod ip;
pub mod metrics;
pub mod serve;
pub mod settings;
pub mod telemetry;
