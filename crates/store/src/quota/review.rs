//! The weekly round (R19, R23), and the reviews of before.
//!
//! A week is reviewed when it is over in the account's zone and five minutes have passed: what was committed in its
//! last moments, or by a node whose clock is a little behind, is counted by then. A week that was missed is
//! reviewed late, on the evidence of that week, which does not change any more. The key of the rows makes it happen
//! once for each (account, week).

use indicia_domain::quota::policy::QuotaPolicy;
use indicia_domain::quota::review::{Action, Decision, Dossier, Subject, review};
use indicia_domain::quota::week::Week;
use indicia_domain::time::{DAY_MICROS, MINUTE_MICROS, TimeZone, UnixMicros, zone};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::dossier::Loaded;
use super::warming::{meet, move_warming, warming_rows};
use super::{Held, NewEvent, PausedBy, json, read_json, subject_of, tell};
use crate::audit::Actor;
use crate::node::Node;
use crate::notice::NoticeFacts;
use crate::{Result, Store, StoreError};

/// After the end of a week.
const GRACE_MICROS: i64 = 5 * MINUTE_MICROS;
/// Evidence is kept for so long; a week of before it that nobody has reviewed has none and is passed over.
pub const EVIDENCE_DAYS: i64 = 35;
/// Accounts that one look takes from the database at once.
const PAGE: i64 = 200;

/// What one round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReviewRound {
    /// Accounts reviewed.
    pub reviews: u64,
    pub raised: u64,
    pub lowered: u64,
    pub paused: u64,
    pub released: u64,
    /// Accounts whose review failed; they are tried again at the next look.
    pub failed: u64,
}

/// A review as it is kept.
#[derive(Clone, Debug)]
pub struct Review {
    pub account_id: i64,
    /// The local day number of the week's Monday.
    pub week: i64,
    pub subject: Subject,
    pub reviewed_at: UnixMicros,
    /// See [`Store::quota_policy_of`].
    pub policy: String,
    pub dossier: Dossier,
    pub decision: Decision,
    pub old_daily: i64,
    pub new_daily: i64,
    pub old_level: i64,
    pub new_level: i64,
}

/// A review run again from what is kept.
#[derive(Clone, Debug)]
pub struct Replayed {
    pub review: Review,
    /// `None`: the policy it was made with is not there any more.
    pub again: Option<Decision>,
}

impl Replayed {
    /// R23: whether it gives the same result.
    pub fn is_same(&self) -> bool {
        self.again.as_ref() == Some(&self.review.decision)
    }
}

const COLUMNS: &str = "account_id, week, subject, subject_id, reviewed_at, policy, dossier, decision, old_daily, new_daily, \
    old_level, new_level";

fn review_of(row: &AnyRow) -> Result<Review> {
    let kind: String = row.try_get(2)?;
    Ok(Review {
        account_id: row.try_get(0)?,
        week: row.try_get(1)?,
        subject: subject_of(&kind, row.try_get(3)?)?,
        reviewed_at: UnixMicros(row.try_get(4)?),
        policy: row.try_get(5)?,
        dossier: read_json(&row.try_get::<String, _>(6)?, "a review's dossier")?,
        decision: read_json(&row.try_get::<String, _>(7)?, "a review's decision")?,
        old_daily: row.try_get(8)?,
        new_daily: row.try_get(9)?,
        old_level: row.try_get(10)?,
        new_level: row.try_get(11)?,
    })
}

/// The week that an account's next review is about, when it is over; `last` is the one before. Weeks of which no
/// evidence can be left are passed over.
fn due(zone: &TimeZone, last: i64, now: UnixMicros) -> Option<Week> {
    let present = Week::containing(zone, now.plus_micros(-GRACE_MICROS)).number;
    let first = match last {
        // An account of before there were reviews begins with the present week.
        0 => present,
        last => Week::next(last),
    };
    let oldest = Week::containing(zone, now.plus_micros(-EVIDENCE_DAYS * DAY_MICROS)).number;
    let number = first.max(Week::next(oldest));
    (number < present).then(|| Week::numbered(zone, number))
}

