//! DATA and BDAT: from the command to the message, or to its refusal.

use super::content::{ChunkReader, Content, DataReader, Fault};
use super::session::{ChunkRefusal, Event, Question, Session, State, Step};
use super::transaction::{Chunks, Transaction};
use crate::reply::Reply;

impl Session {
    pub(super) fn data(&mut self) {
        match &self.transaction {
            None => {
                self.refuse(503, (5, 5, 1), "Send MAIL first");
            }
            Some(transaction) if !matches!(transaction.chunks, Chunks::None) => {
                self.refuse(503, (5, 5, 1), "DATA is not allowed after BDAT");
            }
            Some(transaction) if transaction.recipients.is_empty() => {
                self.refuse(554, (5, 5, 1), "No valid recipients");
            }
            Some(transaction) => {
                let mut content = self.new_content();
                content.reserve(transaction.parameters.size_bytes.unwrap_or(0));
                self.state = State::Data { reader: DataReader::new(content), finished: false };
                self.say(b"354 End data with <CR><LF>.<CR><LF>\r\n");
            }
        }
    }

    pub(super) fn bdat(&mut self, size_bytes: u64, last: bool) {
        let size_bytes_max = self.config.size_bytes_max.saturating_add(self.config.discard_bytes_max);
        if size_bytes > size_bytes_max {
            return self.close(self.config.replies.too_large.clone());
        }
        let content = self.new_content();
        let refusal = match &mut self.transaction {
            _ if !self.config.chunking => Some(ChunkRefusal::NotOffered),
            None => Some(ChunkRefusal::NoTransaction),
            Some(transaction) if transaction.recipients.is_empty() => Some(ChunkRefusal::NoRecipients),
            Some(transaction) => match &mut transaction.chunks {
                Chunks::Failed => Some(ChunkRefusal::AfterFailure),
                Chunks::Reading(reader) => {
                    reader.announce(size_bytes);
                    None
                }
                Chunks::None => {
                    let mut reader = ChunkReader::new(content);
                    reader.announce(size_bytes);
                    transaction.chunks = Chunks::Reading(reader);
                    None
                }
            },
        };
        self.state = State::Chunk { remaining_bytes: size_bytes, size_bytes, last, refusal };
    }

    fn new_content(&self) -> Content {
        Content::new(self.config.size_bytes_max, self.config.discard_bytes_max)
    }

    /// Gives content to its reader; returns the octets used.
    pub(super) fn feed_content(&mut self, bytes: &[u8]) -> usize {
        match &mut self.state {
            State::Data { reader, finished: finished @ false } => {
                let (used, end) = reader.feed(bytes);
                *finished = end;
                used
            }
            State::Chunk { remaining_bytes, refusal, .. } => {
                let used = usize::try_from(*remaining_bytes).unwrap_or(usize::MAX).min(bytes.len());
                *remaining_bytes -= used as u64;
                if let (None, Some(Transaction { chunks: Chunks::Reading(reader), .. })) =
                    (refusal, &mut self.transaction)
                {
                    reader.feed(&bytes[..used]);
                }
                used
            }
            _ => 0,
        }
    }

    pub(super) fn step_content(&mut self) -> Step {
        let input = std::mem::take(&mut self.input);
        self.input_start += self.feed_content(&input[self.input_start..]);
        self.input = input;
        match std::mem::replace(&mut self.state, State::Command) {
            State::Data { reader, finished } => {
                if reader.content().is_hopeless() {
                    self.close(self.config.replies.too_large.clone());
                    Step::Again
                } else if finished {
                    self.finish_content(reader.into_content())
                } else {
                    self.state = State::Data { reader, finished };
                    Step::NeedInput
                }
            }
            State::Chunk { remaining_bytes: 0, size_bytes, last, refusal: None } => {
                self.finish_chunk(size_bytes, last)
            }
            State::Chunk { remaining_bytes: 0, last, refusal: Some(refusal), .. } => {
                self.refuse_chunk(refusal, last);
                Step::Again
            }
            other => {
                self.state = other;
                Step::NeedInput
            }
        }
    }

    fn finish_chunk(&mut self, size_bytes: u64, last: bool) -> Step {
        let Some(transaction) = &mut self.transaction else { return Step::Again };
        let Chunks::Reading(reader) = std::mem::replace(&mut transaction.chunks, Chunks::Failed) else {
            return Step::Again;
        };
        if last {
            return self.finish_content(reader.finish());
        }
        match reader.content().fault() {
            Some(fault) => self.say_fault(fault),
            None => {
                transaction.chunks = Chunks::Reading(reader);
                let text = format!("{size_bytes} octets received");
                Reply::enhanced(250, (2, 0, 0), text).write_to(self.output.buffer());
            }
        }
        Step::Again
    }

    fn refuse_chunk(&mut self, refusal: ChunkRefusal, last: bool) {
        match refusal {
            ChunkRefusal::NotOffered => self.refuse(502, (5, 5, 1), "BDAT is not offered"),
            ChunkRefusal::NoTransaction => self.refuse(503, (5, 5, 1), "Send MAIL first"),
            ChunkRefusal::NoRecipients => self.refuse(554, (5, 5, 1), "No valid recipients"),
            ChunkRefusal::AfterFailure => {
                if last {
                    self.transaction = None;
                }
                self.refuse(503, (5, 5, 1), "An earlier chunk was refused; send RSET")
            }
        };
    }

    fn finish_content(&mut self, content: Content) -> Step {
        let Some(transaction) = self.transaction.take() else { return Step::Again };
        match content.fault() {
            Some(fault) => {
                self.say_fault(fault);
                Step::Again
            }
            None => {
                self.state = State::Waiting(Question::Message);
                Step::Event(Event::Message(Box::new(transaction.into_message(content.into_data()))))
            }
        }
    }

    fn say_fault(&mut self, fault: Fault) {
        let reply = match fault {
            Fault::BareLineBreak => &self.config.replies.bare_line_break,
            Fault::TooLarge => &self.config.replies.too_large,
        };
        reply.write_to(self.output.buffer());
    }
}
