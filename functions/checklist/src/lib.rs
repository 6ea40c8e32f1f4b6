//! checklist: is the real account, and the real stack, ready to send?
//!
//! ```text
//! credentials  account  api_key_restricted   do the secrets work, and do they allow too much?   ┐ first, because the
//! table   clock   limits   concurrency       are the stack's own parts as they should be?       ┘ rest needs credentials
//! webhooks     public_url                    do inbound messages reach us, at the URL that is signed?
//! sender_registration                        do US carriers know us?
//! geo_permissions       voice_permissions    which countries could fraud reach?
//! ```
//!
//! Each check has its own time limit and reports its own findings, whatever the others do. What can't be read is `unknown`, never
//! `pass`. The checks only read. What changes the account is in [`repair`], and runs only if the request says `apply`.

pub mod checks;
pub mod repair;
pub mod report;
pub mod request;
pub mod settings;
pub mod state;
pub mod twilio_api;

use checks::credentials::Credentials;
use checks::sender::SenderFacts;
use checks::table::TableFacts;
use checks::{
    account, api_key_restricted, clock, concurrency, credentials, geo_permissions, limits, public_url,
    sender_registration, table, voice_permissions, webhooks,
};
use repair::{RepairDeadlines, RepairOutcome};
use report::{Check, CheckStatus, Finding, Report};
use request::{InvalidRequest, Request};
use serde_json::Value;
use shared::runtime::aws::reason;
use shared::runtime::credentials::Secret;
use shared::runtime::metrics::Metric;
use state::State;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use twilio_api::Session;

/// The checks that read the credentials.
const CREDENTIALS_CHECKS: [Check; 3] = [Check::Credentials, Check::Account, Check::ApiKeyRestricted];
/// The checks that read the sender.
const SENDER_CHECKS: [Check; 3] = [Check::Webhooks, Check::PublicUrl, Check::SenderRegistration];
/// The checks that need credentials which Twilio accepts.
const SESSION_CHECKS: [Check; 5] =
    [Check::Webhooks, Check::PublicUrl, Check::SenderRegistration, Check::GeoPermissions, Check::VoicePermissions];

/// Why there is no report. Nothing was checked and nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChecklistError {
    /// The request can't be understood.
    #[error("{0}")]
    InvalidRequest(#[from] InvalidRequest),
}

impl ChecklistError {
    /// The error's type, as Lambda reports it to the caller.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "InvalidRequest",
        }
    }
}

/// What the checks found, and what the repairs changed.
struct Findings {
    rows: Vec<Finding>,
    changes: Vec<Finding>,
}

/// Runs the checklist.
///
/// # Errors
/// [`ChecklistError`] if the request can't be understood. A problem with the account is a finding, not an error.
pub async fn handle(state: &State, request_id: &str, event: &Value) -> Result<Report, ChecklistError> {
    let started_ms = state.clock.now_ms();
    let request = Request::parse(event).inspect_err(|error| {
        tracing::warn!(request_id, kind = "InvalidRequest", %error, "checklist refused a request");
    })?;
    // Boxed, because the compiler can't lay out all checks in one future.
    let Findings { rows, changes } = Box::pin(run(state, request)).await;
    let now_ms = state.clock.now_ms();
    let report = Report::new(rows, changes, now_ms);
    // Zero is recorded too, because it ends the alarm.
    state.meter.record(&[Metric::ChecklistFailures(report.failures())], now_ms);
    log(request_id, &report, now_ms.saturating_sub(started_ms));
    Ok(report)
}

async fn run(state: &State, request: Request) -> Findings {
    let limit = state.deadlines.first;
    let (credentials, table, clock, concurrency) = tokio::join!(
        timeout(limit, read_credentials(state)),
        within(limit, Check::Table, check_table(state)),
        within(limit, Check::Clock, check_clock(state)),
        within(limit, Check::Concurrency, check_concurrency(state)),
    );
    let mut findings = match credentials {
        Ok(credentials) => check_account(state, request, &credentials).await,
        Err(_) => Findings {
            rows: CREDENTIALS_CHECKS.into_iter().chain(SESSION_CHECKS).map(|check| timed_out(check, limit)).collect(),
            changes: repair::not_started(request, "the credentials could not be checked in time"),
        },
    };
    findings.rows.extend([limits::evaluate(&state.settings.limits), table, clock, concurrency]);
    findings
}

/// The checks of the credentials, and of the account that they give access to.
async fn check_account(state: &State, request: Request, credentials: &Credentials) -> Findings {
    let mut rows = credentials::evaluate(credentials);
    rows.push(account::evaluate(credentials));
    rows.push(api_key_restricted::evaluate(credentials));

    let Some(session) = credentials.session(&state.twilio) else {
        const REJECTED: &str = "Twilio accepts none of the credentials";
        rows.extend(
            SESSION_CHECKS.map(|check| Finding::unknown(check, REJECTED, "do what the `credentials` rows say")),
        );
        return Findings { rows, changes: repair::not_started(request, REJECTED) };
    };
    let (request, changes) = match repair::blocked_by(&rows) {
        Some(reason) => (Request::default(), repair::not_started(request, reason)),
        None => (request, vec![]),
    };
    let limit = state.deadlines.second;
    let now = Instant::now();
    let deadlines = RepairDeadlines { changes: now + state.deadlines.repair, answer: now + limit };
    let (sender, geo, voice) = tokio::join!(
        check_sender(state, &session, request.webhooks, deadlines, credentials.behind_cdn),
        check_geo_permissions(state, &session, request.geo_permissions, deadlines),
        within(limit, Check::VoicePermissions, check_voice_permissions(&session)),
    );
    let mut findings = Findings { rows, changes };
    findings.add(sender);
    findings.add(geo);
    findings.rows.push(voice);
    findings
}

