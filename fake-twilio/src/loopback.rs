//! What is on this machine.

use reqwest::Url;

/// Whether a URL leads to this machine, in plain HTTP.
pub(crate) fn is_here(url: &str) -> bool {
    Url::parse(url)
        .is_ok_and(|url| url.scheme() == "http" && matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_to_a_loopback_address_is_here() {
        for (url, expected) in [
            ("http://127.0.0.1:8080/status", true),
            ("http://localhost/status?a=b#rc=2", true),
            ("http://[::1]:1/", true),
            ("http://LOCALHOST:80", true),
            ("https://127.0.0.1/", false),
            ("http://127.0.0.1@example.com/", false),
            ("http://127.0.0.1.example.com/", false),
            ("http://localhost.example.com/", false),
            ("http://example.com/?http://localhost/", false),
            ("http://192.168.0.1/", false),
            ("http://[::ffff:127.0.0.1]/", false),
            ("ftp://127.0.0.1/", false),
            ("//127.0.0.1/", false),
            ("nonsense", false),
        ] {
            assert_eq!(is_here(url), expected, "{url}");
        }
    }
}
