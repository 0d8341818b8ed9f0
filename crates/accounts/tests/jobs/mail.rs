//! Mail of the installation itself: delivered, deferred, bounced, withdrawn and shown as any other, charged to nobody.

use indicia_domain::mail::State;
use indicia_domain::outcome::{DeliveryStatus, Disposition, ErrorClassification, Verdict};
use indicia_store::account::SYSTEM_ACCOUNT_ID;
use indicia_store::bounce::{Bounce, News, Recorded};
use indicia_store::queue::{Cancelled, MailKey, QueuedMail};

use crate::engines::Bench;
use crate::support::outcome;
use crate::world::{FROM, World, at};

on_both_engines!(
    r14_a_notice_is_delivered_like_any_mail_and_charged_to_nobody,
    r14_a_notice_that_bounces_is_shown,
    r03_a_notice_given_up_by_our_own_fault_pays_nobody_back,
    r03_a_notice_can_be_withdrawn,
);

/// 30 days before the end of a package bought at noon of 2026-11-22 for six months.
const DUE: &str = "2027-04-22T16:00:00Z";

fn verdict(disposition: Disposition, status: DeliveryStatus, class: ErrorClassification) -> Verdict {
    Verdict { disposition, status, classification: class }
}

fn delivered() -> Verdict {
    verdict(Disposition::Delivered, DeliveryStatus::Ok, ErrorClassification::SendOk)
}

impl World {
    /// A notice that waits for delivery, leased to this node.
    async fn claimed(&self) -> QueuedMail {
        let mut mails = self.store().claim(100, 1 << 20).await.expect("claimed");
        assert_eq!(mails.len(), 1, "only the notice waits");
        mails.remove(0)
    }

    async fn with_notice(bench: Bench) -> World {
        let world = World::new(bench).await;
        world.buy(1_000, 6).await;
        world.run_at(at(DUE)).await;
        world
    }

    async fn state_of(&self, message_id: i64) -> State {
        let timeline =
            self.store().timeline(SYSTEM_ACCOUNT_ID, message_id).await.expect("read").expect("kept");
        assert!(timeline.ledger.is_empty(), "charged to nobody");
        timeline.recipients[0].state
    }
}

async fn r14_a_notice_is_delivered_like_any_mail_and_charged_to_nobody(bench: Bench) {
    let world = World::with_notice(bench).await;
    let before = world.store().account_numbers(world.account.id).await.unwrap().expect("kept");
    let mail = world.claimed().await;
    assert_eq!(mail.account_id, SYSTEM_ACCOUNT_ID);
    let domain = world
        .store()
        .domain(mail.account_id, mail.domain_id)
        .await
        .unwrap()
        .expect("the signer's key is found");
    assert_eq!(domain.name, "mail.example.org");
    let later = verdict(Disposition::Temporary, DeliveryStatus::Other, ErrorClassification::SmtpGreylist);
    let next = at(DUE).plus_micros(60_000_000);
    world.store().commit_outcomes(&[outcome(&mail, 0, later, Some(next))]).await.expect("deferred");
    assert_eq!(world.state_of(mail.message_id).await, State::Waiting);
    world.bench.clock.set(next);
    let mail = world.claimed().await;
    assert_eq!(mail.recipients[0].attempts, 1);
    world.store().commit_outcomes(&[outcome(&mail, 0, delivered(), None)]).await.expect("delivered");
    assert_eq!(world.state_of(mail.message_id).await, State::Delivered);
    let whose = world.store().account_of_message(mail.message_id).await.unwrap();
    assert_eq!(whose, Some(SYSTEM_ACCOUNT_ID), "found by its id alone");
    let message = world.store().message(SYSTEM_ACCOUNT_ID, mail.message_id).await.unwrap().expect("kept");
    assert_eq!((message.via.as_str(), message.mail_from.as_str()), ("system", FROM));
    let after = world.store().account_numbers(world.account.id).await.unwrap().expect("kept");
    assert_eq!(
        (after.cash, after.quota_day_used, after.ledger_sequence),
        (before.cash, before.quota_day_used, before.ledger_sequence)
    );
    world.verify().await;
}

async fn r14_a_notice_that_bounces_is_shown(bench: Bench) {
    let world = World::with_notice(bench).await;
    let mail = world.claimed().await;
    world.store().commit_outcomes(&[outcome(&mail, 0, delivered(), None)]).await.expect("delivered");
    let bounce = Bounce {
        key: MailKey { account_id: SYSTEM_ACCOUNT_ID, message_id: mail.message_id, number: 0 },
        news: News::Failed(verdict(
            Disposition::Permanent,
            DeliveryStatus::InvalidAddress,
            ErrorClassification::SmtpNxBox,
        )),
        final_recipient: "ann@example.net".to_owned(),
        words: "550 5.1.1 no such user".to_owned(),
    };
    let recorded = world.store().record_bounce(&bounce).await.expect("recorded");
    assert_eq!(recorded, Recorded::Changed(State::InvalidAddress));
    assert_eq!(world.state_of(mail.message_id).await, State::InvalidAddress);
    world.run_at(at("2027-05-15T16:00:00Z")).await;
    assert_eq!(world.mails().await.len(), 1, "the next notice is tried all the same");
}

async fn r03_a_notice_given_up_by_our_own_fault_pays_nobody_back(bench: Bench) {
    let world = World::with_notice(bench).await;
    let mail = world.claimed().await;
    let fault = verdict(Disposition::Permanent, DeliveryStatus::Other, ErrorClassification::SysOutInternal);
    world.store().commit_outcomes(&[outcome(&mail, 0, fault, None)]).await.expect("committed");
    assert_eq!(world.state_of(mail.message_id).await, State::Failed);
    world.verify().await;
}

async fn r03_a_notice_can_be_withdrawn(bench: Bench) {
    let world = World::with_notice(bench).await;
    let message_id = world.mails().await[0].message_id;
    let cancelled =
        world.store().cancel(SYSTEM_ACCOUNT_ID, message_id, "ann@example.org").await.expect("cancelled");
    assert_eq!(cancelled, Cancelled::Mails(1));
    assert_eq!(world.state_of(message_id).await, State::Cancelled);
    assert!(world.mails().await.is_empty());
    let again = world.store().cancel(SYSTEM_ACCOUNT_ID, message_id, "ann@example.org").await.expect("looked");
    assert_eq!(again, Cancelled::NothingToCancel);
    world.verify().await;
}
