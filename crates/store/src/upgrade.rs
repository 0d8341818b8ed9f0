//! What a newer schema needs and SQL alone cannot compute: totals by hour and day of lines that were written before
//! there were such totals. Local hours and days need the calendar.

use indicia_domain::ledger::charge::Source;
use indicia_domain::ledger::{Kind, LedgerAccount};
use indicia_domain::time::{UnixMicros, zone};
use sqlx::{AnyConnection, Row};

use crate::usage::UsageChange;
use crate::{Result, Store, StoreError};

/// Lines read at a time.
const LINES: i64 = 5_000;

impl Store {
    /// Fills the totals, once for a database. Of several nodes that start at once one does it and the others wait.
    pub(crate) async fn fill_totals(&self) -> Result<()> {
        if self.setting("totals_filled").await?.is_some() {
            return Ok(());
        }
        let mut transaction = self.begin().await?;
        let first = sqlx::query(
            "INSERT INTO setting (name, value) VALUES ('totals_filled', $1) ON CONFLICT (name) DO NOTHING",
        )
        .bind(self.now().to_string())
        .execute(&mut *transaction)
        .await?;
        if first.rows_affected() == 1 {
            let accounts =
                sqlx::query("SELECT account_id, zone FROM account").fetch_all(&mut *transaction).await?;
            for row in accounts {
                let name: String = row.try_get(1)?;
                fill_account(&mut transaction, row.try_get(0)?, &name).await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }
}

async fn fill_account(connection: &mut AnyConnection, account_id: i64, zone_name: &str) -> Result<()> {
    let corrupt = |error: &dyn std::fmt::Display| StoreError::Corrupt(error.to_string());
    let zone = zone(zone_name).map_err(|error| corrupt(&error))?;
    let mut change = UsageChange::default();
    let mut after = 0_i64;
    loop {
        let rows = sqlx::query(
            "SELECT l.sequence, l.kind, l.from_account, l.to_account, l.amount, COALESCE(m.accepted_at, l.at) FROM ledger l \
             LEFT JOIN message m ON m.account_id = l.account_id AND m.message_id = l.transaction_id \
             WHERE l.account_id = $1 AND l.sequence > $2 AND l.kind IN ('send', 'reversal') ORDER BY l.sequence LIMIT $3",
        )
        .bind(account_id)
        .bind(after)
        .bind(LINES)
        .fetch_all(&mut *connection)
        .await?;
        for row in &rows {
            after = row.try_get(0)?;
            let is_reversal = row.try_get::<String, _>(1)? == Kind::Reversal.as_str();
            let side: String = row.try_get(if is_reversal { 3 } else { 2 })?;
            let side: LedgerAccount = side.parse().map_err(|error| corrupt(&error))?;
            let Some(source) = Source::from_ledger_account(&side) else { continue };
            let mails: i64 = row.try_get(4)?;
            let at = UnixMicros(row.try_get(5)?);
            change.add(account_id, &zone, at, &source, if is_reversal { -mails } else { mails });
        }
        if rows.len() < LINES as usize {
            return change.write(connection).await;
        }
    }
}
