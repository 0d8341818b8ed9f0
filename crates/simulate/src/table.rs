//! Figures as plain text, and the world's numbers as Markdown.

use crate::compare::{Outcome, Spread, Stopping, Summary};
use crate::constants;
use crate::figures::{Tally, share};
use crate::provider::PROVIDERS;
use crate::sender::Kind;
use crate::sweep::shown;

/// A figure, its target, and where it stands.
struct Row {
    name: String,
    target: &'static str,
    cell: fn(&Summary) -> String,
    /// `None`: there is no target, or nothing to judge.
    met: fn(&Summary) -> Option<bool>,
}

fn rows() -> Vec<Row> {
    let row = |name: &str, target, cell, met| Row { name: name.to_owned(), target, cell, met };
    vec![
        row(
            "arrival of good senders (inbox / decided)",
            ">= 98 %",
            |s| per_cent(s.arrival),
            |s| Some(s.arrival.mean >= 0.98),
        ),
        row("  without the bad ones", "", |s| per_cent(s.arrival_without_bad), |_| None),
        row("  good mails in the inbox, a run", "", |s| numbers(s.arrived_mails), |_| None),
        row("  wanted mails held back by the quota", "", |s| per_cent(s.held_back), |_| None),
        row(
            "quota users at 50,000 a day in 8 weeks",
            ">= 95 %",
            |s| plain_per_cent(s.grown),
            |s| Some(s.grown >= 0.95),
        ),
        row("  days until then", "", |s| numbers(s.growth_days), |_| None),
        row(
            "account-weeks wrongly lowered or paused",
            "< 2 %",
            |s| plain_per_cent(s.wronged),
            |s| Some(s.wronged < 0.02),
        ),
        row(
            "bought list: paused before 3,000 mails",
            "all",
            |s| within(&s.bought),
            |s| all_within(&s.bought),
        ),
        row("  mails until its first pause", "", |s| numbers(s.bought.mails), |_| None),
        row("  hours until then", "", |s| hours(&s.bought), |_| None),
        row(
            "hijacked: paused in 1 hour or 2,000 mails",
            "all",
            |s| within(&s.hijacked),
            |s| all_within(&s.hijacked),
        ),
        row("  mails of the thief until the pause", "", |s| numbers(s.hijacked.mails), |_| None),
        row("  hours until then", "", |s| hours(&s.hijacked), |_| None),
        row("verified bought list: before 3,000 mails", "", |s| within(&s.verified), |_| None),
        row("  mails until its first pause", "", |s| numbers(s.verified.mails), |_| None),
        row("  hours until then", "", |s| hours(&s.verified), |_| None),
        row("hijacked, verified list: in 1 h or 2,000", "", |s| within(&s.hijacked_verified), |_| None),
        row("  mails of the thief until the pause", "", |s| numbers(s.hijacked_verified.mails), |_| None),
        row("  hours until then", "", |s| hours(&s.hijacked_verified), |_| None),
        row("bad mails accepted, a run", "", |s| numbers(s.bad_mails), |_| None),
        row("harm: good mails lost to the bad, a run", "", |s| numbers(s.harm), |_| None),
        row("  times smaller than without a quota", ">= 10", ratio, |s| {
            s.harm_ratio.map(|ratio| ratio >= 10.0)
        }),
    ]
}

/// All regimes side by side, and whether the first meets the targets.
pub fn comparison(summaries: &[Summary], seeds: &str, weeks: i64) -> String {
    let runs = summaries.first().map_or(0, |summary| summary.runs);
    let mut lines = vec![
        format!(
            "{} of {} for each, seeds {seeds}; mean (5 % to 95 % of the runs)",
            counted(runs as i64, "run"),
            counted(weeks, "week")
        ),
        String::new(),
    ];
    let rows = rows();
    let mut cells: Vec<Vec<String>> = vec![vec!["".to_owned(), "target".to_owned()]];
    cells[0].extend(summaries.iter().map(|summary| summary.regime.clone()));
    for row in &rows {
        let mut line = vec![row.name.clone(), row.target.to_owned()];
        line.extend(summaries.iter().map(|summary| (row.cell)(summary)));
        cells.push(line);
    }
    lines.extend(aligned(&cells));
    if let Some(first) = summaries.first() {
        lines.push(String::new());
        lines.push(verdict(first, &rows));
    }
    lines.join("\n")
}

