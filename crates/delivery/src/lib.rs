//! How mail goes out: scheduling, routing, TLS policy, connections, outcomes.
//!
//! One mail's way through this crate:
//!
//! | step | file |
//! | --- | --- |
//! | comes in from admission or from the queue, within bounds | [`engine`], `window` |
//! | its domain becomes a route, its route a site | [`route`], [`dns`], `hub` |
//! | waits at the site, fair to others; the site may be held | `site`, `drain` |
//! | gets room for its content, is signed and gets its return path | `content`, [`dkim`], [`verp`] |
//! | goes over a connection that is reused, from a dedicated or a shared address | `worker`, [`connection`], [`tls`], [`source`] |
//! | the reply becomes a verdict, a temporary one a due instant | [`ending`], `indicia_domain::outcome` |
//! | the outcome is committed with others | `committer`, [`spool`] |

mod committer;
pub mod config;
pub mod connection;
mod content;
pub mod dkim;
pub mod dns;
mod drain;
pub mod ending;
pub mod engine;
mod hub;
mod identities;
mod mail;
pub mod metrics;
pub mod route;
mod site;
pub mod source;
pub mod spool;
pub mod tls;
pub mod verp;
mod window;
mod worker;

pub use config::DeliveryConfig;
pub use connection::WireSettings;
pub use engine::{Delivery, FastPath};
pub use metrics::Metrics;
pub use route::RouteOverride;
pub use source::LocalAddresses;
