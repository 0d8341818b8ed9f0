//! Messages of a wanted size whose bodies do not compress well.
//!
//! A body of one repeated letter would flatter every store that compresses, so lines are pseudo-random
//! letters from a small linear congruential generator: the same text on every run.

const LINE_CHARS: usize = 76;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The header addresses of a run.
pub struct Template {
    pub from: String,
    pub body: String,
}

impl Template {
    /// A template whose messages come out about `size_bytes` long, header included.
    pub fn new(from: &str, size_bytes: usize) -> Self {
        const HEADER_BYTES: usize = 220;
        Self { from: from.to_owned(), body: body(size_bytes.saturating_sub(HEADER_BYTES)) }
    }

    /// One whole message with CRLF line ends, not dot-stuffed: no line begins with a dot.
    pub fn message(&self, to: &str, number: u64) -> String {
        let from = &self.from;
        let domain = from.rsplit('@').next().unwrap_or_default();
        let body = &self.body;
        format!(
            "From: Load <{from}>\r\nTo: {to}\r\nSubject: Load message {number}\r\n\
             Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <load.{number}@{domain}>\r\n\
             MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n{body}"
        )
    }
}

/// Pseudo-random lines of letters, `size_bytes` long with their CRLFs.
pub fn body(size_bytes: usize) -> String {
    let mut state: u64 = 0x2545_F491_4F6C_DD1D;
    let mut text = String::with_capacity(size_bytes + 2);
    while text.len() < size_bytes {
        let room = (size_bytes - text.len()).saturating_sub(2).clamp(1, LINE_CHARS);
        for _ in 0..room {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push(char::from(ALPHABET[(state >> 58) as usize]));
        }
        text.push_str("\r\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_about_the_wanted_size_and_only_crlf_lines() {
        for size in [1024, 10_240, 102_400] {
            let message = Template::new("a@load.test", size).message("b@sink.test", 12_345);
            assert!(message.len().abs_diff(size) < 40, "{} for {size}", message.len());
            assert!(message.ends_with("\r\n"));
            assert!(message.replace("\r\n", "").find(['\r', '\n']).is_none());
            assert!(message.split("\r\n").all(|line| line.len() <= 78 && !line.starts_with('.')));
        }
    }
}
