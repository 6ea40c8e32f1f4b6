//! What the handlers work with: the parts of the running system, the errors of the API, and JSON bodies.

use crate::aws::secrets_manager::FakeSecrets;
use crate::clock::MovableClock;
use crate::fake_account::FakeAccount;
use crate::functions::{Functions, States};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use fake_twilio::FakeTwilio;
use fake_twilio::exchanges::Exchanges;
use fake_twilio::faults::Faults;
use serde::de::DeserializeOwned;
use serde_json::json;
use shared::runtime::backoff::Backoff;
use shared::runtime::settings::Environment;
use shared::store::items::Items;
use shared::store::table::Table;
use std::sync::Arc;

/// The parts of the system. Clones share them.
#[derive(Clone)]
pub struct AppState {
    /// The system's address, `http://127.0.0.1:PORT`.
    pub base_url: Arc<str>,
    /// The clock of all parts.
    pub clock: MovableClock,
    /// The exchanges between the parts, and all other events.
    pub exchanges: Exchanges,
    /// The pending faults.
    pub faults: Faults,
    /// Twilio, with the phones.
    pub twilio: FakeTwilio,
    /// The resources of the Twilio account.
    pub account: FakeAccount,
    /// Secrets Manager.
    pub secrets: FakeSecrets,
    /// The functions.
    pub functions: Functions,
    /// A client of the embedded DynamoDB that no fault affects.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The environment of the functions.
    pub environment: Arc<Environment>,
}

impl AppState {
    /// The functions.
    ///
    /// # Errors
    /// [`ApiError`] while they are starting.
    pub fn states(&self) -> Result<&States, ApiError> {
        self.functions.get().ok_or_else(|| ApiError::unavailable("the functions are still starting"))
    }

    /// The table, unaffected by faults: a test that breaks DynamoDB still wants to see the result.
    ///
    /// # Errors
    /// [`ApiError`] while the functions are starting.
    pub fn table(&self) -> Result<Table, ApiError> {
        let Table { items, key } = &self.states()?.send_code.table;
        let items = Items { client: self.dynamodb.clone(), backoff: Backoff::FOR_WRITES, ..items.clone() };
        Ok(Table { items, key: key.clone() })
    }
}

/// An error of the API: a status and `{"error": "…"}`.
#[derive(Debug)]
pub struct ApiError(pub StatusCode, pub String);

impl ApiError {
    /// The request is invalid.
    pub fn bad_request(reason: &(impl ToString + ?Sized)) -> Self {
        Self(StatusCode::BAD_REQUEST, reason.to_string())
    }

    /// The resource doesn't exist.
    pub fn not_found(reason: &(impl ToString + ?Sized)) -> Self {
        Self(StatusCode::NOT_FOUND, reason.to_string())
    }

    /// The request can't be served now.
    pub fn unavailable(reason: &(impl ToString + ?Sized)) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, reason.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

/// A JSON body. The request must declare its content type: a page of another host can send any other body without a preflight.
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            let reason = "the body must be JSON; send it with Content-Type: application/json";
            return Err(ApiError(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason.to_owned()));
        }
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|error| ApiError(error.status(), error.body_text()))?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| ApiError::bad_request(&format!("invalid JSON body ({error})")))
    }
}
