//! The sections of the configuration, each with its defaults.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use indicia_delivery::{DeliveryConfig, LocalAddresses, RouteOverride, WireSettings};
use indicia_domain::outcome::retry::RetrySchedule;
use serde::Deserialize;

use super::{ConfigError, wrong};

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSection {
    /// `sqlite`, or `postgres://user:password@host/database`.
    pub url: String,
}

impl Default for StoreSection {
    fn default() -> Self {
        StoreSection { url: "sqlite".to_owned() }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiSection {
    pub listen: SocketAddr,
    /// SingleSendMail calls a second for each account; 0 means no limit.
    pub sends_per_second: u32,
    /// Calls of each other action a second for each account; 0 means no limit.
    pub calls_per_second: u32,
    /// Networks of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
}

impl Default for ApiSection {
    fn default() -> Self {
        ApiSection {
            listen: local(8025),
            sends_per_second: 100,
            calls_per_second: 50,
            trusted_proxies: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsoleSection {
    pub listen: SocketAddr,
    /// The address under which people reach it. With `https://` its cookies are only sent over TLS.
    pub public_url: String,
}

impl Default for ConsoleSection {
    fn default() -> Self {
        ConsoleSection { listen: local(8026), public_url: "http://127.0.0.1:8026".to_owned() }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubmissionSection {
    /// STARTTLS is offered here.
    pub listen: Vec<SocketAddr>,
    /// TLS from the first byte.
    pub tls_listen: Vec<SocketAddr>,
    /// PEM files; without them a self-signed certificate is made in the data folder.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// Bytes of one message as transmitted.
    pub message_bytes_max: usize,
    pub recipients_max: usize,
    pub connections_max: usize,
    /// Connections of one peer address.
    pub connections_per_peer_max: usize,
    /// Passwords may come without TLS from anywhere; otherwise only from this machine itself.
    pub auth_without_tls: bool,
    pub trusted: Vec<TrustedSection>,
}

impl Default for SubmissionSection {
    fn default() -> Self {
        SubmissionSection {
            listen: vec![local(2525)],
            tls_listen: vec![local(2465)],
            certificate: None,
            key: None,
            message_bytes_max: 15 * 1024 * 1024,
            recipients_max: 100,
            connections_max: 1_000,
            connections_per_peer_max: 200,
            auth_without_tls: false,
            trusted: Vec::new(),
        }
    }
}

impl SubmissionSection {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.certificate.is_some() != self.key.is_some() {
            return Err(wrong("submission", "certificate and key belong together; give both or neither"));
        }
        for trusted in &self.trusted {
            trusted.account()?;
        }
        Ok(())
    }
}

/// A network whose relays need no AUTH.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustedSection {
    pub network: ipnet::IpNet,
    pub account_id: String,
    /// Sends as this address, whatever MAIL FROM says.
    pub sender_address: Option<String>,
}

impl TrustedSection {
    pub fn account(&self) -> Result<i64, ConfigError> {
        let parsed = self.account_id.parse();
        parsed.map_err(|_| {
            wrong("submission.trusted.account_id", format!("'{}' is not an account id", self.account_id))
        })
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InboundSection {
    pub listen: Vec<SocketAddr>,
}

impl Default for InboundSection {
    fn default() -> Self {
        InboundSection { listen: vec![local(2526)] }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsSection {
    pub listen: SocketAddr,
}

impl Default for MetricsSection {
    fn default() -> Self {
        MetricsSection { listen: local(8027) }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DnsSection {
    /// Empty: the system's resolvers.
    pub servers: Vec<SocketAddr>,
    /// What customers put in their SPF record: `include:` this name.
    pub spf_include: Option<String>,
    /// What customers point their MX at; by default `delivery.hostname`.
    pub mx_host: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliverySection {
    /// The EHLO name.
    pub hostname: String,
    /// The port of remote MXs.
    pub port: u16,
    /// The domain of return paths, whose MX leads to `[inbound]`; by default the host name.
    pub return_path_domain: Option<String>,
    pub route: Vec<RouteSection>,
    /// Shared addresses of this machine that mail goes out by, in turn for each family; empty: the system chooses.
    pub local_addresses: Vec<IpAddr>,
    /// Pauses between attempts; the last repeats.
    pub retry_pauses_seconds: Vec<u32>,
    /// Age at which a mail is given up.
    pub age_max_hours: u32,
    pub connections_per_host_max: usize,
    pub connections_max: usize,
    pub deliveries_per_connection_max: u32,
    /// Recipients and bytes of content held in memory, however long the queue is.
    pub memory_recipients_max: usize,
    pub memory_bytes_max: usize,
    /// The wire time limits of RFC 5321 4.5.3.2, in per cent.
    pub timeout_percent: u32,
    /// How long a stop waits for transactions under way.
    pub stop_grace_seconds: u64,
    /// Only benchmarks switch signing off, to measure what it costs.
    pub sign: bool,
}

impl Default for DeliverySection {
    fn default() -> Self {
        DeliverySection {
            hostname: "localhost".to_owned(),
            port: 25,
            return_path_domain: None,
            route: Vec::new(),
            local_addresses: Vec::new(),
            retry_pauses_seconds: vec![60, 300, 900, 1_800, 3_600, 7_200, 14_400],
            age_max_hours: 72,
            connections_per_host_max: 20,
            connections_max: 500,
            deliveries_per_connection_max: 1_000,
            memory_recipients_max: 20_000,
            memory_bytes_max: 64 << 20,
            timeout_percent: 100,
            stop_grace_seconds: 20,
            sign: true,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSection {
    /// `example.net`, `*.example.net` or `*`.
    pub domain: String,
    pub host: String,
    pub port: Option<u16>,
}

impl DeliverySection {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.schedule()?;
        let name_like = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
        };
        if !name_like(&self.hostname) {
            return Err(wrong("delivery.hostname", format!("'{}' is not a host name", self.hostname)));
        }
        let positive = [
            self.connections_per_host_max,
            self.connections_max,
            self.deliveries_per_connection_max as usize,
            self.memory_recipients_max,
            self.memory_bytes_max,
            self.timeout_percent as usize,
        ];
        if let Some(address) = self.local_addresses.iter().find(|ip| ip.is_unspecified() || ip.is_multicast())
        {
            let why = format!("{address} is no address that mail can be sent from");
            return Err(wrong("delivery.local_addresses", why));
        }
        if positive.contains(&0) {
            return Err(wrong("delivery", "every maximum and timeout_percent must be above zero"));
        }
        Ok(())
    }

    fn schedule(&self) -> Result<RetrySchedule, ConfigError> {
        RetrySchedule::new(self.retry_pauses_seconds.clone(), self.age_max_hours.saturating_mul(3_600))
            .map_err(|error| wrong("delivery.retry_pauses_seconds", error))
    }

    /// For the delivery engine. `return_path_key` signs return paths.
    pub fn engine_config(&self, return_path_key: [u8; 32]) -> Result<DeliveryConfig, ConfigError> {
        let routes = self.route.iter().map(|route| RouteOverride {
            domain: route.domain.to_lowercase(),
            host: route.host.clone(),
            port: route.port,
        });
        Ok(DeliveryConfig {
            wire: WireSettings {
                hello_name: self.hostname.clone(),
                timeout_permille: self.timeout_percent.saturating_mul(10),
                local_addresses: LocalAddresses::new(self.local_addresses.iter().copied()),
                ..WireSettings::default()
            },
            port: self.port,
            routes: routes.collect(),
            return_path_domain: self.return_path_domain.clone().unwrap_or_else(|| self.hostname.clone()),
            return_path_key,
            sign: self.sign,
            schedule: self.schedule()?,
            connections_per_site_max: self.connections_per_host_max,
            connections_max: self.connections_max,
            deliveries_per_connection_max: self.deliveries_per_connection_max,
            recipients_in_memory_max: self.memory_recipients_max,
            bytes_in_memory_max: self.memory_bytes_max,
            stop_grace: Duration::from_secs(self.stop_grace_seconds),
            ..DeliveryConfig::default()
        })
    }
}

/// R06.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FreeCreditSection {
    pub total_mails: i64,
    pub daily_mails: i64,
}

impl Default for FreeCreditSection {
    fn default() -> Self {
        FreeCreditSection { total_mails: 2_000, daily_mails: 200 }
    }
}

/// The product's limits for one account.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsSection {
    pub domains: i64,
    pub sender_addresses: i64,
    /// Deletions of sender addresses in a local month.
    pub sender_deletions_per_month: i64,
}

impl Default for LimitsSection {
    fn default() -> Self {
        LimitsSection { domains: 5, sender_addresses: 100, sender_deletions_per_month: 10 }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Json,
    Text,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    pub format: LogFormat,
    /// As `tracing`'s filters: `info`, or `info,indicia_delivery=debug`.
    pub level: String,
}

impl Default for LogSection {
    fn default() -> Self {
        LogSection { format: LogFormat::Json, level: "info".to_owned() }
    }
}
