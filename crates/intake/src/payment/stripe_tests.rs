//! Signatures made by another implementation, ages to the microsecond, and what each event means.

use axum::http::{HeaderMap, HeaderValue};
use hmac::{Hmac, KeyInit, Mac};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{SECOND_MICROS, UnixMicros};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;

use super::PaymentSettings;
use super::adapter::{
    EventContent, EventError, NotedAction, Payment, PaymentEvent, PaymentProvider, Refusal,
};
use super::stripe::Stripe;

const SECRET: &str = "whsec_test_secret_number_one";
const NEXT_SECRET: &str = "whsec_test_secret_number_two";
/// 2026-11-23T02:13:20Z.
const SIGNED_SECONDS: i64 = 1_795_400_000;
const NOW: UnixMicros = UnixMicros(SIGNED_SECONDS * SECOND_MICROS);

/// Headers and bodies as Stripe's own Python library signs them (stripe 16.1.0).
#[derive(Deserialize)]
struct Vector {
    name: String,
    secret: String,
    timestamp: i64,
    body: String,
    header: String,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("stripe_vectors.json")).unwrap()
}

fn stripe_in(currency: &str, secrets: &[&str]) -> Stripe {
    let secrets = secrets.iter().map(|secret| secret.to_string()).collect();
    let settings = PaymentSettings { currency: currency.to_owned(), secrets, tolerance_seconds: 300 };
    settings.check().unwrap();
    Stripe::new(&settings)
}

fn stripe() -> Stripe {
    stripe_in("USD", &[SECRET])
}

fn headers(signature: &str) -> HeaderMap {
    HeaderMap::from_iter([("stripe-signature".parse().unwrap(), HeaderValue::from_str(signature).unwrap())])
}

