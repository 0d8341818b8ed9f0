//! Stripe's webhooks.
//!
//! **Signature.** The header `Stripe-Signature` is `t=<Unix seconds>,v1=<hex>`, with one `v1` for each secret while one
//! is being replaced, and perhaps elements of other schemes (`v0` in test mode), which prove nothing and are passed
//! over. A `v1` is the HMAC-SHA256 of `<t>.<body>` under the endpoint's secret, whose text (`whsec_` included) is the
//! key as it stands. The signature is looked at before the age, so that only Stripe learns about our clock.
//!
//! **Payments.** A payment shows in up to two events: of the Checkout Session and of its PaymentIntent. Both have the
//! intent's id, which is therefore what a payment is booked under; a session without an intent (the first of a
//! subscription) is booked under its own. An intent that names no account is not refused: those that Checkout makes
//! carry the session's metadata only when the page's maker copied them, and the session's event books the payment.
//!
//! **Amounts** are whole numbers of the currency's smallest unit *as Stripe has it*, which differs from ISO 4217 for
//! ISK and UGX: those have no decimals, but "5" of them is sent as 500.
//!
//! Sources: docs.stripe.com/webhooks (signatures, retries), docs.stripe.com/currencies (zero-decimal, three-decimal
//! and special cases), docs.stripe.com/api for the objects.

use aws_lc_rs::hmac;
use axum::http::HeaderMap;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{SECOND_MICROS, UnixMicros};
use serde_json::Value;
use subtle::ConstantTimeEq;

use super::PaymentSettings;
use super::adapter::{
    EventContent, EventError, NotedAction, Payment, PaymentEvent, PaymentProvider, Refusal, shown,
};

const HEADER: &str = "Stripe-Signature";
/// Stripe sends one signature for each active secret, of which an endpoint has at most two.
const SIGNATURES_MAX: usize = 16;
/// Longer than any id of Stripe, and short enough for every column.
const ID_BYTES_MAX: usize = 255;

/// The adapter. See the module.
pub struct Stripe {
    keys: Vec<hmac::Key>,
    /// Upper case.
    currency: String,
    tolerance_seconds: i64,
}

impl Stripe {
    /// With settings that [`PaymentSettings::check`] has passed.
    pub fn new(settings: &PaymentSettings) -> Self {
        let key = |secret: &String| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        Stripe {
            keys: settings.secrets.iter().map(key).collect(),
            currency: settings.currency.to_ascii_uppercase(),
            tolerance_seconds: settings.tolerance_seconds,
        }
    }

    fn verify(&self, headers: &HeaderMap, body: &[u8], now: UnixMicros) -> Result<(), EventError> {
        let claim = read_claim(headers)?;
        let fits = self.keys.iter().any(|key| {
            let mut context = hmac::Context::with_key(key);
            context.update(claim.time.as_bytes());
            context.update(b".");
            context.update(body);
            let expected = context.sign();
            claim.signatures.iter().any(|signature| expected.as_ref().ct_eq(signature).into())
        });
        if !fits {
            return Err(EventError::SignatureMismatch { header: HEADER });
        }
        let age_micros = now.0.saturating_sub(UnixMicros::from_seconds(claim.seconds).0);
        let tolerance_seconds = self.tolerance_seconds;
        if age_micros > tolerance_seconds.saturating_mul(SECOND_MICROS) {
            let age_seconds = whole_seconds_up(age_micros);
            return Err(EventError::SignatureStale { age_seconds, tolerance_seconds });
        }
        let ahead_micros = age_micros.saturating_neg();
        if ahead_micros > tolerance_seconds.saturating_mul(SECOND_MICROS) {
            let ahead_seconds = whole_seconds_up(ahead_micros);
            return Err(EventError::SignatureFuture { ahead_seconds, tolerance_seconds });
        }
        Ok(())
    }

