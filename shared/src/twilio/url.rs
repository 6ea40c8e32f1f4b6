//! URLs that may carry credentials or personal data, and what Twilio reads at the end of a webhook's URL.

use reqwest::Url;

/// The end of every webhook URL that we hand out: Twilio calls again after any failure, up to three times, within 15 seconds in all. By
/// default it does so only if no connection was made. The fragment is neither signed nor sent.
/// <https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides>
pub const CALL_AGAIN: &str = "#rc=3&rp=all";

/// Whether a URL is HTTPS, or plain HTTP that does not leave the machine.
///
/// ```
/// use shared::twilio::url::is_https_or_loopback;
///
/// assert!(is_https_or_loopback("https://api.twilio.com"));
/// assert!(is_https_or_loopback("http://127.0.0.1:9000"));
/// assert!(!is_https_or_loopback("http://api.twilio.com"));
/// ```
#[must_use]
pub fn is_https_or_loopback(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    url.scheme() == "https"
        || url.scheme() == "http" && matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"))
}

/// A URL as it is signed and sent: without its fragment.
#[must_use]
pub fn without_fragment(url: &str) -> &str {
    url.split_once('#').map_or(url, |(url, _)| url)
}

/// Whether Twilio calls this webhook again after any failure, at least once.
///
/// ```
/// use shared::twilio::url::{CALL_AGAIN, is_called_again};
///
/// assert!(is_called_again(&format!("https://sms.example.com/sms{CALL_AGAIN}")));
/// assert!(is_called_again("https://sms.example.com/sms#rp=5xx,all&rt=4000"));
/// assert!(!is_called_again("https://sms.example.com/sms"));
/// assert!(!is_called_again("https://sms.example.com/sms?rc=3&rp=all"));
/// assert!(!is_called_again("https://sms.example.com/sms#rc=3&rp=5xx"));
/// assert!(!is_called_again("https://sms.example.com/sms#rc=0&rp=all"));
/// ```
#[must_use]
pub fn is_called_again(webhook: &str) -> bool {
    let overrides = webhook.split_once('#').map_or("", |(_, overrides)| overrides);
    let value = |name| overrides.split('&').find_map(|pair| pair.split_once('=').filter(|(own, _)| *own == name));
    // Without a count, Twilio calls again once.
    let count = value("rc").map_or("1", |(_, count)| count);
    let after_any_failure = value("rp").is_some_and(|(_, failures)| failures.split(',').any(|one| one == "all"));
    after_any_failure && matches!(count, "1" | "2" | "3" | "4" | "5")
}
