//! Sends: decided, recorded, and given back.

use super::budgets::{Account, Spent, rule_names};
use super::{Item, StoreError, Table, Transaction, expiry, number, read_log, read_number, text};
use crate::backoff::Backoff;
use crate::code::VerificationCode;
use crate::ip::ClientIp;
use crate::limits::{Budget, Exceeded, Limit, Limits, LimitsError, Rule, SlidingLog, Span, shift_in, shift_out};
use crate::phone_number::PhoneNumber;
use crate::settings::{Environment, SettingError};
use aws_sdk_dynamodb::primitives::Blob;
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
/// The most codes that a phone's item keeps, if no limit says that there can be only fewer.
const MAX_CODES: u32 = 20;

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
pub struct Wish<'a> {
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

/// The limits of a send.
#[derive(Clone, Debug)]
pub struct SendLimits {
    /// Per phone number.
    pub phone: Limit<Limits>,
    /// Per IP address; counts unverified sends.
    pub ip: Limit<Limits>,
    /// Per block of 1,000 numbers; counts unverified sends.
    pub range: Limit<Limits>,
    /// Per country; counts unverified sends.
    pub country: Limit<Budget>,
    /// Of everybody; counts every send.
    pub total: Limit<Budget>,
    /// Of failed checks, whose log stands in the phone's item and must live as long.
    pub check: Limits,
    /// How long a code is good.
    pub code_lifetime: Span,
}

/// What the table says to a wish.
#[derive(Debug)]
pub enum Decision {
    /// Go ahead, once.
    Admitted(Admission),
    /// The recipient has opted out by STOP.
    OptedOut,
    /// A limit is reached.
    Limited(Limited),
    /// This send was asked for before.
    Repeated(Earlier),
}

/// The limit that refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited {
    /// Whose limit it is.
    pub by: LimitedBy,
    /// Its rule, and until when.
    pub exceeded: Exceeded,
}

/// Whose limit refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitedBy {
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

impl LimitedBy {
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
pub enum Earlier {
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
    send: String,
    phone: String,
    ip: String,
    range: String,
    mac: AttributeValue,
    at_ms: u64,
    spent: Spent,
    observed: Vec<(LimitedBy, Rule)>,
}

/// What the table knows after a send was admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// When this phone may next be texted at the wish of this IP, in milliseconds; it may be now.
    pub next_send_ms: u64,
    /// The observed limits that would have refused this send.
    pub observed: Vec<(LimitedBy, Rule)>,
}

/// How an admitted send ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Twilio has taken the message.
    Sent,
    /// Twilio refused it.
    Refused,
    /// Nobody knows.
    Unknown,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

impl SendLimits {
    /// Reads `PHONE_LIMIT`, `IP_LIMIT`, `RANGE_LIMIT`, `COUNTRY_LIMIT`, `TOTAL_LIMIT`, `CHECK_LIMIT` and `CODE_LIFETIME`.
    ///
    /// # Errors
    /// [`SettingError`] names the first variable that is wrong, and the reason.
    pub fn from_environment(environment: &Environment) -> Result<Self, SettingError> {
        Ok(Self {
            phone: environment.parsed("PHONE_LIMIT")?,
            ip: environment.parsed("IP_LIMIT")?,
            range: environment.parsed("RANGE_LIMIT")?,
            country: environment.parsed("COUNTRY_LIMIT")?,
            total: environment.parsed("TOTAL_LIMIT")?,
            check: environment.parsed::<Enforced>("CHECK_LIMIT")?.0,
            code_lifetime: environment.parsed::<CodeLifetime>("CODE_LIFETIME")?.0,
        })
    }

    /// How many codes a phone's item keeps: as many as can be unexpired at a time, but at most 20.
    pub(super) fn code_slots(&self) -> u32 {
        self.phone.enforced().map_or(MAX_CODES, |limits| limits.most_within(self.code_lifetime).min(MAX_CODES))
    }

