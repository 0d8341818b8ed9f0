//! Money that comes in and goes out: operators' credits, providers' payments, adjustments, credit limits.
//!
//! Each is one transaction: the ledger line, the balance, what is due and can now be paid, and the audit entry.

use indicia_domain::ledger::{Kind, LedgerAccount};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::UnixMicros;
use sqlx::{AnyConnection, Row};

use crate::audit::{Actor, Deed};
use crate::books::Books;
use crate::collection::{SettlementCause, settle};
use crate::{Result, Store, StoreError};

/// Why money was not booked.
#[derive(Debug, thiserror::Error)]
pub enum CreditError {
    #[error("there is no account {0}")]
    NoAccount(i64),
    #[error("an amount of zero changes nothing; give a positive amount, or a negative one to take money off")]
    Zero,
    #[error("a payment of {0} cannot be booked; only more than zero can come in")]
    NotPositive(MoneyMicros),
    #[error("the balance is {balance}; {amount} cannot be taken off it")]
    Insufficient { balance: MoneyMicros, amount: MoneyMicros },
    #[error("the balance would become larger than can be booked")]
    TooLarge,
    #[error("a credit limit is zero or more, not {0}")]
    NegativeLimit(MoneyMicros),
    #[error(
        "the payment {payment} was booked before to account {account_id} with {amount}; a payment counts once, and never differently"
    )]
    BookedOtherwise { payment: String, account_id: i64, amount: MoneyMicros },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for CreditError {
    fn from(error: sqlx::Error) -> Self {
        CreditError::Store(error.into())
    }
}

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
    pub at: UnixMicros,
    /// The ledger's transaction that booked it.
    pub transaction_id: i64,
}

/// An operator's correction.
#[derive(Clone, Debug)]
pub struct Adjustment {
    pub account_id: i64,
    pub what: Adjusted,
    pub reason: String,
}

#[derive(Clone, Debug)]
pub enum Adjusted {
    /// Onto the balance; negative: off it.
    Money(MoneyMicros),
    /// To the free credit; negative: off it.
    FreeMails(i64),
    /// Into a package in its validity or before it; negative: out of it.
    PackageMails { instance_id: String, mails: i64 },
}

/// Mails that one adjustment can move.
pub const ADJUSTED_MAILS_MAX: i64 = 1_000_000_000;

/// Why nothing was adjusted.
#[derive(Debug, thiserror::Error)]
pub enum AdjustError {
    #[error("an adjustment needs a reason; it stays in the ledger and in the audit log")]
    NoReason,
    #[error("an adjustment of 0 mails changes nothing")]
    Zero,
    #[error("an adjustment moves at most {ADJUSTED_MAILS_MAX} mails")]
    TooManyMails,
    #[error("the account has no package {0}")]
    NoInstance(String),
    #[error("the package {0} has ended or was given back; its mails cannot be changed any more")]
    NotLive(String),
    #[error("only {left} mails are left there; {wanted} cannot be taken out")]
    TooFewMails { left: i64, wanted: i64 },
    #[error(transparent)]
    Credit(#[from] CreditError),
}

impl From<sqlx::Error> for AdjustError {
    fn from(error: sqlx::Error) -> Self {
        AdjustError::Credit(error.into())
    }
}

impl From<StoreError> for AdjustError {
    fn from(error: StoreError) -> Self {
        AdjustError::Credit(error.into())
    }
}

/// One change of the cash balance from or to the outside.
struct CashChange<'a> {
    account_id: i64,
    kind: Kind,
    amount: MoneyMicros,
    memo: &'a str,
    action: &'a str,
    actor: &'a Actor,
}

/// Ids that a transaction needs, made before it begins.
struct Ids {
    transaction: i64,
    settlement: i64,
    audit: i64,
}

impl Store {
    async fn money_ids(&self) -> Result<Ids> {
        Ok(Ids {
            transaction: self.next_id().await?,
            settlement: self.next_id().await?,
            audit: self.next_id().await?,
        })
    }

    /// Puts money on (or with a negative amount takes it off) the cash balance; returns the new balance.
    pub async fn credit(
        &self,
        account_id: i64,
        amount: MoneyMicros,
        memo: &str,
        actor: &Actor,
    ) -> Result<MoneyMicros, CreditError> {
        let change = CashChange { account_id, kind: Kind::Credit, amount, memo, action: "credit", actor };
        let ids = self.money_ids().await?;
        let mut transaction = self.begin().await?;
        let balance = self.change_cash(&mut transaction, &change, &ids).await?;
        transaction.commit().await?;
        Ok(balance)
    }

