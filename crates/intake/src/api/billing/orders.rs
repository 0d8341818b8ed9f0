//! QueryOrders and GetOrderDetail: what was bought, renewed, exchanged and given back.
//!
//! An order is paid when it is placed, so PaymentStatus is always Paid; a refund has none (dossier: "NULL for a refund
//! order"), and its amounts are negative. Times are UTC.

use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{HOUR_MICROS, UnixMicros};
use indicia_store::order::{Order, OrderKind, OrderQuery};
use serde_json::{Value, json};

use super::entry::{self, Packages, instances_of};
use super::filter::{self, SubscriptionType};
use super::shape::merged;
use super::{COMMODITY_CODE, PRODUCT_CODE, UNIT};
use crate::api::call::Call;
use crate::api::protocol::ApiError;
use crate::api::protocol::parameters::{Page, shown};

/// Order types of the original. Those that this product has not are never found.
const TYPES: [&str; 12] = [
    "New",
    "Renew",
    "Upgrade",
    "Refund",
    "TempUpgrade",
    "Downgrade",
    "Convert",
    "ResizeDisk",
    "CompensatoryRenew",
    "IncreaseUpgrade",
    "Exchange",
    "ChangeOperatingSystem",
];
const STATUSES: [&str; 4] = [PAID, "Unpaid", "Cancelled", "NULL"];
const PAID: &str = "Paid";
/// Orders that are read from the store at a time.
const ORDERS_AT_A_TIME: i64 = 1_000;

/// Which orders a call asks for.
struct Wanted {
    none: bool,
    kind: Option<OrderKind>,
    /// `Some(false)`: refunds, which have no payment status.
    paid: Option<bool>,
    from: UnixMicros,
    before: UnixMicros,
}

impl Wanted {
    fn of(call: &Call<'_>) -> Result<Wanted, ApiError> {
        let named = filter::one_of(call, "OrderType", &TYPES, |name| name)?;
        let kind = named.and_then(|name| OrderKind::ALL.into_iter().find(|kind| kind.as_str() == name));
        let status = filter::one_of(call, "PaymentStatus", &STATUSES, |name| name)?;
        let unknown_status = matches!(status, Some("Unpaid" | "Cancelled"));
        let subscription = filter::subscription_type(call)?;
        let (start, end) = filter::time_range(call, "CreateTimeStart", "CreateTimeEnd")?;
        let before = end.unwrap_or(call.now.plus_micros(1));
        let ours = filter::is_ours(call)?;
        Ok(Wanted {
            none: named.is_some() && kind.is_none()
                || unknown_status
                || subscription == Some(SubscriptionType::PayAsYouGo)
                || !ours,
            kind,
            paid: status.map(|status| status == PAID),
            from: start.unwrap_or(before.plus_micros(-HOUR_MICROS)),
            before,
        })
    }

    fn includes(&self, order: &Order) -> bool {
        self.paid.is_none_or(|paid| paid == payment_status(order).is_some())
    }
}

/// QueryOrders
pub async fn query(call: &Call<'_>) -> Result<Value, ApiError> {
    let (wanted, page) = (Wanted::of(call)?, filter::page(call)?);
    let (orders, total) = if wanted.none { (Vec::new(), 0) } else { page_of(call, &wanted, page).await? };
    let packages = entry::packages(call).await?;
    let rows: Vec<Value> = orders.iter().map(|order| row(call, order, &packages)).collect();
    Ok(json!({"Data": {
        "HostName": call.api.settings.region,
        "PageNum": page.number,
        "PageSize": page.size,
        "TotalCount": total,
        "OrderList": {"Order": rows},
    }}))
}

async fn page_of(call: &Call<'_>, wanted: &Wanted, page: Page) -> Result<(Vec<Order>, i64), ApiError> {
    let mut query = OrderQuery {
        account_id: call.account_id,
        from: wanted.from,
        before: wanted.before,
        kind: wanted.kind,
        limit: page.size,
        offset: page.offset(),
    };
    if wanted.paid.is_none() {
        return Ok(call.api.store.orders(&query).await?);
    }
    // The store knows no payment status: all are looked at, and those that fit are counted.
    (query.limit, query.offset) = (ORDERS_AT_A_TIME, 0);
    let mut fitting = Vec::new();
    loop {
        let (orders, total) = call.api.store.orders(&query).await?;
        query.offset += orders.len() as i64;
        let done = orders.is_empty() || query.offset >= total;
        fitting.extend(orders.into_iter().filter(|order| wanted.includes(order)));
        if done {
            let total = fitting.len() as i64;
            return Ok((filter::rows_of(&fitting, page).to_vec(), total));
        }
    }
}

