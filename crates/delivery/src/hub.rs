//! What every part of the engine shares: where a mail goes next, and how each mail leaves memory.
//!
//! A mail leaves in one of two ways: with an outcome ([`Hub::finish`]) or given back untried
//! ([`Hub::give_back`]). Either goes to the committer through a channel that needs no bound of its own,
//! because each entry holds its place in the bounded window until it is committed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use indicia_domain::outcome::retry::Next;
use indicia_domain::outcome::{Disposition, Failure, Phase};
use indicia_domain::time::{Clock, MINUTE_MICROS, SECOND_MICROS, UnixMicros};
use indicia_store::outcome::Outcome;
use indicia_store::queue::{HandBack, MailKey};
use indicia_store::suspension::Suspension;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::DeliveryConfig;
use crate::connection::{Ends, WireSettings};
use crate::content::Contents;
use crate::ending::Ending;
use crate::identities::Identities;
use crate::mail::Item;
use crate::metrics::Metrics;
use crate::route::{Route, RouteError, Router};
use crate::site::{Held, Pushed, Site};
use crate::source::{Shunned, SourceError};
use crate::spool::Spool;
use crate::tls::Tls;
use crate::verp::Verp;
use crate::window::{Slot, Window};
use crate::worker;

/// How long a mail that met an internal error stays in the database.
const ERROR_PAUSE_MICROS: i64 = MINUTE_MICROS;
/// How long a held mail stays in the database before it is looked at again; when what holds it ends, it is due at once.
const HELD_LOOK_MICROS: i64 = 15 * MINUTE_MICROS;
/// How long a mail whose content found no room stays in the database.
const NO_ROOM_PAUSE_MICROS: i64 = 10 * SECOND_MICROS;
/// Failures in a row of a destination after which those that were never tried themselves may end with it: the
/// destination has been tried in their stead, over growing pauses, and not only once after an outage of ours.
const FAILURES_FOR_ALL: u32 = 3;
/// No site is left alone longer than this, whatever the retry schedule says.
const HOLD_MAX_MICROS: i64 = 30 * MINUTE_MICROS;
/// A site's fair share is never less than this.
const SHARE_MIN: usize = 64;
/// Routes and sites remembered before those without use are dropped.
const REMEMBERED_MAX: usize = 20_000;
/// A failed look-up is repeated sooner than a good one.
const FAILED_ROUTE_TTL: Duration = Duration::from_secs(10);
/// Mails after which the busy sites are counted anew.
const COUNT_BUSY_EVERY: usize = 64;
/// DNS look-ups at the same time.
const LOOKUPS_MAX: usize = 64;

/// What the committer writes.
pub(crate) enum Done {
    Attempt(Box<Outcome>, Slot),
    HandBack(HandBack, Slot),
}

/// Names a leased mail, and the epoch in which it was leased.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    pub key: MailKey,
    pub epoch: u64,
}

/// What is known of a domain's route.
enum Known {
    Route(Arc<Route>, Instant),
    Failed(RouteError, Instant),
    /// Being looked up; these wait for it.
    LookingUp(Vec<Item>),
}

pub(crate) struct Hub {
    pub config: DeliveryConfig,
    pub clock: Arc<dyn Clock>,
    pub spool: Arc<dyn Spool>,
    pub router: Router,
    pub tls: Tls,
    pub wire: Arc<WireSettings>,
    pub identities: Identities,
    pub verp: Verp,
    pub metrics: Metrics,
    pub window: Arc<Window>,
    pub contents: Contents,
    pub connections: Arc<Semaphore>,
    /// Sites that failed before share a quarter of the connections while they are tried again: a thousand dead
    /// hosts, each a long timeout, must not take all.
    pub probes: Semaphore,
    /// Workers that wait for a connection of the total; while there are any, the others do not dawdle.
    pub starved: AtomicUsize,
    pub pressure: Notify,
    /// No new work from here on.
    pub stopping: CancellationToken,
    /// Let go of what is under way.
    pub aborting: CancellationToken,
    pub tasks: TaskTracker,
    /// Counts the times that this node's leases were lost. Mails of an earlier epoch may be another's by now, or
    /// this node's a second time.
    epoch: AtomicU64,
    /// What is held in the queue; see [`crate::engine`].
    held: RwLock<Arc<[Suspension]>>,
    /// Dedicated addresses that could not be sent from a moment ago.
    shunned: Shunned,
    sites: Mutex<HashMap<Arc<str>, Arc<Site>>>,
    /// How many sites were busy when they were last counted, and mails dispatched since the start.
    busy_sites: AtomicUsize,
    dispatched: AtomicUsize,
    routes: Mutex<HashMap<String, Known>>,
    lookups: Semaphore,
    done: mpsc::UnboundedSender<Done>,
}

