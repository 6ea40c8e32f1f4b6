//! The checklist, against accounts that are right, wrong and partly wrong.

use crate::support::{Local, PRIVATE, no_waits, start, start_with};
use checklist::report::{CheckStatus, Finding, Report};
use local::fake_account::{AccountFault, AccountState, KeyKind};
use local::fixtures::{ACCOUNT_SID, API_KEY_SECRET, API_KEY_SECRET_NAME, API_KEY_SID, AUTH_TOKEN, AUTH_TOKEN_SECRET};
use local::fixtures::{OUR_NUMBER, OUR_SERVICE, TABLE_NAME};
use serde_json::{Value, json};
use shared::runtime::dependencies::{ChecklistDeadlines, Deadlines};
use shared::runtime::http::Timeouts;
use shared::runtime::lambda_account::Concurrency;
use shared::runtime::telemetry;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::level_filters::LevelFilter;

/// Twilio reports everything about a Messaging Service, but not the registration of a number.
const POOL: (&str, &str) = ("TWILIO_FROM", OUR_SERVICE);

async fn run(local: &Local, event: Value) -> Report {
    let report = checklist::handle(&local.system.checklist, "request-checklist", &event).await.unwrap();
    let text = serde_json::to_string(&report).unwrap();
    for secret in [AUTH_TOKEN, API_KEY_SECRET, PRIVATE] {
        assert!(!text.contains(secret), "{text}");
    }
    for row in report.rows.iter().chain(&report.changes) {
        assert_eq!(row.advice.is_empty(), row.result == CheckStatus::Pass, "{row:?}");
        assert!(!row.found.is_empty(), "{row:?}");
    }
    report
}

async fn check(local: &Local) -> Report {
    run(local, json!({})).await
}

/// The checks with this result, each once.
fn with(report: &Report, result: CheckStatus) -> Vec<&'static str> {
    let mut checks: Vec<_> =
        report.rows.iter().filter(|row| row.result == result).map(|row| row.check.as_str()).collect();
    checks.dedup();
    checks
}

fn row<'a>(report: &'a Report, check: &str) -> &'a Finding {
    report.rows.iter().find(|row| row.check.as_str() == check).unwrap()
}

/// Breaks the account.
fn wrong(local: &Local, change: impl FnOnce(&mut AccountState)) {
    local.system.account.change(change);
}

#[tokio::test]
async fn an_account_with_nothing_wrong_passes_every_check() {
    let local = start([POOL]).await;
    let report = check(&local).await;
    assert_eq!(report.status, CheckStatus::Pass, "{report:#?}");
    let checks = with(&report, CheckStatus::Pass);
    let all = [
        "credentials",
        "account",
        "api_key_restricted",
        "webhooks",
        "public_url",
        "sender_registration",
        "geo_permissions",
        "voice_permissions",
        "limits",
        "table",
        "clock",
        "concurrency",
    ];
    assert_eq!(checks, all);
    assert_eq!(report.checked_at, "2027-01-15T08:00:01Z");

    // Twilio does not report whether a single number is registered.
    let local = start([]).await;
    let report = check(&local).await;
    assert_eq!(
        (report.status, with(&report, CheckStatus::Unknown)),
        (CheckStatus::Unknown, vec!["sender_registration"])
    );
    assert_eq!(row(&report, "webhooks").subject.as_deref(), Some(OUR_NUMBER));
}

/// Configures our number through Twilio's API.
async fn set_up(local: &Local, settings: &[(&str, &str)]) {
    let number = local.system.twilio.numbers().remove(0);
    let base_url = &local.system.base_url;
    let url = format!("{base_url}/2010-04-01/Accounts/{ACCOUNT_SID}/IncomingPhoneNumbers/{}.json", number.sid);
    let request = client().post(url).basic_auth(ACCOUNT_SID, Some(AUTH_TOKEN)).form(settings);
    let status = request.send().await.unwrap().status();
    assert!(status.is_success(), "{settings:?} {status}");
}

