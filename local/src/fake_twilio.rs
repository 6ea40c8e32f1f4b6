//! A stand-in for Twilio's REST API that checks what Twilio checks.
//!
//! The one idea: a client with nothing but its base URL changed gets what it would get from Twilio, and the refusals
//! above all, so that a request which passes here passes there. The refusals stand in one table, in [`errors`].

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Value, json};

const API_VERSION: &str = "2010-04-01";
const MAX_BODY: usize = 1600;
const MAX_MEDIA: usize = 10;
const MAX_CALLBACK_URL: usize = 4000;
const MAX_VALIDITY_SECONDS: u32 = 36_000;
const DEFAULT_PAGE_SIZE: usize = 50;
const MAX_PAGE_SIZE: usize = 1000;

/// The parameters that take one of a few words, and the answer to any other word.
const CHOICES: [(&str, [&str; 2], TwilioError); 3] = [
    ("AddressRetention", ["retain", "obfuscate"], errors::ADDRESS_RETENTION),
    ("ContentRetention", ["retain", "discard"], errors::CONTENT_RETENTION),
    ("RiskCheck", ["enable", "disable"], errors::INVALID_PARAMETER),
];

/// Twilio's magic numbers for a sender that fails; `GOOD_SENDER` is the one that works.
/// `https://www.twilio.com/docs/iam/test-credentials`
const MAGIC_SENDERS: [(&str, TwilioError); 3] = [
    ("+15005550001", errors::FROM_INVALID),
    ("+15005550007", errors::FROM_NOT_OURS),
    ("+15005550008", errors::QUEUE_FULL),
];
const GOOD_SENDER: &str = "+15005550006";

/// Twilio's magic numbers for a recipient.
const MAGIC_RECIPIENTS: [(&str, TwilioError); 5] = [
    ("+15005550001", errors::TO_INVALID),
    ("+15005550002", errors::UNROUTABLE),
    ("+15005550003", errors::REGION),
    ("+15005550004", errors::OPTED_OUT),
    ("+15005550009", errors::NOT_MOBILE),
];

/// Where the time of a message comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The account that the fake knows, with what it owns.
#[derive(Clone)]
pub struct Account {
    /// `AC…`, in every path and the user name beside the auth token.
    pub account_sid: String,
    /// The account's secret: authenticates calls, and signs webhooks.
    pub auth_token: String,
    /// `SK…`, the user name beside the API key's secret.
    pub api_key_sid: String,
    /// The API key's secret: authenticates calls, signs nothing.
    pub api_key_secret: String,
    /// The numbers that it may send from.
    pub numbers: Vec<String>,
    /// The `MG…` that it may send through.
    pub messaging_services: Vec<String>,
}

impl Account {
    fn authenticates(&self, user: &str, password: &str) -> bool {
        [(&self.account_sid, &self.auth_token), (&self.api_key_sid, &self.api_key_secret)]
            .into_iter()
            .any(|(sid, secret)| sid == user && secret == password)
    }
}

/// Which way a message went, and who started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// A phone texted one of our numbers.
    Inbound,
    /// The API was called.
    OutboundApi,
    /// The answer to an inbound message.
    OutboundReply,
}

/// A message that was taken. Nothing is ever delivered, so it stays in its first state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `SM…`, or `MM…` with media.
    pub sid: String,
    /// The account's.
    pub account_sid: String,
    /// Which way it went.
    pub direction: Direction,
    /// The sender; none while a Messaging Service has yet to choose one.
    pub from: Option<String>,
    /// The recipient.
    pub to: String,
    /// The text, empty for media alone.
    pub body: String,
    /// The Messaging Service that it went through.
    pub messaging_service_sid: Option<String>,
    /// How many media it carries.
    pub num_media: usize,
    /// When it was taken.
    pub created: Timestamp,
    /// The parameters of the request, for those that Twilio never shows again: `ValidityPeriod`, `RiskCheck`, …
    pub parameters: Vec<(String, String)>,
}

impl Message {
    fn new(account: &Account, direction: Direction, from: Option<&str>, to: &str, body: &str, now: Timestamp) -> Self {
        Self {
            sid: random_sid(),
            account_sid: account.account_sid.clone(),
            direction,
            from: from.map(str::to_owned),
            to: to.to_owned(),
            body: body.to_owned(),
            messaging_service_sid: None,
            num_media: 0,
            created: now,
            parameters: Vec::new(),
        }
    }

    /// What Twilio would call its state.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self.direction {
            Direction::Inbound => "received",
            _ if self.from.is_none() => "accepted",
            _ => "queued",
        }
    }

    /// How many SMS it is billed as; none is known before there is a sender.
    #[must_use]
    pub fn num_segments(&self) -> usize {
        match self.from {
            None => 0,
            Some(_) if self.num_media > 0 => 1,
            Some(_) => segments(&self.body),
        }
    }

    /// The resource, as the API answers it.
    #[must_use]
    pub fn resource(&self) -> Value {
        let date = self.created.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string();
        let path = format!("/{API_VERSION}/Accounts/{}/Messages/{}", self.account_sid, self.sid);
        json!({
            "account_sid": self.account_sid,
            "api_version": API_VERSION,
            "body": self.body,
            "date_created": date,
            // What is queued has not been sent.
            "date_sent": (self.direction == Direction::Inbound).then_some(&date),
            "date_updated": date,
            "direction": self.direction,
            "error_code": null,
            "error_message": null,
            "from": self.from,
            "messaging_service_sid": self.messaging_service_sid,
            "num_media": self.num_media.to_string(),
            "num_segments": self.num_segments().to_string(),
            "price": null,
            // The price depends on the sender, and so does its currency.
            "price_unit": self.from.as_ref().map(|_| "USD"),
            "sid": self.sid,
            "status": self.status(),
            "subresource_uris": { "media": format!("{path}/Media.json") },
            "to": self.to,
            "uri": format!("{path}.json"),
        })
    }
}

