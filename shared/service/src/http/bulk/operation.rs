//! One operation of a bulk request: its syntax, its references, and the operations that it must not run beside.

use std::collections::{BTreeMap, BTreeSet};

use scim::{Invalid, fold::fold, message, validate::MAX_UNIQUE_BYTES};
use serde_json::{Value, json};

use crate::{http::base_path::under_base, limits::BULK_TEXT_BYTES as MAX_TEXT_BYTES};

/// The longest path with its query, in bytes.
const MAX_PATH_BYTES: usize = 1_024;
/// The prefix of a reference to an operation.
pub(super) const REFERENCE: &str = "bulkId:";

/// The resource id of each `bulkId`, or `None` until its operation has run. Failed operations are removed.
pub(super) type Ids = BTreeMap<String, Option<String>>;

/// An operation. Parts that could not be parsed are empty, and `fault` has the reason.
#[derive(Default)]
pub(super) struct Operation {
    pub(super) method: String,
    pub(super) bulk_id: Option<String>,
    pub(super) version: Option<String>,
    /// The path under the base, without the query.
    pub(super) path: String,
    /// The query with its question mark, or nothing.
    pub(super) query: String,
    pub(super) data: Value,
    /// The name of a new resource, folded.
    name: String,
    /// The `bulkId`s that the operation refers to.
    pub(super) references: BTreeSet<String>,
    /// Whether the operation may release one name and take another, so that no other may run beside it.
    pub(super) is_exclusive: bool,
    /// The references of a group apart from those of members that did not exist when it was last examined.
    fixed_references: BTreeSet<String>,
    pub(super) fault: Option<Invalid>,
}

impl Operation {
    /// Parses an operation. An invalid one does not make the request fail. The data is moved, because it may be as large as
    /// the body.
    pub(super) fn parse(mut sent: Value) -> Self {
        let mut operation = Self::default();
        operation.fault = operation.fill(&mut sent).err();
        operation
    }

    /// Parses the parts that an answer repeats first, because the answer has the refused operations too.
    fn fill(&mut self, sent: &mut Value) -> Result<(), Invalid> {
        let missing = |name: &str| Invalid::value(format!("The operation has no '{name}'."));
        self.method = short_text(sent, "method")?.ok_or_else(|| missing("method"))?.to_ascii_uppercase();
        self.bulk_id = short_text(sent, "bulkId")?;
        let path = text(sent, "path", MAX_PATH_BYTES)?.filter(|path| path.starts_with('/')).ok_or_else(|| {
            Invalid::value(
                "The operation has no valid 'path'. Give the endpoint under the base URL, such as /Users or /Users/<id>.",
            )
        })?;
        let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
        self.path = under_base(path);
        if self.path.len() > MAX_TEXT_BYTES {
            self.path.clear();
            return Err(too_long("path", MAX_TEXT_BYTES));
        }
        query.clone_into(&mut self.query);
        if !matches!(self.method.as_str(), "POST" | "PUT" | "PATCH" | "DELETE") {
            return Err(Invalid::value("The value of 'method' must be POST, PUT, PATCH or DELETE."));
        }
        if self.is_creation() && self.bulk_id.is_none() {
            return Err(missing("bulkId"));
        }
        self.version = short_text(sent, "version")?;
        self.data = match take_member(sent, "data")? {
            // An example of RFC 7644 §3.7.3 has a list of operations instead of a PatchOp.
            Some(operations @ Value::Array(_)) if self.method == "PATCH" => patch_op(operations),
            Some(data) => data,
            None if self.method == "DELETE" => Value::Null,
            None => return Err(missing("data")),
        };
        self.find_references();
        if self.is_creation() {
            let name = member(&self.data, self.unique_attribute()).ok().flatten().and_then(Value::as_str);
            self.name = match name.unwrap_or_default() {
                name if name.len() <= MAX_UNIQUE_BYTES => fold(name),
                // A longer name is refused, so its spelling does not matter.
                name => format!("{:08x}", crc32fast::hash(name.as_bytes())),
            };
        }
        let names = || mentions(&self.data, self.unique_attribute());
        self.is_exclusive = self.method == "PUT" || (self.method == "PATCH" && names());
        Ok(())
    }

    /// Takes the operation to run it. The parts that the answer repeats stay.
    pub(super) fn take(&mut self) -> Self {
        Self {
            method: self.method.clone(),
            bulk_id: self.bulk_id.clone(),
            version: self.version.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            data: self.data.take(),
            references: self.references.clone(),
            ..Self::default()
        }
    }

    /// Returns an operation that deletes the resource at the path.
    pub(super) fn deletion(path: String) -> Self {
        Self { method: "DELETE".to_owned(), path, ..Self::default() }
    }

    /// Returns an operation that adds members to a group.
    pub(super) fn join(group: &str, members: &[Value]) -> Self {
        let data = patch_op(json!([{ "op": "add", "path": "members", "value": members }]));
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

    /// Returns whether the path refers to another operation.
    pub(super) fn path_refers(&self) -> bool {
        self.path.contains(REFERENCE)
    }

    /// Returns the operation with ids instead of references.
    pub(super) fn resolved(mut self, ids: &Ids) -> Self {
        self.path = self.path_with(ids);
        in_value(&mut self.data, &mut |reference| id_of(ids, reference));
        self
    }

    /// Returns the path with ids instead of references.
    pub(super) fn path_with(&self, ids: &Ids) -> String {
        in_each(&self.path, '/', &mut |reference| id_of(ids, reference))
    }

    pub(super) fn is_creation(&self) -> bool {
        self.method == "POST"
    }

    /// Returns the entry of the `bulkId` for an operation that has not run.
    pub(super) fn pending_id(&self) -> Option<(String, Option<String>)> {
        Some((self.bulk_id.clone()?, None))
    }

    /// Returns the subject: the resource, or the name of a new one. The order of operations on one subject matters.
    pub(super) fn subject(&self, ids: &Ids) -> String {
        let path = self.path_with(ids);
        if self.is_creation() { format!("{path} {}", self.name) } else { path }
    }

    /// Returns the name of the unique attribute.
    fn unique_attribute(&self) -> &'static str {
        if self.path.starts_with("/Groups") { "displayName" } else { "userName" }
    }

