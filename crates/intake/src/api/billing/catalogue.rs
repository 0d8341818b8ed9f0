//! DescribeResourcePackageProduct and GetResourcePackagePrice: what is for sale, and for how much (R07).

use indicia_domain::ledger::price::Offer;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{self, MINUTE_MICROS, UnixMicros};
use serde_json::{Number, Value, json};

use super::{PACKAGE_NAME, PACKAGE_TYPE, PRODUCT_CODE};
use crate::api::call::Call;
use crate::api::protocol::ApiError;
use crate::api::protocol::parameters::shown;

/// How far ahead a package's validity may begin (dossier 1.5).
const EFFECTIVE_MONTHS_AHEAD_MAX: u32 = 6;
/// How long ago it may be and still count as now: the purchase in the store bears the same.
const EFFECTIVE_PAST_MICROS_MAX: i64 = 5 * MINUTE_MICROS;

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
        "OrderId": 0,
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

pub async fn price(call: &Call<'_>) -> Result<Value, ApiError> {
    let offer = wanted_offer(call)?;
    // A purchase leaves this to the store: a repeat under an idempotency key may come when the date has passed.
    if effective_date(call).await?.is_some_and(|at| at.0 < call.now.0 - EFFECTIVE_PAST_MICROS_MAX) {
        return Err(start_out_of_range());
    }
    match call.parameters.text("OrderType") {
        None | Some("BUY") => {}
        Some("RENEW" | "UPGRADE") => {
            return Err(not_applicable(
                "A package's validity is its own: it can be neither renewed nor upgraded.",
                "Buy another package; several run side by side.",
            ));
        }
        Some(other) => {
            return Err(ApiError::invalid_parameter("OrderType", format!("'{}' is not BUY", shown(other))));
        }
    }
    Ok(json!({"Data": {
        "Currency": call.api.settings.currency,
        "OriginalPrice": amount(offer.price),
        "DiscountPrice": amount(MoneyMicros::ZERO),
        "TradePrice": amount(offer.price),
        "Promotions": {"Promotion": []},
    }}))
}

/// The offer that ProductCode, PackageType, Specification, Duration and PricingCycle name together.
pub fn wanted_offer(call: &Call<'_>) -> Result<Offer, ApiError> {
    let (parameters, prices) = (call.parameters, &call.api.settings.prices);
    product_code(call)?;
    let package_type = parameters.required("PackageType")?;
    if package_type != PACKAGE_TYPE {
        return Err(not_applicable(
            format!(
                "The PackageType '{}' is not offered; this product's is {PACKAGE_TYPE}.",
                shown(package_type)
            ),
            "Use the PackageType.Code that DescribeResourcePackageProduct lists.",
        ));
    }
    let text = parameters.required("Specification")?;
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let offer =
        text.parse().ok().filter(|_| digits).and_then(|mails| prices.offer(mails)).ok_or_else(|| {
            let offered: Vec<String> = prices.offers().iter().map(|offer| offer.mails.to_string()).collect();
            not_applicable(
                format!(
                    "The Specification '{}' is not offered; there are {}.",
                    shown(text),
                    offered.join(", ")
                ),
                "Use a Specification.Value that DescribeResourcePackageProduct lists.",
            )
        })?;
    check_duration(call, i64::from(prices.validity_months()))?;
    Ok(offer)
}

fn check_duration(call: &Call<'_>, months: i64) -> Result<(), ApiError> {
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
    if at > time::validity_end(&call.zone().await?, call.now, EFFECTIVE_MONTHS_AHEAD_MAX) {
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

pub fn not_applicable(message: impl Into<String>, recommend: &'static str) -> ApiError {
    ApiError::business("NotApplicable", message, recommend)
}

/// An amount as a JSON number, written from its exact decimal digits.
fn amount(money: MoneyMicros) -> Value {
    money.to_string().parse::<Number>().map_or(Value::Null, Value::Number)
}
