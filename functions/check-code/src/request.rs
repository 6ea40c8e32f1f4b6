//! What the app asks, parsed at the edge.

use serde_json::Value;
use shared::phone::code::{Guess, GuessTooLong};
use shared::phone::number::InvalidPhoneNumber;

const FIELDS: [&str; 2] = ["phone_number", "code"];

/// A request that can be understood.
pub struct Request {
    /// Whose code it is said to be, as given.
    pub phone_number: String,
    /// What the user typed.
    pub code: Guess,
}

/// Why a request can't be understood. It never repeats what was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// Not a JSON object.
    #[error(r#"the request must be a JSON object such as {{"phone_number": "+1…", "code": "…"}}"#)]
    NotAnObject,
    /// A field that must be there is not.
    #[error("the request has no field {0}")]
    Missing(&'static str),
    /// A field is not text.
    #[error("the field {0} must be a JSON string")]
    NotText(&'static str),
    /// A field that nobody reads.
    #[error("the request has a field that is none of phone_number, code")]
    UnknownField,
    /// Not a number that a code can have been sent to.
    #[error("invalid `phone_number`; {0}")]
    PhoneNumber(InvalidPhoneNumber),
    /// Not what anybody types.
    #[error("`code` {0}")]
    Code(#[from] GuessTooLong),
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// [`InvalidRequest`] names the field.
    pub fn parse(event: &Value) -> Result<Self, InvalidRequest> {
        let fields = event.as_object().ok_or(InvalidRequest::NotAnObject)?;
        if fields.keys().any(|name| !FIELDS.contains(&name.as_str())) {
            return Err(InvalidRequest::UnknownField);
        }
        let text = |name: &'static str| match fields.get(name) {
            None | Some(Value::Null) => Err(InvalidRequest::Missing(name)),
            Some(Value::String(text)) => Ok(text.as_str()),
            Some(_) => Err(InvalidRequest::NotText(name)),
        };
        Ok(Self { phone_number: text("phone_number")?.to_owned(), code: text("code")?.parse()? })
    }
}
