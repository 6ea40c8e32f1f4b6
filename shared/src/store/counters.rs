//! Counters of unverified sends per network and country, and of all sends and what they cost. See [`crate::limits::bucket_counter`].

use super::items::{Snapshot, StoreError, Updated, read_numbers};
use super::lane::Lane;
use super::send_limits::{LimitKind, LimitReached, SendLimits};
use super::table::{NetworkMac, Table};
use crate::limits::bucket_counter::{self, CounterUpdate, RuleBound};
use crate::limits::rules::{CounterRules, Exceeded, Mode, Rule};
use crate::phone::number::Region;
use crate::twilio::price::Dollars;
use aws_sdk_dynamodb::types::ReturnValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::HashMap;

/// What a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterScope {
    /// The unverified sends to strangers in a country.
    Country(Region),
    /// The unverified sends to known numbers in a country.
    Known(Region),
    /// The unverified sends to strangers' numbers of unknown ranges in a country.
    Unassigned(Region),
    /// The automatic replies to a country.
    Replies(Region),
    /// The unverified sends to strangers from a network, by its MAC.
    Network(NetworkMac),
    /// The offers to text for a verification, to an IP address or a network, by its MAC.
    Offers(NetworkMac),
    /// All sends, and what they cost: the cap on the bill.
    Total,
}

/// A counter, and the limits for which it counts an admission.
#[derive(Clone, Debug)]
pub struct Counter<'l> {
    /// What it counts.
    pub scope: CounterScope,
    /// Its limits.
    pub limits: Vec<CounterLimit<'l>>,
}

/// One limit of a counter.
#[derive(Clone, Copy, Debug)]
pub struct CounterLimit<'l> {
    /// Which limit.
    pub by: LimitKind,
    /// Its rules.
    pub mode: &'l Mode<CounterRules>,
    /// How much an admission counts: 1, or what it costs in hundredths of a cent.
    pub amount: u32,
    /// Whether its last fifth is kept for others than strangers, and this is a stranger's.
    pub without_last_fifth: bool,
}

/// Entries in counters, which can be released.
#[derive(Clone, Debug, Default)]
pub struct CounterEntries(Vec<CounterEntry>);

/// What an admission counts in one counter.
#[derive(Clone, Debug)]
struct CounterEntry {
    scope: CounterScope,
    /// By these rules, this much.
    counted: Vec<(Rule, u32)>,
}

/// What one counter decided.
#[derive(Debug)]
pub(super) enum CounterDecision {
    /// It counted one more. Observed limits that are exceeded are named.
    Counted(CounterEntries, Vec<LimitReached>),
    /// It refused, and counted nothing.
    Refused(LimitReached),
}

impl CounterScope {
    /// The counter of a country that a lane counts in; none for a number without a country, and for an owner.
    #[must_use]
    pub fn of_country(lane: Lane, region: Option<Region>) -> Option<Self> {
        match lane {
            Lane::Owner => None,
            Lane::Known => region.map(Self::Known),
            Lane::Stranger => region.map(Self::Country),
        }
    }

    /// The key of the counter's item.
    #[must_use]
    pub fn pk(self) -> String {
        match self {
            Self::Country(region) => format!("country#{region}"),
            Self::Known(region) => format!("known#{region}"),
            Self::Unassigned(region) => format!("unassigned#{region}"),
            Self::Replies(region) => format!("replies#{region}"),
            Self::Network(mac) => format!("network#{}", URL_SAFE_NO_PAD.encode(mac)),
            Self::Offers(mac) => format!("offers#{}", URL_SAFE_NO_PAD.encode(mac)),
            Self::Total => "total".to_owned(),
        }
    }
}

impl<'l> CounterLimit<'l> {
    /// A limit of which everybody may use all.
    #[must_use]
    pub const fn new(by: LimitKind, mode: &'l Mode<CounterRules>, amount: u32) -> Self {
        Self { by, mode, amount, without_last_fifth: false }
    }

