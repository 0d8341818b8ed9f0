//! The mailbox provider behind a recipient: whose judgement of a sender counts for it.
//!
//! Reputation is kept by those who receive: Gmail's opinion of an IP address says nothing about Yahoo's. So
//! warm-up (R24) and the statistics are kept by provider. Two names tell who it is: the domain of the address,
//! for the domains that a provider gives its own users; and the name of the MX host, for the domains of
//! companies whose mail it keeps. The first needs no network; where only the domain is known a company's mail
//! counts among [`Provider::Others`].
//!
//! The values are those of DirectMail's `Esp` parameter, two more for the large providers of mainland China.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A mailbox provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Provider {
    #[serde(rename = "gmail.com")]
    Gmail,
    /// With AOL, whose mailboxes are on the same servers.
    #[serde(rename = "yahoo.com")]
    Yahoo,
    /// Outlook.com with Hotmail, Live and MSN; by MX host also Microsoft 365.
    #[serde(rename = "outlook.com")]
    Outlook,
    #[serde(rename = "icloud.com")]
    Icloud,
    #[serde(rename = "qq.com")]
    Qq,
    /// 163.com, 126.com and yeah.net, all of NetEase.
    #[serde(rename = "163.com")]
    Netease,
    /// Everybody else together.
    #[serde(rename = "others")]
    Others,
}

/// Domains that a provider gives its users, and that stand under one top-level domain only.
const DOMAINS: &[(Provider, &[&str])] = &[
    (Provider::Gmail, &["gmail.com", "googlemail.com"]),
    (
        Provider::Yahoo,
        &["ymail.com", "rocketmail.com", "myyahoo.com", "aim.com", "netscape.net", "verizon.net"],
    ),
    (Provider::Outlook, &["msn.com", "windowslive.com", "passport.com"]),
    (Provider::Icloud, &["icloud.com", "me.com", "mac.com"]),
    (Provider::Qq, &["qq.com", "vip.qq.com", "foxmail.com"]),
    (
        Provider::Netease,
        &["163.com", "vip.163.com", "126.com", "vip.126.com", "yeah.net", "188.com", "vip.188.com"],
    ),
];

/// Names under which a provider gives domains in many countries: `yahoo.fr`, `hotmail.co.uk`.
const BRANDS: &[(Provider, &[&str])] =
    &[(Provider::Yahoo, &["yahoo", "aol"]), (Provider::Outlook, &["outlook", "hotmail", "live"])];

/// Domains of a brand that another company runs: Yahoo! JAPAN has servers and a reputation of its own.
const NOT_OF_THE_BRAND: &[&str] = &["yahoo.co.jp", "yahoo.ne.jp", "yahoo.jp"];

/// Under which names a provider's MX hosts are.
const MX_ZONES: &[(Provider, &[&str])] = &[
    (Provider::Gmail, &["google.com", "googlemail.com"]),
    (Provider::Yahoo, &["yahoodns.net"]),
    (Provider::Outlook, &["outlook.com", "hotmail.com", "mx.microsoft"]),
    (Provider::Icloud, &["icloud.com"]),
    (Provider::Qq, &["qq.com"]),
    (Provider::Netease, &["netease.com", "163.com"]),
];

impl Provider {
    /// Every provider, the nameless rest last.
    pub const ALL: [Provider; 7] = [
        Provider::Gmail,
        Provider::Yahoo,
        Provider::Outlook,
        Provider::Icloud,
        Provider::Qq,
        Provider::Netease,
        Provider::Others,
    ];

