//! Every account's rows held against its ledger (R25, R26): reads them and lets the domain's
//! [`Replay`] judge.
//!
//! Accounts are read one by one, each in one snapshot, so that it can run beside a server that accepts mail. An account
//! with a row that cannot be read is named, and the others go on.

use indicia_domain::account::AccountStatus;
use indicia_domain::ledger::verify::{
    FreeCreditRule, Replay, Stored, StoredBill, StoredDay, StoredHour, StoredOrder, StoredPackage,
    StoredSettlement, StoredTopUp, Violation,
};
use indicia_domain::time::{TimeZone, UnixMicros, zone};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::ledger::{LINE, transfer_of};
use crate::package::PackageRow;
use crate::{Result, Store, StoreError};

/// What a verification looked at and found.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    pub accounts: u64,
    pub lines: u64,
    pub messages: u64,
    pub mails: i64,
    pub violations: Vec<Violation>,
}

/// Lines and messages read at a time.
const LINES: i64 = 5_000;
const MESSAGES: i64 = 2_000;

impl Store {
    /// Replays every account's ledger, but for the daily maximum of the free credit, which is configuration.
    pub async fn verify_ledger(&self) -> Result<Verification> {
        self.verify(None).await
    }

    /// Replays every account's ledger, the daily maximum of the free credit (R04, R06) included.
    pub async fn verify_ledger_by(&self, free: FreeCreditRule) -> Result<Verification> {
        self.verify(Some(free)).await
    }

    async fn verify(&self, free: Option<FreeCreditRule>) -> Result<Verification> {
        let mut found = Verification::default();
        let mut last = i64::MIN;
        while let Some(account_id) = self.next_account(last).await? {
            self.verify_account(account_id, free, &mut found).await?;
            last = account_id;
        }
        Ok(found)
    }

    /// The next account that has a row, a state or a line: none of them must be without the others.
    async fn next_account(&self, after: i64) -> Result<Option<i64>> {
        let row = sqlx::query(
            "SELECT MIN(account_id) FROM (SELECT MIN(account_id) AS account_id FROM account WHERE account_id > $1 \
             UNION ALL SELECT MIN(account_id) FROM account_state WHERE account_id > $2 \
             UNION ALL SELECT MIN(account_id) FROM ledger WHERE account_id > $3) AS first",
        )
        .bind(after)
        .bind(after)
        .bind(after)
        .fetch_one(self.read())
        .await?;
        Ok(row.try_get(0)?)
    }

    async fn verify_account(
        &self,
        account_id: i64,
        free: Option<FreeCreditRule>,
        found: &mut Verification,
    ) -> Result<()> {
        let mut snapshot = self.snapshot().await?;
        found.accounts += 1;
        let zone = match zone_of(&mut snapshot, account_id).await {
            Ok(zone) => zone,
            Err(error) => {
                found.violations.push(Violation { account_id, what: unreadable(error)? });
                return Ok(());
            }
        };
        let mut replay = Replay::new(account_id, zone);
        if let Some(free) = free {
            replay.judge_free_credit(free);
        }
        let read = read_account(&mut snapshot, account_id, &mut replay, found).await;
        found.violations.extend(match read {
            Ok(stored) => replay.finish(&stored),
            Err(error) => {
                replay.violation(unreadable(error)?);
                replay.abandon()
            }
        });
        snapshot.rollback().await?;
        Ok(())
    }
}

/// What an error of the data says; errors of the database itself are passed on.
fn unreadable(error: StoreError) -> Result<String> {
    let of_the_data = matches!(
        &error,
        StoreError::Corrupt(_)
            | StoreError::Database(sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_))
    );
    match of_the_data {
        true => Ok(format!("could not be read, and was not looked at any further: {error}")),
        false => Err(error),
    }
}

