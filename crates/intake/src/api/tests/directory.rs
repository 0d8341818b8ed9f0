//! Domains, sender addresses, the account's summary.

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use serde_json::{Value, json};

use super::harness::*;

async fn domain(client: &Client<'_>, name: &str) -> (String, Value) {
    let domain_id = client.dm("CreateDomain", &[("DomainName", name)]).await.ok()["DomainId"]
        .as_str()
        .unwrap()
        .to_owned();
    let shown = client.dm("DescDomain", &[("DomainId", &domain_id)]).await.ok();
    (domain_id, shown)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is no text in {value}"))
}

fn publish(server: &Server, shown: &Value) {
    let root = text(shown, "TlDomainName");
    let name = |host: &str| format!("{}.{root}", text(shown, host));
    server.dns.publish_txt(&name("HostRecord"), text(shown, "DomainType"));
    server.dns.publish_txt(text(shown, "DomainName"), text(shown, "SpfRecordV2"));
    server.dns.publish_txt(&name("DkimRR"), text(shown, "DkimPublicKey"));
    server.dns.publish_txt(&name("DmarcHostRecord"), text(shown, "DmarcRecord"));
    server.dns.publish_mx(text(shown, "DomainName"), text(shown, "MxRecord"));
}

#[tokio::test]
async fn a_domain_is_verified_by_what_dns_says() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let (id, shown) = domain(&client, "Mail.Example.com").await;
    assert_eq!(text(&shown, "DomainName"), "mail.example.com");
    assert_eq!(text(&shown, "SpfRecordV2"), "v=spf1 include:spf.mail.host.example -all");
    assert_eq!(
        (text(&shown, "TlDomainName"), text(&shown, "DkimRR")),
        ("example.com", "indicia._domainkey.mail")
    );
    assert_eq!(text(&shown, "CreateTime"), "2026-11-23T02:13Z");
    let (check, status) = ([("DomainId", id.as_str())], "DomainStatus");
    assert_eq!(client.dm("CheckDomain", &check).await.ok()[status], 1);
    publish(&server, &shown);
    let live =
        client.dm("DescDomain", &[("DomainId", &id), ("RequireRealTimeDnsRecords", "True")]).await.ok();
    assert_eq!((text(&live, "DnsTxt"), text(&live, "SpfAuthStatus")), (text(&shown, "DomainType"), "0"));
    assert_eq!(text(&live, status), "1", "looking is not verifying");
    assert_eq!(client.dm("CheckDomain", &check).await.ok()[status], 0);
    let verified = client.dm("DescDomain", &check).await.ok();
    for name in ["DomainStatus", "SpfAuthStatus", "DkimAuthStatus", "MxAuthStatus"] {
        assert_eq!(verified[name], json!("0"), "{name}");
    }
    assert_eq!(verified["DmarcAuthStatus"], json!(0));
    server.dns.clear();
    assert_eq!(client.dm("CheckDomain", &check).await.ok()[status], 1, "records gone");
}

#[tokio::test]
async fn each_required_record_is_required() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let (id, shown) = domain(&client, "example.com").await;
    for (missing, good) in [
        ("indicia.example.com", 1),
        ("example.com", 1),
        ("indicia._domainkey.example.com", 1),
        ("_dmarc.example.com", 0),
    ] {
        server.dns.clear();
        publish(&server, &shown);
        server.dns.txt.lock().unwrap().remove(missing);
        assert_eq!(
            client.dm("CheckDomain", &[("DomainId", &id)]).await.ok()["DomainStatus"],
            good,
            "{missing}"
        );
    }
    server.dns.clear();
    publish(&server, &shown);
    server.dns.publish_txt("example.com", "v=spf1 -all");
    assert_eq!(
        client.dm("CheckDomain", &[("DomainId", &id)]).await.ok()["DomainStatus"],
        1,
        "two SPF records"
    );
}

