//! MAIL FROM: whom a client may speak for.

use indicia_intake::submission::{SubmissionConfig, TrustedRelay};

use crate::support::{
    ANN, ANNS_PASSWORD, BEN, Bench, DOMAIN_PASSWORD, Server, account, domain, env_id, message, sender,
};

#[tokio::test]
async fn mail_from_must_be_the_login() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    let reply = client.say(&format!("MAIL FROM:<{BEN}>"), "436 4.7.1").await;
    assert_eq!(
        reply,
        "436 4.7.1 \"MAIL FROM\" doesn't conform with authentication [@sm060104] \
         (Auth Account:ann@example.org|Mail Account:ben@example.org)"
    );
    client.say("MAIL FROM:<someone@else.test>", "436").await;
    client.say("MAIL FROM:<>", "436").await;
    client.say("RCPT TO:<you@example.net>", "503").await;
    client.say("MAIL FROM:<Ann@EXAMPLE.org>", "250").await;
    client.say("MAIL FROM:<ann@example.org>", "503").await;
}

#[tokio::test]
async fn a_domains_login_speaks_for_its_registered_addresses() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.connect().await;
    client.ehlo().await;
    client.log_in("example.org", DOMAIN_PASSWORD, "235").await;
    client.say("MAIL FROM:<someone@else.test>", "436").await;
    let reply = client.say("MAIL FROM:<zoe@example.org>", "553 5.7.1").await;
    assert!(reply.contains("zoe@example.org is not a sender address"), "{reply}");
    for address in [ANN, BEN] {
        client.submit(address, "you@example.net", &message(address, ""), "250").await;
    }
    client.submit(BEN, "you@example.net", &message("Any <any@example.org>", ""), "250").await;
    client.submit(BEN, "you@example.net", &message("a@else.test", ""), "554 5.7.1").await;
}

#[tokio::test]
async fn an_unregistered_address_needs_the_domain_wide_sender() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.connect().await;
    client.ehlo().await;
    client.log_in("zoe@example.org", DOMAIN_PASSWORD, "235").await;
    client.say("MAIL FROM:<zoe@example.org>", "553 5.7.1").await;
    let address = "domain-auth-created-by-system@example.org";
    let wide = sender(&bench.store, bench.account_id, bench.domain_id, address).await;
    let reply =
        client.submit("zoe@example.org", "you@example.net", &message("zoe@example.org", ""), "250").await;
    let kept = bench.store.message(bench.account_id, env_id(&reply)).await.unwrap().expect("kept");
    assert_eq!((kept.sender_id, kept.mail_from.as_str()), (wide, "zoe@example.org"));
}

#[tokio::test]
async fn a_frozen_or_deleted_address_sends_nothing() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    freeze(&bench, ANN).await;
    let reply = client.say(&format!("MAIL FROM:<{ANN}>"), "551 5.7.1").await;
    assert!(reply.contains("ann@example.org is frozen"), "{reply}");
    let month = indicia_domain::time::UnixMicros(0);
    bench.store.delete_sender(bench.account_id, bench.ann_id, month, 10).await.unwrap();
    client.say(&format!("MAIL FROM:<{ANN}>"), "553 5.7.1").await;
    bench.assert_nothing_written().await;
}

/// There is no call for it yet: the column is set by hand.
async fn freeze(bench: &Bench, address: &str) {
    use sqlx::Connection;
    let url = format!("sqlite://{}", bench.dir.path().join("indicia.db").display());
    let mut connection = sqlx::AnyConnection::connect(&url).await.expect("opened");
    sqlx::query("UPDATE sender SET frozen = 1 WHERE address = $1")
        .bind(address.to_owned())
        .execute(&mut connection)
        .await
        .expect("frozen");
}

fn relay(network: &str, account_id: i64, sender_address: Option<&str>) -> TrustedRelay {
    TrustedRelay {
        network: network.parse().expect("a network"),
        account_id,
        sender_address: sender_address.map(str::to_owned),
    }
}

async fn start_trusting(bench: &Bench, trusted: Vec<TrustedRelay>) -> Server {
    bench.start_with(SubmissionConfig { trusted, ..bench.config() }).await
}

#[tokio::test]
async fn a_trusted_network_needs_no_login_and_others_do() {
    let bench = Bench::new().await;
    let server = start_trusting(&bench, vec![relay("127.0.9.0/24", bench.account_id, None)]).await;
    let mut client = server.connect_from([127, 0, 9, 1]).await;
    client.ehlo().await;
    client.say("MAIL FROM:<stranger@else.test>", "553 5.7.1").await;
    let reply = client.say("MAIL FROM:<eve@unproved.org>", "553 5.7.1").await;
    assert!(reply.contains("unproved.org is not verified"), "{reply}");
    client.say("MAIL FROM:<>", "550 5.7.1").await;
    let reply = client.submit(ANN, "you@example.net", &message("any@example.org", ""), "250").await;
    let kept = bench.store.message(bench.account_id, env_id(&reply)).await.unwrap().expect("kept");
    assert_eq!((kept.via.as_str(), kept.mail_from.as_str()), ("relay", ANN));
    let mut client = server.connect_from([127, 0, 10, 1]).await;
    client.ehlo().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "530").await;
}

#[tokio::test]
async fn a_relays_sender_address_stands_for_everything_it_sends() {
    let bench = Bench::new().await;
    let server = start_trusting(&bench, vec![relay("127.0.9.0/24", bench.account_id, Some(BEN))]).await;
    let mut client = server.connect_from([127, 0, 9, 1]).await;
    client.ehlo().await;
    for from in ["root@host.local", ""] {
        let reply = client.submit(from, "you@example.net", &message("cron@example.org", ""), "250").await;
        let kept = bench.store.message(bench.account_id, env_id(&reply)).await.unwrap().expect("kept");
        assert_eq!((kept.via.as_str(), kept.mail_from.as_str()), ("relay", BEN));
    }
    client.submit("root@host.local", "you@example.net", &message("root@host.local", ""), "554 5.7.1").await;
}

#[tokio::test]
async fn the_smallest_network_counts_and_a_relay_may_log_in() {
    let bench = Bench::new().await;
    let other = account(&bench.store, "other").await;
    let other_domain = domain(&bench.store, other, "other.example", true).await;
    sender(&bench.store, other, other_domain, "o@other.example").await;
    let trusted = vec![relay("127.0.9.0/24", bench.account_id, None), relay("127.0.9.7/32", other, None)];
    let server = start_trusting(&bench, trusted).await;
    let mut client = server.connect_from([127, 0, 9, 7]).await;
    client.ehlo().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "553").await;
    client.say("MAIL FROM:<o@other.example>", "250").await;
    client.say("RSET", "250").await;
    client.log_in(ANN, ANNS_PASSWORD, "235").await;
    client.say("MAIL FROM:<o@other.example>", "436").await;
    let reply = client.submit(ANN, "you@example.net", &message(ANN, ""), "250").await;
    let kept = bench.store.message(bench.account_id, env_id(&reply)).await.unwrap().expect("kept");
    assert_eq!(kept.via, "smtp");
}
