//! Sends: decided and recorded.

use super::codes::{SentCode, code};
use super::counters::{CounterEntries, CounterScope, rule_names};
use super::items::{Item, StoreError, Transaction, number, read_log, read_number, read_text, text};
use super::send_limits::SendLimits;
use super::table::{NOT_RESERVED, Table, expiry};
use crate::limits::rules::{Exceeded, Mode, Rule, WindowRules};
use crate::limits::sliding_log::{SlidingLog, shift_in};
use crate::phone::code::VerificationCode;
use crate::phone::number::PhoneNumber;
use crate::runtime::ip::ClientIp;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::BTreeMap;
use std::str::FromStr;

/// How long a send's record answers repeats. Lambda retries an asynchronous invocation for at most 6 hours.
const SEND_RECORD_MS: u64 = 24 * 60 * 60 * 1000;
/// How long a send may take: longer than send-code's time-out. An older reservation belongs to an invocation that ended without
/// recording an outcome.
const IN_PROGRESS_MS: u64 = 30 * 1000;

/// A caller's name for one send. The same key never sends twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// The key is empty or too long. The text goes after the name of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 255 characters")]
pub struct InvalidIdempotencyKey;

impl FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if (1..=255).contains(&text.chars().count()) { Ok(Self(text.to_owned())) } else { Err(InvalidIdempotencyKey) }
    }
}

/// A send to be decided.
#[derive(Clone, Copy)]
pub struct SendRequest<'a> {
    /// Whom to text.
    pub phone: &'a PhoneNumber,
    /// The end user's address.
    pub ip: &'a ClientIp,
    /// The name of this send.
    pub idempotency_key: &'a IdempotencyKey,
    /// The code to text.
    pub code: &'a VerificationCode,
    /// What else must be equal under the same idempotency key: the code, if the caller chose it, and its language.
    pub fingerprint: &'a str,
}

/// The decision on a send.
#[derive(Debug)]
pub enum Decision {
    /// Send it, once.
    Admitted(Admission),
    /// The recipient has opted out by STOP.
    OptedOut,
    /// A limit is reached.
    LimitReached(LimitReached),
    /// This idempotency key was used before.
    Repeated(PreviousSend),
}

/// The limit that refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReached {
    /// Which limit.
    pub by: LimitKind,
    /// Its rule, and until when.
    pub exceeded: Exceeded,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// Sends to one phone number.
    Phone,
    /// Unverified sends from one IP address.
    Ip,
    /// Unverified sends to one number range.
    Range,
    /// Unverified sends to one country.
    Country,
    /// All sends.
    Total,
    /// Failed checks of one phone number. While its codes are not compared, none is sent.
    Check,
}

impl LimitKind {
    /// The limit's name in answers and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "phone_limit",
            Self::Ip => "ip_limit",
            Self::Range => "range_limit",
            Self::Country => "country_limit",
            Self::Total => "total_limit",
            Self::Check => "check_limit",
        }
    }
}

/// What became of an earlier send under the same idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreviousSend {
    /// It was answered with this JSON.
    Answered(String),
    /// It is in progress.
    InProgress,
    /// It ended without recording an outcome: the message may have been sent.
    Lost,
    /// It was a different request: another phone number, IP or code.
    Different,
}

/// The right to send one message, already counted and recorded. [`Table::record`] or [`Table::release`] uses it up.
#[derive(Debug)]
pub struct Admission {
    pub(super) send: String,
    pub(super) phone: String,
    pub(super) ip: String,
    pub(super) range: String,
    pub(super) mac: AttributeValue,
    pub(super) at_ms: u64,
    pub(super) counted: CounterEntries,
    observed: Vec<(LimitKind, Rule)>,
}

/// When another send is allowed, and which observed limits this one exceeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendForecast {
    /// When this IP may next have this phone texted, in milliseconds; possibly now.
    pub next_send_ms: u64,
    /// The observed limits that would have refused this send.
    pub would_have_refused: Vec<(LimitKind, Rule)>,
}

/// How an admitted send ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// Twilio accepted the message.
    Sent,
    /// Twilio rejected it.
    Refused,
    /// The message may have been sent.
    Unknown,
}

impl SendOutcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// The writes of an admission. Their order is the precedence of what they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum AdmissionWrite {
    Record,
    Phone,
    Ip,
    Range,
}

/// The writes that record an outcome.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum RecordWrite {
    VoidCode,
    Record,
}

impl Admission {
    /// Whether this slot of the phone's item is this admission: two sends may share a millisecond, but not a code.
    pub(super) fn is_in(&self, item: &Item, slot: u32, code_slots: u32) -> bool {
        let same_time = read_number(item, &format!("a{slot}")) == Some(self.at_ms);
        same_time && (slot > code_slots || code(item, slot).is_some_and(|code| *code.mac == self.mac))
    }
}

