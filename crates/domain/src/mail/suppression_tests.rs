use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn listings() -> impl Strategy<Value = Listings> {
    let personal = prop_oneof![
        Just(None),
        Just(Some(Personal::Found)),
        Just(Some(Personal::Entered)),
        Just(Some(Personal::EnteredDomain))
    ];
    (personal, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(personal, is_shared, has_unsubscribed, has_reported)| Listings {
            personal,
            is_shared,
            has_unsubscribed,
            has_reported,
        },
    )
}

#[test]
fn the_level_concerns_the_shared_library_and_trigger_senders_only() {
    use SuppressionLevel::{All, Personal as Own};
    let shared = Listings { is_shared: true, ..Listings::default() };
    let own = Listings { personal: Some(Personal::Entered), ..Listings::default() };
    let blocked = Listings { has_reported: true, ..Listings::default() };
    for (level, is_batch, of_shared) in [
        (All, false, Some(Listed::Shared)),
        (All, true, Some(Listed::Shared)),
        (Own, false, None),
        (Own, true, Some(Listed::Shared)),
    ] {
        assert_eq!(shared.refusal(level, is_batch), of_shared);
        assert_eq!(own.refusal(level, is_batch), Some(Listed::Entered));
        assert_eq!(blocked.refusal(level, is_batch), Some(Listed::Reported));
        assert_eq!(Listings::default().refusal(level, is_batch), None);
    }
}

#[test]
fn names_are_read_as_they_are_written() {
    for level in [SuppressionLevel::All, SuppressionLevel::Personal] {
        assert_eq!(level.as_str().parse(), Ok(level));
    }
    for kind in [BlockType::Unsubscribe, BlockType::Report] {
        assert_eq!(kind.as_str().parse(), Ok(kind));
    }
    for other in ["", "none", "ALL", "global"] {
        let refused = other.parse::<SuppressionLevel>().unwrap_err().to_string();
        assert!(refused.contains("'all'") && refused.contains("'personal'"), "{refused}");
    }
    assert!("unsub".parse::<BlockType>().unwrap_err().to_string().contains("UNSUB"));
}

#[test]
fn a_domain_has_the_key_that_its_addresses_share() {
    assert_eq!(domain_key_of("bob@example.net"), "@example.net");
    assert_eq!(domain_key_of("\"a@b\"@example.net"), "@example.net");
    assert_eq!(domain_key_of("@example.net"), "@example.net");
}

#[test]
fn reasons_are_bits() {
    let both = BlockReasons::REPETITIVE.and(BlockReasons::TOO_FREQUENT);
    assert_eq!((both.0, both.and(BlockReasons::UNSPECIFIED).0), (0b1100, 0b1101));
}

#[test]
fn every_refusal_has_words_of_its_own_and_a_way_out() {
    let lines: HashSet<String> = Listed::ALL.iter().map(|listed| listed.log_line()).collect();
    assert_eq!(lines.len(), Listed::ALL.len());
    for listed in Listed::ALL {
        assert!(listed.log_line().contains("not counted, not charged"), "{listed:?}");
        let state = if listed.is_blocked() { State::Failed } else { State::InvalidAddress };
        assert_eq!(listed.state(), state);
        assert_eq!(listed.classification().starts_with("SysOutRecipient"), listed.is_blocked());
    }
}

#[test]
fn counts_say_which_list_it_was() {
    let of = |all: &[Listed]| all.iter().copied().collect::<ListedCounts>();
    assert_eq!(of(&[Listed::Personal, Listed::Shared]).to_string(), "2 in the invalid-address library");
    let mixed = of(&[Listed::Reported, Listed::EnteredDomain, Listed::Unsubscribed, Listed::Reported]);
    assert_eq!(
        mixed.to_string(),
        "1 on your suppression list, 1 who unsubscribed from the sender address, \
         2 who reported mail of the sender address as spam"
    );
    assert!(!mixed.are_all_blocked() && !of(&[]).are_all_blocked());
    assert!(of(&[Listed::Reported, Listed::Unsubscribed]).are_all_blocked());
}

proptest! {
    /// Whoever is on more lists is never let through where one on fewer is refused.
    #[test]
    fn more_listings_never_let_a_recipient_through(less in listings(), more in listings(), is_batch: bool) {
        let both = Listings {
            personal: less.personal.or(more.personal),
            is_shared: less.is_shared || more.is_shared,
            has_unsubscribed: less.has_unsubscribed || more.has_unsubscribed,
            has_reported: less.has_reported || more.has_reported,
        };
        for level in [SuppressionLevel::All, SuppressionLevel::Personal] {
            if less.refusal(level, is_batch).is_some() {
                prop_assert!(both.refusal(level, is_batch).is_some());
            }
            prop_assert!(less.refusal(level, false).is_none() || less.refusal(level, true).is_some());
        }
    }
}
