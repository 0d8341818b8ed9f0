//! Commits outcomes in groups: all that has gathered while the last commit ran goes into the next.
//!
//! Connections go on with other mails meanwhile. A commit that fails is repeated until it succeeds: an outcome
//! that the remote has confirmed is never dropped, since to drop it would be to send the mail twice. While
//! the database is down, the group is repeated unchanged; what waits here holds its place in the window, so
//! that delivery comes to a halt instead of filling the memory. When the database refuses the group itself, it
//! is halved until the entry that it refuses stands alone. That one is set aside and tried again after growing
//! pauses, beside the others, for whatever is the matter with it must not stop the node.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use indicia_store::StoreError;
use indicia_store::outcome::Outcome;
use indicia_store::queue::{HandBack, MailKey};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::hub::Done;
use crate::metrics::Metrics;
use crate::spool::Spool;
use crate::window::Slot;

/// Entries of one commit.
const GROUP_MAX: usize = 512;
/// How long a group gathers. The database has one writer at a time, which acceptance needs too: a few large
/// groups a second cost it far less than one for each outcome. Until then a crash would send these mails again.
const GATHER: Duration = Duration::from_millis(50);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Pauses of an entry that the database refuses.
const REFUSED_PAUSE_MIN: Duration = Duration::from_secs(1);
const REFUSED_PAUSE_MAX: Duration = Duration::from_secs(300);
/// Refused entries that are tried again at a time.
const REFUSED_AT_ONCE: usize = 64;

/// The receiving end of the outcomes.
pub(crate) struct Committer {
    pub spool: Arc<dyn Spool>,
    pub metrics: Metrics,
    pub done: mpsc::UnboundedReceiver<Done>,
    /// No more outcomes will come: commit what is there and end.
    pub last_call: CancellationToken,
    /// Give up even on commits that fail.
    pub abandon: CancellationToken,
}

type Storing<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

/// What is committed in groups.
trait Entry: Sized + Send + Sync {
    const WHAT: &'static str;
    fn key(&self) -> MailKey;
    fn store<'a>(spool: &'a dyn Spool, group: &'a [Self]) -> Storing<'a>;
}

impl Entry for Outcome {
    const WHAT: &'static str = "outcomes";

    fn key(&self) -> MailKey {
        self.key
    }

    fn store<'a>(spool: &'a dyn Spool, group: &'a [Outcome]) -> Storing<'a> {
        spool.commit(group)
    }
}

impl Entry for HandBack {
    const WHAT: &'static str = "mails given back";

    fn key(&self) -> MailKey {
        self.key
    }

    fn store<'a>(spool: &'a dyn Spool, group: &'a [HandBack]) -> Storing<'a> {
        spool.hand_back(group)
    }
}

/// Entries, and for each its place in the window and the pause after its last refusal.
struct Group<T> {
    entries: Vec<T>,
    held: Vec<(Slot, Duration)>,
}

impl<T> Default for Group<T> {
    fn default() -> Group<T> {
        Group { entries: Vec::new(), held: Vec::new() }
    }
}

impl<T> Group<T> {
    fn push(&mut self, entry: T, slot: Slot, pause: Duration) {
        self.entries.push(entry);
        self.held.push((slot, pause));
    }

    fn split_off(&mut self, at: usize) -> Group<T> {
        Group { entries: self.entries.split_off(at), held: self.held.split_off(at) }
    }
}

/// An entry that the database refuses, alone.
struct Refused<T> {
    entry: T,
    slot: Slot,
    pause: Duration,
    again_at: Instant,
}

/// Refused entries of both kinds.
#[derive(Default)]
struct Aside {
    outcomes: Vec<Refused<Outcome>>,
    backs: Vec<Refused<HandBack>>,
}

impl Aside {
    fn next_at(&self) -> Option<Instant> {
        let outcomes = self.outcomes.iter().map(|refused| refused.again_at);
        outcomes.chain(self.backs.iter().map(|refused| refused.again_at)).min()
    }
}

