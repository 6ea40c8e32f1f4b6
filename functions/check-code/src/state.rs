//! What a warm function keeps: built once, used by every invocation. It has no access to Twilio.

use shared::phone::code::MinCodeDigits;
use shared::phone::number;
use shared::phone::test_numbers::TestNumbers;
use shared::runtime::clock::Clock;
use shared::runtime::credentials::Secret;
use shared::runtime::dependencies::{Dependencies, StartError};
use shared::runtime::metrics::Meter;
use shared::runtime::settings::Environment;
use shared::store::items::Items;
use shared::store::send_limits::SendLimits;
use shared::store::table::Table;
use shared::store::text_to_verify::TextToVerify;

/// Everything that a check needs.
pub struct State {
    /// The same limits as send-code's.
    pub limits: SendLimits,
    /// How many digits a code has at least, so that less costs no attempt.
    pub min_code_digits: MinCodeDigits,
    /// Whether users may text for a verification.
    pub text_to_verify: TextToVerify,
    /// Numbers whose fixed code always works.
    pub test_numbers: TestNumbers,
    pub table: Table,
    pub clock: Clock,
    pub meter: Meter,
}

impl State {
    /// Reads the settings, and fetches the secret while the sandbox starts, when it has a whole core.
    ///
    /// # Errors
    /// [`StartError`] if a setting is invalid or the table's key can't be read.
    pub async fn start(environment: &Environment, dependencies: Dependencies) -> Result<Self, StartError> {
        let Dependencies { aws, clock, metrics, deadlines, .. } = dependencies;
        let limits = SendLimits::from_environment(environment)?;
        let min_code_digits = environment.parsed("MIN_CODE_DIGITS")?;
        let text_to_verify = environment.parsed("TEXT_TO_VERIFY")?;
        let test_numbers = TestNumbers::from_environment(environment)?;
        let name = environment.required("TABLE_NAME")?.to_owned();
        let hmac_key_secret = environment.required("HMAC_KEY_SECRET")?;
        let key = Secret::hmac_key(aws.secrets_manager, hmac_key_secret, clock.clone()).get().await?[0].clone();
        number::warm_up();
        let table =
            Table { items: Items { client: aws.dynamodb, table_name: name, backoff: deadlines.table_backoff }, key };
        let meter = Meter::new(environment, metrics);
        Ok(Self { limits, min_code_digits, text_to_verify, test_numbers, table, clock, meter })
    }
}
