//! `indicia account show`: everything of one account on one page.

use indicia_domain::account::AccountStatus;
use indicia_domain::time;
use indicia_store::account::{Account, AccountNumbers};
use indicia_store::contact::Contact;
use indicia_store::package::{PackageFilter, PackageRow};
use serde_json::json;

use super::contact;
use crate::cli::output::Out;
use crate::cli::package::{json_of_package, text_of_package};
use crate::cli::{Done, Failure, Opened, named_account, print_json};

/// The status bits in words.
pub fn status_words(status: AccountStatus) -> Vec<&'static str> {
    let named = [
        (AccountStatus::DELETED, "deleted"),
        (AccountStatus::FROZEN, "frozen"),
        (AccountStatus::RESTRICTED, "restricted"),
        (AccountStatus::OVERDUE, "overdue"),
    ];
    let words: Vec<_> = named.iter().filter(|(bit, _)| status.has(*bit)).map(|(_, word)| *word).collect();
    if words.is_empty() { vec!["normal"] } else { words }
}

/// All that is shown, read once.
struct Shown {
    account: Account,
    numbers: AccountNumbers,
    contact: Contact,
    packages: Vec<PackageRow>,
    quota_used_today: i64,
}

pub async fn run(opened: &Opened, account_id: i64, as_json: bool) -> Done {
    let account = named_account(opened, account_id).await?;
    let store = &opened.store;
    let numbers = store.account_numbers(account_id).await?;
    let gone = || Failure::failed(format!("account {account_id} was deleted meanwhile"));
    let numbers = numbers.ok_or_else(gone)?;
    let zone = time::zone(&account.zone).map_err(Failure::failed)?;
    let today = time::local_day(&zone, store.now()).number;
    let shown = Shown {
        contact: store.contact(account_id).await?.ok_or_else(gone)?,
        packages: store.packages(account_id, &PackageFilter::default()).await?,
        quota_used_today: if numbers.quota_day == today { numbers.quota_day_used } else { 0 },
        account,
        numbers,
    };
    if as_json { print_json(&json_of(opened, &shown)) } else { print_text(opened, &shown) }
}

fn json_of(opened: &Opened, shown: &Shown) -> serde_json::Value {
    let Shown { account, numbers, contact: told, packages, quota_used_today } = shown;
    let now = opened.store.now();
    json!({
        "account_id": account.account_id.to_string(),
        "name": account.name,
        "email": account.email,
        "zone": account.zone,
        "created_at": account.created_at.to_string(),
        "status": status_words(numbers.status),
        "contact": contact::json_of(told),
        "quota": { "level": numbers.quota_level, "daily_mails": numbers.daily_quota, "used_today": quota_used_today },
        "currency": opened.config.billing.currency,
        "cash": numbers.cash.to_string(),
        "cash_micros": numbers.cash.0,
        "credit_limit": numbers.credit_limit.to_string(),
        "open": numbers.open.to_string(),
        "due": numbers.due.to_string(),
        "free_mails": numbers.free_left,
        "unbilled_mails": numbers.pay_as_you_go_mails,
        "alert_percent": numbers.alert_percent,
        "packages": packages.iter().map(|row| json_of_package(row, now)).collect::<Vec<_>>(),
    })
}

fn print_text(opened: &Opened, shown: &Shown) -> Done {
    let Shown { account, numbers, contact: told, packages, quota_used_today } = shown;
    let (currency, now) = (&opened.config.billing.currency, opened.store.now());
    let mut out = Out::open();
    out.line(format_args!("account          {}  {}", account.account_id, account.name))?;
    out.line(format_args!("console login    {}", account.email))?;
    out.line(format_args!("billing zone     {}", account.zone))?;
    out.line(format_args!("created          {}", account.created_at))?;
    out.line(format_args!("status           {}", status_words(numbers.status).join(", ")))?;
    out.line(format_args!("{}", contact::text_of(told)))?;
    out.line(format_args!(
        "quota            {quota_used_today} of {} mails used today, level {}",
        numbers.daily_quota, numbers.quota_level
    ))?;
    out.line(format_args!("cash             {currency} {}", numbers.cash))?;
    out.line(format_args!("credit limit     {currency} {}", numbers.credit_limit))?;
    out.line(format_args!("open bills       {currency} {}", numbers.open))?;
    out.line(format_args!("of these due     {currency} {}", numbers.due))?;
    out.line(format_args!("free credit      {} mails", numbers.free_left))?;
    out.line(format_args!("not yet billed   {} mails of pay-as-you-go", numbers.pay_as_you_go_mails))?;
    for row in packages {
        out.line(format_args!("{}", text_of_package(row, now)))?;
    }
    out.close()
}
