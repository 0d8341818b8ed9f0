//! How long the evidence of a large week takes to read: what a review, the brake and the Reputation page ask for.
//!
//! The week is written as acceptance and delivery leave it ([`crate::week`]), among the weeks of many other accounts.
//! The clock stands at its last minute. Each reading is timed on a store that has just been opened, then repeated,
//! and is checked against the mails that the week was made from.

use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use indicia_bench::database::{Database, Fault, account};
use indicia_domain::quota::policy::DAY_MINUTES;
use indicia_domain::quota::week::WEEK_DAYS;
use indicia_domain::time::{Clock, DAY_MICROS, MINUTE_MICROS, UnixMicros};
use indicia_store::Store;
use indicia_store::evidence::{OutcomeFilter, OutcomeGroup};
use indicia_store::reach::UniqueOf;
use serde_json::json;
use sqlx::{AnyConnection, Connection, Executor};

use crate::week::{DAY_SLICES, Shape, Week};

#[derive(Args, Clone)]
pub struct Options {
    #[command(flatten)]
    database: Database,
    /// Of the week that is read.
    #[arg(long, default_value_t = 10_000_000)]
    mails: u64,
    #[arg(long, default_value_t = 1_000_000)]
    recipients: u64,
    /// Accounts whose smaller weeks lie in the same tables.
    #[arg(long, default_value_t = 1_000)]
    others: usize,
    /// Times that each reading is repeated.
    #[arg(long, default_value_t = 20)]
    times: usize,
}

/// A Monday, 00:00 UTC.
const MONDAY: &str = "2026-11-16T00:00:00Z";
/// Other accounts' weeks in one transaction.
const WEEKS_AT_ONCE: usize = 50;
/// Three standard errors of a sketch.
const SKETCH_ERROR: f64 = 0.07;

struct Standing(UnixMicros);

impl Clock for Standing {
    fn now(&self) -> UnixMicros {
        self.0
    }
}

/// What is asked of the store.
#[derive(Clone, Copy, Debug)]
enum Reading {
    QuotaOutlook,
    BrakeReadings,
    OutcomesByDay,
    OutcomesByProvider,
    UniqueRecipients,
}

impl Reading {
    const ALL: [Reading; 5] = [
        Reading::QuotaOutlook,
        Reading::BrakeReadings,
        Reading::OutcomesByDay,
        Reading::OutcomesByProvider,
        Reading::UniqueRecipients,
    ];

    fn name(self) -> &'static str {
        match self {
            Reading::QuotaOutlook => "quota_outlook",
            Reading::BrakeReadings => "brake_readings",
            Reading::OutcomesByDay => "outcomes_by_day",
            Reading::OutcomesByProvider => "outcomes_by(Provider)",
            Reading::UniqueRecipients => "unique_recipients(Account)",
        }
    }
}

/// What the readings must give.
struct Expected {
    account_id: i64,
    first_day: i64,
    mails: i64,
    last_day_mails: i64,
    recipients: i64,
}

impl Expected {
    /// Asks once; the time in milliseconds.
    async fn read(&self, store: &Store, reading: Reading) -> Result<f64, Fault> {
        let (account, from, before) = (self.account_id, self.first_day, self.first_day + WEEK_DAYS);
        let all = OutcomeFilter::default();
        let began = Instant::now();
        let is_right = match reading {
            Reading::QuotaOutlook => {
                let outlook = store.quota_outlook(account).await?.ok_or("the account is gone")?;
                let evidence = &outlook.dossier.evidence;
                evidence.counts.accepted == self.mails
                    && evidence.days.len() == WEEK_DAYS as usize
                    && self.is_near(evidence.recipients)
            }
            Reading::BrakeReadings => {
                let (readings, trip) = store.brake_readings(account).await?.ok_or("the account is gone")?;
                let day = readings.windows.iter().find(|window| window.minutes == DAY_MINUTES);
                day.is_some_and(|day| day.counts.accepted == self.last_day_mails) && trip.is_none()
            }
            Reading::OutcomesByDay => {
                let days = store.outcomes_by_day(account, from, before, &all).await?;
                days.len() == WEEK_DAYS as usize
                    && days.iter().map(|day| day.counts.accepted).sum::<i64>() == self.mails
            }
            Reading::OutcomesByProvider => {
                let rows = store.outcomes_by(account, from, before, &all, OutcomeGroup::Provider).await?;
                rows.iter().map(|(_, counts)| counts.accepted).sum::<i64>() == self.mails
            }
            Reading::UniqueRecipients => {
                self.is_near(store.unique_recipients(account, from, before, UniqueOf::Account).await?)
            }
        };
        let took_ms = began.elapsed().as_secs_f64() * 1_000.0;
        if is_right { Ok(took_ms) } else { Err(format!("{} is not what was written", reading.name()).into()) }
    }

