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

#[derive(Default)]
struct Counters {
    requests: AtomicU64,
    stop: AtomicBool,
}

pub async fn measure(options: Options) -> Result<serde_json::Value, Fault> {
    let store = options.database.open().await?;
    let accounts = Arc::new(accounts_with_package(&store, options.accounts).await?);
    let (admission, committer) = Admission::start(store.clone(), policy(), None);
    let counters = Arc::new(Counters::default());
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
                counters.requests.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<(), Fault>(())
        }));
    }
    tokio::time::sleep(Duration::from_secs_f64(options.warm_up_seconds)).await;
    let (began, before) = (Instant::now(), counters.requests.load(Ordering::Relaxed));
    tokio::time::sleep(Duration::from_secs_f64(options.seconds)).await;
    let (requests, seconds) =
        (counters.requests.load(Ordering::Relaxed) - before, began.elapsed().as_secs_f64());
    counters.stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await??;
    }
    drop(admission);
    committer.await?;
    let all = counters.requests.load(Ordering::Relaxed) * options.recipients as u64;
    let violations = check(&store, &accounts, all).await?;
    store.close().await;
    let per_second = requests as f64 / seconds;
    Ok(json!({
        "requests_per_s": per_second,
        "deductions_per_s": per_second * options.recipients as f64,
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
