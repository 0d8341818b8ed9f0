//! R27, R13: the balances of one account as of any instant, past or future, from ledger lines alone.
//!
//! Lines are taken one by one or summed by (kind, from, to); a package's validity comes from the line that granted
//! it. What is left in a package at its end instant is lapsed from that instant on, whenever anybody looks.

use std::collections::{BTreeMap, HashMap};

use super::{Kind, LedgerAccount, Transfer, Validity};
use crate::time::UnixMicros;

/// One package as of an instant: `granted = upcoming + remaining + consumed + lapsed + refunded` (R25; what is
/// upcoming will remain).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageBalance {
    pub instance_id: String,
    pub validity: Option<Validity>,
    pub granted: i64,
    /// Usable at the instant.
    pub remaining: i64,
    /// Not yet usable: the validity begins later.
    pub upcoming: i64,
    pub consumed: i64,
    pub lapsed: i64,
    /// Given back, by a refund or in exchange.
    pub refunded: i64,
}

/// All balances of one account as of an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    pub free_mails: i64,
    /// Pay-as-you-go mails not yet billed.
    pub pay_as_you_go_mails: i64,
    pub billed_mails: i64,
    pub cash_micros: i64,
    /// Billed and not yet paid.
    pub open_micros: i64,
    /// By end, then instance id.
    pub packages: Vec<PackageBalance>,
}

/// Sums of lines.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    balances: HashMap<LedgerAccount, i64>,
    packages: BTreeMap<String, PackageSums>,
}

#[derive(Clone, Debug, Default)]
struct PackageSums {
    validity: Option<Validity>,
    granted: i64,
    consumed: i64,
    refunded: i64,
}

impl Sums {
    pub fn add_line(&mut self, line: &Transfer) {
        self.add(line.kind, &line.from, &line.to, line.amount);
        if let (LedgerAccount::Package(instance), Some(validity)) = (&line.to, line.validity) {
            self.set_validity(instance, validity);
        }
    }

    /// Adds `amount` that lines of this kind moved.
    pub fn add(&mut self, kind: Kind, from: &LedgerAccount, to: &LedgerAccount, amount: i64) {
        *self.balances.entry(from.clone()).or_default() -= amount;
        *self.balances.entry(to.clone()).or_default() += amount;
        if let LedgerAccount::Package(instance) = to {
            let sums = self.packages.entry(instance.clone()).or_default();
            match kind {
                Kind::Reversal => sums.consumed -= amount,
                _ => sums.granted += amount,
            }
        }
        if let LedgerAccount::Package(instance) = from {
            let sums = self.packages.entry(instance.clone()).or_default();
            match kind {
                Kind::Send => sums.consumed += amount,
                Kind::Refund | Kind::Upgrade => sums.refunded += amount,
                _ => sums.granted -= amount,
            }
        }
    }

    pub fn set_validity(&mut self, instance: &str, validity: Validity) {
        self.packages.entry(instance.to_owned()).or_default().validity = Some(validity);
    }

    /// The balances at `at`, if these are the lines up to then.
    pub fn balances(&self, at: UnixMicros) -> Balances {
        let sum = |account: LedgerAccount| self.balances.get(&account).copied().unwrap_or(0);
        let mut packages: Vec<PackageBalance> = self
            .packages
            .iter()
            .map(|(instance, sums)| {
                let left = sum(LedgerAccount::Package(instance.clone()));
                let ended = sums.validity.is_some_and(|validity| at >= validity.until);
                let begun = sums.validity.is_none_or(|validity| at >= validity.from);
                let when = |is: bool| if is { left } else { 0 };
                PackageBalance {
                    instance_id: instance.clone(),
                    validity: sums.validity,
                    granted: sums.granted,
                    remaining: when(begun && !ended),
                    upcoming: when(!begun && !ended),
                    consumed: sums.consumed,
                    lapsed: when(ended),
                    refunded: sums.refunded,
                }
            })
            .collect();
        packages.sort_by_key(|package| {
            (package.validity.map(|validity| validity.until), package.instance_id.clone())
        });
        Balances {
            free_mails: sum(LedgerAccount::Free),
            pay_as_you_go_mails: -sum(LedgerAccount::PayAsYouGo),
            billed_mails: -sum(LedgerAccount::Billed),
            cash_micros: sum(LedgerAccount::Cash),
            open_micros: -sum(LedgerAccount::Receivable),
            packages,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums() -> Sums {
        let bag = LedgerAccount::Package("DMBAG-1".into());
        let mut sums = Sums::default();
        sums.add(Kind::Purchase, &LedgerAccount::Granted, &bag, 100);
        sums.set_validity("DMBAG-1", Validity { from: UnixMicros(10), until: UnixMicros(20) });
        sums.add(Kind::Send, &bag, &LedgerAccount::Consumed, 30);
        sums.add(Kind::Reversal, &LedgerAccount::Consumed, &bag, 5);
        sums
    }

    #[test]
    fn r13_the_coming_lapse_is_seen_in_advance_and_to_the_microsecond() {
        let sums = sums();
        for (at, upcoming, remaining, lapsed) in
            [(9, 75, 0, 0), (10, 0, 75, 0), (19, 0, 75, 0), (20, 0, 0, 75), (9_999, 0, 0, 75)]
        {
            let balance = sums.balances(UnixMicros(at)).packages.remove(0);
            assert_eq!(
                (balance.upcoming, balance.remaining, balance.lapsed),
                (upcoming, remaining, lapsed),
                "{at}"
            );
            let parts =
                balance.upcoming + balance.remaining + balance.consumed + balance.lapsed + balance.refunded;
            assert_eq!(parts, balance.granted, "R25 at {at}");
        }
    }

    #[test]
    fn r12_what_is_given_back_is_refunded_not_lapsed() {
        let bag = LedgerAccount::Package("DMBAG-2".into());
        let mut sums = Sums::default();
        sums.add(Kind::Purchase, &LedgerAccount::Granted, &bag, 100);
        sums.set_validity("DMBAG-2", Validity { from: UnixMicros(10), until: UnixMicros(20) });
        sums.add(Kind::Refund, &bag, &LedgerAccount::Granted, 100);
        let balance = sums.balances(UnixMicros(30)).packages.remove(0);
        assert_eq!((balance.granted, balance.refunded, balance.lapsed), (100, 100, 0));
    }
}
