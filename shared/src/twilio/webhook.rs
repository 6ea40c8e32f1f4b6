//! From an API Gateway event to a form that Twilio signed.
//!
//! The signed URL is rebuilt from what API Gateway itself knows (its domain name, the raw path and the raw query) or from a
//! configured address, never from headers, which the caller chooses. The `uri()` of `lambda_http` comes from headers and through a
//! URL parser that normalizes, so the event is read as it is.

use super::form::{Form, FormError};
use super::origin::{self, OriginError};
use super::signature::{self, SignatureError, SignedRequest, verify};
use super::url::is_https_or_loopback;
use crate::runtime::credentials::{CredentialsError, Signer};
use crate::store::items::StoreError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::http::HeaderMap;
use serde_json::Value;
use std::str::FromStr;

/// A text of 1,600 characters, each three times percent-encoded, is some 20 KB; the rest of the form is under 2 KB.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// The most names of parameters in a diagnosis.
const MAX_NAMES: usize = 40;

/// The address under which Twilio reaches the API, where that is not API Gateway's own domain name.
///
/// ```
/// use shared::twilio::webhook::PublicUrl;
///
/// assert!("https://sms.example.com/twilio".parse::<PublicUrl>().is_ok());
/// assert!("http://sms.example.com".parse::<PublicUrl>().is_err());
/// assert!("https://sms.example.com/sms?a=b".parse::<PublicUrl>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(String);

/// Why a text can't be a [`PublicUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPublicUrl {
    /// Not HTTPS.
    #[error("it must start with https:// and a host name")]
    NotHttps,
    /// It goes on after the path.
    #[error("it must have no query and no fragment, only what comes before the webhook's path")]
    QueryOrFragment,
}

impl FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(['?', '#']) {
            return Err(InvalidPublicUrl::QueryOrFragment);
        }
        if !is_https_or_loopback(text) {
            return Err(InvalidPublicUrl::NotHttps);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl PublicUrl {
    /// The public URL of a path. Behind an API mapping, both the address and the path may contain the mapping's key; it is not
    /// repeated.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        self.join_both_ways(path).0
    }

    /// As [`Self::join`]; and if a part was not repeated, the URL that repeats it. A CDN may strip the address's own path from a
    /// request whose path goes on with the same words.
    fn join_both_ways(&self, path: &str) -> (String, Option<String>) {
        let authority = self.0.find("://").map_or(0, |colon| colon + "://".len());
        let base_path = self.0[authority..].find('/').map_or(self.0.len(), |slash| authority + slash);
        let (origin, base_path) = self.0.split_at(base_path);
        let has_it_too = path.strip_prefix(base_path).is_some_and(|rest| rest.starts_with('/'));
        let repeated = self.0.clone() + path;
        if has_it_too && !base_path.is_empty() { (origin.to_owned() + path, Some(repeated)) } else { (repeated, None) }
    }
}

/// A request whose signature is not verified yet.
pub struct Unverified {
    method: String,
    url: String,
    /// Another URL that Twilio may have called instead.
    other_url: Option<String>,
    content_type: Option<String>,
    signature: Option<String>,
    origin_verify: Option<String>,
    body: Vec<u8>,
}

/// A request that Twilio signed, and its parameters. Only [`Unverified::verify`] makes one.
#[derive(Debug)]
pub struct Webhook {
    form: Form,
}

