//! The ledger's lines: added and read; balances as of an instant.

use indicia_domain::ledger::as_of::Sums;
pub use indicia_domain::ledger::as_of::{Balances, PackageBalance};
use indicia_domain::ledger::{LedgerAccount, Transfer, Unit, Validity};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::UnixMicros;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::bulk::Bulk;
use crate::{Result, Store, StoreError};

static APPEND: Bulk = Bulk::new(
    "INSERT INTO ledger (account_id, sequence, transaction_id, at, kind, unit, from_account, to_account, amount, \
     before_amount, after_amount, memo, valid_from, valid_until) VALUES",
    "($, $, $, $, $, $, $, $, $, $, $, $, $, $)",
    "",
);

pub(crate) const LINE: &str = "SELECT account_id, sequence, transaction_id, at, kind, unit, from_account, to_account, amount, \
    before_amount, after_amount, memo, valid_from, valid_until FROM ledger";

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
                .bind(line.validity.map(|validity| validity.from.0))
                .bind(line.validity.map(|validity| validity.until.0))
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

impl Store {
    /// The lines of one transaction (for a message: its charges and reversals), in order.
    pub async fn transaction_lines(&self, account_id: i64, transaction_id: i64) -> Result<Vec<Transfer>> {
        let mut connection = self.read().acquire().await?;
        lines_of(&mut connection, account_id, transaction_id).await
    }

    /// Lines that took mails from packages (sends) and brought them back (reversals), and operators' adjustments, by time. The lines of one
    /// package join: each one's `before` is the `after` of the one before it.
    pub async fn deductions(&self, query: &DeductionQuery) -> Result<Vec<Transfer>> {
        let (low, high) = match &query.instance_id {
            Some(instance) => {
                let account = LedgerAccount::Package(instance.clone()).to_string();
                (account.clone(), account)
            }
            // ';' follows ':' in the order of bytes.
            None => ("package:".to_owned(), "package;".to_owned()),
        };
        self.two_sided(query, &low, &high, [["send", "adjustment"], ["reversal", "adjustment"]]).await
    }

    /// Lines that charged mails to pay-as-you-go (sends) and gave them back (reversals), by time; the query's package
    /// is not looked at. What an hour's bill is made of.
    pub async fn pay_as_you_go_lines(&self, query: &DeductionQuery) -> Result<Vec<Transfer>> {
        let account = LedgerAccount::PayAsYouGo.to_string();
        self.two_sided(query, &account, &account, [["send"; 2], ["reversal"; 2]]).await
    }

    /// Lines that touch the cash balance, by time.
    pub async fn money_lines(
        &self,
        account_id: i64,
        from: UnixMicros,
        before: UnixMicros,
        after: Option<DeductionToken>,
        limit: i64,
        newest_first: bool,
    ) -> Result<Vec<Transfer>> {
        let query =
            DeductionQuery { account_id, instance_id: None, from, before, after, limit, newest_first };
        self.two_sided(&query, "cash", "cash", [["any"; 2]; 2]).await
    }

    /// Lines from a ledger account between `low` and `high` of the first `kinds`, or to one of the second. Each side has its
    /// index; a page takes at most a page from each.
    ///
    /// A single account is asked for by equality, so that its index gives the order too and nothing is sorted; and the
    /// token bounds the time besides its place within the instant, so that a page far into millions of lines is
    /// found by the index and not by passing over all before it.
    async fn two_sided(
        &self,
        query: &DeductionQuery,
        low: &str,
        high: &str,
        kinds: [[&str; 2]; 2],
    ) -> Result<Vec<Transfer>> {
        let (order, past) = if query.newest_first { ("DESC", "<") } else { ("ASC", ">") };
        let (at_least, at_most) = if low == high { ("=", "=") } else { (">=", "<=") };
        let side = |column: &str, other: &str, first: usize| {
            let [account, low, high, from, before, at, same, sequence, kind, also, any, limit] =
                std::array::from_fn(|place| first + place);
            format!(
                "SELECT * FROM ({LINE} WHERE account_id = ${account} AND {column} {at_least} ${low} AND {column} {at_most} ${high} \
                 AND at >= ${from} AND at < ${before} AND (at {past} ${at} OR (at = ${same} AND sequence {past} ${sequence})) \
                 AND (kind = ${kind} OR kind = ${also} OR ${any} = 'any'){other} ORDER BY at {order}, sequence {order} LIMIT ${limit}) AS {column}_side"
            )
        };
        let sql = format!(
            "{} UNION ALL {} ORDER BY at {order}, sequence {order} LIMIT $25",
            side("from_account", "", 1),
            side("to_account", " AND to_account <> 'consumed'", 13)
        );
        let start = if query.newest_first { i64::MAX } else { i64::MIN };
        let (at, sequence) = query.after.map_or((start, start), |token| (token.at, token.sequence));
        let (from, before) = match query.after {
            Some(token) if query.newest_first => {
                (query.from.0, query.before.0.min(token.at.saturating_add(1)))
            }
            Some(token) => (query.from.0.max(token.at), query.before.0),
            None => (query.from.0, query.before.0),
        };
        let mut prepared = sqlx::query(AssertSqlSafe(sql));
        for [kind, also] in kinds {
            prepared = prepared
                .bind(query.account_id)
                .bind(low.to_owned())
                .bind(high.to_owned())
                .bind(from)
                .bind(before)
                .bind(at)
                .bind(at)
                .bind(sequence)
                .bind(kind.to_owned())
                .bind(also.to_owned())
                .bind(kind.to_owned())
                .bind(query.limit);
        }
        let rows = prepared.bind(query.limit).fetch_all(self.read()).await?;
        rows.iter().map(transfer_of).collect()
    }

