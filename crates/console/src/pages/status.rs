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
pub fn package_badge(package: &Package, at: UnixMicros) -> Badge {
    match package.status_at(at) {
        PackageStatus::Upcoming => Badge::new(Tone::Info, "Upcoming"),
        PackageStatus::Available => Badge::new(Tone::Good, "Available"),
        // Nothing is left and nothing was used: the operator took it.
        PackageStatus::UsedUp if package.consumed() == 0 => Badge::new(Tone::Neutral, "Emptied"),
        PackageStatus::UsedUp => Badge::new(Tone::Neutral, "Used up"),
        PackageStatus::Expired => Badge::new(Tone::Neutral, "Expired"),
        PackageStatus::Refunded => Badge::new(Tone::Neutral, "Refunded"),
        PackageStatus::Upgraded => Badge::new(Tone::Neutral, "Upgraded"),
    }
}

/// R25: a package's parts at `at`, which add up to what was granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Can be used at that instant.
    pub remaining: i64,
    /// Can be used when the validity has begun.
    pub upcoming: i64,
    pub consumed: i64,
    pub lapsed: i64,
    pub refunded: i64,
}

impl Parts {
    pub fn of(package: &Package, at: UnixMicros) -> Self {
        let usable = package.usable_at(at);
        let has_begun = package.starts_at <= at;
        Self {
            remaining: if has_begun { usable } else { 0 },
            upcoming: if has_begun { 0 } else { usable },
            consumed: package.consumed(),
            lapsed: package.lapsed_at(at),
            refunded: package.refunded(),
        }
    }

    pub fn plus(self, other: Self) -> Self {
        Self {
            remaining: self.remaining.saturating_add(other.remaining),
            upcoming: self.upcoming.saturating_add(other.upcoming),
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
        if self.upcoming > 0 {
            segments.push(Segment::new("Begins later", self.upcoming, Ink::Pending));
        }
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
        Badge::new(Tone::Bad, "Paused")
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
        let sum =
            |parts: Parts| parts.remaining + parts.upcoming + parts.consumed + parts.lapsed + parts.refunded;
        for at in [-1, 0, 9, 10, 11] {
            assert_eq!(sum(Parts::of(&package, UnixMicros(at))), 100, "{at}");
        }
        assert_eq!(Parts::of(&package, UnixMicros(10)).lapsed, 30);
        let before = Parts::of(&package, UnixMicros(-1));
        assert_eq!((before.remaining, before.upcoming), (0, 30), "what begins later is not left now");
        let refunded = Package { closed: Some(Closed::Refund), remaining: 0, ..package };
        assert_eq!(sum(Parts::of(&refunded, UnixMicros(5))), 100);
    }

    #[test]
    fn a_package_of_which_nothing_was_used_is_not_used_up() {
        let package = |granted| Package {
            instance_id: "DMBAG-1".into(),
            granted,
            remaining: 0,
            purchased_at: UnixMicros(0),
            starts_at: UnixMicros(0),
            ends_at: UnixMicros(10),
            closed: None,
        };
        assert_eq!(package_badge(&package(0), UnixMicros(5)).label, "Emptied");
        assert_eq!(package_badge(&package(1), UnixMicros(5)).label, "Used up");
        assert_eq!(package_badge(&package(0), UnixMicros(10)).label, "Expired");
    }

    #[test]
    fn the_gravest_status_is_shown() {
        let label = |bits| account_badge(AccountStatus(bits)).label;
        assert_eq!(
            (label(0).as_str(), label(2).as_str(), label(3).as_str()),
            ("Active", "Overdue", "Frozen")
        );
        assert_eq!((label(4).as_str(), label(6).as_str()), ("Paused", "Paused"));
        assert_eq!(label(15), "Deleted");
    }
}
