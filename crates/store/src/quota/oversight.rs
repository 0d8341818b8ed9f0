//! Reputation as pages show it: every account by how near it is to the lines, and all that an account's own page
//! says about its running week. Reads only.
//!
//! The list of all accounts is one query. It ranks by what was kept by day, of mails accepted on the last
//! [`RANKED_DAYS`] days (UTC's; after a release, from its day on): each account's rows of those days stand
//! together, and accounts that have sent nothing since are not looked at. That is no review: a review counts what
//! became known in the account's own week, with its unique recipients. Here small numbers are discounted
//! instead, as if `recipients_min` mails more had been sent and all had been good.

use indicia_domain::account::AccountStatus;
use indicia_domain::quota::evidence::Counts;
use indicia_domain::quota::policy::QuotaPolicy;
use indicia_domain::quota::review::{Paused, review};
use indicia_domain::quota::week::{WEEK_DAYS, Week};
use indicia_domain::time::{DAY_MICROS, UnixMicros};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use super::dossier::Loaded;
use super::warming::{WarmingRow, warming_rows};
use super::{HELD, Outlook, PausedBy, Standing, held_of};
use crate::evidence::evidence_of;
use crate::{Result, Store};

/// Days that the list of all accounts looks back, today included.
pub const RANKED_DAYS: i64 = WEEK_DAYS;
/// A paused account comes before every other; no pressure reaches this.
const PAUSED_KEY: i64 = 1_000_000_000_000;

/// In which order accounts are listed; within it, by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReputationOrder {
    /// Paused ones first, then by pressure.
    WorstFirst,
    /// Most invalid addresses, as a share.
    Invalid,
    /// Most called spam, by recipients or by providers, as a share.
    Spam,
    /// Least arrived, as a share.
    NotArrived,
    MostMails,
}

/// Which accounts are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReputationScope {
    All,
    Paused,
    /// Mail was accepted on the days looked at.
    Sending,
}

#[derive(Clone, Debug)]
pub struct ReputationQuery {
    pub order: ReputationOrder,
    pub scope: ReputationScope,
    /// The sort key and the id of the last account of the page before.
    pub after: Option<(i64, i64)>,
    pub limit: i64,
}

/// An account with what an operator looks at first.
#[derive(Clone, Debug)]
pub struct AccountReputation {
    pub account_id: i64,
    pub name: String,
    pub email: String,
    pub status: AccountStatus,
    pub level: i64,
    pub daily_mails: i64,
    pub paused_at: Option<UnixMicros>,
    /// Empty while it is not paused.
    pub pause_reason: String,
    pub paused_by: Option<PausedBy>,
    /// Of mails accepted on the days looked at; `reported`, `judged` and `reporting` as evidence has them.
    pub counts: Counts,
    /// How near the nearest line of lowering is, in thousandths of it: 1,000 is at the line. Small numbers are
    /// discounted.
    pub pressure_permille: i64,
    /// Where the account stands in the order asked for; for the next page's `after`.
    pub sort_key: i64,
}

/// All accounts together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReputationTotals {
    pub accounts: i64,
    pub paused: i64,
    /// That have sent on the days looked at.
    pub sending: i64,
}

/// A pause in force.
#[derive(Clone, Debug)]
pub struct Pause {
    pub since: UnixMicros,
    pub reason: String,
    pub by: Option<PausedBy>,
    /// Mails a day when it is released.
    pub daily_mails: i64,
    /// Pauses by reviews and the brake within the policy's weeks, this one included.
    pub lately: i64,
}

impl Pause {
    /// R22: whether no review ends it, only an operator.
    pub fn waits_for_operator(&self, policy: &QuotaPolicy) -> bool {
        let too_often = policy.pauses_before_operator > 0 && self.lately >= policy.pauses_before_operator;
        self.by == Some(PausedBy::Operator) || too_often
    }
}

/// How the running week stands, for the account and everything of it that has an allowance of its own (R24).
#[derive(Clone, Debug)]
pub struct Outlooks {
    pub standing: Standing,
    pub account: Outlook,
    /// Oldest first; `None`: the allowance is over.
    pub warming: Vec<(WarmingRow, Option<Outlook>)>,
}

