//! The header that a CDN adds: with its values in the secret, a webhook that went past the CDN is refused.

use crate::support::{Local, PRIVATE, items, message, sid, start};
use checklist::report::CheckStatus;
use local::fixtures::{ACCOUNT_SID, AUTH_TOKEN, AUTH_TOKEN_SECRET, OUR_NUMBER};
use serde_json::{Value, json};
use shared::runtime::http::{Connections, Timeouts, Tls};
use shared::twilio::form::Form;
use std::time::Duration;

const PHONE: &str = "+14155550123";
const OLD: &str = "the-value-of-last-month";
const NEW: &str = "the-value-of-this-month";

/// The secret with these values of the header.
fn secret(origin_verify: &Value) -> String {
    json!({"accountSid": ACCOUNT_SID, "authToken": AUTH_TOKEN, "originVerify": origin_verify}).to_string()
}

/// The system with these values in the secret, and caches that have noticed it.
async fn behind_cdn(origin_verify: &Value) -> Local {
    let local = start([]).await;
    local.system.secrets.put(AUTH_TOKEN_SECRET, &secret(origin_verify));
    local.clock.advance_seconds(3600); // the version without the header is no longer accepted either
    local
}

/// A signed text with these headers added: the status of the answer.
async fn text(local: &Local, n: u64, headers: &[(&str, &str)]) -> i64 {
    let event = local.signed("/sms", AUTH_TOKEN, &message(PHONE, PRIVATE, &sid(n)));
    local.event(with(event, headers)).await.0
}

/// A signed status with these headers added: the status of the answer.
async fn status(local: &Local, n: u64, headers: &[(&str, &str)]) -> i64 {
    let form = Form::from_pairs([
        ("AccountSid", ACCOUNT_SID),
        ("From", OUR_NUMBER),
        ("MessageSid", &sid(n)),
        ("MessageStatus", "delivered"),
        ("To", PHONE),
    ]);
    let event = with(local.signed("/sms/status", AUTH_TOKEN, &form), headers);
    delivery_status::handle(&local.system.delivery_status, event).await.status_code
}

fn with(mut event: Value, headers: &[(&str, &str)]) -> Value {
    for (name, value) in headers {
        event["headers"][*name] = (*value).into();
    }
    event
}

#[tokio::test]
async fn without_values_in_the_secret_the_header_means_nothing() {
    let local = start([]).await;
    assert_eq!(text(&local, 1, &[]).await, 200);
    assert_eq!(text(&local, 2, &[("x-origin-verify", "anything")]).await, 200);
    assert_eq!(status(&local, 3, &[]).await, 204);
}

#[tokio::test]
async fn both_webhooks_refuse_what_went_past_the_cdn_and_count_it() {
    let local = behind_cdn(&json!(NEW)).await;
    let joined = format!("{NEW},{NEW}");
    for (n, (headers, passes)) in (0..).zip([
        (&[][..], false),
        (&[("x-origin-verify", "")], false),
        (&[("x-origin-verify", OLD)], false),
        (&[("x-origin-verify", &NEW[1..])], false),
        (&[("x-origin-verify", &joined)], false),
        (&[("x-origin-verify", OLD), ("X-Origin-Verify", NEW)], false),
        (&[("x-origin-verify", NEW)], true),
        (&[("X-Origin-Verify", NEW)], true),
        (&[("X-ORIGIN-VERIFY", NEW)], true),
    ]) {
        local.counted();
        let (expected_text, expected_status) = if passes { (200, 204) } else { (403, 403) };
        assert_eq!(text(&local, n, headers).await, expected_text, "{headers:?}");
        assert_eq!(status(&local, n, headers).await, expected_status, "{headers:?}");
        let forged = local.counted().iter().filter(|line| line.contains("ForgedWebhooks=1")).count();
        assert_eq!(forged, if passes { 0 } else { 2 }, "{headers:?}");
    }
    assert_eq!(items(&local, "message#").await.len(), 3);
}

#[tokio::test]
async fn the_header_does_not_replace_the_signature() {
    let local = behind_cdn(&json!(NEW)).await;
    let event = local.signed("/sms", "another token", &message(PHONE, PRIVATE, &sid(1)));
    assert_eq!(local.event(with(event, &[("x-origin-verify", NEW)])).await.0, 403);
}

#[tokio::test]
async fn several_values_are_accepted_at_once() {
    let local = behind_cdn(&json!([NEW, OLD])).await;
    assert_eq!(text(&local, 1, &[("x-origin-verify", NEW)]).await, 200);
    assert_eq!(text(&local, 2, &[("x-origin-verify", OLD)]).await, 200);
    assert_eq!(text(&local, 3, &[("x-origin-verify", "a value of another month")]).await, 403);
}

