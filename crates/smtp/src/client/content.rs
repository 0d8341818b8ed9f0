//! Content on its way out: parts written one after the other with dots stuffed (RFC 5321 section 4.5.2) and
//! the end marked.
//!
//! The parts stay where they are, shared and unchanged; only blocks of the size of a write are copied. What
//! crosses a part's or a block's border is one bit: whether the next octet begins a line.

use bytes::Bytes;
use memchr::{memchr2, memmem};

/// Octets of content put into the output at a time.
pub(crate) const BLOCK_BYTES: usize = 64 * 1024;

/// Whether the parts, joined, have a CR or a LF that is not part of a CRLF. Such content must not be sent:
/// a server that takes it for a line's end could be made to see a second message (RFC 5321 section 2.3.8).
pub fn has_bare_line_break<T: AsRef<[u8]>>(parts: &[T]) -> bool {
    let mut after_cr = false;
    for part in parts {
        let part = part.as_ref();
        let mut at = 0;
        while at < part.len() {
            if after_cr {
                if part[at] != b'\n' {
                    return true;
                }
                after_cr = false;
                at += 1;
                continue;
            }
            let Some(distance) = memchr2(b'\r', b'\n', &part[at..]) else { break };
            at += distance + 1;
            if part[at - 1] == b'\n' {
                return true;
            }
            after_cr = true;
        }
    }
    after_cr
}

/// Writes content block by block. The content has no bare CR or LF.
#[derive(Debug)]
pub(crate) struct ContentWriter {
    parts: std::vec::IntoIter<Bytes>,
    part: Bytes,
    at_line_start: bool,
    finished: bool,
}

impl ContentWriter {
    pub(crate) fn new(parts: Vec<Bytes>) -> ContentWriter {
        ContentWriter { parts: parts.into_iter(), part: Bytes::new(), at_line_start: true, finished: false }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Appends about [`BLOCK_BYTES`] of content, stuffed; at the end the missing CRLF, if any, and `.` CRLF.
    pub(crate) fn write_block(&mut self, out: &mut Vec<u8>) {
        let mut room = BLOCK_BYTES;
        while room > 0 && !self.finished {
            if self.part.is_empty() {
                match self.parts.next() {
                    Some(part) => self.part = part,
                    None => self.write_end(out),
                }
                continue;
            }
            let run = self.part.split_to(self.part.len().min(room));
            room -= run.len();
            self.write_stuffed(&run, out);
        }
    }

    fn write_stuffed(&mut self, run: &[u8], out: &mut Vec<u8>) {
        out.reserve(run.len() + 64);
        if self.at_line_start && run.first() == Some(&b'.') {
            out.push(b'.');
        }
        let mut copied = 0;
        for line_feed in memmem::find_iter(run, b"\n.") {
            out.extend_from_slice(&run[copied..=line_feed]);
            out.push(b'.');
            copied = line_feed + 1;
        }
        out.extend_from_slice(&run[copied..]);
        // Without bare line feeds, a line feed is the end of a CRLF.
        self.at_line_start = run.last() == Some(&b'\n');
    }

    fn write_end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.at_line_start { b".\r\n" } else { b"\r\n.\r\n" });
        self.finished = true;
    }
}
