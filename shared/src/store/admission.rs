//! Sends: decided and recorded.

use super::block_records::{Counted, RecordKeys};
use super::codes::{SentCode, find_code};
use super::counters::{Counter, CounterDecision, CounterEntries, CounterScope, counters_of_send, rule_names};
use super::items::{Item, Snapshot, StoreError, Transaction, number, read_log, read_number, read_text, text};
use super::lane::{Lane, MAX_STREAK};
use super::send_limits::{LimitKind, LimitReached, SendLimits};
use super::table::{NOT_RESERVED, Table, expiry};
use super::verification::Verification;
use crate::limits::block_record::{BlockRecordMode, Shortfall};
use crate::limits::rules::{Mode, WindowRules};
use crate::limits::sliding_log::{SlidingLog, shift_in};
use crate::phone::code::VerificationCode;
use crate::phone::number::{PhoneNumber, Region};
use crate::runtime::ip::ClientIp;
use crate::twilio::price::Dollars;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
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
    /// The verification that the code is for.
    pub verification: &'a Verification,
    /// Whether the app vouches for its user.
    pub trusted: bool,
    /// Whether nobody vouches for the range of its number.
    pub is_unassigned: bool,
    /// What its message costs.
    pub price: Dollars,
    /// What else must be equal under the same idempotency key: the code, if the caller chose it, and its language.
    pub fingerprint: &'a str,
}

/// The decision on a send.
#[derive(Debug)]
pub enum Decision {
    /// Send it, once.
    Admitted(Box<Admission>),
    /// The recipient has opted out by STOP.
    OptedOut,
    /// A limit is reached.
    LimitReached(LimitReached),
    /// The record of the number's block is not good enough for the country's load.
    BlockRecord(Shortfall),
    /// Its range is unknown, and Twilio said lately that a number of its block doesn't exist.
    NoSuchNumbers,
    /// This idempotency key was used before.
    Repeated(PreviousSend),
}

/// What became of an earlier send under the same idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreviousSend {
    /// It was answered with this JSON.
    Answered(String, Verification),
    /// It is in progress.
    InProgress,
    /// It ended without recording an outcome: the message may have been sent.
    Lost(Verification),
    /// It was a different request: another phone number, code or locale.
    Different,
}

/// The right to send one message, already counted and recorded. [`Table::record`] or [`Table::release`] uses it up.
#[derive(Debug)]
pub struct Admission {
    /// The lane that the send counts in.
    pub lane: Lane,
    pub(super) send: String,
    pub(super) phone: String,
    pub(super) ip: String,
    pub(super) range: String,
    pub(super) mac: AttributeValue,
    pub(super) verification: Verification,
    pub(super) at_ms: u64,
    price: Dollars,
    /// The network's counter, if its lane counts in one.
    pub(super) network: Option<CounterScope>,
    /// The country's counter that its lane counts in.
    pub(super) country: Option<CounterScope>,
    /// The counter of the country's unknown ranges, if it counts in that.
    pub(super) unassigned: Option<CounterScope>,
    /// The country, if the handset also has a number in another.
    region_of_two: Option<Region>,
    /// The records that it counts in, if its lane counts in any.
    pub(super) records: Option<RecordKeys>,
    pub(super) counted: CounterEntries,
    /// The observed limits that would have refused it, and the rule or the reason.
    pub(super) observed: Vec<(LimitKind, String)>,
}

impl Admission {
    /// Whether nobody vouches for the range of its number, and it is a stranger's.
    #[must_use]
    pub const fn is_unassigned(&self) -> bool {
        self.unassigned.is_some()
    }

    /// When it was admitted, in milliseconds.
    #[must_use]
    pub const fn at_ms(&self) -> u64 {
        self.at_ms
    }

    /// The counters that it counts in.
    pub(super) fn counters<'l>(&self, limits: &'l SendLimits) -> Vec<Counter<'l>> {
        counters_of_send(self.network, self.country, self.unassigned, self.lane, self.price, limits)
    }
}

/// When another send is allowed, and which observed limits this one exceeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendForecast {
    /// When this IP may next have this phone texted, in milliseconds; possibly now.
    pub next_send_ms: u64,
    /// The observed limits that would have refused this send, and the rule or the reason.
    pub would_have_refused: Vec<(LimitKind, String)>,
}

