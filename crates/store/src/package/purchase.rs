//! Buying packages from the cash balance: order, packages, ledger lines, notices and audit in one transaction.

use indicia_domain::ledger::alert::DISARMED;
use indicia_domain::ledger::change::renewal_start;
use indicia_domain::ledger::package::{Closed, Package};
use indicia_domain::ledger::price::{Offer, PriceList};
use indicia_domain::ledger::{Kind, LedgerAccount, Unit, Validity};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{self, UnixMicros};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row};

use super::ordering::{Begun, Ordering, Wish};
use super::{PackageRow, PurchaseError, one_package, wanted};
use crate::admission::Nonce;
use crate::audit::{Actor, Deed};
use crate::books::Entry;
use crate::notice::{NewNotice, NoticeFacts, schedule};
use crate::order::{NewOrder, OrderKind};
use crate::{Result, Store};

/// A purchase, as asked for.
#[derive(Clone, Debug)]
pub struct PurchaseRequest {
    pub account_id: i64,
    pub specification: i64,
    /// How many instances; from 1 to [`QUANTITY_MAX`].
    pub quantity: i64,
    /// When validity begins; `None`: at once. Not in the past, not more than six months ahead.
    pub starts_at: Option<UnixMicros>,
    /// A client's key under which the purchase happens once (R26).
    pub idempotency_key: Option<String>,
    pub nonce: Option<Nonce>,
    pub by: Actor,
}

/// The renewal of a package: the same specification again, valid from the old one's end on.
#[derive(Clone, Debug)]
pub struct RenewRequest {
    pub account_id: i64,
    pub instance_id: String,
    pub idempotency_key: Option<String>,
    pub nonce: Option<Nonce>,
    pub by: Actor,
}

/// Instances that one purchase can have.
pub const QUANTITY_MAX: i64 = 100;

/// A purchase, as done. The same again when it is asked for again under its idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub order_id: i64,
    pub instance_ids: Vec<String>,
    pub total_micros: i64,
    pub starts_at: i64,
    pub ends_at: i64,
}

/// What one order puts on the books.
pub(super) struct NewPackages<'a> {
    pub offer: Offer,
    pub starts_at: UnixMicros,
    pub kind: OrderKind,
    /// The package that is renewed or exchanged.
    pub related: Option<&'a str>,
    pub order_id: i64,
    pub instance_ids: Vec<String>,
    /// What is taken from the balance.
    pub total: MoneyMicros,
    pub by: &'a Actor,
}

impl Store {
    /// Buys packages from the cash balance.
    pub async fn purchase(
        &self,
        request: &PurchaseRequest,
        prices: &PriceList,
    ) -> Result<Receipt, PurchaseError> {
        let offer = prices
            .offer(request.specification)
            .ok_or(PurchaseError::UnknownSpecification(request.specification))?;
        if !(1..=QUANTITY_MAX).contains(&request.quantity) {
            return Err(PurchaseError::Quantity(request.quantity));
        }
        let total =
            offer.price.checked_mul(request.quantity).ok_or(PurchaseError::Quantity(request.quantity))?;
        let instance_ids = self.instance_ids(request.quantity).await?;
        let starts = request.starts_at.map_or("now".to_owned(), |at| at.0.to_string());
        let wish = Wish {
            account_id: request.account_id,
            key: &request.idempotency_key,
            nonce: &request.nonce,
            content: format!("purchase {} x {} from {starts}", request.specification, request.quantity),
        };
        let mut ordering = match self.begin_order(wish).await? {
            Begun::Before(receipt) => return Ok(receipt),
            Begun::Now(ordering) => ordering,
        };
        let new = NewPackages {
            offer,
            starts_at: start_of(request.starts_at, ordering.books.now, &ordering.books.zone)?,
            kind: OrderKind::New,
            related: None,
            order_id: ordering.order_id().await?,
            instance_ids,
            total,
            by: &request.by,
        };
        let receipt = self.put_on_books(&mut ordering, new, prices).await?;
        ordering.finish(receipt).await
    }

