//! InquiryPriceRefundInstance and RefundInstance: an untouched package is given back in full (R12).

use indicia_domain::ledger::change::returnable;
use indicia_store::package::RefundRequest;
use serde_json::{Value, json};

use super::catalogue::{not_applicable, product_code, product_type};
use super::purchase::{actor, instance, not_returnable, refused};
use super::shape::number;
use crate::api::call::Call;
use crate::api::protocol::ApiError;
use crate::api::protocol::parameters::shown;
use crate::message::is_idempotency_key;

/// InquiryPriceRefundInstance
pub async fn inquire(call: &Call<'_>) -> Result<Value, ApiError> {
    check_product(call)?;
    client_token(call)?;
    let row = instance(call).await?;
    returnable(&row.package, row.specification, call.now)
        .map_err(|why| not_returnable(&row.package.instance_id, &why))?;
    Ok(json!({"Data": {
        "HostId": call.api.settings.region,
        "InstanceId": row.package.instance_id,
        "Currency": call.api.settings.currency,
        "RefundAmount": number(row.price),
    }}))
}

/// RefundInstance
pub async fn refund(call: &Call<'_>) -> Result<Value, ApiError> {
    check_product(call)?;
    let idempotency_key = client_token(call)?;
    match call.parameters.text("ImmediatelyRelease") {
        None | Some("1") => {}
        Some("0") => {
            return Err(not_applicable(
                "A package is released at once; it cannot be stopped first.",
                "Use ImmediatelyRelease 1.",
            ));
        }
        Some(other) => {
            return Err(ApiError::invalid_parameter(
                "ImmediatelyRelease",
                format!("'{}' is neither 1 nor 0", shown(other)),
            ));
        }
    }
    let row = instance(call).await?;
    let request = RefundRequest {
        account_id: call.account_id,
        instance_id: row.package.instance_id,
        idempotency_key: idempotency_key.map(str::to_owned),
        nonce: Some(call.nonce.clone()),
        by: actor(call),
    };
    let receipt = call.api.store.refund(&request).await.map_err(|error| refused(call, error))?;
    tracing::info!(
        account_id = call.account_id,
        order_id = receipt.order_id,
        "package refunded over the API"
    );
    Ok(json!({"Data": {"HostId": call.api.settings.region, "OrderId": receipt.order_id}}))
}

fn check_product(call: &Call<'_>) -> Result<(), ApiError> {
    call.parameters.required("InstanceId")?;
    product_code(call)?;
    product_type(call)
}

/// ClientToken is this action's idempotency key (R26); the header may be used as well, but they must agree.
fn client_token<'a>(call: &Call<'a>) -> Result<Option<&'a str>, ApiError> {
    match (call.parameters.text("ClientToken"), call.idempotency_key) {
        (Some(token), _) if !is_idempotency_key(token) => Err(ApiError::invalid_parameter(
            "ClientToken",
            "it must have 1 to 256 printable ASCII characters",
        )),
        (Some(token), Some(key)) if token != key => Err(ApiError::invalid_parameter(
            "ClientToken",
            "the header x-indicia-idempotency-key says another",
        )),
        (Some(token), _) => Ok(Some(token)),
        (None, key) => Ok(key),
    }
}
