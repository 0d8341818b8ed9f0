//! The two requests that carry what we have to say: the bind and the part of a text.

use rusmpp::Pdu;
use rusmpp::pdus::{BindTransceiver, BindTransmitter, SubmitSm};
use rusmpp::tlvs::MessageSubmissionRequestTlvValue;
use rusmpp::types::{COctetString, OctetString};
use rusmpp::values::{DataCoding, EsmClass, InterfaceVersion, Npi, Ton, UserMessageReference};

use super::config::{BindMode, WireConfig};
use crate::sms::TextMessage;
use crate::sms::text::{Alphabet, EncodedText, concatenation_header};

/// esm_class (SMPP 3.4 section 5.2.12): the message centre's own mode, an ordinary message, and whether its octets
/// begin with a user data header. Made from the octet, for the default of `rusmpp`'s type is an acknowledgement.
const ORDINARY: u8 = 0x00;
const WITH_HEADER: u8 = 0x40;

pub(super) fn bind(mode: BindMode, config: &WireConfig) -> Pdu {
    match mode {
        BindMode::Transmitter => BindTransmitter::builder()
            .system_id(config.system_id.clone())
            .password(config.password.clone())
            .system_type(config.system_type.clone())
            .interface_version(InterfaceVersion::Smpp3_4)
            .build()
            .into(),
        BindMode::Transceiver => BindTransceiver::builder()
            .system_id(config.system_id.clone())
            .password(config.password.clone())
            .system_type(config.system_type.clone())
            .interface_version(InterfaceVersion::Smpp3_4)
            .build()
            .into(),
    }
}

/// Part `index` (from 0) of a text. None when it does not fit its fields, which a text cut by
/// [`crate::sms::encode`] and a parsed number always do.
pub(super) fn submit(
    config: &WireConfig,
    message: &TextMessage,
    encoded: &EncodedText,
    index: usize,
) -> Option<Pdu> {
    let part = encoded.parts.get(index)?;
    let total = encoded.parts.len();
    let (esm_class, octets) = if total == 1 {
        (ORDINARY, part.clone())
    } else {
        let number = u8::try_from(index + 1).ok()?;
        let header =
            concatenation_header(concatenation_reference(message.reference), number, total.try_into().ok()?);
        (WITH_HEADER, [&header[..], part].concat())
    };
    let reference = UserMessageReference::new(user_message_reference(message.reference));
    let mut submit = SubmitSm::builder()
        .source_addr_ton(config.source_ton)
        .source_addr_npi(config.source_npi)
        .source_addr(config.source.clone())
        .dest_addr_ton(Ton::International)
        .dest_addr_npi(Npi::Isdn)
        .destination_addr(COctetString::from_string(message.to.digits().to_owned()).ok()?)
        .esm_class(EsmClass::from(esm_class))
        .data_coding(match encoded.alphabet {
            Alphabet::Gsm7 => DataCoding::McSpecific,
            Alphabet::Ucs2 => DataCoding::Ucs2,
        })
        .short_message(OctetString::from_vec(octets).ok()?)
        .build();
    submit.push_tlv(MessageSubmissionRequestTlvValue::UserMessageReference(reference));
    Some(submit.into())
}

/// A reference in the 16 bits that user_message_reference has (SMPP 3.4 section 5.3.2.17). The same for every
/// attempt at the same text; two texts share one in 65,536 cases, so that it is a hint and no proof.
fn user_message_reference(reference: i64) -> u16 {
    (spread(reference) >> 48) as u16
}

/// A reference in the 8 bits by which a telephone joins the parts of one text.
fn concatenation_reference(reference: i64) -> u8 {
    (spread(reference) >> 40) as u8
}

/// References differ mostly in their low bits and these are mostly small: Fibonacci hashing brings all of them to
/// the top.
fn spread(reference: i64) -> u64 {
    const GOLDEN_RATIO: u64 = 0x9E37_79B9_7F4A_7C15;
    (reference as u64).wrapping_mul(GOLDEN_RATIO)
}

#[cfg(test)]
mod tests {
    use indicia_domain::phone::PhoneNumber;
    use rusmpp::{Command, CommandStatus};

    use super::super::config::SmppConfig;
    use super::super::frame::encoded;
    use super::*;
    use crate::sms::encode;

    fn octets(text: &str, index: usize) -> Vec<u8> {
        let wire = SmppConfig::new(([127, 0, 0, 1], 1).into(), "i", "p", "Indicia").validated().unwrap();
        let to = PhoneNumber::parse("+8613800000000").unwrap();
        let message = TextMessage { reference: 1, to, text: text.to_owned() };
        let pdu = submit(&wire, &message, &encode(text).unwrap(), index).expect("a part");
        encoded(&Command::new(CommandStatus::EsmeRok, 9, pdu)).unwrap().to_vec()
    }

    /// Octet by octet from the table of SMPP 3.4 section 4.4.1.
    #[test]
    fn a_submit_sm_on_the_wire() {
        let mut expected = vec![0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 9];
        expected.extend_from_slice(b"\0\x05\0Indicia\0\x01\x018613800000000\0");
        // esm_class, protocol_id, priority_flag, two empty times, registered_delivery, replace_if_present,
        // data_coding, sm_default_msg_id, sm_length, short_message.
        expected.extend_from_slice(b"\0\0\0\0\0\0\0\0\0\x02Hi");
        expected.extend_from_slice(b"\x02\x04\0\x02\x9E\x37");
        expected[3] = expected.len() as u8;
        assert_eq!(octets("Hi", 0), expected);
    }

    #[test]
    fn a_part_has_its_header_and_its_coding() {
        let seen = octets(&"语".repeat(71), 1);
        let body = &seen[16 + 1 + 2 + 8 + 2 + 14..];
        assert_eq!(body[0], 0x40, "esm_class");
        assert_eq!(body[7], 0x08, "data_coding");
        assert_eq!(body[9], 6 + 8, "sm_length");
        assert_eq!(body[10..16], [0x05, 0x00, 0x03, 0x79, 0x02, 0x02]);
    }

    #[test]
    fn references_that_follow_one_another_spread() {
        let seen: std::collections::HashSet<u16> = (0..1000).map(user_message_reference).collect();
        assert!(seen.len() > 950, "{} of 1000 differ", seen.len());
    }
}