    /// The cash balance just before an instant.
    pub async fn cash_before(&self, account_id: i64, at: UnixMicros) -> Result<MoneyMicros> {
        let row = sqlx::query(
            "SELECT CAST(COALESCE((SELECT SUM(amount) FROM ledger WHERE account_id = $1 AND to_account = 'cash' AND to_account <> 'consumed' AND at < $2), 0) AS BIGINT) \
             - CAST(COALESCE((SELECT SUM(amount) FROM ledger WHERE account_id = $3 AND from_account = 'cash' AND at < $4), 0) AS BIGINT)",
        )
        .bind(account_id)
        .bind(at.0)
        .bind(account_id)
        .bind(at.0)
        .fetch_one(self.read())
        .await?;
        Ok(MoneyMicros(row.try_get(0)?))
    }

    /// The operator's adjustments of mails (R25), in the order of booking. Found by where the mails went, never by where
    /// they came from: a package's sends may be millions.
    pub async fn mail_adjustments(&self, account_id: i64) -> Result<Vec<Transfer>> {
        // Ranges for single names too: for an equality SQLite, which has no statistics, would rather walk the table.
        let side = |low: &str, high: &str, account: usize| {
            format!(
                "{LINE} WHERE account_id = ${account} AND to_account >= '{low}' AND to_account <= '{high}' \
                 AND to_account <> 'consumed' AND kind = 'adjustment' AND unit = 'mail'"
            )
        };
        let sql = format!(
            "{} UNION ALL {} UNION ALL {} ORDER BY sequence",
            side("package:", "package;", 1),
            side("free", "free", 2),
            side("granted", "granted", 3)
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for _ in 0..3 {
            query = query.bind(account_id);
        }
        let rows = query.fetch_all(self.read()).await?;
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

    /// R27: the balances as of an instant, past or future, from the lines alone: what lapses in packages by then is
    /// lapsed.
    pub async fn balances_as_of(&self, account_id: i64, as_of: UnixMicros) -> Result<Balances> {
        let rows = sqlx::query(
            "SELECT kind, from_account, to_account, CAST(SUM(amount) AS BIGINT) FROM ledger \
             WHERE account_id = $1 AND at <= $2 GROUP BY kind, from_account, to_account",
        )
        .bind(account_id)
        .bind(as_of.0)
        .fetch_all(self.read())
        .await?;
        let unknown = |error: indicia_domain::ledger::UnknownName| StoreError::Corrupt(error.to_string());
        let mut sums = Sums::default();
        for row in rows {
            let kind = row.try_get::<String, _>(0)?.parse().map_err(unknown)?;
            let from: LedgerAccount = row.try_get::<String, _>(1)?.parse().map_err(unknown)?;
            let to: LedgerAccount = row.try_get::<String, _>(2)?.parse().map_err(unknown)?;
            sums.add(kind, &from, &to, row.try_get(3)?);
        }
        let granting = "SELECT to_account, valid_from, valid_until FROM ledger \
             WHERE account_id = $1 AND from_account = 'granted' AND at <= $2 AND valid_until IS NOT NULL";
        for row in sqlx::query(granting).bind(account_id).bind(as_of.0).fetch_all(self.read()).await? {
            let to: LedgerAccount = row.try_get::<String, _>(0)?.parse().map_err(unknown)?;
            if let (LedgerAccount::Package(instance), Some(validity)) =
                (to, validity_of(row.try_get(1)?, row.try_get(2)?))
            {
                sums.set_validity(&instance, validity);
            }
        }
        Ok(sums.balances(as_of))
    }

    /// A transaction that sees one state of the database throughout.
    pub(crate) async fn snapshot(&self) -> Result<sqlx::Transaction<'static, sqlx::Any>> {
        self.inner.connections.begin_snapshot().await
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

pub(crate) fn transfer_of(row: &AnyRow) -> Result<Transfer> {
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
        validity: validity_of(row.try_get(12)?, row.try_get(13)?),
    })
}

fn validity_of(from: Option<i64>, until: Option<i64>) -> Option<Validity> {
    Some(Validity { from: UnixMicros(from?), until: UnixMicros(until?) })
}
