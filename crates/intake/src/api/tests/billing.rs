//! Packages and money through BSS OpenAPI.

use serde_json::{Value, json};

use super::billing_support::*;
use super::harness::*;

#[tokio::test]
async fn r07_the_catalogue_and_its_prices() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let answer = client.bss("DescribeResourcePackageProduct", &[("ProductCode", "dm")]).await.ok();
    assert_eq!(
        (&answer["Code"], &answer["Success"], &answer["Message"]),
        (&json!("Success"), &json!(true), &json!("Successful!"))
    );
    let product = &answer["Data"]["ResourcePackages"]["ResourcePackage"][0];
    let kind = &product["PackageTypes"]["PackageType"][0];
    assert_eq!((&product["ProductCode"], &kind["Code"]), (&json!("dm"), &json!("FPT_dm_package")));
    let offered: Vec<&str> = kind["Specifications"]["Specification"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["Value"].as_str().unwrap())
        .collect();
    assert_eq!(offered, ["50000", "500000", "1000000", "5000000"]);
    let duration = &kind["Specifications"]["Specification"][0]["AvailableDurations"]["AvailableDuration"][0];
    assert_eq!(duration, &json!({"Name": "6 Month", "Unit": "Month", "Value": 6}));
    for (specification, price) in
        [("50000", json!(13.05)), ("500000", json!(121.8)), ("5000000", json!(1123.75))]
    {
        let quoted = client
            .bss(
                "GetResourcePackagePrice",
                &package(&[("Specification", specification), ("InstanceId", "x")]),
            )
            .await
            .ok();
        let data = &quoted["Data"];
        assert_eq!(
            (&data["TradePrice"], &data["OriginalPrice"], &data["Currency"]),
            (&price, &price, &json!("USD"))
        );
        assert_eq!((&data["DiscountPrice"], &data["Promotions"]), (&json!(0.0), &json!({"Promotion": []})));
    }
}

#[tokio::test]
async fn r08_a_package_is_bought_paid_and_listed() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(100).await;
    let bought = client.bss("CreateResourcePackage", &package(&[])).await.ok();
    let instance_id = bought["Data"]["InstanceId"].as_str().unwrap();
    assert!(instance_id.starts_with("DMBAG-") && bought["OrderId"].is_i64(), "{bought}");
    assert_eq!(bought["OrderId"], bought["Data"]["OrderId"]);
    let money = client.bss("QueryAccountBalance", &[]).await.ok();
    assert_eq!(money["Code"], "200");
    assert_eq!(
        money["Data"],
        json!({"AvailableAmount": "86.95", "AvailableCashAmount": "86.95", "CreditAmount": "0.00", "MybankCreditAmount": "0.00", "QuotaLimit": "0.00", "Currency": "USD", "OpenAmount": "0.00", "DueAmount": "0.00"})
    );
    client.bss("CreateResourcePackage", &package(&[("Duration", "6"), ("PricingCycle", "")])).await.ok();
    let listed = client
        .bss("QueryResourcePackageInstances", &[("ProductCode", "dm"), ("PageNum", "2"), ("PageSize", "1")])
        .await
        .ok();
    assert_eq!((&listed["Page"], &listed["PageSize"], &listed["Total"]), (&json!(2), &json!(1), &json!(2)));
    assert_eq!((&listed["Data"]["PageNum"], &listed["Data"]["TotalCount"]), (&json!("2"), &json!("2")));
    let first = client.bss("QueryResourcePackageInstances", &[("PageSize", "1")]).await.ok();
    let row = &first["Data"]["Instances"]["Instance"][0];
    for (name, value) in [
        ("InstanceId", instance_id),
        ("PackageType", "FPT_dm_package"),
        ("TotalAmount", "50000"),
        ("TotalAmountUnit", "Mail"),
        ("RemainingAmount", "50000"),
        ("RemainingAmountUnit", "Mail"),
        ("EffectiveTime", "2026-11-23T02:13:20Z"),
        ("ExpiryTime", "2027-05-23T16:00:00Z"),
        ("Status", "Available"),
        ("DeductType", "Absolute"),
    ] {
        assert_eq!(row[name], json!(value), "{name}");
    }
    assert_eq!(row["ApplicableProducts"], json!({"Product": ["dm"]}));
    for (query, count) in [
        (vec![("ExpiryTimeStart", "2027-05-23T16:00:00Z"), ("ExpiryTimeEnd", "2027-05-23T16:00:00Z")], 2),
        (vec![("ExpiryTimeEnd", "2027-05-23T15:59:59Z")], 0),
        (vec![("ProductCode", "oss")], 0),
    ] {
        assert_eq!(
            client.bss("QueryResourcePackageInstances", &query).await.ok()["Total"],
            json!(count),
            "{query:?}"
        );
    }
}

