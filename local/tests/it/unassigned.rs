//! Numbers of ranges that are newer than the phone metadata.

use crate::support::{Local, items, outcome, start};
use fake_twilio::faults::NewFault;

const IP: &str = "203.0.113.7";

/// Twilio rejects the next message to this number.
fn rejects(local: &Local, number: &str, code: u32) {
    let fault = NewFault {
        kind: "twilio_error".to_owned(),
        number: Some(number.to_owned()),
        times: Some(1),
        code: Some(code),
        ..NewFault::default()
    };
    local.system.faults.add(fault).unwrap();
}

async fn send(local: &Local, number: &str, n: usize) -> String {
    outcome(&local.send(number, &format!("198.18.{n}.1")).await).to_owned()
}

#[tokio::test]
async fn a_number_newer_than_the_metadata_gets_a_code_and_is_approved() {
    let local = start([("ALLOWED_COUNTRIES", "US,CA,ZW,DE,EC,GE")]).await;
    for number in ["+16245552345", "+14365552345", "+263751973550", "+4915410392083", "+593932769102", "+995508885626"]
    {
        assert_eq!(outcome(&local.send(number, IP).await), "sent", "{number}");
        assert_eq!(local.check(number, &local.code_to(number)).await, "approved", "{number}");
        local.clock.advance_seconds(31);
        assert_eq!(outcome(&local.send(number, IP).await), "sent", "{number} is known now");
    }
}

#[tokio::test]
async fn the_ranges_that_nobody_knows_share_few_places() {
    let local = start([("BLOCK_RECORD", "off")]).await;
    for n in 0..10 {
        assert_eq!(send(&local, &format!("+1624555{n}345"), n).await, "sent", "{n}");
    }
    assert_eq!(send(&local, "+14365552345", 20).await, "country_limit");
    assert_eq!(send(&local, "+14155550123", 21).await, "sent", "a number of a known range");
    // Who verifies gives the place back.
    let first = "+16245550345";
    assert_eq!(local.check(first, &local.code_to(first)).await, "approved");
    assert_eq!(send(&local, "+14365552345", 22).await, "sent");
}

#[tokio::test]
async fn an_unknown_range_without_verified_codes_is_closed_before_its_places_are_used() {
    let local = start([]).await;
    for n in 0..6 {
        assert_eq!(send(&local, &format!("+1624555{n}345"), n).await, "sent", "{n}");
    }
    assert_eq!(send(&local, "+16245556345", 6).await, "block_record");
    assert_eq!(send(&local, "+14365552345", 7).await, "sent", "a range of another area");
}

#[tokio::test]
async fn a_number_that_twilio_does_not_know_closes_its_block_for_a_day() {
    let local = start([]).await;
    rejects(&local, "+16245552345", 21211);
    assert_eq!(send(&local, "+16245552345", 1).await, "rejected_by_twilio");
    let accepted = local.texts().len();
    for n in 0..5 {
        assert_eq!(send(&local, &format!("+162455523{n}0"), n + 2).await, "invalid_phone_number");
    }
    assert_eq!(local.texts().len(), accepted, "Twilio is not asked");
    assert_eq!(send(&local, "+16247772345", 10).await, "sent", "another block");
    local.clock.advance_seconds(24 * 3600);
    assert_eq!(send(&local, "+16245552345", 11).await, "sent");
}

#[tokio::test]
async fn only_an_unknown_number_closes_a_block() {
    let local = start([]).await;
    rejects(&local, "+14155552345", 21211);
    assert_eq!(send(&local, "+14155552345", 1).await, "rejected_by_twilio");
    assert_eq!(send(&local, "+14155552346", 2).await, "sent");
    // Any other refusal by Twilio says nothing about the neighbors.
    rejects(&local, "+16245552345", 30450);
    send(&local, "+16245552345", 3).await;
    assert_eq!(send(&local, "+16245552346", 4).await, "sent");
}

#[tokio::test]
async fn an_operator_vouches_for_a_prefix() {
    let local = start([("EXTRA_PREFIXES", "+1624")]).await;
    for n in 0..15 {
        assert_eq!(send(&local, &format!("+162455{n:02}345"), n).await, "sent", "{n}");
    }
    assert!(items(&local, "unassigned#").await.is_empty());
    assert_eq!(send(&local, "+14365552345", 20).await, "sent");
    assert_eq!(items(&local, "unassigned#").await.len(), 1);
}

#[tokio::test]
async fn a_number_of_an_unknown_range_needs_an_allowed_country_and_a_shape_that_can_be() {
    let local = start([]).await;
    for (number, reason) in [
        ("+263751973550", "country_not_allowed"),
        // Shapes that North America's plan does not have: no such area code, N11, no such exchange, toll-free.
        ("+11555552345", "invalid_phone_number"),
        ("+12915552345", "invalid_phone_number"),
        ("+16115552345", "invalid_phone_number"),
        ("+16241552345", "invalid_phone_number"),
        ("+18225552345", "invalid_phone_number"),
        // An exchange of the Bahamas that doesn't exist must not pass for a number of the US.
        ("+12425552345", "invalid_phone_number"),
        ("+1624555234", "invalid_phone_number"),
        ("+162455523456", "invalid_phone_number"),
    ] {
        assert_eq!(send(&local, number, 1).await, reason, "{number}");
    }
    let local = start([("ALLOWED_COUNTRIES", "GB")]).await;
    assert_eq!(send(&local, "+4407000000", 1).await, "invalid_phone_number");
    assert!(local.texts().is_empty());
}

#[tokio::test]
async fn an_unknown_range_is_priced_as_any_other_region() {
    let local = start([]).await;
    local.counted();
    assert_eq!(send(&local, "+16245552345", 1).await, "sent");
    assert_eq!(local.counted(), ["EstimatedSpend=0.05 Sent=1 Verified=0"]);
}
