//! Other ways to prove a phone number when no code is sent.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Another way to prove the phone number.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Alternative {
    /// The user texts this to this number, from the phone that they want to prove.
    TextToVerify {
        /// Our number, in E.164.
        to: String,
        /// What to text.
        body: String,
        /// A link that opens the phone's app for messages with both filled in (RFC 5724).
        sms_link: String,
        /// The name of the verification, for check-code.
        verification: String,
        /// Until when it can be texted, RFC 3339.
        expires_at: String,
        /// The same in seconds from now.
        expires_in: u64,
    },
}

impl fmt::Debug for Alternative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TextToVerify([redacted])")
    }
}
