//! Twilio's REST API, as far as the checklist reads and repairs an account.
//!
//! The one idea: an answer is either what Twilio documents, read into a type, or a [`TwilioError`] that says why there is
//! none. What Twilio says in words is left alone, since it repeats numbers; its code and the name of a missing permission are
//! all that is taken from a refusal.

use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::runtime::credentials::ApiKey;
use shared::twilio::client::BaseUrl;
use shared::twilio::error_code::TwilioErrorCode;

/// The most entries that Twilio puts on a page.
const PAGE_SIZE: u16 = 1000;
/// After so many pages a list is given up: no account is meant to have 20,000 numbers behind one service.
const MAX_PAGES: usize = 20;
/// What the names of the permissions of restricted API keys begin with.
const PERMISSION: &str = "/twilio/";

/// Twilio, as nobody in particular.
pub struct TwilioApi {
    http: reqwest::Client,
    hosts: Hosts,
}

/// Twilio's hosts: each family of resources has its own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hosts {
    api: String,
    accounts: String,
    iam: String,
    messaging: String,
    voice: String,
}

/// Twilio, signed in.
pub struct Session<'a> {
    twilio: &'a TwilioApi,
    key: &'a ApiKey,
}

/// Why Twilio did not tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TwilioError {
    /// The credentials are not accepted, at least not here: a standard API key gets the same where a main one is needed.
    #[error("Twilio does not accept the credentials ({0})")]
    Unauthorized(TwilioErrorCode),
    /// They are known, and may not do this.
    #[error("the credentials may not do that ({code})")]
    Forbidden {
        /// Twilio's code.
        code: TwilioErrorCode,
        /// What an API key lacks, if Twilio says it.
        permission: Option<String>,
    },
    /// There is no such thing in this account.
    #[error("there is no such thing in this account (HTTP 404)")]
    NotFound,
    /// Twilio says no, for another reason.
    #[error("Twilio answered HTTP {status} ({code})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Twilio's code.
        code: TwilioErrorCode,
    },
    /// No answer, or none from a Twilio in good health.
    #[error("{0}")]
    Unavailable(String),
    /// An answer, but not the one that Twilio documents.
    #[error("the answer is not as Twilio documents it: {0}")]
    Unreadable(&'static str),
}

/// The account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TwilioAccount {
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

/// What an API key may do. <https://www.twilio.com/docs/iam/api-keys/key-resource-v1>
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPolicy {
    /// Everything that its type may: a standard key, or a main one.
    Unrestricted,
    /// These permissions, and nothing else.
    Allow(Vec<String>),
}

/// A phone number of the account, as far as messages go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct IncomingNumber {
    /// `PN…`.
    pub sid: String,
    /// In E.164.
    pub phone_number: String,
    /// Where its messages go.
    pub sms_url: Option<String>,
    /// How.
    pub sms_method: Option<String>,
    /// Where they go if that fails.
    pub sms_fallback_url: Option<String>,
    /// The application whose addresses replace all of these.
    pub sms_application_sid: Option<String>,
    /// Where the fate of calls is told.
    pub status_callback: Option<String>,
}

/// A Messaging Service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MessagingService {
    /// `MG…`.
    pub sid: String,
    /// Where its messages go, unless its numbers decide that.
    pub inbound_request_url: Option<String>,
    /// How.
    pub inbound_method: Option<String>,
    /// Where they go if that fails.
    pub fallback_url: Option<String>,
    /// Where the fate of messages is told.
    pub status_callback: Option<String>,
    /// Whether its numbers decide where messages go.
    #[serde(default)]
    pub use_inbound_webhook_on_number: bool,
    /// Whether US carriers know its campaign; `None` if Twilio does not say.
    pub us_app_to_person_registered: Option<bool>,
}

/// A phone number of a Messaging Service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ServiceNumber {
    /// The SID that it has as a number of the account.
    pub sid: String,
    /// In E.164.
    pub phone_number: String,
}

