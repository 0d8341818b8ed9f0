//! Orders: every purchase, renewal, exchange and refund, as the billing API lists them.

use std::collections::HashMap;

use indicia_domain::money::MoneyMicros;
use indicia_domain::time::UnixMicros;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::audit::Actor;
use crate::{Result, Store, StoreError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderKind {
    New,
    Renew,
    Upgrade,
    Refund,
}

impl OrderKind {
    pub const ALL: [OrderKind; 4] = [OrderKind::New, OrderKind::Renew, OrderKind::Upgrade, OrderKind::Refund];

    /// The billing API's `OrderType`.
    pub fn as_str(self) -> &'static str {
        match self {
            OrderKind::New => "New",
            OrderKind::Renew => "Renew",
            OrderKind::Upgrade => "Upgrade",
            OrderKind::Refund => "Refund",
        }
    }

    /// Its name in the audit log.
    pub(crate) fn action(self) -> &'static str {
        match self {
            OrderKind::New => "purchase",
            OrderKind::Renew => "renew",
            OrderKind::Upgrade => "upgrade",
            OrderKind::Refund => "refund",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Order {
    pub order_id: i64,
    pub account_id: i64,
    pub kind: OrderKind,
    pub at: UnixMicros,
    /// Mails of each package.
    pub specification: i64,
    pub quantity: i64,
    /// Taken from the balance; negative: paid back.
    pub amount: MoneyMicros,
    /// The packages that it brought.
    pub instances: Vec<String>,
    /// The package that was renewed, exchanged or given back.
    pub related_instance: Option<String>,
    /// Empty: not known (orders of earlier versions).
    pub placed_by: String,
}

/// Which orders to list.
#[derive(Clone, Debug)]
pub struct OrderQuery {
    pub account_id: i64,
    pub from: UnixMicros,
    pub before: UnixMicros,
    pub kind: Option<OrderKind>,
    pub limit: i64,
    pub offset: i64,
}

/// An order to be kept, in the transaction that carries it out.
pub(crate) struct NewOrder<'a> {
    pub account_id: i64,
    pub order_id: i64,
    pub kind: OrderKind,
    pub at: UnixMicros,
    pub specification: i64,
    pub quantity: i64,
    pub amount: MoneyMicros,
    pub related_instance: Option<&'a str>,
    pub placed_by: &'a Actor,
}

impl NewOrder<'_> {
    pub async fn insert(&self, connection: &mut AnyConnection) -> Result<()> {
        sqlx::query(
            "INSERT INTO purchase_order (account_id, order_id, kind, at, specification, quantity, amount_micros, related_instance, \
             placed_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(self.account_id)
        .bind(self.order_id)
        .bind(self.kind.as_str())
        .bind(self.at.0)
        .bind(self.specification)
        .bind(self.quantity)
        .bind(self.amount.0)
        .bind(self.related_instance.map(str::to_owned))
        .bind(self.placed_by.to_string())
        .execute(connection)
        .await?;
        Ok(())
    }
}

const ORDER: &str = "SELECT order_id, account_id, kind, at, specification, quantity, amount_micros, related_instance, placed_by \
    FROM purchase_order";

impl Store {
    /// Orders placed at instants `[from, before)`, the newest first, and how many there are in all.
    pub async fn orders(&self, query: &OrderQuery) -> Result<(Vec<Order>, i64)> {
        let kind = query.kind.map_or("any", OrderKind::as_str);
        let which = "WHERE account_id = $1 AND at >= $2 AND at < $3 AND (kind = $4 OR $5 = 'any')";
        let count = sqlx::query(AssertSqlSafe(format!("SELECT COUNT(*) FROM purchase_order {which}")))
            .bind(query.account_id)
            .bind(query.from.0)
            .bind(query.before.0)
            .bind(kind)
            .bind(kind)
            .fetch_one(self.read())
            .await?;
        let sql = format!("{ORDER} {which} ORDER BY at DESC, order_id DESC LIMIT $6 OFFSET $7");
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(query.account_id)
            .bind(query.from.0)
            .bind(query.before.0)
            .bind(kind)
            .bind(kind)
            .bind(query.limit)
            .bind(query.offset)
            .fetch_all(self.read())
            .await?;
        let mut orders = rows.iter().map(order_of).collect::<Result<Vec<_>>>()?;
        self.add_instances(query.account_id, &mut orders).await?;
        Ok((orders, count.try_get(0)?))
    }

    pub async fn order(&self, account_id: i64, order_id: i64) -> Result<Option<Order>> {
        let row = sqlx::query(AssertSqlSafe(format!("{ORDER} WHERE account_id = $1 AND order_id = $2")))
            .bind(account_id)
            .bind(order_id)
            .fetch_optional(self.read())
            .await?;
        let mut orders = row.iter().map(order_of).collect::<Result<Vec<_>>>()?;
        self.add_instances(account_id, &mut orders).await?;
        Ok(orders.pop())
    }

    /// The packages of all `orders`, in one query: ids of orders grow with time, so a page of them is a span.
    async fn add_instances(&self, account_id: i64, orders: &mut [Order]) -> Result<()> {
        let ids = orders.iter().map(|order| order.order_id);
        let (Some(first), Some(last)) = (ids.clone().min(), ids.max()) else { return Ok(()) };
        let rows = sqlx::query(
            "SELECT order_id, instance_id FROM package WHERE account_id = $1 AND order_id >= $2 AND order_id <= $3 \
             ORDER BY instance_id",
        )
        .bind(account_id)
        .bind(first)
        .bind(last)
        .fetch_all(self.read())
        .await?;
        let mut instances: HashMap<i64, Vec<String>> = HashMap::new();
        for row in rows {
            instances.entry(row.try_get(0)?).or_default().push(row.try_get(1)?);
        }
        for order in orders {
            order.instances = instances.remove(&order.order_id).unwrap_or_default();
        }
        Ok(())
    }
}

fn order_of(row: &AnyRow) -> Result<Order> {
    let kind: String = row.try_get(2)?;
    let kind = OrderKind::ALL
        .into_iter()
        .find(|known| known.as_str() == kind)
        .ok_or_else(|| StoreError::Corrupt(format!("kind of an order '{kind}'")))?;
    Ok(Order {
        order_id: row.try_get(0)?,
        account_id: row.try_get(1)?,
        kind,
        at: UnixMicros(row.try_get(3)?),
        specification: row.try_get(4)?,
        quantity: row.try_get(5)?,
        amount: MoneyMicros(row.try_get(6)?),
        instances: Vec::new(),
        related_instance: row.try_get(7)?,
        placed_by: row.try_get(8)?,
    })
}
