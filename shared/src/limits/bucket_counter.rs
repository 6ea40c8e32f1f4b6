//! Counters: any number of admissions, or any amount of money, in sliding windows, in one small item.
//!
//! A counter cuts the window of each of its rules into four buckets. `n3600_494000` counts the admissions in bucket 494,000 of one-hour
//! windows, and `m3600_494000` what they cost.
//!
//! DynamoDB's conditions can't add. So whoever counts has read the item and adds up the other buckets of the window itself. DynamoDB then
//! checks that the bucket of now is below what the others leave of the limit, and that none of those has grown since. The limit is never
//! exceeded in any window, and the wait is the window's length plus at most one bucket.
//!
//! Only the window of a rule is part of what is stored. Its count may change on a live table, and versions with different counts share
//! a counter.
//!
//! An item this busy must stay out of transactions, where writes collide. Single writes queue.

use crate::limits::rules::Rule;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::hash::BuildHasher;

/// The number of buckets in a window. It moves by whole buckets, so one more counts.
const BUCKETS: u64 = 4;
/// The most old buckets that one update removes. An expression may have up to 4 KB, and a bucket's name has up to 22 characters.
const MOST_REMOVED: usize = 60;

/// What one rule counts of an admission, and how much it allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuleBound {
    pub(crate) rule: Rule,
    /// How much it counts.
    pub(crate) amount: u32,
    /// How much of the rule's count may be used; `None` if the rule only observes.
    pub(crate) most: Option<u64>,
}

/// One update of a counter: what it does, and on which condition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CounterUpdate {
    pub(crate) expression: String,
    /// Empty if it always holds.
    pub(crate) condition: String,
    /// What the placeholders of both stand for.
    pub(crate) values: BTreeMap<String, u64>,
}

/// The length of a bucket of windows of this length.
fn bucket_ms(window_ms: u64) -> u64 {
    (window_ms / BUCKETS).max(1)
}

fn bucket(rule: Rule, at_ms: u64) -> u64 {
    at_ms / bucket_ms(rule.window().as_ms())
}

/// The first bucket of the window that ends in `bucket`.
fn first_of_window(bucket: u64) -> u64 {
    bucket.saturating_sub(BUCKETS)
}

/// What the attributes of a rule's buckets begin with. Rules with the same window share them.
fn prefix(rule: Rule) -> String {
    format!("{}{}_", if rule.is_of_money() { 'm' } else { 'n' }, rule.window().as_seconds())
}

fn attribute(rule: Rule, bucket: u64) -> String {
    format!("{}{bucket}", prefix(rule))
}

/// Counts an admission at `now_ms`, if what has been counted since `counter` was read leaves room for it. What has been counted before
/// must leave some: see [`until_ms`]. An amount that is larger than what is left is still counted, so the last one may exceed a rule by
/// less than it costs.
pub(crate) fn admit(rules: &[RuleBound], counter: &HashMap<String, u64>, now_ms: u64) -> CounterUpdate {
    let (mut adds, mut conditions, mut values) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
    let mut expires_s = counter.get("expires_at").copied().unwrap_or_default();
    for (index, RuleBound { rule, amount, most }) in rules.iter().enumerate() {
        let now = bucket(*rule, now_ms);
        adds.insert(attribute(*rule, now), (format!(":amount{index}"), u64::from(*amount)));
        expires_s = expires_s.max((now_ms + 2 * rule.window().as_ms()) / 1000 + 3600);
        let Some(most) = most else { continue };
        let others: u64 = buckets(*rule, counter, now_ms).filter(|(bucket, _)| *bucket != now).map(|(_, n)| n).sum();
        // The next bucket, too: for a function whose clock is ahead, it may have begun.
        for bucket in first_of_window(now)..=now + 1 {
            let attribute = attribute(*rule, bucket);
            let read = counter.get(&attribute).copied().unwrap_or_default();
            let most = if bucket == now { most.saturating_sub(others + 1) } else { read };
            let value = format!(":most{index}x{}", now + 1 - bucket);
            conditions.push(format!("(attribute_not_exists({attribute}) OR {attribute} <= {value})"));
            values.insert(value, most);
        }
    }
    let mut expression = String::from("SET expires_at = :exp ADD ");
    for (index, (attribute, (value, amount))) in adds.into_iter().enumerate() {
        let _ = write!(expression, "{}{attribute} {value}", if index == 0 { "" } else { ", " });
        values.insert(value, amount);
    }
    for (index, attribute) in stale(counter, now_ms).into_iter().take(MOST_REMOVED).enumerate() {
        let _ = write!(expression, "{}{attribute}", if index == 0 { " REMOVE " } else { ", " });
    }
    values.insert(":exp".to_owned(), expires_s);
    CounterUpdate { expression, condition: conditions.join(" AND "), values }
}

