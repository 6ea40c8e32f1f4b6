//! delivery-status: Twilio calls it with each new status of a code, and each final status is counted once.
//!
//! ```text
//! event ─▶ signature ─▶ status ─▶ one conditional UpdateItem ─▶ counted ─▶ 204
//!          403 if not    400 if not  only ever forward            only if it moved
//! ```
//!
//! Twilio repeats calls and reorders them. The conditional write decides: a status that does not move its message forward has no
//! effect.

pub mod state;
pub mod status;

use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::http::StatusCode;
use serde_json::Value;
use shared::phone::number::PhoneNumber;
use shared::runtime::metrics::Metric;
use shared::store::deliveries::{MessageStatus, ReportedStatus, StatusReport};
use shared::twilio::reception::{self, receive};
use shared::twilio::webhook::WebhookError;
use state::State;
use status::DeliveryCallback;

/// Answers one call of the webhook. Errors are answers too.
pub async fn handle(state: &State, event: Value) -> ApiGatewayV2httpResponse {
    let result = tokio::time::timeout(state.deadline, process(state, event)).await;
    let result = result.unwrap_or(Err(WebhookError::TimedOut));
    let metrics = match &result {
        Ok(metrics) => metrics.clone(),
        Err(error) => error.metric().into_iter().collect(),
    };
    state.meter.record(&metrics, state.clock.now_ms());
    match result {
        Ok(_) => reception::no_content(StatusCode::NO_CONTENT),
        Err(error) => error.answer("delivery-status"),
    }
}

/// Records a status, and returns the metrics that it emits.
async fn process(state: &State, event: Value) -> Result<Vec<Metric>, WebhookError> {
    let webhook = receive(event, state.public_url.as_ref(), &state.signer).await?;
    let callback = DeliveryCallback::read(&webhook)
        .map_err(|reason| WebhookError::Unexpected(format!("This is not a message status: {reason}.")))?;
    let report = StatusReport {
        message_sid: callback.message_sid,
        status: callback.status,
        country: callback.to.as_ref().and_then(PhoneNumber::region),
        error_code: callback.error_code,
    };
    let is_news = state.deliveries.record(report, state.clock.now_ms()).await?;
    tracing::info!(
        message_sid = report.message_sid,
        status = report.status.as_str(),
        error_code = report.error_code,
        to = callback.to.as_ref().map(PhoneNumber::masked),
        is_news,
        "status recorded"
    );
    Ok(if is_news { metrics(report) } else { vec![] })
}

/// Only final statuses are counted.
fn metrics(report: StatusReport<'_>) -> Vec<Metric> {
    let ReportedStatus::Known(status) = report.status else { return vec![] };
    match status {
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
