//! The packages over a statement's month: what each had, got, paid, lost and keeps.

use indicia_store::{
    statement::{PackageMonth, Span},
    usage::PackageDay,
};

use crate::{
    ConsoleState,
    error::ConsoleError,
    format::{self, Moment},
    session::viewer::AccountView,
    shell::DIRECTMAIL,
};

/// A line of the sheet.
pub struct PackageRowView {
    pub id: String,
    pub href: Option<String>,
    pub is_sum: bool,
    /// `None` in the line of the sum.
    pub ends: Option<Moment>,
    pub opening: String,
    pub bought: String,
    pub adjusted: String,
    pub given_back: String,
    pub drawn: String,
    pub lapsed: String,
    pub closing: String,
}

impl PackageRowView {
    fn of(id: String, href: Option<String>, ends: Option<Moment>, month: PackageMonth) -> Self {
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

/// One line for each package that existed in the month, by its end, and their sum. `days` is what they drew.
pub async fn load(
    state: &ConsoleState,
    view: &AccountView,
    span: &Span,
    days: &[PackageDay],
) -> Result<Vec<PackageRowView>, ConsoleError> {
    let months = state.store.package_months(view.id(), span, days).await?;
    let total = months.iter().fold(PackageMonth::default(), |sum, (_, month)| sum.plus(*month));
    let mut rows: Vec<_> = months
        .iter()
        .map(|(row, month)| {
            let id = &row.package.instance_id;
            let ends = view.zone.moment(row.package.ends_at);
            PackageRowView::of(id.clone(), Some(href(view, id)), Some(ends), *month)
        })
        .collect();
    if rows.len() > 1 {
        rows.push(PackageRowView::of("All".into(), None, None, total));
    }
    Ok(rows)
}