#[tokio::test]
async fn silence_of_dns_does_not_take_a_verified_domain_away() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let (id, shown) = domain(&client, "example.com").await;
    server.dns.silence("example.com");
    assert_eq!(
        client.dm("CheckDomain", &[("DomainId", &id)]).await.ok()["DomainStatus"],
        1,
        "not proved yet"
    );
    server.dns.clear();
    publish(&server, &shown);
    assert_eq!(client.dm("CheckDomain", &[("DomainId", &id)]).await.ok()["DomainStatus"], 0);
    server.dns.silence("example.com");
    let answer = client.dm("CheckDomain", &[("DomainId", &id)]).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, "CheckDomain.Failed"));
    assert!(answer.message().contains("TXT of example.com"), "{}", answer.message());
    assert_eq!(client.dm("DescDomain", &[("DomainId", &id)]).await.ok()["DomainStatus"], "0");
}

#[tokio::test]
async fn only_one_account_can_prove_a_domain() {
    let server = Server::start().await;
    let (ann, bob) = (server.account("ann").await, server.account("bob").await);
    let ((ann_id, anns), (bob_id, bobs)) =
        (domain(&ann, "example.com").await, domain(&bob, "example.com").await);
    publish(&server, &anns);
    assert_eq!(ann.dm("CheckDomain", &[("DomainId", &ann_id)]).await.ok()["DomainStatus"], 0);
    server.dns.clear();
    publish(&server, &bobs);
    let answer = bob.dm("CheckDomain", &[("DomainId", &bob_id)]).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, "InvalidDomainName.Conflict"));
}

#[tokio::test]
async fn a_new_key_signs_once_its_record_is_published() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let (id, shown) = domain(&client, "example.com").await;
    publish(&server, &shown);
    client.dm("CheckDomain", &[("DomainId", &id)]).await.ok();
    let changed = client
        .dm("ChangeDomainDkimRecord", &[("Domain", "example.com"), ("DkimRsaLength", "2048")])
        .await
        .ok();
    assert_eq!((&changed["Changed"], &changed["DkimRsaLength"]), (&json!(true), &json!(2048)));
    assert_ne!(changed["DkimPublicKey"], shown["DkimPublicKey"]);
    let signing = |server: &Server| {
        let store = server.store.clone();
        let account_id = client.account_id;
        async move { store.domain_by_name(account_id, "example.com").await.unwrap().unwrap().dkim.selector }
    };
    assert_eq!(client.dm("CheckDomain", &[("DomainId", &id)]).await.ok()["DomainStatus"], 0);
    assert_eq!(signing(&server).await, "indicia", "the old key signs until the new one can be verified");
    let pending = client.dm("DescDomain", &[("DomainId", &id)]).await.ok();
    assert_eq!(
        (&pending["DkimRR"], &pending["DkimPublicKey"]),
        (&changed["Hostname"], &changed["DkimPublicKey"])
    );
    server
        .dns
        .publish_txt(&format!("{}.example.com", text(&changed, "Hostname")), text(&changed, "DkimPublicKey"));
    assert_eq!(client.dm("CheckDomain", &[("DomainId", &id)]).await.ok()["DomainStatus"], 0);
    assert_eq!(format!("{}._domainkey", signing(&server).await), text(&changed, "Hostname"));
}

