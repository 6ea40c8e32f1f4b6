//! The Lambda function check-code.

use check_code::state::State;
use lambda_runtime::{Error, LambdaEvent};
use serde_json::Value;
use shared::runtime::serve::{diagnostic, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    serve("check-code", State::start, async |state: &State, event: LambdaEvent<Value>| {
        let handled = check_code::handle(state, &event.context.request_id, &event.payload).await;
        handled.map_err(|error| diagnostic(error.kind(), error))
    })
    .await
}
