//! Measures the ledger through the store's own calls: deductions per second, and how long a statement takes.
//!
//! ```text
//! ledger deductions --url sqlite --accounts 1 --recipients 1 --seconds 5
//! ledger statement --url postgres://… --mails 10000000
//! ```
//! Prints one line of JSON. `bench/ledger` runs both on both engines beside pgbench.

mod deductions;
mod statement;

use clap::{Parser, Subcommand};
use indicia_bench::database::Fault;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Mails charged per second through the group commit.
    Deductions(deductions::Options),
    /// Time to read all that a month's statement shows.
    Statement(statement::Options),
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let result = match Arguments::parse().what {
        What::Deductions(options) => deductions::measure(options).await?,
        What::Statement(options) => statement::measure(options).await?,
    };
    println!("{result}");
    Ok(())
}
