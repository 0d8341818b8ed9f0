//! R25, R26: many clients, two nodes, one hot account with few mails left, and pay-as-you-go refused because the
//! account is overdue and only what is prepaid is spared.
//!
//! What the clients saw is held against what any order of their requests could have shown: a request may be refused only
//! if, with all that had been asked for before its answer came, too little could have been left.

mod engines;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engines::Bench;
use indicia_domain::mail::admission::{Policy, Refusal};
use indicia_domain::time::DAY_MICROS;
use indicia_store::Store;
use indicia_store::admission::{Admission, Admitted, IdempotencyKey, SubmitError};
use indicia_store::queue::Cancelled;
use support::money::{Customer, OFFERS, collection, policy, prices};
use support::names;

on_both_engines!(
    r25_r26_a_crowd_never_overdraws_and_is_never_refused_while_mails_are_left,
    r25_r26_a_crowd_beside_the_job_refunds_and_reversals,
);

const CLIENTS: usize = 64;

fn sparing() -> Policy {
    Policy { free_total_mails: 74, free_daily_mails: 37, overdue_spares_prepaid: true, ..policy() }
}

/// The nodes that the engine allows: two on PostgreSQL. SQLite has one, under two committers.
async fn nodes(bench: &Bench) -> Vec<(Store, Admission)> {
    let second = match bench.url.as_str() {
        "sqlite" => bench.store.clone(),
        _ => bench.second_node().await,
    };
    [bench.store.clone(), second]
        .into_iter()
        .map(|store| (store.clone(), Admission::start(store, sparing(), None).0))
        .collect()
}

/// One request as its client saw it. Stamps are of one counter that all clients share.
#[derive(Clone, Debug)]
struct Seen {
    key: String,
    mails: i64,
    asked: u64,
    answered: u64,
    /// The message; `None`: refused for lack of money.
    message: Option<i64>,
}

struct Crowd {
    customer: Arc<Customer>,
    admissions: Vec<Admission>,
    stamps: Arc<AtomicU64>,
}

impl Crowd {
    /// Each client sends its requests one after the other, each to both nodes at once under one key, and once more.
    async fn rush(&self, requests: usize) -> Vec<Seen> {
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            let (customer, stamps) = (self.customer.clone(), self.stamps.clone());
            let admissions = self.admissions.clone();
            clients.push(tokio::spawn(async move {
                let mut seen = Vec::new();
                for request in 0..requests {
                    let mails = 1 + (client * 7 + request * 3) % 4;
                    let key = format!("client {client} request {request}");
                    let one = once(&customer, &admissions[client % 2], &stamps, &key, mails);
                    let two = once(&customer, &admissions[1 - client % 2], &stamps, &key, mails);
                    let (one, two) = tokio::join!(one, two);
                    let again = once(&customer, &admissions[request % 2], &stamps, &key, mails).await;
                    seen.extend([one, two, again]);
                }
                seen
            }));
        }
        let mut seen = Vec::new();
        for client in clients {
            seen.extend(client.await.expect("no client panics"));
        }
        seen
    }
}

async fn once(
    customer: &Customer,
    admission: &Admission,
    stamps: &AtomicU64,
    key: &str,
    mails: usize,
) -> Seen {
    let mut mail = customer.account.mail(&names(mails)).await;
    mail.idempotency = Some(IdempotencyKey { key: key.to_owned(), content_hash: format!("{mails}") });
    let asked = stamps.fetch_add(1, Ordering::SeqCst);
    let answer = admission.submit(mail).await;
    let answered = stamps.fetch_add(1, Ordering::SeqCst);
    let message = match answer {
        Ok(Admitted::Accepted(acceptance)) => Some(acceptance.message_id),
        Ok(Admitted::Replayed { message_id }) => Some(message_id),
        Err(SubmitError::Refused(Refusal::Overdue)) => None,
        Err(error) => panic!("{error}"),
    };
    Seen { key: key.to_owned(), mails: mails as i64, asked, answered, message }
}

/// Exactly once: every answer under a key that is no refusal names one message. Returns them with their mails and when
/// they were first asked for.
fn messages(seen: &[Seen]) -> BTreeMap<i64, (i64, u64)> {
    let mut by_key: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    let mut messages: BTreeMap<i64, (i64, u64)> = BTreeMap::new();
    for one in seen {
        let Some(message) = one.message else { continue };
        by_key.entry(&one.key).or_default().insert(message);
        let first = messages.entry(message).or_insert((one.mails, one.asked));
        first.1 = first.1.min(one.asked);
    }
    for (key, messages) in by_key {
        assert_eq!(messages.len(), 1, "R26: {key} was accepted as {messages:?}");
    }
    messages
}

/// No order of the requests explains a refusal while enough was left.
fn check_refusals(seen: &[Seen], had: i64) {
    let messages = messages(seen);
    for refused in seen.iter().filter(|one| one.message.is_none()) {
        let before = messages.values().filter(|(_, asked)| *asked < refused.answered);
        let least = had - before.map(|(mails, _)| mails).sum::<i64>();
        assert!(least < refused.mails, "refused {refused:?} though {least} mails were left at least");
    }
}

/// Owes three bills' worth of pay-as-you-go, has spent all else on packages, and is overdue. Returns the message that
/// was sent in debt.
async fn overdue_customer(bench: &Bench, mails: &[i64]) -> (Customer, i64) {
    let customer = Customer::with_policy(bench, "UTC", &sparing()).await;
    customer.send(37).await;
    let (message, _) = (customer.send(1_000).await, customer.send(2_000).await);
    let cost =
        mails.iter().map(|mails| OFFERS.iter().find(|offer| offer.0 == *mails).map_or(0, |offer| offer.1));
    customer.pays("p1", cost.sum()).await;
    for mails in mails {
        customer.buy(*mails).await;
    }
    // The next day, so that there is free credit again.
    bench.clock.advance_micros(DAY_MICROS);
    assert_eq!(customer.job().await.overdue, 1);
    (customer, message)
}

