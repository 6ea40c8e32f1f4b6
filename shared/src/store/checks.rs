//! Checks: is this the code? An attempt counts before anything is compared, so guesses made at once can't exceed the limit.

use super::codes::{code, live_codes, matching};
use super::counters::CounterEntries;
use super::send_limits::SendLimits;
use super::table::{Item, StoreError, Table, Transaction, expiry, number, read_log, read_number, text};
use crate::limits::rules::Exceeded;
use crate::limits::sliding_log::SlidingLog;
use crate::phone::code::{Guess, VerificationCode};
use crate::phone::number::PhoneNumber;
use crate::runtime::aws::reason;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use std::fmt::Write as _;
use subtle::ConstantTimeEq as _;

/// What the table says to an attempt.
#[derive(Debug)]
pub enum CheckResult {
    /// It is the code, used up now. The send that it came with can be given back; a test number has none.
    Approved(Option<VerifiedSend>),
    /// It is not a code of this phone.
    Incorrect {
        /// How many more attempts are left.
        attempts_left: u32,
        /// When this phone may next be texted, in milliseconds.
        next_send_ms: u64,
    },
    /// No code of this phone is good any more.
    Expired {
        /// As above.
        next_send_ms: u64,
    },
    /// Too many attempts have failed; this one was not compared.
    TooMany {
        /// The rule, and until when.
        exceeded: Exceeded,
        /// As above.
        next_send_ms: u64,
    },
}

/// A send that was verified: its unverified admission can be given back, once.
#[derive(Debug)]
pub struct VerifiedSend {
    ip: String,
    range: String,
    country: CounterEntries,
    at_ms: u64,
}

