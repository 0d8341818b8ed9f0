//! `indicia notice …`: what an account was told, and what not and why (R14, R15).

use clap::Subcommand;
use indicia_store::notice::{NoticeRow, NoticeState};
use serde_json::json;

use super::output::Out;
use super::{ConfigFile, Done, Opened, account_id, named_account};

const EXAMPLES: &str = "\
Examples:
  indicia notice list 1000000000000001
  indicia notice list 1000000000000001 --json | jq 'select(.state != \"sent\")'

One line for each notice and channel: when it was due, whether it was handed over, and if not, why.";

#[derive(Subcommand)]
pub enum NoticeCommand {
    /// The notices of an account, the latest due first.
    #[command(after_help = EXAMPLES)]
    List {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=100_000))]
        limit: i64,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
}

pub async fn run(command: NoticeCommand) -> Done {
    let NoticeCommand::List { account_id, limit, json, file } = command;
    let opened = file.open().await?;
    let done = list(&opened, account_id, limit, json).await;
    opened.finish(done).await
}

async fn list(opened: &Opened, account_id: i64, limit: i64, as_json: bool) -> Done {
    named_account(opened, account_id).await?;
    let rows = opened.store.notices(account_id, limit).await?;
    let mut out = Out::open();
    if rows.is_empty() && !as_json {
        out.line(format_args!("account {account_id} has no notices, sent or planned"))?;
    }
    for row in &rows {
        if as_json {
            out.line(json_of(row))?;
        } else {
            out.line(text_of(row))?;
        }
    }
    out.close()
}

fn state_of(row: &NoticeRow) -> &'static str {
    match row.state {
        NoticeState::Waiting => "waiting",
        NoticeState::HandedOver => "sent",
        NoticeState::Skipped => "skipped",
    }
}

fn json_of(row: &NoticeRow) -> serde_json::Value {
    json!({
        "key": row.key,
        "channel": row.channel.as_str(),
        "kind": row.kind.as_str(),
        "instance_id": row.instance_id,
        "lead_days": row.lead_days,
        "due_at": row.due_at.to_string(),
        "state": state_of(row),
        "done_at": row.done_at.map(|at| at.to_string()),
        "reason": row.reason,
    })
}

fn text_of(row: &NoticeRow) -> String {
    let about = if row.instance_id.is_empty() { "the account" } else { &row.instance_id };
    let why = if row.reason.is_empty() { String::new() } else { format!("  {}", row.reason) };
    format!(
        "{}  {:<8}  {:<16}  {:<8}  {about}{why}",
        row.due_at,
        row.channel.as_str(),
        row.kind.as_str(),
        state_of(row)
    )
}
