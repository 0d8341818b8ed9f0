//! Who pays for a mail, and how it is written down.
//!
//! Every movement is a [`Transfer`]: one amount from one ledger account to another. A transfer sums to zero by
//! its form, so a transaction of any number of transfers does. Lines are only ever added; a mistake is mended
//! by a new line (R25, R27).
//!
//! ```text
//! purchase   mails   granted            -> package:DMBAG-…     50,000
//!            money   cash               -> sales               13.05
//! send       mails   free               -> consumed            2
//!                    package:DMBAG-…    -> consumed            5
//!                    pay-as-you-go      -> consumed            1
//! reversal   mails   consumed           -> pay-as-you-go       1      last source first (R03)
//! top-up     money   outside            -> cash                100.00
//! bill       mails   billed             -> pay-as-you-go       1      an hour's usage, priced (R10)
//!            money   receivable         -> sales               0.01
//! settlement money   cash               -> receivable          0.01   collected (R11)
//! refund     mails   package:DMBAG-…    -> granted             50,000
//!            money   sales              -> cash                13.05
//! ```
//! What lapses at a package's end needs no line and no job: the line that grants a package's mails carries their
//! validity ([`Validity`]), and from its end on what is left of them is worth nothing. So the lapsed amount as of
//! any instant, past or future, follows from the lines alone.

pub mod alert;
pub mod as_of;
pub mod bill;
pub mod change;
pub mod charge;
pub mod forecast;
pub mod free_credit;
pub mod package;
pub mod price;
pub mod verify;

use std::fmt;
use std::str::FromStr;

use crate::time::UnixMicros;

/// What a transfer's amount counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Whole mails.
    Mail,
    /// Millionths of the currency unit.
    Money,
}

impl Unit {
    pub fn as_str(self) -> &'static str {
        match self {
            Unit::Mail => "mail",
            Unit::Money => "money",
        }
    }
}

impl FromStr for Unit {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        match text {
            "mail" => Ok(Unit::Mail),
            "money" => Ok(Unit::Money),
            _ => Err(UnknownName(text.to_owned())),
        }
    }
}

/// What a transaction was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The free credit of a new account.
    Opening,
    /// Mails accepted and charged.
    Send,
    /// Charges of [`Kind::Send`] given back.
    Reversal,
    /// A package bought, or bought again as the renewal of another.
    Purchase,
    /// An untouched package exchanged for a larger one.
    Upgrade,
    /// An untouched package given back and its price with it (R12).
    Refund,
    /// An hour of pay-as-you-go priced (R10), or the price of a billed hour corrected.
    Bill,
    /// Bills paid from the cash balance (R11).
    Settlement,
    /// Money put on, or taken off, the cash balance by an operator.
    Credit,
    /// Money that a payment provider says was paid.
    TopUp,
    /// Money or mails given or taken by an operator, with a reason.
    Adjustment,
}

impl Kind {
    pub const ALL: [Kind; 11] = [
        Kind::Opening,
        Kind::Send,
        Kind::Reversal,
        Kind::Purchase,
        Kind::Upgrade,
        Kind::Refund,
        Kind::Bill,
        Kind::Settlement,
        Kind::Credit,
        Kind::TopUp,
        Kind::Adjustment,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Opening => "opening",
            Kind::Send => "send",
            Kind::Reversal => "reversal",
            Kind::Purchase => "purchase",
            Kind::Upgrade => "upgrade",
            Kind::Refund => "refund",
            Kind::Bill => "bill",
            Kind::Settlement => "settlement",
            Kind::Credit => "credit",
            Kind::TopUp => "top-up",
            Kind::Adjustment => "adjustment",
        }
    }
}

impl FromStr for Kind {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownName(text.to_owned()))
    }
}

/// A name in a ledger row that this version does not know.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a name that the ledger uses")]
pub struct UnknownName(pub String);

/// One side of a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LedgerAccount {
    /// Where granted mails come from; its balance is minus all that was ever granted.
    Granted,
    /// Mails of the free credit (R06).
    Free,
    /// Mails of one package, by instance id.
    Package(String),
    /// Mails owed for: its balance is minus the mails not yet billed (R10).
    PayAsYouGo,
    /// Where pay-as-you-go mails go once they are billed: its balance is minus all that were.
    Billed,
    /// Mails accepted and not reversed.
    Consumed,
    /// The account's money.
    Cash,
    /// What is billed and not yet paid: its balance is minus that (R11).
    Receivable,
    /// Money earned by packages and bills.
    Sales,
    /// Where money comes from and goes to.
    Outside,
}

