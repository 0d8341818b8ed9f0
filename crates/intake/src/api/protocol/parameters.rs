//! An action's parameters: query and form merged, by name.
//!
//! The SDKs put some parameters in the query and others in the form body, and which is which changes with their
//! versions, so both are read alike. A name given twice is refused: with two values no reader can know which
//! one was meant, or which one a proxy in between has checked. Nested lists come flat as `Name.N.Field`
//! with N from 1; booleans in any case (Python writes `True`); numbers are plain decimal digits.

use std::collections::BTreeMap;

use super::error::ApiError;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use memchr::memchr2_iter;

/// More parameters than any action has, fewer than would cost us anything to hold.
const PARAMETERS_MAX: usize = 2_000;

/// Where a parameter was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Query,
    Form,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    value: String,
    origin: Origin,
}

/// The parameters of one call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    entries: BTreeMap<String, Entry>,
}

/// A page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// From 1.
    pub number: i64,
    pub size: i64,
}

impl Page {
    /// How many rows come before this page.
    pub fn offset(self) -> i64 {
        (self.number - 1).saturating_mul(self.size)
    }
}

impl Parameters {
    /// Reads the query and, when the content is one, the form. Both are `application/x-www-form-urlencoded`.
    pub fn parse(query: &str, form: &[u8]) -> Result<Self, ApiError> {
        let mut parameters = Parameters::default();
        parameters.add(query, Origin::Query)?;
        let form = std::str::from_utf8(form).map_err(|_| {
            ApiError::bad_request(
                "InvalidParameter",
                "The form body is not percent-encoded UTF-8.",
                "Send the body as application/x-www-form-urlencoded in UTF-8.",
            )
        })?;
        parameters.add(form, Origin::Form)?;
        Ok(parameters)
    }

    fn add(&mut self, encoded: &str, origin: Origin) -> Result<(), ApiError> {
        for pair in encoded.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).map_err(|()| undecodable("name", pair))?;
            let value = decode(value).map_err(|()| undecodable("value", &name))?;
            if self.entries.contains_key(&name) {
                return Err(ApiError::invalid_parameter(&shown(&name), "it was given more than once"));
            }
            if self.entries.len() == PARAMETERS_MAX {
                return Err(ApiError::bad_request(
                    "InvalidParameter",
                    format!("The request has more than {PARAMETERS_MAX} parameters."),
                    "Send only the action's own parameters.",
                ));
            }
            self.entries.insert(name, Entry { value, origin });
        }
        Ok(())
    }

    /// All names and values, sorted by name: what signature 1.0 signs.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry.value.as_str()))
    }

    /// The value as sent, even if empty.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.entries.get(name).map(|entry| entry.value.as_str())
    }

    /// Where the parameter was found.
    pub fn origin(&self, name: &str) -> Option<Origin> {
        self.entries.get(name).map(|entry| entry.origin)
    }

    /// The value, unless absent or empty: SDKs send unset strings as empty ones.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    /// The value, or `MissingParameter`.
    pub fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.text(name).ok_or_else(|| ApiError::missing_parameter(name))
    }

    pub fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(value) = self.text(name) else { return Ok(None) };
        let digits = value.strip_prefix('-').unwrap_or(value);
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        match value.parse() {
            Ok(number) if plain => Ok(Some(number)),
            _ => Err(ApiError::invalid_parameter(name, format!("'{}' is not an integer", shown(value)))),
        }
    }

    pub fn required_integer(&self, name: &str) -> Result<i64, ApiError> {
        self.required(name)?;
        self.integer(name)?.ok_or_else(|| ApiError::missing_parameter(name))
    }

    /// An integer within `range`, or `default` when not given.
    pub fn integer_in(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<i64>,
        default: i64,
    ) -> Result<i64, ApiError> {
        let number = self.integer(name)?.unwrap_or(default);
        if range.contains(&number) {
            return Ok(number);
        }
        let (least, most) = range.into_inner();
        Err(ApiError::invalid_parameter(name, format!("{number} is not between {least} and {most}")))
    }

    pub fn boolean(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.text(name) {
            None => Ok(None),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(value) => Err(ApiError::invalid_parameter(
                name,
                format!("'{}' is neither true nor false", shown(value)),
            )),
        }
    }

    pub fn required_boolean(&self, name: &str) -> Result<bool, ApiError> {
        self.required(name)?;
        self.boolean(name)?.ok_or_else(|| ApiError::missing_parameter(name))
    }

    /// The page asked for: number from 1, size from 1 to `size_max`.
    pub fn page(
        &self,
        number_name: &str,
        size_name: &str,
        size_default: i64,
        size_max: i64,
    ) -> Result<Page, ApiError> {
        let number = self.integer_in(number_name, 1..=1_000_000, 1)?;
        let size = self.integer_in(size_name, 1..=size_max, size_default)?;
        Ok(Page { number, size })
    }

    /// An instant written `2020-02-02T12:00:00Z`.
    pub fn instant(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        self.text(name)
            .map(|value| {
                parse_utc_instant(value).ok_or_else(|| time_error(name, value, "2020-02-02T12:00:00Z"))
            })
            .transpose()
    }

    /// A civil day written `2019-09-29`.
    pub fn day(&self, name: &str) -> Result<Option<Date>, ApiError> {
        self.text(name)
            .map(|value| Date::strptime("%Y-%m-%d", value).map_err(|_| time_error(name, value, "2019-09-29")))
            .transpose()
    }

    /// A civil time written after `format`, of which `example` is one.
    pub fn civil(&self, name: &str, format: &str, example: &str) -> Result<Option<DateTime>, ApiError> {
        self.text(name)
            .map(|value| DateTime::strptime(format, value).map_err(|_| time_error(name, value, example)))
            .transpose()
    }

    /// Whether any parameter has this name or is a field of a list of this name (`Name.1.Field`).
    pub fn has_list(&self, name: &str) -> bool {
        self.text(name).is_some()
            || self.entries.keys().any(|key| key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
    }
}

