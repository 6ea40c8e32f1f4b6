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
pub(crate) struct Limits {
    /// For the answer of a webhook. <https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides>
    pub(crate) answer: Duration,
    /// With a webhook that a fault has come out of order, for the next one.
    pub(crate) held: Duration,
    /// With the answer that a fault has never come.
    pub(crate) silence: Duration,
}

pub(crate) const LIMITS: Limits =
    Limits { answer: Duration::from_secs(15), held: Duration::from_secs(5), silence: Duration::from_mins(1) };
