//! Commits outcomes in groups: all that has gathered while the last commit ran goes into the next.
//!
//! Connections go on with other mails meanwhile. A commit that fails is repeated, unchanged, until it
//! succeeds: an outcome that the remote has confirmed is never dropped, since to drop it would be to send
//! the mail twice. What waits here holds its place in the window, so that a database that is down brings
//! delivery to a halt instead of filling the memory.

use std::sync::Arc;
use std::time::Duration;

use indicia_store::StoreError;
use indicia_store::outcome::Outcome;
use indicia_store::queue::HandBack;
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

impl Committer {
    /// Runs until the last call has been answered.
    pub(crate) async fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP_MAX);
        loop {
            let received = tokio::select! {
                biased;
                received = self.done.recv_many(&mut group, GROUP_MAX) => received,
                () = self.last_call.cancelled() => 0,
            };
            if received == 0 {
                return;
            }
            self.gather(&mut group).await;
            self.commit(std::mem::take(&mut group)).await;
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

    async fn commit(&self, group: Vec<Done>) {
        let (mut attempts, mut backs): (Vec<Outcome>, Vec<HandBack>) =
            (Vec::with_capacity(group.len()), vec![]);
        let mut slots: Vec<Slot> = Vec::with_capacity(group.len());
        for done in group {
            match done {
                Done::Attempt(outcome, slot) => {
                    attempts.push(*outcome);
                    slots.push(slot);
                }
                Done::HandBack(back, slot) => {
                    backs.push(back);
                    slots.push(slot);
                }
            }
        }
        if !attempts.is_empty() {
            self.until_done("outcomes", attempts.len(), || self.spool.commit(&attempts)).await;
        }
        if !backs.is_empty() {
            self.until_done("mails given back", backs.len(), || self.spool.hand_back(&backs)).await;
            self.metrics.count_handed_back(backs.len());
        }
    }

    async fn until_done<F>(&self, what: &str, count: usize, mut commit: impl FnMut() -> F)
    where
        F: Future<Output = Result<(), StoreError>>,
    {
        let mut pause = PAUSE_MIN;
        loop {
            let Err(error) = commit().await else {
                self.metrics.count_commit(true);
                return;
            };
            self.metrics.count_commit(false);
            tracing::error!(%error, count, what, "a commit failed; it is repeated until it succeeds");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.abandon.cancelled() => {
                    tracing::error!(%error, count, what, "not committed before the stop; the mails are tried again");
                    return;
                }
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}