/// $1 the first day, $2 its start, $3 good mails added, $4 the reports that prove something, $5 to $7 the lines in ppm. A
/// provider's verdict is counted with the reports of its users; a mail refused as spam has one, so the rest are theirs.
fn measured(policy: &QuotaPolicy) -> String {
    let names: Vec<String> =
        policy.reporting.iter().map(|provider| format!("'{}'", provider.as_str())).collect();
    let reports = match names.is_empty() {
        true => "1 = 0".to_owned(),
        false => format!("o.provider IN ({})", names.join(", ")),
    };
    format!(
        "WITH summed AS (SELECT s.account_id AS account_id, CAST(SUM(o.accepted) AS BIGINT) AS accepted, \
         CAST(SUM(o.delivered) AS BIGINT) AS delivered, CAST(SUM(o.invalid) AS BIGINT) AS invalid, CAST(SUM(o.spam) AS BIGINT) AS spam, \
         CAST(SUM(o.failed) AS BIGINT) AS failed, CAST(SUM(o.deferred) AS BIGINT) AS deferred, CAST(SUM(o.reported) AS BIGINT) AS called, \
         CAST(SUM(CASE WHEN {reports} AND o.reported > o.spam THEN o.reported - o.spam ELSE 0 END) AS BIGINT) AS reported, \
         CAST(SUM(CASE WHEN {reports} THEN o.delivered ELSE 0 END) AS BIGINT) AS reporting \
         FROM account_state s JOIN outcome_day o ON o.account_id = s.account_id \
         AND o.day >= CASE WHEN s.evidence_from >= $2 THEN s.evidence_from / 86400000000 ELSE $1 END \
         WHERE s.quota_day >= $1 GROUP BY s.account_id), \
         counted AS (SELECT summed.*, called - reported AS judged, delivered + invalid + spam + failed AS decided FROM summed), \
         measured AS (SELECT c.*, c.invalid * 1000000000 / ((c.decided + $3) * $5) AS by_invalid, \
         CASE WHEN c.reported >= $4 THEN c.reported * 1000000000 / ((c.reporting + $3) * $6) ELSE 0 END AS by_reported, \
         CASE WHEN c.judged >= $4 THEN c.judged * 1000000000 / ((c.decided + $3) * $6) ELSE 0 END AS by_judged, \
         (c.decided - c.delivered) * 1000000000 / ((c.decided + $3) * $7) AS by_arrival FROM counted c), \
         pressed AS (SELECT m.*, CASE WHEN m.by_reported >= m.by_judged THEN m.by_reported ELSE m.by_judged END AS by_spam FROM measured m), \
         listed AS (SELECT s.account_id AS account_id, a.name AS name, a.email AS email, s.status AS status, s.quota_level AS quota_level, \
         s.daily_quota AS daily_quota, s.paused_at AS paused_at, s.pause_reason AS pause_reason, s.pause_by AS pause_by, \
         COALESCE(m.accepted, 0) AS accepted, COALESCE(m.delivered, 0) AS delivered, COALESCE(m.invalid, 0) AS invalid, \
         COALESCE(m.spam, 0) AS spam, COALESCE(m.failed, 0) AS failed, COALESCE(m.reported, 0) AS reported, \
         COALESCE(m.deferred, 0) AS deferred, COALESCE(m.judged, 0) AS judged, COALESCE(m.reporting, 0) AS reporting, \
         COALESCE(m.by_invalid, 0) AS by_invalid, COALESCE(m.by_spam, 0) AS by_spam, COALESCE(m.by_arrival, 0) AS by_arrival, \
         COALESCE(CASE WHEN m.by_invalid >= m.by_spam AND m.by_invalid >= m.by_arrival THEN m.by_invalid \
         WHEN m.by_spam >= m.by_arrival THEN m.by_spam ELSE m.by_arrival END, 0) AS pressure \
         FROM account_state s JOIN account a ON a.account_id = s.account_id LEFT JOIN pressed m ON m.account_id = s.account_id)"
    )
}

