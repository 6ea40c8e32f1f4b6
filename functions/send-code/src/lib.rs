//! send-code: texts a verification code, if the policy and the limits allow it.
//!
//! ```text
//! request ─▶ PhoneNumber ─▶ policy (pure) ─▶ one read ─▶ one TransactWriteItems ─▶ Twilio ─▶ outcome recorded ─▶ answer
//!            invalid?        country, type,   lane, full   idempotency, phone, IP,   one POST,   sid, or the
//!                            prefix           counters,    range: all or none;       never twice admission released
//!                                             block record then the counters
//! ```
//!
//! A refusal is an answer. An error is a malformed request, or a service without which there is no decision: then nothing is
//! sent, and if something may have been sent, nothing is sent again.

pub mod alternatives;
pub mod answer;
mod offers;
pub mod request;
pub mod settings;
pub mod state;
pub mod texts;

use answer::{Answer, NextSend, Reason, Refused};
use offers::{Asker, alternatives, helps};
use request::{Channel, InvalidRequest, Request};
use serde_json::Value;
use shared::messages::locale::Locale;
use shared::phone::code::VerificationCode;
use shared::phone::number::PhoneNumber;
use shared::phone::policy::Violation;
use shared::runtime::credentials::{ApiKey, CredentialsError, Versions};
use shared::runtime::metrics::Metric;
use shared::store::admission::{Admission, Decision, PreviousSend, SendForecast, SendOutcome, SendRequest};
use shared::store::items::StoreError;
use shared::store::verification::Verification;
use shared::twilio::client::{Doubt, MessageSid, OutboundMessage, SendError};
use shared::twilio::price::Dollars;
use shared::twilio::segments::Segments;
use state::State;
use texts::TextSettings;

/// Why there is no answer. Nothing was sent.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
pub enum SendCodeError {
    /// The request is malformed.
    #[error("{0}")]
    InvalidRequest(#[from] InvalidRequest),
    /// The idempotency key was used with another phone number, code or locale.
    #[error(
        "the idempotency key was used for another request; use a new key for each send, and the same key only to repeat one"
    )]
    IdempotencyKeyReused,
    /// The table did not answer, so nothing is sent.
    #[error("{0}")]
    StoreUnavailable(#[from] StoreError),
    /// The credentials for sending can't be read.
    #[error("{0}")]
    CredentialsUnavailable(#[from] CredentialsError),
    /// Twilio rejects the configuration, or does not answer. The message was not sent and does not count.
    #[error("{0}")]
    TwilioUnavailable(SendError),
    /// The operating system gives no random numbers, so there is no code.
    #[error("no random numbers to generate a code: {0}")]
    NoRandomness(getrandom::Error),
}

impl SendCodeError {
    /// Whether the caller made the mistake.
    const fn is_callers(&self) -> bool {
        matches!(self, Self::InvalidRequest(_) | Self::IdempotencyKeyReused)
    }

    /// The metric of an error. Missing randomness shows in Lambda's own count of errors.
    const fn metric(&self) -> Option<Metric> {
        match self {
            Self::StoreUnavailable(StoreError::Busy(_)) => Some(Metric::WriteConflicts),
            Self::StoreUnavailable(_) => Some(Metric::StoreErrors),
            Self::CredentialsUnavailable(_) | Self::TwilioUnavailable(SendError::Unauthorized(_)) => {
                Some(Metric::CredentialErrors)
            }
            Self::TwilioUnavailable(_) => Some(Metric::TwilioErrors),
            Self::InvalidRequest(_) | Self::IdempotencyKeyReused => Some(Metric::InvalidRequests),
            Self::NoRandomness(_) => None,
        }
    }

    /// The error's type, as Lambda gives it to the caller: the variant's name.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.into()
    }
}

