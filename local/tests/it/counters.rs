//! The limits of what many share: ranges, countries, the bill; and those that only observe.

use crate::support::{Local, outcome, start};
use serde_json::json;
use shared::limits::rules::{CounterRules, Mode};
use shared::store::counters::{Counter, CounterEntries, CounterLimit, CounterScope};
use shared::store::send_limits::{LimitKind, LimitReached};
use shared::twilio::price::Dollars;
use std::sync::Arc;
use tokio::task::JoinSet;

const PHONE: &str = "+14155550123";
const IP: &str = "203.0.113.7";

#[tokio::test]
async fn a_block_of_a_thousand_numbers_has_a_limit_whatever_the_ips() {
    let local = start([("RANGE_LIMIT", "3/1h")]).await;
    for n in 0..3 {
        assert_eq!(outcome(&local.send(&format!("+1415555010{n}"), &format!("198.51.100.{n}")).await), "sent");
    }
    let refused = local.send("+14155550199", "198.51.100.77").await.unwrap();
    let refused = refused.refused().unwrap().clone();
    assert_eq!(
        (refused.reason(), refused.rule.as_deref(), refused.retry_after),
        ("range_limit", Some("3/1h"), Some(3600))
    );
    assert_eq!(outcome(&local.send("+14155551199", "198.51.100.77").await), "sent", "the next block");
}

#[tokio::test]
async fn a_refusal_by_country_or_total_costs_the_others_nothing() {
    for (setting, reason) in [(("COUNTRY_LIMIT", "1/1h"), "country_limit"), (("TOTAL_LIMIT", "1/1h"), "total_limit")] {
        let local = start([setting, ("PHONE_LIMIT", "1/1h"), ("IP_LIMIT", "1/1h"), ("RANGE_LIMIT", "1/1h")]).await;
        assert_eq!(outcome(&local.send("+14155551100", "198.51.100.1").await), "sent");
        for _ in 0..5 {
            assert_eq!(outcome(&local.send(PHONE, IP).await), reason);
        }
        let answer = local.send(PHONE, IP).await.unwrap();
        let wait = answer.refused().unwrap().retry_after.unwrap();
        assert!((3600..=4500).contains(&wait), "the hour, and at most a quarter of it more: {wait}");
        local.clock.advance_seconds(wait - 1);
        assert_eq!(outcome(&local.send(PHONE, IP).await), reason);
        local.clock.advance_seconds(1);
        assert_eq!(outcome(&local.send(PHONE, IP).await), "sent", "none of its own limits was touched");
    }
}

#[tokio::test]
async fn one_country_can_be_full_while_another_is_not() {
    let local = start([("COUNTRY_LIMIT", "1/1h")]).await;
    assert_eq!(outcome(&local.send(PHONE, IP).await), "sent");
    assert_eq!(outcome(&local.send("+14155551100", "198.51.100.1").await), "country_limit");
    assert_eq!(outcome(&local.send("+14165550123", "198.51.100.1").await), "sent", "Canada");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_sends_to_one_country_at_once_all_go_and_count_exactly() {
    let local = Arc::new(
        start([
            ("COUNTRY_LIMIT", "200/1d"),
            ("TOTAL_LIMIT", "1000/1d"),
            ("RANGE_LIMIT", "off"),
            ("NETWORK_LIMIT", "off"),
            ("BLOCK_RECORD", "off"),
        ])
        .await,
    );
    let mut sends = JoinSet::new();
    for n in 0..260 {
        let local = local.clone();
        sends.spawn(async move {
            let event =
                json!({"phone_number": format!("+1415555{n:04}"), "ip": format!("198.51.{}.{}", n / 200, n % 200)});
            outcome(&local.invoke(event).await)
        });
    }
    let outcomes = sends.join_all().await;
    let count = |outcome: &str| outcomes.iter().filter(|each| **each == outcome).count();
    assert_eq!((count("sent"), count("country_limit")), (200, 60), "{outcomes:?}");
    assert_eq!(local.texts().len(), 200);
}

#[tokio::test]
async fn an_observed_limit_counts_and_refuses_nothing() {
    let observing = |limit: &'static str| format!("observe {limit}");
    let (phone, ip, range) = (observing("1/1h"), observing("1/1h"), observing("1/1h"));
    let settings = [
        ("PHONE_LIMIT", phone.as_str()),
        ("IP_LIMIT", &ip),
        ("RANGE_LIMIT", &range),
        ("NETWORK_LIMIT", "observe 1/1h"),
        ("COUNTRY_LIMIT", "observe 1/1h"),
        ("BLOCK_RECORD", "off"),
        ("TOTAL_LIMIT", "off"),
    ];
    let local = start(settings).await;
    for _ in 0..5 {
        assert_eq!(outcome(&local.send(PHONE, IP).await), "sent");
        local.clock.advance_seconds(1);
    }
    // What it would have refused is known, limit by limit.
    let (table, limits) = (&local.system.send_code.table, &local.system.send_code.settings.limits);
    let number = shared::phone::number::PhoneNumber::parse(PHONE).unwrap();
    let address = shared::runtime::ip::ClientIp::parse(IP).unwrap();
    let (key, code) = ("k".parse().unwrap(), "1234".parse().unwrap());
    let verification = table.start_verification(PHONE, local.clock.now_ms(), getrandom::fill).unwrap();
    let request = shared::store::admission::SendRequest {
        phone: &number,
        ip: &address,
        idempotency_key: &key,
        code: &code,
        verification: &verification,
        trusted: false,
        is_unassigned: false,
        price: Dollars::default(),
        fingerprint: "",
    };
    let now_ms = local.clock.now_ms();
    let shared::store::admission::Decision::Admitted(admission) = table.admit(request, limits, now_ms).await.unwrap()
    else {
        panic!()
    };
    let outlook = table.forecast(&admission, limits, now_ms).await.unwrap();
    let mut observed: Vec<_> =
        outlook.would_have_refused.iter().map(|(by, rule)| format!("{} {rule}", by.as_str())).collect();
    observed.sort();
    assert_eq!(
        observed,
        ["country_limit 1/1h", "ip_limit 1/1h", "network_limit 1/1h", "phone_limit 1/1h", "range_limit 1/1h"]
    );
    assert_eq!(outlook.next_send_ms, now_ms, "an observed limit makes nobody wait");
}

#[tokio::test]
async fn a_limit_that_is_off_counts_nothing_and_codes_are_checked_all_the_same() {
    let off = "off";
    let local = start([
        ("PHONE_LIMIT", off),
        ("IP_LIMIT", off),
        ("RANGE_LIMIT", off),
        ("NETWORK_LIMIT", off),
        ("COUNTRY_LIMIT", off),
        ("TOTAL_LIMIT", off),
    ])
    .await;
    let mut codes = vec![];
    for _ in 0..20 {
        codes.push(local.code(PHONE, IP).await);
        local.clock.advance_seconds(1);
    }
    assert_eq!(local.check(PHONE, &codes[0]).await, "approved", "the oldest of the twenty");
}

/// Numbers that look random and are the same in each run: a xorshift generator.
fn dice(seed: &mut u64, sides: u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed % sides
}

fn total(budget: &Mode<CounterRules>) -> Counter<'_> {
    Counter::new(CounterScope::Total, [CounterLimit::new(LimitKind::Total, budget, 1)]).unwrap()
}

