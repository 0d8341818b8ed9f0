//! `indicia notice …`: what an account was told, and what not and why (R14, R15).

use std::collections::HashMap;

use clap::Subcommand;
use indicia_domain::notice::Channel;
use indicia_store::account::SYSTEM_ACCOUNT_ID;
use indicia_store::notice::{NoticeRow, NoticeState, SmsRow};
use serde_json::json;

use super::args::limit;
use super::output::Out;
use super::{ConfigFile, Done, Failure, Opened, account_id, named_account, print_json};

const EXAMPLES: &str = "\
Examples:
  indicia notice list 1000000000000001
  indicia notice list 1000000000000001 --json | jq 'select(.state != \"sent\")'

One line for each notice and channel: when it was done or is due, what became of it, and why. First what is done, the latest first;
then what waits, the next due first. States:
  sent      in the inbox; in the queue of mail (`indicia message show` goes on); taken by the SMS gateway
  queued    a text that the SMS gateway has not taken yet
  given-up  a text that the SMS gateway did not take
  skipped   not told, and will not be
  waiting   not due yet, or tried again";

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
    /// The notices of an account: what is done, the latest first, then what waits, the next due first.
    #[command(after_help = EXAMPLES)]
    List {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// At most so many that are done, and as many that wait.
        #[arg(long, default_value_t = 100, value_parser = limit)]
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
        return print_json(
            &json!({"address": address, "domain": domain, "dkim_name": name, "dkim_value": value}),
        );
    }
    let mut out = Out::open();
    out.line(format_args!("notices come from {}", sender.address))?;
    out.line(format_args!("publish a TXT record {name} with"))?;
    out.line(value)?;
    out.line(format_args!(
        "and let the SPF record of {} allow the addresses that mail leaves from",
        domain.name
    ))?;
    out.close()
}

async fn list(opened: &Opened, account_id: i64, limit: i64, as_json: bool) -> Done {
    named_account(opened, account_id).await?;
    let rows = opened.store.notice_history(account_id, limit).await?;
    // A text is made when its notice is done, and serves one or several: those of the latest so many notices are among
    // the latest so many texts.
    let texts = opened.store.sms_log(Some(account_id), false, limit).await?;
    let texts: HashMap<i64, SmsRow> = texts.into_iter().map(|text| (text.sms_id, text)).collect();
    let mut out = Out::open();
    if rows.is_empty() && !as_json {
        out.line(format_args!("account {account_id} has no notices, sent or planned"))?;
    }
    for row in &rows {
        let text = row.dispatch_id.filter(|_| row.channel == Channel::Sms).and_then(|id| texts.get(&id));
        let outcome = Outcome::of(row, text);
        if as_json {
            out.line(json_of(row, text, &outcome))?;
        } else {
            out.line(text_of(row, &outcome))?;
        }
    }
    out.close()
}

/// What became of a notice on one channel.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    state: &'static str,
    /// Why, or where it is now; may be empty.
    words: String,
}

impl Outcome {
    /// A notice by SMS is told when the gateway has taken its text, and not before.
    fn of(row: &NoticeRow, text: Option<&SmsRow>) -> Outcome {
        let reason = || row.reason.clone();
        let (state, words) = match (row.state, text) {
            (NoticeState::Waiting, _) => ("waiting", reason()),
            (NoticeState::Skipped, _) => ("skipped", reason()),
            (NoticeState::HandedOver, None) if row.channel == Channel::Email => {
                ("sent", row.dispatch_id.map(|id| format!("message {id}")).unwrap_or_default())
            }
            (NoticeState::HandedOver, None) => ("sent", reason()),
            (NoticeState::HandedOver, Some(text)) => match text.state {
                0 => ("queued", tries_of(text)),
                1 => ("sent", gateway_words(text)),
                _ => ("given-up", tries_of(text)),
            },
        };
        Outcome { state, words }
    }
}

fn gateway_words(text: &SmsRow) -> String {
    match text.gateway_id.as_str() {
        "" => "taken by the gateway".to_owned(),
        id => format!("taken by the gateway as {id}"),
    }
}

