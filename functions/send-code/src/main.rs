//! The Lambda function send-code.

use lambda_runtime::{Error, LambdaEvent};
use send_code::state::State;
use serde_json::Value;
use shared::runtime::serve::{diagnostic, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    serve("send-code", State::start, async |state: &State, event: LambdaEvent<Value>| {
        let handled = send_code::handle(state, &event.context.request_id, &event.payload).await;
        handled.map_err(|error| diagnostic(error.kind(), error))
    })
    .await
}
