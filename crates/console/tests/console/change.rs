//! What can be done with a package: refund, renewal, exchange, a start to come; and its deductions with what was
//! given back.

use axum::http::StatusCode;
use http_body_util::BodyExt;
use indicia_domain::{
    ledger::package::PackageStatus,
    time::{DAY_MICROS, UnixMicros},
};
use indicia_store::package::{PackageFilter, PackageRow};

use crate::{
    browser::{Answer, Browser},
    world::{EMAIL, Fate, NOW, OTHER_EMAIL, World},
};

const DIRECTMAIL: &str = "/billing/reserved-instances/resource-packages/directmail";

fn path(world: &World, rest: &str) -> String {
    format!("/accounts/{}{DIRECTMAIL}{rest}", world.account_id)
}

async fn cash(world: &World) -> i64 {
    world.store.account_numbers(world.account_id).await.unwrap().unwrap().cash.0
}

async fn packages(world: &World) -> Vec<PackageRow> {
    world.store.packages(world.account_id, &PackageFilter::default()).await.unwrap()
}

async fn press(browser: &mut Browser, to: &str, page: &Answer, extra: &[(&str, &str)]) -> Answer {
    let (csrf, token) = (page.hidden("csrf"), page.hidden("token"));
    let mut form = vec![("csrf", csrf.as_str()), ("token", token.as_str())];
    form.extend_from_slice(extra);
    browser.post(to, &form).await
}

#[tokio::test]
async fn r12_an_untouched_package_is_refunded_once_and_in_full() {
    let world = World::empty().await;
    world.credit(world.account_id, 100).await;
    let instance = world.buy(world.account_id, 50_000).await.instance_ids.remove(0);
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let to = path(&world, &format!("/{instance}/refund"));
    let page = browser.get(&to).await;
    page.shows("Refund USD 13.05");
    page.shows("USD 100.00 after the refund");
    let receipt = press(&mut browser, &to, &page, &[]).await;
    receipt.shows("The package was refunded");
    receipt.shows("Paid back");
    let again = press(&mut browser, &to, &page, &[]).await;
    assert_eq!(again.path, receipt.path, "the same button again shows the same order");
    assert_eq!(cash(&world).await, 100_000_000);
    let anew = browser.get(&to).await;
    anew.shows("It has been refunded already");
    anew.hides(">Refund USD");
    browser.get(&path(&world, "?status=refunded")).await.shows("paid back, unused");
    let lines = browser.get(&receipt.links("/billing/transactions/").remove(0)).await;
    lines.shows("Package refunded");
}

#[tokio::test]
async fn r12_a_used_or_ended_package_is_not_refunded_and_the_page_says_why() {
    let world = World::empty().await;
    let id = world.account_id;
    world.credit(id, 100).await;
    let used = world.buy(id, 50_000).await.instance_ids.remove(0);
    world.send_many(id, NOW, 201, Fate::Delivered).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let to = path(&world, &format!("/{used}/refund"));
    let page = browser.get(&to).await;
    page.shows("1 of its mails has been used. A package that has been used, even by one mail");
    page.hides("name=\"token\"");
    browser.get(&path(&world, &format!("/{used}"))).await.hides(">Refund</a>");
    let (csrf, token) = (page.hidden("csrf"), "a".repeat(32));
    let forced = browser.post(&to, &[("csrf", &csrf), ("token", &token)]).await;
    assert_eq!(forced.status, StatusCode::CONFLICT);
    forced.shows("even by one mail");
    let untold = browser.post(&to, &[("csrf", &csrf), ("token", "x")]).await;
    assert_eq!(untold.status, StatusCode::BAD_REQUEST);
    world.clock.set(NOW.plus_micros(190 * DAY_MICROS));
    let mut later = Browser::signed_in(&world, EMAIL).await;
    later.get(&to).await.shows("Its validity ended at 2027-05-23 00:00:00 Asia/Shanghai");
    later.get(&path(&world, &format!("/{used}/renew"))).await.shows("Buy a new package instead");
    assert_eq!(cash(&world).await, 86_950_000);
}

