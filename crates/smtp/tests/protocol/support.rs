//! Dialogues as text. A server dialogue is a transcript of `C:` and `S:` lines: the `C:` lines are played,
//! and what really happened must be the transcript, word by word.

use std::sync::Arc;

use indicia_smtp::client;
use indicia_smtp::reply::Reply;
use indicia_smtp::server::{AuthOffer, Config, Event, Message, Session};

pub const HOST: &str = "mx.example.com";

/// A server that knows one password, refuses recipients called `refused`, defers those called `later`,
/// refuses senders called `refused`, and keeps what it is sent.
pub struct Server {
    pub session: Session,
    pub messages: Vec<Message>,
    /// One line per event, for comparisons.
    pub events: Vec<String>,
    pub closed: bool,
    /// Leave the session in front of the handshake instead of playing it.
    pub hold_tls: bool,
    pub plaintext_dropped_bytes: usize,
}

impl Server {
    pub fn new(config: Config) -> Server {
        Server::with_tls(config, false)
    }

    pub fn with_tls(config: Config, tls_active: bool) -> Server {
        let mut session = Session::new(Arc::new(config), tls_active);
        session.greet();
        Server {
            session,
            messages: Vec::new(),
            events: Vec::new(),
            closed: false,
            hold_tls: false,
            plaintext_dropped_bytes: 0,
        }
    }

    /// Feeds bytes, answers all events, returns the output.
    pub fn play(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.session.receive(bytes);
        while let Some(event) = self.session.next_event() {
            self.events.push(format!("{event:?}"));
            self.answer(event);
        }
        let mut output = Vec::new();
        self.session.take_output(&mut output);
        output
    }

    fn answer(&mut self, event: Event) {
        let refused = |text: String| text.starts_with("refused@");
        match event {
            Event::Auth { username, password, .. } if username == "ann@example.com" => {
                match password.expose() {
                    "secret" => self.session.accept(),
                    _ => self.session.reject(Reply::enhanced(535, (5, 7, 8), "Authentication failure.")),
                }
            }
            Event::Auth { .. } => {
                self.session.reject(Reply::enhanced(535, (5, 7, 8), "Authentication failure."));
            }
            Event::Mail { from, .. } if refused(from.to_string()) => {
                self.session.reject(Reply::enhanced(550, (5, 7, 1), "Sender refused"));
            }
            Event::Rcpt { to, .. } if refused(to.to_string()) => {
                self.session.reject(Reply::enhanced(550, (5, 1, 1), "No such user"));
            }
            Event::Rcpt { to, .. } if to.to_string().starts_with("later@") => {
                self.session.reject(Reply::enhanced(450, (4, 2, 1), "Try again later"));
            }
            Event::Rcpt { to, .. } if to.to_string().starts_with("shutdown@") => {
                self.session.reject(Reply::enhanced(421, (4, 3, 2), "Shutting down"));
            }
            Event::Mail { .. } | Event::Rcpt { .. } => self.session.accept(),
            Event::Message(message) => {
                self.messages.push(*message);
                let text = format!("Ok, message {}", self.messages.len());
                self.session.accept_message(Reply::enhanced(250, (2, 0, 0), text));
            }
            Event::StartTls if self.hold_tls => {}
            Event::StartTls => self.plaintext_dropped_bytes += self.session.tls_established(),
            Event::Close => self.closed = true,
        }
    }
}

/// Plays a transcript against a server. In `C:` lines `\r`, `\n`, `\0` and `\xHH` are escapes; a `C:` line
/// is sent with CRLF, a `C+` line as it is. Adjacent client lines are sent in one piece. `--` is the end
/// of the connection.
pub fn server_dialogue(mut server: Server, transcript: &str) -> Server {
    let expected: Vec<&str> = transcript.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut actual = Vec::new();
    record(&mut actual, &server.play(b""));
    let mut index = 0;
    while index < expected.len() {
        let mut bytes = Vec::new();
        while let Some(line) = expected.get(index)
            && let Some((kind, text)) = client_line(line)
        {
            bytes.extend(unescape(text));
            if kind == ':' {
                bytes.extend_from_slice(b"\r\n");
            }
            actual.push((*line).to_owned());
            index += 1;
        }
        if bytes.is_empty() {
            index += 1;
            continue;
        }
        let was_closed = server.closed;
        record(&mut actual, &server.play(&bytes));
        if server.closed && !was_closed {
            actual.push("--".to_owned());
        }
    }
    assert_eq!(actual.join("\n"), expected.join("\n"), "the transcript (left is what happened)");
    server
}

