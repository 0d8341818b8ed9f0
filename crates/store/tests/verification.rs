//! What the verification names (R25): an account with everything that an account can have is sound; then one row after
//! the other is damaged behind the store's back, and each damage must be named.

mod engines;
mod support;

use engines::Bench;
use indicia_domain::ledger::verify::FreeCreditRule;
use indicia_domain::mail::admission::Policy;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::UnixMicros;
use indicia_store::money::{Adjusted, Adjustment};
use indicia_store::package::PurchaseRequest;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};
use support::money::{Customer, PRICE, at, policy, prices, raw};
use support::operator;

on_both_engines!(
    r25_every_damage_is_named,
    r25_an_unreadable_account_keeps_no_other_from_being_looked_at,
    r25_rows_without_their_account_are_named,
);

const FREE_A_DAY: i64 = 2;

/// Mails from all sources, every kind of order, a reversal before the bill and one after it, an account that was
/// overdue, was restored, and is overdue again.
async fn furnished(bench: &Bench) -> Customer {
    let policy = Policy {
        free_total_mails: 4,
        free_daily_mails: FREE_A_DAY,
        pay_as_you_go: MoneyMicros(PRICE),
        ..policy()
    };
    let customer = Customer::with_policy(bench, "UTC", &policy).await;
    let (store, prices) = (&customer.store, prices());
    customer.go(at("2026-11-22T10:10:00Z"));
    customer.pays("p1", 200_000).await;
    let refunded = customer.buy(10).await;
    customer.refund(&refunded).await.expect("refunded");
    let two = PurchaseRequest { quantity: 2, ..customer.wants(10) };
    let two = store.purchase(&two, &prices).await.expect("bought").instance_ids;
    store.renew(&customer.renewal(&two[0]), &prices).await.expect("renewed");
    let small = customer.buy(10).await;
    store.upgrade(&customer.exchange(&small, 40), &prices).await.expect("exchanged");
    let gifts = [
        Adjusted::FreeMails(1),
        Adjusted::PackageMails { instance_id: two[0].clone(), mails: 5 },
        Adjusted::Money(MoneyMicros(10_000)),
    ];
    for what in gifts {
        let adjustment = Adjustment { account_id: customer.id, what, reason: "goodwill".to_owned() };
        store.adjust(&adjustment, &operator(), None).await.expect("adjusted");
    }
    let sources: Vec<_> = customer.paid_by(70).await.into_iter().map(|(_, mails)| mails).collect();
    assert_eq!(sources, [2, 15, 10, 40, 3], "free, three packages, pay-as-you-go");
    let cancelled = customer.send(4).await;
    customer.send(20).await;
    store.cancel(customer.id, cancelled, "test").await.expect("cancelled");
    customer.go(at("2026-12-01T00:00:00Z"));
    customer.job().await;
    assert_eq!(customer.numbers().await.due, MoneyMicros(80_000));
    customer.pays("p2", 60_000).await;
    assert_eq!(customer.numbers().await.overdue_since, None, "restored");
    customer.send(24).await;
    let cancelled = customer.send(6).await;
    customer.go(at("2027-01-01T00:00:00Z"));
    customer.job().await;
    store.cancel(customer.id, cancelled, "test").await.expect("cancelled");
    customer.job().await;
    let numbers = customer.numbers().await;
    assert_eq!((numbers.due, numbers.cash), (MoneyMicros(90_000), MoneyMicros(55_000)), "a credit note paid");
    assert!(numbers.overdue_since.is_some());
    customer
}

async fn named(customer: &Customer) -> Vec<String> {
    let free = FreeCreditRule { daily_mails: FREE_A_DAY, since: UnixMicros(0) };
    let found = customer.store.verify_ledger_by(free).await.expect("verified");
    found.violations.into_iter().map(|violation| violation.what).collect()
}

const TABLES: [&str; 13] = [
    "account",
    "account_state",
    "bill",
    "ledger",
    "message",
    "package",
    "package_day",
    "purchase_order",
    "queue",
    "recipient",
    "settlement",
    "top_up",
    "usage_hour",
];

/// Keeps what every table has, to bring it back.
async fn keep(raw: &mut AnyConnection) {
    for table in TABLES {
        let sql = format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}");
        raw.execute(AssertSqlSafe(sql)).await.expect("kept");
    }
}

