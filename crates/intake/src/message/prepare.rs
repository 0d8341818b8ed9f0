//! Makes a message that came over SMTP fit to be sent: one pass over its header section, the body checked but untouched.
//!
//! The section is cut into fields line by line. Runs of fields that stay are copied as they are; those that are for us alone
//! (Bcc, the idempotency key, the control headers) or that we write ourselves (Return-Path, the trace header) are
//! left out; Date and Message-ID are added when missing. A header section that could be read in two ways (two
//! From fields, a line that is no field, a bare CR) is refused, because the reader who signs it, the one who filters
//! it and the one who shows it must see the same mail. The same goes for a body whose MIME structure cannot be read
//! ([`super::mime`]), and for NULs and lines over 998 octets (RFC 5322 2.1.1, 2.3), which servers further on refuse, cut or
//! break, the signature with them. An existing DKIM-Signature stays: it may well be somebody else's and valid.

use std::borrow::Cow;

use indicia_domain::time::UnixMicros;
use indicia_smtp::address::Mailbox;
use mail_builder::headers::date::Date;
use mail_parser::HeaderValue;
use mail_parser::parsers::MessageStream;
use memchr::{memchr, memchr_iter, memchr2, memrchr};

use super::control::{self, ControlError};
use super::mailbox::{MailboxError, NamedMailbox, parse_one};
use super::mime::{self, MimeError};
use super::{
    IDEMPOTENCY_HEADER, IP_POOL_HEADER, LINE_BYTES_MAX, REPORT_TOKEN_HEADER, TRACE_HEADER,
    is_idempotency_key, message_id_of,
};

/// Octets of a header section: what mail programs make is under 20 KB, and everyone after us must read it.
pub const HEADER_BYTES_MAX: usize = 256 * 1024;

/// Whose name may stand in From.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author<'a> {
    /// Exactly this address (the login), letter case aside.
    Address(&'a str),
    /// Any address of this domain (a login with the domain's password).
    Domain(&'a str),
    /// Any address; the caller checks [`Prepared::from`] himself.
    Anyone,
}

/// What is known of a submission besides its content.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// The message's id: the EnvId.
    pub message_id: i64,
    pub now: UnixMicros,
    pub author: Author<'a>,
    /// Whether the client asked for SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// Whether the sender address is of type batch, for which some settings mean more.
    pub is_batch_sender: bool,
    /// Whole header fields with their CRLFs to put on top, such as Received (RFC 5321 4.4); may be empty.
    pub trace: &'a str,
}

/// A message fit to be stored and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    pub content: Vec<u8>,
    pub from: Mailbox,
    /// Decoded, for the mail log.
    pub subject: String,
    pub idempotency_key: Option<String>,
    /// The tag named in X-AliDM-Trace.
    pub tag: Option<String>,
    /// The IP pool named in X-Indicia-Ip-Pool or X-AliDM-Settings.
    pub ip_pool_id: Option<i64>,
    /// Whether the body has octets over 127, so that the next server must offer 8BITMIME.
    pub eight_bit_body: bool,
    /// Whether header fields have, so that it must offer SMTPUTF8.
    pub eight_bit_header: bool,
}

