//! A client for the parts of Twilio's REST API that the checklist uses. It reads; only [`Session::submit`] changes anything.
//!
//! An answer is either what Twilio documents, parsed into a type, or a [`TwilioError`] that says why it isn't. Twilio's error
//! messages can contain phone numbers, so only the code and the name of a missing permission are taken from them.

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::runtime::credentials::ApiKey;
use shared::twilio::client::BaseUrl;
use shared::twilio::error_code::TwilioErrorCode;

/// The most entries that Twilio puts on a page.
const PAGE_SIZE: u16 = 1000;
/// How many pages of a list are read. With 1,000 entries a page, no realistic account has more.
const MAX_PAGES: usize = 20;
/// The prefix of the permissions of restricted API keys.
const PERMISSION: &str = "/twilio/";

/// An unauthenticated client.
pub struct TwilioApi {
    http: reqwest::Client,
    hosts: Hosts,
}

/// The base URLs of Twilio's API families.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hosts {
    api: String,
    accounts: String,
    iam: String,
    messaging: String,
    voice: String,
}

/// A client that authenticates with one credential.
pub struct Session<'a> {
    twilio: &'a TwilioApi,
    key: &'a ApiKey,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TwilioError {
    /// Twilio rejected the credentials. A standard API key gets this too where a main key is required.
    #[error("Twilio rejected the credentials ({0})")]
    Unauthorized(TwilioErrorCode),
    /// Twilio accepted the credentials, but they lack a permission.
    #[error("the credentials are not allowed to do this ({code})")]
    Forbidden {
        /// Twilio's error code.
        code: TwilioErrorCode,
        /// The missing permission, if Twilio names it.
        permission: Option<String>,
    },
    /// The account does not have the resource.
    #[error("this account has no such resource (HTTP 404)")]
    NotFound,
    /// Twilio refused the call for another reason.
    #[error("Twilio answered HTTP {status} ({code})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Twilio's error code.
        code: TwilioErrorCode,
    },
    /// No answer, or a server error.
    #[error("{0}")]
    Unavailable(String),
    /// An answer that does not match Twilio's documentation.
    #[error("Twilio's answer has an undocumented format ({0})")]
    Unreadable(&'static str),
}

/// The account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AccountDetails {
    /// Whether it can send.
    pub status: AccountStatus,
    /// Whether it is paid for.
    #[serde(rename = "type")]
    pub kind: AccountType,
}

/// The status of an account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountStatus {
    /// It can send.
    Active,
    /// Suspended by Twilio.
    Suspended,
    /// Closed for good.
    Closed,
    /// A status that Twilio doesn't document.
    #[serde(untagged)]
    Other(String),
}

/// The type of an account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub enum AccountType {
    /// A paid account.
    Full,
    /// A trial account, which sends to verified numbers only.
    Trial,
    /// A type that Twilio doesn't document.
    #[serde(untagged)]
    Other(String),
}

/// The permissions of an API key. <https://www.twilio.com/docs/iam/api-keys/key-resource-v1>
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPolicy {
    /// A standard or main key, which can do everything that its type can.
    Unrestricted,
    /// A restricted key, which has only these permissions.
    Allow(Vec<String>),
}

/// The messaging settings of one of the account's phone numbers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PhoneNumberResource {
    /// The SID (`PN…`).
    pub sid: String,
    /// The number in E.164 format.
    pub phone_number: String,
    /// The webhook for inbound messages.
    pub sms_url: Option<String>,
    /// Its HTTP method.
    pub sms_method: Option<String>,
    /// The webhook that is called if the first one fails.
    pub sms_fallback_url: Option<String>,
    /// The TwiML application that overrides these settings.
    pub sms_application_sid: Option<String>,
    /// The callback for call status.
    pub status_callback: Option<String>,
}

