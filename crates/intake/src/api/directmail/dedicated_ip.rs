//! The dedicated IP addresses of an account: DedicatedIpList, DedicatedIpNonePoolList, DedicatedIpAutoRenewal,
//! DedicatedIpChangeWarmupType, GetDedicatedIpWarmUpInfo, GetDedicatedIpWarmUpDetail.
//!
//! An operator assigns them (`indicia ip assign`); instance and address have one id. Days of warm-up (R24) are UTC's
//! and written as numbers, 20261122 for 2026-11-22.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use indicia_domain::mail::provider::Provider;
use indicia_domain::quota::warmup::{WarmupType, day_of};
use indicia_domain::time::civil_date;
use indicia_store::dedicated_ip::{DedicatedIp, IpError, Warmth};
use jiff::civil::{Date, date};
use serde_json::{Value, json};

use crate::api::call::Call;
use crate::api::protocol::ApiError;
use crate::api::protocol::parameters::{Page, shown};

const PAGE_SIZE_MAX: i64 = 100;
/// Ids in one call.
const IDS_MAX: usize = 100;
/// Days of one GetDedicatedIpWarmUpDetail, and how many it shows when none are named.
const DETAIL_DAYS_MAX: i64 = 366;
const DETAIL_DAYS: i64 = 30;

pub async fn list(call: &Call<'_>) -> Result<Value, ApiError> {
    let page = call.parameters.page("PageIndex", "PageSize", 10, PAGE_SIZE_MAX)?;
    let word = call.parameters.text("Keyword").unwrap_or_default();
    let mut ips = call.api.store.dedicated_ips(call.account_id).await?;
    ips.retain(|ip| ip.address.to_string().contains(word));
    let (total, has_more, ips) = cut(ips, page);
    Ok(json!({
        "Ips": ips.iter().map(entry).collect::<Vec<_>>(),
        "CurrentPage": page.number,
        "PageSize": page.size,
        "TotalCounts": total,
        "HasMore": has_more,
    }))
}

fn entry(ip: &DedicatedIp) -> Value {
    json!({
        "Id": ip.ip_id.to_string(),
        "InstanceId": ip.ip_id.to_string(),
        "Ip": ip.address.to_string(),
        "IpPoolName": ip.pool.as_ref().map_or("", |pool| pool.name.as_str()),
        "Status": if ip.is_running { "sold" } else { "expired" },
        "StartTime": ip.term.starts_at.rfc3339_seconds(),
        "ExpiredTime": ip.ends_at.rfc3339_seconds(),
        "WarmupType": ip.warmup_type.as_str(),
        "WarmupStatus": ip.warmth.as_str(),
        "ZoneId": "",
        "IpExt": {
            "AutoRenewal": ip.term.auto_renewal,
            "HasSendMail": ip.warmth != Warmth::Cold,
            "LastWarmUpTypeChangedTime": ip.warmup_changed_at.rfc3339_seconds(),
        },
    })
}

pub async fn list_without_pool(call: &Call<'_>) -> Result<Value, ApiError> {
    let ips = call.api.store.dedicated_ips(call.account_id).await?;
    let free: Vec<Value> = ips.iter().filter(|ip| ip.pool.is_none()).map(short_entry).collect();
    Ok(json!({"Ips": free}))
}

/// An address as pools list it.
pub(super) fn short_entry(ip: &DedicatedIp) -> Value {
    json!({"Id": ip.ip_id.to_string(), "Ip": ip.address.to_string(), "ZoneId": ""})
}

pub async fn auto_renewal(call: &Call<'_>) -> Result<Value, ApiError> {
    let wanted = call.parameters.required_boolean("AutoRenewal")?;
    call.parameters.required("BuyResourceIds")?;
    let ids = resource_ids(call)?;
    call.api.store.set_ip_auto_renewal(call.account_id, &ids, wanted).await.map_err(not_changed)?;
    Ok(json!({}))
}

pub async fn change_warmup_type(call: &Call<'_>) -> Result<Value, ApiError> {
    let id = call.parameters.required("Id")?;
    let name = call.parameters.required("WarmupType")?;
    let kind = WarmupType::parse(name).ok_or_else(|| {
        let why = format!("'{}' is neither sysCusStream nor cusSelfManager", shown(name));
        ApiError::invalid_parameter("WarmupType", why)
    })?;
    let ip_id = id_in(id).ok_or_else(|| no_such_id(id))?;
    call.api.store.set_ip_warmup_type(call.account_id, ip_id, kind).await.map_err(not_changed)?;
    Ok(json!({}))
}

pub async fn warm_up_info(call: &Call<'_>) -> Result<Value, ApiError> {
    let ip = named(call).await?;
    let states = call.api.store.warmups(call.account_id).await?;
    let finished: HashMap<Provider, bool> = states
        .iter()
        .filter(|state| state.ip_id == ip.ip_id)
        .map(|state| (state.provider, state.warmup.finished))
        .collect();
    let info: Vec<Value> = Provider::ALL
        .into_iter()
        .map(|provider| {
            let finished = finished.get(&provider).copied().unwrap_or(false);
            json!({"Esp": provider.as_str(), "Finished": finished})
        })
        .collect();
    Ok(json!({"Info": info}))
}

