//! What commands print: lines for people, or one JSON document for scripts.

use std::io::{self, Write};

use clap::ValueEnum;
use serde_json::{Map, Value, json};
use service::{
    auth::{ApiKey, Org},
    store::{KeyRecord, Organisation, doctor::Report},
};

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines for people
    Text,
    /// One JSON document
    Json,
}

/// What a command has to say, both ways.
pub(crate) struct Output {
    text: String,
    json: Value,
}

impl Output {
    /// Prints it to standard output.
    pub(crate) fn print(&self, format: Format) -> io::Result<()> {
        let mut out = io::stdout();
        match format {
            Format::Text => writeln!(out, "{}", self.text.trim_end()),
            Format::Json => writeln!(out, "{:#}", self.json),
        }
    }

    pub(crate) fn org(info: &Organisation) -> Self {
        Self { text: org_text(info), json: Value::Object(org_json(info)) }
    }

    pub(crate) fn orgs(infos: &[Organisation]) -> Self {
        Self {
            text: lines(infos.iter().map(org_text), "no organisations"),
            json: json!({ "organisations": infos.iter().map(org_json).collect::<Vec<_>>() }),
        }
    }

    pub(crate) fn with_keys(mut self, keys: &[KeyRecord]) -> Self {
        let Self { text, json } = Self::keys(keys);
        self.text = format!("{}\n{text}", self.text);
        if let (Value::Object(own), Value::Object(keys)) = (&mut self.json, json) {
            own.extend(keys);
        }
        self
    }

    pub(crate) fn keys(keys: &[KeyRecord]) -> Self {
        Self {
            text: lines(keys.iter().map(key_text), "no keys"),
            json: json!({ "keys": keys.iter().map(key_json).collect::<Vec<_>>() }),
        }
    }

    pub(crate) fn new_key(key: &ApiKey, info: &KeyRecord) -> Self {
        let mut json = key_json(info);
        json.insert("org".to_owned(), key.org().as_str().into());
        json.insert("key".to_owned(), key.reveal().into());
        let text = format!(
            "{}\n{}\nThis key is shown once and kept nowhere: store it now.",
            key_text(info),
            key.reveal()
        );
        Self { text, json: Value::Object(json) }
    }

    pub(crate) fn revoked(org: &Org, id: &str) -> Self {
        Self {
            text: format!("revoked {id} of {org}"),
            json: json!({ "org": org.as_str(), "id": id, "revoked": true }),
        }
    }

    pub(crate) fn report(org: &Org, report: &Report) -> Self {
        let Report { users, groups, memberships, findings } = report;
        let verdict = if report.is_healthy() { "healthy" } else { "NOT healthy" };
        let head = format!("{org}: {verdict}: {users} users, {groups} groups, {memberships} memberships");
        Self {
            text: std::iter::once(&head).chain(findings).map(String::as_str).collect::<Vec<_>>().join("\n"),
            json: json!({
                "org": org.as_str(),
                "healthy": report.is_healthy(),
                "users": users,
                "groups": groups,
                "memberships": memberships,
                "findings": findings,
            }),
        }
    }
}

fn lines(texts: impl Iterator<Item = String>, none: &str) -> String {
    let text: Vec<String> = texts.collect();
    if text.is_empty() { none.to_owned() } else { text.join("\n") }
}

fn org_text(info: &Organisation) -> String {
    format!("{}  SCIM {}  created {}", info.org, if info.enabled { "on" } else { "off" }, info.created)
}

fn org_json(info: &Organisation) -> Map<String, Value> {
    fields([
        ("org", info.org.as_str().into()),
        ("enabled", info.enabled.into()),
        ("created", info.created.as_str().into()),
    ])
}

fn key_text(info: &KeyRecord) -> String {
    let scopes: Vec<&str> = info.scopes.iter().map(|scope| scope.as_str()).collect();
    let state = info.revoked.as_ref().map_or_else(|| "active".to_owned(), |when| format!("revoked {when}"));
    format!("{}  {}  created {}  {state}", info.id, scopes.join(","), info.created)
}

fn key_json(info: &KeyRecord) -> Map<String, Value> {
    fields([
        ("id", info.id.as_str().into()),
        ("scopes", info.scopes.iter().map(|scope| scope.as_str()).collect()),
        ("created", info.created.as_str().into()),
        ("revoked", info.revoked.as_deref().into()),
    ])
}

fn fields<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
