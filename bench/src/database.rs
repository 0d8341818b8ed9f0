//! A database of one's own, and accounts that no rule but the measured one limits.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use indicia_domain::ledger::price::{Offer, PriceList};
use indicia_domain::mail::admission::Policy;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::Clock;
use indicia_store::account::NewAccount;
use indicia_store::audit::{Actor, ActorKind};
use indicia_store::package::PurchaseRequest;
use indicia_store::{DATABASE_FILE, Store};
use sqlx::{AnyConnection, Connection};

use crate::clock::MachineClock;

/// What can go wrong is told and ends the program.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

const PACKAGE_MAILS: i64 = 1_000_000_000;

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
    /// Opens the store with the machine's own clock.
    pub async fn open(&self) -> Result<Store, Fault> {
        self.open_at(Arc::new(MachineClock)).await
    }

    pub async fn open_at(&self, clock: Arc<dyn Clock>) -> Result<Store, Fault> {
        Ok(Store::open(&self.url, &self.data_dir, clock).await?)
    }

    pub fn is_sqlite(&self) -> bool {
        self.url == "sqlite"
    }

    /// A connection beside the store, for rows that a measurement starts from. The store was opened before.
    pub async fn connect(&self) -> Result<AnyConnection, Fault> {
        let url = match self.is_sqlite() {
            true => format!("sqlite://{}", self.data_dir.join(DATABASE_FILE).display()),
            false => self.url.clone(),
        };
        Ok(AnyConnection::connect(&url).await?)
    }
}

/// Enough of everything that no rule but the measured one limits the run.
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

/// Accounts with a package each that no run uses up.
pub async fn accounts_with_package(store: &Store, count: usize) -> Result<Vec<i64>, Fault> {
    let offer = Offer { mails: PACKAGE_MAILS, price: MoneyMicros(PACKAGE_MAILS) };
    let prices = PriceList::new(vec![offer], MoneyMicros(290), 6)?;
    let by = Actor::new(ActorKind::CommandLine, "bench");
    let mut accounts = Vec::new();
    for number in 0..count {
        let account_id = account(store, number).await?;
        store.credit(account_id, offer.price, "bench", &by, None).await?;
        let request = PurchaseRequest {
            account_id,
            specification: PACKAGE_MAILS,
            quantity: 1,
            starts_at: None,
            idempotency_key: None,
            nonce: None,
            by: by.clone(),
        };
        store.purchase(&request, &prices).await?;
        accounts.push(account_id);
    }
    Ok(accounts)
}
