//! R10, R11: what an hour of pay-as-you-go costs, and what is collected when.
//!
//! A bill is the *difference* between what an hour has and what was billed for it. The first is the hour's bill;
//! whatever changes the hour afterwards (usage that a slow node booked late, a charge given back by R03) makes
//! another, an adjustment. So a job that runs late or twice changes nothing, and the bills of an hour always add
//! up to what one single bill of its final usage would be.
//!
//! ```text
//! 10:00-11:00   20 mails   bill 1   20 mails   0.01      20 x 0.00029 = 0.0058, half-up to the cent
//!               +60 late   bill 2   60 mails   0.01      80 x 0.00029 = 0.0232 -> 0.02, of it 0.01 billed
//!               -80 back   bill 3  -80 mails  -0.02      nothing is left, so nothing is owed
//! ```

use crate::money::MoneyMicros;
use crate::time::UnixMicros;

/// Millionths in the smallest amount that is billed.
const CENT_MICROS: i64 = 10_000;

/// When open bills are collected (R11, *(config)*); besides, they are on the 1st of the month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectionPolicy {
    /// Open bills of this much are collected at once.
    pub threshold: MoneyMicros,
}

impl Default for CollectionPolicy {
    fn default() -> Self {
        CollectionPolicy { threshold: MoneyMicros(1_000_000_000) }
    }
}

/// R10: the price of `mails` mails of one hour: rounded half-up to the cent, at least a cent when there are any.
pub fn amount(price: MoneyMicros, mails: i64) -> MoneyMicros {
    if mails <= 0 {
        return MoneyMicros::ZERO;
    }
    let exact = i128::from(price.0) * i128::from(mails);
    let cents = (exact + i128::from(CENT_MICROS / 2)) / i128::from(CENT_MICROS);
    let cents = cents.clamp(1, i128::from(i64::MAX / CENT_MICROS));
    MoneyMicros(cents as i64 * CENT_MICROS)
}

/// What an hour has, and what was billed for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hour {
    pub mails: i64,
    pub billed_mails: i64,
    pub billed: MoneyMicros,
}

/// A bill to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewBill {
    /// Not zero; negative when mails were given back after they were billed.
    pub mails: i64,
    pub amount: MoneyMicros,
}

/// The bill that brings `hour` up to date; `None` when it is.
pub fn next_bill(price: MoneyMicros, hour: Hour) -> Option<NewBill> {
    let mails = hour.mails - hour.billed_mails;
    (mails != 0).then(|| NewBill { mails, amount: MoneyMicros(amount(price, hour.mails).0 - hour.billed.0) })
}

/// A bill that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueBill {
    pub bill_id: i64,
    pub hour_start: UnixMicros,
    pub number: i64,
    pub amount: MoneyMicros,
}

/// What a collection took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Bills paid, in the order of paying.
    pub paid: Vec<i64>,
    /// Taken from the balance; negative when credit notes exceeded the bills.
    pub amount: MoneyMicros,
    /// Stays due. More than zero: the account is overdue.
    pub left: MoneyMicros,
}

