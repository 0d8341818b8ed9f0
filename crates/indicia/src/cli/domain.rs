//! `indicia domain …`

use clap::Subcommand;
use indicia_intake::api::directmail::dkim_key;
use indicia_store::directory::{RegisterError, VerifyError};

use super::output::{Out, print};
use super::{ConfigFile, Done, Failure, Opened, account_id, named_account, note_done};
use crate::secrets;

#[derive(Subcommand)]
pub enum DomainCommand {
    /// Take an operator's word that a domain is the account's, without DNS. Registers it if it is not yet.
    Verify {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        /// The domain's name, as mail.example.com.
        domain: String,
        #[command(flatten)]
        file: ConfigFile,
    },
    /// List an account's domains.
    List {
        /// The account's id, as `indicia account list` shows it.
        #[arg(value_parser = account_id)]
        account_id: i64,
        #[command(flatten)]
        file: ConfigFile,
    },
}

pub async fn run(command: DomainCommand) -> Done {
    match command {
        DomainCommand::Verify { account_id, domain, file } => {
            let opened = file.open().await?;
            let done = verify(&opened, account_id, &domain).await;
            opened.finish(done).await
        }
        DomainCommand::List { account_id, file } => {
            let opened = file.open().await?;
            let done = list(&opened, account_id).await;
            opened.finish(done).await
        }
    }
}

/// Registers the domain if need be and marks it verified; returns its id. Shared with the demo.
pub async fn make_verified(opened: &Opened, account_id: i64, name: &str) -> Result<i64, Failure> {
    let store = &opened.store;
    if store.account(account_id).await?.is_none() {
        return Err(Failure::failed(format!("there is no account {account_id}")));
    }
    let name = indicia_intake::message::syntax::domain_name(name)
        .map_err(|error| Failure::usage(format!("'{name}' is not a domain name: {error}")))?;
    if store.domain_by_name(account_id, &name).await?.is_none() {
        let key = dkim_key::generate("indicia").map_err(Failure::failed)?;
        let token = secrets::random_text(20);
        let limit = opened.config.limits.domains;
        store.create_domain(account_id, &name, &token, &key, limit).await.map_err(|error| match error {
            RegisterError::Limit(limit) => {
                Failure::failed(format!("the account has {limit} domains, and that is the most"))
            }
            other => Failure::failed(other),
        })?;
    }
    store.verify_domain_by_operator(account_id, &name).await.map_err(|error| match error {
        VerifyError::ElsewhereVerified => Failure::failed(format!("{name}: {error}")),
        other => Failure::failed(other),
    })?;
    let domain = store.domain_by_name(account_id, &name).await?;
    domain
        .map(|domain| domain.domain_id)
        .ok_or_else(|| Failure::failed(format!("{name} was deleted meanwhile")))
}

async fn verify(opened: &Opened, account_id: i64, domain: &str) -> Done {
    make_verified(opened, account_id, domain).await?;
    note_done(opened, Some(account_id), "verify-domain", &format!("{domain}, on an operator's word")).await?;
    print(format_args!("{domain} is verified for account {account_id}, on your word"))
}

async fn list(opened: &Opened, account_id: i64) -> Done {
    named_account(opened, account_id).await?;
    let mut out = Out::open();
    for domain in opened.store.domains(account_id).await? {
        let state = if domain.verified { "verified" } else { "not verified" };
        out.line(format_args!("{}  {}  {state}", domain.domain_id, domain.name))?;
    }
    out.close()
}
