//! What an account's mail shows, counted as the server counts it.
//!
//! Everything counts in the five minutes in which it becomes known, except `blamed` and `accused`: reports and
//! verdicts by the five minutes in which their mail was accepted (R22). The book keeps the last 24 hours in such
//! slices with running sums for the brake's windows, and whole days for the review. What was before the last
//! release counts for nothing.

use indicia_domain::quota::brake::{Readings, Window};
use indicia_domain::quota::evidence::{Counts, DayUse, Evidence};
use indicia_domain::quota::policy::SLICE_MINUTES;

use crate::sender::STEPS_PER_DAY;

const SLICES: usize = STEPS_PER_DAY as usize;

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    counts: Counts,
    blamed: i64,
    accused: i64,
}

/// The last so many slices, summed up.
#[derive(Clone, Copy, Debug)]
struct Running {
    slices: i64,
    sum: Slice,
}

/// Mails to one list, from which the number of different recipients follows.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    today: i64,
    yesterday: i64,
    week: i64,
}

pub const LISTS: usize = 2;

/// One account's counts.
#[derive(Clone, Debug)]
pub struct Book {
    slices: Vec<Slice>,
    windows: Vec<Running>,
    now: i64,
    /// The step from which on things count.
    from: i64,
    week: Counts,
    /// Delivered to providers that report, on each day of the run.
    reporting_by_day: Vec<i64>,
    sent: [Sent; LISTS],
    days: Vec<DayUse>,
}

fn subtract(sum: &mut Slice, slice: &Slice) {
    let (counts, less) = (&mut sum.counts, &slice.counts);
    counts.accepted -= less.accepted;
    counts.delivered -= less.delivered;
    counts.invalid -= less.invalid;
    counts.spam -= less.spam;
    counts.failed -= less.failed;
    counts.reported -= less.reported;
    counts.judged -= less.judged;
    counts.reporting -= less.reporting;
    counts.deferred -= less.deferred;
    sum.blamed -= slice.blamed;
    sum.accused -= slice.accused;
}

/// Different recipients among `mails` mails to a list, when each goes to anybody on it.
pub fn unique(mails: i64, addresses: f64) -> i64 {
    if mails <= 1 || addresses <= 1.0 {
        return mails.min(addresses as i64).max(0);
    }
    (addresses * -(-(mails as f64) / addresses).exp_m1()).round() as i64
}

impl Book {
    pub fn new(windows_minutes: &[i64], days: usize) -> Book {
        let running = |minutes: &i64| Running { slices: minutes / SLICE_MINUTES, sum: Slice::default() };
        Book {
            slices: vec![Slice::default(); SLICES],
            windows: windows_minutes.iter().map(running).collect(),
            now: 0,
            from: 0,
            week: Counts::default(),
            reporting_by_day: vec![0; days],
            sent: Default::default(),
            days: Vec::new(),
        }
    }

    fn place(step: i64) -> usize {
        step.rem_euclid(SLICES as i64) as usize
    }

    /// A new slice begins. Slices that nothing was counted in must not be skipped.
    pub fn begin_step(&mut self, step: i64) {
        self.now = step;
        for window in &mut self.windows {
            let leaving = self.slices[Self::place(step - window.slices)];
            subtract(&mut window.sum, &leaving);
        }
        self.slices[Self::place(step)] = Slice::default();
    }

    pub fn count(&mut self, change: &Counts) {
        self.slices[Self::place(self.now)].counts.add(change);
        for window in &mut self.windows {
            window.sum.counts.add(change);
        }
        self.week.add(change);
        let day = (self.now / STEPS_PER_DAY) as usize;
        if let Some(reporting) = self.reporting_by_day.get_mut(day) {
            *reporting += change.reporting;
        }
    }

    /// Reports of a reporting provider's users, about mails that were accepted in an earlier step.
    pub fn blame(&mut self, accepted: i64, reports: i64) {
        self.count(&Counts { reported: reports, ..Counts::default() });
        self.look_back(accepted, |slice| slice.blamed += reports);
    }

    /// Verdicts on the content, and reports from elsewhere.
    pub fn accuse(&mut self, accepted: i64, verdicts: i64) {
        self.count(&Counts { judged: verdicts, ..Counts::default() });
        self.look_back(accepted, |slice| slice.accused += verdicts);
    }

    /// Changes the slice of an earlier step, and the windows that hold it.
    fn look_back(&mut self, accepted: i64, change: impl Fn(&mut Slice)) {
        let age = self.now - accepted;
        if age >= SLICES as i64 || accepted < self.from {
            return;
        }
        change(&mut self.slices[Self::place(accepted)]);
        for window in self.windows.iter_mut().filter(|window| age < window.slices) {
            change(&mut window.sum);
        }
    }

    pub fn sent(&mut self, list: usize, mails: i64) {
        self.sent[list].today += mails;
        self.sent[list].week += mails;
    }

