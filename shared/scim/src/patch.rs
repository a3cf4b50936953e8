//! PATCH (RFC 7644 §3.5.2): a message → changes of places in the schema table → the document after it.
//!
//! [`Patch::parse`] does all that needs no document: dialects are rewritten, paths resolved, values typed. What is left
//! is a list of changes, each of one attribute, and of operations on members, which are kept beside the document.
//! [`Patch::apply`] carries the changes out in order on a copy and has the result checked as any other document:
//! all or nothing, and nothing at all when there is nothing new.
//!
//! `replace` of a complex attribute leaves the parts that are not sent (§3.5.2.3), so for anything single `add` and
//! `replace` are the same. A `value` of null unassigns (RFC 7643 §2.5).

use serde_json::{Map, Value};

use crate::dialect;
use crate::error::Invalid;
use crate::filter::{Filter, Predicate};
use crate::fold::Folds;
use crate::members::{self, MEMBERS, MemberOperation};
use crate::message::PATCH_OP_URN;
use crate::path::{Located, Path, Target};
use crate::resource::Document;
use crate::schema::{Attribute, CUSTOM, Mutability, ResourceType, Type};
use crate::validate::{
    Label, MAX_DOCUMENT, at_most, distinct_names, extension_object, is_unassigned, keep_distinct, limit,
    mismatch, named, parts, read, too_large,
};

/// Most operations in a request, most attributes they may change (members are not counted), and most comparisons in the
/// filters of their paths: each looks at each element of an attribute.
pub const MAX_OPERATIONS: usize = 1000;

/// Most comparisons in filters of members by anything but ids: each looks at each member of the group.
pub const MAX_MEMBER_COMPARISONS: usize = 50;

/// A PATCH request, read and resolved: what it changes of the document, and of the members.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    resource_type: &'static ResourceType,
    changes: Vec<Change>,
    members: Vec<MemberOperation>,
}

/// What an operation does (RFC 7644 §3.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Replace,
    Remove,
}

/// A change of one attribute.
#[derive(Debug, Clone, PartialEq)]
struct Change {
    /// Which operation asked for it.
    operation: usize,
    located: Located,
    /// Which elements of it are meant; all, where there is none.
    filter: Option<Predicate>,
    /// The element to create where none is meant: what is known of it before it gets its value. `None` where the filter
    /// does not say.
    template: Option<Map<String, Value>>,
    edit: Edit,
}

/// What is done to the attribute. Values are canonical.
#[derive(Debug, Clone, PartialEq)]
enum Edit {
    /// It gets this value; null unassigns it.
    Assign(Value),
    /// Elements that are not there yet are appended.
    Append(Vec<Value>),
    /// Elements equal to these go.
    Without(Vec<Value>),
    /// The elements meant go.
    Drop,
    /// The elements meant, or the one complex value, get these parts; null unassigns a part.
    Merge(Map<String, Value>),
    /// The elements meant become the template with these parts.
    Become(Map<String, Value>),
}

impl Patch {
    /// Reads a `PatchOp` message.
    ///
    /// # Errors
    /// The first operation that can be carried out on no document of the type, by its index.
    pub fn parse(resource_type: &'static ResourceType, body: &Value) -> Result<Self, Invalid> {
        let operations = operations_of(body)?;
        let mut patch = Self { resource_type, changes: Vec::new(), members: Vec::new() };
        for (index, operation) in operations.iter().enumerate() {
            patch.read(index, operation).map_err(|invalid| within(index, invalid))?;
        }
        if patch.filters().map(comparisons).sum::<usize>() > MAX_OPERATIONS {
            return Err(Invalid::filter(format!(
                "The paths have more than {MAX_OPERATIONS} comparisons in their filters: send several requests"
            )));
        }
        if patch.filters_of_members().map(comparisons).sum::<usize>() > MAX_MEMBER_COMPARISONS {
            return Err(Invalid::filter(format!(
                "The paths have more than {MAX_MEMBER_COMPARISONS} comparisons of members by other than \
                 [value eq \"<id>\"]: send several requests, or ids"
            )));
        }
        Ok(patch)
    }

    /// Whether it changes anything besides members.
    #[must_use]
    pub fn document_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// What it does to the members, in order.
    #[must_use]
    pub fn members(&self) -> &[MemberOperation] {
        &self.members
    }

    /// The document after it. Pure, all or nothing.
    ///
    /// # Errors
    /// Where this document has nothing a path selects, or would no longer be valid.
    pub fn apply(&self, document: &Document) -> Result<Document, Invalid> {
        let mut patched = document.as_map().clone();
        let mut folds = Folds::default();
        for change in &self.changes {
            change.apply(&mut patched, &mut folds).map_err(|invalid| within(change.operation, invalid))?;
        }
        Document::from_patched(self.resource_type, &patched)
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
                "an operation must be an object with \"op\", \"path\" and \"value\"",
            ));
        };
        distinct_names(operation)?;
        let op = named(operation, "op")
            .and_then(Value::as_str)
            .and_then(dialect::operation)
            .ok_or_else(|| Invalid::syntax("\"op\" must be \"add\", \"replace\" or \"remove\""))?;
        let value = named(operation, "value");
        let mut reader = Reader { patch: self, index, op };
        match named(operation, "path") {
            Some(Value::String(path)) if !path.is_empty() => {
                let path = Path::parse(path)?;
                let target = path.resolve(reader.patch.resource_type)?;
                reader.target(&path, target, value)
            }
            None | Some(Value::Null | Value::String(_)) => reader.whole(value),
            Some(_) => Err(Invalid::syntax("\"path\" must be a string")),
        }
    }
}

fn comparisons(filter: &Predicate) -> usize {
    match filter {
        Predicate::And(filters) | Predicate::Or(filters) => filters.iter().map(comparisons).sum(),
        Predicate::Not(filter) | Predicate::ValuePath { filter, .. } => comparisons(filter),
        Predicate::Compare { .. } | Predicate::Present { .. } => 1,
    }
}

fn within(index: usize, invalid: Invalid) -> Invalid {
    invalid.within(&format!("Operations[{index}]"))
}

fn operations_of(body: &Value) -> Result<&[Value], Invalid> {
    let Value::Object(message) = body else {
        return Err(Invalid::syntax("The body must be a JSON object: a PatchOp message with \"Operations\""));
    };
    distinct_names(message)?;
    let is_patch_op = |urn: &Value| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(PATCH_OP_URN));
    match named(message, "schemas") {
        None | Some(Value::Null) => {}
        Some(Value::Array(urns)) if urns.iter().any(is_patch_op) => {}
        Some(_) => {
            return Err(Invalid::syntax(format!("\"schemas\" must be a list with \"{PATCH_OP_URN}\"")));
        }
    }
    match named(message, "Operations") {
        Some(Value::Array(operations)) if operations.len() > MAX_OPERATIONS => Err(Invalid::value(format!(
            "The request has {} operations: at most {MAX_OPERATIONS} are possible, send several requests",
            operations.len()
        ))),
        Some(Value::Array(operations)) if !operations.is_empty() => Ok(operations),
        _ => Err(Invalid::syntax("\"Operations\" must be a list with at least one operation")),
    }
}

/// Reads one operation into changes.
struct Reader<'a> {
    patch: &'a mut Patch,
    index: usize,
    op: Op,
}

