//! Lambda's Invoke. <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>

use super::response::{error, starting};
use crate::functions::{Function, Functions, States};
use crate::random;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use fake_twilio::exchanges::{ExchangeKind, ExchangeOutcome, Exchanges, NewExchange};
use serde_json::{Value, json};
use shared::phone::number::PhoneNumber;

/// The largest payload of a synchronous invocation.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const MAX_PAYLOAD_BYTES: usize = 6 * 1024 * 1024;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const FUNCTION_ERROR: HeaderName = HeaderName::from_static("x-amz-function-error");

#[derive(Clone)]
struct Lambda {
    functions: Functions,
    exchanges: Exchanges,
}

/// The route.
pub fn router(functions: Functions, exchanges: Exchanges) -> Router {
    Router::new()
        .route("/2015-03-31/functions/{name}/invocations", post(invoke).layer(DefaultBodyLimit::max(MAX_PAYLOAD_BYTES)))
        .with_state(Lambda { functions, exchanges })
}

async fn invoke(
    State(lambda): State<Lambda>,
    Path(name): Path<String>,
    headers: HeaderMap,
    payload: Result<Bytes, BytesRejection>,
) -> Response {
    let Some(states) = lambda.functions.get().cloned() else { return starting() };
    let Ok(payload) = payload else {
        let message =
            format!("Request must be smaller than {MAX_PAYLOAD_BYTES} bytes for the InvokeFunction operation");
        return error(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", &message);
    };
    let request_id = random::uuid();
    let id = [(REQUEST_ID, HeaderValue::from_str(&request_id).unwrap_or(HeaderValue::from_static("")))];
    let function: Function = match name.parse() {
        Ok(function) => function,
        Err(unknown) => {
            let error = error(StatusCode::NOT_FOUND, "ResourceNotFoundException", &unknown.to_string());
            return (id, error).into_response();
        }
    };
    let payload = if payload.is_empty() { Bytes::from_static(b"null") } else { payload };
    let Ok(event) = serde_json::from_slice::<Value>(&payload) else {
        let message = "Could not parse request body into json";
        return (id, error(StatusCode::BAD_REQUEST, "InvalidRequestContentException", message)).into_response();
    };
    let run = run(states, lambda.exchanges, function, request_id, event);
    match headers.get("x-amz-invocation-type").map(HeaderValue::as_bytes) {
        Some(b"DryRun") => (StatusCode::NO_CONTENT, id).into_response(),
        Some(b"Event") => {
            tokio::spawn(run);
            (StatusCode::ACCEPTED, id).into_response()
        }
        // A task of its own: a function that has begun finishes, even if its caller hangs up.
        _ => match tokio::spawn(run).await.unwrap_or_else(|failed| Err(unhandled(&failed))) {
            Ok(answer) => (id, [(header::CONTENT_TYPE, "application/json")], answer).into_response(),
            Err(error) => {
                let failed = [(FUNCTION_ERROR, HeaderValue::from_static("Unhandled"))];
                (id, failed, Json(error)).into_response()
            }
        },
    }
}

/// Invokes the function and reports the exchange.
async fn run(
    states: States,
    exchanges: Exchanges,
    function: Function,
    request_id: String,
    event: Value,
) -> Result<String, Value> {
    let answer = states.invoke(function, &request_id, &event).await;
    exchanges.record(exchange(function, event, answer.as_ref().map_err(Clone::clone)));
    answer
}

/// A function that panics ends like this on Lambda.
fn unhandled(failed: &tokio::task::JoinError) -> Value {
    json!({"errorType": "Unhandled", "errorMessage": failed.to_string()})
}

/// The invocation in the list of exchanges, with a summary such as `refused: phone_limit (1/30s)`.
fn exchange(function: Function, request: Value, answer: Result<&String, Value>) -> NewExchange<'static> {
    let failed = answer.is_err();
    let response = answer.map_or_else(|error| error, |text| serde_json::from_str(text).unwrap_or_default());
    let field = |name: &str| response.get(name).and_then(Value::as_str);
    let mut summary = field("status").or_else(|| field("errorType")).unwrap_or("answered").replace('_', " ");
    for detail in ["reason", "errorMessage"].into_iter().filter_map(field) {
        summary = format!("{summary}: {detail}");
    }
    if let Some(rule) = field("rule") {
        summary = format!("{summary} ({rule})");
    }
    let outcome = match field("status") {
        Some("refused" | "incorrect" | "expired" | "too_many_attempts") => ExchangeOutcome::Refused,
        Some("unknown") => ExchangeOutcome::Failed,
        _ if failed => ExchangeOutcome::Failed,
        _ => ExchangeOutcome::Ok,
    };
    // A number that can't be parsed is shown in the request, but the exchange belongs to no phone.
    let number = request.get("phone_number").and_then(Value::as_str).and_then(|number| PhoneNumber::parse(number).ok());
    NewExchange {
        kind: ExchangeKind::Invocation,
        title: function.name(),
        summary,
        outcome,
        number: number.map(|number| number.as_str().to_owned()),
        request,
        response,
        fault: None,
    }
}
