//! RCPT: who can be written to.

use indicia_domain::mail::admission::Policy;
use indicia_store::admission::Admission;

use crate::support::{ANN, Bench, account, env_id, message};

#[tokio::test]
async fn addresses_that_cannot_be_written_to() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    for (to, reply) in [
        ("you@example.net", "501 5.1.3 Recipient: the path must be enclosed"),
        ("<>", "501 5.1.3 Recipient: the address is empty"),
        ("<you>", "501 5.1.3 Recipient: the address has no @"),
        ("<you@>", "501 5.1.3"),
        ("<.you@example.net>", "501 5.1.3 Recipient: the local part"),
        ("<you@-example.net>", "501 5.1.3 Recipient: the domain"),
        ("<grün@example.net>", "553 5.6.7"),
        ("<you@[192.0.2.1]>", "553 5.1.3 you@[192.0.2.1]: mail is sent to domain names only"),
    ] {
        client.say(&format!("RCPT TO:{to}"), reply).await;
    }
    let long = format!("<{}@example.net>", "a".repeat(65));
    client.say(&format!("RCPT TO:{long}"), "501 5.1.3 Recipient: the local part has more than 64").await;
    client.say("DATA", "554 5.5.1").await;
    bench.assert_nothing_written().await;
}

#[tokio::test]
async fn postmaster_without_a_domain_is_nobody_here() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    client.say("RCPT TO:<Postmaster>", "550 5.1.1").await;
    client.say("RCPT TO:<you@example.net> NOTIFY=NEVER", "555 5.5.4").await;
}

#[tokio::test]
async fn smtputf8_addresses_with_smtputf8_only_and_domains_in_a_labels() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    client.say(&format!("MAIL FROM:<{ANN}> SMTPUTF8"), "250").await;
    client.say("RCPT TO:<grün@bücher.example>", "250").await;
    let reply = client.data(&message(ANN, "X-Note: Grüße\r\n"), "250").await;
    let mails = bench.store.claim(10, 1 << 20).await.unwrap();
    assert_eq!(mails[0].recipients[0].domain, "xn--bcher-kva.example");
    assert_eq!(mails[0].recipients[0].address, "grün@xn--bcher-kva.example");
    let content = bench.store.content(bench.account_id, env_id(&reply)).await.unwrap().expect("kept");
    assert!(String::from_utf8_lossy(&content).contains("with UTF8SMTPA id"));
}

#[tokio::test]
async fn the_hundred_and_first_recipient_is_556() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    let mut batch = format!("MAIL FROM:<{ANN}>\r\n");
    for number in 0..100 {
        batch += &format!("RCPT TO:<r{number}@example.net>\r\n");
    }
    client.send(batch).await;
    for _ in 0..101 {
        client.expect("250").await;
    }
    client.say("RCPT TO:<toomany@example.net>", "556 5.5.3 The number of RCPTs is over size").await;
    let reply = client.data(&message(ANN, ""), "250").await;
    let kept = bench.store.message(bench.account_id, env_id(&reply)).await.unwrap().expect("kept");
    assert_eq!(kept.recipient_count, 100);
}

#[tokio::test]
async fn r01_the_same_recipient_twice_is_one_mail() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    for to in ["you@example.net", "you@EXAMPLE.net", "\"you\"@example.net", "You@example.net"] {
        client.say(&format!("RCPT TO:<{to}>"), "250").await;
    }
    client.data(&message(ANN, ""), "250").await;
    let numbers = bench.store.account_numbers(bench.account_id).await.unwrap().unwrap();
    assert_eq!(numbers.quota_day_used, 2, "the local part's case tells two mails apart, nothing else");
}

#[tokio::test]
async fn r03_an_address_of_the_own_library_is_563_and_the_others_go() {
    let bench = Bench::new().await;
    bench.enter_invalid(&[bench.account_id], "gone@example.net").await;
    let server = bench.start().await;
    let mut client = server.session().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    let reply = client.say("RCPT TO:<Gone@Example.net>", "563 5.1.1 Invalid rcptto Gone@example.net").await;
    assert!(reply.contains("DeleteInvalidAddress"), "{reply}");
    client.say("RCPT TO:<here@example.net>", "250").await;
    client.data(&message(ANN, ""), "250").await;
    let numbers = bench.store.account_numbers(bench.account_id).await.unwrap().unwrap();
    assert_eq!(numbers.quota_day_used, 2, "the mail that bounced and the one to the good address");
}

#[tokio::test]
async fn r03_an_address_that_many_found_invalid_is_559() {
    let bench = Bench::new().await;
    let mut accounts = Vec::new();
    for name in ["one", "two", "three"] {
        accounts.push(account(&bench.store, name).await);
    }
    bench.enter_invalid(&accounts, "gone@example.net").await;
    let server = bench.start().await;
    let mut client = server.session().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    client.say("RCPT TO:<gone@example.net>", "559 5.1.1 Invalid rcptto gone@example.net").await;
    client.say("DATA", "554 5.5.1").await;
    bench.assert_nothing_written().await;
}

#[tokio::test]
async fn r03_an_entry_made_by_this_process_counts_at_once() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    client.say("RCPT TO:<gone@example.net>", "250").await;
    bench.enter_invalid(&[bench.account_id], "gone@example.net").await;
    client.say("RCPT TO:<gone@example.net>", "563").await;
    let used = bench.store.account_numbers(bench.account_id).await.unwrap().unwrap().quota_day_used;
    client.data(&message(ANN, ""), "563 5.1.1 Invalid rcptto gone@example.net").await;
    let numbers = bench.store.account_numbers(bench.account_id).await.unwrap().unwrap();
    assert_eq!(numbers.quota_day_used, used, "admission looked again and charged nothing");
}

#[tokio::test]
async fn r03_what_another_node_entered_is_left_out_at_the_latest_by_admission() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    client.say("RCPT TO:<gone@example.net>", "250").await;
    client.say("RCPT TO:<here@example.net>", "250").await;
    let clock = bench.store.clock().clone();
    let other = indicia_store::Store::open("sqlite", bench.dir.path(), clock).await.unwrap();
    let admission = Admission::start(other.clone(), Policy::default(), None).0;
    let mut mail = crate::support::mail(&other, bench.account_id, "gone@example.net").await;
    mail.subject = "from elsewhere".to_owned();
    admission.submit(mail).await.unwrap();
    let mail = other.claim(10, 1 << 20).await.unwrap().remove(0);
    let nobody = indicia_domain::outcome::ErrorClassification::SmtpNxBox;
    let verdict = indicia_domain::outcome::Verdict::permanent(nobody);
    other.commit_outcomes(&[crate::support::outcome(&mail, verdict)]).await.unwrap();
    let reply = client.data(&message(ANN, ""), "250 2.0.0 send mail ok").await;
    assert!(reply.contains("(less 1 in the invalid-address library, not charged)"), "{reply}");
}
