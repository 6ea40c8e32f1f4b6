//! inbound-sms: Twilio calls when somebody texts us; we answer only Twilio.
//!
//! ```text
//! event ─▶ signature ─▶ message ─▶ one TransactWriteItems ─▶ TwiML
//!          403 if not    400 if not  kept once, with its
//!                                    effect, before the answer
//! ```
//!
//! What was answered was not lost, and a message that Twilio repeats has no second effect and gets the same answer.

pub mod message;
pub mod settings;
pub mod state;

use lambda_http::Body;
use lambda_http::aws_lambda_events::apigw::{ApiGatewayV2httpRequest, ApiGatewayV2httpResponse};
use lambda_http::http::{HeaderMap, HeaderValue, StatusCode, header};
use message::{InboundMessage, Keyword, NotAMessage};
use serde_json::Value;
use shared::credentials::CredentialsError;
use shared::table::StoreError;
use shared::table::messages::{Effect, Inbound, Taken};
use shared::twiml;
use shared::webhook::{Refusal, Unreadable, Unverified, Webhook};
use state::State;

/// Why a call is not answered with TwiML.
#[derive(Debug, thiserror::Error)]
enum Declined {
    /// Not an event of an HTTP API, payload format 2.0.
    #[error("the event is not one of an API Gateway HTTP API with payload format 2.0")]
    NotAnEvent,
    #[error("{0}")]
    Unreadable(#[from] Unreadable),
    /// Not Twilio's.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// Twilio's, but no message.
    #[error("{0}")]
    NotAMessage(#[from] NotAMessage),
    #[error("{0}")]
    CredentialsUnavailable(#[from] CredentialsError),
    #[error("{0}")]
    StoreUnavailable(#[from] StoreError),
    /// AWS took longer than Twilio waits. The message may have been kept.
    #[error("the message could not be taken in time: Secrets Manager or DynamoDB is slow")]
    TooSlow,
}

/// Answers one call of the webhook. Whatever comes in, there is an answer.
pub async fn handle(state: &State, event: Value) -> ApiGatewayV2httpResponse {
    let answer = tokio::time::timeout(state.time_limit, answer(state, event));
    match answer.await.unwrap_or(Err(Declined::TooSlow)) {
        Ok(twiml) => response(StatusCode::OK, "text/xml; charset=utf-8", twiml),
        Err(declined) => decline(&declined),
    }
}

async fn answer(state: &State, event: Value) -> Result<String, Declined> {
    let event: ApiGatewayV2httpRequest = serde_json::from_value(event).map_err(|_| Declined::NotAnEvent)?;
    let request = Unverified::read(event, state.settings.public_url.as_ref())?;
    let webhook = verify(state, &request).await?;
    let message = InboundMessage::read(&webhook)?;

    let taken = take(state, &message).await?;
    tracing::info!(
        message_sid = message.message_sid,
        from = message.masked_sender(),
        keyword = message.keyword.map(Keyword::as_str),
        reply = taken.reply,
        repeated = taken.repeated,
        "message taken"
    );
    let reply = state.settings.reply_text.as_ref().filter(|_| taken.reply);
    Ok(reply.map_or_else(|| twiml::NO_REPLY.to_owned(), twiml::reply))
}

/// Verifies with the tokens that are cached, and if none fits, once more with newer ones: one may have been rotated.
async fn verify(state: &State, request: &Unverified) -> Result<Webhook, Declined> {
    let signers = state.signer.get().await?;
    let refusal = match request.verify(&signers) {
        Ok(webhook) => return Ok(webhook),
        Err(refusal) => refusal,
    };
    if refusal.may_be_rotation()
        && let Some(newer) = state.signer.refetch(&signers).await?
    {
        return request.verify(&newer).map_err(|refusal| Declined::Refused(Box::new(refusal)));
    }
    Err(Declined::Refused(Box::new(refusal)))
}

async fn take(state: &State, message: &InboundMessage<'_>) -> Result<Taken, StoreError> {
    let settings = &state.settings;
    // A reply is an SMS: it goes only where a code may go. One to ourselves would start a loop.
    let may_be_answered = message.phone.as_ref().is_some_and(|phone| settings.policy.check(phone).is_ok())
        && !settings.is_ours(message.from)
        && message.from != message.to;
    let effect = match message.keyword {
        Some(Keyword::Stop) => Effect::OptOut,
        Some(Keyword::Start) => Effect::OptIn,
        None if settings.reply_text.is_some() && may_be_answered => Effect::Reply(&settings.reply_limit),
        // Twilio answers HELP itself, and has answered STOP and START.
        Some(Keyword::Help) | None => Effect::None,
    };
    let inbound = Inbound {
        message_sid: message.message_sid,
        from: message.from,
        sender: message.sender(),
        to: message.to,
        body: message.body,
        media: &message.media,
        effect,
        lifetime: settings.message_lifetime,
    };
    state.table.take(inbound, state.clock.now_ms()).await
}

/// Says no, with the reason in the log. The caller of a forged request learns nothing but that.
fn decline(declined: &Declined) -> ApiGatewayV2httpResponse {
    let (status, text) = match declined {
        Declined::Refused(refusal) => {
            tracing::warn!(
                reason = %refusal,
                url = refusal.url,
                parameters = refusal.parameters,
                content_type = refusal.content_type,
                body_bytes = refusal.body_bytes,
                "webhook refused: if it was Twilio's, compare this URL with the one configured there"
            );
            (StatusCode::FORBIDDEN, "The request is not signed by Twilio for this account.".to_owned())
        }
        Declined::NotAMessage(reason) => {
            tracing::warn!(%reason, "webhook signed by Twilio, but not an inbound message");
            (StatusCode::BAD_REQUEST, format!("This is not an inbound message: {reason}."))
        }
        Declined::NotAnEvent | Declined::Unreadable(_) => {
            tracing::error!(error = %declined, "inbound-sms failed");
            (StatusCode::BAD_REQUEST, "The request can't be read.".to_owned())
        }
        Declined::CredentialsUnavailable(_) | Declined::StoreUnavailable(_) | Declined::TooSlow => {
            tracing::error!(error = %declined, "inbound-sms failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "The message could not be taken. The reason is in the log.".to_owned())
        }
    };
    response(status, "text/plain; charset=utf-8", text)
}

fn response(status: StatusCode, content_type: &'static str, body: String) -> ApiGatewayV2httpResponse {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = i64::from(status.as_u16());
    response.headers = headers;
    response.body = Some(Body::Text(body));
    response
}
