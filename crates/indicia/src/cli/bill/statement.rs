//! `indicia bill statement`: one month of an account as plain text, from opening to closing.
//!
//! Made from totals that are kept (usage by hour, each package's draw by day, bills) and from the lines of the cash
//! balance; lines of mails are never read.

use std::collections::BTreeMap;

use indicia_domain::ledger::{Kind, LedgerAccount};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{self, TimeZone, UnixMicros};
use indicia_store::account::Account;
use indicia_store::ledger::DeductionToken;
use indicia_store::package::{PackageFilter, PackageRow};

use crate::cli::args::Month;
use crate::cli::output::Out;
use crate::cli::{Done, Failure, Opened, named_account};

/// Cash lines read at a time.
const LINES_PER_PAGE: i64 = 1_000;

/// The kinds that change the cash balance, in the order of the sheet.
const CASH_KINDS: [(Kind, &str); 7] = [
    (Kind::TopUp, "payments received"),
    (Kind::Credit, "put on by the operator"),
    (Kind::Purchase, "packages bought"),
    (Kind::Upgrade, "packages upgraded"),
    (Kind::Refund, "packages refunded"),
    (Kind::Settlement, "bills collected"),
    (Kind::Adjustment, "adjustments"),
];

/// What the statement is about: a month, up to now where it is not over.
struct Period {
    month: Month,
    start: UnixMicros,
    /// The first instant after it.
    end: UnixMicros,
    first_day: i64,
    before_day: i64,
    is_over: bool,
}

impl Period {
    fn of(month: Month, zone: &TimeZone, now: UnixMicros) -> Self {
        let (start, end) = month.span(zone);
        let (first_day, before_day) = month.days(zone);
        let is_over = end <= now;
        let end = if is_over { end } else { now.plus_micros(1) };
        Period { month, start, end, first_day, before_day, is_over }
    }
}

pub async fn print(opened: &Opened, account_id: i64, month: Month) -> Done {
    let account = named_account(opened, account_id).await?;
    let zone = time::zone(&account.zone).map_err(Failure::failed)?;
    let period = Period::of(month, &zone, opened.store.now());
    if period.start >= period.end {
        return Err(Failure::usage(format!("{month} has not begun in {}", account.zone)));
    }
    let mut out = Out::open();
    head(&mut out, &account, &zone, &period)?;
    cash(opened, &mut out, account_id, &period).await?;
    usage(opened, &mut out, account_id, &period).await?;
    packages(opened, &mut out, account_id, &period).await?;
    out.close()
}

fn head(out: &mut Out, account: &Account, zone: &TimeZone, period: &Period) -> Done {
    let local = |at: UnixMicros| at.civil(zone).strftime("%Y-%m-%d %H:%M").to_string();
    out.line(format_args!("STATEMENT {}", period.month))?;
    out.line(format_args!("account  {}  {}", account.account_id, account.name))?;
    out.line(format_args!("zone     {}", account.zone))?;
    let open_end = if period.is_over { "" } else { "  (up to now; the month is not over)" };
    out.line(format_args!("period   {} to {}{open_end}", local(period.start), local(period.end)))
}

/// An amount with the sign of what it did to the balance.
fn signed(amount: i64) -> String {
    format!("{}{}", if amount > 0 { "+" } else { "" }, MoneyMicros(amount))
}

async fn cash(opened: &Opened, out: &mut Out, account_id: i64, period: &Period) -> Done {
    let store = &opened.store;
    let opening = store.cash_before(account_id, period.start).await?;
    let closing = store.cash_before(account_id, period.end).await?;
    let mut sums: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    let mut after = None;
    loop {
        let lines =
            store.money_lines(account_id, period.start, period.end, after, LINES_PER_PAGE, false).await?;
        for line in &lines {
            let change = if line.from == LedgerAccount::Cash { -line.amount } else { line.amount };
            let (sum, count) = sums.entry(line.kind.as_str()).or_default();
            *sum = sum.saturating_add(change);
            *count += 1;
        }
        match lines.last() {
            Some(last) if lines.len() as i64 == LINES_PER_PAGE => {
                after = Some(DeductionToken { at: last.at.0, sequence: last.sequence });
            }
            _ => break,
        }
    }
    out.line(format_args!("\nCASH BALANCE ({})", opened.config.billing.currency))?;
    out.line(format_args!("  {:<24} {:>16}", "opening", opening.to_string()))?;
    for (kind, name) in CASH_KINDS {
        if let Some((sum, count)) = sums.get(kind.as_str()) {
            let lines = if *count == 1 { "line" } else { "lines" };
            out.line(format_args!("  {name:<24} {:>16}   {count} {lines}", signed(*sum)))?;
        }
    }
    out.line(format_args!("  {:<24} {:>16}", "closing", closing.to_string()))?;
    let changes = sums.values().fold(0_i64, |total, (sum, _)| total.saturating_add(*sum));
    if opening.0.saturating_add(changes) != closing.0 {
        return Err(Failure::failed(
            "the lines of this month do not lead from the opening to the closing balance; run `indicia ledger verify`",
        ));
    }
    Ok(())
}