    fn content(&self, event_id: &str, kind: &str, event: &Value) -> EventContent {
        let object = &event["data"]["object"];
        let live = event["livemode"].as_bool().unwrap_or(true);
        if let Some(connected) = text(event, "account") {
            // Whoever owns a connected account names what they like in its payments, and has the money.
            return ignored(format!("it belongs to the connected account {}", shown(connected)));
        }
        match kind {
            "checkout.session.completed" if text(object, "payment_status") != Some("paid") => {
                ignored(format!(
                    "the session's payment_status is '{}'; money is booked once it is 'paid'",
                    shown(text(object, "payment_status").unwrap_or_default())
                ))
            }
            "checkout.session.completed" | "checkout.session.async_payment_succeeded" => {
                let reference = id_of(&object["payment_intent"]).or(id_of(&object["id"]));
                let account = account_of(object).or(text(object, "client_reference_id"));
                let amount = self.amount(object, "amount_total");
                let account = account.ok_or(Refusal::AccountMissing(
                    "metadata.account_id or client_reference_id of the Checkout Session",
                ));
                payment(event_id, live, reference, account, amount)
            }
            "payment_intent.succeeded" => match account_of(object) {
                Some(account) => {
                    let amount = self.amount(object, "amount_received");
                    payment(event_id, live, id_of(&object["id"]), Ok(account), amount)
                }
                None => unclaimed(object),
            },
            "charge.refunded" => returned(NotedAction::Refunded, object, "amount_refunded", "refunded"),
            "charge.dispute.created" => returned(NotedAction::Disputed, object, "amount", "disputed"),
            other => ignored(format!("events of the type '{}' book nothing here", shown(other))),
        }
    }

    /// The amount of a payment, which must be in the site's currency.
    fn amount(&self, object: &Value, field: &'static str) -> Result<MoneyMicros, Refusal> {
        let paid = text(object, "currency").unwrap_or_default();
        if !paid.eq_ignore_ascii_case(&self.currency) {
            return Err(Refusal::OtherCurrency { paid: shown(paid), site: self.currency.clone() });
        }
        let amount = read_amount(object, field)?;
        match amount.0 {
            1.. => Ok(amount),
            _ => {
                let stated = object[field].as_i64().unwrap_or_default();
                Err(Refusal::AmountNotPositive { field, stated })
            }
        }
    }
}

impl PaymentProvider for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn is_configured(&self) -> bool {
        !self.keys.is_empty()
    }

    fn event(&self, headers: &HeaderMap, body: &[u8], now: UnixMicros) -> Result<PaymentEvent, EventError> {
        self.verify(headers, body, now)?;
        let malformed = |reason: &str| EventError::Malformed(reason.to_owned());
        let event: Value = serde_json::from_slice(body)
            .map_err(|error| EventError::Malformed(format!("it is not JSON ({error})")))?;
        let event_id = id_of(&event["id"]).ok_or_else(|| malformed("it has no id"))?;
        let kind = text(&event, "type").ok_or_else(|| malformed("it has no type"))?;
        let content = self.content(&event_id, kind, &event);
        Ok(PaymentEvent { kind: shown(kind), event_id, content })
    }
}

/// What the header claims.
struct Claim<'a> {
    /// As written, which is how it was signed.
    time: &'a str,
    seconds: i64,
    signatures: Vec<Vec<u8>>,
}

fn read_claim(headers: &HeaderMap) -> Result<Claim<'_>, EventError> {
    let malformed =
        |reason: &str| EventError::SignatureMalformed { header: HEADER, reason: reason.to_owned() };
    let mut values = headers.get_all(HEADER).iter();
    let value = values.next().ok_or(EventError::SignatureMissing { header: HEADER })?;
    if values.next().is_some() {
        return Err(malformed("it is there more than once"));
    }
    let value = value.to_str().map_err(|_| malformed("it has bytes that are not printable ASCII"))?;
    let (mut time, mut signatures) = (None, Vec::new());
    for element in value.split(',') {
        let (scheme, content) =
            element.trim().split_once('=').ok_or_else(|| malformed("an element has no '='"))?;
        match scheme {
            "t" if time.is_some() => return Err(malformed("it has more than one time t")),
            "t" => time = Some(content),
            // One that is not hexadecimal fits no body; another may.
            "v1" => signatures.extend(hex::decode(content)),
            _ => {}
        }
        if signatures.len() > SIGNATURES_MAX {
            return Err(malformed("it has too many signatures v1"));
        }
    }
    let time = time.ok_or_else(|| malformed("it has no time t"))?;
    let digits = !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = time.parse().ok().filter(|_| digits);
    let seconds = seconds.ok_or_else(|| malformed("its time t is not a whole number of seconds"))?;
    if signatures.is_empty() {
        return Err(malformed("it has no signature v1"));
    }
    Ok(Claim { time, seconds, signatures })
}

