//! The Lambda function check-code.

use check_code::CheckCodeError;
use check_code::state::State;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde_json::Value;
use shared::runtime::settings::Environment;
use shared::runtime::telemetry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let environment = Environment::of_process();
    telemetry::start(&environment);
    let state =
        State::start(&environment).await.inspect_err(|error| tracing::error!(%error, "check-code can't start"))?;
    let state = &state;
    // The event is taken as any JSON and read by us: the runtime's own errors would repeat it in the log.
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        check_code::handle(state, &event.context.request_id, &event.payload).await.map_err(|error| diagnostic(&error))
    }))
    .await
}

fn diagnostic(error: &CheckCodeError) -> Diagnostic {
    Diagnostic { error_type: error.kind().to_owned(), error_message: error.to_string() }
}
