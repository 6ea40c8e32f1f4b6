//! What stands before the functions: API Gateway for the webhook, Lambda's API for invocations, and the addresses of the
//! stand-ins, all on one port.

use crate::database::{self, Database};
use crate::desk::Desk;
use crate::{controls, gate, page, phones};
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fake_twilio::TwilioAccount;
use fake_twilio::exchanges::{ExchangeKind, ExchangeOutcome, NewExchange};
use fake_twilio::faults::{FaultPoint, Kind};
use fake_twilio::resettable::ConnectionHandle;
use lambda_http::Body;
use serde_json::{Map, Value, json};
use shared::phone::number::PhoneNumber;
use std::sync::{Arc, OnceLock};

/// What Lambda takes as the payload of a synchronous invocation.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const MAX_PAYLOAD_BYTES: usize = 6 * 1024 * 1024;
/// What DynamoDB takes as a request.
const MAX_DYNAMODB_BYTES: usize = 16 * 1024 * 1024;

/// The functions, which start after the services that they need.
#[derive(Clone, Default)]
pub struct Functions(Arc<OnceLock<States>>);

/// What each function keeps while it is warm.
#[derive(Clone)]
pub struct States {
    /// send-code's.
    pub send_code: Arc<send_code::state::State>,
    /// check-code's.
    pub check_code: Arc<check_code::state::State>,
    /// inbound-sms's.
    pub inbound_sms: Arc<inbound_sms::state::State>,
    /// delivery-status's.
    pub delivery_status: Arc<delivery_status::state::State>,
    /// checklist's.
    pub checklist: Arc<checklist::state::State>,
}

impl Functions {
    /// From now on the functions answer.
    pub fn set(&self, states: States) {
        let _ = self.0.set(states);
    }

    /// What they keep; none while they are starting.
    #[must_use]
    pub fn get(&self) -> Option<&States> {
        self.0.get()
    }
}

#[derive(Clone)]
struct Gateway {
    desk: Desk,
    database: Database,
}

/// Everything that the local system answers.
pub fn router(desk: &Desk, database: Database) -> Router {
    let index = desk.clone();
    let gateway = Gateway { desk: desk.clone(), database };
    Router::new()
        .route("/", post(aws).get(async move |headers: HeaderMap| page::index(&index, &headers)))
        .layer(DefaultBodyLimit::max(MAX_DYNAMODB_BYTES))
        .route("/sms", post(webhook))
        .route("/sms/status", post(webhook))
        .route("/2015-03-31/functions/{name}/invocations", post(invoke).layer(DefaultBodyLimit::max(MAX_PAYLOAD_BYTES)))
        .with_state(gateway)
        .merge(page::router(desk.clone()))
        .merge(phones::router(desk.clone()))
        .merge(controls::router(desk.clone()))
        .merge(gate::router(desk.clone()))
        .merge(desk.account.router(fake_twilio::rest::router(&desk.twilio)))
        .layer(middleware::from_fn(fake_twilio::loopback::guard))
}

