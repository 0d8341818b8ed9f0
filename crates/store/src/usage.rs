//! Totals that are kept with every charge, so that a statement of any month reads hundreds of rows and not its
//! mails: usage by clock hour (R10) and what each package paid by local day, both net of reversals (R03).

use std::collections::BTreeMap;

use indicia_domain::ledger::charge::Source;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{TimeZone, UnixMicros, local_day, local_hour};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::bulk::Bulk;
use crate::{Result, Store};

/// One clock hour of the account's zone, `[hour_start, hour_end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageHour {
    pub hour_start: UnixMicros,
    pub hour_end: UnixMicros,
    /// Local day number.
    pub day: i64,
    pub free_mails: i64,
    pub package_mails: i64,
    pub payg_mails: i64,
    pub billed_mails: i64,
    pub billed_micros: i64,
}

/// Several hours together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageTotal {
    pub free_mails: i64,
    pub package_mails: i64,
    pub payg_mails: i64,
    pub billed_mails: i64,
    pub billed_micros: i64,
}

impl UsageTotal {
    pub fn mails(&self) -> i64 {
        self.free_mails + self.package_mails + self.payg_mails
    }
}

/// Mails of one local day that one package paid for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageDay {
    pub instance_id: String,
    pub day: i64,
    pub mails: i64,
}

static HOURS: Bulk = Bulk::new(
    "INSERT INTO usage_hour (account_id, hour_start, hour_end, day, free_mails, package_mails, payg_mails, billed_mails, \
     billed_micros, price_micros, bills) VALUES",
    "($, $, $, $, $, $, $, 0, 0, $, 0)",
    "ON CONFLICT (account_id, hour_start) DO UPDATE SET \
     price_micros = CASE WHEN usage_hour.price_micros = 0 THEN excluded.price_micros ELSE usage_hour.price_micros END, free_mails = usage_hour.free_mails + excluded.free_mails, \
     package_mails = usage_hour.package_mails + excluded.package_mails, payg_mails = usage_hour.payg_mails + excluded.payg_mails",
);
static DAYS: Bulk = Bulk::new(
    "INSERT INTO package_day (account_id, instance_id, day, mails) VALUES",
    "($, $, $, $)",
    "ON CONFLICT (account_id, instance_id, day) DO UPDATE SET mails = package_day.mails + excluded.mails",
);

/// What a transaction adds to the kept totals. Whoever uses it holds the accounts' locks.
#[derive(Debug, Default)]
pub(crate) struct UsageChange {
    hours: BTreeMap<(i64, i64), HourChange>,
    days: BTreeMap<(i64, String, i64), i64>,
}

#[derive(Debug, Default)]
struct HourChange {
    hour_end: i64,
    day: i64,
    mails: [i64; 3],
    /// Of one pay-as-you-go mail; 0: nothing to say about it.
    price_micros: i64,
}

impl UsageChange {
    /// Adds `mails` (negative: given back) of a message accepted `at`, charged to `source`.
    pub fn add(&mut self, account_id: i64, zone: &TimeZone, at: UnixMicros, source: &Source, mails: i64) {
        let (hour, day) = (local_hour(zone, at), local_day(zone, at).number);
        self.add_at(account_id, hour, day, source, mails);
    }

    /// The same for callers that know the hour and the day already.
    pub fn add_at(
        &mut self,
        account_id: i64,
        hour: indicia_domain::time::LocalHour,
        day: i64,
        source: &Source,
        mails: i64,
    ) {
        let change = self.hours.entry((account_id, hour.start.0)).or_default();
        (change.hour_end, change.day) = (hour.end.0, day);
        let column = match source {
            Source::Free => 0,
            Source::Package(_) => 1,
            Source::PayAsYouGo => 2,
        };
        change.mails[column] += mails;
        if let Source::Package(instance) = source {
            *self.days.entry((account_id, instance.clone(), day)).or_default() += mails;
        }
    }

    /// The price of the pay-as-you-go mails that were added to an hour: it stays the hour's (R10).
    pub fn price(&mut self, account_id: i64, hour: indicia_domain::time::LocalHour, price: MoneyMicros) {
        if let Some(change) = self.hours.get_mut(&(account_id, hour.start.0))
            && change.mails[2] > 0
        {
            change.price_micros = price.0;
        }
    }

    pub async fn write(self, connection: &mut AnyConnection) -> Result<()> {
        let hours: Vec<_> = self.hours.into_iter().collect();
        HOURS
            .run(connection, &hours, |query, ((account_id, start), change)| {
                let query = query.bind(*account_id).bind(*start).bind(change.hour_end).bind(change.day);
                let query = change.mails.iter().fold(query, |query, mails| query.bind(*mails));
                query.bind(change.price_micros)
            })
            .await?;
        let days: Vec<_> = self.days.into_iter().collect();
        DAYS.run(connection, &days, |query, ((account_id, instance, day), mails)| {
            query.bind(*account_id).bind(instance.clone()).bind(*day).bind(*mails)
        })
        .await?;
        Ok(())
    }
}

