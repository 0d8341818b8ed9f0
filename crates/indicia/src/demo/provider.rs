//! The built-in mailbox provider: a receiving SMTP server on a free loopback port.
//!
//! It answers as real ones do, by the recipient's local part, so that every fate of a mail can be tried:
//!
//! | local part begins with | what it answers |
//! | --- | --- |
//! | `unknown`, `bounce` | 550 5.1.1, no such user: the address enters the invalid-address library |
//! | `spam` | 554 5.7.1 after the content, refused as spam |
//! | `full` | 452 4.2.2, mailbox full, every time |
//! | `grey` | 451 4.7.1 at the first try, accepted at the next |
//! | anything else | accepted |

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicia_domain::time::Clock;
use indicia_smtp::server::{Config, Event, Message, Session};
use indicia_smtp::{ForwardPath, Reply, ReversePath};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::inbox::Inbox;
use crate::cli::Failure;
use crate::clock::ShiftedClock;

const CONNECTIONS_MAX: usize = 100;
const IDLE_MAX: Duration = Duration::from_secs(300);

struct Provider {
    inbox: Arc<Inbox>,
    clock: Arc<ShiftedClock>,
    config: Arc<Config>,
    greylisted: Mutex<HashSet<String>>,
}

/// Starts the provider; returns where it listens. It ends with the process.
pub async fn start(inbox: Arc<Inbox>, clock: Arc<ShiftedClock>) -> Result<SocketAddr, Failure> {
    let failed = |error: std::io::Error| {
        Failure::failed(format!("the built-in mailbox provider cannot listen: {error}"))
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let config = Arc::new(Config::new("mx.mailbox.demo.example".to_owned()));
    let provider = Arc::new(Provider { inbox, clock, config, greylisted: Mutex::default() });
    tokio::spawn(accept(listener, provider));
    Ok(address)
}

async fn accept(listener: TcpListener, provider: Arc<Provider>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let provider = provider.clone();
        tokio::spawn(async move {
            if let Err(error) = provider.serve(stream).await {
                tracing::debug!(%error, "a connection to the built-in provider ended");
            }
            drop(place);
        });
    }
}

impl Provider {
    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut session = Session::new(self.config.clone(), false);
        session.greet();
        let (mut input, mut output) = (vec![0; 64 * 1024], Vec::new());
        loop {
            let mut closing = false;
            while let Some(event) = session.next_event() {
                match event {
                    Event::Mail { .. } => session.accept(),
                    Event::Rcpt { to, .. } => match self.refusal(&to) {
                        Some(reply) => session.reject(reply),
                        None => session.accept(),
                    },
                    Event::Message(message) => self.receive(&mut session, &message),
                    Event::Close => closing = true,
                    Event::Auth { .. } | Event::StartTls => {
                        session.reject(Reply::enhanced(502, (5, 5, 1), "Not offered here"));
                    }
                }
                if closing {
                    break;
                }
            }
            output.clear();
            session.take_output(&mut output);
            stream.write_all(&output).await?;
            if closing {
                return stream.shutdown().await;
            }
            let Ok(read) = timeout(IDLE_MAX, stream.read(&mut input)).await else { return Ok(()) };
            match read? {
                0 => return Ok(()),
                length => session.receive(&input[..length]),
            }
        }
    }

    fn refusal(&self, to: &ForwardPath) -> Option<Reply> {
        let address = address_of(to).to_lowercase();
        if address.starts_with("unknown") || address.starts_with("bounce") {
            return Some(Reply::enhanced(550, (5, 1, 1), format!("<{address}>: no such user here")));
        }
        if address.starts_with("full") {
            return Some(Reply::enhanced(452, (4, 2, 2), format!("<{address}>: mailbox full")));
        }
        let mut greylisted = self.greylisted.lock().unwrap_or_else(|broken| broken.into_inner());
        if address.starts_with("grey") && greylisted.insert(address) {
            return Some(Reply::enhanced(451, (4, 7, 1), "Greylisted, please try again later"));
        }
        None
    }

    fn receive(&self, session: &mut Session, message: &Message) {
        let recipients: Vec<String> =
            message.recipients.iter().map(|recipient| address_of(&recipient.to)).collect();
        if recipients.iter().any(|address| address.to_lowercase().starts_with("spam")) {
            session.reject(Reply::enhanced(554, (5, 7, 1), "Message refused: it looks like spam"));
            return;
        }
        let from = match &message.from {
            ReversePath::Null => String::new(),
            ReversePath::Mailbox(mailbox) => mailbox.to_string(),
        };
        // A provider shows the return path that it was given as the first header (RFC 5321 4.4).
        let mut content = format!("Return-Path: <{from}>\r\n").into_bytes();
        content.extend_from_slice(&message.data);
        match self.inbox.receive(self.clock.now(), &from, recipients, &content) {
            Ok(()) => session.accept_message(Reply::enhanced(250, (2, 0, 0), "Delivered to the mailbox")),
            Err(error) => session.reject(Reply::enhanced(
                451,
                (4, 3, 0),
                format!("The mailbox cannot be written: {error}"),
            )),
        }
    }
}

fn address_of(path: &ForwardPath) -> String {
    match path {
        ForwardPath::Postmaster => "postmaster".to_owned(),
        ForwardPath::Mailbox(mailbox) => mailbox.to_string(),
    }
}
