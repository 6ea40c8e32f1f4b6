//! Counters of unverified sends per network and country, of all sends together, and of what they cost. See [`crate::limits::bucket_counter`].

use super::items::{Item, StoreError, Updated, read_numbers};
use super::lane::Lane;
use super::table::{NetworkMac, Table};
use crate::limits::bucket_counter::{self, CounterUpdate};
use crate::limits::rules::{CounterRules, Exceeded, Mode, Rule};
use crate::phone::number::Region;
use aws_sdk_dynamodb::types::ReturnValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterScope {
    /// The unverified sends to strangers in a country.
    Country(Region),
    /// The unverified sends to known numbers in a country.
    Known(Region),
    /// The automatic replies to a country.
    Replies(Region),
    /// The unverified sends to strangers from a network, by its MAC.
    Network(NetworkMac),
    /// All sends.
    Total,
    /// What all sends cost: the cap on the bill.
    Spend,
}

/// Entries in counters, which can be released.
#[derive(Clone, Debug, Default)]
pub struct CounterEntries(Vec<CounterEntry>);

#[derive(Clone, Copy, Debug)]
struct CounterEntry {
    scope: CounterScope,
    rule: Rule,
    amount: u32,
}

/// What one counter decided.
enum CounterDecision {
    /// It counted one more. An observed rule that is exceeded is named.
    Counted(Option<Exceeded>),
    /// It refused, and counted nothing.
    Refused(Exceeded),
}

impl CounterScope {
    /// The key of the item in which a rule counts.
    #[must_use]
    pub fn pk(self, rule: Rule) -> String {
        match self {
            Self::Country(region) => format!("country#{region}#{rule}"),
            Self::Known(region) => format!("known#{region}#{rule}"),
            Self::Replies(region) => format!("replies#{region}#{rule}"),
            Self::Network(mac) => format!("network#{}#{rule}", URL_SAFE_NO_PAD.encode(mac)),
            Self::Total => format!("total#{rule}"),
            Self::Spend => format!("spend#{rule}"),
        }
    }
}

impl CounterEntries {
    /// The entries of a send in the counters of a network or a country. The total counts verified sends too, so it keeps its entry.
    ///
    /// `counted` names the rules that counted the send when it was made. A rule that no longer applies has no counter to release, and
    /// a new one did not count the send.
    #[must_use]
    pub fn of_scope(scope: Option<CounterScope>, limit: &Mode<CounterRules>, counted: &str) -> Self {
        let Some((scope, rules)) = scope.zip(limit.counted()) else { return Self::default() };
        let both = rules.rules().iter().filter(|rule| counted.split(',').any(|name| name == rule.to_string()));
        Self(both.map(|rule| CounterEntry { scope, rule: *rule, amount: 1 }).collect())
    }

    /// The entries in one scope.
    pub(super) fn of(&self, scope: CounterScope) -> Self {
        Self(self.0.iter().filter(|entry| entry.scope == scope).copied().collect())
    }

    /// These entries and the others.
    pub(super) fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The entries of unverified sends, and those of all sends and what they cost, which an approval doesn't release.
    pub(super) fn split_total(self) -> (Self, Self) {
        let (total, unverified) =
            self.0.into_iter().partition(|entry| matches!(entry.scope, CounterScope::Total | CounterScope::Spend));
        (Self(unverified), Self(total))
    }
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
}