impl Committer {
    /// Runs until the last call has been answered.
    pub(crate) async fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP_MAX);
        let mut aside = Aside::default();
        loop {
            // Once a round, so that neither those set aside nor the others wait for all of the other kind.
            if aside.next_at().is_some_and(|at| at <= Instant::now()) {
                self.try_again(&mut aside, Some(Instant::now())).await;
            }
            let received = tokio::select! {
                biased;
                received = self.done.recv_many(&mut group, GROUP_MAX) => received,
                () = self.last_call.cancelled() => 0,
                () = until(aside.next_at()) => continue,
            };
            if received == 0 {
                return self.end(aside).await;
            }
            self.gather(&mut group).await;
            self.commit(std::mem::take(&mut group), &mut aside).await;
        }
    }

    /// Waits for more, unless the group is full or the last call has been made.
    async fn gather(&mut self, group: &mut Vec<Done>) {
        let deadline = Instant::now() + GATHER;
        while group.len() < GROUP_MAX {
            let room = GROUP_MAX - group.len();
            tokio::select! {
                received = self.done.recv_many(group, room) => if received == 0 { return },
                () = tokio::time::sleep_until(deadline) => return,
                () = self.last_call.cancelled() => return,
            }
        }
    }

    async fn commit(&self, group: Vec<Done>, aside: &mut Aside) {
        let (mut outcomes, mut backs) = (Group::default(), Group::default());
        for done in group {
            match done {
                Done::Attempt(outcome, slot) => outcomes.push(*outcome, slot, Duration::ZERO),
                Done::HandBack(back, slot) => backs.push(back, slot, Duration::ZERO),
            }
        }
        self.store(outcomes, &mut aside.outcomes).await;
        self.give_back(backs, &mut aside.backs).await;
    }

    async fn give_back(&self, group: Group<HandBack>, aside: &mut Vec<Refused<HandBack>>) {
        let stored = self.store(group, aside).await;
        self.metrics.count_handed_back(stored);
    }

    /// Tries refused entries again: those that are due by `due`, or all.
    async fn try_again(&self, aside: &mut Aside, due: Option<Instant>) {
        let outcomes = take_due(&mut aside.outcomes, due);
        self.store(outcomes, &mut aside.outcomes).await;
        let backs = take_due(&mut aside.backs, due);
        self.give_back(backs, &mut aside.backs).await;
    }

    /// A last try for what was refused.
    async fn end(&self, mut aside: Aside) {
        self.try_again(&mut aside, None).await;
        let left = aside.outcomes.len() + aside.backs.len();
        if left > 0 {
            tracing::error!(
                count = left,
                "the database refused these to the end; their mails are tried again when the lease lapses"
            );
        }
    }

    /// Stores a group, and sets aside what the database refuses. Returns how many were stored.
    async fn store<T: Entry>(&self, group: Group<T>, aside: &mut Vec<Refused<T>>) -> usize {
        let mut stored = 0;
        let mut groups = vec![group];
        while let Some(mut group) = groups.pop() {
            let count = group.entries.len();
            if count == 0 {
                continue;
            }
            match self.until_decided(&group.entries).await {
                Ok(true) => stored += count,
                Ok(false) => {}
                Err(error) if count > 1 => {
                    tracing::warn!(%error, count, what = T::WHAT, "the database refuses a group; its halves are tried");
                    let second = group.split_off(count / 2);
                    groups.extend([second, group]);
                }
                Err(error) => {
                    for (entry, (slot, pause)) in group.entries.into_iter().zip(group.held) {
                        let pause = (pause * 2).clamp(REFUSED_PAUSE_MIN, REFUSED_PAUSE_MAX);
                        let key = entry.key();
                        tracing::error!(message_id = %key.message_id, account_id = key.account_id, number = key.number,
                            %error, again_in = ?pause, what = T::WHAT, "the database refuses this; it is tried again");
                        aside.push(Refused { entry, slot, pause, again_at: Instant::now() + pause });
                    }
                }
            }
        }
        stored
    }

    /// Repeats a commit until it succeeds, fails for good, or is abandoned (`false`).
    async fn until_decided<T: Entry>(&self, group: &[T]) -> Result<bool, StoreError> {
        let (count, what) = (group.len(), T::WHAT);
        let mut pause = PAUSE_MIN;
        loop {
            let Err(error) = T::store(&*self.spool, group).await else {
                self.metrics.count_commit(true);
                return Ok(true);
            };
            self.metrics.count_commit(false);
            if !error.is_transient() {
                return Err(error);
            }
            tracing::error!(%error, count, what, "a commit failed; it is repeated until it succeeds");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.abandon.cancelled() => {
                    tracing::error!(%error, count, what, "not committed before the stop; the mails are tried again");
                    return Ok(false);
                }
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// Takes what is to be tried again by `due`; `None`: all.
fn take_due<T>(aside: &mut Vec<Refused<T>>, due: Option<Instant>) -> Group<T> {
    let mut group = Group::default();
    let (take, keep) = std::mem::take(aside)
        .into_iter()
        .partition::<Vec<_>, _>(|refused| due.is_none_or(|due| refused.again_at <= due));
    *aside = keep;
    for refused in take {
        match due {
            Some(_) if group.entries.len() >= REFUSED_AT_ONCE => aside.push(refused),
            _ => group.push(refused.entry, refused.slot, refused.pause),
        }
    }
    group
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
