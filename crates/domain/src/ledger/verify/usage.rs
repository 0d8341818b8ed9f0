//! The totals that are kept beside the ledger, by hour and by package and day, held against the lines and the calendar.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::super::LedgerAccount;
use super::{Stored, StoredHour};
use crate::time::{LocalHour, UnixMicros, local_day, local_hour};

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

    /// The start of the hour, and the number of the local day, of `at`.
    pub(super) fn place(&mut self, at: UnixMicros) -> (UnixMicros, i64) {
        match self.last {
            Some((hour, day)) if hour.start <= at && at < hour.end => (hour.start, day),
            _ => {
                let (hour, day) = (local_hour(&self.zone, at), local_day(&self.zone, at).number);
                self.last = Some((hour, day));
                (hour.start, day)
            }
        }
    }

    /// `mails` of a message accepted in this hour of this day, charged to `source` (or, negative, given back to it).
    pub(super) fn count(&mut self, source: &LedgerAccount, (hour, day): (UnixMicros, i64), mails: i64) {
        let column = match source {
            LedgerAccount::Free => 0,
            LedgerAccount::Package(_) => 1,
            _ => 2,
        };
        let sum = &mut self.hours.entry(hour).or_default()[column];
        *sum = sum.saturating_add(mails);
        if let LedgerAccount::Package(instance) = source {
            let sum = self.days.entry((instance.clone(), day)).or_default();
            *sum = sum.saturating_add(mails);
        }
    }

    /// Everything in which the kept totals differ from the lines.
    pub(super) fn compare(&self, stored: &Stored) -> Vec<String> {
        let mut wrong = Vec::new();
        self.compare_hours(stored, &mut wrong);
        self.compare_days(stored, &mut wrong);
        wrong
    }

    fn compare_hours(&self, stored: &Stored, wrong: &mut Vec<String>) {
        let kept: BTreeMap<UnixMicros, &StoredHour> =
            stored.hours.iter().map(|hour| (hour.hour_start, hour)).collect();
        for (start, counted) in &self.hours {
            let Some(hour) = kept.get(start) else {
                wrong.push(format!("hour {start}: has lines, but no usage is kept"));
                continue;
            };
            let has = [hour.free_mails, hour.package_mails, hour.payg_mails];
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
            self.compare_calendar(hour, wrong);
        }
    }

    fn compare_calendar(&self, hour: &StoredHour, wrong: &mut Vec<String>) {
        let start = hour.hour_start;
        let (calendar, day) = (local_hour(&self.zone, start), local_day(&self.zone, start).number);
        if (calendar.start, calendar.end) != (start, hour.hour_end) {
            wrong.push(format!(
                "hour {start}: ends at {}, the clock hour is {} to {}",
                hour.hour_end, calendar.start, calendar.end
            ));
        }
        if day != hour.day {
            wrong.push(format!("hour {start}: is kept under day {}, it is of day {day}", hour.day));
        }
    }

    fn compare_days(&self, stored: &Stored, wrong: &mut Vec<String>) {
        let kept: BTreeMap<(&str, i64), i64> =
            stored.days.iter().map(|day| ((day.instance_id.as_str(), day.day), day.mails)).collect();
        for ((instance, day), mails) in self.days.iter().filter(|(_, mails)| **mails != 0) {
            let has = kept.get(&(instance.as_str(), *day)).copied().unwrap_or(0);
            if has != *mails {
                wrong
                    .push(format!("{instance} on day {day}: the lines charge {mails} mails, {has} are kept"));
            }
        }
        for ((instance, day), mails) in kept.into_iter().filter(|(_, mails)| *mails != 0) {
            let counted = self.days.get(&(instance.to_owned(), day)).copied().unwrap_or(0);
            if counted == 0 {
                wrong.push(format!("{instance} on day {day}: {mails} mails are kept that no line has"));
            }
        }
    }
}
