//! A resource package: mails paid for in advance, good for a time.

use std::str::FromStr;

use super::UnknownName;
use crate::time::UnixMicros;

/// One instance of a package, as bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// `DMBAG-…`
    pub instance_id: String,
    /// Mails at the start.
    pub granted: i64,
    /// Mails not yet consumed; none once it is given back. From the end instant on they are lapsed and pay for nothing.
    pub remaining: i64,
    pub purchased_at: UnixMicros,
    /// Validity `[starts_at, ends_at)`, computed once at the purchase (R08).
    pub starts_at: UnixMicros,
    pub ends_at: UnixMicros,
    /// Given back (then nothing remains), and how.
    pub closed: Option<Closed>,
}

/// How an untouched package was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Closed {
    /// Its price was paid back (R12).
    Refund,
    /// It was exchanged for a larger one.
    Upgrade,
}

impl Closed {
    pub fn as_str(self) -> &'static str {
        match self {
            Closed::Refund => "refund",
            Closed::Upgrade => "upgrade",
        }
    }
}

impl FromStr for Closed {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        match text {
            "refund" => Ok(Closed::Refund),
            "upgrade" => Ok(Closed::Upgrade),
            _ => Err(UnknownName(text.to_owned())),
        }
    }
}

/// What a package is at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PackageStatus {
    /// Paid for, its validity still to come.
    Upcoming,
    Available,
    /// In its validity with nothing left.
    UsedUp,
    Expired,
    Refunded,
    /// Exchanged for a larger one.
    Upgraded,
}

impl PackageStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            PackageStatus::Upcoming => "Upcoming",
            PackageStatus::Available => "Available",
            PackageStatus::UsedUp => "UsedUp",
            PackageStatus::Expired => "Expired",
            PackageStatus::Refunded => "Refunded",
            PackageStatus::Upgraded => "Upgraded",
        }
    }
}

impl Package {
    /// R09: whether it can pay is decided by the acceptance instant alone; at the end instant it no longer does.
    pub fn is_valid_at(&self, at: UnixMicros) -> bool {
        self.closed.is_none() && self.starts_at <= at && at < self.ends_at
    }

    /// R13: the mails that lapsed at its end.
    pub fn lapsed_at(&self, at: UnixMicros) -> i64 {
        if self.closed.is_none() && at >= self.ends_at { self.remaining } else { 0 }
    }

    /// What can still be used at `at`.
    pub fn usable_at(&self, at: UnixMicros) -> i64 {
        if self.closed.is_some() || at >= self.ends_at { 0 } else { self.remaining }
    }

    pub fn consumed(&self) -> i64 {
        if self.closed.is_some() { 0 } else { self.granted - self.remaining }
    }

    /// Mails given back with it (R12, R25: granted = remaining + consumed + lapsed + refunded).
    pub fn refunded(&self) -> i64 {
        if self.closed.is_some() { self.granted } else { 0 }
    }

    pub fn status_at(&self, at: UnixMicros) -> PackageStatus {
        if let Some(closed) = self.closed {
            match closed {
                Closed::Refund => PackageStatus::Refunded,
                Closed::Upgrade => PackageStatus::Upgraded,
            }
        } else if at >= self.ends_at {
            PackageStatus::Expired
        } else if at < self.starts_at {
            PackageStatus::Upcoming
        } else if self.remaining == 0 {
            PackageStatus::UsedUp
        } else {
            PackageStatus::Available
        }
    }

    /// R05: earliest end first, then the earlier purchase, then the smaller instance id.
    pub fn paying_order(&self) -> (UnixMicros, UnixMicros, &str) {
        (self.ends_at, self.purchased_at, &self.instance_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(remaining: i64) -> Package {
        Package {
            instance_id: "DMBAG-1".into(),
            granted: 100,
            remaining,
            purchased_at: UnixMicros(50),
            starts_at: UnixMicros(100),
            ends_at: UnixMicros(200),
            closed: None,
        }
    }

    #[test]
    fn r09_half_open_to_the_microsecond() {
        let package = package(10);
        for (at, valid) in [(99, false), (100, true), (199, true), (200, false)] {
            assert_eq!(package.is_valid_at(UnixMicros(at)), valid, "{at}");
        }
    }

    #[test]
    fn r13_what_is_left_lapses_at_the_end_and_not_before() {
        let package = package(10);
        assert_eq!((package.lapsed_at(UnixMicros(199)), package.usable_at(UnixMicros(199))), (0, 10));
        assert_eq!((package.lapsed_at(UnixMicros(200)), package.usable_at(UnixMicros(200))), (10, 0));
    }

    #[test]
    fn r16_status_by_instant() {
        let cases = [
            (package(10), 99, PackageStatus::Upcoming),
            (package(10), 100, PackageStatus::Available),
            (package(0), 150, PackageStatus::UsedUp),
            (package(0), 200, PackageStatus::Expired),
            (Package { closed: Some(Closed::Refund), ..package(0) }, 150, PackageStatus::Refunded),
            (Package { closed: Some(Closed::Upgrade), ..package(0) }, 150, PackageStatus::Upgraded),
        ];
        for (package, at, status) in cases {
            assert_eq!(package.status_at(UnixMicros(at)), status);
        }
    }
}
