//! A worker owns one connection to one site and sends what waits there, one mail after the other.
//!
//! It opens the connection when it has a mail to send, reuses it up to a number of transactions, keeps it
//! for a while when nothing waits, and ends with it. A mail leaves its hands with an outcome or goes back.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use indicia_domain::outcome::{Disposition, Failure, Phase};
use indicia_domain::time::UnixMicros;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::connection::{Connection, Ends, Envelope, OpenError};
use crate::ending::Ending;
use crate::hub::{Hub, Lease};
use crate::mail::{Item, Mail, Prepared, header_needs_utf8};
use crate::site::{Site, Work};
use crate::verp::{self, BounceToken};

/// Transactions after which a worker makes way while others wait for a connection.
const TURN: u32 = 100;
/// How long a mail waits for room for its content, with its connection and its worker.
const ROOM_WAIT: Duration = Duration::from_secs(2);

/// Works until nothing has waited for the idle time, the site fails, or the engine stops.
///
/// A panic below (in a parser, in TLS) ends this worker alone: the mail it had in hand is given back, and
/// the site is told, so that neither a lease nor a place among the site's connections is lost with it.
pub(crate) async fn run(hub: Arc<Hub>, site: Arc<Site>) {
    let mut worker = Worker { hub, site, connection: None, permit: None, in_hand: None };
    loop {
        match AssertUnwindSafe(worker.step()).catch_unwind().await {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) => return worker.bury(),
        }
    }
}

struct Worker {
    hub: Arc<Hub>,
    site: Arc<Site>,
    connection: Option<Connection>,
    permit: Option<OwnedSemaphorePermit>,
    /// The mail being worked on.
    in_hand: Option<Lease>,
}

/// Why a mail has no content to send.
enum Unprepared {
    NoRoom,
    Failed(String),
}

impl Worker {
    /// Cleans up after a panic.
    fn bury(mut self) {
        let Some(lease) = self.in_hand.take() else {
            tracing::error!(site = %self.site.name, "a delivery worker panicked between two mails");
            return;
        };
        let key = lease.key;
        tracing::error!(message_id = %key.message_id, account_id = key.account_id, site = %self.site.name,
            "a delivery worker panicked; its mail is given back");
        self.hub.give_back_lost(lease);
        self.drop_connection();
        let more = self.site.leave(false, self.hub.clock.now());
        self.hub.start_workers(&self.site, more);
    }

    /// One mail or one wait. `false`: the worker has signed off.
    async fn step(&mut self) -> bool {
        match self.site.next() {
            Work::Send(item) => {
                if self.hub.stopping.is_cancelled() {
                    self.hub.give_back(*item, self.hub.clock.now(), "the server is stopping");
                    return true;
                }
                if self.hub.is_stale(&item) {
                    return true;
                }
                let Some(item) = self.hub.unless_held(*item) else { return true };
                // However old it is: an attempt is made, and the retry schedule gives it up afterwards.
                self.in_hand = Some(Lease { key: item.key(), epoch: item.mail.epoch });
                let goes_on = self.send(item).await;
                self.in_hand = None;
                goes_on
            }
            Work::Wait => self.wait().await,
        }
    }

    async fn wait(&mut self) -> bool {
        let hub = self.hub.clone();
        let has_connection = self.connection.is_some();
        let is_pressed = hub.starved.load(Ordering::Relaxed) > 0;
        if has_connection && !is_pressed && !hub.stopping.is_cancelled() {
            let work = self.site.work.notified();
            tokio::select! {
                () = work => {
                    self.site.resume();
                    return true;
                }
                () = tokio::time::sleep(hub.config.idle_timeout) => {}
                () = hub.pressure.notified() => {}
                () = hub.stopping.cancelled() => {}
            }
        }
        if !self.site.retire(has_connection) {
            return true;
        }
        self.hang_up().await;
        false
    }

