//! What can be set on the running system: faults, the clock, the secrets, and everything back to the start.

use crate::desk::{Desk, JsonBody, Wrong};
use crate::system::{ACCOUNT_SID, API_KEY_SECRET_NAME, API_KEY_SID, AUTH_TOKEN_SECRET};
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use fake_twilio::exchanges::{Event, ExchangeKind, ExchangeOutcome, NewExchange};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::limits::rules::Period;

/// How far the clock may be moved at a time.
const MAX_ADVANCE: &str = "366d";

/// The routes.
pub fn router(desk: Desk) -> Router {
    let faults = fake_twilio::test_api::faults(&desk.faults);
    Router::new().route("/clock", post(advance)).route("/secrets/rotate", post(rotate)).with_state(desk).merge(faults)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance: String,
}

async fn advance(State(desk): State<Desk>, JsonBody(by): JsonBody<Advance>) -> Result<Json<Value>, Wrong> {
    let span: Period = by.advance.parse().map_err(|error| Wrong::request(&error))?;
    if MAX_ADVANCE.parse().is_ok_and(|most: Period| span > most) {
        return Err(Wrong::request(&format!("the clock moves at most {MAX_ADVANCE} at a time, not {span}")));
    }
    let ahead_ms = desk.clock.advance(span.as_ms());
    desk.twilio.remember_clock(ahead_ms);
    desk.feed.publish(Event::Clock);
    tell(&desk, "clock", format!("moved ahead by {span}"));
    Ok(Json(json!({"now_ms": desk.clock.now_ms()})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    secret: RotatedSecret,
    #[serde(default, rename = "where")]
    place: Place,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RotatedSecret {
    AuthToken,
    ApiKey,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    /// At Twilio and in Secrets Manager, as a rotation that went well.
    #[default]
    Both,
    /// At Twilio alone: what the functions read is stale.
    Twilio,
}

async fn rotate(State(desk): State<Desk>, JsonBody(rotation): JsonBody<Rotation>) -> Result<Json<Value>, Wrong> {
    let value = random_hex().map_err(|error| Wrong::unavailable(&format!("no random numbers: {error}")))?;
    let (name, secret, json) = match rotation.secret {
        RotatedSecret::AuthToken => {
            desk.twilio.set_auth_token(value.clone());
            ("auth_token", AUTH_TOKEN_SECRET, json!({"accountSid": ACCOUNT_SID, "authToken": value}))
        }
        RotatedSecret::ApiKey => {
            desk.twilio.set_api_key_secret(value.clone());
            let json = json!({"accountSid": ACCOUNT_SID, "apiKeySid": API_KEY_SID, "apiKeySecret": value});
            ("api_key", API_KEY_SECRET_NAME, json)
        }
    };
    let place = match rotation.place {
        Place::Both => {
            desk.secrets.put(secret, &json.to_string());
            "at Twilio and in Secrets Manager"
        }
        Place::Twilio => "at Twilio only: what the functions read is stale",
    };
    desk.feed.publish(Event::Account);
    tell(&desk, name, format!("rotated {place}"));
    Ok(Json(json!({"secret": name, "value": value})))
}

fn tell(desk: &Desk, title: &str, summary: String) {
    let (request, response) = (Value::Null, Value::Null);
    let (kind, outcome) = (ExchangeKind::Local, ExchangeOutcome::Ok);
    desk.feed.record(NewExchange { kind, title, summary, outcome, number: None, request, response, fault: None });
}

fn random_hex() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