    fn is_near(&self, recipients: i64) -> bool {
        (recipients as f64 / self.recipients as f64 - 1.0).abs() <= SKETCH_ERROR
    }
}

pub async fn measure(options: Options) -> Result<serde_json::Value, Fault> {
    let start = UnixMicros::parse(MONDAY).ok_or("a Monday")?;
    let last_minute = start.plus_micros(WEEK_DAYS * DAY_MICROS - MINUTE_MICROS);
    let began = Instant::now();
    let (expected, rows) = fill(&options, start).await?;
    let fill_seconds = began.elapsed().as_secs_f64();
    let mut readings = serde_json::Map::new();
    for reading in Reading::ALL {
        let store = options.database.open_at(Arc::new(Standing(last_minute))).await?;
        let first_ms = expected.read(&store, reading).await?;
        let mut times_ms = Vec::new();
        for _ in 0..options.times {
            times_ms.push(expected.read(&store, reading).await?);
        }
        store.close().await;
        times_ms.sort_by(f64::total_cmp);
        let (median_ms, worst_ms) = (times_ms[times_ms.len() / 2], times_ms[times_ms.len() - 1]);
        readings.insert(
            reading.name().to_owned(),
            json!({ "first_ms": first_ms, "median_ms": median_ms, "worst_ms": worst_ms }),
        );
    }
    Ok(json!({ "mails": options.mails, "fill_s": fill_seconds, "rows": rows, "readings": readings }))
}

/// Makes the accounts and writes their weeks; the rows in all of `evidence`, `outcome_day` and `reach`.
async fn fill(options: &Options, start: UnixMicros) -> Result<(Expected, [usize; 3]), Fault> {
    let store = options.database.open_at(Arc::new(Standing(start))).await?;
    let mut others = Vec::new();
    for number in 0..=options.others {
        others.push((number as u64, account(&store, number).await?));
    }
    // In the middle, so that the large account does not lie at a table's end.
    let behind = others.split_off(options.others / 2 + 1);
    let (_, large) = others.pop().ok_or("an account")?;
    store.close().await;
    let mut connection = options.database.connect().await?;
    let mut rows = [0; 3];
    fill_others(options, &mut connection, &others, start, &mut rows).await?;
    let shape = Shape {
        mails: options.mails,
        recipients: options.recipients,
        senders: 5,
        tags: 20,
        slices_a_day: DAY_SLICES,
        first_slice: 0,
    };
    let week = Week::make(shape, start, options.others as u64 + 1);
    let mut transaction = connection.begin().await?;
    add(&mut rows, week.write(&mut transaction, large, options.database.is_sqlite()).await?);
    transaction.commit().await?;
    fill_others(options, &mut connection, &behind, start, &mut rows).await?;
    // What autovacuum does by itself some time after such a load.
    if !options.database.is_sqlite() {
        connection.execute("VACUUM ANALYZE").await?;
    }
    connection.close().await?;
    let expected = Expected {
        account_id: large,
        first_day: start.0.div_euclid(DAY_MICROS),
        mails: options.mails as i64,
        last_day_mails: week.last_day_mails(),
        recipients: options.recipients as i64,
    };
    Ok((expected, rows))
}

/// Each sends 10,000 mails to 2,000 recipients, two hours a day.
async fn fill_others(
    options: &Options,
    connection: &mut AnyConnection,
    accounts: &[(u64, i64)],
    start: UnixMicros,
    rows: &mut [usize; 3],
) -> Result<(), Fault> {
    const SLICES: usize = 24;
    for some in accounts.chunks(WEEKS_AT_ONCE) {
        let mut transaction = connection.begin().await?;
        for (seed, account_id) in some {
            let shape = Shape {
                mails: 10_000,
                recipients: 2_000,
                senders: 2,
                tags: 3,
                slices_a_day: SLICES,
                first_slice: *seed as usize % (DAY_SLICES - SLICES + 1),
            };
            let week = Week::make(shape, start, *seed);
            add(rows, week.write(&mut transaction, *account_id, options.database.is_sqlite()).await?);
        }
        transaction.commit().await?;
    }
    Ok(())
}

fn add(rows: &mut [usize; 3], more: [usize; 3]) {
    rows.iter_mut().zip(more).for_each(|(all, more)| *all += more);
}
