//! What a fake Twilio is made of.

use crate::exchanges::Exchanges;
use crate::faults::Faults;
use crate::store::journal::Journal;
use crate::store::ledger::Entry;
use shared::runtime::clock::Clock;
use std::time::Duration;

/// How fast a message is delivered. Both times count from its creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryTiming {
    /// Until the carrier has it.
    pub sent_after: Duration,
    /// Until the phone has it.
    pub delivered_after: Duration,
}

impl DeliveryTiming {
    /// No delay. The states still come in order.
    pub const AT_ONCE: Self = Self { sent_after: Duration::ZERO, delivered_after: Duration::ZERO };
}

impl Default for DeliveryTiming {
    /// About as fast as Twilio in practice.
    fn default() -> Self {
        Self { sent_after: Duration::from_millis(300), delivered_after: Duration::from_millis(1200) }
    }
}

/// What a [`FakeTwilio`](crate::FakeTwilio) needs.
pub struct TwilioConfig {
    /// Dates the messages.
    pub clock: Clock,
    /// Calls webhooks and downloads media, on this machine only. It must not follow redirects, which could lead
    /// elsewhere.
    pub http: reqwest::Client,
    /// Records every exchange and publishes every change.
    pub exchanges: Exchanges,
    /// The faults to inject.
    pub faults: Faults,
    /// How fast messages are delivered.
    pub timing: DeliveryTiming,
    /// Where changes are stored, if anywhere.
    pub journal: Option<Journal>,
    /// The changes read from the journal when it was opened.
    pub past: Vec<Entry>,
    /// Where the API is served, as `http://127.0.0.1:8080`. The media URLs of inbound messages lead there.
    pub api_url: String,
    /// The default `SmsUrl` of the account's numbers. Empty: texts go nowhere until one is set.
    pub sms_url: String,
}
