//! How many mails a second the engine moves from acceptance to a sink in the same process, through the real
//! store. `cargo run --release -p indicia-delivery --example throughput -- MAILS SIZE_BYTES sign|plain handed|queued`
//!
//! The sink, the acceptance and the store share the cores with the engine, as in production. What it prints
//! is for comparing one build with another; the comparison with other mail servers is in `bench/`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use bytes::Bytes;
use indicia_delivery::dkim::Signer;
use indicia_delivery::dns::FixedResolver;
use indicia_delivery::{Delivery, DeliveryConfig, Metrics, RouteOverride};
use indicia_domain::mail::Via;
use indicia_domain::mail::admission::Policy;
use indicia_domain::mail::recipient::Recipient;
use indicia_domain::time::{Clock, UnixMicros};
use indicia_store::Store;
use indicia_store::account::NewAccount;
use indicia_store::admission::{Admission, Handoff, Submission};
use indicia_store::directory::DkimKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Submissions that wait for their commit at the same time, as twenty connections would.
const SUBMITTERS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(300);

struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> UnixMicros {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMicros(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX))
    }
}

type Failure = Box<dyn std::error::Error>;

/// What the command line asks for.
struct Options {
    mails: usize,
    size_bytes: usize,
    sign: bool,
    /// Accept everything first, then deliver it from the queue.
    queued: bool,
}

impl Options {
    fn read() -> Result<Options, Failure> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let number = |at: usize, usual: usize| arguments.get(at).map_or(Ok(usual), |text| text.parse());
        Ok(Options {
            mails: number(0, 20_000)? / SUBMITTERS * SUBMITTERS,
            size_bytes: number(1, 10_240)?,
            sign: arguments.get(2).is_none_or(|text| text == "sign"),
            queued: arguments.get(3).is_some_and(|text| text == "queued"),
        })
    }
}

/// A store with an account that may send.
struct Bed {
    store: Store,
    account_id: i64,
    domain_id: i64,
    content: Bytes,
    _folder: tempfile::TempDir,
}

impl Bed {
    async fn prepare(options: &Options, policy: &Policy) -> Result<Bed, Failure> {
        let content = content(options.size_bytes);
        let key = KeyPair::generate(KeySize::Rsa2048)?;
        let der: Pkcs8V1Der<'_> = key.as_der()?;
        time_signature(der.as_ref(), &content)?;
        let folder = tempfile::tempdir()?;
        let store = Store::open("sqlite", folder.path(), Arc::new(WallClock)).await?;
        let account_id = store.create_account(&account(), policy).await?;
        let dkim =
            DkimKey { selector: "s1".into(), private_key: der.as_ref().to_vec(), public_key: String::new() };
        let domain_id = store.create_domain(account_id, "sender.test", "token", &dkim, 5).await?;
        Ok(Bed { store, account_id, domain_id, content, _folder: folder })
    }

    fn start_delivery(&self, sink: SocketAddr, sign: bool, metrics: &Metrics) -> Result<Delivery, Failure> {
        let route =
            RouteOverride { domain: "*".into(), host: sink.ip().to_string(), port: Some(sink.port()) };
        let config = DeliveryConfig { sign, routes: vec![route], ..DeliveryConfig::default() };
        let (store, resolver) = (Arc::new(self.store.clone()), Arc::new(FixedResolver::new()));
        Ok(Delivery::start(config, store, Arc::new(WallClock), resolver, metrics.clone())?)
    }

