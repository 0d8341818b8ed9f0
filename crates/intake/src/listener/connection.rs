//! One connection: read, ask the protocol, let the service answer, write.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicia_smtp::Reply;
use indicia_smtp::server::{Config, Event, Session};
use tokio::time::timeout;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::limits::HeldContent;
use super::wire::Wire;
use super::{Conversation, Service, Shared};

/// Octets read at once: a mail of common size, or a run of pipelined commands.
const READ_BYTES: usize = 16 * 1_024;

pub(crate) struct Connection<'a, S: Service> {
    shared: &'a Shared<S>,
    peer: IpAddr,
    session: Session,
    conversation: S::Conversation,
    /// Reused for every read and every write.
    input: Vec<u8>,
    output: Vec<u8>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    /// `stop` has ended, and must not be polled again.
    stopping: bool,
    /// When the connection or its latest message began or a message ended: what `message_timeout` counts from.
    progress_at: Instant,
    held: HeldContent,
}

enum Read {
    Octets(usize),
    End,
    Stop,
    Idle,
    TooSlow,
}

impl<'a, S: Service> Connection<'a, S> {
    pub(crate) fn new(shared: &'a Shared<S>, peer: IpAddr, config: Arc<Config>, tls_first: bool) -> Self {
        Connection {
            shared,
            peer,
            held: shared.content.share(config.size_bytes_max),
            session: Session::new(config, tls_first),
            conversation: shared.service.converse(peer),
            input: vec![0; READ_BYTES],
            output: Vec::new(),
            stop: Box::pin(shared.shutdown.clone().cancelled_owned()),
            stopping: false,
            progress_at: Instant::now(),
        }
    }

    /// Serves the connection to its end. An error is the network's, not the peer's: those are answered.
    pub(crate) async fn run(mut self, mut wire: Wire) -> io::Result<()> {
        self.session.greet();
        loop {
            while let Some(event) = self.session.next_event() {
                match event {
                    Event::StartTls => {
                        self.flush(&mut wire).await?;
                        wire = self.start_tls(wire).await?;
                    }
                    Event::Close => {
                        self.flush(&mut wire).await?;
                        wire.close().await;
                        return Ok(());
                    }
                    event => self.answer(event).await,
                }
            }
            if self.stopping && !self.session.is_in_transaction() {
                let text = "This server is shutting down; try again in a moment";
                self.session.close(Reply::enhanced(421, (4, 3, 2), text));
                continue;
            }
            if !self.session.is_in_transaction() {
                self.held.release();
            }
            self.flush(&mut wire).await?;
            match self.read(&mut wire).await? {
                Read::Octets(count) => self.receive(count),
                Read::End => return Ok(()),
                Read::Stop => self.stopping = true,
                Read::Idle => self.give_up("idle", self.shared.limits.idle_timeout, "Nothing came"),
                Read::TooSlow => {
                    self.give_up("slow", self.shared.limits.message_timeout, "No whole message came");
                }
            }
        }
    }

    /// Gives the protocol what was read, unless the connections together hold too much already.
    fn receive(&mut self, count: usize) {
        if self.session.is_in_transaction() && !self.held.grow(count) {
            self.shared.metrics.turned_away("content_full");
            let text = "Too much content is under way; try again later";
            return self.session.close(Reply::enhanced(421, (4, 3, 1), text));
        }
        self.session.receive(&self.input[..count]);
    }

    async fn answer(&mut self, event: Event) {
        let is_progress = matches!(event, Event::Mail { .. } | Event::Message(_));
        let is_end = matches!(event, Event::Message(_));
        self.conversation.answer(&mut self.session, event).await;
        if is_end {
            self.held.release();
        }
        if is_progress {
            self.progress_at = Instant::now();
        }
    }

    fn give_up(&mut self, reason: &'static str, after: Duration, what: &str) {
        self.shared.metrics.turned_away(reason);
        let text = format!("{what} within {} seconds; closing connection", after.as_secs());
        self.session.close(Reply::enhanced(421, (4, 4, 2), text));
    }

    async fn start_tls(&mut self, wire: Wire) -> io::Result<Wire> {
        // The protocol offers STARTTLS only where there is an acceptor.
        let Some(acceptor) = &self.shared.tls else { return Ok(wire) };
        let secured = wire.secured(acceptor, self.shared.limits.handshake_timeout).await;
        let secured = secured.inspect_err(|_| self.shared.metrics.turned_away("tls_failed"))?;
        let dropped_bytes = self.session.tls_established();
        self.conversation.forget();
        if dropped_bytes > 0 {
            tracing::warn!(
                peer = %self.peer, dropped_bytes,
                "dropped what a client sent in clear behind STARTTLS: a fault, or an attempt to inject commands"
            );
        }
        Ok(secured)
    }

    async fn flush(&mut self, wire: &mut Wire) -> io::Result<()> {
        if self.session.output().is_empty() {
            return Ok(());
        }
        self.session.take_output(&mut self.output);
        self.shared.metrics.count_replies(&self.output);
        let written = timeout(self.shared.limits.idle_timeout, wire.write_all(&self.output)).await;
        self.output.clear();
        written.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    async fn read(&mut self, wire: &mut Wire) -> io::Result<Read> {
        let limits = self.shared.limits;
        let stopping = self.stopping;
        let left = limits.message_timeout.saturating_sub(self.progress_at.elapsed());
        let wait = limits.idle_timeout.min(left);
        let octets = tokio::select! {
            biased;
            octets = timeout(wait, wire.read(&mut self.input)) => octets,
            () = self.stop.as_mut(), if !stopping => return Ok(Read::Stop),
        };
        Ok(match octets {
            Ok(octets) => match octets? {
                0 => Read::End,
                count => Read::Octets(count),
            },
            Err(_) if left <= limits.idle_timeout => Read::TooSlow,
            Err(_) => Read::Idle,
        })
    }
}
