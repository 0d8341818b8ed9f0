//! `indicia quota …`: what an account may send, why, and what an operator can do about it.
//!
//! | file | what |
//! | --- | --- |
//! | `mod` | the commands that change something |
//! | `review` | the weekly round, done or only shown |
//! | `explain` | all about one account's quota |
//! | `figures` | both of it as text and as JSON |

mod explain;
mod figures;
mod review;

use clap::{ArgGroup, Subcommand};
use indicia_domain::time::UnixMicros;
use indicia_store::quota::QuotaError;

use super::args::{instant, reason};
use super::output::print;
use super::{ConfigFile, Done, Failure, Opened, account_id, actor};

/// Mails a day that an operator can set at most: the monthly quota must stay a number that can be counted.
const MAILS_PER_DAY_MAX: i64 = 1_000_000_000;

const EXAMPLES: &str = "\
Examples:
  indicia quota explain 361230847234
  indicia quota review --dry-run
  indicia quota pause 361230847234 --reason 'hits traps of a block list, ticket 4711'
  indicia quota release 361230847234 --reason 'the list is cleaned, ticket 4711'
  indicia quota release --paused-since 2026-11-23T01:00:00Z --restore --reason 'their servers were out of order'
  indicia quota ceiling 361230847234 5";

#[derive(Subcommand)]
#[command(after_help = EXAMPLES)]
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
    /// Review every account whose week is over, as the service does by itself every minute.
    Review {
        /// Change nothing: show what every review would do if the week ended now.
        #[arg(long)]
        dry_run: bool,
        /// Only this account.
        #[arg(value_parser = account_id, requires = "dry_run")]
        account_id: Option<i64>,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Show where an account stands and why: its week against every line, what the brake sees, and its past reviews, each
    /// run again from its record. Exit status 1 if one of them does not give what it gave.
    Explain {
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// Past reviews, at most.
        #[arg(long, default_value_t = 12, value_parser = super::args::limit)]
        reviews: i64,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Stop an account's sending at once. Only an operator releases it; what waits in the queue is held until then.
    Pause {
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// Why. The account's owner is told so.
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Let a paused account send again, whoever paused it; or all that the brake has paused since an instant. Evidence
    /// begins anew.
    #[command(group(ArgGroup::new("who").required(true).args(["account_id", "paused_since"])))]
    Release {
        #[arg(value_parser = account_id)]
        account_id: Option<i64>,
        /// Every account that the brake has paused since then, such as 2026-11-23T01:00:00Z, and that is paused still.
        #[arg(long, value_name = "INSTANT", value_parser = instant)]
        paused_since: Option<UnixMicros>,
        /// It was not the account's fault: give back the quota that it had before, and do not count the pause.
        #[arg(long)]
        restore: bool,
        /// Why. It stands in the account's history.
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Set the level above which reviews do not raise an account's quota.
    Ceiling {
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// A level, not below the one where the account stands; or `none`.
        #[arg(value_parser = ceiling)]
        level: Ceiling,
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Clone, Copy)]
pub struct Ceiling(Option<i64>);

fn ceiling(text: &str) -> Result<Ceiling, String> {
    match (text, text.parse()) {
        ("none", _) => Ok(Ceiling(None)),
        (_, Ok(level)) => Ok(Ceiling(Some(level))),
        _ => Err(format!("'{text}' is neither a level, such as 5, nor none")),
    }
}

impl From<QuotaError> for Failure {
    fn from(error: QuotaError) -> Self {
        match error {
            QuotaError::Ceiling { .. } => Failure::usage(error),
            other => Failure::failed(other),
        }
    }
}

pub async fn run(command: QuotaCommand) -> Done {
    match command {
        QuotaCommand::Set { account_id, mails_per_day, reason, file } => {
            if !(0..=MAILS_PER_DAY_MAX).contains(&mails_per_day) {
                return Err(Failure::usage(format!(
                    "MAILS_PER_DAY is from 0 to {MAILS_PER_DAY_MAX}, not {mails_per_day}"
                )));
            }
            let opened = file.open().await?;
            let done = set(&opened, account_id, mails_per_day, &reason).await;
            opened.finish(done).await
        }
        QuotaCommand::Review { dry_run, account_id, json, file } => {
            let opened = file.open().await?;
            let done = match dry_run {
                true => review::dry_run(&opened, account_id, json).await,
                false => review::run(&opened, json).await,
            };
            opened.finish(done).await
        }
        QuotaCommand::Explain { account_id, reviews, json, file } => {
            let opened = file.open().await?;
            let done = explain::run(&opened, account_id, reviews, json).await;
            opened.finish(done).await
        }
        QuotaCommand::Pause { account_id, reason, file } => {
            let opened = file.open().await?;
            let done = pause(&opened, account_id, &reason).await;
            opened.finish(done).await
        }
        QuotaCommand::Release { account_id, paused_since, restore, reason, file } => {
            let opened = file.open().await?;
            let done = release(&opened, (account_id, paused_since), restore, &reason).await;
            opened.finish(done).await
        }
        QuotaCommand::Ceiling { account_id, level, file } => {
            let opened = file.open().await?;
            let done = set_ceiling(&opened, account_id, level).await;
            opened.finish(done).await
        }
    }
}

async fn set(opened: &Opened, account_id: i64, daily: i64, reason: &str) -> Done {
    let event = opened.store.set_daily_quota(account_id, daily, reason, &actor()).await?;
    let (old, new) = (event.old_daily, event.new_daily);
    print(format_args!("the daily quota of account {account_id} is now {new}, was {old}"))
}

async fn pause(opened: &Opened, account_id: i64, reason: &str) -> Done {
    opened.store.pause_sending(account_id, reason, &actor()).await?;
    print(format_args!("the sending of account {account_id} is paused; `indicia quota release` ends it"))
}

async fn release(
    opened: &Opened,
    (account_id, since): (Option<i64>, Option<UnixMicros>),
    restore: bool,
    reason: &str,
) -> Done {
    let accounts = match (account_id, since) {
        (Some(account_id), _) => vec![account_id],
        (None, since) => opened.store.braked_since(since.unwrap_or_default()).await?,
    };
    if accounts.is_empty() {
        return print("no account is paused that the brake has paused since then");
    }
    for account_id in accounts {
        match restore {
            true => opened.store.release_and_restore(account_id, reason, &actor()).await?,
            false => opened.store.release_sending(account_id, reason, &actor()).await?,
        }
        let standing = opened.store.quota_standing(account_id).await?;
        let daily = standing.map_or(0, |standing| standing.daily_mails);
        print(format_args!(
            "account {account_id} can send again, {daily} mails a day; its evidence begins anew"
        ))?;
    }
    Ok(())
}

async fn set_ceiling(opened: &Opened, account_id: i64, Ceiling(level): Ceiling) -> Done {
    opened.store.set_quota_ceiling(account_id, level, &actor()).await?;
    match level {
        Some(level) => {
            let daily = opened.store.quota_policy().ladder.daily(level);
            print(format_args!("account {account_id} grows to level {level} at most, {daily} mails a day"))
        }
        None => print(format_args!("account {account_id} has no ceiling")),
    }
}
