//! What people do to an account's quota: operators set it, pause and release, the owner sets a ceiling. Each with its
//! reason in the account's history and in the audit log, in one transaction.

use indicia_domain::quota::review::Subject;
use indicia_domain::time::UnixMicros;
use sqlx::{Any, AnyConnection, Row, Transaction};

use super::{Held, NewEvent, PausedBy, QuotaError, QuotaEvent, tell};
use crate::audit::{self, Actor};
use crate::notice::NoticeFacts;
use crate::{Result, Store};

/// The kind of event that takes back the last pause: it was not the account's fault.
const ACQUITTAL: &str = "acquittal";
/// The kind of event of a pause that an operator made.
const OPERATOR_PAUSE: &str = "operator-pause";

/// One deed: the account locked, then what is changed, then what is written of it.
struct Deed<'a> {
    transaction: Transaction<'static, Any>,
    held: Held,
    /// Mails a day and level before the deed.
    old: (i64, i64),
    event_id: i64,
    audit_id: i64,
    now: UnixMicros,
    actor: &'a Actor,
}

/// What is written of a deed.
struct Said<'a> {
    /// See [`QuotaEvent::kind`].
    kind: &'a str,
    reason: &'a str,
    /// The audit log's words.
    action: &'a str,
    detail: String,
}

impl<'a> Deed<'a> {
    async fn begin(store: &Store, account_id: i64, actor: &'a Actor) -> Result<Deed<'a>, QuotaError> {
        let (event_id, audit_id) = (store.next_id().await?, store.next_id().await?);
        let mut transaction = store.begin().await?;
        let held = Held::load(store, &mut transaction, account_id).await?;
        let held = held.ok_or(QuotaError::NoAccount(account_id))?;
        let old = (held.standing.daily_mails, held.standing.level);
        Ok(Deed { transaction, held, old, event_id, audit_id, now: store.now(), actor })
    }

    async fn save(&mut self) -> Result<()> {
        self.held.save(&mut self.transaction).await
    }

    async fn tell(&mut self, what: &str, facts: NoticeFacts) -> Result<()> {
        tell(&mut self.transaction, self.held.account_id, what, facts, self.now).await
    }

    /// Writes the line of the account's history and of the audit log, and commits.
    async fn end(mut self, said: Said<'_>) -> Result<QuotaEvent, QuotaError> {
        let account_id = self.held.account_id;
        let event = NewEvent {
            event_id: self.event_id,
            account_id,
            at: self.now,
            kind: said.kind,
            subject: Subject::Account,
            old: self.old,
            new: (self.held.standing.daily_mails, self.held.standing.level),
            reason: said.reason,
            actor: self.actor,
            record: "",
        };
        let event = event.write(&mut self.transaction).await?;
        let entry = audit::Deed {
            audit_id: self.audit_id,
            actor: self.actor,
            account_id: Some(account_id),
            action: said.action,
            detail: said.detail,
        };
        entry.note(&mut self.transaction, self.now).await?;
        self.transaction.commit().await?;
        Ok(event)
    }
}

impl Store {
    /// The operator's override of the daily quota, recorded with its reason.
    pub async fn set_daily_quota(
        &self,
        account_id: i64,
        daily_mails: i64,
        reason: &str,
        actor: &Actor,
    ) -> Result<QuotaEvent, QuotaError> {
        let mut deed = Deed::begin(self, account_id, actor).await?;
        let standing = &mut deed.held.standing;
        standing.daily_mails = daily_mails;
        standing.level = self.quota_policy().ladder.level_of(daily_mails);
        standing.ceiling_level = standing.ceiling_level.filter(|ceiling| *ceiling >= standing.level);
        deed.save().await?;
        let detail = format!("from {} to {daily_mails} mails a day: {reason}", deed.old.0);
        deed.end(Said { kind: "operator", reason, action: "set-quota", detail }).await
    }

    /// R20: the user's own ceiling, not below where the account stands; `None` takes it away.
    pub async fn set_quota_ceiling(
        &self,
        account_id: i64,
        level: Option<i64>,
        actor: &Actor,
    ) -> Result<(), QuotaError> {
        let mut deed = Deed::begin(self, account_id, actor).await?;
        let (from, to) = (deed.held.standing.level, self.quota_policy().ladder.top());
        if let Some(level) = level
            && !(from..=to).contains(&level)
        {
            return Err(QuotaError::Ceiling { level, from, to });
        }
        if deed.held.standing.ceiling_level == level {
            return Ok(());
        }
        deed.held.standing.ceiling_level = level;
        deed.save().await?;
        let reason = match level {
            Some(level) => format!("the ceiling is level {level} from now on"),
            None => "there is no ceiling any more".to_owned(),
        };
        let detail = reason.clone();
        deed.end(Said { kind: "ceiling", reason: &reason, action: "set-ceiling", detail }).await?;
        Ok(())
    }

