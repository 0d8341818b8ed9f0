//! A month of an account's money and packages, from opening to closing: the same figures for every sheet that shows
//! them, the console's and the command line's.
//!
//! Made from the lines of the cash balance, and for packages from what is kept: the packages, what each paid by local
//! day, and the few lines of operators' adjustments. The lines of mails are never read, so that a month of ten million
//! mails costs what an empty one does. What comes out adds up by its form:
//!
//! ```text
//! opening cash    + payments + credits − purchases + refunds − collections ± adjustments  = closing cash
//! opening package + bought ± adjusted − given back − drawn − lapsed                        = closing package
//! ```
//! A month's closing is the next one's opening: both are the state just before the local midnight between them.

use std::collections::BTreeMap;

use indicia_domain::ledger::{Kind, LedgerAccount, Transfer};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::UnixMicros;

use crate::ledger::DeductionToken;
use crate::package::{PackageFilter, PackageRow};
use crate::usage::PackageDay;
use crate::{Result, Store};

/// A span of time that begins and ends at local midnights, or now where it is not over: `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: UnixMicros,
    /// The first instant after it.
    pub end: UnixMicros,
    /// The number of its first local day.
    pub first_day: i64,
    /// The number of the first local day after it.
    pub before_day: i64,
}

impl Span {
    pub fn contains(&self, at: UnixMicros) -> bool {
        self.start <= at && at < self.end
    }
}

/// Which way the lines of a row go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    In,
    Out,
    /// Both: what goes back corrects what came.
    Net,
}

/// The kinds that change the cash balance, in the order of the sheet. What people put on and take off stands apart:
/// a sum of the two would be neither.
const CASH_ROWS: [(Kind, Way, &str); 10] = [
    (Kind::TopUp, Way::In, "Payments received"),
    (Kind::TopUp, Way::Out, "Payments taken back"),
    (Kind::Credit, Way::In, "Put on by the operator"),
    (Kind::Credit, Way::Out, "Taken off by the operator"),
    (Kind::Purchase, Way::Net, "Packages bought"),
    (Kind::Upgrade, Way::Net, "Packages upgraded"),
    (Kind::Refund, Way::Net, "Packages refunded"),
    (Kind::Settlement, Way::Net, "Bills collected"),
    (Kind::Adjustment, Way::In, "Adjustments that added"),
    (Kind::Adjustment, Way::Out, "Adjustments that took off"),
];

/// The row of [`CASH_ROWS`] that a line belongs to.
fn cash_row(kind: Kind, change: i64) -> Option<usize> {
    let way = if change < 0 { Way::Out } else { Way::In };
    CASH_ROWS.iter().position(|(of, takes, _)| *of == kind && (*takes == way || *takes == Way::Net))
}

/// Lines read at a time.
const LINES_PER_READ: i64 = 1_000;

/// The cash balance over a span.
#[derive(Clone, Debug)]
pub struct CashMonth {
    pub opening: MoneyMicros,
    pub closing: MoneyMicros,
    /// Change and number of lines of each of [`CASH_ROWS`].
    sums: [(i64, i64); CASH_ROWS.len()],
    /// Change of lines of any other kind; there are none.
    other: i64,
    /// The first lines, oldest first.
    pub lines: Vec<Transfer>,
    /// All lines, those that are not listed included.
    pub count: i64,
}

/// The lines of one kind that go one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CashSum {
    pub kind: Kind,
    pub name: &'static str,
    pub amount: MoneyMicros,
    pub count: i64,
}

impl CashMonth {
    fn between(opening: MoneyMicros, closing: MoneyMicros) -> Self {
        let sums = [(0, 0); CASH_ROWS.len()];
        Self { opening, closing, sums, other: 0, lines: Vec::new(), count: 0 }
    }

    fn add(&mut self, line: Transfer, listed_max: usize) {
        let change = if line.from == LedgerAccount::Cash { -line.amount } else { line.amount };
        match cash_row(line.kind, change).and_then(|at| self.sums.get_mut(at)) {
            Some((sum, count)) => {
                *sum = sum.saturating_add(change);
                *count += 1;
            }
            None => self.other = self.other.saturating_add(change),
        }
        self.count += 1;
        if self.lines.len() < listed_max {
            self.lines.push(line);
        }
    }

