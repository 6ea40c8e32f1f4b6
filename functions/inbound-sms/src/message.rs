//! What somebody texted us, read from a webhook that Twilio signed.

use shared::phone::number::PhoneNumber;
use shared::twilio::form::FormError;
use shared::twilio::sid::is_sid;
use shared::twilio::webhook::Webhook;

/// Twilio passes on at most ten attachments.
const MAX_MEDIA: usize = 10;

/// An inbound message.
pub struct InboundMessage<'a> {
    /// `SM` or `MM`, and 32 hexadecimal digits.
    pub message_sid: &'a str,
    /// Who texts: a number, or a short code, or a name.
    pub from: &'a str,
    /// The same, if it is a phone number as far as we know.
    pub phone: Option<PhoneNumber>,
    /// Our number.
    pub to: &'a str,
    /// The text; empty if there are only attachments.
    pub body: &'a str,
    /// The URLs of attachments.
    pub media: Vec<&'a str>,
    /// What Twilio itself has answered.
    pub keyword: Option<Keyword>,
}

/// A word that Twilio answers itself, as its help page "Twilio support for opt-out keywords (SMS STOP filtering)" lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyword {
    /// Opts out of our messages.
    Stop,
    /// Opts in again.
    Start,
    /// Asks for help.
    Help,
}

/// Why a signed webhook is no inbound message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAMessage {
    /// A parameter that every message has is not there.
    #[error("it has no parameter {0}: set the webhook to POST, and for incoming messages")]
    Missing(&'static str),
    /// It tells how a message of ours fares.
    #[error("its SmsStatus is not received: it is a status callback, which does not belong to this URL")]
    StatusCallback,
    /// The name of the message is not one.
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
    /// [`NotAMessage`] names the parameter that is missing or wrong.
    pub fn read(webhook: &'a Webhook) -> Result<Self, NotAMessage> {
        let required = |name| webhook.text(name)?.filter(|value| !value.is_empty()).ok_or(NotAMessage::Missing(name));
        // Its value has been compared with our account's before.
        required("AccountSid")?;
        let message_sid = required("MessageSid")?;
        if !is_sid(message_sid, "SM") && !is_sid(message_sid, "MM") {
            return Err(NotAMessage::MessageSid);
        }
        if webhook.text("SmsStatus")?.is_some_and(|status| !matches!(status, "received" | "receiving")) {
            return Err(NotAMessage::StatusCallback);
        }
        let from = required("From")?;
        let body = webhook.text("Body")?.unwrap_or_default();
        Ok(Self {
            message_sid,
            from,
            phone: PhoneNumber::parse(from).ok(),
            to: required("To")?,
            body,
            media: (0..MAX_MEDIA).filter_map(|index| webhook.values(&format!("MediaUrl{index}")).next()).collect(),
            keyword: Keyword::of(webhook.text("OptOutType")?, body),
        })
    }

    /// The sender in E.164. A number in a range that we do not know yet counts as well: its STOP must hold when we do.
    #[must_use]
    pub fn sender(&self) -> Option<&str> {
        let is_e164 = |number: &&str| {
            let digits = number.strip_prefix('+').unwrap_or_default();
            (7..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit())
        };
        self.phone.as_ref().map(PhoneNumber::as_str).or(Some(self.from).filter(is_e164))
    }

    /// The sender as logs may show it.
    #[must_use]
    pub fn masked_sender(&self) -> String {
        self.phone.as_ref().map_or_else(|| "not a phone number".to_owned(), PhoneNumber::masked)
    }
}

impl Keyword {
    /// A Messaging Service says so itself, in whatever language; otherwise the text is one of the words, and no more.
    fn of(opt_out_type: Option<&str>, body: &str) -> Option<Self> {
        match opt_out_type.map(str::to_ascii_uppercase).as_deref() {
            Some("STOP") => return Some(Self::Stop),
            Some("START") => return Some(Self::Start),
            Some("HELP") => return Some(Self::Help),
            _ => {}
        }
        match body.trim().to_ascii_uppercase().as_str() {
            "STOP" | "STOPALL" | "UNSUBSCRIBE" | "CANCEL" | "END" | "QUIT" | "REVOKE" | "OPTOUT" => Some(Self::Stop),
            "START" | "YES" | "UNSTOP" => Some(Self::Start),
            "HELP" | "INFO" => Some(Self::Help),
            _ => None,
        }
    }

    /// The word's name in logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Help => "help",
        }
    }
}
