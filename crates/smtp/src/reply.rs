//! SMTP replies (RFC 5321 section 4.2) with enhanced status codes (RFC 2034, RFC 3463): a value, its writer,
//! and an incremental parser that refuses what is not a reply and never holds more than its limits.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use memchr::memchr2;

/// Octets of one reply line that the parser tolerates, CRLF included. RFC 5321 asks peers to stay under 512.
pub const LINE_BYTES_MAX: usize = 2_048;
/// Lines of one reply that the parser tolerates.
pub const LINES_MAX: usize = 128;
/// Octets of text that the writer puts on one line: code, enhanced code and CRLF still fit into 512.
const TEXT_BYTES_MAX: usize = 480;
const EXCERPT_BYTES_MAX: usize = 80;

/// `class.subject.detail`, RFC 3463 section 2.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnhancedCode {
    class: u8,
    subject: u16,
    detail: u16,
}

impl EnhancedCode {
    /// # Panics
    /// When the class is not 2, 4 or 5, or another part is over 999.
    pub const fn new(class: u8, subject: u16, detail: u16) -> EnhancedCode {
        assert!(matches!(class, 2 | 4 | 5) && subject <= 999 && detail <= 999);
        EnhancedCode { class, subject, detail }
    }

    pub const fn class(self) -> u8 {
        self.class
    }

    pub const fn subject(self) -> u16 {
        self.subject
    }

    pub const fn detail(self) -> u16 {
        self.detail
    }

    /// Reads a code at the start of a reply's text, only when its class is the reply's own first digit:
    /// a text such as `5.1.1 is the release` after 250 is text. Returns what follows.
    fn parse_prefix(text: &str, class: u8) -> Option<(EnhancedCode, &str)> {
        let (head, rest) = text.split_once(' ').unwrap_or((text, ""));
        let code = head.parse::<EnhancedCode>().ok()?;
        (code.class == class).then_some((code, rest))
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl fmt::Debug for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no enhanced status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an enhanced status code: class (2, 4 or 5), subject and detail, joined by dots")]
pub struct EnhancedCodeError;

impl FromStr for EnhancedCode {
    type Err = EnhancedCodeError;

    fn from_str(text: &str) -> Result<EnhancedCode, EnhancedCodeError> {
        let number = |part: Option<&str>| {
            part.filter(|digits| {
                (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
            })
            .and_then(|digits| digits.parse::<u16>().ok())
        };
        let mut parts = text.split('.');
        let class = match parts.next() {
            Some("2") => 2,
            Some("4") => 4,
            Some("5") => 5,
            _ => return Err(EnhancedCodeError),
        };
        match (number(parts.next()), number(parts.next()), parts.next()) {
            (Some(subject), Some(detail), None) => Ok(EnhancedCode { class, subject, detail }),
            _ => Err(EnhancedCodeError),
        }
    }
}

/// One reply: code, enhanced code, and one text per line. It always has at least one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<EnhancedCode>,
    lines: Vec<Cow<'static, str>>,
}

impl Reply {
    /// A reply without an enhanced code. Line feeds in `text` part its lines; other controls become spaces,
    /// so that no text can forge a second reply; lines over 480 octets are continued on the next.
    ///
    /// # Panics
    /// When the code is not in 200..=599.
    pub fn new(code: u16, text: impl Into<Cow<'static, str>>) -> Reply {
        assert!((200..=599).contains(&code), "{code} is no reply code");
        Reply { code, enhanced: None, lines: clean_lines(text.into()) }
    }

    /// A reply with an enhanced code, given as `(class, subject, detail)`.
    ///
    /// # Panics
    /// When the code is not in 200..=599 or the class is not the code's first digit.
    pub fn enhanced(
        code: u16,
        (class, subject, detail): (u8, u16, u16),
        text: impl Into<Cow<'static, str>>,
    ) -> Reply {
        assert!(u16::from(class) == code / 100, "class {class} does not agree with {code}");
        Reply { enhanced: Some(EnhancedCode::new(class, subject, detail)), ..Reply::new(code, text) }
    }

    pub fn code(&self) -> u16 {
        self.code
    }

    pub fn enhanced_code(&self) -> Option<EnhancedCode> {
        self.enhanced
    }

    /// The texts of the lines, in order, without codes.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = &str> {
        self.lines.iter().map(AsRef::as_ref)
    }

    /// 2xx: done as asked.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 3xx: go on.
    pub fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// 4xx: the same may work later.
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5xx: the same will not work.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// 421: the server closes the connection, whatever the command was (RFC 5321 section 3.8).
    pub fn closes_connection(&self) -> bool {
        self.code == 421
    }

    /// Appends the reply as the wire has it. Each line bears the enhanced code (RFC 2034 section 4).
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let last = self.lines.len().saturating_sub(1);
        for (index, text) in self.lines.iter().enumerate() {
            let digits = [self.code / 100, self.code / 10 % 10, self.code % 10];
            out.extend(digits.map(|digit| b'0' + digit as u8));
            out.push(if index == last { b' ' } else { b'-' });
            if let Some(enhanced) = self.enhanced {
                out.extend_from_slice(enhanced.to_string().as_bytes());
                if !text.is_empty() {
                    out.push(b' ');
                }
            }
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }

    fn from_parsed(code: u16, mut lines: Vec<Cow<'static, str>>) -> Reply {
        let class = (code / 100) as u8;
        let enhanced =
            lines.iter().find_map(|line| EnhancedCode::parse_prefix(line, class)).map(|found| found.0);
        for line in &mut lines {
            let rest = EnhancedCode::parse_prefix(line, class)
                .and_then(|(code, rest)| (Some(code) == enhanced).then(|| rest.to_owned()));
            if let Some(rest) = rest {
                *line = Cow::Owned(rest);
            }
        }
        Reply { code, enhanced, lines }
    }
}

/// The reply on one line, as a log or a timeline shows it.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        self.lines.iter().filter(|line| !line.is_empty()).try_for_each(|line| write!(f, " {line}"))
    }
}

