//! The two questions that mail routing asks of DNS, behind a trait, so that tests and the demo can answer
//! them without a network.
//!
//! An answer distinguishes what a sender must do next: the name does not exist (bounce), it exists without
//! such a record (try the implicit MX), or nobody could say (try again later).

mod fixed;
mod hickory;

use std::net::IpAddr;

use async_trait::async_trait;

pub use fixed::FixedResolver;
pub use hickory::HickoryResolver;

/// One MX record. The exchange is lower-case without a trailing dot; the empty string is the root, which
/// means "no mail" (RFC 7505).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mx {
    pub preference: u16,
    pub exchange: String,
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    #[error("the domain name {name} does not exist (NXDOMAIN)")]
    NoSuchDomain { name: String },
    #[error("{name} has no {record} record")]
    NoRecord { name: String, record: &'static str },
    #[error("DNS gave no usable answer about the {record} of {name}: {reason}")]
    Unavailable { name: String, record: &'static str, reason: String },
    #[error("'{name}' is not a domain name that can be looked up: {reason}")]
    BadName { name: String, reason: String },
    #[error(
        "the DNS resolver could not be set up: {reason}; check [dns] servers, or the system's resolv.conf"
    )]
    Setup { reason: String },
}

/// Answers MX and address questions. Names are ASCII (A-labels), without a trailing dot; implementations
/// may cache within the records' time to live.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// The MX records of `domain`, in no particular order, at least one.
    async fn mx(&self, domain: &str) -> Result<Vec<Mx>, DnsError>;

    /// The IPv6 and IPv4 addresses of `host`, at least one.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsError>;
}
