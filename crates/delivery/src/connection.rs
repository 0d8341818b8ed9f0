//! One SMTP connection to one remote host: the sockets and the clock around `indicia_smtp::client`.
//!
//! Every wire step has a time limit, that of RFC 5321 4.5.3.2 scaled by configuration. The limit runs from
//! the beginning of the step, not from the last octet, so that a peer which sends one octet a minute cannot
//! hold a connection for ever. Pipelined commands leave in one write.
//!
//! A connection that was opened with STARTTLS and failed in the handshake is dropped; the host is remembered
//! and spoken to in plain text on a new one.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

use indicia_domain::outcome::{Failure, Phase};
use indicia_smtp::client::{self, Event, Session, Transaction};

use crate::ending::{Ending, phase_of};
use crate::route::Candidate;
use crate::source::{LocalAddresses, SourceError, dedicated_socket};
use crate::tls::{Tls, TlsInfo};

/// Replies are short; one read takes those of a whole pipeline.
const READ_BYTES: usize = 4096;
/// After a failed write the peer's last words are awaited for this long: it often said why it hung up.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// QUIT is a courtesy and gets no more time than this.
const QUIT_TIMEOUT: Duration = Duration::from_secs(5);

/// How connections are made.
#[derive(Debug, Clone)]
pub struct WireSettings {
    /// The argument of EHLO.
    pub hello_name: String,
    /// Time for the TCP handshake.
    pub connect_timeout: Duration,
    /// Every time limit of RFC 5321 4.5.3.2, in thousandths of what it says there; 1,000 is the RFC's own.
    pub timeout_permille: u32,
    /// Local addresses to connect from, unless a mail has a dedicated one.
    pub local_addresses: LocalAddresses,
    /// Whether STARTTLS is used where it is offered.
    pub starttls: bool,
}

impl Default for WireSettings {
    fn default() -> WireSettings {
        WireSettings {
            hello_name: "localhost".to_owned(),
            connect_timeout: Duration::from_secs(30),
            timeout_permille: 1_000,
            local_addresses: LocalAddresses::default(),
            starttls: true,
        }
    }
}

impl WireSettings {
    fn limit(&self, phase: client::Phase) -> Duration {
        // At least a moment, so that a tiny share does not fail every connection at once.
        (phase.timeout() * self.timeout_permille / 1_000).max(Duration::from_millis(50))
    }
}

/// One mail for one recipient.
#[derive(Debug, Clone)]
pub struct Envelope {
    pub reverse_path: String,
    pub recipient: String,
    /// The message in consecutive chunks: the copy's own header field, the signature, then the stored content.
    pub content: Vec<Bytes>,
    /// Whether a header has text beyond ASCII (RFC 6532).
    pub smtputf8: bool,
}

/// Between which ends a connection runs, for the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    pub host: Arc<str>,
    pub remote: SocketAddr,
    pub local: Option<SocketAddr>,
    pub tls: Option<TlsInfo>,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Taken out for the handshake.
    Gone,
}

impl Wire {
    async fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.read(buffer).await,
            Wire::Tls(stream) => stream.read(buffer).await,
            Wire::Gone => Err(std::io::ErrorKind::NotConnected.into()),
        }
    }

    /// One write; TLS records are flushed, so that what was taken is on its way.
    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.write(bytes).await,
            Wire::Tls(stream) => {
                let count = stream.write(bytes).await?;
                stream.flush().await?;
                Ok(count)
            }
            Wire::Gone => Err(std::io::ErrorKind::NotConnected.into()),
        }
    }
}

/// Why the next event did not come.
enum Stall {
    TimedOut(client::Phase),
    Lost(client::Phase, String),
}

/// An open connection, greeted and ready for transactions.
pub struct Connection {
    wire: Wire,
    session: Session,
    buffer: Box<[u8; READ_BYTES]>,
    settings: Arc<WireSettings>,
    ends: Ends,
    peer: String,
    deliveries: u32,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("ends", &self.ends)
            .field("deliveries", &self.deliveries)
            .finish_non_exhaustive()
    }
}

/// Why no connection could be opened.
#[derive(Debug)]
pub enum OpenError {
    /// The last candidate's failure, with what is known of it.
    Failed(Ending, Option<Ends>),
    /// The dedicated local address cannot be sent from; a shared one may.
    Source(SourceError),
}

