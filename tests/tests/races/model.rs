//! Random sequences of all operations by two organisations, against a small model. Each answer equals that of the model,
//! and at the end the visible data is that of the model.
//!
//! Targets and members are chosen from all resources that were ever created. Many of them belong to the other organisation
//! or are deleted, so that the id is unknown to the caller.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Map, Value, json};
use tests::{Answer, ORG, Request, Service};
use tokio::runtime::Runtime;

use super::{assert_consistent, concurrency, members};

/// The number of sequences, on the realistic DynamoDB too, and their length.
const SEQUENCES: u32 = 60;
const REALISTIC_SEQUENCES: u32 = 20;
const STEPS: usize = 50;
/// The organisations.
const ORGS: [&str; 2] = [ORG, "other"];
/// An id that no resource has.
const UNKNOWN: &str = "01938000-0000-7000-8000-000000000000";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    User,
    Group,
}
use Kind::{Group, User};

impl Kind {
    fn path(self) -> &'static str {
        match self {
            User => "/Users",
            Group => "/Groups",
        }
    }

    /// Returns the unique attribute.
    fn name(self) -> &'static str {
        match self {
            User => "userName",
            Group => "displayName",
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            User => "User",
            Group => "Group",
        }
    }
}

/// The version in `If-Match`.
#[derive(Clone, Copy, Debug)]
enum Condition {
    None,
    ToAny,
    ToCurrent,
    /// The version that the last read returned.
    ToRemembered,
}

/// Attributes other than members.
#[derive(Clone, Debug, PartialEq)]
struct Attributes {
    name: String,
    external_id: Option<String>,
    /// The title of a user.
    title: Option<String>,
}

/// A PATCH operation.
#[derive(Clone, Debug)]
enum Edit {
    Name(String),
    ExternalId(Option<String>),
    Title(Option<String>),
    Add(Vec<Index>),
    Remove(Vec<Index>),
    Replace(Vec<Index>),
    RemoveOne(Index),
    Clear,
}

#[derive(Clone, Debug)]
enum Filter {
    Name(String),
    ExternalId(String),
    Title(String),
    Members(Index),
    Groups(Index),
}

#[derive(Clone, Debug)]
enum Step {
    Create(Kind, Attributes, Vec<Index>),
    Put(Kind, Index, Attributes, Vec<Index>, Condition),
    Patch(Kind, Index, Vec<Edit>, Condition),
    RemoveGroups(Index),
    Delete(Kind, Index, Condition),
    Get(Kind, Index),
    Find(Filter),
    List(Kind, usize, usize),
    /// Users and a group of them, in one bulk request.
    Bulk(Vec<String>, String),
}

fn name() -> impl Strategy<Value = String> {
    select(vec!["ada", "Ada", "bob", "cyd", "dan", "eve", "é"]).prop_map(str::to_owned)
}

fn external_id() -> impl Strategy<Value = String> {
    select(vec!["e1", "E1", "e2"]).prop_map(str::to_owned)
}

fn title() -> impl Strategy<Value = String> {
    select(vec!["x", "X", "y"]).prop_map(str::to_owned)
}

fn attributes() -> impl Strategy<Value = Attributes> {
    (name(), option::of(external_id()), option::of(title()))
        .prop_map(|(name, external_id, title)| Attributes { name, external_id, title })
}

fn kind() -> impl Strategy<Value = Kind> {
    select(vec![User, Group])
}

fn some() -> impl Strategy<Value = Vec<Index>> {
    vec(any::<Index>(), 0..4)
}

