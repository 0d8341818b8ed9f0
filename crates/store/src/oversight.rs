//! What operators see of all accounts together: who owes, what was sold, whom a notice did not reach, who did
//! what. Reads only.
//!
//! Lists are walked by the key of their last row, so that a page costs the same however long the list is. Sums
//! over all accounts read the rows of one month.

use indicia_domain::account::AccountStatus;
use indicia_domain::ledger::{Transfer, Unit};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{DAY_MICROS, UnixMicros};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::audit::AuditEntry;
use crate::{Result, Store};

/// Days whose usage makes the pace at which an account draws on its packages.
pub const PACE_DAYS: i64 = 30;

/// In which order accounts are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountOrder {
    /// As they were made.
    Created,
    /// Who owes most comes first: billed and not yet paid.
    OwesMost,
    /// Whose packages run out first at the pace of the last [`PACE_DAYS`] days; only accounts with mails left.
    RunsOutFirst,
}

#[derive(Clone, Debug)]
pub struct AccountMoneyQuery {
    pub order: AccountOrder,
    pub only_overdue: bool,
    /// The sort key and the id of the last account of the page before.
    pub after: Option<(i64, i64)>,
    pub limit: i64,
}

/// An account with what an operator looks at first.
#[derive(Clone, Debug)]
pub struct AccountMoney {
    pub account_id: i64,
    pub name: String,
    pub email: String,
    pub zone: String,
    pub created_at: UnixMicros,
    pub status: AccountStatus,
    pub cash: MoneyMicros,
    pub credit_limit: MoneyMicros,
    /// Billed and not yet paid.
    pub open: MoneyMicros,
    /// Of it, called in.
    pub due: MoneyMicros,
    pub overdue_since: Option<UnixMicros>,
    pub daily_quota: i64,
    pub quota_day: i64,
    pub quota_day_used: i64,
    /// Mails left in packages that have not ended, those that have not begun included.
    pub package_mails_left: i64,
    /// Mails beyond free credit in the last [`PACE_DAYS`] days.
    pub pace_mails: i64,
    /// Where the account stands in the order asked for; for the next page's `after`.
    pub sort_key: i64,
}

const LEFT: &str = "CAST(COALESCE((SELECT SUM(p.remaining) FROM package p WHERE p.account_id = a.account_id \
    AND p.refunded_at IS NULL AND p.ends_at > $1), 0) AS BIGINT)";
const PACE: &str = "CAST(COALESCE((SELECT SUM(u.package_mails + u.payg_mails) FROM usage_hour u WHERE u.account_id = a.account_id \
    AND u.hour_start >= $2 AND u.hour_start <= $1), 0) AS BIGINT)";
/// The key of an account that uses nothing: after all that do.
const NEVER: i64 = i64::MAX - 1;

/// Which lines of an account's ledger, in the order of their sequence.
#[derive(Clone, Debug)]
pub struct LineQuery {
    pub account_id: i64,
    pub unit: Option<Unit>,
    pub from: UnixMicros,
    pub before: UnixMicros,
    /// The sequence of the last line of the page before; 0 for the first.
    pub after_sequence: i64,
    pub limit: i64,
}

impl LineQuery {
    /// Every line of an account; the caller sets how many at a time.
    pub fn all(account_id: i64) -> LineQuery {
        let (from, before) = (UnixMicros(i64::MIN), UnixMicros(i64::MAX));
        LineQuery { account_id, unit: None, from, before, after_sequence: 0, limit: 0 }
    }
}

/// Which entries of the audit log, newest first.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    pub account_id: Option<i64>,
    /// A name, alone or led by the actor's kind: `root@example.com` or `operator root@example.com`.
    pub actor: Option<String>,
    /// The last entry of the page before.
    pub after: Option<i64>,
    pub limit: i64,
}

/// The bills of all accounts for one month of their own calendars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MonthBills {
    pub accounts: i64,
    pub bills: i64,
    pub adjustments: i64,
    pub mails: i64,
    pub amount: MoneyMicros,
    pub paid: MoneyMicros,
    pub due: MoneyMicros,
}

/// One account's part of [`MonthBills`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountBills {
    pub account_id: i64,
    pub name: String,
    pub bills: i64,
    pub mails: i64,
    pub amount: MoneyMicros,
    pub outstanding: MoneyMicros,
}

/// Things of one sort in a period: settlements by cause, top-ups by provider, orders by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    pub name: String,
    pub count: i64,
    pub amount: MoneyMicros,
}

