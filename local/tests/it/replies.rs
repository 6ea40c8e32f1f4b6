//! Automatic replies are SMS, so the limits hold for them, too.

use crate::support::{Local, outcome, sid, start};

/// Texts from `count` numbers of a range, and how many get a reply.
async fn replies(local: &Local, range: &str, count: u64) -> usize {
    let mut replied = 0;
    for n in 0..count {
        let from = format!("{range}{n:03}");
        let (status, body) = local.text_in(&from, "hello", &sid(n + range.parse::<u64>().unwrap() * 1000)).await;
        assert_eq!(status, 200);
        replied += usize::from(body.contains("<Message>"));
    }
    replied
}

#[tokio::test]
async fn many_senders_together_get_no_more_replies_than_the_limits_allow() {
    for (setting, expected) in [
        (("RANGE_LIMIT", "4/1h"), 4),
        (("COUNTRY_LIMIT", "5/1h"), 5),
        (("TOTAL_LIMIT", "6/1h"), 6),
        // Of $0.0083 each: the seventh is the first that is not allowed.
        (("SPEND_LIMIT", "$0.05/1h"), 7),
    ] {
        let local = start([setting]).await;
        assert_eq!(replies(&local, "+14155550", 12).await, expected, "{setting:?}");
        // All messages are kept, with a reply or without one.
        assert_eq!(crate::support::items(&local, "message#").await.len(), 12, "{setting:?}");
    }
}

#[tokio::test]
async fn replies_cost_money_like_codes_and_take_no_places_from_them() {
    let local = start([
        ("RANGE_LIMIT", "4/1h"),
        ("COUNTRY_LIMIT", "4/1h"),
        ("SPEND_LIMIT", "$0.05/1h"),
        ("BLOCK_RECORD", "off"),
    ])
    .await;
    assert_eq!(replies(&local, "+14155550", 12).await, 4);
    // The range and the country are as empty as before for whoever wants a code, and four texts are spent.
    assert_eq!(outcome(&local.send("+14155550900", "203.0.113.7").await), "sent");
    assert_eq!(outcome(&local.send("+14155557123", "203.0.113.8").await), "spend_limit");
    assert_eq!(replies(&local, "+14155580", 3).await, 0, "and no more replies");
}

#[tokio::test]
async fn a_message_that_twilio_repeats_gets_its_reply_and_counts_once() {
    let local = start([("TOTAL_LIMIT", "2/1h")]).await;
    let (_, first) = local.text_in("+14155550123", "hello", &sid(1)).await;
    for _ in 0..5 {
        let (_, again) = local.text_in("+14155550123", "hello", &sid(1)).await;
        assert_eq!(again, first);
    }
    assert_eq!(outcome(&local.send("+14155551123", "203.0.113.7").await), "sent", "the second of two");
    assert_eq!(outcome(&local.send("+14155552123", "203.0.113.7").await), "total_limit");
    // With all places taken, its answer is still the same.
    assert_eq!(local.text_in("+14155550123", "hello", &sid(1)).await.1, first);
}

#[tokio::test]
async fn a_sender_who_has_had_its_replies_takes_none_from_others() {
    let local = start([("REPLY_LIMIT", "1/1h"), ("TOTAL_LIMIT", "2/1h")]).await;
    for n in 0..6 {
        let (_, body) = local.text_in("+14155550123", "hello", &sid(n)).await;
        assert_eq!(body.contains("<Message>"), n == 0);
    }
    let (_, other) = local.text_in("+14155551123", "hello", &sid(100)).await;
    assert!(other.contains("<Message>"));
}
