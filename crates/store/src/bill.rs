//! R10: bills by the clock hour: made by a job that may run late, twice and on several nodes, and read.
//!
//! The job looks for hours that are over and whose pay-as-you-go mails differ from what was billed for them. For
//! each account it locks the account's row, makes the bills that bring those hours up to date, collects when the
//! threshold is reached, and calls in what the 1st of the month calls in, all in one transaction.

use indicia_domain::ledger::bill::{CollectionPolicy, Hour, next_bill};
use indicia_domain::ledger::price::PriceList;
use indicia_domain::ledger::{Kind, LedgerAccount};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{self, UnixMicros, local_month};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::books::Books;
use crate::collection::{SettlementCause, call_in, call_in_notes, settle};
use crate::node::Node;
use crate::{Result, Store, StoreError};

/// One bill of one clock hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    pub account_id: i64,
    pub bill_id: i64,
    pub hour_start: UnixMicros,
    pub hour_end: UnixMicros,
    /// Local day number of the hour.
    pub day: i64,
    /// 1: the hour's bill; 2 and on: adjustments of it.
    pub number: i64,
    /// Negative: given back after they were billed.
    pub mails: i64,
    pub amount: MoneyMicros,
    /// Of one mail.
    pub price: MoneyMicros,
    pub made_at: UnixMicros,
    /// When it was called in.
    pub due_at: Option<UnixMicros>,
    pub settled_at: Option<UnixMicros>,
    pub settlement_id: Option<i64>,
}

impl Bill {
    pub fn is_adjustment(&self) -> bool {
        self.number > 1
    }

    /// What of it is not paid.
    pub fn outstanding(&self) -> MoneyMicros {
        if self.settled_at.is_some() { MoneyMicros::ZERO } else { self.amount }
    }
}

/// Which bills to list. `after` is (start of the hour, number) of the last bill of the page before.
#[derive(Clone, Debug)]
pub struct BillQuery {
    pub account_id: i64,
    /// Hours that begin in `[from, before)`.
    pub from: UnixMicros,
    pub before: UnixMicros,
    pub only_open: bool,
    pub after: Option<(i64, i64)>,
    pub limit: i64,
    pub newest_first: bool,
}

/// Bills together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BillTotal {
    pub bills: i64,
    pub mails: i64,
    pub amount: MoneyMicros,
    pub paid: MoneyMicros,
    pub outstanding: MoneyMicros,
}

/// What one round of the job did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BillingRound {
    pub bills: u64,
    pub settlements: u64,
    /// Accounts that became overdue.
    pub overdue: u64,
}

impl BillingRound {
    fn add(&mut self, other: BillingRound) {
        self.bills += other.bills;
        self.settlements += other.settlements;
        self.overdue += other.overdue;
    }
}

/// Hours of one account that one transaction bills at most; the rest follows in the next.
const HOURS_MAX: i64 = 50;
const ACCOUNTS_MAX: i64 = 200;

const BILL: &str = "SELECT account_id, bill_id, hour_start, hour_end, day, number, mails, amount_micros, price_micros, made_at, \
    due_at, settled_at, settlement_id FROM bill";

impl Store {
    /// Makes the bills that are due to be made, and collects. An error is the first account's that had one; all others
    /// are billed.
    pub async fn make_bills(&self, prices: &PriceList, policy: &CollectionPolicy) -> Result<BillingRound> {
        let mut round = BillingRound::default();
        let mut failed = None;
        let mut after = i64::MIN;
        loop {
            // From the last on: those that cannot be billed are passed over, however many they are.
            let accounts = self.accounts_to_bill(after).await?;
            for account_id in &accounts {
                after = *account_id;
                self.bill_whole_account(*account_id, prices, policy, &mut round, &mut failed).await;
            }
            if accounts.len() < ACCOUNTS_MAX as usize {
                break;
            }
        }
        for account_id in self.accounts_to_collect().await? {
            self.bill_whole_account(account_id, prices, policy, &mut round, &mut failed).await;
        }
        failed.map_or(Ok(round), Err)
    }

