//! What a site decides, step by step, without a network.

use indicia_store::queue::{QueuedMail, QueuedRecipient};

use super::*;
use crate::mail::items_of;
use crate::route::Router;
use crate::window::Window;

const NOW: UnixMicros = UnixMicros(1_000_000_000);
const SHARE: usize = 100;

async fn site(connections_max: usize) -> (Site, Arc<Route>) {
    let resolver = Arc::new(crate::dns::FixedResolver::new());
    let route = Arc::new(Router::new(resolver, vec![], 25).route("[192.0.2.1]").await.expect("a route"));
    (Site::new(route.clone(), None, connections_max), route)
}

fn items(count: i64) -> Vec<Item> {
    let window = Arc::new(Window::new(10_000, 1 << 20));
    let recipient = |number| QueuedRecipient {
        number,
        address: format!("u{number}@[192.0.2.1]"),
        domain: "[192.0.2.1]".into(),
        attempts: 0,
        place: None,
    };
    let mail = QueuedMail {
        account_id: 1,
        message_id: 1,
        sender_id: 1,
        domain_id: 1,
        day: 1,
        accepted_at: NOW,
        size_bytes: 1,
        recipient_count: 1,
        tag: "".into(),
        content: None,
        recipients: (0..count).map(recipient).collect(),
    };
    window.enter(mail.recipients.len());
    items_of(mail, &window, 0).collect()
}

fn push_all(site: &Site, route: &Arc<Route>, items: Vec<Item>) -> usize {
    items
        .into_iter()
        .map(|item| match site.push(item, route, SHARE, NOW) {
            Pushed::Queued { workers } => workers,
            Pushed::Held(..) | Pushed::Full(..) => 0,
        })
        .sum()
}

fn take(site: &Site) -> Item {
    match site.next() {
        Work::Send(item) => *item,
        Work::Wait => panic!("nothing waits"),
    }
}

#[tokio::test]
async fn one_worker_until_the_site_has_answered_then_as_many_as_mails_up_to_the_limit() {
    let (site, route) = site(4).await;
    assert_eq!(push_all(&site, &route, items(10)), 1);
    let first = take(&site);
    assert_eq!(first.number, 0, "first in, first out");
    assert_eq!(site.connected(NOW), 3, "up to the limit of 4");
    assert_eq!(push_all(&site, &route, items(5)), 0);
}

#[tokio::test]
async fn a_failed_site_is_held_longer_each_time_and_returns_what_waits() {
    let (site, route) = site(4).await;
    let pause = |failures: u32| i64::from(failures) * 1_000;
    for failures in 1..=3 {
        let now = NOW.plus_micros(i64::from(failures) * 10_000);
        for item in items(5) {
            assert!(matches!(site.push(item, &route, SHARE, now), Pushed::Queued { .. }));
        }
        let item = take(&site);
        assert!(site.refused(item, now).is_err(), "nobody is connected");
        let (held, waiting) = site.hold(now, "refused", pause);
        assert_eq!((held.until.0 - now.0, waiting.len()), (i64::from(failures) * 1_000, 4));
        assert_eq!(site.leave(false, now), 0);
        let item = items(1).remove(0);
        assert!(
            matches!(site.push(item, &route, SHARE, now.plus_micros(999)), Pushed::Held(_, held) if &*held.reason == "refused")
        );
    }
    site.works();
    let later = NOW.plus_micros(100_000);
    assert_eq!(site.hold(later, "again", pause).0.until.0 - later.0, 1_000, "success forgets the failures");
}

#[tokio::test]
async fn a_second_failure_while_held_does_not_lengthen_the_hold() {
    let (site, _) = site(4).await;
    let (first, _) = site.hold(NOW, "one", |_| 500);
    let (second, _) = site.hold(NOW.plus_micros(10), "two", |_| 9_999);
    assert_eq!((second.until, &*second.reason), (first.until, "one"));
}

#[tokio::test]
async fn the_share_bounds_what_waits_and_a_probed_site_gets_less() {
    let (site, route) = site(1).await;
    push_all(&site, &route, items(100));
    assert!(matches!(site.push(items(1).remove(0), &route, SHARE, NOW), Pushed::Full(..)));
    site.hold(NOW, "down", |_| 10);
    let later = NOW.plus_micros(11);
    let queued = items(100).into_iter().fold(0, |count, item| match site.push(item, &route, SHARE, later) {
        Pushed::Queued { .. } => count + 1,
        Pushed::Held(..) | Pushed::Full(..) => count,
    });
    assert_eq!(queued, PROBE_QUEUE_MAX);
}

#[tokio::test]
async fn a_refused_extra_connection_lowers_the_limit_for_a_while() {
    let (site, route) = site(10).await;
    push_all(&site, &route, items(20));
    assert_eq!(site.connected(NOW), 9);
    let item = take(&site);
    let number = item.number;
    assert!(site.refused(item, NOW).is_ok());
    assert_eq!(take(&site).number, number, "it is the next again");
    for _ in 0..9 {
        assert_eq!(site.leave(false, NOW), 0, "one connection is what the site allows");
    }
    let later = NOW.plus_micros(LIMIT_LOWERED_FOR_MICROS + 1);
    assert!(matches!(site.push(items(1).remove(0), &route, SHARE, later), Pushed::Queued { workers: 9 }));
}

#[tokio::test]
async fn a_worker_cannot_retire_while_mail_waits() {
    let (site, route) = site(2).await;
    push_all(&site, &route, items(1));
    drop(take(&site));
    site.connected(NOW);
    assert!(matches!(site.next(), Work::Wait));
    assert_eq!(push_all(&site, &route, items(1)), 0, "the idle worker will take it");
    assert!(!site.retire(true), "it must go on");
    drop(take(&site));
    assert!(matches!(site.next(), Work::Wait));
    assert!(site.retire(true));
    assert!(site.is_forgettable(NOW) && !site.is_busy());
}

#[tokio::test]
async fn breaks_in_a_row_are_counted_and_forgotten_on_success() {
    let (site, _) = site(2).await;
    for _ in 1..BREAKS_MAX {
        assert!(!site.broke());
    }
    site.works();
    for _ in 1..BREAKS_MAX {
        assert!(!site.broke());
    }
    assert!(site.broke());
}
