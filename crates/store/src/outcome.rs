//! The group commit of delivery attempts.
//!
//! An attempt is committed after the remote server's final reply, never before: until then a crash leaves the
//! mail in the queue, to be tried again. Of a batch, one transaction holds every attempt's line in the timeline,
//! each recipient's new state, the queue row (gone, or free again with its next due instant), the content that
//! nobody waits for any more, the day's counts, and the invalid-address library.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indicia_domain::mail::State;
use indicia_domain::outcome::{Disposition, ErrorClassification, Phase, Verdict};
use indicia_domain::quota::evidence::Counts;
use indicia_domain::quota::policy::QuotaPolicy;
use indicia_domain::time::UnixMicros;
use sqlx::{AnyConnection, AssertSqlSafe};

use crate::bulk::Bulk;
use crate::dedicated_ip::{Place, count_outcomes};
use crate::evidence::{Counted, Tally, provider_of};
use crate::invalid::{self, NewInvalid};
use crate::queue::{MailKey, drop_content_without_queue, held_leases};
use crate::report::{SpamReply, of_reply};
use crate::reversal::Reversing;
use crate::{Engine, Result, Store};

/// One attempt at one recipient's mail, ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub key: MailKey,
    pub address: String,
    pub sender_id: i64,
    pub domain_id: i64,
    /// Empty: none.
    pub tag: Arc<str>,
    /// Local day of acceptance.
    pub day: i64,
    pub accepted_at: UnixMicros,
    /// Recipients of the whole message: with one, its content goes without looking for others.
    pub recipient_count: usize,
    /// Attempts including this one.
    pub attempts: i64,
    pub started_at: UnixMicros,
    pub finished_at: UnixMicros,
    pub remote_host: String,
    pub remote_address: String,
    pub local_address: String,
    /// Empty: plain text; else protocol and cipher, and whether the certificate was verified.
    pub tls: String,
    pub phase: Phase,
    pub verdict: Verdict,
    pub code: Option<u16>,
    /// The remote server's words, or ours about what failed.
    pub reply: String,
    /// For a temporary verdict: when to try again.
    pub next_due_at: Option<UnixMicros>,
    /// The place at a dedicated address that its claim took.
    pub place: Option<Place>,
}

impl Outcome {
    /// What the recipient's mail is after this attempt.
    pub fn state(&self) -> State {
        match self.verdict.disposition {
            Disposition::Delivered => State::Delivered,
            Disposition::Temporary => State::Waiting,
            Disposition::Permanent => match self.verdict.status.code() {
                2 => State::InvalidAddress,
                3 => State::Spam,
                _ => State::Failed,
            },
        }
    }

    /// Under what it is counted.
    pub(crate) fn counted(&self) -> Counted<'_> {
        Counted {
            account_id: self.key.account_id,
            domain_id: self.domain_id,
            sender_id: self.sender_id,
            tag: &self.tag,
            provider: provider_of(&self.address),
            day: self.day,
            accepted_at: self.accepted_at,
        }
    }

    /// R03: a mail given up by our own fault is paid back.
    fn is_own_fault(&self) -> bool {
        self.verdict.disposition == Disposition::Permanent
            && self.verdict.classification == ErrorClassification::SysOutInternal
    }
}

static ATTEMPTS: Bulk = Bulk::new(
    "INSERT INTO attempt (account_id, message_id, number, attempt_id, started_at, finished_at, node_id, remote_host, remote_address, \
     local_address, tls, phase, disposition, classification, code, reply, next_due_at) VALUES",
    "($, $, $, $, $, $, $, $, $, $, $, $, $, $, $, $, $)",
    "ON CONFLICT DO NOTHING",
);
static RECIPIENTS: Bulk = Bulk::new(
    "INSERT INTO recipient (account_id, message_id, number, state, classification, reply, attempts, updated_at, address, address_key) VALUES",
    "($, $, $, $, $, $, $, $, '', '')",
    "ON CONFLICT (account_id, message_id, number) DO UPDATE SET state = excluded.state, classification = excluded.classification, \
     reply = excluded.reply, attempts = excluded.attempts, updated_at = excluded.updated_at",
);
static DEFERRED: Bulk = Bulk::new(
    "INSERT INTO queue (account_id, message_id, number, due_at, attempts, reason, domain, lease_node, accepted_at, size_bytes) VALUES",
    "($, $, $, $, $, $, '', 0, 0, 0)",
    "ON CONFLICT (account_id, message_id, number) DO UPDATE SET lease_node = 0, due_at = excluded.due_at, \
     attempts = excluded.attempts, reason = excluded.reason",
);
static DONE: Bulk =
    Bulk::any_of("DELETE FROM queue WHERE", "(account_id = $ AND message_id = $ AND number = $)");