/// Our number as Twilio reports it.
async fn number(local: &Local) -> Value {
    let url = format!("{}/2010-04-01/Accounts/{ACCOUNT_SID}/IncomingPhoneNumbers.json", local.system.base_url);
    let answer = client().get(url).basic_auth(ACCOUNT_SID, Some(AUTH_TOKEN)).send().await.unwrap();
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    answer["incoming_phone_numbers"][0].clone()
}

fn client() -> reqwest::Client {
    let timeouts = Timeouts { connect: Duration::from_secs(5), total: Duration::from_secs(30) };
    shared::runtime::http::Tls::new().unwrap().client(timeouts, shared::runtime::http::Connections::Fresh).unwrap()
}

/// A setting that overrides the number's own URLs.
const APPLICATION: (&str, &str) = ("SmsApplicationSid", "AP00000000000000000000000000000001");

#[tokio::test]
async fn a_misconfigured_number_fails_the_webhooks_check_and_no_other() {
    let local = start([POOL]).await;
    let right = number(&local).await;
    let ours = format!("{}/sms#rc=3&rp=all", local.system.base_url);
    let called_once = format!("{}/sms", local.system.base_url);
    for wrong in [
        ("SmsUrl", &*called_once),
        ("SmsUrl", "http://sms.example.com/sms"),
        ("SmsUrl", ""),
        ("SmsUrl", "https://demo.twilio.com/welcome/sms/reply"),
        ("SmsMethod", "GET"),
        ("SmsFallbackUrl", "http://sms.example.com/"),
        ("StatusCallback", "http://sms.example.com/"),
        APPLICATION,
    ] {
        set_up(&local, &[wrong]).await;
        let report = check(&local).await;
        assert_eq!(with(&report, CheckStatus::Fail), ["webhooks"], "{wrong:?} {report:#?}");
        let back = [
            ("SmsUrl", &*ours),
            ("SmsMethod", "POST"),
            ("SmsFallbackUrl", ""),
            ("StatusCallback", ""),
            ("SmsApplicationSid", ""),
        ];
        set_up(&local, &back).await;
    }
    assert_eq!(check(&local).await.status, CheckStatus::Pass);
    assert_eq!(number(&local).await, right, "a check changes nothing");
}

#[tokio::test]
async fn each_single_thing_that_is_wrong_fails_its_own_check_and_no_other() {
    type Wrong = fn(&mut AccountState);
    let cases: &[(&str, Wrong)] = &[
        ("account", |account| account.status = "suspended"),
        ("account", |account| account.status = "closed"),
        ("account", |account| account.kind = "Trial"),
        ("credentials", |account| account.key = KeyKind::Deleted),
        ("api_key_restricted", |account| account.key = KeyKind::Main),
        ("api_key_restricted", |account| account.key = KeyKind::Standard),
        ("api_key_restricted", |account| account.key = KeyKind::Restricted(vec!["/twilio/voice/calls/create"])),
        ("api_key_restricted", |account| account.key = KeyKind::Restricted(vec!["/twilio/*"])),
        ("api_key_restricted", |account| {
            account.key = KeyKind::Restricted(vec!["/twilio/messaging/messages/create", "/twilio/voice/calls/create"]);
        }),
        ("webhooks", |account| {
            account.service.use_inbound_webhook_on_number = false;
            account.service.inbound_request_url = String::new();
        }),
        ("webhooks", |account| {
            account.service.use_inbound_webhook_on_number = false;
            account.service.inbound_request_url = "https://demo.twilio.com/welcome/sms/reply".to_owned();
        }),
        ("webhooks", |account| {
            account.service.use_inbound_webhook_on_number = false;
            account.service.inbound_method = "GET".to_owned();
        }),
        ("webhooks", |account| account.service.fallback_url = "http://sms.example.com/".to_owned()),
        ("webhooks", |account| account.service.status_callback = "http://sms.example.com/".to_owned()),
        ("sender_registration", |account| account.service.us_app_to_person_registered = false),
        ("geo_permissions", |account| account.messaging[2].enabled = true),
        ("geo_permissions", |account| account.messaging[4].enabled = false),
        // On the first page and on the last.
        ("voice_permissions", |account| account.dialing[0].special = true),
        ("voice_permissions", |account| account.dialing[6].tollfraud = true),
        ("clock", |account| account.clock_ahead_seconds = 60),
        ("clock", |account| account.clock_ahead_seconds = -60),
    ];
    let local = start([POOL]).await;
    let right = local.system.account.change(|account| account.clone());
    for (expected, change) in cases {
        wrong(&local, |account| {
            *account = right.clone();
            change(account);
        });
        let report = check(&local).await;
        assert_eq!(report.status, CheckStatus::Fail);
        assert_eq!(with(&report, CheckStatus::Fail), [*expected], "{report:#?}");
        assert!(local.system.account.change(|account| account.writes.is_empty()), "a check changes nothing");
    }
}