pub async fn warm_up_detail(call: &Call<'_>) -> Result<Value, ApiError> {
    let ip = named(call).await?;
    let provider = match call.parameters.text("Esp") {
        None => None,
        Some(name) => Some(Provider::parse(name).ok_or_else(|| unknown_provider(name))?),
    };
    let (from, to) = days(call)?;
    let store = &call.api.store;
    let days = store.ip_days(call.account_id, ip.ip_id, provider, from, to + 1).await?;
    let detail: Vec<Value> = days
        .iter()
        .map(|day| {
            json!({
                "DayMark": day_mark(day.day),
                "Esp": day.provider.as_str(),
                "SendCounts": day.counts.sent,
                "DeliverCounts": day.counts.delivered,
            })
        })
        .collect();
    Ok(json!({"Detail": detail}))
}

/// The days asked for, both included: by default the last thirty.
fn days(call: &Call<'_>) -> Result<(i64, i64), ApiError> {
    let to = day_parameter(call, "EndDayMark")?.unwrap_or_else(|| day_of(call.now));
    let from = day_parameter(call, "StartDayMark")?.unwrap_or(to - DETAIL_DAYS + 1);
    if from > to {
        return Err(ApiError::invalid_parameter("EndDayMark", "it is before StartDayMark"));
    }
    if to - from >= DETAIL_DAYS_MAX {
        let why = format!("it is more than {DETAIL_DAYS_MAX} days after StartDayMark");
        return Err(ApiError::invalid_parameter("EndDayMark", why));
    }
    Ok((from, to))
}

fn day_parameter(call: &Call<'_>, name: &str) -> Result<Option<i64>, ApiError> {
    let Some(mark) = call.parameters.integer(name)? else { return Ok(None) };
    let read = || {
        let part = |divisor: i64, modulus: i64| i8::try_from(mark / divisor % modulus).ok();
        let year = i16::try_from(mark / 10_000).ok()?;
        Date::new(year, part(100, 100)?, part(1, 100)?).ok()
    };
    let day = read().ok_or_else(|| {
        ApiError::invalid_parameter(name, format!("{mark} is no day; write 20261122 for 2026-11-22"))
    })?;
    Ok(Some(i64::from(day.duration_since(date(1970, 1, 1)).as_hours() as i32 / 24)))
}

fn day_mark(day: i64) -> i64 {
    let day = civil_date(day);
    i64::from(day.year()) * 10_000 + i64::from(day.month()) * 100 + i64::from(day.day())
}

/// The address that the call names.
async fn named(call: &Call<'_>) -> Result<DedicatedIp, ApiError> {
    let text = call.parameters.required("DedicatedIp")?;
    let address: IpAddr = text.parse().map_err(|_| {
        ApiError::invalid_parameter("DedicatedIp", format!("'{}' is not an IP address", shown(text)))
    })?;
    let ips = call.api.store.dedicated_ips(call.account_id).await?;
    ips.into_iter()
        .find(|ip| ip.address == address)
        .ok_or_else(|| no_such(format!("The account has no dedicated IP address {address}.")))
}

/// The ids in `BuyResourceIds`, separated by commas.
pub(super) fn resource_ids(call: &Call<'_>) -> Result<BTreeSet<i64>, ApiError> {
    let text = call.parameters.text("BuyResourceIds").unwrap_or_default();
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let ids =
        parts.map(|part| id_in(part).ok_or_else(|| no_such_id(part))).collect::<Result<BTreeSet<_>, _>>()?;
    match ids.len() {
        too_many if too_many > IDS_MAX => {
            let why = format!("{too_many} ids; {IDS_MAX} are the most in one call");
            Err(ApiError::invalid_parameter("BuyResourceIds", why))
        }
        _ => Ok(ids),
    }
}

/// An id as this server writes it; anything else is the id of nothing.
pub(super) fn id_in(text: &str) -> Option<i64> {
    text.parse().ok().filter(|id| *id > 0)
}

/// One page of a list, the length of the list, and whether more follows.
pub(super) fn cut<T>(list: Vec<T>, page: Page) -> (usize, bool, Vec<T>) {
    let total = list.len();
    let skipped = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let taken = usize::try_from(page.size).unwrap_or(usize::MAX);
    let shown: Vec<T> = list.into_iter().skip(skipped).take(taken).collect();
    (total, skipped.saturating_add(shown.len()) < total, shown)
}

fn unknown_provider(name: &str) -> ApiError {
    let known: Vec<&str> = Provider::ALL.into_iter().map(Provider::as_str).collect();
    ApiError::invalid_parameter("Esp", format!("'{}' is none of {}", shown(name), known.join(", ")))
}

fn not_changed(error: IpError) -> ApiError {
    match error {
        IpError::NotFound(ip_id) => no_such_id(&ip_id.to_string()),
        IpError::Ended(address) => ApiError::bad_request(
            "InvalidDedicatedIp.Expired",
            format!("The term of the dedicated IP address {address} has ended, so it cannot be renewed."),
            "Ask the operator of this server to extend it.",
        ),
        IpError::Store(error) => error.into(),
    }
}

pub(super) fn no_such_id(id: &str) -> ApiError {
    no_such(format!("The account has no dedicated IP address with the Id '{}'.", shown(id)))
}

fn no_such(message: String) -> ApiError {
    ApiError::not_found(
        "InvalidDedicatedIp.NotFound",
        message,
        "List the account's addresses with DedicatedIpList.",
    )
}
