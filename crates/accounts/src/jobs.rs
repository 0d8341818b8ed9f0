//! What the jobs need, one round of each, and running them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use indicia_domain::ledger::bill::CollectionPolicy;
use indicia_domain::ledger::price::PriceList;
use indicia_store::bill::BillingRound;
use indicia_store::package::Phases;
use indicia_store::quota::BrakeMemory;
use indicia_store::{Result, Store};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::housekeeping::Housekeeping;
use crate::metrics::Metrics;
use crate::notice::NoticeSettings;
use crate::notice::tell::NoticeRound;
use crate::pace::{Job, Quarters, keep_looking};
use crate::reputation::REVIEW_AT_LEAST_EVERY;
use crate::sms::SmsGateway;
use crate::texts::TextRound;

/// Usage that is booked late, and charges given back after their bill, are billed within this time.
const BILLING_AT_LEAST_EVERY: Duration = Duration::from_secs(30);
/// Open bills come near the threshold between two quarters of an hour.
const AHEAD_AT_LEAST_EVERY: Duration = Duration::from_secs(60);
/// What has no more use has no hurry to go.
const TIDYING_AT_LEAST_EVERY: Duration = Duration::from_secs(60);
/// Rounds of notices, or of texts, that follow each other without a pause.
const ROUNDS_MAX: usize = 100;
/// How long a stop waits for rounds that have begun; a text that is with the gateway should be noted.
const STOP_GRACE: Duration = Duration::from_secs(20);

/// The jobs of one node. Each round may be done at any time, by several nodes at once.
#[derive(Clone)]
pub struct Jobs {
    pub store: Store,
    /// What pay-as-you-go mails cost (R10), and the leads of expiry notices (R14).
    pub prices: PriceList,
    /// When open bills are collected (R11).
    pub collection: CollectionPolicy,
    pub notices: NoticeSettings,
    /// Without one, texts are not made.
    pub sms: Option<Arc<dyn SmsGateway>>,
    pub metrics: Metrics,
}

impl Jobs {
    /// R10, R11: makes the bills of hours that are over, and collects.
    pub async fn bill(&self) -> Result<BillingRound> {
        let round = self.store.make_bills(&self.prices, &self.collection).await?;
        self.metrics.bills.inc_by(round.bills);
        self.metrics.settlements.inc_by(round.settlements);
        self.metrics.overdue.inc_by(round.overdue);
        if round != BillingRound::default() {
            let BillingRound { bills, settlements, overdue, .. } = round;
            tracing::info!(bills, settlements, overdue, "bills were made or collected");
        }
        Ok(round)
    }

    /// R13, R15: sees packages whose validity has begun or ended.
    pub async fn pass_phases(&self) -> Result<Phases> {
        let phases = self.store.pass_phases(self.prices.expiry_leads()).await?;
        if phases != Phases::default() {
            tracing::info!(begun = phases.begun, ended = phases.ended, "packages began or ended");
        }
        Ok(phases)
    }

    /// R11: tells accounts that are short before their bills are collected; returns how many.
    pub async fn look_ahead(&self) -> Result<u64> {
        let (price, lead_days) = (self.prices.pay_as_you_go(), self.notices.collection_lead_days);
        let told = self.store.announce_collections(price, &self.collection, lead_days).await?;
        if told > 0 {
            tracing::info!(accounts = told, "accounts are told that they are short before a collection");
        }
        Ok(told)
    }
}

