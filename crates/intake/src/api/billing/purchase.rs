//! CreateResourcePackage, RenewResourcePackage, UpgradeResourcePackage: each buys and pays from the cash balance in one
//! transaction.

use indicia_domain::ledger::change::{NotRenewable, NotReturnable, NotUpgradable};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::UnixMicros;
use indicia_store::audit::{Actor, ActorKind};
use indicia_store::package::{
    PackageFilter, PackageRow, PurchaseError, PurchaseRequest, Receipt, RenewRequest, UpgradeRequest,
};
use serde_json::{Value, json};

use super::catalogue::{
    duration, effective_date, not_applicable, specification, start_out_of_range, wanted_offer,
};
use super::price::is_about;
use crate::api::call::Call;
use crate::api::directmail::single_send_mail::idempotency_conflict;
use crate::api::protocol::parameters::shown;
use crate::api::protocol::{ApiError, signature};

/// CreateResourcePackage
pub async fn create(call: &Call<'_>) -> Result<Value, ApiError> {
    let offer = wanted_offer(call)?;
    let request = PurchaseRequest {
        account_id: call.account_id,
        specification: offer.mails,
        quantity: 1,
        starts_at: effective_date(call).await?,
        idempotency_key: call.idempotency_key.map(str::to_owned),
        nonce: Some(call.nonce.clone()),
        by: actor(call),
    };
    let receipt = call
        .api
        .store
        .purchase(&request, &call.api.settings.prices)
        .await
        .map_err(|error| refused(call, error))?;
    tracing::info!(account_id = call.account_id, order_id = receipt.order_id, "package bought over the API");
    Ok(bought(&receipt))
}

/// RenewResourcePackage
pub async fn renew(call: &Call<'_>) -> Result<Value, ApiError> {
    call.parameters.required("InstanceId")?;
    duration(call)?;
    let row = instance(call).await?;
    check_renewal_start(call, &row)?;
    let request = RenewRequest {
        account_id: call.account_id,
        instance_id: row.package.instance_id,
        idempotency_key: call.idempotency_key.map(str::to_owned),
        nonce: Some(call.nonce.clone()),
        by: actor(call),
    };
    let receipt = call
        .api
        .store
        .renew(&request, &call.api.settings.prices)
        .await
        .map_err(|error| refused(call, error))?;
    tracing::info!(account_id = call.account_id, order_id = receipt.order_id, "package renewed over the API");
    Ok(bought(&receipt))
}

/// UpgradeResourcePackage
pub async fn upgrade(call: &Call<'_>) -> Result<Value, ApiError> {
    call.parameters.required("InstanceId")?;
    let offer = specification(call)?;
    let row = instance(call).await?;
    check_upgrade_start(call, &row)?;
    let request = UpgradeRequest {
        account_id: call.account_id,
        instance_id: row.package.instance_id,
        specification: offer.mails,
        idempotency_key: call.idempotency_key.map(str::to_owned),
        nonce: Some(call.nonce.clone()),
        by: actor(call),
    };
    let receipt = call
        .api
        .store
        .upgrade(&request, &call.api.settings.prices)
        .await
        .map_err(|error| refused(call, error))?;
    tracing::info!(
        account_id = call.account_id,
        order_id = receipt.order_id,
        "package upgraded over the API"
    );
    Ok(bought(&receipt))
}

fn bought(receipt: &Receipt) -> Value {
    json!({
        "OrderId": receipt.order_id,
        "Data": {"InstanceId": receipt.instance_ids.first(), "OrderId": receipt.order_id},
    })
}

/// Who asks: the key that signed the call.
pub fn actor(call: &Call<'_>) -> Actor {
    Actor::new(ActorKind::ApiKey, &call.nonce.access_key_id)
}

/// The package that InstanceId names. Another account's is answered like one that does not exist.
pub async fn instance(call: &Call<'_>) -> Result<PackageRow, ApiError> {
    let instance_id = call.parameters.required("InstanceId")?;
    let row = call.api.store.package(call.account_id, instance_id).await?;
    row.ok_or_else(|| no_instance(instance_id))
}

/// A renewal begins when the package that it renews ends: EffectiveDate may say so, but nothing else.
pub fn check_renewal_start(call: &Call<'_>, row: &PackageRow) -> Result<(), ApiError> {
    let Some(at) = call.parameters.instant("EffectiveDate")?.map(UnixMicros::from_timestamp) else {
        return Ok(());
    };
    let end = row.package.ends_at;
    if at.seconds() == end.seconds() {
        return Ok(());
    }
    Err(not_applicable(
        format!("A renewal begins when the package that it renews ends, at {}.", end.rfc3339_seconds()),
        "Leave EffectiveDate out, or buy a package with that EffectiveDate.",
    ))
}

