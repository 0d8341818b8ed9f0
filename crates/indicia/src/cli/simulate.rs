//! `indicia simulate`: quota policies tried out on simulated senders and mailbox providers. Needs no store.

use std::io::{IsTerminal, Write};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use clap::Args;
use indicia_domain::quota::policy::QuotaPolicy;
use indicia_simulate::compare::{Comparison, compare, summaries};
use indicia_simulate::picture::{self, Picture};
use indicia_simulate::regime::Regime;
use indicia_simulate::sweep::Sweep;
use indicia_simulate::table;
use indicia_simulate::vary::{Assumptions, vary};
use indicia_simulate::world::Operators;
use serde_json::{Value, json};

use super::output::{Out, print};
use super::{Done, Failure, print_json};
use crate::config::QuotaSection;

/// Runs of one regime at most: a day's work.
const SEEDS_MAX: u64 = 10_000;
const WEEKS_MAX: i64 = 520;

#[derive(Args)]
pub struct SimulateCommand {
    /// The policy: a configuration file, of which `[quota]` is read. Without it: the defaults.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// What to set it against: another file, `none` (no quota at all) or `fixed:N` (N mails a day for everybody). May be
    /// given several times.
    #[arg(long, value_name = "FILE|none|fixed:N")]
    against: Vec<String>,
    /// How long each run is.
    #[arg(long, default_value_t = 26)]
    weeks: i64,
    /// Which runs to make: the same seed is always the same run.
    #[arg(long, value_name = "FROM..TO", default_value = "1..20", value_parser = seeds)]
    seed: RangeInclusive<u64>,
    /// Draw pictures into this folder.
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Move one number of the policy over a range, as in `pause.invalid=2..20` (shares in per cent) or `reports_min=1,3,5`.
    /// May be given several times.
    #[arg(long, value_name = "NAME=RANGE")]
    sweep: Vec<String>,
    /// Try the policy in other worlds: what if an assumption is wrong.
    #[arg(long)]
    vary: bool,
    /// Nobody ever looks at a pause that only an operator can release.
    #[arg(long)]
    no_operators: bool,
    /// Without it: as many as there are processors. Changes nothing but the time it takes.
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print the numbers of the simulated world with their sources, as Markdown, and run nothing.
    #[arg(long)]
    constants: bool,
}

/// Reads `1..100`, both ends included, or one number.
fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let range = from.trim().parse().ok().zip(to.trim().parse().ok()).map(|(from, to): (u64, u64)| from..=to);
    match range {
        Some(range) if !range.is_empty() && range.end() - range.start() < SEEDS_MAX => Ok(range),
        _ => Err(format!("'{text}' is not a range of seeds: write 1..100, of at most {SEEDS_MAX} seeds")),
    }
}

pub async fn run(command: SimulateCommand) -> Done {
    if command.constants {
        return print(table::constants().trim_end());
    }
    if !(1..=WEEKS_MAX).contains(&command.weeks) {
        return Err(Failure::usage(format!("--weeks is from 1 to {WEEKS_MAX}, not {}", command.weeks)));
    }
    // Nothing else waits for this thread, but the runtime must not be held.
    let done = tokio::task::spawn_blocking(move || simulate(&command)).await;
    done.map_err(|error| Failure::failed(format!("the simulation broke off: {error}")))?
}

fn simulate(command: &SimulateCommand) -> Done {
    let standard = match &command.policy {
        Some(path) => QuotaSection::policy_of_file(path)?,
        None => QuotaPolicy::default(),
    };
    let name = command.policy.as_deref().map_or("default".to_owned(), file_name);
    let mut regimes = vec![Regime::policy(name, standard.clone())];
    for text in &command.against {
        regimes.push(regime(text)?);
    }
    let sweeps = command.sweep.iter().map(|text| Sweep::parse(text)).collect::<Result<Vec<_>, _>>();
    let sweeps = sweeps.map_err(Failure::usage)?;
    if let Some(folder) = &command.svg {
        std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, error))?;
    }
    let comparison = Comparison {
        regimes,
        seeds: command.seed.clone(),
        weeks: command.weeks,
        operators: if command.no_operators { Operators::Never } else { Operators::AfterAWeek },
        assumptions: Assumptions::default(),
        threads: command.threads,
    };
    match (sweeps.is_empty(), command.vary) {
        (true, false) => compared(command, &comparison),
        (true, true) => varied(command, &comparison),
        (false, _) => sweeps.iter().try_for_each(|sweep| swept(command, sweep, &standard, &comparison)),
    }
}

