//! Indicia: a DirectMail service that anyone can run.
//!
//! The binary is the only crate that knows all others: it reads the command line and the configuration, and
//! wires the edges to the store. Exit status: 0 done, 1 failed, 2 wrong usage or configuration.

mod cli;
mod clock;
mod config;
mod demo;
mod doors;
mod jobs;
mod logging;
mod ops;
mod secrets;
mod serve;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = cli::Arguments::read();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return cli::Failure::failed(format!("the runtime could not be started: {error}")).report();
        }
    };
    match runtime.block_on(cli::run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