async fn bring_back(raw: &mut AnyConnection) {
    let mut transaction = raw.begin().await.expect("begun");
    for table in TABLES {
        for sql in [format!("DELETE FROM {table}"), format!("INSERT INTO {table} SELECT * FROM kept_{table}")]
        {
            transaction.execute(AssertSqlSafe(sql)).await.expect("brought back");
        }
    }
    transaction.commit().await.expect("committed");
}

async fn r25_every_damage_is_named(bench: Bench) {
    let customer = furnished(&bench).await;
    assert_eq!(named(&customer).await, Vec::<String>::new(), "sound at first");
    let mut raw = raw(&bench).await;
    keep(&mut raw).await;
    let damages =
        [&PACKAGES[..], &ORDERS, &PAYMENTS, &ACCOUNT, &BILLS, &SETTLEMENTS, &USAGE, &LINES, &MESSAGES];
    let mut unnamed = Vec::new();
    for (damage, words) in damages.concat() {
        let done = raw.execute(damage).await.unwrap_or_else(|error| panic!("{damage}: {error}"));
        assert!(done.rows_affected() > 0, "no row is damaged by {damage}");
        let named = named(&customer).await;
        if !named.iter().any(|what| what.contains(words)) {
            unnamed.push(format!("{damage}\nis not named by '{words}', but: {named:#?}"));
        }
        bring_back(&mut raw).await;
    }
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
    assert_eq!(named(&customer).await, Vec::<String>::new(), "sound again");
    raw.close().await.expect("closed");
}

type Damage = (&'static str, &'static str);

const PACKAGES: [Damage; 19] = [
    (
        "UPDATE package SET price_micros = price_micros * 40 WHERE closed_as = 'refund'",
        "by the prices of its packages",
    ),
    (
        "UPDATE package SET price_micros = price_micros * 40 WHERE closed_as = 'upgrade'",
        "by the prices of its packages",
    ),
    (
        "UPDATE package SET price_micros = price_micros + 1 WHERE renewal_of IS NOT NULL",
        "by the prices of its packages",
    ),
    (
        "UPDATE package SET price_micros = price_micros + 1 WHERE specification = 40",
        "by the prices of its packages",
    ),
    ("UPDATE package SET specification = 40 WHERE specification = 10", "its line is of order"),
    (
        "UPDATE package SET closed_as = 'upgrade' WHERE closed_as = 'refund'",
        "taken back as upgrade, by the lines as refund",
    ),
    (
        "UPDATE package SET closed_as = NULL WHERE closed_as = 'refund'",
        "taken back as nothing, by the lines as refund",
    ),
    (
        "UPDATE package SET refunded_at = refunded_at + 1 WHERE closed_as = 'refund'",
        "the instant at which it was taken back",
    ),
    ("UPDATE package SET order_id = 0 WHERE renewal_of IS NOT NULL", "its order 0 does not exist"),
    ("UPDATE package SET order_id = order_id + 1 WHERE closed_as = 'refund'", "its packages are"),
    ("UPDATE package SET renewal_of = NULL WHERE renewal_of IS NOT NULL", "is the renewal of none"),
    (
        "UPDATE package SET renewal_of = 'DMBAG-9' WHERE renewal_of IS NOT NULL",
        "DMBAG-9, which the account does not have",
    ),
    ("UPDATE package SET replaced_by = NULL WHERE replaced_by IS NOT NULL", "was exchanged for none"),
    ("UPDATE package SET replaced_by = 'DMBAG-9' WHERE replaced_by IS NOT NULL", "was exchanged for DMBAG-9"),
    ("UPDATE package SET purchased_at = purchased_at + 1", "its line is of order"),
    ("UPDATE package SET remaining = remaining + 1 WHERE renewal_of IS NOT NULL", "mails, the package has"),
    ("UPDATE package SET granted = granted + 1 WHERE specification = 40", "(R25)"),
    ("UPDATE package SET ends_at = ends_at + 1 WHERE specification = 40", "(R08)"),
    ("DELETE FROM package WHERE specification = 40", "has ledger lines but no package"),
];

