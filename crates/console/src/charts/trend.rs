//! A share by day as a line, with the policy's lines across it. A day with few mails is a hollow point: its share may
//! be chance. A day without is left out.
//!
//! The points' places along the day are percentages, so the picture stretches; only the line between them
//! is drawn in a frame of its own that is stretched as a whole.

use std::fmt;

use askama::filters::HtmlSafe;
use indicia_domain::quota::rate::Ppm;

use super::{escape, gauge::percentage};

const HEIGHT: i64 = 120;
/// Above the topmost and below the lowest point, so that none is cut.
const MARGIN: i64 = 6;
/// A day with fewer mails than this is hollow.
pub const FEW_MAILS: i64 = 50;

/// One day's share.
#[derive(Clone, Debug)]
pub struct TrendPoint {
    pub share: Ppm,
    /// Of how many mails.
    pub out_of: i64,
    /// `11-22: 0.4 % (4 of 1,000)`
    pub words: String,
}

/// A line of the policy.
#[derive(Clone, Debug)]
pub struct TrendLine {
    pub at: Ppm,
    pub words: String,
    /// `good`, `warn` or `bad`.
    pub class: &'static str,
}

/// A share over time.
#[derive(Clone, Debug)]
pub struct Trend {
    pub title: String,
    /// A day without mail has none.
    pub points: Vec<Option<TrendPoint>>,
    pub lines: Vec<TrendLine>,
    pub labels: Vec<String>,
    /// Ends of the axis.
    pub from: Ppm,
    pub to: Ppm,
}

impl Trend {
    /// An axis from nothing to a little over the highest of lines and points.
    pub fn axis_from_zero(lines: &[TrendLine], points: &[Option<TrendPoint>]) -> (Ppm, Ppm) {
        let lines = lines.iter().map(|line| line.at.0 / 4 * 5);
        let points = points.iter().flatten().map(|point| point.share.0 / 10 * 11);
        let highest = lines.chain(points).max().unwrap_or(0);
        (Ppm(0), Ppm(super::round_up_for_axis(highest).min(Ppm::ALL.0)))
    }

    /// An axis that ends with all, and begins a little below the lowest of lines and points.
    pub fn axis_to_all(lines: &[TrendLine], points: &[Option<TrendPoint>]) -> (Ppm, Ppm) {
        const STEP: i64 = 100_000;
        let lines = lines.iter().map(|line| line.at.0 - STEP);
        let points = points.iter().flatten().map(|point| point.share.0);
        let lowest = lines.chain(points).min().unwrap_or(0);
        (Ppm((lowest / STEP * STEP).clamp(0, Ppm::ALL.0 - STEP)), Ppm::ALL)
    }

    fn y(&self, share: Ppm) -> i64 {
        let span = (self.to.0 - self.from.0).max(1);
        let up = (share.0 - self.from.0).clamp(0, span);
        HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * up / span
    }

    /// Millionths of the width.
    fn x(&self, index: usize) -> i64 {
        let count = self.points.len().max(1) as i64;
        1_000_000 * (2 * index as i64 + 1) / (2 * count)
    }

    fn description(&self) -> String {
        let known: Vec<&TrendPoint> = self.points.iter().flatten().collect();
        match known.last() {
            None => "No mail on these days".to_owned(),
            Some(last) => format!("{} days with mail; last {}", known.len(), last.words),
        }
    }

