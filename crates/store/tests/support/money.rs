//! A customer whose every mail costs something at once, and everything that is kept about them, for comparison.

use std::sync::Arc;

use indicia_domain::ledger::bill::CollectionPolicy;
use indicia_domain::ledger::price::{Offer, PriceList};
use indicia_domain::mail::admission::Policy;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{ManualClock, UnixMicros};
use indicia_store::Store;
use indicia_store::account::AccountNumbers;
use indicia_store::admission::{Admission, Admitted, SubmitError};
use indicia_store::bill::{Bill, BillQuery, BillingRound};
use indicia_store::money::{TopUp, TopUpDone};
use indicia_store::package::{
    PackageFilter, PackageRow, PurchaseError, PurchaseRequest, RefundRequest, RenewRequest, UpgradeRequest,
};
use sqlx::{Column, Connection, Row};

use super::{Account, names, operator};
use crate::engines::Bench;

/// Mails and price in millionths of the packages on offer.
pub const OFFERS: [(i64, i64); 3] = [(10, 25_000), (40, 80_000), (100, 150_000)];
/// A third of a cent for a mail of pay-as-you-go.
pub const PRICE: i64 = 3_333;
/// Ten cents.
pub const THRESHOLD: i64 = 100_000;

pub fn prices() -> PriceList {
    let offers = OFFERS.iter().map(|&(mails, price)| Offer { mails, price: MoneyMicros(price) });
    PriceList::new(offers.collect(), MoneyMicros(PRICE), 6).expect("a list that keeps R07")
}

pub fn collection() -> CollectionPolicy {
    CollectionPolicy { threshold: MoneyMicros(THRESHOLD) }
}

/// No free credit, and a quota that is never reached.
pub fn policy() -> Policy {
    Policy {
        free_total_mails: 0,
        free_daily_mails: 0,
        pay_as_you_go: MoneyMicros(PRICE),
        initial_daily_quota: 1_000_000,
        ..Policy::default()
    }
}

pub fn at(text: &str) -> UnixMicros {
    UnixMicros::parse(text).expect("an instant")
}

pub struct Customer {
    pub account: Account,
    pub id: i64,
    pub store: Store,
    pub clock: Arc<ManualClock>,
    pub admission: Admission,
}

impl Customer {
    pub async fn new(bench: &Bench, zone: &str) -> Customer {
        Customer::with_policy(bench, zone, &policy()).await
    }

    pub async fn with_policy(bench: &Bench, zone: &str, policy: &Policy) -> Customer {
        let account = Account::with_policy(&bench.store, zone, policy).await;
        let admission = account.admission(None);
        let (store, clock) = (bench.store.clone(), bench.clock.clone());
        Customer { id: account.id, account, store, clock, admission }
    }

    pub fn go(&self, to: UnixMicros) {
        self.clock.set(to);
    }

    pub async fn numbers(&self) -> AccountNumbers {
        self.store.account_numbers(self.id).await.expect("read").expect("the account")
    }

    pub async fn submit(&self, mails: usize) -> Result<Admitted, SubmitError> {
        self.admission.submit(self.account.mail(&names(mails)).await).await
    }

    /// Sends and tells the message's id.
    pub async fn send(&self, mails: usize) -> i64 {
        self.submit(mails).await.expect("accepted").message_id()
    }

    /// Sends and tells who paid.
    pub async fn paid_by(&self, mails: usize) -> Vec<(String, i64)> {
        let Admitted::Accepted(acceptance) = self.submit(mails).await.expect("accepted") else {
            panic!("not a repetition")
        };
        let name = |source: &indicia_domain::ledger::charge::Source| source.ledger_account().to_string();
        acceptance.charges.iter().map(|charge| (name(&charge.source), charge.mails)).collect()
    }

    pub async fn job(&self) -> BillingRound {
        self.store.make_bills(&prices(), &collection()).await.expect("billed")
    }

    /// All bills, by hour and number.
    pub async fn bills(&self) -> Vec<Bill> {
        let query = BillQuery {
            account_id: self.id,
            from: UnixMicros(i64::MIN),
            before: UnixMicros(i64::MAX),
            only_open: false,
            after: None,
            limit: 10_000,
            newest_first: false,
        };
        self.store.bills(&query).await.expect("read")
    }

