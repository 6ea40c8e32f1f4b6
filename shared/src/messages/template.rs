//! The text of a message, with a placeholder for the code.

use crate::twilio::segments::MAX_BODY;
use std::str::FromStr;

/// The longest code that a caller can choose. What fits with it fits with every code.
pub(super) const LONGEST_CODE: &str = "0000000000";

/// The text of a message, with `{code}` in place of the code.
///
/// ```
/// use shared::messages::template::MessageTemplate;
///
/// let template: MessageTemplate = "{code} is your code.".parse()?;
/// assert_eq!(template.with("493027"), "493027 is your code.");
/// assert!("Your code is on its way.".parse::<MessageTemplate>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageTemplate(String);

/// Why a template can't be sent. Reads well after "the template" or the name of its setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// The placeholder is missing, or there are several.
    #[error("must contain {{code}} exactly once")]
    Code,
    /// Longer than Twilio accepts.
    #[error("must have at most {MAX_BODY} characters with a code of {} digits", LONGEST_CODE.len())]
    TooLong,
}

impl MessageTemplate {
    const PLACEHOLDER: &str = "{code}";

    /// The text with this code.
    #[must_use]
    pub fn with(&self, code: &str) -> String {
        self.0.replace(Self::PLACEHOLDER, code)
    }
}

impl FromStr for MessageTemplate {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.matches(Self::PLACEHOLDER).count() != 1 {
            return Err(InvalidTemplate::Code);
        }
        let template = Self(text.to_owned());
        if is_too_long(&template.with(LONGEST_CODE)) { Err(InvalidTemplate::TooLong) } else { Ok(template) }
    }
}

/// Whether Twilio would reject the text with error [21617](https://www.twilio.com/docs/api/errors/21617).
pub(super) fn is_too_long(text: &str) -> bool {
    text.chars().count() > MAX_BODY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_has_one_place_for_the_code_and_room_for_the_longest() {
        for (text, expected) in [
            ("Your code", Err(InvalidTemplate::Code)),
            ("", Err(InvalidTemplate::Code)),
            ("{code} {code}", Err(InvalidTemplate::Code)),
            ("{Code}", Err(InvalidTemplate::Code)),
            ("{code}", Ok("493027".to_owned())),
            ("{{code}}", Ok("{493027}".to_owned())),
        ] {
            assert_eq!(text.parse().map(|template: MessageTemplate| template.with("493027")), expected, "{text}");
        }
        let template = |letters: usize| format!("{}{{code}}", "ä".repeat(letters)).parse::<MessageTemplate>();
        assert_eq!(template(1590).unwrap().with("0123456789").chars().count(), 1600);
        assert_eq!(template(1591), Err(InvalidTemplate::TooLong));
    }
}
