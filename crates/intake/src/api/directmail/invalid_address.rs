//! QueryInvalidAddress and DeleteInvalidAddress: the account's own invalid-address library (dossier 8.3).

use indicia_domain::time::{DAY_MICROS, UnixMicros};
use indicia_smtp::address::Mailbox;
use indicia_store::invalid::InvalidQuery;
use jiff::civil::Date;
use serde_json::{Value, json};

use crate::api::call::{Call, instant_of};
use crate::api::protocol::ApiError;
use crate::api::protocol::parameters::shown;
use crate::message::recipients::recipient;

/// How far back, and over how many days, a query may reach (dossier 4.1).
const DAYS_MAX: i64 = 30;
const LENGTH_MAX: i64 = 100;

pub async fn query(call: &Call<'_>) -> Result<Value, ApiError> {
    let parameters = call.parameters;
    let (from, before) = span(call, parameters.day("StartTime")?, parameters.day("EndTime")?).await?;
    let limit = parameters.integer_in("Length", 1..=LENGTH_MAX, 20)?;
    let offset = match parameters.text("NextStart") {
        None | Some("*") => 0,
        Some(_) => parameters.integer_in("NextStart", 0..=i64::MAX, 0)?,
    };
    let query = InvalidQuery {
        account_id: call.account_id,
        from,
        before,
        key_word: parameters.text("KeyWord").map(str::to_owned),
        offset,
        limit,
    };
    let (rows, total) = call.api.store.invalid_addresses(&query).await?;
    let end = offset.saturating_add(rows.len() as i64);
    let details: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "ToAddress": row.address,
                "LastUpdateTime": row.last_at.rfc3339_minutes(),
                "UtcLastUpdateTime": row.last_at.seconds(),
            })
        })
        .collect();
    Ok(json!({
        "TotalCount": total,
        "NextStart": if end < total { end.to_string() } else { String::new() },
        "data": {"mailDetail": details},
    }))
}

/// The days asked for, in the account's zone: the end day is included; by default the last 30 days.
async fn span(
    call: &Call<'_>,
    start: Option<Date>,
    end: Option<Date>,
) -> Result<(UnixMicros, UnixMicros), ApiError> {
    let zone = call.zone().await?;
    let today = call.now.civil(&zone).date();
    let day = |date: Date, days: i64| date.checked_add(jiff::Span::new().days(days)).unwrap_or(date);
    let earliest = day(today, -DAYS_MAX);
    let end = end.unwrap_or(today);
    if end < earliest {
        return Err(ApiError::invalid_parameter(
            "EndTime",
            format!("{end} is more than {DAYS_MAX} days ago"),
        ));
    }
    let start = start.unwrap_or_else(|| day(end, -DAYS_MAX).max(earliest));
    if start > end {
        return Err(ApiError::invalid_parameter("EndTime", format!("{end} is before StartTime {start}")));
    }
    if start < earliest {
        return Err(ApiError::invalid_parameter(
            "StartTime",
            format!("{start} is more than {DAYS_MAX} days ago"),
        ));
    }
    if end > day(start, DAYS_MAX) {
        return Err(ApiError::invalid_parameter(
            "EndTime",
            format!("{start} to {end} is more than {DAYS_MAX} days"),
        ));
    }
    let midnight = |date: Date| instant_of(&zone, date.to_datetime(jiff::civil::Time::midnight()));
    let from =
        midnight(start).ok_or_else(|| ApiError::invalid_parameter("StartTime", "it is out of range"))?;
    let before = midnight(day(end, 1)).unwrap_or(from.plus_micros(DAY_MICROS));
    Ok((from, before))
}

pub async fn delete(call: &Call<'_>) -> Result<Value, ApiError> {
    let text = call.parameters.required("ToAddress")?;
    let mailbox = Mailbox::parse(text).map_err(|why| {
        ApiError::bad_request(
            "InvalidToAddress",
            format!("The specified toAddress '{}' is wrongly formed: {why}.", shown(text)),
            "Give one address as QueryInvalidAddress lists it.",
        )
    })?;
    if call.api.store.delete_invalid_address(call.account_id, &recipient(&mailbox).key()).await? {
        return Ok(json!({}));
    }
    Err(ApiError::not_found(
        "InvalidAddress.NotFound",
        format!("The address {mailbox} is not in the account's invalid-address library."),
        "List the library with QueryInvalidAddress.",
    ))
}
