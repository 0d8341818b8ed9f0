//! Sessions, the guard on forms, the throttle, the headers.

use axum::http::{Method, StatusCode, header};
use indicia_console::{ConsoleConfig, ThrottleLimits};

use crate::{
    browser::Browser,
    world::{EMAIL, OPERATOR_EMAIL, PASSWORD, World},
};

const SESSION: &str = "indicia_session";

#[tokio::test]
async fn an_account_comes_to_its_overview_and_an_operator_to_the_accounts() {
    let world = World::empty().await;
    let page = Browser::on(&world).sign_in(EMAIL, PASSWORD).await;
    assert_eq!(page.path, format!("/accounts/{}", world.account_id));
    page.shows("Northwind Paper");
    let page = Browser::on(&world).sign_in(OPERATOR_EMAIL, PASSWORD).await;
    assert_eq!(page.path, "/accounts");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_get_the_same_answer() {
    let world = World::empty().await;
    let strip = |text: String, email: &str| text.replace(email, "");
    let mut texts = Vec::new();
    for email in [EMAIL, "nobody@northwind.example"] {
        let mut browser = Browser::on(&world);
        let answer = browser.sign_in(email, "wrong").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        answer.shows("E-mail address or password is wrong");
        assert!(!browser.cookies.contains_key(SESSION));
        let csrf = answer.hidden("csrf");
        texts.push(strip(answer.text.replace(&csrf, ""), email));
    }
    assert_eq!(texts[0], texts[1]);
}

#[tokio::test]
async fn whoever_is_not_signed_in_is_sent_to_sign_in_and_then_back() {
    let world = World::empty().await;
    let mut browser = Browser::on(&world);
    let wanted = format!("/accounts/{}/mails?status=failed", world.account_id);
    let page = browser.get(&wanted).await;
    assert!(page.path.starts_with("/login?next="), "{}", page.path);
    let (csrf, next) = (page.hidden("csrf"), page.hidden("next").replace("&#38;", "&"));
    let form = [("csrf", csrf.as_str()), ("next", &next), ("email", EMAIL), ("password", PASSWORD)];
    assert_eq!(browser.post("/login", &form).await.path, wanted);
}

#[tokio::test]
async fn signing_in_never_leads_elsewhere() {
    let world = World::empty().await;
    for next in ["https://evil.example/", "//evil.example/", "/\\evil.example"] {
        let mut browser = Browser::on(&world);
        let csrf = browser.get("/login").await.hidden("csrf");
        let form = [("csrf", csrf.as_str()), ("next", next), ("email", EMAIL), ("password", PASSWORD)];
        let answer = browser.once(Method::POST, "/login", Some(&form)).await;
        assert_eq!(answer.headers[header::LOCATION], format!("/accounts/{}", world.account_id), "{next}");
    }
}

#[tokio::test]
async fn a_form_without_the_sessions_token_is_refused_and_does_nothing() {
    let world = World::empty().await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let mut stranger = Browser::signed_in(&world, EMAIL).await;
    let foreign = stranger.get("/").await.hidden("csrf");
    let no_fields: &[(&str, &str)] = &[];
    let zeros = "0".repeat(64);
    for form in [no_fields, &[("csrf", "")], &[("csrf", &zeros)], &[("csrf", &foreign)]] {
        let answer = browser.once(Method::POST, "/logout", Some(form)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        answer.shows("This form is no longer valid");
    }
    assert_eq!(browser.get("/").await.status, StatusCode::OK, "still signed in");
    let csrf = browser.get("/").await.hidden("csrf");
    let page = browser.post("/logout", &[("csrf", &csrf)]).await;
    assert_eq!(page.path, "/login");
    page.shows("Signed out");
}

#[tokio::test]
async fn the_sign_in_form_has_a_guard_too() {
    let world = World::empty().await;
    let mut browser = Browser::on(&world);
    browser.get("/login").await;
    let form = [("email", EMAIL), ("password", PASSWORD)];
    assert_eq!(browser.once(Method::POST, "/login", Some(&form)).await.status, StatusCode::FORBIDDEN);
    assert!(!browser.cookies.contains_key(SESSION));
}

#[tokio::test]
async fn a_form_over_the_limit_is_refused() {
    let world = World::empty().await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let large = "x".repeat(70 * 1024);
    let answer = browser.once(Method::POST, "/logout", Some(&[("csrf", &large)])).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn signing_out_ends_the_session_on_the_server() {
    let world = World::empty().await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let stolen = browser.cookies.clone();
    let csrf = browser.get("/").await.hidden("csrf");
    browser.post("/logout", &[("csrf", &csrf)]).await;
    browser.cookies = stolen;
    browser.get("/").await.shows("The session has ended");
}

#[tokio::test]
async fn a_session_ends_when_unused_and_when_old() {
    const HOUR_US: i64 = 3_600 * 1_000_000;
    let config = ConsoleConfig {
        session_idle_us: HOUR_US,
        session_lifetime_us: 3 * HOUR_US,
        ..ConsoleConfig::default()
    };
    let world = World::with(config, false).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    for _ in 0..3 {
        world.clock.advance_micros(HOUR_US - 1);
        assert_eq!(browser.get("/").await.status, StatusCode::OK);
    }
    world.clock.advance_micros(3);
    browser.get("/").await.shows("The session has ended");

    let mut idle = Browser::signed_in(&world, EMAIL).await;
    world.clock.advance_micros(HOUR_US);
    idle.get("/").await.shows("The session has ended");
}

#[tokio::test]
async fn guessing_is_slowed_down_and_the_right_password_does_not_help_meanwhile() {
    const MINUTE_US: i64 = 60 * 1_000_000;
    let throttle = ThrottleLimits { failures_per_email_max: 3, ..ThrottleLimits::default() };
    let world = World::with(ConsoleConfig { throttle, ..ConsoleConfig::default() }, false).await;
    let mut browser = Browser::on(&world);
    for _ in 0..3 {
        assert_eq!(browser.sign_in(EMAIL, "wrong").await.status, StatusCode::UNAUTHORIZED);
    }
    let answer = browser.sign_in(EMAIL, PASSWORD).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers.contains_key(header::RETRY_AFTER));
    answer.shows("Try again in 15 minutes");
    assert_eq!(Browser::on(&world).sign_in(OPERATOR_EMAIL, PASSWORD).await.status, StatusCode::OK);
    world.clock.advance_micros(15 * MINUTE_US);
    assert_eq!(browser.sign_in(EMAIL, PASSWORD).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_store_never_holds_the_token() {
    let world = World::empty().await;
    let browser = Browser::signed_in(&world, EMAIL).await;
    let token = &browser.cookies[SESSION];
    assert_eq!(token.len(), 64);
    assert!(world.store.session(token).await.unwrap().is_none(), "not kept under its own name");
}

#[tokio::test]
async fn cookies_are_httponly_samesite_and_secure_over_https() {
    let config = ConsoleConfig { public_url: "https://mail.example.com".into(), ..ConsoleConfig::default() };
    let world = World::with(config, false).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    assert!(browser.cookies.contains_key("__Host-indicia_session"));
    let csrf = browser.get("/").await.hidden("csrf");
    let answer = browser.once(Method::POST, "/logout", Some(&[("csrf", &csrf)])).await;
    for cookie in answer.headers.get_all(header::SET_COOKIE) {
        let cookie = cookie.to_str().unwrap();
        for attribute in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
    }
}

#[tokio::test]
async fn every_answer_has_the_security_headers_and_a_request_id() {
    let world = World::empty().await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    for path in ["/", "/login", "/nowhere", "/accounts/1"] {
        let answer = browser.get(path).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["referrer-policy"], "same-origin");
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(answer.headers["x-request-id"].len(), 16);
        answer.hides("<script");
        answer.hides("style=\"");
    }
}

#[tokio::test]
async fn an_error_page_names_its_request() {
    let world = World::empty().await;
    let answer = Browser::on(&world).get("/nowhere").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    answer.shows(answer.headers["x-request-id"].to_str().unwrap());
    answer.shows("There is no such page");
}

#[tokio::test]
async fn the_style_sheet_is_kept_for_ever_under_its_hash() {
    let world = World::empty().await;
    let mut browser = Browser::on(&world);
    let href = browser.get("/login").await.links("/assets/console-").remove(0);
    let answer = browser.get(&href).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "text/css; charset=utf-8");
    assert!(answer.headers[header::CACHE_CONTROL].to_str().unwrap().contains("immutable"));
    assert_eq!(browser.get("/assets/console-0000000000000000.css").await.status, StatusCode::NOT_FOUND);
}