/// Twilio with one account.
#[derive(Clone)]
pub struct FakeTwilio {
    clock: Clock,
    state: Arc<Mutex<Ledger>>,
}

impl FakeTwilio {
    /// A Twilio that knows this account and has no messages yet.
    #[must_use]
    pub fn new(account: Account, clock: Clock) -> Self {
        Self { clock, state: Arc::new(Mutex::new(Ledger { account, messages: Vec::new() })) }
    }

    /// The API, at the paths that it has at `https://api.twilio.com`.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/2010-04-01/Accounts/{account}/Messages.json", get(list).post(create))
            .route("/2010-04-01/Accounts/{account}/Messages/{message}", get(fetch))
            .method_not_allowed_fallback(async || Refusal::from(errors::METHOD_NOT_ALLOWED))
            .fallback(async |uri: Uri| errors::NOT_FOUND.about(&[uri.path()]))
            .with_state(self.clone())
    }

    /// Every message, the newest last.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.ledger().messages.clone()
    }

    /// Rotates the auth token: from now on the old one opens nothing.
    pub fn set_auth_token(&self, auth_token: String) {
        self.ledger().account.auth_token = auth_token;
    }

    /// Keeps a message that a phone sent to one of our numbers, as the webhook is about to tell it.
    #[must_use = "its SID belongs into the webhook"]
    pub fn record_inbound(&self, from: &str, to: &str, body: &str) -> Message {
        self.record(Direction::Inbound, from, to, body)
    }

    /// Keeps the message that the webhook was answered with.
    pub fn record_reply(&self, from: &str, to: &str, body: &str) {
        self.record(Direction::OutboundReply, from, to, body);
    }

    fn record(&self, direction: Direction, from: &str, to: &str, body: &str) -> Message {
        let now = (self.clock)();
        let mut ledger = self.ledger();
        let message = Message::new(&ledger.account, direction, Some(from), to, body, now);
        ledger.messages.push(message.clone());
        message
    }

    /// A panic elsewhere can't leave the ledger half written, so a poisoned lock is as good as another.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FakeTwilio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeTwilio").field("account_sid", &self.ledger().account.account_sid).finish_non_exhaustive()
    }
}

async fn create(
    _: Authenticated,
    State(twilio): State<FakeTwilio>,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Result<Response, Refusal> {
    // What is not a form has no parameters: Twilio reads JSON as a request without To.
    let parameters = Parameters(form.unwrap_or_default().0);
    let now = (twilio.clock)();
    let message = twilio.ledger().create(parameters, now)?;
    Ok((StatusCode::CREATED, Json(message.resource())).into_response())
}

async fn list(
    _: Authenticated,
    State(twilio): State<FakeTwilio>,
    uri: Uri,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, Refusal> {
    twilio.ledger().page(&uri, &Parameters(query)).map(Json)
}

async fn fetch(_: Authenticated, State(twilio): State<FakeTwilio>, uri: Uri) -> Result<Json<Value>, Refusal> {
    let ledger = twilio.ledger();
    // From the path as it came: what can't be decoded is merely not found.
    let sid = uri.path().strip_suffix(".json").and_then(|path| path.rsplit('/').next());
    let found = ledger.messages.iter().find(|message| Some(message.sid.as_str()) == sid);
    found.map(|message| Json(message.resource())).ok_or_else(|| errors::NOT_FOUND.about(&[uri.path()]))
}

/// The caller proved to be the account, or one of its API keys, and asks for that account.
struct Authenticated;

impl FromRequestParts<FakeTwilio> for Authenticated {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, twilio: &FakeTwilio) -> Result<Self, Refusal> {
        let account = &twilio.ledger().account;
        let asked_for = parts.uri.path().split('/').nth(3).unwrap_or_default();
        let ours = asked_for == account.account_sid;
        // What can't be an account is no resource at all, whoever asks.
        if !ours && !is_sid("AC", asked_for) {
            return Err(errors::NOT_FOUND.about(&[parts.uri.path()]));
        }
        let known =
            basic_credentials(&parts.headers).is_some_and(|(user, secret)| account.authenticates(&user, &secret));
        match (known, ours) {
            (true, true) => Ok(Self),
            (true, false) => Err(errors::NOT_FOUND.about(&[parts.uri.path()])),
            (false, _) => Err(errors::AUTHENTICATE.into()),
        }
    }
}

fn basic_credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, secret) = decoded.split_once(':')?;
    scheme.eq_ignore_ascii_case("Basic").then(|| (user.to_owned(), secret.to_owned()))
}

/// The account and its messages, the newest last.
struct Ledger {
    account: Account,
    messages: Vec<Message>,
}

impl Ledger {
    /// Takes a message, or nothing at all.
    fn create(&mut self, parameters: Parameters, now: Timestamp) -> Result<Message, Refusal> {
        let to = parameters.get("To").ok_or(errors::TO_MISSING)?;
        let (from, service) = check_sender(&self.account, &parameters)?;
        let (body, num_media) = check_content(&parameters)?;
        check_options(&parameters)?;
        check_recipient(to, from)?;

        let mut message = Message::new(&self.account, Direction::OutboundApi, from, to, body, now);
        message.messaging_service_sid = service.map(str::to_owned);
        message.num_media = num_media;
        if num_media > 0 {
            message.sid.replace_range(..2, "MM");
        }
        message.parameters = parameters.0;
        self.messages.push(message.clone());
        Ok(message)
    }