fn tries_of(text: &SmsRow) -> String {
    match (text.attempts, text.error.as_str()) {
        (0, _) => "not tried at the gateway yet".to_owned(),
        (1, "") => "tried once at the gateway".to_owned(),
        (1, error) => format!("tried once at the gateway: {error}"),
        (tries, "") => format!("tried {tries} times at the gateway"),
        (tries, error) => format!("tried {tries} times at the gateway: {error}"),
    }
}

fn json_of(row: &NoticeRow, text: Option<&SmsRow>, outcome: &Outcome) -> serde_json::Value {
    json!({
        "key": row.key,
        "channel": row.channel.as_str(),
        "kind": row.kind.as_str(),
        "instance_id": row.instance_id,
        "lead_days": row.lead_days,
        "due_at": row.due_at.to_string(),
        "state": outcome.state,
        "done_at": row.done_at.map(|at| at.to_string()),
        "reason": row.reason,
        "dispatch_id": row.dispatch_id.map(|id| id.to_string()),
        "sms": text.map(|text| json!({
            "phone": text.phone,
            "attempts": text.attempts,
            "gateway_id": text.gateway_id,
            "error": text.error,
            "done_at": text.done_at.map(|at| at.to_string()),
        })),
    })
}

fn text_of(row: &NoticeRow, outcome: &Outcome) -> String {
    let about = if row.instance_id.is_empty() { "the account" } else { &row.instance_id };
    let words = if outcome.words.is_empty() { String::new() } else { format!("  {}", outcome.words) };
    format!(
        "{}  {:<8}  {:<16}  {:<8}  {about}{words}",
        row.done_at.unwrap_or(row.due_at).rfc3339_seconds(),
        row.channel.as_str(),
        row.kind.as_str(),
        outcome.state
    )
}

#[cfg(test)]
mod tests {
    use indicia_domain::notice::NoticeKind;
    use indicia_domain::time::UnixMicros;

    use super::*;

    fn row(channel: Channel, state: NoticeState) -> NoticeRow {
        NoticeRow {
            account_id: 1,
            key: "used-up:1".into(),
            channel,
            kind: NoticeKind::UsedUp,
            instance_id: String::new(),
            lead_days: 0,
            due_at: UnixMicros(0),
            state,
            dispatch_id: Some(7),
            done_at: None,
            reason: String::new(),
        }
    }

    fn sms(state: i64, attempts: i64, error: &str) -> SmsRow {
        SmsRow {
            account_id: 1,
            sms_id: 7,
            phone: "+8613800000000".into(),
            text: "used up".into(),
            created_at: UnixMicros(0),
            state,
            attempts,
            gateway_id: if state == 1 { "G1".into() } else { String::new() },
            error: error.into(),
            done_at: None,
        }
    }

    #[test]
    fn r14_a_text_is_sent_when_the_gateway_has_taken_it() {
        let row = row(Channel::Sms, NoticeState::HandedOver);
        let told = |state, attempts, error: &str| {
            let outcome = Outcome::of(&row, Some(&sms(state, attempts, error)));
            (outcome.state, outcome.words)
        };
        assert_eq!(told(0, 0, ""), ("queued", "not tried at the gateway yet".into()));
        assert_eq!(told(0, 2, "throttled"), ("queued", "tried 2 times at the gateway: throttled".into()));
        assert_eq!(told(1, 1, ""), ("sent", "taken by the gateway as G1".into()));
        assert_eq!(told(2, 1, "no route"), ("given-up", "tried once at the gateway: no route".into()));
    }

    #[test]
    fn r14_what_goes_out_by_mail_names_its_message() {
        let outcome = Outcome::of(&row(Channel::Email, NoticeState::HandedOver), None);
        assert_eq!((outcome.state, outcome.words.as_str()), ("sent", "message 7"));
        assert_eq!(Outcome::of(&row(Channel::Station, NoticeState::HandedOver), None).state, "sent");
        assert_eq!(Outcome::of(&row(Channel::Sms, NoticeState::Skipped), None).state, "skipped");
    }
}
