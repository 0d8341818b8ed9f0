//! R11: bills become due, are paid from the balance, and an account that cannot pay them is overdue.
//!
//! Everything here happens inside the transaction of its cause (a bill that reaches the threshold, the 1st of the
//! month, money that comes in), under the account's lock: so paying restores sending in the very commit that books
//! the payment, and the next admission batch sees it.

use indicia_domain::account::AccountStatus;
use indicia_domain::ledger::bill::{DueBill, collect};
use indicia_domain::ledger::{Kind, LedgerAccount};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::UnixMicros;
use sqlx::{AnyConnection, Row};

use crate::books::Books;
use crate::notice::{NewNotice, NoticeFacts, schedule};
use crate::{Result, Store, StoreError};

/// Why bills were collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettlementCause {
    /// Open bills reached the threshold.
    Threshold,
    /// The 1st of the month.
    Month,
    /// Money came in, a credit note was made, or the credit limit was raised, while bills were due.
    Payment,
}

impl SettlementCause {
    pub fn as_str(self) -> &'static str {
        match self {
            SettlementCause::Threshold => "threshold",
            SettlementCause::Month => "month",
            SettlementCause::Payment => "payment",
        }
    }

    fn read(text: &str) -> Result<SettlementCause> {
        [SettlementCause::Threshold, SettlementCause::Month, SettlementCause::Payment]
            .into_iter()
            .find(|cause| cause.as_str() == text)
            .ok_or_else(|| StoreError::Corrupt(format!("cause of a settlement '{text}'")))
    }
}

/// Bills paid together.
#[derive(Clone, Debug)]
pub struct Settlement {
    pub settlement_id: i64,
    pub at: UnixMicros,
    pub cause: SettlementCause,
    pub bills: i64,
    /// Negative when credit notes exceeded the bills.
    pub amount: MoneyMicros,
}

/// Bills that became due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CalledIn {
    pub bills: usize,
    /// Of them, those that cost nothing: credit notes, and bills that rounding left at zero.
    pub notes: usize,
    pub amount: MoneyMicros,
}

/// Calls in the open bills of hours that began before `before`.
pub(crate) async fn call_in(
    connection: &mut AnyConnection,
    account_id: i64,
    before: UnixMicros,
    now: UnixMicros,
) -> Result<CalledIn> {
    let rows = sqlx::query(
        "UPDATE bill SET due_at = $1 WHERE account_id = $2 AND hour_start < $3 AND settled_at IS NULL AND due_at IS NULL \
         RETURNING amount_micros",
    )
    .bind(now.0)
    .bind(account_id)
    .bind(before.0)
    .fetch_all(connection)
    .await?;
    let mut called = CalledIn::default();
    for row in &rows {
        let amount: i64 = row.try_get(0)?;
        called.bills += 1;
        called.notes += usize::from(amount <= 0);
        called.amount.0 += amount;
    }
    Ok(called)
}

