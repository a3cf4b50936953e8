//! Changes of a document: the edit of one attribute, and its application.

use serde_json::{Map, Value, json};

use crate::dialect::patch::has_no_value;
use crate::error::Invalid;
use crate::extension::{self, is_joined};
use crate::filter::Predicate;
use crate::fold::FoldCache;
use crate::lookup::AttributeRef;
use crate::schema::Type;
use crate::validate::{MAX_DOCUMENT, check_count, max_values, too_large, unassigns_content};
use crate::value::{is_unassigned, remove_duplicates};

/// A change of one attribute.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    /// The index of the operation.
    pub(super) operation: usize,
    pub(super) attribute: AttributeRef,
    /// The filter of the path. Without one, all elements are selected.
    pub(super) filter: Option<Predicate>,
    /// The element to create if the filter selects none, before it gets its values. `None` if the filter does not
    /// define one.
    pub(super) template: Option<Map<String, Value>>,
    pub(super) edit: Edit,
}

/// The edit of an attribute. All values are canonical.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Edit {
    /// Sets the value. Null unassigns it.
    Assign(Value),
    /// Appends the elements that are not present yet, and merges the others.
    Append(Vec<Value>),
    /// Removes the elements that match one of these, by `value` and `type`.
    RemoveValues(Vec<Value>),
    /// Removes the selected elements.
    RemoveSelected,
    /// Sets sub-attributes of the selected elements, or of the single complex value. Null unassigns a sub-attribute.
    Merge(Map<String, Value>),
    /// Replaces each selected element by the template with these sub-attributes.
    ReplaceSelected(Map<String, Value>),
}

impl Change {
    pub(super) fn apply(
        &self,
        document: &mut Map<String, Value>,
        folds: &mut FoldCache,
    ) -> Result<(), Invalid> {
        let Some(urn) = &self.attribute.extension else { return self.apply_in(document, folds) };
        if let Some(key) = self.whole_extension(urn, document) {
            return self.apply_to_extension(&key, document);
        }
        let (key, extension) = take(document, urn);
        let mut extension = into_object(extension);
        let count = extension.len();
        let applied = self.apply_in(&mut extension, folds);
        let growth = check_growth(urn, count, extension.len());
        put(document, key, extension.into());
        applied.and(growth)
    }

    /// Returns the key of the extension that the path names if the document has one. A path divides the URN of a custom
    /// extension at its last colon. If its value has attributes, the URN was divided on purpose.
    fn whole_extension(&self, urn: &str, document: &Map<String, Value>) -> Option<String> {
        let is_whole =
            |(key, value): &(&String, &Value)| value.is_object() && is_joined(key, urn, &self.attribute.name);
        let may_be_whole = self.attribute.definition.data_type == Type::Any
            && !matches!(&self.edit, Edit::Assign(Value::Object(object)) if !object.is_empty());
        document.iter().find(is_whole).filter(|_| may_be_whole).map(|(key, _)| key.clone())
    }

    fn apply_to_extension(&self, urn: &str, document: &mut Map<String, Value>) -> Result<(), Invalid> {
        match &self.edit {
            Edit::Assign(Value::Null) => {
                document.shift_remove(urn);
                Ok(())
            }
            // An object without attributes changes none.
            Edit::Assign(Value::Object(_)) => Ok(()),
            Edit::Assign(value) => Err(extension::not_an_object(urn, value)),
            _ => Err(extension::not_an_object(urn, &json!([]))),
        }
    }

    /// Returns whether the document has another value than the one that this change sets.
    pub(super) fn contradicts(&self, document: &Map<String, Value>) -> bool {
        match (self.attribute.value_in(document), &self.edit) {
            (None, _) => false,
            (Some(Value::Object(held)), Edit::Merge(parts)) => {
                parts.iter().any(|(part, value)| held.get(part).is_some_and(|held| held != value))
            }
            (Some(held), Edit::Assign(value)) => held != value,
            (Some(_), _) => true,
        }
    }

    fn apply_in(&self, holder: &mut Map<String, Value>, folds: &mut FoldCache) -> Result<(), Invalid> {
        let (key, mut value) = take(holder, &self.attribute.name);
        self.edit(&mut value, folds)?;
        put(holder, key, value);
        Ok(())
    }