/// Reads `552 5.3.4 Text`, as configurations write replies.
impl FromStr for Reply {
    type Err = ReplyError;

    fn from_str(text: &str) -> Result<Reply, ReplyError> {
        let (code, last, line) = parse_line(text.as_bytes())?;
        if !last || text.contains(['\r', '\n']) {
            return Err(ReplyError::NotAReply { excerpt: excerpt(text.as_bytes()) });
        }
        Ok(Reply::from_parsed(code, clean_lines(Cow::Owned(line))))
    }
}

/// What a peer sent instead of a reply. `excerpt` is its first octets, escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    #[error("not a reply line: \"{excerpt}\"")]
    NotAReply { excerpt: String },
    #[error("a reply line has more than {LINE_BYTES_MAX} octets: \"{excerpt}\"")]
    LineTooLong { excerpt: String },
    #[error("a reply has more than {LINES_MAX} lines, the last of them: \"{excerpt}\"")]
    TooManyLines { excerpt: String },
    #[error("a bare CR or LF in a reply: \"{excerpt}\"")]
    BareLineBreak { excerpt: String },
    #[error("the reply began with {first} and went on with {then}: \"{excerpt}\"")]
    CodeChanged { first: u16, then: u16, excerpt: String },
}

/// Collects the lines of one reply after the other. Input stays with the caller: it is shown from the first
/// unread octet on, and told how much was read.
#[derive(Debug, Default)]
pub struct ReplyParser {
    code: u16,
    lines: Vec<Cow<'static, str>>,
}

impl ReplyParser {
    /// Reads complete lines until a reply is complete. Returns the octets read, and the reply if it is
    /// complete; without one, call again when there is more input.
    pub fn parse(&mut self, input: &[u8]) -> Result<(usize, Option<Reply>), ReplyError> {
        let mut read = 0;
        while let Some(length) = find_line(&input[read..])? {
            let line = &input[read..read + length];
            read += length + 2;
            let (code, last, text) = parse_line(line)?;
            if self.lines.is_empty() {
                self.code = code;
            } else if self.code != code {
                return Err(ReplyError::CodeChanged { first: self.code, then: code, excerpt: excerpt(line) });
            }
            if self.lines.len() == LINES_MAX {
                return Err(ReplyError::TooManyLines { excerpt: excerpt(line) });
            }
            self.lines.push(Cow::Owned(text));
            if last {
                let lines = std::mem::take(&mut self.lines);
                return Ok((read, Some(Reply::from_parsed(code, lines))));
            }
        }
        Ok((read, None))
    }

    /// Whether a reply has begun and not ended.
    pub fn is_within_reply(&self) -> bool {
        !self.lines.is_empty()
    }
}

/// The length of the first line without its CRLF, if it is complete.
fn find_line(input: &[u8]) -> Result<Option<usize>, ReplyError> {
    let window = &input[..input.len().min(LINE_BYTES_MAX)];
    match memchr2(b'\r', b'\n', window) {
        Some(at) if window[at] == b'\r' && window.get(at + 1) == Some(&b'\n') => Ok(Some(at)),
        Some(at) if window[at] == b'\r' && at + 1 == input.len() => Ok(None),
        Some(at) if at + 1 == LINE_BYTES_MAX => Err(ReplyError::LineTooLong { excerpt: excerpt(input) }),
        Some(at) => Err(ReplyError::BareLineBreak { excerpt: excerpt(&input[..=at]) }),
        None if input.len() >= LINE_BYTES_MAX => Err(ReplyError::LineTooLong { excerpt: excerpt(input) }),
        None => Ok(None),
    }
}

/// Code, whether it is the last line, text. The second digit may go to 9: services use codes such as 563.
fn parse_line(line: &[u8]) -> Result<(u16, bool, String), ReplyError> {
    let [first @ b'2'..=b'5', second @ b'0'..=b'9', third @ b'0'..=b'9', rest @ ..] = line else {
        return Err(ReplyError::NotAReply { excerpt: excerpt(line) });
    };
    let digit = |byte: u8| u16::from(byte - b'0');
    let code = digit(*first) * 100 + digit(*second) * 10 + digit(*third);
    let (last, text) = match rest {
        [] => (true, rest),
        [b' ', text @ ..] => (true, text),
        [b'-', text @ ..] => (false, text),
        _ => return Err(ReplyError::NotAReply { excerpt: excerpt(line) }),
    };
    Ok((code, last, clean(&String::from_utf8_lossy(text)).into_owned()))
}

fn excerpt(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(EXCERPT_BYTES_MAX)].escape_ascii().to_string()
}

fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        Cow::Owned(text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

fn clean_lines(text: Cow<'static, str>) -> Vec<Cow<'static, str>> {
    if text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control) {
        return vec![text];
    }
    let mut lines = Vec::new();
    for line in text.split('\n') {
        let mut rest = line.strip_suffix('\r').unwrap_or(line);
        while lines.len() < LINES_MAX {
            let end = rest.floor_char_boundary(TEXT_BYTES_MAX);
            lines.push(Cow::Owned(clean(&rest[..end]).into_owned()));
            rest = &rest[end..];
            if rest.is_empty() {
                break;
            }
        }
    }
    lines
}