/// Why a message is refused. The texts are fit for a reply line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    #[error("line {0} of the header is not a header field")]
    Malformed(usize),
    #[error("line {0} of the header has a control character")]
    Control(usize),
    #[error("line {0} of the header has more than 998 octets")]
    LineTooLong(usize),
    #[error("the header has more than 262144 octets")]
    HeaderTooLarge,
    #[error("the header has octets outside ASCII, which needs SMTPUTF8")]
    EightBitHeader,
    #[error("the header is not UTF-8")]
    NotUtf8,
    #[error("the header has no From field")]
    NoFrom,
    #[error("the header field {0} is given twice")]
    Twice(&'static str),
    #[error("the From field is not one address: {0}")]
    From(MailboxError),
    #[error("the From address {from} is not the authenticated {allowed}")]
    Author { from: String, allowed: String },
    #[error("X-Indicia-Ip-Pool and X-AliDM-Settings name different IP pools")]
    IpPools,
    #[error("the idempotency key must have 1 to 256 printable ASCII characters")]
    IdempotencyKey,
    #[error("line {0} of the body has a NUL octet; send binary data as base64")]
    BodyNul(usize),
    #[error(
        "line {0} of the body has more than 998 octets; break it or send it as quoted-printable or base64"
    )]
    BodyLineTooLong(usize),
    #[error(transparent)]
    Mime(#[from] MimeError),
    #[error(transparent)]
    Setting(#[from] ControlError),
}

/// The fields that this module does something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    From,
    Subject,
    Date,
    MessageId,
    ContentType,
    TransferEncoding,
    /// May stand once only, is otherwise left alone.
    Once(&'static str),
    IdempotencyKey,
    IpPool,
    Trace,
    Settings,
    /// Taken out, whatever it says.
    Removed,
}

/// What the pass over the header has found.
#[derive(Default)]
struct Found<'a> {
    from: Option<NamedMailbox>,
    subject: Option<&'a [u8]>,
    content_type: Option<&'a [u8]>,
    transfer_encoding: Option<&'a [u8]>,
    has_date: bool,
    has_message_id: bool,
    has_settings: bool,
    has_trace: bool,
    idempotency_key: Option<String>,
    tag: Option<String>,
    has_ip_pool: bool,
    ip_pool_id: Option<i64>,
    once: Vec<&'static str>,
}

impl Found<'_> {
    /// Both fields that can name a pool may be there if they say the same. Neither stays.
    fn set_ip_pool(&mut self, pool: Option<i64>) -> Result<bool, PrepareError> {
        if pool.is_some() && self.ip_pool_id.is_some_and(|known| Some(known) != pool) {
            return Err(PrepareError::IpPools);
        }
        self.ip_pool_id = self.ip_pool_id.or(pool);
        Ok(false)
    }
}

/// Checks and completes `content`, which must be CRLF throughout, as the SMTP crate guarantees.
pub fn prepare(content: &[u8], submission: &Submission<'_>) -> Result<Prepared, PrepareError> {
    let mut prepared = Vec::with_capacity(content.len() + submission.trace.len() + 256);
    prepared.extend_from_slice(submission.trace.as_bytes());
    push_field(&mut prepared, TRACE_HEADER, &submission.message_id.to_string());
    let mut found = Found::default();
    let body_start = walk(content, submission.is_batch_sender, &mut prepared, &mut found)?;
    let header = &content[..body_start];
    let eight_bit_header = !header.is_ascii();
    if eight_bit_header && !submission.smtputf8 {
        return Err(PrepareError::EightBitHeader);
    }
    if eight_bit_header && std::str::from_utf8(header).is_err() {
        return Err(PrepareError::NotUtf8);
    }
    let from = found.from.ok_or(PrepareError::NoFrom)?.mailbox;
    check_author(&from, submission.author)?;
    let body = &content[body_start..];
    let (content_type, encoding) = (found.content_type.map(unfold), found.transfer_encoding.map(unfold));
    mime::check(content_type.transpose()?.as_deref(), encoding.transpose()?.as_deref(), body)?;
    check_body(body)?;
    if !found.has_date {
        push_field(&mut prepared, "Date", &Date::new(submission.now.seconds()).to_rfc822());
    }
    if !found.has_message_id {
        let id = message_id_of(submission.message_id, &from.domain().to_string());
        push_field(&mut prepared, "Message-ID", &format!("<{id}>"));
    }
    prepared.extend_from_slice(b"\r\n");
    prepared.extend_from_slice(body);
    Ok(Prepared {
        content: prepared,
        from,
        subject: found.subject.map(decode_subject).unwrap_or_default(),
        idempotency_key: found.idempotency_key,
        tag: found.tag,
        ip_pool_id: found.ip_pool_id,
        eight_bit_body: !body.is_ascii(),
        eight_bit_header,
    })
}

fn push_field(prepared: &mut Vec<u8>, name: &str, value: &str) {
    for piece in [name.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
        prepared.extend_from_slice(piece);
    }
}

