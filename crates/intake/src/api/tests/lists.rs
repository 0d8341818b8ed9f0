//! Suppression, block lists and IP protection over the API.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use indicia_domain::mail::suppression::{BlockReasons, BlockType};
use indicia_domain::time::SECOND_MICROS;
use indicia_store::queue::MailKey;
use serde_json::{Value, json};

use super::harness::*;
use crate::api::settings::ApiSettings;

const SENDER: &str = "news@example.com";

async fn send(client: &Client<'_>, to: &str) -> Answer {
    let form = [
        ("AccountName", SENDER),
        ("AddressType", "1"),
        ("ReplyToAddress", "False"),
        ("ToAddress", to),
        ("Subject", "Hello"),
        ("TextBody", "Hi"),
    ];
    client.form("SingleSendMail", &form).await
}

async fn suppressions(client: &Client<'_>, query: &[(&str, &str)]) -> Value {
    client.dm("ListUserSuppression", query).await.ok()
}

/// The recipient of a mail that has just been accepted says something of it.
async fn blocked(client: &Client<'_>, to: &str, block_type: BlockType, reasons: BlockReasons) {
    let env_id = send(client, to).await.ok()["EnvId"].as_str().unwrap().parse().unwrap();
    let key = MailKey { account_id: client.account_id, message_id: env_id, number: 0 };
    let new = client.server.store.block_recipient_of(key, block_type, reasons).await.unwrap();
    assert_eq!(new, Some(true));
}

#[tokio::test]
async fn r03_suppressed_addresses_and_domains_are_refused_until_they_are_removed() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.sender(SENDER).await;
    let create = async |address: &str| {
        let answer = client.dm("CreateUserSuppression", &[("Address", address)]).await.ok();
        answer["SuppressionId"].as_str().expect("a text").to_owned()
    };
    let address_id = create("Gone@Y.example").await;
    let domain_id = create("Bücher.example").await;
    assert_eq!(create("gone@y.EXAMPLE").await, address_id, "the same entry");
    let listed = suppressions(&client, &[]).await;
    assert_eq!(
        (&listed["TotalCount"], &listed["PageNumber"], &listed["PageSize"]),
        (&json!(2), &json!(1), &json!(10))
    );
    let rows = listed["Data"]["UserSuppressions"].as_array().unwrap();
    let row = |address: &str| rows.iter().find(|row| row["Address"] == address).expect(address).clone();
    assert_eq!(
        row("Gone@y.example"),
        json!({
            "Address": "Gone@y.example",
            "SuppressionId": address_id.parse::<i64>().unwrap(),
            "Type": "user",
            "CreateTime": NOW.seconds(),
            "LastBounceTime": null,
        })
    );
    assert_eq!(row("xn--bcher-kva.example")["SuppressionId"], json!(domain_id.parse::<i64>().unwrap()));

    let before = client.snapshot().await;
    let answer = send(&client, "gone@y.example,anyone@bücher.example").await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, "InvalidToAddress.Spam"), "{}", answer.text);
    assert!(answer.message().contains("2 on your suppression list"), "{}", answer.message());
    assert!(answer.json["Recommend"].as_str().unwrap().contains("RemoveUserSuppression"), "{}", answer.text);
    assert_eq!(client.snapshot().await, before);
    let hits = suppressions(&client, &[("Address", "GONE@")]).await;
    assert_eq!(hits["Data"]["UserSuppressions"][0]["LastBounceTime"], NOW.seconds());
    assert_eq!(client.dm("QueryInvalidAddress", &[]).await.ok()["TotalCount"], 0, "no delivery found them");

    send(&client, "gone@y.example,here@y.example").await.ok();
    let detail = client.dm("SenderStatisticsDetailByParam", &[("ToAddress", "gone@y.example")]).await.ok();
    let detail = &detail["data"]["mailDetail"][0];
    assert_eq!(
        (&detail["Status"], &detail["ErrorClassification"]),
        (&json!(2), &json!("SysIncomingInvRcpt"))
    );
    assert!(detail["Message"].as_str().unwrap().contains("not counted, not charged"), "{detail}");

    let both = format!("{address_id}, {domain_id}");
    let unknown = client.dm("RemoveUserSuppression", &[("SuppressionIds", &format!("{both},77"))]).await;
    assert_eq!((unknown.status.as_u16(), unknown.code()), (404, "InvalidSuppressionId.NotFound"));
    assert!(unknown.message().contains("77") && unknown.message().contains("nothing was removed"));
    assert_eq!(suppressions(&client, &[]).await["TotalCount"], 2);
    client.dm("RemoveUserSuppression", &[("SuppressionIds", &both)]).await.ok();
    assert_eq!(suppressions(&client, &[]).await["TotalCount"], 0);
    send(&client, "gone@y.example,anyone@bücher.example").await.ok();
}

