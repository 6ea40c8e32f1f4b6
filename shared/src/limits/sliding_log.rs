//! A sliding log: exact limits in one conditional write.
//!
//! An item keeps the times of its last *L* admissions, newest first, in attributes `a1 … aL`. A rule "n per W" holds when the
//! n-th newest admission is at least W old, so one log serves every rule, and one conditional write both decides and records.
//! DynamoDB evaluates all right-hand sides against the item as it was, so that write can shift the log. Slots count from the
//! newest, so a changed limit never changes what a slot means.

use super::rules::{Mode, WindowRules};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A log of admissions in the attributes `{name}1 … {name}{slots}` of an item.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlidingLog {
    pub(crate) name: &'static str,
    pub(crate) slots: u32,
}

impl SlidingLog {
    /// The smallest log that can decide these rules.
    pub(crate) fn of(name: &'static str, limits: &WindowRules) -> Self {
        Self { name, slots: limits.slots() }
    }

    /// The log for a limit, if it counts. An observed limit is evaluated after it has counted, so its log keeps one more admission.
    pub(crate) fn for_limit(name: &'static str, limit: &Mode<WindowRules>) -> Option<Self> {
        let one_more = u32::from(limit.observed().is_some());
        limit.counted().map(|limits| Self { name, slots: limits.slots() + one_more })
    }

    /// Records an admission at `now_ms`, on the condition that `limits` allow it.
    pub(crate) fn admit(self, limits: Option<&WindowRules>, now_ms: u64) -> Terms {
        let Self { name, slots } = self;
        let mut terms = Terms { set: shift_in(name, slots), ..Terms::default() };
        if slots > 1 {
            terms.values.insert(format!(":{name}z"), 0);
        }
        terms.values.insert(format!(":{name}new"), now_ms);
        let Terms { condition, values, .. } = self.allow(limits, now_ms);
        terms.condition = condition;
        terms.values.extend(values);
        terms
    }

    /// Only the condition that `limits` allow another admission at `now_ms`.
    pub(crate) fn allow(self, limits: Option<&WindowRules>, now_ms: u64) -> Terms {
        let Self { name, .. } = self;
        let mut terms = Terms::default();
        for (index, rule) in limits.iter().flat_map(|limits| limits.rules()).enumerate() {
            let and = if index == 0 { "" } else { " AND " };
            let slot = rule.count();
            let _ =
                write!(terms.condition, "{and}(attribute_not_exists({name}{slot}) OR {name}{slot} <= :{name}c{index})");
            terms.values.insert(format!(":{name}c{index}"), now_ms.saturating_sub(rule.window().as_ms()));
        }
        terms
    }

    /// Releases the admission of `at_ms` from slot `slot` (counted from 1); `None` if there is no such slot. The admission that
    /// it had shifted out was older than every window, so nothing is lost.
    pub(crate) fn release(self, slot: u32, at_ms: u64) -> Option<Terms> {
        let Self { name, slots } = self;
        Some(Terms {
            set: shift_out(name, slots, slot)?,
            condition: format!("{name}{slot} = :{name}at"),
            values: BTreeMap::from([(format!(":{name}at"), at_ms), (format!(":{name}z"), 0)]),
        })
    }
}

/// Assignments that move each slot one further and put `:{name}new` into the first; `:{name}z` is an empty slot.
pub(crate) fn shift_in(name: &str, slots: u32) -> String {
    let mut set = String::new();
    for slot in (2..=slots).rev() {
        let _ = write!(set, "{name}{slot} = if_not_exists({name}{}, :{name}z), ", slot - 1);
    }
    let _ = write!(set, "{name}1 = :{name}new");
    set
}

/// Assignments that remove one slot and move those after it one nearer; `None` if there is no such slot.
pub(crate) fn shift_out(name: &str, slots: u32, slot: u32) -> Option<String> {
    if !(1..=slots).contains(&slot) {
        return None;
    }
    let mut set = String::new();
    for slot in slot..slots {
        let _ = write!(set, "{name}{slot} = if_not_exists({name}{}, :{name}z), ", slot + 1);
    }
    let _ = write!(set, "{name}{slots} = :{name}z");
    Some(set)
}

/// Parts of a DynamoDB update: assignments for its `SET`, its condition, and the numbers that both refer to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) set: String,
    pub(crate) condition: String,
    pub(crate) values: BTreeMap<String, u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::rules::MAX_COUNT;

    #[test]
    fn the_largest_limit_stays_within_the_expression_limit_of_dynamodb() {
        let limits: WindowRules = format!("1/30s, 40/1h, {MAX_COUNT}/366d").parse().unwrap();
        let terms = SlidingLog::of("a", &limits).admit(Some(&limits), 1_800_000_000_000);
        // 4 KB an expression: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
        assert!(terms.set.len() + 200 < 4096, "{}", terms.set.len());
        assert!(terms.condition.len() + 200 < 4096);
        // One write unit is 1 KB: a slot is its name and a number of at most 13 digits (7 bytes and 1 more).
        let item_bytes = MAX_COUNT as usize * ("a80".len() + 8);
        assert!(item_bytes < 900, "{item_bytes}");
    }
}
