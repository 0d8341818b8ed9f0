//! DescribeResourcePackageProduct and QueryProductList: what is for sale (R07); and what a call may name of it.

use indicia_domain::ledger::price::Offer;
use indicia_domain::time::{self, UnixMicros};
use serde_json::{Value, json};

use super::filter::{self, SubscriptionType};
use super::{PACKAGE_NAME, PACKAGE_TYPE, PAY_AS_YOU_GO_NAME, PRODUCT_CODE};
use crate::api::call::Call;
use crate::api::protocol::ApiError;
use crate::api::protocol::parameters::shown;

/// How far ahead a package's validity may begin (dossier 1.5).
const EFFECTIVE_MONTHS_AHEAD_MAX: u32 = 6;

/// DescribeResourcePackageProduct
pub async fn describe(call: &Call<'_>) -> Result<Value, ApiError> {
    product_code(call)?;
    let prices = &call.api.settings.prices;
    let months = prices.validity_months();
    let duration = json!({"Name": format!("{months} Month"), "Unit": "Month", "Value": months});
    let specifications: Vec<Value> = prices
        .offers()
        .iter()
        .map(|offer| {
            json!({
                "Name": format!("{} mails", offer.mails),
                "Value": offer.mails.to_string(),
                "AvailableDurations": {"AvailableDuration": [duration]},
            })
        })
        .collect();
    Ok(json!({
        // Nothing is ordered by looking.
        "OrderId": null,
        "Data": {"ResourcePackages": {"ResourcePackage": [{
            "Name": PACKAGE_NAME,
            "ProductCode": PRODUCT_CODE,
            "ProductType": PRODUCT_CODE,
            "PackageTypes": {"PackageType": [{
                "Code": PACKAGE_TYPE,
                "Name": PACKAGE_NAME,
                "Properties": {"Property": [{"Name": "region", "Value": call.api.settings.region}]},
                "Specifications": {"Specification": specifications},
            }]},
        }]}},
    }))
}

/// QueryProductList
pub async fn products(call: &Call<'_>) -> Result<Value, ApiError> {
    let page = filter::page(call)?;
    let counted = call.parameters.boolean("QueryTotalCount")?.unwrap_or(false);
    let products =
        [(PAY_AS_YOU_GO_NAME, SubscriptionType::PayAsYouGo), (PACKAGE_NAME, SubscriptionType::Subscription)];
    let rows: Vec<Value> = filter::rows_of(&products, page)
        .iter()
        .map(|(name, subscription_type)| {
            json!({
                "ProductCode": PRODUCT_CODE,
                "ProductName": name,
                "ProductType": PRODUCT_CODE,
                "SubscriptionType": subscription_type.as_str(),
            })
        })
        .collect();
    Ok(json!({"Data": {
        "PageNum": page.number,
        "PageSize": page.size,
        "TotalCount": counted.then_some(products.len()),
        "ProductList": {"Product": rows},
    }}))
}

/// The offer that ProductCode, PackageType, Specification, Duration and PricingCycle name together.
pub fn wanted_offer(call: &Call<'_>) -> Result<Offer, ApiError> {
    product_code(call)?;
    let package_type = call.parameters.required("PackageType")?;
    if package_type != PACKAGE_TYPE {
        return Err(not_applicable(
            format!(
                "The PackageType '{}' is not offered; this product's is {PACKAGE_TYPE}.",
                shown(package_type)
            ),
            "Use the PackageType.Code that DescribeResourcePackageProduct lists.",
        ));
    }
    let offer = specification(call)?;
    duration(call)?;
    Ok(offer)
}

/// The offer that Specification names.
pub fn specification(call: &Call<'_>) -> Result<Offer, ApiError> {
    let prices = &call.api.settings.prices;
    let text = call.parameters.required("Specification")?;
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).and_then(|mails| prices.offer(mails)).ok_or_else(|| {
        let offered: Vec<String> = prices.offers().iter().map(|offer| offer.mails.to_string()).collect();
        not_applicable(
            format!("The Specification '{}' is not offered; there are {}.", shown(text), offered.join(", ")),
            "Use a Specification.Value that DescribeResourcePackageProduct lists.",
        )
    })
}

/// Duration and PricingCycle: only the one validity that is on offer (R08).
pub fn duration(call: &Call<'_>) -> Result<(), ApiError> {
    let months = i64::from(call.api.settings.prices.validity_months());
    let duration = call.parameters.required_integer("Duration")?;
    let wanted = match call.parameters.text("PricingCycle") {
        None | Some("Month") => duration,
        Some("Year") => duration.saturating_mul(12),
        Some(other) => {
            return Err(ApiError::invalid_parameter(
                "PricingCycle",
                format!("'{}' is neither Month nor Year", shown(other)),
            ));
        }
    };
    if wanted == months {
        return Ok(());
    }
    Err(not_applicable(
        format!("A Duration of {wanted} months is not offered; packages are valid for {months}."),
        "Use the AvailableDuration that DescribeResourcePackageProduct lists.",
    ))
}

/// When validity begins, if the caller names it.
pub async fn effective_date(call: &Call<'_>) -> Result<Option<UnixMicros>, ApiError> {
    let Some(at) = call.parameters.instant("EffectiveDate")?.map(UnixMicros::from_timestamp) else {
        return Ok(None);
    };
    if at >= time::validity_end(&call.zone().await?, call.now, EFFECTIVE_MONTHS_AHEAD_MAX) {
        return Err(start_out_of_range());
    }
    Ok(Some(at))
}

pub fn start_out_of_range() -> ApiError {
    ApiError::invalid_parameter("EffectiveDate", "validity can begin from now to six months ahead")
}

pub fn product_code(call: &Call<'_>) -> Result<(), ApiError> {
    match call.parameters.required("ProductCode")? {
        PRODUCT_CODE => Ok(()),
        other => Err(not_applicable(
            format!("The product '{}' is not sold here; this server's is {PRODUCT_CODE}.", shown(other)),
            "Use the ProductCode dm.",
        )),
    }
}

/// ProductType, which may be left out or empty.
pub fn product_type(call: &Call<'_>) -> Result<(), ApiError> {
    match call.parameters.text("ProductType") {
        None | Some(PRODUCT_CODE) => Ok(()),
        Some(other) => Err(not_applicable(
            format!("There is no ProductType '{}' here; this server's is {PRODUCT_CODE}.", shown(other)),
            "Leave the ProductType empty.",
        )),
    }
}

pub fn not_applicable(message: impl Into<String>, recommend: &'static str) -> ApiError {
    ApiError::business("NotApplicable", message, recommend)
}
