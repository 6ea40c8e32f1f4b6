//! How requests to the test API are read, and how they are refused.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::json;

/// An error response: `{"error": "…"}`.
#[derive(Debug)]
pub struct ApiError(pub StatusCode, pub String);

impl ApiError {
    /// The request is invalid.
    pub fn request(reason: &(impl ToString + ?Sized)) -> Self {
        Self(StatusCode::BAD_REQUEST, reason.to_string())
    }

    /// The resource does not exist.
    pub fn not_found(reason: &(impl ToString + ?Sized)) -> Self {
        Self(StatusCode::NOT_FOUND, reason.to_string())
    }

    /// The server can't answer at the moment.
    pub fn unavailable(reason: &(impl ToString + ?Sized)) -> Self {
        Self(StatusCode::SERVICE_UNAVAILABLE, reason.to_string())
    }

    /// A phone number is not in E.164.
    #[must_use]
    pub fn phone_number() -> Self {
        Self::request("a phone number must be in E.164, such as +14155550123 (in a path also %2B14155550123)")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

/// A JSON body. It must be declared as JSON: pages of other hosts can send forms without asking first, but not JSON.
pub struct JsonBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            let reason = "the body must be JSON, with the header Content-Type: application/json";
            return Err(ApiError(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason.to_owned()));
        }
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|error| ApiError(error.status(), error.body_text()))?;
        serde_json::from_slice(&body).map(Self).map_err(|error| ApiError::request(&format!("invalid body: {error}")))
    }
}
