//! checklist: what has to be right before a launch, looked at in the real account and the real stack.
//!
//! ```text
//! credentials  account  api_key_restricted   do the secrets work, and do they allow too much?   ┐ first: the rest
//! table        clock    limits               is what we keep, and go by, as it should be?       ┘ signs in with them
//! webhooks     public_url                    do messages come to us, and to the address that is signed?
//! geo_permissions       voice_permissions    where could somebody's fraud go?
//! sender_registration                        do US carriers know us?
//! ```
//!
//! Every check is a row, whatever becomes of the others, in a time of its own. What can't be read is `unknown`, with what to do,
//! and never `pass`. Nothing is changed unless the request says `apply`, and then only what was found wrong, of webhooks and
//! messaging geo permissions; what was changed is read again before it counts as done. A repair keeps its own time, so that
//! what was changed is told even if the rest was too slow.

pub mod checks;
pub mod report;
pub mod request;
pub mod settings;
pub mod state;
pub mod twilio_api;

use checks::credentials::Credentials;
use checks::geo_permissions::{self, Differences};
use checks::table::TableFacts;
use checks::webhooks::{self, SenderFacts};
use checks::{clock, limits, sender_registration, table, voice_permissions};
use report::{Check, CheckStatus, Finding, Report};
use request::{InvalidRequest, Request};
use serde_json::Value;
use shared::runtime::credentials::Secret;
use shared::runtime::metrics::Metric;
use state::State;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use twilio_api::{Session, TwilioError};

/// How many countries are changed by one call. Twilio names no limit; a form of so many is some 10 KB.
const BATCH: usize = 100;

/// The rows that come from the credentials.
const OF_THE_CREDENTIALS: [Check; 3] = [Check::Credentials, Check::Account, Check::ApiKeyRestricted];
/// The rows that come from what our messages come from.
const OF_THE_SENDER: [Check; 3] = [Check::Webhooks, Check::PublicUrl, Check::SenderRegistration];
/// The rows that nothing can be said of without credentials.
const OF_THE_ACCOUNT: [Check; 5] =
    [Check::Webhooks, Check::PublicUrl, Check::SenderRegistration, Check::GeoPermissions, Check::VoicePermissions];

/// Why there is no answer. Then nothing was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChecklistError {
    /// The request can't be understood.
    #[error("{0}")]
    InvalidRequest(#[from] InvalidRequest),
}

impl ChecklistError {
    /// The error's type, as Lambda gives it to the caller.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "InvalidRequest",
        }
    }
}

/// When a check with a repair has to be done.
#[derive(Clone, Copy)]
struct Deadlines {
    /// No change begins after this.
    changes: Instant,
    /// The answer is given.
    answer: Instant,
}

/// What one check found, and what it changed.
#[derive(Default)]
struct Done {
    rows: Vec<Finding>,
    changes: Vec<Finding>,
}

/// Runs the checklist.
///
/// # Errors
/// [`ChecklistError`] if the request can't be understood. What is wrong with the account is no error, but a row.
pub async fn handle(state: &State, request_id: &str, event: &Value) -> Result<Report, ChecklistError> {
    let started_ms = state.clock.now_ms();
    let request = Request::parse(event).inspect_err(|error| {
        tracing::warn!(request_id, kind = "InvalidRequest", %error, "checklist refused a request");
    })?;
    // Boxed: the whole list in one future is more than the compiler lays out.
    let Done { rows, changes } = Box::pin(run(state, request)).await;
    let now_ms = state.clock.now_ms();
    let report = Report::new(rows, changes, now_ms);
    // None is written as well: that ends an alarm.
    state.meter.record(&[Metric::ChecklistFailures(report.failures())], now_ms);
    log(request_id, &report, now_ms.saturating_sub(started_ms));
    Ok(report)
}

async fn run(state: &State, request: Request) -> Done {
    let (credentials, table, clock) = tokio::join!(
        tokio::time::timeout(state.patience.first, credentials(state)),
        in_time(state.patience.first, &[Check::Table], table(state)),
        in_time(state.patience.first, &[Check::Clock], clock(state)),
    );
    let mut all = Done::default();
    if let Ok(credentials) = credentials {
        all.rows.extend(credentials.evaluate());
        all.add(with_credentials(state, request, &credentials).await);
    } else {
        all.add(too_slow(&OF_THE_CREDENTIALS, state.patience.first));
        all.add(too_slow(&OF_THE_ACCOUNT, state.patience.first));
        all.changes.extend(refused(request, "the credentials could not be looked at in time"));
    }
    all.rows.push(limits::evaluate(&state.settings.limits));
    all.add(table);
    all.add(clock);
    all
}