/// Why a connection could not be opened.
enum OpenFailure {
    /// The TLS handshake failed: plain text on a new connection may work.
    Handshake,
    Final(Ending),
    Source(SourceError),
}

impl Connection {
    /// Connects to the first candidate that answers: from the dedicated address `source`, to candidates of its family
    /// only; without one from a shared address. The error is the last candidate's.
    pub async fn open_any(
        candidates: &[Candidate],
        settings: &Arc<WireSettings>,
        tls: &Tls,
        source: Option<IpAddr>,
    ) -> Result<Connection, OpenError> {
        let fits =
            |candidate: &&Candidate| source.is_none_or(|ip| ip.is_ipv4() == candidate.address.is_ipv4());
        let mut last = match (candidates, source) {
            ([_, ..], Some(address)) => OpenError::Source(SourceError::NoneOfItsFamily { address }),
            _ => {
                let words = "451 4.4.3 no address to connect to";
                OpenError::Failed(Ending::from_failure(Phase::Dns, Failure::DnsUnavailable, words), None)
            }
        };
        for candidate in candidates.iter().filter(fits) {
            match Connection::open(candidate, settings, tls, source).await {
                Ok(connection) => return Ok(connection),
                Err(OpenError::Source(error)) => return Err(OpenError::Source(error)),
                Err(failed) => last = failed,
            }
        }
        Err(last)
    }

    /// Connects to one address, with STARTTLS where both sides can.
    pub async fn open(
        candidate: &Candidate,
        settings: &Arc<WireSettings>,
        tls: &Tls,
        source: Option<IpAddr>,
    ) -> Result<Connection, OpenError> {
        let mut try_tls = settings.starttls && tls.is_worth_trying(&candidate.host);
        loop {
            match Connection::try_open(candidate, settings, tls, try_tls, source).await {
                Ok(connection) => return Ok(connection),
                Err(OpenFailure::Final(ending)) => {
                    let ends = Ends {
                        host: candidate.host.clone(),
                        remote: candidate.address,
                        local: source.map(|address| SocketAddr::new(address, 0)),
                        tls: None,
                    };
                    return Err(OpenError::Failed(ending, Some(ends)));
                }
                Err(OpenFailure::Source(error)) => return Err(OpenError::Source(error)),
                // Without STARTTLS there is no handshake, hence no third round.
                Err(OpenFailure::Handshake) => {
                    tls.remember_failure(&candidate.host);
                    try_tls = false;
                }
            }
        }
    }

    async fn try_open(
        candidate: &Candidate,
        settings: &Arc<WireSettings>,
        tls: &Tls,
        try_tls: bool,
        source: Option<IpAddr>,
    ) -> Result<Connection, OpenFailure> {
        let stream = connect(candidate.address, settings, source).await?;
        let mut session = client::Config::new(settings.hello_name.clone());
        session.pipelining = true;
        let mut connection = Connection {
            ends: Ends {
                host: candidate.host.clone(),
                remote: candidate.address,
                local: stream.local_addr().ok(),
                tls: None,
            },
            peer: format!("{}[{}]", candidate.host, candidate.address),
            wire: Wire::Plain(stream),
            session: Session::new(session),
            buffer: Box::new([0; READ_BYTES]),
            settings: settings.clone(),
            deliveries: 0,
        };
        connection.become_ready(tls, try_tls).await?;
        Ok(connection)
    }

    /// Greeting, EHLO, and STARTTLS with a second EHLO.
    async fn become_ready(&mut self, tls: &Tls, try_tls: bool) -> Result<(), OpenFailure> {
        let mut tls_wanted = try_tls;
        loop {
            match self.event().await {
                Ok(Event::Greeted { .. }) => {}
                Ok(Event::Ready) => {
                    if !tls_wanted || !self.session.extensions().starttls || self.session.starttls().is_err()
                    {
                        return Ok(());
                    }
                    tls_wanted = false;
                }
                Ok(Event::TlsReady) => self.handshake(tls).await?,
                Ok(Event::TlsRefused { .. }) => return Ok(()),
                Ok(Event::Refused { phase, reply }) => {
                    let ending = Ending::from_reply(phase_of(phase), &reply);
                    self.close().await;
                    return Err(OpenFailure::Final(ending));
                }
                Ok(Event::Closed { reply: Some(reply) }) => {
                    return Err(OpenFailure::Final(Ending::from_reply(Phase::Greeting, &reply)));
                }
                Ok(Event::ProtocolError(error)) => {
                    let words = format!("451 4.5.0 {} broke the protocol: {error}", self.peer);
                    let failure = Failure::ProtocolError(Phase::Hello);
                    return Err(OpenFailure::Final(Ending::from_failure(Phase::Hello, failure, words)));
                }
                Ok(_) => {
                    let lost = Ending::lost(self.session.phase(), &self.peer, "the connection was closed");
                    return Err(OpenFailure::Final(lost));
                }
                Err(Stall::TimedOut(phase)) => {
                    return Err(OpenFailure::Final(Ending::timed_out(phase, &self.peer)));
                }
                Err(Stall::Lost(phase, reason)) => {
                    let said = self.last_reply();
                    let ending = said.unwrap_or_else(|| Ending::lost(phase, &self.peer, &reason));
                    return Err(OpenFailure::Final(ending));
                }
            }
        }
    }