/// Puts a payment together, or says what is wrong with it first.
fn payment(
    event_id: &str,
    live: bool,
    payment_reference: Option<String>,
    account: Result<&str, Refusal>,
    amount: Result<MoneyMicros, Refusal>,
) -> EventContent {
    let account_id = account.and_then(read_account);
    let known_account = account_id.as_ref().ok().copied();
    let parts = (|| {
        let reference = payment_reference.clone().ok_or(Refusal::ReferenceMissing)?;
        Ok((reference, account_id?, amount?))
    })();
    match parts {
        Ok((payment_reference, account_id, amount)) => {
            let test = if live { "" } else { "test mode, " };
            let memo = format!("Stripe payment {payment_reference} ({test}event {event_id})");
            EventContent::Paid(Payment { payment_reference, account_id, amount, memo })
        }
        Err(refusal) => EventContent::Unbookable { payment_reference, account_id: known_account, refusal },
    }
}

fn unclaimed(intent: &Value) -> EventContent {
    let reason = format!(
        "payment {} of {} names no account in metadata.account_id and was not booked by this event; if it was made by \
         Checkout, the session's event books it",
        id_of(&intent["id"]).unwrap_or_default(),
        money_text(intent, "amount_received"),
    );
    EventContent::Noted { action: NotedAction::Unclaimed, account_id: None, reason }
}

/// Money that goes back is for the operator to book: whether the account has spent it, and who bears a dispute, no
/// event says.
fn returned(
    action: NotedAction,
    object: &Value,
    amount_field: &'static str,
    what_happened: &str,
) -> EventContent {
    let reason = format!(
        "{} {what_happened} in all at Stripe for payment {} (charge {}); nothing was taken off the account: where it \
         should be, book an adjustment",
        money_text(object, amount_field),
        id_of(&object["payment_intent"]).unwrap_or_else(|| "unknown".to_owned()),
        id_of(&object["charge"]).or(id_of(&object["id"])).unwrap_or_else(|| "unknown".to_owned()),
    );
    let account_id = account_of(object).and_then(|account| read_account(account).ok());
    EventContent::Noted { action, account_id, reason }
}

fn ignored(reason: String) -> EventContent {
    EventContent::Ignored { reason }
}

/// A text field that is there and not empty.
fn text<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    object[field].as_str().filter(|text| !text.is_empty())
}

/// The account that the maker of the payment named.
fn account_of(object: &Value) -> Option<&str> {
    text(&object["metadata"], "account_id")
}

/// An id, as text or as the expanded object that has it.
fn id_of(value: &Value) -> Option<String> {
    let id = value.as_str().or_else(|| value["id"].as_str())?;
    let fits = (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| id.to_owned())
}

fn read_account(account: &str) -> Result<i64, Refusal> {
    let digits = account.bytes().all(|byte| byte.is_ascii_digit());
    let id = account.parse().ok().filter(|id| digits && *id > 0);
    id.ok_or_else(|| Refusal::AccountMalformed(shown(account)))
}

/// An amount in whichever currency the object has.
fn read_amount(object: &Value, field: &'static str) -> Result<MoneyMicros, Refusal> {
    let stated = &object[field];
    let too_large = || Refusal::AmountTooLarge { stated: shown(&stated.to_string()) };
    let minor = match stated.as_i64() {
        Some(minor) => minor,
        None if stated.is_u64() => return Err(too_large()),
        None => return Err(Refusal::AmountMalformed { field, stated: shown(&stated.to_string()) }),
    };
    let unit = minor_unit(text(object, "currency").unwrap_or_default());
    unit.checked_mul(minor).ok_or_else(too_large)
}

/// The unit in which Stripe counts amounts of a currency.
fn minor_unit(currency: &str) -> MoneyMicros {
    match currency.to_ascii_lowercase().as_str() {
        "bif" | "clp" | "djf" | "gnf" | "jpy" | "kmf" | "krw" | "mga" | "pyg" | "rwf" | "vnd" | "vuv"
        | "xaf" | "xof" | "xpf" => MoneyMicros(1_000_000),
        "bhd" | "jod" | "kwd" | "omr" | "tnd" => MoneyMicros(1_000),
        _ => MoneyMicros(10_000),
    }
}

/// An amount for people: `5.00 USD`, or what the event has in its place.
fn money_text(object: &Value, field: &'static str) -> String {
    let currency = shown(text(object, "currency").unwrap_or("unknown currency")).to_uppercase();
    match read_amount(object, field) {
        Ok(amount) => format!("{amount} {currency}"),
        Err(_) => format!("{} (smallest units) {currency}", shown(&object[field].to_string())),
    }
}

fn whole_seconds_up(micros: i64) -> i64 {
    micros.saturating_add(SECOND_MICROS - 1).div_euclid(SECOND_MICROS)
}