fn regime(text: &str) -> Result<Regime, Failure> {
    if let Some(regime) = Regime::parse(text).map_err(Failure::usage)? {
        return Ok(regime);
    }
    let path = Path::new(text);
    let policy = QuotaSection::policy_of_file(path)?;
    Ok(Regime::policy(file_name(path), policy))
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn compared(command: &SimulateCommand, comparison: &Comparison) -> Done {
    let outcomes = compare(comparison, &progress());
    let summaries = summaries(&outcomes);
    save(command, &picture::of_comparison(&outcomes))?;
    if command.json {
        return print_json(&document(command, json!({ "regimes": summaries })));
    }
    let mut out = Out::open();
    out.line(table::comparison(&summaries, &shown_seeds(&command.seed), command.weeks))?;
    for outcome in &outcomes {
        out.line("")?;
        out.line(table::kinds(outcome))?;
    }
    out.close()
}

fn varied(command: &SimulateCommand, comparison: &Comparison) -> Done {
    let results = vary(comparison, &progress());
    if command.json {
        let worlds: Vec<Value> =
            results.iter().map(|(name, regimes)| json!({ "world": name, "regimes": regimes })).collect();
        return print_json(&document(command, json!({ "worlds": worlds })));
    }
    print(table::variations(&results))
}

fn swept(command: &SimulateCommand, sweep: &Sweep, base: &QuotaPolicy, comparison: &Comparison) -> Done {
    let results = sweep.run(base, comparison, &progress()).map_err(Failure::usage)?;
    save(command, &[picture::of_sweep(&sweep.name, &results)])?;
    if command.json {
        let values: Vec<Value> =
            results.iter().map(|(value, summary)| json!({ "value": value, "summary": summary })).collect();
        return print_json(&document(command, json!({ "sweep": sweep.name, "values": values })));
    }
    print(table::sweep(&sweep.name, &results))
}

fn document(command: &SimulateCommand, mut results: Value) -> Value {
    results["weeks"] = json!(command.weeks);
    results["seeds"] = json!({ "from": command.seed.start(), "to": command.seed.end() });
    results
}

fn shown_seeds(seeds: &RangeInclusive<u64>) -> String {
    match seeds.start() == seeds.end() {
        true => seeds.start().to_string(),
        false => format!("{} to {}", seeds.start(), seeds.end()),
    }
}

fn save(command: &SimulateCommand, pictures: &[Picture]) -> Done {
    let Some(folder) = &command.svg else { return Ok(()) };
    for picture in pictures {
        let path = folder.join(&picture.file);
        std::fs::write(&path, &picture.svg).map_err(|error| unwritable(&path, error))?;
    }
    Ok(())
}

fn unwritable(path: &Path, error: std::io::Error) -> Failure {
    Failure::failed(format!("{} cannot be written: {error}", path.display()))
}

/// How far it is, for somebody who watches; nothing in a pipe.
fn progress() -> impl Fn(usize, usize) + Sync {
    let is_watched = std::io::stderr().is_terminal();
    move |done, all| {
        if is_watched {
            let end = if done == all { "\r\x1b[K" } else { "" };
            // Whoever closed standard error does not want to know.
            let _ = write!(std::io::stderr(), "\r{done} of {all} simulated{end}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_seeds() {
        assert_eq!(seeds("1..100"), Ok(1..=100));
        assert_eq!(seeds("7"), Ok(7..=7));
        for wrong in ["", "5..1", "a..b", "1..", "1..20000", "-1..3"] {
            let told = seeds(wrong).unwrap_err();
            assert!(told.contains("1..100"), "{wrong}: {told}");
        }
    }

    #[test]
    fn what_it_is_set_against() {
        assert_eq!(regime("none").ok(), Some(Regime::Unlimited));
        let told = |text: &str| format!("{:?}", regime(text).err());
        assert!(told("fixed:0").contains("fixed:50000"));
        assert!(told("missing.toml").contains("missing.toml"));
    }
}
