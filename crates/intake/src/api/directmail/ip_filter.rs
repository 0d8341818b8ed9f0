//! GetIpProtection, UpdateIpProtection, AddIpfilter, GetIpfilterList and DeleteIpfilterByEdmId: from where an account's
//! calls and mail may come (dossier 3).

use indicia_domain::ip_filter::{ENTRIES_MAX, IpRange};
use indicia_store::ip_filter::{IpFilter, IpFilterError};
use serde_json::{Value, json};

use super::actor;
use crate::api::call::Call;
use crate::api::protocol::ApiError;
use crate::api::protocol::parameters::shown;

pub async fn protection(call: &Call<'_>) -> Result<Value, ApiError> {
    let protection = call.api.store.ip_protection(call.account_id).await?;
    Ok(json!({"IpProtection": if protection.is_on { "1" } else { "0" }}))
}

pub async fn update_protection(call: &Call<'_>) -> Result<Value, ApiError> {
    let on = match call.parameters.required("IpProtection")? {
        "1" => true,
        "0" => false,
        other => {
            let why = format!("'{}' is neither 1 (on) nor 0 (off)", shown(other));
            return Err(ApiError::invalid_parameter("IpProtection", why));
        }
    };
    call.api.store.set_ip_protection(call.account_id, on, &actor(call)).await.map_err(refused)?;
    Ok(json!({}))
}

pub async fn add(call: &Call<'_>) -> Result<Value, ApiError> {
    let text = call.parameters.required("IpAddress")?;
    let range: IpRange = text.parse().map_err(|why| {
        ApiError::bad_request(
            "InvalidIP.Malformed",
            format!("The specified IpAddress '{}' is wrongly formed: {why}.", shown(text)),
            "Give an address (192.0.2.1), a range (192.0.2.1-192.0.2.9) or a block (192.0.2.0/24), IPv4 or IPv6.",
        )
    })?;
    let added = call.api.store.add_ip_filter(call.account_id, range, &actor(call)).await;
    Ok(json!({"IpFilterId": added.map_err(refused)?.to_string()}))
}

pub async fn list(call: &Call<'_>) -> Result<Value, ApiError> {
    let filters = call.api.store.ip_filters(call.account_id).await?;
    Ok(json!({
        "PageNumber": 1,
        "PageSize": ENTRIES_MAX,
        "TotalCount": filters.len(),
        "data": {"ipfilters": filters.iter().map(row).collect::<Vec<_>>()},
    }))
}

fn row(filter: &IpFilter) -> Value {
    json!({
        "Id": filter.filter_id.to_string(),
        "IpAddress": filter.range.to_string(),
        "CreateTime": filter.created_at.seconds().to_string(),
    })
}

pub async fn delete(call: &Call<'_>) -> Result<Value, ApiError> {
    let filter_id = call.id("Id")?;
    call.api.store.delete_ip_filter(call.account_id, filter_id, &actor(call)).await.map_err(refused)?;
    Ok(json!({}))
}

fn refused(error: IpFilterError) -> ApiError {
    match error {
        IpFilterError::Full => ApiError::bad_request(
            "IpfilterNumber.ExceedLimit",
            format!("The list has {ENTRIES_MAX} entries, which is the limit."),
            "Delete an entry, or replace several by a range or a block.",
        ),
        IpFilterError::Exists { range, filter_id } => ApiError::bad_request(
            "InvalidIP.Exist",
            format!("The list has {range} already, with the Id {filter_id}."),
            "Use the existing entry.",
        ),
        IpFilterError::NotFound(filter_id) => ApiError::not_found(
            "InvalidIP.NotFound",
            format!("The list has no entry with the Id {filter_id}."),
            "List the entries with GetIpfilterList.",
        ),
        IpFilterError::Empty => ApiError::bad_request(
            "IpProtection.EmptyList",
            "The list is empty: switched on, protection would lock every caller out, you included.",
            "Add your own addresses with AddIpfilter first.",
        ),
        IpFilterError::Last => ApiError::bad_request(
            "IpProtection.LastEntry",
            "It is the last entry and protection is on: without it every caller would be locked out, you included.",
            "Add another entry first, or switch protection off with UpdateIpProtection.",
        ),
        IpFilterError::NoAccount(account_id) => {
            tracing::error!(account_id, "an access key belongs to an account that does not exist");
            ApiError::internal()
        }
        IpFilterError::Store(error) => error.into(),
    }
}
