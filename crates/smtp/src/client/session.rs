//! The client's side of one connection.
//!
//! Every command sent puts what it owes into a queue; every reply that arrives settles the front of it. With
//! PIPELINING a transaction queues MAIL, all RCPTs and DATA at once (RFC 2920 section 3.1), without it each
//! settled reply sends the next command: the same queue, the same decisions. A RSET that is needed after a
//! failed transaction goes out with the next one, so that it costs no round trip.
//!
//! Replies that arrive while content is still being written are left unread until it is written: whether a
//! reply is the answer to the end of data must not depend on how fast the caller writes.

use std::collections::VecDeque;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::content::{ContentWriter, has_bare_line_break};
use super::event::{CommandError, Event, HELD_BYTES_MAX, ProtocolError};
use super::phase::Phase;
use super::transaction::{Active, Outcome, RecipientState, Transaction, Unsupported};
use crate::address::{Mailbox, ReversePath};
use crate::extension::Extensions;
use crate::output::Output;
use crate::reply::{Reply, ReplyParser};

/// How a session introduces itself and behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// The argument of EHLO: this host's name, or an address literal.
    pub hello_name: String,
    /// Use PIPELINING where it is offered.
    pub pipelining: bool,
}

impl Config {
    pub fn new(hello_name: impl Into<String>) -> Config {
        Config { hello_name: hello_name.into(), pipelining: true }
    }
}

/// A reply that is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Auth,
    /// Asked for by the caller.
    Reset,
    /// Sent before a transaction, to clear away the one before it.
    ResetFirst,
    Mail,
    Rcpt(usize),
    DataStart,
    DataEnd,
    /// The end of a message that was left empty because nobody is to get it.
    LoneDot,
    Quit,
}

impl Owed {
    fn phase(self) -> Phase {
        match self {
            Owed::Greeting => Phase::Greeting,
            Owed::Ehlo | Owed::Helo => Phase::Ehlo,
            Owed::StartTls => Phase::StartTls,
            Owed::Auth => Phase::Auth,
            Owed::Reset | Owed::ResetFirst => Phase::Rset,
            Owed::Mail => Phase::Mail,
            Owed::Rcpt(_) => Phase::Rcpt,
            Owed::DataStart => Phase::DataStart,
            Owed::DataEnd | Owed::LoneDot => Phase::DataEnd,
            Owed::Quit => Phase::Quit,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// After the 220 to STARTTLS: nothing may come before the handshake.
    Handshake,
    /// The server will not take mail; QUIT is still polite.
    Unusable,
    Closed,
}

/// One connection. See the [module](super) for the order of calls.
#[derive(Debug)]
pub struct Session {
    config: Config,
    state: State,
    input: Vec<u8>,
    parser: ReplyParser,
    output: Output,
    writer: Option<ContentWriter>,
    owed: VecDeque<Owed>,
    events: VecDeque<Event>,
    extensions: Extensions,
    active: Option<Active>,
    needs_reset: bool,
}

impl Session {
    /// A session on a new connection, waiting for the greeting.
    pub fn new(config: Config) -> Session {
        Session {
            config,
            state: State::Open,
            input: Vec::new(),
            parser: ReplyParser::default(),
            output: Output::default(),
            writer: None,
            owed: VecDeque::from([Owed::Greeting]),
            events: VecDeque::new(),
            extensions: Extensions::default(),
            active: None,
            needs_reset: false,
        }
    }

    /// Takes what the socket gave.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.state != State::Closed {
            self.input.extend_from_slice(bytes);
        }
    }