static CONTENT: Bulk = Bulk::any_of("DELETE FROM content WHERE", "(account_id = $ AND message_id = $)");

impl Store {
    /// Commits a batch of attempts. After an error the same batch can be given again, even if it had been kept and
    /// only the answer was lost: nothing is counted or reversed twice.
    ///
    /// A mail whose queue row is no longer this node's (its lease was taken while the node slept) gets its line in
    /// the timeline, since the attempt was made, but its fate is the new holder's to decide, unless this attempt
    /// delivered it while it still waited.
    pub async fn commit_outcomes(&self, outcomes: &[Outcome]) -> Result<()> {
        if outcomes.is_empty() {
            return Ok(());
        }
        let node = self.node_id().await?;
        let mut transaction = self.begin().await?;
        // Accounts first and in order, as admission locks them, so that the two never wait in a circle.
        let mut accounts = self.accounts_at_fault(&mut transaction, outcomes).await?;
        let keys: Vec<_> = outcomes.iter().map(|outcome| outcome.key).collect();
        let mut decided = held_leases(self.engine(), &mut transaction, &keys, node).await?;
        let late: Vec<_> = outcomes
            .iter()
            .filter(|outcome| {
                outcome.verdict.disposition == Disposition::Delivered && !decided.contains(&outcome.key)
            })
            .map(|outcome| outcome.key)
            .collect();
        decided.extend(self.still_waiting(&mut transaction, &late).await?);
        let mut deciding: Vec<&Outcome> =
            outcomes.iter().filter(|outcome| decided.contains(&outcome.key)).collect();
        deciding.sort_by_key(|outcome| outcome.key);
        for outcome in deciding.iter().filter(|outcome| outcome.is_own_fault()) {
            if let Some(account) = accounts.get_mut(&outcome.key.account_id) {
                let (message_id, accepted_at) = (outcome.key.message_id, outcome.accepted_at);
                let memo = "given up by our own fault";
                account.reverse(&mut transaction, message_id, accepted_at, 1, memo).await?;
            }
        }
        write_attempts(&mut transaction, outcomes, node).await?;
        write_recipients(&mut transaction, &deciding).await?;
        write_queue(self.engine(), &mut transaction, &deciding).await?;
        let replies: Vec<SpamReply> = deciding.iter().filter_map(|outcome| SpamReply::of(outcome)).collect();
        let judged = of_reply(&mut transaction, &replies).await?;
        tally(&self.quota_policy(), &deciding, &judged, self.now()).write(&mut transaction).await?;
        count_outcomes(&mut transaction, &deciding).await?;
        let invalid: Vec<_> = deciding
            .iter()
            .filter(|outcome| outcome.verdict.enters_invalid_library())
            .map(|outcome| new_invalid(outcome))
            .collect();
        let entered = !invalid.is_empty();
        invalid::enter(&mut transaction, invalid).await?;
        transaction.commit().await?;
        if entered {
            self.invalid_library_changed();
        }
        Ok(())
    }

    /// Locks the accounts that are paid back for what we gave up ourselves.
    async fn accounts_at_fault(
        &self,
        connection: &mut AnyConnection,
        outcomes: &[Outcome],
    ) -> Result<BTreeMap<i64, Reversing>> {
        let faults = outcomes.iter().filter(|outcome| outcome.is_own_fault());
        let ids: BTreeSet<i64> = faults.map(|outcome| outcome.key.account_id).collect();
        let mut accounts = BTreeMap::new();
        for account_id in ids {
            if let Some(account) = Reversing::load(self, connection, account_id).await? {
                accounts.insert(account_id, account);
            }
        }
        Ok(accounts)
    }

    /// Which of `keys` nobody has decided about yet.
    async fn still_waiting(&self, connection: &mut AnyConnection, keys: &[MailKey]) -> Result<Vec<MailKey>> {
        let mut sorted = keys.to_vec();
        sorted.sort_unstable();
        let mut waiting = Vec::new();
        for key in sorted {
            let sql = format!(
                "SELECT 1 FROM recipient WHERE account_id = $1 AND message_id = $2 AND number = $3 AND state = $4{}",
                self.engine().for_update()
            );
            let row = sqlx::query(AssertSqlSafe(sql))
                .bind(key.account_id)
                .bind(key.message_id)
                .bind(key.number)
                .bind(State::Waiting as i64)
                .fetch_optional(&mut *connection)
                .await?;
            waiting.extend(row.map(|_| key));
        }
        Ok(waiting)
    }
}

