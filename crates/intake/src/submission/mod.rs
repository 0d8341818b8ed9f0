//! SMTP submission: how senders' own programs hand mail in (dossier 6).
//!
//! | file | what it decides |
//! | --- | --- |
//! | `conversation` | the answers of one connection, in the order of the dialogue |
//! | `login` | whether user and password belong together, and how often anyone may guess |
//! | `senders` | whom MAIL FROM speaks for |
//! | `invalid` | which recipients a list refuses |
//! | `content` | whether the content can be sent, and what is added to it |
//! | `reply` | in which words all this is answered |
//!
//! The sockets are `listener`'s, the protocol is `indicia_smtp`'s, and 250 is said only after
//! [`Admission`] has committed.

mod content;
mod conversation;
mod invalid;
mod login;
mod metrics;
mod reply;
mod senders;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use indicia_smtp::Reply;
use indicia_smtp::server::{AuthOffer, Config};
use indicia_store::Store;
use indicia_store::admission::Admission;
use ipnet::IpNet;
use prometheus_client::registry::Registry;
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use crate::ip_guard::IpGuard;
use crate::listener::metrics::ListenerMetrics;
use crate::listener::{self, Service, Shared};
pub use crate::listener::{ConnectionLimits, Running, StartError};
use conversation::Conversation;
use invalid::RecipientLists;
pub use login::LoginLimits;
use login::Logins;
use metrics::SubmissionMetrics;
use senders::Senders;

/// The largest message: 15 MB as transmitted (dossier 6).
pub const SIZE_BYTES_MAX: u64 = 15 * 1_024 * 1_024;
/// Recipients of one message (dossier 6).
pub const RECIPIENTS_MAX: usize = 100;

/// When a password may come over a connection without TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainTextAuth {
    Never,
    /// From this machine itself, where nobody listens on the wire.
    #[default]
    Loopback,
    Always,
}

/// A network whose hosts need not log in (`[[submission.trusted]]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedRelay {
    pub network: IpNet,
    /// Who pays for what comes from there.
    pub account_id: i64,
    /// The sender address of everything that comes from there; without it MAIL FROM must be one of the account's.
    pub sender_address: Option<String>,
}

/// What a submission service is made of.
#[derive(Clone)]
pub struct SubmissionConfig {
    /// Our name in the greeting and in Received fields.
    pub hostname: String,
    /// Addresses that speak plain text and offer STARTTLS.
    pub listen: Vec<SocketAddr>,
    /// Addresses that speak TLS from the first octet.
    pub tls_listen: Vec<SocketAddr>,
    pub tls: Arc<ServerConfig>,
    pub size_bytes_max: u64,
    pub recipients_max: usize,
    pub plain_text_auth: PlainTextAuth,
    /// Where networks overlap, the smallest one counts.
    pub trusted: Vec<TrustedRelay>,
    pub connections: ConnectionLimits,
    pub logins: LoginLimits,
}

impl SubmissionConfig {
    /// The defaults, listening nowhere.
    pub fn new(hostname: impl Into<String>, tls: Arc<ServerConfig>) -> SubmissionConfig {
        SubmissionConfig {
            hostname: hostname.into(),
            listen: Vec::new(),
            tls_listen: Vec::new(),
            tls,
            size_bytes_max: SIZE_BYTES_MAX,
            recipients_max: RECIPIENTS_MAX,
            plain_text_auth: PlainTextAuth::default(),
            trusted: Vec::new(),
            connections: ConnectionLimits::default(),
            logins: LoginLimits::default(),
        }
    }
}

/// Why submission could not start.
#[derive(Debug, thiserror::Error)]
pub enum SubmissionStartError {
    #[error(transparent)]
    Listen(#[from] StartError),
    #[error("the system's source of randomness failed, so no login can be remembered safely")]
    Randomness,
}

/// What all connections share.
pub(crate) struct Desk {
    hostname: String,
    store: Store,
    admission: Admission,
    logins: Logins,
    senders: Senders,
    lists: RecipientLists,
    ip_guard: IpGuard,
    metrics: SubmissionMetrics,
    trusted: Vec<Arc<TrustedRelay>>,
    plain_text_auth: PlainTextAuth,
    protocol: ProtocolConfigs,
}

/// One protocol configuration for each kind of peer, made once.
struct ProtocolConfigs {
    client: Arc<Config>,
    client_in_clear: Arc<Config>,
    relay: Arc<Config>,
    relay_in_clear: Arc<Config>,
}

impl ProtocolConfigs {
    fn new(config: &SubmissionConfig) -> ProtocolConfigs {
        let of = |auth, auth_needs_tls| {
            Arc::new(Config {
                size_bytes_max: config.size_bytes_max,
                recipients_max: config.recipients_max,
                starttls: true,
                auth,
                auth_needs_tls,
                replies: reply::protocol_replies(config.size_bytes_max),
                ..Config::new(config.hostname.clone())
            })
        };
        ProtocolConfigs {
            client: of(AuthOffer::Required, true),
            client_in_clear: of(AuthOffer::Required, false),
            relay: of(AuthOffer::Optional, true),
            relay_in_clear: of(AuthOffer::Optional, false),
        }
    }
}

impl Desk {
    fn relay(&self, peer: IpAddr) -> Option<&Arc<TrustedRelay>> {
        let of_peer = self.trusted.iter().filter(|relay| relay.network.contains(&peer));
        of_peer.max_by_key(|relay| relay.network.prefix_len())
    }

    fn authentication_required(&self) -> Reply {
        self.protocol.client.replies.authentication_required.clone()
    }
}

impl Service for Desk {
    type Conversation = Conversation;

    fn config(&self, peer: IpAddr) -> Arc<Config> {
        let in_clear = match self.plain_text_auth {
            PlainTextAuth::Never => false,
            PlainTextAuth::Loopback => peer.is_loopback(),
            PlainTextAuth::Always => true,
        };
        match (self.relay(peer).is_some(), in_clear) {
            (false, false) => &self.protocol.client,
            (false, true) => &self.protocol.client_in_clear,
            (true, false) => &self.protocol.relay,
            (true, true) => &self.protocol.relay_in_clear,
        }
        .clone()
    }

    fn converse(self: &Arc<Self>, peer: IpAddr) -> Conversation {
        Conversation::new(self.clone(), peer, self.relay(peer).cloned())
    }
}

/// Starts the service. Every address is bound when this returns; it stops, as `listener` says, when
/// `shutdown` is cancelled. Metrics are registered as `indicia_submission_*`.
pub async fn start(
    config: SubmissionConfig,
    store: Store,
    admission: Admission,
    registry: &mut Registry,
    shutdown: CancellationToken,
) -> Result<Running, SubmissionStartError> {
    let logins = Logins::new(store.clone(), config.logins).map_err(|_| SubmissionStartError::Randomness)?;
    let (metrics, connections) = (SubmissionMetrics::default(), ListenerMetrics::default());
    let registry = registry.sub_registry_with_prefix("indicia_submission");
    metrics.register(registry);
    connections.register(registry);
    let protocol = ProtocolConfigs::new(&config);
    let desk = Desk {
        hostname: config.hostname,
        admission,
        logins,
        senders: Senders::new(store.clone()),
        lists: RecipientLists::new(store.clone()),
        ip_guard: IpGuard::new(store.clone()),
        store,
        metrics,
        trusted: config.trusted.into_iter().map(Arc::new).collect(),
        plain_text_auth: config.plain_text_auth,
        protocol,
    };
    let shared = Shared::new(desk, Some(config.tls), config.connections, connections, shutdown);
    Ok(listener::start(shared, &config.listen, &config.tls_listen).await?)
}
