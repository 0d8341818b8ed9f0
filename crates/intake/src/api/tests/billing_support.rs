//! What the tests of the billing API share: mails to pay for, hours that pass, sums of an answer.

use indicia_domain::ledger::bill::CollectionPolicy;
use indicia_domain::ledger::price::PriceList;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{Clock, DAY_MICROS, HOUR_MICROS, UnixMicros};
use serde_json::Value;

use super::harness::*;

pub const SENDER: &str = "news@example.com";
const PACKAGE: [(&str, &str); 5] = [
    ("ProductCode", "dm"),
    ("PackageType", "FPT_dm_package"),
    ("Specification", "50000"),
    ("Duration", "6"),
    ("PricingCycle", "Month"),
];

/// What CreateResourcePackage and GetResourcePackagePrice are asked, with changes; an empty value leaves one out.
pub fn package<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    changed(&PACKAGE, changes)
}

pub fn changed<'a>(query: &[(&'a str, &'a str)], changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut query = query.to_vec();
    query.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    query.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    query
}

/// An instant.
pub fn at(text: &str) -> UnixMicros {
    UnixMicros::parse(text).unwrap()
}

/// A JSON number or text as the exact amount that it writes.
pub fn money(value: &Value) -> MoneyMicros {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.parse().unwrap_or_else(|error| panic!("{value}: {error}"))
}

/// The exact sum of one field over rows.
pub fn sum(rows: &[Value], field: &str) -> MoneyMicros {
    MoneyMicros(rows.iter().map(|row| money(&row[field]).0).sum())
}

/// The rows whose field has this value.
pub fn with<'a>(rows: &'a [Value], field: &str, value: &str) -> Vec<&'a Value> {
    rows.iter().filter(|row| row[field] == value).collect()
}

impl Client<'_> {
    /// The rows of an answer, after the path to them.
    pub async fn rows(&self, action: &str, query: &[(&str, &str)], path: &str) -> Vec<Value> {
        let answer = self.bss(action, query).await.ok();
        let rows = answer.pointer(path).unwrap_or_else(|| panic!("{path} of {answer}"));
        rows.as_array().unwrap().clone()
    }

    /// Has `count` mails accepted, a hundred a call; returns the messages' ids.
    pub async fn use_mails(&self, count: usize) -> Vec<i64> {
        self.use_mails_from(SENDER, count).await
    }

    pub async fn use_mails_from(&self, sender: &str, count: usize) -> Vec<i64> {
        let mut ids = Vec::new();
        for start in (0..count).step_by(100) {
            let to: Vec<String> =
                (start..count.min(start + 100)).map(|n| format!("u{n}@y.example")).collect();
            let form = [
                ("AccountName", sender),
                ("AddressType", "1"),
                ("ReplyToAddress", "False"),
                ("ToAddress", &to.join(",")),
                ("Subject", "s"),
                ("TextBody", "b"),
            ];
            let sent = self.form("SingleSendMail", &form).await.ok();
            ids.push(sent["EnvId"].as_str().unwrap().parse().unwrap());
        }
        ids
    }

    /// Buys a package; returns its instance id.
    pub async fn buy(&self, changes: &[(&str, &str)]) -> String {
        let bought = self.bss("CreateResourcePackage", &package(changes)).await.ok();
        bought["Data"]["InstanceId"].as_str().unwrap().to_owned()
    }

    /// The package as QueryResourcePackageInstances lists it.
    pub async fn listed(&self, instance_id: &str) -> Option<Value> {
        let rows = self.rows("QueryResourcePackageInstances", &[], "/Data/Instances/Instance").await;
        rows.into_iter().find(|row| row["InstanceId"] == instance_id)
    }
}

impl Server {
    /// Moves the clock to the next full hour and runs the billing job.
    pub async fn next_hour(&self) {
        let now = self.clock.now().0;
        self.clock.set(UnixMicros((now / HOUR_MICROS + 1) * HOUR_MICROS));
        self.bill().await;
    }

    pub async fn bill(&self) {
        self.store.make_bills(&PriceList::default(), &CollectionPolicy::default()).await.unwrap();
    }

    pub fn pass_days(&self, days: i64) {
        self.clock.advance_micros(days * DAY_MICROS);
    }
}