impl Hub {
    pub(crate) fn new(
        config: DeliveryConfig,
        spool: Arc<dyn Spool>,
        clock: Arc<dyn Clock>,
        resolver: Arc<dyn crate::dns::Resolver>,
        tls: Tls,
        metrics: Metrics,
        done: mpsc::UnboundedSender<Done>,
    ) -> Hub {
        Hub {
            router: Router::new(resolver, config.routes.clone(), config.port),
            verp: Verp::new(&config.return_path_key, &config.return_path_domain),
            window: Arc::new(Window::new(config.recipients_in_memory_max, config.bytes_in_memory_max)),
            connections: Arc::new(Semaphore::new(config.connections_max.max(1))),
            probes: Semaphore::new((config.connections_max / 4).max(1)),
            wire: Arc::new(config.wire.clone()),
            starved: AtomicUsize::new(0),
            pressure: Notify::new(),
            stopping: CancellationToken::new(),
            aborting: CancellationToken::new(),
            tasks: TaskTracker::new(),
            contents: Contents::default(),
            epoch: AtomicU64::new(0),
            identities: Identities::default(),
            held: RwLock::new(Arc::from([])),
            shunned: Shunned::default(),
            sites: Mutex::default(),
            busy_sites: AtomicUsize::new(0),
            dispatched: AtomicUsize::new(0),
            routes: Mutex::default(),
            lookups: Semaphore::new(LOOKUPS_MAX),
            config,
            clock,
            spool,
            tls,
            metrics,
            done,
        }
    }

