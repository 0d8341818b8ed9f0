//! QueryInstanceBill and DescribeInstanceBill: what a month, or one day of it, cost by instance.
//!
//! Pay-as-you-go is one instance, the account's own service, whose number is the account's. Its line says beside the
//! amount how many mails were sent on packages and pay-as-you-go together (Usage) and how many of them the packages
//! paid for (DeductedByResourcePackage); the free credit is no part of any bill (R06). Both are kept with every
//! charge, so the line is there while the hour is not billed yet. Corrections of billed hours are a line of their
//! own. Every package has a line for each kind of order that was about it. The sums of a kind are those of
//! QueryBillOverview: see [`super::entry`].

use std::collections::{BTreeMap, BTreeSet};

use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{SECOND_MICROS, UnixMicros};
use indicia_store::order::Order;
use indicia_store::usage::UsageTotal;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::cycle::{Cycle, Span};
use super::entry::{self, Item, Packages, Source, Sum};
use super::filter::{self, SubscriptionType, not_a_token};
use super::shape::{merged, money_fields, number, product_fields};
use super::{PACKAGE_NAME, PAY_AS_YOU_GO_NAME, UNIT};
use crate::api::call::Call;
use crate::api::protocol::ApiError;

/// A line's place in the list: by kind, then instance.
type Place = (Item, String);

/// What an instance cost.
struct Line {
    item: Item,
    instance_id: String,
    sum: Sum,
    /// What one costs: a mail, or the package.
    prices: BTreeSet<MoneyMicros>,
    usage: Option<UsageTotal>,
    specification: Option<i64>,
    validity: Option<(UnixMicros, UnixMicros)>,
}

/// Which lines a call asks for, and how.
struct Wanted {
    ours: bool,
    subscription_type: Option<SubscriptionType>,
    hides_zero: bool,
    by_billing_item: bool,
    instance_id: Option<String>,
}

impl Wanted {
    fn of(call: &Call<'_>) -> Result<Wanted, ApiError> {
        Ok(Wanted {
            ours: filter::is_ours(call)?,
            subscription_type: filter::subscription_type(call)?,
            hides_zero: call.parameters.boolean("IsHideZeroCharge")?.unwrap_or(false),
            by_billing_item: call.parameters.boolean("IsBillingItem")?.unwrap_or(false),
            instance_id: call.parameters.text("InstanceID").map(str::to_owned),
        })
    }

    fn includes(&self, line: &Line) -> bool {
        self.ours
            && self.subscription_type.is_none_or(|wanted| wanted == line.item.subscription_type())
            && !(self.hides_zero && line.sum.amount.0 == 0)
            && self.instance_id.as_ref().is_none_or(|id| *id == line.instance_id)
    }
}

/// QueryInstanceBill
pub async fn query(call: &Call<'_>) -> Result<Value, ApiError> {
    let cycle = Cycle::of(call).await?;
    let span = cycle.span(call)?;
    let (wanted, page) = (Wanted::of(call)?, filter::page(call)?);
    let lines = lines(call, span, &wanted).await?;
    let items: Vec<Value> =
        filter::rows_of(&lines, page).iter().map(|line| shown(call, &wanted, span.date, line)).collect();
    let data = json!({
        "PageNum": page.number,
        "PageSize": page.size,
        "TotalCount": lines.len(),
        "Items": {"Item": items},
    });
    Ok(json!({"Data": merged([cycle.header(), data])}))
}

/// DescribeInstanceBill
pub async fn describe(call: &Call<'_>) -> Result<Value, ApiError> {
    let cycle = Cycle::of(call).await?;
    let span = cycle.span(call)?;
    let (wanted, limit) = (Wanted::of(call)?, filter::max_results(call)?);
    let after = call.parameters.text("NextToken").map(read_token).transpose()?;
    let lines = lines(call, span, &wanted).await?;
    let total = lines.len();
    let mut rest: Vec<&Line> =
        lines.iter().filter(|line| after.as_ref().is_none_or(|after| place(line) > *after)).collect();
    let limit_rows = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rest.len() > limit_rows;
    rest.truncate(limit_rows);
    let next = rest.last().filter(|_| more).map_or(String::new(), |line| token(line));
    let items: Vec<Value> = rest
        .into_iter()
        .map(|line| {
            let own = json!({
                "AfterDiscountAmount": number(line.sum.amount),
                "BillAccountID": call.account_id.to_string(),
                "BillAccountName": cycle.account.name,
                "BizType": null,
                "ItemName": item_name(line),
                "BillingItemCode": wanted.by_billing_item.then(|| billing_item(line)),
            });
            merged([shown(call, &wanted, span.date, line), own])
        })
        .collect();
    let data = json!({"MaxResults": limit, "NextToken": next, "TotalCount": total, "Items": items});
    Ok(json!({"Data": merged([cycle.header(), data])}))
}