#[tokio::test]
async fn a_renewal_starts_at_the_end_of_the_old_one_and_happens_once() {
    let world = World::empty().await;
    world.credit(world.account_id, 100).await;
    let instance = world.buy(world.account_id, 50_000).await.instance_ids.remove(0);
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let to = path(&world, &format!("/{instance}/renew"));
    let page = browser.get(&to).await;
    page.shows("Renew for USD 13.05");
    page.shows(">2027-05-23 00:00:00</time>");
    page.shows(">2027-11-24 00:00:00</time>");
    page.shows("USD 73.90 after the renewal");
    press(&mut browser, &to, &page, &[]).await.shows("The package was renewed");
    press(&mut browser, &to, &page, &[]).await.shows("The package was renewed");
    let rows = packages(&world).await;
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1].package.starts_at, rows[0].package.ends_at);
    browser.get(&to).await.shows("This package has been renewed already");
    browser.get(&path(&world, "?status=upcoming")).await.shows(&rows[1].package.instance_id);
    browser.get(&path(&world, &format!("/{instance}"))).await.shows("Renewed by");
}

#[tokio::test]
async fn an_exchange_offers_the_larger_ones_at_the_difference() {
    let world = World::empty().await;
    world.credit(world.account_id, 300).await;
    let instance = world.buy(world.account_id, 500_000).await.instance_ids.remove(0);
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let to = path(&world, &format!("/{instance}/upgrade"));
    let choice = browser.get(&to).await;
    choice.shows("USD 108.75 to pay");
    choice.shows("USD 1,001.95 to pay");
    choice.hides("50,000 mails</b>");
    browser.get(&format!("{to}?specification=50000")).await.shows("is not more than 500,000");
    browser.get(&format!("{to}?specification=5000000")).await.shows("The balance is not enough");
    let page = browser.get(&format!("{to}?specification=1000000")).await;
    page.shows("Exchange for USD 108.75");
    let order = press(&mut browser, &to, &page, &[("specification", "1000000")]).await;
    order.shows("The package was exchanged for a larger one");
    let rows = packages(&world).await;
    let status = |row: &PackageRow| row.package.status_at(NOW);
    let old = rows.iter().find(|row| row.package.instance_id == instance).expect("the old one");
    let new = rows.iter().find(|row| row.package.instance_id != instance).expect("the new one");
    assert_eq!((status(old), status(new)), (PackageStatus::Upgraded, PackageStatus::Available));
    assert_eq!(cash(&world).await, 300_000_000 - 230_550_000);
    browser.get(&path(&world, &format!("/{instance}"))).await.shows("Replaced by");
    browser.get(&path(&world, "?status=upgraded")).await.shows("exchanged, unused");
}

#[tokio::test]
async fn nobody_changes_another_accounts_package() {
    let world = World::empty().await;
    world.credit(world.account_id, 300).await;
    let instance = world.buy(world.account_id, 50_000).await.instance_ids.remove(0);
    let mut other = Browser::signed_in(&world, OTHER_EMAIL).await;
    let csrf = other.get("/").await.hidden("csrf");
    let token = "b".repeat(32);
    for account in [world.account_id, world.other_id] {
        for deed in ["refund", "renew", "upgrade"] {
            let to = format!("/accounts/{account}{DIRECTMAIL}/{instance}/{deed}");
            assert_eq!(other.get(&to).await.status, StatusCode::NOT_FOUND, "{to}");
            let form = [("csrf", csrf.as_str()), ("token", &token), ("specification", "500000")];
            assert_eq!(other.post(&to, &form).await.status, StatusCode::NOT_FOUND, "{to}");
        }
    }
    assert_eq!(packages(&world).await.len(), 1);
}

#[tokio::test]
async fn r08_a_package_can_be_bought_to_start_on_a_day_to_come() {
    let world = World::empty().await;
    world.credit(world.account_id, 100).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let confirm =
        |starts: &str| path(&world, &format!("/buy/confirm?specification=50000&quantity=1&starts={starts}"));
    for day in ["2026-11-21", "2027-06-22", "2026-02-30", "tomorrow"] {
        let page = browser.get(&confirm(day)).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{day}");
        page.shows("It cannot start on this day");
    }
    let page = browser.get(&confirm("2027-01-31")).await;
    page.shows(">2027-01-31 00:00:00</time>");
    page.shows(">2027-08-01 00:00:00</time>");
    let fields =
        ["csrf", "purchase", "specification", "quantity", "starts"].map(|name| (name, page.hidden(name)));
    let form: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.post(&path(&world, "/buy"), &form).await.shows("It works from 2027-01-31 00:00:00 Asia/Shanghai");
    let bought = packages(&world).await.remove(0).package;
    assert_eq!(Some(bought.starts_at), UnixMicros::parse("2027-01-30T16:00:00Z"));
    assert_eq!(bought.status_at(NOW), PackageStatus::Upcoming);
    let today = browser.get(&confirm("2026-11-22")).await;
    today.shows("At the moment of purchase");
}

