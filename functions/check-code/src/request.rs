//! A request from the back end, parsed at the edge.

use serde_json::Value;
use shared::phone::code::{Guess, GuessTooLong};
use shared::runtime::request_fields::{InvalidFields, RequestFields};

const FIELDS: &[&str] = &["phone_number", "verification", "code"];

/// A well-formed request. It has no `Debug`, since its phone number is personal.
pub struct Request {
    /// The phone that the code was sent to, as given. Parsed later, since a test number need not be a valid one.
    pub phone_number: String,
    /// The name of the verification, as given.
    pub verification: Option<String>,
    /// What the user typed or pasted; `None` to ask whether they have texted.
    pub code: Option<Guess>,
}

/// Why a request is malformed. It names the field and never repeats a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// Not an object of texts with the right names.
    #[error(transparent)]
    Fields(#[from] InvalidFields),
    /// Not the name of a verification of this phone number.
    #[error("`verification` is not of this phone number; pass the one that send-code answered")]
    Verification,
    /// Neither a code nor a verification that may have been texted for.
    #[error("missing field `code`; without it, `verification` must be given, and the setting TextToVerify be on")]
    NothingToCheck,
    /// Too long to be a typed code.
    #[error("`code` {0}")]
    Code(#[from] GuessTooLong),
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// [`InvalidRequest`] names the field.
    pub fn parse(event: &Value) -> Result<Self, InvalidRequest> {
        let fields = RequestFields::of(event, FIELDS)?;
        Ok(Self {
            phone_number: fields.required("phone_number")?.to_owned(),
            verification: fields.optional("verification")?.map(str::to_owned),
            code: fields.optional("code")?.map(str::parse).transpose()?,
        })
    }
}
