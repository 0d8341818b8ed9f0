//! Money and mails by hand: `account credit`, `account adjust`, `account credit-limit`.

use indicia_domain::money::MoneyMicros;
use indicia_store::money::{AdjustError, Adjusted, Adjustment, CreditError};

use crate::cli::{Done, Failure, Opened, actor};

fn credited_wrongly(error: CreditError) -> Failure {
    match error {
        CreditError::Zero => Failure::usage(error),
        other => Failure::failed(other),
    }
}

pub async fn credit(opened: &Opened, account_id: i64, amount: MoneyMicros, memo: &str) -> Done {
    let balance = opened.store.credit(account_id, amount, memo, &actor()).await.map_err(credited_wrongly)?;
    println!("the balance of account {account_id} is now {} {balance}", opened.config.billing.currency);
    Ok(())
}

pub async fn credit_limit(opened: &Opened, account_id: i64, limit: MoneyMicros, reason: &str) -> Done {
    opened.store.set_credit_limit(account_id, limit, reason, &actor()).await.map_err(credited_wrongly)?;
    println!("the credit limit of account {account_id} is now {} {limit}", opened.config.billing.currency);
    Ok(())
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

pub async fn adjust(opened: &Opened, account_id: i64, what: Adjusted, reason: String) -> Done {
    let done = what_happened(&what, &opened.config.billing.currency);
    let adjustment = Adjustment { account_id, what, reason };
    let transaction_id = opened.store.adjust(&adjustment, &actor()).await.map_err(adjusted_wrongly)?;
    println!("account {account_id}: {done}; transaction {transaction_id}");
    Ok(())
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
