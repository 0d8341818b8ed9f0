//! Renewal, upgrade and refund of packages through BSS OpenAPI.

use serde_json::json;

use super::billing_support::*;
use super::harness::*;

const RENEW: [(&str, &str); 2] = [("Duration", "6"), ("PricingCycle", "Month")];
const REFUND: [(&str, &str); 2] = [("ProductCode", "dm"), ("ImmediatelyRelease", "1")];

fn renewal<'a>(instance: &'a str, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let query: Vec<_> = [("InstanceId", instance)].into_iter().chain(RENEW).collect();
    changed(&query, changes)
}

fn refund<'a>(instance: &'a str, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let query: Vec<_> = [("InstanceId", instance)].into_iter().chain(REFUND).collect();
    changed(&query, changes)
}

#[tokio::test]
async fn r08_a_renewal_is_a_new_instance_that_starts_when_the_old_one_ends() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(100).await;
    let old = client.buy(&[]).await;
    let answer = client.bss("RenewResourcePackage", &renewal(&old, &[])).await.ok();
    assert_eq!(answer["OrderId"], answer["Data"]["OrderId"]);
    let new = answer["Data"]["InstanceId"].as_str().unwrap().to_owned();
    assert_ne!(new, old);
    let (old_row, new_row) = (client.listed(&old).await.unwrap(), client.listed(&new).await.unwrap());
    assert_eq!(new_row["EffectiveTime"], old_row["ExpiryTime"]);
    assert_eq!(
        new_row["ExpiryTime"], "2027-11-24T16:00:00Z",
        "it starts on 24 May, so 24 November is its last day"
    );
    assert_eq!((&new_row["Status"], &new_row["DetailStatus"]), (&json!("Available"), &json!("Upcoming")));
    assert_eq!(new_row["RemainingAmount"], "50000");
    let balance = client.bss("QueryAccountBalance", &[]).await.ok();
    assert_eq!(balance["Data"]["AvailableCashAmount"], "73.90");
    let again = client.bss("RenewResourcePackage", &renewal(&old, &[])).await;
    assert_eq!((again.status.as_u16(), again.code()), (200, "ResourceStatusError"), "{}", again.text);
    assert!(again.message().contains(&new), "{}", again.text);
    // The renewal itself can be renewed.
    client.bss("RenewResourcePackage", &renewal(&new, &[])).await.ok();
}

#[tokio::test]
async fn r12_an_upgrade_exchanges_an_untouched_package_for_a_larger_one() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(200).await;
    let old = client.buy(&[]).await;
    server.pass_days(10);
    let query = [("InstanceId", old.as_str()), ("Specification", "500000")];
    let answer = client.bss("UpgradeResourcePackage", &query).await.ok();
    assert_eq!(answer["OrderId"], answer["Data"]["OrderId"]);
    let new = answer["Data"]["InstanceId"].as_str().unwrap();
    let row = client.listed(new).await.unwrap();
    assert_eq!((&row["TotalAmount"], &row["RemainingAmount"]), (&json!("500000"), &json!("500000")));
    assert_eq!(row["ExpiryTime"], "2027-06-03T16:00:00Z", "its validity is its own");
    assert_eq!(client.listed(&old).await, None, "what was exchanged is not listed");
    let balance = client.bss("QueryAccountBalance", &[]).await.ok();
    assert_eq!(balance["Data"]["AvailableCashAmount"], "78.20", "200.00 less 121.80 in all");
    let again = client.bss("UpgradeResourcePackage", &query).await;
    assert_eq!((again.status.as_u16(), again.code()), (200, "ResourceStatusError"), "{}", again.text);
    let twice = client.bss("RefundInstance", &refund(&old, &[])).await;
    assert_eq!(twice.code(), "ResourceStatusError");
}

