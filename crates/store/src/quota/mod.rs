//! R19 to R24 with their rows: what is reviewed, braked, paused, released and warmed.
//!
//! The decisions are pure functions of `indicia_domain::quota`. Here their input is loaded, under the account's lock;
//! what they decided is written with the input that decided it, so that it can be replayed, and with the notice that
//! tells the account; once for each (account, week).
//!
//! | file | what |
//! | --- | --- |
//! | `mod` | an account's standing and its history |
//! | `by_hand` | its changes by people |
//! | `dossier` | what a review looks at |
//! | `review` | the weekly round, and past reviews |
//! | `brake` | the round between reviews |
//! | `warming` | allowances of what a grown account added later |
//! | `oversight` | what pages show: all accounts by their reputation, an account's running week |

mod brake;
mod by_hand;
mod dossier;
mod oversight;
mod review;
mod warming;

use indicia_domain::account::AccountStatus;
use indicia_domain::quota::MONTH_DAYS;
use indicia_domain::quota::policy::QuotaPolicy;
use indicia_domain::quota::review::{Paused, Subject};
use indicia_domain::quota::week::Week;
use indicia_domain::time::{DAY_MICROS, TimeZone, UnixMicros, local_day, local_month, zone};
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::audit::Actor;
use crate::notice::{NewNotice, NoticeFacts, schedule};
use crate::{Result, Store, StoreError, suspension};

pub use brake::{BrakeMemory, BrakeRecord, BrakeRound};
pub use dossier::Outlook;
pub use oversight::{
    AccountReputation, Outlooks, Pause, RANKED_DAYS, ReputationOrder, ReputationQuery, ReputationScope,
    ReputationTotals,
};
pub use review::{EVIDENCE_DAYS, Replayed, Review, ReviewRound};
pub use warming::WarmingRow;
pub(crate) use warming::{add_warming, drop_warming, give_back_warming, load_warming, write_warming};

/// How an account stands with its quota.
#[derive(Clone, Debug)]
pub struct Standing {
    pub account_id: i64,
    pub level: i64,
    pub daily_mails: i64,
    /// The user's own; `None`: no ceiling.
    pub ceiling_level: Option<i64>,
    pub paused_at: Option<UnixMicros>,
    /// Empty while it is not paused.
    pub pause_reason: String,
    pub paused_by: Option<PausedBy>,
    /// What was before counts for nothing.
    pub evidence_from: UnixMicros,
    /// The local Monday's day number of the last week that was reviewed; 0: none yet.
    pub reviewed_week: i64,
}

/// What paused an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PausedBy {
    Review,
    Brake,
    Operator,
}

impl PausedBy {
    pub fn as_str(self) -> &'static str {
        match self {
            PausedBy::Review => "review",
            PausedBy::Brake => "brake",
            PausedBy::Operator => "operator",
        }
    }

    fn read(name: &str) -> Option<PausedBy> {
        [PausedBy::Review, PausedBy::Brake, PausedBy::Operator].into_iter().find(|by| by.as_str() == name)
    }
}

/// One change of a quota, by whom and why (R19, R22, R23).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaEvent {
    pub at: UnixMicros,
    /// `operator`, `review`, `pause`, `operator-pause`, `release`, `acquittal`, `ceiling`, `met`.
    pub kind: String,
    pub subject: Subject,
    pub old_daily: i64,
    pub new_daily: i64,
    pub old_level: i64,
    pub new_level: i64,
    pub reason: String,
    /// As [`Actor`] prints itself; empty in rows of before it was kept.
    pub actor: String,
}

