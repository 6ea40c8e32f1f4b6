//! The Lambda function delivery-status, behind `POST /sms/status` of an API Gateway HTTP API.

use delivery_status::state::State;
use lambda_http::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use shared::runtime::settings::Environment;
use shared::runtime::telemetry;
use std::convert::Infallible;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::of_process();
    telemetry::start(&environment);
    let state =
        State::start(&environment).await.inspect_err(|error| tracing::error!(%error, "delivery-status can't start"))?;
    let state = &state;
    // Not `lambda_http::run`: the signature needs the event as it is.
    lambda_http::lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        Ok::<_, Infallible>(delivery_status::handle(state, event.payload).await)
    }))
    .await
}
