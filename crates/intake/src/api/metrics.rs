//! What is counted about API calls.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Labels of a finished call. `action` is `unknown` for names that no API has, so that callers cannot make labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CallLabels {
    pub action: String,
    /// `OK` or the error's code.
    pub code: String,
}

/// Counters of the API. Cheap to clone; all clones count together.
#[derive(Clone, Debug)]
pub struct ApiMetrics {
    calls: Family<CallLabels, Counter>,
    duration_seconds: Histogram,
}

impl Default for ApiMetrics {
    fn default() -> Self {
        ApiMetrics {
            calls: Family::default(),
            duration_seconds: Histogram::new(exponential_buckets(0.000_5, 2.0, 16)),
        }
    }
}

impl ApiMetrics {
    /// Puts the metrics under their names into `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("indicia_api_calls", "API calls by action and code", self.calls.clone());
        registry.register(
            "indicia_api_call_duration_seconds",
            "Seconds from the whole request to its answer",
            self.duration_seconds.clone(),
        );
    }

    /// Counts a finished call.
    pub fn finished(&self, action: &str, code: &str, seconds: f64) {
        let labels = CallLabels { action: action.to_owned(), code: code.to_owned() };
        self.calls.get_or_create(&labels).inc();
        self.duration_seconds.observe(seconds);
    }

    /// How many calls of `action` ended with `code`.
    pub fn count(&self, action: &str, code: &str) -> u64 {
        let labels = CallLabels { action: action.to_owned(), code: code.to_owned() };
        self.calls.get_or_create(&labels).get()
    }
}
