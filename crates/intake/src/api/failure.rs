//! Failures of the store, as a caller may see them: the details go to the log.

use indicia_store::StoreError;

use super::protocol::ApiError;

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_transient() {
            tracing::warn!(%error, "an API call found the store unavailable");
            return ApiError::unavailable(
                "The server's database cannot serve the request at the moment; nothing was changed.",
            );
        }
        tracing::error!(%error, "an API call failed in the store");
        ApiError::internal()
    }
}

/// A task on a thread of its own was cancelled or panicked.
impl From<tokio::task::JoinError> for ApiError {
    fn from(error: tokio::task::JoinError) -> Self {
        tracing::error!(%error, "a task of an API call failed");
        ApiError::internal()
    }
}