/// A Messaging Service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MessagingService {
    /// The SID (`MG…`).
    pub sid: String,
    /// The webhook for inbound messages, unless the numbers handle their own.
    pub inbound_request_url: Option<String>,
    /// Its HTTP method.
    pub inbound_method: Option<String>,
    /// The webhook that is called if the first one fails.
    pub fallback_url: Option<String>,
    /// The callback for message status.
    pub status_callback: Option<String>,
    /// Whether the numbers handle their own inbound messages.
    #[serde(default)]
    pub use_inbound_webhook_on_number: bool,
    /// Whether it has a registered A2P 10DLC campaign; `None` if Twilio does not report it.
    pub us_app_to_person_registered: Option<bool>,
}

/// A phone number of a Messaging Service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ServiceNumber {
    /// The SID, the same as in the account's list of numbers.
    pub sid: String,
    /// The number in E.164 format.
    pub phone_number: String,
}

/// Whether SMS can go to a country.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MessagingPermission {
    /// The country, ISO 3166-1.
    pub country_code: String,
    /// Whether it can.
    pub enabled: bool,
    /// The dial code, for example `+91`.
    pub prefix: Option<String>,
}

/// Whether calls can go to high-risk numbers of a country.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DialingPermission {
    /// The country, ISO 3166-1.
    pub iso_code: String,
    /// Premium-rate and other special numbers.
    pub high_risk_special_numbers_enabled: Option<bool>,
    /// Numbers known from toll fraud.
    pub high_risk_tollfraud_numbers_enabled: Option<bool>,
}

/// A page of a list, in either of Twilio's two formats.
#[derive(Deserialize)]
struct Page<T> {
    #[serde(alias = "content", alias = "phone_numbers", alias = "incoming_phone_numbers")]
    entries: Vec<T>,
    next_page_uri: Option<String>,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Meta {
    next_page_url: Option<String>,
}

impl AccountStatus {
    /// Twilio's name for it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
            Self::Other(name) => name,
        }
    }
}

impl AccountType {
    /// Twilio's name for it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Full => "Full",
            Self::Trial => "Trial",
            Self::Other(name) => name,
        }
    }
}

impl MessagingPermission {
    /// The digits of the dial code, if Twilio reports one.
    #[must_use]
    pub fn dial_code(&self) -> Option<String> {
        let digits: String = self.prefix.as_deref()?.chars().filter(char::is_ascii_digit).collect();
        Some(digits).filter(|digits| !digits.is_empty())
    }
}

impl TwilioError {
    /// Whether the call may have changed the account although it failed.
    pub(crate) const fn may_have_taken_effect(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Unreadable(_))
    }

    /// Whether Twilio refused because the account is not active.
    pub(crate) const fn is_inactive_account(&self) -> bool {
        matches!(self, Self::Forbidden { code: TwilioErrorCode(20005 | 20403), .. })
    }

    /// The error of a call that ran out of time.
    pub(crate) fn timed_out() -> Self {
        Self::Unavailable("Twilio did not answer in time".to_owned())
    }
}

impl Hosts {
    /// The other hosts are derived from `https://api.twilio.com` or its regional form. Any other base URL, such as a fake
    /// Twilio's, serves all families.
    fn of(base_url: &BaseUrl) -> Self {
        let lower_case = base_url.as_str().to_ascii_lowercase();
        // Credentials are sent to these hosts, so a host or path that only looks like Twilio's must not match.
        let is_twilio = |rest: &&str| {
            let is_name = rest.chars().all(|letter| letter.is_ascii_alphanumeric() || "-.".contains(letter));
            is_name && (*rest == "twilio.com" || rest.ends_with(".twilio.com"))
        };
        let rest = lower_case.strip_prefix("https://api.").filter(is_twilio);
        let host =
            |name: &str| rest.map_or_else(|| base_url.as_str().to_owned(), |rest| format!("https://{name}.{rest}"));
        Self {
            api: host("api"),
            accounts: host("accounts"),
            iam: host("iam"),
            messaging: host("messaging"),
            voice: host("voice"),
        }
    }
}

impl TwilioApi {
    /// A client for Twilio at this base URL.
    #[must_use]
    pub fn new(http: reqwest::Client, base_url: &BaseUrl) -> Self {
        Self { http, hosts: Hosts::of(base_url) }
    }

