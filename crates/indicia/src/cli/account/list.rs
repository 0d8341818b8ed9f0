//! `indicia account list`

use indicia_domain::account::AccountStatus;
use indicia_store::account::{Account, AccountNumbers};
use serde_json::json;

use super::show::status_words;
use crate::cli::output::Out;
use crate::cli::{Done, Opened};

/// Accounts read at a time.
const ACCOUNTS_PER_PAGE: i64 = 200;

pub async fn run(opened: &Opened, only_overdue: bool, as_json: bool) -> Done {
    let (mut out, mut after) = (Out::open(), i64::MIN);
    let currency = &opened.config.billing.currency;
    loop {
        let accounts = opened.store.accounts(after, ACCOUNTS_PER_PAGE).await?;
        let Some(last) = accounts.last() else { return out.close() };
        after = last.account_id;
        for account in &accounts {
            let Some(numbers) = opened.store.account_numbers(account.account_id).await? else { continue };
            if only_overdue && !numbers.status.has(AccountStatus::OVERDUE) {
                continue;
            }
            if as_json {
                out.line(json_of(account, &numbers, currency))?;
            } else {
                out.line(text_of(account, &numbers, currency))?;
            }
        }
    }
}

fn json_of(account: &Account, numbers: &AccountNumbers, currency: &str) -> serde_json::Value {
    json!({
        "account_id": account.account_id.to_string(),
        "name": account.name,
        "email": account.email,
        "zone": account.zone,
        "created_at": account.created_at.to_string(),
        "status": status_words(numbers.status),
        "currency": currency,
        "cash": numbers.cash.to_string(),
        "credit_limit": numbers.credit_limit.to_string(),
        "open": numbers.open.to_string(),
        "due": numbers.due.to_string(),
    })
}

fn text_of(account: &Account, numbers: &AccountNumbers, currency: &str) -> String {
    format!(
        "{}  {:<8}  cash {currency} {}  due {}  {}  {}  {}",
        account.account_id,
        status_words(numbers.status).join("+"),
        numbers.cash,
        numbers.due,
        account.email,
        account.zone,
        account.name
    )
}
