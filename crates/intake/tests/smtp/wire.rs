//! The connection: TLS, pipelining, chunks, smuggling, limits and the stop.

use std::time::Duration;

use indicia_intake::submission::{ConnectionLimits, SubmissionConfig};
use tokio::time::timeout;

use crate::support::{ANN, ANNS_PASSWORD, Bench, Client, Server, env_id, message};

#[tokio::test]
async fn a_mail_by_either_kind_of_tls() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut plain = server.connect().await;
    let offered = plain.ehlo().await;
    for keyword in
        ["STARTTLS", "SIZE 15728640", "PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING"]
    {
        assert!(offered.contains(keyword), "{keyword} in {offered}");
    }
    for mut client in [plain.start_tls().await, server.connect_tls().await] {
        let offered = client.ehlo().await;
        assert!(offered.contains("AUTH PLAIN LOGIN") && !offered.contains("STARTTLS"), "{offered}");
        client.say("STARTTLS", "503").await;
        client.log_in(ANN, ANNS_PASSWORD, "235").await;
        let reply = client.submit(ANN, "you@example.net", &message(ANN, ""), "250").await;
        let content = bench.store.content(bench.account_id, env_id(&reply)).await.unwrap().expect("kept");
        assert!(String::from_utf8_lossy(&content).contains("with ESMTPSA id"));
        client.say("QUIT", "221").await;
        client.expect_closed().await;
    }
}

#[tokio::test]
async fn commands_injected_behind_starttls_are_not_executed() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.connect().await;
    client.ehlo().await;
    client.send(format!("STARTTLS\r\nEHLO injected.test\r\nMAIL FROM:<{ANN}>\r\n")).await;
    client.expect("220").await;
    let mut client = client.handshake().await;
    client.say("NOOP", "250 2.0.0 OK").await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "503 5.5.1 Send EHLO first").await;
}

#[tokio::test]
async fn what_is_no_tls_is_closed() {
    let bench = Bench::new().await;
    let limits = ConnectionLimits { handshake_timeout: Duration::from_millis(300), ..Default::default() };
    let server = bench.start_with(limited(&bench, limits)).await;
    let mut in_clear = Client::connect_silently(server.tls_address(), None).await;
    in_clear.send("EHLO client.test\r\n").await;
    let mut silent = Client::connect_silently(server.tls_address(), None).await;
    silent.expect_closed().await;
    let mut client = server.connect().await;
    client.ehlo().await;
    client.say("STARTTLS", "220").await;
    client.expect_closed().await;
    let metrics = server.metrics();
    assert!(metrics.contains(r#"connections_turned_away_total{reason="tls_failed"} 3"#), "{metrics}");
}

#[tokio::test]
async fn a_pipelined_batch_is_answered_in_order() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    client
        .send(format!("MAIL FROM:<{ANN}>\r\nRCPT TO:<bad address>\r\nRCPT TO:<you@example.net>\r\nDATA\r\n"))
        .await;
    for reply in ["250", "501", "250", "354"] {
        client.expect(reply).await;
    }
    let next = format!("MAIL FROM:<{ANN}>\r\nRCPT TO:<you@example.net>\r\nDATA\r\n");
    client.send(format!("{}.\r\n{next}", message(ANN, ""))).await;
    for reply in ["250 2.0.0 send mail ok", "250", "250", "354"] {
        client.expect(reply).await;
    }
    client.send(format!("{}.\r\nQUIT\r\n", message(ANN, ""))).await;
    client.expect("250 2.0.0 send mail ok").await;
    client.expect("221").await;
    assert_eq!(bench.store.queue_length().await.unwrap().0, 2);
}

#[tokio::test]
async fn content_in_chunks() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    client.say("RCPT TO:<you@example.net>", "250").await;
    let content = message(ANN, "") + ".\r\n..\r\n";
    let (first, second) = content.split_at(25);
    client.send(format!("BDAT {}\r\n{first}", first.len())).await;
    client.expect("250").await;
    client.send(format!("BDAT {} LAST\r\n{second}", second.len())).await;
    let reply = client.expect("250 2.0.0 send mail ok").await;
    let kept = bench.store.content(bench.account_id, env_id(&reply)).await.unwrap().expect("kept");
    assert!(kept.ends_with(b"Body\r\n.\r\n..\r\n"));
}

#[tokio::test]
async fn nothing_is_smuggled_and_nothing_written() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    for end in
        ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\n.\r", "\r.\n", "\r\r\n.\r\r\n"]
    {
        let mut client = server.session().await;
        client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
        client.say("RCPT TO:<outer@example.net>", "250").await;
        client.say("DATA", "354").await;
        let inner =
            format!("MAIL FROM:<{ANN}>\r\nRCPT TO:<inner@example.net>\r\nDATA\r\n{}", message(ANN, ""));
        client.send(format!("{}last{end}{inner}\r\n.\r\n", message(ANN, ""))).await;
        let reply = client.reply().await;
        assert!(reply.starts_with("554 5.6.0"), "{end:?}: {reply}");
        client.say("NOOP", "250").await;
    }
    bench.assert_nothing_written().await;
}

fn limited(bench: &Bench, limits: ConnectionLimits) -> SubmissionConfig {
    SubmissionConfig { connections: limits, ..bench.config() }
}

