//! Bills of a month, one by one and summed, through BSS OpenAPI.

use indicia_domain::money::MoneyMicros;
use indicia_store::account::AccountNumbers;
use serde_json::{Value, json};

use super::billing_support::*;
use super::harness::*;

const NOVEMBER: [(&str, &str); 1] = [("BillingCycle", "2026-11")];
const ITEMS: &str = "/Data/Items/Item";

async fn numbers(client: &Client<'_>) -> AccountNumbers {
    client.server.store.account_numbers(client.account_id).await.unwrap().unwrap()
}

/// What the tests of a month are about: 150 mails on pay-as-you-go in one hour and 17 in the next, a correction of the
/// first, a package bought, one bought and given back, one exchanged, and 30 mails paid by a package.
struct Month {
    packages: Vec<String>,
}

async fn month(client: &Client<'_>) -> Month {
    let server = client.server;
    client.credit(1_000).await;
    client.sender(SENDER).await;
    client.use_mails(200).await;
    let messages = client.use_mails(150).await;
    server.next_hour().await;
    client.use_mails(17).await;
    server.next_hour().await;
    server.store.cancel(client.account_id, messages[0], "test").await.unwrap();
    server.bill().await;
    server.pass_days(1);
    let (kept, returned, small) = (client.buy(&[]).await, client.buy(&[]).await, client.buy(&[]).await);
    client.bss("RefundInstance", &[("ProductCode", "dm"), ("InstanceId", &returned)]).await.ok();
    let large = client
        .bss("UpgradeResourcePackage", &[("InstanceId", &small), ("Specification", "500000")])
        .await
        .ok();
    let large = large["Data"]["InstanceId"].as_str().unwrap().to_owned();
    client.use_mails(230).await;
    server.next_hour().await;
    Month { packages: vec![kept, returned, small, large] }
}

#[tokio::test]
async fn r10_each_bill_of_an_hour_is_an_item_and_its_correction_another() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    month(&client).await;
    let rows = client.rows("QueryBill", &NOVEMBER, ITEMS).await;
    let bills = with(&rows, "Item", "PayAsYouGoBill");
    assert_eq!(bills.len(), 2);
    for (name, value) in [
        ("ProductCode", json!("dm")),
        ("SubscriptionType", json!("PayAsYouGo")),
        ("PretaxGrossAmount", json!(0.04)),
        ("PretaxAmount", json!(0.04)),
        ("OutstandingAmount", json!(0.04)),
        ("PaymentAmount", json!(0.0)),
        ("Status", json!("PayUnsettle")),
        ("PaymentTime", Value::Null),
        ("PaymentTransactionID", Value::Null),
        ("UsageStartTime", json!("2026-11-23 10:00:00")),
        ("UsageEndTime", json!("2026-11-23 11:00:00")),
        ("Currency", json!("USD")),
        ("OwnerID", json!(client.account_id.to_string())),
    ] {
        assert_eq!(bills[0][name], value, "{name}");
    }
    assert_eq!(bills[1]["PretaxAmount"], json!(0.01), "17 mails: at least a cent");
    let [correction] = with(&rows, "Item", "Adjustment")[..] else { panic!("{rows:?}") };
    assert_eq!(correction["PretaxAmount"], json!(-0.03), "50 of 150 mails are left: 0.01 of 0.04");
    assert_eq!(correction["OutstandingAmount"], json!(-0.03));
    assert_eq!(correction["UsageStartTime"], bills[0]["UsageStartTime"]);
    let stored =
        server.store.bill_total(client.account_id, at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z"));
    let payg: Vec<Value> =
        rows.iter().filter(|row| row["SubscriptionType"] == "PayAsYouGo").cloned().collect();
    let stored = stored.await.unwrap();
    assert_eq!((sum(&payg, "PretaxAmount"), payg.len() as i64), (stored.amount, stored.bills));
    assert_eq!(sum(&payg, "OutstandingAmount"), stored.outstanding);
    assert_eq!(stored.outstanding, numbers(&client).await.open);
    server.bill().await;
    server.bill().await;
    assert_eq!(client.rows("QueryBill", &NOVEMBER, ITEMS).await, rows, "a repeated job changes nothing");
}

