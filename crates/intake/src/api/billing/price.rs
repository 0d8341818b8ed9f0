//! GetResourcePackagePrice and GetPayAsYouGoPrice: what something would cost now.

use indicia_domain::ledger::bill;
use indicia_domain::ledger::change::{renewal_start, upgrade_price};
use indicia_domain::ledger::price::Offer;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{MINUTE_MICROS, UnixMicros};
use serde_json::{Value, json};

use super::UNIT;
use super::catalogue::{
    effective_date, not_applicable, product_code, product_type, start_out_of_range, wanted_offer,
};
use super::filter::{self, SubscriptionType};
use super::purchase::{
    already_renewed, check_renewal_start, check_upgrade_start, instance, not_renewable, not_upgradable,
};
use super::shape::number;
use crate::api::call::Call;
use crate::api::protocol::ApiError;
use crate::api::protocol::parameters::shown;

/// How long ago EffectiveDate may be and still count as now: the purchase in the store bears the same.
const EFFECTIVE_PAST_MICROS_MAX: i64 = 5 * MINUTE_MICROS;
/// Pricing modules that one call can name.
const MODULES_MAX: usize = 50;
/// Mails that a price can be asked for at a time.
const MAILS_MAX: i64 = 1_000_000_000_000;

/// GetResourcePackagePrice
pub async fn of_package(call: &Call<'_>) -> Result<Value, ApiError> {
    let offer = wanted_offer(call)?;
    let orders = ["BUY", "RENEW", "UPGRADE"];
    let price = match filter::one_of(call, "OrderType", &orders, |name| name)? {
        Some("RENEW") => renewal(call, offer).await?,
        Some("UPGRADE") => upgrade(call, offer).await?,
        _ => purchase(call, offer).await?,
    };
    Ok(json!({"Data": {
        "Currency": call.api.settings.currency,
        "OriginalPrice": number(price),
        "DiscountPrice": number(MoneyMicros::ZERO),
        "TradePrice": number(price),
        "Promotions": {"Promotion": []},
    }}))
}

async fn purchase(call: &Call<'_>, offer: Offer) -> Result<MoneyMicros, ApiError> {
    // A purchase leaves this to the store: a repeat under an idempotency key may come when the date has passed.
    if effective_date(call).await?.is_some_and(|at| at.0 < call.now.0 - EFFECTIVE_PAST_MICROS_MAX) {
        return Err(start_out_of_range());
    }
    Ok(offer.price)
}

async fn renewal(call: &Call<'_>, offer: Offer) -> Result<MoneyMicros, ApiError> {
    let row = instance(call).await?;
    renewal_start(&row.package, call.now).map_err(|why| not_renewable(&row.package.instance_id, &why))?;
    check_renewal_start(call, &row)?;
    if offer.mails != row.specification {
        return Err(not_applicable(
            format!(
                "A renewal buys the same specification again, {}, not {}.",
                row.specification, offer.mails
            ),
            "Name the package's own Specification, or BUY another package.",
        ));
    }
    already_renewed(call, &row).await?;
    Ok(offer.price)
}

async fn upgrade(call: &Call<'_>, offer: Offer) -> Result<MoneyMicros, ApiError> {
    let row = instance(call).await?;
    check_upgrade_start(call, &row)?;
    upgrade_price(&row.package, row.specification, row.price, offer, call.now)
        .map_err(|why| not_upgradable(call, &row.package.instance_id, &why))
}

/// GetPayAsYouGoPrice
pub async fn of_pay_as_you_go(call: &Call<'_>) -> Result<Value, ApiError> {
    product_code(call)?;
    product_type(call)?;
    let types = [SubscriptionType::PayAsYouGo, SubscriptionType::Subscription];
    call.parameters.required("SubscriptionType")?;
    if filter::one_of(call, "SubscriptionType", &types, SubscriptionType::as_str)? == Some(types[1]) {
        return Err(not_applicable(
            "This is the price of pay-as-you-go.",
            "Ask for a package's with GetResourcePackagePrice.",
        ));
    }
    let price = call.api.settings.prices.pay_as_you_go();
    let details: Vec<Value> = modules(call)?
        .into_iter()
        .map(|mails| {
            let cost = number(bill::amount(price, mails));
            json!({
                "ModuleCode": UNIT,
                "UnitPrice": number(price),
                "OriginalCost": cost,
                "InvoiceDiscount": number(MoneyMicros::ZERO),
                "CostAfterDiscount": cost,
            })
        })
        .collect();
    Ok(json!({"Data": {
        "Currency": call.api.settings.currency,
        "ModuleDetails": {"ModuleDetail": details},
        "PromotionDetails": {"PromotionDetail": []},
    }}))
}

/// The mails that each pricing module names: `ModuleList.N.{ModuleCode, PriceType, Config}` with N from 1.
fn modules(call: &Call<'_>) -> Result<Vec<i64>, ApiError> {
    let mut modules = Vec::new();
    for number in 1..=MODULES_MAX {
        let field = |name: &str| format!("ModuleList.{number}.{name}");
        let names = ["ModuleCode", "PriceType", "Config"];
        if number > 1 && names.iter().all(|name| call.parameters.text(&field(name)).is_none()) {
            return Ok(modules);
        }
        only(call, &field("ModuleCode"), UNIT)?;
        only(call, &field("PriceType"), "Usage")?;
        modules.push(mails(call, &field("Config"))?);
    }
    Ok(modules)
}

/// A parameter that can only have one value here.
fn only(call: &Call<'_>, name: &str, value: &str) -> Result<(), ApiError> {
    match call.parameters.required(name)? {
        given if given == value => Ok(()),
        other => Err(not_applicable(
            format!("{name} '{}' is not priced here; this product's is {value}.", shown(other)),
            "Name the module Mail with PriceType Usage and Config Mail:1000.",
        )),
    }
}

/// `Mail:1000`
fn mails(call: &Call<'_>, name: &str) -> Result<i64, ApiError> {
    let text = call.parameters.required(name)?;
    let digits = text.strip_prefix("Mail:").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).filter(|mails| (1..=MAILS_MAX).contains(mails)).ok_or_else(
        || {
            ApiError::invalid_parameter(
                name,
                format!("'{}' is not a number of mails such as Mail:1000", shown(text)),
            )
        },
    )
}

/// Whether an EffectiveDate is this instant, as clocks go.
pub fn is_about(date: UnixMicros, at: UnixMicros) -> bool {
    date.0.abs_diff(at.0) <= EFFECTIVE_PAST_MICROS_MAX.unsigned_abs()
}
