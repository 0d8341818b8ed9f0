//! Mailbox lists as header fields and API parameters write them (RFC 5322 3.4).
//!
//! A strict reader: display names, quoted strings, comments and angle brackets are understood; groups and
//! anything that two programs could read differently are refused. The addresses themselves are read by the SMTP
//! crate, so that what a header says and what the envelope says are compared in one normal form.

use indicia_smtp::address::{AddressError, Mailbox};

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedMailbox {
    /// Unquoted, without comments; encoded words are left as they are.
    pub display_name: Option<String>,
    pub mailbox: Mailbox,
}

/// Why an entry is no mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailboxError {
    #[error("it is empty")]
    Empty,
    #[error("it has a control character")]
    Control,
    #[error("a quote, comment or bracket is not closed, or closed without having been opened")]
    Unbalanced,
    #[error("groups of addresses are not accepted")]
    Group,
    #[error("there is text after the address")]
    TrailingText,
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// One entry's text, taken apart but not yet read.
#[derive(Debug, Default)]
struct Entry {
    before: String,
    angle: Option<String>,
    after: String,
}

/// Reads a comma-separated list. Every entry is read, so that an error can be put beside its place in the list.
pub fn parse_list(text: &str) -> Vec<Result<NamedMailbox, MailboxError>> {
    match split(text) {
        Ok(entries) => entries.into_iter().map(read).collect(),
        Err(error) => vec![Err(error)],
    }
}

/// Reads exactly one mailbox.
pub fn parse_one(text: &str) -> Result<NamedMailbox, MailboxError> {
    let mut entries = split(text)?;
    match (entries.pop(), entries.is_empty()) {
        (Some(entry), true) => read(entry),
        (Some(_), false) => Err(MailboxError::TrailingText),
        (None, _) => Err(MailboxError::Empty),
    }
}

/// Cuts a list at its commas, outside quotes, comments, brackets; comments are left out.
fn split(text: &str) -> Result<Vec<Entry>, MailboxError> {
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err(MailboxError::Control);
    }
    let mut entries = vec![Entry::default()];
    let (mut quoted, mut literal, mut in_angle) = (false, false, false);
    let mut comment_depth = 0u32;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let escaped = match character {
            '\\' if quoted || comment_depth > 0 => Some(characters.next().ok_or(MailboxError::Unbalanced)?),
            _ => None,
        };
        if comment_depth > 0 {
            match (character, escaped) {
                ('(', None) => comment_depth += 1,
                (')', None) => comment_depth -= 1,
                _ => {}
            }
            continue;
        }
        let Some(entry) = entries.last_mut() else { return Err(MailboxError::Empty) };
        if !quoted && !literal {
            match character {
                '(' => {
                    comment_depth = 1;
                    // A comment separates words, as the space that it stands for does.
                    entry.current(in_angle).push(' ');
                    continue;
                }
                '<' if !in_angle && entry.angle.is_none() => {
                    in_angle = true;
                    entry.angle = Some(String::new());
                    continue;
                }
                '>' if in_angle => {
                    in_angle = false;
                    continue;
                }
                ',' if !in_angle => {
                    entries.push(Entry::default());
                    continue;
                }
                '<' | '>' | ')' => return Err(MailboxError::Unbalanced),
                ':' | ';' => return Err(MailboxError::Group),
                _ => {}
            }
        }
        match character {
            '"' if !literal => quoted = !quoted,
            '[' if !quoted => literal = true,
            ']' if !quoted => literal = false,
            _ => {}
        }
        let current = entry.current(in_angle);
        current.push(character);
        current.extend(escaped);
    }
    if quoted || literal || in_angle || comment_depth > 0 {
        return Err(MailboxError::Unbalanced);
    }
    Ok(entries)
}

impl Entry {
    fn current(&mut self, in_angle: bool) -> &mut String {
        match (&mut self.angle, in_angle) {
            (Some(angle), true) => angle,
            (Some(_), false) => &mut self.after,
            (None, _) => &mut self.before,
        }
    }
}

