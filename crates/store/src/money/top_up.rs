//! Payments that a provider has told of: each is booked once, by its event and by itself (R26).

use indicia_domain::ledger::Kind;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::UnixMicros;
use sqlx::{AnyConnection, Row};

use super::{CashChange, CreditError, change_cash};
use crate::audit::{Actor, Deed};
use crate::books::Books;
use crate::{Result, Store};

/// A payment that a provider has told of.
#[derive(Clone, Debug)]
pub struct TopUp {
    /// `stripe`
    pub provider: String,
    /// The provider's name for the event, and for the payment itself: each is booked once.
    pub event_id: String,
    pub payment_reference: String,
    pub account_id: i64,
    pub amount: MoneyMicros,
    pub memo: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopUpDone {
    pub balance: MoneyMicros,
    /// `false`: this event or payment was booked before, and nothing is changed.
    pub booked: bool,
}

/// A payment that was booked.
#[derive(Clone, Debug)]
pub struct TopUpRow {
    pub provider: String,
    pub payment_reference: String,
    pub event_id: String,
    pub account_id: i64,
    pub amount: MoneyMicros,
    /// The instant of its ledger line.
    pub at: UnixMicros,
    /// The ledger's transaction that booked it.
    pub transaction_id: i64,
}

impl Store {
    /// Books a payment, once (R26).
    pub async fn top_up(&self, top_up: &TopUp) -> Result<TopUpDone, CreditError> {
        if top_up.amount.0 <= 0 {
            return Err(CreditError::NotPositive(top_up.amount));
        }
        match self.book(top_up).await {
            // Events about one payment that name different accounts lock different rows, so neither sees the other's
            // before its own insert fails. By then the other is committed, and a second look finds it.
            Err(CreditError::Store(error)) if error.is_unique_violation() => self.book(top_up).await,
            done => done,
        }
    }

    async fn book(&self, top_up: &TopUp) -> Result<TopUpDone, CreditError> {
        let (account_id, amount) = (top_up.account_id, top_up.amount);
        let ids = self.money_ids().await?;
        let mut transaction = self.begin().await?;
        // The account's lock first: two deliveries of one event come one after the other.
        let books = Books::open(self, &mut transaction, account_id).await?;
        let mut books = books.ok_or(CreditError::NoAccount(account_id))?;
        if is_booked(&mut transaction, top_up).await? {
            return Ok(TopUpDone { balance: books.cash(), booked: false });
        }
        insert(&mut transaction, top_up, books.now, ids.transaction).await?;
        let change = CashChange { kind: Kind::TopUp, amount, memo: &top_up.memo };
        change_cash(&mut transaction, &mut books, &change, &ids).await?;
        let (balance, now) = (books.cash(), books.now);
        books.close(&mut transaction).await?;
        let actor = &Actor::system(&top_up.provider);
        let (account_id, detail) = (Some(account_id), format!("{amount}: {}", top_up.memo));
        let deed = Deed { audit_id: ids.audit, actor, account_id, action: "top-up", detail };
        deed.note(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(TopUpDone { balance, booked: true })
    }

    /// Payments that providers told of at instants `[from, before)`, the newest first; of one account or of all.
    pub async fn top_ups(
        &self,
        account_id: Option<i64>,
        from: UnixMicros,
        before: UnixMicros,
        limit: i64,
    ) -> Result<Vec<TopUpRow>> {
        let rows = sqlx::query(
            "SELECT provider, payment_reference, event_id, account_id, amount_micros, at, transaction_id FROM top_up \
             WHERE (account_id = $1 OR $2 = 1) AND at >= $3 AND at < $4 ORDER BY at DESC, payment_reference LIMIT $5",
        )
        .bind(account_id.unwrap_or(0))
        .bind(i64::from(account_id.is_none()))
        .bind(from.0)
        .bind(before.0)
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(TopUpRow {
                    provider: row.try_get(0)?,
                    payment_reference: row.try_get(1)?,
                    event_id: row.try_get(2)?,
                    account_id: row.try_get(3)?,
                    amount: MoneyMicros(row.try_get(4)?),
                    at: UnixMicros(row.try_get(5)?),
                    transaction_id: row.try_get(6)?,
                })
            })
            .collect()
    }
}

async fn is_booked(connection: &mut AnyConnection, top_up: &TopUp) -> Result<bool, CreditError> {
    let row = sqlx::query(
        "SELECT account_id, amount_micros, payment_reference FROM top_up \
         WHERE provider = $1 AND (payment_reference = $2 OR event_id = $3) \
         ORDER BY CASE WHEN payment_reference = $4 THEN 0 ELSE 1 END LIMIT 1",
    )
    .bind(top_up.provider.clone())
    .bind(top_up.payment_reference.clone())
    .bind(top_up.event_id.clone())
    .bind(top_up.payment_reference.clone())
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(false) };
    let payment: String = row.try_get(2)?;
    if payment != top_up.payment_reference {
        return Err(CreditError::OtherPayment { event: top_up.event_id.clone(), payment });
    }
    let (account_id, amount) = (row.try_get(0)?, MoneyMicros(row.try_get(1)?));
    if (account_id, amount) == (top_up.account_id, top_up.amount) {
        return Ok(true);
    }
    let payment = top_up.payment_reference.clone();
    Err(CreditError::BookedOtherwise { payment, account_id, amount })
}

async fn insert(
    connection: &mut AnyConnection,
    top_up: &TopUp,
    at: UnixMicros,
    transaction_id: i64,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO top_up (provider, payment_reference, event_id, account_id, amount_micros, at, transaction_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(top_up.provider.clone())
    .bind(top_up.payment_reference.clone())
    .bind(top_up.event_id.clone())
    .bind(top_up.account_id)
    .bind(top_up.amount.0)
    .bind(at.0)
    .bind(transaction_id)
    .execute(connection)
    .await?;
    Ok(())
}