impl Reader<'_> {
    /// An operation on the whole resource: `value` is an object of attributes.
    fn whole(&mut self, value: Option<&Value>) -> Result<(), Invalid> {
        if self.op == Op::Remove {
            return Err(Invalid::no_target("\"remove\" needs a \"path\": what is to be removed"));
        }
        let value = value.ok_or_else(no_value)?;
        self.each("", &*dialect::object_in_text(value)?)
    }

    /// An object of attributes is one change for each. What the client may not write is ignored in it, as in a POST:
    /// Okta renames a group with its `id` in the value.
    fn each(&mut self, prefix: &str, object: &Map<String, Value>) -> Result<(), Invalid> {
        distinct_names(object)?;
        for (key, value) in object {
            let found = dialect::key_as_path(self.patch.resource_type, &format!("{prefix}{key}"))?;
            if let Some((path, target)) = found
                && !is_read_only(&target)
            {
                self.target(&path, target, Some(value))?;
            }
        }
        Ok(())
    }

    fn target(&mut self, path: &Path, target: Target, value: Option<&Value>) -> Result<(), Invalid> {
        if is_read_only(&target) {
            return Err(Invalid::mutability(format!(
                "'{}' is readOnly: it is not the client's to change",
                path.name
            )));
        }
        match target {
            Target::Extension(urn) => self.extension(urn, value),
            Target::Attribute { located, filter, sub } if located.attribute.name == MEMBERS => {
                self.members(filter, sub, value)
            }
            // A password is accepted and dropped: Okta sends one with every user.
            Target::Attribute { located, .. } if located.attribute.mutability == Mutability::WriteOnly => {
                Ok(())
            }
            Target::Attribute { located, filter, sub } => {
                let edit = match self.op {
                    Op::Remove => removal(&located, filter.is_some(), sub, value)?,
                    Op::Add | Op::Replace => {
                        let value = value.ok_or_else(no_value)?;
                        assignment(self.op == Op::Add, &located, filter.is_some(), sub, value)?
                    }
                };
                match edit {
                    Some(edit) => self.push(located, filter, path.filter.as_ref(), edit),
                    None => Ok(()),
                }
            }
        }
    }

    /// A whole extension: its object is one change for each attribute in it.
    fn extension(&mut self, urn: String, value: Option<&Value>) -> Result<(), Invalid> {
        let object = match self.op {
            Op::Remove => None,
            Op::Add | Op::Replace => extension_object(&urn, value.ok_or_else(no_value)?)?,
        };
        if let Some(object) = object {
            return self.each(&format!("{urn}:"), object);
        }
        let located = Located { extension: None, name: urn, attribute: &CUSTOM };
        self.push(located, None, None, Edit::Assign(Value::Null))
    }

    fn members(
        &mut self,
        filter: Option<Predicate>,
        sub: Option<&Attribute>,
        value: Option<&Value>,
    ) -> Result<(), Invalid> {
        let given = |value: &Value| members::from_value(&dialect::as_list(value));
        let operation = match (self.op, filter, sub) {
            (Op::Remove, Some(filter), None) => members::removal(filter),
            (Op::Remove, None, None) => match dialect::values_to_remove(value) {
                None => MemberOperation::Replace(Vec::new()),
                Some(value) => {
                    MemberOperation::Remove(given(value)?.into_iter().map(|member| member.value).collect())
                }
            },
            (Op::Add, None, None) => MemberOperation::Add(given(value.ok_or_else(no_value)?)?),
            (Op::Replace, None, None) => MemberOperation::Replace(given(value.ok_or_else(no_value)?)?),
            _ => {
                return Err(Invalid::mutability(
                    "the parts of a member are immutable: add and remove members with path \"members\"",
                ));
            }
        };
        self.patch.members.push(operation);
        Ok(())
    }

    fn push(
        &mut self,
        located: Located,
        filter: Option<Predicate>,
        written: Option<&Filter>,
        edit: Edit,
    ) -> Result<(), Invalid> {
        if self.patch.changes.len() >= MAX_OPERATIONS {
            return Err(Invalid::value(format!(
                "The request changes more than {MAX_OPERATIONS} attributes: send several requests"
            )));
        }
        let template = match written {
            None => Some(Map::new()),
            Some(filter) => dialect::element_of_filter(located.attribute, filter),
        };
        self.patch.changes.push(Change { operation: self.index, located, filter, template, edit });
        Ok(())
    }
}

fn is_read_only(target: &Target) -> bool {
    match target {
        Target::Extension(_) => false,
        Target::Attribute { located, sub, .. } => {
            let read_only = |attribute: &Attribute| attribute.mutability == Mutability::ReadOnly;
            read_only(located.attribute) || sub.is_some_and(read_only)
        }
    }
}

fn no_value() -> Invalid {
    Invalid::value("\"value\" is missing: say what to add or replace, or use \"remove\"")
}

fn label(located: &Located) -> Label<'_> {
    Label::new(located.extension.as_deref(), &located.name)
}

fn removal(
    located: &Located,
    filtered: bool,
    sub: Option<&'static Attribute>,
    value: Option<&Value>,
) -> Result<Option<Edit>, Invalid> {
    let attribute = located.attribute;
    Ok(Some(match sub {
        Some(sub) => merged(attribute, Map::from_iter([(sub.name.to_owned(), Value::Null)])),
        None if filtered => Edit::Drop,
        None if attribute.required => {
            return Err(Invalid::mutability(format!("{} is required: it cannot be removed", label(located))));
        }
        None => match dialect::values_to_remove(value) {
            Some(value) if attribute.multi_valued || attribute.kind == Type::Any && value.is_array() => {
                match read(attribute, label(located), &dialect::as_list(value))? {
                    Some(Value::Array(values)) => Edit::Without(values),
                    _ => return Ok(None),
                }
            }
            _ => Edit::Assign(Value::Null),
        },
    }))
}

/// What `add` or `replace` does; `None` is nothing, for adding no values to many changes nothing.
fn assignment(
    add: bool,
    located: &Located,
    filtered: bool,
    sub: Option<&'static Attribute>,
    value: &Value,
) -> Result<Option<Edit>, Invalid> {
    let (attribute, label) = (located.attribute, label(located));
    if let Some(sub) = sub {
        let part = read(sub, label.sub(sub.name), value)?.unwrap_or_default();
        return Ok(Some(merged(attribute, Map::from_iter([(sub.name.to_owned(), part)]))));
    }
    if filtered {
        return Ok(match value {
            value if is_unassigned(value) => (!add).then_some(Edit::Drop),
            Value::Object(object) => {
                let parts = parts(attribute, label, object)?;
                (!parts.is_empty()).then_some(if add { Edit::Merge(parts) } else { Edit::Become(parts) })
            }
            other => return Err(mismatch(&label, "an object", other)),
        });
    }
    if attribute.multi_valued {
        return Ok(match read(attribute, label, &dialect::as_list(value))? {
            Some(Value::Array(elements)) if add => Some(Edit::Append(elements)),
            None if add => None,
            list => Some(Edit::Assign(list.unwrap_or_default())),
        });
    }
    if attribute.kind == Type::Complex
        && let Value::Object(object) = &*dialect::rewritten(attribute, value)
    {
        let mut parts = parts(attribute, label, object)?;
        dialect::forget_old_reference(attribute, &mut parts);
        return Ok(Some(merged(attribute, parts)));
    }
    Ok(Some(match read(attribute, label, value)? {
        None if attribute.required => {
            return Err(Invalid::value(format!("{label} is required: it cannot be unassigned")));
        }
        // What a custom attribute holds is not known beforehand: a list given to it is added to a list.
        Some(Value::Array(elements)) if add => Edit::Append(elements),
        value => Edit::Assign(value.unwrap_or_default()),
    }))
}

