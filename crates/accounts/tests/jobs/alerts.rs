//! R15: little is left, nothing is left.

use indicia_domain::time::DAY_MICROS;
use indicia_store::alert::AlertScope;
use indicia_store::package::RefundRequest;

use crate::engines::Bench;
use crate::support::operator;
use crate::world::{World, at};

on_both_engines!(
    r15_a_deduction_crosses_once,
    r15_armed_again_when_the_total_grows,
    r15_a_refund_crosses,
    r15_an_end_crosses,
    r15_one_package_has_an_alert_of_its_own,
    r15_without_packages_there_is_nothing_to_run_out_of,
);

impl World {
    async fn alert(&self, scope: AlertScope, percent: i64) {
        self.store().set_alert(self.account.id, &scope, percent, &operator()).await.expect("set");
    }

    /// Sends, does what is due, and says how many times little was left, and how many times nothing.
    async fn after_sending(&self, mails: usize) -> (usize, usize) {
        if mails > 0 {
            self.bench.clock.advance_micros(1);
            self.send(mails).await;
        }
        self.run().await;
        (self.told("low-balance").await.len(), self.told("used-up").await.len())
    }
}

async fn r15_a_deduction_crosses_once(bench: Bench) {
    let world = World::new(bench).await;
    let instance = world.buy(1_000, 6).await;
    world.alert(AlertScope::All, 20).await;
    assert_eq!(world.after_sending(799).await, (0, 0), "201 of 1,000 are more than 20 %");
    assert_eq!(world.after_sending(1).await, (1, 0));
    assert_eq!(world.after_sending(100).await, (1, 0), "once for a crossing");
    assert_eq!(world.after_sending(100).await, (1, 1), "used up is a message of its own");
    assert_eq!(world.after_sending(10).await, (1, 1), "pay-as-you-go deducts from no package");
    let inbox = world.inbox().await;
    assert!(inbox[0].body.contains("200") && inbox[0].body.contains("1,000"), "{}", inbox[0].body);
    assert!(inbox[1].body.contains(&instance), "names what is used up: {}", inbox[1].body);
    assert_eq!(world.counts().await, (2, 2, 2), "over every channel");
    world.verify().await;
}

async fn r15_armed_again_when_the_total_grows(bench: Bench) {
    let world = World::new(bench).await;
    world.buy(1_000, 6).await;
    world.alert(AlertScope::All, 10).await;
    assert_eq!(world.after_sending(900).await, (1, 0));
    world.buy(1_000, 6).await;
    assert_eq!(world.after_sending(899).await, (1, 0), "201 of 2,000 are more than 10 %");
    assert_eq!(world.after_sending(1).await, (2, 0));
    world.alert(AlertScope::All, 0).await;
    world.buy(1_000, 6).await;
    assert_eq!(world.after_sending(1_200).await, (2, 1), "off is off");
}

async fn r15_a_refund_crosses(bench: Bench) {
    let world = World::new(bench).await;
    world.buy(1_000, 6).await;
    world.send(850).await;
    let untouched = world.buy(1_000, 6).await;
    world.alert(AlertScope::All, 20).await;
    assert_eq!(world.after_sending(0).await, (0, 0), "1,150 of 2,000");
    let request = RefundRequest {
        account_id: world.account.id,
        instance_id: untouched,
        idempotency_key: None,
        nonce: None,
        by: operator(),
    };
    world.store().refund(&request).await.expect("refunded");
    assert_eq!(world.after_sending(0).await, (1, 0), "150 of 1,000");
    assert_eq!(world.after_sending(10).await, (1, 0));
}

async fn r15_an_end_crosses(bench: Bench) {
    let world = World::new(bench).await;
    world.buy(1_000, 6).await;
    world.send(850).await;
    world.buy(1_000, 1).await;
    world.alert(AlertScope::All, 20).await;
    // Valid for one month from 2026-11-22 there.
    let end = at("2026-12-22T16:00:00Z");
    world.run_at(end.plus_micros(-1)).await;
    assert!(world.told("low-balance").await.is_empty());
    world.run_at(end).await;
    assert_eq!(world.told("low-balance").await.len(), 1, "150 of 1,000 are left");
    world.run_at(end.plus_micros(DAY_MICROS)).await;
    assert_eq!((world.told("low-balance").await.len(), world.told("lapsed").await.len()), (1, 1));
}

async fn r15_one_package_has_an_alert_of_its_own(bench: Bench) {
    let world = World::new(bench).await;
    let first = world.buy(1_000, 1).await;
    world.buy(1_000_000, 6).await;
    world.alert(AlertScope::Package(first.clone()), 30).await;
    assert_eq!(world.after_sending(699).await, (0, 0));
    assert_eq!(world.after_sending(1).await, (1, 0), "300 of 1,000, though there are a million more");
    assert_eq!(world.after_sending(600).await, (1, 0));
    let message = &world.inbox().await[0];
    assert!(message.body.contains(&first) && message.body.contains("30"), "{}", message.body);
}

async fn r15_without_packages_there_is_nothing_to_run_out_of(bench: Bench) {
    let world = World::new(bench).await;
    world.alert(AlertScope::All, 30).await;
    assert_eq!(world.after_sending(100).await, (0, 0));
}