fn new_invalid(outcome: &Outcome) -> NewInvalid {
    let (local, domain) = outcome.address.rsplit_once('@').unwrap_or((&outcome.address, ""));
    NewInvalid {
        account_id: outcome.key.account_id,
        address_key: indicia_domain::mail::recipient::key_of(local, domain),
        address: outcome.address.clone(),
        at: outcome.finished_at,
        message_id: outcome.key.message_id,
        reply: outcome.reply.clone(),
    }
}

/// The same for the same attempt, so that a batch that is given again adds no second line: when it began, and which
/// one it was.
fn attempt_id(outcome: &Outcome) -> i64 {
    (outcome.started_at.0 << 6) | (outcome.attempts & 63)
}

async fn write_attempts(connection: &mut AnyConnection, outcomes: &[Outcome], node: i64) -> Result<()> {
    ATTEMPTS
        .run(connection, outcomes, |query, outcome| {
            query
                .bind(outcome.key.account_id)
                .bind(outcome.key.message_id)
                .bind(outcome.key.number)
                .bind(attempt_id(outcome))
                .bind(outcome.started_at.0)
                .bind(outcome.finished_at.0)
                .bind(node)
                .bind(outcome.remote_host.clone())
                .bind(outcome.remote_address.clone())
                .bind(outcome.local_address.clone())
                .bind(outcome.tls.clone())
                .bind(outcome.phase.as_str())
                .bind(outcome.verdict.disposition.as_str())
                .bind(outcome.verdict.classification.as_str())
                .bind(outcome.code.map(i64::from))
                .bind(outcome.reply.clone())
                .bind(outcome.next_due_at.map(|at| at.0))
        })
        .await?;
    Ok(())
}

async fn write_recipients(connection: &mut AnyConnection, outcomes: &[&Outcome]) -> Result<()> {
    RECIPIENTS
        .run(connection, outcomes, |query, outcome| {
            query
                .bind(outcome.key.account_id)
                .bind(outcome.key.message_id)
                .bind(outcome.key.number)
                .bind(outcome.state() as i64)
                .bind(outcome.verdict.classification.as_str())
                .bind(outcome.reply.clone())
                .bind(outcome.attempts)
                .bind(outcome.finished_at.0)
        })
        .await?;
    Ok(())
}

async fn write_queue(engine: Engine, connection: &mut AnyConnection, outcomes: &[&Outcome]) -> Result<()> {
    let (deferred, done): (Vec<&Outcome>, Vec<&Outcome>) =
        outcomes.iter().partition(|outcome| outcome.verdict.disposition == Disposition::Temporary);
    DEFERRED
        .run(connection, &deferred, |query, outcome| {
            query
                .bind(outcome.key.account_id)
                .bind(outcome.key.message_id)
                .bind(outcome.key.number)
                .bind(outcome.next_due_at.unwrap_or(outcome.finished_at).0)
                .bind(outcome.attempts)
                .bind(outcome.reply.clone())
        })
        .await?;
    DONE.run(connection, &done, |query, outcome| {
        query.bind(outcome.key.account_id).bind(outcome.key.message_id).bind(outcome.key.number)
    })
    .await?;
    let (single, shared): (Vec<&Outcome>, Vec<&Outcome>) =
        done.iter().partition(|outcome| outcome.recipient_count == 1);
    CONTENT
        .run(connection, &single, |query, outcome| {
            query.bind(outcome.key.account_id).bind(outcome.key.message_id)
        })
        .await?;
    let mut shared: Vec<_> =
        shared.iter().map(|outcome| (outcome.key.account_id, outcome.key.message_id)).collect();
    shared.dedup();
    drop_content_without_queue(engine, connection, &shared).await
}

/// What became of the mails, for people and as evidence. Our own failures are no evidence.
fn tally(policy: &QuotaPolicy, outcomes: &[&Outcome], judged: &[MailKey], now: UnixMicros) -> Tally {
    let mut tally = Tally::new(policy);
    for outcome in outcomes {
        let mut change = Counts::default();
        match outcome.state() {
            State::Delivered => change.delivered = 1,
            State::InvalidAddress => change.invalid = 1,
            State::Spam => change.spam = 1,
            State::Failed => change.failed = 1,
            State::Waiting if outcome.attempts == 1 => change.deferred = 1,
            State::Waiting | State::Cancelled => continue,
        }
        let counted = outcome.counted();
        tally.add_to_day(&counted, &change);
        if !outcome.is_own_fault() {
            tally.add_to_evidence(&counted, now, &change);
        }
        if judged.contains(&outcome.key) {
            tally.judge(&counted, now);
        }
    }
    tally
}
