//! Asking DNS whether a sending domain's records are published.

use async_trait::async_trait;
use indicia_store::directory::{Domain, DomainChecks};

use super::domain_records::Expected;

/// A question that DNS did not answer, neither yes nor no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("DNS gave no answer for {kind} of {name}: {reason}")]
pub struct DnsError {
    pub name: String,
    pub kind: String,
    pub reason: String,
}

/// The look-ups that verification needs. No such name and no such record are both an empty list.
#[async_trait]
pub trait DomainDns: Send + Sync + 'static {
    /// TXT records, the strings of each joined.
    async fn txt(&self, name: &str) -> Result<Vec<String>, DnsError>;
    /// Hosts of MX records, in lower case without a final dot.
    async fn mx(&self, name: &str) -> Result<Vec<String>, DnsError>;
}

/// What DNS has for a domain, and whether it is what it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    pub checks: DomainChecks,
    /// Records found, as shown by DescDomain; empty when there are none.
    pub ownership: String,
    pub spf: String,
    pub dmarc: String,
    pub mx: String,
    /// The record of the key that waits to become the signing key is published.
    pub next_dkim_published: bool,
    /// The first question that went unanswered; its check counts as failed.
    pub unanswered: Option<DnsError>,
}

impl Observed {
    /// Ownership, SPF and DKIM must be right before mail is sent in a domain's name: without them it would be spoofable or
    /// refused. (The original asks for MX where we ask for DKIM; MX and DMARC are reported.)
    pub fn may_send(&self) -> bool {
        self.checks.ownership && self.checks.spf && self.checks.dkim
    }
}

/// Looks all records of a domain up.
pub async fn observe(dns: &dyn DomainDns, domain: &Domain, expected: &Expected) -> Observed {
    let next_name = match &domain.next_dkim {
        Some(key) => expected.dkim_name(&key.selector),
        None => String::new(),
    };
    let current_name = expected.dkim_name(&domain.dkim.selector);
    let (ownership, own, dkim, next_dkim, dmarc, mx) = tokio::join!(
        dns.txt(&expected.ownership_name),
        dns.txt(&domain.name),
        dns.txt(&current_name),
        async { if next_name.is_empty() { Ok(Vec::new()) } else { dns.txt(&next_name).await } },
        dns.txt(&expected.dmarc_name),
        dns.mx(&domain.name),
    );
    let mut observed = Observed::default();
    let ownership = answered(ownership, &mut observed);
    let own = answered(own, &mut observed);
    let dkim = answered(dkim, &mut observed);
    let next_dkim = answered(next_dkim, &mut observed);
    let dmarc = answered(dmarc, &mut observed);
    let mx = answered(mx, &mut observed);
    let token = ownership.iter().find(|text| text.trim() == domain.ownership_token);
    observed.ownership = token.or(ownership.first()).cloned().unwrap_or_default();
    // RFC 7208 4.5: two SPF records are a permanent error for every receiver.
    let spf: Vec<&String> = own.iter().filter(|text| is_spf(text)).collect();
    observed.spf = spf.first().map(|text| (*text).clone()).unwrap_or_default();
    let dmarc: Vec<&String> = dmarc.iter().filter(|text| tag_list_version(text, "DMARC1")).collect();
    observed.dmarc = dmarc.first().map(|text| (*text).clone()).unwrap_or_default();
    observed.mx = mx.join(",");
    let publishes =
        |records: &[String], public_key: &str| records.iter().any(|text| has_key(text, public_key));
    observed.next_dkim_published =
        domain.next_dkim.as_ref().is_some_and(|key| publishes(&next_dkim, &key.public_key));
    observed.checks = DomainChecks {
        ownership: token.is_some(),
        spf: matches!(spf.as_slice(), [only] if spf_includes(only, &expected.spf_include)),
        dkim: observed.next_dkim_published || publishes(&dkim, &domain.dkim.public_key),
        dmarc: dmarc.len() == 1,
        mx: mx.iter().any(|host| host.eq_ignore_ascii_case(&expected.mx_host)),
    };
    observed
}

fn answered(result: Result<Vec<String>, DnsError>, observed: &mut Observed) -> Vec<String> {
    result.unwrap_or_else(|error| {
        observed.unanswered.get_or_insert(error);
        Vec::new()
    })
}

fn is_spf(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text == "v=spf1" || text.starts_with("v=spf1 ")
}

fn spf_includes(record: &str, include: &str) -> bool {
    record.split_ascii_whitespace().skip(1).any(|term| {
        let term = term.strip_prefix('+').unwrap_or(term).to_ascii_lowercase();
        term.strip_prefix("include:")
            .is_some_and(|name| name.trim_end_matches('.') == include.to_ascii_lowercase())
    })
}

/// A tag of a `tag=value;` list (RFC 6376 3.2), white space removed.
fn tag(text: &str, name: &str) -> Option<String> {
    text.split(';').find_map(|part| {
        let (tag, value) = part.split_once('=')?;
        (tag.trim() == name).then(|| value.split_whitespace().collect())
    })
}

fn tag_list_version(text: &str, version: &str) -> bool {
    tag(text, "v").is_some_and(|value| value == version)
}

fn has_key(text: &str, public_key: &str) -> bool {
    let version_fits = tag(text, "v").is_none_or(|value| value == "DKIM1");
    version_fits && tag(text, "p").is_some_and(|value| value == public_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spf_records() {
        for (record, good) in [
            ("v=spf1 include:spf.mail.example -all", true),
            ("V=SPF1 ip4:192.0.2.1 +include:SPF.mail.example. ~all", true),
            ("v=spf1 include:spf.mail.example.evil.test -all", false),
            ("v=spf1 -include:spf.mail.example -all", false),
            ("v=spf1 -all", false),
        ] {
            assert_eq!(is_spf(record) && spf_includes(record, "spf.mail.example"), good, "{record}");
        }
        assert!(!is_spf("v=spf10 include:x") && !is_spf("spf2.0/pra"));
    }

    #[test]
    fn key_records() {
        for (record, good) in [
            ("v=DKIM1; k=rsa; p=ABC", true),
            ("k=rsa;p= A B\tC ;", true),
            ("v=DKIM1; p=ABCD", false),
            ("v=DKIM2; p=ABC", false),
            ("v=DKIM1; p=", false),
            ("", false),
        ] {
            assert_eq!(has_key(record, "ABC"), good, "{record}");
        }
    }
}
