//! The server's side of one connection: which command may come when, and what it is answered.
//!
//! Input is looked at one step at a time: a command line, a line of an AUTH exchange, or a run of content.
//! A step either answers by itself or asks the caller (an [`Event`]); while a question is open no step is
//! taken. A bare CR or LF in a command line is answered 500 and closes the connection: what stands behind it
//! cannot safely be taken for a command.

use std::sync::Arc;

use memchr::memchr2;
use zeroize::Zeroize;

use super::auth::{AuthStep, Mechanism, Secret};
use super::config::Config;
use super::content::DataReader;
use super::transaction::{Message, Recipient, Transaction};
use crate::address::{ForwardPath, ReversePath};
use crate::extension::Extensions;
use crate::output::Output;
use crate::parameter::{MailParameters, RcptParameters};
use crate::reply::Reply;

/// Octets of a command line with its CRLF: 512 of RFC 5321 and room for every extension's parameters.
pub const COMMAND_LINE_BYTES_MAX: usize = 2_048;
/// Octets of a line of AUTH with its CRLF, RFC 4954 section 4.
pub const AUTH_LINE_BYTES_MAX: usize = 12_288;

/// A question to the caller, or (the last two) something only the caller can do.
#[derive(Debug)]
pub enum Event {
    /// Answer with [`Session::accept`], or [`Session::reject`] (535 5.7.8, or 454 4.7.0 for later).
    Auth { mechanism: Mechanism, username: String, password: Secret },
    /// A transaction begins; any earlier one is over. Answer with `accept` or `reject`.
    Mail { from: ReversePath, parameters: MailParameters },
    /// Answer with `accept` or `reject`.
    Rcpt { to: ForwardPath, parameters: RcptParameters },
    /// Answer with [`Session::accept_message`] when the message is safe, or `reject`.
    Message(Box<Message>),
    /// Write the output, which ends in the 220, then do the TLS handshake, then [`Session::tls_established`].
    StartTls,
    /// Write the output and close the connection. Nothing follows.
    Close,
}

#[derive(Debug)]
pub(super) enum Question {
    Auth,
    Mail(Transaction),
    Rcpt(Recipient),
    Message,
    StartTls,
}

/// Why a chunk is read without being kept.
#[derive(Clone, Copy, Debug)]
pub(super) enum ChunkRefusal {
    NotOffered,
    NoTransaction,
    NoRecipients,
    AfterFailure,
}

#[derive(Debug)]
pub(super) enum State {
    Command,
    Auth(AuthStep),
    Data { reader: DataReader, finished: bool },
    Chunk { remaining_bytes: u64, size_bytes: u64, last: bool, refusal: Option<ChunkRefusal> },
    Waiting(Question),
    Closing,
    Closed,
}

pub(super) enum Step {
    Event(Event),
    Again,
    NeedInput,
}

/// What the start of the buffered input is.
enum Line {
    Complete(usize),
    TooLong(usize),
    Bare,
    Incomplete,
}

/// One connection. See the [module](super) for the order of calls.
#[derive(Debug)]
pub struct Session {
    pub(super) config: Arc<Config>,
    pub(super) offered: Extensions,
    pub(super) state: State,
    pub(super) input: Vec<u8>,
    pub(super) input_start: usize,
    /// Within a line that is already longer than allowed.
    skipping_line: bool,
    pub(super) output: Output,
    pub(super) hello_name: Option<String>,
    pub(super) tls_active: bool,
    pub(super) authenticated: bool,
    pub(super) transaction: Option<Transaction>,
    bad_commands: u32,
    idle_commands: u32,
    plaintext_dropped_bytes: usize,
}

impl Session {
    /// A new connection. `tls_active` when TLS was there from the first octet (port 465). Queues nothing:
    /// call [`Session::greet`], or [`Session::close`] to refuse the client.
    pub fn new(config: Arc<Config>, tls_active: bool) -> Session {
        Session {
            config,
            offered: Extensions::default(),
            state: State::Command,
            input: Vec::new(),
            input_start: 0,
            skipping_line: false,
            output: Output::default(),
            hello_name: None,
            tls_active,
            authenticated: false,
            transaction: None,
            bad_commands: 0,
            idle_commands: 0,
            plaintext_dropped_bytes: 0,
        }
    }

    /// Queues the 220 greeting.
    pub fn greet(&mut self) {
        let text = format!("{} ESMTP", self.config.hostname);
        Reply::new(220, text).write_to(self.output.buffer());
    }

    /// Queues `reply` and ends the session: to refuse a client instead of greeting it, on a timeout
    /// (421 4.4.2) or a shutdown (421 4.3.2). An open question counts as answered by it.
    pub fn close(&mut self, reply: Reply) {
        if !matches!(self.state, State::Closing | State::Closed) {
            reply.write_to(self.output.buffer());
            self.state = State::Closing;
        }
    }