    pub fn payment(&self, reference: &str, event: &str, micros: i64) -> TopUp {
        TopUp {
            provider: "stripe".to_owned(),
            event_id: event.to_owned(),
            payment_reference: reference.to_owned(),
            account_id: self.id,
            amount: MoneyMicros(micros),
            memo: "card payment".to_owned(),
        }
    }

    pub async fn pays(&self, reference: &str, micros: i64) -> TopUpDone {
        let payment = self.payment(reference, &format!("event of {reference}"), micros);
        self.store.top_up(&payment).await.expect("booked")
    }

    pub fn wants(&self, specification: i64) -> PurchaseRequest {
        PurchaseRequest {
            account_id: self.id,
            specification,
            quantity: 1,
            starts_at: None,
            idempotency_key: None,
            nonce: None,
            by: operator(),
        }
    }

    pub async fn buy(&self, specification: i64) -> String {
        let receipt = self.store.purchase(&self.wants(specification), &prices()).await.expect("bought");
        receipt.instance_ids[0].clone()
    }

    pub fn renewal(&self, instance: &str) -> RenewRequest {
        let (account_id, instance_id) = (self.id, instance.to_owned());
        RenewRequest { account_id, instance_id, idempotency_key: None, nonce: None, by: operator() }
    }

    pub fn exchange(&self, instance: &str, specification: i64) -> UpgradeRequest {
        let (account_id, instance_id) = (self.id, instance.to_owned());
        UpgradeRequest {
            account_id,
            instance_id,
            specification,
            idempotency_key: None,
            nonce: None,
            by: operator(),
        }
    }

    pub fn giving_back(&self, instance: &str) -> RefundRequest {
        let (account_id, instance_id) = (self.id, instance.to_owned());
        RefundRequest { account_id, instance_id, idempotency_key: None, nonce: None, by: operator() }
    }

    pub async fn refund(&self, instance: &str) -> Result<i64, PurchaseError> {
        self.store.refund(&self.giving_back(instance)).await.map(|receipt| receipt.amount_micros)
    }

    pub async fn package(&self, instance: &str) -> PackageRow {
        self.store.package(self.id, instance).await.expect("read").expect("the package")
    }

    pub async fn packages(&self) -> Vec<PackageRow> {
        self.store.packages(self.id, &PackageFilter::default()).await.expect("read")
    }
}

/// The tables of the store, less the node's own (heartbeats).
const TABLES: [&str; 25] = [
    "account",
    "account_state",
    "audit",
    "bill",
    "contact",
    "content",
    "api_nonce",
    "idempotency",
    "ledger",
    "message",
    "notice",
    "package",
    "package_day",
    "purchase_order",
    "queue",
    "quota_event",
    "recipient",
    "setting",
    "settlement",
    "sms",
    "station_message",
    "top_up",
    "outcome_day",
    "usage_hour",
    "invalid_address",
];

pub async fn raw(bench: &Bench) -> sqlx::AnyConnection {
    let url = match bench.url.as_str() {
        "sqlite" => format!("sqlite://{}", bench.dir.path().join("indicia.db").display()),
        url => url.to_owned(),
    };
    sqlx::AnyConnection::connect(&url).await.expect("connected")
}

/// Every row of every table, as text.
pub async fn dump(bench: &Bench) -> Vec<String> {
    let mut connection = raw(bench).await;
    let mut rows = Vec::new();
    for table in TABLES {
        let sql = sqlx::AssertSqlSafe(format!("SELECT * FROM {table}"));
        for row in sqlx::query(sql).fetch_all(&mut connection).await.expect("read") {
            let values: Vec<String> =
                row.columns().iter().map(|column| value(&row, column.ordinal())).collect();
            rows.push(format!("{table} {}", values.join(" | ")));
        }
    }
    connection.close().await.expect("closed");
    rows.sort_unstable();
    rows
}

fn value(row: &sqlx::any::AnyRow, column: usize) -> String {
    let number = row.try_get::<Option<i64>, _>(column).map(|value| value.map(|value| value.to_string()));
    let text = number.or_else(|_| row.try_get::<Option<String>, _>(column));
    let bytes =
        text.or_else(|_| row.try_get::<Option<Vec<u8>>, _>(column).map(|value| value.map(hex::encode)));
    bytes.expect("a number, a text or bytes").unwrap_or_else(|| "-".to_owned())
}
