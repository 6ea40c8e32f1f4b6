//! Do incoming messages come to us, and over HTTPS all the way?
//!
//! A number, or a Messaging Service, has an address to call, a second one for when that fails, and one for what became of
//! things. Any of them over plain HTTP would show messages to whoever is on the way. What is wrong is named field by field, and
//! a repair sets those fields and no others.

use crate::report::{Check, Finding};
use crate::settings::WebhookUrls;
use crate::twilio_api::{IncomingNumber, MessagingService, ServiceNumber, Session, TwilioError};
use reqwest::Url;
use shared::twilio::client::{Sender, is_https_or_loopback};

/// Where the messages of one number, or of one Messaging Service, go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// The number, or the service's SID.
    pub subject: String,
    /// What it is, and its SID.
    pub resource: WebhookOwner,
    /// The address that messages are posted to.
    url: Option<String>,
    method: Option<String>,
    application: Option<String>,
    fallback: Option<String>,
    status: Option<String>,
}

/// What has a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookOwner {
    /// A number, by its `PN…`.
    Number(String),
    /// A Messaging Service, by its `MG…`.
    Service(String),
}

/// What our messages come from, as Twilio has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderFacts {
    /// The webhooks that decide where messages to it go.
    pub webhooks: Vec<WebhookSettings>,
    /// The service, if it is one, and its numbers.
    pub service: Option<(MessagingService, Vec<ServiceNumber>)>,
}

/// A field that a repair sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongField {
    /// Twilio's name for it.
    pub field: &'static str,
    /// What it is set to.
    pub expected: String,
    /// What it replaces, without what may be secret in it.
    pub actual: String,
}

/// What is wrong with one field, and its repair, unless that is not ours to make.
struct Problem {
    found: String,
    repair: Option<WrongField>,
}

