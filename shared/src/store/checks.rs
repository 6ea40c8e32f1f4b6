//! Checks of codes. An attempt counts before anything is compared, so concurrent guesses can't exceed the limit.

use super::codes::{code, live_codes, matching};
use super::counters::CounterEntries;
use super::items::{Item, StoreError, Transaction, Updated, nonce, read_log, read_number};
use super::send_limits::SendLimits;
use super::table::{Table, expiry};
use crate::limits::rules::Exceeded;
use crate::limits::sliding_log::SlidingLog;
use crate::phone::code::{Guess, VerificationCode};
use crate::phone::number::PhoneNumber;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use std::fmt::Write as _;
use subtle::ConstantTimeEq as _;

/// The result of an attempt.
#[derive(Debug)]
pub enum CheckResult {
    /// The code is right, and used up now. Its send can be released; a test number has none.
    Approved(Option<VerifiedSend>),
    /// It is not a code of this phone.
    Incorrect {
        /// How many attempts are left.
        attempts_left: u32,
        /// When this phone may next be texted, in milliseconds.
        next_send_ms: u64,
    },
    /// This phone has no live code.
    Expired {
        /// When this phone may next be texted, in milliseconds.
        next_send_ms: u64,
    },
    /// Too many attempts have failed; this one was not compared.
    TooMany {
        /// The rule that refuses, and until when.
        exceeded: Exceeded,
        /// When this phone may next be texted, in milliseconds.
        next_send_ms: u64,
    },
}

/// A send that was verified. Its unverified admission can be released, once.
#[derive(Debug)]
pub struct VerifiedSend {
    ip: String,
    range: String,
    country: CounterEntries,
    at_ms: u64,
}

