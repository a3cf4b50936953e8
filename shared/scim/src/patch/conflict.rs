//! Changes of one operation, or of one body, that name the same attribute.
//!
//! Their order must not matter. Clients send nulls beside values, and the same value twice. Both are accepted, and two
//! different values are refused.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::change::{Change, Edit};
use crate::error::Invalid;
use crate::extension::named_twice;
use crate::schema::Type;
use crate::value::is_unassigned;

/// Leaves out the nulls of attributes that another change sets, and checks the changes that remain.
pub(super) fn reconcile(changes: &mut Vec<Change>, first: usize) -> Result<(), Invalid> {
    let superseded: HashSet<String> = changes[first..].iter().flat_map(names_superseded).collect();
    let mut index = 0;
    changes.retain_mut(|change| {
        index += 1;
        index <= first || drop_nulls(change, |name| superseded.contains(name))
    });
    check_distinct(&changes[first..])
}

/// Removes what a change unassigns from it if the name is superseded. Returns whether anything remains.
pub(super) fn drop_nulls(change: &mut Change, is_superseded: impl Fn(&str) -> bool) -> bool {
    let whole = name_of(change);
    let any_part = format!("{whole}.");
    match &mut change.edit {
        Edit::Assign(value) if is_unassigned(value) => !is_superseded(&any_part),
        Edit::RemoveSelected => !is_superseded(&whole),
        Edit::Merge(parts) => {
            let is_filtered = change.filter.is_some();
            parts.retain(|part, value| {
                let by_part = || !is_filtered && is_superseded(&format!("{whole}.{part}"));
                !(value.is_null() && (is_superseded(&whole) || by_part()))
            });
            !parts.is_empty()
        }
        _ => true,
    }
}

/// Refuses changes that set the same attribute to different values, or that unassign an extension and set its
/// attributes. Their order would decide which value stays. Several filters may select different elements of one
/// attribute.
pub(super) fn check_distinct(changes: &[Change]) -> Result<(), Invalid> {
    let mut named = HashSet::new();
    let mut wholes: HashMap<String, &Edit> = HashMap::new();
    let mut parts_set: HashMap<String, &Value> = HashMap::new();
    for change in changes {
        let whole = name_of(change);
        let any_part = format!("{whole}.");
        let mut is_distinct = true;
        if let Some(urn) = &change.attribute.extension {
            let extension = format!(":{urn}").to_ascii_lowercase();
            is_distinct = !named.contains(&extension);
            named.insert(format!("{extension}."));
            // A path that unassigns divides the URN of a custom extension at its last colon.
            if unassigns_custom(change) {
                is_distinct &= !named.contains(&format!(":{any_part}"));
                named.insert(format!(":{whole}"));
            }
        }
        is_distinct &= match (&change.filter, &change.edit) {
            (None, Edit::Merge(parts)) => {
                let mut is_new =
                    |(part, value)| *parts_set.entry(format!("{whole}.{part}")).or_insert(value) == value;
                parts.iter().all(&mut is_new) && !wholes.contains_key(&whole)
            }
            (None, edit) => {
                let is_new =
                    !named.contains(&any_part) && *wholes.entry(whole.clone()).or_insert(edit) == edit;
                named.insert(whole.clone());
                is_new
            }
            (Some(_), _) => !wholes.contains_key(&whole),
        };
        if !is_distinct {
            return Err(named_twice(&change.attribute.name));
        }
        if change.filter.is_some() || matches!(change.edit, Edit::Merge(_)) {
            named.insert(any_part);
        }
    }
    Ok(())
}

fn unassigns_custom(change: &Change) -> bool {
    change.attribute.definition.data_type == Type::Any
        && matches!(&change.edit, Edit::Assign(value) if is_unassigned(value))
}

/// Returns the name of the attribute in lower case: `<urn>:<name>`, where a core attribute and a whole extension have no
/// URN.
fn name_of(change: &Change) -> String {
    let urn = change.attribute.extension.as_deref().unwrap_or_default();
    format!("{urn}:{}", change.attribute.name).to_ascii_lowercase()
}

/// Returns the names whose nulls a change supersedes because it sets them: `<name>` for the whole attribute, `<name>.<part>` for a
/// sub-attribute, and `<name>.` for any of them.
fn names_superseded(change: &Change) -> Vec<String> {
    let whole = name_of(change);
    let any_part = format!("{whole}.");
    match &change.edit {
        Edit::RemoveValues(_) | Edit::RemoveSelected => Vec::new(),
        // With the whole attribute, its parts are unassigned.
        Edit::Assign(value) if is_unassigned(value) => vec![whole],
        Edit::Assign(_) | Edit::Append(_) => vec![whole, any_part],
        Edit::ReplaceSelected(_) => vec![any_part],
        Edit::Merge(parts) if parts.values().all(Value::is_null) => Vec::new(),
        Edit::Merge(_) if change.filter.is_some() => vec![any_part],
        Edit::Merge(parts) => {
            let set = parts.iter().filter(|(_, value)| !value.is_null());
            set.map(|(part, _)| format!("{any_part}{part}")).chain([any_part.clone()]).collect()
        }
    }
}
