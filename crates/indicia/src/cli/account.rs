//! `indicia account …`

use clap::Subcommand;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time;
use indicia_store::account::{CreateError, CreditError, NewAccount};
use serde_json::json;

use super::{ConfigFile, Done, Failure, Opened, account_id, print_json};
use crate::secrets;

#[derive(Subcommand)]
pub enum AccountCommand {
    /// Make an account with its first access key and a console password.
    Create {
        #[arg(long)]
        name: String,
        /// Logs in to the console with it.
        #[arg(long, value_name = "ADDRESS")]
        email: String,
        #[arg(long, value_name = "NUMBER")]
        phone: Option<String>,
        /// The billing zone; its days and months are the account's.
        #[arg(long, value_name = "IANA_ZONE")]
        zone: Option<String>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Put money on the cash balance (negative: take it off).
    Credit {
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// Decimal, in the site's currency.
        #[arg(allow_negative_numbers = true)]
        amount: MoneyMicros,
        #[arg(long, default_value = "credit by an operator")]
        memo: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// List the accounts.
    List {
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
}

pub async fn run(command: AccountCommand) -> Done {
    match command {
        AccountCommand::Create { name, email, phone, zone, json, file } => {
            let opened = file.open_or_make().await?;
            let zone = zone.unwrap_or_else(|| opened.config.billing.time_zone.clone());
            let done = create(&opened, &name, &email, phone.as_deref(), &zone, json).await;
            opened.finish(done).await
        }
        AccountCommand::Credit { account_id, amount, memo, file } => {
            let opened = file.open().await?;
            let done = credit(&opened, account_id, amount, &memo).await;
            opened.finish(done).await
        }
        AccountCommand::List { json, file } => {
            let opened = file.open().await?;
            let done = list(&opened, json).await;
            opened.finish(done).await
        }
    }
}

/// What a new account's owner needs to know; shown once.
pub struct Created {
    pub account_id: i64,
    pub access_key_id: String,
    pub access_key_secret: String,
    pub console_password: String,
}

/// Makes an account; shared with the demo.
pub async fn make(
    opened: &Opened,
    name: &str,
    email: &str,
    phone: Option<&str>,
    zone: &str,
) -> Result<Created, Failure> {
    if name.trim().is_empty() || name.chars().count() > 100 {
        return Err(Failure::usage("--name must have 1 to 100 characters"));
    }
    check_email(email)?;
    time::zone(zone).map_err(Failure::usage)?;
    let console_password = secrets::console_password();
    let new = NewAccount {
        name: name.trim().to_owned(),
        email: email.to_owned(),
        phone: phone.unwrap_or_default().to_owned(),
        zone: zone.to_owned(),
        password_hash: secrets::hash(&console_password).map_err(Failure::failed)?,
        access_key_id: secrets::access_key_id(),
        access_key_secret: secrets::access_key_secret(),
    };
    let account_id =
        opened.store.create_account(&new, &opened.config.policy()?).await.map_err(created_wrongly)?;
    let NewAccount { access_key_id, access_key_secret, .. } = new;
    Ok(Created { account_id, access_key_id, access_key_secret, console_password })
}

/// Whether a text can be a log-in address: some local part, one @, a domain with a dot or `localhost`.
pub fn check_email(email: &str) -> Done {
    match indicia_smtp::Mailbox::parse(email) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::usage(format!("--email: '{email}' is not an address: {error}"))),
    }
}

pub fn created_wrongly(error: CreateError) -> Failure {
    Failure::failed(error)
}

async fn create(
    opened: &Opened,
    name: &str,
    email: &str,
    phone: Option<&str>,
    zone: &str,
    as_json: bool,
) -> Done {
    let made = make(opened, name, email, phone, zone).await?;
    if as_json {
        print_json(&json!({
            "account_id": made.account_id.to_string(),
            "access_key_id": made.access_key_id,
            "access_key_secret": made.access_key_secret,
            "console_password": made.console_password,
        }));
    } else {
        println!("account            {}", made.account_id);
        println!("access key id      {}", made.access_key_id);
        println!("access key secret  {}   (shown only now)", made.access_key_secret);
        println!("console login      {email}");
        println!("console password   {}   (shown only now)", made.console_password);
    }
    Ok(())
}

async fn credit(opened: &Opened, account_id: i64, amount: MoneyMicros, memo: &str) -> Done {
    let balance = opened.store.credit(account_id, amount, memo).await.map_err(|error| match error {
        CreditError::Zero => Failure::usage(error),
        other => Failure::failed(other),
    })?;
    println!("the balance of account {account_id} is now {} {balance}", opened.config.billing.currency);
    Ok(())
}

async fn list(opened: &Opened, as_json: bool) -> Done {
    let mut after = i64::MIN;
    loop {
        let accounts = opened.store.accounts(after, 200).await?;
        let Some(last) = accounts.last() else { return Ok(()) };
        after = last.account_id;
        for account in &accounts {
            if as_json {
                print_json(&json!({
                    "account_id": account.account_id.to_string(),
                    "name": account.name,
                    "email": account.email,
                    "zone": account.zone,
                    "created_at": account.created_at.to_string(),
                }));
            } else {
                println!("{}  {}  {}  {}", account.account_id, account.email, account.zone, account.name);
            }
        }
    }
}
