//! The operator's pages: accounts with their money, what is done by hand, sums of the month, the audit log.

use axum::http::{Method, StatusCode};
use indicia_domain::{
    account::AccountStatus,
    ledger::{Kind, bill::CollectionPolicy, price::PriceList},
    money::MoneyMicros,
    notice::Channel,
    time::{Clock, MINUTE_MICROS},
};
use indicia_store::{
    account::AccountNumbers,
    audit::Actor,
    contact::Contact,
    money::TopUp,
    notice::{Dispatch, Handover},
    oversight::{AuditQuery, LineQuery},
    package::PackageFilter,
};

use crate::{
    browser::{Answer, Browser},
    world::{EMAIL, Fate, OPERATOR_EMAIL, OTHER_EMAIL, World},
};

/// The form's fields, as a browser sends them from the confirm page.
const FIELDS: [&str; 8] = ["csrf", "token", "kind", "direction", "amount", "mails", "instance", "reason"];

async fn numbers(world: &World, account_id: i64) -> AccountNumbers {
    world.store.account_numbers(account_id).await.unwrap().unwrap()
}

/// Makes an account owe for `mails` mails of one hour and not pay.
async fn make_overdue(world: &World, account_id: i64, mails: usize) {
    world
        .store
        .set_daily_quota(account_id, 100_000, "test", &indicia_store::audit::Actor::system("test"))
        .await
        .unwrap();
    let to: Vec<String> = (0..mails + 200).map(|n| format!("reader{n}@club.example")).collect();
    for part in to.chunks(90) {
        world.send(account_id, "Digest", part, Fate::Waiting).await;
    }
    world.clock.advance_micros(60 * MINUTE_MICROS);
    let policy = CollectionPolicy { threshold: MoneyMicros(1) };
    world.store.make_bills(&PriceList::default(), &policy).await.unwrap();
    assert!(numbers(world, account_id).await.status.has(AccountStatus::OVERDUE));
}

async fn confirm(browser: &mut Browser, account_id: i64, query: &str) -> Answer {
    browser.get(&format!("/accounts/{account_id}/operator/confirm?{query}")).await
}

fn filled(page: &Answer) -> Vec<(&'static str, String)> {
    FIELDS.map(|name| (name, page.hidden(name))).to_vec()
}