/// Runs the jobs until `stop`, each in a task of its own, so that one that fails or hangs holds up no other.
pub async fn run(jobs: Jobs, stop: CancellationToken) {
    let jobs = Arc::new(jobs);
    let mut tasks = JoinSet::new();
    let quarters = Quarters::new;
    tasks.spawn(keep_looking(Billing(jobs.clone(), quarters(BILLING_AT_LEAST_EVERY)), stop.clone()));
    tasks.spawn(keep_looking(PackagePhases(jobs.clone()), stop.clone()));
    tasks.spawn(keep_looking(Ahead(jobs.clone(), quarters(AHEAD_AT_LEAST_EVERY)), stop.clone()));
    tasks.spawn(keep_looking(Reviews(jobs.clone(), quarters(REVIEW_AT_LEAST_EVERY)), stop.clone()));
    tasks.spawn(keep_looking(Brake(jobs.clone(), BrakeMemory::default()), stop.clone()));
    tasks.spawn(keep_looking(Notices(jobs.clone()), stop.clone()));
    if jobs.sms.is_some() {
        tasks.spawn(keep_looking(Texts(jobs.clone(), stop.clone()), stop.clone()));
    }
    tasks.spawn(keep_looking(Tidying(jobs.store.clone(), quarters(TIDYING_AT_LEAST_EVERY)), stop.clone()));
    stop.cancelled().await;
    let ended = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_GRACE, ended).await.is_err() {
        tracing::warn!("a job did not end in time and was cut off; what it had not committed is done again");
        tasks.shutdown().await;
    }
    if let Some(gateway) = &jobs.sms {
        gateway.close().await;
    }
}

struct Billing(Arc<Jobs>, Quarters);

#[async_trait]
impl Job for Billing {
    fn name(&self) -> &'static str {
        "billing"
    }

    async fn look(&mut self) -> Result<()> {
        let now = self.0.store.now();
        if self.1.is_due(now) {
            self.0.bill().await?;
            self.1.looked(now);
        }
        Ok(())
    }
}

struct PackagePhases(Arc<Jobs>);

#[async_trait]
impl Job for PackagePhases {
    fn name(&self) -> &'static str {
        "package phases"
    }

    async fn look(&mut self) -> Result<()> {
        self.0.pass_phases().await.map(|_| ())
    }
}

struct Ahead(Arc<Jobs>, Quarters);

#[async_trait]
impl Job for Ahead {
    fn name(&self) -> &'static str {
        "collection ahead"
    }

    async fn look(&mut self) -> Result<()> {
        let now = self.0.store.now();
        if self.1.is_due(now) {
            self.0.look_ahead().await?;
            self.1.looked(now);
        }
        Ok(())
    }
}

struct Reviews(Arc<Jobs>, Quarters);

#[async_trait]
impl Job for Reviews {
    fn name(&self) -> &'static str {
        "quota reviews"
    }

    async fn look(&mut self) -> Result<()> {
        let now = self.0.store.now();
        if self.1.is_due(now) {
            self.0.review().await?;
            self.1.looked(now);
        }
        Ok(())
    }
}

struct Brake(Arc<Jobs>, BrakeMemory);

#[async_trait]
impl Job for Brake {
    fn name(&self) -> &'static str {
        "brake"
    }

    async fn look(&mut self) -> Result<()> {
        self.0.brake(&mut self.1).await.map(|_| ())
    }
}

struct Notices(Arc<Jobs>);

#[async_trait]
impl Job for Notices {
    fn name(&self) -> &'static str {
        "notices"
    }

    async fn look(&mut self) -> Result<()> {
        for _ in 0..ROUNDS_MAX {
            if self.0.tell().await? == NoticeRound::default() {
                break;
            }
        }
        self.0.measure_oldest_notice().await
    }
}

struct Texts(Arc<Jobs>, CancellationToken);

#[async_trait]
impl Job for Texts {
    fn name(&self) -> &'static str {
        "texts"
    }

    async fn look(&mut self) -> Result<()> {
        for _ in 0..ROUNDS_MAX {
            if self.1.is_cancelled() || self.0.send_texts().await? == TextRound::default() {
                break;
            }
        }
        Ok(())
    }
}

struct Tidying(Store, Quarters);

#[async_trait]
impl Job for Tidying {
    fn name(&self) -> &'static str {
        "housekeeping"
    }

    async fn look(&mut self) -> Result<()> {
        let now = self.0.now();
        if self.1.is_due(now) {
            Housekeeping::round(&self.0).await?;
            self.1.looked(now);
        }
        Ok(())
    }
}
