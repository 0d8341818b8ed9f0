//! Mail addresses as SMTP writes them: RFC 5321 section 4.1.2 paths, widened by RFC 6531 (SMTPUTF8).
//!
//! One pass over the text: an optional source route (read and dropped, as RFC 5321 appendix F.2 asks), the
//! local part (dot-string or quoted string), `@`, and a domain name or an address literal. What comes out is
//! normalised: quotes that are not needed are removed, the domain is lower-case and in A-labels (IDNA,
//! UTS 46). Two spellings of one address are therefore equal after parsing. The case of the local part is
//! kept: only the domain that hosts it may say that it does not matter.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

/// Octets of a local part, RFC 5321 section 4.5.3.1.1.
pub const LOCAL_PART_BYTES_MAX: usize = 64;
/// Octets of a domain, RFC 5321 section 4.5.3.1.2.
pub const DOMAIN_BYTES_MAX: usize = 255;
/// Octets of `local@domain`: a path is 256 octets with its angle brackets, RFC 5321 section 4.5.3.1.3.
pub const MAILBOX_BYTES_MAX: usize = 254;
const LABEL_BYTES_MAX: usize = 63;

/// Why a text is no address. The message fits into a reply: it never repeats the peer's own bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("the path must be enclosed in < and >")]
    NotEnclosed,
    #[error("the address is empty")]
    Empty,
    #[error("the source route is malformed")]
    SourceRoute,
    #[error("the local part is malformed")]
    LocalPart,
    #[error("the local part has more than 64 octets")]
    LocalPartTooLong,
    #[error("the quoted local part is malformed")]
    QuotedString,
    #[error("the address has no @ and domain")]
    NoDomain,
    #[error("the domain is malformed")]
    Domain,
    #[error("the domain has more than 255 octets, or a label of more than 63")]
    DomainTooLong,
    #[error("the address literal is neither [IPv4] nor [IPv6:address]")]
    Literal,
    #[error("the address has more than 254 octets")]
    TooLong,
    #[error("there is text after the address")]
    TrailingText,
}

/// The right side of an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Domain {
    /// Lower-case, A-labels, no trailing dot: what a DNS query takes.
    Name(String),
    /// `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Literal(IpAddr),
}

impl Domain {
    /// Reads a domain name (ASCII or Unicode) or an address literal.
    pub fn parse(text: &str) -> Result<Domain, AddressError> {
        match text.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').ok_or(AddressError::Literal).and_then(parse_literal),
            None => normalise_name(text).map(Domain::Name),
        }
    }

    /// The name for DNS; `None` for an address literal.
    pub fn name(&self) -> Option<&str> {
        match self {
            Domain::Name(name) => Some(name),
            Domain::Literal(_) => None,
        }
    }

    /// The name as people read it: U-labels where the A-labels decode.
    pub fn to_unicode(&self) -> String {
        match self {
            Domain::Name(name) => idna::domain_to_unicode(name).0,
            Domain::Literal(_) => self.to_string(),
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Domain::Name(name) => f.write_str(name),
            Domain::Literal(IpAddr::V4(address)) => write!(f, "[{address}]"),
            Domain::Literal(IpAddr::V6(address)) => write!(f, "[IPv6:{address}]"),
        }
    }
}

/// `local-part@domain`, normalised. `Display` writes the form for the wire, without angle brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mailbox {
    local_part: String,
    domain: Domain,
}

impl Mailbox {
    /// Reads a whole text as one address, e.g. `ann@example.com`.
    pub fn parse(text: &str) -> Result<Mailbox, AddressError> {
        let (mailbox, rest) = parse_mailbox(text)?;
        if rest.is_empty() { Ok(mailbox) } else { Err(AddressError::TrailingText) }
    }

    /// The local part as the wire writes it: quoted only when it must be.
    pub fn local_part(&self) -> &str {
        &self.local_part
    }

    /// The local part's meaning, without quotes and backslashes.
    pub fn local_part_unquoted(&self) -> Cow<'_, str> {
        match self.local_part.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            Some(quoted) => Cow::Owned(unescape(quoted)),
            None => Cow::Borrowed(&self.local_part),
        }
    }

    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Whether a server without SMTPUTF8 can be given this address. Domains always can: they are A-labels.
    pub fn is_ascii(&self) -> bool {
        self.local_part.is_ascii()
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local_part, self.domain)
    }
}