const ORDERS: [Damage; 11] = [
    ("DELETE FROM purchase_order WHERE kind = 'New'", "has ledger lines, but there is no such order"),
    ("DELETE FROM purchase_order WHERE kind = 'Refund'", "has ledger lines, but there is no such order"),
    (
        "UPDATE purchase_order SET amount_micros = amount_micros + 1 WHERE kind = 'Upgrade'",
        "its lines take 55000 millionths, it says 55001",
    ),
    (
        "UPDATE purchase_order SET kind = 'Renew' WHERE kind = 'Upgrade'",
        "is of kind Renew, its lines are of upgrade",
    ),
    ("UPDATE purchase_order SET kind = 'New' WHERE kind = 'Renew'", "which a New cannot have"),
    ("UPDATE purchase_order SET quantity = 3 WHERE quantity = 2", "it says 3"),
    ("UPDATE purchase_order SET specification = 40 WHERE kind = 'Refund'", "is for 40 mails"),
    (
        "UPDATE purchase_order SET related_instance = NULL WHERE kind = 'Refund'",
        "the other package of it is none",
    ),
    (
        "UPDATE purchase_order SET related_instance = 'DMBAG-9' WHERE kind = 'Upgrade'",
        "the other package of it is DMBAG-9",
    ),
    ("UPDATE purchase_order SET at = at + 1 WHERE kind = 'New'", "placed at"),
    (
        "INSERT INTO purchase_order (account_id, order_id, kind, at, specification, quantity, amount_micros, related_instance, placed_by) \
         SELECT account_id, order_id + 1000, kind, at, specification, quantity, amount_micros, related_instance, placed_by \
         FROM purchase_order WHERE kind = 'Refund'",
        "has no ledger lines",
    ),
];

const PAYMENTS: [Damage; 5] = [
    ("DELETE FROM top_up WHERE payment_reference = 'p1'", "there is no such top-up"),
    (
        "UPDATE top_up SET amount_micros = 1 WHERE payment_reference = 'p1'",
        "payment p1 of stripe: its line is of 200000",
    ),
    (
        "UPDATE top_up SET transaction_id = transaction_id + 1 WHERE payment_reference = 'p1'",
        "payment p1 of stripe: has no ledger line",
    ),
    (
        "UPDATE top_up SET account_id = account_id + 1000 WHERE payment_reference = 'p2'",
        "there is no such top-up",
    ),
    ("UPDATE top_up SET at = at + 1 WHERE payment_reference = 'p2'", "payment p2 of stripe: came at"),
];

const ACCOUNT: [Damage; 13] = [
    ("UPDATE account_state SET due_micros = 0", "the account has 0 due (R11)"),
    ("UPDATE account_state SET status = 0", "the account is not overdue by its status"),
    ("UPDATE account_state SET overdue_since = NULL", "overdue since never (R11)"),
    (
        "UPDATE account_state SET due_micros = 0, status = 0, overdue_since = NULL",
        "the account has 0 due (R11)",
    ),
    ("UPDATE account_state SET free_day_used = 0", "free: by the lines 2 mails count"),
    ("UPDATE account_state SET free_day = free_day + 1", "free: by the lines 2 mails count"),
    ("UPDATE account_state SET free_left = free_left + 1", "free: the lines add up to"),
    ("UPDATE account_state SET cash_micros = cash_micros + 1", "cash: the lines add up to"),
    ("UPDATE account_state SET open_micros = open_micros - 1", "unpaid bills add up to"),
    ("UPDATE account_state SET payg_mails = payg_mails + 1", "pay-as-you-go: the lines add up to"),
    ("UPDATE account_state SET ledger_sequence = ledger_sequence + 1", "the account counts"),
    ("DELETE FROM account_state", "no state row"),
    ("UPDATE account SET zone = 'Asia/Kathmandu'", "the clock hour is"),
];

const BILLS: [Damage; 14] = [
    ("UPDATE bill SET due_at = NULL WHERE settled_at IS NULL", "bills that are due add up to 0"),
    ("UPDATE bill SET due_at = NULL WHERE settled_at IS NOT NULL", "without being called in"),
    ("UPDATE bill SET settlement_id = NULL WHERE settlement_id IS NOT NULL", "by settlement none"),
    ("UPDATE bill SET settled_at = NULL WHERE settled_at IS NOT NULL", "paid at never"),
    (
        "UPDATE bill SET settled_at = settled_at + 1 WHERE settled_at IS NOT NULL",
        "one of them is wrong or missing",
    ),
    (
        "UPDATE bill SET price_micros = price_micros * 2 WHERE number = 2",
        "its price is 6666 millionths, its hour's 3333",
    ),
    ("UPDATE bill SET day = day - 40", "its hour is of day"),
    ("UPDATE bill SET hour_end = hour_end + 1", "its hour is of day"),
    ("UPDATE bill SET number = 3 WHERE number = 2", "are numbered [1, 3]"),
    ("UPDATE bill SET mails = mails + 1 WHERE number = 1", "its lines are of"),
    ("UPDATE bill SET amount_micros = amount_micros + 10000 WHERE number = 1", "its lines are of"),
    ("UPDATE bill SET made_at = made_at + 1", "made at"),
    ("UPDATE bill SET bill_id = bill_id + 1 WHERE number = 2", "but there is no such bill"),
    ("DELETE FROM bill WHERE number = 2", "but there is no such bill"),
];

