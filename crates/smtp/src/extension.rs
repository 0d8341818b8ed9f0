//! The service extensions that an EHLO reply names, written by the server and read by the client.

use crate::reply::Reply;

/// Password mechanisms of an AUTH keyword. Others are not spoken here and not kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthMechanisms {
    pub plain: bool,
    pub login: bool,
}

/// What a server offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 1870: octets; `Some(0)` means offered without a fixed maximum.
    pub size: Option<u64>,
    /// RFC 6152.
    pub eight_bit_mime: bool,
    /// RFC 6531.
    pub smtputf8: bool,
    /// RFC 2034.
    pub enhanced_status_codes: bool,
    /// RFC 3030.
    pub chunking: bool,
    /// RFC 3461.
    pub dsn: bool,
    /// RFC 3207.
    pub starttls: bool,
    /// RFC 4954; `None` when AUTH is not offered.
    pub auth: Option<AuthMechanisms>,
    /// RFC 9422 `LIMITS RCPTMAX=n`: recipients of one transaction.
    pub recipients_max: Option<usize>,
    /// RFC 9422 `LIMITS MAILMAX=n`: transactions of one connection.
    pub transactions_max: Option<usize>,
}

impl Extensions {
    /// The largest message the server takes, where it names one.
    pub fn size_bytes_max(&self) -> Option<u64> {
        self.size.filter(|size| *size > 0)
    }

    /// Reads the keywords of an EHLO reply; its first line is the server's name. Unknown keywords and
    /// malformed values are passed over: an extension that cannot be understood is one not offered.
    pub fn from_ehlo(reply: &Reply) -> Extensions {
        let mut extensions = Extensions::default();
        for line in reply.lines().skip(1) {
            extensions.read_line(line);
        }
        extensions
    }

    fn read_line(&mut self, line: &str) {
        let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
        let Some(keyword) = words.next() else { return };
        match keyword.to_ascii_uppercase().as_str() {
            "PIPELINING" => self.pipelining = true,
            "SIZE" => match words.next().map(str::parse) {
                None => self.size = Some(0),
                Some(Ok(size)) => self.size = Some(size),
                Some(Err(_)) => {}
            },
            "8BITMIME" => self.eight_bit_mime = true,
            "SMTPUTF8" => self.smtputf8 = true,
            "ENHANCEDSTATUSCODES" => self.enhanced_status_codes = true,
            "CHUNKING" => self.chunking = true,
            "DSN" => self.dsn = true,
            "STARTTLS" => self.starttls = true,
            "AUTH" => words.for_each(|mechanism| self.add_mechanism(mechanism)),
            "LIMITS" => words.for_each(|limit| self.read_limit(limit)),
            other => {
                // Old servers also wrote "AUTH=PLAIN LOGIN" for older clients.
                if let Some(first) = other.strip_prefix("AUTH=") {
                    self.add_mechanism(first);
                    words.for_each(|mechanism| self.add_mechanism(mechanism));
                }
            }
        }
    }

    fn add_mechanism(&mut self, mechanism: &str) {
        let mechanisms = self.auth.get_or_insert_default();
        mechanisms.plain |= mechanism.eq_ignore_ascii_case("PLAIN");
        mechanisms.login |= mechanism.eq_ignore_ascii_case("LOGIN");
    }

    fn read_limit(&mut self, limit: &str) {
        match limit.split_once('=').map(|(name, value)| (name.to_ascii_uppercase(), value.parse().ok())) {
            Some((name, value)) if name == "RCPTMAX" => self.recipients_max = value,
            Some((name, value)) if name == "MAILMAX" => self.transactions_max = value,
            _ => {}
        }
    }

    /// Appends the EHLO reply that offers these extensions in the name of `hostname`.
    pub fn write_ehlo(&self, hostname: &str, out: &mut Vec<u8>) {
        let mut lines = vec![hostname.to_owned()];
        let mut offer = |offered: bool, keyword: &str| {
            if offered {
                lines.push(keyword.to_owned());
            }
        };
        offer(self.pipelining, "PIPELINING");
        offer(self.eight_bit_mime, "8BITMIME");
        offer(self.smtputf8, "SMTPUTF8");
        offer(self.enhanced_status_codes, "ENHANCEDSTATUSCODES");
        offer(self.chunking, "CHUNKING");
        offer(self.dsn, "DSN");
        offer(self.starttls, "STARTTLS");
        if let Some(auth) = self.auth {
            let plain = if auth.plain { " PLAIN" } else { "" };
            let login = if auth.login { " LOGIN" } else { "" };
            lines.push(format!("AUTH{plain}{login}"));
        }
        if let Some(recipients_max) = self.recipients_max {
            lines.push(format!("LIMITS RCPTMAX={recipients_max}"));
        }
        match self.size {
            Some(0) => lines.push("SIZE".to_owned()),
            Some(size) => lines.push(format!("SIZE {size}")),
            None => {}
        }
        Reply::new(250, lines.join("\n")).write_to(out);
    }
}
