//! PATCH (RFC 7644 §3.5.2): from a `PatchOp` message to changes, and from a document to the changed document.
//!
//! [`Patch::parse`] does everything that needs no document: it accepts the dialects of clients, resolves paths, and
//! checks values. The result is a list of changes, each of one attribute, and a list of operations on members, which
//! are stored beside the document. [`Patch::apply`] applies the changes in order to a copy, and validates the result
//! like any other document. It applies all changes or none.
//!
//! `replace` of a complex attribute keeps the sub-attributes that are not sent (§3.5.2.3). For single values, `add`
//! and `replace` are therefore the same. A `value` of null unassigns the attribute (RFC 7643 §2.5).

use serde_json::{Map, Value};

use self::change::{Change, Edit};
use crate::dialect::{patch as dialect, values};
use crate::error::Invalid;
use crate::extension::{self, Declared, named_twice, unwrapped};
use crate::filter::Predicate;
use crate::fold::FoldCache;
use crate::lookup::AttributeRef;
use crate::members::{self, MemberOperation};
use crate::message::{Op, PATCH_OP_URN, check_schemas};
use crate::path::Target;
use crate::resource::Document;
use crate::schema::{Attribute, CUSTOM, MEMBERS, Mutability, ResourceType, Type};
use crate::syntax::{Filter, Path};
use crate::validate::{check_values, is_custom_name, read_value, sub_attributes};
use crate::value::{
    check_distinct_names, excerpt, get_ignore_case, is_present, is_unassigned, type_mismatch,
};

mod change;
mod conflict;

/// The maximum number of operations in a request, of attributes that they change (without members), and of
/// comparisons in the filters of their paths. Each comparison reads every element of an attribute.
pub const MAX_OPERATIONS: usize = 1000;

/// The maximum number of comparisons in filters of members other than by id. Each one reads every member of the
/// group.
pub const MAX_MEMBER_COMPARISONS: usize = 50;

/// A parsed PATCH request: changes of the document, and operations on the members.
///
/// # Examples
/// ```
/// use scim::{patch::Patch, resource::Document, schema::USER_TYPE};
/// use serde_json::json;
///
/// let user = Document::from_request(&USER_TYPE, &json!({ "userName": "ada", "title": "Countess" }))?;
/// let patch = Patch::parse(&USER_TYPE, &json!({
///     "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
///     "Operations": [
///         { "op": "add", "path": "emails", "value": [{ "value": "ada@example.com", "type": "work" }] },
///         { "op": "remove", "path": "title" },
///     ],
/// }))?;
/// let user = patch.apply(&user)?;
/// assert_eq!(user.emails().collect::<Vec<_>>(), ["ada@example.com"]);
/// assert_eq!(user.get("title"), None);
/// # Ok::<(), scim::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    resource_type: &'static ResourceType,
    changes: Vec<Change>,
    members: Vec<MemberOperation>,
}

impl Patch {
    /// Parses a `PatchOp` message.
    ///
    /// # Errors
    /// The first operation that is invalid for every document of the resource type. The detail begins with the index
    /// of the operation.
    pub fn parse(resource_type: &'static ResourceType, body: &Value) -> Result<Self, Invalid> {
        let operations = operations_of(body)?;
        let mut patch = Self { resource_type, changes: Vec::new(), members: Vec::new() };
        for (index, operation) in operations.iter().enumerate() {
            patch.read(index, operation).map_err(|invalid| in_operation(index, invalid))?;
        }
        patch.check_comparisons()?;
        Ok(patch)
    }

    fn check_comparisons(&self) -> Result<(), Invalid> {
        if self.filters().map(count_comparisons).sum::<usize>() > MAX_OPERATIONS {
            return Err(Invalid::filter(format!(
                "The filters in the paths have more than {MAX_OPERATIONS} comparisons. Send several requests."
            )));
        }
        if self.filters_of_members().map(count_comparisons).sum::<usize>() > MAX_MEMBER_COMPARISONS {
            return Err(Invalid::filter(format!(
                "The paths have more than {MAX_MEMBER_COMPARISONS} comparisons of members other than by id. Send \
                 several requests, or use filters of the form [value eq \"<id>\"]."
            )));
        }
        Ok(())
    }