/// Answers one request. `request_id` is Lambda's; it is the default of the idempotency key.
///
/// # Errors
/// [`SendCodeError`] if the request is malformed or can't be decided.
pub async fn handle(state: &State, request_id: &str, event: &Value) -> Result<Answer, SendCodeError> {
    let started_ms = state.clock.now_ms();
    let handled = send_code(state, request_id, event).await;
    let now_ms = state.clock.now_ms();
    let took_ms = now_ms.saturating_sub(started_ms);
    state.meter.record(&metrics(&handled, took_ms), now_ms);
    let result = handled.map(|handled| handled.answer);
    match &result {
        Ok(answer) => tracing::info!(
            request_id,
            took_ms,
            status = answer.status(),
            reason = answer.refused().map(Refused::reason),
            rule = answer.refused().and_then(|refused| refused.rule.as_deref()),
            detail = answer.refused().and_then(|refused| refused.detail.as_deref()),
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

/// The answer and the metrics that it emits. Repeats and test numbers emit none.
struct Handled {
    answer: Answer,
    metrics: Vec<Metric>,
}

impl Handled {
    fn refused(refused: Refused) -> Self {
        let metrics = vec![Metric::Refused(refused.reason())];
        Self { answer: refused.into(), metrics }
    }

    const fn without_metrics(answer: Answer) -> Self {
        Self { answer, metrics: vec![] }
    }
}

/// The metrics of an invocation. If there are any, the latency is one of them.
fn metrics(handled: &Result<Handled, SendCodeError>, took_ms: u64) -> Vec<Metric> {
    let mut metrics = match handled {
        Ok(handled) => handled.metrics.clone(),
        Err(error) => error.metric().into_iter().collect(),
    };
    if !metrics.is_empty() {
        metrics.push(Metric::SendLatency(took_ms));
    }
    metrics
}

async fn send_code(state: &State, request_id: &str, event: &Value) -> Result<Handled, SendCodeError> {
    let request = Request::parse(event, request_id)?.with_code_of(state.settings.min_code_digits)?;
    let messages = &state.settings.messages;
    let language = request.locale.as_ref().map(|locale| messages.language(locale).to_owned());
    if request.channel == Channel::Sms && state.settings.test_numbers.find(&request.phone_number).is_some() {
        let now_ms = state.clock.now_ms();
        let verification = state.table.start_verification(&request.phone_number, now_ms, state.random);
        let verification = verification.map_err(SendCodeError::NoRandomness)?;
        return Ok(Handled::without_metrics(Answer::test(&verification, language, now_ms, &state.settings)));
    }
    let phone = match PhoneNumber::parse(&request.phone_number) {
        Ok(phone) => phone,
        Err(invalid) => return Ok(Handled::refused(Refused::invalid_phone_number(invalid))),
    };
    let now_ms = state.clock.now_ms();
    let verification = verification(state, &request, &phone, now_ms)?;
    let asker = Asker { phone: &phone, ip: &request.ip, verification: &verification, locale: request.locale.as_ref() };
    let violation = state.settings.policy.check(&phone).err();
    if request.channel == Channel::TextToVerify {
        let texts = state.settings.texts.as_ref().ok_or(InvalidRequest::NoTextToVerify)?;
        let is_closed = matches!(violation, Some(Violation::Country(_)));
        if violation.is_none() || is_closed && helps(texts, Reason::CountryNotAllowed) {
            return offer_text(state, texts, asker, now_ms).await;
        }
    }
    if let Some(violation) = violation {
        return Ok(refuse(state, asker, Refused::violation(violation), now_ms).await);
    }
    // Everything that can fail without Twilio comes before the send is counted.
    let api_keys = state.api_key.get().await?;
    let code = match &request.code {
        Some(given) => given.clone(),
        None => VerificationCode::generate(state.random).map_err(SendCodeError::NoRandomness)?,
    };

    let now_ms = state.clock.now_ms();
    let body = messages.text(request.locale.as_ref(), code.as_str());
    let price = price(state, &phone, &body);
    let send = SendRequest {
        is_unassigned: state.settings.policy.is_unassigned(&phone),
        phone: &phone,
        ip: &request.ip,
        idempotency_key: &request.idempotency_key,
        code: &code,
        verification: &verification,
        trusted: request.trusted,
        price,
        fingerprint: &fingerprint(&request),
    };
    let refused = match state.table.admit(send, &state.settings.limits, now_ms).await? {
        Decision::Admitted(admission) => {
            return text(state, request_id, *admission, asker, &api_keys, &body, Texted { language, price }).await;
        }
        Decision::Repeated(previous) => return repeat(previous, now_ms).map(Handled::without_metrics),
        Decision::OptedOut => Refused::opted_out(),
        Decision::BlockRecord(shortfall) => Refused::short_of_record(shortfall),
        Decision::NoSuchNumbers => Refused::no_such_numbers(),
        Decision::LimitReached(limited) => Refused::limited(limited, now_ms),
    };
    Ok(refuse(state, asker, refused, now_ms).await)
}

/// A refusal, with what the user can do instead.
async fn refuse(state: &State, asker: Asker<'_>, refused: Refused, now_ms: u64) -> Handled {
    let alternatives = alternatives(state, asker, refused.reason, now_ms).await;
    let offered = (!alternatives.is_empty()).then_some(Metric::TextToVerifyOffered);
    let mut handled = Handled::refused(Refused { alternatives, ..refused });
    handled.metrics.extend(offered);
    handled
}

/// Answers a request for an offer to text, instead of a code.
async fn offer_text(
    state: &State,
    texts: &TextSettings,
    asker: Asker<'_>,
    now_ms: u64,
) -> Result<Handled, SendCodeError> {
    match offers::offer(state, texts, asker, now_ms).await? {
        Ok(alternative) => {
            let answer = Answer::Offered { alternatives: vec![alternative] };
            Ok(Handled { answer, metrics: vec![Metric::TextToVerifyOffered] })
        }
        Err(reached) => Ok(Handled::refused(Refused::limited(reached, now_ms))),
    }
}

/// Texts an admitted code.
async fn text(
    state: &State,
    request_id: &str,
    admission: Admission,
    Asker { phone, verification, .. }: Asker<'_>,
    api_keys: &Versions<ApiKey>,
    body: &str,
    texted: Texted,
) -> Result<Handled, SendCodeError> {
    let sent_ms = admission.at_ms();
    // The forecast is read while Twilio is called, so that it adds no latency. It depends only on the admission, which is
    // already counted, and not on Twilio's answer. If it fails, the answer lacks `next_send_at`.
    let (result, forecast) = tokio::join!(
        text_in_time(state, api_keys, phone, body),
        state.table.forecast(&admission, &state.settings.limits, sent_ms),
    );
    let forecast = forecast.ok();
    report_observed(request_id, forecast.as_ref());
    let next_send_ms = forecast.map(|forecast| forecast.next_send_ms);
    conclude(state, admission, verification, result, sent_ms, next_send_ms, texted).await
}

/// What a text costs. Whose an unassigned number is, nobody knows, so its price is that of any other region.
fn price(state: &State, phone: &PhoneNumber, body: &str) -> Dollars {
    let region = phone.region().filter(|_| !state.settings.policy.is_unassigned(phone));
    state.settings.segment_prices.of(region, Segments::of(body).count)
}

/// The verification that the request names, or a new one.
fn verification(
    state: &State,
    request: &Request,
    phone: &PhoneNumber,
    now_ms: u64,
) -> Result<Verification, SendCodeError> {
    let found = match &request.verification {
        Some(name) => {
            let found = state.table.find_verification(phone.as_str(), name);
            // One that is over may be on a page that was left open for a day.
            Some(found.ok_or(InvalidRequest::Verification)?).filter(|found| found.is_open(now_ms))
        }
        None => None,
    };
    found.map_or_else(
        || state.table.start_verification(phone.as_str(), now_ms, state.random).map_err(SendCodeError::NoRandomness),
        Ok,
    )
}

/// What answers and metrics say of the text.
struct Texted {
    /// Its language, if one was asked for.
    language: Option<String>,
    price: Dollars,
}

/// Turns Twilio's answer to an admitted send of `sent_ms` into ours, and records or releases the admission.
async fn conclude(
    state: &State,
    admission: Admission,
    verification: &Verification,
    result: Result<MessageSid, SendError>,
    sent_ms: u64,
    next_send_ms: Option<u64>,
    texted: Texted,
) -> Result<Handled, SendCodeError> {
    let now_ms = state.clock.now_ms();
    let next_send = next_send_ms.map(|at_ms| NextSend::at(at_ms, now_ms)).unwrap_or_default();
    let spend = Metric::EstimatedSpend(texted.price);
    let (outcome, handled) = match result {
        Ok(sid) => {
            let expires_ms = sent_ms + state.settings.limits.code_lifetime.as_ms();
            let answer = Answer::sent(&sid, verification, expires_ms, texted.language, next_send, now_ms);
            // Zero verified codes: without it the metric would be missing, not zero, while no code is verified, and the
            // conversion could not show exactly the case that it is for.
            (SendOutcome::Sent, Handled { answer, metrics: vec![Metric::Sent, Metric::Verified(0), spend] })
        }
        Err(SendError::Rejected(code)) => {
            let outcome = if code.is_no_such_number() { SendOutcome::NoSuchNumber } else { SendOutcome::Refused };
            (outcome, Handled::refused(Refused::by_twilio(code, next_send)))
        }
        Err(error @ SendError::Unknown(_)) => {
            tracing::error!(%error, "the message may have been sent");
            // If it was sent, it is billed.
            let metrics = vec![Metric::TwilioErrors, spend];
            let answer = Answer::Unknown { verification: verification.as_str().to_owned(), next_send, replayed: false };
            (SendOutcome::Unknown, Handled { answer, metrics })
        }
        Err(error) => {
            release(state, admission).await;
            return Err(SendCodeError::TwilioUnavailable(error));
        }
    };
    record(state, admission, outcome, &handled.answer, now_ms).await;
    Ok(handled)
}

/// What must be equal under the same idempotency key, in addition to the phone number. The IP may change: a phone that leaves the Wi-Fi repeats its request.
fn fingerprint(request: &Request) -> String {
    let code = request.code.as_ref().map_or("", VerificationCode::as_str);
    format!("{code} {}", request.locale.as_ref().map_or("", Locale::as_str))
}

/// Logs which observed limits would have refused this send.
fn report_observed(request_id: &str, forecast: Option<&SendForecast>) {
    for (kind, rule) in forecast.iter().flat_map(|forecast| &forecast.would_have_refused) {
        let limit: &str = Reason::from(*kind).into();
        tracing::warn!(request_id, limit, %rule, "an observed limit would have refused this send");
    }
}

/// Texts the code within the deadline. A request that is in flight then may have been accepted.
async fn text_in_time(
    state: &State,
    api_keys: &Versions<ApiKey>,
    phone: &PhoneNumber,
    body: &str,
) -> Result<MessageSid, SendError> {
    let message = OutboundMessage { to: phone, body, lifetime: state.settings.limits.code_lifetime };
    tokio::time::timeout(state.twilio_deadline, state.twilio.send_with(&state.api_key, api_keys, message))
        .await
        .unwrap_or(Err(SendError::Unknown(Doubt::TimedOut)))
}

/// Releases an admission whose message was certainly not sent, for a reason that doesn't lie with the recipient.
async fn release(state: &State, admission: Admission) {
    let now_ms = state.clock.now_ms();
    if let Err(error) = state.table.release(admission, &state.settings.limits, now_ms).await {
        tracing::error!(%error, "an admission could not be released; it stays counted");
    }
}

/// Records the answer for repeats. A failure doesn't change the answer: a repeat then gets `unknown`, and nothing is sent twice.
async fn record(state: &State, admission: Admission, outcome: SendOutcome, answer: &Answer, now_ms: u64) {
    let recorded = match serde_json::to_string(&answer.stored()) {
        Ok(json) => state
            .table
            .record(admission, &state.settings.limits, outcome, &json, now_ms)
            .await
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = recorded {
        tracing::error!(%error, "the outcome of a send could not be recorded; repeats of it get the answer `unknown`");
    }
}

/// The answer to a repeated request.
fn repeat(previous: PreviousSend, now_ms: u64) -> Result<Answer, SendCodeError> {
    match previous {
        PreviousSend::Answered(json, verification) => serde_json::from_str(&json)
            .map(|answer: Answer| answer.replayed(&verification, now_ms))
            .map_err(|_| StoreError::Corrupt("the stored answer of a send can't be read").into()),
        PreviousSend::InProgress => Ok(Answer::InProgress { retry_after: 1 }),
        PreviousSend::Lost(verification) => {
            let verification = verification.as_str().to_owned();
            Ok(Answer::Unknown { verification, next_send: NextSend::default(), replayed: true })
        }
        PreviousSend::Different => Err(SendCodeError::IdempotencyKeyReused),
    }
}
