//! The engine's life: started with its parts, fed by acceptance and by the queue, stopped without loss.
//!
//! Mails come in two ways. The fast path takes them from admission right after their commit, with their
//! content, as long as three quarters of the window are free ([`Handoff`]). The slow path claims due rows from the
//! queue in batches: at once while the window is less than half full, else a few at every look, so that a
//! destination which fills the window keeps nobody out. It wakes when places become free, when the next
//! mail is due, and at the poll interval (clocks may jump, other nodes may hand back).
//!
//! What is held in the queue ([`indicia_store::suspension`]) is read once a second, before the first claim too.
//!
//! A batch of which most went straight back (their destinations have their share, or are left alone) is
//! followed by the next after a short pause: soon enough that a long backlog does not stand before the others'
//! mail, and seldom enough that pushing it back leaves the database to them.

use std::sync::Arc;
use std::time::Duration;

use indicia_domain::time::Clock;
use indicia_store::admission::Handoff;
use indicia_store::queue::QueuedMail;
use indicia_store::suspension::Suspension;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::committer::Committer;
use crate::config::DeliveryConfig;
use crate::dns::Resolver;
use crate::hub::Hub;
use crate::mail::items_of;
use crate::metrics::Metrics;
use crate::spool::Spool;
use crate::tls::{Tls, TlsSetupError};

/// Octets of content that one claim asks for.
const CLAIM_BYTES_MAX: usize = 16 << 20;
const GAUGE_INTERVAL: Duration = Duration::from_secs(1);
const HELD_INTERVAL: Duration = Duration::from_secs(1);
/// Times that a node looks for mail that it gave back to a suspension which had ended already.
const LOOKS_AFTER_END: usize = 3;
/// Held mails in one claim from which on there are probably many more behind them.
const HELD_MANY: usize = 64;
/// A last commit that fails is repeated for so long after the grace time.
const LAST_COMMIT_GRACE: Duration = Duration::from_secs(10);
/// What was told to let go has this long to do so.
const ABORT_GRACE: Duration = Duration::from_secs(10);
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);
const PAUSE_MIN: Duration = Duration::from_millis(5);
/// Between claims that have to get through a backlog.
const PAUSE_IN_BACKLOG: Duration = Duration::from_millis(100);

/// Starts and stops delivery.
pub struct Delivery {
    hub: Arc<Hub>,
    wake: Arc<Notify>,
    last_call: CancellationToken,
    abandon: CancellationToken,
    claimer: JoinHandle<()>,
    gauges: JoinHandle<()>,
    holder: JoinHandle<()>,
    committer: JoinHandle<()>,
}

/// The entrance for mails that were just accepted; given to admission.
#[derive(Clone)]
pub struct FastPath {
    hub: Arc<Hub>,
    wake: Arc<Notify>,
}

impl Delivery {
    /// Starts the engine on the current tokio runtime. It works until [`Delivery::stop`].
    pub fn start(
        config: DeliveryConfig,
        spool: Arc<dyn Spool>,
        clock: Arc<dyn Clock>,
        resolver: Arc<dyn Resolver>,
        metrics: Metrics,
    ) -> Result<Delivery, TlsSetupError> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let tls = Tls::opportunistic()?;
        let hub = Arc::new(Hub::new(config, spool.clone(), clock, resolver, tls, metrics.clone(), sender));
        let (last_call, abandon) = (CancellationToken::new(), CancellationToken::new());
        let committer = Committer {
            spool,
            metrics,
            done: receiver,
            last_call: last_call.clone(),
            abandon: abandon.clone(),
        };
        let wake = Arc::new(Notify::new());
        Ok(Delivery {
            claimer: tokio::spawn(claim_loop(hub.clone(), wake.clone())),
            gauges: tokio::spawn(gauge_loop(hub.clone())),
            holder: tokio::spawn(hold_loop(hub.clone())),
            committer: tokio::spawn(committer.run()),
            hub,
            wake,
            last_call,
            abandon,
        })
    }

    /// The entrance for mails that were just accepted.
    pub fn fast_path(&self) -> FastPath {
        FastPath { hub: self.hub.clone(), wake: self.wake.clone() }
    }

    /// Looks at the queue now.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Lets go of all that waits in memory, without a word to the store: for a node that was taken for dead, whose
    /// leases others may hold by now. Returns how many mails. Transactions under way go on to their end.
    pub fn forget_leases(&self) -> usize {
        self.hub.forget_all()
    }

    /// Stops: takes nothing new, gives back what waits, lets transactions under way end within the grace
    /// time, lets go of the rest, and commits every outcome.
    pub async fn stop(self) {
        let hub = self.hub;
        hub.stopping.cancel();
        hub.give_all_back();
        hub.tasks.close();
        if timeout(hub.config.stop_grace, hub.tasks.wait()).await.is_err() {
            tracing::warn!(grace = ?hub.config.stop_grace, "transactions were still under way after the grace time");
            hub.aborting.cancel();
            if timeout(ABORT_GRACE, hub.tasks.wait()).await.is_err() {
                tracing::error!("some deliveries could not be let go of; their leases lapse with this node");
            }
        }
        hub.give_all_back();
        for task in [self.claimer, self.gauges, self.holder] {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of delivery had failed");
            }
        }
        self.last_call.cancel();
        let mut committer = self.committer;
        if timeout(LAST_COMMIT_GRACE, &mut committer).await.is_err() {
            self.abandon.cancel();
            if let Err(error) = committer.await {
                tracing::error!(%error, "the committer had failed");
            }
        }
    }
}

