//! Query plans change the cost of an answer and never the answer: for any filter, order and paging, the answer equals that
//! of a plain evaluation of every resource.
//!
//! The plain evaluation applies the filter to each resource of an unfiltered list, and sorts with code that is independent
//! of the service.

use std::{cmp::Ordering, collections::BTreeMap};

use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::select,
    test_runner::{Config, TestCaseError, TestError, TestRunner},
};
use scim::{
    ResourceType,
    fold::fold,
    schema::{GROUP_TYPE, RESOURCE_TYPES, USER_TYPE},
    syntax::Filter,
};
use serde_json::{Value, json};
use tests::{Request, Service};
use time::{Duration, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};
use tokio::runtime::Runtime;

use super::{GROUPS, Paging, ROOT, USERS, all_of, resources, service_with_clock, walk};

/// The number of directories for each kind of query, and of queries on each directory.
const DIRECTORIES: u32 = 12;
const QUERIES: usize = 12;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
const CUSTOM: &str = "urn:ietf:params:scim:schemas:extension:Acme:2.0:User";

/// The description of a small directory.
#[derive(Clone, Debug)]
struct Description {
    /// Users with the milliseconds that pass before each.
    users: Vec<(i64, Value)>,
    groups: Vec<(i64, Value, Vec<usize>)>,
    /// Users that change afterwards.
    changed: Vec<usize>,
}

/// A query. `{u1}` and `{g1}` stand for ids, `{t1}` and `{z1}` for times of creation.
#[derive(Clone, Debug)]
struct Query {
    filter: Option<String>,
    sort: Option<&'static str>,
    order: Option<&'static str>,
    count: usize,
}

/// Generates values that are equal when folded, prefixes of one another, adjacent, or at the boundaries of ranges.
fn text() -> impl Strategy<Value = String> {
    let character = || select(vec!['a', 'b', 'A', 'é', 'ß', 's', '.', '\u{10FFFD}']);
    prop_oneof![character().prop_map(String::from), vec(character(), 2..4).prop_map(String::from_iter)]
}

fn user() -> impl Strategy<Value = Value> {
    let email = (text(), option::of(select(vec!["work", "home", "WORK"])), any::<bool>());
    let emails = vec(email, 0..3).prop_map(|emails| {
        let mut primary = false;
        let mut email = |(value, kind, wants): (String, Option<&str>, bool)| {
            let first = wants && !primary;
            primary |= first;
            json!({ "value": value, "type": kind, "primary": first.then_some(true) })
        };
        emails.into_iter().map(&mut email).collect::<Vec<_>>()
    });
    let custom = select(vec![json!("a"), json!("B"), json!(7), json!(7.5), json!(true), Value::Null]);
    (
        (text(), option::of(text()), option::of(text()), option::of(any::<bool>())),
        emails,
        (option::of(text()), option::of(text()), option::of(text())),
        custom,
    )
        .prop_map(|((name, external, title, active), emails, (family, department, manager), tag)| {
            json!({
                "userName": name, "externalId": external, "title": title, "active": active, "emails": emails,
                "name": { "familyName": family, "givenName": "a" },
                ENTERPRISE: { "department": department, "manager": { "value": manager } },
                CUSTOM: { "tag": tag },
            })
        })
}

fn description() -> impl Strategy<Value = Description> {
    let pause = || select(vec![0, 0, 1, 999, 3_600_000]);
    let group = (text(), option::of(text()))
        .prop_map(|(name, external)| json!({ "displayName": name, "externalId": external }));
    (
        vec((pause(), user()), 3..12),
        vec((pause(), group, vec(0..12_usize, 0..6)), 1..6),
        vec(0..12_usize, 0..3),
    )
        .prop_map(|(users, groups, changed)| Description { users, groups, changed })
}