    /// The phone's log, in step with its codes: the code in slot *i* was sent at the time in slot *i*.
    pub(super) fn phone_log(&self) -> SlidingLog {
        let log = SlidingLog::for_limit("a", &self.phone);
        SlidingLog { name: "a", slots: log.map_or(1, |log| log.slots).max(self.code_slots()) }
    }

    /// How long the phone's item is needed after a send: for its log, and for the log of checks, of which the last that matters
    /// may come when the code is about to expire.
    fn phone_lifetime(&self) -> Span {
        let checks = self.check.longest_window().and(self.code_lifetime);
        self.phone.counted().map_or(checks, |limits| limits.longest_window().max(checks))
    }
}

impl Admission {
    /// Whether this is its place in its phone's item: two sends may have come in the same millisecond, but with other codes.
    fn stands_in(&self, item: &Item, slot: u32, code_slots: u32) -> bool {
        let same_time = read_number(item, &format!("a{slot}")) == Some(self.at_ms);
        same_time && (slot > code_slots || code(item, slot).is_some_and(|code| *code.mac == self.mac))
    }
}

/// A code that was texted, in a slot of its phone's item. It has a time of its own: when the settings change, the slots of codes
/// and of the log may go out of step.
pub(super) struct SentCode<'a> {
    pub(super) mac: &'a AttributeValue,
    pub(super) at_ms: u64,
    /// The key of the IP that asked for it.
    pub(super) ip: &'a str,
    /// The rules of the country that counted it.
    pub(super) country: &'a str,
}

/// The code in a slot; none if it was used or is void.
pub(super) fn code(item: &Item, slot: u32) -> Option<SentCode<'_>> {
    let code = item.get(&format!("c{slot}"))?.as_m().ok()?;
    let field = |name: &str| code.get(name).and_then(|value| value.as_s().ok());
    let at_ms = read_number(code, "at")?;
    Some(SentCode { mac: code.get("mac")?, at_ms, ip: field("ip")?, country: field("country")? })
}

