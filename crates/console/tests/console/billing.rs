//! Bills, balance, statements: every amount with where it comes from, and nothing of another account's.

use axum::http::{StatusCode, header};
use indicia_domain::{
    money::MoneyMicros,
    time::{DAY_MICROS, UnixMicros},
};
use indicia_store::{
    audit::{Actor, ActorKind},
    money::{Adjusted, Adjustment},
    package::PackageFilter,
};

use crate::{
    browser::{Answer, Browser},
    world::{EMAIL, Fate, NOW, OPERATOR_EMAIL, OTHER_EMAIL, World},
};

const DIRECTMAIL: &str = "/billing/reserved-instances/resource-packages/directmail";

fn at(text: &str) -> UnixMicros {
    UnixMicros::parse(text).expect("an instant")
}

fn path(world: &World, rest: &str) -> String {
    format!("/accounts/{}{rest}", world.account_id)
}

/// The text of the cells of that column, top to bottom, without markup.
fn cells(page: &Answer, label: &str) -> Vec<String> {
    let start = format!("data-label=\"{label}\">");
    let pieces = page.text.split(&start).skip(1);
    pieces.map(|piece| text_of(piece.split("</td>").next().expect("a cell"))).collect()
}

fn text_of(html: &str) -> String {
    let mut text = String::new();
    let mut is_tag = false;
    for character in html.chars() {
        match character {
            '<' => is_tag = true,
            '>' => is_tag = false,
            other if !is_tag => text.push(other),
            _ => {}
        }
    }
    text.trim().to_owned()
}

#[tokio::test]
async fn first_use_says_what_to_do_on_every_billing_page() {
    let world = World::empty().await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    for (rest, said) in [
        ("/billing", "Billing Management"),
        ("/billing/bills", "Every mail"),
        ("/billing/bills/unpaid", "Nothing is unpaid"),
        ("/billing/bills/2026-11", "No mail was charged in this month"),
        ("/billing/bills/2026-11-22", "No mail was charged on this day"),
        ("/billing/transactions", "No money has moved yet"),
        ("/billing/transactions?month=2026-10", "Nothing to show"),
        ("/billing/statements", "November 2026"),
        ("/billing/statements/2026-11", "No package existed in this month"),
        ("/billing/alerts", "No package to watch"),
    ] {
        let page = browser.get(&path(&world, rest)).await;
        assert_eq!(page.status, StatusCode::OK, "{rest}");
        if rest != "/billing/bills" {
            page.shows(said);
        }
    }
    for rest in [
        "/billing/bills/2026-13",
        "/billing/bills/x",
        "/billing/bills/hours/1",
        "/billing/bills/hours/x",
        "/billing/transactions/1",
        "/billing/transactions/x",
        "/billing/statements/2026-12",
        "/billing/statements/2026",
    ] {
        assert_eq!(browser.get(&path(&world, rest)).await.status, StatusCode::NOT_FOUND, "{rest}");
    }
}

#[tokio::test]
async fn r10_a_bill_is_shown_with_mails_price_and_rounding_and_leads_to_its_ledger_lines() {
    let world = World::empty().await;
    // 200 of them are the day's free credit.
    world.send_many(world.account_id, at("2026-11-21T02:10:00Z"), 1_217, Fate::Delivered).await;
    world.clock.set(NOW);
    assert_eq!(world.bill().await.bills, 1);
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let day = browser.get(&path(&world, "/billing/bills/2026-11-21")).await;
    assert_eq!(cells(&day, "Pay-as-you-go mails")[0], "1,017");
    assert_eq!(cells(&day, "Billed")[0], "USD 0.29exact USD 0.29493");
    day.shows("10:00 to 11:00");
    let hour = browser.get(&day.links("/billing/bills/hours/").remove(0)).await;
    hour.shows("1,017 mails at USD 0.00029 each are USD 0.29493; rounded half-up to the cent: USD 0.29.");
    let charged: i64 =
        cells(&hour, "Charged").iter().map(|mails| mails.parse::<i64>().expect("a number")).sum();
    assert_eq!(charged, 1_017, "the messages behind the bill");
    let lines = browser.get(&hour.links("/billing/transactions/").remove(0)).await;
    lines.shows("<h1>Bill</h1>");
    for side in ["receivable", "sales", "billed", "pay-as-you-go"] {
        lines.shows(&format!("{side}</span>"));
    }
    assert!(cells(&lines, "Amount").contains(&"USD 0.29".to_owned()));
    assert!(cells(&lines, "Amount").contains(&"1,017 mails".to_owned()));
    let month = browser.get(&path(&world, "/billing/bills/2026-11")).await;
    assert_eq!(cells(&month, "Billed"), ["USD 0.29", "USD 0.29"], "the day and the sum");
    browser.get(&path(&world, "/billing/bills")).await.shows("USD 0.29");
}

