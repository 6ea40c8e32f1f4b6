//! A way in when the gate is shut: the user texts us.

use crate::support::{Local, items, outcome, sid, start};
use check_code::answer::Answer as Check;
use local::fixtures::OUR_NUMBER;
use send_code::alternatives::Alternative;
use send_code::answer::Answer;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::task::JoinSet;

const PHONE: &str = "+14155550123";
const OTHERS: &str = "+14155550199";
const IP: &str = "203.0.113.7";

/// A country that is full after one stranger, and a user whom that keeps out.
const FULL: [(&str, &str); 3] = [("COUNTRY_LIMIT", "1/1d"), ("BLOCK_RECORD", "off"), ("IP_LIMIT", "off")];

async fn full(mode: &'static str) -> Local {
    let [country, record, ip] = FULL;
    let local = start([country, record, ip, ("TEXT_TO_VERIFY", mode), ("APP_DOMAIN", "example.com")]).await;
    assert_eq!(outcome(&local.send("+14155559999", "198.51.100.1").await), "sent");
    local
}

/// What a refused user can text, and for which verification.
struct Offer {
    body: String,
    verification: String,
}

impl Offer {
    fn of(alternatives: &[Alternative]) -> Option<Self> {
        let Alternative::TextToVerify { body, verification, .. } = alternatives.first()?;
        Some(Self { body: body.clone(), verification: verification.clone() })
    }
}

async fn refused(local: &Local, event: Value, reason: &str) -> Option<Offer> {
    match local.invoke(event).await.unwrap() {
        Answer::Refused(refused) => {
            assert_eq!(refused.reason(), reason);
            Offer::of(&refused.alternatives)
        }
        answer => panic!("{answer:?}"),
    }
}

async fn offered(local: &Local, phone: &str) -> Offer {
    refused(local, json!({"phone_number": phone, "ip": IP}), "country_limit").await.unwrap()
}

async fn asked(local: &Local, phone: &str, verification: &str) -> Check {
    local.check_event(json!({"phone_number": phone, "verification": verification})).await.unwrap()
}

async fn poll(local: &Local, phone: &str, offer: &Offer) -> &'static str {
    asked(local, phone, &offer.verification).await.status()
}

async fn typed(local: &Local, phone: &str, offer: &Offer, code: &str) -> &'static str {
    let event = json!({"phone_number": phone, "verification": offer.verification, "code": code});
    local.check_event(event).await.map_or_else(|error| error.kind(), |answer| answer.status())
}

/// Texts this, and returns the reply, which is empty if there is none.
async fn text(local: &Local, from: &str, body: &str, n: u64) -> String {
    let (status, twiml) = local.text_in(from, body, &sid(n)).await;
    assert_eq!(status, 200);
    twiml.split_once("<Message>").map_or("", |(_, rest)| rest).split("</Message>").next().unwrap_or("").to_owned()
}

fn code_in(reply: &str) -> String {
    reply.split("\n\n").next().unwrap().chars().filter(char::is_ascii_digit).collect()
}

#[tokio::test]
async fn whoever_a_full_country_keeps_out_gets_in_by_a_text_and_nothing_is_sent() {
    let local = full("direct").await;
    let event = json!({"phone_number": PHONE, "ip": IP});
    let Answer::Refused(refused) = local.invoke(event).await.unwrap() else { panic!() };
    let answer = serde_json::to_value(Answer::from(refused.clone())).unwrap();
    let alternative = &answer["alternatives"][0];
    assert_eq!(
        (&alternative["type"], &alternative["to"], &alternative["expires_in"]),
        (&json!("text_to_verify"), &json!(OUR_NUMBER), &json!(600))
    );
    let offer = Offer::of(&refused.alternatives).unwrap();
    assert!(offer.body.starts_with("Verify example.com: "), "{}", offer.body);
    let link = alternative["sms_link"].as_str().unwrap();
    assert!(link.starts_with(&format!("sms:{OUR_NUMBER}?body=Verify%20example%2Ecom%3A%20")), "{link}");

    let sent = local.texts().len();
    assert_eq!(poll(&local, PHONE, &offer).await, "pending");
    assert_eq!(text(&local, PHONE, &offer.body, 1).await, "");
    let answer = serde_json::to_value(asked(&local, PHONE, &offer.verification).await).unwrap();
    assert_eq!(answer, json!({"status": "approved", "assurance": "sender"}));
    assert_eq!(poll(&local, PHONE, &offer).await, "expired", "an approval is said once");
    assert_eq!(local.texts().len(), sent);
}

