//! The DNS that verifies sending domains: asks the configured servers (or the system's), and keeps nothing.
//!
//! There is no cache: whoever has just published a record and calls CheckDomain again must not be told what was true
//! before. Verification is rare and throttled, so this costs little.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use crate::api::directmail::dns::{DnsError, DomainDns};

const QUERY_TIMEOUT: Duration = Duration::from_secs(3);
const QUERY_ATTEMPTS: usize = 2;

/// [`DomainDns`] on hickory-resolver.
pub struct UncachedDns {
    resolver: TokioResolver,
}

/// The system's resolver configuration could not be read.
#[derive(Debug, thiserror::Error)]
#[error("no DNS resolver could be set up: {0}; name servers can be given under [dns] servers")]
pub struct SetupError(String);

impl UncachedDns {
    /// Asks `servers` over UDP, and over TCP for long answers. An empty list: the system's resolvers.
    pub fn new(servers: &[SocketAddr]) -> Result<UncachedDns, SetupError> {
        let failed = |error: NetError| SetupError(error.to_string());
        let mut builder = match servers {
            [] => TokioResolver::builder_tokio().map_err(failed)?,
            servers => TokioResolver::builder_with_config(
                ResolverConfig::from_name_servers(servers.iter().map(name_server).collect()),
                TokioRuntimeProvider::default(),
            ),
        };
        let options = builder.options_mut();
        options.cache_size = 0;
        options.timeout = QUERY_TIMEOUT;
        options.attempts = QUERY_ATTEMPTS;
        options.try_tcp_on_error = true;
        Ok(UncachedDns { resolver: builder.build().map_err(failed)? })
    }

    /// The answer, or `None` when there is no such name or no such record.
    async fn ask(&self, name: &str, kind: RecordType) -> Result<Option<Lookup>, DnsError> {
        let failed = |reason: String| DnsError { name: name.to_owned(), kind: kind.to_string(), reason };
        let mut fqdn = Name::from_ascii(name).map_err(|error| failed(error.to_string()))?;
        // Else the search list of resolv.conf would be appended to names that do not exist.
        fqdn.set_fqdn(true);
        match self.resolver.lookup(fqdn, kind).await {
            Ok(lookup) => Ok(Some(lookup)),
            Err(error) if error.is_no_records_found() => Ok(None),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    connections.iter_mut().for_each(|connection| connection.port = address.port());
    NameServerConfig::new(address.ip(), true, connections)
}

#[async_trait]
impl DomainDns for UncachedDns {
    async fn txt(&self, name: &str) -> Result<Vec<String>, DnsError> {
        let Some(lookup) = self.ask(name, RecordType::TXT).await? else { return Ok(Vec::new()) };
        let texts = lookup.answers().iter().filter_map(|record| match &record.data {
            // RFC 7208 3.3: the strings of one record are joined without anything between.
            RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
            _ => None,
        });
        Ok(texts.collect())
    }

    async fn mx(&self, name: &str) -> Result<Vec<String>, DnsError> {
        let Some(lookup) = self.ask(name, RecordType::MX).await? else { return Ok(Vec::new()) };
        let hosts = lookup.answers().iter().filter_map(|record| match &record.data {
            RData::MX(mx) => Some(mx.exchange.to_ascii().trim_end_matches('.').to_ascii_lowercase()),
            _ => None,
        });
        Ok(hosts.collect())
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
    use hickory_resolver::proto::rr::Record;
    use hickory_resolver::proto::rr::rdata::{MX, TXT};
    use tokio::net::UdpSocket;

    use super::*;

    /// A name server on loopback: answers for `good.test`, says that `none.test` does not exist, refuses the rest.
    async fn name_server() -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0u8; 4096];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
                let answer = answer(&Message::from_vec(&buffer[..length]).unwrap());
                socket.send_to(&answer.to_vec().unwrap(), peer).await.unwrap();
            }
        });
        address
    }

    fn answer(query: &Message) -> Message {
        let question = query.queries[0].clone();
        let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
        answer.metadata.message_type = MessageType::Response;
        answer.metadata.authoritative = true;
        answer.add_query(question.clone());
        let data = match (question.name().to_ascii().as_str(), question.query_type()) {
            ("good.test.", RecordType::TXT) => {
                vec![
                    RData::TXT(TXT::new(vec!["v=DKIM1; ".into(), "p=AB".into()])),
                    RData::TXT(TXT::new(vec!["x".into()])),
                ]
            }
            ("good.test.", RecordType::MX) => {
                vec![RData::MX(MX::new(10, Name::from_ascii("MX1.Good.test.").unwrap()))]
            }
            ("none.test.", _) => {
                answer.metadata.response_code = ResponseCode::NXDomain;
                vec![]
            }
            _ => {
                answer.metadata.response_code = ResponseCode::Refused;
                vec![]
            }
        };
        let name = question.name().clone();
        data.into_iter().for_each(|data| {
            answer.add_answer(Record::from_rdata(name.clone(), 60, data));
        });
        answer
    }

    #[tokio::test]
    async fn records_are_joined_absence_is_empty_and_refusal_an_error() {
        let dns = UncachedDns::new(&[name_server().await]).unwrap();
        assert_eq!(dns.txt("good.test").await.unwrap(), ["v=DKIM1; p=AB", "x"]);
        assert_eq!(dns.mx("good.test").await.unwrap(), ["mx1.good.test"]);
        assert!(dns.txt("none.test").await.unwrap().is_empty());
        let refused = dns.txt("refused.test").await.unwrap_err();
        assert_eq!((refused.name.as_str(), refused.kind.as_str()), ("refused.test", "TXT"));
        assert!(dns.txt(&"a".repeat(300)).await.is_err());
    }
}