async fn book(browser: &mut Browser, account_id: i64, form: &[(&'static str, String)]) -> Answer {
    let fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.post(&format!("/accounts/{account_id}/operator/book"), &fields).await
}

#[tokio::test]
async fn nobody_but_an_operator_finds_the_operators_pages() {
    let world = World::empty().await;
    let mut owner = Browser::signed_in(&world, EMAIL).await;
    let mut nobody = Browser::on(&world);
    let own = format!("/accounts/{}/operator", world.account_id);
    let paths =
        ["/accounts", "/operator/month", "/operator/notices", "/operator/prices", "/operator/audit", &own];
    for path in paths {
        assert_eq!(owner.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
        assert!(nobody.get(path).await.path.starts_with("/login"), "{path}");
    }
    let query = format!("{own}/confirm?kind=credit&direction=give&amount=1&reason=x");
    assert_eq!(owner.get(&query).await.status, StatusCode::NOT_FOUND);
    let csrf = owner.get("/").await.hidden("csrf");
    let token = "0123456789abcdef0123456789abcdef";
    let form = [
        ("csrf", csrf.as_str()),
        ("token", token),
        ("kind", "credit"),
        ("direction", "give"),
        ("amount", "1"),
        ("reason", "x"),
    ];
    let answer = owner.post(&format!("{own}/book"), &form).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "an owner puts no money on the own account");
    assert_eq!(numbers(&world, world.account_id).await.cash, MoneyMicros::ZERO);
}

#[tokio::test]
async fn every_operators_page_stands_with_nothing_to_show() {
    let world = World::empty().await;
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    for (path, text) in [
        ("/accounts?status=overdue", "No account is overdue"),
        ("/accounts?sort=runs-out-first", "No account has mails left in packages"),
        ("/operator/month", "Nothing was billed for this month."),
        ("/operator/notices", "Every notice that was due was told"),
        ("/operator/prices", "USD 1,123.75"),
        ("/operator/audit", "Nothing has been done yet"),
    ] {
        let page = operator.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        page.shows(text);
    }
}

#[tokio::test]
async fn r11_the_accounts_are_listed_with_their_money_and_the_overdue_ones_alone() {
    let world = World::empty().await;
    world.credit(world.account_id, 100).await;
    world.buy(world.account_id, 50_000).await;
    make_overdue(&world, world.other_id, 1_000).await;
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    let all = operator.get("/accounts").await;
    all.shows("USD 86.95");
    all.shows("50,000");
    all.shows("In the last 30 days no mail went beyond the free credit.");
    all.shows("USD 0.29");
    all.shows("1,000 as you go");
    let overdue = operator.get("/accounts?status=overdue").await;
    overdue.shows(OTHER_EMAIL);
    overdue.shows("USD 0.29 due");
    overdue.hides(EMAIL);
    let sorted = operator.get("/accounts?sort=owes-most").await;
    let (owes, not) = (sorted.text.find(OTHER_EMAIL).unwrap(), sorted.text.find(EMAIL).unwrap());
    assert!(owes < not, "who owes most comes first");
}

#[tokio::test]
async fn a_credit_is_confirmed_and_the_line_it_made_is_shown() {
    let world = World::empty().await;
    let id = world.account_id;
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    let page =
        confirm(&mut operator, id, "kind=credit&direction=give&amount=250.5&reason=bank+transfer").await;
    page.shows("Put money on: +USD 250.50");
    page.shows("bank transfer");
    assert_eq!(numbers(&world, id).await.cash, MoneyMicros::ZERO, "looking books nothing");
    let done = book(&mut operator, id, &filled(&page)).await;
    assert_eq!(done.status, StatusCode::OK);
    done.shows("The lines that came of it");
    done.shows("bank transfer");
    done.shows(&format!("operator {OPERATOR_EMAIL}"));
    assert_eq!(numbers(&world, id).await.cash, MoneyMicros(250_500_000));
    let audit = operator.get(&format!("/operator/audit?account={id}")).await;
    audit.shows("bank transfer");
    let other = operator.get(&format!("/operator/audit?account={}", world.other_id)).await;
    other.hides("bank transfer");
}

#[tokio::test]
async fn r27_an_adjustment_is_a_new_line_with_its_reason_and_none_is_changed() {
    let world = World::empty().await;
    let id = world.account_id;
    world.credit(id, 100).await;
    let instance = world.buy(id, 50_000).await.instance_ids[0].clone();
    let query = LineQuery { limit: 100, ..LineQuery::all(id) };
    let before = world.store.lines_in_order(&query).await.unwrap();
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    for (fields, reason) in [
        ("kind=money&direction=give&amount=5".to_owned(), "goodwill"),
        ("kind=free&direction=take&mails=100".to_owned(), "trial over"),
        (format!("kind=package&direction=give&mails=250&instance={instance}"), "granted too little"),
    ] {
        let page = confirm(&mut operator, id, &format!("{fields}&reason={}", reason.replace(' ', "+"))).await;
        let done = book(&mut operator, id, &filled(&page)).await;
        assert_eq!(done.status, StatusCode::OK);
        done.shows(reason);
    }
    let after = world.store.lines_in_order(&query).await.unwrap();
    assert_eq!(after[..before.len()], before[..], "what stood there stands there");
    let new: Vec<(Kind, i64, &str)> =
        after[before.len()..].iter().map(|line| (line.kind, line.amount, line.memo.as_str())).collect();
    assert_eq!(
        new,
        [
            (Kind::Adjustment, 5_000_000, "goodwill"),
            (Kind::Adjustment, 100, "trial over"),
            (Kind::Adjustment, 250, "granted too little")
        ]
    );
    let package = world.store.package(id, &instance).await.unwrap().unwrap();
    assert_eq!(package.package.remaining, 50_250);
    assert!(world.store.verify_ledger().await.unwrap().violations.is_empty());
}

#[tokio::test]
async fn r11_money_or_a_limit_pays_what_is_due_and_the_account_can_send_again() {
    for query in ["kind=credit&direction=give&amount=1", "kind=limit&amount=1"] {
        let world = World::empty().await;
        let id = world.other_id;
        make_overdue(&world, id, 1_000).await;
        let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
        let page = confirm(&mut operator, id, &format!("{query}&reason=paid")).await;
        page.shows("Bills of USD 0.29 are due");
        let done = book(&mut operator, id, &filled(&page)).await;
        done.shows("Bills collected");
        let numbers = numbers(&world, id).await;
        assert_eq!((numbers.status, numbers.due), (AccountStatus::NORMAL, MoneyMicros::ZERO), "{query}");
        world.send(id, "Digest", &["reader@club.example".into()], Fate::Waiting).await;
    }
}

#[tokio::test]
async fn what_cannot_be_booked_is_said_and_nothing_is_written() {
    let world = World::empty().await;
    let id = world.account_id;
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    for (query, text) in [
        ("kind=credit&direction=give&amount=0&reason=x", "The amount must be above zero"),
        ("kind=credit&direction=give&amount=-5&reason=x", "The amount must be above zero"),
        ("kind=credit&direction=give&amount=1e9&reason=x", "This amount cannot be booked"),
        ("kind=credit&direction=give&amount=10&reason=", "A reason is needed"),
        ("kind=free&direction=give&mails=1.5&reason=x", "This number of mails cannot be booked"),
        ("kind=package&direction=give&mails=5&reason=x", "Choose a package"),
        ("kind=limit&amount=-1&reason=x", "A credit limit is zero or more"),
        ("kind=&reason=x", "Choose what is to be done"),
    ] {
        let page = confirm(&mut operator, id, query).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        page.shows(text);
    }
    // Possible to ask for, impossible to do: found out by the store, in its transaction.
    for (query, text) in [
        ("kind=credit&direction=take&amount=5&reason=x", "cannot be taken off it"),
        ("kind=free&direction=take&mails=5000&reason=x", "Only 2000 mails are left there"),
        ("kind=package&direction=give&mails=5&instance=DMBAG-1&reason=x", "no package DMBAG-1"),
    ] {
        let page = confirm(&mut operator, id, query).await;
        let refused = book(&mut operator, id, &filled(&page)).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        refused.shows("Nothing was done");
        refused.shows(text);
    }
    let csrf = operator.get("/accounts").await.hidden("csrf");
    let bare = [
        ("csrf", csrf.as_str()),
        ("kind", "credit"),
        ("direction", "give"),
        ("amount", "5"),
        ("reason", "x"),
    ];
    let answer = operator.post(&format!("/accounts/{id}/operator/book"), &bare).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "without the confirm page's token");
    let answer =
        operator.once(Method::POST, &format!("/accounts/{id}/operator/book"), Some(&bare[1..])).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "without the session's token");
    let numbers = numbers(&world, id).await;
    assert_eq!((numbers.cash, numbers.free_left, numbers.ledger_sequence), (MoneyMicros::ZERO, 2_000, 1));
    let log = world.store.audit_entries(&AuditQuery { limit: 10, ..AuditQuery::default() }).await.unwrap();
    assert!(log.is_empty(), "{log:?}");
}

