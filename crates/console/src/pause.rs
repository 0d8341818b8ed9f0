//! R22: that an account's sending is paused, since when, why, and what to do, said on every page of the account.

use indicia_domain::{
    account::AccountStatus,
    quota::{policy::QuotaPolicy, week::Week},
    time::{MINUTE_MICROS, UnixMicros},
};
use indicia_store::quota::{Pause, PausedBy};

use crate::{
    ConsoleState,
    components::{Note, Tone},
    error::ConsoleError,
    format::{self, Zone},
    shell::{REPUTATION, account_href},
};

/// A week is reviewed when it has been over for so long.
const REVIEW_GRACE_MICROS: i64 = 5 * MINUTE_MICROS;

/// The pause of an account; asks the store only when its status says that there is one.
pub async fn load(
    state: &ConsoleState,
    account_id: i64,
    status: AccountStatus,
) -> Result<Option<Pause>, ConsoleError> {
    if !status.has(AccountStatus::RESTRICTED) {
        return Ok(None);
    }
    Ok(state.store.pause_of(account_id).await?)
}

/// When the week that runs now is reviewed, at the earliest.
pub fn next_review(zone: &Zone, now: UnixMicros) -> UnixMicros {
    Week::containing(zone.time_zone(), now.plus_micros(-REVIEW_GRACE_MICROS)).end
}

/// The note of a paused account.
pub fn note(pause: &Pause, policy: &QuotaPolicy, zone: &Zone, now: UnixMicros, account_id: i64) -> Note {
    let title = format!("Sending is paused since {}", zone.moment(pause.since).full());
    let text = format!(
        "Why: {}. New mail is refused; what waits in the queue is held and goes out afterwards, unless an operator cancels it. {} {}",
        format::grouped_mails(pause.reason.trim_end_matches('.')),
        what_next(pause, policy, zone, now),
        what_to_do(pause)
    );
    Note::new(Tone::Bad, title, text)
        .with_link(account_href(account_id, REPUTATION), "See the account's reputation")
}

/// How the pause ends, and what then.
pub fn what_next(pause: &Pause, policy: &QuotaPolicy, zone: &Zone, now: UnixMicros) -> String {
    let then = format!(
        "then {} a day may be sent, and only what happens from there on counts",
        format::mails_noun(pause.daily_mails)
    );
    if !pause.waits_for_operator(policy) {
        let review = zone.moment(next_review(zone, now));
        return format!(
            "The review after Monday {} releases it, or an operator before: {then}.",
            review.full()
        );
    }
    let why = match pause.by {
        Some(PausedBy::Operator) => {
            "An operator of this service has paused it and alone releases it".to_owned()
        }
        _ => format!(
            "It is pause number {} within {} weeks, so only an operator of this service releases it",
            pause.lately, policy.pauses_weeks
        ),
    };
    format!("{why}: {then}.")
}

fn what_to_do(pause: &Pause) -> &'static str {
    match pause.by {
        Some(PausedBy::Operator) => "Ask there what has to be mended.",
        _ => {
            "Until then: stop the campaign, find on the Reputation page from which sender address, tag or list it came, \
             remove addresses that do not exist or did not ask for the mail, and if it was not you who sent it, change \
             the passwords and access keys."
        }
    }
}
