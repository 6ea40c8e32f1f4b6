//! The phones, for scripts: fake-twilio's API to read, wait for and send texts; and to forget them here, in the table too.

use crate::codes;
use crate::desk::{Desk, Wrong};
use crate::gate;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use fake_twilio::{Direction, Message, is_e164};
use serde_json::{Value, json};
use shared::phone::number::PhoneNumber;
use std::collections::HashMap;

/// The routes.
pub fn router(desk: Desk) -> Router {
    let messages = fake_twilio::test_api::phone_messages(&desk.twilio, view);
    Router::new()
        .route("/phones", get(list).delete(forget_all))
        .route("/phones/{number}", delete(forget))
        .with_state(desk)
        .merge(messages)
}

/// A message as its phone sees it, with the verification code in it.
#[must_use]
pub fn view(message: &Message) -> Value {
    let mut view = fake_twilio::test_api::view(message);
    view["code"] =
        if message.direction == Direction::Inbound { Value::Null } else { json!(codes::find(&message.body)) };
    view
}

async fn list(State(desk): State<Desk>) -> Json<Value> {
    let mut phones: Vec<(String, usize, i64)> = Vec::new();
    let mut places = HashMap::new();
    for message in desk.twilio.messages() {
        let last_at_ms = message.created().as_millisecond();
        let place = *places.entry(message.phone().to_owned()).or_insert_with(|| {
            phones.push((message.phone().to_owned(), 0, 0));
            phones.len() - 1
        });
        if let Some((_, count, last)) = phones.get_mut(place) {
            (*count, *last) = (*count + 1, last_at_ms);
        }
    }
    let phones = phones.into_iter().map(
        |(number, messages, last_at_ms)| json!({"number": number, "messages": messages, "last_at_ms": last_at_ms}),
    );
    Json(json!({"phones": phones.collect::<Vec<_>>()}))
}

async fn forget(State(desk): State<Desk>, Path(number): Path<String>) -> Result<StatusCode, Wrong> {
    let number = e164(number)?;
    // What is no phone has no item.
    if let Ok(phone) = PhoneNumber::parse(&number) {
        gate::table(&desk)?.forget(&phone).await.map_err(|error| Wrong::unavailable(&error))?;
    }
    desk.twilio.forget(Some(&number));
    Ok(StatusCode::NO_CONTENT)
}

async fn forget_all(State(desk): State<Desk>) -> Result<StatusCode, Wrong> {
    crate::system::empty_table(&desk.dynamodb).await.map_err(|error| Wrong::unavailable(&error))?;
    desk.faults.clear();
    desk.feed.clear();
    desk.twilio.forget(None);
    Ok(StatusCode::NO_CONTENT)
}

fn e164(number: String) -> Result<String, Wrong> {
    if is_e164(&number) { Ok(number) } else { Err(Wrong::phone_number()) }
}
