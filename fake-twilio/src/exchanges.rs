//! What happens, as it happens: requests and their responses, and changes of messages. The latest exchanges are kept
//! for late subscribers, and every event is published to current ones.

use crate::message::Message;
use serde::Serialize;
use serde_json::Value;
use shared::runtime::clock::Clock;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast;

/// How many exchanges are kept.
const REMEMBERED: usize = 200;
/// How many events a subscriber may fall behind before it must reload everything.
const BACKLOG: usize = 1024;

/// The longest request or response shown in full, as JSON.
const SHOWN_BYTES: usize = 16 * 1024;

/// An event.
#[derive(Clone, Debug)]
pub enum Event {
    /// A message was created or has changed.
    Message(Box<Message>),
    /// The messages of this phone were deleted; without a number, all of them.
    Forgotten(Option<String>),
    /// One message was deleted.
    Deleted {
        /// The message's phone.
        number: String,
        /// The message's SID.
        sid: String,
    },
    /// The list of faults has changed.
    Faults,
    /// A request was answered.
    Exchange(Box<Exchange>),
    /// The clock was moved.
    Clock,
    /// A credential was rotated.
    Account,
}

/// Who called whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeKind {
    /// The app invoked a Lambda function.
    Invocation,
    /// Twilio called the webhook for an inbound message.
    Webhook,
    /// Twilio called a status callback.
    StatusCallback,
    /// Twilio's API was called.
    Twilio,
    /// A function called DynamoDB, and a fault intervened.
    Dynamodb,
    /// A fault, the clock or a secret was changed.
    Local,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeOutcome {
    /// Success.
    Ok,
    /// A deliberate refusal.
    Refused,
    /// An error.
    Failed,
}

impl ExchangeOutcome {
    /// The outcome of a response with this HTTP status.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            200..300 => Self::Ok,
            400..500 => Self::Refused,
            _ => Self::Failed,
        }
    }
}

/// A request and its response.
#[derive(Clone, Debug, Serialize)]
pub struct Exchange {
    /// Counts up from 1.
    pub id: u64,
    /// When it ended, in milliseconds since the epoch.
    pub at_ms: u64,
    /// Who called whom. `between` in JSON.
    #[serde(rename = "between")]
    pub kind: ExchangeKind,
    /// What was called: `send-code`, `POST /sms`, `POST /Messages.json`.
    pub title: String,
    /// The result in a few words: `refused: phone_limit (1/30s)`, `429, code 20429`.
    pub summary: String,
    /// How it ended.
    pub outcome: ExchangeOutcome,
    /// The phone concerned, in E.164.
    pub number: Option<String>,
    /// The request.
    pub request: Value,
    /// The response; null if there was none.
    pub response: Value,
    /// The `kind` of the fault involved.
    pub fault: Option<String>,
}

/// A new exchange; it gets its id and time when it is recorded.
#[derive(Clone, Debug)]
pub struct NewExchange<'a> {
    /// See [`Exchange::kind`].
    pub kind: ExchangeKind,
    /// See [`Exchange::title`].
    pub title: &'a str,
    /// See [`Exchange::summary`].
    pub summary: String,
    /// See [`Exchange::outcome`].
    pub outcome: ExchangeOutcome,
    /// See [`Exchange::number`].
    pub number: Option<String>,
    /// See [`Exchange::request`]; shortened if very long.
    pub request: Value,
    /// See [`Exchange::response`]; shortened if very long.
    pub response: Value,
    /// See [`Exchange::fault`].
    pub fault: Option<&'a str>,
}

/// The exchanges and events. Clones share their state.
#[derive(Clone)]
pub struct Exchanges {
    clock: Clock,
    ids: Arc<AtomicU64>,
    latest: Arc<Mutex<VecDeque<Exchange>>>,
    listeners: broadcast::Sender<Event>,
}

impl Exchanges {
    /// Starts without exchanges.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, ids: Arc::default(), latest: Arc::default(), listeners: broadcast::Sender::new(BACKLOG) }
    }

    /// Every event from now on. A slow subscriber receives an error and must reload everything.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.listeners.subscribe()
    }

    /// Publishes an event.
    pub fn publish(&self, event: Event) {
        // There may be no subscriber.
        let _ = self.listeners.send(event);
    }

    /// Keeps an exchange and publishes it.
    pub fn record(&self, exchange: NewExchange<'_>) {
        let NewExchange { kind, title, summary, outcome, number, request, response, fault } = exchange;
        let exchange = Exchange {
            id: self.ids.fetch_add(1, Ordering::Relaxed) + 1,
            at_ms: self.clock.now_ms(),
            kind,
            title: title.to_owned(),
            summary,
            outcome,
            number,
            request: shown(request),
            response: shown(response),
            fault: fault.map(str::to_owned),
        };
        {
            let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
            if latest.len() == REMEMBERED {
                latest.pop_front();
            }
            latest.push_back(exchange.clone());
        }
        self.publish(Event::Exchange(Box::new(exchange)));
    }

    /// The latest exchanges, oldest first.
    #[must_use]
    pub fn latest(&self) -> Vec<Exchange> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Deletes the exchanges.
    pub fn clear(&self) {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Keeps only the beginning of a very long value, so that slow subscribers can't fill the memory.
fn shown(value: Value) -> Value {
    let text = value.to_string();
    if text.len() <= SHOWN_BYTES {
        return value;
    }
    Value::String(format!("{}… ({} bytes)", text.chars().take(1000).collect::<String>(), text.len()))
}
