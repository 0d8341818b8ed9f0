//! What keeps an account from sending, said on every page of it. R11: what an overdue account owes and how to mend it;
//! a pause (R22) has its own file.

use indicia_domain::{account::AccountStatus, money::MoneyMicros};
use indicia_store::account::AccountNumbers;

use crate::{
    ConsoleState,
    components::{Note, Tone},
    error::ConsoleError,
    format::Zone,
    pause,
    shell::{BILLS, account_href},
};

/// All that keeps an account from sending, the pause first: money would not end it.
pub async fn banners(
    state: &ConsoleState,
    account_id: i64,
    numbers: &AccountNumbers,
    zone: &Zone,
) -> Result<Vec<Note>, ConsoleError> {
    let pause = pause::load(state, account_id, numbers.status).await?;
    let (policy, now) = (state.store.quota_policy(), state.now());
    let paused = match pause {
        Some(pause) => Some(pause::note(&pause, &policy, zone, now, account_id)),
        None if numbers.status.has(AccountStatus::RESTRICTED) => {
            let text = "The operator has stopped sending for this account. Ask there what has to be done.";
            Some(Note::new(Tone::Bad, "The account cannot send", text))
        }
        None => None,
    };
    Ok(paused.into_iter().chain(note(state, account_id, numbers)).collect())
}

/// Money that has to come in before everything due is paid: what is due less what the balance may still give.
pub fn missing(numbers: &AccountNumbers) -> MoneyMicros {
    let available = numbers.cash.0.saturating_add(numbers.credit_limit.0);
    MoneyMicros(numbers.due.0.saturating_sub(available).max(0))
}

/// The note of an overdue account; `None` for any other.
pub fn note(state: &ConsoleState, account_id: i64, numbers: &AccountNumbers) -> Option<Note> {
    if !numbers.status.has(AccountStatus::OVERDUE) {
        return None;
    }
    let credit = match numbers.credit_limit.0 {
        0 => String::new(),
        limit => format!(" with a credit limit of {}", state.money(limit)),
    };
    let stopped = match state.policy.overdue_spares_prepaid {
        true => "mail that neither free credit nor a package pays for is refused",
        false => "mail is refused",
    };
    let text = format!(
        "Bills of {} are due, and the cash balance of {}{credit} does not cover them, so {stopped}. Pay {} to the \
         operator of this installation: as soon as the money is booked, the bills are settled and sending is restored at once.",
        state.money(numbers.due.0),
        state.money(numbers.cash.0),
        state.money(missing(numbers).0),
    );
    let title = format!("The account is overdue: {} to pay", state.money(missing(numbers).0));
    let href = account_href(account_id, &format!("{BILLS}/unpaid"));
    Some(Note::new(Tone::Bad, title, text).with_link(href, "See the bills that are due"))
}
