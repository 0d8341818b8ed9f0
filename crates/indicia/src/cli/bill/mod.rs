//! `indicia bill …`: what was billed for pay-as-you-go, and the job that bills (R10, R11).

mod statement;

use clap::Subcommand;
use indicia_store::bill::{Bill, BillQuery};
use serde_json::json;

use super::args::{Month, month};
use super::output::{Out, counted, print};
use super::{ConfigFile, Done, Failure, Opened, account_id, named_account, print_json};
use indicia_domain::time;

const LIST_EXAMPLES: &str = "\
Examples:
  indicia bill list 1000000000000001 --month 2026-11
  indicia bill list 1000000000000001 --month 2026-11 --json | jq .amount

A bill is the pay-as-you-go usage of one clock hour; the ones with a number above 1 adjust an earlier one.";

const MAKE_EXAMPLES: &str = "\
Examples:
  indicia bill make
  indicia bill make --json

A running service does this by itself within half a minute. Doing it once more, or beside the service, changes nothing
that was billed: an hour is billed for the difference only.";

const STATEMENT_EXAMPLES: &str = "\
Examples:
  indicia bill statement 1000000000000001 --month 2026-11 > statement.txt

The same figures as the console's statement page, from the totals that are kept. The lines of the cash balance:
  indicia ledger lines 1000000000000001 --unit money";

/// Bills read at a time.
const BILLS_PER_PAGE: i64 = 1_000;

#[derive(Subcommand)]
pub enum BillCommand {
    /// The bills of one month of an account, oldest hour first.
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// The month in the account's billing zone, as 2026-11.
        #[arg(long, value_name = "YYYY-MM", value_parser = month)]
        month: Month,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Bill what is ready to be billed, and collect what is to be collected, now.
    #[command(after_help = MAKE_EXAMPLES)]
    Make {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// The statement of one month as plain text.
    #[command(after_help = STATEMENT_EXAMPLES)]
    Statement {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// The month in the account's billing zone, as 2026-11.
        #[arg(long, value_name = "YYYY-MM", value_parser = month)]
        month: Month,
        #[command(flatten)]
        file: ConfigFile,
    },
}

pub async fn run(command: BillCommand) -> Done {
    match command {
        BillCommand::List { account_id, month, json, file } => {
            let opened = file.open().await?;
            let done = list(&opened, account_id, month, json).await;
            opened.finish(done).await
        }
        BillCommand::Make { json, file } => {
            let opened = file.open().await?;
            let done = make(&opened, json).await;
            opened.finish(done).await
        }
        BillCommand::Statement { account_id, month, file } => {
            let opened = file.open().await?;
            let done = statement::print(&opened, account_id, month).await;
            opened.finish(done).await
        }
    }
}

async fn list(opened: &Opened, account_id: i64, month: Month, as_json: bool) -> Done {
    let account = named_account(opened, account_id).await?;
    let zone = time::zone(&account.zone).map_err(Failure::failed)?;
    let (from, before) = month.span(&zone);
    let mut out = Out::open();
    let mut query = BillQuery {
        account_id,
        from,
        before,
        only_open: false,
        after: None,
        limit: BILLS_PER_PAGE,
        newest_first: false,
    };
    loop {
        let bills = opened.store.bills(&query).await?;
        for bill in &bills {
            if as_json {
                out.line(json_of(bill))?;
            } else {
                out.line(text_of(bill, &opened.config.billing.currency))?;
            }
        }
        match bills.last() {
            Some(last) if bills.len() as i64 == BILLS_PER_PAGE => {
                query.after = Some((last.hour_start.0, last.number));
            }
            _ => break,
        }
    }
    if !as_json {
        let total = opened.store.bill_total(account_id, from, before).await?;
        out.line(format_args!(
            "{}, {}, {} {}, of it outstanding {}",
            counted(total.bills, "bill"),
            counted(total.mails, "mail"),
            opened.config.billing.currency,
            total.amount,
            total.outstanding
        ))?;
    }
    out.close()
}

fn state_of(bill: &Bill) -> &'static str {
    match (bill.settled_at, bill.due_at) {
        (Some(_), _) => "paid",
        (None, Some(_)) => "due",
        (None, None) => "open",
    }
}

fn json_of(bill: &Bill) -> serde_json::Value {
    json!({
        "bill_id": bill.bill_id.to_string(),
        "hour_start": bill.hour_start.to_string(),
        "hour_end": bill.hour_end.to_string(),
        "number": bill.number,
        "mails": bill.mails,
        "amount": bill.amount.to_string(),
        "price": bill.price.to_string(),
        "made_at": bill.made_at.to_string(),
        "state": state_of(bill),
        "due_at": bill.due_at.map(|at| at.to_string()),
        "settled_at": bill.settled_at.map(|at| at.to_string()),
        "settlement_id": bill.settlement_id.map(|id| id.to_string()),
    })
}

fn text_of(bill: &Bill, currency: &str) -> String {
    let adjusts =
        if bill.is_adjustment() { format!("  adjustment {}", bill.number - 1) } else { String::new() };
    format!(
        "{} to {}  {:>9} mails  {currency} {:>9}  {:<4}  {}{adjusts}",
        bill.hour_start,
        bill.hour_end,
        bill.mails,
        bill.amount.to_string(),
        state_of(bill),
        bill.bill_id
    )
}

async fn make(opened: &Opened, as_json: bool) -> Done {
    let (prices, policy) = (opened.config.price_list()?, opened.config.billing.collection()?);
    let round = opened.store.make_bills(&prices, &policy).await?;
    if as_json {
        print_json(
            &json!({ "bills": round.bills, "settlements": round.settlements, "overdue": round.overdue }),
        )
    } else {
        print(format_args!(
            "{} made, {}, {} became overdue",
            counted(round.bills, "bill"),
            counted(round.settlements, "settlement"),
            counted(round.overdue, "account")
        ))
    }
}
