//! What is counted about payment webhooks.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Labels of a received event: `outcome` is `booked`, `repeated`, `noted`, `ignored` or the error's code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EventLabels {
    pub provider: &'static str,
    pub outcome: &'static str,
}

/// Counters of payment webhooks. Cheap to clone; all clones count together.
#[derive(Clone, Debug, Default)]
pub struct PaymentMetrics {
    events: Family<EventLabels, Counter>,
}

impl PaymentMetrics {
    /// Puts the metrics under their names into `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "indicia_payment_events",
            "Webhooks of payment providers by provider and outcome",
            self.events.clone(),
        );
    }

    /// Counts a webhook that was answered.
    pub fn answered(&self, provider: &'static str, outcome: &'static str) {
        self.events.get_or_create(&EventLabels { provider, outcome }).inc();
    }

    /// How many webhooks of `provider` ended with `outcome`.
    pub fn count(&self, provider: &'static str, outcome: &'static str) -> u64 {
        self.events.get_or_create(&EventLabels { provider, outcome }).get()
    }
}
