//! The ladder of levels, the highest on top, with where somebody stands on it.

use std::fmt;

use askama::filters::HtmlSafe;

use super::{escape, gauge::percentage};
use crate::format;

const ROW_HEIGHT: i64 = 26;
/// Where the steps begin and how far the longest reaches, in millionths of the width.
const STEPS_FROM: i64 = 330_000;
const STEPS_TO: i64 = 600_000;
const SHORTEST: i64 = 30_000;

/// The steps and the one somebody stands on.
#[derive(Clone, Debug)]
pub struct LadderPicture {
    /// Mails a day by level, ascending.
    pub steps: Vec<i64>,
    pub level: i64,
    /// What is in force; it may lie between two steps.
    pub daily_mails: i64,
    pub ceiling: Option<i64>,
    /// Where the next review would lead as things stand, if elsewhere.
    pub next: Option<i64>,
}

impl LadderPicture {
    fn words(&self, level: i64, mails: i64) -> String {
        let mut words: Vec<String> = Vec::new();
        if level == self.level {
            words.push(match self.daily_mails == mails {
                true => "you are here".to_owned(),
                false => format!("you: {}", format::mails(self.daily_mails)),
            });
        }
        if self.ceiling == Some(level) {
            words.push(if words.is_empty() { "your ceiling" } else { "at your ceiling" }.to_owned());
        }
        if self.next == Some(level) {
            words.push("next, as it stands".to_owned());
        }
        words.join(", ")
    }

    fn class(&self, level: i64) -> &'static str {
        if level == self.level {
            "step-here"
        } else if level < self.level {
            "step-below"
        } else if self.ceiling.is_some_and(|ceiling| level > ceiling) {
            "step-barred"
        } else {
            "step-above"
        }
    }

    fn description(&self) -> String {
        let top = self.steps.len().saturating_sub(1);
        let ceiling =
            self.ceiling.map_or_else(String::new, |level| format!("; your own ceiling is level {level}"));
        format!("Level {} of {top}: {} a day{ceiling}", self.level, format::mails_noun(self.daily_mails))
    }
}

impl fmt::Display for LadderPicture {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.steps.len() as i64;
        write!(
            out,
            r#"<svg class="ladder" width="100%" height="{}" role="img"><title>The ladder of levels</title><desc>{}</desc>"#,
            count * ROW_HEIGHT,
            escape(&self.description())
        )?;
        for (level, mails) in self.steps.iter().enumerate().rev() {
            let level = level as i64;
            let top = (count - 1 - level) * ROW_HEIGHT;
            let length = SHORTEST + (STEPS_TO - STEPS_FROM - SHORTEST) * level / (count - 1).max(1);
            let baseline = top + 17;
            let class = self.class(level);
            write!(
                out,
                r#"<g class="{class}"><text class="step-level" x="0" y="{baseline}">{level}</text><text class="step-mails" x="{}" y="{baseline}" text-anchor="end">{}</text><rect x="{}" y="{}" width="{}" height="14" rx="3"/>"#,
                percentage(STEPS_FROM - 30_000),
                format::mails(*mails),
                percentage(STEPS_FROM),
                top + 6,
                percentage(length)
            )?;
            let words = self.words(level, *mails);
            if !words.is_empty() {
                write!(
                    out,
                    r#"<text class="step-words" x="{}" y="{baseline}">{}</text>"#,
                    percentage(STEPS_FROM + length + 15_000),
                    escape(&words)
                )?;
            }
            out.write_str("</g>")?;
        }
        out.write_str("</svg>")
    }
}

impl HtmlSafe for LadderPicture {}

#[cfg(test)]
mod tests {
    use super::*;

    fn ladder(daily_mails: i64, ceiling: Option<i64>, next: Option<i64>) -> LadderPicture {
        LadderPicture { steps: vec![200, 1_000, 2_000, 3_000], level: 2, daily_mails, ceiling, next }
    }

    #[test]
    fn r20_the_ladder_shows_where_you_are_the_ceiling_and_the_top() {
        let html = ladder(2_000, Some(3), Some(3)).to_string();
        assert!(html.find("3,000").unwrap() < html.find(">200<").unwrap(), "the highest is on top");
        assert!(html.contains("you are here") && html.contains("your ceiling, next, as it stands"), "{html}");
        assert!(html.contains("<desc>Level 2 of 3: 2,000 mails a day; your own ceiling is level 3</desc>"));
        assert_eq!(html.matches("step-here").count(), 1);
    }

    #[test]
    fn r20_a_quota_between_two_levels_is_said_and_levels_above_the_ceiling_are_barred() {
        let html = ladder(2_500, Some(2), None).to_string();
        assert!(html.contains("you: 2,500, at your ceiling"), "{html}");
        assert!(html.contains("step-barred") && !html.contains("step-above"), "{html}");
    }
}
