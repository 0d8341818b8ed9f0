//! The balance, its transactions, orders, instances and the catalogue through BSS OpenAPI.

use indicia_domain::money::MoneyMicros;
use indicia_store::audit::{Actor, ActorKind};
use indicia_store::money::{Adjusted, Adjustment, TopUp};
use serde_json::{Value, json};

use super::billing_support::*;
use super::harness::*;

const LIST: &str = "/Data/AccountTransactionsList/AccountTransactionsList";
const ORDERS: &str = "/Data/OrderList/Order";

fn operator() -> Actor {
    Actor::new(ActorKind::Operator, "ops@example.com")
}

fn units(units: i64) -> MoneyMicros {
    MoneyMicros(units * 1_000_000)
}

/// A top-up, a credit, an adjustment, orders of every kind, a bill that is collected, and money taken off.
async fn busy_account(client: &Client<'_>) -> (String, i64) {
    let store = &client.server.store;
    let top_up = TopUp {
        provider: "stripe".to_owned(),
        event_id: "evt_1".to_owned(),
        payment_reference: "pi_1".to_owned(),
        account_id: client.account_id,
        amount: units(500),
        memo: "stripe pi_1".to_owned(),
    };
    assert!(store.top_up(&top_up).await.unwrap().booked);
    client.credit(20).await;
    let adjustment = |micros| Adjustment {
        account_id: client.account_id,
        what: Adjusted::Money(MoneyMicros(micros)),
        reason: "goodwill".to_owned(),
    };
    store.adjust(&adjustment(5), &operator(), None).await.unwrap();
    client.sender(SENDER).await;
    client.use_mails(300).await;
    client.server.next_hour().await;
    let (first, second, third) = (client.buy(&[]).await, client.buy(&[]).await, client.buy(&[]).await);
    let month = [("Duration", "6"), ("PricingCycle", "Month"), ("InstanceId", first.as_str())];
    client.bss("RenewResourcePackage", &month).await.ok();
    let larger = [("InstanceId", second.as_str()), ("Specification", "500000")];
    client.bss("UpgradeResourcePackage", &larger).await.ok();
    let back = [("ProductCode", "dm"), ("InstanceId", third.as_str())];
    let refund = client.bss("RefundInstance", &back).await.ok()["Data"]["OrderId"].as_i64().unwrap();
    client.server.clock.set(at("2026-11-30T16:00:00Z"));
    client.server.bill().await;
    store.credit(client.account_id, units(-7), "paid out", &operator(), None).await.unwrap();
    (third, refund)
}

#[tokio::test]
async fn r27_every_line_that_touches_the_balance_is_a_transaction() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let (_, refund) = busy_account(&client).await;
    let range = [("CreateTimeStart", "2026-11-01T00:00:00Z")];
    let rows = client.rows("QueryAccountTransactions", &range, LIST).await;
    let kinds: Vec<(&str, &str)> = rows
        .iter()
        .map(|row| (row["TransactionType"].as_str().unwrap(), row["TransactionFlow"].as_str().unwrap()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("Withdraw", "Expense"),
            ("Consumption", "Expense"),
            ("Refund", "Income"),
            ("Consumption", "Expense"),
            ("Consumption", "Expense"),
            ("Consumption", "Expense"),
            ("Consumption", "Expense"),
            ("Consumption", "Expense"),
            ("Adjust", "Income"),
            ("Payment", "Income"),
            ("Payment", "Income"),
        ],
        "newest first"
    );
    // Each balance is that before, and the amount; the last is the account's.
    let mut balance = 0;
    for row in rows.iter().rev() {
        let sign = if row["TransactionFlow"] == "Income" { 1 } else { -1 };
        balance += sign * money(&row["Amount"]).0;
        assert_eq!(money(&row["Balance"]).0, balance, "{row}");
        assert!(money(&row["Amount"]).0 > 0);
    }
    let account = client.bss("QueryAccountBalance", &[]).await.ok();
    assert_eq!(rows[0]["Balance"], account["Data"]["AvailableCashAmount"]);
    assert_eq!(rows[8]["Amount"], "0.000005", "no digit is lost");
    let top_up = &rows[10];
    for (name, value) in [
        ("Amount", json!("500.00")),
        ("Balance", json!("500.00")),
        ("FundType", json!("Cash")),
        ("TransactionTime", json!("2026-11-23T02:13:20Z")),
        ("BillingCycle", json!("2026-11")),
        ("TransactionChannelSN", json!("pi_1")),
        ("TransactionChannel", Value::Null),
        ("RecordID", Value::Null),
        ("Remarks", json!("stripe pi_1")),
    ] {
        assert_eq!(top_up[name], value, "{name}");
    }
    let refunded = &rows[2];
    assert_eq!((&refunded["RecordID"], &refunded["Amount"]), (&json!(refund.to_string()), &json!("13.05")));
    assert_eq!(refunded["TransactionChannel"], "AccountBalance");
    assert_eq!(rows[1]["BillingCycle"], "2026-12", "the collection of the 1st, in the account's zone");
}

