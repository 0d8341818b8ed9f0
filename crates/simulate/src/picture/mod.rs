//! Pictures of a comparison, as SVG texts with the names of their files.

mod svg;

use svg::{Anchor, COLOURS, INK, Plot, Scale, Svg, legend};

use crate::compare::{HIJACKED_MAILS_MAX, HIJACKED_MINUTES_MAX, Outcome, Spread, Summary};
use crate::figures::{GROWTH_DAILY, Stop};
use crate::regime::Regime;
use crate::sender::Kind;
use crate::sweep::{is_share, shown};

/// A file to write.
#[derive(Clone, Debug)]
pub struct Picture {
    pub file: String,
    pub svg: String,
}

/// All pictures of a comparison: of the first regime, and of all side by side.
pub fn of_comparison(outcomes: &[Outcome]) -> Vec<Picture> {
    let Some(first) = outcomes.first() else { return Vec::new() };
    let mut pictures = vec![
        picture("quota.svg", quota(first)),
        picture("arrival.svg", arrival(outcomes)),
        picture("arrival-by-week.svg", arrival_by_week(outcomes)),
        picture("harm.svg", harm(outcomes)),
    ];
    if matches!(first.regime, Regime::Policy { .. }) {
        pictures.push(picture("stopping.svg", stopping(first)));
    }
    pictures
}

fn picture(file: &str, svg: String) -> Picture {
    Picture { file: file.to_owned(), svg }
}

fn short(number: f64) -> String {
    match number {
        large if large >= 1e6 => format!("{} M", shown(large / 1e6)),
        large if large >= 1e3 => format!("{} k", shown(large / 1e3)),
        small => shown(small),
    }
}

fn per_cent(part: f64) -> String {
    format!("{} %", shown((part * 1e6).round() / 1e4))
}

/// Quota over the weeks: one small plot for each kind of sender, the median and where 90 % of the senders are.
fn quota(outcome: &Outcome) -> String {
    const COLUMNS: usize = 3;
    let mut svg = Svg::new(900.0, 1_000.0);
    let title = format!("Quota in force over the weeks, policy \"{}\"", outcome.regime);
    svg.text((20.0, 26.0), 16.0, Anchor::Start, INK, &title);
    let subtitle =
        "line: median of all senders of the kind; band: 5 % to 95 % of them; at the bottom: paused";
    svg.text((20.0, 46.0), 12.0, Anchor::Start, INK, subtitle);
    let weeks =
        outcome.pairs.iter().flat_map(|pair| &pair.all.quota_by_week).map(Vec::len).max().unwrap_or(1);
    for (place, kind) in Kind::ALL.into_iter().enumerate() {
        let plot =
            Plot {
                left: 80.0 + (place % COLUMNS) as f64 * 285.0,
                top: 84.0 + (place / COLUMNS) as f64 * 230.0,
                width: 210.0,
                height: 160.0,
                x: Scale::even(1.0, weeks as f64, 5, |week| format!("{week:.0}")),
                y: Scale::powers(PAUSED, 100_000.0, |quota| {
                    if quota > PAUSED { short(quota) } else { "paused".into() }
                }),
            };
        let y_title = if place % COLUMNS == 0 { "mails a day" } else { "" };
        let x_title = if place + COLUMNS >= Kind::ALL.len() { "week" } else { "" };
        plot.frame(&mut svg, kind.name(), x_title, y_title);
        let colour = if kind.is_good() { COLOURS[0] } else { COLOURS[1] };
        let spreads = weekly(outcome, kind, weeks);
        let band: Vec<_> = spreads.iter().map(|(week, low, _, high)| (*week, *low, *high)).collect();
        plot.band(&mut svg, &band, colour);
        plot.line(
            &mut svg,
            &spreads.iter().map(|(week, _, middle, _)| (*week, *middle)).collect::<Vec<_>>(),
            colour,
        );
        if kind == Kind::Grower {
            plot.level(&mut svg, GROWTH_DAILY as f64, "50 k");
        }
    }
    legend(
        &mut svg,
        (660.0, 850.0),
        &[("wanted mail: to be protected".to_owned(), COLOURS[0]), ("others".to_owned(), COLOURS[1])],
    );
    svg.finish()
}

