//! Corrections by an operator: new lines with a reason, never a change of one that stands (R27).

use indicia_domain::ledger::{Kind, LedgerAccount};
use indicia_domain::money::MoneyMicros;

use super::{Begun, CashChange, CreditError, Doing, MoneyReceipt, Wish, change_cash};
use crate::audit::Actor;
use crate::package::{self, Gone};
use crate::{Store, StoreError};

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

impl From<StoreError> for AdjustError {
    fn from(error: StoreError) -> Self {
        AdjustError::Credit(error.into())
    }
}

impl Adjusted {
    /// In words that stay the same: they are kept with an idempotency key.
    fn content(&self) -> String {
        match self {
            Adjusted::Money(amount) => format!("adjust money by {}", amount.0),
            Adjusted::FreeMails(mails) => format!("adjust free mails by {mails}"),
            Adjusted::PackageMails { instance_id, mails } => {
                format!("adjust mails of {instance_id} by {mails}")
            }
        }
    }
}

impl Store {
    /// Corrects by new lines, with a reason. Under the same `key` the same adjustment is made once.
    pub async fn adjust(
        &self,
        adjustment: &Adjustment,
        actor: &Actor,
        key: Option<&str>,
    ) -> Result<MoneyReceipt, AdjustError> {
        let Adjustment { account_id, what, reason } = adjustment;
        if reason.trim().is_empty() {
            return Err(AdjustError::NoReason);
        }
        let content = format!("{}: {reason}", what.content());
        let mut doing = match self.begin_deed(Wish { account_id: *account_id, key, content }).await? {
            Begun::Before(receipt) => return Ok(receipt),
            Begun::Now(doing) => doing,
        };
        let (action, detail) = match what {
            Adjusted::Money(amount) => {
                let change = CashChange { kind: Kind::Adjustment, amount: *amount, memo: reason };
                change_cash(&mut doing.transaction, &mut doing.books, &change, &doing.ids).await?;
                ("adjust-money", format!("{amount}: {reason}"))
            }
            Adjusted::FreeMails(mails) => {
                let left = doing.books.free_mails();
                doing.move_mails(LedgerAccount::Free, left, *mails, reason)?;
                ("adjust-mails", format!("free credit: {mails} mails: {reason}"))
            }
            Adjusted::PackageMails { instance_id, mails } => {
                doing.move_package_mails(instance_id, *mails, reason).await?;
                ("adjust-mails", format!("{instance_id}: {mails} mails: {reason}"))
            }
        };
        Ok(doing.finish(actor, action, detail).await?)
    }
}

impl Doing {
    async fn move_package_mails(
        &mut self,
        instance_id: &str,
        mails: i64,
        reason: &str,
    ) -> Result<(), AdjustError> {
        let (account_id, now) = (self.books.account_id, self.books.now);
        let package = package::live(&mut self.transaction, account_id, instance_id, now).await?;
        let package = package.map_err(|gone| match gone {
            Gone::Unknown => AdjustError::NoInstance(instance_id.to_owned()),
            Gone::Over => AdjustError::NotLive(instance_id.to_owned()),
        })?;
        self.books.package(instance_id, package.remaining);
        let side = LedgerAccount::Package(instance_id.to_owned());
        self.move_mails(side, package.remaining, mails, reason)?;
        package::adjust_mails(&mut self.transaction, account_id, instance_id, mails).await?;
        // The alert watches what can pay now: a package that has yet to begin adds nothing to that.
        let grew = mails > 0 && package.starts_at <= now;
        crate::alert::look(&mut self.transaction, &mut self.books, grew).await?;
        Ok(())
    }

    /// The line that grants mails, or takes back some of those that are `left`.
    fn move_mails(
        &mut self,
        side: LedgerAccount,
        left: i64,
        mails: i64,
        reason: &str,
    ) -> Result<(), AdjustError> {
        match mails.unsigned_abs() {
            0 => return Err(AdjustError::Zero),
            too_many if too_many > ADJUSTED_MAILS_MAX as u64 => return Err(AdjustError::TooManyMails),
            _ => {}
        }
        if left + mails < 0 {
            return Err(AdjustError::TooFewMails { left, wanted: -mails });
        }
        let (from, to) = match mails > 0 {
            true => (LedgerAccount::Granted, side),
            false => (side, LedgerAccount::Granted),
        };
        self.books.mails(Kind::Adjustment, from, to, mails.abs(), (self.ids.transaction, reason));
        Ok(())
    }
}
