//! What the page and scripts work with: the parts of the running system, and how a request to them is read and refused.

use crate::clock::MovableClock;
use crate::fake_account::FakeAccount;
use crate::fake_secrets::FakeSecrets;
use crate::gateway::Functions;
use fake_twilio::FakeTwilio;
use fake_twilio::exchanges::Exchanges;
use fake_twilio::faults::Faults;
pub use fake_twilio::test_api::request::{ApiError as Wrong, JsonBody};
use shared::runtime::settings::Environment;
use std::sync::Arc;

/// The parts of the system. Clones are the same ones.
#[derive(Clone)]
pub struct Desk {
    /// Where everything is: `http://127.0.0.1:PORT`.
    pub base_url: Arc<str>,
    /// The clock of all parts.
    pub clock: MovableClock,
    /// What happens.
    pub feed: Exchanges,
    /// What is to go wrong.
    pub faults: Faults,
    /// Twilio, with the phones.
    pub twilio: FakeTwilio,
    /// What Twilio tells of the account.
    pub account: FakeAccount,
    /// Secrets Manager.
    pub secrets: FakeSecrets,
    /// The functions.
    pub functions: Functions,
    /// The embedded DynamoDB, past all faults.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// What the functions were started with.
    pub environment: Arc<Environment>,
}
