//! What an account is, as far as admission needs to know it.

use jiff::tz::TimeZone;

use crate::ledger::free_credit::FreeCredit;
use crate::ledger::package::Package;
use crate::quota::Allowance;
use crate::quota::warming::Warming;
use crate::time::UnixMicros;

/// What keeps an account from sending, as bits: DirectMail's own `UserStatus` values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountStatus(pub i64);

impl AccountStatus {
    pub const NORMAL: AccountStatus = AccountStatus(0);
    pub const FROZEN: AccountStatus = AccountStatus(1);
    pub const OVERDUE: AccountStatus = AccountStatus(2);
    pub const RESTRICTED: AccountStatus = AccountStatus(4);
    pub const DELETED: AccountStatus = AccountStatus(8);

    pub fn has(self, other: AccountStatus) -> bool {
        self.0 & other.0 != 0
    }
}

/// The rows of one account that admission reads and writes, loaded for one batch.
#[derive(Clone, Debug)]
pub struct AccountState {
    pub account_id: i64,
    pub status: AccountStatus,
    /// The billing zone: its days and months are the account's.
    pub zone: TimeZone,
    pub allowance: Allowance,
    pub free: FreeCredit,
    /// Every package that may still pay, in any order; admission sorts.
    pub packages: Vec<Package>,
    /// Mails charged to pay-as-you-go and not yet billed.
    pub pay_as_you_go_mails: i64,
    /// R24: allowances of domains and sender addresses that were added later.
    pub warming: Vec<Warming>,
    /// R22: while sending is paused.
    pub pause: Option<SendingPause>,
}

/// R22: that sending is paused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendingPause {
    pub since: UnixMicros,
    /// In words, for the account's people.
    pub reason: String,
}