    fn sites(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Site>>> {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn routes(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present epoch. Whoever leases mails reads it before.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether a mail's lease was lost since it came to memory.
    pub(crate) fn is_stale(&self, item: &Item) -> bool {
        item.mail.epoch != self.epoch()
    }

    /// How many sites were busy when they were last counted.
    pub(crate) fn busy_sites(&self) -> usize {
        self.busy_sites.load(Ordering::Relaxed)
    }

    /// Sends a mail on its way: to its site, or first to a look-up of its domain. `false`: it went back to the queue.
    pub(crate) fn dispatch(self: &Arc<Self>, item: Item) -> bool {
        if self.stopping.is_cancelled() {
            self.give_back(item, self.clock.now(), "the server is stopping");
            return false;
        }
        let Some(item) = self.unless_held(item) else { return false };
        let mut routes = self.routes();
        match routes.get_mut(&item.domain) {
            Some(Known::Route(route, until)) if Instant::now() < *until => {
                let route = route.clone();
                drop(routes);
                return self.enqueue(item, &route);
            }
            Some(Known::Failed(error, until)) if Instant::now() < *until => {
                let ending = Ending::from_route(error);
                drop(routes);
                self.finish(item, ending, self.clock.now(), None, None);
            }
            Some(Known::LookingUp(waiting)) => waiting.push(item),
            _ => {
                if routes.len() >= REMEMBERED_MAX {
                    routes.retain(|_, known| matches!(known, Known::LookingUp(_)));
                }
                let domain = item.domain.clone();
                routes.insert(domain.clone(), Known::LookingUp(vec![item]));
                drop(routes);
                self.tasks.spawn(self.clone().look_up(domain));
            }
        }
        true
    }

    /// Sets what is held.
    pub(crate) fn hold_back(&self, held: Vec<Suspension>) {
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = held.into();
    }

    /// What is held, as far as this node knows.
    pub(crate) fn suspensions(&self) -> Arc<[Suspension]> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What holds an account's mail to a domain.
    pub(crate) fn suspension_of(&self, account_id: i64, domain: &str) -> Option<Suspension> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner).clone();
        held.iter().find(|suspension| suspension.held.covers(account_id, domain)).cloned()
    }

    /// Until when held mail stays in the database.
    pub(crate) fn held_until(&self) -> UnixMicros {
        self.clock.now().plus_micros(HELD_LOOK_MICROS)
    }

    /// Gives a mail back whose account or destination is held. It is not failed for its age meanwhile.
    pub(crate) fn unless_held(&self, item: Item) -> Option<Item> {
        let Some(suspension) = self.suspension_of(item.mail.account_id, &item.domain) else {
            return Some(item);
        };
        self.give_back(item, self.held_until(), &suspension.queue_reason());
        None
    }

    async fn look_up(self: Arc<Self>, domain: String) {
        let unfinished = LookUp { hub: &self, domain: &domain };
        let result = tokio::select! {
            () = self.stopping.cancelled() => None,
            result = async {
                // The semaphore is never closed.
                let _turn = self.lookups.acquire().await;
                self.router.route(&domain).await
            } => Some(result),
        };
        let now = Instant::now();
        let known = match &result {
            Some(Ok(route)) => Some(Known::Route(Arc::new(route.clone()), now + self.config.route_ttl)),
            Some(Err(error)) => {
                Some(Known::Failed(error.clone(), now + self.config.route_ttl.min(FAILED_ROUTE_TTL)))
            }
            None => None,
        };
        let before = {
            let mut routes = self.routes();
            match known {
                Some(known) => routes.insert(domain.clone(), known),
                None => routes.remove(&domain),
            }
        };
        drop(unfinished);
        if let Some(Known::LookingUp(waiting)) = before {
            for item in waiting {
                self.dispatch(item);
            }
        }
    }

    fn enqueue(self: &Arc<Self>, item: Item, route: &Arc<Route>) -> bool {
        let now = self.clock.now();
        let source = item.place.map(|place| place.address);
        let source = source.filter(|address| !self.shunned.has(&route.site, *address));
        let (site, share) = self.site(route, source, now);
        match site.push(item, route, share, now) {
            Pushed::Queued { workers } => {
                self.start_workers(&site, workers);
                return true;
            }
            Pushed::Held(item, held) => self.give_back_held(item, &held),
            Pushed::Full(item, due) => {
                let reason = format!("as much as fits in memory is already waiting for {}", site.name);
                self.give_back(item, due, &reason);
            }
        }
        false
    }

    /// The site of a route, and how many mails one site may hold: an equal part among the busy, and never so much
    /// that nothing is left free for those that come later.
    fn site(&self, route: &Arc<Route>, source: Option<IpAddr>, now: UnixMicros) -> (Arc<Site>, usize) {
        let mut sites = self.sites();
        if sites.len() >= REMEMBERED_MAX {
            sites.retain(|_, site| !site.is_forgettable(now));
        }
        let name = Site::name(route, source);
        let most_connections = self.config.connections_per_site_max;
        let site = sites
            .entry(name)
            .or_insert_with(|| Arc::new(Site::new(route.clone(), source, most_connections)))
            .clone();
        let most = self.window.recipients_max() / 4 * 3;
        // To look at every site for every mail would cost more than a count that is a few mails old.
        if self.dispatched.fetch_add(1, Ordering::Relaxed).is_multiple_of(COUNT_BUSY_EVERY) {
            let busy = sites.values().filter(|site| site.is_busy()).count();
            self.busy_sites.store(busy, Ordering::Relaxed);
        }
        let free = self.window.recipients_max().saturating_sub(self.window.recipients());
        (site, (most / self.busy_sites().max(1)).min(free * 3).max(SHARE_MIN))
    }

    pub(crate) fn start_workers(self: &Arc<Self>, site: &Arc<Site>, count: usize) {
        for _ in 0..count {
            self.tasks.spawn(worker::run(self.clone(), site.clone()));
        }
    }

    /// Leaves a site alone for a growing pause and gives back what waits for it.
    pub(crate) fn hold(&self, site: &Site, reason: &str) -> UnixMicros {
        let now = self.clock.now();
        let pause =
            |failures| self.config.schedule.pause_micros(failures, rand::random()).min(HOLD_MAX_MICROS);
        let (held, waiting) = site.hold(now, reason, pause);
        self.metrics.sites_held.inc();
        tracing::warn!(site = %site.name, waiting = waiting.len(), until = %held.until, reason, "the destination is left alone for a while");
        for item in waiting {
            self.give_back_held(item, &held);
        }
        held.until
    }

    /// Gives a mail back because its destination is left alone. One that has reached its maximum age ends instead,
    /// but only with a destination that was tried for it (R03: an outage of ours is not the mail's failure).
    fn give_back_held(&self, item: Item, held: &Held) {
        let now = self.clock.now();
        let is_old = now >= self.config.schedule.deadline(item.mail.accepted_at);
        let was_tried = item.attempts > 0 || held.failures >= FAILURES_FOR_ALL;
        if is_old && was_tried && !self.stopping.is_cancelled() && !self.is_stale(&item) {
            let words = format!("451 4.4.7 given up at its maximum age; it waited because: {}", held.reason);
            let ending = Ending::from_failure(Phase::Connect, Failure::ConnectFailed, words).expired();
            return self.finish(item, ending, now, None, None);
        }
        self.give_back(item, held.until, &held.reason);
    }

    /// A dedicated address cannot be sent from: `waiting` goes out by shared addresses, without delay.
    pub(crate) fn go_shared(self: &Arc<Self>, site: &Site, error: &SourceError, waiting: Vec<Item>) {
        self.metrics.count_local_address_failures(1);
        if self.shunned.note(&site.route().site, error) {
            tracing::warn!(site = %site.name, %error, mails = waiting.len(), "sent from a shared address instead");
        }
        for item in waiting {
            self.dispatch(item);
        }
    }

    /// Gives a mail back whose content found no room in memory.
    pub(crate) fn give_back_without_room(&self, item: Item) {
        let due = self.clock.now().plus_micros(NO_ROOM_PAUSE_MICROS);
        self.give_back(item, due, "no room in memory for its content");
    }

    /// Gives a mail back untried until about `due`, whatever its age: it is never failed for want of an attempt. One
    /// whose lease was lost is forgotten: it is not this node's to give.
    pub(crate) fn give_back(&self, item: Item, due: UnixMicros, reason: &str) {
        if self.is_stale(&item) {
            tracing::info!(
                message_id = %item.mail.message_id,
                number = item.number,
                reason,
                "left to the node that holds it now"
            );
            return;
        }
        let now = self.clock.now();
        let deadline = self.config.schedule.deadline(item.mail.accepted_at);
        // Spread by a tenth of the wait, so that what was given back together does not come back together.
        let spread = (due.0 - now.0).max(0) / 10;
        let due = due.plus_micros(i64::from(rand::random::<u16>()) * spread / i64::from(u16::MAX));
        let due_at = if now < deadline { due.min(deadline) } else { due };
        tracing::debug!(message_id = %item.mail.message_id, number = item.number, reason, due = %due_at, "given back untried");
        let back = HandBack { key: item.key(), due_at, reason: reason.to_owned(), place: item.place };
        self.commit(Done::HandBack(back, item.slot));
    }

    /// Ends an attempt: decides on the retry, logs, counts, and passes the outcome to the committer.
    pub(crate) fn finish(
        &self,
        item: Item,
        ending: Ending,
        started_at: UnixMicros,
        ends: Option<&Ends>,
        not_before: Option<UnixMicros>,
    ) {
        let now = self.clock.now();
        let attempts = item.attempts + 1;
        let (ending, next_due_at) = self.next_step(&item, ending, now, attempts, not_before);
        let is_stale = self.is_stale(&item);
        let outcome = Outcome {
            key: item.key(),
            address: item.address,
            sender_id: item.mail.sender_id,
            domain_id: item.mail.domain_id,
            tag: item.mail.tag.clone(),
            day: item.mail.day,
            accepted_at: item.mail.accepted_at,
            recipient_count: item.mail.recipient_count,
            attempts,
            started_at,
            finished_at: now,
            remote_host: ends.map(|ends| ends.host.to_string()).unwrap_or_default(),
            remote_address: ends.map(|ends| ends.remote.to_string()).unwrap_or_default(),
            local_address: ends
                .and_then(|ends| ends.local)
                .map(|local| local.to_string())
                .unwrap_or_default(),
            tls: ends.and_then(|ends| ends.tls.as_ref()).map(|tls| tls.to_string()).unwrap_or_default(),
            phase: ending.phase,
            verdict: ending.verdict,
            code: ending.code,
            reply: ending.words,
            next_due_at,
            place: item.place,
        };
        log(&outcome);
        self.metrics.count(&outcome);
        if is_stale && outcome.next_due_at.is_some() {
            // To commit a deferral is to give the mail back; it may be leased anew, even by this node.
            return;
        }
        self.commit(Done::Attempt(Box::new(outcome), item.slot));
    }

    fn next_step(
        &self,
        item: &Item,
        ending: Ending,
        now: UnixMicros,
        attempts: i64,
        not_before: Option<UnixMicros>,
    ) -> (Ending, Option<UnixMicros>) {
        if ending.verdict.disposition != Disposition::Temporary {
            return (ending, None);
        }
        let schedule = &self.config.schedule;
        let accepted_at = item.mail.accepted_at;
        match schedule.next(accepted_at, now, u32::try_from(attempts).unwrap_or(u32::MAX), rand::random()) {
            Next::GiveUp => (ending.expired(), None),
            Next::RetryAt(due) => {
                let due =
                    not_before.map_or(due, |instant| due.max(instant)).min(schedule.deadline(accepted_at));
                (ending, Some(due))
            }
        }
    }

    fn commit(&self, done: Done) {
        if let Err(unsent) = self.done.send(done) {
            let (Done::Attempt(..) | Done::HandBack(..)) = unsent.0;
            tracing::error!(
                "an outcome came after the committer had stopped; the mail's lease lapses and it is tried again"
            );
        }
    }

    /// Gives back a mail that was lost from memory with the task that had it in hand.
    pub(crate) fn give_back_lost(&self, lease: Lease) {
        if lease.epoch != self.epoch() {
            return;
        }
        let key = lease.key;
        self.window.enter(1);
        let due_at = self.clock.now().plus_micros(ERROR_PAUSE_MICROS);
        let reason = "the attempt ended in an internal error; see the server's log".to_owned();
        // Its attempt may have been made: its place at a dedicated address stays taken.
        let back = HandBack { key, due_at, reason, place: None };
        self.commit(Done::HandBack(back, self.window.slot()));
    }

    /// Gives back all that waits, for a stop.
    pub(crate) fn give_all_back(&self) {
        let sites: Vec<Arc<Site>> = self.sites().values().cloned().collect();
        let now = self.clock.now();
        for site in sites {
            for item in site.drain() {
                self.give_back(item, now, "the server is stopping");
            }
        }
    }

    /// Forgets all that waits, without a word: the leases are no longer this node's. What is being sent just now goes
    /// on to its end, which is told; it is not given back either.
    pub(crate) fn forget_all(&self) -> usize {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        let sites: Vec<Arc<Site>> = self.sites().values().cloned().collect();
        let waiting: usize = sites.iter().map(|site| site.drain().len()).sum();
        let looking_up: usize = self
            .routes()
            .values_mut()
            .map(|known| match known {
                Known::LookingUp(waiting) => std::mem::take(waiting).len(),
                Known::Route(..) | Known::Failed(..) => 0,
            })
            .sum();
        waiting + looking_up
    }
}

/// A look-up under way. When it is dropped before its end (a panic in the resolver), what waits for it is given back.
struct LookUp<'a> {
    hub: &'a Hub,
    domain: &'a str,
}

