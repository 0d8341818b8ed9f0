//! The pages of an account, and the operator's list of accounts. One file per page or family of pages; each
//! loads rows from the store, turns them into what its template shows, and decides nothing.

pub mod alerts;
mod asked;
pub mod billing;
pub mod bills;
pub mod contacts;
mod left;
pub mod mails;
pub mod message;
pub mod messages;
pub mod operator;
pub mod orders;
pub mod overview;
pub mod packages;
pub mod purchase;
pub mod reputation;
pub mod sending;
pub mod statement;
mod status;
pub mod transactions;

pub use asked::{A_PLACE, number};
pub use mails::subject_or_none;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// A choice of a `<select>`.
#[derive(Clone, Debug)]
pub struct SelectOption {
    pub value: String,
    pub text: String,
    pub is_chosen: bool,
}

impl SelectOption {
    /// The choices with the one of `chosen` marked.
    pub fn list<T: AsRef<str>>(choices: &[(T, T)], chosen: &str) -> Vec<Self> {
        let option = |(value, text): &(T, T)| Self {
            value: value.as_ref().to_owned(),
            text: text.as_ref().to_owned(),
            is_chosen: value.as_ref() == chosen,
        };
        choices.iter().map(option).collect()
    }
}

/// A line of a list of facts.
#[derive(Clone, Debug)]
pub struct Fact {
    pub name: &'static str,
    pub value: String,
    pub is_mono: bool,
}

impl Fact {
    pub fn text(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into(), is_mono: false }
    }

    pub fn mono(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, value: value.into(), is_mono: true }
    }
}

/// An address with those of `fields` as its query that are not empty.
pub fn with_query(path: &str, fields: &[(&str, &str)]) -> String {
    let query: Vec<String> = fields
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)))
        .collect();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{}", query.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_only_what_is_given_and_escapes_it() {
        assert_eq!(with_query("/a", &[("x", ""), ("y", "")]), "/a");
        assert_eq!(with_query("/a", &[("x", "1 &=é"), ("y", ""), ("z", "2")]), "/a?x=1%20%26%3D%C3%A9&z=2");
    }
}
