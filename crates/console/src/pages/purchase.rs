//! The purchase of a package: choose, confirm, buy; the receipt is the order's page.
//!
//! Nothing is bought before the confirm page's button. That page's own address carries a purchase token, which
//! becomes the store's idempotency key: a double click, a resend, a lost answer, or a step back and the same
//! button again buy once and show the same receipt. Only choosing anew makes another purchase.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use indicia_domain::{
    ledger::price::Offer,
    money::MoneyMicros,
    time::{self, UnixMicros},
};
use indicia_store::package::{PurchaseRequest, QUANTITY_MAX};
use serde::Deserialize;

use super::{
    billing::{OfferView, way_to_packages},
    packages::change::{not_enough, refused},
    with_query,
};
use crate::{
    ConsoleState,
    components::{Note, Tone},
    error::{ConsoleError, page},
    format::{self, Moment},
    period::parse_day,
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
    /// The local day on which it starts; empty: at once.
    #[serde(default)]
    starts: String,
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
    /// When validity begins; `None`: at the moment of purchase.
    starts_at: Option<UnixMicros>,
}

/// How far ahead a start may lie, in months: up to the midnight that closes the last of their days, and not at it. The
/// store holds the same.
const START_AHEAD_MONTHS: u32 = 6;

/// Enough that no two purchases of an account ever share a token.
const TOKEN_SIZE_BYTES: usize = 16;

/// A token for a form whose button is to work once.
pub fn new_token() -> String {
    crate::random_hex(TOKEN_SIZE_BYTES)
}

/// Whether a form's token can be one of ours.
pub fn is_token(text: &str) -> bool {
    text.len() == 2 * TOKEN_SIZE_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Order {
    fn has_token(&self) -> bool {
        is_token(&self.purchase)
    }

    /// What is wanted, or what is wrong with it for the reader.
    fn check(&self, state: &ConsoleState, view: &AccountView) -> Result<Wanted, Note> {
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
        let starts_at = self.start(view)?;
        Ok(Wanted { offer, quantity, total, starts_at })
    }

    /// R08: a day to come begins at its local midnight; today is at once.
    fn start(&self, view: &AccountView) -> Result<Option<UnixMicros>, Note> {
        if self.starts.trim().is_empty() {
            return Ok(None);
        }
        let zone = view.zone.time_zone();
        let latest = time::validity_end(zone, view.now, START_AHEAD_MONTHS);
        let day = parse_day(self.starts.trim()).map(|date| view.zone.day(date));
        match day {
            Some((start, end)) if start <= view.now && view.now < end => Ok(None),
            Some((start, _)) if view.now < start && start < latest => Ok(Some(start)),
            _ => {
                let text = format!(
                    "A package starts at once, or on a day from today to {}.",
                    view.zone.moment(latest.plus_micros(-1)).date()
                );
                Err(Note::new(Tone::Bad, "It cannot start on this day", text))
            }
        }
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
    starts: String,
    starts_min: String,
    starts_max: String,
    zone: String,
    balance: String,
}

/// `GET …/directmail/buy`
pub async fn choose(
    State(state): State<ConsoleState>,
    view: AccountView,
    Query(order): Query<Order>,
) -> Result<Response, ConsoleError> {
    choose_page(&state, &view, &order, None)
}

fn choose_page(
    state: &ConsoleState,
    view: &AccountView,
    order: &Order,
    note: Option<Note>,
) -> Result<Response, ConsoleError> {
    let status = if note.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let chosen = order.specification.parse().ok();
    let first = state.prices.offers().first().map(|offer| offer.mails);
    let latest_start =
        time::validity_end(view.zone.time_zone(), view.now, START_AHEAD_MONTHS).plus_micros(-1);
    let template = BuyPage {
        shell: shell(state, view, "Buy a package"),
        note,
        confirm_href: view.href(&format!("{DIRECTMAIL}/buy/confirm")),
        offers: OfferView::list(state, chosen.or(first)),
        quantity: if order.quantity.is_empty() { "1".into() } else { order.quantity.clone() },
        quantity_max: QUANTITY_MAX,
        starts: order.starts.clone(),
        starts_min: view.zone.moment(view.now).date().to_owned(),
        starts_max: view.zone.moment(latest_start).date().to_owned(),
        zone: view.zone.label(view.now),
        balance: state.money(view.numbers.cash.0),
    };
    Ok((status, page(&template)?).into_response())
}

/// The frame of a page on the way to a package.
pub fn shell(state: &ConsoleState, view: &AccountView, title: &str) -> Shell {
    let mut crumbs = way_to_packages(view);
    crumbs.push(here(title));
    view.shell(state, Place::Packages, title).with_crumbs(crumbs)
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
    /// The day of a start to come; `None`: at the moment of purchase.
    starts_at: Option<Moment>,
    starts: String,
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
    let wanted = match order.check(&state, &view) {
        Ok(wanted) => wanted,
        Err(note) => return choose_page(&state, &view, &order, Some(note)),
    };
    if !order.has_token() {
        let token = new_token();
        let fields = [
            ("specification", order.specification.as_str()),
            ("quantity", &order.quantity),
            ("starts", &order.starts),
            ("purchase", &token),
        ];
        let href = with_query(&view.href(&format!("{DIRECTMAIL}/buy/confirm")), &fields);
        return Ok(Redirect::to(&href).into_response());
    }
    confirm_page(&state, &view, wanted, &order, None)
}

fn confirm_page(
    state: &ConsoleState,
    view: &AccountView,
    wanted: Wanted,
    order: &Order,
    refusal: Option<Note>,
) -> Result<Response, ConsoleError> {
    let status = if refusal.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let balance = view.numbers.cash;
    let after = balance.0.checked_sub(wanted.total.0).filter(|after| *after >= 0);
    let zone = time::zone(&view.account.zone).map_err(|error| ConsoleError::BadInput(error.to_string()))?;
    // R08: the very function that computes the end at purchase.
    let start = wanted.starts_at.unwrap_or(view.now);
    let end = time::validity_end(&zone, start, state.prices.validity_months());
    let ends_at = view.zone.moment(end);
    let specification = wanted.offer.mails.to_string();
    let quantity = wanted.quantity.to_string();
    let starts = wanted.starts_at.map(|at| view.zone.moment(at).date().to_owned()).unwrap_or_default();
    let fields = [("specification", specification.as_str()), ("quantity", &quantity), ("starts", &starts)];
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
        starts_at: wanted.starts_at.map(|at| view.zone.moment(at)),
        ends_zone: ends_at.zone.clone(),
        ends_at,
        last_day: view.zone.moment(end.plus_micros(-1)).date().to_owned(),
        can_buy: after.is_some(),
        purchase_token: order.purchase.clone(),
        change_href: with_query(&buy_href, &fields),
        starts,
        buy_href,
    };
    Ok((status, Html(template.render()?)).into_response())
}

/// `POST …/directmail/buy`
pub async fn buy(
    State(state): State<ConsoleState>,
    view: AccountView,
    Form(order): Form<Order>,
) -> Result<Response, ConsoleError> {
    let wanted = match order.check(&state, &view) {
        Ok(wanted) => wanted,
        Err(note) => return choose_page(&state, &view, &order, Some(note)),
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
        starts_at: wanted.starts_at,
        idempotency_key: Some(format!("console:{}", order.purchase)),
        nonce: None,
        by: view.actor(),
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
        Err(error) => {
            let note = refused(&state, &view, error)?;
            confirm_page(&state, &view, wanted, &order, Some(note))
        }
    }
}
