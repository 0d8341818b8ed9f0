//! `indicia notice …`: what an account was told, and what not and why (R14, R15).

use clap::Subcommand;
use indicia_store::account::SYSTEM_ACCOUNT_ID;
use indicia_store::notice::{NoticeRow, NoticeState};
use serde_json::json;

use super::output::Out;
use super::{ConfigFile, Done, Failure, Opened, account_id, named_account, print_json};

const EXAMPLES: &str = "\
Examples:
  indicia notice list 1000000000000001
  indicia notice list 1000000000000001 --json | jq 'select(.state != \"sent\")'

One line for each notice and channel: when it was due, whether it was handed over, and if not, why.";

const SENDER_EXAMPLES: &str = "\
Examples:
  indicia notice sender --config indicia.toml
  indicia notice sender --json | jq -r .dkim_value

Publish the records before the first notice goes out: an unsigned or unaligned notice about money looks like a fraud.";

#[derive(Subcommand)]
pub enum NoticeCommand {
    /// Whom notices by e-mail come from (notices.from), and the DNS records that its domain needs.
    #[command(after_help = SENDER_EXAMPLES)]
    Sender {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
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
    match command {
        NoticeCommand::List { account_id, limit, json, file } => {
            let opened = file.open().await?;
            let done = list(&opened, account_id, limit, json).await;
            opened.finish(done).await
        }
        NoticeCommand::Sender { json, file } => {
            let opened = file.open_or_make().await?;
            let done = sender(&opened, json).await;
            opened.finish(done).await
        }
    }
}

async fn sender(opened: &Opened, as_json: bool) -> Done {
    let Some(address) = &opened.config.notices.from else {
        return Err(Failure::failed(
            "notices.from is not set, so there are no notices by e-mail; set it to an address",
        ));
    };
    let sender = crate::jobs::system_sender(&opened.store, address).await?;
    let domain = opened.store.domain(SYSTEM_ACCOUNT_ID, sender.domain_id).await?;
    let domain = domain.ok_or_else(|| Failure::failed(format!("the domain of {address} is gone")))?;
    let name = format!("{}._domainkey.{}", domain.dkim.selector, domain.name);
    let value = format!("v=DKIM1; k=rsa; p={}", domain.dkim.public_key);
    if as_json {
        let (address, domain) = (&sender.address, &domain.name);
        print_json(&json!({"address": address, "domain": domain, "dkim_name": name, "dkim_value": value}));
    } else {
        println!("notices come from {}", sender.address);
        println!("publish a TXT record {name} with");
        println!("{value}");
        println!("and let the SPF record of {} allow the addresses that mail leaves from", domain.name);
    }
    Ok(())
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
