//! What became of mail, counted where it happens and with it: each count is in the transaction of what it counts.
//!
//! Two tables hold the counts. `outcome_day` is for people: by local day of acceptance, sender address, tag and
//! provider, so that what was accepted on a day adds up to what became of it. `evidence` is for reviews and the
//! brake: by the five minutes in which something became known, so that a week that is over stays as it is. Rows are
//! changed in the order of their keys, so that two nodes never wait for each other in a circle.

use std::collections::BTreeMap;

use indicia_domain::mail::provider::Provider;
use indicia_domain::quota::evidence::Counts;
use indicia_domain::quota::policy::{QuotaPolicy, SLICE_MINUTES};
use indicia_domain::time::{MINUTE_MICROS, UnixMicros};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::bulk::Bulk;
use crate::{Result, Store};

/// Length of a slice.
pub const SLICE_MICROS: i64 = SLICE_MINUTES * MINUTE_MICROS;

/// The start of the slice that holds an instant.
pub fn slice_of(at: UnixMicros) -> i64 {
    at.0.div_euclid(SLICE_MICROS) * SLICE_MICROS
}

/// The mailbox provider of an address.
pub(crate) fn provider_of(address: &str) -> Provider {
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    Provider::of_domain(&domain.to_ascii_lowercase())
}

/// Under what one recipient's mail is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted<'a> {
    pub account_id: i64,
    pub domain_id: i64,
    pub sender_id: i64,
    /// Empty: none.
    pub tag: &'a str,
    pub provider: Provider,
    /// Local day of acceptance.
    pub day: i64,
    pub accepted_at: UnixMicros,
}