/// How an admitted send ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum SendOutcome {
    /// Twilio accepted the message.
    Sent,
    /// Twilio rejected it.
    Refused,
    /// Twilio rejected it, since there is no such number.
    #[strum(serialize = "refused")]
    NoSuchNumber,
    /// The message may have been sent.
    Unknown,
}

impl SendOutcome {
    /// Whether Twilio rejected the message.
    const fn is_refused(self) -> bool {
        matches!(self, Self::Refused | Self::NoSuchNumber)
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

/// What a phone's item says of its owner, on which a decision depends.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Standing {
    known_until_ms: Option<u64>,
    streak: u64,
}

impl Standing {
    fn of(phone: &Item) -> Self {
        let streak = read_number(phone, "streak").unwrap_or_default();
        Self { known_until_ms: read_number(phone, "known_until"), streak }
    }

    fn lane(self, trusted: bool, limits: &SendLimits, now_ms: u64) -> Lane {
        Lane::of(self.known_until_ms, self.streak, trusted, limits.known_for, now_ms)
    }
}

impl Table {
    /// Decides on a send, and counts and records it if it may be sent. First one read, which refuses what it can without a write; then the
    /// idempotency key, the phone, the IP (except an owner's) and the range (only a stranger's) in one transaction; then the counters of
    /// the network (only a stranger's), the country (except an owner's), all sends and their price, which are too busy for a transaction.
    ///
    /// The read also decides the lane. The transaction holds only if what that depends on has not changed.
    ///
    /// # Errors
    /// [`StoreError`] if no decision was made. The send may be counted then, but must not be made.
    pub async fn admit(
        &self,
        request: SendRequest<'_>,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<Decision, StoreError> {
        let (mut admission, ahead) = match self.reserve(request, limits, now_ms).await? {
            ControlFlow::Continue(reserved) => reserved,
            ControlFlow::Break(decision) => return Ok(decision),
        };
        for counter in admission.counters(limits) {
            let refused = match self.count_in(&counter, &ahead, now_ms).await {
                Ok(CounterDecision::Counted(entries, observed)) => {
                    admission.counted = admission.counted.and(entries);
                    let observed = observed.into_iter().map(|reached| (reached.by, reached.exceeded.rule.to_string()));
                    admission.observed.extend(observed);
                    continue;
                }
                Ok(CounterDecision::Refused(reached)) => Ok(Decision::LimitReached(reached)),
                Err(error) => Err(error),
            };
            // Until when this may take: a bucket that begins meanwhile counts it as well.
            if let Err(error) = self.release(admission, limits, now_ms + IN_PROGRESS_MS).await {
                tracing::error!(%error, "a refused send could not be released; it stays counted");
            }
            return refused;
        }
        Ok(Decision::Admitted(Box::new(admission)))
    }

