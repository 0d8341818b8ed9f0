//! The commands: which may come when, and what each is answered. Content is in `message.rs`.

use super::auth::{self, AuthFault, AuthProgress, AuthStep, Mechanism};
use super::command::{self, Command, CommandError};
use super::config::AuthOffer;
use super::session::{Event, Question, Session, State};
use super::transaction::{Chunks, Recipient, Transaction};
use crate::address::{ForwardPath, ReversePath};
use crate::extension::Extensions;
use crate::parameter::{MailParameters, ParameterError, RcptParameters};
use crate::reply::Reply;

impl Session {
    pub(super) fn command(&mut self, line: &[u8]) -> Option<Event> {
        match command::parse(line) {
            Ok(Command::Hello { extended, name }) => self.hello(extended, name),
            Ok(Command::Mail { argument }) => return self.mail(argument),
            Ok(Command::Rcpt { argument }) => return self.rcpt(argument),
            Ok(Command::Data) => self.data(),
            Ok(Command::Bdat { size_bytes, last }) => self.bdat(size_bytes, last),
            Ok(Command::Reset) => {
                self.transaction = None;
                self.idle(b"250 2.0.0 OK\r\n");
            }
            Ok(Command::Noop) => self.idle(b"250 2.0.0 OK\r\n"),
            Ok(Command::Quit) => self.close(Reply::enhanced(221, (2, 0, 0), "Closing connection")),
            Ok(Command::Verify) => self.idle(b"252 2.5.0 Cannot VRFY; try RCPT to attempt delivery\r\n"),
            Ok(Command::Help) => self.idle(b"214 2.0.0 See RFC 5321\r\n"),
            Ok(Command::StartTls) => return self.start_tls(),
            Ok(Command::Auth { mechanism, initial }) => return self.auth(mechanism, initial),
            Err(error) => return self.bad_command(error),
        }
        None
    }

    fn bad_command(&mut self, error: CommandError) -> Option<Event> {
        match error {
            CommandError::NotText => self.refuse(500, (5, 5, 2), "Control character or malformed UTF-8"),
            CommandError::Unknown => self.refuse(500, (5, 5, 1), "Command not recognised"),
            CommandError::NotImplemented => self.refuse(502, (5, 5, 1), "Command not implemented"),
            CommandError::Argument(usage) => {
                self.refuse_with(&Reply::enhanced(501, (5, 5, 4), format!("Syntax: {usage}")))
            }
            CommandError::ChunkLength => {
                const TEXT: &str =
                    "Syntax: BDAT octets [LAST]. The end of the chunk is unknown; closing connection";
                self.close(Reply::enhanced(501, (5, 5, 4), TEXT));
                None
            }
            CommandError::OtherProtocol => {
                self.close(Reply::enhanced(554, (5, 7, 0), "This is an SMTP server; closing connection"));
                None
            }
        }
    }

    fn hello(&mut self, extended: bool, name: &str) {
        self.transaction = None;
        self.hello_name = Some(name.to_owned());
        if !self.count_idle() {
            return;
        }
        if extended {
            self.offered = self.config.extensions(self.tls_active, self.authenticated);
            self.offered.write_ehlo(&self.config.hostname, self.output.buffer());
        } else {
            self.offered = Extensions::default();
            Reply::new(250, self.config.hostname.clone()).write_to(self.output.buffer());
        }
    }

    fn mail(&mut self, argument: &str) -> Option<Event> {
        if self.hello_name.is_none() {
            return self.refuse(503, (5, 5, 1), "Send EHLO first");
        }
        if self.transaction.is_some() {
            return self.refuse(503, (5, 5, 1), "MAIL was already given; finish the message or send RSET");
        }
        if self.config.auth == AuthOffer::Required && !self.authenticated {
            return if self.config.auth_possible(self.tls_active) {
                let reply = self.config.replies.authentication_required.clone();
                self.refuse_with(&reply)
            } else {
                self.refuse(530, (5, 7, 0), "Must issue a STARTTLS command first")
            };
        }
        let (from, rest) = match ReversePath::parse_prefix(argument) {
            Ok(parsed) => parsed,
            Err(error) => {
                return self.refuse_with(&Reply::enhanced(501, (5, 1, 7), format!("Sender: {error}")));
            }
        };
        let path_is_ascii = argument[..argument.len() - rest.len()].is_ascii();
        let auth_offered = self.config.auth_possible(self.tls_active);
        let parameters = match after_path(rest)
            .and_then(|rest| MailParameters::parse(rest, &self.offered, auth_offered))
        {
            Ok(parameters) => parameters,
            Err(error) => return self.refuse_parameter(&error),
        };
        if !path_is_ascii && !parameters.smtputf8 {
            return self.refuse(553, (5, 6, 7), "Sender: address beyond ASCII needs SMTPUTF8");
        }
        if parameters.size_bytes.is_some_and(|size| size > self.config.size_bytes_max) {
            self.config.replies.too_large.write_to(self.output.buffer());
            return None;
        }
        let transaction = Transaction::new(from.clone(), parameters.clone());
        self.state = State::Waiting(Question::Mail(transaction));
        Some(Event::Mail { from, parameters })
    }

