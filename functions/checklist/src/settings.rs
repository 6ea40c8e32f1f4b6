//! Settings, read from the environment.

use crate::checks::limits::LimitSetting;
use shared::phone::number::Region;
use shared::phone::policy::Policy;
use shared::runtime::settings::{Environment, SettingError};
use shared::twilio::client::{BaseUrl, Sender};
use shared::twilio::url::CALL_AGAIN;
use shared::twilio::webhook::PublicUrl;

/// The path of the webhook for inbound messages.
const WEBHOOK_PATH: &str = "/sms";

/// The settings of the checklist, all of them valid.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the DynamoDB table.
    pub table_name: String,
    /// The secret with the auth token, which verifies webhooks.
    pub auth_token_secret: String,
    /// The secret that send-code signs in with.
    pub sending_secret: String,
    /// The sender of our messages.
    pub twilio_from: Sender,
    /// The base URL of Twilio's API.
    pub twilio_base_url: BaseUrl,
    /// The countries that can be texted.
    pub allowed_countries: Vec<Region>,
    /// The limits.
    pub limits: Vec<LimitSetting>,
    /// The URLs of the webhook for inbound messages.
    pub webhook_urls: WebhookUrls,
}

/// The URLs that reach the webhook for inbound messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookUrls {
    /// The URL that signatures are verified against, and so the one that Twilio must call.
    pub signed: String,
    /// API Gateway's own URL, if it is another one. Requests to it arrive, but no signature is valid there.
    pub unsigned: Option<String>,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the first invalid variable, and the reason.
    pub fn from_environment(environment: &Environment) -> Result<Self, SettingError> {
        Ok(Self {
            table_name: environment.required("TABLE_NAME")?.to_owned(),
            auth_token_secret: environment.required("AUTH_TOKEN_SECRET")?.to_owned(),
            sending_secret: environment.required("SENDING_SECRET")?.to_owned(),
            twilio_from: environment.parsed("TWILIO_FROM")?,
            twilio_base_url: environment.parsed("TWILIO_BASE_URL")?,
            allowed_countries: Policy::from_environment(environment)?.allowed_countries,
            limits: LimitSetting::all(environment)?,
            webhook_urls: WebhookUrls::from_environment(environment)?,
        })
    }
}

impl WebhookUrls {
    /// What to enter at Twilio: the signed URL, with the overrides that have Twilio call again after a failure.
    #[must_use]
    pub fn to_enter(&self) -> String {
        self.signed.clone() + CALL_AGAIN
    }

    fn from_environment(environment: &Environment) -> Result<Self, SettingError> {
        let webhook = |variable| {
            let url = environment.parsed_if_set::<PublicUrl>(variable)?;
            Ok::<_, SettingError>(url.map(|url| url.join(WEBHOOK_PATH)))
        };
        match (webhook("PUBLIC_URL")?, webhook("API_ENDPOINT")?) {
            (Some(signed), api) => Ok(Self { unsigned: api.filter(|api| *api != signed), signed }),
            (None, Some(signed)) => Ok(Self { signed, unsigned: None }),
            (None, None) => Err(SettingError::Missing { variable: "API_ENDPOINT" }),
        }
    }
}