/// Why a change of a quota was refused.
#[derive(Debug, thiserror::Error)]
pub enum QuotaError {
    #[error("there is no account {0}")]
    NoAccount(i64),
    #[error("the ceiling is a level from {from} (where the account stands) to {to}, not {level}")]
    Ceiling { level: i64, from: i64, to: i64 },
    #[error("the account {0} is not paused")]
    NotPaused(i64),
    #[error("the account {0} is paused already: {1}")]
    AlreadyPaused(i64, String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for QuotaError {
    fn from(error: sqlx::Error) -> Self {
        QuotaError::Store(error.into())
    }
}

/// An account's row, locked for a change of its quota.
pub(crate) struct Held {
    pub account_id: i64,
    pub zone: TimeZone,
    pub status: AccountStatus,
    pub standing: Standing,
    /// Mails a day when it was loaded, and when that was.
    loaded_daily: i64,
    loaded_at: UnixMicros,
}

const HELD: &str = "SELECT s.account_id, a.zone, s.status, s.quota_level, s.daily_quota, s.ceiling_level, s.paused_at, \
    s.pause_reason, s.evidence_from, s.reviewed_week, s.pause_by FROM account_state s \
    JOIN account a ON a.account_id = s.account_id WHERE s.account_id = $1";

fn held_of(row: &sqlx::any::AnyRow, loaded_at: UnixMicros) -> Result<Held> {
    let name: String = row.try_get(1)?;
    let account_id = row.try_get(0)?;
    let ceiling: i64 = row.try_get(5)?;
    Ok(Held {
        loaded_daily: row.try_get(4)?,
        loaded_at,
        account_id,
        zone: zone(&name).map_err(|error| StoreError::Corrupt(error.to_string()))?,
        status: AccountStatus(row.try_get(2)?),
        standing: Standing {
            account_id,
            level: row.try_get(3)?,
            daily_mails: row.try_get(4)?,
            ceiling_level: (ceiling >= 0).then_some(ceiling),
            paused_at: row.try_get::<Option<i64>, _>(6)?.map(UnixMicros),
            pause_reason: row.try_get(7)?,
            paused_by: PausedBy::read(&row.try_get::<String, _>(10)?),
            evidence_from: UnixMicros(row.try_get(8)?),
            reviewed_week: row.try_get(9)?,
        },
    })
}

impl Held {
    pub async fn load(
        store: &Store,
        connection: &mut AnyConnection,
        account_id: i64,
    ) -> Result<Option<Held>> {
        let lock = if store.engine().for_update().is_empty() { "" } else { " FOR UPDATE OF s" };
        let row = sqlx::query(AssertSqlSafe(format!("{HELD}{lock}")))
            .bind(account_id)
            .fetch_optional(connection)
            .await?;
        row.as_ref().map(|row| held_of(row, store.now())).transpose()
    }

    /// Writes the quota, the ceiling, the pause and what was reviewed.
    pub async fn save(&self, connection: &mut AnyConnection) -> Result<()> {
        let standing = &self.standing;
        sqlx::query(
            "UPDATE account_state SET status = $1, quota_level = $2, daily_quota = $3, ceiling_level = $4, paused_at = $5, \
             pause_reason = $6, evidence_from = $7, reviewed_week = $8, pause_by = $9 WHERE account_id = $10",
        )
        .bind(self.status.0)
        .bind(standing.level)
        .bind(standing.daily_mails)
        .bind(standing.ceiling_level.unwrap_or(-1))
        .bind(standing.paused_at.map(|at| at.0))
        .bind(standing.pause_reason.clone())
        .bind(standing.evidence_from.0)
        .bind(standing.reviewed_week)
        .bind(standing.paused_by.map_or("", PausedBy::as_str))
        .bind(self.account_id)
        .execute(&mut *connection)
        .await?;
        if standing.daily_mails < self.loaded_daily {
            self.lower_month(connection).await?;
        }
        Ok(())
    }

    /// R22: stops sending. The quota for after the release is the caller's to set.
    pub fn pause(&mut self, now: UnixMicros, by: PausedBy, reason: String) {
        self.status = AccountStatus(self.status.0 | AccountStatus::RESTRICTED.0);
        self.standing.paused_at = Some(now);
        self.standing.pause_reason = reason;
        self.standing.paused_by = Some(by);
    }

    /// R22: lets sending go on, with fresh evidence.
    pub fn release(&mut self, now: UnixMicros) {
        self.status = AccountStatus(self.status.0 & !AccountStatus::RESTRICTED.0);
        self.standing.paused_at = None;
        self.standing.pause_reason = String::new();
        self.standing.paused_by = None;
        // What the slice has until now goes to the one before, see `after_release`.
        self.standing.evidence_from = UnixMicros(crate::evidence::slice_of(now));
    }

    /// Lets evidence begin now, and makes due what the pause held in the queue.
    pub async fn after_release(
        &self,
        store: &Store,
        connection: &mut AnyConnection,
        now: UnixMicros,
    ) -> Result<()> {
        let held = suspension::Held { account_id: Some(self.account_id), domain: None };
        suspension::wake_held(connection, &held, now).await?;
        crate::evidence::close_slice(store, connection, self.account_id, now).await
    }

    /// R17: a month counts at the quota in force. When that falls, the month's count falls as far as it must for the
    /// new daily quota to be there on what is left of today and on every day after it; else who is lowered late in a
    /// month could not send at all.
    async fn lower_month(&self, connection: &mut AnyConnection) -> Result<()> {
        let daily = self.standing.daily_mails;
        let (month, end) = local_month(&self.zone, self.loaded_at);
        let today = local_day(&self.zone, self.loaded_at).number;
        let days_left = local_day(&self.zone, end.plus_micros(-1)).number - today + 1;
        let row = sqlx::query("SELECT quota_day, quota_day_used FROM account_state WHERE account_id = $1")
            .bind(self.account_id)
            .fetch_one(&mut *connection)
            .await?;
        let used_today = if row.try_get::<i64, _>(0)? == today { row.try_get(1)? } else { 0 };
        let most = (daily.saturating_mul(MONTH_DAYS - days_left) + daily.min(used_today)).max(0);
        sqlx::query(
            "UPDATE account_state SET quota_month_used = $1 WHERE account_id = $2 AND quota_month = $3 AND quota_month_used > $4",
        )
        .bind(most)
        .bind(self.account_id)
        .bind(month)
        .bind(most)
        .execute(connection)
        .await?;
        Ok(())
    }

    /// The pause in force, and how many there were lately when it began: what it was then it stays, however long it
    /// lasts.
    pub async fn paused(
        &self,
        connection: &mut AnyConnection,
        policy: &QuotaPolicy,
    ) -> Result<Option<Paused>> {
        let Some(since) = self.standing.paused_at else { return Ok(None) };
        let from = since.plus_micros(-policy.pauses_weeks * 7 * DAY_MICROS);
        let row = sqlx::query(
            "SELECT CAST(COALESCE(SUM(CASE kind WHEN 'pause' THEN 1 ELSE -1 END), 0) AS BIGINT) FROM quota_event \
             WHERE account_id = $1 AND at >= $2 AND kind IN ('pause', 'acquittal')",
        )
        .bind(self.account_id)
        .bind(from.0)
        .fetch_one(connection)
        .await?;
        let by_operator = self.standing.paused_by == Some(PausedBy::Operator);
        // The pause in force is one of them, whatever was taken back before; an operator's own is none.
        let lately = row.try_get::<i64, _>(0)?.max(i64::from(!by_operator));
        Ok(Some(Paused { since, lately, by_operator }))
    }
}

impl Held {
    /// R22: when the review of the week after `reviewed` releases the pause in force, which is written already;
    /// `None`: only an operator does.
    pub async fn released_at(
        &self,
        connection: &mut AnyConnection,
        policy: &QuotaPolicy,
        reviewed: i64,
    ) -> Result<Option<i64>> {
        let Some(paused) = self.paused(connection, policy).await? else { return Ok(None) };
        // Reviews that are late are of weeks before the pause, and do not end it.
        let week = Week::next(reviewed).max(Week::containing(&self.zone, paused.since).number);
        let review_at = Week::numbered(&self.zone, week).end;
        Ok(paused.held_by(policy).is_none().then_some(review_at.0))
    }
}

/// A line of the account's quota history, to be written.
pub(crate) struct NewEvent<'a> {
    pub event_id: i64,
    pub account_id: i64,
    pub at: UnixMicros,
    pub kind: &'a str,
    pub subject: Subject,
    /// Mails a day and level.
    pub old: (i64, i64),
    pub new: (i64, i64),
    pub reason: &'a str,
    pub actor: &'a Actor,
    /// JSON; empty: none.
    pub record: &'a str,
}

impl NewEvent<'_> {
    pub async fn write(&self, connection: &mut AnyConnection) -> Result<QuotaEvent> {
        sqlx::query(
            "INSERT INTO quota_event (account_id, event_id, at, kind, old_daily, new_daily, old_level, new_level, reason, subject, \
             subject_id, actor, record) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(self.account_id)
        .bind(self.event_id)
        .bind(self.at.0)
        .bind(self.kind.to_owned())
        .bind(self.old.0)
        .bind(self.new.0)
        .bind(self.old.1)
        .bind(self.new.1)
        .bind(self.reason.to_owned())
        .bind(self.subject.kind())
        .bind(self.subject.id())
        .bind(self.actor.to_string())
        .bind(self.record.to_owned())
        .execute(connection)
        .await?;
        Ok(QuotaEvent {
            at: self.at,
            kind: self.kind.to_owned(),
            subject: self.subject,
            old_daily: self.old.0,
            new_daily: self.new.0,
            old_level: self.old.1,
            new_level: self.new.1,
            reason: self.reason.to_owned(),
            actor: self.actor.to_string(),
        })
    }
}

impl Store {
    /// How an account stands with its quota.
    pub async fn quota_standing(&self, account_id: i64) -> Result<Option<Standing>> {
        let row = sqlx::query(HELD).bind(account_id).fetch_optional(self.read()).await?;
        row.as_ref().map(|row| Ok(held_of(row, self.now())?.standing)).transpose()
    }

