//! Resource packages and their purchase.

use indicia_domain::ledger::package::Package;
use indicia_domain::ledger::price::PriceList;
use indicia_domain::ledger::{Kind, LedgerAccount, Transfer, Unit};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{self, UnixMicros};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::account::{cash_for_update, set_cash};
use crate::admission::Nonce;
use crate::ledger::append;
use crate::setting::{Counted, next_counted_id};
use crate::{Result, Store, StoreError};

/// A package as it is kept.
#[derive(Clone, Debug)]
pub struct PackageRow {
    pub account_id: i64,
    pub package: Package,
    /// Mails of the offer that was bought.
    pub specification: i64,
    pub price: MoneyMicros,
    pub order_id: i64,
    /// The zone in which the end was computed; every date shown is in it (R14).
    pub zone: String,
}

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

/// Why nothing was bought.
#[derive(Debug, thiserror::Error)]
pub enum PurchaseError {
    #[error("there is no account {0}")]
    NoAccount(i64),
    #[error("{0} mails is not a package on offer")]
    UnknownSpecification(i64),
    #[error("a purchase has 1 to {QUANTITY_MAX} packages, not {0}")]
    Quantity(i64),
    #[error("validity can begin from now to six months ahead")]
    StartOutOfRange,
    #[error("the purchase costs {price}, the balance is {balance}; put money on the account first")]
    InsufficientBalance { price: MoneyMicros, balance: MoneyMicros },
    #[error("the idempotency key was used for another request; use a new key for a new purchase")]
    IdempotencyConflict,
    #[error("the request's nonce was used before; sign the request anew")]
    NonceReplayed,
    #[error("the account's zone is unknown: {0}")]
    Zone(#[from] time::UnknownZone),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for PurchaseError {
    fn from(error: sqlx::Error) -> Self {
        PurchaseError::Store(error.into())
    }
}

/// Which packages to list.
#[derive(Clone, Debug, Default)]
pub struct PackageFilter {
    pub ends_from: Option<UnixMicros>,
    pub ends_before: Option<UnixMicros>,
}

const PACKAGE: &str = "SELECT account_id, instance_id, specification, granted, remaining, price_micros, order_id, purchased_at, \
    starts_at, ends_at, zone, refunded_at FROM package";

impl Store {
    /// Buys packages from the cash balance: order, packages and both ledger lines of each in one transaction.
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
        let account =
            self.account(request.account_id).await?.ok_or(PurchaseError::NoAccount(request.account_id))?;
        let zone = time::zone(&account.zone)?;
        // Made before the transaction begins: the first id of a process joins it, which writes, and SQLite has one
        // writer.
        let mut instance_ids = Vec::new();
        for _ in 0..request.quantity {
            instance_ids.push(format!("DMBAG-{}", self.next_id().await?));
        }
        let mut transaction = self.begin().await?;
        let locked = cash_for_update(self, &mut transaction, request.account_id).await?;
        let (balance, sequence) = locked.ok_or(PurchaseError::NoAccount(request.account_id))?;
        // The instant is taken under the account's lock, so that no deduction can come between.
        let now = self.now();
        if let Some(receipt) = earlier_receipt(&mut transaction, request).await? {
            return Ok(receipt);
        }
        if let Some(nonce) = &request.nonce
            && !nonce.keep(&mut transaction, now).await?
        {
            return Err(PurchaseError::NonceReplayed);
        }
        let starts_at = start_of(request, now, &zone)?;
        let total =
            offer.price.checked_mul(request.quantity).ok_or(PurchaseError::Quantity(request.quantity))?;
        let after = match balance.checked_sub(total) {
            Some(after) if after.0 >= 0 => after,
            _ => return Err(PurchaseError::InsufficientBalance { price: total, balance }),
        };
        let order_id = next_counted_id(&mut transaction, Counted::Order).await?;
        let ends_at = time::validity_end(&zone, starts_at, prices.validity_months());
        let mut lines = Vec::new();
        for (number, instance_id) in (0..).zip(&instance_ids) {
            let row = PackageRow {
                account_id: request.account_id,
                package: Package {
                    instance_id: instance_id.clone(),
                    granted: offer.mails,
                    remaining: offer.mails,
                    purchased_at: now,
                    starts_at,
                    ends_at,
                    refunded: false,
                },
                specification: offer.mails,
                price: offer.price,
                order_id,
                zone: account.zone.clone(),
            };
            insert(&mut transaction, &row).await?;
            let cash_before = balance.0 - offer.price.0 * number;
            lines.extend(purchase_lines(&row, sequence + 1 + number * 2, cash_before, now));
        }
        append(&mut transaction, &lines).await?;
        set_cash(&mut transaction, request.account_id, after, sequence + 2 * request.quantity).await?;
        let receipt = Receipt {
            order_id,
            instance_ids,
            total_micros: total.0,
            starts_at: starts_at.0,
            ends_at: ends_at.0,
        };
        keep_receipt(&mut transaction, request, &receipt, now).await?;
        transaction.commit().await?;
        Ok(receipt)
    }