impl SenderFacts {
    /// Asks Twilio.
    ///
    /// # Errors
    /// [`TwilioError`], with what could not be read.
    pub async fn read(session: &Session<'_>, sender: &Sender) -> Result<Self, (&'static str, TwilioError)> {
        let numbers = |error| ("the account's phone numbers", error);
        match sender {
            Sender::Number(number) => {
                let mut found = session.numbers(Some(number)).await.map_err(numbers)?;
                found.retain(|found| found.phone_number == *number);
                Ok(Self { webhooks: found.into_iter().map(WebhookSettings::from).collect(), service: None })
            }
            Sender::MessagingService(sid) => {
                let (service, members) = tokio::join!(session.service(sid), session.service_numbers(sid));
                let service = service.map_err(|error| ("the Messaging Service", error))?;
                let members = members.map_err(|error| ("the Messaging Service's numbers", error))?;
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

    /// A row for each webhook.
    #[must_use]
    pub fn evaluate(&self, sender: &Sender, addresses: &WebhookUrls) -> Vec<Finding> {
        if let (Sender::Number(number), []) = (sender, self.webhooks.as_slice()) {
            let row = Finding::fail(
                Check::Webhooks,
                "this account has no such phone number",
                "set TwilioFrom to a number of the account, or put the credentials of the number's account into the secrets",
            );
            return vec![row.of(number)];
        }
        let mut rows: Vec<_> = self.webhooks.iter().map(|webhook| self.row(webhook, addresses)).collect();
        for member in self.missing_members() {
            let found = "the service has this number, and the account's list does not";
            rows.push(Finding::unknown(Check::Webhooks, found, "look it up in the Twilio Console").of(member));
        }
        rows
    }

    fn row(&self, webhook: &WebhookSettings, addresses: &WebhookUrls) -> Finding {
        let problems = self.problems(webhook, addresses);
        if problems.is_empty() {
            let found = if self.defers(webhook) {
                "its numbers decide".to_owned()
            } else {
                let pool = match self.service {
                    None => " (unless the number is in a Messaging Service, which then decides)",
                    Some(_) => "",
                };
                format!("POST {}{pool}", webhook.url.as_deref().map(shown).unwrap_or_default())
            };
            return Finding::pass(Check::Webhooks, found).of(&webhook.subject);
        }
        let found: Vec<_> = problems.iter().map(|problem| problem.found.as_str()).collect();
        let repairs: Vec<_> = problems.iter().filter_map(|problem| problem.repair.as_ref()).collect();
        let mut advice = Vec::new();
        if !repairs.is_empty() {
            advice.push(format!(
                "set {}, or repair it with {{\"apply\": [\"webhooks\"]}}; if {} reaches us by another name, set PublicUrl",
                show_fields(&repairs),
                shown(&addresses.signed)
            ));
        }
        if repairs.len() < problems.len() {
            advice.push(
                "set StatusCallback to an HTTPS address, or to nothing, by hand: it is of calls, and no repair touches it"
                    .to_owned(),
            );
        }
        let advice = advice.join("; ");
        Finding::fail(Check::Webhooks, found.join("; "), advice).of(&webhook.subject)
    }

    /// Whether signatures are checked against the address that Twilio calls.
    #[must_use]
    pub fn evaluate_public_url(&self, addresses: &WebhookUrls) -> Finding {
        let Some(unsigned) = &addresses.unsigned else {
            return Finding::pass(Check::PublicUrl, format!("there is one address: {}", addresses.signed));
        };
        let calls_hidden = |webhook: &&WebhookSettings| {
            !self.defers(webhook) && webhook.url.as_deref().is_some_and(|url| leads_to(url, unsigned))
        };
        let wrong: Vec<_> = self.webhooks.iter().filter(calls_hidden).map(|webhook| webhook.subject.as_str()).collect();
        if wrong.is_empty() {
            return Finding::pass(Check::PublicUrl, format!("PublicUrl stands for the webhook: {}", addresses.signed));
        }
        Finding::fail(
            Check::PublicUrl,
            format!(
                "Twilio calls {unsigned} for {}, but signatures are checked against {}: every message is refused with 403",
                super::named(wrong.into_iter()),
                addresses.signed
            ),
            "set the webhook to PublicUrl with /sms behind it, or repair it with {\"apply\": [\"webhooks\"]}; or deploy with \
             an empty PublicUrl",
        )
    }

    /// What a repair would set: the webhook, and its fields.
    #[must_use]
    pub fn repairs(&self, addresses: &WebhookUrls) -> Vec<(&WebhookSettings, Vec<WrongField>)> {
        let mut repairs = Vec::new();
        for webhook in &self.webhooks {
            let mut fields: Vec<_> =
                self.problems(webhook, addresses).into_iter().filter_map(|problem| problem.repair).collect();
            let is_hidden = addresses
                .unsigned
                .as_ref()
                .zip(webhook.url.as_ref())
                .is_some_and(|(unsigned, url)| leads_to(url, unsigned));
            if is_hidden && !self.defers(webhook) {
                fields.push(WrongField {
                    field: webhook.resource.fields().0,
                    expected: addresses.signed.clone(),
                    actual: webhook.url.as_deref().map(shown).unwrap_or_default(),
                });
            }
            if !fields.is_empty() {
                repairs.push((webhook, fields));
            }
        }
        repairs
    }

    /// Numbers of the service that decide where messages go and are not in the account's list.
    fn missing_members(&self) -> Vec<&str> {
        let Some((service, members)) = &self.service else { return Vec::new() };
        let is_read = |member: &&ServiceNumber| {
            self.webhooks.iter().any(|webhook| webhook.resource == WebhookOwner::Number(member.sid.clone()))
        };
        let members = members.iter().filter(|member| service.use_inbound_webhook_on_number && !is_read(member));
        members.map(|member| member.phone_number.as_str()).collect()
    }

    /// Whether this is a service that leaves it to its numbers where messages go.
    fn defers(&self, webhook: &WebhookSettings) -> bool {
        matches!(webhook.resource, WebhookOwner::Service(_))
            && self.service.as_ref().is_some_and(|(service, _)| service.use_inbound_webhook_on_number)
    }

    fn problems(&self, webhook: &WebhookSettings, addresses: &WebhookUrls) -> Vec<Problem> {
        let (url_field, method_field, fallback_field) = webhook.resource.fields();
        let mut problems = Vec::new();
        let mut add = |field, actual: &str, found: String, expected: &str| {
            let repair = WrongField { field, expected: expected.to_owned(), actual: actual.to_owned() };
            problems.push(Problem { found, repair: Some(repair) });
        };
        let plain = |url: &&String| !is_https_or_loopback(url);
        if !self.defers(webhook) {
            if let Some(application) = &webhook.application {
                let found = format!("the application {application} replaces its addresses");
                add("SmsApplicationSid", application, found, "");
            }
            match webhook.url.as_deref() {
                None => {
                    let found = "no address is set, so what people text, STOP too, is lost".to_owned();
                    add(url_field, "", found, &addresses.signed);
                }
                Some(url) if !addresses.have(url) => {
                    let url = shown(url);
                    add(url_field, &url, format!("messages go to {url}"), &addresses.signed);
                }
                Some(_) => {}
            }
            if let Some(method) = webhook.method.as_deref().filter(|method| !method.eq_ignore_ascii_case("POST")) {
                add(method_field, method, "it is called by GET, and only POST is answered".to_owned(), "POST");
            }
        }
        if let Some(url) = webhook.fallback.as_ref().filter(plain).map(|url| shown(url)) {
            add(fallback_field, &url, format!("its fallback is not HTTPS: {url}"), "");
        }
        if let Some(url) = webhook.status.as_ref().filter(plain).map(|url| shown(url)) {
            match webhook.resource {
                WebhookOwner::Service(_) => {
                    add("StatusCallback", &url, format!("its status callback is not HTTPS: {url}"), "");
                }
                // Somebody's calls may depend on it.
                WebhookOwner::Number(_) => problems.push(Problem {
                    found: format!("its status callback, of calls, is not HTTPS: {url}"),
                    repair: None,
                }),
            }
        }
        problems
    }

    /// Whether none of these fields is wrong any more.
    fn is_repaired(&self, subject: &str, fields: &[WrongField], addresses: &WebhookUrls) -> bool {
        let is_wrong = |field: &WrongField| fields.iter().any(|repaired| repaired.field == field.field);
        self.webhooks.iter().any(|webhook| webhook.subject == subject)
            && !self
                .repairs(addresses)
                .iter()
                .any(|(webhook, left)| webhook.subject == subject && left.iter().any(is_wrong))
    }
}

/// The outcome of one repair: what Twilio said, what is found now, and what was there before.
#[must_use]
pub fn evaluate_repair(
    subject: &str,
    fields: &[WrongField],
    answer: Result<(), &TwilioError>,
    now: Option<&SenderFacts>,
    addresses: &WebhookUrls,
) -> Finding {
    const BY_HAND: &str = "set the webhook by hand, in the Twilio Console";
    let check = Check::Webhooks;
    let names = names(fields);
    let were = fields.iter().map(WrongField::told).collect::<Vec<_>>().join(", ");
    let is_seen = now.map(|now| now.is_repaired(subject, fields, addresses));
    let row = match (answer, is_seen) {
        (Ok(()), Some(true)) => Finding::pass(check, format!("{names} set; {were}")),
        (Err(error), Some(true)) => {
            Finding::pass(check, format!("{names} set, as Twilio shows, though its answer was lost: {error}; {were}"))
        }
        (Ok(()), None) => {
            Finding::unknown(check, format!("{names} set, but not confirmed; {were}"), "run the checklist again")
        }
        (Err(error), None) if error.may_have_taken_effect() => Finding::unknown(
            check,
            format!("not known whether {names} set: {error}; {were}"),
            "run the checklist again",
        ),
        (Err(error), _) => Finding::fail(check, format!("{names} not set: {error}; {were}"), BY_HAND),
        (Ok(()), Some(false)) => {
            Finding::fail(check, format!("{names} set, and Twilio shows that it is still not right; {were}"), BY_HAND)
        }
    };
    row.of(subject)
}

/// The row of a repair for which there was no time.
#[must_use]
pub fn untried(subject: &str, fields: &[WrongField]) -> Finding {
    let found = format!("{} not set: there was no time left for it", names(fields));
    Finding::unknown(Check::Webhooks, found, "ask for the repair again").of(subject)
}

fn names(fields: &[WrongField]) -> String {
    fields.iter().map(|repair| repair.field).collect::<Vec<_>>().join(", ")
}

impl WrongField {
    /// What was there, so that whoever needs it can put it back.
    fn told(&self) -> String {
        format!("{} was {}", self.field, if self.actual.is_empty() { "empty" } else { &self.actual })
    }
}

impl WebhookSettings {
    /// Sets these fields.
    ///
    /// # Errors
    /// [`TwilioError`]
    pub async fn update(&self, session: &Session<'_>, fields: &[WrongField]) -> Result<(), TwilioError> {
        let fields: Vec<_> = fields.iter().map(|repair| (repair.field, repair.expected.as_str())).collect();
        match &self.resource {
            WebhookOwner::Number(sid) => session.update_number(sid, &fields).await,
            WebhookOwner::Service(sid) => session.update_service(sid, &fields).await,
        }
    }
}

impl WebhookOwner {
    /// The names of the fields of the address, the method and the fallback.
    const fn fields(&self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Number(_) => ("SmsUrl", "SmsMethod", "SmsFallbackUrl"),
            Self::Service(_) => ("InboundRequestUrl", "InboundMethod", "FallbackUrl"),
        }
    }
}

impl WebhookUrls {
    /// Whether this is one of ours.
    fn have(&self, url: &str) -> bool {
        leads_to(url, &self.signed) || self.unsigned.as_ref().is_some_and(|unsigned| leads_to(url, unsigned))
    }
}

impl From<IncomingNumber> for WebhookSettings {
    fn from(number: IncomingNumber) -> Self {
        Self {
            subject: number.phone_number,
            resource: WebhookOwner::Number(number.sid),
            url: filled(number.sms_url),
            method: filled(number.sms_method),
            application: filled(number.sms_application_sid),
            fallback: filled(number.sms_fallback_url),
            status: filled(number.status_callback),
        }
    }
}

impl From<MessagingService> for WebhookSettings {
    fn from(service: MessagingService) -> Self {
        Self {
            subject: service.sid.clone(),
            resource: WebhookOwner::Service(service.sid),
            url: filled(service.inbound_request_url),
            method: filled(service.inbound_method),
            application: None,
            fallback: filled(service.fallback_url),
            status: filled(service.status_callback),
        }
    }
}

/// Twilio answers an empty field as null or as "".
fn filled(field: Option<String>) -> Option<String> {
    field.filter(|text| !text.is_empty())
}

/// Whether a call of the one is a call of the other. A query is signed along, a fragment only tells Twilio how to connect.
fn leads_to(url: &str, address: &str) -> bool {
    let (Ok(url), Ok(address)) = (Url::parse(url), Url::parse(address)) else { return false };
    let has_no_user = url.username().is_empty() && url.password().is_none();
    has_no_user && url.origin() == address.origin() && url.path() == address.path()
}

/// An address without what may be secret in it: user, password, query.
fn shown(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) if url.has_host() => format!("{}{}", url.origin().ascii_serialization(), url.path()),
        _ => "what is no address".to_owned(),
    }
}