    /// One row for each kind that there is, and always those that a reader looks for.
    pub fn rows(&self) -> Vec<CashSum> {
        let each = CASH_ROWS.iter().zip(&self.sums);
        each.filter(|((kind, way, _), (_, count))| {
            let is_looked_for = matches!(kind, Kind::TopUp | Kind::Purchase | Kind::Settlement);
            *count > 0 || is_looked_for && *way != Way::Out
        })
        .map(|((kind, _, name), (sum, count))| CashSum {
            kind: *kind,
            name,
            amount: MoneyMicros(*sum),
            count: *count,
        })
        .collect()
    }

    /// What the lines make of the opening balance. By R25 it is the closing balance; who shows both says aloud if it
    /// ever is not.
    pub fn expected_closing(&self) -> MoneyMicros {
        let changes = self.sums.iter().fold(self.other, |sum, (change, _)| sum.saturating_add(*change));
        MoneyMicros(self.opening.0.saturating_add(changes))
    }
}

/// One package over a span, in mails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PackageMonth {
    pub opening: i64,
    pub bought: i64,
    /// Given (or taken, negative) by an operator.
    pub adjusted: i64,
    /// Refunded, or exchanged for a larger one.
    pub given_back: i64,
    pub drawn: i64,
    pub lapsed: i64,
    pub closing: i64,
}

impl PackageMonth {
    pub fn plus(self, other: Self) -> Self {
        Self {
            opening: self.opening + other.opening,
            bought: self.bought + other.bought,
            adjusted: self.adjusted + other.adjusted,
            given_back: self.given_back + other.given_back,
            drawn: self.drawn + other.drawn,
            lapsed: self.lapsed + other.lapsed,
            closing: self.closing + other.closing,
        }
    }

    /// `granted` of the row holds all adjustments ever made; what a span has of it is found by taking off those that
    /// came later.
    fn of(span: &Span, facts: &Facts<'_>) -> Self {
        let package = &facts.row.package;
        let adjusted_where = |takes: &dyn Fn(UnixMicros) -> bool| {
            facts
                .adjustments
                .iter()
                .filter(|(at, _)| takes(*at))
                .fold(0_i64, |sum, (_, mails)| sum.saturating_add(*mails))
        };
        let ever = adjusted_where(&|_| true);
        let before = adjusted_where(&|at| at < span.start);
        let adjusted = adjusted_where(&|at| span.contains(at));
        let bought_mails = package.granted.saturating_sub(ever);
        let was_there = package.purchased_at < span.start
            && package.ends_at >= span.start
            && facts.row.closed_at.is_none_or(|at| at >= span.start);
        let opening = if was_there { bought_mails + before - facts.drawn_before } else { 0 };
        let bought = if span.contains(package.purchased_at) { bought_mails } else { 0 };
        let held = opening + bought + adjusted - facts.drawn;
        let is_given_back = facts.row.closed_at.is_some_and(|at| span.contains(at));
        let given_back = if is_given_back { held } else { 0 };
        let has_ended = package.closed.is_none() && span.contains(package.ends_at);
        let lapsed = if has_ended { held } else { 0 };
        Self {
            opening,
            bought,
            adjusted,
            given_back,
            drawn: facts.drawn,
            lapsed,
            closing: held - given_back - lapsed,
        }
    }
}

/// What a package's month is made of.
struct Facts<'a> {
    row: &'a PackageRow,
    /// Mails drawn before the span, and in it.
    drawn_before: i64,
    drawn: i64,
    /// Adjustments: when, and by how many mails.
    adjustments: &'a [(UnixMicros, i64)],
}

/// What each package drew, by instance id; those that drew nothing are absent.
pub fn drawn_by_package(days: &[PackageDay]) -> BTreeMap<String, i64> {
    let mut drawn: BTreeMap<String, i64> = BTreeMap::new();
    for day in days {
        let sum = drawn.entry(day.instance_id.clone()).or_default();
        *sum = sum.saturating_add(day.mails);
    }
    drawn.retain(|_, mails| *mails != 0);
    drawn
}

