//! R15: the low-balance alert as a number of mails.
//!
//! A threshold of 5, 10, 20 or 30 per cent becomes a [`floor`]: the most mails that may remain without being
//! above it. Whoever deducts compares with one integer; whoever changes the total computes the floor anew. An
//! alert that has gone off has no floor ([`DISARMED`]) until the total grows.

use super::package::Package;
use crate::time::UnixMicros;

/// The thresholds that can be chosen; 0 is off.
pub const PERCENTS: [i64; 4] = [5, 10, 20, 30];

/// The floor of an alert that is off or has gone off.
pub const DISARMED: i64 = -1;

/// What remains, and of how much, in the packages that are in their validity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    pub remaining: i64,
    pub granted: i64,
}

/// The total of the packages that are valid at `at`, used-up ones included.
pub fn total<'a>(packages: impl IntoIterator<Item = &'a Package>, at: UnixMicros) -> Total {
    packages.into_iter().filter(|package| package.is_valid_at(at)).fold(Total::default(), |sum, package| {
        Total { remaining: sum.remaining + package.remaining, granted: sum.granted + package.granted }
    })
}

/// The remaining mails at which, or below which, an alert of `percent` goes off; [`DISARMED`] when it is off or
/// there is nothing to run out of.
pub fn floor(percent: i64, granted: i64) -> i64 {
    if percent <= 0 || granted <= 0 {
        return DISARMED;
    }
    i64::try_from(i128::from(percent) * i128::from(granted) / 100).unwrap_or(i64::MAX)
}

/// An alert after the total has changed other than by a deduction.
///
/// `grew`: the total became larger, which arms it again. Otherwise one that has gone off stays silent.
pub fn rearmed(percent: i64, floor_before: i64, granted: i64, grew: bool) -> i64 {
    if grew || floor_before != DISARMED { floor(percent, granted) } else { DISARMED }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r15_equal_or_lower_goes_off() {
        assert_eq!(floor(5, 50_000), 2_500);
        assert_eq!(floor(10, 999), 99, "99 of 999 is less than 10 %, 100 is more");
        assert_eq!(floor(30, 3), 0, "only nothing is at most 30 % of three");
    }

    #[test]
    fn r15_off_and_without_packages_never_goes_off() {
        assert_eq!(floor(0, 50_000), DISARMED);
        assert_eq!(floor(20, 0), DISARMED);
    }

    #[test]
    fn r15_armed_again_only_when_the_total_grows() {
        assert_eq!(rearmed(10, DISARMED, 100_000, false), DISARMED);
        assert_eq!(rearmed(10, DISARMED, 100_000, true), 10_000);
        assert_eq!(rearmed(10, 10_000, 50_000, false), 5_000, "an end moves the floor of an armed one");
    }
}
