//! `indicia audit …`: who did what, when, to which account.

use clap::Subcommand;
use indicia_store::audit::AuditEntry;
use indicia_store::oversight::AuditQuery;
use serde_json::json;

use super::args::limit;
use super::output::Out;
use super::{ConfigFile, Done, Opened, account_id, named_account};

const EXAMPLES: &str = "\
Examples:
  indicia audit list
  indicia audit list --account 1000000000000001 --json
  indicia audit list --actor root@indicia.example --limit 1000
  indicia audit list --actor 'command-line ann (uid 1000)'

Newest first. Nothing in the log is ever changed or removed. Who was at the command line is the user that the machine
knows, not what the environment says; whom sudo acted for is marked as claimed.";

/// Entries read at a time.
const ENTRIES_PER_PAGE: i64 = 500;

#[derive(Subcommand)]
pub enum AuditCommand {
    /// List the audit log, newest first.
    #[command(after_help = EXAMPLES)]
    List {
        /// Only what was done to this account.
        #[arg(long, value_name = "ID", value_parser = account_id)]
        account: Option<i64>,
        /// Only what this one did, as the log has it: an e-mail address, an access key's id, 'ann (uid 1000)'.
        #[arg(long, value_name = "NAME")]
        actor: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_parser = limit)]
        limit: i64,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
}

pub async fn run(command: AuditCommand) -> Done {
    let AuditCommand::List { account, actor, limit, json, file } = command;
    let opened = file.open().await?;
    let done = list(&opened, account, actor, limit, json).await;
    opened.finish(done).await
}

async fn list(
    opened: &Opened,
    account_id: Option<i64>,
    actor: Option<String>,
    limit: i64,
    as_json: bool,
) -> Done {
    if let Some(account_id) = account_id {
        named_account(opened, account_id).await?;
    }
    let (mut out, mut left) = (Out::open(), limit);
    let mut query = AuditQuery { account_id, actor, after: None, limit: 0 };
    while left > 0 {
        query.limit = left.min(ENTRIES_PER_PAGE);
        let entries = opened.store.audit_entries(&query).await?;
        for entry in &entries {
            if as_json {
                out.line(json_of(entry))?;
            } else {
                out.line(text_of(entry))?;
            }
        }
        match entries.last() {
            Some(last) if entries.len() as i64 == query.limit => query.after = Some(last.audit_id),
            _ => break,
        }
        left -= query.limit;
    }
    out.close()
}

fn json_of(entry: &AuditEntry) -> serde_json::Value {
    json!({
        "audit_id": entry.audit_id.to_string(),
        "at": entry.at.to_string(),
        "actor": entry.actor,
        "account_id": entry.account_id.map(|id| id.to_string()),
        "action": entry.action,
        "detail": entry.detail,
    })
}

fn text_of(entry: &AuditEntry) -> String {
    let account =
        entry.account_id.map_or_else(|| "the installation".to_owned(), |id| format!("account {id}"));
    format!("{}  {}  {account}  {}  {}", entry.at, entry.actor, entry.action, entry.detail)
}
