//! How mail comes in: the HTTP API, SMTP submission, the reports that come back, and what operators' programs hand in.

pub mod api;
mod cache;
pub mod dns;
pub mod inbound;
mod ip_guard;
mod listener;
pub mod message;
pub mod operators;
pub mod payment;
pub mod submission;
pub mod tls;
