//! Mails per day as columns, each stacked by what became of them.
//!
//! The drawing stretches to the width of the page, so it holds no letters: the scale and the days stand
//! around it as text, and the whole as a table that can be opened below.

use std::fmt;

use askama::filters::HtmlSafe;

use super::{Ink, escape, round_up_for_axis};
use crate::format;

const HEIGHT: i64 = 120;
const COLUMN_WIDTH: i64 = 40;
const GAP: i64 = 12;
/// Characters that fit below the drawing on a wide page.
const LABEL_CHARACTERS: usize = 110;
/// More columns than this are labelled sparsely on a narrow page.
const COLUMNS_WITH_LABEL: usize = 16;

/// One day.
#[derive(Clone, Debug)]
pub struct Column {
    /// As the axis shows it: `11-22`.
    pub label: String,
    /// In whole mails, one value for each series, in their order.
    pub values: Vec<i64>,
}

/// Days side by side.
#[derive(Clone, Debug)]
pub struct Columns {
    pub title: String,
    /// Name and colour of each layer, from the ground up.
    pub series: Vec<(String, Ink)>,
    pub columns: Vec<Column>,
}

impl Columns {
    fn scale(&self) -> i64 {
        let highest = self.columns.iter().map(Column::total).max().unwrap_or(0);
        round_up_for_axis(highest)
    }

    /// Every how manyth column carries its label, so that labels do not run into each other; the table has all.
    fn label_step(&self) -> usize {
        let longest = self.columns.iter().map(|column| column.label.len()).max().unwrap_or(0);
        (self.columns.len() * (longest + 1)).div_ceil(LABEL_CHARACTERS).max(1)
    }

    fn description(&self) -> String {
        let total = self.columns.iter().fold(0_i64, |sum, column| sum.saturating_add(column.total()));
        format!("{} in {}", format::mails_noun(total), format::counted(self.columns.len() as i64, "day"))
    }

    fn write_drawing(&self, out: &mut fmt::Formatter<'_>, scale: i64) -> fmt::Result {
        let width = (self.columns.len() as i64 * (COLUMN_WIDTH + GAP)).max(1);
        write!(
            out,
            r#"<svg class="columns-drawing" viewBox="0 0 {width} {HEIGHT}" preserveAspectRatio="none" role="img"><title>{}</title><desc>{}</desc>"#,
            escape(&self.title),
            escape(&self.description())
        )?;
        for quarter in 0..4 {
            let y = quarter * HEIGHT / 4;
            write!(out, r#"<line class="grid" x1="0" x2="{width}" y1="{y}" y2="{y}"/>"#)?;
        }
        for (index, column) in self.columns.iter().enumerate() {
            let x = index as i64 * (COLUMN_WIDTH + GAP) + GAP / 2;
            let mut top = HEIGHT;
            for ((_, ink), value) in self.series.iter().zip(&column.values) {
                let height = height_of(*value, scale).min(top);
                top -= height;
                if height > 0 {
                    let class = ink.class();
                    write!(
                        out,
                        r#"<rect class="ink-{class}" x="{x}" y="{top}" width="{COLUMN_WIDTH}" height="{height}"/>"#
                    )?;
                }
            }
        }
        write!(out, r#"<line class="axis" x1="0" x2="{width}" y1="{HEIGHT}" y2="{HEIGHT}"/></svg>"#)
    }

    fn write_table(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(r#"<details class="as-table"><summary>The same as a table</summary><div class="scroll"><table><thead><tr><th scope="col">Day</th>"#)?;
        for (name, _) in &self.series {
            write!(out, r#"<th scope="col" class="num">{}</th>"#, escape(name))?;
        }
        out.write_str("</tr></thead><tbody>")?;
        for column in &self.columns {
            write!(out, r#"<tr><th scope="row">{}</th>"#, escape(&column.label))?;
            for value in &column.values {
                write!(out, r#"<td class="num">{}</td>"#, format::mails(*value))?;
            }
            out.write_str("</tr>")?;
        }
        out.write_str("</tbody></table></div></details>")
    }
}

impl Column {
    fn total(&self) -> i64 {
        self.values.iter().fold(0, |sum, value| sum.saturating_add((*value).max(0)))
    }
}

/// A value above zero is at least one unit high, so that one failed mail in a thousand can be seen.
fn height_of(value: i64, scale: i64) -> i64 {
    if value <= 0 || scale <= 0 {
        return 0;
    }
    let exact = i128::from(value) * i128::from(HEIGHT) / i128::from(scale);
    i64::try_from(exact.max(1)).unwrap_or(HEIGHT).min(HEIGHT)
}

impl fmt::Display for Columns {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = self.scale();
        out.write_str(r#"<div class="columns"><div class="columns-scale" aria-hidden="true">"#)?;
        write!(
            out,
            "<span>{}</span><span>{}</span><span>0</span></div>",
            format::mails(scale),
            format::mails(scale / 2)
        )?;
        self.write_drawing(out, scale)?;
        let many = if self.columns.len() > COLUMNS_WITH_LABEL { " columns-many" } else { "" };
        write!(out, r#"<div class="columns-days{many}" aria-hidden="true">"#)?;
        let step = self.label_step();
        for (index, column) in self.columns.iter().enumerate() {
            let label = if index.is_multiple_of(step) { escape(&column.label) } else { String::new() };
            write!(out, "<span>{label}</span>")?;
        }
        out.write_str(r#"</div></div><ul class="legend">"#)?;
        for (index, (name, ink)) in self.series.iter().enumerate() {
            let total = self
                .columns
                .iter()
                .filter_map(|column| column.values.get(index))
                .fold(0_i64, |sum, value| sum.saturating_add(*value));
            write!(
                out,
                r#"<li><span class="swatch swatch-{}" aria-hidden="true"></span>{} <b>{}</b></li>"#,
                ink.class(),
                escape(name),
                format::mails(total)
            )?;
        }
        out.write_str("</ul>")?;
        self.write_table(out)
    }
}

impl HtmlSafe for Columns {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_never_higher_than_the_drawing() {
        assert_eq!(height_of(1, 1_000_000), 1);
        assert_eq!(height_of(5, 4), HEIGHT);
        assert_eq!(height_of(0, 10), 0);
        assert_eq!(height_of(i64::MAX, 1), HEIGHT);
    }

    #[test]
    fn labels_of_many_columns_are_thinned_and_all_are_in_the_table() {
        let column = |day: i64| Column { label: format!("11-{day:02}"), values: vec![day] };
        let columns = Columns {
            title: "Mails per day".into(),
            series: vec![("Paid".into(), Ink::Used)],
            columns: (1..=31).map(column).collect(),
        };
        let html = columns.to_string();
        assert_eq!((columns.label_step(), html.matches("<span></span>").count()), (2, 15));
        assert!(html.contains("columns-many") && html.contains(r#"<th scope="row">11-02</th>"#), "{html}");
    }

    #[test]
    fn days_are_drawn_and_told() {
        let columns = Columns {
            title: "Mails per day".into(),
            series: vec![("Delivered".into(), Ink::Good), ("Failed".into(), Ink::Bad)],
            columns: vec![
                Column { label: "11-21".into(), values: vec![3, 1] },
                Column { label: "11-22".into(), values: vec![0, 0] },
            ],
        };
        insta::assert_snapshot!("columns", columns.to_string());
    }
}