/// What the system offers, with commands to copy.
#[must_use]
pub fn overview(base_url: &str, account: &TwilioAccount) -> String {
    use crate::system::{API_KEY_SECRET_NAME, AUTH_TOKEN_SECRET, OUR_NUMBER, TABLE_NAME};
    let TwilioAccount { account_sid, auth_token, api_key_sid, api_key_secret, .. } = account;
    format!(
        r#"Tollgate, all of it, on this machine. Nothing leaves 127.0.0.1; no SMS is sent or paid for.

Open {base_url} in a browser: phones, your app, and the gate between them.

Ask for a code, as your app's back end would. Any AWS SDK works, with this address as its endpoint and any credentials:
  export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION=us-east-1
  curl -s {base_url}/2015-03-31/functions/send-code/invocations -d '{{"phone_number":"+14155550123","ip":"203.0.113.7","code":"493027"}}'; echo
  aws lambda invoke --endpoint-url {base_url} --function-name send-code --payload fileb://events/send-code.json /dev/stdout | cat
  (from this folder; the second within 30 seconds to one number is refused: that is PhoneLimit)

Check the code that was texted:
  curl -s {base_url}/2015-03-31/functions/check-code/invocations -d '{{"phone_number":"+14155550123","code":"493027"}}'; echo

Read the SMS on its phone, as soon as it comes, with the code in it:
  curl -s '{base_url}/phones/+14155550123/messages?wait=10s'

Read all that "Twilio" has taken (its REST API is here too; give any Twilio client this base URL):
  curl -s -u {api_key_sid}:{api_key_secret} {base_url}/2010-04-01/Accounts/{account_sid}/Messages.json

Text the service from a phone, and see what it answers (the webhook is POST {base_url}/sms, signed):
  curl -s '{base_url}/phones/+14155550123/messages' -H 'Content-Type: application/json' -d '{{"body":"Hello"}}'; echo

Or sign it yourself:
  URL={base_url}/sms
  SIGNED=$(printf %s "${{URL}}AccountSid{account_sid}BodyHelloFrom+14155550123MessageSidSM00000000000000000000000000000001To{OUR_NUMBER}" | openssl dgst -sha1 -hmac {auth_token} -binary | base64)
  curl -s $URL -H "X-Twilio-Signature: $SIGNED" --data-urlencode AccountSid={account_sid} --data-urlencode Body=Hello \
    --data-urlencode From=+14155550123 --data-urlencode MessageSid=SM00000000000000000000000000000001 --data-urlencode To={OUR_NUMBER}

Break something, move the clock, start anew (more in the README under "Develop against it"):
  curl -s {base_url}/faults -H 'Content-Type: application/json' -d '{{"kind":"timeout","times":1}}'; echo
  curl -s {base_url}/clock -H 'Content-Type: application/json' -d '{{"advance":"1h"}}'; echo
  curl -s -X DELETE {base_url}/phones

Look into the table (no person's number is in its keys; inbound messages stand there in clear):
  aws dynamodb scan --endpoint-url {base_url} --table-name {TABLE_NAME}

Read the secrets ({AUTH_TOKEN_SECRET}, {API_KEY_SECRET_NAME}):
  aws secretsmanager get-secret-value --endpoint-url {base_url} --secret-id {AUTH_TOKEN_SECRET}

Twilio's magic numbers fail as they do at Twilio: +15005550001 is invalid (21211), 0002 not routable (21612), 0003 not allowed (21408),
0004 opted out (21610), 0009 not a mobile (21614).

The fake Twilio's account:  {account_sid}, number {OUR_NUMBER}
Its auth token (signs):     {auth_token}
Its API key (sends):        {api_key_sid}, secret {api_key_secret}
"#
    )
}

/// The webhook, as API Gateway would pass it: an HTTP API event of payload format 2.0.
async fn webhook(
    State(gateway): State<Gateway>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(states) = gateway.desk.functions.get().cloned() else { return starting() };
    let event = event(&method, &uri, &headers, &body);
    let (function, taken) = match uri.path() {
        "/sms/status" => ("delivery-status", "took the state"),
        _ => ("inbound-sms", "took the message"),
    };
    // A task of its own, as below.
    let answer = tokio::spawn(async move {
        match function {
            "delivery-status" => delivery_status::handle(&states.delivery_status, event).await,
            _ => inbound_sms::handle(&states.inbound_sms, event).await,
        }
    });
    let answer = answer.await.unwrap_or_default();

    let code = u16::try_from(answer.status_code).ok().and_then(|code| StatusCode::from_u16(code).ok());
    let code = code.unwrap_or(StatusCode::BAD_GATEWAY);
    let text = match answer.body {
        Some(Body::Text(text)) => text,
        Some(Body::Binary(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => String::new(),
    };
    gateway.desk.feed.record(NewExchange {
        kind: ExchangeKind::Invocation,
        title: function,
        summary: if code.is_success() { taken.to_owned() } else { format!("{}: {text}", code.as_u16()) },
        outcome: ExchangeOutcome::of_status(code.as_u16()),
        number: None,
        request: Value::Null,
        response: json!({"status": code.as_u16(), "body": text}),
        fault: None,
    });
    (code, answer.headers, text).into_response()
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
            "requestId": request_id(),
            "routeKey": format!("{method} {path}"),
            "stage": "$default",
            "time": "", "timeEpoch": 0,
        },
        "body": BASE64.encode(body),
        "isBase64Encoded": true,
    })
}

