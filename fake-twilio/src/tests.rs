//! Twilio on a port of its own, called by a client that knows the account, and an app that Twilio calls.

use crate::account::TwilioAccount;
use crate::config::{DeliveryTiming, TwilioConfig};
use crate::conversation::{TextResult, WebhookCall};
use crate::exchanges::{Event, Exchange, ExchangeKind, ExchangeOutcome, Exchanges};
use crate::faults::{Faults, Kind, NewFault};
use crate::limits::{MAX_MEDIA_BYTES, TwilioTimeouts};
use crate::loopback;
use crate::media::Attachment;
use crate::message::{DeliveryState, Direction, Message};
use crate::resettable::{ConnectionHandle, ResettableListener};
use crate::rest;
use crate::sid::random_sid;
use crate::store::journal::{Journal, JournalError};
use crate::store::ledger::{Entry, clock_ahead_ms};
use crate::test_api;
use crate::twilio::FakeTwilio;
use crate::validation::GOOD_SENDER;
use crate::webhook::WebhookCallError;
use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::runtime::clock::Clock;
use shared::runtime::http::{Connections, Timeouts, Tls};
use shared::twilio::form::Form;
use shared::twilio::sid::is_sid;
use shared::twilio::signature::{self, AuthToken};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc};

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const KEY: &str = "SK0123456789abcdef0123456789abcdef";
const SERVICE: &str = "MG0123456789abcdef0123456789abcdef";
const OURS: &str = "+14155550100";
const PHONE: &str = "+14155550123";
const OTHER_PHONE: &str = "+14155550124";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR";

/// Nothing is sent before the test is over.
const NEVER: DeliveryTiming =
    DeliveryTiming { sent_after: Duration::from_hours(1), delivered_after: Duration::from_hours(2) };
const AT_ONCE: DeliveryTiming = DeliveryTiming::AT_ONCE;
/// As long as it takes, but for the answer that never comes.
const PATIENT: TwilioTimeouts = TwilioTimeouts {
    webhook: Duration::from_mins(10),
    held_webhook: Duration::from_mins(10),
    no_answer: Duration::ZERO,
};

/// What a case changes in a request that is fine. An empty value leaves the parameter out.
type Change<'a> = &'a [(&'a str, &'a str)];

struct Server {
    twilio: FakeTwilio,
    now_ms: Arc<AtomicU64>,
    heard: broadcast::Receiver<Event>,
    client: reqwest::Client,
    url: String,
}

fn ms(time: &str) -> u64 {
    u64::try_from(time.parse::<Timestamp>().unwrap().as_millisecond()).unwrap()
}

fn account() -> TwilioAccount {
    TwilioAccount {
        account_sid: ACCOUNT.to_owned(),
        auth_token: "token".to_owned(),
        api_key_sid: KEY.to_owned(),
        api_key_secret: "secret".to_owned(),
        numbers: vec![OURS.to_owned()],
        messaging_services: vec![SERVICE.to_owned()],
    }
}

impl Server {
    async fn start() -> Self {
        Self::start_with(NEVER, "http://127.0.0.1:9/sms", PATIENT, None).await
    }

    /// At noon UTC, with an `SmsUrl` that nobody answers.
    async fn start_at(timing: DeliveryTiming) -> Self {
        Self::start_with(timing, "http://127.0.0.1:9/sms", PATIENT, None).await
    }

    /// With this app behind our number.
    async fn start_for(app: &App) -> Self {
        Self::start_with(AT_ONCE, &format!("{}/sms", app.url), PATIENT, None).await
    }

