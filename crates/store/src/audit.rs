//! Who did what, to which account, and when. Entries are written in the transaction of the deed, and never changed.

use indicia_domain::time::UnixMicros;
use sqlx::AnyConnection;

use crate::{Result, Store};

/// Who does something.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    pub kind: ActorKind,
    /// An e-mail address, an access key's id, a user's name.
    pub name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActorKind {
    Operator,
    Account,
    ApiKey,
    CommandLine,
    /// A job, or a payment provider.
    System,
}

impl ActorKind {
    pub fn as_str(self) -> &'static str {
        match self {
            ActorKind::Operator => "operator",
            ActorKind::Account => "account",
            ActorKind::ApiKey => "api-key",
            ActorKind::CommandLine => "command-line",
            ActorKind::System => "system",
        }
    }
}

impl Actor {
    pub fn new(kind: ActorKind, name: impl Into<String>) -> Actor {
        Actor { kind, name: name.into() }
    }

    pub fn system(name: &str) -> Actor {
        Actor::new(ActorKind::System, name)
    }
}

/// `operator ann@example.com`
impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

#[derive(Clone, Debug)]
pub struct AuditEntry {
    pub audit_id: i64,
    pub at: UnixMicros,
    /// As [`Actor`] prints itself.
    pub actor: String,
    /// `None`: the whole installation.
    pub account_id: Option<i64>,
    pub action: String,
    pub detail: String,
}

/// A deed to be noted, in the transaction that does it.
pub(crate) struct Deed<'a> {
    pub audit_id: i64,
    pub actor: &'a Actor,
    pub account_id: Option<i64>,
    pub action: &'a str,
    pub detail: String,
}

impl Deed<'_> {
    pub async fn note(self, connection: &mut AnyConnection, now: UnixMicros) -> Result<()> {
        sqlx::query(
            "INSERT INTO audit (audit_id, at, actor_kind, actor, account_id, action, detail) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(self.audit_id)
        .bind(now.0)
        .bind(self.actor.kind.as_str())
        .bind(self.actor.name.clone())
        .bind(self.account_id.unwrap_or(0))
        .bind(self.action.to_owned())
        .bind(self.detail)
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl Store {
    /// Notes something that has no transaction of its own here.
    pub async fn note_audit(
        &self,
        actor: &Actor,
        account_id: Option<i64>,
        action: &str,
        detail: &str,
    ) -> Result<()> {
        let audit_id = self.next_id().await?;
        let mut transaction = self.begin().await?;
        let deed = Deed { audit_id, actor, account_id, action, detail: detail.to_owned() };
        deed.note(&mut transaction, self.now()).await?;
        transaction.commit().await?;
        Ok(())
    }
}
