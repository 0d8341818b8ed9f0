//! In-station messages, and contacts and channels.

use axum::http::StatusCode;
use indicia_domain::{
    ledger::{bill::CollectionPolicy, price::PriceList},
    money::MoneyMicros,
    notice::{Channel, Language},
    time::MINUTE_MICROS,
};
use indicia_store::{
    notice::{Dispatch, Handover},
    oversight::AuditQuery,
};

use crate::{
    browser::Browser,
    world::{EMAIL, Fate, OPERATOR_EMAIL, OTHER_EMAIL, World},
};

/// Brings the first account `count` messages: each time it becomes overdue, and each time it has paid.
async fn tell(world: &World, count: usize) {
    let id = world.account_id;
    world
        .store
        .set_daily_quota(id, 100_000, "test", &indicia_store::audit::Actor::system("test"))
        .await
        .unwrap();
    for number in 0..count {
        let is_overdue = number % 2 == 1;
        if is_overdue {
            world.credit(id, 1).await;
        } else {
            let cash = world.store.account_numbers(id).await.unwrap().unwrap().cash;
            if cash.0 > 0 {
                let actor = indicia_store::audit::Actor::system("test");
                world.store.credit(id, MoneyMicros(-cash.0), "spent", &actor, None).await.unwrap();
            }
            let to: Vec<String> = (0..90).map(|n| format!("reader{n}@club.example")).collect();
            for _ in 0..4 {
                world.send(id, "Digest", &to, Fate::Waiting).await;
            }
            world.clock.advance_micros(60 * MINUTE_MICROS);
            let policy = CollectionPolicy { threshold: MoneyMicros(1) };
            world.store.make_bills(&PriceList::default(), &policy).await.unwrap();
        }
        let word: &(dyn Fn(&Handover) -> Dispatch + Send + Sync) = &move |_| Dispatch::Station {
            subject: format!("Message {number} <b>"),
            body: format!("First line.\nhttp://127.0.0.1:8026/accounts/{id}/billing\n<script>x</script>"),
        };
        let (made, _) = world.store.hand_over_notices(id, Channel::Station, word).await.unwrap();
        assert_eq!(made, 1, "message {number}");
    }
}

async fn unread(world: &World) -> i64 {
    world.store.unread_messages(world.account_id).await.unwrap()
}

#[tokio::test]
async fn r14_unread_messages_are_counted_on_every_page_and_read_when_opened() {
    let world = World::empty().await;
    tell(&world, 3).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let id = world.account_id;
    for path in ["", "/mails", "/billing", "/sending/domains", "/contacts"] {
        browser.get(&format!("/accounts/{id}{path}")).await.shows("nav-count\">3<");
    }
    let inbox = browser.get(&format!("/accounts/{id}/messages")).await;
    inbox.shows("3 messages not read yet");
    let (newest, oldest) = (inbox.text.find("Message 2").unwrap(), inbox.text.find("Message 0").unwrap());
    assert!(newest < oldest, "newest first");
    let links: Vec<String> =
        inbox.links("/messages/").into_iter().filter(|link| !link.ends_with("/read")).collect();
    assert_eq!(links.len(), 3);
    let message = browser.get(&links[0]).await;
    message.shows("nav-count\">2<");
    message.shows("Message 2 &#60;b&#62;");
    message.shows(&format!("<a href=\"http://127.0.0.1:8026/accounts/{id}/billing\">"));
    message.hides("<script>");
    assert_eq!(unread(&world).await, 2);
    let rest = browser.get(&format!("/accounts/{id}/messages?show=unread")).await;
    rest.hides("Message 2");
    rest.shows("Message 1");
}

