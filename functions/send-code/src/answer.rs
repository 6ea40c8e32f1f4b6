//! The answers to the back end. Every answer names its `status` and says what can be done next.

use crate::alternatives::Alternative;
use crate::settings::Settings;
use serde::{Deserialize, Serialize};
use shared::limits::block_record::Shortfall;
use shared::phone::number::InvalidPhoneNumber;
use shared::phone::policy::Violation;
use shared::runtime::clock::{rfc3339, seconds_until};
use shared::store::send_limits::{LimitKind, LimitReached};
use shared::store::verification::Verification;
use shared::twilio::client::MessageSid;
use shared::twilio::error_code::TwilioErrorCode;

/// The answer to a request, as JSON: `{"status": "sent", …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantNames)]
#[serde(tag = "status", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Answer {
    /// Twilio accepted the message.
    Sent {
        /// Twilio's identifier of the message.
        message_sid: String,
        /// The name of the verification that the code is for. It is for check-code, and to send again; it is a secret of the user's.
        verification: String,
        /// When the code expires, RFC 3339.
        expires_at: String,
        /// The same in seconds from now.
        expires_in: u64,
        /// The language of the text, or `default`; absent if none was asked for, and in answers of releases that didn't say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        locale: Option<String>,
        /// When the limits allow another code to this number from this IP.
        #[serde(flatten)]
        next_send: NextSend,
        /// Whether this is the answer to an earlier request under the same idempotency key.
        #[serde(default, skip_serializing_if = "is_false")]
        replayed: bool,
    },
    /// The message was not sent, and why.
    Refused(Refused),
    /// Twilio's answer is missing: the message may have been sent. It counts, and it is not sent again.
    Unknown {
        /// As in [`Answer::Sent`].
        verification: String,
        /// As in [`Answer::Sent`].
        #[serde(flatten)]
        next_send: NextSend,
        /// As in [`Answer::Sent`].
        #[serde(default, skip_serializing_if = "is_false")]
        replayed: bool,
    },
    /// No code was asked for: the user texts us.
    Offered {
        /// The way to do so.
        alternatives: Vec<Alternative>,
    },
    /// A send with the same idempotency key is in progress.
    InProgress {
        /// In how many seconds to repeat the request.
        retry_after: u64,
    },
}

/// When the limits allow another code, as a time and in seconds; absent if unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextSend {
    /// RFC 3339.
    #[serde(default, rename = "next_send_at", skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Seconds from now.
    #[serde(default, rename = "next_send_in", skip_serializing_if = "Option::is_none")]
    pub in_seconds: Option<u64>,
}

impl NextSend {
    /// At this time.
    #[must_use]
    pub fn at(at_ms: u64, now_ms: u64) -> Self {
        Self { in_seconds: Some(seconds(at_ms, now_ms)), at: Some(rfc3339(at_ms)) }
    }

    fn seen_from(self, now_ms: u64) -> Self {
        Self { in_seconds: self.at.as_deref().map(|at| seconds_until(at, now_ms)), at: self.at }
    }
}

/// Whole seconds from now until then, never too few.
const fn seconds(at_ms: u64, now_ms: u64) -> u64 {
    at_ms.saturating_sub(now_ms).div_ceil(1000)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The policy, the limit or Twilio's rejection.
    pub reason: Reason,
    /// The rule that is exceeded, such as `3/1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// In how many seconds this limit would allow the same request; absent where waiting does not help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// When the limits allow the next send; absent where waiting does not help.
    #[serde(flatten)]
    pub next_send: NextSend,
    /// Twilio's error code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twilio_code: Option<u32>,
    /// What is wrong, for a developer. It never repeats the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Whether this is the answer to an earlier request under the same idempotency key.
    #[serde(default, skip_serializing_if = "is_false")]
    pub replayed: bool,
    /// What the user can do instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Alternative>,
}