#[tokio::test]
async fn r27_transactions_page_by_number_and_by_token_at_any_size() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    busy_account(&client).await;
    let range = [("CreateTimeStart", "2026-11-01T00:00:00Z"), ("CreateTimeEnd", "2026-12-31T00:00:00Z")];
    let all = client.rows("QueryAccountTransactions", &range, LIST).await;
    assert_eq!(all.len(), 11);
    for size in ["1", "3", "10", "11", "300"] {
        let mut paged = Vec::new();
        for number in 1..=all.len() {
            let number = number.to_string();
            let query = changed(&range, &[("PageNum", &number), ("PageSize", size)]);
            let answer = client.bss("QueryAccountTransactions", &query).await.ok();
            assert_eq!(answer["Data"]["TotalCount"], all.len());
            paged.extend(answer.pointer(LIST).unwrap().as_array().unwrap().clone());
        }
        assert_eq!(paged, all, "{size} a page");
        let (mut token, mut walked) = (String::new(), Vec::new());
        for _ in 0..=all.len() {
            let query = changed(&range, &[("MaxResults", size), ("NextToken", &token)]);
            let answer = client.bss("QueryAccountTransactionDetails", &query).await.ok();
            assert_eq!(answer["Data"]["TotalCount"], all.len());
            walked.extend(answer.pointer(LIST).unwrap().as_array().unwrap().clone());
            match answer["Data"]["NextToken"].as_str() {
                Some(next) => token = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(walked, all, "{size} a page");
    }
}

#[tokio::test]
async fn r27_transactions_are_filtered_as_asked() {
    let server = Server::start().await;
    let (client, other) = (server.account("ann").await, server.account("bob").await);
    let (_, refund) = busy_account(&client).await;
    let refund = refund.to_string();
    let range = [("CreateTimeStart", "2026-11-01T00:00:00Z")];
    let bills = client.rows("QueryBill", &[("BillingCycle", "2026-11")], "/Data/Items/Item").await;
    let bill = with(&bills, "Item", "PayAsYouGoBill")[0];
    let (bill_id, settlement) =
        (bill["RecordID"].as_str().unwrap(), bill["PaymentTransactionID"].as_str().unwrap());
    let all = client.rows("QueryAccountTransactions", &range, LIST).await;
    for (changes, expected) in [
        (vec![("TransactionFlow", "Income")], 4),
        (vec![("TransactionType", "Consumption")], 6),
        (vec![("TransactionType", "Transfer")], 0),
        (vec![("TransactionChannel", "AccountBalance")], 7),
        (vec![("TransactionChannel", "Alipay")], 0),
        (vec![("TransactionChannelSN", "pi_1")], 1),
        (vec![("TransactionChannelSN", "pi_2")], 0),
        (vec![("RecordID", refund.as_str())], 1),
        (vec![("RecordID", bill_id)], 1),
        (vec![("RecordID", all[10]["TransactionNumber"].as_str().unwrap())], 0),
        (vec![("RecordID", "1"), ("TransactionType", "Refund")], 0),
        (vec![("RecordID", "not a number")], 0),
        (vec![("TransactionNumber", settlement)], 1),
        (vec![("CreateTimeEnd", "2026-11-23T02:13:19Z")], 0),
        (vec![("CreateTimeEnd", "2026-11-23T02:13:20Z")], 3),
        (vec![("CreateTimeStart", "2026-11-23T02:13:21Z")], 8),
    ] {
        let query = changed(&range, &changes);
        let answer = client.bss("QueryAccountTransactions", &query).await.ok();
        assert_eq!(answer["Data"]["TotalCount"], expected, "{changes:?}");
        assert_eq!(
            client.rows("QueryAccountTransactions", &query, LIST).await.len(),
            expected,
            "{changes:?}"
        );
        if changes[0].0 != "TransactionFlow" {
            let rows = client.rows("QueryAccountTransactionDetails", &query, LIST).await;
            assert_eq!(rows.len(), expected, "{changes:?}");
        }
    }
    // Without a range: the month up to now.
    assert_eq!(client.rows("QueryAccountTransactions", &[], LIST).await, all);
    server.pass_days(40);
    assert_eq!(client.rows("QueryAccountTransactions", &[], LIST).await.len(), 0);
    let query = changed(&range, &[("RecordID", refund.as_str())]);
    assert_eq!(other.rows("QueryAccountTransactions", &query, LIST).await.len(), 0);
}

#[tokio::test]
async fn r11_the_credit_limit_is_part_of_what_is_available() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(10).await;
    server
        .store
        .set_credit_limit(client.account_id, units(50), "good customer", &operator(), None)
        .await
        .unwrap();
    let data = client.bss("QueryAccountBalance", &[]).await.ok()["Data"].clone();
    for (name, value) in [
        ("AvailableAmount", "60.00"),
        ("AvailableCashAmount", "10.00"),
        ("CreditAmount", "50.00"),
        ("OpenAmount", "0.00"),
        ("DueAmount", "0.00"),
    ] {
        assert_eq!(data[name], value, "{name}");
    }
    // It is there for bills; a package is paid for in advance.
    assert_eq!(client.bss("CreateResourcePackage", &package(&[])).await.code(), "InsufficientBalance");
    client.sender(SENDER).await;
    client.use_mails(300).await;
    server.next_hour().await;
    let data = client.bss("QueryAccountBalance", &[]).await.ok()["Data"].clone();
    assert_eq!((&data["OpenAmount"], &data["DueAmount"]), (&json!("0.03"), &json!("0.00")));
}

