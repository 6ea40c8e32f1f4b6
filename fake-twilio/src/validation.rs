//! What Twilio checks before it takes a message over the API.

use crate::account::TwilioAccount;
use crate::errors::{self, RefusalTemplate, TwilioRefusal, ensure};
use crate::limits::MAX_MEDIA;
use crate::parameters::Parameters;
use axum::http::Uri;
use shared::phone::number::PhoneNumber;
use shared::phone::number::is_e164;
use shared::twilio::segments::MAX_BODY;
use shared::twilio::sid::is_sid;
use shared::twilio::url::without_fragment;

const MAX_CALLBACK_URL: usize = 4000;
const MAX_VALIDITY_SECONDS: u32 = 36_000;

/// Parameters with a fixed set of values, and the error for any other value.
const CHOICES: [(&str, [&str; 2], RefusalTemplate); 3] = [
    ("AddressRetention", ["retain", "obfuscate"], errors::ADDRESS_RETENTION),
    ("ContentRetention", ["retain", "discard"], errors::CONTENT_RETENTION),
    ("RiskCheck", ["enable", "disable"], errors::INVALID_PARAMETER),
];

/// Twilio's magic senders that fail: `https://www.twilio.com/docs/iam/test-credentials` `GOOD_SENDER` is the one that
/// works.
const MAGIC_SENDERS: [(&str, RefusalTemplate); 3] = [
    ("+15005550001", errors::FROM_INVALID),
    ("+15005550007", errors::FROM_NOT_OURS),
    ("+15005550008", errors::QUEUE_FULL),
];
pub(crate) const GOOD_SENDER: &str = "+15005550006";

/// Twilio's magic recipients.
const MAGIC_RECIPIENTS: [(&str, RefusalTemplate); 5] = [
    ("+15005550001", errors::TO_INVALID),
    ("+15005550002", errors::UNROUTABLE),
    ("+15005550003", errors::REGION),
    ("+15005550004", errors::OPTED_OUT),
    ("+15005550009", errors::NOT_MOBILE),
];

/// A valid request for a message.
pub(crate) struct MessageRequest<'a> {
    pub(crate) to: String,
    pub(crate) from: Option<&'a str>,
    pub(crate) service: Option<&'a str>,
    pub(crate) body: &'a str,
}

/// Validates a request in the order Twilio does.
pub(crate) fn check<'a>(
    account: &TwilioAccount,
    parameters: &'a Parameters,
) -> Result<MessageRequest<'a>, TwilioRefusal> {
    let to = parameters.get("To").ok_or(errors::TO_MISSING)?;
    let (from, service) = check_sender(account, parameters)?;
    let body = check_content(parameters)?;
    check_options(parameters)?;
    let to = check_recipient(to, from)?;
    Ok(MessageRequest { to, from, service, body })
}

/// The sender and the Messaging Service. With both, the service's sender is fixed.
fn check_sender<'a>(
    account: &TwilioAccount,
    parameters: &'a Parameters,
) -> Result<(Option<&'a str>, Option<&'a str>), TwilioRefusal> {
    let (from, service) = match (parameters.get("From"), parameters.get("MessagingServiceSid")) {
        // Twilio accepts a Messaging Service in From.
        (Some(from), None) if is_sid(from, "MG") => (None, Some(from)),
        (None, None) => return Err(errors::FROM_MISSING.into()),
        given => given,
    };
    if let Some(sid) = service.filter(|sid| !account.messaging_services.iter().any(|ours| ours == sid)) {
        return Err(if is_sid(sid, "MG") { errors::SERVICE_UNKNOWN } else { errors::SERVICE_INVALID }.into());
    }
    check_schedule(parameters, service)?;
    let Some(number) = from else { return Ok((None, service)) };
    if let Some((_, error)) = MAGIC_SENDERS.iter().find(|(magic, _)| *magic == number) {
        return Err(error.about(&[number]));
    }
    ensure(may_be_sender(number), errors::FROM_INVALID.about(&[number]))?;
    ensure(may_send_from(account, number), errors::FROM_NOT_OURS.about(&[number]))?;
    Ok((from, service))
}

/// The fake schedules nothing, and sending at once would be worse than an error. Twilio's pages contradict each other
/// on requests without a Messaging Service: refused, or sent at once. <https://www.twilio.com/docs/api/errors/35118>
/// <https://www.twilio.com/docs/api/errors/35111>
fn check_schedule(parameters: &Parameters, service: Option<&str>) -> Result<(), TwilioRefusal> {
    let (kind, send_at) = (parameters.get("ScheduleType"), parameters.get("SendAt"));
    if kind.is_none() && send_at.is_none() {
        return Ok(());
    }
    ensure(service.is_some(), errors::SCHEDULED_WITHOUT_SERVICE)?;
    ensure(send_at.is_some(), errors::NO_SEND_AT)?;
    Err(errors::NOT_SCHEDULED.into())
}

/// Whether the account may send from this number.
pub(crate) fn may_send_from(account: &TwilioAccount, number: &str) -> bool {
    number == GOOD_SENDER || account.numbers.iter().any(|ours| ours == number)
}

