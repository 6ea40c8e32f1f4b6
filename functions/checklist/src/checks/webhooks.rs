//! Do inbound messages reach this stack, and over HTTPS all the way?
//!
//! A phone number or Messaging Service has a URL for inbound messages, a fallback and a status callback. Over plain HTTP, anyone
//! on the network path can read the messages. Without Twilio's connection overrides, a message whose call fails is lost. Each wrong
//! field is named, so that a repair can set that field and no other.

use super::sender::{SenderFacts, WebhookOwner, WebhookSettings, redacted};
use crate::report::{Check, Finding};
use crate::settings::WebhookUrls;
use shared::twilio::client::Sender;
use shared::twilio::url::{is_called_again, is_https_or_loopback};

const CHECK: Check = Check::Webhooks;

/// A field with a wrong value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongField {
    /// Twilio's name for it.
    pub field: &'static str,
    /// The value that it should have.
    pub expected: String,
    /// The value that it has, without what can be secret in it.
    pub actual: String,
}

/// A problem with one field.
pub(crate) struct WebhookProblem {
    found: String,
    /// `None` if the field serves something else too, so that only the operator may change it.
    pub(crate) wrong_field: Option<WrongField>,
}

/// Twilio's names for the fields of a webhook owner.
pub(crate) struct FieldNames {
    pub(crate) url: &'static str,
    method: &'static str,
    fallback: &'static str,
}

/// Evaluates the webhooks: one finding each.
#[must_use]
pub fn evaluate(facts: &SenderFacts, sender: &Sender, urls: &WebhookUrls) -> Vec<Finding> {
    if let (Sender::Number(number), []) = (sender, facts.webhooks.as_slice()) {
        let finding = Finding::fail(
            CHECK,
            "this account does not have this phone number",
            "set TwilioFrom to a number of this account, or put the credentials of the number's account into both secrets",
        );
        return vec![finding.of(number)];
    }
    let mut findings: Vec<_> = facts.webhooks.iter().map(|webhook| evaluate_one(facts, webhook, urls)).collect();
    for number in facts.unlisted_numbers() {
        let found = "the Messaging Service has this number, but the account's list of numbers does not";
        let advice = "check in the Twilio Console which account owns the number, and where its messages go";
        findings.push(Finding::unknown(CHECK, found, advice).of(number));
    }
    findings
}

fn evaluate_one(facts: &SenderFacts, webhook: &WebhookSettings, urls: &WebhookUrls) -> Finding {
    let problems = problems(facts, webhook, urls);
    if problems.is_empty() {
        return Finding::pass(CHECK, description(facts, webhook)).of(&webhook.subject);
    }
    let found: Vec<_> = problems.iter().map(|problem| problem.found.as_str()).collect();
    Finding::fail(CHECK, found.join("; "), advice(&problems, urls)).of(&webhook.subject)
}

fn description(facts: &SenderFacts, webhook: &WebhookSettings) -> String {
    if facts.delegates(webhook) {
        return "its numbers handle inbound messages".to_owned();
    }
    // Twilio does not report whether a number is in a Messaging Service.
    let caveat = if facts.service.is_none() {
        " (unless the number is in a Messaging Service, whose settings then apply)"
    } else {
        ""
    };
    format!("POST {}{caveat}", webhook.redacted_url())
}

fn advice(problems: &[WebhookProblem], urls: &WebhookUrls) -> String {
    let wrong: Vec<_> = problems.iter().filter_map(|problem| problem.wrong_field.as_ref()).collect();
    let mut advice = Vec::new();
    if !wrong.is_empty() {
        let fields: Vec<_> = wrong.iter().map(|wrong| wrong.assignment()).collect();
        advice.push(format!(
            "set {}, or run the checklist with {{\"apply\": [\"webhooks\"]}}; if another name than {} leads to this stack, set \
             PublicUrl to it",
            fields.join(", "),
            redacted(&urls.signed)
        ));
    }
    if wrong.len() < problems.len() {
        advice.push(
            "set StatusCallback by hand to an HTTPS URL, or clear it; it is the number's callback for calls, so no repair \
             changes it"
                .to_owned(),
        );
    }
    advice.join("; ")
}

/// The problems of one webhook.
pub(crate) fn problems(facts: &SenderFacts, webhook: &WebhookSettings, urls: &WebhookUrls) -> Vec<WebhookProblem> {
    let mut problems = Vec::new();
    if !facts.delegates(webhook) {
        problems.extend(inbound_problems(webhook, urls));
    }
    problems.extend(callback_problems(webhook));
    problems
}