/// Reads the secrets from Secrets Manager on every run, because an operator may just have filled one in.
async fn read_credentials(state: &State) -> Credentials {
    let client = || state.aws.secrets_manager.clone();
    let auth_token = Secret::signer(client(), &state.settings.auth_token_secret, state.clock.clone());
    let sending = Secret::api_key(client(), &state.settings.sending_secret, state.clock.clone());
    let (auth_token, sending) = tokio::join!(auth_token.get(), sending.get());
    Credentials::read(&state.twilio, auth_token.map(|all| all[0].clone()), sending.map(|all| all[0].clone())).await
}

async fn check_table(state: &State) -> Finding {
    table::evaluate(&TableFacts::read(&state.aws.dynamodb, &state.settings.table_name).await)
}

async fn check_concurrency(state: &State) -> Finding {
    let answer = state.aws.lambda.concurrency(state.clock.now_ms()).await;
    concurrency::evaluate(answer.map_err(|error| reason(&error)))
}

async fn check_clock(state: &State) -> Finding {
    let sent_ms = state.clock.now_ms();
    let date = state.twilio.date().await;
    clock::evaluate(sent_ms, state.clock.now_ms(), date.as_deref())
}

/// The three checks that read the sender, after the repair of its webhooks.
async fn check_sender(
    state: &State,
    session: &Session<'_>,
    apply: bool,
    deadlines: RepairDeadlines,
    behind_cdn: bool,
) -> Findings {
    let settings = &state.settings;
    let (sender, urls) = (&settings.twilio_from, &settings.webhook_urls);
    let found = match timeout_at(deadlines.answer, SenderFacts::read(session, sender)).await {
        Ok(Ok(found)) => found,
        Ok(Err(unread)) => {
            let rows = SENDER_CHECKS.map(|check| Finding::unread(check, unread.what, &unread.error));
            return Findings { rows: rows.into(), changes: vec![] };
        }
        Err(_) => {
            let rows = SENDER_CHECKS.map(|check| timed_out(check, state.deadlines.second));
            return Findings { rows: rows.into(), changes: vec![] };
        }
    };
    let RepairOutcome { changes, facts } = if apply {
        repair::webhooks::repair(session, found, sender, urls, deadlines).await
    } else {
        RepairOutcome::unchanged(found)
    };
    let mut rows = webhooks::evaluate(&facts, sender, urls);
    rows.push(public_url::evaluate(&facts, urls, behind_cdn));
    rows.push(sender_registration::evaluate(sender, &facts, &settings.allowed_countries));
    Findings { rows, changes }
}

/// The messaging geo permissions, after their repair.
async fn check_geo_permissions(
    state: &State,
    session: &Session<'_>,
    apply: bool,
    deadlines: RepairDeadlines,
) -> Findings {
    let allowed = &state.settings.allowed_countries;
    let RepairOutcome { changes, facts } = match deadlines.call(session.messaging_permissions()).await {
        Ok(found) if apply => repair::geo_permissions::repair(session, found, allowed, deadlines).await,
        found => RepairOutcome::unchanged(found),
    };
    Findings { rows: vec![geo_permissions::evaluate(facts.as_deref(), allowed)], changes }
}

async fn check_voice_permissions(session: &Session<'_>) -> Finding {
    voice_permissions::evaluate(session.dialing_permissions().await.as_deref())
}

/// Runs a check, and reports `unknown` if it takes too long.
async fn within(limit: Duration, check: Check, checking: impl Future<Output = Finding>) -> Finding {
    timeout(limit, checking).await.unwrap_or_else(|_| timed_out(check, limit))
}

fn timed_out(check: Check, limit: Duration) -> Finding {
    let found = format!("the check took longer than {} s", limit.as_secs());
    let advice = "run the checklist again; if this repeats, check the status pages of Twilio and AWS";
    Finding::unknown(check, found, advice)
}

/// Logs a line per finding. The text of a finding is left out, because it can contain a phone number.
fn log(request_id: &str, report: &Report, took_ms: u64) {
    for finding in report.rows.iter().chain(&report.changes) {
        let (check, result) = (finding.check.as_str(), finding.result.as_str());
        match finding.result {
            CheckStatus::Pass => tracing::debug!(request_id, check, result, "check passed"),
            CheckStatus::Unknown => {
                tracing::warn!(request_id, check, result, "check could not be completed; invoke Checklist to see why");
            }
            CheckStatus::Fail => {
                tracing::error!(request_id, check, result, "check failed; invoke Checklist to see what to do");
            }
        }
    }
    let changed = report.changes.iter().filter(|change| change.result == CheckStatus::Pass).count();
    tracing::info!(request_id, took_ms, status = report.status.as_str(), changed, "checklist completed");
}

impl Findings {
    fn add(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.changes.extend(other.changes);
    }
}
