//! One read before any write. It decides the lane, answers what needs no write (a repeat, an opt-out, a full counter), and shows the
//! record of the number's block.
//!
//! What it shows may have changed a moment later. So it only refuses: whoever passes still has to pass every condition of the writes.

use super::admission::Admission;
use super::block_records::read_record;
use super::items::{Item, StoreError, read_numbers};
use super::send_limits::{LimitReached, SendLimits};
use super::table::Table;
use crate::limits::block_record::{self, Shortfall};
use crate::limits::bucket_counter;
use crate::limits::rules::{CounterRules, Exceeded, Rule};
use std::collections::HashMap;

/// The items of a send, as one read showed them.
pub(super) struct ReadAhead(HashMap<String, Item>);

impl Table {
    /// Reads what a send would meet.
    pub(super) async fn read_ahead(&self, admission: &Admission, limits: &SendLimits) -> Result<ReadAhead, StoreError> {
        let mut pks = vec![admission.send.clone(), admission.phone.clone()];
        pks.extend(admission.counters(limits).flat_map(|(_, scope, limit, _)| {
            let rules = limit.counted().map_or(&[][..], CounterRules::rules);
            rules.iter().map(move |rule| scope.pk(*rule))
        }));
        if let Some(keys) = &admission.records {
            pks.extend([keys.block.clone(), keys.area.clone()]);
        }
        self.items.read_all(&pks).await.map(ReadAhead)
    }
}

impl ReadAhead {
    /// The item with this key; `None` if it doesn't exist or was not read.
    pub(super) fn item(&self, pk: &str) -> Option<&Item> {
        self.0.get(pk)
    }

    /// The first counter that is full and enforced.
    pub(super) fn full_counter(&self, admission: &Admission, limits: &SendLimits, now_ms: u64) -> Option<LimitReached> {
        admission.counters(limits).find_map(|(by, scope, limit, _)| {
            limit.enforced()?.rules().iter().find_map(|&rule| {
                let counter = read_numbers(self.item(&scope.pk(rule))?);
                let until_ms = bucket_counter::until_ms(rule, &counter, now_ms)?;
                Some(LimitReached { by, exceeded: Exceeded { rule, until_ms } })
            })
        })
    }

    /// Whether the record of the number's block is good enough for the country's load.
    pub(super) fn shortfall(&self, admission: &Admission, limits: &SendLimits, now_ms: u64) -> Option<Shortfall> {
        let keys = admission.records.as_ref()?;
        let record = |pk| self.item(pk).map(|item| read_record(item, now_ms)).unwrap_or_default();
        let load = self.country_load(admission, limits, now_ms);
        block_record::check(record(&keys.block), record(&keys.area), load).err()
    }

    /// How much of the country's limit is used, by its fullest rule; 0 without a limit.
    fn country_load(&self, admission: &Admission, limits: &SendLimits, now_ms: u64) -> f64 {
        let rules = limits.country.counted().map_or(&[][..], CounterRules::rules);
        let load = |rule: &Rule| {
            let counter = read_numbers(self.item(&admission.country?.pk(*rule))?);
            let used: u64 = bucket_counter::used(*rule, &counter, now_ms).iter().map(|(_, count)| count).sum();
            Some(f64::from(u32::try_from(used).unwrap_or(u32::MAX)) / f64::from(rule.count()))
        };
        rules.iter().filter_map(load).fold(0.0, f64::max)
    }
}
