//! From an API Gateway event to a form that Twilio signed.
//!
//! The one idea: the URL that was signed is rebuilt from what API Gateway itself knows (its domain name, the raw path and the
//! raw query) or from a configured address, never from headers, which the caller chooses. `lambda_http`'s own `uri()` is built
//! from headers and through a URL parser that tidies up, so the event is read as it is.

use crate::runtime::credentials::Signer;
use crate::twilio::form::{Form, FormError};
use crate::twilio::signature::{self, Rejection, Request, verify};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use lambda_http::http::HeaderMap;
use std::fmt;
use std::str::FromStr;

/// A text of 1,600 characters, each three times percent-encoded, is some 20 KB; the rest of the form is under 2 KB.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// How many names of parameters a diagnosis lists.
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

/// An address that no signature can be checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPublicUrl {
    /// Not HTTPS.
    #[error("it must begin with https:// and a host name")]
    NotHttps,
    /// Twilio's URL is this one, the path and the query: only the first part belongs here.
    #[error("it must have no query and no fragment: it is what stands before the webhook's path")]
    TooLong,
}

impl FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(['?', '#']) {
            return Err(InvalidPublicUrl::TooLong);
        }
        if !crate::twilio::client::is_https_or_loopback(text) {
            return Err(InvalidPublicUrl::NotHttps);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl PublicUrl {
    /// The public URL of a path. Behind an API mapping, the path may begin with the mapping's key, which the address has too.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        let authority = self.0.find("://").map_or(0, |colon| colon + "://".len());
        let base_path = self.0[authority..].find('/').map_or(self.0.len(), |slash| authority + slash);
        let (origin, base_path) = self.0.split_at(base_path);
        let has_it_too = path.strip_prefix(base_path).is_some_and(|rest| rest.starts_with('/'));
        if has_it_too { origin.to_owned() + path } else { self.0.clone() + path }
    }
}

/// A request that says it is Twilio's.
pub struct Unverified {
    method: String,
    url: String,
    content_type: Option<String>,
    signature: Option<String>,
    body: Vec<u8>,
}

/// A request that Twilio signed, and its parameters. Nothing else can make one.
#[derive(Debug)]
pub struct Webhook {
    form: Form,
}

/// An event that no request can be read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Neither API Gateway nor a setting says what host was called.
    #[error("the event has no requestContext.domainName: set PublicUrl to the address that Twilio calls")]
    NoHost,
    /// The body is longer than any of Twilio's.
    #[error("the event's body is longer than {MAX_BODY_BYTES} bytes, which no webhook of Twilio's is")]
    TooLong,
    /// The body is marked as base64 and is not.
    #[error("the event's body is not the base64 that isBase64Encoded says it is")]
    NotBase64,
}

/// Why a request is not taken for Twilio's, with what helps to find out: all of it may be logged, none of it is answered.
#[derive(Debug)]
pub struct Refusal {
    /// The reason.
    pub reason: RefusalReason,
    /// The URL that the signature was checked against, without the values in its query.
    pub url: String,
    /// The names of the parameters.
    pub parameters: String,
    /// The media type.
    pub content_type: String,
    /// The length of the body.
    pub body_bytes: usize,
}

/// Why a request is not taken for Twilio's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusalReason {
    /// The signature does not hold.
    #[error(transparent)]
    Signature(#[from] Rejection),
    /// It holds, but the parameters speak of another account.
    #[error("the AccountSid is not the one in the secret")]
    OtherAccount,
}

