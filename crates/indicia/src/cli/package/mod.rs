//! `indicia package …`

mod order;

use clap::Subcommand;
use indicia_domain::time::UnixMicros;
use indicia_store::package::{PackageFilter, PackageRow};
use serde_json::json;

use super::args::instant;
use super::output::Out;
use super::{ConfigFile, Done, Opened, account_id, named_account, print_json};

const BUY_EXAMPLES: &str = "\
Examples:
  indicia package buy 1000000000000001 --mails 50000
  indicia package buy 1000000000000001 --mails 500000 --quantity 2 --starts 2026-12-01T00:00:00Z
  indicia package buy 1000000000000001 --mails 50000 --idempotency-key order-4711   (run it twice: bought once)

Paid from the cash balance at once. `indicia price list` shows what is on offer.";

const REFUND_EXAMPLES: &str = "\
Examples:
  indicia package refund 1000000000000001 DMBAG-123

Only an untouched package within its validity is refunded, in full (R12).";

const RENEW_EXAMPLES: &str = "\
Examples:
  indicia package renew 1000000000000001 DMBAG-123

Buys a new package of the same size at today's price, which begins when the old one ends.";

const UPGRADE_EXAMPLES: &str = "\
Examples:
  indicia package upgrade 1000000000000001 DMBAG-123 --mails 500000

Exchanges an untouched package for a larger one; the difference of the prices is paid.";

#[derive(Subcommand)]
pub enum PackageCommand {
    /// List an account's packages in the order in which they pay (R05).
    List {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Buy packages for an account from its cash balance (R07, R08).
    #[command(after_help = BUY_EXAMPLES)]
    Buy {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// The package's size, as the price list has it.
        #[arg(long, value_name = "N")]
        mails: i64,
        /// How many packages, each with a validity of its own.
        #[arg(long, value_name = "Q", default_value_t = 1)]
        quantity: i64,
        /// When validity begins, as 2026-12-01T00:00:00Z; at most six months ahead. Without it: now.
        #[arg(long, value_name = "INSTANT", value_parser = instant)]
        starts: Option<UnixMicros>,
        #[command(flatten)]
        order: order::Once,
    },
    /// Give an untouched package back and its price to the cash balance (R12).
    #[command(after_help = REFUND_EXAMPLES)]
    Refund {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// The package, as `indicia package list` shows it.
        instance: String,
        #[command(flatten)]
        order: order::Once,
    },
    /// Buy a package again, to begin when it ends.
    #[command(after_help = RENEW_EXAMPLES)]
    Renew {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// The package, as `indicia package list` shows it.
        instance: String,
        #[command(flatten)]
        order: order::Once,
    },
    /// Exchange an untouched package for a larger one.
    #[command(after_help = UPGRADE_EXAMPLES)]
    Upgrade {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// The package, as `indicia package list` shows it.
        instance: String,
        /// The size of the larger one, as the price list has it.
        #[arg(long, value_name = "N")]
        mails: i64,
        #[command(flatten)]
        order: order::Once,
    },
}

pub async fn run(command: PackageCommand) -> Done {
    match command {
        PackageCommand::List { account_id, json, file } => {
            let opened = file.open().await?;
            let done = list(&opened, account_id, json).await;
            opened.finish(done).await
        }
        PackageCommand::Buy { account_id, mails, quantity, starts, order } => {
            let opened = order.open().await?;
            let done = order::buy(&opened, account_id, mails, quantity, starts, order).await;
            opened.finish(done).await
        }
        PackageCommand::Refund { account_id, instance, order } => {
            let opened = order.open().await?;
            let done = order::refund(&opened, account_id, instance, order).await;
            opened.finish(done).await
        }
        PackageCommand::Renew { account_id, instance, order } => {
            let opened = order.open().await?;
            let done = order::renew(&opened, account_id, instance, order).await;
            opened.finish(done).await
        }
        PackageCommand::Upgrade { account_id, instance, mails, order } => {
            let opened = order.open().await?;
            let done = order::upgrade(&opened, account_id, instance, mails, order).await;
            opened.finish(done).await
        }
    }
}

async fn list(opened: &Opened, account_id: i64, as_json: bool) -> Done {
    named_account(opened, account_id).await?;
    let now = opened.store.now();
    let rows = opened.store.packages(account_id, &PackageFilter::default()).await?;
    if as_json {
        let rows = rows.iter().map(|row| json_of_package(row, now));
        return print_json(&serde_json::Value::Array(rows.collect()));
    }
    let mut out = Out::open();
    if rows.is_empty() {
        out.line(format_args!("account {account_id} has no packages"))?;
    }
    for row in &rows {
        out.line(text_of_package(row, now))?;
    }
    out.close()
}

/// A package as it is at `now`.
pub fn json_of_package(row: &PackageRow, now: UnixMicros) -> serde_json::Value {
    json!({
        "instance_id": row.package.instance_id,
        "specification": row.specification,
        "granted": row.package.granted,
        "remaining": row.package.usable_at(now),
        "consumed": row.package.consumed(),
        "lapsed": row.package.lapsed_at(now),
        "refunded": row.package.refunded(),
        "status": row.package.status_at(now).as_str(),
        "closed": row.package.closed.map(|closed| closed.as_str()),
        "replaced_by": row.replaced_by,
        "renewal_of": row.renewal_of,
        "alert_percent": row.alert_percent,
        "purchased_at": row.package.purchased_at.to_string(),
        "starts_at": row.package.starts_at.to_string(),
        "ends_at": row.package.ends_at.to_string(),
        "zone": row.zone,
        "price": row.price.to_string(),
        "order_id": row.order_id.to_string(),
    })
}

pub fn text_of_package(row: &PackageRow, now: UnixMicros) -> String {
    let package = &row.package;
    let lapsed = package.lapsed_at(now);
    let mut notes = String::new();
    if lapsed > 0 {
        notes.push_str(&format!("  {lapsed} lapsed"));
    }
    if let Some(other) = &row.replaced_by {
        notes.push_str(&format!("  replaced by {other}"));
    }
    if let Some(other) = &row.renewal_of {
        notes.push_str(&format!("  renewal of {other}"));
    }
    format!(
        "{}  {:>9} of {:>9} left  {:<9}  {} to {} ({}){notes}",
        package.instance_id,
        package.usable_at(now),
        package.granted,
        package.status_at(now).as_str(),
        package.starts_at,
        package.ends_at,
        row.zone
    )
}
