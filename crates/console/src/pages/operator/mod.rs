//! What only operators see: all accounts with their money, what is done by hand, the month's sums, notices that
//! did not arrive, the price list and the audit log. To anybody else these pages do not exist.

pub mod accounts;
pub mod audit;
pub mod hand;
pub mod month;
pub mod notices;
pub mod prices;
pub mod reputation;

use axum::{extract::FromRequestParts, http::request::Parts};

use crate::{
    ConsoleState,
    components::Link,
    error::ConsoleError,
    format::Zone,
    session::viewer::{Viewer, here},
    shell::{Place, Shell, account_href},
};

/// A signed-in operator.
pub struct OperatorView {
    pub viewer: Viewer,
    /// These pages are about accounts in many zones, so they show UTC.
    pub zone: Zone,
}

impl OperatorView {
    /// The frame of a page that belongs to no account.
    pub fn shell(&self, state: &ConsoleState, place: Place, title: &str) -> Shell {
        Shell::new(state, &self.viewer, None, place, title).with_crumbs(vec![here(title)])
    }
}

impl FromRequestParts<ConsoleState> for OperatorView {
    type Rejection = ConsoleError;

    async fn from_request_parts(parts: &mut Parts, state: &ConsoleState) -> Result<Self, ConsoleError> {
        let viewer = <Viewer as FromRequestParts<ConsoleState>>::from_request_parts(parts, state).await?;
        if !viewer.is_operator() {
            return Err(ConsoleError::NotFound { what: "page" });
        }
        Ok(Self { viewer, zone: Zone::named("UTC") })
    }
}

/// The link to an account where only its id is known.
fn account_link(account_id: i64) -> Link {
    Link::new(account_href(account_id, ""), account_id.to_string())
}
