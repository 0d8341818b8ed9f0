//! Money that comes in and goes out: operators' credits, providers' payments, adjustments, credit limits.
//!
//! Each is one transaction: the ledger line, the balance, what is due and can now be paid, and the audit entry. What
//! an operator does has its idempotency key in the same transaction, a payment its row: each happens once, whatever
//! gets lost on the way (R26).
//!
//! | file | what |
//! | --- | --- |
//! | `mod` | credits and credit limits, and how a deed by hand begins and ends |
//! | `adjust` | corrections of money and of mails |
//! | `top_up` | payments that providers tell of |

mod adjust;
mod top_up;

use indicia_domain::ledger::{Kind, LedgerAccount};
use indicia_domain::money::MoneyMicros;
use serde::{Deserialize, Serialize};
use sqlx::{Any, AnyConnection, Transaction};

use crate::audit::{Actor, Deed};
use crate::books::Books;
use crate::collection::{SettlementCause, settle};
use crate::repeat::{KeyError, Repeat};
use crate::{Result, Store, StoreError};

pub use adjust::{ADJUSTED_MAILS_MAX, AdjustError, Adjusted, Adjustment};
pub use top_up::{TopUp, TopUpDone, TopUpRow};

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
    #[error(
        "the event {event} was booked before, about the payment {payment}; one event is about one payment"
    )]
    OtherPayment { event: String, payment: String },
    #[error(
        "the idempotency key was used for something else on this account; use a new key for what is new, or repeat what was asked for to the letter"
    )]
    IdempotencyConflict,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for CreditError {
    fn from(error: sqlx::Error) -> Self {
        CreditError::Store(error.into())
    }
}

impl From<KeyError> for CreditError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Conflict => CreditError::IdempotencyConflict,
            KeyError::Store(error) => CreditError::Store(error),
        }
    }
}

/// What an operator did, as done. The same again when it is asked for again under its idempotency key (R26).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneyReceipt {
    /// Under which its ledger line stands. A credit limit makes none.
    pub transaction_id: i64,
    /// Millionths on the cash balance right after it.
    pub balance_micros: i64,
    /// The sequence of the account's last ledger line before it,
    pub after_sequence: i64,
    /// and how many lines came of it, the payment of due bills included.
    pub lines: i64,
    /// It was done before under its key, and nothing was done now.
    #[serde(skip)]
    pub is_repeat: bool,
}

impl MoneyReceipt {
    /// The cash balance right after it.
    pub fn balance(&self) -> MoneyMicros {
        MoneyMicros(self.balance_micros)
    }
}

/// A thousandth of what an integer holds, in millionths: more than nine thousand million units.
const BALANCE_MAX_MICROS: i64 = i64::MAX / 1_000;

/// Ids that a transaction needs, made before it begins.
struct Ids {
    transaction: i64,
    settlement: i64,
    audit: i64,
}

/// What an operator asks for, in words that are the same when it is the same.
struct Wish<'a> {
    account_id: i64,
    key: Option<&'a str>,
    content: String,
}

impl Wish<'_> {
    /// Clients' keys are printable ASCII: with a control character in front, an operator's key is never one of them.
    fn repeat(self) -> Repeat {
        let key = self.key.map(|key| format!("operator\u{1f}{key}"));
        Repeat { account_id: self.account_id, key, fingerprint: self.content }
    }
}

enum Begun {
    Before(MoneyReceipt),
    Now(Box<Doing>),
}

/// A deed in its transaction: the account is locked, and the deed was not done before.
struct Doing {
    transaction: Transaction<'static, Any>,
    books: Books,
    ids: Ids,
    repeat: Repeat,
    /// The account's last line before it.
    after_sequence: i64,
}

/// One change of the cash balance from or to the outside.
struct CashChange<'a> {
    kind: Kind,
    amount: MoneyMicros,
    memo: &'a str,
}

impl Store {
    async fn money_ids(&self) -> Result<Ids> {
        Ok(Ids {
            transaction: self.next_id().await?,
            settlement: self.next_id().await?,
            audit: self.next_id().await?,
        })
    }

    /// Puts money on (or with a negative amount takes it off) the cash balance. Under the same `key` the same credit is
    /// booked once.
    pub async fn credit(
        &self,
        account_id: i64,
        amount: MoneyMicros,
        memo: &str,
        actor: &Actor,
        key: Option<&str>,
    ) -> Result<MoneyReceipt, CreditError> {
        let content = format!("credit {}: {memo}", amount.0);
        let mut doing = match self.begin_deed(Wish { account_id, key, content }).await? {
            Begun::Before(receipt) => return Ok(receipt),
            Begun::Now(doing) => doing,
        };
        let change = CashChange { kind: Kind::Credit, amount, memo };
        change_cash(&mut doing.transaction, &mut doing.books, &change, &doing.ids).await?;
        doing.finish(actor, "credit", format!("{amount}: {memo}")).await
    }