/// What keeps inbound messages from this stack.
fn inbound_problems(webhook: &WebhookSettings, urls: &WebhookUrls) -> Vec<WebhookProblem> {
    let names = webhook.owner.field_names();
    let to_enter = urls.to_enter();
    let mut problems = Vec::new();
    if let Some(application) = &webhook.application {
        let found = format!("the TwiML application {application} overrides the number's own URLs");
        problems.push(WebhookProblem::fixable(found, "SmsApplicationSid", application, ""));
    }
    match webhook.url.as_deref() {
        None => {
            let found = "no URL is set, so inbound messages, including STOP, are lost";
            problems.push(WebhookProblem::fixable(found, names.url, "", &to_enter));
        }
        Some(url) if !urls.include(url) => {
            let url = redacted(url);
            problems.push(WebhookProblem::fixable(format!("messages go to {url}"), names.url, &url, &to_enter));
        }
        Some(url) if urls.is_signed(url) && !is_called_again(url) => {
            let found = "Twilio does not call again after a failure, so a message can be lost";
            problems.push(WebhookProblem::fixable(found, names.url, &redacted(url), &to_enter));
        }
        Some(_) => {}
    }
    if let Some(method) = webhook.method.as_deref().filter(|method| !method.eq_ignore_ascii_case("POST")) {
        let found = "Twilio calls the webhook with GET, but it answers only POST";
        problems.push(WebhookProblem::fixable(found, names.method, method, "POST"));
    }
    problems
}

/// Callbacks over plain HTTP.
fn callback_problems(webhook: &WebhookSettings) -> Vec<WebhookProblem> {
    let plain = |url: &Option<String>| url.as_ref().filter(|url| !is_https_or_loopback(url)).map(|url| redacted(url));
    let mut problems = Vec::new();
    if let Some(url) = plain(&webhook.fallback) {
        let found = format!("the fallback URL is not HTTPS: {url}");
        problems.push(WebhookProblem::fixable(found, webhook.owner.field_names().fallback, &url, ""));
    }
    if let Some(url) = plain(&webhook.status_callback) {
        problems.push(match webhook.owner {
            WebhookOwner::Service(_) => {
                let found = format!("the status callback is not HTTPS: {url}");
                WebhookProblem::fixable(found, "StatusCallback", &url, "")
            }
            // The account's voice calls may depend on it.
            WebhookOwner::Number(_) => WebhookProblem {
                found: format!("the status callback for calls is not HTTPS: {url}"),
                wrong_field: None,
            },
        });
    }
    problems
}

impl WebhookProblem {
    fn fixable(found: impl Into<String>, field: &'static str, actual: &str, expected: &str) -> Self {
        let wrong_field = WrongField { field, expected: expected.to_owned(), actual: actual.to_owned() };
        Self { found: found.into(), wrong_field: Some(wrong_field) }
    }
}

impl WrongField {
    /// What to set, for example `SmsMethod to POST`.
    fn assignment(&self) -> String {
        let expected = if self.expected.is_empty() { "nothing" } else { &self.expected };
        format!("{} to {expected}", self.field)
    }
}

