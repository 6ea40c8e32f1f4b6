//! Faults on demand: what fails, where, for which phone and how often. Code at a [`FaultPoint`] asks for the fault that
//! applies to a phone, which uses it up once.

use crate::exchanges::{Event, Exchanges};
use serde::{Deserialize, Serialize};
use shared::phone::number::is_e164;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What fails. The DynamoDB faults have nothing to do with Twilio: they are here because the local system's `/faults`
/// API, the page and the list of pending faults treat all faults alike, by one `kind`. Without a DynamoDB they have no
/// effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// Twilio accepts the message and never answers: the SMS arrives, but the sender can't know.
    Timeout,
    /// Twilio answers 500 and does not accept the message.
    #[serde(rename = "http_500")]
    Http500,
    /// Twilio answers 429 with code 20429 and does not accept the message.
    #[serde(rename = "http_429")]
    Http429,
    /// The connection is reset before Twilio answers. The message is not accepted.
    ConnectionReset,
    /// One of Twilio's error codes. With a delivery error (30001 to 30999, and 11751) the message is accepted and not
    /// delivered. Any other code refuses it.
    TwilioError {
        /// For example 21610 or 30003.
        code: u32,
    },
    /// The message is delivered, but late.
    LateDelivery {
        /// Seconds from creation to delivery.
        seconds: u32,
    },
    /// Twilio calls the webhook twice.
    DuplicateWebhook,
    /// Twilio calls the webhook after the next one. Status callbacks come in reverse order.
    OutOfOrderWebhook,
    /// The webhook is signed with a wrong auth token.
    ForgedSignature,
    /// DynamoDB throttles every request.
    DynamodbThrottled,
    /// DynamoDB is unreachable.
    DynamodbAway,
}

/// The default delay of a late delivery.
const LATE_SECONDS: u32 = 30;
/// The longest delay: a day.
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

/// Where a fault takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultPoint {
    /// A request to create a message.
    Request,
    /// The delivery of a message.
    Delivery,
    /// A call of a webhook or a status callback.
    Webhook,
    /// A request to DynamoDB.
    Dynamodb,
}

impl Kind {
    /// Where it takes effect.
    #[must_use]
    pub const fn point(self) -> FaultPoint {
        match self {
            // The API refuses with these, although they are in the range of delivery errors.
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

/// A pending fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Identifies it, to remove it.
    pub id: u64,
    /// What fails.
    #[serde(flatten)]
    pub kind: Kind,
    /// The phone, in E.164; none for all phones.
    pub number: Option<String>,
    /// How many times it still applies; none until it is removed.
    pub times: Option<u32>,
}

/// A fault to add, as the API takes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFault {
    /// The name of its [`Kind`].
    pub kind: String,
    /// See [`Fault::number`].
    #[serde(default)]
    pub number: Option<String>,
    /// See [`Fault::times`].
    #[serde(default)]
    pub times: Option<u32>,
    /// The error code of `twilio_error`.
    #[serde(default)]
    pub code: Option<u32>,
    /// The delay of `late_delivery`.
    #[serde(default)]
    pub seconds: Option<u32>,
}

impl NewFault {
    fn kind(&self) -> Result<Kind, InvalidFault> {
        let kind = KINDS.into_iter().find(|kind| kind.as_str() == self.kind);
        match (kind.ok_or(InvalidFault::Kind)?, self.code, self.seconds) {
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

/// Why a fault can't be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFault {
    /// It would never apply.
    #[error("times must be at least 1; omit it for a fault that stays until it is removed")]
    Never,
    /// The number is not a phone number.
    #[error("number must be in E.164, such as +14155550123; omit it for all phones")]
    Number,
    /// DynamoDB faults apply to all phones.
    #[error("{0} applies to all phones; omit number")]
    ForAll(&'static str),
    /// An unknown kind.
    #[error("unknown kind; expected one of {names}", names = names())]
    Kind,
    /// A missing or invalid error code.
    #[error("code must be one of Twilio's error codes, such as 21610 or 30003{}", given(*.0))]
    Code(Option<u32>),
    /// A delay out of range.
    #[error("seconds must be from 1 to {MAX_LATE_SECONDS}, not {0}")]
    Seconds(u32),
    /// A field that this kind does not have.
    #[error("only {1} has the field {0}")]
    Stray(&'static str, &'static str),
}

fn names() -> String {
    KINDS.map(Kind::as_str).join(", ")
}

fn given(code: Option<u32>) -> String {
    code.map_or_else(String::new, |code| format!(", not {code}"))
}

/// The pending faults. Clones share their state.
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
    /// Starts without faults. Changes are published to `exchanges`.
    #[must_use]
    pub fn new(exchanges: Exchanges) -> Self {
        Self { exchanges, waiting: Arc::default() }
    }

    /// Adds a fault.
    ///
    /// # Errors
    /// [`InvalidFault`] if it can't be added.
    pub fn add(&self, new: NewFault) -> Result<Fault, InvalidFault> {
        let kind = new.kind()?;
        let NewFault { number, times, .. } = new;
        match &number {
            _ if times == Some(0) => return Err(InvalidFault::Never),
            Some(_) if kind.point() == FaultPoint::Dynamodb => return Err(InvalidFault::ForAll(kind.as_str())),
            Some(number) if !is_e164(number) => return Err(InvalidFault::Number),
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

    /// The pending faults, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Fault> {
        self.waiting().faults.clone()
    }

    /// Removes a fault. Returns whether it existed.
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

    /// Removes all faults.
    pub fn clear(&self) {
        self.waiting().faults.clear();
        self.exchanges.publish(Event::Faults);
    }

    /// Uses the oldest fault that applies to this point and number once.
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
                // Nothing visible has changed.
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
    fn a_fault_is_shown_under_the_name_it_was_added_by() {
        for kind in KINDS {
            assert_eq!(serde_json::json!(kind)["kind"], kind.as_str());
        }
    }

    #[test]
    fn a_fault_applies_as_often_as_requested_and_only_to_its_number() {
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
            (new("time_out"), "expected one of timeout, http_500"),
            (new("twilio_error"), "such as 21610 or 30003"),
            (NewFault { code: Some(7), ..new("twilio_error") }, "not 7"),
            (NewFault { code: Some(21_610), ..new("http_500") }, "only twilio_error has"),
            (NewFault { seconds: Some(5), ..new("timeout") }, "only late_delivery has"),
            (NewFault { seconds: Some(0), ..new("late_delivery") }, "from 1"),
            (NewFault { times: Some(0), ..new("timeout") }, "omit it"),
            (NewFault { number: Some("415 555 0123".to_owned()), ..new("timeout") }, "E.164"),
            (NewFault { number: Some("+14155550123".to_owned()), ..new("dynamodb_away") }, "omit number"),
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