impl Table {
    /// Decides on a send, and counts and records it if it may go: the phone, the IP, the range and the idempotency key in one
    /// transaction, then the country and the total, which are too busy to stand in one.
    ///
    /// # Errors
    /// [`StoreError`] if no decision came about. The send may have been counted then, but is never to be made.
    pub async fn admit(&self, wish: Wish<'_>, limits: &SendLimits, now_ms: u64) -> Result<Decision, StoreError> {
        let mut admission = match self.reserve(wish, limits, now_ms).await? {
            Decision::Admitted(admission) => admission,
            refusal => return Ok(refusal),
        };
        let country = wish.phone.region().map(|region| (LimitedBy::Country, Account::Country(region), &limits.country));
        for (by, account, limit) in country.into_iter().chain([(LimitedBy::Total, Account::Total, &limits.total)]) {
            let mut observed = vec![];
            let asked = self.spend(account, limit, now_ms, &mut admission.spent, &mut observed).await;
            admission.observed.extend(observed.into_iter().map(|rule| (by, rule)));
            match asked {
                Ok(None) => {}
                Ok(Some(exceeded)) => {
                    self.give_back_or_say_so(admission, limits, now_ms).await;
                    return Ok(Decision::Limited(Limited { by, exceeded }));
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

    async fn reserve(&self, wish: Wish<'_>, limits: &SendLimits, now_ms: u64) -> Result<Decision, StoreError> {
        let (phone, ip) = (wish.phone.as_str(), wish.ip.canonical());
        let request = URL_SAFE_NO_PAD.encode(self.mac(&["request", phone, &ip, wish.asked]));
        let admission = Admission {
            send: self.pk("send", &wish.idempotency_key.0),
            phone: self.pk("phone", phone),
            ip: self.pk("ip", &ip),
            range: self.pk("range", wish.phone.range().as_str()),
            mac: self.code_mac(wish.phone, wish.code.as_str()),
            at_ms: now_ms,
            spent: Spent::default(),
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
        let by = [(LimitedBy::Ip, &admission.ip, &limits.ip), (LimitedBy::Range, &admission.range, &limits.range)];
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
        let by = others.chain([(1, LimitedBy::Phone, &limits.phone)]);
        let by = by.filter_map(|(index, by, limit)| Some((index, by, "a", limit.enforced()?)));
        let limited =
            [(1, LimitedBy::Check, "f", &limits.check)].into_iter().chain(by).filter_map(|(index, by, log, rules)| {
                let log = read_log(refused.get(&index)?, SlidingLog::of(log, rules));
                Some(Limited { by, exceeded: rules.check(&log, now_ms).err()? })
            });
        limited
            .max_by_key(|limited| limited.exceeded.until_ms)
            .map(Decision::Limited)
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
    fn log_write(&self, pk: &str, limit: &Limit<Limits>, now_ms: u64) -> Option<TransactWriteItem> {
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
    ) -> Result<Outlook, StoreError> {
        let [phone, ip, range] = self.read([&admission.phone, &admission.ip, &admission.range]).await?;
        let mut outlook = Outlook { next_send_ms: now_ms, observed: admission.observed.clone() };
        for (by, item, limit) in [
            (LimitedBy::Phone, phone, &limits.phone),
            (LimitedBy::Ip, ip, &limits.ip),
            (LimitedBy::Range, range, &limits.range),
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
        outcome: Outcome,
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
        if outcome != Outcome::Refused {
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

    /// Gives an admission back, as if the send had never been asked for: the record goes, and the logs are as they would have
    /// been. Only for a send that certainly has not gone.
    ///
    /// # Errors
    /// [`StoreError`] if it can't all be given back: the rest stays counted.
    pub async fn release(&self, admission: Admission, limits: &SendLimits, now_ms: u64) -> Result<(), StoreError> {
        let unrecord = self
            .write(&admission.send)
            .only_if("#state = :reserved AND #at = :at")
            .name("#state", "state")
            .name("#at", "at")
            .text(":reserved", "reserved")
            .number(":at", admission.at_ms)
            .delete();
        // Several transactions, so that an IP that many share can't keep a phone's from being given back. The record goes even
        // if its phone's log can't be shifted: a repeat must not be told that the message may have gone.
        let (log, code_slots, at_ms) = (limits.phone_log(), limits.code_slots(), admission.at_ms);
        let here = |item: &Item, slot: u32| admission.stands_in(item, slot, code_slots);
        let with_phone = self.find_and_write(log.slots, here, |slot| {
            let shift = slot.and_then(|slot| self.phone_shift(&admission, log, code_slots, slot));
            shift.into_iter().chain([unrecord.clone()]).collect()
        });
        let phone = match with_phone.await {
            Ok(()) => Ok(()),
            Err(error) => self.transact(std::slice::from_ref(&unrecord)).await.and(Err(error)),
        };
        let ip = self.shift_back(&admission.ip, &limits.ip, at_ms).await;
        let range = self.shift_back(&admission.range, &limits.range, at_ms).await;
        let budgets = self.give_back(admission.spent, at_ms, now_ms).await;
        phone.and(ip).and(range).and(budgets)
    }

    /// Takes an admission out of its phone's log, and its code with it.
    fn phone_shift(
        &self,
        admission: &Admission,
        log: SlidingLog,
        code_slots: u32,
        slot: u32,
    ) -> Option<TransactWriteItem> {
        let terms = log.release(slot, admission.at_ms)?;
        let write = self.write(&admission.phone).numbers(&terms.values);
        Some(match shift_out("c", code_slots, slot) {
            Some(codes) => write
                .only_if(&format!("{} AND c{slot}.mac = :mac", terms.condition))
                .value(":mac", admission.mac.clone())
                .value(":cz", AttributeValue::Null(true))
                .update(&format!("SET {}, {codes}", terms.set)),
            None => write.only_if(&terms.condition).update(&format!("SET {}", terms.set)),
        })
    }

    /// Takes an admission out of a log that counts it, wherever it stands by now.
    pub(super) async fn shift_back(&self, pk: &str, limit: &Limit<Limits>, at_ms: u64) -> Result<(), StoreError> {
        let Some(log) = SlidingLog::for_limit("a", limit) else { return Ok(()) };
        let here = |item: &Item, slot: u32| read_number(item, &format!("a{slot}")) == Some(at_ms);
        self.find_and_write(log.slots, here, |slot| {
            let terms = slot.and_then(|slot| log.release(slot, at_ms));
            let shift = terms.map(|terms| {
                self.write(pk).only_if(&terms.condition).numbers(&terms.values).update(&format!("SET {}", terms.set))
            });
            shift.into_iter().collect()
        })
        .await
    }

    /// Makes writes of which the first hangs on where an entry stands in a log: tried at the first slot, then at the one where it
    /// is seen to be `here`. Others that come or go in the meantime move it. `writes` is given no slot when it has left.
    async fn find_and_write(
        &self,
        slots: u32,
        here: impl Fn(&Item, u32) -> bool,
        writes: impl Fn(Option<u32>) -> Vec<TransactWriteItem>,
    ) -> Result<(), StoreError> {
        let backoff = Backoff { tries: 4 * self.backoff.tries, ..self.backoff };
        let (mut slot, mut tried) = (Some(1), 0);
        loop {
            let writes = writes(slot);
            if writes.is_empty() {
                return Ok(());
            }
            let refused = match self.transact(&writes).await? {
                Transaction::Done => return Ok(()),
                Transaction::Refused(refused) => refused,
            };
            let Some(item) = refused.get(&0).filter(|_| slot.is_some() && refused.len() == 1) else {
                return Err(NOT_RESERVED);
            };
            slot = (1..=slots).find(|&slot| here(item, slot));
            tried += 1;
            if !backoff.wait(tried).await {
                return Err(StoreError::Busy(tried));
            }
        }
    }

    /// A code as it is kept: bound to its phone, and useless without the key.
    pub(super) fn code_mac(&self, phone: &PhoneNumber, code: &str) -> AttributeValue {
        AttributeValue::B(Blob::new(&self.mac(&["code", phone.as_str(), code])[..16]))
    }
}

/// Rules that may not be switched off: what stands between a code and who guesses it.
struct Enforced(Limits);

impl FromStr for Enforced {
    type Err = LimitsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse()? {
            Limit::Enforce(limits) => Ok(Self(limits)),
            Limit::Observe(_) | Limit::Off => Err(LimitsError::MustBeEnforced),
        }
    }
}

/// A lifetime that is also Twilio's `ValidityPeriod`, of which 6 to 36,000 seconds make sense.
struct CodeLifetime(Span);

impl FromStr for CodeLifetime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let span: Span = text.parse().map_err(|error: LimitsError| error.to_string())?;
        if (6..=36_000).contains(&span.as_seconds()) {
            Ok(Self(span))
        } else {
            Err("it must be from 6s to 10h, which is what Twilio keeps a message for".to_owned())
        }
    }
}

const NOT_RESERVED: StoreError = StoreError::Corrupt("the record of a send is not the one that was reserved");

fn earlier_send(item: &Item, request: &str, now_ms: u64) -> Result<Earlier, StoreError> {
    let field = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str);
    if field("request") != Some(request) {
        return Ok(Earlier::Different);
    }
    match (field("state"), field("answer")) {
        (Some("reserved"), _) => {
            let at_ms = read_number(item, "at").ok_or(StoreError::Corrupt("a send's record has no time"))?;
            Ok(if now_ms < at_ms + IN_PROGRESS_MS { Earlier::InProgress } else { Earlier::Lost })
        }
        (Some(_), Some(answer)) => Ok(Earlier::Answered(answer.to_owned())),
        _ => Err(StoreError::Corrupt("a send's record has no state or no answer")),
    }
}