impl FromStr for Mailbox {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Mailbox, AddressError> {
        Mailbox::parse(text)
    }
}

/// The argument of MAIL FROM: where failures are reported to, or nowhere (`<>`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReversePath {
    Null,
    Mailbox(Mailbox),
}

impl ReversePath {
    /// Reads `<path>` at the start of `text`; returns what follows it.
    pub fn parse_prefix(text: &str) -> Result<(ReversePath, &str), AddressError> {
        if let Some(rest) = text.strip_prefix("<>") {
            return Ok((ReversePath::Null, rest));
        }
        let (mailbox, rest) = parse_enclosed(text)?;
        Ok((ReversePath::Mailbox(mailbox), rest))
    }

    /// Reads an address without brackets; the empty text is the null path.
    pub fn parse(text: &str) -> Result<ReversePath, AddressError> {
        if text.is_empty() { Ok(ReversePath::Null) } else { Mailbox::parse(text).map(ReversePath::Mailbox) }
    }

    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            ReversePath::Null => None,
            ReversePath::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// See [`Mailbox::is_ascii`].
    pub fn is_ascii(&self) -> bool {
        self.mailbox().is_none_or(Mailbox::is_ascii)
    }
}

/// Writes the path without angle brackets; the null path is the empty text.
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mailbox().map_or(Ok(()), |mailbox| mailbox.fmt(f))
    }
}

/// The argument of RCPT TO.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ForwardPath {
    /// `<Postmaster>` without a domain, which every server must know (RFC 5321 section 4.1.1.3).
    Postmaster,
    Mailbox(Mailbox),
}

impl ForwardPath {
    /// Reads `<path>` at the start of `text`; returns what follows it.
    pub fn parse_prefix(text: &str) -> Result<(ForwardPath, &str), AddressError> {
        const POSTMASTER: &str = "<postmaster>";
        if text.get(..POSTMASTER.len()).is_some_and(|head| head.eq_ignore_ascii_case(POSTMASTER)) {
            return Ok((ForwardPath::Postmaster, &text[POSTMASTER.len()..]));
        }
        let (mailbox, rest) = parse_enclosed(text)?;
        Ok((ForwardPath::Mailbox(mailbox), rest))
    }

    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            ForwardPath::Postmaster => None,
            ForwardPath::Mailbox(mailbox) => Some(mailbox),
        }
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ForwardPath::Postmaster => f.write_str("Postmaster"),
            ForwardPath::Mailbox(mailbox) => mailbox.fmt(f),
        }
    }
}

fn parse_enclosed(text: &str) -> Result<(Mailbox, &str), AddressError> {
    let inner = text.strip_prefix('<').ok_or(AddressError::NotEnclosed)?;
    if inner.starts_with('>') {
        return Err(AddressError::Empty);
    }
    let (mailbox, rest) = parse_mailbox(skip_source_route(inner)?)?;
    match rest.strip_prefix('>') {
        Some(after) => Ok((mailbox, after)),
        None if rest.is_empty() => Err(AddressError::NotEnclosed),
        None => Err(AddressError::Domain),
    }
}

/// `@one.example,@two.example:` is obsolete: a receiver reads it and then acts as if it were not there.
fn skip_source_route(text: &str) -> Result<&str, AddressError> {
    if !text.starts_with('@') {
        return Ok(text);
    }
    let (route, rest) = text.split_once(':').ok_or(AddressError::SourceRoute)?;
    for hop in route.split(',') {
        let name = hop.strip_prefix('@').ok_or(AddressError::SourceRoute)?;
        normalise_name(name).map_err(|_| AddressError::SourceRoute)?;
    }
    Ok(rest)
}

fn parse_mailbox(text: &str) -> Result<(Mailbox, &str), AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    let (local_part, rest) =
        if text.starts_with('"') { parse_quoted(text)? } else { parse_dot_string(text)? };
    if local_part.len() > LOCAL_PART_BYTES_MAX {
        return Err(AddressError::LocalPartTooLong);
    }
    let rest = rest.strip_prefix('@').ok_or(if rest.is_empty() || rest.starts_with('>') {
        AddressError::NoDomain
    } else {
        AddressError::LocalPart
    })?;
    let (domain, rest) = split_domain(rest)?;
    let domain = Domain::parse(domain)?;
    let domain_bytes = match &domain {
        Domain::Name(name) => name.len(),
        literal @ Domain::Literal(_) => literal.to_string().len(),
    };
    if local_part.len() + 1 + domain_bytes > MAILBOX_BYTES_MAX {
        return Err(AddressError::TooLong);
    }
    Ok((Mailbox { local_part: local_part.into_owned(), domain }, rest))
}

