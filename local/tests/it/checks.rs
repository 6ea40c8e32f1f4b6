//! Who is approved, and what an approval gives back.

use crate::support::{CODE, Local, outcome, start};
use check_code::answer::Answer;
use serde_json::json;
use shared::twilio::price::Dollars;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::task::JoinSet;

const PHONE: &str = "+14155550123";
const IP: &str = "203.0.113.7";

/// So many sends that no limit but the one under test is met.
const PATIENT: [(&str, &str); 3] = [("PHONE_LIMIT", "80/1h"), ("IP_LIMIT", "80/1h"), ("RANGE_LIMIT", "off")];

async fn patient(setting: (&str, &str)) -> Local {
    start([PATIENT[0], PATIENT[1], PATIENT[2], setting]).await
}

#[tokio::test]
async fn a_code_that_was_sent_is_approved_once() {
    let local = start([]).await;
    let code = local.code(PHONE, IP).await;
    assert_eq!(local.check(PHONE, "000000").await, "incorrect");
    assert_eq!(local.check(PHONE, &code).await, "approved");
    assert_eq!(local.check(PHONE, &code).await, "expired", "used up, and there is no other");

    local.invoke(json!({"phone_number": "+14155550100", "ip": IP, "code": CODE})).await.unwrap();
    assert_eq!(local.check("+14155550100", CODE).await, "approved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_right_checks_at_once_one_is_approved() {
    let local =
        Arc::new(start([("PHONE_CHECK_LIMIT", "80/1h"), ("PHONE_LIMIT", "80/1h"), ("IP_LIMIT", "80/1h")]).await);
    for _ in 0..10 {
        let code = local.code(PHONE, IP).await;
        let mut checks = JoinSet::new();
        for _ in 0..4 {
            let (local, code) = (local.clone(), code.clone());
            checks.spawn(async move { local.check(PHONE, &code).await });
        }
        let approved = checks.join_all().await.into_iter().filter(|status| *status == "approved").count();
        assert_eq!(approved, 1);
    }
}

#[tokio::test]
async fn any_code_that_is_not_expired_is_good_until_one_is_approved() {
    // The oldest is good for exactly ten minutes; one approval voids all of them.
    for (checked, after_ms, expected) in
        [(1, 0, "approved"), (0, 6 * 60_000 - 1, "approved"), (0, 6 * 60_000, "incorrect"), (2, 6 * 60_000, "approved")]
    {
        let local = patient(("CODE_LIFETIME", "10m")).await;
        let mut codes = vec![];
        for _ in 0..4 {
            codes.push(local.code(PHONE, IP).await);
            local.clock.advance_seconds(60);
        }
        local.clock.advance_ms(after_ms);
        assert_eq!(local.check(PHONE, &codes[checked]).await, expected, "{checked} {after_ms}");
        if expected == "approved" {
            for code in &codes {
                assert_eq!(local.check(PHONE, code).await, "expired", "an approval voids all codes of the phone");
            }
        }
    }
}

#[tokio::test]
async fn a_code_of_another_phone_of_another_time_or_of_no_sms_is_never_good() {
    let local = start([("ALLOWED_COUNTRIES", "US")]).await;
    let code = local.code(PHONE, IP).await;
    local.code("+14155550100", IP).await;
    assert_eq!(local.check("+14155550100", &code).await, "incorrect", "another phone's");
    assert_eq!(local.check("+14155550177", &code).await, "expired", "a phone that was never texted");
    local.clock.advance_seconds(600);
    assert_eq!(local.check(PHONE, &code).await, "expired", "ten minutes old");

    // Twilio refuses this number: no SMS, no code.
    let event = json!({"phone_number": "+15005550009", "ip": "198.51.100.1", "code": CODE});
    assert_eq!(outcome(&local.invoke(event).await), "rejected_by_twilio");
    assert_eq!(local.check("+15005550009", CODE).await, "expired");

    // Nor is a code good whose send was refused by a limit.
    let event = json!({"phone_number": PHONE, "ip": "198.51.100.2", "code": CODE});
    local.code(PHONE, "198.51.100.2").await;
    assert_eq!(outcome(&local.invoke(event).await), "phone_limit");
    assert_eq!(local.check(PHONE, CODE).await, "incorrect");
}

#[tokio::test]
async fn a_refused_send_voids_its_own_code_and_no_other() {
    // The fake Twilio answers a number the same each time, so the test writes the outcome of each send to the table directly.
    let local = patient(("CODE_LIFETIME", "10m")).await;
    let (table, limits) = (&local.system.send_code.table, &local.system.send_code.settings.limits);
    let phone = shared::phone::number::PhoneNumber::parse(PHONE).unwrap();
    let ip = shared::runtime::ip::ClientIp::parse(IP).unwrap();
    let mut admissions = vec![];
    // All three in the same millisecond.
    for code in ["111111", "222222", "333333"] {
        let (key, code) = (code.parse().unwrap(), code.parse().unwrap());
        let verification = table.start_verification(PHONE, local.clock.now_ms(), getrandom::fill).unwrap();
        let request = shared::store::admission::SendRequest {
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
        match table.admit(request, limits, local.clock.now_ms()).await.unwrap() {
            shared::store::admission::Decision::Admitted(admission) => admissions.push(*admission),
            other => panic!("{other:?}"),
        }
    }
    let refused = shared::store::admission::SendOutcome::Refused;
    table.record(admissions.remove(1), limits, refused, "{}", local.clock.now_ms()).await.unwrap();
    table.release(admissions.remove(0), limits, local.clock.now_ms()).await.unwrap();
    assert_eq!(local.check(PHONE, "222222").await, "incorrect", "refused by Twilio");
    assert_eq!(local.check(PHONE, "111111").await, "incorrect", "released");
    assert_eq!(local.check(PHONE, "333333").await, "approved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_guesses_250_at_once_admit_no_more_than_the_check_limit() {
    let local = Arc::new(start([("PHONE_CHECK_LIMIT", "5/10m")]).await);
    let code = local.code(PHONE, IP).await;
    let mut statuses = HashMap::new();
    // 250 at a time: a request that waits for a busy machine for seconds is answered with an error, as in production.
    for batch in 0..4 {
        let mut guesses = JoinSet::new();
        for n in batch * 250..(batch + 1) * 250 {
            let (local, right) = (local.clone(), code.clone());
            let wrong = format!("{n:06}");
            guesses.spawn(async move {
                if wrong == right { "too_many_attempts" } else { local.check(PHONE, &wrong).await }
            });
        }
        for status in guesses.join_all().await {
            *statuses.entry(status).or_insert(0) += 1;
        }
    }
    assert_eq!(statuses, HashMap::from([("incorrect", 5), ("too_many_attempts", 995)]));
    assert_eq!(local.check(PHONE, &code).await, "too_many_attempts", "the right one is not looked at either");
    // No code is kept from the phone, though: a check that names its verification is compared.
    local.clock.advance_seconds(31);
    local.code(PHONE, IP).await;
    local.clock.advance_seconds(600 - 31);
    let code = local.code(PHONE, IP).await;
    assert_eq!(local.check(PHONE, &code).await, "approved");
}

#[tokio::test]
async fn every_answer_says_what_can_be_done_next() {
    let local = start([("PHONE_CHECK_LIMIT", "3/10m, 4/1d")]).await;
    let code = local.code(PHONE, IP).await;
    let mut answers = vec![];
    for _ in 0..4 {
        local.clock.advance_seconds(10);
        answers.push(local.checked(PHONE, "000000").await.unwrap());
    }
    let next = "2027-01-15T08:00:31Z".to_owned();
    let incorrect = |attempts_left| Answer::Incorrect {
        attempts_left,
        next_send_at: next.clone(),
        next_send_in: 21 - 10 * (2 - u64::from(attempts_left)),
    };
    assert_eq!(answers[..3], [incorrect(2), incorrect(1), incorrect(0)]);
    let Answer::TooManyAttempts { rule, retry_after, .. } = &answers[3] else { panic!("{:?}", answers[3]) };
    assert_eq!((rule.as_str(), *retry_after), ("3/10m", Some(600 - 30)));
    local.clock.advance_seconds(570);
    // No code is left to guess: this does not count, so it can't lock a user out of the next code.
    assert_eq!(local.check(PHONE, &code).await, "expired");
    let code = local.code(PHONE, IP).await;
    assert_eq!(local.check(PHONE, "000000").await, "incorrect");
    let Answer::TooManyAttempts { rule, retry_after, .. } = local.checked(PHONE, &code).await.unwrap() else {
        panic!()
    };
    assert_eq!((rule.as_str(), retry_after), ("4/1d", Some(24 * 3600 - 600)));
}

#[tokio::test]
async fn an_approval_forgets_the_failed_attempts() {
    let local = patient(("PHONE_CHECK_LIMIT", "3/1d")).await;
    for _ in 0..5 {
        let code = local.code(PHONE, IP).await;
        assert_eq!(local.check(PHONE, "000000").await, "incorrect");
        assert_eq!(local.check(PHONE, "000001").await, "incorrect");
        assert_eq!(local.check(PHONE, &code).await, "approved");
    }
}

#[tokio::test]
async fn a_code_is_understood_as_people_type_and_paste_it() {
    let local = patient(("PHONE_CHECK_LIMIT", "80/1d")).await;
    for typed in [
        " 493 027 ",
        "493–027",
        "４９３０２７",
        "٤٩٣٠٢٧",
        "၄၉၃၀၂၇",
        "\u{202d}493\u{200b}027\u{202c}",
        "“493027.”",
        "#493027",
        "G-493027",
        "493027 is your ACME code. Never share it.\n\n@example.com #493027",
    ] {
        let event = json!({"phone_number": PHONE, "ip": IP, "code": "493027"});
        local.invoke(event).await.unwrap();
        assert_eq!(local.check(PHONE, typed).await, "approved", "{typed}");
    }
    assert_eq!(local.check(PHONE, &"1".repeat(1601)).await, "InvalidRequest");
    assert_eq!(local.check("4155550123", "493027").await, "refused");
}

#[tokio::test]
async fn what_can_be_no_code_costs_no_attempt() {
    let local = start([("TEST_NUMBERS", "+14155550100=4930")]).await;
    let event = json!({"phone_number": PHONE, "ip": IP});
    let sent = serde_json::to_value(local.invoke(event).await.unwrap()).unwrap();
    for typed in ["", "  ", "-", "#", "abcdef", "😀", "493", "493027493027", "493027 or 493028", "49302", "49302O"] {
        let mut events = vec![
            json!({"phone_number": PHONE, "verification": sent["verification"], "code": typed}),
            json!({"phone_number": PHONE, "code": typed}),
        ];
        // The code of a test number may be shorter.
        if !typed.starts_with("49302") || typed.len() > 6 {
            events.push(json!({"phone_number": "+14155550100", "code": typed}));
        }
        for event in events {
            let answer = local.check_event(event).await.unwrap();
            assert!(matches!(answer, Answer::Incorrect { attempts_left: 5, .. }), "{typed:?}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn an_approval_releases_ip_range_network_and_country_but_neither_phone_nor_total() {
    let others = [("PHONE_LIMIT", "80/1h"), ("IP_LIMIT", "80/1h"), ("RANGE_LIMIT", "80/1h"), ("KNOWN_FOR", "off")];
    for (setting, reason, is_released) in [
        (("IP_LIMIT", "2/1h"), "ip_limit", true),
        (("RANGE_LIMIT", "2/1h"), "range_limit", true),
        (("NETWORK_LIMIT", "2/1h"), "network_limit", true),
        (("COUNTRY_LIMIT", "2/1h"), "country_limit", true),
        (("TOTAL_LIMIT", "2/1h"), "total_limit", false),
        (("PHONE_LIMIT", "2/1h"), "phone_limit", false),
    ] {
        let local = start([others[0], others[1], others[2], others[3], setting]).await;
        let first = local.code(PHONE, IP).await;
        local.clock.advance_seconds(1);
        local.code(PHONE, IP).await;
        local.clock.advance_seconds(1);
        assert_eq!(outcome(&local.send(PHONE, IP).await), reason);
        assert_eq!(local.check(PHONE, &first).await, "approved");
        // Both sends, also the one whose code was not typed: the phone is proved.
        for _ in 0..2 {
            let after = outcome(&local.send(PHONE, IP).await);
            assert_eq!(after, if is_released { "sent" } else { reason }, "{reason}");
        }
        assert_eq!(outcome(&local.send(PHONE, IP).await), reason, "and no more than those");
    }
}

#[tokio::test]
async fn a_code_keeps_its_own_time_when_settings_change_and_change_back() {
    let local = patient(("CODE_LIFETIME", "10m")).await;
    let (table, limits) = (&local.system.send_code.table, &local.system.send_code.settings.limits);
    let limits_of = |phone: &str, lifetime: &str| {
        let (phone, code_lifetime) = (phone.parse().unwrap(), lifetime.parse().unwrap());
        shared::store::send_limits::SendLimits { phone, code_lifetime, ..limits.clone() }
    };
    // Ten codes may be good at a time, then four, then ten again.
    let (many, few) = (limits_of("4/8s, 10/1h", "20s"), limits_of("4/8s, 10/1h", "8s"));
    let phone = shared::phone::number::PhoneNumber::parse(PHONE).unwrap();
    let ip = shared::runtime::ip::ClientIp::parse(IP).unwrap();
    let send = async |code: &str, limits: &shared::store::send_limits::SendLimits| {
        let (key, code) = (code.parse().unwrap(), code.parse().unwrap());
        let verification = table.start_verification(PHONE, local.clock.now_ms(), getrandom::fill).unwrap();
        let request = shared::store::admission::SendRequest {
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
        let decision = table.admit(request, limits, local.clock.now_ms()).await.unwrap();
        assert!(matches!(decision, shared::store::admission::Decision::Admitted(_)), "{decision:?}");
    };
    let check = async |code: &str| {
        let now_ms = local.clock.now_ms();
        let checked = table.check(&phone, Some(&code.parse().unwrap()), None, false, &many, now_ms).await.unwrap();
        matches!(checked, shared::store::checks::CheckResult::Approved(_))
    };
    for code in ["111111", "111112", "111113", "111114"] {
        send(code, &many).await;
    }
    local.clock.advance_seconds(13);
    send("333333", &many).await;
    local.clock.advance_seconds(8);
    for code in ["444441", "444442", "444443", "444444"] {
        send(code, &few).await;
    }
    assert!(!check("111111").await, "21 seconds old, and good for 20");
    assert!(check("444441").await);
}

#[tokio::test]
async fn real_users_behind_one_ip_never_meet_its_limit() {
    let local = start([("IP_LIMIT", "3/1h"), ("RANGE_LIMIT", "10/1h")]).await;
    for n in 0..60 {
        let phone = format!("+141555501{n:02}");
        let code = local.code(&phone, IP).await;
        local.clock.advance_seconds(40);
        assert_eq!(local.check(&phone, &code).await, "approved");
    }
}

#[tokio::test]
async fn a_malformed_check_is_an_error_that_names_the_field() {
    let local = start([]).await;
    for (event, message) in [
        (json!(null), "must be a JSON object"),
        (json!({"code": CODE}), "missing field `phone_number`"),
        (json!({"phone_number": PHONE}), "missing field `code`"),
        (json!({"phone_number": PHONE, "code": 493_027}), "`code` must be a string"),
        (
            json!({"phone_number": PHONE, "code": CODE, "ip": IP}),
            "unknown field `ip`; expected phone_number, verification or code",
        ),
    ] {
        let error = check_code::handle(&local.system.check_code, "r", &event).await.unwrap_err();
        assert_eq!(error.kind(), "InvalidRequest");
        let text = error.to_string();
        assert!(text.contains(message) && !text.contains(CODE), "{text}");
    }
}
