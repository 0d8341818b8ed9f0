//! Pictures as inline SVG, made on the server.
//!
//! Every picture carries a title and a description, and stands beside the same figures as text: the
//! picture is never the only way to a number. Colours come from classes in the style sheet, so that both
//! themes work; lengths are integers computed here, so that a slice that holds one mail is still visible
//! and one that holds none is not there at all.

mod columns;
mod donut;
mod gauge;
mod ladder;
mod stacked;
mod trend;
mod use_of_week;

pub use columns::{Column, Columns};
pub use donut::Donut;
pub use gauge::{Gauge, Mark, Zone};
pub use ladder::LadderPicture;
pub use stacked::{Segment, StackedBar};
pub use trend::{Trend, TrendLine, TrendPoint};
pub use use_of_week::UseOfWeek;

/// The role of a figure in a picture; the style sheet gives each its colour in both themes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// What is left, what arrived.
    Good,
    /// What has been used.
    Used,
    /// On its way.
    Pending,
    /// What failed.
    Bad,
    /// What lapsed or came to nothing.
    Gone,
    /// What was paid back.
    Returned,
}

impl Ink {
    /// The suffix of the CSS class.
    pub fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Used => "used",
            Self::Pending => "pending",
            Self::Bad => "bad",
            Self::Gone => "gone",
            Self::Returned => "returned",
        }
    }
}

/// Text made safe as the content of an element or as a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// Shares `width` out over `values` in their proportion, so that the parts add up to the width exactly and
/// every value above zero gets at least one unit where there is room for that.
pub(crate) fn share_out(values: &[i64], width: i64) -> Vec<i64> {
    let total: i128 = values.iter().map(|value| i128::from((*value).max(0))).sum();
    if total == 0 || width <= 0 {
        return vec![0; values.len()];
    }
    let mut parts: Vec<i64> = values
        .iter()
        .map(|value| {
            let exact = i128::from((*value).max(0)) * i128::from(width) / total;
            let visible = i128::from(*value > 0);
            i64::try_from(exact.max(visible)).unwrap_or(width)
        })
        .collect();
    // What rounding left over, or the minimum units took, comes out of the longest part, where it shows least.
    if let Some(longest) = (0..parts.len()).max_by_key(|index| parts[*index]) {
        let rest: i64 = parts.iter().sum();
        parts[longest] = (parts[longest] + width - rest).max(0);
    }
    parts
}

/// The smallest of 1, 2 or 5 times a power of ten that is not below `value`, at least 4.
pub(crate) fn round_up_for_axis(value: i64) -> i64 {
    if value <= 4 {
        return 4;
    }
    let mut power: i64 = 1;
    // Bounded: a power of ten overflows an i64 after 18 steps.
    for _ in 0..18 {
        for step in [1, 2, 4, 5] {
            if let Some(candidate) = power.checked_mul(step)
                && candidate >= value
            {
                return candidate;
            }
        }
        power = power.saturating_mul(10);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_and_one_mail_is_visible() {
        let parts = share_out(&[1, 999_999, 0], 1_000);
        assert_eq!(parts, vec![1, 999, 0]);
        assert_eq!(share_out(&[1, 1, 1], 1_000).iter().sum::<i64>(), 1_000);
        assert_eq!(share_out(&[0, 0], 1_000), vec![0, 0]);
        assert_eq!(share_out(&[i64::MAX, i64::MAX], 1_000), vec![500, 500]);
    }

    #[test]
    fn the_axis_ends_on_a_round_number() {
        for (value, end) in
            [(0, 4), (3, 4), (7, 10), (11, 20), (21, 40), (41, 50), (1_001, 2_000), (2_000, 2_000)]
        {
            assert_eq!(round_up_for_axis(value), end, "{value}");
        }
        assert!(round_up_for_axis(i64::MAX) >= i64::MAX - 1);
    }
}