#[tokio::test]
async fn r11_a_bill_goes_from_unsettled_to_paid_or_uncleared() {
    let server = Server::start().await;
    let (rich, poor) = (server.account("ann").await, server.account("bob").await);
    rich.credit(10).await;
    for client in [&rich, &poor] {
        let sender = format!("news@{}.example", client.key);
        client.sender(&sender).await;
        client.use_mails_from(&sender, 300).await;
    }
    server.next_hour().await;
    for client in [&rich, &poor] {
        let [bill] = &client.rows("QueryBill", &NOVEMBER, ITEMS).await[..] else { panic!("one bill") };
        assert_eq!((&bill["Status"], &bill["PretaxAmount"]), (&json!("PayUnsettle"), &json!(0.03)));
    }
    // The last microsecond of the month in the account's zone collects nothing; the 1st does.
    server.clock.set(at("2026-11-30T15:59:59.999999Z"));
    server.bill().await;
    let [bill] = &rich.rows("QueryBill", &NOVEMBER, ITEMS).await[..] else { panic!("one bill") };
    assert_eq!(bill["Status"], "PayUnsettle");
    server.clock.set(at("2026-11-30T16:00:00Z"));
    server.bill().await;
    let [paid] = &rich.rows("QueryBill", &NOVEMBER, ITEMS).await[..] else { panic!("one bill") };
    assert_eq!((&paid["Status"], &paid["OutstandingAmount"]), (&json!("PayFinish"), &json!(0.0)));
    assert_eq!((&paid["PaymentAmount"], &paid["CashAmount"]), (&json!(0.03), &json!(0.03)));
    assert_eq!(paid["PaymentTime"], "2026-12-01 00:00:00");
    let number = paid["PaymentTransactionID"].as_str().unwrap();
    let found = rich
        .rows(
            "QueryAccountTransactions",
            &[("TransactionNumber", number)],
            "/Data/AccountTransactionsList/AccountTransactionsList",
        )
        .await;
    assert_eq!((found.len(), money(&found[0]["Amount"])), (1, money(&paid["PretaxAmount"])));
    let [unpaid] = &poor.rows("QueryBill", &NOVEMBER, ITEMS).await[..] else { panic!("one bill") };
    assert_eq!((&unpaid["Status"], &unpaid["OutstandingAmount"]), (&json!("PayUnclear"), &json!(0.03)));
    let service =
        |rows: Vec<Value>| rows.into_iter().find(|row| row["SubscriptionType"] == "PayAsYouGo").unwrap();
    let path = "/Data/InstanceList";
    assert_eq!(
        service(poor.rows("QueryAvailableInstances", &[], path).await)["SubStatus"],
        Value::Null,
        "in arrears"
    );
    let due = poor.bss("QueryAccountBalance", &[]).await.ok();
    assert_eq!((&due["Data"]["DueAmount"], &due["Data"]["OpenAmount"]), (&json!("0.03"), &json!("0.03")));
    poor.credit(1).await;
    assert_eq!(service(poor.rows("QueryAvailableInstances", &[], path).await)["SubStatus"], "Normal");
    let [paid] = &poor.rows("QueryBill", &NOVEMBER, ITEMS).await[..] else { panic!("one bill") };
    assert_eq!(paid["Status"], "PayFinish", "paying settles at once");
}