/// Generates literals for comparisons: texts of [`text`], ids, and texts that no value can equal.
fn operand() -> impl Strategy<Value = String> {
    let odd = select(vec!["", "\u{0}", "\u{1}", "a\u{1}", "a\u{1}0", "\u{10FFFF}", "\u{10FFFF}a", "\u{7f}"]);
    let id = (select(vec!["u", "g"]), 0..5_usize).prop_map(|(kind, index)| format!("{{{kind}{index}}}"));
    prop_oneof![20 => text(), 3 => odd.prop_map(str::to_owned), 2 => id, 1 => Just("a".repeat(1_030))]
        .prop_map(|text| json!(text).to_string())
}

fn id() -> impl Strategy<Value = String> {
    let id = (select(vec!["u", "g"]), 0..5_usize).prop_map(|(kind, index)| format!("\"{{{kind}{index}}}\""));
    prop_oneof![9 => id, 1 => operand()]
}

fn instant() -> impl Strategy<Value = String> {
    let far = select(vec![
        "1960-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
        "2026-11-23T09:00:00.1230001Z",
    ]);
    let near =
        (select(vec!["t", "z", "y"]), 0..12_usize).prop_map(|(form, index)| format!("{{{form}{index}}}"));
    prop_oneof![1 => far.prop_map(str::to_owned), 4 => near].prop_map(|time| format!("\"{time}\""))
}