/// A notice that was not told though there was something to tell, or is late.
#[derive(Clone, Debug)]
pub struct UntoldNotice {
    pub account_id: i64,
    pub key: String,
    pub channel: String,
    pub kind: String,
    pub instance_id: String,
    pub due_at: UnixMicros,
    pub next_at: UnixMicros,
    /// It will not be told any more; otherwise it is tried again at `next_at`.
    pub is_skipped: bool,
    pub reason: String,
}

/// How many texts are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SmsCounts {
    pub waiting: i64,
    pub taken: i64,
    pub given_up: i64,
}

impl Store {
    /// A page of accounts with their money.
    pub async fn account_money(&self, query: &AccountMoneyQuery) -> Result<Vec<AccountMoney>> {
        let now = self.now();
        let before_first = (if query.order == AccountOrder::OwesMost { i64::MAX } else { -1 }, 0);
        let (key, account_id) = query.after.unwrap_or(before_first);
        let rows = sqlx::query(AssertSqlSafe(account_money_sql(query)))
            .bind(now.0)
            .bind(now.0 - PACE_DAYS * DAY_MICROS)
            .bind(key)
            .bind(account_id)
            .bind(query.limit)
            .fetch_all(self.read())
            .await?;
        rows.iter().map(account_money_of).collect()
    }

