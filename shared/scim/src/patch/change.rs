//! One change of a document: what an operation says of one attribute, and carrying it out.

use serde_json::{Map, Value};

use crate::dialect::patch::is_hollow;
use crate::error::Invalid;
use crate::filter::Predicate;
use crate::fold::Folds;
use crate::place::Located;
use crate::schema::Type;
use crate::validate::{MAX_DOCUMENT, at_most, limit, too_large};
use crate::value::{is_unassigned, keep_distinct};

/// A change of one attribute.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    /// Which operation asked for it.
    pub(super) operation: usize,
    pub(super) located: Located,
    /// Which elements of it are meant; all, where there is none.
    pub(super) filter: Option<Predicate>,
    /// The element to create where none is meant: what is known of it before it gets its value. `None` where the filter
    /// does not say.
    pub(super) template: Option<Map<String, Value>>,
    pub(super) edit: Edit,
}

/// What is done to the attribute. Values are canonical.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Edit {
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

impl Change {
    pub(super) fn apply(&self, document: &mut Map<String, Value>, folds: &mut Folds) -> Result<(), Invalid> {
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
                at_most(limit(attribute), self.located.label(), elements.len())?;
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
                    let removes = parts.values().all(Value::is_null) && !is_hollow(&element);
                    if let Edit::Become(_) = self.edit {
                        element = self.template.clone().unwrap_or_default();
                    }
                    merge(&mut element, parts);
                    if !(removes && is_hollow(&element)) {
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
            let label = self.located.label();
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
