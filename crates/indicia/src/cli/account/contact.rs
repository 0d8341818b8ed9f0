//! `indicia account contact`: where and how an account is told things.

use clap::Args;
use indicia_domain::notice::Language;
use indicia_store::contact::Contact;
use serde_json::json;

use super::{check_email, checked_phone};
use crate::cli::args::switch;
use crate::cli::output::print;
use crate::cli::{ConfigFile, Done, Failure, Opened, account_id, actor, named_account, print_json};

#[derive(Args)]
pub struct Arguments {
    /// The account's id, as `indicia account list` shows it.
    #[arg(value_parser = account_id)]
    account_id: i64,
    /// The address that notices go to.
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// The telephone that SMS go to, as +8613800000000; an empty text removes it.
    #[arg(long, value_name = "NUMBER")]
    phone: Option<String>,
    /// The language of the notices: en or zh.
    #[arg(long, value_name = "en|zh", value_parser = language)]
    language: Option<Language>,
    /// Notices by SMS: on or off.
    #[arg(long, value_name = "on|off", value_parser = switch)]
    sms: Option<bool>,
    /// Notices by e-mail: on or off.
    #[arg(long, value_name = "on|off", value_parser = switch)]
    email_notices: Option<bool>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: ConfigFile,
}

fn language(text: &str) -> Result<Language, String> {
    text.parse().map_err(|_| format!("'{text}' is no language of the notices; write en or zh"))
}

pub async fn run(arguments: Arguments) -> Done {
    let opened = arguments.file.open().await?;
    let done = show_or_set(&opened, &arguments).await;
    opened.finish(done).await
}

async fn show_or_set(opened: &Opened, arguments: &Arguments) -> Done {
    let account_id = arguments.account_id;
    named_account(opened, account_id).await?;
    let no_such = || Failure::failed(format!("account {account_id} was deleted meanwhile"));
    let before = opened.store.contact(account_id).await?.ok_or_else(no_such)?;
    let mut contact = before.clone();
    change(&mut contact, arguments)?;
    if contact != before && !opened.store.set_contact(account_id, &contact, &actor()).await? {
        return Err(no_such());
    }
    if arguments.json { print_json(&json_of(&contact)) } else { print(text_of(&contact)) }
}

fn change(contact: &mut Contact, arguments: &Arguments) -> Done {
    if let Some(email) = &arguments.email {
        check_email(email)?;
        contact.email.clone_from(email);
    }
    match arguments.phone.as_deref() {
        Some("") => contact.phone.clear(),
        Some(phone) => contact.phone = checked_phone(phone)?.to_string(),
        None => {}
    }
    contact.language = arguments.language.unwrap_or(contact.language);
    contact.by_sms = arguments.sms.unwrap_or(contact.by_sms);
    contact.by_email = arguments.email_notices.unwrap_or(contact.by_email);
    if arguments.sms == Some(true) && contact.phone.is_empty() {
        return Err(Failure::usage("there is no telephone to send SMS to; give one with --phone"));
    }
    Ok(())
}

pub fn json_of(contact: &Contact) -> serde_json::Value {
    json!({
        "language": contact.language.as_str(),
        "email": contact.email,
        "phone": contact.phone,
        "by_station": true,
        "by_email": contact.by_email,
        "by_sms": contact.by_sms,
    })
}

pub fn text_of(contact: &Contact) -> String {
    let on = |is_on: bool| if is_on { "on" } else { "off" };
    let phone = if contact.phone.is_empty() { "no telephone" } else { &contact.phone };
    format!(
        "language         {}\nin-station       on\ne-mail           {}, {}\nSMS              {}, {phone}",
        contact.language.as_str(),
        on(contact.by_email),
        contact.email,
        on(contact.by_sms)
    )
}
