//! What a server session offers, its limits, and the replies whose words belong to the service.

use crate::extension::{AuthMechanisms, Extensions};
use crate::reply::Reply;

/// Whether clients may or must log in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthOffer {
    /// Not offered, refused with 502.
    #[default]
    Off,
    /// Offered; mail is also taken without.
    Optional,
    /// Offered; MAIL without it is refused with 530.
    Required,
}

/// Replies that a service may want in its own words.
#[derive(Clone, Debug)]
pub struct Replies {
    /// RCPT beyond `recipients_max`.
    pub too_many_recipients: Reply,
    /// SIZE at MAIL, or content, beyond `size_bytes_max`.
    pub too_large: Reply,
    /// Content with a bare CR or a bare LF.
    pub bare_line_break: Reply,
    /// MAIL without the AUTH that is required.
    pub authentication_required: Reply,
}

impl Default for Replies {
    fn default() -> Replies {
        Replies {
            too_many_recipients: Reply::enhanced(452, (4, 5, 3), "Too many recipients"),
            too_large: Reply::enhanced(552, (5, 3, 4), "Message is larger than this server takes"),
            bare_line_break: Reply::enhanced(
                554,
                (5, 6, 0),
                "Message has a bare CR or a bare LF; every line must end in CRLF",
            ),
            authentication_required: Reply::enhanced(530, (5, 7, 0), "Authentication required"),
        }
    }
}

/// What every session of a listener has in common; shared by `Arc`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name in the greeting and in the EHLO reply.
    pub hostname: String,
    /// The largest content of a message, octets after dot-unstuffing.
    pub size_bytes_max: u64,
    /// Octets of refused content that are read in the hope of its end before the connection is closed.
    pub discard_bytes_max: u64,
    /// Accepted recipients of one message. RFC 5321 section 4.5.3.1.8 asks for 100 at least.
    pub recipients_max: usize,
    /// The bad command (unknown, malformed, out of sequence, failed login) that is answered 421 and closes.
    pub bad_commands_max: u32,
    /// Good commands that bring no mail (NOOP, RSET, VRFY, HELP, EHLO) between two messages; one more is
    /// answered 421 and closes.
    pub idle_commands_max: u32,
    /// Offer STARTTLS while TLS is not active.
    pub starttls: bool,
    pub auth: AuthOffer,
    /// Neither offer nor accept AUTH before TLS is active.
    pub auth_needs_tls: bool,
    pub smtputf8: bool,
    pub chunking: bool,
    pub dsn: bool,
    pub replies: Replies,
}

impl Config {
    /// The defaults: 15 MiB, 100 recipients, SMTPUTF8 and CHUNKING, no STARTTLS, no AUTH, no DSN.
    pub fn new(hostname: impl Into<String>) -> Config {
        Config {
            hostname: hostname.into(),
            size_bytes_max: 15 * 1024 * 1024,
            discard_bytes_max: 256 * 1024 * 1024,
            recipients_max: 100,
            bad_commands_max: 10,
            idle_commands_max: 100,
            starttls: false,
            auth: AuthOffer::Off,
            auth_needs_tls: true,
            smtputf8: true,
            chunking: true,
            dsn: false,
            replies: Replies::default(),
        }
    }

    pub(crate) fn auth_possible(&self, tls_active: bool) -> bool {
        self.auth != AuthOffer::Off && (tls_active || !self.auth_needs_tls)
    }

    /// What the EHLO reply names in the session's present state.
    pub(crate) fn extensions(&self, tls_active: bool, authenticated: bool) -> Extensions {
        let auth = self.auth_possible(tls_active) && !authenticated;
        Extensions {
            pipelining: true,
            size: Some(self.size_bytes_max),
            eight_bit_mime: true,
            smtputf8: self.smtputf8,
            enhanced_status_codes: true,
            chunking: self.chunking,
            dsn: self.dsn,
            starttls: self.starttls && !tls_active,
            auth: auth.then_some(AuthMechanisms { plain: true, login: true }),
            recipients_max: None,
            transactions_max: None,
        }
    }
}
