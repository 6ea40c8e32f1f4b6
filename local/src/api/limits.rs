//! `GET /gate`: how full each limit is for a phone and an IP address, and when each slot becomes free.

use super::state::{ApiError, AppState};
use crate::limit_usage::{LimitUsage, RuleUsage, UsageKind, UsedSlots};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Json, Router};
use send_code::answer::Refused;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::limits::block_record::BlockRecordMode;
use shared::limits::rules::Mode;
use shared::phone::number::PhoneNumber;
use shared::runtime::ip::ClientIp;
use shared::store::lane::Lane;
use shared::store::send_limits::LimitKind;
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
    let judgement = state.table()?.judge_block(&phone, &settings.limits, now_ms).await;
    let judgement = judgement.map_err(|error| ApiError::unavailable(&error))?;
    let refused = settings.policy.check(&phone).err().map(Refused::violation);
    Ok(Json(json!({
        "now_ms": now_ms,
        "phone_number": phone.as_str(),
        "ip": ip.canonical(),
        "range": phone.range().as_str(),
        "country": phone.region().map(|region| region.to_string()),
        "opted_out": usage.opted_out,
        "lane": usage.lane.as_str(),
        "refused": refused,
        "limits": limits(&phone, &ip, &settings.limits, &usage),
        "block_record": {
            "mode": settings.limits.block_record.as_str(),
            "applies": usage.lane == Lane::Stranger,
            "block": phone.block(),
            "sent": judgement.block.sent,
            "verified": judgement.block.verified,
            "expected": judgement.expected,
            "needed": judgement.needed,
            "load": judgement.load,
            "refuses": usage.lane == Lane::Stranger && settings.limits.block_record == BlockRecordMode::On && judgement.check().is_err(),
        },
    })))
}

/// Each limit with its mode, what it counts, and its rules.
fn limits(phone: &PhoneNumber, ip: &ClientIp, limits: &SendLimits, usage: &LimitUsage) -> Vec<Value> {
    let (range, network, ip) = (phone.range().as_str().to_owned(), ip.network(), ip.canonical());
    let country = phone.region().map(|region| region.to_string());
    let all = [
        (UsageKind::Sends(LimitKind::Phone), "PhoneLimit", phone.as_str(), "codes sent"),
        (UsageKind::Sends(LimitKind::Ip), "IpLimit", &ip, "unverified codes"),
        (UsageKind::Sends(LimitKind::Range), "RangeLimit", &range, "unverified codes"),
        (UsageKind::Sends(LimitKind::Network), "NetworkLimit", &network, "unverified codes"),
        (
            UsageKind::Sends(LimitKind::Country),
            "CountryLimit",
            country.as_deref().unwrap_or("no country"),
            "unverified codes",
        ),
        (UsageKind::Sends(LimitKind::Total), "TotalLimit", "everybody", "codes sent"),
        (UsageKind::Sends(LimitKind::Spend), "SpendLimit", "everybody", "hundredths of a cent"),
        (UsageKind::Checks, "PhoneCheckLimit", phone.as_str(), "failed checks"),
    ];
    let limit = |(kind, parameter, subject, counts): (UsageKind, &str, &str, &str)| {
        let rules: Vec<_> = usage.rules.iter().filter(|rule| rule.kind == kind).map(rule).collect();
        json!({
            "name": kind.as_str(),
            "parameter": parameter,
            "subject": subject,
            "mode": mode(limits, kind),
            "applies": applies(kind, usage.lane),
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
        "most": usage.most,
        "window_ms": usage.rule.window().as_ms(),
        "entries": usage.used.iter().map(entry).collect::<Vec<_>>(),
    })
}

/// Whether a limit can refuse the next send. Those of range and network count strangers only; failed checks refuse no send.
fn applies(kind: UsageKind, lane: Lane) -> bool {
    match kind {
        UsageKind::Sends(LimitKind::Range | LimitKind::Network) => lane == Lane::Stranger,
        UsageKind::Sends(_) => true,
        UsageKind::Checks => false,
    }
}

fn mode(limits: &SendLimits, kind: UsageKind) -> &'static str {
    match kind {
        UsageKind::Sends(LimitKind::Phone) => name(&limits.phone),
        UsageKind::Sends(LimitKind::Ip) => name(&limits.ip),
        UsageKind::Sends(LimitKind::Range) => name(&limits.range),
        UsageKind::Sends(LimitKind::Network) => name(&limits.network),
        UsageKind::Sends(LimitKind::Country) => name(&limits.country),
        UsageKind::Sends(LimitKind::Total) => name(&limits.total),
        UsageKind::Sends(LimitKind::Spend) => name(&limits.spend),
        UsageKind::Sends(LimitKind::BlockRecord | LimitKind::TextToVerify) | UsageKind::Checks => "enforce",
    }
}

const fn name<R>(limit: &Mode<R>) -> &'static str {
    match limit {
        Mode::Off => "off",
        Mode::Observe(_) => "observe",
        Mode::Enforce(_) => "enforce",
    }
}
