//! Which action is whose.
//!
//! One table: the version and name on the wire, the handler behind it. Names that the official SDKs have but this server does not serve
//! yet are known too, so that their callers are told that, and not that they mistyped.

use serde_json::Value;

use super::call::Call;
use super::protocol::ApiError;
use super::protocol::parameters::shown;
use super::{billing, directmail};

/// The two APIs, by their version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    DirectMail,
    Billing,
}

impl Version {
    pub fn of(text: &str) -> Option<Version> {
        [Version::DirectMail, Version::Billing].into_iter().find(|version| version.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Version::DirectMail => "2015-11-23",
            Version::Billing => "2017-12-14",
        }
    }
}

macro_rules! actions {
    ($($version:ident { $($name:ident => $handler:path,)* })*) => {
        /// The actions that are served.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action {
            $($($name,)*)*
        }

        const SERVED: &[(Version, &str, Action)] = &[
            $($((Version::$version, stringify!($name), Action::$name),)*)*
        ];

        /// Carries an action out.
        pub async fn run(action: Action, call: &Call<'_>) -> Result<Value, ApiError> {
            match action {
                $($(Action::$name => $handler(call).await,)*)*
            }
        }
    };
}

actions! {
    DirectMail {
        SingleSendMail => directmail::single_send_mail::single_send_mail,
        CreateDomain => directmail::domain::create,
        CheckDomain => directmail::domain::check,
        DescDomain => directmail::domain::describe,
        QueryDomainByParam => directmail::domain::query,
        DeleteDomain => directmail::domain::delete,
        ChangeDomainDkimRecord => directmail::domain::change_dkim_record,
        ModifyPWByDomain => directmail::domain::modify_password,
        CreateMailAddress => directmail::mail_address::create,
        ModifyMailAddress => directmail::mail_address::modify,
        QueryMailAddressByParam => directmail::mail_address::query,
        DeleteMailAddress => directmail::mail_address::delete,
        DescAccountSummary => directmail::account_summary::describe,
        QueryInvalidAddress => directmail::invalid_address::query,
        DeleteInvalidAddress => directmail::invalid_address::delete,
        CreateUserSuppression => directmail::suppression::create,
        ListUserSuppression => directmail::suppression::list,
        RemoveUserSuppression => directmail::suppression::remove,
        GetSuppressionListLevel => directmail::suppression::level,
        SetSuppressionListLevel => directmail::suppression::set_level,
        ListBlockSending => directmail::block_sending::list,
        UnblockSending => directmail::block_sending::unblock,
        GetIpProtection => directmail::ip_filter::protection,
        UpdateIpProtection => directmail::ip_filter::update_protection,
        AddIpfilter => directmail::ip_filter::add,
        GetIpfilterList => directmail::ip_filter::list,
        DeleteIpfilterByEdmId => directmail::ip_filter::delete,
        SenderStatisticsDetailByParam => directmail::statistics::detail,
        DedicatedIpList => directmail::dedicated_ip::list,
        DedicatedIpNonePoolList => directmail::dedicated_ip::list_without_pool,
        DedicatedIpAutoRenewal => directmail::dedicated_ip::auto_renewal,
        DedicatedIpChangeWarmupType => directmail::dedicated_ip::change_warmup_type,
        GetDedicatedIpWarmUpInfo => directmail::dedicated_ip::warm_up_info,
        GetDedicatedIpWarmUpDetail => directmail::dedicated_ip::warm_up_detail,
        DedicatedIpPoolCreate => directmail::ip_pool::create,
        DedicatedIpPoolUpdate => directmail::ip_pool::update,
        DedicatedIpPoolDelete => directmail::ip_pool::delete,
        DedicatedIpPoolList => directmail::ip_pool::list,
    }
    Billing {
        DescribeResourcePackageProduct => billing::catalogue::describe,
        QueryProductList => billing::catalogue::products,
        GetResourcePackagePrice => billing::price::of_package,
        GetPayAsYouGoPrice => billing::price::of_pay_as_you_go,
        CreateResourcePackage => billing::purchase::create,
        RenewResourcePackage => billing::purchase::renew,
        UpgradeResourcePackage => billing::purchase::upgrade,
        InquiryPriceRefundInstance => billing::refund::inquire,
        RefundInstance => billing::refund::refund,
        QueryResourcePackageInstances => billing::instances::query,
        QueryAvailableInstances => billing::instances::query_available,
        QueryDPUtilizationDetail => billing::utilization::query,
        QueryOrders => billing::orders::query,
        GetOrderDetail => billing::orders::detail,
        QueryAccountBalance => billing::balance::query,
        QueryAccountTransactions => billing::transactions::query,
        QueryAccountTransactionDetails => billing::transactions::query_details,
        QueryBill => billing::bills::query,
        QuerySettleBill => billing::bills::query_settled,
        QueryBillOverview => billing::bills::overview,
        QueryInstanceBill => billing::instance_bill::query,
        DescribeInstanceBill => billing::instance_bill::describe,
        QueryInStationMessages => billing::messages::query,
        MarkInStationMessagesRead => billing::messages::mark_read,
    }
}