const SETTLEMENTS: [Damage; 6] = [
    ("DELETE FROM settlement", "which paid it, is missing"),
    (
        "INSERT INTO settlement (account_id, settlement_id, at, cause, bills, amount_micros) \
         SELECT account_id, settlement_id + 1, at, cause, bills, amount_micros FROM settlement",
        "0 bills of 0 millionths were paid by it",
    ),
    ("UPDATE settlement SET amount_micros = amount_micros * 2", "its line moves"),
    ("UPDATE settlement SET bills = bills + 1", "were paid by it, it says 2"),
    ("UPDATE settlement SET at = at + 1", "one of them is wrong or missing"),
    ("UPDATE settlement SET cause = 'whim'", "'whim' is no cause"),
];

const USAGE: [Damage; 11] = [
    ("UPDATE usage_hour SET day = day + 40", "it is of day"),
    ("UPDATE usage_hour SET hour_end = hour_end + 86400000000", "the clock hour is"),
    ("UPDATE usage_hour SET bills = 0 WHERE bills > 0", "bills, it counts 0"),
    ("UPDATE usage_hour SET payg_mails = payg_mails + 1", "are kept"),
    ("UPDATE usage_hour SET free_mails = free_mails + 1", "are kept"),
    ("UPDATE usage_hour SET price_micros = price_micros + 1000", "(R10)"),
    ("UPDATE usage_hour SET billed_micros = billed_micros + 10000", "(R10)"),
    ("UPDATE usage_hour SET billed_mails = billed_mails + 1", "its bills are"),
    ("DELETE FROM usage_hour", "has lines, but no usage is kept"),
    ("UPDATE package_day SET mails = mails + 1", "the lines charge"),
    ("DELETE FROM package_day", "the lines charge"),
];

const LINES: [Damage; 19] = [
    (
        "UPDATE ledger SET transaction_id = transaction_id + 1 WHERE kind = 'bill'",
        "but there is no such bill",
    ),
    (
        "UPDATE ledger SET transaction_id = transaction_id + 1 WHERE kind = 'settlement'",
        "but there is no such settlement",
    ),
    (
        "UPDATE ledger SET transaction_id = transaction_id + 1 WHERE kind = 'top-up'",
        "there is no such top-up",
    ),
    (
        "UPDATE ledger SET transaction_id = transaction_id + 1000 WHERE kind = 'upgrade' AND unit = 'money'",
        "but there is no such order",
    ),
    (
        "UPDATE ledger SET transaction_id = transaction_id + 1000 WHERE kind = 'send' AND from_account = 'free'",
        "but there is no such message",
    ),
    ("UPDATE ledger SET at = at + 1 WHERE kind = 'bill'", "its lines are of"),
    ("UPDATE ledger SET at = at + 1 WHERE kind = 'settlement'", "its lines are of"),
    ("UPDATE ledger SET at = at + 1 WHERE kind = 'refund'", "placed at"),
    ("UPDATE ledger SET at = at + 86400000000 WHERE kind = 'send'", "has lines, but no usage is kept"),
    ("UPDATE ledger SET kind = 'credit' WHERE kind = 'top-up'", "has no ledger line"),
    (
        "UPDATE ledger SET amount = amount + 1 WHERE kind = 'purchase' AND unit = 'mail'",
        "does not fit an amount",
    ),
    ("UPDATE ledger SET amount = -amount WHERE kind = 'settlement'", "is not positive"),
    (
        "UPDATE ledger SET before_amount = before_amount + 1, after_amount = after_amount + 1 WHERE kind = 'refund'",
        "the lines before it say",
    ),
    ("UPDATE ledger SET valid_until = valid_until - 1 WHERE valid_until IS NOT NULL", "(R08)"),
    (
        "UPDATE ledger SET from_account = 'pay-as-you-go' WHERE kind = 'send' AND from_account = 'free'",
        "free mails left (R04, R06)",
    ),
    (
        "UPDATE ledger SET amount = amount + 1 WHERE kind = 'send' AND from_account = 'free'",
        "where the day had 2 left (R06)",
    ),
    (
        "UPDATE ledger SET from_account = 'pay-as-you-go' WHERE kind = 'send' AND from_account LIKE 'package:%'",
        "(R04, R05)",
    ),
    ("UPDATE ledger SET unit = 'money' WHERE kind = 'opening'", "cannot go from"),
    ("DELETE FROM ledger WHERE sequence = 3", "lines are missing or doubled"),
];

