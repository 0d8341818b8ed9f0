//! A form for money by hand that is sent more than once: by a double click, at the same moment, after going back,
//! after a failure of the database in between, after the browser hung up.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use indicia_domain::{ledger::Kind, money::MoneyMicros};
use indicia_store::oversight::{AuditQuery, LineQuery};
use sqlx::{Connection, Executor};

use crate::{
    browser::{Answer, Browser},
    world::{OPERATOR_EMAIL, World},
};

/// The confirm page's form, as a browser sends it.
const FIELDS: [&str; 8] = ["csrf", "token", "kind", "direction", "amount", "mails", "instance", "reason"];

type Form = Vec<(&'static str, String)>;

async fn confirmed(browser: &mut Browser, account_id: i64, query: &str) -> (Answer, Form) {
    let page = browser.get(&format!("/accounts/{account_id}/operator/confirm?{query}")).await;
    let form = FIELDS.map(|name| (name, page.hidden(name))).to_vec();
    (page, form)
}

fn fields(form: &Form) -> Vec<(&str, &str)> {
    form.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

async fn book(browser: &mut Browser, account_id: i64, form: &Form) -> Answer {
    browser.post(&format!("/accounts/{account_id}/operator/book"), &fields(form)).await
}

/// The amounts of the account's lines but its first, which grants free credit.
async fn booked(world: &World, account_id: i64) -> Vec<(Kind, i64)> {
    let query = LineQuery { limit: 100, ..LineQuery::all(account_id) };
    let lines = world.store.lines_in_order(&query).await.unwrap();
    lines[1..].iter().map(|line| (line.kind, line.amount)).collect()
}

async fn entries(world: &World) -> usize {
    let query = AuditQuery { limit: 100, ..AuditQuery::default() };
    world.store.audit_entries(&query).await.unwrap().len()
}

#[tokio::test]
async fn r26_a_form_sent_again_shows_its_own_lines_and_books_nothing() {
    let world = World::empty().await;
    let id = world.account_id;
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    let (page, form) =
        confirmed(&mut operator, id, "kind=credit&direction=give&amount=10&reason=the+cheque").await;
    let first = book(&mut operator, id, &form).await;
    first.shows("The lines that came of it");
    first.shows("Done");
    first.hides("This form was done before");
    // What comes later is no line of this form.
    world.credit(id, 77).await;
    let (back, again) = confirmed(&mut operator, id, page.path.split_once('?').unwrap().1).await;
    assert_eq!((back.status, &again), (StatusCode::OK, &form), "the address keeps the form");
    for _ in 0..2 {
        let repeat = book(&mut operator, id, &again).await;
        assert_eq!((repeat.status, &repeat.path), (StatusCode::OK, &first.path));
        repeat.shows("This form was done before");
        repeat.shows("the cheque");
        repeat.shows("USD 10.00");
        repeat.hides("USD 77.00");
    }
    assert_eq!(booked(&world, id).await, [(Kind::Credit, 10_000_000), (Kind::Credit, 77_000_000)]);
    let (_, anew) =
        confirmed(&mut operator, id, "kind=credit&direction=give&amount=10&reason=the+cheque").await;
    book(&mut operator, id, &anew).await;
    assert_eq!(booked(&world, id).await.len(), 3, "a new form is a new credit");
}

#[tokio::test(flavor = "multi_thread")]
async fn r26_clicks_at_the_same_moment_book_once_and_all_see_the_line() {
    let world = World::empty().await;
    let id = world.account_id;
    let mut first = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    let (_, form) = confirmed(&mut first, id, "kind=money&direction=give&amount=10&reason=goodwill").await;
    let mut clicks = Vec::new();
    for _ in 0..8 {
        let mut browser = Browser::on(&world);
        browser.cookies = first.cookies.clone();
        let form = form.clone();
        clicks.push(tokio::spawn(async move { book(&mut browser, id, &form).await }));
    }
    let (mut paths, mut repeats) = (Vec::new(), 0);
    for click in clicks {
        let answer = click.await.expect("no panic");
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.shows("goodwill");
        repeats += usize::from(answer.text.contains("This form was done before"));
        paths.push(answer.path);
    }
    paths.dedup();
    assert_eq!((paths.len(), repeats), (1, 7));
    assert_eq!(booked(&world, id).await, [(Kind::Adjustment, 10_000_000)]);
}

#[tokio::test]
async fn r26_a_forms_token_is_for_what_the_form_says() {
    let world = World::empty().await;
    let id = world.account_id;
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    let (_, form) = confirmed(&mut operator, id, "kind=credit&direction=give&amount=10&reason=x").await;
    book(&mut operator, id, &form).await;
    for (name, value) in
        [("amount", "11"), ("direction", "take"), ("reason", "y"), ("kind", "money"), ("kind", "limit")]
    {
        let mut other = form.clone();
        other.iter_mut().find(|(field, _)| *field == name).unwrap().1 = value.to_owned();
        let answer = book(&mut operator, id, &other).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{name}");
        answer.shows("This form has been used");
    }
    assert_eq!(booked(&world, id).await, [(Kind::Credit, 10_000_000)]);
    assert_eq!(world.store.account_numbers(id).await.unwrap().unwrap().credit_limit, MoneyMicros::ZERO);
    assert_eq!(entries(&world).await, 1);
}

#[tokio::test]
async fn r26_a_deed_that_the_database_did_not_keep_is_done_by_the_same_form() {
    for query in [
        "kind=credit&direction=give&amount=10&reason=x",
        "kind=money&direction=give&amount=10&reason=x",
        "kind=free&direction=give&mails=10&reason=x",
        "kind=limit&amount=10&reason=x",
    ] {
        // At the first thing that is written, and at the last.
        for table in ["audit", "idempotency"] {
            let world = World::empty().await;
            let id = world.account_id;
            let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
            let (_, form) = confirmed(&mut operator, id, query).await;
            let mut database = world.database().await;
            let harm = format!(
                "CREATE TRIGGER harm BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'disk on fire'); END"
            );
            database.execute(sqlx::AssertSqlSafe(harm)).await.unwrap();
            let failed = book(&mut operator, id, &form).await;
            assert_eq!(failed.status, StatusCode::SERVICE_UNAVAILABLE, "{query}");
            failed.shows("It is not known whether this was done");
            failed.hides("disk on fire");
            assert!(booked(&world, id).await.is_empty(), "{query}: no deed without its key");
            database.execute("DROP TRIGGER harm").await.unwrap();
            database.close().await.unwrap();
            // The page that said so has the same form.
            let again: Form = FIELDS.map(|name| (name, failed.hidden(name))).to_vec();
            assert_eq!(again, form);
            let done = book(&mut operator, id, &again).await;
            assert_eq!(done.status, StatusCode::OK, "{query}");
            done.shows("Done");
            done.hides("This form was done before");
            book(&mut operator, id, &form).await.shows("This form was done before");
            let lines = usize::from(!query.starts_with("kind=limit"));
            assert_eq!((booked(&world, id).await.len(), entries(&world).await), (lines, 1), "{query}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r26_a_browser_that_hung_up_finds_the_deed_done_once() {
    let world = World::empty().await;
    let id = world.account_id;
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    let mut hung_up = 0;
    for round in 0..30_u64 {
        let (_, form) = confirmed(&mut operator, id, "kind=credit&direction=give&amount=1&reason=x").await;
        let address = format!("/accounts/{id}/operator/book");
        let fields = fields(&form);
        let posted = operator.once(Method::POST, &address, Some(&fields));
        hung_up +=
            usize::from(tokio::time::timeout(Duration::from_micros(150 * round), posted).await.is_err());
        let answer = book(&mut operator, id, &form).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert_eq!(booked(&world, id).await.len() as u64, round + 1);
    }
    assert!(hung_up > 0, "nobody ever hung up");
    assert!(world.store.verify_ledger().await.unwrap().violations.is_empty());
}
