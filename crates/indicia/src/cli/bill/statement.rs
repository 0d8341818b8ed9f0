//! `indicia bill statement`: one month of an account as plain text, from opening to closing. The figures are those of
//! the console's statement page: both come from [`indicia_store::statement`] and from the totals that are kept.

use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{self, TimeZone, UnixMicros};
use indicia_store::account::Account;
use indicia_store::statement::{PackageMonth, Span, drawn_by_package};
use indicia_store::usage::PackageDay;

use crate::cli::args::Month;
use crate::cli::output::{Out, counted};
use crate::cli::{Done, Failure, Opened, named_account};

/// What the statement is about: a month, up to now where it is not over.
struct Period {
    month: Month,
    span: Span,
    is_over: bool,
}

impl Period {
    fn of(month: Month, zone: &TimeZone, now: UnixMicros) -> Self {
        let (start, end) = month.span(zone);
        let (first_day, before_day) = month.days(zone);
        let is_over = end <= now;
        // What happened at this very instant belongs to the month so far.
        let end = if is_over { end } else { now.plus_micros(1) };
        Period { month, span: Span { start, end, first_day, before_day }, is_over }
    }
}

/// A statement on its way to the reader.
struct Sheet<'a> {
    opened: &'a Opened,
    account: Account,
    zone: TimeZone,
    period: Period,
    out: Out,
}

pub async fn print(opened: &Opened, account_id: i64, month: Month) -> Done {
    let account = named_account(opened, account_id).await?;
    let zone = time::zone(&account.zone).map_err(Failure::failed)?;
    let period = Period::of(month, &zone, opened.store.now());
    if period.span.start >= period.span.end {
        return Err(Failure::usage(format!("{month} has not begun in {}", account.zone)));
    }
    let span = period.span;
    let drawn = opened.store.package_days(account_id, span.first_day, span.before_day).await?;
    let mut sheet = Sheet { opened, account, zone, period, out: Out::open() };
    sheet.head()?;
    let is_sound = sheet.cash().await?;
    sheet.mails(&drawn).await?;
    sheet.bills().await?;
    sheet.settlements().await?;
    sheet.packages(&drawn).await?;
    sheet.days().await?;
    sheet.out.close()?;
    if is_sound {
        return Ok(());
    }
    Err(Failure::failed(
        "the lines of this month do not lead from the opening to the closing balance; run `indicia ledger verify`",
    ))
}

/// An amount with the sign of what it did to the balance.
fn signed(amount: MoneyMicros) -> String {
    format!("{}{amount}", if amount.0 > 0 { "+" } else { "" })
}

