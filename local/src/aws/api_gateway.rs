//! API Gateway in front of the webhooks: it passes each request on as an HTTP API event of payload format 2.0.

use super::response::starting;
use crate::functions::{Function, Functions, States};
use crate::random;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fake_twilio::exchanges::{ExchangeKind, ExchangeOutcome, Exchanges, NewExchange};
use lambda_http::Body;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use serde_json::{Map, Value, json};

#[derive(Clone)]
struct ApiGateway {
    functions: Functions,
    exchanges: Exchanges,
}

/// The webhooks.
pub fn router(functions: Functions, exchanges: Exchanges) -> Router {
    Router::new()
        .route("/sms", post(inbound_sms))
        .route("/sms/status", post(delivery_status))
        .with_state(ApiGateway { functions, exchanges })
}

async fn inbound_sms(
    State(gateway): State<ApiGateway>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let event = event(&method, &uri, &headers, &body);
    let handle = move |states: States| async move { inbound_sms::handle(&states.inbound_sms, event).await };
    gateway.call(Function::InboundSms, "accepted the message", handle).await
}

async fn delivery_status(
    State(gateway): State<ApiGateway>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let event = event(&method, &uri, &headers, &body);
    let handle = move |states: States| async move { delivery_status::handle(&states.delivery_status, event).await };
    gateway.call(Function::DeliveryStatus, "accepted the status", handle).await
}

impl ApiGateway {
    /// Calls a function and returns its response. `accepted` describes a success in the list of exchanges.
    async fn call<F>(&self, function: Function, accepted: &str, handle: impl FnOnce(States) -> F) -> Response
    where
        F: Future<Output = ApiGatewayV2httpResponse> + Send + 'static,
    {
        let Some(states) = self.functions.get().cloned() else { return starting() };
        // A task of its own: a function that has begun finishes, even if its caller hangs up.
        let answer = tokio::spawn(handle(states)).await.unwrap_or_default();
        let code = u16::try_from(answer.status_code).ok().and_then(|code| StatusCode::from_u16(code).ok());
        let code = code.unwrap_or(StatusCode::BAD_GATEWAY);
        let text = match answer.body {
            Some(Body::Text(text)) => text,
            Some(Body::Binary(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
            _ => String::new(),
        };
        self.exchanges.record(NewExchange {
            kind: ExchangeKind::Invocation,
            title: function.name(),
            summary: if code.is_success() { accepted.to_owned() } else { format!("{}: {text}", code.as_u16()) },
            outcome: ExchangeOutcome::of_status(code.as_u16()),
            number: None,
            request: Value::Null,
            response: json!({"status": code.as_u16(), "body": text}),
            fault: None,
        });
        (code, answer.headers, text).into_response()
    }
}

fn event(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Value {
    let mut fields = Map::new();
    for name in headers.keys() {
        // API Gateway joins headers of the same name.
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        fields.insert(name.as_str().to_owned(), values.join(",").into());
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    json!({
        "version": "2.0",
        "routeKey": format!("{method} {path}"),
        "rawPath": path,
        "rawQueryString": query,
        "headers": fields,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": host,
            "domainPrefix": "local",
            "http": {"method": method.as_str(), "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": ""},
            "requestId": random::uuid(),
            "routeKey": format!("{method} {path}"),
            "stage": "$default",
            "time": "", "timeEpoch": 0,
        },
        "body": BASE64.encode(body),
        "isBase64Encoded": true,
    })
}
