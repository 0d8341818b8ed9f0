//! R12: an untouched package given back for its price, or exchanged for a larger one.
//!
//! Both empty the old package by a ledger line (`package -> granted`), under the account's lock, so that no
//! deduction can come between the look and the deed. An exchange goes on as a purchase of the larger one for the
//! difference; its validity is its own, from the exchange on (or from the old one's start, if that is still to come).

use indicia_domain::ledger::change::{returnable, upgrade_price};
use indicia_domain::ledger::package::Closed;
use indicia_domain::ledger::price::PriceList;
use indicia_domain::ledger::{Kind, LedgerAccount};
use indicia_domain::money::MoneyMicros;
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

use super::ordering::{Begun, Ordering, Wish};
use super::purchase::{NewPackages, Receipt};
use super::{PackageRow, PurchaseError, wanted};
use crate::admission::Nonce;
use crate::audit::{Actor, Deed};
use crate::books::Books;
use crate::collection::{SettlementCause, settle};
use crate::notice::withdraw;
use crate::order::{NewOrder, OrderKind};
use crate::{Result, Store};

#[derive(Clone, Debug)]
pub struct RefundRequest {
    pub account_id: i64,
    pub instance_id: String,
    pub idempotency_key: Option<String>,
    pub nonce: Option<Nonce>,
    pub by: Actor,
}

#[derive(Clone, Debug)]
pub struct UpgradeRequest {
    pub account_id: i64,
    pub instance_id: String,
    /// Mails of the larger package.
    pub specification: i64,
    pub idempotency_key: Option<String>,
    pub nonce: Option<Nonce>,
    pub by: Actor,
}

/// A refund, as done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundReceipt {
    pub order_id: i64,
    /// Millionths that are back on the balance.
    pub amount_micros: i64,
}

impl RefundReceipt {
    pub fn amount(&self) -> MoneyMicros {
        MoneyMicros(self.amount_micros)
    }
}

impl Store {
    /// Gives an untouched package back; its price is on the balance again, and pays what is due.
    pub async fn refund(&self, request: &RefundRequest) -> Result<RefundReceipt, PurchaseError> {
        let wish = Wish {
            account_id: request.account_id,
            key: &request.idempotency_key,
            nonce: &request.nonce,
            content: format!("refund {}", request.instance_id),
        };
        let mut ordering = match self.begin_order(wish).await? {
            Begun::Before(receipt) => return Ok(receipt),
            Begun::Now(ordering) => ordering,
        };
        let order_id = ordering.order_id().await?;
        let Ordering { transaction, books, audit_id, settlement_id, .. } = &mut *ordering;
        let row = wanted(transaction, request.account_id, &request.instance_id).await?;
        returnable(&row.package, row.specification, books.now)
            .map_err(|why| PurchaseError::NotReturnable { instance_id: request.instance_id.clone(), why })?;
        let amount = paid_for(&row);
        let order = NewOrder {
            account_id: request.account_id,
            order_id,
            kind: OrderKind::Refund,
            at: books.now,
            specification: row.specification,
            quantity: 1,
            amount: MoneyMicros(-amount.0),
            related_instance: Some(&request.instance_id),
            placed_by: &request.by,
        };
        order.insert(transaction).await?;
        take_back(transaction, books, &row, order_id, (Closed::Refund, None)).await?;
        let memo = format!("refund of package {}", request.instance_id);
        books.money(Kind::Refund, LedgerAccount::Sales, LedgerAccount::Cash, amount.0, (order_id, &memo));
        if books.due.0 > 0 {
            settle(transaction, books, *settlement_id, SettlementCause::Payment).await?;
        }
        crate::alert::look(transaction, books, false).await?;
        let detail = format!("order {order_id}: {} for {amount}", request.instance_id);
        let (actor, account_id) = (&request.by, Some(request.account_id));
        let deed =
            Deed { audit_id: *audit_id, actor, account_id, action: OrderKind::Refund.action(), detail };
        deed.note(transaction, books.now).await?;
        ordering.finish(RefundReceipt { order_id, amount_micros: amount.0 }).await
    }

    /// Exchanges an untouched package for a larger one; the difference is paid from the balance.
    pub async fn upgrade(
        &self,
        request: &UpgradeRequest,
        prices: &PriceList,
    ) -> Result<Receipt, PurchaseError> {
        let offer = prices
            .offer(request.specification)
            .ok_or(PurchaseError::UnknownSpecification(request.specification))?;
        let instance_ids = self.instance_ids(1).await?;
        let wish = Wish {
            account_id: request.account_id,
            key: &request.idempotency_key,
            nonce: &request.nonce,
            content: format!("upgrade {} to {}", request.instance_id, request.specification),
        };
        let mut ordering = match self.begin_order(wish).await? {
            Begun::Before(receipt) => return Ok(receipt),
            Begun::Now(ordering) => ordering,
        };
        let order_id = ordering.order_id().await?;
        let Ordering { transaction, books, .. } = &mut *ordering;
        let row = wanted(transaction, request.account_id, &request.instance_id).await?;
        let total = upgrade_price(&row.package, row.specification, paid_for(&row), offer, books.now)
            .map_err(|why| PurchaseError::NotUpgradable { instance_id: request.instance_id.clone(), why })?;
        let replaced_by = instance_ids.first().cloned();
        take_back(transaction, books, &row, order_id, (Closed::Upgrade, replaced_by)).await?;
        let new = NewPackages {
            offer,
            starts_at: row.package.starts_at.max(books.now),
            kind: OrderKind::Upgrade,
            related: Some(&request.instance_id),
            order_id,
            instance_ids,
            total,
            by: &request.by,
        };
        let receipt = self.put_on_books(&mut ordering, new, prices).await?;
        ordering.finish(receipt).await
    }
}

/// What was paid for a package in all; an exchange is priced so that it is the larger one's own price.
fn paid_for(row: &PackageRow) -> MoneyMicros {
    row.price
}

/// Empties and closes an untouched package.
async fn take_back(
    connection: &mut AnyConnection,
    books: &mut Books,
    row: &PackageRow,
    order_id: i64,
    how: (Closed, Option<String>),
) -> Result<()> {
    let (closed, replaced_by) = how;
    let instance = &row.package.instance_id;
    let (kind, memo) = match closed {
        Closed::Refund => (Kind::Refund, format!("refund of package {instance}")),
        Closed::Upgrade => (Kind::Upgrade, format!("package {instance} given in exchange")),
    };
    books.package(instance, row.package.remaining);
    let from = LedgerAccount::Package(instance.clone());
    books.mails(kind, from, LedgerAccount::Granted, row.package.remaining, (order_id, &memo));
    sqlx::query(
        "UPDATE package SET remaining = 0, refunded_at = $1, closed_as = $2, replaced_by = $3, phase_at = NULL \
         WHERE account_id = $4 AND instance_id = $5",
    )
    .bind(books.now.0)
    .bind(closed.as_str())
    .bind(replaced_by)
    .bind(row.account_id)
    .bind(instance.clone())
    .execute(&mut *connection)
    .await?;
    withdraw(connection, row.account_id, instance, books.now, "the package was given back").await
}