#[tokio::test]
async fn r16_packages_are_filtered_by_end_and_specification() {
    let world = World::empty().await;
    world.furnish().await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    for (query, count) in [
        ("?ends=7", 0),
        ("?ends=30", 1),
        ("?specification=50000", 2),
        ("?specification=500000", 1),
        ("?specification=50000&status=expired", 1),
        ("?specification=7", 0),
    ] {
        let page = browser.get(&path(&world, query)).await;
        assert_eq!(page.links("/directmail/DMBAG-").len(), count, "{query}");
    }
}

#[tokio::test]
async fn r03_r16_what_was_given_back_is_a_negative_line_so_that_before_and_after_join() {
    let world = World::empty().await;
    let id = world.account_id;
    world.credit(id, 20).await;
    let instance = world.buy(id, 50_000).await.instance_ids.remove(0);
    let messages = world.send_many(id, NOW, 380, Fate::Waiting).await;
    world.cancel(id, messages[4]).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = browser.get(&path(&world, &format!("/{instance}"))).await;
    page.shows("data-label=\"Deducted\">\u{2212}20 <span class=\"muted\">given back</span>");
    let file = browser.get(&path(&world, &format!("/{instance}/deductions.csv"))).await;
    let lines: Vec<Vec<&str>> =
        file.text.split_terminator("\r\n").skip(1).map(|line| line.split(',').collect()).collect();
    // 200 of the 380 were free: 70, 90 and 20 came from the package, and the last 20 went back.
    let numbers: Vec<&[&str]> = lines.iter().map(|line| &line[4..7]).collect();
    assert_eq!(
        numbers,
        [
            ["50000", "70", "49930"],
            ["49930", "90", "49840"],
            ["49840", "20", "49820"],
            ["49820", "-20", "49840"]
        ]
    );
}

/// 12,000 deductions: a dozen pages of the store, each sent before the next is read.
#[tokio::test(flavor = "multi_thread")]
async fn r16_an_export_of_many_pages_is_sent_piece_by_piece() {
    const LINES: usize = 12_000;
    let world = World::empty().await;
    let id = world.account_id;
    world.credit(id, 20).await;
    world
        .store
        .set_daily_quota(id, 100_000, "a test", &indicia_store::audit::Actor::system("test"))
        .await
        .unwrap();
    let instance = world.buy(id, 50_000).await.instance_ids.remove(0);
    world.send_many(id, NOW, 200, Fate::Waiting).await;
    let to = ["reader@club.example".to_owned()];
    for _ in 0..LINES / 250 {
        futures::future::join_all((0..250).map(|_| world.send(id, "one", &to, Fate::Waiting))).await;
    }
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let href = path(&world, &format!("/{instance}/deductions.csv"));
    let mut body = browser.open(&href).await.into_body();
    let (mut pieces, mut largest, mut text) = (0, 0, Vec::new());
    while let Some(frame) = body.frame().await {
        let data = frame.expect("the stream goes on").into_data().expect("data");
        (pieces, largest) = (pieces + 1, largest.max(data.len()));
        text.extend_from_slice(&data);
    }
    assert!(pieces >= LINES / 1_000, "{pieces} pieces");
    assert!(largest < 200_000, "the largest piece has {largest} bytes");
    let text = String::from_utf8(text).expect("UTF-8");
    let mut left = 50_000;
    for line in text.split_terminator("\r\n").skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields[4].parse::<i64>(), Ok(left), "{line}");
        left = fields[6].parse().expect("a number");
    }
    assert_eq!(left, 50_000 - LINES as i64);
}