#[tokio::test]
async fn delete_invalid_address_takes_out_what_the_owner_entered() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.dm("CreateUserSuppression", &[("Address", "gone@y.example")]).await.ok();
    client.dm("DeleteInvalidAddress", &[("ToAddress", "Gone@y.example")]).await.ok();
    assert_eq!(suppressions(&client, &[]).await["TotalCount"], 0);
}

#[tokio::test]
async fn suppressions_of_a_span_of_time() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.dm("CreateUserSuppression", &[("Address", "a@y.example")]).await.ok();
    server.clock.advance_micros(10 * SECOND_MICROS);
    client.dm("CreateUserSuppression", &[("Address", "b@y.example")]).await.ok();
    let now = NOW.seconds();
    let at = |seconds: i64| (now + seconds).to_string();
    const WEEK: i64 = 7 * 86_400;
    for (start, end, count) in [
        (Some(0), Some(0), 1),
        (Some(0), Some(10), 2),
        (Some(1), None, 1),
        (None, Some(9), 1),
        (None, Some(-1), 0),
        (Some(10 - WEEK), Some(10), 2),
        (Some(-WEEK), None, 1),
    ] {
        let (start, end) = (start.map(at), end.map(at));
        let mut query = Vec::new();
        query.extend(start.as_deref().map(|start| ("StartCreateTime", start)));
        query.extend(end.as_deref().map(|end| ("EndCreateTime", end)));
        let found = suppressions(&client, &query).await;
        assert_eq!(found["TotalCount"], count, "{query:?}");
    }
    let page = suppressions(&client, &[("PageNo", "2"), ("PageSize", "1")]).await;
    assert_eq!(page["Data"]["UserSuppressions"][0]["Address"], "a@y.example");
    assert_eq!(suppressions(&client, &[("StartBounceTime", &at(0))]).await["TotalCount"], 0);
}

