//! An SMTP sink that answers like a provider: accepts, defers or rejects by rate, may be slow, and counts.
//!
//! `--stats` is a second listener: every connection to it gets one JSON line with the counters and is
//! closed. The time of the last accepted message is in it, so that a runner that polls now and then still
//! learns exactly when the last one came.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Parser;
use indicia_bench::wire::EndOfData;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const READ_BYTES: usize = 64 * 1024;
const COMMAND_BYTES_MAX: usize = 8 * 1024;

#[derive(Parser)]
#[command(about = "SMTP sink: accepts, defers or rejects recipients by rate, and counts")]
struct Arguments {
    /// Where mail is taken
    #[arg(long, default_value = "127.0.0.1:2600")]
    listen: SocketAddr,
    /// Where the counters can be read
    #[arg(long, default_value = "127.0.0.1:2601")]
    stats: SocketAddr,
    /// Share of recipients answered 451 4.7.1
    #[arg(long, default_value_t = 0.0)]
    defer_rate: f64,
    /// Share of recipients answered 550 5.1.1
    #[arg(long, default_value_t = 0.0)]
    reject_rate: f64,
    /// Pause before the answer to the message, in milliseconds
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// Do not offer PIPELINING
    #[arg(long)]
    no_pipelining: bool,
    /// Write the first message accepted after the start to this file
    #[arg(long)]
    capture: Option<PathBuf>,
    /// Seed of the choice between accepting, deferring and rejecting
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Default)]
struct Counters {
    connections: AtomicU64,
    messages: AtomicU64,
    recipients: AtomicU64,
    deferred: AtomicU64,
    rejected: AtomicU64,
    message_bytes: AtomicU64,
    last_accepted_us: AtomicU64,
}

#[derive(Serialize)]
struct Snapshot {
    connections: u64,
    messages: u64,
    recipients: u64,
    deferred: u64,
    rejected: u64,
    message_bytes: u64,
    /// Microseconds since the last message was accepted; null before the first.
    last_accepted_ago_us: Option<u64>,
}

struct Sink {
    arguments: Arguments,
    counters: Counters,
    chance: Mutex<SmallRng>,
    started: Instant,
    capturing: AtomicBool,
}

impl Sink {
    fn snapshot(&self) -> Snapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let last_us = read(&self.counters.last_accepted_us);
        let now_us = self.now_us();
        Snapshot {
            connections: read(&self.counters.connections),
            messages: read(&self.counters.messages),
            recipients: read(&self.counters.recipients),
            deferred: read(&self.counters.deferred),
            rejected: read(&self.counters.rejected),
            message_bytes: read(&self.counters.message_bytes),
            last_accepted_ago_us: (last_us > 0).then(|| now_us.saturating_sub(last_us)),
        }
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The answer to one RCPT, by the configured rates.
    fn recipient_reply(&self) -> &'static str {
        let (defer, reject) = (self.arguments.defer_rate, self.arguments.reject_rate);
        if defer + reject > 0.0 {
            let drawn: f64 = match self.chance.lock() {
                Ok(mut chance) => chance.random(),
                Err(poisoned) => poisoned.into_inner().random(),
            };
            if drawn < defer {
                self.counters.deferred.fetch_add(1, Ordering::Relaxed);
                return "451 4.7.1 Try again later\r\n";
            }
            if drawn < defer + reject {
                self.counters.rejected.fetch_add(1, Ordering::Relaxed);
                return "550 5.1.1 User unknown\r\n";
            }
        }
        "250 2.1.5 Ok\r\n"
    }

    fn keep(&self, message: &[u8]) {
        if let Some(path) = &self.arguments.capture
            && let Err(error) = std::fs::write(path, message)
        {
            eprintln!("sink: {}: {error}", path.display());
        }
    }

    fn count_message(&self, recipients: u64, bytes: u64) {
        self.counters.recipients.fetch_add(recipients, Ordering::Relaxed);
        self.counters.message_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.counters.last_accepted_us.store(self.now_us().max(1), Ordering::Relaxed);
        self.counters.messages.fetch_add(1, Ordering::Release);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let mail = TcpListener::bind(arguments.listen).await?;
    let stats = TcpListener::bind(arguments.stats).await?;
    let sink = Arc::new(Sink {
        capturing: AtomicBool::new(arguments.capture.is_some()),
        chance: Mutex::new(SmallRng::seed_from_u64(arguments.seed)),
        counters: Counters::default(),
        started: Instant::now(),
        arguments,
    });
    println!("ready");
    tokio::spawn(serve_stats(stats, Arc::clone(&sink)));
    loop {
        let (stream, _) = mail.accept().await?;
        let sink = Arc::clone(&sink);
        // A broken connection is the client's business: it is counted by what it did not deliver.
        tokio::spawn(async move { converse(stream, &sink).await });
    }
}

