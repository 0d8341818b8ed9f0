//! Webhooks through the router, in front of a store that keeps what it is told, or fails.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use axum::routing::any;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::BodyExt;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{ManualClock, SECOND_MICROS, UnixMicros};
use serde_json::{Value, json};
use sha2::Sha256;
use tower::ServiceExt;

use super::adapter::Payment;
use super::booking::{BookingError, TopUps};
use super::metrics::PaymentMetrics;
use super::receive::{BODY_BYTES_MAX, BODY_TIMEOUT};
use super::{EVENTS_IN_FLIGHT_MAX, PaymentSettings, PaymentState, Payments, router};

pub const SECRET: &str = "whsec_test_secret_number_one";
pub const SIGNED_SECONDS: i64 = 1_795_400_000;
/// An account that there is not, unless it is opened.
const LATER: i64 = 4711;
/// The most that an account can hold here.
const BALANCE_MAX: MoneyMicros = MoneyMicros(1_000_000_000_000);

/// An audit entry: account, action, detail.
type Entry = (Option<i64>, String, String);

#[derive(Default)]
struct FakeTopUps {
    booked: Mutex<Vec<(String, Payment)>>,
    entries: Mutex<Vec<Entry>>,
    opened_later: Mutex<bool>,
    failing: Mutex<bool>,
}

