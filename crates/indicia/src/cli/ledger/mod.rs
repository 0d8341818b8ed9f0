//! `indicia ledger …`: the lines, the balances that follow from them, and the replay that checks both.

mod lines;

use clap::Subcommand;
use indicia_domain::ledger::Unit;
use indicia_domain::ledger::verify::FreeCreditRule;
use indicia_domain::ledger::verify::Violation;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::UnixMicros;
use serde_json::json;

use super::args::instant;
use super::output::{Out, counted, print};
use super::{ConfigFile, Done, Failure, Opened, account_id, named_account, print_json};

/// Violations that are printed; the rest is counted.
const SHOWN_MAX: usize = 100;

const VERIFY_EXAMPLES: &str = "\
Examples:
  indicia ledger verify --config /etc/indicia.toml && echo sound
  indicia ledger verify --free-since 2026-11-01T00:00:00Z   (free_credit.daily_mails was changed then)

It can run beside the service: each account is read in one snapshot.";

const BALANCE_EXAMPLES: &str = "\
Examples:
  indicia ledger balance 1000000000000001
  indicia ledger balance 1000000000000001 --as-of 2026-10-31T16:00:00Z --json
  indicia ledger balance 1000000000000001 --as-of 2027-06-01T00:00:00Z   (what will have lapsed by then)";

const LINES_EXAMPLES: &str = "\
Examples:
  indicia ledger lines 1000000000000001 --unit money
  indicia ledger lines 1000000000000001 --from 2026-11-01T00:00:00Z --before 2026-12-01T00:00:00Z --csv > november.csv

Lines come in the order in which they were added, and as they are read: an export of any length needs little memory.";

#[derive(Subcommand)]
pub enum LedgerCommand {
    /// Replay the ledger against every rule of conservation (R25). Exit status 0 and a summary, or 1 and what is wrong.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify {
        /// Since when free_credit.daily_mails has been what it is, as `2026-11-01T00:00:00Z`: free mails of before are not
        /// judged by it. Without it: ever.
        #[arg(long, value_name = "INSTANT", value_parser = instant)]
        free_since: Option<UnixMicros>,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// An account's balances as of an instant, past or future, from the lines alone (R27).
    #[command(after_help = BALANCE_EXAMPLES)]
    Balance {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// As `2026-11-22T04:00:00Z`. Without it: now.
        #[arg(long, value_name = "INSTANT", value_parser = instant)]
        as_of: Option<UnixMicros>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Every line of an account's ledger, oldest first.
    #[command(after_help = LINES_EXAMPLES)]
    Lines {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// Only lines of `money`, or only lines of `mail`. Without it: both.
        #[arg(long, value_name = "money|mail", value_parser = unit)]
        unit: Option<Unit>,
        /// Only lines from this instant on, as `2026-11-01T00:00:00Z`.
        #[arg(long, value_name = "INSTANT", value_parser = instant)]
        from: Option<UnixMicros>,
        /// Only lines before this instant.
        #[arg(long, value_name = "INSTANT", value_parser = instant)]
        before: Option<UnixMicros>,
        /// Print CSV with a header line.
        #[arg(long, conflicts_with = "json")]
        csv: bool,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
}

fn unit(text: &str) -> Result<Unit, String> {
    text.parse().map_err(|_| format!("'{text}' is no unit; write money or mail"))
}

pub async fn run(command: LedgerCommand) -> Done {
    match command {
        LedgerCommand::Verify { free_since, file } => {
            let opened = file.open().await?;
            let done = verify(&opened, free_since).await;
            opened.finish(done).await
        }
        LedgerCommand::Balance { account_id, as_of, json, file } => {
            let opened = file.open().await?;
            let done = balance(&opened, account_id, as_of, json).await;
            opened.finish(done).await
        }
        LedgerCommand::Lines { account_id, unit, from, before, csv, json, file } => {
            let opened = file.open().await?;
            let wanted = lines::Wanted {
                account_id,
                unit,
                from: from.unwrap_or(UnixMicros(i64::MIN)),
                before: before.unwrap_or(UnixMicros(i64::MAX)),
                form: lines::Form::chosen(csv, json),
            };
            let done = lines::print(&opened, &wanted).await;
            opened.finish(done).await
        }
    }
}

async fn verify(opened: &Opened, free_since: Option<UnixMicros>) -> Done {
    let free = FreeCreditRule {
        daily_mails: opened.config.policy()?.free_daily_mails,
        since: free_since.unwrap_or(UnixMicros(i64::MIN)),
    };
    let found = opened.store.verify_ledger_by(free).await?;
    if found.violations.is_empty() {
        return print(format_args!(
            "the ledger is sound: {}, {}, {}, {} accepted and charged once each",
            counted(found.accounts, "account"),
            counted(found.lines, "line"),
            counted(found.messages, "message"),
            counted(found.mails, "mail")
        ));
    }
    let count = found.violations.len();
    let shown = found.violations.iter().take(SHOWN_MAX);
    // That the ledger is not sound is the outcome, whether or not anybody reads the details to their end.
    let words = match print_violations(shown) {
        Ok(()) => format!("{} shown above", count.min(SHOWN_MAX)),
        Err(_) => "what they are could not be printed".to_owned(),
    };
    Err(Failure::failed(format!("the ledger is not sound: {}; {words}", counted(count as i64, "violation"))))
}

fn print_violations<'a>(violations: impl Iterator<Item = &'a Violation>) -> Done {
    let mut out = Out::open();
    for violation in violations {
        out.line(format_args!("account {}: {}", violation.account_id, violation.what))?;
    }
    out.close()
}

async fn balance(opened: &Opened, account_id: i64, as_of: Option<UnixMicros>, as_json: bool) -> Done {
    named_account(opened, account_id).await?;
    let as_of = as_of.unwrap_or_else(|| opened.store.now());
    let balances = opened.store.balances_as_of(account_id, as_of).await?;
    let currency = &opened.config.billing.currency;
    let (cash, open) = (MoneyMicros(balances.cash_micros), MoneyMicros(balances.open_micros));
    if as_json {
        let packages = balances.packages.iter().map(|package| {
            json!({
                "instance_id": package.instance_id,
                "granted": package.granted,
                "remaining": package.remaining,
                "consumed": package.consumed,
                "lapsed": package.lapsed,
                "refunded": package.refunded,
                "upcoming": package.upcoming,
            })
        });
        return print_json(&json!({
            "account_id": account_id.to_string(),
            "as_of": as_of.to_string(),
            "cash": cash.to_string(),
            "cash_micros": balances.cash_micros,
            "open": open.to_string(),
            "open_micros": balances.open_micros,
            "currency": currency,
            "free_mails": balances.free_mails,
            "pay_as_you_go_mails": balances.pay_as_you_go_mails,
            "packages": packages.collect::<Vec<_>>(),
        }));
    }
    let mut out = Out::open();
    out.line(format_args!("account {account_id} as of {as_of}"))?;
    out.line(format_args!("cash           {currency} {cash}"))?;
    out.line(format_args!("open bills     {currency} {open}"))?;
    out.line(format_args!("free credit    {} mails", balances.free_mails))?;
    out.line(format_args!(
        "pay-as-you-go  {} mails charged and not yet billed",
        balances.pay_as_you_go_mails
    ))?;
    for package in &balances.packages {
        out.line(format_args!(
            "{}  granted {} = remaining {} + consumed {} + lapsed {} + refunded {} + upcoming {}",
            package.instance_id,
            package.granted,
            package.remaining,
            package.consumed,
            package.lapsed,
            package.refunded,
            package.upcoming
        ))?;
    }
    out.close()
}
