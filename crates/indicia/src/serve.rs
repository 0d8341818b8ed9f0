//! The wiring: every listener and engine of one node, started in order and stopped without loss.
//!
//! Start: store, node, delivery, admission, then the doors. Stop, in the opposite order: the doors close and
//! finish what they had begun to accept, the committer ends after its last batch, delivery finishes what is on
//! the wire and gives the rest back to the queue, and the node gives its number back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use indicia_accounts::sms::SmsGateway;
use indicia_console::{ConsoleConfig, ConsoleState, Demo, DnsAdvice};
use indicia_delivery::dns::HickoryResolver;
use indicia_delivery::verp::Verp;
use indicia_delivery::{Delivery, Metrics};
use indicia_domain::time::Clock;
use indicia_intake::api::metrics::ApiMetrics;
use indicia_intake::api::protocol::throttle::ThrottleLimits;
use indicia_intake::api::settings::{ApiSettings, DirectoryLimits, DnsRecords};
use indicia_intake::api::{self, ApiState};
use indicia_intake::dns::UncachedDns;
use indicia_intake::operators::metrics::OperatorMetrics;
use indicia_intake::operators::{self, OperatorState};
use indicia_intake::payment::metrics::PaymentMetrics;
use indicia_intake::payment::{self, PaymentState};
use indicia_store::Store;
use indicia_store::admission::{Admission, Handoff};
use indicia_store::node::ServerLock;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::output::print;
use crate::cli::{Done, Failure};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::ops::Ops;
use crate::{logging, secrets};

/// A sixth of the time after which a silent node is taken for dead.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);

/// More than this between a node's clock and the database's is said aloud.
const CLOCK_APART_MAX_MICROS: i64 = 2_000_000;

/// How long a stop waits for requests that the doors have begun to take.
const DOORS_GRACE: Duration = Duration::from_secs(20);

/// Where a running node listens.
#[derive(Clone, Debug)]
pub struct Addresses {
    pub api: SocketAddr,
    pub submission: Vec<SocketAddr>,
}

/// What is not the configuration's: the demo's parts, and the way of texts.
#[derive(Default)]
pub struct Beside {
    pub demo: Option<Demo>,
    pub sms: Option<Arc<dyn SmsGateway>>,
}

/// A running node.
pub struct Service {
    pub addresses: Addresses,
    pub store: Store,
    ops: Ops,
    doors: CancellationToken,
    background: CancellationToken,
    door_tasks: Vec<JoinHandle<()>>,
    background_tasks: Vec<JoinHandle<()>>,
    admission: Admission,
    committer: JoinHandle<()>,
    delivery: Arc<Delivery>,
    pulse_stop: CancellationToken,
    pulse: JoinHandle<()>,
    _lock: ServerLock,
}

/// Runs the service until SIGTERM or SIGINT.
pub async fn run(config: Config) -> Done {
    logging::start(&config.log).map_err(Failure::usage)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Store::open(&config.store.url, &config.data_dir, clock.clone()).await?;
    let signals = StopSignals::catch()?;
    let beside = Beside { demo: None, sms: config.sms.gateway(clock.clone())? };
    let service = Service::start(&config, store, clock, beside).await?;
    if print("ready").is_err() {
        tracing::warn!("nobody could be told on standard output that the service is ready");
    }
    let signal = signals.wait().await;
    tracing::info!(signal, "stopping");
    service.stop().await;
    Ok(())
}

