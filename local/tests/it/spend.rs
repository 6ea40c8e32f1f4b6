//! What texts may cost.

use crate::support::{Local, outcome, start};
use local::fixtures::API_KEY_SECRET;
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;

/// The n-th number, each in a range of its own.
fn phone(n: u32) -> String {
    format!("+1415555{n}123")
}

async fn send(local: &Local, n: u32) -> &'static str {
    outcome(&local.send(&phone(n), "203.0.113.7").await)
}

#[tokio::test]
async fn the_spend_limit_refuses_before_a_text_is_sent_and_keeps_its_last_fifth_from_strangers() {
    // Five texts are $0.0415, which is over four fifths.
    let local = start([("SPEND_LIMIT", "$0.05/1h"), ("BLOCK_RECORD", "off")]).await;
    for n in 1..=5 {
        assert_eq!(send(&local, n).await, "sent");
    }
    let refused = local.send(&phone(6), "203.0.113.7").await.unwrap();
    let refused = serde_json::to_value(&refused).unwrap();
    assert_eq!((&refused["reason"], &refused["rule"]), (&json!("spend_limit"), &json!("$0.05/1h")));
    let wait = refused["retry_after"].as_u64().unwrap();
    assert!((3600..=4500).contains(&wait), "{wait}");
    // Two more are $0.0581: the last goes out, since the limit is not reached, and is over it by less than its price.
    for (n, expected) in [(7, "sent"), (8, "sent"), (9, "spend_limit")] {
        let trusted = json!({"phone_number": phone(n), "ip": "203.0.113.7", "trusted": true});
        assert_eq!(outcome(&local.invoke(trusted).await), expected);
    }
    assert_eq!(local.texts().len(), 7);
    local.clock.advance_seconds(wait);
    assert_eq!(send(&local, 6).await, "sent");
}

#[tokio::test]
async fn while_the_spend_fills_up_blocks_without_a_record_are_refused_first() {
    let local =
        start([("SPEND_LIMIT", "$0.5/1h"), ("RANGE_LIMIT", "off"), ("NETWORK_LIMIT", "off"), ("IP_LIMIT", "off")]);
    let local = local.await;
    let mut sent = 0;
    let reason = loop {
        match outcome(&local.send(&format!("+141555{sent:05}"), "203.0.113.7").await) {
            "sent" => sent += 1,
            reason => break reason,
        }
    };
    // Two fifths of what strangers may spend are 19 texts.
    assert_eq!(reason, "block_record");
    assert!((19..30).contains(&sent), "{sent}");
}

#[tokio::test]
async fn segments_and_the_prices_of_regions_count() {
    let long = format!("{{code}} {}", "x".repeat(160));
    for (settings, country, texts) in [
        ([("MESSAGE_TEMPLATE", long.as_str()), ("SEGMENT_PRICES", "0.01")], "+1415555", 4),
        ([("MESSAGE_TEMPLATE", "{code}"), ("SEGMENT_PRICES", "0.01")], "+1415555", 8),
        ([("MESSAGE_TEMPLATE", "{code}"), ("SEGMENT_PRICES", "CA=0.05, *=0.01")], "+1416555", 2),
    ] {
        let [template, prices] = settings;
        let local = start([template, prices, ("SPEND_LIMIT", "$0.1/1d"), ("BLOCK_RECORD", "off")]).await;
        let mut sent = 0;
        while outcome(&local.send(&format!("{country}{sent:02}99"), "203.0.113.7").await) == "sent" {
            sent += 1;
        }
        assert_eq!(sent, texts, "{settings:?}");
    }
}

#[tokio::test]
async fn money_that_is_spent_stays_spent_and_money_that_is_not_is_given_back() {
    let local = start([("SPEND_LIMIT", "$0.05/1h"), ("BLOCK_RECORD", "off")]).await;
    let code = local.code(&phone(1), "203.0.113.7").await;
    assert_eq!(local.check(&phone(1), &code).await, "approved");
    let trusted = json!({"phone_number": phone(2), "ip": "203.0.113.7", "trusted": true});
    assert_eq!(outcome(&local.invoke(trusted.clone()).await), "sent");
    // Twilio takes nothing for a moment.
    local.system.twilio.set_api_key_secret("another".to_owned());
    for n in 3..=6 {
        assert_eq!(send(&local, n).await, "TwilioUnavailable");
    }
    local.system.twilio.set_api_key_secret(API_KEY_SECRET.to_owned());
    local.clock.advance_seconds(60);
    for (n, expected) in [(3, "sent"), (4, "sent"), (5, "sent"), (6, "spend_limit")] {
        assert_eq!(send(&local, n).await, expected, "{n}");
    }
    // Known numbers and trusted users cost money, too, and have the last fifth.
    assert_eq!(send(&local, 1).await, "sent");
    assert_eq!(outcome(&local.invoke(trusted.clone()).await), "sent");
    local.clock.advance_seconds(60);
    assert_eq!(send(&local, 1).await, "spend_limit");
    assert_eq!(outcome(&local.invoke(trusted).await), "spend_limit");
}

#[tokio::test]
async fn a_message_that_twilio_rejects_is_not_billed_and_not_spent() {
    let local = start([("SPEND_LIMIT", "$0.02/1h"), ("PHONE_LIMIT", "off"), ("IP_LIMIT", "off")]).await;
    for _ in 0..10 {
        // Twilio's number that can't receive SMS.
        assert_eq!(outcome(&local.send("+15005550009", "203.0.113.7").await), "rejected_by_twilio");
    }
    assert_eq!(send(&local, 1).await, "sent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_sends_at_once_spend_no_more_than_the_limit() {
    let local = Arc::new(start([("SPEND_LIMIT", "$0.166/1h")]).await);
    let mut sends = JoinSet::new();
    for n in 0..100 {
        let local = local.clone();
        sends.spawn(async move {
            let event = json!({"phone_number": format!("+141555{n:02}123"), "ip": "203.0.113.7", "trusted": true});
            outcome(&local.invoke(event).await)
        });
    }
    let outcomes = sends.join_all().await;
    let count = |outcome: &str| outcomes.iter().filter(|each| **each == outcome).count();
    assert_eq!((count("sent"), count("spend_limit")), (20, 80), "{outcomes:?}");
    assert_eq!(local.texts().len(), 20);
}

#[tokio::test]
async fn a_spend_limit_that_is_off_or_observed_refuses_nothing() {
    for mode in ["off", "observe $0.01/1h"] {
        let local = start([("SPEND_LIMIT", mode)]).await;
        for n in 1..=5 {
            assert_eq!(send(&local, n).await, "sent", "{mode}");
        }
    }
}