/// Why a message was not sent, in one word. Its name is the variant's, in answers, logs and metrics alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::VariantNames)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// The number can't exist.
    InvalidPhoneNumber,
    /// Its region is not among the allowed countries.
    CountryNotAllowed,
    /// It begins with a blocked prefix.
    PrefixBlocked,
    /// Its type is premium-rate, toll-free or another on which no person receives a code, or a landline that is not allowed.
    NumberTypeNotAllowed,
    /// The recipient has opted out by STOP.
    OptedOut,
    /// The limit of the phone number is reached.
    PhoneLimit,
    /// The limit of unverified sends of the IP address is reached.
    IpLimit,
    /// The limit of unverified sends of the block of 1,000 numbers is reached.
    RangeLimit,
    /// The limit of unverified sends of the network is reached.
    NetworkLimit,
    /// The limit of unverified sends of the country is reached.
    CountryLimit,
    /// The limit of all sends is reached.
    TotalLimit,
    /// The limit of what all sends cost is reached.
    SpendLimit,
    /// The country's limit fills up, and codes to the number's block are not verified often enough.
    BlockRecord,
    /// The IP address or its network has been offered to text as often as it may.
    TextToVerifyLimit,
    /// Twilio rejected the message for a reason that lies with the recipient.
    RejectedByTwilio,
}

impl From<LimitKind> for Reason {
    fn from(kind: LimitKind) -> Self {
        match kind {
            LimitKind::Phone => Self::PhoneLimit,
            LimitKind::Ip => Self::IpLimit,
            LimitKind::Range => Self::RangeLimit,
            LimitKind::Network => Self::NetworkLimit,
            LimitKind::Country => Self::CountryLimit,
            LimitKind::Total => Self::TotalLimit,
            LimitKind::Spend => Self::SpendLimit,
            LimitKind::BlockRecord => Self::BlockRecord,
            LimitKind::TextToVerify => Self::TextToVerifyLimit,
        }
    }
}

impl Answer {
    /// Twilio accepted the message; its code expires at `expires_ms`.
    #[must_use]
    pub fn sent(
        sid: &MessageSid,
        verification: &Verification,
        expires_ms: u64,
        locale: Option<String>,
        next_send: NextSend,
        now_ms: u64,
    ) -> Self {
        Self::Sent {
            message_sid: sid.as_str().to_owned(),
            verification: verification.as_str().to_owned(),
            expires_in: seconds(expires_ms, now_ms),
            expires_at: rfc3339(expires_ms),
            locale,
            next_send,
            replayed: false,
        }
    }

    /// The answer for a test number, which is never texted. `locale` is the language that the text would have.
    #[must_use]
    pub fn test(verification: &Verification, locale: Option<String>, now_ms: u64, settings: &Settings) -> Self {
        let lifetime = settings.limits.code_lifetime;
        Self::Sent {
            message_sid: format!("SM{:032}", 0),
            verification: verification.as_str().to_owned(),
            expires_in: lifetime.as_seconds(),
            expires_at: rfc3339(now_ms + lifetime.as_ms()),
            locale,
            next_send: NextSend::at(now_ms, now_ms),
            replayed: false,
        }
    }

    /// The answer to a repeat: it says so, names the verification, and its seconds count from now.
    #[must_use]
    pub fn replayed(self, name: &Verification, now_ms: u64) -> Self {
        let verification = name.as_str().to_owned();
        match self {
            Self::Sent { message_sid, expires_at, locale, next_send, .. } => Self::Sent {
                message_sid,
                verification,
                expires_in: seconds_until(&expires_at, now_ms),
                expires_at,
                locale,
                next_send: next_send.seen_from(now_ms),
                replayed: true,
            },
            Self::Unknown { next_send, .. } => {
                Self::Unknown { verification, next_send: next_send.seen_from(now_ms), replayed: true }
            }
            Self::Refused(refused) => {
                let next_send = refused.next_send.seen_from(now_ms);
                Self::Refused(Refused { next_send, replayed: true, ..refused })
            }
            Self::InProgress { .. } | Self::Offered { .. } => self,
        }
    }