async fn lines(call: &Call<'_>, span: Span, wanted: &Wanted) -> Result<Vec<Line>, ApiError> {
    let packages = entry::packages(call).await?;
    let entries = entry::entries(call, span, &packages).await?;
    let usage = call.api.store.usage_total(call.account_id, span.from, span.before).await?;
    let mut lines: BTreeMap<Place, Line> = BTreeMap::new();
    if usage.package_mails != 0 || usage.payg_mails != 0 {
        let line = line_at(&mut lines, Item::PayAsYouGoBill, &call.account_id.to_string());
        line.usage = Some(usage);
    }
    for entry in entries {
        match &entry.source {
            Source::Bill(bill) => {
                let line = line_at(&mut lines, entry.item, &call.account_id.to_string());
                line.sum.add(entry.sum);
                line.prices.insert(bill.price);
                if entry.item == Item::PayAsYouGoBill {
                    line.usage = Some(usage);
                }
            }
            Source::Order(order) => add_order(&mut lines, entry.item, order, &packages),
        }
    }
    // Nothing is billed yet: what a mail costs now is what it will cost.
    for line in lines.values_mut().filter(|line| line.item.is_pay_as_you_go() && line.prices.is_empty()) {
        line.prices.insert(call.api.settings.prices.pay_as_you_go());
    }
    Ok(lines.into_values().filter(|line| wanted.includes(line)).collect())
}

/// Shares an order out over its instances; what does not divide goes to the first.
fn add_order(lines: &mut BTreeMap<Place, Line>, item: Item, order: &Order, packages: &Packages) {
    let instances: Vec<&str> = entry::instances_of(order).collect();
    let count = i64::try_from(instances.len()).unwrap_or(i64::MAX).max(1);
    let (share, rest) = (order.amount.0 / count, order.amount.0 % count);
    for (number, instance_id) in instances.into_iter().enumerate() {
        let line = line_at(lines, item, instance_id);
        let amount = MoneyMicros(if number == 0 { share + rest } else { share });
        line.sum.add(Sum { amount, outstanding: MoneyMicros::ZERO });
        if let Some(row) = packages.get(instance_id) {
            line.prices.insert(row.price);
            line.specification = Some(row.specification);
            line.validity = Some((row.package.starts_at, row.package.ends_at));
        }
    }
}

fn line_at<'a>(lines: &'a mut BTreeMap<Place, Line>, item: Item, instance_id: &str) -> &'a mut Line {
    lines.entry((item, instance_id.to_owned())).or_insert_with(|| Line {
        item,
        instance_id: instance_id.to_owned(),
        sum: Sum::default(),
        prices: BTreeSet::new(),
        usage: None,
        specification: None,
        validity: None,
    })
}

fn shown(call: &Call<'_>, wanted: &Wanted, date: Option<Date>, line: &Line) -> Value {
    // With several prices in one span there is no one list price.
    let price = line.prices.first().filter(|_| line.prices.len() == 1);
    let per = if line.item.is_pay_as_you_go() { UNIT } else { "package" };
    let usage = line.usage.map(|usage| usage.package_mails.saturating_add(usage.payg_mails));
    let seconds = line.validity.map(|(start, end)| (end.0 - start.0) / SECOND_MICROS);
    let own = json!({
        "InstanceID": line.instance_id,
        "BillingDate": date.map(|date| date.to_string()),
        "BillingItem": wanted.by_billing_item.then(|| billing_item(line)),
        "BillingType": null,
        "CostUnit": null,
        "InstanceConfig": line.specification.map(|mails| format!("Specification:{mails}")),
        "InstanceSpec": line.specification.map(|mails| mails.to_string()),
        "InternetIP": null,
        "IntranetIP": null,
        "ListPrice": price.map(|price| price.to_string()),
        "ListPriceUnit": price.map(|_| format!("{}/{per}", call.api.settings.currency)),
        "NickName": null,
        "Region": call.api.settings.region,
        "ResourceGroup": null,
        "ServicePeriod": seconds.map(|seconds| seconds.to_string()),
        "ServicePeriodUnit": seconds.map(|_| "Second"),
        "Tag": null,
        "Usage": usage.map(|mails| mails.to_string()),
        "UsageUnit": usage.map(|_| UNIT),
        "DeductedByResourcePackage": line.usage.map(|usage| usage.package_mails.to_string()),
        "Zone": null,
    });
    merged([product_fields(call, line.item), money_fields(call, line.sum), own])
}

/// There is one thing to be billed of either: mails, or the package.
fn billing_item(line: &Line) -> &'static str {
    if line.item.is_pay_as_you_go() { UNIT } else { "Package" }
}

fn item_name(line: &Line) -> String {
    match line.specification {
        Some(mails) => format!("{PACKAGE_NAME} of {mails} mails"),
        None if line.item.is_pay_as_you_go() => PAY_AS_YOU_GO_NAME.to_owned(),
        None => PACKAGE_NAME.to_owned(),
    }
}

fn place(line: &Line) -> Place {
    (line.item, line.instance_id.clone())
}

fn token(line: &Line) -> String {
    format!("{}:{}", line.item.as_str(), line.instance_id)
}

fn read_token(text: &str) -> Result<Place, ApiError> {
    let found = text.split_once(':').and_then(|(name, instance)| {
        let item = Item::ALL.into_iter().find(|item| item.as_str() == name)?;
        Some((item, instance.to_owned()))
    });
    found.ok_or_else(|| not_a_token("NextToken", text))
}
