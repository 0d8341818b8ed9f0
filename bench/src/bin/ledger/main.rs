//! Measures the ledger through the store's own calls: deductions per second, and how long a statement takes.
//!
//! ```text
//! ledger deductions --url sqlite --accounts 1 --recipients 1 --seconds 5
//! ledger statement --url postgres://… --mails 10000000
//! ```
//! Prints one line of JSON. `bench/ledger` runs both on both engines beside pgbench.

mod deductions;
mod statement;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use indicia_bench::clock::MachineClock;
use indicia_domain::mail::admission::Policy;
use indicia_store::Store;
use indicia_store::account::NewAccount;

/// What can go wrong is told and ends the program.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

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

#[derive(Args, Clone)]
pub struct Database {
    /// `sqlite` or `postgres://…`
    #[arg(long, default_value = "sqlite")]
    pub url: String,
    /// Folder of the SQLite file, empty or new.
    #[arg(long)]
    pub data_dir: PathBuf,
}

impl Database {
    pub async fn open(&self) -> Result<Store, Fault> {
        Ok(Store::open(&self.url, &self.data_dir, Arc::new(MachineClock)).await?)
    }
}

/// Enough of everything that no rule but the ledger's limits the run.
pub fn policy() -> Policy {
    Policy {
        free_total_mails: 0,
        free_daily_mails: 0,
        initial_daily_quota: 1_000_000_000,
        ..Policy::default()
    }
}

pub async fn account(store: &Store, number: usize) -> Result<i64, Fault> {
    let new = NewAccount {
        name: format!("Bench {number}"),
        email: format!("bench{number}@example.org"),
        phone: String::new(),
        zone: "UTC".to_owned(),
        password_hash: String::new(),
        access_key_id: format!("bench{number}"),
        access_key_secret: String::new(),
    };
    Ok(store.create_account(&new, &policy()).await?)
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
