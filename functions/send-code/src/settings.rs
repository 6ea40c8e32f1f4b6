//! What send-code is told by its environment.

use crate::message::{AppDomain, Messages};
use shared::phone::policy::Policy;
use shared::phone::test_numbers::TestNumbers;
use shared::runtime::settings::{Environment, SettingError};
use shared::store::send_limits::SendLimits;
use shared::twilio::client::{BaseUrl, Sender, StatusCallback};
use shared::twilio::price::SegmentPrice;

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
    /// Where Twilio reports how messages fare, if anywhere.
    pub status_callback: Option<StatusCallback>,
    /// Who may be texted.
    pub policy: Policy,
    /// How often, and how long a code is good.
    pub limits: SendLimits,
    /// The texts around the code.
    pub messages: Messages,
    /// Numbers that are never texted.
    pub test_numbers: TestNumbers,
    /// What a segment of a message costs.
    pub segment_price: SegmentPrice,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the first variable that is wrong, and the reason.
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
            messages: messages(environment)?,
            test_numbers: TestNumbers::from_environment(environment)?,
            segment_price: environment.parsed("SEGMENT_PRICE")?,
        })
    }
}

/// The texts, with a word in the log about each that costs more than one segment.
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
