//! `indicia queue …`

use clap::{Args, Subcommand};
use indicia_smtp::address::Domain;
use indicia_store::queue::{Cancelled, QueueEntry};
use indicia_store::suspension::{Held, Suspension};
use serde_json::json;

use super::args::{limit, reason};
use super::output::{Out, counted, print};
use super::{
    ConfigFile, Done, Failure, Opened, account_id, actor, by_command_line, message_id, named_account,
    note_done,
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
    /// Hold mail in the queue: it is neither attempted nor failed for its age until `resume`.
    Suspend {
        #[command(flatten)]
        held: HeldArgs,
        /// Why. It stands with each mail that waits for it, and in the audit log.
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// End a suspension: what it held is due at once.
    Resume {
        #[command(flatten)]
        held: HeldArgs,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// List what is held: by `suspend`, and of accounts whose sending is paused.
    Suspensions {
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
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

/// Whose mail, and to where; one of the two or both.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub struct HeldArgs {
    /// Mail of this account.
    #[arg(long, value_name = "ID", value_parser = account_id)]
    account: Option<i64>,
    /// Mail to this recipient domain.
    #[arg(long, value_name = "DOMAIN", value_parser = domain)]
    domain: Option<String>,
}

impl HeldArgs {
    fn held(self) -> Held {
        Held { account_id: self.account, domain: self.domain }
    }
}

/// The form in which the queue has it.
fn domain(text: &str) -> Result<String, String> {
    let domain = Domain::parse(text);
    Ok(domain.map_err(|error| format!("'{text}' is not a domain: {error}"))?.to_string())
}

pub async fn run(command: QueueCommand) -> Done {
    match command {
        QueueCommand::Suspend { held, reason, file } => {
            let opened = file.open().await?;
            let done = suspend(&opened, &held.held(), &reason).await;
            opened.finish(done).await
        }
        QueueCommand::Resume { held, file } => {
            let opened = file.open().await?;
            let done = resume(&opened, &held.held()).await;
            opened.finish(done).await
        }
        QueueCommand::Suspensions { json, file } => {
            let opened = file.open().await?;
            let done = suspensions(&opened, json).await;
            opened.finish(done).await
        }
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

async fn suspend(opened: &Opened, held: &Held, reason: &str) -> Done {
    let fresh = opened.store.suspend(held, reason, &actor()).await.map_err(Failure::failed)?;
    let again = if fresh { "" } else { " (it was already; the reason is the new one)" };
    print(format_args!("held from now on: {held}{again}"))
}

async fn resume(opened: &Opened, held: &Held) -> Done {
    let mails = opened.store.resume(held, &actor()).await.map_err(Failure::failed)?;
    print(format_args!("held no longer: {held}; due at once: {}", counted(mails as i64, "mail")))
}

async fn suspensions(opened: &Opened, as_json: bool) -> Done {
    let mut out = Out::open();
    let all = opened.store.suspensions().await?;
    for suspension in &all {
        let Suspension { held, since, by, reason, is_pause } = suspension;
        if as_json {
            out.line(json!({
                "account_id": held.account_id.map(|id| id.to_string()),
                "domain": held.domain,
                "since": since.to_string(),
                "by": by,
                "reason": reason,
                "is_pause": is_pause,
            }))?;
        } else {
            out.line(format_args!("{held}  since {since}  by {by}: {reason}"))?;
        }
    }
    if all.is_empty() && !as_json {
        out.line("nothing is held")?;
    }
    out.close()
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
