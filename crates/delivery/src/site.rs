//! One destination: what waits for it, how many connections serve it, and whether it is being left alone.
//!
//! All domains with the same MX set and port are one site, for each dedicated address that sends there one more: a
//! remote judges by address, so what it does to one must not hold the others up. Its queue is bounded by a share of the window:
//! when several sites have work, none may hold more than an equal part, so that a slow one cannot keep the
//! others out. Connections grow with the queue up to a limit, but only once the site has answered: to a
//! site that has not, one connection is tried at a time, however much waits. When that fails, or when
//! connections break again and again, the site is held for a growing pause; what waits is given back with
//! a due instant after the pause.
//!
//! This file decides and remembers; it neither waits nor talks. The worker does.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicia_domain::time::{MINUTE_MICROS, UnixMicros};
use tokio::sync::Notify;

use crate::drain::Drain;
use crate::mail::Item;
use crate::route::Route;

/// Broken connections in a row after which a site is held although it can be connected to.
const BREAKS_MAX: u32 = 5;
/// A site whose limit was lowered by a refused connection is allowed its full number again after this long.
const LIMIT_LOWERED_FOR_MICROS: i64 = 5 * MINUTE_MICROS;
/// What a site that failed before may hold while one connection probes it.
const PROBE_QUEUE_MAX: usize = 64;

/// A destination.
pub(crate) struct Site {
    pub name: Arc<str>,
    /// The dedicated address that it is sent to from; `None`: shared addresses.
    pub source: Option<IpAddr>,
    /// Wakes a worker that waits for mail.
    pub work: Notify,
    state: Mutex<State>,
}

struct State {
    route: Arc<Route>,
    ready: VecDeque<Item>,
    workers: usize,
    idle: usize,
    established: usize,
    connections_max: usize,
    limit: usize,
    limit_lowered_at: UnixMicros,
    /// Failures in a row, over pauses.
    failures: u32,
    /// Broken connections in a row.
    breaks: u32,
    held: Option<Held>,
    drain: Drain,
}

/// Why and until when a site is left alone.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub until: UnixMicros,
    pub reason: Arc<str>,
    /// Failures in a row that led here, over pauses.
    pub failures: u32,
}

/// What came of offering a mail to a site.
pub(crate) enum Pushed {
    /// It waits; so many workers are to be started.
    Queued { workers: usize },
    /// The site is held: give the mail back until then.
    Held(Item, Held),
    /// The site has its share already: give the mail back until then.
    Full(Item, UnixMicros),
}

/// What a worker does next.
pub(crate) enum Work {
    Send(Box<Item>),
    /// Nothing waits. The worker counts as idle now.
    Wait,
}

impl Site {
    /// What a destination is called, sent to from this address.
    pub(crate) fn name(route: &Route, source: Option<IpAddr>) -> Arc<str> {
        source.map_or_else(|| route.site.clone(), |address| format!("{} from {address}", route.site).into())
    }

