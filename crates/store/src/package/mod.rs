//! Resource packages: bought, renewed, exchanged, given back, and what begins and ends for them.
//!
//! | file | what |
//! | --- | --- |
//! | `mod` | the rows, read |
//! | `ordering` | what every order has in common: transaction, lock, once (R26) |
//! | `purchase` | buying, also as a renewal |
//! | `change` | refund and exchange of untouched ones (R12) |
//! | `phase` | validity begins and ends: alerts, lapse (R13, R15) |

mod change;
mod ordering;
mod phase;
mod purchase;

use indicia_domain::ledger::change::{NotRenewable, NotReturnable, NotUpgradable};
use indicia_domain::ledger::package::{Closed, Package, PackageStatus};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{self, UnixMicros};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::repeat::KeyError;
use crate::{Result, Store, StoreError};

pub use change::{RefundReceipt, RefundRequest, UpgradeRequest};
pub use phase::Phases;
pub use purchase::{PurchaseRequest, QUANTITY_MAX, Receipt, RenewRequest};

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
    /// When it was given back, by a refund or in exchange.
    pub closed_at: Option<UnixMicros>,
    /// The larger package it was exchanged for.
    pub replaced_by: Option<String>,
    /// The package whose renewal it is.
    pub renewal_of: Option<String>,
    /// R15: the threshold of its own alert in per cent, 0 for off.
    pub alert_percent: i64,
}

/// Why nothing was bought, exchanged or given back.
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
    #[error("this costs {price}, the balance is {balance}; put money on the account first")]
    InsufficientBalance { price: MoneyMicros, balance: MoneyMicros },
    #[error("the account has unpaid bills of {0} that are due; pay them first, then packages can be bought")]
    Overdue(MoneyMicros),
    #[error("the idempotency key was used for another request; use a new key for a new one")]
    IdempotencyConflict,
    #[error("the request's nonce was used before; sign the request anew")]
    NonceReplayed,
    #[error("the account has no package {0}")]
    NoInstance(String),
    #[error("the package {instance_id} cannot be refunded: {why}")]
    NotReturnable { instance_id: String, why: NotReturnable },
    #[error("the package {instance_id} cannot be exchanged: {why}")]
    NotUpgradable { instance_id: String, why: NotUpgradable },
    #[error("the package {instance_id} cannot be renewed: {why}")]
    NotRenewable { instance_id: String, why: NotRenewable },
    #[error("the package {instance_id} was renewed before, by {renewal}; renew that one to go on longer")]
    AlreadyRenewed { instance_id: String, renewal: String },
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

impl From<KeyError> for PurchaseError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Conflict => PurchaseError::IdempotencyConflict,
            KeyError::Store(error) => PurchaseError::Store(error),
        }
    }
}

/// Which packages to list.
#[derive(Clone, Debug, Default)]
pub struct PackageFilter {
    pub ends_from: Option<UnixMicros>,
    pub ends_before: Option<UnixMicros>,
}

const PACKAGE: &str = "SELECT account_id, instance_id, specification, granted, remaining, price_micros, order_id, purchased_at, \
    starts_at, ends_at, zone, refunded_at, closed_as, replaced_by, renewal_of, alert_percent FROM package";

impl Store {
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
        one_package(&mut *self.read().acquire().await?, account_id, instance_id).await
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

pub(crate) async fn one_package(
    connection: &mut AnyConnection,
    account_id: i64,
    instance_id: &str,
) -> Result<Option<PackageRow>> {
    let row = sqlx::query(AssertSqlSafe(format!("{PACKAGE} WHERE account_id = $1 AND instance_id = $2")))
        .bind(account_id)
        .bind(instance_id.to_owned())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(package_of).transpose()
}

/// The package that an order is about.
async fn wanted(
    connection: &mut AnyConnection,
    account_id: i64,
    instance_id: &str,
) -> Result<PackageRow, PurchaseError> {
    let row = one_package(connection, account_id, instance_id).await?;
    row.ok_or_else(|| PurchaseError::NoInstance(instance_id.to_owned()))
}

/// Why a package's mails cannot be changed.
pub(crate) enum Gone {
    Unknown,
    /// Ended or given back.
    Over,
}

/// A package that has neither ended nor been given back.
pub(crate) async fn live(
    connection: &mut AnyConnection,
    account_id: i64,
    instance_id: &str,
    now: UnixMicros,
) -> Result<Result<Package, Gone>> {
    let Some(row) = one_package(connection, account_id, instance_id).await? else {
        return Ok(Err(Gone::Unknown));
    };
    Ok(match row.package.status_at(now) {
        PackageStatus::Expired | PackageStatus::Refunded | PackageStatus::Upgraded => Err(Gone::Over),
        _ => Ok(row.package),
    })
}

/// An operator's correction of what a package has; more mails arm its own alert again (R15).
pub(crate) async fn adjust_mails(
    connection: &mut AnyConnection,
    account_id: i64,
    instance_id: &str,
    mails: i64,
) -> Result<()> {
    sqlx::query(
        "UPDATE package SET granted = granted + $1, remaining = remaining + $2, \
         alert_floor = CASE WHEN alert_percent = 0 OR (alert_floor < 0 AND $3 < 0) THEN -1 ELSE (granted + $4) * alert_percent / 100 END \
         WHERE account_id = $5 AND instance_id = $6",
    )
    .bind(mails)
    .bind(mails)
    .bind(mails)
    .bind(mails)
    .bind(account_id)
    .bind(instance_id.to_owned())
    .execute(connection)
    .await?;
    Ok(())
}

fn package_of(row: &AnyRow) -> Result<PackageRow> {
    let closed_as: Option<String> = row.try_get(12)?;
    let closed: Option<Closed> = closed_as
        .map(|name| name.parse())
        .transpose()
        .map_err(|error: indicia_domain::ledger::UnknownName| StoreError::Corrupt(error.to_string()))?;
    Ok(PackageRow {
        account_id: row.try_get(0)?,
        package: Package {
            instance_id: row.try_get(1)?,
            granted: row.try_get(3)?,
            remaining: row.try_get(4)?,
            purchased_at: UnixMicros(row.try_get(7)?),
            starts_at: UnixMicros(row.try_get(8)?),
            ends_at: UnixMicros(row.try_get(9)?),
            closed,
        },
        specification: row.try_get(2)?,
        price: MoneyMicros(row.try_get(5)?),
        order_id: row.try_get(6)?,
        zone: row.try_get(10)?,
        closed_at: row.try_get::<Option<i64>, _>(11)?.map(UnixMicros),
        replaced_by: row.try_get(13)?,
        renewal_of: row.try_get(14)?,
        alert_percent: row.try_get(15)?,
    })
}
