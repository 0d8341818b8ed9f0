//! One horizontal bar whose parts add up to the whole, with a legend that says each part in words.

use std::fmt;

use askama::filters::HtmlSafe;

use super::{Ink, escape, share_out};
use crate::format;

/// Length of the bar in units of its own grid; the page stretches it to the width there is.
const WIDTH: i64 = 1_000;
const HEIGHT: i64 = 12;

/// A part of the bar.
#[derive(Clone, Debug)]
pub struct Segment {
    pub label: String,
    /// In whole mails; a negative value counts as none.
    pub value: i64,
    pub ink: Ink,
}

impl Segment {
    pub fn new(label: impl Into<String>, value: i64, ink: Ink) -> Self {
        Self { label: label.into(), value, ink }
    }
}

/// A bar of parts.
#[derive(Clone, Debug)]
pub struct StackedBar {
    pub title: String,
    pub segments: Vec<Segment>,
    /// Whether the legend stands below; a bar in a table row has its figures in the row.
    pub legend: bool,
}

impl StackedBar {
    /// A bar with its legend.
    pub fn new(title: impl Into<String>, segments: Vec<Segment>) -> Self {
        Self { title: title.into(), segments, legend: true }
    }

    /// A bar alone, for a place where the figures stand beside it.
    pub fn bare(title: impl Into<String>, segments: Vec<Segment>) -> Self {
        Self { title: title.into(), segments, legend: false }
    }

    fn description(&self) -> String {
        let parts: Vec<String> = self
            .segments
            .iter()
            .filter(|segment| segment.value > 0)
            .map(|segment| format!("{}: {}", segment.label, format::mails(segment.value)))
            .collect();
        if parts.is_empty() { "Nothing yet".into() } else { parts.join("; ") }
    }
}

impl fmt::Display for StackedBar {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<i64> = self.segments.iter().map(|segment| segment.value).collect();
        write!(
            out,
            r#"<svg class="bar" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img"><title>{}</title><desc>{}</desc><rect class="ink-track" width="{WIDTH}" height="{HEIGHT}"/>"#,
            escape(&self.title),
            escape(&self.description())
        )?;
        let mut x = 0;
        for (segment, length) in self.segments.iter().zip(share_out(&values, WIDTH)) {
            if length > 0 {
                let class = segment.ink.class();
                write!(out, r#"<rect class="ink-{class}" x="{x}" width="{length}" height="{HEIGHT}"/>"#)?;
            }
            x += length;
        }
        out.write_str("</svg>")?;
        if self.legend { self.write_legend(out) } else { Ok(()) }
    }
}

impl StackedBar {
    fn write_legend(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: i64 =
            self.segments.iter().fold(0, |sum, segment| sum.saturating_add(segment.value.max(0)));
        out.write_str(r#"<ul class="legend">"#)?;
        for segment in &self.segments {
            write!(
                out,
                r#"<li><span class="swatch swatch-{}" aria-hidden="true"></span>{} <b>{}</b>"#,
                segment.ink.class(),
                escape(&segment.label),
                format::mails(segment.value)
            )?;
            if let Some(share) = format::percent(segment.value, total) {
                write!(out, r#" <span class="muted">{}</span>"#, escape(&share))?;
            }
            out.write_str("</li>")?;
        }
        out.write_str("</ul>")
    }
}

impl HtmlSafe for StackedBar {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r25_the_parts_of_a_package_fill_the_bar() {
        let bar = StackedBar::new(
            "DMBAG-1",
            vec![
                Segment::new("Remaining", 49_400, Ink::Good),
                Segment::new("Used", 600, Ink::Used),
                Segment::new("Lapsed", 0, Ink::Gone),
            ],
        );
        insta::assert_snapshot!("stacked_bar", bar.to_string());
    }

    #[test]
    fn labels_are_escaped_and_an_empty_bar_says_so() {
        let bar = StackedBar::bare("<b>", vec![Segment::new("<script>", 0, Ink::Bad)]).to_string();
        assert!(bar.contains("<title>&lt;b&gt;</title><desc>Nothing yet</desc>"), "{bar}");
        assert!(!bar.contains("<script>"), "{bar}");
    }
}
