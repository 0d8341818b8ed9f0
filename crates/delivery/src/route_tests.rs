//! Routing tables: each test gives a zone and says where mail goes.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::dns::FixedResolver;

fn ip(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
}

fn router(resolver: FixedResolver) -> Router {
    Router::new(Arc::new(resolver), vec![], 25)
}

async fn order(router: &Router, domain: &str, seed: u64) -> Vec<String> {
    let route = router.route(domain).await.expect("a route");
    let mut random = StdRng::seed_from_u64(seed);
    let candidates = router.candidates(&route, &mut random).await.expect("addresses");
    candidates.iter().map(|candidate| format!("{} {}", candidate.host, candidate.address)).collect()
}

#[tokio::test]
async fn mx_hosts_by_preference_and_equals_shuffled() {
    let zone = FixedResolver::new()
        .with_mx("example.net", &[(20, "backup"), (10, "a"), (10, "b")])
        .with_addresses("a", &[ip(1)])
        .with_addresses("b", &[ip(2)])
        .with_addresses("backup", &[ip(3)]);
    let router = router(zone);
    let mut orders = HashSet::new();
    for seed in 0..32 {
        let order = order(&router, "example.net", seed).await;
        assert_eq!(order.len(), 3);
        assert_eq!(order[2], "backup 192.0.2.3:25", "the backup is always last");
        orders.insert(order);
    }
    assert_eq!(orders.len(), 2, "both orders of the equals occur");
}

#[tokio::test]
async fn without_mx_the_domain_is_its_own_host() {
    let six: IpAddr = "2001:db8::1".parse().expect("an address");
    let router = router(FixedResolver::new().with_addresses("example.net", &[six, ip(9)]));
    assert_eq!(
        order(&router, "example.net", 1).await,
        ["example.net [2001:db8::1]:25", "example.net 192.0.2.9:25"]
    );
}

#[tokio::test]
async fn what_cannot_be_routed_says_whether_it_is_final() {
    let zone = FixedResolver::new()
        .with_mx("null.test", &[(0, "")])
        .with_mx("nowhere.test", &[(10, "mx.nowhere.test")])
        .with_mx("empty.test", &[])
        .with_failure("down.test", "SERVFAIL");
    let router = router(zone);
    let failed = async |domain: &str| router.route(domain).await.expect_err("no route");
    assert_eq!(failed("null.test").await.failure(), Failure::NullMx);
    assert!(failed("null.test").await.words().starts_with("556 5.1.10 "));
    assert_eq!(failed("unknown.test").await.failure(), Failure::DomainNotFound);
    assert!(failed("unknown.test").await.words().starts_with("550 5.1.2 "));
    assert_eq!(failed("down.test").await.failure(), Failure::DnsUnavailable);
    assert!(failed("down.test").await.words().starts_with("451 4.4.3 "));

    let route = router.route("nowhere.test").await.expect("an MX record is there");
    let error = router.candidates(&route, &mut StdRng::seed_from_u64(1)).await.expect_err("no address");
    assert_eq!(error.failure(), Failure::DnsUnavailable, "a dangling MX is worth the retries: {error}");
}

#[tokio::test]
async fn a_name_without_mx_and_address_is_final() {
    struct Bare;
    #[async_trait::async_trait]
    impl Resolver for Bare {
        async fn mx(&self, domain: &str) -> Result<Vec<crate::dns::Mx>, DnsError> {
            Err(DnsError::NoRecord { name: domain.into(), record: "MX" })
        }
        async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsError> {
            Err(DnsError::NoRecord { name: host.into(), record: "A or AAAA" })
        }
    }
    let error = Router::new(Arc::new(Bare), vec![], 25).route("txt-only.test").await.expect_err("no host");
    assert_eq!(error.failure(), Failure::NoMailHost);
}

#[tokio::test]
async fn a_dead_mx_name_does_not_hide_the_others() {
    let zone = FixedResolver::new()
        .with_mx("example.net", &[(10, "gone"), (20, "alive")])
        .with_failure("gone", "timeout")
        .with_addresses("alive", &[ip(7)]);
    assert_eq!(order(&router(zone), "example.net", 3).await, ["alive 192.0.2.7:25"]);
}

#[tokio::test]
async fn overrides_by_exactness() {
    let entry =
        |domain: &str, host: &str, port| RouteOverride { domain: domain.into(), host: host.into(), port };
    let zone = FixedResolver::new().with_addresses("relay.test", &[ip(5)]);
    let router = Router::new(
        Arc::new(zone),
        vec![
            entry("*", "127.0.0.1", Some(2600)),
            entry("*.example.net", "Relay.Test.", None),
            entry("*.deep.example.net", "127.0.0.2", Some(26)),
            entry("example.net", "::1", Some(27)),
        ],
        2525,
    );
    let table = [
        ("example.net", "::1 [::1]:27"),
        ("a.example.net", "relay.test 192.0.2.5:2525"),
        ("b.deep.example.net", "127.0.0.2 127.0.0.2:26"),
        ("badexample.net", "127.0.0.1 127.0.0.1:2600"),
        ("other.org", "127.0.0.1 127.0.0.1:2600"),
    ];
    for (domain, expected) in table {
        assert_eq!(order(&router, domain, 0).await, [expected], "{domain}");
    }
}

#[tokio::test]
async fn domains_with_the_same_mx_set_share_a_site() {
    let zone = FixedResolver::new()
        .with_mx("one.test", &[(10, "a.mx"), (20, "b.mx")])
        .with_mx("two.test", &[(5, "b.mx"), (5, "a.mx")])
        .with_mx("three.test", &[(5, "b.mx")]);
    let router = router(zone);
    let mut sites = vec![];
    for domain in ["one.test", "two.test", "three.test"] {
        sites.push(router.route(domain).await.expect("a route").site);
    }
    assert_eq!(&*sites[0], "a.mx,b.mx:25");
    assert_eq!(sites[0], sites[1]);
    assert_ne!(sites[0], sites[2]);
}

#[tokio::test]
async fn address_literals_need_no_dns() {
    let router = router(FixedResolver::new());
    assert_eq!(order(&router, "[192.0.2.8]", 0).await, ["192.0.2.8 192.0.2.8:25"]);
    assert_eq!(order(&router, "[IPv6:2001:db8::5]", 0).await, ["2001:db8::5 [2001:db8::5]:25"]);
    assert!(router.route("[nonsense]").await.is_err());
}
