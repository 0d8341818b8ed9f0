//! QueryAccountBalance: the account's money.

use indicia_domain::money::MoneyMicros;
use serde_json::{Value, json};

use crate::api::call::Call;
use crate::api::protocol::ApiError;

pub async fn query(call: &Call<'_>) -> Result<Value, ApiError> {
    let numbers = call.api.store.account_numbers(call.account_id).await?.ok_or_else(ApiError::internal)?;
    let available = MoneyMicros(numbers.cash.0.saturating_add(numbers.credit_limit.0));
    let none = MoneyMicros::ZERO.to_string();
    Ok(json!({
        // This action alone documents "200" (dossier 2).
        "Code": "200",
        "Message": "success",
        "Data": {
            // What bills can be paid from (R11); packages are bought from the cash alone.
            "AvailableAmount": available.to_string(),
            "AvailableCashAmount": numbers.cash.to_string(),
            "CreditAmount": numbers.credit_limit.to_string(),
            "MybankCreditAmount": none,
            "QuotaLimit": none,
            "Currency": call.api.settings.currency,
            // Ours: what is billed and not yet paid, and how much of it is due.
            "OpenAmount": numbers.open.to_string(),
            "DueAmount": numbers.due.to_string(),
        },
    }))
}
