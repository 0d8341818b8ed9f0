//! The ledger's lines: added, read, and replayed.

use std::collections::HashMap;

use indicia_domain::ledger::verify::{Replay, Stored, Violation};
use indicia_domain::ledger::{LedgerAccount, Transfer, Unit};
use indicia_domain::time::UnixMicros;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::bulk::Bulk;
use crate::package::PackageFilter;
use crate::{Result, Store, StoreError};

static APPEND: Bulk = Bulk::new(
    "INSERT INTO ledger (account_id, sequence, transaction_id, at, kind, unit, from_account, to_account, amount, \
     before_amount, after_amount, memo) VALUES",
    "($, $, $, $, $, $, $, $, $, $, $, $)",
    "",
);

const LINE: &str = "SELECT account_id, sequence, transaction_id, at, kind, unit, from_account, to_account, amount, \
    before_amount, after_amount, memo FROM ledger";

/// Adds lines. Nothing in this crate changes or removes one (R27).
pub(crate) async fn append(connection: &mut AnyConnection, lines: &[Transfer]) -> Result<()> {
    APPEND
        .run(connection, lines, |query, line| {
            query
                .bind(line.account_id)
                .bind(line.sequence)
                .bind(line.transaction_id)
                .bind(line.at.0)
                .bind(line.kind.as_str())
                .bind(line.unit.as_str())
                .bind(line.from.to_string())
                .bind(line.to.to_string())
                .bind(line.amount)
                .bind(line.before)
                .bind(line.after)
                .bind(line.memo.clone())
        })
        .await?;
    Ok(())
}

/// Which deductions to list. `after` is the token of the last line of the page before.
#[derive(Clone, Debug)]
pub struct DeductionQuery {
    pub account_id: i64,
    /// `None`: of all packages.
    pub instance_id: Option<String>,
    pub from: UnixMicros,
    pub before: UnixMicros,
    pub after: Option<DeductionToken>,
    pub limit: i64,
    pub newest_first: bool,
}

/// A place in a list of deductions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeductionToken {
    pub at: i64,
    pub sequence: i64,
}

/// Balances of one account as of an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balances {
    pub free_mails: i64,
    /// Mails charged to pay-as-you-go.
    pub pay_as_you_go_mails: i64,
    pub cash_micros: i64,
    pub packages: Vec<PackageBalance>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageBalance {
    pub instance_id: String,
    pub granted: i64,
    /// Usable at the instant: 0 from the end on.
    pub remaining: i64,
    pub consumed: i64,
    pub lapsed: i64,
}

/// What a verification looked at and found.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    pub accounts: u64,
    pub lines: u64,
    pub messages: u64,
    pub mails: i64,
    pub violations: Vec<Violation>,
}

impl Store {
    /// The lines of one transaction (for a message: its charges and reversals), in order.
    pub async fn transaction_lines(&self, account_id: i64, transaction_id: i64) -> Result<Vec<Transfer>> {
        let mut connection = self.read().acquire().await?;
        lines_of(&mut connection, account_id, transaction_id).await
    }

    /// Lines by which packages paid, by time.
    pub async fn deductions(&self, query: &DeductionQuery) -> Result<Vec<Transfer>> {
        let (low, high) = match &query.instance_id {
            Some(instance) => {
                let account = LedgerAccount::Package(instance.clone()).to_string();
                (account.clone(), account)
            }
            // ';' follows ':' in the order of bytes.
            None => ("package:".to_owned(), "package;".to_owned()),
        };
        let (order, past) = if query.newest_first { ("DESC", "<") } else { ("ASC", ">") };
        let sql = format!(
            "{LINE} WHERE account_id = $1 AND from_account >= $2 AND from_account <= $3 AND at >= $4 AND at < $5 \
             AND (at {past} $6 OR (at = $7 AND sequence {past} $8)) AND kind = 'send' ORDER BY at {order}, sequence {order} LIMIT $9"
        );
        let start = if query.newest_first { i64::MAX } else { i64::MIN };
        let (at, sequence) = query.after.map_or((start, start), |token| (token.at, token.sequence));
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(query.account_id)
            .bind(low)
            .bind(high)
            .bind(query.from.0)
            .bind(query.before.0)
            .bind(at)
            .bind(at)
            .bind(sequence)
            .bind(query.limit)
            .fetch_all(self.read())
            .await?;
        rows.iter().map(transfer_of).collect()
    }