    async fn reserve(
        &self,
        request: SendRequest<'_>,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<ControlFlow<Decision, (Admission, Snapshot)>, StoreError> {
        let phone = request.phone.as_str();
        let fingerprint = URL_SAFE_NO_PAD.encode(self.mac(&["request", phone, request.fingerprint]));
        let pk = self.phone_pk(request.phone);
        let strictest = if request.trusted { Lane::Owner } else { Lane::Stranger };
        let ahead = self.read_ahead(&self.admission(request, strictest, &pk, limits, now_ms), limits).await?;
        let repeated = |record: &Item| {
            let previous = self.previous_send(record, phone, &fingerprint, now_ms)?;
            Ok(ControlFlow::Break(Decision::Repeated(previous)))
        };
        let mut item = ahead.item(&pk).cloned().unwrap_or_default();
        let mut tried = 0;
        loop {
            let standing = Standing::of(&item);
            let lane = standing.lane(request.trusted, limits, now_ms);
            let mut admission = self.admission(request, lane, &pk, limits, now_ms);
            let record = ahead.item(&admission.send).filter(|record| !has_expired(record, now_ms));
            if let Some(record) = record {
                return repeated(record);
            }
            if let Some(refusal) = ahead.refusal(&item, &mut admission, limits, now_ms) {
                return Ok(ControlFlow::Break(refusal));
            }
            let writes = self.admission_writes(&admission, standing, &fingerprint, limits);
            let refused = match self.items.transact(&writes).await? {
                Transaction::Done => return Ok(ControlFlow::Continue((admission, ahead))),
                Transaction::Refused(refused) => refused,
            };
            if let Some(record) = refused.get(&AdmissionWrite::Record) {
                return repeated(record);
            }
            if let Some(phone) = refused.get(&AdmissionWrite::Phone) {
                if phone.contains_key("opted_out") {
                    return Ok(ControlFlow::Break(Decision::OptedOut));
                }
                // An approval, or other sends, changed the lane meanwhile.
                if Standing::of(phone).lane(request.trusted, limits, now_ms) != admission.lane
                    || Standing::of(phone).known_until_ms != standing.known_until_ms
                {
                    item = phone.clone();
                    tried += 1;
                    if self.items.backoff.wait(tried).await {
                        continue;
                    }
                    return Err(StoreError::Busy(tried));
                }
            }
            return limit_reached(&refused, admission.lane, limits, now_ms)
                .map(|reached| ControlFlow::Break(Decision::LimitReached(reached)))
                .ok_or(StoreError::Corrupt("a limit refused, but its log allows the send"));
        }
    }

    fn admission(
        &self,
        request: SendRequest<'_>,
        lane: Lane,
        phone_pk: &str,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Admission {
        let is_unassigned = lane == Lane::Stranger && request.is_unassigned;
        let has_record = is_unassigned || lane == Lane::Stranger && limits.block_record != BlockRecordMode::Off;
        Admission {
            lane,
            send: self.pk("send", &request.idempotency_key.0),
            phone: phone_pk.to_owned(),
            ip: self.ip_pk(request.ip),
            range: self.range_pk(request.phone),
            mac: self.code_mac(request.phone, request.code.as_str()),
            verification: request.verification.clone(),
            at_ms: now_ms,
            price: request.price,
            network: (lane == Lane::Stranger).then(|| CounterScope::Network(self.network_mac(request.ip))),
            country: CounterScope::of_country(lane, request.phone.region()),
            unassigned: request.phone.region().filter(|_| is_unassigned).map(CounterScope::Unassigned),
            region_of_two: request.phone.region_of_two(),
            records: has_record.then(|| self.record_keys(request.phone)),
            counted: CounterEntries::default(),
            observed: Vec::new(),
        }
    }

    fn admission_writes(
        &self,
        admission: &Admission,
        standing: Standing,
        fingerprint: &str,
        limits: &SendLimits,
    ) -> Vec<(AdmissionWrite, TransactWriteItem)> {
        let mut writes = vec![
            (AdmissionWrite::Record, self.record_write(admission, fingerprint)),
            (AdmissionWrite::Phone, self.phone_write(admission, standing, limits)),
        ];
        for (label, counts, pk, limit) in [
            (AdmissionWrite::Ip, admission.lane != Lane::Owner, &admission.ip, &limits.ip),
            (AdmissionWrite::Range, admission.lane == Lane::Stranger, &admission.range, &limits.range),
        ] {
            let write = if counts { self.log_write(pk, limit, admission.at_ms) } else { None };
            writes.extend(write.map(|write| (label, write)));
        }
        writes
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
                ("v", AttributeValue::B(admission.verification.id.to_vec().into())),
                ("expires_at", number((admission.at_ms + SEND_RECORD_MS) / 1000)),
            ])
    }

