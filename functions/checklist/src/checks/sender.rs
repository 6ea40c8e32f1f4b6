//! Facts about the sender: our phone number, or our Messaging Service with its numbers.
//!
//! The checks `webhooks`, `public_url` and `sender_registration` share them, so Twilio is asked once.

use crate::settings::WebhookUrls;
use crate::twilio_api::{MessagingService, PhoneNumberResource, ServiceNumber, Session, TwilioError};
use reqwest::Url;
use shared::twilio::client::Sender;

/// The sender as Twilio describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderFacts {
    /// The settings that decide where inbound messages go.
    pub webhooks: Vec<WebhookSettings>,
    /// The Messaging Service and its numbers, if the sender is one.
    pub service: Option<(MessagingService, Vec<ServiceNumber>)>,
}

/// Where one phone number or Messaging Service delivers inbound messages. Empty settings are `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// The number, or the SID of the Messaging Service.
    pub subject: String,
    /// The Twilio resource with these settings.
    pub owner: WebhookOwner,
    /// The URL that inbound messages are posted to.
    pub url: Option<String>,
    /// The HTTP method.
    pub method: Option<String>,
    /// The TwiML application that overrides the URLs.
    pub application: Option<String>,
    /// The URL that is called if the first one fails.
    pub fallback: Option<String>,
    /// A number's URL for call status, or a Messaging Service's for message status.
    pub status_callback: Option<String>,
}

/// A Twilio resource with webhook settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookOwner {
    /// A phone number, by its SID (`PN…`).
    Number(String),
    /// A Messaging Service, by its SID (`MG…`).
    Service(String),
}

/// What could not be read, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadSender {
    /// The part of the account.
    pub what: &'static str,
    /// Twilio's answer.
    pub error: TwilioError,
}

impl SenderFacts {
    /// Reads the sender from Twilio.
    ///
    /// # Errors
    /// [`UnreadSender`] names the part that could not be read.
    pub async fn read(session: &Session<'_>, sender: &Sender) -> Result<Self, UnreadSender> {
        let failed = |what| move |error| UnreadSender { what, error };
        let numbers = failed("the account's phone numbers");
        match sender {
            Sender::Number(number) => {
                let mut found = session.numbers(Some(number)).await.map_err(numbers)?;
                // Twilio's filter also matches parts of a number.
                found.retain(|found| found.phone_number == *number);
                Ok(Self { webhooks: found.into_iter().map(WebhookSettings::from).collect(), service: None })
            }
            Sender::MessagingService(sid) => {
                let (service, members) = tokio::join!(session.service(sid), session.service_numbers(sid));
                let service = service.map_err(failed("the Messaging Service"))?;
                let members = members.map_err(failed("the Messaging Service's numbers"))?;
                let mut webhooks = vec![WebhookSettings::from(service.clone())];
                if service.use_inbound_webhook_on_number {
                    let mut own = session.numbers(None).await.map_err(numbers)?;
                    own.retain(|number| members.iter().any(|member| member.sid == number.sid));
                    webhooks.extend(own.into_iter().map(WebhookSettings::from));
                }
                Ok(Self { webhooks, service: Some((service, members)) })
            }
        }
    }

    /// Whether this is a Messaging Service that leaves inbound messages to its numbers.
    pub(crate) fn delegates(&self, webhook: &WebhookSettings) -> bool {
        matches!(webhook.owner, WebhookOwner::Service(_))
            && self.service.as_ref().is_some_and(|(service, _)| service.use_inbound_webhook_on_number)
    }

    /// Numbers of the Messaging Service that handle their own inbound messages, but are missing from the account's list.
    pub(crate) fn unlisted_numbers(&self) -> Vec<&str> {
        let Some((service, members)) = &self.service else { return Vec::new() };
        let is_listed = |member: &&ServiceNumber| {
            self.webhooks.iter().any(|webhook| webhook.owner == WebhookOwner::Number(member.sid.clone()))
        };
        let members = members.iter().filter(|member| service.use_inbound_webhook_on_number && !is_listed(member));
        members.map(|member| member.phone_number.as_str()).collect()
    }
}

impl WebhookSettings {
    /// Whether inbound messages go to this URL.
    pub(crate) fn posts_to(&self, url: &str) -> bool {
        self.url.as_deref().is_some_and(|own| reaches(own, url))
    }

