//! The API for scripts and the page: phones, limits, faults and events, over HTTP.

use crate::support::{CODE, Local, no_waits, start, start_with};
use axum::http::{Method, StatusCode, header};
use local::fixtures::OUR_NUMBER;
use serde_json::{Value, json};
use shared::runtime::dependencies::Deadlines;
use shared::runtime::http::Timeouts;
use std::time::Duration;

const PHONE: &str = "+14155550123";
const IP: &str = "203.0.113.7";
/// The smallest PNG there is, or nearly.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

impl Local {
    /// A call of the system: the status and the JSON of its answer.
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let request = client().request(method, format!("{}{path}", self.system.base_url));
        let request = match body {
            Some(body) => request.header(header::CONTENT_TYPE, "application/json").body(body.to_string()),
            None => request,
        };
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.call(Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(Method::POST, path, Some(body)).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }

    /// Waits until an event contains this, also a past one.
    async fn until_event(&self, what: &str) {
        let mut events = client().get(format!("{}/events", self.system.base_url)).send().await.unwrap();
        let mut heard = String::new();
        while !heard.contains(what) {
            heard.push_str(&String::from_utf8_lossy(&events.chunk().await.unwrap().unwrap()));
        }
    }

    /// Invokes a function over Lambda's API: the status of its answer, the reason of a refusal, or the type of its error.
    async fn invoked(&self, function: &str, event: Value) -> String {
        let answer = self.post(&format!("/2015-03-31/functions/{function}/invocations"), event).await;
        let name = ["reason", "errorType", "status"].into_iter().find_map(|name| answer[name].as_str());
        name.unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    async fn ask(&self, phone: &str, ip: &str) -> String {
        self.invoked("send-code", json!({"phone_number": phone, "ip": ip})).await
    }

    /// The messages that this phone has received by now.
    async fn received(&self, phone: &str) -> Vec<Value> {
        self.get(&format!("/phones/{phone}/messages")).await["messages"].as_array().unwrap().clone()
    }

    /// The same, as soon as there are so many.
    async fn received_all(&self, phone: &str, count: usize) -> Vec<Value> {
        loop {
            let received = self.received(phone).await;
            if received.len() >= count {
                return received;
            }
            let after =
                received.last().map_or(String::new(), |last| format!("&after={}", last["sid"].as_str().unwrap()));
            self.get(&format!("/phones/{phone}/messages?wait=60s{after}")).await;
        }
    }
}

fn client() -> reqwest::Client {
    let timeouts = Timeouts { connect: Duration::from_mins(1), total: Duration::from_mins(2) };
    shared::runtime::http::Tls::new().unwrap().client(timeouts, shared::runtime::http::Connections::Fresh).unwrap()
}

#[tokio::test]
async fn a_test_of_an_app_reads_the_code_that_comes() {
    let local = start([]).await;
    let wait = format!("/phones/{PHONE}/messages?wait=60s");
    // The script waits before the app has asked for anything.
    let (waited, asked) = tokio::join!(local.get(&wait), local.ask(PHONE, IP));
    assert_eq!(asked, "sent");
    let message = waited["messages"][0].clone();
    let code = message["code"].as_str().unwrap();
    assert!(message["body"].as_str().unwrap().ends_with(code), "{message}");
    assert_eq!((&message["direction"], &message["to"]), (&json!("received"), &json!(PHONE)));
    assert_eq!(local.invoked("check-code", json!({"phone_number": PHONE, "code": code})).await, "approved");

    // What came later only, by the message or by the time.
    let (sid, at) = (message["sid"].as_str().unwrap(), message["at"].as_str().unwrap());
    local.clock.advance_seconds(31);
    for after in [sid, at] {
        let later = local.get(&format!("/phones/%2B14155550123/messages?after={after}")).await;
        assert_eq!(later, json!({"messages": []}), "{after}");
    }
    local.ask(PHONE, IP).await;
    for after in [sid, at] {
        let later = local.get(&format!("{wait}&after={after}")).await;
        assert_eq!(later["messages"].as_array().unwrap().len(), 1, "{after}");
    }
    let phones = local.get("/phones").await;
    assert_eq!((&phones["phones"][0]["number"], &phones["phones"][0]["messages"]), (&json!(PHONE), &json!(2)));
}

#[tokio::test]
async fn a_function_is_invoked_by_the_arn_that_production_has() {
    let local = start([]).await;
    let check = json!({"phone_number": PHONE, "code": CODE});
    for name in [
        "check-code",
        "check-code:live",
        "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Atollgate-CheckCode-mP0Z8xkWq2Yc%3Alive",
    ] {
        assert_eq!(local.invoked(name, check.clone()).await, "expired", "{name}");
    }
    let path = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Aother/invocations";
    let (status, error) = local.call(Method::POST, path, Some(check)).await;
    assert_eq!((status, &error["__type"]), (StatusCode::NOT_FOUND, &json!("ResourceNotFoundException")));
    assert!(error["message"].as_str().unwrap().contains("delivery-status and checklist"), "{error}");
}

#[tokio::test]
async fn a_phone_texts_the_service_and_the_answer_arrives() {
    let local = start([]).await;
    let texted = local.post(&format!("/phones/{PHONE}/messages"), json!({"body": "Hello <b>"})).await;
    assert_eq!(texted["message"]["body"], "Hello <b>");
    assert_eq!((&texted["message"]["direction"], &texted["message"]["to"]), (&json!("sent"), &json!(OUR_NUMBER)));
    assert_eq!(texted["webhook"]["status"], 200);
    assert_eq!(texted["replies"][0]["body"], "Thanks for your message!");
    let bodies = async |direction: &str| {
        let answer = local.get(&format!("/phones/{PHONE}/messages?direction={direction}")).await;
        answer["messages"].as_array().unwrap().iter().map(|message| message["body"].clone()).collect::<Vec<_>>()
    };
    local.received_all(PHONE, 1).await;
    assert_eq!(bodies("all").await, ["Hello <b>", "Thanks for your message!"]);
    assert_eq!(bodies("sent").await, ["Hello <b>"]);
    assert_eq!(bodies("received").await, ["Thanks for your message!"]);
}

#[tokio::test]
async fn an_attachment_is_what_its_bytes_are() {
    let local = start([]).await;
    let html = "PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==";
    let media = json!([format!("data:image/png;base64,{PNG}"), format!("data:image/png;base64,{html}")]);
    let texted = local.post(&format!("/phones/{PHONE}/messages"), json!({"body": "look", "media": media})).await;
    let kinds: Vec<_> = texted["message"]["media"].as_array().unwrap().iter().collect();
    assert_eq!(kinds[0]["content_type"], "image/png");
    assert_eq!(kinds[1]["content_type"], "application/octet-stream");
    let script = kinds[1]["url"].as_str().unwrap();
    let answer = client().get(format!("{}{script}", local.system.base_url)).send().await.unwrap();
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/octet-stream");
    assert!(answer.headers()[header::CONTENT_DISPOSITION].to_str().unwrap().starts_with("attachment"));
    assert_eq!(answer.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
}

#[tokio::test]
async fn a_phone_that_is_forgotten_may_have_codes_again_and_forgetting_all_forgets_the_ip_as_well() {
    let local = start([("IP_LIMIT", "2/1h")]).await;
    assert_eq!(local.ask(PHONE, IP).await, "sent");
    assert_eq!(local.ask(PHONE, IP).await, "phone_limit");
    let (status, _) = local.call(Method::DELETE, &format!("/phones/{PHONE}"), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(local.received(PHONE).await.is_empty());
    assert_eq!(local.ask(PHONE, IP).await, "sent");

    assert_eq!(local.ask("+14155550199", IP).await, "ip_limit");
    local.post("/faults", json!({"kind": "timeout"})).await;
    local.call(Method::DELETE, "/phones", None).await;
    assert_eq!(local.get("/phones").await, json!({"phones": []}));
    assert_eq!(local.get("/faults").await, json!({"faults": []}));
    assert_eq!(local.ask("+14155550199", IP).await, "sent");
}

/// What a fault does to a send: the answer, whether the SMS arrives, and the answer to a repeat of the same request.
#[tokio::test]
async fn each_fault_of_twilio_is_met_as_the_readme_says() {
    // send-code waits for Twilio no longer than this.
    let timeouts = Timeouts { connect: Duration::from_mins(1), total: Duration::from_millis(300) };
    let local = start_with(
        [("PHONE_LIMIT", "80/1h"), ("IP_LIMIT", "off"), ("RANGE_LIMIT", "off")],
        Deadlines { twilio: timeouts, ..no_waits() },
        None,
    )
    .await;
    for (number, (fault, first, arrives, repeated)) in [
        (json!({"kind": "timeout"}), "unknown", true, "unknown"),
        (json!({"kind": "http_500"}), "unknown", false, "unknown"),
        (json!({"kind": "http_429", "times": 1}), "sent", true, "sent"),
        (json!({"kind": "http_429"}), "TwilioUnavailable", false, "TwilioUnavailable"),
        (json!({"kind": "connection_reset"}), "unknown", false, "unknown"),
        (json!({"kind": "twilio_error", "code": 21610}), "opted_out", false, "opted_out"),
        (json!({"kind": "twilio_error", "code": 21408}), "rejected_by_twilio", false, "rejected_by_twilio"),
        (json!({"kind": "twilio_error", "code": 21614}), "rejected_by_twilio", false, "rejected_by_twilio"),
        (json!({"kind": "twilio_error", "code": 30003}), "sent", false, "sent"),
        (json!({"kind": "late_delivery", "seconds": 86400}), "sent", false, "sent"),
    ]
    .into_iter()
    .enumerate()
    {
        let phone = format!("+1415555{:04}", 1000 * (number % 9) + number);
        local.post("/faults", fault.clone()).await;
        let request = json!({"phone_number": phone, "ip": IP, "idempotency_key": format!("{number}")});
        assert_eq!(local.invoked("send-code", request.clone()).await, first, "{fault}");
        assert_eq!(local.invoked("send-code", request).await, repeated, "{fault}");
        let received = local.received_all(&phone, usize::from(arrives)).await;
        assert_eq!(received.len(), usize::from(arrives), "{fault}");
        local.call(Method::DELETE, "/faults", None).await;
    }
}

/// A function that has begun goes on when its caller hangs up: on Lambda, and so here.
#[tokio::test]
async fn a_caller_that_hangs_up_ends_no_function() {
    let timeouts = Timeouts { connect: Duration::from_mins(1), total: Duration::from_millis(300) };
    let local = start_with([], Deadlines { twilio: timeouts, ..no_waits() }, None).await;
    local.post("/faults", json!({"kind": "timeout"})).await;
    let impatient = Timeouts { connect: Duration::from_mins(1), total: Duration::from_millis(50) };
    let impatient = shared::runtime::http::Tls::new()
        .unwrap()
        .client(impatient, shared::runtime::http::Connections::Fresh)
        .unwrap();
    let url = format!("{}/2015-03-31/functions/send-code/invocations", local.system.base_url);
    let request = json!({"phone_number": PHONE, "ip": IP, "idempotency_key": "one"});
    assert!(impatient.post(url).body(request.to_string()).send().await.unwrap_err().is_timeout());
    // Twilio has it, and so has the phone; the answer is recorded when send-code has waited long enough.
    assert_eq!(local.received_all(PHONE, 1).await.len(), 1);
    local.until_event("\"summary\":\"unknown\"").await;
    assert_eq!(local.invoked("send-code", request).await, "unknown");
}

#[tokio::test]
async fn without_dynamodb_nothing_is_sent_and_a_moment_of_throttling_is_waited_for() {
    let local = start([]).await;
    for kind in ["dynamodb_away", "dynamodb_throttled"] {
        local.post("/faults", json!({"kind": kind})).await;
        assert_eq!(local.ask(PHONE, IP).await, "StoreUnavailable", "{kind}");
        // The gate can be looked at all the same.
        assert_eq!(local.get(&format!("/gate?phone_number=%2B14155550123&ip={IP}")).await["country"], "US");
        local.call(Method::DELETE, "/faults", None).await;
    }
    assert!(local.received(PHONE).await.is_empty());
    local.post("/faults", json!({"kind": "dynamodb_throttled", "times": 1})).await;
    assert_eq!(local.ask(PHONE, IP).await, "sent");
}

#[tokio::test]
async fn a_rotation_loses_nothing_and_a_stale_secret_is_said() {
    let local = start([]).await;
    for (secret, number) in [("api_key", 1), ("auth_token", 2)] {
        local.post("/secrets/rotate", json!({"secret": secret})).await;
        assert_eq!(local.ask(&format!("+1415555019{number}"), IP).await, "sent");
        // A forged webhook or a 401 asks Secrets Manager at most once a minute.
        local.clock.advance_seconds(61);
        let texted = local.post(&format!("/phones/{PHONE}/messages"), json!({"body": "Hello"})).await;
        assert_eq!(texted["webhook"]["status"], 200, "{secret}");
    }
    local.clock.advance_seconds(61);
    local.post("/secrets/rotate", json!({"secret": "api_key", "where": "twilio"})).await;
    assert_eq!(local.ask("+14155550198", IP).await, "TwilioUnavailable");
}

#[tokio::test]
async fn a_forged_webhook_is_turned_away_and_a_repeated_one_is_taken_once() {
    let local = start([]).await;
    let texted = async |fault: &str, body: &str| {
        local.post("/faults", json!({"kind": fault, "times": 1})).await;
        local.post(&format!("/phones/{PHONE}/messages"), json!({"body": body})).await
    };
    let forged = texted("forged_signature", "one").await;
    assert_eq!((&forged["webhook"]["status"], &forged["replies"]), (&json!(403), &json!([])));
    let items = async || {
        let items = local
            .system
            .send_code
            .table
            .items
            .client
            .scan()
            .table_name(local::fixtures::TABLE_NAME)
            .send()
            .await
            .unwrap();
        items.items().iter().filter(|item| item["pk"].as_s().unwrap().starts_with("message#")).count()
    };
    assert_eq!(items().await, 0);
    assert_eq!(texted("duplicate_webhook", "two").await["webhook"]["status"], 200);
    assert_eq!(items().await, 1);
}

#[tokio::test]
async fn the_clock_moves_for_all_parts_at_once() {
    let local = start([]).await;
    assert_eq!(local.ask(PHONE, IP).await, "sent");
    assert_eq!(local.ask(PHONE, IP).await, "phone_limit");
    let before = local.clock.now_ms();
    assert_eq!(local.post("/clock", json!({"advance": "30s"})).await, json!({"now_ms": before + 30_000}));
    assert_eq!(local.ask(PHONE, IP).await, "sent");
    let code = local.received_all(PHONE, 2).await[1]["code"].clone();
    local.post("/clock", json!({"advance": "10m"})).await;
    assert_eq!(local.invoked("check-code", json!({"phone_number": PHONE, "code": code})).await, "expired");
}

/// What the gate shows as full is what refuses, for as long as it shows: through sends, checks, refusals and time.
#[tokio::test]
async fn the_gate_shows_exactly_what_will_be_decided() {
    let limits = [
        ("PHONE_LIMIT", "1/30s, 3/5m"),
        ("IP_LIMIT", "4/4m"),
        ("RANGE_LIMIT", "3/4m"),
        ("NETWORK_LIMIT", "3/2m"),
        ("COUNTRY_LIMIT", "6/3m"),
        ("SPEND_LIMIT", "$0.13/4m"),
        // It is no limit with places, which is what the gate shows.
        ("BLOCK_RECORD", "off"),
        ("TOTAL_LIMIT", "14/5m"),
    ];
    let local = start(limits).await;
    let phones = ["+14155550123", "+14155550199", "+14155551123", "+16135550142", "+14155552123"];
    let ips = ["203.0.113.7", "2001:db8::1", "198.51.100.9"];
    let mut seed: u64 = 7;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let (mut sent, mut refused) = (0, std::collections::BTreeSet::new());
    for step in 0..400 {
        let (phone, ip) = (phones[usize::try_from(random(5)).unwrap()], ips[usize::try_from(random(3)).unwrap()]);
        local.clock.advance_ms(random(15_000));
        let gate = local.get(&format!("/gate?phone_number={}&ip={ip}", phone.replace('+', "%2B"))).await;
        let now_ms = gate["now_ms"].as_u64().unwrap();
        let full = |limit: &str, rule: &str| -> Option<u64> {
            let limit = gate["limits"].as_array().unwrap().iter().find(|shown| shown["name"] == limit).unwrap();
            let rule = limit["rules"].as_array().unwrap().iter().find(|shown| shown["rule"] == rule).unwrap();
            free_at(rule, now_ms)
        };
        let all_free = gate["limits"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|limit| limit["applies"] == true)
            .all(|limit| limit["rules"].as_array().unwrap().iter().all(|rule| free_at(rule, now_ms).is_none()));
        let answer = local
            .post("/2015-03-31/functions/send-code/invocations", json!({"phone_number": phone, "ip": ip, "code": CODE}))
            .await;
        assert_eq!(answer["status"] == "sent", all_free, "step {step}: {answer} {gate}");
        if answer["status"] == "sent" {
            sent += 1;
            if random(12) == 0 {
                local.invoked("check-code", json!({"phone_number": phone, "code": CODE})).await;
            }
        } else {
            let reason = answer["reason"].as_str().unwrap();
            let free_at = full(reason, answer["rule"].as_str().unwrap()).unwrap();
            assert_eq!(answer["retry_after"].as_u64().unwrap(), (free_at - now_ms).div_ceil(1000), "{answer} {gate}");
            refused.insert(reason.to_owned());
        }
    }
    assert!(sent > 20, "{sent}");
    let all =
        ["country_limit", "ip_limit", "network_limit", "phone_limit", "range_limit", "spend_limit", "total_limit"];
    assert_eq!(refused.into_iter().collect::<Vec<_>>(), all);
}

/// When a rule that is full has a place again.
fn free_at(rule: &Value, now_ms: u64) -> Option<u64> {
    let entries = rule["entries"].as_array().unwrap();
    let used = |at_ms: u64| -> u64 {
        let still = entries.iter().filter(|entry| entry["until_ms"].as_u64().unwrap() > at_ms);
        still.map(|entry| entry["count"].as_u64().unwrap()).sum()
    };
    let limit = rule["most"].as_u64().unwrap();
    let mut ends: Vec<u64> = entries.iter().map(|entry| entry["until_ms"].as_u64().unwrap()).collect();
    ends.sort_unstable();
    (used(now_ms) >= limit).then(|| ends.into_iter().find(|end| used(*end) < limit).unwrap())
}

#[tokio::test]
async fn what_can_not_be_is_refused_with_what_to_do() {
    let local = start([]).await;
    let text = json!({"body": "Hello"});
    for (method, path, body, expected, says) in [
        (Method::GET, "/phones/4155550123/messages", None, 400, "E.164"),
        (Method::GET, "/phones/+14155550123/messages?wait=2h", None, 400, "at most 60s"),
        (Method::GET, "/phones/+14155550123/messages?after=yesterday", None, 400, "2026-01-31T12:00:00Z"),
        (Method::GET, "/phones/+14155550123/messages?since=1", None, 400, "after, wait and direction"),
        (Method::GET, "/phones/+14155550123/messages?direction=up", None, 400, "received, sent or all"),
        (Method::POST, "/phones/+14155550123/messages", Some(json!({"text": "Hello"})), 400, "unknown field `text`"),
        (Method::POST, "/phones/+14155550123/messages", Some(json!({})), 400, ""),
        (
            Method::POST,
            "/phones/+14155550123/messages",
            Some(json!({"media": ["https://example.com/x.png"]})),
            400,
            "data URL",
        ),
        (Method::POST, "/phones/4155550123/messages", Some(text), 400, "E.164"),
        (Method::POST, "/phones/+14155550123/messages", None, 415, "application/json"),
        (Method::POST, "/faults", Some(json!({"kind": "fire"})), 400, "expected one of timeout"),
        (Method::DELETE, "/faults/7", None, 404, "no fault"),
        (Method::POST, "/clock", Some(json!({"advance": "soon"})), 400, "30s, 10m, 1h or 1d"),
        (Method::POST, "/clock", Some(json!({"advance": "400d"})), 400, "366d"),
        (Method::POST, "/secrets/rotate", Some(json!({"secret": "all"})), 400, "auth_token"),
        (Method::GET, "/gate", None, 400, "phone_number"),
        (Method::GET, "/gate?phone_number=415&ip=203.0.113.7", None, 400, "phone_number:"),
        (Method::GET, "/gate?phone_number=%2B14155550123&ip=here", None, 400, "ip:"),
    ] {
        let (status, answer) = local.call(method.clone(), path, body).await;
        let error = answer["error"].as_str().unwrap_or_else(|| panic!("{method} {path}: {answer}"));
        assert_eq!(status.as_u16(), expected, "{method} {path}: {error}");
        assert!(error.contains(says), "{method} {path}: {error}");
    }
}

#[tokio::test]
async fn a_page_of_another_host_gets_nothing_and_does_nothing() {
    let local = start([]).await;
    let port = local.system.base_url.rsplit(':').next().unwrap().to_owned();
    for (host, origin, allowed) in [
        (format!("127.0.0.1:{port}"), None, true),
        (format!("localhost:{port}"), Some("http://localhost:3000"), true),
        (format!("[::1]:{port}"), None, true),
        (format!("evil.example:{port}"), None, false),
        ("127.0.0.1.evil.example".to_owned(), None, false),
        (format!("127.0.0.1:{port}"), Some("https://evil.example"), false),
        (format!("127.0.0.1:{port}"), Some("http://127.0.0.1.evil.example"), false),
        (format!("127.0.0.1:{port}"), Some("null"), false),
    ] {
        for (method, path) in [
            (Method::GET, "/"),
            (Method::GET, "/events"),
            (Method::GET, "/phones"),
            (Method::GET, "/gate"),
            (Method::GET, "/page.js"),
            (Method::POST, "/"),
            (Method::OPTIONS, "/"),
            (Method::POST, "/sms"),
            (Method::POST, "/2015-03-31/functions/send-code/invocations"),
            (Method::POST, "/faults"),
            (Method::DELETE, "/phones"),
        ] {
            let request = client().request(method.clone(), format!("{}{path}", local.system.base_url));
            let mut request = request.header(header::HOST, &host);
            if let Some(origin) = origin {
                request = request.header(header::ORIGIN, origin);
            }
            let answer = request.send().await.unwrap();
            assert!(!answer.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "{method} {path}");
            let is_ours = answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
            let turned_away = !is_ours && answer.text().await.unwrap().starts_with("This address ");
            assert_eq!(turned_away, !allowed, "{host} {origin:?} {method} {path}");
        }
    }
    // What a browser fetches for a page of another site, without saying its origin; only a link may lead here.
    for (site, mode, allowed) in
        [("cross-site", "no-cors", false), ("cross-site", "navigate", true), ("same-origin", "cors", true)]
    {
        let request = client().get(format!("{}/phones", local.system.base_url));
        let request = request.header("sec-fetch-site", site).header("sec-fetch-mode", mode);
        assert_eq!(request.send().await.unwrap().status() == StatusCode::OK, allowed, "{site} {mode}");
    }
}

#[tokio::test]
async fn the_page_fetches_nothing_from_elsewhere_and_runs_nothing_but_its_own_script() {
    let local = start([]).await;
    let base = &local.system.base_url;
    let page = client().get(base).header(header::ACCEPT, "text/html,*/*").send().await.unwrap();
    let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    let html = page.text().await.unwrap();
    for part in html.split(['"', '\'']).filter(|part| part.contains("://")) {
        assert!(!html.contains(&format!("src=\"{part}\"")) && !html.contains(&format!("href=\"{part}\"")), "{part}");
    }
    assert!(!html.contains("style=\"") && !html.contains(" onclick"), "the policy forbids inline styles and handlers");
    // Every script that the document names, and every one that these import.
    let scripts = |text: &str| {
        let named = text
            .split('"')
            .filter(|part| part.rsplit_once('.').is_some_and(|(_, end)| end == "js") && !part.contains(' '));
        named.map(|name| format!("/{}", name.trim_start_matches(['.', '/']))).collect::<Vec<_>>()
    };
    let (mut due, mut seen) = (scripts(&html), Vec::new());
    while let Some(path) = due.pop() {
        if seen.contains(&path) {
            continue;
        }
        let script = client().get(format!("{base}{path}")).send().await.unwrap();
        assert_eq!(script.status(), StatusCode::OK, "{path}");
        assert_eq!(script.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8", "{path}");
        assert_eq!(script.headers()[header::CONTENT_SECURITY_POLICY], policy, "{path}");
        let script = script.text().await.unwrap();
        for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "srcdoc", "eval(", "Function("] {
            assert!(!script.contains(sink), "{path} has {sink}");
        }
        due.extend(scripts(&script));
        seen.push(path);
    }
    assert!(seen.contains(&"/page.js".to_owned()) && seen.contains(&"/tools.js".to_owned()), "{seen:?}");
    // Clients other than browsers get the overview.
    let overview = client().get(base).send().await.unwrap().text().await.unwrap();
    assert!(overview.starts_with("All of Tollgate on this machine."), "{overview}");
}

#[tokio::test]
async fn a_listener_receives_the_state_and_then_each_change() {
    let local = start([]).await;
    local.ask(PHONE, IP).await;
    let mut events = client().get(format!("{}/events", local.system.base_url)).send().await.unwrap();
    let mut heard = String::new();
    let mut until = async |what: &str| {
        while !heard.contains(what) {
            heard.push_str(&String::from_utf8_lossy(&events.chunk().await.unwrap().unwrap()));
        }
        std::mem::take(&mut heard)
    };
    let state = until("\n\n").await;
    assert!(state.starts_with("event: state\n"), "{state}");
    let state: Value = serde_json::from_str(state.lines().nth(1).unwrap().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(state["messages"][0]["to"], PHONE);
    assert_eq!(state["settings"]["PhoneLimit"], "1/30s, 3/1h, 10/1d");
    assert!(state["activity"].as_array().unwrap().iter().any(|exchange| exchange["summary"] == "sent"), "{state}");

    local.post(&format!("/phones/{PHONE}/messages"), json!({"body": "two\nlines\r\n\r\nevent: forgotten"})).await;
    let events = until("Thanks for your message!").await;
    assert!(events.contains("event: message\n") && !events.contains("\nevent: forgotten"), "{events}");
}
