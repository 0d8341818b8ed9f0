//! The content of a mail: composed from an API call's parameters, or checked and completed as SMTP brought it.
//!
//! Both ways end in the same thing: RFC 5322 octets with CRLF line ends, with From, Date, Message-ID and our trace
//! header present, without Bcc, ready to be stored, signed and sent as they are. Nothing that a client gives can
//! start a header line of its own: control characters are refused by name, never stripped.

pub mod compose;
pub mod content;
pub mod control;
pub mod display;
pub mod headers;
pub mod mailbox;
pub mod mime;
pub mod password;
pub mod prepare;
pub mod recipients;
pub mod syntax;

#[cfg(test)]
mod compose_tests;
#[cfg(test)]
mod prepare_tests;

/// The header that carries the EnvId (the message's id in decimal) on every mail that leaves.
pub const TRACE_HEADER: &str = "X-Indicia-Env-Id";
/// The header that names a recipient's copy in spam reports: put on when the mail is sent, and told from nobody else.
pub const REPORT_TOKEN_HEADER: &str = "X-Indicia-Report-Token";
/// The header by which an SMTP client names the IP pool that the mail is to go out by; never sent on.
pub const IP_POOL_HEADER: &str = "X-Indicia-Ip-Pool";
/// The header by which an SMTP client gives its idempotency key; never sent on.
pub const IDEMPOTENCY_HEADER: &str = "X-Indicia-Idempotency-Key";
/// RFC 5322 2.1.1: octets of a line without its CRLF.
pub const LINE_BYTES_MAX: usize = 998;
/// Longest idempotency key.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 256;

/// Whether a key may serve for idempotency: 1 to 256 printable ASCII characters.
pub fn is_idempotency_key(key: &str) -> bool {
    (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len())
        && key.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// The address part of a Message-ID of ours: `<EnvId@domain>`, without the brackets.
pub fn message_id_of(message_id: i64, sender_domain: &str) -> String {
    format!("{message_id}@{sender_domain}")
}