impl WebhookOwner {
    pub(crate) const fn field_names(&self) -> FieldNames {
        match self {
            Self::Number(_) => FieldNames { url: "SmsUrl", method: "SmsMethod", fallback: "SmsFallbackUrl" },
            Self::Service(_) => {
                FieldNames { url: "InboundRequestUrl", method: "InboundMethod", fallback: "FallbackUrl" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::public_url;
    use super::super::sender::samples::{NUMBER, OURS, TO_ENTER, number, of_number, service, urls};
    use super::*;
    use crate::report::CheckStatus::{self, Fail, Pass, Unknown};
    use crate::twilio_api::{MessagingService, PhoneNumberResource, ServiceNumber};

    fn results(rows: &[Finding]) -> Vec<CheckStatus> {
        rows.iter().map(|row| row.result).collect()
    }

    fn wrong_fields(facts: &SenderFacts) -> Vec<WrongField> {
        let problems = facts.webhooks.iter().flat_map(|webhook| problems(facts, webhook, &urls()));
        problems.filter_map(|problem| problem.wrong_field).collect()
    }

    #[test]
    fn each_single_wrong_setting_of_a_number_fails_and_names_its_field() {
        let sender = Sender::Number(NUMBER.to_owned());
        let url = |url: &str| PhoneNumberResource { sms_url: Some(url.to_owned()), ..number() };
        let wrong: Vec<(PhoneNumberResource, &[(&str, &str)])> = vec![
            (number(), &[]),
            (url("https://SMS.example.com:443/sms?a=b#rp=all"), &[]),
            (url(OURS), &[("SmsUrl", TO_ENTER)]),
            (url("https://sms.example.com/sms#rc=3"), &[("SmsUrl", TO_ENTER)]),
            (url("https://sms.example.com/sms?a=b#rc=3&rp=5xx"), &[("SmsUrl", TO_ENTER)]),
            (url("http://sms.example.com/sms"), &[("SmsUrl", TO_ENTER)]),
            (url("https://sms.example.com/sms/"), &[("SmsUrl", TO_ENTER)]),
            (url("https://sms.example.com.evil.example/sms"), &[("SmsUrl", TO_ENTER)]),
            (url("https://user:password@sms.example.com/sms"), &[("SmsUrl", TO_ENTER)]),
            (url("https://demo.twilio.com/welcome/sms/reply/"), &[("SmsUrl", TO_ENTER)]),
            (url("nonsense"), &[("SmsUrl", TO_ENTER)]),
            (url(""), &[("SmsUrl", TO_ENTER)]),
            (PhoneNumberResource { sms_url: None, ..number() }, &[("SmsUrl", TO_ENTER)]),
            (PhoneNumberResource { sms_method: Some("GET".to_owned()), ..number() }, &[("SmsMethod", "POST")]),
            (
                PhoneNumberResource { sms_application_sid: Some("AP1".to_owned()), ..number() },
                &[("SmsApplicationSid", "")],
            ),
            (
                PhoneNumberResource { sms_fallback_url: Some("http://sms.example.com/sms".to_owned()), ..number() },
                &[("SmsFallbackUrl", "")],
            ),
            (PhoneNumberResource { sms_fallback_url: Some("https://other.example/sms".to_owned()), ..number() }, &[]),
        ];
        for (number, expected_fields) in wrong {
            let facts = of_number(number.clone());
            let expected = if expected_fields.is_empty() { Pass } else { Fail };
            assert_eq!(results(&evaluate(&facts, &sender, &urls())), [expected], "{number:?}");
            assert_eq!(public_url::evaluate(&facts, &urls(), false).result, Pass, "{number:?}");
            let fields = wrong_fields(&facts);
            let fields: Vec<_> = fields.iter().map(|wrong| (wrong.field, wrong.expected.as_str())).collect();
            assert_eq!(fields, expected_fields, "{number:?}");
        }
    }

    #[test]
    fn a_service_decides_for_its_numbers_unless_it_delegates_to_them() {
        let sender = Sender::MessagingService("MG1".to_owned());
        let member = |sid: &str| ServiceNumber { sid: sid.to_owned(), phone_number: NUMBER.to_owned() };
        let wrong_number = || PhoneNumberResource { sms_url: None, ..number() };
        let delegating =
            || MessagingService { use_inbound_webhook_on_number: true, inbound_request_url: None, ..service() };
        let facts = |service: MessagingService, members: Vec<ServiceNumber>, numbers: Vec<PhoneNumberResource>| {
            let mut webhooks = vec![WebhookSettings::from(service.clone())];
            webhooks.extend(numbers.into_iter().map(WebhookSettings::from));
            SenderFacts { webhooks, service: Some((service, members)) }
        };
        for (facts, expected) in [
            (facts(service(), vec![member("PN1")], vec![]), vec![Pass]),
            (facts(MessagingService { inbound_request_url: None, ..service() }, vec![], vec![]), vec![Fail]),
            (
                facts(MessagingService { inbound_method: Some("GET".to_owned()), ..service() }, vec![], vec![]),
                vec![Fail],
            ),
            (facts(delegating(), vec![member("PN1")], vec![number()]), vec![Pass, Pass]),
            (facts(delegating(), vec![member("PN1")], vec![wrong_number()]), vec![Pass, Fail]),
            (facts(delegating(), vec![member("PN2")], vec![]), vec![Pass, Unknown]),
        ] {
            assert_eq!(results(&evaluate(&facts, &sender, &urls())), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_service_whose_failed_calls_are_not_repeated_fails_and_names_its_field() {
        let service = MessagingService { inbound_request_url: Some(OURS.to_owned()), ..service() };
        let facts = SenderFacts { webhooks: vec![service.clone().into()], service: Some((service, vec![])) };
        let rows = evaluate(&facts, &Sender::MessagingService("MG1".to_owned()), &urls());
        assert!(rows[0].result == Fail && rows[0].found.contains("does not call again"), "{rows:?}");
        assert!(rows[0].advice.contains(&format!("set InboundRequestUrl to {TO_ENTER}, or run")), "{rows:?}");
        assert_eq!(wrong_fields(&facts)[0].expected, TO_ENTER);
    }

    #[test]
    fn a_number_that_the_account_does_not_have_fails() {
        let facts = SenderFacts { webhooks: vec![], service: None };
        assert_eq!(results(&evaluate(&facts, &Sender::Number(NUMBER.to_owned()), &urls())), [Fail]);
    }

    #[test]
    fn a_numbers_status_callback_for_calls_fails_over_plain_http_and_is_left_alone() {
        let plain = || Some("http://other.example/?token=1".to_owned());
        let facts = of_number(PhoneNumberResource { status_callback: plain(), ..number() });
        let rows = evaluate(&facts, &Sender::Number(NUMBER.to_owned()), &urls());
        assert!(rows[0].result == Fail && rows[0].found.contains("for calls"), "{rows:?}");
        assert!(rows[0].advice.contains("by hand") && !rows[0].advice.contains("apply"), "{rows:?}");
        assert_eq!(wrong_fields(&facts), []);

        // A Messaging Service's is for messages, and a repair clears it.
        let service = MessagingService { status_callback: plain(), ..service() };
        let facts = SenderFacts { webhooks: vec![service.clone().into()], service: Some((service, vec![])) };
        assert_eq!(wrong_fields(&facts)[0].field, "StatusCallback");
    }

    #[test]
    fn a_single_number_passes_with_the_caveat_that_a_messaging_service_would_override_it() {
        let rows = evaluate(&of_number(number()), &Sender::Number(NUMBER.to_owned()), &urls());
        assert!(rows[0].result == Pass && rows[0].found.contains("unless the number is in a Messaging Service"));
    }
}