#[tokio::test]
async fn r16_every_order_is_listed_with_what_it_was_about() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let (third, refund) = busy_account(&client).await;
    assert_eq!(client.rows("QueryOrders", &[], ORDERS).await.len(), 0, "by default the last hour");
    let range = [("CreateTimeStart", "2026-11-01T00:00:00Z")];
    let rows = client.rows("QueryOrders", &range, ORDERS).await;
    let kinds: Vec<&str> = rows.iter().map(|row| row["OrderType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Refund", "Upgrade", "Renew", "New", "New", "New"], "newest first");
    assert_eq!(rows[0]["PaymentStatus"], Value::Null);
    assert_eq!(rows[0]["PretaxAmount"], "-13.05");
    assert_eq!(rows[0]["RelatedOrderId"], rows[3]["OrderId"], "the order that bought what was given back");
    assert_eq!(
        (&rows[1]["PretaxAmount"], &rows[1]["RelatedOrderId"]),
        (&json!("108.75"), &rows[4]["OrderId"])
    );
    assert_eq!(rows[2]["RelatedOrderId"], rows[5]["OrderId"]);
    for (name, value) in [
        ("PaymentStatus", json!("Paid")),
        ("PretaxAmount", json!("13.05")),
        ("Tax", json!("0.00")),
        ("Currency", json!("USD")),
        ("SubscriptionType", json!("Subscription")),
        ("CreateTime", json!("2026-11-23T03:00:00Z")),
        ("PaymentTime", json!("2026-11-23T03:00:00Z")),
        ("RelatedOrderId", Value::Null),
    ] {
        assert_eq!(rows[5][name], value, "{name}");
    }
    for (changes, expected) in [
        (vec![("OrderType", "Refund")], 1),
        (vec![("OrderType", "Downgrade")], 0),
        (vec![("PaymentStatus", "Paid")], 5),
        (vec![("PaymentStatus", "Paid"), ("OrderType", "New")], 3),
        (vec![("PaymentStatus", "NULL")], 1),
        (vec![("PaymentStatus", "Unpaid")], 0),
        (vec![("SubscriptionType", "PayAsYouGo")], 0),
        (vec![("ProductCode", "ecs")], 0),
        (vec![("CreateTimeEnd", "2026-11-23T02:59:59Z")], 0),
        (vec![("CreateTimeEnd", "2026-11-23T03:00:00Z")], 6),
    ] {
        let answer = client.bss("QueryOrders", &changed(&range, &changes)).await.ok();
        assert_eq!(answer["Data"]["TotalCount"], expected, "{changes:?}");
        for number in ["1", "2", "3"] {
            let mut paged = changed(&range, &changes);
            paged.extend([("PageSize", "2"), ("PageNum", number)]);
            let page: usize = number.parse().unwrap();
            let left = (expected as usize).saturating_sub((page - 1) * 2).min(2);
            assert_eq!(client.rows("QueryOrders", &paged, ORDERS).await.len(), left, "{changes:?} {number}");
        }
    }
    let query = [("OrderId", refund.to_string())];
    let query: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let [order] = &client.rows("GetOrderDetail", &query, ORDERS).await[..] else { panic!("one order") };
    for (name, value) in [
        ("OrderSubType", json!("RefundSubOrder")),
        ("InstanceIDs", json!(format!("[\"{third}\"]"))),
        ("Quantity", json!("1")),
        ("Operator", json!("api-key ak-ann")),
        ("Config", json!("Specification:50000")),
        ("ExtendInfos", json!({"RelatedInstanceId": third})),
        ("UsageStartTime", json!("2026-11-23T03:00:00Z")),
        ("UsageEndTime", json!("2027-05-23T16:00:00Z")),
    ] {
        assert_eq!(order[name], value, "{name}");
    }
    let bob = server.account("bob").await;
    for (caller, id) in [(&bob, refund.to_string()), (&client, "1".to_owned()), (&client, "x".to_owned())] {
        let refused = caller.bss("GetOrderDetail", &[("OrderId", &id)]).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (200, "OrderNotExists"), "{id}");
    }
    assert_eq!(client.bss("GetOrderDetail", &[]).await.code(), "MissingParameter");
}