/// Lambda's Invoke. <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>
async fn invoke(
    State(gateway): State<Gateway>,
    Path(name): Path<String>,
    headers: HeaderMap,
    payload: Result<Bytes, BytesRejection>,
) -> Response {
    let Some(states) = gateway.desk.functions.get().cloned() else { return starting() };
    let Ok(payload) = payload else {
        let message =
            format!("Request must be smaller than {MAX_PAYLOAD_BYTES} bytes for the InvokeFunction operation");
        return aws_error(StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLargeException", &message);
    };
    let request_id = request_id();
    let id = HeaderValue::from_str(&request_id).unwrap_or(HeaderValue::from_static(""));
    let id = [(HeaderName::from_static("x-amzn-requestid"), id)];
    // The name, or the end of an ARN.
    let name = name.rsplit(':').next().unwrap_or_default().to_owned();
    if !["send-code", "check-code", "inbound-sms", "delivery-status", "checklist"].contains(&name.as_str()) {
        let message = format!(
            "Function not found: {name}. There are send-code, check-code, inbound-sms, delivery-status and checklist."
        );
        return (id, aws_error(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message)).into_response();
    }
    let payload = if payload.is_empty() { Bytes::from_static(b"null") } else { payload };
    let Ok(event) = serde_json::from_slice::<Value>(&payload) else {
        let message = "Could not parse request body into json";
        return (id, aws_error(StatusCode::BAD_REQUEST, "InvalidRequestContentException", message)).into_response();
    };
    let feed = gateway.desk.feed.clone();
    // A task of its own: a function that has begun goes on, also when its caller hangs up.
    let run = async move {
        let answer = run(&states, &name, &request_id, &event).await;
        feed.record(invocation(&name, event, answer.as_ref().map_err(Clone::clone)));
        answer
    };
    match headers.get("x-amz-invocation-type").map(HeaderValue::as_bytes) {
        Some(b"DryRun") => (StatusCode::NO_CONTENT, id).into_response(),
        Some(b"Event") => {
            tokio::spawn(run);
            (StatusCode::ACCEPTED, id).into_response()
        }
        _ => match tokio::spawn(run).await.unwrap_or_else(|failed| Err(unhandled(&failed))) {
            Ok(answer) => (id, [(header::CONTENT_TYPE, "application/json")], answer).into_response(),
            Err(error) => {
                let failed = [(HeaderName::from_static("x-amz-function-error"), HeaderValue::from_static("Unhandled"))];
                (id, failed, axum::Json(error)).into_response()
            }
        },
    }
}

/// A function that panics ends like this on Lambda.
fn unhandled(failed: &tokio::task::JoinError) -> Value {
    json!({"errorType": "Unhandled", "errorMessage": failed.to_string()})
}

/// The function's answer as it writes it, or its error as Lambda gives it to the caller.
async fn run(states: &States, name: &str, request_id: &str, event: &Value) -> Result<String, Value> {
    let error = |kind: &str, message: String| json!({"errorType": kind, "errorMessage": message});
    let unwritable = |failed: serde_json::Error| error("Runtime.MarshalError", failed.to_string());
    match name {
        "inbound-sms" => serde_json::to_string(&inbound_sms::handle(&states.inbound_sms, event.clone()).await),
        "delivery-status" => {
            serde_json::to_string(&delivery_status::handle(&states.delivery_status, event.clone()).await)
        }
        "checklist" => {
            let answer = checklist::handle(&states.checklist, request_id, event).await;
            serde_json::to_string(&answer.map_err(|failed| error(failed.kind(), failed.to_string()))?)
        }
        "check-code" => {
            let answer = check_code::handle(&states.check_code, request_id, event).await;
            serde_json::to_string(&answer.map_err(|failed| error(failed.kind(), failed.to_string()))?)
        }
        _ => {
            let answer = send_code::handle(&states.send_code, request_id, event).await;
            serde_json::to_string(&answer.map_err(|failed| error(failed.kind(), failed.to_string()))?)
        }
    }
    .map_err(unwritable)
}

/// What an invocation is told as: `refused: phone_limit (1/30s)`.
fn invocation<'a>(name: &'a str, request: Value, answer: Result<&String, Value>) -> NewExchange<'a> {
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
    // As it was asked for: a number that can't be read is shown too, but belongs to no phone.
    let number = request.get("phone_number").and_then(Value::as_str).and_then(|number| PhoneNumber::parse(number).ok());
    NewExchange {
        kind: ExchangeKind::Invocation,
        title: name,
        summary,
        outcome,
        number: number.map(|number| number.as_str().to_owned()),
        request,
        response,
        fault: None,
    }
}

