//! What the page and scripts work with: the parts of the running system, and how a request to them is read and refused.

use crate::clock::MovableClock;
use crate::fake_account::FakeAccount;
use crate::fake_secrets::FakeSecrets;
use crate::gateway::Functions;
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
use shared::runtime::settings::Environment;
use std::sync::Arc;

/// The parts of the system. Clones are the same ones.
#[derive(Clone)]
pub struct Desk {
    /// Where everything is: `http://127.0.0.1:PORT`.
    pub base_url: Arc<str>,
    /// The clock of all parts.
    pub clock: MovableClock,
    /// What happens.
    pub feed: Exchanges,
    /// What is to go wrong.
    pub faults: Faults,
    /// Twilio, with the phones.
    pub twilio: FakeTwilio,
    /// What Twilio tells of the account.
    pub account: FakeAccount,
    /// Secrets Manager.
    pub secrets: FakeSecrets,
    /// The functions.
    pub functions: Functions,
    /// The embedded DynamoDB, past all faults.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// What the functions were started with.
    pub environment: Arc<Environment>,
}

/// A request that can't be answered: `{"error": "…"}`.
#[derive(Debug)]
pub struct Wrong(pub StatusCode, pub String);

impl Wrong {
    /// The request says what can't be.
    pub fn request(reason: &(impl ToString + ?Sized)) -> Self {
        Self(StatusCode::BAD_REQUEST, reason.to_string())
    }

    /// What it asks for is not there.
    pub fn not_found(reason: &(impl ToString + ?Sized)) -> Self {
        Self(StatusCode::NOT_FOUND, reason.to_string())
    }

    /// The machine can't, now.
    pub fn unavailable(reason: &(impl ToString + ?Sized)) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, reason.to_string())
    }
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

/// A JSON body, of a request that says so: a form on a foreign page could say anything else without asking first.
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Wrong;

    async fn from_request(request: Request, state: &S) -> Result<Self, Wrong> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            let reason = "the body must be JSON, and the request say so: Content-Type: application/json";
            return Err(Wrong(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason.to_owned()));
        }
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|error| Wrong(error.status(), error.body_text()))?;
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| Wrong::request(&format!("the body can't be read: {error}")))
    }
}
