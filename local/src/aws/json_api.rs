//! DynamoDB and Secrets Manager at one address. Both are called by `POST /`; the header `X-Amz-Target` names the operation.

use super::dynamodb::{CONTENT_TYPE, Database};
use super::response::error;
use super::secrets_manager::FakeSecrets;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use fake_twilio::exchanges::{ExchangeKind, ExchangeOutcome, Exchanges, NewExchange};
use fake_twilio::faults::{FaultPoint, Faults, Kind};
use fake_twilio::resettable::ConnectionHandle;
use serde_json::Value;

/// The largest request that DynamoDB accepts.
const MAX_REQUEST_BYTES: usize = 16 * 1024 * 1024;

/// The services, and the faults between a function and DynamoDB.
#[derive(Clone)]
pub struct JsonApi {
    /// The embedded DynamoDB.
    pub database: Database,
    /// Secrets Manager.
    pub secrets: FakeSecrets,
    /// The pending faults.
    pub faults: Faults,
    /// Where a fault is reported.
    pub exchanges: Exchanges,
}

/// The route.
pub fn router(api: JsonApi) -> Router {
    Router::new().route("/", post(call)).layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES)).with_state(api)
}

async fn call(
    State(api): State<JsonApi>,
    ConnectInfo(connection): ConnectInfo<ConnectionHandle>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    if target.starts_with("secretsmanager.") {
        return api.secrets.handle(target, &body);
    }
    if !target.starts_with("DynamoDB") {
        let message = "This address answers DynamoDB and Secrets Manager; the APIs of Lambda and Twilio have paths.";
        return error(StatusCode::BAD_REQUEST, "UnknownOperationException", message);
    }
    if let Some(fault) = api.faults.take(FaultPoint::Dynamodb, None) {
        return fail(&api.exchanges, fault, target, &connection);
    }
    let (status, answer) = api.database.answer(target, &body);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], answer).into_response()
}

/// Fails as DynamoDB does with this fault.
fn fail(exchanges: &Exchanges, fault: Kind, target: &str, connection: &ConnectionHandle) -> Response {
    let (summary, response) = if fault == Kind::DynamodbThrottled {
        let message = "Rate of requests exceeds the allowed throughput.";
        ("throttled", error(StatusCode::BAD_REQUEST, "ThrottlingException", message))
    } else {
        // The connection is reset in place of this response.
        connection.reset();
        ("connection reset", StatusCode::SERVICE_UNAVAILABLE.into_response())
    };
    exchanges.record(NewExchange {
        kind: ExchangeKind::Dynamodb,
        title: target.rsplit('.').next().unwrap_or_default(),
        summary: summary.to_owned(),
        outcome: ExchangeOutcome::Failed,
        number: None,
        request: Value::Null,
        response: Value::Null,
        fault: Some(fault.as_str()),
    });
    response
}
