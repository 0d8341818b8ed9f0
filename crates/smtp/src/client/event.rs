//! What a client session tells its caller: what happened, and what went wrong.

use super::phase::Phase;
use super::transaction::TransactionResult;
use crate::address::AddressError;
use crate::reply::{Reply, ReplyError};

/// Octets of unread replies that are kept while content is written.
pub(crate) const HELD_BYTES_MAX: usize = 64 * 1024;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The server's 220. EHLO is on its way.
    Greeted {
        reply: Reply,
    },
    /// EHLO (or HELO) was answered; see [`extensions`](super::Session::extensions). Also after TLS.
    Ready,
    /// The greeting was no 220, or neither EHLO nor HELO was taken. Only `quit` is left.
    Refused {
        phase: Phase,
        reply: Reply,
    },
    /// STARTTLS was answered 220: do the handshake, then [`tls_established`](super::Session::tls_established).
    TlsReady,
    /// STARTTLS was refused; the connection may be used without.
    TlsRefused {
        reply: Reply,
    },
    Authenticated {
        reply: Reply,
    },
    AuthRefused {
        reply: Reply,
    },
    /// The transaction is over.
    Finished(TransactionResult),
    /// RSET was answered. Not positive: do not use the connection again.
    Reset {
        reply: Reply,
    },
    /// The session is over: QUIT was answered, the server said 421, or the connection was lost (no reply).
    Closed {
        reply: Option<Reply>,
    },
    /// The server broke the protocol; the session is over. A transaction under way was `Finished` before.
    ProtocolError(ProtocolError),
}

/// How the server broke the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    #[error("malformed reply in phase {phase}: {error}")]
    MalformedReply { phase: Phase, error: ReplyError },
    #[error("unexpected reply in phase {phase}: {reply}")]
    UnexpectedReply { phase: Phase, reply: Reply },
    #[error("{count} octets came in clear behind the reply to STARTTLS")]
    PlaintextBehindStartTls { count: usize },
    #[error("more than {HELD_BYTES_MAX} octets of replies came before the content was sent")]
    TooMuchInput,
}

/// Why a command was not sent. The session is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("the session is busy or over (phase {phase}); wait for Ready or Finished")]
    NotIdle { phase: Phase },
    #[error("the transaction has no recipients")]
    NoRecipients,
    #[error("the address {address:?} cannot be sent: {error}")]
    Address { address: String, error: AddressError },
    #[error("the server does not offer {0}")]
    NotOffered(&'static str),
    #[error("a user name or password has a NUL")]
    Credentials,
}
