//! Taking an admission back: out of its logs, wherever it stands in them by now, and out of its counters.

use super::admission::Admission;
use super::send_limits::SendLimits;
use super::table::{Item, NOT_RESERVED, StoreError, Table, Transaction, read_number};
use crate::limits::rules::{Mode, WindowRules};
use crate::limits::sliding_log::{SlidingLog, shift_out};
use crate::runtime::backoff::Backoff;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};

impl Table {
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
    pub(super) async fn shift_back(&self, pk: &str, limit: &Mode<WindowRules>, at_ms: u64) -> Result<(), StoreError> {
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
    pub(super) async fn find_and_write(
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
}
