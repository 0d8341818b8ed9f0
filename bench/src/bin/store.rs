//! Measures the store alone: how fast mails are accepted (durable, counted, charged) and their outcomes
//! committed, without any network.
//!
//! ```text
//! cargo run --release -p indicia-bench --bin store -- --url sqlite --clients 20 --mails 20000 --size-bytes 10240
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use clap::Parser;
use indicia_bench::clock::MachineClock;
use indicia_bench::cpu::cpu_seconds;
use indicia_domain::mail::Via;
use indicia_domain::mail::admission::Policy;
use indicia_domain::mail::recipient::Recipient;
use indicia_domain::outcome::{Phase, Verdict};
use indicia_store::Store;
use indicia_store::account::NewAccount;
use indicia_store::admission::{Admission, Submission};
use indicia_store::outcome::Outcome;
use indicia_store::queue::{MailKey, QueuedMail};

#[derive(Parser)]
struct Arguments {
    /// `sqlite` or `postgres://…`
    #[arg(long, default_value = "sqlite")]
    url: String,
    /// Folder of the SQLite file; made new.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    #[arg(long, default_value_t = 20)]
    clients: usize,
    #[arg(long, default_value_t = 20_000)]
    mails: usize,
    #[arg(long, default_value_t = 10_240)]
    size_bytes: usize,
}

type Outcomes = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcomes {
    let arguments = Arguments::parse();
    let folder = std::env::temp_dir().join(format!("indicia-store-bench-{}", std::process::id()));
    let data_dir = arguments.data_dir.clone().unwrap_or(folder.clone());
    let store = Store::open(&arguments.url, &data_dir, Arc::new(MachineClock)).await?;
    let account_id = account(&store).await?;
    accept(&arguments, &store, account_id).await?;
    deliver(&arguments, &store).await?;
    let verification = store.verify_ledger().await?;
    println!("ledger: {} lines, {} violations", verification.lines, verification.violations.len());
    store.close().await;
    if arguments.data_dir.is_none() && arguments.url == "sqlite" {
        std::fs::remove_dir_all(folder)?;
    }
    Ok(())
}

async fn account(store: &Store) -> Result<i64, Box<dyn std::error::Error + Send + Sync>> {
    let number = store.next_id().await?;
    let new = NewAccount {
        name: "Bench".to_owned(),
        email: format!("bench{number}@example.org"),
        phone: String::new(),
        zone: "UTC".to_owned(),
        password_hash: String::new(),
        access_key_id: format!("bench{number}"),
        access_key_secret: String::new(),
    };
    let account_id = store.create_account(&new, &Policy::default()).await?;
    store
        .set_daily_quota(account_id, 1_000_000_000, "bench", &indicia_store::audit::Actor::system("test"))
        .await?;
    Ok(account_id)
}

async fn accept(arguments: &Arguments, store: &Store, account_id: i64) -> Outcomes {
    let (admission, committer) = Admission::start(store.clone(), Policy::default(), None);
    let content = Bytes::from(vec![b'x'; arguments.size_bytes]);
    let taken = Arc::new(AtomicUsize::new(0));
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let mut clients = Vec::new();
    for _ in 0..arguments.clients {
        let (admission, store, content, taken) =
            (admission.clone(), store.clone(), content.clone(), taken.clone());
        let mails = arguments.mails;
        clients.push(tokio::spawn(async move {
            while taken.fetch_add(1, Ordering::Relaxed) < mails {
                let message_id = store.next_id().await?;
                admission.submit(submission(account_id, message_id, content.clone())).await?;
            }
            Outcomes::Ok(())
        }));
    }
    for client in clients {
        client.await??;
    }
    report("accepted", arguments.mails, started, cpu);
    drop(admission);
    committer.await?;
    Ok(())
}

fn submission(account_id: i64, message_id: i64, content: Bytes) -> Submission {
    Submission {
        message_id,
        account_id,
        sender_id: 1,
        domain_id: 1,
        via: Via::Relay,
        mail_from: "news@example.org".to_owned(),
        subject: "Bench".to_owned(),
        tag: String::new(),
        recipients: vec![Recipient::new("someone", "example.net", "example.net")],
        content,
        ip_pool_id: None,
        idempotency: None,
        nonce: None,
    }
}

async fn deliver(arguments: &Arguments, store: &Store) -> Outcomes {
    let (started, cpu) = (Instant::now(), cpu_seconds());
    let mut done = 0;
    loop {
        let mails = store.claim(64, 64 << 20).await?;
        if mails.is_empty() {
            break;
        }
        for mail in &mails {
            store.content(mail.account_id, mail.message_id).await?.ok_or("the content is gone")?;
        }
        let outcomes: Vec<Outcome> = mails.iter().flat_map(outcomes_of).collect();
        store.commit_outcomes(&outcomes).await?;
        done += outcomes.len();
    }
    assert_eq!(done, arguments.mails, "every accepted mail was claimed once");
    report("claimed, read and committed", done, started, cpu);
    Ok(())
}

fn outcomes_of(mail: &QueuedMail) -> impl Iterator<Item = Outcome> + '_ {
    mail.recipients.iter().map(|recipient| Outcome {
        key: MailKey { account_id: mail.account_id, message_id: mail.message_id, number: recipient.number },
        address: recipient.address.clone(),
        sender_id: mail.sender_id,
        domain_id: mail.domain_id,
        tag: mail.tag.clone(),
        day: mail.day,
        accepted_at: mail.accepted_at,
        recipient_count: mail.recipient_count,
        attempts: 1,
        started_at: mail.accepted_at,
        finished_at: mail.accepted_at,
        remote_host: "mx.example.net".to_owned(),
        remote_address: "127.0.0.1:25".to_owned(),
        local_address: "127.0.0.1".to_owned(),
        tls: String::new(),
        phase: Phase::Final,
        verdict: Verdict::DELIVERED,
        code: Some(250),
        reply: "250 2.0.0 Ok".to_owned(),
        next_due_at: None,
        place: None,
    })
}

fn report(what: &str, mails: usize, started: Instant, cpu_before: f64) {
    let seconds = started.elapsed().as_secs_f64();
    let cpu = (cpu_seconds() - cpu_before) * 1_000.0 / mails as f64;
    println!("{what}: {:.0} mails/s, {cpu:.3} CPU s per 1,000", mails as f64 / seconds);
}