    async fn start_with(
        timing: DeliveryTiming,
        sms_url: &str,
        timeouts: TwilioTimeouts,
        kept: Option<(Journal, Vec<Entry>)>,
    ) -> Self {
        let now_ms = Arc::new(AtomicU64::new(ms("2026-03-01T12:00:00Z")));
        let now = now_ms.clone();
        let clock = Clock::new(move || now.load(Ordering::SeqCst));
        let exchanges = Exchanges::new(clock.clone());
        let heard = exchanges.subscribe();
        let http_timeouts = Timeouts { connect: Duration::from_mins(1), total: Duration::from_mins(10) };
        let client = Tls::new().unwrap().client(http_timeouts, Connections::Fresh).unwrap();
        let (journal, past) = kept.map_or((None, vec![]), |(journal, past)| (Some(journal), past));
        let config = TwilioConfig {
            clock,
            http: client.clone(),
            faults: Faults::new(exchanges.clone()),
            exchanges,
            timing,
            journal,
            past,
            api_url: sms_url.trim_end_matches("/sms").to_owned(),
            sms_url: sms_url.to_owned(),
        };
        let twilio = FakeTwilio::with_timeouts(account(), config, timeouts);
        twilio.resume_deliveries();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router =
            rest::router(&twilio).merge(test_api::router(&twilio)).layer(axum::middleware::from_fn(loopback::guard));
        let router = router.into_make_service_with_connect_info::<ConnectionHandle>();
        tokio::spawn(async move { axum::serve(ResettableListener(listener), router).await });
        Self { twilio, now_ms, heard, client, url }
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method.parse().unwrap(), format!("{}{path}", self.url))
    }

    fn authenticated(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.request(method, path).basic_auth(KEY, Some("secret"))
    }

    async fn post(&self, form: &[(&str, &str)]) -> (u16, Value) {
        answer(self.authenticated("POST", &messages("")).form(form)).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.authenticated("GET", path)).await
    }

    async fn send(&self, body: &str) -> String {
        let (status, message) = self.post(&[("To", PHONE), ("From", OURS), ("Body", body)]).await;
        assert_eq!(status, 201, "{message}");
        message["sid"].as_str().unwrap().to_owned()
    }

    async fn text(&self, body: &str) -> TextResult {
        self.twilio.text(PHONE, OURS, body, vec![]).await.unwrap()
    }

    fn fault(&self, kind: Kind) {
        let mut fault = json!(kind);
        fault["number"] = json!(PHONE);
        fault["times"] = json!(1);
        let fault: NewFault = serde_json::from_value(fault).unwrap();
        self.twilio.faults().add(fault).unwrap();
    }

    /// The messages as they changed, until one of them is at its end.
    async fn until_final(&mut self) -> Vec<Message> {
        let mut changes = vec![];
        loop {
            if let Event::Message(message) = self.heard.recv().await.unwrap()
                && message.direction != Direction::Inbound
            {
                changes.push(*message);
                if changes.last().unwrap().status.is_final() {
                    return changes;
                }
            }
        }
    }

    /// The next exchange of this kind.
    async fn exchange(&mut self, kind: ExchangeKind) -> Exchange {
        loop {
            if let Event::Exchange(exchange) = self.heard.recv().await.unwrap()
                && exchange.kind == kind
            {
                return *exchange;
            }
        }
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

fn messages(query: &str) -> String {
    format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json{query}")
}

fn path(message: &Message) -> String {
    format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{}", message.sid)
}

fn changed(change: Change<'_>) -> Vec<(&str, &str)> {
    let mut form = vec![("To", PHONE), ("From", OURS), ("Body", "Hi")];
    form.retain(|(name, _)| !change.iter().any(|(changed, _)| changed == name));
    form.extend_from_slice(change);
    form
}

/// The texts on a page, in its order.
fn bodies(page: &Value) -> Vec<&str> {
    page["messages"].as_array().unwrap().iter().map(|message| message["body"].as_str().unwrap()).collect()
}

fn statuses(messages: &[Message]) -> Vec<&'static str> {
    messages.iter().map(|message| message.status.as_str()).collect()
}

/// A customer's server. It keeps what Twilio asked.
struct App {
    url: String,
    seen: mpsc::UnboundedReceiver<Seen>,
}

/// A request as the app got it.
struct Seen {
    method: String,
    uri: String,
    headers: HeaderMap,
    body: Bytes,
}

impl App {
    async fn start(answer: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, seen) = mpsc::unbounded_channel();
        let router = Router::new().fallback(async move |request: Request| {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let (method, uri) = (parts.method.to_string(), parts.uri.to_string());
            let seen = Seen { method, uri, headers: parts.headers, body };
            let response = answer(&seen);
            // Nobody may be looking any more.
            _ = sender.send(seen);
            response
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, seen }
    }

    /// Which answers everything with this TwiML.
    async fn saying(twiml: &'static str) -> Self {
        Self::start(move |_| xml(twiml)).await
    }

    async fn next(&mut self) -> Seen {
        self.seen.recv().await.unwrap()
    }
}

fn xml(twiml: &str) -> Response {
    ([(header::CONTENT_TYPE, "text/xml")], twiml.to_owned()).into_response()
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The signed parameters, if this token signed them for this app.
    fn verified(&self, app: &str, token: &str) -> Result<Form, signature::SignatureError> {
        let request = signature::SignedRequest {
            method: &self.method,
            url: &format!("{app}{}", self.uri),
            content_type: Some(self.header("content-type")),
            body: &self.body,
            signature: Some(self.header("x-twilio-signature")),
        };
        let verified = signature::verify([&AuthToken::new(token).unwrap()], &request)?;
        let query = self.uri.split_once('?').map_or("", |(_, query)| query);
        Ok(verified.form.unwrap_or_else(|| Form::parse(query.as_bytes())))
    }

    fn form(&self, app: &App) -> Form {
        self.verified(&app.url, "token").unwrap()
    }
}

fn fields<const N: usize>(form: &Form, names: [&'static str; N]) -> [Option<String>; N] {
    names.map(|name| form.text(name).unwrap().map(str::to_owned))
}

/// A folder that is gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(random_sid("tollgate-"));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("messages.jsonl")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

mod api;
mod inbound;
mod kept;
mod life;
mod phones;