async fn usage(opened: &Opened, out: &mut Out, account_id: i64, period: &Period) -> Done {
    let store = &opened.store;
    let used = store.usage_total(account_id, period.start, period.end).await?;
    let bills = store.bill_total(account_id, period.start, period.end).await?;
    out.line("\nMAILS ACCEPTED, BY WHAT PAID FOR THEM")?;
    for (name, mails) in [
        ("free credit", used.free_mails),
        ("packages", used.package_mails),
        ("pay-as-you-go", used.payg_mails),
        ("in all", used.mails()),
    ] {
        out.line(format_args!("  {name:<24} {mails:>16}"))?;
    }
    out.line(format_args!("\nBILLS OF PAY-AS-YOU-GO ({})", opened.config.billing.currency))?;
    for (name, text) in [
        ("bills", bills.bills.to_string()),
        ("mails billed", bills.mails.to_string()),
        ("amount", bills.amount.to_string()),
        ("paid", bills.paid.to_string()),
        ("not paid", bills.outstanding.to_string()),
    ] {
        out.line(format_args!("  {name:<24} {text:>16}"))?;
    }
    let unbilled = used.payg_mails - bills.mails;
    if unbilled != 0 {
        out.line(format_args!("  {unbilled} mails are not billed yet"))?;
    }
    Ok(())
}

/// One package over the month: `opening + granted - drawn - lapsed = closing`.
struct PackageMonth {
    opening: i64,
    /// Bought and adjusted, less given back.
    granted: i64,
    drawn: i64,
    lapsed: i64,
    closing: i64,
}

async fn packages(opened: &Opened, out: &mut Out, account_id: i64, period: &Period) -> Done {
    let store = &opened.store;
    let rows = store.packages(account_id, &PackageFilter::default()).await?;
    let granted_before = store.grants_before(account_id, period.start).await?;
    let granted_after = store.grants_before(account_id, period.end).await?;
    let mut drawn: BTreeMap<String, i64> = BTreeMap::new();
    for day in store.package_days(account_id, period.first_day, period.before_day).await? {
        *drawn.entry(day.instance_id).or_default() += day.mails;
    }
    out.line("\nPACKAGES (mails)")?;
    let mut shown = 0;
    for row in rows.iter().filter(|row| is_of(row, period)) {
        let instance_id = &row.package.instance_id;
        let ledger_account = LedgerAccount::Package(instance_id.clone()).to_string();
        let grants = |by_lines: &std::collections::HashMap<String, i64>| {
            by_lines.get(&ledger_account).copied().unwrap_or(0)
        };
        let used_before = store.package_total_before(account_id, instance_id, period.first_day).await?;
        let opening = grants(&granted_before) - used_before;
        let granted = grants(&granted_after) - grants(&granted_before);
        let drawn = drawn.get(instance_id).copied().unwrap_or(0);
        let left = opening + granted - drawn;
        let has_ended = row.package.closed.is_none() && row.package.ends_at < period.end;
        let lapsed = if has_ended { left } else { 0 };
        let month = PackageMonth { opening, granted, drawn, lapsed, closing: left - lapsed };
        out.line(package_line(row, &month))?;
        shown += 1;
    }
    if shown == 0 {
        out.line("  none in this month")?;
    }
    Ok(())
}

/// Whether the package is there at any instant of the period.
fn is_of(row: &PackageRow, period: &Period) -> bool {
    let over_at = row.closed_at.unwrap_or(row.package.ends_at);
    row.package.purchased_at < period.end && over_at >= period.start
}

fn package_line(row: &PackageRow, month: &PackageMonth) -> String {
    format!(
        "  {}  opening {} + granted {} - drawn {} - lapsed {} = closing {}   valid {} to {}",
        row.package.instance_id,
        month.opening,
        month.granted,
        month.drawn,
        month.lapsed,
        month.closing,
        row.package.starts_at,
        row.package.ends_at
    )
}