#[tokio::test]
async fn with_the_country_full_a_hundred_of_a_hundred_new_users_get_in() {
    let local = full("direct").await;
    for n in 0..100 {
        let (phone, ip) = (format!("+1415556{n:04}"), format!("198.18.{n}.1"));
        let event = json!({"phone_number": phone, "ip": ip});
        let offer = refused(&local, event, "country_limit").await.unwrap();
        text(&local, &phone, &offer.body, n).await;
        assert_eq!(poll(&local, &phone, &offer).await, "approved", "{n}");
    }
}

#[tokio::test]
async fn in_confirm_mode_the_text_is_answered_with_a_code_that_is_checked_as_any_other() {
    let local = full("confirm").await;
    let offer = offered(&local, PHONE).await;
    let reply = text(&local, PHONE, &offer.body, 1).await;
    assert!(reply.starts_with("Your verification code is: ") && reply.contains("@example.com #"), "{reply}");
    assert_eq!(text(&local, PHONE, &offer.body, 1).await, reply, "Twilio's repeat gets the same answer");
    assert_eq!(poll(&local, PHONE, &offer).await, "pending", "the text alone approves nothing");
    for _ in 0..4 {
        assert_eq!(typed(&local, PHONE, &offer, "0000000000").await, "incorrect");
    }
    assert_eq!(typed(&local, PHONE, &offer, &code_in(&reply)).await, "approved");
    assert_eq!(typed(&local, PHONE, &offer, &code_in(&reply)).await, "expired");
    assert_eq!(poll(&local, PHONE, &offer).await, "expired");
    // A code that was received proves the phone: its number is known, so that strangers don't keep it out any more.
    assert_eq!(outcome(&local.send(PHONE, IP).await), "sent");
}

#[tokio::test]
async fn the_code_of_a_text_has_five_guesses_and_ends() {
    let local = full("confirm").await;
    let offer = offered(&local, PHONE).await;
    let code = code_in(&text(&local, PHONE, &offer.body, 1).await);
    for _ in 0..5 {
        assert_eq!(typed(&local, PHONE, &offer, "0000000000").await, "incorrect");
    }
    assert_eq!(typed(&local, PHONE, &offer, &code).await, "too_many_attempts");

    let late = offered(&local, OTHERS).await;
    let code = code_in(&text(&local, OTHERS, &late.body, 2).await);
    local.clock.advance_seconds(601);
    assert_eq!(typed(&local, OTHERS, &late, &code).await, "expired");
}

#[tokio::test]
async fn a_text_without_a_place_for_its_reply_leaves_the_offer_open() {
    let local = start([("PHONE_LIMIT", "1/1d"), ("TEXT_TO_VERIFY", "confirm"), ("REPLY_LIMIT", "1/5m")]).await;
    let event = json!({"phone_number": PHONE, "ip": IP});
    assert_eq!(outcome(&local.send(PHONE, IP).await), "sent");
    let offer = refused(&local, event, "phone_limit").await.unwrap();
    assert_ne!(text(&local, PHONE, "hello", 1).await, "");
    assert_eq!(text(&local, PHONE, &offer.body, 2).await, "");
    local.clock.advance_seconds(301);
    let code = code_in(&text(&local, PHONE, &offer.body, 3).await);
    assert_eq!(typed(&local, PHONE, &offer, &code).await, "approved");
}

#[tokio::test]
async fn in_confirm_mode_whoever_texts_gets_one_sms_for_each_that_they_paid_for_and_no_more_than_the_limits_allow() {
    let local = full("confirm").await;
    let mut replies = 0;
    for n in 0..40 {
        let phone = format!("+14155557{n:03}");
        let event = json!({"phone_number": phone, "ip": format!("198.18.{n}.1")});
        let offer = refused(&local, event, "country_limit").await.unwrap();
        for again in 0..3 {
            replies += u64::from(!code_in(&text(&local, &phone, &offer.body, n * 3 + again).await).is_empty());
        }
    }
    // One of the country's replies; the thank-you of an ordinary message has no code.
    assert_eq!(replies, 1);
}