impl Table {
    /// Counts an attempt, then compares. An approval forgets the failed attempts.
    ///
    /// # Errors
    /// [`StoreError`] if there is no result. The attempt may have counted.
    pub async fn check(
        &self,
        phone: &PhoneNumber,
        guess: &Guess,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<CheckResult, StoreError> {
        let pk = self.phone_pk(phone);
        let mut item = match self.attempt(&pk, limits, IfAbsent::Reject, now_ms).await? {
            Attempt::Admitted(item) => item,
            Attempt::NoCode(item) => {
                return Ok(CheckResult::Expired { next_send_ms: next_send_ms(&item, limits, now_ms) });
            }
            Attempt::Refused(exceeded, item) => {
                // Until then no code is compared, so none is sent.
                let next_send_ms = next_send_ms(&item, limits, now_ms).max(exceeded.until_ms);
                return Ok(CheckResult::TooMany { exceeded, next_send_ms });
            }
        };
        let guess = self.code_mac(phone, guess.as_str());
        // A concurrent check may use the code up, and a concurrent send may move it. Then the item as it is now decides.
        for _ in 0..4 * self.items.backoff.tries {
            let live = live_codes(&item, limits, now_ms);
            let Some(slots) = matching(&item, &live, &guess) else {
                let next_send_ms = next_send_ms(&item, limits, now_ms);
                if live.is_empty() {
                    return Ok(CheckResult::Expired { next_send_ms });
                }
                let attempts_left = limits.check.left(&read_log(&item, SlidingLog::of("f", &limits.check)), now_ms);
                return Ok(CheckResult::Incorrect { attempts_left, next_send_ms });
            };
            let verified = self.verified(phone, &item, slots[0], limits);
            match self.use_up(&pk, &slots, &guess, limits).await? {
                Transaction::Done => return Ok(CheckResult::Approved(verified)),
                Transaction::Refused(refused) => item = refused.into_values().next().unwrap_or_default(),
            }
        }
        Err(StoreError::Busy(4 * self.items.backoff.tries))
    }

    /// Checks a test number, whose code is fixed and works each time. Its attempts have an item of their own.
    ///
    /// # Errors
    /// As for [`Table::check`].
    pub async fn check_fixed(
        &self,
        number: &str,
        code: &VerificationCode,
        guess: &Guess,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<CheckResult, StoreError> {
        let pk = self.pk("test", number);
        let item = match self.attempt(&pk, limits, IfAbsent::Create, now_ms).await? {
            Attempt::Admitted(item) | Attempt::NoCode(item) => item,
            Attempt::Refused(exceeded, _) => return Ok(CheckResult::TooMany { exceeded, next_send_ms: now_ms }),
        };
        if !bool::from(guess.as_str().as_bytes().ct_eq(code.as_str().as_bytes())) {
            let attempts_left = limits.check.left(&read_log(&item, SlidingLog::of("f", &limits.check)), now_ms);
            return Ok(CheckResult::Incorrect { attempts_left, next_send_ms: now_ms });
        }
        let failed: Vec<_> = (1..=limits.check.slots()).map(|slot| format!("f{slot}")).collect();
        let forget = self.items.write(&pk).update(&format!("REMOVE {}", failed.join(", ")));
        self.items.transact(&[((), forget)]).await?;
        Ok(CheckResult::Approved(None))
    }

    /// Releases a verified send from the IP, the range and the country, whose limits count unverified sends: exactly its own entries,
    /// wherever they are by now.
    ///
    /// # Errors
    /// The first [`StoreError`]; the rest is released all the same. What can't be released stays counted.
    pub async fn release_verified(
        &self,
        verified: VerifiedSend,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let (ip, range, country) = tokio::join!(
            self.release_logged(&verified.ip, &limits.ip, verified.at_ms),
            self.release_logged(&verified.range, &limits.range, verified.at_ms),
            self.release_counted(verified.country, verified.at_ms, now_ms),
        );
        ip.and(range).and(country)
    }

    /// Counts an attempt and reads the item in the same write. A plain update, since a transaction returns nothing.
    async fn attempt(
        &self,
        pk: &str,
        limits: &SendLimits,
        if_absent: IfAbsent,
        now_ms: u64,
    ) -> Result<Attempt, StoreError> {
        let log = SlidingLog::of("f", &limits.check);
        let terms = log.admit(Some(&limits.check), now_ms);
        let live_from_ms = now_ms.saturating_sub(limits.code_lifetime.as_ms());
        let (also_if, also_set, placeholder, value) = match if_absent {
            IfAbsent::Reject => ("a1 > :live AND ", "", ":live", live_from_ms),
            IfAbsent::Create => ("", ", expires_at = :exp", ":exp", expiry(now_ms, limits.check.longest_window())),
        };
        let nonce = nonce()?;
        let write = self
            .items
            .write(pk)
            .only_if(&format!(
                "{also_if}(attribute_not_exists(attempt) OR attempt <> :attempt) AND {}",
                terms.condition
            ))
            .value(":attempt", nonce.clone())
            .number(placeholder, value)
            .numbers(&terms.values)
            .plain_update(format!("SET {}, attempt = :attempt{also_set}", terms.set))
            .returns(ReturnValue::AllNew);
        let item = match self.items.update(write).await? {
            Updated::Done(item) => return Ok(Attempt::Admitted(item)),
            Updated::Refused(item) => item,
        };
        // The update was made, but its reply was lost, and the SDK sent it again.
        if item.get("attempt") == Some(&nonce) {
            return Ok(Attempt::Admitted(item));
        }
        if if_absent == IfAbsent::Reject && read_number(&item, "a1").unwrap_or_default() <= live_from_ms {
            return Ok(Attempt::NoCode(item));
        }
        match limits.check.check(&read_log(&item, log), now_ms) {
            Err(exceeded) => Ok(Attempt::Refused(exceeded, item)),
            Ok(()) => Err(StoreError::Corrupt("the check limit refused, but its log allows the attempt")),
        }
    }

    /// Uses up a code in all slots that hold it, if they still do, and forgets the failed attempts.
    async fn use_up(
        &self,
        pk: &str,
        slots: &[u32],
        guess: &AttributeValue,
        limits: &SendLimits,
    ) -> Result<Transaction<()>, StoreError> {
        let (mut set, mut condition) = (String::new(), String::new());
        for (index, slot) in slots.iter().enumerate() {
            let (comma, and) = if index == 0 { ("", "") } else { (", ", " AND ") };
            let _ = write!(set, "{comma}c{slot} = :used");
            let _ = write!(condition, "{and}c{slot}.mac = :guess");
        }
        let failed: Vec<_> = (1..=limits.check.slots()).map(|slot| format!("f{slot}")).collect();
        let write = self
            .items
            .write(pk)
            .only_if(&condition)
            .value(":guess", guess.clone())
            .value(":used", AttributeValue::Null(true))
            .update(&format!("SET {set} REMOVE {}", failed.join(", ")));
        self.items.transact(&[((), write)]).await
    }

    fn verified(&self, phone: &PhoneNumber, item: &Item, slot: u32, limits: &SendLimits) -> Option<VerifiedSend> {
        let code = code(item, slot)?;
        Some(VerifiedSend {
            ip: code.ip.to_owned(),
            range: self.range_pk(phone),
            country: CounterEntries::of_country(phone.region(), &limits.country, code.country),
            at_ms: code.at_ms,
        })
    }
}

/// What to do if there is no item, or nothing to guess.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IfAbsent {
    /// A phone whose last send is older than a code's lifetime has no code to guess. Attempts don't count, so nobody can be locked out
    /// of a code to come. The item lives as long as its last send needs, which covers the log of failed checks.
    Reject,
    /// A test number has no sends. Its first attempt creates its item.
    Create,
}

/// Whether an attempt was counted.
enum Attempt {
    /// Counted; the item with this attempt.
    Admitted(Item),
    /// Not counted, because there is no code to guess; the item as it is.
    NoCode(Item),
    /// Not counted; the item as it is.
    Refused(Exceeded, Item),
}

/// When the phone's own limit allows the next message.
fn next_send_ms(item: &Item, limits: &SendLimits, now_ms: u64) -> u64 {
    let Some(rules) = limits.phone.enforced() else { return now_ms };
    let log = read_log(item, SlidingLog::of("a", rules));
    rules.check(&log, now_ms).err().map_or(now_ms, |exceeded| exceeded.until_ms)
}
