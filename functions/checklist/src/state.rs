//! What a warm function keeps. No finding is kept: each run checks everything again.

use crate::settings::Settings;
use crate::twilio_api::TwilioApi;
use shared::runtime::aws::Aws;
use shared::runtime::clock::Clock;
use shared::runtime::dependencies::{ChecklistDeadlines, Dependencies, StartError};
use shared::runtime::http::Connections;
use shared::runtime::metrics::Meter;
use shared::runtime::settings::Environment;

/// Everything that a run needs.
pub struct State {
    pub settings: Settings,
    /// For the table and the secrets.
    pub aws: Aws,
    pub twilio: TwilioApi,
    pub deadlines: ChecklistDeadlines,
    pub clock: Clock,
    pub meter: Meter,
}

impl State {
    /// Reads the settings. A secret that can't be read is a finding, and does not keep the function from starting.
    ///
    /// # Errors
    /// [`StartError`] if a setting is missing or invalid.
    pub fn start(environment: &Environment, dependencies: Dependencies) -> Result<Self, StartError> {
        let Dependencies { aws, tls, clock, metrics, deadlines, .. } = dependencies;
        let settings = Settings::from_environment(environment)?;
        // Every change may safely be made twice, so connections may be kept.
        let http = tls.client(deadlines.checklist.twilio, Connections::Kept)?;
        Ok(Self {
            twilio: TwilioApi::new(http, &settings.twilio_base_url),
            settings,
            aws,
            deadlines: deadlines.checklist,
            clock,
            meter: Meter::new(environment, metrics),
        })
    }
}
