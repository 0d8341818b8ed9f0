//! What refund, renewal and upgrade have in common: the package they are about, the token that makes the button
//! work once, and why something cannot be done, in words for the account's owner.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use indicia_domain::{
    ledger::{
        change::{NotRenewable, NotReturnable, NotUpgradable},
        package::Closed,
    },
    money::MoneyMicros,
};
use indicia_store::package::{PackageRow, PurchaseError};
use serde::Deserialize;

use crate::{
    ConsoleState,
    components::{Link, Note, Tone},
    error::ConsoleError,
    format,
    pages::{billing::way_to_packages, purchase},
    session::viewer::{AccountView, here},
    shell::{DIRECTMAIL, Place, Shell},
};

/// The form behind a confirm step. Its token was made with the page, and becomes the store's idempotency key: a
/// double click, a resend or a lost answer do the thing once.
#[derive(Clone, Debug, Deserialize)]
pub struct ConfirmForm {
    #[serde(default)]
    token: String,
    /// Of an upgrade: mails of the larger package.
    #[serde(default)]
    pub specification: String,
}

impl ConfirmForm {
    /// The idempotency key, if the token is one of ours.
    pub fn key(&self) -> Result<String, ConsoleError> {
        if !purchase::is_token(&self.token) {
            let text = "The form lacks its token. Nothing was done. Go back to the package and start anew.";
            return Err(ConsoleError::BadInput(text.into()));
        }
        Ok(format!("console:{}", self.token))
    }
}

/// The frame of a page about what is done to a package.
pub fn shell(state: &ConsoleState, view: &AccountView, instance: &str, title: &str) -> Shell {
    let mut crumbs = way_to_packages(view);
    crumbs.push(Link::new(package_href(view, instance), instance));
    crumbs.push(here(title));
    view.shell(state, Place::Packages, title).with_crumbs(crumbs)
}

/// The address of a package's page.
pub fn package_href(view: &AccountView, instance: &str) -> String {
    view.href(&format!("{DIRECTMAIL}/{instance}"))
}

/// The answer after the thing was done: its order.
pub fn to_order(view: &AccountView, order_id: i64) -> Response {
    Redirect::to(&view.href(&format!("{DIRECTMAIL}/orders/{order_id}"))).into_response()
}

/// The status of a page that carries a refusal.
pub fn status(refusal: Option<&Note>) -> StatusCode {
    if refusal.is_some() { StatusCode::CONFLICT } else { StatusCode::OK }
}

/// R12: why the package is not given back.
pub fn not_returnable(view: &AccountView, why: NotReturnable, deed: &str) -> Note {
    let text = match why {
        NotReturnable::Used(mails) => format!(
            "{} of its mails {} been used. A package that has been used, even by one mail, can be neither cancelled nor refunded \
             nor exchanged.",
            format::mails(mails),
            if mails == 1 { "has" } else { "have" }
        ),
        NotReturnable::Ended(at) => format!(
            "Its validity ended at {}. What was left lapsed with it and does not come back.",
            view.zone.moment(at).full()
        ),
        NotReturnable::Refunded => {
            "It has been refunded already; its price is back on the cash balance.".into()
        }
        NotReturnable::Emptied(mails) => format!(
            "An operator took {} of its mails out. Ask the operator of this service.",
            format::mails(mails)
        ),
        NotReturnable::Upgraded => "It has been exchanged for a larger one already.".into(),
    };
    Note::new(Tone::Warn, format!("This package cannot be {deed}"), text)
}

/// Why the package is not renewed.
pub fn not_renewable(view: &AccountView, why: NotRenewable) -> Note {
    let text = match why {
        NotRenewable::Ended(at) => {
            format!("Its validity ended at {}. Buy a new package instead.", view.zone.moment(at).full())
        }
        NotRenewable::Refunded => "It was refunded. Buy a new package instead.".into(),
        NotRenewable::Upgraded => "It was exchanged for a larger one. Renew that one instead.".into(),
    };
    Note::new(Tone::Warn, "This package cannot be renewed", text)
}

