//! DKIM signing (RFC 6376, RFC 8301): relaxed/relaxed, rsa-sha256, keys of at least 2048 bits.
//!
//! Canonicalisation and hashing are mail-auth's; the tag list is written here, because mail-auth's signer
//! reads the machine's clock itself, wants the message in one piece, and cannot sign a header one time more
//! often than it occurs. We do that with From, so that nobody can add a second From to a signed mail
//! (RFC 6376 8.15). The content is read where it lies, in shared chunks; only a header section that is
//! split between chunks is copied.
//!
//! A signature with RSA-2048 takes most of a millisecond of CPU: callers sign once per message and off
//! the threads that serve connections ([`Signers`]).

mod header;
mod signer;
mod signers;

#[cfg(test)]
mod tests;

pub use signer::{DkimError, Signer};
pub use signers::Signers;
