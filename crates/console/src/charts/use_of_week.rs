//! The seven days of a week, each filled as far as its quota was used, with the line from which a day counts as full.

use std::fmt;

use askama::filters::HtmlSafe;
use indicia_domain::quota::{
    evidence::DayUse,
    rate::{Ppm, Rate},
};

use super::{escape, gauge::percentage};
use crate::format;

const DAYS: i64 = 7;
const SLOT: i64 = 1_000_000 / DAYS;
const COLUMN: i64 = 90_000;
const TOP: i64 = 6;
const HEIGHT: i64 = 72;
const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Use of the quota, day by day; those that are still to come are missing at the end.
#[derive(Clone, Debug)]
pub struct UseOfWeek {
    pub days: Vec<DayUse>,
    /// From this share on a day is full.
    pub full_use: Ppm,
}

impl UseOfWeek {
    fn is_full(&self, day: &DayUse) -> bool {
        day.quota > 0 && Rate::new(day.used, day.quota).reaches(self.full_use)
    }

    fn description(&self) -> String {
        let day = |(name, day): (&&str, &DayUse)| {
            format!("{name} {} of {}", format::mails(day.used), format::mails(day.quota))
        };
        let said: Vec<String> = NAMES.iter().zip(&self.days).map(day).collect();
        if said.is_empty() { "No day has begun".to_owned() } else { said.join("; ") }
    }
}

/// How high a day's column is filled; anything used is seen.
fn filled(day: &DayUse) -> i64 {
    if day.used <= 0 || day.quota <= 0 {
        return 0;
    }
    let exact = i128::from(day.used) * i128::from(HEIGHT) / i128::from(day.quota);
    i64::try_from(exact.clamp(2, i128::from(HEIGHT))).unwrap_or(HEIGHT)
}

impl fmt::Display for UseOfWeek {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            r#"<svg class="use-of-week" width="100%" height="{}" role="img"><title>Use of the daily quota this week</title><desc>{}</desc>"#,
            TOP + HEIGHT + 34,
            escape(&self.description())
        )?;
        for (index, name) in NAMES.iter().enumerate() {
            let slot = index as i64 * SLOT;
            let (left, middle) = (percentage(slot + (SLOT - COLUMN) / 2), percentage(slot + SLOT / 2));
            write!(
                out,
                r#"<rect class="day-quota" x="{left}" y="{TOP}" width="{}" height="{HEIGHT}"/>"#,
                percentage(COLUMN)
            )?;
            if let Some(day) = self.days.get(index) {
                let height = filled(day);
                let class = if self.is_full(day) { "day-full" } else { "day-used" };
                write!(
                    out,
                    r#"<rect class="{class}" x="{left}" y="{}" width="{}" height="{height}"/><text class="day-count" x="{middle}" y="{}" text-anchor="middle">{}</text>"#,
                    TOP + HEIGHT - height,
                    percentage(COLUMN),
                    TOP + HEIGHT + 30,
                    format::mails(day.used)
                )?;
            }
            write!(
                out,
                r#"<text class="day-name" x="{middle}" y="{}" text-anchor="middle">{name}</text>"#,
                TOP + HEIGHT + 15
            )?;
        }
        let line = TOP + HEIGHT - HEIGHT * self.full_use.0.clamp(0, Ppm::ALL.0) / Ppm::ALL.0;
        write!(out, r#"<line class="day-line" x1="0" x2="100%" y1="{line}" y2="{line}"/></svg>"#)
    }
}

impl HtmlSafe for UseOfWeek {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r21_a_full_day_is_seen_and_a_day_to_come_is_empty() {
        let use_of_week = UseOfWeek {
            days: vec![DayUse { used: 1_600, quota: 2_000 }, DayUse { used: 1, quota: 100_000 }],
            full_use: Ppm::percent(80),
        };
        let html = use_of_week.to_string();
        assert_eq!((html.matches("day-full").count(), html.matches("day-used").count()), (1, 1));
        assert_eq!(html.matches("day-quota").count(), 7);
        assert!(html.contains("<desc>Mon 1,600 of 2,000; Tue 1 of 100,000</desc>"), "{html}");
    }

    #[test]
    fn a_column_is_never_higher_than_its_quota() {
        for (used, quota, height) in [(0, 10, 0), (1, 1_000_000, 2), (30, 10, HEIGHT), (5, 0, 0)] {
            assert_eq!(filled(&DayUse { used, quota }), height, "{used} of {quota}");
        }
    }
}
