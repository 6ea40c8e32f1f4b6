//! URLs that may carry credentials or personal data.

use reqwest::Url;

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
