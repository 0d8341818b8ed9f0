//! IP protection: the switch and the list of an account (see [`indicia_domain::ip_filter`]).
//!
//! Every change locks the account's row, so that two at once can neither pass the limit nor leave protection on with
//! an empty list.

use std::sync::atomic::Ordering;

use indicia_domain::ip_filter::{ENTRIES_MAX, IpProtection, IpRange};
use indicia_domain::time::UnixMicros;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::audit::{Actor, Deed};
use crate::setting::{Counted, next_counted_ids};
use crate::{Result, Store, StoreError};

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpFilter {
    pub filter_id: i64,
    pub range: IpRange,
    pub created_at: UnixMicros,
}

/// Why a list or its switch is not changed.
#[derive(Debug, thiserror::Error)]
pub enum IpFilterError {
    #[error("there is no account {0}")]
    NoAccount(i64),
    #[error("the list has {ENTRIES_MAX} entries, which is the limit; delete one first")]
    Full,
    #[error("the list has {range} already, under the number {filter_id}")]
    Exists { range: IpRange, filter_id: i64 },
    #[error("the list has no entry with the number {0}")]
    NotFound(i64),
    #[error("the list is empty: switched on, protection would lock everybody out; add an address first")]
    Empty,
    #[error(
        "it is the last entry while protection is on: without it everybody would be locked out; switch protection off first"
    )]
    Last,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for IpFilterError {
    fn from(error: sqlx::Error) -> Self {
        IpFilterError::Store(error.into())
    }
}

impl Store {
    /// Grows whenever this process has changed any account's protection, so that who remembers one knows when to ask
    /// again. What other processes change is not seen here.
    pub fn ip_protection_version(&self) -> u64 {
        self.inner.ip_protection_version.load(Ordering::Acquire)
    }

    fn ip_protection_changed(&self) {
        self.inner.ip_protection_version.fetch_add(1, Ordering::AcqRel);
    }

    /// The switch and the list. An account that does not exist has none.
    pub async fn ip_protection(&self, account_id: i64) -> Result<IpProtection> {
        // One statement: between two, the list could lose what the switch relies on.
        let rows = sqlx::query(
            "SELECT a.ip_protection, f.addresses FROM account a LEFT JOIN ip_filter f ON f.account_id = a.account_id \
             WHERE a.account_id = $1",
        )
        .bind(account_id)
        .fetch_all(self.read())
        .await?;
        let mut protection = IpProtection::default();
        for row in &rows {
            protection.is_on = row.try_get::<i64, _>(0)? == 1;
            if let Some(text) = row.try_get::<Option<String>, _>(1)? {
                protection.ranges.push(range_of(&text)?);
            }
        }
        Ok(protection)
    }

    /// The list, oldest entry first.
    pub async fn ip_filters(&self, account_id: i64) -> Result<Vec<IpFilter>> {
        let mut connection = self.read().acquire().await?;
        filters(&mut connection, account_id).await
    }

    /// Adds an entry; returns its number.
    pub async fn add_ip_filter(
        &self,
        account_id: i64,
        range: IpRange,
        actor: &Actor,
    ) -> Result<i64, IpFilterError> {
        let audit_id = self.next_id().await?;
        let now = self.now();
        let mut transaction = self.begin().await?;
        let filter_id = next_counted_ids(&mut transaction, Counted::IpFilter, 1).await?;
        self.lock_protection(&mut transaction, account_id).await?;
        let list = filters(&mut transaction, account_id).await?;
        if let Some(same) = list.iter().find(|filter| filter.range.to_string() == range.to_string()) {
            return Err(IpFilterError::Exists { range, filter_id: same.filter_id });
        }
        if list.len() >= ENTRIES_MAX {
            return Err(IpFilterError::Full);
        }
        sqlx::query(
            "INSERT INTO ip_filter (account_id, filter_id, addresses, created_at) VALUES ($1, $2, $3, $4)",
        )
        .bind(account_id)
        .bind(filter_id)
        .bind(range.to_string())
        .bind(now.0)
        .execute(&mut *transaction)
        .await?;
        let deed = Deed {
            audit_id,
            actor,
            account_id: Some(account_id),
            action: "add-ip-filter",
            detail: range.to_string(),
        };
        deed.note(&mut transaction, now).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        self.ip_protection_changed();
        Ok(filter_id)
    }

