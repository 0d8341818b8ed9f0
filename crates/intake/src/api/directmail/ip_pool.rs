//! The pools of dedicated IP addresses: DedicatedIpPoolCreate, DedicatedIpPoolUpdate, DedicatedIpPoolDelete,
//! DedicatedIpPoolList; and the pool that a mail names.

use indicia_store::dedicated_ip::{IpPool, PoolError};
use serde_json::{Value, json};

use super::dedicated_ip::{cut, id_in, no_such_id, resource_ids, short_entry};
use crate::api::call::Call;
use crate::api::protocol::ApiError;
use crate::api::protocol::parameters::{Page, shown};

const PAGE_SIZE_MAX: i64 = 100;
const NAME_CHARS_MAX: usize = 50;

pub async fn create(call: &Call<'_>) -> Result<Value, ApiError> {
    let name = call.parameters.required("Name")?;
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.len() > NAME_CHARS_MAX || !name.bytes().all(is_letter) {
        return Err(ApiError::bad_request(
            "InvalidIpPoolName.Malformed",
            format!("The specified Name '{}' is wrongly formed.", shown(name)),
            "Give 1 to 50 letters, digits, '_' or '-'.",
        ));
    }
    let ids = resource_ids(call)?;
    let pool_id = call.api.store.create_ip_pool(call.account_id, name, &ids).await.map_err(not_changed)?;
    Ok(json!({"Id": pool_id.to_string()}))
}

/// Replaces the pool's addresses. Without `UpdateResource` nothing is changed: the name cannot be.
pub async fn update(call: &Call<'_>) -> Result<Value, ApiError> {
    let pool_id = existing(call, call.parameters.required("Id")?).await?;
    if call.parameters.boolean("UpdateResource")?.unwrap_or(false) {
        let ids = resource_ids(call)?;
        call.api.store.update_ip_pool(call.account_id, pool_id, &ids).await.map_err(not_changed)?;
    }
    Ok(json!({"Id": pool_id.to_string()}))
}

pub async fn delete(call: &Call<'_>) -> Result<Value, ApiError> {
    let id = call.parameters.required("Id")?;
    let pool_id = id_in(id).ok_or_else(|| no_such_pool(id))?;
    call.api.store.delete_ip_pool(call.account_id, pool_id).await.map_err(not_changed)?;
    Ok(json!({}))
}

pub async fn list(call: &Call<'_>) -> Result<Value, ApiError> {
    let parameters = call.parameters;
    let asked = parameters.page("PageIndex", "PageSize", 10, PAGE_SIZE_MAX)?;
    let all = parameters.boolean("All")?.unwrap_or(false);
    let word = parameters.text("Keyword").unwrap_or_default();
    let id = parameters.text("PoolId");
    let mut pools = call.api.store.ip_pools(call.account_id).await?;
    pools.retain(|pool| pool.name.contains(word) && id.is_none_or(|id| pool.pool_id.to_string() == id));
    let page = if all { Page { number: 1, size: i64::MAX } } else { asked };
    let (total, has_more, pools) = cut(pools, page);
    let size = if all { total.to_string() } else { page.size.to_string() };
    Ok(json!({
        "IpPools": pools.iter().map(entry).collect::<Vec<_>>(),
        "CurrentPage": page.number.to_string(),
        "PageSize": size,
        "TotalCounts": total,
        "HasMore": has_more,
    }))
}

fn entry(pool: &IpPool) -> Value {
    json!({
        "Id": pool.pool_id.to_string(),
        "Name": pool.name,
        "CreateTime": pool.created_at.rfc3339_seconds(),
        "IpCount": pool.ips.len(),
        "Ips": pool.ips.iter().map(short_entry).collect::<Vec<_>>(),
    })
}

/// The pool that a mail names in `IpPoolId`, if any.
pub async fn of_mail(call: &Call<'_>) -> Result<Option<i64>, ApiError> {
    match call.parameters.text("IpPoolId") {
        None => Ok(None),
        Some(id) => existing(call, id).await.map(Some),
    }
}

async fn existing(call: &Call<'_>, id: &str) -> Result<i64, ApiError> {
    let pool_id = id_in(id).ok_or_else(|| no_such_pool(id))?;
    match call.api.store.has_ip_pool(call.account_id, pool_id).await? {
        true => Ok(pool_id),
        false => Err(no_such_pool(id)),
    }
}

fn not_changed(error: PoolError) -> ApiError {
    match error {
        PoolError::NotFound(pool_id) => no_such_pool(&pool_id.to_string()),
        PoolError::NoIp(ip_id) => no_such_id(&ip_id.to_string()),
        PoolError::NameTaken(name) => ApiError::bad_request(
            "InvalidIpPoolName.Exist",
            format!("The account already has an IP pool named {name}."),
            "Use another name; DedicatedIpPoolList lists the pools.",
        ),
        PoolError::TooMany(most) => ApiError::bad_request(
            "IpPoolNumber.ExceedLimit",
            format!("An account may have {most} IP pools at most."),
            "Delete a pool that is no longer used.",
        ),
        PoolError::InAnotherPool { address, pool } => ApiError::bad_request(
            "InvalidDedicatedIp.InPool",
            format!(
                "The dedicated IP address {address} is in the pool {pool}; an address is in one pool at most."
            ),
            "Take it out of that pool first (DedicatedIpPoolUpdate).",
        ),
        PoolError::Store(error) => error.into(),
    }
}

fn no_such_pool(id: &str) -> ApiError {
    ApiError::not_found(
        "InvalidIpPool.NotFound",
        format!("The account has no IP pool with the id '{}'.", shown(id)),
        "List the account's pools with DedicatedIpPoolList.",
    )
}