    /// Why the server hung up, when it said so before our write failed.
    fn last_reply(&mut self) -> Option<Ending> {
        self.session.connection_lost();
        while let Some(event) = self.session.next_event() {
            match event {
                Event::Refused { phase, reply } => return Some(Ending::from_reply(phase_of(phase), &reply)),
                Event::Closed { reply } => {
                    return reply.map(|reply| Ending::from_reply(Phase::Greeting, &reply));
                }
                _ => {}
            }
        }
        None
    }

    async fn handshake(&mut self, tls: &Tls) -> Result<(), OpenFailure> {
        let Wire::Plain(stream) = std::mem::replace(&mut self.wire, Wire::Gone) else {
            return Err(OpenFailure::Handshake);
        };
        let limit = self.settings.limit(client::Phase::StartTls);
        match timeout(limit, tls.handshake(&self.ends.host, stream)).await {
            Ok(Ok((stream, info))) => {
                self.wire = Wire::Tls(Box::new(stream));
                self.ends.tls = Some(info);
                self.session.tls_established();
                Ok(())
            }
            Ok(Err(error)) => {
                tracing::debug!(peer = %self.peer, %error, "the TLS handshake failed; trying plain text");
                Err(OpenFailure::Handshake)
            }
            Err(_) => {
                tracing::debug!(peer = %self.peer, "the TLS handshake took too long; trying plain text");
                Err(OpenFailure::Handshake)
            }
        }
    }

    /// Between which ends the connection runs.
    pub fn ends(&self) -> &Ends {
        &self.ends
    }

    /// Transactions begun on this connection.
    pub fn deliveries(&self) -> u32 {
        self.deliveries
    }

    /// Sends one mail to its end: a reply, or the loss of the connection. The second value: whether the
    /// connection may be used again.
    pub async fn deliver(&mut self, envelope: Envelope) -> (Ending, bool) {
        self.deliveries += 1;
        let transaction = Transaction {
            reverse_path: envelope.reverse_path,
            recipients: vec![envelope.recipient],
            smtputf8: envelope.smtputf8,
            content: envelope.content,
        };
        match self.session.send(transaction) {
            Ok(()) => {}
            Err(client::CommandError::Address { address, error }) => {
                let words = format!("553 5.1.3 the address {address:?} cannot be sent: {error}");
                return (Ending::from_failure(Phase::Rcpt, Failure::BadRecipient, words), true);
            }
            Err(error) => {
                return (
                    Ending::from_failure(Phase::Mail, Failure::Internal, format!("451 4.3.0 {error}")),
                    false,
                );
            }
        }
        self.finish_transaction().await
    }

    async fn finish_transaction(&mut self) -> (Ending, bool) {
        let mut timed_out = None;
        let mut reason: Option<String> = None;
        loop {
            match self.event().await {
                Ok(Event::Finished(result)) => {
                    let Some(recipient) = result.recipients.first() else {
                        let words = "451 4.3.0 the SMTP session reported no recipient";
                        return (Ending::from_failure(Phase::Final, Failure::Internal, words), false);
                    };
                    let ending = match (&recipient.outcome, &reason) {
                        (client::Outcome::Interrupted { phase, error: None }, Some(reason)) => {
                            Ending::lost(*phase, &self.peer, reason)
                        }
                        (outcome, _) => Ending::from_outcome(outcome, timed_out, &self.peer),
                    };
                    return (ending, result.reusable);
                }
                Ok(Event::Closed { .. }) => {
                    let lost = Ending::lost(client::Phase::Closed, &self.peer, "the connection was closed");
                    return (lost, false);
                }
                Ok(_) => {}
                Err(Stall::TimedOut(phase)) => {
                    timed_out = Some(phase);
                    self.session.connection_lost();
                }
                Err(Stall::Lost(_, why)) => {
                    reason = Some(why);
                    self.session.connection_lost();
                }
            }
        }
    }

