//! QueryResourcePackageInstances: the account's packages, valid or ended within the last year; QueryAvailableInstances:
//! the same as instances among others, and the pay-as-you-go service beside them.

use indicia_domain::account::AccountStatus;
use indicia_domain::ledger::package::PackageStatus;
use indicia_domain::time::{DAY_MICROS, UnixMicros};
use indicia_store::account::Account;
use indicia_store::package::{PackageFilter, PackageRow};
use serde_json::{Value, json};

use super::filter::{self, SubscriptionType};
use super::{COMMODITY_CODE, PACKAGE_TYPE, PRODUCT_CODE, UNIT};
use crate::api::call::Call;
use crate::api::protocol::ApiError;

/// For how long an ended package is still listed (dossier 2.1).
const ENDED_SHOWN_MICROS: i64 = 365 * DAY_MICROS;
/// Instances that one call can name.
const INSTANCE_IDS_MAX: usize = 100;

/// QueryResourcePackageInstances
pub async fn query(call: &Call<'_>) -> Result<Value, ApiError> {
    let parameters = call.parameters;
    let page = filter::page(call)?;
    let (start, end) = filter::time_range(call, "ExpiryTimeStart", "ExpiryTimeEnd")?;
    parameters.boolean("IncludePartner")?;
    let shown_from = call.now.plus_micros(-ENDED_SHOWN_MICROS);
    let ends = PackageFilter {
        ends_from: Some(start.map_or(shown_from, |start| start.max(shown_from))),
        // The parameter's second is included; the store's end is not.
        ends_before: end,
    };
    let mut packages = match filter::is_ours(call)? {
        true => call.api.store.packages(call.account_id, &ends).await?,
        false => Vec::new(),
    };
    packages.retain(|row| row.package.closed.is_none());
    let instances: Vec<Value> =
        filter::rows_of(&packages, page).iter().map(|row| instance(call, row)).collect();
    Ok(json!({
        "Page": page.number,
        "PageSize": page.size,
        "Total": packages.len(),
        "Data": {
            "HostId": call.api.settings.region,
            "PageNum": page.number.to_string(),
            "PageSize": page.size.to_string(),
            "TotalCount": packages.len().to_string(),
            "Instances": {"Instance": instances},
        },
    }))
}

/// The documented statuses are only these two: a package that is used up, or whose validity is still to come, is
/// Available (dossier 2.1). DetailStatus tells them apart; it and the lapsed amount (R13) are ours.
fn instance(call: &Call<'_>, row: &PackageRow) -> Value {
    let package = &row.package;
    let (status, lapsed) = (package.status_at(call.now), package.lapsed_at(call.now));
    let remark = match lapsed {
        0 => "邮件推送资源包".to_owned(),
        mails => format!("邮件推送资源包,到期失效 {mails} 封"),
    };
    json!({
        "InstanceId": package.instance_id,
        "PackageType": PACKAGE_TYPE,
        "CommodityCode": COMMODITY_CODE,
        "Region": call.api.settings.region,
        "TotalAmount": package.granted.to_string(),
        "TotalAmountUnit": UNIT,
        "RemainingAmount": package.usable_at(call.now).to_string(),
        "RemainingAmountUnit": UNIT,
        "EffectiveTime": package.starts_at.rfc3339_seconds(),
        "ExpiryTime": package.ends_at.rfc3339_seconds(),
        "Status": if status == PackageStatus::Expired { "Expired" } else { "Available" },
        "DeductType": "Absolute",
        "Remark": remark,
        "ApplicableProducts": {"Product": [PRODUCT_CODE]},
        "DetailStatus": status.as_str(),
        "LapsedAmount": lapsed.to_string(),
        "LapsedAmountUnit": UNIT,
    })
}

/// Which instances QueryAvailableInstances is asked for.
struct Wanted<'a> {
    subscription_type: Option<SubscriptionType>,
    renewal: Option<&'static str>,
    instance_ids: Option<Vec<&'a str>>,
    created: (Option<UnixMicros>, Option<UnixMicros>),
    ends: (Option<UnixMicros>, Option<UnixMicros>),
}

