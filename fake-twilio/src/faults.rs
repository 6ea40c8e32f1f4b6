//! Failures on demand: what is to go wrong, where, for whom and how often.
//!
//! The one idea: a fault is taken where it has its effect. Whoever is about to answer asks "is there a fault here for this
//! number?", and a fault that is to happen three times is gone after the third.

use crate::e164::is_e164;
use crate::exchanges::{Event, Exchanges};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// Twilio takes the message and never answers: the SMS arrives, but the sender can't know.
    Timeout,
    /// Twilio answers 500 and has not taken the message.
    #[serde(rename = "http_500")]
    Http500,
    /// Twilio answers 429 with code 20429, and has not taken the message.
    #[serde(rename = "http_429")]
    Http429,
    /// The connection is reset before Twilio answers; it has not taken the message.
    ConnectionReset,
    /// One of Twilio's error codes. With those of delivery (30001 to 30999, and 11751) the message is taken and comes to nothing;
    /// all others refuse it.
    TwilioError {
        /// Such as 21610 or 30003.
        code: u32,
    },
    /// The message is delivered, but late.
    LateDelivery {
        /// So many seconds after it was taken.
        seconds: u32,
    },
    /// Twilio tells its webhooks twice.
    DuplicateWebhook,
    /// Twilio tells a webhook after the next one. Of status callbacks, the last comes first.
    OutOfOrderWebhook,
    /// The webhook is signed with another auth token: somebody forged it.
    ForgedSignature,
    /// DynamoDB throttles each request.
    DynamodbThrottled,
    /// DynamoDB can't be reached.
    DynamodbAway,
}

/// How late a message is that is to be late, in seconds.
const LATE_SECONDS: u32 = 30;
/// The most that anybody would wait for one.
const MAX_LATE_SECONDS: u32 = 86_400;

const KINDS: [Kind; 11] = [
    Kind::Timeout,
    Kind::Http500,
    Kind::Http429,
    Kind::ConnectionReset,
    Kind::TwilioError { code: 0 },
    Kind::LateDelivery { seconds: LATE_SECONDS },
    Kind::DuplicateWebhook,
    Kind::OutOfOrderWebhook,
    Kind::ForgedSignature,
    Kind::DynamodbThrottled,
    Kind::DynamodbAway,
];

/// Where a fault has its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultPoint {
    /// A message is asked for at Twilio's API.
    Request,
    /// Twilio has taken a message and delivers it.
    Delivery,
    /// Twilio calls a webhook or a status callback.
    Webhook,
    /// A function calls DynamoDB.
    Dynamodb,
}

impl Kind {
    /// Where it has its effect.
    #[must_use]
    pub const fn point(self) -> FaultPoint {
        match self {
            // Among the codes of delivery stand these, which the API answers with.
            Self::TwilioError { code: 30_029 | 30_030 | 30_409 } => FaultPoint::Request,
            Self::TwilioError { code: 11_751 | 30_001..=30_999 } | Self::LateDelivery { .. } => FaultPoint::Delivery,
            Self::Timeout | Self::Http500 | Self::Http429 | Self::ConnectionReset | Self::TwilioError { .. } => {
                FaultPoint::Request
            }
            Self::DuplicateWebhook | Self::OutOfOrderWebhook | Self::ForgedSignature => FaultPoint::Webhook,
            Self::DynamodbThrottled | Self::DynamodbAway => FaultPoint::Dynamodb,
        }
    }

    /// Its name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Http500 => "http_500",
            Self::Http429 => "http_429",
            Self::ConnectionReset => "connection_reset",
            Self::TwilioError { .. } => "twilio_error",
            Self::LateDelivery { .. } => "late_delivery",
            Self::DuplicateWebhook => "duplicate_webhook",
            Self::OutOfOrderWebhook => "out_of_order_webhook",
            Self::ForgedSignature => "forged_signature",
            Self::DynamodbThrottled => "dynamodb_throttled",
            Self::DynamodbAway => "dynamodb_away",
        }
    }
}

/// A fault that waits for its occasion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Its name for removing it.
    pub id: u64,
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: Kind,
    /// For this phone only, in E.164; none is for all.
    pub number: Option<String>,
    /// So often; none is until it is removed.
    pub times: Option<u32>,
}