impl Table {
    /// Decides on a send, and counts and records it if it may be sent: the phone, the IP, the range and the idempotency key in one
    /// transaction, then the counters of the country and of all sends, which are too busy for a transaction.
    ///
    /// # Errors
    /// [`StoreError`] if no decision was made. The send may be counted then, but must not be made.
    pub async fn admit(
        &self,
        request: SendRequest<'_>,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<Decision, StoreError> {
        let mut admission = match self.reserve(request, limits, now_ms).await? {
            Decision::Admitted(admission) => admission,
            refusal => return Ok(refusal),
        };
        let country =
            request.phone.region().map(|region| (LimitKind::Country, CounterScope::Country(region), &limits.country));
        for (by, scope, limit) in country.into_iter().chain([(LimitKind::Total, CounterScope::Total, &limits.total)]) {
            let mut observed = vec![];
            let counted = self.count(scope, limit, now_ms, &mut admission.counted, &mut observed).await;
            admission.observed.extend(observed.into_iter().map(|rule| (by, rule)));
            let refused = match counted {
                Ok(None) => continue,
                Ok(Some(exceeded)) => Ok(Decision::LimitReached(LimitReached { by, exceeded })),
                Err(error) => Err(error),
            };
            if let Err(error) = self.release(admission, limits, now_ms).await {
                tracing::error!(%error, "a refused send could not be released; it stays counted");
            }
            return refused;
        }
        Ok(Decision::Admitted(admission))
    }

    async fn reserve(
        &self,
        request: SendRequest<'_>,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<Decision, StoreError> {
        let (phone, ip) = (request.phone.as_str(), request.ip.canonical());
        let fingerprint = URL_SAFE_NO_PAD.encode(self.mac(&["request", phone, &ip, request.fingerprint]));
        let admission = Admission {
            send: self.pk("send", &request.idempotency_key.0),
            phone: self.phone_pk(request.phone),
            ip: self.ip_pk(request.ip),
            range: self.range_pk(request.phone),
            mac: self.code_mac(request.phone, request.code.as_str()),
            at_ms: now_ms,
            counted: CounterEntries::default(),
            observed: Vec::new(),
        };
        let mut writes = vec![
            (AdmissionWrite::Record, self.record_write(&admission, &fingerprint)),
            (AdmissionWrite::Phone, self.phone_write(&admission, limits)),
        ];
        for (label, pk, limit) in
            [(AdmissionWrite::Ip, &admission.ip, &limits.ip), (AdmissionWrite::Range, &admission.range, &limits.range)]
        {
            writes.extend(self.log_write(pk, limit, now_ms).map(|write| (label, write)));
        }
        let refused = match self.items.transact(&writes).await? {
            Transaction::Done => return Ok(Decision::Admitted(admission)),
            Transaction::Refused(refused) => refused,
        };
        if let Some(record) = refused.get(&AdmissionWrite::Record) {
            return Ok(Decision::Repeated(previous_send(record, &fingerprint, now_ms)?));
        }
        if refused.get(&AdmissionWrite::Phone).is_some_and(|phone| phone.contains_key("opted_out")) {
            return Ok(Decision::OptedOut);
        }
        limit_reached(&refused, limits, now_ms)
            .map(Decision::LimitReached)
            .ok_or(StoreError::Corrupt("a limit refused, but its log allows the send"))
    }

    /// Reserves the idempotency key.
    fn record_write(&self, admission: &Admission, fingerprint: &str) -> TransactWriteItem {
        self.items
            .write(&admission.send)
            .only_if("attribute_not_exists(pk) OR expires_at <= :now_s")
            .number(":now_s", admission.at_ms / 1000)
            .put([
                ("state", text("reserved")),
                ("at", number(admission.at_ms)),
                ("request", text(fingerprint)),
                ("expires_at", number((admission.at_ms + SEND_RECORD_MS) / 1000)),
            ])
    }

    /// Counts on the phone's log and stores the code next to its time. While a phone's checks are refused, it gets no code.
    fn phone_write(&self, admission: &Admission, limits: &SendLimits) -> TransactWriteItem {
        let terms = limits.phone_log().admit(limits.phone.enforced(), admission.at_ms);
        let checks = SlidingLog::of("f", &limits.check).allow(Some(&limits.check), admission.at_ms);
        let and = if terms.condition.is_empty() { "" } else { " AND " };
        let code_slots = limits.code_slots();
        let country = rule_names(&limits.country);
        let Admission { mac, ip, at_ms, .. } = admission;
        let code = SentCode { mac, at_ms: *at_ms, ip, country: &country };
        let mut write = self
            .items
            .write(&admission.phone)
            .only_if(&format!("attribute_not_exists(opted_out) AND {}{and}{}", checks.condition, terms.condition))
            .numbers(&terms.values)
            .numbers(&checks.values)
            .number(":exp", expiry(admission.at_ms, limits.phone_lifetime()))
            .value(":cnew", code.stored());
        if code_slots > 1 {
            write = write.value(":cz", AttributeValue::Null(true));
        }
        write.update(&format!("SET {}, {}, expires_at = :exp", terms.set, shift_in("c", code_slots)))
    }

    /// Counts on a limit's log, unless the limit is off.
    fn log_write(&self, pk: &str, limit: &Mode<WindowRules>, now_ms: u64) -> Option<TransactWriteItem> {
        let terms = SlidingLog::for_limit("a", limit)?.admit(limit.enforced(), now_ms);
        let write = self
            .items
            .write(pk)
            .numbers(&terms.values)
            .only_if(&terms.condition)
            .number(":exp", expiry(now_ms, limit.counted()?.longest_window()))
            .update(&format!("SET {}, expires_at = :exp", terms.set));
        Some(write)
    }

