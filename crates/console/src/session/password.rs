//! Console passwords: argon2id, checked off the async threads, a few at a time.

use std::sync::{Arc, LazyLock};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::{sync::Semaphore, task};

/// The longest password that is looked at, in bytes; longer ones are wrong by definition.
const PASSWORD_SIZE_MAX_BYTES: usize = 256;

/// Each check costs some 20 MB and tens of milliseconds by design; more at once would starve the mail.
const CHECKS_AT_ONCE_MAX: usize = 2;

/// A hash of nobody's password. Checking against it when the e-mail address is unknown takes as long as a
/// real check, so that the time of the answer does not tell which addresses have an account.
static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| {
    Argon2::default().hash_password(b"nobody signs in with this").ok().map(|hash| hash.to_string())
});

/// Checks passwords.
#[derive(Clone, Debug)]
pub struct PasswordChecker {
    slots: Arc<Semaphore>,
}

impl Default for PasswordChecker {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(CHECKS_AT_ONCE_MAX)) }
    }
}

impl PasswordChecker {
    /// Whether `password` is the one whose PHC string is `stored`; always false for `None`, after equal work.
    pub async fn is_right(&self, password: String, stored: Option<String>) -> bool {
        let Ok(_slot) = self.slots.acquire().await else { return false };
        task::spawn_blocking(move || verify(&password, stored.as_deref())).await.unwrap_or(false)
    }
}

fn verify(password: &str, stored: Option<&str>) -> bool {
    let Some(text) = stored.or(NOBODY.as_deref()) else { return false };
    let Ok(hash) = PasswordHash::new(text) else {
        tracing::error!("a stored console password is not a PHC string; set a new one for this login");
        return false;
    };
    if password.len() > PASSWORD_SIZE_MAX_BYTES {
        return false;
    }
    Argon2::default().verify_password(password.as_bytes(), &hash).is_ok() && stored.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn right_wrong_unknown_and_broken() {
        let stored = Argon2::default().hash_password(b"correct horse").unwrap().to_string();
        let checker = PasswordChecker::default();
        assert!(checker.is_right("correct horse".into(), Some(stored.clone())).await);
        assert!(!checker.is_right("correct horsf".into(), Some(stored.clone())).await);
        assert!(!checker.is_right("nobody signs in with this".into(), None).await);
        assert!(!checker.is_right("x".into(), Some("not a hash".into())).await);
        assert!(!checker.is_right("x".repeat(300), Some(stored)).await);
    }
}