    /// Removes an entry. The last one stays while protection is on.
    pub async fn delete_ip_filter(
        &self,
        account_id: i64,
        filter_id: i64,
        actor: &Actor,
    ) -> Result<(), IpFilterError> {
        let audit_id = self.next_id().await?;
        let mut transaction = self.begin().await?;
        let is_on = self.lock_protection(&mut transaction, account_id).await?;
        let list = filters(&mut transaction, account_id).await?;
        let found = list.iter().find(|filter| filter.filter_id == filter_id);
        let Some(found) = found else { return Err(IpFilterError::NotFound(filter_id)) };
        if is_on && list.len() == 1 {
            return Err(IpFilterError::Last);
        }
        sqlx::query("DELETE FROM ip_filter WHERE account_id = $1 AND filter_id = $2")
            .bind(account_id)
            .bind(filter_id)
            .execute(&mut *transaction)
            .await?;
        let deed = Deed {
            audit_id,
            actor,
            account_id: Some(account_id),
            action: "delete-ip-filter",
            detail: found.range.to_string(),
        };
        deed.note(&mut transaction, self.now()).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        self.ip_protection_changed();
        Ok(())
    }

    /// Switches protection. On needs an entry.
    pub async fn set_ip_protection(
        &self,
        account_id: i64,
        on: bool,
        actor: &Actor,
    ) -> Result<(), IpFilterError> {
        let audit_id = self.next_id().await?;
        let mut transaction = self.begin().await?;
        let is_on = self.lock_protection(&mut transaction, account_id).await?;
        if is_on == on {
            return Ok(());
        }
        if on && filters(&mut transaction, account_id).await?.is_empty() {
            return Err(IpFilterError::Empty);
        }
        sqlx::query("UPDATE account SET ip_protection = $1 WHERE account_id = $2")
            .bind(i64::from(on))
            .bind(account_id)
            .execute(&mut *transaction)
            .await?;
        let detail = if on { "on" } else { "off" }.to_owned();
        let deed =
            Deed { audit_id, actor, account_id: Some(account_id), action: "set-ip-protection", detail };
        deed.note(&mut transaction, self.now()).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        self.ip_protection_changed();
        Ok(())
    }

    /// Locks the account's row; whether protection is on.
    async fn lock_protection(
        &self,
        connection: &mut AnyConnection,
        account_id: i64,
    ) -> Result<bool, IpFilterError> {
        let sql =
            format!("SELECT ip_protection FROM account WHERE account_id = $1{}", self.engine().for_update());
        let row = sqlx::query(AssertSqlSafe(sql)).bind(account_id).fetch_optional(connection).await?;
        let row = row.ok_or(IpFilterError::NoAccount(account_id))?;
        Ok(row.try_get::<i64, _>(0)? == 1)
    }
}

async fn filters(connection: &mut AnyConnection, account_id: i64) -> Result<Vec<IpFilter>> {
    let rows = sqlx::query(
        "SELECT filter_id, addresses, created_at FROM ip_filter WHERE account_id = $1 ORDER BY filter_id",
    )
    .bind(account_id)
    .fetch_all(connection)
    .await?;
    rows.iter().map(filter_of).collect()
}

fn filter_of(row: &AnyRow) -> Result<IpFilter> {
    Ok(IpFilter {
        filter_id: row.try_get(0)?,
        range: range_of(&row.try_get::<String, _>(1)?)?,
        created_at: UnixMicros(row.try_get(2)?),
    })
}

fn range_of(text: &str) -> Result<IpRange> {
    text.parse().map_err(|error| StoreError::Corrupt(format!("IP filter '{text}': {error}")))
}
