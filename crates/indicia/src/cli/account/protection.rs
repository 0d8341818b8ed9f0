//! `indicia account protection`: the IP protection of an account, and the way back in for who is locked out.

use clap::{Args, ValueEnum};
use indicia_store::ip_filter::{IpFilter, IpFilterError};
use serde_json::json;

use crate::cli::output::print;
use crate::cli::{ConfigFile, Done, Failure, Opened, account_id, actor, named_account, print_json};

#[derive(Args)]
pub struct Arguments {
    /// The account's id, as `indicia account list` shows it.
    #[arg(value_parser = account_id)]
    account_id: i64,
    /// Switch protection on or off, or list what it admits.
    #[arg(value_enum, default_value = "list")]
    what: What,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    On,
    Off,
    List,
}

pub async fn run(arguments: Arguments) -> Done {
    let opened = arguments.file.open().await?;
    let done = show_or_switch(&opened, &arguments).await;
    opened.finish(done).await
}

async fn show_or_switch(opened: &Opened, arguments: &Arguments) -> Done {
    let account_id = arguments.account_id;
    named_account(opened, account_id).await?;
    if arguments.what != What::List {
        let on = arguments.what == What::On;
        opened.store.set_ip_protection(account_id, on, &actor()).await.map_err(refused)?;
    }
    let is_on = opened.store.ip_protection(account_id).await?.is_on;
    let filters = opened.store.ip_filters(account_id).await?;
    if arguments.json {
        print_json(&json_of(account_id, is_on, &filters))
    } else {
        print(text_of(is_on, &filters))
    }
}

fn refused(error: IpFilterError) -> Failure {
    match error {
        IpFilterError::Empty => {
            Failure::failed(format!("{error} (the account's owner does so with AddIpfilter)"))
        }
        IpFilterError::Store(error) => error.into(),
        error => Failure::failed(error),
    }
}

fn json_of(account_id: i64, is_on: bool, filters: &[IpFilter]) -> serde_json::Value {
    let addresses: Vec<_> = filters
        .iter()
        .map(|filter| {
            json!({
                "id": filter.filter_id.to_string(),
                "addresses": filter.range.to_string(),
                "created_at": filter.created_at.to_string(),
            })
        })
        .collect();
    json!({"account_id": account_id.to_string(), "protection": is_on, "addresses": addresses})
}

fn text_of(is_on: bool, filters: &[IpFilter]) -> String {
    let mut text = match is_on {
        true => "IP protection is on: calls and SMTP mail are taken from these addresses only".to_owned(),
        false => "IP protection is off: calls and SMTP mail are taken from anywhere".to_owned(),
    };
    for filter in filters {
        text.push_str(&format!("\n{:>8}  {}", filter.filter_id, filter.range));
    }
    if filters.is_empty() {
        text.push_str("\nThe list is empty.");
    }
    text
}
