use proptest::prelude::*;

use super::*;

/// What a telephone shows of these octets: written from the standard's reading rules, not from the encoder.
fn read(alphabet: Alphabet, octets: &[u8]) -> String {
    match alphabet {
        Alphabet::Ucs2 => {
            let units: Vec<u16> =
                octets.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&units).expect("whole characters only")
        }
        Alphabet::Gsm7 => {
            let table: Vec<char> = DEFAULT_ALPHABET.chars().collect();
            let mut shown = String::new();
            let mut septets = octets.iter();
            while let Some(&septet) = septets.next() {
                if septet == ESCAPE {
                    let escaped = *septets.next().expect("an escape is not the last of a part");
                    shown
                        .push(EXTENSION.iter().find(|(_, known)| *known == escaped).expect("in the table").0);
                } else {
                    shown.push(table[usize::from(septet)]);
                }
            }
            shown
        }
    }
}

fn shape(text: &str) -> (Alphabet, Vec<usize>) {
    let encoded = encode(text).expect("a text that fits");
    (encoded.alphabet, encoded.parts.iter().map(Vec::len).collect())
}

#[test]
fn the_default_alphabet_has_its_characters_at_their_places() {
    assert_eq!(DEFAULT_ALPHABET.chars().count(), 128);
    for (letter, septet) in [
        ('@', 0x00),
        ('\n', 0x0A),
        ('\r', 0x0D),
        ('_', 0x11),
        ('Ξ', 0x1A),
        ('\u{1b}', 0x1B),
        ('É', 0x1F),
        (' ', 0x20),
        ('¤', 0x24),
        ('0', 0x30),
        ('?', 0x3F),
        ('¡', 0x40),
        ('A', 0x41),
        ('Z', 0x5A),
        ('Ä', 0x5B),
        ('§', 0x5F),
        ('¿', 0x60),
        ('a', 0x61),
        ('z', 0x7A),
        ('ä', 0x7B),
        ('à', 0x7F),
    ] {
        assert_eq!(DEFAULT_ALPHABET.chars().nth(septet), Some(letter), "{septet:#x}");
    }
}

#[test]
fn octets_of_known_texts() {
    let encoded = encode("Hi @ €5").unwrap();
    assert_eq!(encoded.alphabet, Alphabet::Gsm7);
    assert_eq!(encoded.parts, [vec![0x48, 0x69, 0x20, 0x00, 0x20, 0x1B, 0x65, 0x35]]);
    let encoded = encode("套餐😀").unwrap();
    assert_eq!(encoded.alphabet, Alphabet::Ucs2);
    assert_eq!(encoded.parts, [vec![0x59, 0x57, 0x99, 0x10, 0xD8, 0x3D, 0xDE, 0x00]]);
}

#[test]
fn a_character_outside_the_alphabet_changes_all_of_the_text() {
    for text in ["`", "\t", "ç", "a\u{1b}", "Zażółć"] {
        assert_eq!(encode(text).unwrap().alphabet, Alphabet::Ucs2, "{text:?}");
    }
}

#[test]
fn one_message_holds_160_septets_or_70_units() {
    assert_eq!(shape(&"a".repeat(160)), (Alphabet::Gsm7, vec![160]));
    assert_eq!(shape(&"a".repeat(161)), (Alphabet::Gsm7, vec![153, 8]));
    assert_eq!(shape(&"€".repeat(80)), (Alphabet::Gsm7, vec![160]));
    assert_eq!(shape(&"语".repeat(70)), (Alphabet::Ucs2, vec![140]));
    assert_eq!(shape(&"语".repeat(71)), (Alphabet::Ucs2, vec![134, 8]));
}

#[test]
fn no_cut_within_an_escape_or_a_surrogate_pair() {
    assert_eq!(shape(&format!("{}€{}", "a".repeat(152), "b".repeat(10))), (Alphabet::Gsm7, vec![152, 12]));
    assert_eq!(shape(&format!("{}😀{}", "语".repeat(66), "言".repeat(10))), (Alphabet::Ucs2, vec![132, 24]));
}

#[test]
fn what_no_message_can_carry() {
    assert_eq!(encode(""), Err(TextError::Empty));
    assert_eq!(shape(&"a".repeat(1530)).1.len(), PARTS_MAX);
    assert_eq!(encode(&"a".repeat(1531)), Err(TextError::TooLong { parts: 11 }));
    assert_eq!(encode(&"语".repeat(671)), Err(TextError::TooLong { parts: 11 }));
}

#[test]
fn the_header_of_a_part() {
    assert_eq!(concatenation_header(0xAB, 2, 3), [0x05, 0x00, 0x03, 0xAB, 0x03, 0x02]);
}

fn texts() -> impl Strategy<Value = String> {
    let letters: Vec<char> = DEFAULT_ALPHABET.chars().chain(EXTENSION.map(|(letter, _)| letter)).collect();
    prop_oneof![
        proptest::collection::vec(proptest::sample::select(letters), 1..1600)
            .prop_map(|letters| letters.into_iter().filter(|letter| *letter != '\u{1b}').collect()),
        "\\PC{1,400}",
        proptest::collection::vec(prop_oneof![Just('😀'), Just('语'), any::<char>()], 1..400)
            .prop_map(|letters| letters.into_iter().collect()),
    ]
}

proptest! {
    #[test]
    fn parts_joined_give_the_text_back_and_fit(text in texts()) {
        match encode(&text) {
            Ok(encoded) => {
                let shown: String = encoded.parts.iter().map(|part| read(encoded.alphabet, part)).collect();
                prop_assert_eq!(&shown, &text);
                let (single, part) = match encoded.alphabet {
                    Alphabet::Gsm7 => (160, 153),
                    Alphabet::Ucs2 => (140, 134),
                };
                let limit = if encoded.parts.len() == 1 { single } else { part };
                prop_assert!(encoded.parts.len() <= PARTS_MAX);
                prop_assert!(encoded.parts.iter().all(|octets| !octets.is_empty() && octets.len() <= limit));
                // A part that is not the last could not have taken one character more than two octets short.
                let full = encoded.parts.split_last().map(|(_, full)| full).unwrap_or_default();
                prop_assert!(full.iter().all(|octets| octets.len() + 4 > limit));
            }
            Err(TextError::Empty) => prop_assert!(text.is_empty()),
            Err(TextError::TooLong { parts }) => prop_assert!(parts > PARTS_MAX),
        }
    }
}
