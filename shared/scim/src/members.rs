//! The members of a group (RFC 7643 §4.2). Each member is stored beside the document of the group.
//!
//! The operations of a PATCH on `members` combine into one [`MemberEdit`]. The edit is correct for any current members,
//! so they need not be read, concurrent requests lose nothing, and adding one member to a group of a hundred thousand
//! costs the same as to an empty group. Only a removal other than by id ([`MemberOperation::RemoveWhere`]) reads the
//! current members. Adding a present member and removing an absent one succeed, because clients repeat requests.
//!
//! A member has no `display` and `$ref` here, because both follow from its id.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::dialect::values::as_list;
use crate::error::Invalid;
use crate::extension::{after_urn, named_twice};
use crate::filter::{Operand, Predicate};
use crate::fold::FoldCache;
use crate::schema::{GROUP_URN, MEMBERS, ResourceKind};
use crate::syntax::Operator;
use crate::value::{check_distinct_names, get_ignore_case, type_mismatch};

/// A member as the client names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The id as sent: any text. The store decides whether the resource exists.
    pub value: String,
    /// The resource kind that the client states.
    pub member_type: Option<ResourceKind>,
}

/// A PATCH operation on `members`.
#[derive(Debug, Clone, PartialEq)]
pub enum MemberOperation {
    /// Adds members.
    Add(Vec<Member>),
    /// Removes the members with these ids, if they are present.
    Remove(Vec<String>),
    /// Replaces all members.
    Replace(Vec<Member>),
    /// Removes the members that match a filter.
    RemoveWhere(Predicate),
}

/// The effect of a request on the members, whatever they are now.
///
/// # Examples
/// ```
/// use scim::members::{self, MemberEdit};
/// use scim::{patch::Patch, schema::GROUP_TYPE};
/// use serde_json::json;
///
/// let patch = Patch::parse(&GROUP_TYPE, &json!({ "Operations": [
///     { "op": "add", "path": "members", "value": [{ "value": "ada" }, { "value": "bob" }] },
///     { "op": "remove", "path": "members[value eq \"bob\"]" },
/// ] }))?;
/// let edit: MemberEdit = members::combine(patch.members()).expect("both operations name ids");
/// assert!(!edit.clear);
/// assert_eq!(edit.add[0].value, "ada");
/// assert_eq!(edit.remove, ["bob"]);
/// # Ok::<(), scim::Invalid>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberEdit {
    /// Whether all current members are removed first.
    pub clear: bool,
    /// The members to add, in the order of the request. No id occurs twice.
    pub add: Vec<Member>,
    /// The ids of the members to remove. None of them is in `add`.
    pub remove: Vec<String>,
}

/// Reads the members of a POST or PUT body. A body without `members` has none.
///
/// # Errors
/// If `members` is not a list of objects with an id in `value`.
pub fn from_body(body: &Value) -> Result<Vec<Member>, Invalid> {
    let Value::Object(body) = body else {
        return Err(Invalid::syntax("The body must be a JSON object with the attributes of a Group."));
    };
    in_body(body)?.map_or(Ok(Vec::new()), from_value)
}

/// Returns the value of `members` in the body of a group, also under the core URN.
///
/// # Errors
/// If `members` has two values.
pub(crate) fn in_body(body: &Map<String, Value>) -> Result<Option<&Value>, Invalid> {
    let mut found: Option<&Value> = None;
    for (key, value) in body {
        let (name, given) = match (after_urn(GROUP_URN, key), value) {
            (Some(""), Value::Object(inner)) => (key.as_str(), in_body(inner)?),
            (name, value) => {
                let name = name.unwrap_or(key);
                (name, name.eq_ignore_ascii_case(MEMBERS).then_some(value))
            }
        };
        match (found, given) {
            (_, None) => {}
            (Some(held), Some(given)) if given.is_null() || held == given => {}
            (Some(held), Some(_)) if !held.is_null() => return Err(named_twice(name)),
            (_, given) => found = given,
        }
    }
    Ok(found)
}