#[tokio::test]
async fn what_the_suppression_actions_refuse() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let now = NOW.seconds();
    let late = (now + 7 * 86_400 + 1).to_string();
    let (now, many) = (now.to_string(), vec!["1"; 501].join(","));
    let before = client.snapshot().await;
    for (action, query, code, word) in [
        ("CreateUserSuppression", vec![], "MissingParameter", "Address"),
        ("CreateUserSuppression", vec![("Address", "a b@y.example")], "InvalidAddress.Malformed", "Address"),
        ("CreateUserSuppression", vec![("Address", "@y.example")], "InvalidAddress.Malformed", "Address"),
        ("CreateUserSuppression", vec![("Address", "*.example")], "InvalidAddress.Malformed", "domain"),
        ("CreateUserSuppression", vec![("Address", "a@[192.0.2.1]")], "InvalidAddress.Malformed", "literal"),
        ("CreateUserSuppression", vec![("Address", "[192.0.2.1]")], "InvalidAddress.Malformed", "domain"),
        ("ListUserSuppression", vec![("PageSize", "101")], "InvalidParameter", "PageSize"),
        ("ListUserSuppression", vec![("StartCreateTime", "x")], "InvalidParameter", "StartCreateTime"),
        ("ListUserSuppression", vec![("StartCreateTime", "-1")], "InvalidParameter", "StartCreateTime"),
        (
            "ListUserSuppression",
            vec![("StartCreateTime", "9223372036854775807")],
            "InvalidParameter",
            "StartCreateTime",
        ),
        (
            "ListUserSuppression",
            vec![("StartCreateTime", &now), ("EndCreateTime", &late)],
            "InvalidParameter",
            "7 days",
        ),
        (
            "ListUserSuppression",
            vec![("StartBounceTime", &late), ("EndBounceTime", &now)],
            "InvalidParameter",
            "EndBounceTime",
        ),
        ("RemoveUserSuppression", vec![], "MissingParameter", "SuppressionIds"),
        ("RemoveUserSuppression", vec![("SuppressionIds", "1,,2")], "InvalidParameter", "SuppressionIds"),
        ("RemoveUserSuppression", vec![("SuppressionIds", "-1")], "InvalidParameter", "SuppressionIds"),
        ("RemoveUserSuppression", vec![("SuppressionIds", &many)], "InvalidParameter", "500"),
        ("SetSuppressionListLevel", vec![], "MissingParameter", "SuppressionListLevel"),
        ("SetSuppressionListLevel", vec![("SuppressionListLevel", "none")], "InvalidParameter", "'personal'"),
        ("ListBlockSending", vec![], "MissingParameter", "BlockType"),
        ("ListBlockSending", vec![("BlockType", "SPAM")], "InvalidParameter", "REPORT"),
        (
            "ListBlockSending",
            vec![("BlockType", "UNSUB"), ("MaxResults", "501")],
            "InvalidParameter",
            "MaxResults",
        ),
        (
            "ListBlockSending",
            vec![("BlockType", "UNSUB"), ("NextToken", "abc")],
            "InvalidParameter",
            "NextToken",
        ),
        (
            "ListBlockSending",
            vec![("BlockType", "UNSUB"), ("BlockEmail", "x")],
            "InvalidParameter",
            "BlockEmail",
        ),
        (
            "ListBlockSending",
            vec![("BlockType", "UNSUB"), ("BeginTime", &late), ("EndTime", &now)],
            "InvalidParameter",
            "EndTime",
        ),
        ("UnblockSending", vec![("BlockType", "UNSUB")], "MissingParameter", "SenderEmail"),
        (
            "UnblockSending",
            vec![("BlockType", "UNSUB"), ("SenderEmail", SENDER)],
            "MissingParameter",
            "BlockEmail",
        ),
        (
            "UnblockSending",
            vec![("BlockType", "UNSUB"), ("SenderEmail", SENDER), ("BlockEmail", "b@y.example")],
            "InvalidBlockEmail.NotFound",
            "b@y.example",
        ),
        ("UpdateIpProtection", vec![], "MissingParameter", "IpProtection"),
        ("UpdateIpProtection", vec![("IpProtection", "on")], "InvalidParameter", "neither 1"),
        ("UpdateIpProtection", vec![("IpProtection", "1")], "IpProtection.EmptyList", "lock"),
        ("AddIpfilter", vec![], "MissingParameter", "IpAddress"),
        ("AddIpfilter", vec![("IpAddress", "192.0.2.9-192.0.2.1")], "InvalidIP.Malformed", "before"),
        ("AddIpfilter", vec![("IpAddress", "192.0.2.0/33")], "InvalidIP.Malformed", "32"),
        ("DeleteIpfilterByEdmId", vec![], "MissingParameter", "Id"),
        ("DeleteIpfilterByEdmId", vec![("Id", "x")], "InvalidParameter", "Id"),
        ("DeleteIpfilterByEdmId", vec![("Id", "77")], "InvalidIP.NotFound", "77"),
    ] {
        let answer = client.dm(action, &query).await;
        assert_eq!(answer.code(), code, "{action} {query:?} {}", answer.text);
        assert!(answer.message().contains(word), "{action} {query:?} {}", answer.text);
        assert!(answer.status.is_client_error());
    }
    assert_eq!(client.snapshot().await, before);
    assert_eq!(suppressions(&client, &[]).await["TotalCount"], 0);
}

#[tokio::test]
async fn the_level_is_told_and_set() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let level = async || client.dm("GetSuppressionListLevel", &[]).await.ok()["SuppressionListLevel"].clone();
    assert_eq!(level().await, "all");
    for wanted in ["personal", "personal", "all"] {
        let set = client.dm("SetSuppressionListLevel", &[("SuppressionListLevel", wanted)]).await.ok();
        assert_eq!(set["SuppressionListLevel"], wanted);
        assert_eq!(level().await, wanted);
    }
}

