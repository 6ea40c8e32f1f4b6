//! This machine only: which URLs are called, and which requests are answered.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use reqwest::Url;

/// Whether a URL leads to this machine, in plain HTTP.
#[must_use]
pub fn is_loopback(url: &str) -> bool {
    Url::parse(url)
        .is_ok_and(|url| url.scheme() == "http" && matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")))
}

/// Middleware that answers only requests for 127.0.0.1 and localhost. A page on the internet whose name was rebound to 127.0.0.1
/// gets nothing, and one that sends forms here changes nothing.
pub async fn guard(request: Request, next: Next) -> Response {
    match refused(request.headers()) {
        Some((status, reason)) => (status, reason).into_response(),
        None => next.run(request).await,
    }
}

fn refused(headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if !is_this_machine(text(header::HOST).unwrap_or_default()) {
        return Some((StatusCode::MISDIRECTED_REQUEST, "This address answers only to 127.0.0.1 and localhost.\n"));
    }
    // A browser sends the origin with anything but a simple fetch, and says how far away the page is. Following a link is allowed.
    let origin = text(header::ORIGIN);
    let foreign_origin =
        origin.is_some_and(|origin| !is_this_machine(origin.split_once("://").map_or("", |(_, authority)| authority)));
    let fetch = |name| text(HeaderName::from_static(name)).unwrap_or_default();
    let cross_site =
        origin.is_none() && fetch("sec-fetch-site") == "cross-site" && fetch("sec-fetch-mode") != "navigate";
    let reason = "This address takes no requests from pages of other hosts.\n";
    (foreign_origin || cross_site).then_some((StatusCode::FORBIDDEN, reason))
}

fn is_this_machine(authority: &str) -> bool {
    let name = authority.rsplit_once(':').map_or(authority, |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { authority }
    });
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
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
            assert_eq!(is_loopback(url), expected, "{url}");
        }
    }
}