#[tokio::test]
async fn r08_an_upgrade_of_a_package_to_come_begins_when_that_would_have() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(300).await;
    let start = "2027-01-01T00:00:00Z";
    let old = client.buy(&[("EffectiveDate", start)]).await;
    let upgrade =
        |date| changed(&[("InstanceId", &old), ("Specification", "500000")], &[("EffectiveDate", date)]);
    let before = client.snapshot().await;
    for date in ["2026-11-23T02:13:20Z", "2027-01-02T00:00:00Z"] {
        let refused = client.bss("UpgradeResourcePackage", &upgrade(date)).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (200, "NotApplicable"), "{date}");
        assert!(refused.message().contains(start), "{}", refused.text);
        assert_eq!(client.snapshot().await, before);
    }
    let done = client.bss("UpgradeResourcePackage", &upgrade(start)).await.ok();
    let row = client.listed(done["Data"]["InstanceId"].as_str().unwrap()).await.unwrap();
    assert_eq!((&row["EffectiveTime"], &row["DetailStatus"]), (&json!(start), &json!("Upcoming")));
}

#[tokio::test]
async fn r12_an_untouched_package_is_refunded_in_full_once() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(100).await;
    let instance = client.buy(&[]).await;
    let before = client.snapshot().await;
    let asked = client.bss("InquiryPriceRefundInstance", &refund(&instance, &[])).await.ok();
    assert_eq!(
        asked["Data"],
        json!({"HostId": "local", "InstanceId": instance, "Currency": "USD", "RefundAmount": 13.05})
    );
    assert_eq!(client.snapshot().await, before, "asking changes nothing");
    let token = [("ClientToken", "793F021C-B589-1225-82A9-99232AEBE494")];
    let done = client.bss("RefundInstance", &refund(&instance, &token)).await.ok();
    assert!(done["Data"]["OrderId"].is_i64() && done["Data"]["HostId"] == "local", "{done}");
    let balance = client.bss("QueryAccountBalance", &[]).await.ok();
    assert_eq!(balance["Data"]["AvailableCashAmount"], "100.00");
    assert_eq!(client.listed(&instance).await, None, "what was given back is not listed");
    let after = client.snapshot().await;
    let repeated = client.bss("RefundInstance", &refund(&instance, &token)).await.ok();
    assert_eq!(repeated["Data"], done["Data"], "the same token: the first call's answer");
    for action in ["RefundInstance", "InquiryPriceRefundInstance"] {
        let twice = client.bss(action, &refund(&instance, &[])).await;
        assert_eq!((twice.status.as_u16(), twice.code()), (200, "ResourceStatusError"), "{}", twice.text);
        assert!(twice.message().contains("refunded before"), "{}", twice.text);
    }
    let other = client.buy(&[]).await;
    let bought = client.snapshot().await;
    assert_ne!(bought, after);
    let conflict = client.bss("RefundInstance", &refund(&other, &token)).await;
    assert_eq!(
        conflict.code(),
        "IdempotencyKey.Conflict",
        "the same token, other content: {}",
        conflict.text
    );
    assert_eq!(client.snapshot().await, bought);
}

#[tokio::test]
async fn r12_a_package_used_by_one_mail_is_neither_refunded_nor_upgraded() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(300).await;
    let instance = client.buy(&[]).await;
    client.sender(SENDER).await;
    client.use_mails(200).await;
    let [message_id] = client.use_mails(1).await[..] else { panic!("one message") };
    let before = client.snapshot().await;
    let upgrade = [("InstanceId", instance.as_str()), ("Specification", "500000")];
    let priced = package(&[("OrderType", "UPGRADE"), ("InstanceId", &instance), ("Specification", "500000")]);
    for (action, query) in [
        ("RefundInstance", refund(&instance, &[])),
        ("InquiryPriceRefundInstance", refund(&instance, &[])),
        ("UpgradeResourcePackage", upgrade.to_vec()),
        ("GetResourcePackagePrice", priced),
    ] {
        let refused = client.bss(action, &query).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (200, "ResourceStatusError"),
            "{}",
            refused.text
        );
        let message = refused.message();
        assert!(message.contains("can be neither refunded nor exchanged"), "{action}: {}", refused.text);
        assert!(!message.contains("(R"), "{action}: {}", refused.text);
        assert_eq!(client.snapshot().await, before, "{action}");
    }
    // It can be renewed, and refunded again once the mail was given back (R03): then it was never used.
    client.bss("RenewResourcePackage", &renewal(&instance, &[])).await.ok();
    server.store.cancel(client.account_id, message_id, "test").await.unwrap();
    client.bss("RefundInstance", &refund(&instance, &[])).await.ok();
}

