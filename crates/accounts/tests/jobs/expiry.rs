//! R14 and R13: packages that end soon, and that have ended.

use indicia_domain::notice::{Channel, Language};
use indicia_domain::time::{DAY_MICROS, UnixMicros};
use indicia_store::notice::NoticeState;
use indicia_store::package::RefundRequest;

use crate::engines::Bench;
use crate::support::operator;
use crate::world::{PHONE, World, at};

on_both_engines!(
    r14_at_the_due_instant_and_once,
    r14_leads_past_at_purchase_are_skipped,
    r14_a_used_up_package_is_not_announced,
    r14_a_refunded_package_is_not_announced,
    r14_an_outage_over_two_leads_is_one_message_that_names_the_package_once,
    r14_an_outage_over_the_end_is_not_told_as_to_come,
    r14_packages_due_together_share_a_message,
    r14_in_the_language_of_the_contact,
    r13_what_lapsed_is_told_with_its_amount,
);

/// The local midnight that ends a package bought at noon of 2026-11-22 for six months.
fn end() -> UnixMicros {
    at("2027-05-22T16:00:00Z")
}

/// So many days before the end; Shanghai has no daylight-saving time.
fn before_end(days: i64) -> UnixMicros {
    end().plus_micros(-days * DAY_MICROS)
}

async fn r14_at_the_due_instant_and_once(bench: Bench) {
    let world = World::new(bench).await;
    let instance = world.buy(50_000, 6).await;
    for (told_before, lead) in [30, 7, 1].into_iter().enumerate() {
        world.run_at(before_end(lead).plus_micros(-1)).await;
        assert_eq!(
            world.counts().await,
            (told_before, told_before, told_before),
            "a microsecond before {lead} days"
        );
        world.run_at(before_end(lead)).await;
        let told = told_before + 1;
        assert_eq!(world.counts().await, (told, told, told), "{lead} days before");
        world.run().await;
        world.run_at(before_end(lead).plus_micros(3_600_000_000)).await;
        assert_eq!(world.counts().await, (told, told, told), "{lead} days before, once");
    }
    let message = world.inbox().await.pop().expect("a message");
    for fact in [instance.as_str(), "2027-05-23 00:00", "Asia/Shanghai", "50,000"] {
        assert!(message.body.contains(fact), "{fact} in {}", message.body);
    }
    let console = format!("https://console.example.org/accounts/{}/billing", world.account.id);
    assert!(message.body.contains(&console), "{}", message.body);
    let mail = world.mails().await.pop().expect("a mail");
    assert_eq!((mail.to.as_str(), mail.subject.as_str()), ("ann@example.net", message.subject.as_str()));
    assert_eq!(mail.body.replace("\r\n", "\n"), message.body);
    let text = world.gateway.taken().pop().expect("a text");
    assert_eq!(text.to.as_str(), PHONE);
    assert!(text.text.contains("50,000"), "{}", text.text);
    for channel in Channel::ALL {
        let rows = world.rows(&instance, *channel).await;
        assert_eq!(rows.iter().map(|row| row.lead_days).collect::<Vec<_>>(), [30, 7, 1]);
        assert!(rows.iter().all(|row| row.state == NoticeState::HandedOver && row.dispatch_id.is_some()));
    }
    assert_eq!(world.gateway.tries.load(std::sync::atomic::Ordering::SeqCst), 3);
    world.verify().await;
}

async fn r14_leads_past_at_purchase_are_skipped(bench: Bench) {
    let world = World::new(bench).await;
    // Valid to 2026-12-23 00:00 there: 30 days before is 2026-11-23 00:00, half a day ahead.
    let early = world.buy(1_000, 1).await;
    assert_eq!(world.rows(&early, Channel::Email).await.len(), 3);
    world.bench.clock.set(at("2027-01-30T16:00:00Z"));
    // Bought on 31 January there, it ends on 1 March at midnight: 29 days.
    let late = world.buy(1_000, 1).await;
    let leads: Vec<_> = world.rows(&late, Channel::Email).await.iter().map(|row| row.lead_days).collect();
    assert_eq!(leads, [7, 1]);
}

async fn r14_a_used_up_package_is_not_announced(bench: Bench) {
    let world = World::new(bench).await;
    let instance = world.buy(100, 6).await;
    world.send(100).await;
    world.run_at(before_end(30)).await;
    assert!(world.told("expiry").await.is_empty());
    let rows = world.rows(&instance, Channel::Sms).await;
    assert_eq!((rows[0].state, rows[0].reason.as_str()), (NoticeState::Skipped, "the package is used up"));
}

