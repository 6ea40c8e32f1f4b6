//! The page at `/` and its files.

use crate::overview::overview;
use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use fake_twilio::TwilioAccount;

/// Nothing from other hosts and nothing inline, so that a message stays text whatever it contains.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The scripts of the page; `page.js` is the first.
const SCRIPTS: [(&str, &str); 10] = [
    ("/page.js", include_str!("../page/page.js")),
    ("/activity.js", include_str!("../page/activity.js")),
    ("/app.js", include_str!("../page/app.js")),
    ("/failures.js", include_str!("../page/failures.js")),
    ("/gate.js", include_str!("../page/gate.js")),
    ("/limits.js", include_str!("../page/limits.js")),
    ("/phone.js", include_str!("../page/phone.js")),
    ("/phones.js", include_str!("../page/phones.js")),
    ("/scripts.js", include_str!("../page/scripts.js")),
    ("/tools.js", include_str!("../page/tools.js")),
];

/// The routes of the page's files. [`index`] answers `/` itself.
pub fn router() -> Router {
    let style = get(async || asset("text/css; charset=utf-8", include_str!("../page/page.css")));
    SCRIPTS.into_iter().fold(Router::new().route("/page.css", style), |router, (path, script)| {
        router.route(path, get(async move || asset("text/javascript; charset=utf-8", script)))
    })
}

/// The page for browsers, the overview for all other clients.
pub fn index(base_url: &str, account: &TwilioAccount, headers: &HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accepted.contains("text/html") {
        asset("text/html; charset=utf-8", include_str!("../page/index.html"))
    } else {
        overview(base_url, account).into_response()
    }
}

fn asset(content_type: &'static str, content: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // The page may change with the next start.
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    (headers.map(|(name, value)| (name, HeaderValue::from_static(value))), content).into_response()
}