/// GetOrderDetail
pub async fn detail(call: &Call<'_>) -> Result<Value, ApiError> {
    let text = call.parameters.required("OrderId")?;
    let ours = filter::is_ours(call)?;
    let order = match text.parse().ok().filter(|_| ours) {
        Some(order_id) => call.api.store.order(call.account_id, order_id).await?,
        None => None,
    };
    let order = order.ok_or_else(|| {
        ApiError::business(
            "OrderNotExists",
            format!("This account has no order '{}'.", shown(text)),
            "Use an OrderId that QueryOrders lists.",
        )
    })?;
    let packages = entry::packages(call).await?;
    let rows = [merged([row(call, &order, &packages), particulars(call, &order, &packages)])];
    Ok(json!({"Data": {
        "HostName": call.api.settings.region,
        "PageNum": 1,
        "PageSize": rows.len(),
        "TotalCount": rows.len(),
        "OrderList": {"Order": rows},
    }}))
}

fn payment_status(order: &Order) -> Option<&'static str> {
    (order.kind != OrderKind::Refund).then_some(PAID)
}

fn row(call: &Call<'_>, order: &Order, packages: &Packages) -> Value {
    let (amount, at) = (order.amount.to_string(), order.at.rfc3339_seconds());
    let related = order.related_instance.as_ref().and_then(|instance| packages.get(instance));
    json!({
        "OrderId": order.order_id.to_string(),
        "OrderType": order.kind.as_str(),
        "RelatedOrderId": related.map(|row| row.order_id.to_string()),
        "PaymentStatus": payment_status(order),
        "CreateTime": at,
        "PaymentTime": at,
        "Currency": call.api.settings.currency,
        "PaymentCurrency": call.api.settings.currency,
        "PretaxGrossAmount": amount,
        "PretaxAmount": amount,
        "PretaxAmountLocal": amount,
        "Tax": MoneyMicros::ZERO.to_string(),
        "AfterTaxAmount": amount,
        "ProductCode": PRODUCT_CODE,
        "ProductType": PRODUCT_CODE,
        "CommodityCode": COMMODITY_CODE,
        "SubscriptionType": SubscriptionType::Subscription.as_str(),
    })
}

fn particulars(call: &Call<'_>, order: &Order, packages: &Packages) -> Value {
    let instances: Vec<&str> = instances_of(order).collect();
    let row = instances.first().and_then(|instance| packages.get(*instance));
    let config = format!("Specification:{}", order.specification);
    let mails = order.specification.to_string();
    let related =
        order.related_instance.iter().map(|instance| ("RelatedInstanceId".to_owned(), json!(instance)));
    json!({
        "SubOrderId": order.order_id.to_string(),
        "OrderSubType": if order.kind == OrderKind::Refund { "RefundSubOrder" } else { "ProductSubOrder" },
        "InstanceIDs": json!(instances).to_string(),
        "Quantity": order.quantity.to_string(),
        "Region": call.api.settings.region,
        "Operator": order.placed_by,
        "Config": config,
        "OriginalConfig": config,
        "BillModuleConfig": {"billModuleConfig": [{
            "ApiCode": "Specification",
            "Code": "Specification",
            "Name": UNIT,
            "BillModuleProperties": {"billModuleProperties": [
                {"AttrApiCode": "Specification", "ModuleApiCode": "Specification", "Value": mails},
            ]},
        }]},
        "OriginalModuleConfig": {"originalModuleConfig": [{
            "Code": "Specification",
            "Name": UNIT,
            "ModuleProperties": {"moduleProperties": [
                {"Code": "Specification", "Name": UNIT, "Value": mails},
            ]},
        }]},
        "ExtendInfos": Value::Object(related.collect()),
        "UsageStartTime": row.map(|row| row.package.starts_at.rfc3339_seconds()),
        "UsageEndTime": row.map(|row| row.package.ends_at.rfc3339_seconds()),
    })
}
