//! The sending side: one [`Session`] per connection, any number of transactions after each other.
//!
//! ```text
//! receive(bytes) ─► next_event() ─► Event::Ready ─► starttls(), auth_plain(), send(transaction), quit()
//!                   next_event() = None ─► write output() until it is empty ─► next_event() ─► read more
//! ```
//!
//! `session.rs` keeps the queue of replies that are owed and what each of them decides; `transaction.rs`
//! holds what is sent and what became of it, per recipient; `content.rs` stuffs dots while streaming.

mod content;
mod event;
mod phase;
mod session;
mod transaction;

pub use content::has_bare_line_break;
pub use event::{CommandError, Event, ProtocolError};
pub use phase::Phase;
pub use session::{Config, Session};
pub use transaction::{Outcome, RecipientResult, Transaction, TransactionResult, Unsupported};
