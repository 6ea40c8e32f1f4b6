//! The system under test, its clock, and a check of everything that it logs.

use aws_sdk_dynamodb::types::AttributeValue;
use axum::http::HeaderMap;
use check_code::CheckCodeError;
use fake_twilio::DeliveryTiming;
use lambda_http::Body;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use local::fixtures::{ACCOUNT_SID, API_KEY_SECRET, AUTH_TOKEN, OUR_NUMBER, signed_event};
use local::system::{Options, System, WrapHttpClient};
use send_code::SendCodeError;
use send_code::answer::Answer;
use serde_json::{Value, json};
use shared::runtime::backoff::Backoff;
use shared::runtime::clock::Clock;
use shared::runtime::dependencies::{ChecklistDeadlines, Deadlines};
use shared::runtime::http::Timeouts;
use shared::runtime::metrics::Sink;
use shared::twilio::form::Form;
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;
use tracing::level_filters::LevelFilter;

/// Part of every message text in these tests, so that a leak into a log is detected.
pub const PRIVATE: &str = "between you and me";
/// A code that can't be mistaken for a timestamp.
pub const CODE: &str = "4930271865";

/// The system with its clock.
pub struct Local {
    pub system: System,
    pub clock: TestClock,
    metrics: Arc<Mutex<Vec<Value>>>,
}

#[derive(Clone)]
pub struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub fn new() -> Self {
        // Not a whole second, so that wrong rounding fails a test.
        Self(Arc::new(AtomicU64::new(1_800_000_000_250)))
    }

    pub fn advance_ms(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }

    pub fn advance_seconds(&self, seconds: u64) {
        self.advance_ms(seconds * 1000);
    }

    pub fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    pub fn clock(&self) -> Clock {
        let now_ms = self.0.clone();
        Clock::new(move || now_ms.load(Ordering::SeqCst))
    }
}

/// No waiting between tries, and all the time that a busy machine may need for an answer.
pub fn no_waits() -> Deadlines {
    let at_once = Backoff { tries: 3, base: Duration::ZERO, cap: Duration::ZERO };
    let minute = Duration::from_mins(1);
    let twilio = Timeouts { connect: minute, total: minute };
    Deadlines {
        twilio,
        twilio_total: minute,
        twilio_backoff: at_once,
        table_backoff: Backoff { tries: 5, ..at_once },
        webhook: minute,
        checklist: ChecklistDeadlines { twilio, ..Deadlines::LAMBDA.checklist },
    }
}

pub async fn start<const N: usize>(settings: [(&str, &str); N]) -> Local {
    start_with(settings, no_waits(), None).await
}

pub async fn start_with<const N: usize>(
    settings: [(&str, &str); N],
    deadlines: Deadlines,
    aws_http: Option<WrapHttpClient>,
) -> Local {
    watch_logs();
    let clock = TestClock::new();
    // The fake Twilio would report every delivery; a test that wants reports sets the callback.
    let settings = [("STATUS_CALLBACK", "")].into_iter().chain(settings);
    let settings = settings.map(|(variable, value)| (variable.to_owned(), value.to_owned())).collect();
    let metrics = Arc::<Mutex<Vec<Value>>>::default();
    let sink = {
        let metrics = metrics.clone();
        Sink::new(move |line| metrics.lock().unwrap().push(metric_line(line)))
    };
    let (clock_, delivery_timing) = (clock.clock(), DeliveryTiming::AT_ONCE);
    let options =
        Options { settings, clock: clock_, delivery_timing, deadlines, aws_http, metrics: sink, ..Options::default() };
    Local { system: System::start(options).await.unwrap(), clock, metrics }
}

impl Local {
    /// Invokes send-code.
    pub async fn send(&self, phone: &str, ip: &str) -> Result<Answer, SendCodeError> {
        self.invoke(json!({"phone_number": phone, "ip": ip})).await
    }

    /// Invokes send-code with this event, each time under a new request id.
    pub async fn invoke(&self, event: Value) -> Result<Answer, SendCodeError> {
        static INVOCATIONS: AtomicU64 = AtomicU64::new(0);
        let request_id = format!("request-{}", INVOCATIONS.fetch_add(1, Ordering::SeqCst));
        send_code::handle(&self.system.send_code, &request_id, &event).await
    }