/// Counts in a budget and gives back at random, beside a model that keeps every time.
async fn against_the_model(local: &Local, rule: &str, max_gap_ms: u64, seed: u64) {
    let budget: Mode<CounterRules> = rule.parse().unwrap();
    let rule = budget.counted().unwrap().rules()[0];
    let (window_ms, limit) = (rule.window().as_ms(), rule.count() as usize);
    let bucket_ms = window_ms / 4;
    let table = &local.system.send_code.table;
    let (mut seed, mut now_ms) = (seed, local.clock.now_ms());
    let mut counted: Vec<(u64, CounterEntries)> = vec![];
    for step in 0..400 {
        now_ms += dice(&mut seed, max_gap_ms);
        if dice(&mut seed, 4) == 0 && !counted.is_empty() {
            let which = usize::try_from(dice(&mut seed, counted.len() as u64)).unwrap();
            let (at_ms, spent) = counted.remove(which);
            table.release_counted(spent, at_ms, now_ms).await.unwrap();
            continue;
        }
        // What windows begin in: the bucket that holds the window's begin counts as a whole.
        let first_ms = (now_ms / bucket_ms - 4) * bucket_ms;
        let times: Vec<u64> = counted.iter().map(|(at_ms, _)| *at_ms).collect();
        let within = |from_ms: u64| times.iter().filter(|at_ms| **at_ms >= from_ms).count();
        let expected = within(first_ms) < limit;
        let mut spent = CounterEntries::default();
        let refused = table.count(&[total(&budget)], now_ms, &mut spent).await.unwrap();
        assert_eq!(refused.is_none(), expected, "step {step}: {} within the window", within(first_ms));
        match refused {
            None => counted.push((now_ms, spent)),
            Some(LimitReached { exceeded, .. }) => {
                assert!(exceeded.until_ms > now_ms && exceeded.until_ms <= now_ms + window_ms + bucket_ms);
                // Exactly then, if nothing is released in the meantime, the window holds fewer than the limit.
                let after_ms = (exceeded.until_ms / bucket_ms - 4) * bucket_ms;
                assert!(within(after_ms) < limit && within(after_ms - bucket_ms) >= limit, "step {step}");
            }
        }
        let in_window = counted.iter().filter(|(at_ms, _)| *at_ms + window_ms > now_ms).count();
        assert!(in_window <= limit, "step {step}: {in_window} in a window");
    }
}

