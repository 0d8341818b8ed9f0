//! Dedicated IP addresses and their pools, and mail that names a pool.

use std::collections::BTreeSet;
use std::net::IpAddr;

use indicia_domain::mail::provider::Provider;
use indicia_domain::quota::warmup::{Schedule, WarmupPolicy};
use indicia_domain::time::DAY_MICROS;
use indicia_store::audit::Actor;
use serde_json::{Value, json};

use super::harness::*;

const SENDER: &str = "news@mail.example";

fn local(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

async fn assign(client: &Client<'_>, last: u8, months: i64) -> String {
    let by = Actor::system("test");
    let assigned = client.server.store.assign_ip(client.account_id, local(last), months, &by).await;
    assigned.expect("assigned").ip_id.to_string()
}

async fn pool(client: &Client<'_>, name: &str, ids: &str) -> String {
    let made = client.dm("DedicatedIpPoolCreate", &[("Name", name), ("BuyResourceIds", ids)]).await.ok();
    made["Id"].as_str().expect("an id").to_owned()
}

fn addresses(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|ip| ip["Ip"].as_str().expect("an address")).collect()
}

async fn refused(client: &Client<'_>, action: &str, query: &[(&str, &str)], code: &str, word: &str) {
    let answer = client.dm(action, query).await;
    assert!(answer.status.is_client_error(), "{action} {query:?}: {}", answer.text);
    assert_eq!(answer.code(), code, "{action} {query:?}: {}", answer.text);
    assert!(answer.message().contains(word), "{action} {query:?}: {}", answer.text);
}

#[tokio::test]
async fn addresses_are_listed_with_their_terms() {
    let server = Server::start().await;
    let (ann, bob) = (server.account("ann").await, server.account("bob").await);
    let mut ids = vec![];
    for last in [2, 3, 13] {
        ids.push(assign(&ann, last, 1).await);
    }
    let all = ann.dm("DedicatedIpList", &[]).await.ok();
    assert_eq!(addresses(&all["Ips"]), ["127.0.0.2", "127.0.0.3", "127.0.0.13"]);
    assert_eq!(
        all["Ips"][0],
        json!({
            "Id": ids[0], "InstanceId": ids[0], "Ip": "127.0.0.2", "IpPoolName": "", "Status": "sold",
            "StartTime": "2026-11-23T02:13:20Z", "ExpiredTime": "2026-12-23T02:13:20Z",
            "WarmupType": "sysCusStream", "WarmupStatus": "init", "ZoneId": "",
            "IpExt": {
                "AutoRenewal": false, "HasSendMail": false,
                "LastWarmUpTypeChangedTime": "2026-11-23T02:13:20Z",
            },
        })
    );
    let second = ann.dm("DedicatedIpList", &[("PageIndex", "2"), ("PageSize", "2")]).await.ok();
    assert_eq!(addresses(&second["Ips"]), ["127.0.0.13"]);
    assert_eq!(
        (&second["CurrentPage"], &second["PageSize"], &second["TotalCounts"], &second["HasMore"]),
        (&json!(2), &json!(2), &json!(3), &json!(false))
    );
    let threes = ann.dm("DedicatedIpList", &[("Keyword", "0.3")]).await.ok();
    assert_eq!(addresses(&threes["Ips"]), ["127.0.0.3"]);
    assert!(addresses(&bob.dm("DedicatedIpList", &[]).await.ok()["Ips"]).is_empty(), "ann's are not bob's");
    server.clock.advance_micros(31 * DAY_MICROS);
    let later = ann.dm("DedicatedIpList", &[]).await.ok();
    assert_eq!(later["Ips"][0]["Status"], "expired");
}

#[tokio::test]
async fn renewal_and_the_type_of_warm_up_are_switched() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let (first, second) = (assign(&client, 2, 1).await, assign(&client, 3, 1).await);
    let both = format!("{first}, {second}");
    let renew = async |value: &str| {
        client.dm("DedicatedIpAutoRenewal", &[("BuyResourceIds", &both), ("AutoRenewal", value)]).await.ok();
        let list = client.dm("DedicatedIpList", &[]).await.ok();
        list["Ips"].as_array().unwrap().iter().all(|ip| ip["IpExt"]["AutoRenewal"] == json!(value == "true"))
    };
    assert!(renew("true").await && renew("false").await && renew("true").await);
    server.clock.advance_micros(40 * DAY_MICROS);
    let list = client.dm("DedicatedIpList", &[]).await.ok();
    assert_eq!(list["Ips"][0]["ExpiredTime"], "2027-01-23T02:13:20Z");
    let change = [("Id", first.as_str()), ("WarmupType", "cusSelfManager")];
    client.dm("DedicatedIpChangeWarmupType", &change).await.ok();
    let list = client.dm("DedicatedIpList", &[]).await.ok();
    assert_eq!(list["Ips"][0]["WarmupType"], "cusSelfManager");
    assert_eq!(list["Ips"][0]["IpExt"]["LastWarmUpTypeChangedTime"], "2027-01-02T02:13:20Z");
    assert_eq!(list["Ips"][1]["WarmupType"], "sysCusStream");
    let (action, id) = ("DedicatedIpAutoRenewal", first.as_str());
    refused(&client, action, &[("BuyResourceIds", id)], "MissingParameter", "AutoRenewal").await;
    refused(&client, action, &[("AutoRenewal", "true")], "MissingParameter", "BuyResourceIds").await;
    let foreign = [("BuyResourceIds", "7"), ("AutoRenewal", "true")];
    refused(&client, action, &foreign, "InvalidDedicatedIp.NotFound", "'7'").await;
    let action = "DedicatedIpChangeWarmupType";
    refused(&client, action, &[("Id", id), ("WarmupType", "fast")], "InvalidParameter", "sysCusStream").await;
    let nothing = [("Id", "x1"), ("WarmupType", "sysCusStream")];
    refused(&client, action, &nothing, "InvalidDedicatedIp.NotFound", "'x1'").await;
}

