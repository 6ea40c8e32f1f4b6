//! Who gets an SMS, and who does not.

use crate::support::{CODE, Local, PRIVATE, no_waits, outcome, sid, start, start_with};
use send_code::SendCodeError;
use send_code::answer::{Answer, Refused};
use serde_json::{Value, json};
use shared::runtime::backoff::Backoff;
use shared::runtime::dependencies::Deadlines;
use shared::store::admission::{Decision, SendRequest};
use shared::twilio::price::Dollars;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const PHONE: &str = "+14155550123";
const IP: &str = "203.0.113.7";

/// Many events at once, and how often each outcome came.
async fn at_once(local: &Arc<Local>, events: impl Iterator<Item = Value>) -> HashMap<&'static str, usize> {
    let mut invocations = JoinSet::new();
    for event in events {
        let local = local.clone();
        invocations.spawn(async move { outcome(&local.invoke(event).await) });
    }
    let mut outcomes = HashMap::new();
    while let Some(outcome) = invocations.join_next().await {
        *outcomes.entry(outcome.unwrap()).or_default() += 1;
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixty_four_sends_to_one_phone_at_once_exactly_three_go_out() {
    let local = Arc::new(start([("PHONE_LIMIT", "3/1h")]).await);
    let events = (0..64).map(|n| json!({"phone_number": PHONE, "ip": format!("198.51.100.{n}")}));
    let outcomes = at_once(&local, events).await;
    assert_eq!(outcomes, HashMap::from([("sent", 3), ("phone_limit", 61)]));
    assert_eq!(local.texts().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_sixty_four_phones_at_one_ip_at_once_exactly_three_get_a_code() {
    let local = Arc::new(start([("IP_LIMIT", "3/1h")]).await);
    // Spellings of one /64: an address of one's own for every request changes nothing.
    let events =
        (0..64).map(|n| json!({"phone_number": format!("+141555501{n:02}"), "ip": format!("2001:db8:1:2::{n:x}")}));
    let outcomes = at_once(&local, events).await;
    assert_eq!(outcomes, HashMap::from([("sent", 3), ("ip_limit", 61)]));
    assert_eq!(local.texts().len(), 3);
}

#[tokio::test]
async fn a_refusal_by_ip_leaves_the_phone_untouched() {
    let local = start([("PHONE_LIMIT", "1/1h"), ("IP_LIMIT", "1/1h")]).await;
    assert_eq!(outcome(&local.send("+14155550100", IP).await), "sent");
    for _ in 0..5 {
        assert_eq!(outcome(&local.send(PHONE, IP).await), "ip_limit");
    }
    // The phone's one code an hour is still there.
    assert_eq!(outcome(&local.send(PHONE, "198.51.100.1").await), "sent");
}

#[tokio::test]
async fn a_refusal_by_phone_leaves_the_ip_untouched() {
    let local = start([("PHONE_LIMIT", "1/1h"), ("IP_LIMIT", "1/1h")]).await;
    assert_eq!(outcome(&local.send(PHONE, "198.51.100.1").await), "sent");
    for _ in 0..5 {
        assert_eq!(outcome(&local.send(PHONE, IP).await), "phone_limit");
    }
    assert_eq!(outcome(&local.send("+14155550100", IP).await), "sent");
}

fn refused(answer: &Answer) -> Refused {
    answer.refused().unwrap().clone()
}

#[tokio::test]
async fn retry_after_is_exact_to_the_second() {
    let local = start([("PHONE_LIMIT", "1/30s, 3/1h"), ("IP_LIMIT", "80/1h")]).await;
    let mut rules = vec![];
    for _ in 0..3 {
        assert_eq!(outcome(&local.send(PHONE, IP).await), "sent");
        local.clock.advance_ms(7_600);
        let waiting = refused(&local.send(PHONE, IP).await.unwrap());
        let wait = waiting.retry_after.unwrap();
        rules.push((waiting.rule.unwrap(), wait));

        local.clock.advance_seconds(wait - 1);
        assert_eq!(refused(&local.send(PHONE, IP).await.unwrap()).retry_after, Some(1));
        local.clock.advance_seconds(1);
    }
    // 30 s less the 7.6 that have passed, rounded up; and after the third, an hour less what has passed since the first.
    let rule = |rule: &str, wait| (rule.to_owned(), wait);
    assert_eq!(rules, [rule("1/30s", 23), rule("1/30s", 23), rule("3/1h", 3532)]);
    assert_eq!(outcome(&local.send(PHONE, IP).await), "sent");
    assert_eq!(local.texts().len(), 4);
}

#[tokio::test]
async fn the_answer_has_the_time_of_the_next_send_and_it_holds() {
    let local = start([("PHONE_LIMIT", "1/30s"), ("IP_LIMIT", "2/1h")]).await;
    let next = |answer: Answer| match answer {
        Answer::Sent { next_send, .. } => next_send.at.unwrap(),
        other => panic!("{other:?}"),
    };
    // 08:00:00.250 and 30 s, rounded up; then the IP's hour is longer than the phone's half minute.
    assert_eq!(next(local.send(PHONE, IP).await.unwrap()), "2027-01-15T08:00:31Z");
    local.clock.advance_seconds(31);
    assert_eq!(next(local.send(PHONE, IP).await.unwrap()), "2027-01-15T09:00:01Z");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_idempotency_key_sixteen_times_at_once_sends_one_sms() {
    let local = Arc::new(start([("PHONE_LIMIT", "80/1h"), ("IP_LIMIT", "80/1h")]).await);
    let event = json!({"phone_number": PHONE, "ip": IP, "idempotency_key": "signup-7f3c"});
    let outcomes = at_once(&local, (0..16).map(|_| event.clone())).await;
    let answered: usize = ["sent", "in_progress"].iter().filter_map(|outcome| outcomes.get(outcome)).sum();
    assert_eq!(answered, 16, "{outcomes:?}");
    assert_eq!(local.texts().len(), 1);

    let first = local.invoke(event.clone()).await.unwrap();
    assert_eq!(first.status(), "sent");
    local.clock.advance_seconds(3600);
    let Answer::Sent { message_sid, verification, expires_at, expires_in, locale, next_send, replayed } =
        local.invoke(event).await.unwrap()
    else {
        panic!()
    };
    assert_eq!(locale, None, "none was asked for");
    let Answer::Sent { message_sid: same, verification: named, expires_at: ended, .. } = first else { panic!() };
    assert_eq!((&message_sid, &verification, &expires_at), (&same, &named, &ended), "a repeat gets the stored answer");
    assert_eq!((expires_in, next_send.in_seconds, replayed), (0, Some(0), true), "and can't be misread as a new SMS");
    assert_eq!(local.texts().len(), 1);
}

#[tokio::test]
async fn an_idempotency_key_for_another_request_is_an_error_and_sends_nothing() {
    let local = start([]).await;
    let event = |phone: &str, ip: &str, code: &str| json!({"phone_number": phone, "ip": ip, "code": code, "idempotency_key": "k"});
    local.invoke(event(PHONE, IP, "123456")).await.unwrap();
    for other in [event("+14155550100", IP, "123456"), event(PHONE, IP, "654321")] {
        assert_eq!(outcome(&local.invoke(other).await), "IdempotencyKeyReused");
    }
    // A phone that leaves the Wi-Fi repeats its request from another address.
    let Answer::Sent { replayed, .. } = local.invoke(event(PHONE, "198.51.100.1", "123456")).await.unwrap() else {
        panic!()
    };
    assert!(replayed);
    assert_eq!(local.texts().len(), 1);
}

#[tokio::test]
async fn after_a_crash_between_admission_and_answer_nothing_is_sent_again() {
    // A Twilio that takes the request and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let twilio = format!("http://{}", listener.local_addr().unwrap());
    let local = Arc::new(start([("TWILIO_BASE_URL", &twilio)]).await);
    let event = json!({"phone_number": PHONE, "ip": IP, "idempotency_key": "signup-7f3c"});

    let crashing = tokio::spawn({
        let (local, event) = (local.clone(), event.clone());
        async move { local.invoke(event).await }
    });
    let (mut connection, _) = listener.accept().await.unwrap();
    assert!(connection.read(&mut [0; 1024]).await.unwrap() > 0);
    crashing.abort(); // Lambda kills the sandbox.
    assert!(crashing.await.unwrap_err().is_cancelled());

    // While the first invocation could still be running, and long after.
    assert_eq!(outcome(&local.invoke(event.clone()).await), "in_progress");
    local.clock.advance_seconds(31);
    assert_eq!(outcome(&local.invoke(event).await), "unknown");
    // It counts: the SMS may have gone.
    assert_eq!(outcome(&local.send(PHONE, IP).await), "unknown");
    let connections = tokio::time::timeout(Duration::from_millis(50), listener.accept());
    assert!(connections.await.is_ok_and(|accepted| accepted.is_ok()), "the last send, and no repeat, reached Twilio");
}

#[tokio::test]
async fn every_refusal_says_why_and_sends_nothing() {
    let local = start([("ALLOWED_COUNTRIES", "US,GB"), ("BLOCKED_PREFIXES", "+1907")]).await;
    for (phone, reason, detail) in [
        ("2125550187", "invalid_phone_number", "does not start with +"),
        ("+1 212 55", "invalid_phone_number", "too few digits"),
        ("", "invalid_phone_number", "empty"),
        ("+14165550123", "country_not_allowed", "the number belongs to CA"),
        ("+18762101234", "country_not_allowed", "the number belongs to JM"),
        ("+447797712345", "country_not_allowed", "the number belongs to JE"),
        ("+19072345678", "prefix_blocked", ""),
        ("+881612345678", "prefix_blocked", ""),
        ("+19002345678", "number_type_not_allowed", "premium_rate"),
        ("+447012345678", "number_type_not_allowed", "personal"),
        ("+442079460123", "number_type_not_allowed", "fixed_line"),
        ("+15005550009", "rejected_by_twilio", "21614"),
        ("+15005550004", "opted_out", "21610"),
    ] {
        let answer = local.send(phone, IP).await.unwrap();
        let refused = refused(&answer);
        assert_eq!(refused.reason(), reason, "{phone}");
        assert!(refused.detail.unwrap_or_default().contains(detail), "{phone}");
        let text = json!(answer).to_string();
        assert!(phone.is_empty() || !text.contains(phone), "{text}");
    }
    assert!(local.texts().is_empty());
}

#[tokio::test]
async fn a_landline_gets_a_code_if_landlines_are_allowed() {
    for (setting, expected) in [("true", "sent"), ("false", "number_type_not_allowed")] {
        let local = start([("ALLOWED_COUNTRIES", "US,GB"), ("ALLOW_LANDLINES", setting)]).await;
        assert_eq!(outcome(&local.send("+442079460123", IP).await), expected);
    }
}

#[tokio::test]
async fn a_number_that_twilio_refuses_counts_so_that_probing_is_not_free() {
    let local = start([("IP_LIMIT", "2/1h")]).await;
    assert_eq!(outcome(&local.send("+15005550009", IP).await), "rejected_by_twilio");
    assert_eq!(outcome(&local.send("+15005550002", IP).await), "rejected_by_twilio");
    assert_eq!(outcome(&local.send(PHONE, IP).await), "ip_limit");
}

#[tokio::test]
async fn spellings_of_one_number_share_one_limit() {
    let local = start([("PHONE_LIMIT", "1/1h")]).await;
    assert_eq!(outcome(&local.send("+1 (415) 555-0123", IP).await), "sent");
    for spelling in ["+14155550123", "+1.415.555.0123", "＋１４１５５５５０１２３", " +1-415-555-0123 "] {
        assert_eq!(outcome(&local.send(spelling, "198.51.100.1").await), "phone_limit", "{spelling}");
    }
}

#[tokio::test]
async fn a_given_code_is_texted_as_it_is_and_a_made_one_has_six_digits() {
    let local = start([("MESSAGE_TEMPLATE", "{code} is your code."), ("CODE_LIFETIME", "5m")]).await;
    local.invoke(json!({"phone_number": PHONE, "ip": IP, "code": CODE})).await.unwrap();
    local.send("+14155550100", IP).await.unwrap();
    let texts = local.texts();
    assert_eq!(texts[0], format!("{CODE} is your code."));
    let made = texts[1].strip_suffix(" is your code.").unwrap();
    assert!(made.len() == 6 && made.bytes().all(|digit| digit.is_ascii_digit()), "{made}");

    let parameters: HashMap<_, _> = local.system.twilio.messages()[0].parameters.iter().cloned().collect();
    assert_eq!(parameters["ValidityPeriod"], "300");
    assert_eq!(parameters["RiskCheck"], "enable");
    assert_eq!(parameters["From"], "+15005550006");
}

#[tokio::test]
async fn a_chosen_code_of_too_few_digits_is_an_error_before_anything_is_counted() {
    for (minimum, code, expected) in [
        ("4", "4930", "sent"),
        ("6", "49302", "InvalidRequest"),
        ("6", "493027", "sent"),
        ("8", "4930271", "InvalidRequest"),
        ("8", "49302718", "sent"),
    ] {
        let local =
            start([("MIN_CODE_DIGITS", minimum), ("PHONE_LIMIT", "1/1h"), ("TEST_NUMBERS", "+14155550100=4930")]).await;
        for phone in [PHONE, "+14155550100"] {
            let answer = local.invoke(json!({"phone_number": phone, "ip": IP, "code": code})).await;
            assert_eq!(outcome(&answer), expected, "{minimum} {code} {phone}");
        }
        // A generated code has six digits whatever the minimum is, and the error took no place in the limit.
        let then = if expected == "sent" { "phone_limit" } else { "sent" };
        assert_eq!(outcome(&local.send(PHONE, IP).await), then, "{minimum} {code}");
    }
}

#[tokio::test]
async fn the_text_is_in_the_language_that_is_asked_for_and_ends_in_the_line_that_phones_fill_in() {
    let templates = r#"{"de": "Ihr Code lautet {code}.", "fr": "Votre code : {code}"}"#;
    let local = start([
        ("MESSAGE_TEMPLATES", templates),
        ("APP_DOMAIN", "example.com"),
        ("IP_LIMIT", "off"),
        ("TEST_NUMBERS", "+14155550199=493027"),
    ])
    .await;
    for (n, (locale, text, language)) in [
        (json!("de"), "Ihr Code lautet 493027.\n\n@example.com #493027", json!("de")),
        (json!("de-AT"), "Ihr Code lautet 493027.\n\n@example.com #493027", json!("de")),
        (json!("FR_ca"), "Votre code : 493027\n\n@example.com #493027", json!("fr")),
        (json!("ja"), "Your verification code is: 493027\n\n@example.com #493027", json!("default")),
        (json!(null), "Your verification code is: 493027\n\n@example.com #493027", json!(null)),
    ]
    .into_iter()
    .enumerate()
    {
        let phone = format!("+1415555010{n}");
        let event = json!({"phone_number": phone, "ip": IP, "code": "493027", "locale": locale, "idempotency_key": n.to_string()});
        let answer = json!(local.invoke(event.clone()).await.unwrap());
        assert_eq!(local.texts().last().unwrap(), text);
        let again = json!(local.invoke(event).await.unwrap());
        let never_texted = json!({"phone_number": "+14155550199", "ip": IP, "locale": locale});
        let tested = json!(local.invoke(never_texted).await.unwrap());
        assert_eq!([&answer["locale"], &again["locale"], &tested["locale"]], [&language; 3], "{locale}");
        assert_eq!((&answer["status"], &again["replayed"]), (&json!("sent"), &json!(true)), "{locale}");
        assert_eq!(answer.as_object().unwrap().contains_key("locale"), !language.is_null(), "{locale}");
    }
    assert_eq!(
        outcome(&local.invoke(json!({"phone_number": PHONE, "ip": IP, "locale": "no language"})).await),
        "InvalidRequest"
    );
}

#[tokio::test]
async fn a_test_number_is_never_texted_and_its_fixed_code_always_works() {
    let local = start([
        ("TEST_NUMBERS", "+14155550100=000000, +447700900123=493027"),
        ("PHONE_LIMIT", "1/1d"),
        ("PHONE_CHECK_LIMIT", "3/10m"),
    ])
    .await;
    for number in ["+14155550100", "+1 415 555 0100", "+44 7700 900123"] {
        for _ in 0..3 {
            assert_eq!(outcome(&local.send(number, IP).await), "sent");
        }
    }
    assert!(local.texts().is_empty());
    for _ in 0..10 {
        assert_eq!(local.check("+14155550100", "000000").await, "approved");
        assert_eq!(local.check("+44 7700 900123", "493 027").await, "approved");
    }
    assert_eq!(local.check("+447700900123", "000000").await, "incorrect");
    // Outside all limits but this one.
    for expected in ["incorrect", "incorrect", "too_many_attempts"] {
        assert_eq!(local.check("+447700900123", "111111").await, expected);
    }
    assert_eq!(local.check("+447700900123", "493027").await, "too_many_attempts");
    // Any other number is as ever.
    assert_eq!(outcome(&local.send(PHONE, IP).await), "sent");
    assert_eq!(local.check(PHONE, "000000").await, "incorrect");
}

#[tokio::test]
async fn a_messaging_service_sends_in_place_of_a_number() {
    let local = start([("TWILIO_FROM", local::fixtures::OUR_SERVICE)]).await;
    assert_eq!(outcome(&local.send(PHONE, IP).await), "sent");
    assert_eq!(local.system.twilio.messages()[0].messaging_service_sid.as_deref(), Some(local::fixtures::OUR_SERVICE));
}

#[tokio::test]
async fn who_texts_stop_gets_no_code_until_start() {
    let local = start([("PHONE_LIMIT", "80/1h"), ("IP_LIMIT", "80/1h")]).await;
    assert_eq!(outcome(&local.send(PHONE, IP).await), "sent");
    assert_eq!(local.text_in(PHONE, " Stop ", &sid(1)).await.0, 200);
    assert_eq!(outcome(&local.send(PHONE, IP).await), "opted_out");
    // An opt-out does not end with the log's window.
    local.clock.advance_seconds(400 * 24 * 3600);
    assert_eq!(outcome(&local.send(PHONE, IP).await), "opted_out");

    assert_eq!(local.text_in(PHONE, "START", &sid(2)).await.0, 200);
    assert_eq!(outcome(&local.send(PHONE, IP).await), "sent");
    // A captured START, replayed after another STOP, opens nothing.
    assert_eq!(local.text_in(PHONE, "STOP", &sid(3)).await.0, 200);
    assert_eq!(local.text_in(PHONE, "START", &sid(2)).await.0, 200);
    assert_eq!(outcome(&local.send(PHONE, IP).await), "opted_out");
    // Not even when the message itself is long forgotten.
    let table = &local.system.send_code.table;
    let forgotten = format!("message#{}", sid(2));
    let key = aws_sdk_dynamodb::types::AttributeValue::S(forgotten);
    table.items.client.delete_item().table_name(&table.items.table_name).key("pk", key).send().await.unwrap();
    assert_eq!(local.text_in(PHONE, "START", &sid(2)).await.0, 200);
    assert_eq!(outcome(&local.send(PHONE, IP).await), "opted_out");

    // A number in a range that is not known yet can't be texted, but its STOP holds for when it is.
    assert_eq!(local.text_in("+12005550123", "STOP", &sid(4)).await.0, 200);
}

#[tokio::test]
async fn a_malformed_request_is_an_error_that_names_the_field_and_repeats_nothing() {
    let local = start([]).await;
    for (event, message) in [
        (json!(null), "must be a JSON object"),
        (json!([PRIVATE]), "must be a JSON object"),
        (json!({"ip": IP}), "missing field `phone_number`"),
        (json!({"phone_number": PHONE}), "missing field `ip`"),
        (json!({"phone_number": 14_155_550_123_u64, "ip": IP}), "`phone_number` must be a string"),
        (
            json!({"phone_number": PHONE, "ip": ""}),
            "`ip` is empty; send the end user's address, for example 203.0.113.7",
        ),
        (json!({"phone_number": PHONE, "ip": "203.0.113.7, 10.0.0.1"}), "`ip` is a list"),
        (json!({"phone_number": PHONE, "ip": "203.0.113.7:443"}), "`ip` has a port"),
        (json!({"phone_number": PHONE, "ip": IP, "code": "12345a"}), "`code` must be 4 to 10 digits"),
        (json!({"phone_number": PHONE, "ip": IP, "code": "98765"}), "`code` must have at least 6 digits"),
        (json!({"phone_number": PHONE, "ip": IP, "code": 123_456}), "`code` must be a string"),
        (
            json!({"phone_number": PHONE, "ip": IP, "idempotency_key": ""}),
            "`idempotency_key` must have 1 to 255 characters",
        ),
        (json!({"phone_number": PHONE, "ip": IP, "locale": "english"}), "`locale` must be a language tag"),
        (
            json!({"phone_number": PHONE, "ip": IP, "idempotencyKey": PRIVATE}),
            "unknown field `idempotencyKey`; expected phone_number, ip, code, locale, idempotency_key, verification, trusted or channel",
        ),
        (
            json!({"phone_number": PHONE, "ip": IP, PHONE: PRIVATE}),
            "unknown field; expected phone_number, ip, code, locale, idempotency_key, verification, trusted or channel",
        ),
    ] {
        let error = local.invoke(event.clone()).await.unwrap_err();
        assert!(matches!(error, SendCodeError::InvalidRequest(_)), "{event}: {error:?}");
        let text = error.to_string();
        assert!(text.contains(message), "{event}: {text}");
        assert!(
            !text.contains(PRIVATE)
                && !text.contains("12345a")
                && !text.contains("98765")
                && !text.contains(PHONE)
                && !text.contains("10.0.0.1"),
            "{text}"
        );
    }
    assert!(local.texts().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn unsent_messages_are_released_even_from_an_ip_that_many_share_at_once() {
    // The sender is no valid number: Twilio refuses each message, for a fault of the set-up.
    let local = Arc::new(start([("TWILIO_FROM", "+15005550001"), ("IP_LIMIT", "12/1h"), ("RANGE_LIMIT", "off")]).await);
    for round in 0..5 {
        let events = (0..12).map(|n| json!({"phone_number": format!("+14155550{round}{n:02}"), "ip": IP}));
        // A round counts nothing that is left for the next: else the IP's limit would come in the second.
        assert_eq!(at_once(&local, events).await, HashMap::from([("TwilioUnavailable", 12)]), "round {round}");
    }
}

#[tokio::test]
async fn releasing_an_admission_leaves_later_ones() {
    // No Twilio at all: every send is released. The fake one stays untouched.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let once = Backoff { tries: 1, base: Duration::ZERO, cap: Duration::ZERO };
    let deadlines = Deadlines { twilio_backoff: once, ..no_waits() };
    let local = start_with([("TWILIO_BASE_URL", &nowhere), ("PHONE_LIMIT", "2/1h")], deadlines, None).await;
    for _ in 0..10 {
        assert_eq!(outcome(&local.send(PHONE, IP).await), "TwilioUnavailable");
    }

    // Three at the same IP; the first and the second are released, in this order, while the third stays.
    let table = &local.system.send_code.table;
    let limits = &local.system.send_code.settings.limits;
    let phone = shared::phone::number::PhoneNumber::parse(PHONE).unwrap();
    let ip = shared::runtime::ip::ClientIp::parse(IP).unwrap();
    let admit = async |key: &str, at_ms| {
        let key = key.parse().unwrap();
        let code = "493027".parse().unwrap();
        let verification = table.start_verification(PHONE, local.clock.now_ms(), getrandom::fill).unwrap();
        let request = SendRequest {
            phone: &phone,
            ip: &ip,
            idempotency_key: &key,
            code: &code,
            verification: &verification,
            trusted: false,
            is_unassigned: false,
            price: Dollars::default(),
            fingerprint: "",
        };
        table.admit(request, limits, at_ms).await.unwrap()
    };
    let admitted = |decision| match decision {
        Decision::Admitted(admission) => *admission,
        other => panic!("{other:?}"),
    };
    let now_ms = local.clock.now_ms();
    let first = admitted(admit("1", now_ms).await);
    let second = admitted(admit("2", now_ms + 1000).await);
    assert!(matches!(admit("3", now_ms + 2000).await, Decision::LimitReached(_)));
    table.release(first, limits, now_ms).await.unwrap();
    let third = admitted(admit("3", now_ms + 2000).await);
    table.release(second, limits, now_ms).await.unwrap();
    let fourth = admitted(admit("4", now_ms + 3000).await);
    let Decision::LimitReached(limited) = admit("5", now_ms + 4000).await else { panic!() };
    assert_eq!(limited.exceeded.until_ms, now_ms + 2000 + 3_600_000, "the third's hour decides");
    table.release(third, limits, now_ms).await.unwrap();
    table.release(fourth, limits, now_ms).await.unwrap();
}
