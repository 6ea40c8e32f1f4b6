//! Sends: decided, recorded, and given back.

use super::codes::code;
use super::counters::{CounterEntries, CounterScope, rule_names};
use super::send_limits::SendLimits;
use super::table::{Item, NOT_RESERVED, StoreError, Table, Transaction, expiry, number, read_log, read_number, text};
use crate::limits::rules::{Exceeded, Mode, Rule, WindowRules};
use crate::limits::sliding_log::{SlidingLog, shift_in};
use crate::phone::code::VerificationCode;
use crate::phone::number::PhoneNumber;
use crate::runtime::ip::ClientIp;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::HashMap;
use std::str::FromStr;

/// How long a send's record answers for repeats. Lambda retries an asynchronous invocation for at most 6 hours.
const SEND_RECORD_MS: u64 = 24 * 60 * 60 * 1000;
/// How long a send may be under way, which is longer than send-code's time-out: a reservation older than this belongs to an
/// invocation that has ended without a word.
const IN_PROGRESS_MS: u64 = 30 * 1000;

/// A caller's name for one send: the same key never sends twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// The key is empty, or too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the idempotency key must have 1 to 255 characters")]
pub struct InvalidIdempotencyKey;

impl FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if (1..=255).contains(&text.chars().count()) { Ok(Self(text.to_owned())) } else { Err(InvalidIdempotencyKey) }
    }
}

/// One wish to send, as the table judges it.
#[derive(Clone, Copy)]
pub struct SendRequest<'a> {
    /// Whom to text.
    pub phone: &'a PhoneNumber,
    /// Who asks.
    pub ip: &'a ClientIp,
    /// The name of this send.
    pub idempotency_key: &'a IdempotencyKey,
    /// The code that is to be texted.
    pub code: &'a VerificationCode,
    /// What else must be the same under the same idempotency key: the code, if the caller chose it, and its language.
    pub asked: &'a str,
}

/// What the table says to a wish.
#[derive(Debug)]
pub enum Decision {
    /// Go ahead, once.
    Admitted(Admission),
    /// The recipient has opted out by STOP.
    OptedOut,
    /// A limit is reached.
    LimitReached(LimitReached),
    /// This send was asked for before.
    Repeated(PreviousSend),
}

/// The limit that refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReached {
    /// Whose limit it is.
    pub by: LimitKind,
    /// Its rule, and until when.
    pub exceeded: Exceeded,
}

/// Whose limit refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// The phone number's.
    Phone,
    /// The IP address's.
    Ip,
    /// The number range's.
    Range,
    /// The country's.
    Country,
    /// Everybody's.
    Total,
    /// That of failed checks: while no code of this number is looked at, none is sent.
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

/// What became of a send that was asked for before under the same idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreviousSend {
    /// It was answered with this JSON.
    Answered(String),
    /// It is under way.
    InProgress,
    /// It ended without recording what became of it: the message may have gone.
    Lost,
    /// It was another request: another phone number, IP or code.
    Different,
}

/// The right to send one message: counted already, and recorded. It is used up by [`Table::record`] or [`Table::release`].
#[derive(Debug)]
pub struct Admission {
    pub(super) send: String,
    pub(super) phone: String,
    pub(super) ip: String,
    pub(super) range: String,
    pub(super) mac: AttributeValue,
    pub(super) at_ms: u64,
    pub(super) spent: CounterEntries,
    pub(super) observed: Vec<(LimitKind, Rule)>,
}

/// What the table knows after a send was admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendForecast {
    /// When this phone may next be texted at the wish of this IP, in milliseconds; it may be now.
    pub next_send_ms: u64,
    /// The observed limits that would have refused this send.
    pub observed: Vec<(LimitKind, Rule)>,
}

/// How an admitted send ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// Twilio has taken the message.
    Sent,
    /// Twilio refused it.
    Refused,
    /// Nobody knows.
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

impl Admission {
    /// Whether this is its place in its phone's item: two sends may have come in the same millisecond, but with other codes.
    pub(super) fn stands_in(&self, item: &Item, slot: u32, code_slots: u32) -> bool {
        let same_time = read_number(item, &format!("a{slot}")) == Some(self.at_ms);
        same_time && (slot > code_slots || code(item, slot).is_some_and(|code| *code.mac == self.mac))
    }
}

