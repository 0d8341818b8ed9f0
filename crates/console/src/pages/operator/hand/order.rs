//! What an operator asks for by form, read and checked: the form's text becomes a [`Deed`], or a note that says
//! what is wrong with it.

use indicia_domain::money::MoneyMicros;
use indicia_store::money::{ADJUSTED_MAILS_MAX, Adjusted};
use serde::Deserialize;

use crate::{
    ConsoleState,
    components::{Note, Tone},
    format,
};

/// The longest reason, in characters.
pub const REASON_LENGTH_MAX: usize = 500;
/// Enough that no two forms of an account ever share a token.
pub const TOKEN_SIZE_BYTES: usize = 16;

/// The fields as the forms send them. Text all of it, so that what is wrong with one can be said on the page.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct HandForm {
    /// `credit`, `money`, `free`, `package` or `limit`.
    #[serde(default)]
    pub kind: String,
    /// `give` or `take`.
    #[serde(default)]
    pub direction: String,
    #[serde(default)]
    pub amount: String,
    #[serde(default)]
    pub mails: String,
    #[serde(default)]
    pub instance: String,
    #[serde(default)]
    pub reason: String,
    /// The confirm page's token; empty before.
    #[serde(default)]
    pub token: String,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Money that came in or went out: a bank transfer, a payment in cash.
    Credit(MoneyMicros),
    /// A correction.
    Adjust(Adjusted),
    CreditLimit(MoneyMicros),
}

/// A deed with its reason.
#[derive(Clone, Debug)]
pub struct Order {
    pub deed: Deed,
    pub reason: String,
}

fn wrong(title: &str, text: impl Into<String>) -> Note {
    Note::new(Tone::Bad, title, text)
}

impl HandForm {
    pub fn has_token(&self) -> bool {
        self.token.len() == 2 * TOKEN_SIZE_BYTES && self.token.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    /// What is asked for, or what is wrong with it for the reader.
    pub fn check(&self) -> Result<Order, Note> {
        let deed = match self.kind.as_str() {
            "credit" => Deed::Credit(MoneyMicros(self.sign()? * self.money()?.0)),
            "money" => Deed::Adjust(Adjusted::Money(MoneyMicros(self.sign()? * self.money()?.0))),
            "free" => Deed::Adjust(Adjusted::FreeMails(self.sign()? * self.mails()?)),
            "package" => Deed::Adjust(Adjusted::PackageMails {
                instance_id: self.instance()?,
                mails: self.sign()? * self.mails()?,
            }),
            "limit" => Deed::CreditLimit(self.limit()?),
            _ => return Err(wrong("Choose what is to be done", "The forms below are all there is.")),
        };
        Ok(Order { deed, reason: self.reason()? })
    }

    fn sign(&self) -> Result<i64, Note> {
        match self.direction.as_str() {
            "give" => Ok(1),
            "take" => Ok(-1),
            _ => Err(wrong("Choose a direction", "It is either put on or taken off.")),
        }
    }

    fn money(&self) -> Result<MoneyMicros, Note> {
        match MoneyMicros::parse_payable(self.amount.trim()) {
            Ok(amount) if amount.0 > 0 => Ok(amount),
            Ok(_) => Err(wrong(
                "The amount must be above zero",
                "Whether it is put on or taken off is the other field.",
            )),
            Err(error) => Err(wrong("This amount cannot be booked", format!("{error}."))),
        }
    }

    fn limit(&self) -> Result<MoneyMicros, Note> {
        match MoneyMicros::parse_payable(self.amount.trim()) {
            Ok(limit) if limit.0 >= 0 => Ok(limit),
            Ok(_) => Err(wrong(
                "A credit limit is zero or more",
                "Zero means that bills are paid from money only.",
            )),
            Err(error) => Err(wrong("This limit cannot be set", format!("{error}."))),
        }
    }

    fn mails(&self) -> Result<i64, Note> {
        let mails = self.mails.trim().parse().ok().filter(|mails| (1..=ADJUSTED_MAILS_MAX).contains(mails));
        mails.ok_or_else(|| {
            let text = format!("Write a whole number from 1 to {}.", format::mails(ADJUSTED_MAILS_MAX));
            wrong("This number of mails cannot be booked", text)
        })
    }

    fn instance(&self) -> Result<String, Note> {
        match self.instance.trim() {
            "" => Err(wrong("Choose a package", "Only packages that have not ended can be changed.")),
            instance => Ok(instance.to_owned()),
        }
    }

    fn reason(&self) -> Result<String, Note> {
        let reason = self.reason.trim();
        if reason.is_empty() {
            let text = "It stands on the ledger's line and in the audit log for good; the account's owner can read it.";
            return Err(wrong("A reason is needed", text));
        }
        if reason.chars().count() > REASON_LENGTH_MAX || reason.chars().any(char::is_control) {
            let text = format!("It must be one line of at most {REASON_LENGTH_MAX} characters.");
            return Err(wrong("This reason cannot be kept", text));
        }
        Ok(reason.to_owned())
    }
}

impl Deed {
    /// The deed as a title.
    pub fn title(&self) -> &'static str {
        match self {
            Deed::Credit(amount) if amount.0 < 0 => "Take money off",
            Deed::Credit(_) => "Put money on",
            Deed::Adjust(Adjusted::Money(_)) => "Adjust money",
            Deed::Adjust(Adjusted::FreeMails(_)) => "Adjust free mails",
            Deed::Adjust(Adjusted::PackageMails { .. }) => "Adjust mails of a package",
            Deed::CreditLimit(_) => "Set the credit limit",
        }
    }