fn verdict(summary: &Summary, rows: &[Row]) -> String {
    let missed: Vec<String> = rows
        .iter()
        .filter(|row| (row.met)(summary) == Some(false))
        .map(|row| format!("{} ({})", row.name.trim(), row.target))
        .collect();
    let unjudged = rows.iter().filter(|row| !row.target.is_empty() && (row.met)(summary).is_none()).count();
    match (missed.is_empty(), unjudged) {
        (true, 0) => format!("{}: every target is met", summary.regime),
        (true, more) => format!("{}: every target that was judged is met, {more} were not", summary.regime),
        (false, _) => format!("{}: missed: {}", summary.regime, missed.join("; ")),
    }
}

/// What became of the mail of each kind of sender under one regime, over all seeds.
pub fn kinds(outcome: &Outcome) -> String {
    let head = [
        "",
        "accepted",
        "inbox",
        "alone",
        "spam folder",
        "invalid",
        "refused",
        "failed",
        "put off",
        "reported",
        "held back",
    ];
    let mut cells = vec![head.map(str::to_owned).to_vec()];
    for kind in Kind::ALL {
        let (mut tally, mut alone) = (Tally::default(), Tally::default());
        for pair in &outcome.pairs {
            tally.add(&pair.all.total(|of| of == kind));
            alone.add(&pair.without_bad.total(|of| of == kind));
        }
        let decided = tally.decided() as f64;
        let part = |mails: i64| plain_per_cent(share(mails as f64, decided));
        cells.push(vec![
            kind.name().to_owned(),
            grouped(tally.accepted as f64),
            part(tally.inbox),
            if alone.decided() > 0 { plain_per_cent(alone.arrival()) } else { "-".to_owned() },
            part(tally.folder + tally.trapped),
            part(tally.invalid),
            part(tally.spam),
            part(tally.failed),
            plain_per_cent(share(tally.deferred as f64, tally.accepted as f64)),
            format!("{:.3} %", share(tally.reported as f64, decided) * 100.0),
            grouped(tally.given_up as f64),
        ]);
    }
    let head = format!(
        "{}: mails of all runs by kind of sender ('alone': the inbox without the bad ones)",
        outcome.regime
    );
    let mut lines = vec![head, String::new()];
    lines.extend(aligned(&cells));
    lines.join("\n")
}

/// One line for each value of a sweep.
pub fn sweep(name: &str, results: &[(f64, Summary)]) -> String {
    let head = [
        name,
        "arrival",
        "wronged",
        "grown",
        "bought: mails",
        "verified: mails",
        "hijacked: mails",
        "hij. verified",
        "bad, thousands",
        "harm, thousands",
    ];
    let mut cells = vec![head.map(str::to_owned).to_vec()];
    for (value, summary) in results {
        let mean = |spread: Spread| grouped(spread.mean);
        cells.push(vec![
            shown(*value),
            format!("{:.2} %", summary.arrival.mean * 100.0),
            format!("{:.3} %", summary.wronged * 100.0),
            plain_per_cent(summary.grown),
            mean(summary.bought.mails),
            mean(summary.verified.mails),
            mean(summary.hijacked.mails),
            mean(summary.hijacked_verified.mails),
            format!("{:.1}", summary.bad_mails.mean / 1e3),
            format!("{:.1}", summary.harm.mean / 1e3),
        ]);
    }
    aligned(&cells).join("\n")
}

