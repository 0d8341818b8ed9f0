//! One number of a policy moved over a range: what is won and what is lost on the way.

use indicia_domain::quota::policy::{Ladder, QuotaPolicy};
use indicia_domain::quota::rate::{Confidence, Ppm};

use crate::compare::{Comparison, Summary, compare, summaries};
use crate::regime::Regime;

/// A number of the policy and the values that it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    pub name: String,
    /// Shares in per cent, as in the configuration.
    pub values: Vec<f64>,
}

/// What is wrong with a sweep.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SweepError {
    #[error("'{0}' is not a sweep: write NAME=FROM..TO, such as pause.invalid=2..20, or NAME=VALUE,VALUE,…")]
    Malformed(String),
    #[error("'{0}' cannot be swept; what can: {names}", names = NAMES.join(", "))]
    Unknown(String),
    #[error("{name} cannot be {value}: {reason}")]
    Impossible { name: String, value: f64, reason: String },
}

/// What can be swept.
pub const NAMES: [&str; 16] = [
    "pause.invalid",
    "pause.reported",
    "lower.invalid",
    "lower.reported",
    "lower.arrival",
    "raise.invalid",
    "raise.reported",
    "raise.arrival",
    "raise.full_use",
    "raise.full_days",
    "recipients_min",
    "reports_min",
    "confidence",
    "pauses_before_operator",
    "initial_level",
    "ladder.factor",
];

/// Values of a range.
const POINTS: usize = 10;
const VALUES_MAX: usize = 100;

impl Sweep {
    /// Reads `pause.invalid=2..20` (ten values) and `reports_min=1,3,5`.
    pub fn parse(text: &str) -> Result<Sweep, SweepError> {
        let malformed = || SweepError::Malformed(text.to_owned());
        let (name, values) = text.split_once('=').ok_or_else(malformed)?;
        if !NAMES.contains(&name) {
            return Err(SweepError::Unknown(name.to_owned()));
        }
        let number = |part: &str| part.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        let values: Option<Vec<f64>> = match values.split_once("..") {
            Some((from, to)) => number(from).zip(number(to)).map(|(from, to)| {
                (0..POINTS).map(|at| from + (to - from) * at as f64 / (POINTS - 1) as f64).collect()
            }),
            None => values.split(',').map(number).collect(),
        };
        let mut values = values.filter(|values| values.len() <= VALUES_MAX).ok_or_else(malformed)?;
        if is_whole(name) {
            values.iter_mut().for_each(|value| *value = value.round());
        }
        values.sort_by(f64::total_cmp);
        values.dedup();
        let sweep = Sweep { name: name.to_owned(), values };
        for value in &sweep.values {
            sweep.policy(&QuotaPolicy::default(), *value)?;
        }
        Ok(sweep)
    }

    /// The policy with this value. Lines of the same measure that it would pass move along with it, since a policy
    /// whose lines are not in their order is none.
    pub fn policy(&self, base: &QuotaPolicy, value: f64) -> Result<QuotaPolicy, SweepError> {
        let impossible = |reason: String| SweepError::Impossible { name: self.name.clone(), value, reason };
        let mut policy = base.clone();
        set(&mut policy, &self.name, value).map_err(&impossible)?;
        policy.version = format!("{}, {} {value}", base.version, self.name);
        policy.check().map_err(|error| impossible(error.to_string()))?;
        Ok(policy)
    }

