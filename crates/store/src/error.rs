//! What can go wrong in the store, for those who must decide what to tell whom.

/// A failure of the database or of what it holds.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database refused or failed: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the database could not be brought to this version's schema: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error(
        "the store address '{0}' is not understood; write sqlite or postgres://user:password@host/database"
    )]
    Address(String),
    #[error("the data folder {path} cannot be used: {source}")]
    DataDir { path: String, source: std::io::Error },
    #[error("another server is running on the data folder {0}; stop it, or use another folder")]
    InUse(String),
    #[error(
        "all 1,024 node numbers are taken; nodes that died give theirs back a minute after their last heartbeat"
    )]
    NodesExhausted,
    #[error("the database holds something that this version does not understand: {0}")]
    Corrupt(String),
    #[error("the store is shutting down")]
    Closed,
}

impl StoreError {
    /// Whether a unique key stood in the way.
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, StoreError::Database(sqlx::Error::Database(inner)) if inner.is_unique_violation())
    }

    /// Whether the same call can succeed later: a lost connection, a lock, a serialization failure.
    pub fn is_transient(&self) -> bool {
        match self {
            StoreError::Database(sqlx::Error::Database(inner)) => {
                // SQLite: BUSY (5), LOCKED (6), FULL (13), IOERR (10); PostgreSQL classes 08, 40, 53, 55, 57.
                let code = inner.code().unwrap_or_default();
                let lite = code
                    .parse::<u32>()
                    .is_ok_and(|code| code < 10_000 && matches!(code & 0xff, 5 | 6 | 10 | 13));
                let class = code.get(..2).unwrap_or("");
                lite || (code.len() == 5 && matches!(class, "08" | "40" | "53" | "55" | "57"))
            }
            StoreError::Database(error) => {
                matches!(
                    error,
                    sqlx::Error::Io(_)
                        | sqlx::Error::PoolTimedOut
                        | sqlx::Error::WorkerCrashed
                        | sqlx::Error::Tls(_)
                )
            }
            StoreError::Closed => true,
            _ => false,
        }
    }
}

pub type Result<T, E = StoreError> = std::result::Result<T, E>;
