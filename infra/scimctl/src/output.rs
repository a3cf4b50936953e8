//! The output of the commands: lines of text for people, or one JSON document for scripts.

use std::{
    fmt,
    io::{self, Write},
};

use clap::ValueEnum;
use serde::Serialize;
use service::{
    auth::Org,
    store::{KeyRecord, Organisation, doctor::Report},
};

/// The format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines of text
    Text,
    /// One JSON document
    Json,
}

/// The result of a command.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Output {
    Organisation(Organisation),
    Organisations {
        organisations: Vec<Organisation>,
    },
    OrganisationWithKeys {
        #[serde(flatten)]
        organisation: Organisation,
        keys: Vec<KeyRecord>,
    },
    Keys {
        keys: Vec<KeyRecord>,
    },
    /// The only output that contains a key itself.
    NewKey {
        #[serde(flatten)]
        record: KeyRecord,
        org: Org,
        key: String,
    },
    Revoked {
        org: Org,
        id: String,
        revoked: bool,
    },
    Report {
        org: Org,
        healthy: bool,
        #[serde(flatten)]
        report: Report,
    },
}

impl Output {
    /// Prints the output to standard output.
    pub(crate) fn print(&self, format: Format) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match format {
            Format::Text => write!(out, "{self}")?,
            Format::Json => serde_json::to_writer_pretty(&mut out, self)?,
        }
        writeln!(out)
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organisation(organisation) => f.write_str(&organisation_text(organisation)),
            Self::Organisations { organisations } => {
                f.write_str(&lines(organisations, organisation_text, "no organisations"))
            }
            Self::OrganisationWithKeys { organisation, keys } => {
                writeln!(f, "{}", organisation_text(organisation))?;
                f.write_str(&lines(keys, key_text, "no keys"))
            }
            Self::Keys { keys } => f.write_str(&lines(keys, key_text, "no keys")),
            Self::NewKey { record, key, .. } => {
                writeln!(f, "{}\n{key}", key_text(record))?;
                f.write_str("The key is shown only once and is not stored. Copy it now.")
            }
            Self::Revoked { org, id, .. } => write!(f, "revoked {id} of {org}"),
            Self::Report { org, healthy, report: Report { users, groups, memberships, findings } } => {
                let verdict = if *healthy { "healthy" } else { "NOT healthy" };
                write!(f, "{org}: {verdict}: {users} users, {groups} groups, {memberships} memberships")?;
                findings.iter().try_for_each(|finding| write!(f, "\n{finding}"))
            }
        }
    }
}

fn organisation_text(Organisation { org, enabled, created }: &Organisation) -> String {
    format!("{org}  SCIM {}  created {created}", if *enabled { "on" } else { "off" })
}

fn key_text(KeyRecord { id, scopes, created, revoked }: &KeyRecord) -> String {
    let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    let state = revoked.as_ref().map_or_else(|| "active".to_owned(), |time| format!("revoked {time}"));
    format!("{id}  {}  created {created}  {state}", scopes.join(","))
}

fn lines<T>(items: &[T], text: fn(&T) -> String, none: &str) -> String {
    if items.is_empty() { none.to_owned() } else { items.iter().map(text).collect::<Vec<_>>().join("\n") }
}
