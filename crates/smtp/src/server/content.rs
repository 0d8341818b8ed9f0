//! The framing of message content: DATA (RFC 5321 section 4.5.2) and BDAT (RFC 3030).
//!
//! DATA ends at CRLF "." CRLF and nowhere else. A bare CR or a bare LF makes the content faulty, does not
//! begin a line, and so can neither end the content nor be unstuffed: whatever follows is still content,
//! up to the real end, and is then refused as a whole. That is what leaves no room for smuggling. Faulty or
//! oversize content is read on but no longer kept.
//!
//! Octets are copied once, from the caller's read buffer into the message, in runs as long as possible: a
//! run is only cut at a leading dot or at the end of the input.

use memchr::memchr2;

const RESERVE_BYTES_MAX: usize = 256 * 1024;

/// Why content will be refused, once its end has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    BareLineBreak,
    TooLarge,
}

/// Content as far as it has come.
#[derive(Debug)]
pub(crate) struct Content {
    data: Vec<u8>,
    /// Octets after unstuffing, kept or not: the verdict must not depend on how the input was cut.
    content_bytes: u64,
    bare_line_break: bool,
    size_bytes_max: u64,
    discard_bytes_max: u64,
}

impl Content {
    pub(crate) fn new(size_bytes_max: u64, discard_bytes_max: u64) -> Content {
        Content {
            data: Vec::new(),
            content_bytes: 0,
            bare_line_break: false,
            size_bytes_max,
            discard_bytes_max,
        }
    }

    /// Makes room for what the client announced, up to a bound that an empty promise may cost us.
    pub(crate) fn reserve(&mut self, announced_bytes: u64) {
        let announced = usize::try_from(announced_bytes).unwrap_or(usize::MAX);
        self.data.reserve(announced.min(RESERVE_BYTES_MAX));
    }

    fn store(&mut self, run: &[u8]) {
        self.content_bytes = self.content_bytes.saturating_add(run.len() as u64);
        if self.fault().is_none() {
            self.data.extend_from_slice(run);
        } else {
            self.data = Vec::new();
        }
    }

    /// Too large wins over a bare line break: it can be told without having seen the end.
    pub(crate) fn fault(&self) -> Option<Fault> {
        if self.content_bytes > self.size_bytes_max {
            Some(Fault::TooLarge)
        } else if self.bare_line_break {
            Some(Fault::BareLineBreak)
        } else {
            None
        }
    }

    /// Whether so much was read of content that will be refused that its end is no longer worth waiting for.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.content_bytes > self.size_bytes_max.saturating_add(self.discard_bytes_max)
    }

    pub(crate) fn into_data(self) -> Vec<u8> {
        self.data
    }
}

/// Where the next octet of DATA stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    LineStart,
    /// After a dot at the start of a line, which is not kept in any case.
    Dot,
    /// After that dot and a CR, which is not kept either: it is the end, or bare.
    DotCr,
    Middle,
    Cr,
}

/// Reads DATA up to its end.
#[derive(Debug)]
pub(crate) struct DataReader {
    content: Content,
    position: Position,
}

impl DataReader {
    pub(crate) fn new(content: Content) -> DataReader {
        DataReader { content, position: Position::LineStart }
    }

    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    pub(crate) fn into_content(self) -> Content {
        self.content
    }

    /// Takes input. Returns the octets used, and whether the end was reached with the last of them.
    pub(crate) fn feed(&mut self, input: &[u8]) -> (usize, bool) {
        let mut at = 0;
        let mut run_start = 0;
        while let Some(&byte) = input.get(at) {
            match self.position {
                Position::LineStart if byte == b'.' => {
                    self.content.store(&input[run_start..at]);
                    at += 1;
                    run_start = at;
                    self.position = Position::Dot;
                }
                Position::LineStart => self.position = Position::Middle,
                Position::Dot if byte == b'\r' => {
                    at += 1;
                    run_start = at;
                    self.position = Position::DotCr;
                }
                Position::Dot => self.position = Position::Middle,
                Position::DotCr if byte == b'\n' => {
                    at += 1;
                    return (at, true);
                }
                Position::DotCr => {
                    self.content.bare_line_break = true;
                    self.position = Position::Middle;
                }
                Position::Middle => match memchr2(b'\r', b'\n', &input[at..]) {
                    Some(distance) => {
                        at += distance + 1;
                        if input[at - 1] == b'\r' {
                            self.position = Position::Cr;
                        } else {
                            self.content.bare_line_break = true;
                        }
                    }
                    None => at = input.len(),
                },
                Position::Cr if byte == b'\n' => {
                    at += 1;
                    self.position = Position::LineStart;
                }
                Position::Cr => {
                    self.content.bare_line_break = true;
                    self.position = Position::Middle;
                }
            }
        }
        self.content.store(&input[run_start..]);
        (input.len(), false)
    }
}

/// Reads the octets of BDAT chunks. Chunks end where their length says, so a line may span two of them.
#[derive(Debug)]
pub(crate) struct ChunkReader {
    content: Content,
    after_cr: bool,
}

impl ChunkReader {
    pub(crate) fn new(content: Content) -> ChunkReader {
        ChunkReader { content, after_cr: false }
    }

    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    /// Makes room for the next chunk.
    pub(crate) fn announce(&mut self, chunk_bytes: u64) {
        self.content.reserve(chunk_bytes);
    }

    pub(crate) fn feed(&mut self, input: &[u8]) {
        let mut at = 0;
        while at < input.len() {
            if self.after_cr {
                self.after_cr = false;
                if input[at] == b'\n' {
                    at += 1;
                } else {
                    self.content.bare_line_break = true;
                }
                continue;
            }
            let Some(distance) = memchr2(b'\r', b'\n', &input[at..]) else { break };
            at += distance + 1;
            if input[at - 1] == b'\r' {
                self.after_cr = true;
            } else {
                self.content.bare_line_break = true;
            }
        }
        self.content.store(input);
    }

    /// The whole content, after the last chunk.
    pub(crate) fn finish(mut self) -> Content {
        if self.after_cr {
            self.content.bare_line_break = true;
        }
        self.content
    }
}
