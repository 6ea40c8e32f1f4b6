//! A request from the back end, parsed at the edge.

use serde_json::Value;
use shared::messages::locale::{InvalidLocale, Locale};
use shared::phone::code::{InvalidCode, MinCodeDigits, VerificationCode};
use shared::runtime::ip::{ClientIp, InvalidIp};
use shared::runtime::request_fields::{InvalidFields, RequestFields};
use shared::store::admission::{IdempotencyKey, InvalidIdempotencyKey};
use std::fmt;

const FIELDS: &[&str] =
    &["phone_number", "ip", "code", "locale", "idempotency_key", "verification", "trusted", "channel"];

/// A well-formed request. Its phone number is parsed later, since an invalid one gets a refusal, not an error.
#[derive(Debug)]
pub struct Request {
    /// Whom to text, as given.
    pub phone_number: RawPhoneNumber,
    /// The end user's address, as the back end reports it.
    pub ip: ClientIp,
    /// The code, if the back end chose it.
    pub code: Option<VerificationCode>,
    /// The language of the text.
    pub locale: Option<Locale>,
    /// The name of this send.
    pub idempotency_key: IdempotencyKey,
    /// The verification to send again for, as given. Never printed.
    pub verification: Option<RawVerification>,
    /// Whether the back end vouches that its user owns this very number: a session or device that has verified it before.
    pub trusted: bool,
    /// How the number is to be proved.
    pub channel: Channel,
}

/// How a phone number is to be proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// By a code that we text.
    Sms,
    /// By a phrase that the user texts.
    TextToVerify,
}

/// Text that hasn't been parsed as a phone number. Never printed.
pub struct RawPhoneNumber(String);

impl fmt::Debug for RawPhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawPhoneNumber([redacted])")
    }
}

impl std::ops::Deref for RawPhoneNumber {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Text that hasn't been looked up as the name of a verification. Never printed.
pub struct RawVerification(String);

impl fmt::Debug for RawVerification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawVerification([redacted])")
    }
}

impl std::ops::Deref for RawVerification {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Why a request is malformed. It names the field and never repeats a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// Not an object of texts with the right names.
    #[error(transparent)]
    Fields(#[from] InvalidFields),
    /// Not an IP address.
    #[error("`ip` {0}")]
    Ip(#[from] InvalidIp),
    /// Not a code.
    #[error("`code` {0}")]
    Code(#[from] InvalidCode),
    /// A code that is easier to guess than the setting allows.
    #[error(
        "`code` must have at least {0} digits, as MinCodeDigits says; leave it out to get a generated code of six digits"
    )]
    ShortCode(MinCodeDigits),
    /// Not a language tag.
    #[error("`locale` {0}")]
    Locale(#[from] InvalidLocale),
    /// Empty or too long.
    #[error("`idempotency_key` {0}")]
    IdempotencyKey(#[from] InvalidIdempotencyKey),
    /// Not the name of a verification of this phone number.
    #[error("`verification` is not of this phone number; leave it out to start a new verification")]
    Verification,
    /// Not a channel.
    #[error("`channel` must be sms or text_to_verify")]
    Channel,
    /// A channel that is switched off.
    #[error("`channel` can't be text_to_verify, since the setting TextToVerify is off")]
    NoTextToVerify,
}

impl Request {
    /// Reads a request. The default of the idempotency key is the invocation's id, which Lambda keeps when it retries an
    /// asynchronous invocation.
    ///
    /// # Errors
    /// [`InvalidRequest`] names the field.
    pub fn parse(event: &Value, request_id: &str) -> Result<Self, InvalidRequest> {
        let fields = RequestFields::of(event, FIELDS)?;
        Ok(Self {
            phone_number: RawPhoneNumber(fields.required("phone_number")?.to_owned()),
            ip: ClientIp::parse(fields.required("ip")?)?,
            code: fields.optional("code")?.map(str::parse).transpose()?,
            locale: fields.optional("locale")?.map(str::parse).transpose()?,
            idempotency_key: fields.optional("idempotency_key")?.unwrap_or(request_id).parse()?,
            verification: fields.optional("verification")?.map(|name| RawVerification(name.to_owned())),
            trusted: fields.flag("trusted")?,
            channel: match fields.optional("channel")? {
                None | Some("sms") => Channel::Sms,
                Some("text_to_verify") => Channel::TextToVerify,
                Some(_) => return Err(InvalidRequest::Channel),
            },
        })
    }

    /// Refuses a chosen code that is too short.
    ///
    /// # Errors
    /// [`InvalidRequest::ShortCode`] with the fewest digits that are allowed.
    pub fn with_code_of(self, digits: MinCodeDigits) -> Result<Self, InvalidRequest> {
        match &self.code {
            Some(code) if !digits.allows(code) => Err(InvalidRequest::ShortCode(digits)),
            _ => Ok(self),
        }
    }
}
