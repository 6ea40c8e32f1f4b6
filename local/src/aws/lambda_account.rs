//! Lambda's `GetAccountSettings`: how much of it may run at the same time.
//! <https://docs.aws.amazon.com/lambda/latest/api/API_GetAccountSettings.html>

use super::response::error;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use shared::runtime::lambda_account::Concurrency;
use std::sync::{Arc, Mutex, PoisonError};

/// The account's settings. Clones share them.
#[derive(Clone)]
pub struct FakeLambdaAccount(Arc<Mutex<Option<Concurrency>>>);

impl Default for FakeLambdaAccount {
    /// The quota of an account that has been in use.
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Some(Concurrency { quota: 1000, unreserved: 1000 }))))
    }
}

impl FakeLambdaAccount {
    /// Changes the quota. Without one, the function's role may not read it.
    pub fn set(&self, concurrency: Option<Concurrency>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = concurrency;
    }

    pub(crate) fn router(self) -> Router {
        Router::new().route("/2016-08-19/account-settings", get(account_settings)).with_state(self)
    }
}

async fn account_settings(State(account): State<FakeLambdaAccount>, headers: HeaderMap) -> Response {
    // The signature itself is not verified; AWS's own crate computes it.
    let authorization = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let authorization = String::from_utf8_lossy(authorization);
    let signed = authorization.starts_with("AWS4-HMAC-SHA256 Credential=")
        && ["/us-east-1/lambda/aws4_request,", "SignedHeaders=host;x-amz-date,", "Signature="]
            .iter()
            .all(|part| authorization.contains(part));
    if !signed || !headers.contains_key("x-amz-date") {
        let message = "The request signature we calculated does not match the signature you provided.";
        return error(StatusCode::FORBIDDEN, "InvalidSignatureException", message);
    }
    let concurrency = *account.0.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(Concurrency { quota, unreserved }) = concurrency else {
        return error(
            StatusCode::FORBIDDEN,
            "AccessDeniedException",
            "not authorized to perform: lambda:GetAccountSettings",
        );
    };
    Json(json!({
        "AccountLimit": {
            "TotalCodeSize": 80_530_636_800_u64,
            "CodeSizeUnzipped": 262_144_000,
            "CodeSizeZipped": 52_428_800,
            "ConcurrentExecutions": quota,
            "UnreservedConcurrentExecutions": unreserved,
        },
        "AccountUsage": {"TotalCodeSize": 15_000_000, "FunctionCount": 5},
    }))
    .into_response()
}
