//! R14, R26: no notice twice and none lost, whatever dies when, and on however many nodes the jobs run.

use std::time::Duration;

use futures::future::join_all;
use indicia_accounts::notice::sender::ensure_system_sender;
use indicia_domain::account::AccountStatus;

use crate::engines::{Bench, NOON};
use crate::support::Account;
use crate::world::{FROM, World, at, key};

on_both_engines!(
    r14_a_node_that_dies_anywhere_neither_repeats_nor_loses_a_notice,
    r14_two_nodes_at_once_tell_once,
    r14_after_a_restart_nothing_is_told_again,
    r26_two_nodes_that_start_at_once_make_one_sender,
    r11_two_nodes_that_bill_at_once_bill_once,
);

/// 30 days before the end of a package bought at noon of 2026-11-22 for six months.
const DUE: &str = "2027-04-22T16:00:00Z";

async fn r14_a_node_that_dies_anywhere_neither_repeats_nor_loses_a_notice(bench: Bench) {
    let world = World::new(bench).await;
    world.buy(1_000, 6).await;
    world.bench.clock.set(at(DUE));
    // Each future is dropped a little later than the one before: before the transaction, in it, while it commits, after it.
    for step in 0..60 {
        let _ = tokio::time::timeout(Duration::from_micros(step * 150), world.jobs.tell()).await;
    }
    world.run().await;
    assert_eq!(world.counts().await, (1, 1, 1));
    world.verify().await;
}

async fn r14_two_nodes_at_once_tell_once(bench: Bench) {
    let world = World::new(bench).await;
    world.buy(1_000, 6).await;
    let other = world.second_node().await;
    for due in [DUE, "2027-05-15T16:00:00Z", "2027-05-21T16:00:00Z"] {
        world.bench.clock.set(at(due));
        let rounds = (0..4).flat_map(|_| [world.jobs.tell(), other.tell()]);
        let made: u64 = join_all(rounds).await.into_iter().map(|round| round.expect("told").made).sum();
        assert_eq!(made, 3, "one message over each channel");
        let rounds = (0..4).flat_map(|_| [world.jobs.send_texts(), other.send_texts()]);
        join_all(rounds).await.into_iter().for_each(|round| assert!(round.is_ok()));
    }
    assert_eq!(world.counts().await, (3, 3, 3));
    world.verify().await;
    other.store.close().await;
}

async fn r14_after_a_restart_nothing_is_told_again(bench: Bench) {
    let world = World::new(bench).await;
    world.buy(1_000, 6).await;
    world.run_at(at(DUE)).await;
    let restarted = world.second_node().await;
    assert_eq!(restarted.tell().await.expect("looked"), Default::default());
    assert_eq!(restarted.send_texts().await.expect("looked"), Default::default());
    assert_eq!(world.counts().await, (1, 1, 1));
    restarted.store.close().await;
}

async fn r26_two_nodes_that_start_at_once_make_one_sender(bench: Bench) {
    let stores = [bench.store.clone(), bench.second_node().await];
    let makers = stores.iter().flat_map(|store| (0..3).map(|_| ensure_system_sender(store, FROM, key)));
    let made: Vec<_> = join_all(makers).await.into_iter().map(|sender| sender.expect("a sender")).collect();
    assert!(made.iter().all(|sender| *sender == made[0]), "{made:?}");
    let again = ensure_system_sender(&bench.store, " Notices@Mail.Example.ORG ", |_| Err("no key is needed"));
    assert_eq!(again.await.expect("it is there"), made[0]);
    let domain = bench.store.verified_domain("mail.example.org").await.unwrap().expect("verified");
    assert_eq!((domain.domain_id, domain.dkim.selector.as_str()), (made[0].domain_id, "indicia-notices"));
    for wrong in ["", "notices", "notices@[192.0.2.1]", "nötices@example.org"] {
        let refused = ensure_system_sender(&bench.store, wrong, key).await.unwrap_err().to_string();
        assert!(refused.contains("notices.from"), "{refused}");
    }
    stores[1].close().await;
}

async fn r11_two_nodes_that_bill_at_once_bill_once(bench: Bench) {
    let world = World::new(bench).await;
    let other = world.second_node().await;
    let accounts: [Account; 2] =
        [world.account.clone(), Account::with_policy(world.store(), "UTC", &world.account.policy).await];
    for account in &accounts {
        account.admission(None).submit(account.mail(&["a@example.net"]).await).await.expect("accepted");
    }
    world.bench.clock.set(NOON.plus_micros(indicia_domain::time::HOUR_MICROS));
    let rounds = join_all((0..3).flat_map(|_| [world.jobs.bill(), other.bill()])).await;
    assert_eq!(rounds.into_iter().map(|round| round.expect("billed").bills).sum::<u64>(), 2);
    // Paid on the 1st of each account's own month, and told once.
    world.bench.clock.set(at("2026-12-01T00:00:00Z"));
    let rounds = join_all((0..3).flat_map(|_| [world.jobs.bill(), other.bill()])).await;
    assert_eq!(rounds.into_iter().map(|round| round.expect("billed").overdue).sum::<u64>(), 2);
    for account in &accounts {
        let numbers = world.store().account_numbers(account.id).await.unwrap().expect("kept");
        assert_ne!(numbers.status.0 & AccountStatus::OVERDUE.0, 0);
    }
    world.run().await;
    assert_eq!(world.told("overdue").await.len(), 1);
    world.verify().await;
    other.store.close().await;
}
