//! `GET /gate`: how full each limit is for a phone and an IP address, and when each slot becomes free.

use super::state::{ApiError, AppState};
use crate::limit_usage::{LimitUsage, RuleUsage, UsedSlots};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use send_code::answer::Refused;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::limits::rules::Mode;
use shared::phone::number::PhoneNumber;
use shared::runtime::ip::ClientIp;
use shared::store::admission::LimitKind;
use shared::store::send_limits::SendLimits;

/// The route.
pub fn router(state: AppState) -> Router {
    Router::new().route("/gate", get(usage)).with_state(state)
}

#[derive(Deserialize)]
struct UsageQuery {
    phone_number: String,
    ip: String,
}

async fn usage(
    State(state): State<AppState>,
    query: Result<Query<UsageQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(query) = query.map_err(|_| {
        ApiError::request("phone_number and ip are required: /gate?phone_number=%2B14155550123&ip=203.0.113.7")
    })?;
    let phone = PhoneNumber::parse(&query.phone_number)
        .map_err(|error| ApiError::request(&format!("phone_number: {error}")))?;
    let ip = ClientIp::parse(&query.ip).map_err(|error| ApiError::request(&format!("ip: {error}")))?;
    let settings = &state.states()?.send_code.settings;
    let now_ms = state.clock.now_ms();
    let usage = LimitUsage::read(&state.table()?, &phone, &ip, &settings.limits, now_ms).await;
    let usage = usage.map_err(|error| ApiError::unavailable(&error))?;
    let refused = settings.policy.check(&phone).err().map(Refused::violation);
    Ok(Json(json!({
        "now_ms": now_ms,
        "phone_number": phone.as_str(),
        "ip": ip.canonical(),
        "range": phone.range().as_str(),
        "country": phone.region().map(|region| region.to_string()),
        "opted_out": usage.opted_out,
        "refused": refused,
        "limits": limits(&phone, &ip, &settings.limits, &usage),
    })))
}

/// Each limit with its mode, what it counts, and its rules.
fn limits(phone: &PhoneNumber, ip: &ClientIp, limits: &SendLimits, usage: &LimitUsage) -> Vec<Value> {
    let (range, ip) = (phone.range().as_str().to_owned(), ip.canonical());
    let country = phone.region().map(|region| region.to_string());
    let all = [
        (LimitKind::Phone, "PhoneLimit", phone.as_str(), "codes sent"),
        (LimitKind::Ip, "IpLimit", &ip, "unverified codes"),
        (LimitKind::Range, "RangeLimit", &range, "unverified codes"),
        (LimitKind::Country, "CountryLimit", country.as_deref().unwrap_or("no country"), "unverified codes"),
        (LimitKind::Total, "TotalLimit", "everybody", "codes sent"),
        (LimitKind::Check, "CheckLimit", phone.as_str(), "failed checks"),
    ];
    let limit = |(kind, parameter, subject, counts): (LimitKind, &str, &str, &str)| {
        let rules: Vec<_> = usage.rules.iter().filter(|rule| rule.kind == kind).map(rule).collect();
        json!({
            "name": kind.as_str(),
            "parameter": parameter,
            "subject": subject,
            "mode": mode(limits, kind),
            "counts": counts,
            "rules": rules,
        })
    };
    all.into_iter().map(limit).collect()
}

fn rule(usage: &RuleUsage) -> Value {
    let entry = |UsedSlots { count, until_ms }: &UsedSlots| json!({"until_ms": until_ms, "count": count});
    json!({
        "rule": usage.rule.to_string(),
        "limit": usage.rule.count(),
        "window_ms": usage.rule.window().as_ms(),
        "entries": usage.used.iter().map(entry).collect::<Vec<_>>(),
    })
}

fn mode(limits: &SendLimits, kind: LimitKind) -> &'static str {
    match kind {
        LimitKind::Phone => name(&limits.phone),
        LimitKind::Ip => name(&limits.ip),
        LimitKind::Range => name(&limits.range),
        LimitKind::Country => name(&limits.country),
        LimitKind::Total => name(&limits.total),
        LimitKind::Check => "enforce",
    }
}

const fn name<R>(limit: &Mode<R>) -> &'static str {
    match limit {
        Mode::Off => "off",
        Mode::Observe(_) => "observe",
        Mode::Enforce(_) => "enforce",
    }
}