fn compared(
    names: &[&'static str],
    operators: &[&'static str],
    operand: impl Strategy<Value = String> + 'static,
) -> BoxedStrategy<String> {
    (select(names.to_vec()), select(operators.to_vec()), operand)
        .prop_map(|(name, operator, operand)| format!("{name} {operator} {operand}"))
        .boxed()
}

const EVERY: [&str; 9] = ["eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le"];
const EQUAL: [&str; 3] = ["eq", "EQ", "ne"];
const RANGE: [&str; 6] = ["eq", "ne", "gt", "lt", "ge", "le"];

/// Generates comparisons of attributes that users and groups have.
fn common() -> BoxedStrategy<String> {
    prop_oneof![
        4 => compared(&["externalId", "EXTERNALID", "displayName"], &EVERY, operand()),
        2 => compared(&["id"], &EVERY, id()),
        3 => compared(&["meta.created", "meta.lastModified"], &RANGE, instant()),
        1 => compared(&["meta.resourceType", "meta.location", "meta.version", "schemas"], &EVERY, operand()),
        1 => compared(&["externalId", "displayName", "meta", "id", "schemas"], &["eq", "ne"], Just("null".into())),
        1 => instant().prop_map(|time| format!("meta[created ge {time} and resourceType eq \"User\"]")),
        1 => select(vec!["externalId pr", "displayName pr", "meta.created pr"]).prop_map(str::to_owned),
    ]
    .boxed()
}

/// Generates comparisons of attributes of users.
fn of_users() -> BoxedStrategy<String> {
    let kind = || select(vec!["work", "home", "x"]);
    let email = (kind(), select(EVERY.to_vec()), operand());
    let either = (operand(), operand(), kind());
    let department = format!("{ENTERPRISE}:department");
    let tag = format!("{CUSTOM}:tag");
    let literal =
        prop_oneof![operand(), Just("7".to_owned()), Just("true".to_owned()), Just("null".to_owned())];
    prop_oneof![
        4 => compared(&["userName", "username"], &EVERY, operand()),
        3 => compared(&["emails", "emails.value"], &EVERY, operand()),
        1 => compared(&["title", "name.familyName", "emails.type", "groups.type", "groups.$ref"], &EVERY, operand()),
        3 => compared(&["groups", "groups.value"], &EQUAL, id()),
        1 => compared(&["groups", "groups.value", "manager", "manager.value"], &EVERY, id()),
        1 => compared(&["active", "emails.primary"], &["eq", "ne"], select(vec!["true", "false", "\"True\"", "null"]).prop_map(str::to_owned)),
        3 => email.prop_map(|(kind, operator, operand)| format!("emails[type eq \"{kind}\" and value {operator} {operand}]")),
        1 => (kind(), operand()).prop_map(|(kind, operand)| format!("emails[type eq \"{kind}\"].value eq {operand}")),
        1 => either.prop_map(|(a, b, kind)| format!("emails[value eq {a} or value sw {b} or not (type eq \"{kind}\")]")),
        1 => (operand(), operand()).prop_map(|(a, b)| format!("emails[value eq {a} or value eq {b}]")),
        1 => id().prop_map(|id| format!("groups[value eq {id} and type eq \"direct\"]")),
        1 => (select(vec!["eq", "ne", "co", "sw"]), operand()).prop_map(move |(operator, operand)| format!("{department} {operator} {operand}")),
        1 => (select(vec!["eq", "ne"]), literal).prop_map(move |(operator, literal)| format!("{tag} {operator} {literal}")),
        1 => select(vec!["emails pr", "groups pr", "name pr", "title pr", "active pr", "manager pr"]).prop_map(str::to_owned),
        3 => common(),
    ]
    .boxed()
}

/// Generates comparisons of attributes of groups.
fn of_groups() -> BoxedStrategy<String> {
    prop_oneof![
        4 => compared(&["displayName"], &EVERY, operand()),
        3 => compared(&["members", "members.value"], &EQUAL, id()),
        1 => compared(&["members", "members.value", "members.type", "members.$ref"], &EVERY, id()),
        2 => (id(), select(vec!["User", "Group"])).prop_map(|(id, kind)| format!("members[value eq {id} and type eq \"{kind}\"]")),
        1 => (id(), id()).prop_map(|(a, b)| format!("members[value eq {a} or value eq {b}]")),
        1 => select(vec!["members pr", "members eq null", "members[type eq \"Group\"]"]).prop_map(str::to_owned),
        4 => common(),
    ]
    .boxed()
}

/// Generates filters of these comparisons.
fn filter(leaf: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let joined = |word: &'static str| {
        move |parts: Vec<String>| {
            let parts: Vec<String> = parts.into_iter().map(|part| format!("({part})")).collect();
            parts.join(word)
        }
    };
    leaf.prop_recursive(2, 5, 3, move |inner| {
        prop_oneof![
            2 => vec(inner.clone(), 2..4).prop_map(joined(" and ")),
            4 => vec(inner.clone(), 2..4).prop_map(joined(" or ")),
            1 => inner.prop_map(|inner| format!("not ({inner})")),
        ]
    })
    .boxed()
}

/// Sort attributes, with their places and whether case matters.
const SORTS: [(&str, &str, bool); 12] = [
    ("userName", "/userName", false),
    ("displayName", "/displayName", false),
    ("externalId", "/externalId", true),
    ("id", "/id", true),
    ("meta.created", "/meta/created", true),
    ("meta.lastModified", "/meta/lastModified", true),
    ("title", "/title", false),
    ("active", "/active", true),
    ("name.familyName", "/name/familyName", false),
    ("emails", "/emails/*/value", false),
    ("emails.type", "/emails/*/type", false),
    (
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        "/urn:ietf:params:scim:schemas:extension:enterprise:2.0:User/department",
        false,
    ),
];
/// The number of sort attributes that groups have.
const GROUP_SORTS: std::ops::Range<usize> = 1..6;

fn query(leaf: BoxedStrategy<String>, sorts: &[(&'static str, &'static str, bool)]) -> BoxedStrategy<Query> {
    let sorts: Vec<&'static str> = sorts.iter().map(|(name, ..)| *name).collect();
    let orders = select(vec!["ascending", "descending", "DESCENDING", ""]);
    (option::weighted(0.9, filter(leaf)), option::of(select(sorts)), option::of(orders), 1..6_usize)
        .prop_map(|(filter, sort, order, count)| Query { filter, sort, order, count })
        .boxed()
}

/// A directory in a service.
struct Directory {
    service: Service,
    users: Vec<Value>,
    groups: Vec<Value>,
    names: BTreeMap<String, String>,
}

impl Description {
    async fn make(&self) -> Directory {
        let (service, clock) = service_with_clock().await;
        let mut names = BTreeMap::new();
        let mut ids = Vec::new();
        let make = async |path: &str, body: &Value, pause: i64| {
            clock.advance(Duration::milliseconds(pause));
            let answer = service.post(path, body.clone()).await;
            assert!(matches!(answer.verdict().as_str(), "201" | "409 uniqueness"), "{:#}", answer.body);
            (answer.status == 201).then_some(answer.body)
        };
        for (pause, user) in &self.users {
            let Some(user) = make(USERS, user, *pause).await else { continue };
            let index = ids.len();
            let created = user["meta"]["created"].as_str().expect("a time");
            let time = OffsetDateTime::parse(created, &Rfc3339).expect("a time");
            let zone = UtcOffset::from_hms(5, 30, 0).expect("a zone");
            let formatted = |time: OffsetDateTime| time.format(&Rfc3339).expect("a time");
            names.insert(format!("{{t{index}}}"), created.to_owned());
            names.insert(format!("{{z{index}}}"), formatted(time.to_offset(zone)));
            names.insert(format!("{{y{index}}}"), formatted(time + Duration::microseconds(1)));
            ids.push(user["id"].as_str().expect("an id").to_owned());
            names.insert(format!("{{u{index}}}"), ids[index].clone());
        }
        for (index, (pause, group, members)) in self.groups.iter().enumerate() {
            let mut group = group.clone();
            let member = |index: &usize| ids.get(*index).map(|id| json!({ "value": id }));
            group["members"] = members.iter().filter_map(member).collect();
            let Some(group) = make(GROUPS, &group, *pause).await else { continue };
            ids.push(group["id"].as_str().expect("an id").to_owned());
            names.insert(format!("{{g{index}}}"), group["id"].as_str().expect("an id").to_owned());
        }
        for index in &self.changed {
            if let Some(id) = names.get(&format!("{{u{index}}}")) {
                clock.advance(Duration::milliseconds(5));
                let change = json!([{ "op": "replace", "path": "title", "value": "b" }]);
                assert_eq!(service.patch(&format!("/Users/{id}"), change).await.status, 200);
            }
        }
        let all = async |path: &'static str| {
            let answer = Request::get(path).query("count", 1_000).send_query(&service).await;
            resources(&answer.body).to_vec()
        };
        let (users, groups) = (all(USERS).await, all(GROUPS).await);
        Directory { service, users, groups, names }
    }
}

