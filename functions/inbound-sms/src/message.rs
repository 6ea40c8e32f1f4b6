//! An inbound message, read from a webhook that Twilio signed.

use shared::phone::number::{PhoneNumber, is_e164};
use shared::phone::phrase::Phrase;
use shared::twilio::form::FormError;
use shared::twilio::keywords::Keyword;
use shared::twilio::sid::is_sid;
use shared::twilio::webhook::Webhook;

/// Twilio passes on at most ten attachments.
const MAX_MEDIA: usize = 10;

/// How Twilio writes the number of a sender on another channel than SMS, such as `whatsapp:+14155550123`.
const CHANNELS: [&str; 2] = ["whatsapp:", "rcs:"];

/// An inbound message.
pub struct InboundMessage<'a> {
    /// `SM` or `MM`, and 32 hexadecimal digits.
    pub message_sid: &'a str,
    /// The sender as Twilio writes it: a number, perhaps with its channel, a short code or a name.
    pub from: &'a str,
    /// The sender's number, if it is a valid one, on whatever channel it wrote.
    pub phone: Option<PhoneNumber>,
    /// Our number.
    pub to: &'a str,
    /// The text; empty if there are only attachments.
    pub body: &'a str,
    /// The URLs of attachments.
    pub media: Vec<&'a str>,
    /// What it asks for, apart from a reply.
    pub keyword: Option<Keyword>,
}

/// Why a signed webhook is not an inbound message. Each text completes "This is not an inbound message: …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessage {
    /// A parameter that every message has is missing.
    #[error("it has no parameter {0}; configure this URL for incoming messages, with HTTP POST")]
    Missing(&'static str),
    /// A status of an outbound message.
    #[error("its SmsStatus is not received; don't configure this URL as a status callback")]
    StatusCallback,
    /// Not a message SID.
    #[error("its MessageSid is not SM or MM and 32 hexadecimal digits")]
    MessageSid,
    /// A parameter can't be read.
    #[error(transparent)]
    Form(#[from] FormError),
}

impl<'a> InboundMessage<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// [`InvalidMessage`] names the parameter that is missing or invalid.
    pub fn read(webhook: &'a Webhook) -> Result<Self, InvalidMessage> {
        let required = |name| webhook.filled(name)?.ok_or(InvalidMessage::Missing(name));
        // Its value was compared with our account's when the signature was verified.
        required("AccountSid")?;
        let message_sid = required("MessageSid")?;
        if !is_sid(message_sid, "SM") && !is_sid(message_sid, "MM") {
            return Err(InvalidMessage::MessageSid);
        }
        if webhook.text("SmsStatus")?.is_some_and(|status| !matches!(status, "received" | "receiving")) {
            return Err(InvalidMessage::StatusCallback);
        }
        let from = required("From")?;
        let body = webhook.text("Body")?.unwrap_or_default();
        Ok(Self {
            message_sid,
            from,
            phone: PhoneNumber::parse(number(from)).ok(),
            to: required("To")?,
            body,
            media: (0..MAX_MEDIA).filter_map(|index| webhook.values(&format!("MediaUrl{index}")).next()).collect(),
            keyword: Keyword::of_message(webhook.text("OptOutType")?, body),
        })
    }

    /// The sender in E.164, whose STOP and START count. Includes numbers of a range that the metadata does not know yet: their STOP must
    /// hold once it does. A STOP on another channel holds for SMS as well: whoever writes it wants no messages from us.
    #[must_use]
    pub fn sender(&self) -> Option<&str> {
        self.phone.as_ref().map(PhoneNumber::as_str).or(Some(number(self.from)).filter(|number| is_e164(number)))
    }

    /// The sender's number if it wrote an SMS: a reply on another channel is priced differently.
    #[must_use]
    pub fn sms_phone(&self) -> Option<&PhoneNumber> {
        self.phone.as_ref().filter(|_| number(self.from) == self.from)
    }

    /// The phrase that it contains.
    #[must_use]
    pub fn phrase(&self) -> Option<Phrase> {
        self.keyword.is_none().then(|| Phrase::find(self.body)).flatten()
    }

    /// The sender as logs may show it.
    #[must_use]
    pub fn masked_sender(&self) -> String {
        self.phone.as_ref().map_or_else(|| "not a phone number".to_owned(), PhoneNumber::masked)
    }
}

/// A sender without its channel.
fn number(from: &str) -> &str {
    CHANNELS.iter().find_map(|channel| from.strip_prefix(channel)).unwrap_or(from)
}