/// Whether SMS may go to a country.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MessagingPermission {
    /// ISO 3166-1.
    pub country_code: String,
    /// Whether it may.
    pub enabled: bool,
    /// What its numbers begin with, such as `+91`.
    pub prefix: Option<String>,
}

/// What became of the wish to open or close one country.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PermissionChange {
    /// ISO 3166-1.
    pub country_code: String,
    /// 0 if it was done.
    #[serde(default)]
    pub error_code: u32,
}

/// Whether calls may go to the numbers of a country that fraud earns from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DialingPermission {
    /// ISO 3166-1.
    pub iso_code: String,
    /// Premium-rate and the like.
    pub high_risk_special_numbers_enabled: Option<bool>,
    /// Numbers known from fraud.
    pub high_risk_tollfraud_numbers_enabled: Option<bool>,
}

/// A page of a list, of either of Twilio's two kinds.
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
    /// The digits of its prefix, if Twilio tells any.
    #[must_use]
    pub fn dial_code(&self) -> Option<String> {
        let digits: String = self.prefix.as_deref()?.chars().filter(char::is_ascii_digit).collect();
        Some(digits).filter(|digits| !digits.is_empty())
    }
}

impl TwilioError {
    /// Whether what was asked for may have been done all the same.
    pub(crate) const fn may_have_taken_effect(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Unreadable(_))
    }

    /// What took longer than there was time for.
    pub(crate) fn timed_out() -> Self {
        Self::Unavailable("Twilio did not answer in time".to_owned())
    }
}

impl Hosts {
    /// `https://api.twilio.com`, and the same in a region, has sisters; any other address is a stand-in for all of them.
    fn of(base_url: &BaseUrl) -> Self {
        let lower_case = base_url.as_str().to_ascii_lowercase();
        // Credentials go to the sisters: a name that only ends alike, or a path that does, is no name of Twilio's.
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
    /// Twilio at its hosts.
    #[must_use]
    pub fn new(http: reqwest::Client, base_url: &BaseUrl) -> Self {
        Self { http, hosts: Hosts::of(base_url) }
    }

    /// Signs in.
    #[must_use]
    pub const fn session<'a>(&'a self, key: &'a ApiKey) -> Session<'a> {
        Session { twilio: self, key }
    }

    /// The `Date` of an answer, whatever it answers: the root of the API tells nothing and needs no credentials.
    ///
    /// # Errors
    /// [`TwilioError`] if there is no answer, or no date in it.
    pub async fn date(&self) -> Result<String, TwilioError> {
        let response =
            self.http.get(format!("{}/2010-04-01", self.hosts.api)).send().await.map_err(|e| not_answered(&e))?;
        let date = response.headers().get(reqwest::header::DATE).and_then(|date| date.to_str().ok());
        date.map(str::to_owned).ok_or(TwilioError::Unreadable("it has no Date"))
    }
}

impl Session<'_> {
    /// The account itself. A standard API key may not read it.
    ///
    /// # Errors
    /// [`TwilioError`], as of everything here.
    pub async fn account(&self) -> Result<TwilioAccount, TwilioError> {
        self.get(&format!("{}.json", self.account_url())).await
    }