#[tokio::test]
async fn only_the_number_itself_can_text_for_its_verification() {
    let local = full("direct").await;
    let offer = offered(&local, PHONE).await;
    for (n, from) in [OTHERS, "whatsapp:+14155550123", "rcs:+14155550123", "12345", "ACME"].into_iter().enumerate() {
        let (status, _) = local.text_in(from, &offer.body, &sid(n as u64)).await;
        assert_eq!(status, 200, "an ordinary message from {from}");
        assert_eq!(poll(&local, PHONE, &offer).await, "pending", "{from}");
    }
    assert_eq!(items(&local, "message#").await.len(), 5);
    let (status, _) = local.webhook(&"f".repeat(32), &crate::support::message(PHONE, &offer.body, &sid(9))).await;
    assert_eq!(status, 403, "a forged webhook");
    assert_eq!(poll(&local, PHONE, &offer).await, "pending");
}

#[tokio::test]
async fn two_sessions_of_one_phone_have_phrases_of_their_own() {
    let local = full("direct").await;
    let (owners, strangers) = (offered(&local, PHONE).await, offered(&local, PHONE).await);
    assert_ne!(owners.body, strangers.body);
    text(&local, PHONE, &owners.body, 1).await;
    assert_eq!(poll(&local, PHONE, &strangers).await, "pending", "the owner's text proves the owner's session");
    assert_eq!(poll(&local, PHONE, &owners).await, "approved");
}

#[tokio::test]
async fn a_phrase_counts_once_however_often_it_is_texted_and_asked_for() {
    let local = Arc::new(full("direct").await);
    let offer = offered(&local, PHONE).await;
    text(&local, PHONE, &offer.body, 1).await;
    text(&local, PHONE, &offer.body, 1).await;
    let mut polls = JoinSet::new();
    for _ in 0..20 {
        let (local, verification) = (local.clone(), offer.verification.clone());
        polls.spawn(async move { asked(&local, PHONE, &verification).await.status() });
    }
    let polls = polls.join_all().await;
    assert_eq!(polls.iter().filter(|status| **status == "approved").count(), 1, "{polls:?}");
    // A replayed webhook, and a second text, are ordinary messages.
    text(&local, PHONE, &offer.body, 1).await;
    assert_eq!(text(&local, PHONE, &offer.body, 2).await, "Thanks for your message!");
    assert_eq!(poll(&local, PHONE, &offer).await, "expired");
    // The app may ask for another within the same verification; then it is a new one.
    let event = json!({"phone_number": PHONE, "ip": IP, "verification": offer.verification});
    let next = refused(&local, event, "country_limit").await.unwrap();
    assert_ne!((&next.verification, &next.body), (&offer.verification, &offer.body));
    assert_eq!(poll(&local, PHONE, &next).await, "pending");
}

#[tokio::test]
async fn a_guessed_or_mistyped_phrase_is_an_ordinary_message() {
    let local = full("direct").await;
    let offer = offered(&local, PHONE).await;
    let number = offer.body.rsplit(' ').next().unwrap();
    let other = if number == "10" { "11" } else { "10" };
    let wrong = offer.body.replace(number, other);
    assert_eq!(text(&local, PHONE, &wrong, 1).await, "Thanks for your message!");
    text(&local, PHONE, "maple otter", 2).await;
    assert_eq!(poll(&local, PHONE, &offer).await, "pending");
    let words = offer.body.trim_start_matches("Verify example.com: ").to_uppercase().replace(' ', "-");
    assert_eq!(text(&local, PHONE, &format!("> {words}.\nhere"), 3).await, "");
    assert_eq!(poll(&local, PHONE, &offer).await, "approved");
}

#[tokio::test]
async fn an_offer_ends_after_ten_minutes_and_so_does_its_approval() {
    let local = full("direct").await;
    let offer = offered(&local, PHONE).await;
    local.clock.advance_seconds(599);
    text(&local, PHONE, &offer.body, 1).await;
    local.clock.advance_seconds(599);
    assert_eq!(poll(&local, PHONE, &offer).await, "approved");

    let late = offered(&local, OTHERS).await;
    local.clock.advance_seconds(600);
    assert_eq!(text(&local, OTHERS, &late.body, 2).await, "Thanks for your message!");
    assert_eq!(poll(&local, OTHERS, &late).await, "expired");

    let forgotten = offered(&local, OTHERS).await;
    text(&local, OTHERS, &forgotten.body, 3).await;
    local.clock.advance_seconds(600);
    assert_eq!(poll(&local, OTHERS, &forgotten).await, "expired");
}