#[tokio::test]
async fn settings_and_a_table_that_are_wrong_fail_their_own_checks() {
    for (settings, expected) in [
        ([POOL, ("IP_LIMIT", "observe 10/1h")], "limits"),
        ([POOL, ("TOTAL_LIMIT", "off")], "limits"),
        ([POOL, ("SENDING_SECRET", AUTH_TOKEN_SECRET)], "api_key_restricted"),
        ([POOL, ("ALLOWED_COUNTRIES", "US,FR")], "geo_permissions"),
        ([POOL, ("PUBLIC_URL", "https://sms.example.com")], "public_url"),
        ([POOL, ("TWILIO_FROM", "+14155550199")], "webhooks"),
        // Twilio's filter also matches parts of a number.
        ([POOL, ("TWILIO_FROM", "+1500555000")], "webhooks"),
    ] {
        let report = check(&start(settings).await).await;
        assert_eq!(with(&report, CheckStatus::Fail), [expected], "{settings:?} {report:#?}");
    }

    let local = start([POOL]).await;
    let ttl = aws_sdk_dynamodb::types::TimeToLiveSpecification::builder().attribute_name("expires_at").enabled(false);
    let dynamodb = &local.system.checklist.aws.dynamodb;
    let change = dynamodb.update_time_to_live().table_name(TABLE_NAME);
    change.time_to_live_specification(ttl.build().unwrap()).send().await.unwrap();
    assert_eq!(with(&check(&local).await, CheckStatus::Fail), ["table"]);

    let report = check(&start([POOL, ("TABLE_NAME", "elsewhere")]).await).await;
    assert_eq!(with(&report, CheckStatus::Unknown), ["table"]);
    assert!(row(&report, "table").found.contains("DescribeTable"), "{report:#?}");
}

#[tokio::test]
async fn secrets_that_are_not_filled_in_or_wrong_are_named_with_the_command_that_fills_them() {
    let local = start([POOL]).await;
    let key = |sid: &str, secret: &str| {
        json!({"accountSid": ACCOUNT_SID, "apiKeySid": sid, "apiKeySecret": secret}).to_string()
    };
    let token = |account: &str, token: &str| json!({"accountSid": account, "authToken": token}).to_string();
    let other = "AC00000000000000000000000000000002";
    for (secret, value, subject) in [
        (AUTH_TOKEN_SECRET, token("REPLACE_ME", "REPLACE_ME"), "auth token"),
        (AUTH_TOKEN_SECRET, token(ACCOUNT_SID, "ffffffffffffffffffffffffffffffff"), "auth token"),
        (AUTH_TOKEN_SECRET, "no JSON".to_owned(), "auth token"),
        (API_KEY_SECRET_NAME, key("REPLACE_ME", "REPLACE_ME"), "sending credential"),
        (API_KEY_SECRET_NAME, key(API_KEY_SID, PRIVATE), "sending credential"),
        (API_KEY_SECRET_NAME, key("SK0000000000000000000000000000000f", PRIVATE), "sending credential"),
        (API_KEY_SECRET_NAME, token(other, AUTH_TOKEN), "sending credential"),
    ] {
        let before = match secret {
            AUTH_TOKEN_SECRET => token(ACCOUNT_SID, AUTH_TOKEN),
            _ => key(API_KEY_SID, API_KEY_SECRET),
        };
        local.system.secrets.put(secret, &value);
        let report = check(&local).await;
        let failed: Vec<_> = report.rows.iter().filter(|row| row.result == CheckStatus::Fail).collect();
        assert_eq!(failed[0].subject.as_deref(), Some(subject), "{report:#?}");
        assert!(failed[0].advice.contains("secret"), "{report:#?}");
        // A new value of the secret takes effect at once.
        local.system.secrets.put(secret, &before);
        assert_eq!(check(&local).await.status, CheckStatus::Pass);
    }
}

