//! The round between reviews (R22): accounts of which something became known in the last minutes are looked at, and
//! paused when it shows that they must be.
//!
//! A first look reads the last 24 hours of an account and asks the pure rule; only one for which it goes off is
//! locked, read again and paused. The row is locked, so an account is paused once.

use std::collections::BTreeMap;

use indicia_domain::quota::brake::{Readings, Trip, Window, brake};
use indicia_domain::quota::evidence::Counts;
use indicia_domain::quota::policy::{DAY_MINUTES, QuotaPolicy};
use indicia_domain::quota::reach::Sketch;
use indicia_domain::quota::review::Subject;
use indicia_domain::quota::week::{WEEK_DAYS, Week};
use indicia_domain::time::{MINUTE_MICROS, SECOND_MICROS, UnixMicros, local_day};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row};

use super::review::keep_policy;
use super::{Held, NewEvent, PausedBy, json, read_json, tell};
use crate::audit::Actor;
use crate::evidence::{EVIDENCE_SUMS, SLICE_MICROS, changes_of, slice_of};
use crate::notice::NoticeFacts;
use crate::{Result, Store, reach};

/// What one round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrakeRound {
    /// Accounts that were looked at.
    pub looked_at: u64,
    pub paused: u64,
}

/// What the brake saw when it went off: with the policy it goes off again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrakeRecord {
    /// See [`Store::quota_policy_of`].
    pub policy: String,
    pub readings: Readings,
    pub trip: Trip,
}

/// What earlier rounds of one node have looked at, so that a round reads only what is worth it: an account of which
/// something bad became known since, at once; any other of the last minutes after [`LOOK_AGAIN_MICROS`].
#[derive(Clone, Debug, Default)]
pub struct BrakeMemory {
    /// By account: bad news in the last slices, and when it was looked at.
    seen: BTreeMap<i64, (i64, UnixMicros)>,
}

/// Without bad news too a share can grow, as good mail leaves a window, and evidence become enough.
const LOOK_AGAIN_MICROS: i64 = 20 * SECOND_MICROS;

impl BrakeMemory {
    fn is_worth_a_look(&self, account_id: i64, bad_news: i64, now: UnixMicros) -> bool {
        self.seen.get(&account_id).is_none_or(|(seen, at)| {
            // The clock may have jumped, either way.
            *seen != bad_news || (now.0 - at.0).abs() >= LOOK_AGAIN_MICROS
        })
    }
}

impl Store {
    /// Looks at every account of which something bad became known in the last two slices.
    pub async fn brake(&self) -> Result<BrakeRound> {
        self.brake_again(&mut BrakeMemory::default()).await
    }

    /// The same, except for accounts that `memory` says were looked at just now and have had no bad news since.
    pub async fn brake_again(&self, memory: &mut BrakeMemory) -> Result<BrakeRound> {
        let policy = self.quota_policy();
        let now = self.now();
        let rows = sqlx::query(
            "SELECT account_id, CAST(SUM(invalid + reported + judged) AS BIGINT) FROM evidence \
             WHERE slice >= $1 AND (invalid > 0 OR reported > 0 OR judged > 0) GROUP BY account_id ORDER BY account_id",
        )
        .bind(slice_of(now) - SLICE_MICROS)
        .fetch_all(self.read())
        .await?;
        let mut round = BrakeRound::default();
        let before = std::mem::take(memory);
        for row in &rows {
            let (account_id, bad_news): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            if !before.is_worth_a_look(account_id, bad_news, now) {
                memory.seen.extend(before.seen.get_key_value(&account_id));
                continue;
            }
            memory.seen.insert(account_id, (bad_news, now));
            round.looked_at += 1;
            match self.brake_account(account_id, &policy).await {
                Ok(paused) => round.paused += u64::from(paused),
                Err(error) => {
                    memory.seen.remove(&account_id);
                    tracing::warn!(account_id, %error, "an account could not be looked at by the brake; it is tried again");
                }
            }
        }
        Ok(round)
    }

