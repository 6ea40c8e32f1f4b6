//! One read before any write. It decides the lane, answers what needs no write (a repeat, an opt-out, a full counter), and shows the
//! record of the number's block.
//!
//! What it shows may have changed a moment later. So it only refuses: whoever passes still has to pass every condition of the writes.

use super::admission::{Admission, Decision};
use super::block_records::read_record;
use super::counters::CounterScope;
use super::items::{Item, StoreError, read_log, read_numbers};
use super::lane::Lane;
use super::send_limits::{LimitKind, LimitReached, SendLimits};
use super::table::Table;
use crate::limits::block_record::{self, BlockRecordMode, Shortfall};
use crate::limits::bucket_counter;
use crate::limits::rules::{CounterRules, Exceeded, Mode, Rule};
use crate::limits::sliding_log::SlidingLog;
use std::collections::HashMap;

/// The share of the spend that strangers get. The rest is for known numbers and users for whom the app vouches.
const OF_STRANGERS: f64 = 0.8;

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
        let shortfall = self.shortfall(admission, limits, now_ms)?;
        if limits.block_record == BlockRecordMode::On {
            return Some(Decision::BlockRecord(shortfall));
        }
        admission.observed.push((LimitKind::BlockRecord, shortfall.to_string()));
        None
    }

    /// The first counter that is full and enforced. For a stranger, the spend is full before its last fifth.
    fn full_counter(&self, admission: &Admission, limits: &SendLimits, now_ms: u64) -> Option<LimitReached> {
        admission.counters(limits).find_map(|(by, scope, limit, _)| {
            let is_kept = by == LimitKind::Spend && admission.lane == Lane::Stranger;
            limit.enforced()?.rules().iter().find_map(|&rule| {
                let counter = read_numbers(self.item(&scope.pk(rule))?);
                let until_ms = bucket_counter::until_ms(rule, &counter, now_ms).or_else(|| {
                    let used = bucket_counter::used(rule, &counter, now_ms);
                    let is_over = share(&used, rule) >= OF_STRANGERS;
                    used.first().filter(|_| is_kept && is_over).map(|(until_ms, _)| *until_ms)
                })?;
                Some(LimitReached { by, exceeded: Exceeded { rule, until_ms } })
            })
        })
    }

    /// Whether the record of the number's block is good enough for the load.
    fn shortfall(&self, admission: &Admission, limits: &SendLimits, now_ms: u64) -> Option<Shortfall> {
        let keys = admission.records.as_ref()?;
        let record = |pk| self.item(pk).map(|item| read_record(item, now_ms)).unwrap_or_default();
        block_record::check(record(&keys.block), record(&keys.area), self.load(admission, limits, now_ms)).err()
    }

    /// How much of the country's places is used, or of what strangers may spend, by the fullest rule that is enforced; 0 without one.
    fn load(&self, admission: &Admission, limits: &SendLimits, now_ms: u64) -> f64 {
        let of_limit = |scope: Option<CounterScope>, limit: &Mode<CounterRules>, all: f64| {
            let rules = limit.enforced().map_or(&[][..], CounterRules::rules);
            let load = |rule: &Rule| {
                let counter = read_numbers(self.item(&scope?.pk(*rule))?);
                Some(share(&bucket_counter::used(*rule, &counter, now_ms), *rule) / all)
            };
            rules.iter().filter_map(load).fold(0.0, f64::max)
        };
        let country = of_limit(admission.country, &limits.country, 1.0);
        country.max(of_limit(Some(CounterScope::Spend), &limits.spend, OF_STRANGERS))
    }
}

/// Whether the phone's own limit allows another send of this lane.
fn phone_allows(phone: &Item, lane: Lane, limits: &SendLimits, now_ms: u64) -> bool {
    limits
        .phone
        .enforced()
        .is_none_or(|rules| rules.check(&read_log(phone, SlidingLog::of(lane.log(), rules)), now_ms).is_ok())
}

/// The share of a rule that is used.
fn share(used: &[(u64, u64)], rule: Rule) -> f64 {
    let used: u64 = used.iter().map(|(_, count)| count).sum();
    f64::from(u32::try_from(used).unwrap_or(u32::MAX)) / f64::from(rule.count())
}
