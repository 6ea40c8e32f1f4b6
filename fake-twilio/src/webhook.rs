//! How Twilio calls others: a signed form, and what may go wrong with the answer.
//!
//! The one idea: only this machine is called. A URL is called if its host, as the client itself reads it, is a loopback address;
//! every other one is told of and left alone.

use crate::exchanges::ExchangeOutcome;
use crate::loopback::is_loopback;
use crate::twilio::FakeTwilio;
use axum::http::header;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use shared::twilio::form::Form;
use shared::twilio::signature::{AuthToken, sign};
use std::fmt::Write as _;

/// Twilio reads no further. <https://www.twilio.com/docs/api/errors/11750>
const MAX_ANSWER_BYTES: usize = 64 * 1024;
const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";

/// What went wrong with a webhook, by the codes of Twilio's debugger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// Nobody is to be told.
    #[error("the number has no SmsUrl, so nobody was told")]
    NoUrl,
    /// Nothing leaves this machine.
    #[error("{url} was not called: it is outside this machine")]
    Outside {
        /// The URL.
        url: String,
    },
    /// Not an answer of success.
    #[error("11200: {url} answered {status}, and Twilio takes nothing but 2xx")]
    Status {
        /// The URL.
        url: String,
        /// The status.
        status: u16,
    },
    /// No answer in time.
    #[error("11203: {url} did not answer within {seconds} s")]
    TimedOut {
        /// The URL.
        url: String,
        /// How long Twilio waits.
        seconds: u64,
    },
    /// No connection, or one that broke.
    #[error("11205: {url} can't be reached: {reason}")]
    Connection {
        /// The URL.
        url: String,
        /// What the client says.
        reason: String,
    },
    /// The conversation was cut off.
    #[error("everything was forgotten, or ended, before the answer had been carried out")]
    Ended,
    /// More than Twilio reads.
    #[error("11750: the answer of {url} is larger than 64 kB")]
    TooLarge {
        /// The URL.
        url: String,
    },
    /// Not XML, or not TwiML's.
    #[error("12100: the TwiML can't be parsed: {0}")]
    Parse(String),
    /// TwiML, but with what messaging has no use for. Twilio carries out the rest of it.
    #[error("12200: the TwiML is not as it should be: {0}")]
    Schema(String),
    /// Neither XML nor text.
    #[error(
        "12300: the answer's Content-Type is {0:?}, and Twilio reads text/xml, application/xml, text/html and text/plain"
    )]
    ContentType(String),
    /// One document leads to the next, and never to an end.
    #[error("14106: the TwiML redirects more than {0} times")]
    TooManyDocuments(usize),
}

impl WebhookError {
    /// The code in Twilio's debugger; none for what only happens here.
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::NoUrl | Self::Outside { .. } | Self::Ended => None,
            Self::Status { .. } => Some(11200),
            Self::TimedOut { .. } => Some(11203),
            Self::Connection { .. } => Some(11205),
            Self::TooLarge { .. } => Some(11750),
            Self::Parse(_) => Some(12100),
            Self::Schema(_) => Some(12200),
            Self::ContentType(_) => Some(12300),
            Self::TooManyDocuments(_) => Some(14106),
        }
    }
}

/// The URL as its server is asked for it, if it is not as it was written: the client adds a slash to a host, encodes what is not
/// ASCII, and makes a header of a user and a password.
fn as_asked_for(url: &str) -> Option<String> {
    let mut asked_for = Url::parse(url).ok()?;
    asked_for.set_fragment(None);
    let kept = asked_for.set_username("").and_then(|()| asked_for.set_password(None));
    let written = url.split('#').next().unwrap_or_default();
    (kept.is_ok() && asked_for.as_str() != written).then(|| asked_for.into())
}

/// A request that Twilio makes.
#[derive(Clone, Debug)]
pub(crate) struct WebhookRequest {
    pub(crate) method: Method,
    /// Byte for byte as it was set up, which is how it is signed.
    pub(crate) url: String,
    pub(crate) parameters: Vec<(String, String)>,
    /// Tells a repetition from another event.
    pub(crate) idempotency_token: String,
    /// Signed by somebody who does not have the auth token.
    pub(crate) forged: bool,
}

impl WebhookRequest {
    pub(crate) fn new(method: Method, url: String, parameters: Vec<(String, String)>) -> Self {
        Self { method, url, parameters, idempotency_token: random_uuid(), forged: false }
    }

    /// What to know to validate the signature, if the app is asked for another URL than the one that is signed.
    pub(crate) fn hint(&self) -> String {
        match as_asked_for(&self.url) {
            Some(asked_for) => format!("; signed for the URL as it was set up, but asked for as {asked_for}"),
            None => String::new(),
        }
    }