/// R11: pays what is due from `cash`, down to minus `credit_limit`. Bills are paid whole; credit notes first, then
/// the oldest hour. The first that does not fit stays, and all after it: an old bill is not overtaken.
pub fn collect(mut due: Vec<DueBill>, cash: MoneyMicros, credit_limit: MoneyMicros) -> Collected {
    due.sort_by_key(|bill| (bill.amount.0 > 0, bill.hour_start, bill.number));
    let available = i128::from(cash.0) + i128::from(credit_limit.0);
    let mut collected = Collected::default();
    let mut stopped = false;
    for bill in due {
        let total = i128::from(collected.amount.0) + i128::from(bill.amount.0);
        stopped = stopped || (bill.amount.0 > 0 && total > available);
        if stopped {
            collected.left.0 += bill.amount.0;
        } else {
            collected.paid.push(bill.bill_id);
            collected.amount.0 += bill.amount.0;
        }
    }
    collected
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PRICE: MoneyMicros = MoneyMicros(290);

    #[test]
    fn r10_half_up_to_the_cent_and_at_least_a_cent() {
        for (mails, cents) in [
            (0, 0),
            (1, 1),
            (17, 1),
            (51, 1),
            (52, 2),
            (1_000, 29),
            (1_017, 29),
            (1_018, 30),
            (10_000_000, 290_000),
        ] {
            assert_eq!(amount(PRICE, mails), MoneyMicros(cents * CENT_MICROS), "{mails} mails");
        }
        // 50 mails at 0.0003 are exactly 1.5 cents: up.
        assert_eq!(amount(MoneyMicros(300), 50), MoneyMicros(20_000));
        assert_eq!(amount(MoneyMicros(i64::MAX), i64::MAX).0 % CENT_MICROS, 0, "no overflow");
    }

    #[test]
    fn r10_an_hour_without_change_has_no_further_bill() {
        let hour = Hour { mails: 20, billed_mails: 20, billed: MoneyMicros(10_000) };
        assert_eq!(next_bill(PRICE, hour), None);
        assert_eq!(next_bill(PRICE, Hour::default()), None);
    }

    #[test]
    fn r03_mails_given_back_after_their_bill_make_a_credit_note() {
        let hour = Hour { mails: 0, billed_mails: 80, billed: MoneyMicros(20_000) };
        assert_eq!(next_bill(PRICE, hour), Some(NewBill { mails: -80, amount: MoneyMicros(-20_000) }));
    }

    fn due(bills: &[(i64, i64)]) -> Vec<DueBill> {
        bills
            .iter()
            .map(|&(hour, amount)| DueBill {
                bill_id: hour,
                hour_start: UnixMicros(hour),
                number: 1,
                amount: MoneyMicros(amount),
            })
            .collect()
    }

    #[test]
    fn r11_whole_bills_oldest_first_and_no_overtaking() {
        let collected = collect(due(&[(3, 10), (1, 40), (2, 70)]), MoneyMicros(50), MoneyMicros::ZERO);
        assert_eq!(
            collected,
            Collected { paid: vec![1], amount: MoneyMicros(40), left: MoneyMicros(80) },
            "hour 3 would fit but does not overtake hour 2"
        );
    }

    #[test]
    fn r11_the_credit_limit_is_available_too_and_credit_notes_come_first() {
        let collected = collect(due(&[(1, 100), (2, -30)]), MoneyMicros(50), MoneyMicros(20));
        assert_eq!(
            collected,
            Collected { paid: vec![2, 1], amount: MoneyMicros(70), left: MoneyMicros::ZERO }
        );
        let collected = collect(due(&[(1, 101), (2, -30)]), MoneyMicros(50), MoneyMicros(20));
        assert_eq!(collected, Collected { paid: vec![2], amount: MoneyMicros(-30), left: MoneyMicros(101) });
    }

    proptest! {
        /// However an hour's usage comes and goes, and whenever the job runs, its bills add up to one bill of it.
        #[test]
        fn r10_bills_of_an_hour_add_up_to_one(changes in proptest::collection::vec((-500i64..2_000, any::<bool>()), 1..30), price in 1i64..5_000) {
            let price = MoneyMicros(price);
            let mut hour = Hour::default();
            for (change, job_runs) in changes {
                hour.mails = (hour.mails + change).max(0);
                while let Some(bill) = job_runs.then(|| next_bill(price, hour)).flatten() {
                    hour.billed_mails += bill.mails;
                    hour.billed.0 += bill.amount.0;
                }
            }
            if let Some(bill) = next_bill(price, hour) {
                hour.billed_mails += bill.mails;
                hour.billed.0 += bill.amount.0;
            }
            prop_assert_eq!(hour.billed, amount(price, hour.mails));
            prop_assert_eq!(hour.billed_mails, hour.mails);
        }

        #[test]
        fn r11_nothing_is_lost_and_nothing_overdrawn(amounts in proptest::collection::vec(-200i64..1_000, 0..12), cash in 0i64..3_000, credit in 0i64..500) {
            let bills: Vec<(i64, i64)> = (1..).zip(amounts.iter().copied()).collect();
            let collected = collect(due(&bills), MoneyMicros(cash), MoneyMicros(credit));
            prop_assert_eq!(collected.amount.0 + collected.left.0, amounts.iter().sum::<i64>());
            prop_assert!(collected.amount.0 <= cash + credit);
            prop_assert!(collected.left.0 >= 0, "what is left is owed to us");
            prop_assert_eq!(collected.left.0 == 0, collected.paid.len() == bills.iter().len());
        }
    }
}