    /// What an API key may do.
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
        let allow = policy["allow"].as_array().ok_or(TwilioError::Unreadable("a policy without allow"))?;
        Ok(KeyPolicy::Allow(allow.iter().filter_map(Value::as_str).map(str::to_owned).collect()))
    }

    /// Whether the credentials are good for anything at all: a standard API key may list numbers.
    ///
    /// # Errors
    /// [`TwilioError`]
    pub async fn try_out(&self) -> Result<(), TwilioError> {
        let url = format!("{}/IncomingPhoneNumbers.json?PageSize=1", self.account_url());
        self.get::<Page<Value>>(&url).await.map(|_| ())
    }

    /// The account's number, or all of them.
    ///
    /// # Errors
    /// [`TwilioError`]
    pub async fn numbers(&self, only: Option<&str>) -> Result<Vec<IncomingNumber>, TwilioError> {
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

    /// Where SMS may go.
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

    /// Opens or closes countries. Twilio answers 200 whatever becomes of each.
    ///
    /// # Errors
    /// [`TwilioError`]
    pub async fn set_messaging_permissions(
        &self,
        changes: &[(&str, bool)],
    ) -> Result<Vec<PermissionChange>, TwilioError> {
        #[derive(Deserialize)]
        struct Permissions {
            permissions: Vec<PermissionChange>,
        }
        let item = |(country, enabled): &(&str, bool)| {
            let item = serde_json::json!({"country_code": country, "type": "country", "enabled": enabled});
            ("Permissions", item.to_string())
        };
        let form: Vec<_> = changes.iter().map(item).collect();
        let request = self.twilio.http.patch(self.messaging_permissions_url()).form(&form);
        self.call::<Permissions>(request).await.map(|answer| answer.permissions)
    }

    /// Where calls may go.
    ///
    /// # Errors
    /// [`TwilioError`]
    pub async fn dialing_permissions(&self) -> Result<Vec<DialingPermission>, TwilioError> {
        let path = format!("/v1/DialingPermissions/Countries?PageSize={PAGE_SIZE}");
        self.list(&self.twilio.hosts.voice, &path).await
    }

    /// Changes these fields of a number, and no others.
    ///
    /// # Errors
    /// [`TwilioError`]
    pub async fn update_number(&self, sid: &str, fields: &[(&str, &str)]) -> Result<(), TwilioError> {
        let url = format!("{}/IncomingPhoneNumbers/{sid}.json", self.account_url());
        self.call::<Value>(self.twilio.http.post(url).form(fields)).await.map(|_| ())
    }

    /// Changes these fields of a Messaging Service, and no others.
    ///
    /// # Errors
    /// [`TwilioError`]
    pub async fn update_service(&self, sid: &str, fields: &[(&str, &str)]) -> Result<(), TwilioError> {
        self.call::<Value>(self.twilio.http.post(self.service_url(sid)).form(fields)).await.map(|_| ())
    }

    fn account_path(&self) -> String {
        format!("/2010-04-01/Accounts/{}", self.key.account_sid.as_str())
    }

    fn account_url(&self) -> String {
        self.twilio.hosts.api.clone() + &self.account_path()
    }

    fn service_url(&self, sid: &str) -> String {
        format!("{}/v1/Services/{sid}", self.twilio.hosts.messaging)
    }

    fn messaging_permissions_url(&self) -> String {
        format!("{}/v1/Messaging/GeoPermissions", self.twilio.hosts.accounts)
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

/// The path and query of a link: credentials follow it to the host that we chose, never to the one that it names.
fn path_of(link: &str) -> &str {
    let authority = link.find("://").map_or(0, |colon| colon + "://".len());
    link[authority..].find('/').map_or("/", |slash| &link[authority + slash..])
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T, TwilioError> {
    let status = response.status();
    let body = response.bytes().await.map_err(|error| not_answered(&error))?;
    if status.is_success() {
        return serde_json::from_slice(&body)
            .map_err(|_| TwilioError::Unreadable("a field is missing or of another type"));
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
        (429, _) => TwilioError::Unavailable("Twilio is too busy (HTTP 429)".to_owned()),
        (500.., _) => TwilioError::Unavailable(format!("Twilio has a fault of its own (HTTP {})", status.as_u16())),
        (status, _) => TwilioError::Refused { status, code },
    }
}

/// The name of a permission in Twilio's words, and nothing else of them.
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
        "Twilio could not be reached: check the network, and TWILIO_BASE_URL"
    } else {
        "the connection to Twilio broke"
    };
    TwilioError::Unavailable(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_of_resources_has_its_host_and_a_stand_in_has_one_for_all() {
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
    fn a_link_to_the_next_page_is_followed_on_our_own_host() {
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
    fn a_refusal_is_read_by_its_code_and_its_status() {
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
    fn only_the_name_of_a_permission_is_taken_from_what_twilio_says() {
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