    /// Says QUIT, briefly, and hangs up.
    pub async fn close(&mut self) {
        if self.session.quit().is_err() {
            return;
        }
        let goodbye = async {
            while let Ok(event) = self.event().await {
                if matches!(event, Event::Closed { .. } | Event::ProtocolError(_)) {
                    break;
                }
            }
        };
        let _ = timeout(QUIT_TIMEOUT, goodbye).await;
    }

    /// Writes and reads until something has happened or the step's time is over.
    async fn event(&mut self) -> Result<Event, Stall> {
        let mut phase = self.session.phase();
        let mut deadline = Instant::now() + self.settings.limit(phase);
        loop {
            if let Some(event) = self.session.next_event() {
                return Ok(event);
            }
            if self.session.phase() != phase {
                phase = self.session.phase();
                deadline = Instant::now() + self.settings.limit(phase);
            }
            self.write_output(deadline).await?;
            if let Some(event) = self.session.next_event() {
                return Ok(event);
            }
            let waiting_in = self.session.phase();
            if waiting_in != phase {
                phase = waiting_in;
                deadline = Instant::now() + self.settings.limit(phase);
            }
            match timeout_at(deadline, self.wire.read(&mut self.buffer[..])).await {
                Ok(Ok(0)) => return Err(Stall::Lost(phase, "the remote closed the connection".to_owned())),
                Ok(Ok(count)) => self.session.receive(&self.buffer[..count]),
                Ok(Err(error)) => return Err(Stall::Lost(phase, error.to_string())),
                Err(_) => return Err(Stall::TimedOut(phase)),
            }
        }
    }

    /// Writes all that the session has to say. Content gets the time of a block for each write.
    async fn write_output(&mut self, deadline: Instant) -> Result<(), Stall> {
        let mut deadline = deadline;
        loop {
            let phase = self.session.phase();
            let output = self.session.output();
            if output.is_empty() {
                return Ok(());
            }
            match timeout_at(deadline, self.wire.write(output)).await {
                Ok(Ok(count)) if count > 0 => {
                    self.session.consume_output(count);
                    if phase == client::Phase::DataBlock {
                        deadline = Instant::now() + self.settings.limit(phase);
                    }
                }
                Ok(Ok(_)) => return Err(Stall::Lost(phase, "the connection takes no more data".to_owned())),
                Ok(Err(error)) => {
                    self.hear_last_words().await;
                    return Err(Stall::Lost(phase, error.to_string()));
                }
                Err(_) => return Err(Stall::TimedOut(phase)),
            }
        }
    }

    async fn hear_last_words(&mut self) {
        if let Ok(Ok(count)) = timeout(LAST_WORDS, self.wire.read(&mut self.buffer[..])).await {
            self.session.receive(&self.buffer[..count]);
        }
    }
}

async fn connect(
    address: SocketAddr,
    settings: &WireSettings,
    source: Option<IpAddr>,
) -> Result<TcpStream, OpenFailure> {
    let failed = |reason: String| {
        let words = format!("451 4.4.1 cannot connect to {address}: {reason}");
        OpenFailure::Final(Ending::from_failure(Phase::Connect, Failure::ConnectFailed, words))
    };
    let socket = match source {
        Some(source) => dedicated_socket(address, source).map_err(OpenFailure::Source)?,
        None => settings.local_addresses.socket(address).map_err(|error| failed(error.to_string()))?,
    };
    let stream = match timeout(settings.connect_timeout, socket.connect(address)).await {
        Ok(stream) => stream.map_err(|error| failed(error.to_string()))?,
        Err(_) => {
            let words =
                format!("451 4.4.1 {address} did not answer within {} s", settings.connect_timeout.as_secs());
            let failure = Failure::TimedOut(Phase::Connect);
            return Err(OpenFailure::Final(Ending::from_failure(Phase::Connect, failure, words)));
        }
    };
    stream.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
    Ok(stream)
}