    /// All packages of an account, earliest end first (the order in which they pay).
    pub async fn packages(&self, account_id: i64, filter: &PackageFilter) -> Result<Vec<PackageRow>> {
        let sql = format!(
            "{PACKAGE} WHERE account_id = $1 AND ends_at >= $2 AND ends_at < $3 ORDER BY ends_at, purchased_at, instance_id"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(account_id)
            .bind(filter.ends_from.map_or(i64::MIN, |at| at.0))
            .bind(filter.ends_before.map_or(i64::MAX, |at| at.0))
            .fetch_all(self.read())
            .await?;
        rows.iter().map(package_of).collect()
    }

    pub async fn package(&self, account_id: i64, instance_id: &str) -> Result<Option<PackageRow>> {
        let row = sqlx::query(AssertSqlSafe(format!("{PACKAGE} WHERE account_id = $1 AND instance_id = $2")))
            .bind(account_id)
            .bind(instance_id.to_owned())
            .fetch_optional(self.read())
            .await?;
        row.as_ref().map(package_of).transpose()
    }
}

/// Every package of an account, read in the caller's transaction.
pub(crate) async fn all_packages(connection: &mut AnyConnection, account_id: i64) -> Result<Vec<PackageRow>> {
    let rows = sqlx::query(AssertSqlSafe(format!("{PACKAGE} WHERE account_id = $1")))
        .bind(account_id)
        .fetch_all(connection)
        .await?;
    rows.iter().map(package_of).collect()
}

fn start_of(
    request: &PurchaseRequest,
    now: UnixMicros,
    zone: &time::TimeZone,
) -> Result<UnixMicros, PurchaseError> {
    let Some(wanted) = request.starts_at else { return Ok(now) };
    let latest = time::validity_end(zone, now, 6);
    if wanted.0 < now.0 - 5 * time::MINUTE_MICROS || wanted > latest {
        return Err(PurchaseError::StartOutOfRange);
    }
    Ok(wanted.max(now))
}

fn purchase_lines(row: &PackageRow, sequence: i64, cash_before: i64, at: UnixMicros) -> [Transfer; 2] {
    let instance = &row.package.instance_id;
    let money = Transfer {
        account_id: row.account_id,
        sequence,
        transaction_id: row.order_id,
        at,
        kind: Kind::Purchase,
        unit: Unit::Money,
        from: LedgerAccount::Cash,
        to: LedgerAccount::Sales,
        amount: row.price.0,
        before: cash_before,
        after: cash_before - row.price.0,
        memo: format!("package {instance} of {} mails", row.package.granted),
    };
    let mails = Transfer {
        sequence: sequence + 1,
        unit: Unit::Mail,
        from: LedgerAccount::Granted,
        to: LedgerAccount::Package(instance.clone()),
        amount: row.package.granted,
        before: 0,
        after: row.package.granted,
        ..money.clone()
    };
    [money, mails]
}

/// What a request is, for telling the same again from another under one key.
fn fingerprint(request: &PurchaseRequest) -> String {
    let starts = request.starts_at.map_or("now".to_owned(), |at| at.0.to_string());
    format!("purchase {} x {} from {starts}", request.specification, request.quantity)
}

async fn earlier_receipt(
    connection: &mut AnyConnection,
    request: &PurchaseRequest,
) -> Result<Option<Receipt>, PurchaseError> {
    let Some(key) = &request.idempotency_key else { return Ok(None) };
    let row =
        sqlx::query("SELECT content_hash, answer FROM idempotency WHERE account_id = $1 AND idem_key = $2")
            .bind(request.account_id)
            .bind(key.clone())
            .fetch_optional(connection)
            .await?;
    let Some(row) = row else { return Ok(None) };
    if row.try_get::<String, _>(0)? != fingerprint(request) {
        return Err(PurchaseError::IdempotencyConflict);
    }
    let answer: String = row.try_get(1)?;
    let receipt = serde_json::from_str(&answer)
        .map_err(|_| StoreError::Corrupt(format!("receipt under key '{key}'")))?;
    Ok(Some(receipt))
}

async fn keep_receipt(
    connection: &mut AnyConnection,
    request: &PurchaseRequest,
    receipt: &Receipt,
    now: UnixMicros,
) -> Result<()> {
    let Some(key) = &request.idempotency_key else { return Ok(()) };
    let answer = serde_json::to_string(receipt).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    sqlx::query("INSERT INTO idempotency (account_id, idem_key, content_hash, answer, created_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(request.account_id)
        .bind(key.clone())
        .bind(fingerprint(request))
        .bind(answer)
        .bind(now.0)
        .execute(connection)
        .await?;
    Ok(())
}

async fn insert(connection: &mut AnyConnection, row: &PackageRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO package (account_id, instance_id, specification, granted, remaining, price_micros, order_id, purchased_at, \
         starts_at, ends_at, zone) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
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
    .execute(connection)
    .await?;
    Ok(())
}

fn package_of(row: &AnyRow) -> Result<PackageRow> {
    Ok(PackageRow {
        account_id: row.try_get(0)?,
        package: Package {
            instance_id: row.try_get(1)?,
            granted: row.try_get(3)?,
            remaining: row.try_get(4)?,
            purchased_at: UnixMicros(row.try_get(7)?),
            starts_at: UnixMicros(row.try_get(8)?),
            ends_at: UnixMicros(row.try_get(9)?),
            refunded: row.try_get::<Option<i64>, _>(11)?.is_some(),
        },
        specification: row.try_get(2)?,
        price: MoneyMicros(row.try_get(5)?),
        order_id: row.try_get(6)?,
        zone: row.try_get(10)?,
    })
}