    /// Returns whether the request changes anything other than members.
    #[must_use]
    pub fn changes_document(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Returns the operations on members, in order.
    #[must_use]
    pub fn members(&self) -> &[MemberOperation] {
        &self.members
    }

    /// Applies the changes to a document. If nothing changes, the result equals the document.
    ///
    /// # Errors
    /// If a path selects nothing in this document, or if the result is not valid.
    pub fn apply(&self, document: &Document) -> Result<Document, Invalid> {
        let mut patched = document.as_map().clone();
        let mut folds = FoldCache::default();
        for change in &self.changes {
            change
                .apply(&mut patched, &mut folds)
                .map_err(|invalid| in_operation(change.operation, invalid))?;
        }
        Document::from_patched(self.resource_type, document, &patched)
    }

    fn filters(&self) -> impl Iterator<Item = &Predicate> {
        self.changes.iter().filter_map(|change| change.filter.as_ref()).chain(self.filters_of_members())
    }

    fn filters_of_members(&self) -> impl Iterator<Item = &Predicate> {
        self.members.iter().filter_map(|operation| match operation {
            MemberOperation::RemoveWhere(filter) => Some(filter),
            _ => None,
        })
    }

    fn read(&mut self, index: usize, operation: &Value) -> Result<(), Invalid> {
        let Value::Object(operation) = operation else {
            return Err(Invalid::syntax(
                "An operation must be an object with \"op\", \"path\" and \"value\".",
            ));
        };
        check_distinct_names(operation)?;
        let op = get_ignore_case(operation, "op")
            .and_then(Value::as_str)
            .and_then(dialect::parse_op)
            .ok_or_else(|| Invalid::syntax("The \"op\" must be \"add\", \"replace\" or \"remove\"."))?;
        let value = get_ignore_case(operation, "value");
        let mut reader = OperationReader { patch: self, index, op };
        match get_ignore_case(operation, "path") {
            Some(Value::String(path)) if !path.is_empty() => reader.read_path(path, value),
            None | Some(Value::Null | Value::String(_)) => reader.read_without_path(value),
            Some(_) => Err(Invalid::syntax("The \"path\" must be a string.")),
        }
    }
}

fn count_comparisons(filter: &Predicate) -> usize {
    match filter {
        Predicate::And(filters) | Predicate::Or(filters) => filters.iter().map(count_comparisons).sum(),
        Predicate::Not(filter) | Predicate::ValuePath { filter, .. } => count_comparisons(filter),
        Predicate::Compare { .. } | Predicate::Present { .. } => 1,
    }
}

fn in_operation(index: usize, invalid: Invalid) -> Invalid {
    invalid.within(&format!("Operations[{index}]"))
}

fn operations_of(body: &Value) -> Result<&[Value], Invalid> {
    let Value::Object(message) = body else {
        return Err(Invalid::syntax(
            "The body must be a PatchOp message, a JSON object with \"Operations\".",
        ));
    };
    check_distinct_names(message)?;
    check_schemas(message, &[PATCH_OP_URN, dialect::OLD_PATCH_OP_URN])?;
    match get_ignore_case(message, "Operations") {
        Some(Value::Array(operations)) if operations.len() > MAX_OPERATIONS => Err(Invalid::value(format!(
            "The request has {} operations. Send at most {MAX_OPERATIONS} in one request.",
            operations.len()
        ))),
        Some(Value::Array(operations)) if !operations.is_empty() => Ok(operations),
        _ => Err(Invalid::syntax("The \"Operations\" must be a list with at least one operation.")),
    }
}

/// Reads one operation and adds its changes to a patch.
struct OperationReader<'a> {
    patch: &'a mut Patch,
    index: usize,
    op: Op,
}

