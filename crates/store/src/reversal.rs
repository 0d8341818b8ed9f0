//! R03: what a mail was charged is given back to the very sources that paid, last source first.

use indicia_domain::ledger::charge::{Purse, Source};
use indicia_domain::ledger::free_credit::FreeCredit;
use indicia_domain::ledger::{Kind, LedgerAccount, Transfer, Unit};
use indicia_domain::quota::Allowance;
use indicia_domain::time::{TimeZone, UnixMicros, local_day, never_back, zone};
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::admission::still_charged;
use crate::usage::UsageChange;
use crate::{Result, Store, StoreError};

/// An account's sources, locked, to give a charge back to.
pub(crate) struct Reversing {
    account_id: i64,
    zone: TimeZone,
    allowance: Allowance,
    free: FreeCredit,
    pay_as_you_go_mails: i64,
    sequence: i64,
    /// Taken under the lock, and never before the last change.
    now: UnixMicros,
}

impl Reversing {
    pub(crate) async fn load(
        store: &Store,
        connection: &mut AnyConnection,
        account_id: i64,
    ) -> Result<Option<Reversing>> {
        let sql = format!(
            "SELECT a.zone, s.daily_quota, s.quota_day, s.quota_day_used, s.quota_month, s.quota_month_used, s.free_left, \
             s.free_day, s.free_day_used, s.payg_mails, s.ledger_sequence, s.changed_at FROM account_state s \
             JOIN account a ON a.account_id = s.account_id WHERE s.account_id = $1{}",
            if store.engine().for_update().is_empty() { "" } else { " FOR UPDATE OF s" }
        );
        let Some(row) = sqlx::query(AssertSqlSafe(sql)).bind(account_id).fetch_optional(connection).await?
        else {
            return Ok(None);
        };
        let name: String = row.try_get(0)?;
        Ok(Some(Reversing {
            account_id,
            zone: zone(&name).map_err(|error| StoreError::Corrupt(error.to_string()))?,
            allowance: Allowance {
                daily_mails: row.try_get(1)?,
                day: row.try_get(2)?,
                day_used: row.try_get(3)?,
                month: row.try_get(4)?,
                month_used: row.try_get(5)?,
            },
            free: FreeCredit { total_left: row.try_get(6)?, day: row.try_get(7)?, day_used: row.try_get(8)? },
            pay_as_you_go_mails: row.try_get(9)?,
            sequence: row.try_get(10)?,
            now: never_back(store.now(), UnixMicros(row.try_get(11)?)),
        }))
    }

    /// Gives `mails` of a message back to the sources that they are still charged to, last source first.
    pub(crate) async fn reverse(
        &mut self,
        connection: &mut AnyConnection,
        message_id: i64,
        accepted_at: UnixMicros,
        mails: i64,
        memo: &str,
    ) -> Result<()> {
        let lines = crate::ledger::lines_of(connection, self.account_id, message_id).await?;
        let mut packages: Vec<_> = crate::package::all_packages(connection, self.account_id)
            .await?
            .into_iter()
            .map(|row| row.package)
            .collect();
        let day = local_day(&self.zone, accepted_at).number;
        let mut purse = Purse {
            free: &mut self.free,
            packages: &mut packages,
            pay_as_you_go_mails: &mut self.pay_as_you_go_mails,
        };
        let back = purse.reverse(&still_charged(&lines), day, mails);
        self.allowance.give_back(&self.zone, accepted_at, mails);
        crate::quota::give_back_warming(connection, (self.account_id, message_id), day, mails).await?;
        let mut reversal = Vec::with_capacity(back.len());
        let mut usage = UsageChange::default();
        for charge in &back {
            self.sequence += 1;
            reversal.push(Transfer {
                account_id: self.account_id,
                sequence: self.sequence,
                transaction_id: message_id,
                at: self.now,
                kind: Kind::Reversal,
                unit: Unit::Mail,
                from: LedgerAccount::Consumed,
                to: charge.source.ledger_account(),
                amount: charge.mails,
                before: charge.before,
                after: charge.after,
                memo: memo.to_owned(),
                validity: None,
            });
            usage.add(self.account_id, &self.zone, accepted_at, &charge.source, -charge.mails);
            if let Source::Package(instance) = &charge.source {
                sqlx::query("UPDATE package SET remaining = $1 WHERE account_id = $2 AND instance_id = $3")
                    .bind(charge.after)
                    .bind(self.account_id)
                    .bind(instance.clone())
                    .execute(&mut *connection)
                    .await?;
            }
        }
        crate::ledger::append(connection, &reversal).await?;
        usage.write(connection).await?;
        self.save(connection).await
    }

    async fn save(&self, connection: &mut AnyConnection) -> Result<()> {
        sqlx::query(
            "UPDATE account_state SET quota_day_used = $1, quota_month_used = $2, free_left = $3, free_day_used = $4, \
             payg_mails = $5, ledger_sequence = $6, changed_at = $7 WHERE account_id = $8",
        )
        .bind(self.allowance.day_used)
        .bind(self.allowance.month_used)
        .bind(self.free.total_left)
        .bind(self.free.day_used)
        .bind(self.pay_as_you_go_mails)
        .bind(self.sequence)
        .bind(self.now.0)
        .bind(self.account_id)
        .execute(connection)
        .await?;
        Ok(())
    }
}
