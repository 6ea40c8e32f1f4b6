//! The Lambda function inbound-sms, behind `POST /sms` of an API Gateway HTTP API.

use inbound_sms::state::State;
use lambda_runtime::{Error, LambdaEvent};
use serde_json::Value;
use shared::runtime::serve::serve;
use std::convert::Infallible;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    serve("inbound-sms", State::start, async |state: &State, event: LambdaEvent<Value>| {
        Ok::<_, Infallible>(inbound_sms::handle(state, event.payload).await)
    })
    .await
}