#[tokio::test]
async fn without_the_auth_token_the_key_that_sends_says_what_it_may_not_read() {
    let local = start([("AUTH_TOKEN_SECRET", "nowhere")]).await;
    let report = check(&local).await;
    assert_eq!(report.status, CheckStatus::Unknown);
    let row = row(&report, "webhooks");
    assert!(row.advice.contains("/twilio/phone-numbers/incoming-phone-numbers/read"), "{row:?}");
    assert_eq!(with(&report, CheckStatus::Pass), ["limits", "table", "clock", "concurrency"]);

    // A standard key can read the rest, also instead of an auth token that Twilio rejects.
    let local = start([POOL]).await;
    local.system.secrets.put(AUTH_TOKEN_SECRET, &json!({"accountSid": ACCOUNT_SID, "authToken": PRIVATE}).to_string());
    wrong(&local, |account| account.key = KeyKind::Standard);
    let report = check(&local).await;
    let passed = with(&report, CheckStatus::Pass);
    for check in ["webhooks", "geo_permissions", "voice_permissions"] {
        assert!(passed.contains(&check), "{report:#?}");
    }
}

#[tokio::test]
async fn what_twilio_does_not_let_us_read_is_unknown_and_delays_nothing_else() {
    let timeouts = Timeouts { connect: Duration::from_secs(2), total: Duration::from_secs(2) };
    let checklist = ChecklistDeadlines { twilio: timeouts, ..Deadlines::LAMBDA.checklist };
    let local = start_with([POOL], Deadlines { checklist, ..no_waits() }, None).await;
    let of_the_sender = &["webhooks", "public_url", "sender_registration"][..];
    for (path, fault, unknown) in [
        ("/v1/Messaging", AccountFault::Forbidden("/twilio/accounts/geo/read"), &["geo_permissions"][..]),
        ("/v1/DialingPermissions", AccountFault::Broken, &["voice_permissions"]),
        ("/v1/DialingPermissions", AccountFault::Garbled, &["voice_permissions"]),
        ("/v1/Keys", AccountFault::Forbidden(""), &["credentials", "api_key_restricted"]),
        ("/PhoneNumbers", AccountFault::Silent, of_the_sender),
        ("/v1/Services", AccountFault::Broken, of_the_sender),
    ] {
        wrong(&local, |account| account.faults = vec![(path, fault)]);
        let report = check(&local).await;
        assert_eq!(with(&report, CheckStatus::Unknown), unknown, "{path} {fault:?} {report:#?}");
        assert_eq!(with(&report, CheckStatus::Fail), [""; 0], "{path} {fault:?} {report:#?}");
        if let AccountFault::Forbidden(permission) = fault {
            assert!(row(&report, unknown[0]).advice.contains(permission), "{report:#?}");
        }
    }
    // Without Twilio, the parts of the stack are still checked.
    wrong(&local, |account| account.faults = vec![("/", AccountFault::Broken)]);
    let report = check(&local).await;
    assert_eq!(with(&report, CheckStatus::Pass), ["limits", "table", "clock", "concurrency"], "{report:#?}");
    assert_eq!(report.status, CheckStatus::Unknown);
}

