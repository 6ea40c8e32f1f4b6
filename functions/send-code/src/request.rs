//! What the app asks for, parsed at the edge.

use crate::messages::locale::{InvalidLocale, Locale};
use serde_json::{Map, Value};
use shared::phone::code::{InvalidCode, VerificationCode};
use shared::runtime::ip::{ClientIp, InvalidIp};
use shared::store::admission::{IdempotencyKey, InvalidIdempotencyKey};

const FIELDS: [&str; 5] = ["phone_number", "ip", "code", "locale", "idempotency_key"];

/// A request that can be understood. Its phone number is judged by the policy, since an invalid one is refused, not an error.
#[derive(Debug)]
pub struct Request {
    /// Whom to text, as given.
    pub phone_number: Unjudged,
    /// The address of the end user, declared by the app.
    pub ip: ClientIp,
    /// The code that the app chose, if it did.
    pub code: Option<VerificationCode>,
    /// The language of the text.
    pub locale: Option<Locale>,
    /// The name of this send.
    pub idempotency_key: IdempotencyKey,
}

/// A text that says it is a phone number. Never printed.
pub struct Unjudged(String);

impl std::fmt::Debug for Unjudged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unjudged([redacted])")
    }
}

impl std::ops::Deref for Unjudged {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Why a request can't be understood. It never repeats what was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// Not a JSON object.
    #[error(r#"the request must be a JSON object such as {{"phone_number": "+1…", "ip": "203.0.113.7"}}"#)]
    NotAnObject,
    /// A field that must be there is not.
    #[error("the request has no field {0}")]
    Missing(&'static str),
    /// A field is not text.
    #[error("the field {0} must be a JSON string")]
    NotText(&'static str),
    /// A field that nobody reads: most often a misspelt one, so an option that would be lost in silence.
    #[error("the request has a field that is none of phone_number, ip, code, locale, idempotency_key")]
    UnknownField,
    /// Not an address.
    #[error("`ip` {0}")]
    Ip(#[from] InvalidIp),
    /// Not a code.
    #[error("`code` {0}")]
    Code(#[from] InvalidCode),
    /// Not a language.
    #[error("`locale` {0}")]
    Locale(#[from] InvalidLocale),
    /// Not a key.
    #[error("the field idempotency_key is wrong: {0}")]
    IdempotencyKey(#[from] InvalidIdempotencyKey),
}

impl Request {
    /// Reads a request. Without an idempotency key, the id of the invocation is the key: Lambda keeps it when it repeats an
    /// asynchronous invocation.
    ///
    /// # Errors
    /// [`InvalidRequest`] names the field.
    pub fn parse(event: &Value, request_id: &str) -> Result<Self, InvalidRequest> {
        let fields = event.as_object().ok_or(InvalidRequest::NotAnObject)?;
        if fields.keys().any(|name| !FIELDS.contains(&name.as_str())) {
            return Err(InvalidRequest::UnknownField);
        }
        let phone_number = text(fields, "phone_number")?.ok_or(InvalidRequest::Missing("phone_number"))?;
        Ok(Self {
            phone_number: Unjudged(phone_number.to_owned()),
            ip: ClientIp::parse(text(fields, "ip")?.ok_or(InvalidRequest::Missing("ip"))?)?,
            code: text(fields, "code")?.map(str::parse).transpose()?,
            locale: text(fields, "locale")?.map(str::parse).transpose()?,
            idempotency_key: text(fields, "idempotency_key")?.unwrap_or(request_id).parse()?,
        })
    }
}

/// A field's text; `None` if it is absent or null.
fn text<'a>(fields: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, InvalidRequest> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(InvalidRequest::NotText(name)),
    }
}