    /// One page of the messages, the newest first.
    fn page(&self, uri: &Uri, query: &Parameters) -> Result<Value, Refusal> {
        let page = query.number("Page", 0)?;
        let size = query.number("PageSize", DEFAULT_PAGE_SIZE)?;
        ensure(size > 0, errors::INVALID_QUERY.about(&["PageSize"]))?;
        ensure(size <= MAX_PAGE_SIZE, errors::PAGE_TOO_LARGE)?;
        let (on, since, until) = (query.date("DateSent")?, query.date("DateSent>")?, query.date("DateSent<")?);
        let mut found = self.messages.iter().rev().filter(|message| {
            let day = TimeZone::UTC.to_datetime(message.created).date();
            query.get("To").is_none_or(|to| to == message.to)
                && query.get("From").is_none_or(|from| Some(from) == message.from.as_deref())
                && on.is_none_or(|date| day == date)
                && since.is_none_or(|date| day >= date)
                && until.is_none_or(|date| day <= date)
        });

        // A token names the last message of the page before, so that a new message doesn't shift the page.
        let start = page * size;
        let token = query.get("PageToken");
        if let Some(token) = token {
            let last = found.position(|message| token.strip_prefix("PA") == Some(&message.sid));
            last.ok_or(errors::PAGE_TOKEN)?;
        } else if let Some(last) = start.checked_sub(1) {
            found.nth(last);
        }
        let shown: Vec<&Message> = found.by_ref().take(size).collect();
        let next = shown.last().filter(|_| found.next().is_some()).map(|last| format!("PA{}", last.sid));

        let link = |page: usize, token: Option<&str>| {
            let filters = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.starts_with("Page"));
            let paging = [format!("PageSize={size}"), format!("Page={page}")];
            let token = token.map(|token| format!("PageToken={token}"));
            let pairs: Vec<&str> = filters.chain(paging.iter().chain(&token).map(String::as_str)).collect();
            format!("{}?{}", uri.path(), pairs.join("&").trim_start_matches('&'))
        };
        Ok(json!({
            "end": (start + shown.len()).saturating_sub(1),
            "first_page_uri": link(0, None),
            "messages": shown.iter().map(|message| message.resource()).collect::<Vec<_>>(),
            "next_page_uri": next.map(|token| link(page + 1, Some(&token))),
            "page": page,
            "page_size": size,
            "previous_page_uri": page.checked_sub(1).map(|page| link(page, None)),
            "start": start,
            "uri": link(page, token),
        }))
    }
}

/// Refuses what doesn't hold.
fn ensure(holds: bool, refusal: impl Into<Refusal>) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(refusal.into()) }
}

/// The sender and the Messaging Service. With both, the service's sender is fixed.
fn check_sender<'a>(
    account: &Account,
    parameters: &'a Parameters,
) -> Result<(Option<&'a str>, Option<&'a str>), Refusal> {
    let (from, service) = match (parameters.get("From"), parameters.get("MessagingServiceSid")) {
        // A Messaging Service may also stand in From.
        (Some(from), None) if is_sid("MG", from) => (None, Some(from)),
        (None, None) => return Err(errors::FROM_MISSING.into()),
        given => given,
    };
    if let Some(sid) = service.filter(|sid| !account.messaging_services.iter().any(|ours| ours == sid)) {
        return Err(if is_sid("MG", sid) { errors::SERVICE_UNKNOWN } else { errors::SERVICE_INVALID }.into());
    }
    let Some(number) = from else { return Ok((None, service)) };
    if let Some((_, error)) = MAGIC_SENDERS.iter().find(|(magic, _)| *magic == number) {
        return Err(error.about(&[number]));
    }
    ensure(may_be_sender(number), errors::FROM_INVALID.about(&[number]))?;
    let ours = number == GOOD_SENDER || account.numbers.iter().any(|ours| ours == number);
    ensure(ours, errors::FROM_NOT_OURS.about(&[number]))?;
    Ok((from, service))
}

/// The text, and the number of media.
fn check_content(parameters: &Parameters) -> Result<(&str, usize), Refusal> {
    let body = parameters.get("Body").unwrap_or_default();
    let num_media = parameters.all("MediaUrl").count();
    let content = parameters.get("ContentSid");
    ensure(!body.is_empty() || num_media > 0 || content.is_some(), errors::BODY_MISSING)?;
    // Characters outside the Basic Multilingual Plane count twice.
    ensure(body.encode_utf16().count() <= MAX_BODY, errors::BODY_TOO_LONG)?;
    ensure(num_media <= MAX_MEDIA, errors::TOO_MANY_MEDIA)?;
    ensure(content.is_none_or(|sid| is_sid("HX", sid)), errors::CONTENT_INVALID)?;
    Ok((body, num_media))
}

fn check_options(parameters: &Parameters) -> Result<(), Refusal> {
    let is_validity = |text: &str| text.parse().is_ok_and(|seconds| (1..=MAX_VALIDITY_SECONDS).contains(&seconds));
    ensure(parameters.get("ValidityPeriod").is_none_or(is_validity), errors::VALIDITY_PERIOD)?;
    if let Some(url) = parameters.get("StatusCallback") {
        ensure(is_public_url(url), errors::STATUS_CALLBACK.about(&[url]))?;
    }
    CHOICES.iter().try_for_each(|(name, words, error)| {
        ensure(parameters.get(name).is_none_or(|word| words.contains(&word)), error.about(&[name]))
    })
}

