//! Whether a message's MIME structure can be read, at its top level: Content-Type, Content-Transfer-Encoding, and the
//! boundary that the one declares in the body that the other describes (RFC 2045 5, 6; RFC 2046 5.1).
//!
//! A mail whose structure every reader guesses for himself is shown empty by one and with other attachments by
//! the next, and the DKIM signature vouches for all of them. Its sender should learn of it before it is charged.
//! Liberal where readers agree: comments, unquoted values with characters that would need quotes, a `;` at the end.

use std::borrow::Cow;

use memchr::memmem;

/// Why a structure cannot be read. The texts are fit for a reply line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MimeError {
    #[error("the Content-Type field cannot be read: it must be type/subtype; name=value ...")]
    ContentType,
    #[error("the Content-Type field gives the parameter boundary twice")]
    BoundaryTwice,
    #[error("the Content-Type is multipart without a boundary")]
    NoBoundary,
    #[error("the boundary that the Content-Type field declares does not occur in the body")]
    BoundaryUnused,
    #[error("the Content-Transfer-Encoding is none of 7bit, 8bit, binary, quoted-printable and base64")]
    TransferEncoding,
    #[error(
        "the Content-Transfer-Encoding of a multipart must be 7bit, 8bit or binary; its parts are encoded each by itself"
    )]
    EncodedMultipart,
}

/// What a Content-Type says, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
struct ContentType {
    is_multipart: bool,
    boundary: Option<String>,
    /// The boundary is written in pieces or encoded (RFC 2231), which is legal and so rare that nobody checks it.
    has_other_boundary: bool,
}

/// Checks both fields (unfolded values, when the message has them) against each other and the body.
pub fn check(
    content_type: Option<&str>,
    transfer_encoding: Option<&str>,
    body: &[u8],
) -> Result<(), MimeError> {
    let is_encoded = match transfer_encoding {
        Some(value) => is_encoded(value)?,
        None => false,
    };
    let Some(value) = content_type else { return Ok(()) };
    let content_type = read_content_type(value)?;
    if !content_type.is_multipart {
        return Ok(());
    }
    if is_encoded {
        return Err(MimeError::EncodedMultipart);
    }
    match content_type.boundary {
        Some(boundary) if boundary.is_empty() => Err(MimeError::NoBoundary),
        Some(boundary) if has_part(body, &boundary) => Ok(()),
        Some(_) => Err(MimeError::BoundaryUnused),
        None if content_type.has_other_boundary => Ok(()),
        None => Err(MimeError::NoBoundary),
    }
}

/// Whether a transfer encoding turns octets into others.
fn is_encoded(value: &str) -> Result<bool, MimeError> {
    let value = without_comments(value).ok_or(MimeError::TransferEncoding)?;
    let is_one_of = |names: &[&str]| names.iter().any(|name| value.trim().eq_ignore_ascii_case(name));
    match (is_one_of(&["7bit", "8bit", "binary"]), is_one_of(&["quoted-printable", "base64"])) {
        (true, _) => Ok(false),
        (_, true) => Ok(true),
        _ => Err(MimeError::TransferEncoding),
    }
}

fn read_content_type(value: &str) -> Result<ContentType, MimeError> {
    let value = without_comments(value).ok_or(MimeError::ContentType)?;
    let (kind, mut rest) = value.split_once(';').unwrap_or((&value, ""));
    let (main, sub) = kind.split_once('/').ok_or(MimeError::ContentType)?;
    let (main, sub) = (main.trim(), sub.trim());
    if !is_token(main) || !is_token(sub) {
        return Err(MimeError::ContentType);
    }
    let mut read = ContentType {
        is_multipart: main.eq_ignore_ascii_case("multipart"),
        boundary: None,
        has_other_boundary: false,
    };
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        if rest.is_empty() {
            return Ok(read);
        }
        let (name, after) = rest.split_once('=').ok_or(MimeError::ContentType)?;
        let name = name.trim();
        if !is_token(name) {
            return Err(MimeError::ContentType);
        }
        let (value, after) = parameter_value(after.trim_start())?;
        rest = after;
        if name.eq_ignore_ascii_case("boundary") {
            if read.boundary.is_some() {
                return Err(MimeError::BoundaryTwice);
            }
            read.boundary = Some(value);
        }
        read.has_other_boundary |= name.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("boundary*"));
    }
}

/// A parameter's value, quoted or not, and what follows it: nothing, or something that begins with `;`.
fn parameter_value(text: &str) -> Result<(String, &str), MimeError> {
    let (value, rest) = match text.strip_prefix('"') {
        None => {
            let end = text.find(';').unwrap_or(text.len());
            let value = text[..end].trim_end();
            if value.is_empty() || value.contains(['"', ' ', '\t']) {
                return Err(MimeError::ContentType);
            }
            (value.to_owned(), &text[end..])
        }
        Some(quoted) => {
            let mut value = String::new();
            let mut characters = quoted.char_indices();
            loop {
                match characters.next().ok_or(MimeError::ContentType)? {
                    (at, '"') => break (value, quoted[at + 1..].trim_start()),
                    (_, '\\') => value.push(characters.next().ok_or(MimeError::ContentType)?.1),
                    (_, character) => value.push(character),
                }
            }
        }
    };
    match rest.is_empty() || rest.starts_with(';') {
        true => Ok((value, rest)),
        false => Err(MimeError::ContentType),
    }
}

/// RFC 2045 5.1.
fn is_token(text: &str) -> bool {
    let is_token_octet = |octet: u8| octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&octet);
    !text.is_empty() && text.bytes().all(is_token_octet)
}

