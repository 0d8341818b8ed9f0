//! IP protection: from which network addresses an account's API calls and SMTP mail may come.
//!
//! A list has at most [`ENTRIES_MAX`] entries: one address, a range `a-b` with both ends, or a block `a/n`; IPv4
//! or IPv6 (RFC 4291, RFC 4632). Every form becomes a first and a last address, so that one comparison serves all.
//! IPv4 addresses that come in their IPv6 form (`::ffff:192.0.2.1`, RFC 4291 2.5.5.2) count as IPv4 on both sides,
//! since a listener on `::` sees its IPv4 peers so.
//!
//! While protection is on the list is never empty: switched on without an entry it would lock everybody out.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Entries of one account's list (dossier 3).
pub const ENTRIES_MAX: usize = 10;
/// More than the longest range has.
const TEXT_BYTES_MAX: usize = 100;
/// Bits before the IPv4 address in its IPv6 form.
const MAPPED_BITS: u32 = 96;

/// One entry, and how it was written. The text is the entry's normal form: lower case, the shortest spelling of
/// an address, a block without host bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IpRange {
    first: IpAddr,
    last: IpAddr,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    Address,
    Range,
    Block { prefix_bits: u32 },
}

/// Why a text is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IpRangeError {
    #[error("it is empty")]
    Empty,
    #[error("it is neither an IP address, nor a range a-b, nor a block a/n")]
    NotAnAddress,
    #[error("one end of the range is IPv4 and the other IPv6")]
    MixedFamilies,
    #[error("the range ends before it begins")]
    Backwards,
    #[error("the block's prefix must be a number from 0 to {bits_max}")]
    Prefix { bits_max: u32 },
}

impl IpRange {
    /// Whether the address lies in the entry, both ends included.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && self.first <= address && address <= self.last
    }

    fn block(address: &str, prefix: &str) -> Result<IpRange, IpRangeError> {
        let given = parse_address(address)?;
        let bits_max = if given.is_ipv4() { 32 } else { 128 };
        let bad_prefix = IpRangeError::Prefix { bits_max };
        // `parse` alone would take a sign.
        let is_plain = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let bits =
            prefix.parse::<u32>().ok().filter(|bits| is_plain && *bits <= bits_max).ok_or(bad_prefix)?;
        let canonical = given.to_canonical();
        let bits = match given.is_ipv6() && canonical.is_ipv4() {
            // A block wider than all of IPv4 holds IPv6 addresses too; such a one is meant by nobody.
            true => bits.checked_sub(MAPPED_BITS).ok_or(bad_prefix)?,
            false => bits,
        };
        let (first, last) = ends(canonical, bits);
        Ok(IpRange { first, last, form: Form::Block { prefix_bits: bits } })
    }
}

/// The first and last address of the block of `bits` that holds the address.
fn ends(address: IpAddr, bits: u32) -> (IpAddr, IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let host = u32::MAX.checked_shr(bits).unwrap_or(0);
            let address = address.to_bits();
            (Ipv4Addr::from_bits(address & !host).into(), Ipv4Addr::from_bits(address | host).into())
        }
        IpAddr::V6(address) => {
            let host = u128::MAX.checked_shr(bits).unwrap_or(0);
            let address = address.to_bits();
            (Ipv6Addr::from_bits(address & !host).into(), Ipv6Addr::from_bits(address | host).into())
        }
    }
}

fn parse_address(text: &str) -> Result<IpAddr, IpRangeError> {
    text.trim().parse().map_err(|_| IpRangeError::NotAnAddress)
}

impl FromStr for IpRange {
    type Err = IpRangeError;

    fn from_str(text: &str) -> Result<IpRange, IpRangeError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(IpRangeError::Empty);
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(IpRangeError::NotAnAddress);
        }
        if let Some((address, prefix)) = text.split_once('/') {
            return IpRange::block(address, prefix.trim());
        }
        let Some((first, last)) = text.split_once('-') else {
            let address = parse_address(text)?.to_canonical();
            return Ok(IpRange { first: address, last: address, form: Form::Address });
        };
        let (first, last) = (parse_address(first)?.to_canonical(), parse_address(last)?.to_canonical());
        match first.is_ipv4() == last.is_ipv4() {
            false => Err(IpRangeError::MixedFamilies),
            true if last < first => Err(IpRangeError::Backwards),
            true => Ok(IpRange { first, last, form: Form::Range }),
        }
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.form {
            Form::Address => write!(f, "{}", self.first),
            Form::Range => write!(f, "{}-{}", self.first, self.last),
            Form::Block { prefix_bits } => write!(f, "{}/{prefix_bits}", self.first),
        }
    }
}

/// An account's protection: the switch and the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpProtection {
    pub is_on: bool,
    pub ranges: Vec<IpRange>,
}

