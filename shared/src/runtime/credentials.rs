//! The secrets: fetched from AWS Secrets Manager, cached while warm, and refreshed when a rotation makes the cache stale.
//!
//! A cached value is only a guess at what is live. After a credential fails (a webhook's signature, a 401 from Twilio), the
//! secret is fetched again, at most once a minute: its current, its pending and its previous version, because during a rotation
//! any of the three may be live. AWS's `aws_secretsmanager_caching` has no such refetch. The formats are those of Secrets
//! Manager's managed rotation for Twilio, `TwilioAuthToken` and `TwilioApiKey`.

use crate::runtime::aws::reason;
use crate::runtime::clock::Clock;
use crate::twilio::origin::OriginVerify;
use crate::twilio::sid::is_sid;
use crate::twilio::signature::AuthToken;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::SdkError;
use aws_sdk_secretsmanager::operation::get_secret_value::{GetSecretValueError, GetSecretValueOutput};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use tokio::sync::Mutex;

/// How long a cached secret is used before the current version is fetched again. A leaked token that was replaced is rejected after
/// this time, even without a failure that causes a refetch.
const MAX_AGE_MS: u64 = 5 * 60 * 1000;
/// The shortest time between two refetches that failed credentials cause, and after a failed refresh.
const REFETCH_INTERVAL_MS: u64 = 60 * 1000;
/// The same after a failed refetch: a short outage of Secrets Manager must not cost a minute of webhooks.
const REFETCH_AFTER_FAILURE_MS: u64 = 2 * 1000;
/// How long the previous version of a secret is accepted after a new one was created. Long enough to put a new token into the
/// secret first and promote it at Twilio afterwards; limited, because a leaked token becomes the previous version.
const PREVIOUS_GRACE_MS: u64 = 60 * 60 * 1000;

/// A secret in Secrets Manager, read as a `T`.
pub struct Secret<T> {
    client: Client,
    id: String,
    clock: Clock,
    parse: fn(&str) -> Result<T, InvalidSecret>,
    fill_with: &'static str,
    cache: Mutex<Cache<T>>,
}

/// The versions of a secret that may be live, the current one first.
pub type Versions<T> = Arc<[T]>;

struct Cache<T> {
    versions: Option<Versions<T>>,
    stale_from_ms: u64,
    refetch_from_ms: u64,
}

/// Why a secret gives no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// The secret was read, but its value is invalid.
    #[error(
        "the secret {id} {problem}; fill it in with: aws secretsmanager put-secret-value --secret-id {id} --secret-string '{fill_with}'"
    )]
    InvalidSecret {
        /// Its name or ARN.
        id: String,
        /// Why it is invalid.
        problem: InvalidSecret,
        /// An example of a valid value.
        fill_with: &'static str,
    },
    /// The secret could not be read.
    #[error("the secret {id} can't be read from Secrets Manager: {reason}")]
    Unavailable {
        /// Its name or ARN.
        id: String,
        /// Why the call failed.
        reason: String,
    },
}

/// Why the value of a secret is invalid. Each text goes after "the secret X"; none repeats the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// It has no text.
    #[error("has no text value")]
    Empty,
    /// It is not a JSON object with text in its fields.
    #[error("is not a JSON object of text fields")]
    NotJson,
    /// A field is missing or empty.
    #[error("has no field {0}")]
    Missing(&'static str),
    /// A field still has the value that the stack was created with.
    #[error("still has a placeholder in its field {0}")]
    Placeholder(&'static str),
    /// A field does not have the format that Twilio gives it.
    #[error("has an invalid field {0}, which must be {1}")]
    Shape(&'static str, &'static str),
}

/// The SID of a Twilio account: `AC` and 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSid(String);

/// The account and its auth token, which verify webhooks, and the header that webhooks must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The account whose webhooks are signed with this token.
    pub account_sid: AccountSid,
    /// The token.
    pub auth_token: AuthToken,
    /// The values of `X-Origin-Verify`, if a CDN adds this header. Of several versions of the secret, the current one decides
    /// whether the header is required.
    pub origin_verify: Option<OriginVerify>,
}

