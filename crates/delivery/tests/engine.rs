//! The whole engine against scripted servers and a spool in memory. Pauses pass on a clock set by hand.

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use indicia_delivery::dns::FixedResolver;
use indicia_delivery::verp::{BounceToken, Verp};
use indicia_domain::outcome::{Disposition, ErrorClassification, Phase};
use indicia_store::admission::Handoff as _;

use support::server::{Do, Server, closed_port, say};
use support::spool::{ACCOUNT, BODY};
use support::{Rig, SECOND, START, config, until};

#[tokio::test]
async fn a_mail_is_delivered_with_our_return_path_and_recorded() {
    let server = Server::friendly().await;
    let rig = Rig::start(config(&[("*", server.address)]));
    rig.spool.accept(41, &["bob@example.net"]);
    let outcome = rig.attempts(1).await.remove(0);
    assert_eq!(outcome.verdict.disposition, Disposition::Delivered);
    assert_eq!((outcome.phase, outcome.code, outcome.attempts), (Phase::Final, Some(250), 1));
    assert_eq!(outcome.reply, "250 2.0.0 queued");
    assert_eq!(outcome.remote_address, server.address.to_string());
    assert!(outcome.tls.contains("TLSv1.3") && outcome.tls.contains("unverified"), "{}", outcome.tls);
    assert!(!outcome.local_address.is_empty());

    let mail =
        server.lines().into_iter().find(|line| line.starts_with("MAIL FROM:<")).expect("a MAIL command");
    let path = mail.trim_start_matches("MAIL FROM:<").split('>').next().expect("a path").to_owned();
    let (local, _) = path.split_once('@').expect("an address");
    assert_eq!(server.copies(), [(local.to_owned(), BODY.to_owned())]);
    let token = Verp::new(&[9; 32], "bounce.example.net").verify(&path).expect("our own return path");
    assert_eq!(token, BounceToken { account_id: ACCOUNT, message_id: 41, recipient_number: 0 });
    assert_eq!((rig.spool.queued(), rig.metrics.delivered()), (0, 1));
    rig.delivery.stop().await;
}

#[tokio::test]
async fn the_fast_path_needs_no_claim_and_is_bounded() {
    let server = Server::friendly().await;
    let mut config = config(&[("*", server.address)]);
    config.poll_interval = Duration::from_secs(3600);
    config.recipients_in_memory_max = 100;
    let rig = Rig::start(config);
    let fast = rig.delivery.fast_path();
    assert!(fast.reserve(2, BODY.len()));
    fast.deliver(rig.spool.accept_leased(1, &["a@example.net", "b@example.org"]));
    assert_eq!(rig.attempts(2).await.len(), 2);
    assert!(!fast.reserve(76, 1), "three quarters of the window are the fast path's");
    assert!(fast.reserve(75, 1));
    fast.release(75, 1);
    rig.delivery.stop().await;
    assert!(!fast.reserve(1, 1), "a stopped engine takes nothing");
}

