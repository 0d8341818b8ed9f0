//! Mail that is held in the queue, on both engines.

mod engines;
mod support;

use engines::Bench;
use indicia_domain::time::HOUR_MICROS;
use indicia_store::queue::{HandBack, MailKey};
use indicia_store::suspension::{self, HELD, SuspendError};
use support::{Account, operator};

on_both_engines!(
    r22_a_pause_holds_what_waits_and_the_release_makes_it_due,
    mail_to_a_domain_is_held_and_let_go,
);

async fn r22_a_pause_holds_what_waits_and_the_release_makes_it_due(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let waiting = account.mail(&["late@example.net"]).await;
    let message_id = account.admission(None).submit(waiting).await.expect("accepted").message_id();
    assert!(bench.store.suspensions().await.unwrap().is_empty());
    bench.store.pause_sending(account.id, "looked at", &operator()).await.expect("paused");
    let held = bench.store.suspensions().await.unwrap().remove(0);
    assert!(
        held.is_pause && held.held.covers(account.id, "example.net") && !held.held.covers(1, "example.net")
    );
    assert_eq!(held.reason, "the account's sending is paused: by an operator: looked at");
    // As delivery does with what it has claimed.
    let claimed = bench.store.claim(10, 1 << 20).await.unwrap().remove(0);
    let key = MailKey { account_id: account.id, message_id: claimed.message_id, number: 0 };
    let due_at = bench.store.now().plus_micros(HOUR_MICROS);
    let back = HandBack { key, due_at, reason: format!("{HELD}{}", held.reason), place: None };
    bench.store.hand_back(&[back]).await.unwrap();
    assert!(bench.store.claim(10, 1 << 20).await.unwrap().is_empty());
    bench.store.release_sending(account.id, "seen", &operator()).await.expect("released");
    assert_eq!(bench.store.claim(10, 1 << 20).await.unwrap()[0].message_id, message_id);
    assert!(bench.store.suspensions().await.unwrap().is_empty());
}

async fn mail_to_a_domain_is_held_and_let_go(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let domain = |account_id| suspension::Held { account_id, domain: Some("example.net".to_owned()) };
    let store = &bench.store;
    let everything = suspension::Held { account_id: None, domain: None };
    assert!(matches!(store.suspend(&everything, "x", &operator()).await, Err(SuspendError::Everything)));
    assert!(matches!(
        store.suspend(&domain(Some(5)), "x", &operator()).await,
        Err(SuspendError::NoAccount(5))
    ));
    assert!(store.suspend(&domain(None), "they move", &operator()).await.expect("held"));
    assert!(!store.suspend(&domain(None), "they still move", &operator()).await.expect("held"));
    assert!(store.suspend(&domain(Some(account.id)), "both", &operator()).await.expect("held"));
    let reasons: Vec<_> = store.suspensions().await.unwrap().into_iter().map(|held| held.reason).collect();
    assert_eq!(reasons.len(), 2);
    assert!(reasons.contains(&"they still move".to_owned()), "{reasons:?}");
    store.resume(&domain(None), &operator()).await.expect("let go");
    let again = store.resume(&domain(None), &operator()).await.unwrap_err();
    assert_eq!(again.to_string(), "mail of every account to example.net is not suspended");
}
