//! `indicia queue …`

use clap::Subcommand;
use indicia_store::queue::{Cancelled, QueueEntry};
use serde_json::json;

use super::args::limit;
use super::output::{Out, counted, print};
use super::{
    ConfigFile, Done, Failure, Opened, account_id, by_command_line, message_id, named_account, note_done,
};

#[derive(Subcommand)]
pub enum QueueCommand {
    /// List what waits, the longest waiting first.
    List {
        /// Only of this account.
        #[arg(long, value_name = "ID", value_parser = account_id)]
        account: Option<i64>,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_parser = limit)]
        limit: i64,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Show what of a message waits, and why.
    Show {
        /// The id that the API answered as EnvId.
        #[arg(value_parser = message_id)]
        message_id: i64,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Make what waits of a message due now.
    Retry {
        /// The id that the API answered as EnvId.
        #[arg(value_parser = message_id)]
        message_id: i64,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Withdraw what of a message has not been attempted; its charge is reversed (R03).
    Cancel {
        /// The id that the API answered as EnvId.
        #[arg(value_parser = message_id)]
        message_id: i64,
        #[command(flatten)]
        file: ConfigFile,
    },
}

pub async fn run(command: QueueCommand) -> Done {
    match command {
        QueueCommand::List { account, limit, json, file } => {
            let opened = file.open().await?;
            let done = list(&opened, account, limit, json).await;
            opened.finish(done).await
        }
        QueueCommand::Show { message_id, file } => {
            let opened = file.open().await?;
            let done = show(&opened, message_id).await;
            opened.finish(done).await
        }
        QueueCommand::Retry { message_id, file } => {
            let opened = file.open().await?;
            let done = retry(&opened, message_id).await;
            opened.finish(done).await
        }
        QueueCommand::Cancel { message_id, file } => {
            let opened = file.open().await?;
            let done = cancel(&opened, message_id).await;
            opened.finish(done).await
        }
    }
}

async fn owner(opened: &Opened, message_id: i64) -> Result<i64, Failure> {
    let owner = opened.store.account_of_message(message_id).await?;
    owner.ok_or_else(|| Failure::failed(format!("there is no message {message_id}")))
}

async fn list(opened: &Opened, account: Option<i64>, limit: i64, as_json: bool) -> Done {
    if let Some(account_id) = account {
        named_account(opened, account_id).await?;
    }
    let (waiting, due) = opened.store.queue_length().await?;
    let mut out = Out::open();
    for entry in opened.store.queue_entries(account, None, limit).await? {
        if as_json {
            out.line(json_of(&entry))?;
        } else {
            out.line(line_of(&entry))?;
        }
    }
    if !as_json {
        let wait = if waiting == 1 { "waits" } else { "wait" };
        out.line(format_args!(
            "{} {wait} in all, {due} of them due or in delivery",
            counted(waiting, "mail")
        ))?;
    }
    out.close()
}

async fn show(opened: &Opened, message_id: i64) -> Done {
    let account_id = owner(opened, message_id).await?;
    let entries = opened.store.queue_entries(Some(account_id), Some(message_id), 100_000).await?;
    let mut out = Out::open();
    if entries.is_empty() {
        out.line(format_args!(
            "nothing of message {message_id} waits; `indicia message show {message_id}` tells what became of it"
        ))?;
    }
    for entry in entries {
        out.line(line_of(&entry))?;
    }
    out.close()
}

async fn retry(opened: &Opened, message_id: i64) -> Done {
    let account_id = owner(opened, message_id).await?;
    let made_due = opened.store.retry_now(account_id, message_id, &by_command_line()).await?;
    if made_due == 0 {
        return Err(Failure::failed(format!(
            "nothing of message {message_id} waits that is not in delivery already"
        )));
    }
    let mails = counted(made_due, "mail");
    note_done(opened, Some(account_id), "retry-message", &format!("message {message_id}: {mails} made due"))
        .await?;
    print(format_args!("made due now: {mails} of message {message_id}"))
}

async fn cancel(opened: &Opened, message_id: i64) -> Done {
    let account_id = owner(opened, message_id).await?;
    match opened.store.cancel(account_id, message_id, &by_command_line()).await? {
        Cancelled::Mails(mails) => {
            let mails = counted(mails, "mail");
            let detail = format!("message {message_id}: {mails} withdrawn");
            note_done(opened, Some(account_id), "cancel-message", &detail).await?;
            print(format_args!("withdrawn, and what was charged reversed: {mails} of message {message_id}"))
        }
        Cancelled::NothingToCancel => Err(Failure::failed(format!(
            "message {message_id} cannot be cancelled: every mail of it was attempted, is being delivered, or is done"
        ))),
        Cancelled::NotFound => Err(Failure::failed(format!("there is no message {message_id}"))),
    }
}

fn line_of(entry: &QueueEntry) -> String {
    let when =
        if entry.in_delivery { "in delivery now".to_owned() } else { format!("next try {}", entry.due_at) };
    let why = if entry.reason.is_empty() { String::new() } else { format!("  {}", entry.reason) };
    format!(
        "{}/{}  {}  accepted {}  {}  {when}{why}",
        entry.key.message_id,
        entry.key.number,
        entry.address,
        entry.accepted_at,
        counted(entry.attempts, "attempt")
    )
}

fn json_of(entry: &QueueEntry) -> serde_json::Value {
    json!({
        "account_id": entry.key.account_id.to_string(),
        "message_id": entry.key.message_id.to_string(),
        "recipient": entry.address,
        "accepted_at": entry.accepted_at.to_string(),
        "due_at": entry.due_at.to_string(),
        "attempts": entry.attempts,
        "in_delivery": entry.in_delivery,
        "reason": entry.reason,
    })
}
