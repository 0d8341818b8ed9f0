//! A ring that is filled as far as something is used, with the figure in its middle.

use std::fmt;

use askama::filters::HtmlSafe;

use super::escape;
use crate::format;

const RADIUS: i64 = 50;
/// Circumference of the ring in its own units: pathLength makes the drawing count it so.
const ROUND: i64 = 1_000;

/// Used of a whole.
#[derive(Clone, Debug)]
pub struct Donut {
    pub title: String,
    /// In whole mails.
    pub used: i64,
    /// In whole mails; zero draws an empty ring.
    pub whole: i64,
    /// The word under the figure.
    pub caption: String,
}

impl Donut {
    fn filled(&self) -> i64 {
        if self.whole <= 0 || self.used <= 0 {
            return 0;
        }
        let exact = i128::from(self.used) * i128::from(ROUND) / i128::from(self.whole);
        i64::try_from(exact.clamp(4, i128::from(ROUND))).unwrap_or(ROUND)
    }

    fn level(&self) -> &'static str {
        match self.filled() {
            0..800 => "calm",
            800..1_000 => "near",
            _ => "full",
        }
    }
}

impl fmt::Display for Donut {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = format::percent(self.used, self.whole).unwrap_or_else(|| "none".into());
        write!(
            out,
            r#"<svg class="donut donut-{}" viewBox="0 0 120 120" width="120" height="120" role="img"><title>{}</title><desc>{} of {} used</desc><circle class="ring" cx="60" cy="60" r="{RADIUS}"/>"#,
            self.level(),
            escape(&self.title),
            format::mails(self.used),
            format::mails(self.whole),
        )?;
        let filled = self.filled();
        if filled > 0 {
            write!(
                out,
                r#"<circle class="ring-used" cx="60" cy="60" r="{RADIUS}" pathLength="{ROUND}" stroke-dasharray="{filled} {ROUND}" transform="rotate(-90 60 60)"/>"#
            )?;
        }
        write!(
            out,
            r#"<text class="donut-figure" x="60" y="60" text-anchor="middle">{}</text><text class="donut-caption" x="60" y="78" text-anchor="middle">{}</text></svg>"#,
            escape(&share),
            escape(&self.caption)
        )
    }
}

impl HtmlSafe for Donut {}

#[cfg(test)]
mod tests {
    use super::*;

    fn donut(used: i64, whole: i64) -> Donut {
        Donut { title: "Quota today".into(), used, whole, caption: "used".into() }
    }

    #[test]
    fn a_little_is_visible_and_too_much_is_full() {
        assert_eq!(donut(0, 2_000).filled(), 0);
        assert_eq!(donut(1, 100_000).filled(), 4);
        assert_eq!(donut(3_000, 2_000).filled(), ROUND);
        assert_eq!(donut(5, 0).filled(), 0);
        assert_eq!((donut(2_000, 2_000).level(), donut(1_700, 2_000).level()), ("full", "near"));
    }

    #[test]
    fn the_ring_says_its_figures() {
        insta::assert_snapshot!("donut", donut(500, 2_000).to_string());
    }
}