    /// How far the cash balance may go below zero when bills are collected (R11). Raising it pays what is due. Under
    /// the same `key` it is set once: a repeat does not undo what was set since.
    pub async fn set_credit_limit(
        &self,
        account_id: i64,
        limit: MoneyMicros,
        reason: &str,
        actor: &Actor,
        key: Option<&str>,
    ) -> Result<MoneyReceipt, CreditError> {
        if limit.0 < 0 {
            return Err(CreditError::NegativeLimit(limit));
        }
        if limit.0 > BALANCE_MAX_MICROS {
            return Err(CreditError::TooLarge);
        }
        let content = format!("credit limit {}: {reason}", limit.0);
        let mut doing = match self.begin_deed(Wish { account_id, key, content }).await? {
            Begun::Before(receipt) => return Ok(receipt),
            Begun::Now(doing) => doing,
        };
        let before = std::mem::replace(&mut doing.books.credit_limit, limit);
        doing.pay_what_is_due().await?;
        doing.finish(actor, "credit-limit", format!("from {before} to {limit}: {reason}")).await
    }

    /// Locks the account and looks whether the deed was done before.
    async fn begin_deed(&self, wish: Wish<'_>) -> Result<Begun, CreditError> {
        let account_id = wish.account_id;
        let repeat = wish.repeat();
        let ids = self.money_ids().await?;
        let mut transaction = self.begin().await?;
        let books = Books::open(self, &mut transaction, account_id).await?;
        let books = books.ok_or(CreditError::NoAccount(account_id))?;
        if let Some(receipt) = repeat.answer::<MoneyReceipt>(&mut transaction).await? {
            return Ok(Begun::Before(MoneyReceipt { is_repeat: true, ..receipt }));
        }
        let after_sequence = books.crossing().sequence;
        Ok(Begun::Now(Box::new(Doing { transaction, books, ids, repeat, after_sequence })))
    }
}

impl Doing {
    async fn pay_what_is_due(&mut self) -> Result<()> {
        pay_what_is_due(&mut self.transaction, &mut self.books, &self.ids).await
    }

    /// Writes the books, the audit entry and the key with its answer, and commits.
    async fn finish(self, actor: &Actor, action: &str, detail: String) -> Result<MoneyReceipt, CreditError> {
        let Doing { mut transaction, books, ids, repeat, after_sequence } = self;
        let (account_id, now) = (books.account_id, books.now);
        let receipt = MoneyReceipt {
            transaction_id: ids.transaction,
            balance_micros: books.cash().0,
            after_sequence,
            lines: books.crossing().sequence - after_sequence,
            is_repeat: false,
        };
        books.close(&mut transaction).await?;
        let deed = Deed { audit_id: ids.audit, actor, account_id: Some(account_id), action, detail };
        deed.note(&mut transaction, now).await?;
        repeat.keep(&mut transaction, &receipt, now).await?;
        transaction.commit().await?;
        Ok(receipt)
    }
}

async fn pay_what_is_due(connection: &mut AnyConnection, books: &mut Books, ids: &Ids) -> Result<()> {
    if books.due.0 > 0 {
        settle(connection, books, ids.settlement, SettlementCause::Payment).await?;
    }
    Ok(())
}

/// Moves money over the edge of the books, and pays what is due with what comes in.
async fn change_cash(
    connection: &mut AnyConnection,
    books: &mut Books,
    change: &CashChange<'_>,
    ids: &Ids,
) -> Result<(), CreditError> {
    let amount = change.amount;
    if amount == MoneyMicros::ZERO {
        return Err(CreditError::Zero);
    }
    let balance = books.cash();
    // Bounded, so that no sum of amounts can leave what an integer holds.
    let after =
        balance.checked_add(amount).filter(|after| after.0.unsigned_abs() <= BALANCE_MAX_MICROS as u64);
    let after = after.ok_or(CreditError::TooLarge)?;
    if amount.0 < 0 && after.0 < 0 {
        return Err(CreditError::Insufficient { balance, amount: MoneyMicros(amount.0.saturating_neg()) });
    }
    let (from, to) = match amount.0 > 0 {
        true => (LedgerAccount::Outside, LedgerAccount::Cash),
        false => (LedgerAccount::Cash, LedgerAccount::Outside),
    };
    books.money(change.kind, from, to, amount.0.abs(), (ids.transaction, change.memo));
    if amount.0 > 0 {
        pay_what_is_due(connection, books, ids).await?;
    }
    Ok(())
}
