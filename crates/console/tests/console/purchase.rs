//! Buying a package: choose, confirm, buy once, receipt.

use axum::http::{Method, StatusCode};
use indicia_store::package::PackageFilter;

use crate::{
    browser::{Answer, Browser},
    world::{EMAIL, OTHER_EMAIL, World},
};

const DIRECTMAIL: &str = "/billing/reserved-instances/resource-packages/directmail";

async fn count(world: &World) -> usize {
    world.store.packages(world.account_id, &PackageFilter::default()).await.unwrap().len()
}

async fn cash(world: &World) -> i64 {
    world.store.account_numbers(world.account_id).await.unwrap().unwrap().cash.0
}

async fn confirm(browser: &mut Browser, world: &World, specification: &str, quantity: &str) -> Answer {
    let query = format!("specification={specification}&quantity={quantity}");
    browser.get(&format!("/accounts/{}{DIRECTMAIL}/buy/confirm?{query}", world.account_id)).await
}

fn filled(page: &Answer) -> Vec<(&'static str, String)> {
    // The page has a form to sign out too; its token is the same.
    ["csrf", "purchase", "specification", "quantity"].map(|name| (name, page.hidden(name))).to_vec()
}

async fn send(browser: &mut Browser, world: &World, form: &[(&'static str, String)]) -> Answer {
    let fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.post(&format!("/accounts/{}{DIRECTMAIL}/buy", world.account_id), &fields).await
}

#[tokio::test]
async fn r08_r12_the_confirm_page_says_the_price_the_exact_end_and_that_there_is_no_refund() {
    let world = World::empty().await;
    world.credit(world.account_id, 100).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let choose = browser.get(&format!("/accounts/{}{DIRECTMAIL}/buy", world.account_id)).await;
    for price in ["USD 13.05", "USD 121.80", "USD 230.55", "USD 1,123.75"] {
        choose.shows(price);
    }
    let page = confirm(&mut browser, &world, "50000", "2").await;
    page.shows("USD 26.10");
    page.shows("USD 73.90 after the purchase");
    page.shows(">2027-05-23 00:00:00</time>");
    page.shows("The last day is 2027-05-22");
    page.shows("can be neither cancelled nor refunded");
    assert_eq!(count(&world).await, 0, "looking buys nothing");
}

#[tokio::test]
async fn a_purchase_gives_its_receipt_and_what_it_says_is_in_the_store() {
    let world = World::empty().await;
    world.credit(world.account_id, 100).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = confirm(&mut browser, &world, "50000", "2").await;
    let receipt = send(&mut browser, &world, &filled(&page)).await;
    assert_eq!(receipt.status, StatusCode::OK);
    receipt.shows("2 packages bought");
    receipt.shows("Cash balance, now USD 73.90");
    let rows = world.store.packages(world.account_id, &PackageFilter::default()).await.unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        receipt.shows(&row.package.instance_id);
    }
    assert_eq!(cash(&world).await, 73_900_000);
}

#[tokio::test]
async fn r26_a_double_click_and_the_same_page_again_buy_once() {
    let world = World::empty().await;
    world.credit(world.account_id, 100).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = confirm(&mut browser, &world, "50000", "1").await;
    let form = filled(&page);
    let first = send(&mut browser, &world, &form).await;
    let second = send(&mut browser, &world, &form).await;
    assert_eq!((first.status, &first.path), (second.status, &second.path), "the same receipt");
    // A step back in the browser loads the confirm page anew, under the same address.
    let again = browser.get(&page.path).await;
    send(&mut browser, &world, &filled(&again)).await;
    assert_eq!(count(&world).await, 1);
    assert_eq!(cash(&world).await, 100_000_000 - 13_050_000);
    // Choosing anew is another purchase.
    let anew = confirm(&mut browser, &world, "50000", "1").await;
    send(&mut browser, &world, &filled(&anew)).await;
    assert_eq!(count(&world).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn r26_two_clicks_at_the_same_moment_buy_once() {
    let world = World::empty().await;
    world.credit(world.account_id, 100).await;
    let mut first = Browser::signed_in(&world, EMAIL).await;
    let form = filled(&confirm(&mut first, &world, "50000", "1").await);
    let mut second = Browser::on(&world);
    second.cookies = first.cookies.clone();
    let (one, two) = tokio::join!(send(&mut first, &world, &form), send(&mut second, &world, &form));
    assert_eq!((one.status, two.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(one.path, two.path);
    assert_eq!((count(&world).await, cash(&world).await), (1, 100_000_000 - 13_050_000));
}

#[tokio::test]
async fn r26_the_same_token_for_something_else_is_refused() {
    let world = World::empty().await;
    world.credit(world.account_id, 1_000).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = confirm(&mut browser, &world, "50000", "1").await;
    let mut form = filled(&page);
    send(&mut browser, &world, &form).await;
    form[3].1 = "2".into();
    let answer = send(&mut browser, &world, &form).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    answer.shows("This form has been used");
    assert_eq!(count(&world).await, 1);
}

#[tokio::test]
async fn without_money_the_refusal_says_what_is_missing_and_what_to_do() {
    let world = World::empty().await;
    world.credit(world.account_id, 10).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = confirm(&mut browser, &world, "50000", "1").await;
    page.shows("The balance is not enough");
    page.shows("costs USD 13.05, the cash balance is USD 10.00: USD 3.05 are missing");
    page.hides(">Buy for");
    let csrf = page.hidden("csrf");
    let form = [
        ("csrf", csrf),
        ("purchase", "a".repeat(32)),
        ("specification", "50000".into()),
        ("quantity", "1".into()),
    ];
    let answer = send(&mut browser, &world, &form).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    answer.shows("Nothing was bought");
    assert_eq!((count(&world).await, cash(&world).await), (0, 10_000_000));
}

#[tokio::test]
async fn what_is_not_on_offer_is_refused_and_nothing_is_written() {
    let world = World::empty().await;
    world.credit(world.account_id, 100_000).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let csrf = browser.get("/").await.hidden("csrf");
    let cases = [
        ("49999", "1"),
        ("", "1"),
        ("x", "1"),
        ("50000", "0"),
        ("50000", "-1"),
        ("50000", "101"),
        ("50000", "1.5"),
        ("50000", ""),
        ("50000", "99999999999999999999"),
    ];
    for (specification, quantity) in cases {
        let form = [
            ("csrf", csrf.clone()),
            ("purchase", "b".repeat(32)),
            ("specification", specification.into()),
            ("quantity", quantity.into()),
        ];
        let answer = send(&mut browser, &world, &form).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{specification} x {quantity}");
    }
    for token in ["", "zz", &"g".repeat(32)] {
        let form = [
            ("csrf", csrf.clone()),
            ("purchase", token.into()),
            ("specification", "50000".into()),
            ("quantity", "1".into()),
        ];
        assert_eq!(send(&mut browser, &world, &form).await.status, StatusCode::BAD_REQUEST, "{token}");
    }
    assert_eq!((count(&world).await, cash(&world).await), (0, 100_000_000_000));
}

#[tokio::test]
async fn nobody_buys_for_another_account_or_without_the_guard() {
    let world = World::empty().await;
    world.credit(world.account_id, 100).await;
    let mut other = Browser::signed_in(&world, OTHER_EMAIL).await;
    let csrf = other.get("/").await.hidden("csrf");
    let form = |csrf: &str| {
        [
            ("csrf", csrf.to_owned()),
            ("purchase", "c".repeat(32)),
            ("specification", "50000".to_owned()),
            ("quantity", "1".to_owned()),
        ]
    };
    assert_eq!(send(&mut other, &world, &form(&csrf)).await.status, StatusCode::NOT_FOUND);
    let mut owner = Browser::signed_in(&world, EMAIL).await;
    assert_eq!(send(&mut owner, &world, &form(&csrf)).await.status, StatusCode::FORBIDDEN);
    let path = format!("/accounts/{}{DIRECTMAIL}/buy", world.account_id);
    let answer = Browser::on(&world).once(Method::POST, &path, Some(&[("quantity", "1")])).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(count(&world).await, 0);
}
