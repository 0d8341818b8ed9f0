//! What accounts are told, when, and over which channel (R13 to R15, R11).
//!
//! A notice is one row for each (what, channel), with the instant at which it is due and the instant from which it
//! is no longer worth saying. The row's key makes it happen at most once; that it stays due until it is done makes
//! it happen exactly once if the service runs at any time between the two instants, however late. Handing over is
//! one transaction with the row's state:
//!
//! * in-station: the message is inserted with it. Exactly once.
//! * e-mail: the mail enters our own queue with it, charged to nobody. Exactly once into the queue; from there
//!   delivery is what SMTP is, at least once.
//! * SMS: the text enters the `sms` table with it. From there to the gateway is at least once: a crash after the
//!   gateway took a text and before that is noted sends it again, under the same reference.
//!
//! | file | what |
//! | --- | --- |
//! | `mod` | the rows: scheduled, listed |
//! | `dispatch` | what is due, handed over |
//! | `ahead` | who is told before bills are collected |
//! | `station` | the inbox in the console |
//! | `sms` | texts for the gateway |

mod ahead;
mod dispatch;
mod sms;
mod station;

use indicia_domain::notice::{Channel, NoticeKind};
use indicia_domain::quota::evidence::Reason;
use indicia_domain::time::UnixMicros;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::bulk::Bulk;
use crate::{Result, Store, StoreError};

pub use dispatch::{Dispatch, DueNotice, Handover, SystemMail, SystemSender};
pub use sms::{OutboundSms, SmsRow};
pub use station::StationMessage;

/// What a notice needs to be worded, as of the instant that made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
pub enum NoticeFacts {
    /// The package is read when it is said.
    Expiry,
    /// `remaining` of `granted` mails; of one package when the notice names one.
    LowBalance {
        percent: i64,
        remaining: i64,
        granted: i64,
    },
    UsedUp,
    Lapsed {
        mails: i64,
    },
    CollectionAhead {
        open_micros: i64,
        unbilled_mails: i64,
        available_micros: i64,
        collect_at: i64,
    },
    Overdue {
        due_micros: i64,
        available_micros: i64,
    },
    Restored {
        paid_micros: i64,
    },
    /// R22: sending is paused; `because` in English, `reasons` for other languages. `minutes`: the brake's stretch.
    /// `released_at`: when a review releases it; `None`: only an operator does.
    QuotaPaused {
        because: String,
        reasons: Vec<Reason>,
        minutes: Option<i64>,
        daily_after: i64,
        by_operator: bool,
        released_at: Option<i64>,
    },
    QuotaReleased {
        daily: i64,
        by_operator: bool,
    },
    QuotaRaised {
        old_daily: i64,
        new_daily: i64,
    },
    QuotaLowered {
        old_daily: i64,
        new_daily: i64,
        reasons: Vec<Reason>,
    },
}

impl NoticeFacts {
    pub fn kind(&self) -> NoticeKind {
        match self {
            NoticeFacts::Expiry => NoticeKind::Expiry,
            NoticeFacts::LowBalance { .. } => NoticeKind::LowBalance,
            NoticeFacts::UsedUp => NoticeKind::UsedUp,
            NoticeFacts::Lapsed { .. } => NoticeKind::Lapsed,
            NoticeFacts::CollectionAhead { .. } => NoticeKind::CollectionAhead,
            NoticeFacts::Overdue { .. } => NoticeKind::Overdue,
            NoticeFacts::Restored { .. } => NoticeKind::Restored,
            NoticeFacts::QuotaPaused { .. } => NoticeKind::QuotaPaused,
            NoticeFacts::QuotaReleased { .. } => NoticeKind::QuotaReleased,
            NoticeFacts::QuotaRaised { .. } => NoticeKind::QuotaRaised,
            NoticeFacts::QuotaLowered { .. } => NoticeKind::QuotaLowered,
        }
    }

    fn text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    fn read(text: &str) -> Result<NoticeFacts> {
        serde_json::from_str(text).map_err(|_| StoreError::Corrupt(format!("facts of a notice: {text}")))
    }
}

/// A notice to be scheduled on every channel.
#[derive(Clone, Debug)]
pub(crate) struct NewNotice {
    pub account_id: i64,
    /// Says which: the same key is the same notice.
    pub key: String,
    pub facts: NoticeFacts,
    /// Empty: about no single package.
    pub instance_id: String,
    pub lead_days: i64,
    pub due_at: UnixMicros,
    /// From then on it is no longer worth saying.
    pub until_at: UnixMicros,
}

/// How long something that has happened is still worth saying.
pub(crate) const NEWS_MICROS: i64 = 30 * indicia_domain::time::DAY_MICROS;

impl NewNotice {
    /// Something that has happened: due at once.
    pub fn now(
        account_id: i64,
        key: String,
        facts: NoticeFacts,
        instance_id: &str,
        now: UnixMicros,
    ) -> NewNotice {
        NewNotice {
            account_id,
            key,
            facts,
            instance_id: instance_id.to_owned(),
            lead_days: 0,
            due_at: now,
            until_at: now.plus_micros(NEWS_MICROS),
        }
    }
}

/// State of a notice, as kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeState {
    Waiting,
    /// In the inbox, in the queue, or with the SMS gateway's texts.
    HandedOver,
    /// Its time passed, or what it was about did, or the channel is off.
    Skipped,
}