impl Store {
    /// Reviews every account whose week is over and that has not been reviewed for it.
    pub async fn review_quotas(&self) -> Result<ReviewRound> {
        let mut round = ReviewRound::default();
        // The latest Monday that any zone has reached.
        let latest = (self.now().0 + 14 * 3_600 * 1_000_000).div_euclid(DAY_MICROS);
        let latest = Week::number_of_day(latest) - 7;
        let mut after = 0;
        loop {
            let rows = sqlx::query(
                "SELECT s.account_id, s.reviewed_week, a.zone FROM account_state s JOIN account a ON a.account_id = s.account_id \
                 WHERE s.reviewed_week < $1 AND s.account_id > $2 ORDER BY s.account_id LIMIT $3",
            )
            .bind(latest)
            .bind(after)
            .bind(PAGE)
            .fetch_all(self.read())
            .await?;
            for row in &rows {
                after = row.try_get(0)?;
                // The Monday of some zones is a day before that of others: most looks find accounts whose week is not
                // over, and those are not worth a lock.
                let (last, name): (i64, String) = (row.try_get(1)?, row.try_get(2)?);
                if last != 0 && zone(&name).is_ok_and(|zone| due(&zone, last, self.now()).is_none()) {
                    continue;
                }
                while match self.review_account(after, &mut round).await {
                    Ok(reviewed) => reviewed,
                    Err(error) => {
                        tracing::warn!(account_id = after, %error, "an account's quota could not be reviewed; it is tried again");
                        round.failed += 1;
                        false
                    }
                } {}
            }
            if (rows.len() as i64) < PAGE {
                return Ok(round);
            }
        }
    }

    /// Reviews one week of one account. `false`: none is due.
    async fn review_account(&self, account_id: i64, round: &mut ReviewRound) -> Result<bool> {
        let node = self.node().await?;
        let policy = self.quota_policy();
        let mut transaction = self.begin().await?;
        let Some(mut held) = Held::load(self, &mut transaction, account_id).await? else { return Ok(false) };
        let now = self.now();
        let Some(week) = due(&held.zone, held.standing.reviewed_week, now) else {
            if held.standing.reviewed_week == 0 {
                let present = Week::containing(&held.zone, now).number;
                held.standing.reviewed_week = present - indicia_domain::quota::week::WEEK_DAYS;
                held.save(&mut transaction).await?;
                transaction.commit().await?;
            }
            return Ok(false);
        };
        let version = keep_policy(&mut transaction, &policy, now).await?;
        let loaded = Loaded::load(&mut transaction, &held, &week, now).await?;
        let mut deed = Reviewing {
            store: self,
            node: &node,
            policy: &policy,
            version: &version,
            week: &week,
            now,
            round,
            climbed: Vec::new(),
        };
        deed.review_subjects(&mut transaction, &held, &loaded).await?;
        deed.review_itself(&mut transaction, &mut held, &loaded).await?;
        held.standing.reviewed_week = week.number;
        held.save(&mut transaction).await?;
        let climbed = deed.climbed;
        meet(&mut transaction, &node, &held, &climbed, now).await?;
        transaction.commit().await?;
        round.reviews += 1;
        Ok(true)
    }

    /// Past reviews of an account, its domains and sender addresses, the newest first.
    pub async fn quota_reviews(&self, account_id: i64, limit: i64) -> Result<Vec<Review>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM quota_review WHERE account_id = $1 ORDER BY week DESC, subject, subject_id LIMIT $2"
        );
        let rows =
            sqlx::query(AssertSqlSafe(sql)).bind(account_id).bind(limit).fetch_all(self.read()).await?;
        rows.iter().map(review_of).collect()
    }

    /// R23: runs an account's past reviews again, each from what was kept of it; the newest first.
    pub async fn replay_reviews(&self, account_id: i64, limit: i64) -> Result<Vec<Replayed>> {
        let mut replayed = Vec::new();
        for one in self.quota_reviews(account_id, limit).await? {
            let policy = self.quota_policy_of(&one.policy).await?;
            let again = policy.map(|policy| review(&policy, &one.dossier));
            replayed.push(Replayed { review: one, again });
        }
        Ok(replayed)
    }

    /// What the weekly round would do if every week ended now, without doing it: accounts after `after`, at most `limit`.
    pub async fn dry_run_reviews(&self, after: i64, limit: i64) -> Result<Vec<(i64, super::Outlook)>> {
        let rows = sqlx::query(
            "SELECT account_id FROM account_state WHERE account_id > $1 ORDER BY account_id LIMIT $2",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        let mut outlooks = Vec::with_capacity(rows.len());
        for row in &rows {
            let account_id = row.try_get(0)?;
            if let Some(outlook) = self.quota_outlook(account_id).await? {
                outlooks.push((account_id, outlook));
            }
        }
        Ok(outlooks)
    }
}

/// Keeps the policy's numbers under the operator's name for them and a hash, so that changed numbers under the same
/// name are another version.
pub(super) async fn keep_policy(
    connection: &mut AnyConnection,
    policy: &QuotaPolicy,
    now: UnixMicros,
) -> Result<String> {
    let text = json(policy)?;
    let version = format!("{}-{:016x}", policy.version, indicia_domain::quota::reach::hash_of(&text));
    sqlx::query("INSERT INTO quota_policy (version, policy, first_used_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
        .bind(version.clone())
        .bind(text)
        .bind(now.0)
        .execute(connection)
        .await?;
    Ok(version)
}

/// One account's review while it is made.
struct Reviewing<'a> {
    store: &'a Store,
    node: &'a Node,
    policy: &'a QuotaPolicy,
    version: &'a str,
    week: &'a Week,
    now: UnixMicros,
    round: &'a mut ReviewRound,
    /// Domains and sender addresses whose allowance this review has raised.
    climbed: Vec<Subject>,
}