impl Store {
    /// The cash balance over a span: the sums of all its lines, and the first `listed_max` of them. It reads the lines
    /// that change the balance (purchases, payments, collections), never those of mails.
    pub async fn cash_month(&self, account_id: i64, span: &Span, listed_max: usize) -> Result<CashMonth> {
        let opening = self.cash_before(account_id, span.start).await?;
        let closing = self.cash_before(account_id, span.end).await?;
        let mut month = CashMonth::between(opening, closing);
        let mut after = None;
        loop {
            let read =
                self.money_lines(account_id, span.start, span.end, after, LINES_PER_READ, false).await?;
            let is_end = (read.len() as i64) < LINES_PER_READ;
            after = read.last().map(|line| DeductionToken { at: line.at.0, sequence: line.sequence });
            read.into_iter().for_each(|line| month.add(line, listed_max));
            if is_end {
                return Ok(month);
            }
        }
    }

    /// The packages that existed in the span, by their end, each with its month. `days` is what they drew in it
    /// ([`Store::package_days`]).
    pub async fn package_months(
        &self,
        account_id: i64,
        span: &Span,
        days: &[PackageDay],
    ) -> Result<Vec<(PackageRow, PackageMonth)>> {
        let drawn = drawn_by_package(days);
        let filter = PackageFilter { ends_from: Some(span.start), ends_before: None };
        let mut packages = self.packages(account_id, &filter).await?;
        packages.retain(|row| {
            row.package.purchased_at < span.end && row.closed_at.is_none_or(|at| at >= span.start)
        });
        let adjustments = match packages.is_empty() {
            true => BTreeMap::new(),
            false => adjustments_by_package(&self.mail_adjustments(account_id).await?),
        };
        let mut months = Vec::with_capacity(packages.len());
        for row in packages {
            let id = &row.package.instance_id;
            let facts = Facts {
                drawn_before: self.package_total_before(account_id, id, span.first_day).await?,
                drawn: drawn.get(id).copied().unwrap_or(0),
                adjustments: adjustments.get(id).map_or(&[], Vec::as_slice),
                row: &row,
            };
            let month = PackageMonth::of(span, &facts);
            months.push((row, month));
        }
        Ok(months)
    }
}

