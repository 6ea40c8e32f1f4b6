//! What stands before the functions: API Gateway for the webhook, Lambda's API for invocations, and the addresses of the
//! stand-ins, all on one port.

use crate::fake_secrets::FakeSecrets;
use crate::fake_twilio::FakeTwilio;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lambda_http::Body;
use serde_json::{Map, Value, json};
use std::sync::{Arc, OnceLock};

/// The stand-ins that requests are passed on to.
#[derive(Clone)]
pub struct Backends {
    /// Twilio.
    pub twilio: FakeTwilio,
    /// Secrets Manager.
    pub secrets: FakeSecrets,
    /// Where the embedded DynamoDB listens.
    pub database_url: String,
    /// The client that reaches it.
    pub http: reqwest::Client,
}

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
}

impl Functions {
    /// From now on the functions answer.
    pub fn set(&self, states: States) {
        let _ = self.0.set(states);
    }
}

#[derive(Clone)]
struct Gateway {
    backends: Backends,
    functions: Functions,
}

/// Everything that the local system answers.
pub fn router(base_url: &str, backends: Backends, functions: Functions) -> Router {
    let overview = overview(base_url);
    let twilio = backends.twilio.router();
    let gateway = Gateway { backends, functions };
    Router::new()
        .route("/", post(aws).get(async move || overview))
        .route("/sms", post(webhook))
        .route("/2015-03-31/functions/{name}/invocations", post(invoke))
        .with_state(gateway)
        .merge(twilio)
        .layer(middleware::from_fn(own_host_only))
}

/// What the system offers, with commands to copy.
#[must_use]
pub fn overview(base_url: &str) -> String {
    use crate::system::{ACCOUNT_SID, API_KEY_SECRET, API_KEY_SID, AUTH_TOKEN, OUR_NUMBER, TABLE_NAME};
    format!(
        r#"Tollgate, all of it, on this machine. Nothing leaves 127.0.0.1; no SMS is sent or paid for.

Ask for a code, as your app's back end would. Any AWS SDK works, with this address as its endpoint and any credentials:
  export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION=us-east-1
  curl -s {base_url}/2015-03-31/functions/send-code/invocations -d '{{"phone_number":"+14155550123","ip":"203.0.113.7","code":"493027"}}'; echo
  aws lambda invoke --endpoint-url {base_url} --function-name send-code --payload fileb://events/send-code.json /dev/stdout | cat
  (from this folder; the second within 30 seconds to one number is refused: that is PhoneLimit)

Check the code that was texted:
  curl -s {base_url}/2015-03-31/functions/check-code/invocations -d '{{"phone_number":"+14155550123","code":"493027"}}'; echo

Read the SMS that "Twilio" has taken (its REST API is here too; give any Twilio client this base URL):
  curl -s -u {API_KEY_SID}:{API_KEY_SECRET} {base_url}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json

Text the service, as Twilio would (the webhook is POST {base_url}/sms):
  URL={base_url}/sms
  SIGNED=$(printf %s "${{URL}}AccountSid{ACCOUNT_SID}BodyHelloFrom+14155550123MessageSidSM00000000000000000000000000000001To{OUR_NUMBER}" | openssl dgst -sha1 -hmac {AUTH_TOKEN} -binary | base64)
  curl -s $URL -H "X-Twilio-Signature: $SIGNED" --data-urlencode AccountSid={ACCOUNT_SID} --data-urlencode Body=Hello \
    --data-urlencode From=+14155550123 --data-urlencode MessageSid=SM00000000000000000000000000000001 --data-urlencode To={OUR_NUMBER}

Look into the table (no person's number is in its keys; inbound messages stand there in clear):
  aws dynamodb scan --endpoint-url {base_url} --table-name {TABLE_NAME}

Twilio's magic numbers fail as they do at Twilio: +15005550001 is invalid (21211), 0002 not routable (21612), 0003 not allowed (21408),
0004 opted out (21610), 0009 not a mobile (21614).

The fake Twilio's account:  {ACCOUNT_SID}, number {OUR_NUMBER}
Its auth token (signs):     {AUTH_TOKEN}
Its API key (sends):        {API_KEY_SID}, secret {API_KEY_SECRET}
"#
    )
}

/// Only this machine's own names: a page on the Internet whose name was re-bound to 127.0.0.1 gets nothing.
async fn own_host_only(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host
        .rsplit_once(':')
        .map_or(host, |(name, port)| if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host });
    if matches!(name, "127.0.0.1" | "localhost" | "[::1]") {
        next.run(request).await
    } else {
        (StatusCode::MISDIRECTED_REQUEST, "This address answers only to 127.0.0.1 and localhost.\n").into_response()
    }
}

