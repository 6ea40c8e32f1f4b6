//! Faults over HTTP: list, add, remove.

use crate::faults::{Fault, Faults, NewFault};
use crate::test_api::request::{ApiError, JsonBody};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde_json::{Value, json};

/// `/faults` and `/faults/{id}`.
pub fn router(faults: &Faults) -> Router {
    Router::new()
        .route("/faults", get(list).post(add).delete(clear))
        .route("/faults/{id}", delete(remove))
        .with_state(faults.clone())
}

async fn list(State(faults): State<Faults>) -> Json<Value> {
    Json(json!({"faults": faults.list()}))
}

async fn add(
    State(faults): State<Faults>,
    JsonBody(new): JsonBody<NewFault>,
) -> Result<(StatusCode, Json<Fault>), ApiError> {
    faults.add(new).map(|fault| (StatusCode::CREATED, Json(fault))).map_err(|error| ApiError::request(&error))
}

async fn clear(State(faults): State<Faults>) -> StatusCode {
    faults.clear();
    StatusCode::NO_CONTENT
}

async fn remove(State(faults): State<Faults>, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    let removed = id.parse().is_ok_and(|id| faults.remove(id));
    if removed { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found(&format!("no fault with id {id:?}"))) }
}
