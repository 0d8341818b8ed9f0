//! What a review looks at, loaded: the week's evidence by sender address, its recipients, and the quota that was in
//! force on each day. The account's, its domains' and its sender addresses' dossiers are sums of the same rows.

use indicia_domain::quota::evidence::{Counts, DayUse, Evidence};
use indicia_domain::quota::policy::QuotaPolicy;
use indicia_domain::quota::reach::Sketch;
use indicia_domain::quota::review::{Decision, Dossier, Subject, review};
use indicia_domain::quota::week::{WEEK_DAYS, Week};
use indicia_domain::time::{DAY_MICROS, UnixMicros, local_day_numbered};
use sqlx::{AnyConnection, Row};

use super::warming::{WarmingRow, warming_rows};
use super::{Held, held_of, read_json, subject_of};
use crate::evidence::{SenderEvidence, by_sender};
use crate::{Result, Store, reach};

/// How the running week would end if it ended now.
#[derive(Clone, Debug)]
pub struct Outlook {
    pub week: Week,
    pub dossier: Dossier,
    pub decision: Decision,
    /// Mails put off at least once, for the picture of the week.
    pub deferred: i64,
}

/// A stretch of one account's evidence, by sender address.
pub(super) struct Loaded {
    from: UnixMicros,
    until: UnixMicros,
    senders: Vec<SenderEvidence>,
    /// The seven days that end two days before `until`: see `Evidence::reportable`.
    before: Vec<SenderEvidence>,
    reach: Vec<(i64, i64, Sketch)>,
    /// Accepted on each local day of the week, by sender address.
    days: Vec<Vec<SenderEvidence>>,
    /// Quota changes of the account's subjects, the oldest first.
    changes: Vec<Change>,
    day_ends: Vec<UnixMicros>,
}

struct Change {
    at: UnixMicros,
    subject: Subject,
    old_daily: i64,
}

const REPORT_LAG_MICROS: i64 = 2 * DAY_MICROS;

impl Loaded {
    /// The evidence of a week as far as it is known at `now`.
    pub async fn load(
        connection: &mut AnyConnection,
        held: &Held,
        week: &Week,
        now: UnixMicros,
    ) -> Result<Loaded> {
        let account_id = held.account_id;
        let fresh = held.standing.evidence_from;
        let until = week.end.min(now.plus_micros(crate::evidence::SLICE_MICROS));
        let from = week.start.max(fresh).min(until);
        let senders = by_sender(connection, account_id, from, until).await?;
        let lag_from = week.start.plus_micros(-REPORT_LAG_MICROS).max(fresh);
        let before =
            by_sender(connection, account_id, lag_from, until.plus_micros(-REPORT_LAG_MICROS)).await?;
        let reach = reach::by_sender(connection, account_id, week.number, week.number + WEEK_DAYS).await?;
        let (mut days, mut day_ends) = (Vec::new(), Vec::new());
        for day in week.number..week.number + WEEK_DAYS {
            let day = local_day_numbered(&held.zone, day);
            if day.start >= until {
                break;
            }
            days.push(by_sender(connection, account_id, day.start.max(fresh), day.end.min(until)).await?);
            day_ends.push(day.end.min(until));
        }
        let changes = changes(connection, account_id, week.start).await?;
        Ok(Loaded { from, until, senders, before, reach, days, changes, day_ends })
    }

    fn evidence(&self, subject: Subject, daily_mails: i64) -> Evidence {
        let sum = |rows: &[SenderEvidence]| {
            let mut counts = Counts::default();
            for row in rows.iter().filter(|row| is_of(subject, row.domain_id, row.sender_id)) {
                counts.add(&row.counts);
            }
            counts
        };
        let counts = sum(&self.senders);
        let mut recipients = Sketch::default();
        for (sender_id, domain_id, sketch) in &self.reach {
            if is_of(subject, *domain_id, *sender_id) {
                recipients.unite(sketch);
            }
        }
        let days = self.days.iter().zip(&self.day_ends).map(|(rows, end)| DayUse {
            used: sum(rows).accepted,
            quota: self.quota_before(subject, *end, daily_mails),
        });
        Evidence {
            counts,
            reportable: counts.reporting.max(sum(&self.before).reporting),
            // What was reached before a release is evidence no more, and a sketch does not know of instants.
            recipients: recipients.count().min(counts.accepted),
            days: days.collect(),
        }
    }

