//! Signing in and out.
//!
//! The order of a sign-in: the form's token (before everything, in `csrf`), the throttle, the password.
//! A wrong password and an unknown e-mail address get the same answer after the same work.

use std::net::{IpAddr, SocketAddr};

use askama::Template;
use axum::{
    Form,
    extract::{ConnectInfo, FromRequestParts, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{Html, IntoResponse, Redirect, Response},
};
use indicia_store::session::{Session, Subject};
use serde::Deserialize;

use crate::{
    ConsoleState, assets,
    components::{Note, Tone},
    error::{ConsoleError, with_cookie},
    format,
    session::{
        Token,
        cookie::Cookie,
        csrf,
        viewer::{Role, Viewer},
    },
    shell::{Flash, account_href},
};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    stylesheet: String,
    note: Option<Note>,
    csrf: String,
    next: String,
    email: String,
}

/// What the sign-in page is asked with.
#[derive(Deserialize, Default)]
pub struct LoginQuery {
    #[serde(default)]
    next: String,
    #[serde(default)]
    ended: Option<String>,
}

/// `GET /`: to where the viewer starts.
pub async fn root(viewer: Viewer) -> Redirect {
    Redirect::to(&viewer.home())
}

/// `GET /login`
pub async fn show(
    State(state): State<ConsoleState>,
    viewer: Option<Viewer>,
    Query(query): Query<LoginQuery>,
    headers: HeaderMap,
) -> Result<Response, ConsoleError> {
    if let Some(viewer) = viewer {
        return Ok(Redirect::to(&local_path(&query.next).unwrap_or_else(|| viewer.home())).into_response());
    }
    let flash = Flash::from_request(&state, &headers).map(Flash::note);
    let ended = query.ended.is_some().then(|| {
        Note::new(
            Tone::Info,
            "The session has ended",
            "Sign in again, and you come back to the page you wanted.",
        )
    });
    form(&state, &headers, StatusCode::OK, ended.or(flash), &query.next, "")
}

/// The sign-in page, with the cookie that its form is bound to.
fn form(
    state: &ConsoleState,
    headers: &HeaderMap,
    status: StatusCode,
    note: Option<Note>,
    next: &str,
    email: &str,
) -> Result<Response, ConsoleError> {
    let known = state.cookies().get(headers, Cookie::SignIn).and_then(Token::parse);
    let token = match known {
        Some(token) => token,
        None => Token::random()?,
    };
    let page = LoginPage {
        stylesheet: assets::stylesheet_href(),
        note,
        csrf: csrf::field_for(&token),
        next: local_path(next).unwrap_or_default(),
        email: email.to_owned(),
    };
    let answer = (status, Html(page.render()?)).into_response();
    Ok(with_cookie(answer, state.cookies().set(Cookie::SignIn, &token.reveal(), None)))
}

/// The sign-in form.
#[derive(Deserialize)]
pub struct LoginForm {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

/// The network address that the request came from, where the server tells it.
///
/// Behind a proxy on this machine every request comes from loopback, and one guesser would close the console
/// for all; there the address is the one that the proxy itself added, the last of `X-Forwarded-For`. From
/// anywhere else that header is anybody's claim and is not looked at.
pub struct Peer(Option<IpAddr>);

impl FromRequestParts<ConsoleState> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &ConsoleState) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
        let forwarded = peer.filter(IpAddr::is_loopback).and_then(|_| forwarded_for(&parts.headers));
        Ok(Self(forwarded.or(peer)))
    }
}

fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let line = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    line.rsplit(',').next()?.trim().parse().ok()
}

/// `POST /login`
pub async fn sign_in(
    State(state): State<ConsoleState>,
    Peer(address): Peer,
    headers: HeaderMap,
    Form(login): Form<LoginForm>,
) -> Result<Response, ConsoleError> {
    let now = state.now();
    let email = login.email.trim();
    let wait_us = state.throttle.wait_us(email, address, now);
    if wait_us > 0 {
        tracing::warn!(?address, "refused a sign-in: too many wrong passwords");
        return too_many(&state, &headers, wait_us, &login);
    }
    let known = find_login(&state, email).await?;
    let stored = known.as_ref().map(|(_, hash)| hash.clone());
    let is_right = state.passwords.is_right(login.password.clone(), stored).await;
    let Some((role, _)) = known.filter(|_| is_right) else {
        state.throttle.failed(email, address, now);
        tracing::warn!(?address, "refused a sign-in: wrong e-mail address or password");
        let note = Note::new(
            Tone::Bad,
            "E-mail address or password is wrong",
            "Check both. After several wrong passwords, signing in pauses for a quarter of an hour.",
        );
        return form(&state, &headers, StatusCode::UNAUTHORIZED, Some(note), &login.next, email);
    };
    state.throttle.succeeded(email);
    open_session(&state, &headers, role, &login.next).await
}