impl<'a> Wanted<'a> {
    fn of(call: &Call<'a>) -> Result<Wanted<'a>, ApiError> {
        let renewals = ["AutoRenewal", "ManualRenewal", "NotRenewal"];
        let instance_ids: Option<Vec<&str>> =
            call.parameters.text("InstanceIDs").map(|ids| ids.split(',').map(str::trim).collect());
        if instance_ids.as_ref().is_some_and(|ids| ids.len() > INSTANCE_IDS_MAX) {
            return Err(ApiError::invalid_parameter(
                "InstanceIDs",
                format!("it names more than {INSTANCE_IDS_MAX}"),
            ));
        }
        Ok(Wanted {
            subscription_type: filter::subscription_type(call)?,
            renewal: filter::one_of(call, "RenewStatus", &renewals, |name| name)?,
            instance_ids,
            created: filter::time_range(call, "CreateTimeStart", "CreateTimeEnd")?,
            ends: filter::time_range(call, "EndTimeStart", "EndTimeEnd")?,
        })
    }

    fn includes(&self, instance: &Instance<'_>) -> bool {
        self.subscription_type.is_none_or(|wanted| wanted == instance.subscription_type())
            && self.renewal.is_none_or(|wanted| instance.renewal() == Some(wanted))
            && self.instance_ids.as_ref().is_none_or(|ids| ids.contains(&instance.id().as_str()))
            && within(self.created, Some(instance.created_at()))
            && within(self.ends, instance.ends_at())
    }
}

fn within(range: (Option<UnixMicros>, Option<UnixMicros>), at: Option<UnixMicros>) -> bool {
    match (range, at) {
        ((None, None), _) => true,
        (_, None) => false,
        ((from, before), Some(at)) => {
            from.is_none_or(|from| from <= at) && before.is_none_or(|before| at < before)
        }
    }
}

/// Something that is paid for.
enum Instance<'a> {
    /// The account's own sending, whose number is the account's.
    Service {
        account: &'a Account,
        overdue: bool,
    },
    Package(&'a PackageRow),
}

impl Instance<'_> {
    fn id(&self) -> String {
        match self {
            Instance::Service { account, .. } => account.account_id.to_string(),
            Instance::Package(row) => row.package.instance_id.clone(),
        }
    }

    fn subscription_type(&self) -> SubscriptionType {
        match self {
            Instance::Service { .. } => SubscriptionType::PayAsYouGo,
            Instance::Package(_) => SubscriptionType::Subscription,
        }
    }

    /// A package is renewed when somebody asks for it.
    fn renewal(&self) -> Option<&'static str> {
        match self {
            Instance::Service { .. } => None,
            Instance::Package(_) => Some("ManualRenewal"),
        }
    }

    fn created_at(&self) -> UnixMicros {
        match self {
            Instance::Service { account, .. } => account.created_at,
            Instance::Package(row) => row.package.purchased_at,
        }
    }

    fn ends_at(&self) -> Option<UnixMicros> {
        match self {
            Instance::Service { .. } => None,
            Instance::Package(row) => Some(row.package.ends_at),
        }
    }

    fn is_ended(&self, now: UnixMicros) -> bool {
        self.ends_at().is_some_and(|end| now >= end)
    }

    /// Of pay-as-you-go only; that of an account in arrears has no name that is documented.
    fn sub_status(&self) -> Option<&'static str> {
        match self {
            Instance::Service { overdue: false, .. } => Some("Normal"),
            _ => None,
        }
    }
}

/// QueryAvailableInstances
pub async fn query_available(call: &Call<'_>) -> Result<Value, ApiError> {
    let (wanted, page) = (Wanted::of(call)?, filter::page(call)?);
    let region = &call.api.settings.region;
    let here = call.parameters.text("Region").is_none_or(|wanted| wanted == region);
    let (account, store) = (call.account().await?, &call.api.store);
    let numbers = store.account_numbers(call.account_id).await?.ok_or_else(ApiError::internal)?;
    let mut packages = store.packages(call.account_id, &PackageFilter::default()).await?;
    let shown_from = call.now.plus_micros(-ENDED_SHOWN_MICROS);
    packages.retain(|row| row.package.closed.is_none() && row.package.ends_at >= shown_from);
    packages.sort_by(|a, b| {
        let order = |row: &PackageRow| (row.package.purchased_at, row.order_id);
        order(a).cmp(&order(b)).then_with(|| a.package.instance_id.cmp(&b.package.instance_id))
    });
    let overdue = numbers.status.has(AccountStatus::OVERDUE);
    let mut instances = vec![Instance::Service { account: &account, overdue }];
    instances.extend(packages.iter().map(Instance::Package));
    let ours = filter::is_ours(call)? && here;
    instances.retain(|instance| ours && wanted.includes(instance));
    let rows: Vec<Value> =
        filter::rows_of(&instances, page).iter().map(|instance| available(call, instance)).collect();
    Ok(json!({"Data": {
        "PageNum": page.number,
        "PageSize": page.size,
        "TotalCount": instances.len(),
        "InstanceList": rows,
    }}))
}

fn available(call: &Call<'_>, instance: &Instance<'_>) -> Value {
    let end = instance.ends_at().map(UnixMicros::rfc3339_seconds);
    json!({
        "InstanceID": instance.id(),
        "OwnerId": call.account_id,
        "ProductCode": PRODUCT_CODE,
        "ProductType": PRODUCT_CODE,
        "Region": call.api.settings.region,
        "SubscriptionType": instance.subscription_type().as_str(),
        "Status": if instance.is_ended(call.now) { "Expired" } else { "Normal" },
        "SubStatus": instance.sub_status(),
        "CreateTime": instance.created_at().rfc3339_seconds(),
        "EndTime": end,
        // At its end a package stops paying (R09); it is never released otherwise.
        "StopTime": end,
        "ReleaseTime": null,
        "ExpectedReleaseTime": null,
        "RenewStatus": instance.renewal(),
        "RenewalDuration": null,
        "RenewalDurationUnit": null,
        "Seller": null,
        "SellerId": null,
    })
}
