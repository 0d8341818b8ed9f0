//! The HTTP API: DirectMail (2015-11-23) and BSS (2017-12-14) on one address.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`gateway`] | one request's way: body, parameters, signature, throttle, action, answer |
//! | `body` | how a request's body comes into memory, and no more of it than there is room for |
//! | [`protocol`] | the parts of that way: parameters, signatures, replay guard, errors, answers |
//! | [`actions`] | which action is whose: the table |
//! | [`directmail`], [`billing`] | the actions, one file for each resource |
//! | [`call`] | what an action is given: the authenticated caller, parameters, store |
//! | `peer` | from which address a call came |
//! | [`settings`] | what an operator can set |

pub mod actions;
pub mod billing;
mod body;
pub mod call;
pub mod directmail;
pub mod failure;
pub mod gateway;
pub mod metrics;
mod peer;
pub mod protocol;
pub mod settings;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::routing::any;
use indicia_store::Store;
use indicia_store::admission::Admission;
use tokio::sync::Semaphore;

use crate::ip_guard::IpGuard;
use directmail::dns::DomainDns;
use metrics::ApiMetrics;
use protocol::replay::ReplayGuard;
use protocol::throttle::Throttle;
use settings::ApiSettings;

/// What all calls share. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    inner: Arc<Api>,
}

/// See [`ApiState`].
pub struct Api {
    pub store: Store,
    pub admission: Admission,
    pub dns: Arc<dyn DomainDns>,
    pub settings: ApiSettings,
    pub metrics: ApiMetrics,
    ip_guard: IpGuard,
    throttle: Throttle,
    replay: ReplayGuard,
    /// KiB of request bodies that may still be taken into memory.
    body_kib: Arc<Semaphore>,
}

impl ApiState {
    pub fn new(
        store: Store,
        admission: Admission,
        dns: Arc<dyn DomainDns>,
        settings: ApiSettings,
        metrics: ApiMetrics,
    ) -> Self {
        let throttle = Throttle::new(&settings.throttle);
        let body_kib = Arc::new(Semaphore::new(settings.body_bytes_in_flight_max / 1024));
        let (ip_guard, replay) = (IpGuard::new(store.clone()), ReplayGuard::default());
        let api = Api { store, admission, dns, settings, metrics, ip_guard, throttle, replay, body_kib };
        ApiState { inner: Arc::new(api) }
    }
}

/// Serves `/`; any other path is answered in the protocol's own form. Serve it with
/// `into_make_service_with_connect_info::<SocketAddr>()`: IP protection must know where calls come from.
pub fn router(state: ApiState) -> Router {
    Router::new().route("/", any(gateway::serve)).fallback(gateway::no_such_path).with_state(state)
}
