//! Who this account sends as: domains with the DNS records they need, sender addresses, access keys.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use indicia_store::directory::{Domain, SendType, Sender};

use crate::{
    ConsoleState,
    components::{Badge, Empty, Icon, Tone},
    error::{ConsoleError, page},
    format::Moment,
    session::viewer::{AccountView, here},
    shell::{Place, Shell},
};

struct DomainRow {
    href: String,
    name: String,
    badge: Badge,
    found: String,
    checked_at: Option<Moment>,
    created_at: Moment,
}

#[derive(Template)]
#[template(path = "sending/domains.html")]
struct DomainsPage {
    shell: Shell,
    rows: Vec<DomainRow>,
    empty: Option<Empty>,
}

/// `GET /accounts/{account_id}/sending/domains`
pub async fn domains(State(state): State<ConsoleState>, view: AccountView) -> Result<Response, ConsoleError> {
    let domains = state.store.domains(view.id()).await?;
    let rows: Vec<DomainRow> = domains.iter().map(|domain| domain_row(&view, domain)).collect();
    page(&DomainsPage {
        shell: view.shell(&state, Place::Domains, "Domains").with_crumbs(vec![here("Domains")]),
        empty: rows.is_empty().then(|| {
            let text = "Call CreateDomain with the domain's name, set the DNS records that this page then shows, and call \
                        CheckDomain.";
            Empty::new(Icon::Globe, "No domain yet", text)
        }),
        rows,
    })
}

fn domain_row(view: &AccountView, domain: &Domain) -> DomainRow {
    let checks = domain.checks;
    let found: Vec<&str> = [
        (checks.ownership, "ownership"),
        (checks.spf, "SPF"),
        (checks.dkim, "DKIM"),
        (checks.dmarc, "DMARC"),
        (checks.mx, "MX"),
    ]
    .into_iter()
    .filter_map(|(is_found, name)| is_found.then_some(name))
    .collect();
    DomainRow {
        href: view.href(&format!("/sending/domains/{}", domain.domain_id)),
        name: domain.name.clone(),
        badge: domain_badge(domain),
        found: if found.is_empty() { "none yet".into() } else { found.join(", ") },
        checked_at: domain.checked_at.map(|at| view.zone.moment(at)),
        created_at: view.zone.moment(domain.created_at),
    }
}

fn domain_badge(domain: &Domain) -> Badge {
    if !domain.verified {
        return Badge::new(Tone::Warn, "Not verified");
    }
    let by_operator = domain.operator_verified_at.is_some();
    Badge::new(Tone::Good, if by_operator { "Verified by the operator" } else { "Verified" })
}

struct RecordRow {
    purpose: &'static str,
    need: &'static str,
    kind: &'static str,
    host: String,
    value: String,
    badge: Badge,
}

#[derive(Template)]
#[template(path = "sending/domain.html")]
struct DomainPage {
    shell: Shell,
    id: i64,
    name: String,
    badge: Badge,
    lede: String,
    checked_at: Option<Moment>,
    records: Vec<RecordRow>,
}

/// `GET /accounts/{account_id}/sending/domains/{domain_id}`
pub async fn domain(
    State(state): State<ConsoleState>,
    view: AccountView,
    Path((_, domain_id)): Path<(String, String)>,
) -> Result<Response, ConsoleError> {
    let missing = || ConsoleError::NotFound { what: "domain" };
    let domain_id = domain_id.parse().map_err(|_| missing())?;
    let domain = state.store.domain(view.id(), domain_id).await?.ok_or_else(missing)?;
    let crumbs = vec![view.crumb("Domains", "/sending/domains"), here(domain.name.clone())];
    page(&DomainPage {
        shell: view.shell(&state, Place::Domains, &domain.name).with_crumbs(crumbs),
        id: domain.domain_id,
        badge: domain_badge(&domain),
        lede: lede(&view, &domain),
        checked_at: domain.checked_at.map(|at| view.zone.moment(at)),
        records: records(&state, &domain),
        name: domain.name,
    })
}

fn lede(view: &AccountView, domain: &Domain) -> String {
    match (domain.verified, domain.operator_verified_at) {
        (true, Some(at)) => format!(
            "It can send: the operator vouched for it on {}. Set the records all the same: receivers look at them.",
            view.zone.moment(at).full()
        ),
        (true, None) => "It can send. Keep the records as long as mail goes out under this name.".into(),
        (false, _) => "It cannot send yet. Set the required records where the domain's DNS is kept.".into(),
    }
}