fn read(entry: Entry) -> Result<NamedMailbox, MailboxError> {
    let before = entry.before.trim();
    let Some(angle) = entry.angle else {
        return match before {
            "" => Err(MailboxError::Empty),
            address => Ok(NamedMailbox { display_name: None, mailbox: Mailbox::parse(address)? }),
        };
    };
    if !entry.after.trim().is_empty() {
        return Err(MailboxError::TrailingText);
    }
    let display_name = Some(unquote(before)).filter(|name| !name.is_empty());
    Ok(NamedMailbox { display_name, mailbox: Mailbox::parse(angle.trim())? })
}

/// A phrase without its quotes and backslashes, with single spaces between words.
fn unquote(phrase: &str) -> String {
    let mut name = String::with_capacity(phrase.len());
    let mut quoted = false;
    let mut characters = phrase.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => quoted = !quoted,
            '\\' if quoted => name.extend(characters.next()),
            ' ' | '\t' if !quoted => {
                if !name.is_empty() && !name.ends_with(' ') {
                    name.push(' ');
                }
            }
            _ => name.push(character),
        }
    }
    name.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_that_mail_is_addressed_with() {
        for (text, name, address) in [
            ("a@b.example", None, "a@b.example"),
            (" a@B.Example ", None, "a@b.example"),
            ("<a@b.example>", None, "a@b.example"),
            ("Ann Lee <a@b.example>", Some("Ann Lee"), "a@b.example"),
            ("\"Lee, Ann\" <a@b.example>", Some("Lee, Ann"), "a@b.example"),
            (
                "\"A \\\"B\\\" <x@y.example>\"  C <a@b.example>",
                Some("A \"B\" <x@y.example> C"),
                "a@b.example",
            ),
            ("Ann (the (nested) one) Lee <a@b.example> (work)", Some("Ann Lee"), "a@b.example"),
            ("张三 <a@b.example>", Some("张三"), "a@b.example"),
            ("\"odd part\"@b.example", None, "\"odd part\"@b.example"),
            ("a@[IPv6:2001:db8::1]", None, "a@[IPv6:2001:db8::1]"),
        ] {
            let one = parse_one(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(
                (one.display_name.as_deref(), one.mailbox.to_string().as_str()),
                (name, address),
                "{text}"
            );
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for text in [
            "",
            "  ",
            "()",
            "a",
            "a@",
            "@b.example",
            "a@b.example,",
            "a@b.example, c@d.example",
            "a@b.example <c@d.example",
            "a@b.example> c",
            "Ann <a@b.example> <c@d.example>",
            "Ann <a@b.example> x",
            "friends: a@b.example;",
            "Ann \"Lee <a@b.example>",
            "(a@b.example",
            "a@b.example)",
            "a b@c.example",
            "<>",
            "a@b@c.example",
            "<a@b.example\n>",
            "a@b.example\r\nBcc: x@y.example",
            "a@b.example\0",
            "\"a\\",
            "Ann <a@b.example>\u{7f}",
            "a@[127.0.0.1",
            "..a@b.example",
        ] {
            assert!(parse_one(text).is_err(), "{text:?} was read as {:?}", parse_one(text));
        }
    }

    #[test]
    fn a_list_keeps_places() {
        let list = parse_list("a@b.example,, \"x, y\" <c@d.example>, nonsense");
        let good: Vec<bool> = list.iter().map(Result::is_ok).collect();
        assert_eq!(good, [true, false, true, false]);
        assert_eq!(list[1], Err(MailboxError::Empty));
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics(text in ".{0,200}") {
            parse_list(&text);
        }

        #[test]
        fn a_quoted_name_comes_back(name in "[ -~]{1,40}") {
            let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
            let one = parse_one(&format!("\"{quoted}\" <a@b.example>")).unwrap();
            proptest::prop_assert_eq!(one.display_name.unwrap_or_default(), name.trim_end());
        }
    }
}