    fn write_lines(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            let y = self.y(line.at);
            write!(
                out,
                r#"<line class="trend-line-{}" x1="0" x2="100%" y1="{y}" y2="{y}"/><text class="trend-words" x="100%" y="{}" text-anchor="end">{}</text>"#,
                line.class,
                y - 3,
                escape(&line.words)
            )?;
        }
        Ok(())
    }

    fn write_points(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known =
            || self.points.iter().enumerate().filter_map(|(index, point)| Some((index, point.as_ref()?)));
        let path: Vec<String> = known()
            .map(|(index, point)| format!("{},{}", self.x(index) / 1_000, self.y(point.share)))
            .collect();
        if path.len() > 1 {
            write!(
                out,
                r#"<svg x="0" y="0" width="100%" height="{HEIGHT}" viewBox="0 0 1000 {HEIGHT}" preserveAspectRatio="none"><polyline class="trend-path" points="{}"/></svg>"#,
                path.join(" ")
            )?;
        }
        for (index, point) in known() {
            let class = if point.out_of < FEW_MAILS { "trend-few" } else { "trend-point" };
            write!(
                out,
                r#"<circle class="{class}" cx="{}" cy="{}" r="3"><title>{}</title></circle>"#,
                percentage(self.x(index)),
                self.y(point.share),
                escape(&point.words)
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Trend {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let middle = Ppm((self.from.0 + self.to.0) / 2);
        write!(
            out,
            r#"<div class="columns"><div class="columns-scale trend-scale" aria-hidden="true"><span>{}</span><span>{middle}</span><span>{}</span></div>"#,
            self.to, self.from
        )?;
        write!(
            out,
            r#"<svg class="trend" width="100%" height="{HEIGHT}" role="img"><title>{}</title><desc>{}</desc>"#,
            escape(&self.title),
            escape(&self.description())
        )?;
        self.write_lines(out)?;
        self.write_points(out)?;
        out.write_str(r#"</svg><div class="columns-days trend-days" aria-hidden="true">"#)?;
        let step = self.labels.len().div_ceil(7).max(1);
        for (index, label) in self.labels.iter().enumerate() {
            let label = if index.is_multiple_of(step) { escape(label) } else { String::new() };
            write!(out, "<span>{label}</span>")?;
        }
        out.write_str("</div></div>")
    }
}

impl HtmlSafe for Trend {}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(share: i64, out_of: i64) -> Option<TrendPoint> {
        Some(TrendPoint { share: Ppm(share), out_of, words: format!("<{share}>") })
    }

    fn line(at: i64) -> TrendLine {
        TrendLine { at: Ppm(at), words: "lowers".into(), class: "warn" }
    }

    fn trend(points: Vec<Option<TrendPoint>>) -> Trend {
        let lines = vec![line(50_000)];
        let (from, to) = Trend::axis_from_zero(&lines, &points);
        let labels = (0..points.len()).map(|day| day.to_string()).collect();
        Trend { title: "Invalid".into(), points, lines, labels, from, to }
    }

    #[test]
    fn days_with_few_mails_are_hollow_and_days_without_are_left_out() {
        let html = trend(vec![point(10_000, 500), None, point(500_000, 2)]).to_string();
        assert_eq!((html.matches("trend-point").count(), html.matches("trend-few").count()), (1, 1));
        assert!(html.contains(r#"cx="16.66%""#) && html.contains(r#"cx="83.33%""#), "{html}");
        assert!(html.contains("&lt;500000&gt;") && html.contains("2 days with mail"), "{html}");
    }

    #[test]
    fn no_mail_is_no_line() {
        let html = trend(vec![None, None]).to_string();
        assert!(html.contains("No mail on these days") && !html.contains("<polyline"), "{html}");
        assert!(!trend(vec![point(1, 1)]).to_string().contains("<polyline"), "one point makes no line");
    }

    #[test]
    fn everything_is_inside_the_axis() {
        let (from, to) = Trend::axis_from_zero(&[line(100_000)], &[point(1_000_000, 9)]);
        assert_eq!((from, to), (Ppm(0), Ppm::ALL));
        assert_eq!(Trend::axis_from_zero(&[line(5_000)], &[]).1, Ppm(10_000));
        assert_eq!(Trend::axis_to_all(&[line(850_000)], &[point(980_000, 9)]), (Ppm(700_000), Ppm::ALL));
        assert_eq!(Trend::axis_to_all(&[line(850_000)], &[point(0, 9)]).0, Ppm(0));
        let wide = trend(vec![point(1_000_000, 9)]);
        assert_eq!((wide.y(Ppm::ALL), wide.y(Ppm(0))), (MARGIN, HEIGHT - MARGIN));
    }
}
