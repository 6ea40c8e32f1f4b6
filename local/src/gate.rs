//! The gate as it stands: how full each limit is for a phone and an IP, and when its places get free.

use crate::desk::{Desk, Wrong};
use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use send_code::answer::Refused;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::limits::rules::Mode;
use shared::phone::number::PhoneNumber;
use shared::runtime::backoff::Backoff;
use shared::runtime::ip::ClientIp;
use shared::store::admission::LimitKind;
use shared::store::items::Items;
use shared::store::limit_usage::{RuleUsage, UsedSlots};
use shared::store::send_limits::SendLimits;
use shared::store::table::Table;

/// The route.
pub fn router(desk: Desk) -> Router {
    Router::new().route("/gate", get(gate)).with_state(desk)
}

/// The table, past all faults: whoever breaks DynamoDB still wants to see what came of it.
///
/// # Errors
/// [`Wrong`] while the functions are starting.
pub fn table(desk: &Desk) -> Result<Table, Wrong> {
    let states = desk.functions.get().ok_or_else(|| Wrong::unavailable("the functions are still starting"))?;
    let Table { items, key } = &states.send_code.table;
    Ok(Table {
        items: Items { client: desk.dynamodb.clone(), backoff: Backoff::FOR_WRITES, ..items.clone() },
        key: key.clone(),
    })
}

#[derive(Deserialize)]
struct Asked {
    phone_number: String,
    ip: String,
}

async fn gate(
    State(desk): State<Desk>,
    asked: Result<Query<Asked>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, Wrong> {
    let Query(asked) =
        asked.map_err(|_| Wrong::request("both are needed: /gate?phone_number=%2B14155550123&ip=203.0.113.7"))?;
    let phone =
        PhoneNumber::parse(&asked.phone_number).map_err(|error| Wrong::request(&format!("phone_number: {error}")))?;
    let ip = ClientIp::parse(&asked.ip).map_err(|error| Wrong::request(&format!("ip: {error}")))?;
    let table = table(&desk)?;
    let states = desk.functions.get().ok_or_else(|| Wrong::unavailable("the functions are still starting"))?;
    let settings = &states.send_code.settings;
    let now_ms = desk.clock.now_ms();
    let standing =
        table.standing(&phone, &ip, &settings.limits, now_ms).await.map_err(|error| Wrong::unavailable(&error))?;

    let (range, ip) = (phone.range().as_str().to_owned(), ip.canonical());
    let country = phone.region().map(|region| region.to_string());
    let limits = [
        (LimitKind::Phone, "PhoneLimit", phone.as_str(), "codes sent"),
        (LimitKind::Ip, "IpLimit", &ip, "unverified codes"),
        (LimitKind::Range, "RangeLimit", &range, "unverified codes"),
        (LimitKind::Country, "CountryLimit", country.as_deref().unwrap_or("no country"), "unverified codes"),
        (LimitKind::Total, "TotalLimit", "everybody", "codes sent"),
        (LimitKind::Check, "CheckLimit", phone.as_str(), "failed checks"),
    ];
    let limits = limits.map(|(by, parameter, subject, counts)| {
        let rules: Vec<_> = standing.rules.iter().filter(|filled| filled.by == by).map(rule).collect();
        json!({
            "name": by.as_str(),
            "parameter": parameter,
            "subject": subject,
            "mode": mode(&settings.limits, by),
            "counts": counts,
            "rules": rules,
        })
    });
    let refused = settings.policy.check(&phone).err().map(Refused::violation);
    Ok(Json(json!({
        "now_ms": now_ms,
        "phone_number": phone.as_str(),
        "ip": ip,
        "range": range,
        "country": country,
        "opted_out": standing.opted_out,
        "refused": refused,
        "limits": limits,
    })))
}

fn rule(filled: &RuleUsage) -> Value {
    let entries =
        filled.places.iter().map(|UsedSlots { count, until_ms }| json!({"until_ms": until_ms, "count": count}));
    json!({
        "rule": filled.rule.to_string(),
        "limit": filled.rule.count(),
        "window_ms": filled.rule.window().as_ms(),
        "entries": entries.collect::<Vec<_>>(),
    })
}

fn mode(limits: &SendLimits, by: LimitKind) -> &'static str {
    match by {
        LimitKind::Phone => name(&limits.phone),
        LimitKind::Ip => name(&limits.ip),
        LimitKind::Range => name(&limits.range),
        LimitKind::Country => name(&limits.country),
        LimitKind::Total => name(&limits.total),
        LimitKind::Check => "enforce",
    }
}

const fn name<L>(limit: &Mode<L>) -> &'static str {
    match limit {
        Mode::Off => "off",
        Mode::Observe(_) => "observe",
        Mode::Enforce(_) => "enforce",
    }
}