/// Why the package is not exchanged for that offer.
pub fn not_upgradable(state: &ConsoleState, view: &AccountView, why: NotUpgradable) -> Note {
    match why {
        NotUpgradable::NotReturnable(why) => not_returnable(view, why, "exchanged"),
        NotUpgradable::NotLarger(old, new) => {
            let text = format!(
                "A package is exchanged for a larger one only; {} is not more than {}.",
                format::mails_noun(new),
                format::mails(old)
            );
            Note::new(Tone::Warn, "Choose a larger package", text)
        }
        NotUpgradable::Cheaper { old, new } => {
            let text = format!(
                "The larger package costs {}, less than the {} that was paid. Refund this one and buy the other.",
                state.money(new.0),
                state.money(old.0)
            );
            Note::new(Tone::Warn, "An exchange would cost you more than it should", text)
        }
    }
}

/// What the store refused, for the page that asked; an error of the store itself stays an error.
pub fn refused(state: &ConsoleState, view: &AccountView, error: PurchaseError) -> Result<Note, ConsoleError> {
    Ok(match error {
        PurchaseError::Store(error) => return Err(error.into()),
        PurchaseError::Overdue(due) => {
            let text = format!(
                "Bills of {} are due and not paid. Money on the balance belongs to them first; when they are paid, packages can be \
                 bought.",
                state.money(due.0)
            );
            Note::new(Tone::Bad, "The account is overdue", text)
        }
        PurchaseError::InsufficientBalance { price, balance } => not_enough(state, price, balance),
        PurchaseError::NotReturnable { why, .. } => not_returnable(view, why, "refunded"),
        PurchaseError::NotUpgradable { why, .. } => not_upgradable(state, view, why),
        PurchaseError::NotRenewable { why, .. } => not_renewable(view, why),
        PurchaseError::AlreadyRenewed { renewal, .. } => already_renewed(view, &renewal),
        PurchaseError::IdempotencyConflict => {
            let text = "The same form was sent before with another content. What it did then stands, and nothing was done \
                        now. Look at the packages before you try again.";
            Note::new(Tone::Warn, "This form has been used", text)
        }
        other => Note::new(Tone::Bad, "Nothing was done", format!("{other}.")),
    })
}

/// The package that renews `instance_id`, or the larger one that its renewal was exchanged for; `None` if there is none or
/// it was refunded. The store decides alike.
pub fn renewal_among<'a>(all: &'a [PackageRow], instance_id: &str) -> Option<&'a str> {
    let first = all.iter().filter(|row| row.renewal_of.as_deref() == Some(instance_id));
    first.into_iter().find_map(|renewal| {
        let mut row = renewal;
        // An exchange leads to a package that is not yet in the chain, so the chain is no longer than the list.
        for _ in 0..all.len() {
            match (row.package.closed, &row.replaced_by) {
                (None, _) => return Some(row.package.instance_id.as_str()),
                (Some(Closed::Upgrade), Some(larger)) => {
                    row = all.iter().find(|other| other.package.instance_id == *larger)?;
                }
                (Some(_), _) => return None,
            }
        }
        None
    })
}

/// The renewal that a package has already.
pub fn already_renewed(view: &AccountView, renewal: &str) -> Note {
    let text = format!(
        "{renewal} starts when this one ends. Renew that one to go on after it, or buy a further package."
    );
    Note::new(Tone::Info, "This package has been renewed already", text)
        .with_link(package_href(view, renewal), format!("See {renewal}"))
}

/// The balance does not cover a price.
pub fn not_enough(state: &ConsoleState, price: MoneyMicros, balance: MoneyMicros) -> Note {
    let missing = price.0.saturating_sub(balance.0);
    let text = format!(
        "This costs {}, the cash balance is {}: {} are missing. Nothing was bought. Ask the operator of this installation to \
         put money on the account.",
        state.money(price.0),
        state.money(balance.0),
        state.money(missing)
    );
    Note::new(Tone::Bad, "The balance is not enough", text)
}