#[tokio::test]
async fn a_new_aws_account_fails_and_a_quota_that_cant_be_read_is_unknown() {
    let local = start([POOL]).await;
    for (concurrency, result, advice) in [
        (Some((10, 10)), CheckStatus::Fail, "Service Quotas"),
        (Some((1000, 50)), CheckStatus::Fail, "reserved concurrency"),
        (Some((1000, 100)), CheckStatus::Pass, ""),
        (None, CheckStatus::Unknown, "lambda:GetAccountSettings"),
    ] {
        let concurrency = concurrency.map(|(quota, unreserved)| Concurrency { quota, unreserved });
        local.system.lambda_account.set(concurrency);
        let report = check(&local).await;
        let row = row(&report, "concurrency");
        assert!(row.result == result && row.advice.contains(advice), "{row:?}");
        assert_eq!(report.status, result);
    }
    let report = check(&local).await;
    assert!(row(&report, "concurrency").found.contains("AccessDeniedException (HTTP 403)"), "{report:#?}");
}

#[tokio::test]
async fn applying_closes_and_opens_countries_and_reports_each_change() {
    let local = start([POOL, ("ALLOWED_COUNTRIES", "US,DE")]).await;
    wrong(&local, |account| {
        for country in ["BD", "FR", "JM"] {
            account.messaging.iter_mut().find(|known| known.country_code == country).unwrap().enabled = true;
        }
        account.service.use_inbound_webhook_on_number = false;
        account.service.inbound_method = "GET".to_owned();
    });
    let report = run(&local, json!({"apply": ["geo_permissions"]})).await;
    let changes: Vec<_> = report.changes.iter().map(|row| (row.subject.as_deref().unwrap(), row.result)).collect();
    let (pass, fail) = (CheckStatus::Pass, CheckStatus::Fail);
    assert_eq!(changes, [("BD", fail), ("FR", pass), ("JM", pass), ("DE", pass)]);
    assert!(report.changes[0].found.contains("30649") && report.changes[0].advice.contains("Console"), "{report:#?}");
    // What could not be repaired, and what was not requested.
    assert_eq!(row(&report, "geo_permissions").found, "open beyond AllowedCountries: 1 (BD)");
    assert_eq!(with(&report, fail), ["webhooks", "geo_permissions"]);
    let writes = local.system.account.change(|account| account.writes.clone());
    assert_eq!(writes, ["FR=false", "JM=false", "DE=true"]);

    // The same repair again finds only what could not be done.
    let report = run(&local, json!({"apply": ["geo_permissions"]})).await;
    assert_eq!(report.changes.len(), 1);
    assert_eq!(local.system.account.change(|account| account.writes.len()), 3);
}

#[tokio::test]
async fn applying_points_the_webhooks_at_us_and_touches_nothing_that_was_right() {
    let local = start([]).await;
    let ours = format!("{}/sms#rc=3&rp=all", local.system.base_url);
    let fallback = "https://fallback.example/sms".to_owned();
    let wrong_number =
        [("SmsUrl", "http://sms.example.com/sms"), ("SmsMethod", "GET"), APPLICATION, ("SmsFallbackUrl", &fallback)];
    set_up(&local, &wrong_number).await;
    wrong(&local, |account| {
        account.messaging[2].enabled = true;
        account.service.inbound_request_url = String::new();
    });
    let report = run(&local, json!({"apply": ["webhooks"]})).await;
    assert_eq!(report.changes.len(), 1);
    assert_eq!((report.changes[0].subject.as_deref(), report.changes[0].result), (Some(OUR_NUMBER), CheckStatus::Pass));
    let found = &report.changes[0].found;
    assert!(found.contains("SmsUrl was http://sms.example.com/sms, SmsMethod was GET"), "{found}");
    assert_eq!(row(&report, "webhooks").result, CheckStatus::Pass);
    let repaired = number(&local).await;
    for (field, expected) in
        [("sms_url", &*ours), ("sms_method", "POST"), ("sms_application_sid", ""), ("sms_fallback_url", &fallback)]
    {
        assert_eq!(repaired[field], expected, "{field}");
    }
    assert!(local.system.account.change(|account| account.writes.is_empty()), "nothing else was changed");

    // Nothing is wrong now, so nothing is changed.
    local.clock.advance_seconds(60);
    assert!(run(&local, json!({"apply": ["webhooks"]})).await.changes.is_empty());
    assert_eq!(number(&local).await, repaired);
}

