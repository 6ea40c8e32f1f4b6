//! The account's numbers and their webhooks.

use crate::limits::API_VERSION;
use crate::message::rfc2822;
use crate::store::ledger::NumberSettings;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a parameter takes.
#[derive(Clone, Copy)]
pub(crate) enum Takes {
    Text,
    Url,
    Method,
}

/// The parameters that configure a number, and the fields that show them:
/// <https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource>
pub(crate) const SETTINGS: [(&str, &str, Takes); 13] = [
    ("FriendlyName", "friendly_name", Takes::Text),
    ("SmsUrl", "sms_url", Takes::Url),
    ("SmsMethod", "sms_method", Takes::Method),
    ("SmsFallbackUrl", "sms_fallback_url", Takes::Url),
    ("SmsFallbackMethod", "sms_fallback_method", Takes::Method),
    ("SmsApplicationSid", "sms_application_sid", Takes::Text),
    ("StatusCallback", "status_callback", Takes::Url),
    ("StatusCallbackMethod", "status_callback_method", Takes::Method),
    ("VoiceUrl", "voice_url", Takes::Url),
    ("VoiceMethod", "voice_method", Takes::Method),
    ("VoiceFallbackUrl", "voice_fallback_url", Takes::Url),
    ("VoiceFallbackMethod", "voice_fallback_method", Takes::Method),
    ("VoiceApplicationSid", "voice_application_sid", Takes::Text),
];

/// A number of the account, as it is configured now.
pub struct IncomingNumber {
    /// `PN…`.
    pub sid: String,
    account_sid: String,
    /// In E.164.
    pub phone_number: String,
    sms_url: String,
    set: BTreeMap<String, String>,
    created: Timestamp,
    updated: Timestamp,
}

impl IncomingNumber {
    pub(crate) fn new(
        account_sid: &str,
        number: &str,
        sms_url: &str,
        setup: Option<&NumberSettings>,
        created: Timestamp,
    ) -> Self {
        let (set, updated) = setup.map_or((BTreeMap::new(), created), |setup| (setup.settings.clone(), setup.updated));
        Self {
            // Always the same, so that tests can hard-code it. Decimal digits are valid hexadecimal digits.
            sid: format!("PN{:0>32}", number.trim_start_matches('+')),
            account_sid: account_sid.to_owned(),
            phone_number: number.to_owned(),
            sms_url: sms_url.to_owned(),
            set,
            created,
            updated,
        }
    }

    fn text(&self, field: &str) -> &str {
        let default = match field {
            "friendly_name" => &self.phone_number,
            "sms_url" => &self.sms_url,
            _ if field.ends_with("_method") => "POST",
            _ => "",
        };
        self.set.get(field).map_or(default, String::as_str)
    }

    pub(crate) fn is(&self, number: &str) -> bool {
        self.phone_number == number
    }

    /// The webhook for texts to it.
    #[must_use]
    pub fn sms_url(&self) -> &str {
        self.text("sms_url")
    }

    /// The webhook for inbound messages. An application replaces the number's URLs, and the fake has no applications.
    pub(crate) fn webhook(&self) -> Option<(Method, String)> {
        if !self.text("sms_application_sid").is_empty() {
            return None;
        }
        self.target("sms_url", "sms_method")
    }

    /// The webhook to call if that fails.
    pub(crate) fn fallback(&self) -> Option<(Method, String)> {
        self.target("sms_fallback_url", "sms_fallback_method")
    }

    fn target(&self, url: &str, method: &str) -> Option<(Method, String)> {
        let method = if self.text(method) == "GET" { Method::GET } else { Method::POST };
        Some(self.text(url)).filter(|url| !url.is_empty()).map(|url| (method, url.to_owned()))
    }

    pub(crate) fn resource(&self) -> Value {
        let path = format!("/{API_VERSION}/Accounts/{}/IncomingPhoneNumbers/{}", self.account_sid, self.sid);
        let mut resource = json!({
            "account_sid": self.account_sid,
            "address_requirements": "none",
            "address_sid": null,
            "api_version": API_VERSION,
            "beta": false,
            "bundle_sid": null,
            "capabilities": { "fax": false, "mms": true, "sms": true, "voice": true },
            "date_created": rfc2822(self.created),
            "date_updated": rfc2822(self.updated),
            "emergency_address_sid": null,
            "emergency_address_status": "unregistered",
            "emergency_status": "Inactive",
            "identity_sid": null,
            "origin": "twilio",
            "phone_number": self.phone_number,
            "sid": self.sid,
            "status": "in-use",
            "subresource_uris": { "assigned_add_ons": format!("{path}/AssignedAddOns.json") },
            "trunk_sid": null,
            "type": "local",
            "uri": format!("{path}.json"),
            "voice_caller_id_lookup": false,
            "voice_receive_mode": "voice",
        });
        if let Some(resource) = resource.as_object_mut() {
            resource.extend(SETTINGS.iter().map(|(_, field, _)| ((*field).to_owned(), self.text(field).into())));
        }
        resource
    }
}