    /// Authenticates all calls with this credential.
    #[must_use]
    pub const fn session<'a>(&'a self, key: &'a ApiKey) -> Session<'a> {
        Session { twilio: self, key }
    }

    /// The `Date` header of any answer. The root of the API needs no credentials.
    ///
    /// # Errors
    /// [`TwilioError`] if there is no answer, or no date in it.
    pub async fn date(&self) -> Result<String, TwilioError> {
        let response =
            self.http.get(format!("{}/2010-04-01", self.hosts.api)).send().await.map_err(|e| not_answered(&e))?;
        let date = response.headers().get(reqwest::header::DATE).and_then(|date| date.to_str().ok());
        date.map(str::to_owned).ok_or(TwilioError::Unreadable("no Date header"))
    }
}

impl Session<'_> {
    /// The account. A standard API key can't read it.
    ///
    /// # Errors
    /// [`TwilioError`]
    pub async fn account(&self) -> Result<AccountDetails, TwilioError> {
        self.get(&format!("{}.json", self.account_url())).await
    }

    /// The permissions of an API key.
    ///
    /// # Errors
    /// [`TwilioError`]
    pub async fn key_policy(&self, key_sid: &str) -> Result<KeyPolicy, TwilioError> {
        #[derive(Deserialize)]
        struct Key {
            policy: Option<Value>,
        }
        let key: Key = self.get(&format!("{}/v1/Keys/{key_sid}", self.twilio.hosts.iam)).await?;
        let Some(policy) = key.policy else { return Ok(KeyPolicy::Unrestricted) };
        let allow = policy["allow"].as_array().ok_or(TwilioError::Unreadable("a policy without `allow`"))?;
        Ok(KeyPolicy::Allow(allow.iter().filter_map(Value::as_str).map(str::to_owned).collect()))
    }

    /// Tries the credential with a call that a standard API key can make too.
    ///
    /// # Errors
    /// [`TwilioError`]
    pub async fn list_one_number(&self) -> Result<(), TwilioError> {
        let url = format!("{}/IncomingPhoneNumbers.json?PageSize=1", self.account_url());
        self.get::<Page<Value>>(&url).await.map(|_| ())
    }

    /// The account's phone numbers, or only those that contain `only`.
    ///
    /// # Errors
    /// [`TwilioError`]
    pub async fn numbers(&self, only: Option<&str>) -> Result<Vec<PhoneNumberResource>, TwilioError> {
        let only = only.map(|number| format!("&PhoneNumber={}", number.replace('+', "%2B"))).unwrap_or_default();
        let path = format!("/IncomingPhoneNumbers.json?PageSize={PAGE_SIZE}{only}");
        self.list(&self.twilio.hosts.api, &format!("{}{path}", self.account_path())).await
    }

    /// A Messaging Service.
    ///
    /// # Errors
    /// [`TwilioError`]
    pub async fn service(&self, sid: &str) -> Result<MessagingService, TwilioError> {
        self.get(&self.service_url(sid)).await
    }

    /// The numbers of a Messaging Service.
    ///
    /// # Errors
    /// [`TwilioError`]
    pub async fn service_numbers(&self, sid: &str) -> Result<Vec<ServiceNumber>, TwilioError> {
        self.list(&self.twilio.hosts.messaging, &format!("/v1/Services/{sid}/PhoneNumbers?PageSize={PAGE_SIZE}")).await
    }

    /// The countries that SMS can go to.
    ///
    /// # Errors
    /// [`TwilioError`]
    pub async fn messaging_permissions(&self) -> Result<Vec<MessagingPermission>, TwilioError> {
        #[derive(Deserialize)]
        struct Permissions {
            permissions: Vec<MessagingPermission>,
        }
        self.get::<Permissions>(&self.messaging_permissions_url()).await.map(|answer| answer.permissions)
    }

    /// The countries that calls can go to.
    ///
    /// # Errors
    /// [`TwilioError`]
    pub async fn dialing_permissions(&self) -> Result<Vec<DialingPermission>, TwilioError> {
        let path = format!("/v1/DialingPermissions/Countries?PageSize={PAGE_SIZE}");
        self.list(&self.twilio.hosts.voice, &path).await
    }

    /// Submits a form. This is the only call that changes the account, and only the repairs make it.
    ///
    /// # Errors
    /// [`TwilioError`]
    pub(crate) async fn submit<T: DeserializeOwned>(
        &self,
        method: Method,
        url: &str,
        form: &[(&str, impl Serialize)],
    ) -> Result<T, TwilioError> {
        self.call(self.twilio.http.request(method, url).form(form)).await
    }

    pub(crate) fn number_url(&self, sid: &str) -> String {
        format!("{}/IncomingPhoneNumbers/{sid}.json", self.account_url())
    }

    pub(crate) fn service_url(&self, sid: &str) -> String {
        format!("{}/v1/Services/{sid}", self.twilio.hosts.messaging)
    }

    pub(crate) fn messaging_permissions_url(&self) -> String {
        format!("{}/v1/Messaging/GeoPermissions", self.twilio.hosts.accounts)
    }

    fn account_path(&self) -> String {
        format!("/2010-04-01/Accounts/{}", self.key.account_sid.as_str())
    }

    fn account_url(&self) -> String {
        self.twilio.hosts.api.clone() + &self.account_path()
    }

    /// Every entry of a list, page by page.
    async fn list<T: DeserializeOwned>(&self, host: &str, path: &str) -> Result<Vec<T>, TwilioError> {
        let (mut entries, mut path) = (Vec::new(), path.to_owned());
        for _ in 0..MAX_PAGES {
            let page: Page<T> = self.get(&format!("{host}{path}")).await?;
            entries.extend(page.entries);
            let next = page.next_page_uri.or_else(|| page.meta.and_then(|meta| meta.next_page_url));
            match next.as_deref().map(path_of) {
                None => return Ok(entries),
                Some(next) => next.clone_into(&mut path),
            }
        }
        Err(TwilioError::Unreadable("a list of more than 20 pages"))
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T, TwilioError> {
        self.call(self.twilio.http.get(url)).await
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, TwilioError> {
        let response = self.key.authorize(request).send().await.map_err(|error| not_answered(&error))?;
        read(response).await
    }
}

/// The path and query of a link. It is followed on the configured host, so credentials never go to a host that a link names.
fn path_of(link: &str) -> &str {
    let authority = link.find("://").map_or(0, |colon| colon + "://".len());
    link[authority..].find('/').map_or("/", |slash| &link[authority + slash..])
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T, TwilioError> {
    let status = response.status();
    let body = response.bytes().await.map_err(|error| not_answered(&error))?;
    if status.is_success() {
        return serde_json::from_slice(&body)
            .map_err(|_| TwilioError::Unreadable("a field is missing or has another type"));
    }
    Err(refusal(status, &body))
}

fn refusal(status: StatusCode, body: &[u8]) -> TwilioError {
    #[derive(Deserialize)]
    struct Failure {
        code: u32,
        message: Option<String>,
    }
    let failure = serde_json::from_slice::<Failure>(body).ok();
    let code = TwilioErrorCode(failure.as_ref().map_or(0, |failure| failure.code));
    let permission = failure.and_then(|failure| failure.message).as_deref().and_then(missing_permission);
    match (status.as_u16(), code.0) {
        (_, 20005 | 20008 | 20403 | 70051) | (403, _) => TwilioError::Forbidden { code, permission },
        (401, _) => TwilioError::Unauthorized(code),
        (404, _) => TwilioError::NotFound,
        (429, _) => TwilioError::Unavailable("Twilio limits the rate of calls (HTTP 429)".to_owned()),
        (500.., _) => TwilioError::Unavailable(format!("Twilio had an internal error (HTTP {})", status.as_u16())),
        (status, _) => TwilioError::Refused { status, code },
    }
}

/// The name of a permission in Twilio's error message, and nothing else of the message.
fn missing_permission(message: &str) -> Option<String> {
    let name = &message[message.find(PERMISSION)?..];
    let is_part = |character: &char| character.is_ascii_lowercase() || "/-.*".contains(*character);
    let name: String = name.chars().take_while(is_part).take(100).collect();
    Some(name.trim_end_matches('.').to_owned()).filter(|name| name.len() > PERMISSION.len())
}

fn not_answered(error: &reqwest::Error) -> TwilioError {
    let reason = if error.is_timeout() {
        "Twilio did not answer in time"
    } else if error.is_connect() {
        "Twilio can't be reached; check the network and TWILIO_BASE_URL"
    } else {
        "the connection to Twilio failed"
    };
    TwilioError::Unavailable(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_api_family_has_its_host_and_a_fake_twilio_has_one_for_all() {
        for (base_url, accounts, voice) in [
            ("https://api.twilio.com", "https://accounts.twilio.com", "https://voice.twilio.com"),
            (
                "https://api.dublin.ie1.twilio.com/",
                "https://accounts.dublin.ie1.twilio.com",
                "https://voice.dublin.ie1.twilio.com",
            ),
            ("http://127.0.0.1:7878", "http://127.0.0.1:7878", "http://127.0.0.1:7878"),
            ("https://api.example.com", "https://api.example.com", "https://api.example.com"),
            ("https://API.Twilio.com", "https://accounts.twilio.com", "https://voice.twilio.com"),
            ("https://api.nottwilio.com", "https://api.nottwilio.com", "https://api.nottwilio.com"),
            (
                "https://api.twilio.com.example.com",
                "https://api.twilio.com.example.com",
                "https://api.twilio.com.example.com",
            ),
        ] {
            let hosts = Hosts::of(&base_url.parse().unwrap());
            assert_eq!((hosts.accounts.as_str(), hosts.voice.as_str()), (accounts, voice));
        }
    }

    #[test]
    fn a_link_to_the_next_page_is_followed_on_the_configured_host() {
        for (link, path) in [
            (
                "https://voice.twilio.com/v1/DialingPermissions/Countries?Page=1",
                "/v1/DialingPermissions/Countries?Page=1",
            ),
            (
                "/2010-04-01/Accounts/AC1/IncomingPhoneNumbers.json?Page=1",
                "/2010-04-01/Accounts/AC1/IncomingPhoneNumbers.json?Page=1",
            ),
            ("https://evil.example", "/"),
            ("@evil.example/", "/"),
        ] {
            assert_eq!(path_of(link), path);
        }
    }

    #[test]
    fn a_refusal_is_classified_by_its_code_and_status() {
        let forbidden = |code, permission: Option<&str>| TwilioError::Forbidden {
            code: TwilioErrorCode(code),
            permission: permission.map(str::to_owned),
        };
        for (status, body, expected) in [
            (401, r#"{"code":20003,"message":"Authenticate"}"#, TwilioError::Unauthorized(TwilioErrorCode(20003))),
            (401, "", TwilioError::Unauthorized(TwilioErrorCode(0))),
            (401, r#"{"code":70051}"#, forbidden(70051, None)),
            (
                403,
                r#"{"code":70051,"message":"Authorization failed: missing /twilio/messaging/services/read."}"#,
                forbidden(70051, Some("/twilio/messaging/services/read")),
            ),
            (403, "<html>", forbidden(0, None)),
            (404, r#"{"code":20404}"#, TwilioError::NotFound),
            (400, r#"{"code":21401}"#, TwilioError::Refused { status: 400, code: TwilioErrorCode(21401) }),
        ] {
            assert_eq!(refusal(StatusCode::from_u16(status).unwrap(), body.as_bytes()), expected, "{body}");
        }
        assert!(matches!(refusal(StatusCode::BAD_GATEWAY, b""), TwilioError::Unavailable(_)));
    }

    #[test]
    fn only_the_name_of_a_permission_is_taken_from_an_error_message() {
        for (message, permission) in [
            ("needs '/twilio/voice/calls/read' for +14155550123", Some("/twilio/voice/calls/read")),
            ("/twilio/messaging/messages/* or else", Some("/twilio/messaging/messages/*")),
            ("/twilio/+14155550123", None),
            ("no", None),
        ] {
            assert_eq!(missing_permission(message).as_deref(), permission, "{message}");
        }
    }
}