/// A fault that is wished for, as the API takes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFault {
    /// The name of its [`Kind`].
    pub kind: String,
    /// As in [`Fault`].
    #[serde(default)]
    pub number: Option<String>,
    /// As in [`Fault`].
    #[serde(default)]
    pub times: Option<u32>,
    /// For `twilio_error`.
    #[serde(default)]
    pub code: Option<u32>,
    /// For `late_delivery`.
    #[serde(default)]
    pub seconds: Option<u32>,
}

impl NewFault {
    fn kind(&self) -> Result<Kind, InvalidFault> {
        let kind = KINDS.into_iter().find(|kind| kind.as_str() == self.kind);
        match (kind.ok_or_else(|| InvalidFault::Kind(self.kind.clone()))?, self.code, self.seconds) {
            (Kind::TwilioError { .. }, Some(code @ 10_001..=99_999), None) => Ok(Kind::TwilioError { code }),
            (Kind::TwilioError { .. }, code, None) => Err(InvalidFault::Code(code)),
            (Kind::LateDelivery { .. }, None, seconds) => match seconds.unwrap_or(LATE_SECONDS) {
                seconds @ 1..=MAX_LATE_SECONDS => Ok(Kind::LateDelivery { seconds }),
                seconds => Err(InvalidFault::Seconds(seconds)),
            },
            (kind, None, None) => Ok(kind),
            (_, Some(_), _) => Err(InvalidFault::Stray("code", "twilio_error")),
            (_, _, Some(_)) => Err(InvalidFault::Stray("seconds", "late_delivery")),
        }
    }
}

/// Why a fault can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFault {
    /// Would never happen.
    #[error("times must be at least 1; leave it out for a fault that stays until it is removed")]
    Never,
    /// No phone could ever have it.
    #[error("number must be in E.164, such as +14155550123, not {0:?}; leave it out for all")]
    Number(String),
    /// DynamoDB knows no phones.
    #[error("{0} is for all numbers: leave number out")]
    ForAll(&'static str),
    /// No fault has this name.
    #[error("there is no fault {0:?}; there are {names}", names = names())]
    Kind(String),
    /// Not one of Twilio's codes.
    #[error("twilio_error needs one of Twilio's error codes as code, such as 21610 or 30003{}", given(*.0))]
    Code(Option<u32>),
    /// More than anybody waits.
    #[error("seconds must be from 1 to {MAX_LATE_SECONDS}, not {0}")]
    Seconds(u32),
    /// A field that this fault does not have.
    #[error("{0} is a field of {1} only")]
    Stray(&'static str, &'static str),
}

fn names() -> String {
    KINDS.map(Kind::as_str).join(", ")
}

fn given(code: Option<u32>) -> String {
    code.map_or_else(String::new, |code| format!(", not {code}"))
}

/// The faults of a system. Clones are the same ones.
#[derive(Clone)]
pub struct Faults {
    exchanges: Exchanges,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    faults: Vec<Fault>,
    ids: u64,
}

impl Faults {
    /// No faults yet; changes are told to `exchanges`.
    #[must_use]
    pub fn new(exchanges: Exchanges) -> Self {
        Self { exchanges, waiting: Arc::default() }
    }

    /// Adds one.
    ///
    /// # Errors
    /// [`InvalidFault`] says what is wrong with it.
    pub fn add(&self, new: NewFault) -> Result<Fault, InvalidFault> {
        let kind = new.kind()?;
        let NewFault { number, times, .. } = new;
        match &number {
            _ if times == Some(0) => return Err(InvalidFault::Never),
            Some(_) if kind.point() == FaultPoint::Dynamodb => return Err(InvalidFault::ForAll(kind.as_str())),
            Some(number) if !is_e164(number) => return Err(InvalidFault::Number(number.clone())),
            _ => {}
        }
        let fault = {
            let mut waiting = self.waiting();
            waiting.ids += 1;
            let fault = Fault { id: waiting.ids, kind, number, times };
            waiting.faults.push(fault.clone());
            fault
        };
        self.exchanges.publish(Event::Faults);
        Ok(fault)
    }