    /// `POST /sms`
    pub(crate) fn title(&self) -> String {
        let path = Url::parse(&self.url).map_or_else(|_| self.url.clone(), |url| url.path().to_owned());
        format!("{} {path}", self.method)
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct WebhookResponse {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

impl WebhookResponse {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// As the exchanges shows it.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "status": self.status, "body": self.text() })
    }

    pub(crate) fn outcome(&self) -> ExchangeOutcome {
        ExchangeOutcome::of_status(self.status)
    }
}

impl FakeTwilio {
    /// Calls a URL on this machine. A redirection is an answer like another: it is not followed, for it could lead elsewhere.
    /// A user and a password in the URL are sent at once; Twilio sends them when it has been asked for them with a 401.
    /// <https://www.twilio.com/docs/usage/security#http-authentication>
    pub(crate) async fn call(&self, call: &WebhookRequest) -> Result<WebhookResponse, WebhookError> {
        let WebhookRequest { method, url, parameters, idempotency_token, forged } = call;
        if !is_loopback(url) {
            return Err(WebhookError::Outside { url: url.clone() });
        }
        let form = Form::from_pairs(parameters.iter().map(|(name, value)| (&**name, &**value)));
        let (url, form, body) = if method == Method::GET {
            (with_query(url, &form.encoded()), Form::default(), None)
        } else {
            (url.clone(), form.clone(), Some(form.encoded()))
        };
        let mut token = self.account().auth_token;
        if *forged {
            token.push_str("-guessed");
        }
        let mut request = self.http().request(method.clone(), &url);
        if let Ok(token) = AuthToken::new(&token) {
            request = request.header("X-Twilio-Signature", sign(&token, &url, &form));
        }
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, FORM).body(body);
        }
        request = request
            .header("I-Twilio-Idempotency-Token", idempotency_token)
            .header(header::USER_AGENT, "TwilioProxy/1.1")
            .header(header::ACCEPT, "*/*");
        let within = self.timeouts().webhook;
        tokio::time::timeout(within, receive(request, &url))
            .await
            .unwrap_or_else(|_| Err(WebhookError::TimedOut { url: url.clone(), seconds: within.as_secs() }))
    }
}

async fn receive(request: reqwest::RequestBuilder, url: &str) -> Result<WebhookResponse, WebhookError> {
    let failed = |error: reqwest::Error| WebhookError::Connection { url: url.to_owned(), reason: innermost(&error) };
    let mut response = request.send().await.map_err(failed)?;
    let status = response.status().as_u16();
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER_BYTES {
            return Err(WebhookError::TooLarge { url: url.to_owned() });
        }
    }
    Ok(WebhookResponse { status, content_type, body })
}

/// The cause that says something: "Connection refused", not "error sending request".
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// The URL with these parameters behind those that it has.
fn with_query(url: &str, query: &str) -> String {
    let (url, fragment) = url.split_once('#').map_or((url, None), |(url, fragment)| (url, Some(fragment)));
    let separator = if url.contains('?') { '&' } else { '?' };
    let mut url = format!("{url}{separator}{query}");
    if let Some(fragment) = fragment {
        let _ = write!(url, "#{fragment}");
    }
    url
}

/// A random UUID, version 4.
fn random_uuid() -> String {
    let mut bytes = [0; 16];
    // Without randomness, all calls would look like repetitions of the first; none is lost by that.
    let _ = getrandom::fill(&mut bytes);
    let version_4 = u128::from_be_bytes(bytes) & !(0xf000 << 64) & !(0xc000 << 48) | 0x4000 << 64 | 0x8000 << 48;
    let hex = format!("{version_4:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_is_asked_for_in_other_words_is_known() {
        for (url, expected) in [
            ("http://127.0.0.1:1/sms?a=b#rc=2", None),
            ("http://localhost:1/%C3%BC", None),
            ("http://127.0.0.1:1", Some("http://127.0.0.1:1/")),
            ("http://127.0.0.1:80/", Some("http://127.0.0.1/")),
            ("http://127.0.0.1/ü", Some("http://127.0.0.1/%C3%BC")),
            ("http://user:secret@127.0.0.1/sms", Some("http://127.0.0.1/sms")),
            ("http://LOCALHOST/a/../sms", Some("http://localhost/sms")),
            ("nonsense", None),
        ] {
            assert_eq!(as_asked_for(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn parameters_go_behind_the_query_and_before_the_fragment() {
        for (url, expected) in [
            ("http://localhost/", "http://localhost/?A=1"),
            ("http://localhost/?b=2", "http://localhost/?b=2&A=1"),
            ("http://localhost/#rc=2", "http://localhost/?A=1#rc=2"),
        ] {
            assert_eq!(with_query(url, "A=1"), expected);
        }
    }

    #[test]
    fn a_token_is_a_random_uuid() {
        let (one, other) = (random_uuid(), random_uuid());
        assert_ne!(one, other);
        let groups: Vec<&str> = one.split('-').collect();
        assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{one}");
        assert!(groups[2].starts_with('4') && groups[3].starts_with(['8', '9', 'a', 'b']), "{one}");
    }
}
