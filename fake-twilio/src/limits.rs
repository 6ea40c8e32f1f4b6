//! Twilio's limits and timeouts.

use std::time::Duration;

/// The version of the API, in every path and every webhook.
pub(crate) const API_VERSION: &str = "2010-04-01";
/// The most media in a message.
pub(crate) const MAX_MEDIA: usize = 10;
/// The most bytes that all media of a message have in total.
/// <https://www.twilio.com/docs/messaging/guides/accepted-mime-types>
pub(crate) const MAX_MEDIA_BYTES: usize = 5 * 1024 * 1024;

/// How long Twilio waits.
#[derive(Clone, Copy)]
pub(crate) struct TwilioTimeouts {
    /// For the response of a webhook. <https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides>
    pub(crate) webhook: Duration,
    /// With an out-of-order webhook, for the next one.
    pub(crate) held_webhook: Duration,
    /// Before closing a request that a fault leaves unanswered.
    pub(crate) no_answer: Duration,
}

pub(crate) const TIMEOUTS: TwilioTimeouts = TwilioTimeouts {
    webhook: Duration::from_secs(15),
    held_webhook: Duration::from_secs(5),
    no_answer: Duration::from_mins(1),
};