impl Unverified {
    /// Reads the request from an HTTP API event of payload format 2.0.
    ///
    /// # Errors
    /// [`Unreadable`] if the event lacks what API Gateway always gives.
    pub fn read(event: ApiGatewayV2httpRequest, public_url: Option<&PublicUrl>) -> Result<Self, Unreadable> {
        let context = &event.request_context;
        let path = event.raw_path.as_deref().unwrap_or_default();
        let mut url = match (public_url, &context.domain_name) {
            // A public address hides the stage, which API Gateway puts before the path unless it is the default one.
            (Some(base), _) => base.join(without_stage(path, context.stage.as_deref())),
            (None, Some(domain)) if !domain.is_empty() => format!("https://{domain}{path}"),
            (None, _) => return Err(Unreadable::NoHost),
        };
        if let Some(query) = event.raw_query_string.as_deref().filter(|query| !query.is_empty()) {
            url.push('?');
            url.push_str(query);
        }
        let body = event.body.unwrap_or_default();
        // In base64 a third more. A stranger's megabytes would be decoded, sorted and hashed before the signature could fail.
        if body.len() > MAX_BODY_BYTES / 3 * 4 {
            return Err(Unreadable::TooLong);
        }
        let body = if event.is_base64_encoded {
            BASE64.decode(body).map_err(|_| Unreadable::NotBase64)?
        } else {
            body.into_bytes()
        };
        Ok(Self {
            method: context.http.method.as_str().to_owned(),
            url,
            content_type: header(&event.headers, "content-type"),
            signature: header(&event.headers, "x-twilio-signature"),
            body,
        })
    }

    /// Checks that Twilio signed it for one of these accounts.
    ///
    /// # Errors
    /// [`Refusal`] with the reason and a diagnosis.
    pub fn verify(&self, signers: &[Signer]) -> Result<Webhook, Refusal> {
        let request = Request {
            method: &self.method,
            url: &self.url,
            content_type: self.content_type.as_deref(),
            body: &self.body,
            signature: self.signature.as_deref(),
        };
        let verified = verify(signers.iter().map(|signer| &signer.auth_token), &request);
        let verified = verified.map_err(|rejection| self.refusal(rejection.into()))?;
        let form = verified.form.unwrap_or_default();
        // Twilio concatenates parameters without delimiters, so a signature alone leaves where one ends to the sender.
        let ours = signers.get(verified.token).map(|signer| signer.account_sid.as_str());
        match form.text("AccountSid") {
            Ok(theirs) if theirs.is_none() || theirs == ours => Ok(Webhook { form }),
            _ => Err(self.refusal(RefusalReason::OtherAccount)),
        }
    }

    fn refusal(&self, reason: RefusalReason) -> Refusal {
        let (address, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let query = names(&Form::parse(query.as_bytes()));
        let content_type = self.content_type.as_deref().unwrap_or("none");
        let is_form = signature::is_form(self.content_type.as_deref());
        Refusal {
            reason,
            url: loggable_url(address) + if query.is_empty() { "" } else { "?" } + &query,
            // A body that is no form is a text of somebody's, not a list of names.
            parameters: if is_form { names(&Form::parse(&self.body)) } else { String::new() },
            content_type: loggable(content_type.split(';').next().unwrap_or_default()),
            body_bytes: self.body.len(),
        }
    }
}

impl Refusal {
    /// Whether another auth token might make the request good: only then is it worth asking for newer ones.
    #[must_use]
    pub const fn may_be_rotation(&self) -> bool {
        matches!(self.reason, RefusalReason::Signature(Rejection::Mismatch))
    }
}

impl Webhook {
    /// A parameter as text; `None` if it is absent.
    ///
    /// # Errors
    /// [`FormError`] if it is given twice with different values, or is not UTF-8.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, FormError> {
        self.form.text(name)
    }

    /// All values of a parameter whose name is made up at run time, such as `MediaUrl3`. What is not UTF-8 is left out.
    pub fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.form.values(name).filter_map(|value| std::str::from_utf8(value).ok())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

fn without_stage<'a>(path: &'a str, stage: Option<&str>) -> &'a str {
    let rest = stage.and_then(|stage| path.strip_prefix('/')?.strip_prefix(stage));
    rest.filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

/// A header's value. Several are joined, as API Gateway itself does: then none of them is a signature or a media type.
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// The names that look like Twilio's, `Body` or `MediaUrl0`; of the others only how many there are.
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

/// A URL's host is ours, from API Gateway or the setting, and is what has to be compared; its path is the caller's.
fn loggable_url(address: &str) -> String {
    let authority = address.find("://").map_or(0, |colon| colon + "://".len());
    let path = address[authority..].find('/').map_or(address.len(), |slash| authority + slash);
    address[..path].to_owned() + &loggable(&address[path..])
}

/// What is left of a text from outside when it goes into a log: no control characters, no long runs of digits (a phone
/// number, a code), not much of it.
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