impl Handoff for FastPath {
    fn reserve(&self, recipients: usize, bytes: usize) -> bool {
        !self.hub.stopping.is_cancelled() && self.hub.window.reserve(recipients, bytes)
    }

    fn deliver(&self, mail: QueuedMail) {
        for item in items_of(mail, &self.hub.window, self.hub.epoch()) {
            self.hub.dispatch(item);
        }
    }

    fn release(&self, recipients: usize, bytes: usize) {
        self.hub.window.release(recipients, bytes);
    }

    fn look_at_queue(&self) {
        self.wake.notify_one();
    }
}

async fn claim_loop(hub: Arc<Hub>, wake: Arc<Notify>) {
    look_what_is_held(&hub).await;
    while !hub.stopping.is_cancelled() {
        let (room, at_once) = hub.window.claimable();
        let claimed = match claim(&hub, room).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::error!(%error, "the queue could not be claimed from");
                sleep_unless_stopped(&hub, PAUSE_AFTER_ERROR).await;
                continue;
            }
        };
        let poll = hub.config.poll_interval;
        let pause = match next_look(claimed, room, at_once, hub.busy_sites()) {
            Look::AtOnce => {
                tokio::task::yield_now().await;
                continue;
            }
            Look::Soon => {
                sleep_unless_stopped(&hub, PAUSE_IN_BACKLOG.min(poll)).await;
                continue;
            }
            Look::AtPoll => poll,
            Look::WhenDue => until_next_due(&hub).await,
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = hub.window.freed() => {}
            () = wake.notified() => {}
            () = hub.stopping.cancelled() => {}
        }
    }
}

/// What became of one claim, in recipients.
#[derive(Debug, Clone, Copy, Default)]
struct Claimed {
    count: usize,
    /// Did not go straight back.
    kept: usize,
}

/// When the queue is claimed from next.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    AtOnce,
    Soon,
    AtPoll,
    WhenDue,
}

fn next_look(claimed: Claimed, room: usize, at_once: bool, busy_sites: usize) -> Look {
    let Claimed { count, kept } = claimed;
    match () {
        () if room == 0 => Look::AtPoll,
        () if count == 0 => Look::WhenDue,
        () if kept <= count / 4 => Look::Soon,
        () if at_once => Look::AtOnce,
        // The window is well filled, but not by one destination alone: there are others to serve.
        () if busy_sites > 1 && count >= room => Look::Soon,
        () => Look::AtPoll,
    }
}

async fn claim(hub: &Arc<Hub>, room: usize) -> Result<Claimed, indicia_store::StoreError> {
    if room == 0 {
        return Ok(Claimed::default());
    }
    let epoch = hub.epoch();
    let mails = hub.spool.claim(room, CLAIM_BYTES_MAX).await?;
    let count = mails.iter().map(|mail| mail.recipients.len()).sum();
    hub.window.enter(count);
    let (mut kept, mut held) = (0, Vec::new());
    for mail in mails {
        for item in items_of(mail, &hub.window, epoch) {
            count_held(&mut held, hub.suspension_of(item.mail.account_id, &item.domain));
            kept += usize::from(hub.dispatch(item));
        }
    }
    put_off_held(hub, held).await;
    Ok(Claimed { count, kept })
}

