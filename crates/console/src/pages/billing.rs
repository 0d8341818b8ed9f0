//! Billing Management: where the account stands, the ways to its parts, the prices; and the way from there to the
//! packages (R16): Manage Reserved Instances, Resource Packages, the product DirectMail.

use askama::Template;
use axum::{extract::State, response::Response};
use indicia_domain::ledger::price::Offer;
use indicia_store::package::PackageFilter;

use super::left::Left;
use crate::{
    ConsoleState,
    components::Icon,
    error::{ConsoleError, page},
    format,
    period::Month,
    session::viewer::{AccountView, here},
    shell::{ALERTS, BILLS, DIRECTMAIL, PACKAGES, Place, RESERVED, STATEMENTS, Shell, TRANSACTIONS},
};

/// An offer of the price list as pages show it.
pub struct OfferView {
    /// The number of mails, as a form's value.
    pub value: i64,
    pub mails: String,
    pub price: String,
    pub per_thousand: String,
    /// How much cheaper than pay-as-you-go: an amount.
    pub saving: String,
    pub is_chosen: bool,
}

impl OfferView {
    /// The price list's offers, `chosen` marked.
    pub fn list(state: &ConsoleState, chosen: Option<i64>) -> Vec<Self> {
        state.prices.offers().iter().map(|offer| Self::of(state, offer, chosen)).collect()
    }

    fn of(state: &ConsoleState, offer: &Offer, chosen: Option<i64>) -> Self {
        let as_you_go = i128::from(state.prices.pay_as_you_go().0) * i128::from(offer.mails);
        let saving = as_you_go - i128::from(offer.price.0);
        let per_thousand = i128::from(offer.price.0) * 1_000 / i128::from(offer.mails.max(1));
        let amount = |micros: i128| state.money(i64::try_from(micros).unwrap_or(i64::MAX));
        Self {
            value: offer.mails,
            mails: format::mails(offer.mails),
            price: state.money(offer.price.0),
            per_thousand: amount(per_thousand),
            saving: amount(saving),
            is_chosen: chosen == Some(offer.mails),
        }
    }
}

async fn left(state: &ConsoleState, view: &AccountView) -> Result<Left, ConsoleError> {
    let rows = state.store.packages(view.id(), &PackageFilter::default()).await?;
    Ok(Left::of(rows.iter().map(|row| &row.package), view.now))
}

#[derive(Template)]
#[template(path = "billing/index.html")]
struct IndexPage {
    shell: Shell,
    balance: String,
    is_negative: bool,
    balance_note: String,
    transactions_href: String,
    open: String,
    open_note: String,
    bills_href: String,
    month_payg: String,
    month_note: String,
    payg_price: String,
    packages_left: String,
    packages_where: String,
    packages_later: Option<String>,
    packages_href: String,
    cards: Vec<Card>,
    validity_months: u32,
    offers: Vec<OfferView>,
}

/// A part of Billing Management.
struct Card {
    icon: Icon,
    name: &'static str,
    text: &'static str,
    href: String,
}

const CARDS: &[(Icon, &str, &str, &str)] = &[
    (
        Icon::Package,
        "Manage Reserved Instances",
        "What has been paid for in advance: resource packages, what is left of each, and how it was used.",
        RESERVED,
    ),
    (
        Icon::Clock,
        "Bills",
        "Pay-as-you-go mails by hour, day and month, what was billed for them, and when it is collected.",
        BILLS,
    ),
    (
        Icon::Wallet,
        "Balance and transactions",
        "The cash balance and every line that changed it, with the ledger behind it.",
        TRANSACTIONS,
    ),
    (
        Icon::Inbox,
        "Statements",
        "A month on paper: money, mails, bills and packages from opening to closing.",
        STATEMENTS,
    ),
    (Icon::Alert, "Alert settings", "At how much left in packages you are told.", ALERTS),
];

/// `GET /accounts/{account_id}/billing`
pub async fn index(State(state): State<ConsoleState>, view: AccountView) -> Result<Response, ConsoleError> {
    let numbers = &view.numbers;
    let left = left(&state, &view).await?;
    let month = Month::of(&view.zone, view.now);
    let (start, end) = month.bounds(&view.zone);
    let usage = state.store.usage_total(view.id(), start, end).await?;
    let price = state.prices.pay_as_you_go();
    page(&IndexPage {
        shell: view
            .shell(&state, Place::Billing, "Billing Management")
            .with_crumbs(vec![here("Billing Management")]),
        balance: state.money(numbers.cash.0),
        is_negative: numbers.cash.0 < 0,
        balance_note: match numbers.credit_limit.0 {
            0 => "Packages and bills are paid from it.".into(),
            limit => format!("Bills may take it down to a credit limit of {}.", state.money(limit)),
        },
        transactions_href: view.href(TRANSACTIONS),
        open: state.money(numbers.open.0),
        open_note: if numbers.due.0 > 0 {
            format!("{} of it due now", state.money(numbers.due.0))
        } else {
            format!(
                "collected at {}, or on {}",
                state.money(state.config.collection.threshold.0),
                view.zone.moment(end).date()
            )
        },
        bills_href: view.href(BILLS),
        month_payg: format::mails(usage.payg_mails),
        month_note: format!("{}, {} of it billed", month.name(), state.money(usage.billed_micros)),
        payg_price: state.money(price.0.saturating_mul(1_000)),
        packages_left: left.now(),
        packages_where: left.where_now(),
        packages_later: left.later(),
        packages_href: view.href(DIRECTMAIL),
        cards: CARDS
            .iter()
            .map(|&(icon, name, text, path)| Card { icon, name, text, href: view.href(path) })
            .collect(),
        validity_months: state.prices.validity_months(),
        offers: OfferView::list(&state, None),
    })
}

#[derive(Template)]
#[template(path = "billing/reserved.html")]
struct ReservedPage {
    shell: Shell,
    packages_href: String,
    summary: String,
}

/// `GET /accounts/{account_id}/billing/reserved-instances`
pub async fn reserved(
    State(state): State<ConsoleState>,
    view: AccountView,
) -> Result<Response, ConsoleError> {
    let left = left(&state, &view).await?;
    let title = "Manage Reserved Instances";
    let crumbs = vec![view.crumb("Billing Management", "/billing"), here(title)];
    page(&ReservedPage {
        shell: view.shell(&state, Place::Reserved, title).with_crumbs(crumbs),
        packages_href: view.href(PACKAGES),
        summary: format!(
            "Mails bought in advance. {} left, {}{}.",
            format::mails_noun(left.now_mails),
            left.where_now(),
            left.later().map(|later| format!(", {later}")).unwrap_or_default()
        ),
    })
}

/// R16: Billing Management > Manage Reserved Instances > Resource Packages > DirectMail, all as links.
pub fn way_to_packages(view: &AccountView) -> Vec<crate::components::Link> {
    vec![
        view.crumb("Billing Management", "/billing"),
        view.crumb("Manage Reserved Instances", RESERVED),
        view.crumb("Resource Packages", PACKAGES),
        view.crumb("DirectMail", DIRECTMAIL),
    ]
}
