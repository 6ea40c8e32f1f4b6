//! Twilio's REST API, with the paths of `https://api.twilio.com`.

pub(crate) mod auth;
mod media;
mod messages;
mod numbers;
pub(crate) mod paging;

use crate::errors::{self, TwilioRefusal};
use crate::exchanges::{ExchangeKind, ExchangeOutcome, NewExchange};
use crate::twilio::FakeTwilio;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use serde_json::json;

/// The API, with the paths of `https://api.twilio.com`.
pub fn router(twilio: &FakeTwilio) -> Router {
    Router::new()
        .route("/2010-04-01/Accounts/{account}/Messages.json", get(messages::list).post(messages::create))
        .route(
            "/2010-04-01/Accounts/{account}/Messages/{message}",
            get(messages::fetch).post(messages::update).delete(messages::delete),
        )
        .route("/2010-04-01/Accounts/{account}/Messages/{message}/Media.json", get(media::list))
        .route(
            "/2010-04-01/Accounts/{account}/Messages/{message}/Media/{media}",
            get(media::fetch_one).delete(media::delete),
        )
        .route("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json", get(numbers::list))
        .route(
            "/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{number}",
            get(numbers::fetch).post(numbers::update),
        )
        .method_not_allowed_fallback(async || TwilioRefusal::from(errors::METHOD_NOT_ALLOWED))
        .fallback(async |uri: Uri| errors::NOT_FOUND.about(&[uri.path()]))
        .layer(middleware::from_fn_with_state(twilio.clone(), record_refusals))
        .with_state(twilio.clone())
}

/// Records refused requests. Requests that create a message are recorded by their handler, with their parameters.
async fn record_refusals(State(twilio): State<FakeTwilio>, request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = next.run(request).await;
    let refusal = response.extensions().get::<TwilioRefusal>();
    // Other paths may belong to a router that this one is merged into.
    if let Some(refusal) = refusal.filter(|_| uri.path().starts_with("/2010-04-01/")) {
        let path = uri.path().splitn(5, '/').last().unwrap_or_default();
        twilio.exchanges().record(NewExchange {
            kind: ExchangeKind::Twilio,
            title: &format!("{method} /{path}"),
            summary: refusal.summary(),
            outcome: ExchangeOutcome::of_status(refusal.status),
            number: None,
            request: json!(uri.query()),
            response: refusal.body(),
            fault: None,
        });
    }
    response
}
