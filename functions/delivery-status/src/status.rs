//! A status callback, read from a webhook that Twilio signed.

use shared::phone::number::PhoneNumber;
use shared::store::deliveries::{InvalidStatusName, ReportedStatus};
use shared::twilio::form::FormError;
use shared::twilio::sid::is_sid;
use shared::twilio::webhook::Webhook;

/// A status callback.
pub struct DeliveryCallback<'a> {
    /// `SM` or `MM`, and 32 hexadecimal digits.
    pub message_sid: &'a str,
    pub status: ReportedStatus<'a>,
    /// The recipient, if it is a valid phone number.
    pub to: Option<PhoneNumber>,
    /// Why it was not delivered, from Twilio's error dictionary.
    pub error_code: Option<u32>,
}

/// Why a signed webhook is not a status callback. Each text completes "This is not a message status: …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStatus {
    /// A parameter that every status callback has is missing.
    #[error("it has no parameter {0}; configure this URL as a StatusCallback, with HTTP POST")]
    Missing(&'static str),
    /// An inbound message.
    #[error("its MessageStatus is received; configure /sms for incoming messages")]
    Inbound,
    /// Not the name of a status.
    #[error("its MessageStatus {0}")]
    Status(#[from] InvalidStatusName),
    /// Not a message SID.
    #[error("its MessageSid is not SM or MM and 32 hexadecimal digits")]
    MessageSid,
    /// A parameter can't be read.
    #[error(transparent)]
    Form(#[from] FormError),
}

impl<'a> DeliveryCallback<'a> {
    /// Reads a status.
    ///
    /// # Errors
    /// [`InvalidStatus`] names the parameter that is missing or invalid.
    pub fn read(webhook: &'a Webhook) -> Result<Self, InvalidStatus> {
        let required = |name| webhook.filled(name)?.ok_or(InvalidStatus::Missing(name));
        // Its value was compared with our account's when the signature was verified.
        required("AccountSid")?;
        let message_sid = required("MessageSid")?;
        if !is_sid(message_sid, "SM") && !is_sid(message_sid, "MM") {
            return Err(InvalidStatus::MessageSid);
        }
        let status = match webhook.filled("MessageStatus")? {
            Some("received" | "receiving") => return Err(InvalidStatus::Inbound),
            Some(status) => ReportedStatus::read(status)?,
            None if webhook.text("SmsStatus")?.is_some_and(|status| status == "received") => {
                return Err(InvalidStatus::Inbound);
            }
            None => return Err(InvalidStatus::Missing("MessageStatus")),
        };
        Ok(Self {
            message_sid,
            status,
            to: webhook.text("To")?.and_then(|to| PhoneNumber::parse(to).ok()),
            error_code: webhook.text("ErrorCode")?.and_then(|code| code.parse().ok()),
        })
    }
}
