//! From which network address a call came, and whether the account's IP protection admits it.
//!
//! The address is that of the TCP peer. Where the peer is a proxy that the operator trusts (`api.trusted_proxies`), it
//! is the address that the proxies tell: the last one in `X-Forwarded-For` that is not itself a trusted proxy's,
//! since each proxy adds the address of its own peer at the end and what stands before is the client's claim.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use ipnet::IpNet;

use super::Api;
use super::protocol::ApiError;

/// Refuses a call that the account's IP protection does not admit.
pub async fn check(api: &Api, account_id: i64, parts: &Parts) -> Result<(), ApiError> {
    let peer = peer(parts, &api.settings.trusted_proxies);
    if api.ip_guard.admits(account_id, peer).await? {
        return Ok(());
    }
    let from = peer.map_or("an address that is not known".to_owned(), |peer| peer.to_string());
    tracing::info!(account_id, from, "a call was refused by the account's IP protection");
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "Forbidden.IpProtection",
        format!("The account's IP protection is on and does not list {from}."),
        "Call from a listed address to add this one (AddIpfilter) or to switch protection off (UpdateIpProtection), or ask \
         the operator of this server to switch it off.",
    ))
}

/// The caller's address; `None` where it cannot be known.
fn peer(parts: &Parts, proxies: &[IpNet]) -> Option<IpAddr> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip().to_canonical();
    let is_proxy = |address: &IpAddr| proxies.iter().any(|network| network.contains(address));
    if !is_proxy(&peer) {
        return Some(peer);
    }
    let mut nearest = peer;
    for told in told_by_proxies(&parts.headers).into_iter().rev() {
        // What a trusted proxy writes is an address; anything else makes the origin unknown.
        nearest = told?;
        if !is_proxy(&nearest) {
            break;
        }
    }
    Some(nearest)
}

fn told_by_proxies(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let lines = headers.get_all("x-forwarded-for").iter();
    lines
        .flat_map(|line| line.to_str().unwrap_or("?").split(',').map(read_address).collect::<Vec<_>>())
        .collect()
}

/// An address, with or without the port that some proxies add.
fn read_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = text.parse::<IpAddr>().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn peer_of(tcp: Option<&str>, forwarded: &[&str], proxies: &[&str]) -> Option<String> {
        let mut request = Request::post("/");
        for line in forwarded {
            request = request.header("X-Forwarded-For", *line);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        if let Some(tcp) = tcp {
            parts.extensions.insert(ConnectInfo(SocketAddr::new(tcp.parse().unwrap(), 4711)));
        }
        let proxies: Vec<IpNet> = proxies.iter().map(|network| network.parse().unwrap()).collect();
        peer(&parts, &proxies).map(|address| address.to_string())
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let (proxy, inner) = ("10.0.0.1/32", "10.0.0.2/32");
        for (tcp, forwarded, proxies, expected) in [
            (Some("203.0.113.9"), vec![], vec![], Some("203.0.113.9")),
            (Some("::ffff:203.0.113.9"), vec![], vec![], Some("203.0.113.9")),
            (Some("127.0.0.1"), vec!["192.0.2.1"], vec![], Some("127.0.0.1")),
            (Some("203.0.113.9"), vec!["192.0.2.1"], vec![proxy], Some("203.0.113.9")),
            (Some("10.0.0.1"), vec!["192.0.2.1"], vec![proxy], Some("192.0.2.1")),
            (Some("10.0.0.1"), vec!["198.51.100.66, 192.0.2.1"], vec![proxy], Some("192.0.2.1")),
            (Some("10.0.0.1"), vec!["198.51.100.66", "192.0.2.1:55000"], vec![proxy], Some("192.0.2.1")),
            (Some("10.0.0.1"), vec!["192.0.2.1, 10.0.0.2"], vec![proxy, inner], Some("192.0.2.1")),
            (Some("10.0.0.1"), vec!["192.0.2.1, 10.0.0.2"], vec![proxy], Some("10.0.0.2")),
            (Some("10.0.0.1"), vec!["2001:DB8::1"], vec![proxy], Some("2001:db8::1")),
            (Some("10.0.0.1"), vec![], vec![proxy], Some("10.0.0.1")),
            (Some("10.0.0.1"), vec!["192.0.2.1, unknown"], vec![proxy], None),
            (None, vec!["192.0.2.1"], vec![proxy], None),
        ] {
            let found = peer_of(tcp, &forwarded, &proxies);
            assert_eq!(found.as_deref(), expected, "{tcp:?} {forwarded:?} {proxies:?}");
        }
    }
}