impl NoticeState {
    fn of(number: i64) -> NoticeState {
        match number {
            1 => NoticeState::HandedOver,
            2 => NoticeState::Skipped,
            _ => NoticeState::Waiting,
        }
    }
}

/// A notice, for people who look after it.
#[derive(Clone, Debug)]
pub struct NoticeRow {
    pub account_id: i64,
    pub key: String,
    pub channel: Channel,
    pub kind: NoticeKind,
    /// Empty: about no single package.
    pub instance_id: String,
    pub lead_days: i64,
    pub due_at: UnixMicros,
    pub state: NoticeState,
    /// The in-station message, the mail's message id or the text's id that carries it.
    pub dispatch_id: Option<i64>,
    pub done_at: Option<UnixMicros>,
    /// Why it was skipped, or what stands in its way.
    pub reason: String,
}

static SCHEDULE: Bulk = Bulk::new(
    "INSERT INTO notice (account_id, notice_key, channel, kind, instance_id, lead_days, facts, due_at, until_at, state, next_at, reason) VALUES",
    "($, $, $, $, $, $, $, $, $, 0, $, '')",
    "ON CONFLICT (account_id, notice_key, channel) DO NOTHING",
);

/// Schedules notices on every channel of their kind, each once.
pub(crate) async fn schedule(connection: &mut AnyConnection, notices: &[NewNotice]) -> Result<()> {
    let mut rows = Vec::with_capacity(notices.len() * 3);
    for notice in notices {
        let facts = notice.facts.text()?;
        let channels = notice.facts.kind().channels();
        rows.extend(channels.iter().map(|channel| (notice, *channel, facts.clone())));
    }
    SCHEDULE
        .run(connection, &rows, |query, (notice, channel, facts)| {
            query
                .bind(notice.account_id)
                .bind(notice.key.clone())
                .bind(channel.as_str())
                .bind(notice.facts.kind().as_str())
                .bind(notice.instance_id.clone())
                .bind(notice.lead_days)
                .bind(facts.clone())
                .bind(notice.due_at.0)
                .bind(notice.until_at.0)
                .bind(notice.due_at.0)
        })
        .await?;
    Ok(())
}

/// R14: takes the expiry notices of a package that was given back off the list.
pub(crate) async fn withdraw(
    connection: &mut AnyConnection,
    account_id: i64,
    instance_id: &str,
    now: UnixMicros,
    reason: &str,
) -> Result<()> {
    sqlx::query(
        "UPDATE notice SET state = 2, done_at = $1, reason = $2 WHERE account_id = $3 AND instance_id = $4 AND state = 0",
    )
    .bind(now.0)
    .bind(reason.to_owned())
    .bind(account_id)
    .bind(instance_id.to_owned())
    .execute(connection)
    .await?;
    Ok(())
}

const ROW: &str = "SELECT account_id, notice_key, channel, kind, instance_id, lead_days, due_at, state, dispatch_id, done_at, \
    reason FROM notice";

impl Store {
    /// The notices of an account, the latest due first.
    pub async fn notices(&self, account_id: i64, limit: i64) -> Result<Vec<NoticeRow>> {
        let sql = format!("{ROW} WHERE account_id = $1 ORDER BY due_at DESC, notice_key, channel LIMIT $2");
        let rows =
            sqlx::query(AssertSqlSafe(sql)).bind(account_id).bind(limit).fetch_all(self.read()).await?;
        rows.iter().map(row_of).collect()
    }

    /// What became of an account's notices, and what comes: those that are done, the latest first, then those that
    /// wait, the next due first; at most `limit` of each.
    pub async fn notice_history(&self, account_id: i64, limit: i64) -> Result<Vec<NoticeRow>> {
        let mut found = Vec::new();
        for part in ["state <> 0 ORDER BY done_at DESC, due_at DESC", "state = 0 ORDER BY due_at"] {
            let sql = format!("{ROW} WHERE account_id = $1 AND {part}, notice_key, channel LIMIT $2");
            let rows =
                sqlx::query(AssertSqlSafe(sql)).bind(account_id).bind(limit).fetch_all(self.read()).await?;
            for row in &rows {
                found.push(row_of(row)?);
            }
        }
        Ok(found)
    }

    /// The notices about one package, in the order in which they are due.
    pub async fn package_notices(&self, account_id: i64, instance_id: &str) -> Result<Vec<NoticeRow>> {
        let sql =
            format!("{ROW} WHERE account_id = $1 AND instance_id = $2 ORDER BY due_at, notice_key, channel");
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(account_id)
            .bind(instance_id.to_owned())
            .fetch_all(self.read())
            .await?;
        rows.iter().map(row_of).collect()
    }
}

fn row_of(row: &AnyRow) -> Result<NoticeRow> {
    let unknown = |error: indicia_domain::notice::UnknownName| StoreError::Corrupt(error.to_string());
    Ok(NoticeRow {
        account_id: row.try_get(0)?,
        key: row.try_get(1)?,
        channel: row.try_get::<String, _>(2)?.parse().map_err(unknown)?,
        kind: row.try_get::<String, _>(3)?.parse().map_err(unknown)?,
        instance_id: row.try_get(4)?,
        lead_days: row.try_get(5)?,
        due_at: UnixMicros(row.try_get(6)?),
        state: NoticeState::of(row.try_get(7)?),
        dispatch_id: row.try_get(8)?,
        done_at: row.try_get::<Option<i64>, _>(9)?.map(UnixMicros),
        reason: row.try_get(10)?,
    })
}