    /// Invokes check-code: the name of its answer, or of its error.
    pub async fn check(&self, phone: &str, code: &str) -> &'static str {
        self.checked(phone, code).await.map_or_else(|error| error.kind(), |answer| answer.status())
    }

    /// Invokes check-code.
    pub async fn checked(&self, phone: &str, code: &str) -> Result<check_code::answer::Answer, CheckCodeError> {
        let event = json!({"phone_number": phone, "code": code});
        check_code::handle(&self.system.check_code, "request-check", &event).await
    }

    /// Invokes check-code with this event.
    pub async fn check_event(&self, event: Value) -> Result<check_code::answer::Answer, CheckCodeError> {
        check_code::handle(&self.system.check_code, "request-check", &event).await
    }

    /// The code in the newest SMS.
    pub fn last_code(&self) -> String {
        self.texts().pop().unwrap_or_default().chars().filter(char::is_ascii_digit).collect()
    }

    /// The code in the newest SMS to a phone.
    pub fn code_to(&self, phone: &str) -> String {
        let messages = self.system.twilio.messages();
        let text = &messages.iter().rfind(|message| message.to == phone).unwrap().body;
        text.chars().filter(char::is_ascii_digit).collect()
    }

    /// Invokes send-code, and reads the code in the SMS.
    pub async fn code(&self, phone: &str, ip: &str) -> String {
        assert_eq!(outcome(&self.send(phone, ip).await), "sent", "{phone} {ip}");
        self.code_to(phone)
    }

    /// The texts that Twilio has accepted from send-code, oldest first.
    pub fn texts(&self) -> Vec<String> {
        self.system.twilio.messages().into_iter().map(|message| message.body).collect()
    }

    /// A user's text, in a webhook signed with this token.
    pub async fn text_in(&self, from: &str, body: &str, sid: &str) -> (i64, String) {
        self.webhook(AUTH_TOKEN, &message(from, body, sid)).await
    }

    /// A webhook with this form, signed with this token for the URL that inbound-sms is called under.
    pub async fn webhook(&self, auth_token: &str, form: &Form) -> (i64, String) {
        self.event(self.signed("/sms", auth_token, form)).await
    }

    /// A status callback signed with this token: the status and the body of the answer.
    pub async fn reported(&self, auth_token: &str, form: &Form) -> (i64, String) {
        let event = self.signed("/sms/status", auth_token, form);
        let answer = delivery_status::handle(&self.system.delivery_status, event).await;
        assert_eq!(answer.body.is_none(), answer.status_code == 204, "{answer:?}");
        let Some(Body::Text(text)) = answer.body else { return (answer.status_code, String::new()) };
        (answer.status_code, text)
    }

    /// As [`Self::reported`]; only the status of the answer.
    pub async fn report(&self, auth_token: &str, form: &Form) -> i64 {
        self.reported(auth_token, form).await.0
    }

    /// The event of a call of this path with this form, signed with this token.
    pub fn signed(&self, path: &str, auth_token: &str, form: &Form) -> Value {
        signed_event(&self.system.base_url, path, auth_token, form).unwrap()
    }

    /// The metrics since the last call, one line each: `Refused=1 Reason=ip_limit …`, sorted, without the stack and the latency.
    pub fn counted(&self) -> Vec<String> {
        self.metric_lines().iter().map(shown).collect()
    }

    /// The same metrics, as they were written.
    pub fn metric_lines(&self) -> Vec<Value> {
        std::mem::take(&mut *self.metrics.lock().unwrap())
    }

    /// inbound-sms with this event: the status and the body of the answer.
    pub async fn event(&self, event: Value) -> (i64, String) {
        let ApiGatewayV2httpResponse { status_code, body, headers, .. } =
            inbound_sms::handle(&self.system.inbound_sms, event).await;
        assert_eq!(content_type(&headers).starts_with("text/xml"), status_code == 200, "{headers:?}");
        match body {
            Some(Body::Text(text)) => (status_code, text),
            other => panic!("{other:?}"),
        }
    }
}