/// Validates the text and the media.
fn check_content(parameters: &Parameters) -> Result<&str, TwilioRefusal> {
    let body = parameters.get("Body").unwrap_or_default();
    let num_media = parameters.all("MediaUrl").count();
    // The account has no Content Templates, so every SID is unknown.
    ensure(parameters.get("ContentSid").is_none(), errors::CONTENT_INVALID)?;
    ensure(!body.is_empty() || num_media > 0, errors::BODY_MISSING)?;
    ensure(!is_too_long(body), errors::BODY_TOO_LONG)?;
    ensure(num_media <= MAX_MEDIA, errors::TOO_MANY_MEDIA)?;
    if let Some(url) = parameters.all("MediaUrl").find(|url| !is_url(url)) {
        return Err(errors::MEDIA_URL.about(&[url]));
    }
    Ok(body)
}

/// Characters outside the Basic Multilingual Plane count twice.
pub(crate) fn is_too_long(body: &str) -> bool {
    body.encode_utf16().count() > MAX_BODY
}

fn check_options(parameters: &Parameters) -> Result<(), TwilioRefusal> {
    let is_validity = |text: &str| text.parse().is_ok_and(|seconds| (1..=MAX_VALIDITY_SECONDS).contains(&seconds));
    ensure(parameters.get("ValidityPeriod").is_none_or(is_validity), errors::VALIDITY_PERIOD)?;
    if let Some(url) = parameters.get("StatusCallback") {
        ensure(is_url(url), errors::STATUS_CALLBACK.about(&[url]))?;
    }
    CHOICES.iter().try_for_each(|(name, words, error)| {
        ensure(parameters.get(name).is_none_or(|word| words.contains(&word)), error.about(&[name]))
    })
}

/// The recipient, without the national prefix that it may have been written with.
fn check_recipient(to: &str, from: Option<&str>) -> Result<String, TwilioRefusal> {
    if let Some((_, error)) = MAGIC_RECIPIENTS.iter().find(|(magic, _)| *magic == to) {
        return Err(error.about(&[&masked(to), from.unwrap_or_default()]));
    }
    let number = existing(to).ok_or_else(|| errors::TO_INVALID.about(&[&masked(to)]))?;
    ensure(from != Some(&number), errors::TO_IS_FROM)?;
    Ok(number)
}

/// The number in E.164, if a phone could have it. What Tollgate refuses as a number is none here either.
pub(crate) fn existing(number: &str) -> Option<String> {
    let parsed = is_e164(number).then(|| PhoneNumber::parse(number).ok()).flatten();
    parsed.map(|number| number.as_str().to_owned())
}

/// Whether it could be a sender: a number, a short code or an alphanumeric sender ID.
fn may_be_sender(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let is_number = (3..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = text.len() <= 11
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" +-_&".contains(&byte));
    is_number || is_name
}

/// Whether Twilio would accept a URL to call: HTTP, and a host that has a domain and no underscore. Twilio refuses
/// `localhost`, which it can't reach; here it and `[::1]` count as domains, since only this machine is called. A
/// fragment holds Twilio's connection overrides, and may hold anything.
pub(crate) fn is_url(url: &str) -> bool {
    url.len() <= MAX_CALLBACK_URL
        && without_fragment(url).parse::<Uri>().is_ok_and(|uri| {
            let is_reachable = |host: &str| matches!(host, "localhost" | "[::1]") || host.contains('.');
            ["http", "https"].map(Some).contains(&uri.scheme_str())
                && uri.host().is_some_and(|host| is_reachable(host) && !host.contains('_'))
        })
}

/// A recipient as Twilio's errors show it: without its last four characters.
pub(crate) fn masked(number: &str) -> String {
    let shown = number.chars().count().saturating_sub(4);
    number.chars().take(shown).chain("XXXX".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_exists_here_if_it_exists_for_tollgate() {
        let magic = (0..10).map(|last| format!("+1500555000{last}"));
        let others = [
            "+14155550123",
            "+16245552345",
            "+14365552345",
            "+4915410392083",
            "+593932769102",
            "+5215512345678",
            "+5491123456789",
            "+881612345678",
            "+10000000",
            "+19995550123",
            "+4402079460123",
            "+999123456789",
        ];
        for number in magic.chain(others.map(str::to_owned)) {
            let expected = PhoneNumber::parse(&number).ok().map(|parsed| parsed.as_str().to_owned());
            assert_eq!(existing(&number), expected, "{number}");
            assert!(expected.is_some() || !number.starts_with("+1500"), "the magic numbers exist");
        }
        assert_eq!(existing("+4402079460123").as_deref(), Some("+442079460123"), "one number, however it is written");
        assert_eq!(existing("+1 415 555 0123"), None, "Twilio takes E.164");
    }

    #[test]
    fn a_recipient_is_masked_whatever_it_is() {
        for (number, expected) in [("+14155550123", "+1415555XXXX"), ("12", "XXXX"), ("", "XXXX"), ("ééééé", "éXXXX")]
        {
            assert_eq!(masked(number), expected);
        }
    }
}
