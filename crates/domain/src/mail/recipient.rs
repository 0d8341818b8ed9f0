//! R01: which recipient addresses of a request are the same mail.

use std::collections::HashSet;

/// One recipient of a request. `domain` is in the form that DNS takes (lower case, A-labels).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recipient {
    /// As the client gave it; the form that goes on the wire.
    pub address: String,
    pub domain: String,
}

impl Recipient {
    pub fn new(local_part: &str, domain_as_given: &str, domain: impl Into<String>) -> Self {
        Recipient { address: format!("{local_part}@{domain_as_given}"), domain: domain.into() }
    }

    fn local_part(&self) -> &str {
        self.address.rsplit_once('@').map_or(self.address.as_str(), |(local, _)| local)
    }

    /// Under which an address is known to the invalid-address library and told apart from others: the domain
    /// without regard to case (RFC 5321 2.4); the local part too, since no large provider tells its case apart
    /// and a library that could be passed by writing `Bob` for `bob` would protect nobody.
    pub fn key(&self) -> String {
        key_of(self.local_part(), &self.domain)
    }
}

/// The key of an address, from its parts; `domain` in the form that DNS takes.
pub fn key_of(local_part: &str, domain: &str) -> String {
    format!("{}@{}", local_part.to_lowercase(), domain.to_lowercase())
}

/// The recipients without those given twice; the first of each stays, in order. Here the local part's case
/// counts, as RFC 5321 2.4 has it: two spellings are two mails.
pub fn unique(recipients: Vec<Recipient>) -> Vec<Recipient> {
    let mut seen = HashSet::with_capacity(recipients.len());
    recipients
        .into_iter()
        .filter(|recipient| seen.insert((recipient.local_part().to_owned(), recipient.domain.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r01_the_same_address_twice_counts_once() {
        let of = |local: &str, domain: &str| Recipient::new(local, domain, domain.to_lowercase());
        let kept = unique(vec![
            of("bob", "Example.net"),
            of("bob", "example.NET"),
            of("Bob", "example.net"),
            of("al", "example.net"),
        ]);
        let addresses: Vec<_> = kept.iter().map(|recipient| recipient.address.as_str()).collect();
        assert_eq!(addresses, ["bob@Example.net", "Bob@example.net", "al@example.net"]);
    }
}
