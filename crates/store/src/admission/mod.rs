//! The one place where mail is accepted: group commit of quota, charge and spool.
//!
//! Requests from every door wait in one line. The committer takes what has gathered (up to [`BATCH_MAX`]), loads
//! the rows of the accounts concerned, runs the pure `domain` rules on them in order, writes back what changed
//! and commits once; then it answers all. While one batch is being flushed the next gathers, so batches grow by
//! themselves with load and are small when idle. A request is answered with success only after the commit that
//! holds its content, its quota use and its charge (design, decision 1).
//!
//! If the commit fails, every request of the batch is told so and nothing of it is kept.

mod batch;
mod listed;
mod write;

pub(crate) use batch::still_charged;
pub(crate) use write::enqueue_unpaid;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use indicia_domain::ledger::charge::Charge;
use indicia_domain::mail::Via;
use indicia_domain::mail::admission::{Policy, Refusal};
use indicia_domain::mail::recipient::Recipient;
use indicia_domain::mail::suppression::ListedCounts;
use indicia_domain::time::UnixMicros;
use sqlx::AnyConnection;
use tokio::sync::{mpsc, oneshot, watch};

use crate::invalid::Listed;
use crate::queue::{QueuedMail, QueuedRecipient};
use crate::{Result, Store, StoreError};

/// Requests that one commit takes at most, and bytes of content.
pub const BATCH_MAX: usize = 256;
const BATCH_BYTES_MAX: usize = 16 << 20;
/// Requests that may wait before intake is told to come again later.
const LINE_MAX: usize = 4_096;

/// A message that its door has found good and complete: what remains is quota, charge and commit.
#[derive(Clone, Debug)]
pub struct Submission {
    /// From [`Store::next_id`]; the content's trace header already carries it.
    pub message_id: i64,
    pub account_id: i64,
    pub sender_id: i64,
    pub domain_id: i64,
    pub via: Via,
    /// The sender address, as shown in the log.
    pub mail_from: String,
    pub subject: String,
    /// Empty: none.
    pub tag: String,
    /// Unique (R01), not empty.
    pub recipients: Vec<Recipient>,
    /// What goes on the wire, less the signature.
    pub content: Bytes,
    /// The dedicated IP pool that it goes out by.
    pub ip_pool_id: Option<i64>,
    pub idempotency: Option<IdempotencyKey>,
    pub nonce: Option<Nonce>,
}

impl Submission {
    /// PostgreSQL's texts hold no NUL. The doors refuse it; what still brings one is shown with the replacement
    /// character rather than refused in the middle of a batch.
    fn without_nul(&mut self) {
        for text in [&mut self.mail_from, &mut self.subject, &mut self.tag] {
            if text.contains('\0') {
                *text = text.replace('\0', "\u{fffd}");
            }
        }
    }
}

/// R26: a client's key for a request, and a hash of what the request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    pub key: String,
    /// Hex SHA-256 of the request without anything that we generate.
    pub content_hash: String,
}

/// A signed request's nonce, kept with what the request wrote, so that no node and no restart forgets it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Nonce {
    pub access_key_id: String,
    pub nonce: String,
}

/// What became of a submission.
#[derive(Clone, Debug)]
pub enum Admitted {
    Accepted(Acceptance),
    /// The idempotency key was seen before with the same content: the first answer again, no second mail.
    Replayed {
        message_id: i64,
    },
}

