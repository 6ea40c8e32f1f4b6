//! Random and hostile input: nothing panics, and each bad request gets one clear error.

use crate::support::{outcome, start};
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::runtime::settings::Environment;

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".{0,12}", inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A request whose fields are nearly right.
fn near_request() -> impl Strategy<Value = Value> {
    let field = |right: &'static str| prop_oneof![2 => Just(Value::from(right)), 1 => any_json(), 1 => "[+0-9a-f:./ %\\-()]{0,30}".prop_map(Value::from)];
    (field("+14155550123"), field("203.0.113.7"), prop::option::of(field("493027")), prop::option::of(field("k")))
        .prop_map(|(phone_number, ip, code, idempotency_key)| {
            let mut event = json!({"phone_number": phone_number, "ip": ip});
            if let Some(code) = code {
                event["code"] = code;
            }
            if let Some(key) = idempotency_key {
                event["idempotency_key"] = key;
            }
            event
        })
}

/// An event that is nearly one of API Gateway's, with a signature that is not Twilio's.
fn near_event() -> impl Strategy<Value = Value> {
    let text = || prop_oneof![".{0,60}", "[A-Za-z0-9+/=%&;#?:@\\[\\]. ]{0,60}"];
    let method = prop_oneof![Just("POST".to_owned()), Just("GET".to_owned()), "[A-Z]{1,7}".boxed()];
    let content_type = prop_oneof![Just("application/x-www-form-urlencoded".to_owned()), "[ -~]{0,40}".boxed()];
    (method, text(), text(), content_type, "[ -~]{0,40}|[A-Za-z0-9+/]{27}=", text(), any::<bool>(), "[a-z.-]{0,40}")
        .prop_map(|(method, path, query, content_type, signature, body, base64, domain)| {
            json!({
                "rawPath": path, "rawQueryString": query, "body": body, "isBase64Encoded": base64,
                "headers": {"content-type": content_type, "x-twilio-signature": signature},
                "requestContext": {"domainName": domain, "stage": "$default", "http": {"method": method, "path": path}},
            })
        })
}

#[test]
fn hostile_events_never_panic_and_are_never_taken_for_twilios_or_for_a_clear_request() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = runtime.block_on(start([("PUBLIC_URL", ""), ("PHONE_LIMIT", "1/1h"), ("IP_LIMIT", "1/1h")]));
    let mut runner = prop::test_runner::TestRunner::new(ProptestConfig::with_cases(300));

    runner
        .run(&prop_oneof![near_event(), any_json()], |event| {
            let (status, body) = runtime.block_on(local.event(event));
            prop_assert!(status == 403 || status == 400, "{}: {}", status, body);
            prop_assert!(body.ends_with('.') && body.len() < 80);
            Ok(())
        })
        .unwrap();

    runner
        .run(&prop_oneof![near_request(), any_json()], |event| {
            let result = runtime.block_on(local.invoke(event));
            let known = [
                "sent",
                "phone_limit",
                "ip_limit",
                "invalid_phone_number",
                "country_not_allowed",
                "number_type_not_allowed",
                "prefix_blocked",
                "InvalidRequest",
                "IdempotencyKeyReused",
            ];
            prop_assert!(known.contains(&outcome(&result)), "{:?}", result);
            if let Err(error) = result {
                prop_assert!(!error.to_string().contains('\n'));
            }
            Ok(())
        })
        .unwrap();
    assert!(local.texts().len() <= 1, "one number, one IP, one SMS an hour");
}

