//! The lines of an export.
//!
//! Each line is an object with one member, whose name is the kind of the record. An unknown kind and an unknown member are
//! errors: data of a later format must not be lost silently. `document` has the bytes that are stored.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use scim::{ResourceKind, body::Replacement, id::Id, json, resource::Document};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    clock::is_timestamp,
    settings::Settings,
    store::{index::is_folded_alike, items::Stored, orgs::Organisation},
};

/// The format of the file that this release writes, and the only one that it reads.
const FORMAT: u32 = 1;
/// The longest version of a resource, in bytes.
const MAX_VERSION: usize = 64;

/// The number of records of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// The number of users.
    pub users: u64,
    /// The number of groups.
    pub groups: u64,
    /// The number of memberships.
    pub members: u64,
}

/// The organisation, without its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OrganisationRecord {
    format: u32,
    /// The name. The organisation may be imported under another one.
    name: String,
    pub(super) enabled: bool,
    pub(super) created: String,
    pub(super) settings: Settings,
}

/// A record of an export.
#[derive(Debug)]
pub(super) enum Record {
    Organisation(OrganisationRecord),
    Resource(ResourceKind, Box<Stored>),
    Member(Membership),
    End(Tally),
}

/// A membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Membership {
    pub(super) group: Id,
    pub(super) member: Id,
    pub(super) kind: ResourceKind,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line<'a> {
    Organisation(OrganisationRecord),
    #[serde(borrow)]
    User(ResourceLine<'a>),
    #[serde(borrow)]
    Group(ResourceLine<'a>),
    #[serde(borrow)]
    Member(MemberLine<'a>),
    End(Tally),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceLine<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    version: Cow<'a, str>,
    #[serde(borrow)]
    created: Cow<'a, str>,
    #[serde(borrow)]
    modified: Cow<'a, str>,
    #[serde(borrow)]
    document: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberLine<'a> {
    #[serde(borrow)]
    group: Cow<'a, str>,
    #[serde(borrow)]
    member: Cow<'a, str>,
    kind: KindName,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KindName {
    User,
    Group,
}

impl OrganisationRecord {
    pub(super) fn of(organisation: &Organisation) -> Self {
        Self {
            format: FORMAT,
            name: organisation.org.to_string(),
            enabled: organisation.enabled,
            created: organisation.created.clone(),
            settings: organisation.settings,
        }
    }

    /// Writes the record as a line.
    pub(super) fn write(self, out: &mut impl Write) -> io::Result<()> {
        write_line(out, &Line::Organisation(self))
    }
}

impl Tally {
    /// Returns the number of records between the first and the last.
    pub(super) fn total(self) -> u64 {
        self.users.saturating_add(self.groups).saturating_add(self.members)
    }

    /// Writes the last record as a line.
    pub(super) fn write(self, out: &mut impl Write) -> io::Result<()> {
        write_line(out, &Line::End(self))
    }
}

impl Membership {
    /// Writes the record as a line.
    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let kind = match self.kind {
            ResourceKind::User => KindName::User,
            ResourceKind::Group => KindName::Group,
        };
        let (group, member) = (self.group.as_str().into(), self.member.as_str().into());
        write_line(out, &Line::Member(MemberLine { group, member, kind }))
    }
}

/// Writes a resource as a line.
pub(super) fn write_resource(out: &mut impl Write, kind: ResourceKind, resource: &Stored) -> io::Result<()> {
    let document = RawValue::from_string(resource.document.to_stored())?;
    let line = ResourceLine {
        id: resource.id.as_str().into(),
        version: resource.version.as_str().into(),
        created: resource.created.as_str().into(),
        modified: resource.modified.as_str().into(),
        document: &document,
    };
    match kind {
        ResourceKind::User => write_line(out, &Line::User(line)),
        ResourceKind::Group => write_line(out, &Line::Group(line)),
    }
}

fn write_line(out: &mut impl Write, line: &Line<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// Reads a line. The error is a sentence for the operator, without values of the line.
pub(super) fn parse(text: &[u8]) -> Result<Record, String> {
    match serde_json::from_slice(text) {
        Ok(Line::Organisation(record)) if record.format != FORMAT => Err(other_format(record.format)),
        Ok(Line::Organisation(record)) => {
            check_time("created", &record.created)?;
            record.settings.check().map_err(|invalid| invalid.detail)?;
            Ok(Record::Organisation(record))
        }
        Ok(Line::User(line)) => line.read(ResourceKind::User),
        Ok(Line::Group(line)) => line.read(ResourceKind::Group),
        Ok(Line::Member(line)) => Ok(Record::Member(Membership {
            group: id("group", &line.group)?,
            member: id("member", &line.member)?,
            kind: match line.kind {
                KindName::User => ResourceKind::User,
                KindName::Group => ResourceKind::Group,
            },
        })),
        Ok(Line::End(tally)) => Ok(Record::End(tally)),
        Err(error) => Err(format_of(text).filter(|format| *format != FORMAT).map_or_else(
            || {
                format!(
                    "The line is no record of an export (column {}). A record is an object with one member: organisation, \
                     user, group, member or end.",
                    error.column()
                )
            },
            other_format,
        )),
    }
}

/// Returns the format in the first line of an export, whatever else it contains.
fn format_of(text: &[u8]) -> Option<u32> {
    let line: serde_json::Value = serde_json::from_slice(text).ok()?;
    line["organisation"]["format"].as_u64()?.try_into().ok()
}

fn other_format(format: u32) -> String {
    format!(
        "The file has format {format}, and this release reads format {FORMAT}. Import it with the release that wrote it."
    )
}

impl ResourceLine<'_> {
    /// Reads the resource. The document passes the checks of a PUT to a resource that has this document already: values
    /// that an earlier release accepted are kept.
    fn read(&self, kind: ResourceKind) -> Result<Record, String> {
        let id = id("id", &self.id)?;
        check_version(&self.version)?;
        check_time("created", &self.created)?;
        check_time("modified", &self.modified)?;
        let text = self.document.get();
        let invalid = |invalid: scim::Invalid| format!("{} {id}: {}", kind.as_str(), invalid.detail);
        let body = json::parse(text.as_bytes()).map_err(invalid)?;
        let unreadable = |_| format!("{} {id}: The document is not a JSON object.", kind.as_str());
        let stored = Document::from_stored(text).map_err(unreadable)?;
        let document = Replacement::parse(kind.resource_type(), &body)
            .and_then(|replacement| replacement.apply(&stored))
            .map_err(invalid)?;
        check_controls(&document).map_err(|reason| format!("{} {id}: {reason}", kind.as_str()))?;
        let is_folded = !is_folded_alike(kind, &id, &document);
        let resource = Stored {
            document,
            version: self.version.clone().into_owned(),
            created: self.created.clone().into_owned(),
            modified: self.modified.clone().into_owned(),
            intent: None,
            reservation: None,
            joins: 0,
            finished: None,
            stamp: None,
            commit: None,
            is_folded,
            id,
        };
        Ok(Record::Resource(kind, Box::new(resource)))
    }
}

/// Refuses control characters in values that have an index. No release has accepted them, and keys of index entries contain
/// one as a separator.
fn check_controls(document: &Document) -> Result<(), String> {
    let names = [document.user_name(), document.display_name(), document.external_id()];
    let mut values = names.into_iter().flatten().chain(document.emails());
    if values.any(|value| value.contains(char::is_control)) {
        return Err("A name, an e-mail address or the externalId has a control character.".to_owned());
    }
    Ok(())
}

fn id(name: &str, text: &str) -> Result<Id, String> {
    Id::parse(text)
        .ok_or_else(|| format!("'{name}' is not an id. An id is a UUID in lower case, with hyphens."))
}

fn check_version(version: &str) -> Result<(), String> {
    let is_plain = version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if (1..=MAX_VERSION).contains(&version.len()) && is_plain {
        return Ok(());
    }
    Err(format!("'version' must have 1 to {MAX_VERSION} letters, digits and hyphens."))
}

fn check_time(name: &str, text: &str) -> Result<(), String> {
    if is_timestamp(text) {
        return Ok(());
    }
    Err(format!("'{name}' is not a time such as 2026-11-27T12:00:00.000Z."))
}
