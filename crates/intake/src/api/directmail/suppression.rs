//! CreateUserSuppression, ListUserSuppression, RemoveUserSuppression, GetSuppressionListLevel and
//! SetSuppressionListLevel: what an account's owner does with its own invalid-address library (dossier 8.3).

use indicia_domain::mail::suppression::SuppressionLevel;
use indicia_domain::time::{DAY_MICROS, SECOND_MICROS, UnixMicros};
use indicia_smtp::address::{Domain, Mailbox};
use indicia_store::suppression::{Suppression, SuppressionQuery};
use serde_json::{Value, json};

use super::actor;
use crate::api::call::Call;
use crate::api::protocol::parameters::shown;
use crate::api::protocol::{ApiError, Parameters};
use crate::message::recipients::recipient;

/// How much time a query for entries or hits may span (dossier 4.1).
const SPAN_DAYS_MAX: i64 = 7;
const PAGE_SIZE_MAX: i64 = 100;
/// Entries that one call removes (ours).
const IDS_MAX: usize = 500;
const KEY_WORD_CHARS_MAX: usize = 320;

pub async fn create(call: &Call<'_>) -> Result<Value, ApiError> {
    let text = call.parameters.required("Address")?;
    let (address, key) = read_address(text).map_err(|why| {
        ApiError::bad_request(
            "InvalidAddress.Malformed",
            format!("The specified Address '{}' is wrongly formed: {why}.", shown(text)),
            "Give an address such as someone@example.net, or a domain such as example.net.",
        )
    })?;
    let suppression_id = call.api.store.suppress(call.account_id, &address, &key).await?;
    Ok(json!({"SuppressionId": suppression_id.to_string()}))
}

/// An address or a domain, in its normal form, and the key under which it is kept.
fn read_address(text: &str) -> Result<(String, String), String> {
    let text = text.trim();
    if text.contains('@') {
        let mailbox = Mailbox::parse(text).map_err(|why| why.to_string())?;
        return match mailbox.domain() {
            Domain::Name(_) => Ok((mailbox.to_string(), recipient(&mailbox).key())),
            Domain::Literal(_) => {
                Err("mail is sent to domain names only, not to address literals".to_owned())
            }
        };
    }
    match Domain::parse(text).map_err(|why| why.to_string())? {
        Domain::Name(name) => Ok((name.clone(), format!("@{name}"))),
        Domain::Literal(_) => Err("it is neither an address nor the name of a domain".to_owned()),
    }
}

pub async fn list(call: &Call<'_>) -> Result<Value, ApiError> {
    let parameters = call.parameters;
    let part = parameters.text("Address").map(str::to_owned);
    if part.as_ref().is_some_and(|part| part.chars().count() > KEY_WORD_CHARS_MAX) {
        let why = format!("it has more than {KEY_WORD_CHARS_MAX} characters");
        return Err(ApiError::invalid_parameter("Address", why));
    }
    let created = span(parameters, "StartCreateTime", "EndCreateTime")?;
    let hit = span(parameters, "StartBounceTime", "EndBounceTime")?;
    let page = parameters.page("PageNo", "PageSize", 10, PAGE_SIZE_MAX)?;
    let query = SuppressionQuery {
        account_id: call.account_id,
        address_part: part,
        created,
        hit,
        offset: page.offset(),
        limit: page.size,
    };
    let (entries, total) = call.api.store.suppressions(&query).await?;
    Ok(json!({
        "Data": {"UserSuppressions": entries.iter().map(entry).collect::<Vec<_>>()},
        "PageNumber": page.number,
        "PageSize": page.size,
        "TotalCount": total,
    }))
}

fn entry(entry: &Suppression) -> Value {
    json!({
        "SuppressionId": entry.suppression_id,
        "Address": entry.address,
        "Type": if entry.entered_by_owner { "user" } else { "system" },
        "CreateTime": entry.created_at.seconds(),
        "LastBounceTime": entry.last_hit_at.map(UnixMicros::seconds),
    })
}