    /// The newest quota changes first; of the account itself, its domains and its sender addresses.
    pub async fn quota_events(&self, account_id: i64, limit: i64) -> Result<Vec<QuotaEvent>> {
        let rows = sqlx::query(
            "SELECT at, kind, old_daily, new_daily, old_level, new_level, reason, subject, subject_id, actor FROM quota_event \
             WHERE account_id = $1 ORDER BY event_id DESC LIMIT $2",
        )
        .bind(account_id)
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| {
                let (kind, id): (String, i64) = (row.try_get(7)?, row.try_get(8)?);
                Ok(QuotaEvent {
                    at: UnixMicros(row.try_get(0)?),
                    kind: row.try_get(1)?,
                    subject: subject_of(&kind, id)?,
                    old_daily: row.try_get(2)?,
                    new_daily: row.try_get(3)?,
                    old_level: row.try_get(4)?,
                    new_level: row.try_get(5)?,
                    reason: row.try_get(6)?,
                    actor: row.try_get(9)?,
                })
            })
            .collect()
    }
}

pub(crate) fn subject_of(kind: &str, id: i64) -> Result<Subject> {
    Subject::read(kind, id).ok_or_else(|| StoreError::Corrupt(format!("subject of a quota: {kind}")))
}

/// Tells the account; the instant is part of the key, so that the next of its kind is another notice.
pub(crate) async fn tell(
    connection: &mut AnyConnection,
    account_id: i64,
    what: &str,
    facts: NoticeFacts,
    now: UnixMicros,
) -> Result<()> {
    let notice = NewNotice::now(account_id, format!("quota-{what}:{}", now.0), facts, "", now);
    schedule(connection, &[notice]).await
}

pub(crate) fn json<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

pub(crate) fn read_json<T: serde::de::DeserializeOwned>(text: &str, what: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("{what}: {error}")))
}
