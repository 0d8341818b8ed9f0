//! Texts to telephones (R14): one trait, two gateways.
//!
//! [`SmppGateway`] speaks SMPP 3.4 to a message centre; [`HttpGateway`] posts signed JSON to a URL. Both take a
//! text at least once: a text is [`Submitted`] only when the gateway said so, and what was cut off before its
//! answer is sent again by the next call with the same reference. Each gateway's own page says how small the
//! window for a text sent twice is.
//!
//! Nothing here decides whether a text is due, retries it, or writes anything down: that is for the caller. Nothing
//! here logs a text or a password, and of a number only the last four digits.

mod error;
mod http;
mod smpp;
mod text;

use async_trait::async_trait;
use indicia_domain::phone::PhoneNumber;

pub use error::{SmsConfigError, SmsError, SmsFailure};
pub use http::{HttpConfig, HttpGateway};
pub use smpp::{BindMode, SmppConfig, SmppGateway};
pub use text::{Alphabet, EncodedText, PARTS_MAX, TextError, encode};

/// One text to one telephone.
#[derive(Clone, PartialEq, Eq)]
pub struct TextMessage {
    /// The caller's name for this text: never used for another, the same when the same text is tried again.
    pub reference: i64,
    pub to: PhoneNumber,
    pub text: String,
}

/// Leaves the text out, so that it does not get into a log by way of a struct that holds it.
impl std::fmt::Debug for TextMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextMessage")
            .field("reference", &self.reference)
            .field("to", &self.to)
            .field("text_bytes", &self.text.len())
            .finish()
    }
}

/// The gateway has taken all of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// What the gateway calls each part, in order. Empty, or an empty string in it, when the gateway named none.
    pub gateway_ids: Vec<String>,
}

/// A way to the telephones. Implementations may be called for different texts at the same time; two calls with
/// the same reference at the same time are the caller's mistake and may send that text twice.
#[async_trait]
pub trait SmsGateway: Send + Sync {
    /// Hands one text over. Returns within the gateway's time-outs, whatever the peer does.
    async fn send(&self, message: &TextMessage) -> Result<Submitted, SmsError>;

    /// Ends what is open, politely. A later `send` fails.
    async fn close(&self);
}
