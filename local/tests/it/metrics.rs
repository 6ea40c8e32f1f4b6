//! Metrics: each kind of answer counts once, as what it is, and no metric identifies a person.

use crate::support::{CODE, PRIVATE, no_waits, outcome, sid, start, start_with};
use local::fixtures::{API_KEY_SECRET_NAME, AUTH_TOKEN_SECRET};
use serde_json::json;

const PHONE: &str = "+14155550123";
const IP: &str = "203.0.113.7";
const NOTHING: [&str; 0] = [];

#[tokio::test]
async fn each_answer_of_send_code_counts_as_what_it_is() {
    let local = start([
        ("ALLOWED_COUNTRIES", "US,CA,GB"),
        ("BLOCKED_PREFIXES", "+1907"),
        ("PHONE_LIMIT", "1/1h"),
        ("IP_LIMIT", "3/1h"),
        ("TEST_NUMBERS", "+15005550006=123456"),
    ])
    .await;
    for (phone, counted) in [
        (PHONE, "EstimatedSpend=0.0083 Sent=1 Verified=0"),
        (PHONE, "Reason=phone_limit Refused=1"),
        ("+1415", "Reason=invalid_phone_number Refused=1"),
        ("+4915123456789", "Reason=country_not_allowed Refused=1"),
        ("+19072345678", "Reason=prefix_blocked Refused=1"),
        ("+447012345678", "Reason=number_type_not_allowed Refused=1"),
        ("+15005550004", "Reason=opted_out Refused=1"),
        ("+15005550001", "Reason=rejected_by_twilio Refused=1"),
        ("+14155551100", "Reason=ip_limit Refused=1"),
    ] {
        local.send(phone, IP).await.unwrap();
        assert_eq!(local.counted(), [counted], "{phone}");
    }
    local.send("+15005550006", IP).await.unwrap();
    assert_eq!(local.counted(), NOTHING, "a test number does not count");
    local.invoke(json!({"phone_number": PHONE, "ip": "nowhere"})).await.unwrap_err();
    assert_eq!(local.counted(), ["InvalidRequests=1"], "which is taken out of the errors that Lambda counts");
}

#[tokio::test]
async fn a_request_that_is_repeated_counts_once() {
    let local = start([]).await;
    for (phone, counted) in
        [(PHONE, "EstimatedSpend=0.0083 Sent=1 Verified=0"), ("+15005550001", "Reason=rejected_by_twilio Refused=1")]
    {
        let event = json!({"phone_number": phone, "ip": IP, "idempotency_key": phone});
        for counted in [&[counted][..], &NOTHING, &NOTHING] {
            local.invoke(event.clone()).await.unwrap();
            assert_eq!(local.counted(), counted);
        }
    }
}

#[tokio::test]
async fn what_is_spent_is_the_segments_by_their_price() {
    let local = start([(
        "MESSAGE_TEMPLATE",
        "🔐 {code}, and sixty-seven characters in each segment of a text that has an emoji in it",
    )])
    .await;
    local.send(PHONE, IP).await.unwrap();
    assert_eq!(local.counted(), ["EstimatedSpend=0.0166 Sent=1 Verified=0"]);

    let local = start([("SEGMENT_PRICES", "CA=0.2, US=0.1, *=7")]).await;
    local.send("+14165550123", "198.51.100.1").await.unwrap();
    assert_eq!(local.counted(), ["EstimatedSpend=0.2 Sent=1 Verified=0"], "Canada has a price of its own");
    local.send(PHONE, IP).await.unwrap();
    assert_eq!(local.counted(), ["EstimatedSpend=0.1 Sent=1 Verified=0"]);
    // A reply is an SMS too; that to a repeat is the same one.
    for counted in [&["EstimatedSpend=0.1"][..], &NOTHING] {
        assert_eq!(local.text_in(PHONE, PRIVATE, &sid(1)).await.0, 200);
        assert_eq!(local.counted(), counted);
    }
    local.text_in(PHONE, "STOP", &sid(2)).await;
    assert_eq!(local.counted(), NOTHING, "what is not answered costs nothing");
}

