//! `indicia quota review`: the weekly round (R19), done or only shown.

use serde_json::json;

use super::figures::{outlook_json, print_decision};
use crate::cli::output::{Out, counted, print};
use crate::cli::{Done, Failure, Opened, named_account};

/// Accounts looked at together.
const ACCOUNTS_PER_PAGE: i64 = 100;

/// Reviews what is due.
pub async fn run(opened: &Opened, as_json: bool) -> Done {
    let round = opened.store.review_quotas().await?;
    let kept = round.reviews - round.raised - round.lowered - round.paused - round.released;
    if as_json {
        print(json!({
            "reviews": round.reviews, "raised": round.raised, "lowered": round.lowered, "kept": kept,
            "paused": round.paused, "released": round.released, "failed": round.failed,
        }))?;
    } else {
        print(format_args!(
            "{}: {} raised, {} lowered, {kept} kept, {} paused, {} released",
            counted(round.reviews, "review"),
            round.raised,
            round.lowered,
            round.paused,
            round.released
        ))?;
    }
    match round.failed {
        0 => Ok(()),
        failed => Err(Failure::failed(format!(
            "{} could not be reviewed; the log says why, and they are tried again",
            counted(failed, "account")
        ))),
    }
}

/// What every review would do if the week ended now.
pub async fn dry_run(opened: &Opened, account_id: Option<i64>, as_json: bool) -> Done {
    let mut out = Out::open();
    if let Some(account_id) = account_id {
        named_account(opened, account_id).await?;
        let outlook = opened.store.quota_outlook(account_id).await?;
        if let Some(outlook) = outlook {
            line(&mut out, account_id, &outlook, as_json)?;
        }
        return out.close();
    }
    let mut after = 0;
    loop {
        let page = opened.store.dry_run_reviews(after, ACCOUNTS_PER_PAGE).await?;
        for (account_id, outlook) in &page {
            line(&mut out, *account_id, outlook, as_json)?;
            after = *account_id;
        }
        if (page.len() as i64) < ACCOUNTS_PER_PAGE {
            return out.close();
        }
    }
}

fn line(out: &mut Out, account_id: i64, outlook: &indicia_store::quota::Outlook, as_json: bool) -> Done {
    if as_json {
        return out.line(outlook_json(account_id, outlook)?);
    }
    out.line(format_args!("account {account_id}, level {}", outlook.dossier.level))?;
    print_decision(out, "  ", outlook.dossier.daily_mails, &outlook.decision)
}
