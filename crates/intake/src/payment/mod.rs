//! Top-up by a payment provider: signed webhooks that put money on an account.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`adapter`] | what every provider's adapter gives: a verified event in words that no provider owns |
//! | [`stripe`] | the adapter for Stripe: signature, events, currencies |
//! | `receive` | one webhook's way: body, adapter, booking, answer |
//! | [`booking`] | what it does to the store |
//! | [`metrics`] | what is counted |
//!
//! Whether a payment counts once is not decided here but by the store, which keeps the event's and the payment's id
//! with the ledger line: webhooks come twice, out of order, to several nodes at once, and again after an answer that
//! got lost.

pub mod adapter;
pub mod booking;
pub mod metrics;
mod receive;
pub mod stripe;

#[cfg(test)]
mod store_tests;
#[cfg(test)]
mod stripe_tests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use indicia_domain::time::Clock;
use tokio::sync::Semaphore;

use adapter::PaymentProvider;
use booking::{NotedEvents, TopUps};
use metrics::PaymentMetrics;
use stripe::Stripe;

/// How many webhooks may be in memory at once, with at most [`receive::BODY_BYTES_MAX`] each.
const EVENTS_IN_FLIGHT_MAX: usize = 64;
/// A tolerance beyond a day would let a captured event be replayed for as long as its secret lives.
const TOLERANCE_SECONDS_MAX: i64 = 86_400;
/// The shortest secret that is taken. Stripe's have some 38 characters; whoever can guess one can print money.
const SECRET_BYTES_MIN: usize = 16;

/// What an operator sets about payments.
#[derive(Clone)]
pub struct PaymentSettings {
    /// The site's currency, three letters of ISO 4217 in any case.
    pub currency: String,
    /// Stripe's signing secrets (`whsec_…`), one for each endpoint; two while one is being replaced. None: Stripe's
    /// webhooks are not received.
    pub secrets: Vec<String>,
    /// How far the time of a signature may be from now, either way.
    pub tolerance_seconds: i64,
}

impl PaymentSettings {
    /// What Stripe's own libraries use.
    pub const TOLERANCE_SECONDS_DEFAULT: i64 = 300;

    /// Refuses what would be insecure or could never work.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.currency.len() != 3 || !self.currency.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(SettingsError::Currency(self.currency.clone()));
        }
        let unfit = |secret: &String| {
            secret.len() < SECRET_BYTES_MIN || !secret.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if let Some(position) = self.secrets.iter().position(unfit) {
            return Err(SettingsError::Secret { number: position + 1 });
        }
        if !(1..=TOLERANCE_SECONDS_MAX).contains(&self.tolerance_seconds) {
            return Err(SettingsError::Tolerance { seconds: self.tolerance_seconds });
        }
        Ok(())
    }
}

impl fmt::Debug for PaymentSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentSettings")
            .field("currency", &self.currency)
            .field("secrets", &format_args!("{} kept to itself", self.secrets.len()))
            .field("tolerance_seconds", &self.tolerance_seconds)
            .finish()
    }
}

/// Why settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("'{0}' is no currency for payments; write three letters of ISO 4217, such as USD")]
    Currency(String),
    #[error(
        "signing secret {number} cannot be one: it has fewer than {SECRET_BYTES_MIN} characters, or one that is not \
         printable ASCII; copy it from the provider as it is (Stripe's begin with whsec_)"
    )]
    Secret { number: usize },
    #[error(
        "a tolerance of {seconds} seconds for signatures cannot be used; write 1 to {TOLERANCE_SECONDS_MAX}, best {best}",
        best = PaymentSettings::TOLERANCE_SECONDS_DEFAULT
    )]
    Tolerance { seconds: i64 },
}

/// What all webhooks share. Cheap to clone.
#[derive(Clone)]
pub struct PaymentState {
    inner: Arc<Payments>,
}

struct Payments {
    providers: Vec<Arc<dyn PaymentProvider>>,
    top_ups: Arc<dyn TopUps>,
    clock: Arc<dyn Clock>,
    metrics: PaymentMetrics,
    noted: NotedEvents,
    in_flight: Arc<Semaphore>,
    body_timeout: Duration,
}

impl PaymentState {
    /// With the providers that the product knows.
    pub fn new(
        top_ups: Arc<dyn TopUps>,
        settings: &PaymentSettings,
        clock: Arc<dyn Clock>,
        metrics: PaymentMetrics,
    ) -> Result<Self, SettingsError> {
        settings.check()?;
        Ok(Self::with_providers(vec![Arc::new(Stripe::new(settings))], top_ups, clock, metrics))
    }

    /// With these providers, each under a name of its own.
    pub fn with_providers(
        providers: Vec<Arc<dyn PaymentProvider>>,
        top_ups: Arc<dyn TopUps>,
        clock: Arc<dyn Clock>,
        metrics: PaymentMetrics,
    ) -> Self {
        let in_flight = Arc::new(Semaphore::new(EVENTS_IN_FLIGHT_MAX));
        let noted = NotedEvents::default();
        let body_timeout = receive::BODY_TIMEOUT;
        let payments = Payments { providers, top_ups, clock, metrics, noted, in_flight, body_timeout };
        PaymentState { inner: Arc::new(payments) }
    }
}

/// Serves `POST /webhooks/{provider}` and no other path, so that it can be merged into a router that has its own
/// fallback.
pub fn router(state: PaymentState) -> Router {
    let mut router = Router::new();
    for provider in &state.inner.providers {
        let door = receive::Door { payments: state.inner.clone(), provider: provider.clone() };
        let path = format!("/webhooks/{}", provider.name());
        router = router.route(&path, post(receive::receive).fallback(receive::not_post).with_state(door));
    }
    router
}
