//! How a message of ours fares, read from a webhook that Twilio signed.

use shared::phone::number::PhoneNumber;
use shared::store::deliveries::MessageStatus;
use shared::twilio::form::FormError;
use shared::twilio::sid::is_sid;
use shared::twilio::webhook::Webhook;

/// A status callback.
pub struct DeliveryCallback<'a> {
    /// `SM` or `MM`, and 32 hexadecimal digits.
    pub message_sid: &'a str,
    /// Where it is in its life.
    pub status: MessageStatus,
    /// Whom it goes to, if that is a phone number as far as we know.
    pub to: Option<PhoneNumber>,
    /// Why it did not arrive, from Twilio's error dictionary.
    pub error_code: Option<u32>,
}

/// Why a signed webhook is no status callback.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAStatus {
    /// A parameter that every status callback has is not there.
    #[error("it has no parameter {0}: this URL is for the StatusCallback of messages, by POST")]
    Missing(&'static str),
    /// Somebody has texted us.
    #[error("its MessageStatus is received: it is an incoming message, which does not belong to this URL")]
    Inbound,
    /// A state that we do not know.
    #[error("its MessageStatus is none that a message has")]
    UnknownStatus,
    /// The name of the message is not one.
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
    /// [`NotAStatus`] names the parameter that is missing or wrong.
    pub fn read(webhook: &'a Webhook) -> Result<Self, NotAStatus> {
        let required = |name| webhook.text(name)?.filter(|value| !value.is_empty()).ok_or(NotAStatus::Missing(name));
        // Its value has been compared with our account's before.
        required("AccountSid")?;
        let message_sid = required("MessageSid")?;
        if !is_sid(message_sid, "SM") && !is_sid(message_sid, "MM") {
            return Err(NotAStatus::MessageSid);
        }
        let status = match webhook.text("MessageStatus")?.filter(|status| !status.is_empty()) {
            Some("received" | "receiving") => return Err(NotAStatus::Inbound),
            Some(status) => status.parse().map_err(|_| NotAStatus::UnknownStatus)?,
            None if webhook.text("SmsStatus")?.is_some_and(|status| status == "received") => {
                return Err(NotAStatus::Inbound);
            }
            None => return Err(NotAStatus::Missing("MessageStatus")),
        };
        Ok(Self {
            message_sid,
            status,
            to: webhook.text("To")?.and_then(|to| PhoneNumber::parse(to).ok()),
            error_code: webhook.text("ErrorCode")?.and_then(|code| code.parse().ok()),
        })
    }
}