    /// R22: an operator stops an account's sending at once; the quota stays what it is. A pause by a review or the brake
    /// becomes his, so that no review ends it.
    pub async fn pause_sending(
        &self,
        account_id: i64,
        reason: &str,
        actor: &Actor,
    ) -> Result<(), QuotaError> {
        let mut deed = Deed::begin(self, account_id, actor).await?;
        if deed.held.standing.paused_by == Some(PausedBy::Operator) {
            return Err(QuotaError::AlreadyPaused(account_id, deed.held.standing.pause_reason));
        }
        let since = deed.held.standing.paused_at.unwrap_or(deed.now);
        deed.held.pause(since, PausedBy::Operator, format!("by an operator: {reason}"));
        deed.save().await?;
        let facts = NoticeFacts::QuotaPaused {
            because: reason.to_owned(),
            reasons: Vec::new(),
            minutes: None,
            daily_after: deed.old.0,
            by_operator: true,
            released_at: None,
        };
        deed.tell("pause", facts).await?;
        let detail = reason.to_owned();
        deed.end(Said { kind: OPERATOR_PAUSE, reason, action: "pause-sending", detail }).await?;
        Ok(())
    }

    /// R22: an operator lets a paused account send again, with fresh evidence.
    pub async fn release_sending(
        &self,
        account_id: i64,
        reason: &str,
        actor: &Actor,
    ) -> Result<(), QuotaError> {
        self.end_pause(account_id, reason, false, actor).await
    }

    /// The same for a pause that was not the account's fault: the quota is again what it was before, and the pause does not
    /// count among those of the last weeks.
    pub async fn release_and_restore(
        &self,
        account_id: i64,
        reason: &str,
        actor: &Actor,
    ) -> Result<(), QuotaError> {
        self.end_pause(account_id, reason, true, actor).await
    }

    /// The accounts that the brake has paused since an instant and that are paused still.
    pub async fn braked_since(&self, since: UnixMicros) -> Result<Vec<i64>> {
        let rows = sqlx::query(
            "SELECT account_id FROM account_state WHERE paused_at IS NOT NULL AND paused_at >= $1 AND pause_by = 'brake' \
             ORDER BY account_id",
        )
        .bind(since.0)
        .fetch_all(self.read())
        .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    async fn end_pause(
        &self,
        account_id: i64,
        reason: &str,
        restore: bool,
        actor: &Actor,
    ) -> Result<(), QuotaError> {
        let mut deed = Deed::begin(self, account_id, actor).await?;
        let Some(since) = deed.held.standing.paused_at else { return Err(QuotaError::NotPaused(account_id)) };
        let before = match restore {
            true => before_pause(&mut deed.transaction, account_id, since).await?,
            false => None,
        };
        let is_acquittal = before.as_ref().is_some_and(|before| !before.by_operator);
        let new = before.map_or(deed.old, |before| before.quota);
        (deed.held.standing.daily_mails, deed.held.standing.level) = new;
        deed.held.release(deed.now);
        deed.save().await?;
        deed.held.after_release(self, &mut deed.transaction, deed.now).await?;
        deed.tell("release", NoticeFacts::QuotaReleased { daily: new.0, by_operator: true }).await?;
        let kind = if is_acquittal { ACQUITTAL } else { "release" };
        let detail = reason.to_owned();
        deed.end(Said { kind, reason, action: "release-sending", detail }).await?;
        Ok(())
    }
}

/// How the pause in force began.
struct BeforePause {
    /// Mails a day and level before it.
    quota: (i64, i64),
    by_operator: bool,
}

/// The first event of the pause that began at `since`: an operator may have made it his later.
async fn before_pause(
    connection: &mut AnyConnection,
    account_id: i64,
    since: UnixMicros,
) -> Result<Option<BeforePause>> {
    let row = sqlx::query(
        "SELECT old_daily, old_level, kind FROM quota_event WHERE account_id = $1 AND at >= $2 \
         AND kind IN ('pause', 'operator-pause') ORDER BY at, event_id LIMIT 1",
    )
    .bind(account_id)
    .bind(since.0)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let kind: String = row.try_get(2)?;
    let quota = (row.try_get(0)?, row.try_get(1)?);
    Ok(Some(BeforePause { quota, by_operator: kind == OPERATOR_PAUSE }))
}
