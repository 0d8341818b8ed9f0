//! Webhooks through the router into a real store: what is in the ledger and in the audit log afterwards.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use indicia_domain::mail::admission::Policy;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{Clock, ManualClock, UnixMicros};
use indicia_store::Store;
use indicia_store::account::NewAccount;
use indicia_store::oversight::AuditQuery;
use serde_json::{Value, json};

use super::metrics::PaymentMetrics;
use super::tests::{
    SECRET, SIGNED_SECONDS, assert_error, assert_not_booked, booked, event, intent, send, session,
};
use super::{PaymentSettings, PaymentState, router};

struct Site {
    store: Store,
    router: Router,
    _dir: tempfile::TempDir,
}

impl Site {
    async fn new() -> Site {
        let dir = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(UnixMicros::from_seconds(SIGNED_SECONDS)));
        let store = Store::open("sqlite", dir.path(), clock.clone()).await.unwrap();
        let settings = PaymentSettings {
            currency: "USD".to_owned(),
            secrets: vec![SECRET.to_owned()],
            tolerance_seconds: 300,
        };
        let state = PaymentState::new(Arc::new(store.clone()), &settings, clock, PaymentMetrics::default());
        Site { store, router: router(state.unwrap()), _dir: dir }
    }

    async fn account(&self, name: &str) -> i64 {
        let new = NewAccount {
            name: name.to_owned(),
            email: format!("{name}@example.com"),
            phone: String::new(),
            zone: "Asia/Shanghai".to_owned(),
            password_hash: String::new(),
            access_key_id: format!("ak-{name}"),
            access_key_secret: format!("secret-{name}"),
        };
        self.store.create_account(&new, &Policy::default()).await.unwrap()
    }

    async fn send(&self, event: &Value) -> (StatusCode, Value) {
        send(&self.router, event).await
    }

    async fn cash(&self, account_id: i64) -> MoneyMicros {
        self.store.account_numbers(account_id).await.unwrap().unwrap().cash
    }

    /// The audit log's actors, accounts and actions, the oldest first.
    async fn audit(&self) -> Vec<(String, Option<i64>, String)> {
        let entries =
            self.store.audit_entries(&AuditQuery { limit: 100, ..AuditQuery::default() }).await.unwrap();
        entries.into_iter().rev().map(|entry| (entry.actor, entry.account_id, entry.action)).collect()
    }

    async fn assert_ledger_holds(&self) {
        let found = self.store.verify_ledger().await.unwrap();
        assert!(found.violations.is_empty(), "{:?}", found.violations);
    }
}

#[tokio::test]
async fn r26_one_payment_is_one_line_in_whatever_order_its_events_come() {
    let site = Site::new().await;
    let account_id = site.account("acme").await;
    let text = account_id.to_string();
    let events = [
        intent("evt_2", "pi_1", json!({ "account_id": text })),
        session("evt_1", "pi_1", &text, 1_000),
        session("evt_3", "pi_1", &text, 1_000),
    ];
    assert_eq!(site.send(&events[0]).await, booked());
    for event in events.iter().chain(&events) {
        assert_not_booked(&site.send(event).await, "booked before");
    }
    assert_eq!(site.cash(account_id).await, MoneyMicros(10_000_000));
    let top_up = ("system stripe".to_owned(), Some(account_id), "top-up".to_owned());
    assert_eq!(site.audit().await, [top_up]);
    site.assert_ledger_holds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r26_deliveries_at_the_same_time_count_once() {
    let site = Site::new().await;
    let account_id = site.account("acme").await;
    let text = account_id.to_string();
    let (session, intent) =
        (session("evt_1", "pi_1", &text, 1_000), intent("evt_2", "pi_1", json!({ "account_id": text })));
    let deliveries = (0..16).map(|number| site.send(if number % 2 == 0 { &session } else { &intent }));
    let answers = futures::future::join_all(deliveries).await;
    assert_eq!(answers.iter().filter(|answer| **answer == booked()).count(), 1);
    assert!(answers.iter().all(|(status, _)| *status == StatusCode::OK), "{answers:?}");
    assert_eq!(site.cash(account_id).await, MoneyMicros(10_000_000));
    site.assert_ledger_holds().await;
}

#[tokio::test]
async fn one_payment_for_two_accounts_is_booked_for_the_first_and_refused_for_the_second() {
    let site = Site::new().await;
    let (first, second) = (site.account("first").await, site.account("second").await);
    assert_eq!(site.send(&session("evt_1", "pi_1", &first.to_string(), 1_000)).await, booked());
    let answer = site.send(&session("evt_2", "pi_1", &second.to_string(), 1_000)).await;
    assert_error(&answer, StatusCode::UNPROCESSABLE_ENTITY, "PaymentRefused");
    assert_eq!((site.cash(first).await.0, site.cash(second).await.0), (10_000_000, 0));
    site.assert_ledger_holds().await;
}

#[tokio::test]
async fn what_cannot_be_booked_leaves_the_ledger_alone_and_an_entry_for_the_operator() {
    let site = Site::new().await;
    let account_id = site.account("acme").await;
    let text = account_id.to_string();
    let before = site.store.account_numbers(account_id).await.unwrap().unwrap().ledger_sequence;
    for (event, code) in [
        (session("evt_1", "pi_1", "1", 1_000), "AccountUnknown"),
        (session("evt_2", "pi_2", &text, 0), "AmountInvalid"),
        (session("evt_3", "pi_3", &text, i64::MAX / 10_000), "AmountTooLarge"),
    ] {
        assert_error(&site.send(&event).await, StatusCode::UNPROCESSABLE_ENTITY, code);
    }
    let refund =
        json!({ "id": "ch_1", "amount_refunded": 1_000, "currency": "usd", "payment_intent": "pi_1" });
    assert_not_booked(&site.send(&event("evt_4", "charge.refunded", refund)).await, "10.00 USD");
    let after = site.store.account_numbers(account_id).await.unwrap().unwrap();
    assert_eq!((after.ledger_sequence, after.cash), (before, MoneyMicros::ZERO));
    let entry =
        |account_id: Option<i64>, action: &str| ("system stripe".to_owned(), account_id, action.to_owned());
    assert_eq!(
        site.audit().await,
        [
            entry(None, "payment.refused"),
            entry(Some(account_id), "payment.refused"),
            entry(Some(account_id), "payment.refused"),
            entry(None, "payment.refunded"),
        ]
    );
    site.assert_ledger_holds().await;
}