impl Directory {
    /// Evaluates the query on every resource. Returns `None` if the filter is invalid.
    fn evaluate(&self, path: &str, query: &Query) -> Option<Vec<Value>> {
        let both: &[&ResourceType] = if path == ROOT { &RESOURCE_TYPES } else { &[] };
        let mut found = Vec::new();
        for (resource_type, endpoint, all) in
            [(&USER_TYPE, USERS, &self.users), (&GROUP_TYPE, GROUPS, &self.groups)]
        {
            if !both.is_empty() || path == endpoint {
                let others: &'static [&'static ResourceType] =
                    if path == ROOT { &RESOURCE_TYPES } else { &[] };
                let mut matching = match &query.filter {
                    None => all.clone(),
                    Some(filter) => {
                        let predicate =
                            Filter::parse(filter).ok()?.resolve_among(resource_type, others).ok()?;
                        let meets =
                            |resource: &&Value| predicate.matches(resource.as_object().expect("an object"));
                        all.iter().filter(meets).cloned().collect()
                    }
                };
                query.sort(&mut matching);
                found.append(&mut matching);
            }
        }
        Some(found)
    }

    async fn check(&self, path: &'static str, query: &Query) -> Result<(), TestCaseError> {
        let query = self.named(query);
        let whole = query.request(path).query("count", 1_000).send_query(&self.service).await;
        let Some(expected) = self.evaluate(path, &query) else {
            prop_assert_eq!(whole.verdict(), "400 invalidFilter", "{:?}", query);
            return Ok(());
        };
        prop_assert_eq!(whole.status, 200, "{:?}: {:#}", query, whole.body);
        same(resources(&whole.body), &expected, "as a whole", &query)?;
        prop_assert_eq!(&whole.body["totalResults"], expected.len(), "as a whole, {:?}", query);
        let none = query.request(path).query("count", 0).send_query(&self.service).await;
        prop_assert_eq!(&none.body["totalResults"], expected.len(), "count=0, {:?}", query);
        prop_assert!(resources(&none.body).is_empty());
        // The second index walk finds the bookmarks of the first.
        for (paging, count) in
            [(Paging::Index, query.count), (Paging::Cursor, query.count), (Paging::Index, 2)]
        {
            let pages = walk(&self.service, &query.request(path), paging, count, async || ()).await;
            same(&all_of(&pages), &expected, &format!("{paging:?}"), &query)?;
            if paging == Paging::Index {
                for page in &pages {
                    prop_assert_eq!(&page["totalResults"], expected.len(), "{:?}", query);
                }
            }
        }
        Ok(())
    }

    /// Replaces the placeholders by ids and times.
    fn named(&self, query: &Query) -> Query {
        let filter = query.filter.as_ref().map(|filter| {
            self.names.iter().fold(filter.clone(), |filter, (name, value)| filter.replace(name, value))
        });
        // Times of users that do not exist.
        let filter = filter.map(|filter| {
            ["t", "z", "y"].iter().fold(filter, |filter, form| {
                (0..12).fold(filter, |filter, index| {
                    filter.replace(&format!("{{{form}{index}}}"), "2026-11-23T09:00:00.123Z")
                })
            })
        });
        Query { filter, ..query.clone() }
    }
}