    /// The newest lines of an account, before line `before` (or from the end), at most `limit`.
    pub async fn ledger_lines(
        &self,
        account_id: i64,
        before: Option<i64>,
        unit: Option<Unit>,
        limit: i64,
    ) -> Result<Vec<Transfer>> {
        let sql = format!(
            "{LINE} WHERE account_id = $1 AND sequence < $2 AND (unit = $3 OR $4 = 'any') ORDER BY sequence DESC LIMIT $5"
        );
        let unit = unit.map_or("any", Unit::as_str);
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(account_id)
            .bind(before.unwrap_or(i64::MAX))
            .bind(unit)
            .bind(unit)
            .bind(limit)
            .fetch_all(self.read())
            .await?;
        rows.iter().map(transfer_of).collect()
    }

    /// R27: the balances as of an instant, past or future, from the lines alone.
    pub async fn balances_as_of(&self, account_id: i64, as_of: UnixMicros) -> Result<Balances> {
        let rows = sqlx::query(
            "SELECT from_account, to_account, unit, CAST(SUM(amount) AS BIGINT) FROM ledger \
             WHERE account_id = $1 AND at <= $2 GROUP BY from_account, to_account, unit",
        )
        .bind(account_id)
        .bind(as_of.0)
        .fetch_all(self.read())
        .await?;
        let mut sums: HashMap<String, i64> = HashMap::new();
        for row in rows {
            let amount: i64 = row.try_get(3)?;
            *sums.entry(row.try_get(0)?).or_default() -= amount;
            *sums.entry(row.try_get(1)?).or_default() += amount;
        }
        let sum = |account: LedgerAccount| sums.get(&account.to_string()).copied().unwrap_or(0);
        let packages = self.packages(account_id, &PackageFilter::default()).await?;
        let packages = packages.iter().filter(|row| row.package.purchased_at <= as_of).map(|row| {
            let left = sum(LedgerAccount::Package(row.package.instance_id.clone()));
            let ended = as_of >= row.package.ends_at;
            PackageBalance {
                instance_id: row.package.instance_id.clone(),
                granted: row.package.granted,
                remaining: if ended { 0 } else { left },
                consumed: row.package.granted - left,
                lapsed: if ended { left } else { 0 },
            }
        });
        Ok(Balances {
            free_mails: sum(LedgerAccount::Free),
            pay_as_you_go_mails: -sum(LedgerAccount::PayAsYouGo),
            cash_micros: sum(LedgerAccount::Cash),
            packages: packages.collect(),
        })
    }

    /// Replays every account's ledger against R25 and R26. Reads each account in one snapshot, so that it can
    /// run beside a server that accepts mail.
    pub async fn verify_ledger(&self) -> Result<Verification> {
        let mut found = Verification::default();
        let mut last = i64::MIN;
        loop {
            let accounts = self.accounts(last, 100).await?;
            let Some(end) = accounts.last() else { return Ok(found) };
            last = end.account_id;
            for account in &accounts {
                self.verify_account(account.account_id, &mut found).await?;
            }
        }
    }

    async fn verify_account(&self, account_id: i64, found: &mut Verification) -> Result<()> {
        let mut snapshot = self.snapshot().await?;
        let Some(stored) = stored_account(&mut snapshot, account_id).await? else {
            found.violations.push(Violation { account_id, what: "the account has no state row".to_owned() });
            return Ok(());
        };
        let mut replay = Replay::new(account_id);
        let mut after = 0;
        loop {
            let sql = format!("{LINE} WHERE account_id = $1 AND sequence > $2 ORDER BY sequence LIMIT 5000");
            let rows = sqlx::query(AssertSqlSafe(sql))
                .bind(account_id)
                .bind(after)
                .fetch_all(&mut *snapshot)
                .await?;
            for row in &rows {
                let line = transfer_of(row)?;
                after = line.sequence;
                replay.line(&line);
            }
            found.lines += rows.len() as u64;
            if rows.len() < 5000 {
                break;
            }
        }
        verify_messages(&mut snapshot, account_id, &mut replay, found).await?;
        found.accounts += 1;
        found.violations.extend(replay.finish(&stored));
        snapshot.rollback().await?;
        Ok(())
    }

    /// A transaction that sees one state of the database throughout.
    async fn snapshot(&self) -> Result<sqlx::Transaction<'static, sqlx::Any>> {
        let begin = match self.engine() {
            crate::Engine::Sqlite => "BEGIN DEFERRED",
            crate::Engine::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        Ok(self.read().begin_with(begin).await?)
    }
}