/// Where a pause is drawn on an axis of powers.
const PAUSED: f64 = 100.0;

/// Week, 5 % quantile, median, 95 % quantile of the quota of a kind's senders.
fn weekly(outcome: &Outcome, kind: Kind, weeks: usize) -> Vec<(f64, f64, f64, f64)> {
    let mut all = Vec::with_capacity(weeks);
    for week in 0..weeks {
        let mut quotas: Vec<f64> = Vec::new();
        for pair in &outcome.pairs {
            let of_kind = pair.all.kinds.iter().zip(&pair.all.quota_by_week).filter(|(of, _)| **of == kind);
            let there = of_kind.filter_map(|(_, quotas)| quotas.get(week)).filter(|quota| **quota >= 0);
            quotas.extend(there.map(|quota| (*quota as f64).clamp(PAUSED, 1e6)));
        }
        if quotas.is_empty() {
            continue;
        }
        quotas.sort_by(f64::total_cmp);
        let at = |part| crate::compare::quantile(&quotas, part);
        all.push(((week + 1) as f64, at(0.05), at(0.5), at(0.95)));
    }
    all
}

/// One row of dots, a dot for each run, and the mean.
struct Strip<'a> {
    name: String,
    values: Vec<f64>,
    colour: &'a str,
}

fn strips(title: &str, x_title: &str, x: Scale, rows: &[Strip<'_>], mark: Option<(f64, &str)>) -> String {
    const ROW: f64 = 62.0;
    let height = rows.len() as f64 * ROW;
    let mut svg = Svg::new(900.0, height + 150.0);
    let y = Scale { low: 0.0, high: 1.0, logarithmic: false, ticks: Vec::new() };
    let plot = Plot { left: 220.0, top: 70.0, width: 640.0, height, x, y };
    plot.frame(&mut svg, "", x_title, "");
    svg.text((20.0, 26.0), 16.0, Anchor::Start, INK, title);
    svg.text((20.0, 46.0), 12.0, Anchor::Start, INK, "a dot is one run; the bar is the mean over all runs");
    for (place, row) in rows.iter().enumerate() {
        let middle = plot.top + (place as f64 + 0.5) * ROW;
        svg.text((plot.left - 12.0, middle + 4.0), 13.0, Anchor::End, INK, &row.name);
        for (nth, value) in row.values.iter().enumerate() {
            let (x, _) = plot.at(*value, 0.0);
            // Spread a little so that equal runs are seen as several.
            let aside = ((nth * 37) % 29) as f64 - 14.0;
            svg.dot((x, middle + aside), 3.0, row.colour, 0.45);
        }
        let (mean, _) = plot.at(Spread::of(&row.values).mean, 0.0);
        svg.line((mean, middle - 21.0), (mean, middle + 21.0), row.colour, 4.0, "");
    }
    if let Some((at, words)) = mark {
        plot.mark(&mut svg, at, words);
    }
    svg.finish()
}

fn arrival(outcomes: &[Outcome]) -> String {
    let mut rows = Vec::new();
    for (place, outcome) in outcomes.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let arrival = outcome.pairs.iter().map(|pair| pair.all.total(Kind::is_good).arrival());
        rows.push(Strip { name: outcome.regime.to_string(), values: arrival.collect(), colour });
        let alone = outcome.pairs.iter().map(|pair| pair.without_bad.total(Kind::is_good).arrival());
        let name = format!("{}, nobody bad", outcome.regime);
        rows.push(Strip { name, values: alone.collect(), colour: COLOURS[7] });
    }
    let lowest = rows.iter().flat_map(|row| &row.values).copied().fold(0.97, f64::min);
    let x = Scale::even((lowest * 20.0).floor() / 20.0, 1.0, 6, per_cent);
    let title = "Arrival of good senders' mail: in the inbox, of all whose fate is known";
    strips(title, "share in the inbox", x, &rows, Some((0.98, "98 %: the target")))
}