/// Why a webhook is rejected, or could not be processed.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// Not an event of an HTTP API with payload format 2.0.
    #[error("the event is not one of an API Gateway HTTP API with payload format 2.0")]
    NotHttpApi,
    /// Neither API Gateway nor a setting says which host was called.
    #[error("the event has no requestContext.domainName; set PublicUrl to the address that Twilio calls")]
    UnknownHost,
    /// The body is longer than that of any webhook of Twilio's.
    #[error("the body is longer than {MAX_BODY_BYTES} bytes, which no webhook of Twilio's is")]
    BodyTooLong,
    /// The body is marked as base64 and is not.
    #[error("the body is not base64, although isBase64Encoded is true")]
    BodyNotBase64,
    /// A CDN is in front, and the request went past it.
    #[error("{0}")]
    PastCdn(#[from] OriginError),
    /// The signature does not verify.
    #[error("{reason}")]
    Forged {
        /// Why not.
        reason: SignatureError,
        /// What was checked.
        diagnosis: Box<Diagnosis>,
    },
    /// The signature verifies, but the parameters name another account.
    #[error("the AccountSid is not the one in the secret")]
    OtherAccount(Box<Diagnosis>),
    /// From Twilio, but not a webhook of this kind. The text is a sentence for Twilio's debugger.
    #[error("{0}")]
    Unexpected(String),
    /// There is no auth token to verify with.
    #[error("{0}")]
    CredentialsUnavailable(#[from] CredentialsError),
    /// The table could not store it.
    #[error("{0}")]
    StoreUnavailable(#[from] StoreError),
    /// AWS took longer than Twilio waits. The webhook may have been processed.
    #[error("Secrets Manager or DynamoDB did not answer in time")]
    TimedOut,
}

/// What a rejected request looked like, safe to log. The caller gets none of it.
#[derive(Debug)]
pub struct Diagnosis {
    /// The URL that the signature was checked against, without the values in its query.
    pub url: String,
    /// The names of the parameters.
    pub parameters: String,
    /// The media type.
    pub content_type: String,
    /// The length of the body.
    pub body_bytes: usize,
}

impl Unverified {
    /// Reads the request from an HTTP API event of payload format 2.0.
    ///
    /// # Errors
    /// [`WebhookError`] if the event is not one that API Gateway builds from a request of Twilio's.
    pub fn read(event: Value, public_url: Option<&PublicUrl>) -> Result<Self, WebhookError> {
        let event: ApiGatewayV2httpRequest = serde_json::from_value(event).map_err(|_| WebhookError::NotHttpApi)?;
        let context = &event.request_context;
        let path = event.raw_path.as_deref().unwrap_or_default();
        let (mut url, mut other_url) = match (public_url, &context.domain_name) {
            // A public address hides the stage, which API Gateway puts before the path unless it is the default one.
            (Some(base), _) => base.join_both_ways(without_stage(path, context.stage.as_deref())),
            (None, Some(domain)) if !domain.is_empty() => (format!("https://{domain}{path}"), None),
            (None, _) => return Err(WebhookError::UnknownHost),
        };
        if let Some(query) = event.raw_query_string.as_deref().filter(|query| !query.is_empty()) {
            for url in std::iter::once(&mut url).chain(&mut other_url) {
                url.push('?');
                url.push_str(query);
            }
        }
        let body = event.body.unwrap_or_default();
        // Base64 adds a third. Megabytes from a stranger would be decoded, sorted and hashed before the signature could fail.
        if body.len() > MAX_BODY_BYTES / 3 * 4 {
            return Err(WebhookError::BodyTooLong);
        }
        let body = if event.is_base64_encoded {
            BASE64.decode(body).map_err(|_| WebhookError::BodyNotBase64)?
        } else {
            body.into_bytes()
        };
        Ok(Self {
            method: context.http.method.as_str().to_owned(),
            url,
            other_url,
            content_type: header(&event.headers, "content-type"),
            signature: header(&event.headers, "x-twilio-signature"),
            origin_verify: header(&event.headers, origin::HEADER),
            body,
        })
    }

    /// Checks that it came through the CDN, if there is one, and that Twilio signed it for one of these accounts.
    ///
    /// # Errors
    /// [`WebhookError::PastCdn`]; [`WebhookError::Forged`] or [`WebhookError::OtherAccount`], with a diagnosis.
    pub fn verify(&self, signers: &[Signer]) -> Result<Webhook, WebhookError> {
        // First, because it costs a hash, where a signature costs several and the parsing of a form.
        self.check_origin(signers)?;
        let check = |url: &str| {
            let request = SignedRequest {
                method: &self.method,
                url,
                content_type: self.content_type.as_deref(),
                body: &self.body,
                signature: self.signature.as_deref(),
            };
            verify(signers.iter().map(|signer| &signer.auth_token), &request)
        };
        let verified = check(&self.url)
            .or_else(|reason| self.other_url.as_deref().map_or(Err(reason), check))
            .map_err(|reason| WebhookError::Forged { reason, diagnosis: Box::new(self.diagnosis()) })?;
        let form = verified.form.unwrap_or_default();
        // Twilio concatenates parameters without delimiters, so a sender could move the boundaries between them under the same
        // signature. The account must match as well.
        let ours = signers.get(verified.token).map(|signer| signer.account_sid.as_str());
        match form.text("AccountSid") {
            Ok(theirs) if theirs.is_none() || theirs == ours => Ok(Webhook { form }),
            _ => Err(WebhookError::OtherAccount(Box::new(self.diagnosis()))),
        }
    }

    /// The current version of the secret, which is the first, decides whether the header is required: the version before may be
    /// from before the CDN. If it is, the values of all versions are accepted, as their tokens are.
    fn check_origin(&self, signers: &[Signer]) -> Result<(), OriginError> {
        let Some((Signer { origin_verify: Some(current), .. }, others)) = signers.split_first() else { return Ok(()) };
        let others = others.iter().filter_map(|signer| signer.origin_verify.as_ref());
        current.or(others).check(self.origin_verify.as_deref())
    }

    fn diagnosis(&self) -> Diagnosis {
        let (address, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let query = names(&Form::parse(query.as_bytes()));
        let content_type = self.content_type.as_deref().unwrap_or("none");
        let is_form = signature::is_form(self.content_type.as_deref());
        Diagnosis {
            url: loggable_url(address) + if query.is_empty() { "" } else { "?" } + &query,
            // A body that is not a form may be personal text.
            parameters: if is_form { names(&Form::parse(&self.body)) } else { String::new() },
            content_type: loggable(content_type.split(';').next().unwrap_or_default()),
            body_bytes: self.body.len(),
        }
    }
}

impl Webhook {
    /// A parameter as text; `None` if it is absent.
    ///
    /// # Errors
    /// [`FormError`] if it occurs twice with different values, or is not UTF-8.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, FormError> {
        self.form.text(name)
    }

    /// A parameter that every webhook of a kind has; `None` if it is absent or empty.
    ///
    /// # Errors
    /// [`FormError`] if it occurs twice with different values, or is not UTF-8.
    pub fn filled(&self, name: &'static str) -> Result<Option<&str>, FormError> {
        Ok(self.text(name)?.filter(|value| !value.is_empty()))
    }

    /// All values of a parameter whose name is built at run time, such as `MediaUrl3`. Values that are not UTF-8 are left out.
    pub fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.form.values(name).filter_map(|value| std::str::from_utf8(value).ok())
    }
}

fn without_stage<'a>(path: &'a str, stage: Option<&str>) -> &'a str {
    let rest = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
    rest.filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