#[tokio::test]
async fn r13_an_ended_package_is_expired_with_nothing_left() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(100).await;
    client.bss("CreateResourcePackage", &package(&[])).await.ok();
    server.clock.advance_micros(190 * 86_400_000_000);
    let listed = client.bss("QueryResourcePackageInstances", &[]).await.ok();
    let row = &listed["Data"]["Instances"]["Instance"][0];
    assert_eq!((&row["Status"], &row["RemainingAmount"]), (&json!("Expired"), &json!("0")));
    server.clock.advance_micros(360 * 86_400_000_000);
    assert_eq!(
        client.bss("QueryResourcePackageInstances", &[]).await.ok()["Total"],
        0,
        "a year after its end"
    );
}

#[tokio::test]
async fn r07_what_is_not_for_sale_or_not_paid_for_is_not_bought() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(10).await;
    let before = client.snapshot().await;
    for (changes, status, code) in [
        (vec![("ProductCode", "")], 400, "MissingParameter"),
        (vec![("PackageType", "")], 400, "MissingParameter"),
        (vec![("Specification", "")], 400, "MissingParameter"),
        (vec![("Duration", "")], 400, "MissingParameter"),
        (vec![("Duration", "half")], 400, "InvalidParameter"),
        (vec![("PricingCycle", "Week")], 400, "InvalidParameter"),
        (vec![("EffectiveDate", "tomorrow")], 400, "InvalidParameter"),
        (vec![("EffectiveDate", "2028-01-01T00:00:00Z")], 400, "InvalidParameter"),
        (vec![("EffectiveDate", "2020-01-01T00:00:00Z")], 400, "InvalidParameter"),
        (vec![("ProductCode", "oss")], 200, "NotApplicable"),
        (vec![("PackageType", "FPT_other")], 200, "NotApplicable"),
        (vec![("Specification", "123")], 200, "NotApplicable"),
        (vec![("Specification", "-50000")], 200, "NotApplicable"),
        (vec![("Specification", "+50000")], 200, "NotApplicable"),
        (vec![("Duration", "12")], 200, "NotApplicable"),
        (vec![("PricingCycle", "Year"), ("Duration", "6")], 200, "NotApplicable"),
        (vec![], 200, "InsufficientBalance"),
    ] {
        let answer = client.bss("CreateResourcePackage", &package(&changes)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{changes:?} {}", answer.text);
        assert_eq!(answer.json["Success"], json!(false));
        assert_eq!(client.snapshot().await, before, "{changes:?}");
    }
}

#[tokio::test]
async fn r08_a_start_that_cannot_be_bought_has_no_price() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(100).await;
    // Now is 2026-11-23T02:13:20Z, 10:13:20 in the account's zone.
    for (date, good) in [
        ("2026-11-23T02:13:20Z", true),
        ("2026-11-23T02:08:20Z", true),
        ("2026-11-23T02:08:19Z", false),
        ("2020-01-01T00:00:00Z", false),
        ("2027-01-01T00:00:00Z", true),
        ("2027-06-01T00:00:00Z", false),
    ] {
        let query = package(&[("EffectiveDate", date)]);
        let priced = client.bss("GetResourcePackagePrice", &query).await;
        let bought = client.bss("CreateResourcePackage", &query).await;
        assert_eq!(priced.status.as_u16(), if good { 200 } else { 400 }, "{date} {}", priced.text);
        assert_eq!((priced.code(), priced.status), (bought.code(), bought.status), "{date}");
        if !good {
            assert_eq!(priced.message(), bought.message(), "{date}");
        }
    }
}

