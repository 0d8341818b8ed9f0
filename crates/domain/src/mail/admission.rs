//! The decision whether a request is accepted, and who pays: one pure function over an account's rows.
//!
//! The order of refusals is fixed: the account's status, arrears, the quota. A refused request changes nothing
//! (R03); an accepted one is counted (R17) and charged (R04 to R06) in the same step, so that whoever stores the
//! state and the charges in one transaction has decision 1 of the design: accepted means counted and paid.

use crate::account::{AccountState, AccountStatus};
use crate::ledger::charge::{Charge, Purse};
use crate::money::MoneyMicros;
use crate::quota::OverQuota;
use crate::time::{UnixMicros, local_day};

/// The *(config)* numbers that admission needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// R06: free mails for an account in all, and on one local day.
    pub free_total_mails: i64,
    pub free_daily_mails: i64,
    /// R11: whether an overdue account may still send what free credit and packages pay.
    pub overdue_spares_prepaid: bool,
    /// R10: of one mail that pay-as-you-go pays. An hour has the price that was in force at its first such mail.
    pub pay_as_you_go: MoneyMicros,
    /// R17: the quota at activation.
    pub initial_daily_quota: i64,
    /// R20: the level at activation.
    pub initial_level: i64,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            free_total_mails: 2_000,
            free_daily_mails: 200,
            overdue_spares_prepaid: false,
            pay_as_you_go: MoneyMicros(290),
            initial_daily_quota: 2_000,
            initial_level: 2,
        }
    }
}

/// Why a request is refused. Nothing is counted, charged or kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the account is frozen, restricted or deleted (status {0}); ask the operator of this service")]
    Unavailable(i64),
    #[error("the account has unpaid bills; pay them and sending is possible again at once")]
    Overdue,
    #[error(
        "{} sending quota exceeded: quota {}, used {}, requested {}; it resets at {}",
        .0.period.name(), .0.quota, .0.used, .0.requested, .0.resets_at
    )]
    OverQuota(OverQuota),
    #[error("no recipient is left: every address is in the invalid-address library")]
    NoRecipients,
}

/// Decides over a request for `mails` recipients at `at` and, when it is accepted, counts and charges it.
pub fn admit(
    state: &mut AccountState,
    policy: &Policy,
    at: UnixMicros,
    mails: i64,
) -> Result<Vec<Charge>, Refusal> {
    let blocking =
        AccountStatus(AccountStatus::FROZEN.0 | AccountStatus::RESTRICTED.0 | AccountStatus::DELETED.0);
    if state.status.has(blocking) {
        return Err(Refusal::Unavailable(state.status.0));
    }
    if mails <= 0 {
        return Err(Refusal::NoRecipients);
    }
    let day = local_day(&state.zone, at);
    let mut purse = Purse {
        free: &mut state.free,
        packages: &mut state.packages,
        pay_as_you_go_mails: &mut state.pay_as_you_go_mails,
    };
    if state.status.has(AccountStatus::OVERDUE) {
        let prepaid = purse.prepaid(at, day.number, policy.free_daily_mails);
        if !policy.overdue_spares_prepaid || prepaid < mails {
            return Err(Refusal::Overdue);
        }
    }
    state.allowance.take(&state.zone, at, mails).map_err(Refusal::OverQuota)?;
    Ok(purse.charge(at, day.number, policy.free_daily_mails, mails))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::free_credit::FreeCredit;
    use crate::ledger::package::Package;
    use crate::quota::Allowance;
    use crate::time::zone;

    fn account() -> AccountState {
        AccountState {
            account_id: 1,
            status: AccountStatus::NORMAL,
            zone: zone("Asia/Shanghai").unwrap(),
            allowance: Allowance::new(2_000),
            free: FreeCredit { total_left: 2_000, day: 0, day_used: 0 },
            packages: vec![],
            pay_as_you_go_mails: 0,
        }
    }

    const NOW: UnixMicros = UnixMicros(1_795_000_000_000_000);

    #[test]
    fn r02_counted_and_charged_when_accepted() {
        let mut state = account();
        let charges = admit(&mut state, &Policy::default(), NOW, 3).unwrap();
        assert_eq!(charges.iter().map(|charge| charge.mails).sum::<i64>(), 3);
        assert_eq!((state.allowance.day_used, state.free.total_left), (3, 1_997));
    }

    #[test]
    fn r03_a_refused_request_changes_nothing() {
        let mut cases = vec![];
        for status in
            [AccountStatus::FROZEN, AccountStatus::OVERDUE, AccountStatus::RESTRICTED, AccountStatus::DELETED]
        {
            cases.push((AccountState { status, ..account() }, 1));
        }
        cases.push((account(), 2_001));
        cases.push((account(), 0));
        for (mut state, mails) in cases {
            let before = format!("{state:?}");
            admit(&mut state, &Policy::default(), NOW, mails).expect_err("refused");
            assert_eq!(format!("{state:?}"), before);
        }
    }

    #[test]
    fn r17_over_quota_is_refused_whole() {
        let mut state = account();
        let refused = admit(&mut state, &Policy::default(), NOW, 2_001).unwrap_err();
        assert!(
            matches!(refused, Refusal::OverQuota(over) if over.used == 0 && over.requested == 2_001),
            "{refused}"
        );
        admit(&mut state, &Policy::default(), NOW, 2_000).expect("nothing was held back by the refusal");
    }

    #[test]
    fn r18_money_buys_no_quota() {
        let package = Package {
            instance_id: "DMBAG-1".into(),
            granted: 5_000_000,
            remaining: 5_000_000,
            purchased_at: NOW,
            starts_at: NOW,
            ends_at: NOW.plus_micros(1_000_000),
            closed: None,
        };
        let mut state = AccountState { packages: vec![package], ..account() };
        assert!(matches!(admit(&mut state, &Policy::default(), NOW, 2_001), Err(Refusal::OverQuota(_))));
    }

    #[test]
    fn r11_overdue_may_spare_what_is_prepaid() {
        let policy = Policy { overdue_spares_prepaid: true, ..Policy::default() };
        let mut state = AccountState { status: AccountStatus::OVERDUE, ..account() };
        assert!(admit(&mut state, &policy, NOW, 200).is_ok(), "free credit pays");
        assert_eq!(admit(&mut state, &policy, NOW, 1), Err(Refusal::Overdue), "pay-as-you-go would have to");
    }
}
