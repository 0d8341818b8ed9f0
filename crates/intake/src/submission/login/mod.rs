//! Who logs in: a sender address with its own password or its domain's, or a domain with its password (dossier 6).
//!
//! The first right login of a password costs one argon2id computation, at most two of which run at once, off the
//! async threads; every further one costs an HMAC ([`memory`]). A wrong password always costs two computations,
//! whether the user exists or not and however many passwords it has, so that the time of the answer tells nothing.
//! [`throttle`] bounds how often anyone may guess.

mod memory;
mod throttle;

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use aws_lc_rs::error::Unspecified;
use indicia_smtp::server::Secret;
use indicia_store::{Store, StoreError};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::cache::{Cache, TIME_TO_LIVE};
use memory::Memory;
pub use throttle::LoginLimits;
use throttle::{Pause, Throttle};

/// A computation takes some 20 MB and tens of milliseconds; more of them at once would take both from the mail.
const CHECKS_AT_ONCE_MAX: usize = 2;
/// Passwords that one user can have: the address's own and the domain's.
const PASSWORDS_MAX: usize = 2;
const PASSWORD_BYTES_MAX: usize = 256;
const USER_BYTES_MAX: usize = 320;
const USERS_KEPT_MAX: usize = 10_000;

/// A hash that no user has. Made at the first login, with the parameters that real passwords are stored with. Should
/// that fail for want of memory or randomness, unknown users are answered faster than others until the next start.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    let hash = Argon2::default().hash_password(b"nobody logs in with this");
    hash.map(|hash| hash.to_string()).unwrap_or_default()
});