fn bound() -> impl Strategy<Value = Condition> {
    prop_oneof![
        4 => Just(Condition::None),
        1 => Just(Condition::ToAny),
        1 => Just(Condition::ToCurrent),
        2 => Just(Condition::ToRemembered),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        1 => name().prop_map(Edit::Name),
        1 => option::of(external_id()).prop_map(Edit::ExternalId),
        1 => option::of(title()).prop_map(Edit::Title),
        5 => some().prop_map(Edit::Add),
        3 => some().prop_map(Edit::Remove),
        1 => some().prop_map(Edit::Replace),
        1 => any::<Index>().prop_map(Edit::RemoveOne),
        1 => Just(Edit::Clear),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    prop_oneof![
        name().prop_map(Filter::Name),
        external_id().prop_map(Filter::ExternalId),
        title().prop_map(Filter::Title),
        any::<Index>().prop_map(Filter::Members),
        any::<Index>().prop_map(Filter::Groups),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let target = any::<Index>;
    prop_oneof![
        6 => (kind(), attributes(), some()).prop_map(|(kind, attributes, members)| Step::Create(kind, attributes, members)),
        3 => (kind(), target(), attributes(), some(), bound())
            .prop_map(|(kind, target, attributes, members, bound)| Step::Put(kind, target, attributes, members, bound)),
        6 => (kind(), target(), vec(edit(), 1..4), bound())
            .prop_map(|(kind, target, edits, bound)| Step::Patch(kind, target, edits, bound)),
        1 => target().prop_map(Step::RemoveGroups),
        3 => (kind(), target(), bound()).prop_map(|(kind, target, bound)| Step::Delete(kind, target, bound)),
        2 => (kind(), target()).prop_map(|(kind, target)| Step::Get(kind, target)),
        3 => filter().prop_map(Step::Find),
        1 => (kind(), 0..8_usize, 0..6_usize).prop_map(|(kind, start, count)| Step::List(kind, start, count)),
        1 => (vec(name(), 1..3), name()).prop_map(|(users, group)| Step::Bulk(users, group)),
    ]
}

/// A resource in the model.
#[derive(Clone, Debug)]
struct Resource {
    kind: Kind,
    attributes: Attributes,
    members: BTreeSet<String>,
    /// The number of changes.
    revision: usize,
}

/// The resources of an organisation, by id.
type Resources = BTreeMap<String, Resource>;

/// The service and the model.
struct Comparison {
    service: Service,
    keys: Vec<String>,
    orgs: Vec<Resources>,
    /// All resources that were ever created.
    known: Vec<(Kind, String)>,
    /// The revision and the ETag of each resource at its last read.
    remembered: BTreeMap<String, (usize, String)>,
}

/// The resource that a request results in, or the verdict of its error.
type Expected = Result<Resource, &'static str>;

fn is_same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

impl Comparison {
    async fn new(service: Service) -> Self {
        let other = service.organisation(ORGS[1], &[service::auth::Scope::Scim]).await;
        let keys = vec![service.key.clone(), other];
        Self {
            service,
            keys,
            orgs: vec![Resources::new(); 2],
            known: Vec::new(),
            remembered: BTreeMap::new(),
        }
    }

    fn target(&self, kind: Kind, index: Index) -> String {
        let of_kind: Vec<&String> =
            self.known.iter().filter(|known| known.0 == kind).map(|known| &known.1).collect();
        if of_kind.is_empty() { UNKNOWN.to_owned() } else { (*index.get(&of_kind)).clone() }
    }

    fn some(&self, indices: &[Index]) -> Vec<String> {
        let pick = |index: &Index| {
            if self.known.is_empty() { UNKNOWN.to_owned() } else { index.get(&self.known).1.clone() }
        };
        indices.iter().map(pick).collect()
    }

    async fn send(&self, org: usize, request: Request) -> Answer {
        request.bearer(&self.keys[org]).send(&self.service).await
    }

    /// Makes a step in the service and in the model. Fails if they differ.
    async fn take(&mut self, org: usize, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Create(kind, attributes, indices) => {
                let members = if *kind == Group { self.some(indices) } else { Vec::new() };
                let expected = Resource {
                    kind: *kind,
                    attributes: attributes.clone(),
                    members: members.iter().cloned().collect(),
                    revision: 0,
                };
                let expected = self.checked(org, None, expected);
                let request = Request::post(kind.path(), body(*kind, attributes, &members));
                let answer = self.send(org, request).await;
                expect(&answer, expected.as_ref().map_or_else(|refused| *refused, |_| "201"))?;
                if let Ok(resource) = expected {
                    self.created(org, answer.id(), resource);
                }
            }
            Step::Put(kind, target, attributes, indices, bound) => {
                let id = self.target(*kind, *target);
                let members = if *kind == Group { self.some(indices) } else { Vec::new() };
                let request =
                    Request::put(format!("{}/{id}", kind.path()), body(*kind, attributes, &members));
                let put = |resource: &mut Resource| {
                    resource.attributes = attributes.clone();
                    resource.members = members.iter().cloned().collect();
                };
                self.change(org, (*kind, &id), (request, "200"), *bound, put).await?;
            }
            Step::Patch(kind, target, edits, bound) => {
                let id = self.target(*kind, *target);
                let edits: Vec<(&Edit, Vec<String>)> =
                    edits.iter().map(|edit| (edit, self.named(edit))).collect();
                let edits: Vec<_> = edits.into_iter().filter(|(edit, _)| edit.is_of(*kind)).collect();
                if edits.is_empty() {
                    return Ok(());
                }
                let operations: Value = edits.iter().map(|(edit, ids)| edit.operation(*kind, ids)).collect();
                let request = Request::patch(format!("{}/{id}", kind.path()), &operations);
                let patch = |resource: &mut Resource| {
                    for (edit, ids) in &edits {
                        edit.make(resource, ids);
                    }
                };
                self.change(
                    org,
                    (*kind, &id),
                    (request, if *kind == User { "200" } else { "204" }),
                    *bound,
                    patch,
                )
                .await?;
            }
            Step::RemoveGroups(target) => {
                let id = self.target(Group, *target);
                let operations = json!([{ "op": "remove", "path": "members[type eq \"group\"]" }]);
                let groups: BTreeSet<String> =
                    self.known.iter().filter(|known| known.0 == Group).map(|known| known.1.clone()).collect();
                let leave =
                    |resource: &mut Resource| resource.members.retain(|member| !groups.contains(member));
                let request = Request::patch(format!("/Groups/{id}"), &operations);
                self.change(org, (Group, &id), (request, "204"), Condition::None, leave).await?;
            }
            Step::Delete(kind, target, bound) => {
                let id = self.target(*kind, *target);
                let (if_match, holds) = self.bind(org, *kind, &id, *bound).await?;
                let there = self.there(org, *kind, &id);
                let expected = if there.is_none() {
                    "404"
                } else if holds {
                    "204"
                } else {
                    "412"
                };
                let request = Request::delete(format!("{}/{id}", kind.path())).if_match(if_match.as_deref());
                expect(&self.send(org, request).await, expected)?;
                if expected == "204" {
                    self.orgs[org].remove(&id);
                    for group in self.orgs[org].values_mut() {
                        group.revision += usize::from(group.members.remove(&id));
                    }
                }
            }
            Step::Get(kind, target) => self.compare(org, *kind, &self.target(*kind, *target)).await?,
            Step::Find(filter) => self.find(org, filter).await?,
            Step::List(kind, start, count) => self.list(org, *kind, *start, *count).await?,
            Step::Bulk(users, group) => self.bulk(org, users, group).await?,
        }
        Ok(())
    }

    /// Changes a resource in the service and in the model.
    async fn change(
        &mut self,
        org: usize,
        (kind, id): (Kind, &str),
        (request, success): (Request, &str),
        bound: Condition,
        change: impl FnOnce(&mut Resource),
    ) -> Result<(), TestCaseError> {
        let (if_match, holds) = self.bind(org, kind, id, bound).await?;
        let expected = match self.there(org, kind, id) {
            None => Err("404"),
            Some(_) if !holds => Err("412"),
            Some(resource) => {
                let mut next = resource.clone();
                change(&mut next);
                let changed = (&next.attributes, &next.members) != (&resource.attributes, &resource.members);
                next.revision += usize::from(changed);
                self.checked(org, Some(id), next)
            }
        };
        let answer = self.send(org, request.if_match(if_match.as_deref())).await;
        expect(&answer, expected.as_ref().map_or_else(|refused| *refused, |_| success))?;
        if let Ok(resource) = expected {
            self.orgs[org].insert(id.to_owned(), resource);
        }
        self.compare(org, kind, id).await
    }

    fn there(&self, org: usize, kind: Kind, id: &str) -> Option<&Resource> {
        self.orgs[org].get(id).filter(|resource| resource.kind == kind)
    }

    /// Checks a resource before it is written.
    fn checked(&self, org: usize, id: Option<&str>, resource: Resource) -> Expected {
        let there = &self.orgs[org];
        if !resource.members.iter().all(|member| there.contains_key(member)) {
            return Err("400 invalidValue");
        }
        let taken = |(other, of): (&String, &Resource)| {
            Some(other.as_str()) != id
                && of.kind == resource.kind
                && is_same(&of.attributes.name, &resource.attributes.name)
        };
        if there.iter().any(taken) { Err("409 uniqueness") } else { Ok(resource) }
    }

    fn created(&mut self, org: usize, id: String, resource: Resource) {
        self.known.push((resource.kind, id.clone()));
        self.orgs[org].insert(id, resource);
    }

    /// Returns the value of `If-Match`, and whether the condition is true.
    async fn bind(
        &mut self,
        org: usize,
        kind: Kind,
        id: &str,
        bound: Condition,
    ) -> Result<(Option<String>, bool), TestCaseError> {
        if let Condition::ToCurrent = bound {
            self.compare(org, kind, id).await?;
        }
        Ok(match (bound, self.remembered.get(id)) {
            (Condition::None, _) => (None, true),
            (Condition::ToCurrent | Condition::ToRemembered, Some((revision, etag))) => {
                let current = self.there(org, kind, id).map(|resource| resource.revision);
                (Some(etag.clone()), current == Some(*revision))
            }
            (Condition::ToAny, _) | (_, None) => (Some("*".to_owned()), true),
        })
    }

    /// Reads the resource. Fails unless the resource equals that of the model, and its version differs from the last
    /// one if and only if the resource has changed.
    async fn compare(&mut self, org: usize, kind: Kind, id: &str) -> Result<(), TestCaseError> {
        let answer = self.send(org, Request::get(format!("{}/{id}", kind.path()))).await;
        let Some(resource) = self.there(org, kind, id) else { return expect(&answer, "404") };
        expect(&answer, "200")?;
        prop_assert_eq!(Self::shown(&answer.body), self.should_show(org, id, resource));
        // The groups of a user have their own part of the ETag.
        let version =
            |etag: &str| etag.split('.').next().map(|version| version.trim_end_matches('"').to_owned());
        let etag = answer.header("etag").to_owned();
        if let Some((revision, old)) = self.remembered.get(id) {
            prop_assert_eq!(*revision == resource.revision, version(old) == version(&etag), "{:?}", resource);
        }
        self.remembered.insert(id.to_owned(), (resource.revision, etag));
        Ok(())
    }

    /// Returns the compared attributes of a resource in an answer.
    fn shown(body: &Value) -> Value {
        let mut shown = Map::new();
        for name in ["id", "userName", "displayName", "externalId", "title"] {
            shown.extend(body.get(name).map(|value| (name.to_owned(), value.clone())));
        }
        for name in ["members", "groups"] {
            let elements = body[name].as_array().map(Vec::as_slice).unwrap_or_default();
            let element = |element: &Value| format!("{} {}", element["type"], element["value"]);
            let elements: BTreeSet<String> = elements.iter().map(element).collect();
            shown.insert(name.to_owned(), elements.into_iter().collect());
        }
        shown.into()
    }

    fn should_show(&self, org: usize, id: &str, resource: &Resource) -> Value {
        let there = &self.orgs[org];
        let member = |id: &String| json!({ "type": there[id].kind.as_str(), "value": id });
        let groups = there.iter().filter(|(_, group)| group.members.contains(id));
        let group = |(id, _): (&String, &Resource)| json!({ "type": "direct", "value": id });
        let mut body = body(resource.kind, &resource.attributes, &[]);
        body["id"] = id.into();
        body["members"] = resource.members.iter().map(member).collect();
        body["groups"] = if resource.kind == User { groups.map(group).collect() } else { Value::Null };
        Self::shown(&body)
    }

    /// Compares the results of a filter, in any order.
    async fn find(&self, org: usize, filter: &Filter) -> Result<(), TestCaseError> {
        let there = &self.orgs[org];
        let all = |kind: Kind, holds: &dyn Fn(&Resource) -> bool| -> BTreeSet<String> {
            let found = there.iter().filter(|(_, resource)| resource.kind == kind && holds(resource));
            found.map(|(id, _)| id.clone()).collect()
        };
        let asked: Vec<(Kind, String, BTreeSet<String>)> = match filter {
            Filter::Name(name) => [User, Group]
                .map(|kind| {
                    let holds = |resource: &Resource| is_same(&resource.attributes.name, name);
                    (kind, format!("{} eq \"{name}\"", kind.name()), all(kind, &holds))
                })
                .into(),
            Filter::ExternalId(external_id) => [User, Group]
                .map(|kind| {
                    let holds =
                        |resource: &Resource| resource.attributes.external_id.as_ref() == Some(external_id);
                    (kind, format!("externalId eq \"{external_id}\""), all(kind, &holds))
                })
                .into(),
            Filter::Title(title) => {
                let holds = |resource: &Resource| {
                    resource.attributes.title.as_ref().is_some_and(|other| is_same(other, title))
                };
                vec![(User, format!("title eq \"{title}\""), all(User, &holds))]
            }
            Filter::Members(index) => {
                let id = self.some(&[*index]).remove(0);
                let found = all(Group, &|group| group.members.contains(&id));
                vec![(Group, format!("members.value eq \"{id}\""), found)]
            }
            Filter::Groups(index) => {
                let id = self.target(Group, *index);
                let members = there.get(&id).map(|group| group.members.clone()).unwrap_or_default();
                let users = members.into_iter().filter(|member| there[member].kind == User).collect();
                vec![(User, format!("groups.value eq \"{id}\""), users)]
            }
        };
        for (kind, filter, expected) in asked {
            let search = Request::post(format!("{}/.search", kind.path()), json!({ "filter": filter }));
            let answer = self.send(org, search).await;
            expect(&answer, "200")?;
            prop_assert_eq!(&answer.body["totalResults"], &json!(expected.len()), "{}", &filter);
            prop_assert_eq!(ids(&answer).into_iter().collect::<BTreeSet<_>>(), expected, "{}", filter);
            self.compare_shown(org, &answer)?;
        }
        Ok(())
    }

    fn compare_shown(&self, org: usize, answer: &Answer) -> Result<(), TestCaseError> {
        for body in answer.body["Resources"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let id = body["id"].as_str().unwrap_or_default();
            let resource = self.orgs[org].get(id);
            prop_assert!(resource.is_some(), "{:#}", body);
            let expected = resource.map(|resource| self.should_show(org, id, resource));
            prop_assert_eq!(Some(Self::shown(body)), expected);
        }
        Ok(())
    }

    /// Compares a page, in the order of ids.
    async fn list(&self, org: usize, kind: Kind, start: usize, count: usize) -> Result<(), TestCaseError> {
        let there =
            self.orgs[org].iter().filter(|(_, resource)| resource.kind == kind).map(|(id, _)| id.clone());
        let all: Vec<String> = there.collect();
        let path = format!("{}?startIndex={start}&count={count}", kind.path());
        let answer = self.send(org, Request::get(path)).await;
        expect(&answer, "200")?;
        prop_assert_eq!(&answer.body["totalResults"], &json!(all.len()));
        let page: Vec<String> = all.into_iter().skip(start.saturating_sub(1)).take(count).collect();
        prop_assert_eq!(ids(&answer), page);
        self.compare_shown(org, &answer)
    }

    async fn bulk(&mut self, org: usize, users: &[String], group: &str) -> Result<(), TestCaseError> {
        let mut names: Vec<&String> = users.iter().collect();
        names.dedup_by(|one, other| is_same(one, other));
        let attributes = |name: &str| Attributes { name: name.to_owned(), external_id: None, title: None };
        let operation = |kind: Kind, index: usize, data: Value| json!({ "method": Method::POST.as_str(), "path": kind.path(), "bulkId": index.to_string(), "data": data });
        let mut operations: Vec<Value> = names
            .iter()
            .enumerate()
            .map(|(index, name)| operation(User, index, body(User, &attributes(name), &[])))
            .collect();
        let references: Vec<String> = (0..names.len()).map(|index| format!("bulkId:{index}")).collect();
        operations.push(operation(Group, names.len(), body(Group, &attributes(group), &references)));
        let answer = self.send(org, Request::post("/Bulk", json!({ "Operations": operations }))).await;
        expect(&answer, "200")?;
        let mut said = answer.body["Operations"].as_array().cloned().unwrap_or_default().into_iter();
        let mut joined = BTreeSet::new();
        for (kind, name) in names.iter().map(|name| (User, name.as_str())).chain([(Group, group)]) {
            let said = said.next().unwrap_or_default();
            let members = if kind == Group { joined.clone() } else { BTreeSet::new() };
            let whole = kind == User || members.len() == names.len();
            let resource = Resource { kind, attributes: attributes(name), members, revision: 0 };
            let expected = if whole { self.checked(org, None, resource) } else { Err("400 invalidValue") };
            let scim_type = said["response"]["scimType"].as_str().unwrap_or_default();
            let verdict = format!("{} {scim_type}", said["status"].as_str().unwrap_or_default());
            prop_assert_eq!(verdict.trim_end(), expected.as_ref().map_or_else(|refused| *refused, |_| "201"));
            if let Ok(resource) = expected {
                let id = said["location"].as_str().and_then(|location| location.rsplit('/').next());
                let id = id.unwrap_or_default().to_owned();
                joined.insert(id.clone());
                self.created(org, id, resource);
            }
        }
        Ok(())
    }

    /// Returns the members of an edit.
    fn named(&self, edit: &Edit) -> Vec<String> {
        match edit {
            Edit::Add(indices) | Edit::Remove(indices) | Edit::Replace(indices) => self.some(indices),
            Edit::RemoveOne(index) => self.some(&[*index]),
            _ => Vec::new(),
        }
    }

    /// Compares all visible data with the model.
    async fn finish(&mut self) -> Result<(), TestCaseError> {
        for (org, name) in ORGS.into_iter().enumerate() {
            for (kind, id) in self.known.clone() {
                self.compare(org, kind, &id).await?;
            }
            for kind in [User, Group] {
                self.list(org, kind, 1, 1_000).await?;
            }
            assert_consistent(&self.service, name, &self.keys[org]).await;
        }
        Ok(())
    }
}

impl Edit {
    /// Returns whether the edit applies to the kind: users have titles, and groups have members.
    fn is_of(&self, kind: Kind) -> bool {
        match self {
            Self::Name(_) | Self::ExternalId(_) => true,
            Self::Title(_) => kind == User,
            _ => kind == Group,
        }
    }

    fn operation(&self, kind: Kind, ids: &[String]) -> Value {
        let set = |path: &str, value: Option<&String>| match value {
            Some(value) => json!({ "op": "replace", "path": path, "value": value }),
            None => json!({ "op": "remove", "path": path }),
        };
        let of_members = |op: &str| json!({ "op": op, "path": "members", "value": members(ids) });
        match self {
            Self::Name(name) => set(kind.name(), Some(name)),
            Self::ExternalId(external_id) => set("externalId", external_id.as_ref()),
            Self::Title(title) => set("title", title.as_ref()),
            Self::Add(_) => of_members("add"),
            Self::Remove(_) => of_members("remove"),
            Self::Replace(_) => of_members("replace"),
            Self::RemoveOne(_) => {
                json!({ "op": "remove", "path": format!("members[value eq \"{}\"]", ids[0]) })
            }
            Self::Clear => set("members", None),
        }
    }

    fn make(&self, resource: &mut Resource, ids: &[String]) {
        let Resource { attributes, members, .. } = resource;
        match self {
            Self::Name(name) => attributes.name.clone_from(name),
            Self::ExternalId(external_id) => attributes.external_id.clone_from(external_id),
            Self::Title(title) => attributes.title.clone_from(title),
            Self::Add(_) => members.extend(ids.iter().cloned()),
            Self::Remove(_) | Self::RemoveOne(_) => members.retain(|member| !ids.contains(member)),
            Self::Replace(_) => *members = ids.iter().cloned().collect(),
            Self::Clear => members.clear(),
        }
    }
}

fn body(kind: Kind, attributes: &Attributes, ids: &[String]) -> Value {
    let mut body = json!({ kind.name(): attributes.name });
    if let Some(external_id) = &attributes.external_id {
        body["externalId"] = external_id.as_str().into();
    }
    match kind {
        User => {
            if let Some(title) = &attributes.title {
                body["title"] = title.as_str().into();
            }
        }
        Group => body["members"] = members(ids),
    }
    body
}

fn ids(answer: &Answer) -> Vec<String> {
    let resources = answer.body["Resources"].as_array().map(Vec::as_slice).unwrap_or_default();
    resources.iter().map(|resource| resource["id"].as_str().unwrap_or_default().to_owned()).collect()
}

fn expect(answer: &Answer, verdict: &str) -> Result<(), TestCaseError> {
    prop_assert_eq!(answer.verdict(), verdict, "{:#}", answer.body);
    Ok(())
}

/// Compares services with the model.
fn compare(sequences: u32, random: TestRng, runtime: &Runtime, service: impl AsyncFn() -> Service) {
    let config = Config { failure_persistence: None, max_shrink_iters: 200, ..Config::with_cases(sequences) };
    let sequence = vec((0..ORGS.len(), step()), 1..=STEPS);
    TestRunner::new_with_rng(config, random)
        .run(&sequence, |steps| {
            runtime.block_on(async {
                let mut pair = Comparison::new(service().await).await;
                for (org, step) in &steps {
                    pair.take(*org, step).await?;
                }
                pair.finish().await
            })
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    println!("{sequences} sequences");
}

#[test]
fn random_sequences_match_the_model() {
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    compare(SEQUENCES, random, &Runtime::new().expect("a runtime"), async || Service::new().await);
}

#[test]
fn random_sequences_match_the_model_in_realistic_time() {
    let service = async || Service::realistic(1).await.0;
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &[1; 32]);
    compare(REALISTIC_SEQUENCES, random, &concurrency::runtime(), service);
}
