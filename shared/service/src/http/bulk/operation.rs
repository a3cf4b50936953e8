//! One operation of a bulk request: how it is read, what it refers to, what it must not be beside.

use std::collections::{BTreeMap, BTreeSet};

use scim::{Invalid, fold::fold, message};
use serde_json::{Value, json};

use crate::http::under_base;

/// The longest method, `bulkId`, version and path, in bytes: an answer repeats them.
const TEXT_BYTES: usize = 1_024;
/// What a reference to an operation begins with.
pub(super) const REFERENCE: &str = "bulkId:";

/// What each `bulkId` stands for: nothing while its operation is to come. Those of operations that failed are gone.
pub(super) type Ids = BTreeMap<String, Option<String>>;

/// One operation. What cannot be read of it is empty, and `fault` says why.
#[derive(Clone, Default)]
pub(super) struct Operation {
    pub(super) method: String,
    pub(super) bulk_id: Option<String>,
    pub(super) version: Option<String>,
    /// Under the base, without the query.
    pub(super) path: String,
    /// With its question mark, if there is one.
    pub(super) query: String,
    pub(super) data: Value,
    /// The `bulkId`s it refers to.
    pub(super) references: BTreeSet<String>,
    /// Whether it may give up a name and take another, so that nothing else is to be under way beside it.
    pub(super) is_alone: bool,
    pub(super) fault: Option<Invalid>,
}

impl Operation {
    /// Reads one; what is wrong with it is its own fault, not that of the request.
    pub(super) fn read(sent: &Value) -> Self {
        let mut operation = Self::default();
        operation.fault = operation.fill(sent).err();
        operation
    }

    /// What an answer repeats comes first, for an operation that is refused is answered too.
    fn fill(&mut self, sent: &Value) -> Result<(), Invalid> {
        let missing = |name: &str| Invalid::value(format!("'{name}' is required"));
        self.method = text(sent, "method")?.ok_or_else(|| missing("method"))?.to_ascii_uppercase();
        self.bulk_id = text(sent, "bulkId")?;
        let path = text(sent, "path")?.filter(|path| path.starts_with('/')).ok_or_else(|| {
            Invalid::value(
                "'path' is required: the endpoint under the base URL, such as /Users or /Users/<id>",
            )
        })?;
        let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
        self.path = under_base(path);
        query.clone_into(&mut self.query);
        if !matches!(self.method.as_str(), "POST" | "PUT" | "PATCH" | "DELETE") {
            return Err(Invalid::value("'method' must be POST, PUT, PATCH or DELETE"));
        }
        if self.is_creation() && self.bulk_id.is_none() {
            return Err(missing("bulkId"));
        }
        self.version = text(sent, "version")?;
        self.data = match member(sent, "data")? {
            // As RFC 7644 §3.7.3 shows it.
            Some(operations @ Value::Array(_)) if self.method == "PATCH" => patch_of(operations),
            Some(data) => data.clone(),
            None if self.method == "DELETE" => Value::Null,
            None => return Err(missing("data")),
        };
        self.find_references();
        let names = || self.data.to_string().to_ascii_lowercase().contains(&self.name().to_ascii_lowercase());
        self.is_alone = self.method == "PUT" || (self.method == "PATCH" && names());
        Ok(())
    }

    pub(super) fn deletion(path: String) -> Self {
        Self { method: "DELETE".to_owned(), path, ..Self::default() }
    }

    /// Adds members to a group that was created without them.
    pub(super) fn join(group: &str, members: &[Value]) -> Self {
        let data = patch_of(&json!([{ "op": "add", "path": "members", "value": members }]));
        let mut join =
            Self { method: "PATCH".to_owned(), path: format!("/Groups/{group}"), data, ..Self::default() };
        join.find_references();
        join
    }

    fn find_references(&mut self) {
        let mut found = BTreeSet::new();
        let mut find = |reference: &str| {
            found.insert(reference.to_owned());
            None
        };
        in_each(&self.path, '/', &mut find);
        in_value(&mut self.data, &mut find);
        self.references = found;
    }

    /// The operation with ids in the place of references.
    pub(super) fn resolved(mut self, ids: &Ids) -> Self {
        self.path = self.path_with(ids);
        in_value(&mut self.data, &mut |reference| id_of(ids, reference));
        self
    }

