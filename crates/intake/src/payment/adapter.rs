//! What a payment provider's adapter turns a webhook into: a verified event in words that no provider owns.
//!
//! An adapter does three things and nothing else: it proves that the body comes from the provider, it reads the body,
//! and it says what that means for the site's money. It books nothing and answers nothing, so a new provider is one
//! file and its tests. There is one way from bytes to an event, [`PaymentProvider::event`], so that no event can be
//! read that was not verified.
//!
//! What is wrong with an event decides who has to act, and so where it is said:
//!
//! | | who can mend it | where |
//! | --- | --- | --- |
//! | not proven to be the provider's, or no event at all | who sent it | [`EventError`] |
//! | genuine, money was paid, but it cannot be booked | the operator | [`EventContent::Unbookable`] |
//! | genuine, nothing to book, but money moved | the operator, if anyone | [`EventContent::Noted`] |
//! | genuine, no business of ours | nobody | [`EventContent::Ignored`] |

use axum::http::HeaderMap;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::UnixMicros;

/// A provider whose webhooks are received at `POST /webhooks/{name}`.
pub trait PaymentProvider: Send + Sync + 'static {
    /// Lower-case letters: the end of the path, and under which the ledger keeps the provider's events. It never
    /// changes once payments were booked under it, or they could be booked again.
    fn name(&self) -> &'static str;

    /// Whether the operator has given what events are verified with. Without it nothing is received.
    fn is_configured(&self) -> bool;

    /// Verifies `body` as it came over the wire, then reads it. `now` is what the age of a signature is measured by.
    fn event(&self, headers: &HeaderMap, body: &[u8], now: UnixMicros) -> Result<PaymentEvent, EventError>;
}

/// One verified event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentEvent {
    /// The provider's id of the event: the same when it is delivered again.
    pub event_id: String,
    /// The provider's name of its kind, for logs.
    pub kind: String,
    pub content: EventContent,
}

/// What an event means here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventContent {
    /// Money came in for an account.
    Paid(Payment),
    /// Money came in, but it cannot be booked as it stands.
    Unbookable { payment_reference: Option<String>, account_id: Option<i64>, refusal: Refusal },
    /// Nothing is booked, but an operator should know: kept in the audit log.
    Noted { action: NotedAction, account_id: Option<i64>, reason: String },
    /// Nothing is booked, and nobody need know.
    Ignored { reason: String },
}

/// Money that came in for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The provider's id of the payment: the same in all events about it, so that it counts once.
    pub payment_reference: String,
    pub account_id: i64,
    /// More than zero, in the site's currency.
    pub amount: MoneyMicros,
    /// Shown on the ledger line.
    pub memo: String,
}

/// What is kept in the audit log without being booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotedAction {
    /// The provider paid money back to the payer.
    Refunded,
    /// The payer's bank asks for the money back.
    Disputed,
    /// Money came in for what may be no account here.
    Unclaimed,
}

impl NotedAction {
    /// The action's name in the audit log.
    pub fn as_str(self) -> &'static str {
        match self {
            NotedAction::Refunded => "payment.refunded",
            NotedAction::Disputed => "payment.disputed",
            NotedAction::Unclaimed => "payment.unclaimed",
        }
    }
}

/// Why a body is not taken as an event of the provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    #[error(
        "The header {header} is missing. Point the provider itself at this address; a proxy in between must pass the \
         header on."
    )]
    SignatureMissing { header: &'static str },
    #[error("The header {header} cannot be read: {reason}. It must be passed on as the provider sent it.")]
    SignatureMalformed { header: &'static str, reason: String },
    #[error(
        "No signature of the header {header} fits the body. Configure the signing secret of exactly this endpoint, and \
         let no proxy change the body."
    )]
    SignatureMismatch { header: &'static str },
    #[error(
        "The event was signed {age_seconds} seconds ago; at most {tolerance_seconds} are accepted. Send it again from \
         the provider, and check the clock of this machine."
    )]
    SignatureStale { age_seconds: i64, tolerance_seconds: i64 },
    #[error(
        "The event was signed {ahead_seconds} seconds in the future; at most {tolerance_seconds} are accepted. Check \
         the clock of this machine, then send it again from the provider."
    )]
    SignatureFuture { ahead_seconds: i64, tolerance_seconds: i64 },
    #[error(
        "The body is signed but is no event: {0}. Send events in the provider's full (snapshot) format as JSON."
    )]
    Malformed(String),
}

impl EventError {
    /// The error's code in the answer.
    pub fn code(&self) -> &'static str {
        match self {
            EventError::SignatureMissing { .. } => "SignatureMissing",
            EventError::SignatureMalformed { .. } => "SignatureMalformed",
            EventError::SignatureMismatch { .. } => "SignatureMismatch",
            EventError::SignatureStale { .. } => "SignatureStale",
            EventError::SignatureFuture { .. } => "SignatureFuture",
            EventError::Malformed(_) => "EventMalformed",
        }
    }
}

/// Why money that was paid is not booked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("it names no account in {0}; book it by hand, and let the payment page name the account")]
    AccountMissing(&'static str),
    #[error(
        "'{0}' is not an account id, which is a whole number in decimal digits; book it by hand, and correct the \
         payment page"
    )]
    AccountMalformed(String),
    #[error(
        "there is no account {0} here; book it by hand for the account that was meant, or send the event again once \
         the account exists"
    )]
    AccountUnknown(i64),
    #[error("it was paid in '{paid}', but accounts here are kept in {site}; pay it back or book it by hand")]
    OtherCurrency { paid: String, site: String },
    #[error(
        "{field} is {stated}, which is not a whole number of the currency's smallest unit; book it by hand"
    )]
    AmountMalformed { field: &'static str, stated: String },
    #[error(
        "{field} is {stated}, but only more than zero can be booked; look the payment up at the provider"
    )]
    AmountNotPositive { field: &'static str, stated: i64 },
    #[error("{stated} is more than an account can hold; pay it back, or book it by hand in parts")]
    AmountTooLarge { stated: String },
    #[error("it has no id of a payment to book it under; look it up at the provider")]
    ReferenceMissing,
    /// For a reason that the store gave as a sentence.
    #[error("{0}")]
    ByStore(String),
}

impl Refusal {
    /// The error's code in the answer.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::AccountMissing(_) => "AccountMissing",
            Refusal::AccountMalformed(_) => "AccountMalformed",
            Refusal::AccountUnknown(_) => "AccountUnknown",
            Refusal::OtherCurrency { .. } => "CurrencyMismatch",
            Refusal::AmountMalformed { .. } | Refusal::AmountNotPositive { .. } => "AmountInvalid",
            Refusal::AmountTooLarge { .. } => "AmountTooLarge",
            Refusal::ReferenceMissing => "PaymentReferenceMissing",
            Refusal::ByStore(_) => "PaymentRefused",
        }
    }
}

/// Texts of an event as they may be shown: one line, printable, at most 100 characters.
pub fn shown(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 100;
    let mut shown: String = text.chars().flat_map(char::escape_debug).take(SHOWN_CHARS_MAX).collect();
    if text.chars().flat_map(char::escape_debug).nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}
