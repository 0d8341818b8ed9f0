//! R17 to R24 at the API: what is refused, in which words, and what the account's summary says.

use indicia_domain::quota::policy::{Ladder, QuotaPolicy};
use indicia_store::audit::Actor;
use serde_json::json;

use super::billing_support::package;
use super::harness::*;

const SENDER: &str = "news@example.com";

fn mail<'a>(from: &'a str, to: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("AccountName", from),
        ("AddressType", "1"),
        ("ReplyToAddress", "False"),
        ("ToAddress", to),
        ("Subject", "Hello"),
        ("TextBody", "Hi"),
    ]
}

/// A hundred recipients, as many as one call may have.
fn hundred(call: usize) -> String {
    let addresses = (0..100).map(|number| format!("u{call}-{number}@y.example"));
    addresses.collect::<Vec<_>>().join(",")
}

async fn set_quota(client: &Client<'_>, daily: i64) {
    let actor = Actor::system("test");
    client.server.store.set_daily_quota(client.account_id, daily, "a test", &actor).await.unwrap();
}

async fn summary(client: &Client<'_>) -> serde_json::Value {
    client.dm("DescAccountSummary", &[]).await.ok()
}

#[tokio::test]
async fn r18_no_purchase_changes_the_quota() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.sender(SENDER).await;
    let quota = async || {
        let summary = summary(&client).await;
        ["QuotaLevel", "MaxQuotaLevel", "DailyQuota", "MonthQuota"].map(|name| summary[name].clone())
    };
    let before = quota().await;
    client.credit(2_000).await;
    client.bss("CreateResourcePackage", &package(&[("Specification", "5000000")])).await.ok();
    let bought = client.bss("QueryResourcePackageInstances", &[]).await.ok();
    assert_eq!(bought["Data"]["Instances"]["Instance"][0]["TotalAmount"], "5000000");
    assert_eq!(before, [2, 10, 2_000, 60_000].map(|it| json!(it)));
    assert_eq!(quota().await, before);
    for call in 0..20 {
        client.form("SingleSendMail", &mail(SENDER, &hundred(call))).await.ok();
    }
    let refused = client.form("SingleSendMail", &mail(SENDER, "one-too-many@y.example")).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (400, "InvalidSendMail.Quota"));
    for part in ["Daily", "quota 2000", "used 2000", "requested 1", "2026-11-23T16:00:00Z"] {
        assert!(refused.message().contains(part), "{part}: {}", refused.message());
    }
    assert_eq!(quota().await, before, "nor does sending");
    let mails_left: i64 = server
        .store
        .packages(client.account_id, &Default::default())
        .await
        .unwrap()
        .iter()
        .map(|row| row.package.remaining)
        .sum();
    assert_eq!(mails_left, 5_000_000 - 1_800, "200 were free: what is bought pays, and lets nothing through");
}

/// Several requests at once, which are committed together, each under a key.
#[tokio::test]
async fn r17_r26_a_batch_of_requests_is_counted_once_and_never_over_quota() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.sender(SENDER).await;
    set_quota(&client, 10).await;
    let round = async || {
        let calls = (0..8).map(|number| {
            let (key, to) = (format!("key-{number}"), format!("a{number}@y.example,b{number}@y.example"));
            let headers = [("x-indicia-idempotency-key", key.as_str())];
            server.send(client.signed("SingleSendMail", DM, &[], &mail(SENDER, &to), &headers))
        });
        let answers = futures::future::join_all(calls).await;
        let ids = answers.iter().map(|answer| match answer.status.as_u16() {
            200 => Some(answer.json["EnvId"].as_str().unwrap().to_owned()),
            _ => {
                assert_eq!(answer.code(), "InvalidSendMail.Quota");
                assert!(answer.message().contains("quota 10, used 10, requested 2"), "{}", answer.message());
                None
            }
        });
        ids.collect::<Vec<_>>()
    };
    let first = round().await;
    assert_eq!(first.iter().flatten().count(), 5, "{first:?}");
    assert_eq!(round().await, first, "the same key gives the same answer, and counts nothing");
    let numbers = server.store.account_numbers(client.account_id).await.unwrap().unwrap();
    assert_eq!((numbers.quota_day_used, numbers.free_left), (10, 1_990));
}