fn client_line(line: &str) -> Option<(char, &str)> {
    let rest = line.strip_prefix('C')?;
    let kind = rest.chars().next().filter(|kind| [':', '+'].contains(kind))?;
    Some((kind, rest[1..].strip_prefix(' ').unwrap_or(&rest[1..])))
}

fn record(actual: &mut Vec<String>, output: &[u8]) {
    let text = std::str::from_utf8(output).expect("replies are text");
    for line in text.split_terminator("\r\n") {
        assert!(!line.contains(['\r', '\n']), "a reply line with a bare break: {line:?}");
        actual.push(format!("S: {line}").trim_end().to_owned());
    }
}

pub fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'r') => bytes.push(b'\r'),
            Some(b'n') => bytes.push(b'\n'),
            Some(b'0') => bytes.push(0),
            Some(b'x') => {
                let hex: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.push(u8::from_str_radix(&hex, 16).expect("two hex digits after \\x"));
            }
            other => panic!("unknown escape {other:?}"),
        }
    }
    bytes
}

/// A server that wants a login, as submission has it, but without TLS.
pub fn submission() -> Config {
    Config { auth: AuthOffer::Required, auth_needs_tls: false, ..Config::new(HOST) }
}

/// Plays a transcript against a client session whose commands the test gives. `S:` lines are fed, `C:` lines
/// must be what the client wrote since; returns the events.
pub struct ClientDialogue {
    pub session: client::Session,
    pub events: Vec<client::Event>,
}

impl ClientDialogue {
    pub fn new(pipelining: bool) -> ClientDialogue {
        let config = client::Config { hello_name: "out.example.com".to_owned(), pipelining };
        ClientDialogue { session: client::Session::new(config), events: Vec::new() }
    }

    /// A client that has got its EHLO answered with these keywords.
    pub fn ready(pipelining: bool, keywords: &[&str]) -> ClientDialogue {
        let mut dialogue = ClientDialogue::new(pipelining);
        dialogue.serve("220 mx.example.com ESMTP");
        assert_eq!(dialogue.written(), "EHLO out.example.com\r\n");
        dialogue.ehlo(keywords);
        dialogue
    }

    pub fn ehlo(&mut self, keywords: &[&str]) {
        let mut lines = vec!["mx.example.com"];
        lines.extend(keywords);
        let (last, first) = lines.split_last().expect("the name at least");
        let mut text: String = first.iter().map(|line| format!("250-{line}\r\n")).collect();
        text.push_str(&format!("250 {last}"));
        self.serve(&text);
        assert_eq!(self.events.pop(), Some(client::Event::Ready));
        self.events.clear();
    }

    /// The server says this (CRLF is added).
    pub fn serve(&mut self, text: &str) {
        self.session.receive(text.as_bytes());
        self.session.receive(b"\r\n");
        self.collect();
    }

    pub fn collect(&mut self) {
        while let Some(event) = self.session.next_event() {
            self.events.push(event);
        }
    }

    /// What the client wrote since the last look.
    pub fn written(&mut self) -> String {
        let mut all = Vec::new();
        loop {
            let before = all.len();
            let mut block = Vec::new();
            self.session.take_output(&mut block);
            all.extend(block);
            if all.len() == before {
                break;
            }
        }
        self.collect();
        String::from_utf8(all).expect("the tests send text")
    }

    /// The one event since the last look.
    pub fn event(&mut self) -> client::Event {
        assert_eq!(self.events.len(), 1, "one event: {:?}", self.events);
        self.events.remove(0)
    }

    pub fn result(&mut self) -> client::TransactionResult {
        match self.event() {
            client::Event::Finished(result) => result,
            other => panic!("not finished but {other:?}"),
        }
    }
}

pub fn transaction(recipients: &[&str], content: &str) -> client::Transaction {
    client::Transaction {
        reverse_path: "bounce@example.com".to_owned(),
        recipients: recipients.iter().map(|&address| address.to_owned()).collect(),
        smtputf8: false,
        content: vec![bytes::Bytes::copy_from_slice(content.as_bytes())],
    }
}

pub fn reply(text: &str) -> Reply {
    text.parse().expect("a reply")
}
