//! Input: a PATCH message in the first line, then the body of the resource.

use std::collections::BTreeSet;

use scim::{
    ResourceType,
    members::{self, Member, MemberEdit},
    patch::Patch,
    resource::Document,
    schema::RESOURCE_TYPES,
};
use serde_json::{Value, json};

use super::{document, first_line, object};

pub(super) fn run(input: &[u8]) {
    let input = String::from_utf8_lossy(input);
    let (message, rest) = first_line(&input);
    let Some(message) = object(message).map(Value::Object) else { return };
    for resource_type in RESOURCE_TYPES {
        let current = object(rest).and_then(|body| members::from_body(&Value::Object(body)).ok());
        on(resource_type, &message, &document(resource_type, rest), &current.unwrap_or_default());
    }
}

fn on(resource_type: &'static ResourceType, message: &Value, before: &Document, current: &[Member]) {
    let patch = match Patch::parse(resource_type, message) {
        Ok(patch) => patch,
        Err(invalid) => return assert!(!invalid.detail.is_empty()),
    };
    let text = before.to_stored();
    let after = patch.apply(before);
    assert_eq!(before.to_stored(), text, "a PATCH changes its own copy");
    match &after {
        Err(invalid) => assert!(!invalid.detail.is_empty()),
        Ok(after) => {
            let body = Value::Object(after.as_map().clone());
            assert_eq!(
                Document::from_request(resource_type, &body).as_ref(),
                Ok(after),
                "the result is valid"
            );
            let stored = Document::from_stored(&after.to_stored()).expect("what was stored");
            assert_eq!(&stored, after, "the result can be stored");
        }
    }
    let edit = members::fold_on(patch.members(), current);
    let left = edited(&edit, current);
    if let Some(blind) = members::fold(patch.members()) {
        assert_eq!(edited(&blind, current), left, "the blind edit is equal");
    }
    let operations = operations_of(message);
    one_by_one(resource_type, &operations, before, &after);
    if let [operation] = operations.as_slice()
        && is_without_filter(operation)
        && let Ok(once) = &after
    {
        assert_eq!(patch.apply(once).as_ref(), Ok(once), "the operation is idempotent");
        assert_eq!(edited(&members::fold_on(patch.members(), current), current), left);
    }
}

fn operations_of(message: &Value) -> Vec<Value> {
    let operations = message.as_object().into_iter().flatten();
    let operations = operations.filter(|(name, _)| name.eq_ignore_ascii_case("Operations"));
    operations.filter_map(|(_, operations)| operations.as_array()).flatten().cloned().collect()
}

/// Fails unless all operations together equal the operations one by one, if each of those succeeds.
fn one_by_one(
    resource_type: &'static ResourceType,
    operations: &[Value],
    before: &Document,
    after: &Result<Document, scim::Invalid>,
) {
    let stepwise = operations.iter().try_fold(before.clone(), |document, operation| {
        Patch::parse(resource_type, &json!({ "Operations": [operation] }))?.apply(&document)
    });
    if let Ok(expected) = stepwise {
        assert_eq!(after.as_ref(), Ok(&expected), "operations apply in order");
    }
}

/// Returns whether no filter is in a path. A filter may select other values the second time.
fn is_without_filter(operation: &Value) -> bool {
    !operation.to_string().contains('[') || {
        let path = operation.as_object().into_iter().flatten();
        let mut path = path.filter(|(name, _)| name.eq_ignore_ascii_case("path"));
        path.any(|(_, path)| path.as_str().is_some_and(|path| !path.is_empty() && !path.contains('[')))
    }
}

fn edited(edit: &MemberEdit, current: &[Member]) -> BTreeSet<String> {
    let kept = current.iter().filter(|_| !edit.clear).map(|member| &member.value);
    let kept = kept.filter(|id| !edit.remove.contains(id));
    kept.chain(edit.add.iter().map(|member| &member.value)).cloned().collect()
}