#[tokio::test]
async fn r13_instances_are_listed_by_how_they_stand() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(200).await;
    client.sender(SENDER).await;
    let used = client.buy(&[]).await;
    client.use_mails(201).await;
    let upcoming = client.buy(&[("EffectiveDate", "2027-01-01T00:00:00Z")]).await;
    let back = client.buy(&[]).await;
    client.bss("RefundInstance", &[("ProductCode", "dm"), ("InstanceId", &back)]).await.ok();
    let row = client.listed(&upcoming).await.unwrap();
    assert_eq!((&row["Status"], &row["DetailStatus"]), (&json!("Available"), &json!("Upcoming")));
    assert_eq!(
        (&row["EffectiveTime"], &row["RemainingAmount"]),
        (&json!("2027-01-01T00:00:00Z"), &json!("50000"))
    );
    let instances = |changes: Vec<(&'static str, String)>| {
        let client = &client;
        async move {
            let query: Vec<_> = changes.iter().map(|(name, value)| (*name, value.as_str())).collect();
            client.rows("QueryAvailableInstances", &query, "/Data/InstanceList").await
        }
    };
    let all = instances(vec![]).await;
    let ids: Vec<&str> = all.iter().map(|row| row["InstanceID"].as_str().unwrap()).collect();
    assert_eq!(ids, [&client.account_id.to_string(), &used, &upcoming], "what was given back is not listed");
    assert_eq!((&all[0]["SubscriptionType"], &all[0]["SubStatus"]), (&json!("PayAsYouGo"), &json!("Normal")));
    for (name, value) in [
        ("SubscriptionType", json!("Subscription")),
        ("Status", json!("Normal")),
        ("RenewStatus", json!("ManualRenewal")),
        ("CreateTime", json!("2026-11-23T02:13:20Z")),
        ("EndTime", json!("2027-05-23T16:00:00Z")),
        ("OwnerId", json!(client.account_id)),
        ("Region", json!("local")),
    ] {
        assert_eq!(all[1][name], value, "{name}");
    }
    let text = str::to_owned;
    for (changes, expected) in [
        (vec![("SubscriptionType", text("Subscription"))], 2),
        (vec![("RenewStatus", text("AutoRenewal"))], 0),
        (vec![("RenewStatus", text("ManualRenewal"))], 2),
        (vec![("InstanceIDs", format!("{used}, {upcoming},x"))], 2),
        (vec![("Region", text("local")), ("ProductCode", text("dm"))], 3),
        (vec![("Region", text("cn-hangzhou"))], 0),
        (vec![("ProductCode", text("ecs"))], 0),
        (vec![("EndTimeEnd", text("2027-05-23T16:00:00Z"))], 1),
        (vec![("EndTimeEnd", text("2027-05-23T15:59:59Z"))], 0),
        (vec![("CreateTimeStart", text("2026-11-23T02:13:21Z"))], 0),
        (vec![("PageSize", text("1")), ("PageNum", text("3"))], 1),
    ] {
        assert_eq!(instances(changes.clone()).await.len(), expected, "{changes:?}");
    }
    // Used up: still in its validity, with nothing left.
    let emptied = Adjustment {
        account_id: client.account_id,
        what: Adjusted::PackageMails { instance_id: upcoming.clone(), mails: -50_000 },
        reason: "test".to_owned(),
    };
    server.store.adjust(&emptied, &operator(), None).await.unwrap();
    server.clock.set(at("2027-02-01T00:00:00Z"));
    let row = client.listed(&upcoming).await.unwrap();
    assert_eq!((&row["Status"], &row["DetailStatus"]), (&json!("Available"), &json!("UsedUp")));
    assert_eq!((&row["RemainingAmount"], &row["LapsedAmount"]), (&json!("0"), &json!("0")));
    // At the end: expired, with what lapsed.
    server.clock.set(at("2027-05-23T15:59:59.999999Z"));
    assert_eq!(client.listed(&used).await.unwrap()["RemainingAmount"], "49999");
    server.clock.set(at("2027-05-23T16:00:00Z"));
    let row = client.listed(&used).await.unwrap();
    for (name, value) in [
        ("Status", "Expired"),
        ("DetailStatus", "Expired"),
        ("RemainingAmount", "0"),
        ("LapsedAmount", "49999"),
        ("Remark", "邮件推送资源包,到期失效 49999 封"),
    ] {
        assert_eq!(row[name], value, "{name}");
    }
    let all = instances(vec![]).await;
    assert_eq!((&all[1]["Status"], &all[2]["Status"]), (&json!("Expired"), &json!("Normal")));
}

