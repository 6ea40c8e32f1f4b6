//! What a warm function keeps: built once, used by every invocation. It can read the auth token and nothing else, and write how
//! messages fare and nothing else.

use shared::phone::number;
use shared::runtime::aws::{Aws, AwsSettings};
use shared::runtime::backoff::Backoff;
use shared::runtime::clock::Clock;
use shared::runtime::credentials::{Secret, Signer};
use shared::runtime::http::Tls;
use shared::runtime::metrics::{Meter, Sink};
use shared::runtime::serve::StartError;
use shared::runtime::settings::Environment;
use shared::store::deliveries::Deliveries;
use shared::store::items::Items;
use shared::twilio::webhook::PublicUrl;
use std::time::Duration;

/// Everything that taking a status needs.
pub struct State {
    /// The address that Twilio calls, if that is not API Gateway's own.
    pub public_url: Option<PublicUrl>,
    /// The auth tokens that Twilio may sign with.
    pub signer: Secret<Signer>,
    /// How messages fare.
    pub deliveries: Deliveries,
    /// The time.
    pub clock: Clock,
    /// How long taking a status may last.
    pub time_limit: Duration,
    /// Counts what happens.
    pub meter: Meter,
}

/// What is outside of the function, for [`State::build`].
pub struct World {
    /// AWS.
    pub aws: Aws,
    /// How long taking a status may last: below the function's time-out, and the 15 seconds that Twilio waits.
    pub time_limit: Duration,
    /// The time.
    pub clock: Clock,
    /// Where metrics go.
    pub metrics: Sink,
}

impl State {
    /// Builds everything from the environment, and fetches the secret while the sandbox starts, when it has a whole core.
    ///
    /// # Errors
    /// [`StartError`] says what is wrong with the set-up.
    pub async fn start(environment: &Environment) -> Result<Self, StartError> {
        let aws = AwsSettings::from_environment(environment)?.connect(&Tls::new()?)?;
        let (time_limit, clock, metrics) = (Duration::from_secs(9), Clock::system(), Sink::stdout());
        Self::build(environment, World { aws, time_limit, clock, metrics }).await
    }

    /// The same in another world.
    ///
    /// # Errors
    /// As [`State::start`].
    pub async fn build(environment: &Environment, world: World) -> Result<Self, StartError> {
        let World { aws, time_limit, clock, metrics } = world;
        let public_url =
            environment.optional("PUBLIC_URL").map(|_| environment.parsed::<PublicUrl>("PUBLIC_URL")).transpose()?;
        let table_name = environment.required("TABLE_NAME")?.to_owned();
        let deliveries = Deliveries { items: Items { client: aws.dynamodb, table_name, backoff: Backoff::FOR_WRITES } };
        let auth_token_secret = environment.required("AUTH_TOKEN_SECRET")?;
        let signer = Secret::signer(aws.secrets_manager, auth_token_secret, clock.clone());
        // The auth token may not be filled in yet; then the first webhook says so.
        let _ = signer.get().await;
        number::warm_up();
        Ok(Self { public_url, signer, deliveries, clock, time_limit, meter: Meter::new(environment, metrics) })
    }
}