#[tokio::test]
async fn a_repair_that_twilio_refuses_says_so_and_the_check_still_fails() {
    let local = start([POOL]).await;
    set_up(&local, &[("SmsMethod", "GET")]).await;
    wrong(&local, |account| {
        account.faults = vec![(
            "/IncomingPhoneNumbers/",
            AccountFault::Forbidden("/twilio/phone-numbers/incoming-phone-numbers/update"),
        )];
    });
    let report = run(&local, json!({"apply": ["webhooks"]})).await;
    assert_eq!(report.changes[0].result, CheckStatus::Fail);
    assert_eq!(with(&report, CheckStatus::Fail), ["webhooks"], "{report:#?}");
}

#[tokio::test]
async fn nothing_is_repaired_while_the_credentials_or_the_account_fail() {
    let local = start([POOL]).await;
    set_up(&local, &[("SmsMethod", "GET")]).await;
    wrong(&local, |account| account.messaging[2].enabled = true);
    let before = number(&local).await;
    let other = json!({"accountSid": "AC00000000000000000000000000000002", "authToken": AUTH_TOKEN}).to_string();
    let ours = json!({"accountSid": ACCOUNT_SID, "apiKeySid": API_KEY_SID, "apiKeySecret": API_KEY_SECRET}).to_string();
    for (secret, status) in [(&other, "active"), (&ours, "suspended")] {
        local.system.secrets.put(API_KEY_SECRET_NAME, secret);
        wrong(&local, |account| account.status = status);
        let report = run(&local, json!({"apply": ["webhooks", "geo_permissions"]})).await;
        let changes: Vec<_> = report.changes.iter().map(|row| (row.check.as_str(), row.result)).collect();
        assert_eq!(changes, [("webhooks", CheckStatus::Fail), ("geo_permissions", CheckStatus::Fail)], "{report:#?}");
        assert!(report.changes[0].found.contains("nothing was changed"), "{report:#?}");
        assert_eq!(number(&local).await, before);
        assert!(local.system.account.change(|account| account.writes.is_empty()));
    }
}

#[tokio::test]
async fn a_repair_that_runs_out_of_time_reports_what_it_changed_and_what_it_did_not() {
    let local = start([POOL]).await;
    set_up(&local, &[("SmsMethod", "GET")]).await;
    wrong(&local, |account| {
        account.messaging[2].enabled = true;
        account.service.fallback_url = "http://sms.example.com/?token=1".to_owned();
        // Only updates of a number have a path that continues after this.
        account.faults = vec![("/IncomingPhoneNumbers/", AccountFault::Silent)];
    });
    let hurried = |repair, second| {
        let of = &local.system.checklist;
        checklist::state::State {
            settings: of.settings.clone(),
            aws: of.aws.clone(),
            twilio: checklist::twilio_api::TwilioApi::new(client(), &of.settings.twilio_base_url),
            deadlines: ChecklistDeadlines { repair, second, ..of.deadlines },
            clock: of.clock.clone(),
            meter: of.meter.clone(),
        }
    };
    let apply = json!({"apply": ["webhooks", "geo_permissions"]});
    // No time for any change.
    let state = hurried(Duration::ZERO, Duration::from_secs(40));
    let report = checklist::handle(&state, "request-checklist", &apply).await.unwrap();
    assert_eq!(report.changes.len(), 3, "{report:#?}");
    assert!(report.changes.iter().all(|row| row.result == CheckStatus::Unknown && row.found.contains("no time")));
    assert!(local.system.account.change(|account| account.writes.is_empty()));

    // Time for the service and the country; the number's change hangs.
    let state = hurried(Duration::from_secs(2), Duration::from_secs(3));
    let report = checklist::handle(&state, "request-checklist", &apply).await.unwrap();
    let changes: Vec<_> = report.changes.iter().map(|row| (row.subject.as_deref().unwrap(), row.result)).collect();
    let unknown = CheckStatus::Unknown;
    assert_eq!(changes, [(OUR_SERVICE, unknown), (OUR_NUMBER, unknown), ("FR", CheckStatus::Pass)], "{report:#?}");
    assert!(report.changes[0].found.ends_with("FallbackUrl was http://sms.example.com/"), "{report:#?}");
    let mut writes = local.system.account.change(|account| account.writes.clone());
    writes.sort();
    assert_eq!(writes, ["FR=false", "FallbackUrl="]);
}