    /// Books a payment, once (R26).
    pub async fn top_up(&self, top_up: &TopUp) -> Result<TopUpDone, CreditError> {
        if top_up.amount.0 <= 0 {
            return Err(CreditError::NotPositive(top_up.amount));
        }
        let ids = self.money_ids().await?;
        let actor = Actor::system(&top_up.provider);
        let mut transaction = self.begin().await?;
        // The account's lock first: two deliveries of one event come one after the other.
        let balance = Books::open(self, &mut transaction, top_up.account_id)
            .await?
            .ok_or(CreditError::NoAccount(top_up.account_id))?
            .cash();
        if self.is_booked(&mut transaction, top_up).await? {
            return Ok(TopUpDone { balance, booked: false });
        }
        sqlx::query(
            "INSERT INTO top_up (provider, payment_reference, event_id, account_id, amount_micros, at, transaction_id) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(top_up.provider.clone())
        .bind(top_up.payment_reference.clone())
        .bind(top_up.event_id.clone())
        .bind(top_up.account_id)
        .bind(top_up.amount.0)
        .bind(self.now().0)
        .bind(ids.transaction)
        .execute(&mut *transaction)
        .await?;
        let change = CashChange {
            account_id: top_up.account_id,
            kind: Kind::TopUp,
            amount: top_up.amount,
            memo: &top_up.memo,
            action: "top-up",
            actor: &actor,
        };
        let balance = self.change_cash(&mut transaction, &change, &ids).await?;
        transaction.commit().await?;
        Ok(TopUpDone { balance, booked: true })
    }

    async fn is_booked(&self, connection: &mut AnyConnection, top_up: &TopUp) -> Result<bool, CreditError> {
        let row = sqlx::query(
            "SELECT account_id, amount_micros FROM top_up WHERE provider = $1 AND (payment_reference = $2 OR event_id = $3)",
        )
        .bind(top_up.provider.clone())
        .bind(top_up.payment_reference.clone())
        .bind(top_up.event_id.clone())
        .fetch_optional(connection)
        .await?;
        let Some(row) = row else { return Ok(false) };
        let (account_id, amount) = (row.try_get(0)?, MoneyMicros(row.try_get(1)?));
        if (account_id, amount) == (top_up.account_id, top_up.amount) {
            return Ok(true);
        }
        let payment = top_up.payment_reference.clone();
        Err(CreditError::BookedOtherwise { payment, account_id, amount })
    }

    async fn change_cash(
        &self,
        connection: &mut AnyConnection,
        change: &CashChange<'_>,
        ids: &Ids,
    ) -> Result<MoneyMicros, CreditError> {
        let amount = change.amount;
        if amount == MoneyMicros::ZERO {
            return Err(CreditError::Zero);
        }
        let mut books = Books::open(self, connection, change.account_id)
            .await?
            .ok_or(CreditError::NoAccount(change.account_id))?;
        let balance = books.cash();
        // Bounded, so that no sum of amounts can leave what an integer holds.
        let after =
            balance.checked_add(amount).filter(|after| after.0.unsigned_abs() <= BALANCE_MAX_MICROS as u64);
        let after = after.ok_or(CreditError::TooLarge)?;
        if amount.0 < 0 && after.0 < 0 {
            return Err(CreditError::Insufficient {
                balance,
                amount: MoneyMicros(amount.0.saturating_neg()),
            });
        }
        let (from, to) = match amount.0 > 0 {
            true => (LedgerAccount::Outside, LedgerAccount::Cash),
            false => (LedgerAccount::Cash, LedgerAccount::Outside),
        };
        books.money(change.kind, from, to, amount.0.abs(), (ids.transaction, change.memo));
        if amount.0 > 0 && books.due.0 > 0 {
            settle(connection, &mut books, ids.settlement, SettlementCause::Payment).await?;
        }
        let (balance, now) = (books.cash(), books.now);
        books.close(connection).await?;
        let detail = format!("{amount}: {}", change.memo);
        let deed = Deed {
            audit_id: ids.audit,
            actor: change.actor,
            account_id: Some(change.account_id),
            action: change.action,
            detail,
        };
        deed.note(connection, now).await?;
        Ok(balance)
    }

    /// How far the cash balance may go below zero when bills are collected (R11). Raising it pays what is due.
    pub async fn set_credit_limit(
        &self,
        account_id: i64,
        limit: MoneyMicros,
        reason: &str,
        actor: &Actor,
    ) -> Result<(), CreditError> {
        if limit.0 < 0 {
            return Err(CreditError::NegativeLimit(limit));
        }
        if limit.0 > BALANCE_MAX_MICROS {
            return Err(CreditError::TooLarge);
        }
        let ids = self.money_ids().await?;
        let mut transaction = self.begin().await?;
        let mut books = Books::open(self, &mut transaction, account_id)
            .await?
            .ok_or(CreditError::NoAccount(account_id))?;
        let before = std::mem::replace(&mut books.credit_limit, limit);
        if books.due.0 > 0 {
            settle(&mut transaction, &mut books, ids.settlement, SettlementCause::Payment).await?;
        }
        let now = books.now;
        books.close(&mut transaction).await?;
        let deed = Deed {
            audit_id: ids.audit,
            actor,
            account_id: Some(account_id),
            action: "credit-limit",
            detail: format!("from {before} to {limit}: {reason}"),
        };
        deed.note(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Corrects by new lines, with a reason; returns the transaction's id.
    pub async fn adjust(&self, adjustment: &Adjustment, actor: &Actor) -> Result<i64, AdjustError> {
        if adjustment.reason.trim().is_empty() {
            return Err(AdjustError::NoReason);
        }
        let ids = self.money_ids().await?;
        let mut transaction = self.begin().await?;
        match &adjustment.what {
            Adjusted::Money(amount) => {
                let change = CashChange {
                    account_id: adjustment.account_id,
                    kind: Kind::Adjustment,
                    amount: *amount,
                    memo: &adjustment.reason,
                    action: "adjust-money",
                    actor,
                };
                self.change_cash(&mut transaction, &change, &ids).await?;
            }
            Adjusted::FreeMails(mails) => {
                self.adjust_mails(&mut transaction, adjustment, None, *mails, actor, &ids).await?;
            }
            Adjusted::PackageMails { instance_id, mails } => {
                let instance = Some(instance_id.as_str());
                self.adjust_mails(&mut transaction, adjustment, instance, *mails, actor, &ids).await?;
            }
        }
        transaction.commit().await?;
        Ok(ids.transaction)
    }

    async fn adjust_mails(
        &self,
        connection: &mut AnyConnection,
        adjustment: &Adjustment,
        instance: Option<&str>,
        mails: i64,
        actor: &Actor,
        ids: &Ids,
    ) -> Result<(), AdjustError> {
        match mails.unsigned_abs() {
            0 => return Err(AdjustError::Zero),
            too_many if too_many > ADJUSTED_MAILS_MAX as u64 => return Err(AdjustError::TooManyMails),
            _ => {}
        }
        let account_id = adjustment.account_id;
        let mut books =
            Books::open(self, connection, account_id).await?.ok_or(CreditError::NoAccount(account_id))?;
        let (side, left) = match instance {
            None => (LedgerAccount::Free, books.free_mails()),
            Some(instance) => {
                let package = crate::package::live(connection, account_id, instance, books.now).await?;
                let package = package.map_err(|gone| match gone {
                    crate::package::Gone::Unknown => AdjustError::NoInstance(instance.to_owned()),
                    crate::package::Gone::Over => AdjustError::NotLive(instance.to_owned()),
                })?;
                books.package(instance, package.remaining);
                (LedgerAccount::Package(instance.to_owned()), package.remaining)
            }
        };
        if left + mails < 0 {
            return Err(AdjustError::TooFewMails { left, wanted: -mails });
        }
        let (from, to) = match mails > 0 {
            true => (LedgerAccount::Granted, side),
            false => (side, LedgerAccount::Granted),
        };
        let of = (ids.transaction, adjustment.reason.as_str());
        books.mails(Kind::Adjustment, from, to, mails.abs(), of);
        if let Some(instance) = instance {
            crate::package::adjust_mails(connection, account_id, instance, mails).await?;
            crate::alert::look(self, connection, &mut books, mails > 0).await?;
        }
        let now = books.now;
        books.close(connection).await?;
        let what = instance.unwrap_or("free credit");
        let deed = Deed {
            audit_id: ids.audit,
            actor,
            account_id: Some(account_id),
            action: "adjust-mails",
            detail: format!("{what}: {mails} mails: {}", adjustment.reason),
        };
        deed.note(connection, now).await?;
        Ok(())
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

/// A thousandth of what an integer holds, in millionths: more than nine thousand million units.
const BALANCE_MAX_MICROS: i64 = i64::MAX / 1_000;