#[tokio::test]
async fn r03_blocked_recipients_are_refused_listed_and_let_through_again() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.sender(SENDER).await;
    blocked(&client, "Left@y.example", BlockType::Unsubscribe, BlockReasons::UNSPECIFIED).await;
    server.clock.advance_micros(10 * SECOND_MICROS);
    blocked(&client, "angry@y.example", BlockType::Report, BlockReasons::TOO_FREQUENT).await;
    let before = client.snapshot().await;
    for (to, word, remedy) in [
        ("left@y.example", "1 who unsubscribed", "UnblockSending UNSUB"),
        ("angry@y.example", "1 who reported", "UnblockSending REPORT"),
        ("angry@y.example,LEFT@y.example", "1 who unsubscribed", "UnblockSending REPORT"),
    ] {
        let answer = send(&client, to).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, "InvalidToAddress.Blocked"),
            "{}",
            answer.text
        );
        assert!(answer.message().contains(word), "{}", answer.message());
        assert!(answer.json["Recommend"].as_str().unwrap().contains(remedy), "{}", answer.text);
    }
    assert_eq!(client.snapshot().await, before, "neither counted nor charged, and nothing kept");
    send(&client, "left@y.example,here@y.example").await.ok();
    let detail = client.dm("SenderStatisticsDetailByParam", &[("ToAddress", "left@y.example")]).await.ok();
    let detail = &detail["data"]["mailDetail"][0];
    assert_eq!(
        (&detail["Status"], &detail["ErrorClassification"]),
        (&json!(4), &json!("SysOutRecipientUnsubscribed"))
    );

    let list = async |query: &[(&str, &str)]| client.dm("ListBlockSending", query).await.ok();
    let reports =
        list(&[("BlockType", "REPORT"), ("SenderEmail", SENDER), ("BlockEmail", "Angry@Y.example")]).await;
    let at = NOW.seconds() + 10;
    assert_eq!(
        reports["Data"],
        json!([{
            "BlockEmail": "angry@y.example",
            "SenderEmail": SENDER,
            "BlockTime": at,
            "SendTime": at,
            "Reason": 8,
        }])
    );
    assert_eq!((&reports["MaxResults"], &reports["NextToken"]), (&json!(50), &json!("")));
    let early = list(&[("BlockType", "REPORT"), ("EndTime", &(at - 1).to_string())]).await;
    assert_eq!(early["Data"], json!([]));
    let late =
        list(&[("BlockType", "REPORT"), ("BeginTime", &at.to_string()), ("EndTime", &at.to_string())]).await;
    assert_eq!(late["Data"].as_array().unwrap().len(), 1);

    let unsub =
        [("BlockType", "UNSUB"), ("SenderEmail", "News@Example.com"), ("BlockEmail", "left@y.example")];
    client.dm("UnblockSending", &unsub).await.ok();
    assert_eq!(client.dm("UnblockSending", &unsub).await.status.as_u16(), 404);
    send(&client, "left@y.example").await.ok();
    assert_eq!(send(&client, "angry@y.example").await.code(), "InvalidToAddress.Blocked");
}

#[tokio::test]
async fn blocks_come_in_pages() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.sender(SENDER).await;
    for number in 0..5 {
        blocked(&client, &format!("r{number}@y.example"), BlockType::Report, BlockReasons::REPETITIVE).await;
    }
    let (mut token, mut found) = (String::new(), Vec::new());
    for _ in 0..10 {
        let query = [("BlockType", "REPORT"), ("MaxResults", "2"), ("NextToken", &token)];
        let page = client.dm("ListBlockSending", &query).await.ok();
        let rows = page["Data"].as_array().unwrap().iter();
        found.extend(rows.map(|row| row["BlockEmail"].as_str().unwrap().to_owned()));
        token = page["NextToken"].as_str().unwrap().to_owned();
        if token.is_empty() {
            break;
        }
    }
    found.sort();
    assert_eq!(found, (0..5).map(|number| format!("r{number}@y.example")).collect::<Vec<_>>());
}

/// A call that comes from this address.
async fn from(
    client: &Client<'_>,
    peer: &str,
    action: &str,
    version: &str,
    query: &[(&str, &str)],
) -> Answer {
    call_from(client, peer, action, version, query, &[]).await
}

async fn call_from(
    client: &Client<'_>,
    peer: &str,
    action: &str,
    version: &str,
    query: &[(&str, &str)],
    extra: &[(&str, &str)],
) -> Answer {
    let mut request = client.signed(action, version, query, &[], extra);
    let peer = SocketAddr::new(peer.parse().unwrap(), 40_000);
    request.extensions_mut().insert(ConnectInfo(peer));
    client.server.send(request).await
}