/// Credentials for Twilio's API: an API key, or the account with its auth token.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The account that sends and pays.
    pub account_sid: AccountSid,
    username: String,
    password: String,
}

/// The key of the HMACs that replace phone numbers and IP addresses in the table.
#[derive(Clone)]
pub struct HmacKey(Vec<u8>);

impl AccountSid {
    /// The SID as Twilio writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ApiKey {
    /// Adds the credentials to a request.
    pub fn authorize(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        request.basic_auth(&self.username, Some(&self.password))
    }

    fn of_account(account_sid: AccountSid, auth_token: &AuthToken) -> Self {
        let (username, password) = (account_sid.as_str().to_owned(), auth_token.expose().to_owned());
        Self { account_sid, username, password }
    }

    /// The key's SID; `None` if it is the account with its auth token.
    #[must_use]
    pub fn key_sid(&self) -> Option<&str> {
        Some(self.username.as_str()).filter(|username| *username != self.account_sid.as_str())
    }
}

impl FromStr for Signer {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_signer(text)
    }
}

impl From<Signer> for ApiKey {
    fn from(Signer { account_sid, auth_token, .. }: Signer) -> Self {
        Self::of_account(account_sid, &auth_token)
    }
}

impl HmacKey {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({} for {}, [redacted])", self.username, self.account_sid.as_str())
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey([redacted])")
    }
}

impl Secret<Signer> {
    /// The secret with the account's auth token: `{"accountSid": "AC…", "authToken": "…"}`. If a CDN is in front, `originVerify`
    /// holds the value, or an array of values, of the header that it adds.
    #[must_use]
    pub fn signer(client: Client, id: &str, clock: Clock) -> Self {
        Self::new(client, id, clock, parse_signer, r#"{"accountSid":"AC…","authToken":"…"}"#)
    }
}

impl Secret<ApiKey> {
    /// The secret with an API key: `{"accountSid": "AC…", "apiKeySid": "SK…", "apiKeySecret": "…"}`. A secret with an auth token
    /// works as well.
    #[must_use]
    pub fn api_key(client: Client, id: &str, clock: Clock) -> Self {
        let fill_with = r#"{"accountSid":"AC…","apiKeySid":"SK…","apiKeySecret":"…"}"#;
        Self::new(client, id, clock, parse_api_key, fill_with)
    }
}

impl Secret<HmacKey> {
    /// The secret with the table's key, which the stack generates: `{"key": "…"}`.
    #[must_use]
    pub fn hmac_key(client: Client, id: &str, clock: Clock) -> Self {
        Self::new(client, id, clock, parse_hmac_key, r#"{"key":"at least 32 random characters"}"#)
    }
}

impl<T> Secret<T> {
    fn new(
        client: Client,
        id: &str,
        clock: Clock,
        parse: fn(&str) -> Result<T, InvalidSecret>,
        fill_with: &'static str,
    ) -> Self {
        let cache = Mutex::new(Cache { versions: None, stale_from_ms: 0, refetch_from_ms: 0 });
        Self { client, id: id.to_owned(), clock, parse, fill_with, cache }
    }

    /// The cached versions, fetched if there are none or they are too old. Concurrent first uses fetch once.
    ///
    /// # Errors
    /// [`CredentialsError`] if nothing is cached, or the secret has become invalid. A refresh that can't reach Secrets Manager
    /// keeps the cached versions.
    pub async fn get(&self) -> Result<Versions<T>, CredentialsError> {
        let mut cache = self.cache.lock().await;
        let now_ms = self.clock.now_ms();
        if let Some(versions) = cache.versions.clone().filter(|_| now_ms < cache.stale_from_ms) {
            return Ok(versions);
        }
        match (self.current().await, cache.versions.clone()) {
            (Ok((current, _)), _) => Ok(cache.keep([current].into(), now_ms)),
            // An outage of Secrets Manager doesn't make the cached value wrong. An emptied secret does.
            (Err(error @ CredentialsError::Unavailable { .. }), Some(versions)) => {
                tracing::error!(%error, "can't refresh a secret; its cached value stays in use");
                cache.stale_from_ms = now_ms + REFETCH_INTERVAL_MS;
                Ok(versions)
            }
            (Err(error), _) => {
                cache.versions = None;
                Err(error)
            }
        }
    }