#[tokio::test]
async fn someone_elses_package_cannot_be_adjusted() {
    let world = World::empty().await;
    world.credit(world.other_id, 100).await;
    let instance = world.buy(world.other_id, 50_000).await.instance_ids[0].clone();
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    let query = format!("kind=package&direction=give&mails=5&instance={instance}&reason=x");
    let page = confirm(&mut operator, world.account_id, &query).await;
    let refused = book(&mut operator, world.account_id, &filled(&page)).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let packages = world.store.packages(world.other_id, &PackageFilter::default()).await.unwrap();
    assert_eq!(packages[0].package.remaining, 50_000);
}

#[tokio::test]
async fn the_month_shows_what_was_billed_paid_and_topped_up() {
    let world = World::empty().await;
    make_overdue(&world, world.other_id, 1_000).await;
    let top_up = TopUp {
        provider: "stripe".into(),
        event_id: "evt_1".into(),
        payment_reference: "pi_1".into(),
        account_id: world.other_id,
        amount: MoneyMicros(20_000_000),
        memo: "card".into(),
    };
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    let before = operator.get("/operator/month?month=2026-11").await;
    before.shows("1,000 mails in 1 bill, 0 of them adjustments, of 1 account");
    before.shows("USD 0.29 called in and due");
    world.store.top_up(&top_up).await.unwrap();
    let after = operator.get("/operator/month?month=2026-11").await;
    after.shows("pi_1");
    after.shows("Payment");
    after.shows("USD 20.00");
    after.shows("USD 0.00 called in and due");
    after.shows("Fjord &#38; Sons &#60;Ltd&#62;");
    operator.get("/operator/month?month=2026-10").await.shows("Nothing was billed for this month.");
}