    /// Buys a package again, valid from the instant on at which the old one ends.
    pub async fn renew(&self, request: &RenewRequest, prices: &PriceList) -> Result<Receipt, PurchaseError> {
        let instance_ids = self.instance_ids(1).await?;
        let wish = Wish {
            account_id: request.account_id,
            key: &request.idempotency_key,
            nonce: &request.nonce,
            content: format!("renew {}", request.instance_id),
        };
        let mut ordering = match self.begin_order(wish).await? {
            Begun::Before(receipt) => return Ok(receipt),
            Begun::Now(ordering) => ordering,
        };
        let instance_id = request.instance_id.clone();
        let old = wanted(&mut ordering.transaction, request.account_id, &instance_id).await?;
        let starts_at = renewal_start(&old.package, ordering.books.now)
            .map_err(|why| PurchaseError::NotRenewable { instance_id: instance_id.clone(), why })?;
        let renewal = renewal_of(&mut ordering.transaction, request.account_id, &instance_id).await?;
        if let Some(renewal) = renewal {
            return Err(PurchaseError::AlreadyRenewed { instance_id, renewal });
        }
        let offer =
            prices.offer(old.specification).ok_or(PurchaseError::UnknownSpecification(old.specification))?;
        let new = NewPackages {
            offer,
            starts_at,
            kind: OrderKind::Renew,
            related: Some(&instance_id),
            order_id: ordering.order_id().await?,
            instance_ids,
            total: offer.price,
            by: &request.by,
        };
        let receipt = self.put_on_books(&mut ordering, new, prices).await?;
        ordering.finish(receipt).await
    }

    /// Ids are made before a transaction begins: the first of a process joins it, which writes, and SQLite has one
    /// writer.
    pub(super) async fn instance_ids(&self, count: i64) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(format!("DMBAG-{}", self.next_id().await?));
        }
        Ok(ids)
    }

    /// Order, packages, lines and notices of what is bought.
    pub(super) async fn put_on_books(
        &self,
        ordering: &mut Ordering,
        new: NewPackages<'_>,
        prices: &PriceList,
    ) -> Result<Receipt, PurchaseError> {
        let audit_id = ordering.audit_id;
        let (connection, books) = (&mut *ordering.transaction, &mut ordering.books);
        // Money on the balance of an account in arrears belongs to its bills.
        if books.due.0 > 0 {
            return Err(PurchaseError::Overdue(books.due));
        }
        // A package is paid for in advance: the credit limit is for bills.
        if books.cash() < new.total {
            return Err(PurchaseError::InsufficientBalance { price: new.total, balance: books.cash() });
        }
        let ends_at = time::validity_end(&books.zone, new.starts_at, prices.validity_months());
        let quantity = new.instance_ids.len() as i64;
        let order = NewOrder {
            account_id: books.account_id,
            order_id: new.order_id,
            kind: new.kind,
            at: books.now,
            specification: new.offer.mails,
            quantity,
            amount: new.total,
            related_instance: new.related,
            placed_by: new.by,
        };
        order.insert(connection).await?;
        let kind = if new.kind == OrderKind::Upgrade { Kind::Upgrade } else { Kind::Purchase };
        for instance_id in &new.instance_ids {
            let row = PackageRow {
                account_id: books.account_id,
                package: Package {
                    instance_id: instance_id.clone(),
                    granted: new.offer.mails,
                    remaining: new.offer.mails,
                    purchased_at: books.now,
                    starts_at: new.starts_at,
                    ends_at,
                    closed: None,
                },
                specification: new.offer.mails,
                price: new.offer.price,
                order_id: new.order_id,
                zone: books.zone_name.clone(),
                closed_at: None,
                replaced_by: None,
                renewal_of: new.related.filter(|_| new.kind == OrderKind::Renew).map(str::to_owned),
                alert_percent: 0,
            };
            insert(connection, &row).await?;
            let memo = format!("package {instance_id} of {} mails", new.offer.mails);
            let paid = new.total.0 / quantity;
            books.money(kind, LedgerAccount::Cash, LedgerAccount::Sales, paid, (new.order_id, &memo));
            books.enter(Entry {
                kind,
                unit: Unit::Mail,
                from: LedgerAccount::Granted,
                to: LedgerAccount::Package(instance_id.clone()),
                amount: new.offer.mails,
                transaction_id: new.order_id,
                memo: &memo,
                validity: Some(Validity { from: new.starts_at, until: ends_at }),
            });
            schedule(connection, &expiry_notices(&row, &books.zone, prices.expiry_leads(), books.now))
                .await?;
        }
        crate::alert::look(connection, books, new.starts_at <= books.now).await?;
        let related = new.related.map_or(String::new(), |instance| format!(" for {instance}"));
        let deed = Deed {
            audit_id,
            actor: new.by,
            account_id: Some(books.account_id),
            action: new.kind.action(),
            detail: format!(
                "order {}: {quantity} x {} mails for {}{related}",
                new.order_id, new.offer.mails, new.total
            ),
        };
        deed.note(connection, books.now).await?;
        Ok(Receipt {
            order_id: new.order_id,
            instance_ids: new.instance_ids,
            total_micros: new.total.0,
            starts_at: new.starts_at.0,
            ends_at: ends_at.0,
        })
    }
}

