//! Points webhooks at this stack. A repair sets the wrong fields of a webhook in one call, and no other field.

use super::{REPAIR_AGAIN, RUN_AGAIN, RepairDeadlines, RepairOutcome};
use crate::checks::public_url;
use crate::checks::sender::{SenderFacts, WebhookOwner};
use crate::checks::webhooks::{WrongField, problems};
use crate::report::{Check, Finding};
use crate::settings::WebhookUrls;
use crate::twilio_api::{Session, TwilioError};
use reqwest::Method;
use serde_json::Value;
use shared::twilio::client::Sender;
use tokio::time::timeout_at;

const CHECK: Check = Check::Webhooks;
const BY_HAND: &str = "set the webhook by hand in the Twilio Console";

/// The fields to set on one webhook.
struct WebhookFix {
    subject: String,
    owner: WebhookOwner,
    fields: Vec<WrongField>,
}

/// Sets every wrong field, and reads the sender again if anything was set.
pub async fn repair(
    session: &Session<'_>,
    found: SenderFacts,
    sender: &Sender,
    urls: &WebhookUrls,
    deadlines: RepairDeadlines,
) -> RepairOutcome<SenderFacts> {
    let mut attempts = Vec::new();
    for fix in fixes(&found, urls) {
        let answer = deadlines.change(fix.apply(session)).await;
        attempts.push((fix, answer));
    }
    let now = if attempts.iter().any(|(_, answer)| answer.is_some()) {
        timeout_at(deadlines.answer, SenderFacts::read(session, sender)).await.ok().and_then(Result::ok)
    } else {
        None
    };
    let change = |(fix, answer): &(WebhookFix, Option<Result<(), TwilioError>>)| match answer {
        Some(answer) => fix.evaluate(answer.as_ref().copied(), now.as_ref(), urls),
        None => fix.not_started(),
    };
    RepairOutcome { changes: attempts.iter().map(change).collect(), facts: now.unwrap_or(found) }
}

/// The fixes that the checks `webhooks` and `public_url` call for.
fn fixes(facts: &SenderFacts, urls: &WebhookUrls) -> Vec<WebhookFix> {
    let fix = |webhook| {
        let problems = problems(facts, webhook, urls).into_iter().filter_map(|problem| problem.wrong_field);
        let fields: Vec<_> = problems.chain(public_url::wrong_url(facts, webhook, urls)).collect();
        WebhookFix { subject: webhook.subject.clone(), owner: webhook.owner.clone(), fields }
    };
    facts.webhooks.iter().map(fix).filter(|fix| !fix.fields.is_empty()).collect()
}

impl WebhookFix {
    async fn apply(&self, session: &Session<'_>) -> Result<(), TwilioError> {
        let url = match &self.owner {
            WebhookOwner::Number(sid) => session.number_url(sid),
            WebhookOwner::Service(sid) => session.service_url(sid),
        };
        let form: Vec<_> = self.fields.iter().map(|wrong| (wrong.field, wrong.expected.as_str())).collect();
        session.submit::<Value>(Method::POST, &url, &form).await.map(|_| ())
    }

    /// Compares what Twilio answered with what it shows now.
    fn evaluate(&self, answer: Result<(), &TwilioError>, now: Option<&SenderFacts>, urls: &WebhookUrls) -> Finding {
        let (names, previous) = (self.field_names(), self.previous_values());
        let finding = match (answer, now.map(|now| self.is_done(now, urls))) {
            (Ok(()), Some(true)) => Finding::pass(CHECK, format!("{names} set; {previous}")),
            (Err(error), Some(true)) => {
                let found =
                    format!("{names} set: Twilio shows the new value, but its answer was lost ({error}); {previous}");
                Finding::pass(CHECK, found)
            }
            (Ok(()), None) => Finding::unknown(CHECK, format!("{names} set, but not confirmed; {previous}"), RUN_AGAIN),
            (Err(error), None) if error.may_have_taken_effect() => {
                Finding::unknown(CHECK, format!("{names} may have been set ({error}); {previous}"), RUN_AGAIN)
            }
            (Err(error), _) => Finding::fail(CHECK, format!("{names} not set ({error}); {previous}"), BY_HAND),
            (Ok(()), Some(false)) => {
                Finding::fail(CHECK, format!("{names} set, but Twilio still shows a wrong value; {previous}"), BY_HAND)
            }
        };
        finding.of(&self.subject)
    }

