//! What happens in the local system, as it happens: for the page, and for whoever waits for a message.
//!
//! The one idea: everything that is told is told twice, into a list of the latest exchanges for those who come later, and to
//! those who listen now.

use crate::message::Message;
use serde::Serialize;
use serde_json::Value;
use shared::runtime::clock::Clock;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast;

/// How many exchanges are remembered.
const REMEMBERED: usize = 200;
/// How far a listener may fall behind before it must ask for everything again.
const BACKLOG: usize = 1024;

/// The longest request or answer that is shown in whole, as JSON.
const SHOWN_BYTES: usize = 16 * 1024;

/// Something that others may want to know at once.
#[derive(Clone, Debug)]
pub enum Event {
    /// A message is new, or its state has changed.
    Message(Box<Message>),
    /// The messages of this phone were deleted; without a number, all of them.
    Forgotten(Option<String>),
    /// One message was deleted.
    Deleted {
        /// Its phone.
        number: String,
        /// Which.
        sid: String,
    },
    /// The faults are others than before.
    Faults,
    /// An exchange between the parts has ended.
    Exchange(Box<Exchange>),
    /// The clock was moved.
    Clock,
    /// A secret was rotated.
    Account,
}

/// ExchangeKind whom an exchange was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeKind {
    /// The app invoked a function.
    Invocation,
    /// Twilio told us of an inbound message.
    Webhook,
    /// Twilio told somebody of the state of a message.
    StatusCallback,
    /// Somebody called Twilio's API.
    Twilio,
    /// A function called DynamoDB, and a fault was in between.
    Dynamodb,
    /// Somebody set something on this machine: a fault, the clock, a secret.
    Local,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeOutcome {
    /// As everybody hopes.
    Ok,
    /// With a no that was meant.
    Refused,
    /// With an error.
    Failed,
}

impl ExchangeOutcome {
    /// What an answer with this HTTP status is.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            200..300 => Self::Ok,
            400..500 => Self::Refused,
            _ => Self::Failed,
        }
    }
}

/// One question and its answer.
#[derive(Clone, Debug, Serialize)]
pub struct Exchange {
    /// Counts up.
    pub id: u64,
    /// When it ended, in milliseconds since the epoch.
    pub at_ms: u64,
    /// ExchangeKind whom.
    #[serde(rename = "between")]
    pub kind: ExchangeKind,
    /// What was asked: `send-code`, `POST /sms`, `POST /Messages.json`.
    pub title: String,
    /// What came of it, in a few words: `refused: phone_limit (1/30s)`, `429, code 20429`.
    pub summary: String,
    /// How it ended.
    pub outcome: ExchangeOutcome,
    /// The phone that it was about, in E.164.
    pub number: Option<String>,
    /// What went in.
    pub request: Value,
    /// What came out; null if nothing did.
    pub response: Value,
    /// The fault that had a hand in it, by its `kind`.
    pub fault: Option<String>,
}

/// What is to be told of an exchange; its id and time are the exchanges's.
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
    /// See [`Exchange::request`]; shortened if it is very long.
    pub request: Value,
    /// See [`Exchange::response`]; shortened if it is very long.
    pub response: Value,
    /// See [`Exchange::fault`].
    pub fault: Option<&'a str>,
}

/// The exchanges. Clones are the same one.
#[derive(Clone)]
pub struct Exchanges {
    clock: Clock,
    ids: Arc<AtomicU64>,
    latest: Arc<Mutex<VecDeque<Exchange>>>,
    listeners: broadcast::Sender<Event>,
}

impl Exchanges {
    /// A exchanges of which nothing has been told yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, ids: Arc::default(), latest: Arc::default(), listeners: broadcast::Sender::new(BACKLOG) }
    }

    /// Everything that is told from now on. A listener that is too slow is told so, and asks for everything again.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.listeners.subscribe()
    }

    /// Tells those who listen.
    pub fn publish(&self, event: Event) {
        // Nobody may be listening.
        let _ = self.listeners.send(event);
    }

    /// Remembers an exchange, and tells those who listen.
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

    /// Forgets the exchanges.
    pub fn clear(&self) {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Of what is too long only the beginning, as a text: whoever listens slowly must not fill the memory.
fn shown(value: Value) -> Value {
    let text = value.to_string();
    if text.len() <= SHOWN_BYTES {
        return value;
    }
    Value::String(format!("{}… ({} bytes)", text.chars().take(1000).collect::<String>(), text.len()))
}
