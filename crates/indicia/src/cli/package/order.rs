//! Orders by an operator: buy, refund, renew, upgrade.

use clap::Args;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{self, UnixMicros};
use indicia_store::package::{
    PurchaseError, PurchaseRequest, Receipt, RefundRequest, RenewRequest, UpgradeRequest,
};
use serde_json::json;

use crate::cli::args::Key;
use crate::cli::output::{Out, print};
use crate::cli::{ConfigFile, Done, Failure, Opened, actor, named_account, print_json};

/// How far ahead a package can begin at most, as the store has it.
const START_AHEAD_MONTHS: u32 = 6;

/// What every order has.
#[derive(Args)]
pub struct Once {
    #[command(flatten)]
    key: Key,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: ConfigFile,
}

impl Once {
    pub async fn open(&self) -> Result<Opened, Failure> {
        self.file.open().await
    }
}

fn refused(error: PurchaseError) -> Failure {
    match error {
        PurchaseError::UnknownSpecification(_) => {
            Failure::usage(format!("{error}; `indicia price list` shows what is on offer"))
        }
        PurchaseError::Quantity(_) | PurchaseError::StartOutOfRange => Failure::usage(error),
        other => Failure::failed(other),
    }
}

pub async fn buy(
    opened: &Opened,
    account_id: i64,
    mails: i64,
    quantity: i64,
    starts_at: Option<UnixMicros>,
    once: Once,
) -> Done {
    let request = PurchaseRequest {
        account_id,
        specification: mails,
        quantity,
        starts_at,
        idempotency_key: once.key.kept(),
        nonce: None,
        by: actor(),
    };
    match opened.store.purchase(&request, &opened.config.price_list()?).await {
        Ok(receipt) => print_receipt(opened, &receipt, once.json),
        Err(PurchaseError::StartOutOfRange) => Err(start_out_of_range(opened, account_id).await?),
        Err(error) => Err(refused(error)),
    }
}

/// Says which starts there are, in the account's zone, in which the last day is counted.
async fn start_out_of_range(opened: &Opened, account_id: i64) -> Result<Failure, Failure> {
    let account = named_account(opened, account_id).await?;
    let zone = time::zone(&account.zone).map_err(Failure::failed)?;
    let now = opened.store.now();
    let end = time::validity_end(&zone, now, START_AHEAD_MONTHS);
    Ok(Failure::usage(format!(
        "--starts: validity can begin from now, {}, to six months ahead, before {} (midnight in {})",
        now.rfc3339_seconds(),
        end.rfc3339_seconds(),
        account.zone
    )))
}

pub async fn renew(opened: &Opened, account_id: i64, instance_id: String, once: Once) -> Done {
    let request =
        RenewRequest { account_id, instance_id, idempotency_key: once.key.kept(), nonce: None, by: actor() };
    let receipt = opened.store.renew(&request, &opened.config.price_list()?).await.map_err(refused)?;
    print_receipt(opened, &receipt, once.json)
}

pub async fn upgrade(opened: &Opened, account_id: i64, instance_id: String, mails: i64, once: Once) -> Done {
    let request = UpgradeRequest {
        account_id,
        instance_id,
        specification: mails,
        idempotency_key: once.key.kept(),
        nonce: None,
        by: actor(),
    };
    let receipt = opened.store.upgrade(&request, &opened.config.price_list()?).await.map_err(refused)?;
    print_receipt(opened, &receipt, once.json)
}

pub async fn refund(opened: &Opened, account_id: i64, instance_id: String, once: Once) -> Done {
    let request = RefundRequest {
        account_id,
        instance_id: instance_id.clone(),
        idempotency_key: once.key.kept(),
        nonce: None,
        by: actor(),
    };
    let receipt = opened.store.refund(&request).await.map_err(refused)?;
    let currency = &opened.config.billing.currency;
    if once.json {
        print_json(&json!({
            "order_id": receipt.order_id.to_string(),
            "instance_id": instance_id,
            "amount": receipt.amount().to_string(),
            "currency": currency,
        }))
    } else {
        let (amount, order_id) = (receipt.amount(), receipt.order_id);
        print(format_args!("{instance_id} was refunded: {currency} {amount}, order {order_id}"))
    }
}

fn print_receipt(opened: &Opened, receipt: &Receipt, as_json: bool) -> Done {
    let currency = &opened.config.billing.currency;
    let total = MoneyMicros(receipt.total_micros);
    let (starts_at, ends_at) = (UnixMicros(receipt.starts_at), UnixMicros(receipt.ends_at));
    if as_json {
        return print_json(&json!({
            "order_id": receipt.order_id.to_string(),
            "instance_ids": receipt.instance_ids,
            "total": total.to_string(),
            "currency": currency,
            "starts_at": starts_at.to_string(),
            "ends_at": ends_at.to_string(),
        }));
    }
    let mut out = Out::open();
    let order_id = receipt.order_id;
    out.line(format_args!("order {order_id}: {currency} {total} paid, valid from {starts_at} to {ends_at}"))?;
    for instance_id in &receipt.instance_ids {
        out.line(instance_id)?;
    }
    out.close()
}
