//! Deliveries: whatever Twilio reports, however often and in whatever order, each message comes to one end and counts once.

use crate::support::{Local, items, outcome, sid, start};
use local::fixtures::{ACCOUNT_SID, AUTH_TOKEN, OUR_NUMBER};
use proptest::prelude::*;
use serde_json::Value;
use shared::twilio::form::Form;

const PHONE: &str = "+14155550123";

macro_rules! event {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("../../../events/", $name, ".json"))).unwrap()
    };
}

/// A status callback as Twilio's form has it.
pub fn status(sid: &str, status: &str, more: &[(&str, &str)]) -> Form {
    let form = [
        ("AccountSid", ACCOUNT_SID),
        ("From", OUR_NUMBER),
        ("MessageSid", sid),
        ("MessageStatus", status),
        ("SmsSid", sid),
        ("SmsStatus", status),
        ("To", PHONE),
    ];
    let replaced = |name: &str| more.iter().any(|(other, _)| *other == name);
    Form::from_pairs(form.into_iter().filter(|(name, _)| !replaced(name)).chain(more.iter().copied()))
}

async fn report(local: &Local, sid: &str, state: &str) -> i64 {
    local.report(AUTH_TOKEN, &status(sid, state, &[])).await
}

/// Where a message is in the table.
async fn settled(local: &Local, sid: &str) -> String {
    let items = items(local, &format!("delivery#{sid}")).await;
    assert_eq!(items.len(), 1);
    items[0]["status"].as_s().unwrap().clone()
}

#[tokio::test]
async fn in_every_order_a_message_ends_delivered_and_counts_once() {
    let local = start([]).await;
    let orders = [
        ["queued", "sent", "delivered"],
        ["queued", "delivered", "sent"],
        ["sent", "queued", "delivered"],
        ["sent", "delivered", "queued"],
        ["delivered", "queued", "sent"],
        ["delivered", "sent", "queued"],
    ];
    for (n, order) in orders.iter().enumerate() {
        let sid = sid(n as u64);
        for state in order {
            assert_eq!(report(&local, &sid, state).await, 204, "{order:?}: {state}");
        }
        assert_eq!(settled(&local, &sid).await, "delivered", "{order:?}");
        assert_eq!(local.counted(), ["Country=US Delivered=1"], "{order:?}");
    }
}