fn harm(outcomes: &[Outcome]) -> String {
    let mut rows = Vec::new();
    for (place, outcome) in outcomes.iter().enumerate() {
        let values = outcome.pairs.iter().map(|pair| pair.all.harm(&pair.without_bad).max(HARM_LEAST));
        let colour = COLOURS[place % COLOURS.len()];
        rows.push(Strip { name: outcome.regime.to_string(), values: values.collect(), colour });
    }
    let highest = rows.iter().flat_map(|row| &row.values).copied().fold(1e4, f64::max);
    let x = Scale::powers(HARM_LEAST, highest * 1.2, short);
    let title = "Harm: good mails that did not reach the inbox because of the bad senders";
    strips(title, "mails a run, against the same run without the bad senders", x, &rows, None)
}

/// Less is drawn at the axis.
const HARM_LEAST: f64 = 100.0;

fn arrival_by_week(outcomes: &[Outcome]) -> String {
    let mut svg = Svg::new(900.0, 460.0);
    let weeks: Vec<Vec<(f64, f64, f64, f64)>> = outcomes.iter().map(weekly_arrival).collect();
    let lowest = weeks.iter().flatten().map(|(_, low, ..)| *low).fold(0.95, f64::min);
    let last = weeks.iter().flatten().map(|(week, ..)| *week).fold(2.0, f64::max);
    let plot = Plot {
        left: 90.0,
        top: 70.0,
        width: 600.0,
        height: 320.0,
        x: Scale::even(1.0, last, 8, |week| format!("{week:.0}")),
        y: Scale::even((lowest * 10.0).floor() / 10.0, 1.0, 6, per_cent),
    };
    svg.text((20.0, 26.0), 16.0, Anchor::Start, INK, "Arrival of good senders' mail, week by week");
    svg.text(
        (20.0, 46.0),
        12.0,
        Anchor::Start,
        INK,
        "line: mean over all runs; band: 5 % to 95 % of the runs",
    );
    plot.frame(&mut svg, "", "week", "share in the inbox");
    let mut names = Vec::new();
    for (place, (outcome, weeks)) in outcomes.iter().zip(&weeks).enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        plot.band(
            &mut svg,
            &weeks.iter().map(|(week, low, _, high)| (*week, *low, *high)).collect::<Vec<_>>(),
            colour,
        );
        plot.line(
            &mut svg,
            &weeks.iter().map(|(week, _, mean, _)| (*week, *mean)).collect::<Vec<_>>(),
            colour,
        );
        names.push((outcome.regime.to_string(), colour));
    }
    legend(&mut svg, (710.0, 90.0), &names);
    svg.finish()
}

fn weekly_arrival(outcome: &Outcome) -> Vec<(f64, f64, f64, f64)> {
    let weeks = outcome.pairs.iter().map(|pair| pair.all.arrival_by_week.len()).max().unwrap_or(0);
    let of_week = |week: usize| {
        let counts = outcome.pairs.iter().filter_map(|pair| pair.all.arrival_by_week.get(week));
        let shares = counts
            .filter(|(_, decided)| *decided > 0)
            .map(|(inbox, decided)| *inbox as f64 / *decided as f64);
        Spread::of(&shares.collect::<Vec<_>>())
    };
    (0..weeks)
        .map(|week| (week, of_week(week)))
        .map(|(week, spread)| ((week + 1) as f64, spread.low, spread.mean, spread.high))
        .collect()
}

