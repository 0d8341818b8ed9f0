//! The SMTP protocol without I/O, server side and client side: bytes in, events and bytes out.
//!
//! Neither side owns a socket, a task or a clock. The caller feeds what the peer sent with `receive`, asks
//! `next_event` until it answers `None`, writes out `output`, and reads again. So one implementation serves
//! intake, delivery, the load generator and the tests, and every dialogue can be replayed byte by byte.
//!
//! - [`server::Session`] receives mail (RFC 5321), with PIPELINING (RFC 2920), SIZE (1870), 8BITMIME (6152),
//!   SMTPUTF8 (6531), ENHANCEDSTATUSCODES (2034), CHUNKING (3030), STARTTLS (3207), AUTH (4954) and, when
//!   switched on, DSN (3461).
//! - [`client::Session`] sends mail with the same extensions where they matter for sending.
//! - [`address`], [`parameter`], [`reply`] and [`extension`] are the values that both sides speak of.
//!
//! Lines end in CRLF and in nothing else. A bare CR or LF is refused in commands, in DATA, in BDAT and in
//! replies, because every tolerance here is a way to smuggle a second message past one of two servers.

pub mod address;
pub mod client;
pub mod extension;
mod output;
pub mod parameter;
pub mod reply;
pub mod server;

pub use address::{AddressError, Domain, ForwardPath, Mailbox, ReversePath};
pub use extension::Extensions;
pub use parameter::{BodyType, MailParameters, RcptParameters};
pub use reply::{EnhancedCode, Reply};