    /// The `Esp` value: what the API, the database and pages write.
    pub fn as_str(self) -> &'static str {
        match self {
            Provider::Gmail => "gmail.com",
            Provider::Yahoo => "yahoo.com",
            Provider::Outlook => "outlook.com",
            Provider::Icloud => "icloud.com",
            Provider::Qq => "qq.com",
            Provider::Netease => "163.com",
            Provider::Others => "others",
        }
    }

    /// Reads what [`Provider::as_str`] writes, in any case.
    pub fn parse(name: &str) -> Option<Provider> {
        Provider::ALL.into_iter().find(|provider| provider.as_str().eq_ignore_ascii_case(name))
    }

    /// The provider that gives its users addresses in `domain` (lower case, A-labels).
    pub fn of_domain(domain: &str) -> Provider {
        if NOT_OF_THE_BRAND.contains(&domain) {
            return Provider::Others;
        }
        let listed = DOMAINS.iter().find(|(_, domains)| domains.contains(&domain));
        let branded = || {
            let (brand, rest) = domain.split_once('.')?;
            BRANDS.iter().find(|(_, brands)| brands.contains(&brand)).filter(|_| is_public(rest))
        };
        listed.or_else(branded).map_or(Provider::Others, |(provider, _)| *provider)
    }

    /// The provider that runs the MX host `host` (any case, with or without the root's dot).
    pub fn of_mx_host(host: &str) -> Provider {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let is_under = |zone: &&str| host.strip_suffix(*zone).is_some_and(|rest| rest.ends_with('.'));
        let found = MX_ZONES.iter().find(|(_, zones)| zones.iter().any(is_under));
        found.map_or(Provider::Others, |(provider, _)| *provider)
    }
}

/// Whether a brand's domain under `suffix` is the brand's own: `com`, a country, or its commercial branch
/// (`co.uk`, `com.br`). Under the hundreds of newer top-level domains anyone may have taken the word.
fn is_public(suffix: &str) -> bool {
    let country = |label: &str| label.len() == 2 && label.bytes().all(|byte| byte.is_ascii_lowercase());
    match suffix.split_once('.') {
        None => suffix == "com" || country(suffix),
        Some((branch, rest)) => (branch == "co" || branch == "com") && country(rest),
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_their_providers() {
        for (domain, provider) in [
            ("gmail.com", Provider::Gmail),
            ("googlemail.com", Provider::Gmail),
            ("yahoo.com", Provider::Yahoo),
            ("yahoo.fr", Provider::Yahoo),
            ("yahoo.co.uk", Provider::Yahoo),
            ("yahoo.com.br", Provider::Yahoo),
            ("aol.com", Provider::Yahoo),
            ("ymail.com", Provider::Yahoo),
            ("outlook.com", Provider::Outlook),
            ("hotmail.co.uk", Provider::Outlook),
            ("live.nl", Provider::Outlook),
            ("msn.com", Provider::Outlook),
            ("me.com", Provider::Icloud),
            ("foxmail.com", Provider::Qq),
            ("126.com", Provider::Netease),
            ("yeah.net", Provider::Netease),
        ] {
            assert_eq!(Provider::of_domain(domain), provider, "{domain}");
        }
    }

    #[test]
    fn what_only_looks_alike_is_another() {
        for domain in [
            "",
            ".",
            "com",
            "yahoo",
            "yahoo.",
            "yahoo.co.jp",
            "yahoo.example.com",
            "live.shop",
            "notgmail.com",
            "gmail.com.example.net",
            "mail.gmail.com",
            "outlook.co.u1",
            "hotmail.ünicode",
        ] {
            assert_eq!(Provider::of_domain(domain), Provider::Others, "{domain}");
        }
    }

    #[test]
    fn mx_hosts_are_their_providers() {
        for (host, provider) in [
            ("aspmx.l.google.com.", Provider::Gmail),
            ("ALT1.GMAIL-SMTP-IN.L.GOOGLE.COM", Provider::Gmail),
            ("aspmx2.googlemail.com", Provider::Gmail),
            ("mta5.am0.yahoodns.net", Provider::Yahoo),
            ("example-com.mail.protection.outlook.com", Provider::Outlook),
            ("example-com.a-v1.mx.microsoft", Provider::Outlook),
            ("mx01.mail.icloud.com", Provider::Icloud),
            ("mxbiz1.qq.com", Provider::Qq),
            ("163mx01.mxmail.netease.com", Provider::Netease),
            ("mx.example.net", Provider::Others),
            ("notgoogle.com", Provider::Others),
            ("google.com.example.net", Provider::Others),
            ("", Provider::Others),
        ] {
            assert_eq!(Provider::of_mx_host(host), provider, "{host}");
        }
    }

    #[test]
    fn names_are_read_back_in_any_case() {
        for provider in Provider::ALL {
            assert_eq!(Provider::parse(provider.as_str()), Some(provider));
            assert_eq!(Provider::parse(&provider.as_str().to_uppercase()), Some(provider));
            let named = Provider::of_domain(provider.as_str());
            assert_eq!(named, provider, "the name is one of its domains");
        }
        assert_eq!(Provider::parse("gmail"), None);
    }
}