async fn left(customer: &Customer) -> i64 {
    let packages: i64 = customer.packages().await.iter().map(|row| row.package.remaining).sum();
    packages + customer.numbers().await.free_left
}

async fn r25_r26_a_crowd_never_overdraws_and_is_never_refused_while_mails_are_left(bench: Bench) {
    let (customer, _) = overdue_customer(&bench, &[100, 40, 10, 100]).await;
    let had = left(&customer).await;
    assert_eq!(had, 287);
    let admissions = nodes(&bench).await.into_iter().map(|(_, admission)| admission).collect();
    let crowd = Crowd { customer: Arc::new(customer), admissions, stamps: Arc::default() };
    let seen = crowd.rush(4).await;
    check_refusals(&seen, had);
    let accepted: i64 = messages(&seen).values().map(|(mails, _)| mails).sum();
    let (customer, numbers) = (&crowd.customer, crowd.customer.numbers().await);
    assert_eq!(left(customer).await, had - accepted, "exactly once");
    assert_eq!(numbers.pay_as_you_go_mails, 0, "never overdrawn");
    assert!(seen.iter().any(|one| one.message.is_none()), "more was asked for than there was");
    // One mail is asked for by every fourth request: to the last mail, everything is spent.
    assert_eq!(left(customer).await, 0, "and nothing is left over");
    customer.account.verify().await;
}

async fn r25_r26_a_crowd_beside_the_job_refunds_and_reversals(bench: Bench) {
    let small = [10; 14];
    let (customer, in_debt) = overdue_customer(&bench, &[&[100][..], &small].concat()).await;
    let nodes = nodes(&bench).await;
    let admissions = nodes.iter().map(|(_, admission)| admission.clone()).collect();
    let crowd = Crowd { customer: Arc::new(customer), admissions, stamps: Arc::default() };
    let (seen, (), refunded) =
        tokio::join!(crowd.rush(3), jobs(&nodes), changes(&crowd.customer, &nodes, in_debt));
    let customer = &crowd.customer;
    let messages = messages(&seen);
    let packages = customer.packages().await;
    let granted: i64 =
        packages.iter().filter(|row| row.closed_at.is_none()).map(|row| row.package.granted).sum();
    assert_eq!(packages.iter().filter(|row| row.closed_at.is_some()).count(), refunded, "each refund once");
    let charged: i64 = messages.values().map(|(mails, _)| mails).sum();
    let reversed = reversed(customer, messages.keys().copied()).await;
    assert_eq!(left(customer).await, granted + 37 - charged + reversed, "exactly once");
    customer.job().await;
    let bills = customer.bills().await;
    let billed: Vec<_> = bills.iter().map(|bill| (bill.number, bill.mails)).collect();
    assert_eq!(billed, [(1, 3_000), (2, -1_000)], "each bill once, whoever ran the job");
    assert_eq!(customer.numbers().await.pay_as_you_go_mails, 0, "never overdrawn");
    // What is left is there for whoever comes next, to the last mail.
    let rest = left(customer).await;
    for number in 0..=rest {
        let one = once(customer, &crowd.admissions[0], &crowd.stamps, &format!("rest {number}"), 1).await;
        assert_eq!(one.message.is_some(), number < rest, "mail {number} of {rest}");
    }
    customer.account.verify().await;
}

/// The job on both nodes, again and again.
async fn jobs(nodes: &[(Store, Admission)]) {
    let (prices, collection) = (prices(), collection());
    for _ in 0..10 {
        let runs = nodes.iter().map(|(store, _)| store.make_bills(&prices, &collection));
        for run in futures::future::join_all(runs).await {
            run.expect("billed");
        }
    }
}

/// Asks both nodes at once to give packages back, and to take mails back, of the crowd and the one sent in debt; how
/// many packages were given back. A refund is refused once somebody has sent from the package.
async fn changes(customer: &Customer, nodes: &[(Store, Admission)], in_debt: i64) -> usize {
    let mut refunded = 0;
    let packages = customer.packages().await;
    for (number, row) in packages.iter().rev().take(12).enumerate() {
        let request = customer.giving_back(&row.package.instance_id);
        let asked = nodes.iter().map(|(store, _)| store.refund(&request));
        let answers = futures::future::join_all(asked).await;
        let done = answers.iter().filter(|answer| answer.is_ok()).count();
        assert!(done <= 1, "refunded twice: {answers:?}");
        refunded += done;
        let waiting = customer.store.queue_entries(Some(customer.id), None, 4_000).await.expect("read");
        let of_crowd = waiting.iter().rev().map(|mail| mail.key.message_id).next();
        let message = if number == 3 { in_debt } else { of_crowd.unwrap_or(0) };
        let withdrawn = nodes.iter().map(|(store, _)| store.cancel(customer.id, message, "test"));
        let mut mails = 0;
        for answer in futures::future::join_all(withdrawn).await {
            if let Cancelled::Mails(back) = answer.expect("answered") {
                mails += back;
            }
        }
        assert!(number != 3 || mails == 1_000, "{mails} mails were taken back");
    }
    refunded
}

/// Mails of these messages that were given back.
async fn reversed(customer: &Customer, messages: impl Iterator<Item = i64>) -> i64 {
    let mut mails = 0;
    for message in messages {
        let lines = customer.store.transaction_lines(customer.id, message).await.expect("read");
        let back = lines.iter().filter(|line| line.kind == indicia_domain::ledger::Kind::Reversal);
        mails += back.map(|line| line.amount).sum::<i64>();
    }
    mails
}
