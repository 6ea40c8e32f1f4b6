//! Settings, read from the environment.

use shared::limits::rules::Period;
use shared::messages::Messages;
use shared::phone::policy::Policy;
use shared::runtime::settings::{Environment, SettingError};
use shared::store::inbound::ReplyLimits;
use shared::store::text_to_verify::TextToVerify;
use shared::twilio::client::Sender;
use shared::twilio::price::SegmentPrices;
use shared::twilio::twiml::ReplyText;
use shared::twilio::webhook::PublicUrl;

/// The settings of inbound-sms.
#[derive(Clone, Debug)]
pub struct Settings {
    pub table_name: String,
    /// Secrets Manager's name of the table's HMAC key.
    pub hmac_key_secret: String,
    /// Secrets Manager's name of the auth token.
    pub auth_token_secret: String,
    /// What codes are sent from. A message from there gets no reply.
    pub twilio_from: Sender,
    /// The address that Twilio calls, unless it is API Gateway's own.
    pub public_url: Option<PublicUrl>,
    /// The automatic reply, if there is one.
    pub reply_text: Option<ReplyText>,
    /// Who may get a reply. It costs money, like a code.
    pub policy: Policy,
    /// How many replies are sent.
    pub reply_limits: ReplyLimits,
    /// How long the table keeps a message.
    pub message_lifetime: Period,
    /// What replies cost.
    pub segment_prices: SegmentPrices,
    /// What the phrase of an offer does.
    pub text_to_verify: TextToVerify,
    /// The texts of codes.
    pub messages: Messages,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the first variable that is missing or invalid.
    pub fn from_environment(environment: &Environment) -> Result<Self, SettingError> {
        Ok(Self {
            table_name: environment.required("TABLE_NAME")?.to_owned(),
            hmac_key_secret: environment.required("HMAC_KEY_SECRET")?.to_owned(),
            auth_token_secret: environment.required("AUTH_TOKEN_SECRET")?.to_owned(),
            twilio_from: environment.parsed("TWILIO_FROM")?,
            public_url: environment.parsed_if_set("PUBLIC_URL")?,
            reply_text: environment.parsed_if_set("REPLY_TEXT")?,
            policy: Policy::from_environment(environment)?,
            reply_limits: ReplyLimits::from_environment(environment)?,
            message_lifetime: environment.parsed("MESSAGE_LIFETIME")?,
            segment_prices: environment.parsed("SEGMENT_PRICES")?,
            text_to_verify: environment.parsed("TEXT_TO_VERIFY")?,
            messages: Messages::from_environment(environment)?,
        })
    }

    /// Whether this is the number that codes are sent from.
    #[must_use]
    pub fn is_ours(&self, number: &str) -> bool {
        matches!(&self.twilio_from, Sender::Number(ours) if ours == number)
    }
}
