//! Who pays: free credit first, then packages by earliest end, then pay-as-you-go (R04, R05).

use super::LedgerAccount;
use super::free_credit::FreeCredit;
use super::package::Package;
use crate::time::UnixMicros;

/// Where a charge was taken from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The free credit, on the local day with this number.
    Free,
    /// A package, by instance id.
    Package(String),
    PayAsYouGo,
}

impl Source {
    pub fn ledger_account(&self) -> LedgerAccount {
        match self {
            Source::Free => LedgerAccount::Free,
            Source::Package(instance) => LedgerAccount::Package(instance.clone()),
            Source::PayAsYouGo => LedgerAccount::PayAsYouGo,
        }
    }

    pub fn from_ledger_account(account: &LedgerAccount) -> Option<Source> {
        match account {
            LedgerAccount::Free => Some(Source::Free),
            LedgerAccount::Package(instance) => Some(Source::Package(instance.clone())),
            LedgerAccount::PayAsYouGo => Some(Source::PayAsYouGo),
            _ => None,
        }
    }
}

/// One source's share of one request, with the source's mails before and after. For pay-as-you-go they are the
/// mails charged to it and not yet billed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    pub source: Source,
    pub mails: i64,
    pub before: i64,
    pub after: i64,
}

/// The sources of one account, as a charge finds and leaves them.
pub struct Purse<'a> {
    pub free: &'a mut FreeCredit,
    pub packages: &'a mut [Package],
    pub pay_as_you_go_mails: &'a mut i64,
}

