//! How Twilio calls webhooks: signed forms, redirects, and the errors of their responses. Only this machine is called: the
//! host, as the HTTP client parses it, must be a loopback address. Calls to other hosts are recorded and not made.

use crate::exchanges::ExchangeOutcome;
use crate::loopback::is_loopback;
use crate::twilio::FakeTwilio;
use crate::validation::is_url;
use axum::http::header;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use shared::twilio::form::Form;
use shared::twilio::signature::{AuthToken, sign};
use shared::twilio::url::without_fragment;
use tokio::time::Instant;

/// Twilio reads no more. <https://www.twilio.com/docs/api/errors/11750>
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// How many redirects in a row are followed. Twilio doesn't say; of TwiML documents, it fetches as many.
pub(crate) const MAX_REDIRECTS: usize = 50;
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
    /// The status is none that HTTP defines.
    #[error("11200: {url} answered {status} instead of 2xx")]
    Status {
        /// The URL.
        url: String,
        /// The status.
        status: u16,
    },
    /// The status is 4xx or 5xx. <https://www.twilio.com/docs/api/errors/11217>
    #[error("11217: {url} answered {status} instead of 2xx")]
    ErrorStatus {
        /// The URL.
        url: String,
        /// The status.
        status: u16,
    },
    /// The status is 3xx, but not a redirect that Twilio follows. <https://www.twilio.com/docs/api/errors/11216>
    #[error("11216: {url} answered {status}; Twilio follows 301, 302, 303 and 307 with a valid URL in Location")]
    InvalidRedirect {
        /// The URL.
        url: String,
        /// The status.
        status: u16,
    },
    /// The redirects may be a loop. <https://www.twilio.com/docs/api/errors/11215>
    #[error("11215: {url} is the end of {MAX_REDIRECTS} redirects and redirects again")]
    TooManyRedirects {
        /// The URL.
        url: String,
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
    /// Too many documents.
    #[error("14106: the TwiML leads to more than {0} documents")]
    TooManyDocuments(usize),
    /// A message of the TwiML was not sent as it says. The rest is executed.
    #[error("{code}: {reason}")]
    Reply {
        /// Twilio's code.
        code: u32,
        /// Twilio's message.
        reason: String,
    },
}

impl WebhookCallError {
    /// The code in Twilio's debugger; none for errors that only the fake has.
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::NoUrl | Self::Outside { .. } | Self::Ended => None,
            Self::Status { .. } => Some(11200),
            Self::TooManyRedirects { .. } => Some(11215),
            Self::InvalidRedirect { .. } => Some(11216),
            Self::ErrorStatus { .. } => Some(11217),
            Self::TimedOut { .. } => Some(11203),
            Self::Connection { .. } => Some(11205),
            Self::TooLarge { .. } => Some(11750),
            Self::Parse(_) => Some(12100),
            Self::Schema(_) => Some(12200),
            Self::ContentType(_) => Some(12300),
            Self::TooManyDocuments(_) => Some(14106),
            Self::Reply { code, .. } => Some(*code),
        }
    }

    /// Whether the rest of the TwiML was executed all the same.
    pub(crate) const fn is_warning(&self) -> bool {
        matches!(self, Self::Schema(_) | Self::Reply { .. })
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

/// Resolves a URL in a response. An absolute URL stays byte for byte the same, since it is signed.
pub(crate) fn resolve(base: &str, target: &str) -> String {
    match Url::parse(base) {
        Ok(base) if Url::parse(target).is_err() => base.join(target).map_or_else(|_| target.to_owned(), String::from),
        _ => target.to_owned(),
    }
}

/// The response of a webhook, after all redirects.
#[derive(Clone, Debug)]
pub(crate) struct WebhookResponse {
    /// Where it comes from.
    pub(crate) url: String,
    pub(crate) redirects: usize,
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
    /// Why Twilio can't use it, going by its status.
    pub(crate) failure: Option<WebhookCallError>,
}

impl WebhookResponse {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// As an exchange shows it.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "status": self.status, "body": self.text() })
    }

    pub(crate) fn outcome(&self) -> ExchangeOutcome {
        match &self.failure {
            Some(WebhookCallError::Outside { .. }) => ExchangeOutcome::Refused,
            _ => ExchangeOutcome::of_status(self.status),
        }
    }

    /// `200 after 2 redirects to https://…`: the status, and what an exchange of several requests would hide.
    pub(crate) fn summary(&self) -> String {
        match self.redirects {
            0 => self.status.to_string(),
            1 => format!("{} after a redirect to {}", self.status, self.url),
            redirects => format!("{} after {redirects} redirects to {}", self.status, self.url),
        }
    }
}

/// One request of a call: the first, or one that a redirect leads to.
struct Hop {
    method: Method,
    /// Without a fragment. For GET, with the parameters.
    url: String,
    /// The parameters in the body.
    form: Form,
}

