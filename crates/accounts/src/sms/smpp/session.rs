//! One session with a message centre: from the connection and the bind to the unbind.
//!
//! A task owns the connection. It writes what it is handed, matches answers to requests by sequence number, answers the
//! message centre's own requests, and asks with enquire_link after a silence. It ends when the peer unbinds or is
//! gone, when a PDU can not be framed, when a write or an answer to enquire_link takes longer than the response
//! time-out, and when a part stays unanswered for twice that time: a message centre that answers others but not
//! this one has forgotten it. Parts unanswered at the end are missing again, and the next attempt sends them.
//!
//! An answer that comes after its waiter has given up still counts: it is noted in the memory of the parts (`progress.rs`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use rusmpp::pdus::{DataSmResp, DeliverSmResp};
use rusmpp::{Command, CommandId, CommandStatus, Pdu};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_util::codec::FramedRead;

use super::config::{SmppConfig, WireConfig};
use super::frame::{Frame, FrameDecoder, encoded};
use super::pdu;
use super::progress::Flight;
use super::status::describe;
use crate::sms::SmsFailure;

/// Sequence numbers run from 1 to this, SMPP 3.4 section 3.2.
const SEQUENCE_MAX: u32 = 0x7FFF_FFFF;

/// How long the end of a session is put off for answers that are on their way.
const HEAR_OUT_MAX: Duration = Duration::from_millis(500);

/// The message centre's answer to one part.
pub(super) enum Answer {
    Taken(String),
    Refused(CommandStatus),
}

/// Why there was no answer.
pub(super) enum Unanswered {
    /// The session had ended before the part was given to it: nothing was sent.
    NotSent,
    TimedOut,
    SessionLost,
}

enum Request {
    Submit(Box<Pdu>, Pending),
    Unbind(oneshot::Sender<()>),
}

/// A part that waits for its answer. It keeps its place in the window until the answer or the session's end.
struct Pending {
    flight: Flight,
    waiter: oneshot::Sender<Answer>,
    since: Instant,
    _place: OwnedSemaphorePermit,
}

/// The way to the task that owns the connection.
pub(super) struct Session {
    requests: mpsc::Sender<Request>,
    window: Arc<Semaphore>,
    window_parts: u32,
    response_timeout: Duration,
}

impl Session {
    /// Connects and binds.
    pub async fn open(config: &SmppConfig, wire: &WireConfig) -> Result<Session, SmsFailure> {
        let address = config.address;
        let stream = timeout(config.connect_timeout, TcpStream::connect(address))
            .await
            .map_err(|_| SmsFailure::ConnectTimeout { address, timeout: config.connect_timeout })?
            .map_err(|source| SmsFailure::Connect { address, source })?;
        // Each PDU is a whole message that somebody waits for; without this the kernel may hold small ones back.
        stream.set_nodelay(true).map_err(|source| SmsFailure::Connect { address, source })?;
        let (read, write) = stream.into_split();
        let (requests, inbox) = mpsc::channel(config.window + 1);
        let mut link = Link {
            reader: FramedRead::new(read, FrameDecoder),
            writer: write,
            address: address.to_string(),
            response_timeout: config.response_timeout,
            enquire_link_interval: config.enquire_link_interval,
            sequence: 0,
            pending: HashMap::new(),
            heard: Instant::now(),
            probed: None,
        };
        match timeout(config.response_timeout, link.bind(pdu::bind(config.bind, wire))).await {
            Ok(Ok(CommandStatus::EsmeRok)) => {}
            Ok(Ok(status)) => return Err(SmsFailure::Bind { address, status: describe(status) }),
            Ok(Err(source)) => return Err(SmsFailure::Connect { address, source }),
            Err(_) => return Err(SmsFailure::ConnectTimeout { address, timeout: config.response_timeout }),
        }
        tracing::info!(address = link.address, system_id = config.system_id, "bound to the message centre");
        tokio::spawn(link.run(inbox));
        Ok(Session {
            requests,
            window: Arc::new(Semaphore::new(config.window)),
            window_parts: u32::try_from(config.window).unwrap_or(u32::MAX),
            response_timeout: config.response_timeout,
        })
    }

    pub fn is_open(&self) -> bool {
        !self.requests.is_closed()
    }