#[tokio::test]
async fn r10_the_price_of_pay_as_you_go() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let ask = [
        ("ProductCode", "dm"),
        ("SubscriptionType", "PayAsYouGo"),
        ("ModuleList.1.ModuleCode", "Mail"),
        ("ModuleList.1.PriceType", "Usage"),
        ("ModuleList.1.Config", "Mail:1000"),
    ];
    let two = [
        ("ModuleList.2.ModuleCode", "Mail"),
        ("ModuleList.2.PriceType", "Usage"),
        ("ModuleList.2.Config", "Mail:1"),
    ];
    let data = client.bss("GetPayAsYouGoPrice", &changed(&ask, &two)).await.ok()["Data"].clone();
    let detail = |cost: f64| json!({"ModuleCode": "Mail", "UnitPrice": 0.00029, "OriginalCost": cost, "InvoiceDiscount": 0.0, "CostAfterDiscount": cost});
    assert_eq!(data["ModuleDetails"]["ModuleDetail"], json!([detail(0.29), detail(0.01)]), "at least a cent");
    assert_eq!(
        (&data["Currency"], &data["PromotionDetails"]),
        (&json!("USD"), &json!({"PromotionDetail": []}))
    );
    for (changes, status, code) in [
        (vec![("ProductCode", "")], 400, "MissingParameter"),
        (vec![("ProductCode", "ecs")], 200, "NotApplicable"),
        (vec![("SubscriptionType", "")], 400, "MissingParameter"),
        (vec![("SubscriptionType", "Subscription")], 200, "NotApplicable"),
        (vec![("SubscriptionType", "Free")], 400, "InvalidParameter"),
        (vec![("ModuleList.1.ModuleCode", "")], 400, "MissingParameter"),
        (vec![("ModuleList.1.ModuleCode", "Disk")], 200, "NotApplicable"),
        (vec![("ModuleList.1.PriceType", "Hour")], 200, "NotApplicable"),
        (vec![("ModuleList.1.Config", "1000")], 400, "InvalidParameter"),
        (vec![("ModuleList.1.Config", "Mail:0")], 400, "InvalidParameter"),
        (vec![("ModuleList.1.Config", "Mail:-1")], 400, "InvalidParameter"),
        (vec![("ModuleList.1.Config", "Mail:1.5")], 400, "InvalidParameter"),
        (vec![("ModuleList.1.Config", "Mail:99999999999999999999")], 400, "InvalidParameter"),
        (vec![("ModuleList.2.Config", "Mail:1")], 400, "MissingParameter"),
    ] {
        let answer = client.bss("GetPayAsYouGoPrice", &changed(&ask, &changes)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{changes:?} {}", answer.text);
    }
}