#[tokio::test]
async fn r10_one_mail_costs_a_cent_and_the_page_says_why() {
    let world = World::empty().await;
    world.send_many(world.account_id, at("2026-11-21T02:10:00Z"), 201, Fate::Delivered).await;
    world.clock.set(NOW);
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let day = browser.get(&path(&world, "/billing/bills/2026-11-21")).await;
    day.shows("1 not billed yet");
    let hour_path = day.links("/billing/bills/hours/").remove(0);
    browser.get(&hour_path).await.shows("No pay-as-you-go mail of this hour has been billed");
    world.bill().await;
    let hour = browser.get(&hour_path).await;
    hour.shows("1 mail at USD 0.00029 each are USD 0.00029; an hour with any usage costs at least USD 0.01.");
}

#[tokio::test]
async fn r03_an_adjustment_is_explained_and_the_bills_add_up_to_one_of_the_final_usage() {
    let world = World::empty().await;
    let id = world.account_id;
    let messages = world.send_many(id, at("2026-11-21T02:10:00Z"), 560, Fate::Waiting).await;
    world.clock.set(NOW);
    world.bill().await;
    world.cancel(id, *messages.last().expect("a message")).await;
    world.bill().await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let day = browser.get(&path(&world, "/billing/bills/2026-11-21")).await;
    let hour = browser.get(&day.links("/billing/bills/hours/").remove(0)).await;
    // 7 messages: six of 90 and one of 20, which came back. 360 x 290 = 0.1044, 340 x 290 = 0.0986.
    assert_eq!(cells(&hour, "Amount"), ["USD 0.10", "USD 0.00"]);
    assert_eq!(cells(&hour, "Mails"), ["360", "\u{2212}20"]);
    hour.shows("Adjustment 2");
    hour.shows("20 mails were given back after the hour had been billed. The bills together are now what one bill of 340 mails would be.");
    hour.shows("340 mails at USD 0.00029 each are USD 0.0986; rounded half-up to the cent: USD 0.10.");
}

#[tokio::test]
async fn r10_the_hour_that_comes_twice_has_two_bills_on_a_day_of_25_hours() {
    let world = World::empty().await;
    let id = world.other_id;
    world.send_many(id, at("2026-10-25T00:30:00Z"), 300, Fate::Delivered).await;
    world.send_many(id, at("2026-10-25T01:30:00Z"), 50, Fate::Delivered).await;
    world.clock.set(at("2026-10-25T09:00:00Z"));
    assert_eq!(world.bill().await.bills, 2);
    world.clock.set(NOW);
    let mut browser = Browser::signed_in(&world, OTHER_EMAIL).await;
    let day = browser.get(&format!("/accounts/{id}/billing/bills/2026-10-25")).await;
    day.shows("it has 25 hours");
    day.shows("02:00 (UTC+02:00) to 02:00 (UTC+01:00)");
    day.shows("02:00 (UTC+01:00) to 03:00 (UTC+01:00)");
    assert_eq!(cells(&day, "Pay-as-you-go mails"), ["100", "50", "150"], "each hour and the sum");
    day.shows("Europe/Berlin (UTC+02:00, then UTC+01:00)");
}

