//! One read before any write. It decides the lane, answers what needs no write (a repeat, an opt-out, a full counter), and shows the
//! record of the number's block.
//!
//! What it shows may have changed a moment later. So it only refuses: whoever passes still has to pass every condition of the writes.

use super::admission::{Admission, Decision};
use super::block_records::{RecordKeys, is_closed, read_record};
use super::counters::{Counter, CounterScope, counters_of_send};
use super::items::{Item, Snapshot, StoreError, read_log, read_numbers};
use super::lane::Lane;
use super::send_limits::{LimitKind, LimitReached, SendLimits};
use super::table::Table;
use crate::limits::block_record::{BlockRecordMode, Judgement};
use crate::limits::sliding_log::SlidingLog;
use crate::phone::number::PhoneNumber;
use crate::twilio::price::Dollars;
use std::collections::HashMap;

impl Table {
    /// Reads what a send would meet. Whether its number is known shows only then, so both counters of the country are read.
    pub(super) async fn read_ahead(&self, admission: &Admission, limits: &SendLimits) -> Result<Snapshot, StoreError> {
        let mut pks = vec![admission.send.clone(), admission.phone.clone()];
        pks.extend(admission.counters(limits).iter().map(|counter| counter.scope.pk()));
        if let Some(CounterScope::Country(region)) = admission.country {
            pks.push(CounterScope::Known(region).pk());
        }
        if let Some(keys) = &admission.records {
            pks.extend([keys.block.clone(), keys.area.clone()]);
        }
        self.items.read_all(&pks).await
    }

    /// What the record of a number's block is against the load, for a stranger's send.
    ///
    /// # Errors
    /// [`StoreError`] if the table can't be read.
    pub async fn judge_block(
        &self,
        phone: &PhoneNumber,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<Judgement, StoreError> {
        let country = phone.region().map(CounterScope::Country);
        let counters = counters_of_send(None, country, None, Lane::Stranger, Dollars::default(), limits);
        let keys = self.record_keys(phone);
        let counter_pks = counters.iter().map(|counter| counter.scope.pk());
        let pks: Vec<_> = counter_pks.chain([keys.block.clone(), keys.area.clone()]).collect();
        Ok(self.items.read_all(&pks).await?.judgement(&keys, &counters, now_ms))
    }
}

impl Snapshot {
    /// What can be refused without a write. A record that is only observed is noted in the admission.
    pub(super) fn refusal(
        &self,
        phone: &Item,
        admission: &mut Admission,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Option<Decision> {
        if phone.contains_key("opted_out") {
            return Some(Decision::OptedOut);
        }
        // A user whose own limit is reached is told so: the transaction refuses that.
        if !phone_allows(phone, admission.lane, limits, now_ms) {
            return None;
        }
        if let Some(reached) = self.full_counter(admission, limits, now_ms) {
            return Some(Decision::LimitReached(reached));
        }
        let keys = admission.records.as_ref()?;
        if admission.unassigned.is_some() && self.item(&keys.block).is_some_and(|block| is_closed(block, now_ms)) {
            return Some(Decision::NoSuchNumbers);
        }
        if limits.block_record == BlockRecordMode::Off {
            return None;
        }
        let shortfall = self.judgement(keys, &admission.counters(limits), now_ms).check().err()?;
        if limits.block_record == BlockRecordMode::On {
            return Some(Decision::BlockRecord(shortfall));
        }
        admission.observed.push((LimitKind::BlockRecord, shortfall.to_string()));
        None
    }

    /// The first counter that is full.
    fn full_counter(&self, admission: &Admission, limits: &SendLimits, now_ms: u64) -> Option<LimitReached> {
        admission.counters(limits).iter().find_map(|counter| counter.full(&self.counts(counter.scope), now_ms))
    }

    fn counts(&self, scope: CounterScope) -> HashMap<String, u64> {
        self.item(&scope.pk()).map(read_numbers).unwrap_or_default()
    }

    /// What the record of the number's block is, against the load.
    fn judgement(&self, keys: &RecordKeys, counters: &[Counter<'_>], now_ms: u64) -> Judgement {
        let record = |pk| self.item(pk).map(|item| read_record(item, now_ms)).unwrap_or_default();
        Judgement::new(record(&keys.block), record(&keys.area), self.load(counters, now_ms))
    }

    /// How much of the country's places is used, or of what strangers may spend, by the fullest rule that is enforced; 0 without one.
    fn load(&self, counters: &[Counter<'_>], now_ms: u64) -> f64 {
        let of_counter = |counter: &Counter<'_>| {
            let counts = self.counts(counter.scope);
            let limits =
                counter.limits.iter().filter(|limit| matches!(limit.by, LimitKind::Country | LimitKind::Spend));
            limits.map(|limit| limit.load(&counts, now_ms)).fold(0.0, f64::max)
        };
        counters.iter().map(of_counter).fold(0.0, f64::max)
    }
}

/// Whether the phone's own limit allows another send of this lane.
fn phone_allows(phone: &Item, lane: Lane, limits: &SendLimits, now_ms: u64) -> bool {
    limits
        .phone
        .enforced()
        .is_none_or(|rules| rules.check(&read_log(phone, SlidingLog::of(lane.log(), rules)), now_ms).is_ok())
}