/// SIGTERM and SIGINT, caught from the moment this is made: whoever has read `ready` can stop the node cleanly.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    pub fn catch() -> Result<StopSignals, Failure> {
        let catch = |kind| {
            signal(kind).map_err(|error| Failure::failed(format!("signals cannot be caught: {error}")))
        };
        Ok(StopSignals {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
        })
    }

    /// Waits for one of them; says which it was.
    pub async fn wait(mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

impl Service {
    /// Starts everything; when it returns, every listener is up.
    pub async fn start(
        config: &Config,
        store: Store,
        clock: Arc<dyn Clock>,
        beside: Beside,
    ) -> Result<Service, Failure> {
        let lock = store.become_server(&config.data_dir).await?;
        config.set_policies(&store)?;
        let mut registry = Registry::default();
        let verp_key = return_path_key(&store).await?;
        let delivery = Arc::new(start_delivery(config, &store, clock.clone(), verp_key, &mut registry)?);
        let handoff: Arc<dyn Handoff> = Arc::new(delivery.fast_path());
        let (admission, committer) = Admission::start(store.clone(), config.policy()?, Some(handoff));
        let (doors, background) = (CancellationToken::new(), CancellationToken::new());
        let mut door_tasks = Vec::new();

        let api = api_router(config, &store, &admission, &mut registry)?.merge(payment_router(
            config,
            &store,
            clock.clone(),
            &mut registry,
        )?);
        let verp = Arc::new(verp(config, verp_key));
        let api = api.merge(operator_router(&store, verp.clone(), &mut registry).await?);
        let console = console_router(config, &store, beside.demo)?;
        let submission = crate::doors::submission(config, &store, &admission, &doors, &mut registry).await?;
        let inbound = crate::doors::inbound(config, &store, verp, &doors, &mut registry).await?;
        let jobs = crate::jobs::jobs(config, &store, beside.sms, &mut registry).await?;
        let ops = Ops::new(registry, store.clone());

        let api = serve_http("api.listen", config.api.listen, api, &doors, &mut door_tasks).await?;
        serve_http("console.listen", config.console.listen, console, &doors, &mut door_tasks).await?;
        let mut background_tasks = Vec::new();
        serve_http("metrics.listen", config.metrics.listen, ops.router(), &background, &mut background_tasks)
            .await?;
        background_tasks.push(tokio::spawn(indicia_accounts::run(jobs, background.clone())));
        let pulse_stop = CancellationToken::new();
        let pulse = tokio::spawn(pulse(store.clone(), delivery.clone(), pulse_stop.clone()));
        let addresses = Addresses { api, submission: submission.addresses.clone() };
        door_tasks.push(submission.task);
        door_tasks.push(inbound.task);
        ops.set_ready(true);
        tracing::info!(?addresses, inbound = ?inbound.addresses, "every listener is up");
        Ok(Service {
            addresses,
            store,
            ops,
            doors,
            background,
            door_tasks,
            background_tasks,
            admission,
            committer,
            delivery,
            pulse_stop,
            pulse,
            _lock: lock,
        })
    }

    /// Stops without losing anything that was accepted.
    pub async fn stop(self) {
        self.ops.set_ready(false);
        self.doors.cancel();
        join_within(DOORS_GRACE, self.door_tasks).await;
        self.admission.close();
        join(vec![self.committer]).await;
        drop(self.admission);
        self.pulse_stop.cancel();
        join(vec![self.pulse]).await;
        // Others must not take for dead a node that is still ending what is on the wire.
        let alive = tokio::spawn(keep_alive(self.store.clone()));
        // The doors and the committer, which held the other ends, are gone.
        match Arc::try_unwrap(self.delivery) {
            Ok(delivery) => delivery.stop().await,
            Err(_) => tracing::error!(
                "delivery is still in use and could not be stopped; its leases lapse by themselves"
            ),
        }
        alive.abort();
        self.background.cancel();
        join(self.background_tasks).await;
        self.store.close().await;
        tracing::info!("stopped");
    }
}

/// Says that this node lives, and takes over from nodes that do not. A node that was taken for dead (it slept) lets
/// go of all that it had leased and goes on under a new identity.
async fn pulse(store: Store, delivery: Arc<Delivery>, stop: CancellationToken) {
    loop {
        if let Err(error) = beat(&store, &delivery).await {
            tracing::warn!(%error, "the heartbeat failed; it is tried again in a moment");
        }
        tokio::select! {
            () = tokio::time::sleep(HEARTBEAT_INTERVAL) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn keep_alive(store: Store) {
    loop {
        if let Err(error) = store.heartbeat().await {
            tracing::warn!(%error, "the heartbeat failed while stopping");
        }
        tokio::time::sleep(HEARTBEAT_INTERVAL).await;
    }
}

async fn beat(store: &Store, delivery: &Delivery) -> indicia_store::Result<()> {
    if !store.heartbeat().await? {
        let mails = delivery.forget_leases();
        tracing::error!(
            mails,
            "this node was taken for dead and its mail by others; it goes on as a new node"
        );
        store.rejoin().await?;
    }
    if let Some(ahead) = store.clock_ahead_micros().await?
        && ahead.abs() > CLOCK_APART_MAX_MICROS
    {
        tracing::error!(
            ahead_ms = ahead / 1_000,
            "this node's clock and the database's are apart; packages end and hours are billed by the node's: set it right"
        );
    }
    let taken = store.reclaim_dead_leases().await?;
    if taken > 0 {
        tracing::warn!(mails = taken, "took over the mail of a dead node");
        delivery.wake();
    }
    Ok(())
}

/// A client that never ends its request must not keep the node from stopping: what it sent was not answered, so
/// nothing is lost.
async fn join_within(grace: Duration, tasks: Vec<JoinHandle<()>>) {
    let aborts: Vec<_> = tasks.iter().map(JoinHandle::abort_handle).collect();
    if tokio::time::timeout(grace, join(tasks)).await.is_err() {
        tracing::warn!(?grace, "connections were still open after the grace time and are cut");
        aborts.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

async fn join(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        if let Err(error) = task.await {
            tracing::error!(%error, "a task had failed");
        }
    }
}

/// The key that signs return paths: one for the whole installation, made at the first start.
async fn return_path_key(store: &Store) -> Result<[u8; 32], Failure> {
    let text = store.setting_or_insert("return_path_key", secrets::key_text).await?;
    secrets::key_of(&text)
        .ok_or_else(|| Failure::failed("the setting return_path_key in the database is damaged"))
}

fn verp(config: &Config, key: [u8; 32]) -> Verp {
    let domain = config.delivery.return_path_domain.as_deref().unwrap_or(&config.delivery.hostname);
    Verp::new(&key, domain)
}

fn start_delivery(
    config: &Config,
    store: &Store,
    clock: Arc<dyn Clock>,
    key: [u8; 32],
    registry: &mut Registry,
) -> Result<Delivery, Failure> {
    let resolver = HickoryResolver::new(&config.dns.servers)
        .map_err(|error| Failure::usage(format!("dns.servers: {error}")))?;
    let metrics = Metrics::register(registry.sub_registry_with_prefix("indicia"));
    let engine = config.delivery.engine_config(key)?;
    Delivery::start(engine, Arc::new(store.clone()), clock, Arc::new(resolver), metrics)
        .map_err(Failure::failed)
}

/// The records that customers are asked to publish; the API and the console show the same.
fn dns_records(config: &Config) -> DnsRecords {
    let mut records = DnsRecords::for_host(&config.delivery.hostname);
    if let Some(include) = &config.dns.spf_include {
        records.spf_include.clone_from(include);
    }
    if let Some(host) = &config.dns.mx_host {
        records.mx_host.clone_from(host);
    }
    records
}

fn api_router(
    config: &Config,
    store: &Store,
    admission: &Admission,
    registry: &mut Registry,
) -> Result<Router, Failure> {
    let throttle = ThrottleLimits::of(config.api.sends_per_second, config.api.calls_per_second);
    let settings = ApiSettings {
        throttle,
        records: dns_records(config),
        limits: DirectoryLimits {
            domains_max: config.limits.domains,
            senders_max: config.limits.sender_addresses,
            sender_deletions_per_month_max: config.limits.sender_deletions_per_month,
        },
        prices: config.price_list()?,
        policy: config.policy()?,
        currency: config.billing.currency.clone(),
        trusted_proxies: config.api.trusted_proxies.clone(),
        request_clock: Some(Arc::new(SystemClock)),
        ..ApiSettings::for_host(&config.delivery.hostname)
    };
    let dns = UncachedDns::new(&config.dns.servers)
        .map_err(|error| Failure::usage(format!("dns.servers: {error}")))?;
    let metrics = ApiMetrics::default();
    metrics.register(registry);
    Ok(api::router(ApiState::new(store.clone(), admission.clone(), Arc::new(dns), settings, metrics)))
}

/// Where operators' programs hand in spam reports.
async fn operator_router(store: &Store, verp: Arc<Verp>, registry: &mut Registry) -> Result<Router, Failure> {
    let tokens = secrets::operator_tokens(store).await?;
    let metrics = OperatorMetrics::default();
    metrics.register(registry);
    let return_paths = crate::doors::return_paths(verp);
    Ok(operators::router(OperatorState::new(store.clone(), return_paths, tokens, metrics)))
}

/// Where payment providers say that somebody paid.
fn payment_router(
    config: &Config,
    store: &Store,
    clock: Arc<dyn Clock>,
    registry: &mut Registry,
) -> Result<Router, Failure> {
    let settings = config.payment.settings(&config.billing.currency)?;
    let metrics = PaymentMetrics::default();
    metrics.register(registry);
    let state =
        PaymentState::new(Arc::new(store.clone()), &settings, clock, metrics).map_err(Failure::usage)?;
    Ok(payment::router(state))
}

fn console_router(config: &Config, store: &Store, demo: Option<Demo>) -> Result<Router, Failure> {
    let records = dns_records(config);
    let console = ConsoleConfig {
        public_url: config.console.public_url.clone(),
        currency: config.billing.currency.clone(),
        dns: DnsAdvice {
            spf_record: format!("v=spf1 include:{} -all", records.spf_include),
            dmarc_record: records.dmarc,
            mx_host: records.mx_host,
            ownership_label: records.ownership_label,
        },
        collection: config.billing.collection()?,
        ..ConsoleConfig::default()
    };
    let state = ConsoleState::new(console, store.clone(), config.price_list()?, config.policy()?, demo);
    Ok(indicia_console::router(state))
}

/// Binds now, so that a port that is taken is an error of the start, and serves until `stop`.
async fn serve_http(
    key: &str,
    address: SocketAddr,
    router: Router,
    stop: &CancellationToken,
    tasks: &mut Vec<JoinHandle<()>>,
) -> Result<SocketAddr, Failure> {
    let refused =
        |error: std::io::Error| Failure::failed(format!("{key}: cannot listen on {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    let stop = stop.clone();
    tasks.push(tokio::spawn(async move {
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let served = axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, %bound, "an HTTP listener ended");
        }
    }));
    Ok(bound)
}
