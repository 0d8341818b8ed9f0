//! Whether the right source paid (R04, R05, R06, R09), from the lines alone.

use std::collections::{BTreeMap, HashMap};

use super::super::{Kind, LedgerAccount, Transfer, Validity};
use crate::time::UnixMicros;

/// R05: end, purchase, instance id.
type PayingOrder = (UnixMicros, UnixMicros, String);

/// R06: how many free mails a local day has *(config)*, and since when it has had so many: the ledger does not say
/// what was configured before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeCreditRule {
    pub daily_mails: i64,
    pub since: UnixMicros,
}

/// The free mails of the day that runs, counted from the lines.
#[derive(Debug, Default)]
pub(super) struct FreeDay {
    rule: Option<FreeCreditRule>,
    pub day: i64,
    pub used: i64,
}

impl FreeDay {
    /// The day that a mail accepted on local day `day` counts for: a clock that steps back over midnight does not
    /// bring the day before back.
    fn counting(&self, day: i64) -> i64 {
        if day.saturating_add(1) == self.day { self.day } else { day }
    }

    /// What the day has left, of a lifetime's `in_all`; `None` when the day's maximum of then is not known.
    fn left(&self, at: UnixMicros, day: i64, in_all: i128) -> Option<i128> {
        let rule = self.rule.filter(|rule| rule.since <= at)?;
        let used = if self.counting(day) == self.day { self.used } else { 0 };
        Some((i128::from(rule.daily_mails) - i128::from(used)).min(in_all).max(0))
    }

    fn take(&mut self, day: i64, mails: i64) {
        let day = self.counting(day);
        if day != self.day {
            (self.day, self.used) = (day, 0);
        }
        self.used = self.used.saturating_add(mails);
    }

    /// R03: mails of a day that has passed are back in the lifetime's allowance only.
    fn give_back(&mut self, day: i64, mails: i64) {
        if day == self.day {
            self.used = self.used.saturating_sub(mails).max(0);
        }
    }
}

/// The packages that lines have granted so far, and the free credit's day.
#[derive(Debug, Default)]
pub(super) struct Payer {
    /// In the order of paying.
    order: BTreeMap<PayingOrder, Validity>,
    places: HashMap<String, PayingOrder>,
    pub free: FreeDay,
}

impl Payer {
    pub(super) fn judge_free_credit(&mut self, rule: FreeCreditRule) {
        self.free.rule = Some(rule);
    }

    pub(super) fn grant(&mut self, line: &Transfer) {
        if let (LedgerAccount::Package(instance), Some(validity)) = (&line.to, line.validity) {
            let place = (validity.until, line.at, instance.clone());
            if let Some(earlier) = self.places.insert(instance.clone(), place.clone()) {
                self.order.remove(&earlier);
            }
            self.order.insert(place, validity);
        }
    }

    /// `mails` of a message accepted on local day `accepted_day` go back to `source`.
    pub(super) fn give_back(&mut self, source: &LedgerAccount, accepted_day: i64, mails: i64) {
        if *source == LedgerAccount::Free {
            self.free.give_back(accepted_day, mails);
        }
    }

    /// What is wrong with who pays `line`, a send of local day `day`, given the balances before it.
    pub(super) fn send(
        &mut self,
        line: &Transfer,
        day: i64,
        balances: &BTreeMap<LedgerAccount, i128>,
    ) -> Option<String> {
        debug_assert_eq!(line.kind, Kind::Send);
        let in_all = balances.get(&LedgerAccount::Free).copied().unwrap_or(0);
        let free = self.free.left(line.at, day, in_all);
        if line.from == LedgerAccount::Free {
            self.free.take(day, line.amount);
            return free
                .filter(|left| i128::from(line.amount) > *left)
                .map(|left| format!("takes {} free mails where the day had {left} left (R06)", line.amount));
        }
        if let Some(left) = free.filter(|left| *left > 0) {
            return Some(format!("{} pays while the day has {left} free mails left (R04, R06)", line.from));
        }
        self.package_in_turn(line, balances)
    }

    fn package_in_turn(&self, line: &Transfer, balances: &BTreeMap<LedgerAccount, i128>) -> Option<String> {
        let own = match &line.from {
            LedgerAccount::Package(instance) => Some(instance),
            _ => None,
        };
        if let Some(instance) = own {
            let Some(place) = self.places.get(instance) else {
                return Some(format!("{instance} pays before any line grants its mails"));
            };
            let validity = self.order.get(place)?;
            if line.at < validity.from || line.at >= validity.until {
                return Some(format!("{instance} pays outside its validity (R09)"));
            }
        }
        let has_mails = |instance: &str| {
            balances.get(&LedgerAccount::Package(instance.to_owned())).is_some_and(|balance| *balance > 0)
        };
        // Those that have ended come first and pay for nothing.
        let running = (UnixMicros(line.at.0.saturating_add(1)), UnixMicros(i64::MIN), String::new());
        for ((_, _, instance), validity) in self.order.range(running..) {
            if Some(instance) == own {
                return None;
            }
            if validity.from <= line.at && has_mails(instance) {
                return Some(format!("{} pays while {instance} has mails left (R04, R05)", line.from));
            }
        }
        None
    }
}