impl Reviewing<'_> {
    /// R24: domains and sender addresses with an allowance of their own.
    async fn review_subjects(
        &mut self,
        connection: &mut AnyConnection,
        held: &Held,
        loaded: &Loaded,
    ) -> Result<()> {
        if held.standing.paused_at.is_some() {
            return Ok(());
        }
        for row in warming_rows(connection, held.account_id).await? {
            if row.met_at.is_some() {
                continue;
            }
            let dossier = loaded.of_warming(self.week, &row);
            let decision = review(self.policy, &dossier);
            self.keep(connection, held.account_id, &dossier, &decision).await?;
            if decision.daily_mails != dossier.daily_mails {
                let subject = dossier.subject;
                if decision.action == Action::Raise {
                    self.climbed.push(subject);
                }
                move_warming(connection, held.account_id, subject, decision.level, decision.daily_mails)
                    .await?;
                self.note(connection, held.account_id, "review", &dossier, &decision).await?;
            }
        }
        Ok(())
    }

    async fn review_itself(
        &mut self,
        connection: &mut AnyConnection,
        held: &mut Held,
        loaded: &Loaded,
    ) -> Result<()> {
        let dossier = loaded.of_account(connection, held, self.policy, self.week).await?;
        let decision = review(self.policy, &dossier);
        self.keep(connection, held.account_id, &dossier, &decision).await?;
        (held.standing.daily_mails, held.standing.level) = (decision.daily_mails, decision.level);
        let (account_id, old, new) = (held.account_id, dossier.daily_mails, decision.daily_mails);
        let reasons = decision.reasons.clone();
        let (kind, what, facts) = match decision.action {
            Action::Keep => return Ok(()),
            Action::Raise => {
                self.round.raised += 1;
                ("review", "raised", NoticeFacts::QuotaRaised { old_daily: old, new_daily: new })
            }
            Action::Lower => {
                self.round.lowered += 1;
                ("review", "lowered", NoticeFacts::QuotaLowered { old_daily: old, new_daily: new, reasons })
            }
            Action::Pause => {
                self.round.paused += 1;
                held.pause(self.now, PausedBy::Review, decision.because());
                self.note(connection, account_id, "pause", &dossier, &decision).await?;
                let facts = NoticeFacts::QuotaPaused {
                    because: decision.because(),
                    reasons,
                    minutes: None,
                    daily_after: new,
                    by_operator: false,
                    released_at: held.released_at(connection, self.policy, self.week.number).await?,
                };
                return tell(connection, account_id, "pause", facts, self.now).await;
            }
            Action::Release => {
                self.round.released += 1;
                held.release(self.now);
                held.after_release(self.store, connection, self.now).await?;
                ("release", "release", NoticeFacts::QuotaReleased { daily: new, by_operator: false })
            }
        };
        self.note(connection, account_id, kind, &dossier, &decision).await?;
        tell(connection, account_id, what, facts, self.now).await
    }

    async fn keep(
        &self,
        connection: &mut AnyConnection,
        account_id: i64,
        dossier: &Dossier,
        decision: &Decision,
    ) -> Result<()> {
        let sql = format!(
            "INSERT INTO quota_review ({COLUMNS}, action) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
        );
        sqlx::query(AssertSqlSafe(sql))
            .bind(account_id)
            .bind(self.week.number)
            .bind(dossier.subject.kind())
            .bind(dossier.subject.id())
            .bind(self.now.0)
            .bind(self.version.to_owned())
            .bind(json(dossier)?)
            .bind(json(decision)?)
            .bind(dossier.daily_mails)
            .bind(decision.daily_mails)
            .bind(dossier.level)
            .bind(decision.level)
            .bind(decision.action.as_str())
            .execute(connection)
            .await
            .map_err(StoreError::from)?;
        Ok(())
    }

    async fn note(
        &self,
        connection: &mut AnyConnection,
        account_id: i64,
        kind: &str,
        dossier: &Dossier,
        decision: &Decision,
    ) -> Result<()> {
        let because = decision.because();
        NewEvent {
            event_id: self.node.ids.next(self.now),
            account_id,
            at: self.now,
            kind,
            subject: dossier.subject,
            old: (dossier.daily_mails, dossier.level),
            new: (decision.daily_mails, decision.level),
            reason: &because,
            actor: &Actor::system("review"),
            record: "",
        }
        .write(connection)
        .await?;
        Ok(())
    }
}