impl OperationReader<'_> {
    /// Reads an operation without a path. Its value is an object of attributes.
    fn read_without_path(&mut self, value: Option<&Value>) -> Result<(), Invalid> {
        let has_members = self.patch.resource_type.schema.attribute(MEMBERS).is_some();
        if self.op == Op::Remove {
            if has_members && let Some(members) = value.and_then(dialect::members_in_object) {
                return self.read_members(None, None, Some(members));
            }
            return Err(Invalid::no_target(
                "An operation \"remove\" needs a \"path\". Name the attribute to remove.",
            ));
        }
        let value = value.ok_or_else(no_value)?;
        let object = &*dialect::object_from_text(value)?;
        if has_members && let Some(members) = members::in_body(object)? {
            self.read_key(MEMBERS, members)?;
        }
        let object = unwrapped(self.patch.resource_type.schema.id, object)?;
        check_distinct_names(&object)?;
        let declared = Declared::of(&object);
        let first = self.patch.changes.len();
        for (key, value) in object.iter().filter(|(key, _)| !key.eq_ignore_ascii_case(MEMBERS)) {
            match declared.whole_extension(self.patch.resource_type, key, value) {
                Some(urn) => self.read_extension(urn, Some(value)).map(drop)?,
                None => self.read_key(&declared.with_colon(key), value).map(drop)?,
            }
        }
        conflict::reconcile(&mut self.patch.changes, first)
    }

    /// Reads an attribute under a key that is a path. Returns whether the key names an attribute. Attributes that the
    /// client may not write are ignored, as in a POST. Okta renames a group with its `id` in the value.
    fn read_key(&mut self, key: &str, value: &Value) -> Result<bool, Invalid> {
        let Some((path, target)) = dialect::key_as_path(self.patch.resource_type, key)? else {
            return Ok(false);
        };
        if !is_read_only(&target) {
            self.read_target(&path, target, Some(value))?;
        }
        Ok(true)
    }

    fn read_path(&mut self, text: &str, value: Option<&Value>) -> Result<(), Invalid> {
        let path = Path::parse(text)?;
        let target = match value {
            // The path has no `schemas`, so the value tells where the URN ends, as in a body without them.
            Some(value) if !is_unassigned(value) => {
                let urn = Declared::default().whole_extension(self.patch.resource_type, text.trim(), value);
                urn.map(Target::Extension)
            }
            _ => None,
        };
        match target.map_or_else(|| path.resolve(self.patch.resource_type), Ok)? {
            Target::Extension(urn) => {
                if let Some(list @ Value::Array(_)) = value
                    && self.op != Op::Remove
                {
                    return Err(extension::not_an_object(&urn, list));
                }
                let first = self.patch.changes.len();
                if !self.read_extension(urn.clone(), value)? {
                    return Err(Invalid::value(format!(
                        "Extension '{}' has none of the attributes in the value. Correct their names.",
                        excerpt(&urn)
                    )));
                }
                conflict::reconcile(&mut self.patch.changes, first)
            }
            target @ Target::Attribute { .. } => self.read_target(&path, target, value),
        }
    }

    fn read_target(&mut self, path: &Path, target: Target, value: Option<&Value>) -> Result<(), Invalid> {
        if is_read_only(&target) {
            return Err(Invalid::mutability(format!(
                "Attribute '{}' is readOnly. Leave it out of the request.",
                path.name
            )));
        }
        match target {
            Target::Extension(urn) => self.read_extension(urn, value).map(drop),
            Target::Attribute { attribute, filter, sub } if attribute.definition.name == MEMBERS => {
                self.read_members(filter, sub, value)
            }
            // Passwords are accepted and dropped, because Okta sends one with every user.
            Target::Attribute { attribute, .. }
                if attribute.definition.mutability == Mutability::WriteOnly =>
            {
                Ok(())
            }
            Target::Attribute { attribute, filter, sub } => {
                // The body may have more values, because another operation may add members.
                check_values(value)?;
                let edit = match self.op {
                    Op::Remove => removal(&attribute, filter.is_some(), sub, value)?,
                    Op::Add | Op::Replace => {
                        let value = value.ok_or_else(no_value)?;
                        assignment(self.op == Op::Add, &attribute, filter.is_some(), sub, value)?
                    }
                };
                match edit {
                    Some(edit) => self.push_change(attribute, filter, path.filter.as_ref(), edit),
                    None => Ok(()),
                }
            }
        }
    }

    /// Reads an operation on a whole extension: one change for each attribute in its object. Returns false if the object
    /// has attributes, and the extension has none of them.
    fn read_extension(&mut self, urn: String, value: Option<&Value>) -> Result<bool, Invalid> {
        let object = match (self.op, value) {
            (Op::Remove, _) => None,
            // An empty object, as PHP writes it, changes nothing.
            (_, Some(Value::Array(elements))) if elements.is_empty() => return Ok(true),
            (_, value) => extension::object(&urn, value.ok_or_else(no_value)?)?,
        };
        let Some(object) = object else {
            let attribute = AttributeRef { extension: None, name: urn, definition: &CUSTOM };
            return self.push_change(attribute, None, None, Edit::Assign(Value::Null)).map(|()| true);
        };
        let object = unwrapped(&urn, object)?;
        extension::check_count(&urn, object.len())?;
        check_distinct_names(&object)?;
        let mut has_any = !object.values().any(is_present);
        let is_custom = extension::known(self.patch.resource_type, &urn).is_none();
        for (name, value) in &*object {
            has_any |= if is_custom {
                self.read_custom(&urn, name, value)?
            } else {
                // A name with a colon would be an attribute of another extension.
                !name.contains(':') && self.read_key(&format!("{urn}:{name}"), value)?
            };
        }
        Ok(has_any)
    }

    /// Reads an attribute in the object of a custom extension. Its name need not be a path. Returns whether an attribute
    /// may have the name.
    fn read_custom(&mut self, urn: &str, name: &str, value: &Value) -> Result<bool, Invalid> {
        if !is_custom_name(name) {
            return Ok(false);
        }
        check_values(Some(value))?;
        let attribute =
            AttributeRef { extension: Some(urn.to_owned()), name: name.to_owned(), definition: &CUSTOM };
        if let Some(edit) = assignment(self.op == Op::Add, &attribute, false, None, value)? {
            self.push_change(attribute, None, None, edit)?;
        }
        Ok(true)
    }

    fn read_members(
        &mut self,
        filter: Option<Predicate>,
        sub: Option<&Attribute>,
        value: Option<&Value>,
    ) -> Result<(), Invalid> {
        let given = members::from_value;
        let operation = match (self.op, filter, sub) {
            (Op::Remove, Some(filter), None) => members::removal(filter),
            (Op::Remove, None, None) => match dialect::members_to_remove(value) {
                None => MemberOperation::Replace(Vec::new()),
                Some(value) => {
                    MemberOperation::Remove(given(value)?.into_iter().map(|member| member.value).collect())
                }
            },
            (Op::Add, None, None) => MemberOperation::Add(given(value.ok_or_else(no_value)?)?),
            (Op::Replace, None, None) => MemberOperation::Replace(given(value.ok_or_else(no_value)?)?),
            _ => {
                return Err(Invalid::mutability(
                    "The sub-attributes of a member are immutable. Add and remove members with the path \"members\".",
                ));
            }
        };
        self.patch.members.push(operation);
        Ok(())
    }

    fn push_change(
        &mut self,
        attribute: AttributeRef,
        filter: Option<Predicate>,
        written: Option<&Filter>,
        edit: Edit,
    ) -> Result<(), Invalid> {
        if self.patch.changes.len() >= MAX_OPERATIONS {
            return Err(Invalid::value(format!(
                "The request changes more than {MAX_OPERATIONS} attributes. Send several requests."
            )));
        }
        let template = match written {
            None => Some(Map::new()),
            Some(filter) => dialect::element_from_filter(attribute.definition, filter),
        };
        self.patch.changes.push(Change { operation: self.index, attribute, filter, template, edit });
        Ok(())
    }
}

