//! `cargo xtask test`: everything that must hold before a change lands, from a fresh machine on.
//!
//! The steps run in a fixed order, cheapest first; the first failure ends the run with a non-zero status.
//! What the chosen steps need beyond Rust and Python 3 (PostgreSQL, dnsmasq, Postfix, Chromium) is
//! installed with apt when this runs as root on Debian; otherwise the run says what to install and ends.

mod process;
mod report;
mod steps;
mod tools;
mod venv;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use steps::{Engine, Selection, Step};

#[derive(Parser)]
#[command(name = "xtask", about = "Checks and tests of Indicia")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Format check, clippy, unit and property tests, then the end-to-end, SDK, browser and crash suites
    Test {
        /// Only these steps, separated by commas
        #[arg(long, value_enum, value_delimiter = ',')]
        only: Vec<Step>,
        /// Only this store engine in the suites that start the server (default: both)
        #[arg(long, value_enum)]
        engine: Option<Engine>,
        /// Never install anything: end with a list of what is missing
        #[arg(long)]
        no_install: bool,
        /// Further arguments for pytest, after `--`: `-- -k billing -x`
        #[arg(last = true)]
        pytest: Vec<String>,
    },
}

fn main() -> ExitCode {
    let Command::Test { only, engine, no_install, pytest } = Arguments::parse().command;
    let selection = Selection::new(only, engine, !no_install, pytest);
    match steps::run(&selection) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nxtask: {error}");
            ExitCode::FAILURE
        }
    }
}
