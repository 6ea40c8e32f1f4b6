//! What a warm function keeps. Nothing that is checked is kept: each run looks anew.

use crate::settings::Settings;
use crate::twilio_api::TwilioApi;
use shared::runtime::aws::{Aws, AwsSettings};
use shared::runtime::clock::Clock;
use shared::runtime::http::{Connections, Timeouts, Tls};
use shared::runtime::metrics::{Meter, Sink};
use shared::runtime::serve::StartError;
use shared::runtime::settings::Environment;
use std::time::Duration;

/// Everything that a run needs.
pub struct State {
    /// The settings.
    pub settings: Settings,
    /// The table, and the secrets.
    pub aws: Aws,
    /// Twilio.
    pub twilio: TwilioApi,
    /// How long things may take.
    pub patience: Patience,
    /// The time.
    pub clock: Clock,
    /// Counts what failed.
    pub meter: Meter,
}

/// How long things may take. First the credentials are tried, then everything that needs them at once: the two together are
/// below the 60 s that `template.yaml` gives the function.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// One call of Twilio.
    pub twilio: Timeouts,
    /// The checks of the first part.
    pub first: Duration,
    /// A check of the second part, with its repair.
    pub second: Duration,
    /// After this much of the second part no repair begins a further change: the rest is for reading again what was changed.
    pub repair: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            twilio: Timeouts { connect: seconds(3), total: seconds(8) },
            first: seconds(15),
            second: seconds(40),
            repair: seconds(20),
        }
    }
}

impl State {
    /// Builds everything from the environment. A secret that can't be read is a row, and keeps nothing from starting.
    ///
    /// # Errors
    /// [`StartError`] says what is wrong with the set-up.
    pub fn start(environment: &Environment) -> Result<Self, StartError> {
        let tls = Tls::new()?;
        let aws = AwsSettings::from_environment(environment)?.connect(&tls)?;
        Self::build(environment, aws, &tls, Patience::default(), Clock::system(), Sink::stdout())
    }

    /// The same in another world.
    ///
    /// # Errors
    /// As [`State::start`].
    pub fn build(
        environment: &Environment,
        aws: Aws,
        tls: &Tls,
        patience: Patience,
        clock: Clock,
        metrics: Sink,
    ) -> Result<Self, StartError> {
        let settings = Settings::from_environment(environment)?;
        // What is written may safely be written again, so connections may be kept.
        let twilio = TwilioApi::new(tls.client(patience.twilio, Connections::Kept)?, &settings.twilio_base_url);
        Ok(Self { settings, aws, twilio, patience, clock, meter: Meter::new(environment, metrics) })
    }
}