/// The value with each comment (RFC 5322 3.2.2) as a space. `None`: a comment or a quoted string has no end.
fn without_comments(value: &str) -> Option<Cow<'_, str>> {
    if !value.contains('(') {
        return Some(Cow::Borrowed(value));
    }
    let mut kept = String::with_capacity(value.len());
    let (mut depth, mut in_quotes) = (0_usize, false);
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        let is_comment = depth > 0;
        match character {
            '\\' => {
                let escaped = characters.next()?;
                if !is_comment {
                    kept.extend([character, escaped]);
                }
                continue;
            }
            '"' if !is_comment => in_quotes = !in_quotes,
            '(' if !in_quotes => depth += 1,
            ')' if is_comment => {
                depth -= 1;
                if depth == 0 {
                    kept.push(' ');
                }
                continue;
            }
            _ => {}
        }
        if depth == 0 {
            kept.push(character);
        }
    }
    (depth == 0 && !in_quotes).then_some(Cow::Owned(kept))
}

/// Whether some line of the body begins a part: `--boundary`, then at most blanks.
fn has_part(body: &[u8], boundary: &str) -> bool {
    let delimiter = format!("--{boundary}");
    memmem::find_iter(body, delimiter.as_bytes()).any(|at| {
        let rest = &body[at + delimiter.len()..];
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        (at == 0 || body[at - 1] == b'\n') && rest[..end].trim_ascii().is_empty()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PARTS: &[u8] = b"preamble\r\n--b1\r\n\r\ntext\r\n--b1--\r\n";

    #[test]
    fn content_types_that_readers_agree_on() {
        for value in [
            "text/plain",
            " TEXT/Plain ; charset=utf-8;",
            "text/plain; charset=\"utf-8\"; format=flowed",
            "text/plain (a comment (within) \\) one); charset=us-ascii (Plain text)",
            "application/pdf; name=\"a; b \\\" (c).pdf\"",
            "application/octet-stream; name=a=b?.bin",
            "application/x-thing+json; name*=utf-8''%E4%B8%96",
            "message/rfc822",
            "multipart/mixed; boundary=b1",
            "Multipart/Alternative;\tBOUNDARY=\"b1\" ;",
            "multipart/mixed; boundary*0=b; boundary*1=1",
        ] {
            assert_eq!(check(Some(value), None, PARTS), Ok(()), "{value}");
        }
        assert_eq!(check(None, None, b""), Ok(()));
    }

    #[test]
    fn content_types_that_cannot_be_read() {
        for value in [
            "",
            "text",
            "text/",
            "/plain",
            "text plain",
            "text/plain/x",
            "text/plain; charset",
            "text/plain; =x",
            "text/plain; charset=",
            "text/plain; charset=\"utf-8",
            "text/plain; charset=\"utf-8\" x",
            "text/plain; charset=utf-8 format=flowed",
            "text/plain (no end",
            "text/plain; a b=c",
            "te(xt)\u{fc}/plain",
        ] {
            assert_eq!(check(Some(value), None, PARTS), Err(MimeError::ContentType), "{value}");
        }
        let twice = "multipart/mixed; boundary=b1; boundary=b2";
        assert_eq!(check(Some(twice), None, PARTS), Err(MimeError::BoundaryTwice));
    }

    #[test]
    fn a_multipart_has_a_boundary_that_occurs() {
        let of = |value: &str, body: &[u8]| check(Some(value), None, body);
        for value in ["multipart/mixed", "multipart/mixed; charset=x", "multipart/mixed; boundary=\"\""] {
            assert_eq!(of(value, PARTS), Err(MimeError::NoBoundary), "{value}");
        }
        let mixed = "multipart/mixed; boundary=\"b 1\"";
        for body in ["--b 1\r\n", "--b 1 \t\r\nx", "x\r\n--b 1", "--b 12\r\n--b 1\r\n"] {
            assert_eq!(of(mixed, body.as_bytes()), Ok(()), "{body:?}");
        }
        for body in ["", "text\r\n", "x --b 1\r\n", "--b 1x\r\n", "--B 1\r\n", "-- b 1\r\n", "--b 1--\r\n"] {
            assert_eq!(of(mixed, body.as_bytes()), Err(MimeError::BoundaryUnused), "{body:?}");
        }
    }

    #[test]
    fn transfer_encodings() {
        for value in ["7bit", " 8BIT ", "Binary", "base64", "Quoted-Printable (as ever)"] {
            assert_eq!(check(Some("text/plain"), Some(value), b""), Ok(()), "{value}");
        }
        for value in ["", "8-bit", "uuencode", "x-uuencode", "base64; x", "7bit 8bit", "base64 (no end"] {
            assert_eq!(check(None, Some(value), b""), Err(MimeError::TransferEncoding), "{value}");
        }
        let multipart = Some("multipart/mixed; boundary=b1");
        for value in ["base64", "quoted-printable"] {
            assert_eq!(check(multipart, Some(value), PARTS), Err(MimeError::EncodedMultipart), "{value}");
        }
        assert_eq!(check(multipart, Some("8bit"), PARTS), Ok(()));
    }

    proptest! {
        #[test]
        fn no_value_panics(value in "(text/plain|multipart/x)?[;=\"\\\\() a-c*\u{fc}]{0,30}", body: Vec<u8>) {
            let _ = check(Some(&value), Some(&value), &body);
        }

        #[test]
        fn a_quoted_boundary_is_found_as_it_was_meant(boundary in "[0-9a-zA-Z'()+_,./:=? -]{0,60}[0-9a-zA-Z'()+_,./:=?-]") {
            let value = format!("multipart/mixed; boundary=\"{boundary}\"");
            let body = format!("--{boundary}\r\n\r\nx\r\n--{boundary}--\r\n");
            prop_assert_eq!(check(Some(&value), None, body.as_bytes()), Ok(()));
        }
    }
}
