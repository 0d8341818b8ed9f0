//! The API through its router, on a SQLite store in a temporary folder, under a clock that stands still.

mod billing;
mod directory;
mod gateway;
mod harness;
mod mail;
mod refusals;
