//! Which hosts take the mail of a domain, and in which order they are tried (RFC 5321 5.1, RFC 7505).
//!
//! A configured override wins: exact domain, then the longest `*.suffix`, then `*`. Otherwise the MX
//! records decide: lower preference first, equals in random order; no MX record but an address means that
//! the domain is its own MX; the single MX "." means that it takes no mail. The set of hosts names the
//! [`Route::site`]: all domains with the same MX set share connections and limits.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rand::Rng;
use rand::seq::SliceRandom;

use crate::dns::{DnsError, Resolver};
use indicia_domain::outcome::Failure;

/// Hosts of one MX set that are considered; what a hostile domain lists beyond is not tried.
const HOSTS_MAX: usize = 20;
/// Addresses tried in one attempt at connecting, over all hosts.
const CANDIDATES_MAX: usize = 10;

/// An override of the MX look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteOverride {
    /// `example.net`, `*.example.net` (any depth below it) or `*`.
    pub domain: String,
    /// A host name, whose addresses are used without an MX look-up, or an IP address.
    pub host: String,
    /// `None`: the port of remote MXs.
    pub port: Option<u16>,
}

/// Why no route was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    #[error("{domain} accepts no mail: it has the null MX record (RFC 7505)")]
    NullMx { domain: String },
    #[error("{domain} has neither an MX record nor an address")]
    NoMailHost { domain: String },
    #[error("none of the mail hosts of {site} has an address")]
    NoAddress { site: String },
    #[error(transparent)]
    Dns(#[from] DnsError),
}

impl RouteError {
    /// The failure that this is for a mail.
    pub fn failure(&self) -> Failure {
        match self {
            RouteError::NullMx { .. } => Failure::NullMx,
            RouteError::NoMailHost { .. } => Failure::NoMailHost,
            RouteError::Dns(DnsError::NoSuchDomain { .. } | DnsError::BadName { .. }) => {
                Failure::DomainNotFound
            }
            // An MX that points nowhere is often a mistake under repair: worth the retries.
            RouteError::NoAddress { .. } | RouteError::Dns(_) => Failure::DnsUnavailable,
        }
    }

    /// The reply words that a timeline shows: an SMTP-like code of our own and the reason.
    pub fn words(&self) -> String {
        match self {
            RouteError::NullMx { .. } => format!("556 5.1.10 {self}"),
            RouteError::NoMailHost { .. }
            | RouteError::Dns(DnsError::NoSuchDomain { .. } | DnsError::BadName { .. }) => {
                format!("550 5.1.2 {self}")
            }
            _ => format!("451 4.4.3 {self}"),
        }
    }
}

/// A host that takes a domain's mail.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Host {
    preference: u16,
    name: String,
}

/// Where the mail of a domain goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Names the destination: the sorted hosts and the port. Equal for domains with the same MX set.
    pub site: Arc<str>,
    hosts: Vec<Host>,
    port: u16,
}

/// One address to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The host's name (or the address in text, for an override by address).
    pub host: Arc<str>,
    pub address: SocketAddr,
}

/// Finds routes.
pub struct Router {
    resolver: Arc<dyn Resolver>,
    overrides: Vec<RouteOverride>,
    port: u16,
}

impl Router {
    /// A router that asks `resolver` unless one of `overrides` fits; remote MXs listen on `port`.
    pub fn new(resolver: Arc<dyn Resolver>, overrides: Vec<RouteOverride>, port: u16) -> Router {
        let lower = |text: String| text.trim_end_matches('.').to_ascii_lowercase();
        let mut overrides: Vec<RouteOverride> = overrides
            .into_iter()
            .map(|entry| RouteOverride {
                domain: lower(entry.domain),
                host: lower(entry.host),
                port: entry.port,
            })
            .collect();
        overrides.sort_by_key(|entry| (entry.domain.starts_with('*'), std::cmp::Reverse(entry.domain.len())));
        Router { resolver, overrides, port }
    }

