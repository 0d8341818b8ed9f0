//! What things cost, when they are collected, and who may say that somebody paid.

use indicia_domain::ledger::bill::CollectionPolicy;
use indicia_domain::ledger::price::{EXPIRY_LEADS_DAYS, Offer, PriceList};
use indicia_domain::money::MoneyMicros;
use indicia_intake::payment::PaymentSettings;
use serde::Deserialize;

use super::{ConfigError, wrong};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BillingSection {
    pub currency: String,
    /// The billing zone of new accounts.
    pub time_zone: String,
    pub package: Vec<PackageSection>,
    pub pay_as_you_go_per_1000: String,
    pub validity_months: u32,
    /// R11: open bills of this much are collected at once; decimal.
    pub collection_threshold: String,
    /// R11: an overdue account may still send what free credit and packages pay.
    pub overdue_spares_prepaid: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageSection {
    pub mails: i64,
    /// Decimal, in the site's currency.
    pub price: String,
}

impl Default for BillingSection {
    fn default() -> Self {
        let package = |mails, price: &str| PackageSection { mails, price: price.to_owned() };
        BillingSection {
            currency: "USD".to_owned(),
            time_zone: "Asia/Shanghai".to_owned(),
            package: vec![
                package(50_000, "13.05"),
                package(500_000, "121.80"),
                package(1_000_000, "230.55"),
                package(5_000_000, "1123.75"),
            ],
            pay_as_you_go_per_1000: "0.29".to_owned(),
            validity_months: 6,
            collection_threshold: "1000".to_owned(),
            overdue_spares_prepaid: false,
        }
    }
}

fn money(key: &'static str, text: &str) -> Result<MoneyMicros, ConfigError> {
    text.parse::<MoneyMicros>().map_err(|error| wrong(key, error))
}

/// An amount that people pay: in whole hundredths of the currency.
fn payable(key: &'static str, text: &str) -> Result<MoneyMicros, ConfigError> {
    let amount = money(key, text)?;
    match amount.is_whole_cents() {
        true => Ok(amount),
        false => Err(wrong(key, format!("'{text}' has more than two decimals; nobody can pay that"))),
    }
}

/// Currencies that have no hundredths, or finer parts: bills are rounded to hundredths (R10).
const NOT_IN_HUNDREDTHS: [&str; 23] = [
    "BHD", "BIF", "CLP", "DJF", "GNF", "IQD", "ISK", "JOD", "JPY", "KMF", "KRW", "KWD", "LYD", "OMR", "PYG",
    "RWF", "TND", "UGX", "VND", "VUV", "XAF", "XOF", "XPF",
];

impl BillingSection {
    /// R07, R10: the price list, with the leads of expiry notices (R14); refused when it breaks R07.
    pub fn price_list(&self, expiry_days: &[i64]) -> Result<PriceList, ConfigError> {
        let mut offers = Vec::new();
        for package in &self.package {
            offers.push(Offer {
                mails: package.mails,
                price: payable("billing.package.price", &package.price)?,
            });
        }
        let per_thousand = money("billing.pay_as_you_go_per_1000", &self.pay_as_you_go_per_1000)?;
        if per_thousand.0 % 1_000 != 0 {
            return Err(wrong("billing.pay_as_you_go_per_1000", "a single mail must cost whole millionths"));
        }
        PriceList::new(offers, MoneyMicros(per_thousand.0 / 1_000), self.validity_months)
            .map_err(|error| wrong("billing.package", error))?
            .with_expiry_leads(expiry_days.to_vec())
            .map_err(|error| wrong("notices.expiry_days", error))
    }

    pub fn collection(&self) -> Result<CollectionPolicy, ConfigError> {
        let threshold = payable("billing.collection_threshold", &self.collection_threshold)?;
        if threshold.0 <= 0 {
            return Err(wrong("billing.collection_threshold", "it must be more than zero"));
        }
        Ok(CollectionPolicy { threshold })
    }

    pub fn check(&self) -> Result<(), ConfigError> {
        indicia_domain::time::zone(&self.time_zone).map_err(|error| wrong("billing.time_zone", error))?;
        let currency = &self.currency;
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(wrong(
                "billing.currency",
                format!("'{currency}' is not a currency code such as USD"),
            ));
        }
        if NOT_IN_HUNDREDTHS.contains(&currency.as_str()) {
            return Err(wrong(
                "billing.currency",
                format!(
                    "{currency} is not divided into hundredths, and bills are rounded to hundredths; use another currency"
                ),
            ));
        }
        self.collection()?;
        Ok(())
    }
}

/// R14, R11: who is told what, and from whom.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NoticesSection {
    /// Days before a package's end.
    pub expiry_days: Vec<i64>,
    /// Days before the 1st at which an account is told that its balance will not cover its bills; 0: not at all.
    pub collection_days: i64,
    /// The address that notices by e-mail come from; without it there are none.
    pub from: Option<String>,
}

impl Default for NoticesSection {
    fn default() -> Self {
        NoticesSection { expiry_days: EXPIRY_LEADS_DAYS.to_vec(), collection_days: 3, from: None }
    }
}

impl NoticesSection {
    pub fn check(&self) -> Result<(), ConfigError> {
        if !(0..=20).contains(&self.collection_days) {
            return Err(wrong("notices.collection_days", "it is from 0 to 20 days"));
        }
        let Some(from) = &self.from else { return Ok(()) };
        let good = from.split_once('@').is_some_and(|(local, domain)| {
            let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
            plain(local) && plain(domain) && domain.contains('.') && !domain.contains('@')
        });
        match good {
            true => Ok(()),
            false => Err(wrong(
                "notices.from",
                format!("'{from}' is not an address such as billing@mail.example.net"),
            )),
        }
    }
}

/// Payments that a provider tells of, see docs/payment.md.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PaymentSection {
    /// Signing secrets of the webhook endpoint; several while one is being replaced.
    pub stripe_secrets: Vec<String>,
    pub tolerance_seconds: Option<i64>,
}

/// Leaves the secrets out.
impl std::fmt::Debug for PaymentSection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PaymentSection")
            .field("stripe_secrets", &self.stripe_secrets.len())
            .field("tolerance_seconds", &self.tolerance_seconds)
            .finish()
    }
}

impl PaymentSection {
    pub fn settings(&self, currency: &str) -> Result<PaymentSettings, ConfigError> {
        let settings = PaymentSettings {
            currency: currency.to_owned(),
            secrets: self.stripe_secrets.clone(),
            tolerance_seconds: self.tolerance_seconds.unwrap_or(PaymentSettings::TOLERANCE_SECONDS_DEFAULT),
        };
        settings.check().map_err(|error| wrong("payment", error))?;
        Ok(settings)
    }
}
