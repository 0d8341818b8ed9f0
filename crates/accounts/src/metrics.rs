//! What the jobs count, for Prometheus.

use indicia_domain::notice::{Channel, NoticeKind};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

type KindAndChannel = [(&'static str, &'static str); 2];

/// The metrics of one node's jobs. Clones share the same values.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub(crate) bills: Counter,
    pub(crate) settlements: Counter,
    pub(crate) overdue: Counter,
    notices: Family<KindAndChannel, Counter>,
    pub(crate) notices_skipped: Counter,
    /// How long the notice that has been due for longest waits.
    pub(crate) oldest_notice_seconds: Gauge,
    pub(crate) sms_taken: Counter,
    pub(crate) sms_deferred: Counter,
    pub(crate) sms_given_up: Counter,
}

impl Metrics {
    /// Metrics registered under `accounts_…` in `registry`.
    pub fn register(registry: &mut Registry) -> Metrics {
        let metrics = Metrics::default();
        let part = registry.sub_registry_with_prefix("accounts");
        part.register("bills", "Bills and adjustments made", metrics.bills.clone());
        part.register("settlements", "Collections that paid bills", metrics.settlements.clone());
        part.register("became_overdue", "Accounts that became overdue", metrics.overdue.clone());
        part.register("notices", "Messages with notices, by kind and channel", metrics.notices.clone());
        part.register(
            "notices_skipped",
            "Notices not worth saying any more, or without a way to say them",
            metrics.notices_skipped.clone(),
        );
        part.register(
            "notice_oldest_due_seconds",
            "How long the notice that has been due for longest waits",
            metrics.oldest_notice_seconds.clone(),
        );
        part.register("sms_taken", "Texts that the gateway has taken", metrics.sms_taken.clone());
        part.register("sms_deferred", "Tries of texts that failed for now", metrics.sms_deferred.clone());
        part.register("sms_given_up", "Texts given up", metrics.sms_given_up.clone());
        metrics
    }

    pub(crate) fn count_notice(&self, kind: NoticeKind, channel: Channel) {
        self.notices.get_or_create(&[("kind", kind.as_str()), ("channel", channel.as_str())]).inc();
    }

    /// Messages made so far of one kind over one channel.
    pub fn notices(&self, kind: NoticeKind, channel: Channel) -> u64 {
        self.notices.get_or_create(&[("kind", kind.as_str()), ("channel", channel.as_str())]).get()
    }
}
