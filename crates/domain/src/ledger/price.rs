//! R07, R10: what packages and pay-as-you-go cost, checked at start-up.

use crate::money::MoneyMicros;

/// One package on offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Mails in the package: the API's `Specification`.
    pub mails: i64,
    pub price: MoneyMicros,
}

/// The whole price list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceList {
    /// Ascending by mails.
    offers: Vec<Offer>,
    /// Per single mail.
    pay_as_you_go: MoneyMicros,
    /// Calendar months that a package is valid.
    validity_months: u32,
    /// R14: days before a package's end at which its account is told, the longest first.
    expiry_leads: Vec<i64>,
}

/// R14, *(config)*.
pub const EXPIRY_LEADS_DAYS: [i64; 3] = [30, 7, 1];

/// Why a price list is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceListError {
    #[error("the price list offers no package; give at least one [[billing.package]] with mails and price")]
    Empty,
    #[error(
        "a package of {0} mails cannot be sold: its size must be from 1 to 1,000,000,000 and its price above zero"
    )]
    OutOfRange(i64),
    #[error("the price list has two packages of {0} mails")]
    Twice(i64),
    #[error(
        "R07: each mail of the package of {larger} costs no less than of the package of {smaller}; the larger must be cheaper"
    )]
    LargerNotCheaper { smaller: i64, larger: i64 },
    #[error(
        "R07: each mail of the package of {0} costs no less than pay-as-you-go; packages must always be cheaper"
    )]
    NotBelowPayAsYouGo(i64),
    #[error("pay-as-you-go must cost more than zero a mail")]
    FreePayAsYouGo,
    #[error("a package must be valid for 1 to 120 months, not {0}")]
    Validity(u32),
    #[error("an expiry notice comes 1 to 365 whole days before the end, not {0}, and each lead once")]
    ExpiryLead(i64),
}

impl PriceList {
    /// A list that keeps R07: the larger the package, the cheaper each mail, and always below pay-as-you-go.
    pub fn new(
        mut offers: Vec<Offer>,
        pay_as_you_go: MoneyMicros,
        validity_months: u32,
    ) -> Result<Self, PriceListError> {
        offers.sort_by_key(|offer| offer.mails);
        if offers.is_empty() {
            return Err(PriceListError::Empty);
        }
        if pay_as_you_go.0 <= 0 {
            return Err(PriceListError::FreePayAsYouGo);
        }
        if !(1..=120).contains(&validity_months) {
            return Err(PriceListError::Validity(validity_months));
        }
        for offer in &offers {
            if !(1..=1_000_000_000).contains(&offer.mails) || offer.price.0 <= 0 {
                return Err(PriceListError::OutOfRange(offer.mails));
            }
            if i128::from(offer.price.0) >= i128::from(pay_as_you_go.0) * i128::from(offer.mails) {
                return Err(PriceListError::NotBelowPayAsYouGo(offer.mails));
            }
        }
        for pair in offers.windows(2) {
            if pair[0].mails == pair[1].mails {
                return Err(PriceListError::Twice(pair[0].mails));
            }
            // a/b > c/d without a division: both sizes are positive.
            let (small, large) = (pair[0], pair[1]);
            if i128::from(large.price.0) * i128::from(small.mails)
                >= i128::from(small.price.0) * i128::from(large.mails)
            {
                return Err(PriceListError::LargerNotCheaper { smaller: small.mails, larger: large.mails });
            }
        }
        Ok(PriceList { offers, pay_as_you_go, validity_months, expiry_leads: EXPIRY_LEADS_DAYS.to_vec() })
    }

    /// The same list with other leads for expiry notices (R14); none: no such notices.
    pub fn with_expiry_leads(mut self, mut days: Vec<i64>) -> Result<Self, PriceListError> {
        days.sort_unstable_by(|a, b| b.cmp(a));
        let twice = days.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        let outside = days.iter().copied().find(|days| !(1..=365).contains(days));
        if let Some(wrong) = twice.or(outside) {
            return Err(PriceListError::ExpiryLead(wrong));
        }
        self.expiry_leads = days;
        Ok(self)
    }

    /// Days before a package's end at which its account is told (R14).
    pub fn expiry_leads(&self) -> &[i64] {
        &self.expiry_leads
    }

    pub fn offers(&self) -> &[Offer] {
        &self.offers
    }

    pub fn offer(&self, mails: i64) -> Option<Offer> {
        self.offers.iter().copied().find(|offer| offer.mails == mails)
    }

    pub fn pay_as_you_go(&self) -> MoneyMicros {
        self.pay_as_you_go
    }

    pub fn validity_months(&self) -> u32 {
        self.validity_months
    }
}

/// The defaults of R07 and R10.
impl Default for PriceList {
    fn default() -> Self {
        let offer = |mails, price| Offer { mails, price: MoneyMicros(price) };
        PriceList {
            offers: vec![
                offer(50_000, 13_050_000),
                offer(500_000, 121_800_000),
                offer(1_000_000, 230_550_000),
                offer(5_000_000, 1_123_750_000),
            ],
            pay_as_you_go: MoneyMicros(290),
            validity_months: 6,
            expiry_leads: EXPIRY_LEADS_DAYS.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(offers: &[(i64, i64)], pay_as_you_go: i64) -> Result<PriceList, PriceListError> {
        let offers =
            offers.iter().map(|&(mails, price)| Offer { mails, price: MoneyMicros(price) }).collect();
        PriceList::new(offers, MoneyMicros(pay_as_you_go), 6)
    }

    #[test]
    fn r07_the_default_list_keeps_the_rule() {
        let default = PriceList::default();
        let checked = PriceList::new(default.offers.clone(), default.pay_as_you_go, default.validity_months);
        assert_eq!(checked, Ok(default));
    }

    #[test]
    fn r14_leads_are_whole_days_each_once() {
        let leads = |days: &[i64]| PriceList::default().with_expiry_leads(days.to_vec());
        assert_eq!(leads(&[1, 14]).unwrap().expiry_leads(), [14, 1]);
        for (days, wrong) in [(&[0][..], 0), (&[-1], -1), (&[366], 366), (&[7, 7], 7)] {
            assert_eq!(leads(days), Err(PriceListError::ExpiryLead(wrong)));
        }
    }

    #[test]
    fn r07_a_list_that_breaks_the_rule_is_refused() {
        assert_eq!(list(&[], 290), Err(PriceListError::Empty));
        assert_eq!(
            list(&[(100, 10_000), (200, 20_000)], 290),
            Err(PriceListError::LargerNotCheaper { smaller: 100, larger: 200 })
        );
        assert_eq!(list(&[(100, 29_000)], 290), Err(PriceListError::NotBelowPayAsYouGo(100)));
        assert_eq!(list(&[(100, 10_000), (100, 9_000)], 290), Err(PriceListError::Twice(100)));
        assert_eq!(list(&[(0, 10_000)], 290), Err(PriceListError::OutOfRange(0)));
        assert_eq!(list(&[(100, -1)], 290), Err(PriceListError::OutOfRange(100)));
        assert_eq!(list(&[(100, 10_000)], 0), Err(PriceListError::FreePayAsYouGo));
        assert_eq!(list(&[(100, 28_999)], 290).unwrap().offer(100).unwrap().price, MoneyMicros(28_999));
    }
}
