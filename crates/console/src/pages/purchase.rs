//! The purchase of a package: choose, confirm, buy, receipt.
//!
//! Nothing is bought before the confirm page's button. That page's own address carries a purchase token, which
//! becomes the store's idempotency key: a double click, a resend, a lost answer, or a step back and the same
//! button again buy once and show the same receipt. Only choosing anew makes another purchase.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use indicia_domain::{ledger::price::Offer, money::MoneyMicros, time};
use indicia_store::package::{PackageFilter, PackageRow, PurchaseError, PurchaseRequest, QUANTITY_MAX};
use serde::Deserialize;

use super::{
    billing::{OfferView, way_to_packages},
    with_query,
};
use crate::{
    ConsoleState,
    components::{Note, Tone},
    error::{ConsoleError, page},
    format::{self, Moment},
    session::viewer::{AccountView, here},
    shell::{DIRECTMAIL, Place, Shell},
};

/// What is to be bought, as the forms send it. Text, so that what is wrong with it can be said on the page.
#[derive(Clone, Debug, Deserialize)]
pub struct Order {
    #[serde(default)]
    specification: String,
    #[serde(default)]
    quantity: String,
    /// The confirm page's token; empty before.
    #[serde(default)]
    purchase: String,
}

/// An order that is on offer.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    offer: Offer,
    quantity: i64,
    total: MoneyMicros,
}

/// Enough that no two purchases of an account ever share a token.
const TOKEN_SIZE_BYTES: usize = 16;

