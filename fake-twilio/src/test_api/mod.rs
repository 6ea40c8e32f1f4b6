//! What Twilio doesn't have and tests need: an HTTP API that plays the phones and sets faults.

mod faults;
mod phones;
pub mod request;

pub use faults::router as faults;
pub use phones::{router as phone_messages, view};

use crate::test_api::request::ApiError;
use crate::twilio::FakeTwilio;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::delete;
use shared::phone::number::is_e164;

/// The whole test API: phones, faults and resets.
pub fn router(twilio: &FakeTwilio) -> Router {
    Router::new()
        .route("/phones", delete(reset))
        .route("/phones/{number}", delete(forget))
        .with_state(twilio.clone())
        .merge(phone_messages(twilio, view))
        .merge(faults(twilio.faults()))
}

async fn reset(State(twilio): State<FakeTwilio>) -> StatusCode {
    twilio.faults().clear();
    twilio.exchanges().clear();
    twilio.forget(None);
    StatusCode::NO_CONTENT
}

async fn forget(State(twilio): State<FakeTwilio>, Path(number): Path<String>) -> Result<StatusCode, ApiError> {
    if !is_e164(&number) {
        return Err(ApiError::phone_number());
    }
    twilio.forget(Some(&number));
    Ok(StatusCode::NO_CONTENT)
}
