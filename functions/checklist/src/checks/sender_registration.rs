//! Do US carriers know who sends? They filter what comes from an unregistered long code (30034), after Twilio has said
//! `queued`: a launch looks well, and nobody gets a code.

use super::webhooks::SenderFacts;
use crate::report::{Check, Finding};
use shared::phone::number::Region;
use shared::twilio::client::Sender;

const CHECK: Check = Check::SenderRegistration;
const REGISTER: &str = "register brand and campaign (A2P 10DLC) in the Twilio Console under Messaging, Regulatory Compliance; \
                        toll-free numbers and short codes have registrations of their own";
/// What toll-free numbers of the North American plan begin with.
const TOLL_FREE: [&str; 7] = ["+1800", "+1833", "+1844", "+1855", "+1866", "+1877", "+1888"];

/// Judges as far as Twilio tells.
#[must_use]
pub fn evaluate(sender: &Sender, facts: &SenderFacts, allowed: &[Region]) -> Finding {
    if !allowed.iter().any(|region| region.to_string() == "US") {
        return Finding::pass(CHECK, "not needed: the US is not among AllowedCountries");
    }
    let Some((service, numbers)) = &facts.service else {
        return match sender {
            Sender::Number(number) if is_toll_free(number) => Finding::unknown(
                CHECK,
                "a toll-free number: whether it is verified is not looked at",
                "see in the Twilio Console that its toll-free verification is approved",
            ),
            _ => Finding::unknown(
                CHECK,
                "for a single number Twilio does not tell",
                format!("{REGISTER}; then send from the campaign's Messaging Service, of which it can be told"),
            ),
        };
    };
    let has_long_code = numbers.iter().any(|n| n.phone_number.starts_with("+1") && !is_toll_free(&n.phone_number));
    match service.us_app_to_person_registered {
        Some(true) => Finding::pass(CHECK, "the Messaging Service has a registered campaign"),
        Some(false) if has_long_code => Finding::fail(
            CHECK,
            "the Messaging Service has long codes and no registered campaign: US carriers filter them (30034)",
            REGISTER,
        ),
        _ => Finding::unknown(
            CHECK,
            "the Messaging Service has no campaign, and no long code that would need one",
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
    fn only_a_messaging_service_can_be_known_to_be_registered() {
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