#[tokio::test]
async fn r13_at_the_end_instant_nothing_can_be_done_with_a_package_any_more() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(300).await;
    let (instance, other) = (client.buy(&[]).await, client.buy(&[]).await);
    server.clock.set(at("2027-05-23T15:59:59.999999Z"));
    client.bss("RefundInstance", &refund(&other, &[])).await.ok();
    server.clock.set(at("2027-05-23T16:00:00Z"));
    let before = client.snapshot().await;
    for (action, query) in [
        ("RefundInstance", refund(&instance, &[])),
        ("InquiryPriceRefundInstance", refund(&instance, &[])),
        ("RenewResourcePackage", renewal(&instance, &[])),
        ("UpgradeResourcePackage", vec![("InstanceId", instance.as_str()), ("Specification", "500000")]),
        ("GetResourcePackagePrice", package(&[("OrderType", "RENEW"), ("InstanceId", &instance)])),
    ] {
        let refused = client.bss(action, &query).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (200, "ResourceStatusError"),
            "{}",
            refused.text
        );
        assert!(refused.message().contains("ended"), "{action}: {}", refused.text);
        assert_eq!(client.snapshot().await, before, "{action}");
    }
}

#[tokio::test]
async fn r12_somebody_elses_package_is_answered_like_none() {
    let server = Server::start().await;
    let (ann, bob) = (server.account("ann").await, server.account("bob").await);
    ann.credit(300).await;
    bob.credit(300).await;
    let instance = ann.buy(&[]).await;
    let before = (ann.snapshot().await, bob.snapshot().await);
    let missing = "DMBAG-1";
    let queries = |instance| {
        let price =
            |kind| package(&[("OrderType", kind), ("InstanceId", instance), ("Specification", "500000")]);
        [
            ("RefundInstance", refund(instance, &[])),
            ("InquiryPriceRefundInstance", refund(instance, &[])),
            ("RenewResourcePackage", renewal(instance, &[])),
            ("UpgradeResourcePackage", vec![("InstanceId", instance), ("Specification", "500000")]),
            ("GetResourcePackagePrice", price("RENEW")),
            ("GetResourcePackagePrice", price("UPGRADE")),
        ]
    };
    for ((action, others), (_, none)) in queries(&instance).into_iter().zip(queries(missing)) {
        let (others, none) = (bob.bss(action, &others).await, bob.bss(action, &none).await);
        assert_eq!((others.status.as_u16(), others.code()), (200, "ResourceNotExists"), "{}", others.text);
        assert_eq!((none.status, none.code()), (others.status, others.code()));
        assert_eq!(others.message().replace(&instance, missing), none.message(), "{action}");
    }
    assert_eq!((ann.snapshot().await, bob.snapshot().await), before);
}