    /// The URL of inbound messages without secrets; empty if there is none.
    pub(crate) fn redacted_url(&self) -> String {
        self.url.as_deref().map(redacted).unwrap_or_default()
    }
}

impl WebhookUrls {
    /// Whether this URL is the one that signatures are verified against.
    pub(crate) fn is_signed(&self, url: &str) -> bool {
        reaches(url, &self.signed)
    }

    /// Whether this URL reaches this stack.
    pub(crate) fn include(&self, url: &str) -> bool {
        self.is_signed(url) || self.unsigned.as_ref().is_some_and(|unsigned| reaches(url, unsigned))
    }
}

impl From<PhoneNumberResource> for WebhookSettings {
    fn from(number: PhoneNumberResource) -> Self {
        Self {
            subject: number.phone_number,
            owner: WebhookOwner::Number(number.sid),
            url: non_empty(number.sms_url),
            method: non_empty(number.sms_method),
            application: non_empty(number.sms_application_sid),
            fallback: non_empty(number.sms_fallback_url),
            status_callback: non_empty(number.status_callback),
        }
    }
}

impl From<MessagingService> for WebhookSettings {
    fn from(service: MessagingService) -> Self {
        Self {
            subject: service.sid.clone(),
            owner: WebhookOwner::Service(service.sid),
            url: non_empty(service.inbound_request_url),
            method: non_empty(service.inbound_method),
            application: None,
            fallback: non_empty(service.fallback_url),
            status_callback: non_empty(service.status_callback),
        }
    }
}

/// Twilio reports an empty field as null or as "".
fn non_empty(field: Option<String>) -> Option<String> {
    field.filter(|text| !text.is_empty())
}

/// Whether a request to `url` arrives at `target`. The query may differ, because Twilio signs it. So may the fragment, which
/// only holds Twilio's connection overrides.
fn reaches(url: &str, target: &str) -> bool {
    let (Ok(url), Ok(target)) = (Url::parse(url), Url::parse(target)) else { return false };
    let has_no_user = url.username().is_empty() && url.password().is_none();
    has_no_user && url.origin() == target.origin() && url.path() == target.path()
}

/// A URL without the parts that can be secret: user, password, query and fragment.
pub(crate) fn redacted(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) if url.has_host() => format!("{}{}", url.origin().ascii_serialization(), url.path()),
        _ => "an invalid URL".to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod samples {
    //! A sender with nothing wrong, for the tests of the checks and repairs that use it.

    use super::*;

    pub(crate) const NUMBER: &str = "+14155550100";
    pub(crate) const OURS: &str = "https://sms.example.com/sms";
    pub(crate) const TO_ENTER: &str = "https://sms.example.com/sms#rc=3&rp=all";
    pub(crate) const API: &str = "https://abc.execute-api.us-east-1.amazonaws.com/sms";

    pub(crate) fn urls() -> WebhookUrls {
        WebhookUrls { signed: OURS.to_owned(), unsigned: Some(API.to_owned()) }
    }

    pub(crate) fn number() -> PhoneNumberResource {
        let text = |text: &str| Some(text.to_owned());
        PhoneNumberResource {
            sid: "PN1".to_owned(),
            phone_number: NUMBER.to_owned(),
            sms_url: text(TO_ENTER),
            sms_method: text("POST"),
            sms_fallback_url: text(""),
            sms_application_sid: None,
            status_callback: text(""),
        }
    }

    pub(crate) fn service() -> MessagingService {
        MessagingService {
            sid: "MG1".to_owned(),
            inbound_request_url: Some(TO_ENTER.to_owned()),
            inbound_method: Some("POST".to_owned()),
            fallback_url: None,
            status_callback: None,
            use_inbound_webhook_on_number: false,
            us_app_to_person_registered: Some(true),
        }
    }

    pub(crate) fn of_number(number: PhoneNumberResource) -> SenderFacts {
        SenderFacts { webhooks: vec![number.into()], service: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_url_that_can_be_secret_are_removed() {
        assert_eq!(redacted("https://user:password@host.example:8443/sms?token=1#x"), "https://host.example:8443/sms");
        assert_eq!(redacted("data:text/plain,secret"), "an invalid URL");
    }
}
