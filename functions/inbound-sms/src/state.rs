//! What a warm function keeps: built once, used by every invocation.

use crate::settings::Settings;
use shared::phone::number;
use shared::runtime::aws::{Aws, AwsSettings};
use shared::runtime::backoff::Backoff;
use shared::runtime::clock::Clock;
use shared::runtime::credentials::{Secret, Signer};
use shared::runtime::http::Tls;
use shared::runtime::metrics::{Meter, Sink};
use shared::runtime::serve::StartError;
use shared::runtime::settings::Environment;
use shared::store::items::Items;
use shared::store::table::Table;
use std::time::Duration;

/// Everything that taking a message needs.
pub struct State {
    /// The settings.
    pub settings: Settings,
    /// The table.
    pub table: Table,
    /// The auth tokens that Twilio may sign with.
    pub signer: Secret<Signer>,
    /// The time.
    pub clock: Clock,
    /// How long taking a message may last.
    pub time_limit: Duration,
    /// Counts what happens.
    pub meter: Meter,
}

/// What is outside of the function, for [`State::build`].
pub struct World {
    /// AWS.
    pub aws: Aws,
    /// How long taking a message may last: below the function's time-out, and the 15 seconds that Twilio waits.
    pub time_limit: Duration,
    /// How often a write that collided is tried again.
    pub backoff: Backoff,
    /// The time.
    pub clock: Clock,
    /// Where metrics go.
    pub metrics: Sink,
}

impl State {
    /// Builds everything from the environment, and fetches the secrets while the sandbox starts, when it has a whole core.
    ///
    /// # Errors
    /// [`StartError`] says what is wrong with the set-up.
    pub async fn start(environment: &Environment) -> Result<Self, StartError> {
        let aws = AwsSettings::from_environment(environment)?.connect(&Tls::new()?)?;
        let (time_limit, backoff) = (Duration::from_secs(9), Backoff::FOR_WRITES);
        let world = World { aws, time_limit, backoff, clock: Clock::system(), metrics: Sink::stdout() };
        Self::build(environment, world).await
    }

    /// The same in another world.
    ///
    /// # Errors
    /// As [`State::start`].
    pub async fn build(environment: &Environment, world: World) -> Result<Self, StartError> {
        let World { aws, time_limit, backoff, clock, metrics } = world;
        let settings = Settings::from_environment(environment)?;
        let hmac_key = Secret::hmac_key(aws.secrets_manager.clone(), &settings.hmac_key_secret, clock.clone());
        let signer = Secret::signer(aws.secrets_manager, &settings.auth_token_secret, clock.clone());
        // The auth token may not be filled in yet; then the first webhook says so.
        let (hmac_key, _) = tokio::join!(hmac_key.get(), signer.get());
        number::warm_up();

        let name = settings.table_name.clone();
        Ok(Self {
            table: Table {
                items: Items { client: aws.dynamodb, table_name: name, backoff },
                key: hmac_key?[0].clone(),
            },
            signer,
            settings,
            clock,
            time_limit,
            meter: Meter::new(environment, metrics),
        })
    }
}