#[tokio::test]
async fn protection_lets_calls_of_the_listed_through_only() {
    let server = Server::start().await;
    let (client, other) = (server.account("ann").await, server.account("ben").await);
    let (home, away) = ("192.0.2.7", "198.51.100.1");
    let add = async |range: &str| from(&client, home, "AddIpfilter", DM, &[("IpAddress", range)]).await;
    let id = add("192.0.2.0-192.0.2.9").await.ok()["IpFilterId"].as_str().expect("a text").to_owned();
    assert_eq!(add("192.0.2.0-192.0.2.9").await.code(), "InvalidIP.Exist");
    let protection =
        async || from(&client, home, "GetIpProtection", DM, &[]).await.ok()["IpProtection"].clone();
    assert_eq!(protection().await, "0");
    from(&client, away, "GetIpfilterList", DM, &[]).await.ok();
    from(&client, home, "UpdateIpProtection", DM, &[("IpProtection", "1")]).await.ok();
    assert_eq!(protection().await, "1");
    let before = client.snapshot().await;
    for (peer, version, action) in [
        (away, DM, "GetIpProtection"),
        (away, DM, "UpdateIpProtection"),
        (away, BSS, "QueryAccountBalance"),
        ("::ffff:198.51.100.1", DM, "GetIpProtection"),
        ("127.0.0.1", DM, "GetIpProtection"),
    ] {
        // The header of a proxy that is not trusted is anybody's claim.
        let forwarded = [("X-Forwarded-For", home)];
        let answer = call_from(&client, peer, action, version, &[("IpProtection", "0")], &forwarded).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (403, "Forbidden.IpProtection"),
            "{}",
            answer.text
        );
    }
    let answer = from(&client, away, "GetIpProtection", DM, &[]).await;
    assert!(answer.message().contains(away), "{}", answer.message());
    assert_eq!(
        client.dm("GetIpProtection", &[]).await.code(),
        "Forbidden.IpProtection",
        "from nobody knows where"
    );
    assert_eq!(client.snapshot().await, before);
    from(&client, "::ffff:192.0.2.7", "GetIpProtection", DM, &[]).await.ok();
    from(&other, away, "GetIpProtection", DM, &[]).await.ok();

    let delete = async |id: &str| from(&client, home, "DeleteIpfilterByEdmId", DM, &[("Id", id)]).await;
    assert_eq!(delete(&id).await.code(), "IpProtection.LastEntry");
    let wide = add("198.51.100.0/24").await.ok()["IpFilterId"].as_str().unwrap().to_owned();
    from(&client, away, "GetIpProtection", DM, &[]).await.ok();
    delete(&wide).await.ok();
    assert_eq!(from(&client, away, "GetIpProtection", DM, &[]).await.code(), "Forbidden.IpProtection");
    // The operator's way back in.
    let operator = indicia_store::audit::Actor::system("test");
    server.store.set_ip_protection(client.account_id, false, &operator).await.unwrap();
    from(&client, away, "GetIpProtection", DM, &[]).await.ok();
}

#[tokio::test]
async fn an_ip_list_is_told_as_the_sdk_reads_it_and_has_ten_entries() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    for number in 0..10 {
        client.dm("AddIpfilter", &[("IpAddress", &format!("2001:db8::{number}/128"))]).await.ok();
    }
    let full = client.dm("AddIpfilter", &[("IpAddress", "192.0.2.1")]).await;
    assert_eq!((full.status.as_u16(), full.code()), (400, "IpfilterNumber.ExceedLimit"));
    let list = client.dm("GetIpfilterList", &[]).await.ok();
    assert_eq!(
        (&list["TotalCount"], &list["PageNumber"], &list["PageSize"]),
        (&json!(10), &json!(1), &json!(10))
    );
    let row = &list["data"]["ipfilters"][0];
    assert_eq!(row["IpAddress"], "2001:db8::/128");
    assert_eq!(row["CreateTime"], NOW.seconds().to_string());
    assert!(row["Id"].is_string());
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_address_is_the_one_that_it_tells() {
    let settings = ApiSettings {
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..ApiSettings::for_host("mail.host.example")
    };
    let server = Server::with(settings).await;
    let client = server.account("ann").await;
    client.dm("AddIpfilter", &[("IpAddress", "192.0.2.7")]).await.ok();
    client.dm("UpdateIpProtection", &[("IpProtection", "1")]).await.ok();
    for (forwarded, status) in
        [("192.0.2.7", 200), ("198.51.100.1", 403), ("192.0.2.7, 198.51.100.1", 403), ("?", 403)]
    {
        let headers = [("X-Forwarded-For", forwarded)];
        let answer = call_from(&client, "127.0.0.1", "GetIpProtection", DM, &[], &headers).await;
        assert_eq!(answer.status.as_u16(), status, "{forwarded}");
    }
}
