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
async fn the_spend_limit_refuses_before_a_text_is_sent_and_says_until_when() {
    // Two texts are $0.0166. The third goes out, since the limit is not reached; it is over by less than its price.
    let local = start([("SPEND_LIMIT", "$0.02/1h")]).await;
    for n in 1..=3 {
        assert_eq!(send(&local, n).await, "sent");
    }
    let refused = local.send(&phone(4), "203.0.113.7").await.unwrap();
    let refused = serde_json::to_value(&refused).unwrap();
    assert_eq!((&refused["reason"], &refused["rule"]), (&json!("spend_limit"), &json!("$0.02/1h")));
    let wait = refused["retry_after"].as_u64().unwrap();
    assert!((3600..=4500).contains(&wait), "{wait}");
    assert_eq!(local.texts().len(), 3);
    local.clock.advance_seconds(wait);
    assert_eq!(send(&local, 4).await, "sent");
}

#[tokio::test]
async fn segments_and_the_prices_of_regions_count() {
    let long = format!("{{code}} {}", "x".repeat(160));
    for (settings, country, texts) in [
        ([("MESSAGE_TEMPLATE", long.as_str()), ("SEGMENT_PRICES", "0.01")], "+1415555", 5),
        ([("MESSAGE_TEMPLATE", "{code}"), ("SEGMENT_PRICES", "0.01")], "+1415555", 10),
        ([("MESSAGE_TEMPLATE", "{code}"), ("SEGMENT_PRICES", "CA=0.05, *=0.01")], "+1416555", 2),
    ] {
        let [template, prices] = settings;
        let local = start([template, prices, ("SPEND_LIMIT", "$0.1/1d")]).await;
        let mut sent = 0;
        while outcome(&local.send(&format!("{country}{sent:02}99"), "203.0.113.7").await) == "sent" {
            sent += 1;
        }
        assert_eq!(sent, texts, "{settings:?}");
    }
}

#[tokio::test]
async fn money_that_is_spent_stays_spent_and_money_that_is_not_is_given_back() {
    let local = start([("SPEND_LIMIT", "$0.02/1h")]).await;
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
    assert_eq!(send(&local, 3).await, "sent");
    // Known numbers and trusted users cost money, too.
    assert_eq!(send(&local, 1).await, "spend_limit");
    assert_eq!(outcome(&local.invoke(trusted).await), "spend_limit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_sends_at_once_spend_no_more_than_the_limit() {
    let local = Arc::new(start([("SPEND_LIMIT", "$0.166/1h"), ("NETWORK_LIMIT", "off"), ("RANGE_LIMIT", "off")]).await);
    let mut sends = JoinSet::new();
    for n in 0..100 {
        let local = local.clone();
        sends
            .spawn(async move { outcome(&local.send(&format!("+141555{n:02}123"), &format!("198.51.100.{n}")).await) });
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
