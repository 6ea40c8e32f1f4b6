//! Releasing an admission: out of its logs, wherever it is in them by now, and out of its counters.

use super::admission::Admission;
use super::items::{Item, StoreError, Transaction, Write, read_number};
use super::send_limits::SendLimits;
use super::table::{NOT_RESERVED, Table};
use crate::limits::rules::{Mode, WindowRules};
use crate::limits::sliding_log::{SlidingLog, shift_out};
use crate::runtime::backoff::Backoff;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};

/// The writes of a release.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ReleaseWrite {
    Log,
    Record,
}

impl Table {
    /// Releases an admission as if the send had never been requested: its record is deleted, and the logs are as they would have been.
    /// Only for a send that certainly did not happen.
    ///
    /// # Errors
    /// [`StoreError`] if part of it can't be released. That part stays counted.
    pub async fn release(&self, admission: Admission, limits: &SendLimits, now_ms: u64) -> Result<(), StoreError> {
        let unrecord = (ReleaseWrite::Record, self.reserved(&admission).delete());
        // Several transactions, so that an IP that many share can't keep a phone from being released. The record is deleted even if
        // its phone's log can't be shifted: a repeat must not hear that the message may have been sent.
        let (log, code_slots, at_ms) = (limits.phone_log(), limits.code_slots(), admission.at_ms);
        let is_here = |item: &Item, slot: u32| admission.is_in(item, slot, code_slots);
        let with_phone = self.write_at_slot(log.slots, ReleaseWrite::Log, is_here, |slot| {
            let shift = slot.and_then(|slot| self.phone_shift(&admission, log, code_slots, slot));
            shift.into_iter().map(|shift| (ReleaseWrite::Log, shift)).chain([unrecord.clone()]).collect()
        });
        let phone = match with_phone.await {
            Ok(()) => Ok(()),
            Err(error) => self.items.transact(std::slice::from_ref(&unrecord)).await.and(Err(error)),
        };
        let ip = self.release_logged(&admission.ip, &limits.ip, at_ms).await;
        let range = self.release_logged(&admission.range, &limits.range, at_ms).await;
        let counters = self.release_counted(admission.counted, at_ms, now_ms).await;
        phone.and(ip).and(range).and(counters)
    }

    /// A write of the record that an admission reserved, and of no other.
    pub(super) fn reserved(&self, admission: &Admission) -> Write {
        self.items
            .write(&admission.send)
            .only_if("#state = :reserved AND #at = :at")
            .name("#state", "state")
            .name("#at", "at")
            .text(":reserved", "reserved")
            .number(":at", admission.at_ms)
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
        let write = self.items.write(&admission.phone).numbers(&terms.values);
        Some(match shift_out("c", code_slots, slot) {
            Some(codes) => write
                .only_if(&format!("{} AND c{slot}.mac = :mac", terms.condition))
                .value(":mac", admission.mac.clone())
                .value(":cz", AttributeValue::Null(true))
                .update(&format!("SET {}, {codes}", terms.set)),
            None => write.only_if(&terms.condition).update(&format!("SET {}", terms.set)),
        })
    }

    /// Takes an admission out of a limit's log, wherever it is in it by now.
    pub(super) async fn release_logged(
        &self,
        pk: &str,
        limit: &Mode<WindowRules>,
        at_ms: u64,
    ) -> Result<(), StoreError> {
        let Some(log) = SlidingLog::for_limit("a", limit) else { return Ok(()) };
        let is_here = |item: &Item, slot: u32| read_number(item, &format!("a{slot}")) == Some(at_ms);
        self.write_at_slot(log.slots, ReleaseWrite::Log, is_here, |slot| {
            let terms = slot.and_then(|slot| log.release(slot, at_ms));
            let shift = terms.map(|terms| {
                let write = self.items.write(pk).only_if(&terms.condition).numbers(&terms.values);
                (ReleaseWrite::Log, write.update(&format!("SET {}", terms.set)))
            });
            shift.into_iter().collect()
        })
        .await
    }

    /// Makes writes that depend on the slot of an entry in a log: tried at the first slot, then at the slot where `is_here` sees it,
    /// since concurrent sends and releases move it. `writes` gets no slot once the entry has left the log; `log` labels the write that
    /// depends on the slot.
    pub(super) async fn write_at_slot<L: Copy + Ord>(
        &self,
        slots: u32,
        log: L,
        is_here: impl Fn(&Item, u32) -> bool,
        writes: impl Fn(Option<u32>) -> Vec<(L, TransactWriteItem)>,
    ) -> Result<(), StoreError> {
        let backoff = Backoff { tries: 4 * self.items.backoff.tries, ..self.items.backoff };
        let (mut slot, mut tried) = (Some(1), 0);
        loop {
            let writes = writes(slot);
            if writes.is_empty() {
                return Ok(());
            }
            let refused = match self.items.transact(&writes).await? {
                Transaction::Done => return Ok(()),
                Transaction::Refused(refused) => refused,
            };
            let Some(item) = refused.get(&log).filter(|_| slot.is_some() && refused.len() == 1) else {
                return Err(NOT_RESERVED);
            };
            slot = (1..=slots).find(|&slot| is_here(item, slot));
            tried += 1;
            if !backoff.wait(tried).await {
                return Err(StoreError::Busy(tried));
            }
        }
    }
}
