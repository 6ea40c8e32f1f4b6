//! Twilio's limits.

use std::time::Duration;

/// The version of the API, in every path and in every webhook.
pub(crate) const API_VERSION: &str = "2010-04-01";
/// The longest text, in UTF-16 code units.
pub(crate) const MAX_BODY: usize = 1600;
/// How many media a message carries at most.
pub(crate) const MAX_MEDIA: usize = 10;
/// The most that all media of a message have together. <https://www.twilio.com/docs/messaging/guides/accepted-mime-types>
pub(crate) const MAX_MEDIA_BYTES: usize = 5 * 1024 * 1024;

/// How long Twilio waits.
#[derive(Clone, Copy)]
pub(crate) struct TwilioTimeouts {
    /// For the answer of a webhook. <https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides>
    pub(crate) webhook: Duration,
    /// With a webhook that a fault has come out of order, for the next one.
    pub(crate) held_webhook: Duration,
    /// With the answer that a fault has never come.
    pub(crate) no_answer: Duration,
}

pub(crate) const TIMEOUTS: TwilioTimeouts = TwilioTimeouts {
    webhook: Duration::from_secs(15),
    held_webhook: Duration::from_secs(5),
    no_answer: Duration::from_mins(1),
};
