//! One message to one server: what is sent, and what became of it for each recipient.

use bytes::Bytes;

use super::event::ProtocolError;
use super::phase::Phase;
use crate::reply::{EnhancedCode, Reply};

/// What to send. Addresses are checked by [`Session::send`](super::Session::send).
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Without angle brackets; empty for the null path.
    pub reverse_path: String,
    /// Without angle brackets; at least one.
    pub recipients: Vec<String>,
    /// The headers have text beyond ASCII (RFC 6532), so that only a server with SMTPUTF8 may have them.
    /// Addresses beyond ASCII need not be told here.
    pub smtputf8: bool,
    /// The message in parts that are sent joined, e.g. a signature and the stored message. Lines end in
    /// CRLF; dots are stuffed on the way out, and a CRLF is added when the last line lacks it.
    pub content: Vec<Bytes>,
}

/// Why a message cannot be given to this server: a permanent failure found without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    #[error("the message has octets over 127 and the server does not offer 8BITMIME")]
    EightBit,
    #[error("the message or an address needs SMTPUTF8, which the server does not offer")]
    SmtpUtf8,
    #[error("the message has {size_bytes} octets and the server takes {size_bytes_max}")]
    TooLarge { size_bytes: u64, size_bytes_max: u64 },
    #[error("the message has a bare CR or a bare LF")]
    BareLineBreak,
}

impl Unsupported {
    /// The code that a report to the sender would give, RFC 3463 and RFC 6531.
    pub const fn enhanced_code(self) -> EnhancedCode {
        match self {
            Unsupported::EightBit => EnhancedCode::new(5, 6, 3),
            Unsupported::SmtpUtf8 => EnhancedCode::new(5, 6, 7),
            Unsupported::TooLarge { .. } => EnhancedCode::new(5, 3, 4),
            Unsupported::BareLineBreak => EnhancedCode::new(5, 6, 0),
        }
    }
}

/// What became of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server took the message for this recipient: its reply to the end of data.
    Accepted { reply: Reply },
    /// The server refused: for this recipient at RCPT, for all at MAIL, DATA or the end of data, or with a
    /// 421 at any time.
    Refused { phase: Phase, reply: Reply },
    /// Nothing was sent for this recipient.
    Unsupported(Unsupported),
    /// The connection ended, or became unusable, before the server decided. After `DataEnd` the server may
    /// have taken the message all the same.
    Interrupted { phase: Phase, error: Option<ProtocolError> },
}

impl Outcome {
    pub fn is_accepted(&self) -> bool {
        matches!(self, Outcome::Accepted { .. })
    }

    /// Trying again is of no use.
    pub fn is_permanent(&self) -> bool {
        match self {
            Outcome::Refused { reply, .. } => reply.is_permanent(),
            Outcome::Unsupported(_) => true,
            Outcome::Accepted { .. } | Outcome::Interrupted { .. } => false,
        }
    }

    /// The same may work later, or at another server.
    pub fn is_transient(&self) -> bool {
        !self.is_accepted() && !self.is_permanent()
    }

    /// The server's words, if it was the server that decided.
    pub fn reply(&self) -> Option<&Reply> {
        match self {
            Outcome::Accepted { reply } | Outcome::Refused { reply, .. } => Some(reply),
            Outcome::Unsupported(_) | Outcome::Interrupted { .. } => None,
        }
    }
}

/// A recipient, as it stood in the transaction, and its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientResult {
    pub address: String,
    pub outcome: Outcome,
}

/// The end of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionResult {
    /// In the order of `Transaction::recipients`.
    pub recipients: Vec<RecipientResult>,
    /// Whether another transaction may follow on this connection.
    pub reusable: bool,
}

/// A recipient while the transaction runs.
#[derive(Debug)]
pub(crate) struct RecipientState {
    pub(crate) address: String,
    /// As RCPT gives it: normalised, A-labels.
    pub(crate) wire_address: String,
    pub(crate) accepted: bool,
    pub(crate) outcome: Option<Outcome>,
}

/// The transaction under way.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) mail_command: String,
    pub(crate) recipients: Vec<RecipientState>,
    pub(crate) content: Vec<Bytes>,
    /// The server accepted MAIL, so that it holds a transaction until the end of data or a RSET.
    pub(crate) opened: bool,
}

impl Active {
    pub(crate) fn is_any_accepted(&self) -> bool {
        self.recipients.iter().any(|recipient| recipient.accepted && recipient.outcome.is_none())
    }

    /// The next recipient to send a RCPT for, from `index` on.
    pub(crate) fn next_recipient(&self, index: usize) -> Option<usize> {
        (index..self.recipients.len()).find(|&index| self.recipients[index].outcome.is_none())
    }

    /// Gives everyone who has no outcome this one.
    pub(crate) fn decide(&mut self, outcome: &Outcome) {
        for recipient in &mut self.recipients {
            recipient.outcome.get_or_insert_with(|| outcome.clone());
        }
    }

    /// The result; who has no outcome by now was interrupted in `phase`.
    pub(crate) fn finish(self, reusable: bool, phase: Phase) -> TransactionResult {
        let recipients = self
            .recipients
            .into_iter()
            .map(|recipient| RecipientResult {
                address: recipient.address,
                outcome: recipient.outcome.unwrap_or(Outcome::Interrupted { phase, error: None }),
            })
            .collect();
        TransactionResult { recipients, reusable }
    }
}
