//! What the checklist answers: a row for each check, and what they come to.

use crate::twilio_api::TwilioError;
use serde::Serialize;
use shared::runtime::clock::rfc3339;

/// The answer: `{"status": "fail", "checked_at": "…", "rows": […]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `fail` if any row is, else `unknown` if any is.
    pub status: CheckStatus,
    /// When, RFC 3339.
    pub checked_at: String,
    /// What was found; after a repair, what is found now.
    pub rows: Vec<Finding>,
    /// What was changed, each country and each webhook by itself, if a repair was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Finding>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which.
    pub check: Check,
    /// What was checked, where there are several: a number, a country, a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// How it came out.
    pub result: CheckStatus,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(rename = "do", skip_serializing_if = "str::is_empty")]
    pub advice: String,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// As it should be.
    Pass,
    /// Not as it should be.
    Fail,
    /// It could not be found out; the row says why.
    Unknown,
}

/// Everything that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The secrets are filled in, and Twilio accepts them.
    Credentials,
    /// The account is active, and no trial.
    Account,
    /// What sends may do no more than send.
    ApiKeyRestricted,
    /// Incoming messages come to us.
    Webhooks,
    /// They come to the address that signatures are checked against.
    PublicUrl,
    /// SMS may go to the allowed countries only.
    GeoPermissions,
    /// Calls may go to no numbers that earn money.
    VoicePermissions,
    /// US carriers know who sends.
    SenderRegistration,
    /// Every limit is enforced.
    Limits,
    /// The table forgets what it should, and can be restored.
    Table,
    /// Our clock is right.
    Clock,
}

impl Report {
    pub(crate) fn new(rows: Vec<Finding>, changes: Vec<Finding>, now_ms: u64) -> Self {
        let any = |outcome| rows.iter().chain(&changes).any(|row| row.result == outcome);
        let status = [CheckStatus::Fail, CheckStatus::Unknown].into_iter().find(|outcome| any(*outcome));
        Self { status: status.unwrap_or(CheckStatus::Pass), checked_at: rfc3339(now_ms), rows, changes }
    }

    /// How many rows say that something is wrong.
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

    /// The row of something that Twilio did not let us read.
    pub(crate) fn unread(check: Check, what: &str, error: &TwilioError) -> Self {
        let advice = match error {
            TwilioError::Unauthorized(_) => "see the rows of the check credentials".to_owned(),
            TwilioError::Forbidden { permission: Some(permission), .. } => format!(
                "mend the auth token's secret, which may read everything (see the rows of the check credentials); else the API key needs the permission {permission}"
            ),
            TwilioError::Forbidden { permission: None, .. } => format!(
                "mend the auth token's secret, which may read everything (see the rows of the check credentials); else the API key needs the permission to read {what}, if Twilio offers it"
            ),
            TwilioError::NotFound => "check TwilioFrom, and that the secrets name its account".to_owned(),
            TwilioError::Unavailable(_) => {
                "run the checklist again; if it stays so, look at https://status.twilio.com".to_owned()
            }
            TwilioError::Refused { .. } | TwilioError::Unreadable(_) => "look it up in the Twilio Console".to_owned(),
        };
        Self::unknown(check, format!("{what} can't be read: {error}"), advice)
    }

    pub(crate) fn of(self, subject: impl Into<String>) -> Self {
        Self { subject: Some(subject.into()), ..self }
    }
}

impl CheckStatus {
    /// Its name in answers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }
}

impl Check {
    /// Its name in answers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "credentials",
            Self::Account => "account",
            Self::ApiKeyRestricted => "api_key_restricted",
            Self::Webhooks => "webhooks",
            Self::PublicUrl => "public_url",
            Self::GeoPermissions => "geo_permissions",
            Self::VoicePermissions => "voice_permissions",
            Self::SenderRegistration => "sender_registration",
            Self::Limits => "limits",
            Self::Table => "table",
            Self::Clock => "clock",
        }
    }
}
