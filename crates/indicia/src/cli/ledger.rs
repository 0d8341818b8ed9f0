//! `indicia ledger …`

use clap::Subcommand;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::UnixMicros;
use serde_json::json;

use super::{ConfigFile, Done, Failure, Opened, account_id, print_json};

/// Violations that are printed; the rest is counted.
const SHOWN_MAX: usize = 100;

#[derive(Subcommand)]
pub enum LedgerCommand {
    /// Replay the ledger against every rule of conservation. Exit status 0 and a summary, or 1 and what is wrong.
    Verify(ConfigFile),
    /// An account's balances as of an instant, past or future, from the lines alone.
    Balance {
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// As `2026-11-22T04:00:00Z`. Without it: now.
        #[arg(long, value_name = "INSTANT", value_parser = instant)]
        as_of: Option<UnixMicros>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
}

fn instant(text: &str) -> Result<UnixMicros, String> {
    UnixMicros::parse(text)
        .ok_or_else(|| format!("'{text}' is not an instant; write it as 2026-11-22T04:00:00Z"))
}

pub async fn run(command: LedgerCommand) -> Done {
    match command {
        LedgerCommand::Verify(file) => {
            let opened = file.open().await?;
            let done = verify(&opened).await;
            opened.finish(done).await
        }
        LedgerCommand::Balance { account_id, as_of, json, file } => {
            let opened = file.open().await?;
            let done = balance(&opened, account_id, as_of, json).await;
            opened.finish(done).await
        }
    }
}

async fn verify(opened: &Opened) -> Done {
    let found = opened.store.verify_ledger().await?;
    if found.violations.is_empty() {
        println!(
            "the ledger is sound: {} accounts, {} lines, {} messages, {} mails accepted and charged once each",
            found.accounts, found.lines, found.messages, found.mails
        );
        return Ok(());
    }
    for violation in found.violations.iter().take(SHOWN_MAX) {
        println!("account {}: {}", violation.account_id, violation.what);
    }
    let count = found.violations.len();
    Err(Failure::failed(format!(
        "the ledger is not sound: {count} violations; {} are shown above",
        count.min(SHOWN_MAX)
    )))
}

async fn balance(opened: &Opened, account_id: i64, as_of: Option<UnixMicros>, as_json: bool) -> Done {
    if opened.store.account(account_id).await?.is_none() {
        return Err(Failure::failed(format!("there is no account {account_id}")));
    }
    let as_of = as_of.unwrap_or_else(|| opened.store.now());
    let balances = opened.store.balances_as_of(account_id, as_of).await?;
    let currency = &opened.config.billing.currency;
    let cash = MoneyMicros(balances.cash_micros);
    if as_json {
        let packages = balances.packages.iter().map(|package| {
            json!({
                "instance_id": package.instance_id,
                "granted": package.granted,
                "remaining": package.remaining,
                "consumed": package.consumed,
                "lapsed": package.lapsed,
            })
        });
        print_json(&json!({
            "account_id": account_id.to_string(),
            "as_of": as_of.to_string(),
            "cash": cash.to_string(),
            "cash_micros": balances.cash_micros,
            "currency": currency,
            "free_mails": balances.free_mails,
            "pay_as_you_go_mails": balances.pay_as_you_go_mails,
            "packages": packages.collect::<Vec<_>>(),
        }));
        return Ok(());
    }
    println!("account {account_id} as of {as_of}");
    println!("cash           {currency} {cash}");
    println!("free credit    {} mails", balances.free_mails);
    println!("pay-as-you-go  {} mails charged", balances.pay_as_you_go_mails);
    for package in &balances.packages {
        println!(
            "{}  granted {} = remaining {} + consumed {} + lapsed {}",
            package.instance_id, package.granted, package.remaining, package.consumed, package.lapsed
        );
    }
    Ok(())
}
