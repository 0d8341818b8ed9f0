//! One account's money and packages, opened for a change.
//!
//! Everything that moves money or grants mails goes through [`Books`]: open locks the account's row, each entry
//! moves a balance and adds its ledger line, close writes both. So a line's `before` and `after` are the balances
//! that were really there, and lines have no gap (R25, R27). Charging of mails, which is the hot path, does the
//! same for a whole batch at once ([`crate::admission`]).

use std::collections::HashMap;

use indicia_domain::account::AccountStatus;
use indicia_domain::ledger::{Kind, LedgerAccount, Transfer, Unit, Validity};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{TimeZone, UnixMicros, never_back, zone};
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::alert::Crossing;
use crate::ledger::append;
use crate::{Result, Store, StoreError};

/// An account while its row is locked.
pub(crate) struct Books {
    pub account_id: i64,
    pub zone_name: String,
    pub zone: TimeZone,
    /// Taken under the lock, so that no deduction can come between, and never before the last change.
    pub now: UnixMicros,
    pub status: AccountStatus,
    pub credit_limit: MoneyMicros,
    pub due: MoneyMicros,
    pub overdue_since: Option<UnixMicros>,
    pub alert_percent: i64,
    pub alert_floor: i64,
    cash: i64,
    open: i64,
    pay_as_you_go: i64,
    free: i64,
    sequence: i64,
    /// Mails left in the packages that entries have touched.
    packages: HashMap<String, i64>,
    lines: Vec<Transfer>,
}

/// One movement.
pub(crate) struct Entry<'a> {
    pub kind: Kind,
    pub unit: Unit,
    pub from: LedgerAccount,
    pub to: LedgerAccount,
    pub amount: i64,
    pub transaction_id: i64,
    pub memo: &'a str,
    pub validity: Option<Validity>,
}

impl Books {
    /// Locks the account until the transaction ends; `None` when there is none.
    pub async fn open(
        store: &Store,
        connection: &mut AnyConnection,
        account_id: i64,
    ) -> Result<Option<Books>> {
        let sql = format!(
            "SELECT a.zone, s.status, s.cash_micros, s.credit_limit_micros, s.open_micros, s.due_micros, s.overdue_since, \
             s.payg_mails, s.free_left, s.ledger_sequence, s.alert_percent, s.alert_floor, s.changed_at \
             FROM account_state s JOIN account a ON a.account_id = s.account_id WHERE s.account_id = $1{}",
            if store.engine().for_update().is_empty() { "" } else { " FOR UPDATE OF s" }
        );
        let row = sqlx::query(AssertSqlSafe(sql)).bind(account_id).fetch_optional(connection).await?;
        let Some(row) = row else { return Ok(None) };
        let zone_name: String = row.try_get(0)?;
        Ok(Some(Books {
            account_id,
            zone: zone(&zone_name).map_err(|error| StoreError::Corrupt(error.to_string()))?,
            zone_name,
            now: never_back(store.now(), UnixMicros(row.try_get(12)?)),
            status: AccountStatus(row.try_get(1)?),
            cash: row.try_get(2)?,
            credit_limit: MoneyMicros(row.try_get(3)?),
            open: row.try_get(4)?,
            due: MoneyMicros(row.try_get(5)?),
            overdue_since: row.try_get::<Option<i64>, _>(6)?.map(UnixMicros),
            pay_as_you_go: row.try_get(7)?,
            free: row.try_get(8)?,
            sequence: row.try_get(9)?,
            alert_percent: row.try_get(10)?,
            alert_floor: row.try_get(11)?,
            packages: HashMap::new(),
            lines: Vec::new(),
        }))
    }

    pub fn cash(&self) -> MoneyMicros {
        MoneyMicros(self.cash)
    }

    /// Billed and not yet paid.
    pub fn open_bills(&self) -> MoneyMicros {
        MoneyMicros(self.open)
    }

    /// This instant, and the last line so far.
    pub fn crossing(&self) -> Crossing {
        Crossing { account_id: self.account_id, now: self.now, sequence: self.sequence }
    }

