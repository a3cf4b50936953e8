//! The output of the commands: lines of text for people, or one JSON document for scripts.

use std::{
    fmt::{self, Write as _},
    io::{self, Write},
};

use clap::ValueEnum;
use serde::Serialize;
use service::{
    auth::Org,
    settings::Settings,
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
    Key(KeyRecord),
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
    Rotated {
        generation: u32,
        organisations: usize,
        credentials: usize,
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
            Self::Key(record) => f.write_str(&key_text(record)),
            Self::Keys { keys } => f.write_str(&lines(keys, key_text, "no keys")),
            Self::NewKey { record, key, .. } => {
                writeln!(f, "{}\n{key}", key_text(record))?;
                f.write_str("The key is shown only once and is not stored. Copy it now.")
            }
            Self::Rotated { generation, organisations, credentials } => write!(
                f,
                "the pepper has generation {generation}: {credentials} credentials of {organisations} organisations are \
                 under the new digest"
            ),
            Self::Revoked { org, id, .. } => write!(f, "revoked {id} of {org}"),
            Self::Report { org, healthy, report: Report { users, groups, memberships, findings } } => {
                let verdict = if *healthy { "healthy" } else { "NOT healthy" };
                write!(f, "{org}: {verdict}: {users} users, {groups} groups, {memberships} memberships")?;
                findings.iter().try_for_each(|finding| write!(f, "\n{finding}"))
            }
        }
    }
}

fn organisation_text(Organisation { org, enabled, created, settings, .. }: &Organisation) -> String {
    let Settings { token_minutes, rate, burst, at_once } = settings;
    let on = if *enabled { "on" } else { "off" };
    format!(
        "{org}  SCIM {on}  created {created}  rate {rate}/s, burst {burst}, at once {at_once}, tokens {token_minutes} min"
    )
}

fn key_text(key: &KeyRecord) -> String {
    let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
    let mut text = format!("{}  {}  created {}", key.id, scopes.join(","), key.created);
    if let Some(last_four) = &key.last_four {
        let _ = write!(text, "  {}…{last_four}", key.prefix);
    }
    match (&key.revoked, &key.ends) {
        (Some(revoked), _) => _ = write!(text, "  revoked {revoked}"),
        (None, Some(ends)) => _ = write!(text, "  ends {ends}"),
        (None, None) => text.push_str("  active"),
    }
    if let (Some(used), Some(client)) = (&key.last_used, &key.last_used_by) {
        let _ = write!(text, "  used {used} by {client}");
    }
    if let Some(replaces) = &key.replaces {
        let _ = write!(text, "  replaces {replaces}");
    }
    if let Some(label) = &key.label {
        let _ = write!(text, "  {label}");
    }
    text
}

fn lines<T>(items: &[T], text: fn(&T) -> String, none: &str) -> String {
    if items.is_empty() { none.to_owned() } else { items.iter().map(text).collect::<Vec<_>>().join("\n") }
}
