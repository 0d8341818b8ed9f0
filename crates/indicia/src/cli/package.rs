//! `indicia package …`

use clap::Subcommand;
use indicia_store::package::PackageFilter;
use serde_json::json;

use super::{ConfigFile, Done, Failure, Opened, account_id, print_json};

#[derive(Subcommand)]
pub enum PackageCommand {
    /// List an account's packages in the order in which they pay (R05).
    List {
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
}

pub async fn run(command: PackageCommand) -> Done {
    let PackageCommand::List { account_id, json, file } = command;
    let opened = file.open().await?;
    let done = list(&opened, account_id, json).await;
    opened.finish(done).await
}

async fn list(opened: &Opened, account_id: i64, as_json: bool) -> Done {
    if opened.store.account(account_id).await?.is_none() {
        return Err(Failure::failed(format!("there is no account {account_id}")));
    }
    let now = opened.store.now();
    let rows = opened.store.packages(account_id, &PackageFilter::default()).await?;
    if as_json {
        let packages: Vec<_> = rows
            .iter()
            .map(|row| {
                json!({
                    "instance_id": row.package.instance_id,
                    "specification": row.specification,
                    "granted": row.package.granted,
                    "remaining": row.package.usable_at(now),
                    "consumed": row.package.consumed(),
                    "lapsed": row.package.lapsed_at(now),
                    "status": row.package.status_at(now).as_str(),
                    "purchased_at": row.package.purchased_at.to_string(),
                    "starts_at": row.package.starts_at.to_string(),
                    "ends_at": row.package.ends_at.to_string(),
                    "zone": row.zone,
                    "price": row.price.to_string(),
                })
            })
            .collect();
        print_json(&serde_json::Value::Array(packages));
        return Ok(());
    }
    if rows.is_empty() {
        println!("account {account_id} has no packages");
    }
    for row in &rows {
        let package = &row.package;
        println!(
            "{}  {:>9} of {:>9} left  {:<9}  until {} ({})",
            package.instance_id,
            package.usable_at(now),
            package.granted,
            package.status_at(now).as_str(),
            package.ends_at,
            row.zone
        );
    }
    Ok(())
}
