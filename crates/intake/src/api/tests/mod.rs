//! The API through its router, on a SQLite store in a temporary folder, under a clock that stands still.

mod billing;
mod billing_bills;
mod billing_changes;
mod billing_messages;
mod billing_money;
mod billing_support;
mod billing_texts;
mod dedicated_ip;
mod directory;
mod gateway;
mod harness;
mod lists;
mod mail;
mod quota;
mod refusals;