/// One line for each world, of the first regime in each; the ratio needs the unlimited one among the others.
pub fn variations(results: &[(&'static str, Vec<Summary>)]) -> String {
    let head = [
        "world",
        "arrival",
        "wronged",
        "grown",
        "bought",
        "hijacked",
        "verified",
        "hij. verified",
        "harm, thousands",
        "smaller",
    ];
    let mut cells = vec![head.map(str::to_owned).to_vec()];
    for (name, summaries) in results {
        let Some(summary) = summaries.first() else { continue };
        cells.push(vec![
            (*name).to_owned(),
            format!("{:.2} %", summary.arrival.mean * 100.0),
            plain_per_cent(summary.wronged),
            plain_per_cent(summary.grown),
            within(&summary.bought),
            within(&summary.hijacked),
            within(&summary.verified),
            within(&summary.hijacked_verified),
            format!("{:.1}", summary.harm.mean / 1e3),
            ratio(summary),
        ]);
    }
    aligned(&cells).join("\n")
}

/// The world's numbers, for the documentation.
pub fn constants() -> String {
    let mut text =
        String::from("| number | value | unit | meaning | source |\n| --- | --- | --- | --- | --- |\n");
    for constant in constants::TABLE {
        let name = constant.name.to_lowercase();
        let value = format!("{}", constant.value);
        text += &format!(
            "| `{name}` | {value} | {} | {} | {} |\n",
            constant.unit, constant.meaning, constant.source
        );
    }
    text += "\n| provider | recipients | address counts | complaints reported | half-life, days | greylists | source |\n";
    text += "| --- | --- | --- | --- | --- | --- | --- |\n";
    for traits in &PROVIDERS {
        text += &format!(
            "| {} | {:.0} % | {:.0} % | {:.0} % | {} | {} | {} |\n",
            traits.name,
            traits.share * 100.0,
            traits.address_weight * 100.0,
            traits.feedback * 100.0,
            traits.half_life_days,
            if traits.greylists { "yes" } else { "no" },
            traits.source
        );
    }
    text += "\n| sender | in a run | what it does |\n| --- | --- | --- |\n";
    for kind in Kind::ALL {
        text += &format!("| {} | {} | {} |\n", kind.name(), kind.count(), kind.described());
    }
    text
}

/// Columns under each other: the first to the left, the others to the right.
fn aligned(cells: &[Vec<String>]) -> Vec<String> {
    let columns = cells.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        cells.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    cells
        .iter()
        .map(|line| {
            let padded = line.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect()
}

/// `1 week`, `26 weeks`.
fn counted(number: i64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `1,234,567`.
pub fn grouped(number: f64) -> String {
    indicia_domain::quota::words::grouped(number.round() as i64)
}

fn plain_per_cent(part: f64) -> String {
    format!("{:.2} %", part * 100.0)
}

fn per_cent(spread: Spread) -> String {
    let part = |value: f64| format!("{:.2}", value * 100.0);
    format!("{} % ({} to {})", part(spread.mean), part(spread.low), part(spread.high))
}

/// `4.4`, `269`, `9,421`, `354 k`, `5.58 M`: three figures are plenty.
fn short(number: f64) -> String {
    match number.abs() {
        small if small < 100.0 => format!("{number:.1}"),
        middle if middle < 10_000.0 => grouped(number),
        large if large < 1e6 => format!("{:.0} k", number / 1e3),
        _ => format!("{:.2} M", number / 1e6),
    }
}

fn numbers_of(spread: Spread, by: f64) -> String {
    let part = |value: f64| short(value / by);
    format!("{} ({} to {})", part(spread.mean), part(spread.low), part(spread.high))
}

fn numbers(spread: Spread) -> String {
    if spread == Spread::default() {
        return "-".to_owned();
    }
    numbers_of(spread, 1.0)
}

fn within(stopping: &Stopping) -> String {
    match stopping.senders {
        0 => "-".to_owned(),
        senders => format!("{} of {}", (stopping.within * senders as f64).round(), senders),
    }
}

fn all_within(stopping: &Stopping) -> Option<bool> {
    (stopping.senders > 0).then_some(stopping.within >= 1.0)
}

fn hours(stopping: &Stopping) -> String {
    match stopping.stopped > 0.0 {
        true => numbers_of(stopping.minutes, 60.0),
        false => "never".to_owned(),
    }
}

fn ratio(summary: &Summary) -> String {
    summary.harm_ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.1}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let cells = [vec!["a".into(), "1".into()], vec!["long name".into(), "1,000".into()]];
        assert_eq!(aligned(&cells), ["a              1", "long name  1,000"]);
    }

    #[test]
    fn every_number_of_the_world_is_documented_with_a_source() {
        let text = constants();
        assert!(constants::TABLE.iter().all(|constant| !constant.source.is_empty()));
        assert!(
            text.contains("`complaint_line`")
                && text.contains("| Gmail | 40 %")
                && text.contains("| hijacked | 2 |")
        );
        assert!(text.lines().filter(|line| line.starts_with('|')).all(|line| line.ends_with('|')));
    }

    #[test]
    fn numbers_are_short() {
        let spread = |mean| Spread { mean, low: 0.0, high: 2_500_000.0 };
        assert_eq!(numbers(spread(1_250.0)), "1,250 (0.0 to 2.50 M)");
        assert_eq!(per_cent(Spread { mean: 0.98765, low: 0.5, high: 1.0 }), "98.77 % (50.00 to 100.00)");
        assert_eq!(numbers(Spread::default()), "-");
    }
}
