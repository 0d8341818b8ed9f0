//! What a mail, an account, a package and a quota are.
//!
//! Pure: no I/O, no async, no clock of its own. Time, money and identity come in as arguments, so the same
//! function decides in the server, in the property tests and in the simulator. The rules are those of the
//! business rules R01 to R27; where a function carries one out, its documentation names it.

pub mod account;
pub mod dedicated_ip;
pub mod id;
pub mod ip_filter;
pub mod ledger;
pub mod mail;
pub mod money;
pub mod notice;
pub mod outcome;
pub mod phone;
pub mod quota;
pub mod time;