    /// Its rules.
    pub fn rules(self) -> impl Iterator<Item = Rule> + use<'l> {
        self.mode.counted().map_or(&[][..], CounterRules::rules).iter().copied()
    }

    /// How much of a rule's count may be used.
    #[must_use]
    pub fn most(self, rule: Rule) -> u64 {
        u64::from(if self.without_last_fifth { rule.count() - rule.count() / 5 } else { rule.count() })
    }

    /// How full it is, by its fullest rule that is enforced; 0 without one.
    pub(super) fn load(self, counter: &HashMap<String, u64>, now_ms: u64) -> f64 {
        let load = |rule: &Rule| {
            let used: u64 = bucket_counter::used(*rule, counter, now_ms).iter().map(|(_, count)| count).sum();
            let as_f64 = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
            as_f64(used) / as_f64(self.most(*rule))
        };
        self.mode.enforced().map_or(&[][..], CounterRules::rules).iter().map(load).fold(0.0, f64::max)
    }

    /// The rule that allows no more, with the longest wait.
    fn exceeded(self, counter: &HashMap<String, u64>, now_ms: u64) -> Option<LimitReached> {
        let exceeded = self.rules().filter_map(|rule| {
            let until_ms = bucket_counter::until_ms(rule, self.most(rule), counter, now_ms)?;
            Some(Exceeded { rule, until_ms })
        });
        exceeded.max_by_key(|exceeded| exceeded.until_ms).map(|exceeded| LimitReached { by: self.by, exceeded })
    }
}

impl<'l> Counter<'l> {
    /// A counter for those of its limits that count; `None` if none does.
    #[must_use]
    pub fn new(scope: CounterScope, limits: impl IntoIterator<Item = CounterLimit<'l>>) -> Option<Self> {
        let limits: Vec<_> = limits.into_iter().filter(|limit| limit.mode.counted().is_some()).collect();
        (!limits.is_empty()).then_some(Self { scope, limits })
    }

    /// The first enforced limit that allows no more.
    pub(super) fn full(&self, counter: &HashMap<String, u64>, now_ms: u64) -> Option<LimitReached> {
        let mut enforced = self.limits.iter().filter(|limit| limit.mode.enforced().is_some());
        enforced.find_map(|limit| limit.exceeded(counter, now_ms))
    }

    /// The observed limits that would allow no more.
    fn observed(&self, counter: &HashMap<String, u64>, now_ms: u64) -> Vec<LimitReached> {
        let observed = self.limits.iter().filter(|limit| limit.mode.observed().is_some());
        observed.filter_map(|limit| limit.exceeded(counter, now_ms)).collect()
    }

    fn bounds(&self) -> Vec<RuleBound> {
        let of_limit = |limit: &CounterLimit<'l>| {
            let (limit, is_enforced) = (*limit, limit.mode.enforced().is_some());
            limit.rules().map(move |rule| RuleBound {
                rule,
                amount: limit.amount,
                most: is_enforced.then(|| limit.most(rule)),
            })
        };
        self.limits.iter().flat_map(of_limit).collect()
    }
}

impl CounterEntries {
    /// The entries of a send in the counter of a network or a country, from the names of the rules that counted it. The total counts
    /// verified sends too, so it keeps its entry.
    #[must_use]
    pub fn of_scope(scope: Option<CounterScope>, counted: &str) -> Self {
        let Some((scope, rules)) = scope.zip(counted.parse::<CounterRules>().ok()) else { return Self::default() };
        let counted = rules.rules().iter().map(|rule| (*rule, 1)).collect();
        Self(vec![CounterEntry { scope, counted }])
    }

    /// What they cost.
    pub(super) fn price(&self) -> Self {
        let price = |entry: &CounterEntry| {
            let counted = entry.counted.iter().filter(|(rule, _)| rule.is_of_money()).copied().collect();
            CounterEntry { scope: entry.scope, counted }
        };
        Self(self.0.iter().map(price).collect())
    }

    /// These entries and the others.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The entries of unverified sends, and those of all sends and what they cost, which an approval doesn't release.
    pub(super) fn split_total(self) -> (Self, Self) {
        let (total, unverified) = self.0.into_iter().partition(|entry| entry.scope == CounterScope::Total);
        (Self(unverified), Self(total))
    }
}

/// The counters of a send, in the order in which they decide.
#[must_use]
pub fn counters_of_send(
    network: Option<CounterScope>,
    country: Option<CounterScope>,
    unassigned: Option<CounterScope>,
    lane: Lane,
    price: Dollars,
    limits: &SendLimits,
) -> Vec<Counter<'_>> {
    let spend = CounterLimit {
        without_last_fifth: lane == Lane::Stranger,
        ..CounterLimit::new(LimitKind::Spend, &limits.spend, price.hundredths_of_a_cent())
    };
    let all = [
        (network, vec![CounterLimit::new(LimitKind::Network, &limits.network, 1)]),
        (unassigned, vec![CounterLimit::new(LimitKind::Country, &limits.unassigned, 1)]),
        (country, vec![CounterLimit::new(LimitKind::Country, &limits.country, 1)]),
        (Some(CounterScope::Total), vec![CounterLimit::new(LimitKind::Total, &limits.total, 1), spend]),
    ];
    all.into_iter().filter_map(|(scope, limits)| Counter::new(scope?, limits)).collect()
}

