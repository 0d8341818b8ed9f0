//! QueryAccountBalance: the account's money.

use indicia_domain::money::MoneyMicros;
use serde_json::{Value, json};

use crate::api::call::Call;
use crate::api::protocol::ApiError;

pub async fn query(call: &Call<'_>) -> Result<Value, ApiError> {
    let numbers = call.api.store.account_numbers(call.account_id).await?.ok_or_else(ApiError::internal)?;
    let (cash, none) = (numbers.cash.to_cents(), MoneyMicros::ZERO.to_cents());
    Ok(json!({
        // This action alone documents "200" (dossier 2).
        "Code": "200",
        "Message": "success",
        "Data": {
            "AvailableAmount": cash,
            "AvailableCashAmount": cash,
            "CreditAmount": none,
            "MybankCreditAmount": none,
            "QuotaLimit": none,
            "Currency": call.api.settings.currency,
        },
    }))
}