#[tokio::test]
async fn lambda_answers_with_rows_and_an_invalid_request_is_an_error() {
    let local = start([POOL]).await;
    let url = format!("{}/2015-03-31/functions/checklist/invocations", local.system.base_url);
    let client = client();
    let post = async |event: &str| -> Value {
        let answer = client.post(&url).body(event.to_owned()).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&answer).unwrap()
    };
    let answer = post("{}").await;
    assert_eq!((&answer["status"], &answer["changes"]), (&json!("pass"), &Value::Null));
    let expected = json!({"check": "account", "result": "pass", "found": "active, Full"});
    assert!(answer["rows"].as_array().unwrap().contains(&expected), "{answer}");
    wrong(&local, |account| account.kind = "Trial");
    let answer = post(r#"{"version":"0","source":"aws.events","detail-type":"Scheduled Event","detail":{}}"#).await;
    let row = answer["rows"].as_array().unwrap().iter().find(|row| row["result"] == "fail").unwrap();
    assert!(
        row["found"].as_str().unwrap().contains("21608") && row["do"].as_str().unwrap().contains("upgrade"),
        "{row}"
    );
    let error = post(r#"{"aply": ["webhooks"]}"#).await;
    assert_eq!(error["errorType"], "InvalidRequest");
    assert!(error["errorMessage"].as_str().unwrap().contains("apply"), "{error}");
}

#[tokio::test]
async fn each_failing_row_is_a_line_in_the_log_with_its_check_and_no_number() {
    let local = start([]).await;
    let lines = Arc::new(Mutex::new(Vec::new()));
    let writer = Lines(lines.clone());
    let subscriber = telemetry::subscriber(LevelFilter::INFO, move || writer.clone());
    let logging = tracing::subscriber::set_default(subscriber);
    set_up(&local, &[("SmsMethod", "GET")]).await;
    wrong(&local, |account| account.kind = "Trial");
    check(&local).await;
    drop(logging);
    let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
    assert!(!text.contains(&OUR_NUMBER[1..]), "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |level: &str| -> Vec<_> {
        let lines = lines.iter().filter(|line| line["level"] == level && line["check"].is_string());
        lines.map(|line| (line["check"].as_str().unwrap(), line["result"].as_str().unwrap())).collect()
    };
    assert_eq!(of("ERROR"), [("account", "fail"), ("webhooks", "fail")]);
    assert_eq!(of("WARN"), [("sender_registration", "unknown")]);
}

#[tokio::test]
async fn the_documentation_has_a_row_for_each_check() {
    let documentation = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/checklist.md");
    let documentation = std::fs::read_to_string(documentation).unwrap();
    for row in check(&start([POOL]).await).await.rows {
        assert!(documentation.contains(&format!("\n| `{}` |", row.check.as_str())), "{row:?}");
    }
}

#[derive(Clone)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