#[tokio::test]
async fn r26_a_purchase_under_a_key_happens_once() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(200).await;
    let buy = |specification: &'static str| {
        server.send(client.signed(
            "CreateResourcePackage",
            BSS,
            &package(&[("Specification", specification)]),
            &[],
            &[("x-indicia-idempotency-key", "order-1")],
        ))
    };
    let first = buy("50000").await.ok();
    assert_eq!(buy("50000").await.ok()["Data"], first["Data"]);
    assert_eq!(buy("500000").await.code(), "IdempotencyKey.Conflict");
    assert_eq!(client.bss("QueryResourcePackageInstances", &[]).await.ok()["Total"], 1);
}

async fn send(client: &Client<'_>, to: &str) -> Value {
    client
        .form(
            "SingleSendMail",
            &[
                ("AccountName", "news@example.com"),
                ("AddressType", "1"),
                ("ReplyToAddress", "False"),
                ("ToAddress", to),
                ("Subject", "s"),
                ("TextBody", "b"),
            ],
        )
        .await
        .ok()
}

#[tokio::test]
async fn r16_each_deduction_is_listed() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(100).await;
    let instance = client.bss("CreateResourcePackage", &package(&[])).await.ok()["Data"]["InstanceId"]
        .as_str()
        .unwrap()
        .to_owned();
    client.sender("news@example.com").await;
    let hundred: Vec<String> = (0..100).map(|n| format!("u{n}@y.example")).collect();
    send(&client, &hundred.join(",")).await;
    send(&client, &hundred.join(",")).await;
    let (first, _) = (send(&client, "a@y.example,b@y.example").await, send(&client, "c@y.example").await);
    let query = |changes: &[(&'static str, String)]| {
        let mut query = vec![
            ("StartTime", "2026-11-23 00:00:00".to_owned()),
            ("EndTime", "2026-11-24 00:00:00".to_owned()),
            ("IncludeShare", "False".to_owned()),
        ];
        query.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        query.extend(changes.iter().cloned());
        query
    };
    let ask = |changes: Vec<(&'static str, String)>| {
        let (client, query) = (&client, query(&changes));
        async move {
            let query: Vec<(&str, &str)> =
                query.iter().map(|(name, value)| (*name, value.as_str())).collect();
            client.bss("QueryDPUtilizationDetail", &query).await.ok()["Data"].clone()
        }
    };
    let all = ask(vec![]).await;
    let lines = all["DetailList"]["DetailList"].as_array().unwrap().clone();
    assert_eq!((lines.len(), &all["NextToken"]), (2, &Value::Null));
    for (name, value) in [
        ("InstanceId", json!(instance)),
        ("DeductDate", json!("2026-11-23 10:13:20")),
        ("DeductQuantity", json!(2)),
        ("DeductMeasure", json!(2)),
        ("DeductFactorTotal", json!(50_000)),
        ("DeductedInstanceId", first["EnvId"].clone()),
        ("DeductedCommodityCode", json!("dm")),
        ("Uid", json!(client.account_id)),
        ("ShareUid", json!(client.account_id)),
        ("RemainingBefore", json!(50_000)),
        ("RemainingAfter", json!(49_998)),
    ] {
        assert_eq!(lines[0][name], value, "{name}");
    }
    let page = ask(vec![("Limit", "1".into())]).await;
    let token = page["NextToken"].as_str().unwrap().to_owned();
    let rest = ask(vec![("Limit", "1".into()), ("LastToken", token)]).await;
    assert_eq!((&rest["DetailList"]["DetailList"][0], &rest["NextToken"]), (&lines[1], &Value::Null));
    for (changes, count) in [
        (vec![("InstanceId", instance.clone())], 2),
        (vec![("InstanceId", "DMBAG-0".to_owned())], 0),
        (vec![("DeductedInstanceId", first["EnvId"].as_str().unwrap().to_owned())], 1),
        (vec![("ProdCode", "oss".to_owned())], 0),
        (vec![("ProdCode", "oss".to_owned()), ("CommodityCode", "dm".to_owned())], 2),
        (vec![("EndTime", "2026-11-23 10:13:20".to_owned())], 0),
    ] {
        assert_eq!(
            ask(changes.clone()).await["DetailList"]["DetailList"].as_array().unwrap().len(),
            count,
            "{changes:?}"
        );
    }
    let left = client.bss("QueryResourcePackageInstances", &[]).await.ok();
    assert_eq!(left["Data"]["Instances"]["Instance"][0]["RemainingAmount"], "49997");
}

