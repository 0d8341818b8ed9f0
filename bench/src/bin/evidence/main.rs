//! Measures what reputation costs and how fast it answers, through the store's own calls.
//!
//! ```text
//! evidence reading --url sqlite --data-dir FOLDER --mails 10000000
//! evidence brake --url postgres://… --data-dir FOLDER --rate 1000
//! ```
//! Prints one line of JSON. `bench/evidence` runs both on both engines.

mod brake;
mod reading;
mod traffic;
mod week;

use clap::{Parser, Subcommand};
use indicia_bench::database::Fault;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Time to read the evidence of a week.
    Reading(reading::Options),
    /// From the first bad outcome to the pause, under load.
    Brake(brake::Options),
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let result = match Arguments::parse().what {
        What::Reading(options) => reading::measure(options).await?,
        What::Brake(options) => brake::measure(options).await?,
    };
    println!("{result}");
    Ok(())
}
