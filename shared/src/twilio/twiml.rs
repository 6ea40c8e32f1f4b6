//! TwiML: the XML of an answer to a webhook.

use super::segments::MAX_BODY;
use quick_xml::escape::escape;
use std::str::FromStr;

/// The answer without a reply.
pub const NO_REPLY: &str = r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#;

/// The text of an automatic reply, valid in XML and in an SMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyText(String);

impl ReplyText {
    /// A text that Twilio accepts, without the characters that XML can't represent.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(text.chars().filter(|&c| !is_unwritable(c)).take(MAX_BODY).collect())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text can't be a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReplyText {
    /// Longer than Twilio accepts.
    #[error("it is longer than {MAX_BODY} characters")]
    TooLong,
    /// XML 1.0 can't represent it.
    #[error("it contains a control character")]
    ControlCharacter,
}

impl FromStr for ReplyText {
    type Err = InvalidReplyText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.chars().count() > MAX_BODY {
            Err(InvalidReplyText::TooLong)
        } else if text.contains(is_unwritable) {
            Err(InvalidReplyText::ControlCharacter)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

/// Whether XML 1.0 can't represent a character.
fn is_unwritable(c: char) -> bool {
    c.is_control() && c != '\n' || matches!(c, '\u{fffe}' | '\u{ffff}')
}

/// The answer with a reply.
///
/// ```
/// let text = "Fish & chips".parse()?;
/// assert!(shared::twilio::twiml::reply(&text).ends_with("<Response><Message>Fish &amp; chips</Message></Response>"));
/// # Ok::<(), shared::twilio::twiml::InvalidReplyText>(())
/// ```
#[must_use]
pub fn reply(text: &ReplyText) -> String {
    let text = escape(text.0.as_str());
    format!(r#"<?xml version="1.0" encoding="UTF-8"?><Response><Message>{text}</Message></Response>"#)
}