fn same(found: &[Value], expected: &[Value], how: &str, query: &Query) -> Result<(), TestCaseError> {
    if found == expected {
        return Ok(());
    }
    let short = |resources: &[Value]| -> Vec<String> {
        let name = |resource: &Value| {
            let name =
                [&resource["userName"], &resource["displayName"]].map(|name| name.as_str().unwrap_or(""));
            format!("{:?} {}", name.concat(), resource["id"].as_str().unwrap_or_default())
        };
        resources.iter().map(name).collect()
    };
    Err(TestCaseError::fail(format!(
        "{how}, {query:?}\nfound {:#?}\nexpected {:#?}",
        short(found),
        short(expected)
    )))
}

impl Query {
    fn request(&self, path: &'static str) -> Request {
        let mut query = Request::get(path);
        if let Some(filter) = &self.filter {
            query = query.filter(filter);
        }
        if let Some(sort) = self.sort {
            query = query.query("sortBy", sort);
        }
        match self.order {
            Some(order) => query.query("sortOrder", order),
            None => query,
        }
    }

    /// Sorts by the attribute and then by id. Resources without the attribute are last. Reverses the order if descending.
    fn sort(&self, resources: &mut [Value]) {
        let Some((_, pointer, case_exact)) = SORTS.iter().find(|(name, ..)| Some(*name) == self.sort) else {
            return;
        };
        let key = |resource: &Value| {
            let value = match pointer.split_once("/*/") {
                None => resource.pointer(pointer),
                Some((list, sub)) => {
                    let list = resource.pointer(list).and_then(Value::as_array);
                    let list = list.map(Vec::as_slice).unwrap_or_default();
                    let primary = list.iter().find(|element| element["primary"] == true);
                    primary.or(list.first()).and_then(|element| element.get(sub))
                }
            };
            value.map(|value| match value {
                Value::String(text) if !case_exact => fold(text),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })
        };
        let compared = |a: &Value, b: &Value| match (key(a), key(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        resources.sort_by(|a, b| match compared(a, b) {
            Ordering::Equal => a["id"].as_str().cmp(&b["id"].as_str()),
            unequal => unequal,
        });
        if self.order.is_some_and(|order| order.eq_ignore_ascii_case("descending")) {
            resources.reverse();
        }
    }
}

/// Creates directories and sends queries to each.
fn assert_answers_match(path: &'static str, query: BoxedStrategy<Query>) {
    let runtime = Runtime::new().expect("a runtime");
    let config =
        Config { failure_persistence: None, max_shrink_iters: 150, ..Config::with_cases(DIRECTORIES) };
    let outcome =
        TestRunner::new(config).run(&(description(), vec(query, QUERIES)), |(description, queries)| {
            runtime.block_on(async {
                let directory = description.make().await;
                for query in &queries {
                    directory.check(path, query).await?;
                }
                Ok(())
            })
        });
    match outcome {
        Ok(()) => {}
        // Omits the queries with correct answers.
        Err(TestError::Fail(why, (description, _))) => panic!("{why}\n{description:#?}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

#[test]
fn user_queries_match_plain_evaluation() {
    assert_answers_match(USERS, query(of_users(), &SORTS));
}

#[test]
fn group_queries_match_plain_evaluation() {
    assert_answers_match(GROUPS, query(of_groups(), &SORTS[GROUP_SORTS]));
}

#[test]
fn root_queries_match_plain_evaluation() {
    assert_answers_match(ROOT, query(prop_oneof![of_users(), of_groups()].boxed(), &SORTS));
}

/// Filters at the boundaries of plans. The users are `a`, `ab`, `\u{10FFFD}b` (each with that externalId and e-mail, the
/// first two in a group) and a user with the longest possible name.
#[tokio::test]
async fn ranges_and_memberships_are_exact_at_boundaries() {
    let (service, _) = service_with_clock().await;
    let long = "\u{10FFFC}".repeat(256);
    let mut ids = Vec::new();
    for name in ["a", "ab", "\u{10FFFD}b", &long] {
        let external = if name == long { "long" } else { name };
        let body = json!({ "userName": name, "externalId": external, "emails": [{ "value": external }], "title": "t" });
        ids.push(service.post(USERS, body).await.id());
    }
    let group = service.group(&"g".repeat(1_024), &[&ids[0], &ids[1]]).await;
    let other = service.group("other", &[&ids[1], &ids[2], &group]).await;
    // One e-mail is below the bound, the other above it.
    let two = json!([{ "op": "add", "path": "emails", "value": [{ "value": "zz" }] }]);
    assert_eq!(service.patch(&format!("/Users/{}", ids[0]), two).await.status, 200);
    let mut failures = Vec::new();
    for (filter, expected) in [
        (r#"userName sw "a""#, "a ab"),
        (r#"userName sw "\u0001""#, ""),
        (r#"externalId sw "a\u0001""#, ""),
        (r#"externalId sw "a\u00010""#, ""),
        (r#"externalId eq "a\u0001""#, ""),
        (r#"emails.value sw "a\u0001""#, ""),
        (r#"emails.value le "a\u0001""#, "a"),
        (r#"externalId lt "a\u0003""#, "a"),
        (r#"externalId gt "a\u0001""#, "ab \u{10FFFD}b …"),
        (r#"userName le "\u0000""#, ""),
        (r#"externalId lt "\u0001""#, ""),
        (r#"emails lt "\u0000""#, ""),
        (r#"userName lt """#, ""),
        (r#"userName ge """#, "a ab \u{10FFFD}b …"),
        (r#"userName gt "a""#, "ab \u{10FFFD}b …"),
        ("userName sw \"\u{10FFFD}\"", "\u{10FFFD}b"),
        ("userName ge \"\u{10FFFD}\"", "\u{10FFFD}b"),
        ("userName gt \"\u{10FFFD}a\"", "\u{10FFFD}b"),
        ("externalId ge \"\u{10FFFD}b\"", "\u{10FFFD}b"),
        (&format!("userName eq \"{long}\""), "…"),
        (&format!("userName sw \"{long}\""), "…"),
        (&format!("userName le \"{long}\" and userName ge \"{long}\""), "…"),
        (&format!("userName sw \"{long}a\""), ""),
        (r#"userName gt "a" and userName lt "b""#, "ab"),
        (r#"userName ge "a" and userName le "a""#, "a"),
        (r#"userName lt "a" and title pr and userName gt "b""#, ""),
        (r#"externalId ge "ab" and externalId sw "a""#, "ab"),
        (r#"emails.value ge "z" and emails.value lt "ab""#, "a"),
        (r#"emails[value ge "z" and value lt "ab"]"#, ""),
        (
            r#"meta.created gt "2026-01-01T00:00:00Z" and meta.created lt "2027-01-01T00:00:00Z" and userName lt "ab""#,
            "a",
        ),
        (r#"meta.created lt "2026-01-01T00:00:00Z" and meta.created gt "2027-01-01T00:00:00Z""#, ""),
        (&format!("externalId eq \"{}\"", "x".repeat(1_024)), ""),
        (&format!("groups.value eq \"{group}\""), "a ab"),
        (&format!("groups.value eq \"{group}\" and title eq \"t\""), "a ab"),
        (&format!("groups[value eq \"{group}\"] and userName eq \"a\""), "a"),
        (&format!("not (groups.value eq \"{group}\")"), "\u{10FFFD}b …"),
        (&format!("groups.value ne \"{group}\" and title pr"), "\u{10FFFD}b …"),
        (&format!("groups.value eq \"{group}\" or groups.value eq \"{group}\""), "a ab"),
        (&format!("groups.value eq \"{group}\" or groups.value eq \"{other}\""), "a ab \u{10FFFD}b"),
        (&format!("groups[value eq \"{group}\" or value eq \"{other}\"]"), "a ab \u{10FFFD}b"),
        (&format!("groups.value eq \"{other}\" or userName eq \"a\""), "a ab \u{10FFFD}b"),
        (&format!("groups.value eq \"{group}\" and groups.value eq \"{other}\""), "ab"),
        (
            &format!("(groups.value eq \"{group}\" or groups.value eq \"{other}\") and userName ge \"ab\""),
            "ab \u{10FFFD}b",
        ),
        ("groups pr", "a ab \u{10FFFD}b"),
        ("groups eq null", "…"),
        (&format!("groups.value eq \"{}\"", ids[0]), ""),
        (&format!("groups.value eq \"{}\"", group.to_uppercase()), ""),
        ("groups.value eq \"\"", ""),
        ("groups.value eq \"nobody\" or userName eq \"a\"", "a"),
    ] {
        for paged in [Request::get(USERS), Request::get(USERS).query("cursor", "")] {
            let query = paged.filter(filter);
            let answer = query.send_query(&service).await;
            let found = || {
                let name = |user: &Value| user["userName"].as_str().unwrap_or_default().replace(&long, "…");
                resources(&answer.body).iter().map(name).collect::<Vec<_>>()
            };
            let mut found = if answer.status == 200 { found() } else { vec![answer.verdict()] };
            found.sort_unstable_by_key(|name| (*name == "…", name.clone()));
            if !same_names(&found, expected) {
                failures.push(format!("{}: {found:?}, not {expected:?}", query.target));
            }
        }
    }
    for (filter, expected) in [
        (format!("displayName eq \"{}\"", "g".repeat(1_024)), 1),
        (format!("displayName sw \"{}\"", "g".repeat(1_024)), 1),
        (format!("displayName eq \"{}\"", "g".repeat(1_025)), 0),
        (format!("members.value eq \"{}\" and displayName pr", ids[0]), 1),
        ("members pr".to_owned(), 2),
        ("members eq null".to_owned(), 0),
        (format!("members pr and members.value ne \"{}\"", ids[0]), 1),
        ("members.type eq \"Group\"".to_owned(), 1),
        (format!("members.value eq \"{0}\" and members.value ne \"{0}\"", ids[0]), 0),
        (format!("members.value ne \"{0}\" or members.value eq \"{0}\"", ids[0]), 2),
        (format!("members[value eq \"{0}\" or value eq \"{0}\"] and displayName pr", ids[0]), 1),
    ] {
        let answer = Request::get(GROUPS).filter(&filter).send_query(&service).await;
        if answer.body["totalResults"] != expected {
            failures.push(format!("{filter}: {:#}", answer.body));
        }
    }
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}

fn same_names(found: &[String], expected: &str) -> bool {
    let mut expected: Vec<&str> = expected.split_whitespace().collect();
    expected.sort_unstable_by_key(|name| (*name == "…", *name));
    found == expected
}