async fn with_credentials(state: &State, request: Request, credentials: &Credentials) -> Done {
    let Some(session) = credentials.session(&state.twilio) else {
        let unasked =
            |check| Finding::unknown(check, "Twilio accepts none of the credentials", "see the rows of credentials");
        let changes = refused(request, "Twilio accepts none of the credentials");
        return Done { rows: OF_THE_ACCOUNT.map(unasked).into(), changes };
    };
    let (request, changes) = match credentials.refuses_repairs() {
        Some(reason) => (Request::default(), refused(request, reason)),
        None => (request, vec![]),
    };
    let patience = state.patience.second;
    let now = Instant::now();
    let deadlines = Deadlines { changes: now + state.patience.repair, answer: now + patience };
    let (webhooks, geo, voice) = tokio::join!(
        webhooks(state, &session, request.webhooks, deadlines),
        geo_permissions(state, &session, request.geo_permissions, deadlines),
        in_time(patience, &[Check::VoicePermissions], voice_permissions(&session)),
    );
    let mut all = Done { rows: vec![], changes };
    all.add(webhooks);
    all.add(geo);
    all.add(voice);
    all
}

/// The rows of repairs that were asked for and not begun.
fn refused(request: Request, reason: &str) -> Vec<Finding> {
    let asked = [(request.webhooks, Check::Webhooks), (request.geo_permissions, Check::GeoPermissions)];
    let row = |check| {
        let advice = "mend what the rows of credentials and account say, and ask for the repair again";
        Finding::fail(check, format!("nothing was changed: {reason}"), advice)
    };
    asked.into_iter().filter(|(asked, _)| *asked).map(|(_, check)| row(check)).collect()
}

/// The secrets are read anew each time: whoever has just filled one in wants to know.
async fn credentials(state: &State) -> Credentials {
    let client = || state.aws.secrets_manager.clone();
    let auth_token = Secret::signer(client(), &state.settings.auth_token_secret, state.clock.clone());
    let sending = Secret::api_key(client(), &state.settings.sending_secret, state.clock.clone());
    let (auth_token, sending) = tokio::join!(auth_token.get(), sending.get());
    Credentials::read(&state.twilio, auth_token.map(|all| all[0].clone()), sending.map(|all| all[0].clone())).await
}

async fn table(state: &State) -> Done {
    table::evaluate(&TableFacts::read(&state.aws.dynamodb, &state.settings.table_name).await).into()
}

async fn clock(state: &State) -> Done {
    let sent_ms = state.clock.now_ms();
    let date = state.twilio.date().await;
    clock::evaluate(sent_ms, state.clock.now_ms(), date.as_deref()).into()
}

/// Where messages to us go; and, since the same is read for them, the public URL and the registration.
async fn webhooks(state: &State, session: &Session<'_>, apply: bool, deadlines: Deadlines) -> Done {
    let settings = &state.settings;
    let read = || timeout_at(deadlines.answer, SenderFacts::read(session, &settings.twilio_from));
    let found = match read().await {
        Ok(Ok(found)) => found,
        Ok(Err((what, error))) => {
            return Done {
                rows: OF_THE_SENDER.map(|check| Finding::unread(check, what, &error)).into(),
                changes: vec![],
            };
        }
        Err(_) => return too_slow(&OF_THE_SENDER, state.patience.second),
    };
    let (mut tried, mut changes) = (Vec::new(), Vec::new());
    for (webhook, fields) in if apply { found.repairs(&settings.addresses) } else { vec![] } {
        if Instant::now() >= deadlines.changes {
            changes.push(webhooks::untried(&webhook.subject, &fields));
            continue;
        }
        let answer = timeout_at(deadlines.answer, webhook.update(session, &fields)).await;
        tried.push((&webhook.subject, answer.unwrap_or_else(|_| Err(TwilioError::timed_out())), fields));
    }
    let now = if tried.is_empty() { None } else { read().await.ok().and_then(Result::ok) };
    let judged = tried.iter().map(|(subject, answer, fields)| {
        webhooks::evaluate_repair(subject, fields, answer.as_ref().copied(), now.as_ref(), &settings.addresses)
    });
    changes.splice(0..0, judged);

    let facts = now.as_ref().unwrap_or(&found);
    let mut rows = facts.evaluate(&settings.twilio_from, &settings.addresses);
    rows.push(facts.evaluate_public_url(&settings.addresses));
    rows.push(sender_registration::evaluate(&settings.twilio_from, facts, &settings.allowed_countries));
    Done { rows, changes }
}