/// The keys of a POST or PUT body that are paths. Each has the meaning that it has in a PATCH without a path.
pub(crate) struct KeyPatch(Patch);

impl KeyPatch {
    pub(crate) fn new(resource_type: &'static ResourceType) -> Self {
        Self(Patch { resource_type, changes: Vec::new(), members: Vec::new() })
    }

    /// Reads an attribute. A key that names no attribute is ignored, and so is a null, because the body replaces all
    /// attributes.
    pub(crate) fn read(&mut self, key: &str, value: &Value) -> Result<(), Invalid> {
        if dialect::is_another_attribute(self.0.resource_type, key, value) {
            return Ok(());
        }
        OperationReader { patch: &mut self.0, index: 0, op: Op::Replace }.read_key(key, value)?;
        if let Some(mut change) = self.0.changes.pop() {
            let is_kept = conflict::drop_nulls(&mut change, |_| true);
            self.0.changes.extend(is_kept.then_some(change));
        }
        Ok(())
    }

    /// Applies the changes to the attributes that the body has under their own names. Returns whether there are any.
    ///
    /// # Errors
    /// If the body has an attribute under two names with different values.
    pub(crate) fn apply(&self, document: &mut Map<String, Value>) -> Result<bool, Invalid> {
        self.0.check_comparisons()?;
        conflict::check_distinct(&self.0.changes)?;
        for change in &self.0.changes {
            if change.contradicts(document) {
                return Err(named_twice(&change.attribute.name));
            }
        }
        let mut folds = FoldCache::default();
        for change in &self.0.changes {
            change.apply(document, &mut folds)?;
        }
        Ok(!self.0.changes.is_empty())
    }
}

