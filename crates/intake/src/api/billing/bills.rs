//! QueryBill, QuerySettleBill and QueryBillOverview: what a month cost, entry by entry or by kind.
//!
//! Times are civil times of the account's zone.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cycle::{Cycle, Span};
use super::entry::{self, Entry, Item, Place, Source, Sum};
use super::filter::{self, SubscriptionType, not_a_token};
use super::shape::{merged, money_fields, product_fields, settlement_fields};
use crate::api::call::Call;
use crate::api::protocol::ApiError;

/// Which entries a call asks for.
struct Wanted {
    ours: bool,
    item: Option<Item>,
    subscription_type: Option<SubscriptionType>,
    hides_zero: bool,
    record_id: Option<String>,
}

impl Wanted {
    fn of(call: &Call<'_>) -> Result<Wanted, ApiError> {
        let parameters = call.parameters;
        parameters.boolean("IsDisplayLocalCurrency")?;
        Ok(Wanted {
            ours: filter::is_ours(call)?,
            item: filter::one_of(call, "Type", &Item::ALL, Item::as_str)?,
            subscription_type: filter::subscription_type(call)?,
            hides_zero: parameters.boolean("IsHideZeroCharge")?.unwrap_or(false),
            record_id: parameters.text("RecordID").map(str::to_owned),
        })
    }

    fn includes(&self, entry: &Entry) -> bool {
        self.ours
            && self.item.is_none_or(|item| item == entry.item)
            && self.subscription_type.is_none_or(|wanted| wanted == entry.item.subscription_type())
            && !(self.hides_zero && entry.sum.amount.0 == 0)
            && self.record_id.as_ref().is_none_or(|id| *id == entry.record_id().to_string())
    }
}

async fn entries(call: &Call<'_>, cycle: &Cycle, wanted: &Wanted) -> Result<Vec<Entry>, ApiError> {
    let span = Span { from: cycle.from, before: cycle.before, date: None };
    let packages = entry::packages(call).await?;
    let mut entries = entry::entries(call, span, &packages).await?;
    entries.retain(|entry| wanted.includes(entry));
    Ok(entries)
}

/// QueryBill
pub async fn query(call: &Call<'_>) -> Result<Value, ApiError> {
    let cycle = Cycle::of(call).await?;
    let (wanted, page) = (Wanted::of(call)?, filter::page(call)?);
    let entries = entries(call, &cycle, &wanted).await?;
    let items: Vec<Value> =
        filter::rows_of(&entries, page).iter().map(|entry| item(call, &cycle, entry)).collect();
    let data = json!({
        "PageNum": page.number,
        "PageSize": page.size,
        "TotalCount": entries.len(),
        "Items": {"Item": items},
    });
    Ok(json!({"Data": merged([cycle.header(), data])}))
}

/// QuerySettleBill
pub async fn query_settled(call: &Call<'_>) -> Result<Value, ApiError> {
    let cycle = Cycle::of(call).await?;
    let (wanted, limit) = (Wanted::of(call)?, filter::max_results(call)?);
    let after = call.parameters.text("NextToken").map(read_token).transpose()?;
    let entries = entries(call, &cycle, &wanted).await?;
    let total = entries.len();
    let mut rest: Vec<&Entry> =
        entries.iter().filter(|entry| after.is_none_or(|after| entry.place > after)).collect();
    let limit_rows = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rest.len() > limit_rows;
    rest.truncate(limit_rows);
    let next = rest.last().filter(|_| more).map_or(String::new(), |entry| token(entry.place));
    let account = json!({
        "BillAccountID": call.account_id.to_string(),
        "BillAccountName": cycle.account.name,
        "BizType": null,
    });
    let items: Vec<Value> =
        rest.into_iter().map(|entry| merged([item(call, &cycle, entry), account.clone()])).collect();
    let data = json!({
        "MaxResults": limit,
        "NextToken": next,
        "TotalCount": total,
        "Items": {"Item": items},
    });
    Ok(json!({"Data": merged([cycle.header(), data])}))
}

/// QueryBillOverview
pub async fn overview(call: &Call<'_>) -> Result<Value, ApiError> {
    let cycle = Cycle::of(call).await?;
    let wanted = Wanted::of(call)?;
    let mut sums: BTreeMap<Item, Sum> = BTreeMap::new();
    for entry in entries(call, &cycle, &wanted).await? {
        sums.entry(entry.item).or_default().add(entry.sum);
    }
    let account = json!({
        "BillAccountID": call.account_id.to_string(),
        "BillAccountName": cycle.account.name,
        "BizType": null,
    });
    let items: Vec<Value> = sums
        .into_iter()
        .map(|(item, sum)| {
            merged([
                product_fields(call, item),
                money_fields(call, sum),
                settlement_fields(call, sum),
                account.clone(),
            ])
        })
        .collect();
    Ok(json!({"Data": merged([cycle.header(), json!({"Items": {"Item": items}})])}))
}

fn item(call: &Call<'_>, cycle: &Cycle, entry: &Entry) -> Value {
    let (paid_at, transaction) = entry.payment().unzip();
    let (start, end) = entry.usage.unzip();
    let order_id = match &entry.source {
        Source::Order(order) => Some(order.order_id.to_string()),
        Source::Bill(_) => None,
    };
    let own = json!({
        "RecordID": entry.record_id().to_string(),
        "SubOrderId": order_id,
        "Status": entry.status(),
        "PaymentTime": paid_at.map(|at| cycle.civil(at)),
        "PaymentTransactionID": transaction.map(|id| id.to_string()),
        "UsageStartTime": start.map(|at| cycle.civil(at)),
        "UsageEndTime": end.map(|at| cycle.civil(at)),
    });
    merged([
        product_fields(call, entry.item),
        money_fields(call, entry.sum),
        settlement_fields(call, entry.sum),
        own,
    ])
}

fn token((at, kind, number): Place) -> String {
    format!("{at}-{kind}-{number}")
}

fn read_token(text: &str) -> Result<Place, ApiError> {
    let numbers: Vec<i64> = text.split('-').map_while(|part| part.parse().ok()).collect();
    match numbers[..] {
        [at, kind, number] if token((at, kind, number)) == text => Ok((at, kind, number)),
        _ => Err(not_a_token("NextToken", text)),
    }
}
