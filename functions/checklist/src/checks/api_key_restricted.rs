//! Can the key that sends do nothing else? A leaked key that can only send can't read messages, buy numbers or make calls.

use super::credentials::{ApiKeyFacts, Credentials, SendingCredential};
use super::listed;
use crate::report::{Check, Finding};
use crate::twilio_api::KeyPolicy;

const CHECK: Check = Check::ApiKeyRestricted;
/// The only permission that a key needs to send.
pub(super) const SEND: &str = "/twilio/messaging/messages/create";
const MAKE_RESTRICTED: &str = "create a restricted API key in the Twilio Console with the permission \
                               /twilio/messaging/messages/create and no other, and put it into the secret of send-code";

/// Evaluates the permissions of the sending credential.
#[must_use]
pub fn evaluate(credentials: &Credentials) -> Finding {
    match &credentials.sending {
        Ok(SendingCredential::AuthToken(_)) => Finding::fail(
            CHECK,
            "send-code signs in with the auth token, which can do everything, including forge webhooks",
            format!("{MAKE_RESTRICTED}; then deploy with SendingCredential=ApiKey"),
        ),
        Ok(SendingCredential::ApiKey(facts)) => evaluate_key(facts),
        Err(_) => Finding::unknown(CHECK, "there is no API key to check", "do what the `credentials` rows say"),
    }
}

pub(super) fn evaluate_key(facts: &ApiKeyFacts) -> Finding {
    if facts.account.is_ok() {
        let found = "it is a main key, or has the rights of one: it can read the account and its keys";
        return Finding::fail(CHECK, found, MAKE_RESTRICTED);
    }
    match &facts.policy {
        Ok(KeyPolicy::Allow(allowed)) => evaluate_policy(allowed),
        Ok(KeyPolicy::Unrestricted) => Finding::fail(
            CHECK,
            "it is a standard key, which can also read every message, buy numbers and make calls",
            format!(
                "{MAKE_RESTRICTED} (Twilio offers restricted keys in its US region only; in other regions a standard key has \
                 the fewest rights)"
            ),
        ),
        Err(error) => Finding::unread(CHECK, "the API key's permissions", error),
    }
}

fn evaluate_policy(allowed: &[String]) -> Finding {
    if !allowed.iter().any(|permission| covers_sending(permission)) {
        let found = format!("it can't send: {SEND} is not among its {} permissions", allowed.len());
        return Finding::fail(CHECK, found, MAKE_RESTRICTED);
    }
    let others = || allowed.iter().map(String::as_str).filter(|name| *name != SEND);
    let more: Vec<_> = others().filter(|name| !only_reads(name)).collect();
    let reading: Vec<_> = others().filter(|name| only_reads(name)).collect();
    if !more.is_empty() {
        Finding::fail(CHECK, format!("it can do more than send: {}", listed(more.into_iter())), MAKE_RESTRICTED)
    } else if reading.is_empty() {
        Finding::pass(CHECK, "it can send, and nothing else")
    } else {
        Finding::pass(CHECK, format!("it can send, and read: {}", listed(reading.into_iter())))
    }
}

/// Whether a permission, which can be a pattern, covers sending.
fn covers_sending(permission: &str) -> bool {
    permission.strip_suffix('*').map_or(permission == SEND, |start| SEND.starts_with(start))
}

/// Whether a permission changes nothing. A pattern can cover anything.
fn only_reads(permission: &str) -> bool {
    !permission.contains('*') && ["/read", "/list"].iter().any(|end| permission.ends_with(end))
}
