//! How a message centre is reached, and what of it can be wrong before anything is sent.

use std::net::SocketAddr;
use std::time::Duration;

use rusmpp::types::COctetString;
use rusmpp::values::{Npi, Ton};

use crate::sms::SmsConfigError;

/// Most characters of an alphanumeric source: what fits the seven-bit address field of TS 23.040 section 9.1.2.5.
const ALPHANUMERIC_MAX: usize = 11;
/// Most digits of an international number, E.164; a number with fewer than [`SHORT_CODE_MAX`] without a plus is
/// a short code of the operator's.
const DIGITS_MAX: usize = 15;
const SHORT_CODE_MAX: usize = 8;
/// More unanswered parts than this no message centre allows to one session.
const WINDOW_MAX: usize = 1000;

/// Which kind of session is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BindMode {
    /// bind_transmitter: texts go out and nothing comes in.
    #[default]
    Transmitter,
    /// bind_transceiver, for message centres that offer no other. What comes in is acknowledged and dropped.
    Transceiver,
}

/// A message centre and our account there.
#[derive(Clone)]
pub struct SmppConfig {
    pub address: SocketAddr,
    /// At most 15 octets of ASCII.
    pub system_id: String,
    /// At most 8 octets of ASCII; may be empty.
    pub password: String,
    /// At most 12 octets of ASCII; mostly empty.
    pub system_type: String,
    /// Whom the texts are from: `Indicia` (alphanumeric, at most 11 characters), `+8613800000000` (international),
    /// `95555` (a short code), or nothing for what the message centre has on record.
    pub source: String,
    pub bind: BindMode,
    /// Most parts that wait for their answers at the same time, from 1.
    pub window: usize,
    pub connect_timeout: Duration,
    /// How long an answer may take: to the bind, to a part, to an enquire_link.
    pub response_timeout: Duration,
    /// After how long a silence the message centre is asked whether it is there.
    pub enquire_link_interval: Duration,
    /// The pause after a failed connection or bind, doubled by each further one up to [`Self::reconnect_pause_max`].
    pub reconnect_pause_min: Duration,
    pub reconnect_pause_max: Duration,
}

impl SmppConfig {
    /// With the customary window and times.
    pub fn new(address: SocketAddr, system_id: &str, password: &str, source: &str) -> Self {
        SmppConfig {
            address,
            system_id: system_id.to_owned(),
            password: password.to_owned(),
            system_type: String::new(),
            source: source.to_owned(),
            bind: BindMode::default(),
            window: 10,
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(10),
            enquire_link_interval: Duration::from_secs(30),
            reconnect_pause_min: Duration::from_secs(1),
            reconnect_pause_max: Duration::from_secs(60),
        }
    }

    /// The fields as the PDUs want them, or which of them can not work.
    pub(super) fn validated(&self) -> Result<WireConfig, SmsConfigError> {
        if !(1..=WINDOW_MAX).contains(&self.window) {
            return Err(SmsConfigError::Value { key: "sms.smpp.window", expected: "from 1 to 1000" });
        }
        let times = [
            self.connect_timeout,
            self.response_timeout,
            self.enquire_link_interval,
            self.reconnect_pause_min,
            self.reconnect_pause_max,
        ];
        if times.iter().any(|time| time.is_zero()) {
            return Err(SmsConfigError::Value {
                key: "each time of sms.smpp",
                expected: "longer than nothing",
            });
        }
        if self.system_id.is_empty() {
            return Err(SmsConfigError::Value {
                key: "sms.smpp.system_id",
                expected: "set to the name of the account",
            });
        }
        let (source_ton, source_npi, source) = source_address(&self.source)?;
        Ok(WireConfig {
            system_id: field("sms.smpp.system_id", &self.system_id)?,
            password: field("sms.smpp.password", &self.password)?,
            system_type: field("sms.smpp.system_type", &self.system_type)?,
            source_ton,
            source_npi,
            source,
        })
    }
}

/// Leaves the password out.
impl std::fmt::Debug for SmppConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmppConfig")
            .field("address", &self.address)
            .field("system_id", &self.system_id)
            .field("source", &self.source)
            .field("bind", &self.bind)
            .finish_non_exhaustive()
    }
}

