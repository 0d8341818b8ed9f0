//! How mail comes in: the HTTP API, SMTP submission, and the reports that come back.

pub mod api;
pub mod dns;
pub mod inbound;
mod listener;
pub mod message;
pub mod payment;
pub mod submission;
pub mod tls;