type DayKey = (i64, i64, i64, String, &'static str);

/// Counts of one transaction. The default knows no provider that reports, which is enough where nothing is delivered.
#[derive(Default)]
pub(crate) struct Tally {
    reporting: Vec<Provider>,
    days: BTreeMap<DayKey, (i64, Counts)>,
    slices: BTreeMap<(i64, i64, i64), Slice>,
}

#[derive(Default)]
struct Slice {
    domain_id: i64,
    counts: Counts,
    blamed: i64,
    accused: i64,
}

static DAYS: Bulk = Bulk::new(
    "INSERT INTO outcome_day (account_id, day, sender_id, tag, provider, domain_id, accepted, delivered, invalid, spam, failed, \
     reported, deferred) VALUES",
    "($, $, $, $, $, $, $, $, $, $, $, $, $)",
    "ON CONFLICT (account_id, day, sender_id, tag, provider) DO UPDATE SET accepted = outcome_day.accepted + excluded.accepted, \
     delivered = outcome_day.delivered + excluded.delivered, invalid = outcome_day.invalid + excluded.invalid, \
     spam = outcome_day.spam + excluded.spam, failed = outcome_day.failed + excluded.failed, \
     reported = outcome_day.reported + excluded.reported, deferred = outcome_day.deferred + excluded.deferred",
);
static SLICES: Bulk = Bulk::new(
    "INSERT INTO evidence (account_id, slice, sender_id, domain_id, accepted, delivered, invalid, spam, failed, reported, deferred, \
     judged, reporting, blamed, accused) VALUES",
    "($, $, $, $, $, $, $, $, $, $, $, $, $, $, $)",
    "ON CONFLICT (account_id, slice, sender_id) DO UPDATE SET accepted = evidence.accepted + excluded.accepted, \
     delivered = evidence.delivered + excluded.delivered, invalid = evidence.invalid + excluded.invalid, \
     spam = evidence.spam + excluded.spam, failed = evidence.failed + excluded.failed, \
     reported = evidence.reported + excluded.reported, deferred = evidence.deferred + excluded.deferred, \
     judged = evidence.judged + excluded.judged, reporting = evidence.reporting + excluded.reporting, \
     blamed = evidence.blamed + excluded.blamed, accused = evidence.accused + excluded.accused",
);

impl Tally {
    /// `policy` says which providers report.
    pub fn new(policy: &QuotaPolicy) -> Tally {
        Tally { reporting: policy.reporting.clone(), ..Tally::default() }
    }

    fn is_reporting(&self, provider: Provider) -> bool {
        self.reporting.contains(&provider)
    }

    /// Counts for people, under the day of acceptance.
    pub fn add_to_day(&mut self, mail: &Counted<'_>, change: &Counts) {
        let key = (mail.account_id, mail.day, mail.sender_id, mail.tag.to_owned(), mail.provider.as_str());
        let entry = self.days.entry(key).or_insert((mail.domain_id, Counts::default()));
        entry.1.add(change);
    }

    /// Counts as evidence, under the instant at which it became known.
    pub fn add_to_evidence(&mut self, mail: &Counted<'_>, known_at: UnixMicros, change: &Counts) {
        let reporting = if self.is_reporting(mail.provider) { change.delivered } else { 0 };
        self.slice(mail, known_at).counts.add(&Counts { reporting, ..*change });
    }

    /// Counts a report of a recipient that came at `now`.
    pub fn report(&mut self, mail: &Counted<'_>, now: UnixMicros) {
        match self.is_reporting(mail.provider) {
            true => {
                self.add_to_day(mail, &Counts { reported: 1, ..Counts::default() });
                self.slice(mail, now).counts.reported += 1;
                self.slice(mail, mail.accepted_at).blamed += 1;
            }
            false => self.judge(mail, now),
        }
    }

    /// Counts a provider's verdict on a content that came at `now`.
    pub fn judge(&mut self, mail: &Counted<'_>, now: UnixMicros) {
        self.add_to_day(mail, &Counts { reported: 1, ..Counts::default() });
        self.slice(mail, now).counts.judged += 1;
        self.slice(mail, mail.accepted_at).accused += 1;
    }

    fn slice(&mut self, mail: &Counted<'_>, at: UnixMicros) -> &mut Slice {
        let key = (mail.account_id, slice_of(at), mail.sender_id);
        self.slices.entry(key).or_insert_with(|| Slice { domain_id: mail.domain_id, ..Slice::default() })
    }

    pub async fn write(self, connection: &mut AnyConnection) -> Result<()> {
        let days: Vec<_> = self.days.into_iter().collect();
        DAYS.run(connection, &days, |query, ((account, day, sender, tag, provider), (domain, counts))| {
            let query = query.bind(*account).bind(*day).bind(*sender).bind(tag.clone()).bind(*provider);
            let query = query.bind(*domain).bind(counts.accepted).bind(counts.delivered).bind(counts.invalid);
            query.bind(counts.spam).bind(counts.failed).bind(counts.reported).bind(counts.deferred)
        })
        .await?;
        let slices: Vec<_> = self.slices.into_iter().collect();
        SLICES
            .run(connection, &slices, |query, ((account, slice, sender), row)| {
                let (query, counts) = (query.bind(*account).bind(*slice).bind(*sender), &row.counts);
                let query = query.bind(row.domain_id).bind(counts.accepted).bind(counts.delivered);
                let query = query.bind(counts.invalid).bind(counts.spam).bind(counts.failed);
                let query = query.bind(counts.reported).bind(counts.deferred).bind(counts.judged);
                query.bind(counts.reporting).bind(row.blamed).bind(row.accused)
            })
            .await?;
        Ok(())
    }
}

/// Counts spam reports that came at `now`, each new (R26).
pub(crate) async fn count_reports(
    connection: &mut AnyConnection,
    policy: &QuotaPolicy,
    reported: &[Counted<'_>],
    now: UnixMicros,
) -> Result<()> {
    let mut tally = Tally::new(policy);
    for mail in reported {
        tally.report(mail, now);
    }
    tally.write(connection).await
}

/// Begins the present slice anew: what it has becomes the slice's before it. A release needs an instant from which
/// evidence counts, and slices know only their own. Both slices' rows are locked first, in the order in which
/// everybody else changes them, so that nothing that is counted meanwhile is lost.
pub(crate) async fn close_slice(
    store: &Store,
    connection: &mut AnyConnection,
    account_id: i64,
    now: UnixMicros,
) -> Result<()> {
    let slice = slice_of(now);
    let sql = format!(
        "SELECT 1 FROM evidence WHERE account_id = $1 AND slice >= $2 AND slice <= $3 ORDER BY slice, sender_id{}",
        store.engine().for_update()
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(account_id)
        .bind(slice - SLICE_MICROS)
        .bind(slice)
        .fetch_all(&mut *connection)
        .await?;
    let rows = sqlx::query(
        "DELETE FROM evidence WHERE account_id = $1 AND slice = $2 RETURNING sender_id, domain_id, accepted, delivered, invalid, \
         spam, failed, reported, deferred, judged, reporting, blamed, accused",
    )
    .bind(account_id)
    .bind(slice)
    .fetch_all(&mut *connection)
    .await?;
    let mut tally = Tally::default();
    for row in &rows {
        let moved = Slice {
            domain_id: row.try_get(1)?,
            counts: Counts {
                accepted: row.try_get(2)?,
                delivered: row.try_get(3)?,
                invalid: row.try_get(4)?,
                spam: row.try_get(5)?,
                failed: row.try_get(6)?,
                reported: row.try_get(7)?,
                deferred: row.try_get(8)?,
                judged: row.try_get(9)?,
                reporting: row.try_get(10)?,
            },
            blamed: row.try_get(11)?,
            accused: row.try_get(12)?,
        };
        tally.slices.insert((account_id, slice - SLICE_MICROS, row.try_get(0)?), moved);
    }
    tally.write(connection).await
}

/// What one sender address showed in a stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SenderEvidence {
    pub sender_id: i64,
    pub domain_id: i64,
    pub counts: Counts,
}

macro_rules! sums {
    () => {
        "CAST(SUM(accepted) AS BIGINT), CAST(SUM(delivered) AS BIGINT), CAST(SUM(invalid) AS BIGINT), \
         CAST(SUM(spam) AS BIGINT), CAST(SUM(failed) AS BIGINT), CAST(SUM(reported) AS BIGINT), CAST(SUM(deferred) AS BIGINT)"
    };
}

/// What days have.
const SUMS: &str = sums!();
/// What evidence has.
pub(crate) const EVIDENCE_SUMS: &str =
    concat!(sums!(), ", CAST(SUM(judged) AS BIGINT), CAST(SUM(reporting) AS BIGINT)");

/// Reads [`SUMS`].
fn day_counts_of(row: &AnyRow, from: usize) -> Result<Counts> {
    let count = |place: usize| -> Result<i64> { Ok(row.try_get(from + place)?) };
    Ok(Counts {
        accepted: count(0)?,
        delivered: count(1)?,
        invalid: count(2)?,
        spam: count(3)?,
        failed: count(4)?,
        reported: count(5)?,
        deferred: count(6)?,
        ..Counts::default()
    })
}

/// Reads [`EVIDENCE_SUMS`]. The bounce of a mail that was delivered in another stretch is less than no delivery, and
/// makes up for the delivery there when stretches are put together.
pub(crate) fn changes_of(row: &AnyRow, from: usize) -> Result<Counts> {
    let (judged, reporting) = (row.try_get(from + 7)?, row.try_get(from + 8)?);
    Ok(Counts { judged, reporting, ..day_counts_of(row, from)? })
}

/// A stretch that stands for itself: one that holds only the bounce has no delivery, not less than none.
fn alone(changes: Counts) -> Counts {
    let Counts { delivered, reporting, .. } = changes;
    Counts { delivered: delivered.max(0), reporting: reporting.max(0), ..changes }
}

/// Reads [`EVIDENCE_SUMS`] of a stretch that stands for itself.
pub(crate) fn evidence_of(row: &AnyRow, from: usize) -> Result<Counts> {
    Ok(alone(changes_of(row, from)?))
}

/// What became known in the slices that begin in `[from, until)`, by sender address.
pub(crate) async fn by_sender(
    connection: &mut AnyConnection,
    account_id: i64,
    from: UnixMicros,
    until: UnixMicros,
) -> Result<Vec<SenderEvidence>> {
    let sql = format!(
        "SELECT sender_id, domain_id, {EVIDENCE_SUMS} FROM evidence \
         WHERE account_id = $1 AND slice >= $2 AND slice < $3 GROUP BY sender_id, domain_id ORDER BY sender_id"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(account_id)
        .bind(from.0)
        .bind(until.0)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(SenderEvidence {
                sender_id: row.try_get(0)?,
                domain_id: row.try_get(1)?,
                counts: evidence_of(row, 2)?,
            })
        })
        .collect()
}

/// Counts of one day, or of one provider, tag, domain or sender over several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayOutcome {
    /// Local day number of acceptance.
    pub day: i64,
    pub counts: Counts,
}

