//! send-code: the app asks for a verification code to be texted; the gate decides.
//!
//! ```text
//! request ─▶ PhoneNumber ─▶ policy (pure) ─▶ one TransactWriteItems ─▶ Twilio ─▶ outcome recorded ─▶ answer
//!            invalid?        country, type,   idempotency, phone, IP,   one POST,   sid, or the
//!                            prefix           range: all or none;       never twice admission released
//!                                             then country and total
//! ```
//!
//! A refusal is an answer. An error is a request that can't be understood, or a machine that can't decide: then nothing is
//! sent, and if something may have been sent, nothing is sent again.

pub mod answer;
pub mod messages;
pub mod request;
pub mod settings;
pub mod state;

use answer::{Answer, Refused};
use messages::locale::Locale;
use request::{InvalidRequest, Request};
use serde_json::Value;
use shared::phone::code::VerificationCode;
use shared::phone::number::PhoneNumber;
use shared::runtime::clock::rfc3339;
use shared::runtime::credentials::{ApiKey, CredentialsError, Versions};
use shared::runtime::metrics::Metric;
use shared::store::admission::{Admission, Decision, PreviousSend, SendForecast, SendOutcome, SendRequest};
use shared::store::items::StoreError;
use shared::twilio::client::{Doubt, MessageSid, OutboundMessage, SendError};
use shared::twilio::segments::Segments;
use state::State;

/// Why there is no answer. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum SendCodeError {
    /// The request can't be understood.
    #[error("{0}")]
    InvalidRequest(#[from] InvalidRequest),
    /// The same idempotency key came with another phone number, IP or code.
    #[error(
        "the idempotency key was used for another request: use a new key for each send, and the same key only to repeat it"
    )]
    IdempotencyKeyReused,
    /// The table can't decide, so nothing is sent.
    #[error("{0}")]
    StoreUnavailable(#[from] StoreError),
    /// There are no credentials to send with.
    #[error("{0}")]
    CredentialsUnavailable(#[from] CredentialsError),
    /// Twilio can't be used as it is set up, or not now. The message has not gone, and does not count.
    #[error("{0}")]
    TwilioUnavailable(SendError),
    /// The operating system gives no random numbers, so there is no code.
    #[error("no random numbers to make a code from: {0}")]
    NoRandomness(getrandom::Error),
}

impl SendCodeError {
    /// Whether the caller is to mend it.
    const fn is_callers(&self) -> bool {
        matches!(self, Self::InvalidRequest(_) | Self::IdempotencyKeyReused)
    }

    /// What it counts as. A machine without randomness is in Lambda's own count of errors.
    const fn metric(&self) -> Option<Metric> {
        match self {
            Self::StoreUnavailable(_) => Some(Metric::StoreErrors),
            Self::CredentialsUnavailable(_) | Self::TwilioUnavailable(SendError::Unauthorized(_)) => {
                Some(Metric::CredentialErrors)
            }
            Self::TwilioUnavailable(_) => Some(Metric::TwilioErrors),
            Self::InvalidRequest(_) | Self::IdempotencyKeyReused => Some(Metric::InvalidRequests),
            Self::NoRandomness(_) => None,
        }
    }

    /// The error's type, as Lambda gives it to the caller.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "InvalidRequest",
            Self::IdempotencyKeyReused => "IdempotencyKeyReused",
            Self::StoreUnavailable(_) => "StoreUnavailable",
            Self::CredentialsUnavailable(_) => "CredentialsUnavailable",
            Self::TwilioUnavailable(_) => "TwilioUnavailable",
            Self::NoRandomness(_) => "NoRandomness",
        }
    }
}

/// Answers one request. `request_id` is Lambda's; it names the send unless the request does.
///
/// # Errors
/// [`SendCodeError`] if the request can't be understood or decided.
pub async fn handle(state: &State, request_id: &str, event: &Value) -> Result<Answer, SendCodeError> {
    let started_ms = state.clock.now_ms();
    let told = send_code(state, request_id, event).await;
    let now_ms = state.clock.now_ms();
    let took_ms = now_ms.saturating_sub(started_ms);
    state.meter.record(&metrics(&told, took_ms), now_ms);
    let result = told.map(|told| told.answer);
    match &result {
        Ok(answer) => tracing::info!(
            request_id,
            took_ms,
            status = answer.status(),
            reason = answer.refused().map(Refused::reason),
            rule = answer.refused().and_then(|refused| refused.rule.as_deref()),
            twilio_code = answer.refused().and_then(|refused| refused.twilio_code),
            message_sid = answer.message_sid(),
            "send-code answered"
        ),
        Err(error) if error.is_callers() => {
            tracing::warn!(request_id, took_ms, kind = error.kind(), %error, "send-code refused a request");
        }
        Err(error) => tracing::error!(request_id, took_ms, kind = error.kind(), %error, "send-code failed"),
    }
    result
}

/// An answer, and what it counts as: nothing if it is the answer of before, or for a number that nobody has.
struct Told {
    answer: Answer,
    counts: Vec<Metric>,
}

impl Told {
    fn refused(refused: Refused) -> Self {
        let counts = vec![Metric::Refused(refused.reason())];
        Self { answer: refused.into(), counts }
    }

    const fn nothing_new(answer: Answer) -> Self {
        Self { answer, counts: vec![] }
    }
}

/// What an invocation counts as, and with anything that counts, how long it took.
fn metrics(told: &Result<Told, SendCodeError>, took_ms: u64) -> Vec<Metric> {
    let mut metrics = match told {
        Ok(told) => told.counts.clone(),
        Err(error) => error.metric().into_iter().collect(),
    };
    if !metrics.is_empty() {
        metrics.push(Metric::SendLatency(took_ms));
    }
    metrics
}