fn count_held(held: &mut Vec<(Suspension, usize)>, suspension: Option<Suspension>) {
    let Some(suspension) = suspension else { return };
    match held.iter_mut().find(|(known, _)| known.held == suspension.held) {
        Some((_, mails)) => *mails += 1,
        None => held.push((suspension, 1)),
    }
}

/// Puts off what else is due and held by suspensions of which a claim brought much.
async fn put_off_held(hub: &Hub, held: Vec<(Suspension, usize)>) {
    for (suspension, _) in held.into_iter().filter(|(_, mails)| *mails >= HELD_MANY) {
        match hub.spool.put_off_held(&suspension, hub.held_until()).await {
            Ok(mails) => tracing::debug!(held = %suspension.held, mails, "held mail was put off"),
            // It comes with the next claims, and goes back with them.
            Err(error) => {
                tracing::warn!(%error, held = %suspension.held, "held mail could not be put off at once");
            }
        }
    }
}

/// The time to the next due mail, at most the poll interval.
async fn until_next_due(hub: &Hub) -> Duration {
    let poll = hub.config.poll_interval;
    match hub.spool.next_due().await {
        Ok(Some(due)) => {
            let micros = u64::try_from(due.0 - hub.clock.now().0).unwrap_or(0);
            Duration::from_micros(micros).clamp(PAUSE_MIN.min(poll), poll)
        }
        Ok(None) => poll,
        Err(error) => {
            tracing::error!(%error, "the queue could not be looked at");
            PAUSE_AFTER_ERROR
        }
    }
}

/// Keeps what is held up to date. When it cannot be read, what was held stays so.
async fn hold_loop(hub: Arc<Hub>) {
    let mut ended: Vec<(Suspension, usize)> = Vec::new();
    while !hub.stopping.is_cancelled() {
        let before = hub.suspensions();
        look_what_is_held(&hub).await;
        let held = hub.suspensions();
        let over = before.iter().filter(|known| held.iter().all(|other| other.held != known.held));
        ended.extend(over.map(|known| (known.clone(), LOOKS_AFTER_END)));
        for (suspension, looks) in &mut ended {
            *looks -= 1;
            // What this node gave back before it knew, and committed since.
            if let Err(error) = hub.spool.wake_after(suspension).await {
                tracing::warn!(%error, held = %suspension.held, "what is held no longer could not be made due at once");
            }
        }
        ended.retain(|(_, looks)| *looks > 0);
        sleep_unless_stopped(&hub, HELD_INTERVAL).await;
    }
}

async fn look_what_is_held(hub: &Hub) {
    match hub.spool.suspensions().await {
        Ok(held) => hub.hold_back(held),
        Err(error) => tracing::warn!(%error, "what is held in the queue could not be read"),
    }
}

/// Keeps the gauges up to date.
async fn gauge_loop(hub: Arc<Hub>) {
    while !hub.stopping.is_cancelled() {
        hub.metrics.recipients_in_memory.set(i64::try_from(hub.window.recipients()).unwrap_or(i64::MAX));
        hub.metrics.count_local_address_failures(hub.wire.local_addresses.take_failures());
        hub.metrics.bytes_in_memory.set(i64::try_from(hub.window.bytes()).unwrap_or(i64::MAX));
        sleep_unless_stopped(&hub, GAUGE_INTERVAL).await;
    }
}

async fn sleep_unless_stopped(hub: &Hub, pause: Duration) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = hub.stopping.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_that_went_back_is_not_followed_at_once() {
        let look = |count, kept, at_once, busy| next_look(Claimed { count, kept }, 256, at_once, busy);
        assert_eq!(look(0, 0, true, 1), Look::WhenDue);
        assert_eq!(look(256, 256, true, 1), Look::AtOnce);
        assert_eq!(look(256, 65, true, 4), Look::AtOnce);
        assert_eq!(look(256, 64, true, 4), Look::Soon);
        assert_eq!(look(10, 0, false, 1), Look::Soon);
        assert_eq!(look(256, 200, false, 1), Look::AtPoll, "the fast path has the rest");
        assert_eq!(look(256, 200, false, 2), Look::Soon);
        assert_eq!(look(10, 10, false, 2), Look::AtPoll);
        assert_eq!(next_look(Claimed::default(), 0, false, 1), Look::AtPoll, "no room: no need to ask");
    }
}