/// A header's value. Several are joined, as API Gateway does; the result is neither a signature nor a media type.
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// The names that look like Twilio's, such as `Body` or `MediaUrl0`, and how many others there are.
fn names(form: &Form) -> String {
    let is_plain = |name: &&[u8]| {
        let (letters, number) = name.split_at(name.iter().take_while(|byte| byte.is_ascii_alphabetic()).count());
        (1..=30).contains(&letters.len()) && number.len() <= 2 && number.iter().all(u8::is_ascii_digit)
    };
    let plain: Vec<_> = form.names().filter(is_plain).take(MAX_NAMES).map(String::from_utf8_lossy).collect();
    let others = form.names().count() - plain.len();
    let names = plain.join(" ");
    if others == 0 { names } else { format!("{names} and {others} others") }
}

/// The host comes from API Gateway or from the setting, and has to be compared, so it stays; the path comes from the caller.
fn loggable_url(address: &str) -> String {
    let authority = address.find("://").map_or(0, |colon| colon + "://".len());
    let path = address[authority..].find('/').map_or(address.len(), |slash| authority + slash);
    address[..path].to_owned() + &loggable(&address[path..])
}

/// A text from outside, made safe to log: at most 200 characters, no control characters, and no long run of digits, which could be
/// a phone number or a code.
fn loggable(text: &str) -> String {
    let mut digits = 0;
    let safe = text.chars().take(200).filter_map(|character| {
        digits = if character.is_ascii_digit() { digits + 1 } else { 0 };
        match character {
            _ if digits > 3 => None,
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_' | '/' | ':' | '[' | ']' | '$' => Some(character),
            _ => Some('•'),
        }
    });
    safe.collect()
}