impl Admitted {
    pub fn message_id(&self) -> i64 {
        match self {
            Admitted::Accepted(acceptance) => acceptance.message_id,
            Admitted::Replayed { message_id } => *message_id,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Acceptance {
    pub message_id: i64,
    pub accepted_at: UnixMicros,
    pub charges: Vec<Charge>,
    /// Indexes of recipients refused because a list names them (R03); not counted, not charged.
    pub refused: Vec<(usize, Listed)>,
}

/// Why a submission was not accepted. Nothing of it is kept.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubmitError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Every recipient is on a list (R03); by their index.
    #[error("no recipient is left: {}", .refused.iter().map(|(_, listed)| *listed).collect::<ListedCounts>())]
    Listed { refused: Vec<(usize, Listed)> },
    #[error("there is no account {0}")]
    NoAccount(i64),
    #[error("the idempotency key was used before for another request; use a new key for a new mail")]
    IdempotencyConflict,
    #[error("the request's nonce was used before; sign the request anew")]
    NonceReplayed,
    #[error("too many requests wait to be accepted; try again in a moment")]
    Overloaded,
    #[error("the mail could not be made durable, so it was not accepted; try again ({0})")]
    Store(Arc<StoreError>),
}

/// Where accepted mail can go at once, without a detour through the queue: the delivery of this process.
pub trait Handoff: Send + Sync + 'static {
    /// Whether there is room for so many recipients and bytes; room that is promised is kept for them.
    fn reserve(&self, recipients: usize, bytes: usize) -> bool;
    /// The mail, leased to this node; after the commit.
    fn deliver(&self, mail: QueuedMail);
    /// Gives promised room back: the commit failed.
    fn release(&self, recipients: usize, bytes: usize);
    /// Mails were accepted that have to be claimed: whoever claims looks at the queue now. After the commit.
    fn look_at_queue(&self) {}
}

struct Waiting {
    submission: Submission,
    answer: oneshot::Sender<Result<Admitted, SubmitError>>,
}

/// The line in front of the committer. Cheap to clone.
#[derive(Clone)]
pub struct Admission {
    line: mpsc::Sender<Waiting>,
    closing: Arc<watch::Sender<bool>>,
}

impl Admission {
    /// Starts the committer. It ends, after the last batch, when it is closed or every clone is dropped.
    pub fn start(
        store: Store,
        policy: Policy,
        handoff: Option<Arc<dyn Handoff>>,
    ) -> (Admission, tokio::task::JoinHandle<()>) {
        let (line, waiting) = mpsc::channel(LINE_MAX);
        let (closing, closed) = watch::channel(false);
        let task = tokio::spawn(commit_batches(store, policy, handoff, waiting, closed));
        (Admission { line, closing: Arc::new(closing) }, task)
    }

    /// Takes nothing more. What waits already is still decided and answered, then the committer ends.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Waits until the submission is durable, counted and charged, or refused.
    pub async fn submit(&self, mut submission: Submission) -> Result<Admitted, SubmitError> {
        submission.without_nul();
        let (answer, answered) = oneshot::channel();
        self.line.try_send(Waiting { submission, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SubmitError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => SubmitError::Store(Arc::new(StoreError::Closed)),
        })?;
        answered.await.unwrap_or_else(|_| Err(SubmitError::Store(Arc::new(StoreError::Closed))))
    }
}

/// The next request; `None` when there will be none.
async fn next(waiting: &mut mpsc::Receiver<Waiting>, closed: &mut watch::Receiver<bool>) -> Option<Waiting> {
    tokio::select! {
        biased;
        // An error means that every clone is gone, which the line itself tells.
        true = async { closed.wait_for(|closed| *closed).await.is_ok() } => {
            waiting.close();
            waiting.recv().await
        }
        first = waiting.recv() => first,
    }
}

async fn commit_batches(
    store: Store,
    policy: Policy,
    handoff: Option<Arc<dyn Handoff>>,
    mut waiting: mpsc::Receiver<Waiting>,
    mut closed: watch::Receiver<bool>,
) {
    let mut gathered = Vec::with_capacity(BATCH_MAX);
    while let Some(first) = next(&mut waiting, &mut closed).await {
        gathered.push(first);
        // The transaction first: while this one waits for the writer, more requests gather for it.
        let transaction = store.begin_batch().await;
        let mut bytes = gathered[0].submission.content.len();
        while gathered.len() < BATCH_MAX && bytes < BATCH_BYTES_MAX {
            let Ok(next) = waiting.try_recv() else { break };
            bytes += next.submission.content.len();
            gathered.push(next);
        }
        let (submissions, answers): (Vec<_>, Vec<_>) =
            gathered.drain(..).map(|waiting| (waiting.submission, waiting.answer)).unzip();
        let results = commit(&store, &policy, handoff.as_deref(), transaction, submissions).await;
        for (answer, result) in answers.into_iter().zip(results) {
            // Whoever asked may have gone (a broken connection); the mail stays accepted and charged.
            let _ = answer.send(result);
        }
    }
}

/// Commits one batch and answers each of its requests, in order.
///
/// A transient failure (a deadlock, a lock held by the command line) is tried again. Any other is one request's
/// fault: the batch is halved, so that nobody else is refused for it.
async fn commit(
    store: &Store,
    policy: &Policy,
    handoff: Option<&dyn Handoff>,
    begun: Result<batch::Begun>,
    submissions: Vec<Submission>,
) -> Vec<Result<Admitted, SubmitError>> {
    let mut results: Vec<Option<Result<Admitted, SubmitError>>> = submissions.iter().map(|_| None).collect();
    let mut first = Some(begun);
    let mut open = vec![(0..submissions.len()).collect::<Vec<usize>>()];
    while let Some(places) = open.pop() {
        let mut places = places;
        let mut tries = 0;
        while !places.is_empty() {
            tries += 1;
            let part = match places.len() == submissions.len() {
                true => Cow::Borrowed(&submissions[..]),
                false => Cow::Owned(places.iter().map(|place| submissions[*place].clone()).collect()),
            };
            let begun = match first.take() {
                Some(begun) => begun,
                None => store.begin_batch().await,
            };
            let error = match run(store, policy, handoff, begun, &part).await {
                Ok(answers) => {
                    places.iter().zip(answers).for_each(|(place, answer)| results[*place] = Some(answer));
                    break;
                }
                Err(error) => error,
            };
            tracing::warn!(%error, mails = part.len(), tries, "a batch could not be committed");
            places.retain(|place| {
                let kept = error.kept.contains(&submissions[*place].message_id);
                if kept {
                    let message_id = submissions[*place].message_id;
                    results[*place] = Some(Ok(Admitted::Replayed { message_id }));
                }
                !kept
            });
            let again = error.source.is_transient() || error.source.is_unique_violation();
            if again && tries < TRIES_MAX {
                continue;
            }
            if !again && places.len() > 1 {
                open.push(places.split_off(places.len() / 2));
                open.push(places);
                break;
            }
            for place in places.drain(..) {
                results[place] = Some(Err(SubmitError::Store(error.source.clone())));
            }
        }
    }
    let closed = || Err(SubmitError::Store(Arc::new(StoreError::Closed)));
    results.into_iter().map(|result| result.unwrap_or_else(closed)).collect()
}

/// Times that a batch is tried.
const TRIES_MAX: usize = 3;

/// A batch that was not answered, and what of it the database has all the same.
struct Unanswered {
    source: Arc<StoreError>,
    kept: Vec<i64>,
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.source.fmt(f)
    }
}