    /// Counts on the phone's log, and stores the code with what its send counts in.
    fn phone_write(&self, admission: &Admission, standing: Standing, limits: &SendLimits) -> TransactWriteItem {
        let Admission { lane, mac, ip, at_ms, .. } = admission;
        let terms = limits.phone_log(*lane).admit(limits.phone.enforced(), *at_ms);
        let code = SentCode {
            mac,
            at_ms: *at_ms,
            verification: &admission.verification.id,
            lane: *lane,
            ip,
            network: match admission.network {
                Some(CounterScope::Network(mac)) => Some(mac),
                _ => None,
            },
            network_rules: &rule_names(&limits.network),
            country: &rule_names(&limits.country),
            unassigned: &if admission.unassigned.is_some() { rule_names(&limits.unassigned) } else { String::new() },
            region: admission.region_of_two,
        };
        let code_slots = limits.code_slots();
        let lifetime_s = expiry(*at_ms, limits.phone_lifetime());
        // The item must also live as long as its number is known.
        let known_s = standing.known_until_ms.map_or(0, |until_ms| until_ms / 1000 + 1);
        let mut conditions = vec!["attribute_not_exists(opted_out)".to_owned()];
        let mut set = format!("{}, {}, expires_at = :exp", terms.set, shift_in("c", code_slots));
        let mut write = self.items.write(&admission.phone).numbers(&terms.values);
        match standing.known_until_ms {
            Some(until_ms) => {
                conditions.push("known_until = :known".to_owned());
                write = write.number(":known", until_ms);
            }
            None => conditions.push("attribute_not_exists(known_until)".to_owned()),
        }
        if *lane == Lane::Known {
            conditions.push("(attribute_not_exists(streak) OR streak < :streak)".to_owned());
            set.push_str(", streak = if_not_exists(streak, :none) + :one");
            write = write.number(":streak", MAX_STREAK).number(":none", 0).number(":one", 1);
        }
        conditions.extend(Some(terms.condition).filter(|condition| !condition.is_empty()));
        write = write
            .only_if(&conditions.join(" AND "))
            .number(":exp", lifetime_s.max(known_s))
            .value(":cnew", code.stored());
        if code_slots > 1 {
            write = write.value(":cz", AttributeValue::Null(true));
        }
        write.update(&format!("SET {set}"))
    }

    /// Counts on a limit's log, unless the limit is off.
    pub(super) fn log_write(&self, pk: &str, limit: &Mode<WindowRules>, now_ms: u64) -> Option<TransactWriteItem> {
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
        for (by, name, item, limit) in [
            (LimitKind::Phone, admission.lane.log(), phone, &limits.phone),
            (LimitKind::Ip, "a", ip, &limits.ip),
            (LimitKind::Range, "a", range, &limits.range),
        ] {
            let counts = match by {
                LimitKind::Ip => admission.lane != Lane::Owner,
                LimitKind::Range => admission.lane == Lane::Stranger,
                _ => true,
            };
            if !counts {
                continue;
            }
            if let Some(rules) = limit.enforced() {
                let exceeded = rules.check(&read_log(&item, SlidingLog::of(name, rules)), now_ms).err();
                let until_ms = exceeded.map_or(now_ms, |exceeded| exceeded.until_ms);
                forecast.next_send_ms = forecast.next_send_ms.max(until_ms);
            }
            if let Some(rules) = limit.observed() {
                // The log as it was before this send.
                let log = read_log(&item, SlidingLog { name, slots: rules.slots() + 1 });
                let before =
                    log.iter().position(|&at_ms| at_ms == admission.at_ms).map_or(&log[..], |at| &log[at + 1..]);
                let exceeded = rules.check(before, admission.at_ms).err();
                forecast.would_have_refused.extend(exceeded.map(|exceeded| (by, exceeded.rule.to_string())));
            }
        }
        Ok(forecast)
    }

    /// Records how an admitted send ended, and the answer for every repeat, and counts it in the records of its block and area. The
    /// code of a rejected message is voided, and its price released, since Twilio doesn't bill it.
    ///
    /// # Errors
    /// [`StoreError`] if it can't be recorded. Repeats are then answered with `unknown`.
    pub async fn record(
        &self,
        admission: Admission,
        limits: &SendLimits,
        outcome: SendOutcome,
        answer: &str,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let count = async {
            if let Some(keys) = &admission.records {
                self.count_in_records(keys, Counted::Sent, admission.at_ms, now_ms).await;
            }
        };
        let close = async {
            match &admission.records {
                Some(keys) if outcome == SendOutcome::NoSuchNumber && admission.is_unassigned() => {
                    self.close_block(keys, now_ms).await
                }
                _ => Ok(()),
            }
        };
        let release_price = async {
            if outcome.is_refused() {
                self.release_counted(admission.counted.price(), admission.at_ms, now_ms).await
            } else {
                Ok(())
            }
        };
        let outcome = self.record_outcome(&admission, limits, outcome, answer);
        let (recorded, (), released, closed) = tokio::join!(outcome, count, release_price, close);
        recorded.and(released).and(closed)
    }

