//! What a warm function keeps: built once, used by every invocation.

use crate::settings::Settings;
use shared::phone::code::Random;
use shared::phone::number;
use shared::runtime::aws::{Aws, AwsSettings};
use shared::runtime::backoff::Backoff;
use shared::runtime::clock::Clock;
use shared::runtime::credentials::{ApiKey, Secret};
use shared::runtime::http::{Connections, Timeouts, Tls};
use shared::runtime::metrics::{Meter, Sink};
use shared::runtime::serve::StartError;
use shared::runtime::settings::Environment;
use shared::store::items::Items;
use shared::store::table::Table;
use shared::twilio::client::Twilio;
use std::time::Duration;

/// Everything that a send needs.
pub struct State {
    /// The settings.
    pub settings: Settings,
    /// The table.
    pub table: Table,
    /// The credentials for sending.
    pub api_key: Secret<ApiKey>,
    /// Twilio.
    pub twilio: Twilio,
    /// How long a message may take to send.
    pub twilio_budget: Duration,
    /// The time.
    pub clock: Clock,
    /// The source of codes.
    pub random: Random,
    /// Counts what happens.
    pub meter: Meter,
}

/// The patience that the function has. A call of AWS is usually a few milliseconds and at the worst, with all its tries, 3.2 s
/// (see [`shared::runtime::aws`]). With any two of them at their worst and Twilio's budget used up, a send ends within the 25 s that
/// `template.yaml` gives the function; if all of them are, Lambda ends it, and a repeat under the same key is told `unknown`.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// With Twilio.
    pub twilio: Timeouts,
    /// With Twilio, all tries and credentials together.
    pub twilio_budget: Duration,
    /// Between tries to reach Twilio.
    pub twilio_backoff: Backoff,
    /// Between tries of a write that collided.
    pub table: Backoff,
}

impl Default for Patience {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self {
            twilio: Timeouts { connect: ms(2_000), total: ms(6_000) },
            twilio_budget: ms(8_000),
            twilio_backoff: Backoff { tries: 3, base: ms(200), cap: ms(1_000) },
            table: Backoff::FOR_WRITES,
        }
    }
}

/// What is outside of the function, for [`State::build`].
pub struct World {
    /// AWS.
    pub aws: Aws,
    /// TLS, for Twilio.
    pub tls: Tls,
    /// How long to wait for any of it.
    pub patience: Patience,
    /// The time.
    pub clock: Clock,
    /// The source of codes.
    pub random: Random,
    /// Where metrics go.
    pub metrics: Sink,
}

impl State {
    /// Builds everything from the environment, and fetches the secrets while the sandbox starts, when it has a whole core.
    ///
    /// # Errors
    /// [`StartError`] says what is wrong with the set-up.
    pub async fn start(environment: &Environment) -> Result<Self, StartError> {
        let tls = Tls::new()?;
        let aws = AwsSettings::from_environment(environment)?.connect(&tls)?;
        let patience = Patience::default();
        let (clock, random, metrics) = (Clock::system(), getrandom::fill, Sink::stdout());
        Self::build(environment, World { aws, tls, patience, clock, random, metrics }).await
    }

    /// The same in another world.
    ///
    /// # Errors
    /// As [`State::start`].
    pub async fn build(environment: &Environment, world: World) -> Result<Self, StartError> {
        let World { aws, tls, patience, clock, random, metrics } = world;
        let settings = Settings::from_environment(environment)?;
        let hmac_key = Secret::hmac_key(aws.secrets_manager.clone(), &settings.hmac_key_secret, clock.clone());
        let api_key = Secret::api_key(aws.secrets_manager, &settings.sending_secret, clock.clone());
        // The credentials may not be filled in yet; then the first request says so.
        let (hmac_key, _) = tokio::join!(hmac_key.get(), api_key.get());
        number::warm_up();

        Ok(Self {
            table: Table {
                items: Items { client: aws.dynamodb, table_name: settings.table_name.clone(), backoff: patience.table },
                key: hmac_key?[0].clone(),
            },
            twilio: Twilio {
                http: tls.client(patience.twilio, Connections::Fresh)?,
                base_url: settings.twilio_base_url.clone(),
                sender: settings.twilio_from.clone(),
                status_callback: settings.status_callback.clone(),
                backoff: patience.twilio_backoff,
            },
            twilio_budget: patience.twilio_budget,
            api_key,
            settings,
            clock,
            random,
            meter: Meter::new(environment, metrics),
        })
    }
}
