//! BSS OpenAPI, version 2017-12-14, as far as packages and money go.
//!
//! | file | actions |
//! | --- | --- |
//! | [`catalogue`] | DescribeResourcePackageProduct, QueryProductList; what a call may name |
//! | [`price`] | GetResourcePackagePrice, GetPayAsYouGoPrice |
//! | [`purchase`] | CreateResourcePackage, RenewResourcePackage, UpgradeResourcePackage |
//! | [`refund`] | InquiryPriceRefundInstance, RefundInstance |
//! | [`instances`] | QueryResourcePackageInstances, QueryAvailableInstances |
//! | [`utilization`] | QueryDPUtilizationDetail |
//! | [`orders`] | QueryOrders, GetOrderDetail |
//! | [`balance`] | QueryAccountBalance |
//! | [`transactions`] | QueryAccountTransactions, QueryAccountTransactionDetails |
//! | [`bills`] | QueryBill, QuerySettleBill, QueryBillOverview |
//! | [`instance_bill`] | QueryInstanceBill, DescribeInstanceBill |
//! | [`messages`] | QueryInStationMessages, MarkInStationMessagesRead (ours) |
//!
//! Beside them: [`cycle`] (a month or day of the account's zone), [`entry`] (what is charged in it: every bill
//! action shows the same entries, so their sums agree by construction), [`filter`] (parameters that many actions
//! share), [`shape`] (fields that many answers share).
//!
//! Every answer has all fields of the SDK's model. One that this server cannot know is null, never invented.

pub mod balance;
pub mod bills;
pub mod catalogue;
pub mod cycle;
pub mod entry;
pub mod filter;
pub mod instance_bill;
pub mod instances;
pub mod messages;
pub mod orders;
pub mod price;
pub mod purchase;
pub mod refund;
pub mod shape;
pub mod transactions;
pub mod utilization;

/// Names of this product in the billing API (the original's are not published, so they are ours).
pub const PRODUCT_CODE: &str = "dm";
pub const PRODUCT_NAME: &str = "DirectMail";
pub const PACKAGE_TYPE: &str = "FPT_dm_package";
/// The commodity code of packages; pay-as-you-go's is the product's.
pub const COMMODITY_CODE: &str = "dmbag";
pub const PACKAGE_NAME: &str = "DirectMail resource package";
pub const PAY_AS_YOU_GO_NAME: &str = "DirectMail (pay-as-you-go)";
pub const UNIT: &str = "Mail";
