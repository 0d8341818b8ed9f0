//! `indicia account …`

mod contact;
mod list;
mod money;
mod protection;
mod show;

use clap::Subcommand;
use indicia_domain::money::MoneyMicros;
use indicia_domain::phone::PhoneNumber;
use indicia_domain::time;
use indicia_store::account::{CreateError, NewAccount};
use serde_json::json;

use super::args::{Key, amount, amount_from_zero, reason};
use super::output::print;
use super::{ConfigFile, Done, Failure, Opened, account_id, note_done, print_json};
use crate::secrets;

const CREATE_EXAMPLES: &str = "\
Examples:
  indicia account create --name 'Northwind Paper' --email ops@northwind.example
  indicia account create --name Fjord --email post@fjord.example --phone +4917012345678 --zone Europe/Berlin --json

The access key's secret and the console password are printed now and never again.";

const CREDIT_EXAMPLES: &str = "\
Examples:
  indicia account credit 1000000000000001 250.00 --memo 'bank transfer 2026-11-20'
  indicia account credit 1000000000000001 -13.05 --memo 'transferred twice'
  indicia account credit 1000000000000001 99.00 --memo 'cheque 4711' --idempotency-key cheque-4711   (run it twice: booked once)

The balance cannot go below zero. What is due is paid from it in the same moment, and an overdue account that owes
nothing more can send again at once (R11).";

const ADJUST_EXAMPLES: &str = "\
Examples:
  indicia account adjust 1000000000000001 --money 5.00 --reason 'goodwill for the outage of 3 November'
  indicia account adjust 1000000000000001 --free-mails 500 --reason 'trial extended'
  indicia account adjust 1000000000000001 --package DMBAG-123 --mails -200 --reason 'granted twice'

An adjustment adds a line to the ledger; nothing that stands there is ever changed (R27). A negative number takes
off, and never more than there is.";

const LIMIT_EXAMPLES: &str = "\
Examples:
  indicia account credit-limit 1000000000000001 500 --reason 'contract of 2026-11'
  indicia account credit-limit 1000000000000001 0 --reason 'contract ended'

Bills are paid from the cash balance down to minus the limit (R11). Packages are never bought on credit.";

const CONTACT_EXAMPLES: &str = "\
Examples:
  indicia account contact 1000000000000001
  indicia account contact 1000000000000001 --phone +8613800000000 --sms on --language zh
  indicia account contact 1000000000000001 --email billing@northwind.example --email-notices on

Without an option the contact is shown. In-station messages cannot be switched off. An account that tells no
telephone gets no SMS, whatever the switch says.";

const PROTECTION_EXAMPLES: &str = "\
Examples:
  indicia account protection 1000000000000001
  indicia account protection 1000000000000001 off

While protection is on, API calls and SMTP mail of the account are taken from the listed addresses only; its owner keeps
the list with AddIpfilter. Console log-ins are not affected. A server that runs admits everybody again at once
after 'off', and refuses strangers within 3 seconds after 'on'. An empty list cannot be switched on.";

