//! The SCIM representation of a stored resource: the JSON object that clients and filters see (RFC 7643 §3).

use std::borrow::Cow;

use scim::{
    ResourceKind, message,
    projection::Projection,
    resource::{self, Meta},
};
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::{Map, Value};

use super::{edges::Memberships, items::Stored};

/// Separates the version of a user from the checksum of the user's groups in an ETag.
pub const GROUPS_IN_VERSION: char = '.';

/// Renders a resource with its memberships. `base` is the base URL of `meta.location` and of `$ref`.
#[must_use]
pub fn render(
    kind: ResourceKind,
    stored: &Stored,
    memberships: &Memberships,
    base: &str,
) -> Map<String, Value> {
    let elements = (0..count(memberships)).map(|index| element(memberships, index, base).to_value());
    render_with(kind, stored, memberships, base, elements.collect())
}

/// Renders a resource with these elements of its membership attribute.
fn render_with(
    kind: ResourceKind,
    stored: &Stored,
    memberships: &Memberships,
    base: &str,
    elements: Vec<Value>,
) -> Map<String, Value> {
    let resource_type = kind.resource_type();
    let version = version(stored, memberships);
    let meta = Meta {
        id: &stored.id,
        version: &version,
        created: &stored.created,
        last_modified: &stored.modified,
        location: message::location(base, resource_type, stored.id.as_str()),
    };
    let attribute = (!matches!(memberships, Memberships::None)).then_some(kind.membership_attribute());
    resource::render(resource_type, &stored.document, &meta, attribute.map(|name| (name, elements)))
}

/// A resource as an answer shows it. Its memberships become text one by one: as JSON values, those of a large group would
/// take 90 MB.
pub struct Shown<'a> {
    /// The attributes that the answer has, with the first of the memberships.
    attributes: Map<String, Value>,
    membership_attribute: &'static str,
    memberships: &'a Memberships,
    base: &'a str,
    /// The sub-attributes of each membership that the answer has.
    names: Vec<String>,
}

impl<'a> Shown<'a> {
    /// Applies the projection to a resource.
    #[must_use]
    pub fn new(
        kind: ResourceKind,
        stored: &Stored,
        memberships: &'a Memberships,
        base: &'a str,
        projection: &Projection,
    ) -> Self {
        let first = (0..count(memberships).min(1)).map(|index| element(memberships, index, base).to_value());
        let shown = projection.apply(render_with(kind, stored, memberships, base, first.collect()));
        let attribute = kind.membership_attribute();
        let first = shown.get(attribute).and_then(|elements| elements.get(0)).and_then(Value::as_object);
        let names = first.into_iter().flat_map(Map::keys).cloned().collect();
        Self { attributes: shown, membership_attribute: attribute, memberships, base, names }
    }

    /// Reduces each membership to its `value`, if the answer has it.
    #[must_use]
    pub fn with_values_only(mut self) -> Self {
        if self.names.iter().any(|name| name == VALUE) {
            self.names = vec![VALUE.to_owned()];
        }
        self
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.attributes.len()))?;
        for (name, value) in &self.attributes {
            if name == self.membership_attribute && !self.names.is_empty() {
                map.serialize_entry(name, &Elements(self))?;
            } else {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

/// The memberships of a resource.
struct Elements<'a>(&'a Shown<'a>);

impl Serialize for Elements<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Shown { memberships, base, names, .. } = self.0;
        let mut elements = serializer.serialize_seq(Some(count(memberships)))?;
        for index in 0..count(memberships) {
            elements.serialize_element(&Part { element: element(memberships, index, base), names })?;
        }
        elements.end()
    }
}

/// Some sub-attributes of a membership.
struct Part<'a> {
    element: Element<'a>,
    names: &'a [String],
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.names.len()))?;
        for name in self.names {
            map.serialize_entry(name, &*self.element.sub_attribute(name))?;
        }
        map.end()
    }
}

const VALUE: &str = "value";
const REFERENCE: &str = "$ref";
const TYPE: &str = "type";

/// A group of a user, or a member of a group.
struct Element<'a> {
    id: &'a str,
    /// The kind of the resource that it refers to.
    kind: ResourceKind,
    /// The `type`.
    type_text: &'static str,
    base: &'a str,
}

impl Element<'_> {
    fn sub_attribute(&self, name: &str) -> Cow<'_, str> {
        match name {
            VALUE => self.id.into(),
            REFERENCE => message::location(self.base, self.kind.resource_type(), self.id).into(),
            _ => self.type_text.into(),
        }
    }

    fn to_value(&self) -> Value {
        let names = [VALUE, REFERENCE, TYPE].into_iter();
        names.map(|name| (name.to_owned(), Value::from(self.sub_attribute(name).into_owned()))).collect()
    }
}

fn count(memberships: &Memberships) -> usize {
    match memberships {
        Memberships::None => 0,
        Memberships::Groups(groups) => groups.len(),
        Memberships::Members(members) => members.len(),
    }
}

/// Returns the membership of that index, which is less than [`count`].
fn element<'a>(memberships: &'a Memberships, index: usize, base: &'a str) -> Element<'a> {
    let (id, kind, type_text) = match memberships {
        Memberships::None => ("", ResourceKind::User, ""),
        Memberships::Groups(groups) => (groups[index].as_str(), ResourceKind::Group, "direct"),
        Memberships::Members(members) => {
            let kind = members[index].member_type.unwrap_or(ResourceKind::User);
            (members[index].value.as_str(), kind, kind.as_str())
        }
    };
    Element { id, kind, type_text, base }
}

/// Returns the version of a representation. The version of a user includes the user's groups, because groups change
/// without the user's item.
#[must_use]
pub fn version(stored: &Stored, memberships: &Memberships) -> String {
    match memberships {
        Memberships::Groups(groups) if !groups.is_empty() => {
            let checksum = crc32fast::hash(groups.concat().as_bytes());
            format!("{}{GROUPS_IN_VERSION}{checksum:08x}", stored.version)
        }
        _ => stored.version.clone(),
    }
}
