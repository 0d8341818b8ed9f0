//! Money through the store, on both engines: the business rules at their exact instants, every refusal with nothing
//! written, and after each story the ledger replayed.

#[path = "../engines/mod.rs"]
mod engines;
#[path = "../support/mod.rs"]
mod support;

mod arrears;
mod bills;
mod by_hand;
mod collection;
mod payments;
mod refunds;
mod time;
mod validity;