#[tokio::test]
async fn a_counter_stays_small_however_seldom_anybody_comes() {
    let local =
        start([("TOTAL_LIMIT", "1000/1m"), ("PHONE_LIMIT", "off"), ("IP_LIMIT", "off"), ("RANGE_LIMIT", "off")]).await;
    for _ in 0..60 {
        assert_eq!(outcome(&local.send(PHONE, IP).await), "sent");
        local.clock.advance_seconds(5 * 60);
    }
    let table = &local.system.send_code.table;
    let key = aws_sdk_dynamodb::types::AttributeValue::S("total".to_owned());
    let counter = table
        .items
        .client
        .get_item()
        .table_name(&table.items.table_name)
        .key("pk", key)
        .send()
        .await
        .unwrap()
        .item
        .unwrap();
    assert!(counter.len() <= 18, "{:?}", counter.keys());
}

#[tokio::test]
async fn a_request_whose_clock_is_behind_gets_no_more_than_the_limit() {
    let local = start([]).await;
    let budget: Mode<CounterRules> = "5/1m".parse().unwrap();
    let table = &local.system.send_code.table;
    let spend = async |now_ms: u64| {
        table.count(&[total(&budget)], now_ms, &mut CounterEntries::default()).await.unwrap().is_none()
    };
    // A quarter of the window has just begun, but not for everybody.
    let begun_ms = local.clock.now_ms() / 15_000 * 15_000;
    let mut admitted = 0;
    for n in 0..6 {
        admitted += u32::from(spend(begun_ms + n).await);
    }
    for n in 0..6 {
        admitted += u32::from(spend(begun_ms - 1_500 + n).await);
    }
    assert_eq!(admitted, 5);
}

/// Whether the country has a place under this limit, which is then used.
async fn counts_in_country(local: &Local, limit: &str) -> bool {
    let limit: Mode<CounterRules> = limit.parse().unwrap();
    let scope = CounterScope::Country("US".parse().unwrap());
    let counter = Counter::new(scope, [CounterLimit::new(LimitKind::Country, &limit, 1)]).unwrap();
    let (table, now_ms) = (&local.system.send_code.table, local.clock.now_ms());
    table.count(&[counter], now_ms, &mut CounterEntries::default()).await.unwrap().is_none()
}

/// How many places the country has under this limit, all of which are then used.
async fn places(local: &Local, limit: &str) -> u32 {
    let mut places = 0;
    while counts_in_country(local, limit).await {
        places += 1;
    }
    places
}

#[tokio::test]
async fn a_counter_that_is_full_stays_full_when_its_limit_is_changed() {
    let local = start([]).await;
    assert_eq!(places(&local, "4/1h").await, 4);
    assert_eq!(places(&local, "2/1h").await, 0, "lowered");
    assert_eq!(places(&local, "6/1h").await, 2, "raised: what the old one counted is counted");
    assert!(counts_in_country(&local, "observe 5/1h").await, "observed: it counts on");
    assert_eq!(places(&local, "7/1h").await, 0, "enforced again");
    assert_eq!(places(&local, "7/1h, 100/1d").await, 0, "with another rule beside it");
    assert_eq!(places(&local, "7/1h").await, 0, "and without");
    local.clock.advance_seconds(75 * 60);
    assert_eq!(places(&local, "4/1h").await, 4, "once the window is over");
}

#[tokio::test]
async fn two_versions_with_different_limits_count_together() {
    let local = start([]).await;
    let (mut old, mut new) = (0, 0);
    for _ in 0..10 {
        old += u32::from(counts_in_country(&local, "4/1h").await);
        new += u32::from(counts_in_country(&local, "6/1h").await);
    }
    assert_eq!((old, new), (2, 4), "the old version stops at 4, the new one at 6, of all together");
}

#[tokio::test]
async fn a_release_takes_back_what_was_counted_and_nothing_else() {
    let local = start([("COUNTRY_LIMIT", "2/1h")]).await;
    let table = &local.system.send_code.table;
    for n in 0..2 {
        assert_eq!(outcome(&local.send(&format!("+1415555{n}100"), &format!("198.51.100.{n}")).await), "sent");
    }
    let scope = "US".parse().ok().map(CounterScope::Country);
    let now_ms = local.clock.now_ms();
    // A send that an earlier version counted by another window.
    let by_day = CounterEntries::of_scope(scope, "100/1d");
    assert!(table.release_counted(by_day, now_ms, now_ms).await.is_err());
    assert_eq!(outcome(&local.send(PHONE, IP).await), "country_limit");
    // And one that it counted by another count.
    let by_hour = CounterEntries::of_scope(scope, "100/1h");
    table.release_counted(by_hour, now_ms, now_ms).await.unwrap();
    assert_eq!(outcome(&local.send(PHONE, IP).await), "sent");
}

#[tokio::test]
async fn a_counter_is_never_exceeded_in_any_window_and_releases_exactly() {
    for (rule, max_gap_ms, seed) in
        [("5/1m", 20_000, 1), ("6/1m", 4_000, 2), ("7/2m", 90_000, 3), ("8/1m", 400_000, 4), ("50/1h", 100_000, 5)]
    {
        against_the_model(&start([]).await, rule, max_gap_ms, seed).await;
    }
}