/// The lines of one transaction, in the caller's own.
pub(crate) async fn lines_of(
    connection: &mut AnyConnection,
    account_id: i64,
    transaction_id: i64,
) -> Result<Vec<Transfer>> {
    let rows = sqlx::query(AssertSqlSafe(format!(
        "{LINE} WHERE account_id = $1 AND transaction_id = $2 ORDER BY sequence"
    )))
    .bind(account_id)
    .bind(transaction_id)
    .fetch_all(connection)
    .await?;
    rows.iter().map(transfer_of).collect()
}

/// Every message is charged exactly its recipients, less those refused at intake and those cancelled (R01, R03).
async fn verify_messages(
    connection: &mut AnyConnection,
    account_id: i64,
    replay: &mut Replay,
    found: &mut Verification,
) -> Result<()> {
    let mut after = 0;
    loop {
        let rows = sqlx::query(
            "SELECT m.message_id, m.recipient_count - m.refused_count, \
             (SELECT COUNT(*) FROM recipient r WHERE r.account_id = m.account_id AND r.message_id = m.message_id), \
             (SELECT COUNT(*) FROM recipient r WHERE r.account_id = m.account_id AND r.message_id = m.message_id AND (r.state = 5 OR r.classification = 'SysOutInternal' AND r.state = 4)), \
             m.recipient_count, \
             (SELECT COUNT(*) FROM recipient r WHERE r.account_id = m.account_id AND r.message_id = m.message_id AND r.state = 1), \
             (SELECT COUNT(*) FROM queue q WHERE q.account_id = m.account_id AND q.message_id = m.message_id) \
             FROM message m WHERE m.account_id = $1 AND m.message_id > $2 ORDER BY m.message_id LIMIT 2000",
        )
        .bind(account_id)
        .bind(after)
        .fetch_all(&mut *connection)
        .await?;
        for row in &rows {
            let message_id: i64 = row.try_get(0)?;
            let number = |column: usize| row.try_get::<i64, _>(column);
            let (accepted, kept, cancelled, all) = (number(1)?, number(2)?, number(3)?, number(4)?);
            let (waiting, queued) = (number(5)?, number(6)?);
            let charged = replay.take_charged(message_id);
            let mut violation = |what: String| found.violations.push(Violation { account_id, what });
            if charged != accepted - cancelled {
                violation(format!(
                    "message {message_id}: {} mails to be paid for, {charged} charged",
                    accepted - cancelled
                ));
            }
            if kept != all {
                violation(format!("message {message_id}: {all} recipients accepted or refused, {kept} kept"));
            }
            if waiting != queued {
                violation(format!(
                    "message {message_id}: {waiting} recipients wait, {queued} are in the queue"
                ));
            }
            found.messages += 1;
            found.mails += accepted;
            after = message_id;
        }
        if rows.len() < 2000 {
            return Ok(());
        }
    }
}

async fn stored_account(connection: &mut AnyConnection, account_id: i64) -> Result<Option<Stored>> {
    let row = sqlx::query(
        "SELECT free_left, payg_mails, cash_micros, ledger_sequence FROM account_state WHERE account_id = $1",
    )
    .bind(account_id)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let packages = crate::package::all_packages(connection, account_id).await?;
    Ok(Some(Stored {
        free_left: row.try_get(0)?,
        pay_as_you_go_mails: row.try_get(1)?,
        cash_micros: row.try_get(2)?,
        sequence: row.try_get(3)?,
        packages: packages.into_iter().map(|row| row.package).collect(),
    }))
}

fn transfer_of(row: &AnyRow) -> Result<Transfer> {
    let unknown = |error: indicia_domain::ledger::UnknownName| StoreError::Corrupt(error.to_string());
    Ok(Transfer {
        account_id: row.try_get(0)?,
        sequence: row.try_get(1)?,
        transaction_id: row.try_get(2)?,
        at: UnixMicros(row.try_get(3)?),
        kind: row.try_get::<String, _>(4)?.parse().map_err(unknown)?,
        unit: row.try_get::<String, _>(5)?.parse().map_err(unknown)?,
        from: row.try_get::<String, _>(6)?.parse().map_err(unknown)?,
        to: row.try_get::<String, _>(7)?.parse().map_err(unknown)?,
        amount: row.try_get(8)?,
        before: row.try_get(9)?,
        after: row.try_get(10)?,
        memo: row.try_get(11)?,
    })
}
