//! The answers to the back end. Every answer names its `status` and says what can be done next.

use serde::{Deserialize, Serialize};
use shared::phone::number::InvalidPhoneNumber;
use shared::runtime::clock::{rfc3339, seconds_until};
use shared::store::checks::CheckResult;

/// The answer to a request, as JSON: `{"status": "approved"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantNames)]
#[serde(tag = "status", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Answer {
    /// The code is correct, and all codes of this number are void now; or the user has texted the phrase.
    Approved {
        /// How strong the proof is, if it is no code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        assurance: Option<Assurance>,
    },
    /// The user has not texted yet.
    Pending {
        /// Until when they can, RFC 3339.
        expires_at: String,
        /// The same in seconds from now.
        expires_in: u64,
    },
    /// The code is wrong.
    Incorrect {
        /// How many attempts are left.
        attempts_left: u32,
        /// When the phone's own limit allows another code, RFC 3339.
        next_send_at: String,
        /// The same in seconds from now.
        next_send_in: u64,
    },
    /// There is no live code; send another.
    Expired {
        /// When the phone's own limit allows another code, RFC 3339.
        next_send_at: String,
        /// The same in seconds from now.
        next_send_in: u64,
    },
    /// Too many attempts have failed. This one was not compared.
    TooManyAttempts {
        /// The rule that is exceeded: `5` in all for a verification, such as `5/10m` for a check that names none.
        rule: String,
        /// In how many seconds the next attempt is compared; absent for a verification, which compares no more. Start a new one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
        /// When the phone's own limit allows another code, RFC 3339.
        next_send_at: String,
        /// The same in seconds from now.
        next_send_in: u64,
    },
    /// The phone number can't exist, so no code was sent to it.
    Refused {
        /// Why no code can have been sent to it.
        reason: CheckRefusal,
        /// What is wrong, for a developer. It never repeats the number.
        detail: String,
    },
}

/// How strong a proof is that is no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assurance {
    /// A text came with this number as its sender, which can be forged.
    Sender,
}

/// Why a check is refused, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CheckRefusal {
    /// The number can't exist.
    InvalidPhoneNumber,
}

impl Answer {
    /// The rule that is exceeded, if any.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        match self {
            Self::TooManyAttempts { rule, .. } => Some(rule),
            _ => None,
        }
    }

    /// The answer's `status`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        self.into()
    }

    /// The answer to the result of a check.
    pub(crate) fn of(result: &CheckResult, now_ms: u64) -> Self {
        let next = |next_send_ms: u64| {
            let at = rfc3339(next_send_ms);
            let seconds = seconds_until(&at, now_ms);
            (at, seconds)
        };
        match *result {
            CheckResult::Approved(_) => Self::Approved { assurance: None },
            CheckResult::Texted => Self::Approved { assurance: Some(Assurance::Sender) },
            CheckResult::Pending { until_ms } => {
                let (expires_at, expires_in) = next(until_ms);
                Self::Pending { expires_at, expires_in }
            }
            CheckResult::Incorrect { attempts_left, next_send_ms } => {
                let (next_send_at, next_send_in) = next(next_send_ms);
                Self::Incorrect { attempts_left, next_send_at, next_send_in }
            }
            CheckResult::Expired { next_send_ms } => {
                let (next_send_at, next_send_in) = next(next_send_ms);
                Self::Expired { next_send_at, next_send_in }
            }
            CheckResult::TooMany { ref rule, until_ms, next_send_ms } => {
                let (next_send_at, next_send_in) = next(next_send_ms);
                let retry_after = until_ms.map(|until_ms| until_ms.saturating_sub(now_ms).div_ceil(1000));
                Self::TooManyAttempts { rule: rule.clone(), retry_after, next_send_at, next_send_in }
            }
        }
    }

    pub(crate) fn invalid_phone_number(invalid: InvalidPhoneNumber) -> Self {
        Self::Refused { reason: CheckRefusal::InvalidPhoneNumber, detail: format!("the phone number {invalid}") }
    }
}