/// Whether an error begins with the variable that it is about.
fn names(error: &str, variable: &str) -> bool {
    error.starts_with(&format!("invalid {variable}: ")) || error.starts_with(&format!("{variable} is not set"))
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn a_wrong_setting_names_its_variable_and_the_reason() {
    let right = [
        ("TABLE_NAME", "tollgate"),
        ("HMAC_KEY_SECRET", "a"),
        ("SENDING_SECRET", "b"),
        ("AUTH_TOKEN_SECRET", "c"),
        ("TWILIO_FROM", "+15005550006"),
    ];
    let with = |variable: &'static str, value: &str| {
        Environment::of(right.into_iter().filter(|(name, _)| *name != variable).chain([(variable, value)]))
    };
    let send_code = |environment: Environment| send_code::settings::Settings::from_environment(&environment).err();
    let inbound_sms = |environment: Environment| inbound_sms::settings::Settings::from_environment(&environment).err();
    assert_eq!(send_code(Environment::of(right)), None);
    assert_eq!(inbound_sms(Environment::of(right)), None);

    for (variable, value, reason) in [
        ("TABLE_NAME", "", "is not set"),
        ("SENDING_SECRET", " ", "is not set"),
        ("TWILIO_FROM", "", "is not set"),
        ("TWILIO_FROM", "4155550123", "must be a number such as"),
        ("TWILIO_FROM", "MG123", "Messaging Service SID"),
        ("TWILIO_BASE_URL", "http://api.twilio.com", "must start with https://"),
        ("TWILIO_BASE_URL", "http://127.0.0.1.evil.example", "must start with https://"),
        ("ALLOWED_COUNTRIES", "", "is not set"),
        ("ALLOWED_COUNTRIES", "US,UK", "\"UK\""),
        ("ALLOWED_COUNTRIES", "USA", "two letters"),
        ("ALLOWED_COUNTRIES", "US,AX", "AX shares its mobile numbers with FI"),
        ("ALLOWED_COUNTRIES", "SJ", "add NO"),
        ("ALLOWED_COUNTRIES", "GP,BL,SJ", "add NO"),
        ("ALLOWED_COUNTRIES", "BL", "add GP"),
        ("ALLOWED_COUNTRIES", "MF", "add GP"),
        ("BLOCKED_PREFIXES", "881", "write + and 1 to 15 digits"),
        ("ALLOW_LANDLINES", "yes", "`true` or `false`"),
        ("PHONE_LIMIT", "", "is not set"),
        ("PHONE_LIMIT", "3 per hour", "is not of the form count/window"),
        ("IP_LIMIT", "500/1d", "whole number from 1 to 80"),
        ("PHONE_LIMIT", "3/1h, 3/60m", "occurs twice"),
        ("TOTAL_LIMIT", "1000/30s", "shorter than 1m"),
        ("RANGE_LIMIT", "observe", "is not of the form count/window"),
        ("COUNTRY_LIMIT", "2000000000/1d", "whole number from 1 to 1000000000"),
        ("SPEND_LIMIT", "5/1h", "must begin with an amount"),
        ("SPEND_LIMIT", "$0/1h", "must begin with an amount"),
        ("SPEND_LIMIT", "$5.12345/1h", "must begin with an amount"),
        ("SPEND_LIMIT", "$100000/1d", "must begin with an amount"),
        ("SPEND_LIMIT", "$5/10s", "shorter than 1m"),
        ("TOTAL_LIMIT", "$5/1h", "whole number"),
        ("BLOCK_RECORD", "yes", "must be on, observe or off"),
        ("PHONE_CHECK_LIMIT", "off", "must be enforced"),
        ("PHONE_CHECK_LIMIT", "observe 5/10m", "must be enforced"),
        ("MESSAGE_TEMPLATES", "{\"de\": \"Ihr Code\"}", "{code} exactly once"),
        ("MESSAGE_TEMPLATES", "de", "JSON"),
        ("APP_DOMAIN", "https://example.com", "host"),
        ("TEST_NUMBERS", "+14152345678=123456", "may be a real number"),
        ("MESSAGE_TEMPLATE", "Your code", "must contain {code} exactly once"),
        ("MESSAGE_TEMPLATE", "{code} {code}", "must contain {code} exactly once"),
        ("MIN_CODE_DIGITS", "3", "from 4 to 10"),
        ("MIN_CODE_DIGITS", "six", "from 4 to 10"),
        ("CODE_LIFETIME", "ten minutes", "not a duration"),
        ("CODE_LIFETIME", "11h", "from 6s to 10h"),
    ] {
        let error = send_code(with(variable, value)).unwrap().to_string();
        assert!(names(&error, variable) && error.contains(reason), "{variable}={value}: {error}");
    }
    for (variable, value, reason) in [
        ("PUBLIC_URL", "http://sms.example.com", "must start with https://"),
        ("PUBLIC_URL", "https://sms.example.com/sms?a=b", "no query"),
        ("REPLY_TEXT", "bell \u{7}", "control character"),
        ("REPLY_LIMIT", "x", "is not of the form"),
        ("MESSAGE_LIFETIME", "x", "not a duration"),
    ] {
        let error = inbound_sms(with(variable, value)).unwrap().to_string();
        assert!(names(&error, variable) && error.contains(reason), "{variable}={value}: {error}");
    }
}