async fn r14_a_refunded_package_is_not_announced(bench: Bench) {
    let world = World::new(bench).await;
    let instance = world.buy(100, 6).await;
    let request = RefundRequest {
        account_id: world.account.id,
        instance_id: instance.clone(),
        idempotency_key: None,
        nonce: None,
        by: operator(),
    };
    world.store().refund(&request).await.expect("refunded");
    for lead in [30, 7, 1, -1] {
        world.run_at(before_end(lead)).await;
    }
    assert_eq!(world.counts().await, (0, 0, 0), "neither before its end nor as lapsed");
    assert_eq!(world.states(&instance, Channel::Station).await, [NoticeState::Skipped; 3]);
}

async fn r14_an_outage_over_two_leads_is_one_message_that_names_the_package_once(bench: Bench) {
    let world = World::new(bench).await;
    let instance = world.buy(50_000, 6).await;
    world.run_at(before_end(5)).await;
    assert_eq!(world.counts().await, (1, 1, 1));
    let body = &world.inbox().await[0].body;
    let named = body.lines().filter(|line| line.trim() == instance).count();
    assert_eq!(named, 1, "{body}");
    assert!(body.contains("7 days") && !body.contains("30 days"), "the nearest lead: {body}");
    let rows = world.rows(&instance, Channel::Email).await;
    let states: Vec<_> = rows.iter().map(|row| row.state).collect();
    assert_eq!(states, [NoticeState::HandedOver, NoticeState::HandedOver, NoticeState::Waiting]);
    assert_eq!(rows[0].dispatch_id, rows[1].dispatch_id);
    world.run_at(before_end(1)).await;
    assert_eq!(world.counts().await, (2, 2, 2));
}

async fn r14_an_outage_over_the_end_is_not_told_as_to_come(bench: Bench) {
    let world = World::new(bench).await;
    let instance = world.buy(50_000, 6).await;
    world.run_at(end()).await;
    assert!(world.told("expiry").await.is_empty(), "at the end itself it has ended");
    assert_eq!(world.told("lapsed").await.len(), 1);
    for row in world.rows(&instance, Channel::Email).await {
        assert_eq!(row.state, NoticeState::Skipped);
        assert_eq!(row.reason, "the service did not run between the due instant and the end");
    }
}

async fn r14_packages_due_together_share_a_message(bench: Bench) {
    let world = World::new(bench).await;
    let (first, second) = (world.buy(1_000, 6).await, world.buy(3_000, 6).await);
    world.run_at(before_end(30)).await;
    assert_eq!(world.counts().await, (1, 1, 1));
    let body = &world.inbox().await[0].body;
    assert!(body.contains(&first) && body.contains(&second) && body.contains("4,000"), "{body}");
    let dispatch = |rows: Vec<indicia_store::notice::NoticeRow>| rows[0].dispatch_id.expect("handed over");
    let mail = world.mails().await[0].message_id;
    for instance in [&first, &second] {
        assert_eq!(dispatch(world.rows(instance, Channel::Email).await), mail);
    }
}

async fn r14_in_the_language_of_the_contact(bench: Bench) {
    let world = World::new(bench).await;
    world.buy(1_000, 6).await;
    world.run_at(before_end(30)).await;
    world.reachable_over(|contact| contact.language = Language::Chinese).await;
    world.run_at(before_end(7)).await;
    let (inbox, mails, texts) = (world.inbox().await, world.mails().await, world.gateway.taken());
    assert!(
        inbox[0].subject.contains("mails lapse after") && inbox[1].subject.starts_with("资源包"),
        "{inbox:?}"
    );
    assert!(mails[1].subject.starts_with("资源包") && mails[1].body.contains("到期时间"), "{mails:?}");
    assert!(texts[0].text.contains("package") && texts[1].text.contains("资源包"));
}

async fn r13_what_lapsed_is_told_with_its_amount(bench: Bench) {
    let world = World::new(bench).await;
    let instance = world.buy(5_000, 6).await;
    world.send(766).await;
    world.run_at(end().plus_micros(-1)).await;
    assert!(world.told("lapsed").await.is_empty());
    world.run_at(end()).await;
    world.run_at(end().plus_micros(DAY_MICROS)).await;
    let told: Vec<_> = world.inbox().await.into_iter().filter(|message| message.kind == "lapsed").collect();
    assert_eq!(told.len(), 1);
    assert!(told[0].subject.contains("4,234") && told[0].body.contains(&instance), "{told:?}");
    world.verify().await;
}