const MESSAGES: [Damage; 4] = [
    ("DELETE FROM message", "but there is no such message"),
    ("DELETE FROM recipient WHERE number = 0", "kept"),
    ("UPDATE recipient SET state = 5", "mails to be paid for"),
    ("DELETE FROM queue", "0 are in the queue"),
];

async fn r25_an_unreadable_account_keeps_no_other_from_being_looked_at(bench: Bench) {
    let one = furnished(&bench).await;
    let other = Customer::new(&bench, "UTC").await;
    let mut raw = raw(&bench).await;
    keep(&mut raw).await;
    let mut damages = vec![
        ("UPDATE account SET zone = 'US/Pacific-New'", "'US/Pacific-New' is not a time zone"),
        (
            "UPDATE ledger SET kind = 'toll' WHERE kind = 'refund' AND unit = 'money'",
            "line 6: 'toll' is not a name",
        ),
        ("UPDATE ledger SET to_account = 'purse' WHERE kind = 'opening'", "line 1: 'purse' is not a name"),
        ("UPDATE package SET closed_as = 'lost' WHERE closed_as = 'refund'", "'lost' is not a name"),
    ];
    if bench.url == "sqlite" {
        // PostgreSQL keeps the types of its columns.
        damages.push(("UPDATE ledger SET amount = 'many' WHERE kind = 'refund'", "could not be read"));
        damages.push(("UPDATE bill SET price_micros = 'much' WHERE number = 1", "could not be read"));
    }
    for (damage, words) in damages {
        let which = if damage.contains("WHERE") { "AND" } else { "WHERE" };
        let damage = format!("{damage} {which} account_id = {}", one.id);
        let done = raw.execute(AssertSqlSafe(damage.clone())).await.expect("damaged");
        assert!(done.rows_affected() > 0, "no row is damaged by {damage}");
        let sql = format!("UPDATE account_state SET cash_micros = 7 WHERE account_id = {}", other.id);
        raw.execute(AssertSqlSafe(sql)).await.expect("damaged");
        let found = one.store.verify_ledger().await.expect("verified");
        let of = |id: i64, words: &str| {
            found
                .violations
                .iter()
                .any(|violation| violation.account_id == id && violation.what.contains(words))
        };
        assert!(of(one.id, words), "{damage}: '{words}' is not in {:#?}", found.violations);
        assert!(of(one.id, "was not looked at any further"), "{damage}: {:#?}", found.violations);
        assert!(of(other.id, "cash: the lines add up to 0, the account has 7"), "{:#?}", found.violations);
        assert_eq!(found.accounts, 2);
        bring_back(&mut raw).await;
    }
    raw.close().await.expect("closed");
}

async fn r25_rows_without_their_account_are_named(bench: Bench) {
    let one = furnished(&bench).await;
    let mut raw = raw(&bench).await;
    keep(&mut raw).await;
    for damage in ["DELETE FROM account", "DELETE FROM account_state"] {
        raw.execute(damage).await.expect("damaged");
        let named = named(&one).await;
        assert!(
            named.len() == 1
                && named[0].contains("there is no such account") == (damage == "DELETE FROM account"),
            "{named:#?}"
        );
        bring_back(&mut raw).await;
    }
    raw.execute("DELETE FROM account").await.expect("damaged");
    raw.execute("DELETE FROM account_state").await.expect("damaged");
    let named = named(&one).await;
    assert!(named[0].contains("there is no such account"), "the lines alone remain: {named:#?}");
    raw.close().await.expect("closed");
}
