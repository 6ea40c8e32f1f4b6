//! Everything outside a function, as one value: Lambda builds it from the environment, tests and the local system build their own.

use crate::phone::code::Random;
use crate::runtime::aws::{Aws, AwsSettings};
use crate::runtime::backoff::Backoff;
use crate::runtime::clock::Clock;
use crate::runtime::credentials::CredentialsError;
use crate::runtime::http::{HttpError, Timeouts, Tls};
use crate::runtime::metrics::Sink;
use crate::runtime::settings::{Environment, SettingError};
use std::time::Duration;

/// What a function's `State` is built from, besides its settings. A function takes the parts that it needs.
#[derive(Clone)]
pub struct Dependencies {
    /// The clients for DynamoDB and Secrets Manager.
    pub aws: Aws,
    /// Builds the HTTP clients for Twilio.
    pub tls: Tls,
    /// The present time.
    pub clock: Clock,
    /// The random numbers that codes are made from.
    pub random: Random,
    /// Takes the lines of metrics.
    pub metrics: Sink,
    /// Every time limit and backoff.
    pub deadlines: Deadlines,
}

/// How long each thing may take. [`Deadlines::LAMBDA`] fits the timeouts that `template.yaml` gives the functions.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// One request of send-code to Twilio.
    pub twilio: Timeouts,
    /// All requests of a send to Twilio, with every retry and both generations of credentials.
    pub twilio_total: Duration,
    /// Between two attempts to reach Twilio.
    pub twilio_backoff: Backoff,
    /// Between two attempts at a write that collided with another.
    pub table_backoff: Backoff,
    /// A whole webhook: below the function's timeout, and below the 15 seconds that Twilio waits.
    pub webhook: Duration,
    /// The checklist.
    pub checklist: ChecklistDeadlines,
}

/// How long the parts of the checklist may take. The credentials are checked first, then everything that needs them, all at once;
/// `first` and `second` together stay below the function's 60 s.
#[derive(Clone, Copy, Debug)]
pub struct ChecklistDeadlines {
    /// One request to Twilio.
    pub twilio: Timeouts,
    /// The checks of the first part.
    pub first: Duration,
    /// A check of the second part, with its repair.
    pub second: Duration,
    /// The part of `second` in which a repair may start another change. The rest is for reading back what was changed.
    pub repair: Duration,
}

/// Why a function can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or invalid.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// No HTTP client could be built.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The table's HMAC key can't be read.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

impl Dependencies {
    /// The dependencies on Lambda.
    ///
    /// # Errors
    /// [`StartError`] if a variable that Lambda sets is missing, or TLS can't be set up.
    pub fn from_environment(environment: &Environment) -> Result<Self, StartError> {
        let tls = Tls::new()?;
        Ok(Self {
            aws: AwsSettings::from_environment(environment)?.connect(&tls)?,
            tls,
            clock: Clock::system(),
            random: getrandom::fill,
            metrics: Sink::stdout(),
            deadlines: Deadlines::LAMBDA,
        })
    }
}

impl Deadlines {
    /// The deadlines on Lambda.
    ///
    /// A call of AWS usually takes a few milliseconds, and 3.2 s at worst, with all its attempts (see [`crate::runtime::aws`]). A
    /// send in which any two calls are at their worst and Twilio takes `twilio_total` ends within the 25 s of send-code. If all
    /// of them are, Lambda ends the invocation, and a repeat under the same key answers `unknown`.
    pub const LAMBDA: Self = Self {
        twilio: Timeouts { connect: Duration::from_secs(2), total: Duration::from_secs(6) },
        twilio_total: Duration::from_secs(8),
        twilio_backoff: Backoff { tries: 3, base: Duration::from_millis(200), cap: Duration::from_secs(1) },
        table_backoff: Backoff::FOR_WRITES,
        webhook: Duration::from_secs(9),
        checklist: ChecklistDeadlines {
            twilio: Timeouts { connect: Duration::from_secs(3), total: Duration::from_secs(8) },
            first: Duration::from_secs(15),
            second: Duration::from_secs(40),
            repair: Duration::from_secs(20),
        },
    };
}
