//! The SCIM representation of a stored resource: the JSON object that clients and filters see (RFC 7643 §3).

use scim::{
    ResourceKind,
    members::Member,
    message,
    resource::{self, Meta},
};
use serde_json::{Map, Value, json};

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
    let resource_type = kind.resource_type();
    let version = version(stored, memberships);
    let meta = Meta {
        id: &stored.id,
        version: &version,
        created: &stored.created,
        last_modified: &stored.modified,
        location: message::location(base, resource_type, stored.id.as_str()),
    };
    let attribute = match memberships {
        Memberships::None => None,
        Memberships::Groups(ids) => Some(("groups", ids.iter().map(|id| group_of_user(base, id)).collect())),
        Memberships::Members(members) => {
            Some(("members", members.iter().map(|member| member_of_group(base, member)).collect()))
        }
    };
    resource::render(resource_type, &stored.document, &meta, attribute)
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

fn group_of_user(base: &str, id: &str) -> Value {
    json!({
        "value": id,
        "$ref": message::location(base, ResourceKind::Group.resource_type(), id),
        "type": "direct",
    })
}

fn member_of_group(base: &str, member: &Member) -> Value {
    let kind = member.member_type.unwrap_or(ResourceKind::User);
    json!({
        "value": member.value,
        "$ref": message::location(base, kind.resource_type(), &member.value),
        "type": kind.as_str(),
    })
}
