//! What the pages say: the same figure by the same name everywhere, what cannot be read refused in words, and nothing
//! that the reader cannot know.

use axum::http::{Method, StatusCode};
use indicia_console::ConsoleConfig;
use indicia_domain::{
    ledger::bill::CollectionPolicy,
    money::MoneyMicros,
    time::{DAY_MICROS, UnixMicros},
};
use indicia_store::{
    audit::{Actor, ActorKind},
    money::{Adjusted, Adjustment},
    package::PurchaseRequest,
};

use crate::{
    browser::{Answer, Browser},
    world::{EMAIL, Fate, NOW, OPERATOR_EMAIL, World},
};

const DIRECTMAIL: &str = "/billing/reserved-instances/resource-packages/directmail";

fn path(world: &World, rest: &str) -> String {
    format!("/accounts/{}{rest}", world.account_id)
}

async fn adjust(world: &World, instance: &str, mails: i64) {
    let adjustment = Adjustment {
        account_id: world.account_id,
        what: Adjusted::PackageMails { instance_id: instance.into(), mails },
        reason: "test".into(),
    };
    let actor = Actor::new(ActorKind::Operator, OPERATOR_EMAIL);
    world.store.adjust(&adjustment, &actor, None).await.expect("adjusted");
}

async fn buy_from(world: &World, starts_at: UnixMicros, quantity: i64) -> i64 {
    let request = PurchaseRequest {
        account_id: world.account_id,
        specification: 50_000,
        quantity,
        starts_at: Some(starts_at),
        idempotency_key: None,
        nonce: None,
        by: Actor::new(ActorKind::Account, EMAIL),
    };
    world.store.purchase(&request, &world.state.prices).await.expect("a purchase").order_id
}

#[tokio::test]
async fn r11_every_page_says_the_configured_collection_threshold() {
    let config = ConsoleConfig {
        collection: CollectionPolicy { threshold: MoneyMicros(73_500_000) },
        ..ConsoleConfig::default()
    };
    let world = World::with(config, false).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    let mut pages: Vec<Answer> = Vec::new();
    for rest in ["/billing", "/billing/bills", "/billing/bills/unpaid"] {
        pages.push(browser.get(&path(&world, rest)).await);
    }
    pages.push(operator.get("/operator/prices").await);
    for page in pages {
        page.shows("USD 73.50");
        page.hides("USD 1,000.00");
    }
}

#[tokio::test]
async fn what_is_left_is_what_can_be_used_now_and_means_the_same_on_every_page() {
    let world = World::empty().await;
    world.credit(world.account_id, 100).await;
    world.buy(world.account_id, 50_000).await;
    buy_from(&world, NOW.plus_micros(30 * DAY_MICROS), 2).await;
    // 200 are free.
    world.send_many(world.account_id, NOW, 700, Fate::Waiting).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    let mut pages: Vec<Answer> = Vec::new();
    for rest in ["", "/billing", "/billing/reserved-instances", DIRECTMAIL] {
        pages.push(browser.get(&path(&world, rest)).await);
    }
    pages.push(operator.get("/accounts").await);
    for page in &pages {
        page.shows("49,500");
        page.shows("and 100,000 in 2 packages that begin later");
        page.hides("149,500 left");
        page.hides("Remaining: 149,500");
    }
    pages[0].shows("Remaining: 49,500");
    pages[0].shows("Begins later: 100,000");
    // Every package ends within a year, and no page tells of days beyond it.
    let own = &pages[3].text;
    let future = own.split("If nothing changes</h2>").nth(1).and_then(|rest| rest.split("<p>").nth(1));
    let future = future.and_then(|rest| rest.split("</p>").next()).expect("what becomes of it");
    assert!(future.contains("those that begin later included, will lapse"), "{future}");
    pages[4].shows(future);
}

#[tokio::test]
async fn r25_the_statement_shows_what_the_operator_put_on_and_took_off_apart() {
    let world = World::empty().await;
    for units in [1_000, 10, -701] {
        world.credit(world.account_id, units).await;
    }
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = browser.get(&path(&world, "/billing/statements/2026-11")).await;
    let row = |name: &str| {
        let rest = page.text.split(&format!("<th scope=\"row\">{name}</th>")).nth(1).expect("the row");
        rest.split("</tr>").next().expect("its cells").to_owned()
    };
    let (on, off) = (row("Put on by the operator"), row("Taken off by the operator"));
    assert!(on.contains(">2 lines<") && on.contains("+USD 1,010.00"), "{on}");
    assert!(off.contains(">1 line<") && off.contains("USD \u{2212}701.00"), "{off}");
    page.hides("does not add up");
}

