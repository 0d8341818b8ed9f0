//! Load generator: a number of connections send a number of messages as fast as they are accepted.
//!
//! Over SMTP each connection does MAIL, RCPT, DATA and the content one round trip each, as Postfix's
//! smtp-source does, or all but the content in one write with `--pipelining`. Over HTTP it calls
//! SingleSendMail, signed. What was refused is counted with the first refusal's words; the result is one
//! JSON object on standard output.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use indicia_bench::acs3::Caller;
use indicia_bench::content::Template;
use indicia_bench::latency::{self, Summary};
use indicia_bench::wire::{Error, Reply, read_reply};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

#[derive(Parser)]
#[command(about = "Sends messages over SMTP, or by SingleSendMail, and measures")]
struct Arguments {
    /// The server's address, `host:port`
    #[arg(long, default_value = "127.0.0.1:2525")]
    target: String,
    #[arg(long, default_value_t = 20)]
    connections: u64,
    #[arg(long, default_value_t = 10_000)]
    messages: u64,
    /// Size of one message, header included
    #[arg(long, default_value_t = 10_240)]
    size_bytes: usize,
    /// Recipients of each message
    #[arg(long, default_value_t = 1)]
    recipients: u64,
    #[arg(long, default_value = "load@load.test")]
    from: String,
    #[arg(long, default_value = "sink.test")]
    to_domain: String,
    /// MAIL, RCPT and DATA in one write
    #[arg(long)]
    pipelining: bool,
    /// A new connection for each message
    #[arg(long)]
    reconnect: bool,
    /// First number in recipients' addresses and message identifiers
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Call SingleSendMail instead of SMTP
    #[arg(long, requires = "key_id", requires = "secret")]
    http: bool,
    #[arg(long)]
    key_id: Option<String>,
    #[arg(long)]
    secret: Option<String>,
}

#[derive(Serialize)]
struct Outcome {
    accepted: u64,
    refused: u64,
    first_refusal: Option<String>,
    seconds: f64,
    accepted_per_second: f64,
    latency: Summary,
}

#[derive(Default)]
struct Tally {
    accepted: u64,
    refused: u64,
    first_refusal: Option<String>,
    latencies: Vec<Duration>,
}

impl Tally {
    fn note(&mut self, result: Result<(), Error>, took: Duration) -> bool {
        match result {
            Ok(()) => {
                self.accepted += 1;
                self.latencies.push(took);
                true
            }
            Err(error) => {
                self.refused += 1;
                self.first_refusal.get_or_insert_with(|| error.to_string());
                matches!(error, Error::Unexpected { .. })
            }
        }
    }
}

struct Run {
    arguments: Arguments,
    template: Template,
    next: AtomicU64,
}

impl Run {
    /// The next message's number; None when all are taken.
    fn take(&self) -> Option<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.arguments.messages).then_some(number + self.arguments.first)
    }

    fn recipients(&self, number: u64) -> Vec<String> {
        let domain = &self.arguments.to_domain;
        (0..self.arguments.recipients).map(|index| format!("r{number}.{index}@{domain}")).collect()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let template = Template::new(&arguments.from, arguments.size_bytes);
    let run = Arc::new(Run { arguments, template, next: AtomicU64::new(0) });
    let start = Instant::now();
    let workers: Vec<_> = (0..run.arguments.connections)
        .map(|_| {
            let run = Arc::clone(&run);
            tokio::spawn(
                async move { if run.arguments.http { by_http(&run).await } else { by_smtp(&run).await } },
            )
        })
        .collect();
    let mut total = Tally::default();
    for worker in workers {
        let Ok(tally) = worker.await else { return ExitCode::FAILURE };
        total.accepted += tally.accepted;
        total.refused += tally.refused;
        total.first_refusal = total.first_refusal.or(tally.first_refusal);
        total.latencies.extend(tally.latencies);
    }
    let seconds = start.elapsed().as_secs_f64();
    let outcome = Outcome {
        accepted: total.accepted,
        refused: total.refused,
        first_refusal: total.first_refusal,
        seconds,
        accepted_per_second: total.accepted as f64 / seconds,
        latency: latency::summarize(&mut total.latencies),
    };
    println!("{}", serde_json::to_string(&outcome).unwrap_or_default());
    if outcome.refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn by_smtp(run: &Run) -> Tally {
    let mut tally = Tally::default();
    let mut connection = None;
    while let Some(number) = run.take() {
        let start = Instant::now();
        let mut open = match connection.take() {
            Some(open) => open,
            None => match Connection::open(&run.arguments.target).await {
                Ok(open) => open,
                Err(error) => {
                    tally.note(Err(error), start.elapsed());
                    continue;
                }
            },
        };
        let result = open.send(run, number).await;
        let usable = tally.note(result, start.elapsed());
        if run.arguments.reconnect || !usable {
            open.quit().await;
        } else {
            connection = Some(open);
        }
    }
    if let Some(open) = connection {
        open.quit().await;
    }
    tally
}

struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    async fn open(target: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(target).await?;
        stream.set_nodelay(true)?;
        let mut made = Self { stream: BufReader::new(stream) };
        made.expect("the connection", 220).await?;
        made.say("EHLO load.test\r\n", "EHLO", 250).await?;
        Ok(made)
    }

    async fn expect(&mut self, command: &'static str, code: u16) -> Result<(), Error> {
        let Reply { code: got, text } = read_reply(&mut self.stream).await?;
        if got == code { Ok(()) } else { Err(Error::Unexpected { command, code: got, text }) }
    }

    async fn say(&mut self, line: &str, command: &'static str, code: u16) -> Result<(), Error> {
        self.stream.get_mut().write_all(line.as_bytes()).await?;
        self.expect(command, code).await
    }

    async fn send(&mut self, run: &Run, number: u64) -> Result<(), Error> {
        let recipients = run.recipients(number);
        let mail = format!("MAIL FROM:<{}>\r\n", run.arguments.from);
        let rcpt = |to: &String| format!("RCPT TO:<{to}>\r\n");
        if run.arguments.pipelining {
            let commands = mail + &recipients.iter().map(rcpt).collect::<String>() + "DATA\r\n";
            self.stream.get_mut().write_all(commands.as_bytes()).await?;
            self.expect("MAIL", 250).await?;
            for _ in &recipients {
                self.expect("RCPT", 250).await?;
            }
            self.expect("DATA", 354).await?;
        } else {
            self.say(&mail, "MAIL", 250).await?;
            for to in &recipients {
                self.say(&rcpt(to), "RCPT", 250).await?;
            }
            self.say("DATA\r\n", "DATA", 354).await?;
        }
        let to = recipients.first().map(String::as_str).unwrap_or_default();
        let content = run.template.message(to, number) + ".\r\n";
        self.say(&content, "the message", 250).await
    }

    async fn quit(mut self) {
        let _ = self.say("QUIT\r\n", "QUIT", 221).await;
    }
}

