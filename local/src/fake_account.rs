//! A fake of Twilio's account resources: the account, its keys, its Messaging Service and its permissions. The account's phone
//! numbers belong to [`FakeTwilio`].
//!
//! The account is a plain value, [`AccountState`], with nothing wrong at first; a test changes a field to break it. Access follows
//! Twilio's rules: the auth token and a main key can read everything, a standard key neither the account nor its keys, and a
//! restricted key only what its permissions allow.

use axum::extract::{Form, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fake_twilio::{FakeTwilio, TwilioAccount};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::runtime::clock::Clock;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The permission that [`AccountState::right`] gives its key.
const SEND: &str = "/twilio/messaging/messages/create";
/// The page size of the dialing permissions. Small, so that there is a second page.
const DIALING_PAGE_SIZE: usize = 3;

/// The account, with everything that can be wrong with it.
#[derive(Clone, Debug)]
pub struct AccountState {
    /// `active`, `suspended` or `closed`.
    pub status: &'static str,
    /// `Full` or `Trial`.
    pub kind: &'static str,
    /// The type of the API key.
    pub key: KeyKind,
    /// The Messaging Service, which contains all numbers.
    pub service: FakeMessagingService,
    /// The countries that SMS can go to.
    pub messaging: Vec<MessagingCountry>,
    /// The countries that calls can go to.
    pub dialing: Vec<DialingCountry>,
    /// How far Twilio's clock is ahead of the local one.
    pub clock_ahead_seconds: i64,
    /// The faults, each at the paths that contain a text.
    pub faults: Vec<(&'static str, AccountFault)>,
    /// The changes that were made, in order.
    pub writes: Vec<String>,
}

/// The types of API keys.
#[derive(Clone, Debug)]
pub enum KeyKind {
    /// Can do everything.
    Main,
    /// Can't read the account and its keys.
    Standard,
    /// Has only these permissions.
    Restricted(Vec<&'static str>),
    /// Deleted.
    Deleted,
}

/// A fault of a request.
#[derive(Clone, Copy, Debug)]
pub enum AccountFault {
    /// Refused because this permission is missing.
    Forbidden(&'static str),
    /// An internal error.
    Broken,
    /// No answer.
    Silent,
    /// An answer that isn't JSON.
    Garbled,
}

/// A Messaging Service.
#[derive(Clone, Debug)]
pub struct FakeMessagingService {
    /// The SID (`MG…`).
    pub sid: String,
    /// The webhook for inbound messages.
    pub inbound_request_url: String,
    /// Its HTTP method.
    pub inbound_method: String,
    /// The webhook that is called if the first one fails.
    pub fallback_url: String,
    /// The callback for message status.
    pub status_callback: String,
    /// Whether the numbers handle their own inbound messages.
    pub use_inbound_webhook_on_number: bool,
    /// Whether it has a registered A2P 10DLC campaign.
    pub us_app_to_person_registered: bool,
}

/// Whether SMS can go to a country.
#[derive(Clone, Debug)]
pub struct MessagingCountry {
    /// ISO 3166-1.
    pub country_code: &'static str,
    /// The dial code.
    pub prefix: &'static str,
    /// Whether it can.
    pub enabled: bool,
    /// Whether only the Console can change it.
    pub console_only: bool,
}

/// Whether calls can go to high-risk numbers of a country.
#[derive(Clone, Debug)]
pub struct DialingCountry {
    /// ISO 3166-1.
    pub iso_code: &'static str,
    /// Premium-rate and other special numbers.
    pub special: bool,
    /// Numbers known from toll fraud.
    pub tollfraud: bool,
}

impl AccountState {
    /// An account with nothing wrong, whose inbound messages go to this URL.
    #[must_use]
    pub fn right(account: &TwilioAccount, webhook: &str) -> Self {
        let messaging = |country_code, prefix, console_only| MessagingCountry {
            country_code,
            prefix,
            enabled: country_code == "US",
            console_only,
        };
        let dialing = |iso_code| DialingCountry { iso_code, special: false, tollfraud: false };
        Self {
            status: "active",
            kind: "Full",
            key: KeyKind::Restricted(vec![SEND]),
            service: FakeMessagingService {
                sid: account.messaging_services.first().cloned().unwrap_or_default(),
                inbound_request_url: webhook.to_owned(),
                inbound_method: "POST".to_owned(),
                fallback_url: String::new(),
                status_callback: String::new(),
                use_inbound_webhook_on_number: true,
                us_app_to_person_registered: true,
            },
            messaging: vec![
                messaging("BD", "+880", true),
                messaging("DE", "+49", false),
                messaging("FR", "+33", false),
                messaging("JM", "+1876", false),
                messaging("US", "+1", false),
            ],
            dialing: ["BD", "DE", "FR", "JM", "LV", "RU", "US"].map(dialing).into(),
            clock_ahead_seconds: 0,
            faults: Vec::new(),
            writes: Vec::new(),
        }
    }
}

/// The resources of one account.
#[derive(Clone)]
pub struct FakeAccount {
    twilio: FakeTwilio,
    clock: Clock,
    state: Arc<Mutex<AccountState>>,
}

impl FakeAccount {
    /// The account of this fake Twilio, with nothing wrong.
    #[must_use]
    pub fn new(twilio: FakeTwilio, clock: Clock) -> Self {
        let webhook = twilio.numbers().first().map(|number| number.sms_url().to_owned()).unwrap_or_default();
        let state = AccountState::right(&twilio.account(), &webhook);
        Self { twilio, clock, state: Arc::new(Mutex::new(state)) }
    }

    /// Changes or reads the account.
    pub fn change<T>(&self, change: impl FnOnce(&mut AccountState) -> T) -> T {
        change(&mut self.state())
    }

    /// The resources at Twilio's paths, merged with those of `twilio`.
    pub fn router(&self, twilio: Router) -> Router {
        let resources = Router::new()
            .route("/2010-04-01", get(async || Json(json!({ "version": "2010-04-01" }))))
            .route("/2010-04-01/Accounts/{account}", get(account))
            .route("/v1/Keys/{key}", get(key))
            .route("/v1/Messaging/GeoPermissions", get(messaging).patch(set_messaging))
            .route("/v1/DialingPermissions/Countries", get(dialing))
            .route("/v1/Services/{service}", get(service).post(update_service))
            .route("/v1/Services/{service}/PhoneNumbers", get(service_numbers))
            .with_state(self.clone());
        resources.merge(twilio).layer(middleware::from_fn_with_state(self.clone(), admit))
    }

    /// A panic elsewhere can't leave the account half changed, so a poisoned lock is safe to use.
    fn state(&self) -> MutexGuard<'_, AccountState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The refusal of a request without sufficient rights.
    fn refusal(&self, path: &str, headers: &HeaderMap) -> Option<Response> {
        if path == "/2010-04-01" {
            return None;
        }
        let account = self.twilio.account();
        let unknown = || refuse(StatusCode::UNAUTHORIZED, 20003, "Authenticate");
        let Some((user, password)) = basic_credentials(headers) else { return Some(unknown()) };
        if let Some(asked_for) = path.strip_prefix("/2010-04-01/Accounts/") {
            let asked_for = asked_for.split(['/', '.']).next().unwrap_or_default();
            if asked_for != account.account_sid {
                return Some(not_found());
            }
        }
        if user == account.account_sid && password == account.auth_token {
            return None;
        }
        if user != account.api_key_sid || password != account.api_key_secret {
            return Some(unknown());
        }
        let of_main_keys = path.starts_with("/v1/Keys/") || path.ends_with(&format!("{}.json", account.account_sid));
        match &self.state().key {
            KeyKind::Standard if of_main_keys => Some(unknown()),
            KeyKind::Main | KeyKind::Standard => None,
            KeyKind::Restricted(permissions) => {
                let permission = permission(path);
                (!permissions.contains(&permission)).then(|| lacks(permission))
            }
            KeyKind::Deleted => Some(unknown()),
        }
    }
}

impl fmt::Debug for FakeAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeAccount").field("twilio", &self.twilio).finish_non_exhaustive()
    }
}

/// The permission that a restricted key needs for a path.
fn permission(path: &str) -> &'static str {
    if path.contains("/IncomingPhoneNumbers") {
        "/twilio/phone-numbers/incoming-phone-numbers/read"
    } else if path.starts_with("/v1/Services") {
        "/twilio/messaging/services/read"
    } else if path.starts_with("/v1/Keys") {
        "/twilio/iam/api-keys/read"
    } else {
        ""
    }
}

/// Checks the credentials, applies the faults, and sets the `Date` of every answer.
async fn admit(State(fake): State<FakeAccount>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    // The fake Twilio checks the credentials for messages itself.
    if !concerns_account(&path) {
        return next.run(request).await;
    }
    let fault = fake.state().faults.iter().find(|(part, _)| path.contains(part)).map(|(_, fault)| *fault);
    let refusal = fake.refusal(&path, request.headers());
    let mut response = match (refusal, fault) {
        (_, Some(AccountFault::Silent)) => std::future::pending().await,
        (_, Some(AccountFault::Broken)) => refuse(StatusCode::INTERNAL_SERVER_ERROR, 20500, "Internal Server Error"),
        (_, Some(AccountFault::Garbled)) => "<html>not JSON</html>".into_response(),
        (_, Some(AccountFault::Forbidden(permission))) => lacks(permission),
        (Some(refusal), None) => refusal,
        (None, None) => next.run(request).await,
    };
    let seconds = i64::try_from(fake.clock.now_ms() / 1000).unwrap_or_default() + fake.state().clock_ahead_seconds;
    let date =
        Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::from_str(&date) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

fn concerns_account(path: &str) -> bool {
    let is_of_messages = path.strip_prefix("/2010-04-01/Accounts/").is_some_and(|path| path.contains("/Messages"));
    !is_of_messages && ["/2010-04-01", "/v1/"].iter().any(|prefix| path.starts_with(prefix))
}

fn basic_credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(BASE64.decode(encoded).ok()?).ok()?;
    decoded.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

fn refuse(status: StatusCode, code: u32, message: &str) -> Response {
    let more_info = format!("https://www.twilio.com/docs/errors/{code}");
    let body = json!({ "code": code, "message": message, "more_info": more_info, "status": status.as_u16() });
    (status, Json(body)).into_response()
}

fn lacks(permission: &str) -> Response {
    let message = format!("Authorization failed: the key lacks the permission {permission}");
    refuse(StatusCode::FORBIDDEN, 70051, message.trim_end())
}

fn not_found() -> Response {
    refuse(StatusCode::NOT_FOUND, 20404, "The requested resource was not found")
}

async fn account(State(fake): State<FakeAccount>) -> Json<Value> {
    let state = fake.state();
    let account = fake.twilio.account();
    Json(json!({
        "sid": account.account_sid,
        "owner_account_sid": account.account_sid,
        "friendly_name": "local",
        "status": state.status,
        "type": state.kind,
        // Twilio shows it to a main key and to the auth token. The checklist must never print it.
        "auth_token": account.auth_token,
    }))
}

async fn key(State(fake): State<FakeAccount>, Path(sid): Path<String>) -> Response {
    let policy = match &fake.state().key {
        KeyKind::Deleted => return not_found(),
        KeyKind::Main | KeyKind::Standard => Value::Null,
        KeyKind::Restricted(permissions) => json!({ "allow": permissions }),
    };
    if sid != fake.twilio.account().api_key_sid {
        return not_found();
    }
    Json(json!({ "sid": sid, "friendly_name": "send-code", "policy": policy })).into_response()
}

async fn service(State(fake): State<FakeAccount>, Path(sid): Path<String>) -> Response {
    let state = fake.state();
    if sid == state.service.sid { Json(state.service.resource()).into_response() } else { not_found() }
}

async fn update_service(
    State(fake): State<FakeAccount>,
    Path(sid): Path<String>,
    Form(form): Form<Vec<(String, String)>>,
) -> Response {
    let mut state = fake.state();
    let AccountState { service, writes, .. } = &mut *state;
    if sid != service.sid {
        return not_found();
    }
    for (name, value) in form {
        let field = match name.as_str() {
            "InboundRequestUrl" => &mut service.inbound_request_url,
            "InboundMethod" => &mut service.inbound_method,
            "FallbackUrl" => &mut service.fallback_url,
            "StatusCallback" => &mut service.status_callback,
            _ => return refuse(StatusCode::BAD_REQUEST, 20001, "Unknown parameter"),
        };
        writes.push(format!("{name}={value}"));
        *field = value;
    }
    Json(service.resource()).into_response()
}

async fn service_numbers(State(fake): State<FakeAccount>, Path(sid): Path<String>) -> Response {
    let state = fake.state();
    if sid != state.service.sid {
        return not_found();
    }
    let numbers: Vec<_> = fake
        .twilio
        .numbers()
        .iter()
        .map(|number| json!({ "sid": number.sid, "service_sid": sid, "phone_number": number.phone_number, "country_code": "US" }))
        .collect();
    Json(json!({ "phone_numbers": numbers, "meta": { "key": "phone_numbers", "next_page_url": null } })).into_response()
}

async fn messaging(State(fake): State<FakeAccount>) -> Json<Value> {
    let state = fake.state();
    let permission = |country: &MessagingCountry| {
        let message = if country.console_only { "High Risk Country" } else { "" };
        json!({
            "country_code": country.country_code,
            "type": "country",
            "enabled": country.enabled,
            "prefix": country.prefix,
            "message": message,
        })
    };
    Json(json!({ "permissions": state.messaging.iter().map(permission).collect::<Vec<_>>() }))
}

/// Answers HTTP 200 whatever happens to each country, as Twilio does.
async fn set_messaging(State(fake): State<FakeAccount>, Form(form): Form<Vec<(String, String)>>) -> Json<Value> {
    let mut state = fake.state();
    let AccountState { messaging, writes, .. } = &mut *state;
    let mut set = |(name, item): &(String, String)| {
        let item: Value = serde_json::from_str(item).ok().filter(|_| name == "Permissions").unwrap_or_default();
        let (country, enabled) = (item["country_code"].as_str().unwrap_or_default(), item["enabled"].as_bool());
        let found = messaging.iter_mut().find(|known| known.country_code == country && !known.console_only);
        let errors = match (found, enabled) {
            (Some(known), Some(enabled)) => {
                known.enabled = enabled;
                writes.push(format!("{country}={enabled}"));
                (0, vec![])
            }
            _ => (30649, vec!["Failed to update Geo Permissions"]),
        };
        json!({ "country_code": country, "type": "country", "enabled": enabled, "error_code": errors.0, "error_messages": errors.1 })
    };
    Json(json!({ "permissions": form.iter().map(&mut set).collect::<Vec<_>>() }))
}

async fn dialing(State(fake): State<FakeAccount>, Query(query): Query<Vec<(String, String)>>) -> Json<Value> {
    let page = query.iter().find(|(name, _)| name == "Page").and_then(|(_, page)| page.parse().ok()).unwrap_or(0);
    let state = fake.state();
    let start = page * DIALING_PAGE_SIZE;
    let country = |country: &DialingCountry| {
        json!({
            "iso_code": country.iso_code,
            "low_risk_numbers_enabled": true,
            "high_risk_special_numbers_enabled": country.special,
            "high_risk_tollfraud_numbers_enabled": country.tollfraud,
        })
    };
    let content: Vec<_> = state.dialing.iter().skip(start).take(DIALING_PAGE_SIZE).map(country).collect();
    // Twilio links to its own host, even if it was called at another.
    let url = format!(
        "https://voice.twilio.com/v1/DialingPermissions/Countries?PageSize={DIALING_PAGE_SIZE}&Page={}",
        page + 1
    );
    let next = (start + DIALING_PAGE_SIZE < state.dialing.len()).then_some(url);
    Json(json!({ "content": content, "meta": { "key": "content", "page": page, "next_page_url": next } }))
}

impl FakeMessagingService {
    fn resource(&self) -> Value {
        let filled = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
        json!({
            "sid": self.sid,
            "inbound_request_url": filled(&self.inbound_request_url),
            "inbound_method": self.inbound_method,
            "fallback_url": filled(&self.fallback_url),
            "fallback_method": "POST",
            "status_callback": filled(&self.status_callback),
            "usecase": "verification",
            "us_app_to_person_registered": self.us_app_to_person_registered,
            "use_inbound_webhook_on_number": self.use_inbound_webhook_on_number,
        })
    }
}
