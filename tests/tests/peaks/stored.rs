//! Stored data of the cases, put into the database directly.

use std::fmt::Write;

use dynoxide::{AttributeValue, Database};
use serde_json::{Value, json};
use tests::{
    ORG,
    load::{Item, import, item, member_id},
};

const EXTENSION: &str = "urn:ietf:params:scim:schemas:extension:Wide:2.0:User";

/// Puts users with these numbers and this document beside their userName. They have the ids of [`member_id`].
pub(crate) fn users(database: &Database, count: usize, document: &Value) {
    let resources = (0..count).flat_map(|number| {
        let name = format!("user-{number:07}");
        let mut document = document.clone();
        document["userName"] = name.clone().into();
        let entry =
            item([("pk", format!("ORG#{ORG}#USER#userName")), ("sk", name), ("id", member_id(number))]);
        [resource("USER", &member_id(number), &document), entry]
    });
    import(database, resources.chain([count_item("USER", count)]));
}

/// Puts a group.
pub(crate) fn group(database: &Database, id: &str, name: &str) {
    let document = json!({ "displayName": name });
    import(database, [resource("GROUP", id, &document)]);
}

/// Puts a number of groups into the count.
pub(crate) fn count_item(kind: &str, count: usize) -> Item {
    let mut item = item([("pk", format!("ORG#{ORG}#COUNT")), ("sk", format!("{kind}#00"))]);
    item.insert("n".to_owned(), AttributeValue::N(count.to_string()));
    item
}

/// Makes each of the first `members` users a member of `groups` groups, which need not exist.
pub(crate) fn join(database: &Database, members: usize, groups: usize) {
    let edges = (0..members).flat_map(|member| {
        (0..groups).flat_map(move |group| {
            let (member, group) = (member_id(member), group_id(group));
            let edge = item([
                ("pk", format!("ORG#{ORG}#GROUP#{group}")),
                ("sk", member.clone()),
                ("kind", "USER".to_owned()),
            ]);
            [edge, item([("pk", format!("ORG#{ORG}#MEMBER")), ("sk", format!("{member}#{group}"))])]
        })
    });
    import(database, edges);
}

/// Returns the id of the group with that number.
pub(crate) fn group_id(number: usize) -> String {
    format!("01938000-0000-7000-9000-{number:012x}")
}

/// Returns a document with so many custom attributes, each of them a small number.
pub(crate) fn wide(attributes: usize) -> Value {
    let values = (0..attributes).map(|number| (format!("a{number:04x}"), Value::from(0)));
    json!({ EXTENSION: Value::Object(values.collect()) })
}

/// Returns names of custom attributes that no user has.
pub(crate) fn unknown_names(count: usize) -> String {
    let mut names = String::new();
    for number in 0..count {
        let _ = write!(names, "{EXTENSION}:unknown{number},");
    }
    names
}

fn resource(kind: &str, id: &str, document: &Value) -> Item {
    let time = "2026-11-23T09:00:00.123Z";
    let mut item = item([
        ("pk", format!("ORG#{ORG}#{kind}")),
        ("sk", id.to_owned()),
        ("document", document.to_string()),
        ("version", "0123456789abcdef".to_owned()),
        ("created", time.to_owned()),
        ("modified", time.to_owned()),
    ]);
    item.insert("format".to_owned(), AttributeValue::N("1".to_owned()));
    item
}