#[tokio::test]
async fn r07_what_is_no_renewal_upgrade_or_refund_changes_nothing() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(20).await;
    let instance = client.buy(&[]).await;
    let i = instance.as_str();
    let before = client.snapshot().await;
    let upgrade = |changes: &[(&'static str, &'static str)]| {
        changed(&[("InstanceId", i), ("Specification", "500000")], changes)
    };
    let price = |changes: &[(&'static str, &'static str)]| changed(&package(&[("InstanceId", i)]), changes);
    for (action, query, status, code) in [
        ("RenewResourcePackage", renewal(i, &[("InstanceId", "")]), 400, "MissingParameter"),
        ("RenewResourcePackage", renewal(i, &[("Duration", "")]), 400, "MissingParameter"),
        ("RenewResourcePackage", renewal(i, &[("Duration", "6.5")]), 400, "InvalidParameter"),
        (
            "RenewResourcePackage",
            renewal(i, &[("Duration", "99999999999999999999")]),
            400,
            "InvalidParameter",
        ),
        ("RenewResourcePackage", renewal(i, &[("Duration", "-6")]), 200, "NotApplicable"),
        ("RenewResourcePackage", renewal(i, &[("Duration", "0")]), 200, "NotApplicable"),
        ("RenewResourcePackage", renewal(i, &[("Duration", "12")]), 200, "NotApplicable"),
        ("RenewResourcePackage", renewal(i, &[("PricingCycle", "Year")]), 200, "NotApplicable"),
        ("RenewResourcePackage", renewal(i, &[("PricingCycle", "Day")]), 400, "InvalidParameter"),
        ("RenewResourcePackage", renewal(i, &[("EffectiveDate", "soon")]), 400, "InvalidParameter"),
        (
            "RenewResourcePackage",
            renewal(i, &[("EffectiveDate", "2026-12-01T00:00:00Z")]),
            200,
            "NotApplicable",
        ),
        ("RenewResourcePackage", renewal(i, &[]), 200, "InsufficientBalance"),
        ("UpgradeResourcePackage", upgrade(&[("InstanceId", "")]), 400, "MissingParameter"),
        ("UpgradeResourcePackage", upgrade(&[("Specification", "")]), 400, "MissingParameter"),
        ("UpgradeResourcePackage", upgrade(&[("Specification", "60000")]), 200, "NotApplicable"),
        ("UpgradeResourcePackage", upgrade(&[("Specification", "-500000")]), 200, "NotApplicable"),
        ("UpgradeResourcePackage", upgrade(&[("Specification", "500000.0")]), 200, "NotApplicable"),
        ("UpgradeResourcePackage", upgrade(&[("Specification", "50000")]), 200, "NotApplicable"),
        (
            "UpgradeResourcePackage",
            upgrade(&[("EffectiveDate", "2026-12-01T00:00:00Z")]),
            200,
            "NotApplicable",
        ),
        (
            "UpgradeResourcePackage",
            upgrade(&[("EffectiveDate", "2026-11-01T00:00:00Z")]),
            200,
            "NotApplicable",
        ),
        ("UpgradeResourcePackage", upgrade(&[]), 200, "InsufficientBalance"),
        ("RefundInstance", refund(i, &[("ProductCode", "")]), 400, "MissingParameter"),
        ("RefundInstance", refund(i, &[("ProductCode", "ecs")]), 200, "NotApplicable"),
        ("RefundInstance", refund(i, &[("ProductType", "ecs")]), 200, "NotApplicable"),
        ("RefundInstance", refund(i, &[("InstanceId", "")]), 400, "MissingParameter"),
        ("RefundInstance", refund(i, &[("ImmediatelyRelease", "0")]), 200, "NotApplicable"),
        ("RefundInstance", refund(i, &[("ImmediatelyRelease", "yes")]), 400, "InvalidParameter"),
        ("RefundInstance", refund(i, &[("ClientToken", "a\nb")]), 400, "InvalidParameter"),
        ("InquiryPriceRefundInstance", refund(i, &[("ProductCode", "ecs")]), 200, "NotApplicable"),
        ("GetResourcePackagePrice", price(&[("OrderType", "SELL")]), 400, "InvalidParameter"),
        (
            "GetResourcePackagePrice",
            price(&[("OrderType", "RENEW"), ("InstanceId", "")]),
            400,
            "MissingParameter",
        ),
        (
            "GetResourcePackagePrice",
            price(&[("OrderType", "RENEW"), ("Specification", "500000")]),
            200,
            "NotApplicable",
        ),
        ("GetResourcePackagePrice", price(&[("OrderType", "UPGRADE")]), 200, "NotApplicable"),
    ] {
        let answer = client.bss(action, &query).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (status, code),
            "{action} {query:?} {}",
            answer.text
        );
        assert_eq!(answer.json["Success"], json!(false));
        assert!(!answer.message().is_empty() && answer.json["RequestId"].is_string());
        assert_eq!(client.snapshot().await, before, "{action} {query:?}");
    }
}