#[tokio::test]
async fn pools_are_made_changed_listed_and_deleted() {
    let server = Server::start().await;
    let (client, bob) = (server.account("ann").await, server.account("bob").await);
    let ids = [assign(&client, 2, 1).await, assign(&client, 3, 1).await, assign(&client, 4, 1).await];
    let news = pool(&client, "news", &format!("{},{}", ids[0], ids[1])).await;
    let bills = pool(&client, "bills_1-a", "").await;
    let free = client.dm("DedicatedIpNonePoolList", &[]).await.ok();
    assert_eq!(free["Ips"], json!([{"Id": ids[2], "Ip": "127.0.0.4", "ZoneId": ""}]));
    let list = client.dm("DedicatedIpPoolList", &[("PageSize", "1")]).await.ok();
    assert_eq!(
        (&list["CurrentPage"], &list["PageSize"], &list["TotalCounts"], &list["HasMore"]),
        (&json!("1"), &json!("1"), &json!(2), &json!(true)),
        "texts and numbers as the SDK has them"
    );
    assert_eq!(
        list["IpPools"][0],
        json!({
            "Id": news, "Name": "news", "CreateTime": "2026-11-23T02:13:20Z", "IpCount": 2,
            "Ips": [
                {"Id": ids[0], "Ip": "127.0.0.2", "ZoneId": ""},
                {"Id": ids[1], "Ip": "127.0.0.3", "ZoneId": ""},
            ],
        })
    );
    let names = async |query: &[(&str, &str)]| {
        let list = client.dm("DedicatedIpPoolList", query).await.ok();
        let pools = list["IpPools"].as_array().unwrap().iter();
        pools.map(|pool| pool["Name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&[("All", "true"), ("PageSize", "1")]).await, "news bills_1-a");
    assert_eq!(names(&[("Keyword", "bill")]).await, "bills_1-a");
    assert_eq!(names(&[("PoolId", &news)]).await, "news");
    let update = |ids: &str, change: &str| {
        [("Id", news.clone()), ("BuyResourceIds", ids.to_owned()), ("UpdateResource", change.to_owned())]
    };
    let updated = async |ids: &str, change: &str| {
        let query = update(ids, change);
        let query: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(client.dm("DedicatedIpPoolUpdate", &query).await.ok()["Id"], json!(news));
        let list = client.dm("DedicatedIpPoolList", &[("PoolId", &news)]).await.ok();
        addresses(&list["IpPools"][0]["Ips"]).join(" ")
    };
    assert_eq!(updated(&ids[2], "false").await, "127.0.0.2 127.0.0.3", "nothing was to be changed");
    assert_eq!(updated(&format!("{},{}", ids[2], ids[0]), "true").await, "127.0.0.2 127.0.0.4");
    let (create, not_found) = ("DedicatedIpPoolCreate", "InvalidIpPool.NotFound");
    refused(&client, create, &[], "MissingParameter", "Name").await;
    refused(&client, create, &[("Name", "a b")], "InvalidIpPoolName.Malformed", "a b").await;
    refused(&client, create, &[("Name", &"a".repeat(51))], "InvalidIpPoolName.Malformed", "aaa").await;
    refused(&client, create, &[("Name", "news")], "InvalidIpPoolName.Exist", "news").await;
    let taken = [("Name", "more"), ("BuyResourceIds", ids[0].as_str())];
    refused(&client, create, &taken, "InvalidDedicatedIp.InPool", "127.0.0.2 is in the pool news").await;
    refused(&bob, create, &taken, "InvalidDedicatedIp.NotFound", &ids[0]).await;
    refused(&bob, "DedicatedIpPoolUpdate", &[("Id", &news)], not_found, &news).await;
    refused(&bob, "DedicatedIpPoolDelete", &[("Id", &news)], not_found, &news).await;
    client.dm("DedicatedIpPoolDelete", &[("Id", &news)]).await.ok();
    refused(&client, "DedicatedIpPoolDelete", &[("Id", &news)], not_found, &news).await;
    assert_eq!(names(&[]).await, "bills_1-a");
    let free = client.dm("DedicatedIpNonePoolList", &[]).await.ok();
    assert_eq!(addresses(&free["Ips"]), ["127.0.0.2", "127.0.0.3", "127.0.0.4"]);
    client.dm("DedicatedIpPoolDelete", &[("Id", &bills)]).await.ok();
}

async fn send(client: &Client<'_>, to: &str, pool_id: &str) -> Answer {
    let form = [
        ("AccountName", SENDER),
        ("AddressType", "1"),
        ("ReplyToAddress", "false"),
        ("ToAddress", to),
        ("Subject", "Hello"),
        ("TextBody", "Hi"),
        ("IpPoolId", pool_id),
    ];
    client.form("SingleSendMail", &form).await
}

#[tokio::test]
async fn r24_mail_by_a_pool_is_counted_for_its_address_and_shown_by_day() {
    let server = Server::start().await;
    let schedule = Schedule::new("test", vec![2, 4]).unwrap();
    server.store.set_warmup_policy(WarmupPolicy { schedule, ..WarmupPolicy::default() });
    let (client, bob) = (server.account("ann").await, server.account("bob").await);
    client.sender(SENDER).await;
    let id = assign(&client, 2, 1).await;
    let news = pool(&client, "news", &id).await;
    let foreign = pool(&bob, "bobs", "").await;
    for wrong in [foreign.as_str(), "e4", "-1", "0"] {
        let answer = send(&client, "u@gmail.com", wrong).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (404, "InvalidIpPool.NotFound"),
            "{}",
            answer.text
        );
        assert!(answer.message().contains(wrong), "{}", answer.text);
    }
    send(&client, "a@gmail.com,b@gmail.com,c@gmail.com,d@yahoo.fr", &news).await.ok();
    let claimed = server.store.claim(10, 1 << 20).await.unwrap();
    let places: Vec<_> = claimed[0].recipients.iter().map(|recipient| recipient.place).collect();
    assert_eq!(
        places.iter().map(|place| place.map(|place| place.provider)).collect::<Vec<_>>(),
        [Some(Provider::Gmail), Some(Provider::Gmail), None, Some(Provider::Yahoo)]
    );
    let of: BTreeSet<_> = places.iter().flatten().map(|place| place.address).collect();
    assert_eq!(of, BTreeSet::from([local(2)]));
    let detail = client.dm("GetDedicatedIpWarmUpDetail", &[("DedicatedIp", "127.0.0.2")]).await.ok();
    assert_eq!(
        detail["Detail"],
        json!([
            {"DayMark": 20261123, "Esp": "gmail.com", "SendCounts": 2, "DeliverCounts": 0},
            {"DayMark": 20261123, "Esp": "yahoo.com", "SendCounts": 1, "DeliverCounts": 0},
        ])
    );
    let narrow = [
        ("DedicatedIp", "127.0.0.2"),
        ("Esp", "Yahoo.com"),
        ("StartDayMark", "20261123"),
        ("EndDayMark", "20261123"),
    ];
    let detail = client.dm("GetDedicatedIpWarmUpDetail", &narrow).await.ok();
    assert_eq!(detail["Detail"].as_array().unwrap().len(), 1);
    let before = [("DedicatedIp", "127.0.0.2"), ("EndDayMark", "20261122")];
    let detail = client.dm("GetDedicatedIpWarmUpDetail", &before).await.ok();
    assert_eq!(detail["Detail"], json!([]));
    let info = client.dm("GetDedicatedIpWarmUpInfo", &[("DedicatedIp", "127.0.0.2")]).await.ok();
    let esps: Vec<_> = info["Info"].as_array().unwrap().iter().map(|esp| esp["Esp"].clone()).collect();
    assert_eq!(json!(esps), json!(Provider::ALL.map(Provider::as_str)));
    assert_eq!(info["Info"][0], json!({"Esp": "gmail.com", "Finished": false}));
    assert_eq!(client.dm("DedicatedIpList", &[]).await.ok()["Ips"][0]["IpExt"]["HasSendMail"], true);
}

#[tokio::test]
async fn warm_up_is_asked_for_one_address_and_real_days() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    assign(&client, 2, 1).await;
    let (info, detail, ip) = ("GetDedicatedIpWarmUpInfo", "GetDedicatedIpWarmUpDetail", "127.0.0.2");
    refused(&client, info, &[], "MissingParameter", "DedicatedIp").await;
    refused(&client, info, &[("DedicatedIp", "one")], "InvalidParameter", "one").await;
    let foreign = [("DedicatedIp", "127.0.0.3")];
    refused(&client, info, &foreign, "InvalidDedicatedIp.NotFound", "127.0.0.3").await;
    let of = |name: &'static str, value: &'static str| [("DedicatedIp", ip), (name, value)];
    refused(&client, detail, &of("Esp", "aol.com"), "InvalidParameter", "gmail.com").await;
    for no_day in ["20261301", "20260230", "0", "-20261123", "99999999999999"] {
        refused(&client, detail, &of("StartDayMark", no_day), "InvalidParameter", no_day).await;
    }
    refused(&client, detail, &of("StartDayMark", "20261124"), "InvalidParameter", "before").await;
    refused(&client, detail, &of("StartDayMark", "20240101"), "InvalidParameter", "366").await;
}