#[tokio::test]
async fn one_message_or_all_are_marked_as_read() {
    let world = World::empty().await;
    tell(&world, 3).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let path = format!("/accounts/{}/messages", world.account_id);
    let inbox = browser.get(&path).await;
    let (csrf, message) = (inbox.hidden("csrf"), inbox.hidden("message"));
    let one = browser.post(&format!("{path}/read"), &[("csrf", &csrf), ("message", &message)]).await;
    one.shows("Marked as read");
    assert_eq!(unread(&world).await, 2);
    let all = browser.post(&format!("{path}/read"), &[("csrf", &csrf)]).await;
    assert_eq!(unread(&world).await, 0);
    all.hides("nav-count");
    all.hides("Mark all as read");
    browser.get(&format!("{path}?show=unread")).await.shows("Everything is read");
    let odd = browser.post(&format!("{path}/read"), &[("csrf", &csrf), ("message", "x")]).await;
    assert_eq!(odd.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_operator_reads_along_and_leaves_the_messages_unread() {
    let world = World::empty().await;
    tell(&world, 1).await;
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    let path = format!("/accounts/{}/messages", world.account_id);
    let inbox = operator.get(&path).await;
    inbox.hides("Mark all as read");
    let csrf = inbox.hidden("csrf");
    operator.get(&inbox.links("/messages/")[0]).await.shows("First line.");
    let refused = operator.post(&format!("{path}/read"), &[("csrf", &csrf)]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(unread(&world).await, 1);
}

#[tokio::test]
async fn someone_elses_message_does_not_exist() {
    let world = World::empty().await;
    tell(&world, 1).await;
    let message = world.store.station_messages(world.account_id, false, None, 1).await.unwrap()[0].message_id;
    let mut other = Browser::signed_in(&world, OTHER_EMAIL).await;
    for account in [world.account_id, world.other_id] {
        let answer = other.get(&format!("/accounts/{account}/messages/{message}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }
    let path = format!("/accounts/{}/messages/read", world.other_id);
    let csrf = other.get("/").await.hidden("csrf");
    other.post(&path, &[("csrf", &csrf), ("message", &message.to_string())]).await;
    assert_eq!(unread(&world).await, 1);
}

#[tokio::test]
async fn a_long_inbox_is_walked() {
    let world = World::empty().await;
    tell(&world, 33).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let first = browser.get(&format!("/accounts/{}/messages", world.account_id)).await;
    assert_eq!(first.text.matches("class=\"unread\"").count(), 30);
    let second = browser.get(&first.links("after=")[0]).await;
    assert_eq!(second.text.matches("class=\"unread\"").count(), 3);
    second.shows("Back to the newest");
}

#[tokio::test]
async fn contacts_are_shown_changed_and_noted_in_the_audit_log() {
    let world = World::empty().await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let path = format!("/accounts/{}/contacts", world.account_id);
    let page = browser.get(&path).await;
    page.shows(EMAIL);
    page.shows("Always on");
    let csrf = page.hidden("csrf");
    let form = [
        ("csrf", csrf.as_str()),
        ("email", "billing@northwind.example"),
        ("phone", "+86 138 0000 0000"),
        ("by_sms", "on"),
        ("language", "zh"),
    ];
    let saved = browser.post(&path, &form).await;
    saved.shows("The contacts were saved");
    let contact = world.store.contact(world.account_id).await.unwrap().unwrap();
    assert_eq!((contact.language, contact.by_email, contact.by_sms), (Language::Chinese, false, true));
    assert_eq!(
        (contact.email.as_str(), contact.phone.as_str()),
        ("billing@northwind.example", "+8613800000000")
    );
    let query = AuditQuery { account_id: Some(world.account_id), limit: 5, ..AuditQuery::default() };
    let log = world.store.audit_entries(&query).await.unwrap();
    assert_eq!(log[0].actor, format!("account {EMAIL}"));
    assert!(log[0].detail.contains("billing@northwind.example"));
}

#[tokio::test]
async fn contacts_that_cannot_be_reached_are_refused_and_what_was_typed_stays() {
    let world = World::empty().await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let path = format!("/accounts/{}/contacts", world.account_id);
    let csrf = browser.get(&path).await.hidden("csrf");
    let before = world.store.contact(world.account_id).await.unwrap().unwrap();
    for (email, phone, extra, text) in [
        ("no-at-sign", "", ("by_email", "on"), "This is no e-mail address"),
        ("a@b.example\r\nBcc: x@y.example", "", ("by_email", "on"), "This is no e-mail address"),
        ("", "", ("by_email", "on"), "There is no address to write to"),
        ("a@b.example", "0171 234", ("by_sms", "on"), "This is no telephone number"),
        ("a@b.example", "+49171", ("by_sms", "on"), "This is no telephone number"),
    ] {
        let form = [("csrf", csrf.as_str()), ("language", "en"), ("email", email), ("phone", phone), extra];
        let page = browser.post(&path, &form).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{email} {phone}");
        page.shows(text);
        if phone == "0171 234" {
            page.shows("value=\"0171 234\"");
        }
    }
    let form = [("csrf", csrf.as_str()), ("language", "de"), ("email", "a@b.example")];
    browser.post(&path, &form).await.shows("Choose a language");
    assert_eq!(world.store.contact(world.account_id).await.unwrap().unwrap(), before);
}
