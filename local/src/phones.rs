//! The phones, for scripts: read what came, wait for what comes, text the service, forget.

use crate::codes;
use crate::desk::{Desk, JsonBody, Wrong};
use crate::gate;
use crate::system::OUR_NUMBER;
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
use tokio::sync::broadcast::error::RecvError;

/// The longest wait for a message.
const MAX_WAIT: Duration = Duration::from_mins(1);
/// Attachments of 5 MB together, as Twilio takes them, in base64.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// The routes.
pub fn router(desk: Desk) -> Router {
    Router::new()
        .route("/phones", get(list).delete(forget_all))
        .route("/phones/{number}", delete(forget))
        .route("/phones/{number}/messages", get(messages).post(text))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(desk)
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
        "code": if received { codes::find(&message.body) } else { None },
    })
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

/// Which messages of a phone are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    after: Option<String>,
    wait: Option<String>,
    direction: Option<String>,
}

enum After {
    Start,
    Message(String),
    Time(Timestamp),
}

async fn messages(
    State(desk): State<Desk>,
    Path(number): Path<String>,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, Wrong> {
    let number = e164(number)?;
    let Query(asked) =
        asked.map_err(|error| Wrong::request(&format!("{error}; there are after, wait and direction")))?;
    let wait = asked.wait.as_deref().map_or(Ok(Duration::ZERO), duration)?;
    let wanted: fn(&Message) -> bool = match asked.direction.as_deref() {
        // What is under way, or was lost, is not on the phone.
        None | Some("received") => {
            |message| message.direction != Direction::Inbound && message.status == DeliveryState::Delivered
        }
        Some("sent") => |message| message.direction == Direction::Inbound,
        Some("all") => |_| true,
        Some(other) => return Err(Wrong::request(&format!("direction is received, sent or all, not {other:?}"))),
    };
    let after = match asked.after {
        None => After::Start,
        Some(after) => match after.parse() {
            Ok(time) => After::Time(time),
            Err(_) if desk.twilio.message(&after).is_some_and(|message| message.phone() == number) => {
                After::Message(after)
            }
            Err(_) => {
                let reason = "after must be the sid of a message of this phone, or a time such as 2026-01-31T12:00:00Z";
                return Err(Wrong::request(&format!("{reason}, not {after:?}")));
            }
        },
    };
    // Listens first, so that nothing comes unheard between looking and listening.
    let mut heard = desk.feed.subscribe();
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        let found = found(&desk, &number, &after, wanted);
        if !found.is_empty() || wait.is_zero() {
            return Ok(Json(json!({"messages": found})));
        }
        let news = async {
            loop {
                match heard.recv().await {
                    Ok(Event::Message(message)) if message.phone() == number => return true,
                    Err(RecvError::Lagged(_)) => return true,
                    Err(RecvError::Closed) => return false,
                    Ok(_) => {}
                }
            }
        };
        if !tokio::time::timeout_at(deadline, news).await.unwrap_or(false) {
            return Ok(Json(json!({"messages": []})));
        }
    }
}

fn found(desk: &Desk, number: &str, after: &After, wanted: fn(&Message) -> bool) -> Vec<Value> {
    let messages = desk.twilio.messages_of(number);
    let start = match after {
        After::Start => 0,
        After::Message(sid) => messages.iter().position(|message| message.sid == *sid).map_or(0, |place| place + 1),
        After::Time(time) => messages.partition_point(|message| message.created() <= *time),
    };
    messages.iter().skip(start).filter(|message| wanted(message)).map(view).collect()
}

/// What a phone texts.
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
    State(desk): State<Desk>,
    Path(number): Path<String>,
    JsonBody(text): JsonBody<Text>,
) -> Result<(StatusCode, Json<Value>), Wrong> {
    let number = e164(number)?;
    let to = text.to.map_or_else(|| Ok(OUR_NUMBER.to_owned()), e164)?;
    let media = text.media.iter().map(|url| attachment(url)).collect::<Result<_, _>>()?;
    let texted = desk.twilio.text(&number, &to, &text.body, media).await.map_err(|error| Wrong::request(&error))?;
    let answer = json!({
        "message": view(&texted.message),
        "webhook": texted.webhook,
        "replies": texted.replies.iter().map(view).collect::<Vec<_>>(),
    });
    Ok((StatusCode::CREATED, Json(answer)))
}

/// `data:image/png;base64,…`. What it is is told by the bytes, not by the name.
fn attachment(url: &str) -> Result<Attachment, Wrong> {
    let wrong = || Wrong::request("an attachment in media must be a data URL in base64: data:image/png;base64,…");
    let (kind, data) = url.strip_prefix("data:").and_then(|url| url.split_once(',')).ok_or_else(wrong)?;
    if !kind.ends_with(";base64") {
        return Err(wrong());
    }
    BASE64.decode(data).map(|content| Attachment { content }).map_err(|_| wrong())
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
    if is_e164(&number) {
        return Ok(number);
    }
    Err(Wrong::request(&format!(
        "a phone number must be in E.164, such as +14155550123 (in a path also %2B14155550123), not {number:?}"
    )))
}

/// `10s`, `500ms` or `1m`.
fn duration(text: &str) -> Result<Duration, Wrong> {
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
    wait.ok_or_else(|| Wrong::request(&format!("wait must be a time such as 500ms or 10s, at most 60s, not {text:?}")))
}
