//! In-station messages through the billing API.

use indicia_domain::notice::Channel;
use indicia_store::notice::Dispatch;
use serde_json::{Value, json};

use super::billing_support::*;
use super::harness::*;

/// Has what is due put into the inbox.
async fn hand_over(client: &Client<'_>, subject: &str) {
    let word = |_: &indicia_store::notice::Handover| Dispatch::Station {
        subject: subject.to_owned(),
        body: format!("{subject}: look at your packages."),
    };
    let (made, _) =
        client.server.store.hand_over_notices(client.account_id, Channel::Station, &word).await.unwrap();
    assert_eq!(made, 1, "{subject}");
}

/// Three messages: a package is about to end.
async fn told(client: &Client<'_>) {
    client.credit(20).await;
    client.buy(&[]).await;
    for (instant, subject) in [
        ("2027-04-23T16:00:00Z", "30 days"),
        ("2027-05-16T16:00:00Z", "7 days"),
        ("2027-05-22T16:00:00Z", "1 day"),
    ] {
        client.server.clock.set(at(instant));
        hand_over(client, subject).await;
    }
}

async fn messages(client: &Client<'_>, query: &[(&str, &str)]) -> (Vec<Value>, Value) {
    let data = client.bss("QueryInStationMessages", query).await.ok()["Data"].clone();
    (data["Messages"]["Message"].as_array().unwrap().clone(), data)
}

#[tokio::test]
async fn r14_messages_are_listed_newest_first_and_marked_read() {
    let server = Server::start().await;
    let (client, other) = (server.account("ann").await, server.account("bob").await);
    told(&client).await;
    let (rows, data) = messages(&client, &[]).await;
    let subjects: Vec<&str> = rows.iter().map(|row| row["Subject"].as_str().unwrap()).collect();
    assert_eq!((subjects, &data["TotalUnread"]), (vec!["1 day", "7 days", "30 days"], &json!(3)));
    for (name, value) in [
        ("Kind", json!("expiry")),
        ("Content", json!("1 day: look at your packages.")),
        ("CreateTime", json!("2027-05-22T16:00:00Z")),
        ("ReadTime", Value::Null),
        ("IsRead", json!(false)),
    ] {
        assert_eq!(rows[0][name], value, "{name}");
    }
    let id = |row: usize| rows[row]["MessageId"].as_str().unwrap();
    let two = format!("{},{}", id(0), id(2));
    let stolen = other.bss("MarkInStationMessagesRead", &[("MessageIds", &two)]).await.ok();
    assert_eq!(
        stolen["Data"],
        json!({"Marked": 0, "TotalUnread": 0}),
        "of another account nothing is marked"
    );
    let marked = client.bss("MarkInStationMessagesRead", &[("MessageIds", &two)]).await.ok();
    assert_eq!(marked["Data"], json!({"Marked": 2, "TotalUnread": 1}));
    let again = client.bss("MarkInStationMessagesRead", &[("MessageIds", &two)]).await.ok();
    assert_eq!(again["Data"], json!({"Marked": 0, "TotalUnread": 1}));
    let (unread, _) = messages(&client, &[("OnlyUnread", "True")]).await;
    assert_eq!((unread.len(), &unread[0]["MessageId"]), (1, &rows[1]["MessageId"]));
    let (all, _) = messages(&client, &[]).await;
    assert_eq!((&all[0]["IsRead"], &all[0]["ReadTime"]), (&json!(true), &json!("2027-05-22T16:00:00Z")));
    let rest = client.bss("MarkInStationMessagesRead", &[("All", "true")]).await.ok();
    assert_eq!(rest["Data"], json!({"Marked": 1, "TotalUnread": 0}));
    assert_eq!(messages(&other, &[]).await.0, Vec::<Value>::new());
}

#[tokio::test]
async fn r14_messages_page_by_token() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    told(&client).await;
    let (all, _) = messages(&client, &[]).await;
    for size in ["1", "2", "3"] {
        let (mut walked, mut token) = (Vec::new(), String::new());
        for _ in 0..4 {
            let (rows, data) =
                messages(&client, &changed(&[("PageSize", size)], &[("NextToken", &token)])).await;
            walked.extend(rows);
            match data["NextToken"].as_str() {
                Some(next) => token = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(walked, all, "{size} a page");
    }
}

#[tokio::test]
async fn r14_a_malformed_question_about_messages_is_refused() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    told(&client).await;
    let before = messages(&client, &[]).await;
    let many = vec!["1"; 301].join(",");
    for (action, query, code) in [
        ("QueryInStationMessages", vec![("PageSize", "0")], "InvalidParameter"),
        ("QueryInStationMessages", vec![("PageSize", "301")], "InvalidParameter"),
        ("QueryInStationMessages", vec![("NextToken", "x")], "InvalidParameter"),
        ("QueryInStationMessages", vec![("NextToken", "-1")], "InvalidParameter"),
        ("QueryInStationMessages", vec![("OnlyUnread", "some")], "InvalidParameter"),
        ("MarkInStationMessagesRead", vec![], "MissingParameter"),
        ("MarkInStationMessagesRead", vec![("All", "false")], "MissingParameter"),
        ("MarkInStationMessagesRead", vec![("All", "maybe")], "InvalidParameter"),
        ("MarkInStationMessagesRead", vec![("All", "true"), ("MessageIds", "1")], "InvalidParameter"),
        ("MarkInStationMessagesRead", vec![("MessageIds", "1,,2")], "InvalidParameter"),
        ("MarkInStationMessagesRead", vec![("MessageIds", "one")], "InvalidParameter"),
        ("MarkInStationMessagesRead", vec![("MessageIds", "-1")], "InvalidParameter"),
        ("MarkInStationMessagesRead", vec![("MessageIds", many.as_str())], "InvalidParameter"),
    ] {
        let answer = client.bss(action, &query).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, code),
            "{action} {query:?} {}",
            answer.text
        );
    }
    assert_eq!(messages(&client, &[]).await, before);
}