    /// Sends one part and waits for its answer, each within the response time-out.
    pub async fn submit(&self, pdu: Pdu, flight: Flight) -> Result<Answer, Unanswered> {
        // A window full of unanswered parts is the message centre's slowness, as is a late answer.
        let place = match timeout(self.response_timeout, self.window.clone().acquire_owned()).await {
            Ok(Ok(place)) => place,
            Ok(Err(_closed)) => return Err(Unanswered::NotSent),
            Err(_) => return Err(Unanswered::TimedOut),
        };
        let (waiter, answer) = oneshot::channel();
        let pending = Pending { flight, waiter, since: Instant::now(), _place: place };
        if self.requests.send(Request::Submit(Box::new(pdu), pending)).await.is_err() {
            return Err(Unanswered::NotSent);
        }
        match timeout(self.response_timeout, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_dropped)) => Err(Unanswered::SessionLost),
            Err(_) => Err(Unanswered::TimedOut),
        }
    }

    /// Lets what is on its way be answered, then unbinds; each within the response time-out.
    pub async fn close(&self) {
        if timeout(self.response_timeout, self.window.acquire_many(self.window_parts)).await.is_err() {
            tracing::warn!("parts of texts are still unanswered at the end of the session");
        }
        let (done, ended) = oneshot::channel();
        if self.requests.send(Request::Unbind(done)).await.is_ok() {
            // An end without a word is an end too.
            let _ = ended.await;
        }
    }
}

