//! `indicia price …`: what packages and pay-as-you-go cost (R07, R10).

use clap::Subcommand;
use indicia_domain::ledger::price::PriceList;
use indicia_domain::money::MoneyMicros;
use serde_json::json;

use super::output::Out;
use super::{ConfigFile, Done};

const EXAMPLES: &str = "\
Examples:
  indicia price list
  indicia price list --json --config /etc/indicia.toml

The list is configured: [[billing.package]] and billing.pay_as_you_go_per_1000. A list in which a larger package
is not cheaper a mail, or a package is not cheaper than pay-as-you-go, is refused at start-up (R07).";

#[derive(Subcommand)]
pub enum PriceCommand {
    /// Show the price list of the configuration: packages, a mail's price in each, and the saving.
    #[command(after_help = EXAMPLES)]
    List {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: ConfigFile,
    },
}

pub async fn run(command: PriceCommand) -> Done {
    let PriceCommand::List { json, file } = command;
    let config = file.load()?;
    list(&config.price_list()?, &config.billing.currency, json)
}

fn list(prices: &PriceList, currency: &str, as_json: bool) -> Done {
    let mut out = Out::open();
    let per_thousand = prices.pay_as_you_go().checked_mul(1_000).unwrap_or(MoneyMicros(i64::MAX));
    if as_json {
        let packages: Vec<_> = prices
            .offers()
            .iter()
            .map(|offer| {
                json!({
                    "mails": offer.mails,
                    "price": offer.price.to_string(),
                    "price_micros": offer.price.0,
                    "saving_micros": saving(prices, offer.mails, offer.price),
                })
            })
            .collect();
        out.line(json!({
            "currency": currency,
            "packages": packages,
            "pay_as_you_go_per_1000": per_thousand.to_string(),
            "pay_as_you_go_micros_per_mail": prices.pay_as_you_go().0,
            "validity_months": prices.validity_months(),
        }))?;
        return out.close();
    }
    for offer in prices.offers() {
        let saved = MoneyMicros(saving(prices, offer.mails, offer.price));
        out.line(format_args!(
            "package of {:>11} mails  {currency} {:>10}   {currency} {saved} below pay-as-you-go",
            offer.mails,
            offer.price.to_string()
        ))?;
    }
    out.line(format_args!("pay-as-you-go             {currency} {per_thousand} per 1,000 mails"))?;
    out.line(format_args!("a package is valid for {} months", prices.validity_months()))?;
    out.close()
}

/// How much cheaper the package is than as many mails of pay-as-you-go, in millionths.
fn saving(prices: &PriceList, mails: i64, price: MoneyMicros) -> i64 {
    let as_you_go = i128::from(prices.pay_as_you_go().0) * i128::from(mails);
    i64::try_from(as_you_go - i128::from(price.0)).unwrap_or(i64::MAX)
}