/// Runs one batch. When the connection breaks during the commit, the commit may have happened though nobody was
/// told: what is there then was accepted and charged, and is freed for delivery, since it was handed to nobody.
async fn run(
    store: &Store,
    policy: &Policy,
    handoff: Option<&dyn Handoff>,
    begun: Result<batch::Begun>,
    part: &[Submission],
) -> Result<Vec<Result<Admitted, SubmitError>>, Unanswered> {
    let unanswered = |error, kept| Unanswered { source: Arc::new(error), kept };
    let begun = begun.map_err(|error| unanswered(error, Vec::new()))?;
    let node = begun.node;
    match batch::Batch::run(store, policy, handoff, begun, part).await {
        Ok(answers) => Ok(answers),
        Err(error) => {
            let kept = batch::kept_after_all(store, part, node).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "whether a broken commit happened could not be found out");
                Vec::new()
            });
            Err(unanswered(error, kept))
        }
    }
}

impl Nonce {
    /// Keeps the nonce; `false` when it is known already.
    pub(crate) async fn keep(&self, connection: &mut AnyConnection, now: UnixMicros) -> Result<bool> {
        let done = sqlx::query("INSERT INTO api_nonce (access_key_id, nonce, seen_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(self.access_key_id.clone())
            .bind(self.nonce.clone())
            .bind(now.0)
            .execute(connection)
            .await?;
        Ok(done.rows_affected() == 1)
    }
}

impl Store {
    /// Forgets nonces that are too old to be accepted anyway.
    pub async fn forget_nonces_before(&self, before: UnixMicros) -> Result<u64> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query("DELETE FROM api_nonce WHERE seen_at < $1")
            .bind(before.0)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    }
}

/// The mail of one accepted submission, for delivery.
fn queued_mail(submission: &Submission, acceptance: &Acceptance, day: i64) -> QueuedMail {
    let refused: Vec<usize> = acceptance.refused.iter().map(|(index, _)| *index).collect();
    let recipients = submission.recipients.iter().enumerate().filter(|(index, _)| !refused.contains(index));
    QueuedMail {
        account_id: submission.account_id,
        message_id: submission.message_id,
        sender_id: submission.sender_id,
        domain_id: submission.domain_id,
        tag: submission.tag.as_str().into(),
        day,
        accepted_at: acceptance.accepted_at,
        size_bytes: submission.content.len(),
        recipient_count: submission.recipients.len(),
        content: Some(submission.content.clone()),
        recipients: recipients
            .map(|(index, recipient)| QueuedRecipient {
                number: index as i64,
                address: recipient.address.clone(),
                domain: recipient.domain.clone(),
                attempts: 0,
                place: None,
            })
            .collect(),
    }
}
