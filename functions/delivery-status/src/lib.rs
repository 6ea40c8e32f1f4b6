//! delivery-status: Twilio calls as a message of ours moves on; we count what became of it, once.
//!
//! ```text
//! event ─▶ signature ─▶ status ─▶ one conditional UpdateItem ─▶ counted ─▶ 204
//!          403 if not    400 if not  only ever forward            only if it moved
//! ```
//!
//! Twilio repeats its calls and does not keep their order. The write decides: what does not move a message forward has no effect.

pub mod state;
pub mod status;

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::http::StatusCode;
use serde_json::Value;
use shared::phone::number::PhoneNumber;
use shared::runtime::metrics::Metric;
use shared::store::deliveries::{MessageStatus, StatusReport};
use shared::twilio::reception::{self, Declined, receive};
use state::State;
use status::DeliveryCallback;

/// Answers one call of the webhook. Whatever comes in, there is an answer.
pub async fn handle(state: &State, event: Value) -> ApiGatewayV2httpResponse {
    let taking = tokio::time::timeout(state.deadline, take(state, event));
    let taken = taking.await.unwrap_or(Err(Declined::TooSlow));
    let metrics = match &taken {
        Ok(metrics) => metrics.clone(),
        Err(declined) => declined.metric().into_iter().collect(),
    };
    state.meter.record(&metrics, state.clock.now_ms());
    match taken {
        Ok(_) => reception::no_content(StatusCode::NO_CONTENT),
        Err(declined) => declined.answer("delivery-status"),
    }
}

/// What the call counts as.
async fn take(state: &State, event: Value) -> Result<Vec<Metric>, Declined> {
    let webhook = receive(event, state.public_url.as_ref(), &state.signer).await?;
    let message = DeliveryCallback::read(&webhook)
        .map_err(|reason| Declined::Unfit(format!("This is not the status of a message: {reason}.")))?;
    let report = StatusReport {
        message_sid: message.message_sid,
        status: message.status,
        country: message.to.as_ref().and_then(PhoneNumber::region),
        error_code: message.error_code,
    };
    let is_news = state.deliveries.take(report, state.clock.now_ms()).await?;
    tracing::info!(
        message_sid = report.message_sid,
        status = report.status.as_str(),
        error_code = report.error_code,
        to = message.to.as_ref().map(PhoneNumber::masked),
        is_news,
        "status taken"
    );
    Ok(if is_news { metrics(report) } else { vec![] })
}

/// Only the end of a message counts.
fn metrics(report: StatusReport<'_>) -> Vec<Metric> {
    match report.status {
        MessageStatus::Delivered => vec![Metric::Delivered(report.country)],
        MessageStatus::Undelivered | MessageStatus::Failed => {
            let why = report.error_code.map(Metric::DeliveryErrors);
            [Metric::Undelivered(report.country)].into_iter().chain(why).collect()
        }
        MessageStatus::Accepted
        | MessageStatus::Queued
        | MessageStatus::Sending
        | MessageStatus::Sent
        | MessageStatus::Canceled => vec![],
    }
}
