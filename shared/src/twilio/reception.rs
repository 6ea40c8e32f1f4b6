//! The steps that all webhooks share: receive, and report a failure.
//!
//! Anybody can call a webhook. 403 goes to requests that went past the CDN or that Twilio did not sign, 400 to requests that can't be read, 500 to failures
//! on our side. The reason is logged; a caller who is not Twilio does not get it.

use super::origin::OriginError;
use super::signature::SignatureError;
use super::webhook::{Diagnosis, PublicUrl, Unverified, Webhook, WebhookError};
use crate::runtime::credentials::{Secret, Signer};
use crate::runtime::metrics::Metric;
use lambda_http::Body;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

const FORGED: &str = "The request is not signed by Twilio for this account.";
const UNREADABLE: &str = "The request can't be read.";
const FAILED: &str = "The request could not be processed. The reason is in the log.";

/// Reads and verifies a webhook with the cached secret, and if nothing in it matches, once more with newer versions: it may have
/// been rotated.
///
/// # Errors
/// [`WebhookError`], before anything was done.
pub async fn receive(
    event: Value,
    public_url: Option<&PublicUrl>,
    signer: &Secret<Signer>,
) -> Result<Webhook, WebhookError> {
    let request = Unverified::read(event, public_url)?;
    let signers = signer.get().await?;
    let result = request.verify(&signers);
    // Another token can change only the one, another header value only the other. A request without the header, as a flood past the
    // CDN has none, must not use up the refetch of the minute.
    let may_be_outdated = matches!(
        result,
        Err(WebhookError::Forged { reason: SignatureError::Mismatch, .. } | WebhookError::PastCdn(OriginError::Wrong))
    );
    if may_be_outdated && let Some(newer) = signer.refetch(&signers).await? {
        return request.verify(&newer);
    }
    result
}

impl WebhookError {
    /// The metric that counts it, if any.
    #[must_use]
    pub const fn metric(&self) -> Option<Metric> {
        match self {
            // Twilio never sends such a body, so these are forged as well.
            Self::PastCdn(_)
            | Self::Forged { .. }
            | Self::OtherAccount(_)
            | Self::BodyTooLong
            | Self::BodyNotBase64 => Some(Metric::ForgedWebhooks),
            Self::CredentialsUnavailable(_) => Some(Metric::CredentialErrors),
            Self::StoreUnavailable(_) | Self::TimedOut => Some(Metric::StoreErrors),
            Self::NotHttpApi | Self::UnknownHost | Self::Unexpected(_) => None,
        }
    }

    /// Logs the reason, and answers without it.
    #[must_use]
    pub fn answer(&self, function: &'static str) -> ApiGatewayV2httpResponse {
        let (status, text) = match self {
            Self::PastCdn(reason) => {
                tracing::warn!(
                    function,
                    %reason,
                    "webhook rejected before its signature; if Twilio sent it, have Twilio call the CDN's URL, and compare the \
                     header that the CDN adds with originVerify in the secret"
                );
                (StatusCode::FORBIDDEN, FORGED)
            }
            Self::Forged { diagnosis, .. } | Self::OtherAccount(diagnosis) => {
                self.log_forged(function, diagnosis);
                (StatusCode::FORBIDDEN, FORGED)
            }
            Self::Unexpected(reason) => {
                tracing::warn!(function, reason, "Twilio called this URL with another kind of webhook");
                (StatusCode::BAD_REQUEST, reason.as_str())
            }
            Self::NotHttpApi | Self::UnknownHost | Self::BodyTooLong | Self::BodyNotBase64 => {
                tracing::error!(function, error = %self, "webhook failed");
                (StatusCode::BAD_REQUEST, UNREADABLE)
            }
            Self::CredentialsUnavailable(_) | Self::StoreUnavailable(_) | Self::TimedOut => {
                tracing::error!(function, error = %self, "webhook failed");
                (StatusCode::INTERNAL_SERVER_ERROR, FAILED)
            }
        };
        answer(status, "text/plain; charset=utf-8", text.to_owned())
    }

    fn log_forged(&self, function: &'static str, diagnosis: &Diagnosis) {
        tracing::warn!(
            function,
            reason = %self,
            url = diagnosis.url,
            parameters = diagnosis.parameters,
            content_type = diagnosis.content_type,
            body_bytes = diagnosis.body_bytes,
            "webhook rejected; if Twilio sent it, compare this URL with the one configured at Twilio, and the auth token in the \
             secret with Twilio's current one"
        );
    }
}

/// An answer with a body.
#[must_use]
pub fn answer(status: StatusCode, content_type: &'static str, body: String) -> ApiGatewayV2httpResponse {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    let mut response = no_content(status);
    response.headers = headers;
    response.body = Some(Body::Text(body));
    response
}

/// An answer without a body.
#[must_use]
pub fn no_content(status: StatusCode) -> ApiGatewayV2httpResponse {
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = i64::from(status.as_u16());
    response
}
