//! The receiving side: one [`Session`] per connection.
//!
//! ```text
//! receive(bytes) ─► next_event() ─► Event::Mail, Rcpt, Message, Auth ─► accept() or reject(reply) ─┐
//!                        ▲                                                                         │
//!                        └─────────────────────────────────────────────────────────────────────────┘
//!                   next_event() = None ─► write output() ─► read more
//! ```
//!
//! An event is a question. Until it is answered no further input is looked at, so pipelined commands wait
//! in the session and are answered in their order. `session.rs` takes the steps, `dialogue.rs` answers
//! the commands (`command.rs` is their grammar, `auth.rs` the SASL exchanges), `message.rs` takes DATA and
//! BDAT (`content.rs` is their framing).

mod auth;
mod command;
mod config;
mod content;
mod dialogue;
mod message;
mod session;
mod transaction;

pub use auth::{Mechanism, Secret};
pub use config::{AuthOffer, Config, Replies};
pub use session::{Event, Session};
pub use transaction::{Message, Recipient};
