//! The demo's inbox and clock, and that a real service has neither.

use std::net::SocketAddr;

use axum::http::{Method, StatusCode};
use indicia_console::ConsoleConfig;
use indicia_domain::time::{Clock, DAY_MICROS};

use crate::{
    browser::Browser,
    world::{EMAIL, NOW, World},
};

async fn demo() -> World {
    World::with(ConsoleConfig::default(), true).await
}

fn script(world: &World) -> Browser {
    let mut script = Browser::on(world);
    script.peer = SocketAddr::from(([127, 0, 0, 1], 50_000));
    script.extra.clear();
    script
}

#[tokio::test]
async fn a_script_on_this_machine_moves_the_clock_without_a_session() {
    let world = demo().await;
    let answer = script(&world).once(Method::POST, "/demo/clock", Some(&[("advance", "7d")])).await;
    assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "2026-11-29T06:33:20Z\n"));
    assert_eq!(world.clock.now().0 - NOW.0, 7 * DAY_MICROS);
}

#[tokio::test]
async fn neither_another_machine_nor_a_web_page_on_this_one_moves_it() {
    let world = demo().await;
    let mut elsewhere = script(&world);
    elsewhere.peer = SocketAddr::from(([192, 0, 2, 1], 50_000));
    let mut page = script(&world);
    page.extra = vec![("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
    for mut browser in [elsewhere, page] {
        let answer = browser.once(Method::POST, "/demo/clock", Some(&[("advance", "7d")])).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(world.clock.now(), NOW);
}

#[tokio::test]
async fn what_is_no_step_forward_is_refused() {
    let world = demo().await;
    for advance in ["", "-7d", "7", "never", "99999w"] {
        let answer = script(&world).once(Method::POST, "/demo/clock", Some(&[("advance", advance)])).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{advance}");
    }
    assert_eq!(world.clock.now(), NOW);
}

#[tokio::test]
async fn the_page_moves_it_and_the_session_lives_on() {
    let world = demo().await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = browser.get("/demo/clock").await;
    page.shows("2026-11-22 14:33:20");
    let csrf = page.hidden("csrf");
    for advance in ["30d", "30d", "30d", "30d", "30d", "30d", "30d"] {
        let page = browser.post("/demo/clock", &[("csrf", &csrf), ("advance", advance)]).await;
        page.shows("The clock was moved forward");
    }
    browser.get("/demo/clock").await.hides("The clock was moved forward");
    assert_eq!(world.clock.now().0 - NOW.0, 210 * DAY_MICROS);
}

#[tokio::test]
async fn the_inbox_lists_and_shows_mail() {
    let world = demo().await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let list = browser.get("/demo/inbox").await;
    assert_eq!(list.links("/demo/inbox/"), ["/demo/inbox/3", "/demo/inbox/2", "/demo/inbox/1"]);
    let text = browser.get("/demo/inbox/1").await;
    text.shows("It works: this mail went out over SMTP, signed.");
    text.shows("<dt>DKIM-Signature</dt>");
    text.hides("<iframe");
    for missing in ["/demo/inbox/9", "/demo/inbox/x", "/demo/inbox/1/html"] {
        assert_eq!(browser.get(missing).await.status, StatusCode::NOT_FOUND, "{missing}");
    }
}

#[tokio::test]
async fn a_strangers_html_is_shown_where_it_can_do_nothing() {
    let world = demo().await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = browser.get("/demo/inbox/2").await;
    page.shows(r#"<iframe class="mail-frame" sandbox title="#);
    page.hides("<script");
    let html = browser.get("/demo/inbox/2/html").await;
    html.shows("<script>document.title='owned'</script>");
    let policy = html.headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("sandbox; default-src 'none'") && policy.contains("frame-ancestors 'self'"),
        "{policy}"
    );
    assert!(!policy.contains("script-src") && !policy.contains("allow-"), "{policy}");
    assert_eq!(
        Browser::on(&world).get("/demo/inbox/2/html").await.path,
        "/login?next=%2Fdemo%2Finbox%2F2%2Fhtml"
    );
}

#[tokio::test]
async fn a_real_service_has_neither() {
    let world = World::empty().await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    browser.get("/").await.hides("/demo/");
    for path in ["/demo/inbox", "/demo/inbox/1", "/demo/clock"] {
        assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let answer = script(&world).once(Method::POST, "/demo/clock", Some(&[("advance", "7d")])).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(world.clock.now(), NOW);
}