#[tokio::test]
async fn r27_adjustments_are_lines_of_the_packages_deductions_and_before_and_after_join() {
    let world = World::empty().await;
    let id = world.account_id;
    world.credit(id, 20).await;
    let instance = world.buy(id, 50_000).await.instance_ids.remove(0);
    world.send_many(id, NOW, 250, Fate::Waiting).await;
    adjust(&world, &instance, -1_000).await;
    adjust(&world, &instance, 30).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = browser.get(&path(&world, &format!("{DIRECTMAIL}/{instance}"))).await;
    page.shows("data-label=\"Deducted\">1,000 <span class=\"muted\">taken out by the operator</span>");
    page.shows("data-label=\"Deducted\">\u{2212}30 <span class=\"muted\">added by the operator</span>");
    page.shows("of 50,000 mails bought, 970 taken out by the operator");
    for href in page.links("/billing/transactions/") {
        assert_eq!(browser.get(&href).await.status, StatusCode::OK, "{href}");
    }
    let file = browser.get(&path(&world, &format!("{DIRECTMAIL}/{instance}/deductions.csv"))).await;
    let lines: Vec<Vec<&str>> =
        file.text.split_terminator("\r\n").skip(1).map(|line| line.split(',').collect()).collect();
    let said: Vec<&[&str]> = lines.iter().rev().take(2).rev().map(|line| &line[4..9]).collect();
    assert_eq!(
        said,
        [
            ["49950", "1000", "48950", "", "taken out by the operator"],
            ["48950", "-30", "48980", "", "added by the operator"]
        ]
    );
    assert!(lines.windows(2).all(|pair| pair[0][6] == pair[1][4]), "{lines:?}");
    assert!(lines[..lines.len() - 2].iter().all(|line| line[8] == "paid for mails" && !line[7].is_empty()));
}

#[tokio::test]
async fn r12_a_package_that_the_operator_emptied_is_not_called_used() {
    let world = World::empty().await;
    world.credit(world.account_id, 50).await;
    let instance = world.buy(world.account_id, 50_000).await.instance_ids.remove(0);
    adjust(&world, &instance, -50_000).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let href = path(&world, &format!("{DIRECTMAIL}/{instance}"));
    let page = browser.get(&href).await;
    page.shows("</svg>Emptied</span>");
    page.shows("An operator took its 50,000 mails out; none was used.");
    page.hides("have been used");
    page.hides(">Refund</a>");
    page.hides(">Upgrade</a>");
    browser.get(&path(&world, DIRECTMAIL)).await.shows("50,000 taken out by the operator");
    browser.get(&format!("{href}/refund")).await.shows("An operator took 50,000 of its mails out.");
    // One that was to begin later too.
    buy_from(&world, NOW.plus_micros(30 * DAY_MICROS), 1).await;
    let upcoming = browser.get(&path(&world, &format!("{DIRECTMAIL}?status=upcoming"))).await;
    let href = upcoming.links("/directmail/DMBAG-").remove(0);
    browser.get(&href).await.shows("Works from 2026-12-22");
    adjust(&world, href.rsplit('/').next().expect("its id"), -50_000).await;
    browser.get(&href).await.shows("An operator took its 50,000 mails out; none was used.");
}

#[tokio::test]
async fn what_an_address_asks_and_nobody_can_read_is_refused_and_never_taken_for_everything() {
    let world = World::empty().await;
    world.credit(world.account_id, 20).await;
    let instance = world.buy(world.account_id, 50_000).await.instance_ids.remove(0);
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    for rest in [
        "/billing/transactions?month=abc".to_owned(),
        "/billing/transactions?kind=send".to_owned(),
        "/billing/transactions?after=x".to_owned(),
        "/billing/transactions/export.csv?month=abc".to_owned(),
        "/billing/transactions/export.csv?month=2026-13".to_owned(),
        "/billing/transactions/export.csv?kind=odd".to_owned(),
        "/billing/transactions/ledger?unit=odd".to_owned(),
        "/billing/transactions/ledger?before=x".to_owned(),
        "/billing/bills?until=2026".to_owned(),
        "/billing/bills/unpaid?after=x".to_owned(),
        "/messages?show=odd".to_owned(),
        "/messages?after=x".to_owned(),
        format!("{DIRECTMAIL}?status=odd"),
        format!("{DIRECTMAIL}?sort=odd"),
        format!("{DIRECTMAIL}?page=0"),
        format!("{DIRECTMAIL}?page=x"),
        format!("{DIRECTMAIL}?ends=x"),
        format!("{DIRECTMAIL}?ends=-1"),
        format!("{DIRECTMAIL}?specification=x"),
        format!("{DIRECTMAIL}/{instance}?before=x"),
    ] {
        let page = browser.get(&path(&world, &rest)).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{rest}");
        page.shows("This cannot be understood");
    }
    let month = browser.get(&path(&world, "/billing/transactions/export.csv?month=abc")).await;
    month.shows("“abc” is not a month: write YYYY-MM, as 2026-11.");
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    for address in [
        "/operator/month?month=2026-13",
        "/operator/audit?account=abc",
        "/operator/audit?after=x",
        "/accounts?sort=%22%3E",
        "/accounts?status=odd",
        "/accounts?after=x-y",
    ] {
        assert_eq!(operator.get(address).await.status, StatusCode::BAD_REQUEST, "{address}");
    }
    // What the pages' own forms send stays good.
    let empty = path(&world, &format!("{DIRECTMAIL}?status=&ends=&specification=&sort=&page="));
    assert_eq!(browser.get(&empty).await.status, StatusCode::OK);
    assert_eq!(operator.get("/operator/month?month=+2026-11+").await.status, StatusCode::OK);
}

