//! What every page has at hand.

use std::{ops::Deref, sync::Arc};

use indicia_domain::{
    ledger::{bill::CollectionPolicy, price::PriceList},
    mail::admission::Policy,
    time::{Clock, UnixMicros},
};
use indicia_store::Store;

use crate::{
    demo::{DemoClock, DemoInbox},
    session::{
        cookie::CookieJar,
        password::PasswordChecker,
        throttle::{SignInThrottle, ThrottleLimits},
    },
};

/// How the console is reached and what it shows; the binary fills it from the configuration.
#[derive(Clone, Debug)]
pub struct ConsoleConfig {
    /// The console's address as browsers see it; with `https://`, cookies are Secure.
    pub public_url: String,
    /// The site's currency code, written before every amount.
    pub currency: String,
    /// A session ends when nothing was asked for so long, in microseconds.
    pub session_idle_us: i64,
    /// A session ends at this age whatever happens, in microseconds.
    pub session_lifetime_us: i64,
    pub throttle: ThrottleLimits,
    /// What senders have to put into DNS, for the page of a domain.
    pub dns: DnsAdvice,
    /// When open bills are collected (R11), for the pages that say so; the same as the billing job's.
    pub collection: CollectionPolicy,
}

/// What the API's CheckDomain looks for in a sender's DNS; the binary gives both the same.
#[derive(Clone, Debug)]
pub struct DnsAdvice {
    /// The whole SPF record: `v=spf1 include:… -all`.
    pub spf_record: String,
    /// The DMARC record's value.
    pub dmarc_record: String,
    /// The host that MX has to name.
    pub mx_host: String,
    /// The label under the domain at which the ownership TXT record stands; empty for the domain itself.
    pub ownership_label: String,
}

impl Default for DnsAdvice {
    fn default() -> Self {
        Self {
            spf_record: "v=spf1 include:spf.mail.example.net -all".into(),
            dmarc_record: "v=DMARC1; p=none".into(),
            mx_host: "mx.mail.example.net".into(),
            ownership_label: "indicia".into(),
        }
    }
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        const HOUR_US: i64 = 3_600 * 1_000_000;
        Self {
            public_url: "http://127.0.0.1:8026".into(),
            currency: "USD".into(),
            session_idle_us: 2 * HOUR_US,
            session_lifetime_us: 24 * HOUR_US,
            throttle: ThrottleLimits::default(),
            dns: DnsAdvice::default(),
            collection: CollectionPolicy::default(),
        }
    }
}

/// How long a session of the demo lasts by the demo's own clock: a hundred years.
const DEMO_SESSION_US: i64 = 36_525 * 86_400 * 1_000_000;

/// The demo's own parts; absent in a real service.
#[derive(Clone)]
pub struct Demo {
    pub inbox: Arc<dyn DemoInbox>,
    pub clock: Arc<dyn DemoClock>,
}

/// Shared by all handlers; cheap to clone.
#[derive(Clone)]
pub struct ConsoleState(Arc<Inner>);

/// The parts of the state.
pub struct Inner {
    pub config: ConsoleConfig,
    pub store: Store,
    pub clock: Arc<dyn Clock>,
    pub prices: PriceList,
    pub policy: Policy,
    pub demo: Option<Demo>,
    pub throttle: SignInThrottle,
    pub passwords: PasswordChecker,
}

impl ConsoleState {
    /// A console over `store`; `demo` only in `indicia demo`.
    pub fn new(
        mut config: ConsoleConfig,
        store: Store,
        prices: PriceList,
        policy: Policy,
        demo: Option<Demo>,
    ) -> Self {
        if demo.is_some() {
            // The demo's clock jumps by weeks; a session measured by it would end at every jump.
            config.session_idle_us = DEMO_SESSION_US;
            config.session_lifetime_us = DEMO_SESSION_US;
        }
        let throttle = SignInThrottle::new(config.throttle);
        let clock = store.clock().clone();
        let passwords = PasswordChecker::default();
        Self(Arc::new(Inner { config, store, clock, prices, policy, demo, throttle, passwords }))
    }

    /// The present instant by the service's clock.
    pub fn now(&self) -> UnixMicros {
        self.clock.now()
    }

    /// How cookies are named and marked here.
    pub fn cookies(&self) -> CookieJar {
        CookieJar::for_url(&self.config.public_url)
    }

    /// An amount of money in the site's currency.
    pub fn money(&self, amount_micros: i64) -> String {
        crate::format::money(&self.config.currency, amount_micros)
    }
}

impl Deref for ConsoleState {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