/// Reads a line of metrics. It must contain no more about a person than a log may, and every dimension and metric that it names,
/// as CloudWatch demands.
fn metric_line(line: &str) -> Value {
    let mut root: Value = serde_json::from_str(line).unwrap();
    for directive in root["_aws"]["CloudWatchMetrics"].as_array().unwrap() {
        let dimensions = directive["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap());
        assert!(dimensions.into_iter().all(|name| root[name.as_str().unwrap()].is_string()), "{line}");
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!(metrics.iter().all(|metric| root[metric["Name"].as_str().unwrap()].is_number()), "{line}");
    }
    let time = root["_aws"]["Timestamp"].take();
    assert!(time.is_u64() && !leaks(&root), "{line}");
    root
}

fn shown(line: &Value) -> String {
    let members =
        line.as_object().unwrap().iter().filter(|(name, _)| !["_aws", "Stack", "SendLatency"].contains(&name.as_str()));
    let members = members.map(|(name, value)| format!("{name}={}", value.to_string().trim_matches('"')));
    members.collect::<Vec<_>>().join(" ")
}

fn content_type(headers: &HeaderMap) -> &str {
    headers["content-type"].to_str().unwrap()
}

/// The event of an inbound message, signed for the domain to which it comes.
pub fn message_event(from: &str, body: &str, n: u64) -> Value {
    signed_event("https://ignored.example", "/sms", AUTH_TOKEN, &message(from, body, &sid(n))).unwrap()
}

/// An inbound message as Twilio's form has it.
pub fn message(from: &str, body: &str, sid: &str) -> Form {
    Form::from_pairs([
        ("AccountSid", ACCOUNT_SID),
        ("Body", body),
        ("From", from),
        ("MessageSid", sid),
        ("SmsStatus", "received"),
        ("To", OUR_NUMBER),
    ])
}

/// All items of the table whose key has this prefix.
pub async fn items(local: &Local, prefix: &str) -> Vec<HashMap<String, AttributeValue>> {
    let scan =
        local.system.send_code.table.items.client.scan().table_name(local::fixtures::TABLE_NAME).send().await.unwrap();
    let of_kind = |item: &HashMap<String, AttributeValue>| item["pk"].as_s().unwrap().starts_with(prefix);
    scan.items.unwrap().into_iter().filter(of_kind).collect()
}

/// The n-th MessageSid.
pub fn sid(n: u64) -> String {
    format!("SM{n:032x}")
}

/// The name of the refusal, or of the answer.
pub fn outcome(result: &Result<Answer, SendCodeError>) -> &'static str {
    match result {
        Ok(answer) => answer.refused().map_or(answer.status(), send_code::answer::Refused::reason),
        Err(error) => error.kind(),
    }
}

/// Runs them interleaved, on this task.
pub async fn interleaved<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut pending {
            if output.is_none()
                && let std::task::Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *output = Some(ready);
            }
        }
        let done = pending.iter().all(|(_, output)| output.is_some());
        if done { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    pending.into_iter().filter_map(|(_, output)| output).collect()
}

/// Everything that any test logs, at every level, goes through [`Watch`], which fails the tests that follow a leak.
fn watch_logs() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        tracing::subscriber::set_global_default(shared::runtime::telemetry::subscriber(LevelFilter::TRACE, || Watch))
            .unwrap();
    });
}

static LEAKS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static LINES: AtomicU64 = AtomicU64::new(0);

struct Watch;

impl Write for Watch {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        LINES.fetch_add(1, Ordering::SeqCst);
        let fields: Value =
            serde_json::from_slice(line).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(line).into()));
        if leaks(&fields) {
            LEAKS.lock().unwrap_or_else(PoisonError::into_inner).push(String::from_utf8_lossy(line).into());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a line contains a credential, a phone number, a code or a text. All numbers and codes in these tests have seven or
/// more digits in a row. Nothing else in a log has, except a time, a SID and an id.
fn leaks(fields: &Value) -> bool {
    let mut fields = fields.clone();
    if let Some(fields) = fields.as_object_mut() {
        fields.retain(|name, _| !["timestamp", "message_sid", "request_id"].contains(&name.as_str()));
    }
    let line = fields.to_string();
    // Six digits in a row: the shortest code that is generated here.
    let digits = line.as_bytes().windows(6).any(|six| six.iter().all(u8::is_ascii_digit));
    digits || [AUTH_TOKEN, API_KEY_SECRET, PRIVATE, "verification code"].iter().any(|secret| line.contains(secret))
}

impl Drop for Local {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let leaks = LEAKS.lock().unwrap_or_else(PoisonError::into_inner);
            assert!(leaks.is_empty(), "a log line leaks: {leaks:#?}");
        }
    }
}

/// Tests the watch: it detects a leak, and it sees the lines that the system logs.
#[tokio::test]
async fn the_watch_over_the_logs_detects_a_leak() {
    for line in [
        json!({"phone": "+14155550123"}),
        json!({"error": "code 493027"}),
        json!({"body": PRIVATE}),
        json!({"token": AUTH_TOKEN}),
        json!("no JSON, but +14155550123"),
    ] {
        assert!(leaks(&line), "{line}");
    }
    assert!(!leaks(
        &json!({"phone": "+1•••123", "message_sid": "SM12345678", "timestamp": "2027-01-15T08:00:00.123456Z"})
    ));

    let local = start([]).await;
    let before = LINES.load(Ordering::SeqCst);
    local.send("+14155550123", "203.0.113.7").await.unwrap();
    assert!(LINES.load(Ordering::SeqCst) > before);
}
