//! From the octets of DATA to content that can be sent, and to the hash that an idempotency key is bound to.

use std::net::IpAddr;

use bytes::Bytes;
use indicia_domain::mail::recipient::Recipient;
use indicia_domain::time::UnixMicros;
use indicia_store::admission::IdempotencyKey;
use indicia_store::directory::SendType;
use mail_builder::headers::date::Date;
use sha2::{Digest, Sha256};

use super::senders::Originator;
use crate::message::prepare::{Author, PrepareError, Prepared, Submission, prepare};

/// Received fields that make a message a loop: RFC 5321 6.3 asks for no less than 100.
pub(super) const RECEIVED_FIELDS_MAX: usize = 100;

/// A message as the client gave it, with what is known of its way.
pub(super) struct Incoming {
    pub(super) message_id: i64,
    pub(super) now: UnixMicros,
    pub(super) originator: Originator,
    pub(super) recipients: Vec<Recipient>,
    pub(super) data: Vec<u8>,
    pub(super) smtputf8: bool,
    pub(super) trace: Trace,
}

/// What the Received field tells (RFC 5321 4.4).
pub(super) struct Trace {
    pub(super) client_name: String,
    pub(super) client_address: IpAddr,
    pub(super) hostname: String,
    /// The word after "with" (RFC 3848, RFC 6531).
    pub(super) protocol: String,
}

/// A message that can be submitted.
pub(super) struct Finished {
    pub(super) incoming: Incoming,
    pub(super) content: Bytes,
    pub(super) subject: String,
    pub(super) tag: String,
    pub(super) ip_pool_id: Option<i64>,
    pub(super) idempotency: Option<IdempotencyKey>,
}

/// Why content is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum ContentError {
    #[error(transparent)]
    Unfit(#[from] PrepareError),
    #[error("the message has {RECEIVED_FIELDS_MAX} or more Received fields")]
    Loop,
}

/// Checks, completes and traces the content.
pub(super) fn finish(mut incoming: Incoming) -> Result<Finished, ContentError> {
    let data = std::mem::take(&mut incoming.data);
    if count_received(&data) >= RECEIVED_FIELDS_MAX {
        return Err(ContentError::Loop);
    }
    let originator = &incoming.originator;
    let author = match originator.any_of_domain {
        true => Author::Domain(&originator.sender.domain),
        false => Author::Address(&originator.mail_from),
    };
    let submission = Submission {
        message_id: incoming.message_id,
        now: incoming.now,
        author,
        smtputf8: incoming.smtputf8,
        is_batch_sender: originator.sender.send_type == SendType::Batch,
        trace: &received_field(&incoming),
    };
    let Prepared { content, subject, idempotency_key, tag, ip_pool_id, .. } = prepare(&data, &submission)?;
    let idempotency =
        idempotency_key.map(|key| IdempotencyKey { key, content_hash: content_hash(&incoming, &data) });
    let (content, tag) = (content.into(), tag.unwrap_or_default());
    Ok(Finished { content, subject, tag, ip_pool_id, idempotency, incoming })
}

fn received_field(incoming: &Incoming) -> String {
    let trace = &incoming.trace;
    let address = match trace.client_address {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    };
    format!(
        "Received: from {} ({address})\r\n\tby {} with {} id {};\r\n\t{}\r\n",
        safe_name(&trace.client_name),
        trace.hostname,
        trace.protocol,
        incoming.message_id,
        Date::new(incoming.now.seconds()).to_rfc822()
    )
}

/// Clients may call themselves anything; into a structured field goes only what has the form of a name.
fn safe_name(name: &str) -> &str {
    let is_safe = |octet: u8| octet.is_ascii_alphanumeric() || b".-_:[]".contains(&octet);
    if !name.is_empty() && name.bytes().all(is_safe) { name } else { "unknown" }
}

/// Counts the Received fields of the header section.
fn count_received(data: &[u8]) -> usize {
    const NAME: &[u8] = b"received:";
    let mut count = 0;
    let mut rest = data;
    loop {
        if rest.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)) {
            count += 1;
        }
        let Some(end) = memchr::memchr(b'\n', rest) else { return count };
        rest = &rest[end + 1..];
        if rest.starts_with(b"\r\n") {
            return count;
        }
    }
}

/// R26: what makes two requests the same, as hex SHA-256: sender, recipients and content, less the trace fields at
/// its top, which differ each time that a relay in front of us tries again.
fn content_hash(incoming: &Incoming, data: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(incoming.originator.mail_from.as_bytes());
    for recipient in &incoming.recipients {
        hash.update([0]);
        hash.update(recipient.address.as_bytes());
    }
    hash.update([0, 0]);
    hash.update(without_trace(data));
    hex::encode(hash.finalize())
}

fn without_trace(data: &[u8]) -> &[u8] {
    const TRACE: [&[u8]; 2] = [b"received:", b"return-path:"];
    let mut rest = data;
    let mut in_trace = false;
    loop {
        let continues = in_trace && matches!(rest.first(), Some(b' ' | b'\t'));
        in_trace = continues
            || TRACE
                .iter()
                .any(|name| rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)));
        if !in_trace {
            return rest;
        }
        match memchr::memchr(b'\n', rest) {
            Some(end) => rest = &rest[end + 1..],
            None => return &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn received_fields_of_the_header_are_counted() {
        let loops =
            "Received: x\r\n\tby y\r\n".repeat(3) + "RECEIVED: z\r\nSubject: a\r\n\r\nReceived: no\r\n";
        assert_eq!(count_received(loops.as_bytes()), 4);
        assert_eq!(count_received(b""), 0);
        assert_eq!(count_received(b"Received"), 0);
    }

    #[test]
    fn r26_trace_fields_are_no_content() {
        let plain = b"Subject: a\r\n\r\nbody\r\n";
        let traced = [b"Return-Path: <a@b>\r\nReceived: x\r\n\tby y\r\n".as_slice(), plain].concat();
        assert_eq!(without_trace(&traced), plain);
        assert_eq!(without_trace(plain), plain);
        assert_eq!(without_trace(b"Received: x"), b"");
        assert_eq!(without_trace(b" odd\r\nSubject: a\r\n"), b" odd\r\nSubject: a\r\n");
    }

    #[test]
    fn a_name_that_could_break_the_field_is_left_out() {
        for (name, safe) in [
            ("mail.example.net", "mail.example.net"),
            ("[192.0.2.1]", "[192.0.2.1]"),
            ("my_pc", "my_pc"),
            ("a(b", "unknown"),
            ("a;b", "unknown"),
            ("ä", "unknown"),
            ("", "unknown"),
        ] {
            assert_eq!(safe_name(name), safe, "{name}");
        }
    }
}