    async fn hang_up(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            connection.close().await;
            self.hub.metrics.connections_open.dec();
        }
        self.permit = None;
    }

    /// Drops the connection without a word; the site is told.
    fn drop_connection(&mut self) {
        if self.connection.take().is_some() {
            self.hub.metrics.connections_open.dec();
            self.site.disconnected();
        }
        self.permit = None;
    }

    /// Replaces a connection that has served its number of mails, or its turn while others wait.
    async fn refresh(&mut self) {
        let Some(connection) = &self.connection else { return };
        let served = connection.deliveries();
        let others_wait = self.hub.starved.load(Ordering::Relaxed) > 0;
        if served < self.hub.config.deliveries_per_connection_max && !(others_wait && served >= TURN) {
            return;
        }
        self.site.disconnected();
        self.hang_up().await;
    }

    async fn send(&mut self, item: Item) -> bool {
        let started_at = self.hub.clock.now();
        self.refresh().await;
        // The connection first: who waits for one must not sit on room that those with a connection wait for.
        if self.connection.is_none()
            && let Err(error) = self.connect().await
        {
            return self.unreachable(item, error, started_at);
        }
        let prepared = match self.prepare(&item.mail, started_at).await {
            Ok(prepared) => prepared,
            Err(Unprepared::NoRoom) => {
                self.hub.give_back_without_room(item);
                return true;
            }
            Err(Unprepared::Failed(reason)) => {
                tracing::error!(
                    message_id = %item.mail.message_id,
                    account_id = item.mail.account_id,
                    reason,
                    "the mail could not be prepared for sending"
                );
                let words = "451 4.3.0 the mail could not be prepared for sending; see the server's log";
                let ending = Ending::from_failure(Phase::Connect, Failure::Internal, words);
                self.hub.finish(item, ending, started_at, None, None);
                return true;
            }
        };
        let reverse_path = self.hub.verp.address(BounceToken {
            account_id: item.mail.account_id,
            message_id: item.mail.message_id,
            recipient_number: u32::try_from(item.number).unwrap_or(u32::MAX),
        });
        let envelope = Envelope {
            content: copy_of(&prepared, &reverse_path),
            reverse_path,
            recipient: item.address.clone(),
            smtputf8: prepared.smtputf8,
        };
        let goes_on = self.transact(item, envelope, started_at).await;
        drop(prepared);
        self.hub.window.content_unused();
        goes_on
    }

    /// Sends on the open connection or a new one. A connection that lay idle may have died meanwhile without
    /// our noticing: then, and only then, the same mail is tried once more on a fresh one.
    async fn transact(&mut self, item: Item, envelope: Envelope, started_at: UnixMicros) -> bool {
        loop {
            if self.connection.is_none()
                && let Err(error) = self.connect().await
            {
                return self.unreachable(item, error, started_at);
            }
            let Some(connection) = &mut self.connection else { return false };
            let first_use = connection.deliveries() == 0;
            let finished = tokio::select! {
                finished = connection.deliver(envelope.clone()) => Some(finished),
                () = self.hub.aborting.cancelled() => None,
            };
            let ends = connection.ends().clone();
            let Some((ending, reusable)) = finished else {
                self.drop_connection();
                self.hub.give_back(
                    item,
                    self.hub.clock.now(),
                    "the server stopped while the mail was being sent",
                );
                return true;
            };
            let died_idle = !first_use
                && ending.code.is_none_or(|code| code == 421)
                && ending.phase == Phase::Mail
                && !reusable;
            if !reusable {
                self.drop_connection();
            }
            if died_idle {
                continue;
            }
            self.conclude(item, ending, &ends, started_at, reusable);
            return true;
        }
    }

    fn conclude(&mut self, item: Item, ending: Ending, ends: &Ends, started_at: UnixMicros, reusable: bool) {
        self.site.ended(self.hub.clock.now());
        let is_break = !reusable && ending.verdict.disposition == Disposition::Temporary;
        if !is_break {
            self.site.works();
            self.hub.finish(item, ending, started_at, Some(ends), None);
        } else if self.site.broke() {
            let until = self.hub.hold(&self.site, &ending.words);
            self.hub.finish(item, ending, started_at, Some(ends), Some(until));
        } else {
            self.hub.finish(item, ending, started_at, Some(ends), None);
        }
    }

    /// The site could not be connected to: the end of this worker.
    fn unreachable(&mut self, item: Item, error: OpenError, started_at: UnixMicros) -> bool {
        self.permit = None;
        let hub = self.hub.clone();
        let now = hub.clock.now();
        let (ending, ends) = match error {
            OpenError::Failed(ending, ends) => (ending, ends),
            OpenError::Source(error) => {
                // With it all that waits for this address: nothing of it is tried here, and nothing is late.
                let waiting = std::iter::once(item).chain(self.site.drain()).collect();
                hub.go_shared(&self.site, &error, waiting);
                let more = self.site.leave(false, now);
                hub.start_workers(&self.site, more);
                return false;
            }
        };
        hub.metrics.count_connection_failure(ending.phase);
        if hub.stopping.is_cancelled() {
            hub.give_back(item, now, "the server is stopping");
        } else if let Err(item) = self.site.refused(item, now) {
            let until = hub.hold(&self.site, &ending.words);
            hub.finish(item, ending, started_at, ends.as_ref(), Some(until));
        }
        let more = self.site.leave(false, now);
        hub.start_workers(&self.site, more);
        false
    }

    async fn connect(&mut self) -> Result<(), OpenError> {
        let stopped = || {
            let words = "the server is stopping";
            OpenError::Failed(Ending::from_failure(Phase::Connect, Failure::ConnectFailed, words), None)
        };
        let hub = self.hub.clone();
        let opening = async {
            // The semaphores are never closed.
            let _probe = match self.site.is_suspect() {
                true => hub.probes.acquire().await.ok(),
                false => None,
            };
            let permit = self.permit().await;
            self.open().await.map(|connection| (connection, permit))
        };
        let (connection, permit) = tokio::select! {
            opened = opening => opened?,
            () = hub.stopping.cancelled() => return Err(stopped()),
        };
        self.permit = permit;
        self.connection = Some(connection);
        hub.metrics.connections_opened.inc();
        hub.metrics.connections_open.inc();
        let more = self.site.connected(hub.clock.now());
        hub.start_workers(&self.site, more);
        Ok(())
    }

    async fn open(&self) -> Result<Connection, OpenError> {
        let route = self.site.route();
        let mut random = StdRng::from_rng(&mut rand::rng());
        let candidates = self.hub.router.candidates(&route, &mut random).await;
        let candidates = candidates.map_err(|error| OpenError::Failed(Ending::from_route(&error), None))?;
        Connection::open_any(&candidates, &self.hub.wire, &self.hub.tls, self.site.source).await
    }

    /// One connection of the total. Idle workers are asked to make way while somebody waits here.
    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        let connections = self.hub.connections.clone();
        if let Ok(permit) = connections.clone().try_acquire_owned() {
            return Some(permit);
        }
        let _starved = Starved::new(&self.hub);
        self.hub.pressure.notify_waiters();
        let acquired = pin!(connections.acquire_owned());
        // The semaphore is never closed.
        acquired.await.ok()
    }

    /// What goes on the wire, made once per message as long as there is room for it.
    async fn prepare(&self, mail: &Arc<Mail>, at: UnixMicros) -> Result<Arc<Prepared>, Unprepared> {
        // Counted from here: who waits for another's making of the same content does not wait once more.
        let deadline = Instant::now() + ROOM_WAIT;
        let mut prepared = mail.prepared.lock().await;
        if let Some(prepared) = &*prepared {
            return Ok(prepared.clone());
        }
        let made = Arc::new(self.make(mail, at, deadline).await?);
        *prepared = Some(made.clone());
        self.hub.contents.keep(mail);
        Ok(made)
    }

    async fn make(&self, mail: &Mail, at: UnixMicros, deadline: Instant) -> Result<Prepared, Unprepared> {
        let hub = &self.hub;
        let (content, room) = match mail.take_given() {
            Some(given) => given,
            None => {
                let room = hub.contents.room(&hub.window, mail.size_bytes, deadline).await;
                let room = room.ok_or(Unprepared::NoRoom)?;
                let content = hub.spool.content(mail.account_id, mail.message_id).await;
                let content = content
                    .map_err(|error| Unprepared::Failed(format!("its content could not be read: {error}")))?;
                (content.ok_or_else(|| Unprepared::Failed("its content is gone".to_owned()))?, room)
            }
        };
        let smtputf8 = header_needs_utf8(&content);
        let mut chunks = vec![content];
        if hub.config.sign {
            let failed = |error: &dyn std::error::Error| Unprepared::Failed(error.to_string());
            let signer = hub.identities.signer(&*hub.spool, mail.account_id, mail.domain_id).await;
            let signer = signer.map_err(|error| failed(&error))?;
            let signed = hub.identities.signers.sign(signer, chunks.clone(), at).await;
            chunks.insert(0, signed.map_err(|error| failed(&error))?);
        }
        Ok(Prepared { chunks, smtputf8, room })
    }
}

/// One recipient's copy: the message that all share, under the header field that tells this copy in a spam report.
fn copy_of(prepared: &Prepared, reverse_path: &str) -> Vec<Bytes> {
    let field = Bytes::from(verp::report_field(reverse_path));
    std::iter::once(field).chain(prepared.chunks.iter().cloned()).collect()
}

/// Counts a worker that waits for a connection of the total.
struct Starved<'a>(&'a Hub);

impl<'a> Starved<'a> {
    fn new(hub: &'a Hub) -> Starved<'a> {
        hub.starved.fetch_add(1, Ordering::Relaxed);
        Starved(hub)
    }
}

impl Drop for Starved<'_> {
    fn drop(&mut self) {
        self.0.starved.fetch_sub(1, Ordering::Relaxed);
    }
}