/// Calls in the open credit notes, of whatever hour; returns how many.
pub(crate) async fn call_in_notes(
    connection: &mut AnyConnection,
    account_id: i64,
    now: UnixMicros,
) -> Result<u64> {
    let done = sqlx::query(
        "UPDATE bill SET due_at = $1 WHERE account_id = $2 AND amount_micros < 0 AND settled_at IS NULL AND due_at IS NULL",
    )
    .bind(now.0)
    .bind(account_id)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// Pays what is due as far as it can be, and sets or clears the account's arrears. `settlement_id` is used when
/// something is paid.
pub(crate) async fn settle(
    connection: &mut AnyConnection,
    books: &mut Books,
    settlement_id: i64,
    cause: SettlementCause,
) -> Result<bool> {
    let due = due_bills(connection, books.account_id).await?;
    let collected = collect(due, books.cash(), books.credit_limit);
    let paid = !collected.paid.is_empty();
    if paid {
        let memo = format!("{} bills collected ({})", collected.paid.len(), cause.as_str());
        let (from, to, amount) = match collected.amount.0 {
            amount if amount >= 0 => (LedgerAccount::Cash, LedgerAccount::Receivable, amount),
            amount => (LedgerAccount::Receivable, LedgerAccount::Cash, -amount),
        };
        books.money(Kind::Settlement, from, to, amount, (settlement_id, &memo));
        for bill_id in &collected.paid {
            sqlx::query(
                "UPDATE bill SET settled_at = $1, settlement_id = $2 WHERE account_id = $3 AND bill_id = $4",
            )
            .bind(books.now.0)
            .bind(settlement_id)
            .bind(books.account_id)
            .bind(*bill_id)
            .execute(&mut *connection)
            .await?;
        }
        sqlx::query("INSERT INTO settlement (account_id, settlement_id, at, cause, bills, amount_micros) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(books.account_id)
            .bind(settlement_id)
            .bind(books.now.0)
            .bind(cause.as_str())
            .bind(collected.paid.len() as i64)
            .bind(collected.amount.0)
            .execute(&mut *connection)
            .await?;
    }
    books.due = collected.left;
    mark_arrears(connection, books, collected.amount).await?;
    Ok(paid)
}

async fn mark_arrears(connection: &mut AnyConnection, books: &mut Books, paid: MoneyMicros) -> Result<()> {
    let (was, is) = (books.overdue_since, books.due.0 > 0);
    let sequence = books.crossing().sequence;
    let news = match (was, is) {
        (None, true) => {
            books.overdue_since = Some(books.now);
            books.status = AccountStatus(books.status.0 | AccountStatus::OVERDUE.0);
            let available = i64::try_from(books.available()).unwrap_or(i64::MAX);
            let facts = NoticeFacts::Overdue { due_micros: books.due.0, available_micros: available };
            Some((format!("overdue:{}:{sequence}", books.now.0), facts))
        }
        (Some(since), false) => {
            books.overdue_since = None;
            books.status = AccountStatus(books.status.0 & !AccountStatus::OVERDUE.0);
            let key = format!("restored:{}:{sequence}", since.0);
            Some((key, NoticeFacts::Restored { paid_micros: paid.0 }))
        }
        _ => None,
    };
    if let Some((key, facts)) = news {
        schedule(connection, &[NewNotice::now(books.account_id, key, facts, "", books.now)]).await?;
    }
    Ok(())
}

async fn due_bills(connection: &mut AnyConnection, account_id: i64) -> Result<Vec<DueBill>> {
    let rows = sqlx::query(
        "SELECT bill_id, hour_start, number, amount_micros FROM bill \
         WHERE account_id = $1 AND settled_at IS NULL AND due_at IS NOT NULL",
    )
    .bind(account_id)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(DueBill {
                bill_id: row.try_get(0)?,
                hour_start: UnixMicros(row.try_get(1)?),
                number: row.try_get(2)?,
                amount: MoneyMicros(row.try_get(3)?),
            })
        })
        .collect()
}

impl Store {
    /// The collections of an account at instants `[from, before)`, ascending.
    pub async fn settlements(
        &self,
        account_id: i64,
        from: UnixMicros,
        before: UnixMicros,
    ) -> Result<Vec<Settlement>> {
        let rows = sqlx::query(
            "SELECT settlement_id, at, cause, bills, amount_micros FROM settlement \
             WHERE account_id = $1 AND at >= $2 AND at < $3 ORDER BY settlement_id",
        )
        .bind(account_id)
        .bind(from.0)
        .bind(before.0)
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Settlement {
                    settlement_id: row.try_get(0)?,
                    at: UnixMicros(row.try_get(1)?),
                    cause: SettlementCause::read(&row.try_get::<String, _>(2)?)?,
                    bills: row.try_get(3)?,
                    amount: MoneyMicros(row.try_get(4)?),
                })
            })
            .collect()
    }
}