fn too_many(
    state: &ConsoleState,
    headers: &HeaderMap,
    wait_us: i64,
    login: &LoginForm,
) -> Result<Response, ConsoleError> {
    let seconds = wait_us / 1_000_000 + 1;
    let note = Note::new(
        Tone::Bad,
        "Too many wrong passwords",
        format!(
            "Try again in {}. Until then no password is looked at.",
            format::duration(seconds * 1_000_000)
        ),
    );
    let mut answer =
        form(state, headers, StatusCode::TOO_MANY_REQUESTS, Some(note), &login.next, &login.email)?;
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    Ok(answer)
}

/// The login of that e-mail address with its password's hash. An address belongs to an account or an
/// operator, never to both.
async fn find_login(state: &ConsoleState, email: &str) -> Result<Option<(Role, String)>, ConsoleError> {
    if let Some(account) = state.store.account_by_email(email).await? {
        return Ok(Some((Role::Account(account.account_id), account.password_hash)));
    }
    let operator = state.store.operator_by_email(email).await?;
    Ok(operator.map(|operator| (Role::Operator(operator.operator_id), operator.password_hash)))
}

async fn open_session(
    state: &ConsoleState,
    headers: &HeaderMap,
    role: Role,
    next: &str,
) -> Result<Response, ConsoleError> {
    // A session that this browser still held ends here, so that its cookie is worth nothing any more.
    if let Some(old) = state.cookies().get(headers, Cookie::Session).and_then(Token::parse) {
        state.store.delete_session(&old.digest()).await?;
    }
    let (subject, home) = match role {
        Role::Account(id) => (Subject::Account(id), account_href(id, "")),
        Role::Operator(id) => (Subject::Operator(id), "/accounts".to_owned()),
    };
    let now = state.now();
    let token = Token::random()?;
    let session = Session {
        subject,
        // The forms' token is derived from the cookie's, see `csrf`; nothing of it needs to be kept.
        csrf_token: String::new(),
        created_at: now,
        last_seen_at: now,
        expires_at: now.plus_micros(state.config.session_lifetime_us),
    };
    state.store.create_session(&token.digest(), &session).await?;
    tracing::info!(?role, "signed in to the console");
    let answer = Redirect::to(&local_path(next).unwrap_or(home)).into_response();
    let answer = with_cookie(answer, state.cookies().set(Cookie::Session, &token.reveal(), None));
    Ok(with_cookie(answer, state.cookies().clear(Cookie::SignIn)))
}

/// `POST /logout`
pub async fn sign_out(
    State(state): State<ConsoleState>,
    headers: HeaderMap,
) -> Result<Response, ConsoleError> {
    let cookies = state.cookies();
    if let Some(token) = cookies.get(&headers, Cookie::Session).and_then(Token::parse) {
        state.store.delete_session(&token.digest()).await?;
    }
    let answer = Redirect::to("/login").into_response();
    let answer = with_cookie(answer, cookies.clear(Cookie::Session));
    Ok(with_cookie(answer, cookies.set(Cookie::Flash, Flash::SignedOut.name(), Some(30))))
}

/// `next` if it is a path of this console: never an address elsewhere, nor one that a browser could take for
/// such (`//host`, `/\host`), nor the sign-in page itself.
fn local_path(next: &str) -> Option<String> {
    let rest = next.strip_prefix('/')?;
    let is_elsewhere = rest.starts_with('/') || next.contains('\\') || next.chars().any(char::is_control);
    let is_sign_in = rest.starts_with("login") || rest.starts_with("logout");
    (!is_elsewhere && !is_sign_in && next.is_ascii() && next.len() <= 2_000).then(|| next.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxys_own_word_is_the_last() {
        let headers = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", HeaderValue::from_static(line));
            }
            headers
        };
        assert_eq!(forwarded_for(&headers(&["203.0.113.9, 192.0.2.7"])), "192.0.2.7".parse().ok());
        assert_eq!(forwarded_for(&headers(&["203.0.113.9", "2001:db8::1"])), "2001:db8::1".parse().ok());
        assert_eq!(forwarded_for(&headers(&["unknown"])), None);
        assert_eq!(forwarded_for(&headers(&[])), None);
    }

    #[test]
    fn only_paths_of_this_console_are_followed() {
        assert_eq!(
            local_path("/accounts/7/mails?status=failed").as_deref(),
            Some("/accounts/7/mails?status=failed")
        );
        for next in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/a\r\nb",
            "/login",
            "/a\tb",
            "/é",
        ] {
            assert_eq!(local_path(next), None, "{next}");
        }
    }
}
