//! Slows down who guesses passwords.
//!
//! Failures are counted per e-mail address and per network address within a window. Over the limit, every
//! further attempt is refused until the oldest failure that counts has left the window; the password is not
//! even looked at, so that guessing costs the guesser time and us nothing. A success clears the e-mail
//! address's count but not the network address's, or one known password would buy endless guesses. IPv6
//! addresses count by their /64, which is what one household or host is given.
//!
//! The counts live in this process and are bounded: when the table is full, keys whose failures have all
//! left the window go first, then the one that failed longest ago.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::Mutex,
};

use indicia_domain::time::UnixMicros;

/// How many failures are borne, and over which time.
#[derive(Clone, Copy, Debug)]
pub struct ThrottleLimits {
    pub window_us: i64,
    pub failures_per_email_max: usize,
    pub failures_per_address_max: usize,
    /// Bound on the table's size.
    pub keys_max: usize,
}

impl Default for ThrottleLimits {
    fn default() -> Self {
        Self {
            window_us: 15 * 60 * 1_000_000,
            failures_per_email_max: 8,
            failures_per_address_max: 40,
            keys_max: 20_000,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Email(String),
    /// The address, an IPv6 one cut to its /64.
    Network(IpAddr),
}

/// The counts of failed sign-ins.
#[derive(Debug)]
pub struct SignInThrottle {
    limits: ThrottleLimits,
    failures: Mutex<HashMap<Key, VecDeque<UnixMicros>>>,
}

impl SignInThrottle {
    pub fn new(limits: ThrottleLimits) -> Self {
        Self { limits, failures: Mutex::new(HashMap::new()) }
    }

    /// Microseconds to wait before the next attempt is looked at; zero when it may be made now.
    pub fn wait_us(&self, email: &str, address: Option<IpAddr>, now: UnixMicros) -> i64 {
        let failures = self.failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        self.keys(email, address)
            .into_iter()
            .filter_map(|key| {
                let times = failures.get(&key)?;
                let limit = self.limit(&key);
                let deciding = times.len().checked_sub(limit)?;
                let until = times.get(deciding)?.0.saturating_add(self.limits.window_us);
                Some(until.saturating_sub(now.0).max(0))
            })
            .max()
            .unwrap_or(0)
    }

    /// Notes a wrong password.
    pub fn failed(&self, email: &str, address: Option<IpAddr>, now: UnixMicros) {
        let mut failures = self.failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for key in self.keys(email, address) {
            if !failures.contains_key(&key) && failures.len() >= self.limits.keys_max {
                make_room(&mut failures, now.0.saturating_sub(self.limits.window_us));
            }
            let limit = self.limit(&key);
            let times = failures.entry(key).or_default();
            times.push_back(now);
            while times.len() > limit {
                times.pop_front();
            }
        }
    }

    /// Notes a right password.
    pub fn succeeded(&self, email: &str) {
        let mut failures = self.failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        failures.remove(&Key::Email(normal_form(email)));
    }

    fn keys(&self, email: &str, address: Option<IpAddr>) -> Vec<Key> {
        let mut keys = vec![Key::Email(normal_form(email))];
        keys.extend(address.map(|address| Key::Network(network_of(address))));
        keys
    }

    fn limit(&self, key: &Key) -> usize {
        match key {
            Key::Email(_) => self.limits.failures_per_email_max,
            Key::Network(_) => self.limits.failures_per_address_max,
        }
        .max(1)
    }
}

fn make_room(failures: &mut HashMap<Key, VecDeque<UnixMicros>>, window_start: i64) {
    failures.retain(|_, times| times.back().is_some_and(|last| last.0 > window_start));
    // Of equally stale ones an e-mail address: who tries many of them must not push out the count of his own network.
    let staleness =
        |key: &Key, times: &VecDeque<UnixMicros>| (times.back().copied(), matches!(key, Key::Network(_)));
    let stalest =
        failures.iter().min_by_key(|(key, times)| staleness(key, times)).map(|(key, _)| key.clone());
    if let Some(key) = stalest {
        failures.remove(&key);
    }
}

/// E-mail addresses are counted without regard to case, and never at more than their longest legal length.
fn normal_form(email: &str) -> String {
    email.trim().chars().take(254).collect::<String>().to_lowercase()
}

fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60 * 1_000_000;

    fn throttle() -> SignInThrottle {
        SignInThrottle::new(ThrottleLimits {
            window_us: 15 * MINUTE,
            failures_per_email_max: 3,
            failures_per_address_max: 5,
            keys_max: 4,
        })
    }

    #[test]
    fn an_address_is_closed_until_its_oldest_failure_is_out_of_the_window() {
        let throttle = throttle();
        for minute in 0..3 {
            assert_eq!(throttle.wait_us("A@b.example", None, UnixMicros(minute * MINUTE)), 0);
            throttle.failed("a@B.example", None, UnixMicros(minute * MINUTE));
        }
        assert_eq!(throttle.wait_us("a@b.example", None, UnixMicros(3 * MINUTE)), 12 * MINUTE);
        assert_eq!(throttle.wait_us("a@b.example", None, UnixMicros(15 * MINUTE)), 0);
        assert_eq!(throttle.wait_us("other@b.example", None, UnixMicros(3 * MINUTE)), 0);
    }

    #[test]
    fn one_known_password_does_not_reopen_the_network_address() {
        let throttle = throttle();
        let address = Some(IpAddr::from([192, 0, 2, 7]));
        for victim in 0..5 {
            throttle.failed(&format!("v{victim}@b.example"), address, UnixMicros(0));
        }
        throttle.succeeded("mine@b.example");
        assert!(throttle.wait_us("mine@b.example", address, UnixMicros(1)) > 0);
        assert_eq!(throttle.wait_us("mine@b.example", Some(IpAddr::from([192, 0, 2, 8])), UnixMicros(1)), 0);
    }

    #[test]
    fn success_clears_the_email() {
        let throttle = throttle();
        for _ in 0..3 {
            throttle.failed("a@b.example", None, UnixMicros(0));
        }
        throttle.succeeded("a@b.example");
        assert_eq!(throttle.wait_us("a@b.example", None, UnixMicros(1)), 0);
    }

    #[test]
    fn ipv6_counts_by_its_64() {
        let (one, two) = ("2001:db8:1:2::1".parse::<IpAddr>(), "2001:db8:1:2:ffff::9".parse::<IpAddr>());
        assert_eq!(network_of(one.unwrap()), network_of(two.unwrap()));
    }

    #[test]
    fn the_table_stays_within_its_bound() {
        let throttle = throttle();
        for number in 0..100 {
            throttle.failed(&format!("{number}@b.example"), None, UnixMicros(number));
        }
        assert!(throttle.failures.lock().unwrap().len() <= 4);
    }
}
