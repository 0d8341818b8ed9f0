//! Answers from a fixed table: for tests, and for the demo, which must not depend on a network.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use async_trait::async_trait;

use super::{DnsError, Mx, Resolver};

/// A resolver that knows what it was told. Unknown names do not exist.
#[derive(Debug, Default)]
pub struct FixedResolver {
    zone: Mutex<Zone>,
}

#[derive(Debug, Default)]
struct Zone {
    mx: HashMap<String, Vec<Mx>>,
    addresses: HashMap<String, Vec<IpAddr>>,
    failing: HashMap<String, String>,
    questions: u64,
}

impl FixedResolver {
    /// A resolver that knows nothing yet.
    pub fn new() -> FixedResolver {
        FixedResolver::default()
    }

    fn zone(&self) -> std::sync::MutexGuard<'_, Zone> {
        self.zone.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Adds MX records (preference, exchange) to a domain; the exchange "" is the null MX.
    pub fn with_mx(self, domain: &str, records: &[(u16, &str)]) -> FixedResolver {
        let records = records
            .iter()
            .map(|(preference, exchange)| Mx { preference: *preference, exchange: (*exchange).to_owned() });
        self.zone().mx.entry(domain.to_owned()).or_default().extend(records);
        self
    }

    /// Adds addresses to a host name.
    pub fn with_addresses(self, host: &str, addresses: &[IpAddr]) -> FixedResolver {
        self.zone().addresses.entry(host.to_owned()).or_default().extend_from_slice(addresses);
        self
    }

    /// Makes every question about `name` fail as a server failure does.
    pub fn with_failure(self, name: &str, reason: &str) -> FixedResolver {
        self.zone().failing.insert(name.to_owned(), reason.to_owned());
        self
    }

    /// How many questions were asked.
    pub fn questions(&self) -> u64 {
        self.zone().questions
    }
}

impl Zone {
    fn absent(&self, name: &str, record: &'static str) -> DnsError {
        if self.mx.contains_key(name) || self.addresses.contains_key(name) {
            DnsError::NoRecord { name: name.to_owned(), record }
        } else {
            DnsError::NoSuchDomain { name: name.to_owned() }
        }
    }

    fn asked(&mut self, name: &str, record: &'static str) -> Result<(), DnsError> {
        self.questions += 1;
        match self.failing.get(name) {
            Some(reason) => {
                Err(DnsError::Unavailable { name: name.to_owned(), record, reason: reason.clone() })
            }
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Resolver for FixedResolver {
    async fn mx(&self, domain: &str) -> Result<Vec<Mx>, DnsError> {
        let mut zone = self.zone();
        zone.asked(domain, "MX")?;
        zone.mx.get(domain).cloned().ok_or_else(|| zone.absent(domain, "MX"))
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsError> {
        let mut zone = self.zone();
        zone.asked(host, "A or AAAA")?;
        zone.addresses.get(host).cloned().ok_or_else(|| zone.absent(host, "A or AAAA"))
    }
}