    /// The quota that a day ended with: before the first change that came after it.
    fn quota_before(&self, subject: Subject, at: UnixMicros, now_daily: i64) -> i64 {
        let mut own = self.changes.iter().filter(|change| change.subject == subject);
        own.find(|change| change.at >= at).map_or(now_daily, |change| change.old_daily)
    }

    /// The dossier of the account itself.
    pub async fn of_account(
        &self,
        connection: &mut AnyConnection,
        held: &Held,
        policy: &QuotaPolicy,
        week: &Week,
    ) -> Result<Dossier> {
        let standing = &held.standing;
        Ok(Dossier {
            subject: Subject::Account,
            week: week.number,
            from: self.from,
            until: self.until,
            daily_mails: standing.daily_mails,
            level: standing.level,
            ceiling_level: standing.ceiling_level,
            paused: held.paused(connection, policy).await?,
            evidence: self.evidence(Subject::Account, standing.daily_mails),
        })
    }

    /// R24: the dossier of a domain or sender address with an allowance of its own.
    pub fn of_warming(&self, week: &Week, row: &WarmingRow) -> Dossier {
        Dossier {
            subject: row.warming.subject,
            week: week.number,
            from: self.from,
            until: self.until,
            daily_mails: row.warming.daily_mails,
            level: row.warming.level,
            ceiling_level: None,
            paused: None,
            evidence: self.evidence(row.warming.subject, row.warming.daily_mails),
        }
    }

    pub fn deferred(&self) -> i64 {
        self.senders.iter().map(|row| row.counts.deferred).sum()
    }
}

fn is_of(subject: Subject, domain_id: i64, sender_id: i64) -> bool {
    match subject {
        Subject::Account => true,
        Subject::Domain(id) => id == domain_id,
        Subject::Sender(id) => id == sender_id,
    }
}

async fn changes(connection: &mut AnyConnection, account_id: i64, from: UnixMicros) -> Result<Vec<Change>> {
    // Those after the week too: a review that runs late undoes them to find what was in force.
    let rows = sqlx::query(
        "SELECT at, subject, subject_id, old_daily FROM quota_event WHERE account_id = $1 AND at >= $2 \
         AND old_daily <> new_daily ORDER BY at, event_id",
    )
    .bind(account_id)
    .bind(from.0)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            let kind: String = row.try_get(1)?;
            Ok(Change {
                at: UnixMicros(row.try_get(0)?),
                subject: subject_of(&kind, row.try_get(2)?)?,
                old_daily: row.try_get(3)?,
            })
        })
        .collect()
}

impl Store {
    /// R23: where an account stands for its next review: the running week, decided as if it ended now.
    pub async fn quota_outlook(&self, account_id: i64) -> Result<Option<Outlook>> {
        self.outlook_of(account_id, Subject::Account).await
    }

    /// R24: the same for a domain or sender address with an allowance of its own; `None`: it has none.
    pub async fn outlook_of(&self, account_id: i64, subject: Subject) -> Result<Option<Outlook>> {
        let mut connection = self.read().acquire().await?;
        let row = sqlx::query(super::HELD).bind(account_id).fetch_optional(&mut *connection).await?;
        let Some(row) = row else { return Ok(None) };
        let (held, now, policy) = (held_of(&row, self.now())?, self.now(), self.quota_policy());
        let week = Week::containing(&held.zone, now);
        let loaded = Loaded::load(&mut connection, &held, &week, now).await?;
        let dossier = match subject {
            Subject::Account => loaded.of_account(&mut connection, &held, &policy, &week).await?,
            Subject::Domain(_) | Subject::Sender(_) => {
                let rows = warming_rows(&mut connection, account_id).await?;
                let row = rows.iter().find(|row| row.warming.subject == subject && row.met_at.is_none());
                let Some(row) = row else { return Ok(None) };
                loaded.of_warming(&week, row)
            }
        };
        let decision = review(&policy, &dossier);
        Ok(Some(Outlook { week, deferred: loaded.deferred(), dossier, decision }))
    }

    /// The policy under which something was decided, word for word.
    pub async fn quota_policy_of(&self, version: &str) -> Result<Option<QuotaPolicy>> {
        let row = sqlx::query("SELECT policy FROM quota_policy WHERE version = $1")
            .bind(version.to_owned())
            .fetch_optional(self.read())
            .await?;
        row.map(|row| read_json(&row.try_get::<String, _>(0)?, "a quota policy")).transpose()
    }
}