    pub fn end_day(&mut self, used: i64, quota: i64) {
        self.days.push(DayUse { used, quota });
        for sent in &mut self.sent {
            sent.yesterday = sent.today;
            sent.today = 0;
        }
    }

    /// What the brake sees now; the lists' sizes give the number of different recipients.
    pub fn readings(&self, addresses: [f64; LISTS]) -> Readings {
        let both_days = |(sent, size): (&Sent, f64)| unique(sent.today + sent.yesterday, size);
        Readings {
            recipients: self.sent.iter().zip(addresses).map(both_days).sum(),
            windows: self
                .windows
                .iter()
                .map(|window| Window {
                    minutes: window.slices * SLICE_MINUTES,
                    counts: window.sum.counts,
                    blamed: window.sum.blamed,
                    accused: window.sum.accused,
                })
                .collect(),
        }
    }

    /// The week that ends with the step before `now`, as the review sees it.
    pub fn week(&self, now: i64, addresses: [f64; LISTS]) -> Evidence {
        let today = now / STEPS_PER_DAY;
        let from_day = (self.from + STEPS_PER_DAY - 1) / STEPS_PER_DAY;
        let reporting = |from: i64, until: i64| -> i64 {
            let days = from.max(from_day).max(0)..until.max(0);
            days.filter_map(|day| self.reporting_by_day.get(day as usize)).sum()
        };
        Evidence {
            counts: self.week,
            reportable: self.week.reporting.max(reporting(today - 9, today - 2)),
            recipients: self.sent.iter().zip(addresses).map(|(sent, size)| unique(sent.week, size)).sum(),
            days: self.days.clone(),
        }
    }

    pub fn begin_week(&mut self) {
        self.week = Counts::default();
        self.days.clear();
        for sent in &mut self.sent {
            sent.week = 0;
        }
    }

    /// After a release: fresh evidence (R22).
    pub fn forget(&mut self) {
        self.from = self.now;
        self.begin_week();
        self.sent = Default::default();
        self.slices.fill(Slice::default());
        for window in &mut self.windows {
            window.sum = Slice::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(mails: i64) -> Counts {
        Counts { accepted: mails, delivered: mails, ..Counts::default() }
    }

    fn sums(book: &Book) -> Vec<(i64, i64)> {
        let readings = book.readings([1e9, 1e9]);
        readings.windows.iter().map(|window| (window.counts.delivered, window.blamed)).collect()
    }

    #[test]
    fn r22_windows_hold_what_their_minutes_hold() {
        let mut book = Book::new(&[10, 60, 1_440], 10);
        for step in 0..1_000 {
            book.begin_step(step);
            book.count(&delivered(step));
            let last = |slices: i64| ((step - slices + 1).max(0)..=step).sum::<i64>();
            assert_eq!(sums(&book), [(last(2), 0), (last(12), 0), (last(288), 0)], "step {step}");
        }
    }

    #[test]
    fn r22_a_report_is_blamed_on_the_slice_of_its_mail() {
        let mut book = Book::new(&[10, 60, 1_440], 10);
        for step in 0..=20 {
            book.begin_step(step);
            book.count(&delivered(10));
        }
        book.blame(20, 1);
        book.blame(12, 1);
        book.blame(0, 1);
        book.accuse(12, 7);
        assert_eq!(sums(&book), [(20, 1), (120, 2), (210, 3)]);
        let accused: Vec<_> = book.readings([1e9; 2]).windows.iter().map(|window| window.accused).collect();
        assert_eq!(accused, [0, 7, 7]);
        book.begin_step(21);
        book.begin_step(22);
        assert_eq!(sums(&book), [(0, 0), (100, 2), (210, 3)], "what has left the window is not blamed on it");
        for step in 23..400 {
            book.begin_step(step);
        }
        book.blame(20, 1);
        assert_eq!(sums(&book), [(0, 0), (0, 0), (0, 0)]);
        assert_eq!(book.week(400, [1.0, 1.0]).counts.reported, 4, "but the week counts it when it comes");
    }

    #[test]
    fn r22_after_a_release_evidence_is_fresh() {
        let mut book = Book::new(&[10, 60, 1_440], 10);
        for step in 0..300 {
            book.begin_step(step);
            book.count(&delivered(100));
            book.sent(0, 100);
        }
        book.forget();
        book.blame(290, 1);
        assert_eq!(sums(&book), [(0, 0); 3]);
        let week = book.week(300, [1e6, 1.0]);
        assert_eq!((week.counts.delivered, week.reportable, week.recipients), (0, 0, 0));
    }

    #[test]
    fn r21_different_recipients() {
        assert_eq!(unique(0, 100.0), 0);
        assert_eq!(unique(1, 100.0), 1);
        assert_eq!(unique(100_000, 100.0), 100);
        assert!((62..65).contains(&unique(100, 100.0)));
    }
}
