//! One share against the lines that are drawn through it: how far it has come, how far it surely has, and what lies
//! beyond each line. Left is good, right is bad, for every measure alike.
//!
//! Lengths are percentages of the picture's width, so that it stretches with the page while its letters keep
//! their size.

use std::fmt;

use askama::filters::HtmlSafe;
use indicia_domain::quota::rate::Ppm;

use super::escape;
use crate::components::Tone;

/// A line closer to the one before than this part of the width has its words one row lower.
const CROWDED: i64 = 240_000;
const TRACK_TOP: i64 = 8;
const TRACK_HEIGHT: i64 = 16;
/// Baseline of the first row of words below a line.
const WORDS_TOP: i64 = 41;
const ROW_HEIGHT: i64 = 30;

/// What lies to the right of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// Not good enough for more.
    Keep,
    Lower,
    Pause,
}

impl Zone {
    fn class(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Lower => "lower",
            Self::Pause => "pause",
        }
    }
}

/// A line and what begins there.
#[derive(Clone, Debug)]
pub struct Mark {
    pub at: Ppm,
    pub zone: Zone,
    /// The figure as the reader knows it: `2 %`.
    pub figure: String,
    /// `for more`
    pub words: &'static str,
}

/// A share of mails against its lines.
#[derive(Clone, Debug)]
pub struct Gauge {
    pub title: String,
    /// The figures in words, for those who do not see the picture.
    pub description: String,
    pub share: Ppm,
    /// What the share surely exceeds; `None` draws no mark.
    pub bound: Option<Ppm>,
    pub tone: Tone,
    /// Ascending.
    pub marks: Vec<Mark>,
}

impl Gauge {
    /// What the whole width stands for: a quarter more than the last line, or more where the share is beyond.
    fn scale(&self) -> i64 {
        let last = self.marks.last().map_or(0, |mark| mark.at.0 / 4 * 5);
        let beyond = self.share.0 + self.share.0 / 10;
        last.max(beyond).clamp(1, Ppm::ALL.0.max(last))
    }

    fn write_zones(&self, out: &mut fmt::Formatter<'_>, scale: i64) -> fmt::Result {
        write!(
            out,
            r#"<rect class="zone-good" x="0" y="{TRACK_TOP}" width="100%" height="{TRACK_HEIGHT}"/>"#
        )?;
        for (index, mark) in self.marks.iter().enumerate() {
            let from = place(mark.at.0, scale);
            let to = self.marks.get(index + 1).map_or(1_000_000, |next| place(next.at.0, scale));
            write!(
                out,
                r#"<rect class="zone-{}" x="{}" y="{TRACK_TOP}" width="{}" height="{TRACK_HEIGHT}"/>"#,
                mark.zone.class(),
                percentage(from),
                percentage((to - from).max(0))
            )?;
        }
        Ok(())
    }

    fn write_marks(&self, out: &mut fmt::Formatter<'_>, scale: i64) -> fmt::Result {
        let rows = self.rows(scale);
        for (mark, row) in self.marks.iter().zip(rows) {
            let x = percentage(place(mark.at.0, scale));
            let (figure_y, words_y) = (WORDS_TOP + row * ROW_HEIGHT, WORDS_TOP + 14 + row * ROW_HEIGHT);
            write!(
                out,
                r#"<line class="mark" x1="{x}" x2="{x}" y1="{}" y2="{}"/><text class="mark-figure" x="{x}" y="{figure_y}" text-anchor="middle">{}</text><text class="mark-words" x="{x}" y="{words_y}" text-anchor="middle">{}</text>"#,
                TRACK_TOP - 3,
                TRACK_TOP + TRACK_HEIGHT + 4,
                escape(&mark.figure),
                escape(mark.words)
            )?;
        }
        Ok(())
    }

    /// In which row each line's words stand.
    fn rows(&self, scale: i64) -> Vec<i64> {
        let mut rows: Vec<i64> = Vec::with_capacity(self.marks.len());
        for (index, mark) in self.marks.iter().enumerate() {
            let crowded = index > 0
                && place(mark.at.0, scale) - place(self.marks[index - 1].at.0, scale) < CROWDED
                && rows[index - 1] == 0;
            rows.push(i64::from(crowded));
        }
        rows
    }
}