impl Table {
    /// Admits an attempt by the log of failed ones, then compares. An approval forgets the failed ones.
    ///
    /// # Errors
    /// [`StoreError`] if nothing can be said. The attempt may have counted.
    pub async fn check(
        &self,
        phone: &PhoneNumber,
        guess: &Guess,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<CheckResult, StoreError> {
        let pk = self.pk("phone", phone.as_str());
        let mut item = match self.attempt(&pk, limits, IfAbsent::IsNoPhone, now_ms).await? {
            Attempt::Admitted(item) => item,
            Attempt::NoCode(item) => {
                return Ok(CheckResult::Expired { next_send_ms: next_send_ms(&item, limits, now_ms) });
            }
            Attempt::Refused(exceeded, item) => {
                // Until then no code is looked at, so none is sent.
                let next_send_ms = next_send_ms(&item, limits, now_ms).max(exceeded.until_ms);
                return Ok(CheckResult::TooMany { exceeded, next_send_ms });
            }
        };
        let guess = self.code_mac(phone, guess.as_str());
        // Another check may use the code up at the same time, another send may move it: then what is there now decides.
        for _ in 0..4 * self.backoff.tries {
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
        Err(StoreError::Busy(4 * self.backoff.tries))
    }

    /// The same for a test number, whose code is fixed and works each time. The attempts have an item of their own.
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
        let item = match self.attempt(&pk, limits, IfAbsent::IsMade, now_ms).await? {
            Attempt::Admitted(item) | Attempt::NoCode(item) => item,
            Attempt::Refused(exceeded, _) => return Ok(CheckResult::TooMany { exceeded, next_send_ms: now_ms }),
        };
        if !bool::from(guess.as_str().as_bytes().ct_eq(code.as_str().as_bytes())) {
            let attempts_left = limits.check.left(&read_log(&item, SlidingLog::of("f", &limits.check)), now_ms);
            return Ok(CheckResult::Incorrect { attempts_left, next_send_ms: now_ms });
        }
        let failed: Vec<_> = (1..=limits.check.slots()).map(|slot| format!("f{slot}")).collect();
        self.transact(&[self.write(&pk).update(&format!("REMOVE {}", failed.join(", ")))]).await?;
        Ok(CheckResult::Approved(None))
    }

    /// Gives a verified send back to the IP, the range and the country: their limits count unverified ones. Exactly its own
    /// entries, wherever they stand by now.
    ///
    /// # Errors
    /// The first [`StoreError`]; the rest has been tried all the same. What could not be given back stays counted.
    pub async fn give_back_verified(
        &self,
        verified: VerifiedSend,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let (ip, range, country) = tokio::join!(
            self.shift_back(&verified.ip, &limits.ip, verified.at_ms),
            self.shift_back(&verified.range, &limits.range, verified.at_ms),
            self.give_back(verified.country, verified.at_ms, now_ms),
        );
        ip.and(range).and(country)
    }

    /// Counts an attempt and reads the phone's item in the same write. A plain update, since a transaction returns nothing; the
    /// nonce tells our own write, whose answer was lost, from another's.
    async fn attempt(
        &self,
        pk: &str,
        limits: &SendLimits,
        missing: IfAbsent,
        now_ms: u64,
    ) -> Result<Attempt, StoreError> {
        let log = SlidingLog::of("f", &limits.check);
        let terms = log.admit(Some(&limits.check), now_ms);
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| StoreError::Unavailable(format!("no random numbers ({error})")))?;
        let nonce = AttributeValue::B(Blob::new(nonce));
        let live_from_ms = now_ms.saturating_sub(limits.code_lifetime.as_ms());
        let mut tried = 0;
        loop {
            let mut write = self
                .client
                .update_item()
                .table_name(&self.name)
                .key("pk", text(pk))
                .update_expression(format!("SET {}, attempt = :attempt{}", terms.set, missing.also_set()))
                .condition_expression(format!(
                    "{}(attribute_not_exists(attempt) OR attempt <> :attempt) AND {}",
                    missing.condition(),
                    terms.condition
                ))
                .expression_attribute_values(":attempt", nonce.clone())
                .return_values(ReturnValue::AllNew)
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            let (placeholder, value) = match missing {
                IfAbsent::IsNoPhone => (":live", live_from_ms),
                IfAbsent::IsMade => (":exp", expiry(now_ms, limits.check.longest_window())),
            };
            write = write.expression_attribute_values(placeholder, number(value));
            for (name, value) in &terms.values {
                write = write.expression_attribute_values(name, number(*value));
            }
            let error = match write.send().await {
                Ok(output) => return Ok(Attempt::Admitted(output.attributes.unwrap_or_default())),
                Err(error) => error,
            };
            tried += 1;
            match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    let item = failed.item().cloned().unwrap_or_default();
                    if item.get("attempt") == Some(&nonce) {
                        return Ok(Attempt::Admitted(item));
                    }
                    if missing == IfAbsent::IsNoPhone && read_number(&item, "a1").unwrap_or_default() <= live_from_ms {
                        return Ok(Attempt::NoCode(item));
                    }
                    return match limits.check.check(&read_log(&item, log), now_ms) {
                        Err(exceeded) => Ok(Attempt::Refused(exceeded, item)),
                        Ok(()) => Err(StoreError::Corrupt("the check limit refused, but its log allows the attempt")),
                    };
                }
                Some(UpdateItemError::TransactionConflictException(_)) if self.backoff.wait(tried).await => {}
                Some(UpdateItemError::TransactionConflictException(_)) => return Err(StoreError::Busy(tried)),
                _ => return Err(StoreError::Unavailable(reason(&error))),
            }
        }
    }

    /// Uses up a code in all the slots that it stands in, if it still does, and forgets the failed attempts.
    async fn use_up(
        &self,
        pk: &str,
        slots: &[u32],
        guess: &AttributeValue,
        limits: &SendLimits,
    ) -> Result<Transaction, StoreError> {
        let (mut set, mut condition) = (String::new(), String::new());
        for (index, slot) in slots.iter().enumerate() {
            let (comma, and) = if index == 0 { ("", "") } else { (", ", " AND ") };
            let _ = write!(set, "{comma}c{slot} = :used");
            let _ = write!(condition, "{and}c{slot}.mac = :guess");
        }
        let failed: Vec<_> = (1..=limits.check.slots()).map(|slot| format!("f{slot}")).collect();
        let write = self
            .write(pk)
            .only_if(&condition)
            .value(":guess", guess.clone())
            .value(":used", AttributeValue::Null(true))
            .update(&format!("SET {set} REMOVE {}", failed.join(", ")));
        self.transact(&[write]).await
    }

    fn verified(&self, phone: &PhoneNumber, item: &Item, slot: u32, limits: &SendLimits) -> Option<VerifiedSend> {
        let code = code(item, slot)?;
        Some(VerifiedSend {
            ip: code.ip.to_owned(),
            range: self.pk("range", phone.range().as_str()),
            country: CounterEntries::of_country(phone.region(), &limits.country, code.country),
            at_ms: code.at_ms,
        })
    }
}

/// What to do where there is no item yet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IfAbsent {
    /// A phone whose last send is older than a code's lifetime has no code that could be guessed: attempts don't count, so nobody
    /// is locked out of a code to come. Its item lives as long as its last send needs, which covers the log of failed checks.
    IsNoPhone,
    /// A test number has no sends; its item is made by the first attempt.
    IsMade,
}

impl IfAbsent {
    const fn condition(self) -> &'static str {
        match self {
            Self::IsNoPhone => "a1 > :live AND ",
            Self::IsMade => "",
        }
    }

    const fn also_set(self) -> &'static str {
        match self {
            Self::IsNoPhone => "",
            Self::IsMade => ", expires_at = :exp",
        }
    }
}

/// How the log of failed attempts took one.
enum Attempt {
    /// Counted; the item as it is now.
    Admitted(Item),
    /// Not counted: this phone was never texted, or so long ago that there is nothing to guess. The item as it is.
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
