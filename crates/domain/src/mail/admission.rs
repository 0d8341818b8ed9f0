//! The decision whether a request is accepted, and who pays: one pure function over an account's rows.
//!
//! The order of refusals is fixed: a pause, the account's status, arrears, the allowance of the domain or sender
//! address (R24), the quota. A refused request changes nothing
//! (R03); an accepted one is counted (R17) and charged (R04 to R06) in the same step, so that whoever stores the
//! state and the charges in one transaction has decision 1 of the design: accepted means counted and paid.

use crate::account::{AccountState, AccountStatus, SendingPause};
use crate::ledger::charge::{Charge, Purse};
use crate::money::MoneyMicros;
use crate::quota::review::Subject;
use crate::quota::{OverQuota, Period};
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
    /// R24: over the allowance of a domain or sender address that was added later.
    #[error(
        "the daily allowance of the {} {name}, which was added lately, is exceeded: {} mails a day, used {}, requested {}; \
         it resets at {} and grows with its own record",
        match subject { Subject::Sender(_) => "sender address", _ => "domain" },
        .over.quota, .over.used, .over.requested, .over.resets_at
    )]
    OverAllowance { subject: Subject, name: String, over: OverQuota },
    /// R22: paused by the brake, a review or an operator.
    #[error(
        "sending is paused since {}: {}; the Reputation page of the console says what to do and when it goes on",
        .0.since.rfc3339_seconds(), .0.reason
    )]
    Paused(SendingPause),
    #[error("the request has no recipient; give one")]
    NoRecipients,
}

/// How many mails are to go out, and from whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub mails: i64,
    pub domain_id: i64,
    pub sender_id: i64,
}

/// Decides over a request at `at` and, when it is accepted, counts and charges it.
pub fn admit(
    state: &mut AccountState,
    policy: &Policy,
    at: UnixMicros,
    request: Request,
) -> Result<Vec<Charge>, Refusal> {
    let mails = request.mails;
    if let Some(pause) = &state.pause {
        return Err(Refusal::Paused(pause.clone()));
    }
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
    let own = [Subject::Domain(request.domain_id), Subject::Sender(request.sender_id)];
    if let Some(warming) = state
        .warming
        .iter()
        .find(|warming| own.contains(&warming.subject) && !warming.fits(day.number, mails))
    {
        let over = OverQuota {
            period: Period::Day,
            quota: warming.daily_mails,
            used: warming.used_on(day.number),
            requested: mails,
            resets_at: day.end,
        };
        return Err(Refusal::OverAllowance { subject: warming.subject, name: warming.name.clone(), over });
    }
    state.allowance.take(&state.zone, at, mails).map_err(Refusal::OverQuota)?;
    for warming in state.warming.iter_mut().filter(|warming| own.contains(&warming.subject)) {
        warming.take(day.number, mails);
    }
    Ok(purse.charge(at, day.number, policy.free_daily_mails, mails))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::free_credit::FreeCredit;
    use crate::ledger::package::Package;
    use crate::quota::Allowance;
    use crate::quota::warming::Warming;
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
            warming: vec![],
            pause: None,
        }
    }

    fn admit(
        state: &mut AccountState,
        policy: &Policy,
        at: UnixMicros,
        mails: i64,
    ) -> Result<Vec<Charge>, Refusal> {
        super::admit(state, policy, at, Request { mails, domain_id: 7, sender_id: 8 })
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
    fn r24_over_the_allowance_of_what_was_added_later() {
        let warming = |subject, name: &str| Warming {
            subject,
            name: name.to_owned(),
            level: 2,
            daily_mails: 2_000,
            day: 0,
            day_used: 0,
        };
        let mut state = AccountState { allowance: Allowance::new(60_000), ..account() };
        state.warming = vec![
            warming(Subject::Domain(7), "new.example"),
            warming(Subject::Sender(9), "someone.else@old.example"),
        ];
        admit(&mut state, &Policy::default(), NOW, 1_500).expect("within it");
        let before = format!("{state:?}");
        let refused = admit(&mut state, &Policy::default(), NOW, 501).unwrap_err();
        assert!(refused.to_string().contains("the domain new.example"), "{refused}");
        assert!(refused.to_string().contains("2000 mails a day, used 1500, requested 501"), "{refused}");
        assert_eq!(format!("{state:?}"), before, "refused whole");
        let elsewhere = Request { mails: 40_000, domain_id: 1, sender_id: 1 };
        super::admit(&mut state, &Policy::default(), NOW, elsewhere).expect("the account's own quota");
        assert_eq!(state.warming[1].day_used, 0);
    }

    #[test]
    fn r22_a_paused_account_is_told_why() {
        let pause = SendingPause { since: NOW, reason: "too many invalid addresses".to_owned() };
        let mut state = AccountState { pause: Some(pause), ..account() };
        let refused = admit(&mut state, &Policy::default(), NOW, 1).unwrap_err().to_string();
        let since = NOW.rfc3339_seconds();
        assert!(refused.contains(&format!("paused since {since}: too many invalid addresses")), "{refused}");
    }

    #[test]
    fn r11_overdue_may_spare_what_is_prepaid() {
        let policy = Policy { overdue_spares_prepaid: true, ..Policy::default() };
        let mut state = AccountState { status: AccountStatus::OVERDUE, ..account() };
        assert!(admit(&mut state, &policy, NOW, 200).is_ok(), "free credit pays");
        assert_eq!(admit(&mut state, &policy, NOW, 1), Err(Refusal::Overdue), "pay-as-you-go would have to");
    }
}