    /// The path with ids in the place of references.
    pub(super) fn path_with(&self, ids: &Ids) -> String {
        in_each(&self.path, '/', &mut |reference| id_of(ids, reference))
    }

    pub(super) fn is_creation(&self) -> bool {
        self.method == "POST"
    }

    /// The `bulkId`, which stands for nothing yet.
    pub(super) fn to_come(&self) -> Option<(String, Option<String>)> {
        Some((self.bulk_id.clone()?, None))
    }

    /// What it is about: the resource, or the name of a new one. Of two operations about the same, the order shows.
    pub(super) fn subject(&self, ids: &Ids) -> String {
        let path = self.path_with(ids);
        if !self.is_creation() {
            return path;
        }
        let name = member(&self.data, self.name()).ok().flatten().and_then(Value::as_str);
        format!("{path} {}", name.map(fold).unwrap_or_default())
    }

    /// The attribute that no two resources share.
    fn name(&self) -> &'static str {
        if self.path.starts_with("/Groups") { "displayName" } else { "userName" }
    }

    /// A new group whose members include groups that wait for it: the group without those, and the members that are
    /// to be added when they are there. `None` for anything else that is part of a circle.
    pub(super) fn without_members(&self, ids: &Ids) -> Option<(Self, Vec<Value>)> {
        if !self.is_creation() || self.path != "/Groups" {
            return None;
        }
        let mut early = self.clone();
        let mut attributes = early.data.as_object_mut()?.iter_mut();
        let (_, members) = attributes.find(|(name, _)| name.eq_ignore_ascii_case("members"))?;
        let members = members.as_array_mut()?;
        let waits = |element: &Value| {
            let value = member(element, "value").ok().flatten().and_then(Value::as_str);
            value.and_then(|value| value.strip_prefix(REFERENCE)).is_some_and(|id| ids.get(id) == Some(&None))
        };
        let (late, now) = std::mem::take(members).into_iter().partition(waits);
        *members = now;
        early.find_references();
        (!early.waits(ids)).then_some((early, late))
    }

    /// Whether it refers to an operation that is still to come.
    pub(super) fn waits(&self, ids: &Ids) -> bool {
        self.references.iter().any(|reference| ids.get(reference) == Some(&None))
    }
}

fn id_of(ids: &Ids, reference: &str) -> Option<String> {
    ids.get(reference).cloned().flatten()
}

/// A PATCH body (RFC 7644 §3.5.2).
fn patch_of(operations: &Value) -> Value {
    json!({ "schemas": [message::PATCH_OP_URN], "Operations": operations })
}

/// References anywhere in the data: a text that is one, or is compared to one in the path of a PATCH
/// (`members[value eq "bulkId:ada"]`).
fn in_value(value: &mut Value, id_of: &mut impl FnMut(&str) -> Option<String>) {
    match value {
        Value::String(text) => {
            if let Some(id) = text.strip_prefix(REFERENCE).and_then(id_of) {
                *text = id;
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| in_value(element, id_of)),
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(path) if name.eq_ignore_ascii_case("path") => {
                        *path = in_each(path, '"', id_of);
                    }
                    value => in_value(value, id_of),
                }
            }
        }
        _ => {}
    }
}

/// References among the parts of a text.
fn in_each(text: &str, separator: char, id_of: &mut impl FnMut(&str) -> Option<String>) -> String {
    let mut in_part = |part: &str| part.strip_prefix(REFERENCE).and_then(&mut *id_of);
    let parts: Vec<_> =
        text.split(separator).map(|part| in_part(part).unwrap_or_else(|| part.to_owned())).collect();
    parts.join(separator.encode_utf8(&mut [0; 4]))
}

/// The member of that name, in any case; null is none.
pub(super) fn member<'a>(object: &'a Value, name: &str) -> Result<Option<&'a Value>, Invalid> {
    let members = object.as_object().into_iter().flatten();
    let mut values = members
        .filter(|(known, value)| known.eq_ignore_ascii_case(name) && !value.is_null())
        .map(|(_, value)| value);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Invalid::syntax(format!("'{name}' is given more than once"))),
        (value, None) => Ok(value),
    }
}

fn text(operation: &Value, name: &str) -> Result<Option<String>, Invalid> {
    match member(operation, name)? {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= TEXT_BYTES => Ok(Some(text.clone())),
        Some(_) => Err(Invalid::value(format!("'{name}' must be a string of at most {TEXT_BYTES} bytes"))),
    }
}
