//! How full the limits are: for people who look at them. Nothing is decided by what is read here.

use super::budgets::{Account, numbers};
use super::sends::{LimitedBy, SendLimits};
use super::{Item, StoreError, Table, read_log, text};
use crate::aws::reason;
use crate::budget;
use crate::ip::ClientIp;
use crate::limits::{Budget, Limit, Limits, Rule, SlidingLog};
use crate::phone_number::PhoneNumber;

/// How things stand for a phone and an IP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether the phone has opted out.
    pub opted_out: bool,
    /// Each rule that counts, in the order in which the limits are asked.
    pub rules: Vec<Filled>,
}

/// How full one rule is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Whose limit it belongs to.
    pub by: LimitedBy,
    /// The rule.
    pub rule: Rule,
    /// What it counts now.
    pub places: Vec<Places>,
}

/// Places taken, which get free at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
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
    ) -> Result<Standing, StoreError> {
        let pks = [("phone", phone.as_str()), ("ip", &ip.canonical()), ("range", phone.range().as_str())]
            .map(|(kind, of)| self.pk(kind, of));
        let [phone_item, ip_item, range_item] = self.read([&pks[0], &pks[1], &pks[2]]).await?;
        let mut rules = logged(LimitedBy::Phone, &limits.phone, &phone_item, now_ms);
        rules.extend(logged(LimitedBy::Ip, &limits.ip, &ip_item, now_ms));
        rules.extend(logged(LimitedBy::Range, &limits.range, &range_item, now_ms));
        let country = phone.region().map(|region| (LimitedBy::Country, Account::Country(region), &limits.country));
        for (by, account, limit) in country.into_iter().chain([(LimitedBy::Total, Account::Total, &limits.total)]) {
            for &rule in limit.counted().map_or(&[][..], Budget::rules) {
                let [counter] = self.read([&account.pk(rule)]).await?;
                let places = budget::places(rule, &numbers(&counter), now_ms).into_iter();
                let places = places.map(|(until_ms, count)| Places { count, until_ms }).collect();
                rules.push(Filled { by, rule, places });
            }
        }
        rules.extend(in_log(LimitedBy::Check, "f", &limits.check, &phone_item, now_ms));
        Ok(Standing { opted_out: phone_item.contains_key("opted_out"), rules })
    }

    /// Forgets a phone: what it was sent, its codes, its failed checks, its opt-out. What its sends count for its IPs, its range
    /// and its country stays.
    ///
    /// # Errors
    /// [`StoreError`] if the table can't be written.
    pub async fn forget(&self, phone: &PhoneNumber) -> Result<(), StoreError> {
        let key = text(&self.pk("phone", phone.as_str()));
        let delete = self.client.delete_item().table_name(&self.name).key("pk", key).send().await;
        delete.map(|_| ()).map_err(|error| StoreError::Unavailable(reason(&error)))
    }
}

fn logged(by: LimitedBy, limit: &Limit<Limits>, item: &Item, now_ms: u64) -> Vec<Filled> {
    limit.counted().map_or_else(Vec::new, |limits| in_log(by, "a", limits, item, now_ms))
}

fn in_log(by: LimitedBy, log: &'static str, limits: &Limits, item: &Item, now_ms: u64) -> Vec<Filled> {
    let log = read_log(item, SlidingLog::of(log, limits));
    let filled = |rule: &Rule| {
        let until = log.iter().filter(|at_ms| **at_ms > 0).map(|at_ms| at_ms.saturating_add(rule.window().as_ms()));
        let places = until.filter(|until_ms| *until_ms > now_ms).map(|until_ms| Places { count: 1, until_ms });
        Filled { by, rule: *rule, places: places.collect() }
    };
    limits.rules().iter().map(filled).collect()
}
