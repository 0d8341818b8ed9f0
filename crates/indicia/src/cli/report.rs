//! `indicia report …`: spam reports, those that came and those that an operator enters.

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use indicia_domain::time::UnixMicros;
use indicia_store::report::{OperatorReport, ReportRow, Reported, SPAM_TYPES};
use serde_json::json;

use super::args::{limit, reason};
use super::output::{Out, print};
use super::{ConfigFile, Done, Failure, Opened, account_id, actor, message_id, named_account};

const EXAMPLES: &str = "\
Examples:
  indicia report spam 361230847234 bob@provider.example --note 'complaint by letter, ticket 4711'
  indicia report spam 361230847234 bob@provider.example --type fraud --note 'provider.example, postmaster tool, 21 November'
  indicia report list 1000000000000001 --json

A mail is reported once: a report that came from a feedback loop before is not counted again.";

/// Reports read at a time.
const REPORTS_PER_PAGE: i64 = 500;

#[derive(Subcommand)]
pub enum ReportCommand {
    /// Enter a spam report that came another way than from a feedback loop.
    #[command(after_help = EXAMPLES)]
    Spam {
        /// The id that the API answered as EnvId.
        #[arg(value_parser = message_id)]
        env_id: i64,
        /// The address of the recipient who complained.
        recipient: String,
        /// What was reported.
        #[arg(long = "type", value_name = "TYPE", default_value = SPAM_TYPES[0], value_parser = PossibleValuesParser::new(SPAM_TYPES))]
        feedback_type: String,
        /// How it came and why it is believed: it counts against the account.
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        note: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// List an account's spam reports, newest first.
    List {
        #[arg(value_parser = account_id)]
        account_id: i64,
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

pub async fn run(command: ReportCommand) -> Done {
    match command {
        ReportCommand::Spam { env_id, recipient, feedback_type, note, file } => {
            let opened = file.open().await?;
            let report = OperatorReport { message_id: env_id, address: recipient, feedback_type, note };
            let done = spam(&opened, &report).await;
            opened.finish(done).await
        }
        ReportCommand::List { account_id, limit, json, file } => {
            let opened = file.open().await?;
            let done = list(&opened, account_id, limit, json).await;
            opened.finish(done).await
        }
    }
}

async fn spam(opened: &Opened, report: &OperatorReport) -> Done {
    let OperatorReport { message_id, address, .. } = report;
    match opened.store.report_by_name(report, &actor()).await? {
        Reported::Counted => {
            print(format_args!("counted: message {message_id} to {address} is reported as spam"))
        }
        Reported::Repeated => {
            print(format_args!("message {message_id} to {address} was reported before; a mail counts once"))
        }
        Reported::NotFound => {
            Err(Failure::failed(format!("there is no message {message_id}, or none of it went to {address}")))
        }
    }
}

async fn list(opened: &Opened, account_id: i64, limit: i64, as_json: bool) -> Done {
    named_account(opened, account_id).await?;
    let (mut out, mut left, mut after) = (Out::open(), limit, None);
    while left > 0 {
        let wanted = left.min(REPORTS_PER_PAGE);
        let (from, before) = (UnixMicros(0), UnixMicros(i64::MAX));
        let rows = opened.store.spam_reports(account_id, from, before, after, wanted).await?;
        for row in &rows {
            if as_json {
                out.line(json_of(row))?;
            } else {
                out.line(text_of(row))?;
            }
        }
        match rows.last() {
            Some(last) if rows.len() as i64 == wanted => after = Some(last.place()),
            _ => break,
        }
        left -= wanted;
    }
    out.close()
}

fn json_of(row: &ReportRow) -> serde_json::Value {
    json!({
        "at": row.at.to_string(),
        "message_id": row.message_id.to_string(),
        "recipient": row.address,
        "sender": row.mail_from,
        "subject": row.subject,
        "tag": row.tag,
        "source": row.source.as_str(),
        "type": row.feedback_type,
        "reporter": row.reporter,
        "detail": row.detail,
    })
}

fn text_of(row: &ReportRow) -> String {
    format!(
        "{}  message {} from {} to {}  {} ({}) by {}: {}",
        row.at,
        row.message_id,
        row.mail_from,
        row.address,
        row.feedback_type,
        row.source.as_str(),
        row.reporter,
        row.detail
    )
}