/// The webhook, as API Gateway would pass it: an HTTP API event of payload format 2.0.
async fn webhook(
    State(gateway): State<Gateway>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(states) = gateway.functions.0.get() else { return starting() };
    let event = event(&method, &uri, &headers, &body);
    let answer = inbound_sms::handle(&states.inbound_sms, event).await;

    let code = u16::try_from(answer.status_code).ok().and_then(|code| StatusCode::from_u16(code).ok());
    let body = match answer.body {
        Some(Body::Text(text)) => text.into_bytes(),
        Some(Body::Binary(bytes)) => bytes,
        _ => Vec::new(),
    };
    (code.unwrap_or(StatusCode::BAD_GATEWAY), answer.headers, body).into_response()
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
    payload: Bytes,
) -> Response {
    let Some(states) = gateway.functions.0.get().cloned() else { return starting() };
    let request_id = request_id();
    let id = HeaderValue::from_str(&request_id).unwrap_or(HeaderValue::from_static(""));
    let id = [(HeaderName::from_static("x-amzn-requestid"), id)];
    // The name, or the end of an ARN.
    let name = name.rsplit(':').next().unwrap_or_default().to_owned();
    if !["send-code", "check-code", "inbound-sms"].contains(&name.as_str()) {
        let message = format!("Function not found: {name}. There are send-code, check-code and inbound-sms.");
        return (id, aws_error(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message)).into_response();
    }
    let payload = if payload.is_empty() { Bytes::from_static(b"null") } else { payload };
    let Ok(event) = serde_json::from_slice::<Value>(&payload) else {
        let message = "Could not parse request body into json";
        return (id, aws_error(StatusCode::BAD_REQUEST, "InvalidRequestContentException", message)).into_response();
    };
    let run = async move {
        match name.as_str() {
            "inbound-sms" => Ok(axum::Json(inbound_sms::handle(&states.inbound_sms, event).await).into_response()),
            "check-code" => {
                let answer = check_code::handle(&states.check_code, &request_id, &event).await;
                answer
                    .map(|answer| axum::Json(answer).into_response())
                    .map_err(|error| (error.kind(), error.to_string()))
            }
            _ => {
                let answer = send_code::handle(&states.send_code, &request_id, &event).await;
                answer
                    .map(|answer| axum::Json(answer).into_response())
                    .map_err(|error| (error.kind(), error.to_string()))
            }
        }
    };
    match headers.get("x-amz-invocation-type").map(HeaderValue::as_bytes) {
        Some(b"DryRun") => (StatusCode::NO_CONTENT, id).into_response(),
        Some(b"Event") => {
            tokio::spawn(run);
            (StatusCode::ACCEPTED, id).into_response()
        }
        _ => match run.await {
            Ok(answer) => (id, answer).into_response(),
            Err((kind, message)) => {
                let failed = [(HeaderName::from_static("x-amz-function-error"), HeaderValue::from_static("Unhandled"))];
                let error = json!({"errorType": kind, "errorMessage": message});
                (id, failed, axum::Json(error)).into_response()
            }
        },
    }
}

/// The AWS services that share one address and are told apart by the operation that a request names.
async fn aws(State(gateway): State<Gateway>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    if target.starts_with("secretsmanager.") {
        return gateway.backends.secrets.handle(target, &body);
    }
    if !target.starts_with("DynamoDB") {
        let message = "This address answers DynamoDB and Secrets Manager; Lambda's and Twilio's APIs have paths.";
        return aws_error(StatusCode::BAD_REQUEST, "UnknownOperationException", message);
    }
    let mut passed_on = headers.clone();
    passed_on.remove(header::HOST);
    let request = gateway.backends.http.post(&gateway.backends.database_url).headers(passed_on).body(body);
    let answer = async {
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Ok::<_, reqwest::Error>((status, headers, answer.bytes().await?))
    };
    match answer.await {
        Ok((status, mut headers, body)) => {
            headers.remove(header::TRANSFER_ENCODING);
            (status, headers, body).into_response()
        }
        Err(error) => aws_error(StatusCode::SERVICE_UNAVAILABLE, "InternalServerError", &error.to_string()),
    }
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
