//! Small values that belong to the whole installation: secrets made once, the demo's clock.

use sqlx::{AnyConnection, Row};

use crate::{Result, Store, StoreError};

impl Store {
    /// The value of a setting, `make`-ing and keeping it if there is none yet. Of several nodes that start at
    /// once, all get the one that was kept.
    pub async fn setting_or_insert(&self, name: &str, make: impl FnOnce() -> String) -> Result<String> {
        if let Some(value) = self.setting(name).await? {
            return Ok(value);
        }
        let mut transaction = self.begin().await?;
        sqlx::query("INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
            .bind(name.to_owned())
            .bind(make())
            .execute(&mut *transaction)
            .await?;
        let row = sqlx::query("SELECT value FROM setting WHERE name = $1")
            .bind(name.to_owned())
            .fetch_one(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(row.try_get(0)?)
    }

    pub async fn setting(&self, name: &str) -> Result<Option<String>> {
        let row = sqlx::query("SELECT value FROM setting WHERE name = $1")
            .bind(name.to_owned())
            .fetch_optional(self.read())
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    pub async fn set_setting(&self, name: &str, value: &str) -> Result<()> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(name.to_owned())
        .bind(value.to_owned())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Kinds of ids that are counted and not made from the time: the SDKs hold them in fewer bits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counted {
    /// Domains and sender addresses: 32 bits in the typed SDKs (Go, Java).
    Directory,
    /// Accounts: `Uid` is a JSON number, exact to 53 bits where numbers are floating (Node).
    Account,
    /// Orders: `OrderId`, the same.
    Order,
    /// Entries of suppression lists: 32 bits.
    Suppression,
    /// Entries of IP filter lists: texts in the API, kept short.
    IpFilter,
}

/// The next id of a kind.
pub(crate) async fn next_counted_id(connection: &mut AnyConnection, kind: Counted) -> Result<i64> {
    next_counted_ids(connection, kind, 1).await
}

/// The first of the next `count` ids of a kind.
pub(crate) async fn next_counted_ids(
    connection: &mut AnyConnection,
    kind: Counted,
    count: i64,
) -> Result<i64> {
    let (name, first) = match kind {
        Counted::Directory => ("directory_id", 100_001_i64),
        Counted::Account => ("account_id", 1_000_000_000_000_001),
        Counted::Order => ("order_id", 200_000_000_000_001),
        Counted::Suppression => ("suppression_id", 10_001),
        Counted::IpFilter => ("ip_filter_id", 10_001),
    };
    let row = sqlx::query(
        "INSERT INTO setting (name, value) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(setting.value AS BIGINT) + $3 AS TEXT) RETURNING value",
    )
    .bind(name)
    .bind((first + count - 1).to_string())
    .bind(count)
    .fetch_one(connection)
    .await?;
    let value: String = row.try_get(0)?;
    let last: i64 = value.parse().map_err(|_| StoreError::Corrupt(format!("setting {name} '{value}'")))?;
    Ok(last - count + 1)
}
