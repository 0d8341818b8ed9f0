//! R25, R26, R27: the same history on SQLite and on PostgreSQL gives the same books, line for line.
//!
//! Both engines start empty under clocks that are set by hand, so that even the ids are the same: whole tables are
//! compared as they are. Every step's answer is compared as well, refusals with their words.

mod engines;
mod support;

use engines::{Bench, NOON};
use indicia_domain::ledger::Transfer;
use indicia_domain::mail::admission::Policy;
use indicia_domain::money::MoneyMicros;
use indicia_domain::outcome::{DeliveryStatus, Disposition, ErrorClassification, Verdict};
use indicia_domain::time::{HOUR_MICROS, STEP_BACK_MAX_MICROS, UnixMicros, local_day, local_month, zone};
use indicia_store::alert::AlertScope;
use indicia_store::money::{Adjusted, Adjustment};
use indicia_store::oversight::LineQuery;
use indicia_store::package::PurchaseRequest;
use support::money::{Customer, OFFERS, dump, policy, prices};
use support::{names, operator, outcome};

/// Histories and steps of each; the environment can ask for more.
const HISTORIES: usize = 20;
const STEPS: usize = 120;
const ZONES: [&str; 5] =
    ["Asia/Shanghai", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns"];

/// A small generator of which the whole history is a function of its seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: i64) -> i64 {
        (self.next() % end as u64) as i64
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send(Vec<i64>),
    Cancel(i64),
    /// Attempts at all waiting mail: some are given up by our own fault.
    Attempts,
    Buy {
        offer: i64,
        quantity: i64,
        starts_in_hours: i64,
    },
    Renew(i64),
    Exchange(i64, i64),
    Refund(i64),
    Pay {
        reference: i64,
        micros: i64,
    },
    Credit(i64),
    Limit(i64),
    Adjust(i64, i64),
    Alert(i64, i64),
    Job,
    Phases,
    Clock(Move),
}

#[derive(Clone, Debug)]
enum Move {
    On(i64),
    Back(i64),
    /// To the next such instant, less a microsecond or not.
    Hour(i64),
    Midnight(i64),
    Month(i64),
    PackageEnd(i64),
}

fn step(dice: &mut Dice) -> Step {
    match dice.below(100) {
        0..25 => Step::Send((0..=dice.below(3)).map(|_| 1 + dice.below(9)).collect()),
        25..33 => Step::Cancel(dice.below(4)),
        33..36 => Step::Attempts,
        36..44 => Step::Buy {
            offer: dice.below(3),
            quantity: 1 + dice.below(2),
            starts_in_hours: (dice.below(4) - 2).max(0) * 900,
        },
        44..47 => Step::Renew(dice.below(5)),
        47..51 => Step::Exchange(dice.below(5), dice.below(3)),
        51..55 => Step::Refund(dice.below(5)),
        55..62 => Step::Pay { reference: dice.below(12), micros: 100_000 },
        62..64 => Step::Credit(dice.below(200_000) - 60_000),
        64..66 => Step::Limit(dice.below(90_000) - 5_000),
        66..69 => Step::Adjust(dice.below(4), dice.below(20) - 10),
        69..71 => Step::Alert(dice.below(4), dice.below(7) * 5),
        71..80 => Step::Job,
        80..82 => Step::Phases,
        82..88 => Step::Clock(Move::On(dice.below(40 * HOUR_MICROS))),
        88..91 => Step::Clock(Move::Back(dice.below(STEP_BACK_MAX_MICROS))),
        91..94 => Step::Clock(Move::Hour(dice.below(2))),
        94..96 => Step::Clock(Move::Midnight(dice.below(2))),
        96..98 => Step::Clock(Move::Month(dice.below(2))),
        _ => Step::Clock(Move::PackageEnd(dice.below(2))),
    }
}

/// One engine, its customer and the mails it has sent.
struct Twin {
    bench: Bench,
    customer: Customer,
    messages: Vec<i64>,
}

impl Twin {
    async fn new(bench: Bench, zone: &str) -> Twin {
        let customer = Twin::customer(&bench, zone).await;
        Twin { bench, customer, messages: Vec::new() }
    }

    async fn customer(bench: &Bench, zone: &str) -> Customer {
        let some_free =
            Policy { free_total_mails: 30, free_daily_mails: 4, initial_daily_quota: 60, ..policy() };
        Customer::with_policy(bench, zone, &some_free).await
    }

