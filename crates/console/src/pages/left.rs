//! What is left in packages, in one meaning for every page: the mails that can be used now. Packages that begin later
//! are named apart, and what has ended or was given back is not left at all.

use indicia_domain::{ledger::package::Package, time::UnixMicros};

use crate::format;

/// What all packages of an account hold at an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Mails that can be used now, and in how many packages.
    pub now_mails: i64,
    pub now_packages: i64,
    /// Mails in packages whose validity has not begun, and in how many.
    pub later_mails: i64,
    pub later_packages: i64,
}

impl Left {
    pub fn of<'a>(packages: impl IntoIterator<Item = &'a Package>, now: UnixMicros) -> Self {
        let mut left = Self::default();
        for package in packages {
            let mails = package.usable_at(now);
            if mails == 0 {
                continue;
            }
            let (sum, count) = match package.is_valid_at(now) {
                true => (&mut left.now_mails, &mut left.now_packages),
                false => (&mut left.later_mails, &mut left.later_packages),
            };
            *sum = sum.saturating_add(mails);
            *count += 1;
        }
        left
    }

    /// The figure: `549,995`.
    pub fn now(&self) -> String {
        format::mails(self.now_mails)
    }

    /// `in 1 package that can pay now`, or that none can.
    pub fn where_now(&self) -> String {
        match self.now_packages {
            0 => "no package can pay now".into(),
            count => format!("in {} that can pay now", format::counted(count, "package")),
        }
    }

    /// `and 700,000 in 2 packages that begin later`; `None` where there is none.
    pub fn later(&self) -> Option<String> {
        (self.later_packages > 0).then(|| {
            format!(
                "and {} in {} that {} later",
                format::mails(self.later_mails),
                format::counted(self.later_packages, "package"),
                if self.later_packages == 1 { "begins" } else { "begin" }
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use indicia_domain::ledger::package::Closed;

    use super::*;

    fn package(remaining: i64, starts_at: i64, ends_at: i64, closed: Option<Closed>) -> Package {
        Package {
            instance_id: "DMBAG-1".into(),
            granted: 1_000,
            remaining,
            purchased_at: UnixMicros(0),
            starts_at: UnixMicros(starts_at),
            ends_at: UnixMicros(ends_at),
            closed,
        }
    }

    #[test]
    fn r09_r13_what_is_left_is_what_can_be_used_now_and_later_ones_are_named_apart() {
        let packages = [
            package(700, 0, 100, None),
            package(0, 0, 100, None),
            package(300, 0, 50, None),
            package(1_000, 51, 200, None),
            package(1_000, 100, 200, None),
            package(0, 0, 100, Some(Closed::Refund)),
        ];
        let left = Left::of(&packages, UnixMicros(50));
        assert_eq!((left.now_mails, left.now_packages), (700, 1));
        assert_eq!(left.where_now(), "in 1 package that can pay now");
        assert_eq!(left.later().as_deref(), Some("and 2,000 in 2 packages that begin later"));
        let one = Left::of(&packages, UnixMicros(51));
        assert_eq!(
            (one.now_mails, one.later().as_deref()),
            (1_700, Some("and 1,000 in 1 package that begins later"))
        );
        let none = Left::of(&packages, UnixMicros(200));
        assert_eq!((none, none.where_now().as_str()), (Left::default(), "no package can pay now"));
        assert_eq!(none.later(), None);
    }
}
