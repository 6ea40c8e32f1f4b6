//! Settings, read from the environment.

use crate::messages::Messages;
use crate::messages::app_domain::AppDomain;
use shared::phone::code::MinCodeDigits;
use shared::phone::policy::Policy;
use shared::phone::test_numbers::TestNumbers;
use shared::runtime::settings::{Environment, SettingError};
use shared::store::send_limits::SendLimits;
use shared::twilio::client::{BaseUrl, Sender, StatusCallback};
use shared::twilio::price::SegmentPrices;

/// The settings, parsed and valid.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the DynamoDB table.
    pub table_name: String,
    /// The secret with the HMAC key of the table.
    pub hmac_key_secret: String,
    /// The secret with the credentials for sending.
    pub sending_secret: String,
    /// The number or Messaging Service that messages come from.
    pub twilio_from: Sender,
    /// The base URL of Twilio's API.
    pub twilio_base_url: BaseUrl,
    /// The URL to which Twilio reports the status of messages, if any.
    pub status_callback: Option<StatusCallback>,
    /// Which numbers may be texted.
    pub policy: Policy,
    /// The limits and the lifetime of a code.
    pub limits: SendLimits,
    /// The fewest digits of a code that the caller chooses.
    pub min_code_digits: MinCodeDigits,
    /// The texts of the messages.
    pub messages: Messages,
    /// Numbers that are never texted.
    pub test_numbers: TestNumbers,
    /// The prices of a message segment, for the estimated spend.
    pub segment_prices: SegmentPrices,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the first invalid variable and the reason.
    pub fn from_environment(environment: &Environment) -> Result<Self, SettingError> {
        Ok(Self {
            table_name: environment.required("TABLE_NAME")?.to_owned(),
            hmac_key_secret: environment.required("HMAC_KEY_SECRET")?.to_owned(),
            sending_secret: environment.required("SENDING_SECRET")?.to_owned(),
            twilio_from: environment.parsed("TWILIO_FROM")?,
            twilio_base_url: environment.parsed("TWILIO_BASE_URL")?,
            status_callback: environment.parsed_if_set("STATUS_CALLBACK")?,
            policy: Policy::from_environment(environment)?,
            limits: SendLimits::from_environment(environment)?,
            min_code_digits: environment.parsed("MIN_CODE_DIGITS")?,
            messages: messages(environment)?,
            test_numbers: TestNumbers::from_environment(environment)?,
            segment_prices: environment.parsed("SEGMENT_PRICES")?,
        })
    }
}

/// The texts of the messages. Each that takes more than one segment is logged, since it costs more.
fn messages(environment: &Environment) -> Result<Messages, SettingError> {
    let app_domain = environment.parsed_if_set::<AppDomain>("APP_DOMAIN")?;
    let default = environment.parsed("MESSAGE_TEMPLATE")?;
    let messages = Messages::new(default, environment.text("MESSAGE_TEMPLATES"), app_domain)
        .map_err(|reason| Environment::invalid("MESSAGE_TEMPLATES", reason))?;
    for warning in messages.warnings() {
        tracing::warn!("{warning}");
    }
    Ok(messages)
}
