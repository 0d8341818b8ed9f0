//! Deductions per second: requests through the group commit ([`Admission`]), each charged to a package.
//!
//! A deduction is one mail taken from a package. With one recipient a request, each is a ledger line of its own; with
//! more, a request's deductions from one package are one line. Everything else that acceptance does is done as well:
//! quota, content, a recipient and a queue row for each mail, kept totals, and the commit to stable storage.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use indicia_bench::cpu::cpu_seconds;
use indicia_bench::database::{Database, Fault, accounts_with_package, policy};
use indicia_domain::mail::Via;
use indicia_domain::mail::recipient::Recipient;
use indicia_store::Store;
use indicia_store::admission::{Admission, Submission};
use serde_json::json;

#[derive(Args, Clone)]
pub struct Options {
    #[command(flatten)]
    database: Database,
    #[arg(long, default_value_t = 1)]
    accounts: usize,
    #[arg(long, default_value_t = 512)]
    clients: usize,
    /// Recipients of one request.
    #[arg(long, default_value_t = 1)]
    recipients: usize,
    /// Writes to recipients that were never written to before; otherwise to the same ones again and again.
    #[arg(long)]
    new_recipients: bool,
    #[arg(long, default_value_t = 200)]
    size_bytes: usize,
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    #[arg(long, default_value_t = 1.0)]
    warm_up_seconds: f64,
}

struct Counters {
    began: Instant,
    requests: AtomicU64,
    /// When the last request was answered, since the beginning.
    answered_us: AtomicU64,
    stop: AtomicBool,
}

/// What was counted at an instant.
struct Sample {
    requests: u64,
    seconds: f64,
    cpu_seconds: f64,
}

impl Counters {
    fn new() -> Counters {
        let (requests, answered_us) = (AtomicU64::new(0), AtomicU64::new(0));
        Counters { began: Instant::now(), requests, answered_us, stop: AtomicBool::new(false) }
    }

    fn count(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let elapsed_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.answered_us.fetch_max(elapsed_us, Ordering::Relaxed);
    }

    /// As of the last answer: those of a batch come together, and a large batch takes a good part of a second, so that
    /// between two instants of the clock there could be one too many or one too few.
    fn sample(&self) -> Sample {
        Sample {
            requests: self.requests.load(Ordering::Relaxed),
            seconds: self.answered_us.load(Ordering::Relaxed) as f64 / 1e6,
            cpu_seconds: cpu_seconds(),
        }
    }
}

pub async fn measure(options: Options) -> Result<serde_json::Value, Fault> {
    let store = options.database.open().await?;
    let accounts = Arc::new(accounts_with_package(&store, options.accounts).await?);
    let (admission, committer) = Admission::start(store.clone(), policy(), None);
    let counters = Arc::new(Counters::new());
    let mut clients = Vec::new();
    for client in 0..options.clients {
        let (admission, store) = (admission.clone(), store.clone());
        let (accounts, counters, options) = (accounts.clone(), counters.clone(), options.clone());
        clients.push(tokio::spawn(async move {
            let content = Bytes::from(vec![b'x'; options.size_bytes]);
            let mut turn = client;
            while !counters.stop.load(Ordering::Relaxed) {
                let account_id = accounts[turn % accounts.len()];
                turn += options.clients;
                let mail = submission(&store, account_id, &options, content.clone()).await?;
                admission.submit(mail).await?;
                counters.count();
            }
            Ok::<(), Fault>(())
        }));
    }
    tokio::time::sleep(Duration::from_secs_f64(options.warm_up_seconds)).await;
    let before = counters.sample();
    tokio::time::sleep(Duration::from_secs_f64(options.seconds)).await;
    let after = counters.sample();
    counters.stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await??;
    }
    drop(admission);
    committer.await?;
    let all = counters.requests.load(Ordering::Relaxed) * options.recipients as u64;
    let violations = check(&store, &accounts, all).await?;
    store.close().await;
    if after.requests == before.requests {
        return Err("no request was answered in that time; measure longer (--seconds)".into());
    }
    let requests = (after.requests - before.requests) as f64;
    let (per_second, recipients) = (requests / (after.seconds - before.seconds), options.recipients as f64);
    Ok(json!({
        "requests_per_s": per_second,
        "deductions_per_s": per_second * recipients,
        "cpu_us": (after.cpu_seconds - before.cpu_seconds) * 1e6 / (requests * recipients),
        "deductions": all,
        "violations": violations,
    }))
}

/// What the packages have lost is what was answered with success; and the ledger replayed.
async fn check(store: &Store, accounts: &[i64], deductions: u64) -> Result<usize, Fault> {
    let mut consumed = 0;
    for account_id in accounts {
        let packages = store.packages(*account_id, &Default::default()).await?;
        consumed += packages.iter().map(|row| row.package.consumed()).sum::<i64>();
    }
    if consumed as u64 != deductions {
        return Err(format!("{deductions} mails were accepted, {consumed} are deducted").into());
    }
    Ok(store.verify_ledger().await?.violations.len())
}

async fn submission(
    store: &Store,
    account_id: i64,
    options: &Options,
    content: Bytes,
) -> Result<Submission, Fault> {
    let message_id = store.next_id().await?;
    let list = if options.new_recipients { message_id } else { 0 };
    let recipient = |number| Recipient::new(&format!("{number}.{list}"), "example.net", "example.net");
    Ok(Submission {
        message_id,
        account_id,
        sender_id: 1,
        domain_id: 1,
        via: Via::Api,
        mail_from: "news@example.org".to_owned(),
        subject: "Bench".to_owned(),
        tag: String::new(),
        recipients: (0..options.recipients).map(recipient).collect(),
        content,
        ip_pool_id: None,
        idempotency: None,
        nonce: None,
    })
}
