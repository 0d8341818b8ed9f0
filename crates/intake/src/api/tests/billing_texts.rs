//! What the billing API says: adjustments among the deductions, amounts with their currency, no rule's number.

use indicia_domain::ledger::bill::CollectionPolicy;
use indicia_domain::ledger::price::PriceList;
use indicia_domain::money::MoneyMicros;
use indicia_store::audit::{Actor, ActorKind};
use indicia_store::money::{Adjusted, Adjustment};
use serde_json::json;

use super::billing_support::*;
use super::harness::*;

async fn adjust(client: &Client<'_>, instance: &str, mails: i64) -> i64 {
    let adjustment = Adjustment {
        account_id: client.account_id,
        what: Adjusted::PackageMails { instance_id: instance.to_owned(), mails },
        reason: "test".to_owned(),
    };
    let actor = Actor::new(ActorKind::Operator, "root@example.com");
    client.server.store.adjust(&adjustment, &actor, None).await.unwrap().transaction_id
}

#[tokio::test]
async fn r27_adjustments_are_among_the_deductions_so_that_before_and_after_join() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(100).await;
    let instance = client.buy(&[]).await;
    client.sender(SENDER).await;
    client.use_mails(250).await;
    let taken = adjust(&client, &instance, -1_000).await;
    adjust(&client, &instance, 30).await;
    let query = [
        ("StartTime", "2026-11-01T00:00:00Z"),
        ("EndTime", "2026-12-31T00:00:00Z"),
        ("IncludeShare", "false"),
        ("InstanceId", &instance),
    ];
    let path = "/Data/DetailList/DetailList";
    let lines = client.rows("QueryDPUtilizationDetail", &query, path).await;
    let last: Vec<_> = lines[lines.len() - 2..]
        .iter()
        .map(|line| {
            json!([line["Kind"], line["DeductQuantity"], line["RemainingBefore"], line["RemainingAfter"]])
        })
        .collect();
    assert_eq!(
        last,
        [json!(["adjustment", 1_000, 49_950, 48_950]), json!(["adjustment", -30, 48_950, 48_980])]
    );
    assert!(
        lines.windows(2).all(|pair| pair[0]["RemainingAfter"] == pair[1]["RemainingBefore"]),
        "{lines:?}"
    );
    assert_eq!(lines[0]["Kind"], "send");
    let of_it = taken.to_string();
    let one = changed(&query, &[("DeductedInstanceId", &of_it)]);
    let one = client.rows("QueryDPUtilizationDetail", &one, path).await;
    assert_eq!((one.len(), &one[0]["DeductQuantity"]), (1, &json!(1_000)));
}

#[tokio::test]
async fn r12_what_an_operator_emptied_is_not_given_back_and_the_refusal_says_why() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(100).await;
    let instance = client.buy(&[]).await;
    adjust(&client, &instance, -50_000).await;
    let query = [("ProductCode", "dm"), ("InstanceId", &instance)];
    let refused = client.bss("InquiryPriceRefundInstance", &query).await;
    assert_eq!(refused.code(), "ResourceStatusError", "{}", refused.text);
    assert!(refused.message().contains("an operator took 50000 of its mails out"), "{}", refused.text);
}

#[tokio::test]
async fn r11_amounts_in_refusals_have_their_currency() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(5).await;
    let refused = client.bss("CreateResourcePackage", &package(&[])).await;
    assert_eq!(refused.code(), "InsufficientBalance");
    assert_eq!(refused.message(), "This costs USD 13.05, the balance is USD 5.00.");

    let (_, owing) = (client, server.account("bob").await);
    owing.sender("news@example.org").await;
    owing.use_mails_from("news@example.org", 300).await;
    server.clock.set(at("2027-01-01T00:00:00Z"));
    let policy = CollectionPolicy { threshold: MoneyMicros(1) };
    server.store.make_bills(&PriceList::default(), &policy).await.unwrap();
    let refused = owing.bss("CreateResourcePackage", &package(&[])).await;
    assert_eq!(refused.code(), "AccountOverdue", "{}", refused.text);
    assert!(refused.message().contains("unpaid bills of USD 0.03 "), "{}", refused.text);
}