#[tokio::test]
async fn connections_are_bounded_per_peer_and_in_all() {
    let bench = Bench::new().await;
    let limits = ConnectionLimits { connections_max: 3, connections_per_peer_max: 2, ..Default::default() };
    let server = bench.start_with(limited(&bench, limits)).await;
    let (first, _second) = (server.connect().await, server.connect().await);
    let mut third = Client::connect_silently(server.address(), None).await;
    third.expect("421 4.7.0 Too many connections from your address").await;
    third.expect_closed().await;
    let _other = server.connect_from([127, 0, 0, 2]).await;
    let mut over = Client::connect_silently(server.address(), Some([127, 0, 0, 3].into())).await;
    over.expect("421 4.3.2 Too many connections").await;
    drop(first);
    let again = async {
        while !Client::connect_silently(server.address(), None).await.reply().await.starts_with("220") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), again).await.expect("a place came free");
    let metrics = server.metrics();
    assert!(metrics.contains(r#"connections_turned_away_total{reason="server_full"} 1"#), "{metrics}");
}

#[tokio::test]
async fn unfinished_messages_cannot_take_all_memory() {
    let bench = Bench::new().await;
    let limits = ConnectionLimits { content_bytes_max: 100_000, ..Default::default() };
    let server = bench.start_with(limited(&bench, limits)).await;
    let body = "0123456789abcde\r\n".repeat(3_500);
    let mut first = server.session().await;
    let mut second = server.session().await;
    for client in [&mut first, &mut second] {
        client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
        client.say("RCPT TO:<you@example.net>", "250").await;
        client.say("DATA", "354").await;
    }
    first.send(format!("{}{body}", message(ANN, ""))).await;
    // Until the second message's octets no longer fit, however the two are scheduled.
    second.send(&body).await;
    let (over, other) = tokio::select! {
        reply = first.reply() => (reply, &mut second),
        reply = second.reply() => (reply, &mut first),
    };
    assert!(over.starts_with("421 4.3.1 Too much content"), "{over}");
    other.send("QUIT\r\n").await;
    drop((first, second));
    let mut client = server.session().await;
    for _ in 0..3 {
        client.submit(ANN, "you@example.net", &(message(ANN, "") + &body), "250").await;
    }
    assert_eq!(bench.store.queue_length().await.unwrap().0, 3);
}

#[tokio::test]
async fn silence_and_trickling_are_ended_with_421() {
    let bench = Bench::new().await;
    let idle = ConnectionLimits { idle_timeout: Duration::from_millis(300), ..Default::default() };
    let server = bench.start_with(limited(&bench, idle)).await;
    let mut client = server.connect().await;
    client.ehlo().await;
    client.expect("421 4.4.2 Nothing came within").await;
    client.expect_closed().await;
    let slow = ConnectionLimits { message_timeout: Duration::from_millis(800), ..Default::default() };
    let server = bench.start_with(limited(&bench, slow)).await;
    let mut client = server.session().await;
    client.submit(ANN, "you@example.net", &message(ANN, ""), "250").await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    client.say("RCPT TO:<you@example.net>", "250").await;
    client.say("DATA", "354").await;
    let trickle = async {
        for _ in 0..100 {
            client.send("x").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // The server closes meanwhile; a write may or may not notice.
    let _ = timeout(Duration::from_millis(1_000), trickle).await;
    client.expect("421 4.4.2 No whole message came within").await;
    assert_eq!(bench.store.queue_length().await.unwrap().0, 1);
}

async fn stopped(server: Server) {
    timeout(Duration::from_secs(30), server.task).await.expect("stops in time").expect("without a panic");
}

#[tokio::test]
async fn a_stop_lets_a_message_in_flight_finish_and_tells_the_others() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut idle = server.session().await;
    let mut busy = server.session().await;
    busy.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    busy.say("RCPT TO:<you@example.net>", "250").await;
    busy.say("DATA", "354").await;
    let address = server.address();
    server.shutdown.cancel();
    idle.expect("421 4.3.2 This server is shutting down").await;
    idle.expect_closed().await;
    busy.send(format!("{}.\r\n", message(ANN, ""))).await;
    busy.expect("250 2.0.0 send mail ok").await;
    busy.expect("421 4.3.2").await;
    busy.expect_closed().await;
    stopped(server).await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
    assert_eq!(bench.store.queue_length().await.unwrap().0, 1);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let bench = Bench::new().await;
    let limits = ConnectionLimits { grace: Duration::from_millis(300), ..Default::default() };
    let server = bench.start_with(limited(&bench, limits)).await;
    let mut client = server.session().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    client.say("RCPT TO:<you@example.net>", "250").await;
    client.say("DATA", "354").await;
    server.shutdown.cancel();
    stopped(server).await;
    client.expect_closed().await;
    bench.assert_nothing_written().await;
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let config = SubmissionConfig { listen: vec![server.address()], ..bench.config() };
    let mut registry = prometheus_client::registry::Registry::default();
    let started = indicia_intake::submission::start(
        config,
        bench.store.clone(),
        bench.admission.clone(),
        &mut registry,
        tokio_util::sync::CancellationToken::new(),
    )
    .await;
    let error = started.expect_err("the address is taken").to_string();
    assert!(error.starts_with(&format!("cannot listen on {}", server.address())), "{error}");
}
