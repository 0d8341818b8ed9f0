//! The load: mails accepted at an even rate and delivered at once, some of them to addresses that do not exist.
//!
//! Acceptance goes through the group commit, as the doors do it; delivery claims what is due, in groups of the size that
//! the server claims, and commits the outcomes together. Two of the accounts turn bad at a given second. Besides the
//! load, the delivery asks the brake's own rule after each commit whether what is committed of a bad account would be
//! enough: from that instant on the brake could have known.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use indicia_bench::database::{Fault, policy};
use indicia_domain::mail::Via;
use indicia_domain::mail::admission::Refusal;
use indicia_domain::mail::provider::Provider;
use indicia_domain::mail::recipient::Recipient;
use indicia_domain::outcome::{ErrorClassification, Phase, Verdict};
use indicia_domain::quota::brake::{Readings, Window, brake};
use indicia_domain::quota::evidence::Counts;
use indicia_domain::quota::policy::QuotaPolicy;
use indicia_domain::time::UnixMicros;
use indicia_store::Store;
use indicia_store::admission::{Admission, Submission, SubmitError};
use indicia_store::outcome::Outcome;
use indicia_store::queue::{MailKey, QueuedMail};
use tokio::sync::Semaphore;

/// As delivery claims and commits.
const CLAIM_RECIPIENTS: i64 = 512;
const CLAIM_BYTES: i64 = 16 << 20;
const GATHER: Duration = Duration::from_millis(50);
/// Requests that wait for their commit at most; with more the load falls behind, which the rate then shows.
const IN_FLIGHT_MAX: usize = 2_000;
const TICK: Duration = Duration::from_millis(5);
const CONTENT_BYTES: usize = 200;
/// One mail in so many of a good account goes to an address that does not exist.
const GOOD_INVALID_EVERY: u64 = 100;
const INVALID_LOCAL_PART: &str = "gone";
const DELIVERED_REPLY: &str = "250 2.0.0 OK";
const INVALID_REPLY: &str = "550 5.1.1 no such user";

/// An account that turns bad.
pub struct Bad {
    pub account_id: i64,
    pub mails_per_s: u64,
    /// Mails accepted so far.
    pub accepted: AtomicU64,
    seen: Mutex<Seen>,
}

/// What is committed of a bad account.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    counts: Counts,
    /// After the commit of the first bad outcome: when, and how many mails were accepted by then.
    pub first_bad: Option<(UnixMicros, u64)>,
    /// After the commit with which the evidence was enough for the brake.
    pub enough: Option<(UnixMicros, u64)>,
}

impl Bad {
    pub fn new(account_id: i64, mails_per_s: u64) -> Bad {
        Bad { account_id, mails_per_s, accepted: AtomicU64::new(0), seen: Mutex::default() }
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every recipient is another, so there are as many as mails. The run is shorter than the shortest window, which is
    /// then all that there is.
    fn note(&self, policy: &QuotaPolicy, outcomes: &[Outcome], now: UnixMicros) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for outcome in outcomes.iter().filter(|outcome| outcome.key.account_id == self.account_id) {
            match outcome.verdict == Verdict::DELIVERED {
                true => seen.counts.delivered += 1,
                false => seen.counts.invalid += 1,
            }
        }
        let accepted = self.accepted.load(Ordering::Relaxed);
        if seen.counts.invalid > 0 && seen.first_bad.is_none() {
            seen.first_bad = Some((now, accepted));
        }
        let minutes = policy.brake_windows_minutes[0];
        let window = Window { minutes, counts: seen.counts, blamed: 0, accused: 0 };
        let readings = Readings { recipients: accepted as i64, windows: vec![window] };
        if seen.enough.is_none() && brake(policy, &readings).is_some() {
            seen.enough = Some((now, accepted));
        }
    }
}

pub struct Traffic {
    pub store: Store,
    pub good: Vec<i64>,
    pub bad: Vec<Arc<Bad>>,
    pub mails_per_s: u64,
    pub turn_at: Duration,
    /// Of a bad account's mails, one in so many goes to an address that does not exist.
    pub bad_invalid_every: u64,
    pub accepted: AtomicU64,
    pub refused: AtomicU64,
    pub decided: AtomicU64,
    /// Nothing more is to be sent.
    pub stop: AtomicBool,
    /// Everything that was sent is answered.
    pub all_answered: AtomicBool,
}

impl Traffic {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Who sends mail number `slot`: each bad account an even share of every second, the good ones in turns.
    fn sender_of(&self, slot: u64) -> (i64, Option<&Arc<Bad>>) {
        let in_second = slot % self.mails_per_s;
        for (place, bad) in self.bad.iter().enumerate() {
            let every = self.mails_per_s / bad.mails_per_s;
            if in_second % every == place as u64 {
                return (bad.account_id, Some(bad));
            }
        }
        (self.good[(slot % self.good.len() as u64) as usize], None)
    }