const SUMS: &str = "CAST(COALESCE(SUM(free_mails), 0) AS BIGINT), CAST(COALESCE(SUM(package_mails), 0) AS BIGINT), \
    CAST(COALESCE(SUM(payg_mails), 0) AS BIGINT), CAST(COALESCE(SUM(billed_mails), 0) AS BIGINT), \
    CAST(COALESCE(SUM(billed_micros), 0) AS BIGINT)";

impl Store {
    /// The hours with usage that begin in `[from, before)`, ascending.
    pub async fn usage_hours(
        &self,
        account_id: i64,
        from: UnixMicros,
        before: UnixMicros,
    ) -> Result<Vec<UsageHour>> {
        let rows = sqlx::query(
            "SELECT hour_start, hour_end, day, free_mails, package_mails, payg_mails, billed_mails, billed_micros \
             FROM usage_hour WHERE account_id = $1 AND hour_start >= $2 AND hour_start < $3 ORDER BY hour_start",
        )
        .bind(account_id)
        .bind(from.0)
        .bind(before.0)
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(UsageHour {
                    hour_start: UnixMicros(row.try_get(0)?),
                    hour_end: UnixMicros(row.try_get(1)?),
                    day: row.try_get(2)?,
                    free_mails: row.try_get(3)?,
                    package_mails: row.try_get(4)?,
                    payg_mails: row.try_get(5)?,
                    billed_mails: row.try_get(6)?,
                    billed_micros: row.try_get(7)?,
                })
            })
            .collect()
    }

    /// The sum of the hours that begin in `[from, before)`.
    pub async fn usage_total(
        &self,
        account_id: i64,
        from: UnixMicros,
        before: UnixMicros,
    ) -> Result<UsageTotal> {
        let sql = format!(
            "SELECT {SUMS} FROM usage_hour WHERE account_id = $1 AND hour_start >= $2 AND hour_start < $3"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(account_id)
            .bind(from.0)
            .bind(before.0)
            .fetch_one(self.read())
            .await?;
        total_of(&row, 0)
    }

    /// The same by local day number, ascending; days without usage are left out.
    pub async fn usage_days(
        &self,
        account_id: i64,
        from: UnixMicros,
        before: UnixMicros,
    ) -> Result<Vec<(i64, UsageTotal)>> {
        let sql = format!(
            "SELECT day, {SUMS} FROM usage_hour WHERE account_id = $1 AND hour_start >= $2 AND hour_start < $3 \
             GROUP BY day ORDER BY day"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(account_id)
            .bind(from.0)
            .bind(before.0)
            .fetch_all(self.read())
            .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, total_of(row, 1)?))).collect()
    }

    /// What packages paid for on local days `[from_day, before_day)`, by instance and day.
    pub async fn package_days(
        &self,
        account_id: i64,
        from_day: i64,
        before_day: i64,
    ) -> Result<Vec<PackageDay>> {
        let rows = sqlx::query(
            "SELECT instance_id, day, mails FROM package_day WHERE account_id = $1 AND day >= $2 AND day < $3 \
             ORDER BY instance_id, day",
        )
        .bind(account_id)
        .bind(from_day)
        .bind(before_day)
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(PackageDay { instance_id: row.try_get(0)?, day: row.try_get(1)?, mails: row.try_get(2)? })
            })
            .collect()
    }

    /// Net mails that a package paid for before a local day.
    pub async fn package_total_before(
        &self,
        account_id: i64,
        instance_id: &str,
        before_day: i64,
    ) -> Result<i64> {
        let row = sqlx::query(
            "SELECT CAST(COALESCE(SUM(mails), 0) AS BIGINT) FROM package_day \
             WHERE account_id = $1 AND instance_id = $2 AND day < $3",
        )
        .bind(account_id)
        .bind(instance_id.to_owned())
        .bind(before_day)
        .fetch_one(self.read())
        .await?;
        Ok(row.try_get(0)?)
    }
}

fn total_of(row: &AnyRow, from: usize) -> Result<UsageTotal> {
    Ok(UsageTotal {
        free_mails: row.try_get(from)?,
        package_mails: row.try_get(from + 1)?,
        payg_mails: row.try_get(from + 2)?,
        billed_mails: row.try_get(from + 3)?,
        billed_micros: row.try_get(from + 4)?,
    })
}