#[tokio::test]
async fn r03_what_is_given_back_is_listed_as_a_negative_deduction() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(100).await;
    let instance = client.buy(&[]).await;
    client.sender(SENDER).await;
    client.use_mails(200).await;
    let messages = client.use_mails(130).await;
    server.clock.advance_micros(3_600_000_000);
    server.store.cancel(client.account_id, messages[1], "test").await.unwrap();
    let path = "/Data/DetailList/DetailList";
    let civil =
        [("StartTime", "2026-11-23 00:00:00"), ("EndTime", "2026-11-24 00:00:00"), ("IncludeShare", "true")];
    let utc = [
        ("StartTime", "2026-11-22T16:00:00Z"),
        ("EndTime", "2026-11-23T16:00:00Z"),
        ("IncludeShare", "true"),
    ];
    let lines = client.rows("QueryDPUtilizationDetail", &civil, path).await;
    let shown: Vec<_> = lines
        .iter()
        .map(|line| {
            let number = |name: &str| line[name].as_i64().unwrap();
            (number("DeductQuantity"), number("RemainingBefore"), number("RemainingAfter"))
        })
        .collect();
    assert_eq!(shown, [(100, 50_000, 49_900), (30, 49_900, 49_870), (-30, 49_870, 49_900)]);
    assert_eq!(lines[2]["DeductedInstanceId"], messages[1].to_string());
    assert_eq!((&lines[2]["DeductMeasure"], &lines[2]["InstanceId"]), (&json!(-30), &json!(instance)));
    assert_eq!(lines[2]["DeductDate"], "2026-11-23 11:13:20");
    let in_utc = client.rows("QueryDPUtilizationDetail", &utc, path).await;
    assert_eq!((in_utc.len(), &in_utc[2]["DeductDate"]), (3, &json!("2026-11-23T03:13:20Z")));
    let left = client.listed(&instance).await.unwrap();
    assert_eq!(left["RemainingAmount"], "49900", "what was deducted adds up to what is gone");
    let message = messages[1].to_string();
    let of_message = changed(&civil, &[("DeductedInstanceId", &message)]);
    assert_eq!(client.rows("QueryDPUtilizationDetail", &of_message, path).await, lines[1..]);
    for query in [&civil[..], &of_message] {
        let expected = client.rows("QueryDPUtilizationDetail", query, path).await;
        for limit in ["1", "2", "300"] {
            let (mut walked, mut token) = (Vec::new(), String::new());
            for _ in 0..4 {
                let page = changed(query, &[("Limit", limit), ("LastToken", &token)]);
                let data = client.bss("QueryDPUtilizationDetail", &page).await.ok()["Data"].clone();
                walked.extend(data["DetailList"]["DetailList"].as_array().unwrap().clone());
                match data["NextToken"].as_str() {
                    Some(next) => token = next.to_owned(),
                    None => break,
                }
            }
            assert_eq!(walked, expected, "{limit} a page");
        }
    }
    for changes in [
        ("StartTime", "2026-11-23"),
        ("StartTime", "2026-11-23T00:00:00"),
        ("EndTime", "2026-11-22 00:00:00"),
        ("Limit", "0"),
        ("Limit", "301"),
        ("LastToken", "next"),
        ("IncludeShare", "2"),
    ] {
        let refused = client.bss("QueryDPUtilizationDetail", &changed(&civil, &[changes])).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (400, "InvalidParameter"), "{changes:?}");
    }
}
