//! `indicia quota …`

use clap::Subcommand;

use super::{ConfigFile, Done, Failure, Opened, account_id};

/// Mails a day that an operator can set at most: the monthly quota must stay a number that can be counted.
const MAILS_PER_DAY_MAX: i64 = 1_000_000_000;

#[derive(Subcommand)]
pub enum QuotaCommand {
    /// Override an account's daily quota; recorded with its reason and shown like a review.
    Set {
        #[arg(value_parser = account_id)]
        account_id: i64,
        #[arg(allow_negative_numbers = true)]
        mails_per_day: i64,
        #[arg(long, value_name = "TEXT")]
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
    if reason.trim().is_empty() {
        return Err(Failure::usage("--reason must say why; the account's owner will read it"));
    }
    let opened = file.open().await?;
    let done = set(&opened, account_id, mails_per_day, &reason).await;
    opened.finish(done).await
}

async fn set(opened: &Opened, account_id: i64, daily: i64, reason: &str) -> Done {
    match opened.store.set_daily_quota(account_id, daily, None, reason).await? {
        Some(event) => {
            println!(
                "the daily quota of account {account_id} is now {}, was {}",
                event.new_daily, event.old_daily
            );
            Ok(())
        }
        None => Err(Failure::failed(format!("there is no account {account_id}"))),
    }
}