    /// Fetches the current, the pending and the previous version, after those in `failed` did not work. `None` if that was done
    /// within the last minute: a stream of forged requests causes one refetch a minute.
    ///
    /// # Errors
    /// [`CredentialsError`] if the secret can't be read.
    pub async fn refetch(&self, failed: &Versions<T>) -> Result<Option<Versions<T>>, CredentialsError> {
        let mut cache = self.cache.lock().await;
        if let Some(versions) = cache.versions.as_ref().filter(|versions| !Arc::ptr_eq(versions, failed)) {
            return Ok(Some(versions.clone())); // Another request has refetched.
        }
        let now_ms = self.clock.now_ms();
        if now_ms < cache.refetch_from_ms {
            return Ok(None);
        }
        cache.refetch_from_ms = now_ms + REFETCH_AFTER_FAILURE_MS;
        let (current, pending, previous) =
            tokio::join!(self.current(), self.fetch("AWSPENDING"), self.fetch("AWSPREVIOUS"));
        let (current, created_ms) = current?;
        cache.refetch_from_ms = now_ms + REFETCH_INTERVAL_MS;
        let mut versions = vec![current];
        // These two are optional: if one is absent or incomplete, the current version is enough.
        versions.extend(pending.ok().and_then(|pending| self.read(&pending).ok()));
        if now_ms < created_ms.saturating_add(PREVIOUS_GRACE_MS) {
            versions.extend(previous.ok().and_then(|previous| self.read(&previous).ok()));
        }
        Ok(Some(cache.keep(versions.into(), now_ms)))
    }

    /// The current version, and when it was created.
    async fn current(&self) -> Result<(T, u64), CredentialsError> {
        let output = self
            .fetch("AWSCURRENT")
            .await
            .map_err(|error| CredentialsError::Unavailable { id: self.id.clone(), reason: reason(&error) })?;
        let created_ms = output.created_date().and_then(|date| date.to_millis().ok()).unwrap_or_default();
        let current = self.read(&output).map_err(|problem| CredentialsError::InvalidSecret {
            id: self.id.clone(),
            problem,
            fill_with: self.fill_with,
        })?;
        Ok((current, u64::try_from(created_ms).unwrap_or_default()))
    }

    async fn fetch(&self, stage: &str) -> Result<GetSecretValueOutput, SdkError<GetSecretValueError>> {
        self.client.get_secret_value().secret_id(&self.id).version_stage(stage).send().await
    }

    fn read(&self, output: &GetSecretValueOutput) -> Result<T, InvalidSecret> {
        (self.parse)(output.secret_string().ok_or(InvalidSecret::Empty)?)
    }
}

impl<T> Cache<T> {
    fn keep(&mut self, versions: Versions<T>, now_ms: u64) -> Versions<T> {
        self.stale_from_ms = now_ms + MAX_AGE_MS;
        self.versions.insert(versions).clone()
    }
}

/// The fields of all formats. Snake case is accepted as well, because people write it.
#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "accountSid", alias = "account_sid")]
    account_sid: Option<String>,
    #[serde(rename = "authToken", alias = "auth_token")]
    auth_token: Option<String>,
    #[serde(rename = "apiKeySid", alias = "api_key_sid")]
    api_key_sid: Option<String>,
    #[serde(rename = "apiKeySecret", alias = "api_key_secret")]
    api_key_secret: Option<String>,
    key: Option<String>,
    #[serde(
        rename = "originVerify",
        alias = "origin_verify",
        alias = "X-Origin-Verify",
        default,
        deserialize_with = "present"
    )]
    origin_verify: Option<Value>,
}

