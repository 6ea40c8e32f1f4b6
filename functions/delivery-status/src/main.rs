//! The Lambda function delivery-status, behind `POST /sms/status` of an API Gateway HTTP API.

use delivery_status::state::State;
use lambda_runtime::{Error, LambdaEvent};
use serde_json::Value;
use shared::runtime::serve::serve;
use std::convert::Infallible;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    serve("delivery-status", State::start, async |state: &State, event: LambdaEvent<Value>| {
        Ok::<_, Infallible>(delivery_status::handle(state, event.payload).await)
    })
    .await
}