impl fmt::Display for LedgerAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LedgerAccount::Granted => f.write_str("granted"),
            LedgerAccount::Free => f.write_str("free"),
            LedgerAccount::Package(instance) => write!(f, "package:{instance}"),
            LedgerAccount::PayAsYouGo => f.write_str("pay-as-you-go"),
            LedgerAccount::Billed => f.write_str("billed"),
            LedgerAccount::Consumed => f.write_str("consumed"),
            LedgerAccount::Cash => f.write_str("cash"),
            LedgerAccount::Receivable => f.write_str("receivable"),
            LedgerAccount::Sales => f.write_str("sales"),
            LedgerAccount::Outside => f.write_str("outside"),
        }
    }
}

impl FromStr for LedgerAccount {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Ok(match text {
            "granted" => LedgerAccount::Granted,
            "free" => LedgerAccount::Free,
            "pay-as-you-go" => LedgerAccount::PayAsYouGo,
            "billed" => LedgerAccount::Billed,
            "receivable" => LedgerAccount::Receivable,
            "consumed" => LedgerAccount::Consumed,
            "cash" => LedgerAccount::Cash,
            "sales" => LedgerAccount::Sales,
            "outside" => LedgerAccount::Outside,
            other => match other.strip_prefix("package:") {
                Some(instance) if !instance.is_empty() => LedgerAccount::Package(instance.to_owned()),
                _ => return Err(UnknownName(text.to_owned())),
            },
        })
    }
}

/// One line of the ledger: `amount` goes from `from` to `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub account_id: i64,
    /// The line's place in the account's ledger: 1, 2, 3, … without a gap, in the order of booking.
    pub sequence: i64,
    /// The transaction: for mails the message's id.
    pub transaction_id: i64,
    pub at: UnixMicros,
    pub kind: Kind,
    pub unit: Unit,
    pub from: LedgerAccount,
    pub to: LedgerAccount,
    /// Positive.
    pub amount: i64,
    /// The customer's side ([`Transfer::own_side`]) before and after this line. For pay-as-you-go: mails charged
    /// to it and not yet billed; for the receivable: money billed and not yet paid.
    pub before: i64,
    pub after: i64,
    /// For people: why, or what for.
    pub memo: String,
    /// On the line that grants a package's mails: when they can pay.
    pub validity: Option<Validity>,
}

/// When a package's mails can pay: `[from, until)`, computed once, at the purchase (R08).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub from: UnixMicros,
    pub until: UnixMicros,
}

impl LedgerAccount {
    /// Whether the balance is something that the customer has or owes.
    pub fn is_customers(&self) -> bool {
        matches!(
            self,
            LedgerAccount::Free
                | LedgerAccount::Package(_)
                | LedgerAccount::PayAsYouGo
                | LedgerAccount::Cash
                | LedgerAccount::Receivable
        )
    }

    /// Whether the balance is shown with its sign turned: what the customer owes.
    pub fn is_owed(&self) -> bool {
        matches!(self, LedgerAccount::PayAsYouGo | LedgerAccount::Receivable)
    }
}

impl Transfer {
    /// The side whose `before` and `after` the line shows, and whether the line adds to it (1) or takes from
    /// it (-1). What is owed grows as the account is taken from. A settlement shows the cash side.
    pub fn own_side(&self) -> (&LedgerAccount, i64) {
        let cash_to = self.to == LedgerAccount::Cash;
        let (side, sign) =
            if self.from.is_customers() && !cash_to { (&self.from, -1) } else { (&self.to, 1) };
        (side, if side.is_owed() { -sign } else { sign })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_written() {
        for account in [
            LedgerAccount::Granted,
            LedgerAccount::Free,
            LedgerAccount::Package("DMBAG-1".into()),
            LedgerAccount::PayAsYouGo,
            LedgerAccount::Billed,
            LedgerAccount::Consumed,
            LedgerAccount::Cash,
            LedgerAccount::Receivable,
            LedgerAccount::Sales,
            LedgerAccount::Outside,
        ] {
            assert_eq!(account.to_string().parse(), Ok(account));
        }
        assert!("package:".parse::<LedgerAccount>().is_err());
        assert!("toll".parse::<LedgerAccount>().is_err());
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
    }
}
