//! Does Twilio call the URL that signatures are verified against?
//!
//! Twilio signs the URL that it calls. Behind a custom domain, API Gateway's own URL also reaches this stack, but no signature
//! made for it is valid. If the secret requires the header of a CDN, only the CDN's URL reaches this stack.

use super::listed;
use super::sender::{SenderFacts, WebhookSettings};
use super::webhooks::WrongField;
use crate::report::{Check, Finding};
use crate::settings::WebhookUrls;

const CHECK: Check = Check::PublicUrl;

/// Evaluates the URLs that Twilio calls.
#[must_use]
pub fn evaluate(facts: &SenderFacts, urls: &WebhookUrls, behind_cdn: bool) -> Finding {
    let Some(unsigned) = &urls.unsigned else {
        if behind_cdn {
            return Finding::fail(
                CHECK,
                "webhooks need the header X-Origin-Verify, which a CDN adds, but PublicUrl is not a CDN's URL: every message is \
                 refused with 403",
                "set PublicUrl to the CDN's URL and enter it at Twilio, or remove originVerify from the secret with the auth token",
            );
        }
        return Finding::pass(CHECK, format!("the webhook has one URL: {}", urls.signed));
    };
    let wrong: Vec<_> = facts.webhooks.iter().filter(|webhook| wrong_url(facts, webhook, urls).is_some()).collect();
    if wrong.is_empty() {
        return Finding::pass(CHECK, format!("Twilio uses PublicUrl: {}", urls.signed));
    }
    Finding::fail(
        CHECK,
        format!(
            "Twilio calls {unsigned} for {}, but signatures are verified against {}: every message is refused with 403",
            listed(wrong.iter().map(|webhook| webhook.subject.as_str())),
            urls.signed
        ),
        format!(
            "set the webhook to {}, or run the checklist with {{\"apply\": [\"webhooks\"]}}; or deploy with an empty PublicUrl",
            urls.to_enter()
        ),
    )
}

/// The URL field of a webhook, if it holds the URL that no signature is valid for.
pub(crate) fn wrong_url(facts: &SenderFacts, webhook: &WebhookSettings, urls: &WebhookUrls) -> Option<WrongField> {
    let unsigned = urls.unsigned.as_ref()?;
    let is_wrong = !facts.delegates(webhook) && webhook.posts_to(unsigned);
    is_wrong.then(|| WrongField {
        field: webhook.owner.field_names().url,
        expected: urls.to_enter(),
        actual: webhook.redacted_url(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::sender::samples::{API, NUMBER, TO_ENTER, number, of_number, urls};
    use super::super::webhooks;
    use super::*;
    use crate::report::CheckStatus::{Fail, Pass};
    use crate::twilio_api::PhoneNumberResource;
    use shared::twilio::client::Sender;

    #[test]
    fn a_url_that_reaches_us_but_fits_no_signature_fails_this_check_and_not_webhooks() {
        let facts = of_number(PhoneNumberResource { sms_url: Some(API.to_owned()), ..number() });
        let rows = webhooks::evaluate(&facts, &Sender::Number(NUMBER.to_owned()), &urls());
        assert_eq!(rows.iter().map(|row| row.result).collect::<Vec<_>>(), [Pass]);
        let row = evaluate(&facts, &urls(), false);
        assert!(row.result == Fail && row.found.contains("403"), "{row:?}");
        let expected = WrongField { field: "SmsUrl", expected: TO_ENTER.to_owned(), actual: API.to_owned() };
        assert_eq!(wrong_url(&facts, &facts.webhooks[0], &urls()), Some(expected));

        let only_api = WebhookUrls { signed: API.to_owned(), unsigned: None };
        assert_eq!(evaluate(&facts, &only_api, false).result, Pass);
        let row = evaluate(&facts, &only_api, true);
        assert!(row.result == Fail && row.found.contains("X-Origin-Verify"), "{row:?}");
    }
}
