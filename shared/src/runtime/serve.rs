//! How every function starts and serves: environment, logs, dependencies, state, then Lambda's loop of invocations.

use crate::runtime::dependencies::{Dependencies, StartError};
use crate::runtime::settings::Environment;
use crate::runtime::telemetry;
use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::Value;
use std::fmt::{Debug, Display};

/// Builds the state once and handles invocations until Lambda ends the process.
///
/// An event arrives as any JSON, and each function reads it itself, for two reasons: the errors of Lambda's runtime would repeat
/// the event in the log, and a webhook's signature needs the event as it is. (`lambda_http::run` rebuilds the URL from headers,
/// and panics on some events.)
///
/// # Errors
/// [`StartError`], after it was logged, or whatever ends Lambda's loop.
pub async fn serve<State, Answer, Failure>(
    function: &'static str,
    start: impl AsyncFnOnce(&Environment, Dependencies) -> Result<State, StartError>,
    handle: impl AsyncFn(&State, LambdaEvent<Value>) -> Result<Answer, Failure>,
) -> Result<(), Error>
where
    Answer: Serialize,
    Failure: Into<Diagnostic> + Debug,
{
    let environment = Environment::of_process();
    telemetry::start(&environment);
    let state = async { start(&environment, Dependencies::from_environment(&environment)?).await }
        .await
        .inspect_err(|error| tracing::error!(function, %error, "the function can't start"))?;
    let (state, handle) = (&state, &handle);
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| handle(state, event).await)).await
}

/// An error as Lambda reports it to the caller: `kind` as `errorType`, its text as `errorMessage`.
pub fn diagnostic(kind: &str, error: impl Display) -> Diagnostic {
    Diagnostic { error_type: kind.to_owned(), error_message: error.to_string() }
}
