//! What inbound-sms is told by its environment.

use shared::limits::rules::{Period, WindowRules};
use shared::phone::policy::Policy;
use shared::runtime::settings::{Environment, SettingError};
use shared::twilio::client::Sender;
use shared::twilio::price::SegmentPrice;
use shared::twilio::twiml::ReplyText;
use shared::twilio::webhook::PublicUrl;

/// The settings, all of them right.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The DynamoDB table.
    pub table_name: String,
    /// The secret with the key of the table.
    pub hmac_key_secret: String,
    /// The secret with the auth token.
    pub auth_token_secret: String,
    /// Whom our messages come from.
    pub twilio_from: Sender,
    /// The address that Twilio calls, if that is not API Gateway's own.
    pub public_url: Option<PublicUrl>,
    /// What every message is answered with, if anything.
    pub reply_text: Option<ReplyText>,
    /// Who may be answered: a reply is an SMS that we pay for, like a code.
    pub policy: Policy,
    /// How often one sender is answered.
    pub reply_limit: WindowRules,
    /// How long messages are kept.
    pub message_lifetime: Period,
    /// What a segment of a reply costs.
    pub segment_price: SegmentPrice,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the first variable that is wrong, and the reason.
    pub fn from_environment(environment: &Environment) -> Result<Self, SettingError> {
        let given = |variable| environment.optional(variable).is_some();
        Ok(Self {
            table_name: environment.required("TABLE_NAME")?.to_owned(),
            hmac_key_secret: environment.required("HMAC_KEY_SECRET")?.to_owned(),
            auth_token_secret: environment.required("AUTH_TOKEN_SECRET")?.to_owned(),
            twilio_from: environment.parsed("TWILIO_FROM")?,
            public_url: given("PUBLIC_URL").then(|| environment.parsed("PUBLIC_URL")).transpose()?,
            reply_text: given("REPLY_TEXT").then(|| environment.parsed("REPLY_TEXT")).transpose()?,
            policy: Policy::from_environment(environment)?,
            reply_limit: environment.parsed("REPLY_LIMIT")?,
            message_lifetime: environment.parsed("MESSAGE_LIFETIME")?,
            segment_price: environment.parsed("SEGMENT_PRICE")?,
        })
    }

    /// Whether this is the number that our messages come from.
    #[must_use]
    pub fn is_ours(&self, number: &str) -> bool {
        matches!(&self.twilio_from, Sender::Number(ours) if ours == number)
    }
}