#[tokio::test]
async fn r11_overdue_is_said_on_every_page_with_what_to_pay_and_ends_with_the_payment() {
    let world = World::empty().await;
    let id = world.account_id;
    world.send_many(id, at("2026-10-20T02:10:00Z"), 1_900, Fate::Delivered).await;
    world.clock.set(at("2026-10-31T16:00:00Z"));
    assert_eq!(world.bill().await.overdue, 1, "the 1st in Shanghai");
    world.clock.set(NOW);
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    for rest in
        ["", "/mails", "/sending/domains", "/billing", DIRECTMAIL, "/billing/bills", "/billing/alerts"]
    {
        let page = browser.get(&path(&world, rest)).await;
        page.shows("The account is overdue: USD 0.49 to pay");
        page.shows("Bills of USD 0.49 are due, and the cash balance of USD 0.00 does not cover them");
    }
    let unpaid = browser.get(&path(&world, "/billing/bills/unpaid")).await;
    assert_eq!(cells(&unpaid, "Amount"), ["USD 0.49"]);
    unpaid.shows("</svg>Due</span>");
    assert!(world.pay(id, MoneyMicros(1_000_000), "pi_1").await);
    let after = browser.get(&path(&world, "/billing/bills/unpaid")).await;
    after.hides("The account is overdue");
    after.shows("Nothing is unpaid");
    let cash = browser.get(&path(&world, "/billing/transactions")).await;
    assert_eq!(cells(&cash, "Change"), ["USD \u{2212}0.49", "+USD 1.00"]);
    let is_transaction = |href: &&String| href.ends_with(|last: char| last.is_ascii_digit());
    let links = cash.links("/billing/transactions/");
    let settlement = browser.get(links.iter().find(is_transaction).expect("the newest line's")).await;
    settlement.shows("<h1>Bills collected</h1>");
    settlement.shows("The bills that were paid by it");
    settlement.shows("</svg>Paid</span>");
}

#[tokio::test]
async fn r25_cash_lines_join_from_line_to_line_on_the_page_and_in_the_file() {
    let world = World::empty().await;
    let id = world.account_id;
    let operator = Actor::new(ActorKind::Operator, OPERATOR_EMAIL);
    for n in 0..1_005 {
        let memo = match n {
            7 => "=HYPERLINK(\"x\"), paid",
            1_004 => "<script>alert(1)</script>",
            _ => "paper",
        };
        world.store.credit(id, MoneyMicros(1_000_000), memo, &operator, None).await.expect("credit");
    }
    let instance = world.buy(id, 50_000).await.instance_ids.remove(0);
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = browser.get(&path(&world, "/billing/transactions")).await;
    assert_eq!(cells(&page, "Before").len(), 50);
    page.shows("USD \u{2212}13.05");
    page.shows(&instance);
    page.hides("<script>");
    page.shows("alert(1)");
    let (before, after) = (cells(&page, "Before"), cells(&page, "After"));
    assert_eq!(before[..49], after[1..], "newest first: each before is the after of the next");
    let older = browser.get(&page.links("after=").remove(0)).await;
    assert_eq!(cells(&older, "After")[0], before[49]);
    // Only one line of its kind, far behind the first page's reads.
    let only = browser.get(&path(&world, "/billing/transactions?kind=purchase&month=2026-11")).await;
    assert_eq!(cells(&only, "Change"), ["USD \u{2212}13.05"]);
    let file = browser.get(&path(&world, "/billing/transactions/export.csv")).await;
    assert!(file.headers[header::CONTENT_TYPE].to_str().expect("ASCII").starts_with("text/csv"));
    let lines: Vec<&str> = file.text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 1 + 1_006, "more than one piece of the stream");
    file.shows("\"'=HYPERLINK(\"\"x\"\"), paid\"");
    let plain: Vec<Vec<&str>> =
        lines[1..].iter().filter(|line| !line.contains('"')).map(|line| line.split(',').collect()).collect();
    for pair in plain.windows(2).filter(|pair| !pair[0][8].is_empty() && pair[1][6] != "8.00") {
        assert_eq!(pair[0][8], pair[1][6], "after of one is before of the next");
    }
    assert_eq!(plain.last().expect("a line")[7..9], ["-13.05", "991.95"]);
}

