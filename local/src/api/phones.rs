//! The phones: fake-twilio's API to read, await and send texts, with the code in each; and removing a phone, from the table too.

use super::otp;
use super::state::{ApiError, AppState};
use crate::aws::dynamodb::empty_table;
use crate::fixtures::TABLE_NAME;
use crate::limit_usage;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use fake_twilio::{Direction, Message, is_e164, test_api};
use serde_json::{Value, json};
use shared::phone::number::PhoneNumber;
use std::collections::HashMap;

/// The routes.
pub fn router(state: AppState) -> Router {
    let messages = test_api::phone_messages(&state.twilio, view);
    Router::new()
        .route("/phones", get(list).delete(forget_all))
        .route("/phones/{number}", delete(forget))
        .with_state(state)
        .merge(messages)
}

/// A message as its phone sees it, with the code in it.
#[must_use]
pub fn view(message: &Message) -> Value {
    let mut view = test_api::view(message);
    let received = message.direction != Direction::Inbound;
    view["code"] = json!(if received { otp::find(&message.body) } else { None });
    view
}

async fn list(State(state): State<AppState>) -> Json<Value> {
    let mut phones: Vec<(String, usize, i64)> = Vec::new();
    let mut indices = HashMap::new();
    for message in state.twilio.messages() {
        let last_at_ms = message.created().as_millisecond();
        let index = *indices.entry(message.phone().to_owned()).or_insert_with(|| {
            phones.push((message.phone().to_owned(), 0, 0));
            phones.len() - 1
        });
        if let Some((_, count, last)) = phones.get_mut(index) {
            (*count, *last) = (*count + 1, last_at_ms);
        }
    }
    let phones = phones.into_iter().map(
        |(number, messages, last_at_ms)| json!({"number": number, "messages": messages, "last_at_ms": last_at_ms}),
    );
    Json(json!({"phones": phones.collect::<Vec<_>>()}))
}

async fn forget(State(state): State<AppState>, Path(number): Path<String>) -> Result<StatusCode, ApiError> {
    let number = e164(number)?;
    // Only a valid phone number has an item in the table.
    if let Ok(phone) = PhoneNumber::parse(&number) {
        limit_usage::forget(&state.table()?, &phone).await.map_err(|error| ApiError::unavailable(&error))?;
    }
    state.twilio.forget(Some(&number));
    Ok(StatusCode::NO_CONTENT)
}

async fn forget_all(State(state): State<AppState>) -> Result<StatusCode, ApiError> {
    empty_table(&state.dynamodb, TABLE_NAME).await.map_err(|error| ApiError::unavailable(&error))?;
    state.faults.clear();
    state.exchanges.clear();
    state.twilio.forget(None);
    Ok(StatusCode::NO_CONTENT)
}

fn e164(number: String) -> Result<String, ApiError> {
    if is_e164(&number) { Ok(number) } else { Err(ApiError::phone_number()) }
}