    /// Runs every value over all seeds. The comparison's own regimes are not run, except the unlimited one, if
    /// it is among them: then each value's harm is set against it.
    pub fn run(
        &self,
        base: &QuotaPolicy,
        comparison: &Comparison,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Vec<(f64, Summary)>, SweepError> {
        let mut regimes = Vec::with_capacity(self.values.len() + 1);
        for value in &self.values {
            let policy = self.policy(base, *value)?;
            regimes.push(Regime::policy(format!("{} = {}", self.name, shown(*value)), policy));
        }
        if comparison.regimes.contains(&Regime::Unlimited) {
            regimes.push(Regime::Unlimited);
        }
        let outcomes = compare(&Comparison { regimes, ..comparison.clone() }, progress);
        Ok(self.values.iter().copied().zip(summaries(&outcomes)).collect())
    }
}

/// `2`, `0.35`: without needless zeros.
pub fn shown(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Whether its values are in per cent.
pub fn is_share(name: &str) -> bool {
    !is_whole(name) && name != "ladder.factor"
}

fn is_whole(name: &str) -> bool {
    matches!(
        name,
        "raise.full_days" | "recipients_min" | "reports_min" | "pauses_before_operator" | "initial_level"
    )
}

fn set(policy: &mut QuotaPolicy, name: &str, value: f64) -> Result<(), String> {
    let share = Ppm((value * 10_000.0).round() as i64);
    let whole = value as i64;
    match name {
        "pause.invalid" => policy.pause.invalid = share,
        "pause.reported" => policy.pause.reported = share,
        "lower.invalid" => policy.lower.invalid = share,
        "lower.reported" => policy.lower.reported = share,
        "lower.arrival" => policy.lower.arrival = share,
        "raise.invalid" => policy.raise.invalid = share,
        "raise.reported" => policy.raise.reported = share,
        "raise.arrival" => policy.raise.arrival = share,
        "raise.full_use" => policy.raise.full_use = share,
        "raise.full_days" => policy.raise.full_days = whole,
        "recipients_min" => policy.recipients_min = whole,
        "reports_min" => policy.reports_min = whole,
        "pauses_before_operator" => policy.pauses_before_operator = whole,
        "initial_level" => {
            policy.initial_level = whole;
            policy.initial_daily_mails = policy.ladder.daily(whole);
        }
        "confidence" => policy.confidence = confidence(value)?,
        "ladder.factor" => policy.ladder = ladder(policy, value)?,
        _ => return Err("it is not known".to_owned()),
    }
    move_along(policy, name);
    Ok(())
}

/// Keeps raise below lower below pause; the line that was set stays.
fn move_along(policy: &mut QuotaPolicy, name: &str) {
    let (raise, lower, pause) = (&mut policy.raise, &mut policy.lower, &mut policy.pause);
    for (measure, raise, lower, pause) in [
        ("invalid", &mut raise.invalid, &mut lower.invalid, &mut pause.invalid),
        ("reported", &mut raise.reported, &mut lower.reported, &mut pause.reported),
    ] {
        match name.split_once('.') {
            Some(("pause", of)) if of == measure => {
                *lower = (*lower).min(*pause);
                *raise = (*raise).min(*lower);
            }
            Some(("lower", of)) if of == measure => {
                *pause = (*pause).max(*lower);
                *raise = (*raise).min(*lower);
            }
            Some(("raise", of)) if of == measure => {
                *lower = (*lower).max(*raise);
                *pause = (*pause).max(*lower);
            }
            _ => {}
        }
    }
    match name {
        "lower.arrival" => raise.arrival = raise.arrival.max(lower.arrival),
        "raise.arrival" => lower.arrival = lower.arrival.min(raise.arrival),
        _ => {}
    }
}

fn confidence(per_cent: f64) -> Result<Confidence, String> {
    let known =
        Confidence::ALL.into_iter().find(|known| known.permille() as f64 == (per_cent * 10.0).round());
    known.ok_or_else(|| "it is one of 90, 95, 97.5, 99 and 99.9".to_owned())
}

/// Steps above the initial level by a factor each, up to what the ladder had at its top.
fn ladder(policy: &QuotaPolicy, factor: f64) -> Result<Ladder, String> {
    if !(1.1..=100.0).contains(&factor) {
        return Err("a ladder grows by a factor from 1.1 to 100".to_owned());
    }
    let first = policy.initial_level.max(0) as usize;
    let mut steps: Vec<i64> = policy.ladder.0.iter().take(first + 1).copied().collect();
    let top = policy.ladder.daily(policy.ladder.top());
    while let Some(last) = steps.last().copied()
        && last < top
    {
        steps.push(((last as f64 * factor).round() as i64).min(top));
    }
    Ok(Ladder(steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_ten_values_and_a_list_its_own() {
        let sweep = Sweep::parse("pause.invalid=2..20").unwrap();
        assert_eq!((sweep.values.len(), sweep.values[0], sweep.values[9]), (10, 2.0, 20.0));
        assert_eq!(Sweep::parse("reports_min=5,1,3").unwrap().values, [1.0, 3.0, 5.0]);
        assert_eq!(
            Sweep::parse("raise.full_days=1..3").unwrap().values,
            [1.0, 2.0, 3.0],
            "whole, and each once"
        );
    }

    #[test]
    fn r21_other_lines_move_along() {
        let base = QuotaPolicy::default();
        for name in NAMES.iter().filter(|name| name.ends_with("invalid") || name.ends_with("reported")) {
            for value in [0.05, 0.4, 3.0, 7.0, 30.0] {
                let sweep = Sweep { name: (*name).to_owned(), values: vec![value] };
                let policy = sweep.policy(&base, value).unwrap_or_else(|error| panic!("{error}"));
                policy.check().expect("in their order");
            }
        }
        let sweep = Sweep::parse("pause.invalid=3").unwrap();
        let policy = sweep.policy(&base, 3.0).unwrap();
        assert_eq!(policy.pause.invalid, Ppm::percent(3), "what was set stays");
    }

    #[test]
    fn a_ladder_by_a_factor_ends_where_the_ladder_did() {
        let policy = Sweep::parse("ladder.factor=2").unwrap().policy(&QuotaPolicy::default(), 2.0).unwrap();
        assert_eq!(policy.ladder.0, [200, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 100_000]);
    }

    #[test]
    fn what_cannot_be_swept_is_told() {
        for (text, word) in [
            ("pause.invalid", "NAME=FROM..TO"),
            ("price=1..2", "pause.invalid"),
            ("pause.invalid=a..b", "NAME=FROM..TO"),
            ("pause.invalid=0..10", "pause.invalid cannot be 0"),
            ("confidence=50", "99.9"),
            ("ladder.factor=1", "1.1"),
            ("raise.full_days=9", "raise.full_days"),
        ] {
            let told = Sweep::parse(text).unwrap_err().to_string();
            assert!(told.contains(word), "{text}: {told}");
        }
    }
}
