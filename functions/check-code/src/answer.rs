//! The answers to the back end. Every answer names its `status` and says what can be done next.

use serde::{Deserialize, Serialize};
use shared::limits::rules::Exceeded;
use shared::runtime::clock::rfc3339;

/// The answer to a request, as JSON: `{"status": "approved"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(tag = "status", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Answer {
    /// The code is correct, and now used up.
    Approved,
    /// The code is wrong.
    Incorrect {
        /// How many attempts are left.
        attempts_left: u32,
        /// When the phone's own limit allows another code, RFC 3339.
        next_send_at: String,
    },
    /// This number has no live code; send another.
    Expired {
        /// When the phone's own limit allows another code, RFC 3339.
        next_send_at: String,
    },
    /// Too many attempts have failed. This one was not compared.
    TooManyAttempts {
        /// The rule that is exceeded, such as `5/10m`.
        rule: String,
        /// In how many seconds the next attempt is compared.
        retry_after: u64,
        /// When the phone's own limit allows another code, RFC 3339.
        next_send_at: String,
    },
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
