//! Orders by an operator: buy, refund, renew, upgrade.

use clap::Args;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::UnixMicros;
use indicia_store::package::{
    PurchaseError, PurchaseRequest, Receipt, RefundRequest, RenewRequest, UpgradeRequest,
};
use serde_json::json;

use crate::cli::{ConfigFile, Done, Failure, Opened, actor, print_json};

/// What every order has.
#[derive(Args)]
pub struct Once {
    /// Under the same key the same order is carried out once, however often it is given (R26).
    #[arg(long, value_name = "KEY", value_parser = key)]
    idempotency_key: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: ConfigFile,
}

fn key(text: &str) -> Result<String, String> {
    const LENGTH_MAX: usize = 100;
    let is_usable =
        (1..=LENGTH_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_usable {
        Ok(text.to_owned())
    } else {
        Err(format!("a key has 1 to {LENGTH_MAX} letters, digits and signs of ASCII without blanks"))
    }
}

impl Once {
    pub async fn open(&self) -> Result<Opened, Failure> {
        self.file.open().await
    }

    /// Keys of the command line and of the other doors do not meet.
    fn key(&self) -> Option<String> {
        self.idempotency_key.as_ref().map(|key| format!("command-line:{key}"))
    }
}

fn refused(error: PurchaseError) -> Failure {
    match error {
        PurchaseError::UnknownSpecification(_)
        | PurchaseError::Quantity(_)
        | PurchaseError::StartOutOfRange => {
            Failure::usage(format!("{error}; `indicia price list` shows what is on offer"))
        }
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
        idempotency_key: once.key(),
        nonce: None,
        by: actor(),
    };
    let receipt = opened.store.purchase(&request, &opened.config.price_list()?).await.map_err(refused)?;
    print_receipt(opened, &receipt, once.json);
    Ok(())
}

pub async fn renew(opened: &Opened, account_id: i64, instance_id: String, once: Once) -> Done {
    let request =
        RenewRequest { account_id, instance_id, idempotency_key: once.key(), nonce: None, by: actor() };
    let receipt = opened.store.renew(&request, &opened.config.price_list()?).await.map_err(refused)?;
    print_receipt(opened, &receipt, once.json);
    Ok(())
}

pub async fn upgrade(opened: &Opened, account_id: i64, instance_id: String, mails: i64, once: Once) -> Done {
    let request = UpgradeRequest {
        account_id,
        instance_id,
        specification: mails,
        idempotency_key: once.key(),
        nonce: None,
        by: actor(),
    };
    let receipt = opened.store.upgrade(&request, &opened.config.price_list()?).await.map_err(refused)?;
    print_receipt(opened, &receipt, once.json);
    Ok(())
}

pub async fn refund(opened: &Opened, account_id: i64, instance_id: String, once: Once) -> Done {
    let request = RefundRequest {
        account_id,
        instance_id: instance_id.clone(),
        idempotency_key: once.key(),
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
        }));
    } else {
        println!("{instance_id} was refunded: {currency} {}, order {}", receipt.amount(), receipt.order_id);
    }
    Ok(())
}

fn print_receipt(opened: &Opened, receipt: &Receipt, as_json: bool) {
    let currency = &opened.config.billing.currency;
    let total = MoneyMicros(receipt.total_micros);
    let (starts_at, ends_at) = (UnixMicros(receipt.starts_at), UnixMicros(receipt.ends_at));
    if as_json {
        print_json(&json!({
            "order_id": receipt.order_id.to_string(),
            "instance_ids": receipt.instance_ids,
            "total": total.to_string(),
            "currency": currency,
            "starts_at": starts_at.to_string(),
            "ends_at": ends_at.to_string(),
        }));
        return;
    }
    println!("order {}: {currency} {total} paid, valid from {starts_at} to {ends_at}", receipt.order_id);
    for instance_id in &receipt.instance_ids {
        println!("{instance_id}");
    }
}
