//! How often an account may call an action.
//!
//! A generic cell rate for each (account, action): so many a second, with a burst of one second's worth. Over it the call
//! is answered `Throttling.User` with `x-acs-retry-after` in milliseconds, from which the SDKs raise their
//! ThrottlingException. Nothing of a throttled call is carried out, and it uses up no quota.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::http::StatusCode;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::error::ApiError;

/// Calls a second for each account. Zero means no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThrottleLimits {
    /// For actions that `calls_per_second` does not name.
    pub default_calls_per_second: u32,
    pub calls_per_second: BTreeMap<String, u32>,
}

impl Default for ThrottleLimits {
    /// SingleSendMail 100 a second as in the original (dossier 3); the rest is ours.
    fn default() -> Self {
        ThrottleLimits::of(100, 50)
    }
}

/// Actions that make keys or ask DNS, with the most calls a second of each.
const COSTLY: [(&str, u32); 3] = [("CreateDomain", 5), ("ChangeDomainDkimRecord", 5), ("CheckDomain", 10)];

impl ThrottleLimits {
    /// The limits as an operator sets them: calls a second of SingleSendMail, and of each other action. Costly actions
    /// have lower limits of their own; `other_calls_per_second` caps those too, and as 0 it lifts them with the rest,
    /// so that SingleSendMail alone stays limited.
    pub fn of(sends_per_second: u32, other_calls_per_second: u32) -> Self {
        let mut calls_per_second = BTreeMap::from([("SingleSendMail".to_owned(), sends_per_second)]);
        if other_calls_per_second > 0 {
            let capped =
                |(action, calls): (&str, u32)| (action.to_owned(), calls.min(other_calls_per_second));
            calls_per_second.extend(COSTLY.map(capped));
        }
        ThrottleLimits { default_calls_per_second: other_calls_per_second, calls_per_second }
    }
}

/// Limiters of all actions.
#[derive(Debug)]
pub struct Throttle {
    by_action: HashMap<String, DefaultKeyedRateLimiter<i64>>,
    others: Option<DefaultKeyedRateLimiter<(i64, String)>>,
    unlimited: Vec<String>,
    clock: DefaultClock,
    checks: AtomicU32,
}

/// After how many checks accounts that have been quiet are forgotten.
const CHECKS_BETWEEN_SWEEPS: u32 = 100_000;

impl Throttle {
    pub fn new(limits: &ThrottleLimits) -> Self {
        let limiter = |calls| NonZeroU32::new(calls).map(Quota::per_second);
        Throttle {
            by_action: limits
                .calls_per_second
                .iter()
                .filter_map(|(action, calls)| Some((action.clone(), RateLimiter::keyed(limiter(*calls)?))))
                .collect(),
            others: limiter(limits.default_calls_per_second).map(RateLimiter::keyed),
            unlimited: limits
                .calls_per_second
                .iter()
                .filter(|(_, calls)| **calls == 0)
                .map(|(action, _)| action.clone())
                .collect(),
            clock: DefaultClock::default(),
            checks: AtomicU32::new(0),
        }
    }

    /// Counts one call, or says when to come back.
    pub fn check(&self, account_id: i64, action: &str) -> Result<(), ApiError> {
        if self.checks.fetch_add(1, Ordering::Relaxed).is_multiple_of(CHECKS_BETWEEN_SWEEPS) {
            self.by_action.values().for_each(|limiter| limiter.retain_recent());
            self.others.iter().for_each(|limiter| limiter.retain_recent());
        }
        let outcome = match (self.by_action.get(action), &self.others) {
            (Some(limiter), _) => limiter.check_key(&account_id),
            (None, _) if self.unlimited.iter().any(|name| name == action) => return Ok(()),
            (None, Some(limiter)) => limiter.check_key(&(account_id, action.to_owned())),
            (None, None) => return Ok(()),
        };
        outcome.map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            too_often(action, u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1))
        })
    }
}

/// The refusal of a call that comes too early.
pub fn too_often(action: &str, retry_after_ms: u64) -> ApiError {
    let mut error = ApiError::new(
        StatusCode::BAD_REQUEST,
        "Throttling.User",
        format!(
            "Request was denied due to user flow control: {action} was called too often; it may be called again in {retry_after_ms} ms."
        ),
        "Wait as long as the header x-acs-retry-after says (milliseconds), then repeat the call.",
    );
    error.retry_after_ms = Some(retry_after_ms);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(default: u32, send: u32) -> Throttle {
        Throttle::new(&ThrottleLimits {
            default_calls_per_second: default,
            calls_per_second: BTreeMap::from([("SingleSendMail".to_owned(), send)]),
        })
    }

    #[test]
    fn each_account_and_action_has_its_own_rate() {
        let throttle = limits(1, 2);
        assert!(throttle.check(1, "SingleSendMail").is_ok());
        assert!(throttle.check(1, "SingleSendMail").is_ok());
        let refused = throttle.check(1, "SingleSendMail").unwrap_err();
        assert_eq!((refused.code.as_ref(), refused.status), ("Throttling.User", StatusCode::BAD_REQUEST));
        assert!(refused.retry_after_ms.is_some_and(|ms| (1..=501).contains(&ms)), "{refused:?}");
        assert!(throttle.check(2, "SingleSendMail").is_ok());
        assert!(throttle.check(1, "DescDomain").is_ok());
        assert!(throttle.check(1, "DescDomain").is_err());
        assert!(throttle.check(1, "QueryDomainByParam").is_ok());
    }

    #[test]
    fn one_number_lifts_every_limit_but_that_of_sending() {
        let allowed = |limits: &ThrottleLimits, action: &str| {
            let throttle = Throttle::new(limits);
            (0..200).take_while(|_| throttle.check(1, action).is_ok()).count()
        };
        let lifted = ThrottleLimits::of(7, 0);
        assert!((7..12).contains(&allowed(&lifted, "SingleSendMail")));
        for action in ["CreateDomain", "ChangeDomainDkimRecord", "CheckDomain", "DescDomain"] {
            assert_eq!(allowed(&lifted, action), 200, "{action}");
            assert!((2..5).contains(&allowed(&ThrottleLimits::of(7, 2), action)), "{action} is capped");
        }
        assert!((5..10).contains(&allowed(&ThrottleLimits::of(7, 20), "CreateDomain")));
        assert_eq!(ThrottleLimits::default(), ThrottleLimits::of(100, 50));
    }

    #[test]
    fn zero_is_no_limit() {
        let throttle = limits(1, 0);
        assert!((0..1_000).all(|_| throttle.check(1, "SingleSendMail").is_ok()));
        let throttle = limits(0, 1);
        assert!((0..1_000).all(|_| throttle.check(1, "DescDomain").is_ok()));
    }
}