#[tokio::test]
async fn a_value_that_was_replaced_is_accepted_for_an_hour_and_a_pending_one_at_once() {
    const PENDING: &str = "the-value-of-next-month";
    let local = behind_cdn(&json!(OLD)).await;
    assert_eq!(text(&local, 1, &[("x-origin-verify", OLD)]).await, 200);
    local.system.secrets.put(AUTH_TOKEN_SECRET, &secret(&json!(NEW)));
    local.system.secrets.set_version(AUTH_TOKEN_SECRET, "AWSPENDING", &secret(&json!(PENDING)));
    // The cache has only the old value; the new one makes the function look.
    for (n, value) in (2..).zip([NEW, OLD, PENDING]) {
        assert_eq!(text(&local, n, &[("x-origin-verify", value)]).await, 200, "{value}");
    }
    local.clock.advance_seconds(3600);
    assert_eq!(text(&local, 5, &[("x-origin-verify", OLD)]).await, 403);
    assert_eq!(text(&local, 6, &[("x-origin-verify", NEW)]).await, 200);
}

#[tokio::test]
async fn the_version_from_before_the_cdn_opens_nothing() {
    let local = start([]).await;
    local.system.secrets.put(AUTH_TOKEN_SECRET, &secret(&json!(NEW)));
    local.clock.advance_seconds(301);
    // A wrong value makes the function fetch the previous version, which has no header.
    assert_eq!(text(&local, 1, &[("x-origin-verify", OLD)]).await, 403);
    assert_eq!(text(&local, 2, &[]).await, 403);
    assert_eq!(text(&local, 3, &[("x-origin-verify", NEW)]).await, 200);
}

#[tokio::test]
async fn requests_without_the_header_cause_no_fetch_of_the_secret() {
    let local = behind_cdn(&json!(NEW)).await;
    assert_eq!(text(&local, 1, &[("x-origin-verify", NEW)]).await, 200);
    let before = local.system.secrets.calls("GetSecretValue");
    for n in 0..100 {
        assert_eq!(text(&local, n, &[]).await, 403);
    }
    assert_eq!(local.system.secrets.calls("GetSecretValue"), before);
}

#[tokio::test]
async fn values_that_cant_be_read_are_not_taken_for_none() {
    const LONG_ENOUGH: &str = "REPLACE_ME_with_the_value_of_the_cdn";
    for invalid in
        [json!(null), json!(""), json!([]), json!({}), json!(7), json!("short"), json!([NEW, null]), json!(LONG_ENOUGH)]
    {
        let local = behind_cdn(&invalid).await;
        for headers in [&[][..], &[("x-origin-verify", NEW)], &[("x-origin-verify", "")]] {
            assert_eq!(text(&local, 1, headers).await, 500, "{invalid} {headers:?}");
            assert_eq!(status(&local, 1, headers).await, 500, "{invalid} {headers:?}");
        }
        let report = checklist::handle(&local.system.checklist, "r", &json!({})).await.unwrap();
        let row = report.rows.iter().find(|row| row.check.as_str() == "credentials").unwrap();
        assert!(row.result == CheckStatus::Fail && row.found.contains("originVerify"), "{row:?}");
    }
    // The names that people write are the same field.
    for name in ["origin_verify", "X-Origin-Verify"] {
        let local = start([]).await;
        let value = json!({"accountSid": ACCOUNT_SID, "authToken": AUTH_TOKEN, name: NEW}).to_string();
        local.system.secrets.put(AUTH_TOKEN_SECRET, &value);
        local.clock.advance_seconds(301);
        assert_eq!(text(&local, 1, &[]).await, 403, "{name}");
    }
}

#[tokio::test]
async fn an_invalid_value_stops_webhooks_and_not_codes() {
    let local = start([("SENDING_SECRET", AUTH_TOKEN_SECRET)]).await;
    local.system.secrets.put(AUTH_TOKEN_SECRET, &secret(&json!("short")));
    local.clock.advance_seconds(301);
    local.send(PHONE, "203.0.113.7").await.unwrap();
    assert_eq!(text(&local, 1, &[("x-origin-verify", "short")]).await, 500);
}

#[tokio::test]
async fn the_checklist_says_that_twilio_must_call_the_cdn() {
    let local = behind_cdn(&json!(NEW)).await;
    let report = checklist::handle(&local.system.checklist, "r", &json!({})).await.unwrap();
    let row = report.rows.iter().find(|row| row.check.as_str() == "public_url").unwrap();
    assert!(row.result == CheckStatus::Fail && row.advice.contains("PublicUrl"), "{row:?}");
    assert!(!serde_json::to_string(&report).unwrap().contains(NEW));
}

#[tokio::test]
async fn the_local_system_shows_it_over_http() {
    let local = behind_cdn(&json!(NEW)).await;
    let minute = Duration::from_mins(1);
    let timeouts = Timeouts { connect: minute, total: minute };
    let http = Tls::new().unwrap().client(timeouts, Connections::Fresh).unwrap();
    for (value, expected) in [(None, 403), (Some(OLD), 403), (Some(NEW), 200)] {
        let event = local.signed("/sms", AUTH_TOKEN, &message(PHONE, PRIVATE, &sid(1)));
        let mut request = http.post(format!("{}/sms", local.system.base_url));
        for name in ["content-type", "x-twilio-signature"] {
            request = request.header(name, event["headers"][name].as_str().unwrap());
        }
        if let Some(value) = value {
            request = request.header("X-Origin-Verify", value);
        }
        let answer = request.body(event["body"].as_str().unwrap().to_owned()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), expected, "{value:?}");
    }
}