#[tokio::test]
async fn domains_are_listed_filtered_and_deleted() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let (first, _) = domain(&client, "a.example.com").await;
    domain(&client, "b.example.org").await;
    server.store.verify_domain_by_operator(client.account_id, "a.example.com").await.unwrap();
    let all = client.dm("QueryDomainByParam", &[]).await.ok();
    assert_eq!(
        (&all["TotalCount"], &all["PageNumber"], &all["PageSize"]),
        (&json!(2), &json!(1), &json!(10))
    );
    let row = &all["data"]["domain"][0];
    assert_eq!(row["UtcCreateTime"], json!(NOW.seconds()));
    for name in [
        "DomainId",
        "DomainName",
        "DomainRecord",
        "DomainStatus",
        "SpfAuthStatus",
        "MxAuthStatus",
        "CnameAuthStatus",
        "ConfirmStatus",
        "IcpStatus",
        "CreateTime",
    ] {
        assert!(row[name].is_string(), "{name}");
    }
    for (query, names) in [
        (vec![("Status", "0")], vec!["a.example.com"]),
        (vec![("Status", "1")], vec!["b.example.org"]),
        (vec![("KeyWord", "EXAMPLE.O")], vec!["b.example.org"]),
        (vec![("PageNo", "2"), ("PageSize", "1")], vec!["b.example.org"]),
        (vec![("PageNo", "3"), ("PageSize", "1")], vec![]),
    ] {
        let listed = client.dm("QueryDomainByParam", &query).await.ok();
        let listed: Vec<&str> =
            listed["data"]["domain"].as_array().unwrap().iter().map(|row| text(row, "DomainName")).collect();
        assert_eq!(listed, names, "{query:?}");
    }
    client.dm("DeleteDomain", &[("DomainId", &first)]).await.ok();
    assert_eq!(client.dm("DeleteDomain", &[("DomainId", &first)]).await.code(), "InvalidDomain.NotFound");
}

#[tokio::test]
async fn sender_addresses_live_and_die() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let (_, id) = client.sender("News@example.com").await;
    client
        .dm(
            "ModifyMailAddress",
            &[("MailAddressId", &id), ("Password", "DM1mail1234"), ("ReplyAddress", "r@x.example")],
        )
        .await
        .ok();
    let stored =
        server.store.sender_by_address(client.account_id, "news@example.com").await.unwrap().unwrap();
    let hash = stored.password_hash.unwrap();
    assert!(hash.starts_with("$argon2id$"), "{hash}");
    Argon2::default().verify_password(b"DM1mail1234", &PasswordHash::new(&hash).unwrap()).unwrap();
    let again = client.dm("ModifyMailAddress", &[("MailAddressId", &id), ("Password", "DM1mail1234")]).await;
    assert_eq!(again.code(), "InvalidPassword.Same");
    client
        .form(
            "SingleSendMail",
            &[
                ("AccountName", "news@example.com"),
                ("AddressType", "1"),
                ("ReplyToAddress", "true"),
                ("ToAddress", "a@y.example,b@y.example"),
                ("Subject", "s"),
                ("TextBody", "b"),
            ],
        )
        .await
        .ok();
    let listed =
        client.dm("QueryMailAddressByParam", &[("Sendtype", "trigger"), ("KeyWord", "news")]).await.ok();
    let row = &listed["data"]["mailAddress"][0];
    assert_eq!(
        (text(row, "AccountName"), text(row, "ReplyAddress"), text(row, "AccountStatus")),
        ("news@example.com", "r@x.example", "0")
    );
    assert_eq!((text(row, "DailyCount"), text(row, "DailyReqCount")), ("2000", "2"));
    assert_eq!((text(row, "MonthCount"), text(row, "MonthReqCount")), ("60000", "2"));
    assert_eq!(client.dm("QueryMailAddressByParam", &[("Sendtype", "batch")]).await.ok()["TotalCount"], 0);
    let twice =
        client.dm("CreateMailAddress", &[("AccountName", "news@EXAMPLE.com"), ("Sendtype", "batch")]).await;
    assert_eq!(twice.code(), "InvalidMailAddress.Exist");
    client.dm("DeleteMailAddress", &[("MailAddressId", &id)]).await.ok();
    assert_eq!(
        client.dm("DeleteMailAddress", &[("MailAddressId", &id)]).await.code(),
        "InvalidMailAddress.NotFound"
    );
}

#[tokio::test]
async fn ids_fit_the_32_bits_of_the_typed_sdks() {
    let server = Server::start().await;
    let (ann, bob) = (server.account("ann").await, server.account("bob").await);
    let ids = [ann.sender("a@example.com").await, bob.sender("b@example.org").await];
    let ids: std::collections::BTreeSet<i32> =
        ids.iter().flat_map(|(domain, sender)| [domain.parse().unwrap(), sender.parse().unwrap()]).collect();
    assert_eq!(ids.len(), 4, "and are different for every account");
}