    async fn instance(&self, pick: i64) -> String {
        let packages = self.customer.packages().await;
        let place = pick as usize % packages.len().max(1);
        packages.get(place).map_or("DMBAG-1".to_owned(), |row| row.package.instance_id.clone())
    }

    /// Does the step; the answer as text.
    async fn take(&mut self, step: &Step) -> String {
        let (customer, store) = (&self.customer, &self.customer.store);
        let by = operator();
        match step {
            Step::Send(requests) => return self.send(requests).await,
            Step::Cancel(back) => {
                let place = self.messages.len().checked_sub(1 + *back as usize);
                let message = place.map_or(0, |place| self.messages[place]);
                format!("{:?}", store.cancel(customer.id, message, "test").await)
            }
            Step::Attempts => self.attempts().await,
            Step::Buy { offer, quantity, starts_in_hours } => {
                let starts = store.now().plus_micros(starts_in_hours * HOUR_MICROS);
                let starts_at = (*starts_in_hours > 0).then_some(starts);
                let (quantity, specification) = (*quantity, OFFERS[*offer as usize].0);
                let wanted = PurchaseRequest { quantity, starts_at, ..customer.wants(specification) };
                format!("{:?}", store.purchase(&wanted, &prices()).await)
            }
            Step::Renew(pick) => {
                let renewal = customer.renewal(&self.instance(*pick).await);
                format!("{:?}", store.renew(&renewal, &prices()).await)
            }
            Step::Exchange(pick, offer) => {
                let exchange = customer.exchange(&self.instance(*pick).await, OFFERS[*offer as usize].0);
                format!("{:?}", store.upgrade(&exchange, &prices()).await)
            }
            Step::Refund(pick) => format!("{:?}", customer.refund(&self.instance(*pick).await).await),
            Step::Pay { reference, micros } => {
                let reference = format!("{}-{reference}", customer.id);
                let payment = customer.payment(&reference, &reference, *micros);
                format!("{:?}", store.top_up(&payment).await)
            }
            Step::Credit(micros) => {
                format!("{:?}", store.credit(customer.id, MoneyMicros(*micros), "cheque", &by, None).await)
            }
            Step::Limit(micros) => {
                format!(
                    "{:?}",
                    store.set_credit_limit(customer.id, MoneyMicros(*micros), "trust", &by, None).await
                )
            }
            Step::Adjust(pick, mails) => {
                let package =
                    Adjusted::PackageMails { instance_id: self.instance(*pick).await, mails: *mails };
                let what = if *pick == 0 { Adjusted::FreeMails(*mails) } else { package };
                let adjustment = Adjustment { account_id: customer.id, what, reason: "a reason".to_owned() };
                format!("{:?}", store.adjust(&adjustment, &by, None).await)
            }
            Step::Alert(pick, percent) => {
                let one = AlertScope::Package(self.instance(*pick).await);
                let scope = if *pick == 0 { AlertScope::All } else { one };
                format!("{:?}", store.set_alert(customer.id, &scope, *percent, &by).await)
            }
            Step::Job => {
                format!("{:?}", store.make_bills(&prices(), &support::money::collection()).await)
            }
            Step::Phases => format!("{:?}", store.pass_phases(&[30, 7, 1]).await),
            Step::Clock(_) => unreachable!("the clocks are moved together"),
        }
    }

    /// Requests that come at once, so that they may share a commit.
    async fn send(&mut self, requests: &[i64]) -> String {
        let mut mails = Vec::new();
        for count in requests {
            mails.push(self.customer.account.mail(&names(*count as usize)).await);
        }
        let answers =
            futures::future::join_all(mails.into_iter().map(|mail| self.customer.admission.submit(mail)))
                .await;
        self.messages.extend(answers.iter().flatten().map(|admitted| admitted.message_id()));
        format!("{answers:?}")
    }

    async fn attempts(&self) -> String {
        let mails = self.customer.store.claim(100_000, 1 << 30).await.expect("claimed");
        let own_fault = Verdict {
            disposition: Disposition::Permanent,
            status: DeliveryStatus::Other,
            classification: ErrorClassification::SysOutInternal,
        };
        let mut outcomes = Vec::new();
        for mail in &mails {
            for (index, recipient) in mail.recipients.iter().enumerate() {
                let verdict = if recipient.number % 3 == 1 { own_fault } else { Verdict::DELIVERED };
                outcomes.push(outcome(mail, index, verdict, None));
            }
        }
        // Claims have no order among mails that are due at the same time.
        outcomes.sort_by_key(|outcome| outcome.key);
        format!("{} attempts {:?}", outcomes.len(), self.customer.store.commit_outcomes(&outcomes).await)
    }