fn v1(secret: &str, seconds: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(seconds.as_bytes());
    mac.update(b".");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

fn signed(body: &[u8]) -> HeaderMap {
    let seconds = SIGNED_SECONDS.to_string();
    headers(&format!("t={seconds},v1={}", v1(SECRET, &seconds, body)))
}

fn event_of(kind: &str, object: Value) -> Value {
    json!({ "id": "evt_1", "object": "event", "livemode": true, "type": kind, "data": { "object": object } })
}

fn read_with(stripe: &Stripe, event: &Value) -> Result<PaymentEvent, EventError> {
    let body = event.to_string();
    stripe.event(&signed(body.as_bytes()), body.as_bytes(), NOW)
}

fn content_in(currency: &str, kind: &str, object: Value) -> EventContent {
    read_with(&stripe_in(currency, &[SECRET]), &event_of(kind, object)).unwrap().content
}

fn content(kind: &str, object: Value) -> EventContent {
    content_in("USD", kind, object)
}

fn session() -> Value {
    json!({
        "id": "cs_1", "object": "checkout.session", "amount_subtotal": 900, "amount_total": 1_050,
        "client_reference_id": "7001", "currency": "usd", "metadata": {}, "mode": "payment",
        "payment_intent": "pi_1", "payment_status": "paid",
    })
}

fn intent() -> Value {
    json!({
        "id": "pi_1", "object": "payment_intent", "amount": 2_000, "amount_received": 1_050, "currency": "usd",
        "metadata": { "account_id": "7001" }, "status": "succeeded",
    })
}

fn with(mut object: Value, field: &str, value: Value) -> Value {
    object[field] = value;
    object
}

fn refusal_of(content: EventContent) -> Refusal {
    match content {
        EventContent::Unbookable { refusal, .. } => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn amount_of(content: EventContent) -> MoneyMicros {
    match content {
        EventContent::Paid(payment) => payment.amount,
        other => panic!("not paid: {other:?}"),
    }
}

fn assert_ignored(content: EventContent, said: &str) {
    match content {
        EventContent::Ignored { reason } => assert!(reason.contains(said), "{reason}"),
        other => panic!("not ignored: {other:?}"),
    }
}

#[test]
fn signatures_of_stripes_own_library_are_accepted() {
    for vector in vectors() {
        let stripe = stripe_in("USD", &[&vector.secret]);
        let now = UnixMicros::from_seconds(vector.timestamp);
        let read = stripe.event(&headers(&vector.header), vector.body.as_bytes(), now);
        match vector.body.as_str() {
            // Past the signature, an empty body is no event.
            "" => assert!(matches!(read, Err(EventError::Malformed(_))), "{}: {read:?}", vector.name),
            _ => assert!(read.is_ok(), "{}: {read:?}", vector.name),
        }
    }
}

#[test]
fn a_changed_body_time_or_secret_fits_no_signature() {
    let mismatch = EventError::SignatureMismatch { header: "Stripe-Signature" };
    for vector in vectors() {
        let stripe = stripe_in("USD", &[&vector.secret]);
        let now = UnixMicros::from_seconds(vector.timestamp);
        let body = vector.body.as_bytes();
        for position in 0..body.len() {
            let mut changed = body.to_vec();
            changed[position] ^= 1;
            assert_eq!(stripe.event(&headers(&vector.header), &changed, now), Err(mismatch.clone()));
        }
        let longer = [body, b" "].concat();
        assert_eq!(stripe.event(&headers(&vector.header), &longer, now), Err(mismatch.clone()));
        let later = vector.header.replace("t=1795400000", "t=1795400001");
        assert_eq!(stripe.event(&headers(&later), body, now), Err(mismatch.clone()));
        let rewritten = vector.header.replace("t=1795400000", "t=01795400000");
        assert_eq!(stripe.event(&headers(&rewritten), body, now), Err(mismatch.clone()));
        let other = stripe_in("USD", &[NEXT_SECRET]);
        assert_eq!(other.event(&headers(&vector.header), body, now), Err(mismatch.clone()));
    }
}

#[test]
fn of_two_signatures_and_two_secrets_one_pair_is_enough() {
    let body = event_of("customer.created", json!({})).to_string();
    let seconds = SIGNED_SECONDS.to_string();
    let (first, second) = (v1(SECRET, &seconds, body.as_bytes()), v1(NEXT_SECRET, &seconds, body.as_bytes()));
    let wrong = "ab".repeat(32);
    let read = |stripe: &Stripe, header: String| stripe.event(&headers(&header), body.as_bytes(), NOW);
    for header in [
        format!("t={seconds},v1={wrong},v1={first}"),
        format!("t={seconds},v1={first},v1={wrong}"),
        format!("v1={first},t={seconds}"),
        format!("t={seconds}, v1={first}, v0={wrong}"),
        format!("t={seconds},v1=not-hexadecimal,v1={first}"),
        format!("t={seconds},v1={second},v1={first}"),
    ] {
        assert!(read(&stripe(), header.clone()).is_ok(), "{header}");
    }
    let rotating = stripe_in("USD", &[SECRET, NEXT_SECRET]);
    for signature in [&first, &second] {
        assert!(read(&rotating, format!("t={seconds},v1={signature}")).is_ok());
    }
    for header in [
        format!("t={seconds},v1={wrong},v1={second}"),
        format!("t={seconds},v1={},v0={first}", &first[..62]),
        format!("t={seconds},v1={first}00"),
    ] {
        let mismatch = EventError::SignatureMismatch { header: "Stripe-Signature" };
        assert_eq!(read(&stripe(), header), Err(mismatch));
    }
}

#[test]
fn a_header_that_cannot_be_read_is_refused() {
    let body = b"{}";
    let good = v1(SECRET, &SIGNED_SECONDS.to_string(), body);
    let many = format!(",v1={good}").repeat(17);
    for (header, said) in [
        ("".to_owned(), "no '='"),
        ("garbage".to_owned(), "no '='"),
        (format!("v1={good}"), "no time"),
        ("t=1795400000".to_owned(), "no signature"),
        (format!("t=1795400000,v0={good}"), "no signature"),
        ("t=1795400000,v1=zz".to_owned(), "no signature"),
        (format!("t=,v1={good}"), "whole number"),
        (format!("t=-5,v1={good}"), "whole number"),
        (format!("t=+1795400000,v1={good}"), "whole number"),
        (format!("t=1795400000.0,v1={good}"), "whole number"),
        (format!("t=99999999999999999999,v1={good}"), "whole number"),
        (format!("t=1,t=1795400000,v1={good}"), "more than one time"),
        (format!("t=1795400000{many}"), "too many"),
    ] {
        match stripe().event(&headers(&header), body, NOW) {
            Err(EventError::SignatureMalformed { reason, .. }) => {
                assert!(reason.contains(said), "{header}: {reason}")
            }
            other => panic!("{header}: {other:?}"),
        }
    }
    let none = stripe().event(&HeaderMap::new(), body, NOW);
    assert_eq!(none, Err(EventError::SignatureMissing { header: "Stripe-Signature" }));
    let mut twice = signed(body);
    twice.append("stripe-signature", twice["stripe-signature"].clone());
    assert!(matches!(stripe().event(&twice, body, NOW), Err(EventError::SignatureMalformed { .. })));
}

#[test]
fn a_signature_is_good_for_the_tolerance_to_the_microsecond() {
    let body = event_of("customer.created", json!({})).to_string();
    let at = |now: UnixMicros| stripe().event(&signed(body.as_bytes()), body.as_bytes(), now);
    for micros in [-300 * SECOND_MICROS, 0, 300 * SECOND_MICROS] {
        assert!(at(NOW.plus_micros(micros)).is_ok(), "{micros}");
    }
    let stale = EventError::SignatureStale { age_seconds: 301, tolerance_seconds: 300 };
    assert_eq!(at(NOW.plus_micros(300 * SECOND_MICROS + 1)), Err(stale.clone()));
    assert_eq!(at(NOW.plus_micros(301 * SECOND_MICROS)), Err(stale));
    let future = EventError::SignatureFuture { ahead_seconds: 301, tolerance_seconds: 300 };
    assert_eq!(at(NOW.plus_micros(-300 * SECOND_MICROS - 1)), Err(future.clone()));
    assert_eq!(at(NOW.plus_micros(-301 * SECOND_MICROS)), Err(future));
}

#[test]
fn times_at_the_ends_of_the_range_do_not_overflow() {
    let body = b"{}";
    for seconds in ["0", "9223372036854775807"] {
        let header = headers(&format!("t={seconds},v1={}", v1(SECRET, seconds, body)));
        for now in [UnixMicros(i64::MIN), UnixMicros(0), NOW, UnixMicros(i64::MAX)] {
            let read = stripe().event(&header, body, now);
            assert!(read.is_err(), "{seconds} at {now:?}");
        }
    }
}

#[test]
fn a_forged_event_is_not_told_whether_its_time_fits() {
    let body = b"{}";
    let header = headers(&format!("t=1,v1={}", "00".repeat(32)));
    let mismatch = EventError::SignatureMismatch { header: "Stripe-Signature" };
    assert_eq!(stripe().event(&header, body, NOW), Err(mismatch));
}

#[test]
fn what_is_signed_but_no_event_is_malformed() {
    for body in [
        "",
        "not json",
        "{",
        "[]",
        "null",
        "1",
        "{}",
        r#"{"id":"evt_1"}"#,
        r#"{"type":"customer.created"}"#,
        r#"{"id":"","type":"customer.created"}"#,
        r#"{"id":7,"type":"customer.created"}"#,
        r#"{"id":"evt 1","type":"customer.created"}"#,
        "{\"id\":\"evt_1\",\"type\":\"\u{0}\"",
    ] {
        let read = stripe().event(&signed(body.as_bytes()), body.as_bytes(), NOW);
        assert!(matches!(read, Err(EventError::Malformed(_))), "{body}: {read:?}");
    }
    let long_id = json!({ "id": "e".repeat(256), "type": "customer.created" });
    assert!(matches!(read_with(&stripe(), &long_id), Err(EventError::Malformed(_))));
    let not_utf8 = b"{\"id\":\"\xff\"}";
    assert!(matches!(stripe().event(&signed(not_utf8), not_utf8, NOW), Err(EventError::Malformed(_))));
}

#[test]
fn a_paid_session_and_its_intent_are_one_payment() {
    let paid = Payment {
        payment_reference: "pi_1".to_owned(),
        account_id: 7001,
        amount: MoneyMicros(10_500_000),
        memo: "Stripe payment pi_1 (event evt_1)".to_owned(),
    };
    for (kind, object) in [
        ("checkout.session.completed", session()),
        ("checkout.session.async_payment_succeeded", session()),
        ("checkout.session.completed", with(session(), "payment_intent", json!({ "id": "pi_1" }))),
        ("payment_intent.succeeded", intent()),
    ] {
        assert_eq!(content(kind, object), EventContent::Paid(paid.clone()), "{kind}");
    }
}

#[test]
fn a_session_without_an_intent_is_booked_under_its_own_id() {
    match content("checkout.session.completed", with(session(), "payment_intent", Value::Null)) {
        EventContent::Paid(payment) => assert_eq!(payment.payment_reference, "cs_1"),
        other => panic!("{other:?}"),
    }
    let nameless = with(with(session(), "payment_intent", Value::Null), "id", Value::Null);
    assert_eq!(refusal_of(content("checkout.session.completed", nameless)), Refusal::ReferenceMissing);
}

#[test]
fn a_session_that_is_not_paid_yet_books_nothing() {
    for status in ["unpaid", "no_payment_required", ""] {
        let object = with(session(), "payment_status", json!(status));
        assert_ignored(content("checkout.session.completed", object), "payment_status");
    }
}

#[test]
fn metadata_names_the_account_before_what_the_payer_can_set() {
    let object = with(session(), "metadata", json!({ "account_id": "8002" }));
    match content("checkout.session.completed", object) {
        EventContent::Paid(payment) => assert_eq!(payment.account_id, 8002),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_account_id_is_refused_not_guessed() {
    for account in ["seven", "+7001", " 7001", "7001 ", "70.01", "-1", "0", "9223372036854775808", "٧"] {
        let named = with(session(), "metadata", json!({ "account_id": account }));
        let refusal = refusal_of(content("checkout.session.completed", named));
        assert!(matches!(refusal, Refusal::AccountMalformed(_)), "{account}: {refusal:?}");
    }
    for empty in [Value::Null, json!("")] {
        let unnamed = with(session(), "client_reference_id", empty);
        let refusal = refusal_of(content("checkout.session.completed", unnamed));
        assert!(matches!(refusal, Refusal::AccountMissing(_)), "{refusal:?}");
    }
}

#[test]
fn an_intent_that_names_no_account_is_left_to_its_session() {
    for metadata in [json!({}), Value::Null, json!({ "order": "7001" })] {
        match content("payment_intent.succeeded", with(intent(), "metadata", metadata)) {
            EventContent::Noted { action: NotedAction::Unclaimed, account_id: None, reason } => {
                assert!(reason.contains("pi_1") && reason.contains("10.50 USD"), "{reason}")
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn amounts_are_whole_numbers_above_zero() {
    for (amount, code) in [
        (json!(1.5), "AmountInvalid"),
        (json!(100.0), "AmountInvalid"),
        (json!("100"), "AmountInvalid"),
        (json!(1e30), "AmountInvalid"),
        (json!(true), "AmountInvalid"),
        (Value::Null, "AmountInvalid"),
        (json!([100]), "AmountInvalid"),
        (json!(0), "AmountInvalid"),
        (json!(-1), "AmountInvalid"),
        (json!(i64::MIN), "AmountTooLarge"),
        (json!(i64::MAX), "AmountTooLarge"),
        (json!(u64::MAX), "AmountTooLarge"),
        (json!(i64::MAX / 10_000 + 1), "AmountTooLarge"),
    ] {
        for (kind, object, field) in [
            ("checkout.session.completed", session(), "amount_total"),
            ("payment_intent.succeeded", intent(), "amount_received"),
        ] {
            let refusal = refusal_of(content(kind, with(object, field, amount.clone())));
            assert_eq!(refusal.code(), code, "{field} {amount}: {refusal:?}");
        }
    }
    let raw = r#"{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":
        {"id":"pi_1","amount_received":1e30,"currency":"usd","metadata":{"account_id":"7001"}}}}"#;
    let read = stripe().event(&signed(raw.as_bytes()), raw.as_bytes(), NOW).unwrap();
    assert_eq!(refusal_of(read.content).code(), "AmountInvalid");
    let largest =
        content("payment_intent.succeeded", with(intent(), "amount_received", json!(i64::MAX / 10_000)));
    assert_eq!(amount_of(largest), MoneyMicros(i64::MAX / 10_000 * 10_000));
}

#[test]
fn the_smallest_unit_is_the_one_that_stripe_counts_in() {
    for (currency, amount, micros) in [
        ("usd", 1_050, 10_500_000),
        ("CNY", 1, 10_000),
        ("jpy", 500, 500_000_000),
        ("KRW", 1, 1_000_000),
        ("vnd", 20_000, 20_000_000_000),
        ("kwd", 5_120, 5_120_000),
        ("bhd", 10, 10_000),
        // Without decimals in ISO 4217, but "to charge 5, provide 500".
        ("isk", 500, 5_000_000),
        ("ugx", 500, 5_000_000),
        ("huf", 1_045, 10_450_000),
        ("twd", 80_000, 800_000_000),
    ] {
        let object = with(with(intent(), "currency", json!(currency)), "amount_received", json!(amount));
        let site = currency.to_ascii_uppercase();
        assert_eq!(amount_of(content_in(&site, "payment_intent.succeeded", object)).0, micros, "{currency}");
    }
}

#[test]
fn another_currency_than_the_sites_is_refused() {
    for currency in [json!("eur"), json!(""), Value::Null, json!(840)] {
        for (kind, object) in
            [("checkout.session.completed", session()), ("payment_intent.succeeded", intent())]
        {
            let refusal = refusal_of(content(kind, with(object, "currency", currency.clone())));
            assert_eq!(refusal.code(), "CurrencyMismatch", "{currency}");
        }
    }
}

#[test]
fn money_that_goes_back_is_noted_with_its_payment() {
    let charge = json!({
        "id": "ch_1", "object": "charge", "amount": 1_050, "amount_refunded": 250, "currency": "usd",
        "payment_intent": "pi_1", "metadata": { "account_id": "7001" },
    });
    let dispute = json!({
        "id": "du_1", "object": "dispute", "amount": 1_050, "charge": "ch_1", "currency": "usd",
        "payment_intent": "pi_1", "metadata": {}, "reason": "fraudulent",
    });
    for (kind, object, noted, account, money) in [
        ("charge.refunded", charge, NotedAction::Refunded, Some(7001), "2.50 USD"),
        ("charge.dispute.created", dispute, NotedAction::Disputed, None, "10.50 USD"),
    ] {
        match content(kind, object) {
            EventContent::Noted { action, account_id, reason } => {
                assert_eq!((action, account_id), (noted, account));
                for part in [money, "pi_1", "ch_1"] {
                    assert!(reason.contains(part), "{part}: {reason}");
                }
            }
            other => panic!("{other:?}"),
        }
    }
    match content("charge.refunded", json!({ "amount_refunded": 1.5 })) {
        EventContent::Noted { reason, .. } => assert!(reason.contains("1.5 (smallest units)"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn other_events_are_ignored() {
    for kind in [
        "customer.created",
        "invoice.paid",
        "checkout.session.expired",
        "checkout.session.async_payment_failed",
        "payment_intent.payment_failed",
        "payment_intent.amount_capturable_updated",
        "v2.core.event",
    ] {
        assert_ignored(content(kind, intent()), kind);
    }
    let long = "x".repeat(1_000) + "\n";
    let shown = read_with(&stripe(), &event_of(&long, json!({}))).unwrap().kind;
    assert_eq!(shown.chars().count(), 101);
}

#[test]
fn a_payment_to_a_connected_account_is_not_ours() {
    let event = with(event_of("checkout.session.completed", session()), "account", json!("acct_9"));
    assert_ignored(read_with(&stripe(), &event).unwrap().content, "acct_9");
}

#[test]
fn test_mode_shows_in_the_memo() {
    let event = with(event_of("payment_intent.succeeded", intent()), "livemode", json!(false));
    match read_with(&stripe(), &event).unwrap().content {
        EventContent::Paid(payment) => {
            assert_eq!(payment.memo, "Stripe payment pi_1 (test mode, event evt_1)")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn insecure_or_useless_settings_are_refused() {
    let good = PaymentSettings {
        currency: "cny".to_owned(),
        secrets: vec![SECRET.to_owned()],
        tolerance_seconds: PaymentSettings::TOLERANCE_SECONDS_DEFAULT,
    };
    assert_eq!(good.check(), Ok(()));
    assert!(!format!("{good:?}").contains(SECRET));
    for secret in ["", "whsec_short", "whsec_test secret number one", "whsec_test_secret_number_one\n"] {
        let bad = PaymentSettings { secrets: vec![SECRET.to_owned(), secret.to_owned()], ..good.clone() };
        assert!(bad.check().unwrap_err().to_string().contains("signing secret 2"), "{secret:?}");
    }
    for currency in ["", "US", "USDT", "U$D"] {
        assert!(PaymentSettings { currency: currency.to_owned(), ..good.clone() }.check().is_err());
    }
    for tolerance_seconds in [i64::MIN, -1, 0, 86_401] {
        assert!(PaymentSettings { tolerance_seconds, ..good.clone() }.check().is_err());
    }
}

proptest::proptest! {
    #[test]
    fn no_header_and_no_body_panics_or_pays(header in "[ -~]{0,80}", body in proptest::collection::vec(0u8.., 0..200)) {
        let read = stripe().event(&headers(&header), &body, NOW);
        proptest::prop_assert!(read.is_err());
    }

    #[test]
    fn no_signed_text_panics(kind in 0usize..5, object in ".{0,60}", key in "[a-z_]{0,20}") {
        let kinds = [
            "checkout.session.completed", "checkout.session.async_payment_succeeded", "payment_intent.succeeded",
            "charge.refunded", "charge.dispute.created",
        ];
        for object in [json!(object), json!({ key.clone(): object }), with(session(), &key, json!(object))] {
            let read = read_with(&stripe(), &event_of(kinds[kind], object));
            proptest::prop_assert!(read.is_ok());
        }
    }
}
