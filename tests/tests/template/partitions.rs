//! The partition keys that a role allows, and those of the calls of its function.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Grant;

/// Returns the differences between the partitions that the role allows and those that the function named. A grant without a
/// condition allows `*`.
pub(super) fn differing(
    name: &str,
    needed: &BTreeMap<Grant, BTreeSet<String>>,
    allowed: &BTreeMap<Grant, BTreeSet<String>>,
) -> Vec<String> {
    let mut differences = Vec::new();
    for (grant, partitions) in needed {
        let patterns = allowed.get(grant).cloned().unwrap_or_default();
        if patterns.contains("*") {
            continue;
        }
        let refused = partitions.iter().filter(|key| !patterns.iter().any(|pattern| matches(pattern, key)));
        differences.extend(refused.map(|key| format!("{name} needs {grant:?} for {key}")));
        let unused = patterns.iter().filter(|pattern| !partitions.iter().any(|key| matches(pattern, key)));
        differences.extend(unused.map(|pattern| format!("{name} never uses {grant:?} for {pattern}")));
    }
    differences
}

/// Collects the partition keys of the items and keys of a call.
pub(super) fn collect(of: &Value, found: &mut BTreeSet<String>) {
    match of {
        Value::Object(members) => {
            found.extend(of["pk"]["S"].as_str().map(str::to_owned));
            members.values().for_each(|value| collect(value, found));
        }
        Value::Array(elements) => elements.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

/// Returns whether a text matches a pattern with `*` for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            text.char_indices()
                .map(|(index, _)| index)
                .chain([text.len()])
                .any(|end| matches(rest, &text[end..]))
        }),
    }
}