#[tokio::test]
async fn r25_the_statement_adds_up_and_every_package_joins_with_the_next_month() {
    let world = World::empty().await;
    let id = world.account_id;
    world.clock.set(at("2026-10-05T02:00:00Z"));
    world.pay(id, MoneyMicros(50_000_000), "pi_9").await;
    let instance = world.buy(id, 50_000).await.instance_ids.remove(0);
    world.send_many(id, at("2026-10-06T02:00:00Z"), 1_200, Fate::Delivered).await;
    world.send_many(id, at("2026-11-06T02:00:00Z"), 700, Fate::Delivered).await;
    world.clock.set(NOW);
    let gift = Adjustment {
        account_id: id,
        what: Adjusted::PackageMails { instance_id: instance.clone(), mails: 25 },
        reason: "a lost hour".into(),
    };
    world
        .store
        .adjust(&gift, &Actor::new(ActorKind::Operator, OPERATOR_EMAIL), None)
        .await
        .expect("adjusted");
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let october = browser.get(&path(&world, "/billing/statements/2026-10")).await;
    october.hides("does not add up");
    for text in [
        "Statement of October 2026",
        "Northwind Paper",
        "2026-10-01 00:00:00 until 2026-11-01 00:00:00",
        "Asia/Shanghai (UTC+08:00)",
        "+USD 50.00",
        "USD \u{2212}13.05",
        "USD 36.95",
        "1,200",
    ] {
        october.shows(text);
    }
    // Opening, bought, adjusted, given back, drawn, lapsed, closing.
    assert_eq!(row(&october, &instance), ["0", "50,000", "–", "–", "1,000", "–", "49,000"]);
    let november = browser.get(&path(&world, "/billing/statements/2026-11")).await;
    november.shows("up to now; the month is not over");
    assert_eq!(row(&november, &instance), ["49,000", "–", "25", "–", "500", "–", "48,525"]);
    let left =
        world.store.package(id, &instance).await.expect("a store").expect("a package").package.remaining;
    assert_eq!(left, 48_525, "what the sheet closes with is what the package has");
    for href in october.links("/billing/transactions?month=2026-10&kind=") {
        assert_eq!(browser.get(&href).await.status, StatusCode::OK);
    }
}

/// The numbers of a package's line on a statement.
fn row(page: &Answer, instance: &str) -> Vec<String> {
    let (_, sheet) = page.text.split_once("<h2>Packages</h2>").expect("packages");
    let (_, rest) = sheet.split_once(&format!("{instance}</a></th>")).expect("the package's line");
    let line = rest.split("</tr>").next().expect("a line");
    line.split("<td class=\"num\">")
        .skip(1)
        .map(|cell| text_of(cell.split("</td>").next().expect("a cell")))
        .collect()
}

#[tokio::test]
async fn r13_what_lapsed_is_on_the_list_and_in_the_statement_of_the_month_after_the_last_day() {
    let world = World::empty().await;
    let id = world.account_id;
    world.clock.set(at("2026-04-30T02:00:00Z"));
    world.credit(id, 20).await;
    // Six months on, 30 October is the last day; it ends at its closing midnight.
    let instance = world.buy(id, 50_000).await.instance_ids.remove(0);
    world.clock.set(NOW);
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    browser.get(&path(&world, DIRECTMAIL)).await.shows("50,000 lapsed");
    let october = browser.get(&path(&world, "/billing/statements/2026-10")).await;
    assert_eq!(row(&october, &instance), ["50,000", "–", "–", "–", "–", "50,000", "0"]);
    let november = browser.get(&path(&world, "/billing/statements/2026-11")).await;
    november.hides(&instance);
}

#[tokio::test]
async fn another_accounts_bills_and_transactions_do_not_exist() {
    let world = World::empty().await;
    world.credit(world.account_id, 20).await;
    let order = world.buy(world.account_id, 50_000).await.order_id;
    let mine = format!("/accounts/{}", world.account_id);
    let mut other = Browser::signed_in(&world, OTHER_EMAIL).await;
    for rest in [
        "/billing".to_owned(),
        "/billing/bills".to_owned(),
        "/billing/transactions/export.csv".to_owned(),
        "/billing/statements/2026-11".to_owned(),
        "/billing/alerts".to_owned(),
        format!("/billing/transactions/{order}"),
    ] {
        assert_eq!(other.get(&format!("{mine}{rest}")).await.status, StatusCode::NOT_FOUND, "{rest}");
    }
    let own = format!("/accounts/{}", world.other_id);
    for rest in [format!("/billing/transactions/{order}"), format!("{DIRECTMAIL}/orders/{order}")] {
        assert_eq!(other.get(&format!("{own}{rest}")).await.status, StatusCode::NOT_FOUND, "{rest}");
    }
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    let page = operator.get(&format!("{mine}/billing/transactions/{order}")).await;
    assert_eq!(page.status, StatusCode::OK, "an operator sees it");
}