    /// The faults that wait, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Fault> {
        self.waiting().faults.clone()
    }

    /// Removes one; whether it was there.
    #[must_use]
    pub fn remove(&self, id: u64) -> bool {
        let removed = {
            let faults = &mut self.waiting().faults;
            let before = faults.len();
            faults.retain(|fault| fault.id != id);
            faults.len() < before
        };
        self.exchanges.publish(Event::Faults);
        removed
    }

    /// Removes all.
    pub fn clear(&self) {
        self.waiting().faults.clear();
        self.exchanges.publish(Event::Faults);
    }

    /// The oldest fault that waits here for this number; it has happened once more then.
    #[must_use]
    pub fn take(&self, point: FaultPoint, number: Option<&str>) -> Option<Kind> {
        let kind = {
            let faults = &mut self.waiting().faults;
            let index = faults.iter().position(|fault| {
                fault.kind.point() == point && (fault.number.is_none() || fault.number.as_deref() == number)
            })?;
            let fault = faults.get_mut(index)?;
            let kind = fault.kind;
            match &mut fault.times {
                Some(1) => drop(faults.remove(index)),
                Some(times) => *times -= 1,
                // Nothing has changed that anybody could see.
                None => return Some(kind),
            }
            kind
        };
        self.exchanges.publish(Event::Faults);
        Some(kind)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::{self, RefusalTemplate};
    use shared::runtime::clock::Clock;

    fn faults() -> Faults {
        Faults::new(Exchanges::new(Clock::new(|| 0)))
    }

    fn new(kind: &str) -> NewFault {
        NewFault { kind: kind.to_owned(), ..NewFault::default() }
    }

    #[test]
    fn a_fault_is_shown_under_the_name_that_it_is_wished_for_by() {
        for kind in KINDS {
            assert_eq!(serde_json::json!(kind)["kind"], kind.as_str());
        }
    }

    #[test]
    fn a_fault_happens_as_often_as_was_wished_for_and_only_to_its_number() {
        let (faults, phone) = (faults(), Some("+14155550123"));
        faults.add(NewFault { number: phone.map(str::to_owned), times: Some(2), ..new("http_500") }).unwrap();
        assert_eq!(faults.take(FaultPoint::Request, Some("+14155550199")), None);
        assert_eq!(faults.take(FaultPoint::Webhook, phone), None);
        assert_eq!(faults.take(FaultPoint::Request, phone), Some(Kind::Http500));
        assert_eq!(faults.list()[0].times, Some(1));
        assert_eq!(faults.take(FaultPoint::Request, phone), Some(Kind::Http500));
        assert_eq!(faults.take(FaultPoint::Request, phone), None);
        assert!(faults.list().is_empty());
    }

    #[test]
    fn a_fault_without_a_number_or_times_happens_to_all_until_it_is_removed() {
        let faults = faults();
        let id = faults.add(NewFault { code: Some(30_003), ..new("twilio_error") }).unwrap().id;
        for number in [Some("+14155550123"), Some("+16135550142"), None] {
            assert_eq!(faults.take(FaultPoint::Delivery, number), Some(Kind::TwilioError { code: 30_003 }));
        }
        assert!(faults.remove(id) && !faults.remove(id));
        assert_eq!(faults.take(FaultPoint::Delivery, None), None);
    }

    #[test]
    fn what_could_never_happen_is_refused_with_what_to_do() {
        for (wrong, says) in [
            (new("time_out"), "there are timeout, http_500"),
            (new("twilio_error"), "such as 21610 or 30003"),
            (NewFault { code: Some(7), ..new("twilio_error") }, "not 7"),
            (NewFault { code: Some(21_610), ..new("http_500") }, "twilio_error only"),
            (NewFault { seconds: Some(5), ..new("timeout") }, "late_delivery only"),
            (NewFault { seconds: Some(0), ..new("late_delivery") }, "from 1"),
            (NewFault { times: Some(0), ..new("timeout") }, "leave it out"),
            (NewFault { number: Some("415 555 0123".to_owned()), ..new("timeout") }, "E.164"),
            (NewFault { number: Some("+14155550123".to_owned()), ..new("dynamodb_away") }, "leave number out"),
        ] {
            let error = faults().add(wrong.clone()).unwrap_err().to_string();
            assert!(error.contains(says), "{wrong:?}: {error}");
        }
        for kind in KINDS.map(Kind::as_str).into_iter().filter(|kind| *kind != "twilio_error") {
            assert_eq!(faults().add(new(kind)).unwrap().kind.as_str(), kind);
        }
    }

    #[test]
    fn a_code_that_the_api_refuses_with_refuses_as_a_fault_too() {
        for RefusalTemplate { code, sentence, .. } in errors::ALL.iter().copied() {
            assert_eq!(Kind::TwilioError { code }.point(), FaultPoint::Request, "{code}: {sentence}");
        }
        for (code, sentence) in errors::DELIVERY {
            assert_eq!(Kind::TwilioError { code }.point(), FaultPoint::Delivery, "{code}: {sentence}");
        }
    }
}
