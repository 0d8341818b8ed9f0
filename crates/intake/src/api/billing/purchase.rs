//! CreateResourcePackage: buys one package and pays it from the cash balance, in one transaction.

use indicia_store::package::{PurchaseError, PurchaseRequest};
use serde_json::{Value, json};

use super::catalogue::{effective_date, start_out_of_range, wanted_offer};
use crate::api::call::Call;
use crate::api::directmail::single_send_mail::idempotency_conflict;
use crate::api::protocol::{ApiError, signature};

pub async fn create(call: &Call<'_>) -> Result<Value, ApiError> {
    let offer = wanted_offer(call)?;
    let request = PurchaseRequest {
        account_id: call.account_id,
        specification: offer.mails,
        quantity: 1,
        starts_at: effective_date(call).await?,
        idempotency_key: call.idempotency_key.map(str::to_owned),
        nonce: Some(call.nonce.clone()),
    };
    let receipt = call.api.store.purchase(&request, &call.api.settings.prices).await.map_err(refused)?;
    let instance_id = receipt.instance_ids.first().cloned().unwrap_or_default();
    tracing::info!(
        account_id = call.account_id,
        instance_id,
        order_id = receipt.order_id,
        "package bought over the API"
    );
    Ok(json!({
        "OrderId": receipt.order_id,
        "Data": {"InstanceId": instance_id, "OrderId": receipt.order_id},
    }))
}

fn refused(error: PurchaseError) -> ApiError {
    match error {
        PurchaseError::InsufficientBalance { price, balance } => ApiError::business(
            "InsufficientBalance",
            format!("The package costs {}, the balance is {}.", price.to_cents(), balance.to_cents()),
            "Put money on the account first.",
        ),
        PurchaseError::StartOutOfRange => start_out_of_range(),
        PurchaseError::IdempotencyConflict => idempotency_conflict(),
        PurchaseError::NonceReplayed => signature::replayed_nonce(),
        PurchaseError::UnknownSpecification(mails) => ApiError::business(
            "NotApplicable",
            format!("{mails} mails is not a package on offer."),
            "See the catalogue.",
        ),
        PurchaseError::Store(error) => error.into(),
        PurchaseError::NoAccount(_) | PurchaseError::Quantity(_) | PurchaseError::Zone(_) => {
            tracing::error!(%error, "a purchase failed");
            ApiError::internal()
        }
    }
}
