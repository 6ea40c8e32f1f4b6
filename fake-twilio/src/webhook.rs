//! How Twilio calls webhooks: signed forms, and the errors of their responses. Only this machine is called: the host,
//! as the HTTP client parses it, must be a loopback address. Calls to other hosts are recorded and not made.

use crate::exchanges::ExchangeOutcome;
use crate::loopback::is_loopback;
use crate::twilio::FakeTwilio;
use axum::http::header;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use shared::twilio::form::Form;
use shared::twilio::signature::{AuthToken, sign};
use shared::twilio::url::without_fragment;

/// Twilio reads no more. <https://www.twilio.com/docs/api/errors/11750>
const MAX_ANSWER_BYTES: usize = 64 * 1024;
const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";

/// Why a webhook failed, with the codes of Twilio's debugger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookCallError {
    /// No webhook is configured.
    #[error("the number has no SmsUrl")]
    NoUrl,
    /// The URL is not on this machine.
    #[error("{url} was not called, since it is not on this machine")]
    Outside {
        /// The URL.
        url: String,
    },
    /// The status is not 2xx.
    #[error("11200: {url} answered {status} instead of 2xx")]
    Status {
        /// The URL.
        url: String,
        /// The status.
        status: u16,
    },
    /// No response in time.
    #[error("11203: {url} did not answer within {seconds} s")]
    TimedOut {
        /// The URL.
        url: String,
        /// The timeout.
        seconds: u64,
    },
    /// No connection, or it broke.
    #[error("11205: can't reach {url} ({reason})")]
    Connection {
        /// The URL.
        url: String,
        /// The HTTP client's error.
        reason: String,
    },
    /// A reset or the shutdown interrupted it.
    #[error("cancelled by a reset or shutdown")]
    Ended,
    /// The body is too large.
    #[error("11750: the response of {url} is larger than 64 KiB")]
    TooLarge {
        /// The URL.
        url: String,
    },
    /// The body is not TwiML.
    #[error("12100: invalid TwiML ({0})")]
    Parse(String),
    /// The TwiML has elements or attributes that messaging ignores. The rest is executed.
    #[error("12200: the TwiML has parts that messaging ignores ({0})")]
    Schema(String),
    /// The type is neither XML nor text.
    #[error("12300: unsupported Content-Type {0:?}; Twilio reads text/xml, application/xml, text/html and text/plain")]
    ContentType(String),
    /// Too many redirects.
    #[error("14106: the TwiML redirects more than {0} times")]
    TooManyDocuments(usize),
}

impl WebhookCallError {
    /// The code in Twilio's debugger; none for errors that only the fake has.
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

/// The URL as the server receives it, if it differs from the configured one: the client adds a slash to a bare host,
/// encodes non-ASCII characters and moves credentials to a header.
fn as_requested(url: &str) -> Option<String> {
    let mut requested = Url::parse(url).ok()?;
    requested.set_fragment(None);
    let kept = requested.set_username("").and_then(|()| requested.set_password(None));
    (kept.is_ok() && requested.as_str() != without_fragment(url)).then(|| requested.into())
}

/// A request from Twilio.
#[derive(Clone, Debug)]
pub(crate) struct WebhookRequest {
    pub(crate) method: Method,
    /// Byte for byte as configured, since it is signed.
    pub(crate) url: String,
    pub(crate) parameters: Vec<(String, String)>,
    /// The same for repetitions.
    pub(crate) idempotency_token: String,
    /// Signed with a wrong auth token.
    pub(crate) forged: bool,
}

impl WebhookRequest {
    pub(crate) fn new(method: Method, url: String, parameters: Vec<(String, String)>) -> Self {
        Self { method, url, parameters, idempotency_token: random_uuid(), forged: false }
    }

    /// A hint for validating the signature, if the app receives another URL than the signed one.
    pub(crate) fn hint(&self) -> String {
        match as_requested(&self.url) {
            Some(requested) => format!("; signed for the configured URL, but requested as {requested}"),
            None => String::new(),
        }
    }

    /// `POST /sms`
    pub(crate) fn title(&self) -> String {
        let path = Url::parse(&self.url).map_or_else(|_| self.url.clone(), |url| url.path().to_owned());
        format!("{} {path}", self.method)
    }
}

/// The response of a webhook.
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

    /// As an exchange shows it.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "status": self.status, "body": self.text() })
    }

    pub(crate) fn outcome(&self) -> ExchangeOutcome {
        ExchangeOutcome::of_status(self.status)
    }
}

impl FakeTwilio {
    /// Calls a URL on this machine. Redirects are not followed, since they could lead elsewhere. Credentials in the URL
    /// are sent at once; Twilio waits for a 401. <https://www.twilio.com/docs/usage/security#http-authentication>
    /// The fragment is for Twilio alone: it is neither signed nor sent. No call is made again, whatever it says.
    pub(crate) async fn call(&self, call: &WebhookRequest) -> Result<WebhookResponse, WebhookCallError> {
        let WebhookRequest { method, url, parameters, idempotency_token, forged } = call;
        if !is_loopback(url) {
            return Err(WebhookCallError::Outside { url: url.clone() });
        }
        let url = without_fragment(url);
        let form = Form::from_pairs(parameters.iter().map(|(name, value)| (&**name, &**value)));
        let (url, form, body) = if method == Method::GET {
            (with_query(url, &form.encoded()), Form::default(), None)
        } else {
            (url.to_owned(), form.clone(), Some(form.encoded()))
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
            .unwrap_or_else(|_| Err(WebhookCallError::TimedOut { url: url.clone(), seconds: within.as_secs() }))
    }
}

async fn receive(request: reqwest::RequestBuilder, url: &str) -> Result<WebhookResponse, WebhookCallError> {
    let failed =
        |error: reqwest::Error| WebhookCallError::Connection { url: url.to_owned(), reason: innermost(&error) };
    let mut response = request.send().await.map_err(failed)?;
    let status = response.status().as_u16();
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER_BYTES {
            return Err(WebhookCallError::TooLarge { url: url.to_owned() });
        }
    }
    Ok(WebhookResponse { status, content_type, body })
}

/// The innermost cause: "Connection refused", not "error sending request".
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

/// Appends parameters to the query of a URL without a fragment.
fn with_query(url: &str, query: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{query}")
}

/// A random UUID, version 4.
fn random_uuid() -> String {
    let mut bytes = [0; 16];
    // Without randomness, every call would look like a repetition; none would be lost.
    let _ = getrandom::fill(&mut bytes);
    let version_4 = u128::from_be_bytes(bytes) & !(0xf000 << 64) & !(0xc000 << 48) | 0x4000 << 64 | 0x8000 << 48;
    let hex = format!("{version_4:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_is_requested_in_other_words_is_known() {
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
            assert_eq!(as_requested(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn parameters_go_behind_the_query() {
        for (url, expected) in
            [("http://localhost/", "http://localhost/?A=1"), ("http://localhost/?b=2", "http://localhost/?b=2&A=1")]
        {
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
