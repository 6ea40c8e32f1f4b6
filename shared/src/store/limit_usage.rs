//! How full the limits are: for people who look at them. Nothing is decided by what is read here.

use super::admission::LimitKind;
use super::counters::CounterScope;
use super::items::{Item, StoreError, read_log, read_numbers, text};
use super::send_limits::SendLimits;
use super::table::Table;
use crate::limits::bucket_counter;
use crate::limits::rules::{CounterRules, Mode, Rule, WindowRules};
use crate::limits::sliding_log::SlidingLog;
use crate::phone::number::PhoneNumber;
use crate::runtime::aws::reason;
use crate::runtime::ip::ClientIp;

/// How things stand for a phone and an IP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitUsage {
    /// Whether the phone has opted out.
    pub opted_out: bool,
    /// Each rule that counts, in the order in which the limits are asked.
    pub rules: Vec<RuleUsage>,
}

/// How full one rule is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleUsage {
    /// Whose limit it belongs to.
    pub by: LimitKind,
    /// The rule.
    pub rule: Rule,
    /// What it counts now.
    pub places: Vec<UsedSlots>,
}

/// Places taken, which get free at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedSlots {
    /// How many.
    pub count: u64,
    /// When, in milliseconds.
    pub until_ms: u64,
}

impl Table {
    /// Reads how full the limits are that a send to `phone` at the wish of `ip` would meet.
    ///
    /// # Errors
    /// [`StoreError`] if the table can't be read.
    pub async fn standing(
        &self,
        phone: &PhoneNumber,
        ip: &ClientIp,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<LimitUsage, StoreError> {
        let pks = [("phone", phone.as_str()), ("ip", &ip.canonical()), ("range", phone.range().as_str())]
            .map(|(kind, of)| self.pk(kind, of));
        let [phone_item, ip_item, range_item] = self.items.read([&pks[0], &pks[1], &pks[2]]).await?;
        let mut rules = logged(LimitKind::Phone, &limits.phone, &phone_item, now_ms);
        rules.extend(logged(LimitKind::Ip, &limits.ip, &ip_item, now_ms));
        rules.extend(logged(LimitKind::Range, &limits.range, &range_item, now_ms));
        let country = phone.region().map(|region| (LimitKind::Country, CounterScope::Country(region), &limits.country));
        for (by, account, limit) in country.into_iter().chain([(LimitKind::Total, CounterScope::Total, &limits.total)])
        {
            for &rule in limit.counted().map_or(&[][..], CounterRules::rules) {
                let [counter] = self.items.read([&account.pk(rule)]).await?;
                let places = bucket_counter::places(rule, &read_numbers(&counter), now_ms).into_iter();
                let places = places.map(|(until_ms, count)| UsedSlots { count, until_ms }).collect();
                rules.push(RuleUsage { by, rule, places });
            }
        }
        rules.extend(in_log(LimitKind::Check, "f", &limits.check, &phone_item, now_ms));
        Ok(LimitUsage { opted_out: phone_item.contains_key("opted_out"), rules })
    }

    /// Forgets a phone: what it was sent, its codes, its failed checks, its opt-out. What its sends count for its IPs, its range
    /// and its country stays.
    ///
    /// # Errors
    /// [`StoreError`] if the table can't be written.
    pub async fn forget(&self, phone: &PhoneNumber) -> Result<(), StoreError> {
        let key = text(&self.pk("phone", phone.as_str()));
        let delete = self.items.client.delete_item().table_name(&self.items.table_name).key("pk", key).send().await;
        delete.map(|_| ()).map_err(|error| StoreError::Unavailable(reason(&error)))
    }
}

fn logged(by: LimitKind, limit: &Mode<WindowRules>, item: &Item, now_ms: u64) -> Vec<RuleUsage> {
    limit.counted().map_or_else(Vec::new, |limits| in_log(by, "a", limits, item, now_ms))
}

fn in_log(by: LimitKind, log: &'static str, limits: &WindowRules, item: &Item, now_ms: u64) -> Vec<RuleUsage> {
    let log = read_log(item, SlidingLog::of(log, limits));
    let filled = |rule: &Rule| {
        let until = log.iter().filter(|at_ms| **at_ms > 0).map(|at_ms| at_ms.saturating_add(rule.window().as_ms()));
        let places = until.filter(|until_ms| *until_ms > now_ms).map(|until_ms| UsedSlots { count: 1, until_ms });
        RuleUsage { by, rule: *rule, places: places.collect() }
    };
    limits.rules().iter().map(filled).collect()
}