#[tokio::test]
async fn r20_the_users_ceiling_is_the_highest_level() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let actor = Actor::system("test");
    server.store.set_quota_ceiling(client.account_id, Some(5), &actor).await.unwrap();
    assert_eq!(summary(&client).await["MaxQuotaLevel"], 5);
    server.store.set_quota_ceiling(client.account_id, None, &actor).await.unwrap();
    assert_eq!(summary(&client).await["MaxQuotaLevel"], 10);
    server.store.set_quota_policy(QuotaPolicy { ladder: Ladder(vec![1, 2, 3, 4]), ..QuotaPolicy::default() });
    assert_eq!(summary(&client).await["MaxQuotaLevel"], 3, "as the configuration says");
}

#[tokio::test]
async fn r22_a_paused_account_is_told_since_when_and_why() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.sender(SENDER).await;
    let headers = [("x-indicia-idempotency-key", "before")];
    let send_before =
        || server.send(client.signed("SingleSendMail", DM, &[], &mail(SENDER, "a@y.example"), &headers));
    let accepted = send_before().await.ok();
    let actor = Actor::system("test");
    server.store.pause_sending(client.account_id, "traps were hit", &actor).await.unwrap();
    assert_eq!(summary(&client).await["UserStatus"], 4);
    let before = client.snapshot().await;
    let refused = client.form("SingleSendMail", &mail(SENDER, "b@y.example")).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (400, "InvalidSendMail.Spam"));
    for part in ["paused since 2026-11-23T02:13:20Z", "traps were hit", "is held until then"] {
        assert!(refused.message().contains(part), "{part}: {}", refused.message());
    }
    assert_eq!(client.snapshot().await, before, "R03");
    assert_eq!(send_before().await.ok()["EnvId"], accepted["EnvId"], "R26: what was accepted stays so");
    server.store.release_sending(client.account_id, "cleaned", &actor).await.unwrap();
    assert_eq!(summary(&client).await["UserStatus"], 0);
    client.form("SingleSendMail", &mail(SENDER, "b@y.example")).await.ok();
}

#[tokio::test]
async fn r24_a_later_domain_has_an_allowance_of_its_own() {
    let server = Server::start().await;
    server.store.set_quota_policy(QuotaPolicy {
        ladder: Ladder(vec![1, 3, 10, 30]),
        initial_level: 1,
        initial_daily_mails: 3,
        ..QuotaPolicy::default()
    });
    let client = server.account("ann").await;
    set_quota(&client, 3).await;
    client.sender(SENDER).await;
    set_quota(&client, 30).await;
    let later = "news@later.example";
    client.sender(later).await;
    client.form("SingleSendMail", &mail(later, "a@y.example,b@y.example")).await.ok();
    let before = client.snapshot().await;
    let refused = client.form("SingleSendMail", &mail(later, "c@y.example,d@y.example")).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (400, "InvalidSendMail.Quota"));
    for part in ["later.example", "3 mails a day, used 2, requested 2", "2026-11-23T16:00:00Z"] {
        assert!(refused.message().contains(part), "{part}: {}", refused.message());
    }
    assert_eq!(client.snapshot().await, before, "refused whole");
    client.form("SingleSendMail", &mail(later, "c@y.example")).await.ok();
    client
        .form("SingleSendMail", &mail(SENDER, "d@y.example,e@y.example,f@y.example,g@y.example"))
        .await
        .ok();
    server.clock.advance_micros(24 * 3_600_000_000);
    client.form("SingleSendMail", &mail(later, "h@y.example,i@y.example,j@y.example")).await.ok();
}

#[tokio::test]
async fn r24_a_later_address_of_an_old_domain_has_one_too() {
    let server = Server::start().await;
    server.store.set_quota_policy(QuotaPolicy { initial_daily_mails: 1, ..QuotaPolicy::default() });
    let client = server.account("ann").await;
    set_quota(&client, 1).await;
    client.sender(SENDER).await;
    set_quota(&client, 3_000).await;
    let later = "shop@example.com";
    client.dm("CreateMailAddress", &[("AccountName", later), ("Sendtype", "trigger")]).await.ok();
    client.form("SingleSendMail", &mail(later, "a@y.example")).await.ok();
    let refused = client.form("SingleSendMail", &mail(later, "b@y.example")).await;
    assert!(refused.message().contains("sender address shop@example.com"), "{}", refused.message());
    let listed = client.dm("QueryMailAddressByParam", &[]).await.ok();
    let mut limits: Vec<_> = listed["data"]["mailAddress"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| ["AccountName", "DailyCount", "DailyReqCount"].map(|name| row[name].as_str().unwrap()))
        .collect();
    limits.sort_unstable();
    assert_eq!(limits, [["news@example.com", "3000", "0"], ["shop@example.com", "1", "1"]]);
    client.form("SingleSendMail", &mail(SENDER, "b@y.example")).await.ok();
}
