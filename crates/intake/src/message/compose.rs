//! Writes checked content as an RFC 5322 message: MIME, 7-bit, CRLF, no line over 998 octets.
//!
//! The transfer encoding (7bit, quoted-printable or base64, whichever is shortest) and the folding are the mail
//! builder's. Line ends are made CRLF before it sees a body, since it leaves a bare CR as it is. No Bcc field is ever
//! written: whom a copy goes to is the envelope's secret.

use std::borrow::Cow;

use indicia_domain::time::UnixMicros;
use indicia_smtp::address::Mailbox;
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::date::Date;
use mail_builder::headers::raw::Raw;
use mail_builder::headers::text::Text;
use mail_builder::mime::{BodyPart, MimePart};
use memchr::memchr2_iter;

use super::content::Content;
use super::mailbox::NamedMailbox;
use super::{TRACE_HEADER, message_id_of};

/// What surrounds the content.
#[derive(Clone, Copy, Debug)]
pub struct Letterhead<'a> {
    /// The message's id: the EnvId.
    pub message_id: i64,
    pub date: UnixMicros,
    /// The sender address; it must have an ASCII local part.
    pub from: &'a Mailbox,
    pub to: &'a [NamedMailbox],
    pub cc: &'a [NamedMailbox],
}

/// The message, ready to be stored.
pub fn compose(letterhead: &Letterhead<'_>, content: &Content<'_>) -> Vec<u8> {
    let from = letterhead.from;
    let mut builder =
        MessageBuilder::new().from(address(content.from_alias, from)).to(addresses(letterhead.to));
    if !letterhead.cc.is_empty() {
        builder = builder.cc(addresses(letterhead.cc));
    }
    if let Some((alias, mailbox)) = &content.reply_to {
        builder = builder.reply_to(address(*alias, mailbox));
    }
    builder = builder.subject(Text::new(content.subject)).date(Date::new(letterhead.date.seconds()));
    if !content.headers.iter().any(|header| header.name == "Message-ID") {
        builder = builder.message_id(message_id_of(letterhead.message_id, &from.domain().to_string()));
    }
    builder = builder.header(TRACE_HEADER, Raw::new(letterhead.message_id.to_string()));
    for header in &content.headers {
        builder = match header.value.is_ascii() {
            true => builder.header(header.name.as_str(), Raw::new(header.value.as_str())),
            false => builder.header(header.name.as_str(), Text::new(header.value.as_str())),
        };
    }
    let mut message = Vec::with_capacity(estimate(content));
    builder.body(body(letterhead.message_id, content)).serialize(&mut message);
    if !message.ends_with(b"\r\n") {
        message.extend_from_slice(b"\r\n");
    }
    message
}

fn address<'a>(name: Option<&'a str>, mailbox: &Mailbox) -> Address<'a> {
    Address::new_address(name, mailbox.to_string())
}

fn addresses(list: &[NamedMailbox]) -> Address<'_> {
    Address::new_list(
        list.iter().map(|named| address(named.display_name.as_deref(), &named.mailbox)).collect(),
    )
}

fn body<'a>(message_id: i64, content: &Content<'a>) -> MimePart<'a> {
    let part = |kind: &'static str, text: &'a str| MimePart::new(kind, BodyPart::Text(with_crlf(text)));
    match (content.text, content.html) {
        (Some(text), Some(html)) => {
            // "=_" cannot stand in quoted-printable or base64, and the random part not be foreseen by who
            // wrote the bodies.
            let boundary = format!("=_{message_id:x}_{:016x}", rand::random::<u64>());
            let kind = ContentType::new("multipart/alternative").attribute("boundary", boundary);
            MimePart::new(kind, vec![part("text/plain", text), part("text/html", html)])
        }
        (None, Some(html)) => part("text/html", html),
        (text, None) => part("text/plain", text.unwrap_or_default()),
    }
}

/// Every line end as CRLF: lone LFs (what most callers send) and lone CRs alike.
fn with_crlf(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut canonical = String::new();
    let mut copied = 0;
    for at in memchr2_iter(b'\r', b'\n', bytes) {
        let is_half_of_crlf = match bytes[at] {
            b'\r' => bytes.get(at + 1) == Some(&b'\n'),
            _ => at > 0 && bytes[at - 1] == b'\r',
        };
        if !is_half_of_crlf {
            canonical.push_str(&text[copied..at]);
            canonical.push_str("\r\n");
            copied = at + 1;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    canonical.push_str(&text[copied..]);
    Cow::Owned(canonical)
}

fn estimate(content: &Content<'_>) -> usize {
    let body = content.text.map_or(0, str::len) + content.html.map_or(0, str::len);
    1_024 + body + body / 2
}
