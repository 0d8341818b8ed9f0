//! Addresses: what is one, what it is after normalising, and why the rest is none.

use indicia_smtp::address::{AddressError, Domain, ForwardPath, Mailbox, ReversePath};

#[test]
fn good_addresses_are_normalised() {
    let table = [
        ("ann@example.com", "ann@example.com"),
        ("Ann.Lee@EXAMPLE.Com", "Ann.Lee@example.com"),
        ("a+b=c/d!#$%&'*^_`{|}~-?@x.y", "a+b=c/d!#$%&'*^_`{|}~-?@x.y"),
        ("root@localhost", "root@localhost"),
        ("\"ann\"@example.com", "ann@example.com"),
        ("\"a\\nn\"@example.com", "ann@example.com"),
        ("\"ann lee\"@example.com", "\"ann lee\"@example.com"),
        ("\"a@b\"@example.com", "\"a@b\"@example.com"),
        ("\"a\\\"b\\\\c\"@example.com", "\"a\\\"b\\\\c\"@example.com"),
        ("\"\"@example.com", "\"\"@example.com"),
        ("\"a..b\"@example.com", "\"a..b\"@example.com"),
        ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
        ("ann@[ipv6:2001:DB8::1]", "ann@[IPv6:2001:db8::1]"),
        ("ann@Bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"),
        ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
    ];
    for (text, normal) in table {
        let mailbox = Mailbox::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(mailbox.to_string(), normal, "{text}");
        assert_eq!(Mailbox::parse(normal).as_ref(), Ok(&mailbox), "the normal form of {text} is stable");
    }
}

#[test]
fn bad_addresses_say_why() {
    use AddressError::*;
    let label = "l".repeat(64);
    let table = [
        ("", Empty),
        ("ann", NoDomain),
        ("@example.com", LocalPart),
        ("ann@", Domain),
        (".ann@example.com", LocalPart),
        ("ann.@example.com", LocalPart),
        ("a..b@example.com", LocalPart),
        ("ann lee@example.com", LocalPart),
        ("ann@b@example.com", TrailingText),
        ("ann@example..com", Domain),
        ("ann@.example.com", Domain),
        ("ann@example.com.", Domain),
        ("ann@-example.com", Domain),
        ("ann@example-.com", Domain),
        ("ann@my_host.example", TrailingText),
        ("ann@exam ple.com", TrailingText),
        ("ann@[192.0.2]", Literal),
        ("ann@[192.0.2.1", Literal),
        ("ann@[IPv6:zz]", Literal),
        ("ann@[tag:content]", Literal),
        ("\"ann@example.com", QuotedString),
        ("\"a\"b@example.com", LocalPart),
        ("\"a\u{1}\"@example.com", QuotedString),
        ("\"a\\\u{e9}\"@example.com", QuotedString),
        ("ann\r\n@example.com", LocalPart),
        ("ann@example.com\r\nDATA", TrailingText),
        ("ann\0@example.com", LocalPart),
        ("ann\u{85}@example.com", LocalPart),
        ("ann@exa\u{202e}mple.com", Domain),
    ];
    for (text, error) in table {
        assert_eq!(Mailbox::parse(text), Err(error), "{text:?}");
    }
    assert_eq!(Mailbox::parse(&format!("ann@{label}.example")), Err(DomainTooLong));
}

#[test]
fn length_limits_are_those_of_rfc_5321() {
    let local = "l".repeat(64);
    assert!(Mailbox::parse(&format!("{local}@example.com")).is_ok());
    assert_eq!(Mailbox::parse(&format!("{local}l@example.com")), Err(AddressError::LocalPartTooLong));
    let label = "d".repeat(61);
    let domain = format!("{label}.{label}.{label}.abc");
    assert_eq!(domain.len(), 189);
    assert!(Mailbox::parse(&format!("{local}@{domain}")).is_ok(), "254 octets");
    assert_eq!(Mailbox::parse(&format!("{local}@{domain}d")), Err(AddressError::TooLong), "255 octets");
    let domain = format!("{label}.{label}.{label}.{label}.{label}");
    assert_eq!(Mailbox::parse(&format!("a@{domain}")), Err(AddressError::DomainTooLong));
    // Sixty characters that Punycode makes longer than a label may be.
    let wide: String = ('\u{4e00}'..'\u{4e3c}').collect();
    assert_eq!(Mailbox::parse(&format!("a@{wide}.example")), Err(AddressError::DomainTooLong));
}

#[test]
fn reverse_paths() {
    assert_eq!(ReversePath::parse_prefix("<> SIZE=1"), Ok((ReversePath::Null, " SIZE=1")));
    let (path, rest) = ReversePath::parse_prefix("<ann@example.com>x").expect("a path");
    assert_eq!((path.to_string().as_str(), rest), ("ann@example.com", "x"));
    let (path, rest) =
        ReversePath::parse_prefix("<@one.example,@two.example:ann@example.com>").expect("a route");
    assert_eq!((path.to_string().as_str(), rest), ("ann@example.com", ""));
    let (path, _) = ReversePath::parse_prefix("<\"a>b\"@example.com>").expect("a quoted bracket");
    assert_eq!(path.to_string(), "\"a>b\"@example.com");
    assert_eq!(ReversePath::Null.to_string(), "");
    assert_eq!(ReversePath::parse(""), Ok(ReversePath::Null));

    let table = [
        ("ann@example.com", AddressError::NotEnclosed),
        ("<ann@example.com", AddressError::NotEnclosed),
        ("<ann>", AddressError::NoDomain),
        ("< ann@example.com>", AddressError::LocalPart),
        ("<ann@example.com >", AddressError::Domain),
        ("<<ann@example.com>>", AddressError::LocalPart),
        ("<@one.example ann@example.com>", AddressError::SourceRoute),
        ("<@one.example,two.example:ann@example.com>", AddressError::SourceRoute),
        ("", AddressError::NotEnclosed),
    ];
    for (text, error) in table {
        assert_eq!(ReversePath::parse_prefix(text), Err(error), "{text:?}");
    }
}

#[test]
fn forward_paths() {
    assert_eq!(ForwardPath::parse_prefix("<PostMaster>"), Ok((ForwardPath::Postmaster, "")));
    assert_eq!(ForwardPath::parse_prefix("<>"), Err(AddressError::Empty));
    assert_eq!(ForwardPath::parse_prefix("<postmaster"), Err(AddressError::NoDomain));
    let (path, _) = ForwardPath::parse_prefix("<postmaster@example.com>").expect("an address");
    assert_eq!(path.mailbox().map(Mailbox::local_part), Some("postmaster"));
}

#[test]
fn parts_of_an_address() {
    let mailbox = Mailbox::parse("\"a\\\"b c\"@bücher.example").expect("an address");
    assert_eq!(mailbox.local_part(), "\"a\\\"b c\"");
    assert_eq!(mailbox.local_part_unquoted(), "a\"b c");
    assert_eq!(mailbox.domain().name(), Some("xn--bcher-kva.example"));
    assert_eq!(mailbox.domain().to_unicode(), "bücher.example");
    assert!(mailbox.is_ascii(), "the domain is in A-labels");
    assert!(!Mailbox::parse("bü@example.com").expect("an address").is_ascii());
    assert_eq!(Domain::parse("[192.0.2.1]").map(|domain| domain.name().is_none()), Ok(true));
    assert_eq!(Domain::parse("[192.0.2.1"), Err(AddressError::Literal));
}