#[tokio::test]
async fn r10_the_months_sum_is_the_same_in_every_bill_action() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let month = month(&client).await;
    let bills = client.rows("QueryBill", &NOVEMBER, ITEMS).await;
    let overview = client.rows("QueryBillOverview", &NOVEMBER, ITEMS).await;
    let settled = client.rows("QuerySettleBill", &NOVEMBER, ITEMS).await;
    let instances = client.rows("QueryInstanceBill", &NOVEMBER, ITEMS).await;
    let described = client.rows("DescribeInstanceBill", &NOVEMBER, "/Data/Items").await;
    let mut daily = Vec::new();
    for day in 1..=30 {
        let date = format!("2026-11-{day:02}");
        let query = [("BillingCycle", "2026-11"), ("Granularity", "DAILY"), ("BillingDate", date.as_str())];
        let rows = client.rows("QueryInstanceBill", &query, ITEMS).await;
        assert!(rows.iter().all(|row| row["BillingDate"] == date.as_str()));
        let same = client.rows("DescribeInstanceBill", &query, "/Data/Items").await;
        assert_eq!(sum(&rows, "PretaxAmount"), sum(&same, "PretaxAmount"));
        daily.extend(rows);
    }
    let items = ["SubscriptionOrder", "PayAsYouGoBill", "Refund", "Adjustment"];
    assert_eq!(overview.len(), items.len());
    for item in items {
        let of = |rows: &[Value], field: &str| {
            let rows: Vec<Value> = with(rows, "Item", item).into_iter().cloned().collect();
            assert!(!rows.is_empty(), "{item}");
            sum(&rows, field)
        };
        for field in ["PretaxGrossAmount", "PretaxAmount", "PaymentAmount", "OutstandingAmount"] {
            let expected = of(&overview, field);
            for rows in [&bills, &settled, &instances, &described, &daily] {
                assert_eq!(of(rows, field), expected, "{item} {field}");
            }
        }
    }
    for row in bills.iter().chain(&overview).chain(&instances) {
        let part = |field: &str| money(&row[field]).0;
        assert_eq!(part("PretaxAmount"), part("PaymentAmount") + part("OutstandingAmount"), "{row}");
    }
    // The ledger says the same: what was spent from the balance, and what is open.
    let numbers = numbers(&client).await;
    assert_eq!(sum(&overview, "PaymentAmount"), MoneyMicros(1_000_000_000 - numbers.cash.0));
    assert_eq!(sum(&overview, "OutstandingAmount"), numbers.open);
    assert_eq!(sum(&overview, "PretaxAmount").to_string(), "134.87", "13.05 + 121.80 + 0.04 + 0.01 - 0.03");
    for instance in &month.packages {
        let rows = with(&instances, "InstanceID", instance);
        assert!(rows.iter().any(|row| row["Item"] == "SubscriptionOrder"), "{instance}");
    }
    assert_eq!(server.store.verify_ledger().await.unwrap().violations, vec![]);
}

#[tokio::test]
async fn r04_pay_as_you_go_is_one_line_that_says_what_packages_paid() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let month = month(&client).await;
    let own = client.account_id.to_string();
    let lines = client.rows("QueryInstanceBill", &NOVEMBER, ITEMS).await;
    let [line] = with(&lines, "Item", "PayAsYouGoBill")[..] else { panic!("{lines:?}") };
    for (name, value) in [
        ("InstanceID", json!(own)),
        // 50 and 17 on pay-as-you-go, 30 on a package; free credit is part of no bill.
        ("Usage", json!("97")),
        ("UsageUnit", json!("Mail")),
        ("DeductedByResourcePackage", json!("30")),
        ("ListPrice", json!("0.00029")),
        ("ListPriceUnit", json!("USD/Mail")),
        ("PretaxAmount", json!(0.05)),
        ("BillingItem", Value::Null),
        ("BillingDate", Value::Null),
    ] {
        assert_eq!(line[name], value, "{name}");
    }
    let day = |date: &'static str| {
        let query = [
            ("BillingCycle", "2026-11"),
            ("Granularity", "daily"),
            ("BillingDate", date),
            ("IsBillingItem", "True"),
        ];
        let client = &client;
        async move {
            let rows = client.rows("QueryInstanceBill", &query, ITEMS).await;
            rows.into_iter().find(|row| row["Item"] == "PayAsYouGoBill").unwrap()
        }
    };
    let (first, second) = (day("2026-11-23").await, day("2026-11-24").await);
    assert_eq!((&first["Usage"], &first["DeductedByResourcePackage"]), (&json!("67"), &json!("0")));
    assert_eq!((&second["Usage"], &second["DeductedByResourcePackage"]), (&json!("30"), &json!("30")));
    assert_eq!((&second["PretaxAmount"], &second["BillingItem"]), (&json!(0.0), &json!("Mail")));
    let hidden = changed(&NOVEMBER, &[("IsHideZeroCharge", "True")]);
    assert_eq!(
        client.rows("QueryInstanceBill", &hidden, ITEMS).await.len(),
        lines.len(),
        "no line is over zero"
    );
    let kept = &month.packages[0];
    let query = [("BillingCycle", "2026-11"), ("InstanceID", kept.as_str())];
    let [package] = &client.rows("DescribeInstanceBill", &query, "/Data/Items").await[..] else {
        panic!("one line")
    };
    for (name, value) in [
        ("Item", json!("SubscriptionOrder")),
        ("InstanceSpec", json!("50000")),
        ("PretaxAmount", json!(13.05)),
        ("AfterDiscountAmount", json!(13.05)),
        ("ListPrice", json!("13.05")),
        ("Usage", Value::Null),
        ("ServicePeriodUnit", json!("Second")),
        ("BillAccountID", json!(own)),
    ] {
        assert_eq!(package[name], value, "{name}");
    }
}