    /// By how much or to what, with its sign.
    pub fn amount(&self, state: &ConsoleState) -> String {
        let plus = |number: i64| if number > 0 { "+" } else { "" };
        match self {
            Deed::Credit(amount) | Deed::Adjust(Adjusted::Money(amount)) => {
                format!("{}{}", plus(amount.0), state.money(amount.0))
            }
            Deed::Adjust(Adjusted::FreeMails(mails) | Adjusted::PackageMails { mails, .. }) => {
                format!("{}{}", plus(*mails), format::mails_noun(*mails))
            }
            Deed::CreditLimit(limit) => state.money(limit.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(kind: &str, direction: &str, number: &str, reason: &str) -> HandForm {
        HandForm {
            kind: kind.into(),
            direction: direction.into(),
            amount: number.into(),
            mails: number.into(),
            instance: "DMBAG-1".into(),
            reason: reason.into(),
            token: String::new(),
        }
    }

    #[test]
    fn a_direction_gives_the_sign() {
        let deed = |kind, direction| form(kind, direction, "5", "goodwill").check().map(|order| order.deed);
        assert!(matches!(deed("credit", "give"), Ok(Deed::Credit(MoneyMicros(5_000_000)))));
        assert!(matches!(deed("credit", "take"), Ok(Deed::Credit(MoneyMicros(-5_000_000)))));
        assert!(matches!(deed("free", "take"), Ok(Deed::Adjust(Adjusted::FreeMails(-5)))));
        assert!(matches!(deed("limit", ""), Ok(Deed::CreditLimit(MoneyMicros(5_000_000)))));
    }

    #[test]
    fn what_cannot_be_booked_is_refused_with_a_word_for_the_reader() {
        for (kind, direction, number, reason) in [
            ("credit", "give", "0", "x"),
            ("credit", "give", "-1", "x"),
            ("credit", "give", "ten", "x"),
            ("credit", "give", "0.0000001", "x"),
            ("credit", "sideways", "1", "x"),
            ("credit", "give", "1", " "),
            ("credit", "give", "1", "two\nlines"),
            ("free", "give", "1.5", "x"),
            ("free", "give", "1000000001", "x"),
            ("package", "give", "0", "x"),
            ("limit", "", "-1", "x"),
            ("delete", "give", "1", "x"),
        ] {
            let note = form(kind, direction, number, reason).check().expect_err(number);
            assert!(!note.title.is_empty() && !note.text.is_empty(), "{kind} {number}");
        }
    }

    #[test]
    fn a_token_is_thirty_two_hexadecimal_digits() {
        let with = |token: &str| HandForm { token: token.into(), ..HandForm::default() }.has_token();
        assert!(with("0123456789abcdef0123456789abcdef"));
        assert!(!with("") && !with("0123") && !with("g123456789abcdef0123456789abcdef"));
    }
}
