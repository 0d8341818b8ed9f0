//! The web console: what became of each mail and what is left of each package.
//!
//! Pages are made on the server from the store's rows by askama templates; there is no script on any of
//! them. A request passes, from the outside in:
//!
//! ```text
//! error::frame         request id, log, error pages, security headers
//! session::csrf::guard no POST without a token made for this session
//! router               /accounts/{account_id}/…  one address per page, the same for an account and an operator
//! session::viewer      the cookie -> who looks, whose pages; another account's are as if they did not exist
//! pages::*             store rows -> view -> template
//! ```
//!
//! Serve [`router`] with `into_make_service_with_connect_info::<SocketAddr>()`: the sign-in throttle and the
//! demo clock's door for local scripts need the peer's address.

#![forbid(unsafe_code)]

mod arrears;
mod assets;
pub mod charts;
pub mod components;
mod csv;
pub mod demo;
mod error;
pub mod format;
mod login;
mod pages;
mod pause;
mod period;
mod session;
mod shell;
mod state;

use axum::{
    Router, middleware,
    routing::{get, post},
};

pub use error::ConsoleError;
pub use session::throttle::ThrottleLimits;
pub use state::{ConsoleConfig, ConsoleState, Demo, DnsAdvice};

/// The whole console.
pub fn router(state: ConsoleState) -> Router {
    Router::new()
        .route("/", get(login::root))
        .route("/login", get(login::show).post(login::sign_in))
        .route("/logout", post(login::sign_out))
        .route("/assets/{name}", get(assets::serve))
        .route("/accounts", get(pages::operator::accounts::list))
        .nest("/operator", operator_routes())
        .nest("/accounts/{account_id}", account_routes())
        .merge(demo_routes(&state))
        .fallback(error::no_such_page)
        .method_not_allowed_fallback(error::no_such_page)
        .layer(middleware::from_fn_with_state(state.clone(), session::csrf::guard))
        .layer(middleware::from_fn_with_state(state.clone(), error::frame))
        .with_state(state)
}

fn operator_routes() -> Router<ConsoleState> {
    use pages::operator::{audit, month, notices, prices, reputation};
    Router::new()
        .route("/month", get(month::show))
        .route("/notices", get(notices::list))
        .route("/prices", get(prices::show))
        .route("/audit", get(audit::list))
        .route("/reputation", get(reputation::list))
        .route("/reputation/report", get(reputation::report::show).post(reputation::report::enter))
}

fn account_routes() -> Router<ConsoleState> {
    use pages::{
        alerts, billing, bills, contacts, mails, message, messages,
        operator::{hand, reputation::by_hand},
        orders, overview, packages, purchase, reputation, sending, statement, transactions,
    };
    let directmail = Router::new()
        .route("/", get(packages::list))
        .route("/buy", get(purchase::choose).post(purchase::buy))
        .route("/buy/confirm", get(purchase::confirm))
        .route("/orders/{order_id}", get(orders::show))
        .route("/{instance_id}", get(packages::show))
        .route("/{instance_id}/refund", get(packages::refund::confirm).post(packages::refund::refund))
        .route("/{instance_id}/renew", get(packages::renew::confirm).post(packages::renew::renew))
        .route("/{instance_id}/upgrade", get(packages::upgrade::choose).post(packages::upgrade::upgrade))
        .route("/{instance_id}/deductions.csv", get(packages::export));
    let bill_routes = Router::new()
        .route("/", get(bills::index))
        .route("/unpaid", get(bills::unpaid))
        .route("/hours/{second}", get(bills::hour::show))
        .route("/{period}", get(bills::period));
    let transaction_routes = Router::new()
        .route("/", get(transactions::list))
        .route("/export.csv", get(transactions::export))
        .route("/ledger", get(transactions::ledger))
        .route("/{transaction_id}", get(transactions::detail::show));
    let reputation_routes = Router::new()
        .route("/", get(reputation::show))
        .route("/mail", get(reputation::mail_page))
        .route("/history", get(reputation::history))
        .route("/ceiling", post(reputation::save_ceiling));
    Router::new()
        .route("/", get(overview::show))
        .route("/messages", get(messages::list))
        .route("/messages/read", post(messages::mark_read))
        .route("/messages/{message_id}", get(messages::show))
        .route("/contacts", get(contacts::show).post(contacts::save))
        .route(shell::REPUTATION_BY_HAND, get(by_hand::show).post(by_hand::carry_out))
        .route("/operator", get(hand::show))
        .route("/operator/confirm", get(hand::confirm))
        .route("/operator/book", post(hand::book))
        .route("/mails", get(mails::list))
        .route("/mails/{message_id}", get(message::show))
        .route("/sending/domains", get(sending::domains))
        .route("/sending/domains/{domain_id}", get(sending::domain))
        .route("/sending/addresses", get(sending::addresses))
        .route("/sending/access-keys", get(sending::access_keys))
        .route("/billing", get(billing::index))
        .route(shell::RESERVED, get(billing::reserved))
        .route(shell::PACKAGES, get(packages::list))
        .nest(shell::BILLS, bill_routes)
        .nest(shell::TRANSACTIONS, transaction_routes)
        .route(shell::STATEMENTS, get(statement::list))
        .route("/billing/statements/{month}", get(statement::show))
        .route(shell::ALERTS, get(alerts::show).post(alerts::save))
        .nest(shell::REPUTATION, reputation_routes)
        .nest(shell::DIRECTMAIL, directmail)
}

fn demo_routes(state: &ConsoleState) -> Router<ConsoleState> {
    if state.demo.is_none() {
        return Router::new();
    }
    Router::new()
        .route("/demo/inbox", get(demo::inbox::list))
        .route("/demo/inbox/{id}", get(demo::mail::show))
        .route("/demo/inbox/{id}/html", get(demo::mail::html))
        .route("/demo/clock", get(demo::clock::show).post(demo::clock::advance))
}

/// `size_bytes` random bytes in hexadecimal, for names that need to be unique but not secret.
fn random_hex(size_bytes: usize) -> String {
    let bytes: Vec<u8> = (0..size_bytes).map(|_| rand::random()).collect();
    hex::encode(bytes)
}