    /// The answer as its record stores it. The name of the verification is not stored: it is made again for a repeat.
    #[must_use]
    pub fn stored(&self) -> Self {
        let mut stored = self.clone();
        if let Self::Sent { verification, .. } | Self::Unknown { verification, .. } = &mut stored {
            verification.clear();
        }
        stored
    }

    /// The answer's `status`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        self.into()
    }

    /// The refusal, if it is one.
    #[must_use]
    pub const fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Refused(refused) => Some(refused),
            _ => None,
        }
    }

    /// Twilio's identifier of the message, if it was sent.
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
    fn because(reason: Reason) -> Self {
        Self {
            reason,
            rule: None,
            retry_after: None,
            next_send: NextSend { at: None, in_seconds: None },
            twilio_code: None,
            detail: None,
            replayed: false,
            alternatives: vec![],
        }
    }

    /// The number can't exist.
    #[must_use]
    pub fn invalid_phone_number(invalid: InvalidPhoneNumber) -> Self {
        Self { detail: Some(format!("the phone number {invalid}")), ..Self::because(Reason::InvalidPhoneNumber) }
    }

    /// Twilio said lately that a number of the same unknown block doesn't exist.
    #[must_use]
    pub fn no_such_numbers() -> Self {
        let detail =
            "the phone number is in no known range, and Twilio rejected another of its block within the last day";
        Self { detail: Some(detail.to_owned()), ..Self::because(Reason::InvalidPhoneNumber) }
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
    pub fn opted_out() -> Self {
        Self::because(Reason::OptedOut)
    }

    /// A limit is reached.
    #[must_use]
    pub fn limited(limited: LimitReached, now_ms: u64) -> Self {
        let until_ms = limited.exceeded.until_ms;
        Self {
            rule: Some(limited.exceeded.rule.to_string()),
            retry_after: Some(until_ms.saturating_sub(now_ms).div_ceil(1000)),
            next_send: NextSend::at(until_ms, now_ms),
            ..Self::because(limited.by.into())
        }
    }

    /// The record of the number's block is not good enough for the country's load.
    #[must_use]
    pub fn short_of_record(shortfall: Shortfall) -> Self {
        Self { detail: Some(shortfall.to_string()), ..Self::because(Reason::BlockRecord) }
    }

    /// Twilio does not send to the number. The send counts, since numbers could be probed for free otherwise.
    #[must_use]
    pub fn by_twilio(code: TwilioErrorCode, next_send: NextSend) -> Self {
        let reason = if code.is_opt_out() { Reason::OptedOut } else { Reason::RejectedByTwilio };
        Self {
            twilio_code: Some(code.0),
            detail: Some(format!("Twilio's error {code}")),
            // After an opt-out, waiting does not help.
            next_send: if code.is_opt_out() { NextSend::default() } else { next_send },
            ..Self::because(reason)
        }
    }

    /// The name of the reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.reason.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_was_stored_before_it_named_a_language_is_still_read() {
        let stored = r#"{"status":"sent","message_sid":"SM1","verification":"","expires_at":"2026-11-25T10:10:00Z","expires_in":600}"#;
        let answer: Answer = serde_json::from_str(stored).unwrap();
        assert!(matches!(&answer, Answer::Sent { locale: None, .. }), "{answer:?}");
        assert_eq!(serde_json::to_string(&answer).unwrap(), stored);
    }

    #[test]
    fn a_reason_and_a_status_have_the_same_name_in_answers_logs_and_metrics() {
        use LimitKind::{BlockRecord, Country, Ip, Network, Phone, Range, Spend, Total};
        for kind in [Phone, Ip, Range, Network, Country, Total, Spend, BlockRecord] {
            let refused = Refused::because(kind.into());
            assert_eq!(refused.reason(), kind.as_str());
            let answer = Answer::from(refused);
            let json = serde_json::to_value(&answer).unwrap();
            assert_eq!((&json["reason"], &json["status"]), (&kind.as_str().into(), &answer.status().into()));
        }
    }
}