/// Copies the fields that stay; returns where the body begins (after the blank line).
fn walk<'a>(
    content: &'a [u8],
    is_batch_sender: bool,
    kept: &mut Vec<u8>,
    found: &mut Found<'a>,
) -> Result<usize, PrepareError> {
    let (mut position, mut line_number) = (0, 0);
    // Where the field being read begins, and the run of fields that will be copied in one piece.
    let (mut field_start, mut run_start) = (None, 0);
    loop {
        line_number += 1;
        let line = match memchr(b'\n', &content[position..]) {
            Some(length) => &content[position..position + length + 1],
            // No line end: the content ends within its header (or is empty).
            None => &content[position..],
        };
        let is_end = line.is_empty() || line == b"\r\n";
        let continues = matches!(line.first(), Some(b' ' | b'\t'));
        if !is_end {
            check_line(line, line_number)?;
        }
        if !continues {
            if let Some(start) = field_start.take() {
                let stays = note(&content[start..position], line_number - 1, is_batch_sender, found)?;
                if !stays {
                    kept.extend_from_slice(&content[run_start..start]);
                    run_start = position;
                }
            }
            if is_end {
                kept.extend_from_slice(&content[run_start..position]);
                return Ok(position + line.len());
            }
            field_start = Some(position);
        } else if field_start.is_none() {
            return Err(PrepareError::Malformed(line_number));
        }
        position += line.len();
        if position > HEADER_BYTES_MAX {
            return Err(PrepareError::HeaderTooLarge);
        }
    }
}

fn check_line(line: &[u8], line_number: usize) -> Result<(), PrepareError> {
    let Some(text) = line.strip_suffix(b"\r\n") else { return Err(PrepareError::Malformed(line_number)) };
    if text.len() > LINE_BYTES_MAX {
        return Err(PrepareError::LineTooLong(line_number));
    }
    match memchr2(b'\r', 0, text) {
        Some(_) => Err(PrepareError::Control(line_number)),
        None => Ok(()),
    }
}

/// Refuses NULs and lines that are too long. Looks at few octets: from the start of a line it is enough to find the
/// last line end that the longest line could have, as all lines before it are shorter.
fn check_body(body: &[u8]) -> Result<(), PrepareError> {
    let line_of = |at: usize| memchr_iter(b'\n', &body[..at]).count() + 1;
    if let Some(at) = memchr(0, body) {
        return Err(PrepareError::BodyNul(line_of(at)));
    }
    const WITH_CRLF: usize = LINE_BYTES_MAX + 2;
    let mut start = 0;
    while body.len() - start > LINE_BYTES_MAX {
        let longest = &body[start..body.len().min(start + WITH_CRLF)];
        match memrchr(b'\n', longest) {
            Some(end) => start += end + 1,
            None => return Err(PrepareError::BodyLineTooLong(line_of(start))),
        }
    }
    Ok(())
}

/// Looks at one whole field; returns whether it stays.
fn note<'a>(
    field: &'a [u8],
    line_number: usize,
    is_batch_sender: bool,
    found: &mut Found<'a>,
) -> Result<bool, PrepareError> {
    let colon = memchr(b':', field).ok_or(PrepareError::Malformed(line_number))?;
    let name = field[..colon].trim_ascii_end();
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
        return Err(PrepareError::Malformed(line_number));
    }
    let Some(known) = known(name) else { return Ok(true) };
    let value = &field[colon + 1..];
    match known {
        Known::From => {
            let one = parse_one(&unfold(value)?).map_err(PrepareError::From)?;
            match found.from.replace(one) {
                None => Ok(true),
                Some(_) => Err(PrepareError::Twice("From")),
            }
        }
        Known::Subject => only(&mut found.subject, value, "Subject"),
        Known::ContentType => only(&mut found.content_type, value, "Content-Type"),
        Known::TransferEncoding => only(&mut found.transfer_encoding, value, "Content-Transfer-Encoding"),
        Known::Date => first(&mut found.has_date, "Date"),
        Known::MessageId => first(&mut found.has_message_id, "Message-ID"),
        Known::Once(name) if found.once.contains(&name) => Err(PrepareError::Twice(name)),
        Known::Once(name) => {
            found.once.push(name);
            Ok(true)
        }
        Known::IdempotencyKey => {
            let key = unfold(value)?.trim().to_owned();
            if !is_idempotency_key(&key) {
                return Err(PrepareError::IdempotencyKey);
            }
            match found.idempotency_key.replace(key) {
                None => Ok(false),
                Some(_) => Err(PrepareError::Twice(IDEMPOTENCY_HEADER)),
            }
        }
        Known::Trace => {
            first(&mut found.has_trace, "X-AliDM-Trace")?;
            found.tag = control::read_trace(&unfold(value)?)?;
            Ok(false)
        }
        Known::Settings => {
            first(&mut found.has_settings, "X-AliDM-Settings")?;
            let pool = control::read_settings(&unfold(value)?, is_batch_sender)?;
            found.set_ip_pool(pool)
        }
        Known::IpPool => {
            first(&mut found.has_ip_pool, IP_POOL_HEADER)?;
            found.set_ip_pool(Some(control::read_ip_pool(&unfold(value)?)?))
        }
        Known::Removed => Ok(false),
    }
}