#[tokio::test]
async fn r15_thresholds_are_set_for_all_and_for_one_and_nothing_else_is_taken() {
    let world = World::empty().await;
    let id = world.account_id;
    world.credit(id, 20).await;
    let instance = world.buy(id, 50_000).await.instance_ids.remove(0);
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let alerts = path(&world, "/billing/alerts");
    let page = browser.get(&alerts).await;
    page.shows("at 5,000 mails left");
    let csrf = page.hidden("csrf");
    let saved = browser.post(&alerts, &[("csrf", &csrf), ("percent", "10")]).await;
    saved.shows("The alert threshold was saved");
    assert_eq!(world.store.account_numbers(id).await.expect("a store").expect("numbers").alert_percent, 10);
    let form = [("csrf", csrf.as_str()), ("percent", "20"), ("package", &instance), ("back", "package")];
    let back = browser.post(&alerts, &form).await;
    assert!(back.path.ends_with(&instance), "{}", back.path);
    let percent =
        async || world.store.package(id, &instance).await.expect("a store").expect("a package").alert_percent;
    assert_eq!(percent().await, 20);
    for (percent, package) in [("7", ""), ("-5", ""), ("100", ""), ("", ""), ("10", "DMBAG-1")] {
        let form = [("csrf", csrf.as_str()), ("percent", percent), ("package", package)];
        assert_eq!(browser.post(&alerts, &form).await.status, StatusCode::BAD_REQUEST, "{percent} {package}");
    }
    assert_eq!(percent().await, 20);
    let unguarded = browser.post(&alerts, &[("percent", "0")]).await;
    assert_eq!(unguarded.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_outlook_says_its_pace_and_links_to_the_purchase_that_would_fit() {
    let world = World::empty().await;
    let id = world.account_id;
    world.credit(id, 20).await;
    world.clock.set(NOW.plus_micros(-7 * DAY_MICROS));
    world.buy(id, 50_000).await;
    world.clock.set(NOW);
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    browser
        .get(&path(&world, DIRECTMAIL))
        .await
        .shows("In the last 30 days no mail went beyond the free credit.");
    for day in (1..=6).rev() {
        world.send_many(id, NOW.plus_micros(-day * DAY_MICROS), 1_700, Fate::Delivered).await;
    }
    world.clock.set(NOW);
    let page = browser.get(&path(&world, DIRECTMAIL)).await;
    page.shows(
        "The pace is about 300 mails a day, from the 9,000 that the last 30 days had beyond the free credit.",
    );
    // 41,000 left, 300 a day: 137 days, before the end in 174.
    page.shows("Runs out about 2027-04-08");
    page.shows("All of it is used up about 2027-04-08.");
    page.shows("Pay-as-you-go");
    let packages = world.store.packages(id, &PackageFilter::default()).await.expect("packages");
    assert_eq!(packages[0].package.remaining, 41_000);
}

/// R25: every link of every page of a furnished account leads to a page, so that each amount is found where it says.
#[tokio::test]
async fn every_link_of_every_page_leads_somewhere() {
    const PAGES_MAX: usize = 600;
    let world = World::empty().await;
    world.furnish().await;
    world.furnish_billing().await;
    for (email, id) in [(EMAIL, world.account_id), (OTHER_EMAIL, world.other_id)] {
        let mut browser = Browser::signed_in(&world, email).await;
        let own = format!("/accounts/{id}");
        let mut waiting = vec![own.clone()];
        let mut seen = std::collections::HashSet::new();
        while let Some(href) = waiting.pop() {
            // Mails are many and alike.
            let is_mail = href.contains("/mails/") && seen.len() > 20;
            if is_mail || !seen.insert(href.clone()) || seen.len() > PAGES_MAX {
                continue;
            }
            let page = browser.get(&href).await;
            assert_eq!(page.status, StatusCode::OK, "{href}");
            page.hides("does not add up");
            waiting.extend(page.links(&own));
        }
        for part in ["/billing/bills/2026-1", "/billing/statements/2026-1", "/billing/transactions/"] {
            assert!(seen.iter().any(|href| href.contains(part)), "{part} was visited");
        }
    }
}
