//! What send-code is told by its environment.

use crate::code::VerificationCode;
use shared::limits::Span;
use shared::policy::Policy;
use shared::settings::{Environment, SettingError};
use shared::table::SendLimits;
use shared::twilio::{BaseUrl, Sender};
use std::str::FromStr;

/// The settings, all of them right.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The DynamoDB table.
    pub table_name: String,
    /// The secret with the key of the table.
    pub hmac_key_secret: String,
    /// The secret with the credentials for sending.
    pub sending_secret: String,
    /// Whom messages come from.
    pub twilio_from: Sender,
    /// Where Twilio is.
    pub twilio_base_url: BaseUrl,
    /// Who may be texted.
    pub policy: Policy,
    /// How often.
    pub limits: SendLimits,
    /// The text around the code.
    pub message_template: MessageTemplate,
    /// How long a code is good.
    pub code_lifetime: Span,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the first variable that is wrong, and the reason.
    pub fn from_environment(environment: &Environment) -> Result<Self, SettingError> {
        let code_lifetime = environment.parsed::<CodeLifetime>("CODE_LIFETIME")?.0;
        Ok(Self {
            table_name: environment.required("TABLE_NAME")?.to_owned(),
            hmac_key_secret: environment.required("HMAC_KEY_SECRET")?.to_owned(),
            sending_secret: environment.required("SENDING_SECRET")?.to_owned(),
            twilio_from: environment.parsed("TWILIO_FROM")?,
            twilio_base_url: environment.parsed("TWILIO_BASE_URL")?,
            policy: Policy::from_environment(environment)?,
            limits: SendLimits { phone: environment.parsed("PHONE_LIMIT")?, ip: environment.parsed("IP_LIMIT")? },
            message_template: environment.parsed("MESSAGE_TEMPLATE")?,
            code_lifetime,
        })
    }
}

/// The text of a message, with a place for the code.
///
/// ```
/// use send_code::settings::MessageTemplate;
///
/// let template: MessageTemplate = "{code} is your code.".parse()?;
/// assert_eq!(template.with(&"493027".parse()?), "493027 is your code.");
/// assert!("Your code is on its way.".parse::<MessageTemplate>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageTemplate(String);

/// A template that can't be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// No place for the code, or several.
    #[error("it must contain {{code}} exactly once")]
    Code,
    /// Longer than Twilio takes.
    #[error("it is longer than 1600 characters, which is as much as Twilio takes")]
    TooLong,
}

impl MessageTemplate {
    const PLACE: &str = "{code}";

    /// The message with this code.
    #[must_use]
    pub fn with(&self, code: &VerificationCode) -> String {
        self.0.replace(Self::PLACE, code.as_str())
    }
}

impl FromStr for MessageTemplate {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.matches(Self::PLACE).count() != 1 {
            return Err(InvalidTemplate::Code);
        }
        // The longest code has ten digits, four more than its place.
        if text.chars().count() + 4 > 1600 { Err(InvalidTemplate::TooLong) } else { Ok(Self(text.to_owned())) }
    }
}

/// A lifetime that is also Twilio's `ValidityPeriod`, of which 6 to 36,000 seconds make sense.
struct CodeLifetime(Span);

impl FromStr for CodeLifetime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let span: Span = text.parse().map_err(|error: shared::limits::LimitsError| error.to_string())?;
        if (6..=36_000).contains(&span.as_seconds()) {
            Ok(Self(span))
        } else {
            Err("it must be from 6s to 10h, which is what Twilio keeps a message for".to_owned())
        }
    }
}