fn only<'a>(seen: &mut Option<&'a [u8]>, value: &'a [u8], name: &'static str) -> Result<bool, PrepareError> {
    match seen.replace(value) {
        None => Ok(true),
        Some(_) => Err(PrepareError::Twice(name)),
    }
}

fn first(seen: &mut bool, name: &'static str) -> Result<bool, PrepareError> {
    match std::mem::replace(seen, true) {
        false => Ok(true),
        true => Err(PrepareError::Twice(name)),
    }
}

fn known(name: &[u8]) -> Option<Known> {
    const FIELDS: [(&str, Known); 20] = [
        ("From", Known::From),
        ("Subject", Known::Subject),
        ("Date", Known::Date),
        ("Message-ID", Known::MessageId),
        ("To", Known::Once("To")),
        ("Cc", Known::Once("Cc")),
        ("Sender", Known::Once("Sender")),
        ("Reply-To", Known::Once("Reply-To")),
        ("Content-Type", Known::ContentType),
        ("Content-Transfer-Encoding", Known::TransferEncoding),
        ("MIME-Version", Known::Once("MIME-Version")),
        ("Bcc", Known::Removed),
        ("Resent-Bcc", Known::Removed),
        ("Return-Path", Known::Removed),
        (TRACE_HEADER, Known::Removed),
        (REPORT_TOKEN_HEADER, Known::Removed),
        (IP_POOL_HEADER, Known::IpPool),
        (IDEMPOTENCY_HEADER, Known::IdempotencyKey),
        ("X-AliDM-Trace", Known::Trace),
        ("X-AliDM-Settings", Known::Settings),
    ];
    FIELDS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes())).map(|(_, known)| *known)
}

/// A field's value as one line (RFC 5322 2.2.3).
fn unfold(value: &[u8]) -> Result<Cow<'_, str>, PrepareError> {
    let text = std::str::from_utf8(value).map_err(|_| PrepareError::NotUtf8)?.trim();
    Ok(if text.contains("\r\n") { Cow::Owned(text.replace("\r\n", "")) } else { Cow::Borrowed(text) })
}

fn check_author(from: &Mailbox, author: Author<'_>) -> Result<(), PrepareError> {
    let allowed = match author {
        Author::Anyone => return Ok(()),
        Author::Address(address) if from.to_string().eq_ignore_ascii_case(address) => return Ok(()),
        Author::Domain(domain) if from.domain().to_string().eq_ignore_ascii_case(domain) => return Ok(()),
        Author::Address(address) => address.to_owned(),
        Author::Domain(domain) => format!("domain {domain}"),
    };
    Err(PrepareError::Author { from: from.to_string(), allowed })
}

/// Unfolds and, where it has encoded words (RFC 2047), decodes.
fn decode_subject(value: &[u8]) -> String {
    if memchr::memmem::find(value, b"=?").is_some() {
        let mut line = value.to_vec();
        line.push(b'\n');
        if let HeaderValue::Text(text) = MessageStream::new(&line).parse_unstructured() {
            return text.trim().to_owned();
        }
    }
    String::from_utf8_lossy(value).replace("\r\n", "").trim().to_owned()
}