impl Purse<'_> {
    /// What free credit and packages can pay at `at` on local day `day`.
    pub fn prepaid(&self, at: UnixMicros, day: i64, free_daily_max: i64) -> i64 {
        let packages = self.packages.iter().filter(|package| package.is_valid_at(at));
        self.free.available(day, free_daily_max) + packages.map(|package| package.remaining).sum::<i64>()
    }

    /// Charges `mails` at `at`; the charges add up to exactly `mails` (R25).
    pub fn charge(&mut self, at: UnixMicros, day: i64, free_daily_max: i64, mails: i64) -> Vec<Charge> {
        let mut charges = Vec::with_capacity(2);
        let mut open = mails;
        let before = self.free.total_left;
        let taken = self.free.take(day, free_daily_max, open);
        if taken > 0 {
            charges.push(Charge { source: Source::Free, mails: taken, before, after: before - taken });
            open -= taken;
        }
        if open > 0 {
            self.packages.sort_by(|a, b| a.paying_order().cmp(&b.paying_order()));
        }
        for package in self.packages.iter_mut().filter(|package| package.is_valid_at(at)) {
            let taken = package.remaining.min(open);
            if taken > 0 {
                let before = package.remaining;
                package.remaining -= taken;
                let source = Source::Package(package.instance_id.clone());
                charges.push(Charge { source, mails: taken, before, after: package.remaining });
                open -= taken;
            }
        }
        if open > 0 {
            let before = *self.pay_as_you_go_mails;
            *self.pay_as_you_go_mails += open;
            charges.push(Charge { source: Source::PayAsYouGo, mails: open, before, after: before + open });
        }
        debug_assert_eq!(charges.iter().map(|charge| charge.mails).sum::<i64>(), mails);
        charges
    }

    /// R03: gives `mails` of a request back, last source first, each to the very source it came from.
    /// `charged` is what is still charged of the request, in the order of charging; `free_day` the local day of
    /// its acceptance. More than was charged is never given back.
    pub fn reverse(&mut self, charged: &[(Source, i64)], free_day: i64, mails: i64) -> Vec<Charge> {
        let mut open = mails;
        let mut charges = Vec::new();
        for (source, amount) in charged.iter().rev() {
            let back = (*amount).min(open);
            if back <= 0 {
                continue;
            }
            let (before, after) = match source {
                Source::PayAsYouGo => {
                    let before = *self.pay_as_you_go_mails;
                    *self.pay_as_you_go_mails -= back;
                    (before, before - back)
                }
                Source::Package(instance) => {
                    let Some(package) =
                        self.packages.iter_mut().find(|package| &package.instance_id == instance)
                    else {
                        continue;
                    };
                    let before = package.remaining;
                    package.remaining += back;
                    (before, package.remaining)
                }
                Source::Free => {
                    let before = self.free.total_left;
                    self.free.give_back(free_day, back);
                    (before, self.free.total_left)
                }
            };
            charges.push(Charge { source: source.clone(), mails: back, before, after });
            open -= back;
        }
        charges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(id: &str, remaining: i64, purchased: i64, ends: i64) -> Package {
        Package {
            instance_id: id.into(),
            granted: 1_000,
            remaining,
            purchased_at: UnixMicros(purchased),
            starts_at: UnixMicros(purchased),
            ends_at: UnixMicros(ends),
            closed: None,
        }
    }

    struct Fixture {
        free: FreeCredit,
        packages: Vec<Package>,
        payg: i64,
    }

    impl Fixture {
        fn new(free: i64, packages: Vec<Package>) -> Self {
            Fixture { free: FreeCredit { total_left: free, day: 0, day_used: 0 }, packages, payg: 0 }
        }

        fn purse(&mut self) -> Purse<'_> {
            Purse { free: &mut self.free, packages: &mut self.packages, pay_as_you_go_mails: &mut self.payg }
        }

        fn charge(&mut self, at: i64, mails: i64) -> Vec<(String, i64)> {
            let charges = self.purse().charge(UnixMicros(at), 1, 200, mails);
            charges.iter().map(|charge| (charge.source.ledger_account().to_string(), charge.mails)).collect()
        }
    }

    fn shares(shares: &[(&str, i64)]) -> Vec<(String, i64)> {
        shares.iter().map(|(name, mails)| ((*name).to_owned(), *mails)).collect()
    }

    #[test]
    fn r04_free_then_packages_then_pay_as_you_go() {
        let mut fixture = Fixture::new(3, vec![package("DMBAG-1", 4, 0, 100)]);
        assert_eq!(
            fixture.charge(50, 10),
            shares(&[("free", 3), ("package:DMBAG-1", 4), ("pay-as-you-go", 3)])
        );
        assert_eq!(fixture.charge(50, 1), shares(&[("pay-as-you-go", 1)]));
    }

    #[test]
    fn r05_earliest_end_first() {
        let later_bought_earlier_end = vec![package("DMBAG-A", 5, 0, 300), package("DMBAG-B", 5, 10, 200)];
        let mut fixture = Fixture::new(0, later_bought_earlier_end);
        assert_eq!(fixture.charge(50, 7), shares(&[("package:DMBAG-B", 5), ("package:DMBAG-A", 2)]));
    }

    #[test]
    fn r05_ties_go_to_the_earlier_purchase_then_the_smaller_id() {
        let mut fixture = Fixture::new(
            0,
            vec![package("DMBAG-9", 1, 5, 200), package("DMBAG-3", 1, 4, 200), package("DMBAG-2", 1, 5, 200)],
        );
        assert_eq!(
            fixture.charge(50, 3),
            shares(&[("package:DMBAG-3", 1), ("package:DMBAG-2", 1), ("package:DMBAG-9", 1)])
        );
    }

    #[test]
    fn r09_an_ended_or_upcoming_package_does_not_pay() {
        let mut fixture = Fixture::new(0, vec![package("DMBAG-1", 5, 10, 100)]);
        assert_eq!(fixture.charge(9, 1), shares(&[("pay-as-you-go", 1)]), "before its start");
        assert_eq!(fixture.charge(99, 1), shares(&[("package:DMBAG-1", 1)]), "the last microsecond");
        assert_eq!(fixture.charge(100, 1), shares(&[("pay-as-you-go", 1)]), "the end instant itself");
    }

    #[test]
    fn r03_reversal_unwinds_last_source_first() {
        let mut fixture = Fixture::new(2, vec![package("DMBAG-1", 3, 0, 100)]);
        let charges = fixture.purse().charge(UnixMicros(50), 1, 200, 9);
        let charged: Vec<_> = charges.iter().map(|charge| (charge.source.clone(), charge.mails)).collect();
        let back = fixture.purse().reverse(&charged, 1, 6);
        let back: Vec<_> =
            back.iter().map(|charge| (charge.source.ledger_account().to_string(), charge.mails)).collect();
        assert_eq!(back, shares(&[("pay-as-you-go", 4), ("package:DMBAG-1", 2)]));
        assert_eq!((fixture.payg, fixture.packages[0].remaining, fixture.free.total_left), (0, 2, 0));
    }

    #[test]
    fn r03_what_returns_to_an_ended_package_lapses_in_the_same_breath() {
        let mut fixture = Fixture::new(0, vec![package("DMBAG-1", 5, 0, 100)]);
        fixture.charge(99, 5);
        fixture.purse().reverse(&[(Source::Package("DMBAG-1".into()), 5)], 1, 5);
        let package = &fixture.packages[0];
        assert_eq!(
            (package.remaining, package.lapsed_at(UnixMicros(100)), package.usable_at(UnixMicros(100))),
            (5, 5, 0)
        );
    }

    proptest::proptest! {
        /// R25 and R03: charges add up to the request, and taking all of it back is the identity.
        #[test]
        fn r25_charge_then_reverse_is_the_identity(
            free in 0i64..300, sizes in proptest::collection::vec((0i64..50, 0i64..9, 1i64..200), 0..6), mails in 1i64..400, at in 0i64..200
        ) {
            let packages: Vec<_> = sizes.iter().enumerate()
                .map(|(n, &(remaining, bought, ends))| package(&format!("DMBAG-{n}"), remaining, bought, ends)).collect();
            let mut fixture = Fixture::new(free, packages);
            fixture.packages.sort_by(|a, b| a.paying_order().cmp(&b.paying_order()));
            let before = fixture.packages.clone();
            let charges = fixture.purse().charge(UnixMicros(at), 1, 200, mails);
            proptest::prop_assert_eq!(charges.iter().map(|charge| charge.mails).sum::<i64>(), mails);
            let charged: Vec<_> = charges.iter().map(|charge| (charge.source.clone(), charge.mails)).collect();
            fixture.purse().reverse(&charged, 1, mails);
            proptest::prop_assert_eq!(fixture.packages, before);
            proptest::prop_assert_eq!((fixture.free.total_left, fixture.payg), (free, 0));
        }
    }
}
