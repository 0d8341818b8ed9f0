//! Dialogues with the SMTP listeners over real loopback sockets, on a fresh SQLite store.

mod acceptance;
mod content;
mod feedback;
mod inbound;
mod lists;
mod login;
mod originator;
mod recipients;
mod support;
mod wire;
