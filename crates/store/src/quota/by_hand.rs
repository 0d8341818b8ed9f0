//! What people do to an account's quota: operators set it, pause and release, the owner sets a ceiling. Each with its
//! reason in the account's history and in the audit log, in one transaction.

use indicia_domain::quota::review::Subject;
use indicia_domain::time::UnixMicros;
use sqlx::{AnyConnection, Row};

use super::{Held, NewEvent, PausedBy, QuotaError, QuotaEvent, tell};
use crate::audit::{Actor, Deed};
use crate::notice::NoticeFacts;
use crate::{Result, Store};

/// The kind of event that takes back the last pause: it was not the account's fault.
pub(super) const ACQUITTAL: &str = "acquittal";

impl Store {
    /// The operator's override of the daily quota, recorded with its reason.
    pub async fn set_daily_quota(
        &self,
        account_id: i64,
        daily_mails: i64,
        reason: &str,
        actor: &Actor,
    ) -> Result<QuotaEvent, QuotaError> {
        let (event_id, audit_id) = (self.next_id().await?, self.next_id().await?);
        let mut transaction = self.begin().await?;
        let held = Held::load(self, &mut transaction, account_id).await?;
        let mut held = held.ok_or(QuotaError::NoAccount(account_id))?;
        let now = self.now();
        let old = (held.standing.daily_mails, held.standing.level);
        let new = (daily_mails, self.quota_policy().ladder.level_of(daily_mails));
        (held.standing.daily_mails, held.standing.level) = new;
        if held.standing.ceiling_level.is_some_and(|ceiling| ceiling < new.1) {
            held.standing.ceiling_level = None;
        }
        held.save(&mut transaction).await?;
        let subject = Subject::Account;
        let event = NewEvent {
            event_id,
            account_id,
            at: now,
            kind: "operator",
            subject,
            old,
            new,
            reason,
            actor,
            record: "",
        };
        let event = event.write(&mut transaction).await?;
        let detail = format!("from {} to {} mails a day: {reason}", old.0, new.0);
        let deed = Deed { audit_id, actor, account_id: Some(account_id), action: "set-quota", detail };
        deed.note(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(event)
    }

    /// R20: the user's own ceiling, not below where the account stands; `None` takes it away.
    pub async fn set_quota_ceiling(
        &self,
        account_id: i64,
        level: Option<i64>,
        actor: &Actor,
    ) -> Result<(), QuotaError> {
        let (event_id, audit_id) = (self.next_id().await?, self.next_id().await?);
        let mut transaction = self.begin().await?;
        let held = Held::load(self, &mut transaction, account_id).await?;
        let mut held = held.ok_or(QuotaError::NoAccount(account_id))?;
        let (from, to) = (held.standing.level, self.quota_policy().ladder.top());
        if let Some(level) = level
            && !(from..=to).contains(&level)
        {
            return Err(QuotaError::Ceiling { level, from, to });
        }
        if held.standing.ceiling_level == level {
            return Ok(());
        }
        held.standing.ceiling_level = level;
        held.save(&mut transaction).await?;
        let now = self.now();
        let kept = (held.standing.daily_mails, held.standing.level);
        let reason = match level {
            Some(level) => format!("the ceiling is level {level} from now on"),
            None => "there is no ceiling any more".to_owned(),
        };
        let subject = Subject::Account;
        NewEvent {
            event_id,
            account_id,
            at: now,
            kind: "ceiling",
            subject,
            old: kept,
            new: kept,
            reason: &reason,
            actor,
            record: "",
        }
        .write(&mut transaction)
        .await?;
        let deed =
            Deed { audit_id, actor, account_id: Some(account_id), action: "set-ceiling", detail: reason };
        deed.note(&mut transaction, now).await?;
        transaction.commit().await?;
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
        let (event_id, audit_id) = (self.next_id().await?, self.next_id().await?);
        let mut transaction = self.begin().await?;
        let held = Held::load(self, &mut transaction, account_id).await?;
        let mut held = held.ok_or(QuotaError::NoAccount(account_id))?;
        if held.standing.paused_by == Some(PausedBy::Operator) {
            return Err(QuotaError::AlreadyPaused(account_id, held.standing.pause_reason));
        }
        let now = self.now();
        let since = held.standing.paused_at.unwrap_or(now);
        held.pause(since, PausedBy::Operator, format!("by an operator: {reason}"));
        held.save(&mut transaction).await?;
        let kept = (held.standing.daily_mails, held.standing.level);
        let subject = Subject::Account;
        let kind = "operator-pause";
        NewEvent {
            event_id,
            account_id,
            at: now,
            kind,
            subject,
            old: kept,
            new: kept,
            reason,
            actor,
            record: "",
        }
        .write(&mut transaction)
        .await?;
        let facts = NoticeFacts::QuotaPaused {
            because: reason.to_owned(),
            reasons: Vec::new(),
            minutes: None,
            daily_after: kept.0,
            by_operator: true,
            released_at: None,
        };
        tell(&mut transaction, account_id, "pause", facts, now).await?;
        let deed = Deed {
            audit_id,
            actor,
            account_id: Some(account_id),
            action: "pause-sending",
            detail: reason.to_owned(),
        };
        deed.note(&mut transaction, now).await?;
        transaction.commit().await?;
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
        let (event_id, audit_id) = (self.next_id().await?, self.next_id().await?);
        let mut transaction = self.begin().await?;
        let held = Held::load(self, &mut transaction, account_id).await?;
        let mut held = held.ok_or(QuotaError::NoAccount(account_id))?;
        let Some(since) = held.standing.paused_at else { return Err(QuotaError::NotPaused(account_id)) };
        let now = self.now();
        let old = (held.standing.daily_mails, held.standing.level);
        let before = match restore {
            true => before_pause(&mut transaction, account_id, since).await?,
            false => None,
        };
        let is_acquittal = before.as_ref().is_some_and(|before| !before.by_operator);
        let new = before.map_or(old, |before| before.quota);
        (held.standing.daily_mails, held.standing.level) = new;
        held.release(now);
        held.save(&mut transaction).await?;
        held.after_release(self, &mut transaction, now).await?;
        let subject = Subject::Account;
        NewEvent {
            event_id,
            account_id,
            at: now,
            kind: if is_acquittal { ACQUITTAL } else { "release" },
            subject,
            old,
            new,
            reason,
            actor,
            record: "",
        }
        .write(&mut transaction)
        .await?;
        let facts = NoticeFacts::QuotaReleased { daily: new.0, by_operator: true };
        tell(&mut transaction, account_id, "release", facts, now).await?;
        let deed = Deed {
            audit_id,
            actor,
            account_id: Some(account_id),
            action: "release-sending",
            detail: reason.to_owned(),
        };
        deed.note(&mut transaction, now).await?;
        transaction.commit().await?;
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
    Ok(Some(BeforePause { quota, by_operator: kind == "operator-pause" }))
}
