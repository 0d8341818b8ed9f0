//! Sockets around [`indicia_smtp::server::Session`]: what submission and bounce reception have in common.
//!
//! Each listener has one task that accepts, and each connection one task that reads, asks the protocol what to
//! do, lets the service answer, and writes. Nothing here knows what a mail is for; that is the service's
//! [`Conversation`]. Connections are bounded in number (over it: 421) and in time, and a stop lets messages in
//! flight finish: listening ends at once, a connection between two messages is told 421, one within a message is
//! told so after it, and what is left after the grace period is cut.

mod connection;
pub(crate) mod limits;
pub(crate) mod metrics;
mod wire;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use indicia_smtp::Reply;
use indicia_smtp::server::{Config, Event, Session};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use connection::Connection;
pub use limits::ConnectionLimits;
use limits::{ContentBudget, Full, Slot, Slots};
use metrics::ListenerMetrics;
use wire::Wire;

/// A pause after a failed accept: the usual cause, too many open files, does not go away in microseconds.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a listener offers to whom.
pub(crate) trait Service: Send + Sync + 'static {
    type Conversation: Conversation;

    /// What the protocol offers to this peer.
    fn config(&self, peer: IpAddr) -> Arc<Config>;

    /// A new connection's conversation.
    fn converse(self: &Arc<Self>, peer: IpAddr) -> Self::Conversation;
}

/// The answers of one connection.
pub(crate) trait Conversation: Send + 'static {
    /// Answers `event` (AUTH, MAIL, RCPT or a message) by accepting or rejecting it on `session`.
    fn answer(&mut self, session: &mut Session, event: Event) -> impl Future<Output = ()> + Send;

    /// TLS was established within the connection: what was learned before counts no more (RFC 3207 4.2).
    fn forget(&mut self);
}

/// Why a service could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}: {source}")]
    Bind { address: SocketAddr, source: std::io::Error },
    #[error("{address} is to speak TLS from the first octet, but no certificate is configured")]
    NoTls { address: SocketAddr },
}

/// A service that listens.
#[derive(Debug)]
pub struct Running {
    /// The listening addresses, in the order configured; a port 0 is resolved.
    pub addresses: Vec<SocketAddr>,
    /// Those that speak TLS from the first octet.
    pub tls_addresses: Vec<SocketAddr>,
    /// Ends when the service has stopped and its last connection is closed.
    pub task: JoinHandle<()>,
}

/// What all connections of a service share.
pub(crate) struct Shared<S> {
    service: Arc<S>,
    tls: Option<TlsAcceptor>,
    limits: ConnectionLimits,
    metrics: ListenerMetrics,
    shutdown: CancellationToken,
    content: ContentBudget,
}

impl<S> Shared<S> {
    pub(crate) fn new(
        service: S,
        tls: Option<Arc<ServerConfig>>,
        limits: ConnectionLimits,
        metrics: ListenerMetrics,
        shutdown: CancellationToken,
    ) -> Shared<S> {
        let content = ContentBudget::new(limits.content_bytes_max);
        Shared { service: Arc::new(service), tls: tls.map(Into::into), limits, metrics, shutdown, content }
    }
}

/// Binds every address, then serves until `shutdown`.
pub(crate) async fn start<S: Service>(
    shared: Shared<S>,
    listen: &[SocketAddr],
    tls_listen: &[SocketAddr],
) -> Result<Running, StartError> {
    if let (None, Some(address)) = (&shared.tls, tls_listen.first()) {
        return Err(StartError::NoTls { address: *address });
    }
    let (plain, addresses) = bind(listen).await?;
    let (secured, tls_addresses) = bind(tls_listen).await?;
    let slots = Slots::new(shared.limits);
    let shared = Arc::new(shared);
    let mut listeners = JoinSet::new();
    for (socket, tls_first) in plain
        .into_iter()
        .map(|socket| (socket, false))
        .chain(secured.into_iter().map(|socket| (socket, true)))
    {
        listeners.spawn(accept(socket, tls_first, slots.clone(), shared.clone()));
    }
    drop(shared);
    let task = tokio::spawn(async move { while listeners.join_next().await.is_some() {} });
    Ok(Running { addresses, tls_addresses, task })
}

