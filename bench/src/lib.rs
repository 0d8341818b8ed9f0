//! What the programs of this crate share.
//!
//! The load generator (`load`) and the sink (`sink`) speak SMTP with code of their own, not with `indicia-smtp`: a
//! measuring tool that shares its parser with what it measures would share its mistakes too.

pub mod acs3;
pub mod clock;
pub mod content;
pub mod cpu;
pub mod database;
pub mod latency;
pub mod wire;
