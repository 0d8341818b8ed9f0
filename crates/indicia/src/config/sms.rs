//! The way that texts to telephones take.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use indicia_accounts::sms::{HttpConfig, HttpGateway, SmppConfig, SmppGateway, SmsGateway as Gateway};
use indicia_domain::time::Clock;
use serde::Deserialize;

use super::{ConfigError, wrong};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmsGateway {
    #[default]
    Off,
    Smpp,
    Http,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmsSection {
    pub gateway: SmsGateway,
    pub smpp: Option<SmppSection>,
    pub http: Option<HttpSection>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmppSection {
    pub address: SocketAddr,
    pub system_id: String,
    pub password: String,
    pub source: String,
    #[serde(default)]
    pub system_type: String,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSection {
    pub url: String,
    pub key_id: String,
    pub secret: String,
    /// Certificates in PEM form that are trusted besides the system's.
    pub ca_certificate: Option<PathBuf>,
}

/// Leaves the password out.
impl std::fmt::Debug for SmppSection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmppSection").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Leaves the secret out.
impl std::fmt::Debug for HttpSection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpSection").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl SmsSection {
    /// The gateway that is configured; nothing is connected before the first text.
    pub fn gateway(&self, clock: Arc<dyn Clock>) -> Result<Option<Arc<dyn Gateway>>, ConfigError> {
        match self.gateway {
            SmsGateway::Off => Ok(None),
            SmsGateway::Smpp => {
                let smpp = self.smpp.as_ref().ok_or_else(|| {
                    wrong(
                        "sms.smpp",
                        "with gateway = \"smpp\" its address, system_id, password and source are needed",
                    )
                })?;
                let mut config = SmppConfig::new(smpp.address, &smpp.system_id, &smpp.password, &smpp.source);
                config.system_type.clone_from(&smpp.system_type);
                let gateway = SmppGateway::new(config).map_err(|error| wrong("sms.smpp", error))?;
                Ok(Some(Arc::new(gateway)))
            }
            SmsGateway::Http => {
                let http = self.http.as_ref().ok_or_else(|| {
                    wrong("sms.http", "with gateway = \"http\" its url, key_id and secret are needed")
                })?;
                let mut config = HttpConfig::new(&http.url, &http.key_id, &http.secret);
                if let Some(path) = &http.ca_certificate {
                    let pem = std::fs::read_to_string(path).map_err(|error| {
                        wrong("sms.http.ca_certificate", format!("{}: {error}", path.display()))
                    })?;
                    config.ca_certificate_pem = Some(pem);
                }
                let gateway = HttpGateway::new(config, clock).map_err(|error| wrong("sms.http", error))?;
                Ok(Some(Arc::new(gateway)))
            }
        }
    }
}
