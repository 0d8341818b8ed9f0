//! Contacts and channels: where, how and in which language an account is told things (R14).

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use indicia_domain::{notice::Language, phone::PhoneNumber};
use indicia_store::contact::Contact;
use serde::Deserialize;

use super::SelectOption;
use crate::{
    ConsoleState,
    components::{Note, Tone},
    error::{ConsoleError, page, with_cookie},
    session::{
        cookie::Cookie,
        viewer::{AccountView, here},
    },
    shell::{CONTACTS, Flash, MESSAGES, Place, Shell},
};

const LANGUAGES: &[(&str, &str)] = &[("en", "English"), ("zh", "中文 (Chinese)")];
/// RFC 5321, 4.5.3.1: a path with its brackets has at most 256 octets.
const ADDRESS_LENGTH_MAX: usize = 254;

/// The form's fields as sent. A box that is not ticked is not sent at all.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ContactForm {
    #[serde(default)]
    language: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    phone: String,
    #[serde(default)]
    by_email: Option<String>,
    #[serde(default)]
    by_sms: Option<String>,
}

impl ContactForm {
    fn of(contact: &Contact) -> Self {
        let ticked = |is_on: bool| is_on.then(|| "on".to_owned());
        Self {
            language: contact.language.as_str().to_owned(),
            email: contact.email.clone(),
            phone: contact.phone.clone(),
            by_email: ticked(contact.by_email),
            by_sms: ticked(contact.by_sms),
        }
    }

    /// The contact, or what is wrong with it for the reader.
    fn check(&self) -> Result<Contact, Note> {
        let wrong = |title: &str, text: String| Note::new(Tone::Bad, title, text);
        let language: Language = self
            .language
            .parse()
            .map_err(|_| wrong("Choose a language", "Notices are written in English or Chinese.".into()))?;
        let (email, phone) = (self.email.trim(), self.phone.trim());
        let (by_email, by_sms) = (self.by_email.is_some(), self.by_sms.is_some());
        if !email.is_empty() && !is_address(email) {
            return Err(wrong("This is no e-mail address", "Write it as name@example.com.".into()));
        }
        if email.is_empty() && by_email {
            let text = "Give an e-mail address, or turn e-mail off.";
            return Err(wrong("There is no address to write to", text.into()));
        }
        let phone = match phone {
            "" => String::new(),
            text => PhoneNumber::parse(text)
                .map_err(|error| wrong("This is no telephone number", format!("{error}.")))?
                .to_string(),
        };
        Ok(Contact { language, email: email.to_owned(), phone, by_email, by_sms })
    }
}

/// Whether a text is an address of the plain form that every mail server takes: letters, digits and the signs of
/// RFC 5321's dot-string, an @, a domain name with a dot.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte))
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= ADDRESS_LENGTH_MAX
        && local.len() <= 64
        && local.split('.').all(is_atom)
        && domain.contains('.')
        && domain.split('.').all(is_label)
}

#[derive(Template)]
#[template(path = "contacts/contacts.html")]
struct ContactsPage {
    shell: Shell,
    note: Option<Note>,
    action: String,
    messages_href: String,
    languages: Vec<SelectOption>,
    form: ContactForm,
}

/// `GET /accounts/{account_id}/contacts`
pub async fn show(State(state): State<ConsoleState>, view: AccountView) -> Result<Response, ConsoleError> {
    let contact = state.store.contact(view.id()).await?;
    let contact = contact.ok_or(ConsoleError::NotFound { what: "account" })?;
    contacts_page(&state, &view, ContactForm::of(&contact), None)
}

fn contacts_page(
    state: &ConsoleState,
    view: &AccountView,
    form: ContactForm,
    note: Option<Note>,
) -> Result<Response, ConsoleError> {
    let status = if note.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let title = "Contacts and channels";
    let template = ContactsPage {
        shell: view.shell(state, Place::Contacts, title).with_crumbs(vec![here(title)]),
        note,
        action: view.href(CONTACTS),
        messages_href: view.href(MESSAGES),
        languages: SelectOption::list(LANGUAGES, &form.language),
        form,
    };
    Ok((status, page(&template)?).into_response())
}

/// `POST /accounts/{account_id}/contacts`
pub async fn save(
    State(state): State<ConsoleState>,
    view: AccountView,
    Form(form): Form<ContactForm>,
) -> Result<Response, ConsoleError> {
    let contact = match form.check() {
        Ok(contact) => contact,
        Err(note) => return contacts_page(&state, &view, form, Some(note)),
    };
    if !state.store.set_contact(view.id(), &contact, &view.actor()).await? {
        return Err(ConsoleError::NotFound { what: "account" });
    }
    let cookie = state.cookies().set(Cookie::Flash, Flash::ContactSaved.name(), Some(30));
    Ok(with_cookie(Redirect::to(&view.href(CONTACTS)).into_response(), cookie))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_and_what_is_none_is_not() {
        for good in ["a@b.example", "first.last+tag@mail.example.co", "o'neil@x-y.example"] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "@b.example",
            "a@",
            "a@b",
            "a b@c.example",
            ".a@b.example",
            "a..b@c.example",
            "a@-b.example",
            "a@b..example",
            "a@b.example\r\nBcc: x@y.example",
            "ä@b.example",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn e_mail_that_is_on_needs_an_address() {
        let form = |email: &str, phone: &str, by_email: bool, by_sms: bool| ContactForm {
            language: "zh".into(),
            email: email.into(),
            phone: phone.into(),
            by_email: by_email.then(|| "on".into()),
            by_sms: by_sms.then(|| "on".into()),
        };
        let contact = form("a@b.example", "+86 138-0000-0000", true, true).check().expect("a contact");
        assert_eq!((contact.phone.as_str(), contact.language), ("+8613800000000", Language::Chinese));
        assert!(form("", "", true, false).check().is_err());
        assert!(form("a@b.example", "", true, true).check().is_ok(), "SMS begin with the first number");
        assert!(form("a@b.example", "0138", true, false).check().is_err());
        assert!(form("", "", false, false).check().is_ok());
    }
}
