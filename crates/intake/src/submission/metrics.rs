//! What is counted about submissions, besides their connections.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct LoginLabels {
    pub result: &'static str,
}

#[derive(Clone, Debug, Default)]
pub(super) struct SubmissionMetrics {
    pub(super) messages: Counter,
    pub(super) recipients: Counter,
    pub(super) octets: Counter,
    logins: Family<LoginLabels, Counter>,
}

impl SubmissionMetrics {
    /// Puts the metrics into `registry`, which already has the service's prefix.
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("messages", "Messages answered with 250", self.messages.clone());
        registry.register("recipients", "Recipients of those messages, each once", self.recipients.clone());
        registry.register("content_bytes", "Octets of their content", self.octets.clone());
        registry.register("logins", "Logins by result", self.logins.clone());
    }

    pub(super) fn login(&self, result: &'static str) {
        self.logins.get_or_create(&LoginLabels { result }).inc();
    }
}