/// Finds an action by its name, or says what is wrong with the name.
pub fn find(version: Version, name: &str) -> Result<Action, ApiError> {
    if name.is_empty() {
        return Err(ApiError::missing_parameter("Action"));
    }
    if let Some((_, _, action)) = SERVED.iter().find(|(of, served, _)| *of == version && *served == name) {
        return Ok(*action);
    }
    if not_served(version).contains(&name) {
        return Err(ApiError::bad_request(
            "UnsupportedOperation",
            format!("The action {name} of {} is not supported by this server.", version.as_str()),
            "See the server's changelog for the actions that it serves.",
        ));
    }
    Err(ApiError::not_found(
        "InvalidAction.NotFound",
        format!("Specified api is not found: '{}' is not an action of {}.", shown(name), version.as_str()),
        "Check the action's name and the version.",
    ))
}

/// Whether any version has an action of this name.
pub fn is_known(name: &str) -> bool {
    SERVED.iter().any(|(_, served, _)| *served == name)
        || not_served(Version::DirectMail).contains(&name)
        || not_served(Version::Billing).contains(&name)
}

fn not_served(version: Version) -> &'static [&'static str] {
    match version {
        Version::DirectMail => DIRECT_MAIL_NOT_SERVED,
        Version::Billing => BILLING_NOT_SERVED,
    }
}

/// Actions of alibabacloud_dm20151123 1.11.1 beyond those served.
const DIRECT_MAIL_NOT_SERVED: &[&str] = &[
    "ApproveReplyMailAddress",
    "BatchSendMail",
    "CheckDisposable",
    "CheckReplyToMailAddress",
    "ConfigSetCancelRelationFromAddress",
    "ConfigSetCreate",
    "ConfigSetDelete",
    "ConfigSetDetail",
    "ConfigSetList",
    "ConfigSetRelationFromAddress",
    "ConfigSetUpdate",
    "CreateReceiver",
    "CreateTag",
    "CreateTemplate",
    "DeleteReceiver",
    "DeleteReceiverDetail",
    "DeleteTag",
    "DeleteTemplate",
    "DeleteValidateFile",
    "DescTemplate",
    "GetSendifyAutoLoginURL",
    "GetSendifyInfo",
    "GetTrackList",
    "GetTrackListByMailFromAndTagName",
    "GetUser",
    "GetValidateFile",
    "GetValidateFileStatus",
    "GetValidationQuota",
    "ListValidateFile",
    "ModifyTag",
    "ModifyTemplate",
    "OpenSendifyTrialService",
    "QueryReceiverByParam",
    "QueryReceiverDetail",
    "QueryTagByParam",
    "QueryTaskByParam",
    "QueryTemplateByParam",
    "SaveReceiverDetail",
    "SendTestByTemplate",
    "SendValidateFile",
    "SenderStatisticsByTagNameAndBatchID",
    "UpdateUser",
    "ValidateEmail",
];