fn merged(attribute: &Attribute, parts: Map<String, Value>) -> Edit {
    if dialect::clears_reference(attribute, &parts) { Edit::Assign(Value::Null) } else { Edit::Merge(parts) }
}

impl Change {
    fn apply(&self, document: &mut Map<String, Value>, folds: &mut Folds) -> Result<(), Invalid> {
        let Some(urn) = &self.located.extension else { return self.apply_in(document, folds) };
        let (key, extension) = take(document, urn);
        let mut extension = into_object(extension);
        let applied = self.apply_in(&mut extension, folds);
        put(document, key, extension.into());
        applied
    }

    fn apply_in(&self, holder: &mut Map<String, Value>, folds: &mut Folds) -> Result<(), Invalid> {
        let (key, mut value) = take(holder, &self.located.name);
        self.edit(&mut value, folds)?;
        put(holder, key, value);
        Ok(())
    }

    fn edit(&self, value: &mut Value, folds: &mut Folds) -> Result<(), Invalid> {
        let attribute = self.located.attribute;
        match &self.edit {
            Edit::Assign(new) => value.clone_from(new),
            Edit::Merge(parts) if !attribute.multi_valued => {
                let mut object = into_object(value.take());
                merge(&mut object, parts);
                *value = object.into();
            }
            // A custom attribute that holds one value.
            Edit::Without(gone) if !value.is_array() => {
                if gone.contains(value) {
                    *value = Value::Null;
                }
            }
            _ => {
                let mut elements = match value.take() {
                    Value::Null => Vec::new(),
                    Value::Array(elements) => elements,
                    single => vec![single],
                };
                self.edit_elements(&mut elements, folds)?;
                if attribute.multi_valued {
                    keep_distinct(&mut elements);
                }
                at_most(limit(attribute), label(&self.located), elements.len())?;
                *value = elements.into();
            }
        }
        match value {
            Value::Array(elements) if attribute.multi_valued => fits(elements.iter().map(length).sum()),
            _ => Ok(()),
        }
    }

    fn edit_elements(&self, elements: &mut Vec<Value>, folds: &mut Folds) -> Result<(), Invalid> {
        match &self.edit {
            // No matter of elements: `edit` has done it.
            Edit::Assign(_) => {}
            Edit::Append(new) => {
                let written: Vec<_> = new.iter().map(|new| self.append(elements, new)).collect();
                self.keep_one_primary(elements, &written);
            }
            Edit::Without(gone) => self.take_out(gone, elements, folds),
            Edit::Drop => elements.retain(|element| !self.means(element, folds)),
            Edit::Merge(parts) | Edit::Become(parts) => {
                let mut written: Vec<_> =
                    (0..elements.len()).filter(|index| self.means(&elements[*index], folds)).collect();
                fits(written.len() * parts.values().map(length).sum::<usize>())?;
                for index in &written {
                    let mut element = into_object(elements[*index].take());
                    let removes = parts.values().all(Value::is_null) && !dialect::is_hollow(&element);
                    if let Edit::Become(_) = self.edit {
                        element = self.template.clone().unwrap_or_default();
                    }
                    merge(&mut element, parts);
                    if !(removes && dialect::is_hollow(&element)) {
                        elements[*index] = element.into();
                    }
                }
                if written.is_empty() && parts.values().any(|part| !part.is_null()) {
                    written.push(elements.len());
                    elements.push(self.create(parts, folds)?);
                }
                self.keep_one_primary(elements, &written);
                elements.retain(|element| !element.is_null());
            }
        }
        Ok(())
    }

    /// The element that a filter asks for where it selects none.
    fn create(&self, parts: &Map<String, Value>, folds: &mut Folds) -> Result<Value, Invalid> {
        let no_target = |reason: &str| {
            let label = label(&self.located);
            Invalid::no_target(format!(
                "{label} has no value that the filter in the path selects, and {reason}"
            ))
        };
        let mut element = self.template.clone().ok_or_else(|| {
            no_target(
                "the filter does not say what to create: it would have to be of the form [type eq \"…\"]",
            )
        })?;
        merge(&mut element, parts);
        let element = Value::Object(element);
        if self.means(&element, folds) {
            Ok(element)
        } else {
            Err(no_target(
                "\"value\" contradicts the filter: what it would create is not what the path selects",
            ))
        }
    }

    /// Whether the element is among those the path selects.
    fn means(&self, element: &Value, folds: &mut Folds) -> bool {
        match &self.filter {
            None => true,
            Some(filter) => element.as_object().is_some_and(|element| filter.meets(element, folds)),
        }
    }

    /// Takes out what the values to remove name: by their `value` (and `type`, if given), or else entirely.
    fn take_out(&self, gone: &[Value], elements: &mut Vec<Value>, folds: &mut Folds) {
        let exact = self.located.attribute.sub("value").is_none_or(|sub| sub.case_exact);
        let mut key = |value: &Value| {
            let text = value["value"].as_str()?;
            Some(if exact { text.to_owned() } else { folds.fold(text).into_owned() })
        };
        let gone: Vec<_> = gone.iter().map(|given| (key(given), given)).collect();
        elements.retain(|element| {
            let element_key = key(element);
            let names = |(given_key, given): &(Option<String>, &Value)| {
                if given_key.is_some() && element_key.is_some() {
                    *given_key == element_key && (given["type"].is_null() || given["type"] == element["type"])
                } else {
                    *given == element
                }
            };
            !gone.iter().any(names)
        });
    }

    /// Adds an element where it is not there yet, and says where it is. No two elements have the same value and type
    /// (RFC 7643 §2.4): what else is said of a value that is there is added to it.
    fn append(&self, elements: &mut Vec<Value>, new: &Value) -> usize {
        let is_same = |element: &Value| {
            let both = |name: &str| element[name] == new[name];
            let is_complex = self.located.attribute.kind == Type::Complex;
            element == new || is_complex && !new["value"].is_null() && both("value") && both("type")
        };
        let Some(index) = elements.iter().position(is_same) else {
            elements.push(new.clone());
            return elements.len() - 1;
        };
        if let (Value::Object(element), Value::Object(new)) = (&mut elements[index], new)
            && element != new
        {
            merge(element, new);
        }
        index
    }

    /// Who writes `"primary": true` takes it from the element that had it (RFC 7644 §3.5.2).
    fn keep_one_primary(&self, elements: &mut [Value], written: &[usize]) {
        let has_primary = self.located.attribute.sub("primary").is_some();
        if has_primary && written.iter().any(|index| elements[*index]["primary"] == true) {
            for (index, element) in elements.iter_mut().enumerate() {
                if element["primary"] == true && !written.contains(&index) {
                    element["primary"] = false.into();
                }
            }
        }
    }
}

/// How many bytes of text are in an element, or a part of one.
fn length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Object(parts) => parts.values().map(length).sum(),
        _ => 0,
    }
}

/// A document is measured when all is done; but a thousand operations look at each value before, and one operation may
/// write a long text a hundred times.
fn fits(length: usize) -> Result<(), Invalid> {
    if length > MAX_DOCUMENT { Err(too_large()) } else { Ok(()) }
}

/// The value of that name, null if there is none, and its key, in whatever case it was first written: names of custom
/// attributes are kept as they were sent.
fn take(object: &mut Map<String, Value>, name: &str) -> (String, Value) {
    match object.iter_mut().find(|(key, _)| key.eq_ignore_ascii_case(name)) {
        Some((key, value)) => (key.clone(), value.take()),
        None => (name.to_owned(), Value::Null),
    }
}

fn put(object: &mut Map<String, Value>, key: String, value: Value) {
    if is_unassigned(&value) {
        object.shift_remove(&key);
    } else {
        object.insert(key, value);
    }
}

