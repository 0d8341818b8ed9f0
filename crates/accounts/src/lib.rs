//! The jobs that time starts.
//!
//! Every job may run late, twice, or on several nodes at once: its effect is the same. None is needed for a
//! decision to be right: whether a package pays, a nonce is known or a quota has reset follows from instants,
//! not from whether a job has run.

mod housekeeping;
pub mod notice;
pub mod sms;

pub use housekeeping::{Housekeeping, run};