    /// A page of an account's lines, oldest first.
    pub async fn lines_in_order(&self, query: &LineQuery) -> Result<Vec<Transfer>> {
        let unit = query.unit.map_or("any", Unit::as_str);
        let sql = format!(
            "{} WHERE account_id = $1 AND sequence > $2 AND at >= $3 AND at < $4 AND (unit = $5 OR $6 = 'any') \
             ORDER BY sequence LIMIT $7",
            crate::ledger::LINE
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(query.account_id)
            .bind(query.after_sequence)
            .bind(query.from.0)
            .bind(query.before.0)
            .bind(unit)
            .bind(unit)
            .bind(query.limit)
            .fetch_all(self.read())
            .await?;
        rows.iter().map(crate::ledger::transfer_of).collect()
    }

    /// Credits and adjustments of an account, newest first. They are the lines from or to the outside and from or to
    /// what is granted, which are few and have an index, however many mails there are.
    pub async fn lines_by_hand(&self, account_id: i64, limit: i64) -> Result<Vec<Transfer>> {
        let branch = |number: usize, side: &str| {
            format!(
                "SELECT * FROM ({} WHERE account_id = ${number} AND {side} AND kind IN ('credit', 'adjustment')) AS side{number}",
                crate::ledger::LINE
            )
        };
        let sql = format!(
            "{} UNION ALL {} UNION ALL {} UNION ALL {} ORDER BY sequence DESC LIMIT $5",
            branch(1, "from_account = 'outside'"),
            branch(2, "to_account = 'outside' AND to_account <> 'consumed'"),
            branch(3, "from_account = 'granted'"),
            branch(4, "to_account = 'granted' AND to_account <> 'consumed'"),
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for _ in 0..4 {
            query = query.bind(account_id);
        }
        let rows = query.bind(limit).fetch_all(self.read()).await?;
        rows.iter().map(crate::ledger::transfer_of).collect()
    }

    /// A page of the audit log.
    pub async fn audit_entries(&self, query: &AuditQuery) -> Result<Vec<AuditEntry>> {
        let actor = query.actor.clone().unwrap_or_default();
        let rows = sqlx::query(
            "SELECT audit_id, at, actor_kind, actor, account_id, action, detail FROM audit \
             WHERE (account_id = $1 OR $2 = 1) AND ($3 = '' OR actor = $4 OR actor_kind || ' ' || actor = $5) AND audit_id < $6 \
             ORDER BY audit_id DESC LIMIT $7",
        )
        .bind(query.account_id.unwrap_or(0))
        .bind(i64::from(query.account_id.is_none()))
        .bind(actor.clone())
        .bind(actor.clone())
        .bind(actor)
        .bind(query.after.unwrap_or(i64::MAX))
        .bind(query.limit)
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| {
                let (kind, name): (String, String) = (row.try_get(2)?, row.try_get(3)?);
                Ok(AuditEntry {
                    audit_id: row.try_get(0)?,
                    at: UnixMicros(row.try_get(1)?),
                    actor: format!("{kind} {name}"),
                    account_id: Some(row.try_get(4)?).filter(|id| *id != 0),
                    action: row.try_get(5)?,
                    detail: row.try_get(6)?,
                })
            })
            .collect()
    }

    /// Bills of all accounts whose hour lies on local days `[from_day, before_day)` of the account's own calendar.
    pub async fn month_bills(&self, from_day: i64, before_day: i64) -> Result<MonthBills> {
        let sql = format!(
            "SELECT COUNT(DISTINCT b.account_id), COUNT(*), {}, {}, {}, {}, {} {MONTH}",
            sum("CASE WHEN b.number > 1 THEN 1 ELSE 0 END"),
            sum("b.mails"),
            sum("b.amount_micros"),
            sum("CASE WHEN b.settled_at IS NOT NULL THEN b.amount_micros ELSE 0 END"),
            sum("CASE WHEN b.settled_at IS NULL AND b.due_at IS NOT NULL THEN b.amount_micros ELSE 0 END"),
        );
        let row = month_query(sql, from_day, before_day).fetch_one(self.read()).await?;
        Ok(MonthBills {
            accounts: row.try_get(0)?,
            bills: row.try_get(1)?,
            adjustments: row.try_get(2)?,
            mails: row.try_get(3)?,
            amount: MoneyMicros(row.try_get(4)?),
            paid: MoneyMicros(row.try_get(5)?),
            due: MoneyMicros(row.try_get(6)?),
        })
    }

    /// The accounts with the largest bills of those days.
    pub async fn largest_bills(
        &self,
        from_day: i64,
        before_day: i64,
        limit: i64,
    ) -> Result<Vec<AccountBills>> {
        let sql = format!(
            "SELECT a.account_id, a.name, COUNT(*), {}, {} AS billed, {} {MONTH} \
             GROUP BY a.account_id, a.name ORDER BY billed DESC, a.account_id LIMIT $5",
            sum("b.mails"),
            sum("b.amount_micros"),
            sum("CASE WHEN b.settled_at IS NULL THEN b.amount_micros ELSE 0 END"),
        );
        let rows = month_query(sql, from_day, before_day).bind(limit).fetch_all(self.read()).await?;
        rows.iter()
            .map(|row| {
                Ok(AccountBills {
                    account_id: row.try_get(0)?,
                    name: row.try_get(1)?,
                    bills: row.try_get(2)?,
                    mails: row.try_get(3)?,
                    amount: MoneyMicros(row.try_get(4)?),
                    outstanding: MoneyMicros(row.try_get(5)?),
                })
            })
            .collect()
    }

    /// Settlements in `[from, before)` by what brought them about.
    pub async fn settlement_sums(&self, from: UnixMicros, before: UnixMicros) -> Result<Vec<Sum>> {
        self.sums("cause", "settlement", from, before).await
    }

    /// Payments in `[from, before)` by provider.
    pub async fn top_up_sums(&self, from: UnixMicros, before: UnixMicros) -> Result<Vec<Sum>> {
        self.sums("provider", "top_up", from, before).await
    }

    /// Package orders in `[from, before)` by kind; refunds are negative.
    pub async fn order_sums(&self, from: UnixMicros, before: UnixMicros) -> Result<Vec<Sum>> {
        self.sums("kind", "purchase_order", from, before).await
    }

    async fn sums(&self, name: &str, table: &str, from: UnixMicros, before: UnixMicros) -> Result<Vec<Sum>> {
        let sql = format!(
            "SELECT {name}, COUNT(*), {} FROM {table} WHERE at >= $1 AND at < $2 GROUP BY {name} ORDER BY {name}",
            sum("amount_micros")
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(from.0).bind(before.0).fetch_all(self.read()).await?;
        rows.iter()
            .map(|row| {
                Ok(Sum {
                    name: row.try_get(0)?,
                    count: row.try_get(1)?,
                    amount: MoneyMicros(row.try_get(2)?),
                })
            })
            .collect()
    }

    /// Notices that were skipped and those that are due and still wait for a reason, the latest due first. Not those
    /// whose package was used up or given back: about it there is nothing to tell.
    pub async fn untold_notices(&self, limit: i64) -> Result<Vec<UntoldNotice>> {
        let rows = sqlx::query(
            "SELECT account_id, notice_key, channel, kind, instance_id, due_at, next_at, state, reason FROM notice \
             WHERE reason <> '' AND reason NOT LIKE 'the package %' AND reason NOT LIKE '% before it was said' AND (state = 2 OR (state = 0 AND due_at <= $1)) \
             ORDER BY due_at DESC, account_id, notice_key, channel LIMIT $2",
        )
        .bind(self.now().0)
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(UntoldNotice {
                    account_id: row.try_get(0)?,
                    key: row.try_get(1)?,
                    channel: row.try_get(2)?,
                    kind: row.try_get(3)?,
                    instance_id: row.try_get(4)?,
                    due_at: UnixMicros(row.try_get(5)?),
                    next_at: UnixMicros(row.try_get(6)?),
                    is_skipped: row.try_get::<i64, _>(7)? == 2,
                    reason: row.try_get(8)?,
                })
            })
            .collect()
    }

