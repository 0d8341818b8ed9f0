//! The real resolver: hickory, asking the configured servers (or the system's), with its cache.
//!
//! Names are always looked up as fully qualified: the search list of resolv.conf must never turn
//! `example.co` into `example.co.our-office.example`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::{DnsError, Mx, Resolver};

/// A question to one server may take this long, and is asked [`ATTEMPTS`] times.
const TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPTS: usize = 3;
/// Answers kept. Each is some hundred bytes, so the cache stays within a few megabytes.
const CACHE_ENTRIES: u64 = 16_384;
/// However long a record says that it lives, a changed MX must be noticed within a day, and a name that
/// has just been created within minutes.
const POSITIVE_TTL_MAX: Duration = Duration::from_secs(24 * 3600);
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(15 * 60);

/// [`Resolver`] on hickory-resolver.
pub struct HickoryResolver {
    inner: TokioResolver,
}

impl HickoryResolver {
    /// A resolver that asks `servers` over UDP and, for long answers, TCP. None: the system's resolvers.
    pub fn new(servers: &[SocketAddr]) -> Result<HickoryResolver, DnsError> {
        HickoryResolver::with_patience(servers, TIMEOUT, ATTEMPTS)
    }

    fn with_patience(
        servers: &[SocketAddr],
        timeout: Duration,
        attempts: usize,
    ) -> Result<HickoryResolver, DnsError> {
        let setup = |error: NetError| DnsError::Setup { reason: error.to_string() };
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(setup)?
        } else {
            let servers = servers.iter().map(name_server).collect();
            let config = ResolverConfig::from_name_servers(servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        tune(builder.options_mut());
        builder.options_mut().timeout = timeout;
        builder.options_mut().attempts = attempts;
        Ok(HickoryResolver { inner: builder.build().map_err(setup)? })
    }

    async fn look_up(&self, name: &str, kind: RecordType) -> Result<Lookup, DnsError> {
        let fqdn = fully_qualified(name)?;
        let record = record_name(kind);
        self.inner.lookup(fqdn, kind).await.map_err(|error| {
            let name = name.to_owned();
            if error.is_nx_domain() {
                DnsError::NoSuchDomain { name }
            } else if error.is_no_records_found() {
                DnsError::NoRecord { name, record }
            } else {
                DnsError::Unavailable { name, record, reason: error.to_string() }
            }
        })
    }
}

fn tune(options: &mut ResolverOpts) {
    options.cache_size = CACHE_ENTRIES;
    options.positive_max_ttl = Some(POSITIVE_TTL_MAX);
    options.negative_max_ttl = Some(NEGATIVE_TTL_MAX);
    options.try_tcp_on_error = true;
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.to_vec())
}

fn record_name(kind: RecordType) -> &'static str {
    match kind {
        RecordType::MX => "MX",
        RecordType::A => "A",
        RecordType::AAAA => "AAAA",
        _ => "DNS",
    }
}

fn fully_qualified(name: &str) -> Result<Name, DnsError> {
    let mut fqdn = Name::from_ascii(name)
        .map_err(|error| DnsError::BadName { name: name.to_owned(), reason: error.to_string() })?;
    fqdn.set_fqdn(true);
    Ok(fqdn)
}

#[async_trait]
impl Resolver for HickoryResolver {
    async fn mx(&self, domain: &str) -> Result<Vec<Mx>, DnsError> {
        let answer = self.look_up(domain, RecordType::MX).await?;
        let records: Vec<Mx> = answer
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::MX(mx) => Some(Mx {
                    preference: mx.preference,
                    exchange: mx.exchange.to_ascii().trim_end_matches('.').to_ascii_lowercase(),
                }),
                _ => None,
            })
            .collect();
        if records.is_empty() {
            return Err(DnsError::NoRecord { name: domain.to_owned(), record: "MX" });
        }
        Ok(records)
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsError> {
        let (six, four) =
            tokio::join!(self.look_up(host, RecordType::AAAA), self.look_up(host, RecordType::A));
        let found: Vec<IpAddr> = [&six, &four]
            .into_iter()
            .flatten()
            .flat_map(|answer| answer.answers())
            .filter_map(|record| record.data.ip_addr())
            .collect();
        if !found.is_empty() {
            return Ok(found);
        }
        // One family failing and the other being absent leaves the question open: not proof of absence.
        match (six, four) {
            (Err(error @ DnsError::Unavailable { .. }), _)
            | (_, Err(error @ DnsError::Unavailable { .. })) => Err(error),
            (Err(error @ DnsError::NoSuchDomain { .. }), _)
            | (_, Err(error @ DnsError::NoSuchDomain { .. })) => Err(error),
            (Err(error @ DnsError::BadName { .. }), _) => Err(error),
            _ => Err(DnsError::NoRecord { name: host.to_owned(), record: "A or AAAA" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_up_as_fully_qualified() {
        assert!(fully_qualified("example.co").expect("a name").is_fqdn());
        assert!(matches!(fully_qualified("a..b"), Err(DnsError::BadName { .. })));
    }

    #[tokio::test]
    async fn a_silent_server_is_a_temporary_failure() {
        let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let address = silent.local_addr().expect("an address");
        let resolver =
            HickoryResolver::with_patience(&[address], Duration::from_millis(50), 1).expect("a resolver");
        let error = resolver.mx("example.net").await.expect_err("no answer");
        assert!(matches!(error, DnsError::Unavailable { record: "MX", .. }), "{error}");
    }
}