/// Actions of alibabacloud_bssopenapi20171214 5.1.2 beyond those served.
const BILLING_NOT_SERVED: &[&str] = &[
    "AddAccountRelation",
    "AllocateCostUnitResource",
    "ApplyInvoice",
    "CancelOrder",
    "ChangeResellerConsumeAmount",
    "ConfirmRelation",
    "ConvertChargeType",
    "CreateAgAccount",
    "CreateCostUnit",
    "CreateInstance",
    "CreateResellerUserQuota",
    "CreateSavingsPlansInstance",
    "DeleteCostUnit",
    "DescribeCostBudgetsSummary",
    "DescribeInstanceAmortizedCostByAmortizationPeriod",
    "DescribeInstanceAmortizedCostByAmortizationPeriodDate",
    "DescribeInstanceAmortizedCostByConsumePeriod",
    "DescribeInstanceDeductAmortizedCostByAmortizationPeriod",
    "DescribePricingModule",
    "DescribeProductAmortizedCostByAmortizationPeriod",
    "DescribeProductAmortizedCostByConsumePeriod",
    "DescribeResourceCoverageDetail",
    "DescribeResourceCoverageTotal",
    "DescribeResourceUsageDetail",
    "DescribeResourceUsageTotal",
    "DescribeSavingsPlansCoverageDetail",
    "DescribeSavingsPlansCoverageTotal",
    "DescribeSavingsPlansUsageDetail",
    "DescribeSavingsPlansUsageTotal",
    "DescribeSplitItemBill",
    "GetAccountRelation",
    "GetCustomerAccountInfo",
    "GetCustomerList",
    "GetSubscriptionPrice",
    "ModifyAccountRelation",
    "ModifyCostUnit",
    "ModifyInstance",
    "PayOrder",
    "QueryAccountBill",
    "QueryBillToOSSSubscription",
    "QueryCashCoupons",
    "QueryCommodityList",
    "QueryCostUnit",
    "QueryCostUnitResource",
    "QueryCustomerAddressList",
    "QueryEvaluateList",
    "QueryFinancialAccountInfo",
    "QueryInstanceByTag",
    "QueryInstanceGaapCost",
    "QueryInvoicingCustomerList",
    "QueryPermissionList",
    "QueryPrepaidCards",
    "QueryPriceEntityList",
    "QueryRIUtilizationDetail",
    "QueryRedeem",
    "QueryRelationList",
    "QueryResellerAvailableQuota",
    "QueryResellerUserAlarmThreshold",
    "QuerySavingsPlansDeductLog",
    "QuerySavingsPlansDiscount",
    "QuerySavingsPlansInstance",
    "QuerySkuPriceList",
    "QuerySplitItemBill",
    "QueryUserOmsData",
    "ReleaseInstance",
    "RelieveAccountRelation",
    "RenewChangeInstance",
    "RenewInstance",
    "SetAllExpirationDay",
    "SetRenewal",
    "SetResellerUserAlarmThreshold",
    "SetResellerUserQuota",
    "SetResellerUserStatus",
    "SetSavingPlanUserDeductRule",
    "SubscribeBillToOSS",
    "TagResources",
    "UnsubscribeBillToOSS",
    "UntagResources",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_sdks_is_known_once() {
        let served =
            |version| SERVED.iter().filter(move |(of, _, _)| *of == version).map(|(_, name, _)| *name);
        for (version, count, ours) in [
            (Version::DirectMail, 81, vec![]),
            (Version::Billing, 100, vec!["QueryInStationMessages", "MarkInStationMessagesRead"]),
        ] {
            let mut names: Vec<&str> = served(version).chain(not_served(version).iter().copied()).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "a name is there twice");
            names.retain(|name| !ours.contains(name));
            assert_eq!(names.len(), count);
            assert_eq!(all, count + ours.len());
        }
    }

    #[test]
    fn names_are_found_or_named() {
        assert_eq!(find(Version::DirectMail, "SingleSendMail").unwrap(), Action::SingleSendMail);
        for (version, name, status, code) in [
            (Version::DirectMail, "BatchSendMail", 400, "UnsupportedOperation"),
            (Version::Billing, "QueryCommodityList", 400, "UnsupportedOperation"),
            (Version::Billing, "SingleSendMail", 404, "InvalidAction.NotFound"),
            (Version::DirectMail, "Frobnicate", 404, "InvalidAction.NotFound"),
            (Version::DirectMail, "singlesendmail", 404, "InvalidAction.NotFound"),
        ] {
            let refused = find(version, name).unwrap_err();
            assert_eq!((refused.status.as_u16(), refused.code.as_ref()), (status, code), "{name}");
            assert!(refused.message.contains(name), "{}", refused.message);
        }
        assert_eq!(find(Version::DirectMail, "").unwrap_err().code, "MissingParameter");
    }
}
