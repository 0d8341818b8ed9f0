//! The protocol seen from outside, in one test binary: dialogues, tables of bad input, properties, and both
//! sides talking to each other.

mod address;
mod client_dialogue;
mod client_failures;
mod loopback;
mod properties;
mod reply;
mod server_auth;
mod server_dialogue;
mod server_limits;
mod smuggling;
mod support;