/// The names of the rules that count, for [`CounterEntries::of_scope`].
pub(super) fn rule_names(limit: &Mode<CounterRules>) -> String {
    let rules = limit.counted().map_or(&[][..], CounterRules::rules);
    rules.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl Table {
    /// Counts `amount` more in a scope's counters, one rule after another.
    ///
    /// Returns the rule that refuses, if any. `entries` grows by the rules that counted, even if a later one refuses: release them
    /// then. `observed` grows by the observed rules that are exceeded.
    ///
    /// # Errors
    /// [`StoreError`] if a counter gave no answer. It may have counted.
    pub async fn count(
        &self,
        scope: CounterScope,
        limit: &Mode<CounterRules>,
        amount: u32,
        now_ms: u64,
        entries: &mut CounterEntries,
        observed: &mut Vec<Rule>,
    ) -> Result<Option<Exceeded>, StoreError> {
        let enforced = limit.enforced().is_some();
        for &rule in limit.counted().map_or(&[][..], CounterRules::rules) {
            match self.count_by(CounterEntry { scope, rule, amount }, enforced, now_ms).await? {
                CounterDecision::Counted(exceeded) => {
                    entries.0.push(CounterEntry { scope, rule, amount });
                    observed.extend(exceeded.map(|exceeded| exceeded.rule));
                }
                CounterDecision::Refused(exceeded) => return Ok(Some(exceeded)),
            }
        }
        Ok(None)
    }

    /// Releases entries that were counted at `at_ms`. What can't be released stays counted.
    ///
    /// # Errors
    /// The last [`StoreError`]; the other entries have been released all the same.
    pub async fn release_counted(&self, entries: CounterEntries, at_ms: u64, now_ms: u64) -> Result<(), StoreError> {
        let mut result = Ok(());
        for CounterEntry { scope, rule, amount } in entries.0 {
            let CounterUpdate { update, condition } = bucket_counter::release(rule, amount, at_ms, now_ms);
            let write = self.items.write(&scope.pk(rule)).only_if(&condition.expression);
            let write = write.numbers(&update.values).numbers(&condition.values);
            // Never twice: after a lost reply, the entry may stay counted. After throttling it is tried again.
            match self.items.update(write.plain_update(update.expression).at_most_once()).await {
                Ok(Updated::Done(_)) => {}
                Ok(Updated::Refused(_)) => {
                    result = Err(StoreError::Corrupt("a counter is lower than what it releases"));
                }
                Err(error) => result = Err(error),
            }
        }
        result
    }

    /// Counts one more, whatever the limit, in the rules of a scope that `counted` lacks.
    pub(super) async fn count_missing(
        &self,
        scope: CounterScope,
        limit: &Mode<CounterRules>,
        counted: &CounterEntries,
        at_ms: u64,
    ) -> Result<(), StoreError> {
        for &rule in limit.counted().map_or(&[][..], CounterRules::rules) {
            if !counted.0.iter().any(|entry| (entry.scope, entry.rule) == (scope, rule)) {
                self.count_by(CounterEntry { scope, rule, amount: 1 }, false, at_ms).await?;
            }
        }
        Ok(())
    }

    /// A retry by the SDK after a lost reply may count twice. That errs on the strict side.
    async fn count_by(&self, entry: CounterEntry, enforced: bool, now_ms: u64) -> Result<CounterDecision, StoreError> {
        let CounterEntry { scope, rule, amount } = entry;
        let CounterUpdate { update, condition } = bucket_counter::admit(rule, amount, now_ms);
        let exceeded = |counter: &Item| {
            let until_ms = bucket_counter::until_ms(rule, &read_numbers(counter), now_ms)?;
            Some(Exceeded { rule, until_ms })
        };
        let mut write = self.items.write(&scope.pk(rule)).numbers(&update.values);
        if enforced {
            write = write.only_if(&condition.expression).numbers(&condition.values);
        }
        match self.items.update(write.plain_update(update.expression).returns(ReturnValue::AllOld)).await? {
            Updated::Done(before) => {
                self.clear_old_buckets(scope, rule, &before, now_ms).await;
                Ok(CounterDecision::Counted(exceeded(&before).filter(|_| !enforced)))
            }
            Updated::Refused(counter) => exceeded(&counter)
                .map(CounterDecision::Refused)
                .ok_or(StoreError::Corrupt("a counter refused, but its attributes allow the send")),
        }
    }

    /// Removes buckets that a counter no longer needs. If this fails, the next send tries again.
    async fn clear_old_buckets(&self, scope: CounterScope, rule: Rule, counter: &Item, now_ms: u64) {
        let Some(expression) = bucket_counter::clear(rule, &read_numbers(counter), now_ms) else { return };
        let update = self.items.write(&scope.pk(rule)).plain_update(expression);
        if let Err(error) = self.items.update(update).await {
            tracing::warn!(%error, "old buckets of a counter could not be removed");
        }
    }
}