/// Reads the members in a value of the attribute. No id occurs twice.
pub(crate) fn from_value(value: &Value) -> Result<Vec<Member>, Invalid> {
    if value.is_null() {
        return Ok(Vec::new());
    }
    let list = as_list(value);
    let Value::Array(values) = &*list else {
        return Err(type_mismatch(&"Attribute 'members'", "a list", value));
    };
    let members: Vec<_> = values
        .iter()
        .enumerate()
        .map(|(index, value)| {
            member(value).map_err(|invalid| invalid.within(&format!("The value members[{index}] is invalid")))
        })
        .collect::<Result<_, _>>()?;
    Ok(combine_on(&[MemberOperation::Add(members)], &[]).add)
}

fn member(value: &Value) -> Result<Member, Invalid> {
    let Value::Object(member) = value else {
        return Err(type_mismatch(&"A member", "an object such as {\"value\": \"<id>\"}", value));
    };
    check_distinct_names(member)?;
    let text = |name: &str| match get_ignore_case(member, name) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(other) => Err(type_mismatch(&format!("Attribute 'members.{name}'"), "a string", other)),
    };
    let (value, type_text, reference) = (text("value")?, text("type")?, text("$ref")?);
    if value.is_empty() {
        return Err(Invalid::value("Attribute 'members.value' is required. Send the id of a User or Group."));
    }
    let member_type =
        if type_text.is_empty() { type_of_reference(reference) } else { Some(member_type(type_text)?) };
    Ok(Member { value: value.to_owned(), member_type })
}

/// Reads the `type` of a member, in any case.
fn member_type(text: &str) -> Result<ResourceKind, Invalid> {
    ResourceKind::ALL
        .into_iter()
        .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| Invalid::value("Attribute 'members.type' must be \"User\" or \"Group\"."))
}

/// Returns the resource kind of a `$ref`. The last segment but one of the URI is the endpoint.
fn type_of_reference(reference: &str) -> Option<ResourceKind> {
    let collection = reference.rsplit('/').nth(1)?;
    ResourceKind::ALL
        .into_iter()
        .find(|kind| kind.resource_type().endpoint.strip_prefix('/') == Some(collection))
}

/// Returns the operation for the removal of `members[filter]`.
pub(crate) fn removal(filter: Predicate) -> MemberOperation {
    let mut ids = Vec::new();
    if collect_ids(&filter, &mut ids) {
        MemberOperation::Remove(ids)
    } else {
        MemberOperation::RemoveWhere(filter)
    }
}

/// Collects the ids of `value eq "…" or value eq "…"`. Returns false if the filter has another form.
fn collect_ids(filter: &Predicate, ids: &mut Vec<String>) -> bool {
    match filter {
        Predicate::Or(alternatives) => alternatives.iter().all(|filter| collect_ids(filter, ids)),
        Predicate::Compare { attribute, sub: None, operator: Operator::Eq, operand: Operand::Text(id) }
            if attribute.name == "value" =>
        {
            ids.push(id.clone());
            true
        }
        _ => false,
    }
}

/// Combines operations into one edit. Returns `None` if a [`MemberOperation::RemoveWhere`] needs the current members.
#[must_use]
pub fn combine(operations: &[MemberOperation]) -> Option<MemberEdit> {
    let (_, rest) = after_last_replace(operations);
    let sees_members = rest.iter().any(|operation| matches!(operation, MemberOperation::RemoveWhere(_)));
    (!sees_members).then(|| combine_on(operations, &[]))
}

/// Combines operations into one edit of the current members.
#[must_use]
pub fn combine_on(operations: &[MemberOperation], current: &[Member]) -> MemberEdit {
    let (clear, operations) = after_last_replace(operations);
    let current = if clear { &[] } else { current };
    let mut outcomes = Outcomes::default();
    let mut folds = FoldCache::default();
    for operation in operations {
        match operation {
            MemberOperation::Add(members) | MemberOperation::Replace(members) => {
                for member in members {
                    outcomes.add(member);
                }
            }
            MemberOperation::Remove(ids) => {
                for id in ids {
                    outcomes.remove(id);
                }
            }
            MemberOperation::RemoveWhere(filter) => {
                let gone: Vec<_> = outcomes
                    .members(current)
                    .filter(|member| filter.matches_with(&member.as_map(), &mut folds))
                    .collect();
                for member in gone {
                    outcomes.remove(&member.value);
                }
            }
        }
    }
    outcomes.into_edit(clear)
}

