//! The settings of texts from users.

use shared::phone::number::is_e164;
use shared::runtime::settings::{Environment, SettingError};
use shared::store::text_to_verify::{OfferLimits, TextToVerify};
use shared::twilio::client::Sender;

/// How users may text us.
#[derive(Clone, Debug)]
pub struct TextSettings {
    /// What a text does. Not off.
    pub(crate) mode: TextToVerify,
    /// The number that takes the texts, in E.164.
    pub(crate) to: String,
    pub(crate) limits: OfferLimits,
}

impl TextSettings {
    /// Reads `TEXT_TO_VERIFY` and `TEXT_TO_VERIFY_NUMBER`; `None` if it is off.
    ///
    /// # Errors
    /// [`SettingError`] names the variable that is wrong or missing, and the reason.
    pub fn from_environment(environment: &Environment, sender: &Sender) -> Result<Option<Self>, SettingError> {
        let mode = environment.parsed("TEXT_TO_VERIFY")?;
        if mode == TextToVerify::Off {
            return Ok(None);
        }
        let invalid = |reason: &str| Environment::invalid("TEXT_TO_VERIFY_NUMBER", reason);
        let to = match (environment.optional("TEXT_TO_VERIFY_NUMBER"), sender) {
            (Some(number), _) if is_e164(number) => number.to_owned(),
            (Some(_), _) => return Err(invalid("it must be a number in E.164 format, such as +15005550006")),
            (None, Sender::Number(number)) => number.clone(),
            (None, Sender::MessagingService(_)) => {
                return Err(invalid(
                    "TEXT_TO_VERIFY needs it, since TWILIO_FROM is a Messaging Service; set it to a number of the service",
                ));
            }
        };
        let limits = OfferLimits::new().map_err(|error| Environment::invalid("TEXT_TO_VERIFY", error))?;
        Ok(Some(Self { mode, to, limits }))
    }
}