    /// All texts by state.
    pub async fn sms_counts(&self) -> Result<SmsCounts> {
        let rows =
            sqlx::query("SELECT state, COUNT(*) FROM sms GROUP BY state").fetch_all(self.read()).await?;
        let mut counts = SmsCounts::default();
        for row in &rows {
            let count = row.try_get(1)?;
            match row.try_get::<i64, _>(0)? {
                0 => counts.waiting = count,
                1 => counts.taken = count,
                _ => counts.given_up = count,
            }
        }
        Ok(counts)
    }
}

/// $1 now, $2 the start of the pace, $3 and $4 the last account of the page before, $5 the limit.
fn account_money_sql(query: &AccountMoneyQuery) -> String {
    let overdue = if query.only_overdue { "AND (s.status & 2) <> 0" } else { "" };
    let columns = format!(
        "a.account_id AS account_id, a.name, a.email, a.zone, a.created_at, s.status, s.cash_micros, s.credit_limit_micros, \
         s.open_micros, s.due_micros, s.overdue_since, s.daily_quota, s.quota_day, s.quota_day_used, \
         {LEFT} AS left_mails, {PACE} AS pace_mails"
    );
    let tables = "account a JOIN account_state s ON s.account_id = a.account_id";
    match query.order {
        AccountOrder::Created => format!(
            "SELECT {columns}, CAST($3 AS BIGINT) FROM {tables} WHERE a.account_id > $4 {overdue} ORDER BY a.account_id LIMIT $5"
        ),
        AccountOrder::OwesMost => format!(
            "SELECT {columns}, s.open_micros FROM {tables} \
             WHERE (s.open_micros < $3 OR (s.open_micros = $3 AND a.account_id > $4)) {overdue} \
             ORDER BY s.open_micros DESC, a.account_id LIMIT $5"
        ),
        AccountOrder::RunsOutFirst => format!(
            "SELECT * FROM (SELECT b.*, CASE WHEN pace_mails > 0 THEN left_mails * 720 / pace_mails ELSE {NEVER} END AS sort_key \
             FROM (SELECT {columns} FROM {tables} WHERE a.account_id > 0 {overdue}) b WHERE left_mails > 0) c \
             WHERE sort_key > $3 OR (sort_key = $3 AND account_id > $4) ORDER BY sort_key, account_id LIMIT $5"
        ),
    }
}

/// The account leads, so that each account's part of the month is read by its index. Hours lie within a day and a
/// half of their local day's own number; the day decides.
const MONTH: &str = "FROM account a CROSS JOIN bill b WHERE b.account_id = a.account_id \
    AND b.hour_start >= $1 AND b.hour_start < $2 AND b.day >= $3 AND b.day < $4";

fn sum(of: &str) -> String {
    format!("CAST(COALESCE(SUM({of}), 0) AS BIGINT)")
}

fn month_query(
    sql: String,
    from_day: i64,
    before_day: i64,
) -> sqlx::query::Query<'static, sqlx::Any, sqlx::any::AnyArguments> {
    sqlx::query(AssertSqlSafe(sql))
        .bind((from_day - 2) * DAY_MICROS)
        .bind((before_day + 2) * DAY_MICROS)
        .bind(from_day)
        .bind(before_day)
}

fn account_money_of(row: &AnyRow) -> Result<AccountMoney> {
    Ok(AccountMoney {
        account_id: row.try_get(0)?,
        name: row.try_get(1)?,
        email: row.try_get(2)?,
        zone: row.try_get(3)?,
        created_at: UnixMicros(row.try_get(4)?),
        status: AccountStatus(row.try_get(5)?),
        cash: MoneyMicros(row.try_get(6)?),
        credit_limit: MoneyMicros(row.try_get(7)?),
        open: MoneyMicros(row.try_get(8)?),
        due: MoneyMicros(row.try_get(9)?),
        overdue_since: row.try_get::<Option<i64>, _>(10)?.map(UnixMicros),
        daily_quota: row.try_get(11)?,
        quota_day: row.try_get(12)?,
        quota_day_used: row.try_get(13)?,
        package_mails_left: row.try_get(14)?,
        pace_mails: row.try_get(15)?,
        sort_key: row.try_get(16)?,
    })
}
