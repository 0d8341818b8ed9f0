//! QueryInStationMessages and MarkInStationMessagesRead: the console's inbox (R14, R15). The original has no API for
//! it; these two are ours, in its manner.

use indicia_store::notice::StationMessage;
use serde_json::{Value, json};

use super::filter::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, not_a_token};
use crate::api::call::Call;
use crate::api::protocol::ApiError;
use crate::api::protocol::parameters::shown;

/// Messages that one call can mark.
const MARKED_MAX: usize = 300;

pub async fn query(call: &Call<'_>) -> Result<Value, ApiError> {
    let parameters = call.parameters;
    let size = parameters.integer_in("PageSize", 1..=PAGE_SIZE_MAX, PAGE_SIZE_DEFAULT)?;
    let only_unread = parameters.boolean("OnlyUnread")?.unwrap_or(false);
    let after = parameters.text("NextToken").map(read_token).transpose()?;
    let store = &call.api.store;
    let mut messages = store.station_messages(call.account_id, only_unread, after, size + 1).await?;
    let rows = usize::try_from(size).unwrap_or(usize::MAX);
    let more = messages.len() > rows;
    messages.truncate(rows);
    let next = messages.last().filter(|_| more).map(|message| message.message_id.to_string());
    let unread = store.unread_messages(call.account_id).await?;
    let messages: Vec<Value> = messages.iter().map(message).collect();
    Ok(json!({"Data": {
        "TotalUnread": unread,
        "NextToken": next,
        "Messages": {"Message": messages},
    }}))
}

pub async fn mark_read(call: &Call<'_>) -> Result<Value, ApiError> {
    let parameters = call.parameters;
    let all = parameters.boolean("All")?.unwrap_or(false);
    let ids = match (parameters.text("MessageIds"), all) {
        (Some(_), true) => {
            return Err(ApiError::invalid_parameter("All", "MessageIds says which; give one of the two"));
        }
        (None, false) => return Err(ApiError::missing_parameter("MessageIds")),
        (None, true) => Vec::new(),
        (Some(text), false) => message_ids(text)?,
    };
    let marked = call.api.store.mark_read(call.account_id, &ids).await?;
    let unread = call.api.store.unread_messages(call.account_id).await?;
    Ok(json!({"Data": {"Marked": marked, "TotalUnread": unread}}))
}

fn message_ids(text: &str) -> Result<Vec<i64>, ApiError> {
    let ids: Option<Vec<i64>> =
        text.split(',').map(|id| id.trim().parse().ok().filter(|id| *id > 0)).collect();
    match ids {
        Some(ids) if ids.len() <= MARKED_MAX => Ok(ids),
        Some(ids) => Err(ApiError::invalid_parameter(
            "MessageIds",
            format!("{} ids; at most {MARKED_MAX} a call, or All=true", ids.len()),
        )),
        None => Err(ApiError::invalid_parameter(
            "MessageIds",
            format!("'{}' is not a list of MessageIds with commas between them", shown(text)),
        )),
    }
}

fn message(message: &StationMessage) -> Value {
    json!({
        "MessageId": message.message_id.to_string(),
        "Kind": message.kind,
        "Subject": message.subject,
        "Content": message.body,
        "CreateTime": message.at.rfc3339_seconds(),
        "ReadTime": message.read_at.map(|at| at.rfc3339_seconds()),
        "IsRead": message.read_at.is_some(),
    })
}

fn read_token(text: &str) -> Result<i64, ApiError> {
    text.parse().ok().filter(|id| *id > 0).ok_or_else(|| not_a_token("NextToken", text))
}
