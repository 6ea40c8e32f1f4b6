//! Settings, read from the environment.

use crate::texts::TextSettings;
use shared::messages::Messages;
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
    /// How users may text us instead; `None` if they may not.
    pub texts: Option<TextSettings>,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the first invalid variable and the reason.
    pub fn from_environment(environment: &Environment) -> Result<Self, SettingError> {
        let twilio_from = environment.parsed("TWILIO_FROM")?;
        Ok(Self {
            texts: TextSettings::from_environment(environment, &twilio_from)?,
            twilio_from,
            table_name: environment.required("TABLE_NAME")?.to_owned(),
            hmac_key_secret: environment.required("HMAC_KEY_SECRET")?.to_owned(),
            sending_secret: environment.required("SENDING_SECRET")?.to_owned(),
            twilio_base_url: environment.parsed("TWILIO_BASE_URL")?,
            status_callback: environment.parsed_if_set("STATUS_CALLBACK")?,
            policy: Policy::from_environment(environment)?,
            limits: SendLimits::from_environment(environment)?,
            min_code_digits: environment.parsed("MIN_CODE_DIGITS")?,
            messages: Messages::from_environment(environment)?,
            test_numbers: TestNumbers::from_environment(environment)?,
            segment_prices: environment.parsed("SEGMENT_PRICES")?,
        })
    }
}