    async fn submit(&self, admission: &Admission, mails: usize) {
        let mut submitters = tokio::task::JoinSet::new();
        for _ in 0..SUBMITTERS {
            let (store, admission, content) = (self.store.clone(), admission.clone(), self.content.clone());
            let (account_id, domain_id) = (self.account_id, self.domain_id);
            submitters.spawn(async move {
                for _ in 0..mails / SUBMITTERS {
                    let Ok(message_id) = store.next_id().await else { return };
                    let submission = submission(account_id, domain_id, message_id, content.clone());
                    if let Err(error) = admission.submit(submission).await {
                        eprintln!("not accepted: {error}");
                        return;
                    }
                }
            });
        }
        submitters.join_all().await;
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let options = Options::read()?;
    let policy = Policy { initial_daily_quota: i64::from(i32::MAX), ..Policy::default() };
    let bed = Bed::prepare(&options, &policy).await?;
    let received = Arc::new(AtomicUsize::new(0));
    let sink = sink(received.clone()).await?;
    let metrics = Metrics::default();
    let early = match options.queued {
        true => None,
        false => Some(bed.start_delivery(sink, options.sign, &metrics)?),
    };
    let handed_to = early.as_ref().map(|delivery| Arc::new(delivery.fast_path()) as Arc<dyn Handoff>);
    let (admission, _) = Admission::start(bed.store.clone(), policy, handed_to);

    let start = Instant::now();
    bed.submit(&admission, options.mails).await;
    let accepted = start.elapsed();
    let delivery_start = if options.queued { Instant::now() } else { start };
    let delivery = match early {
        Some(delivery) => delivery,
        None => bed.start_delivery(sink, options.sign, &metrics)?,
    };
    while received.load(Ordering::Relaxed) < options.mails && start.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let delivered = delivery_start.elapsed();
    delivery.stop().await;
    let rate = |elapsed: Duration| options.mails as f64 / elapsed.as_secs_f64();
    let (mails, size_bytes, sign) = (options.mails, options.size_bytes, options.sign);
    println!(
        "{mails} mails of {size_bytes} octets, signed: {sign}, connections: {}",
        metrics.connections_opened()
    );
    println!(
        "accepted {:.0}/s, delivered {:.0}/s, outcomes {}",
        rate(accepted),
        rate(delivered),
        metrics.delivered()
    );
    println!("left in the queue: {}", bed.store.queue_length().await?.0);
    Ok(())
}

fn account() -> NewAccount {
    NewAccount {
        name: "Load".into(),
        email: "load@sender.test".into(),
        phone: String::new(),
        zone: "UTC".into(),
        password_hash: "none".into(),
        access_key_id: "ak".into(),
        access_key_secret: "secret".into(),
    }
}

fn submission(account_id: i64, domain_id: i64, message_id: i64, content: Bytes) -> Submission {
    Submission {
        message_id,
        account_id,
        sender_id: 1,
        domain_id,
        via: Via::Smtp,
        mail_from: "a@sender.test".into(),
        subject: "x".into(),
        tag: String::new(),
        recipients: vec![Recipient::new("bob", "sink.test", "sink.test")],
        content,
        ip_pool_id: None,
        idempotency: None,
        nonce: None,
    }
}

fn content(size_bytes: usize) -> Bytes {
    let header = "From: a@sender.test\r\nTo: bob@sink.test\r\nSubject: x\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n\
                  Message-ID: <1@sender.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n";
    let line = "The quick brown fox jumps over the lazy dog, and so it does again and again.\r\n";
    let body = line.repeat(size_bytes.saturating_sub(header.len()) / line.len() + 1);
    Bytes::from(format!("{header}{body}"))
}

fn time_signature(der: &[u8], content: &Bytes) -> Result<(), Failure> {
    let signer = Signer::new("sender.test", "s1", der)?;
    let rounds = 200;
    let start = Instant::now();
    for _ in 0..rounds {
        signer.sign(&[content], UnixMicros(0))?;
    }
    println!("one signature: {:?}", start.elapsed() / rounds);
    Ok(())
}

/// Accepts everything, answering each pipelined group in one write.
async fn sink(received: Arc<AtomicUsize>) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, received.clone()));
        }
    });
    Ok(address)
}

async fn serve(mut stream: TcpStream, received: Arc<AtomicUsize>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(b"220 sink\r\n").await?;
    let mut buffer = Vec::with_capacity(64 * 1024);
    let mut is_content = false;
    loop {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        let mut replies = Vec::new();
        loop {
            if is_content {
                let Some(end) = end_of_content(&buffer) else { break };
                buffer.drain(..end);
                is_content = false;
                received.fetch_add(1, Ordering::Relaxed);
                replies.extend_from_slice(b"250 2.0.0 ok\r\n");
            }
            let Some(end) = buffer.iter().position(|octet| *octet == b'\n') else { break };
            let verb = buffer[..end].to_ascii_uppercase();
            buffer.drain(..=end);
            let reply: &[u8] = match verb.get(..4) {
                Some(b"EHLO") => b"250-sink\r\n250-8BITMIME\r\n250 PIPELINING\r\n",
                Some(b"DATA") => b"354 go\r\n",
                Some(b"QUIT") => b"221 bye\r\n",
                _ => b"250 ok\r\n",
            };
            is_content = verb.starts_with(b"DATA");
            replies.extend_from_slice(reply);
        }
        if !replies.is_empty() {
            stream.write_all(&replies).await?;
        }
    }
}

fn end_of_content(buffer: &[u8]) -> Option<usize> {
    if !buffer.ends_with(b"\r\n.\r\n") {
        return None;
    }
    Some(buffer.len())
}
