//! The packages over a statement's month: what each had, got, paid, lost and keeps.

use std::collections::BTreeMap;

use indicia_domain::{
    ledger::{LedgerAccount, Transfer},
    time::UnixMicros,
};
use indicia_store::{
    package::{PackageFilter, PackageRow},
    usage::PackageDay,
};

use super::Period;
use crate::{ConsoleState, error::ConsoleError, format, session::viewer::AccountView, shell::DIRECTMAIL};

/// One package over the month, in mails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct PackageMonth {
    opening: i64,
    bought: i64,
    /// Given (or taken, negative) by the operator.
    adjusted: i64,
    given_back: i64,
    drawn: i64,
    lapsed: i64,
    closing: i64,
}

/// What a package's month is made of.
struct Facts<'a> {
    row: &'a PackageRow,
    /// Mails drawn before the month, and in it.
    drawn_before: i64,
    drawn: i64,
    /// Adjustments: when, and by how many mails.
    adjustments: &'a [(UnixMicros, i64)],
}

impl PackageMonth {
    /// `granted` of the row holds all adjustments ever made; what a month has of it is found by taking off those that
    /// came later.
    fn of(period: &Period, facts: &Facts<'_>) -> Self {
        let package = &facts.row.package;
        let adjusted_where = |takes: &dyn Fn(UnixMicros) -> bool| {
            facts
                .adjustments
                .iter()
                .filter(|(at, _)| takes(*at))
                .fold(0_i64, |sum, (_, mails)| sum.saturating_add(*mails))
        };
        let ever = adjusted_where(&|_| true);
        let before = adjusted_where(&|at| at < period.start);
        let adjusted = adjusted_where(&|at| period.contains(at));
        let bought_mails = package.granted.saturating_sub(ever);
        let was_there = package.purchased_at < period.start
            && package.ends_at >= period.start
            && facts.row.closed_at.is_none_or(|at| at >= period.start);
        let opening = if was_there { bought_mails + before - facts.drawn_before } else { 0 };
        let bought = if period.contains(package.purchased_at) { bought_mails } else { 0 };
        let held = opening + bought + adjusted - facts.drawn;
        let is_given_back = facts.row.closed_at.is_some_and(|at| period.contains(at));
        let given_back = if is_given_back { held } else { 0 };
        let has_ended = package.closed.is_none() && period.contains(package.ends_at);
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

    fn plus(self, other: Self) -> Self {
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
}

/// A line of the sheet.
pub struct PackageRowView {
    pub id: String,
    pub href: Option<String>,
    pub is_sum: bool,
    pub ends: String,
    pub opening: String,
    pub bought: String,
    pub adjusted: String,
    pub given_back: String,
    pub drawn: String,
    pub lapsed: String,
    pub closing: String,
}

impl PackageRowView {
    fn of(id: String, href: Option<String>, ends: String, month: PackageMonth) -> Self {
        let or_dash = |mails: i64| if mails == 0 { "–".into() } else { format::mails(mails) };
        Self {
            is_sum: href.is_none(),
            id,
            href,
            ends,
            opening: format::mails(month.opening),
            bought: or_dash(month.bought),
            adjusted: or_dash(month.adjusted),
            given_back: or_dash(month.given_back),
            drawn: or_dash(month.drawn),
            lapsed: or_dash(month.lapsed),
            closing: format::mails(month.closing),
        }
    }
}

/// The address of a package's page.
pub fn href(view: &AccountView, instance: &str) -> String {
    view.href(&format!("{DIRECTMAIL}/{instance}"))
}

/// What each package drew in the month, by instance id; those that drew nothing are absent.
pub fn drawn_by_package(days: &[PackageDay]) -> BTreeMap<String, i64> {
    let mut drawn: BTreeMap<String, i64> = BTreeMap::new();
    for day in days {
        let sum = drawn.entry(day.instance_id.clone()).or_default();
        *sum = sum.saturating_add(day.mails);
    }
    drawn.retain(|_, mails| *mails != 0);
    drawn
}

/// One line for each package that existed in the month, by its end, and their sum.
pub async fn load(
    state: &ConsoleState,
    view: &AccountView,
    period: &Period,
    days: &[PackageDay],
) -> Result<Vec<PackageRowView>, ConsoleError> {
    let drawn = drawn_by_package(days);
    let filter = PackageFilter { ends_from: Some(period.start), ends_before: None };
    let mut packages = state.store.packages(view.id(), &filter).await?;
    packages.retain(|row| {
        row.package.purchased_at < period.end && row.closed_at.is_none_or(|at| at >= period.start)
    });
    let adjustments = adjustments(state, view, &packages).await?;
    let mut rows = Vec::with_capacity(packages.len() + 1);
    let mut total = PackageMonth::default();
    for row in &packages {
        let id = &row.package.instance_id;
        let facts = Facts {
            row,
            drawn_before: state.store.package_total_before(view.id(), id, period.first_day).await?,
            drawn: drawn.get(id).copied().unwrap_or(0),
            adjustments: adjustments.get(id).map_or(&[], Vec::as_slice),
        };
        let month = PackageMonth::of(period, &facts);
        total = total.plus(month);
        let ends = view.zone.moment(row.package.ends_at).date().to_owned();
        rows.push(PackageRowView::of(id.clone(), Some(href(view, id)), ends, month));
    }
    if rows.len() > 1 {
        rows.push(PackageRowView::of("All".into(), None, String::new(), total));
    }
    Ok(rows)
}

/// The operator's adjustments of packages: a few lines, whatever the mails.
async fn adjustments(
    state: &ConsoleState,
    view: &AccountView,
    packages: &[PackageRow],
) -> Result<BTreeMap<String, Vec<(UnixMicros, i64)>>, ConsoleError> {
    let mut found: BTreeMap<String, Vec<(UnixMicros, i64)>> = BTreeMap::new();
    if packages.is_empty() {
        return Ok(found);
    }
    for line in state.store.mail_adjustments(view.id()).await? {
        if let Some((instance, mails)) = change_of(&line) {
            found.entry(instance).or_default().push((line.at, mails));
        }
    }
    Ok(found)
}

fn change_of(line: &Transfer) -> Option<(String, i64)> {
    match (&line.from, &line.to) {
        (_, LedgerAccount::Package(instance)) => Some((instance.clone(), line.amount)),
        (LedgerAccount::Package(instance), _) => Some((instance.clone(), -line.amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use indicia_domain::{
        ledger::package::{Closed, Package},
        money::MoneyMicros,
    };

    use super::*;
    use crate::period::Month;

    fn period(month: &str, start: i64, end: i64) -> Period {
        Period {
            month: Month::parse(month).expect("a month"),
            start: UnixMicros(start),
            end: UnixMicros(end),
            first_day: 0,
            before_day: 0,
            is_over: true,
        }
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
        period: &Period,
        row: &PackageRow,
        drawn: (i64, i64),
        adjustments: &[(UnixMicros, i64)],
    ) -> PackageMonth {
        PackageMonth::of(period, &Facts { row, drawn_before: drawn.0, drawn: drawn.1, adjustments })
    }

    /// Bought in the first month, drawn in two, adjusted in the second, ended at the first instant of the third.
    #[test]
    fn r13_r25_a_closing_is_the_next_opening_and_what_ends_at_midnight_lapses_after_it() {
        let (first, second, third) =
            (period("2026-01", 0, 100), period("2026-02", 100, 200), period("2026-03", 200, 300));
        let row = row(50, 200, 1_010);
        let adjusted = [(UnixMicros(150), 10)];
        let one = month(&first, &row, (0, 300), &adjusted);
        let two = month(&second, &row, (300, 200), &adjusted);
        let three = month(&third, &row, (500, 0), &adjusted);
        assert_eq!((one.opening, one.bought, one.adjusted, one.closing), (0, 1_000, 0, 700));
        assert_eq!((two.opening, two.adjusted, two.drawn, two.lapsed, two.closing), (700, 10, 200, 0, 510));
        assert_eq!((three.opening, three.lapsed, three.closing), (510, 510, 0));
    }

    #[test]
    fn r12_what_is_given_back_leaves_nothing_and_is_no_lapse() {
        let mut row = row(50, 200, 1_000);
        row.package.closed = Some(Closed::Refund);
        row.closed_at = Some(UnixMicros(120));
        let two = month(&period("2026-02", 100, 200), &row, (0, 0), &[]);
        assert_eq!((two.opening, two.given_back, two.lapsed, two.closing), (1_000, 1_000, 0, 0));
        row.closed_at = Some(UnixMicros(60));
        let same_month = month(&period("2026-01", 0, 100), &row, (0, 0), &[]);
        assert_eq!((same_month.bought, same_month.given_back, same_month.closing), (1_000, 1_000, 0));
    }
}