/// Releases what rules counted at `at_ms`, exactly where it was counted; `None` if no window counts it any more at `now_ms`.
pub(crate) fn release(counted: &[(Rule, u32)], at_ms: u64, now_ms: u64) -> Option<CounterUpdate> {
    let still_counts = |rule: Rule| bucket(rule, at_ms) >= first_of_window(bucket(rule, now_ms));
    let amounts: BTreeMap<String, u64> = counted
        .iter()
        .filter(|(rule, _)| still_counts(*rule))
        .map(|(rule, amount)| (attribute(*rule, bucket(*rule, at_ms)), u64::from(*amount)))
        .collect();
    let (mut sets, mut conditions, mut values) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (index, (attribute, amount)) in amounts.into_iter().enumerate() {
        sets.push(format!("{attribute} = {attribute} - :amount{index}"));
        conditions.push(format!("{attribute} >= :amount{index}"));
        values.insert(format!(":amount{index}"), amount);
    }
    let expression = (!sets.is_empty()).then(|| format!("SET {}", sets.join(", ")))?;
    Some(CounterUpdate { expression, condition: conditions.join(" AND "), values })
}

/// When a counter of which a rule may use `most` allows the next admission; `None` if it does at `now_ms`.
pub(crate) fn until_ms(rule: Rule, most: u64, counter: &HashMap<String, u64>, now_ms: u64) -> Option<u64> {
    let used = used(rule, counter, now_ms);
    let mut left: u64 = used.iter().map(|(_, count)| count).sum();
    if left < most {
        return None;
    }
    // The oldest buckets leave the window first.
    let free = used.into_iter().find(|(_, count)| {
        left = left.saturating_sub(*count);
        left < most
    });
    free.map(|(until_ms, _)| until_ms)
}

/// What the counter still counts at `now_ms`, by bucket: until when, in milliseconds, and how much. More is allowed while their sum is
/// below the rule's count.
#[must_use]
pub fn used(rule: Rule, counter: &HashMap<String, u64, impl BuildHasher>, now_ms: u64) -> Vec<(u64, u64)> {
    let mut used: Vec<_> = buckets(rule, counter, now_ms)
        .filter(|(_, count)| *count > 0)
        .map(|(bucket, count)| ((bucket + BUCKETS + 1) * bucket_ms(rule.window().as_ms()), count))
        .collect();
    used.sort_unstable();
    used
}

/// A rule's buckets that count in the window which ends at `now_ms`, or later, and their counts.
fn buckets(
    rule: Rule,
    counter: &HashMap<String, u64, impl BuildHasher>,
    now_ms: u64,
) -> impl Iterator<Item = (u64, u64)> {
    let (prefix, first) = (prefix(rule), first_of_window(bucket(rule, now_ms)));
    let bucket = move |(name, count): (&String, &u64)| Some((name.strip_prefix(&prefix)?.parse().ok()?, *count));
    counter.iter().filter_map(bucket).filter(move |(bucket, _)| *bucket >= first)
}

/// The attributes of buckets in which no window begins any more, also of rules that are no longer set. The last one is kept, for functions
/// whose clock is behind.
fn stale(counter: &HashMap<String, u64>, now_ms: u64) -> BTreeSet<&str> {
    let is_stale = |name: &&str| {
        let rest = name.strip_prefix(['n', 'm']).and_then(|rest| rest.split_once('_'));
        let parsed =
            rest.and_then(|(seconds, bucket)| Some((seconds.parse::<u64>().ok()?, bucket.parse::<u64>().ok()?)));
        parsed.is_some_and(|(seconds, bucket)| {
            let now = now_ms / bucket_ms(seconds.saturating_mul(1000));
            bucket < first_of_window(now).saturating_sub(1)
        })
    };
    counter.keys().map(String::as_str).filter(is_stale).collect()
}