/// An instant in exactly the form `yyyy-MM-ddTHH:mm:ssZ`.
pub fn parse_utc_instant(text: &str) -> Option<Timestamp> {
    if text.len() != 20 || !text.ends_with('Z') || text.as_bytes().get(10) != Some(&b'T') {
        return None;
    }
    text.parse().ok()
}

fn time_error(name: &str, value: &str, example: &str) -> ApiError {
    ApiError::invalid_parameter(name, format!("'{}' is not a time such as {example}", shown(value)))
}

/// Undoes form encoding; a `%` without two hexadecimal digits stands for itself (WHATWG URL 1.3). In one pass into one
/// buffer, since a body may have tens of megabytes.
fn decode(encoded: &str) -> Result<String, ()> {
    let bytes = encoded.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut copied = 0;
    for at in memchr2_iter(b'%', b'+', bytes) {
        let (byte, length) = match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'+', ..) => (b' ', 1),
            (_, Some(high), Some(low)) => ((high * 16 + low) as u8, 3),
            _ => continue,
        };
        decoded.extend_from_slice(&bytes[copied..at]);
        decoded.push(byte);
        copied = at + length;
    }
    decoded.extend_from_slice(&bytes[copied..]);
    decoded.shrink_to_fit();
    String::from_utf8(decoded).map_err(|_| ())
}

fn undecodable(part: &str, what: &str) -> ApiError {
    ApiError::bad_request(
        "InvalidParameter",
        format!("The {part} of parameter '{}' is not percent-encoded UTF-8.", shown(what)),
        "Encode parameters as UTF-8.",
    )
}

/// A value as it may be repeated in a message: without control characters and not endless.
pub fn shown(value: &str) -> String {
    let mut text: String =
        value.chars().take(100).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if value.chars().nth(100).is_some() {
        text.push('…');
    }
    text
}
