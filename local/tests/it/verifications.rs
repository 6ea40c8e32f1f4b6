//! What an owner of a verification has that strangers don't: checks that nobody else uses up, and a lane of one's own.

use crate::support::{Local, outcome, start};
use check_code::answer::Answer;
use serde_json::{Value, json};
use shared::twilio::price::Dollars;
use std::sync::Arc;
use tokio::task::JoinSet;

const PHONE: &str = "+14155550123";
const IP: &str = "203.0.113.7";
const OTHER_IP: &str = "198.51.100.1";

/// Asks for a code, and returns it with the name of its verification.
async fn send(local: &Local, event: Value) -> (String, String) {
    let answer = local.invoke(event).await.unwrap();
    let send_code::answer::Answer::Sent { verification, .. } = answer else { panic!("{answer:?}") };
    (local.last_code(), verification)
}

async fn check(local: &Local, verification: &str, code: &str) -> &'static str {
    status(local.check_event(json!({"phone_number": PHONE, "verification": verification, "code": code})).await)
}

fn status(answer: Result<Answer, check_code::CheckCodeError>) -> &'static str {
    answer.map_or_else(|error| error.kind(), |answer| answer.status())
}

fn event() -> Value {
    json!({"phone_number": PHONE, "ip": IP})
}

#[tokio::test]
async fn one_stranger_with_any_number_of_checks_cannot_make_the_owners_code_fail() {
    let local = start([]).await;
    let (code, verification) = send(&local, event()).await;
    // Without the name of the verification, and with names of one's own: an older one, another phone's, a changed one.
    for _ in 0..30 {
        local.check(PHONE, "000000").await;
    }
    let (_, anothers) = send(&local, json!({"phone_number": "+14155550100", "ip": OTHER_IP})).await;
    let mut changed = verification.clone();
    changed.replace_range(10..11, if &changed[10..11] == "A" { "B" } else { "A" });
    for name in [&anothers, &changed, "vf_", "x"] {
        assert_eq!(check(&local, name, "000000").await, "InvalidRequest", "{name}");
    }
    assert_eq!(check(&local, &verification, &code).await, "approved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_strangers_at_once_cannot_make_the_owners_code_fail() {
    let local = Arc::new(start([]).await);
    let (code, verification) = send(&local, event()).await;
    let mut guesses = JoinSet::new();
    for n in 0..1000 {
        let local = local.clone();
        guesses.spawn(async move { local.check(PHONE, &format!("{n:010}")).await });
    }
    guesses.join_all().await;
    assert_eq!(check(&local, &verification, &code).await, "approved");
}

#[tokio::test]
async fn a_stranger_who_locks_the_checks_of_a_phone_does_not_keep_a_code_from_its_owner() {
    let local = start([]).await;
    send(&local, event()).await;
    for _ in 0..6 {
        local.check(PHONE, "000000").await;
    }
    assert_eq!(local.check(PHONE, "000000").await, "too_many_attempts");
    local.clock.advance_seconds(31);
    let (code, verification) = send(&local, event()).await;
    assert_eq!(check(&local, &verification, &code).await, "approved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_verification_has_five_failed_checks_in_all_however_many_come_at_once() {
    let local = Arc::new(start([]).await);
    let (code, verification) = send(&local, event()).await;
    let mut guesses = JoinSet::new();
    for n in 0..200 {
        let (local, verification) = (local.clone(), verification.clone());
        guesses.spawn(async move { check(&local, &verification, &format!("{n:010}")).await });
    }
    let incorrect = guesses.join_all().await.into_iter().filter(|status| *status == "incorrect").count();
    assert_eq!(incorrect, 5);
    assert_eq!(check(&local, &verification, &code).await, "too_many_attempts", "the right one is not compared");

    // Another code within the verification resets nothing; a new verification has five of its own.
    local.clock.advance_seconds(31);
    let (code, same) = send(&local, json!({"phone_number": PHONE, "ip": IP, "verification": verification})).await;
    assert_eq!(same, verification);
    assert_eq!(check(&local, &verification, &code).await, "too_many_attempts");
    local.clock.advance_seconds(31);
    let (code, fresh) = send(&local, event()).await;
    assert_ne!(fresh, verification);
    assert_eq!(check(&local, &fresh, &code).await, "approved");
}

#[tokio::test]
async fn a_verification_compares_all_its_live_codes_and_no_others() {
    let local = start([]).await;
    let (first, verification) = send(&local, event()).await;
    local.clock.advance_seconds(31);
    let (_, same) = send(&local, json!({"phone_number": PHONE, "ip": IP, "verification": verification})).await;
    assert_eq!(same, verification);
    local.clock.advance_seconds(31);
    let (others, another) = send(&local, json!({"phone_number": PHONE, "ip": OTHER_IP})).await;
    assert_eq!(check(&local, &verification, &others).await, "incorrect", "a code of another verification");
    assert_eq!(check(&local, &verification, &first).await, "approved", "people type the older SMS");
    assert_eq!(check(&local, &another, &others).await, "expired", "an approval voids all codes of the phone");
}

#[tokio::test]
async fn an_attempt_without_a_live_code_does_not_count() {
    let local = start([]).await;
    let (code, verification) = send(&local, event()).await;
    assert_eq!(check(&local, &verification, &code).await, "approved");
    for _ in 0..10 {
        assert_eq!(check(&local, &verification, &code).await, "expired", "a double submit locks nobody out");
        assert_eq!(local.check(PHONE, &code).await, "expired");
    }
    local.clock.advance_seconds(31);
    let (code, _) = send(&local, event()).await;
    assert_eq!(local.check(PHONE, &code).await, "approved");
}

#[tokio::test]
async fn an_approval_releases_every_send_of_its_phone_once() {
    let limits = [
        ("PHONE_LIMIT", "80/1h"),
        ("IP_LIMIT", "3/1h"),
        ("RANGE_LIMIT", "3/1h"),
        ("COUNTRY_LIMIT", "3/1d"),
        ("KNOWN_FOR", "off"),
    ];
    let local = start(limits).await;
    for _ in 0..3 {
        let (_, verification) = send(&local, event()).await;
        local.clock.advance_seconds(31);
        let again = json!({"phone_number": PHONE, "ip": IP, "verification": verification});
        let (code, _) = send(&local, again).await;
        assert_eq!(check(&local, &verification, &code).await, "approved");
        local.clock.advance_seconds(1800);
    }
    // All places are free again: three other phones of the range, and no more.
    let mut sent = 0;
    for n in 0..5 {
        let event = json!({"phone_number": format!("+141555501{n:02}"), "ip": IP});
        sent += usize::from(outcome(&local.invoke(event).await) == "sent");
    }
    assert_eq!(sent, 3);
}

#[tokio::test]
async fn a_code_whose_first_sms_expired_still_releases_that_send() {
    let local = start([("IP_LIMIT", "2/1h"), ("KNOWN_FOR", "off")]).await;
    let (_, verification) = send(&local, event()).await;
    local.clock.advance_seconds(660);
    let again = json!({"phone_number": PHONE, "ip": IP, "verification": verification});
    let (code, _) = send(&local, again).await;
    assert_eq!(check(&local, &verification, &code).await, "approved");
    for phone in ["+14155550100", "+14155550101"] {
        assert_eq!(outcome(&local.send(phone, IP).await), "sent");
    }
}

/// Strangers fill the range and the country, as pumping does.
async fn fill(local: &Local) {
    for n in 0..6 {
        local.send(&format!("+141555501{n:02}"), &format!("198.51.100.{n}")).await.unwrap();
    }
}

#[tokio::test]
async fn a_known_number_gets_a_code_while_range_and_country_are_full() {
    let local = start([("RANGE_LIMIT", "3/1d"), ("COUNTRY_LIMIT", "4/1d"), ("PHONE_LIMIT", "10/1h")]).await;
    let (code, verification) = send(&local, event()).await;
    assert_eq!(check(&local, &verification, &code).await, "approved");
    fill(&local).await;
    assert_eq!(outcome(&local.send("+14155550177", OTHER_IP).await), "range_limit", "a stranger");
    // Three in a row that are not verified, then it queues with strangers.
    for _ in 0..3 {
        assert_eq!(outcome(&local.send(PHONE, OTHER_IP).await), "sent");
    }
    assert_eq!(outcome(&local.send(PHONE, OTHER_IP).await), "range_limit");
}

#[tokio::test]
async fn known_numbers_take_no_places_from_strangers_and_have_a_counter_of_their_own() {
    let local = start([("RANGE_LIMIT", "2/1d"), ("COUNTRY_LIMIT", "2/1d"), ("PHONE_LIMIT", "10/1h")]).await;
    let mut codes = Vec::new();
    for phone in [PHONE, "+14155550199", "+14155550198"] {
        let (code, verification) = send(&local, json!({"phone_number": phone, "ip": IP})).await;
        let event = json!({"phone_number": phone, "verification": verification, "code": code});
        assert_eq!(status(local.check_event(event).await), "approved");
        codes.push(phone);
    }
    assert_eq!(outcome(&local.send(codes[0], IP).await), "sent");
    assert_eq!(outcome(&local.send(codes[1], IP).await), "sent");
    assert_eq!(outcome(&local.send(codes[2], IP).await), "country_limit", "the counter of known numbers is full");
    for phone in ["+14155550100", "+14155550101"] {
        assert_eq!(outcome(&local.send(phone, IP).await), "sent", "the strangers' places are all free");
    }
}

#[tokio::test]
async fn a_number_is_known_for_so_long_and_no_longer() {
    let local = start([("RANGE_LIMIT", "1/1d"), ("KNOWN_FOR", "10d"), ("PHONE_LIMIT", "10/1h")]).await;
    let (code, verification) = send(&local, event()).await;
    assert_eq!(check(&local, &verification, &code).await, "approved");
    local.clock.advance_seconds(10 * 86_400 - 60);
    assert_eq!(outcome(&local.send("+14155550100", OTHER_IP).await), "sent");
    assert_eq!(outcome(&local.send(PHONE, IP).await), "sent");
    local.clock.advance_seconds(61);
    assert_eq!(outcome(&local.send(PHONE, IP).await), "range_limit");
}

#[tokio::test]
async fn a_trusted_send_has_a_log_of_its_own_that_strangers_do_not_fill() {
    let local = start([("PHONE_LIMIT", "2/1h"), ("RANGE_LIMIT", "9/1d"), ("TOTAL_LIMIT", "4/1d")]).await;
    for ip in [IP, OTHER_IP] {
        assert_eq!(outcome(&local.send(PHONE, ip).await), "sent", "a stranger uses up the phone");
    }
    assert_eq!(outcome(&local.send(PHONE, IP).await), "phone_limit");
    let trusted = json!({"phone_number": PHONE, "ip": IP, "trusted": true});
    let (code, verification) = send(&local, trusted.clone()).await;
    assert_eq!(check(&local, &verification, &code).await, "approved");
    assert_eq!(outcome(&local.invoke(trusted.clone()).await), "sent");
    assert_eq!(outcome(&local.invoke(trusted).await), "phone_limit", "the owner's own log has the same limit");
    let other = json!({"phone_number": "+14155550100", "ip": IP, "trusted": true});
    assert_eq!(outcome(&local.invoke(other).await), "total_limit", "the cap on the bill holds for all");
}

#[tokio::test]
async fn a_send_under_way_that_an_approval_released_is_not_released_twice() {
    let local = start([("COUNTRY_LIMIT", "2/1d"), ("KNOWN_FOR", "off"), ("RANGE_LIMIT", "off")]).await;
    let table = &local.system.send_code.table;
    let limits = &local.system.send_code.settings.limits;
    let (code, verification) = send(&local, event()).await;
    local.clock.advance_seconds(31);
    let phone = shared::phone::number::PhoneNumber::parse(PHONE).unwrap();
    let ip = shared::runtime::ip::ClientIp::parse(IP).unwrap();
    let now_ms = local.clock.now_ms();
    let under_way = shared::store::admission::SendRequest {
        phone: &phone,
        ip: &ip,
        idempotency_key: &"k".parse().unwrap(),
        code: &"777777".parse().unwrap(),
        verification: &table.find_verification(PHONE, &verification).unwrap(),
        trusted: false,
        is_unassigned: false,
        price: Dollars::default(),
        fingerprint: "",
    };
    let decision = table.admit(under_way, limits, now_ms).await.unwrap();
    let shared::store::admission::Decision::Admitted(admission) = decision else { panic!("{decision:?}") };
    assert_eq!(check(&local, &verification, &code).await, "approved");
    // Twilio did not take the message, so send-code releases it as well.
    table.release(*admission, limits, now_ms).await.unwrap();
    let mut sent = 0;
    for n in 0..4 {
        let event = json!({"phone_number": format!("+141555501{n:02}"), "ip": OTHER_IP});
        sent += usize::from(outcome(&local.invoke(event).await) == "sent");
    }
    assert_eq!(sent, 2, "exactly the two places of the country");
}

#[tokio::test]
async fn an_approval_gives_no_end_to_an_opt_out() {
    let local = start([]).await;
    let (code, verification) = send(&local, event()).await;
    local.text_in(PHONE, "STOP", &crate::support::sid(1)).await;
    assert_eq!(check(&local, &verification, &code).await, "approved");
    let phone = crate::support::items(&local, "phone#").await.remove(0);
    assert!(phone.contains_key("opted_out") && !phone.contains_key("expires_at"), "{:?}", phone.keys());
    assert_eq!(outcome(&local.send(PHONE, IP).await), "opted_out");
}

#[tokio::test]
async fn a_known_number_does_not_free_anybody_of_the_ip_limit() {
    let local = start([("IP_LIMIT", "2/1h"), ("PHONE_LIMIT", "9/1h")]).await;
    for phone in [PHONE, "+14155550100"] {
        let (code, verification) = send(&local, json!({"phone_number": phone, "ip": OTHER_IP})).await;
        let event = json!({"phone_number": phone, "verification": verification, "code": code});
        assert_eq!(status(local.check_event(event).await), "approved");
    }
    assert_eq!(outcome(&local.send("+14155550177", IP).await), "sent");
    assert_eq!(outcome(&local.send(PHONE, IP).await), "sent");
    // Known and unknown numbers are refused alike, so nobody learns which is which.
    for phone in [PHONE, "+14155550100", "+14155550199"] {
        assert_eq!(outcome(&local.send(phone, IP).await), "ip_limit");
    }
}

#[tokio::test]
async fn a_setting_that_knows_no_number_holds_at_once() {
    let local = start([("RANGE_LIMIT", "1/1d"), ("PHONE_LIMIT", "9/1h")]).await;
    let (code, verification) = send(&local, event()).await;
    assert_eq!(check(&local, &verification, &code).await, "approved");
    assert_eq!(outcome(&local.send("+14155550100", OTHER_IP).await), "sent");
    assert_eq!(outcome(&local.send(PHONE, IP).await), "sent", "it is known");
    let (table, limits) = (&local.system.send_code.table, &local.system.send_code.settings.limits);
    let off = shared::store::send_limits::SendLimits { known_for: None, ..limits.clone() };
    let decision = admit(&local, table, &off, "1").await;
    assert!(matches!(decision, shared::store::admission::Decision::LimitReached(_)), "{decision:?}");
}

async fn admit(
    local: &Local,
    table: &shared::store::table::Table,
    limits: &shared::store::send_limits::SendLimits,
    key: &str,
) -> shared::store::admission::Decision {
    let request = shared::store::admission::SendRequest {
        phone: &shared::phone::number::PhoneNumber::parse(PHONE).unwrap(),
        ip: &shared::runtime::ip::ClientIp::parse(IP).unwrap(),
        idempotency_key: &key.parse().unwrap(),
        code: &"777777".parse().unwrap(),
        verification: &table.start_verification(PHONE, local.clock.now_ms(), getrandom::fill).unwrap(),
        trusted: false,
        is_unassigned: false,
        price: Dollars::default(),
        fingerprint: "",
    };
    table.admit(request, limits, local.clock.now_ms()).await.unwrap()
}

#[tokio::test]
async fn the_same_code_sent_again_is_approved_once() {
    let local = start([("KNOWN_FOR", "off")]).await;
    let mut verification = Value::Null;
    for _ in 0..2 {
        let event = json!({"phone_number": PHONE, "ip": IP, "code": "493027", "verification": verification});
        verification = send(&local, event).await.1.into();
        local.clock.advance_seconds(31);
    }
    let name = verification.as_str().unwrap();
    assert_eq!(check(&local, name, "493027").await, "approved");
    assert_eq!(check(&local, name, "493027").await, "expired");
}

#[tokio::test]
async fn strangers_do_not_push_an_owners_code_out() {
    let local = start([("PHONE_LIMIT", "1/10m"), ("RANGE_LIMIT", "off")]).await;
    let (code, verification) = send(&local, json!({"phone_number": PHONE, "ip": IP, "trusted": true})).await;
    assert_eq!(outcome(&local.send(PHONE, OTHER_IP).await), "sent");
    assert_eq!(check(&local, &verification, &code).await, "approved");
}
