//! Who is looking: sign-in, the session cookie, and the guard on every form.
//!
//! A session is a random 256-bit token that only the browser holds; the store keeps its SHA-256, so that a
//! stolen database signs nobody in. The token that protects forms is derived from it (`csrf`), so that it
//! needs no row of its own and dies with the session. Failed sign-ins are slowed down per e-mail address
//! and per network address (`throttle`).

pub mod cookie;
pub mod csrf;
pub mod password;
pub mod throttle;
pub mod viewer;

use std::fmt;

use rand::{TryRng, rngs::SysRng};
use sha2::{Digest, Sha256};

/// A secret of 256 random bits in the browser's hands, written as 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

/// The operating system gave no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the operating system's random number source failed, so no session can be opened: {0}")]
pub struct NoRandomness(String);

impl Token {
    /// A fresh token from the operating system's generator.
    pub fn random() -> Result<Self, NoRandomness> {
        let mut bytes = [0_u8; 32];
        SysRng.try_fill_bytes(&mut bytes).map_err(|error| NoRandomness(error.to_string()))?;
        Ok(Self(bytes))
    }

    /// Reads what [`Token::reveal`] wrote; anything else is no token.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0_u8; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// The secret itself, for the cookie and for nothing else.
    pub fn reveal(&self) -> String {
        hex::encode(self.0)
    }

    /// What the store keeps: the SHA-256 of the secret, in hexadecimal.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.0))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_cookie_and_is_not_what_is_stored() {
        let token = Token::random().unwrap();
        assert_eq!(Token::parse(&token.reveal()), Some(token.clone()));
        assert_ne!(token.digest(), token.reveal());
        assert_ne!(Token::random().unwrap(), token);
        assert!(!format!("{token:?}").contains(&token.reveal()));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in ["", "00", "zz", &"0".repeat(63), &"0".repeat(66), &"g".repeat(64)] {
            assert_eq!(Token::parse(text), None, "{text}");
        }
    }
}
