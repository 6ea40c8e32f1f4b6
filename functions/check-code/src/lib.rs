//! check-code: checks a code that a user typed. A correct code is approved once, and its send is released.
//!
//! ```text
//! request ─▶ PhoneNumber ─▶ attempt counted, codes read ─▶ compared ─▶ used up ─▶ send released ─▶ answer
//!                           one write, before anything      by MAC      once       IP, range,
//!                           is compared                                            country
//! ```
//!
//! The release is what stops SMS pumping, since pumped codes are never verified: the limits of the IP, the range and the country
//! count unverified sends only, so real users don't fill them for long, and pumping always does.

pub mod answer;
pub mod request;
pub mod state;

use answer::{Answer, Assurance};
use request::{InvalidRequest, Request};
use serde_json::Value;
use shared::phone::code::MinCodeDigits;
use shared::phone::number::PhoneNumber;
use shared::runtime::metrics::Metric;
use shared::store::checks::{CheckResult, VerifiedSend};
use shared::store::items::StoreError;
use shared::store::text_to_verify::TextToVerify;
use state::State;
use std::time::Duration;

/// How long the release may take. Three calls of AWS at their slowest (3.2 s each, see [`shared::runtime::aws`]) and this fit into the
/// function's 15 s.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(3);

/// Why there is no answer. Nothing was approved.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
pub enum CheckCodeError {
    /// The request is malformed.
    #[error("{0}")]
    InvalidRequest(#[from] InvalidRequest),
    /// The table did not answer.
    #[error("{0}")]
    StoreUnavailable(#[from] StoreError),
}

impl CheckCodeError {
    /// The error's type, as Lambda gives it to the caller: the variant's name.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.into()
    }
}

/// Answers one request.
///
/// # Errors
/// [`CheckCodeError`] if the request is malformed or can't be decided.
pub async fn handle(state: &State, request_id: &str, event: &Value) -> Result<Answer, CheckCodeError> {
    let started_ms = state.clock.now_ms();
    let handled = check_code(state, event).await;
    let now_ms = state.clock.now_ms();
    let took_ms = now_ms.saturating_sub(started_ms);
    state.meter.record(metric(&handled).as_slice(), now_ms);
    let result = handled.map(|handled| handled.answer);
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

/// An answer, and whether it is for a test number.
struct Handled {
    answer: Answer,
    is_test: bool,
}

/// The metric of an invocation. Test numbers emit none: they would distort the conversion, which reveals pumping.
fn metric(handled: &Result<Handled, CheckCodeError>) -> Option<Metric> {
    match handled {
        Ok(Handled { is_test: true, .. }) => None,
        Err(CheckCodeError::InvalidRequest(_)) => Some(Metric::InvalidRequests),
        Ok(Handled { answer, .. }) => match answer {
            Answer::Approved { assurance: None } => Some(Metric::Verified(1)),
            // No code was sent, so it is no conversion.
            Answer::Approved { assurance: Some(Assurance::Sender) } => Some(Metric::TextToVerifyApproved),
            Answer::Incorrect { .. } => Some(Metric::CheckIncorrect),
            Answer::TooManyAttempts { .. } => Some(Metric::Refused(answer.status())),
            Answer::Refused { reason, .. } => Some(Metric::Refused(reason.into())),
            Answer::Expired { .. } | Answer::Pending { .. } => None,
        },
        Err(CheckCodeError::StoreUnavailable(StoreError::Busy(_))) => Some(Metric::WriteConflicts),
        Err(CheckCodeError::StoreUnavailable(_)) => Some(Metric::StoreErrors),
    }
}

async fn check_code(state: &State, event: &Value) -> Result<Handled, CheckCodeError> {
    let request = Request::parse(event)?;
    let now_ms = state.clock.now_ms();
    let test = state.test_numbers.find(&request.phone_number);
    let result = if let Some((number, code)) = test {
        // The caller of a test chose its code, which may be shorter than those that are sent.
        let guess = request.code.as_ref().ok_or(InvalidRequest::NothingToCheck)?.code(MinCodeDigits::FEWEST);
        state.table.check_fixed(number, code, guess, &state.limits, now_ms).await?
    } else {
        let phone = match PhoneNumber::parse(&request.phone_number) {
            Ok(phone) => phone,
            Err(invalid) => return Ok(Handled { answer: Answer::invalid_phone_number(invalid), is_test: false }),
        };
        let find = |name: &String| state.table.find_verification(phone.as_str(), name);
        let verification = request.verification.as_ref().map(|name| find(name).ok_or(InvalidRequest::Verification));
        let verification = verification.transpose()?;
        let texts = state.text_to_verify != TextToVerify::Off;
        match (&request.code, &verification) {
            (Some(code), verification) => {
                let guess = code.code(state.min_code_digits);
                state.table.check(&phone, guess, verification.as_ref(), texts, &state.limits, now_ms).await?
            }
            (None, Some(verification)) if texts => {
                state.table.check_text(&phone, verification, &state.limits, now_ms).await?
            }
            (None, _) => return Err(InvalidRequest::NothingToCheck.into()),
        }
    };
    let answer = Answer::of(&result, now_ms);
    if let CheckResult::Approved(verified) = result {
        release(state, verified).await;
    }
    Ok(Handled { answer, is_test: test.is_some() })
}

/// Releases the sends of an approved phone. A failure never prevents the approval: the limits are then only stricter than necessary.
async fn release(state: &State, verified: Vec<VerifiedSend>) {
    let release = async {
        let mut result = Ok(());
        for send in verified {
            result = result.and(state.table.release_verified(send, &state.limits, state.clock.now_ms()).await);
        }
        result
    };
    let error = match tokio::time::timeout(RELEASE_TIMEOUT, release).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("not done after {RELEASE_TIMEOUT:?}"),
    };
    tracing::error!(%error, "a verified send could not be released; it stays counted as unverified");
}