fn parse_dot_string(text: &str) -> Result<(Cow<'_, str>, &str), AddressError> {
    let end = text.find(|c: char| !is_atext(c) && c != '.').unwrap_or(text.len());
    let (local_part, rest) = text.split_at(end);
    if !is_dot_string(local_part) {
        return Err(AddressError::LocalPart);
    }
    Ok((Cow::Borrowed(local_part), rest))
}

/// Reads a quoted string and gives it back in its shortest form, so that `"ann"@x` equals `ann@x`.
fn parse_quoted(text: &str) -> Result<(Cow<'_, str>, &str), AddressError> {
    let mut content = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => {
                let rest = &text[index + 1..];
                return Ok((Cow::Owned(quote_if_needed(content)), rest));
            }
            '\\' => match characters.next() {
                Some((_, escaped)) if (' '..='~').contains(&escaped) => content.push(escaped),
                _ => return Err(AddressError::QuotedString),
            },
            _ if is_qtext(character) => content.push(character),
            _ => return Err(AddressError::QuotedString),
        }
        if content.len() > LOCAL_PART_BYTES_MAX {
            return Err(AddressError::LocalPartTooLong);
        }
    }
    Err(AddressError::QuotedString)
}

fn quote_if_needed(content: String) -> String {
    if is_dot_string(&content) {
        return content;
    }
    let mut quoted = String::with_capacity(content.len() + 2);
    quoted.push('"');
    for character in content.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

fn unescape(quoted: &str) -> String {
    let mut content = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => content.extend(characters.next()),
            _ => content.push(character),
        }
    }
    content
}

fn split_domain(text: &str) -> Result<(&str, &str), AddressError> {
    let end = if text.starts_with('[') {
        text.find(']').ok_or(AddressError::Literal)? + 1
    } else {
        let outside = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && c != '-' && c != '.';
        text.find(outside).unwrap_or(text.len())
    };
    if end == 0 { Err(AddressError::Domain) } else { Ok(text.split_at(end)) }
}

fn parse_literal(inner: &str) -> Result<Domain, AddressError> {
    const IPV6_TAG: &str = "IPv6:";
    let tagged = inner.get(..IPV6_TAG.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(IPV6_TAG));
    let address = if tagged {
        inner[IPV6_TAG.len()..].parse::<Ipv6Addr>().map(IpAddr::V6)
    } else {
        inner.parse::<Ipv4Addr>().map(IpAddr::V4)
    };
    address.map(Domain::Literal).map_err(|_| AddressError::Literal)
}

fn normalise_name(text: &str) -> Result<String, AddressError> {
    if text.len() > DOMAIN_BYTES_MAX {
        return Err(AddressError::DomainTooLong);
    }
    let name = if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        Uts46::new()
            .to_ascii(text.as_bytes(), AsciiDenyList::STD3, Hyphens::Allow, DnsLength::Ignore)
            .map_err(|_| AddressError::Domain)?
            .into_owned()
    };
    if name.len() > DOMAIN_BYTES_MAX {
        return Err(AddressError::DomainTooLong);
    }
    name.split('.').try_for_each(check_label)?;
    Ok(name)
}

fn check_label(label: &str) -> Result<(), AddressError> {
    if label.len() > LABEL_BYTES_MAX {
        return Err(AddressError::DomainTooLong);
    }
    let hyphen_outside = label.starts_with('-') || label.ends_with('-');
    let well_formed = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if label.is_empty() || hyphen_outside || !well_formed { Err(AddressError::Domain) } else { Ok(()) }
}

/// RFC 5322 atext, and any character beyond ASCII that is no control (RFC 6531 section 3.3).
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || (!c.is_ascii() && !c.is_control())
}

fn is_qtext(c: char) -> bool {
    matches!(c, ' ' | '!' | '#'..='[' | ']'..='~') || (!c.is_ascii() && !c.is_control())
}

fn is_dot_string(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}
