//! The badges of accounts and packages, and a package's parts, the same on every page.

use indicia_domain::{
    account::AccountStatus,
    ledger::package::{Package, PackageStatus},
    time::UnixMicros,
};

use crate::{
    charts::{Ink, Segment},
    components::{Badge, Tone},
};

/// R16: the status of a package in words.
pub fn package_badge(status: PackageStatus) -> Badge {
    match status {
        PackageStatus::Upcoming => Badge::new(Tone::Info, "Upcoming"),
        PackageStatus::Available => Badge::new(Tone::Good, "Available"),
        PackageStatus::UsedUp => Badge::new(Tone::Neutral, "Used up"),
        PackageStatus::Expired => Badge::new(Tone::Neutral, "Expired"),
        PackageStatus::Refunded => Badge::new(Tone::Neutral, "Refunded"),
        PackageStatus::Upgraded => Badge::new(Tone::Neutral, "Upgraded"),
    }
}

/// R25: a package's four parts at `at`, which add up to what was granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    pub remaining: i64,
    pub consumed: i64,
    pub lapsed: i64,
    pub refunded: i64,
}

impl Parts {
    pub fn of(package: &Package, at: UnixMicros) -> Self {
        Self {
            remaining: package.usable_at(at),
            consumed: package.consumed(),
            lapsed: package.lapsed_at(at),
            refunded: package.refunded(),
        }
    }

    pub fn plus(self, other: Self) -> Self {
        Self {
            remaining: self.remaining.saturating_add(other.remaining),
            consumed: self.consumed.saturating_add(other.consumed),
            lapsed: self.lapsed.saturating_add(other.lapsed),
            refunded: self.refunded.saturating_add(other.refunded),
        }
    }

    /// As parts of a bar; those that seldom occur only when they do.
    pub fn segments(self) -> Vec<Segment> {
        let mut segments = vec![
            Segment::new("Remaining", self.remaining, Ink::Good),
            Segment::new("Used", self.consumed, Ink::Used),
        ];
        if self.lapsed > 0 {
            segments.push(Segment::new("Lapsed", self.lapsed, Ink::Gone));
        }
        if self.refunded > 0 {
            segments.push(Segment::new("Given back", self.refunded, Ink::Returned));
        }
        segments
    }
}

/// What keeps an account from sending, in words.
pub fn account_badge(status: AccountStatus) -> Badge {
    if status.has(AccountStatus::DELETED) {
        Badge::new(Tone::Neutral, "Deleted")
    } else if status.has(AccountStatus::FROZEN) {
        Badge::new(Tone::Bad, "Frozen")
    } else if status.has(AccountStatus::RESTRICTED) {
        Badge::new(Tone::Bad, "Restricted")
    } else if status.has(AccountStatus::OVERDUE) {
        Badge::new(Tone::Bad, "Overdue")
    } else {
        Badge::new(Tone::Good, "Active")
    }
}

#[cfg(test)]
mod tests {
    use indicia_domain::ledger::package::Closed;

    use super::*;

    #[test]
    fn r25_the_parts_add_up_to_what_was_granted() {
        let package = Package {
            instance_id: "DMBAG-1".into(),
            granted: 100,
            remaining: 30,
            purchased_at: UnixMicros(0),
            starts_at: UnixMicros(0),
            ends_at: UnixMicros(10),
            closed: None,
        };
        let sum = |parts: Parts| parts.remaining + parts.consumed + parts.lapsed + parts.refunded;
        for at in [0, 9, 10, 11] {
            assert_eq!(sum(Parts::of(&package, UnixMicros(at))), 100, "{at}");
        }
        assert_eq!(Parts::of(&package, UnixMicros(10)).lapsed, 30);
        let refunded = Package { closed: Some(Closed::Refund), remaining: 0, ..package };
        assert_eq!(sum(Parts::of(&refunded, UnixMicros(5))), 100);
    }

    #[test]
    fn the_gravest_status_is_shown() {
        let label = |bits| account_badge(AccountStatus(bits)).label;
        assert_eq!(
            (label(0).as_str(), label(2).as_str(), label(3).as_str()),
            ("Active", "Overdue", "Frozen")
        );
        assert_eq!(label(15), "Deleted");
    }
}
