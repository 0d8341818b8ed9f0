//! What is counted about the operators' API.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// `outcome` is an item's (`counted`, `repeated` …), or the code of the error that a whole request was answered with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReportLabels {
    outcome: &'static str,
}

/// Counters of the operators' API. Cheap to clone; all clones count together.
#[derive(Clone, Debug, Default)]
pub struct OperatorMetrics {
    reports: Family<ReportLabels, Counter>,
}

impl OperatorMetrics {
    /// Puts the metrics under their names into `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "indicia_operator_spam_reports",
            "Spam reports that operators handed in, by outcome",
            self.reports.clone(),
        );
    }

    pub(super) fn count(&self, outcome: &'static str) {
        self.reports.get_or_create(&ReportLabels { outcome }).inc();
    }
}