    /// All hours of an account, however many. An account that cannot be billed keeps no other from it.
    async fn bill_whole_account(
        &self,
        account_id: i64,
        prices: &PriceList,
        policy: &CollectionPolicy,
        round: &mut BillingRound,
        failed: &mut Option<StoreError>,
    ) {
        loop {
            match self.bill_account(account_id, prices, policy).await {
                Ok(done) => {
                    round.add(done);
                    if done.bills < HOURS_MAX as u64 {
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(account_id, %error, "an account could not be billed; the next round tries again");
                    failed.get_or_insert(error);
                    return;
                }
            }
        }
    }

    async fn accounts_to_bill(&self, after: i64) -> Result<Vec<i64>> {
        let rows = sqlx::query(
            "SELECT DISTINCT account_id FROM usage_hour WHERE payg_mails <> billed_mails AND hour_end <= $1 AND account_id > $2 \
             ORDER BY account_id LIMIT $3",
        )
        .bind(self.now().0)
        .bind(after)
        .bind(ACCOUNTS_MAX)
        .fetch_all(self.read())
        .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Accounts that have open bills of hours before this local month, which the 1st has not called in yet.
    async fn accounts_to_collect(&self) -> Result<Vec<i64>> {
        let now = self.now();
        let rows = sqlx::query(
            "SELECT b.account_id, b.oldest, a.zone FROM (SELECT account_id, MIN(hour_start) AS oldest FROM bill \
             WHERE settled_at IS NULL AND due_at IS NULL AND hour_start < $1 GROUP BY account_id) AS b \
             JOIN account a ON a.account_id = b.account_id ORDER BY b.account_id",
        )
        .bind(latest_month_start(now).0)
        .fetch_all(self.read())
        .await?;
        let mut accounts = Vec::new();
        for row in &rows {
            let (account_id, oldest, zone): (i64, i64, String) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let zone = match time::zone(&zone) {
                Ok(zone) => zone,
                Err(error) => {
                    tracing::error!(account_id, %error, "the account's bills cannot be collected");
                    continue;
                }
            };
            let (month, _) = local_month(&zone, now);
            let begins = time::local_month_numbered(&zone, month).0;
            if oldest < begins.0 {
                accounts.push(account_id);
            }
        }
        Ok(accounts)
    }

    async fn bill_account(
        &self,
        account_id: i64,
        prices: &PriceList,
        policy: &CollectionPolicy,
    ) -> Result<BillingRound> {
        // Ids inside the transaction come from memory: joining as a node writes, and SQLite has one writer.
        let node = self.node().await?;
        let mut transaction = self.begin().await?;
        let Some(mut books) = Books::open(self, &mut transaction, account_id).await? else {
            return Ok(BillingRound::default());
        };
        let was_overdue = books.overdue_since.is_some();
        let hours = unbilled_hours(&mut transaction, account_id, books.now).await?;
        let mut round = BillingRound::default();
        for hour in &hours {
            let made = bill_hour(&mut transaction, &mut books, hour, prices, &node).await?;
            round.bills += u64::from(made);
            if books.open_bills() >= policy.threshold {
                let called = call_in(&mut transaction, account_id, UnixMicros(i64::MAX), books.now).await?;
                // Who could not pay the oldest bill cannot pay a newer one either: no need to look at them all again.
                // A credit note is paid out whatever else is due.
                if books.due.0 > 0 && called.notes == 0 {
                    books.due.0 += called.amount.0;
                    continue;
                }
                let id = node.ids.next(books.now);
                let paid = settle(&mut transaction, &mut books, id, SettlementCause::Threshold).await?;
                round.settlements += u64::from(paid);
            }
        }
        // Hours that wait for the next transaction may belong to the month before: they come first.
        if (hours.len() as i64) < HOURS_MAX {
            round.settlements += u64::from(collect_rest(&mut transaction, &mut books, &node).await?);
        }
        round.overdue = u64::from(!was_overdue && books.overdue_since.is_some());
        books.close(&mut transaction).await?;
        transaction.commit().await?;
        Ok(round)
    }

    /// Bills by their hour.
    pub async fn bills(&self, query: &BillQuery) -> Result<Vec<Bill>> {
        let (order, past) = if query.newest_first { ("DESC", "<") } else { ("ASC", ">") };
        let open = if query.only_open { " AND settled_at IS NULL" } else { "" };
        let sql = format!(
            "{BILL} WHERE account_id = $1 AND hour_start >= $2 AND hour_start < $3{open} \
             AND (hour_start {past} $4 OR (hour_start = $5 AND number {past} $6)) \
             ORDER BY hour_start {order}, number {order} LIMIT $7"
        );
        let start = if query.newest_first { i64::MAX } else { i64::MIN };
        let (hour, number) = query.after.unwrap_or((start, start));
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(query.account_id)
            .bind(query.from.0)
            .bind(query.before.0)
            .bind(hour)
            .bind(hour)
            .bind(number)
            .bind(query.limit)
            .fetch_all(self.read())
            .await?;
        rows.iter().map(bill_of).collect()
    }

    pub async fn bill(&self, account_id: i64, bill_id: i64) -> Result<Option<Bill>> {
        let row = sqlx::query(AssertSqlSafe(format!("{BILL} WHERE account_id = $1 AND bill_id = $2")))
            .bind(account_id)
            .bind(bill_id)
            .fetch_optional(self.read())
            .await?;
        row.as_ref().map(bill_of).transpose()
    }

    /// Bills that one collection paid, by their hour.
    pub async fn bills_of_settlement(&self, account_id: i64, settlement_id: i64) -> Result<Vec<Bill>> {
        let sql = format!(
            "{BILL} WHERE account_id = $1 AND settlement_id = $2 ORDER BY hour_start, number LIMIT 10000"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(account_id)
            .bind(settlement_id)
            .fetch_all(self.read())
            .await?;
        rows.iter().map(bill_of).collect()
    }

    /// The bills of hours that begin in `[from, before)`, together.
    pub async fn bill_total(
        &self,
        account_id: i64,
        from: UnixMicros,
        before: UnixMicros,
    ) -> Result<BillTotal> {
        let row = sqlx::query(
            "SELECT COUNT(*), CAST(COALESCE(SUM(mails), 0) AS BIGINT), CAST(COALESCE(SUM(amount_micros), 0) AS BIGINT), \
             CAST(COALESCE(SUM(CASE WHEN settled_at IS NULL THEN 0 ELSE amount_micros END), 0) AS BIGINT) \
             FROM bill WHERE account_id = $1 AND hour_start >= $2 AND hour_start < $3",
        )
        .bind(account_id)
        .bind(from.0)
        .bind(before.0)
        .fetch_one(self.read())
        .await?;
        let (amount, paid): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
        Ok(BillTotal {
            bills: row.try_get(0)?,
            mails: row.try_get(1)?,
            amount: MoneyMicros(amount),
            paid: MoneyMicros(paid),
            outstanding: MoneyMicros(amount - paid),
        })
    }
}

/// No zone's present month began later: the month is on everywhere 12 hours after UTC's, and begins 14 hours before.
/// So a look for bills of earlier months need not read those of this one.
fn latest_month_start(now: UnixMicros) -> UnixMicros {
    let utc = time::TimeZone::UTC;
    let (month, _) = local_month(&utc, now.plus_micros(14 * time::HOUR_MICROS));
    let begins = time::local_month_numbered(&utc, month).0;
    begins.plus_micros(12 * time::HOUR_MICROS).min(now)
}

/// The 1st of the month calls in the bills of hours before it; and credit notes pay what is due, whenever they come, so
/// that nobody is overdue for what was given back.
async fn collect_rest(connection: &mut AnyConnection, books: &mut Books, node: &Node) -> Result<bool> {
    let begins = time::local_month_numbered(&books.zone, local_month(&books.zone, books.now).0).0;
    let called = call_in(connection, books.account_id, begins, books.now).await?;
    let notes = match books.due.0 > 0 {
        true => call_in_notes(connection, books.account_id, books.now).await?,
        false => 0,
    };
    if called.bills == 0 && notes == 0 {
        return Ok(false);
    }
    let cause = if called.bills > 0 { SettlementCause::Month } else { SettlementCause::Payment };
    settle(connection, books, node.ids.next(books.now), cause).await
}

/// Makes the bill that brings one hour up to date; `false` when it is.
async fn bill_hour(
    connection: &mut AnyConnection,
    books: &mut Books,
    hour: &Unbilled,
    prices: &PriceList,
    node: &Node,
) -> Result<bool> {
    // An hour has the price that was in force at its first pay-as-you-go mail, whatever the list says when it is billed or
    // corrected. Hours of versions before there were bills have none.
    let price = if hour.price.0 == 0 { prices.pay_as_you_go() } else { hour.price };
    let Some(new) = next_bill(price, hour.usage) else { return Ok(false) };
    let bill_id = node.ids.next(books.now);
    let number = hour.bills + 1;
    let memo = match number {
        1 => format!("pay-as-you-go, hour from {}", hour.start),
        _ => format!("correction {} of the hour from {}", number - 1, hour.start),
    };
    let of = (bill_id, memo.as_str());
    let mails = (LedgerAccount::Billed, LedgerAccount::PayAsYouGo);
    let (from, to) = if new.mails > 0 { mails } else { (mails.1, mails.0) };
    books.mails(Kind::Bill, from, to, new.mails.abs(), of);
    let money = (LedgerAccount::Receivable, LedgerAccount::Sales);
    let (from, to) = if new.amount.0 > 0 { money } else { (money.1, money.0) };
    books.money(Kind::Bill, from, to, new.amount.0.abs(), of);
    sqlx::query(
        "INSERT INTO bill (account_id, bill_id, hour_start, hour_end, day, number, mails, amount_micros, price_micros, made_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(books.account_id)
    .bind(bill_id)
    .bind(hour.start.0)
    .bind(hour.end.0)
    .bind(hour.day)
    .bind(number)
    .bind(new.mails)
    .bind(new.amount.0)
    .bind(price.0)
    .bind(books.now.0)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "UPDATE usage_hour SET billed_mails = billed_mails + $1, billed_micros = billed_micros + $2, price_micros = $3, \
         bills = $4 WHERE account_id = $5 AND hour_start = $6",
    )
    .bind(new.mails)
    .bind(new.amount.0)
    .bind(price.0)
    .bind(number)
    .bind(books.account_id)
    .bind(hour.start.0)
    .execute(connection)
    .await?;
    Ok(true)
}

/// An hour whose bills are not up to date.
struct Unbilled {
    start: UnixMicros,
    end: UnixMicros,
    day: i64,
    usage: Hour,
    price: MoneyMicros,
    bills: i64,
}

async fn unbilled_hours(
    connection: &mut AnyConnection,
    account_id: i64,
    now: UnixMicros,
) -> Result<Vec<Unbilled>> {
    let rows = sqlx::query(
        "SELECT hour_start, hour_end, day, payg_mails, billed_mails, billed_micros, price_micros, bills FROM usage_hour \
         WHERE account_id = $1 AND payg_mails <> billed_mails AND hour_end <= $2 ORDER BY hour_start LIMIT $3",
    )
    .bind(account_id)
    .bind(now.0)
    .bind(HOURS_MAX)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Unbilled {
                start: UnixMicros(row.try_get(0)?),
                end: UnixMicros(row.try_get(1)?),
                day: row.try_get(2)?,
                usage: Hour {
                    mails: row.try_get(3)?,
                    billed_mails: row.try_get(4)?,
                    billed: MoneyMicros(row.try_get(5)?),
                },
                price: MoneyMicros(row.try_get(6)?),
                bills: row.try_get(7)?,
            })
        })
        .collect()
}

fn bill_of(row: &AnyRow) -> Result<Bill> {
    Ok(Bill {
        account_id: row.try_get(0)?,
        bill_id: row.try_get(1)?,
        hour_start: UnixMicros(row.try_get(2)?),
        hour_end: UnixMicros(row.try_get(3)?),
        day: row.try_get(4)?,
        number: row.try_get(5)?,
        mails: row.try_get(6)?,
        amount: MoneyMicros(row.try_get(7)?),
        price: MoneyMicros(row.try_get(8)?),
        made_at: UnixMicros(row.try_get(9)?),
        due_at: row.try_get::<Option<i64>, _>(10)?.map(UnixMicros),
        settled_at: row.try_get::<Option<i64>, _>(11)?.map(UnixMicros),
        settlement_id: row.try_get(12)?,
    })
}
