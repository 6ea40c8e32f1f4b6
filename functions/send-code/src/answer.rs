//! What the app is told. Every answer names its `status`, and says what can be done next.

use crate::settings::Settings;
use serde::{Deserialize, Serialize};
use shared::phone::number::InvalidPhoneNumber;
use shared::phone::policy::Violation;
use shared::runtime::clock::rfc3339;
use shared::store::admission::{LimitKind, LimitReached};
use shared::twilio::client::MessageSid;
use shared::twilio::error_code::TwilioErrorCode;

/// The answer to a request, as JSON: `{"status": "sent", …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Answer {
    /// Twilio has taken the message.
    Sent {
        /// Twilio's name for it.
        message_sid: String,
        /// When the code expires, RFC 3339.
        expires_at: String,
        /// When the next code may be sent to this number at the wish of this IP, RFC 3339; absent if that can't be told.
        #[serde(skip_serializing_if = "Option::is_none")]
        next_send_at: Option<String>,
    },
    /// The message was not sent, and why.
    Refused(Refused),
    /// Twilio did not answer: the message may have gone. It counts, and it is not sent again.
    Unknown {
        /// As in [`Answer::Sent`].
        #[serde(skip_serializing_if = "Option::is_none")]
        next_send_at: Option<String>,
    },
    /// The same idempotency key is being answered right now.
    InProgress {
        /// When to ask again, in seconds.
        retry_after: u64,
    },
}

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// What decided.
    pub reason: Reason,
    /// The rule that decided, such as `3/1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// In how many seconds the same request would not be refused by this limit; absent where waiting does not help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// The same as a time, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_send_at: Option<String>,
    /// Twilio's error code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twilio_code: Option<u32>,
    /// What is wrong, for a developer. It never repeats the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What decided against a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// No such number can exist.
    InvalidPhoneNumber,
    /// Its region is not among the allowed countries.
    CountryNotAllowed,
    /// It begins with a blocked prefix.
    PrefixBlocked,
    /// Premium-rate, toll-free and other numbers that no person receives a code on.
    NumberTypeNotAllowed,
    /// The recipient has opted out by STOP.
    OptedOut,
    /// The number has had its messages.
    PhoneLimit,
    /// The IP has had its unverified messages.
    IpLimit,
    /// The block of 1,000 numbers has had its unverified messages.
    RangeLimit,
    /// The country has had its unverified messages.
    CountryLimit,
    /// Everybody together has had the messages that the bill allows.
    TotalLimit,
    /// Too many checks of this number have failed: no code of it is looked at, so none is sent.
    CheckLimit,
    /// Twilio will not text it.
    RejectedByTwilio,
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidPhoneNumber => "invalid_phone_number",
            Self::CountryNotAllowed => "country_not_allowed",
            Self::PrefixBlocked => "prefix_blocked",
            Self::NumberTypeNotAllowed => "number_type_not_allowed",
            Self::OptedOut => "opted_out",
            Self::PhoneLimit => "phone_limit",
            Self::IpLimit => "ip_limit",
            Self::RangeLimit => "range_limit",
            Self::CountryLimit => "country_limit",
            Self::TotalLimit => "total_limit",
            Self::CheckLimit => "check_limit",
            Self::RejectedByTwilio => "rejected_by_twilio",
        }
    }
}

impl Answer {
    /// Twilio has taken the message; its code expires at `expires_ms`.
    #[must_use]
    pub fn sent(sid: &MessageSid, expires_ms: u64, next_send_at: Option<String>) -> Self {
        Self::Sent { message_sid: sid.as_str().to_owned(), expires_at: rfc3339(expires_ms), next_send_at }
    }

    /// What a test number is told, which is never texted.
    #[must_use]
    pub fn test(now_ms: u64, settings: &Settings) -> Self {
        Self::Sent {
            message_sid: format!("SM{:032}", 0),
            expires_at: rfc3339(now_ms + settings.limits.code_lifetime.as_ms()),
            next_send_at: Some(rfc3339(now_ms)),
        }
    }

    /// The answer's `status`.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        match self {
            Self::Sent { .. } => "sent",
            Self::Refused(_) => "refused",
            Self::Unknown { .. } => "unknown",
            Self::InProgress { .. } => "in_progress",
        }
    }

    /// The refusal, if it is one.
    #[must_use]
    pub const fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Refused(refused) => Some(refused),
            _ => None,
        }
    }

    /// Twilio's name for the message, if it was sent.
    #[must_use]
    pub fn message_sid(&self) -> Option<&str> {
        match self {
            Self::Sent { message_sid, .. } => Some(message_sid),
            _ => None,
        }
    }
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl Refused {
    const fn because(reason: Reason) -> Self {
        Self { reason, rule: None, retry_after: None, next_send_at: None, twilio_code: None, detail: None }
    }

    /// No such number can exist.
    #[must_use]
    pub fn invalid_phone_number(invalid: InvalidPhoneNumber) -> Self {
        Self { detail: Some(invalid.to_string()), ..Self::because(Reason::InvalidPhoneNumber) }
    }

    /// The policy refuses the number.
    #[must_use]
    pub fn violation(violation: Violation) -> Self {
        let (reason, detail) = match violation {
            Violation::Prefix => (Reason::PrefixBlocked, None),
            Violation::Country(region) => {
                let region = region.map_or_else(|| "no country".to_owned(), |region| region.to_string());
                (Reason::CountryNotAllowed, Some(format!("the number belongs to {region}")))
            }
            Violation::NumberType(number_type) => {
                (Reason::NumberTypeNotAllowed, Some(format!("the number is of type {}", number_type.as_str())))
            }
        };
        Self { detail, ..Self::because(reason) }
    }

    /// The recipient has opted out.
    #[must_use]
    pub const fn opted_out() -> Self {
        Self::because(Reason::OptedOut)
    }

    /// A limit is reached.
    #[must_use]
    pub fn limited(limited: LimitReached, now_ms: u64) -> Self {
        let reason = match limited.by {
            LimitKind::Phone => Reason::PhoneLimit,
            LimitKind::Ip => Reason::IpLimit,
            LimitKind::Range => Reason::RangeLimit,
            LimitKind::Country => Reason::CountryLimit,
            LimitKind::Total => Reason::TotalLimit,
            LimitKind::Check => Reason::CheckLimit,
        };
        let until_ms = limited.exceeded.until_ms;
        Self {
            rule: Some(limited.exceeded.rule.to_string()),
            retry_after: Some(until_ms.saturating_sub(now_ms).div_ceil(1000)),
            next_send_at: Some(rfc3339(until_ms)),
            ..Self::because(reason)
        }
    }

    /// Twilio will not text the number. The attempt counts: otherwise numbers could be probed for free.
    #[must_use]
    pub fn by_twilio(code: TwilioErrorCode, next_send_at: Option<String>) -> Self {
        let reason = if code.is_opt_out() { Reason::OptedOut } else { Reason::RejectedByTwilio };
        Self {
            twilio_code: Some(code.0),
            detail: Some(format!("Twilio's error {code}")),
            // Another code to somebody who has opted out would be refused as well.
            next_send_at: next_send_at.filter(|_| !code.is_opt_out()),
            ..Self::because(reason)
        }
    }

    /// The reason, as it stands in the answer.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason.as_str()
    }
}
