//! One operation of a bulk request: its syntax, its references, and the operations that it must not run beside.

use std::collections::{BTreeMap, BTreeSet};

use scim::{Invalid, fold::fold, message};
use serde_json::{Value, json};

use crate::http::base_path::under_base;

/// The longest method, `bulkId`, version and path in bytes. The answer repeats these texts.
const MAX_TEXT_BYTES: usize = 1_024;
/// The prefix of a reference to an operation.
pub(super) const REFERENCE: &str = "bulkId:";

/// The resource id of each `bulkId`, or `None` until its operation has run. Failed operations are removed.
pub(super) type Ids = BTreeMap<String, Option<String>>;

/// An operation. Parts that could not be parsed are empty, and `fault` has the reason.
#[derive(Clone, Default)]
pub(super) struct Operation {
    pub(super) method: String,
    pub(super) bulk_id: Option<String>,
    pub(super) version: Option<String>,
    /// The path under the base, without the query.
    pub(super) path: String,
    /// The query with its question mark, or nothing.
    pub(super) query: String,
    pub(super) data: Value,
    /// The `bulkId`s that the operation refers to.
    pub(super) references: BTreeSet<String>,
    /// Whether the operation may release one name and take another, so that no other may run beside it.
    pub(super) is_exclusive: bool,
    pub(super) fault: Option<Invalid>,
}

impl Operation {
    /// Parses an operation. An invalid one does not make the request fail.
    pub(super) fn parse(sent: &Value) -> Self {
        let mut operation = Self::default();
        operation.fault = operation.fill(sent).err();
        operation
    }

    /// Parses the parts that an answer repeats first, because the answer has the refused operations too.
    fn fill(&mut self, sent: &Value) -> Result<(), Invalid> {
        let missing = |name: &str| Invalid::value(format!("The operation has no '{name}'."));
        self.method = text(sent, "method")?.ok_or_else(|| missing("method"))?.to_ascii_uppercase();
        self.bulk_id = text(sent, "bulkId")?;
        let path = text(sent, "path")?.filter(|path| path.starts_with('/')).ok_or_else(|| {
            Invalid::value(
                "The operation has no valid 'path'. Give the endpoint under the base URL, such as /Users or /Users/<id>.",
            )
        })?;
        let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
        self.path = under_base(path);
        query.clone_into(&mut self.query);
        if !matches!(self.method.as_str(), "POST" | "PUT" | "PATCH" | "DELETE") {
            return Err(Invalid::value("The value of 'method' must be POST, PUT, PATCH or DELETE."));
        }
        if self.is_creation() && self.bulk_id.is_none() {
            return Err(missing("bulkId"));
        }
        self.version = text(sent, "version")?;
        self.data = match member(sent, "data")? {
            // An example of RFC 7644 §3.7.3 has a list of operations instead of a PatchOp.
            Some(operations @ Value::Array(_)) if self.method == "PATCH" => patch_op(operations),
            Some(data) => data.clone(),
            None if self.method == "DELETE" => Value::Null,
            None => return Err(missing("data")),
        };
        self.find_references();
        let names = || self.data.to_string().to_ascii_lowercase().contains(&self.name().to_ascii_lowercase());
        self.is_exclusive = self.method == "PUT" || (self.method == "PATCH" && names());
        Ok(())
    }

    /// Returns an operation that deletes the resource at the path.
    pub(super) fn deletion(path: String) -> Self {
        Self { method: "DELETE".to_owned(), path, ..Self::default() }
    }

    /// Returns an operation that adds members to a group.
    pub(super) fn join(group: &str, members: &[Value]) -> Self {
        let data = patch_op(&json!([{ "op": "add", "path": "members", "value": members }]));
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
        if !self.is_creation() {
            return path;
        }
        let name = member(&self.data, self.name()).ok().flatten().and_then(Value::as_str);
        format!("{path} {}", name.map(fold).unwrap_or_default())
    }

    /// Returns the name of the unique attribute.
    fn name(&self) -> &'static str {
        if self.path.starts_with("/Groups") { "displayName" } else { "userName" }
    }

    /// Divides the creation of a group whose members do not exist yet: returns the creation without these members, and
    /// the members to add later. Returns `None` for any other operation.
    pub(super) fn without_members(&self, ids: &Ids) -> Option<(Self, Vec<Value>)> {
        if !self.is_creation() || self.path != "/Groups" {
            return None;
        }
        let mut early = self.clone();
        let mut attributes = early.data.as_object_mut()?.iter_mut();
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
        early.find_references();
        (!early.waits(ids)).then_some((early, deferred))
    }

    /// Returns whether the operation refers to one that has not run.
    pub(super) fn waits(&self, ids: &Ids) -> bool {
        self.references.iter().any(|reference| ids.get(reference) == Some(&None))
    }
}

fn id_of(ids: &Ids, reference: &str) -> Option<String> {
    ids.get(reference).cloned().flatten()
}

/// Returns a PATCH body (RFC 7644 §3.5.2).
fn patch_op(operations: &Value) -> Value {
    json!({ "schemas": [message::PATCH_OP_URN], "Operations": operations })
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

fn text(operation: &Value, name: &str) -> Result<Option<String>, Invalid> {
    match member(operation, name)? {
        None => Ok(None),
        Some(Value::String(text)) if text.len() <= MAX_TEXT_BYTES => Ok(Some(text.clone())),
        Some(_) => Err(Invalid::value(format!(
            "The value of '{name}' must be a string of at most {MAX_TEXT_BYTES} bytes."
        ))),
    }
}
