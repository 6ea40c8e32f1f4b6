//! What the app is told. Every answer names its `status`, and says what can be done next.

use serde::{Deserialize, Serialize};
use shared::limits::rules::Exceeded;
use shared::runtime::clock::rfc3339;

/// The answer to a request, as JSON: `{"status": "approved"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Answer {
    /// It is the code. It is used up now.
    Approved,
    /// It is not.
    Incorrect {
        /// How many more attempts are left.
        attempts_left: u32,
        /// When another code may be sent to this number, RFC 3339, as far as its own limit goes.
        next_send_at: String,
    },
    /// This number has no code that is still good: send another.
    Expired {
        /// As above.
        next_send_at: String,
    },
    /// Too many attempts have failed; this one was not looked at.
    TooManyAttempts {
        /// The rule that decided.
        rule: String,
        /// In how many seconds the next attempt is looked at.
        retry_after: u64,
        /// As above.
        next_send_at: String,
    },
}

impl Answer {
    /// The rule that decided, if one did.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        match self {
            Self::TooManyAttempts { rule, .. } => Some(rule),
            _ => None,
        }
    }

    /// The answer's `status`.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Incorrect { .. } => "incorrect",
            Self::Expired { .. } => "expired",
            Self::TooManyAttempts { .. } => "too_many_attempts",
        }
    }

    pub(crate) fn incorrect(attempts_left: u32, next_send_ms: u64) -> Self {
        Self::Incorrect { attempts_left, next_send_at: rfc3339(next_send_ms) }
    }

    pub(crate) fn expired(next_send_ms: u64) -> Self {
        Self::Expired { next_send_at: rfc3339(next_send_ms) }
    }

    pub(crate) fn too_many_attempts(exceeded: Exceeded, next_send_ms: u64, now_ms: u64) -> Self {
        Self::TooManyAttempts {
            rule: exceeded.rule.to_string(),
            retry_after: exceeded.until_ms.saturating_sub(now_ms).div_ceil(1000),
            next_send_at: rfc3339(next_send_ms),
        }
    }
}
