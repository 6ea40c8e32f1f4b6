//! Checks of codes. An attempt counts before anything is compared, so concurrent guesses can't exceed a limit.
//!
//! A check that names its verification counts on that verification alone, and is compared with its codes only. A check without one counts
//! on a log of the phone. Neither can use up the attempts of the other, so a stranger can't make an owner's right code fail.

use super::block_records::{Counted, RecordKeys};
use super::codes::{SentCode, code, live_codes, matches};
use super::counters::{CounterEntries, CounterScope};
use super::items::{Item, StoreError, Transaction, Updated, nonce, read_log, read_number};
use super::lane::Lane;
use super::send_limits::{MAX_CODES, SendLimits};
use super::table::{Table, expiry};
use super::text_to_verify::{Offer, OfferState, is_code};
use super::verification::Verification;
use crate::limits::block_record::BlockRecordMode;
use crate::limits::rules::Exceeded;
use crate::limits::sliding_log::SlidingLog;
use crate::phone::code::VerificationCode;
use crate::phone::number::PhoneNumber;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, TransactWriteItem};
use std::fmt::Write as _;
use subtle::ConstantTimeEq as _;

/// The result of an attempt.
#[derive(Debug)]
pub enum CheckResult {
    /// The code is right. All codes of the phone are void now, and its unverified sends can be released, once.
    Approved(Vec<VerifiedSend>),
    /// The phone texted the phrase of the verification. This is said once.
    Texted,
    /// The phrase of the verification can still be texted, or its code still be typed.
    Pending {
        /// Until when, in milliseconds.
        until_ms: u64,
    },
    /// It is not a code of this verification, or of this phone.
    Incorrect {
        /// How many attempts are left.
        attempts_left: u32,
        /// When this phone may next be texted, in milliseconds.
        next_send_ms: u64,
    },
    /// There is no live code.
    Expired {
        /// When this phone may next be texted, in milliseconds.
        next_send_ms: u64,
    },
    /// Too many attempts have failed; this one was not compared.
    TooMany {
        /// The rule that refuses.
        rule: String,
        /// When the next attempt is compared, in milliseconds; `None` if this verification never is again.
        until_ms: Option<u64>,
        /// When this phone may next be texted, in milliseconds.
        next_send_ms: u64,
    },
}

/// A send to a phone that was approved. It no longer counts as unverified.
#[derive(Debug)]
pub struct VerifiedSend {
    /// The IP whose log counts it, unless the app vouched for its user.
    ip: Option<String>,
    /// The range whose log counts it, if it was a stranger's.
    range: Option<String>,
    /// The records that it counts in, if it was a stranger's.
    records: Option<RecordKeys>,
    counted: CounterEntries,
    at_ms: u64,
}

/// What an attempt counts on.
#[derive(Clone, Copy)]
enum AttemptScope<'a> {
    Verification(&'a Verification),
    Phone,
}

/// The writes of an approval. An offer that is already used up comes before codes that moved.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ApprovalWrite {
    Offer,
    Phone,
}

/// Whether an attempt was counted.
enum Attempt {
    /// Counted, and this many are left.
    Counted(u32),
    /// Not counted, because there is no code to guess.
    NoCode,
    /// Not counted: the rule that refuses, and until when.
    Refused(String, Option<u64>),
}

