//! The price list, read only: it is configured, and checked at start-up (R07).

use askama::Template;
use axum::{extract::State, response::Response};

use super::OperatorView;
use crate::{
    ConsoleState,
    error::{ConsoleError, page},
    format,
    pages::{Fact, billing::OfferView},
    shell::{Place, Shell},
};

#[derive(Template)]
#[template(path = "operator/prices.html")]
struct PricesPage {
    shell: Shell,
    offers: Vec<OfferView>,
    payg_price: String,
    facts: Vec<Fact>,
}

/// `GET /operator/prices`
pub async fn show(
    State(state): State<ConsoleState>,
    operator: OperatorView,
) -> Result<Response, ConsoleError> {
    let price = state.prices.pay_as_you_go().0;
    let policy = &state.policy;
    let spares = if policy.overdue_spares_prepaid { "may go on" } else { "stop too" };
    page(&PricesPage {
        shell: operator.shell(&state, Place::Prices, "Price list"),
        offers: OfferView::list(&state, None),
        payg_price: state.money(price.saturating_mul(1_000)),
        facts: vec![
            Fact::text("One mail, pay-as-you-go", state.money(price)),
            Fact::text("A bill of one clock hour", "rounded half-up to the cent, at least one cent"),
            Fact::text(
                "Collection",
                format!(
                    "when open bills reach {}, and on the 1st",
                    state.money(state.config.collection.threshold.0)
                ),
            ),
            Fact::text(
                "Free credit",
                format!(
                    "{} in all, at most {} on one day",
                    format::mails_noun(policy.free_total_mails),
                    format::mails(policy.free_daily_mails)
                ),
            ),
            Fact::text(
                "A package is valid for",
                format::counted(i64::from(state.prices.validity_months()), "month"),
            ),
            Fact::text("While overdue, free credit and packages", spares),
        ],
    })
}