    fn rcpt(&mut self, argument: &str) -> Option<Event> {
        let Some(transaction) = &self.transaction else {
            return self.refuse(503, (5, 5, 1), "Send MAIL first");
        };
        if !matches!(transaction.chunks, Chunks::None) {
            return self.refuse(503, (5, 5, 1), "RCPT is not allowed after BDAT");
        }
        let (to, rest) = match ForwardPath::parse_prefix(argument) {
            Ok(parsed) => parsed,
            Err(error) => {
                return self.refuse_with(&Reply::enhanced(501, (5, 1, 3), format!("Recipient: {error}")));
            }
        };
        if !argument[..argument.len() - rest.len()].is_ascii() && !transaction.parameters.smtputf8 {
            return self.refuse(553, (5, 6, 7), "Recipient: address beyond ASCII needs SMTPUTF8");
        }
        let too_many = transaction.recipients.len() >= self.config.recipients_max;
        let parameters = match after_path(rest).and_then(|rest| RcptParameters::parse(rest, &self.offered)) {
            Ok(parameters) => parameters,
            Err(error) => return self.refuse_parameter(&error),
        };
        if too_many {
            self.config.replies.too_many_recipients.write_to(self.output.buffer());
            return None;
        }
        let recipient = Recipient { to: to.clone(), parameters: parameters.clone() };
        self.state = State::Waiting(Question::Rcpt(recipient));
        Some(Event::Rcpt { to, parameters })
    }

    fn refuse_parameter(&mut self, error: &ParameterError) -> Option<Event> {
        let code = if matches!(error, ParameterError::Unknown { .. }) { 555 } else { 501 };
        self.refuse_with(&Reply::enhanced(code, (5, 5, 4), error.to_string()))
    }

    fn start_tls(&mut self) -> Option<Event> {
        if self.tls_active {
            return self.refuse(503, (5, 5, 1), "TLS is already active");
        }
        if !self.config.starttls {
            return self.refuse(502, (5, 5, 1), "STARTTLS is not offered");
        }
        if !self.offered.starttls {
            return self.refuse(503, (5, 5, 1), "Send EHLO first");
        }
        self.say(b"220 2.0.0 Ready to start TLS\r\n");
        self.state = State::Waiting(Question::StartTls);
        Some(Event::StartTls)
    }

    fn auth(&mut self, mechanism: &str, initial: Option<&str>) -> Option<Event> {
        if self.config.auth == AuthOffer::Off {
            return self.refuse(502, (5, 5, 1), "AUTH is not offered");
        }
        if self.authenticated {
            return self.refuse(503, (5, 5, 1), "Already authenticated");
        }
        if !self.config.auth_possible(self.tls_active) {
            return self.refuse(538, (5, 7, 11), "Encryption required for authentication; use STARTTLS");
        }
        if self.offered.auth.is_none() {
            return self.refuse(503, (5, 5, 1), "Send EHLO first");
        }
        if self.transaction.is_some() {
            return self.refuse(503, (5, 5, 1), "AUTH is not allowed during a mail transaction");
        }
        let Some(mechanism) = Mechanism::from_name(mechanism) else {
            return self.refuse(504, (5, 5, 4), "Mechanism not recognised; use PLAIN or LOGIN");
        };
        let step = AuthStep::first(mechanism);
        match initial {
            Some(response) => self.continue_auth(step, response.as_bytes()),
            None => {
                self.say(step.challenge());
                self.state = State::Auth(step);
                None
            }
        }
    }

    pub(super) fn continue_auth(&mut self, step: AuthStep, response: &[u8]) -> Option<Event> {
        match auth::respond(step, response) {
            Ok(AuthProgress::Ask(next)) => {
                self.say(next.challenge());
                self.state = State::Auth(next);
                None
            }
            Ok(AuthProgress::Complete { mechanism, username, password }) => {
                self.state = State::Waiting(Question::Auth);
                Some(Event::Auth { mechanism, username, password })
            }
            Err(AuthFault::Cancelled) => self.refuse(501, (5, 7, 0), "Authentication cancelled"),
            Err(AuthFault::Malformed) => self.refuse(501, (5, 5, 2), "Malformed authentication response"),
            Err(AuthFault::ForeignIdentity) => {
                self.refuse(535, (5, 7, 8), "Acting as another identity is not allowed")
            }
        }
    }
}

fn after_path(rest: &str) -> Result<&str, ParameterError> {
    if rest.is_empty() || rest.starts_with(' ') { Ok(rest) } else { Err(ParameterError::Syntax) }
}