    /// Takes what the socket gave. Content goes straight into the message, the rest waits for `next_event`.
    pub fn receive(&mut self, bytes: &[u8]) {
        match self.state {
            State::Closing | State::Closed => {}
            // RFC 3207 section 5: what comes in clear behind STARTTLS must not be taken for commands later.
            State::Waiting(Question::StartTls) => self.plaintext_dropped_bytes += bytes.len(),
            _ => {
                let nothing_waits = self.input_start == self.input.len();
                let used = if nothing_waits { self.feed_content(bytes) } else { 0 };
                self.input.extend_from_slice(&bytes[used..]);
            }
        }
    }

    /// The next question. `None` while one is open, and when there is nothing to do but to write the output
    /// and read more.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            match self.step() {
                Step::Event(event) => return Some(event),
                Step::Again => {}
                Step::NeedInput => {
                    self.input.drain(..self.input_start);
                    self.input_start = 0;
                    return None;
                }
            }
        }
    }

    /// Answers the open question with yes and the standard words.
    pub fn accept(&mut self) {
        match std::mem::replace(&mut self.state, State::Command) {
            State::Waiting(Question::Auth) => {
                self.authenticated = true;
                self.offered = self.config.extensions(self.tls_active, true);
                self.say(b"235 2.7.0 Authentication succeeded\r\n");
            }
            State::Waiting(Question::Mail(transaction)) => {
                self.transaction = Some(transaction);
                self.say(b"250 2.1.0 Sender OK\r\n");
            }
            State::Waiting(Question::Rcpt(recipient)) => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.recipients.push(recipient);
                }
                self.say(b"250 2.1.5 Recipient OK\r\n");
            }
            State::Waiting(Question::Message) => {
                self.idle_commands = 0;
                self.say(b"250 2.0.0 Message accepted\r\n");
            }
            other => {
                debug_assert!(false, "accept() without an open question");
                self.state = other;
            }
        }
    }

    /// Answers [`Event::Message`] with yes in the service's words: `reply` is positive (2xx).
    pub fn accept_message(&mut self, reply: Reply) {
        debug_assert!(reply.is_positive());
        if matches!(self.state, State::Waiting(Question::Message)) {
            self.idle_commands = 0;
            self.state = State::Command;
            reply.write_to(self.output.buffer());
        } else {
            debug_assert!(false, "accept_message() without an open message");
        }
    }

    /// Answers the open question with no: `reply` is 4xx or 5xx. A 421 also closes the connection; a refused
    /// login counts as a bad command.
    pub fn reject(&mut self, reply: Reply) {
        debug_assert!(reply.is_transient() || reply.is_permanent());
        if !self.is_waiting() {
            debug_assert!(false, "reject() without an open question");
            return;
        }
        let counted = matches!(self.state, State::Waiting(Question::Auth));
        self.state = State::Command;
        if reply.closes_connection() {
            self.close(reply);
        } else if counted {
            self.refuse_with(&reply);
        } else {
            reply.write_to(self.output.buffer());
        }
    }

    /// TLS is up: everything learned before is forgotten (RFC 3207 section 4.2). Returns how many octets the
    /// peer had sent in clear behind STARTTLS; they were dropped, and more than none is an attack or a fault
    /// worth a line in the log.
    pub fn tls_established(&mut self) -> usize {
        if !matches!(self.state, State::Waiting(Question::StartTls)) {
            debug_assert!(false, "tls_established() without STARTTLS");
            return 0;
        }
        self.state = State::Command;
        self.tls_active = true;
        self.authenticated = false;
        self.hello_name = None;
        self.transaction = None;
        self.offered = Extensions::default();
        std::mem::take(&mut self.plaintext_dropped_bytes)
    }

    /// What is to be written.
    pub fn output(&self) -> &[u8] {
        self.output.pending()
    }

    /// The first `count` octets of the output were written.
    pub fn consume_output(&mut self, count: usize) {
        self.output.consume(count);
    }

    /// Moves the output to the end of `into`; an empty `into` is swapped with the session's buffer.
    pub fn take_output(&mut self, into: &mut Vec<u8>) {
        self.output.take(into);
    }

    /// Whether a question is open. Until it is answered the caller should not read from the socket, so that
    /// a client cannot fill the session's input.
    pub fn is_waiting(&self) -> bool {
        matches!(
            self.state,
            State::Waiting(Question::Auth | Question::Mail(_) | Question::Rcpt(_) | Question::Message)
        )
    }

    /// Whether an accepted MAIL is under way.
    pub fn is_in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// The argument of the last EHLO or HELO.
    pub fn hello_name(&self) -> Option<&str> {
        self.hello_name.as_deref()
    }

    pub fn is_tls_active(&self) -> bool {
        self.tls_active
    }

    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// The word after `with` in a Received header, RFC 3848.
    pub fn protocol(&self) -> &'static str {
        match (self.offered.pipelining, self.tls_active, self.authenticated) {
            (false, ..) => "SMTP",
            (true, false, false) => "ESMTP",
            (true, true, false) => "ESMTPS",
            (true, false, true) => "ESMTPA",
            (true, true, true) => "ESMTPSA",
        }
    }

    fn step(&mut self) -> Step {
        match &self.state {
            State::Command | State::Auth(_) => self.step_line(),
            State::Data { .. } | State::Chunk { .. } => self.step_content(),
            State::Waiting(_) | State::Closed => Step::NeedInput,
            State::Closing => {
                self.state = State::Closed;
                self.input = Vec::new();
                self.input_start = 0;
                Step::Event(Event::Close)
            }
        }
    }

    fn step_line(&mut self) -> Step {
        match self.find_line() {
            Line::Incomplete => Step::NeedInput,
            Line::Bare => {
                self.close(Reply::enhanced(
                    500,
                    (5, 5, 2),
                    "Bare CR or LF in a command; commands end in CRLF. Closing connection",
                ));
                Step::Again
            }
            Line::TooLong(length) => {
                self.skipping_line = false;
                self.input_start += length + 2;
                let in_exchange = matches!(self.state, State::Auth(_));
                self.state = State::Command;
                if in_exchange {
                    self.refuse(500, (5, 5, 6), "Authentication line too long");
                } else {
                    self.refuse(500, (5, 5, 2), "Line too long");
                }
                Step::Again
            }
            Line::Complete(length) => {
                // The buffer is lent to the handlers, so that a line need not be copied to be read.
                let mut input = std::mem::take(&mut self.input);
                let range = self.input_start..self.input_start + length;
                self.input_start += length + 2;
                let event = match std::mem::replace(&mut self.state, State::Command) {
                    State::Auth(step) => self.continue_auth(step, &input[range.clone()]),
                    _ => self.command(&input[range.clone()]),
                };
                if matches!(event, Some(Event::Auth { .. })) {
                    // The line holds the password, and the buffer lives as long as the connection.
                    input[range].zeroize();
                }
                self.input = input;
                if matches!(event, Some(Event::StartTls)) {
                    self.plaintext_dropped_bytes = self.input.len() - self.input_start;
                    self.input.clear();
                    self.input_start = 0;
                }
                event.map_or(Step::Again, Step::Event)
            }
        }
    }

    fn find_line(&mut self) -> Line {
        let input = &self.input[self.input_start..];
        let is_auth = matches!(self.state, State::Auth(_))
            || input.get(..5).is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH "));
        let limit = if is_auth { AUTH_LINE_BYTES_MAX } else { COMMAND_LINE_BYTES_MAX };
        match memchr2(b'\r', b'\n', input) {
            Some(at) if input[at] == b'\r' && input.get(at + 1) == Some(&b'\n') => {
                let too_long = self.skipping_line || at + 2 > limit;
                if too_long { Line::TooLong(at) } else { Line::Complete(at) }
            }
            Some(at) if input[at] == b'\n' || at + 1 < input.len() => Line::Bare,
            _ => {
                if self.skipping_line || input.len() > limit {
                    self.skipping_line = true;
                    let kept = usize::from(input.last() == Some(&b'\r'));
                    self.input_start = self.input.len() - kept;
                }
                Line::Incomplete
            }
        }
    }

    pub(super) fn say(&mut self, line: &'static [u8]) {
        self.output.buffer().extend_from_slice(line);
    }

    /// Answers a command that brings no mail, or closes when there were too many of them.
    pub(super) fn idle(&mut self, line: &'static [u8]) {
        if self.count_idle() {
            self.say(line);
        }
    }

    pub(super) fn count_idle(&mut self) -> bool {
        self.idle_commands += 1;
        let within = self.idle_commands <= self.config.idle_commands_max;
        if !within {
            self.close(Reply::enhanced(421, (4, 7, 0), "Too many commands without a message"));
        }
        within
    }

    /// Answers a bad command. The result is always `None`: there is no event.
    pub(super) fn refuse(
        &mut self,
        code: u16,
        enhanced: (u8, u16, u16),
        text: &'static str,
    ) -> Option<Event> {
        self.refuse_with(&Reply::enhanced(code, enhanced, text))
    }

    pub(super) fn refuse_with(&mut self, reply: &Reply) -> Option<Event> {
        self.bad_commands += 1;
        if self.bad_commands >= self.config.bad_commands_max {
            self.close(Reply::enhanced(421, (4, 7, 0), "Too many errors; closing connection"));
        } else {
            reply.write_to(self.output.buffer());
        }
        None
    }
}
