//! A scripted SMTP server and a spool in memory, for the engine's and the connection's tests.
#![allow(dead_code, reason = "each test binary uses its own part of the support")]

pub mod server;
pub mod spool;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicia_delivery::dns::{FixedResolver, Resolver};
use indicia_delivery::{Delivery, DeliveryConfig, Metrics, RouteOverride, WireSettings};
use indicia_domain::outcome::retry::RetrySchedule;
use indicia_domain::time::{Clock, ManualClock, UnixMicros};
use indicia_store::outcome::Outcome;

use spool::MemorySpool;

pub const START: UnixMicros = UnixMicros(1_795_000_000_000_000);
pub const SECOND: i64 = 1_000_000;

/// An engine with its surroundings.
pub struct Rig {
    pub clock: Arc<ManualClock>,
    pub spool: Arc<MemorySpool>,
    pub metrics: Metrics,
    pub delivery: Delivery,
}

/// A configuration that is quick enough for tests. Every domain goes to `address`.
pub fn config(routes: &[(&str, SocketAddr)]) -> DeliveryConfig {
    let entry = |(domain, address): &(&str, SocketAddr)| RouteOverride {
        domain: (*domain).to_owned(),
        host: address.ip().to_string(),
        port: Some(address.port()),
    };
    DeliveryConfig {
        wire: WireSettings {
            hello_name: "mail.example.net".into(),
            timeout_permille: 5,
            ..WireSettings::default()
        },
        routes: routes.iter().map(entry).collect(),
        return_path_domain: "bounce.example.net".into(),
        return_path_key: [9; 32],
        sign: false,
        schedule: RetrySchedule::new(vec![60, 300], 3600).expect("a schedule"),
        poll_interval: Duration::from_millis(20),
        stop_grace: Duration::from_secs(5),
        ..DeliveryConfig::default()
    }
}

impl Rig {
    pub fn start(config: DeliveryConfig) -> Rig {
        Rig::with_resolver(config, FixedResolver::new())
    }

    pub fn with_resolver(config: DeliveryConfig, resolver: impl Resolver) -> Rig {
        Rig::with_metrics(config, resolver, Metrics::default())
    }

    pub fn with_metrics(config: DeliveryConfig, resolver: impl Resolver, metrics: Metrics) -> Rig {
        let clock = Arc::new(ManualClock::at(START));
        let spool = Arc::new(MemorySpool::new(clock.clone()));
        Rig::with_spool(config, resolver, metrics, clock, spool)
    }

    /// An engine that finds `spool` filled when it starts.
    pub fn with_spool(
        config: DeliveryConfig,
        resolver: impl Resolver,
        metrics: Metrics,
        clock: Arc<ManualClock>,
        spool: Arc<MemorySpool>,
    ) -> Rig {
        let delivery =
            Delivery::start(config, spool.clone(), clock.clone(), Arc::new(resolver), metrics.clone())
                .expect("TLS");
        Rig { clock, spool, metrics, delivery }
    }

    pub fn advance(&self, seconds: i64) {
        self.clock.advance_micros(seconds * SECOND);
        self.delivery.wake();
    }

    pub fn now(&self) -> UnixMicros {
        self.clock.now()
    }

    /// Waits until so many attempts have been committed and returns them all.
    pub async fn attempts(&self, count: usize) -> Vec<Outcome> {
        until(|| self.spool.outcomes().len() >= count).await;
        self.spool.outcomes()
    }
}

/// Waits until `condition` holds; fails the test after 10 s.
pub async fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "the condition did not come true within 10 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