impl FakeTopUps {
    fn works(&self) -> Result<(), BookingError> {
        match *self.failing.lock().unwrap() {
            true => Err(BookingError::Store("the disk is full".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl TopUps for FakeTopUps {
    async fn book(&self, provider: &str, event_id: &str, payment: &Payment) -> Result<bool, BookingError> {
        self.works()?;
        assert_eq!(provider, "stripe");
        if payment.account_id == LATER && !*self.opened_later.lock().unwrap() {
            return Err(BookingError::NoAccount(payment.account_id));
        }
        if payment.amount > BALANCE_MAX {
            return Err(BookingError::TooLarge);
        }
        let mut booked = self.booked.lock().unwrap();
        let known = |(event, other): &(String, Payment)| {
            event == event_id || other.payment_reference == payment.payment_reference
        };
        if booked.iter().any(known) {
            return Ok(false);
        }
        booked.push((event_id.to_owned(), payment.clone()));
        Ok(true)
    }

    async fn note(
        &self,
        provider: &str,
        account_id: Option<i64>,
        action: &str,
        detail: &str,
    ) -> Result<(), BookingError> {
        self.works()?;
        assert_eq!(provider, "stripe");
        self.entries.lock().unwrap().push((account_id, action.to_owned(), detail.to_owned()));
        Ok(())
    }
}

struct Site {
    store: Arc<FakeTopUps>,
    clock: Arc<ManualClock>,
    metrics: PaymentMetrics,
    payments: Arc<Payments>,
    router: Router,
}

impl Site {
    fn with_secrets(secrets: &[&str]) -> Site {
        Site::with(secrets, BODY_TIMEOUT)
    }

    fn with(secrets: &[&str], body_timeout: Duration) -> Site {
        let settings = PaymentSettings {
            currency: "USD".to_owned(),
            secrets: secrets.iter().map(|secret| secret.to_string()).collect(),
            tolerance_seconds: 300,
        };
        let store = Arc::new(FakeTopUps::default());
        let clock = Arc::new(ManualClock::at(UnixMicros::from_seconds(SIGNED_SECONDS)));
        let metrics = PaymentMetrics::default();
        let mut state = PaymentState::new(store.clone(), &settings, clock.clone(), metrics.clone()).unwrap();
        Arc::get_mut(&mut state.inner).unwrap().body_timeout = body_timeout;
        // As beside the API: one path of its own, and everything else in its fallback.
        let api = Router::new().route("/", any(|| async { "api" })).fallback(|| async { "api fallback" });
        let payments = state.inner.clone();
        Site { store, clock, metrics, payments, router: api.merge(router(state)) }
    }

    fn new() -> Site {
        Site::with_secrets(&[SECRET])
    }

    async fn call(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Bytes) {
        call(&self.router, request).await
    }

    async fn post(&self, signature: Option<&str>, body: impl Into<Body>) -> (StatusCode, Value) {
        let mut request = Request::post("/webhooks/stripe").header("content-type", "application/json");
        if let Some(signature) = signature {
            request = request.header("Stripe-Signature", signature);
        }
        let (status, headers, body) = self.call(request.body(body.into()).unwrap()).await;
        assert_eq!(headers["content-type"], "application/json");
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn send(&self, event: &Value) -> (StatusCode, Value) {
        send(&self.router, event).await
    }

    fn balance(&self, account_id: i64) -> i64 {
        let booked = self.store.booked.lock().unwrap();
        booked.iter().filter(|(_, payment)| payment.account_id == account_id).map(|(_, p)| p.amount.0).sum()
    }

    fn entries(&self) -> Vec<Entry> {
        self.store.entries.lock().unwrap().clone()
    }

    fn assert_nothing_written(&self) {
        assert!(self.store.booked.lock().unwrap().is_empty());
        assert!(self.entries().is_empty());
    }
}

async fn call(router: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, Bytes) {
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    (parts.status, parts.headers, body.collect().await.unwrap().to_bytes())
}

/// Sends an event as Stripe does, at [`SIGNED_SECONDS`].
pub async fn send(router: &Router, event: &Value) -> (StatusCode, Value) {
    let body = event.to_string();
    let request = Request::post("/webhooks/stripe")
        .header("content-type", "application/json; charset=utf-8")
        .header("content-length", body.len())
        .header("stripe-signature", signature(body.as_bytes()));
    let (status, _, answer) = call(router, request.body(Body::from(body)).unwrap()).await;
    (status, serde_json::from_slice(&answer).unwrap())
}

fn signature(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{SIGNED_SECONDS}.").as_bytes());
    mac.update(body);
    format!("t={SIGNED_SECONDS},v1={}", hex::encode(mac.finalize().into_bytes()))
}

pub fn event(event_id: &str, kind: &str, object: Value) -> Value {
    json!({ "id": event_id, "object": "event", "livemode": true, "type": kind, "data": { "object": object } })
}

pub fn session(event_id: &str, intent_id: &str, account: &str, amount: i64) -> Value {
    let object = json!({
        "id": "cs_1", "amount_total": amount, "client_reference_id": account, "currency": "usd", "metadata": {},
        "payment_intent": intent_id, "payment_status": "paid",
    });
    event(event_id, "checkout.session.completed", object)
}

pub fn intent(event_id: &str, intent_id: &str, metadata: Value) -> Value {
    let object =
        json!({ "id": intent_id, "amount_received": 1_000, "currency": "usd", "metadata": metadata });
    event(event_id, "payment_intent.succeeded", object)
}

pub fn assert_error(answer: &(StatusCode, Value), status: StatusCode, code: &str) {
    assert_eq!((answer.0, answer.1["error"]["code"].as_str()), (status, Some(code)), "{}", answer.1);
    let message = answer.1["error"]["message"].as_str().unwrap();
    assert!(message.len() > 40 && message.ends_with('.') && !message.contains(".."), "{message}");
}

pub fn booked() -> (StatusCode, Value) {
    (StatusCode::OK, json!({ "received": true, "booked": true }))
}

pub fn assert_not_booked(answer: &(StatusCode, Value), said: &str) {
    assert_eq!(answer.0, StatusCode::OK, "{}", answer.1);
    assert_eq!((&answer.1["received"], &answer.1["booked"]), (&json!(true), &json!(false)));
    assert!(answer.1["reason"].as_str().unwrap().contains(said), "{}", answer.1);
}

#[tokio::test]
async fn the_same_event_twice_counts_once() {
    let site = Site::new();
    let event = session("evt_1", "pi_1", "7001", 1_000);
    assert_eq!(site.send(&event).await, booked());
    for _ in 0..3 {
        assert_not_booked(&site.send(&event).await, "booked before");
    }
    assert_eq!((site.balance(7001), site.balance(7002)), (10_000_000, 0));
    assert_eq!((site.metrics.count("stripe", "booked"), site.metrics.count("stripe", "repeated")), (1, 3));
    assert!(site.entries().is_empty());
}

#[tokio::test]
async fn a_session_and_its_intent_count_once_in_either_order() {
    let session = session("evt_1", "pi_1", "7001", 1_000);
    let intent = intent("evt_2", "pi_1", json!({ "account_id": "7001" }));
    for [first, second] in [[&session, &intent], [&intent, &session]] {
        let site = Site::new();
        assert_eq!(site.send(first).await, booked());
        assert_not_booked(&site.send(second).await, "booked before");
        assert_eq!(site.balance(7001), 10_000_000);
    }
}

#[tokio::test]
async fn two_payments_count_twice() {
    let site = Site::new();
    assert_eq!(site.send(&session("evt_1", "pi_1", "7001", 1_000)).await, booked());
    assert_eq!(site.send(&session("evt_2", "pi_2", "7001", 1_000)).await, booked());
    assert_eq!(site.balance(7001), 20_000_000);
}

#[tokio::test]
async fn a_forged_altered_or_stale_event_writes_nothing() {
    let site = Site::new();
    let body = session("evt_1", "pi_1", "7001", 1_000).to_string();
    let genuine = signature(body.as_bytes());
    let altered = body.replace("7001", "7002");
    let forged = format!("t={SIGNED_SECONDS},v1={}", "0".repeat(64));
    let bad = StatusCode::BAD_REQUEST;
    assert_error(&site.post(None, body.clone()).await, bad, "SignatureMissing");
    assert_error(&site.post(Some("whatever"), body.clone()).await, bad, "SignatureMalformed");
    assert_error(&site.post(Some(&forged), body.clone()).await, bad, "SignatureMismatch");
    assert_error(&site.post(Some(&genuine), altered).await, bad, "SignatureMismatch");
    site.clock.advance_micros(300 * SECOND_MICROS + 1);
    assert_error(&site.post(Some(&genuine), body.clone()).await, bad, "SignatureStale");
    site.clock.advance_micros(-600 * SECOND_MICROS - 2);
    assert_error(&site.post(Some(&genuine), body.clone()).await, bad, "SignatureFuture");
    site.assert_nothing_written();
    site.clock.advance_micros(1);
    assert_eq!(site.post(Some(&genuine), body).await, booked());
}

#[tokio::test]
async fn a_body_that_is_no_event_writes_nothing() {
    let site = Site::new();
    for body in ["", "{", "[]", r#"{"id":"evt_1"}"#] {
        let answer = site.post(Some(&signature(body.as_bytes())), body).await;
        assert_error(&answer, StatusCode::BAD_REQUEST, "EventMalformed");
    }
    site.assert_nothing_written();
}

#[tokio::test]
async fn a_payment_that_cannot_be_booked_is_refused_and_told_the_operator_once() {
    for (event, code, owner) in [
        (session("evt_1", "pi_1", "4711", 1_000), "AccountUnknown", None),
        (session("evt_1", "pi_1", "seven", 1_000), "AccountMalformed", None),
        (session("evt_1", "pi_1", "", 1_000), "AccountMissing", None),
        (session("evt_1", "pi_1", "7001", 0), "AmountInvalid", Some(7001)),
        (session("evt_1", "pi_1", "7001", -5), "AmountInvalid", Some(7001)),
        (session("evt_1", "pi_1", "7001", i64::MAX), "AmountTooLarge", Some(7001)),
        (session("evt_1", "pi_1", "7001", 100_000_001), "AmountTooLarge", Some(7001)),
    ] {
        let site = Site::new();
        for _ in 0..3 {
            assert_error(&site.send(&event).await, StatusCode::UNPROCESSABLE_ENTITY, code);
        }
        assert!(site.store.booked.lock().unwrap().is_empty());
        let entries = site.entries();
        assert_eq!(entries.len(), 1, "{code}");
        let (account_id, action, detail) = &entries[0];
        assert_eq!((*account_id, action.as_str()), (owner, "payment.refused"), "{code}");
        assert!(detail.contains("pi_1") && detail.contains("evt_1"), "{detail}");
    }
}

#[tokio::test]
async fn a_payment_is_booked_once_its_account_exists() {
    let site = Site::new();
    let event = session("evt_1", "pi_1", "4711", 1_000);
    assert_error(&site.send(&event).await, StatusCode::UNPROCESSABLE_ENTITY, "AccountUnknown");
    *site.store.opened_later.lock().unwrap() = true;
    assert_eq!(site.send(&event).await, booked());
    assert_eq!(site.balance(LATER), 10_000_000);
}

#[tokio::test]
async fn a_payment_in_another_currency_is_refused() {
    let site = Site::new();
    let mut event = session("evt_1", "pi_1", "7001", 1_000);
    event["data"]["object"]["currency"] = json!("eur");
    let answer = site.send(&event).await;
    assert_error(&answer, StatusCode::UNPROCESSABLE_ENTITY, "CurrencyMismatch");
    assert_eq!(site.entries()[0].0, Some(7001));
    assert_eq!(site.balance(7001), 0);
}

#[tokio::test]
async fn money_that_goes_back_is_noted_once_and_not_booked() {
    let site = Site::new();
    let refund = event(
        "evt_5",
        "charge.refunded",
        json!({ "id": "ch_1", "amount_refunded": 1_000, "currency": "usd", "payment_intent": "pi_1",
                "metadata": { "account_id": "7001" } }),
    );
    let dispute = event(
        "evt_6",
        "charge.dispute.created",
        json!({ "id": "du_1", "charge": "ch_1", "amount": 1_000, "currency": "usd", "payment_intent": "pi_1" }),
    );
    for event in [&refund, &dispute, &refund, &dispute] {
        assert_not_booked(&site.send(event).await, "10.00 USD");
    }
    let entries = site.entries();
    let noted: Vec<_> = entries.iter().map(|(account, action, _)| (*account, action.as_str())).collect();
    assert_eq!(noted, [(Some(7001), "payment.refunded"), (None, "payment.disputed")]);
    assert!(entries[0].2.contains("evt_5"), "{}", entries[0].2);
    assert_eq!(site.balance(7001), 0);
}

#[tokio::test]
async fn an_intent_without_an_account_is_noted_and_its_session_is_booked() {
    let site = Site::new();
    assert_not_booked(&site.send(&intent("evt_2", "pi_1", json!({}))).await, "names no account");
    assert_eq!(site.entries()[0].1, "payment.unclaimed");
    assert_eq!(site.send(&session("evt_1", "pi_1", "7001", 1_000)).await, booked());
}

#[tokio::test]
async fn other_events_are_taken_and_not_booked() {
    let site = Site::new();
    assert_not_booked(&site.send(&event("evt_9", "customer.created", json!({}))).await, "customer.created");
    site.assert_nothing_written();
    assert_eq!(site.metrics.count("stripe", "ignored"), 1);
}

#[tokio::test]
async fn a_store_that_fails_makes_the_provider_try_again() {
    let site = Site::new();
    let paid = session("evt_1", "pi_1", "7001", 1_000);
    let refused = session("evt_2", "pi_2", "seven", 1_000);
    *site.store.failing.lock().unwrap() = true;
    for event in [&paid, &refused] {
        let answer = site.send(event).await;
        assert_error(&answer, StatusCode::SERVICE_UNAVAILABLE, "StoreUnavailable");
        assert!(!answer.1.to_string().contains("disk"), "what failed is for the log");
    }
    *site.store.failing.lock().unwrap() = false;
    assert_eq!(site.send(&paid).await, booked());
    assert_error(&site.send(&refused).await, StatusCode::UNPROCESSABLE_ENTITY, "AccountMalformed");
    assert_eq!((site.balance(7001), site.entries().len()), (10_000_000, 1));
}

#[tokio::test]
async fn without_a_secret_nothing_is_received() {
    let site = Site::with_secrets(&[]);
    let event = session("evt_1", "pi_1", "7001", 1_000);
    assert_error(&site.send(&event).await, StatusCode::NOT_FOUND, "PaymentNotConfigured");
    site.assert_nothing_written();
}

#[tokio::test]
async fn the_largest_body_is_read_and_a_larger_one_is_not() {
    let site = Site::new();
    let event = event("evt_9", "customer.created", json!({})).to_string();
    let padded = |bytes: usize| format!("{event}{}", " ".repeat(bytes - event.len()));
    let announced = |body: String| {
        let request = Request::post("/webhooks/stripe")
            .header("content-length", body.len())
            .header("stripe-signature", signature(body.as_bytes()));
        site.call(request.body(Body::from(body)).unwrap())
    };
    let chunked = |body: String| {
        let request =
            Request::post("/webhooks/stripe").header("stripe-signature", signature(body.as_bytes()));
        let pieces: Vec<_> =
            body.as_bytes().chunks(4_096).map(|piece| Ok::<_, Infallible>(piece.to_vec())).collect();
        site.call(request.body(Body::from_stream(futures::stream::iter(pieces))).unwrap())
    };
    let (largest, larger) = (padded(BODY_BYTES_MAX), padded(BODY_BYTES_MAX + 1));
    assert_eq!(announced(largest.clone()).await.0, StatusCode::OK);
    assert_eq!(chunked(largest).await.0, StatusCode::OK);
    for (status, headers, body) in [announced(larger.clone()).await, chunked(larger).await] {
        assert_eq!(
            (status, headers["connection"].as_bytes()),
            (StatusCode::PAYLOAD_TOO_LARGE, &b"close"[..])
        );
        assert_error(&(status, serde_json::from_slice(&body).unwrap()), status, "RequestTooLarge");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_of_its_own() {
    let site = Site::new();
    let broken = Body::from_stream(futures::stream::iter([
        Ok(b"{\"id\"".to_vec()),
        Err(std::io::Error::other("connection reset")),
    ]));
    assert_error(&site.post(Some("t=1,v1=00"), broken).await, StatusCode::BAD_REQUEST, "BodyIncomplete");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let site = Site::with(&[SECRET], Duration::from_millis(20));
    let silent = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    assert_error(&site.post(Some("t=1,v1=00"), silent).await, StatusCode::REQUEST_TIMEOUT, "RequestTimeout");
}

#[tokio::test]
async fn events_beyond_what_memory_is_set_aside_for_are_to_be_sent_again() {
    let site = Site::with(&[SECRET], Duration::from_millis(20));
    let event = session("evt_1", "pi_1", "7001", 1_000);
    let all = site.payments.in_flight.clone().acquire_many_owned(EVENTS_IN_FLIGHT_MAX as u32).await.unwrap();
    assert_error(&site.send(&event).await, StatusCode::SERVICE_UNAVAILABLE, "TooManyEvents");
    site.assert_nothing_written();
    drop(all);
    assert_eq!(site.send(&event).await, booked());
}

#[tokio::test]
async fn the_apis_own_paths_are_not_disturbed() {
    let site = Site::new();
    for (method, path, expected) in [
        (Method::POST, "/", "api"),
        (Method::GET, "/", "api"),
        (Method::POST, "/webhooks", "api fallback"),
        (Method::POST, "/webhooks/other", "api fallback"),
        (Method::POST, "/webhooks/stripe/", "api fallback"),
    ] {
        let request = Request::builder().method(&method).uri(path).body(Body::empty()).unwrap();
        assert_eq!(site.call(request).await.2, expected, "{method} {path}");
    }
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let request = Request::builder().method(method).uri("/webhooks/stripe").body(Body::empty()).unwrap();
        let (status, headers, body) = site.call(request).await;
        assert_eq!((status, headers["allow"].as_bytes()), (StatusCode::METHOD_NOT_ALLOWED, &b"POST"[..]));
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["code"], "MethodNotAllowed");
    }
}