    fn edit(&self, value: &mut Value, folds: &mut FoldCache) -> Result<(), Invalid> {
        let definition = self.attribute.definition;
        match &self.edit {
            Edit::Assign(new) => value.clone_from(new),
            Edit::Merge(sub_attributes) if !definition.multi_valued => {
                let mut object = into_object(value.take());
                merge(&mut object, sub_attributes);
                *value = object.into();
            }
            // A custom attribute may hold a single value.
            Edit::RemoveValues(removed) if !value.is_array() => {
                if removed.contains(value) {
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
                if definition.multi_valued {
                    remove_duplicates(&mut elements);
                }
                check_count(max_values(definition), self.attribute.label(), elements.len())?;
                *value = elements.into();
            }
        }
        match value {
            Value::Array(elements) if definition.multi_valued => {
                check_size(elements.iter().map(text_bytes).sum())
            }
            _ => Ok(()),
        }
    }

    fn edit_elements(&self, elements: &mut Vec<Value>, folds: &mut FoldCache) -> Result<(), Invalid> {
        match &self.edit {
            // `edit` handles this case.
            Edit::Assign(_) => {}
            Edit::Append(new) => {
                let written: Vec<_> = new.iter().map(|new| self.append(elements, new)).collect();
                self.keep_one_primary(elements, &written);
            }
            Edit::RemoveValues(removed) => self.remove_values(removed, elements, folds),
            Edit::RemoveSelected => elements.retain(|element| !self.is_selected(element, folds)),
            Edit::Merge(sub_attributes) | Edit::ReplaceSelected(sub_attributes) => {
                let mut written: Vec<_> =
                    (0..elements.len()).filter(|index| self.is_selected(&elements[*index], folds)).collect();
                check_size(written.len() * sub_attributes.values().map(text_bytes).sum::<usize>())?;
                let only_removes = sub_attributes.values().all(Value::is_null);
                let removes_content = unassigns_content(sub_attributes);
                for index in &written {
                    let mut element = into_object(elements[*index].take());
                    let stays = only_removes && has_no_value(&element);
                    if let Edit::ReplaceSelected(_) = self.edit {
                        // Without a template, nothing else of the element stays.
                        element = self.template.clone().unwrap_or_default();
                    }
                    merge(&mut element, sub_attributes);
                    if stays || !has_no_value(&element) || !(only_removes || removes_content) {
                        elements[*index] = element.into();
                    }
                }
                if written.is_empty() && !only_removes {
                    let element = self.create(sub_attributes, folds)?;
                    if !(removes_content && has_no_value(&element)) {
                        written.push(elements.len());
                        elements.push(element.into());
                    }
                }
                self.keep_one_primary(elements, &written);
                elements.retain(|element| !element.is_null());
            }
        }
        Ok(())
    }

    /// Creates the element for a filter that selects none.
    fn create(
        &self,
        sub_attributes: &Map<String, Value>,
        folds: &mut FoldCache,
    ) -> Result<Map<String, Value>, Invalid> {
        let no_target = |remedy: &str| {
            let label = self.attribute.label();
            Invalid::no_target(format!("{label} has no value that matches the filter in the path. {remedy}"))
        };
        let mut element = self.template.clone().ok_or_else(|| {
            no_target("A value can only be created from a filter such as [type eq \"work\"].")
        })?;
        merge(&mut element, sub_attributes);
        if self.selects(&element, folds) {
            Ok(element)
        } else {
            Err(no_target("To create one, send a \"value\" that does not contradict the filter."))
        }
    }

    /// Returns whether the path selects an element.
    fn is_selected(&self, element: &Value, folds: &mut FoldCache) -> bool {
        self.filter.is_none() || element.as_object().is_some_and(|element| self.selects(element, folds))
    }

    fn selects(&self, element: &Map<String, Value>, folds: &mut FoldCache) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.matches_with(element, folds))
    }

    /// Removes the elements that match one of the given values: by `value`, and by `type` if it is given. A value
    /// without `value` must equal the whole element.
    fn remove_values(&self, removed: &[Value], elements: &mut Vec<Value>, folds: &mut FoldCache) {
        let exact = self.attribute.definition.sub("value").is_none_or(|sub| sub.case_exact);
        let mut key = |value: &Value| {
            let text = value["value"].as_str()?;
            Some(if exact { text.to_owned() } else { folds.fold(text).into_owned() })
        };
        let removed: Vec<_> = removed.iter().map(|given| (key(given), given)).collect();
        elements.retain(|element| {
            let element_key = key(element);
            let names = |(given_key, given): &(Option<String>, &Value)| {
                if given_key.is_some() && element_key.is_some() {
                    *given_key == element_key && (given["type"].is_null() || given["type"] == element["type"])
                } else {
                    *given == element
                }
            };
            !removed.iter().any(names)
        });
    }

    /// Appends an element, or merges it with the present element of the same value and type, and returns its index.
    /// No two elements have the same value and type (RFC 7643 §2.4).
    fn append(&self, elements: &mut Vec<Value>, new: &Value) -> usize {
        let is_same = |element: &Value| {
            let both = |name: &str| element[name] == new[name];
            let is_complex = self.attribute.definition.data_type == Type::Complex;
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

    /// Sets `primary` to false on other elements if a written element is primary (RFC 7644 §3.5.2).
    fn keep_one_primary(&self, elements: &mut [Value], written: &[usize]) {
        let has_primary = self.attribute.definition.sub("primary").is_some();
        if has_primary && written.iter().any(|index| elements[*index]["primary"] == true) {
            for (index, element) in elements.iter_mut().enumerate() {
                if element["primary"] == true && !written.contains(&index) {
                    element["primary"] = false.into();
                }
            }
        }
    }
}

/// Refuses more attributes than an extension may have. An earlier release may have stored more, and other changes of such
/// an extension succeed.
fn check_growth(urn: &str, before: usize, after: usize) -> Result<(), Invalid> {
    if after > before { extension::check_count(urn, after) } else { Ok(()) }
}

/// Returns the number of bytes of text in an element or a sub-attribute.
fn text_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Object(sub_attributes) => sub_attributes.values().map(text_bytes).sum(),
        _ => 0,
    }
}

/// Refuses values larger than a document. The document is checked at the end, but before that a thousand operations
/// may each read every value, and one operation may write a long text a hundred times.
fn check_size(bytes: usize) -> Result<(), Invalid> {
    if bytes > MAX_DOCUMENT { Err(too_large()) } else { Ok(()) }
}

/// Takes the value of a name, or null if there is none, and returns it with its key. Names of custom attributes keep
/// the case in which they were first sent.
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

fn merge(object: &mut Map<String, Value>, sub_attributes: &Map<String, Value>) {
    for (name, value) in sub_attributes {
        if value.is_null() {
            object.shift_remove(name);
        } else {
            object.insert(name.clone(), value.clone());
        }
    }
}