fn check_recipient(to: &str, from: Option<&str>) -> Result<(), Refusal> {
    if let Some((_, error)) = MAGIC_RECIPIENTS.iter().find(|(magic, _)| *magic == to) {
        return Err(error.about(&[&masked(to), from.unwrap_or_default()]));
    }
    ensure(is_e164(to), errors::TO_INVALID.about(&[&masked(to)]))?;
    ensure(from != Some(to), errors::TO_IS_FROM)
}

/// The parameters of a request, in its order. An empty one is as good as none.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    fn number(&self, name: &str, default: usize) -> Result<usize, Refusal> {
        let invalid = |_| errors::INVALID_QUERY.about(&[name]);
        self.get(name).map_or(Ok(default), |text| text.parse::<u16>().map(usize::from).map_err(invalid))
    }

    /// The day of `2026-01-31`, or of a time on it.
    fn date(&self, name: &str) -> Result<Option<Date>, Refusal> {
        let day = |text: &str| text.get(..10)?.parse().ok();
        self.get(name).map(|text| day(text).ok_or_else(|| errors::INVALID_QUERY.about(&["DateSent"]))).transpose()
    }
}

/// One of Twilio's errors: its code, the HTTP status, and the sentence, with `{}` for what it is about.
struct TwilioError(u32, u16, &'static str);

impl TwilioError {
    fn about(&self, values: &[&str]) -> Refusal {
        let Self(code, status, sentence) = *self;
        let message = values.iter().fold(sentence.to_owned(), |message, value| message.replacen("{}", value, 1));
        Refusal { code, status, message }
    }
}

/// An answer that says no.
struct Refusal {
    code: u32,
    status: u16,
    message: String,
}

impl From<TwilioError> for Refusal {
    fn from(error: TwilioError) -> Self {
        error.about(&[])
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { code, status, message } = self;
        let more_info = format!("https://www.twilio.com/docs/errors/{code}");
        let body = Json(json!({ "code": code, "message": message, "more_info": more_info, "status": status }));
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match status {
            StatusCode::UNAUTHORIZED => {
                (status, [(header::WWW_AUTHENTICATE, "Basic realm=\"Twilio API\"")], body).into_response()
            }
            _ => (status, body).into_response(),
        }
    }
}

/// Codes and meanings from `https://www.twilio.com/docs/api/errors`; sentences as the API gives them.
#[rustfmt::skip]
mod errors {
    use super::TwilioError;

    pub const INVALID_QUERY: TwilioError = TwilioError(20001, 400, "Invalid {}.");
    pub const AUTHENTICATE: TwilioError = TwilioError(20003, 401, "Authenticate");
    pub const METHOD_NOT_ALLOWED: TwilioError = TwilioError(20004, 405, "Method not allowed");
    pub const PAGE_TOO_LARGE: TwilioError = TwilioError(20007, 400, "Page size too large");
    pub const NOT_FOUND: TwilioError = TwilioError(20404, 404, "The requested resource {} was not found");
    pub const INVALID_PARAMETER: TwilioError = TwilioError(20422, 400, "Invalid Parameter: {}");
    pub const TO_INVALID: TwilioError = TwilioError(21211, 400, "Invalid 'To' Phone Number: {}");
    pub const FROM_INVALID: TwilioError = TwilioError(21212, 400, "The 'From' number {} is not a valid phone number, shortcode, or alphanumeric sender ID.");
    pub const TO_IS_FROM: TwilioError = TwilioError(21266, 400, "'To' and 'From' number cannot be the same");
    pub const REGION: TwilioError = TwilioError(21408, 400, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {}");
    pub const PAGE_TOKEN: TwilioError = TwilioError(21481, 400, "Invalid PageToken");
    pub const BODY_MISSING: TwilioError = TwilioError(21602, 400, "Message body is required.");
    pub const FROM_MISSING: TwilioError = TwilioError(21603, 400, "A 'From' phone number is required.");
    pub const TO_MISSING: TwilioError = TwilioError(21604, 400, "A 'To' phone number is required.");
    pub const FROM_NOT_OURS: TwilioError = TwilioError(21606, 400, "The From phone number {} is not a valid, SMS-capable inbound phone number or short code for your account.");
    pub const STATUS_CALLBACK: TwilioError = TwilioError(21609, 400, "The 'StatusCallback' URL {} is not a valid URL.");
    pub const OPTED_OUT: TwilioError = TwilioError(21610, 400, "Attempt to send to unsubscribed recipient");
    pub const QUEUE_FULL: TwilioError = TwilioError(21611, 429, "SMS queue is full.");
    pub const UNROUTABLE: TwilioError = TwilioError(21612, 400, "The 'To' phone number: {}, is not currently reachable using the 'From' phone number: {} via SMS.");
    pub const NOT_MOBILE: TwilioError = TwilioError(21614, 400, "To number: {}, is not a mobile number");
    pub const BODY_TOO_LONG: TwilioError = TwilioError(21617, 400, "The concatenated message body exceeds the 1600 character limit.");
    pub const TOO_MANY_MEDIA: TwilioError = TwilioError(21623, 400, "Number of media files exceeds allowed limit");
    pub const VALIDITY_PERIOD: TwilioError = TwilioError(21624, 400, "Invalid validity period value");
    pub const CONTENT_INVALID: TwilioError = TwilioError(21655, 400, "The ContentSid is Invalid");
    pub const SERVICE_UNKNOWN: TwilioError = TwilioError(21701, 400, "The Messaging Service does not exist");
    pub const SERVICE_INVALID: TwilioError = TwilioError(21705, 400, "The Messaging Service is invalid");
    pub const CONTENT_RETENTION: TwilioError = TwilioError(30029, 400, "Invalid ContentRetention");
    pub const ADDRESS_RETENTION: TwilioError = TwilioError(30030, 400, "Invalid AddressRetention");
}

/// The shape of a number that may be texted. Whether it exists is not asked.
fn is_e164(number: &str) -> bool {
    number.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Whether somebody might own it as a sender: a number, a short code, or an alphanumeric sender ID.
fn may_be_sender(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let is_number = (3..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = text.len() <= 11
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" +-_&".contains(&byte));
    is_number || is_name
}

fn is_sid(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether Twilio would call it: an HTTP URL whose host has a domain, and no underscore.
fn is_public_url(url: &str) -> bool {
    url.len() <= MAX_CALLBACK_URL
        && url.parse::<Uri>().is_ok_and(|uri| {
            ["http", "https"].map(Some).contains(&uri.scheme_str())
                && uri.host().is_some_and(|host| host.contains('.') && !host.contains('_'))
        })
}

/// As Twilio shows a recipient in an error: without its last four characters.
fn masked(number: &str) -> String {
    let shown = number.chars().count().saturating_sub(4);
    number.chars().take(shown).chain("XXXX".chars()).collect()
}

/// The standard library's hash keys are random and never the same twice, which is all that a SID needs.
fn random_sid() -> String {
    let word = || RandomState::new().hash_one(());
    format!("SM{:016x}{:016x}", word(), word())
}

/// How many SMS a text takes: septets while the GSM 03.38 alphabet has every character, else UTF-16. No character is
/// torn in two, so a part may end early.
fn segments(text: &str) -> usize {
    let septets: Option<Vec<usize>> = text.chars().map(septets).collect();
    let (widths, single, part) = match septets {
        Some(widths) => (widths, 160, 153),
        None => (text.chars().map(char::len_utf16).collect(), 70, 67),
    };
    if widths.iter().sum::<usize>() <= single {
        return 1;
    }
    let fill = |(parts, used), width| if used + width > part { (parts + 1, width) } else { (parts, used + width) };
    widths.into_iter().fold((1, 0), fill).0
}

/// How many septets a character takes in the GSM 03.38 alphabet, if it is there.
fn septets(character: char) -> Option<usize> {
    match character {
        '^' | '{' | '}' | '\\' | '[' | '~' | ']' | '|' | '€' | '\u{c}' => Some(2),
        ' '..='_' | 'a'..='z' | '\n' | '\r' => Some(1),
        _ if "£¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà".contains(character) => {
            Some(1)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
    const KEY: &str = "SK0123456789abcdef0123456789abcdef";
    const SERVICE: &str = "MG0123456789abcdef0123456789abcdef";
    const OURS: &str = "+14155550100";
    const PHONE: &str = "+14155550123";

    /// What a case changes in a request that is fine. An empty value leaves the parameter out.
    type Change<'a> = &'a [(&'a str, &'a str)];

    /// Twilio on a port of its own, at noon UTC, called by a client that knows the account.
    struct Server {
        twilio: FakeTwilio,
        now: Arc<Mutex<Timestamp>>,
        client: reqwest::Client,
        url: String,
    }

    impl Server {
        async fn start() -> Self {
            let now = Arc::new(Mutex::new("2026-03-01T12:00:00Z".parse().unwrap()));
            let account = Account {
                account_sid: ACCOUNT.to_owned(),
                auth_token: "token".to_owned(),
                api_key_sid: KEY.to_owned(),
                api_key_secret: "secret".to_owned(),
                numbers: vec![OURS.to_owned()],
                messaging_services: vec![SERVICE.to_owned()],
            };
            let clock = Arc::clone(&now);
            let twilio = FakeTwilio::new(account, Arc::new(move || *clock.lock().unwrap()));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let router = twilio.router();
            tokio::spawn(async move { axum::serve(listener, router).await });
            // Every client needs a TLS provider, even one that only speaks HTTP.
            _ = rustls::crypto::ring::default_provider().install_default();
            Self { twilio, now, client: reqwest::Client::new(), url }
        }

        fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
            self.client.request(method.parse().unwrap(), format!("{}{path}", self.url))
        }

        async fn post(&self, form: &[(&str, &str)]) -> (u16, Value) {
            answer(self.request("POST", &messages("")).basic_auth(KEY, Some("secret")).form(form)).await
        }

        async fn get(&self, path: &str) -> (u16, Value) {
            answer(self.request("GET", path).basic_auth(KEY, Some("secret"))).await
        }

        async fn text(&self, body: &str) -> String {
            let (status, message) = self.post(&[("To", PHONE), ("From", OURS), ("Body", body)]).await;
            assert_eq!(status, 201, "{message}");
            message["sid"].as_str().unwrap().to_owned()
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

    #[tokio::test]
    async fn a_message_is_queued_and_answered_as_twilio_answers() {
        let server = Server::start().await;
        let form = [("To", PHONE), ("From", OURS), ("Body", "Hi"), ("ValidityPeriod", "600"), ("RiskCheck", "enable")];
        let (status, message) = server.post(&form).await;
        assert_eq!(status, 201);
        let sid = message["sid"].as_str().unwrap();
        assert!(is_sid("SM", sid), "{sid}");
        let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}");
        let expected = json!({
            "account_sid": ACCOUNT, "api_version": "2010-04-01", "body": "Hi",
            "date_created": "Sun, 01 Mar 2026 12:00:00 +0000", "date_sent": null,
            "date_updated": "Sun, 01 Mar 2026 12:00:00 +0000", "direction": "outbound-api", "error_code": null,
            "error_message": null, "from": OURS, "messaging_service_sid": null, "num_media": "0",
            "num_segments": "1", "price": null, "price_unit": "USD", "sid": sid, "status": "queued",
            "subresource_uris": { "media": format!("{path}/Media.json") }, "to": PHONE,
            "uri": format!("{path}.json"),
        });
        assert_eq!(message, expected);
        assert_eq!(server.get(&format!("{path}.json")).await, (200, expected));
        let kept = &server.twilio.messages()[0];
        assert!(kept.parameters.contains(&("ValidityPeriod".to_owned(), "600".to_owned())), "{kept:?}");
    }

    #[tokio::test]
    async fn through_a_messaging_service_there_is_no_sender_yet() {
        let server = Server::start().await;
        for (name, service) in [("MessagingServiceSid", SERVICE), ("From", SERVICE)] {
            let (status, message) = server.post(&[("To", PHONE), (name, service), ("Body", "Hi")]).await;
            assert_eq!(status, 201, "{message}");
            let shown = ["status", "from", "messaging_service_sid", "num_segments", "price_unit"];
            let expected = [json!("accepted"), Value::Null, json!(SERVICE), json!("0"), Value::Null];
            assert_eq!(shown.map(|field| message[field].clone()), expected);
        }
        let form = [("To", PHONE), ("From", OURS), ("MessagingServiceSid", SERVICE), ("Body", "Hi")];
        let (_, message) = server.post(&form).await;
        assert_eq!((&message["status"], &message["from"]), (&json!("queued"), &json!(OURS)));
    }

    #[tokio::test]
    async fn only_the_account_and_its_key_are_let_in() {
        let server = Server::start().await;
        let path = messages("");
        for (user, password, expected) in [
            (ACCOUNT, "token", 200),
            (KEY, "secret", 200),
            (ACCOUNT, "secret", 401),
            (KEY, "token", 401),
            (ACCOUNT, "", 401),
            ("", "", 401),
        ] {
            let (status, body) = answer(server.request("GET", &path).basic_auth(user, Some(password))).await;
            assert_eq!(status, expected, "{user}:{password} {body}");
        }
        for header in ["", "Basic", "Basic %%%", "Basic bm9jb2xvbg==", "Basic //79/A==", "Bearer token"] {
            let (status, _) = answer(server.request("GET", &path).header("Authorization", header)).await;
            assert_eq!(status, 401, "{header:?}");
        }
        let refused = server.request("POST", &path).send().await.unwrap();
        assert_eq!(refused.headers()["www-authenticate"], "Basic realm=\"Twilio API\"");
        let body: Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
        let more_info = "https://www.twilio.com/docs/errors/20003";
        assert_eq!(body, json!({ "code": 20003, "message": "Authenticate", "more_info": more_info, "status": 401 }));
        assert!(server.twilio.messages().is_empty());
    }

    #[tokio::test]
    async fn a_rotated_auth_token_opens_and_the_old_one_no_longer() {
        let server = Server::start().await;
        server.twilio.set_auth_token("rotated".to_owned());
        for (token, expected) in [("token", 401), ("rotated", 200)] {
            let (status, _) = answer(server.request("GET", &messages("")).basic_auth(ACCOUNT, Some(token))).await;
            assert_eq!(status, expected, "{token}");
        }
        assert_eq!(server.get(&messages("")).await.0, 200, "the API key has not changed");
    }

    #[tokio::test]
    async fn a_request_is_refused_with_the_code_that_twilio_gives() {
        let server = Server::start().await;
        let (long, emoji) = ("a".repeat(1601), "😀".repeat(801));
        let callback = format!("https://example.com/{}", "a".repeat(4000));
        let unknown = SERVICE.replace('0', "1");
        let media = [("MediaUrl", "https://example.com/a.png"); 11];
        let cases: &[(Change<'_>, u16, u32)] = &[
            (&[("To", "")], 400, 21604),
            (&[("From", "")], 400, 21603),
            (&[("Body", "")], 400, 21602),
            (&[("Body", &long)], 400, 21617),
            (&[("Body", &emoji)], 400, 21617),
            (&media, 400, 21623),
            (&[("ContentSid", "HX1")], 400, 21655),
            (&[("ValidityPeriod", "0")], 400, 21624),
            (&[("ValidityPeriod", "36001")], 400, 21624),
            (&[("ValidityPeriod", "-1")], 400, 21624),
            (&[("ValidityPeriod", "ten")], 400, 21624),
            (&[("StatusCallback", "nonsense")], 400, 21609),
            (&[("StatusCallback", "ftp://example.com/status")], 400, 21609),
            (&[("StatusCallback", "http://localhost/status")], 400, 21609),
            (&[("StatusCallback", "https://my_app.example.com/status")], 400, 21609),
            (&[("StatusCallback", &callback)], 400, 21609),
            (&[("RiskCheck", "maybe")], 400, 20422),
            (&[("ContentRetention", "burn")], 400, 30029),
            (&[("AddressRetention", "burn")], 400, 30030),
            (&[("From", "not a number")], 400, 21212),
            (&[("From", "\"+14155550100\"")], 400, 21212),
            (&[("From", "+14155550199")], 400, 21606),
            (&[("From", "12345")], 400, 21606),
            (&[("From", "Tollgate")], 400, 21606),
            (&[("From", "+15005550001")], 400, 21212),
            (&[("From", "+15005550007")], 400, 21606),
            (&[("From", "+15005550008")], 429, 21611),
            (&[("From", ""), ("MessagingServiceSid", &unknown)], 400, 21701),
            (&[("MessagingServiceSid", "MG1")], 400, 21705),
            (&[("To", "4155550123")], 400, 21211),
            (&[("To", "+1415")], 400, 21211),
            (&[("To", "+04155550123")], 400, 21211),
            (&[("To", "+١٢٣٤٥٦٧٨٩")], 400, 21211),
            (&[("To", OURS)], 400, 21266),
            (&[("To", "+15005550001")], 400, 21211),
            (&[("To", "+15005550002")], 400, 21612),
            (&[("To", "+15005550003")], 400, 21408),
            (&[("To", "+15005550004")], 400, 21610),
            (&[("To", "+15005550009")], 400, 21614),
        ];
        for (change, status, code) in cases {
            let (got, error) = server.post(&changed(change)).await;
            assert_eq!((got, &error["code"]), (*status, &json!(code)), "{change:?} {error}");
            assert_eq!(error["status"], *status);
            assert_eq!(error["more_info"], format!("https://www.twilio.com/docs/errors/{code}"));
            assert!(!error["message"].as_str().unwrap().contains("{}"), "{error}");
        }
        assert!(server.twilio.messages().is_empty(), "what is refused is not kept");
    }

    #[tokio::test]
    async fn what_twilio_takes_is_taken() {
        let server = Server::start().await;
        let most = "a".repeat(1600);
        let media = [("MediaUrl", "https://example.com/a.png"); 10];
        let cases: &[Change<'_>] = &[
            &[("Body", &most)],
            &[("From", GOOD_SENDER)],
            &[("To", "+5571981265131")],
            &[("ValidityPeriod", "1")],
            &[("ValidityPeriod", "36000")],
            &[("StatusCallback", "https://user:pass@example.com:8443/status?a=b#rc=2")],
            &[("RiskCheck", "disable"), ("ContentRetention", "discard"), ("AddressRetention", "obfuscate")],
            &media,
            &[("Body", ""), ("ContentSid", "HX0123456789abcdef0123456789abcdef")],
            &[("Unheard", "of")],
        ];
        for change in cases {
            let (status, message) = server.post(&changed(change)).await;
            assert_eq!(status, 201, "{change:?} {message}");
        }
        let with_media = &server.twilio.messages()[7];
        assert!(with_media.sid.starts_with("MM") && with_media.num_media == 10, "{with_media:?}");
    }

    #[tokio::test]
    async fn a_body_that_is_no_form_has_no_parameters() {
        let server = Server::start().await;
        for (content_type, body) in [
            ("application/json", "{\"To\":\"+14155550123\"}"),
            ("text/plain", "To=%2B14155550123"),
            ("application/x-www-form-urlencoded", "%%%&=&&\u{0}"),
            ("application/x-www-form-urlencoded", "To"),
        ] {
            let request = server.request("POST", &messages("")).basic_auth(KEY, Some("secret"));
            let (status, error) = answer(request.header("Content-Type", content_type).body(body)).await;
            assert_eq!((status, &error["code"]), (400, &json!(21604)), "{content_type} {body:?}");
        }
        let request = server.request("POST", &messages("")).basic_auth(KEY, Some("secret"));
        let garbage = request.header("Content-Type", "application/x-www-form-urlencoded").body(b"To=\xff%ff".to_vec());
        assert_eq!(answer(garbage).await.1["code"], 21603);
    }

    #[tokio::test]
    async fn messages_are_listed_newest_first_page_by_page() {
        let server = Server::start().await;
        for body in ["1", "2", "3", "4", "5"] {
            server.text(body).await;
        }
        let (status, first) = server.get(&messages("?PageSize=2&To=%2B14155550123")).await;
        assert_eq!((status, bodies(&first)), (200, vec!["5", "4"]));
        let sid = first["messages"][1]["sid"].as_str().unwrap();
        let uri = messages("?To=%2B14155550123&PageSize=2&Page=0");
        let next = messages(&format!("?To=%2B14155550123&PageSize=2&Page=1&PageToken=PA{sid}"));
        let paging =
            ["uri", "first_page_uri", "next_page_uri", "previous_page_uri", "page", "page_size", "start", "end"];
        let expected = json!([uri, uri, next, null, 0, 2, 0, 1]);
        assert_eq!(json!(paging.map(|field| &first[field])), expected);

        server.text("6").await;
        let (_, second) = server.get(&next).await;
        assert_eq!(bodies(&second), ["3", "2"], "a new message doesn't shift the page");
        assert_eq!(json!(paging.map(|field| &second[field])).as_array().unwrap()[4..], [1, 2, 2, 3].map(Value::from));
        assert_eq!(second["uri"], next);
        let (_, third) = server.get(second["next_page_uri"].as_str().unwrap()).await;
        assert_eq!((bodies(&third), &third["next_page_uri"]), (vec!["1"], &Value::Null));
        let (_, back) = server.get(third["previous_page_uri"].as_str().unwrap()).await;
        assert_eq!(bodies(&back), ["4", "3"], "without a token, pages are counted from the newest");

        let (_, all) = server.get(&messages("")).await;
        assert_eq!((bodies(&all).len(), &all["page_size"], &all["end"]), (6, &json!(50), &json!(5)));
        let (_, beyond) = server.get(&messages("?Page=65535&PageSize=1000")).await;
        assert!(bodies(&beyond).is_empty());
    }

    #[tokio::test]
    async fn messages_are_filtered_by_number_and_by_day() {
        let server = Server::start().await;
        for (day, body) in [("2026-02-28T23:59:59Z", "1"), ("2026-03-01T00:00:00Z", "2"), ("2026-03-02T08:00:00Z", "3")]
        {
            *server.now.lock().unwrap() = day.parse().unwrap();
            server.text(body).await;
        }
        _ = server.twilio.record_inbound(PHONE, OURS, "4");
        for (query, expected) in [
            ("?From=%2B14155550100", vec!["3", "2", "1"]),
            ("?To=%2B14155550100", vec!["4"]),
            ("?To=%2B14155550100&From=%2B14155550100", vec![]),
            ("?DateSent=2026-03-01", vec!["2"]),
            ("?DateSent=2026-03-01T12:00:00Z", vec!["2"]),
            ("?DateSent%3E=2026-03-01", vec!["4", "3", "2"]),
            ("?DateSent%3C=2026-03-01", vec!["2", "1"]),
            ("?DateSent>=2026-03-01&DateSent<=2026-03-01", vec!["2"]),
        ] {
            let (status, page) = server.get(&messages(query)).await;
            assert_eq!((status, bodies(&page)), (200, expected), "{query}");
        }
    }

    #[tokio::test]
    async fn a_list_that_cannot_be_read_is_refused() {
        let server = Server::start().await;
        server.text("Hi").await;
        for (query, code) in [
            ("?PageSize=0", 20001),
            ("?PageSize=many", 20001),
            ("?PageSize=1001", 20007),
            ("?Page=-1", 20001),
            ("?Page=18446744073709551615", 20001),
            ("?DateSent=yesterday", 20001),
            ("?DateSent%3E=2026-02-30", 20001),
            ("?PageToken=PASM0", 21481),
            ("?PageToken=%00%ff", 21481),
        ] {
            let (status, error) = server.get(&messages(query)).await;
            assert_eq!((status, &error["code"]), (400, &json!(code)), "{query}");
        }
    }

    #[tokio::test]
    async fn what_is_not_there_is_not_found() {
        let server = Server::start().await;
        let sid = server.text("Hi").await;
        let other = ACCOUNT.replace('0', "1");
        for path in [
            format!("/2010-04-01/Accounts/{other}/Messages.json"),
            format!("/2010-04-01/Accounts/{other}/Messages/{sid}.json"),
            format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid}"),
            format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/SM0.json"),
            format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/%ff.json"),
            format!("/2010-04-01/Accounts/{ACCOUNT}/Calls.json"),
            "/2010-04-01/Accounts//Messages.json".to_owned(),
            "/".to_owned(),
        ] {
            let message = format!("The requested resource {path} was not found");
            let more_info = "https://www.twilio.com/docs/errors/20404";
            let expected = json!({ "code": 20404, "message": message, "more_info": more_info, "status": 404 });
            assert_eq!(server.get(&path).await, (404, expected));
        }
        // A stranger doesn't learn which accounts exist, but learns that this can't be one.
        for (account, expected) in [(other.as_str(), 401), ("invalid", 404)] {
            let path = format!("/2010-04-01/Accounts/{account}/Messages.json");
            assert_eq!(answer(server.request("POST", &path)).await.0, expected, "{account}");
        }
    }

    #[tokio::test]
    async fn a_method_that_a_resource_does_not_have_is_not_allowed() {
        let server = Server::start().await;
        for method in ["PUT", "PATCH", "DELETE"] {
            let request = server.request(method, &messages("")).basic_auth(KEY, Some("secret"));
            let (status, error) = answer(request).await;
            assert_eq!((status, &error["code"]), (405, &json!(20004)), "{method}");
        }
    }

    #[tokio::test]
    async fn inbound_messages_and_replies_stand_in_the_same_list() {
        let server = Server::start().await;
        server.text("Your code").await;
        let inbound = server.twilio.record_inbound(PHONE, OURS, "STOP");
        server.twilio.record_reply(OURS, PHONE, "Goodbye");
        let (_, page) = server.get(&messages("")).await;
        let shown = page["messages"].as_array().unwrap().iter().map(|m| [&m["direction"], &m["status"], &m["body"]]);
        let expected = json!([
            ["outbound-reply", "queued", "Goodbye"],
            ["inbound", "received", "STOP"],
            ["outbound-api", "queued", "Your code"],
        ]);
        assert_eq!(json!(shown.collect::<Vec<_>>()), expected);
        assert_eq!(page["messages"][1]["date_sent"], "Sun, 01 Mar 2026 12:00:00 +0000");
        assert_eq!(server.twilio.messages()[1], inbound);
    }

    #[test]
    fn segments_are_counted_as_they_are_billed() {
        for (text, expected) in [
            (String::new(), 1),
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("a".repeat(306), 2),
            ("a".repeat(307), 3),
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            // The 77th euro sign would be torn in two.
            ("€".repeat(153), 3),
            ("é".repeat(160), 1),
            ("`".repeat(70), 1),
            ("`".repeat(71), 2),
            ("😀".repeat(35), 1),
            ("😀".repeat(36), 2),
            ("😀".repeat(67), 3),
        ] {
            assert_eq!(segments(&text), expected, "{text}");
        }
    }

    #[test]
    fn a_recipient_is_masked_whatever_it_is() {
        for (number, expected) in [("+14155550123", "+1415555XXXX"), ("12", "XXXX"), ("", "XXXX"), ("ééééé", "éXXXX")]
        {
            assert_eq!(masked(number), expected);
        }
    }

    #[tokio::test]
    async fn debug_output_never_tells_a_credential() {
        let shown = format!("{:?}", Server::start().await.twilio);
        assert!(shown.contains(ACCOUNT) && !shown.contains("token") && !shown.contains("secret"), "{shown}");
    }
}
