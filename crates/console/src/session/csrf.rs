//! The guard on every form: no POST is carried out unless its `csrf` field was made for this very session.
//!
//! The field is HMAC-SHA256 of a fixed label under the browser's own token. Another site can make a browser
//! send the cookie but can read neither it nor the field. The guard stands before all routes, so that a
//! page added later is protected without doing anything for it. The one door beside it is the demo's clock
//! for scripts on the same machine (see [`is_local_script`]).

use std::net::SocketAddr;

use axum::{
    body::{self, Body},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{Token, cookie::Cookie};
use crate::{ConsoleState, error::ConsoleError};

/// The largest form that the console takes, in bytes; its own are far below.
pub const FORM_SIZE_MAX_BYTES: usize = 64 * 1024;

/// The value of a form's `csrf` field for the browser that holds `token`.
pub fn field_for(token: &Token) -> String {
    hex::encode(mac_for(token).finalize().into_bytes())
}

fn mac_for(token: &Token) -> Hmac<Sha256> {
    // HMAC fills a key shorter than its block with zeros; done here because `new` takes a whole block.
    let mut key = [0_u8; 64];
    key[..32].copy_from_slice(token.bytes());
    let mut mac = Hmac::<Sha256>::new(&key.into());
    mac.update(b"indicia console form 1");
    mac
}

/// Whether `field` is what [`field_for`] gives for this token, compared in constant time.
pub fn is_valid(token: &Token, field: &str) -> bool {
    field_for(token).as_bytes().ct_eq(field.as_bytes()).into()
}

#[derive(Deserialize)]
struct GuardField {
    #[serde(default)]
    csrf: String,
}

/// Lets safe methods through and checks the rest.
pub async fn guard(State(state): State<ConsoleState>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    match check(&state, request).await {
        Ok(request) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

async fn check(state: &ConsoleState, request: Request) -> Result<Request, ConsoleError> {
    let (parts, body) = request.into_parts();
    let bytes = body::to_bytes(body, FORM_SIZE_MAX_BYTES).await.map_err(|_| ConsoleError::FormTooLarge)?;
    let path = parts.uri.path();
    let cookie = if path == "/login" { Cookie::SignIn } else { Cookie::Session };
    let token = state.cookies().get(&parts.headers, cookie).and_then(Token::parse);
    let field = read_field(&parts.headers, &bytes).await;
    let is_ours = token.is_some_and(|token| is_valid(&token, &field));
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let is_script_at_the_clock = path == "/demo/clock" && is_local_script(&parts.headers, peer);
    if !is_ours && !is_script_at_the_clock {
        tracing::warn!(path, "refused a form whose token does not belong to the session");
        return Err(ConsoleError::ForgedForm);
    }
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

async fn read_field(headers: &HeaderMap, bytes: &body::Bytes) -> String {
    use axum::extract::{Form, FromRequest};
    let mut copy = Request::new(Body::from(bytes.clone()));
    *copy.method_mut() = Method::POST;
    if let Some(kind) = headers.get(header::CONTENT_TYPE) {
        copy.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    }
    Form::<GuardField>::from_request(copy, &()).await.map(|form| form.0.csrf).unwrap_or_default()
}

/// Whether a request comes from a program on this machine and not from a web page open in a browser on it.
///
/// A browser adds `Origin` to every cross-site POST and `Sec-Fetch-Site` to every request; curl and scripts
/// send neither. Behind a proxy the peer is the proxy, so a forwarded request is no local script either.
pub fn is_local_script(headers: &HeaderMap, peer: Option<SocketAddr>) -> bool {
    let is_loopback = peer.is_some_and(|address| address.ip().to_canonical().is_loopback());
    let tells_of_browser_or_proxy = ["origin", "sec-fetch-site", "x-forwarded-for", "forwarded"]
        .iter()
        .any(|name| headers.contains_key(*name));
    is_loopback && !tells_of_browser_or_proxy
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_field_belongs_to_one_token_only() {
        let (mine, other) = (Token::random().unwrap(), Token::random().unwrap());
        assert!(is_valid(&mine, &field_for(&mine)));
        assert!(!is_valid(&other, &field_for(&mine)));
        assert!(!is_valid(&mine, ""));
        assert!(!is_valid(&mine, &field_for(&mine)[..63]));
    }

    #[test]
    fn only_a_program_on_this_machine_is_a_local_script() {
        let loopback = Some(SocketAddr::from(([127, 0, 0, 1], 5000)));
        let mapped: Option<SocketAddr> = "[::ffff:127.0.0.1]:5000".parse().ok();
        let remote = Some(SocketAddr::from(([192, 0, 2, 1], 5000)));
        let plain = HeaderMap::new();
        assert!(is_local_script(&plain, loopback));
        assert!(is_local_script(&plain, mapped));
        assert!(!is_local_script(&plain, remote));
        assert!(!is_local_script(&plain, None));
        for name in ["origin", "sec-fetch-site", "x-forwarded-for"] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static("x"));
            assert!(!is_local_script(&headers, loopback), "{name}");
        }
    }
}