    /// When another send is allowed after an admitted one: one read of its three logs.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the table can't be read.
    pub async fn forecast(
        &self,
        admission: &Admission,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<SendForecast, StoreError> {
        let [phone, ip, range] = self.items.read([&admission.phone, &admission.ip, &admission.range]).await?;
        let mut forecast = SendForecast { next_send_ms: now_ms, would_have_refused: admission.observed.clone() };
        for (by, item, limit) in [
            (LimitKind::Phone, phone, &limits.phone),
            (LimitKind::Ip, ip, &limits.ip),
            (LimitKind::Range, range, &limits.range),
        ] {
            if let Some(rules) = limit.enforced() {
                let exceeded = rules.check(&read_log(&item, SlidingLog::of("a", rules)), now_ms).err();
                let until_ms = exceeded.map_or(now_ms, |exceeded| exceeded.until_ms);
                forecast.next_send_ms = forecast.next_send_ms.max(until_ms);
            }
            if let Some(rules) = limit.observed() {
                // The log as it was before this send.
                let log = read_log(&item, SlidingLog { name: "a", slots: rules.slots() + 1 });
                let before =
                    log.iter().position(|&at_ms| at_ms == admission.at_ms).map_or(&log[..], |at| &log[at + 1..]);
                let exceeded = rules.check(before, admission.at_ms).err();
                forecast.would_have_refused.extend(exceeded.map(|exceeded| (by, exceeded.rule)));
            }
        }
        Ok(forecast)
    }

    /// Records how an admitted send ended, and the answer for every repeat. The code of a rejected message is voided.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be recorded. Repeats are then answered with `unknown`.
    pub async fn record(
        &self,
        admission: Admission,
        limits: &SendLimits,
        outcome: SendOutcome,
        answer: &str,
    ) -> Result<(), StoreError> {
        let record = self
            .reserved(&admission)
            .text(":state", outcome.as_str())
            .text(":answer", answer)
            .update("SET #state = :state, answer = :answer");
        if outcome != SendOutcome::Refused {
            return match self.items.transact(&[(RecordWrite::Record, record)]).await? {
                Transaction::Done => Ok(()),
                Transaction::Refused(_) => Err(NOT_RESERVED),
            };
        }
        let slots = limits.code_slots();
        let is_here = |item: &Item, slot: u32| admission.is_in(item, slot, slots);
        self.write_at_slot(slots, RecordWrite::VoidCode, is_here, |slot| {
            let void = slot.map(|slot| {
                self.items
                    .write(&admission.phone)
                    .only_if(&format!("a{slot} = :at AND c{slot}.mac = :mac"))
                    .number(":at", admission.at_ms)
                    .value(":mac", admission.mac.clone())
                    .value(":cz", AttributeValue::Null(true))
                    .update(&format!("SET c{slot} = :cz"))
            });
            let void = void.into_iter().map(|void| (RecordWrite::VoidCode, void));
            void.chain([(RecordWrite::Record, record.clone())]).collect()
        })
        .await
    }
}

/// The limit that refuses longest, of those whose items the transaction shows. Between equals the phone's comes last and wins: it is
/// the one that the user understands.
fn limit_reached(refused: &BTreeMap<AdmissionWrite, Item>, limits: &SendLimits, now_ms: u64) -> Option<LimitReached> {
    let logs = [
        (AdmissionWrite::Phone, LimitKind::Check, "f", Some(&limits.check)),
        (AdmissionWrite::Ip, LimitKind::Ip, "a", limits.ip.enforced()),
        (AdmissionWrite::Range, LimitKind::Range, "a", limits.range.enforced()),
        (AdmissionWrite::Phone, LimitKind::Phone, "a", limits.phone.enforced()),
    ];
    let reached = logs.into_iter().filter_map(|(write, by, log, rules)| {
        let rules = rules?;
        let log = read_log(refused.get(&write)?, SlidingLog::of(log, rules));
        Some(LimitReached { by, exceeded: rules.check(&log, now_ms).err()? })
    });
    reached.max_by_key(|reached| reached.exceeded.until_ms)
}

fn previous_send(record: &Item, fingerprint: &str, now_ms: u64) -> Result<PreviousSend, StoreError> {
    if read_text(record, "request") != Some(fingerprint) {
        return Ok(PreviousSend::Different);
    }
    match (read_text(record, "state"), read_text(record, "answer")) {
        (Some("reserved"), _) => {
            let at_ms = read_number(record, "at").ok_or(StoreError::Corrupt("a send's record has no time"))?;
            Ok(if now_ms < at_ms + IN_PROGRESS_MS { PreviousSend::InProgress } else { PreviousSend::Lost })
        }
        (Some(_), Some(answer)) => Ok(PreviousSend::Answered(answer.to_owned())),
        _ => Err(StoreError::Corrupt("a send's record has no state or no answer")),
    }
}
