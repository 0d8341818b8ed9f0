//! Delivery reports that come back for a mail after its server had accepted it.
//!
//! A report of failure turns a recipient's mail from delivered into failed (or into an invalid address), moves
//! the day's counts, adds a line to the timeline and, when the report says that the very address we sent to does
//! not exist, enters it in the invalid-address library. The change of state is what happens once: the row is
//! changed only while it says "delivered", so the same report, or a replayed return path, finds nothing to do.
//! Charges stay as they are (R02: a mail is charged when it is accepted, whatever becomes of it).
//!
//! Reports of delay or relaying only add a line; a mail takes at most [`NOTES_MAX`] of them, because anyone who
//! ever received the mail knows its return path.

use indicia_domain::mail::State;
use indicia_domain::outcome::{DeliveryStatus, ErrorClassification, Verdict};
use indicia_domain::quota::evidence::Counts;
use indicia_domain::quota::policy::QuotaPolicy;
use indicia_domain::time::UnixMicros;
use sqlx::{AnyConnection, Row};

use crate::evidence::{Counted, Tally, provider_of};
use crate::invalid::{self, NewInvalid};
use crate::queue::MailKey;
use crate::report::{SpamReply, of_reply};
use crate::{Result, Store, StoreError};

/// Lines that reports may add to one mail's timeline.
pub const NOTES_MAX: i64 = 20;
/// The kind of timeline line that a report makes.
pub const EVENT_KIND: &str = "bounce";
/// Characters of a report's words that are kept.
const WORDS_CHARS_MAX: usize = 1_000;

/// What a report says of one recipient's mail.
#[derive(Clone, Debug)]
pub struct Bounce {
    pub key: MailKey,
    pub news: News,
    /// The address that the report is about, as it gives it; empty when it gives none.
    pub final_recipient: String,
    /// The remote system's words.
    pub words: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The mail will not be delivered, and why.
    Failed(Verdict),
    /// Delayed, relayed, expanded or delivered further on: the word of RFC 3464 2.3.3.
    Progress(&'static str),
}

/// What came of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// The mail is in this state now.
    Changed(State),
    /// A line was added to the timeline.
    Noted,
    /// The mail is not one that was delivered (any more), or the line is there already: nothing was done.
    Nothing,
    /// Its delivery has not been committed yet: the same report has its effect a little later.
    TooEarly,
    /// There is no such mail.
    NotFound,
}

/// The recipient's row, as far as a report needs it.
struct Addressed {
    address: String,
    address_key: String,
    state: State,
    day: i64,
    sender_id: i64,
    domain_id: i64,
    tag: String,
    accepted_at: UnixMicros,
}

impl Store {
    /// Records what a delivery report says.
    pub async fn record_bounce(&self, bounce: &Bounce) -> Result<Recorded> {
        let event_id = self.next_id().await?;
        let now = self.now();
        let mut transaction = self.begin().await?;
        let Some(addressed) = addressed(&mut transaction, bounce.key).await? else {
            return Ok(Recorded::NotFound);
        };
        let recorded = match bounce.news {
            News::Failed(verdict) => {
                fail(&mut transaction, bounce, verdict, &addressed, &self.quota_policy(), now).await?
            }
            News::Progress(_) if has_enough_notes(&mut transaction, bounce, &addressed).await? => {
                Recorded::Nothing
            }
            News::Progress(_) => Recorded::Noted,
        };
        if matches!(recorded, Recorded::Changed(_) | Recorded::Noted) {
            note(&mut transaction, bounce, &addressed, event_id, now).await?;
            transaction.commit().await?;
        }
        if recorded == Recorded::Changed(State::InvalidAddress) {
            self.invalid_library_changed();
        }
        Ok(recorded)
    }
}

/// What a failure makes of the mail. A report never says "delivered", nor "not yet".
fn failed_state(verdict: Verdict) -> State {
    match verdict.status {
        DeliveryStatus::InvalidAddress => State::InvalidAddress,
        DeliveryStatus::Spam => State::Spam,
        DeliveryStatus::Ok | DeliveryStatus::Other => State::Failed,
    }
}

async fn addressed(connection: &mut AnyConnection, key: MailKey) -> Result<Option<Addressed>> {
    let row = sqlx::query(
        "SELECT r.address, r.address_key, r.state, m.day, m.sender_id, m.domain_id, m.tag, m.accepted_at FROM recipient r \
         JOIN message m ON m.account_id = r.account_id AND m.message_id = r.message_id \
         WHERE r.account_id = $1 AND r.message_id = $2 AND r.number = $3",
    )
    .bind(key.account_id)
    .bind(key.message_id)
    .bind(key.number)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let state: i64 = row.try_get(2)?;
    Ok(Some(Addressed {
        address: row.try_get(0)?,
        address_key: row.try_get(1)?,
        state: State::from_number(state)
            .ok_or_else(|| StoreError::Corrupt(format!("recipient state {state}")))?,
        day: row.try_get(3)?,
        sender_id: row.try_get(4)?,
        domain_id: row.try_get(5)?,
        tag: row.try_get(6)?,
        accepted_at: UnixMicros(row.try_get(7)?),
    }))
}