impl Drop for LookUp<'_> {
    fn drop(&mut self) {
        let waiting = {
            let mut routes = self.hub.routes();
            match routes.get_mut(self.domain) {
                Some(Known::LookingUp(waiting)) => {
                    let waiting = std::mem::take(waiting);
                    routes.remove(self.domain);
                    waiting
                }
                _ => return,
            }
        };
        tracing::error!(domain = self.domain, mails = waiting.len(), "a look-up ended in an internal error");
        let due = self.hub.clock.now().plus_micros(ERROR_PAUSE_MICROS);
        for item in waiting {
            self.hub.give_back(
                item,
                due,
                "the look-up of its domain ended in an internal error; see the server's log",
            );
        }
    }
}

fn log(outcome: &Outcome) {
    let key = outcome.key;
    macro_rules! line {
        ($level:ident, $words:literal) => {
            tracing::$level!(
                message_id = %key.message_id,
                account_id = key.account_id,
                number = key.number,
                attempt = outcome.attempts,
                remote = %outcome.remote_address,
                phase = %outcome.phase,
                classification = %outcome.verdict.classification,
                reply = %outcome.reply,
                $words
            )
        };
    }
    match outcome.verdict.disposition {
        Disposition::Delivered => line!(info, "delivered"),
        Disposition::Temporary => line!(info, "deferred"),
        Disposition::Permanent => line!(warn, "failed for good"),
    }
}
