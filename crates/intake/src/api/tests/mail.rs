//! SingleSendMail and what is told about its mail.

use indicia_domain::account::AccountStatus;
use indicia_domain::outcome::{DeliveryStatus, Disposition, ErrorClassification, Phase, Verdict};
use indicia_store::outcome::Outcome;
use indicia_store::queue::MailKey;
use serde_json::{Value, json};

use super::harness::*;
use crate::message::display::displayed;

const SENDER: &str = "news@example.com";

fn mail<'a>(to: &'a str, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut form = vec![
        ("AccountName", SENDER),
        ("AddressType", "1"),
        ("ReplyToAddress", "False"),
        ("ToAddress", to),
        ("Subject", "Hello"),
        ("TextBody", "Hi"),
    ];
    form.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    form.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    form
}

async fn content(client: &Client<'_>, env_id: &Value) -> String {
    let id = env_id.as_str().unwrap().parse().unwrap();
    let bytes = client.server.store.content(client.account_id, id).await.unwrap().unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_mail_is_accepted_counted_and_kept() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.sender(SENDER).await;
    let answer = client
        .form(
            "SingleSendMail",
            &mail(
                "\"B, C\" <b@y.example>,c@y.example",
                &[
                    ("BccAddress", "d@y.example"),
                    ("CcAddress", "e@y.example,c@Y.example"),
                    ("FromAlias", "世界"),
                    ("Subject", "Grüße"),
                    ("HtmlBody", "<p>Hi</p>"),
                    ("TagName", "t_1"),
                    ("ReplyAddress", "help@x.example"),
                    ("ReplyAddressAlias", "Help"),
                    ("Headers", r#"{"X-User-Id":"7"}"#),
                    ("UnSubscribeLinkType", "default"),
                    ("ClickTrace", "0"),
                ],
            ),
        )
        .await
        .ok();
    let raw = content(&client, &answer["EnvId"]).await;
    let shown = displayed(raw.as_bytes());
    assert_eq!((shown.from.as_str(), shown.subject.as_str()), ("世界 <news@example.com>", "Grüße"));
    assert_eq!(
        (shown.to.as_str(), shown.cc.as_str()),
        ("B, C <b@y.example>, c@y.example", "e@y.example, c@y.example")
    );
    assert!(raw.contains(&format!("X-Indicia-Env-Id: {}\r\n", answer["EnvId"].as_str().unwrap())), "{raw}");
    assert!(
        raw.contains("X-User-Id: 7\r\n") && raw.contains("Reply-To: \"Help\" <help@x.example>\r\n"),
        "{raw}"
    );
    assert!(!raw.contains("d@y.example"), "Bcc stays secret: {raw}");
    let timeline = server
        .store
        .timeline(client.account_id, answer["EnvId"].as_str().unwrap().parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((timeline.message.tag.as_str(), timeline.message.via.as_str()), ("t_1", "api"));
    let recipients: Vec<_> = timeline.recipients.iter().map(|row| row.address.as_str()).collect();
    assert_eq!(recipients, ["b@y.example", "c@y.example", "e@y.example", "d@y.example"]);
    assert_eq!(server.store.account_numbers(client.account_id).await.unwrap().unwrap().free_left, 1_996);
}

#[tokio::test]
async fn the_configured_reply_address_is_used_when_asked_for() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let (_, id) = client.sender(SENDER).await;
    client.dm("ModifyMailAddress", &[("MailAddressId", &id), ("ReplyAddress", "desk@x.example")]).await.ok();
    for (changes, reply) in [
        (vec![("ReplyToAddress", "True")], Some("<desk@x.example>")),
        (vec![("ReplyToAddress", "True"), ("ReplyAddress", "own@x.example")], Some("<own@x.example>")),
        (vec![("ReplyToAddress", "False")], None),
    ] {
        let answer = client.form("SingleSendMail", &mail("a@y.example", &changes)).await.ok();
        let raw = content(&client, &answer["EnvId"]).await;
        let line = raw.lines().find_map(|line| line.strip_prefix("Reply-To: "));
        assert_eq!(line, reply, "{changes:?}");
    }
}

#[tokio::test]
async fn random_and_domain_authorised_senders() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.sender(SENDER).await;
    let answer = client.form("SingleSendMail", &mail("a@y.example", &[("AddressType", "0")])).await.ok();
    let from = displayed(content(&client, &answer["EnvId"]).await.as_bytes()).from;
    assert!(from.ends_with("@example.com") && from != SENDER, "{from}");
    let any = [("AccountName", "anyone@example.com"), ("DomainAuth", "True")];
    let refused = client.form("SingleSendMail", &mail("a@y.example", &any)).await;
    assert_eq!(refused.code(), "InvalidMailAddress.NotFound");
    let system = "domain-auth-created-by-system@example.com";
    client.dm("CreateMailAddress", &[("AccountName", system), ("Sendtype", "batch")]).await.ok();
    let answer = client.form("SingleSendMail", &mail("a@y.example", &any)).await.ok();
    assert_eq!(displayed(content(&client, &answer["EnvId"]).await.as_bytes()).from, "anyone@example.com");
}