/// Millionths of the width.
fn place(share: i64, scale: i64) -> i64 {
    let exact = i128::from(share.max(0)) * 1_000_000 / i128::from(scale.max(1));
    i64::try_from(exact).unwrap_or(1_000_000).min(1_000_000)
}

/// Millionths as a percentage with two decimals.
pub(super) fn percentage(millionths: i64) -> String {
    format!("{}.{:02}%", millionths / 10_000, millionths % 10_000 / 100)
}

impl fmt::Display for Gauge {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = self.scale();
        let rows = self.rows(scale).into_iter().max().unwrap_or(0);
        let height = WORDS_TOP + 20 + rows * ROW_HEIGHT;
        write!(
            out,
            r#"<svg class="gauge" width="100%" height="{height}" role="img"><title>{}</title><desc>{}</desc>"#,
            escape(&self.title),
            escape(&self.description)
        )?;
        self.write_zones(out, scale)?;
        let filled = place(self.share.0, scale);
        if filled > 0 {
            // One mail in a million is seen all the same.
            write!(
                out,
                r#"<rect class="gauge-{}" x="0" y="{}" width="{}" height="{}"/>"#,
                self.tone.class(),
                TRACK_TOP + 4,
                percentage(filled.max(4_000)),
                TRACK_HEIGHT - 8
            )?;
        }
        self.write_marks(out, scale)?;
        if let Some(bound) = self.bound.filter(|bound| bound.0 > 0) {
            let x = percentage(place(bound.0, scale));
            write!(
                out,
                r#"<line class="gauge-bound" x1="{x}" x2="{x}" y1="{}" y2="{}"/>"#,
                TRACK_TOP,
                TRACK_TOP + TRACK_HEIGHT
            )?;
        }
        out.write_str("</svg>")
    }
}

impl HtmlSafe for Gauge {}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge(share: i64, lines: &[(i64, Zone)]) -> Gauge {
        let mark = |(at, zone): &(i64, Zone)| Mark {
            at: Ppm(*at),
            zone: *zone,
            figure: Ppm(*at).to_string(),
            words: "lowers",
        };
        Gauge {
            title: "Invalid <addresses>".into(),
            description: "1 of 100".into(),
            share: Ppm(share),
            bound: Some(Ppm(share / 2)),
            tone: Tone::Warn,
            marks: lines.iter().map(mark).collect(),
        }
    }

    #[test]
    fn r21_lines_and_share_stand_in_proportion() {
        let lines = [(20_000, Zone::Keep), (50_000, Zone::Lower), (100_000, Zone::Pause)];
        let html = gauge(25_000, &lines).to_string();
        assert!(html.contains(r#"<rect class="zone-pause" x="80.00%" y="8" width="20.00%""#), "{html}");
        assert!(html.contains(r#"<rect class="gauge-warn" x="0" y="12" width="20.00%""#), "{html}");
        assert!(html.contains(r#"<line class="gauge-bound" x1="10.00%""#), "{html}");
        assert!(html.contains("Invalid &lt;addresses&gt;") && html.contains("<desc>1 of 100</desc>"));
    }

    #[test]
    fn a_share_beyond_the_last_line_is_still_inside_the_picture() {
        let far = gauge(900_000, &[(20_000, Zone::Keep), (100_000, Zone::Pause)]);
        assert_eq!(far.scale(), 990_000);
        assert!(place(far.share.0, far.scale()) <= 1_000_000);
        assert!(place(1_000_000, gauge(1_000_000, &[]).scale()) == 1_000_000);
        assert!(!gauge(0, &[]).to_string().contains("gauge-warn"), "nothing is drawn for nothing");
    }

    #[test]
    fn words_of_lines_that_stand_close_do_not_run_into_each_other() {
        let close = gauge(0, &[(10_000, Zone::Keep), (11_000, Zone::Lower), (100_000, Zone::Pause)]);
        assert_eq!(close.rows(close.scale()), [0, 1, 0]);
        let wide = gauge(0, &[(20_000, Zone::Keep), (50_000, Zone::Lower), (100_000, Zone::Pause)]);
        assert_eq!(wide.rows(wide.scale()), [0, 0, 0]);
    }
}
