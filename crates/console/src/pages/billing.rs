//! Billing Management and the way from there to the packages (R16): Manage Reserved Instances, Resource
//! Packages, the product DirectMail.

use askama::Template;
use axum::{extract::State, response::Response};
use indicia_domain::ledger::price::Offer;
use indicia_store::package::{PackageFilter, PackageRow};

use crate::{
    ConsoleState,
    error::{ConsoleError, page},
    format,
    session::viewer::{AccountView, here},
    shell::{DIRECTMAIL, PACKAGES, Place, RESERVED, Shell},
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

/// All that is left in packages at this instant, and of how many.
struct Totals {
    left: i64,
    available: usize,
}

impl Totals {
    async fn load(state: &ConsoleState, view: &AccountView) -> Result<Self, ConsoleError> {
        let rows = state.store.packages(view.id(), &PackageFilter::default()).await?;
        let usable: Vec<&PackageRow> = rows
            .iter()
            .filter(|row| row.package.is_valid_at(view.now) && row.package.remaining > 0)
            .collect();
        Ok(Self {
            left: usable.iter().map(|row| row.package.usable_at(view.now)).sum(),
            available: usable.len(),
        })
    }
}

#[derive(Template)]
#[template(path = "billing/index.html")]
struct IndexPage {
    shell: Shell,
    balance: String,
    payg_mails: String,
    payg_cost: String,
    payg_price: String,
    packages_left: String,
    packages_href: String,
    reserved_href: String,
    validity_months: u32,
    offers: Vec<OfferView>,
}

/// `GET /accounts/{account_id}/billing`
pub async fn index(State(state): State<ConsoleState>, view: AccountView) -> Result<Response, ConsoleError> {
    let missing = ConsoleError::NotFound { what: "account" };
    let numbers = state.store.account_numbers(view.id()).await?.ok_or(missing)?;
    let totals = Totals::load(&state, &view).await?;
    let price = state.prices.pay_as_you_go().0;
    page(&IndexPage {
        shell: view
            .shell(&state, Place::Billing, "Billing Management")
            .with_crumbs(vec![here("Billing Management")]),
        balance: state.money(numbers.cash.0),
        payg_mails: format::mails(numbers.pay_as_you_go_mails),
        payg_cost: state.money(numbers.pay_as_you_go_mails.saturating_mul(price)),
        payg_price: state.money(price.saturating_mul(1_000)),
        packages_left: format::mails(totals.left),
        packages_href: view.href(DIRECTMAIL),
        reserved_href: view.href(RESERVED),
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
    let totals = Totals::load(&state, &view).await?;
    let title = "Manage Reserved Instances";
    let crumbs = vec![view.crumb("Billing Management", "/billing"), here(title)];
    page(&ReservedPage {
        shell: view.shell(&state, Place::Reserved, title).with_crumbs(crumbs),
        packages_href: view.href(PACKAGES),
        summary: format!(
            "Mails bought in advance. {} available, {} left.",
            format::counted(totals.available as i64, "package"),
            format::mails_noun(totals.left)
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
