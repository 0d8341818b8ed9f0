//! `indicia quota …`

use clap::Subcommand;

use super::args::reason;
use super::output::print;
use super::{ConfigFile, Done, Failure, Opened, account_id, note_done};

/// Mails a day that an operator can set at most: the monthly quota must stay a number that can be counted.
const MAILS_PER_DAY_MAX: i64 = 1_000_000_000;

#[derive(Subcommand)]
pub enum QuotaCommand {
    /// Override an account's daily quota; recorded with its reason and shown like a review.
    Set {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// Mails that it may send on one local day; 0 stops it.
        mails_per_day: i64,
        /// Why. The account's owner will read it, and it stands in the audit log.
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
        #[command(flatten)]
        file: ConfigFile,
    },
}

pub async fn run(command: QuotaCommand) -> Done {
    let QuotaCommand::Set { account_id, mails_per_day, reason, file } = command;
    if !(0..=MAILS_PER_DAY_MAX).contains(&mails_per_day) {
        return Err(Failure::usage(format!(
            "MAILS_PER_DAY is from 0 to {MAILS_PER_DAY_MAX}, not {mails_per_day}"
        )));
    }
    let opened = file.open().await?;
    let done = set(&opened, account_id, mails_per_day, &reason).await;
    opened.finish(done).await
}

async fn set(opened: &Opened, account_id: i64, daily: i64, reason: &str) -> Done {
    let event = opened.store.set_daily_quota(account_id, daily, None, reason).await?;
    let event = event.ok_or_else(|| Failure::failed(format!("there is no account {account_id}")))?;
    let (old, new) = (event.old_daily, event.new_daily);
    note_done(opened, Some(account_id), "set-quota", &format!("from {old} to {new} mails a day: {reason}"))
        .await?;
    print(format_args!("the daily quota of account {account_id} is now {new}, was {old}"))
}
