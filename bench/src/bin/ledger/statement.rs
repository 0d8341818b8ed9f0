//! A statement of a month with so many mails: everything that the console's page reads, timed.
//!
//! The month is written by SQL, in the shape that acceptance, the billing job and collection leave: a ledger line and
//! its share of the kept totals for each mail, a bill and its line for each hour, packages, settlements, payments.

use std::time::Instant;

use clap::Args;
use indicia_bench::database::{Database, Fault, account};
use indicia_domain::time::{DAY_MICROS, HOUR_MICROS, UnixMicros, local_month_numbered, month_number, zone};
use indicia_store::Store;
use indicia_store::order::OrderQuery;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor};

#[derive(Args, Clone)]
pub struct Options {
    #[command(flatten)]
    database: Database,
    #[arg(long, default_value_t = 10_000_000)]
    mails: i64,
    /// Times that the statement is read.
    #[arg(long, default_value_t = 5)]
    times: usize,
}

/// October 2026: 31 days, 744 hours.
const MONTH: &str = "2026-10";
const HOURS: i64 = 744;
const PACKAGE_MAILS: i64 = 500_000;
/// Lines of the statement's page.
const PAGE: i64 = 1_000;

pub async fn measure(options: Options) -> Result<serde_json::Value, Fault> {
    let store = options.database.open().await?;
    let account_id = account(&store, 0).await?;
    let (from, before) = local_month_numbered(&zone("UTC")?, month_number(MONTH).ok_or("a month")?);
    let began = Instant::now();
    fill(&options, account_id, from).await?;
    let fill_seconds = began.elapsed().as_secs_f64();
    // As a console that has just been started reads it.
    store.close().await;
    let store = options.database.open().await?;
    let mut totals_ms = Vec::new();
    let mut parts = Vec::new();
    for _ in 0..options.times {
        let began = Instant::now();
        parts = statement(&store, account_id, from, before, options.mails).await?;
        totals_ms.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    store.close().await;
    let first_ms = totals_ms[0];
    totals_ms.sort_by(f64::total_cmp);
    Ok(json!({
        "mails": options.mails,
        "fill_s": fill_seconds,
        "first_ms": first_ms,
        "median_ms": totals_ms[totals_ms.len() / 2],
        "parts_ms": parts.into_iter().collect::<serde_json::Map<String, serde_json::Value>>(),
    }))
}

/// Reads what the page shows; each part's time in milliseconds.
async fn statement(
    store: &Store,
    account_id: i64,
    from: UnixMicros,
    before: UnixMicros,
    mails: i64,
) -> Result<Vec<(String, serde_json::Value)>, Fault> {
    let mut parts = Vec::new();
    let mut began = Instant::now();
    let mut part = |name: &str| {
        parts.push((name.to_owned(), json!(began.elapsed().as_secs_f64() * 1_000.0)));
        began = Instant::now();
    };
    let total = store.usage_total(account_id, from, before).await?;
    part("usage_total");
    let days = store.usage_days(account_id, from, before).await?;
    part("usage_days");
    let (first, last) = (from.0 / DAY_MICROS, before.0 / DAY_MICROS);
    let drawn = store.package_days(account_id, first, last).await?;
    part("package_days");
    let bills = store.bill_total(account_id, from, before).await?;
    part("bill_total");
    let opening = store.cash_before(account_id, from).await?;
    let closing = store.cash_before(account_id, before).await?;
    part("cash_before, twice");
    let lines = store.money_lines(account_id, from, before, None, PAGE, false).await?;
    part("money_lines");
    let settlements = store.settlements(account_id, from, before).await?;
    part("settlements");
    let query = OrderQuery { account_id, from, before, kind: None, limit: 100, offset: 0 };
    let (orders, _) = store.orders(&query).await?;
    part("orders");
    let moved: i64 = lines.iter().map(|line| line.after - line.before).sum();
    let whole = total.mails() == mails
        && days.iter().map(|(_, day)| day.mails()).sum::<i64>() == mails
        && drawn.iter().map(|day| day.mails).sum::<i64>() == total.package_mails
        && bills.mails == total.payg_mails
        && closing.0 - opening.0 == moved
        && settlements.iter().map(|settlement| settlement.amount.0).sum::<i64>() == bills.paid.0
        && !orders.is_empty();
    if whole { Ok(parts) } else { Err("the statement does not add up".into()) }
}

/// `count` rows numbered `i` from 1 on, in the engine's words.
fn numbers(is_sqlite: bool, count: i64) -> String {
    match is_sqlite {
        true => format!(
            "(WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i FROM n) AS n"
        ),
        false => format!("(SELECT i FROM generate_series(CAST(1 AS BIGINT), {count}) AS s(i)) AS n"),
    }
}

async fn fill(options: &Options, account_id: i64, from: UnixMicros) -> Result<(), Fault> {
    let is_sqlite = options.database.is_sqlite();
    let mut connection = options.database.connect().await?;
    for sql in month_sql(options.mails, account_id, from.0, is_sqlite) {
        connection.execute(AssertSqlSafe(sql)).await?;
    }
    // What autovacuum does by itself some time after such a load.
    if !is_sqlite {
        connection.execute("VACUUM ANALYZE").await?;
    }
    connection.close().await?;
    Ok(())
}

/// The month: of each hour's mails one in thirty is pay-as-you-go, the rest is paid by packages, one after the other.
fn month_sql(mails: i64, account: i64, from: i64, is_sqlite: bool) -> Vec<String> {
    let rows = |count: i64| numbers(is_sqlite, count);
    let month = HOURS * HOUR_MICROS;
    let ledger = "INSERT INTO ledger (account_id, sequence, transaction_id, at, kind, unit, from_account, to_account, amount, \
         before_amount, after_amount, memo)";
    // Hour h has the mails of the half-open range [h * mails / 744, (h + 1) * mails / 744).
    let of_hour = format!("(i * {mails} / {HOURS} - (i - 1) * {mails} / {HOURS})");
    let payg = format!("({of_hour} / 30)");
    let (packages, payments) = (mails / PACKAGE_MAILS + 1, 31);
    let cents = format!("({payg} * 290 / 10000 + 1) * 10000");
    let money = 10 * mails;
    vec![
        format!(
            "{ledger} SELECT {account}, 100000 + i, i, {from} + (i - 1) * {step}, 'send', 'mail', \
             CASE WHEN i % 30 = 0 THEN 'pay-as-you-go' ELSE 'package:DMBAG-' || CAST(1 + (i - 1) / {PACKAGE_MAILS} AS TEXT) END, \
             'consumed', 1, {PACKAGE_MAILS} - (i - 1) % {PACKAGE_MAILS}, {PACKAGE_MAILS} - 1 - (i - 1) % {PACKAGE_MAILS}, '' \
             FROM {rows}",
            step = month / mails,
            rows = rows(mails)
        ),
        format!(
            "INSERT INTO usage_hour (account_id, hour_start, hour_end, day, free_mails, package_mails, payg_mails, billed_mails, \
             billed_micros, price_micros, bills) SELECT {account}, {from} + (i - 1) * {HOUR_MICROS}, {from} + i * {HOUR_MICROS}, \
             ({from} + (i - 1) * {HOUR_MICROS}) / {DAY_MICROS}, 0, {of_hour} - {payg}, {payg}, {payg}, {cents}, 290, 1 FROM {}",
            rows(HOURS)
        ),
        format!(
            "INSERT INTO package_day (account_id, instance_id, day, mails) SELECT {account}, 'DMBAG-' || CAST(day - {first} + 1 AS TEXT), \
             day, SUM(package_mails) FROM usage_hour WHERE account_id = {account} GROUP BY day",
            first = from / DAY_MICROS
        ),
        format!(
            "INSERT INTO bill (account_id, bill_id, hour_start, hour_end, day, number, mails, amount_micros, price_micros, made_at, \
             due_at, settled_at, settlement_id) SELECT {account}, i, {from} + (i - 1) * {HOUR_MICROS}, {from} + i * {HOUR_MICROS}, \
             ({from} + (i - 1) * {HOUR_MICROS}) / {DAY_MICROS}, 1, {payg}, {cents}, 290, {from}, {from}, {from}, \
             1000000 + (i - 1) / 24 FROM {}",
            rows(HOURS)
        ),
        format!(
            "{ledger} SELECT {account}, 10000 + i, i, {from} + (i - 1) * {HOUR_MICROS}, 'bill', 'money', 'receivable', 'sales', {cents}, 0, 0, '' FROM {}",
            rows(HOURS)
        ),
        format!(
            "INSERT INTO settlement (account_id, settlement_id, at, cause, bills, amount_micros) SELECT {account}, settlement_id, \
             MIN(hour_start), 'threshold', COUNT(*), SUM(amount_micros) FROM bill WHERE account_id = {account} GROUP BY settlement_id"
        ),
        format!(
            "{ledger} SELECT {account}, 20000 + settlement_id - 1000000, settlement_id, at, 'settlement', 'money', 'cash', 'receivable', \
             amount_micros, {money}, {money} - amount_micros, '' FROM settlement WHERE account_id = {account}"
        ),
        format!(
            "{ledger} SELECT {account}, 30000 + i, i, {from} + (i - 1) * {DAY_MICROS}, 'top-up', 'money', 'outside', 'cash', 1000000000, \
             {money}, {money} + 1000000000, '' FROM {}",
            rows(payments)
        ),
        format!(
            "INSERT INTO purchase_order (account_id, order_id, kind, at, specification, quantity, amount_micros, placed_by) \
             SELECT {account}, i, 'New', {from} + (i - 1) * {HOUR_MICROS}, {PACKAGE_MAILS}, 1, 121800000, 'bench' FROM {}",
            rows(packages)
        ),
        format!(
            "{ledger} SELECT {account}, 40000 + i, i, {from} + (i - 1) * {HOUR_MICROS}, 'purchase', 'money', 'cash', 'sales', 121800000, \
             {money}, {money} - 121800000, '' FROM {}",
            rows(packages)
        ),
        format!("UPDATE account_state SET ledger_sequence = 100000 + {mails} WHERE account_id = {account}"),
    ]
}
