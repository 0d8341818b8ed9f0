//! The jobs on both engines: what is told when, over which channel, and how often.

#[macro_use]
#[path = "../../../store/tests/engines/mod.rs"]
mod engines;
#[path = "../../../store/tests/support/mod.rs"]
mod support;

mod alerts;
mod channels;
mod collection;
mod crashes;
mod expiry;
mod mail;
mod reputation;
mod world;
