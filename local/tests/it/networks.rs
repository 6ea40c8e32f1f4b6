//! What whoever owns a whole network of addresses can and can't do.

use crate::support::{Local, outcome, start};
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Numbers of many ranges, so that no other limit refuses.
fn phone(n: u32) -> String {
    format!("+1415{:03}{:04}", 300 + n / 8, 1000 * (n % 8) + 123)
}

async fn send(local: &Local, n: u32, ip: &str) -> &'static str {
    outcome(&local.invoke(json!({"phone_number": phone(n), "ip": ip})).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_customer_with_fresh_addresses_gets_the_places_of_one_network_even_all_at_once() {
    for (address, other) in [
        (&(|n: u32| format!("2001:db8:7:{n:x}::1")) as &(dyn Fn(u32) -> String + Sync), "2001:db8:8::1"),
        (&|n| format!("203.0.113.{n}"), "203.0.114.1"),
    ] {
        let local = Arc::new(start([]).await);
        let mut sends = JoinSet::new();
        for n in 1..=200 {
            let (local, ip) = (local.clone(), address(n));
            sends.spawn(async move { (n, send(&local, n, &ip).await) });
        }
        let outcomes = sends.join_all().await;
        let count = |outcome: &str| outcomes.iter().filter(|(_, each)| *each == outcome).count();
        assert_eq!((count("sent"), count("network_limit")), (60, 140), "{outcomes:?}");
        assert_eq!(local.texts().len(), 60);
        // Another network has its own places, and the refusals took none of the phone's.
        let refused = outcomes.iter().find(|(_, outcome)| *outcome == "network_limit").unwrap().0;
        assert_eq!(send(&local, refused, other).await, "sent");
    }
}

#[tokio::test]
async fn a_full_network_refuses_strangers_only() {
    let local = start([("NETWORK_LIMIT", "2/1d")]).await;
    assert_eq!(send(&local, 1, "203.0.113.1").await, "sent");
    let code = local.last_code();
    assert_eq!(local.check(&phone(1), &code).await, "approved");
    // The approval has released its place.
    for n in [2, 3] {
        assert_eq!(send(&local, n, "203.0.113.2").await, "sent");
    }
    local.clock.advance_seconds(60);
    let refused = local.invoke(json!({"phone_number": phone(4), "ip": "203.0.113.3"})).await.unwrap();
    let refused = serde_json::to_value(&refused).unwrap();
    assert_eq!((&refused["reason"], &refused["rule"]), (&json!("network_limit"), &json!("2/1d")));
    assert_eq!(send(&local, 1, "203.0.113.3").await, "sent", "a known number");
    let trusted = json!({"phone_number": phone(5), "ip": "203.0.113.3", "trusted": true});
    assert_eq!(outcome(&local.invoke(trusted).await), "sent", "a user for whom the app vouches");
    // Neither took a place: when the two unverified sends are over, two strangers get in, not one.
    local.clock.advance_seconds(30 * 3600);
    for (n, expected) in [(6, "sent"), (7, "sent"), (8, "network_limit")] {
        assert_eq!(send(&local, n, "203.0.113.4").await, expected);
    }
}

#[tokio::test]
async fn none_of_150_users_behind_one_address_is_refused_who_all_verify_and_every_second_of_whom_asks_again() {
    let local = start([]).await;
    let office = "203.0.113.7";
    // One every 20 seconds; "send again" after 31 seconds, and the code is typed 25 seconds after the last SMS.
    let mut events = vec![];
    for n in 0..150_u32 {
        let asks_again = n % 2 == 0;
        let (asked, again) = (u64::from(n) * 20, 31 * u64::from(asks_again));
        events.push((asked, n, "ask"));
        if asks_again {
            events.push((asked + again, n, "ask again"));
        }
        events.push((asked + again + 25, n, "type"));
    }
    events.sort_unstable();
    let (mut now, mut verifications) = (0, std::collections::BTreeMap::new());
    for (at, n, step) in events {
        local.clock.advance_seconds(at - now);
        now = at;
        if step == "type" {
            let typed = json!({"phone_number": phone(n), "verification": verifications[&n], "code": format!("{n:06}")});
            assert_eq!(local.check_event(typed).await.unwrap().status(), "approved", "{n}");
            continue;
        }
        let asked = json!({"phone_number": phone(n), "ip": office, "code": format!("{n:06}"),
            "verification": verifications.get(&n)});
        let answer = local.invoke(asked).await;
        assert_eq!(outcome(&answer), "sent", "{n}: {step}");
        verifications.insert(n, json!(answer.unwrap())["verification"].clone());
    }
}
