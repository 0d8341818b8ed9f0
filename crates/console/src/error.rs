//! What can go wrong on a page, the page that says so, and the frame around every answer.
//!
//! An error becomes a response that carries what to tell ([`Told`]); the outermost layer, which knows the
//! request's id, turns that into the page. Inner causes go to the log under the same id and never to the
//! reader, so that a page says exactly what happened without saying how the house is built.

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Redirect, Response},
};
use indicia_store::StoreError;

use crate::{
    ConsoleState, assets,
    components::Link,
    session::{NoRandomness, cookie::Cookie},
};

/// The header that names a request, in the answer and in the log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Why a page could not be given.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// Nobody is signed in; `next` is where the reader wanted to go.
    #[error("nobody is signed in")]
    SignInFirst {
        next: String,
        /// A session was there and is over, which the sign-in page then says.
        has_ended: bool,
    },
    /// There is no such thing, or it is someone else's: the two answers must not differ.
    #[error("no {what} at this address")]
    NotFound { what: &'static str },
    /// The viewer may not do this.
    #[error("not allowed: {0}")]
    Forbidden(&'static str),
    #[error("the form's token does not belong to this session")]
    ForgedForm,
    #[error("the form is larger than the console takes")]
    FormTooLarge,
    /// A field of a form or an address that cannot be understood, with the text for the reader.
    #[error("bad input: {0}")]
    BadInput(String),
    #[error("the demo could not do that: {0}")]
    Demo(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a page could not be rendered: {0}")]
    Render(#[from] askama::Error),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// What the reader is told. Carried in the response's extensions to the layer that writes the page.
#[derive(Clone, Debug)]
struct Told {
    title: String,
    text: String,
    back: Link,
}

impl ConsoleError {
    fn status(&self) -> StatusCode {
        match self {
            Self::SignInFirst { .. } => StatusCode::SEE_OTHER,
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::Forbidden(_) | Self::ForgedForm => StatusCode::FORBIDDEN,
            Self::FormTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BadInput(_) => StatusCode::BAD_REQUEST,
            Self::Store(_) | Self::Render(_) | Self::NoRandomness(_) | Self::Demo(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    fn told(&self) -> Told {
        let home = Link::new("/", "Go to the overview");
        match self {
            Self::NotFound { what } => Told {
                title: format!("There is no such {what}"),
                text: format!("Nothing you may see is at this address. The {what} may have been mistyped, or belongs to another account."),
                back: home,
            },
            Self::Forbidden(why) => Told { title: "This is not allowed".into(), text: (*why).into(), back: home },
            Self::ForgedForm => Told {
                title: "This form is no longer valid".into(),
                text: "It was made for another session, or you have signed out since it was opened. Nothing was \
                       done. Go back, reload the page and send the form again."
                    .into(),
                back: home,
            },
            Self::FormTooLarge => Told {
                title: "This form is too large".into(),
                text: "The console takes forms of up to 64 KiB. Nothing was done.".into(),
                back: home,
            },
            Self::BadInput(text) => Told { title: "This cannot be understood".into(), text: text.clone(), back: home },
            _ => Told {
                title: "This page could not be made".into(),
                text: "The fault is on our side and has been noted. If you had sent a form, look whether it took \
                       effect before you send it again."
                    .into(),
                back: home,
            },
        }
    }
}

impl IntoResponse for ConsoleError {
    fn into_response(self) -> Response {
        if let Self::SignInFirst { next, has_ended } = &self {
            let next = percent_encoding::utf8_percent_encode(next, percent_encoding::NON_ALPHANUMERIC);
            let ended = if *has_ended { "&ended=1" } else { "" };
            return Redirect::to(&format!("/login?next={next}{ended}")).into_response();
        }
        if self.status().is_server_error() {
            tracing::error!(error = &self as &dyn std::error::Error, "a console page failed");
        }
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self.told());
        response
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    status: String,
    title: &'a str,
    text: &'a str,
    back: &'a Link,
    request_id: &'a str,
    stylesheet: String,
}

/// The outermost layer: gives the request an id, logs under it, writes error pages, adds the headers that
/// every answer has.
pub async fn frame(State(state): State<ConsoleState>, request: Request, next: Next) -> Response {
    let has_flash = state.cookies().get(request.headers(), Cookie::Flash).is_some();
    let request_id = crate::random_hex(8);
    let is_browser = wants_html(request.headers());
    let span = tracing::info_span!("console", request_id = %request_id, path = request.uri().path());
    let response = tracing::Instrument::instrument(next.run(request), span).await;
    let mut response = match response.extensions().get::<Told>().cloned() {
        Some(told) if is_browser => error_page(response.status(), &told, &request_id),
        Some(told) => (response.status(), format!("{}\n", told.text)).into_response(),
        None => response,
    };
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        if !headers.contains_key(*name) {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID, value);
    }
    let is_page =
        headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if has_flash && is_page {
        headers.append(header::SET_COOKIE, state.cookies().clear(Cookie::Flash));
    }
    response
}

/// Whether the client is one that shows pages; a terminal gets its error as a line of text.
pub fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|value| value.contains("text/html"))
}

fn error_page(status: StatusCode, told: &Told, request_id: &str) -> Response {
    let page = ErrorPage {
        status: format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default()),
        title: &told.title,
        text: &told.text,
        back: &told.back,
        request_id,
        stylesheet: assets::stylesheet_href(),
    };
    let body = page.render().unwrap_or_else(|_| format!("{}: {}", told.title, told.text));
    (status, Html(body)).into_response()
}

/// No script runs on any page, nothing is loaded from elsewhere, no page can be framed, no form can be
/// pointed elsewhere, nothing of an address leaks to other sites, and pages with an account's figures are
/// kept by no cache.
const SECURITY_HEADERS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ("cache-control", "no-store"),
];

/// The answer for an address that no route knows.
pub async fn no_such_page() -> ConsoleError {
    ConsoleError::NotFound { what: "page" }
}

/// Renders a page, or tells why not.
pub fn page(template: &impl Template) -> Result<Response, ConsoleError> {
    Ok(Html(template.render()?).into_response())
}

/// Adds a cookie to an answer.
pub fn with_cookie(mut response: Response, cookie: HeaderValue) -> Response {
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}
