//! One schema and one set of queries on two engines, SQLite and PostgreSQL.
//!
//! Quota, ledger and spool live in one database, so that one commit makes a mail durable, counted and paid
//! ([`admission`]). The rules themselves are pure functions of `indicia-domain`; this crate loads the rows that
//! they need, runs them and writes back what changed.
//!
//! | file | what it keeps |
//! | --- | --- |
//! | [`account`] | accounts, operators, access keys |
//! | [`contact`] | where and in which language an account is told things |
//! | [`directory`] | sending domains and sender addresses |
//! | [`package`] | resource packages: bought, renewed, exchanged, given back |
//! | [`order`] | what was ordered, by whom |
//! | `books` | an account opened for a change of its money or packages: every line but those of mails |
//! | [`dedicated_ip`] | dedicated IP addresses, their pools and their warm-up |
//! | [`money`] | credits, payments, adjustments, credit limits |
//! | `repeat` | what is asked for again under its idempotency key |
//! | [`usage`] | totals by hour, package and day, kept with every charge |
//! | [`bill`] | bills by the clock hour |
//! | [`collection`] | what is called in, paid, overdue |
//! | [`alert`] | low-balance alerts |
//! | [`notice`] | what accounts are told, over three channels |
//! | [`audit`] | who did what |
//! | [`statement`] | a month of money and packages from opening to closing |
//! | [`oversight`] | what operators see of all accounts together |
//! | [`admission`] | the group commit that accepts mail |
//! | [`queue`] | leases, hand-backs, what operators do to waiting mail |
//! | [`evidence`] | what became of mail, counted by day and by five minutes |
//! | [`reach`] | unique recipients |
//! | [`quota`] | reviews, the brake, pauses, allowances of what was added later |
//! | [`suspension`] | mail that is held in the queue |
//! | [`outcome`] | the group commit of delivery attempts |
//! | [`bounce`] | reports that come back after delivery |
//! | [`report`] | spam reports, each mail's once |
//! | `reversal` | a charge given back to the sources that paid |
//! | [`message`] | the mail log and a mail's timeline |
//! | [`ledger`] | statements, deductions, balances as of an instant |
//! | [`verification`] | every account's rows held against its ledger |
//! | [`invalid`] | the invalid-address library |
//! | [`suppression`] | what owners do with it |
//! | [`block`] | who unsubscribed or reported spam |
//! | [`ip_filter`] | from where an account's calls and mail may come |
//! | [`session`] | console log-ins |
//! | [`node`] | which processes live, their id numbers and leases |

pub mod account;
pub mod admission;
pub mod alert;
pub mod audit;
pub mod bill;
pub mod block;
mod books;
pub mod bounce;
mod bulk;
pub mod collection;
pub mod contact;
pub mod dedicated_ip;
pub mod directory;
mod engine;
mod error;
pub mod evidence;
pub mod invalid;
pub mod ip_filter;
pub mod ledger;
pub mod message;
pub mod money;
pub mod node;
pub mod notice;
pub mod order;
pub mod outcome;
pub mod oversight;
pub mod package;
pub mod queue;
pub mod quota;
pub mod reach;
mod repeat;
pub mod report;
mod reversal;
pub mod session;
mod setting;
pub mod statement;
pub mod suppression;
pub mod suspension;
mod upgrade;
pub mod usage;
pub mod verification;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};

use indicia_domain::quota::policy::QuotaPolicy;
use indicia_domain::quota::warmup::WarmupPolicy;
use indicia_domain::time::{Clock, UnixMicros};
use sqlx::{Any, AnyPool, Transaction};
use tokio::sync::Mutex;

pub use engine::{DATABASE_FILE, Engine, private_folder};
pub use error::{Result, StoreError};

use engine::Connections;
use node::Node;

/// The store: cheap to clone, shared by everything in a process.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    connections: Connections,
    clock: Arc<dyn Clock>,
    /// This process's identity; a new one after it was taken for dead.
    node: RwLock<Option<Arc<Node>>>,
    joining: Mutex<()>,
    /// Nodes whose heartbeat is old: it, and at how many looks it was the same.
    silent_nodes: std::sync::Mutex<HashMap<i64, (i64, u32)>>,
    /// See [`Store::invalid_library_version`].
    invalid_version: AtomicU64,
    /// The ladder and the lines that hold in this process.
    quota_policy: RwLock<Arc<QuotaPolicy>>,
    reach: reach::Remembered,
    /// See [`Store::set_warmup_policy`].
    warmup: RwLock<Arc<WarmupPolicy>>,
    /// See [`Store::ip_protection_version`].
    ip_protection_version: AtomicU64,
}

impl Store {
    /// Opens the database and brings its schema up to date. `url` is `sqlite` (a file in `data_dir`) or
    /// `postgres://user:password@host/database`.
    pub async fn open(url: &str, data_dir: &Path, clock: Arc<dyn Clock>) -> Result<Store> {
        let connections = Connections::open(url, data_dir).await?;
        let store = Store {
            inner: Arc::new(Inner {
                connections,
                clock,
                node: RwLock::default(),
                joining: Mutex::default(),
                silent_nodes: std::sync::Mutex::default(),
                invalid_version: AtomicU64::new(0),
                quota_policy: RwLock::default(),
                reach: reach::Remembered::default(),
                warmup: RwLock::default(),
                ip_protection_version: AtomicU64::new(0),
            }),
        };
        store.fill_totals().await?;
        Ok(store)
    }

    pub fn engine(&self) -> Engine {
        self.inner.connections.engine
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    pub fn now(&self) -> UnixMicros {
        self.inner.clock.now()
    }

    /// A new id. The first call in a process takes a node number in the database.
    pub async fn next_id(&self) -> Result<i64> {
        Ok(self.node().await?.ids.next(self.now()))
    }

    async fn node(&self) -> Result<Arc<Node>> {
        if let Some(node) = self.joined() {
            return Ok(node);
        }
        let _joining = self.inner.joining.lock().await;
        if let Some(node) = self.joined() {
            return Ok(node);
        }
        let node = Arc::new(Node::join(self).await?);
        self.set_node(Some(node.clone()));
        Ok(node)
    }

    fn joined(&self) -> Option<Arc<Node>> {
        self.inner.node.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_node(&self, node: Option<Arc<Node>>) {
        *self.inner.node.write().unwrap_or_else(PoisonError::into_inner) = node;
    }

    /// R20 to R22: the ladder and the lines; the default until they are set.
    pub fn quota_policy(&self) -> Arc<QuotaPolicy> {
        self.inner.quota_policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the ladder and the lines that reviews, the brake and new allowances go by from now on in this process.
    pub fn set_quota_policy(&self, policy: QuotaPolicy) {
        *self.inner.quota_policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    fn reach(&self) -> &reach::Remembered {
        &self.inner.reach
    }

    fn read(&self) -> &AnyPool {
        &self.inner.connections.read
    }

    async fn begin(&self) -> Result<Transaction<'static, Any>> {
        self.inner.connections.begin().await
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(self.read()).await?;
        Ok(())
    }

    /// Gives the node's number back and closes every connection.
    pub async fn close(&self) {
        if let Some(node) = self.joined()
            && let Err(error) = self.leave(node.id).await
        {
            tracing::warn!(%error, "the node's number could not be given back; it lapses by itself");
        }
        self.inner.connections.close().await;
    }
}
