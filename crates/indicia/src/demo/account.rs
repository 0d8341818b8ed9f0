//! The demo's account, set up as a customer would have it, and remembered in the demo's folder.

use std::fs;
use std::path::Path;

use indicia_domain::money::MoneyMicros;
use indicia_store::audit::Actor;
use indicia_store::directory::SendType;
use indicia_store::package::PurchaseRequest;
use serde::{Deserialize, Serialize};

use crate::cli::account::make;
use crate::cli::domain::make_verified;
use crate::cli::{Failure, Opened};
use crate::secrets;

pub const EMAIL: &str = "owner@demo.example";
/// Of a range that belongs to nobody: its texts go to the built-in inbox.
const PHONE: &str = "+12025550143";
pub const OPERATOR_EMAIL: &str = "operator@demo.example";
pub const DOMAIN: &str = "shop.demo.example";
pub const SENDER: &str = "news@shop.demo.example";
/// The demo buys both from this much money, and some is left to buy more.
const MONEY: MoneyMicros = MoneyMicros(1_000_000_000);

/// What people need to log in, call and send.
#[derive(Clone, Serialize, Deserialize)]
pub struct Credentials {
    pub account_id: i64,
    pub access_key_id: String,
    pub access_key_secret: String,
    pub console_password: String,
    pub operator_password: String,
    pub smtp_password: String,
}

/// Reads the credentials of a demo that was here before, or sets a new one up.
pub async fn prepare(opened: &Opened, folder: &Path) -> Result<Credentials, Failure> {
    let file = folder.join("demo.json");
    if let Ok(text) = fs::read_to_string(&file) {
        return serde_json::from_str(&text).map_err(|error| {
            Failure::failed(format!("{} is damaged: {error}; start with an empty folder", file.display()))
        });
    }
    let credentials = set_up(opened).await?;
    let text = serde_json::to_string_pretty(&credentials).map_err(Failure::failed)?;
    fs::write(&file, text)
        .map_err(|error| Failure::failed(format!("{} cannot be written: {error}", file.display())))?;
    Ok(credentials)
}

async fn set_up(opened: &Opened) -> Result<Credentials, Failure> {
    let store = &opened.store;
    let zone = opened.config.billing.time_zone.clone();
    let made = make(opened, "Demo Shop", EMAIL, Some(PHONE), &zone).await?;
    let account_id = made.account_id;
    let operator_password = secrets::console_password();
    let hash = secrets::hash(&operator_password).map_err(Failure::failed)?;
    store.create_operator(OPERATOR_EMAIL, &hash).await.map_err(Failure::failed)?;
    let domain_id = make_verified(opened, account_id, DOMAIN).await?;
    let sender_id = store
        .create_sender(
            account_id,
            domain_id,
            SENDER,
            SendType::Trigger,
            "",
            opened.config.limits.sender_addresses,
        )
        .await
        .map_err(Failure::failed)?;
    let smtp_password = secrets::smtp_password();
    let hash = secrets::hash(&smtp_password).map_err(Failure::failed)?;
    store.modify_sender(account_id, sender_id, Some(&hash), None).await?;
    store
        .credit(account_id, MONEY, "the demo's play money", &Actor::system("demo"), None)
        .await
        .map_err(Failure::failed)?;
    buy_two_packages(opened, account_id).await?;
    Ok(Credentials {
        account_id,
        access_key_id: made.access_key_id,
        access_key_secret: made.access_key_secret,
        console_password: made.console_password,
        operator_password,
        smtp_password,
    })
}

async fn buy_two_packages(opened: &Opened, account_id: i64) -> Result<(), Failure> {
    let prices = opened.config.price_list()?;
    for offer in prices.offers().iter().take(2) {
        let request = PurchaseRequest {
            account_id,
            specification: offer.mails,
            quantity: 1,
            starts_at: None,
            idempotency_key: None,
            nonce: None,
            by: Actor::system("demo"),
        };
        opened.store.purchase(&request, &prices).await.map_err(Failure::failed)?;
    }
    Ok(())
}