    /// Submits mails at the rate until it is stopped, and waits for their answers.
    pub async fn accept(self: Arc<Self>) -> Result<(), Fault> {
        let (admission, committer) = Admission::start(self.store.clone(), policy(), None);
        let room = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
        let failure = Arc::new(Mutex::new(None));
        let (began, mut slot) = (Instant::now(), 0);
        let content = Bytes::from(vec![b'x'; CONTENT_BYTES]);
        let mut sent_of_bad: HashMap<i64, u64> = HashMap::new();
        while !self.stopped() {
            tokio::time::sleep(TICK).await;
            let due = (began.elapsed().as_secs_f64() * self.mails_per_s as f64) as u64;
            while slot < due && !self.stopped() {
                let (account_id, bad) = self.sender_of(slot);
                let is_invalid = match bad {
                    None => mail_of_good(slot, self.good.len()).is_multiple_of(GOOD_INVALID_EVERY),
                    Some(_) if began.elapsed() < self.turn_at => false,
                    Some(bad) => {
                        let sent = sent_of_bad.entry(bad.account_id).or_default();
                        *sent += 1;
                        sent.is_multiple_of(self.bad_invalid_every)
                    }
                };
                let mail = submission(&self.store, account_id, slot, is_invalid, content.clone()).await?;
                let permit = room.clone().acquire_owned().await?;
                let (this, bad) = (self.clone(), bad.cloned());
                let (admission, failure) = (admission.clone(), failure.clone());
                tokio::spawn(async move {
                    let answer = admission.submit(mail).await;
                    if let Err(error) = this.count(answer.map(|_| ()), bad.as_deref()) {
                        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                        this.stop.store(true, Ordering::Relaxed);
                    }
                    drop(permit);
                });
                slot += 1;
            }
        }
        let _all_answered = room.acquire_many(IN_FLIGHT_MAX as u32).await?;
        drop(admission);
        committer.await?;
        let failed = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    fn count(&self, answer: Result<(), SubmitError>, bad: Option<&Bad>) -> Result<(), SubmitError> {
        match (answer, bad) {
            (Ok(()), bad) => {
                self.accepted.fetch_add(1, Ordering::Relaxed);
                bad.map(|bad| bad.accepted.fetch_add(1, Ordering::Relaxed));
                Ok(())
            }
            (Err(SubmitError::Refused(Refusal::Paused(_))), Some(_)) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Claims and commits until everything is answered and nothing is left in the queue.
    pub async fn deliver(self: Arc<Self>) -> Result<(), Fault> {
        let quota_policy = self.store.quota_policy();
        loop {
            let is_last = self.all_answered.load(Ordering::Relaxed);
            let mails = self.store.claim(CLAIM_RECIPIENTS, CLAIM_BYTES).await?;
            let outcomes: Vec<Outcome> =
                mails.iter().flat_map(|mail| outcomes_of(mail, self.store.now())).collect();
            self.store.commit_outcomes(&outcomes).await?;
            let now = self.store.now();
            for bad in &self.bad {
                bad.note(&quota_policy, &outcomes, now);
            }
            self.decided.fetch_add(outcomes.len() as u64, Ordering::Relaxed);
            if outcomes.is_empty() && is_last {
                return Ok(());
            }
            if (outcomes.len() as i64) < CLAIM_RECIPIENTS {
                tokio::time::sleep(GATHER).await;
            }
        }
    }
}

/// Which of its own mails a good account sends with `slot`, about.
fn mail_of_good(slot: u64, accounts: usize) -> u64 {
    slot / accounts as u64 + slot % accounts as u64
}

/// A mail to a recipient of its own.
async fn submission(
    store: &Store,
    account_id: i64,
    slot: u64,
    is_invalid: bool,
    content: Bytes,
) -> Result<Submission, Fault> {
    let name = if is_invalid { INVALID_LOCAL_PART } else { "user" };
    let domain = match Provider::ALL[(slot % Provider::ALL.len() as u64) as usize] {
        Provider::Others => "example.net",
        provider => provider.as_str(),
    };
    Ok(Submission {
        message_id: store.next_id().await?,
        account_id,
        sender_id: 1,
        domain_id: 1,
        via: Via::Api,
        mail_from: "news@example.org".to_owned(),
        subject: "Bench".to_owned(),
        tag: "bench".to_owned(),
        recipients: vec![Recipient::new(&format!("{name}{slot}"), domain, domain)],
        content,
        ip_pool_id: None,
        idempotency: None,
        nonce: None,
    })
}

fn outcomes_of(mail: &QueuedMail, now: UnixMicros) -> impl Iterator<Item = Outcome> + '_ {
    mail.recipients.iter().map(move |recipient| {
        let is_invalid = recipient.address.starts_with(INVALID_LOCAL_PART);
        let (verdict, code, reply) = match is_invalid {
            true => (Verdict::permanent(ErrorClassification::SmtpNxBox), 550, INVALID_REPLY),
            false => (Verdict::DELIVERED, 250, DELIVERED_REPLY),
        };
        Outcome {
            key: MailKey {
                account_id: mail.account_id,
                message_id: mail.message_id,
                number: recipient.number,
            },
            address: recipient.address.clone(),
            sender_id: mail.sender_id,
            domain_id: mail.domain_id,
            tag: mail.tag.clone(),
            day: mail.day,
            accepted_at: mail.accepted_at,
            recipient_count: mail.recipient_count,
            attempts: 1,
            started_at: now,
            finished_at: now,
            remote_host: "mx.example.net".to_owned(),
            remote_address: "127.0.0.1:25".to_owned(),
            local_address: "127.0.0.1".to_owned(),
            tls: String::new(),
            phase: Phase::Final,
            verdict,
            code: Some(code),
            reply: reply.to_owned(),
            next_due_at: None,
            place: None,
        }
    })
}
