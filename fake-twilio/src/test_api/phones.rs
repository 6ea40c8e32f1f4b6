//! The messages of a phone: read them, wait for the next, send a text.

use crate::exchanges::Event;
use crate::media::Attachment;
use crate::message::{DeliveryState, Direction, Message};
use crate::test_api::request::{ApiError, JsonBody};
use crate::twilio::FakeTwilio;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::phone::number::is_e164;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

/// The longest wait for a message.
const MAX_WAIT: Duration = Duration::from_mins(1);
/// Attachments of 5 MB in total, Twilio's limit, in base64.
const MAX_REQUEST_BYTES: usize = 8 * 1024 * 1024;

/// How a message is shown; see [`view`].
type View = Arc<dyn Fn(&Message) -> Value + Send + Sync>;

#[derive(Clone)]
struct PhoneApi {
    twilio: FakeTwilio,
    view: View,
}

/// `/phones/{number}/messages`, with messages shown as `view` shows them: [`view`], or one that adds fields to it.
pub fn router(twilio: &FakeTwilio, view: impl Fn(&Message) -> Value + Send + Sync + 'static) -> Router {
    Router::new()
        .route("/phones/{number}/messages", get(messages).post(send))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(PhoneApi { twilio: twilio.clone(), view: Arc::new(view) })
}

/// A message from the phone's point of view.
#[must_use]
pub fn view(message: &Message) -> Value {
    let at = message.created();
    let received = message.direction != Direction::Inbound;
    let path = message.path();
    let media = message.media.iter().map(|media| {
        json!({
            "url": media.content.as_ref().map(|_| media.path(&path)),
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
        "body": message.text(),
        "at": at.to_string(),
        "at_ms": at.as_millisecond(),
        "status": message.status.as_str(),
        "error_code": message.error_code,
        "segments": message.num_segments(),
        "media": media.collect::<Vec<_>>(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MessagesQuery {
    after: Option<String>,
    wait: Option<String>,
    direction: Option<String>,
}

/// Where a list of messages begins.
enum After {
    Start,
    Message(String),
    Time(Timestamp),
}

async fn messages(
    State(api): State<PhoneApi>,
    Path(number): Path<String>,
    query: Result<Query<MessagesQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let number = e164(number)?;
    let unknown = |error| ApiError::request(&format!("{error}; the parameters are after, wait and direction"));
    let Query(query) = query.map_err(unknown)?;
    let wait = query.wait.as_deref().map_or(Ok(Duration::ZERO), duration)?;
    let matches = matching(query.direction.as_deref())?;
    let after = starting_point(&api.twilio, &number, query.after)?;
    // Subscribe before looking, so that no message is missed in between.
    let mut events = api.twilio.exchanges().subscribe();
    let deadline = Instant::now() + wait;
    loop {
        let found = found(&api, &number, &after, matches);
        if !found.is_empty() || wait.is_zero() {
            return Ok(Json(json!({"messages": found})));
        }
        if !tokio::time::timeout_at(deadline, has_changed(&mut events, &number)).await.unwrap_or(false) {
            return Ok(Json(json!({"messages": []})));
        }
    }
}

fn matching(direction: Option<&str>) -> Result<fn(&Message) -> bool, ApiError> {
    match direction {
        // A message that is under way or undelivered is not on the phone.
        None | Some("received") => {
            Ok(|message| message.direction != Direction::Inbound && message.status == DeliveryState::Delivered)
        }
        Some("sent") => Ok(|message| message.direction == Direction::Inbound),
        Some("all") => Ok(|_| true),
        Some(other) => Err(ApiError::request(&format!("direction is received, sent or all, not {other:?}"))),
    }
}

fn starting_point(twilio: &FakeTwilio, number: &str, after: Option<String>) -> Result<After, ApiError> {
    let Some(after) = after else { return Ok(After::Start) };
    if let Ok(time) = after.parse() {
        return Ok(After::Time(time));
    }
    if twilio.message(&after).is_some_and(|message| message.phone() == number) {
        return Ok(After::Message(after));
    }
    let reason = "after must be the sid of a message of this phone, or a time such as 2026-01-31T12:00:00Z";
    Err(ApiError::request(&format!("{reason}, not {after:?}")))
}

/// Waits until a message of this phone changes. False when there will be no more changes.
async fn has_changed(events: &mut Receiver<Event>, number: &str) -> bool {
    loop {
        match events.recv().await {
            Ok(Event::Message(message)) if message.phone() == number => return true,
            Err(RecvError::Lagged(_)) => return true,
            Err(RecvError::Closed) => return false,
            Ok(_) => {}
        }
    }
}

fn found(api: &PhoneApi, number: &str, after: &After, matches: fn(&Message) -> bool) -> Vec<Value> {
    let messages = api.twilio.messages_of(number);
    let start = match after {
        After::Start => 0,
        After::Message(sid) => messages.iter().position(|message| message.sid == *sid).map_or(0, |index| index + 1),
        After::Time(time) => messages.partition_point(|message| message.created() <= *time),
    };
    messages.iter().skip(start).filter(|message| matches(message)).map(|message| (api.view)(message)).collect()
}

/// A text from a phone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewText {
    #[serde(default)]
    body: String,
    #[serde(default)]
    media: Vec<String>,
    to: Option<String>,
}

/// Sends a text to `to`, or to the account's first number.
async fn send(
    State(api): State<PhoneApi>,
    Path(number): Path<String>,
    JsonBody(text): JsonBody<NewText>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let number = e164(number)?;
    let first = || api.twilio.account().numbers.into_iter().next();
    let to = text.to.or_else(first).ok_or_else(|| ApiError::request("the account has no number to text"))?;
    let media = text.media.iter().map(|url| Attachment::from_data_url(url)).collect::<Option<_>>();
    let media = media.ok_or_else(|| {
        ApiError::request("an attachment in media must be a data URL in base64: data:image/png;base64,…")
    })?;
    let sent = api.twilio.text(&number, &e164(to)?, &text.body, media).await;
    let sent = sent.map_err(|error| ApiError::request(&error))?;
    let answer = json!({
        "message": (api.view)(&sent.message),
        "webhook": sent.webhook,
        "replies": sent.replies.iter().map(|reply| (api.view)(reply)).collect::<Vec<_>>(),
    });
    Ok((StatusCode::CREATED, Json(answer)))
}

fn e164(number: String) -> Result<String, ApiError> {
    if is_e164(&number) { Ok(number) } else { Err(ApiError::phone_number()) }
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
    wait.ok_or_else(|| ApiError::request("wait must be a time such as 500ms or 10s, at most 60s"))
}
