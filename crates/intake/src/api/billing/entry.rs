//! What is charged in a month: each order for packages, each bill of pay-as-you-go.
//!
//! An order belongs to the month in which it was placed, a bill to the month of the hour that it bills, whenever it
//! was made. All bill actions show these entries, one by one or summed, so the month's sum is the same in each:
//!
//! ```text
//! QueryBill, QuerySettleBill            one line an entry
//! QueryBillOverview                     one line a kind of entry
//! QueryInstanceBill, DescribeInstanceBill  one line a kind and instance; of an order over several instances each has its share
//! ```

use std::collections::HashMap;

use indicia_domain::money::MoneyMicros;
use indicia_domain::time::UnixMicros;
use indicia_store::bill::{Bill, BillQuery};
use indicia_store::order::{Order, OrderKind, OrderQuery};
use indicia_store::package::{PackageFilter, PackageRow};

use super::cycle::Span;
use super::filter::SubscriptionType;
use crate::api::call::Call;
use crate::api::protocol::ApiError;

/// Rows that are read from the store at a time.
const ROWS_AT_A_TIME: i64 = 1_000;

/// What kind of charge an entry is, in the order of the overview.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    SubscriptionOrder,
    PayAsYouGoBill,
    Refund,
    /// A further bill of an hour that was billed before.
    Adjustment,
}

impl Item {
    pub const ALL: [Item; 4] =
        [Item::SubscriptionOrder, Item::PayAsYouGoBill, Item::Refund, Item::Adjustment];

    pub fn as_str(self) -> &'static str {
        match self {
            Item::SubscriptionOrder => "SubscriptionOrder",
            Item::PayAsYouGoBill => "PayAsYouGoBill",
            Item::Refund => "Refund",
            Item::Adjustment => "Adjustment",
        }
    }

    pub fn is_pay_as_you_go(self) -> bool {
        matches!(self, Item::PayAsYouGoBill | Item::Adjustment)
    }

    pub fn subscription_type(self) -> SubscriptionType {
        if self.is_pay_as_you_go() { SubscriptionType::PayAsYouGo } else { SubscriptionType::Subscription }
    }
}

/// An amount and how much of it is unpaid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub amount: MoneyMicros,
    pub outstanding: MoneyMicros,
}

impl Sum {
    pub fn paid(self) -> MoneyMicros {
        MoneyMicros(self.amount.0.saturating_sub(self.outstanding.0))
    }

    pub fn add(&mut self, other: Sum) {
        self.amount.0 = self.amount.0.saturating_add(other.amount.0);
        self.outstanding.0 = self.outstanding.0.saturating_add(other.outstanding.0);
    }
}

/// Where an entry comes from.
#[derive(Clone, Debug)]
pub enum Source {
    Order(Order),
    Bill(Bill),
}

/// An entry's place: by time, orders before bills, then by number. As text it is a NextToken.
pub type Place = (i64, i64, i64);

/// One charge of a month.
#[derive(Clone, Debug)]
pub struct Entry {
    pub item: Item,
    pub sum: Sum,
    pub place: Place,
    pub source: Source,
    /// The validity that was bought, or the hour that is billed.
    pub usage: Option<(UnixMicros, UnixMicros)>,
}

impl Entry {
    fn of_order(order: Order, packages: &Packages) -> Entry {
        let item = if order.kind == OrderKind::Refund { Item::Refund } else { Item::SubscriptionOrder };
        let row = instances_of(&order).next().and_then(|instance| packages.get(instance));
        Entry {
            item,
            sum: Sum { amount: order.amount, outstanding: MoneyMicros::ZERO },
            place: (order.at.0, 0, order.order_id),
            usage: row.map(|row| (row.package.starts_at, row.package.ends_at)),
            source: Source::Order(order),
        }
    }