#[tokio::test]
async fn r07_a_price_is_what_the_order_then_costs() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(1_000).await;
    let (first, second) = (client.buy(&[]).await, client.buy(&[]).await);
    let priced = |kind: &'static str, instance: String, specification: &'static str| {
        let client = &client;
        async move {
            let query =
                package(&[("OrderType", kind), ("InstanceId", &instance), ("Specification", specification)]);
            let data = client.bss("GetResourcePackagePrice", &query).await.ok()["Data"].clone();
            assert_eq!(
                (&data["OriginalPrice"], &data["DiscountPrice"]),
                (&data["TradePrice"], &json!(0.0)),
                "{data}"
            );
            money(&data["TradePrice"])
        }
    };
    let cash = || async {
        money(&client.bss("QueryAccountBalance", &[]).await.ok()["Data"]["AvailableCashAmount"]).0
    };
    let (renewal_price, before) = (priced("RENEW", first.clone(), "50000").await, cash().await);
    assert_eq!(renewal_price.to_string(), "13.05");
    let dated = renewal(&first, &[("EffectiveDate", "2027-05-23T16:00:00Z")]);
    client.bss("RenewResourcePackage", &dated).await.ok();
    assert_eq!(before - cash().await, renewal_price.0);
    let (upgrade_price, before) = (priced("UPGRADE", second.clone(), "1000000").await, cash().await);
    assert_eq!(upgrade_price.to_string(), "217.50", "230.55 less 13.05");
    let query = [
        ("InstanceId", second.as_str()),
        ("Specification", "1000000"),
        ("EffectiveDate", "2026-11-23T02:13:20Z"),
    ];
    client.bss("UpgradeResourcePackage", &query).await.ok();
    assert_eq!(before - cash().await, upgrade_price.0);
    let renewed = package(&[("OrderType", "RENEW"), ("InstanceId", &first)]);
    assert_eq!(client.bss("GetResourcePackagePrice", &renewed).await.code(), "ResourceStatusError");
}

#[tokio::test]
async fn r26_a_renewal_and_an_upgrade_under_a_key_happen_once() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(1_000).await;
    let (first, second) = (client.buy(&[]).await, client.buy(&[]).await);
    let now = "2026-11-23T02:13:20Z";
    let upgrade = [("InstanceId", second.as_str()), ("Specification", "500000"), ("EffectiveDate", now)];
    for (action, query, other) in [
        ("RenewResourcePackage", renewal(&first, &[]), renewal(&second, &[])),
        ("UpgradeResourcePackage", upgrade.to_vec(), changed(&upgrade, &[("Specification", "1000000")])),
    ] {
        let ask = |query: &[(&str, &str)]| {
            server.send(client.signed(action, BSS, query, &[], &[("x-indicia-idempotency-key", action)]))
        };
        let done = ask(&query).await.ok();
        let after = client.snapshot().await;
        server.clock.advance_micros(3_600_000_000);
        assert_eq!(ask(&query).await.ok()["Data"], done["Data"], "{action}");
        assert_eq!(ask(&other).await.code(), "IdempotencyKey.Conflict", "{action}");
        assert_eq!(client.snapshot().await, after, "{action}");
    }
}