#[tokio::test]
async fn r17_over_quota_is_refused_whole_with_quota_used_and_reset() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.sender(SENDER).await;
    server
        .store
        .set_daily_quota(client.account_id, 5, "test", &indicia_store::audit::Actor::system("test"))
        .await
        .unwrap();
    client.form("SingleSendMail", &mail("a@y.example,b@y.example", &[])).await.ok();
    let before = client.snapshot().await;
    let answer =
        client.form("SingleSendMail", &mail("a@y.example,b@y.example,c@y.example,d@y.example", &[])).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, "InvalidSendMail.Quota"));
    for part in ["quota 5", "used 2", "requested 4", "2026-11-23T16:00:00Z"] {
        assert!(answer.message().contains(part), "{part}: {}", answer.message());
    }
    assert_eq!(client.snapshot().await, before);
    client.form("SingleSendMail", &mail("a@y.example,b@y.example,c@y.example", &[])).await.ok();
}

#[tokio::test]
async fn r11_an_overdue_or_frozen_account_cannot_send() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.sender(SENDER).await;
    for (status, http, code) in [
        (AccountStatus::OVERDUE, 400, "InvalidSendMail.Overdue"),
        (AccountStatus::FROZEN, 403, "Forbidden.UserStatus"),
    ] {
        server.store.change_status(client.account_id, status, AccountStatus::OVERDUE).await.unwrap();
        let before = client.snapshot().await;
        let answer = client.form("SingleSendMail", &mail("a@y.example", &[])).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (http, code));
        assert_eq!(client.snapshot().await, before);
        assert_eq!(client.dm("DescAccountSummary", &[]).await.status.as_u16(), 200, "looking is allowed");
    }
}

#[tokio::test]
async fn r26_the_same_key_is_one_mail() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.sender(SENDER).await;
    let send = |key: &'static str, text: &'static str| {
        let request = client.signed(
            "SingleSendMail",
            DM,
            &[],
            &mail("a@y.example", &[("TextBody", text)]),
            &[("x-indicia-idempotency-key", key)],
        );
        server.send(request)
    };
    let first = send("key-1", "one").await.ok();
    assert_eq!(send("key-1", "one").await.ok()["EnvId"], first["EnvId"]);
    let other = send("key-1", "two").await;
    assert_eq!((other.status.as_u16(), other.code()), (400, "IdempotencyKey.Conflict"));
    assert_ne!(send("key-2", "one").await.ok()["EnvId"], first["EnvId"]);
    assert_eq!(server.store.account_numbers(client.account_id).await.unwrap().unwrap().free_left, 1_998);
    let long = "k".repeat(257);
    let request = client.signed(
        "SingleSendMail",
        DM,
        &[],
        &mail("a@y.example", &[]),
        &[("x-indicia-idempotency-key", &long)],
    );
    assert_eq!(server.send(request).await.code(), "InvalidIdempotencyKey.Malformed");
}

