//! What operators do by hand, asked for more than once: by a double click, after an answer that got lost, after a
//! failure in between.

use std::time::Duration;

use indicia_domain::ledger::Kind;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{DAY_MICROS, HOUR_MICROS};
use indicia_store::Store;
use indicia_store::alert::AlertScope;
use indicia_store::money::{AdjustError, Adjusted, Adjustment, CreditError, MoneyReceipt};
use indicia_store::oversight::LineQuery;
use indicia_store::package::PurchaseRequest;
use sqlx::{Connection, Executor, Row};

use crate::engines::Bench;
use crate::on_both_engines;
use crate::support::money::{Customer, dump, prices, raw};
use crate::support::operator;

on_both_engines!(
    r26_a_deed_under_a_key_is_done_once_and_answered_alike,
    r26_a_key_holds_for_one_deed_of_one_account,
    r26_a_limit_asked_for_again_does_not_undo_the_next,
    r26_one_key_at_one_moment_is_one_deed,
    r26_a_deed_whose_answer_was_lost_is_done_once,
    r26_a_failure_before_the_commit_leaves_neither_deed_nor_key,
    r26_a_refused_deed_leaves_its_key_free,
    r26_clients_keys_and_operators_keys_do_not_meet,
    r11_r26_a_receipt_tells_every_line_that_came_of_it,
    r15_mails_for_a_package_to_come_arm_no_alert,
);