    async fn brake_account(&self, account_id: i64, policy: &QuotaPolicy) -> Result<bool> {
        let now = self.now();
        {
            let mut connection = self.read().acquire().await?;
            let row = sqlx::query(super::HELD).bind(account_id).fetch_optional(&mut *connection).await?;
            let Some(row) = row else { return Ok(false) };
            let held = super::held_of(&row, self.now())?;
            if held.standing.paused_at.is_some() {
                return Ok(false);
            }
            let readings = readings(&mut connection, &held, policy, now).await?;
            if brake(policy, &readings).is_none() {
                return Ok(false);
            }
        }
        let event_id = self.next_id().await?;
        let mut transaction = self.begin().await?;
        let Some(mut held) = Held::load(self, &mut transaction, account_id).await? else { return Ok(false) };
        if held.standing.paused_at.is_some() {
            return Ok(false);
        }
        let now = self.now();
        let readings = readings(&mut transaction, &held, policy, now).await?;
        let Some(trip) = brake(policy, &readings) else { return Ok(false) };
        let version = keep_policy(&mut transaction, policy, now).await?;
        let because = trip.to_string();
        let old = (held.standing.daily_mails, held.standing.level);
        let (level, daily) = policy.after_pause(old.0);
        (held.standing.level, held.standing.daily_mails) = (level, daily);
        held.pause(now, PausedBy::Brake, because.clone());
        held.save(&mut transaction).await?;
        let record = json(&BrakeRecord { policy: version, readings, trip: trip.clone() })?;
        NewEvent {
            event_id,
            account_id,
            at: now,
            kind: "pause",
            subject: Subject::Account,
            old,
            new: (daily, level),
            reason: &because,
            actor: &Actor::system("brake"),
            record: &record,
        }
        .write(&mut transaction)
        .await?;
        let reviewed = match held.standing.reviewed_week {
            // Not seen by the weekly round yet: it begins with the present week.
            0 => Week::containing(&held.zone, now).number - WEEK_DAYS,
            reviewed => reviewed,
        };
        let facts = NoticeFacts::QuotaPaused {
            because: because.clone(),
            reasons: vec![trip.reason],
            minutes: Some(trip.minutes),
            daily_after: daily,
            by_operator: false,
            released_at: held.released_at(&mut transaction, policy, reviewed).await?,
        };
        tell(&mut transaction, account_id, "pause", facts, now).await?;
        transaction.commit().await?;
        tracing::warn!(account_id, because, "the brake has paused an account's sending");
        Ok(true)
    }

    /// What the brake sees of an account now, and whether it would go off.
    pub async fn brake_readings(&self, account_id: i64) -> Result<Option<(Readings, Option<Trip>)>> {
        let policy = self.quota_policy();
        let mut connection = self.read().acquire().await?;
        let row = sqlx::query(super::HELD).bind(account_id).fetch_optional(&mut *connection).await?;
        let Some(row) = row else { return Ok(None) };
        let readings =
            readings(&mut connection, &super::held_of(&row, self.now())?, &policy, self.now()).await?;
        let trip = brake(&policy, &readings);
        Ok(Some((readings, trip)))
    }

    /// What the brake saw at its pauses, the newest first.
    pub async fn brake_records(&self, account_id: i64, limit: i64) -> Result<Vec<(UnixMicros, BrakeRecord)>> {
        let rows = sqlx::query(
            "SELECT at, record FROM quota_event WHERE account_id = $1 AND kind = 'pause' AND record <> '' ORDER BY event_id DESC LIMIT $2",
        )
        .bind(account_id)
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| {
                let record = read_json(&row.try_get::<String, _>(1)?, "a record of the brake")?;
                Ok((UnixMicros(row.try_get(0)?), record))
            })
            .collect()
    }
}

/// The policy's windows, each up to now; what was before the last release counts for nothing.
async fn readings(
    connection: &mut AnyConnection,
    held: &Held,
    policy: &QuotaPolicy,
    now: UnixMicros,
) -> Result<Readings> {
    let end = slice_of(now) + SLICE_MICROS;
    let from = (end - DAY_MINUTES * MINUTE_MICROS).max(held.standing.evidence_from.0);
    let sql = format!(
        "SELECT slice, {EVIDENCE_SUMS}, CAST(SUM(blamed) AS BIGINT), CAST(SUM(accused) AS BIGINT) FROM evidence \
         WHERE account_id = $1 AND slice >= $2 AND slice < $3 GROUP BY slice"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(held.account_id)
        .bind(from)
        .bind(end)
        .fetch_all(&mut *connection)
        .await?;
    let mut slices: BTreeMap<i64, (Counts, i64, i64)> = BTreeMap::new();
    for row in &rows {
        slices.insert(row.try_get(0)?, (changes_of(row, 1)?, row.try_get(10)?, row.try_get(11)?));
    }
    let windows = policy.brake_windows_minutes.iter().map(|minutes| {
        let mut window = Window { minutes: *minutes, counts: Counts::default(), blamed: 0, accused: 0 };
        for (counts, blamed, accused) in slices.range(end - minutes * MINUTE_MICROS..).map(|(_, slice)| slice)
        {
            window.counts.add(counts);
            window.blamed += blamed;
            window.accused += accused;
        }
        window
    });
    let windows: Vec<Window> = windows.collect();
    let today = local_day(&held.zone, now).number;
    let mut recipients = Sketch::default();
    for (.., sketch) in reach::by_sender(connection, held.account_id, today - 1, today + 1).await? {
        recipients.unite(&sketch);
    }
    // What was reached before a release is evidence no more, and a sketch does not know of instants.
    let known = windows.last().map_or(0, |day| day.counts.accepted.max(day.counts.decided()));
    Ok(Readings { recipients: recipients.count().min(known), windows })
}
