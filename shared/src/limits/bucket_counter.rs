//! The counter of a rule of [`CounterRules`](crate::limits::rules::CounterRules): any number of admissions in a sliding window,
//! in one small item.
//!
//! DynamoDB's conditions allow no arithmetic, but they compare attributes. `c` counts the admissions so far, `d` is always `c` +
//! limit, and `q<k>` is the value of `d` when bucket *k* began. So "fewer than the limit since bucket *k* began" is `c < q<k>`.
//! The window has four buckets, and the condition covers all that began within it. The limit is never exceeded in any window, and
//! the wait is the window's length plus at most one bucket. The limit is part of `d` and `q`, so it must be part of the item's
//! key as well.
//!
//! An item this busy must stay out of transactions, where writes collide. Single writes queue.

use crate::limits::rules::Rule;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::hash::BuildHasher;

/// The number of buckets in a window.
const BUCKETS: u64 = 4;
/// The most old buckets that one admission removes: those of the two windows before its own.
const CLEARED: u64 = 8;

/// One update of a counter: what it sets, and on which condition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CounterUpdate {
    pub(crate) update: Clause,
    pub(crate) condition: Clause,
}

/// A DynamoDB expression and the numbers that its placeholders stand for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Clause {
    pub(crate) expression: String,
    pub(crate) values: BTreeMap<String, u64>,
}

impl Clause {
    fn new<const N: usize>(expression: String, values: [(&str, u64); N]) -> Self {
        Self { expression, values: values.map(|(name, value)| (name.to_owned(), value)).into() }
    }
}

fn bucket_ms(rule: Rule) -> u64 {
    (rule.window().as_ms() / BUCKETS).max(1)
}

fn bucket(rule: Rule, at_ms: u64) -> u64 {
    at_ms / bucket_ms(rule)
}

/// The first bucket of the window that ends in `bucket`.
fn first_of_window(bucket: u64) -> u64 {
    bucket.saturating_sub(BUCKETS)
}

/// Counts `amount` at `now_ms`, if the rule allows any more: one admission, or what it costs. What costs more than what is left is
/// still counted, so the last one may exceed the rule by less than it costs.
pub(crate) fn admit(rule: Rule, amount: u32, now_ms: u64) -> CounterUpdate {
    let now = bucket(rule, now_ms);
    let expires_s = (now_ms + 2 * rule.window().as_ms()) / 1000 + 3600;
    let mut expression = format!(
        "SET c = if_not_exists(c, :zero) + :amount, d = if_not_exists(d, :limit) + :amount, \
         q{now} = if_not_exists(q{now}, if_not_exists(d, :limit)), expires_at = :exp"
    );
    let first = first_of_window(now);
    for (index, old) in (first.saturating_sub(CLEARED)..first).enumerate() {
        let _ = write!(expression, "{}q{old}", if index == 0 { " REMOVE " } else { ", " });
    }
    // A comparison with a missing attribute is false, so a bucket without admissions refuses nothing. Future buckets are
    // included: for a function whose clock is ahead, or whose request was faster, they may have begun.
    let refuses: Vec<_> = (first..=now + BUCKETS).map(|bucket| format!("c >= q{bucket}")).collect();
    let values = [(":zero", 0), (":amount", amount.into()), (":limit", u64::from(rule.count())), (":exp", expires_s)];
    CounterUpdate {
        update: Clause::new(expression, values),
        condition: Clause::new(format!("NOT ({})", refuses.join(" OR ")), []),
    }
}

/// Releases `amount` that was counted at `at_ms`. Windows that begin later never counted it, and still don't. Exact as long as
/// the clocks agree on the bucket.
pub(crate) fn release(rule: Rule, amount: u32, at_ms: u64, now_ms: u64) -> CounterUpdate {
    let (then, now) = (bucket(rule, at_ms), bucket(rule, now_ms));
    let mut expression = "SET c = c - :amount, d = d - :amount".to_owned();
    for later in (then + 1).max(first_of_window(now))..=now {
        // Without an admission since it began, a bucket's `q` would be the present `d`.
        let _ = write!(expression, ", q{later} = if_not_exists(q{later}, d) - :amount");
    }
    CounterUpdate {
        update: Clause::new(expression, [(":amount", amount.into())]),
        condition: Clause::new("c >= :amount".to_owned(), []),
    }
}

/// An update that removes the buckets of a counter in which no window begins any more; `None` if there are none. An admission
/// removes the latest itself, but after a long pause older ones would never be removed.
pub(crate) fn clear(rule: Rule, counter: &HashMap<String, u64>, now_ms: u64) -> Option<String> {
    let oldest = first_of_window(bucket(rule, now_ms)).saturating_sub(CLEARED);
    let is_stale = |name: &&String| {
        let bucket = name.strip_prefix('q').and_then(|bucket| bucket.parse::<u64>().ok());
        bucket.is_some_and(|bucket| bucket < oldest)
    };
    // An expression may have up to 4 KB, and a bucket's name has about ten characters.
    let stale: Vec<_> = counter.keys().filter(is_stale).take(100).map(String::as_str).collect();
    (!stale.is_empty()).then(|| format!("REMOVE {}", stale.join(", ")))
}

/// When a counter that refused at `now_ms` allows the next admission; `None` if its attributes refuse nothing.
pub(crate) fn until_ms(rule: Rule, counter: &HashMap<String, u64>, now_ms: u64) -> Option<u64> {
    let now = bucket(rule, now_ms);
    let count = counter.get("c")?;
    let newest = (first_of_window(now)..=now + BUCKETS)
        .rev()
        .find(|bucket| counter.get(&format!("q{bucket}")).is_some_and(|most| count >= most))?;
    // It refuses as long as windows begin in it or before it.
    Some((newest + BUCKETS + 1) * bucket_ms(rule))
}

/// The admissions that the counter still counts at `now_ms`, by bucket: until when, in milliseconds, and how many. One more is
/// allowed while their sum is below the rule's count.
#[must_use]
pub fn used(rule: Rule, counter: &HashMap<String, u64, impl BuildHasher>, now_ms: u64) -> Vec<(u64, u64)> {
    let first = first_of_window(bucket(rule, now_ms));
    let begun = |(name, most): (&String, &u64)| Some((name.strip_prefix('q')?.parse::<u64>().ok()?, *most));
    let begun: BTreeMap<u64, u64> = counter.iter().filter_map(begun).filter(|(bucket, _)| *bucket >= first).collect();
    // A release begins buckets that had no admission, with too high a `q`. What a later bucket says holds for them too.
    let mut end = counter.get("d").copied().unwrap_or_default();
    let mut buckets = Vec::new();
    for (bucket, most) in begun.into_iter().rev() {
        let count = end.saturating_sub(most);
        if count > 0 {
            buckets.push(((bucket + BUCKETS + 1) * bucket_ms(rule), count));
            end = most;
        }
    }
    buckets.reverse();
    buckets
}