fn is_read_only(target: &Target) -> bool {
    match target {
        Target::Extension(_) => false,
        Target::Attribute { attribute, sub, .. } => {
            let read_only = |attribute: &Attribute| attribute.mutability == Mutability::ReadOnly;
            read_only(attribute.definition) || sub.is_some_and(read_only)
        }
    }
}

fn no_value() -> Invalid {
    Invalid::value("The \"value\" is missing. Send the value to add or replace, or use \"remove\".")
}

fn removal(
    attribute: &AttributeRef,
    filtered: bool,
    sub: Option<&'static Attribute>,
    value: Option<&Value>,
) -> Result<Option<Edit>, Invalid> {
    let definition = attribute.definition;
    Ok(Some(match sub {
        Some(sub) => merge(definition, Map::from_iter([(sub.name.to_owned(), Value::Null)])),
        None if filtered => Edit::RemoveSelected,
        None if definition.required => {
            return Err(Invalid::mutability(format!(
                "{} is required and cannot be removed. Replace its value instead.",
                attribute.label()
            )));
        }
        None => match dialect::values_to_remove(value) {
            Some(value)
                if definition.multi_valued || definition.data_type == Type::Any && value.is_array() =>
            {
                match read_value(definition, attribute.label(), &values::as_list(value))? {
                    Some(Value::Array(values)) => Edit::RemoveValues(values),
                    _ => return Ok(None),
                }
            }
            _ => Edit::Assign(Value::Null),
        },
    }))
}

/// Returns the edit of an `add` or `replace`, or `None` if it changes nothing.
fn assignment(
    add: bool,
    attribute: &AttributeRef,
    filtered: bool,
    sub: Option<&'static Attribute>,
    value: &Value,
) -> Result<Option<Edit>, Invalid> {
    let (definition, label) = (attribute.definition, attribute.label());
    if let Some(sub) = sub {
        let value = read_value(sub, label.sub(sub.name), value)?.unwrap_or(Value::Null);
        return Ok(Some(merge(definition, Map::from_iter([(sub.name.to_owned(), value)]))));
    }
    if filtered {
        return Ok(match value {
            value if is_unassigned(value) => (!add).then_some(Edit::RemoveSelected),
            Value::Object(object) => {
                let sub_attributes = sub_attributes(definition, label, object)?;
                (!sub_attributes.is_empty()).then_some(if add {
                    Edit::Merge(sub_attributes)
                } else {
                    Edit::ReplaceSelected(sub_attributes)
                })
            }
            other => return Err(type_mismatch(&label, "an object", other)),
        });
    }
    if definition.multi_valued {
        return Ok(match read_value(definition, label, &values::as_list(value))? {
            Some(Value::Array(elements)) if add => Some(Edit::Append(elements)),
            None if add => None,
            list => Some(Edit::Assign(list.unwrap_or(Value::Null))),
        });
    }
    if definition.data_type == Type::Complex
        && let Value::Object(object) = &*values::normalized(definition, value)
    {
        let mut sub_attributes = sub_attributes(definition, label, object)?;
        dialect::clear_old_reference(definition, &mut sub_attributes);
        return Ok(Some(merge(definition, sub_attributes)));
    }
    Ok(Some(match read_value(definition, label, value)? {
        None if definition.required => {
            return Err(Invalid::value(format!(
                "{label} is required and cannot be unassigned. Send a value."
            )));
        }
        // A whole extension may be meant, which only null unassigns.
        None if definition.data_type == Type::Any => Edit::Assign(value.clone()),
        // The type of a custom attribute is unknown, so `add` of a list appends to a list.
        Some(Value::Array(elements)) if add => Edit::Append(elements),
        value => Edit::Assign(value.unwrap_or(Value::Null)),
    }))
}

fn merge(attribute: &Attribute, sub_attributes: Map<String, Value>) -> Edit {
    if dialect::clears_reference(attribute, &sub_attributes) {
        Edit::Assign(Value::Null)
    } else {
        Edit::Merge(sub_attributes)
    }
}

#[cfg(test)]
mod tests;
