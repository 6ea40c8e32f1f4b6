//! The report: a row for each finding, and the overall status.

use crate::twilio_api::TwilioError;
use serde::Serialize;
use shared::runtime::clock::rfc3339;

/// The report: `{"status": "fail", "checked_at": "…", "rows": […]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `fail` if any row or change failed, else `unknown` if any is.
    pub status: CheckStatus,
    /// The time of the report, RFC 3339.
    pub checked_at: String,
    /// What the checks found, after any repair.
    pub rows: Vec<Finding>,
    /// What the requested repairs changed: one row per country and per webhook.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Finding>,
}

/// What one check found about one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// The number, country or secret, if the check has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The result.
    pub result: CheckStatus,
    /// What was found.
    pub found: String,
    /// What to do next; empty if the check passed.
    #[serde(rename = "do", skip_serializing_if = "str::is_empty")]
    pub advice: String,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CheckStatus {
    /// As expected.
    Pass,
    /// Not as expected.
    Fail,
    /// It could not be determined; the row says why.
    Unknown,
}

/// The checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Check {
    /// The secrets are filled in, and Twilio accepts them.
    Credentials,
    /// The account is active and not a trial.
    Account,
    /// The API key that sends can do nothing else.
    ApiKeyRestricted,
    /// Inbound messages reach this stack.
    Webhooks,
    /// Twilio calls the URL that signatures are verified against.
    PublicUrl,
    /// SMS can go to the allowed countries only.
    GeoPermissions,
    /// Calls can't go to high-risk numbers.
    VoicePermissions,
    /// The sender is registered with US carriers.
    SenderRegistration,
    /// Every limit is enforced.
    Limits,
    /// The table expires its items and can be restored.
    Table,
    /// The clock agrees with Twilio's.
    Clock,
    /// Lambda may run enough at the same time.
    Concurrency,
}

impl Report {
    pub(crate) fn new(rows: Vec<Finding>, changes: Vec<Finding>, now_ms: u64) -> Self {
        let any = |outcome| rows.iter().chain(&changes).any(|row| row.result == outcome);
        let status = [CheckStatus::Fail, CheckStatus::Unknown].into_iter().find(|outcome| any(*outcome));
        Self { status: status.unwrap_or(CheckStatus::Pass), checked_at: rfc3339(now_ms), rows, changes }
    }

    /// How many rows and changes failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.rows.iter().chain(&self.changes).map(|row| u64::from(row.result == CheckStatus::Fail)).sum()
    }
}

impl Finding {
    pub(crate) fn pass(check: Check, found: impl Into<String>) -> Self {
        Self { check, subject: None, result: CheckStatus::Pass, found: found.into(), advice: String::new() }
    }

    pub(crate) fn fail(check: Check, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { result: CheckStatus::Fail, advice: advice.into(), ..Self::pass(check, found) }
    }

    pub(crate) fn unknown(check: Check, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { result: CheckStatus::Unknown, advice: advice.into(), ..Self::pass(check, found) }
    }

    /// The finding for something that could not be read from Twilio.
    pub(crate) fn unread(check: Check, what: &str, error: &TwilioError) -> Self {
        let advice = match error {
            TwilioError::Unauthorized(_) => "do what the `credentials` rows say".to_owned(),
            TwilioError::Forbidden { permission, .. } => {
                let permission = permission.clone().unwrap_or_else(|| format!("to read {what}, if Twilio offers it"));
                format!(
                    "fix the secret with the auth token, which can read everything (see the `credentials` rows), or give the \
                     API key the permission {permission}"
                )
            }
            TwilioError::NotFound => "check TwilioFrom, and that both secrets belong to its account".to_owned(),
            TwilioError::Unavailable(_) => {
                "run the checklist again; if this repeats, check https://status.twilio.com".to_owned()
            }
            TwilioError::Refused { .. } | TwilioError::Unreadable(_) => "check it in the Twilio Console".to_owned(),
        };
        Self::unknown(check, format!("{what} can't be read: {error}"), advice)
    }

    /// Names the subject of the finding.
    pub(crate) fn of(self, subject: impl Into<String>) -> Self {
        Self { subject: Some(subject.into()), ..self }
    }
}

impl CheckStatus {
    /// The name in reports and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl Check {
    /// The name in reports and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
