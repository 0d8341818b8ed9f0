//! Serves the console over a furnished sample world, for working on the pages:
//!
//! ```text
//! cargo run -p indicia-console --example preview -- 8099
//! ```
//! It prints the logins. Everything is in a temporary folder and gone when it ends; the clock stands still
//! until the demo's clock page moves it.

#[path = "../tests/world/mod.rs"]
#[allow(dead_code)]
mod world;

use std::net::{Ipv4Addr, SocketAddr};

use indicia_console::{ConsoleConfig, router};
use world::{CLIMBER_EMAIL, EMAIL, OPERATOR_EMAIL, OTHER_EMAIL, PASSWORD, PAUSED_EMAIL, World};

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(8099);
    let config = ConsoleConfig { public_url: format!("http://127.0.0.1:{port}"), ..ConsoleConfig::default() };
    let world = World::with(config, true).await;
    world.furnish().await;
    world.furnish_billing().await;
    world.furnish_reputation().await;
    world.tell().await;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!(
        "http://127.0.0.1:{port}/ as {EMAIL}, {OTHER_EMAIL}, {OPERATOR_EMAIL}, {CLIMBER_EMAIL} or {PAUSED_EMAIL}; password {PASSWORD}"
    );
    let service = router(world.state.clone()).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await
}
