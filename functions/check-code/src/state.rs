//! What a warm function keeps: built once, used by every invocation. It has no way to reach Twilio.

use shared::phone::number;
use shared::phone::test_numbers::TestNumbers;
use shared::runtime::aws::{Aws, AwsSettings};
use shared::runtime::backoff::Backoff;
use shared::runtime::clock::Clock;
use shared::runtime::credentials::Secret;
use shared::runtime::http::Tls;
use shared::runtime::metrics::{Meter, Sink};
use shared::runtime::serve::StartError;
use shared::runtime::settings::Environment;
use shared::store::items::Items;
use shared::store::send_limits::SendLimits;
use shared::store::table::Table;

/// Everything that a check needs.
pub struct State {
    /// The limits, as send-code has them.
    pub limits: SendLimits,
    /// Numbers whose fixed code always works.
    pub test_numbers: TestNumbers,
    /// The table.
    pub table: Table,
    /// The time.
    pub clock: Clock,
    /// Counts what happens.
    pub meter: Meter,
}

impl State {
    /// Builds everything from the environment, and fetches the secret while the sandbox starts, when it has a whole core.
    ///
    /// # Errors
    /// [`StartError`] says what is wrong with the set-up.
    pub async fn start(environment: &Environment) -> Result<Self, StartError> {
        let aws = AwsSettings::from_environment(environment)?.connect(&Tls::new()?)?;
        Self::build(environment, aws, Backoff::FOR_WRITES, Clock::system(), Sink::stdout()).await
    }

    /// The same with other waits between tries of a write that collided, another clock, and another place for metrics.
    ///
    /// # Errors
    /// As [`State::start`].
    pub async fn build(
        environment: &Environment,
        aws: Aws,
        backoff: Backoff,
        clock: Clock,
        metrics: Sink,
    ) -> Result<Self, StartError> {
        let limits = SendLimits::from_environment(environment)?;
        let test_numbers = TestNumbers::from_environment(environment)?;
        let name = environment.required("TABLE_NAME")?.to_owned();
        let hmac_key_secret = environment.required("HMAC_KEY_SECRET")?;
        let key = Secret::hmac_key(aws.secrets_manager, hmac_key_secret, clock.clone()).get().await?[0].clone();
        number::warm_up();
        let table = Table { items: Items { client: aws.dynamodb, table_name: name, backoff }, key };
        Ok(Self { limits, test_numbers, table, clock, meter: Meter::new(environment, metrics) })
    }
}
