//! What a fake Twilio is made of.

use crate::exchanges::Exchanges;
use crate::faults::Faults;
use crate::store::journal::Journal;
use crate::store::ledger::Entry;
use shared::runtime::clock::Clock;
use std::time::Duration;

/// How fast a message is delivered, each counted from its being taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryTiming {
    /// When the carrier has it.
    pub sent_after: Duration,
    /// When the phone has it.
    pub delivered_after: Duration,
}

impl DeliveryTiming {
    /// No waiting; the states come in their order all the same.
    pub const AT_ONCE: Self = Self { sent_after: Duration::ZERO, delivered_after: Duration::ZERO };
}

impl Default for DeliveryTiming {
    /// About as fast as in practice.
    fn default() -> Self {
        Self { sent_after: Duration::from_millis(300), delivered_after: Duration::from_millis(1200) }
    }
}

/// What a Twilio tasks in.
pub struct TwilioConfig {
    /// Dates the messages.
    pub clock: Clock,
    /// Calls webhooks and fetches media, on this machine. It must follow no redirection: one could lead elsewhere.
    pub http: reqwest::Client,
    /// Hears of everything.
    pub exchanges: Exchanges,
    /// What is to go wrong.
    pub faults: Faults,
    /// How fast messages are delivered.
    pub timing: DeliveryTiming,
    /// Where changes are written down, if anywhere.
    pub journal: Option<Journal>,
    /// The changes so far, as the journal had them.
    pub past: Vec<Entry>,
    /// Where the API is served, as `http://127.0.0.1:8080`. The media URLs of inbound messages lead there.
    pub api_url: String,
    /// The default `SmsUrl` of the account's numbers. Empty: texts go nowhere until one is set.
    pub sms_url: String,
}
