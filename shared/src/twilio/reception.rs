//! What every webhook does before it reads a form, and what it answers when it will not: 403 to whoever is not Twilio, 400 to what
//! can't be read, 500 when we can't tell. The reason is in the log; a caller who is not Twilio learns nothing but that.

use super::webhook::{PublicUrl, Refusal, Unreadable, Unverified, Webhook};
use crate::runtime::credentials::{CredentialsError, Secret, Signer};
use crate::runtime::metrics::Metric;
use crate::store::items::StoreError;
use lambda_http::Body;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use lambda_http::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

/// Why a call of a webhook is turned down.
#[derive(Debug, thiserror::Error)]
pub enum Declined {
    /// Not an event of an HTTP API, payload format 2.0.
    #[error("the event is not one of an API Gateway HTTP API with payload format 2.0")]
    NotAnEvent,
    /// An event, but no request.
    #[error("{0}")]
    Unreadable(#[from] Unreadable),
    /// Not Twilio's.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// Twilio's, but nothing that this webhook reads. The text says what, in a sentence for Twilio's debugger.
    #[error("{0}")]
    Unfit(String),
    /// There is no auth token to verify with.
    #[error("{0}")]
    CredentialsUnavailable(#[from] CredentialsError),
    /// The table did not take it.
    #[error("{0}")]
    StoreUnavailable(#[from] StoreError),
    /// AWS took longer than Twilio waits. It may have been taken.
    #[error("it could not be taken in time: Secrets Manager or DynamoDB is slow")]
    TooSlow,
}

/// The form in an event, if Twilio signed it. Verified with the tokens that are cached, and if none fits, once more with newer
/// ones: one may have been rotated.
///
/// # Errors
/// [`Declined`] with the reason.
pub async fn receive(
    event: Value,
    public_url: Option<&PublicUrl>,
    signer: &Secret<Signer>,
) -> Result<Webhook, Declined> {
    let event: ApiGatewayV2httpRequest = serde_json::from_value(event).map_err(|_| Declined::NotAnEvent)?;
    let request = Unverified::read(event, public_url)?;
    let signers = signer.get().await?;
    let refusal = match request.verify(&signers) {
        Ok(webhook) => return Ok(webhook),
        Err(refusal) => refusal,
    };
    if refusal.may_be_rotation()
        && let Some(newer) = signer.refetch(&signers).await?
    {
        return request.verify(&newer).map_err(|refusal| Declined::Refused(Box::new(refusal)));
    }
    Err(Declined::Refused(Box::new(refusal)))
}

impl Declined {
    /// What it counts as, if anything.
    #[must_use]
    pub const fn metric(&self) -> Option<Metric> {
        match self {
            // What Twilio never sends, somebody else sends.
            Self::Refused(_) | Self::Unreadable(Unreadable::TooLong | Unreadable::NotBase64) => {
                Some(Metric::ForgedWebhooks)
            }
            Self::CredentialsUnavailable(_) => Some(Metric::CredentialErrors),
            Self::StoreUnavailable(_) | Self::TooSlow => Some(Metric::StoreErrors),
            Self::NotAnEvent | Self::Unreadable(Unreadable::NoHost) | Self::Unfit(_) => None,
        }
    }

    /// Says no, with the reason in the log.
    #[must_use]
    pub fn answer(&self, function: &'static str) -> ApiGatewayV2httpResponse {
        let (status, text) = match self {
            Self::Refused(refusal) => {
                tracing::warn!(
                    function,
                    reason = %refusal,
                    url = refusal.url,
                    parameters = refusal.parameters,
                    content_type = refusal.content_type,
                    body_bytes = refusal.body_bytes,
                    "webhook refused: if it was Twilio's, compare this URL with the one configured there, and the auth token in the \
                     secret with Twilio's current one"
                );
                (StatusCode::FORBIDDEN, "The request is not signed by Twilio for this account.")
            }
            Self::Unfit(reason) => {
                tracing::warn!(function, reason, "webhook signed by Twilio, but not what belongs to this URL");
                (StatusCode::BAD_REQUEST, reason.as_str())
            }
            Self::NotAnEvent | Self::Unreadable(_) => {
                tracing::error!(function, error = %self, "webhook failed");
                (StatusCode::BAD_REQUEST, "The request can't be read.")
            }
            Self::CredentialsUnavailable(_) | Self::StoreUnavailable(_) | Self::TooSlow => {
                tracing::error!(function, error = %self, "webhook failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "The request could not be taken. The reason is in the log.")
            }
        };
        answer(status, "text/plain; charset=utf-8", text.to_owned())
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

/// An answer without one.
#[must_use]
pub fn no_content(status: StatusCode) -> ApiGatewayV2httpResponse {
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = i64::from(status.as_u16());
    response
}