/// Something that an operator can do.
#[derive(Clone, Debug)]
enum Deed {
    Credit(i64, &'static str),
    Limit(i64, &'static str),
    Adjust(Adjusted, &'static str),
}

impl Deed {
    async fn take(
        &self,
        store: &Store,
        account_id: i64,
        key: Option<&str>,
    ) -> Result<MoneyReceipt, AdjustError> {
        let by = operator();
        match self {
            Deed::Credit(micros, memo) => {
                Ok(store.credit(account_id, MoneyMicros(*micros), memo, &by, key).await?)
            }
            Deed::Limit(micros, reason) => {
                Ok(store.set_credit_limit(account_id, MoneyMicros(*micros), reason, &by, key).await?)
            }
            Deed::Adjust(what, reason) => {
                let adjustment = Adjustment { account_id, what: what.clone(), reason: (*reason).to_owned() };
                store.adjust(&adjustment, &by, key).await
            }
        }
    }
}

fn is_conflict(answer: &Result<MoneyReceipt, AdjustError>) -> bool {
    matches!(answer, Err(AdjustError::Credit(CreditError::IdempotencyConflict)))
}

async fn r26_a_deed_under_a_key_is_done_once_and_answered_alike(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p1", 500_000).await;
    let instance_id = customer.buy(10).await;
    let second_node = bench.second_node().await;
    let deeds = [
        Deed::Credit(250_000, "cheque"),
        Deed::Credit(-50_000, "cheque bounced"),
        Deed::Limit(70_000, "trust"),
        Deed::Adjust(Adjusted::Money(MoneyMicros(-1)), "goodwill"),
        Deed::Adjust(Adjusted::FreeMails(3), "trial"),
        Deed::Adjust(Adjusted::PackageMails { instance_id, mails: -2 }, "granted twice"),
    ];
    for (number, deed) in deeds.iter().enumerate() {
        let key = format!("key {number}");
        let first = deed.take(&bench.store, customer.id, Some(&key)).await.expect("done");
        assert!(!first.is_repeat, "{deed:?}");
        assert_eq!(first.balance(), customer.numbers().await.cash, "{deed:?}");
        // Later, when the balance is another one, by another node: the answer is what it was.
        bench.clock.advance_micros(DAY_MICROS);
        customer.pays(&format!("between {number}"), 1_000).await;
        let before = dump(&bench).await;
        let again = deed.take(&second_node, customer.id, Some(&key)).await.expect("answered");
        assert_eq!(again, MoneyReceipt { is_repeat: true, ..first }, "{deed:?}");
        assert_eq!(dump(&bench).await, before, "a repeat writes nothing: {deed:?}");
    }
    let twice = Deed::Credit(1, "without a key");
    let before = customer.numbers().await.cash;
    for _ in 0..2 {
        twice.take(&bench.store, customer.id, None).await.expect("done");
    }
    assert_eq!(customer.numbers().await.cash.0 - before.0, 2);
    customer.account.verify().await;
    second_node.close().await;
}

async fn r26_a_key_holds_for_one_deed_of_one_account(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    let stranger = Customer::new(&bench, "UTC").await;
    customer.pays("p1", 500_000).await;
    let instance_id = customer.buy(10).await;
    let key = Some("one key");
    Deed::Credit(250_000, "cheque").take(&bench.store, customer.id, key).await.expect("done");
    let before = dump(&bench).await;
    for other in [
        Deed::Credit(250_001, "cheque"),
        Deed::Credit(-250_000, "cheque"),
        Deed::Credit(250_000, "another cheque"),
        Deed::Limit(250_000, "cheque"),
        Deed::Adjust(Adjusted::Money(MoneyMicros(250_000)), "cheque"),
        Deed::Adjust(Adjusted::FreeMails(250_000), "cheque"),
        Deed::Adjust(Adjusted::PackageMails { instance_id, mails: 250_000 }, "cheque"),
    ] {
        let answer = other.take(&bench.store, customer.id, key).await;
        assert!(is_conflict(&answer), "{other:?}: {answer:?}");
    }
    assert_eq!(dump(&bench).await, before, "nothing is written on an error");
    let theirs = Deed::Credit(250_000, "cheque").take(&bench.store, stranger.id, key).await.expect("done");
    assert!(!theirs.is_repeat, "another account's key is another");
    assert_eq!(stranger.numbers().await.cash.0, 250_000);
}

async fn r26_a_limit_asked_for_again_does_not_undo_the_next(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    for (limit, key) in [(10, "first"), (20, "second"), (10, "first")] {
        Deed::Limit(limit, "trust").take(&bench.store, customer.id, Some(key)).await.expect("answered");
    }
    assert_eq!(customer.numbers().await.credit_limit, MoneyMicros(20));
}

async fn r26_one_key_at_one_moment_is_one_deed(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    let second_node = bench.second_node().await;
    for round in 0..6 {
        let deed = match round % 3 {
            0 => Deed::Credit(1_000, "cheque"),
            1 => Deed::Adjust(Adjusted::Money(MoneyMicros(1_000)), "goodwill"),
            _ => Deed::Adjust(Adjusted::FreeMails(1), "trial"),
        };
        let mut clicks = Vec::new();
        for number in 0..12 {
            let store = if number % 2 == 0 { bench.store.clone() } else { second_node.clone() };
            let (deed, key, id) = (deed.clone(), format!("round {round}"), customer.id);
            clicks.push(tokio::spawn(async move { deed.take(&store, id, Some(&key)).await }));
        }
        let (mut done, mut transactions) = (0, Vec::new());
        for click in clicks {
            let receipt = click.await.expect("no panic").expect("answered");
            done += usize::from(!receipt.is_repeat);
            transactions.push(receipt.transaction_id);
        }
        transactions.dedup();
        assert_eq!((done, transactions.len()), (1, 1), "{deed:?}");
    }
    let numbers = customer.numbers().await;
    assert_eq!((numbers.cash.0, numbers.free_left), (4_000, 2));
    customer.account.verify().await;
    second_node.close().await;
}

async fn r26_a_deed_whose_answer_was_lost_is_done_once(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    let deed = Deed::Credit(1_000, "cheque");
    let mut cut = 0;
    for round in 0..60_u64 {
        let key = format!("round {round}");
        // The one who asks goes away at any moment: before the lock, between two statements, during the commit.
        let patience = Duration::from_micros(100 * round);
        let heard = tokio::time::timeout(patience, deed.take(&bench.store, customer.id, Some(&key))).await;
        cut += usize::from(heard.is_err());
        let again = deed.take(&bench.store, customer.id, Some(&key)).await.expect("answered");
        if let Ok(first) = heard {
            let first = first.expect("done");
            assert_eq!(again, MoneyReceipt { is_repeat: true, ..first });
        }
        assert_eq!(customer.numbers().await.cash.0, 1_000 * (round as i64 + 1), "round {round}");
    }
    assert!(cut > 0, "nobody ever went away");
    customer.account.verify().await;
}

/// Makes every deed fail when all but its commit is done (on PostgreSQL the commit itself fails), until `heal`.
async fn harm(bench: &Bench) {
    let mut connection = raw(bench).await;
    let statements: &[&'static str] = match bench.url.as_str() {
        "sqlite" => &[
            "CREATE TRIGGER harm BEFORE INSERT ON idempotency BEGIN SELECT RAISE(ABORT, 'disk on fire'); END",
        ],
        _ => &[
            "CREATE FUNCTION harm() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'disk on fire'; END $$ LANGUAGE plpgsql",
            "CREATE CONSTRAINT TRIGGER harm AFTER INSERT ON idempotency DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION harm()",
        ],
    };
    for statement in statements {
        connection.execute(*statement).await.expect("harmed");
    }
    connection.close().await.expect("closed");
}

async fn heal(bench: &Bench) {
    let mut connection = raw(bench).await;
    let sql = if bench.url == "sqlite" { "DROP TRIGGER harm" } else { "DROP TRIGGER harm ON idempotency" };
    connection.execute(sql).await.expect("healed");
    connection.close().await.expect("closed");
}

async fn r26_a_failure_before_the_commit_leaves_neither_deed_nor_key(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p1", 25_000).await;
    let instance_id = customer.buy(10).await;
    let deeds = [
        Deed::Credit(250_000, "cheque"),
        Deed::Limit(70_000, "trust"),
        Deed::Adjust(Adjusted::FreeMails(3), "trial"),
        Deed::Adjust(Adjusted::PackageMails { instance_id, mails: 2 }, "granted too little"),
    ];
    let before = dump(&bench).await;
    harm(&bench).await;
    for (number, deed) in deeds.iter().enumerate() {
        let failed = deed.take(&bench.store, customer.id, Some(&format!("key {number}"))).await;
        assert!(matches!(failed, Err(AdjustError::Credit(CreditError::Store(_)))), "{failed:?}");
    }
    assert_eq!(dump(&bench).await, before, "all or nothing");
    heal(&bench).await;
    for (number, deed) in deeds.iter().enumerate() {
        let done = deed.take(&bench.store, customer.id, Some(&format!("key {number}"))).await.expect("done");
        assert!(!done.is_repeat, "{deed:?}");
    }
    let numbers = customer.numbers().await;
    assert_eq!((numbers.cash.0, numbers.credit_limit.0, numbers.free_left), (250_000, 70_000, 3));
    customer.account.verify().await;
}

async fn r26_a_refused_deed_leaves_its_key_free(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    let deed = Deed::Credit(-1_000, "paid out");
    let refused = deed.take(&bench.store, customer.id, Some("key")).await;
    assert!(matches!(refused, Err(AdjustError::Credit(CreditError::Insufficient { .. }))), "{refused:?}");
    customer.pays("p1", 1_000).await;
    assert!(!deed.take(&bench.store, customer.id, Some("key")).await.expect("done").is_repeat);
    assert_eq!(customer.numbers().await.cash, MoneyMicros::ZERO);
}

async fn r26_clients_keys_and_operators_keys_do_not_meet(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p1", 500_000).await;
    for key in ["console:0123", "command-line:4711", "operator console:0123"] {
        let wanted = PurchaseRequest { idempotency_key: Some(key.to_owned()), ..customer.wants(10) };
        customer.store.purchase(&wanted, &prices()).await.expect("bought");
        let done = Deed::Credit(1_000, "cheque").take(&bench.store, customer.id, Some(key)).await;
        assert!(!done.expect("another door's key").is_repeat);
    }
    assert_eq!(customer.numbers().await.cash.0, 500_000 - 3 * 25_000 + 3 * 1_000);
}

async fn r11_r26_a_receipt_tells_every_line_that_came_of_it(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.send(60).await;
    bench.clock.advance_micros(HOUR_MICROS);
    let round = customer.job().await;
    assert_eq!(round.overdue, 1, "{round:?}");
    let deeds = [
        (Deed::Credit(50_000, "too little"), vec![Kind::Credit]),
        (Deed::Limit(10, "moves nothing"), vec![]),
        (Deed::Limit(200_000, "pays it all"), vec![Kind::Settlement]),
        (Deed::Adjust(Adjusted::FreeMails(5), "trial"), vec![Kind::Adjustment]),
    ];
    for (deed, expected) in deeds {
        let receipt = deed.take(&bench.store, customer.id, Some(&format!("{deed:?}"))).await.expect("done");
        customer.pays(&format!("{deed:?}"), 1).await;
        let MoneyReceipt { after_sequence, lines: limit, .. } = receipt;
        let query = LineQuery { after_sequence, limit, ..LineQuery::all(customer.id) };
        let lines = customer.store.lines_in_order(&query).await.expect("read");
        assert_eq!(lines.iter().map(|line| line.kind).collect::<Vec<_>>(), expected, "{deed:?}");
    }
    customer.account.verify().await;
}

async fn r15_mails_for_a_package_to_come_arm_no_alert(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p1", 500_000).await;
    let running = customer.buy(10).await;
    customer.store.set_alert(customer.id, &AlertScope::All, 30, &operator()).await.expect("set");
    let message = customer.send(5).await;
    customer.send(3).await;
    let floor = async || -> i64 {
        let mut connection = raw(&bench).await;
        let row = sqlx::query("SELECT alert_floor FROM account_state WHERE account_id = $1")
            .bind(customer.id)
            .fetch_one(&mut connection)
            .await
            .expect("read");
        connection.close().await.expect("closed");
        row.try_get(0).expect("a number")
    };
    assert_eq!(floor().await, -1, "two of ten are left: it has gone off");
    customer.store.cancel(customer.id, message, "test").await.expect("cancelled");
    let later = bench.store.now().plus_micros(30 * DAY_MICROS);
    let wanted = PurchaseRequest { starts_at: Some(later), ..customer.wants(40) };
    let receipt = customer.store.purchase(&wanted, &prices()).await.expect("bought");
    assert_eq!(floor().await, -1, "nothing can pay that could not before");
    let more = |instance: &str| {
        let what = Adjusted::PackageMails { instance_id: instance.to_owned(), mails: 10 };
        Deed::Adjust(what, "granted too little")
    };
    more(&receipt.instance_ids[0]).take(&bench.store, customer.id, None).await.expect("adjusted");
    assert_eq!(floor().await, -1, "nor after the adjustment of what is to come");
    more(&running).take(&bench.store, customer.id, None).await.expect("adjusted");
    assert_eq!(floor().await, 6, "30 per cent of the twenty that are there now");
}