#[tokio::test]
async fn r14_who_could_not_be_told_is_shown_with_the_channel_and_the_reason() {
    let world = World::empty().await;
    make_overdue(&world, world.other_id, 1_000).await;
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    operator.get("/operator/notices").await.shows("Every notice that was due was told");
    world.tell().await;
    let page = operator.get("/operator/notices").await;
    page.shows("no sender is configured for notices by e-mail");
    page.shows("the account has no telephone number");
    page.shows("Overdue");
    assert_eq!(page.text.matches("data-label=\"State\"").count(), 2, "the message in the console was told");
    page.shows(&format!("/accounts/{}/contacts", world.other_id));
}

#[tokio::test]
async fn r14_a_text_that_the_gateway_refused_is_shown_with_its_words_and_half_its_number() {
    let world = World::empty().await;
    let contact = world.store.contact(world.other_id).await.unwrap().unwrap();
    let contact = Contact { phone: "+8613800001234".into(), ..contact };
    world.store.set_contact(world.other_id, &contact, &Actor::system("test")).await.unwrap();
    make_overdue(&world, world.other_id, 1_000).await;
    let word: &(dyn Fn(&Handover) -> Dispatch + Send + Sync) = &|_| Dispatch::Sms { text: "Pay.".into() };
    world.store.hand_over_notices(world.other_id, Channel::Sms, word).await.unwrap();
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    let waiting = operator.get("/operator/notices").await;
    waiting.shows("1 waiting, 0 given up, 0 taken");
    waiting.shows("No text is in trouble");
    let texts = world.store.claim_sms(world.clock.now().plus_micros(MINUTE_MICROS), 10).await.unwrap();
    world.store.sms_given_up(&texts[0], "ESME_RINVDSTADR <b>").await.unwrap();
    let page = operator.get("/operator/notices").await;
    page.shows("0 waiting, 1 given up, 0 taken");
    page.shows("ESME_RINVDSTADR &#60;b&#62;");
    page.shows("+*********1234");
    page.hides("13800001234");
    page.hides("Pay.");
}

#[tokio::test]
async fn the_audit_log_is_filtered_and_walked() {
    let world = World::empty().await;
    for _ in 0..60 {
        world.credit(world.account_id, 1).await;
    }
    world.credit(world.other_id, 1).await;
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    let filter = format!("/operator/audit?account={}&actor=tests", world.account_id);
    let first = operator.get(&filter).await;
    assert_eq!(first.text.matches("data-label=\"When\"").count(), 50);
    let older = first.links("after=");
    assert_eq!(older.len(), 1, "{older:?}");
    let second = operator.get(&older[0]).await;
    assert_eq!(second.text.matches("data-label=\"When\"").count(), 10, "the filter is kept");
    operator.get("/operator/audit?actor=nobody").await.shows("No entry fits the filter");
    let odd = operator.get("/operator/audit?actor=%3Cscript%3E").await;
    odd.hides("<script>");
}
