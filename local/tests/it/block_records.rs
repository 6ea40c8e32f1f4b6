//! Whom an attack on a country refuses, and whom it doesn't.

use crate::support::{Local, items, outcome, start};
use send_code::answer::Answer;
use serde_json::json;

/// Honest users have verified here, in one block; the pumper's numbers are in another one.
const HONEST: &str = "+141555";
const PUMPED: &str = "+141557";

/// A country of 100 places, whose other limits leave room.
async fn country(mode: &'static str) -> Local {
    let room = [("RANGE_LIMIT", "off"), ("NETWORK_LIMIT", "off"), ("IP_LIMIT", "off"), ("COUNTRY_LIMIT", "100/1d")];
    let [range, network, ip, country] = room;
    let local = start([range, network, ip, country, ("BLOCK_RECORD", mode)]).await;
    for n in 0..40 {
        let phone = format!("{HONEST}{:05}", 1000 + n);
        let code = local.code(&phone, "198.51.100.1").await;
        assert_eq!(local.check(&phone, &code).await, "approved");
    }
    local
}

/// Asks for codes to a block that nobody verifies, until one is refused: how many are sent, and the refusal.
async fn pump(local: &Local, block: &str, most: u32) -> (u32, Answer) {
    for n in 0..most {
        let answer = local.send(&format!("{block}{:05}", 2000 + n), "203.0.113.7").await.unwrap();
        if answer.refused().is_some() {
            return (n, answer);
        }
    }
    panic!("none of {most} was refused");
}

#[tokio::test]
async fn a_pumped_block_is_refused_before_the_country_is_full_and_honest_blocks_are_not() {
    let local = country("on").await;
    let (sent, refused) = pump(&local, PUMPED, 100).await;
    assert!((40..60).contains(&sent), "two fifths of the country's places, and few more: {sent}");
    let refused = serde_json::to_value(&refused).unwrap();
    assert_eq!(refused["reason"], "block_record");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("of CountryLimit or SpendLimit is used") && detail.contains("0 verified of 4"), "{detail}");
    assert_eq!((&refused["retry_after"], &refused["rule"]), (&json!(null), &json!(null)), "waiting promises nothing");

    // What the page shows agrees.
    for (phone, refuses) in [(format!("{PUMPED}02999"), true), (format!("{HONEST}02999"), false)] {
        let gate = local.get(&format!("/gate?phone_number=%2B{}&ip=192.0.2.9", &phone[1..])).await;
        let record = &gate["block_record"];
        assert_eq!((&record["refuses"], &record["mode"]), (&json!(refuses), &json!("on")), "{gate}");
        assert!(record["load"].as_f64().unwrap() > 0.4, "{gate}");
    }

    // The attacker moves on from block to block, and each gets less.
    for block in ["+141558", "+141559", "+141560"] {
        let (next, refused) = pump(&local, block, 40).await;
        assert!(next < 20 && outcome(&Ok(refused)) == "block_record", "{block}: {next}");
    }
    // A new user of an honest block, and of one that nobody knows in an area where codes are verified.
    for phone in [format!("{HONEST}09999"), "+14165550123".to_owned()] {
        assert_eq!(outcome(&local.send(&phone, "192.0.2.9").await), "sent", "{phone}");
    }
    // In the attacked block, a known number and a user for whom the app vouches need no record.
    let vouched = json!({"phone_number": format!("{PUMPED}09999"), "ip": "192.0.2.9", "trusted": true});
    assert_eq!(outcome(&local.invoke(vouched).await), "sent");
    assert_eq!(outcome(&local.send(&format!("{PUMPED}09998"), "192.0.2.9").await), "block_record");
}

#[tokio::test]
async fn a_known_number_of_an_attacked_block_needs_no_record() {
    let local = country("on").await;
    let phone = format!("{PUMPED}00001");
    let code = local.code(&phone, "192.0.2.9").await;
    assert_eq!(local.check(&phone, &code).await, "approved");
    pump(&local, PUMPED, 100).await;
    local.clock.advance_seconds(60);
    assert_eq!(outcome(&local.send(&phone, "192.0.2.9").await), "sent");
}

#[tokio::test]
async fn when_the_attack_is_over_the_block_is_open_again() {
    let local = country("on").await;
    pump(&local, PUMPED, 100).await;
    let phone = format!("{PUMPED}09999");
    assert_eq!(outcome(&local.send(&phone, "192.0.2.9").await), "block_record");
    // The country's window has moved on, so no record is needed.
    local.clock.advance_seconds(30 * 3600);
    assert_eq!(outcome(&local.send(&phone, "192.0.2.9").await), "sent");
}

#[tokio::test]
async fn an_observed_record_refuses_nothing_and_one_that_is_off_keeps_nothing() {
    for (mode, blocks) in [("observe", 2), ("off", 0)] {
        let local = country(mode).await;
        let (sent, refused) = pump(&local, PUMPED, 101).await;
        assert_eq!((sent, outcome(&Ok(refused))), (100, "country_limit"), "{mode}");
        assert_eq!(items(&local, "block#").await.len(), blocks, "{mode}");
    }
}

#[tokio::test]
async fn with_a_country_limit_that_only_observes_the_record_refuses_nothing_either() {
    let local = start([
        ("RANGE_LIMIT", "off"),
        ("NETWORK_LIMIT", "off"),
        ("IP_LIMIT", "off"),
        ("COUNTRY_LIMIT", "observe 5/1d"),
    ])
    .await;
    for n in 0..30 {
        assert_eq!(outcome(&local.send(&format!("{PUMPED}{n:05}"), "203.0.113.7").await), "sent");
    }
}

#[tokio::test]
async fn a_message_that_twilio_never_took_is_in_no_record() {
    // Twilio's test sender that it refuses with 21212, which can't depend on the recipient.
    let local = start([("TWILIO_FROM", "+15005550001")]).await;
    assert_eq!(outcome(&local.send("+14155550123", "203.0.113.7").await), "TwilioUnavailable");
    assert!(items(&local, "block#").await.is_empty());
}

#[tokio::test]
async fn a_repeat_is_answered_and_an_opt_out_is_told_while_the_country_is_full() {
    let local = start([("COUNTRY_LIMIT", "1/1d")]).await;
    let first = json!({"phone_number": "+14155550123", "ip": "203.0.113.7", "idempotency_key": "first"});
    assert_eq!(outcome(&local.invoke(first.clone()).await), "sent");
    let repeat = serde_json::to_value(local.invoke(first).await.unwrap()).unwrap();
    assert_eq!((&repeat["status"], &repeat["replayed"]), (&json!("sent"), &json!(true)));
    local.text_in("+14155551100", "STOP", &crate::support::sid(1)).await;
    assert_eq!(outcome(&local.send("+14155551100", "203.0.113.8").await), "opted_out");
    assert_eq!(outcome(&local.send("+14155552100", "203.0.113.9").await), "country_limit");
    assert_eq!(local.texts().len(), 1);
}