async fn bind(addresses: &[SocketAddr]) -> Result<(Vec<TcpListener>, Vec<SocketAddr>), StartError> {
    let mut sockets = Vec::with_capacity(addresses.len());
    let mut bound = Vec::with_capacity(addresses.len());
    for &address in addresses {
        let failed = |source| StartError::Bind { address, source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        bound.push(socket.local_addr().map_err(failed)?);
        sockets.push(socket);
    }
    Ok((sockets, bound))
}

async fn accept<S: Service>(socket: TcpListener, tls_first: bool, slots: Slots, shared: Arc<Shared<S>>) {
    let mut connections = JoinSet::new();
    loop {
        while let Some(ended) = connections.try_join_next() {
            report(ended);
        }
        let accepted = tokio::select! {
            biased;
            () = shared.shutdown.cancelled() => break,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let peer = address.ip().to_canonical();
                match slots.take(peer) {
                    Ok(slot) => {
                        connections.spawn(serve(stream, peer, tls_first, slot, shared.clone()));
                    }
                    Err(full) => turn_away(&stream, peer, tls_first, full, &shared.metrics),
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(socket);
    let finish = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if timeout(shared.limits.grace, finish).await.is_err() {
        tracing::warn!(connections = connections.len(), "cut connections that did not finish in time");
        connections.shutdown().await;
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task failed; the connection was dropped");
    }
}

/// A few octets always fit into a new socket's buffer, so there is nothing to wait for. Under TLS there is no way
/// to say anything without a handshake, which is just the work that is being saved.
fn turn_away(stream: &TcpStream, peer: IpAddr, tls_first: bool, full: Full, metrics: &ListenerMetrics) {
    metrics.turned_away(full.name());
    tracing::info!(%peer, reason = full.name(), "turned a connection away");
    if tls_first {
        return;
    }
    let reply = match full {
        Full::Server => Reply::enhanced(421, (4, 3, 2), "Too many connections; try again later"),
        Full::Peer => {
            Reply::enhanced(421, (4, 7, 0), "Too many connections from your address; reuse or close them")
        }
    };
    let mut line = Vec::new();
    reply.write_to(&mut line);
    let _ = stream.try_write(&line);
}

async fn serve<S: Service>(
    stream: TcpStream,
    peer: IpAddr,
    tls_first: bool,
    slot: Slot,
    shared: Arc<Shared<S>>,
) {
    shared.metrics.connections.inc();
    shared.metrics.open_connections.inc();
    let open = OpenConnection { _slot: slot, metrics: shared.metrics.clone() };
    // Replies are small and waited for: held back to be sent together they would only cost time.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "TCP_NODELAY could not be set");
    }
    let wire = match (&shared.tls, tls_first) {
        (Some(acceptor), true) => {
            Wire::Plain(stream).secured(acceptor, shared.limits.handshake_timeout).await
        }
        _ => Ok(Wire::Plain(stream)),
    };
    match wire {
        Ok(wire) => {
            let config = shared.service.config(peer);
            if let Err(error) = Connection::new(&shared, peer, config, tls_first).run(wire).await {
                tracing::debug!(%peer, %error, "a connection broke");
            }
        }
        Err(error) => {
            shared.metrics.turned_away("tls_failed");
            tracing::debug!(%peer, %error, "a TLS handshake failed");
        }
    }
    drop(open);
}

/// Gives the place back and lowers the gauge however the connection's task ends.
struct OpenConnection {
    _slot: Slot,
    metrics: ListenerMetrics,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.metrics.open_connections.dec();
    }
}
