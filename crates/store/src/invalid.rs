//! The invalid-address library: addresses whose own server said that they do not exist.
//!
//! Personal: entered after any one delivery refused as invalid, isolated by account. Shared: an address that so
//! many accounts' mail found invalid is refused for all ([`SHARED_ACCOUNTS_MIN`]). What owners enter themselves stands
//! in the same rows ([`crate::suppression`]) and counts nothing for others. Which recipients of a mail are refused is
//! admission's to find out.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

pub use indicia_domain::mail::suppression::Listed;
use indicia_domain::time::UnixMicros;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::bulk::Bulk;
use crate::{Result, Store};

/// Accounts whose mail must have found an address invalid before it is refused for every account.
pub const SHARED_ACCOUNTS_MIN: i64 = 3;

/// One entry.
#[derive(Clone, Debug)]
pub struct InvalidAddress {
    pub address: String,
    pub first_at: UnixMicros,
    pub last_at: UnixMicros,
    pub message_id: i64,
    /// The remote server's words.
    pub reply: String,
}

/// Which entries to list, by the time they were first judged invalid.
#[derive(Clone, Debug)]
pub struct InvalidQuery {
    pub account_id: i64,
    pub from: UnixMicros,
    pub before: UnixMicros,
    /// A part of the address.
    pub key_word: Option<String>,
    pub offset: i64,
    pub limit: i64,
}

pub(crate) struct NewInvalid {
    pub account_id: i64,
    pub address_key: String,
    pub address: String,
    pub at: UnixMicros,
    pub message_id: i64,
    pub reply: String,
}

static ENTER: Bulk = Bulk::new(
    "INSERT INTO invalid_address (account_id, address_key, address, first_at, last_at, message_id, reply) VALUES",
    "($, $, $, $, $, $, $)",
    "ON CONFLICT (account_id, address_key) DO UPDATE SET last_at = excluded.last_at, message_id = excluded.message_id, \
     reply = excluded.reply",
);

/// Enters addresses; entering one again only moves its last instant. One statement cannot touch a row twice,
/// so doubles within `new` are dropped first.
pub(crate) async fn enter(connection: &mut AnyConnection, new: Vec<NewInvalid>) -> Result<()> {
    let mut seen = HashSet::new();
    let mut once: Vec<_> =
        new.into_iter().filter(|entry| seen.insert((entry.account_id, entry.address_key.clone()))).collect();
    once.sort_by(|a, b| (a.account_id, &a.address_key).cmp(&(b.account_id, &b.address_key)));
    ENTER
        .run(connection, &once, |query, entry| {
            query
                .bind(entry.account_id)
                .bind(entry.address_key.clone())
                .bind(entry.address.clone())
                .bind(entry.at.0)
                .bind(entry.at.0)
                .bind(entry.message_id)
                .bind(entry.reply.clone())
        })
        .await?;
    Ok(())
}

impl Store {
    /// Grows whenever this process has entered or blocked recipients, so that who remembers an answer knows when to ask again.
    /// What other processes enter is not seen here.
    pub fn invalid_library_version(&self) -> u64 {
        self.inner.invalid_version.load(Ordering::Acquire)
    }

    pub(crate) fn invalid_library_changed(&self) {
        self.inner.invalid_version.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether any address is refused for every account. Reads the whole library at worst: ask seldom.
    pub async fn has_shared_invalid_addresses(&self) -> Result<bool> {
        let row = sqlx::query(
            "SELECT address_key FROM invalid_address WHERE message_id <> 0 GROUP BY address_key HAVING COUNT(*) >= $1 LIMIT 1",
        )
        .bind(SHARED_ACCOUNTS_MIN)
        .fetch_optional(self.read())
        .await?;
        Ok(row.is_some())
    }

    /// A page of the addresses that deliveries found invalid, and the count of all that match, oldest first.
    pub async fn invalid_addresses(&self, query: &InvalidQuery) -> Result<(Vec<InvalidAddress>, i64)> {
        let pattern =
            format!("%{}%", escape_like(&query.key_word.clone().unwrap_or_default().to_lowercase()));
        let condition = "WHERE account_id = $1 AND first_at >= $2 AND first_at < $3 AND address_key LIKE $4 ESCAPE '!' AND message_id <> 0";
        let total = sqlx::query(AssertSqlSafe(format!("SELECT COUNT(*) FROM invalid_address {condition}")))
            .bind(query.account_id)
            .bind(query.from.0)
            .bind(query.before.0)
            .bind(pattern.clone())
            .fetch_one(self.read())
            .await?
            .try_get(0)?;
        let sql = format!(
            "SELECT address, first_at, last_at, message_id, reply FROM invalid_address {condition} \
             ORDER BY first_at, address_key LIMIT $5 OFFSET $6"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(query.account_id)
            .bind(query.from.0)
            .bind(query.before.0)
            .bind(pattern)
            .bind(query.limit)
            .bind(query.offset)
            .fetch_all(self.read())
            .await?;
        Ok((rows.iter().map(invalid_of).collect::<Result<_>>()?, total))
    }

    /// Forgets addresses that no mail has hit since `before`, unless their owner entered them; returns how many.
    pub async fn forget_invalid_before(&self, before: UnixMicros) -> Result<u64> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query("DELETE FROM invalid_address WHERE last_at < $1 AND kind = 'system'")
            .bind(before.0)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    }

    /// Removes an entry. `false`: there was none.
    pub async fn delete_invalid_address(&self, account_id: i64, key: &str) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query("DELETE FROM invalid_address WHERE account_id = $1 AND address_key = $2")
            .bind(account_id)
            .bind(key.to_owned())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }
}

pub(crate) fn escape_like(text: &str) -> String {
    text.replace('!', "!!").replace('%', "!%").replace('_', "!_")
}

fn invalid_of(row: &AnyRow) -> Result<InvalidAddress> {
    Ok(InvalidAddress {
        address: row.try_get(0)?,
        first_at: UnixMicros(row.try_get(1)?),
        last_at: UnixMicros(row.try_get(2)?),
        message_id: row.try_get(3)?,
        reply: row.try_get(4)?,
    })
}
