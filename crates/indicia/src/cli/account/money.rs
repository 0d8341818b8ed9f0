//! Money and mails by hand: `account credit`, `account adjust`, `account credit-limit`.

use indicia_domain::account::AccountStatus;
use indicia_domain::money::MoneyMicros;
use indicia_store::account::AccountNumbers;
use indicia_store::money::{AdjustError, Adjusted, Adjustment, CreditError, MoneyReceipt};

use crate::cli::args::Key;
use crate::cli::output::Out;
use crate::cli::{Done, Failure, Opened, actor};

fn credited_wrongly(error: CreditError) -> Failure {
    match error {
        CreditError::Zero => Failure::usage(error),
        other => Failure::failed(other),
    }
}

/// What is said of a deed: in the past tense when it is an answer given again.
fn told(receipt: &MoneyReceipt, now: &str, then: &str) -> String {
    match receipt.is_repeat {
        true => format!("done before under this key, nothing was done now; {then}"),
        false => now.to_owned(),
    }
}

/// Says what was done, and whether the account still cannot send because it is overdue (R11): who has just paid for it
/// believes that it can.
async fn print_told(opened: &Opened, account_id: i64, told: &str) -> Done {
    let mut out = Out::open();
    out.line(told)?;
    if let Some(numbers) = opened.store.account_numbers(account_id).await?
        && let Some(missing) = still_missing(&numbers)
    {
        let currency = &opened.config.billing.currency;
        out.line(format_args!("still overdue: {currency} {missing} more is needed"))?;
    }
    out.close()
}

/// What must come in before everything due is paid, of an overdue account: what is due less what the balance and the
/// credit limit may still give.
fn still_missing(numbers: &AccountNumbers) -> Option<MoneyMicros> {
    let available = numbers.cash.0.saturating_add(numbers.credit_limit.0);
    let missing = MoneyMicros(numbers.due.0.saturating_sub(available).max(0));
    numbers.status.has(AccountStatus::OVERDUE).then_some(missing)
}

pub async fn credit(opened: &Opened, account_id: i64, amount: MoneyMicros, memo: &str, key: &Key) -> Done {
    let key = key.kept();
    let receipt = opened.store.credit(account_id, amount, memo, &actor(), key.as_deref()).await;
    let receipt = receipt.map_err(credited_wrongly)?;
    let balance = format!("{} {}", opened.config.billing.currency, receipt.balance());
    let transaction_id = receipt.transaction_id;
    let now = format!("the balance of account {account_id} is now {balance}; transaction {transaction_id}");
    let then =
        format!("the balance of account {account_id} was then {balance}; transaction {transaction_id}");
    print_told(opened, account_id, &told(&receipt, &now, &then)).await
}

pub async fn credit_limit(
    opened: &Opened,
    account_id: i64,
    limit: MoneyMicros,
    reason: &str,
    key: &Key,
) -> Done {
    let key = key.kept();
    let receipt = opened.store.set_credit_limit(account_id, limit, reason, &actor(), key.as_deref()).await;
    let receipt = receipt.map_err(credited_wrongly)?;
    let currency = &opened.config.billing.currency;
    let now = format!("the credit limit of account {account_id} is now {currency} {limit}");
    let then = format!("the credit limit of account {account_id} was set to {currency} {limit} then");
    print_told(opened, account_id, &told(&receipt, &now, &then)).await
}

/// What the options of `account adjust` name. That there is exactly one of them is clap's business.
pub fn adjusted(
    money: Option<MoneyMicros>,
    free_mails: Option<i64>,
    package: Option<String>,
    mails: Option<i64>,
) -> Result<Adjusted, Failure> {
    let nothing =
        || Failure::usage("an adjustment of zero changes nothing; give a positive or a negative number");
    match (money, free_mails, package, mails) {
        (Some(amount), ..) if amount != MoneyMicros::ZERO => Ok(Adjusted::Money(amount)),
        (_, Some(mails), ..) if mails != 0 => Ok(Adjusted::FreeMails(mails)),
        (_, _, Some(instance_id), Some(mails)) if mails != 0 => {
            Ok(Adjusted::PackageMails { instance_id, mails })
        }
        _ => Err(nothing()),
    }
}

pub async fn adjust(opened: &Opened, account_id: i64, what: Adjusted, reason: String, key: &Key) -> Done {
    let done = what_happened(&what, &opened.config.billing.currency);
    let adjustment = Adjustment { account_id, what, reason };
    let key = key.kept();
    let receipt = opened.store.adjust(&adjustment, &actor(), key.as_deref()).await;
    let receipt = receipt.map_err(adjusted_wrongly)?;
    let text = format!("account {account_id}: {done}; transaction {}", receipt.transaction_id);
    print_told(opened, account_id, &told(&receipt, &text, &text)).await
}

fn adjusted_wrongly(error: AdjustError) -> Failure {
    match error {
        AdjustError::Zero | AdjustError::NoReason | AdjustError::TooManyMails => Failure::usage(error),
        other => Failure::failed(other),
    }
}

fn what_happened(what: &Adjusted, currency: &str) -> String {
    let verb = |number: i64| if number < 0 { "taken off" } else { "given" };
    match what {
        Adjusted::Money(amount) => {
            format!("{currency} {} {}", MoneyMicros(amount.0.saturating_abs()), verb(amount.0))
        }
        Adjusted::FreeMails(mails) => format!("{} free mails {}", mails.unsigned_abs(), verb(*mails)),
        Adjusted::PackageMails { instance_id, mails } => {
            format!("{} mails of {instance_id} {}", mails.unsigned_abs(), verb(*mails))
        }
    }
}