/// Which mails of an account to look at; `None` is all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutcomeFilter {
    pub sender_id: Option<i64>,
    pub domain_id: Option<i64>,
    pub tag: Option<String>,
    pub provider: Option<Provider>,
}

/// By what outcomes are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeGroup {
    Sender,
    Domain,
    Tag,
    Provider,
}

impl OutcomeGroup {
    fn column(self) -> &'static str {
        match self {
            OutcomeGroup::Sender => "CAST(sender_id AS TEXT)",
            OutcomeGroup::Domain => "CAST(domain_id AS TEXT)",
            OutcomeGroup::Tag => "tag",
            OutcomeGroup::Provider => "provider",
        }
    }
}

impl Store {
    /// What was accepted on local days `[from_day, before_day)` and became of it, by day; days without mail are left out.
    pub async fn outcomes_by_day(
        &self,
        account_id: i64,
        from_day: i64,
        before_day: i64,
        filter: &OutcomeFilter,
    ) -> Result<Vec<DayOutcome>> {
        let sql = format!("SELECT day, {SUMS} FROM outcome_day WHERE {FILTER} GROUP BY day ORDER BY day");
        let rows = filtered(&sql, account_id, from_day, before_day, filter).fetch_all(self.read()).await?;
        rows.iter()
            .map(|row| Ok(DayOutcome { day: row.try_get(0)?, counts: alone(day_counts_of(row, 1)?) }))
            .collect()
    }

