//! The Lambda function checklist.

use checklist::state::State;
use lambda_runtime::{Error, LambdaEvent};
use serde_json::Value;
use shared::runtime::serve::{diagnostic, serve};
use shared::runtime::settings::Environment;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    serve(
        "checklist",
        async |environment: &Environment, dependencies| State::start(environment, dependencies),
        async |state: &State, event: LambdaEvent<Value>| {
            let handled = checklist::handle(state, &event.context.request_id, &event.payload).await;
            handled.map_err(|error| diagnostic(error.kind(), error))
        },
    )
    .await
}
