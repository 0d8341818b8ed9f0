//! What an operator can set about the API.

use std::sync::Arc;

use indicia_domain::ledger::price::PriceList;
use indicia_domain::mail::admission::Policy;
use indicia_domain::time::Clock;
use ipnet::IpNet;

use super::protocol::throttle::ThrottleLimits;

/// Bytes of a request's body unless configured otherwise. HtmlBody and TextBody may have 8 MiB each, and percent-encoding
/// makes three bytes of each byte of Chinese text: 48 MiB, and room for the other parameters.
pub const BODY_BYTES_MAX: usize = 50 * 1024 * 1024;

/// Everything that the API needs to be told.
#[derive(Clone)]
pub struct ApiSettings {
    pub body_bytes_max: usize,
    /// Bytes of bodies that may be in memory at one time, before their signatures are even looked at.
    pub body_bytes_in_flight_max: usize,
    pub throttle: ThrottleLimits,
    pub records: DnsRecords,
    pub limits: DirectoryLimits,
    pub prices: PriceList,
    pub policy: Policy,
    /// `USD`, `CNY` or `JPY`.
    pub currency: String,
    /// The region named in answers that must name one.
    pub region: String,
    /// Networks of proxies in front of the API: of a call that comes from there, the address is the one that the proxy
    /// tells in `X-Forwarded-For`. From anywhere else that header is anybody's claim.
    pub trusted_proxies: Vec<IpNet>,
    /// The clock against which the dates of signed requests are held, where it is not the store's: the demo moves
    /// its own time forward, and its clients' clocks stay where they are.
    pub request_clock: Option<Arc<dyn Clock>>,
}

impl ApiSettings {
    /// The defaults for a server whose mail leaves as `hostname`.
    pub fn for_host(hostname: &str) -> Self {
        ApiSettings {
            body_bytes_max: BODY_BYTES_MAX,
            body_bytes_in_flight_max: 256 * 1024 * 1024,
            throttle: ThrottleLimits::default(),
            records: DnsRecords::for_host(hostname),
            limits: DirectoryLimits::default(),
            prices: PriceList::default(),
            policy: Policy::default(),
            currency: "USD".to_owned(),
            region: "local".to_owned(),
            trusted_proxies: Vec::new(),
            request_clock: None,
        }
    }
}

/// The DNS records that a customer is asked to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsRecords {
    /// First label of the name whose TXT record proves ownership.
    pub ownership_label: String,
    /// The name that a customer's SPF record must include; its own TXT record lists our addresses.
    pub spf_include: String,
    /// The host that a customer's MX record should name.
    pub mx_host: String,
    /// Selector of a new domain's DKIM key, unless the customer names one.
    pub dkim_selector: String,
    /// The DMARC record that is proposed.
    pub dmarc: String,
    /// Label and target of the CNAME for tracking links.
    pub tracking_label: String,
    pub tracking_host: String,
}

impl DnsRecords {
    pub fn for_host(hostname: &str) -> Self {
        DnsRecords {
            ownership_label: "indicia".to_owned(),
            spf_include: format!("spf.{hostname}"),
            mx_host: hostname.to_owned(),
            dkim_selector: "indicia".to_owned(),
            dmarc: "v=DMARC1; p=none".to_owned(),
            tracking_label: "dmtrace".to_owned(),
            tracking_host: format!("track.{hostname}"),
        }
    }
}

/// How many of each an account may have (dossier 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryLimits {
    pub domains_max: i64,
    pub senders_max: i64,
    pub sender_deletions_per_month_max: i64,
}

impl Default for DirectoryLimits {
    fn default() -> Self {
        DirectoryLimits { domains_max: 5, senders_max: 100, sender_deletions_per_month_max: 10 }
    }
}