fn into_object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn merge(object: &mut Map<String, Value>, parts: &Map<String, Value>) {
    for (name, part) in parts {
        if part.is_null() {
            object.shift_remove(name);
        } else {
            object.insert(name.clone(), part.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::json;

    use super::*;
    use crate::error::ScimType;
    use crate::fold::tests::folded_by;
    use crate::resource::tests::{CUSTOM_URN, shown, some_body};
    use crate::schema::{ENTERPRISE_USER_URN as ENTERPRISE, GROUP_TYPE, USER_TYPE};

    fn patch(operations: &Value) -> Result<Patch, Invalid> {
        Patch::parse(&USER_TYPE, &json!({"schemas": [PATCH_OP_URN], "Operations": operations}))
    }

    fn user(attributes: &Value) -> Document {
        let mut body = json!({"userName": "bob"});
        body.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
        Document::from_request(&USER_TYPE, &body).unwrap()
    }

    fn patched(before: &Value, operations: &Value) -> Result<Document, Invalid> {
        patch(operations)?.apply(&user(before))
    }

    /// The operations make one of the other, and again make it of itself.
    fn makes(before: Value, operations: Value, after: &Value) {
        let document =
            patched(&before, &operations).unwrap_or_else(|invalid| panic!("{operations}: {invalid}"));
        assert_eq!(document.to_stored(), user(after).to_stored(), "{operations} on {before}");
        let again = patch(&operations).unwrap().apply(&document);
        assert_eq!(again.as_ref(), Ok(&document), "{operations} repeated");
        drop((before, operations));
    }

    fn refuses(before: &Value, operations: &Value, scim_type: ScimType, detail: &str) {
        let invalid = patched(before, operations).expect_err(&operations.to_string());
        assert_eq!((invalid.scim_type, invalid.detail.as_str()), (scim_type, detail), "{operations}");
    }

    #[test]
    fn add_and_replace_of_a_single_attribute_set_it() {
        for op in ["add", "replace"] {
            makes(
                json!({"title": "a"}),
                json!([{"op": op, "path": "title", "value": "b"}]),
                &json!({"title": "b"}),
            );
            makes(
                json!({}),
                json!([{"op": op, "path": "externalId", "value": "e"}]),
                &json!({"externalId": "e"}),
            );
            makes(
                json!({}),
                json!([{"op": op, "path": "name.givenName", "value": "B"}]),
                &json!({"name": {"givenName": "B"}}),
            );
            let path = format!("{ENTERPRISE}:department");
            makes(
                json!({}),
                json!([{"op": op, "path": path, "value": "x"}]),
                &json!({ENTERPRISE: {"department": "x"}}),
            );
        }
    }

    #[test]
    fn parts_of_a_complex_attribute_that_are_not_sent_stay_and_null_unassigns_one() {
        let before = json!({"name": {"givenName": "B", "familyName": "O", "middleName": "M"}});
        let value = json!({"GIVENNAME": "C", "middleName": null, "petName": "x"});
        for op in ["add", "replace"] {
            let after = json!({"name": {"familyName": "O", "givenName": "C"}});
            makes(before.clone(), json!([{"op": op, "path": "name", "value": value}]), &after);
            makes(before.clone(), json!([{"op": op, "value": {"name": value}}]), &after);
        }
        makes(before.clone(), json!([{"op": "replace", "path": "name", "value": {}}]), &before);
        makes(before, json!([{"op": "replace", "path": "name", "value": null}]), &json!({}));
    }

    #[test]
    fn null_and_empty_values_unassign() {
        for value in [json!(null), json!("")] {
            makes(
                json!({"title": "a"}),
                json!([{"op": "replace", "path": "title", "value": value}]),
                &json!({}),
            );
            makes(json!({"title": "a"}), json!([{"op": "add", "value": {"title": value}}]), &json!({}));
        }
        let emails = json!({"emails": [{"value": "a"}]});
        for value in [json!(null), json!([]), json!({})] {
            makes(emails.clone(), json!([{"op": "replace", "path": "emails", "value": value}]), &json!({}));
            makes(emails.clone(), json!([{"op": "add", "path": "emails", "value": value}]), &emails);
        }
        makes(
            json!({ENTERPRISE: {"department": "x"}}),
            json!([{"op": "replace", "path": ENTERPRISE, "value": null}]),
            &json!({}),
        );
    }

    #[test]
    fn remove_takes_away_attributes_parts_extensions_and_elements() {
        let before = json!({
            "title": "a", "name": {"givenName": "B", "familyName": "O"}, "nickName": "n",
            "emails": [{"value": "a", "type": "work"}, {"value": "b", "type": "home"}],
            ENTERPRISE: {"department": "x", "division": "y"}, CUSTOM_URN: {"Colour": "red", "Size": 1},
        });
        let without = |path: &str, name: &str| {
            let mut after = before.clone();
            match name.split_once('/') {
                Some((outer, inner)) => after[outer].as_object_mut().unwrap().shift_remove(inner),
                None => after.as_object_mut().unwrap().shift_remove(name),
            };
            makes(before.clone(), json!([{"op": "remove", "path": path}]), &after);
        };
        without("Title", "title");
        without("name", "name");
        without("name.GIVENNAME", "name/givenName");
        without("emails", "emails");
        without(ENTERPRISE, ENTERPRISE);
        without(&ENTERPRISE.to_ascii_uppercase(), ENTERPRISE);
        without(&format!("{ENTERPRISE}:Division"), &format!("{ENTERPRISE}/division"));
        without(&CUSTOM_URN.to_ascii_lowercase(), CUSTOM_URN);
        without(&format!("{}:colour", CUSTOM_URN.to_ascii_lowercase()), &format!("{CUSTOM_URN}/Colour"));
        let mut after = before.clone();
        after["emails"] = json!([{"value": "b", "type": "home"}]);
        makes(before.clone(), json!([{"op": "remove", "path": "emails[type eq \"WORK\"]"}]), &after);
        after["emails"] = json!([{"value": "a", "type": "work"}, {"value": "b"}]);
        makes(before.clone(), json!([{"op": "remove", "path": "emails[type eq \"home\"].type"}]), &after);
        after.as_object_mut().unwrap().shift_remove("emails");
        makes(before.clone(), json!([{"op": "remove", "path": "emails[value pr]"}]), &after);
        makes(before.clone(), json!([{"op": "remove", "path": "emails.value"}]), &after);
    }

    #[test]
    fn removing_what_is_not_there_is_a_success() {
        for path in [
            "title",
            "name.givenName",
            "emails",
            "emails[type eq \"work\"]",
            "emails[type eq \"work\"].value",
            "emails.type",
            ENTERPRISE,
        ] {
            makes(json!({}), json!([{"op": "remove", "path": path}]), &json!({}));
        }
    }

    #[test]
    fn add_appends_what_is_not_there_yet() {
        let before = json!({"emails": [{"value": "a", "type": "work"}]});
        let add = |value: Value| json!([{"op": "add", "path": "emails", "value": value}]);
        makes(before.clone(), add(json!([{"type": "work", "value": "a"}])), &before);
        makes(
            before.clone(),
            add(json!([{"value": "b"}, {"value": "b"}])),
            &json!({"emails": [{"value": "a", "type": "work"}, {"value": "b"}]}),
        );
        makes(
            before.clone(),
            add(json!([{"value": "a", "type": "home"}])),
            &json!({"emails": [{"value": "a", "type": "work"}, {"value": "a", "type": "home"}]}),
        );
        makes(
            before,
            add(json!([{"value": "a", "type": "work", "display": "d"}])),
            &json!({"emails": [{"value": "a", "type": "work", "display": "d"}]}),
        );
    }

    #[test]
    fn replace_of_a_list_replaces_all_of_it() {
        let before = json!({"emails": [{"value": "a", "type": "work"}, {"value": "b"}]});
        let after = json!({"emails": [{"value": "c", "primary": true}]});
        makes(
            before.clone(),
            json!([{"op": "replace", "path": "emails", "value": [{"value": "c", "primary": "True"}]}]),
            &after,
        );
        makes(
            before,
            json!([{"op": "replace", "value": {"Emails": [{"value": "c", "primary": true}]}}]),
            &after,
        );
    }

    #[test]
    fn a_filter_selects_the_elements_that_change() {
        let before = json!({"emails": [{"value": "a", "type": "work", "primary": true}, {"value": "b", "type": "home"}]});
        let with = |first: Value| json!({"emails": [first, {"value": "b", "type": "home"}]});
        let at = |op: &str, path: &str, value: Value| json!([{"op": op, "path": path, "value": value}]);
        let work = "emails[type eq \"Work\"]";
        for op in ["add", "replace"] {
            makes(
                before.clone(),
                at(op, "emails[type eq \"work\"].value", json!("c")),
                &with(json!({"value": "c", "type": "work", "primary": true})),
            );
        }
        makes(
            before.clone(),
            at("add", work, json!({"display": "d"})),
            &with(json!({"value": "a", "display": "d", "type": "work", "primary": true})),
        );
        makes(
            before.clone(),
            at("replace", work, json!({"value": "c"})),
            &with(json!({"value": "c", "type": "Work"})),
        );
        makes(before.clone(), at("replace", work, json!({"unknown": "c"})), &before);
        let everywhere = json!({"emails": [{"value": "a", "type": "work", "primary": true, "display": "d"}, {"value": "b", "type": "home", "display": "d"}]});
        makes(before.clone(), at("replace", "emails.display", json!("d")), &everywhere);
        makes(before.clone(), at("replace", "emails[value pr].display", json!("d")), &everywhere);
        makes(json!({}), at("add", "emails.value", json!("c")), &json!({"emails": [{"value": "c"}]}));
        for nothing in [json!(null), json!([]), json!("")] {
            makes(before.clone(), at("add", work, nothing.clone()), &before);
            let home = json!({"emails": [{"value": "b", "type": "home"}]});
            makes(before.clone(), at("replace", work, nothing), &home);
        }
    }

    #[test]
    fn a_filter_that_selects_nothing_and_does_not_say_what_to_create_has_no_target() {
        let detail = "Operations[0]: Attribute 'emails' has no value that the filter in the path selects, \
             and the filter does not say what to create: it would have to be of the form [type eq \"…\"]";
        for filter in [
            "type ne \"work\"",
            "value sw \"a\"",
            "type eq \"a\" or type eq \"b\"",
            "not (type pr)",
            "type eq \"a\" and type eq \"b\"",
        ] {
            for path in [format!("emails[{filter}].display"), format!("emails[{filter}]")] {
                let value = if path.ends_with(']') { json!({"display": "d"}) } else { json!("d") };
                let before = if filter.contains("ne") || filter.contains("not") {
                    json!({"emails": [{"type": "work"}]})
                } else {
                    json!({})
                };
                refuses(
                    &before,
                    &json!([{"op": "replace", "path": path, "value": value}]),
                    ScimType::NoTarget,
                    detail,
                );
            }
        }
    }

    #[test]
    fn what_is_created_is_what_the_path_selects() {
        let detail = "Operations[0]: Attribute 'emails' has no value that the filter in the path selects, \
             and \"value\" contradicts the filter: what it would create is not what the path selects";
        for (path, value) in [
            ("emails[type eq \"work\"].type", json!("home")),
            ("emails[type eq \"work\"]", json!({"type": "home"})),
        ] {
            for op in ["add", "replace"] {
                let operations = json!([{"op": op, "path": path, "value": value}]);
                refuses(&json!({}), &operations, ScimType::NoTarget, detail);
                // Where there is an element, it may become another that the path does not select.
                let moved =
                    patched(&json!({"emails": [{"type": "work", "display": "a"}]}), &operations).unwrap();
                let emails = moved.get("emails").unwrap();
                assert_eq!((emails[0]["type"].as_str(), emails[1].as_str()), (Some("home"), None));
            }
        }
    }

    #[test]
    fn a_new_primary_value_takes_it_from_the_old_one() {
        let before = json!({"emails": [{"value": "a", "type": "work", "primary": true}, {"value": "b", "type": "home"}]});
        let after = json!({"emails": [{"value": "a", "type": "work", "primary": false}, {"value": "b", "type": "home", "primary": true}]});
        for operation in [
            json!({"op": "replace", "path": "emails[type eq \"home\"].primary", "value": "True"}),
            json!({"op": "add", "path": "emails[type eq \"home\"]", "value": {"primary": true}}),
            json!({"op": "replace", "path": "emails[type eq \"home\"]", "value": {"value": "b", "primary": true}}),
            json!({"op": "add", "path": "emails", "value": [{"value": "b", "type": "home", "primary": true}]}),
        ] {
            makes(before.clone(), json!([operation]), &after);
        }
        let detail = "Attribute 'emails' has more than one value with \"primary\": true";
        refuses(
            &before,
            &json!([{"op": "replace", "path": "emails.primary", "value": true}]),
            ScimType::InvalidValue,
            detail,
        );
    }

    #[test]
    fn an_object_without_a_path_is_a_change_for_each_attribute() {
        makes(
            json!({"title": "t", "name": {"familyName": "O"}}),
            json!([{"op": "replace", "value": {
                "displayName": "D", "name.givenName": "G", "NAME.familyName": "F", format!("{ENTERPRISE}:employeeNumber"): "1",
                ENTERPRISE: {"department": "d", "manager": "m", "unknown": 1}, "emails[type eq \"work\"].value": "e",
                CUSTOM_URN: {"tag": 1}, format!("{CUSTOM_URN}:tog"): [2], "title": null, "unknown": 1, "not a name": 2,
                "urn:ietf:params:scim:schemas:core:2.0:User:nickName": "n",
            }}]),
            &json!({
                "displayName": "D", "nickName": "n", "name": {"givenName": "G", "familyName": "F"}, "emails": [{"value": "e", "type": "work"}],
                ENTERPRISE: {"employeeNumber": "1", "department": "d", "manager": {"value": "m"}}, CUSTOM_URN: {"tag": 1, "tog": [2]},
            }),
        );
        let bad = patch(&json!([{"op": "add", "value": {"emails[type eq work].value": "e"}}])).unwrap_err();
        assert_eq!(bad.scim_type, ScimType::InvalidPath);
        let twice = patch(&json!([{"op": "add", "value": {"title": "e", "TITLE": "f"}}])).unwrap_err();
        assert_eq!(twice.scim_type, ScimType::InvalidSyntax);
    }

    #[test]
    fn what_only_the_service_writes_is_ignored_in_values_and_refused_in_paths() {
        let ignored = json!({"id": "x", "schemas": [], "meta": {"version": "1"}, "groups": [{"value": "g"}], "password": "p"});
        makes(json!({}), json!([{"op": "replace", "value": ignored}]), &json!({}));
        assert!(!patch(&json!([{"op": "replace", "value": ignored}])).unwrap().document_changes());
        for path in [
            "id",
            "ID",
            "schemas",
            "meta",
            "meta.version",
            "groups",
            "groups[value eq \"1\"]",
            "groups.value",
            &format!("{ENTERPRISE}:manager.displayName"),
        ] {
            for op in ["add", "replace", "remove"] {
                let invalid = patch(&json!([{"op": op, "path": path, "value": "x"}])).unwrap_err();
                assert_eq!(invalid.scim_type, ScimType::Mutability, "{op} {path}");
            }
        }
        for op in ["add", "replace", "remove"] {
            makes(json!({}), json!([{"op": op, "path": "password", "value": "p"}]), &json!({}));
        }
    }

    #[test]
    fn what_is_required_stays() {
        let detail = "Operations[0]: Attribute 'userName' is required: it cannot be removed";
        refuses(&json!({}), &json!([{"op": "remove", "path": "userName"}]), ScimType::Mutability, detail);
        let detail = "Operations[0]: Attribute 'userName' is required: it cannot be unassigned";
        refuses(
            &json!({}),
            &json!([{"op": "replace", "path": "userName", "value": null}]),
            ScimType::InvalidValue,
            detail,
        );
        refuses(
            &json!({}),
            &json!([{"op": "add", "value": {"userName": ""}}]),
            ScimType::InvalidValue,
            detail,
        );
        let detail = "Attribute 'userName' is required: send it, and not blank";
        refuses(
            &json!({}),
            &json!([{"op": "add", "path": "userName", "value": " "}]),
            ScimType::InvalidValue,
            detail,
        );
    }

    #[test]
    fn a_message_of_another_form_is_refused_and_says_where() {
        use ScimType::{InvalidPath, InvalidSyntax, InvalidValue, NoTarget};
        for (operations, scim_type, detail) in [
            (json!([]), InvalidSyntax, "\"Operations\" must be a list with at least one operation"),
            (json!({}), InvalidSyntax, "\"Operations\" must be a list with at least one operation"),
            (
                json!(["add"]),
                InvalidSyntax,
                "Operations[0]: an operation must be an object with \"op\", \"path\" and \"value\"",
            ),
            (
                json!([{"path": "title", "value": "x"}]),
                InvalidSyntax,
                "Operations[0]: \"op\" must be \"add\", \"replace\" or \"remove\"",
            ),
            (
                json!([{"op": "move", "path": "title"}]),
                InvalidSyntax,
                "Operations[0]: \"op\" must be \"add\", \"replace\" or \"remove\"",
            ),
            (json!([{"op": "add", "path": 1}]), InvalidSyntax, "Operations[0]: \"path\" must be a string"),
            (
                json!([{"op": "remove"}]),
                NoTarget,
                "Operations[0]: \"remove\" needs a \"path\": what is to be removed",
            ),
            (
                json!([{"op": "remove", "path": "", "value": {"title": 1}}]),
                NoTarget,
                "Operations[0]: \"remove\" needs a \"path\": what is to be removed",
            ),
            (
                json!([{"op": "remove", "path": "title"}, {"op": "add", "path": "title"}]),
                InvalidValue,
                "Operations[1]: \"value\" is missing: say what to add or replace, or use \"remove\"",
            ),
            (
                json!([{"op": "add"}]),
                InvalidValue,
                "Operations[0]: \"value\" is missing: say what to add or replace, or use \"remove\"",
            ),
            (
                json!([{"op": "add", "value": "x"}]),
                InvalidValue,
                "Operations[0]: Without a \"path\", \"value\" must be an object of attributes, not a string",
            ),
            (
                json!([{"op": "add", "path": "title", "value": 7}]),
                InvalidValue,
                "Operations[0]: Attribute 'title' must be a string, not a number",
            ),
            (
                json!([{"op": "add", "path": "emails[type eq \"work\"]", "value": "a@x"}]),
                InvalidValue,
                "Operations[0]: Attribute 'emails' must be an object, not a string",
            ),
            (
                json!([{"op": "add", "path": "emails", "value": "a@x"}]),
                InvalidValue,
                "Operations[0]: Attribute 'emails' must be a list, not a string",
            ),
            (
                json!([{"op": "add", "path": "colour", "value": 7}]),
                InvalidPath,
                "Operations[0]: User has no attribute 'colour', which the path names.",
            ),
        ] {
            refuses(&json!({}), &operations, scim_type, detail);
        }
        assert_eq!(Patch::parse(&USER_TYPE, &json!([])).unwrap_err().scim_type, InvalidSyntax);
        let operations = json!([{"op": "add", "path": "title", "value": "x"}]);
        for schemas in [json!([]), json!("x"), json!(["urn:x"])] {
            let message = json!({"schemas": schemas, "Operations": operations});
            assert_eq!(Patch::parse(&USER_TYPE, &message).unwrap_err().scim_type, InvalidSyntax);
        }
        for message in [
            json!({"operations": operations}),
            json!({"schemas": null, "OPERATIONS": operations}),
            json!({"schemas": [PATCH_OP_URN.to_uppercase()], "Operations": operations}),
            json!({"Operations": [{"OP": "ADD", "Path": "title", "VALUE": "x"}]}),
        ] {
            assert_eq!(Patch::parse(&USER_TYPE, &message), patch(&operations));
        }
    }

    #[test]
    fn a_request_has_a_thousand_operations_and_changes_a_thousand_attributes_at_most() {
        let operations = |count| vec![json!({"op": "add", "path": "title", "value": "x"}); count];
        assert!(patch(&operations(1000).into()).is_ok());
        assert_eq!(patch(&operations(1001).into()).unwrap_err().scim_type, ScimType::InvalidValue);
        let filter = ["value pr"; 101].join(" or ");
        for path in [format!("emails[{filter}]"), format!("emails[not ({filter})].type")] {
            let operations = |count| patch(&vec![json!({"op": "remove", "path": path}); count].into());
            assert!(operations(9).is_ok());
            assert_eq!(operations(10).unwrap_err().scim_type, ScimType::InvalidFilter);
        }
        let path = format!("emails[{}]", ["value pr"; 100].join(" or "));
        assert!(patch(&vec![json!({"op": "remove", "path": path}); 10].into()).is_ok());
        let tags: Map<_, _> = (0..1001).map(|index| (format!("tag{index}"), json!(1))).collect();
        assert_eq!(
            patch(&json!([{"op": "add", "value": {CUSTOM_URN: tags}}])).unwrap_err().scim_type,
            ScimType::InvalidValue
        );
    }

    #[test]
    fn an_operation_works_on_what_the_one_before_has_left() {
        let emails = json!({"emails": [{"value": "a"}, {"value": "b"}]});
        let operations = json!([
            {"op": "remove", "path": "emails.value"},
            {"op": "add", "path": "emails.display", "value": "d"},
        ]);
        assert_eq!(patched(&emails, &operations), Ok(user(&json!({"emails": [{"display": "d"}]}))));
        // The first makes two elements equal, which makes them one.
        let roles = json!({"roles": [{"value": "a", "display": "d", "primary": true}, {"value": "a", "display": "d", "primary": false}]});
        let operations = json!([
            {"op": "add", "path": "roles", "value": [{"value": "a", "type": "t", "primary": true}]},
            {"op": "add", "path": "roles", "value": [{"value": "a", "primary": true}]},
        ]);
        let after = json!({"roles": [{"value": "a", "display": "d", "primary": true}, {"value": "a", "type": "t", "primary": false}]});
        assert_eq!(patched(&roles, &operations), Ok(user(&after)));
    }

    #[test]
    fn one_bad_operation_is_the_end_of_all() {
        let before = user(&json!({"title": "a"}));
        let operations = json!([
            {"op": "replace", "path": "title", "value": "b"},
            {"op": "replace", "path": "emails[value sw \"x\"].display", "value": "c"},
        ]);
        let invalid = patch(&operations).unwrap().apply(&before).unwrap_err();
        assert!(invalid.detail.starts_with("Operations[1]: "), "{invalid}");
        assert_eq!(before, user(&json!({"title": "a"})));
    }

    #[test]
    fn too_many_values_are_refused_while_they_are_added() {
        let values = |from: usize, to: usize| {
            (from..to).map(|index| json!({"value": index.to_string()})).collect::<Value>()
        };
        let before = json!({"emails": values(0, 30)});
        let detail = "Operations[0]: Attribute 'emails' has 41 values: at most 40 are possible";
        refuses(
            &before,
            &json!([{"op": "add", "path": "emails", "value": values(30, 41)}]),
            ScimType::InvalidValue,
            detail,
        );
        makes(
            before,
            json!([{"op": "add", "path": "emails", "value": values(0, 40)}]),
            &json!({"emails": values(0, 40)}),
        );
    }

    #[test]
    fn values_to_remove_are_named_by_value_and_type() {
        let before = json!({
            "emails": [{"value": "a@x", "type": "work"}, {"value": "a@x", "type": "home"}, {"value": "b@x", "display": "b"}],
            CUSTOM_URN: {"tags": ["a", "b"], "tag": "a"},
        });
        let without = |value: Value, left: Value| {
            let mut after = before.clone();
            after["emails"] = left;
            makes(before.clone(), json!([{"op": "remove", "path": "emails", "value": value}]), &after);
        };
        without(
            json!([{"value": "A@x", "type": "work", "display": null}]),
            json!([before["emails"][1], before["emails"][2]]),
        );
        without(json!([{"value": "a@X"}]), json!([before["emails"][2]]));
        without(json!({"value": "b@x"}), json!([before["emails"][0], before["emails"][1]]));
        without(json!([]), before["emails"].clone());
        without(json!([{"type": "work"}]), before["emails"].clone());
        without(json!(null), json!([]));
        for (path, value, name, left) in [
            ("tags", json!(["a"]), "tags", json!(["b"])),
            ("TAGS", json!("a"), "tags", json!(null)),
            ("tag", json!(["a"]), "tag", json!(null)),
            ("tag", json!(["b"]), "tag", json!("a")),
        ] {
            let mut after = before.clone();
            after[CUSTOM_URN][name] = left;
            makes(
                before.clone(),
                json!([{"op": "remove", "path": format!("{CUSTOM_URN}:{path}"), "value": value}]),
                &after,
            );
        }
    }

    #[test]
    fn a_list_given_to_a_custom_attribute_is_added_to_a_list() {
        let path = format!("{}:Tags", CUSTOM_URN.to_ascii_uppercase());
        let at = |op: &str, value: Value| json!([{"op": op, "path": path, "value": value}]);
        let holds = |value: Value| json!({CUSTOM_URN: {"tags": value}});
        makes(holds(json!(["a", "b"])), at("add", json!(["b", "c"])), &holds(json!(["a", "b", "c"])));
        makes(holds(json!(["a"])), at("replace", json!(["b"])), &holds(json!(["b"])));
        makes(holds(json!(["a"])), at("add", json!("b")), &holds(json!("b")));
        // What values and primaries mean in it is not known either.
        let (one, other) =
            (json!({"value": 1, "primary": true}), json!({"value": 1, "primary": true, "x": 2}));
        makes(holds(json!([one])), at("add", json!([other])), &holds(json!([one, other])));
    }

    #[test]
    fn members_are_operations_of_their_own() {
        let parse = |operations: Value| Patch::parse(&GROUP_TYPE, &json!({ "Operations": operations }));
        let member = |id: &str| crate::members::Member { value: id.into(), kind: None };
        let patch = parse(json!([
            {"op": "remove", "path": "members[value eq \"a\"]"},
            {"op": "Add", "path": "MEMBERS", "value": [{"value": "b", "display": null, "$ref": null}]},
            {"op": "Remove", "path": "members", "value": [{"value": "c"}]},
            {"op": "replace", "value": {"id": "x", "members": [], "displayName": "g"}},
            {"op": "add", "value": {"members": {"value": "d"}}},
            {"op": "remove", "path": "members", "value": []},
            {"op": "remove", "path": "members"},
            {"op": "add", "path": "urn:ietf:params:scim:schemas:core:2.0:Group:members", "value": null},
        ]))
        .unwrap();
        assert!(patch.document_changes());
        assert_eq!(
            patch.members(),
            [
                MemberOperation::Remove(vec!["a".into()]),
                MemberOperation::Add(vec![member("b")]),
                MemberOperation::Remove(vec!["c".into()]),
                MemberOperation::Replace(vec![]),
                MemberOperation::Add(vec![member("d")]),
                MemberOperation::Remove(vec![]),
                MemberOperation::Replace(vec![]),
                MemberOperation::Add(vec![]),
            ]
        );
        let only_members =
            parse(json!([{"op": "add", "path": "members", "value": [{"value": "a"}]}])).unwrap();
        assert!(!only_members.document_changes());
        for operation in [
            json!({"op": "replace", "path": "members[value eq \"a\"].value", "value": "b"}),
            json!({"op": "add", "path": "members[value eq \"a\"]", "value": {"value": "b"}}),
            json!({"op": "remove", "path": "members.value"}),
        ] {
            assert_eq!(parse(json!([operation])).unwrap_err().scim_type, ScimType::Mutability);
        }
        for value in [json!("a"), json!(["a"]), json!([{"display": "a"}]), json!([{"value": 1}])] {
            for op in ["add", "remove", "replace"] {
                let invalid = parse(json!([{"op": op, "path": "members", "value": value}])).unwrap_err();
                assert_eq!(invalid.scim_type, ScimType::InvalidValue, "{op} {value}");
            }
        }
    }

    /// Roles of the most text there may be, none of it ASCII.
    fn long_roles() -> Value {
        (0..100).map(|index| json!({"value": "é".repeat(1300), "type": format!("ü{index}")})).collect()
    }

    #[test]
    fn what_a_thousand_operations_compare_is_folded_once() {
        let document = user(&json!({"roles": long_roles()}));
        let operations = (0..1000).map(|index| match index % 2 {
            0 => json!({"op": "remove", "path": format!("roles[value co \"x{index}\"]")}),
            _ => json!({"op": "remove", "path": "roles", "value": [{"value": format!("x{index}")}]}),
        });
        let (folded, patched) = folded_by(|| patch(&operations.collect()).unwrap().apply(&document));
        assert_eq!(patched.as_ref(), Ok(&document));
        assert_eq!(folded, 1, "all values are one text");
        let operations = json!([
            {"op": "remove", "path": "roles[type eq \"x\" or type eq \"y\"]"},
            {"op": "remove", "path": "roles[type eq \"z\"]"},
        ]);
        let (folded, _) = folded_by(|| patch(&operations).unwrap().apply(&document));
        assert_eq!(folded, 100, "no two types are");
    }

    #[test]
    fn what_is_too_large_in_between_is_refused_before_it_is_looked_at() {
        let long = "x".repeat(3100);
        let too_large = "Operations[0]: The resource is larger than 300 KB: send fewer or shorter values";
        for operation in [
            json!({"op": "replace", "path": "roles.display", "value": long}),
            json!({"op": "add", "path": "roles[type pr]", "value": {"display": long}}),
            json!({"op": "replace", "path": "roles[type pr]", "value": {"value": "a", "display": long}}),
            json!({"op": "replace", "path": "photos", "value": [{"value": "x".repeat(300 * 1024)}, {"value": "y"}]}),
            json!({"op": "add", "path": "photos", "value": [{"value": "x".repeat(300 * 1024)}, {"value": "y"}]}),
        ] {
            let undone =
                json!([operation, {"op": "remove", "path": "roles"}, {"op": "remove", "path": "photos"}]);
            let roles: Value = (0..100).map(|index| json!({"type": format!("{index}")})).collect();
            refuses(&json!({"roles": roles}), &undone, ScimType::InvalidValue, too_large);
        }
    }

    #[test]
    fn removals_of_members_by_other_than_ids_are_few() {
        let removals = |path: &str, count| {
            let operations: Value = vec![json!({"op": "remove", "path": path}); count].into();
            Patch::parse(&GROUP_TYPE, &json!({"Operations": operations}))
        };
        assert!(removals("members[type eq \"Group\" and value sw \"a\"]", 25).is_ok());
        assert!(removals("members[value eq \"a\" or value eq \"b\"]", 1000).is_ok());
        let invalid = removals("members[type eq \"Group\" and value sw \"a\"]", 26).unwrap_err();
        assert_eq!(invalid.scim_type, ScimType::InvalidFilter);
        assert!(invalid.detail.contains("more than 50 comparisons of members"), "{}", invalid.detail);
    }

    fn some_path() -> impl Strategy<Value = String> {
        let paths = [
            "userName",
            "externalId",
            "active",
            "name",
            "name.givenName",
            "emails",
            "emails.value",
            "emails.primary",
            "emails[type eq \"work\"]",
            "emails[type eq \"work\"].value",
            "emails[value eq \"a\" and primary eq \"True\"].display",
            "emails[type eq \"B\"].type",
            "emails[primary eq true]",
            "emails[not (type pr)].value",
            "roles[primary eq \"True\"].value",
            "roles",
            "roles[value sw \"a\"]",
            "manager",
            "id",
            "password",
            "colour",
            "emails[",
            "",
        ];
        prop_oneof![
            select(paths.to_vec()).prop_map(str::to_owned),
            select(&["", ":manager", ":manager.value", ":manager.$ref", ":department"][..])
                .prop_map(|rest| format!("{ENTERPRISE}{rest}")),
            select(&["", ":colour", ":Tags"][..]).prop_map(|rest| format!("{CUSTOM_URN}{rest}")),
            ".{0,12}",
        ]
    }

    fn some_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![select(vec![
            json!(null),
            json!(true),
            json!("True"),
            json!(1),
            json!("a"),
            json!("B"),
            json!(""),
            json!("work"),
            json!([]),
            json!({}),
            json!({"value": "a"}),
            json!({"value": "a", "type": "work"}),
            json!({"value": "B", "primary": "True"}),
            json!({"value": ""}),
            json!({"givenName": "a", "familyName": null}),
            json!({"type": "work", "display": "B"}),
            json!({"value": "a", "$ref": "r"}),
        ])];
        prop_oneof![
            leaf.clone(),
            proptest::collection::vec(leaf.clone(), 1..3).prop_map(Value::from),
            proptest::collection::btree_map(some_path(), leaf, 1..4)
                .prop_map(|map| map.into_iter().collect()),
        ]
    }

    /// An operation on a path with a value it can take.
    fn a_sound_operation() -> impl Strategy<Value = Value> {
        let text = || select(vec![json!("a"), json!("B"), json!("work"), json!(""), json!(null)]);
        let flag = || select(vec![json!(true), json!(false), json!("True"), json!("FALSE")]);
        let element = (text(), text(), flag())
            .prop_map(|(value, kind, primary)| json!({"value": value, "type": kind, "primary": primary}));
        let with = |paths: &[&str], values: BoxedStrategy<Value>| {
            let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
            (select(paths), values).prop_map(|(path, value)| (Some(path), value)).boxed()
        };
        let manager = format!("{ENTERPRISE}:manager");
        let (filtered, part) = ("emails[type eq \"work\"]", "emails[type eq \"B\"].value");
        let single = ["externalId", "title", "name.givenName", "emails.value", part, manager.as_str()];
        prop_oneof![
            with(&single, text().boxed()),
            with(
                &["active", "emails[value eq \"a\"].primary", "roles[primary eq \"True\"].primary"],
                flag().boxed()
            ),
            with(&[filtered, "roles[primary eq \"True\"]", &manager], element.clone().boxed()),
            with(
                &["emails", "roles"],
                proptest::collection::vec(element.clone(), 0..3).prop_map(Value::from).boxed()
            ),
            (text(), flag(), element).prop_map(|(text, flag, element)| (
                None,
                json!({"title": text, "active": flag, "name.familyName": text, "roles": element, "id": "x"})
            )),
        ]
        .prop_flat_map(|(path, value)| {
            let ops = if path.is_some() { vec!["add", "Replace", "remove"] } else { vec!["add", "replace"] };
            select(ops).prop_map(move |op| json!({"op": op, "path": path, "value": value}))
        })
    }

    fn a_wild_operation() -> impl Strategy<Value = Value> {
        let op = select(vec!["add", "Replace", "remove"]);
        (op, proptest::option::of(some_path()), proptest::option::weighted(0.9, some_value())).prop_map(
            |(op, path, value)| {
                let mut operation = json!({"op": op, "path": path});
                if let Some(value) = value {
                    operation["value"] = value;
                }
                operation
            },
        )
    }

    fn some_operations() -> impl Strategy<Value = Vec<Value>> {
        proptest::collection::vec(prop_oneof![4 => a_sound_operation(), 1 => a_wild_operation()], 1..6)
    }

    fn some_user() -> impl Strategy<Value = Document> {
        some_body().prop_map(|body| Document::from_request(&USER_TYPE, &body).unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn a_patch_is_carried_out_or_changes_nothing_and_what_it_makes_can_be_written_back(
            before in some_user(),
            operations in some_operations(),
        ) {
            let text = before.to_stored();
            if let Ok(after) = patch(&operations.into()).and_then(|patch| patch.apply(&before)) {
                let written_back = Document::from_request(&USER_TYPE, &shown(&after)).unwrap();
                prop_assert_eq!(written_back.to_stored(), after.to_stored());
            }
            prop_assert_eq!(before.to_stored(), text);
        }

        #[test]
        fn adding_twice_is_adding_once(
            before in some_user(),
            // Several changes in one operation may undo each other's selection; one change does not.
            operation in prop_oneof![
                a_sound_operation(),
                a_wild_operation().prop_filter("one change", |wild| wild["path"].as_str().is_some_and(|path| !path.is_empty())),
            ],
        ) {
            let mut add = operation;
            add["op"] = "add".into();
            if let Ok(add) = patch(&json!([add]))
                && let Ok(once) = add.apply(&before)
            {
                match add.apply(&once) {
                    // It moved an element from where its path looks: see above.
                    Err(invalid) => prop_assert_eq!(invalid.scim_type, ScimType::NoTarget),
                    twice => prop_assert_eq!(twice, Ok(once)),
                }
            }
        }

        #[test]
        fn operations_apply_one_after_the_other(before in some_user(), operations in some_operations()) {
            let one_by_one = operations.iter().try_fold(before.clone(), |document, operation| {
                patch(&json!([operation])).and_then(|patch| patch.apply(&document))
            });
            if let Ok(expected) = one_by_one {
                prop_assert_eq!(patch(&operations.into()).unwrap().apply(&before), Ok(expected));
            }
        }
    }
}