/// An upgrade takes effect at once, or when the package that it replaces would have begun. Under an idempotency key
/// the date may have passed since: the store knows the repeat.
pub fn check_upgrade_start(call: &Call<'_>, row: &PackageRow) -> Result<(), ApiError> {
    let Some(at) = call.parameters.instant("EffectiveDate")?.map(UnixMicros::from_timestamp) else {
        return Ok(());
    };
    let start = row.package.starts_at.max(call.now);
    if is_about(at, start) || at < start && call.idempotency_key.is_some() {
        return Ok(());
    }
    Err(not_applicable(
        format!("This upgrade takes effect at {}.", start.rfc3339_seconds()),
        "Leave EffectiveDate out.",
    ))
}

/// Why nothing was bought, exchanged or given back.
pub fn refused(call: &Call<'_>, error: PurchaseError) -> ApiError {
    let money = |amount: MoneyMicros| with_currency(call, amount);
    match error {
        PurchaseError::Overdue(due) => ApiError::business(
            "AccountOverdue",
            format!("The account has unpaid bills of {} that are due, so nothing can be bought.", money(due)),
            "Put money on the account's balance; the bills are paid from it at once.",
        ),
        PurchaseError::InsufficientBalance { price, balance } => ApiError::business(
            "InsufficientBalance",
            format!("This costs {}, the balance is {}.", money(price), money(balance)),
            "Put money on the account first.",
        ),
        PurchaseError::StartOutOfRange => start_out_of_range(),
        PurchaseError::IdempotencyConflict => idempotency_conflict(),
        PurchaseError::NonceReplayed => signature::replayed_nonce(),
        PurchaseError::UnknownSpecification(mails) => not_applicable(
            format!("A package of {mails} mails is not on offer."),
            "Use a Specification.Value that DescribeResourcePackageProduct lists.",
        ),
        PurchaseError::NoInstance(instance_id) => no_instance(&instance_id),
        PurchaseError::NotReturnable { instance_id, why } => not_returnable(&instance_id, &why),
        PurchaseError::NotUpgradable { instance_id, why } => not_upgradable(call, &instance_id, &why),
        PurchaseError::NotRenewable { instance_id, why } => not_renewable(&instance_id, &why),
        PurchaseError::AlreadyRenewed { instance_id, renewal } => renewed_before(&instance_id, &renewal),
        PurchaseError::Store(error) => error.into(),
        PurchaseError::NoAccount(_) | PurchaseError::Quantity(_) | PurchaseError::Zone(_) => {
            tracing::error!(%error, "an order failed");
            ApiError::internal()
        }
    }
}

/// Whether a renewal that is still good was bought already.
pub async fn already_renewed(call: &Call<'_>, row: &PackageRow) -> Result<(), ApiError> {
    let packages = call.api.store.packages(call.account_id, &PackageFilter::default()).await?;
    let renewal = packages.iter().find(|other| {
        other.renewal_of.as_ref() == Some(&row.package.instance_id) && other.package.closed.is_none()
    });
    match renewal {
        None => Ok(()),
        Some(renewal) => Err(renewed_before(&row.package.instance_id, &renewal.package.instance_id)),
    }
}

pub fn no_instance(instance_id: &str) -> ApiError {
    ApiError::business(
        "ResourceNotExists",
        format!("This account has no package '{}'.", shown(instance_id)),
        "Use an InstanceId that QueryResourcePackageInstances lists.",
    )
}

pub fn not_returnable(instance_id: &str, why: &NotReturnable) -> ApiError {
    state(format!("The package {instance_id} cannot be given back: {why}."))
}

pub fn not_renewable(instance_id: &str, why: &NotRenewable) -> ApiError {
    state(format!("The package {instance_id} cannot be renewed: {why}."))
}

pub fn not_upgradable(call: &Call<'_>, instance_id: &str, why: &NotUpgradable) -> ApiError {
    let why_text = match why {
        NotUpgradable::Cheaper { old, new } => format!(
            "the larger package costs {}, less than the {} that was paid; refund this one and buy the other",
            with_currency(call, *new),
            with_currency(call, *old)
        ),
        why => why.to_string(),
    };
    let message = format!("The package {instance_id} cannot be upgraded: {why_text}.");
    match why {
        NotUpgradable::NotReturnable(_) => state(message),
        NotUpgradable::NotLarger(..) | NotUpgradable::Cheaper { .. } => {
            not_applicable(message, "Use a larger Specification that DescribeResourcePackageProduct lists.")
        }
    }
}

pub fn renewed_before(instance_id: &str, by: &str) -> ApiError {
    state(format!("The package {instance_id} was renewed before, by {by}; renew that one."))
}

/// An amount in words: `USD 13.05`.
fn with_currency(call: &Call<'_>, amount: MoneyMicros) -> String {
    format!("{} {amount}", call.api.settings.currency)
}

/// The package is there but in no state for what is asked.
fn state(message: String) -> ApiError {
    ApiError::business(
        "ResourceStatusError",
        message,
        "QueryResourcePackageInstances shows how the package stands.",
    )
}
