//! Everything that the local system answers, on one port, and only to this machine.

use crate::api::state::AppState;
use crate::api::{admin, events, limits, phones};
use crate::aws::dynamodb::Database;
use crate::aws::json_api::{self, JsonApi};
use crate::aws::{api_gateway, lambda};
use crate::page;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use fake_twilio::resettable::{ConnectionHandle, ResettableListener};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Starts serving on this listener.
pub fn start(listener: TcpListener, state: &AppState, database: Database) -> JoinHandle<()> {
    let app = router(state, database).into_make_service_with_connect_info::<ConnectionHandle>();
    tokio::spawn(async move {
        if let Err(error) = axum::serve(ResettableListener(listener), app).await {
            tracing::error!(%error, "the local server has stopped");
        }
    })
}

fn router(state: &AppState, database: Database) -> Router {
    let AppState { functions, exchanges, faults, secrets, .. } = state.clone();
    let json_api = JsonApi { database, secrets, faults, exchanges: exchanges.clone() };
    Router::new()
        .route("/", get(index))
        .with_state(state.clone())
        .merge(json_api::router(json_api))
        .merge(api_gateway::router(functions.clone(), exchanges.clone()))
        .merge(lambda::router(functions, exchanges))
        .merge(page::router())
        .merge(events::router(state.clone()))
        .merge(phones::router(state.clone()))
        .merge(admin::router(state.clone()))
        .merge(limits::router(state.clone()))
        .merge(state.account.router(fake_twilio::rest::router(&state.twilio)))
        .layer(middleware::from_fn(own_host_only))
}

async fn index(State(state): State<AppState>, headers: HeaderMap) -> Response {
    page::index(&state.base_url, &state.twilio.account(), &headers)
}

/// Answers only under this machine's own names and only to its own pages. A page on the Internet whose name was rebound to
/// 127.0.0.1 can read nothing, and a form on one can do nothing.
async fn own_host_only(request: Request, next: Next) -> Response {
    match foreign(request.headers()) {
        Some((status, reason)) => (status, reason).into_response(),
        None => next.run(request).await,
    }
}

fn foreign(headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if !is_this_machine(text(header::HOST).unwrap_or_default()) {
        return Some((StatusCode::MISDIRECTED_REQUEST, "This address answers only to 127.0.0.1 and localhost.\n"));
    }
    // A browser names the origin of a request that sends something. For one that only fetches, it says how far away the page
    // is. Any page may link to ours.
    let origin = text(header::ORIGIN);
    let foreign_origin =
        origin.is_some_and(|origin| !is_this_machine(origin.split_once("://").map_or("", |(_, authority)| authority)));
    let fetch = |name| text(HeaderName::from_static(name)).unwrap_or_default();
    let cross_site =
        origin.is_none() && fetch("sec-fetch-site") == "cross-site" && fetch("sec-fetch-mode") != "navigate";
    let reason = "This address rejects requests from pages of other hosts.\n";
    (foreign_origin || cross_site).then_some((StatusCode::FORBIDDEN, reason))
}

fn is_this_machine(authority: &str) -> bool {
    let name = authority.rsplit_once(':').map_or(authority, |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { authority }
    });
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}
