//! Errors in the form that AWS's JSON APIs share.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// An error of this type, for example `ResourceNotFoundException`.
pub(super) fn error(status: StatusCode, kind: &'static str, message: &str) -> Response {
    let kind_header = [(HeaderName::from_static("x-amzn-errortype"), HeaderValue::from_static(kind))];
    (status, kind_header, Json(json!({"__type": kind, "Type": "User", "message": message}))).into_response()
}

/// The error before the functions have started.
pub(super) fn starting() -> Response {
    error(StatusCode::SERVICE_UNAVAILABLE, "ServiceException", "the functions are still starting")
}