/// Any value, `null` included: a field that is there was meant.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Fields {
    fn parse(text: &str) -> Result<Self, InvalidSecret> {
        serde_json::from_str(text).map_err(|_| InvalidSecret::NotJson)
    }

    fn account_sid(&self) -> Result<AccountSid, InvalidSecret> {
        sid("accountSid", self.account_sid.as_deref(), "AC", "an account SID (AC and 32 hexadecimal digits)")
            .map(AccountSid)
    }

    fn auth_token(&self) -> Result<AuthToken, InvalidSecret> {
        let auth_token = filled("authToken", self.auth_token.as_deref())?;
        AuthToken::new(auth_token).map_err(|_| InvalidSecret::Missing("authToken"))
    }

    /// Absent, it requires nothing. Present and invalid, it must not be taken for absent.
    fn origin_verify(&self) -> Result<Option<OriginVerify>, InvalidSecret> {
        const FIELD: &str = "originVerify";
        let values = match &self.origin_verify {
            None => return Ok(None),
            Some(Value::String(value)) => vec![value.as_str()],
            Some(Value::Array(values)) => {
                values.iter().map(|value| value.as_str().unwrap_or_default()).collect::<Vec<_>>()
            }
            Some(_) => vec![],
        };
        let invalid = InvalidSecret::Shape(
            FIELD,
            "a text, or an array of texts, of 20 to 256 visible ASCII characters without commas",
        );
        let values: Vec<_> = values.into_iter().map(str::trim).collect();
        let origin_verify = OriginVerify::new(&values).map_err(|_| invalid)?;
        values.iter().try_for_each(|value| filled(FIELD, Some(value)).map(drop))?;
        Ok(Some(origin_verify))
    }
}

fn parse_signer(text: &str) -> Result<Signer, InvalidSecret> {
    let fields = Fields::parse(text)?;
    let auth_token = fields.auth_token()?;
    Ok(Signer { account_sid: fields.account_sid()?, auth_token, origin_verify: fields.origin_verify()? })
}

fn parse_api_key(text: &str) -> Result<ApiKey, InvalidSecret> {
    let fields = Fields::parse(text)?;
    if fields.api_key_sid.is_none() && fields.auth_token.is_some() {
        let auth_token = fields.auth_token()?;
        return Ok(ApiKey::of_account(fields.account_sid()?, &auth_token));
    }
    Ok(ApiKey {
        account_sid: fields.account_sid()?,
        username: sid(
            "apiKeySid",
            fields.api_key_sid.as_deref(),
            "SK",
            "an API key SID (SK and 32 hexadecimal digits)",
        )?,
        password: filled("apiKeySecret", fields.api_key_secret.as_deref())?.to_owned(),
    })
}

fn parse_hmac_key(text: &str) -> Result<HmacKey, InvalidSecret> {
    let fields = Fields::parse(text)?;
    let key = filled("key", fields.key.as_deref())?;
    if key.len() < 32 {
        return Err(InvalidSecret::Shape("key", "at least 32 characters"));
    }
    Ok(HmacKey(key.as_bytes().to_vec()))
}

/// A field's value, unless it is empty or a placeholder.
fn filled<'a>(field: &'static str, value: Option<&'a str>) -> Result<&'a str, InvalidSecret> {
    let value = value.map(str::trim).filter(|value| !value.is_empty()).ok_or(InvalidSecret::Missing(field))?;
    let lower_case = value.to_ascii_lowercase();
    let placeholder = ["replace", "placeholder", "changeme", "change_me", "change-me", "your", "todo", "…", "...", "<"]
        .iter()
        .any(|start| lower_case.starts_with(start));
    if placeholder { Err(InvalidSecret::Placeholder(field)) } else { Ok(value) }
}

fn sid(
    field: &'static str,
    value: Option<&str>,
    prefix: &str,
    expected: &'static str,
) -> Result<String, InvalidSecret> {
    let value = filled(field, value)?;
    if is_sid(value, prefix) { Ok(value.to_owned()) } else { Err(InvalidSecret::Shape(field, expected)) }
}
