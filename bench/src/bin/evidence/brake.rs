//! From the first bad outcome to the pause (R22), while mail is accepted and delivered at a given rate.
//!
//! Two of the accounts turn bad: one that sends much, one that sends little. The brake looks as the server's job does:
//! a second after its last round ended. How long a pause takes has two parts. Until the evidence is beyond chance
//! nobody may be paused, and an account that sends little shows it late; the load finds that instant by the rule
//! itself ([`crate::traffic`]). What is then left is the brake's own delay.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use indicia_bench::database::{Database, Fault, accounts_with_package};
use indicia_domain::time::{SECOND_MICROS, UnixMicros};
use indicia_store::Store;
use indicia_store::quota::BrakeMemory;
use serde_json::json;

use crate::traffic::{Bad, Traffic};

#[derive(Args, Clone)]
pub struct Options {
    #[command(flatten)]
    database: Database,
    #[arg(long, default_value_t = 100)]
    accounts: usize,
    /// Mails a second of all accounts together.
    #[arg(long, default_value_t = 1_000)]
    rate: u64,
    /// The load goes on for so long, and on until both accounts are paused.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// When they turn bad.
    #[arg(long, default_value_t = 20)]
    turn_at_second: u64,
    /// Mails a second of the accounts that turn bad; each divides the rate.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 5])]
    bad_rates: Vec<u64>,
    /// From then on, one mail in so many goes to an address that does not exist.
    #[arg(long, default_value_t = 5)]
    bad_invalid_every: u64,
}

/// As the server's job pauses.
const PACE: Duration = Duration::from_secs(1);
/// The run ends as a failure when an account is not paused by then. It stays in the brake's shortest window.
const SECONDS_MAX: u64 = 240;
/// Looks at all accounts by a node that has just started.
const FIRST_LOOKS: usize = 5;

pub async fn measure(options: Options) -> Result<serde_json::Value, Fault> {
    let store = options.database.open().await?;
    let accounts = accounts_with_package(&store, options.accounts).await?;
    let (bad, good) = accounts.split_at(options.bad_rates.len());
    let bad = bad.iter().zip(&options.bad_rates).map(|(id, rate)| Arc::new(Bad::new(*id, *rate)));
    let traffic = Arc::new(Traffic {
        store: store.clone(),
        good: good.to_vec(),
        bad: bad.collect(),
        mails_per_s: options.rate,
        turn_at: Duration::from_secs(options.turn_at_second),
        bad_invalid_every: options.bad_invalid_every,
        accepted: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        decided: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        all_answered: AtomicBool::new(false),
    });
    let began = Instant::now();
    let accepting = tokio::spawn(traffic.clone().accept());
    let delivering = tokio::spawn(traffic.clone().deliver());
    let braked = rounds(&options, &traffic, began).await;
    let loaded_seconds = began.elapsed().as_secs_f64();
    traffic.stop.store(true, Ordering::Relaxed);
    let answered = accepting.await;
    traffic.all_answered.store(true, Ordering::Relaxed);
    answered??;
    delivering.await??;
    let rounds = braked?;
    let accepted = traffic.accepted.load(Ordering::Relaxed);
    let decided = traffic.decided.load(Ordering::Relaxed);
    if accepted != decided {
        return Err(format!("{accepted} mails were accepted, {decided} are decided").into());
    }
    let mut paused = Vec::new();
    for bad in &traffic.bad {
        paused.push(pause_of(&store, bad).await?);
    }
    let first_look = first_look(&store).await?;
    let violations = store.verify_ledger().await?.violations.len();
    store.close().await;
    Ok(json!({
        "seconds": loaded_seconds,
        "accepted": accepted,
        "accepted_per_s": accepted as f64 / loaded_seconds,
        "refused": traffic.refused.load(Ordering::Relaxed),
        "accounts": paused,
        "rounds": summary(rounds),
        "first_look": first_look,
        "violations": violations,
    }))
}

/// What rounds took, in milliseconds, and how many accounts they looked at.
type Rounds = Vec<(f64, u64)>;

/// Brakes until the time is over and every bad account is paused, or the load has failed.
async fn rounds(options: &Options, traffic: &Traffic, began: Instant) -> Result<Rounds, Fault> {
    let (mut memory, mut rounds, mut paused) = (BrakeMemory::default(), Vec::new(), 0);
    loop {
        let round_began = Instant::now();
        let round = traffic.store.brake_again(&mut memory).await?;
        rounds.push((round_began.elapsed().as_secs_f64() * 1_000.0, round.looked_at));
        paused += round.paused;
        let elapsed = began.elapsed();
        let all_paused = paused as usize >= traffic.bad.len();
        if traffic.stop.load(Ordering::Relaxed)
            || elapsed >= Duration::from_secs(options.seconds) && all_paused
        {
            return Ok(rounds);
        }
        if elapsed >= Duration::from_secs(SECONDS_MAX) {
            return Err(format!("after {SECONDS_MAX} s only {paused} accounts are paused").into());
        }
        tokio::time::sleep(PACE).await;
    }
}

/// When and after how many mails a bad account was paused.
async fn pause_of(store: &Store, bad: &Bad) -> Result<serde_json::Value, Fault> {
    let standing = store.quota_standing(bad.account_id).await?.ok_or("the account is gone")?;
    let paused_at = standing.paused_at.ok_or("a bad account is not paused")?;
    let seen = bad.seen();
    let (first_bad_at, accepted_before) = seen.first_bad.ok_or("no bad outcome was committed")?;
    let accepted = bad.accepted.load(Ordering::Relaxed);
    // The brake may have read a commit before its answer came back to the load.
    let (enough_at, accepted_until_enough) = seen.enough.unwrap_or((paused_at, accepted));
    let seconds = |from: UnixMicros, to: UnixMicros| (to.0 - from.0) as f64 / SECOND_MICROS as f64;
    Ok(json!({
        "mails_per_s": bad.mails_per_s,
        "seconds": seconds(first_bad_at, paused_at),
        "mails": accepted - accepted_before,
        "until_enough_s": seconds(first_bad_at, enough_at),
        "delay_s": seconds(enough_at, paused_at).max(0.0),
        "delay_mails": accepted - accepted_until_enough,
        "reason": standing.pause_reason,
    }))
}

fn summary(mut rounds: Rounds) -> serde_json::Value {
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let looks = rounds.iter().map(|(_, looked_at)| *looked_at).sum::<u64>();
    json!({
        "count": rounds.len(),
        "median_ms": rounds[rounds.len() / 2].0,
        "worst_ms": rounds[rounds.len() - 1].0,
        "looks_a_round": looks as f64 / rounds.len() as f64,
    })
}

/// A round that remembers nothing, after the load: the median.
async fn first_look(store: &Store) -> Result<serde_json::Value, Fault> {
    let mut looks = Vec::new();
    for _ in 0..FIRST_LOOKS {
        let began = Instant::now();
        let round = store.brake().await?;
        if round.paused > 0 {
            return Err("the brake has paused an account that did nothing bad".into());
        }
        looks.push((began.elapsed().as_secs_f64() * 1_000.0, round.looked_at));
    }
    looks.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (median_ms, looked_at) = looks[looks.len() / 2];
    Ok(json!({ "median_ms": median_ms, "looked_at": looked_at }))
}
