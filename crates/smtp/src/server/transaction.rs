//! One mail transaction: from an accepted MAIL to the message, or to whatever resets it.

use super::content::ChunkReader;
use crate::address::{ForwardPath, ReversePath};
use crate::parameter::{MailParameters, RcptParameters};

/// A recipient that the caller accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    pub to: ForwardPath,
    pub parameters: RcptParameters,
}

/// A message with its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub from: ReversePath,
    pub parameters: MailParameters,
    /// Accepted recipients in the order of their RCPT commands; never empty.
    pub recipients: Vec<Recipient>,
    /// The content, unstuffed. Every line break in it is CRLF; only content that came by BDAT may lack the
    /// last one.
    pub data: Vec<u8>,
    /// Whether `data` has octets over 127, whatever BODY said.
    pub eight_bit: bool,
}

/// How far the BDAT commands of a transaction have come.
#[derive(Debug)]
pub(crate) enum Chunks {
    None,
    Reading(ChunkReader),
    /// A chunk was refused: all further ones are, until the last or a RSET.
    Failed,
}

#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) from: ReversePath,
    pub(crate) parameters: MailParameters,
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) chunks: Chunks,
}

impl Transaction {
    pub(crate) fn new(from: ReversePath, parameters: MailParameters) -> Transaction {
        Transaction { from, parameters, recipients: Vec::new(), chunks: Chunks::None }
    }

    pub(crate) fn into_message(self, data: Vec<u8>) -> Message {
        let eight_bit = !data.is_ascii();
        Message { from: self.from, parameters: self.parameters, recipients: self.recipients, data, eight_bit }
    }
}