/// Ends what waits: addresses that begin with `gone` are invalid, the rest is delivered.
async fn deliver(server: &Server) {
    for mail in server.store.claim(1_000, 1 << 24).await.unwrap() {
        for recipient in &mail.recipients {
            let (disposition, status, classification, code, reply) = match recipient
                .address
                .starts_with("gone")
            {
                true => (
                    Disposition::Permanent,
                    DeliveryStatus::InvalidAddress,
                    ErrorClassification::SmtpNxBox,
                    550,
                    "550 5.1.1 no such user",
                ),
                false => {
                    (Disposition::Delivered, DeliveryStatus::Ok, ErrorClassification::SendOk, 250, "250 OK")
                }
            };
            let outcome = Outcome {
                key: MailKey {
                    account_id: mail.account_id,
                    message_id: mail.message_id,
                    number: recipient.number,
                },
                address: recipient.address.clone(),
                sender_id: mail.sender_id,
                domain_id: mail.domain_id,
                tag: mail.tag.clone(),
                day: mail.day,
                accepted_at: mail.accepted_at,
                recipient_count: mail.recipient_count,
                attempts: 1,
                started_at: mail.accepted_at,
                finished_at: mail.accepted_at.plus_micros(1_000),
                remote_host: "mx.y.example".into(),
                remote_address: "192.0.2.1:25".into(),
                local_address: "192.0.2.2".into(),
                tls: String::new(),
                phase: Phase::Final,
                verdict: Verdict { disposition, status, classification },
                code: Some(code),
                reply: reply.into(),
                next_due_at: None,
                place: None,
            };
            server.store.commit_outcomes(&[outcome]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn outcomes_are_told_one_by_one() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.sender(SENDER).await;
    client
        .form(
            "SingleSendMail",
            &mail("a@y.example,gone@y.example,b@y.example", &[("TagName", "t1"), ("Subject", "Grüße")]),
        )
        .await
        .ok();
    deliver(&server).await;
    client.form("SingleSendMail", &mail("waiting@y.example", &[])).await.ok();
    let detail = |query: Vec<(&'static str, &'static str)>| {
        let client = &client;
        async move { client.dm("SenderStatisticsDetailByParam", &query).await.ok() }
    };
    let all = detail(vec![]).await;
    assert_eq!(all["data"]["mailDetail"].as_array().unwrap().len(), 3, "what waits has no status yet");
    let row = &detail(vec![("ToAddress", "a@y.example")]).await["data"]["mailDetail"][0];
    assert_eq!(
        (&row["Status"], &row["ErrorClassification"], &row["Message"]),
        (&json!(0), &json!("SendOk"), &json!("250 OK"))
    );
    assert_eq!(
        (&row["AccountName"], &row["Subject"], &row["LastUpdateTime"]),
        (&json!(SENDER), &json!("Grüße"), &json!("2026-11-23T02:13Z"))
    );
    assert_eq!(row["UtcLastUpdateTime"], json!(NOW.seconds().to_string()), "a text in this action");
    for (query, count) in [
        (vec![("Status", "2")], 1),
        (vec![("Status", "0")], 2),
        (vec![("Status", "3")], 0),
        (vec![("TagName", "t1")], 3),
        (vec![("AccountName", SENDER)], 3),
        (vec![("AccountName", "other@example.com")], 0),
        (vec![("StartTime", "2026-11-23 10:13"), ("EndTime", "2026-11-23 10:14")], 3),
        (vec![("StartTime", "2026-11-23 10:14"), ("EndTime", "2026-11-23 10:15")], 0),
    ] {
        assert_eq!(
            detail(query.clone()).await["data"]["mailDetail"].as_array().unwrap().len(),
            count,
            "{query:?}"
        );
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    for _ in 0..5 {
        let page =
            client.dm("SenderStatisticsDetailByParam", &[("Length", "1"), ("NextStart", &token)]).await.ok();
        seen.extend(
            page["data"]["mailDetail"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["ToAddress"].as_str().unwrap().to_owned()),
        );
        token = page["NextStart"].as_str().unwrap().to_owned();
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["a@y.example", "gone@y.example", "b@y.example"]);
}

#[tokio::test]
async fn r03_an_invalid_address_is_refused_uncharged_until_it_is_removed() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.sender(SENDER).await;
    client.form("SingleSendMail", &mail("gone@y.example", &[])).await.ok();
    deliver(&server).await;
    let listed = client.dm("QueryInvalidAddress", &[("KeyWord", "gone")]).await.ok();
    assert_eq!(listed["TotalCount"], 1);
    let row = &listed["data"]["mailDetail"][0];
    assert_eq!(
        (&row["ToAddress"], &row["UtcLastUpdateTime"]),
        (&json!("gone@y.example"), &json!(NOW.seconds()))
    );
    assert_eq!(
        client
            .dm("QueryInvalidAddress", &[("StartTime", "2026-11-01"), ("EndTime", "2026-11-22")])
            .await
            .ok()["TotalCount"],
        0
    );
    assert_eq!(
        client
            .dm("QueryInvalidAddress", &[("StartTime", "2026-11-23"), ("EndTime", "2026-11-23")])
            .await
            .ok()["TotalCount"],
        1
    );
    let before = client.snapshot().await;
    let answer = client.form("SingleSendMail", &mail("Gone@Y.example", &[])).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, "InvalidToAddress.Spam"));
    assert_eq!(client.snapshot().await, before);
    client.dm("DeleteInvalidAddress", &[("ToAddress", "gone@y.example")]).await.ok();
    assert_eq!(
        client.dm("DeleteInvalidAddress", &[("ToAddress", "gone@y.example")]).await.code(),
        "InvalidAddress.NotFound"
    );
    client.form("SingleSendMail", &mail("gone@y.example", &[])).await.ok();
}

#[tokio::test]
async fn two_full_bodies_of_chinese_text_fit() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.sender(SENDER).await;
    let line = "世界和平，万事如意。".repeat(20) + "\n";
    let text = line.repeat(8 * 1024 * 1024 / line.len());
    assert!(text.len() > 8_388_000);
    let answer = client
        .form("SingleSendMail", &mail("a@y.example", &[("TextBody", &text), ("HtmlBody", &text)]))
        .await;
    let answer = answer.ok();
    let raw = content(&client, &answer["EnvId"]).await;
    let message = mail_parser::MessageParser::default().parse(raw.as_bytes()).unwrap();
    assert_eq!(message.body_text(0).unwrap().replace("\r\n", "\n").trim_end(), text.trim_end());
}

