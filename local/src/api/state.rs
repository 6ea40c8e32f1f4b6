//! What the handlers work with: the parts of the running system, and fake-twilio's errors and JSON bodies.

use crate::aws::lambda_account::FakeLambdaAccount;
use crate::aws::secrets_manager::FakeSecrets;
use crate::clock::MovableClock;
use crate::fake_account::FakeAccount;
use crate::functions::{Functions, States};
use fake_twilio::FakeTwilio;
use fake_twilio::exchanges::Exchanges;
use fake_twilio::faults::Faults;
pub use fake_twilio::test_api::request::{ApiError, JsonBody};
use shared::runtime::backoff::Backoff;
use shared::runtime::settings::Environment;
use shared::store::items::Items;
use shared::store::table::Table;
use std::sync::Arc;

/// The parts of the system. Clones share them.
#[derive(Clone)]
pub struct AppState {
    /// The system's address, `http://127.0.0.1:PORT`.
    pub base_url: Arc<str>,
    /// The clock of all parts.
    pub clock: MovableClock,
    /// The exchanges between the parts, and all other events.
    pub exchanges: Exchanges,
    /// The pending faults.
    pub faults: Faults,
    /// Twilio, with the phones.
    pub twilio: FakeTwilio,
    /// The resources of the Twilio account.
    pub account: FakeAccount,
    /// Secrets Manager.
    pub secrets: FakeSecrets,
    /// Lambda's quota of the AWS account.
    pub lambda_account: FakeLambdaAccount,
    /// The functions.
    pub functions: Functions,
    /// A client of the embedded DynamoDB that no fault affects.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The environment of the functions.
    pub environment: Arc<Environment>,
}

impl AppState {
    /// The functions.
    ///
    /// # Errors
    /// [`ApiError`] while they are starting.
    pub fn states(&self) -> Result<&States, ApiError> {
        self.functions.get().ok_or_else(|| ApiError::unavailable("the functions are still starting"))
    }

    /// The table, unaffected by faults: a test that breaks DynamoDB still wants to see the result.
    ///
    /// # Errors
    /// [`ApiError`] while the functions are starting.
    pub fn table(&self) -> Result<Table, ApiError> {
        let Table { items, key } = &self.states()?.send_code.table;
        let items = Items { client: self.dynamodb.clone(), backoff: Backoff::FOR_WRITES, ..items.clone() };
        Ok(Table { items, key: key.clone() })
    }
}