    /// The same summed up over the days by sender id, domain id, tag or provider, the most accepted first.
    pub async fn outcomes_by(
        &self,
        account_id: i64,
        from_day: i64,
        before_day: i64,
        filter: &OutcomeFilter,
        group: OutcomeGroup,
    ) -> Result<Vec<(String, Counts)>> {
        let column = group.column();
        let sql = format!(
            "SELECT {column}, {SUMS} FROM outcome_day WHERE {FILTER} GROUP BY {column} ORDER BY 2 DESC, 1"
        );
        let rows = filtered(&sql, account_id, from_day, before_day, filter).fetch_all(self.read()).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, alone(day_counts_of(row, 1)?)))).collect()
    }

    /// Drops evidence that no review and no brake looks at any more.
    pub async fn forget_evidence_before(&self, before: UnixMicros) -> Result<u64> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query("DELETE FROM evidence WHERE slice < $1")
            .bind(before.0)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    }
}

const FILTER: &str = "account_id = $1 AND day >= $2 AND day < $3 AND ($4 = 0 OR sender_id = $5) AND ($6 = 0 OR domain_id = $7) \
    AND ($8 = 0 OR tag = $9) AND ($10 = 0 OR provider = $11)";

fn filtered(
    sql: &str,
    account_id: i64,
    from_day: i64,
    before_day: i64,
    filter: &OutcomeFilter,
) -> crate::bulk::AnyQuery<'static> {
    sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()))
        .bind(account_id)
        .bind(from_day)
        .bind(before_day)
        .bind(i64::from(filter.sender_id.is_some()))
        .bind(filter.sender_id.unwrap_or(0))
        .bind(i64::from(filter.domain_id.is_some()))
        .bind(filter.domain_id.unwrap_or(0))
        .bind(i64::from(filter.tag.is_some()))
        .bind(filter.tag.clone().unwrap_or_default())
        .bind(i64::from(filter.provider.is_some()))
        .bind(filter.provider.map_or("", Provider::as_str))
}