impl Table {
    /// Decides on a send, and counts and records it if it may go: the phone, the IP, the range and the idempotency key in one
    /// transaction, then the country and the total, which are too busy to stand in one.
    ///
    /// # Errors
    /// [`StoreError`] if no decision came about. The send may have been counted then, but is never to be made.
    pub async fn admit(&self, wish: SendRequest<'_>, limits: &SendLimits, now_ms: u64) -> Result<Decision, StoreError> {
        let mut admission = match self.reserve(wish, limits, now_ms).await? {
            Decision::Admitted(admission) => admission,
            refusal => return Ok(refusal),
        };
        let country =
            wish.phone.region().map(|region| (LimitKind::Country, CounterScope::Country(region), &limits.country));
        for (by, account, limit) in country.into_iter().chain([(LimitKind::Total, CounterScope::Total, &limits.total)])
        {
            let mut observed = vec![];
            let asked = self.spend(account, limit, now_ms, &mut admission.spent, &mut observed).await;
            admission.observed.extend(observed.into_iter().map(|rule| (by, rule)));
            match asked {
                Ok(None) => {}
                Ok(Some(exceeded)) => {
                    self.give_back_or_say_so(admission, limits, now_ms).await;
                    return Ok(Decision::LimitReached(LimitReached { by, exceeded }));
                }
                Err(error) => {
                    self.give_back_or_say_so(admission, limits, now_ms).await;
                    return Err(error);
                }
            }
        }
        Ok(Decision::Admitted(admission))
    }

    async fn give_back_or_say_so(&self, admission: Admission, limits: &SendLimits, now_ms: u64) {
        if let Err(error) = self.release(admission, limits, now_ms).await {
            tracing::error!(%error, "a send that was refused could not be given back; it stays counted");
        }
    }

    async fn reserve(&self, wish: SendRequest<'_>, limits: &SendLimits, now_ms: u64) -> Result<Decision, StoreError> {
        let (phone, ip) = (wish.phone.as_str(), wish.ip.canonical());
        let request = URL_SAFE_NO_PAD.encode(self.mac(&["request", phone, &ip, wish.asked]));
        let admission = Admission {
            send: self.pk("send", &wish.idempotency_key.0),
            phone: self.pk("phone", phone),
            ip: self.pk("ip", &ip),
            range: self.pk("range", wish.phone.range().as_str()),
            mac: self.code_mac(wish.phone, wish.code.as_str()),
            at_ms: now_ms,
            spent: CounterEntries::default(),
            observed: Vec::new(),
        };
        let record = self
            .write(&admission.send)
            .only_if("attribute_not_exists(pk) OR expires_at <= :now_s")
            .number(":now_s", now_ms / 1000)
            .put([
                ("state", text("reserved")),
                ("at", number(now_ms)),
                ("request", text(&request)),
                ("expires_at", number((now_ms + SEND_RECORD_MS) / 1000)),
            ]);
        let by = [(LimitKind::Ip, &admission.ip, &limits.ip), (LimitKind::Range, &admission.range, &limits.range)];
        let counted: Vec<_> = by.into_iter().filter(|(_, _, limit)| limit.counted().is_some()).collect();
        let mut writes = vec![record, self.phone_write(&admission, limits)];
        writes.extend(counted.iter().filter_map(|(_, pk, limit)| self.log_write(pk, limit, now_ms)));

        let refused = match self.transact(&writes).await? {
            Transaction::Done => return Ok(Decision::Admitted(admission)),
            Transaction::Refused(refused) => refused,
        };
        if let Some(earlier) = refused.get(&0) {
            return Ok(Decision::Repeated(earlier_send(earlier, &request, now_ms)?));
        }
        if refused.get(&1).is_some_and(|phone| phone.contains_key("opted_out")) {
            return Ok(Decision::OptedOut);
        }
        let others = counted.iter().enumerate().map(|(index, (by, _, limit))| (index + 2, *by, *limit));
        // Of those that refuse for equally long the last is named: the phone's, which says most to its owner.
        let by = others.chain([(1, LimitKind::Phone, &limits.phone)]);
        let by = by.filter_map(|(index, by, limit)| Some((index, by, "a", limit.enforced()?)));
        let limited =
            [(1, LimitKind::Check, "f", &limits.check)].into_iter().chain(by).filter_map(|(index, by, log, rules)| {
                let log = read_log(refused.get(&index)?, SlidingLog::of(log, rules));
                Some(LimitReached { by, exceeded: rules.check(&log, now_ms).err()? })
            });
        limited
            .max_by_key(|limited| limited.exceeded.until_ms)
            .map(Decision::LimitReached)
            .ok_or(StoreError::Corrupt("a limit refused, but its log allows the send"))
    }

    /// Counts on the phone's log, and puts the code beside its time. A phone whose checks are refused gets no code.
    fn phone_write(&self, admission: &Admission, limits: &SendLimits) -> TransactWriteItem {
        let terms = limits.phone_log().admit(limits.phone.enforced(), admission.at_ms);
        let checks = SlidingLog::of("f", &limits.check).allow(Some(&limits.check), admission.at_ms);
        let and = if terms.condition.is_empty() { "" } else { " AND " };
        let code = HashMap::from([
            ("mac".to_owned(), admission.mac.clone()),
            ("ip".to_owned(), text(&admission.ip)),
            ("at".to_owned(), number(admission.at_ms)),
            ("country".to_owned(), text(&rule_names(&limits.country))),
        ]);
        let code_slots = limits.code_slots();
        let mut write = self
            .write(&admission.phone)
            .only_if(&format!("attribute_not_exists(opted_out) AND {}{and}{}", checks.condition, terms.condition))
            .numbers(&terms.values)
            .numbers(&checks.values)
            .number(":exp", expiry(admission.at_ms, limits.phone_lifetime()))
            .value(":cnew", AttributeValue::M(code));
        if code_slots > 1 {
            write = write.value(":cz", AttributeValue::Null(true));
        }
        write.update(&format!("SET {}, {}, expires_at = :exp", terms.set, shift_in("c", code_slots)))
    }