    async fn lines(&self) -> Vec<Transfer> {
        let query = LineQuery { limit: 100_000, ..LineQuery::all(self.customer.id) };
        self.customer.store.lines_in_order(&query).await.expect("read")
    }

    /// Every row, less accounts, whose addresses are made up one after the other.
    async fn rows(&self) -> Vec<String> {
        let rows = dump(&self.bench).await.into_iter();
        rows.filter(|row| !row.starts_with("account ") && !row.starts_with("contact ")).collect()
    }

    /// The instant that a move leads to.
    async fn target(&self, to: &Move, zone_name: &str, latest: UnixMicros) -> UnixMicros {
        let now = self.bench.store.now();
        let (zone, after) = (zone(zone_name).expect("a zone"), now.plus_micros(1));
        match to {
            Move::On(micros) => now.plus_micros(*micros),
            Move::Back(micros) => now.plus_micros(-micros).max(latest.plus_micros(-STEP_BACK_MAX_MICROS)),
            Move::Hour(less) => indicia_domain::time::local_hour(&zone, after).end.plus_micros(-less),
            Move::Midnight(less) => local_day(&zone, after).end.plus_micros(-less),
            Move::Month(less) => local_month(&zone, after).1.plus_micros(-less),
            Move::PackageEnd(less) => {
                let packages = self.customer.packages().await;
                let ends = packages.iter().map(|row| row.package.ends_at).filter(|end| *end > after);
                ends.min().unwrap_or(now).plus_micros(-less).max(now)
            }
        }
    }
}

fn asked(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r25_r26_r27_the_same_history_on_both_engines_gives_the_same_books() {
    let (histories, steps) = (asked("TWIN_HISTORIES", HISTORIES), asked("TWIN_STEPS", STEPS));
    let mut lines = 0;
    let first = asked("TWIN_FIRST", 0);
    for first in (first..first + histories).step_by(HISTORIES) {
        lines += live(first..first + HISTORIES.min(histories), steps).await;
    }
    assert!(lines > histories * 20, "only {lines} lines: the histories are too tame");
    println!("{histories} histories, {lines} lines");
}

/// Histories one after the other, each on an account of its own, in two databases; how many lines they made. A pair of
/// databases has no more of them than its ids, which last until 2089, can tell apart.
async fn live(seeds: std::ops::Range<usize>, steps: usize) -> usize {
    let mut one = Twin::new(Bench::sqlite().await, ZONES[0]).await;
    let mut two = Twin::new(Bench::postgres().await, ZONES[0]).await;
    let (mut lines, mut latest) = (0, NOON);
    for seed in seeds {
        let zone_name = ZONES[seed % ZONES.len()];
        for twin in [&mut one, &mut two] {
            twin.customer = Twin::customer(&twin.bench, zone_name).await;
            twin.messages.clear();
        }
        let mut dice = Dice(seed as u64);
        for number in 0..steps {
            let step = step(&mut dice);
            if let Step::Clock(to) = &step {
                let target = one.target(to, zone_name, latest).await;
                assert_eq!(two.target(to, zone_name, latest).await, target, "seed {seed}, step {number}");
                latest = latest.max(target);
                one.bench.clock.set(target);
                two.bench.clock.set(target);
                continue;
            }
            let (answer, other) = (one.take(&step).await, two.take(&step).await);
            assert_eq!(answer, other, "seed {seed}, step {number}: {step:?}");
        }
        let (own, others) = (one.lines().await, two.lines().await);
        let different = own.iter().zip(&others).find(|(line, other)| line != other);
        assert!(different.is_none() && own.len() == others.len(), "seed {seed}: {different:#?}");
        lines += own.len();
    }
    let (rows, others) = (one.rows().await, two.rows().await);
    let different: Vec<_> = rows.iter().zip(&others).filter(|(row, other)| row != other).take(3).collect();
    assert!(different.is_empty() && rows.len() == others.len(), "rows differ: {different:#?}");
    for twin in [&one, &two] {
        twin.customer.account.verify().await;
    }
    lines
}
