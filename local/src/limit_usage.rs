//! How full the limits are, for people and tests that look at them. No decision depends on what is read here, so it is not part of
//! the deployed code: it reads the items as `docs/architecture.md` describes them.

use crate::aws::dynamodb::TableError;
use aws_sdk_dynamodb::types::AttributeValue;
use shared::limits::bucket_counter;
use shared::limits::rules::{Rule, WindowRules};
use shared::phone::number::PhoneNumber;
use shared::runtime::ip::ClientIp;
use shared::store::counters::{Counter, CounterLimit, CounterScope, counters_of_send};
use shared::store::lane::Lane;
use shared::store::send_limits::{LimitKind, SendLimits};
use shared::store::table::Table;
use shared::twilio::price::Dollars;
use std::collections::HashMap;

type Item = HashMap<String, AttributeValue>;

/// How full the limits are for one phone and one IP address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitUsage {
    /// Whether the phone has opted out.
    pub opted_out: bool,
    /// The lane of a send that the app does not vouch for.
    pub lane: Lane,
    /// Each rule that counts, in the order in which send-code checks the limits.
    pub rules: Vec<RuleUsage>,
}

/// The limit that a rule belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageKind {
    /// A limit of sends.
    Sends(LimitKind),
    /// The limit of failed checks that name no verification.
    Checks,
}

impl UsageKind {
    /// The limit's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sends(kind) => kind.as_str(),
            Self::Checks => "check_limit",
        }
    }
}

/// How full one rule is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleUsage {
    /// The limit that the rule belongs to.
    pub kind: UsageKind,
    /// The rule.
    pub rule: Rule,
    /// How much of its count the next send may use.
    pub most: u64,
    /// What it counts now.
    pub used: Vec<UsedSlots>,
}

/// Slots that become free at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedSlots {
    /// The number of slots.
    pub count: u64,
    /// When they become free, in milliseconds since the epoch.
    pub until_ms: u64,
}

impl LimitUsage {
    /// Reads how full the limits are that a send to `phone`, requested from `ip`, would meet.
    ///
    /// # Errors
    /// [`TableError`] if the table can't be read.
    pub async fn read(
        table: &Table,
        phone: &PhoneNumber,
        ip: &ClientIp,
        limits: &SendLimits,
        now_ms: u64,
    ) -> Result<Self, TableError> {
        let phone_item = item(table, &table.phone_pk(phone)).await?;
        let ip_item = item(table, &table.ip_pk(ip)).await?;
        let range_item = item(table, &table.range_pk(phone)).await?;
        let mut rules = Vec::new();
        for (kind, mode, item) in [
            (LimitKind::Phone, &limits.phone, &phone_item),
            (LimitKind::Ip, &limits.ip, &ip_item),
            (LimitKind::Range, &limits.range, &range_item),
        ] {
            rules.extend(
                mode.counted().into_iter().flat_map(|rules| of_log(UsageKind::Sends(kind), "a", rules, item, now_ms)),
            );
        }
        let lane = Lane::of(known_until_ms(&phone_item), streak(&phone_item), false, limits.known_for, now_ms);
        // Shown for a known number too, with the range: a new user at this address would meet it.
        let network = CounterScope::Network(table.network_mac(ip));
        let country = CounterScope::of_country(lane, phone.region());
        for counter in counters_of_send(Some(network), country, None, lane, Dollars::default(), limits) {
            rules.extend(of_counter(table, &counter, now_ms).await?);
        }
        rules.extend(of_log(UsageKind::Checks, "f", &limits.phone_check, &phone_item, now_ms));
        Ok(Self { opted_out: phone_item.contains_key("opted_out"), lane, rules })
    }
}

/// Deletes what the table has about a phone: its log of sends, its codes, its failed checks and its opt-out. What its sends count
/// for IP addresses, number range and country stays.
///
/// # Errors
/// [`TableError`] if the table can't be written.
pub async fn forget(table: &Table, phone: &PhoneNumber) -> Result<(), TableError> {
    let key = AttributeValue::S(table.phone_pk(phone));
    let deleted = table.items.client.delete_item().table_name(&table.items.table_name).key("pk", key).send().await;
    deleted.map(|_| ()).map_err(TableError::refused)
}

/// The item of this key as it is now; empty if it doesn't exist.
async fn item(table: &Table, pk: &str) -> Result<Item, TableError> {
    let key = AttributeValue::S(pk.to_owned());
    let read = table
        .items
        .client
        .get_item()
        .table_name(&table.items.table_name)
        .key("pk", key)
        .consistent_read(true)
        .send()
        .await;
    Ok(read.map_err(TableError::refused)?.item.unwrap_or_default())
}

/// The rules of a sliding log, which keeps the times of admissions in the attributes `{log}1`, `{log}2` and so on.
fn of_log(kind: UsageKind, log: &str, rules: &WindowRules, item: &Item, now_ms: u64) -> Vec<RuleUsage> {
    let numbers = numbers(item);
    let times: Vec<u64> =
        (1..=rules.slots()).filter_map(|slot| numbers.get(&format!("{log}{slot}")).copied()).collect();
    let usage = |rule: &Rule| {
        // An empty slot is 0.
        let until = times.iter().filter(|at_ms| **at_ms > 0).map(|at_ms| at_ms.saturating_add(rule.window().as_ms()));
        let used = until.filter(|until_ms| *until_ms > now_ms).map(|until_ms| UsedSlots { count: 1, until_ms });
        RuleUsage { kind, rule: *rule, most: rule.count().into(), used: used.collect() }
    };
    rules.rules().iter().map(usage).collect()
}

/// The rules of a counter.
async fn of_counter(table: &Table, counter: &Counter<'_>, now_ms: u64) -> Result<Vec<RuleUsage>, TableError> {
    let counts = numbers(&item(table, &counter.scope.pk()).await?);
    let usage = |limit: &CounterLimit<'_>, rule: Rule| {
        let used = bucket_counter::used(rule, &counts, now_ms).into_iter();
        let used = used.map(|(until_ms, count)| UsedSlots { count, until_ms }).collect();
        RuleUsage { kind: UsageKind::Sends(limit.by), rule, most: limit.most(rule), used }
    };
    let rules = counter.limits.iter().flat_map(|limit| limit.rules().map(|rule| usage(limit, rule)));
    Ok(rules.collect())
}

fn known_until_ms(phone: &Item) -> Option<u64> {
    numbers(phone).get("known_until").copied()
}

fn streak(phone: &Item) -> u64 {
    numbers(phone).get("streak").copied().unwrap_or_default()
}

fn numbers(item: &Item) -> HashMap<String, u64> {
    item.iter().filter_map(|(name, value)| Some((name.clone(), value.as_n().ok()?.parse().ok()?))).collect()
}
