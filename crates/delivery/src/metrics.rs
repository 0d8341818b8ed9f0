//! What delivery counts, for Prometheus.

use indicia_domain::outcome::{Disposition, Phase};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use indicia_store::outcome::Outcome;

type Label = [(&'static str, &'static str); 1];

/// The metrics of one engine. Clones share the same values.
#[derive(Clone)]
pub struct Metrics {
    delivered: Counter,
    deferred: Family<Label, Counter>,
    bounced: Family<Label, Counter>,
    attempts: Family<Label, Counter>,
    attempts_ended: Counter,
    handed_back: Counter,
    commit_failures: Counter,
    commits: Counter,
    latency_seconds: Histogram,
    attempt_seconds: Histogram,
    pub(crate) connections_open: Gauge,
    pub(crate) connections_opened: Counter,
    pub(crate) connections_failed: Family<Label, Counter>,
    pub(crate) recipients_in_memory: Gauge,
    pub(crate) bytes_in_memory: Gauge,
    pub(crate) sites_held: Counter,
    local_address_failures: Counter,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            delivered: Counter::default(),
            deferred: Family::default(),
            bounced: Family::default(),
            attempts: Family::default(),
            attempts_ended: Counter::default(),
            handed_back: Counter::default(),
            commit_failures: Counter::default(),
            commits: Counter::default(),
            latency_seconds: Histogram::new(exponential_buckets(0.001, 4.0, 12)),
            attempt_seconds: Histogram::new(exponential_buckets(0.0005, 4.0, 11)),
            connections_open: Gauge::default(),
            connections_opened: Counter::default(),
            connections_failed: Family::default(),
            recipients_in_memory: Gauge::default(),
            bytes_in_memory: Gauge::default(),
            sites_held: Counter::default(),
            local_address_failures: Counter::default(),
        }
    }
}

impl Metrics {
    /// Metrics registered under `delivery_…` in `registry`.
    pub fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        let part = registry.sub_registry_with_prefix("delivery");
        part.register("delivered", "Mails accepted by the remote server", metrics.delivered.clone());
        part.register(
            "deferred",
            "Attempts that failed for now, by classification",
            metrics.deferred.clone(),
        );
        part.register("bounced", "Mails that failed for good, by classification", metrics.bounced.clone());
        part.register("attempts", "Attempts, by the phase that decided them", metrics.attempts.clone());
        part.register("handed_back", "Mails given back to the queue untried", metrics.handed_back.clone());
        part.register("outcome_commits", "Group commits of outcomes", metrics.commits.clone());
        part.register(
            "outcome_commit_failures",
            "Commits of outcomes that had to be repeated",
            metrics.commit_failures.clone(),
        );
        part.register(
            "latency_seconds",
            "From acceptance to the remote's acceptance",
            metrics.latency_seconds.clone(),
        );
        part.register("attempt_seconds", "Duration of an attempt", metrics.attempt_seconds.clone());
        part.register(
            "connections_open",
            "Open connections to remote servers",
            metrics.connections_open.clone(),
        );
        part.register("connections_opened", "Connections made", metrics.connections_opened.clone());
        part.register(
            "connections_failed",
            "Connections that failed, by phase",
            metrics.connections_failed.clone(),
        );
        part.register(
            "recipients_in_memory",
            "Recipients held in memory",
            metrics.recipients_in_memory.clone(),
        );
        part.register("bytes_in_memory", "Octets of content held in memory", metrics.bytes_in_memory.clone());
        part.register(
            "sites_held",
            "Times a destination was held after failures",
            metrics.sites_held.clone(),
        );
        part.register(
            "local_address_failures",
            "Times a configured or dedicated local address could not be sent from",
            metrics.local_address_failures.clone(),
        );
        metrics
    }

    pub(crate) fn count(&self, record: &Outcome) {
        let seconds = |micros: i64| micros.max(0) as f64 / 1e6;
        self.attempts_ended.inc();
        self.attempts.get_or_create(&[("phase", record.phase.as_str())]).inc();
        self.attempt_seconds.observe(seconds(record.finished_at.0 - record.started_at.0));
        let class = [("classification", record.verdict.classification.as_str())];
        match record.verdict.disposition {
            Disposition::Delivered => {
                self.delivered.inc();
                self.latency_seconds.observe(seconds(record.finished_at.0 - record.accepted_at.0));
            }
            Disposition::Temporary => {
                self.deferred.get_or_create(&class).inc();
            }
            Disposition::Permanent => {
                self.bounced.get_or_create(&class).inc();
            }
        }
    }

    pub(crate) fn count_connection_failure(&self, phase: Phase) {
        self.connections_failed.get_or_create(&[("phase", phase.as_str())]).inc();
    }

    pub(crate) fn count_handed_back(&self, mails: usize) {
        self.handed_back.inc_by(mails as u64);
    }

    pub(crate) fn count_commit(&self, succeeded: bool) {
        if succeeded {
            self.commits.inc()
        } else {
            self.commit_failures.inc()
        };
    }

    pub(crate) fn count_local_address_failures(&self, times: u64) {
        self.local_address_failures.inc_by(times);
    }

    /// Times that a local address could not be sent from so far.
    pub fn local_address_failures(&self) -> u64 {
        self.local_address_failures.get()
    }

    /// Mails delivered so far.
    pub fn delivered(&self) -> u64 {
        self.delivered.get()
    }

    /// Attempts that have come to their end, committed or not.
    pub fn attempts_ended(&self) -> u64 {
        self.attempts_ended.get()
    }

    /// Connections made so far.
    pub fn connections_opened(&self) -> u64 {
        self.connections_opened.get()
    }
}
