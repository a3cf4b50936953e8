//! The output of the commands: lines of text for people, or one JSON document for scripts.

use std::{
    fmt::{self, Write as _},
    io::{self, Write},
    path::PathBuf,
};

use clap::ValueEnum;
use serde::Serialize;
use service::{
    auth::Org,
    settings::Settings,
    store::{
        AuditEntry, ClientRecord, KeyRecord, Organisation, SecretRecord,
        doctor::Report,
        transfer::{Imported, Tally},
    },
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
    Audit {
        entries: Vec<AuditEntry>,
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
    Client(ClientRecord),
    Clients {
        clients: Vec<ClientRecord>,
    },
    /// A new client, with its secret unless it is federated.
    NewClient {
        #[serde(flatten)]
        record: ClientRecord,
        org: Org,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_secret: Option<String>,
    },
    NewSecret {
        #[serde(flatten)]
        record: SecretRecord,
        org: Org,
        client_id: String,
        client_secret: String,
    },
    EndedSecret {
        org: Org,
        client_id: String,
        id: String,
        ended: bool,
    },
    DeletedClient {
        org: Org,
        client_id: String,
        deleted: bool,
    },
    Report {
        org: Org,
        healthy: bool,
        #[serde(flatten)]
        report: Report,
        /// The repairs, if they were requested.
        #[serde(skip_serializing_if = "Option::is_none")]
        repairs: Option<Vec<String>>,
    },
    Exported {
        org: Org,
        /// The file. Without one, standard output has the export.
        file: Option<PathBuf>,
        #[serde(flatten)]
        tally: Tally,
    },
    Copied {
        org: Org,
        #[serde(flatten)]
        tally: Tally,
    },
    Imported {
        org: Org,
        #[serde(flatten)]
        imported: Imported,
    },
    Deleted {
        org: Org,
        items: u64,
        #[serde(rename = "keptKeys")]
        kept_keys: bool,
    },
}

impl Output {
    /// Returns whether nothing was found or refused.
    pub(crate) fn is_clean(&self) -> bool {
        match self {
            Self::Report { healthy, .. } => *healthy,
            Self::Imported { imported, .. } => imported.refused == 0,
            _ => true,
        }
    }

    /// Prints the output to standard output.
    pub(crate) fn print(&self, format: Format) -> io::Result<()> {
        if let Self::Exported { file: None, .. } = self {
            return writeln!(io::stderr(), "{self}");
        }
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
            Self::Audit { entries } => f.write_str(&lines(entries, entry_text, "no entries")),
            Self::Rotated { generation, organisations, credentials } => write!(
                f,
                "the pepper has generation {generation}: {credentials} credentials of {organisations} organisations are \
                 under the new digest"
            ),
            Self::Revoked { org, id, .. } => write!(f, "revoked {id} of {org}"),
            Self::Client(record) => f.write_str(&client_text(record)),
            Self::Clients { clients } => f.write_str(&lines(clients, client_text, "no clients")),
            Self::NewClient { record, client_secret, .. } => {
                write!(f, "{}", client_text(record))?;
                write!(f, "\nclient id      {}", record.id)?;
                client_secret.as_ref().map_or(Ok(()), |secret| shown_secret(f, secret))
            }
            Self::NewSecret { record, client_secret, .. } => {
                write!(f, "{}", secret_text(record))?;
                shown_secret(f, client_secret)
            }
            Self::EndedSecret { client_id, id, .. } => write!(f, "ended {id} of {client_id}"),
            Self::DeletedClient { client_id, .. } => write!(f, "deleted {client_id}"),
            Self::Report {
                org,
                healthy,
                report: Report { users, groups, memberships, findings },
                repairs,
            } => {
                repairs.iter().flatten().try_for_each(|repair| writeln!(f, "repaired: {repair}"))?;
                let verdict = if *healthy { "healthy" } else { "NOT healthy" };
                write!(f, "{org}: {verdict}: {users} users, {groups} groups, {memberships} memberships")?;
                findings.iter().try_for_each(|finding| write!(f, "\n{finding}"))
            }
            Self::Exported { org, tally: Tally { users, groups, members }, .. } => {
                write!(f, "{org}: exported {users} users, {groups} groups, {members} memberships")
            }
            Self::Copied { org, tally: Tally { users, groups, members } } => {
                write!(f, "{org}: copied {users} users, {groups} groups, {members} memberships")
            }
            Self::Imported { org, imported: Imported { written, skipped, refused } } => {
                write!(
                    f,
                    "{org}: imported {written} records, {skipped} were there already, {refused} refused"
                )
            }
            Self::Deleted { org, items, kept_keys } => {
                let kept = if *kept_keys { "; settings and keys are kept, and SCIM is off" } else { "" };
                write!(f, "{org}: deleted {items} items{kept}")
            }
        }
    }
}

fn organisation_text(Organisation { org, enabled, created, settings, work, .. }: &Organisation) -> String {
    let Settings { token_minutes, rate, burst, at_once } = settings;
    let on = match (work, enabled) {
        (Some(work), _) => format!("off during its {}", work.as_str()),
        (None, true) => "on".to_owned(),
        (None, false) => "off".to_owned(),
    };
    format!(
        "{org}  SCIM {on}  created {created}  rate {rate}/s, burst {burst}, at once {at_once}, tokens {token_minutes} min"
    )
}

fn entry_text(AuditEntry { at, actor, action, target, before, after, .. }: &AuditEntry) -> String {
    format!("{at}  {actor}  {action}  {target}  before {before}  after {after}")
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

fn client_text(client: &ClientRecord) -> String {
    let scopes: Vec<&str> = client.scopes.iter().map(|scope| scope.as_str()).collect();
    let label = client.label.as_deref().map(|label| format!("  {label}")).unwrap_or_default();
    let mut text = format!("{}  {}  created {}{label}", client.id, scopes.join(","), client.created);
    if let (Some(used), Some(by)) = (&client.last_used, &client.last_used_by) {
        let _ = write!(text, "\n  used {used} by {by}");
    }
    if let Some(trust) = &client.trust {
        let _ = write!(text, "\n  issuer {}\n  audience {}", trust.issuer, trust.audience);
        let _ = write!(text, "\n  subject {}", trust.subject);
        for (name, value) in [("tid", &trust.tid), ("azp", &trust.azp), ("keys", &trust.jwks_uri)] {
            if let Some(value) = value {
                let _ = write!(text, "\n  {name} {value}");
            }
        }
    }
    for secret in &client.secrets {
        let _ = write!(text, "\n  secret {}", secret_text(secret));
    }
    text
}

fn secret_text(SecretRecord { id, created, ends, last_four, .. }: &SecretRecord) -> String {
    format!("{id}  …{last_four}  created {created}  ends {ends}")
}

fn shown_secret(f: &mut fmt::Formatter<'_>, secret: &str) -> fmt::Result {
    write!(f, "\nclient secret  {secret}\nThe secret is shown only once and is not stored. Copy it now.")
}

fn lines<T>(items: &[T], text: fn(&T) -> String, none: &str) -> String {
    if items.is_empty() { none.to_owned() } else { items.iter().map(text).collect::<Vec<_>>().join("\n") }
}