async fn fail(
    connection: &mut AnyConnection,
    bounce: &Bounce,
    verdict: Verdict,
    addressed: &Addressed,
    policy: &QuotaPolicy,
    now: UnixMicros,
) -> Result<Recorded> {
    if addressed.state == State::Waiting {
        return Ok(Recorded::TooEarly);
    }
    let state = failed_state(verdict);
    // The condition on the state, not the row read before, decides: of two reports at once one finds it changed.
    let done = sqlx::query(
        "UPDATE recipient SET state = $1, classification = $2, reply = $3, updated_at = $4 \
         WHERE account_id = $5 AND message_id = $6 AND number = $7 AND state = $8",
    )
    .bind(state as i64)
    .bind(verdict.classification.as_str())
    .bind(words(bounce))
    .bind(now.0)
    .bind(bounce.key.account_id)
    .bind(bounce.key.message_id)
    .bind(bounce.key.number)
    .bind(State::Delivered as i64)
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(Recorded::Nothing);
    }
    let judged = match verdict.classification {
        ErrorClassification::SmtpContSpam => {
            let remote_host = String::new();
            let reply = SpamReply { key: bounce.key, at: now, remote_host, reply: words(bounce) };
            !of_reply(connection, &[reply]).await?.is_empty()
        }
        _ => false,
    };
    move_counts(connection, bounce.key, addressed, (state, judged), policy, now).await?;
    // A report about the address that a mail was forwarded to says nothing about the one we know.
    if state == State::InvalidAddress && is_about(&bounce.final_recipient, addressed) {
        let entry = NewInvalid {
            account_id: bounce.key.account_id,
            address_key: addressed.address_key.clone(),
            address: addressed.address.clone(),
            at: now,
            message_id: bounce.key.message_id,
            reply: words(bounce),
        };
        invalid::enter(connection, vec![entry]).await?;
    }
    Ok(Recorded::Changed(state))
}

fn is_about(final_recipient: &str, addressed: &Addressed) -> bool {
    let Some((local, domain)) = final_recipient.rsplit_once('@') else { return false };
    indicia_domain::mail::recipient::key_of(local, domain) == addressed.address_key
}

/// What had counted as delivered counts as what it is: for people on its own day, as evidence from now on.
async fn move_counts(
    connection: &mut AnyConnection,
    key: MailKey,
    addressed: &Addressed,
    (state, judged): (State, bool),
    policy: &QuotaPolicy,
    now: UnixMicros,
) -> Result<()> {
    let one = |counted: State| i64::from(counted == state);
    let change = Counts {
        delivered: -1,
        invalid: one(State::InvalidAddress),
        spam: one(State::Spam),
        failed: one(State::Failed),
        ..Counts::default()
    };
    let counted = Counted {
        account_id: key.account_id,
        domain_id: addressed.domain_id,
        sender_id: addressed.sender_id,
        tag: &addressed.tag,
        provider: provider_of(&addressed.address),
        day: addressed.day,
        accepted_at: addressed.accepted_at,
    };
    let mut tally = Tally::new(policy);
    tally.add_to_day(&counted, &change);
    tally.add_to_evidence(&counted, now, &change);
    if judged {
        tally.judge(&counted, now);
    }
    tally.write(connection).await
}

fn words(bounce: &Bounce) -> String {
    bounce.words.chars().take(WORDS_CHARS_MAX).collect()
}

fn line(bounce: &Bounce, addressed: &Addressed) -> String {
    let news = match bounce.news {
        News::Failed(_) => "failed after it had been accepted",
        News::Progress(word) => word,
    };
    format!("{}: {news}: {}", addressed.address, words(bounce))
}

async fn has_enough_notes(
    connection: &mut AnyConnection,
    bounce: &Bounce,
    addressed: &Addressed,
) -> Result<bool> {
    let row = sqlx::query(
        "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN detail = $1 THEN 1 ELSE 0 END), 0) AS BIGINT) FROM message_event \
         WHERE account_id = $2 AND message_id = $3 AND kind = $4",
    )
    .bind(line(bounce, addressed))
    .bind(bounce.key.account_id)
    .bind(bounce.key.message_id)
    .bind(EVENT_KIND)
    .fetch_one(connection)
    .await?;
    Ok(row.try_get::<i64, _>(0)? >= NOTES_MAX || row.try_get::<i64, _>(1)? > 0)
}

async fn note(
    connection: &mut AnyConnection,
    bounce: &Bounce,
    addressed: &Addressed,
    event_id: i64,
    now: UnixMicros,
) -> Result<()> {
    sqlx::query("INSERT INTO message_event (account_id, message_id, event_id, at, kind, detail) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(bounce.key.account_id)
        .bind(bounce.key.message_id)
        .bind(event_id)
        .bind(now.0)
        .bind(EVENT_KIND)
        .bind(line(bounce, addressed))
        .execute(connection)
        .await?;
    Ok(())
}
