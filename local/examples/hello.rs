//! The least that a Lambda function in Rust can be: the measure beside which `benches/lambda.rs` puts the real ones.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use std::convert::Infallible;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(async |_: LambdaEvent<Value>| Ok::<_, Infallible>(json!({"hello": "world"})))).await
}