impl Order {
    fn has_token(&self) -> bool {
        self.purchase.len() == 2 * TOKEN_SIZE_BYTES
            && self.purchase.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    /// What is wanted, or what is wrong with it for the reader.
    fn check(&self, state: &ConsoleState) -> Result<Wanted, Note> {
        let offer = self.specification.trim().parse().ok().and_then(|mails| state.prices.offer(mails));
        let Some(offer) = offer else {
            return Err(Note::new(
                Tone::Bad,
                "Choose a specification",
                "Packages come in the sizes below and no others.",
            ));
        };
        let quantity = self.quantity.trim().parse().ok().filter(|number| (1..=QUANTITY_MAX).contains(number));
        let total = quantity.and_then(|number| offer.price.checked_mul(number));
        let (Some(quantity), Some(total)) = (quantity, total) else {
            let text = format!("A purchase has 1 to {QUANTITY_MAX} packages, in whole numbers.");
            return Err(Note::new(Tone::Bad, "This quantity cannot be bought", text));
        };
        Ok(Wanted { offer, quantity, total })
    }
}

#[derive(Template)]
#[template(path = "billing/buy.html")]
struct BuyPage {
    shell: Shell,
    note: Option<Note>,
    confirm_href: String,
    offers: Vec<OfferView>,
    quantity: String,
    quantity_max: i64,
    balance: String,
}

/// `GET …/directmail/buy`
pub async fn choose(
    State(state): State<ConsoleState>,
    view: AccountView,
    Query(order): Query<Order>,
) -> Result<Response, ConsoleError> {
    choose_page(&state, &view, &order, None).await
}

async fn choose_page(
    state: &ConsoleState,
    view: &AccountView,
    order: &Order,
    note: Option<Note>,
) -> Result<Response, ConsoleError> {
    let status = if note.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let chosen = order.specification.parse().ok();
    let first = state.prices.offers().first().map(|offer| offer.mails);
    let template = BuyPage {
        shell: shell(state, view, "Buy a package"),
        note,
        confirm_href: view.href(&format!("{DIRECTMAIL}/buy/confirm")),
        offers: OfferView::list(state, chosen.or(first)),
        quantity: if order.quantity.is_empty() { "1".into() } else { order.quantity.clone() },
        quantity_max: QUANTITY_MAX,
        balance: state.money(balance(state, view).await?.0),
    };
    Ok((status, page(&template)?).into_response())
}

fn shell(state: &ConsoleState, view: &AccountView, title: &str) -> Shell {
    let mut crumbs = way_to_packages(view);
    crumbs.push(here(title));
    view.shell(state, Place::Packages, title).with_crumbs(crumbs)
}

async fn balance(state: &ConsoleState, view: &AccountView) -> Result<MoneyMicros, ConsoleError> {
    let numbers = state.store.account_numbers(view.id()).await?;
    Ok(numbers.ok_or(ConsoleError::NotFound { what: "account" })?.cash)
}

#[derive(Template)]
#[template(path = "billing/confirm.html")]
struct ConfirmPage {
    shell: Shell,
    note: Option<Note>,
    mails: String,
    specification: i64,
    quantity: i64,
    unit_price: String,
    total: String,
    balance: String,
    balance_after: Option<String>,
    ends_at: Moment,
    ends_zone: String,
    last_day: String,
    can_buy: bool,
    purchase_token: String,
    buy_href: String,
    change_href: String,
}

/// `GET …/directmail/buy/confirm`
pub async fn confirm(
    State(state): State<ConsoleState>,
    view: AccountView,
    Query(order): Query<Order>,
) -> Result<Response, ConsoleError> {
    let wanted = match order.check(&state) {
        Ok(wanted) => wanted,
        Err(note) => return choose_page(&state, &view, &order, Some(note)).await,
    };
    if !order.has_token() {
        let token = crate::random_hex(TOKEN_SIZE_BYTES);
        let fields = [
            ("specification", order.specification.as_str()),
            ("quantity", &order.quantity),
            ("purchase", &token),
        ];
        let href = with_query(&view.href(&format!("{DIRECTMAIL}/buy/confirm")), &fields);
        return Ok(Redirect::to(&href).into_response());
    }
    confirm_page(&state, &view, wanted, &order.purchase, None).await
}

async fn confirm_page(
    state: &ConsoleState,
    view: &AccountView,
    wanted: Wanted,
    purchase_token: &str,
    refusal: Option<Note>,
) -> Result<Response, ConsoleError> {
    let status = if refusal.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let balance = balance(state, view).await?;
    let after = balance.0.checked_sub(wanted.total.0).filter(|after| *after >= 0);
    let zone = time::zone(&view.account.zone).map_err(|error| ConsoleError::BadInput(error.to_string()))?;
    // R08: the very function that computes the end at purchase.
    let end = time::validity_end(&zone, view.now, state.prices.validity_months());
    let ends_at = view.zone.moment(end);
    let specification = wanted.offer.mails.to_string();
    let fields = [("specification", specification.as_str()), ("quantity", &wanted.quantity.to_string())];
    let buy_href = view.href(&format!("{DIRECTMAIL}/buy"));
    let template = ConfirmPage {
        shell: shell(state, view, "Confirm the purchase"),
        note: refusal.or_else(|| after.is_none().then(|| not_enough(state, wanted.total, balance))),
        mails: format::mails(wanted.offer.mails),
        specification: wanted.offer.mails,
        quantity: wanted.quantity,
        unit_price: state.money(wanted.offer.price.0),
        total: state.money(wanted.total.0),
        balance: state.money(balance.0),
        balance_after: after.map(|amount| state.money(amount)),
        ends_zone: ends_at.zone.clone(),
        ends_at,
        last_day: view.zone.moment(end.plus_micros(-1)).date().to_owned(),
        can_buy: after.is_some(),
        purchase_token: purchase_token.to_owned(),
        change_href: with_query(&buy_href, &fields),
        buy_href,
    };
    Ok((status, Html(template.render()?)).into_response())
}

fn not_enough(state: &ConsoleState, price: MoneyMicros, balance: MoneyMicros) -> Note {
    let missing = price.0.saturating_sub(balance.0);
    let text = format!(
        "The purchase costs {}, the cash balance is {}: {} are missing. Nothing was bought. Ask the operator of this \
         installation to put money on the account, or choose a smaller package.",
        state.money(price.0),
        state.money(balance.0),
        state.money(missing)
    );
    Note::new(Tone::Bad, "The balance is not enough", text)
}

/// `POST …/directmail/buy`
pub async fn buy(
    State(state): State<ConsoleState>,
    view: AccountView,
    Form(order): Form<Order>,
) -> Result<Response, ConsoleError> {
    let wanted = match order.check(&state) {
        Ok(wanted) => wanted,
        Err(note) => return choose_page(&state, &view, &order, Some(note)).await,
    };
    if !order.has_token() {
        let text =
            "The form lacks its purchase token. Nothing was bought. Go back to the choice and start anew.";
        return Err(ConsoleError::BadInput(text.into()));
    }
    let request = PurchaseRequest {
        account_id: view.id(),
        specification: wanted.offer.mails,
        quantity: wanted.quantity,
        starts_at: None,
        idempotency_key: Some(format!("console:{}", order.purchase)),
        nonce: None,
    };
    match state.store.purchase(&request, &state.prices).await {
        Ok(receipt) => {
            tracing::info!(
                account_id = view.id(),
                order_id = receipt.order_id,
                by_operator = view.viewer.is_operator(),
                "packages were bought in the console"
            );
            let href = view.href(&format!("{DIRECTMAIL}/orders/{}", receipt.order_id));
            Ok(Redirect::to(&href).into_response())
        }
        Err(PurchaseError::InsufficientBalance { price, balance }) => {
            let note = not_enough(&state, price, balance);
            confirm_page(&state, &view, wanted, &order.purchase, Some(note)).await
        }
        Err(PurchaseError::IdempotencyConflict) => {
            let text = "The same form was sent before with another content. That purchase stands, this one was not \
                        made. Look at the packages before you buy again.";
            let note = Note::new(Tone::Warn, "This form has been used", text);
            confirm_page(&state, &view, wanted, &order.purchase, Some(note)).await
        }
        Err(PurchaseError::Store(error)) => Err(error.into()),
        Err(other) => Err(ConsoleError::BadInput(format!("Nothing was bought: {other}."))),
    }
}

struct ReceiptRow {
    href: String,
    id: String,
    specification: String,
    price: String,
    starts_at: Moment,
    ends_at: Moment,
}

#[derive(Template)]
#[template(path = "billing/receipt.html")]
struct ReceiptPage {
    shell: Shell,
    note: Note,
    order_id: i64,
    bought_at: Moment,
    what: String,
    paid: String,
    balance: String,
    packages_href: String,
    rows: Vec<ReceiptRow>,
}

/// `GET …/directmail/orders/{order_id}`
pub async fn receipt(
    State(state): State<ConsoleState>,
    view: AccountView,
    Path((_, order_id)): Path<(String, String)>,
) -> Result<Response, ConsoleError> {
    let missing = || ConsoleError::NotFound { what: "order" };
    let order_id: i64 = order_id.parse().map_err(|_| missing())?;
    let mut rows = state.store.packages(view.id(), &PackageFilter::default()).await?;
    rows.retain(|row| row.order_id == order_id);
    let first = rows.first().ok_or_else(missing)?;
    let paid = rows.iter().fold(0_i64, |sum, row| sum.saturating_add(row.price.0));
    let count = format::counted(rows.len() as i64, "package");
    let text = "It pays as soon as the free credit and packages that end earlier are used.";
    page(&ReceiptPage {
        shell: shell(&state, &view, "Receipt"),
        note: Note::new(Tone::Good, format!("{count} bought"), text),
        order_id,
        bought_at: view.zone.moment(first.package.purchased_at),
        what: format!("{count} of {}", format::mails_noun(first.specification)),
        paid: state.money(paid),
        balance: state.money(balance(&state, &view).await?.0),
        packages_href: view.href(DIRECTMAIL),
        rows: rows.iter().map(|row| receipt_row(&state, &view, row)).collect(),
    })
}

fn receipt_row(state: &ConsoleState, view: &AccountView, row: &PackageRow) -> ReceiptRow {
    ReceiptRow {
        href: view.href(&format!("{DIRECTMAIL}/{}", row.package.instance_id)),
        id: row.package.instance_id.clone(),
        specification: format::mails(row.specification),
        price: state.money(row.price.0),
        starts_at: view.zone.moment(row.package.starts_at),
        ends_at: view.zone.moment(row.package.ends_at),
    }
}