fn show_fields(repairs: &[&WrongField]) -> String {
    let show = |repair: &&WrongField| {
        let right = if repair.expected.is_empty() { "nothing" } else { &repair.expected };
        format!("{} to {right}", repair.field)
    };
    repairs.iter().map(show).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::CheckStatus::{self, Fail, Pass, Unknown};

    const NUMBER: &str = "+14155550100";
    const OURS: &str = "https://sms.example.com/sms";
    const API: &str = "https://abc.execute-api.us-east-1.amazonaws.com/sms";

    fn addresses() -> WebhookUrls {
        WebhookUrls { signed: OURS.to_owned(), unsigned: Some(API.to_owned()) }
    }

    fn number() -> IncomingNumber {
        let text = |text: &str| Some(text.to_owned());
        IncomingNumber {
            sid: "PN1".to_owned(),
            phone_number: NUMBER.to_owned(),
            sms_url: text(OURS),
            sms_method: text("POST"),
            sms_fallback_url: text(""),
            sms_application_sid: None,
            status_callback: text(""),
        }
    }

    fn service() -> MessagingService {
        MessagingService {
            sid: "MG1".to_owned(),
            inbound_request_url: Some(OURS.to_owned()),
            inbound_method: Some("POST".to_owned()),
            fallback_url: None,
            status_callback: None,
            use_inbound_webhook_on_number: false,
            us_app_to_person_registered: Some(true),
        }
    }

    fn of_number(number: IncomingNumber) -> SenderFacts {
        SenderFacts { webhooks: vec![number.into()], service: None }
    }

    fn results(rows: &[Finding]) -> Vec<CheckStatus> {
        rows.iter().map(|row| row.result).collect()
    }

    #[test]
    fn each_single_thing_that_is_wrong_with_a_number_fails_and_is_repaired_by_its_field() {
        let sender = Sender::Number(NUMBER.to_owned());
        let url = |url: &str| IncomingNumber { sms_url: Some(url.to_owned()), ..number() };
        let wrong: Vec<(IncomingNumber, &[(&str, &str)])> = vec![
            (number(), &[]),
            (url("https://SMS.example.com:443/sms?a=b#rc=3"), &[]),
            (url("http://sms.example.com/sms"), &[("SmsUrl", OURS)]),
            (url("https://sms.example.com/sms/"), &[("SmsUrl", OURS)]),
            (url("https://sms.example.com.evil.example/sms"), &[("SmsUrl", OURS)]),
            (url("https://user:password@sms.example.com/sms"), &[("SmsUrl", OURS)]),
            (url("https://demo.twilio.com/welcome/sms/reply/"), &[("SmsUrl", OURS)]),
            (url("nonsense"), &[("SmsUrl", OURS)]),
            (url(""), &[("SmsUrl", OURS)]),
            (IncomingNumber { sms_url: None, ..number() }, &[("SmsUrl", OURS)]),
            (IncomingNumber { sms_method: Some("GET".to_owned()), ..number() }, &[("SmsMethod", "POST")]),
            (IncomingNumber { sms_application_sid: Some("AP1".to_owned()), ..number() }, &[("SmsApplicationSid", "")]),
            (
                IncomingNumber { sms_fallback_url: Some("http://sms.example.com/sms".to_owned()), ..number() },
                &[("SmsFallbackUrl", "")],
            ),
            (IncomingNumber { sms_fallback_url: Some("https://other.example/sms".to_owned()), ..number() }, &[]),
        ];
        for (number, repair) in wrong {
            let facts = of_number(number.clone());
            let expected = if repair.is_empty() { Pass } else { Fail };
            assert_eq!(results(&facts.evaluate(&sender, &addresses())), [expected], "{number:?}");
            assert_eq!(facts.evaluate_public_url(&addresses()).result, Pass, "{number:?}");
            let fields: Vec<_> = facts.repairs(&addresses()).into_iter().flat_map(|(_, fields)| fields).collect();
            let fields: Vec<_> = fields.iter().map(|repair| (repair.field, repair.expected.as_str())).collect();
            assert_eq!(fields, repair, "{number:?}");
        }
    }

    #[test]
    fn an_address_that_reaches_us_and_that_no_signature_fits_is_a_matter_of_the_public_url() {
        let facts = of_number(IncomingNumber { sms_url: Some(API.to_owned()), ..number() });
        assert_eq!(results(&facts.evaluate(&Sender::Number(NUMBER.to_owned()), &addresses())), [Pass]);
        let row = facts.evaluate_public_url(&addresses());
        assert!(row.result == Fail && row.found.contains("403"), "{row:?}");
        let repair = WrongField { field: "SmsUrl", expected: OURS.to_owned(), actual: API.to_owned() };
        assert_eq!(facts.repairs(&addresses())[0].1, [repair]);

        let one = WebhookUrls { signed: API.to_owned(), unsigned: None };
        assert_eq!(facts.evaluate_public_url(&one).result, Pass);
    }

    #[test]
    fn a_service_decides_for_its_numbers_unless_it_leaves_it_to_them() {
        let sender = Sender::MessagingService("MG1".to_owned());
        let member = |sid: &str| ServiceNumber { sid: sid.to_owned(), phone_number: NUMBER.to_owned() };
        let wrong_number = || IncomingNumber { sms_url: None, ..number() };
        let deferring =
            || MessagingService { use_inbound_webhook_on_number: true, inbound_request_url: None, ..service() };
        let facts = |service: MessagingService, members: Vec<ServiceNumber>, numbers: Vec<IncomingNumber>| {
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
            (facts(deferring(), vec![member("PN1")], vec![number()]), vec![Pass, Pass]),
            (facts(deferring(), vec![member("PN1")], vec![wrong_number()]), vec![Pass, Fail]),
            (facts(deferring(), vec![member("PN2")], vec![]), vec![Pass, Unknown]),
        ] {
            assert_eq!(results(&facts.evaluate(&sender, &addresses())), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_number_that_is_not_the_accounts_fails() {
        let facts = SenderFacts { webhooks: vec![], service: None };
        assert_eq!(results(&facts.evaluate(&Sender::Number(NUMBER.to_owned()), &addresses())), [Fail]);
    }

    #[test]
    fn what_may_be_secret_in_an_address_is_not_shown() {
        assert_eq!(shown("https://user:password@host.example:8443/sms?token=1#x"), "https://host.example:8443/sms");
        assert_eq!(shown("data:text/plain,secret"), "what is no address");
    }

    #[test]
    fn the_status_callback_of_a_numbers_calls_fails_over_plain_http_and_is_left_alone() {
        let plain = || Some("http://other.example/?token=1".to_owned());
        let facts = of_number(IncomingNumber { status_callback: plain(), ..number() });
        let rows = facts.evaluate(&Sender::Number(NUMBER.to_owned()), &addresses());
        assert!(rows[0].result == Fail && rows[0].found.contains("of calls"), "{rows:?}");
        assert!(rows[0].advice.contains("by hand") && !rows[0].advice.contains("apply"), "{rows:?}");
        assert!(facts.repairs(&addresses()).is_empty());

        // A Messaging Service's is of messages, and a repair takes it away.
        let service = MessagingService { status_callback: plain(), ..service() };
        let facts = SenderFacts { webhooks: vec![service.clone().into()], service: Some((service, vec![])) };
        assert_eq!(facts.repairs(&addresses())[0].1[0].field, "StatusCallback");
    }

    #[test]
    fn a_single_number_passes_with_the_word_that_a_messaging_service_would_decide() {
        let rows = of_number(number()).evaluate(&Sender::Number(NUMBER.to_owned()), &addresses());
        assert!(rows[0].result == Pass && rows[0].found.contains("unless the number is in a Messaging Service"));
    }

    #[test]
    fn a_repair_is_done_only_if_it_can_be_seen_and_says_what_was_there() {
        let old = "https://old.example/in?token=secret";
        let before = of_number(IncomingNumber { sms_url: Some(old.to_owned()), sms_method: None, ..number() });
        let fields = before.repairs(&addresses()).remove(0).1;
        // What nobody set, and is still wrong, is not held against it.
        let right = of_number(IncomingNumber { status_callback: Some("http://other.example".to_owned()), ..number() });
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
            let row = evaluate_repair(NUMBER, &fields, answer, now, &addresses());
            assert_eq!(row.result, expected, "{row:?}");
            assert!(
                row.found.contains("SmsUrl was https://old.example/in") && !row.found.contains("secret"),
                "{row:?}"
            );
        }
        assert_eq!(untried(NUMBER, &fields).result, Unknown);
    }
}
