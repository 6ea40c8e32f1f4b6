//! The controls of the running system: faults, the clock and the secrets.

use super::state::{ApiError, AppState, JsonBody};
use crate::fixtures::{API_KEY_SECRET_NAME, AUTH_TOKEN_SECRET, api_key_json, auth_token_json};
use crate::random;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use fake_twilio::exchanges::{Event, ExchangeKind, ExchangeOutcome, NewExchange};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::limits::rules::Period;

/// The longest step of the clock.
const MAX_ADVANCE: &str = "366d";

/// The routes.
pub fn router(state: AppState) -> Router {
    let faults = fake_twilio::test_api::faults(&state.faults);
    Router::new().route("/clock", post(advance)).route("/secrets/rotate", post(rotate)).with_state(state).merge(faults)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance: String,
}

async fn advance(State(state): State<AppState>, JsonBody(step): JsonBody<Advance>) -> Result<Json<Value>, ApiError> {
    let step: Period = step.advance.parse().map_err(|error| ApiError::request(&error))?;
    if MAX_ADVANCE.parse().is_ok_and(|max: Period| step > max) {
        return Err(ApiError::request(&format!("the clock moves at most {MAX_ADVANCE} at a time, not {step}")));
    }
    let ahead_ms = state.clock.advance(step.as_ms());
    state.twilio.remember_clock(ahead_ms);
    state.exchanges.publish(Event::Clock);
    report(&state, "clock", format!("moved ahead by {step}"));
    Ok(Json(json!({"now_ms": state.clock.now_ms()})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    secret: RotatedSecret,
    #[serde(default, rename = "where")]
    scope: RotationScope,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RotatedSecret {
    AuthToken,
    ApiKey,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RotationScope {
    /// At Twilio and in Secrets Manager, as in a complete rotation.
    #[default]
    Both,
    /// At Twilio only: Secrets Manager still has the old value.
    Twilio,
}

async fn rotate(
    State(state): State<AppState>,
    JsonBody(rotation): JsonBody<Rotation>,
) -> Result<Json<Value>, ApiError> {
    let value = random::hex().map_err(|error| ApiError::unavailable(&format!("no random numbers ({error})")))?;
    let (name, secret, json) = match rotation.secret {
        RotatedSecret::AuthToken => {
            state.twilio.set_auth_token(value.clone());
            ("auth_token", AUTH_TOKEN_SECRET, auth_token_json(&value))
        }
        RotatedSecret::ApiKey => {
            state.twilio.set_api_key_secret(value.clone());
            ("api_key", API_KEY_SECRET_NAME, api_key_json(&value))
        }
    };
    let scope = match rotation.scope {
        RotationScope::Both => {
            state.secrets.put(secret, &json);
            "at Twilio and in Secrets Manager"
        }
        RotationScope::Twilio => "at Twilio only; Secrets Manager still has the old value",
    };
    state.exchanges.publish(Event::Account);
    report(&state, name, format!("rotated {scope}"));
    Ok(Json(json!({"secret": name, "value": value})))
}

/// Adds a change to the list of exchanges.
fn report(state: &AppState, title: &str, summary: String) {
    let (request, response) = (Value::Null, Value::Null);
    let (between, outcome) = (ExchangeKind::Local, ExchangeOutcome::Ok);
    state.exchanges.record(NewExchange {
        kind: between,
        title,
        summary,
        outcome,
        number: None,
        request,
        response,
        fault: None,
    });
}
