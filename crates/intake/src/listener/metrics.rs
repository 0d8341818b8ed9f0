//! What is counted about the connections of one SMTP service.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct CodeLabels {
    pub code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ReasonLabels {
    pub reason: &'static str,
}

/// Cheap to clone; all clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListenerMetrics {
    pub(crate) connections: Counter,
    pub(crate) open_connections: Gauge,
    pub(crate) turned_away: Family<ReasonLabels, Counter>,
    pub(crate) replies: Family<CodeLabels, Counter>,
}

impl ListenerMetrics {
    /// Puts the metrics into `registry`, which already has the service's prefix.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("connections", "Connections accepted", self.connections.clone());
        registry.register("open_connections", "Connections open now", self.open_connections.clone());
        registry.register(
            "connections_turned_away",
            "Connections refused or cut, by reason",
            self.turned_away.clone(),
        );
        registry.register(
            "negative_replies",
            "Replies that refused something, for now (4xx) or for good (5xx), by code",
            self.replies.clone(),
        );
    }

    pub(crate) fn turned_away(&self, reason: &'static str) {
        self.turned_away.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts the negative replies in what is about to be written: each once, by its last line.
    pub(crate) fn count_replies(&self, output: &[u8]) {
        for line in output.split(|octet| *octet == b'\n') {
            if let [first @ (b'4' | b'5'), second, third, b' ', ..] = line {
                let digit = |octet: &u8| u16::from(octet.wrapping_sub(b'0'));
                let code = digit(first) * 100 + digit(second) * 10 + digit(third);
                self.replies.get_or_create(&CodeLabels { code }).inc();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_once_each() {
        let metrics = ListenerMetrics::default();
        metrics.count_replies(
            b"250-x\r\n250 y\r\n550-5.1.1 a\r\n550 5.1.1 b\r\n354 go\r\n550 5.1.1 c\r\n451 d\r\n",
        );
        let count = |code| metrics.replies.get_or_create(&CodeLabels { code }).get();
        assert_eq!((count(550), count(451), count(250)), (2, 1, 0));
    }
}
