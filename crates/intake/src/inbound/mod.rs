//! Reception of what comes back: delivery reports to the return path of a mail, and spam reports.
//!
//! Only return paths that we made and signed are known here, and one address for feedback loops. A report can only be
//! about the very mail whose return path it comes to, or whose signed token it brings back; nobody without one can
//! give us anything that counts. What a report says is recorded once ([`indicia_store::bounce`],
//! [`indicia_store::report`]); everything else that comes (automatic replies, mostly) is taken, counted and dropped.
//! Nothing is ever sent in answer, so that no loop can begin here.
//!
//! `abuse@` and `postmaster@` (RFC 2142) are for people, who must not be swallowed: they are refused as unknown, so
//! that whoever wants them read has them delivered elsewhere.

mod conversation;
mod feedback;
#[cfg(test)]
mod feedback_tests;
mod report;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use indicia_smtp::server::Config;
use indicia_store::Store;
use indicia_store::queue::MailKey;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use crate::listener::metrics::ListenerMetrics;
use crate::listener::{self, Service, Shared};
pub use crate::listener::{ConnectionLimits, Running, StartError};
use conversation::Conversation;

/// A report may bring the mail it is about back; most systems cut that to its header.
pub const SIZE_BYTES_MAX: u64 = 4 * 1_024 * 1_024;
/// A report is for one mail; a few are borne.
const RECIPIENTS_MAX: usize = 20;

/// Reads a return path: the mail it was made for, if it was made and signed by us. Gets the address without angle
/// brackets, or its local part alone, which is the token that stands in a header field; letter case does not matter.
pub type ReturnPaths = Arc<dyn Fn(&str) -> Option<MailKey> + Send + Sync>;

/// The local part, under the domain of return paths, of the address that operators register with feedback loops.
pub const FEEDBACK_LOCAL_PART: &str = "feedback";

/// What a reception of reports is made of.
#[derive(Clone)]
pub struct InboundConfig {
    /// Our name in the greeting.
    pub hostname: String,
    pub listen: Vec<SocketAddr>,
    /// Offers STARTTLS when given.
    pub tls: Option<Arc<ServerConfig>>,
    pub size_bytes_max: u64,
    pub connections: ConnectionLimits,
    /// The address that is registered with feedback loops; without one, reports come to return paths only.
    pub feedback_address: Option<String>,
}

impl InboundConfig {
    /// The defaults, listening nowhere: fewer connections than submission, since none of them has shown who it is.
    pub fn new(hostname: impl Into<String>) -> InboundConfig {
        InboundConfig {
            hostname: hostname.into(),
            listen: Vec::new(),
            tls: None,
            size_bytes_max: SIZE_BYTES_MAX,
            connections: ConnectionLimits {
                connections_max: 100,
                connections_per_peer_max: 20,
                message_timeout: Duration::from_secs(10 * 60),
                ..ConnectionLimits::default()
            },
            feedback_address: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

/// What all connections share.
pub(crate) struct Desk {
    store: Store,
    return_paths: ReturnPaths,
    feedback_address: Option<String>,
    protocol: Arc<Config>,
    messages: Family<ResultLabels, Counter>,
}

impl Desk {
    fn count(&self, result: &'static str) {
        self.messages.get_or_create(&ResultLabels { result }).inc();
    }
}

impl Service for Desk {
    type Conversation = Conversation;

    fn config(&self, _peer: IpAddr) -> Arc<Config> {
        self.protocol.clone()
    }

    fn converse(self: &Arc<Self>, peer: IpAddr) -> Conversation {
        Conversation::new(self.clone(), peer)
    }
}

/// Starts the service. Every address is bound when this returns; it stops, as `listener` says, when
/// `shutdown` is cancelled. Metrics are registered as `indicia_inbound_*`.
pub async fn start(
    config: InboundConfig,
    store: Store,
    return_paths: ReturnPaths,
    registry: &mut Registry,
    shutdown: CancellationToken,
) -> Result<Running, StartError> {
    let (messages, connections) = (Family::default(), ListenerMetrics::default());
    let registry = registry.sub_registry_with_prefix("indicia_inbound");
    registry.register(
        "messages",
        "Messages to return paths and from feedback loops, by what came of them",
        messages.clone(),
    );
    connections.register(registry);
    let protocol = Arc::new(Config {
        size_bytes_max: config.size_bytes_max,
        recipients_max: RECIPIENTS_MAX,
        starttls: config.tls.is_some(),
        ..Config::new(config.hostname)
    });
    let feedback_address = config.feedback_address.map(|address| address.to_ascii_lowercase());
    let desk = Desk { store, return_paths, feedback_address, protocol, messages };
    let shared = Shared::new(desk, config.tls, config.connections, connections, shutdown);
    listener::start(shared, &config.listen, &[]).await
}
