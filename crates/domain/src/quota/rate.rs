//! Shares, and when one is past a line beyond chance.
//!
//! Of `n` mails `x` went wrong. Whether the true share is past a line `p` is judged by the lower end of Wilson's
//! interval. It is the score test turned round: the end is past the line exactly when `x/n > p` and
//! `(x/n - p)² >= z² p (1 - p) / n`. Unlike the textbook interval (Wald), whose width is estimated from `x/n`
//! itself, it holds its level at small counts and small shares, which is where complaints live; unlike the exact
//! binomial one (Clopper-Pearson) it is not wider than it says. And it needs whole numbers only, so every node and
//! every replay decides alike, at the line itself too.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Parts in a million: 1 % is 10,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ppm(pub i64);

/// All of it.
const WHOLE: i64 = 1_000_000;

impl Ppm {
    pub const ALL: Ppm = Ppm(WHOLE);

    pub const fn percent(percent: i64) -> Ppm {
        Ppm(percent * 10_000)
    }

    /// What is missing to all.
    pub fn rest(self) -> Ppm {
        Ppm(WHOLE - self.0)
    }

    /// As a number between 0 and 1, for pictures.
    pub fn as_fraction(self) -> f64 {
        self.0 as f64 / WHOLE as f64
    }
}

/// `0.3 %`, `12 %`, `0.05 %`: in per cent, without needless zeros.
impl fmt::Display for Ppm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 10_000, (self.0 % 10_000).abs());
        match part {
            0 => write!(f, "{whole} %"),
            part => {
                let digits = format!("{part:04}");
                write!(f, "{whole}.{} %", digits.trim_end_matches('0'))
            }
        }
    }
}

/// How sure a bound is, one-sided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    Percent90,
    #[default]
    Percent95,
    Percent97_5,
    Percent99,
    Percent99_9,
}

impl Confidence {
    pub const ALL: [Confidence; 5] = [
        Confidence::Percent90,
        Confidence::Percent95,
        Confidence::Percent97_5,
        Confidence::Percent99,
        Confidence::Percent99_9,
    ];

    /// In thousandths: 950 for 95 %.
    pub fn permille(self) -> i64 {
        match self {
            Confidence::Percent90 => 900,
            Confidence::Percent95 => 950,
            Confidence::Percent97_5 => 975,
            Confidence::Percent99 => 990,
            Confidence::Percent99_9 => 999,
        }
    }

    /// The square of the normal quantile, in millionths.
    fn z_squared(self) -> i64 {
        match self {
            Confidence::Percent90 => 1_642_375,
            Confidence::Percent95 => 2_705_543,
            Confidence::Percent97_5 => 3_841_459,
            Confidence::Percent99 => 5_411_894,
            Confidence::Percent99_9 => 9_549_535,
        }
    }
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    pub events: i64,
    pub out_of: i64,
}

impl Rate {
    pub fn new(events: i64, out_of: i64) -> Rate {
        // Reports may be about mails of before: a share is never more than all.
        let out_of = out_of.max(events).max(0);
        Rate { events: events.max(0), out_of }
    }

    /// As counted, rounded down. Nothing of nothing is none.
    pub fn share(self) -> Ppm {
        match self.out_of {
            0 => Ppm(0),
            out_of => Ppm((i128::from(self.events) * i128::from(WHOLE) / i128::from(out_of)) as i64),
        }
    }

    /// Whether the share as counted reaches the line.
    pub fn reaches(self, line: Ppm) -> bool {
        self.out_of > 0
            && i128::from(self.events) * i128::from(WHOLE) >= i128::from(self.out_of) * i128::from(line.0)
    }

