//! The totals that are kept beside the ledger (by hour, by package and day) and the bills, held against the lines.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::super::bill::amount;
use super::super::{LedgerAccount, Unit};
use super::Stored;
use crate::money::MoneyMicros;
use crate::time::{LocalHour, UnixMicros, local_day, local_hour};

/// One hour as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredHour {
    pub hour_start: UnixMicros,
    pub free_mails: i64,
    pub package_mails: i64,
    pub payg_mails: i64,
    pub billed_mails: i64,
    pub billed_micros: i64,
    /// Of one mail, as billed; 0 before the first bill.
    pub price_micros: i64,
}

/// What one package paid for mails of one local day, as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredDay {
    pub instance_id: String,
    pub day: i64,
    pub mails: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredBill {
    pub hour_start: UnixMicros,
    pub number: i64,
    pub mails: i64,
    pub amount_micros: i64,
    pub settled: bool,
}

/// The same totals, from the lines.
#[derive(Debug)]
pub(super) struct Usage {
    zone: TimeZone,
    /// Lines come in the order of time, so that the next is mostly of the same hour and day.
    last: Option<(LocalHour, i64)>,
    /// Free, package and pay-as-you-go mails by start of the hour.
    hours: BTreeMap<UnixMicros, [i64; 3]>,
    days: BTreeMap<(String, i64), i64>,
}

impl Usage {
    pub(super) fn new(zone: TimeZone) -> Self {
        Usage { zone, last: None, hours: BTreeMap::new(), days: BTreeMap::new() }
    }

    fn place(&mut self, at: UnixMicros) -> (UnixMicros, i64) {
        match self.last {
            Some((hour, day)) if hour.start <= at && at < hour.end => (hour.start, day),
            _ => {
                let (hour, day) = (local_hour(&self.zone, at), local_day(&self.zone, at).number);
                self.last = Some((hour, day));
                (hour.start, day)
            }
        }
    }

    /// `mails` of a message accepted `at`, charged to `source` (or, negative, given back to it).
    pub(super) fn count(&mut self, source: &LedgerAccount, at: UnixMicros, mails: i64) {
        let (hour, day) = self.place(at);
        let column = match source {
            LedgerAccount::Free => 0,
            LedgerAccount::Package(_) => 1,
            _ => 2,
        };
        self.hours.entry(hour).or_default()[column] += mails;
        if let LedgerAccount::Package(instance) = source {
            *self.days.entry((instance.clone(), day)).or_default() += mails;
        }
    }

    /// Everything in which the stored totals and bills differ from the lines.
    pub(super) fn compare(&self, stored: &Stored, balances: &BTreeMap<LedgerAccount, i128>) -> Vec<String> {
        let mut wrong = self.compare_hours(stored);
        self.compare_days(stored, &mut wrong);
        compare_bills(stored, balances, &mut wrong);
        wrong
    }

    fn compare_hours(&self, stored: &Stored) -> Vec<String> {
        let mut wrong = Vec::new();
        let kept: BTreeMap<UnixMicros, &StoredHour> =
            stored.hours.iter().map(|hour| (hour.hour_start, hour)).collect();
        for (start, counted) in &self.hours {
            let has =
                kept.get(start).map_or([0; 3], |hour| [hour.free_mails, hour.package_mails, hour.payg_mails]);
            if has != *counted {
                wrong.push(format!(
                    "hour {start}: the lines charge {counted:?} mails (free, packages, pay-as-you-go), {has:?} are kept"
                ));
            }
        }
        for (start, hour) in kept {
            let empty = [hour.free_mails, hour.package_mails, hour.payg_mails] == [0; 3];
            if !empty && !self.hours.contains_key(&start) {
                wrong.push(format!("hour {start}: has usage that no line has"));
            }
            let bills = stored.bills.iter().filter(|bill| bill.hour_start == start);
            let (mails, micros) =
                bills.fold((0, 0), |sum, bill| (sum.0 + bill.mails, sum.1 + bill.amount_micros));
            if (mails, micros) != (hour.billed_mails, hour.billed_micros) {
                wrong.push(format!(
                    "hour {start}: its bills are {mails} mails and {micros} millionths, it says {} and {}",
                    hour.billed_mails, hour.billed_micros
                ));
            }
            if MoneyMicros(hour.billed_micros) != amount(MoneyMicros(hour.price_micros), hour.billed_mails) {
                wrong.push(format!(
                    "hour {start}: {} mails at {} millionths were billed as {} (R10)",
                    hour.billed_mails, hour.price_micros, hour.billed_micros
                ));
            }
        }
        wrong
    }

    fn compare_days(&self, stored: &Stored, wrong: &mut Vec<String>) {
        let kept: BTreeMap<(String, i64), i64> =
            stored.days.iter().map(|day| ((day.instance_id.clone(), day.day), day.mails)).collect();
        let zero = |mails: &i64| *mails == 0;
        for ((instance, day), mails) in self.days.iter().filter(|(_, mails)| !zero(mails)) {
            let has = kept.get(&(instance.clone(), *day)).copied().unwrap_or(0);
            if has != *mails {
                wrong
                    .push(format!("{instance} on day {day}: the lines charge {mails} mails, {has} are kept"));
            }
        }
        for ((instance, day), mails) in kept.iter().filter(|(_, mails)| !zero(mails)) {
            if !self.days.contains_key(&(instance.clone(), *day)) {
                wrong.push(format!("{instance} on day {day}: {mails} mails are kept that no line has"));
            }
        }
    }
}

/// R11, R26: the bills and the money lines of bills are the same, and each hour's bills are numbered from one on.
fn compare_bills(stored: &Stored, balances: &BTreeMap<LedgerAccount, i128>, wrong: &mut Vec<String>) {
    let mails: i128 = stored.bills.iter().map(|bill| i128::from(bill.mails)).sum();
    let billed = -balances.get(&LedgerAccount::Billed).copied().unwrap_or(0);
    if mails != billed {
        wrong.push(format!("the bills are of {mails} mails, the lines bill {billed}"));
    }
    let open: i128 =
        stored.bills.iter().filter(|bill| !bill.settled).map(|bill| i128::from(bill.amount_micros)).sum();
    if open != i128::from(stored.open_micros) {
        let unit = Unit::Money.as_str();
        wrong.push(format!(
            "unpaid bills add up to {open} millionths of {unit}, the account has {}",
            stored.open_micros
        ));
    }
    let mut numbers: BTreeMap<UnixMicros, Vec<i64>> = BTreeMap::new();
    for bill in &stored.bills {
        numbers.entry(bill.hour_start).or_default().push(bill.number);
    }
    for (hour, mut numbers) in numbers {
        numbers.sort_unstable();
        if !numbers.iter().copied().eq(1..=numbers.len() as i64) {
            wrong.push(format!("hour {hour}: its bills are numbered {numbers:?}, not 1, 2, 3 …"));
        }
        if !stored.hours.iter().any(|kept| kept.hour_start == hour) {
            wrong.push(format!("hour {hour}: has bills but no usage"));
        }
    }
}