    async fn record_outcome(
        &self,
        admission: &Admission,
        limits: &SendLimits,
        outcome: SendOutcome,
        answer: &str,
    ) -> Result<(), StoreError> {
        let record = self
            .reserved(admission)
            .text(":state", outcome.into())
            .text(":answer", answer)
            .update("SET #state = :state, answer = :answer");
        if !outcome.is_refused() {
            return match self.items.transact(&[(RecordWrite::Record, record)]).await? {
                Transaction::Done => Ok(()),
                Transaction::Refused(_) => Err(NOT_RESERVED),
            };
        }
        let slots = limits.code_slots();
        self.write_where_found(RecordWrite::VoidCode, |phone| {
            let slot = find_code(phone, slots, &admission.mac, admission.at_ms);
            let void = slot.map(|slot| {
                let void = self
                    .items
                    .write(&admission.phone)
                    .only_if(&format!("c{slot}.mac = :mac AND c{slot}.#at = :at"))
                    .name("#at", "at")
                    .number(":at", admission.at_ms)
                    .value(":mac", admission.mac.clone())
                    .value(":cz", AttributeValue::Null(true))
                    .update(&format!("SET c{slot} = :cz"));
                (RecordWrite::VoidCode, void)
            });
            void.into_iter().chain([(RecordWrite::Record, record.clone())]).collect()
        })
        .await
        .map(|_| ())
    }

    fn previous_send(
        &self,
        record: &Item,
        phone: &str,
        fingerprint: &str,
        now_ms: u64,
    ) -> Result<PreviousSend, StoreError> {
        if read_text(record, "request") != Some(fingerprint) {
            return Ok(PreviousSend::Different);
        }
        let id = record.get("v").and_then(|id| id.as_b().ok()).and_then(|id| id.as_ref().try_into().ok());
        let id = id.ok_or(StoreError::Corrupt("a send's record has no verification"))?;
        let verification = self.verification(phone, id);
        match (read_text(record, "state"), read_text(record, "answer")) {
            (Some("reserved"), _) => {
                let at_ms = read_number(record, "at").ok_or(StoreError::Corrupt("a send's record has no time"))?;
                let in_progress = now_ms < at_ms + IN_PROGRESS_MS;
                Ok(if in_progress { PreviousSend::InProgress } else { PreviousSend::Lost(verification) })
            }
            (Some(_), Some(answer)) => Ok(PreviousSend::Answered(answer.to_owned(), verification)),
            _ => Err(StoreError::Corrupt("a send's record has no state or no answer")),
        }
    }
}

/// Whether the record of a send no longer answers repeats.
fn has_expired(record: &Item, now_ms: u64) -> bool {
    read_number(record, "expires_at").is_some_and(|expires_at| expires_at <= now_ms / 1000)
}

/// The limit that refuses longest, of those whose items the transaction shows. Between equals the phone's comes last and wins: it is
/// the one that the user understands.
fn limit_reached(
    refused: &BTreeMap<AdmissionWrite, Item>,
    lane: Lane,
    limits: &SendLimits,
    now_ms: u64,
) -> Option<LimitReached> {
    let logs = [
        (AdmissionWrite::Ip, LimitKind::Ip, "a", limits.ip.enforced()),
        (AdmissionWrite::Range, LimitKind::Range, "a", limits.range.enforced()),
        (AdmissionWrite::Phone, LimitKind::Phone, lane.log(), limits.phone.enforced()),
    ];
    let reached = logs.into_iter().filter_map(|(write, by, log, rules)| {
        let rules = rules?;
        let log = read_log(refused.get(&write)?, SlidingLog::of(log, rules));
        Some(LimitReached { by, exceeded: rules.check(&log, now_ms).err()? })
    });
    reached.max_by_key(|reached| reached.exceeded.until_ms)
}