#[derive(Subcommand)]
pub enum AccountCommand {
    /// Make an account with its first access key and a console password.
    #[command(after_help = CREATE_EXAMPLES)]
    Create {
        /// What the account is called; 1 to 100 characters.
        #[arg(long)]
        name: String,
        /// Logs in to the console with it.
        #[arg(long, value_name = "ADDRESS")]
        email: String,
        /// For notices by SMS: + and the country code, as +8613800000000.
        #[arg(long, value_name = "NUMBER")]
        phone: Option<String>,
        /// The billing zone; its days and months are the account's. Without it: billing.time_zone.
        #[arg(long, value_name = "IANA_ZONE")]
        zone: Option<String>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Put money on the cash balance (negative: take it off).
    #[command(after_help = CREDIT_EXAMPLES)]
    Credit {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// Decimal, in the site's currency.
        #[arg(value_parser = amount)]
        amount: MoneyMicros,
        /// Stands on the ledger's line and in the account's transactions.
        #[arg(long, value_name = "TEXT", default_value = "credit by an operator", value_parser = reason)]
        memo: String,
        #[command(flatten)]
        key: Key,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Give or take money or mails by hand, with a reason.
    #[command(after_help = ADJUST_EXAMPLES)]
    #[command(group = clap::ArgGroup::new("what").required(true).args(["money", "free_mails", "package"]))]
    Adjust {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// Decimal, in the site's currency; negative takes off.
        #[arg(long, value_name = "AMOUNT", value_parser = amount)]
        money: Option<MoneyMicros>,
        /// Mails of the free credit; negative takes off.
        #[arg(long, value_name = "N")]
        free_mails: Option<i64>,
        /// The package whose mails are changed, together with --mails.
        #[arg(long, value_name = "INSTANCE", requires = "mails")]
        package: Option<String>,
        /// Mails of that package; negative takes off.
        #[arg(long, value_name = "N", requires = "package")]
        mails: Option<i64>,
        /// Why. Stands on the ledger's line and in the audit log.
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
        #[command(flatten)]
        key: Key,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Set how far below zero bills may take the cash balance.
    #[command(after_help = LIMIT_EXAMPLES)]
    CreditLimit {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// Decimal, in the site's currency; 0 or more.
        #[arg(value_parser = amount_from_zero)]
        amount: MoneyMicros,
        /// Why. Stands in the audit log.
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
        #[command(flatten)]
        key: Key,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Show or change where and how an account is told things (R14).
    #[command(after_help = CONTACT_EXAMPLES)]
    Contact(contact::Arguments),
    /// List what an account's IP protection admits, or switch it on or off.
    #[command(after_help = PROTECTION_EXAMPLES)]
    Protection(protection::Arguments),
    /// Everything of one account: status, contact, quota, money, packages.
    Show {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// List the accounts with their money, in the order of their creation.
    List {
        /// Only accounts that are overdue (R11).
        #[arg(long)]
        overdue: bool,
        /// Print one JSON object a line.
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
        AccountCommand::Credit { account_id, amount, memo, key, file } => {
            let opened = file.open().await?;
            let done = money::credit(&opened, account_id, amount, &memo, &key).await;
            opened.finish(done).await
        }
        AccountCommand::Adjust { account_id, money, free_mails, package, mails, reason, key, file } => {
            let what = money::adjusted(money, free_mails, package, mails)?;
            let opened = file.open().await?;
            let done = money::adjust(&opened, account_id, what, reason, &key).await;
            opened.finish(done).await
        }
        AccountCommand::CreditLimit { account_id, amount, reason, key, file } => {
            let opened = file.open().await?;
            let done = money::credit_limit(&opened, account_id, amount, &reason, &key).await;
            opened.finish(done).await
        }
        AccountCommand::Contact(arguments) => contact::run(arguments).await,
        AccountCommand::Protection(arguments) => protection::run(arguments).await,
        AccountCommand::Show { account_id, json, file } => {
            let opened = file.open().await?;
            let done = show::run(&opened, account_id, json).await;
            opened.finish(done).await
        }
        AccountCommand::List { overdue, json, file } => {
            let opened = file.open().await?;
            let done = list::run(&opened, overdue, json).await;
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
    let phone = phone.map(checked_phone).transpose()?;
    time::zone(zone).map_err(Failure::usage)?;
    let console_password = secrets::console_password();
    let new = NewAccount {
        name: name.trim().to_owned(),
        email: email.to_owned(),
        phone: phone.map(|number| number.to_string()).unwrap_or_default(),
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

/// Whether a text can be an e-mail address: some local part, one @, a domain with a dot or `localhost`.
pub fn check_email(email: &str) -> Done {
    match indicia_smtp::Mailbox::parse(email) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::usage(format!("--email: '{email}' is not an address: {error}"))),
    }
}

fn checked_phone(text: &str) -> Result<PhoneNumber, Failure> {
    PhoneNumber::parse(text).map_err(|error| Failure::usage(format!("--phone: {error}")))
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
    // The secrets are printed though the note should fail: they exist nowhere else.
    let detail = format!("{name}, {email}, {zone}");
    let noted = note_done(opened, Some(made.account_id), "create-account", &detail).await;
    let printed = if as_json {
        print_json(&json!({
            "account_id": made.account_id.to_string(),
            "access_key_id": made.access_key_id,
            "access_key_secret": made.access_key_secret,
            "console_password": made.console_password,
        }))
    } else {
        print(format_args!(
            "account            {}\n\
             access key id      {}\n\
             access key secret  {}   (shown only now)\n\
             console login      {email}\n\
             console password   {}   (shown only now)",
            made.account_id, made.access_key_id, made.access_key_secret, made.console_password
        ))
    };
    printed.and(noted)
}