/// R14: one notice for each lead that is not past at the purchase. Days are those of the zone, so that the notice of
/// one day before comes at the midnight a day before the end, however long that day is.
pub(super) fn expiry_notices(
    row: &PackageRow,
    zone: &time::TimeZone,
    leads: &[i64],
    now: UnixMicros,
) -> Vec<NewNotice> {
    let package = &row.package;
    let at = |lead: i64| time::days_before(zone, package.ends_at, lead);
    leads
        .iter()
        .filter(|lead| at(**lead) > package.purchased_at.max(now))
        .map(|&lead| NewNotice {
            account_id: row.account_id,
            key: format!("expiry:{}:{lead}", package.instance_id),
            facts: NoticeFacts::Expiry,
            instance_id: package.instance_id.clone(),
            lead_days: lead,
            due_at: at(lead),
            until_at: package.ends_at,
        })
        .collect()
}

/// The package that renews `instance_id`, or the larger one that its renewal was exchanged for; `None` if there is none
/// or it was refunded.
async fn renewal_of(
    connection: &mut AnyConnection,
    account_id: i64,
    instance_id: &str,
) -> Result<Option<String>> {
    let rows = sqlx::query("SELECT instance_id FROM package WHERE account_id = $1 AND renewal_of = $2")
        .bind(account_id)
        .bind(instance_id.to_owned())
        .fetch_all(&mut *connection)
        .await?;
    for row in &rows {
        let mut renewal: String = row.try_get(0)?;
        while let Some(found) = one_package(connection, account_id, &renewal).await? {
            match (found.package.closed, found.replaced_by) {
                (None, _) => return Ok(Some(renewal)),
                (Some(Closed::Upgrade), Some(larger)) => renewal = larger,
                (Some(_), _) => break,
            }
        }
    }
    Ok(None)
}

fn start_of(
    wanted: Option<UnixMicros>,
    now: UnixMicros,
    zone: &time::TimeZone,
) -> Result<UnixMicros, PurchaseError> {
    let Some(wanted) = wanted else { return Ok(now) };
    let latest = time::validity_end(zone, now, 6);
    if wanted.0 < now.0 - 5 * time::MINUTE_MICROS || wanted >= latest {
        return Err(PurchaseError::StartOutOfRange);
    }
    Ok(wanted.max(now))
}

async fn insert(connection: &mut AnyConnection, row: &PackageRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO package (account_id, instance_id, specification, granted, remaining, price_micros, order_id, purchased_at, \
         starts_at, ends_at, zone, renewal_of, alert_floor, phase_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(row.account_id)
    .bind(row.package.instance_id.clone())
    .bind(row.specification)
    .bind(row.package.granted)
    .bind(row.package.remaining)
    .bind(row.price.0)
    .bind(row.order_id)
    .bind(row.package.purchased_at.0)
    .bind(row.package.starts_at.0)
    .bind(row.package.ends_at.0)
    .bind(row.zone.clone())
    .bind(row.renewal_of.clone())
    .bind(DISARMED)
    .bind(match row.package.starts_at > row.package.purchased_at {
        true => row.package.starts_at.0,
        false => row.package.ends_at.0,
    })
    .execute(connection)
    .await?;
    Ok(())
}
