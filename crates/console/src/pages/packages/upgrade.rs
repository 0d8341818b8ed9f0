//! Upgrade: an untouched package is exchanged for a larger one, for the difference of the prices. First the choice,
//! then what it costs, then the button.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    response::{Html, IntoResponse, Response},
};
use indicia_domain::{
    ledger::{
        change::{returnable, upgrade_price},
        price::Offer,
    },
    money::MoneyMicros,
    time,
};
use indicia_store::package::{PackageRow, UpgradeRequest};
use serde::Deserialize;

use super::{
    change::{self, ConfirmForm, not_enough, not_returnable, not_upgradable, package_href, refused},
    find,
};
use crate::{
    ConsoleState,
    components::{Note, Tone},
    error::ConsoleError,
    format::{self, Moment},
    pages::purchase::new_token,
    session::viewer::AccountView,
    shell::Shell,
};

/// A larger package to choose.
struct Choice {
    value: i64,
    mails: String,
    price: String,
    difference: String,
    is_chosen: bool,
}

/// The exchange as it would be made.
struct Exchange {
    specification: i64,
    mails: String,
    price: String,
    difference: String,
    balance: String,
    balance_after: String,
    starts_at: Moment,
    ends_at: Moment,
    zone: String,
}

#[derive(Template)]
#[template(path = "billing/upgrade.html")]
struct UpgradePage {
    shell: Shell,
    note: Option<Note>,
    id: String,
    mails: String,
    paid: String,
    choices: Vec<Choice>,
    exchange: Option<Exchange>,
    token: String,
    action: String,
    package_href: String,
}

/// What the page is asked with: the larger size, once it is chosen.
#[derive(Deserialize)]
pub struct UpgradeQuery {
    #[serde(default)]
    specification: String,
}

/// `GET …/directmail/{instance_id}/upgrade`
pub async fn choose(
    State(state): State<ConsoleState>,
    view: AccountView,
    Path((_, instance_id)): Path<(String, String)>,
    Query(query): Query<UpgradeQuery>,
) -> Result<Response, ConsoleError> {
    let row = find(&state, &view, &instance_id).await?;
    upgrade_page(&state, &view, &row, &query.specification, None)
}

fn upgrade_page(
    state: &ConsoleState,
    view: &AccountView,
    row: &PackageRow,
    specification: &str,
    refusal: Option<Note>,
) -> Result<Response, ConsoleError> {
    let chosen = specification.trim().parse::<i64>().ok();
    let choices = choices(state, view, row, chosen);
    let (exchange, why_not) = match (returnable(&row.package, row.specification, view.now), chosen) {
        (Err(why), _) => (None, Some(not_returnable(view, why, "exchanged"))),
        (Ok(()), None) if choices.is_empty() => (None, Some(nothing_larger())),
        (Ok(()), None) => (None, None),
        (Ok(()), Some(mails)) => match exchange(state, view, row, mails)? {
            Ok(exchange) => (Some(exchange), None),
            Err(note) => (None, Some(note)),
        },
    };
    let status = change::status(refusal.as_ref());
    let id = row.package.instance_id.clone();
    let template = UpgradePage {
        shell: change::shell(state, view, &id, "Upgrade"),
        note: refusal.or(why_not),
        mails: format::mails_noun(row.specification),
        paid: state.money(row.price.0),
        choices,
        exchange,
        token: new_token(),
        action: format!("{}/upgrade", package_href(view, &id)),
        package_href: package_href(view, &id),
        id,
    };
    Ok((status, Html(template.render()?)).into_response())
}

fn nothing_larger() -> Note {
    let text = "It is the largest on offer. Buy a further package instead; several work side by side.";
    Note::new(Tone::Info, "There is no larger package", text)
}

/// The offers for which the package can be exchanged.
fn choices(state: &ConsoleState, view: &AccountView, row: &PackageRow, chosen: Option<i64>) -> Vec<Choice> {
    let priced = state.prices.offers().iter().filter_map(|offer| {
        upgrade_price(&row.package, row.specification, row.price, *offer, view.now)
            .ok()
            .map(|difference| (offer, difference))
    });
    let choice = |(offer, difference): (&Offer, MoneyMicros)| Choice {
        value: offer.mails,
        mails: format::mails(offer.mails),
        price: state.money(offer.price.0),
        difference: state.money(difference.0),
        is_chosen: chosen == Some(offer.mails),
    };
    let mut choices: Vec<Choice> = priced.map(choice).collect();
    if chosen.is_none()
        && let Some(first) = choices.first_mut()
    {
        first.is_chosen = true;
    }
    choices
}

fn exchange(
    state: &ConsoleState,
    view: &AccountView,
    row: &PackageRow,
    mails: i64,
) -> Result<Result<Exchange, Note>, ConsoleError> {
    let Some(offer) = state.prices.offer(mails) else {
        let text = "Packages come in the sizes below and no others.";
        return Ok(Err(Note::new(Tone::Warn, "Choose a larger package", text)));
    };
    let difference = match upgrade_price(&row.package, row.specification, row.price, offer, view.now) {
        Ok(difference) => difference,
        Err(why) => return Ok(Err(not_upgradable(state, view, why))),
    };
    let cash = view.numbers.cash;
    if cash < difference {
        return Ok(Err(not_enough(state, difference, cash)));
    }
    let zone = time::zone(&view.account.zone).map_err(|error| ConsoleError::BadInput(error.to_string()))?;
    // R08: the new package's validity is its own; one that was to start later still does.
    let start = row.package.starts_at.max(view.now);
    let end = time::validity_end(&zone, start, state.prices.validity_months());
    Ok(Ok(Exchange {
        specification: offer.mails,
        mails: format::mails_noun(offer.mails),
        price: state.money(offer.price.0),
        difference: state.money(difference.0),
        balance: state.money(cash.0),
        balance_after: state.money(cash.0.saturating_sub(difference.0)),
        starts_at: view.zone.moment(start),
        ends_at: view.zone.moment(end),
        zone: view.zone.label(end),
    }))
}

/// `POST …/directmail/{instance_id}/upgrade`
pub async fn upgrade(
    State(state): State<ConsoleState>,
    view: AccountView,
    Path((_, instance_id)): Path<(String, String)>,
    Form(form): Form<ConfirmForm>,
) -> Result<Response, ConsoleError> {
    let row = find(&state, &view, &instance_id).await?;
    let Ok(specification) = form.specification.trim().parse::<i64>() else {
        return upgrade_page(
            &state,
            &view,
            &row,
            "",
            Some(Note::new(Tone::Warn, "Choose a larger package", "The form named none. Nothing was done.")),
        );
    };
    let request = UpgradeRequest {
        account_id: view.id(),
        instance_id,
        specification,
        idempotency_key: Some(form.key()?),
        nonce: None,
        by: view.actor(),
    };
    match state.store.upgrade(&request, &state.prices).await {
        Ok(receipt) => Ok(change::to_order(&view, receipt.order_id)),
        Err(error) => {
            let note = refused(&state, &view, error)?;
            upgrade_page(&state, &view, &row, &form.specification, Some(note))
        }
    }
}