impl Sheet<'_> {
    fn id(&self) -> i64 {
        self.account.account_id
    }

    /// The account's own clock, to the second.
    fn local(&self, at: UnixMicros) -> String {
        at.civil(&self.zone).strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    fn title(&mut self, title: &str) -> Done {
        self.out.line(format_args!("\n{title}"))
    }

    /// A name and a figure.
    fn figure(&mut self, name: &str, figure: impl ToString) -> Done {
        self.out.line(format_args!("  {name:<28} {:>16}", figure.to_string()))
    }

    fn head(&mut self) -> Done {
        let (from, until) = (self.local(self.period.span.start), self.local(self.period.span.end));
        self.out.line(format_args!("STATEMENT {}", self.period.month))?;
        self.out.line(format_args!("account   {}  {}", self.account.account_id, self.account.name))?;
        self.out.line(format_args!("e-mail    {}", self.account.email))?;
        self.out.line(format_args!("zone      {}, for all times here", self.account.zone))?;
        self.out.line(format_args!("currency  {}", self.opened.config.billing.currency))?;
        let open_end = if self.period.is_over { "" } else { "  (up to now; the month is not over)" };
        self.out.line(format_args!("period    {from} until {until}{open_end}"))
    }

    /// Whether the lines make the closing balance of the opening one (R25).
    async fn cash(&mut self) -> Result<bool, Failure> {
        let cash = self.opened.store.cash_month(self.id(), &self.period.span, 0).await?;
        self.title("CASH BALANCE")?;
        self.figure("Opening balance", cash.opening)?;
        for row in cash.rows() {
            let count = if row.count == 0 { "none".to_owned() } else { counted(row.count, "line") };
            let amount = signed(row.amount);
            self.out.line(format_args!("  {:<28} {amount:>16}   {count}", row.name))?;
        }
        self.figure("Closing balance", cash.closing)?;
        Ok(cash.expected_closing() == cash.closing)
    }

    async fn mails(&mut self, drawn: &[PackageDay]) -> Done {
        let Span { start, end, .. } = self.period.span;
        let used = self.opened.store.usage_total(self.id(), start, end).await?;
        self.title("MAILS BY WHAT PAID FOR THEM")?;
        self.figure("Free credit", used.free_mails)?;
        for (instance, mails) in drawn_by_package(drawn) {
            self.figure(&format!("Package {instance}"), mails)?;
        }
        self.figure("Pay-as-you-go", used.payg_mails)?;
        self.figure("All", used.mails())
    }

    async fn bills(&mut self) -> Done {
        let Span { start, end, .. } = self.period.span;
        let bills = self.opened.store.bill_total(self.id(), start, end).await?;
        self.title("BILLS OF THIS MONTH'S HOURS")?;
        self.figure("Bills", bills.bills)?;
        self.figure("Mails", bills.mails)?;
        self.figure("Billed", bills.amount)?;
        self.figure("Paid", bills.paid)?;
        self.figure("Unpaid", bills.outstanding)
    }

    async fn settlements(&mut self) -> Done {
        let Span { start, end, .. } = self.period.span;
        let settlements = self.opened.store.settlements(self.id(), start, end).await?;
        if settlements.is_empty() {
            return Ok(());
        }
        self.title("BILLS COLLECTED IN THIS MONTH")?;
        for found in &settlements {
            let (at, bills) = (self.local(found.at), counted(found.bills, "bill"));
            let (cause, amount) = (found.cause.as_str(), found.amount.to_string());
            self.out.line(format_args!("  {at}  {cause:<9}  {bills:>12} {amount:>16}"))?;
        }
        Ok(())
    }

    async fn packages(&mut self, drawn: &[PackageDay]) -> Done {
        let months = self.opened.store.package_months(self.id(), &self.period.span, drawn).await?;
        self.title("PACKAGES, IN MAILS")?;
        if months.is_empty() {
            return self.out.line("  No package existed in this month.");
        }
        let width = months.iter().map(|(row, _)| row.package.instance_id.len()).max().unwrap_or(0);
        self.out.line(format_args!(
            "  {:<width$}  {:<19} {:>11} {:>11} {:>11} {:>11} {:>11} {:>11} {:>11}",
            "Instance", "End", "Opening", "Bought", "Adjusted", "Given back", "Drawn", "Lapsed", "Closing"
        ))?;
        let mut total = PackageMonth::default();
        for (row, month) in &months {
            total = total.plus(*month);
            let ends = self.local(row.package.ends_at);
            self.package_line(width, &row.package.instance_id, &ends, month)?;
        }
        if months.len() > 1 {
            self.package_line(width, "All", "", &total)?;
        }
        Ok(())
    }

    fn package_line(&mut self, width: usize, id: &str, ends: &str, month: &PackageMonth) -> Done {
        let PackageMonth { opening, bought, adjusted, given_back, drawn, lapsed, closing } = month;
        self.out.line(format_args!(
            "  {id:<width$}  {ends:<19} {opening:>11} {bought:>11} {adjusted:>11} {given_back:>11} {drawn:>11} {lapsed:>11} {closing:>11}"
        ))
    }

    async fn days(&mut self) -> Done {
        let Span { start, end, .. } = self.period.span;
        let days = self.opened.store.usage_days(self.id(), start, end).await?;
        if days.is_empty() {
            return Ok(());
        }
        self.title("BY DAY")?;
        self.out.line(format_args!(
            "  {:<10} {:>13} {:>13} {:>13} {:>13}",
            "Day", "Free credit", "Packages", "Pay-as-you-go", "Billed"
        ))?;
        for (day, used) in days {
            let (date, billed) = (time::civil_date(day), MoneyMicros(used.billed_micros).to_string());
            let (free, package, payg) = (used.free_mails, used.package_mails, used.payg_mails);
            self.out.line(format_args!("  {date} {free:>13} {package:>13} {payg:>13} {billed:>13}"))?;
        }
        Ok(())
    }
}
