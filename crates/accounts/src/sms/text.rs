//! How a text becomes short messages: GSM 03.38 and 3GPP TS 23.040.
//!
//! A text whose every character is in the GSM 7-bit default alphabet (TS 23.038 section 6.2.1, with its extension
//! table) is sent in it, one septet per octet as message centres take them; any other as UTF-16, big end
//! first, which is what telephones read where the standard says UCS-2. One message carries 160 septets or 70 units.
//! A longer text is cut into parts of 153 or 67, each behind a user data header of six octets that says
//! which part of how many it is (TS 23.040 section 9.2.3.24.1, 8-bit reference). A cut never falls between an escape
//! and the character it escapes, nor between the halves of a surrogate pair.

/// Most parts that one text may take.
pub const PARTS_MAX: usize = 10;
/// Octets of the user data header in front of each part of a cut text.
pub const HEADER_OCTETS: usize = 6;
const ESCAPE: u8 = 0x1B;

/// The default alphabet, TS 23.038 section 6.2.1: the place of a character is its septet. U+001B stands where
/// the escape is.
const DEFAULT_ALPHABET: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1b}ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
     ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// The extension table, TS 23.038 section 6.2.1.1: each is sent as the escape and this septet.
const EXTENSION: [(char, u8); 10] = [
    ('\u{c}', 0x0A),
    ('^', 0x14),
    ('{', 0x28),
    ('}', 0x29),
    ('\\', 0x2F),
    ('[', 0x3C),
    ('~', 0x3D),
    (']', 0x3E),
    ('|', 0x40),
    ('€', 0x65),
];

/// Which code a text is sent in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    Gsm7,
    Ucs2,
}

impl Alphabet {
    /// Octets of one message that is the whole text, and of one part (header not counted) of several.
    fn limits(self) -> (usize, usize) {
        match self {
            Alphabet::Gsm7 => (160, 153),
            Alphabet::Ucs2 => (140, 134),
        }
    }
}

/// A text in the octets that go over the air, cut into its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedText {
    pub alphabet: Alphabet,
    /// One to [`PARTS_MAX`] parts, without headers.
    pub parts: Vec<Vec<u8>>,
}

/// A text that no message can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("the text is empty; there is nothing to send")]
    Empty,
    #[error("the text takes {parts} messages and at most {PARTS_MAX} are sent; shorten it")]
    TooLong { parts: usize },
}

/// The text in the narrowest alphabet that holds all of it, cut into parts.
pub fn encode(text: &str) -> Result<EncodedText, TextError> {
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    let (alphabet, letters) = match text.chars().map(septets).collect::<Option<Vec<_>>>() {
        Some(letters) => (Alphabet::Gsm7, letters),
        None => (Alphabet::Ucs2, text.chars().map(utf16_octets).collect()),
    };
    let parts = cut(&letters, alphabet);
    if parts.len() > PARTS_MAX {
        return Err(TextError::TooLong { parts: parts.len() });
    }
    Ok(EncodedText { alphabet, parts })
}

/// The user data header of part `number` (from 1) of `total`.
pub fn concatenation_header(reference: u8, number: u8, total: u8) -> [u8; HEADER_OCTETS] {
    const HEADER_LENGTH: u8 = 5;
    const CONCATENATED_8_BIT: u8 = 0;
    const ELEMENT_LENGTH: u8 = 3;
    [HEADER_LENGTH, CONCATENATED_8_BIT, ELEMENT_LENGTH, reference, total, number]
}

/// One character in the default alphabet; None when it is not in it. The escape itself is no character.
fn septets(letter: char) -> Option<Vec<u8>> {
    if letter == '\u{1b}' {
        return None;
    }
    if let Some(place) = DEFAULT_ALPHABET.chars().position(|known| known == letter) {
        return u8::try_from(place).ok().map(|septet| vec![septet]);
    }
    EXTENSION.iter().find(|(known, _)| *known == letter).map(|(_, septet)| vec![ESCAPE, *septet])
}

fn utf16_octets(letter: char) -> Vec<u8> {
    letter.encode_utf16(&mut [0; 2]).iter().flat_map(|unit| unit.to_be_bytes()).collect()
}

/// Fills part after part with whole characters.
fn cut(letters: &[Vec<u8>], alphabet: Alphabet) -> Vec<Vec<u8>> {
    let (single, part) = alphabet.limits();
    if letters.iter().map(Vec::len).sum::<usize>() <= single {
        return vec![letters.concat()];
    }
    let mut parts = vec![Vec::with_capacity(part)];
    for letter in letters {
        if parts.last().is_none_or(|last| last.len() + letter.len() > part) {
            parts.push(Vec::with_capacity(part));
        }
        if let Some(last) = parts.last_mut() {
            last.extend_from_slice(letter);
        }
    }
    parts
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
