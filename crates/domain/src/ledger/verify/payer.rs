//! Whether the right source paid (R04, R05, R09), from the lines alone.

use std::collections::{BTreeMap, HashMap};

use super::super::{Kind, LedgerAccount, Transfer, Validity};
use crate::time::UnixMicros;

/// R05: end, purchase, instance id.
type PayingOrder = (UnixMicros, UnixMicros, String);

/// The packages that lines have granted so far.
#[derive(Debug, Default)]
pub(super) struct Payer {
    /// In the order of paying, those that may still have mails.
    order: BTreeMap<PayingOrder, Validity>,
    places: HashMap<String, PayingOrder>,
}

impl Payer {
    /// What is wrong with who pays `line`, given the balances before it.
    pub(super) fn check(
        &mut self,
        line: &Transfer,
        balances: &BTreeMap<LedgerAccount, i128>,
    ) -> Option<String> {
        if let (LedgerAccount::Package(instance), Some(validity)) = (&line.to, line.validity) {
            let place = (validity.until, line.at, instance.clone());
            self.places.insert(instance.clone(), place.clone());
            self.order.insert(place, validity);
        }
        if line.kind != Kind::Send {
            return None;
        }
        let own = match &line.from {
            LedgerAccount::Package(instance) => Some(instance),
            LedgerAccount::PayAsYouGo => None,
            _ => return None,
        };
        if let Some(instance) = own {
            let Some(place) = self.places.get(instance) else {
                return Some(format!("{instance} pays before any line grants its mails"));
            };
            let validity = self.order.get(place)?;
            if line.at < validity.from || line.at >= validity.until {
                return Some(format!("{instance} pays outside its validity (R09)"));
            }
        }
        let has_mails = |instance: &str| {
            balances.get(&LedgerAccount::Package(instance.to_owned())).is_some_and(|balance| *balance > 0)
        };
        for ((_, _, instance), validity) in &self.order {
            if Some(instance) == own {
                return None;
            }
            if validity.from <= line.at && line.at < validity.until && has_mails(instance) {
                return Some(format!("{} pays while {instance} has mails left (R04, R05)", line.from));
            }
        }
        None
    }
}