    /// Divides the creation of a group whose members do not exist yet: removes these members, and returns them to be added
    /// later. Returns `None` and changes nothing for any other operation, and if the rest waits too.
    pub(super) fn defer_members(&mut self, ids: &Ids) -> Option<Vec<Value>> {
        if !self.is_creation() || self.path != "/Groups" || waits_for(&self.fixed_references, ids) {
            return None;
        }
        let mut attributes = self.data.as_object_mut()?.iter_mut();
        let (_, members) = attributes.find(|(name, _)| name.eq_ignore_ascii_case("members"))?;
        if members.is_object() {
            // A list of one, as in a request of its own.
            *members = json!([members.take()]);
        }
        let members = members.as_array_mut()?;
        let waits = |element: &Value| {
            let value = member(element, "value").ok().flatten().and_then(Value::as_str);
            value.and_then(|value| value.strip_prefix(REFERENCE)).is_some_and(|id| ids.get(id) == Some(&None))
        };
        let (deferred, now) = std::mem::take(members).into_iter().partition(waits);
        *members = now;
        self.find_references();
        if self.waits(ids) {
            // No later attempt succeeds before these references are resolved.
            self.fixed_references.clone_from(&self.references);
            self.restore_members(deferred);
            return None;
        }
        Some(deferred)
    }

    fn restore_members(&mut self, deferred: Vec<Value>) {
        let mut attributes = self.data.as_object_mut().into_iter().flatten();
        let members = attributes.find(|(name, _)| name.eq_ignore_ascii_case("members"));
        if let Some((_, Value::Array(members))) = members {
            members.extend(deferred);
        }
        self.find_references();
    }

    /// Returns whether the operation refers to one that has not run.
    pub(super) fn waits(&self, ids: &Ids) -> bool {
        waits_for(&self.references, ids)
    }
}

fn waits_for(references: &BTreeSet<String>, ids: &Ids) -> bool {
    references.iter().any(|reference| ids.get(reference) == Some(&None))
}

fn id_of(ids: &Ids, reference: &str) -> Option<String> {
    ids.get(reference).cloned().flatten()
}

/// Returns a PATCH body (RFC 7644 §3.5.2).
fn patch_op(operations: Value) -> Value {
    let mut body = json!({ "schemas": [message::PATCH_OP_URN] });
    // `json!` would copy the operations.
    body["Operations"] = operations;
    body
}

/// Returns whether a name or a text contains the word, in any case.
fn mentions(value: &Value, word: &str) -> bool {
    let contains = |text: &str| {
        text.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
    };
    match value {
        Value::String(text) => contains(text),
        Value::Array(elements) => elements.iter().any(|element| mentions(element, word)),
        Value::Object(members) => members.iter().any(|(name, value)| contains(name) || mentions(value, word)),
        _ => false,
    }
}

/// Replaces references anywhere in the data: a text that is a reference, or a reference in the path of a PATCH
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

/// Replaces references among the parts of a text.
fn in_each(text: &str, separator: char, id_of: &mut impl FnMut(&str) -> Option<String>) -> String {
    let mut in_part = |part: &str| part.strip_prefix(REFERENCE).and_then(&mut *id_of);
    let parts: Vec<_> =
        text.split(separator).map(|part| in_part(part).unwrap_or_else(|| part.to_owned())).collect();
    parts.join(separator.encode_utf8(&mut [0; 4]))
}

/// Returns the member with that name in any case. Null counts as absent.
pub(super) fn member<'a>(object: &'a Value, name: &str) -> Result<Option<&'a Value>, Invalid> {
    let members = object.as_object().into_iter().flatten();
    let mut values = members
        .filter(|(known, value)| known.eq_ignore_ascii_case(name) && !value.is_null())
        .map(|(_, value)| value);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Invalid::syntax(format!("The member '{name}' occurs more than once."))),
        (value, None) => Ok(value),
    }
}

/// Takes the member with that name in any case. Null counts as absent.
pub(super) fn take_member(object: &mut Value, name: &str) -> Result<Option<Value>, Invalid> {
    if member(object, name)?.is_none() {
        return Ok(None);
    }
    let mut members = object.as_object_mut().into_iter().flatten();
    let found = members.find(|(known, value)| known.eq_ignore_ascii_case(name) && !value.is_null());
    Ok(found.map(|(_, value)| value.take()))
}

/// Returns a text that the answer repeats.
fn short_text(operation: &Value, name: &str) -> Result<Option<String>, Invalid> {
    text(operation, name, MAX_TEXT_BYTES)
}

fn text(operation: &Value, name: &str, most: usize) -> Result<Option<String>, Invalid> {
    match member(operation, name)? {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= most => Ok(Some(text.clone())),
        Some(_) => Err(too_long(name, most)),
    }
}

fn too_long(name: &str, most: usize) -> Invalid {
    Invalid::value(format!("The value of '{name}' must be a string of at most {most} bytes."))
}
