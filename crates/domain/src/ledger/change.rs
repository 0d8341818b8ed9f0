//! R12: which packages can be given back or exchanged, and what that costs.
//!
//! Untouched means that nothing of the package is consumed at this moment: a mail whose charge was given back
//! (R03) was never paid for by it. An exchange for a larger package is a refund and a purchase in one
//! transaction: the price paid is the difference, and the new package's validity is its own (R08).

use super::package::{Package, PackageStatus};
use super::price::Offer;
use crate::money::MoneyMicros;
use crate::time::UnixMicros;

/// Why a package can be neither refunded nor exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReturnable {
    #[error(
        "{0} of its mails are used; a package that has been used, even by one mail, can be neither refunded nor exchanged"
    )]
    Used(i64),
    #[error("its validity ended at {0}; what was left has lapsed and does not come back")]
    Ended(UnixMicros),
    #[error("it was refunded before")]
    Refunded,
    #[error("it was exchanged for a larger one before")]
    Upgraded,
    #[error("an operator took {0} of its mails out; ask the operator of this service")]
    Emptied(i64),
}

/// Whether the package, bought as one of `specification` mails, can be given back at `at`. One that has fewer mails than
/// were bought is not worth its price any more.
pub fn returnable(package: &Package, specification: i64, at: UnixMicros) -> Result<(), NotReturnable> {
    match package.status_at(at) {
        PackageStatus::Refunded => Err(NotReturnable::Refunded),
        PackageStatus::Upgraded => Err(NotReturnable::Upgraded),
        PackageStatus::Expired => Err(NotReturnable::Ended(package.ends_at)),
        PackageStatus::Upcoming | PackageStatus::Available | PackageStatus::UsedUp => {
            match package.consumed() {
                0 if package.granted < specification => {
                    Err(NotReturnable::Emptied(specification - package.granted))
                }
                0 => Ok(()),
                used => Err(NotReturnable::Used(used)),
            }
        }
    }
}

/// Why a package cannot be exchanged for this offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotUpgradable {
    #[error(transparent)]
    NotReturnable(#[from] NotReturnable),
    #[error("a package of {0} mails can only be exchanged for a larger one, and {1} is not larger")]
    NotLarger(i64, i64),
    #[error(
        "the larger package costs {new}, less than the {old} that was paid; refund this one and buy the other"
    )]
    Cheaper { old: MoneyMicros, new: MoneyMicros },
}

/// What the exchange costs: the difference of the prices.
pub fn upgrade_price(
    package: &Package,
    specification: i64,
    paid: MoneyMicros,
    offer: Offer,
    at: UnixMicros,
) -> Result<MoneyMicros, NotUpgradable> {
    returnable(package, specification, at)?;
    if offer.mails <= specification {
        return Err(NotUpgradable::NotLarger(specification, offer.mails));
    }
    if offer.price.0 < paid.0 {
        return Err(NotUpgradable::Cheaper { old: paid, new: offer.price });
    }
    Ok(MoneyMicros(offer.price.0 - paid.0))
}

/// Why a package cannot be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRenewable {
    #[error("its validity ended at {0}; buy a new package instead")]
    Ended(UnixMicros),
    #[error("it was refunded; buy a new package instead")]
    Refunded,
    #[error("it was exchanged for a larger one; renew that one instead")]
    Upgraded,
}

/// When the renewal of a package begins: at the instant the old one ends.
pub fn renewal_start(package: &Package, at: UnixMicros) -> Result<UnixMicros, NotRenewable> {
    match package.status_at(at) {
        PackageStatus::Refunded => Err(NotRenewable::Refunded),
        PackageStatus::Upgraded => Err(NotRenewable::Upgraded),
        PackageStatus::Expired => Err(NotRenewable::Ended(package.ends_at)),
        PackageStatus::Upcoming | PackageStatus::Available | PackageStatus::UsedUp => Ok(package.ends_at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::package::Closed;

    fn package(remaining: i64, closed: Option<Closed>) -> Package {
        Package {
            instance_id: "DMBAG-1".into(),
            granted: 50_000,
            remaining,
            purchased_at: UnixMicros(50),
            starts_at: UnixMicros(100),
            ends_at: UnixMicros(200),
            closed,
        }
    }

    #[test]
    fn r12_untouched_within_its_validity_and_nothing_else() {
        let untouched = package(50_000, None);
        for (at, expected) in
            [(60, Ok(())), (100, Ok(())), (199, Ok(())), (200, Err(NotReturnable::Ended(UnixMicros(200))))]
        {
            assert_eq!(returnable(&untouched, 50_000, UnixMicros(at)), expected, "{at}");
        }
        assert_eq!(returnable(&package(49_999, None), 50_000, UnixMicros(150)), Err(NotReturnable::Used(1)));
        assert_eq!(
            returnable(&package(0, Some(Closed::Refund)), 50_000, UnixMicros(150)),
            Err(NotReturnable::Refunded)
        );
        assert_eq!(
            returnable(&package(0, Some(Closed::Upgrade)), 50_000, UnixMicros(150)),
            Err(NotReturnable::Upgraded)
        );
    }

    #[test]
    fn r12_a_package_that_an_operator_emptied_is_not_refunded_in_full() {
        let emptied = package(50_000, None);
        assert_eq!(returnable(&emptied, 60_000, UnixMicros(150)), Err(NotReturnable::Emptied(10_000)));
        assert_eq!(returnable(&emptied, 40_000, UnixMicros(150)), Ok(()), "a gift on top does no harm");
    }

    #[test]
    fn r12_an_exchange_costs_the_difference_and_only_goes_up() {
        let (small, paid, at) = (package(50_000, None), MoneyMicros(13_050_000), UnixMicros(150));
        let offer = |mails, price| Offer { mails, price: MoneyMicros(price) };
        assert_eq!(
            upgrade_price(&small, 50_000, paid, offer(500_000, 121_800_000), at),
            Ok(MoneyMicros(108_750_000))
        );
        assert_eq!(
            upgrade_price(&small, 50_000, paid, offer(50_000, 13_050_000), at),
            Err(NotUpgradable::NotLarger(50_000, 50_000))
        );
        assert!(matches!(
            upgrade_price(&small, 50_000, paid, offer(60_000, 10_000_000), at),
            Err(NotUpgradable::Cheaper { .. })
        ));
        assert_eq!(
            upgrade_price(&package(1, None), 50_000, paid, offer(500_000, 121_800_000), at),
            Err(NotUpgradable::NotReturnable(NotReturnable::Used(49_999)))
        );
    }

    /// They are shown to customers, of a refund and of an exchange alike.
    #[test]
    fn r12_refusals_fit_refund_and_exchange_and_name_no_rule() {
        let refusals = [
            NotReturnable::Used(3),
            NotReturnable::Ended(UnixMicros(0)),
            NotReturnable::Refunded,
            NotReturnable::Upgraded,
            NotReturnable::Emptied(10),
        ];
        for why in refusals {
            let text = why.to_string();
            assert!(!text.contains("(R"), "{text}");
            assert!(!text.contains("not refunded"), "{text}");
            assert_eq!(NotUpgradable::from(why).to_string(), text);
        }
        assert!(NotReturnable::Used(3).to_string().ends_with("can be neither refunded nor exchanged"));
    }

    #[test]
    fn r08_a_renewal_begins_when_the_old_one_ends() {
        assert_eq!(renewal_start(&package(3, None), UnixMicros(199)), Ok(UnixMicros(200)));
        assert_eq!(
            renewal_start(&package(3, None), UnixMicros(200)),
            Err(NotRenewable::Ended(UnixMicros(200)))
        );
    }
}
