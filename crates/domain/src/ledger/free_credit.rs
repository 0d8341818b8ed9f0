//! R06: the free credit: so many mails in all for an account, at most so many on one local day.

use crate::quota::not_before;

/// The free credit of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeCredit {
    /// Mails left of the lifetime allowance.
    pub total_left: i64,
    /// The local day (its number) that `day_used` counts.
    pub day: i64,
    pub day_used: i64,
}

impl FreeCredit {
    /// Free mails that can be used on local day `day`.
    pub fn available(&self, day: i64, daily_max: i64) -> i64 {
        let used = if not_before(self.day, day) == self.day { self.day_used } else { 0 };
        (daily_max - used).min(self.total_left).max(0)
    }

    /// Takes up to `wanted` mails for `day`; returns how many it took.
    pub fn take(&mut self, day: i64, daily_max: i64, wanted: i64) -> i64 {
        let taken = self.available(day, daily_max).min(wanted);
        let day = not_before(self.day, day);
        if taken > 0 {
            if self.day != day {
                self.day = day;
                self.day_used = 0;
            }
            self.day_used += taken;
            self.total_left -= taken;
        }
        taken
    }

    /// R03: what returns to a day that has passed returns to the lifetime allowance only.
    pub fn give_back(&mut self, taken_on_day: i64, mails: i64) {
        self.total_left += mails;
        if self.day == taken_on_day {
            self.day_used = (self.day_used - mails).max(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r06_at_most_200_on_one_day_and_2000_in_all() {
        let mut free = FreeCredit { total_left: 2_000, day: 0, day_used: 0 };
        for day in 1..=10 {
            assert_eq!(free.take(day, 200, 150), 150);
            assert_eq!(free.take(day, 200, 150), 50);
            assert_eq!(free.take(day, 200, 1), 0);
        }
        assert_eq!((free.total_left, free.take(11, 200, 1)), (0, 0));
    }

    #[test]
    fn r03_a_passed_day_gets_nothing_back() {
        let mut free = FreeCredit { total_left: 2_000, day: 0, day_used: 0 };
        free.take(1, 200, 200);
        free.take(2, 200, 30);
        free.give_back(1, 200);
        assert_eq!(free, FreeCredit { total_left: 1_970, day: 2, day_used: 30 });
        free.give_back(2, 30);
        assert_eq!(free, FreeCredit { total_left: 2_000, day: 2, day_used: 0 });
    }
}
