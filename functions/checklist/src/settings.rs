//! What the checklist is told by its environment.

use crate::checks::limits::LimitSetting;
use shared::phone::number::Region;
use shared::phone::policy::Policy;
use shared::runtime::settings::{Environment, SettingError};
use shared::twilio::client::{BaseUrl, Sender};
use shared::twilio::webhook::PublicUrl;

/// The path at which inbound-sms answers.
const WEBHOOK_PATH: &str = "/sms";

/// The settings, all of them right.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The DynamoDB table.
    pub table_name: String,
    /// The secret with the auth token, which inbound-sms reads.
    pub auth_token_secret: String,
    /// The secret that send-code reads.
    pub sending_secret: String,
    /// Whom messages come from.
    pub twilio_from: Sender,
    /// Where Twilio is.
    pub twilio_base_url: BaseUrl,
    /// Who may be texted.
    pub allowed_countries: Vec<Region>,
    /// How often.
    pub limits: Vec<LimitSetting>,
    /// Where Twilio should call us.
    pub addresses: WebhookUrls,
}

/// The addresses of the webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookUrls {
    /// The one that signatures are checked against, and so the one that Twilio must call.
    pub signed: String,
    /// The API's own, if that is another one: requests arrive there, and are refused.
    pub unsigned: Option<String>,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the first variable that is wrong, and the reason.
    pub fn from_environment(environment: &Environment) -> Result<Self, SettingError> {
        Ok(Self {
            table_name: environment.required("TABLE_NAME")?.to_owned(),
            auth_token_secret: environment.required("AUTH_TOKEN_SECRET")?.to_owned(),
            sending_secret: environment.required("SENDING_SECRET")?.to_owned(),
            twilio_from: environment.parsed("TWILIO_FROM")?,
            twilio_base_url: environment.parsed("TWILIO_BASE_URL")?,
            allowed_countries: Policy::from_environment(environment)?.allowed_countries,
            limits: LimitSetting::all(environment)?,
            addresses: WebhookUrls::from_environment(environment)?,
        })
    }
}

impl WebhookUrls {
    fn from_environment(environment: &Environment) -> Result<Self, SettingError> {
        let webhook = |variable| {
            let given = environment.optional(variable).map(|_| environment.parsed::<PublicUrl>(variable));
            given.transpose().map(|url| url.map(|url| url.join(WEBHOOK_PATH)))
        };
        match (webhook("PUBLIC_URL")?, webhook("API_ENDPOINT")?) {
            (Some(signed), api) => Ok(Self { unsigned: api.filter(|api| *api != signed), signed }),
            (None, Some(signed)) => Ok(Self { signed, unsigned: None }),
            (None, None) => Err(SettingError::Missing { variable: "API_ENDPOINT" }),
        }
    }
}
