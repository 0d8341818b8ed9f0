//! Answers that are CSV files (RFC 4180), sent piece by piece.
//!
//! A file is made from pages of rows: one is read, written and sent before the next is read, so an export of any
//! length needs the memory of one page. Texts that people wrote are quoted, and one that a spreadsheet would
//! take for a formula is led by an apostrophe.

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures::{
    future::BoxFuture,
    stream::{self, Stream},
};

use crate::error::ConsoleError;

/// A piece of the file, and whether it is the last.
pub struct Piece {
    pub text: String,
    pub is_last: bool,
}

/// Gives one piece after the other; each call reads one page of rows.
pub trait Pieces: Send + 'static {
    fn next(&mut self) -> BoxFuture<'_, Result<Piece, ConsoleError>>;
}

/// The file's body. An error breaks the transfer off, so that a reader cannot take half a file for a whole one.
fn body_of(pieces: impl Pieces) -> impl Stream<Item = Result<Bytes, ConsoleError>> + Send {
    stream::try_unfold(Some(pieces), |pieces| async move {
        let Some(mut pieces) = pieces else { return Ok(None) };
        let piece = pieces.next().await?;
        let rest = (!piece.is_last).then_some(pieces);
        Ok(Some((Bytes::from(piece.text), rest)))
    })
}

/// The answer that a browser keeps as `file_name`, which holds letters, digits, `-` and `.` only.
pub fn answer(file_name: &str, pieces: impl Pieces) -> Response {
    let mut response = Body::from_stream(body_of(pieces)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{file_name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

/// A text as one field.
pub fn field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let lead = if is_formula { "'" } else { "" };
    if is_formula || text.contains(['"', ',', '\r', '\n']) {
        format!("\"{lead}{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_and_no_spreadsheet_runs_them() {
        for (text, written) in [
            ("top-up", "top-up"),
            ("", ""),
            ("a, b", "\"a, b\""),
            ("say \"yes\"", "\"say \"\"yes\"\"\""),
            ("two\r\nlines", "\"two\r\nlines\""),
            ("=1+1", "\"'=1+1\""),
            ("-5", "\"'-5\""),
            ("@x,\"y\"", "\"'@x,\"\"y\"\"\""),
        ] {
            assert_eq!(field(text), written, "{text}");
        }
    }
}
