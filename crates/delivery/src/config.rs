//! What delivery needs to know to run, with its defaults.

use std::time::Duration;

use indicia_domain::outcome::retry::RetrySchedule;

use crate::connection::WireSettings;
use crate::route::RouteOverride;

/// The settings of one delivery engine.
#[derive(Debug, Clone)]
pub struct DeliveryConfig {
    /// How connections are made; `wire.hello_name` is this host's public name.
    pub wire: WireSettings,
    /// The port of remote MXs.
    pub port: u16,
    /// Overrides of the MX look-up.
    pub routes: Vec<RouteOverride>,
    /// The domain of return paths, whose MX is this service.
    pub return_path_domain: String,
    /// Signs return paths; kept for as long as bounces may come.
    pub return_path_key: [u8; 32],
    /// Whether mails are DKIM-signed. Always, except to measure what the signature costs.
    pub sign: bool,
    /// Pauses between attempts and the age at which a mail is given up.
    pub schedule: RetrySchedule,
    /// Connections to one destination, and in all.
    pub connections_per_site_max: usize,
    pub connections_max: usize,
    /// Transactions on one connection before it is replaced.
    pub deliveries_per_connection_max: u32,
    /// How long a connection without work is kept.
    pub idle_timeout: Duration,
    /// What is held in memory: recipients, and octets of content.
    pub recipients_in_memory_max: usize,
    pub bytes_in_memory_max: usize,
    /// How often the queue is looked at when nothing else wakes the engine.
    pub poll_interval: Duration,
    /// How long a route is remembered; DNS records are cached by the resolver besides.
    pub route_ttl: Duration,
    /// How long transactions under way may go on after a stop.
    pub stop_grace: Duration,
}

impl Default for DeliveryConfig {
    fn default() -> DeliveryConfig {
        DeliveryConfig {
            wire: WireSettings::default(),
            port: 25,
            routes: vec![],
            return_path_domain: "localhost".to_owned(),
            return_path_key: [0; 32],
            sign: true,
            schedule: RetrySchedule::default(),
            connections_per_site_max: 20,
            connections_max: 500,
            deliveries_per_connection_max: 1_000,
            idle_timeout: Duration::from_secs(10),
            recipients_in_memory_max: 20_000,
            bytes_in_memory_max: 64 << 20,
            poll_interval: Duration::from_secs(1),
            route_ttl: Duration::from_secs(60),
            stop_grace: Duration::from_secs(20),
        }
    }
}