    /// Counts on a limit's log; none if the limit is off.
    fn log_write(&self, pk: &str, limit: &Mode<WindowRules>, now_ms: u64) -> Option<TransactWriteItem> {
        let terms = SlidingLog::for_limit("a", limit)?.admit(limit.enforced(), now_ms);
        let write = self
            .write(pk)
            .numbers(&terms.values)
            .only_if(&terms.condition)
            .number(":exp", expiry(now_ms, limit.counted()?.longest_window()))
            .update(&format!("SET {}, expires_at = :exp", terms.set));
        Some(write)
    }

    /// What comes next for an admitted send: one read of its three logs.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the table can't be read.
    pub async fn outlook(
        &self,
        admission: &Admission,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<SendForecast, StoreError> {
        let [phone, ip, range] = self.read([&admission.phone, &admission.ip, &admission.range]).await?;
        let mut outlook = SendForecast { next_send_ms: now_ms, observed: admission.observed.clone() };
        for (by, item, limit) in [
            (LimitKind::Phone, phone, &limits.phone),
            (LimitKind::Ip, ip, &limits.ip),
            (LimitKind::Range, range, &limits.range),
        ] {
            if let Some(rules) = limit.enforced() {
                let exceeded = rules.check(&read_log(&item, SlidingLog::of("a", rules)), now_ms).err();
                outlook.next_send_ms = outlook.next_send_ms.max(exceeded.map_or(now_ms, |exceeded| exceeded.until_ms));
            }
            if let Some(rules) = limit.observed() {
                // The log as it was before this send.
                let log = read_log(&item, SlidingLog { name: "a", slots: rules.slots() + 1 });
                let before =
                    log.iter().position(|&at_ms| at_ms == admission.at_ms).map_or(&log[..], |at| &log[at + 1..]);
                outlook.observed.extend(rules.check(before, admission.at_ms).err().map(|exceeded| (by, exceeded.rule)));
            }
        }
        Ok(outlook)
    }

    /// Records how an admitted send ended, and the answer that every repeat gets. The code of a message that was refused is
    /// void.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be recorded: repeats are then told that nobody knows.
    pub async fn record(
        &self,
        admission: Admission,
        limits: &SendLimits,
        outcome: SendOutcome,
        answer: &str,
    ) -> Result<(), StoreError> {
        let record = self
            .write(&admission.send)
            .only_if("#state = :reserved AND #at = :at")
            .name("#state", "state")
            .name("#at", "at")
            .text(":reserved", "reserved")
            .text(":state", outcome.as_str())
            .text(":answer", answer)
            .number(":at", admission.at_ms)
            .update("SET #state = :state, answer = :answer");
        if outcome != SendOutcome::Refused {
            return match self.transact(&[record]).await? {
                Transaction::Done => Ok(()),
                Transaction::Refused(_) => Err(NOT_RESERVED),
            };
        }
        let slots = limits.code_slots();
        let here = |item: &Item, slot: u32| admission.stands_in(item, slot, slots);
        self.find_and_write(slots, here, |slot| {
            let void = slot.map(|slot| {
                self.write(&admission.phone)
                    .only_if(&format!("a{slot} = :at AND c{slot}.mac = :mac"))
                    .number(":at", admission.at_ms)
                    .value(":mac", admission.mac.clone())
                    .value(":cz", AttributeValue::Null(true))
                    .update(&format!("SET c{slot} = :cz"))
            });
            void.into_iter().chain([record.clone()]).collect()
        })
        .await
    }
}

fn earlier_send(item: &Item, request: &str, now_ms: u64) -> Result<PreviousSend, StoreError> {
    let field = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str);
    if field("request") != Some(request) {
        return Ok(PreviousSend::Different);
    }
    match (field("state"), field("answer")) {
        (Some("reserved"), _) => {
            let at_ms = read_number(item, "at").ok_or(StoreError::Corrupt("a send's record has no time"))?;
            Ok(if now_ms < at_ms + IN_PROGRESS_MS { PreviousSend::InProgress } else { PreviousSend::Lost })
        }
        (Some(_), Some(answer)) => Ok(PreviousSend::Answered(answer.to_owned())),
        _ => Err(StoreError::Corrupt("a send's record has no state or no answer")),
    }
}