    pub(crate) fn new(route: Arc<Route>, source: Option<IpAddr>, connections_max: usize) -> Site {
        let connections_max = connections_max.max(1);
        Site {
            name: Site::name(&route, source),
            source,
            work: Notify::new(),
            state: Mutex::new(State {
                route,
                ready: VecDeque::new(),
                workers: 0,
                idle: 0,
                established: 0,
                connections_max,
                limit: connections_max,
                limit_lowered_at: UnixMicros(0),
                failures: 0,
                breaks: 0,
                held: None,
                drain: Drain::new(UnixMicros(0)),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn route(&self) -> Arc<Route> {
        self.state().route.clone()
    }

    /// Offers a mail. `share` is how many mails one site may hold at present.
    pub(crate) fn push(&self, item: Item, route: &Arc<Route>, share: usize, now: UnixMicros) -> Pushed {
        let mut state = self.state();
        if let Some(held) = &state.held {
            if now < held.until {
                return Pushed::Held(item, held.clone());
            }
            state.held = None;
        }
        let share =
            if state.established == 0 && state.failures > 0 { share.min(PROBE_QUEUE_MAX) } else { share };
        if state.ready.len() >= share {
            let waiting = state.ready.len();
            let due = state.drain.put_off(now, waiting, rand::random());
            return Pushed::Full(item, due);
        }
        if !Arc::ptr_eq(&state.route, route) {
            state.route = route.clone();
        }
        if state.ready.is_empty() && state.workers == state.idle {
            state.drain.restart(now);
        }
        state.ready.push_back(item);
        if state.idle > 0 {
            self.work.notify_one();
        }
        Pushed::Queued { workers: state.hire(now) }
    }

    /// The next mail for a worker that is not idle.
    pub(crate) fn next(&self) -> Work {
        let mut state = self.state();
        match state.ready.pop_front() {
            Some(item) => Work::Send(Box::new(item)),
            None => {
                state.idle += 1;
                Work::Wait
            }
        }
    }

    /// An idle worker goes back to work (to call [`Site::next`]).
    pub(crate) fn resume(&self) {
        self.state().idle -= 1;
    }

    /// An idle worker wants to end. `false`: a mail has come meanwhile, and it is no longer idle but must go on.
    pub(crate) fn retire(&self, was_established: bool) -> bool {
        let mut state = self.state();
        state.idle -= 1;
        if !state.ready.is_empty() {
            return false;
        }
        state.leave(was_established);
        true
    }

    /// A working worker ends; returns how many to start in its place.
    pub(crate) fn leave(&self, was_established: bool, now: UnixMicros) -> usize {
        let mut state = self.state();
        state.leave(was_established);
        state.hire(now)
    }

    /// Whether the site failed when it was last tried, and nobody is connected now.
    pub(crate) fn is_suspect(&self) -> bool {
        let state = self.state();
        state.failures > 0 && state.established == 0
    }

    /// A worker has a connection. Returns how many more workers to start.
    pub(crate) fn connected(&self, now: UnixMicros) -> usize {
        let mut state = self.state();
        state.established += 1;
        state.hire(now)
    }

    /// A worker's connection is gone, the worker stays.
    pub(crate) fn disconnected(&self) {
        let mut state = self.state();
        state.established = state.established.saturating_sub(1);
    }

    /// A transaction has ended, one way or another.
    pub(crate) fn ended(&self, now: UnixMicros) {
        self.state().drain.ended(now);
    }

    /// The remote answered a transaction to its end: the site works.
    pub(crate) fn works(&self) {
        let mut state = self.state();
        state.failures = 0;
        state.breaks = 0;
    }

    /// A connection could not be opened. With others established the mail goes back to the head of the queue
    /// and the site gets by with fewer connections (`Ok`); without, the mail comes back and the site has failed.
    pub(crate) fn refused(&self, item: Item, now: UnixMicros) -> Result<(), Item> {
        let mut state = self.state();
        if state.established == 0 {
            return Err(item);
        }
        state.limit = state.established;
        state.limit_lowered_at = now;
        state.ready.push_front(item);
        Ok(())
    }

    /// A connection broke inside a transaction. `true`: it was one too many in a row.
    pub(crate) fn broke(&self) -> bool {
        let mut state = self.state();
        state.breaks += 1;
        state.breaks >= BREAKS_MAX
    }

    /// Holds the site; `pause_micros` gives the pause after so many failures in a row. Returns the hold and all
    /// that waited. A site that is held already keeps its hold.
    pub(crate) fn hold(
        &self,
        now: UnixMicros,
        reason: &str,
        pause_micros: impl FnOnce(u32) -> i64,
    ) -> (Held, VecDeque<Item>) {
        let mut state = self.state();
        let waiting = std::mem::take(&mut state.ready);
        if let Some(held) = state.held.as_ref().filter(|held| now < held.until) {
            return (held.clone(), waiting);
        }
        state.failures += 1;
        state.breaks = 0;
        let until = now.plus_micros(pause_micros(state.failures));
        let held = Held { until, reason: reason.into(), failures: state.failures };
        state.held = Some(held.clone());
        (held, waiting)
    }

    /// Takes all that waits, for a stop.
    pub(crate) fn drain(&self) -> VecDeque<Item> {
        std::mem::take(&mut self.state().ready)
    }

    /// Whether the site can be forgotten: nothing waits, nobody works, no hold to remember.
    pub(crate) fn is_forgettable(&self, now: UnixMicros) -> bool {
        let state = self.state();
        let held = state.held.as_ref().is_some_and(|held| now < held.until);
        state.ready.is_empty() && state.workers == 0 && !held
    }

    /// Whether mail waits or is being sent.
    pub(crate) fn is_busy(&self) -> bool {
        let state = self.state();
        !state.ready.is_empty() || state.workers > state.idle
    }
}

impl State {
    /// Counts and returns the workers to start for what waits.
    fn hire(&mut self, now: UnixMicros) -> usize {
        if self.limit < self.connections_max && now.0 - self.limit_lowered_at.0 > LIMIT_LOWERED_FOR_MICROS {
            self.limit = self.connections_max;
        }
        let wanted = if self.established == 0 {
            usize::from(self.workers == 0 && !self.ready.is_empty())
        } else {
            // Workers that are still connecting will take a mail each.
            let on_the_way = self.idle + (self.workers - self.idle).saturating_sub(self.established);
            self.ready.len().saturating_sub(on_the_way).min(self.limit.saturating_sub(self.workers))
        };
        self.workers += wanted;
        wanted
    }

    fn leave(&mut self, was_established: bool) {
        self.workers -= 1;
        if was_established {
            self.established = self.established.saturating_sub(1);
        }
    }
}

#[cfg(test)]
#[path = "site_tests.rs"]
mod tests;
