//! check-code: the app asks whether this is the code; an approved one gives its send back.
//!
//! ```text
//! request ─▶ PhoneNumber ─▶ attempt counted, codes read ─▶ compared ─▶ used up ─▶ send given back ─▶ answer
//!                           one write, before anything      by MAC      once       IP, range,
//!                           is compared                                            country
//! ```
//!
//! What stops SMS pumping is that pumped codes are never verified: the limits of the IP, the range and the country count sends
//! that nobody has verified, so real users never fill them for long, and pumping always does.

pub mod answer;
pub mod request;
pub mod state;

use answer::Answer;
use request::{InvalidRequest, Request};
use serde_json::Value;
use shared::phone::number::PhoneNumber;
use shared::runtime::metrics::Metric;
use shared::store::checks::{CheckResult, VerifiedSend};
use shared::store::items::StoreError;
use state::State;
use std::time::Duration;

/// How long giving back may take: two calls of AWS at their slowest (3.2 s each, see [`shared::runtime::aws`]) and this are below the
/// function's 10 s.
const GIVE_BACK_TIME: Duration = Duration::from_secs(3);

/// Why there is no answer. Then nothing was approved.
#[derive(Debug, thiserror::Error)]
pub enum CheckCodeError {
    /// The request can't be understood.
    #[error("{0}")]
    InvalidRequest(#[from] InvalidRequest),
    /// The table can't decide.
    #[error("{0}")]
    StoreUnavailable(#[from] StoreError),
}

impl CheckCodeError {
    /// The error's type, as Lambda gives it to the caller.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "InvalidRequest",
            Self::StoreUnavailable(_) => "StoreUnavailable",
        }
    }
}

/// Answers one request.
///
/// # Errors
/// [`CheckCodeError`] if the request can't be understood or decided.
pub async fn handle(state: &State, request_id: &str, event: &Value) -> Result<Answer, CheckCodeError> {
    let started_ms = state.clock.now_ms();
    let told = check_code(state, event).await;
    let now_ms = state.clock.now_ms();
    let took_ms = now_ms.saturating_sub(started_ms);
    state.meter.record(metric(&told).as_slice(), now_ms);
    let result = told.map(|told| told.answer);
    match &result {
        Ok(answer) => {
            tracing::info!(request_id, took_ms, status = answer.status(), rule = answer.rule(), "check-code answered");
        }
        Err(error @ CheckCodeError::InvalidRequest(_)) => {
            tracing::warn!(request_id, took_ms, kind = error.kind(), %error, "check-code refused a request");
        }
        Err(error) => tracing::error!(request_id, took_ms, kind = error.kind(), %error, "check-code failed"),
    }
    result
}

/// An answer, and whether it is about a number that nobody has.
struct Told {
    answer: Answer,
    is_test: bool,
}

/// A test number counts as nothing: it would spoil the conversion, by which pumping is told from people.
fn metric(told: &Result<Told, CheckCodeError>) -> Option<Metric> {
    match told {
        Ok(Told { is_test: true, .. }) => None,
        Err(CheckCodeError::InvalidRequest(_)) => Some(Metric::InvalidRequests),
        Ok(Told { answer, .. }) => match answer {
            Answer::Approved => Some(Metric::Verified(1)),
            Answer::Incorrect { .. } => Some(Metric::CheckIncorrect),
            Answer::TooManyAttempts { .. } => Some(Metric::Refused(answer.status())),
            Answer::Expired { .. } => None,
        },
        Err(CheckCodeError::StoreUnavailable(_)) => Some(Metric::StoreErrors),
    }
}

async fn check_code(state: &State, event: &Value) -> Result<Told, CheckCodeError> {
    let request = Request::parse(event)?;
    let now_ms = state.clock.now_ms();
    let test = state.test_numbers.find(&request.phone_number);
    let checked = if let Some((number, code)) = test {
        state.table.check_fixed(number, code, &request.code, &state.limits, now_ms).await?
    } else {
        let phone = PhoneNumber::parse(&request.phone_number).map_err(InvalidRequest::PhoneNumber)?;
        state.table.check(&phone, &request.code, &state.limits, now_ms).await?
    };
    let answer = match checked {
        CheckResult::Approved(verified) => {
            if let Some(verified) = verified {
                give_back(state, verified).await;
            }
            Answer::Approved
        }
        CheckResult::Incorrect { attempts_left, next_send_ms } => Answer::incorrect(attempts_left, next_send_ms),
        CheckResult::Expired { next_send_ms } => Answer::expired(next_send_ms),
        CheckResult::TooMany { exceeded, next_send_ms } => Answer::too_many_attempts(exceeded, next_send_ms, now_ms),
    };
    Ok(Told { answer, is_test: test.is_some() })
}

/// An approval never fails because its send could not be given back: then the limits are only stricter than they need be.
async fn give_back(state: &State, verified: VerifiedSend) {
    let giving_back = state.table.release_verified(verified, &state.limits, state.clock.now_ms());
    let error = match tokio::time::timeout(GIVE_BACK_TIME, giving_back).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it takes too long".to_owned(),
    };
    tracing::error!(%error, "a verified send could not be given back; it stays counted as unverified");
}
