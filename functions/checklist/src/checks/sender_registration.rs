//! Is the sender registered with US carriers? They filter messages from unregistered long codes (30034) after Twilio has
//! answered `queued`: sends look successful, but no code arrives.

use super::sender::SenderFacts;
use crate::report::{Check, Finding};
use shared::phone::number::Region;
use shared::twilio::client::Sender;

const CHECK: Check = Check::SenderRegistration;
const REGISTER: &str = "register a brand and a campaign (A2P 10DLC) in the Twilio Console under Messaging, Regulatory Compliance; \
                        toll-free numbers and short codes have their own registrations";
/// The prefixes of toll-free numbers in the North American Numbering Plan.
const TOLL_FREE: [&str; 7] = ["+1800", "+1833", "+1844", "+1855", "+1866", "+1877", "+1888"];

/// Evaluates the registration, as far as Twilio reports it.
#[must_use]
pub fn evaluate(sender: &Sender, facts: &SenderFacts, allowed: &[Region]) -> Finding {
    if !allowed.iter().any(|region| region.to_string() == "US") {
        return Finding::pass(CHECK, "not needed, because AllowedCountries does not include US");
    }
    let Some((service, numbers)) = &facts.service else {
        return match sender {
            Sender::Number(number) if is_toll_free(number) => Finding::unknown(
                CHECK,
                "the checklist does not read whether a toll-free number is verified",
                "check in the Twilio Console that its toll-free verification is approved",
            ),
            _ => Finding::unknown(
                CHECK,
                "Twilio does not report the registration of a single number",
                format!(
                    "{REGISTER}; then set TwilioFrom to the campaign's Messaging Service, whose registration can be read"
                ),
            ),
        };
    };
    let has_long_code = numbers.iter().any(|n| n.phone_number.starts_with("+1") && !is_toll_free(&n.phone_number));
    match service.us_app_to_person_registered {
        Some(true) => Finding::pass(CHECK, "the Messaging Service has a registered campaign"),
        Some(false) if has_long_code => Finding::fail(
            CHECK,
            "the Messaging Service has long codes but no registered campaign, so US carriers filter its messages (30034)",
            REGISTER,
        ),
        _ => Finding::unknown(
            CHECK,
            "the Messaging Service has no campaign, and no long code that requires one",
            REGISTER,
        ),
    }
}

fn is_toll_free(number: &str) -> bool {
    TOLL_FREE.iter().any(|start| number.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::CheckStatus::{Fail, Pass, Unknown};
    use crate::twilio_api::{MessagingService, ServiceNumber};

    #[test]
    fn only_a_messaging_service_can_be_seen_to_be_registered() {
        let number = |number: &str| Sender::Number(number.to_owned());
        let service = |registered, members: &[&str]| {
            let service = MessagingService {
                sid: "MG1".to_owned(),
                inbound_request_url: None,
                inbound_method: None,
                fallback_url: None,
                status_callback: None,
                use_inbound_webhook_on_number: false,
                us_app_to_person_registered: registered,
            };
            let member = |number: &&str| ServiceNumber { sid: "PN1".to_owned(), phone_number: (*number).to_owned() };
            SenderFacts { webhooks: vec![], service: Some((service, members.iter().map(member).collect())) }
        };
        let single = || SenderFacts { webhooks: vec![], service: None };
        let pool = Sender::MessagingService("MG1".to_owned());
        for (sender, facts, allowed, expected) in [
            (number("+14155550100"), single(), "US", Unknown),
            (number("+18005550100"), single(), "US", Unknown),
            (number("+442071838750"), single(), "GB", Pass),
            (pool.clone(), service(Some(true), &["+14155550100"]), "US", Pass),
            (pool.clone(), service(Some(false), &["+14155550100"]), "US", Fail),
            (pool.clone(), service(Some(false), &["+18005550100"]), "US", Unknown),
            (pool.clone(), service(None, &[]), "US", Unknown),
            (pool, service(Some(false), &["+14155550100"]), "GB", Pass),
        ] {
            let row = evaluate(&sender, &facts, &[allowed.parse().unwrap()]);
            assert_eq!(row.result, expected, "{sender:?} {facts:?}");
        }
    }
}
