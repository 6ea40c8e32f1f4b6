//! The Lambda function checklist.

use checklist::state::State;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::Value;
use shared::runtime::settings::Environment;
use shared::runtime::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::of_process();
    telemetry::start(&environment);
    let state = State::start(&environment).inspect_err(|error| tracing::error!(%error, "checklist can't start"))?;
    let state = &state;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        checklist::handle(state, &event.context.request_id, &event.payload)
            .await
            .map_err(|error| Diagnostic { error_type: error.kind().to_owned(), error_message: error.to_string() })
    }))
    .await
}