/// The names of the rules that count, for [`CounterEntries::of_scope`].
pub(super) fn rule_names(limit: &Mode<CounterRules>) -> String {
    let rules = limit.counted().map_or(&[][..], CounterRules::rules);
    rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl Table {
    /// Reads counters, and counts one admission in each. Returns the limit that refuses, if any. `entries` grows by the counters that
    /// counted, even if a later one refuses: release them then.
    ///
    /// # Errors
    /// [`StoreError`] if a counter gave no answer. It may have counted.
    pub async fn count(
        &self,
        counters: &[Counter<'_>],
        now_ms: u64,
        entries: &mut CounterEntries,
    ) -> Result<Option<LimitReached>, StoreError> {
        let pks: Vec<_> = counters.iter().map(|counter| counter.scope.pk()).collect();
        let read = self.items.read_all(&pks).await?;
        for counter in counters {
            match self.count_in(counter, &read, now_ms).await? {
                CounterDecision::Counted(counted, _) => entries.0.extend(counted.0),
                CounterDecision::Refused(reached) => return Ok(Some(reached)),
            }
        }
        Ok(None)
    }

    /// Counts an admission in a counter. Its item is read, unless it has been.
    ///
    /// A retry by the SDK after a lost reply may count twice. That errs on the strict side.
    pub(super) async fn count_in(
        &self,
        counter: &Counter<'_>,
        ahead: &Snapshot,
        now_ms: u64,
    ) -> Result<CounterDecision, StoreError> {
        let bounds = counter.bounds();
        let entry = CounterEntry {
            scope: counter.scope,
            counted: bounds.iter().map(|bound| (bound.rule, bound.amount)).collect(),
        };
        let entries = CounterEntries(vec![entry]);
        let pk = counter.scope.pk();
        let mut counts = if let Some(item) = ahead.read(&pk) {
            read_numbers(item)
        } else {
            let [item] = self.items.read([&pk]).await?;
            read_numbers(&item)
        };
        let mut tried = 0;
        loop {
            if let Some(reached) = counter.full(&counts, now_ms) {
                return Ok(CounterDecision::Refused(reached));
            }
            if tried > 0 && !self.items.backoff.wait(tried).await {
                return Err(StoreError::Busy(tried));
            }
            let CounterUpdate { expression, condition, values } = bucket_counter::admit(&bounds, &counts, now_ms);
            let write = self.items.write(&pk).only_if(&condition).numbers(&values);
            match self.items.update(write.plain_update(expression).returns(ReturnValue::AllOld)).await? {
                Updated::Done(before) => {
                    let observed = counter.observed(&read_numbers(&before), now_ms);
                    return Ok(CounterDecision::Counted(entries, observed));
                }
                // It is full, or others have counted next to us since it was read.
                Updated::Refused(item) => counts = read_numbers(&item),
            }
            tried += 1;
        }
    }

    /// Releases entries that were counted at `at_ms`. What can't be released stays counted.
    ///
    /// # Errors
    /// The last [`StoreError`]; the other entries have been released all the same.
    pub async fn release_counted(&self, entries: CounterEntries, at_ms: u64, now_ms: u64) -> Result<(), StoreError> {
        let mut result = Ok(());
        for CounterEntry { scope, counted } in entries.0 {
            let Some(CounterUpdate { expression, condition, values }) =
                bucket_counter::release(&counted, at_ms, now_ms)
            else {
                continue;
            };
            let write = self.items.write(&scope.pk()).only_if(&condition).numbers(&values);
            // Never twice: after a lost reply, the entry may stay counted. After throttling it is tried again.
            match self.items.update(write.plain_update(expression).at_most_once()).await {
                Ok(Updated::Done(_)) => {}
                Ok(Updated::Refused(_)) => {
                    result = Err(StoreError::Corrupt("a counter is lower than what it releases"));
                }
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// Counts one more of `at_ms`, whatever the limit, in a counter that `counted` lacks.
    pub(super) async fn count_missing(
        &self,
        scope: CounterScope,
        limit: &Mode<CounterRules>,
        counted: &CounterEntries,
        at_ms: u64,
    ) -> Result<(), StoreError> {
        let rules = limit.counted().map_or(&[][..], CounterRules::rules);
        if rules.is_empty() || counted.0.iter().any(|entry| entry.scope == scope) {
            return Ok(());
        }
        let bounds: Vec<_> = rules.iter().map(|&rule| RuleBound { rule, amount: 1, most: None }).collect();
        let CounterUpdate { expression, values, .. } = bucket_counter::admit(&bounds, &HashMap::new(), at_ms);
        self.items.update(self.items.write(&scope.pk()).numbers(&values).plain_update(expression)).await.map(|_| ())
    }
}
