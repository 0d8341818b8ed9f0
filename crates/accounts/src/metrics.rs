//! What the jobs count, for Prometheus.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use indicia_domain::notice::{Channel, NoticeKind};
use indicia_domain::quota::review::Action;
use indicia_store::quota::{BrakeRound, ReviewRound};
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
    reviews: Family<[(&'static str, &'static str); 1], Counter>,
    reviews_failed: Counter,
    /// How long the last round took.
    review_seconds: Gauge<f64, AtomicU64>,
    brake_rounds: Counter,
    brake_looks: Counter,
    brake_pauses: Counter,
    brake_seconds: Gauge<f64, AtomicU64>,
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
        metrics.register_reputation(part);
        metrics
    }

    fn register_reputation(&self, part: &mut Registry) {
        part.register("quota_reviews", "Weekly reviews of accounts, by action", self.reviews.clone());
        part.register(
            "quota_reviews_failed",
            "Reviews that failed and are tried again",
            self.reviews_failed.clone(),
        );
        part.register(
            "quota_review_round_seconds",
            "How long the last round of reviews took",
            self.review_seconds.clone(),
        );
        part.register("quota_brake_rounds", "Rounds of the brake", self.brake_rounds.clone());
        part.register("quota_brake_looks", "Accounts that the brake looked at", self.brake_looks.clone());
        part.register("quota_brake_pauses", "Accounts that the brake paused", self.brake_pauses.clone());
        part.register(
            "quota_brake_round_seconds",
            "How long the last round of the brake took",
            self.brake_seconds.clone(),
        );
    }

    pub(crate) fn count_reviews(&self, round: &ReviewRound, took: Duration) {
        let ReviewRound { reviews, raised, lowered, paused, released, failed } = *round;
        let kept = reviews.saturating_sub(raised + lowered + paused + released);
        for (action, count) in [
            (Action::Raise, raised),
            (Action::Lower, lowered),
            (Action::Keep, kept),
            (Action::Pause, paused),
            (Action::Release, released),
        ] {
            self.reviews.get_or_create(&[("action", action.as_str())]).inc_by(count);
        }
        self.reviews_failed.inc_by(failed);
        self.review_seconds.set(took.as_secs_f64());
    }

    pub(crate) fn count_brake(&self, round: &BrakeRound, took: Duration) {
        self.brake_rounds.inc();
        self.brake_looks.inc_by(round.looked_at);
        self.brake_pauses.inc_by(round.paused);
        self.brake_seconds.set(took.as_secs_f64());
    }

    /// Reviews so far with one outcome.
    pub fn reviews(&self, action: Action) -> u64 {
        self.reviews.get_or_create(&[("action", action.as_str())]).get()
    }

    /// Accounts that the brake has paused so far.
    pub fn brake_pauses(&self) -> u64 {
        self.brake_pauses.get()
    }

    pub(crate) fn count_notice(&self, kind: NoticeKind, channel: Channel) {
        self.notices.get_or_create(&[("kind", kind.as_str()), ("channel", channel.as_str())]).inc();
    }

    /// Messages made so far of one kind over one channel.
    pub fn notices(&self, kind: NoticeKind, channel: Channel) -> u64 {
        self.notices.get_or_create(&[("kind", kind.as_str()), ("channel", channel.as_str())]).get()
    }
}