#[tokio::test]
async fn r10_usage_is_shown_before_its_hour_is_billed() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.sender(SENDER).await;
    client.use_mails(205).await;
    let [line] = &client.rows("QueryInstanceBill", &NOVEMBER, ITEMS).await[..] else { panic!("one line") };
    assert_eq!((&line["Usage"], &line["PretaxAmount"]), (&json!("5"), &json!(0.0)));
    assert_eq!(line["ListPrice"], "0.00029");
    assert_eq!(client.rows("QueryBill", &NOVEMBER, ITEMS).await, Vec::<Value>::new());
    let hidden = changed(&NOVEMBER, &[("IsHideZeroCharge", "True")]);
    assert_eq!(client.rows("QueryInstanceBill", &hidden, ITEMS).await, Vec::<Value>::new());
}

#[tokio::test]
async fn r08_a_cycle_is_a_month_of_the_accounts_zone() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    client.credit(100).await;
    client.sender(SENDER).await;
    for (instant, cycle) in [("2026-11-30T15:59:59.999999Z", "2026-11"), ("2026-11-30T16:00:00Z", "2026-12")]
    {
        server.clock.set(at(instant));
        client.buy(&[]).await;
        let rows = client.rows("QueryBill", &[("BillingCycle", cycle)], ITEMS).await;
        assert_eq!(rows.len(), 1, "{cycle}");
    }
    let december = client.bss("QueryBill", &[("BillingCycle", "2026-12")]).await.ok();
    assert_eq!(december["Data"]["Items"]["Item"][0]["PaymentTime"], "2026-12-01 00:00:00");
    assert_eq!(
        (&december["Data"]["AccountID"], &december["Data"]["AccountName"], &december["Data"]["BillingCycle"]),
        (&json!(client.account_id.to_string()), &json!("ann"), &json!("2026-12"))
    );
    for cycle in ["2026-10", "2027-01", "0000-01", "9999-12"] {
        assert_eq!(client.rows("QueryBill", &[("BillingCycle", cycle)], ITEMS).await.len(), 0, "{cycle}");
    }
}

#[tokio::test]
async fn r10_bills_page_by_number_and_by_token_at_any_size() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    month(&client).await;
    let all = client.rows("QueryBill", &changed(&NOVEMBER, &[("PageSize", "300")]), ITEMS).await;
    let lines = client.rows("DescribeInstanceBill", &NOVEMBER, "/Data/Items").await;
    assert!(all.len() >= 8 && lines.len() >= 6);
    for size in ["1", "2", "3", "7"] {
        let mut paged = Vec::new();
        for number in 1..=all.len() {
            let number = number.to_string();
            let query = changed(&NOVEMBER, &[("PageNum", &number), ("PageSize", size)]);
            let answer = client.bss("QueryBill", &query).await.ok();
            assert_eq!(answer["Data"]["TotalCount"], all.len());
            paged.extend(answer.pointer(ITEMS).unwrap().as_array().unwrap().clone());
        }
        assert_eq!(paged, all, "{size} a page");
        for (action, path, expected) in
            [("QuerySettleBill", ITEMS, &all), ("DescribeInstanceBill", "/Data/Items", &lines)]
        {
            let (mut token, mut count) = (String::new(), 0);
            for _ in 0..=expected.len() {
                let query = changed(&NOVEMBER, &[("MaxResults", size), ("NextToken", &token)]);
                let answer = client.bss(action, &query).await.ok();
                let rows = answer.pointer(path).unwrap().as_array().unwrap().clone();
                for row in &rows {
                    assert_eq!(row["PretaxAmount"], expected[count]["PretaxAmount"], "{action} {size}");
                    assert_eq!(row["RecordID"], expected[count]["RecordID"], "{action} {size}");
                    assert_eq!(row["InstanceID"], expected[count]["InstanceID"], "{action} {size}");
                    count += 1;
                }
                assert_eq!(answer["Data"]["TotalCount"], expected.len());
                token = answer["Data"]["NextToken"].as_str().unwrap().to_owned();
                if token.is_empty() {
                    break;
                }
            }
            assert_eq!(count, expected.len(), "{action} {size}");
        }
    }
}