#[tokio::test]
async fn a_stop_beside_the_phrase_is_a_stop() {
    let local = full("direct").await;
    for (n, decorate) in
        [("STOP ", ""), ("", " stop"), ("Please stop!\n", ""), ("", "\nunsubscribe")].into_iter().enumerate()
    {
        let offer = offered(&local, PHONE).await;
        assert_eq!(text(&local, PHONE, &format!("{}{}{}", decorate.0, offer.body, decorate.1), n as u64).await, "");
        assert_eq!(poll(&local, PHONE, &offer).await, "pending");
        assert_eq!(outcome(&local.send(PHONE, IP).await), "opted_out");
        text(&local, PHONE, "START", 100 + n as u64).await;
    }
}

#[tokio::test]
async fn a_verification_is_approved_by_its_code_or_by_its_text_and_never_twice() {
    let settings = [("PHONE_LIMIT", "1/1h"), ("TEXT_TO_VERIFY", "direct")];
    for text_first in [true, false] {
        let local = start(settings).await;
        let event = json!({"phone_number": PHONE, "ip": IP});
        let Answer::Sent { verification, .. } = local.invoke(event).await.unwrap() else { panic!() };
        let code = local.code_to(PHONE);
        let event = json!({"phone_number": PHONE, "ip": IP, "verification": verification});
        let offer = refused(&local, event, "phone_limit").await.unwrap();
        assert_eq!(offer.verification, verification);
        if text_first {
            text(&local, PHONE, &offer.body, 1).await;
            assert_eq!(poll(&local, PHONE, &offer).await, "approved");
            assert_eq!(typed(&local, PHONE, &offer, &code).await, "expired");
        } else {
            assert_eq!(typed(&local, PHONE, &offer, &code).await, "approved");
            assert_eq!(text(&local, PHONE, &offer.body, 1).await, "Thanks for your message!");
            assert_eq!(poll(&local, PHONE, &offer).await, "expired");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_code_and_a_text_that_race_approve_once() {
    for round in 0..10 {
        let local = Arc::new(start([("PHONE_LIMIT", "1/1h"), ("TEXT_TO_VERIFY", "direct")]).await);
        let event = json!({"phone_number": PHONE, "ip": IP});
        let Answer::Sent { verification, .. } = local.invoke(event).await.unwrap() else { panic!() };
        let code = local.code_to(PHONE);
        let event = json!({"phone_number": PHONE, "ip": IP, "verification": verification});
        let offer = Arc::new(refused(&local, event, "phone_limit").await.unwrap());
        text(&local, PHONE, &offer.body, 1).await;
        let mut checks = JoinSet::new();
        for n in 0..4 {
            let (local, offer, code) = (local.clone(), offer.clone(), code.clone());
            checks.spawn(async move {
                if n % 2 == 0 { poll(&local, PHONE, &offer).await } else { typed(&local, PHONE, &offer, &code).await }
            });
        }
        let checks = checks.join_all().await;
        assert_eq!(checks.iter().filter(|status| **status == "approved").count(), 1, "round {round}: {checks:?}");
    }
}

#[tokio::test]
async fn a_forged_sender_gains_no_sms() {
    let local = full("direct").await;
    // The owner of these numbers can't read SMS on them, but forges texts from them.
    for n in 0..20 {
        let phone = format!("+14155558{n:03}");
        let event = json!({"phone_number": phone, "ip": format!("198.18.{n}.1")});
        let offer = refused(&local, event, "country_limit").await.unwrap();
        text(&local, &phone, &offer.body, n).await;
        assert_eq!(poll(&local, &phone, &offer).await, "approved");
        // The number is not known now, and nothing was given back: the country is as full as before.
        assert_eq!(outcome(&local.send(&phone, IP).await), "country_limit");
    }
    assert_eq!(local.texts().iter().filter(|text| text.starts_with("Your verification")).count(), 1);
}

#[tokio::test]
async fn a_refusal_that_a_text_does_not_help_offers_none() {
    let local = start([("TEXT_TO_VERIFY", "direct"), ("BLOCKED_PREFIXES", "+1907")]).await;
    for (phone, reason, offers) in [
        ("+447911123456", "country_not_allowed", true),
        ("+19075550123", "prefix_blocked", false),
        ("+18005550123", "number_type_not_allowed", false),
        ("+1415", "invalid_phone_number", false),
    ] {
        let offer = refused(&local, json!({"phone_number": phone, "ip": IP}), reason).await;
        assert_eq!(offer.is_some(), offers, "{phone}");
    }
    text(&local, PHONE, "STOP", 1).await;
    assert!(refused(&local, json!({"phone_number": PHONE, "ip": IP}), "opted_out").await.is_none());

    // A reply to a closed country would not be sent.
    let local = start([("TEXT_TO_VERIFY", "confirm")]).await;
    let event = json!({"phone_number": "+447911123456", "ip": IP});
    assert!(refused(&local, event.clone(), "country_not_allowed").await.is_none());
    let event = json!({"phone_number": "+447911123456", "ip": IP, "channel": "text_to_verify"});
    assert!(refused(&local, event, "country_not_allowed").await.is_none());

    let local = start([("COUNTRY_LIMIT", "1/1d"), ("BLOCK_RECORD", "off")]).await;
    assert_eq!(outcome(&local.send(OTHERS, IP).await), "sent");
    let event = json!({"phone_number": PHONE, "ip": IP});
    assert!(refused(&local, event, "country_limit").await.is_none(), "it is off by default");
    let event = json!({"phone_number": PHONE, "ip": IP, "channel": "text_to_verify"});
    assert_eq!(local.invoke(event).await.unwrap_err().kind(), "InvalidRequest");
}

#[tokio::test]
async fn a_user_can_ask_to_text_at_once() {
    let local = start([("TEXT_TO_VERIFY", "direct")]).await;
    let event = json!({"phone_number": PHONE, "ip": IP, "channel": "text_to_verify"});
    let Answer::Offered { alternatives } = local.invoke(event).await.unwrap() else { panic!() };
    let offer = Offer::of(&alternatives).unwrap();
    assert!(local.texts().is_empty());
    text(&local, PHONE, &offer.body, 1).await;
    assert_eq!(poll(&local, PHONE, &offer).await, "approved");
    for (channel, kind) in [(json!("voice"), "InvalidRequest"), (json!(1), "InvalidRequest")] {
        let event = json!({"phone_number": PHONE, "ip": IP, "channel": channel});
        assert_eq!(local.invoke(event).await.unwrap_err().kind(), kind);
    }
    let without_code = json!({"phone_number": PHONE});
    assert_eq!(local.check_event(without_code).await.unwrap_err().kind(), "InvalidRequest");
}

#[tokio::test]
async fn one_address_gets_sixty_offers_in_ten_minutes_and_fills_the_table_with_no_more() {
    let local = start([("TEXT_TO_VERIFY", "direct")]).await;
    let ask = |n: u64| json!({"phone_number": format!("+1415555{n:04}"), "ip": IP, "channel": "text_to_verify"});
    for n in 0..60 {
        assert_eq!(local.invoke(ask(n)).await.unwrap().status(), "offered", "{n}");
    }
    for n in 60..70 {
        assert!(refused(&local, ask(n), "text_to_verify_limit").await.is_none());
    }
    assert_eq!(items(&local, "text#").await.len(), 60);
    // Another address of the network is not kept out, and neither is this one later.
    let event = json!({"phone_number": PHONE, "ip": "203.0.113.8", "channel": "text_to_verify"});
    assert_eq!(local.invoke(event).await.unwrap().status(), "offered");
    local.clock.advance_seconds(750);
    assert_eq!(local.invoke(ask(70)).await.unwrap().status(), "offered");
}

#[tokio::test]
async fn a_copy_of_the_table_shows_neither_phrase_nor_number_until_it_is_texted() {
    let local = full("direct").await;
    let offer = offered(&local, PHONE).await;
    let phrase = offer.body.trim_start_matches("Verify example.com: ");
    let table = format!("{:?}", items(&local, "text#").await);
    assert!(!table.contains(phrase) && !table.contains(&PHONE[1..]) && !table.contains(&offer.verification));
    // The event that tells the app is made from the message, which is stored in clear anyway.
    text(&local, PHONE, &offer.body, 1).await;
    let message = &items(&local, "message#").await[0];
    assert_eq!(message["verification"].as_s().unwrap(), &offer.verification);
    assert_eq!(message["phone_number"].as_s().unwrap(), PHONE);
}

#[tokio::test]
async fn the_metrics_count_offers_and_approvals_apart_from_codes() {
    let local = full("direct").await;
    local.counted();
    let offer = offered(&local, PHONE).await;
    assert!(local.counted().iter().any(|line| line.contains("TextToVerifyOffered=1")));
    text(&local, PHONE, &offer.body, 1).await;
    local.counted();
    assert_eq!(poll(&local, PHONE, &offer).await, "approved");
    assert_eq!(local.counted(), ["TextToVerifyApproved=1"]);
}