#[tokio::test]
async fn each_answer_of_check_code_counts_as_what_it_is() {
    let local = start([("PHONE_CHECK_LIMIT", "2/1h"), ("TEST_NUMBERS", "+15005550006=123456")]).await;
    for phone in [PHONE, "+14155550100"] {
        local.invoke(json!({"phone_number": phone, "ip": IP, "code": CODE})).await.unwrap();
    }
    local.counted();
    for (phone, code, counted) in [
        (PHONE, "000000", &["CheckIncorrect=1"][..]),
        (PHONE, CODE, &["Verified=1"]),
        (PHONE, CODE, &NOTHING),
        (PHONE, "000000", &NOTHING),
        ("+14155550100", "000000", &["CheckIncorrect=1"]),
        ("+14155550100", "000000", &["CheckIncorrect=1"]),
        ("+14155550100", CODE, &["Reason=too_many_attempts Refused=1"]),
        ("+15005550006", "123456", &NOTHING),
        ("+15005550006", "000000", &NOTHING),
        ("not a number", "000000", &["Reason=invalid_phone_number Refused=1"]),
    ] {
        let answer = local.check(phone, code).await;
        assert_eq!(local.counted(), counted, "{phone} {code}: {answer}");
    }
}

#[tokio::test]
async fn a_forgery_and_an_unusable_secret_have_different_metrics() {
    let local = start([]).await;
    let form = crate::support::message(PHONE, PRIVATE, &sid(1));
    assert_eq!(local.webhook("ffffffffffffffffffffffffffffffff", &form).await.0, 403);
    assert_eq!(local.counted(), ["ForgedWebhooks=1"]);

    local.clock.advance_seconds(600);
    local.system.secrets.put(AUTH_TOKEN_SECRET, r#"{"accountSid":"REPLACE_ME","authToken":"REPLACE_ME"}"#);
    assert_eq!(local.text_in(PHONE, PRIVATE, &sid(1)).await.0, 500);
    assert_eq!(local.counted(), ["CredentialErrors=1"]);
    local.system.secrets.put(API_KEY_SECRET_NAME, "{}");
    assert_eq!(outcome(&local.send(PHONE, IP).await), "CredentialsUnavailable");
    assert_eq!(local.counted(), ["CredentialErrors=1"]);
}

#[tokio::test]
async fn refused_credentials_and_an_invalid_sender_have_different_metrics() {
    let local = start([("TWILIO_FROM", "+15005550001")]).await;
    assert_eq!(outcome(&local.send(PHONE, IP).await), "TwilioUnavailable");
    assert_eq!(local.counted(), ["TwilioErrors=1"]);

    let local = start([]).await;
    local.clock.advance_seconds(600);
    let wrong = r#"{"accountSid":"AC00000000000000000000000000000001","apiKeySid":"SK00000000000000000000000000000001","apiKeySecret":"another"}"#;
    // Twice: the previous version is tried as well.
    local.system.secrets.put(API_KEY_SECRET_NAME, wrong);
    local.system.secrets.put(API_KEY_SECRET_NAME, wrong);
    assert_eq!(outcome(&local.send(PHONE, IP).await), "TwilioUnavailable");
    assert_eq!(local.counted(), ["CredentialErrors=1"]);
}

#[tokio::test]
async fn a_table_that_does_not_answer_counts_in_every_function() {
    let (local, plan) = crate::faults::start([]).await;
    // An attempt counts only while there is a code.
    local.code(PHONE, IP).await;
    local.clock.advance_seconds(31);
    local.counted();
    crate::faults::always_deny(&plan);
    assert_eq!(outcome(&local.send(PHONE, IP).await), "StoreUnavailable");
    assert_eq!(local.counted(), ["StoreErrors=1"]);
    assert_eq!(local.check(PHONE, "000000").await, "StoreUnavailable");
    assert_eq!(local.counted(), ["StoreErrors=1"]);
    assert_eq!(local.text_in(PHONE, PRIVATE, &sid(1)).await.0, 500);
    assert_eq!(local.counted(), ["StoreErrors=1"]);
}

#[tokio::test]
async fn how_long_a_send_took_is_measured_by_the_given_clock() {
    let local = start_with([], no_waits(), None).await;
    local.send(PHONE, IP).await.unwrap();
    let line = local.metric_lines().remove(0);
    assert_eq!(line["SendLatency"], 0, "no time passes unless the test lets it");
    assert_eq!(line["Stack"], "tollgate");
}

#[tokio::test]
async fn what_the_checklist_finds_wrong_is_counted_and_nothing_wrong_as_well() {
    let local = start([("TWILIO_FROM", local::fixtures::OUR_SERVICE)]).await;
    for failures in [0, 1] {
        checklist::handle(&local.system.checklist, "r", &json!({})).await.unwrap();
        assert_eq!(local.counted(), [format!("ChecklistFailures={failures}")]);
        local.system.account.change(|account| account.status = "suspended");
    }
}
