//! R12: giving an untouched package back. The page says what is paid back, or why nothing can be.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State},
    response::{Html, IntoResponse, Response},
};
use indicia_domain::ledger::change::returnable;
use indicia_store::package::{PackageRow, RefundRequest};

use super::{
    change::{self, ConfirmForm, not_returnable, package_href, refused},
    find,
};
use crate::{
    ConsoleState, components::Note, error::ConsoleError, format, pages::purchase::new_token,
    session::viewer::AccountView, shell::Shell,
};

#[derive(Template)]
#[template(path = "billing/refund.html")]
struct RefundPage {
    shell: Shell,
    note: Option<Note>,
    can_refund: bool,
    id: String,
    mails: String,
    amount: String,
    balance: String,
    balance_after: String,
    token: String,
    package_href: String,
}

/// `GET …/directmail/{instance_id}/refund`
pub async fn confirm(
    State(state): State<ConsoleState>,
    view: AccountView,
    Path((_, instance_id)): Path<(String, String)>,
) -> Result<Response, ConsoleError> {
    let row = find(&state, &view, &instance_id).await?;
    confirm_page(&state, &view, &row, None)
}

fn confirm_page(
    state: &ConsoleState,
    view: &AccountView,
    row: &PackageRow,
    refusal: Option<Note>,
) -> Result<Response, ConsoleError> {
    let why_not = returnable(&row.package, row.specification, view.now).err();
    let status = change::status(refusal.as_ref());
    let id = row.package.instance_id.clone();
    let template = RefundPage {
        shell: change::shell(state, view, &id, "Refund"),
        can_refund: why_not.is_none(),
        note: refusal.or_else(|| why_not.map(|why| not_returnable(view, why, "refunded"))),
        mails: format::mails_noun(row.package.granted),
        amount: state.money(row.price.0),
        balance: state.money(view.numbers.cash.0),
        balance_after: state.money(view.numbers.cash.0.saturating_add(row.price.0)),
        token: new_token(),
        package_href: package_href(view, &id),
        id,
    };
    Ok((status, Html(template.render()?)).into_response())
}

/// `POST …/directmail/{instance_id}/refund`
pub async fn refund(
    State(state): State<ConsoleState>,
    view: AccountView,
    Path((_, instance_id)): Path<(String, String)>,
    Form(form): Form<ConfirmForm>,
) -> Result<Response, ConsoleError> {
    let row = find(&state, &view, &instance_id).await?;
    let request = RefundRequest {
        account_id: view.id(),
        instance_id,
        idempotency_key: Some(form.key()?),
        nonce: None,
        by: view.actor(),
    };
    match state.store.refund(&request).await {
        Ok(receipt) => Ok(change::to_order(&view, receipt.order_id)),
        Err(error) => confirm_page(&state, &view, &row, Some(refused(&state, &view, error)?)),
    }
}
