//! QueryResourcePackageInstances: the account's packages, valid or ended within the last year.

use indicia_domain::time::{DAY_MICROS, UnixMicros};
use indicia_store::package::{PackageFilter, PackageRow};
use serde_json::{Value, json};

use super::{COMMODITY_CODE, PACKAGE_TYPE, PRODUCT_CODE, UNIT};
use crate::api::call::Call;
use crate::api::protocol::ApiError;

const PAGE_SIZE_DEFAULT: i64 = 20;
const PAGE_SIZE_MAX: i64 = 300;
/// For how long an ended package is still listed (dossier 2.1).
const ENDED_SHOWN_MICROS: i64 = 365 * DAY_MICROS;

pub async fn query(call: &Call<'_>) -> Result<Value, ApiError> {
    let parameters = call.parameters;
    let page = parameters.page("PageNum", "PageSize", PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)?;
    let start = parameters.instant("ExpiryTimeStart")?.map(UnixMicros::from_timestamp);
    let end = parameters.instant("ExpiryTimeEnd")?.map(UnixMicros::from_timestamp);
    parameters.boolean("IncludePartner")?;
    if let (Some(start), Some(end)) = (start, end)
        && start > end
    {
        return Err(ApiError::invalid_parameter("ExpiryTimeEnd", "it is before ExpiryTimeStart"));
    }
    let shown_from = call.now.plus_micros(-ENDED_SHOWN_MICROS);
    let filter = PackageFilter {
        ends_from: Some(start.map_or(shown_from, |start| start.max(shown_from))),
        // The parameter's end is included; the store's is not.
        ends_before: end.map(|end| end.plus_micros(1)),
    };
    let mut packages = match parameters.text("ProductCode") {
        None | Some(PRODUCT_CODE) => call.api.store.packages(call.account_id, &filter).await?,
        // Of another product there is none, which is no error.
        Some(_) => Vec::new(),
    };
    packages.retain(|row| !row.package.refunded);
    let skipped = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let taken = usize::try_from(page.size).unwrap_or(usize::MAX);
    let instances: Vec<Value> =
        packages.iter().skip(skipped).take(taken).map(|row| instance(call, row)).collect();
    Ok(json!({
        "Page": page.number,
        "PageSize": page.size,
        "Total": packages.len(),
        "Data": {
            "HostId": call.api.settings.region,
            "PageNum": page.number.to_string(),
            "PageSize": page.size.to_string(),
            "TotalCount": packages.len().to_string(),
            "Instances": {"Instance": instances},
        },
    }))
}

/// The documented statuses are only these two; an emptied package stays Available with nothing remaining (dossier 2.1).
fn instance(call: &Call<'_>, row: &PackageRow) -> Value {
    let package = &row.package;
    let ended = call.now >= package.ends_at;
    json!({
        "InstanceId": package.instance_id,
        "PackageType": PACKAGE_TYPE,
        "CommodityCode": COMMODITY_CODE,
        "Region": call.api.settings.region,
        "TotalAmount": package.granted.to_string(),
        "TotalAmountUnit": UNIT,
        "RemainingAmount": package.usable_at(call.now).to_string(),
        "RemainingAmountUnit": UNIT,
        "EffectiveTime": package.starts_at.rfc3339_seconds(),
        "ExpiryTime": package.ends_at.rfc3339_seconds(),
        "Status": if ended { "Expired" } else { "Available" },
        "DeductType": "Absolute",
        "Remark": "邮件推送资源包",
        "ApplicableProducts": {"Product": [PRODUCT_CODE]},
    })
}
