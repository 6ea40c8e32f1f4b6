//! The phones: read or await messages, text the service, remove a phone.

use super::otp;
use super::state::{ApiError, AppState, JsonBody};
use crate::aws::dynamodb::empty_table;
use crate::fixtures::{OUR_NUMBER, TABLE_NAME};
use crate::limit_usage;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{delete, get};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fake_twilio::exchanges::Event;
use fake_twilio::is_e164;
use fake_twilio::{Attachment, DeliveryState, Direction, Message};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::phone::number::PhoneNumber;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// The longest wait for a message.
const MAX_WAIT: Duration = Duration::from_mins(1);
/// Twilio accepts attachments of 5 MB together; this is their size in base64.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// The routes.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/phones", get(list).delete(forget_all))
        .route("/phones/{number}", delete(forget))
        .route("/phones/{number}/messages", get(messages).post(text))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(state)
}

/// A message as its phone sees it.
#[must_use]
pub fn view(message: &Message) -> Value {
    let at = message.created();
    let received = message.direction != Direction::Inbound;
    let media = message.media.iter().map(|media| {
        json!({
            "url": media.content.as_ref().map(|_| media.path(&message.path())),
            "source": media.source,
            "content_type": media.content_type(),
            "bytes": media.content.as_ref().map(axum::body::Bytes::len),
        })
    });
    json!({
        "sid": message.sid,
        "number": message.phone(),
        "direction": if received { "received" } else { "sent" },
        "from": message.from,
        "to": message.to,
        "body": message.body,
        "at": at.to_string(),
        "at_ms": at.as_millisecond(),
        "status": message.status.as_str(),
        "error_code": message.error_code,
        "segments": message.num_segments(),
        "media": media.collect::<Vec<_>>(),
        "code": if received { otp::find(&message.body) } else { None },
    })
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

/// The query of a list of messages.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MessagesQuery {
    after: Option<String>,
    wait: Option<String>,
    direction: Option<String>,
}

enum After {
    Start,
    Message(String),
    Time(Timestamp),
}

impl After {
    /// Reads `?after=`: the sid of a message of this phone, or a time.
    fn parse(text: Option<String>, state: &AppState, number: &str) -> Result<Self, ApiError> {
        let Some(text) = text else { return Ok(Self::Start) };
        if let Ok(time) = text.parse() {
            return Ok(Self::Time(time));
        }
        if state.twilio.message(&text).is_some_and(|message| message.phone() == number) {
            return Ok(Self::Message(text));
        }
        let reason = "after must be the sid of a message of this phone, or a time such as 2026-01-31T12:00:00Z";
        Err(ApiError::bad_request(&format!("{reason}, not {text:?}")))
    }
}

/// Reads `?direction=`.
fn direction(text: Option<&str>) -> Result<fn(&Message) -> bool, ApiError> {
    match text {
        // A message in transit, or one that was not delivered, is not on the phone.
        None | Some("received") => {
            Ok(|message| message.direction != Direction::Inbound && message.status == DeliveryState::Delivered)
        }
        Some("sent") => Ok(|message| message.direction == Direction::Inbound),
        Some("all") => Ok(|_| true),
        Some(other) => Err(ApiError::bad_request(&format!("direction must be received, sent or all, not {other:?}"))),
    }
}

async fn messages(
    State(state): State<AppState>,
    Path(number): Path<String>,
    query: Result<Query<MessagesQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let number = e164(number)?;
    let Query(query) = query
        .map_err(|error| ApiError::bad_request(&format!("{error}; the parameters are after, wait and direction")))?;
    let wait = query.wait.as_deref().map_or(Ok(Duration::ZERO), duration)?;
    let wanted = direction(query.direction.as_deref())?;
    let after = After::parse(query.after, &state, &number)?;
    // Listen before looking, so that no message is missed in between.
    let mut events = state.exchanges.subscribe();
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        let found = found(&state, &number, &after, wanted);
        if !found.is_empty() || wait.is_zero() {
            return Ok(Json(json!({"messages": found})));
        }
        let changed = tokio::time::timeout_at(deadline, message_of(&mut events, &number)).await;
        if !changed.unwrap_or(false) {
            return Ok(Json(json!({"messages": []})));
        }
    }
}

/// Waits until a message of this phone is new or has changed; `false` if there will be no more events.
async fn message_of(events: &mut Receiver<Event>, number: &str) -> bool {
    loop {
        match events.recv().await {
            Ok(Event::Message(message)) if message.phone() == number => return true,
            Err(RecvError::Lagged(_)) => return true,
            Err(RecvError::Closed) => return false,
            Ok(_) => {}
        }
    }
}

fn found(state: &AppState, number: &str, after: &After, wanted: fn(&Message) -> bool) -> Vec<Value> {
    let messages = state.twilio.messages_of(number);
    let start = match after {
        After::Start => 0,
        After::Message(sid) => messages.iter().position(|message| message.sid == *sid).map_or(0, |index| index + 1),
        After::Time(time) => messages.partition_point(|message| message.created() <= *time),
    };
    messages.iter().skip(start).filter(|message| wanted(message)).map(view).collect()
}

/// A text from a phone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    #[serde(default)]
    body: String,
    #[serde(default)]
    media: Vec<String>,
    to: Option<String>,
}

async fn text(
    State(state): State<AppState>,
    Path(number): Path<String>,
    JsonBody(text): JsonBody<Text>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let number = e164(number)?;
    let to = text.to.map_or_else(|| Ok(OUR_NUMBER.to_owned()), e164)?;
    let media = text.media.iter().map(|url| attachment(url)).collect::<Result<_, _>>()?;
    let texted =
        state.twilio.text(&number, &to, &text.body, media).await.map_err(|error| ApiError::bad_request(&error))?;
    let answer = json!({
        "message": view(&texted.message),
        "webhook": texted.webhook,
        "replies": texted.replies.iter().map(view).collect::<Vec<_>>(),
    });
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Reads `data:image/png;base64,…`. The bytes decide the type, not its name.
fn attachment(url: &str) -> Result<Attachment, ApiError> {
    let invalid =
        || ApiError::bad_request("an attachment in media must be a data URL in base64: data:image/png;base64,…");
    let (kind, data) = url.strip_prefix("data:").and_then(|url| url.split_once(',')).ok_or_else(invalid)?;
    if !kind.ends_with(";base64") {
        return Err(invalid());
    }
    BASE64.decode(data).map(|content| Attachment { content }).map_err(|_| invalid())
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
    if is_e164(&number) {
        return Ok(number);
    }
    Err(ApiError::bad_request(&format!(
        "a phone number must be in E.164, such as +14155550123 (in a path also %2B14155550123), not {number:?}"
    )))
}

/// `10s`, `500ms` or `1m`.
fn duration(text: &str) -> Result<Duration, ApiError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit_ms = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        _ => None,
    };
    let ms = unit_ms.and_then(|unit_ms| number.parse::<u64>().ok()?.checked_mul(unit_ms));
    let wait = ms.map(Duration::from_millis).filter(|wait| *wait <= MAX_WAIT);
    wait.ok_or_else(|| {
        ApiError::bad_request(&format!("wait must be a duration such as 500ms or 10s, at most 60s, not {text:?}"))
    })
}
