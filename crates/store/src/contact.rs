//! Where and in which language an account is told things. Without a row of its own: the account's e-mail address
//! and telephone, in the site's language, every channel on. The inbox in the console is always on.

use indicia_domain::notice::{Channel, Language};
use sqlx::{AnyConnection, Row};

use crate::audit::{Actor, Deed};
use crate::{Result, Store, StoreError};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    pub language: Language,
    pub email: String,
    /// E.164; empty: none.
    pub phone: String,
    pub by_email: bool,
    pub by_sms: bool,
}

impl Contact {
    /// Where a notice over this channel goes; an error says why it goes nowhere.
    pub fn address(&self, channel: Channel) -> Result<&str, &'static str> {
        match channel {
            Channel::Station => Ok(""),
            Channel::Email if !self.by_email => Err("e-mail notices are turned off"),
            Channel::Email if self.email.is_empty() => Err("the account has no e-mail address for notices"),
            Channel::Email => Ok(&self.email),
            Channel::Sms if !self.by_sms => Err("SMS notices are turned off"),
            Channel::Sms if self.phone.is_empty() => Err("the account has no telephone number"),
            Channel::Sms => Ok(&self.phone),
        }
    }
}

const CONTACT: &str = "SELECT a.email, a.phone, c.language, c.email, c.phone, c.by_email, c.by_sms FROM account a \
    LEFT JOIN contact c ON c.account_id = a.account_id WHERE a.account_id = $1";

/// The contact of an account, in the caller's transaction; `None`: no such account.
pub(crate) async fn contact_of(connection: &mut AnyConnection, account_id: i64) -> Result<Option<Contact>> {
    let row = sqlx::query(CONTACT).bind(account_id).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(None) };
    let own: Option<String> = row.try_get(2)?;
    let Some(language) = own else {
        return Ok(Some(Contact {
            language: Language::default(),
            email: row.try_get(0)?,
            phone: row.try_get(1)?,
            by_email: true,
            by_sms: true,
        }));
    };
    let language = language.parse().map_err(|_| StoreError::Corrupt(format!("language '{language}'")))?;
    let yes = |column| row.try_get::<i64, _>(column).map(|value| value != 0);
    Ok(Some(Contact {
        language,
        email: row.try_get(3)?,
        phone: row.try_get(4)?,
        by_email: yes(5)?,
        by_sms: yes(6)?,
    }))
}

impl Store {
    /// `None`: no such account.
    pub async fn contact(&self, account_id: i64) -> Result<Option<Contact>> {
        contact_of(&mut *self.read().acquire().await?, account_id).await
    }

    /// Addresses and numbers are checked by whoever takes them in. `false`: no such account.
    pub async fn set_contact(&self, account_id: i64, contact: &Contact, actor: &Actor) -> Result<bool> {
        let audit_id = self.next_id().await?;
        let now = self.now();
        let mut transaction = self.begin().await?;
        let Some(before) = contact_of(&mut transaction, account_id).await? else { return Ok(false) };
        sqlx::query(
            "INSERT INTO contact (account_id, language, email, phone, by_email, by_sms, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (account_id) DO UPDATE SET language = excluded.language, \
             email = excluded.email, phone = excluded.phone, by_email = excluded.by_email, by_sms = excluded.by_sms, \
             updated_at = excluded.updated_at",
        )
        .bind(account_id)
        .bind(contact.language.as_str())
        .bind(contact.email.clone())
        .bind(contact.phone.clone())
        .bind(i64::from(contact.by_email))
        .bind(i64::from(contact.by_sms))
        .bind(now.0)
        .execute(&mut *transaction)
        .await?;
        let shown = |contact: &Contact| {
            let on = |on: bool| if on { "on" } else { "off" };
            format!(
                "{} {} ({}), {} ({})",
                contact.language,
                contact.email,
                on(contact.by_email),
                if contact.phone.is_empty() { "no telephone" } else { &contact.phone },
                on(contact.by_sms)
            )
        };
        let detail = format!("from {} to {}", shown(&before), shown(contact));
        let deed = Deed { audit_id, actor, account_id: Some(account_id), action: "set-contact", detail };
        deed.note(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(true)
    }
}