#[tokio::test]
async fn r10_bills_are_filtered_as_asked() {
    let server = Server::start().await;
    let (client, other) = (server.account("ann").await, server.account("bob").await);
    month(&client).await;
    let own = client.account_id.to_string();
    let rows = client.rows("QueryBill", &NOVEMBER, ITEMS).await;
    for (changes, expected) in [
        (vec![("Type", "SubscriptionOrder")], 4),
        (vec![("Type", "PayAsYouGoBill")], 2),
        (vec![("Type", "Refund")], 1),
        (vec![("Type", "Adjustment")], 1),
        (vec![("SubscriptionType", "PayAsYouGo"), ("ProductCode", "dm")], 3),
        (vec![("SubscriptionType", "Subscription")], 5),
        (vec![("ProductCode", "ecs")], 0),
        (vec![("ProductType", "ecs")], 0),
        (vec![("BillOwnerId", own.as_str())], rows.len()),
        (vec![("BillOwnerId", "1")], 0),
    ] {
        let query = changed(&NOVEMBER, &changes);
        for action in ["QueryBill", "QuerySettleBill"] {
            assert_eq!(client.rows(action, &query, ITEMS).await.len(), expected, "{action} {changes:?}");
        }
    }
    let bill = rows[0]["RecordID"].as_str().unwrap();
    let query = changed(&NOVEMBER, &[("RecordID", bill)]);
    assert_eq!(client.rows("QuerySettleBill", &query, ITEMS).await.len(), 1);
    assert_eq!(
        other.rows("QuerySettleBill", &query, ITEMS).await.len(),
        0,
        "of another account nothing is seen"
    );
    assert_eq!(other.rows("QueryBillOverview", &NOVEMBER, ITEMS).await.len(), 0);
}

#[tokio::test]
async fn r10_a_malformed_question_is_refused() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let before = client.snapshot().await;
    let paged = ["QueryBill", "QueryInstanceBill"];
    let by_token = ["QuerySettleBill", "DescribeInstanceBill"];
    let daily = ["QueryInstanceBill", "DescribeInstanceBill"];
    let all =
        ["QueryBill", "QuerySettleBill", "QueryBillOverview", "QueryInstanceBill", "DescribeInstanceBill"];
    type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, &'a str);
    let mut cases: Vec<Case<'_>> = Vec::new();
    for action in all {
        cases.push((action, vec![("BillingCycle", "")], "MissingParameter"));
        for cycle in ["2026", "2026-13", "2026-00", "2026-1", "2026-11-01", "202611", "Nov 2026", "-026-11"] {
            cases.push((action, vec![("BillingCycle", cycle)], "InvalidParameter"));
        }
        cases.push((action, vec![("SubscriptionType", "Free")], "InvalidParameter"));
        cases.push((action, vec![("BillOwnerId", "me")], "InvalidParameter"));
        cases.push((action, vec![("IsHideZeroCharge", "2")], "InvalidParameter"));
    }
    for action in paged {
        for (name, value) in [
            ("PageNum", "0"),
            ("PageNum", "-1"),
            ("PageNum", "1.5"),
            ("PageNum", "99999999999999999999"),
            ("PageSize", "0"),
            ("PageSize", "301"),
            ("PageSize", "ten"),
        ] {
            cases.push((action, vec![(name, value)], "InvalidParameter"));
        }
    }
    for action in by_token {
        for (name, value) in [
            ("MaxResults", "0"),
            ("MaxResults", "301"),
            ("NextToken", "x"),
            ("NextToken", "1-2"),
            ("NextToken", "1-2-3-4"),
            ("NextToken", "1-2- 3"),
        ] {
            cases.push((action, vec![(name, value)], "InvalidParameter"));
        }
    }
    for action in daily {
        cases.push((action, vec![("Granularity", "HOURLY")], "InvalidParameter"));
        cases.push((action, vec![("Granularity", "DAILY")], "MissingParameter"));
        for date in ["2026-11-31", "2026-12-01", "2026-11", "23.11.2026"] {
            cases.push((action, vec![("Granularity", "DAILY"), ("BillingDate", date)], "InvalidParameter"));
        }
        cases.push((action, vec![("IsBillingItem", "maybe")], "InvalidParameter"));
    }
    cases.push(("QueryBill", vec![("Type", "Invoice")], "InvalidParameter"));
    for (action, changes, code) in cases {
        let answer = client.bss(action, &changed(&NOVEMBER, &changes)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (400, code),
            "{action} {changes:?} {}",
            answer.text
        );
    }
    assert_eq!(client.snapshot().await, before);
}
