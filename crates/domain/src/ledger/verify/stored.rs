//! What is kept of an account beside its ledger, as the replay is given it: rows, with nothing concluded from them.

use super::super::package::Package;
use crate::time::UnixMicros;

#[derive(Clone, Debug, Default)]
pub struct Stored {
    pub free_left: i64,
    /// Free mails counted for local day number `free_day` (R06).
    pub free_day: i64,
    pub free_day_used: i64,
    pub pay_as_you_go_mails: i64,
    pub cash_micros: i64,
    /// Billed and not yet paid.
    pub open_micros: i64,
    /// Of it, called in (R11).
    pub due_micros: i64,
    /// What the account's status says.
    pub is_overdue: bool,
    pub overdue_since: Option<UnixMicros>,
    pub sequence: i64,
    pub packages: Vec<StoredPackage>,
    pub orders: Vec<StoredOrder>,
    pub hours: Vec<StoredHour>,
    pub days: Vec<StoredDay>,
    pub bills: Vec<StoredBill>,
    pub settlements: Vec<StoredSettlement>,
    pub top_ups: Vec<StoredTopUp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPackage {
    pub package: Package,
    /// Mails that were bought.
    pub specification: i64,
    pub price_micros: i64,
    pub order_id: i64,
    pub closed_at: Option<UnixMicros>,
    pub replaced_by: Option<String>,
    pub renewal_of: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredOrder {
    pub order_id: i64,
    /// `New`, `Renew`, `Upgrade` or `Refund`.
    pub kind: String,
    pub at: UnixMicros,
    /// Mails of each package.
    pub specification: i64,
    pub quantity: i64,
    /// Taken from the balance; negative: paid back.
    pub amount_micros: i64,
    pub related_instance: Option<String>,
}

/// One clock hour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredHour {
    pub hour_start: UnixMicros,
    pub hour_end: UnixMicros,
    /// Local day number.
    pub day: i64,
    pub free_mails: i64,
    pub package_mails: i64,
    pub payg_mails: i64,
    pub billed_mails: i64,
    pub billed_micros: i64,
    /// Of one mail of pay-as-you-go; 0 before the first.
    pub price_micros: i64,
    pub bills: i64,
}

/// What one package paid for mails of one local day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredDay {
    pub instance_id: String,
    pub day: i64,
    pub mails: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredBill {
    pub bill_id: i64,
    pub hour_start: UnixMicros,
    pub hour_end: UnixMicros,
    pub day: i64,
    pub number: i64,
    pub mails: i64,
    pub amount_micros: i64,
    pub price_micros: i64,
    pub made_at: UnixMicros,
    /// When it was called in.
    pub due_at: Option<UnixMicros>,
    pub settled_at: Option<UnixMicros>,
    pub settlement_id: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredSettlement {
    pub settlement_id: i64,
    pub at: UnixMicros,
    /// `threshold`, `month` or `payment`.
    pub cause: String,
    pub bills: i64,
    pub amount_micros: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredTopUp {
    pub provider: String,
    pub payment_reference: String,
    pub amount_micros: i64,
    pub at: UnixMicros,
    pub transaction_id: i64,
}
