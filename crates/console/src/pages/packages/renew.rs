//! Renewal: a new package of the same size that starts at the instant at which the old one ends.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    response::{Html, IntoResponse, Response},
};
use indicia_domain::{ledger::change::renewal_start, time};
use indicia_store::package::{PackageFilter, PackageRow, RenewRequest};

use super::{
    change::{
        self, ConfirmForm, already_renewed, not_enough, not_renewable, package_href, refused, renewal_among,
    },
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

/// What would be bought, where the package can be renewed.
struct Renewal {
    price: String,
    balance: String,
    balance_after: String,
    starts_at: Moment,
    ends_at: Moment,
    zone: String,
    last_day: String,
}

#[derive(Template)]
#[template(path = "billing/renew.html")]
struct RenewPage {
    shell: Shell,
    note: Option<Note>,
    id: String,
    mails: String,
    renewal: Option<Renewal>,
    token: String,
    package_href: String,
}

/// `GET …/directmail/{instance_id}/renew`
pub async fn confirm(
    State(state): State<ConsoleState>,
    view: AccountView,
    Path((_, instance_id)): Path<(String, String)>,
) -> Result<Response, ConsoleError> {
    let row = find(&state, &view, &instance_id).await?;
    confirm_page(&state, &view, &row, None).await
}

async fn confirm_page(
    state: &ConsoleState,
    view: &AccountView,
    row: &PackageRow,
    refusal: Option<Note>,
) -> Result<Response, ConsoleError> {
    let (renewal, why_not) = match renewal(state, view, row).await? {
        Ok(renewal) => (Some(renewal), None),
        Err(note) => (None, Some(note)),
    };
    let status = change::status(refusal.as_ref());
    let id = row.package.instance_id.clone();
    let template = RenewPage {
        shell: change::shell(state, view, &id, "Renew"),
        note: refusal.or(why_not),
        mails: format::mails_noun(row.specification),
        renewal,
        token: new_token(),
        package_href: package_href(view, &id),
        id,
    };
    Ok((status, Html(template.render()?)).into_response())
}

async fn renewal(
    state: &ConsoleState,
    view: &AccountView,
    row: &PackageRow,
) -> Result<Result<Renewal, Note>, ConsoleError> {
    let start = match renewal_start(&row.package, view.now) {
        Ok(start) => start,
        Err(why) => return Ok(Err(not_renewable(view, why))),
    };
    let id = row.package.instance_id.as_str();
    let all = state.store.packages(view.id(), &PackageFilter::default()).await?;
    if let Some(newer) = renewal_among(&all, id) {
        return Ok(Err(already_renewed(view, newer)));
    }
    let Some(offer) = state.prices.offer(row.specification) else {
        let text = format!(
            "Packages of {} are not on offer any more. Buy one of another size instead.",
            format::mails_noun(row.specification)
        );
        return Ok(Err(Note::new(Tone::Warn, "This package cannot be renewed", text)));
    };
    let cash = view.numbers.cash;
    if cash < offer.price {
        return Ok(Err(not_enough(state, offer.price, cash)));
    }
    let zone = time::zone(&view.account.zone).map_err(|error| ConsoleError::BadInput(error.to_string()))?;
    let end = time::validity_end(&zone, start, state.prices.validity_months());
    Ok(Ok(Renewal {
        price: state.money(offer.price.0),
        balance: state.money(cash.0),
        balance_after: state.money(cash.0.saturating_sub(offer.price.0)),
        starts_at: view.zone.moment(start),
        ends_at: view.zone.moment(end),
        zone: view.zone.label(end),
        last_day: view.zone.moment(end.plus_micros(-1)).date().to_owned(),
    }))
}

/// `POST …/directmail/{instance_id}/renew`
pub async fn renew(
    State(state): State<ConsoleState>,
    view: AccountView,
    Path((_, instance_id)): Path<(String, String)>,
    Form(form): Form<ConfirmForm>,
) -> Result<Response, ConsoleError> {
    let row = find(&state, &view, &instance_id).await?;
    let request = RenewRequest {
        account_id: view.id(),
        instance_id,
        idempotency_key: Some(form.key()?),
        nonce: None,
        by: view.actor(),
    };
    match state.store.renew(&request, &state.prices).await {
        Ok(receipt) => Ok(change::to_order(&view, receipt.order_id)),
        Err(error) => {
            let note = refused(&state, &view, error)?;
            confirm_page(&state, &view, &row, Some(note)).await
        }
    }
}