impl IpProtection {
    /// Whether a peer may act for the account. While protection is on, a peer whose address is not known may not.
    pub fn admits(&self, peer: Option<IpAddr>) -> bool {
        !self.is_on || peer.is_some_and(|peer| self.ranges.iter().any(|range| range.contains(peer)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn range(text: &str) -> IpRange {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_three_forms_hold_what_they_say() {
        for (text, inside, outside) in [
            (
                "192.0.2.7",
                vec!["192.0.2.7", "::ffff:192.0.2.7"],
                vec!["192.0.2.6", "192.0.2.8", "::c000:207"],
            ),
            (
                "192.0.2.7-192.0.3.1",
                vec!["192.0.2.7", "192.0.2.255", "192.0.3.1"],
                vec!["192.0.2.6", "192.0.3.2"],
            ),
            ("192.0.2.0/24", vec!["192.0.2.0", "192.0.2.255"], vec!["192.0.1.255", "192.0.3.0"]),
            ("192.0.2.7/32", vec!["192.0.2.7"], vec!["192.0.2.6", "192.0.2.8"]),
            ("0.0.0.0/0", vec!["0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"], vec!["::", "2001:db8::1"]),
            ("2001:DB8::1", vec!["2001:db8::1"], vec!["2001:db8::2", "192.0.2.1"]),
            ("2001:db8::1-2001:db8::ff", vec!["2001:db8::80"], vec!["2001:db8::100", "2001:db8::"]),
            ("2001:db8::/32", vec!["2001:db8:ffff::1"], vec!["2001:db9::", "0.0.0.0"]),
            ("::/0", vec!["::1", "ffff::"], vec!["192.0.2.1", "::ffff:192.0.2.1"]),
            ("::ffff:192.0.2.0/120", vec!["192.0.2.9"], vec!["192.0.3.0"]),
        ] {
            let range = range(text);
            inside.iter().for_each(|address| assert!(range.contains(ip(address)), "{text} {address}"));
            outside.iter().for_each(|address| assert!(!range.contains(ip(address)), "{text} {address}"));
        }
    }

    #[test]
    fn the_text_is_the_normal_form() {
        for (given, normal) in [
            (" 192.0.2.7 ", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("192.0.2.7 - 192.0.2.9", "192.0.2.7-192.0.2.9"),
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("2001:0DB8:0::1", "2001:db8::1"),
            ("2001:db8::1/64", "2001:db8::/64"),
            ("::ffff:192.0.2.7/120", "192.0.2.0/24"),
        ] {
            assert_eq!(range(given).to_string(), normal);
            assert_eq!(range(normal), range(given));
        }
    }

    #[test]
    fn what_is_no_entry_says_why() {
        let long = "1".repeat(200);
        for (text, error) in [
            ("", IpRangeError::Empty),
            ("  ", IpRangeError::Empty),
            ("here", IpRangeError::NotAnAddress),
            ("192.0.2", IpRangeError::NotAnAddress),
            ("192.0.2.256", IpRangeError::NotAnAddress),
            ("192.0.2.01", IpRangeError::NotAnAddress),
            ("192.0.2.1,192.0.2.2", IpRangeError::NotAnAddress),
            ("192.0.2.1-", IpRangeError::NotAnAddress),
            ("192.0.2.1-2-3", IpRangeError::NotAnAddress),
            ("fe80::1%eth0", IpRangeError::NotAnAddress),
            (&long, IpRangeError::NotAnAddress),
            ("192.0.2.1-2001:db8::1", IpRangeError::MixedFamilies),
            ("192.0.2.2-192.0.2.1", IpRangeError::Backwards),
            ("192.0.2.0/33", IpRangeError::Prefix { bits_max: 32 }),
            ("192.0.2.0/+8", IpRangeError::Prefix { bits_max: 32 }),
            ("192.0.2.0/", IpRangeError::Prefix { bits_max: 32 }),
            ("192.0.2.0/8/8", IpRangeError::Prefix { bits_max: 32 }),
            ("2001:db8::/129", IpRangeError::Prefix { bits_max: 128 }),
            ("::ffff:0.0.0.0/95", IpRangeError::Prefix { bits_max: 128 }),
        ] {
            assert_eq!(text.parse::<IpRange>(), Err(error), "{text}");
        }
    }

    #[test]
    fn protection_admits_the_listed_only_and_nobody_unknown() {
        let mut protection = IpProtection { is_on: false, ranges: vec![range("192.0.2.0/24")] };
        assert!(protection.admits(Some(ip("198.51.100.1"))) && protection.admits(None));
        protection.is_on = true;
        assert!(protection.admits(Some(ip("::ffff:192.0.2.1"))));
        assert!(!protection.admits(Some(ip("198.51.100.1"))) && !protection.admits(None));
    }

    proptest! {
        #[test]
        fn a_block_holds_exactly_the_addresses_with_its_prefix(address: u32, other: u32, bits in 0_u32..=32) {
            let block = range(&format!("{}/{bits}", Ipv4Addr::from_bits(address)));
            let differs_at = (address ^ other).leading_zeros();
            prop_assert_eq!(block.contains(Ipv4Addr::from_bits(other).into()), differs_at >= bits);
        }

        #[test]
        fn a_range_holds_exactly_what_lies_between(a: u128, b: u128, other: u128) {
            let (first, last) = (a.min(b), a.max(b));
            let (from, to) = (Ipv6Addr::from_bits(first), Ipv6Addr::from_bits(last));
            prop_assume!(from.to_ipv4_mapped().is_none() && to.to_ipv4_mapped().is_none());
            let range = range(&format!("{from}-{to}"));
            let other_address = Ipv6Addr::from_bits(other);
            prop_assume!(other_address.to_ipv4_mapped().is_none());
            prop_assert_eq!(range.contains(other_address.into()), first <= other && other <= last);
        }

        #[test]
        fn no_text_makes_the_parser_fail_otherwise_than_by_an_error(text in "\\PC{0,40}") {
            if let Ok(range) = text.parse::<IpRange>() {
                prop_assert_eq!(range.to_string().parse::<IpRange>(), Ok(range));
            }
        }
    }
}
