//! SenderStatisticsDetailByParam: what became of each recipient's mail.
//!
//! Newest first. Mail that still waits for delivery has no status in this API and is left out.

use indicia_domain::mail::State;
use indicia_domain::time::{DAY_MICROS, UnixMicros};
use indicia_smtp::address::Mailbox;
use indicia_store::message::{LogQuery, LogRow, LogToken};
use serde_json::{Value, json};

use crate::api::call::{Call, instant_of};
use crate::api::protocol::ApiError;
use crate::api::protocol::parameters::shown;
use crate::message::recipients::recipient;

const SPAN_DAYS_MAX: i64 = 30;
const LENGTH_MAX: i64 = 100;
/// Pages of the log read for one answer at most: where much mail waits, an answer may be short and still have a next page.
const PAGES_MAX: usize = 10;

pub async fn detail(call: &Call<'_>) -> Result<Value, ApiError> {
    let length = call.parameters.integer_in("Length", 1..=LENGTH_MAX, 20)?;
    let mut query = filters(call).await?;
    query.limit = length.saturating_mul(2);
    let wanted = usize::try_from(length).unwrap_or(usize::MAX);
    let mut kept: Vec<LogRow> = Vec::new();
    let mut next = None;
    for _ in 0..PAGES_MAX {
        let rows = call.api.store.mail_log(&query).await?;
        let is_last = (rows.len() as i64) < query.limit;
        for row in rows {
            next = Some(LogToken { message_id: row.message_id, number: row.number });
            if !matches!(row.state, State::Waiting | State::Cancelled) {
                kept.push(row);
            }
            if kept.len() == wanted {
                return Ok(answer(&kept, next));
            }
        }
        if is_last {
            return Ok(answer(&kept, None));
        }
        query.after = next;
    }
    Ok(answer(&kept, next))
}

async fn filters(call: &Call<'_>) -> Result<LogQuery, ApiError> {
    let parameters = call.parameters;
    let (from, before) = span(call).await?;
    let named = ["AccountName", "TagName", "ToAddress"].map(|name| parameters.text(name).is_some());
    if named.iter().filter(|given| **given).count() > 1 {
        return Err(ApiError::bad_request(
            "InvalidParameter",
            "Only one of AccountName, TagName and ToAddress can be specified at a time.",
            "Leave two of them out.",
        ));
    }
    for name in ["ConfigSetId", "IpPoolId"] {
        if parameters.text(name).is_some() {
            return Err(ApiError::unsupported_parameter(name, "this server has none of these yet"));
        }
    }
    let state = match parameters.integer("Status")? {
        None => None,
        Some(0) => Some(State::Delivered),
        Some(2) => Some(State::InvalidAddress),
        Some(3) => Some(State::Spam),
        Some(4) => Some(State::Failed),
        Some(other) => {
            return Err(ApiError::invalid_parameter("Status", format!("{other} is none of 0, 2, 3 and 4")));
        }
    };
    let address_key = parameters.text("ToAddress").map(|text| address("ToAddress", text)).transpose()?;
    Ok(LogQuery {
        from,
        before,
        state,
        mail_from: parameters.text("AccountName").map(str::to_owned),
        address_key: address_key.map(|mailbox| recipient(&mailbox).key()),
        tag: parameters.text("TagName").map(str::to_owned),
        after: parameters.text("NextStart").map(read_token).transpose()?,
        ..LogQuery::all(call.account_id, LENGTH_MAX)
    })
}

fn address(name: &str, text: &str) -> Result<Mailbox, ApiError> {
    Mailbox::parse(text)
        .map_err(|why| ApiError::invalid_parameter(name, format!("'{}' is no address: {why}", shown(text))))
}

/// The time asked for, in the account's zone: by default the last 30 days, until now. Days are counted on the
/// calendar, so that one with a change of clocks is neither more nor less than a day.
async fn span(call: &Call<'_>) -> Result<(UnixMicros, UnixMicros), ApiError> {
    const FORMAT: &str = "%Y-%m-%d %H:%M";
    const EXAMPLE: &str = "2021-04-29 00:00";
    let zone = call.zone().await?;
    let read = |name: &str| call.parameters.civil(name, FORMAT, EXAMPLE);
    let out_of_range = |name: &str| ApiError::invalid_parameter(name, "it is out of range");
    let (given_start, given_end) = (read("StartTime")?, read("EndTime")?);
    let end = given_end.unwrap_or(call.now.civil(&zone));
    let longest = jiff::Span::new().days(SPAN_DAYS_MAX);
    let earliest = end.checked_sub(longest).map_err(|_| out_of_range("EndTime"))?;
    let start = given_start.unwrap_or(earliest);
    if start > end {
        return Err(ApiError::invalid_parameter("EndTime", "it is before StartTime"));
    }
    if start < earliest {
        return Err(ApiError::invalid_parameter(
            "EndTime",
            format!("the time from StartTime is longer than {SPAN_DAYS_MAX} days"),
        ));
    }
    let from = instant_of(&zone, start).ok_or_else(|| out_of_range("StartTime"))?;
    let before = match given_end {
        Some(_) => instant_of(&zone, end).ok_or_else(|| out_of_range("EndTime"))?,
        // The end is excluded, and what is accepted while this is answered should be listed.
        None => call.now.plus_micros(DAY_MICROS),
    };
    Ok((from, before))
}

fn read_token(text: &str) -> Result<LogToken, ApiError> {
    let parsed = text.split_once('-').and_then(|(message_id, number)| {
        Some(LogToken { message_id: message_id.parse().ok()?, number: number.parse().ok()? })
    });
    parsed.ok_or_else(|| {
        ApiError::invalid_parameter("NextStart", format!("'{}' is not a token of this action", shown(text)))
    })
}

fn answer(rows: &[LogRow], next: Option<LogToken>) -> Value {
    let next = next.map_or(String::new(), |token| format!("{}-{}", token.message_id, token.number));
    json!({"NextStart": next, "data": {"mailDetail": rows.iter().map(detail_of).collect::<Vec<_>>()}})
}

fn detail_of(row: &LogRow) -> Value {
    json!({
        "AccountName": row.mail_from,
        "ToAddress": row.address,
        "Subject": row.subject,
        "Status": row.state as i64,
        "ErrorClassification": row.classification,
        "Message": row.reply,
        "LastUpdateTime": row.updated_at.rfc3339_minutes(),
        "UtcLastUpdateTime": row.updated_at.seconds().to_string(),
        "ConfigSetId": null,
        "ConfigSetName": null,
        "IpPoolId": null,
        "IpPoolName": null,
    })
}