#[tokio::test]
async fn r07_the_products_are_pay_as_you_go_and_packages() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let data = client.bss("QueryProductList", &[("PageNum", "1")]).await.ok()["Data"].clone();
    assert_eq!(data["TotalCount"], Value::Null, "unless it is asked for");
    let products = data["ProductList"]["Product"].as_array().unwrap();
    let types: Vec<_> =
        products.iter().map(|product| product["SubscriptionType"].as_str().unwrap()).collect();
    assert_eq!(types, ["PayAsYouGo", "Subscription"]);
    assert!(products.iter().all(|product| product["ProductCode"] == "dm"));
    let counted = [("PageNum", "2"), ("PageSize", "1"), ("QueryTotalCount", "true")];
    let data = client.bss("QueryProductList", &counted).await.ok()["Data"].clone();
    assert_eq!((&data["TotalCount"], &data["ProductList"]["Product"][0]), (&json!(2), &products[1]));
}

#[tokio::test]
async fn r27_a_malformed_question_about_money_is_refused() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let before = client.snapshot().await;
    for (action, query) in [
        ("QueryAccountTransactions", ("CreateTimeStart", "2026-11-23")),
        ("QueryAccountTransactions", ("CreateTimeEnd", "2026-11-23 00:00:00")),
        ("QueryAccountTransactions", ("TransactionFlow", "Both")),
        ("QueryAccountTransactions", ("TransactionType", "Gift")),
        ("QueryAccountTransactions", ("TransactionChannel", "Cheque")),
        ("QueryAccountTransactions", ("PageNum", "0")),
        ("QueryAccountTransactions", ("PageSize", "-20")),
        ("QueryAccountTransactionDetails", ("MaxResults", "0")),
        ("QueryAccountTransactionDetails", ("NextToken", "next")),
        ("QueryAccountTransactionDetails", ("CreateTimeStart", "yesterday")),
        ("QueryOrders", ("CreateTimeStart", "2026-13-01T00:00:00Z")),
        ("QueryOrders", ("OrderType", "Steal")),
        ("QueryOrders", ("PaymentStatus", "Maybe")),
        ("QueryOrders", ("PageSize", "301")),
        ("QueryOrders", ("OwnerId", "me")),
        ("QueryAvailableInstances", ("RenewStatus", "Never")),
        ("QueryAvailableInstances", ("EndTimeStart", "soon")),
        ("QueryAvailableInstances", ("PageNum", "1e3")),
        ("QueryProductList", ("PageSize", "0")),
        ("QueryProductList", ("QueryTotalCount", "2")),
    ] {
        let answer = client.bss(action, &[query]).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "InvalidParameter"), "{action} {query:?}");
    }
    let ids = vec!["x"; 101].join(",");
    let refused = client.bss("QueryAvailableInstances", &[("InstanceIDs", &ids)]).await;
    assert_eq!(refused.code(), "InvalidParameter");
    let reversed = [("CreateTimeStart", "2026-11-02T00:00:00Z"), ("CreateTimeEnd", "2026-11-01T00:00:00Z")];
    for action in ["QueryAccountTransactions", "QueryAccountTransactionDetails", "QueryOrders"] {
        assert_eq!(client.bss(action, &reversed).await.code(), "InvalidParameter", "{action}");
    }
    assert_eq!(client.snapshot().await, before);
}