#[tokio::test]
async fn to_and_cc_have_a_hundred_addresses_together() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.sender(SENDER).await;
    let list =
        |from: usize, to: usize| (from..to).map(|n| format!("u{n}@y.example")).collect::<Vec<_>>().join(",");
    let (to, fits, too_many) = (list(0, 60), list(60, 100), list(60, 101));
    let before = client.snapshot().await;
    let answer = client.form("SingleSendMail", &mail(&to, &[("CcAddress", &too_many)])).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, "InvalidCcAddress"), "{}", answer.text);
    assert!(answer.message().contains("101 addresses together, more than 100"), "{}", answer.message());
    assert_eq!(client.snapshot().await, before);
    let bcc = [("CcAddress", fits.as_str()), ("BccAddress", "b1@y.example,b2@y.example")];
    client.form("SingleSendMail", &mail(&to, &bcc)).await.ok();
    assert_eq!(server.store.queue_length().await.unwrap().0, 102);
}

#[tokio::test]
async fn default_unsubscribe_policy_is_refused_for_batch_senders() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.sender(SENDER).await;
    let batch = "weekly@example.com";
    client.dm("CreateMailAddress", &[("AccountName", batch), ("Sendtype", "batch")]).await.ok();
    for name in ["UnSubscribeLinkType", "UnSubscribeFilterLevel"] {
        client.form("SingleSendMail", &mail("a@y.example", &[(name, "default")])).await.ok();
        let of_batch = |value| mail("a@y.example", &[("AccountName", batch), (name, value)]);
        let before = client.snapshot().await;
        let answer = client.form("SingleSendMail", &of_batch("default")).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "UnsupportedOperation"), "{}", answer.text);
        for part in [name, "batch", "later version"] {
            assert!(answer.message().contains(part), "{part}: {}", answer.message());
        }
        assert_eq!(client.snapshot().await, before);
        for accepted in ["disabled", ""] {
            client.form("SingleSendMail", &of_batch(accepted)).await.ok();
        }
    }
}

#[tokio::test]
async fn windows_of_queries_are_thirty_days() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    // Today is 2026-11-23 10:13 in the account's zone.
    for (action, start, end, code) in [
        ("QueryInvalidAddress", "2026-10-24", "", ""),
        ("QueryInvalidAddress", "2026-10-24", "2026-11-23", ""),
        ("QueryInvalidAddress", "2026-10-23", "", "StartTime"),
        ("QueryInvalidAddress", "2026-10-23", "2026-10-30", "StartTime"),
        ("QueryInvalidAddress", "2026-10-25", "2026-11-25", "EndTime"),
        ("QueryInvalidAddress", "", "2026-11-22", ""),
        ("QueryInvalidAddress", "", "2026-11-24", ""),
        ("QueryInvalidAddress", "", "2026-10-24", ""),
        ("QueryInvalidAddress", "", "2026-10-23", "EndTime"),
        ("SenderStatisticsDetailByParam", "2026-10-01 00:00", "2026-10-31 00:00", ""),
        ("SenderStatisticsDetailByParam", "2026-10-01 00:00", "2026-10-31 00:01", "30 days"),
        ("SenderStatisticsDetailByParam", "2026-10-24 10:14", "", ""),
        ("SenderStatisticsDetailByParam", "2026-10-24 10:13", "", "30 days"),
        ("SenderStatisticsDetailByParam", "", "2026-12-01 00:00", ""),
        ("SenderStatisticsDetailByParam", "", "", ""),
    ] {
        let answer = client.dm(action, &[("StartTime", start), ("EndTime", end)]).await;
        match code {
            "" => assert_eq!(answer.status.as_u16(), 200, "{action} {start} {end} {}", answer.text),
            named => {
                assert_eq!(answer.code(), "InvalidParameter", "{action} {start} {end} {}", answer.text);
                assert!(answer.message().contains(named), "{}", answer.message());
            }
        }
    }
}
