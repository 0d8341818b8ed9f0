//! The real resolver against a name server of our own: what is final and what may pass.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, MX, SOA};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use indicia_delivery::dns::{DnsError, HickoryResolver, Mx, Resolver};

struct NameServer {
    address: SocketAddr,
    questions: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

/// The zone: `mx.test` has two MXs and no address, `a.test` both kinds of address, `null.test` the null MX,
/// `broken.test` a server failure; nothing else exists.
fn answer(query: &Message) -> Message {
    let question = query.queries[0].clone();
    let owner = question.name().clone();
    let mut response = Message::response(query.metadata.id, query.metadata.op_code);
    response.metadata.recursion_available = true;
    response.add_query(question.clone());
    let record = |data| Record::from_rdata(owner.clone(), 60, data);
    let records = match (owner.to_ascii().to_ascii_lowercase().as_str(), question.query_type()) {
        ("broken.test.", _) => {
            response.metadata.response_code = ResponseCode::ServFail;
            return response;
        }
        ("mx.test.", RecordType::MX) => {
            vec![
                record(RData::MX(MX::new(20, name("B.mx.test.")))),
                record(RData::MX(MX::new(10, name("a.mx.test.")))),
            ]
        }
        ("null.test.", RecordType::MX) => vec![record(RData::MX(MX::new(0, Name::root())))],
        ("a.test.", RecordType::A) => vec![record(RData::A(A::new(192, 0, 2, 1)))],
        ("a.test.", RecordType::AAAA) => {
            vec![record(RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)))]
        }
        ("mx.test." | "null.test." | "a.test.", _) => vec![],
        _ => {
            response.metadata.response_code = ResponseCode::NXDomain;
            vec![]
        }
    };
    if records.is_empty() {
        let soa = SOA::new(name("ns.test."), name("admin.test."), 1, 3600, 600, 86_400, 60);
        response.add_authority(Record::from_rdata(name("test."), 60, RData::SOA(soa)));
    }
    response.add_answers(records);
    response
}

impl NameServer {
    async fn start() -> NameServer {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let address = socket.local_addr().expect("an address");
        let questions = Arc::new(AtomicUsize::new(0));
        let asked = questions.clone();
        let task = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok((count, peer)) = socket.recv_from(&mut buffer).await {
                asked.fetch_add(1, Ordering::SeqCst);
                let query = Message::from_vec(&buffer[..count]).expect("a query");
                let bytes = answer(&query).to_vec().expect("a response");
                socket.send_to(&bytes, peer).await.expect("a datagram");
            }
        });
        NameServer { address, questions, task }
    }

    fn resolver(&self) -> HickoryResolver {
        HickoryResolver::new(&[self.address]).expect("a resolver")
    }
}

#[tokio::test]
async fn mx_records_are_read_and_cached() {
    let server = NameServer::start().await;
    let resolver = server.resolver();
    for _ in 0..3 {
        let mut records = resolver.mx("mx.test").await.expect("records");
        records.sort_by_key(|record| record.preference);
        let mx = |preference, exchange: &str| Mx { preference, exchange: exchange.to_owned() };
        assert_eq!(records, [mx(10, "a.mx.test"), mx(20, "b.mx.test")]);
    }
    assert_eq!(server.questions.load(Ordering::SeqCst), 1, "the answer is kept for its time to live");
    assert_eq!(resolver.mx("null.test").await.expect("a record")[0].exchange, "");
}

#[tokio::test]
async fn both_families_of_addresses() {
    let server = NameServer::start().await;
    let addresses = server.resolver().addresses("a.test").await.expect("addresses");
    let expected: [IpAddr; 2] =
        ["2001:db8::1".parse().expect("an address"), "192.0.2.1".parse().expect("an address")];
    assert_eq!(addresses, expected);
}

#[tokio::test]
async fn absence_is_final_and_failure_is_not() {
    let server = NameServer::start().await;
    let resolver = server.resolver();
    assert!(matches!(resolver.mx("missing.test").await, Err(DnsError::NoSuchDomain { .. })));
    assert!(matches!(resolver.mx("a.test").await, Err(DnsError::NoRecord { record: "MX", .. })));
    assert!(matches!(resolver.addresses("missing.test").await, Err(DnsError::NoSuchDomain { .. })));
    assert!(matches!(resolver.addresses("mx.test").await, Err(DnsError::NoRecord { .. })));
    assert!(matches!(resolver.mx("broken.test").await, Err(DnsError::Unavailable { .. })));
    assert!(matches!(resolver.addresses("broken.test").await, Err(DnsError::Unavailable { .. })));
}
