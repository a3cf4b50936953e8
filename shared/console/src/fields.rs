//! Fields of forms for keys and clients: what a person has entered, and what is wrong with it.

use std::collections::BTreeSet;

use serde::Deserialize;
use service::{
    auth::Scope,
    store::{MAX_LABEL, MAX_SECRET_LIFETIME, check_end, check_label},
};
use texts::fill;
use time::{Date, Duration, OffsetDateTime, macros::format_description};

use crate::page::Frame;

/// Values that a person has entered to create a key, a client or a secret.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Entered {
    pub(crate) label: String,
    scim: String,
    read: String,
    write: String,
    pub(crate) expiry: String,
    pub(crate) date: String,
    /// The id of the form.
    pub(crate) form: String,
}

/// The faults of each field.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    pub(crate) label: Option<String>,
    pub(crate) scopes: Option<&'static str>,
    pub(crate) expiry: Option<&'static str>,
    pub(crate) date: Option<&'static str>,
}

impl Faults {
    /// Returns whether there are any.
    pub(crate) fn any(&self) -> bool {
        self.label.is_some() || self.scopes.is_some() || self.expiry.is_some() || self.date.is_some()
    }
}

/// The longest time to the end of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Longest {
    /// The lifetime of a key.
    Key,
    /// The lifetime of a secret of a client.
    Secret,
}

impl Entered {
    /// Returns the fields of an empty form for a key.
    pub(crate) fn key(form: String) -> Self {
        Self { scim: ON.to_owned(), expiry: "365".to_owned(), form, ..Self::default() }
    }

    /// Returns the fields of a refused form, which is sent again.
    pub(crate) fn again(self, form: String) -> Self {
        Self { form, ..self }
    }

    /// Returns whether a scope is chosen.
    pub(crate) fn has(&self, scope: &str) -> bool {
        let value = match scope {
            "scim" => &self.scim,
            "read" => &self.read,
            _ => &self.write,
        };
        value == ON
    }

    /// Returns the chosen scopes.
    pub(crate) fn scopes(&self) -> BTreeSet<Scope> {
        [Scope::Scim, Scope::Read, Scope::Write]
            .into_iter()
            .filter(|scope| self.has(scope.as_str()))
            .collect()
    }

    /// Returns the label, if there is one.
    pub(crate) fn label(&self) -> Option<String> {
        let label = self.label.trim();
        (!label.is_empty()).then(|| label.to_owned())
    }

    /// Checks the label and the scopes.
    pub(crate) fn check(&self, frame: &Frame) -> Faults {
        let texts = &frame.t.keys;
        let label = check_label(self.label().as_deref());
        let label = label.is_err().then(|| fill(texts.label_fault, &[("count", &MAX_LABEL.to_string())]));
        let scopes = self.scopes().is_empty().then_some(texts.scopes_fault);
        Faults { label, scopes, ..Faults::default() }
    }

    /// Returns the end, and notes what is wrong with it.
    pub(crate) fn end(
        &self,
        frame: &Frame,
        now: OffsetDateTime,
        longest: Longest,
        faults: &mut Faults,
    ) -> Option<OffsetDateTime> {
        let texts = &frame.t.keys;
        // A date that is entered counts, whatever is chosen beside it.
        let expiry = if self.date.trim().is_empty() { self.expiry.as_str() } else { "date" };
        match expiry {
            // Only a key may have no end.
            "none" => return None,
            "" if matches!(longest, Longest::Secret) => return None,
            "90" => return Some(now + Duration::days(90)),
            "365" => return Some(now + Duration::days(365)),
            "date" => {}
            _ => {
                faults.expiry = Some(texts.expiry_fault);
                return None;
            }
        }
        let day = Date::parse(self.date.trim(), format_description!("[year]-[month]-[day]")).ok();
        let Some(day) = day else {
            faults.date = Some(texts.date_fault);
            return None;
        };
        // The last days of the calendar have no end.
        let end = frame.zone.end_of(day).filter(|end| match longest {
            Longest::Key => check_end(Some(*end), now).is_ok(),
            Longest::Secret => *end > now && *end - now <= MAX_SECRET_LIFETIME,
        });
        if end.is_none() {
            faults.date = Some(match longest {
                Longest::Key => texts.date_key_fault,
                Longest::Secret => texts.date_secret_fault,
            });
        }
        end
    }
}

/// The value of a checked box.
const ON: &str = "on";