    fn not_started(&self) -> Finding {
        let found = format!("{} not set, because there was no time left", self.field_names());
        Finding::unknown(CHECK, found, REPAIR_AGAIN).of(&self.subject)
    }

    /// Whether none of these fields is wrong any more.
    fn is_done(&self, now: &SenderFacts, urls: &WebhookUrls) -> bool {
        let is_ours = |wrong: &WrongField| self.fields.iter().any(|set| set.field == wrong.field);
        let left = |fix: &WebhookFix| fix.subject == self.subject && fix.fields.iter().any(is_ours);
        now.webhooks.iter().any(|webhook| webhook.subject == self.subject) && !fixes(now, urls).iter().any(left)
    }

    fn field_names(&self) -> String {
        self.fields.iter().map(|wrong| wrong.field).collect::<Vec<_>>().join(", ")
    }

    /// The values before the repair, so that the operator can restore them.
    fn previous_values(&self) -> String {
        let value = |wrong: &WrongField| {
            let actual = if wrong.actual.is_empty() { "empty" } else { &wrong.actual };
            format!("{} was {actual}", wrong.field)
        };
        self.fields.iter().map(value).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::sender::samples::{API, NUMBER, OURS, TO_ENTER, number, of_number, urls};
    use crate::report::CheckStatus::{Fail, Pass, Unknown};
    use crate::twilio_api::PhoneNumberResource;

    #[test]
    fn a_repair_sets_the_wrong_fields_and_no_others() {
        let plain = || Some("http://other.example/?token=1".to_owned());
        for (number, expected) in [
            (number(), vec![]),
            (PhoneNumberResource { status_callback: plain(), ..number() }, vec![]),
            (PhoneNumberResource { sms_method: Some("GET".to_owned()), ..number() }, vec![("SmsMethod", "POST")]),
            (PhoneNumberResource { sms_url: Some(API.to_owned()), ..number() }, vec![("SmsUrl", TO_ENTER)]),
            (PhoneNumberResource { sms_url: Some(OURS.to_owned()), ..number() }, vec![("SmsUrl", TO_ENTER)]),
            (
                PhoneNumberResource { sms_url: None, sms_fallback_url: plain(), ..number() },
                vec![("SmsUrl", TO_ENTER), ("SmsFallbackUrl", "")],
            ),
        ] {
            let fixes = fixes(&of_number(number.clone()), &urls());
            let fields: Vec<_> = fixes.iter().flat_map(|fix| &fix.fields).collect();
            let fields: Vec<_> = fields.iter().map(|wrong| (wrong.field, wrong.expected.as_str())).collect();
            assert_eq!(fields, expected, "{number:?}");
        }
    }

    #[test]
    fn a_repair_passes_only_if_twilio_shows_it_and_names_the_previous_value() {
        let old = "https://old.example/in?token=secret";
        let before = of_number(PhoneNumberResource { sms_url: Some(old.to_owned()), sms_method: None, ..number() });
        let fix = fixes(&before, &urls()).remove(0);
        // A field that the repair did not set does not fail it.
        let right =
            of_number(PhoneNumberResource { status_callback: Some("http://other.example".to_owned()), ..number() });
        let (refused, lost) = (TwilioError::NotFound, TwilioError::timed_out());
        for (answer, now, expected) in [
            (Ok(()), Some(&right), Pass),
            (Ok(()), Some(&before), Fail),
            (Ok(()), None, Unknown),
            (Err(&lost), Some(&right), Pass),
            (Err(&lost), Some(&before), Fail),
            (Err(&lost), None, Unknown),
            (Err(&refused), None, Fail),
        ] {
            let row = fix.evaluate(answer, now, &urls());
            assert_eq!((row.result, row.subject.as_deref()), (expected, Some(NUMBER)), "{row:?}");
            assert!(
                row.found.contains("SmsUrl was https://old.example/in") && !row.found.contains("secret"),
                "{row:?}"
            );
        }
        assert_eq!(fix.not_started().result, Unknown);
    }
}