/// What a login allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) account_id: i64,
    /// The user as it logged in, lower case.
    pub(super) user: Arc<str>,
    pub(super) scope: Scope,
    pub(super) domain: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The address that logged in, by its own password.
    Address,
    /// The address that logged in, by the domain's password: it need not be registered.
    AddressOfDomain,
    /// Every address of the domain that logged in.
    Domain,
}

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoginError {
    #[error("user and password do not belong together")]
    Wrong,
    #[error("too many failed logins; the next is looked at in {} s", left.as_secs() + 1)]
    Paused { left: Duration, is_for_peer: bool },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Pause> for LoginError {
    fn from(pause: Pause) -> Self {
        LoginError::Paused { left: pause.left, is_for_peer: pause.is_for_peer }
    }
}

/// A user's passwords, and what each allows.
#[derive(Debug)]
struct Candidates {
    account_id: i64,
    domain: Arc<str>,
    passwords: Vec<(String, Scope)>,
}

pub(super) struct Logins {
    store: Store,
    users: Cache<String, Arc<Candidates>>,
    memory: Memory,
    throttle: Throttle,
    checks: Semaphore,
}

impl Logins {
    pub(super) fn new(store: Store, limits: LoginLimits) -> Result<Logins, Unspecified> {
        Ok(Logins {
            store,
            users: Cache::new(TIME_TO_LIVE, USERS_KEPT_MAX),
            memory: Memory::new()?,
            throttle: Throttle::new(limits),
            checks: Semaphore::new(CHECKS_AT_ONCE_MAX),
        })
    }

    /// Checks a login. The answer to a wrong one takes longer the more there were.
    pub(super) async fn check(
        &self,
        user: &str,
        password: &Secret,
        peer: IpAddr,
    ) -> Result<Grant, LoginError> {
        let user = user.trim().to_lowercase();
        self.paused(&user, peer)?;
        if let Some(candidates) = self.users.get(user.as_str())
            && let Some(grant) = self.remembered(&user, password, &candidates)
        {
            return Ok(grant);
        }
        let candidates = Arc::new(self.candidates(&user).await?);
        let grant = match self.remembered(&user, password, &candidates) {
            Some(grant) => Some(grant),
            None => self.compute(&user, password, peer, &candidates).await?,
        };
        match grant {
            Some(grant) => {
                self.throttle.succeeded(&user, peer);
                self.users.put(user, candidates);
                Ok(grant)
            }
            None => {
                sleep(self.throttle.failed(&user, peer, Instant::now())).await;
                Err(LoginError::Wrong)
            }
        }
    }

    fn paused(&self, user: &str, peer: IpAddr) -> Result<(), LoginError> {
        self.throttle.pause(user, peer, Instant::now()).map_or(Ok(()), |pause| Err(pause.into()))
    }

    async fn candidates(&self, user: &str) -> Result<Candidates, StoreError> {
        let none = Candidates { account_id: 0, domain: Arc::from(""), passwords: Vec::new() };
        if user.len() > USER_BYTES_MAX {
            return Ok(none);
        }
        let (domain_name, scope) = match user.rsplit_once('@') {
            Some((_, domain)) => (domain, Scope::AddressOfDomain),
            None => (user, Scope::Domain),
        };
        if scope == Scope::AddressOfDomain
            && let Some(sender) = self.store.verified_sender(user).await?
        {
            let own = sender.password_hash.map(|hash| (hash, Scope::Address));
            let shared = sender.domain_password_hash.map(|hash| (hash, Scope::AddressOfDomain));
            return Ok(Candidates {
                account_id: sender.account_id,
                domain: sender.domain_name.into(),
                passwords: own.into_iter().chain(shared).collect(),
            });
        }
        let Some(domain) = self.store.verified_domain(domain_name).await? else { return Ok(none) };
        let passwords = domain.password_hash.map(|hash| (hash, scope)).into_iter().collect();
        Ok(Candidates { account_id: domain.account_id, domain: domain.name.into(), passwords })
    }

    fn remembered(&self, user: &str, password: &Secret, candidates: &Candidates) -> Option<Grant> {
        let known = |(hash, _): &&(String, Scope)| self.memory.knows(user, password.expose(), hash);
        candidates.passwords.iter().find(known).map(|(_, scope)| grant(user, candidates, *scope))
    }

    async fn compute(
        &self,
        user: &str,
        password: &Secret,
        peer: IpAddr,
        candidates: &Arc<Candidates>,
    ) -> Result<Option<Grant>, LoginError> {
        // The semaphore is never closed; if it were, the check would go on unbounded rather than fail.
        let _turn = self.checks.acquire().await.ok();
        // While this one waited for its turn, others may have used patience up, or have found the password right.
        self.paused(user, peer)?;
        if let Some(grant) = self.remembered(user, password, candidates) {
            return Ok(Some(grant));
        }
        let (secret, checked) = (password.clone(), candidates.clone());
        let right =
            tokio::task::spawn_blocking(move || find_right(secret.expose(), &checked.passwords)).await;
        let Ok(Some(index)) = right else { return Ok(None) };
        let Some((hash, scope)) = candidates.passwords.get(index) else { return Ok(None) };
        self.memory.keep(user, password.expose(), hash);
        Ok(Some(grant(user, candidates, *scope)))
    }
}

fn grant(user: &str, candidates: &Candidates, scope: Scope) -> Grant {
    Grant { account_id: candidates.account_id, user: user.into(), scope, domain: candidates.domain.clone() }
}

/// Which of the stored hashes the password is right against.
fn find_right(password: &str, stored: &[(String, Scope)]) -> Option<usize> {
    let password = if password.len() > PASSWORD_BYTES_MAX { "" } else { password };
    lineup(stored).position(|candidate| {
        let is_right = verify(password, candidate.unwrap_or(NOBODY.as_str()));
        is_right && candidate.is_some() && !password.is_empty()
    })
}

/// What a password is compared with: the stored hashes, then nobody's (`None`) until there are as many as any user
/// can have, so that every wrong password costs the same.
fn lineup(stored: &[(String, Scope)]) -> impl Iterator<Item = Option<&str>> {
    let missing = PASSWORDS_MAX.saturating_sub(stored.len());
    stored.iter().map(|(hash, _)| Some(hash.as_str())).chain(std::iter::repeat_n(None, missing))
}

fn verify(password: &str, stored: &str) -> bool {
    match PasswordHash::new(stored) {
        Ok(hash) => Argon2::default().verify_password(password.as_bytes(), &hash).is_ok(),
        Err(error) => {
            tracing::error!(%error, "a stored SMTP password is no PHC string; set the password anew");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use indicia_domain::time::{ManualClock, UnixMicros};
    use indicia_store::directory::DkimKey;
    use tokio::time::timeout;

    use super::*;

    fn hash(text: &str) -> String {
        Argon2::default().hash_password(text.as_bytes()).unwrap().to_string()
    }

    #[test]
    fn the_right_one_of_two_is_found_and_nothing_else() {
        let stored = [(hash("own"), Scope::Address), (hash("shared"), Scope::AddressOfDomain)];
        assert_eq!(find_right("own", &stored), Some(0));
        assert_eq!(find_right("shared", &stored), Some(1));
        assert_eq!(find_right("other", &stored), None);
        assert_eq!(find_right("nobody logs in with this", &[]), None);
        assert_eq!(find_right("", &[(hash(""), Scope::Address)]), None, "an empty password never logs in");
        assert_eq!(find_right(&"x".repeat(300), &[(hash(""), Scope::Address)]), None);
        assert_eq!(find_right("x", &[("not a hash".to_owned(), Scope::Address)]), None);
    }

    #[test]
    fn every_wrong_password_costs_two_computations() {
        let one = || ("hash".to_owned(), Scope::Address);
        for stored in [vec![], vec![one()], vec![one(), one()]] {
            assert_eq!(lineup(&stored).count(), 2);
        }
        assert!(verify("nobody logs in with this", &NOBODY), "the one for nobody is a real one");
    }

    #[tokio::test]
    async fn a_second_login_computes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(UnixMicros(1_795_320_000_000_000)));
        let store = Store::open("sqlite", dir.path(), clock).await.unwrap();
        let dkim = DkimKey { selector: "s".into(), private_key: vec![1], public_key: "k".into() };
        let domain_id = store.create_domain(7, "a.example", "token", &dkim, 10).await.unwrap();
        store.verify_domain_by_operator(7, "a.example").await.unwrap();
        store.set_domain_password(7, domain_id, &hash("Open88Meadow")).await.unwrap();
        let logins = Logins::new(store, LoginLimits::default()).unwrap();
        let peer = IpAddr::from([192, 0, 2, 1]);
        let log_in = async |password: &str| {
            let secret = Secret::new(password.to_owned());
            timeout(Duration::from_secs(20), logins.check("a.example", &secret, peer)).await
        };
        let first = log_in("Open88Meadow").await.expect("in time").expect("right");
        let _all_turns = logins.checks.acquire_many(CHECKS_AT_ONCE_MAX as u32).await.unwrap();
        assert_eq!(log_in("Open88Meadow").await.expect("without a turn").expect("right"), first);
        let secret = Secret::new("wrong".to_owned());
        let waiting = timeout(Duration::from_millis(300), logins.check("a.example", &secret, peer));
        assert!(waiting.await.is_err(), "another password has to wait for its turn");
    }
}