/// Skips the operations before the last replacement, which have no effect.
fn after_last_replace(operations: &[MemberOperation]) -> (bool, &[MemberOperation]) {
    match operations.iter().rposition(|operation| matches!(operation, MemberOperation::Replace(_))) {
        Some(last) => (true, &operations[last..]),
        None => (false, operations),
    }
}

/// The effect of the operations so far on one member.
enum Outcome<'a> {
    /// The member was added. `order` tells when.
    Added { order: usize, member: &'a Member },
    /// The member was removed.
    Removed,
}

/// The outcome of each member that an operation names, by id.
#[derive(Default)]
struct Outcomes<'a> {
    by_id: BTreeMap<&'a str, Outcome<'a>>,
    additions: usize,
}

impl<'a> Outcomes<'a> {
    /// Adds a member. A member that was added before keeps its order and its type.
    fn add(&mut self, member: &'a Member) {
        self.additions += 1;
        let added = Outcome::Added { order: self.additions, member };
        let outcome = self.by_id.entry(&member.value).or_insert(Outcome::Removed);
        if matches!(outcome, Outcome::Removed) {
            *outcome = added;
        }
    }

    fn remove(&mut self, id: &'a str) {
        self.by_id.insert(id, Outcome::Removed);
    }

    /// Returns the possible members at this point. Some of the current members may have been removed already.
    fn members(&self, current: &'a [Member]) -> impl Iterator<Item = &'a Member> {
        current.iter().chain(self.by_id.values().filter_map(|outcome| match outcome {
            Outcome::Added { member, .. } => Some(*member),
            Outcome::Removed => None,
        }))
    }

    fn into_edit(self, clear: bool) -> MemberEdit {
        let mut edit = MemberEdit { clear, ..MemberEdit::default() };
        let mut added = Vec::new();
        for (id, outcome) in self.by_id {
            match outcome {
                Outcome::Added { order, member } => added.push((order, member)),
                Outcome::Removed if clear => {}
                Outcome::Removed => edit.remove.push(id.to_owned()),
            }
        }
        added.sort_unstable_by_key(|(order, _)| *order);
        edit.add = added.into_iter().map(|(_, member)| member.clone()).collect();
        edit
    }
}

impl Member {
    /// Returns the member as an element of the attribute, for filters.
    fn as_map(&self) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("value".into(), self.value.as_str().into());
        if let Some(member_type) = self.member_type {
            map.insert("type".into(), member_type.as_str().into());
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::path::Target;
    use crate::schema::GROUP_TYPE;
    use crate::syntax::Path;

    fn user(value: &str) -> Member {
        Member { value: value.into(), member_type: None }
    }

    fn predicate(path: &str) -> Predicate {
        match Path::parse(path).unwrap().resolve(&GROUP_TYPE).unwrap() {
            Target::Attribute { filter: Some(filter), .. } => filter,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn filter_removes_members_by_type() {
        let of = |value: &str, member_type| Member { value: value.into(), member_type };
        let members =
            [of("a", Some(ResourceKind::User)), of("b", Some(ResourceKind::Group)), of("c", None), user("d")];
        for (path, removed) in [
            (r#"members[type eq "Group"]"#, vec!["b"]),
            (r#"members[type eq "user" or value eq "d"]"#, vec!["a", "d"]),
            ("members[not (type pr)]", vec!["c", "d"]),
        ] {
            let edit = combine_on(&[MemberOperation::RemoveWhere(predicate(path))], &members);
            assert_eq!(
                (edit.add, edit.remove),
                (Vec::new(), removed.iter().map(ToString::to_string).collect())
            );
        }
    }

    #[test]
    fn body_members_are_read_with_their_type() {
        let body = json!({"Members": [
            {"value": "a", "display": null, "$ref": null},
            {"Value": "b", "type": "user"},
            {"value": "c", "type": null, "$ref": "https://x.example/scim/v2/Groups/c"},
            {"value": "d", "type": "", "$ref": "Users/d"},
            {"value": "e", "$ref": "https://x.example/Elsewhere/e"},
            {"value": "a", "type": "Group"},
        ]});
        let of = |value: &str, member_type| Member { value: value.into(), member_type };
        assert_eq!(
            from_body(&body).unwrap(),
            [
                of("a", None),
                of("b", Some(ResourceKind::User)),
                of("c", Some(ResourceKind::Group)),
                of("d", Some(ResourceKind::User)),
                of("e", None),
            ]
        );
    }

    #[test]
    fn body_without_members_has_none() {
        for body in [json!({}), json!({"members": null}), json!({"members": []})] {
            assert_eq!(from_body(&body), Ok(Vec::new()), "{body}");
        }
        assert_eq!(from_body(&json!({"members": {"value": "a"}})), Ok(vec![user("a")]));
    }

    #[test]
    fn malformed_members_are_refused_with_index() {
        for (members, detail) in [
            (json!("a"), "Attribute 'members' must be a list, not a string."),
            (json!(7), "Attribute 'members' must be a list, not a number."),
            (
                json!([{"value": "a"}, "b"]),
                "The value members[1] is invalid: A member must be an object such as {\"value\": \"<id>\"}, not a string.",
            ),
            (
                json!([null]),
                "The value members[0] is invalid: A member must be an object such as {\"value\": \"<id>\"}, not null.",
            ),
            (
                json!([{}]),
                "The value members[0] is invalid: Attribute 'members.value' is required. Send the id of a User or Group.",
            ),
            (
                json!([{"value": ""}]),
                "The value members[0] is invalid: Attribute 'members.value' is required. Send the id of a User or Group.",
            ),
            (
                json!([{"value": 7}]),
                "The value members[0] is invalid: Attribute 'members.value' must be a string, not a number.",
            ),
            (
                json!([{"value": "a", "type": "Robot"}]),
                "The value members[0] is invalid: Attribute 'members.type' must be \"User\" or \"Group\".",
            ),
        ] {
            let invalid = from_body(&json!({ "members": members })).unwrap_err();
            assert_eq!((invalid.scim_type.as_str(), invalid.detail.as_str()), ("invalidValue", detail));
        }
        let twice = from_body(&json!({"members": [], "MEMBERS": [{"value": "a"}]})).unwrap_err();
        assert_eq!(twice.scim_type.as_str(), "invalidSyntax");
    }

    #[test]
    fn filter_of_ids_removes_those_ids() {
        let ids = |path| match removal(predicate(path)) {
            MemberOperation::Remove(ids) => Some(ids),
            _ => None,
        };
        assert_eq!(ids(r#"members[value eq "a"]"#), Some(vec!["a".into()]));
        assert_eq!(
            ids(r#"members[value eq "A" or (value eq "b" or Value EQ "c")]"#),
            Some(vec!["A".into(), "b".into(), "c".into()])
        );
        for path in [
            r#"members[value ne "a"]"#,
            r#"members[type eq "User"]"#,
            r#"members[value eq "a" and type eq "User"]"#,
            r#"members[value eq "a" or type eq "User"]"#,
            r#"members[not (value eq "a")]"#,
        ] {
            assert_eq!(ids(path), None, "{path}");
        }
    }

    #[test]
    fn only_filters_after_last_replace_need_current_members() {
        let filter = || removal(predicate(r#"members[type eq "User"]"#));
        assert_eq!(combine(&[filter()]), None);
        assert_eq!(combine(&[MemberOperation::Replace(vec![user("a")]), filter()]), None);
        let replaced = combine(&[filter(), MemberOperation::Replace(vec![user("a")])]);
        assert_eq!(replaced, Some(MemberEdit { clear: true, add: vec![user("a")], remove: vec![] }));
    }

    #[test]
    fn members_are_added_in_request_order() {
        let operations = [
            MemberOperation::Add(vec![user("c"), user("b"), user("a")]),
            MemberOperation::Remove(vec!["c".into()]),
            MemberOperation::Add(vec![user("a"), user("c")]),
        ];
        let added: Vec<_> =
            combine(&operations).unwrap().add.into_iter().map(|member| member.value).collect();
        assert_eq!(added, ["b", "a", "c"]);
    }

    #[test]
    fn hundred_thousand_members_combine_quickly() {
        let many: Vec<_> = (0..100_000).map(|index| user(&format!("{index:08}"))).collect();
        let ids = many.iter().map(|member| member.value.clone()).collect();
        let edit = combine(&[
            MemberOperation::Add(many.clone()),
            MemberOperation::Remove(ids),
            MemberOperation::Add(many),
        ]);
        assert_eq!(edit.unwrap().add.len(), 100_000);
    }

    /// Applies the operations one after the other, as RFC 7644 §3.5.2 defines them.
    fn one_by_one(operations: &[MemberOperation], current: &[Member]) -> Vec<Member> {
        let mut members = current.to_vec();
        for operation in operations {
            match operation {
                MemberOperation::Add(added) => {
                    for member in added {
                        if !members.iter().any(|other| other.value == member.value) {
                            members.push(member.clone());
                        }
                    }
                }
                MemberOperation::Remove(ids) => members.retain(|member| !ids.contains(&member.value)),
                MemberOperation::Replace(with) => {
                    members.clear();
                    members = one_by_one(&[MemberOperation::Add(with.clone())], &members);
                }
                MemberOperation::RemoveWhere(filter) => {
                    members.retain(|member| !filter.matches(&member.as_map()));
                }
            }
        }
        members
    }

    fn carried_out(edit: &MemberEdit, current: &[Member]) -> Vec<Member> {
        let mut members = if edit.clear { Vec::new() } else { current.to_vec() };
        members.retain(|member| !edit.remove.contains(&member.value));
        one_by_one(&[MemberOperation::Add(edit.add.clone())], &members)
    }

    fn values(members: &[Member]) -> std::collections::BTreeSet<&str> {
        members.iter().map(|member| member.value.as_str()).collect()
    }

    prop_compose! {
        /// The kind of a member follows from its id, as in the store.
        fn some_members()(ids in proptest::collection::vec(0..6usize, 0..5)) -> Vec<Member> {
            let kind = |id| Some(if id % 2 == 0 { ResourceKind::User } else { ResourceKind::Group });
            ids.into_iter().map(|id| Member { value: ["a", "b", "c", "d", "e", "f"][id].into(), member_type: kind(id) }).collect()
        }
    }

    fn an_operation() -> impl Strategy<Value = MemberOperation> {
        let ids = |members: Vec<Member>| members.into_iter().map(|member| member.value).collect();
        prop_oneof![
            some_members().prop_map(MemberOperation::Add),
            some_members().prop_map(move |members| MemberOperation::Remove(ids(members))),
            some_members().prop_map(MemberOperation::Replace),
            prop::sample::select(vec![
                r#"members[type eq "User"]"#,
                r#"members[value gt "c"]"#,
                r#"members[value ne "b"]"#
            ])
            .prop_map(|path| removal(predicate(path))),
        ]
    }

    proptest! {
        #[test]
        fn edit_equals_its_operations_in_sequence(
            operations in proptest::collection::vec(an_operation(), 0..6),
            current in some_members(),
        ) {
            let current = from_distinct(&current);
            let expected = one_by_one(&operations, &current);
            let edit = combine_on(&operations, &current);
            let after = carried_out(&edit, &current);
            prop_assert_eq!(values(&after), values(&expected));
            if let Some(blind) = combine(&operations) {
                let after = carried_out(&blind, &current);
                prop_assert_eq!(values(&after), values(&expected));
            }
            let distinct: std::collections::BTreeSet<_> =
                edit.add.iter().map(|member| &member.value).chain(&edit.remove).collect();
            prop_assert_eq!(distinct.len(), edit.add.len() + edit.remove.len(), "a member is named once");
            prop_assert!(!edit.clear || edit.remove.is_empty());
        }

        #[test]
        fn edit_is_idempotent(
            operations in proptest::collection::vec(an_operation(), 0..6),
            current in some_members(),
        ) {
            let current = from_distinct(&current);
            if let Some(edit) = combine(&operations) {
                let once = carried_out(&edit, &current);
                prop_assert_eq!(&carried_out(&edit, &once), &once);
            }
        }
    }

    fn from_distinct(members: &[Member]) -> Vec<Member> {
        one_by_one(&[MemberOperation::Add(members.to_vec())], &[])
    }
}
