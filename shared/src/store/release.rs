//! Releasing sends: out of their logs, wherever they are in them by now, and out of their counters.

use super::admission::Admission;
use super::codes::find_code;
use super::items::{Item, StoreError, Transaction, Write, read_number};
use super::lane::Lane;
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
    /// If an approval has released this send in the meantime, only the phone and the total are left to release.
    ///
    /// # Errors
    /// [`StoreError`] if part of it can't be released. That part stays counted.
    pub async fn release(&self, admission: Admission, limits: &SendLimits, now_ms: u64) -> Result<(), StoreError> {
        let unrecord = (ReleaseWrite::Record, self.reserved(&admission).delete());
        // Several transactions, so that an IP that many share can't keep a phone from being released. The record is deleted even if
        // its phone's log can't be shifted: a repeat must not be answered with `unknown`.
        let released = self.write_where_found(ReleaseWrite::Log, |phone| {
            let shift = self.phone_shift(&admission, limits, phone);
            shift.into_iter().map(|shift| (ReleaseWrite::Log, shift)).chain([unrecord.clone()]).collect()
        });
        let (phone, is_ours) = match released.await {
            Ok(phone) => {
                let code = find_code(phone.as_ref(), limits.code_slots(), &admission.mac, admission.at_ms);
                (Ok(()), code.is_some())
            }
            // The code is still in its slot, so an approval may still release the rest.
            Err(error) => {
                let unrecorded = self.items.transact(std::slice::from_ref(&unrecord)).await;
                return unrecorded.and(Err(error));
            }
        };
        let Admission { lane, ip, range, at_ms, counted, network, country, .. } = admission;
        let (unverified, total) = counted.split_total();
        let mut result = phone.and(self.release_counted(total, at_ms, now_ms).await);
        if is_ours {
            result = result.and(self.release_counted(unverified, at_ms, now_ms).await);
            if lane != Lane::Owner {
                result = result.and(self.release_logged(&ip, &limits.ip, at_ms).await);
            }
            if lane == Lane::Stranger {
                result = result.and(self.release_logged(&range, &limits.range, at_ms).await);
            }
        } else {
            // The approval has released every rule of the network and the country, also one that had not counted this send yet.
            for (scope, limit) in [(network, &limits.network), (country, &limits.country)] {
                if let Some(scope) = scope {
                    result = result.and(self.count_missing(scope, limit, &unverified, at_ms).await);
                }
            }
        }
        result
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

    /// Takes an admission out of its phone's log, and its code with it; `None` if neither is there any more.
    fn phone_shift(
        &self,
        admission: &Admission,
        limits: &SendLimits,
        phone: Option<&Item>,
    ) -> Option<TransactWriteItem> {
        let Admission { lane, mac, at_ms, .. } = admission;
        let (log, code_slots) = (limits.phone_log(*lane), limits.code_slots());
        let mut write = self.items.write(&admission.phone);
        let (mut sets, mut conditions) = (Vec::new(), Vec::new());
        if let Some(terms) = find_entry(phone, log, *at_ms).and_then(|slot| log.release(slot, *at_ms)) {
            write = write.numbers(&terms.values);
            sets.push(terms.set);
            conditions.push(terms.condition);
        }
        if let Some(slot) = find_code(phone, code_slots, mac, *at_ms) {
            sets.extend(shift_out("c", code_slots, slot));
            conditions.push(format!("c{slot}.mac = :mac AND c{slot}.#at = :sent_at"));
            write = write
                .name("#at", "at")
                .value(":mac", mac.clone())
                .number(":sent_at", *at_ms)
                .value(":cz", AttributeValue::Null(true));
            if *lane == Lane::Known {
                sets.push("streak = streak - :one".to_owned());
                write = write.number(":one", 1);
            }
        }
        let update = (!sets.is_empty()).then(|| format!("SET {}", sets.join(", ")))?;
        Some(write.only_if(&conditions.join(" AND ")).update(&update))
    }

    /// Takes an admission out of a limit's log, wherever it is in it by now.
    pub(super) async fn release_logged(
        &self,
        pk: &str,
        limit: &Mode<WindowRules>,
        at_ms: u64,
    ) -> Result<(), StoreError> {
        let Some(log) = SlidingLog::for_limit("a", limit) else { return Ok(()) };
        let shift = |item: Option<&Item>| {
            let terms = find_entry(item, log, at_ms).and_then(|slot| log.release(slot, at_ms));
            let shift = terms.map(|terms| {
                let write = self.items.write(pk).only_if(&terms.condition).numbers(&terms.values);
                (ReleaseWrite::Log, write.update(&format!("SET {}", terms.set)))
            });
            shift.into_iter().collect()
        };
        self.write_where_found(ReleaseWrite::Log, shift).await.map(|_| ())
    }

    /// Makes writes of which one depends on where an entry is in its item: `writes` first expects it to be the newest, then sees the
    /// item as it is, since concurrent sends and releases move the entry. `moving` labels the write that depends on it; `writes` leaves
    /// it out once the entry is gone.
    ///
    /// Returns the item that the writes were made for; `None` if the first expectation held.
    pub(super) async fn write_where_found<L: Copy + Ord>(
        &self,
        moving: L,
        writes: impl Fn(Option<&Item>) -> Vec<(L, TransactWriteItem)>,
    ) -> Result<Option<Item>, StoreError> {
        let backoff = Backoff { tries: 4 * self.items.backoff.tries, ..self.items.backoff };
        let (mut item, mut tried) = (None, 0);
        loop {
            let writes = writes(item.as_ref());
            if writes.is_empty() {
                return Ok(item);
            }
            let mut refused = match self.items.transact(&writes).await? {
                Transaction::Done => return Ok(item),
                Transaction::Refused(refused) => refused,
            };
            let only_moved = refused.len() == 1;
            item = Some(refused.remove(&moving).filter(|_| only_moved).ok_or(NOT_RESERVED)?);
            tried += 1;
            if !backoff.wait(tried).await {
                return Err(StoreError::Busy(tried));
            }
        }
    }
}

/// The slot of an entry in a log. An item that has not been read is expected to have it in its first slot.
fn find_entry(item: Option<&Item>, log: SlidingLog, at_ms: u64) -> Option<u32> {
    let Some(item) = item else { return Some(1) };
    (1..=log.slots).find(|slot| read_number(item, &format!("{}{slot}", log.name)) == Some(at_ms))
}