fn records(state: &ConsoleState, domain: &Domain) -> Vec<RecordRow> {
    let dns = &state.config.dns;
    let (name, checks) = (&domain.name, domain.checks);
    let ownership_host =
        if dns.ownership_label.is_empty() { name.clone() } else { format!("{}.{name}", dns.ownership_label) };
    let badge = |is_found: bool| record_badge(is_found, domain.checked_at.is_some());
    let dkim_record = |key: &str| format!("v=DKIM1; k=rsa; p={key}");
    let mut rows = vec![
        RecordRow {
            purpose: "Ownership",
            need: "required",
            kind: "TXT",
            host: ownership_host,
            value: domain.ownership_token.clone(),
            badge: badge(checks.ownership),
        },
        RecordRow {
            purpose: "SPF",
            need: "required",
            kind: "TXT",
            host: name.clone(),
            value: dns.spf_record.clone(),
            badge: badge(checks.spf),
        },
        RecordRow {
            purpose: "DKIM",
            need: "required",
            kind: "TXT",
            host: format!("{}._domainkey.{name}", domain.dkim.selector),
            value: dkim_record(&domain.dkim.public_key),
            badge: badge(checks.dkim),
        },
    ];
    if let Some(next) = &domain.next_dkim {
        rows.push(RecordRow {
            purpose: "DKIM, next key",
            need: "signs as soon as it is found",
            kind: "TXT",
            host: format!("{}._domainkey.{name}", next.selector),
            value: dkim_record(&next.public_key),
            badge: Badge::new(Tone::Info, "Waiting for it"),
        });
    }
    rows.push(RecordRow {
        purpose: "DMARC",
        need: "recommended",
        kind: "TXT",
        host: format!("_dmarc.{name}"),
        value: dns.dmarc_record.clone(),
        badge: badge(checks.dmarc),
    });
    rows.push(RecordRow {
        purpose: "MX",
        need: "recommended, for replies and bounces",
        kind: "MX",
        host: name.clone(),
        value: format!("10 {}", dns.mx_host),
        badge: badge(checks.mx),
    });
    rows
}

fn record_badge(is_found: bool, was_checked: bool) -> Badge {
    match (is_found, was_checked) {
        (true, _) => Badge::new(Tone::Good, "Found"),
        (false, true) => Badge::new(Tone::Warn, "Not found"),
        (false, false) => Badge::new(Tone::Neutral, "Not checked"),
    }
}

struct SenderRow {
    address: String,
    badge: Badge,
    kind: &'static str,
    reply_address: String,
    password: &'static str,
    created_at: Moment,
}

#[derive(Template)]
#[template(path = "sending/addresses.html")]
struct AddressesPage {
    shell: Shell,
    rows: Vec<SenderRow>,
    empty: Option<Empty>,
}

/// `GET /accounts/{account_id}/sending/addresses`
pub async fn addresses(
    State(state): State<ConsoleState>,
    view: AccountView,
) -> Result<Response, ConsoleError> {
    let senders = state.store.senders(view.id()).await?;
    let rows: Vec<SenderRow> = senders.iter().map(|sender| sender_row(&view, sender)).collect();
    page(&AddressesPage {
        shell: view.shell(&state, Place::Addresses, "Sender addresses").with_crumbs(vec![here("Sender addresses")]),
        empty: rows.is_empty().then(|| {
            let text = "Call CreateMailAddress with an address of one of your domains. It can send once the domain is verified.";
            Empty::new(Icon::Person, "No sender address yet", text)
                .with_link(view.href("/sending/domains"), "See the domains")
        }),
        rows,
    })
}

fn sender_row(view: &AccountView, sender: &Sender) -> SenderRow {
    let badge = match (sender.frozen, sender.domain_verified) {
        (true, _) => Badge::new(Tone::Bad, "Frozen"),
        (false, true) => Badge::new(Tone::Good, "Can send"),
        (false, false) => Badge::new(Tone::Warn, "Domain not verified"),
    };
    SenderRow {
        address: sender.address.clone(),
        badge,
        kind: match sender.send_type {
            SendType::Batch => "Batch",
            SendType::Trigger => "Triggered",
        },
        reply_address: sender.reply_address.clone(),
        password: match (&sender.password_hash, &sender.domain_password_hash) {
            (Some(_), _) => "Set",
            (None, Some(_)) => "The domain's",
            (None, None) => "Not set",
        },
        created_at: view.zone.moment(sender.created_at),
    }
}

struct KeyRow {
    id: String,
    badge: Badge,
    created_at: Moment,
}

#[derive(Template)]
#[template(path = "sending/keys.html")]
struct KeysPage {
    shell: Shell,
    rows: Vec<KeyRow>,
    empty: Option<Empty>,
}

/// `GET /accounts/{account_id}/sending/access-keys`
pub async fn access_keys(
    State(state): State<ConsoleState>,
    view: AccountView,
) -> Result<Response, ConsoleError> {
    let keys = state.store.access_keys(view.id()).await?;
    let row = |key: &indicia_store::account::AccessKey| KeyRow {
        id: key.access_key_id.clone(),
        badge: if key.disabled {
            Badge::new(Tone::Neutral, "Disabled")
        } else {
            Badge::new(Tone::Good, "Active")
        },
        created_at: view.zone.moment(key.created_at),
    };
    let rows: Vec<KeyRow> = keys.iter().map(row).collect();
    page(&KeysPage {
        shell: view.shell(&state, Place::Keys, "Access keys").with_crumbs(vec![here("Access keys")]),
        empty: rows.is_empty().then(|| {
            Empty::new(
                Icon::Key,
                "No access key",
                "The operator of this installation can make one for this account.",
            )
        }),
        rows,
    })
}