#[tokio::test]
async fn what_is_held_waits_however_old_it_grows_and_goes_out_afterwards() {
    let server = Server::friendly().await;
    let mut config = config(&[("*", server.address)]);
    config.poll_interval = Duration::from_millis(20);
    let rig = Rig::start(config);
    rig.spool.hold(Some("held.example"));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    rig.spool.accept(1, &["bob@held.example", "bob@free.example"]);
    assert_eq!(rig.attempts(1).await[0].address, "bob@free.example");
    until(|| rig.spool.row(1, 0).is_some_and(|row| !row.leased && !row.reason.is_empty())).await;
    let row = rig.spool.row(1, 0).expect("it waits");
    assert_eq!(row.reason, "held: mail of every account to held.example: their servers move");
    for _ in 0..5 {
        rig.advance(30 * 3_600);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(rig.spool.outcomes().len(), 1, "neither attempted nor failed");
    rig.spool.hold(None);
    let outcome = rig.attempts(2).await.remove(1);
    assert_eq!((outcome.verdict.disposition, outcome.attempts), (Disposition::Delivered, 1));
    rig.delivery.stop().await;
}

#[tokio::test]
async fn r22_much_held_mail_keeps_nobody_elses_waiting() {
    let server = Server::friendly().await;
    let mut config = config(&[("*", server.address)]);
    config.poll_interval = Duration::from_millis(20);
    let rig = Rig::start(config);
    rig.spool.hold(Some("held.example"));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let held: Vec<String> = (0..5_000).map(|number| format!("user{number}@held.example")).collect();
    rig.spool.accept(1, &held.iter().map(String::as_str).collect::<Vec<_>>());
    rig.spool.accept(2, &["bob@free.example"]);
    assert_eq!(rig.attempts(1).await[0].address, "bob@free.example");
    let claimed = rig.spool.hand_backs().len();
    assert!(claimed < 1_000, "{claimed} of 5000 held mails were claimed first");
    until(|| rig.spool.row(1, 4_999).is_some_and(|row| row.reason.starts_with("held: "))).await;
    rig.delivery.stop().await;
}

#[tokio::test]
async fn greylisting_then_acceptance() {
    let server = Server::scripted(|step| match step.verb.as_str() {
        "RCPT" if step.messages == 0 && step.connection == 0 => say("451 4.7.1 greylisted, try again"),
        _ => Do::Usual,
    })
    .await;
    let mut config = config(&[("*", server.address)]);
    config.idle_timeout = Duration::from_millis(1);
    let rig = Rig::start(config);
    rig.spool.accept(1, &["bob@example.net"]);
    let first = rig.attempts(1).await.remove(0);
    assert_eq!(first.verdict.classification, ErrorClassification::SmtpGreylist);
    let pause = first.next_due_at.expect("a retry").0 - START.0;
    assert!((48 * SECOND..=72 * SECOND).contains(&pause), "a minute give or take a fifth: {pause}");
    until(|| server.count("QUIT") == 1).await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(rig.spool.outcomes().len(), 1, "not before it is due");
    rig.advance(73);
    let second = rig.attempts(2).await.remove(1);
    assert_eq!((second.verdict.disposition, second.attempts), (Disposition::Delivered, 2));
    rig.delivery.stop().await;
}

#[tokio::test]
async fn one_of_many_recipients_is_deferred_alone() {
    let server = Server::scripted(|step| match step.line.contains("<slow@") {
        true => say("450 4.2.1 mailbox busy"),
        false => Do::Usual,
    })
    .await;
    let rig = Rig::start(config(&[("*", server.address)]));
    rig.spool.accept(1, &["a@example.net", "slow@example.net", "b@example.net"]);
    let outcomes = rig.attempts(3).await;
    for outcome in &outcomes {
        let expected = if outcome.key.number == 1 { Disposition::Temporary } else { Disposition::Delivered };
        assert_eq!(outcome.verdict.disposition, expected, "{outcome:?}");
    }
    assert_eq!((rig.spool.queued(), rig.spool.row(1, 1).expect("queued").leased), (1, false));
    rig.delivery.stop().await;
}

#[tokio::test]
async fn a_connection_lost_after_the_dot_keeps_the_mail() {
    let server = Server::scripted(|step| match step.verb.as_str() {
        "." if step.connection == 0 => Do::Drop,
        _ => Do::Usual,
    })
    .await;
    let rig = Rig::start(config(&[("*", server.address)]));
    rig.spool.accept(1, &["bob@example.net"]);
    let first = rig.attempts(1).await.remove(0);
    assert_eq!((first.phase, first.verdict.disposition), (Phase::Final, Disposition::Temporary));
    assert_eq!(rig.spool.queued(), 1);
    rig.advance(80);
    assert_eq!(rig.attempts(2).await[1].verdict.disposition, Disposition::Delivered);
    assert_eq!(server.messages().len(), 2, "at least once: the first copy may have been kept");
    rig.delivery.stop().await;
}

#[tokio::test]
async fn a_421_at_the_door_holds_the_site_and_gives_back_what_waits() {
    let server = Server::scripted(|step| match step.connection {
        0 => Do::SayAndDrop("421 4.3.2 come back later".into()),
        _ => Do::Usual,
    })
    .await;
    let rig = Rig::start(config(&[("*", server.address)]));
    let recipients: Vec<String> = (0..30).map(|number| format!("user{number}@example.net")).collect();
    rig.spool.accept(1, &recipients.iter().map(String::as_str).collect::<Vec<_>>());
    until(|| rig.spool.outcomes().len() + rig.spool.hand_backs().len() >= 30).await;
    assert_eq!(rig.spool.outcomes().len(), 1, "one connection was tried, one attempt is counted");
    assert_eq!(rig.spool.outcomes()[0].code, Some(421));
    for back in rig.spool.hand_backs() {
        assert!(back.reason.contains("come back later"), "{}", back.reason);
        assert!(back.due_at.0 >= START.0 + 48 * SECOND, "{back:?}");
    }
    assert_eq!((server.connections(), rig.spool.leased()), (1, 0));
    rig.advance(90);
    until(|| rig.spool.delivered() == 30).await;
    rig.delivery.stop().await;
}

#[tokio::test]
async fn a_dead_and_a_silent_host_hold_up_nobody_else() {
    let silent = Server::scripted(|_| Do::Hang).await;
    let good = Server::friendly().await;
    let mut config =
        config(&[("dead.test", closed_port().await), ("silent.test", silent.address), ("*", good.address)]);
    config.wire.timeout_permille = 1_000;
    config.stop_grace = Duration::from_millis(50);
    config.recipients_in_memory_max = 256;
    let rig = Rig::start(config);
    // Two thousand mails for the silent host lie before the others in the queue.
    for message in 0..200 {
        rig.spool.accept(message, &["u@silent.test"; 10]);
    }
    rig.spool.accept(500, &["u@dead.test"; 5]);
    rig.clock.advance_micros(1);
    for message in 1000..1050 {
        rig.spool.accept(message, &["a@example.net", "b@other.org"]);
    }
    until(|| rig.spool.delivered() == 100).await;
    assert!(rig.spool.leased_max.load(Ordering::SeqCst) <= 256, "memory is bounded");
    assert_eq!(silent.connections(), 1, "one probe at a time");
    until(|| rig.spool.hand_backs().iter().any(|back| back.key.message_id == 500)).await;
    rig.delivery.stop().await;
    assert_eq!(rig.spool.leased(), 0, "everything is given back at the stop");
}

#[tokio::test]
async fn connections_are_reused_and_replaced_after_their_number_of_mails() {
    let server = Server::friendly().await;
    let mut config = config(&[("*", server.address)]);
    config.connections_per_site_max = 1;
    config.deliveries_per_connection_max = 10;
    let rig = Rig::start(config);
    for message in 0..50 {
        rig.spool.accept(message, &["bob@example.net"]);
    }
    until(|| rig.spool.delivered() == 50).await;
    assert_eq!((server.connections(), rig.metrics.connections_opened()), (5, 5));
    rig.delivery.stop().await;
}

#[tokio::test]
async fn connections_to_a_site_are_limited_and_shared_by_domains_of_one_mx_set() {
    let server = Server::friendly().await;
    let localhost = [server.address.ip()];
    let resolver = FixedResolver::new()
        .with_mx("one.test", &[(10, "mx.test")])
        .with_mx("two.test", &[(10, "mx.test")])
        .with_addresses("mx.test", &localhost);
    let mut config = config(&[]);
    config.port = server.address.port();
    config.connections_per_site_max = 3;
    let rig = Rig::with_resolver(config, resolver);
    for message in 0..200 {
        rig.spool.accept(message, &["a@one.test", "b@two.test"]);
    }
    until(|| rig.spool.delivered() == 400).await;
    assert!(server.connections() <= 3, "{}", server.connections());
    assert_eq!(rig.spool.outcomes()[0].remote_host, "mx.test");
    rig.delivery.stop().await;
}

#[tokio::test]
async fn more_sites_than_connections_in_all_take_turns() {
    let mut servers = vec![];
    for _ in 0..5 {
        servers.push(Server::friendly().await);
    }
    let names: Vec<String> = (0..5).map(|number| format!("site{number}.test")).collect();
    let routes: Vec<_> =
        names.iter().map(String::as_str).zip(servers.iter().map(|server| server.address)).collect();
    let mut config = config(&routes);
    config.connections_max = 2;
    config.idle_timeout = Duration::from_secs(3600);
    let rig = Rig::start(config);
    for message in 0..20 {
        let to: Vec<String> = names.iter().map(|name| format!("u@{name}")).collect();
        rig.spool.accept(message, &to.iter().map(String::as_str).collect::<Vec<_>>());
    }
    until(|| rig.spool.delivered() == 100).await;
    rig.delivery.stop().await;
}

#[tokio::test]
async fn many_silent_hosts_leave_connections_to_the_others() {
    let silent = Server::scripted(|_| Do::Hang).await;
    let good = Server::friendly().await;
    let names: Vec<String> = (0..30).map(|number| format!("silent{number}.test")).collect();
    // One address, but a name and so a site of its own for each.
    let mut resolver = FixedResolver::new().with_mx("good.test", &[(1, "good.mx")]);
    for name in &names {
        resolver = resolver.with_mx(name, &[(1, &format!("mx.{name}"))]);
        resolver = resolver.with_addresses(&format!("mx.{name}"), &[silent.address.ip()]);
    }
    let mut config = config(&[("good.test", good.address)]);
    config.port = silent.address.port();
    config.connections_max = 16;
    config.wire.timeout_permille = 3;
    let rig = Rig::with_resolver(config, resolver);
    for (message, name) in names.iter().enumerate() {
        rig.spool.accept(message as i64, &[&format!("u@{name}")]);
    }
    until(|| rig.spool.outcomes().len() == 30).await;
    rig.advance(80);
    until(|| silent.connections() > 30).await;
    let opened = std::time::Instant::now();
    for message in 100..120 {
        rig.spool.accept(message, &["u@good.test"]);
    }
    until(|| rig.spool.delivered() == 20).await;
    assert!(
        opened.elapsed() < Duration::from_millis(800),
        "not behind the probes' timeouts: {:?}",
        opened.elapsed()
    );
    rig.delivery.stop().await;
}

#[tokio::test]
async fn domains_without_a_way_to_them() {
    let resolver =
        FixedResolver::new().with_mx("null.test", &[(0, "")]).with_failure("broken.test", "SERVFAIL");
    let rig = Rig::with_resolver(config(&[]), resolver);
    rig.spool.accept(1, &["u@null.test", "u@missing.test", "u@broken.test"]);
    for outcome in rig.attempts(3).await {
        let (disposition, class, code) = match outcome.key.number {
            0 => (Disposition::Permanent, ErrorClassification::SysOutInvRcpt, "556 5.1.10"),
            1 => (Disposition::Permanent, ErrorClassification::SysOutDnsResolveFail, "550 5.1.2"),
            _ => (Disposition::Temporary, ErrorClassification::SysOutDnsTempFail, "451 4.4.3"),
        };
        assert_eq!((outcome.verdict.disposition, outcome.verdict.classification), (disposition, class));
        assert_eq!(outcome.verdict.enters_invalid_library(), disposition == Disposition::Permanent);
        assert!(outcome.reply.starts_with(code), "{}", outcome.reply);
        assert_eq!(outcome.phase, Phase::Dns);
    }
    rig.delivery.stop().await;
}

#[tokio::test]
async fn the_maximum_age_ends_retries_with_the_last_words() {
    let server =
        Server::scripted(|step| if step.verb == "RCPT" { say("451 4.3.0 try later") } else { Do::Usual })
            .await;
    let rig = Rig::start(config(&[("*", server.address)]));
    rig.spool.accept(1, &["bob@example.net"]);
    let mut count = 0;
    while rig.spool.queued() > 0 {
        count += 1;
        assert!(count < 100, "the age of an hour must end it");
        let last = rig.attempts(count).await.pop().expect("an attempt");
        if let Some(due) = last.next_due_at {
            assert!(due.0 <= START.0 + 3600 * SECOND, "never past the maximum age");
            rig.clock.set(due);
            rig.delivery.wake();
        }
    }
    let last = rig.spool.outcomes().pop().expect("an attempt");
    assert_eq!(last.verdict.disposition, Disposition::Permanent);
    assert!(!last.verdict.enters_invalid_library());
    assert_eq!(last.reply, "451 4.3.0 try later");
    assert_eq!(last.finished_at.0, START.0 + 3600 * SECOND, "the last attempt is made at the maximum age");
    rig.delivery.stop().await;
}

#[tokio::test]
async fn a_stop_gives_back_what_is_under_way_after_the_grace_time() {
    let server = Server::scripted(|step| if step.verb == "." { Do::Hang } else { Do::Usual }).await;
    let mut config = config(&[("*", server.address)]);
    config.wire.timeout_permille = 1_000;
    config.stop_grace = Duration::from_millis(50);
    let rig = Rig::start(config);
    for message in 0..40 {
        rig.spool.accept(message, &["bob@example.net"]);
    }
    until(|| !server.messages().is_empty()).await;
    rig.delivery.stop().await;
    assert_eq!((rig.spool.leased(), rig.spool.queued()), (0, 40), "nothing is lost, nothing stays leased");
    assert_eq!(rig.spool.outcomes().len(), 0);
}

#[tokio::test]
async fn a_stop_lets_transactions_end_and_commits_them() {
    let server = Server::scripted(|step| {
        if step.verb == "." {
            std::thread::sleep(Duration::from_millis(30));
        }
        Do::Usual
    })
    .await;
    let rig = Rig::start(config(&[("*", server.address)]));
    for message in 0..20 {
        rig.spool.accept(message, &["bob@example.net"]);
    }
    until(|| !server.messages().is_empty()).await;
    rig.delivery.stop().await;
    assert_eq!(rig.spool.delivered(), server.messages().len(), "what the remote took is committed");
    assert_eq!(rig.spool.leased(), 0);
}

#[tokio::test]
async fn a_failing_commit_is_repeated_and_no_outcome_is_lost() {
    let server = Server::friendly().await;
    let rig = Rig::start(config(&[("*", server.address)]));
    rig.spool.failing_commits.store(3, Ordering::SeqCst);
    for message in 0..100 {
        rig.spool.accept(message, &["bob@example.net"]);
    }
    until(|| rig.spool.delivered() == 100).await;
    assert_eq!(server.messages().len(), 100, "no mail was sent twice");
    rig.delivery.stop().await;
}

#[tokio::test]
async fn outcomes_are_committed_in_groups() {
    let server = Server::friendly().await;
    let rig = Rig::start(config(&[("*", server.address)]));
    rig.spool.failing_commits.store(2, Ordering::SeqCst);
    for message in 0..300 {
        rig.spool.accept(message, &["bob@example.net"]);
    }
    until(|| rig.spool.delivered() == 300).await;
    let commits = rig.spool.commits.load(Ordering::SeqCst);
    assert!(commits < 60, "{commits} commits for 300 mails");
    rig.delivery.stop().await;
}

#[tokio::test]
async fn a_second_connection_that_is_refused_does_not_hold_the_site() {
    let server = Server::scripted(|step| match step.connection {
        0 => Do::Usual,
        _ => Do::SayAndDrop("421 4.7.0 too many connections".into()),
    })
    .await;
    let rig = Rig::start(config(&[("*", server.address)]));
    for message in 0..100 {
        rig.spool.accept(message, &["bob@example.net"]);
    }
    until(|| rig.spool.delivered() == 100).await;
    assert_eq!(rig.spool.outcomes().len(), 100, "no attempt failed");
    rig.delivery.stop().await;
}

#[tokio::test]
async fn an_idle_connection_that_died_costs_no_attempt() {
    let server = Server::scripted(|step| match step.verb.as_str() {
        "MAIL" if step.connection == 0 && step.messages == 1 => {
            Do::SayAndDrop("421 4.4.2 idle for too long".into())
        }
        _ => Do::Usual,
    })
    .await;
    let mut config = config(&[("*", server.address)]);
    config.idle_timeout = Duration::from_secs(60);
    let rig = Rig::start(config);
    rig.spool.accept(1, &["a@example.net"]);
    until(|| rig.spool.delivered() == 1).await;
    rig.spool.accept(2, &["b@example.net"]);
    until(|| rig.spool.delivered() == 2).await;
    assert_eq!((rig.spool.outcomes().len(), server.connections()), (2, 2));
    rig.delivery.stop().await;
}

#[tokio::test]
async fn mx_preference_falls_back_to_the_next_host() {
    let server = Server::friendly().await;
    let resolver = FixedResolver::new()
        .with_mx("example.net", &[(10, "dead.mx"), (20, "good.mx")])
        .with_addresses("dead.mx", &["127.0.0.2".parse().expect("an address")])
        .with_addresses("good.mx", &[server.address.ip()]);
    let mut config = config(&[]);
    config.port = server.address.port();
    let rig = Rig::with_resolver(config, resolver);
    rig.spool.accept(1, &["bob@example.net"]);
    let outcome = rig.attempts(1).await.remove(0);
    assert_eq!(
        (outcome.verdict.disposition, outcome.remote_host.as_str()),
        (Disposition::Delivered, "good.mx")
    );
    rig.delivery.stop().await;
}

#[tokio::test]
async fn a_mail_that_cannot_be_signed_waits_and_says_whose_fault_it_is() {
    let server = Server::friendly().await;
    let mut config = config(&[("*", server.address)]);
    config.sign = true;
    let rig = Rig::start(config);
    rig.spool.accept(1, &["bob@example.net"]);
    let outcome = rig.attempts(1).await.remove(0);
    assert_eq!(outcome.verdict.classification, ErrorClassification::SysOutInternal);
    assert_eq!(outcome.verdict.disposition, Disposition::Temporary);
    assert_eq!(server.messages().len(), 0, "never unsigned");
    rig.delivery.stop().await;
}

#[tokio::test]
async fn a_panic_costs_neither_the_lease_nor_the_site() {
    use indicia_delivery::dns::{DnsError, Mx, Resolver};
    struct Panicking(std::sync::atomic::AtomicUsize, std::net::IpAddr);
    #[async_trait::async_trait]
    impl Resolver for Panicking {
        async fn mx(&self, _: &str) -> Result<Vec<Mx>, DnsError> {
            Ok(vec![Mx { preference: 1, exchange: "mx.test".into() }])
        }
        async fn addresses(&self, _: &str) -> Result<Vec<std::net::IpAddr>, DnsError> {
            assert!(self.0.fetch_add(1, Ordering::SeqCst) > 0, "the first look-up panics");
            Ok(vec![self.1])
        }
    }
    let server = Server::friendly().await;
    let mut config = config(&[]);
    config.port = server.address.port();
    let resolver = Panicking(Default::default(), server.address.ip());
    let rig = Rig::with_resolver(config, resolver);
    rig.spool.accept(1, &["a@example.net", "b@example.net", "c@example.net"]);
    until(|| rig.spool.delivered() == 2 && rig.spool.hand_backs().len() == 1).await;
    assert!(rig.spool.hand_backs()[0].reason.contains("internal error"));
    rig.advance(61);
    until(|| rig.spool.delivered() == 3).await;
    rig.delivery.stop().await;
}

#[tokio::test]
async fn metrics_tell_what_happened() {
    let server =
        Server::scripted(
            |step| if step.line.contains("<gone@") { say("550 5.1.1 unknown") } else { Do::Usual },
        )
        .await;
    let mut registry = prometheus_client::registry::Registry::default();
    let rig = Rig::with_metrics(
        config(&[("*", server.address)]),
        FixedResolver::new(),
        indicia_delivery::Metrics::register(&mut registry),
    );
    rig.spool.accept(1, &["a@example.net", "gone@example.net"]);
    rig.attempts(2).await;
    rig.delivery.stop().await;
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
    for line in [
        "delivery_delivered_total 1",
        "delivery_bounced_total{classification=\"SmtpNxBox\"} 1",
        "delivery_attempts_total{phase=\"final\"} 1",
        "delivery_attempts_total{phase=\"rcpt\"} 1",
        "delivery_latency_seconds_count 1",
        "delivery_connections_open 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
}

#[tokio::test]
async fn signed_once_for_all_recipients() {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    let server = Server::friendly().await;
    let mut config = config(&[("*", server.address)]);
    config.sign = true;
    let rig = Rig::start(config);
    let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = key.as_der().expect("PKCS#8");
    rig.spool.set_signing_key(indicia_delivery::spool::SigningKey {
        domain: "sender.test".into(),
        selector: "s1".into(),
        pkcs8_der: bytes::Bytes::copy_from_slice(der.as_ref()),
    });
    rig.spool.accept(1, &["a@example.net", "b@example.net", "c@other.org"]);
    until(|| rig.spool.delivered() == 3).await;
    let (mut tokens, messages): (Vec<_>, Vec<_>) = server.copies().into_iter().unzip();
    assert!(messages[0].starts_with("DKIM-Signature: v=1; a=rsa-sha256;"), "{}", messages[0]);
    assert!(messages[0].ends_with(BODY));
    assert!(messages.iter().all(|message| *message == messages[0]));
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 3, "each recipient's own");
    rig.delivery.stop().await;
}