    fn of_bill(bill: Bill) -> Entry {
        Entry {
            item: if bill.is_adjustment() { Item::Adjustment } else { Item::PayAsYouGoBill },
            sum: Sum { amount: bill.amount, outstanding: bill.outstanding() },
            place: (bill.hour_start.0, 1, bill.number),
            usage: Some((bill.hour_start, bill.hour_end)),
            source: Source::Bill(bill),
        }
    }

    /// The order's or the bill's number.
    pub fn record_id(&self) -> i64 {
        match &self.source {
            Source::Order(order) => order.order_id,
            Source::Bill(bill) => bill.bill_id,
        }
    }

    /// Orders are paid when they are placed. A bill is free of settlement when it is over nothing, unsettled until
    /// it is collected, and uncleared when it is due and the balance did not suffice (R11).
    pub fn status(&self) -> &'static str {
        match &self.source {
            Source::Order(_) => "PayFinish",
            Source::Bill(bill) if bill.amount == MoneyMicros::ZERO => "NoSettle",
            Source::Bill(bill) if bill.settled_at.is_some() => "PayFinish",
            Source::Bill(bill) if bill.due_at.is_some() => "PayUnclear",
            Source::Bill(_) => "PayUnsettle",
        }
    }

    /// When it was paid, and by which transaction of the ledger.
    pub fn payment(&self) -> Option<(UnixMicros, i64)> {
        match &self.source {
            Source::Order(order) => Some((order.at, order.order_id)),
            Source::Bill(bill) => bill.settled_at.zip(bill.settlement_id),
        }
    }
}

/// An account's packages, by instance id.
pub type Packages = HashMap<String, PackageRow>;

/// Every package that the account ever had.
pub async fn packages(call: &Call<'_>) -> Result<Packages, ApiError> {
    let rows = call.api.store.packages(call.account_id, &PackageFilter::default()).await?;
    Ok(rows.into_iter().map(|row| (row.package.instance_id.clone(), row)).collect())
}

/// The instances that an order was about: those it brought, else the one that was given back.
pub fn instances_of(order: &Order) -> impl Iterator<Item = &str> {
    let given_back = order.related_instance.iter().filter(|_| order.instances.is_empty());
    order.instances.iter().chain(given_back).map(String::as_str)
}

/// The entries of a span, oldest first.
pub async fn entries(call: &Call<'_>, span: Span, packages: &Packages) -> Result<Vec<Entry>, ApiError> {
    let orders = orders(call, span).await?;
    let bills = bills(call, span).await?;
    let orders = orders.into_iter().map(|order| Entry::of_order(order, packages));
    let mut entries: Vec<Entry> = orders.chain(bills.into_iter().map(Entry::of_bill)).collect();
    entries.sort_by_key(|entry| entry.place);
    Ok(entries)
}

async fn orders(call: &Call<'_>, span: Span) -> Result<Vec<Order>, ApiError> {
    // Orders placed while these are read would shift the pages.
    let before = span.before.min(call.now.plus_micros(1));
    let mut all = Vec::new();
    loop {
        let query = OrderQuery {
            account_id: call.account_id,
            from: span.from,
            before,
            kind: None,
            limit: ROWS_AT_A_TIME,
            offset: all.len() as i64,
        };
        let (rows, total) = call.api.store.orders(&query).await?;
        let done = rows.is_empty() || (all.len() + rows.len()) as i64 >= total;
        all.extend(rows);
        if done {
            return Ok(all);
        }
    }
}

async fn bills(call: &Call<'_>, span: Span) -> Result<Vec<Bill>, ApiError> {
    let mut all: Vec<Bill> = Vec::new();
    loop {
        let query = BillQuery {
            account_id: call.account_id,
            from: span.from,
            before: span.before,
            only_open: false,
            after: all.last().map(|bill| (bill.hour_start.0, bill.number)),
            limit: ROWS_AT_A_TIME,
            newest_first: false,
        };
        let rows = call.api.store.bills(&query).await?;
        let done = (rows.len() as i64) < ROWS_AT_A_TIME;
        all.extend(rows);
        if done {
            return Ok(all);
        }
    }
}
