//! For every action: what is refused, how, and that nothing is written.

use super::harness::*;

const SENDER: &str = "news@example.com";

type Pairs = &'static [(&'static str, &'static str)];

/// Changes to a good mail; an empty value takes the parameter away. Then status, code, and what the message names.
const MAILS: &[(Pairs, u16, &str, &str)] = &[
    (&[("AccountName", "")], 400, "MissingParameter", "AccountName"),
    (&[("AddressType", "")], 400, "MissingParameter", "AddressType"),
    (&[("ReplyToAddress", "")], 400, "MissingParameter", "ReplyToAddress"),
    (&[("ToAddress", "")], 400, "MissingParameter", "ToAddress"),
    (&[("Subject", "")], 400, "MissingParameter", "Subject"),
    (&[("TextBody", "")], 400, "InvalidBody", "HtmlBody"),
    (&[("AddressType", "2")], 400, "InvalidParameter", "AddressType"),
    (&[("AddressType", "one")], 400, "InvalidParameter", "AddressType"),
    (&[("ReplyToAddress", "perhaps")], 400, "InvalidParameter", "ReplyToAddress"),
    (&[("DomainAuth", "2")], 400, "InvalidParameter", "DomainAuth"),
    (&[("AccountName", "not an address")], 400, "InvalidMailAddress.Malformed", "AccountName"),
    (&[("AccountName", "other@example.com")], 404, "InvalidMailAddress.NotFound", "other@example.com"),
    (&[("AccountName", "bob@bobs.example")], 404, "InvalidMailAddress.NotFound", "bob@bobs.example"),
    (
        &[("AccountName", "draft@unverified.example")],
        400,
        "InvalidMailAddressDomain.Malformed",
        "unverified.example",
    ),
    (&[("ToAddress", "nobody")], 400, "InvalidToAddress", "address 1"),
    (&[("ToAddress", "a@y.example,b@@y.example")], 400, "InvalidToAddress", "address 2"),
    (&[("ToAddress", "a@y.example\r\nRCPT TO:<b@y.example>")], 400, "InvalidToAddress", "control character"),
    (&[("CcAddress", "@")], 400, "InvalidCcAddress", "CcAddress"),
    (&[("BccAddress", "a@b.example,c@d.example,e@f.example")], 400, "InvalidBccAddress", "3 addresses"),
    (&[("Subject", "Hi\r\nBcc: victim@y.example")], 400, "InvalidSubject.Malformed", "Subject"),
    (&[("Subject", "Hi\0")], 400, "InvalidSubject.Malformed", "Subject"),
    (&[("FromAlias", "A\r\nBcc: x@y.example")], 400, "InvalidFromAlias.Malformed", "FromAlias"),
    (&[("FromAlias", "0123456789abcdef")], 400, "InvalidFromAlias.Malformed", "16 characters"),
    (&[("ReplyAddress", "a@b.example\r\nX: y")], 400, "InvalidReplyAddress.Malformed", "ReplyAddress"),
    (&[("ReplyAddress", "nonsense")], 400, "InvalidReplyAddress.Malformed", "ReplyAddress"),
    (
        &[("ReplyAddressAlias", "A\nB: c"), ("ReplyAddress", "a@b.example")],
        400,
        "InvalidReplyAddressAlias.Malformed",
        "ReplyAddressAlias",
    ),
    (&[("Headers", "not json")], 400, "InvalidHeaders.Malformed", "Headers"),
    (&[("Headers", r#"{"X-User-A":"b\r\nBcc: c@y.example"}"#)], 400, "InvalidHeaders.Malformed", "X-User-A"),
    (&[("Headers", r#"{"From":"ceo@bank.example"}"#)], 400, "InvalidHeaders.Malformed", "From"),
    (&[("TagName", "no spaces")], 400, "InvalidTagName.Malformed", "TagName"),
    (&[("TextBody", "a\0b")], 400, "InvalidBody", "TextBody"),
    (&[("ClickTrace", "1")], 400, "UnsupportedOperation", "ClickTrace"),
    (&[("ClickTrace", "yes")], 400, "InvalidParameter", "ClickTrace"),
    (&[("Template", r#"{"TemplateId":"1"}"#)], 400, "UnsupportedOperation", "Template"),
    (&[("IpPoolId", "e4")], 404, "InvalidIpPool.NotFound", "e4"),
    (&[("UnSubscribeLinkType", "zh-cn")], 400, "UnsupportedOperation", "UnSubscribeLinkType"),
    (&[("UnSubscribeFilterLevel", "mailfrom")], 400, "UnsupportedOperation", "UnSubscribeFilterLevel"),
    (
        &[("Attachments.1.AttachmentName", "a.txt"), ("Attachments.1.AttachmentUrl", "http://x.example/a")],
        400,
        "UnsupportedOperation",
        "Attachments",
    ),
];

#[tokio::test]
async fn single_send_mail_refuses_and_writes_nothing() {
    let server = Server::start().await;
    let (client, bob) = (server.account("ann").await, server.account("bob").await);
    client.sender(SENDER).await;
    bob.sender("bob@bobs.example").await;
    client.dm("CreateDomain", &[("DomainName", "unverified.example")]).await.ok();
    client
        .dm("CreateMailAddress", &[("AccountName", "draft@unverified.example"), ("Sendtype", "batch")])
        .await
        .ok();
    let before = client.snapshot().await;
    let good = [
        ("AccountName", SENDER),
        ("AddressType", "1"),
        ("ReplyToAddress", "False"),
        ("ToAddress", "a@y.example"),
        ("Subject", "Hello"),
        ("TextBody", "Hi"),
    ];
    for (changes, status, code, names) in MAILS {
        let mut form = good.to_vec();
        form.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        form.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
        let answer = client.form("SingleSendMail", &form).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (*status, *code), "{changes:?} {}", answer.text);
        assert!(answer.message().contains(names), "{changes:?}: {}", answer.message());
        assert_eq!(client.snapshot().await, before, "{changes:?}");
    }
    let long = "x".repeat(257);
    let many = vec!["a@y.example"; 101].join(",");
    let tag = "t".repeat(129);
    for (name, value, code) in [
        ("Subject", &long, "InvalidSubject.Malformed"),
        ("ToAddress", &many, "InvalidToAddress"),
        ("TagName", &tag, "InvalidTagName.Malformed"),
    ] {
        let mut form = good.to_vec();
        form.retain(|(other, _)| *other != name);
        form.push((name, value));
        assert_eq!(client.form("SingleSendMail", &form).await.code(), code, "{name}");
    }
    assert_eq!(client.snapshot().await, before);
    client.form("SingleSendMail", &good).await.ok();
}

/// Action, parameters, status, code. `ID` and `BOBS` stand for ids of the caller and of another account.
const CALLS: &[(&str, Pairs, u16, &str)] = &[
    ("CreateDomain", &[], 400, "MissingParameter"),
    ("CreateDomain", &[("DomainName", "no spaces.example")], 400, "InvalidDomainName.Malformed"),
    ("CreateDomain", &[("DomainName", "nodot")], 400, "InvalidDomainName.Malformed"),
    ("CreateDomain", &[("DomainName", "a.example\r\nX: y")], 400, "InvalidDomainName.Malformed"),
    ("CreateDomain", &[("DomainName", "example.com")], 400, "InvalidDomainName.Exist"),
    ("CreateDomain", &[("DomainName", "ok.example"), ("dkimSelector", "-bad-")], 400, "InvalidParameter"),
    ("CheckDomain", &[], 400, "MissingParameter"),
    ("CheckDomain", &[("DomainId", "x")], 400, "InvalidParameter"),
    ("CheckDomain", &[("DomainId", "99999999999999999999999")], 400, "InvalidParameter"),
    ("CheckDomain", &[("DomainId", "1")], 404, "InvalidDomain.NotFound"),
    ("CheckDomain", &[("DomainId", "BOBS")], 404, "InvalidDomain.NotFound"),
    ("DescDomain", &[], 400, "MissingParameter"),
    ("DescDomain", &[("DomainId", "-1")], 400, "InvalidParameter"),
    ("DescDomain", &[("DomainId", "ID"), ("RequireRealTimeDnsRecords", "1")], 400, "InvalidParameter"),
    ("DescDomain", &[("DomainId", "BOBS")], 404, "InvalidDomain.NotFound"),
    ("QueryDomainByParam", &[("PageNo", "0")], 400, "InvalidParameter"),
    ("QueryDomainByParam", &[("PageSize", "101")], 400, "InvalidParameter"),
    ("QueryDomainByParam", &[("Status", "7")], 400, "InvalidParameter"),
    (
        "QueryDomainByParam",
        &[("KeyWord", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")],
        400,
        "InvalidParameter",
    ),
    ("DeleteDomain", &[], 400, "MissingParameter"),
    ("DeleteDomain", &[("DomainId", "1.5")], 400, "InvalidParameter"),
    ("DeleteDomain", &[("DomainId", "BOBS")], 404, "InvalidDomain.NotFound"),
    ("ChangeDomainDkimRecord", &[], 400, "MissingParameter"),
    ("ChangeDomainDkimRecord", &[("Domain", "bobs.example")], 404, "InvalidDomain.NotFound"),
    (
        "ChangeDomainDkimRecord",
        &[("Domain", "example.com"), ("DkimRsaLength", "1024")],
        400,
        "InvalidParameter",
    ),
    (
        "ChangeDomainDkimRecord",
        &[("Domain", "example.com"), ("DkimRsaLength", "4096")],
        400,
        "InvalidParameter",
    ),
    ("ModifyPWByDomain", &[("DomainName", "example.com")], 400, "MissingParameter"),
    (
        "ModifyPWByDomain",
        &[("DomainName", "example.com"), ("Password", "short1A")],
        400,
        "InvalidPassword.Malformed",
    ),
    (
        "ModifyPWByDomain",
        &[("DomainName", "bobs.example"), ("Password", "DM1mail1234")],
        404,
        "InvalidDomain.NotFound",
    ),
    ("CreateMailAddress", &[], 400, "MissingParameter"),
    ("CreateMailAddress", &[("AccountName", "a@example.com")], 400, "MissingParameter"),
    (
        "CreateMailAddress",
        &[("AccountName", "a@example.com"), ("Sendtype", "other")],
        400,
        "InvalidMailAddressSendType.Malformed",
    ),
    (
        "CreateMailAddress",
        &[("AccountName", "no address"), ("Sendtype", "batch")],
        400,
        "InvalidMailAddress.Malformed",
    ),
    (
        "CreateMailAddress",
        &[("AccountName", "a@bobs.example"), ("Sendtype", "batch")],
        400,
        "InvalidMailAddressDomain.Malformed",
    ),
    (
        "CreateMailAddress",
        &[("AccountName", "a@example.com"), ("Sendtype", "batch"), ("AddressType", "EXTERNAL")],
        400,
        "UnsupportedOperation",
    ),
    (
        "CreateMailAddress",
        &[("AccountName", "a@example.com"), ("Sendtype", "batch"), ("ReplyAddress", "x\r\ny")],
        400,
        "InvalidReplyAddress.Malformed",
    ),
    ("ModifyMailAddress", &[], 400, "MissingParameter"),
    ("ModifyMailAddress", &[("MailAddressId", "SENDER")], 400, "MissingParameter"),
    ("ModifyMailAddress", &[("MailAddressId", "x"), ("Password", "DM1mail1234")], 400, "InvalidParameter"),
    (
        "ModifyMailAddress",
        &[("MailAddressId", "SENDER"), ("Password", "weak")],
        400,
        "InvalidPassword.Malformed",
    ),
    (
        "ModifyMailAddress",
        &[("MailAddressId", "SENDER"), ("ReplyAddress", "x")],
        400,
        "InvalidReplyAddress.Malformed",
    ),
    (
        "ModifyMailAddress",
        &[("MailAddressId", "BOBSENDER"), ("Password", "DM1mail1234")],
        404,
        "InvalidMailAddress.NotFound",
    ),
    ("QueryMailAddressByParam", &[("Sendtype", "other")], 400, "InvalidMailAddressSendType.Malformed"),
    ("QueryMailAddressByParam", &[("PageNo", "-1")], 400, "InvalidParameter"),
    ("DeleteMailAddress", &[], 400, "MissingParameter"),
    ("DeleteMailAddress", &[("MailAddressId", "BOBSENDER")], 404, "InvalidMailAddress.NotFound"),
    ("QueryInvalidAddress", &[("StartTime", "yesterday")], 400, "InvalidParameter"),
    (
        "QueryInvalidAddress",
        &[("StartTime", "2020-01-01"), ("EndTime", "2020-01-02")],
        400,
        "InvalidParameter",
    ),
    (
        "QueryInvalidAddress",
        &[("StartTime", "2026-11-20"), ("EndTime", "2027-01-20")],
        400,
        "InvalidParameter",
    ),
    (
        "QueryInvalidAddress",
        &[("StartTime", "2026-11-20"), ("EndTime", "2026-11-19")],
        400,
        "InvalidParameter",
    ),
    ("QueryInvalidAddress", &[("Length", "0")], 400, "InvalidParameter"),
    ("QueryInvalidAddress", &[("NextStart", "-1")], 400, "InvalidParameter"),
    ("DeleteInvalidAddress", &[], 400, "MissingParameter"),
    ("DeleteInvalidAddress", &[("ToAddress", "x")], 400, "InvalidToAddress"),
    ("DeleteInvalidAddress", &[("ToAddress", "x@y.example")], 404, "InvalidAddress.NotFound"),
    ("SenderStatisticsDetailByParam", &[("Length", "101")], 400, "InvalidParameter"),
    ("SenderStatisticsDetailByParam", &[("Status", "1")], 400, "InvalidParameter"),
    ("SenderStatisticsDetailByParam", &[("StartTime", "2026-11-23")], 400, "InvalidParameter"),
    (
        "SenderStatisticsDetailByParam",
        &[("StartTime", "2026-01-01 00:00"), ("EndTime", "2026-11-01 00:00")],
        400,
        "InvalidParameter",
    ),
    ("SenderStatisticsDetailByParam", &[("NextStart", "x")], 400, "InvalidParameter"),
    ("SenderStatisticsDetailByParam", &[("ToAddress", "x")], 400, "InvalidParameter"),
    (
        "SenderStatisticsDetailByParam",
        &[("AccountName", "a@b.example"), ("TagName", "t")],
        400,
        "InvalidParameter",
    ),
    ("SenderStatisticsDetailByParam", &[("ConfigSetId", "1")], 400, "UnsupportedOperation"),
];

#[tokio::test]
async fn other_actions_refuse_and_write_nothing() {
    let server = Server::start().await;
    let (client, bob) = (server.account("ann").await, server.account("bob").await);
    let (own_domain, own_sender) = client.sender(SENDER).await;
    let (bobs_domain, bobs_sender) = bob.sender("bob@bobs.example").await;
    assert_ne!((&own_domain, &own_sender), (&bobs_domain, &bobs_sender));
    let (before, bobs_before) = (client.snapshot().await, bob.snapshot().await);
    for (action, parameters, status, code) in CALLS {
        let query: Vec<(&str, &str)> = parameters
            .iter()
            .map(|(name, value)| {
                let value = match *value {
                    "ID" => &own_domain,
                    "BOBS" => &bobs_domain,
                    "SENDER" => &own_sender,
                    "BOBSENDER" => &bobs_sender,
                    other => other,
                };
                (*name, value)
            })
            .collect();
        let answer = client.dm(action, &query).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (*status, *code),
            "{action} {parameters:?} {}",
            answer.text
        );
        assert_eq!(client.snapshot().await, before, "{action} {parameters:?}");
    }
    assert_eq!(bob.snapshot().await, bobs_before);
}

#[tokio::test]
async fn billing_queries_refuse() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let times = |start, end| vec![("StartTime", start), ("EndTime", end), ("IncludeShare", "false")];
    for (action, query, code) in [
        ("QueryDPUtilizationDetail", vec![], "MissingParameter"),
        (
            "QueryDPUtilizationDetail",
            vec![("StartTime", "2026-11-01 00:00:00"), ("EndTime", "2026-11-02 00:00:00")],
            "MissingParameter",
        ),
        ("QueryDPUtilizationDetail", times("x", "2026-11-02 00:00:00"), "InvalidParameter"),
        ("QueryDPUtilizationDetail", times("2026-11-02 00:00:00", "2026-11-01 00:00:00"), "InvalidParameter"),
        ("QueryDPUtilizationDetail", times("2020-11-02 00:00:00", "2026-11-01 00:00:00"), "InvalidParameter"),
        (
            "QueryDPUtilizationDetail",
            [times("2026-11-01 00:00:00", "2026-11-02 00:00:00"), vec![("Limit", "301")]].concat(),
            "InvalidParameter",
        ),
        (
            "QueryDPUtilizationDetail",
            [times("2026-11-01 00:00:00", "2026-11-02 00:00:00"), vec![("LastToken", "x")]].concat(),
            "InvalidParameter",
        ),
        ("QueryResourcePackageInstances", vec![("PageNum", "0")], "InvalidParameter"),
        ("QueryResourcePackageInstances", vec![("PageSize", "301")], "InvalidParameter"),
        ("QueryResourcePackageInstances", vec![("ExpiryTimeStart", "2026-11-01")], "InvalidParameter"),
        ("QueryResourcePackageInstances", vec![("IncludePartner", "2")], "InvalidParameter"),
        ("DescribeResourcePackageProduct", vec![], "MissingParameter"),
        ("GetResourcePackagePrice", vec![("ProductCode", "dm")], "MissingParameter"),
    ] {
        let answer = client.bss(action, &query).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, code),
            "{action} {query:?} {}",
            answer.text
        );
    }
    let other = client.bss("DescribeResourcePackageProduct", &[("ProductCode", "oss")]).await;
    assert_eq!((other.status.as_u16(), other.code()), (200, "NotApplicable"));
}
