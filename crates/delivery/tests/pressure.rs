//! The engine with little memory and long backlogs: nobody waits for ever, and nobody stands in another's way.

mod support;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use support::server::{Do, Server};
use support::spool::BODY;
use support::{Rig, SECOND, config, until};

/// A server that takes its time over each message.
async fn slow(pause: Duration) -> Server {
    Server::scripted(move |step| {
        if step.verb == "." {
            tokio::task::block_in_place(|| std::thread::sleep(pause));
        }
        Do::Usual
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn contents_kept_for_a_slow_site_do_not_block_the_others() {
    let (fast, slow) = (Server::friendly().await, slow(Duration::from_millis(20)).await);
    let mut config = config(&[("fast.test", fast.address), ("slow.test", slow.address)]);
    config.connections_per_site_max = 2;
    config.bytes_in_memory_max = 1 << 20;
    let rig = Rig::start(config);
    rig.spool.content_bytes.store(200 << 10, Ordering::SeqCst);
    for message in 0..80 {
        // One in four is made for the fast site first, and its content waits for the slow one, behind others that have
        // none yet.
        let shared: &[&str] = &["a@fast.test", "b@slow.test"];
        rig.spool.accept(message, if message % 4 == 3 { shared } else { &["c@slow.test"] });
    }
    until(|| rig.spool.delivered() == 100).await;
    assert_eq!(rig.spool.hand_backs().len(), 0, "contents that only wait make room");
    rig.delivery.stop().await;
}

#[tokio::test]
async fn a_mail_without_room_goes_back_and_its_worker_goes_on() {
    let (hanging, good) = (
        Server::scripted(|step| if step.verb == "." { Do::Hang } else { Do::Usual }).await,
        Server::friendly().await,
    );
    let mut config = config(&[("hanging.test", hanging.address), ("good.test", good.address)]);
    config.bytes_in_memory_max = 1 << 20;
    config.wire.timeout_permille = 1_000;
    config.stop_grace = Duration::from_millis(50);
    let rig = Rig::start(config);
    rig.spool.content_bytes.store(1 << 20, Ordering::SeqCst);
    rig.spool.accept(1, &["a@hanging.test"]);
    until(|| !hanging.messages().is_empty()).await;
    rig.spool.accept(2, &["b@good.test"]);
    until(|| rig.spool.hand_backs().len() == 1).await;
    let back = rig.spool.hand_backs().remove(0);
    assert_eq!((back.key.message_id, back.reason.as_str()), (2, "no room in memory for its content"));
    let pause = back.due_at.0 - rig.now().0;
    assert!((10 * SECOND..=11 * SECOND).contains(&pause), "{pause}");
    assert_eq!(rig.spool.outcomes().len(), 0, "it counts as no attempt");
    rig.delivery.stop().await;
    assert_eq!(rig.spool.leased(), 0);
}

#[tokio::test]
async fn a_long_backlog_of_one_site_does_not_stand_before_the_others() {
    let hanging = Server::scripted(|step| if step.verb == "." { Do::Hang } else { Do::Usual }).await;
    let good = Server::friendly().await;
    let mut config = config(&[("hanging.test", hanging.address), ("good.test", good.address)]);
    config.recipients_in_memory_max = 512;
    config.poll_interval = Duration::from_secs(1);
    config.wire.timeout_permille = 1_000;
    config.stop_grace = Duration::from_millis(50);
    let rig = Rig::start(config);
    for message in 0..3_000 {
        rig.spool.accept(message, &["u@hanging.test"]);
    }
    rig.clock.advance_micros(1);
    rig.spool.accept(10_000, &["late@good.test"]);
    rig.delivery.wake();
    until(|| rig.spool.delivered() == 1).await;
    rig.delivery.stop().await;
}

#[tokio::test]
async fn a_backlog_is_pushed_back_once_and_not_cycled() {
    let mut servers = vec![];
    for _ in 0..4 {
        servers.push(Server::scripted(|step| if step.verb == "." { Do::Hang } else { Do::Usual }).await);
    }
    let names: Vec<String> = (0..4).map(|number| format!("site{number}.test")).collect();
    let routes: Vec<_> =
        names.iter().map(String::as_str).zip(servers.iter().map(|server| server.address)).collect();
    let mut config = config(&routes);
    config.recipients_in_memory_max = 512;
    config.connections_per_site_max = 1;
    config.wire.timeout_permille = 1_000;
    config.stop_grace = Duration::from_millis(50);
    let rig = Rig::start(config);
    for message in 0..1_600 {
        rig.spool.accept(message, &[&format!("u@{}", names[message as usize % 4])]);
    }
    let due = || {
        let now = rig.now();
        (0..1_600)
            .filter(|message| rig.spool.row(*message, 0).is_some_and(|row| !row.leased && row.due_at <= now))
            .count()
    };
    until(|| due() == 0 && rig.spool.leased() < 512).await;
    // Ten minutes, in steps of what used to be everybody's pause.
    for _ in 0..10 {
        rig.advance(66);
        until(|| due() == 0).await;
    }
    let backs = rig.spool.hand_backs().len();
    assert!(backs < 3 * 1_600, "{backs} times given back within ten minutes");
    rig.delivery.stop().await;
}

#[tokio::test]
async fn a_busy_site_gets_what_was_put_off_in_time() {
    let good = Server::friendly().await;
    let mut config = config(&[("*", good.address)]);
    config.recipients_in_memory_max = 64;
    let rig = Rig::start(config);
    for message in 0..500 {
        rig.spool.accept(message, &["u@example.net"]);
    }
    let start = Instant::now();
    while rig.spool.delivered() < 500 {
        assert!(start.elapsed() < Duration::from_secs(10), "{} of 500", rig.spool.delivered());
        rig.advance(5);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(good.copies().iter().all(|(_, message)| message == BODY));
    rig.delivery.stop().await;
}