    fn overridden(&self, domain: &str) -> Option<&RouteOverride> {
        self.overrides.iter().find(|entry| match entry.domain.strip_prefix('*') {
            Some("") => true,
            Some(suffix) => domain.len() > suffix.len() && domain.ends_with(suffix),
            None => entry.domain == domain,
        })
    }

    /// The route of a domain (lower-case A-labels, or an address literal in brackets).
    pub async fn route(&self, domain: &str) -> Result<Route, RouteError> {
        if let Some(entry) = self.overridden(domain) {
            return Ok(single(&entry.host, entry.port.unwrap_or(self.port)));
        }
        if let Some(address) = address_literal(domain) {
            return Ok(single(&address.to_string(), self.port));
        }
        let hosts = match self.resolver.mx(domain).await {
            Ok(records) => {
                // RFC 7505 3: "." is the null MX only when it stands alone; beside others it is a mistake.
                if records.iter().all(|record| record.exchange.is_empty()) {
                    return Err(RouteError::NullMx { domain: domain.to_owned() });
                }
                let named = records.into_iter().filter(|record| !record.exchange.is_empty());
                named.map(|record| Host { preference: record.preference, name: record.exchange }).collect()
            }
            Err(DnsError::NoRecord { .. }) => match self.resolver.addresses(domain).await {
                Ok(_) => vec![Host { preference: 0, name: domain.to_owned() }],
                Err(DnsError::NoRecord { .. }) => {
                    return Err(RouteError::NoMailHost { domain: domain.to_owned() });
                }
                Err(error) => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        };
        Ok(Route::new(hosts, self.port))
    }

    /// The addresses of a route in the order to try them: by preference, equals shuffled by `random`. IPv6
    /// before IPv4 within a host. A host without an address is passed over.
    pub async fn candidates(
        &self,
        route: &Route,
        random: &mut (impl Rng + Send),
    ) -> Result<Vec<Candidate>, RouteError> {
        let mut hosts = route.hosts.clone();
        hosts.shuffle(random);
        hosts.sort_by_key(|host| host.preference);
        let mut candidates = Vec::new();
        let mut last_error = None;
        for host in &hosts {
            if candidates.len() >= CANDIDATES_MAX {
                break;
            }
            let name: Arc<str> = host.name.as_str().into();
            match self.addresses(&host.name).await {
                Ok(addresses) => candidates.extend(addresses.into_iter().map(|address| Candidate {
                    host: name.clone(),
                    address: SocketAddr::new(address, route.port),
                })),
                Err(error @ DnsError::Unavailable { .. }) => last_error = Some(error),
                Err(_) => {}
            }
        }
        candidates.truncate(CANDIDATES_MAX);
        match (candidates.is_empty(), last_error) {
            (false, _) => Ok(candidates),
            (true, Some(error)) => Err(error.into()),
            (true, None) => Err(RouteError::NoAddress { site: route.site.to_string() }),
        }
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsError> {
        match host.parse() {
            Ok(address) => Ok(vec![address]),
            Err(_) => self.resolver.addresses(host).await,
        }
    }
}

impl Route {
    fn new(mut hosts: Vec<Host>, port: u16) -> Route {
        hosts.sort_by(|a, b| (a.preference, &a.name).cmp(&(b.preference, &b.name)));
        hosts.truncate(HOSTS_MAX);
        let mut names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let site = format!("{}:{port}", names.join(",")).into();
        Route { site, hosts, port }
    }
}

fn single(host: &str, port: u16) -> Route {
    Route::new(vec![Host { preference: 0, name: host.to_owned() }], port)
}

/// The address in `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 4.1.3).
fn address_literal(domain: &str) -> Option<IpAddr> {
    let inner = domain.strip_prefix('[')?.strip_suffix(']')?;
    match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("ipv6:") => inner[5..].parse().ok().map(IpAddr::V6),
        _ => inner.parse().ok().map(IpAddr::V4),
    }
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
