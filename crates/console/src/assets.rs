//! The style sheet and the mark, embedded in the binary.
//!
//! The style sheet's address holds a piece of its own hash, so that browsers may keep it for ever and still
//! get a new one the moment it changes.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

use crate::error::ConsoleError;

static STYLESHEET: &str = include_str!("../assets/console.css");
static MARK: &str = include_str!("../assets/mark.svg");

static STYLESHEET_NAME: LazyLock<String> = LazyLock::new(|| {
    let hash = hex::encode(Sha256::digest(STYLESHEET));
    format!("console-{}.css", &hash[..16])
});

/// The style sheet's address.
pub fn stylesheet_href() -> String {
    format!("/assets/{}", *STYLESHEET_NAME)
}

/// `GET /assets/{name}`
pub async fn serve(Path(name): Path<String>) -> Result<Response, ConsoleError> {
    if name == *STYLESHEET_NAME {
        let headers = [
            (header::CONTENT_TYPE, "text/css; charset=utf-8"),
            (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        ];
        return Ok((headers, STYLESHEET).into_response());
    }
    if name == "mark.svg" {
        let headers =
            [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "public, max-age=86400")];
        return Ok((headers, MARK).into_response());
    }
    Err(ConsoleError::NotFound { what: "file" })
}