/// The instants between two parameters in epoch seconds, both included. With one of them alone, as far from it as
/// a span may reach; with neither, always.
fn span(
    parameters: &Parameters,
    start_name: &str,
    end_name: &str,
) -> Result<Option<(UnixMicros, UnixMicros)>, ApiError> {
    let (start, end) = (epoch_second(parameters, start_name)?, epoch_second(parameters, end_name)?);
    let longest = SPAN_DAYS_MAX * DAY_MICROS;
    let (from, until) = match (start, end) {
        (None, None) => return Ok(None),
        (Some(start), None) => (start, start.plus_micros(longest)),
        (None, Some(end)) => (end.plus_micros(-longest), end),
        (Some(start), Some(end)) => (start, end),
    };
    if until < from {
        return Err(ApiError::invalid_parameter(end_name, format!("it is before {start_name}")));
    }
    if until.0 - from.0 > longest {
        let why = format!("the time from {start_name} is longer than {SPAN_DAYS_MAX} days");
        return Err(ApiError::invalid_parameter(end_name, why));
    }
    Ok(Some((from, until.plus_micros(SECOND_MICROS))))
}

/// A parameter in epoch seconds.
pub(super) fn epoch_second(parameters: &Parameters, name: &str) -> Result<Option<UnixMicros>, ApiError> {
    /// 9999-12-31T23:59:59Z.
    const SECONDS_MAX: i64 = 253_402_300_799;
    match parameters.integer(name)? {
        None => Ok(None),
        Some(seconds) if (0..=SECONDS_MAX).contains(&seconds) => {
            Ok(Some(UnixMicros(seconds * SECOND_MICROS)))
        }
        Some(seconds) => {
            Err(ApiError::invalid_parameter(name, format!("{seconds} is no time in epoch seconds")))
        }
    }
}

pub async fn remove(call: &Call<'_>) -> Result<Value, ApiError> {
    let text = call.parameters.required("SuppressionIds")?;
    let ids = read_ids(text).map_err(|why| ApiError::invalid_parameter("SuppressionIds", why))?;
    let unknown = call.api.store.unsuppress(call.account_id, &ids).await?;
    if unknown.is_empty() {
        return Ok(json!({}));
    }
    let unknown: Vec<String> = unknown.iter().take(10).map(i64::to_string).collect();
    Err(ApiError::not_found(
        "InvalidSuppressionId.NotFound",
        format!(
            "The account has no suppression with the SuppressionId {}; nothing was removed.",
            unknown.join(", ")
        ),
        "List the entries with ListUserSuppression.",
    ))
}

fn read_ids(text: &str) -> Result<Vec<i64>, String> {
    let mut ids = Vec::new();
    for part in text.split(',') {
        let part = part.trim();
        let is_plain = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        match part.parse::<i64>() {
            Ok(id) if is_plain && id > 0 => ids.push(id),
            _ => return Err(format!("'{}' is not the number of an entry", shown(part))),
        }
        if ids.len() > IDS_MAX {
            return Err(format!("it has more than {IDS_MAX} numbers"));
        }
    }
    Ok(ids)
}

pub async fn level(call: &Call<'_>) -> Result<Value, ApiError> {
    let level = call.api.store.suppression_level(call.account_id).await?;
    Ok(json!({"SuppressionListLevel": level.unwrap_or_default().as_str()}))
}

pub async fn set_level(call: &Call<'_>) -> Result<Value, ApiError> {
    let text = call.parameters.required("SuppressionListLevel")?;
    let level: SuppressionLevel = text.parse().map_err(|why| {
        ApiError::invalid_parameter("SuppressionListLevel", format!("of '{}', {why}", shown(text)))
    })?;
    call.api.store.set_suppression_level(call.account_id, level, &actor(call)).await?;
    Ok(json!({"SuppressionListLevel": level.as_str()}))
}
