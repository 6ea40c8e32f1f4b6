//! The page at `/`, and what happens, live: server-sent events.
//!
//! The one idea: a listener is first told everything that is there and then each change; one that fell behind is told
//! everything again, so the page never has to guess what it missed.

use crate::desk::Desk;
use crate::gateway::overview;
use crate::phones::view;
use crate::system::OUR_NUMBER;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
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

/// Nothing from elsewhere, nothing inline: what a message says stays text, whatever it says.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The modules that the page is made of; `page.js` is the first.
const SCRIPTS: [(&str, &str); 10] = [
    ("/page.js", include_str!("../page/page.js")),
    ("/activity.js", include_str!("../page/activity.js")),
    ("/app.js", include_str!("../page/app.js")),
    ("/failures.js", include_str!("../page/failures.js")),
    ("/gate.js", include_str!("../page/gate.js")),
    ("/limits.js", include_str!("../page/limits.js")),
    ("/phone.js", include_str!("../page/phone.js")),
    ("/phones.js", include_str!("../page/phones.js")),
    ("/scripts.js", include_str!("../page/scripts.js")),
    ("/tools.js", include_str!("../page/tools.js")),
];

/// The routes beside `/` itself, which [`index`] answers.
pub fn router(desk: Desk) -> Router {
    let style = get(async || asset("text/css; charset=utf-8", include_str!("../page/page.css")));
    let router = Router::new().route("/page.css", style).route("/events", get(events));
    let scripts = SCRIPTS.into_iter().fold(router, |router, (path, script)| {
        router.route(path, get(async move || asset("text/javascript; charset=utf-8", script)))
    });
    scripts.with_state(desk)
}

/// The page for browsers, the overview for everything else.
pub fn index(desk: &Desk, headers: &HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accepted.contains("text/html") {
        asset("text/html; charset=utf-8", include_str!("../page/index.html"))
    } else {
        overview(&desk.base_url, &desk.twilio.account()).into_response()
    }
}

fn asset(content_type: &'static str, content: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // The next version of the page may come with the next start.
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    (headers.map(|(name, value)| (name, HeaderValue::from_static(value))), content).into_response()
}

async fn events(State(desk): State<Desk>) -> Sse<impl Stream<Item = Result<sse::Event, Infallible>>> {
    // Listens first, so that nothing gets lost between what is there and what comes.
    let listener = Listener { heard: desk.feed.subscribe(), desk, due: VecDeque::from([Due::Everything]) };
    let stream = unfold(listener, async |mut listener| Some((Ok(listener.next().await?), listener)));
    Sse::new(stream).keep_alive(KeepAlive::default())
}

struct Listener {
    desk: Desk,
    heard: Receiver<Event>,
    due: VecDeque<Due>,
}

enum Due {
    Everything,
    Event(Event),
}

impl Listener {
    /// The next event; none when nobody can tell anything any more.
    async fn next(&mut self) -> Option<sse::Event> {
        let due = match self.due.pop_front() {
            Some(due) => due,
            None => match self.heard.recv().await {
                Ok(event) => Due::Event(event),
                Err(RecvError::Lagged(_)) => {
                    // What is still in the backlog is older than what is told now.
                    self.heard = self.desk.feed.subscribe();
                    Due::Everything
                }
                Err(RecvError::Closed) => return None,
            },
        };
        let (name, data) = match due {
            Due::Everything => ("state", everything(&self.desk)),
            Due::Event(event) => told(&self.desk, event),
        };
        // JSON has no line breaks, which is all that an event's data could be wrong in.
        Some(sse::Event::default().event(name).data(data.to_string()))
    }
}

fn told(desk: &Desk, event: Event) -> (&'static str, Value) {
    match event {
        Event::Message(message) => ("message", view(&message)),
        Event::Forgotten(number) => ("forgotten", json!({"number": number})),
        Event::Deleted { number, sid } => ("deleted", json!({"number": number, "sid": sid})),
        Event::Faults => ("faults", json!({"faults": desk.faults.list()})),
        Event::Exchange(exchange) => ("activity", json!(exchange)),
        Event::Clock => ("clock", json!({"now_ms": desk.clock.now_ms()})),
        Event::Account => ("account", account(desk)),
    }
}

fn everything(desk: &Desk) -> Value {
    json!({
        "now_ms": desk.clock.now_ms(),
        "our_number": OUR_NUMBER,
        "base_url": *desk.base_url,
        "account": account(desk),
        "messages": desk.twilio.messages().iter().map(view).collect::<Vec<_>>(),
        "faults": desk.faults.list(),
        "activity": desk.feed.latest(),
        "settings": settings(&desk.environment),
    })
}

fn account(desk: &Desk) -> Value {
    let account = desk.twilio.account();
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
