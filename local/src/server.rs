//! Everything that the local system answers, on one port, and only to this machine.

use crate::api::state::AppState;
use crate::api::{admin, events, limits, phones};
use crate::aws::dynamodb::Database;
use crate::aws::json_api::{self, JsonApi};
use crate::aws::{api_gateway, lambda};
use crate::{page, qr};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::middleware;
use axum::response::Response;
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
        .merge(state.lambda_account.clone().router())
        .merge(page::router())
        .merge(qr::router())
        .merge(events::router(state.clone()))
        .merge(phones::router(state.clone()))
        .merge(admin::router(state.clone()))
        .merge(limits::router(state.clone()))
        .merge(state.account.router(fake_twilio::rest::router(&state.twilio)))
        .layer(middleware::from_fn(fake_twilio::loopback::guard))
}

async fn index(State(state): State<AppState>, headers: HeaderMap) -> Response {
    page::index(&state.base_url, &state.twilio.account(), &headers)
}