async fn zone_of(connection: &mut AnyConnection, account_id: i64) -> Result<TimeZone> {
    let row = sqlx::query("SELECT zone FROM account WHERE account_id = $1")
        .bind(account_id)
        .fetch_optional(connection)
        .await?;
    let row = row.ok_or_else(|| {
        StoreError::Corrupt("there are lines or a state row, but there is no such account".to_owned())
    })?;
    zone(&row.try_get::<String, _>(0)?).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// Gives the replay every line, compares the messages, and reads the rest.
async fn read_account(
    connection: &mut AnyConnection,
    account_id: i64,
    replay: &mut Replay,
    found: &mut Verification,
) -> Result<Stored> {
    let mut after = i64::MIN;
    loop {
        let sql = format!("{LINE} WHERE account_id = $1 AND sequence > $2 ORDER BY sequence LIMIT {LINES}");
        let rows =
            sqlx::query(AssertSqlSafe(sql)).bind(account_id).bind(after).fetch_all(&mut *connection).await?;
        for row in &rows {
            after = row.try_get(1)?;
            let line = transfer_of(row).map_err(|error| match error {
                StoreError::Corrupt(what) => StoreError::Corrupt(format!("line {after}: {what}")),
                other => other,
            })?;
            replay.line(&line);
        }
        found.lines += rows.len() as u64;
        if rows.len() < LINES as usize {
            break;
        }
    }
    verify_messages(connection, account_id, replay, found).await?;
    stored_account(connection, account_id).await
}

/// Every message is charged exactly its recipients, less those refused at intake and those cancelled (R01, R03).
async fn verify_messages(
    connection: &mut AnyConnection,
    account_id: i64,
    replay: &mut Replay,
    found: &mut Verification,
) -> Result<()> {
    let sql = format!(
        "SELECT m.message_id, m.recipient_count - m.refused_count, \
         (SELECT COUNT(*) FROM recipient r WHERE r.account_id = m.account_id AND r.message_id = m.message_id), \
         (SELECT COUNT(*) FROM recipient r WHERE r.account_id = m.account_id AND r.message_id = m.message_id AND (r.state = 5 OR r.classification = 'SysOutInternal' AND r.state = 4)), \
         m.recipient_count, \
         (SELECT COUNT(*) FROM recipient r WHERE r.account_id = m.account_id AND r.message_id = m.message_id AND r.state = 1), \
         (SELECT COUNT(*) FROM queue q WHERE q.account_id = m.account_id AND q.message_id = m.message_id) \
         FROM message m WHERE m.account_id = $1 AND m.message_id > $2 ORDER BY m.message_id LIMIT {MESSAGES}"
    );
    let mut after = i64::MIN;
    loop {
        let rows = sqlx::query(AssertSqlSafe(sql.clone()))
            .bind(account_id)
            .bind(after)
            .fetch_all(&mut *connection)
            .await?;
        for row in &rows {
            after = row.try_get(0)?;
            found.messages += 1;
            found.mails += row.try_get::<i64, _>(1)?;
            verify_message(row, replay)?;
        }
        if rows.len() < MESSAGES as usize {
            return Ok(());
        }
    }
}

fn verify_message(row: &AnyRow, replay: &mut Replay) -> Result<()> {
    let message_id: i64 = row.try_get(0)?;
    let number = |column: usize| row.try_get::<i64, _>(column);
    let (accepted, kept, cancelled, all) = (number(1)?, number(2)?, number(3)?, number(4)?);
    let (waiting, queued) = (number(5)?, number(6)?);
    let charged = replay.take_charged(message_id);
    if charged != accepted - cancelled {
        replay.violation(format!(
            "message {message_id}: {} mails to be paid for, {charged} charged",
            accepted - cancelled
        ));
    }
    if kept != all {
        replay.violation(format!("message {message_id}: {all} recipients accepted or refused, {kept} kept"));
    }
    if waiting != queued {
        replay
            .violation(format!("message {message_id}: {waiting} recipients wait, {queued} are in the queue"));
    }
    Ok(())
}

async fn stored_account(connection: &mut AnyConnection, account_id: i64) -> Result<Stored> {
    let row = sqlx::query(
        "SELECT free_left, free_day, free_day_used, payg_mails, cash_micros, open_micros, due_micros, status, overdue_since, \
         ledger_sequence FROM account_state WHERE account_id = $1",
    )
    .bind(account_id)
    .fetch_optional(&mut *connection)
    .await?;
    let row = row.ok_or_else(|| StoreError::Corrupt("the account has no state row".to_owned()))?;
    let packages = crate::package::all_packages(connection, account_id).await?;
    Ok(Stored {
        free_left: row.try_get(0)?,
        free_day: row.try_get(1)?,
        free_day_used: row.try_get(2)?,
        pay_as_you_go_mails: row.try_get(3)?,
        cash_micros: row.try_get(4)?,
        open_micros: row.try_get(5)?,
        due_micros: row.try_get(6)?,
        is_overdue: AccountStatus(row.try_get(7)?).has(AccountStatus::OVERDUE),
        overdue_since: row.try_get::<Option<i64>, _>(8)?.map(UnixMicros),
        sequence: row.try_get(9)?,
        packages: packages.into_iter().map(stored_package).collect(),
        orders: stored_orders(connection, account_id).await?,
        hours: stored_hours(connection, account_id).await?,
        days: stored_days(connection, account_id).await?,
        bills: stored_bills(connection, account_id).await?,
        settlements: stored_settlements(connection, account_id).await?,
        top_ups: stored_top_ups(connection, account_id).await?,
    })
}

fn stored_package(row: PackageRow) -> StoredPackage {
    StoredPackage {
        package: row.package,
        specification: row.specification,
        price_micros: row.price.0,
        order_id: row.order_id,
        closed_at: row.closed_at,
        replaced_by: row.replaced_by,
        renewal_of: row.renewal_of,
    }
}

async fn stored_orders(connection: &mut AnyConnection, account_id: i64) -> Result<Vec<StoredOrder>> {
    let sql = "SELECT order_id, kind, at, specification, quantity, amount_micros, related_instance FROM purchase_order \
         WHERE account_id = $1 ORDER BY order_id";
    let rows = sqlx::query(sql).bind(account_id).fetch_all(connection).await?;
    let order = |row: &AnyRow| {
        Ok(StoredOrder {
            order_id: row.try_get(0)?,
            kind: row.try_get(1)?,
            at: UnixMicros(row.try_get(2)?),
            specification: row.try_get(3)?,
            quantity: row.try_get(4)?,
            amount_micros: row.try_get(5)?,
            related_instance: row.try_get(6)?,
        })
    };
    rows.iter().map(order).collect()
}

async fn stored_hours(connection: &mut AnyConnection, account_id: i64) -> Result<Vec<StoredHour>> {
    let sql = "SELECT hour_start, hour_end, day, free_mails, package_mails, payg_mails, billed_mails, billed_micros, \
         price_micros, bills FROM usage_hour WHERE account_id = $1 ORDER BY hour_start";
    let rows = sqlx::query(sql).bind(account_id).fetch_all(connection).await?;
    let hour = |row: &AnyRow| {
        Ok(StoredHour {
            hour_start: UnixMicros(row.try_get(0)?),
            hour_end: UnixMicros(row.try_get(1)?),
            day: row.try_get(2)?,
            free_mails: row.try_get(3)?,
            package_mails: row.try_get(4)?,
            payg_mails: row.try_get(5)?,
            billed_mails: row.try_get(6)?,
            billed_micros: row.try_get(7)?,
            price_micros: row.try_get(8)?,
            bills: row.try_get(9)?,
        })
    };
    rows.iter().map(hour).collect()
}

async fn stored_days(connection: &mut AnyConnection, account_id: i64) -> Result<Vec<StoredDay>> {
    let sql = "SELECT instance_id, day, mails FROM package_day WHERE account_id = $1";
    let rows = sqlx::query(sql).bind(account_id).fetch_all(connection).await?;
    let day = |row: &AnyRow| {
        Ok(StoredDay { instance_id: row.try_get(0)?, day: row.try_get(1)?, mails: row.try_get(2)? })
    };
    rows.iter().map(day).collect()
}

async fn stored_bills(connection: &mut AnyConnection, account_id: i64) -> Result<Vec<StoredBill>> {
    let sql = "SELECT bill_id, hour_start, hour_end, day, number, mails, amount_micros, price_micros, made_at, due_at, \
         settled_at, settlement_id FROM bill WHERE account_id = $1 ORDER BY hour_start, number";
    let rows = sqlx::query(sql).bind(account_id).fetch_all(connection).await?;
    let bill = |row: &AnyRow| {
        Ok(StoredBill {
            bill_id: row.try_get(0)?,
            hour_start: UnixMicros(row.try_get(1)?),
            hour_end: UnixMicros(row.try_get(2)?),
            day: row.try_get(3)?,
            number: row.try_get(4)?,
            mails: row.try_get(5)?,
            amount_micros: row.try_get(6)?,
            price_micros: row.try_get(7)?,
            made_at: UnixMicros(row.try_get(8)?),
            due_at: row.try_get::<Option<i64>, _>(9)?.map(UnixMicros),
            settled_at: row.try_get::<Option<i64>, _>(10)?.map(UnixMicros),
            settlement_id: row.try_get(11)?,
        })
    };
    rows.iter().map(bill).collect()
}

async fn stored_settlements(
    connection: &mut AnyConnection,
    account_id: i64,
) -> Result<Vec<StoredSettlement>> {
    let sql = "SELECT settlement_id, at, cause, bills, amount_micros FROM settlement WHERE account_id = $1 ORDER BY settlement_id";
    let rows = sqlx::query(sql).bind(account_id).fetch_all(connection).await?;
    let settlement = |row: &AnyRow| {
        Ok(StoredSettlement {
            settlement_id: row.try_get(0)?,
            at: UnixMicros(row.try_get(1)?),
            cause: row.try_get(2)?,
            bills: row.try_get(3)?,
            amount_micros: row.try_get(4)?,
        })
    };
    rows.iter().map(settlement).collect()
}

async fn stored_top_ups(connection: &mut AnyConnection, account_id: i64) -> Result<Vec<StoredTopUp>> {
    let sql = "SELECT provider, payment_reference, amount_micros, at, transaction_id FROM top_up WHERE account_id = $1 ORDER BY at";
    let rows = sqlx::query(sql).bind(account_id).fetch_all(connection).await?;
    let top_up = |row: &AnyRow| {
        Ok(StoredTopUp {
            provider: row.try_get(0)?,
            payment_reference: row.try_get(1)?,
            amount_micros: row.try_get(2)?,
            at: UnixMicros(row.try_get(3)?),
            transaction_id: row.try_get(4)?,
        })
    };
    rows.iter().map(top_up).collect()
}