/// Why the task ends, besides having been asked to.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the message centre unbound")]
    Unbound,
    #[error("the message centre closed the connection")]
    Closed,
    #[error("{0}")]
    Frame(#[from] super::frame::FrameError),
    #[error("writing failed: {0}")]
    Write(#[from] std::io::Error),
    #[error("the message centre did not answer an enquire_link")]
    Silent,
    #[error("the message centre left part {} of text {} unanswered", .0.index + 1, .0.reference)]
    Forgotten(super::progress::PartKey),
    #[error("the message centre says that we are not bound")]
    NotBound,
}

/// The connection and what is expected of it.
struct Link {
    reader: FramedRead<OwnedReadHalf, FrameDecoder>,
    writer: OwnedWriteHalf,
    address: String,
    response_timeout: Duration,
    enquire_link_interval: Duration,
    sequence: u32,
    pending: HashMap<u32, Pending>,
    /// When anything was last heard.
    heard: Instant,
    /// When an enquire_link was sent after which nothing has been heard.
    probed: Option<Instant>,
}

impl Link {
    async fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        let end = loop {
            let deadline = self.deadline();
            let step = tokio::select! {
                frame = self.reader.next() => match frame {
                    Some(Ok(frame)) => self.hear(frame).await,
                    Some(Err(error)) => Err(error.into()),
                    None => Err(End::Closed),
                },
                request = inbox.recv() => match request {
                    Some(Request::Submit(pdu, pending)) => self.submit(*pdu, pending).await,
                    Some(Request::Unbind(done)) => {
                        self.unbind().await;
                        let _ = done.send(());
                        return;
                    }
                    None => {
                        self.unbind().await;
                        return;
                    }
                },
                () = tokio::time::sleep_until(deadline) => self.look_at_the_clock().await,
            };
            if let Err(end) = step {
                break end;
            }
        };
        // From here on, who comes finds the session ended, and opens another.
        inbox.close();
        self.hear_out().await;
        tracing::warn!(
            address = self.address,
            unanswered = self.pending.len(),
            reason = %end,
            "the session with the message centre ended; the next text opens another"
        );
    }

    /// Reads the answers that came before the end and were not read yet, above all when it was a write that
    /// failed: each of them is a part that need not be sent again.
    async fn hear_out(&mut self) {
        let limit = self.response_timeout.min(HEAR_OUT_MAX);
        let answers = async {
            while !self.pending.is_empty()
                && let Some(Ok(frame)) = self.reader.next().await
            {
                if frame.answers_a_part() && self.answered(&frame).is_err() {
                    break;
                }
            }
        };
        // Nothing to do at the time-out: what is unanswered then stays so.
        let _ = timeout(limit, answers).await;
    }

    /// Sends the bind and waits for the answer to it.
    async fn bind(&mut self, bind: Pdu) -> std::io::Result<CommandStatus> {
        let sequence = self.next_sequence();
        self.write(CommandStatus::EsmeRok, sequence, bind).await?;
        // Bounded by the caller's time-out.
        loop {
            match self.reader.next().await {
                Some(Ok(frame)) if !frame.is_request() && frame.sequence == sequence => {
                    self.heard = Instant::now();
                    return Ok(frame.status);
                }
                Some(Ok(frame)) => self.respond(&frame).await?,
                Some(Err(error)) => return Err(std::io::Error::other(error.to_string())),
                None => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    async fn submit(&mut self, pdu: Pdu, pending: Pending) -> Result<(), End> {
        let sequence = self.next_sequence();
        self.pending.insert(sequence, pending);
        Ok(self.write(CommandStatus::EsmeRok, sequence, pdu).await?)
    }

    async fn hear(&mut self, frame: Frame) -> Result<(), End> {
        self.heard = Instant::now();
        self.probed = None;
        match frame.id {
            _ if frame.answers_a_part() => return self.answered(&frame),
            CommandId::Unbind => {
                self.write(CommandStatus::EsmeRok, frame.sequence, Pdu::UnbindResp).await?;
                return Err(End::Unbound);
            }
            _ if frame.is_request() => self.respond(&frame).await?,
            _ => tracing::debug!(id = ?frame.id, "a response that needs nothing done"),
        }
        Ok(())
    }

    /// Answers a request of the message centre's. Receipts and incoming texts are acknowledged and dropped.
    async fn respond(&mut self, frame: &Frame) -> std::io::Result<()> {
        if !frame.is_request() {
            return Ok(());
        }
        let (status, answer) = match frame.id {
            CommandId::EnquireLink => (CommandStatus::EsmeRok, Pdu::EnquireLinkResp),
            CommandId::DeliverSm => (CommandStatus::EsmeRok, DeliverSmResp::default().into()),
            CommandId::DataSm => (CommandStatus::EsmeRok, DataSmResp::default().into()),
            // The two requests to which the standard has no answer.
            CommandId::AlertNotification | CommandId::Outbind => return Ok(()),
            _ => (CommandStatus::EsmeRinvcmdid, Pdu::GenericNack),
        };
        self.write(status, frame.sequence, answer).await
    }

    fn answered(&mut self, frame: &Frame) -> Result<(), End> {
        let Some(pending) = self.pending.remove(&frame.sequence) else {
            tracing::warn!(
                address = self.address,
                status = describe(frame.status),
                sequence = frame.sequence,
                "the message centre answers what was not asked"
            );
            return Ok(());
        };
        let taken = frame.id == CommandId::SubmitSmResp && frame.status == CommandStatus::EsmeRok;
        let answer = if taken {
            let id = frame.message_id();
            pending.flight.taken(&id);
            Answer::Taken(id)
        } else {
            // The part is to be free before its waiter hears of the refusal.
            drop(pending.flight);
            Answer::Refused(frame.status)
        };
        // A waiter that has given up needs no answer; what was taken is noted.
        let _ = pending.waiter.send(answer);
        if frame.status == CommandStatus::EsmeRinvbndsts { Err(End::NotBound) } else { Ok(()) }
    }

    /// When something is due even if nothing happens.
    fn deadline(&self) -> Instant {
        let link = match self.probed {
            Some(probed) => probed + self.response_timeout,
            None => self.heard + self.enquire_link_interval,
        };
        self.pending.values().map(|pending| self.forgotten_at(pending)).fold(link, Instant::min)
    }

    fn forgotten_at(&self, pending: &Pending) -> Instant {
        pending.since + 2 * self.response_timeout
    }

    async fn look_at_the_clock(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if let Some(forgotten) = self.pending.values().find(|pending| self.forgotten_at(pending) <= now) {
            return Err(End::Forgotten(forgotten.flight.key()));
        }
        match self.probed {
            Some(probed) if probed + self.response_timeout <= now => Err(End::Silent),
            Some(_) => Ok(()),
            None if self.heard + self.enquire_link_interval <= now => {
                self.probed = Some(now);
                let sequence = self.next_sequence();
                Ok(self.write(CommandStatus::EsmeRok, sequence, Pdu::EnquireLink).await?)
            }
            None => Ok(()),
        }
    }

    /// Says good-bye and waits for the answer, for the response time-out in all.
    async fn unbind(&mut self) {
        let (sequence, limit) = (self.next_sequence(), self.response_timeout);
        let farewell = async {
            self.write(CommandStatus::EsmeRok, sequence, Pdu::Unbind).await?;
            while let Some(Ok(frame)) = self.reader.next().await {
                if frame.id == CommandId::UnbindResp {
                    break;
                }
                if frame.is_request() {
                    self.respond(&frame).await?;
                } else if frame.answers_a_part() && self.answered(&frame).is_err() {
                    break;
                }
            }
            self.writer.shutdown().await
        };
        match timeout(limit, farewell).await {
            Ok(Ok(())) => tracing::info!("unbound from the message centre"),
            Ok(Err(error)) => tracing::debug!(%error, "the message centre was gone before the unbind"),
            Err(_) => tracing::warn!("the message centre did not answer the unbind"),
        }
    }

    /// Writes one PDU within the response time-out: a peer that does not read must not hold the task.
    async fn write(&mut self, status: CommandStatus, sequence: u32, pdu: Pdu) -> std::io::Result<()> {
        let octets = encoded(&Command::new(status, sequence, pdu))?;
        match timeout(self.response_timeout, self.writer.write_all(&octets)).await {
            Ok(result) => result,
            Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
        }
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = if self.sequence >= SEQUENCE_MAX { 1 } else { self.sequence + 1 };
        self.sequence
    }
}
