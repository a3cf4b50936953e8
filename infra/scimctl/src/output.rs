//! The output of the commands: lines of text for people, or one JSON document for scripts.

use std::{
    fmt,
    io::{self, Write},
};

use clap::ValueEnum;
use serde::Serialize;
use service::{
    auth::Scope,
    store::{KeyRecord, Organisation},
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
    Organisation(OrgOutput),
    Organisations {
        organisations: Vec<OrgOutput>,
    },
    OrganisationWithKeys {
        #[serde(flatten)]
        organisation: OrgOutput,
        keys: Vec<KeyOutput>,
    },
    Keys {
        keys: Vec<KeyOutput>,
    },
    /// The only output that contains a key itself.
    NewKey {
        #[serde(flatten)]
        record: KeyOutput,
        org: String,
        key: String,
    },
    Revoked {
        org: String,
        id: String,
        revoked: bool,
    },
    Report {
        org: String,
        healthy: bool,
        users: usize,
        groups: usize,
        memberships: usize,
        findings: Vec<String>,
    },
}

/// An organisation.
#[derive(Serialize)]
pub(crate) struct OrgOutput {
    org: String,
    enabled: bool,
    created: String,
}

/// An API key, without the key itself.
#[derive(Serialize)]
pub(crate) struct KeyOutput {
    id: String,
    scopes: Vec<&'static str>,
    created: String,
    revoked: Option<String>,
}

impl From<Organisation> for OrgOutput {
    fn from(Organisation { org, enabled, created }: Organisation) -> Self {
        Self { org: org.to_string(), enabled, created }
    }
}

impl From<KeyRecord> for KeyOutput {
    fn from(KeyRecord { id, scopes, created, revoked }: KeyRecord) -> Self {
        Self { id, scopes: scopes.into_iter().map(Scope::as_str).collect(), created, revoked }
    }
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
            Self::Organisation(organisation) => write!(f, "{organisation}"),
            Self::Organisations { organisations } => write_lines(f, organisations, "no organisations"),
            Self::OrganisationWithKeys { organisation, keys } => {
                writeln!(f, "{organisation}")?;
                write_lines(f, keys, "no keys")
            }
            Self::Keys { keys } => write_lines(f, keys, "no keys"),
            Self::NewKey { record, key, .. } => {
                write!(f, "{record}\n{key}\nThe key is shown only once and is not stored. Copy it now.")
            }
            Self::Revoked { org, id, .. } => write!(f, "revoked {id} of {org}"),
            Self::Report { org, healthy, users, groups, memberships, findings } => {
                let verdict = if *healthy { "healthy" } else { "NOT healthy" };
                write!(f, "{org}: {verdict}: {users} users, {groups} groups, {memberships} memberships")?;
                findings.iter().try_for_each(|finding| write!(f, "\n{finding}"))
            }
        }
    }
}

impl fmt::Display for OrgOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { org, enabled, created } = self;
        write!(f, "{org}  SCIM {}  created {created}", if *enabled { "on" } else { "off" })
    }
}

impl fmt::Display for KeyOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, scopes, created, revoked } = self;
        let state = revoked.as_ref().map_or_else(|| "active".to_owned(), |time| format!("revoked {time}"));
        write!(f, "{id}  {}  created {created}  {state}", scopes.join(","))
    }
}

fn write_lines(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display], none: &str) -> fmt::Result {
    let Some((first, rest)) = items.split_first() else { return f.write_str(none) };
    write!(f, "{first}")?;
    rest.iter().try_for_each(|item| write!(f, "\n{item}"))
}