#[tokio::test]
async fn a_repeat_and_a_latecomer_have_no_effect() {
    let local = start([]).await;
    let undelivered = status(&sid(1), "undelivered", &[("ErrorCode", "30007")]);
    assert_eq!(local.report(AUTH_TOKEN, &undelivered).await, 204);
    assert_eq!(local.counted(), ["Country=US DeliveryErrors=1 ErrorCode=30007 Undelivered=1"]);
    let before = items(&local, "delivery#").await;
    for state in ["undelivered", "accepted", "sent", "delivered", "failed", "read"] {
        local.clock.advance_seconds(1);
        assert_eq!(report(&local, &sid(1), state).await, 204, "{state}");
        assert_eq!(local.counted(), <[String; 0]>::default(), "{state}");
    }
    assert_eq!(items(&local, "delivery#").await, before, "the end of a message is its end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reports_that_come_at_once_count_once() {
    let local = start([]).await;
    let form = status(&sid(1), "delivered", &[]);
    let other = status(&sid(1), "failed", &[("ErrorCode", "30003")]);
    let reports = (0..16).map(|n| local.report(AUTH_TOKEN, if n % 2 == 0 { &form } else { &other }));
    for answer in crate::support::interleaved(reports).await {
        assert_eq!(answer, 204);
    }
    assert_eq!(local.counted().len(), 1);
}

#[tokio::test]
async fn what_keeps_messages_from_arriving_is_counted_by_country_and_by_code() {
    let local = start([]).await;
    for (n, (state, code, to, counted)) in [
        ("undelivered", "30003", "+14165550123", "Country=CA DeliveryErrors=1 ErrorCode=30003 Undelivered=1"),
        ("undelivered", "30007", PHONE, "Country=US DeliveryErrors=1 ErrorCode=30007 Undelivered=1"),
        ("undelivered", "30008", PHONE, "Country=US DeliveryErrors=1 ErrorCode=30008 Undelivered=1"),
        ("failed", "30450", PHONE, "Country=US DeliveryErrors=1 ErrorCode=30450 Undelivered=1"),
        ("failed", "30453", "+447400123456", "Country=GB DeliveryErrors=1 ErrorCode=30453 Undelivered=1"),
        ("failed", "", "+881612345678", "Country=none Undelivered=1"),
        ("delivered", "", "whatsapp:+14155550123", "Country=none Delivered=1"),
        ("failed", "not a number", PHONE, "Country=US Undelivered=1"),
    ]
    .into_iter()
    .enumerate()
    {
        let form = status(&sid(n as u64), state, &[("ErrorCode", code), ("To", to)]);
        assert_eq!(local.report(AUTH_TOKEN, &form).await, 204);
        assert_eq!(local.counted(), [counted]);
    }
    for item in items(&local, "delivery#").await {
        let item = format!("{item:?}");
        assert!(!item.contains("155550") && !item.contains("165550"), "no number is kept: {item}");
        assert!(item.contains("expires_at"), "{item}");
    }
}

#[tokio::test]
async fn only_twilio_can_report_and_only_for_this_account() {
    let local = start([("PUBLIC_URL", "")]).await;
    let forged = delivery_status::handle(&local.system.delivery_status, event!("delivery-status-forged")).await;
    assert_eq!(forged.status_code, 403);
    assert_eq!(local.counted(), ["ForgedWebhooks=1"]);

    let local = start([]).await;
    let form = status(&sid(1), "delivered", &[]);
    assert_eq!(local.report("ffffffffffffffffffffffffffffffff", &form).await, 403);
    let other = status(&sid(1), "delivered", &[("AccountSid", "AC99999999999999999999999999999999")]);
    assert_eq!(local.report(AUTH_TOKEN, &other).await, 403);
    assert_eq!(local.counted(), ["ForgedWebhooks=1", "ForgedWebhooks=1"]);
    assert!(items(&local, "delivery#").await.is_empty());
}

#[tokio::test]
async fn the_events_of_the_repository_are_answered() {
    let local = start([("PUBLIC_URL", "")]).await;
    for event in [event!("delivery-status"), event!("delivery-status-late"), event!("delivery-status-undelivered")] {
        let answer = delivery_status::handle(&local.system.delivery_status, event).await;
        assert_eq!((answer.status_code, answer.body), (204, None));
    }
    assert_eq!(
        local.counted(),
        ["Country=US Delivered=1", "Country=US DeliveryErrors=1 ErrorCode=30007 Undelivered=1"],
        "the late one counts nothing"
    );
}

#[tokio::test]
async fn what_twilio_signed_but_is_no_status_is_a_400() {
    let local = start([]).await;
    for (form, reason) in [
        (status(&sid(1), "received", &[]), "incoming message"),
        (status(&sid(1), "", &[("SmsStatus", "received")]), "incoming message"),
        (status(&sid(1), "", &[]), "MessageStatus"),
        (status(&sid(1), "+14155550123", &[]), "lower-case letters"),
        (status("SM1", "sent", &[]), "32 hexadecimal"),
        (status("", "sent", &[]), "MessageSid"),
        (status(&sid(1), "sent", &[("AccountSid", "")]), "AccountSid"),
    ] {
        let (code, text) = local.reported(AUTH_TOKEN, &form).await;
        // An empty account is none of ours, before anything is read.
        let expected = if reason == "AccountSid" { 403 } else { 400 };
        assert_eq!(code, expected, "{reason}: {text}");
        assert!(expected == 403 || text.contains(reason), "{reason}: {text}");
    }
    assert!(items(&local, "delivery#").await.is_empty());
}

#[tokio::test]
async fn a_status_that_is_not_known_is_kept_and_neither_counts_nor_moves_its_message() {
    let local = start([]).await;
    for (n, order) in [
        ["sent", "partially_delivered", "delivered"],
        ["partially_delivered", "sent", "delivered"],
        ["sent", "delivered", "a_status_of_tomorrow"],
    ]
    .iter()
    .enumerate()
    {
        let sid = sid(n as u64);
        for state in order {
            assert_eq!(report(&local, &sid, state).await, 204, "{order:?}: {state}");
        }
        assert_eq!(settled(&local, &sid).await, "delivered", "{order:?}");
        let item = items(&local, &format!("delivery#{sid}")).await.remove(0);
        assert!(order.contains(&item["other_status"].as_s().unwrap().as_str()), "{order:?}");
        assert_eq!(local.counted(), ["Country=US Delivered=1"], "{order:?}");
    }
}

#[tokio::test]
async fn a_message_is_sent_with_the_address_for_its_reports_if_there_is_one() {
    const URL: &str = "https://sms.example.com/sms/status#rc=3&rp=all";
    for (setting, expected) in [("", None), (URL, Some(URL))] {
        let local = start([("STATUS_CALLBACK", setting)]).await;
        assert_eq!(outcome(&local.send(PHONE, "203.0.113.7").await), "sent");
        let parameters = local.system.twilio.messages().remove(0).parameters;
        let callback = parameters.iter().find(|(name, _)| name == "StatusCallback").map(|(_, url)| url.as_str());
        assert_eq!(callback, expected);
    }
}

/// All that Twilio says of a message, as it may happen to arrive.
fn reports() -> impl Strategy<Value = Vec<&'static str>> {
    const STATES: [&str; 7] = ["accepted", "queued", "sending", "sent", "delivered", "undelivered", "failed"];
    prop::collection::vec(prop::sample::select(&STATES[..]), 1..12)
}

#[test]
fn any_reports_in_any_order_count_the_first_end_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = runtime.block_on(start([]));
    let message = std::cell::Cell::new(0);
    let mut runner = prop::test_runner::TestRunner::new(ProptestConfig::with_cases(60));
    runner
        .run(&reports(), |states| {
            message.set(message.get() + 1);
            let sid = sid(message.get());
            runtime.block_on(async {
                for state in &states {
                    assert_eq!(report(&local, &sid, state).await, 204);
                }
                let first_end = states.iter().find(|state| ["delivered", "undelivered", "failed"].contains(state));
                let counted = local.counted();
                assert_eq!(counted.len(), usize::from(first_end.is_some()), "{states:?}: {counted:?}");
                if let Some(end) = first_end {
                    assert_eq!(settled(&local, &sid).await, **end, "{states:?}");
                    assert_eq!(counted[0].contains("Delivered=1"), *end == "delivered", "{states:?}: {counted:?}");
                }
            });
            Ok(())
        })
        .unwrap();
}
