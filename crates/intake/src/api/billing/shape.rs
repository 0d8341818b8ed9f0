//! Fields that many answers share, and how amounts of money are written.

use indicia_domain::money::MoneyMicros;
use serde_json::{Map, Number, Value, json};

use super::entry::{Item, Sum};
use super::{COMMODITY_CODE, PACKAGE_NAME, PAY_AS_YOU_GO_NAME, PRODUCT_CODE, PRODUCT_NAME};
use crate::api::call::Call;

/// An amount as a JSON number, written from its exact decimal digits; no sum is ever made of such a number. Fifteen
/// digits come through unchanged: any amount that can be booked in cents, and a thousand million in millionths.
pub fn number(money: MoneyMicros) -> Value {
    money.to_string().parse::<Number>().map_or(Value::Null, Value::Number)
}

/// One object with the fields of all of them; a later one wins.
pub fn merged(parts: impl IntoIterator<Item = Value>) -> Value {
    let mut all = Map::new();
    for part in parts {
        if let Value::Object(fields) = part {
            all.extend(fields);
        }
    }
    Value::Object(all)
}

/// What an amount consists of. There are neither discounts nor coupons nor taxes here, so the gross amount is the
/// amount to be paid, and what is paid is paid in cash.
pub fn money_fields(call: &Call<'_>, sum: Sum) -> Value {
    let (amount, none) = (number(sum.amount), number(MoneyMicros::ZERO));
    let (paid, outstanding) = (number(sum.paid()), number(sum.outstanding));
    json!({
        "Currency": call.api.settings.currency,
        "PretaxGrossAmount": amount,
        "InvoiceDiscount": none,
        "DeductedByCoupons": none,
        "PretaxAmount": amount,
        "DeductedByCashCoupons": none,
        "DeductedByPrepaidCard": none,
        "AdjustAmount": none,
        "CashAmount": paid,
        "PaymentAmount": paid,
        "OutstandingAmount": outstanding,
    })
}

/// Beside [`money_fields`], in the bills that say with what currency and tax they were paid.
pub fn settlement_fields(call: &Call<'_>, sum: Sum) -> Value {
    json!({
        "PretaxAmountLocal": number(sum.amount),
        "Tax": number(MoneyMicros::ZERO),
        "AfterTaxAmount": number(sum.amount),
        "PaymentCurrency": call.api.settings.currency,
        "RoundDownDiscount": "0",
    })
}

/// Which product, and how it is paid for.
pub fn product_fields(call: &Call<'_>, item: Item) -> Value {
    let (commodity, detail) = if item.is_pay_as_you_go() {
        (PRODUCT_CODE, PAY_AS_YOU_GO_NAME)
    } else {
        (COMMODITY_CODE, PACKAGE_NAME)
    };
    json!({
        "Item": item.as_str(),
        "ProductCode": PRODUCT_CODE,
        "ProductName": PRODUCT_NAME,
        "ProductType": PRODUCT_CODE,
        "ProductDetail": detail,
        "CommodityCode": commodity,
        "PipCode": PRODUCT_CODE,
        "SubscriptionType": item.subscription_type().as_str(),
        "OwnerID": call.account_id.to_string(),
    })
}
