//! `indicia message …`: one timeline that answers where a mail is, and why.

use clap::Subcommand;
use indicia_domain::time::UnixMicros;
use indicia_store::message::Timeline;
use serde_json::json;

use super::output::{Out, counted};
use super::{ConfigFile, Done, Failure, Opened, message_id, print_json};

#[derive(Subcommand)]
pub enum MessageCommand {
    /// Show a message's timeline.
    Show {
        /// The id that the API answered as EnvId.
        #[arg(value_parser = message_id)]
        id: i64,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
}

pub async fn run(command: MessageCommand) -> Done {
    let MessageCommand::Show { id, json, file } = command;
    let opened = file.open().await?;
    let done = show(&opened, id, json).await;
    opened.finish(done).await
}

async fn show(opened: &Opened, id: i64, as_json: bool) -> Done {
    let no_such = || Failure::failed(format!("there is no message {id}"));
    let account_id = opened.store.account_of_message(id).await?.ok_or_else(no_such)?;
    let timeline = opened.store.timeline(account_id, id).await?.ok_or_else(no_such)?;
    if as_json { print_json(&json_of(&timeline)) } else { print_text(&timeline) }
}

/// Everything that happened, in the order of time.
fn events(timeline: &Timeline) -> Vec<(UnixMicros, String)> {
    let message = &timeline.message;
    let mut events = vec![(
        message.accepted_at,
        format!(
            "accepted over {} from {}, {} bytes, {}",
            message.via,
            message.mail_from,
            message.size_bytes,
            counted(message.recipient_count, "recipient")
        ),
    )];
    for line in &timeline.ledger {
        let (side, _) = line.own_side();
        events.push((
            line.at,
            format!(
                "{}: {}, {side} was {}, is {}",
                line.kind.as_str(),
                counted(line.amount, "mail"),
                line.before,
                line.after
            ),
        ));
    }
    for attempt in &timeline.attempts {
        let to = timeline.recipients.iter().find(|recipient| recipient.number == attempt.number);
        let to = to.map_or("?", |recipient| recipient.address.as_str());
        let next = attempt.next_due_at.map(|at| format!("; next try {at}")).unwrap_or_default();
        let from = match attempt.local_address.as_str() {
            "" => String::new(),
            local => format!(" from {local}"),
        };
        let tls = if attempt.tls.is_empty() { "in plain text" } else { attempt.tls.as_str() };
        events.push((
            attempt.finished_at,
            format!(
                "{to}: {} ({}) at {} [{}]{from}, {tls}, in phase {}: {}{next}",
                attempt.disposition,
                attempt.classification,
                attempt.remote_host,
                attempt.remote_address,
                attempt.phase,
                attempt.reply
            ),
        ));
    }
    for event in &timeline.events {
        events.push((event.at, format!("{}: {}", event.kind, event.detail)));
    }
    events.sort_by_key(|(at, _)| *at);
    events
}

fn print_text(timeline: &Timeline) -> Done {
    let message = &timeline.message;
    let mut out = Out::open();
    out.line(format_args!("message {} of account {}", message.message_id, message.account_id))?;
    out.line(format_args!("subject: {}", message.subject))?;
    for (at, what) in events(timeline) {
        out.line(format_args!("  {at}  {what}"))?;
    }
    for recipient in &timeline.recipients {
        let waits = match (recipient.in_delivery, recipient.due_at) {
            (true, _) => ", in delivery now".to_owned(),
            (false, Some(due)) if recipient.waiting_reason.is_empty() => format!(", next try {due}"),
            (false, Some(due)) => format!(", next try {due}: {}", recipient.waiting_reason),
            _ => String::new(),
        };
        let words = if recipient.attempts == 0 { recipient.reply.as_str() } else { "" };
        out.line(format_args!(
            "{}: {} after {}{waits} {words}",
            recipient.address,
            recipient.state.name(),
            counted(recipient.attempts, "attempt")
        ))?;
    }
    out.close()
}

fn json_of(timeline: &Timeline) -> serde_json::Value {
    let message = &timeline.message;
    let recipients = timeline.recipients.iter().map(|recipient| {
        json!({
            "address": recipient.address,
            "state": recipient.state.name(),
            "status": recipient.state as i64,
            "classification": recipient.classification,
            "reply": recipient.reply,
            "attempts": recipient.attempts,
            "due_at": recipient.due_at.map(|at| at.to_string()),
        })
    });
    let events = events(timeline).into_iter().map(|(at, what)| json!({ "at": at.to_string(), "what": what }));
    let charges = timeline.ledger.iter().map(|line| {
        json!({
            "kind": line.kind.as_str(),
            "from": line.from.to_string(),
            "to": line.to.to_string(),
            "mails": line.amount,
            "before": line.before,
            "after": line.after,
        })
    });
    json!({
        "message_id": message.message_id.to_string(),
        "account_id": message.account_id.to_string(),
        "accepted_at": message.accepted_at.to_string(),
        "via": message.via,
        "mail_from": message.mail_from,
        "subject": message.subject,
        "size_bytes": message.size_bytes,
        "recipients": recipients.collect::<Vec<_>>(),
        "charges": charges.collect::<Vec<_>>(),
        "timeline": events.collect::<Vec<_>>(),
    })
}