    /// Whether the share is past the line beyond chance: the lower end of Wilson's interval reaches it.
    pub fn is_past(self, line: Ppm, confidence: Confidence) -> bool {
        if !self.reaches(line) {
            return false;
        }
        let (events, out_of, line) = (i128::from(self.events), i128::from(self.out_of), i128::from(line.0));
        let whole = i128::from(WHOLE);
        let over = events * whole - out_of * line;
        // Both sides times a million: the quantile has six decimals.
        over * over * whole >= i128::from(confidence.z_squared()) * out_of * line * (whole - line)
    }

    /// The lower end of Wilson's interval: the largest line that the share [`is_past`](Rate::is_past).
    pub fn lower_bound(self, confidence: Confidence) -> Ppm {
        let (mut low, mut high) = (0, WHOLE);
        // By halving, so that what is shown and what is decided never differ.
        while low < high {
            let middle = (low + high + 1) / 2;
            match self.is_past(Ppm(middle), confidence) {
                true => low = middle,
                false => high = middle - 1,
            }
        }
        Ppm(low)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wilson(events: i64, out_of: i64, z: f64) -> f64 {
        let (n, p) = (out_of as f64, events as f64 / out_of as f64);
        let z2 = z * z;
        (p + z2 / (2.0 * n) - z * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt()) / (1.0 + z2 / n)
    }

    #[test]
    fn r21_the_bound_is_wilsons() {
        for (events, out_of) in [(3, 600), (20, 200), (27, 200), (60, 2_000), (1_000, 10_000_000), (200, 200)]
        {
            let bound = Rate::new(events, out_of).lower_bound(Confidence::Percent95).0 as f64 / 1e6;
            let expected = wilson(events, out_of, 1.644_853_627);
            assert!((bound - expected).abs() < 2e-6, "{events} of {out_of}: {bound} and not {expected}");
        }
    }

    #[test]
    fn r21_one_complaint_in_a_small_week_proves_nothing() {
        let line = Ppm(5_000);
        assert!(Rate::new(1, 150).reaches(line), "0.67 % as counted");
        assert!(!Rate::new(1, 150).is_past(line, Confidence::Percent95));
        assert!(Rate::new(30, 3_000).is_past(line, Confidence::Percent95));
    }

    #[test]
    fn shares_read_as_people_write_them() {
        let texts =
            [Ppm(0), Ppm(500), Ppm(3_000), Ppm(20_000), Ppm(123_456), Ppm::ALL].map(|ppm| ppm.to_string());
        assert_eq!(texts, ["0 %", "0.05 %", "0.3 %", "2 %", "12.3456 %", "100 %"]);
    }

    #[test]
    fn nothing_of_nothing_is_past_no_line() {
        assert_eq!(Rate::new(0, 0).share(), Ppm(0));
        assert!(!Rate::new(0, 0).reaches(Ppm(0)));
        assert_eq!(Rate::new(5, 2).share(), Ppm::ALL, "reports about mails of before");
    }

    proptest! {
        #[test]
        fn r21_fewer_events_or_more_mails_never_prove_more(
            out_of in 1i64..1_000_000_000, events in 0i64..1_000_000_000, line in 1i64..1_000_000, more in 0i64..1_000_000,
        ) {
            let rate = Rate::new(events.min(out_of), out_of);
            let better = [
                Rate::new(rate.events / 2, out_of), Rate::new((rate.events - 1).max(0), out_of), Rate::new(rate.events, out_of + more),
            ];
            for confidence in Confidence::ALL {
                for better in better {
                    prop_assert!(rate.is_past(Ppm(line), confidence) || !better.is_past(Ppm(line), confidence));
                }
            }
        }

        #[test]
        fn the_bound_is_below_the_share_and_surer_is_lower(out_of in 1i64..10_000_000, events in 0i64..10_000_000) {
            let rate = Rate::new(events.min(out_of), out_of);
            let bounds = Confidence::ALL.map(|confidence| rate.lower_bound(confidence));
            prop_assert!(bounds[0] <= rate.share());
            prop_assert!(bounds.windows(2).all(|pair| pair[0] >= pair[1]), "{bounds:?}");
        }
    }
}