#[tokio::test]
async fn a_domain_password_is_set_and_hashed() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    domain(&client, "example.com").await;
    let done = client
        .dm("ModifyPWByDomain", &[("DomainName", "example.com"), ("Password", "DM1mail1234")])
        .await
        .ok();
    assert_eq!((&done["Code"], &done["Success"]), (&json!("OK"), &json!(true)));
    let stored = server.store.domain_by_name(client.account_id, "example.com").await.unwrap().unwrap();
    assert!(stored.password_hash.unwrap().starts_with("$argon2id$"));
}

#[tokio::test]
async fn limits_on_domains_and_deletions_hold() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    for number in 0..5 {
        domain(&client, &format!("d{number}.example.com")).await;
    }
    assert_eq!(
        client.dm("CreateDomain", &[("DomainName", "d6.example.com")]).await.code(),
        "DomainNumber.ExceedLimit"
    );
    for number in 0..11 {
        let address = format!("a{number}@d0.example.com");
        let made =
            client.dm("CreateMailAddress", &[("AccountName", &address), ("Sendtype", "batch")]).await.ok();
        let answer = client.dm("DeleteMailAddress", &[("MailAddressId", text(&made, "MailAddressId"))]).await;
        match number {
            10 => assert_eq!(answer.code(), "MailAddressDeletion.ExceedLimit"),
            _ => assert_eq!(answer.status.as_u16(), 200),
        }
    }
}

#[tokio::test]
async fn r06_r17_the_summary_says_what_is_left() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.sender("news@example.com").await;
    client
        .form(
            "SingleSendMail",
            &[
                ("AccountName", "news@example.com"),
                ("AddressType", "1"),
                ("ReplyToAddress", "false"),
                ("ToAddress", "a@y.example,b@y.example"),
                ("Subject", "s"),
                ("TextBody", "b"),
            ],
        )
        .await
        .ok();
    let summary = client.dm("DescAccountSummary", &[]).await.ok();
    for (name, value) in [
        ("DailyQuota", 2_000),
        ("MonthQuota", 60_000),
        ("QuotaLevel", 2),
        ("MaxQuotaLevel", 10),
        ("RemainFreeQuota", 1_998),
        ("DailyRemainFreeQuota", 198),
        ("UserStatus", 0),
        ("Domains", 1),
        ("MailAddresses", 1),
        ("Receivers", 0),
        ("Tags", 0),
        ("Templates", 0),
        ("EnableTimes", 0),
        ("DayuStatus", 0),
        ("SmsRecord", 0),
        ("SmsSign", 0),
        ("SmsTemplates", 0),
    ] {
        assert_eq!(summary[name], json!(value), "{name}");
    }
    assert_eq!(summary["IpChannelType"], "normal");
}

#[tokio::test]
async fn an_empty_reply_address_changes_nothing() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let (_, id) = client.sender("news@example.com").await;
    let modify = |more: Vec<(&'static str, &'static str)>| {
        let query = [vec![("MailAddressId", id.as_str())], more].concat();
        let client = &client;
        async move { client.dm("ModifyMailAddress", &query).await }
    };
    modify(vec![("ReplyAddress", "r@x.example")]).await.ok();
    modify(vec![("ReplyAddress", ""), ("Password", "DM1mail1234")]).await.ok();
    assert_eq!(modify(vec![("ReplyAddress", "")]).await.code(), "MissingParameter");
    let stored =
        server.store.sender_by_address(client.account_id, "news@example.com").await.unwrap().unwrap();
    assert_eq!(stored.reply_address, "r@x.example");
    assert!(stored.password_hash.is_some(), "the password was set");
    modify(vec![("ReplyAddress", "other@x.example"), ("Password", "")]).await.ok();
    let stored =
        server.store.sender_by_address(client.account_id, "news@example.com").await.unwrap().unwrap();
    assert_eq!(stored.reply_address, "other@x.example");
}