async fn by_http(run: &Run) -> Tally {
    let mut tally = Tally::default();
    let arguments = &run.arguments;
    let caller = Caller {
        endpoint: arguments.target.clone(),
        key_id: arguments.key_id.clone().unwrap_or_default(),
        secret: arguments.secret.clone().unwrap_or_default(),
    };
    let mut connection = None;
    while let Some(number) = run.take() {
        let start = Instant::now();
        let mut open = match connection.take() {
            Some(open) => open,
            None => match TcpStream::connect(&arguments.target).await {
                Ok(stream) => BufReader::new(stream),
                Err(error) => {
                    tally.note(Err(error.into()), start.elapsed());
                    continue;
                }
            },
        };
        let result = call(&mut open, &caller, run, number).await;
        if tally.note(result, start.elapsed()) {
            connection = Some(open);
        }
    }
    tally
}

async fn call(
    stream: &mut BufReader<TcpStream>,
    caller: &Caller,
    run: &Run,
    number: u64,
) -> Result<(), Error> {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let to = run.recipients(number).join(",");
    let form = [
        ("AccountName", run.arguments.from.as_str()),
        ("AddressType", "1"),
        ("ReplyToAddress", "false"),
        ("Subject", "Load message"),
        ("TextBody", &run.template.body),
        ("ToAddress", &to),
    ];
    let nonce = format!("{now_s:x}-{}-{number:x}", std::process::id());
    let request = caller.single_send_mail(&form, &utc_text(now_s), &nonce);
    stream.get_mut().write_all(&request).await?;
    let (status, body) = read_answer(stream).await?;
    if status == 200 {
        Ok(())
    } else {
        Err(Error::Unexpected { command: "SingleSendMail", code: status, text: body })
    }
}

/// Status and body of one HTTP/1.1 answer that states its length.
async fn read_answer(stream: &mut BufReader<TcpStream>) -> Result<(u16, String), Error> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Err(Error::Closed);
    }
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let Some(status) = status else { return Err(Error::Malformed(line)) };
    let mut length_bytes = 0;
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length_bytes = value.trim().parse().map_err(|_| Error::Malformed(line.clone()))?;
        }
    }
    let mut body = vec![0; length_bytes];
    stream.read_exact(&mut body).await?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// `yyyy-MM-ddTHH:mm:ssZ` of seconds since the epoch, by the civil-from-days algorithm.
fn utc_text(epoch_s: u64) -> String {
    let (days, second) = (epoch_s / 86_400 + 719_468, epoch_s % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::utc_text;

    #[test]
    fn epoch_seconds_as_utc_text() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_000_000, "2026-11-18T11:06:40Z"),
        ] {
            assert_eq!(utc_text(seconds), text);
        }
    }
}