impl Store {
    /// A page of accounts with their reputation.
    pub async fn reputations(&self, query: &ReputationQuery) -> Result<Vec<AccountReputation>> {
        let policy = self.quota_policy();
        let from_day = first_ranked_day(self.now());
        let (key, account_id) = query.after.unwrap_or((i64::MAX, 0));
        let order = match query.order {
            ReputationOrder::WorstFirst => {
                format!("pressure + CASE WHEN paused_at IS NULL THEN 0 ELSE {PAUSED_KEY} END")
            }
            ReputationOrder::Invalid => "by_invalid".to_owned(),
            ReputationOrder::Spam => "by_spam".to_owned(),
            ReputationOrder::NotArrived => "by_arrival".to_owned(),
            ReputationOrder::MostMails => "accepted".to_owned(),
        };
        let scope = match query.scope {
            ReputationScope::All => "",
            ReputationScope::Paused => "AND paused_at IS NOT NULL",
            ReputationScope::Sending => "AND accepted > 0",
        };
        let measured = measured(&policy);
        let sql = format!(
            "{measured} SELECT account_id, name, email, status, quota_level, daily_quota, paused_at, pause_reason, pause_by, \
             accepted, delivered, invalid, spam, failed, reported, deferred, judged, reporting, pressure, sort_key \
             FROM (SELECT listed.*, {order} AS sort_key FROM listed) AS ranked \
             WHERE (sort_key < $8 OR (sort_key = $9 AND account_id > $10)) {scope} ORDER BY sort_key DESC, account_id LIMIT $11"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(from_day)
            .bind(from_day * DAY_MICROS)
            .bind(policy.recipients_min)
            .bind(policy.reports_min)
            .bind(policy.lower.invalid.0.max(1))
            .bind(policy.lower.reported.0.max(1))
            .bind(policy.lower.arrival.rest().0.max(1))
            .bind(key)
            .bind(key)
            .bind(account_id)
            .bind(query.limit)
            .fetch_all(self.read())
            .await?;
        rows.iter().map(reputation_of).collect()
    }

    /// How many accounts there are, send and are paused.
    pub async fn reputation_totals(&self) -> Result<ReputationTotals> {
        let row = sqlx::query(
            "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN paused_at IS NULL THEN 0 ELSE 1 END), 0) AS BIGINT), \
             CAST(COALESCE(SUM(CASE WHEN quota_day >= $1 THEN 1 ELSE 0 END), 0) AS BIGINT) FROM account_state",
        )
        .bind(first_ranked_day(self.now()))
        .fetch_one(self.read())
        .await?;
        Ok(ReputationTotals { accounts: row.try_get(0)?, paused: row.try_get(1)?, sending: row.try_get(2)? })
    }

    /// R22: the pause of an account, while it is in force.
    pub async fn pause_of(&self, account_id: i64) -> Result<Option<Pause>> {
        let policy = self.quota_policy();
        let mut connection = self.read().acquire().await?;
        let row = sqlx::query(HELD).bind(account_id).fetch_optional(&mut *connection).await?;
        let Some(row) = row else { return Ok(None) };
        let held = held_of(&row, self.now())?;
        let Some(Paused { since, lately, .. }) = held.paused(&mut connection, &policy).await? else {
            return Ok(None);
        };
        let standing = held.standing;
        Ok(Some(Pause {
            since,
            reason: standing.pause_reason,
            by: standing.paused_by,
            daily_mails: standing.daily_mails,
            lately,
        }))
    }

    /// R23, R24: where an account and all its allowances stand for the next review, from one reading of the week.
    pub async fn quota_outlooks(&self, account_id: i64) -> Result<Option<Outlooks>> {
        let (now, policy) = (self.now(), self.quota_policy());
        let mut connection = self.read().acquire().await?;
        let row = sqlx::query(HELD).bind(account_id).fetch_optional(&mut *connection).await?;
        let Some(row) = row else { return Ok(None) };
        let held = held_of(&row, self.now())?;
        let week = Week::containing(&held.zone, now);
        let loaded = Loaded::load(&mut connection, &held, &week, now).await?;
        let outlook = |dossier| {
            let decision = review(&policy, &dossier);
            Outlook { week, deferred: loaded.deferred(), dossier, decision }
        };
        let account = outlook(loaded.of_account(&mut connection, &held, &policy, &week).await?);
        let rows = warming_rows(&mut connection, account_id).await?;
        let warming = rows
            .into_iter()
            .map(|row| {
                let still = row.met_at.is_none().then(|| outlook(loaded.of_warming(&week, &row)));
                (row, still)
            })
            .collect();
        Ok(Some(Outlooks { standing: held.standing, account, warming }))
    }
}

/// The first day of acceptance that counts. Zones are up to 14 hours ahead of UTC and 12 behind it: at most the edge of
/// a week is seen differently.
fn first_ranked_day(now: UnixMicros) -> i64 {
    now.0.div_euclid(DAY_MICROS) - (RANKED_DAYS - 1)
}

fn reputation_of(row: &AnyRow) -> Result<AccountReputation> {
    Ok(AccountReputation {
        account_id: row.try_get(0)?,
        name: row.try_get(1)?,
        email: row.try_get(2)?,
        status: AccountStatus(row.try_get(3)?),
        level: row.try_get(4)?,
        daily_mails: row.try_get(5)?,
        paused_at: row.try_get::<Option<i64>, _>(6)?.map(UnixMicros),
        pause_reason: row.try_get(7)?,
        paused_by: PausedBy::read(&row.try_get::<String, _>(8)?),
        counts: evidence_of(row, 9)?,
        pressure_permille: row.try_get(18)?,
        sort_key: row.try_get(19)?,
    })
}