async fn send_code(state: &State, request_id: &str, event: &Value) -> Result<Told, SendCodeError> {
    let request = Request::parse(event, request_id)?;
    if state.settings.test_numbers.find(&request.phone_number).is_some() {
        return Ok(Told::nothing_new(Answer::test(state.clock.now_ms(), &state.settings)));
    }
    let phone = match PhoneNumber::parse(&request.phone_number) {
        Ok(phone) => phone,
        Err(invalid) => return Ok(Told::refused(Refused::invalid_phone_number(invalid))),
    };
    if let Err(violation) = state.settings.policy.check(&phone) {
        return Ok(Told::refused(Refused::violation(violation)));
    }
    // What the send needs is there before it is counted.
    let keys = state.api_key.get().await?;
    let code = match &request.code {
        Some(given) => given.clone(),
        None => VerificationCode::generate(state.random).map_err(SendCodeError::NoRandomness)?,
    };

    let send = SendRequest {
        phone: &phone,
        ip: &request.ip,
        idempotency_key: &request.idempotency_key,
        code: &code,
        fingerprint: &fingerprint(&request),
    };
    let now_ms = state.clock.now_ms();
    let admission = match state.table.admit(send, &state.settings.limits, now_ms).await? {
        Decision::Admitted(admission) => admission,
        Decision::OptedOut => return Ok(Told::refused(Refused::opted_out())),
        Decision::LimitReached(limited) => return Ok(Told::refused(Refused::limited(limited, now_ms))),
        Decision::Repeated(earlier) => return repeat(earlier).map(Told::nothing_new),
    };

    let body = state.settings.messages.text(request.locale.as_ref(), code.as_str());
    let (sent, forecast) = tokio::join!(
        text_in_time(state, &keys, &phone, &body),
        state.table.forecast(&admission, &state.settings.limits, now_ms),
    );
    let forecast = forecast.ok();
    report_observed(request_id, forecast.as_ref());
    let next_send_at = forecast.map(|forecast| rfc3339(forecast.next_send_ms));
    let spend = Metric::EstimatedSpend(state.settings.segment_price.of(Segments::of(&body).count));
    let (outcome, told) = match sent {
        Ok(sid) => {
            let expires_ms = now_ms + state.settings.limits.code_lifetime.as_ms();
            let answer = Answer::sent(&sid, expires_ms, next_send_at);
            (SendOutcome::Sent, Told { answer, counts: vec![Metric::Sent, Metric::Verified(0), spend] })
        }
        Err(SendError::Rejected(code)) => (SendOutcome::Refused, Told::refused(Refused::by_twilio(code, next_send_at))),
        Err(error @ SendError::Unknown(_)) => {
            tracing::error!(%error, "the message may have gone");
            // Then it has to be paid for.
            let counts = vec![Metric::TwilioErrors, spend];
            (SendOutcome::Unknown, Told { answer: Answer::Unknown { next_send_at }, counts })
        }
        Err(error) => return Err(give_back(state, admission, error).await),
    };
    record(state, admission, outcome, &told.answer).await;
    Ok(told)
}

/// What makes a request another one under the same idempotency key, beside its number and its IP.
fn fingerprint(request: &Request) -> String {
    let code = request.code.as_ref().map_or("", VerificationCode::as_str);
    format!("{code} {}", request.locale.as_ref().map_or("", Locale::as_str))
}

/// Says which observed limits would have refused a send that went out.
fn report_observed(request_id: &str, forecast: Option<&SendForecast>) {
    for (by, rule) in forecast.iter().flat_map(|forecast| &forecast.would_have_refused) {
        tracing::warn!(request_id, limit = by.as_str(), %rule, "an observed limit would have refused this send");
    }
}

/// Texts the code while there is time. What is under way when the time is up may have gone.
async fn text_in_time(
    state: &State,
    keys: &Versions<ApiKey>,
    phone: &PhoneNumber,
    body: &str,
) -> Result<MessageSid, SendError> {
    let message = OutboundMessage { to: phone, body, lifetime: state.settings.limits.code_lifetime };
    tokio::time::timeout(state.twilio_deadline, state.twilio.send_with(&state.api_key, keys, message))
        .await
        .unwrap_or(Err(SendError::Unknown(Doubt::TimedOut)))
}

/// The message certainly has not gone, and not through the recipient: the limits count as if it had not been asked for.
async fn give_back(state: &State, admission: Admission, error: SendError) -> SendCodeError {
    let now_ms = state.clock.now_ms();
    if let Err(release) = state.table.release(admission, &state.settings.limits, now_ms).await {
        tracing::error!(error = %release, "an admission could not be given back; it stays counted");
    }
    SendCodeError::TwilioUnavailable(error)
}

/// Keeps the answer for repeats. Failing here changes nothing for the caller: what was done was done, and a repeat is told
/// that nobody knows, never sent again.
async fn record(state: &State, admission: Admission, outcome: SendOutcome, answer: &Answer) {
    let recorded = match serde_json::to_string(answer) {
        Ok(json) => state
            .table
            .record(admission, &state.settings.limits, outcome, &json)
            .await
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = recorded {
        tracing::error!(%error, "the outcome of a send could not be recorded; repeats of it will be answered with unknown");
    }
}

/// Answers what was asked for before.
fn repeat(earlier: PreviousSend) -> Result<Answer, SendCodeError> {
    match earlier {
        PreviousSend::Answered(json) => serde_json::from_str(&json)
            .map_err(|_| StoreError::Corrupt("the stored answer of a send can't be read").into()),
        PreviousSend::InProgress => Ok(Answer::InProgress { retry_after: 1 }),
        PreviousSend::Lost => Ok(Answer::Unknown { next_send_at: None }),
        PreviousSend::Different => Err(SendCodeError::IdempotencyKeyReused),
    }
}