/// The settings in the form of their fields (SMPP 3.4 sections 4.1.1 and 4.4.1).
pub(super) struct WireConfig {
    pub system_id: COctetString<1, 16>,
    pub password: COctetString<1, 9>,
    pub system_type: COctetString<1, 13>,
    pub source_ton: Ton,
    pub source_npi: Npi,
    pub source: COctetString<1, 21>,
}

fn field<const MAX: usize>(key: &'static str, value: &str) -> Result<COctetString<1, MAX>, SmsConfigError> {
    let wrong = || SmsConfigError::Field { key, octets_max: MAX - 1 };
    if value.bytes().any(|octet| octet.is_ascii_control()) {
        return Err(wrong());
    }
    COctetString::from_string(value.to_owned()).map_err(|_| wrong())
}

/// Type, plan and address of the sender, by how it is written.
fn source_address(source: &str) -> Result<(Ton, Npi, COctetString<1, 21>), SmsConfigError> {
    const KEY: &str = "sms.smpp.source";
    const EXPECTED: &str = "a name of at most 11 characters with a letter in it, a number of at most 15 digits after \
         a +, a short code of at most 8 digits, or empty";
    let wrong = || SmsConfigError::Value { key: KEY, expected: EXPECTED };
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    let (ton, npi, address) = match source.strip_prefix('+') {
        Some(digits) if all_digits(digits) && digits.len() <= DIGITS_MAX => {
            (Ton::International, Npi::Isdn, digits)
        }
        Some(_) => return Err(wrong()),
        None if source.is_empty() => (Ton::Unknown, Npi::Unknown, source),
        None if all_digits(source) && source.len() <= SHORT_CODE_MAX => {
            (Ton::NetworkSpecific, Npi::Unknown, source)
        }
        None if !all_digits(source) && source.len() <= ALPHANUMERIC_MAX => {
            (Ton::Alphanumeric, Npi::Unknown, source)
        }
        None => return Err(wrong()),
    };
    Ok((ton, npi, field(KEY, address)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> SmppConfig {
        SmppConfig::new(([127, 0, 0, 1], 2775).into(), "indicia", "secret08", "Indicia")
    }

    #[test]
    fn the_sender_is_typed_by_how_it_is_written() {
        for (source, ton, npi, address) in [
            ("Indicia", Ton::Alphanumeric, Npi::Unknown, "Indicia"),
            ("+8613800000000", Ton::International, Npi::Isdn, "8613800000000"),
            ("95555", Ton::NetworkSpecific, Npi::Unknown, "95555"),
            ("", Ton::Unknown, Npi::Unknown, ""),
        ] {
            let wire = SmppConfig { source: source.to_owned(), ..config() }.validated().unwrap();
            assert_eq!(
                (wire.source_ton, wire.source_npi, wire.source.as_str()),
                (ton, npi, address),
                "{source}"
            );
        }
        for source in ["+", "+86x", "123456789", "TwelveLetter", "+1234567890123456", "Índicia", "a\nb"] {
            assert!(
                SmppConfig { source: source.to_owned(), ..config() }.validated().is_err(),
                "{source} is no sender"
            );
        }
    }

    #[test]
    fn what_does_not_fit_its_field_is_refused_at_once() {
        assert!(config().validated().is_ok());
        for (wrong, named) in [
            (SmppConfig { system_id: "sixteen-octets-x".into(), ..config() }, "system_id"),
            (SmppConfig { system_id: String::new(), ..config() }, "system_id"),
            (SmppConfig { password: "ninechars".into(), ..config() }, "password"),
            (SmppConfig { password: "päss".into(), ..config() }, "password"),
            (SmppConfig { system_type: "thirteen-char".into(), ..config() }, "system_type"),
            (SmppConfig { window: 0, ..config() }, "window"),
            (SmppConfig { response_timeout: Duration::ZERO, ..config() }, "time"),
        ] {
            let said = wrong.validated().err().expect("refused").to_string();
            assert!(said.contains(named) && !said.contains("ninechars"), "{said}");
        }
    }

    #[test]
    fn the_password_is_in_no_debug_output() {
        assert!(!format!("{:?}", config()).contains("secret08"));
    }
}
