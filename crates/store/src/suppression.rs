//! What an account's owner does with the library of invalid addresses: enter addresses and whole domains, list them,
//! take them out, and say which libraries apply (dossier 8.3).
//!
//! The rows are [`crate::invalid`]'s. An entry gets its number when it is first shown to somebody, since nobody can
//! name it before: so the deliveries that enter addresses by the thousand number nothing.

use indicia_domain::mail::suppression::{SuppressionLevel, domain_key_of};
use indicia_domain::time::UnixMicros;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::audit::{Actor, Deed};
use crate::invalid::escape_like;
use crate::setting::{Counted, next_counted_ids};
use crate::{Result, Store, StoreError};

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// One account's entries have different numbers, in 31 bits as the typed SDKs hold them.
    pub suppression_id: i64,
    /// An address, or the name of a domain.
    pub address: String,
    pub entered_by_owner: bool,
    pub created_at: UnixMicros,
    /// When a mail last hit it; to within a minute.
    pub last_hit_at: Option<UnixMicros>,
}

/// Which entries to list.
#[derive(Clone, Debug)]
pub struct SuppressionQuery {
    pub account_id: i64,
    /// A part of the address or domain.
    pub address_part: Option<String>,
    /// Instants `[from, before)` of the entry.
    pub created: Option<(UnixMicros, UnixMicros)>,
    /// Instants `[from, before)` of the last hit.
    pub hit: Option<(UnixMicros, UnixMicros)>,
    pub offset: i64,
    pub limit: i64,
}

impl SuppressionQuery {
    /// The conditions; their five parameters are bound by [`SuppressionQuery::bind`].
    const CONDITION: &str = "WHERE account_id = $1 AND address_key LIKE $2 ESCAPE '!' AND first_at >= $3 AND first_at < $4 \
         AND (last_at >= $5 AND last_at < $6)";

    fn bind<'q>(&self, query: crate::bulk::AnyQuery<'q>) -> crate::bulk::AnyQuery<'q> {
        let always = (UnixMicros(i64::MIN), UnixMicros(i64::MAX));
        let part = escape_like(&self.address_part.clone().unwrap_or_default().to_lowercase());
        let (created, hit) = (self.created.unwrap_or(always), self.hit.unwrap_or(always));
        query
            .bind(self.account_id)
            .bind(format!("%{part}%"))
            .bind(created.0.0)
            .bind(created.1.0)
            .bind(hit.0.0)
            .bind(hit.1.0)
    }
}

impl Store {
    /// Enters an address, or a whole domain whose key `domain_key_of` makes. Entered again, or found invalid before, it
    /// stays one entry, from now on its owner's: it is not forgotten after a year. Returns its number.
    pub async fn suppress(&self, account_id: i64, address: &str, key: &str) -> Result<i64> {
        let now = self.now();
        let mut transaction = self.begin().await?;
        let suppression_id = next_counted_ids(&mut transaction, Counted::Suppression, 1).await?;
        if domain_key_of(key) == key {
            sqlx::query(
                "UPDATE account SET suppresses_domains = 1 WHERE account_id = $1 AND suppresses_domains = 0",
            )
            .bind(account_id)
            .execute(&mut *transaction)
            .await?;
        }
        let row = sqlx::query(
            "INSERT INTO invalid_address (account_id, address_key, address, first_at, last_at, message_id, reply, kind, suppression_id) \
             VALUES ($1, $2, $3, $4, 0, 0, '', 'user', $5) ON CONFLICT (account_id, address_key) DO UPDATE SET kind = 'user', \
             suppression_id = COALESCE(invalid_address.suppression_id, excluded.suppression_id) RETURNING suppression_id",
        )
        .bind(account_id)
        .bind(key.to_owned())
        .bind(address.to_owned())
        .bind(now.0)
        .bind(suppression_id)
        .fetch_one(&mut *transaction)
        .await?;
        transaction.commit().await?;
        self.invalid_library_changed();
        Ok(row.try_get(0)?)
    }

    /// A page of entries, newest first, and the count of all that match.
    pub async fn suppressions(&self, query: &SuppressionQuery) -> Result<(Vec<Suppression>, i64)> {
        let count = format!("SELECT COUNT(*) FROM invalid_address {}", SuppressionQuery::CONDITION);
        let total = query.bind(sqlx::query(AssertSqlSafe(count))).fetch_one(self.read()).await?.try_get(0)?;
        let sql = format!(
            "SELECT address_key, suppression_id, address, kind, first_at, last_at FROM invalid_address {} \
             ORDER BY first_at DESC, address_key LIMIT $7 OFFSET $8",
            SuppressionQuery::CONDITION
        );
        let rows = query
            .bind(sqlx::query(AssertSqlSafe(sql)))
            .bind(query.limit)
            .bind(query.offset)
            .fetch_all(self.read())
            .await?;
        let mut unnumbered = Vec::new();
        for row in &rows {
            if row.try_get::<Option<i64>, _>(1)?.is_none() {
                unnumbered.push(row.try_get::<String, _>(0)?);
            }
        }
        let numbers = self.number_suppressions(query.account_id, unnumbered).await?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in &rows {
            let key: String = row.try_get(0)?;
            let number = row.try_get::<Option<i64>, _>(1)?;
            let number = number.or_else(|| numbers.iter().find(|(of, _)| *of == key).map(|(_, id)| *id));
            // Without one it was removed in this moment.
            if let Some(suppression_id) = number {
                entries.push(suppression_of(row, suppression_id)?);
            }
        }
        Ok((entries, total))
    }