/// The AWS services that share one address and are told apart by the operation that a request names.
async fn aws(
    State(gateway): State<Gateway>,
    ConnectInfo(line): ConnectInfo<ConnectionHandle>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    if target.starts_with("secretsmanager.") {
        return gateway.desk.secrets.handle(target, &body);
    }
    if !target.starts_with("DynamoDB") {
        let message = "This address answers DynamoDB and Secrets Manager; Lambda's and Twilio's APIs have paths.";
        return aws_error(StatusCode::BAD_REQUEST, "UnknownOperationException", message);
    }
    if let Some(fault) = gateway.desk.faults.take(FaultPoint::Dynamodb, None) {
        return broken(&gateway.desk, fault, target, &line);
    }
    let (status, answer) = gateway.database.answer(target, &body);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, database::CONTENT_TYPE)], answer).into_response()
}

/// DynamoDB as it is when it fails.
fn broken(desk: &Desk, fault: Kind, target: &str, line: &ConnectionHandle) -> Response {
    let (summary, response) = if fault == Kind::DynamodbThrottled {
        let message = "Rate of requests exceeds the allowed throughput.";
        ("throttled", aws_error(StatusCode::BAD_REQUEST, "ThrottlingException", message))
    } else {
        // Reset in place of this answer.
        line.reset();
        ("connection reset", StatusCode::SERVICE_UNAVAILABLE.into_response())
    };
    desk.feed.record(NewExchange {
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

fn aws_error(status: StatusCode, kind: &'static str, message: &str) -> Response {
    let kind_header = [(HeaderName::from_static("x-amzn-errortype"), HeaderValue::from_static(kind))];
    (status, kind_header, axum::Json(json!({"__type": kind, "Type": "User", "message": message}))).into_response()
}

fn starting() -> Response {
    aws_error(StatusCode::SERVICE_UNAVAILABLE, "ServiceException", "the functions are still starting")
}

/// A random id in the shape of Lambda's.
fn request_id() -> String {
    let mut bytes = [0; 16];
    // Were there no randomness, every send would count as a repeat of the first: too few SMS, never too many.
    let _ = getrandom::fill(&mut bytes);
    let n = u128::from_be_bytes(bytes);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        n >> 96,
        n >> 80 & 0xffff,
        n >> 64 & 0xffff,
        n >> 48 & 0xffff,
        n & 0xffff_ffff_ffff
    )
}
