//! What operators' programs may do over HTTP: hand in spam reports that came another way than as feedback-loop mail
//! (a postmaster tool's export, a spreadsheet).
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`token`] | the bearer token that says which operator a program acts for |
//! | `reports` | `POST /operator/spam-reports` |
//! | [`metrics`] | what is counted |
//!
//! It stands on the API's address. A request is read only after its token was found good, so that nobody else's
//! octets are taken into memory.

pub mod metrics;
mod reports;
#[cfg(test)]
mod tests;
pub mod token;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use indicia_store::Store;
use tokio::sync::Semaphore;

use crate::inbound::ReturnPaths;
use metrics::OperatorMetrics;
use token::OperatorTokens;

/// The path of the API.
pub const SPAM_REPORTS_PATH: &str = "/operator/spam-reports";
/// Requests that may be in memory at once, of [`reports::BODY_BYTES_MAX`] each.
const REQUESTS_IN_FLIGHT_MAX: usize = 4;
/// How long a request may wait for room, and then take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What all requests share. Cheap to clone.
#[derive(Clone)]
pub struct OperatorState {
    inner: Arc<Office>,
}

struct Office {
    store: Store,
    return_paths: ReturnPaths,
    tokens: OperatorTokens,
    metrics: OperatorMetrics,
    in_flight: Semaphore,
}

impl OperatorState {
    /// `return_paths` reads the signed tokens of reports, as for [`crate::inbound`].
    pub fn new(
        store: Store,
        return_paths: ReturnPaths,
        tokens: OperatorTokens,
        metrics: OperatorMetrics,
    ) -> OperatorState {
        let in_flight = Semaphore::new(REQUESTS_IN_FLIGHT_MAX);
        OperatorState { inner: Arc::new(Office { store, return_paths, tokens, metrics, in_flight }) }
    }
}

/// Serves [`SPAM_REPORTS_PATH`].
pub fn router(state: OperatorState) -> Router {
    Router::new().route(SPAM_REPORTS_PATH, post(reports::receive)).with_state(state)
}