async fn serve_stats(listener: TcpListener, sink: Arc<Sink>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut line = serde_json::to_string(&sink.snapshot()).unwrap_or_default();
        line.push('\n');
        let _ = stream.write_all(line.as_bytes()).await;
    }
}

/// One connection: where it stands in the dialogue, and what has not been answered yet.
#[derive(Default)]
struct Dialogue {
    accepted_recipients: u64,
    message_bytes: u64,
    in_data: Option<EndOfData>,
    captured: Option<Vec<u8>>,
    command: Vec<u8>,
    output: Vec<u8>,
    closing: bool,
}

async fn converse(mut stream: TcpStream, sink: &Sink) -> std::io::Result<()> {
    sink.counters.connections.fetch_add(1, Ordering::Relaxed);
    stream.set_nodelay(true)?;
    stream.write_all(b"220 sink.test ESMTP\r\n").await?;
    let mut dialogue = Dialogue::default();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let mut rest = &buffer[..read];
        while !rest.is_empty() && !dialogue.closing {
            let (used, message_ended) = dialogue.take(rest, sink);
            rest = &rest[used..];
            if message_ended && sink.arguments.delay_ms > 0 {
                tokio::time::sleep(Duration::from_millis(sink.arguments.delay_ms)).await;
            }
        }
        stream.write_all(&dialogue.output).await?;
        dialogue.output.clear();
        if dialogue.closing {
            return Ok(());
        }
    }
}

impl Dialogue {
    /// Takes the next command or piece of a message; returns the bytes used and whether a message ended.
    fn take(&mut self, input: &[u8], sink: &Sink) -> (usize, bool) {
        if let Some(scanner) = &mut self.in_data {
            let Some(end) = scanner.feed(input) else {
                self.message_bytes += input.len() as u64;
                if let Some(captured) = &mut self.captured {
                    captured.extend_from_slice(input);
                }
                return (input.len(), false);
            };
            if let Some(mut captured) = self.captured.take() {
                captured.extend_from_slice(&input[..end]);
                sink.keep(&captured);
            }
            sink.count_message(self.accepted_recipients, self.message_bytes + end as u64);
            self.in_data = None;
            self.message_bytes = 0;
            self.accepted_recipients = 0;
            self.output.extend_from_slice(b"250 2.0.0 Ok\r\n");
            return (end, true);
        }
        let Some(newline) = input.iter().position(|&byte| byte == b'\n') else {
            self.command.extend_from_slice(input);
            self.closing = self.command.len() > COMMAND_BYTES_MAX;
            return (input.len(), false);
        };
        self.command.extend_from_slice(&input[..=newline]);
        let line = std::mem::take(&mut self.command);
        self.answer(&line, sink);
        (newline + 1, false)
    }

    fn answer(&mut self, line: &[u8], sink: &Sink) {
        let verb: Vec<u8> = line.iter().take(4).map(u8::to_ascii_uppercase).collect();
        let reply: &[u8] = match verb.as_slice() {
            b"EHLO" if sink.arguments.no_pipelining => b"250-sink.test\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
            b"EHLO" => b"250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
            b"HELO" | b"NOOP" | b"MAIL" => b"250 2.0.0 Ok\r\n",
            b"RSET" => {
                self.accepted_recipients = 0;
                b"250 2.0.0 Ok\r\n"
            }
            b"RCPT" => {
                let reply = sink.recipient_reply();
                self.accepted_recipients += u64::from(reply.starts_with('2'));
                reply.as_bytes()
            }
            b"DATA" if self.accepted_recipients > 0 => {
                self.in_data = Some(EndOfData::default());
                self.captured = sink.capturing.swap(false, Ordering::Relaxed).then(Vec::new);
                b"354 Go ahead\r\n"
            }
            b"DATA" => b"554 5.5.1 No valid recipients\r\n",
            b"QUIT" => {
                self.closing = true;
                b"221 2.0.0 Bye\r\n"
            }
            _ => b"500 5.5.2 What?\r\n",
        };
        self.output.extend_from_slice(reply);
    }
}
