//! The few pieces of SMTP that a load generator and a sink need.

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// A reply: its code and its last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    pub text: String,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("connection: {0}")]
    Io(#[from] std::io::Error),
    #[error("the server closed the connection")]
    Closed,
    #[error("not a reply: {0:?}")]
    Malformed(String),
    #[error("unexpected reply to {command}: {code} {text}")]
    Unexpected { command: &'static str, code: u16, text: String },
}

/// Reads one whole reply, however many lines it has.
pub async fn read_reply(reader: &mut (impl AsyncBufRead + Unpin)) -> Result<Reply, Error> {
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).await? == 0 {
            return Err(Error::Closed);
        }
        let code = line.get(..3).and_then(|digits| digits.parse().ok());
        let Some(code) = code else { return Err(Error::Malformed(line.trim_end().to_owned())) };
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(Reply { code, text: line[3..].trim().to_owned() });
        }
    }
}

/// Finds `CRLF . CRLF` in a byte stream that comes in pieces.
///
/// The state is the number of bytes of the terminator seen so far. It starts as if a CRLF had just come,
/// because the end may be the very first line.
#[derive(Debug)]
pub struct EndOfData {
    matched: usize,
}

impl Default for EndOfData {
    fn default() -> Self {
        Self { matched: 2 }
    }
}

impl EndOfData {
    /// Feeds one piece; returns how many of its bytes belong to the message when its end lies inside.
    pub fn feed(&mut self, piece: &[u8]) -> Option<usize> {
        for (index, &byte) in piece.iter().enumerate() {
            self.matched = match (self.matched, byte) {
                (0 | 2, b'\r') | (1, b'\r') => 1,
                (1, b'\n') => 2,
                (2, b'.') => 3,
                (3, b'\r') => 4,
                (4, b'\n') => {
                    self.matched = 2;
                    return Some(index + 1);
                }
                (4, b'\r') => 1,
                _ => 0,
            };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end_of(text: &[u8], piece_bytes: usize) -> Option<usize> {
        let mut scanner = EndOfData::default();
        let mut before = 0;
        for piece in text.chunks(piece_bytes) {
            if let Some(inside) = scanner.feed(piece) {
                return Some(before + inside);
            }
            before += piece.len();
        }
        None
    }

    #[test]
    fn the_end_is_found_wherever_the_pieces_are_cut() {
        for text in
            [&b"a\r\n.\r\nQUIT\r\n"[..], b".\r\nx", b"a\r\n..\r\n.\r\n", b"\r\r\n.\r\n", b"a\r\n.\r\r\n.\r\n"]
        {
            let whole = end_of(text, text.len());
            assert!(whole.is_some(), "{text:?}");
            for piece_bytes in 1..=text.len() {
                assert_eq!(end_of(text, piece_bytes), whole, "{text:?} cut to {piece_bytes}");
            }
        }
        assert_eq!(end_of(b"a\r\n.\r\nQUIT\r\n", 4), Some(6));
        assert_eq!(end_of(b".\r\nx", 1), Some(3));
    }

    #[test]
    fn other_line_ends_are_no_end() {
        for text in [&b"a\n.\n"[..], b"a\n.\r\n", b"a\r\n.\n", b"a\r.\r", b"a\r\n.x\r\n", b"a.\r\n"] {
            assert_eq!(end_of(text, 1), None, "{text:?}");
        }
    }

    #[tokio::test]
    async fn replies_of_several_lines_are_read_whole() {
        let mut input = &b"250-first\r\n250-SIZE 10\r\n250 last\r\n354 go on\r\nxx\r\n"[..];
        assert_eq!(read_reply(&mut input).await.unwrap(), Reply { code: 250, text: "last".into() });
        assert_eq!(read_reply(&mut input).await.unwrap().code, 354);
        assert!(matches!(read_reply(&mut input).await, Err(Error::Malformed(_))));
        assert!(matches!(read_reply(&mut input).await, Err(Error::Closed)));
    }
}
