//! The steps, their order, and what each of them runs.

use std::process::Command;

use clap::ValueEnum;

use crate::process::{self, Error, cargo, command, root};
use crate::report::Report;
use crate::{tools, venv};

/// One step. Declared in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Step {
    /// rustfmt finds nothing to change
    Fmt,
    /// clippy finds nothing, warnings being errors
    Clippy,
    /// Unit, property and documentation tests of all crates
    Unit,
    /// The running server from outside: SMTP, DNS, delivery, command line, operation
    E2e,
    /// The official Python SDKs, unmodified
    Sdk,
    /// The console in Chromium
    Browser,
    /// SIGKILL again and again under load
    Crash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// What was asked for on the command line.
pub struct Selection {
    steps: Vec<Step>,
    engine: Option<Engine>,
    may_install: bool,
    pytest: Vec<String>,
}

impl Selection {
    /// No steps named means all of them.
    pub fn new(mut steps: Vec<Step>, engine: Option<Engine>, may_install: bool, pytest: Vec<String>) -> Self {
        if steps.is_empty() {
            steps = Step::value_variants().to_vec();
        }
        steps.sort();
        steps.dedup();
        Self { steps, engine, may_install, pytest }
    }

    fn suites(&self) -> impl Iterator<Item = Step> + '_ {
        self.steps.iter().copied().filter(|step| step.marker().is_some())
    }
}

impl Step {
    /// The pytest marker that selects this step's tests; None when pytest is not involved.
    fn marker(self) -> Option<&'static str> {
        match self {
            Step::Fmt | Step::Clippy | Step::Unit => None,
            Step::E2e => Some("e2e"),
            Step::Sdk => Some("sdk"),
            Step::Browser => Some("browser"),
            Step::Crash => Some("crash"),
        }
    }

    fn title(self) -> &'static str {
        match self {
            Step::Fmt => "Format",
            Step::Clippy => "Clippy",
            Step::Unit => "Unit and property tests",
            Step::E2e => "End to end",
            Step::Sdk => "Official SDKs",
            Step::Browser => "Console in Chromium",
            Step::Crash => "Kill and recover",
        }
    }

    /// Two workers halve the time of suites that wait a lot; the crash suite has the machine for itself,
    /// because its load is part of what it proves.
    fn workers(self) -> Option<&'static str> {
        matches!(self, Step::E2e | Step::Sdk).then_some("2")
    }
}

/// Runs the selected steps; prints a summary whether they pass or not.
pub fn run(selection: &Selection) -> Result<(), Error> {
    let mut report = Report::default();
    let result = run_all(selection, &mut report);
    report.print();
    result
}

fn run_all(selection: &Selection, report: &mut Report) -> Result<(), Error> {
    let with_suites = selection.suites().next().is_some();
    report.step("What the machine needs", || {
        tools::ensure(selection.suites(), selection.may_install)?;
        // The unit tests of the SMS gateways talk to a Python message centre.
        if with_suites || selection.steps.contains(&Step::Unit) {
            venv::ensure(selection.may_install)
        } else {
            Ok(())
        }
    })?;
    for &step in &selection.steps {
        match step {
            Step::Fmt => {
                report.step(step.title(), || process::run(with(cargo(), &["fmt", "--all", "--check"])))?
            }
            Step::Clippy => report.step(step.title(), || {
                process::run(with(
                    cargo(),
                    &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
                ))
            })?,
            Step::Unit => report.step(step.title(), unit)?,
            Step::E2e | Step::Sdk | Step::Browser | Step::Crash => {}
        }
    }
    if with_suites {
        report.step("Build", || {
            process::run(with(cargo(), &["build", "--locked", "--package", "indicia", "--bin", "indicia"]))
        })?;
    }
    for suite in selection.suites() {
        report.step(suite.title(), || pytest(selection, suite))?;
    }
    Ok(())
}

/// nextest runs the tests when it is there (it runs binaries side by side); documentation tests need cargo.
fn unit() -> Result<(), Error> {
    if process::succeeds(with(cargo(), &["nextest", "--version"])) {
        process::run(with(
            cargo(),
            &["nextest", "run", "--workspace", "--locked", "--no-fail-fast", "--no-tests=fail"],
        ))?;
        process::run(with(cargo(), &["test", "--workspace", "--locked", "--doc", "--quiet"]))
    } else {
        process::run(with(cargo(), &["test", "--workspace", "--locked", "--no-fail-fast"]))
    }
}

fn pytest(selection: &Selection, suite: Step) -> Result<(), Error> {
    let mut made = command(venv::python());
    made.args(["-m", "pytest", "tests"]);
    made.args(["-m", suite.marker().unwrap_or_default()]);
    if let Some(engine) = selection.engine {
        let name = match engine {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
        };
        made.args(["--engine", name]);
    }
    if let Some(workers) = suite.workers() {
        made.args(["-n", workers, "--dist", "loadscope"]);
    }
    made.args(&selection.pytest);
    made.env("E2E_BINARY", root().join("target/debug/indicia"));
    made.env("PYTHONDONTWRITEBYTECODE", "1");
    process::run(made)
}

fn with(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}
