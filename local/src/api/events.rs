//! `GET /events`: everything that happens, as server-sent events.
//!
//! A listener first receives the whole state and then each change. One that has fallen behind receives the whole state again, so
//! it never has to guess what it missed.

use super::phones::view;
use super::state::AppState;
use crate::fixtures::OUR_NUMBER;
use axum::Router;
use axum::extract::State;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::routing::get;
use fake_twilio::exchanges::Event;
use futures_util::Stream;
use futures_util::stream::unfold;
use serde_json::{Map, Value, json};
use shared::runtime::settings::Environment;
use std::collections::VecDeque;
use std::convert::Infallible;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// The route.
pub fn router(state: AppState) -> Router {
    Router::new().route("/events", get(events)).with_state(state)
}

async fn events(State(state): State<AppState>) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    // Listen before reading the state, so that no change is missed in between.
    let listener = Listener { events: state.exchanges.subscribe(), state, due: VecDeque::from([Due::Everything]) };
    let stream = unfold(listener, async |mut listener| Some((Ok(listener.next().await?), listener)));
    Sse::new(stream).keep_alive(KeepAlive::default())
}

struct Listener {
    state: AppState,
    events: Receiver<Event>,
    due: VecDeque<Due>,
}

enum Due {
    Everything,
    Event(Event),
}

impl Listener {
    /// The next event; `None` if there will be no more.
    async fn next(&mut self) -> Option<sse::Event> {
        let due = match self.due.pop_front() {
            Some(due) => due,
            None => match self.events.recv().await {
                Ok(event) => Due::Event(event),
                Err(RecvError::Lagged(_)) => {
                    // The backlog is older than the state that is sent now.
                    self.events = self.state.exchanges.subscribe();
                    Due::Everything
                }
                Err(RecvError::Closed) => return None,
            },
        };
        let (name, data) = match due {
            Due::Everything => ("state", everything(&self.state)),
            Due::Event(event) => change(&self.state, event),
        };
        // An event's data must not have line breaks; JSON has none.
        Some(sse::Event::default().event(name).data(data.to_string()))
    }
}

fn change(state: &AppState, event: Event) -> (&'static str, Value) {
    match event {
        Event::Message(message) => ("message", view(&message)),
        Event::Forgotten(number) => ("forgotten", json!({"number": number})),
        Event::Deleted { number, sid } => ("deleted", json!({"number": number, "sid": sid})),
        Event::Faults => ("faults", json!({"faults": state.faults.list()})),
        Event::Exchange(exchange) => ("activity", json!(exchange)),
        Event::Clock => ("clock", json!({"now_ms": state.clock.now_ms()})),
        Event::Account => ("account", account(state)),
    }
}

fn everything(state: &AppState) -> Value {
    json!({
        "now_ms": state.clock.now_ms(),
        "our_number": OUR_NUMBER,
        "base_url": *state.base_url,
        "account": account(state),
        "messages": state.twilio.messages().iter().map(view).collect::<Vec<_>>(),
        "faults": state.faults.list(),
        "activity": state.exchanges.latest(),
        "settings": settings(&state.environment),
    })
}

fn account(state: &AppState) -> Value {
    let account = state.twilio.account();
    json!({
        "account_sid": account.account_sid,
        "auth_token": account.auth_token,
        "api_key_sid": account.api_key_sid,
        "api_key_secret": account.api_key_secret,
    })
}

/// The settings under the names of their parameters: `PHONE_LIMIT` is `PhoneLimit`.
fn settings(environment: &Environment) -> Map<String, Value> {
    let parameter = |variable: &str| {
        let words = variable.split('_').map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_owned() + &rest.to_ascii_lowercase()
        });
        words.collect::<String>()
    };
    Environment::defaults().map(|(variable, _)| (parameter(variable), environment.text(variable).into())).collect()
}