#[tokio::test]
async fn r08_picker_message_and_purchase_agree_on_the_latest_start() {
    let world = World::empty().await;
    world.credit(world.account_id, 20).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    browser.get(&path(&world, &format!("{DIRECTMAIL}/buy"))).await.shows("max=\"2027-05-22\"");
    let confirm = |day: &str| {
        path(&world, &format!("{DIRECTMAIL}/buy/confirm?specification=50000&quantity=1&starts={day}"))
    };
    let refused = browser.get(&confirm("2027-05-23")).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    refused.shows("on a day from today to 2027-05-22.");
    let page = browser.get(&confirm("2027-05-22")).await;
    let fields =
        ["csrf", "purchase", "specification", "quantity", "starts"].map(|name| (name, page.hidden(name)));
    let form: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let bought = browser.post(&path(&world, &format!("{DIRECTMAIL}/buy")), &form).await;
    bought.shows("It works from 2027-05-22 00:00:00 Asia/Shanghai");
}

#[tokio::test]
async fn a_receipt_of_several_speaks_of_several_and_a_renewed_package_has_no_renew_button() {
    let world = World::empty().await;
    world.credit(world.account_id, 100).await;
    let order = buy_from(&world, NOW.plus_micros(30 * DAY_MICROS), 3).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let receipt = browser.get(&path(&world, &format!("{DIRECTMAIL}/orders/{order}"))).await;
    receipt.shows("3 packages bought");
    receipt.shows("They work from ");
    let lines = browser.get(&receipt.links("/billing/transactions/").remove(0)).await;
    lines.shows("of 50,000 mails");
    lines.hides("50000 mails");

    let instance = world.buy(world.account_id, 50_000).await.instance_ids.remove(0);
    let href = path(&world, &format!("{DIRECTMAIL}/{instance}"));
    browser.get(&href).await.shows(">Renew</a>");
    let page = browser.get(&format!("{href}/renew")).await;
    let (csrf, token) = (page.hidden("csrf"), page.hidden("token"));
    browser.post(&format!("{href}/renew"), &[("csrf", &csrf), ("token", &token)]).await;
    let renewed = browser.get(&href).await;
    renewed.shows("Renewed by");
    renewed.hides(">Renew</a>");
}

#[tokio::test]
async fn a_statement_says_the_hour_at_which_a_package_ends() {
    let world = World::empty().await;
    world.credit(world.account_id, 20).await;
    world.buy(world.account_id, 50_000).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = browser.get(&path(&world, "/billing/statements/2026-11")).await;
    page.shows(">2027-05-23</time><span class=\"table-sub\">00:00:00</span>");
}

#[tokio::test]
async fn a_terminal_gets_its_refusal_as_one_line_of_text() {
    let world = World::with(ConsoleConfig::default(), true).await;
    let mut script = Browser::on(&world);
    script.peer = std::net::SocketAddr::from(([127, 0, 0, 1], 50_000));
    script.extra = vec![("accept", "*/*")];
    let answer = script.once(Method::POST, "/demo/clock", Some(&[("advance", "wrong")])).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    assert!(answer.text.starts_with("“wrong” is not a time to go forward by, so the clock was not moved:"));
    assert_eq!(answer.text.lines().count(), 1, "{}", answer.text);
    script.extra = vec![("accept", "text/html,*/*;q=0.8")];
    let page = script.once(Method::POST, "/demo/clock", Some(&[("advance", "wrong")])).await;
    page.shows("<h1>This cannot be understood</h1>");
}

#[tokio::test]
async fn the_demos_inbox_lists_who_wrote_and_not_the_return_path() {
    let world = World::with(ConsoleConfig::default(), true).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let list = browser.get("/demo/inbox").await;
    list.shows("data-label=\"From\">hello@news.northwind.example</td>");
    list.hides("b+1@mail.example");
    assert_eq!(browser.get("/demo/inbox?before=x").await.status, StatusCode::BAD_REQUEST);
}