    /// Gives entries their numbers; returns those of the entries that exist. Who numbers the same entry at the same
    /// time gets the same number.
    async fn number_suppressions(
        &self,
        account_id: i64,
        mut keys: Vec<String>,
    ) -> Result<Vec<(String, i64)>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        keys.sort_unstable();
        let mut transaction = self.begin().await?;
        let first = next_counted_ids(&mut transaction, Counted::Suppression, keys.len() as i64).await?;
        let mut numbered = Vec::with_capacity(keys.len());
        for (place, key) in keys.into_iter().enumerate() {
            let row = sqlx::query(
                "UPDATE invalid_address SET suppression_id = COALESCE(suppression_id, $1) \
                 WHERE account_id = $2 AND address_key = $3 RETURNING suppression_id",
            )
            .bind(first + place as i64)
            .bind(account_id)
            .bind(key.clone())
            .fetch_optional(&mut *transaction)
            .await?;
            if let Some(row) = row {
                numbered.push((key, row.try_get(0)?));
            }
        }
        transaction.commit().await?;
        Ok(numbered)
    }

    /// Removes entries by their numbers. If some of them are no entries of the account nothing is removed, and they
    /// are returned.
    pub async fn unsuppress(&self, account_id: i64, suppression_ids: &[i64]) -> Result<Vec<i64>> {
        let mut wanted = suppression_ids.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut unknown = Vec::new();
        let mut transaction = self.begin().await?;
        for suppression_id in wanted {
            let done =
                sqlx::query("DELETE FROM invalid_address WHERE account_id = $1 AND suppression_id = $2")
                    .bind(account_id)
                    .bind(suppression_id)
                    .execute(&mut *transaction)
                    .await?;
            if done.rows_affected() == 0 {
                unknown.push(suppression_id);
            }
        }
        match unknown.is_empty() {
            true => transaction.commit().await?,
            false => transaction.rollback().await?,
        }
        Ok(unknown)
    }

    /// Which libraries apply to the account's mail; `None`: there is no such account.
    pub async fn suppression_level(&self, account_id: i64) -> Result<Option<SuppressionLevel>> {
        let mut connection = self.read().acquire().await?;
        level_of(&mut connection, account_id).await
    }

    /// Sets it. `false`: there is no such account.
    pub async fn set_suppression_level(
        &self,
        account_id: i64,
        level: SuppressionLevel,
        actor: &Actor,
    ) -> Result<bool> {
        let audit_id = self.next_id().await?;
        let mut transaction = self.begin().await?;
        let Some(before) = level_of(&mut transaction, account_id).await? else { return Ok(false) };
        if before != level {
            sqlx::query("UPDATE account SET suppression_level = $1 WHERE account_id = $2")
                .bind(level.as_str())
                .bind(account_id)
                .execute(&mut *transaction)
                .await?;
            let detail = format!("{} -> {}", before.as_str(), level.as_str());
            let action = "set-suppression-level";
            let deed = Deed { audit_id, actor, account_id: Some(account_id), action, detail };
            deed.note(&mut transaction, self.now()).await?;
            transaction.commit().await?;
        }
        Ok(true)
    }
}

async fn level_of(connection: &mut AnyConnection, account_id: i64) -> Result<Option<SuppressionLevel>> {
    let row = sqlx::query("SELECT suppression_level FROM account WHERE account_id = $1")
        .bind(account_id)
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let text: String = row.try_get(0)?;
    let corrupt = |error| StoreError::Corrupt(format!("suppression level '{text}': {error}"));
    Ok(Some(text.parse().map_err(corrupt)?))
}

fn suppression_of(row: &AnyRow, suppression_id: i64) -> Result<Suppression> {
    let last_at: i64 = row.try_get(5)?;
    Ok(Suppression {
        suppression_id,
        address: row.try_get(2)?,
        entered_by_owner: row.try_get::<String, _>(3)? == "user",
        created_at: UnixMicros(row.try_get(4)?),
        last_hit_at: (last_at != 0).then_some(UnixMicros(last_at)),
    })
}
