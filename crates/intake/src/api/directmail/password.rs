//! SMTP passwords: the rule, and argon2id off the async threads.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

use crate::api::protocol::ApiError;
use crate::message::password;

/// Checks a new password against the rule and against the one before, and hashes it.
pub async fn accept(new: &str, former_hash: Option<String>) -> Result<String, ApiError> {
    password::check(new).map_err(|why| {
        ApiError::bad_request(
            "InvalidPassword.Malformed",
            format!("The specified Password is wrongly formed: {why}."),
            "Use 10 to 20 characters with at least 2 digits, 2 upper-case and 2 lower-case letters.",
        )
    })?;
    let new = new.to_owned();
    let hashed = tokio::task::spawn_blocking(move || {
        if former_hash.is_some_and(|hash| is(&new, &hash)) {
            return Ok(None);
        }
        Argon2::default().hash_password(new.as_bytes()).map(|hash| Some(hash.to_string()))
    });
    match hashed.await? {
        Ok(Some(hash)) => Ok(hash),
        Ok(None) => Err(ApiError::bad_request(
            "InvalidPassword.Same",
            "The specified Password is the one in use.",
            "Choose another password.",
        )),
        Err(error) => {
            tracing::error!(%error, "a password could not be hashed");
            Err(ApiError::internal())
        }
    }
}

fn is(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}