impl Hop {
    /// The fragment is for Twilio alone: it is neither signed nor sent.
    fn first(call: &WebhookRequest) -> Self {
        let (method, url) = (call.method.clone(), without_fragment(&call.url));
        let form = Form::from_pairs(call.parameters.iter().map(|(name, value)| (&**name, &**value)));
        if method == Method::GET {
            return Self { method, url: with_query(url, &form.encoded()), form: Form::default() };
        }
        Self { method, url: url.to_owned(), form }
    }

    /// "Twilio behaves just like a web browser": 307 repeats the request at the new URL, the others fetch it with GET and
    /// without parameters. <https://www.twilio.com/docs/api/2008-08-01/twiml/sms/your_response>
    fn redirected(self, status: u16, url: String) -> Self {
        match status {
            307 => Self { url, ..self },
            _ => Self { method: Method::GET, url, form: Form::default() },
        }
    }

    /// Where this response leads to; none if it is the last. An error says why Twilio can't use it.
    fn target(&self, received: &Received, redirects: usize) -> Result<Option<String>, WebhookCallError> {
        let (url, status) = (self.url.clone(), received.status);
        match status {
            200..300 => Ok(None),
            301..=303 | 307 => {
                let location = received.location.as_deref().filter(|location| !location.is_empty());
                let target = location.map(|location| resolve(&url, location)).filter(|target| is_url(target));
                let Some(target) = target else { return Err(WebhookCallError::InvalidRedirect { url, status }) };
                if redirects == MAX_REDIRECTS {
                    return Err(WebhookCallError::TooManyRedirects { url });
                }
                if !is_loopback(&target) {
                    return Err(WebhookCallError::Outside { url: target });
                }
                Ok(Some(without_fragment(&target).to_owned()))
            }
            300..400 => Err(WebhookCallError::InvalidRedirect { url, status }),
            400..600 => Err(WebhookCallError::ErrorStatus { url, status }),
            _ => Err(WebhookCallError::Status { url, status }),
        }
    }
}

impl FakeTwilio {
    /// Calls a URL on this machine, and every URL on this machine that it redirects to. Each is signed for itself. Credentials
    /// in the URL are sent at once; Twilio waits for a 401. <https://www.twilio.com/docs/usage/security#http-authentication>
    /// No call is made again, whatever the fragment says.
    pub(crate) async fn call(&self, call: &WebhookRequest) -> Result<WebhookResponse, WebhookCallError> {
        if !is_loopback(&call.url) {
            return Err(WebhookCallError::Outside { url: call.url.clone() });
        }
        let within = self.timeouts().webhook;
        let deadline = Instant::now() + within;
        let (mut hop, mut redirects) = (Hop::first(call), 0);
        loop {
            let received = tokio::time::timeout_at(deadline, receive(self.request(&hop, call), &hop.url));
            let timed_out = |_| Err(WebhookCallError::TimedOut { url: hop.url.clone(), seconds: within.as_secs() });
            let received = received.await.unwrap_or_else(timed_out)?;
            let failure = match hop.target(&received, redirects) {
                Ok(Some(target)) => {
                    (hop, redirects) = (hop.redirected(received.status, target), redirects + 1);
                    continue;
                }
                Ok(None) => None,
                Err(failure) => Some(failure),
            };
            let Received { status, content_type, body, .. } = received;
            return Ok(WebhookResponse { url: hop.url, redirects, status, content_type, body, failure });
        }
    }

    fn request(&self, hop: &Hop, call: &WebhookRequest) -> reqwest::RequestBuilder {
        let Hop { method, url, form } = hop;
        let mut token = self.account().auth_token;
        if call.forged {
            token.push_str("-guessed");
        }
        let mut request = self.http().request(method.clone(), url);
        if let Ok(token) = AuthToken::new(&token) {
            request = request.header("X-Twilio-Signature", sign(&token, url, form));
        }
        if *method != Method::GET {
            request = request.header(header::CONTENT_TYPE, FORM).body(form.encoded());
        }
        request
            .header("I-Twilio-Idempotency-Token", &call.idempotency_token)
            .header(header::USER_AGENT, "TwilioProxy/1.1")
            .header(header::ACCEPT, "*/*")
    }
}

/// The response to one request.
struct Received {
    status: u16,
    content_type: String,
    location: Option<String>,
    body: Vec<u8>,
}

async fn receive(request: reqwest::RequestBuilder, url: &str) -> Result<Received, WebhookCallError> {
    let failed =
        |error: reqwest::Error| WebhookCallError::Connection { url: url.to_owned(), reason: innermost(&error) };
    let mut response = request.send().await.map_err(failed)?;
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (content_type, location) = (text(header::CONTENT_TYPE).unwrap_or_default(), text(header::LOCATION));
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER_BYTES {
            return Err(WebhookCallError::TooLarge { url: url.to_owned() });
        }
    }
    Ok(Received { status, content_type, location, body })
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