    pub fn free_mails(&self) -> i64 {
        self.free
    }

    /// What can be spent: the balance and the credit limit.
    pub fn available(&self) -> i128 {
        i128::from(self.cash) + i128::from(self.credit_limit.0)
    }

    /// Says how many mails a package has before the first entry that touches it.
    pub fn package(&mut self, instance_id: &str, remaining: i64) {
        self.packages.insert(instance_id.to_owned(), remaining);
    }

    /// Adds a line and moves the balances. An amount of zero is no movement and no line.
    pub fn enter(&mut self, entry: Entry<'_>) {
        if entry.amount == 0 {
            return;
        }
        self.sequence += 1;
        let mut line = Transfer {
            account_id: self.account_id,
            sequence: self.sequence,
            transaction_id: entry.transaction_id,
            at: self.now,
            kind: entry.kind,
            unit: entry.unit,
            from: entry.from,
            to: entry.to,
            amount: entry.amount,
            before: 0,
            after: 0,
            memo: entry.memo.to_owned(),
            validity: entry.validity,
        };
        line.before = self.shown(line.own_side().0);
        self.shift(&line.from, -line.amount);
        self.shift(&line.to, line.amount);
        line.after = self.shown(line.own_side().0);
        self.lines.push(line);
    }

    /// Money from one side to the other.
    pub fn money(
        &mut self,
        kind: Kind,
        from: LedgerAccount,
        to: LedgerAccount,
        amount: i64,
        of: (i64, &str),
    ) {
        let (transaction_id, memo) = of;
        self.enter(Entry { kind, unit: Unit::Money, from, to, amount, transaction_id, memo, validity: None });
    }

    /// Mails from one side to the other.
    pub fn mails(
        &mut self,
        kind: Kind,
        from: LedgerAccount,
        to: LedgerAccount,
        amount: i64,
        of: (i64, &str),
    ) {
        let (transaction_id, memo) = of;
        self.enter(Entry { kind, unit: Unit::Mail, from, to, amount, transaction_id, memo, validity: None });
    }

    fn shown(&self, side: &LedgerAccount) -> i64 {
        match side {
            LedgerAccount::Cash => self.cash,
            LedgerAccount::Receivable => self.open,
            LedgerAccount::PayAsYouGo => self.pay_as_you_go,
            LedgerAccount::Free => self.free,
            LedgerAccount::Package(instance) => self.packages.get(instance).copied().unwrap_or(0),
            _ => 0,
        }
    }

    fn shift(&mut self, side: &LedgerAccount, amount: i64) {
        match side {
            LedgerAccount::Cash => self.cash += amount,
            LedgerAccount::Receivable => self.open -= amount,
            LedgerAccount::PayAsYouGo => self.pay_as_you_go -= amount,
            LedgerAccount::Free => self.free += amount,
            LedgerAccount::Package(instance) => {
                *self.packages.entry(instance.clone()).or_default() += amount;
            }
            _ => {}
        }
    }

    /// Writes the lines and the account's row. The packages' rows are their own business.
    pub async fn close(self, connection: &mut AnyConnection) -> Result<()> {
        append(connection, &self.lines).await?;
        sqlx::query(
            "UPDATE account_state SET status = $1, cash_micros = $2, credit_limit_micros = $3, open_micros = $4, due_micros = $5, \
             overdue_since = $6, payg_mails = $7, free_left = $8, ledger_sequence = $9, alert_percent = $10, alert_floor = $11, \
             changed_at = $12 WHERE account_id = $13",
        )
        .bind(self.status.0)
        .bind(self.cash)
        .bind(self.credit_limit.0)
        .bind(self.open)
        .bind(self.due.0)
        .bind(self.overdue_since.map(|at| at.0))
        .bind(self.pay_as_you_go)
        .bind(self.free)
        .bind(self.sequence)
        .bind(self.alert_percent)
        .bind(self.alert_floor)
        .bind(self.now.0)
        .bind(self.account_id)
        .execute(connection)
        .await?;
        Ok(())
    }
}
