//! The configuration: one typed struct, read from TOML and the environment.
//!
//! Every key has a default, so that an empty file is a valid one. An unknown key is an error that names it. Every
//! key can also be given as `INDICIA_SECTION__KEY` in the environment, which wins over the file.

mod billing;
mod environment;
mod quota;
mod sections;
mod sms;
mod warmup;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicia_domain::ledger::price::PriceList;
use indicia_domain::mail::admission::Policy;
use indicia_store::Store;
use serde::Deserialize;

use crate::clock::SystemClock;

pub use billing::*;
pub use quota::*;
pub use sections::*;
pub use sms::*;
pub use warmup::*;

/// The whole configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub data_dir: PathBuf,
    pub store: StoreSection,
    pub api: ApiSection,
    pub console: ConsoleSection,
    pub submission: SubmissionSection,
    pub inbound: InboundSection,
    pub metrics: MetricsSection,
    pub dns: DnsSection,
    pub delivery: DeliverySection,
    pub sms: SmsSection,
    pub billing: BillingSection,
    pub notices: NoticesSection,
    pub payment: PaymentSection,
    pub free_credit: FreeCreditSection,
    pub quota: QuotaSection,
    pub warmup: WarmupSection,
    pub limits: LimitsSection,
    pub log: LogSection,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data_dir: PathBuf::from("indicia-data"),
            store: StoreSection::default(),
            api: ApiSection::default(),
            console: ConsoleSection::default(),
            submission: SubmissionSection::default(),
            inbound: InboundSection::default(),
            metrics: MetricsSection::default(),
            dns: DnsSection::default(),
            delivery: DeliverySection::default(),
            sms: SmsSection::default(),
            billing: BillingSection::default(),
            notices: NoticesSection::default(),
            payment: PaymentSection::default(),
            free_credit: FreeCreditSection::default(),
            quota: QuotaSection::default(),
            warmup: WarmupSection::default(),
            limits: LimitsSection::default(),
            log: LogSection::default(),
        }
    }
}

/// Why a configuration is not usable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the configuration file {path} cannot be read: {source}")]
    Unreadable { path: String, source: std::io::Error },
    #[error("the configuration file {path} is wrong: {message}")]
    Malformed { path: String, message: String },
    #[error("the environment variable {name} is wrong: {message}")]
    Environment { name: String, message: String },
    #[error("{key}: {message}")]
    Value { key: &'static str, message: String },
}

fn wrong(key: &'static str, message: impl ToString) -> ConfigError {
    ConfigError::Value { key, message: message.to_string() }
}

impl Config {
    /// Reads `file` (without one: the defaults), lays the environment over it and checks the whole.
    pub fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
        let mut table = toml::Table::new();
        if let Some(path) = file {
            let shown = path.display().to_string();
            let text = std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Unreadable { path: shown.clone(), source })?;
            let malformed = |message: String| ConfigError::Malformed { path: shown.clone(), message };
            // Read as the struct first: its errors name line and key.
            toml::from_str::<Config>(&text).map_err(|error| malformed(error.to_string()))?;
            table = text.parse().map_err(|error: toml::de::Error| malformed(error.to_string()))?;
        }
        let config = environment::overlay(table, std::env::vars())?;
        config.check()?;
        Ok(config)
    }

    /// What the types cannot say.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.price_list()?;
        self.policy()?;
        self.warmup.policy()?;
        self.delivery.check()?;
        self.submission.check()?;
        self.billing.check()?;
        self.notices.check()?;
        self.payment.settings(&self.billing.currency)?;
        self.sms.gateway(Arc::new(SystemClock))?;
        let url = &self.console.public_url;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(wrong("console.public_url", format!("'{url}' must begin with http:// or https://")));
        }
        let known = self.store.url == "sqlite" || self.store.url.starts_with("postgres");
        if !known {
            return Err(wrong("store.url", "write sqlite or postgres://user:password@host/database"));
        }
        Ok(())
    }

    /// R07, R10: the price list; refused when it breaks R07.
    pub fn price_list(&self) -> Result<PriceList, ConfigError> {
        self.billing.price_list(&self.notices.expiry_days)
    }

    /// Gives the store the numbers that quotas and warm-ups are decided by.
    pub fn set_policies(&self, store: &Store) -> Result<(), ConfigError> {
        store.set_quota_policy(self.quota.policy()?);
        store.set_warmup_policy(self.warmup.policy()?);
        Ok(())
    }

    /// The numbers that admission needs.
    pub fn policy(&self) -> Result<Policy, ConfigError> {
        let (free, quota) = (&self.free_credit, self.quota.policy()?);
        if free.total_mails < 0 || free.daily_mails < 0 {
            return Err(wrong("free_credit", "numbers of mails cannot be negative"));
        }
        Ok(Policy {
            free_total_mails: free.total_mails,
            free_daily_mails: free.daily_mails,
            overdue_spares_prepaid: self.billing.overdue_spares_prepaid,
            pay_as_you_go: self.price_list()?.pay_as_you_go(),
            initial_daily_quota: quota.initial_daily_mails,
            initial_level: quota.initial_level,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string()).map(|()| config)
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert!(read("").is_ok());
    }

    #[test]
    fn an_unknown_key_is_named() {
        assert!(read("[api]\nlissten = \"127.0.0.1:1\"").unwrap_err().contains("lissten"));
    }

    #[test]
    fn r07_a_price_list_that_breaks_the_rule_is_refused() {
        let error = read("[[billing.package]]\nmails = 100\nprice = \"1.00\"").unwrap_err();
        assert!(error.contains("billing.package") && error.contains("R07"), "{error}");
    }

    #[test]
    fn wrong_values_say_what_to_write() {
        for (text, word) in [
            ("[billing]\ntime_zone = \"Mars/Base\"", "Mars/Base"),
            ("[billing]\ncurrency = \"dollar\"", "USD"),
            ("[console]\npublic_url = \"ftp://x\"", "http"),
            ("[store]\nurl = \"mysql://x\"", "postgres"),
            ("[delivery]\nretry_pauses_seconds = []", "retry_pauses_seconds"),
            ("[delivery]\nlocal_addresses = [\"mx.example.net\"]", "local_addresses"),
            ("[delivery]\nlocal_addresses = [\"0.0.0.0\"]", "local_addresses"),
            ("[warmup]\nschedule = \"fast\"", "warmup.schedule"),
            ("[quota]\ninitial_level = 11", "initial_level"),
            ("[quota.lower]\narrival = 85.00001", "four decimals"),
            ("[sms]\ngateway = \"smpp\"", "system_id"),
            ("[sms]\ngateway = \"http\"", "key_id"),
            ("[billing]\ncollection_threshold = \"0\"", "collection_threshold"),
            ("[billing]\ncollection_threshold = \"0.055\"", "two decimals"),
            ("[billing]\ncurrency = \"JPY\"", "hundredths"),
            ("[[billing.package]]\nmails = 100\nprice = \"0.015\"", "two decimals"),
            ("[notices]\nexpiry_days = [0]", "expiry_days"),
            ("[notices]\nfrom = \"billing\"", "notices.from"),
            ("[payment]\nstripe_secrets = [\"\"]", "payment"),
            ("[submission]\ncertificate = \"a.pem\"", "key"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn the_contracts_example_is_read() {
        let text = include_str!("../../tests/contract.toml");
        let config = read(text).expect("the contract's keys");
        assert_eq!(config.delivery.route[0].port, Some(2600));
        assert_eq!(config.submission.trusted.len(), 1);
    }
}