fn adjustments_by_package(lines: &[Transfer]) -> BTreeMap<String, Vec<(UnixMicros, i64)>> {
    let mut found: BTreeMap<String, Vec<(UnixMicros, i64)>> = BTreeMap::new();
    for line in lines {
        let change = match (&line.from, &line.to) {
            (_, LedgerAccount::Package(instance)) => Some((instance, line.amount)),
            (LedgerAccount::Package(instance), _) => Some((instance, -line.amount)),
            _ => None,
        };
        if let Some((instance, mails)) = change {
            found.entry(instance.clone()).or_default().push((line.at, mails));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use indicia_domain::ledger::Unit;
    use indicia_domain::ledger::package::{Closed, Package};

    use super::*;

    fn span(start: i64, end: i64) -> Span {
        Span { start: UnixMicros(start), end: UnixMicros(end), first_day: 0, before_day: 0 }
    }

    fn row(purchased_at: i64, ends_at: i64, granted: i64) -> PackageRow {
        PackageRow {
            account_id: 1,
            package: Package {
                instance_id: "DMBAG-1".into(),
                granted,
                remaining: 0,
                purchased_at: UnixMicros(purchased_at),
                starts_at: UnixMicros(purchased_at),
                ends_at: UnixMicros(ends_at),
                closed: None,
            },
            specification: granted,
            price: MoneyMicros(13_050_000),
            order_id: 1,
            zone: "UTC".into(),
            closed_at: None,
            replaced_by: None,
            renewal_of: None,
            alert_percent: 0,
        }
    }

    fn month(
        span: &Span,
        row: &PackageRow,
        drawn: (i64, i64),
        adjustments: &[(UnixMicros, i64)],
    ) -> PackageMonth {
        PackageMonth::of(span, &Facts { row, drawn_before: drawn.0, drawn: drawn.1, adjustments })
    }

    /// Bought in the first month, drawn in two, adjusted in the second, ended at the first instant of the third.
    #[test]
    fn r13_r25_a_closing_is_the_next_opening_and_what_ends_at_midnight_lapses_after_it() {
        let row = row(50, 200, 1_010);
        let adjusted = [(UnixMicros(150), 10)];
        let one = month(&span(0, 100), &row, (0, 300), &adjusted);
        let two = month(&span(100, 200), &row, (300, 200), &adjusted);
        let three = month(&span(200, 300), &row, (500, 0), &adjusted);
        assert_eq!((one.opening, one.bought, one.adjusted, one.closing), (0, 1_000, 0, 700));
        assert_eq!((two.opening, two.adjusted, two.drawn, two.lapsed, two.closing), (700, 10, 200, 0, 510));
        assert_eq!((three.opening, three.lapsed, three.closing), (510, 510, 0));
        let whole = one.plus(two).plus(three);
        assert_eq!((whole.bought, whole.adjusted, whole.drawn, whole.lapsed), (1_000, 10, 500, 510));
    }

    #[test]
    fn r12_what_is_given_back_leaves_nothing_and_is_no_lapse() {
        let mut row = row(50, 200, 1_000);
        row.package.closed = Some(Closed::Refund);
        row.closed_at = Some(UnixMicros(120));
        let two = month(&span(100, 200), &row, (0, 0), &[]);
        assert_eq!((two.opening, two.given_back, two.lapsed, two.closing), (1_000, 1_000, 0, 0));
        row.closed_at = Some(UnixMicros(60));
        let same_month = month(&span(0, 100), &row, (0, 0), &[]);
        assert_eq!((same_month.bought, same_month.given_back, same_month.closing), (1_000, 1_000, 0));
    }

    #[test]
    fn r25_every_kind_that_changes_cash_has_a_row_for_either_way() {
        let name =
            |kind, change| cash_row(kind, change).and_then(|at| CASH_ROWS.get(at)).map(|(_, _, name)| *name);
        assert_eq!(name(Kind::Credit, 5), Some("Put on by the operator"));
        assert_eq!(name(Kind::Credit, -5), Some("Taken off by the operator"));
        assert_eq!(name(Kind::TopUp, -5), Some("Payments taken back"));
        assert_eq!(name(Kind::Adjustment, 5), Some("Adjustments that added"));
        assert_eq!(name(Kind::Adjustment, -5), Some("Adjustments that took off"));
        for change in [-5, 5] {
            assert_eq!(name(Kind::Settlement, change), Some("Bills collected"));
            assert_eq!(name(Kind::Send, change), None);
        }
    }

    #[test]
    fn r25_the_lines_lead_from_opening_to_closing() {
        let mut month = CashMonth::between(MoneyMicros(100), MoneyMicros(137));
        for (from, to, amount) in [
            (LedgerAccount::Outside, LedgerAccount::Cash, 50),
            (LedgerAccount::Cash, LedgerAccount::Outside, 13),
        ] {
            month.add(line(Kind::Credit, (from, to), amount, 1), 1);
        }
        assert_eq!(month.expected_closing(), month.closing);
        assert_eq!((month.count, month.lines.len()), (2, 1));
        let rows: Vec<_> = month.rows().iter().map(|row| (row.name, row.amount.0, row.count)).collect();
        assert_eq!(
            rows,
            [
                ("Payments received", 0, 0),
                ("Put on by the operator", 50, 1),
                ("Taken off by the operator", -13, 1),
                ("Packages bought", 0, 0),
                ("Bills collected", 0, 0),
            ]
        );
    }

    fn line(kind: Kind, (from, to): (LedgerAccount, LedgerAccount), amount: i64, at: i64) -> Transfer {
        Transfer {
            account_id: 1,
            sequence: at,
            transaction_id: at,
            at: UnixMicros(at),
            kind,
            unit: kind_unit(&from, &to),
            from,
            to,
            amount,
            before: 0,
            after: 0,
            memo: String::new(),
            validity: None,
        }
    }

    fn kind_unit(from: &LedgerAccount, to: &LedgerAccount) -> Unit {
        let is_money = [from, to].contains(&&LedgerAccount::Cash);
        if is_money { Unit::Money } else { Unit::Mail }
    }

    #[test]
    fn r25_what_was_taken_out_and_put_in_is_each_packages_own() {
        let package = |id: &str| LedgerAccount::Package(id.to_owned());
        let lines = [
            line(Kind::Adjustment, (LedgerAccount::Granted, package("A")), 7, 1),
            line(Kind::Adjustment, (package("B"), LedgerAccount::Granted), 5, 2),
            line(Kind::Adjustment, (LedgerAccount::Granted, LedgerAccount::Free), 9, 3),
        ];
        let found = adjustments_by_package(&lines);
        assert_eq!(found["A"], [(UnixMicros(1), 7)]);
        assert_eq!(found["B"], [(UnixMicros(2), -5)]);
        assert_eq!(found.len(), 2);
    }
}
