//! Splits a message into its header fields and its body without copying.

use std::borrow::Cow;

/// Name and raw value (with its folding and final CRLF) of a header field.
pub(super) type Field<'a> = (&'a [u8], &'a [u8]);

/// The header section (up to and without the empty line) and the body's chunks, each where it lies. Only a
/// header section that spans chunks is joined into one piece.
pub(super) fn split<'a>(chunks: &[&'a [u8]]) -> (Cow<'a, [u8]>, Vec<&'a [u8]>) {
    let mut header: Cow<'a, [u8]> = Cow::Borrowed(&[]);
    for (index, chunk) in chunks.iter().enumerate() {
        let before = header.len();
        if before == 0 {
            header = Cow::Borrowed(*chunk);
        } else {
            header.to_mut().extend_from_slice(chunk);
        }
        if let Some(end) = end_of_header(&header, before) {
            let body_start = end + 2 - before;
            let mut body = vec![&chunk[body_start..]];
            body.extend_from_slice(&chunks[index + 1..]);
            let header = match header {
                Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[..end]),
                Cow::Owned(mut bytes) => {
                    bytes.truncate(end);
                    Cow::Owned(bytes)
                }
            };
            return (header, body);
        }
    }
    (header, vec![])
}

/// Where the empty line begins: after it comes the body. Bytes before `seen` were looked at before.
fn end_of_header(bytes: &[u8], seen: usize) -> Option<usize> {
    if bytes.starts_with(b"\r\n") {
        return Some(0);
    }
    let from = seen.saturating_sub(3);
    bytes[from..].windows(4).position(|window| window == b"\r\n\r\n").map(|at| from + at + 2)
}

/// The fields of a header section, in order. A line that is no field (no colon) is passed over.
pub(super) fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = header;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (field, tail) = rest.split_at(end_of_field(rest));
            rest = tail;
            if let Some(colon) = field.iter().position(|byte| *byte == b':') {
                return Some((&field[..colon], &field[colon + 1..]));
            }
        }
        None
    })
}

/// The length of the first field: up to a line end that is not followed by folding white space.
fn end_of_field(bytes: &[u8]) -> usize {
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == b'\n') {
        from += at + 1;
        if !matches!(bytes.get(from), Some(b' ' | b'\t')) {
            return from;
        }
    }
    bytes.len()
}
