//! What an action is given.

use indicia_domain::time::{self, UnixMicros};
use indicia_store::account::Account;
use indicia_store::admission::Nonce;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::Api;
use super::protocol::{ApiError, Parameters};

/// An authenticated call.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub api: &'a Api,
    pub account_id: i64,
    pub parameters: &'a Parameters,
    pub now: UnixMicros,
    /// Kept in the database with whatever the call writes there through admission or purchase.
    pub nonce: &'a Nonce,
    /// The header `x-indicia-idempotency-key`, checked.
    pub idempotency_key: Option<&'a str>,
}

impl Call<'_> {
    /// The caller's account.
    pub async fn account(&self) -> Result<Account, ApiError> {
        let account = self.api.store.account(self.account_id).await?;
        account.ok_or_else(|| {
            tracing::error!(
                account_id = self.account_id,
                "an access key belongs to an account that does not exist"
            );
            ApiError::internal()
        })
    }

    /// The zone in which the account's days begin.
    pub async fn zone(&self) -> Result<TimeZone, ApiError> {
        let account = self.account().await?;
        time::zone(&account.zone).map_err(|error| {
            tracing::error!(account_id = self.account_id, %error, "an account has an unknown zone");
            ApiError::internal()
        })
    }

    /// An id parameter: a positive integer.
    pub fn id(&self, name: &str) -> Result<i64, ApiError> {
        match self.parameters.required_integer(name)? {
            id if id > 0 => Ok(id),
            id => Err(ApiError::invalid_parameter(name, format!("{id} is not a positive number"))),
        }
    }
}

/// The instant of a civil time in a zone; where clocks skip it, the instant they had reached by then.
pub fn instant_of(zone: &TimeZone, civil: DateTime) -> Option<UnixMicros> {
    zone.to_zoned(civil).ok().map(|zoned| UnixMicros::from_timestamp(zoned.timestamp()))
}
