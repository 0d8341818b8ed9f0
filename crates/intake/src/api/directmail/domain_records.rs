//! The DNS records that a sending domain needs, as names and as host records.
//!
//! Like the original, answers name a host *relative to the root domain* (`TlDomainName`), as DNS control panels ask for it:
//! for `mail.example.com` the DKIM record's host is `selector._domainkey.mail` in `example.com`. The root is
//! taken to be the last two labels; for a name under a longer public suffix (`example.co.uk`) host and root
//! still add up to the right name.

use crate::api::settings::DnsRecords;

/// What must be found where, for one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The last two labels.
    pub root: String,
    /// What the domain has before the root, with a leading dot; empty for the root itself.
    suffix: String,
    domain: String,
    pub ownership_name: String,
    pub ownership_host: String,
    pub dmarc_name: String,
    pub dmarc_host: String,
    pub spf_include: String,
    pub mx_host: String,
}

impl Expected {
    pub fn of(domain: &str, records: &DnsRecords) -> Self {
        let root_start = domain.rmatch_indices('.').nth(1).map_or(0, |(dot, _)| dot + 1);
        let root = domain[root_start..].to_owned();
        let suffix = match domain[..root_start].trim_end_matches('.') {
            "" => String::new(),
            front => format!(".{front}"),
        };
        Expected {
            ownership_name: format!("{}.{domain}", records.ownership_label),
            ownership_host: format!("{}{suffix}", records.ownership_label),
            dmarc_name: format!("_dmarc.{domain}"),
            dmarc_host: format!("_dmarc{suffix}"),
            spf_include: records.spf_include.clone(),
            mx_host: records.mx_host.clone(),
            root,
            suffix,
            domain: domain.to_owned(),
        }
    }

    /// The full name of a key's TXT record.
    pub fn dkim_name(&self, selector: &str) -> String {
        format!("{selector}._domainkey.{}", self.domain)
    }

    /// The same relative to the root.
    pub fn dkim_host(&self, selector: &str) -> String {
        format!("{selector}._domainkey{}", self.suffix)
    }

    /// The SPF mechanism to add to an existing record.
    pub fn spf_mechanism(&self) -> String {
        format!("include:{}", self.spf_include)
    }

    /// A complete SPF record.
    pub fn spf_record(&self) -> String {
        format!("v=spf1 include:{} -all", self.spf_include)
    }
}

/// The TXT record of a public key (base64 of its SubjectPublicKeyInfo), RFC 6376 3.6.1.
pub fn dkim_record(public_key: &str) -> String {
    format!("v=DKIM1; k=rsa; p={public_key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_root_add_up_to_the_name() {
        let records = DnsRecords::for_host("mail.host.example");
        for domain in ["example.com", "mail.example.com", "a.b.example.co.uk"] {
            let expected = Expected::of(domain, &records);
            assert_eq!(format!("{}.{}", expected.ownership_host, expected.root), expected.ownership_name);
            assert_eq!(format!("{}.{}", expected.dmarc_host, expected.root), expected.dmarc_name);
            assert_eq!(format!("{}.{}", expected.dkim_host("s"), expected.root), expected.dkim_name("s"));
        }
        let expected = Expected::of("mail.example.com", &records);
        assert_eq!((expected.root.as_str(), expected.dmarc_host.as_str()), ("example.com", "_dmarc.mail"));
        assert_eq!(expected.spf_record(), "v=spf1 include:spf.mail.host.example -all");
    }
}
