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

mod assets;
pub mod charts;
pub mod components;
pub mod demo;
mod error;
pub mod format;
mod login;
mod pages;
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
        .route("/accounts", get(pages::accounts::list))
        .nest("/accounts/{account_id}", account_routes())
        .merge(demo_routes(&state))
        .fallback(error::no_such_page)
        .method_not_allowed_fallback(error::no_such_page)
        .layer(middleware::from_fn_with_state(state.clone(), session::csrf::guard))
        .layer(middleware::from_fn_with_state(state.clone(), error::frame))
        .with_state(state)
}

fn account_routes() -> Router<ConsoleState> {
    use pages::{billing, mails, message, overview, packages, purchase, sending};
    let directmail = Router::new()
        .route("/", get(packages::list))
        .route("/buy", get(purchase::choose).post(purchase::buy))
        .route("/buy/confirm", get(purchase::confirm))
        .route("/orders/{order_id}", get(purchase::receipt))
        .route("/{instance_id}", get(packages::show))
        .route("/{instance_id}/deductions.csv", get(packages::export));
    Router::new()
        .route("/", get(overview::show))
        .route("/mails", get(mails::list))
        .route("/mails/{message_id}", get(message::show))
        .route("/sending/domains", get(sending::domains))
        .route("/sending/domains/{domain_id}", get(sending::domain))
        .route("/sending/addresses", get(sending::addresses))
        .route("/sending/access-keys", get(sending::access_keys))
        .route("/billing", get(billing::index))
        .route(shell::RESERVED, get(billing::reserved))
        .route(shell::PACKAGES, get(packages::list))
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
