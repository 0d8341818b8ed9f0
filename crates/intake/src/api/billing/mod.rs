//! BSS OpenAPI, version 2017-12-14, as far as packages and money go: one file for each resource.

pub mod balance;
pub mod catalogue;
pub mod instances;
pub mod purchase;
pub mod utilization;

/// Names of this product in the billing API (the original's are not published, so they are ours).
pub const PRODUCT_CODE: &str = "dm";
pub const PACKAGE_TYPE: &str = "FPT_dm_package";
pub const COMMODITY_CODE: &str = "dmbag";
pub const PACKAGE_NAME: &str = "DirectMail resource package";
pub const UNIT: &str = "Mail";