impl Table {
    /// Counts an attempt, then compares. An approval voids all codes of the phone, and makes its number known. A `guess` of `None` is what
    /// can be no code, which costs no attempt. `with_offer` also asks for the code that the user's text was answered with.
    ///
    /// # Errors
    /// [`StoreError`] if there is no result. The attempt may have counted.
    pub async fn check(
        &self,
        phone: &PhoneNumber,
        guess: Option<&VerificationCode>,
        verification: Option<&Verification>,
        with_offer: bool,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<CheckResult, StoreError> {
        let pk = self.phone_pk(phone);
        let scope = verification.map_or(AttemptScope::Phone, AttemptScope::Verification);
        let (mut item, offer) = self.read_check(phone, verification.filter(|_| with_offer)).await?;
        let offer = verification.and_then(|verification| Offer::of(&offer, verification));
        let next_send_ms = next_send_ms(&item, limits, now_ms);
        let reply_code = offer.as_ref().and_then(|offer| offer.live_code(limits.code_lifetime, now_ms));
        let is_over = offer.as_ref().is_some_and(|offer| offer.state == OfferState::Done);
        if is_over || live_codes(&item, verification, limits, now_ms).is_empty() && reply_code.is_none() {
            return Ok(CheckResult::Expired { next_send_ms });
        }
        let Some(guess) = guess else {
            let attempts_left = self.attempts_left(&item, scope, limits, now_ms).await?;
            return Ok(CheckResult::Incorrect { attempts_left, next_send_ms });
        };
        let attempt = match scope {
            AttemptScope::Verification(verification) => {
                self.attempt_of_verification(verification, limits, now_ms).await?
            }
            AttemptScope::Phone => self.attempt_of_phone(&pk, Some(limits.code_slots()), limits, now_ms).await?,
        };
        let attempts_left = match attempt {
            Attempt::Counted(left) => left,
            Attempt::NoCode => return Ok(CheckResult::Expired { next_send_ms }),
            Attempt::Refused(rule, until_ms) => return Ok(CheckResult::TooMany { rule, until_ms, next_send_ms }),
        };
        let guess = self.code_mac(phone, guess.as_str());
        let done = offer.and(verification).map(|verification| self.done_write(phone, verification));
        // A concurrent check may use the codes up, and a concurrent send may move them. Then the item as it is now decides.
        for _ in 0..4 * self.items.backoff.tries {
            let live = live_codes(&item, verification, limits, now_ms);
            if live.is_empty() && reply_code.is_none() {
                return Ok(CheckResult::Expired { next_send_ms });
            }
            let is_right = matches(&item, &live, &guess) | is_code(reply_code, &guess);
            if !is_right {
                return Ok(CheckResult::Incorrect { attempts_left, next_send_ms });
            }
            let verified = self.unverified_sends(phone, &item, limits, now_ms);
            let writes = [(ApprovalWrite::Phone, self.approve_write(&pk, &item, scope, limits, now_ms))];
            let done = done.clone().map(|write| (ApprovalWrite::Offer, write));
            let writes: Vec<_> = writes.into_iter().chain(done).collect();
            let mut refused = match self.items.transact(&writes).await? {
                Transaction::Done => return Ok(CheckResult::Approved(verified)),
                Transaction::Refused(refused) => refused,
            };
            if refused.contains_key(&ApprovalWrite::Offer) {
                return Ok(CheckResult::Expired { next_send_ms });
            }
            item = refused.remove(&ApprovalWrite::Phone).unwrap_or_default();
        }
        Err(StoreError::Busy(4 * self.items.backoff.tries))
    }

    /// A phone's item, and with a verification the item of its offer.
    async fn read_check(
        &self,
        phone: &PhoneNumber,
        verification: Option<&Verification>,
    ) -> Result<(Item, Item), StoreError> {
        let pk = self.phone_pk(phone);
        let Some(verification) = verification else {
            let [item] = self.items.read([&pk]).await?;
            return Ok((item, Item::default()));
        };
        let [item, offer] = self.items.read([&pk, &self.text_pk_of(phone, verification)]).await?;
        Ok((item, offer))
    }

    /// What became of the offer to text for a verification. An approval is said once. It proves no more than the sender of a text, so it
    /// neither makes the number known nor releases its sends.
    ///
    /// # Errors
    /// [`StoreError`] if there is no result. An approval may be used up.
    pub async fn check_text(
        &self,
        phone: &PhoneNumber,
        verification: &Verification,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<CheckResult, StoreError> {
        let (item, offer) = self.read_check(phone, Some(verification)).await?;
        let expired = CheckResult::Expired { next_send_ms: next_send_ms(&item, limits, now_ms) };
        let offer = Offer::of(&offer, verification).filter(|offer| now_ms < offer.until_ms);
        match offer {
            Some(Offer { state: OfferState::Open | OfferState::Replied, until_ms, .. }) => {
                Ok(CheckResult::Pending { until_ms })
            }
            Some(Offer { state: OfferState::Texted, .. }) => {
                let done = self.done_write(phone, verification);
                match self.items.transact(&[(ApprovalWrite::Offer, done)]).await? {
                    Transaction::Done => Ok(CheckResult::Texted),
                    Transaction::Refused(_) => Ok(expired),
                }
            }
            Some(Offer { state: OfferState::Done, .. }) | None => Ok(expired),
        }
    }

    /// Checks a test number, whose code is fixed and works each time. Its attempts have an item of their own.
    ///
    /// # Errors
    /// As for [`Table::check`].
    pub async fn check_fixed(
        &self,
        number: &str,
        code: &VerificationCode,
        guess: Option<&VerificationCode>,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<CheckResult, StoreError> {
        let pk = self.pk("test", number);
        let Some(guess) = guess else {
            let [item] = self.items.read([&pk]).await?;
            let attempts_left = self.attempts_left(&item, AttemptScope::Phone, limits, now_ms).await?;
            return Ok(CheckResult::Incorrect { attempts_left, next_send_ms: now_ms });
        };
        let attempts_left = match self.attempt_of_phone(&pk, None, limits, now_ms).await? {
            Attempt::Counted(left) => left,
            Attempt::NoCode => return Ok(CheckResult::Expired { next_send_ms: now_ms }),
            Attempt::Refused(rule, until_ms) => {
                return Ok(CheckResult::TooMany { rule, until_ms, next_send_ms: now_ms });
            }
        };
        if !bool::from(guess.as_str().as_bytes().ct_eq(code.as_str().as_bytes())) {
            return Ok(CheckResult::Incorrect { attempts_left, next_send_ms: now_ms });
        }
        let forget = self.items.write(&pk).update(&format!("REMOVE {}", failed_checks(limits)));
        self.items.transact(&[((), forget)]).await?;
        Ok(CheckResult::Approved(Vec::new()))
    }

    /// Releases a send to an approved phone from the limits that count unverified sends: exactly its own entries, wherever they are by
    /// now. In the records of its block and area it counts as verified.
    ///
    /// # Errors
    /// The first [`StoreError`]; the rest is released all the same. What can't be released stays counted.
    pub async fn release_verified(
        &self,
        verified: VerifiedSend,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let VerifiedSend { ip, range, records, counted, at_ms } = verified;
        let release = async |pk: Option<&String>, limit| match pk {
            Some(pk) => self.release_logged(pk, limit, at_ms).await,
            None => Ok(()),
        };
        let improve_records = async {
            if let Some(keys) = &records {
                self.count_in_records(keys, Counted::Verified, at_ms, now_ms).await;
            }
        };
        let (ip, range, counted, ()) = tokio::join!(
            release(ip.as_ref(), &limits.ip),
            release(range.as_ref(), &limits.range),
            self.release_counted(counted, at_ms, now_ms),
            improve_records
        );
        ip.and(range).and(counted)
    }

    /// Counts an attempt on a verification. A plain update, since a transaction returns nothing.
    async fn attempt_of_verification(
        &self,
        verification: &Verification,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<Attempt, StoreError> {
        let limit = limits.check.count();
        let nonce = nonce()?;
        let write = self
            .items
            .write(&self.verification_pk(verification))
            .only_if(
                "(attribute_not_exists(failures) OR failures < :limit) AND \
                 (attribute_not_exists(attempt) OR attempt <> :attempt)",
            )
            .value(":attempt", nonce.clone())
            .number(":limit", limit.into())
            .number(":none", 0)
            .number(":one", 1)
            // As long as a code that was sent at the verification's end.
            .number(":exp", expiry(verification.ends_ms().max(now_ms), limits.code_lifetime))
            .plain_update("SET failures = if_not_exists(failures, :none) + :one, attempt = :attempt, expires_at = :exp")
            .returns(ReturnValue::AllNew);
        let (item, counted) = match self.items.update(write).await? {
            Updated::Done(item) => (item, true),
            // The update was made, but its reply was lost, and the SDK sent it again.
            Updated::Refused(item) => {
                let counted = item.get("attempt") == Some(&nonce);
                (item, counted)
            }
        };
        let left = limit.saturating_sub(failures(&item));
        Ok(if counted { Attempt::Counted(left) } else { Attempt::Refused(limit.to_string(), None) })
    }

    /// Counts an attempt on the log of an item. With `code_slots`, only while the item has a live code: nobody is locked out of a code to
    /// come. Without, the first attempt creates the item, which is of a test number.
    async fn attempt_of_phone(
        &self,
        pk: &str,
        code_slots: Option<u32>,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<Attempt, StoreError> {
        let log = SlidingLog::of("f", &limits.phone_check);
        let terms = log.admit(Some(&limits.phone_check), now_ms);
        let nonce = nonce()?;
        let own = "(attribute_not_exists(attempt) OR attempt <> :attempt)";
        let (condition, set) = match code_slots {
            Some(slots) => {
                let live: Vec<_> = (1..=slots).map(|slot| format!("c{slot}.#at > :live")).collect();
                (format!("({}) AND {own} AND {}", live.join(" OR "), terms.condition), "")
            }
            None => (format!("{own} AND {}", terms.condition), ", expires_at = :exp"),
        };
        let write = self.items.write(pk).only_if(&condition).value(":attempt", nonce.clone()).numbers(&terms.values);
        let write = match code_slots {
            Some(_) => write.name("#at", "at").number(":live", now_ms.saturating_sub(limits.code_lifetime.as_ms())),
            None => write.number(":exp", expiry(now_ms, limits.phone_check.longest_window())),
        };
        let update =
            write.plain_update(format!("SET {}, attempt = :attempt{set}", terms.set)).returns(ReturnValue::AllNew);
        let left = |item: &Item| limits.phone_check.left(&read_log(item, log), now_ms);
        let item = match self.items.update(update).await? {
            Updated::Done(item) => return Ok(Attempt::Counted(left(&item))),
            Updated::Refused(item) => item,
        };
        // The update was made, but its reply was lost, and the SDK sent it again.
        if item.get("attempt") == Some(&nonce) {
            return Ok(Attempt::Counted(left(&item)));
        }
        match limits.phone_check.check(&read_log(&item, log), now_ms) {
            Err(Exceeded { rule, until_ms }) => Ok(Attempt::Refused(rule.to_string(), Some(until_ms))),
            Ok(()) if code_slots.is_some() => Ok(Attempt::NoCode),
            Ok(()) => Err(StoreError::Corrupt("the check limit refused, but its log allows the attempt")),
        }
    }

    /// How many attempts are left, without one more.
    async fn attempts_left(
        &self,
        phone: &Item,
        scope: AttemptScope<'_>,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<u32, StoreError> {
        match scope {
            AttemptScope::Verification(verification) => {
                let [item] = self.items.read([&self.verification_pk(verification)]).await?;
                Ok(limits.check.count().saturating_sub(failures(&item)))
            }
            AttemptScope::Phone => {
                let log = SlidingLog::of("f", &limits.phone_check);
                Ok(limits.phone_check.left(&read_log(phone, log), now_ms))
            }
        }
    }

    /// Voids all codes of the phone, if they are still in their slots, and makes its number known. Whoever voids them releases their sends.
    fn approve_write(
        &self,
        pk: &str,
        phone: &Item,
        scope: AttemptScope<'_>,
        limits: &SendLimits,
        now_ms: u64,
    ) -> TransactWriteItem {
        let codes: Vec<_> = (1..=MAX_CODES).filter_map(|slot| Some((slot, code(phone, slot)?))).collect();
        let mut write = self.items.write(pk).number(":none", 0);
        // DynamoDB refuses placeholders that nothing uses.
        if !codes.is_empty() {
            write = write.name("#at", "at").value(":void", AttributeValue::Null(true));
        }
        // A STOP that comes meanwhile takes the item's end away; then this is tried again with the item as it is.
        let opted_out = phone.contains_key("opted_out");
        let mut condition = format!("attribute_{}exists(opted_out)", if opted_out { "" } else { "not_" });
        let mut set = "streak = :none".to_owned();
        for (slot, SentCode { mac, at_ms, .. }) in codes {
            let _ = write!(set, ", c{slot} = :void");
            let _ = write!(condition, " AND c{slot}.mac = :mac{slot} AND c{slot}.#at = :at{slot}");
            write = write.value(&format!(":mac{slot}"), mac.clone()).number(&format!(":at{slot}"), at_ms);
        }
        if let Some(known_for) = limits.known_for {
            let until_ms = now_ms.saturating_add(known_for.as_ms());
            let lifetime_s = expiry(now_ms, limits.phone_lifetime()).max(until_ms / 1000 + 1);
            set.push_str(", known_until = :known");
            write = write.number(":known", until_ms);
            // An opt-out has no end.
            if !opted_out {
                set.push_str(", expires_at = :exp");
                write = write.number(":exp", lifetime_s);
            }
        }
        let remove = match scope {
            // Failed checks that name a verification are over with it. Those of the log stay: others may have made them.
            AttemptScope::Verification(_) => String::new(),
            AttemptScope::Phone => format!(" REMOVE {}", failed_checks(limits)),
        };
        write.only_if(&condition).update(&format!("SET {set}{remove}"))
    }

    /// The sends to a phone that may still count as unverified.
    fn unverified_sends(
        &self,
        phone: &PhoneNumber,
        item: &Item,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Vec<VerifiedSend> {
        let counts_from_ms = now_ms.saturating_sub(limits.longest_unverified().as_ms());
        let sends = (1..=MAX_CODES).filter_map(|slot| code(item, slot)).filter(|send| send.at_ms >= counts_from_ms);
        let verified = sends.map(|send| VerifiedSend {
            ip: (send.lane != Lane::Owner).then(|| send.ip.to_owned()),
            range: (send.lane == Lane::Stranger).then(|| self.range_pk(phone)),
            records: (send.lane == Lane::Stranger && limits.block_record != BlockRecordMode::Off)
                .then(|| self.record_keys(phone)),
            counted: CounterEntries::of_scope(
                CounterScope::of_country(send.lane, send.region.or(phone.region())),
                send.country,
            )
            .and(CounterEntries::of_scope(send.network.map(CounterScope::Network), send.network_rules))
            .and(CounterEntries::of_scope(phone.region().map(CounterScope::Unassigned), send.unassigned)),
            at_ms: send.at_ms,
        });
        verified.collect()
    }
}

fn failures(verification: &Item) -> u32 {
    let failures = read_number(verification, "failures").unwrap_or_default();
    u32::try_from(failures).unwrap_or(u32::MAX)
}

/// The attributes of the log of failed checks.
fn failed_checks(limits: &SendLimits) -> String {
    let slots: Vec<_> = (1..=limits.phone_check.slots()).map(|slot| format!("f{slot}")).collect();
    slots.join(", ")
}

/// When the phone's own limit allows the next message.
fn next_send_ms(item: &Item, limits: &SendLimits, now_ms: u64) -> u64 {
    let Some(rules) = limits.phone.enforced() else { return now_ms };
    let log = read_log(item, SlidingLog::of("a", rules));
    rules.check(&log, now_ms).err().map_or(now_ms, |exceeded| exceeded.until_ms)
}