async fn geo_permissions(state: &State, session: &Session<'_>, apply: bool, deadlines: Deadlines) -> Done {
    let allowed = &state.settings.allowed_countries;
    let unread = |error| Finding::unread(Check::GeoPermissions, "the messaging geo permissions", error);
    let read = async || {
        timeout_at(deadlines.answer, session.messaging_permissions())
            .await
            .unwrap_or_else(|_| Err(TwilioError::timed_out()))
    };
    let found = match read().await {
        Ok(permissions) => Differences::of(&permissions, allowed),
        Err(error) => return unread(&error).into(),
    };
    let wishes = if apply { found.changes() } else { vec![] };
    let (mut tried, mut untried) = (Vec::new(), Vec::new());
    for batch in wishes.chunks(BATCH) {
        if Instant::now() >= deadlines.changes {
            untried.extend(geo_permissions::untried(batch));
            continue;
        }
        let answer = timeout_at(deadlines.answer, session.set_messaging_permissions(batch)).await;
        tried.push((batch, answer.unwrap_or_else(|_| Err(TwilioError::timed_out()))));
    }
    if tried.is_empty() {
        return Done { rows: vec![found.evaluate(allowed)], changes: untried };
    }
    let now = read().await;
    let evaluate = |(batch, answer): &(&[_], Result<Vec<_>, _>)| {
        geo_permissions::evaluate_changes(batch, answer.as_deref(), now.as_deref())
    };
    let changes = tried.iter().flat_map(evaluate).chain(untried).collect();
    let row = now.as_ref().map_or_else(unread, |now| Differences::of(now, allowed).evaluate(allowed));
    Done { rows: vec![row], changes }
}

async fn voice_permissions(session: &Session<'_>) -> Done {
    match session.dialing_permissions().await {
        Ok(countries) => voice_permissions::evaluate(&countries).into(),
        Err(error) => Finding::unread(Check::VoicePermissions, "the voice dialing permissions", &error).into(),
    }
}

/// What takes too long is a row as well, and holds nothing up.
async fn in_time(patience: Duration, checks: &[Check], checking: impl Future<Output = Done>) -> Done {
    tokio::time::timeout(patience, checking).await.unwrap_or_else(|_| too_slow(checks, patience))
}

fn too_slow(checks: &[Check], patience: Duration) -> Done {
    let found = format!("it took longer than {} s", patience.as_secs());
    let advice = "run the checklist again; if it stays so, look at the status of Twilio and AWS";
    Done { rows: checks.iter().map(|check| Finding::unknown(*check, found.clone(), advice)).collect(), changes: vec![] }
}

/// A line for each row, without what was found: that may name a number.
fn log(request_id: &str, report: &Report, took_ms: u64) {
    for row in report.rows.iter().chain(&report.changes) {
        let (check, result) = (row.check.as_str(), row.result.as_str());
        match row.result {
            CheckStatus::Pass => tracing::debug!(request_id, check, result, "checked"),
            CheckStatus::Unknown => {
                tracing::warn!(request_id, check, result, "a check could not be made; invoke Checklist to see why");
            }
            CheckStatus::Fail => {
                tracing::error!(request_id, check, result, "a check failed; invoke Checklist to see what to do");
            }
        }
    }
    let changed = report.changes.iter().filter(|row| row.result == CheckStatus::Pass).count();
    tracing::info!(request_id, took_ms, status = report.status.as_str(), changed, "checklist answered");
}

impl Done {
    fn add(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.changes.extend(other.changes);
    }
}

impl From<Finding> for Done {
    fn from(row: Finding) -> Self {
        Self { rows: vec![row], changes: vec![] }
    }
}