const STOPPED: [(Kind, usize); 4] =
    [(Kind::Bought, 1), (Kind::Hijacked, 3), (Kind::Verified, 4), (Kind::HijackedVerified, 5)];

/// How many bad senders were paused by how many mails, and by when.
fn stopping(outcome: &Outcome) -> String {
    let mut svg = Svg::new(900.0, 760.0);
    let title = format!("How soon bad senders are paused, policy \"{}\"", outcome.regime);
    svg.text((20.0, 26.0), 16.0, Anchor::Start, INK, &title);
    let panel = |top, x| Plot {
        left: 90.0,
        top,
        width: 560.0,
        height: 250.0,
        x,
        y: Scale::even(0.0, 1.0, 5, per_cent),
    };
    let mails = panel(76.0, Scale::powers(100.0, 100_000.0, short));
    mails.frame(
        &mut svg,
        "by mails accepted",
        "bad mails accepted until the pause",
        "share of the senders paused",
    );
    mails.mark(&mut svg, HIJACKED_MAILS_MAX as f64, "2,000 and 3,000: the targets");
    mails.mark(&mut svg, 3_000.0, "");
    let hours = panel(426.0, Scale::powers(1.0 / 60.0, 1_000.0, |_| String::new()));
    let hours = Plot { x: Scale { ticks: time_ticks(), ..hours.x.clone() }, ..hours };
    hours.frame(&mut svg, "by time", "from the first bad mail to the pause", "share of the senders paused");
    hours.mark(&mut svg, HIJACKED_MINUTES_MAX as f64 / 60.0, "1 hour: the target for hijacked accounts");
    let mut names = Vec::new();
    for (kind, colour) in STOPPED {
        let stops = outcome.stops(kind);
        let colour = COLOURS[colour];
        let paused: Vec<&Stop> = stops.iter().filter(|stop| stop.minutes.is_some()).collect();
        let steps = |of: &dyn Fn(&Stop) -> f64| {
            let mut values: Vec<f64> = paused.iter().map(|stop| of(stop)).collect();
            values.sort_by(f64::total_cmp);
            staircase(&values, stops.len())
        };
        mails.line(&mut svg, &steps(&|stop| stop.mails as f64), colour);
        hours.line(&mut svg, &steps(&|stop| stop.minutes.unwrap_or(0) as f64 / 60.0), colour);
        names.push((format!("{} ({})", kind.name(), stops.len()), colour));
    }
    legend(&mut svg, (670.0, 100.0), &names);
    svg.finish()
}

fn time_ticks() -> Vec<(f64, String)> {
    let ticks = [
        (1.0 / 60.0, "1 min"),
        (1.0 / 6.0, "10 min"),
        (1.0, "1 h"),
        (6.0, "6 h"),
        (24.0, "1 day"),
        (168.0, "1 week"),
    ];
    ticks.map(|(hours, label)| (hours, label.to_owned())).to_vec()
}

/// The share of `all` that has happened by each value.
fn staircase(sorted: &[f64], all: usize) -> Vec<(f64, f64)> {
    let mut points = Vec::with_capacity(sorted.len() * 2 + 1);
    let mut share = 0.0;
    for (place, value) in sorted.iter().enumerate() {
        points.push((*value, share));
        share = (place + 1) as f64 / all.max(1) as f64;
        points.push((*value, share));
    }
    if let Some((last, share)) = points.last().copied() {
        points.push((last.max(1e9), share));
    }
    points
}

type Figure = fn(&Summary) -> f64;