    /// The next thing that happened; `None` when there is nothing to do but to write and to read.
    pub fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if !self.read_reply() {
                return None;
            }
        }
    }

    /// What is to be written next. Content comes in blocks: write and consume until this is empty.
    pub fn output(&mut self) -> &[u8] {
        self.fill_output();
        self.output.pending()
    }

    /// The first `count` octets of the output were written.
    pub fn consume_output(&mut self, count: usize) {
        self.output.consume(count);
    }

    /// Moves the next block of output to the end of `into`; an empty `into` is swapped with the session's
    /// buffer. Call until `into` stays as it was.
    pub fn take_output(&mut self, into: &mut Vec<u8>) {
        self.fill_output();
        self.output.take(into);
    }

    /// What is awaited, hence how long to wait ([`Phase::timeout`]).
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Closed => Phase::Closed,
            State::Handshake => Phase::StartTls,
            State::Open | State::Unusable if self.writer.is_some() => Phase::DataBlock,
            State::Open | State::Unusable => self.owed.front().map_or(Phase::Idle, |owed| owed.phase()),
        }
    }

    /// Whether `send` can be called.
    pub fn is_idle(&self) -> bool {
        self.state == State::Open && self.owed.is_empty() && self.active.is_none()
    }

    /// What the server offered in its last EHLO reply; nothing before it, or after HELO.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Asks for TLS. Answered by `TlsReady` or `TlsRefused`.
    pub fn starttls(&mut self) -> Result<(), CommandError> {
        self.expect_idle()?;
        if !self.extensions.starttls {
            return Err(CommandError::NotOffered("STARTTLS"));
        }
        self.command(Owed::StartTls, "STARTTLS");
        Ok(())
    }

    /// TLS is up: what the server offered before is forgotten and EHLO is sent again. Anything that came in
    /// clear behind the 220 was put there by somebody else, and ends the session.
    pub fn tls_established(&mut self) {
        if self.state != State::Handshake {
            return;
        }
        self.state = State::Open;
        if !self.input.is_empty() {
            let count = self.input.len();
            return self.break_off(ProtocolError::PlaintextBehindStartTls { count });
        }
        self.extensions = Extensions::default();
        self.hello();
    }

    /// Logs in with AUTH PLAIN. Answered by `Authenticated` or `AuthRefused`. The caller sees to TLS.
    pub fn auth_plain(&mut self, username: &str, password: &str) -> Result<(), CommandError> {
        self.expect_idle()?;
        if !self.extensions.auth.is_some_and(|auth| auth.plain) {
            return Err(CommandError::NotOffered("AUTH PLAIN"));
        }
        if username.contains('\0') || password.contains('\0') {
            return Err(CommandError::Credentials);
        }
        let response = STANDARD.encode(format!("\0{username}\0{password}"));
        self.command(Owed::Auth, &format!("AUTH PLAIN {response}"));
        Ok(())
    }

    /// Sends a message. Answered by `Finished`, at once when the server lacks what all recipients need.
    pub fn send(&mut self, transaction: Transaction) -> Result<(), CommandError> {
        self.expect_idle()?;
        let active = self.prepare(transaction)?;
        let Some(first) = active.next_recipient(0) else {
            self.events.push_back(Event::Finished(active.finish(true, Phase::Idle)));
            return Ok(());
        };
        let pipelined = self.config.pipelining && self.extensions.pipelining;
        if pipelined {
            if std::mem::take(&mut self.needs_reset) {
                self.command(Owed::ResetFirst, "RSET");
            }
            self.command(Owed::Mail, &active.mail_command);
            let mut next = Some(first);
            while let Some(index) = next {
                self.rcpt(index, &active.recipients[index].wire_address);
                next = active.next_recipient(index + 1);
            }
            self.command(Owed::DataStart, "DATA");
        } else if std::mem::take(&mut self.needs_reset) {
            self.command(Owed::ResetFirst, "RSET");
        } else {
            self.command(Owed::Mail, &active.mail_command);
        }
        self.active = Some(active);
        Ok(())
    }

    /// Sends RSET, e.g. to see whether a connection that lay idle still lives. Answered by `Reset`.
    pub fn rset(&mut self) -> Result<(), CommandError> {
        self.expect_idle()?;
        self.needs_reset = false;
        self.command(Owed::Reset, "RSET");
        Ok(())
    }

    /// Sends QUIT. Answered by `Closed`; a caller in a hurry may close the socket after writing.
    pub fn quit(&mut self) -> Result<(), CommandError> {
        let free = matches!(self.state, State::Open | State::Unusable) && self.owed.is_empty();
        if !free || self.active.is_some() {
            return Err(CommandError::NotIdle { phase: self.phase() });
        }
        self.command(Owed::Quit, "QUIT");
        Ok(())
    }

    /// The socket was closed, failed or timed out. Replies that had arrived are still read, then a
    /// transaction under way is `Finished`, its open recipients `Interrupted`; `Closed` is the last event.
    pub fn connection_lost(&mut self) {
        let phase = self.phase();
        if self.writer.take().is_some() && self.owed.front() == Some(&Owed::DataEnd) {
            // The content was not written out, so that only a refusal can be an answer to it.
            self.owed.clear();
            if let Ok((_, Some(reply))) = self.parser.parse(&self.input)
                && (reply.is_transient() || reply.is_permanent())
            {
                self.decide_all(Phase::DataBlock, &reply);
            }
            self.input.clear();
        }
        while self.read_reply() {}
        if self.state != State::Closed {
            self.finish(false, if self.active.is_some() { phase_or(self.phase(), phase) } else { phase });
            self.shut(Event::Closed { reply: None });
        }
    }

    fn expect_idle(&self) -> Result<(), CommandError> {
        if self.is_idle() { Ok(()) } else { Err(CommandError::NotIdle { phase: self.phase() }) }
    }

    fn prepare(&self, transaction: Transaction) -> Result<Active, CommandError> {
        let Transaction { reverse_path, recipients, smtputf8, content } = transaction;
        let address_error =
            |address: &String, error| CommandError::Address { address: address.clone(), error };
        let from = ReversePath::parse(&reverse_path).map_err(|error| address_error(&reverse_path, error))?;
        if recipients.is_empty() {
            return Err(CommandError::NoRecipients);
        }
        let offered = &self.extensions;
        let size_bytes = content.iter().map(|part| part.len() as u64).sum::<u64>();
        let eight_bit = content.iter().any(|part| !part.is_ascii());
        let obstacle = self.obstacle(&content, size_bytes, eight_bit, smtputf8 || !from.is_ascii());
        let mut utf8 = smtputf8 || !from.is_ascii();
        let mut states = Vec::with_capacity(recipients.len());
        for address in recipients {
            let mailbox = Mailbox::parse(&address).map_err(|error| address_error(&address, error))?;
            let own_obstacle = (!mailbox.is_ascii() && !offered.smtputf8).then_some(Unsupported::SmtpUtf8);
            utf8 |= !mailbox.is_ascii();
            states.push(RecipientState {
                address,
                wire_address: mailbox.to_string(),
                accepted: false,
                outcome: obstacle.or(own_obstacle).map(Outcome::Unsupported),
            });
        }
        let mut mail_command = format!("MAIL FROM:<{from}>");
        if offered.size.is_some() {
            mail_command.push_str(&format!(" SIZE={size_bytes}"));
        }
        if offered.eight_bit_mime && eight_bit {
            mail_command.push_str(" BODY=8BITMIME");
        }
        if offered.smtputf8 && utf8 {
            mail_command.push_str(" SMTPUTF8");
        }
        Ok(Active { mail_command, recipients: states, content, opened: false })
    }

    /// What keeps the message from all recipients alike.
    fn obstacle(
        &self,
        content: &[Bytes],
        size_bytes: u64,
        eight_bit: bool,
        utf8: bool,
    ) -> Option<Unsupported> {
        let size_bytes_max = self.extensions.size_bytes_max().filter(|max| size_bytes > *max);
        if has_bare_line_break(content) {
            Some(Unsupported::BareLineBreak)
        } else if let Some(size_bytes_max) = size_bytes_max {
            Some(Unsupported::TooLarge { size_bytes, size_bytes_max })
        } else if utf8 && !self.extensions.smtputf8 {
            Some(Unsupported::SmtpUtf8)
        } else if eight_bit && !self.extensions.eight_bit_mime {
            Some(Unsupported::EightBit)
        } else {
            None
        }
    }

    fn command(&mut self, owed: Owed, line: &str) {
        let out = self.output.buffer();
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
        self.owed.push_back(owed);
    }

    fn rcpt(&mut self, index: usize, wire_address: &str) {
        self.command(Owed::Rcpt(index), &format!("RCPT TO:<{wire_address}>"));
    }

    fn hello(&mut self) {
        let line = format!("EHLO {}", self.config.hello_name);
        self.command(Owed::Ehlo, &line);
    }

    fn fill_output(&mut self) {
        if let Some(writer) = &mut self.writer
            && self.output.is_empty()
        {
            writer.write_block(self.output.buffer());
            if writer.is_finished() {
                self.writer = None;
            }
        }
    }

    /// Reads and settles one reply, or the error in its place; false when there is none to read now.
    fn read_reply(&mut self) -> bool {
        if matches!(self.state, State::Handshake | State::Closed) || self.input.is_empty() {
            return false;
        }
        if self.writer.is_some() {
            let too_much = self.input.len() > HELD_BYTES_MAX;
            if too_much {
                self.break_off(ProtocolError::TooMuchInput);
            }
            return too_much;
        }
        match self.parser.parse(&self.input) {
            Ok((read, reply)) => {
                self.input.drain(..read);
                let complete = reply.is_some();
                if let Some(reply) = reply {
                    self.settle(reply);
                }
                complete
            }
            Err(error) => {
                let phase = self.phase();
                self.break_off(ProtocolError::MalformedReply { phase, error });
                true
            }
        }
    }

    fn settle(&mut self, reply: Reply) {
        let owed = self.owed.pop_front();
        if reply.closes_connection() {
            let phase = owed.map_or(Phase::Idle, Owed::phase);
            self.decide_all(phase, &reply);
            self.finish(false, phase);
            return self.shut(Event::Closed { reply: Some(reply) });
        }
        match owed {
            Some(Owed::Greeting) if reply.code() == 220 => {
                self.events.push_back(Event::Greeted { reply });
                self.hello();
            }
            Some(Owed::Ehlo) if reply.is_positive() => {
                self.extensions = Extensions::from_ehlo(&reply);
                self.events.push_back(Event::Ready);
            }
            Some(Owed::Ehlo) if reply.is_permanent() => {
                let line = format!("HELO {}", self.config.hello_name);
                self.command(Owed::Helo, &line);
            }
            Some(Owed::Helo) if reply.is_positive() => self.events.push_back(Event::Ready),
            Some(owed @ (Owed::Greeting | Owed::Ehlo | Owed::Helo)) if is_negative(&reply) => {
                self.state = State::Unusable;
                self.events.push_back(Event::Refused { phase: owed.phase(), reply });
            }
            Some(Owed::StartTls) if reply.is_positive() => {
                self.state = State::Handshake;
                self.events.push_back(Event::TlsReady);
            }
            Some(Owed::StartTls) if is_negative(&reply) => self.events.push_back(Event::TlsRefused { reply }),
            Some(Owed::Auth) if reply.is_positive() => self.events.push_back(Event::Authenticated { reply }),
            Some(Owed::Auth) if is_negative(&reply) => self.events.push_back(Event::AuthRefused { reply }),
            Some(Owed::Reset) if !reply.is_intermediate() => self.events.push_back(Event::Reset { reply }),
            Some(Owed::Quit) if !reply.is_intermediate() => self.shut(Event::Closed { reply: Some(reply) }),
            Some(owed) => self.settle_transaction(owed, reply),
            None => self.break_off(ProtocolError::UnexpectedReply { phase: Phase::Idle, reply }),
        }
    }

    fn settle_transaction(&mut self, owed: Owed, reply: Reply) {
        let phase = owed.phase();
        let Some(active) = &mut self.active else {
            return self.break_off(ProtocolError::UnexpectedReply { phase, reply });
        };
        match owed {
            Owed::ResetFirst if reply.is_positive() => {
                if self.owed.is_empty() {
                    let line = active.mail_command.clone();
                    self.command(Owed::Mail, &line);
                }
            }
            Owed::Mail if reply.is_positive() => {
                active.opened = true;
                if self.owed.is_empty() {
                    self.next_rcpt(0);
                }
            }
            Owed::Mail if is_negative(&reply) => {
                self.decide_all(phase, &reply);
                if self.owed.is_empty() {
                    self.finish(true, phase);
                }
            }
            Owed::Rcpt(index) if !reply.is_intermediate() => {
                let recipient = &mut active.recipients[index];
                if reply.is_positive() {
                    recipient.accepted = true;
                } else {
                    recipient.outcome.get_or_insert(Outcome::Refused { phase, reply });
                }
                if self.owed.is_empty() {
                    self.next_rcpt(index + 1);
                }
            }
            Owed::DataStart if reply.is_intermediate() => self.start_content(),
            Owed::DataStart | Owed::LoneDot if is_negative(&reply) => {
                // After a lone dot everyone has an outcome already.
                self.decide_all(phase, &reply);
                self.finish(true, phase);
            }
            Owed::DataEnd if reply.is_positive() => {
                active.opened = false;
                active.decide(&Outcome::Accepted { reply });
                self.finish(true, phase);
            }
            Owed::DataEnd if is_negative(&reply) => {
                active.opened = false;
                self.decide_all(phase, &reply);
                self.finish(true, phase);
            }
            // A server that takes an empty message for nobody is not one to go on with.
            Owed::LoneDot if reply.is_positive() => {
                self.finish(false, phase);
                self.state = State::Unusable;
            }
            _ => self.break_off(ProtocolError::UnexpectedReply { phase, reply }),
        }
    }

    /// Without PIPELINING: the next RCPT, or DATA, or nothing when nobody was accepted.
    fn next_rcpt(&mut self, index: usize) {
        let Some(active) = &self.active else { return };
        match active.next_recipient(index) {
            Some(index) => {
                let wire_address = active.recipients[index].wire_address.clone();
                self.rcpt(index, &wire_address);
            }
            None if active.is_any_accepted() => self.command(Owed::DataStart, "DATA"),
            None => self.finish(true, Phase::Rcpt),
        }
    }

    /// The server said 354. With PIPELINING it may do so although nobody was accepted (RFC 2920 section 3.1): then
    /// the message is ended before it begins, and no reply to that counts as a delivery.
    fn start_content(&mut self) {
        let Some(active) = &mut self.active else { return };
        if active.is_any_accepted() {
            self.writer = Some(ContentWriter::new(std::mem::take(&mut active.content)));
            self.owed.push_back(Owed::DataEnd);
        } else {
            self.command(Owed::LoneDot, ".");
        }
    }

    fn decide_all(&mut self, phase: Phase, reply: &Reply) {
        if let Some(active) = &mut self.active {
            active.decide(&Outcome::Refused { phase, reply: reply.clone() });
        }
    }

    fn finish(&mut self, reusable: bool, phase: Phase) {
        if let Some(active) = self.active.take() {
            self.needs_reset = active.opened;
            self.events.push_back(Event::Finished(active.finish(reusable, phase)));
        }
    }

    fn break_off(&mut self, error: ProtocolError) {
        let phase = match &error {
            ProtocolError::MalformedReply { phase, .. } | ProtocolError::UnexpectedReply { phase, .. } => {
                *phase
            }
            ProtocolError::PlaintextBehindStartTls { .. } => Phase::StartTls,
            ProtocolError::TooMuchInput => Phase::DataBlock,
        };
        if let Some(active) = &mut self.active {
            active.decide(&Outcome::Interrupted { phase, error: Some(error.clone()) });
        }
        self.finish(false, phase);
        self.shut(Event::ProtocolError(error));
    }

    fn shut(&mut self, last: Event) {
        self.state = State::Closed;
        self.owed.clear();
        self.writer = None;
        self.input = Vec::new();
        self.output = Output::default();
        self.events.push_back(last);
    }
}

fn is_negative(reply: &Reply) -> bool {
    reply.is_transient() || reply.is_permanent()
}

/// After the replies that had arrived were read, the phase may have moved on; a session without a phase
/// keeps the one it was lost in.
fn phase_or(now: Phase, before: Phase) -> Phase {
    if now == Phase::Idle { before } else { now }
}