/// What a threshold costs and brings: four plots over its values.
pub fn of_sweep(name: &str, results: &[(f64, Summary)]) -> Picture {
    let values: Vec<f64> = results.iter().map(|(value, _)| *value).collect();
    let (low, high) = (values.first().copied().unwrap_or(0.0), values.last().copied().unwrap_or(1.0));
    let mut svg = Svg::new(900.0, 800.0);
    let x_title = if is_share(name) { format!("{name}, per cent") } else { name.to_owned() };
    let title = format!("What {name} wins and loses");
    svg.text((20.0, 26.0), 16.0, Anchor::Start, INK, &title);
    let panel = |place: usize, y: Scale| Plot {
        left: 90.0 + (place % 2) as f64 * 440.0,
        top: 70.0 + (place / 2) as f64 * 400.0,
        width: 330.0,
        height: 230.0,
        x: Scale::even(low, high, 6, shown),
        y,
    };
    let of = |of: &dyn Fn(&Summary) -> f64| -> Vec<(f64, f64)> {
        results.iter().map(|(value, summary)| (*value, of(summary))).collect()
    };
    let most = |lines: &[&Vec<(f64, f64)>]| {
        lines.iter().flat_map(|line| line.iter()).map(|(_, y)| *y).fold(0.0, f64::max)
    };

    let kinds: [(&str, usize, Figure); 4] = [
        ("bought list", 1, |summary| summary.bought.mails.mean),
        ("hijacked", 3, |summary| summary.hijacked.mails.mean),
        ("bought list, verified", 4, |summary| summary.verified.mails.mean),
        ("hijacked, verified list", 5, |summary| summary.hijacked_verified.mails.mean),
    ];
    let lines: Vec<Vec<(f64, f64)>> = kinds.iter().map(|(_, _, figure)| of(figure)).collect();
    let stopping =
        panel(0, Scale::powers(100.0, most(&lines.iter().collect::<Vec<_>>()).max(10_000.0), short));
    stopping.frame(&mut svg, "bad mails until the first pause (mean)", &x_title, "mails");
    for ((_, colour, _), line) in kinds.iter().zip(&lines) {
        stopping.line(&mut svg, line, COLOURS[*colour]);
    }
    let names: Vec<_> =
        kinds.iter().map(|(name, colour, _)| ((*name).to_owned(), COLOURS[*colour])).collect();
    legend(&mut svg, (96.0, 358.0), &names);

    let harm = of(&|summary| summary.harm.mean);
    let plot = panel(1, Scale::powers(1_000.0, most(&[&harm]).max(100_000.0), short));
    plot.frame(&mut svg, "harm: good mails lost to bad senders (mean of a run)", &x_title, "mails");
    plot.line(&mut svg, &harm, COLOURS[0]);

    let wronged = of(&|summary| summary.wronged);
    let plot = panel(2, Scale::even(0.0, (most(&[&wronged]) * 1.2).max(0.025), 5, per_cent));
    plot.frame(&mut svg, "good senders' weeks wrongly lowered or paused", &x_title, "share of account-weeks");
    plot.line(&mut svg, &wronged, COLOURS[0]);
    plot.level(&mut svg, 0.02, "2 %: the target");

    let grown = of(&|summary| summary.grown);
    let plot = panel(3, Scale::even(0.0, 1.0, 5, per_cent));
    plot.frame(&mut svg, "quota users at 50,000 a day within 8 weeks", &x_title, "share of them");
    plot.line(&mut svg, &grown, COLOURS[0]);
    plot.level(&mut svg, 0.95, "95 %: the target");
    Picture { file: format!("sweep-{}.svg", name.replace('.', "-")), svg: svg.finish() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staircase_ends_at_the_share_that_was_paused() {
        let steps = staircase(&[1.0, 3.0], 4);
        assert_eq!(steps, [(1.0, 0.0), (1.0, 0.25), (3.0, 0.25), (3.0, 0.5), (1e9, 0.5)]);
        assert!(staircase(&[], 4).is_empty());
    }

    #[test]
    fn numbers_on_axes_are_short() {
        assert_eq!([short(200.0), short(2_500.0), short(1e6)], ["200", "2.5 k", "1 M"]);
        assert_eq!([per_cent(0.98), per_cent(0.005)], ["98 %", "0.5 %"]);
    }
}
