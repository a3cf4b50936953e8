//! Compares `template.yaml` and its nested templates with the code.
//!
//! Conditions are not evaluated: a resource with a condition counts as present.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::too_many_lines, reason = "most lines are data: requests")]

mod alarms;
mod console;
mod events;
mod gateway;
mod log;
mod metrics;
mod pages;
mod partitions;
mod permissions;
mod throttling;
mod times;
mod versions;
mod wildcards;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::Path,
};

use saphyr::{LoadableYamlNode, Yaml};

/// An IAM action on a resource of the template, such as `dynamodb:GetItem` on `ResourcesTable`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    action: String,
    resource: String,
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.action, self.resource)
    }
}

/// A function of the template.
struct Function {
    /// The logical id, without the suffix `Function`.
    name: String,
    /// The paths that the gateway routes to the function.
    paths: Vec<String>,
    /// The grants of the function's role.
    allowed: BTreeSet<Grant>,
    /// The partition keys that the statements of each grant allow, with `*` for any text.
    partitions: BTreeMap<Grant, BTreeSet<String>>,
}

/// Reads a template of the repository.
fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    fs::read_to_string(path).expect("a template")
}

/// Returns the functions of the template.
fn functions() -> Vec<Function> {
    let text = read("template.yaml");
    let documents = Yaml::load_from_str(&text).expect("YAML");
    let resources = member(&documents[0], "Resources").expect("resources");
    let function = |(id, resource): (&str, &Yaml)| {
        let name = id.strip_suffix("Function")?.to_owned();
        let properties = member(resource, "Properties")?;
        let events = member(properties, "Events").map(members).unwrap_or_default();
        let path = |event: &Yaml| name_of(member(member(event, "Properties")?, "Path")?);
        let paths = events.into_iter().filter_map(|(_, event)| path(event)).collect();
        let role = at(resources, &[&name_of(member(properties, "Role")?)?, "Properties"]);
        let mut partitions = BTreeMap::new();
        grants(role, &mut partitions);
        // The name of an absent conditional policy is `AWS::NoValue`.
        let shared = member(role, "ManagedPolicyArns").into_iter().flat_map(each).filter_map(name_of);
        for policy in shared.filter(|name| name != "AWS::NoValue") {
            grants(at(resources, &[&policy]), &mut partitions);
        }
        let allowed = partitions.keys().cloned().collect();
        Some(Function { name, paths, allowed, partitions })
    };
    members(resources).into_iter().filter_map(function).collect()
}

/// Collects every action on every resource that a statement below the node allows, with the partition keys that it allows.
fn grants(node: &Yaml, found: &mut BTreeMap<Grant, BTreeSet<String>>) {
    if let (Some(actions), Some(resources)) = (member(node, "Action"), member(node, "Resource")) {
        for action in each(actions).into_iter().filter_map(name_of_action) {
            for resource in each(resources).into_iter().filter_map(name_of) {
                let partitions = found.entry(Grant { action: action.clone(), resource }).or_default();
                partitions.extend(leading_keys(node).unwrap_or_else(|| vec!["*".to_owned()]));
            }
        }
    }
    below(node).for_each(|node| grants(node, found));
}

/// Returns the partition keys in the condition of a statement.
fn leading_keys(statement: &Yaml) -> Option<Vec<String>> {
    let like = member(member(statement, "Condition")?, "ForAllValues:StringLike")?;
    Some(each(member(like, "dynamodb:LeadingKeys")?).into_iter().filter_map(name_of).collect())
}

/// Returns the node without its tag, and the tag, such as `!If`, if the node has one.
fn untagged<'a, 'text>(node: &'a Yaml<'text>) -> (&'a Yaml<'text>, Option<&'a str>) {
    match node {
        Yaml::Tagged(tag, node) => (node, Some(tag.suffix.as_ref())),
        node => (node, None),
    }
}

fn members<'a, 'text>(node: &'a Yaml<'text>) -> Vec<(&'a str, &'a Yaml<'text>)> {
    let mapping = untagged(node).0.as_mapping().into_iter().flatten();
    mapping.filter_map(|(name, value)| Some((name.as_str()?, value))).collect()
}

fn member<'a, 'text>(node: &'a Yaml<'text>, name: &str) -> Option<&'a Yaml<'text>> {
    members(node).into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// Returns the node at a path of member names.
///
/// # Panics
/// If a member of the path does not exist.
fn at<'a, 'text>(node: &'a Yaml<'text>, path: &[&str]) -> &'a Yaml<'text> {
    path.iter().fold(node, |node, name| member(node, name).unwrap_or_else(|| panic!("no {name} in {path:?}")))
}

fn elements<'a, 'text>(node: &'a Yaml<'text>) -> Vec<&'a Yaml<'text>> {
    untagged(node).0.as_sequence().into_iter().flatten().collect()
}

/// Returns the children of a mapping or a sequence.
fn below<'a, 'text>(node: &'a Yaml<'text>) -> impl Iterator<Item = &'a Yaml<'text>> {
    members(node).into_iter().map(|(_, below)| below).chain(elements(node))
}

/// Returns the elements of a sequence or of both branches of an `!If`, or else the node itself.
fn each<'a, 'text>(node: &'a Yaml<'text>) -> Vec<&'a Yaml<'text>> {
    match untagged(node) {
        (_, Some("If")) => elements(node).into_iter().skip(1).flat_map(each).collect(),
        (list, None) if list.is_sequence() => elements(node).into_iter().flat_map(each).collect(),
        _ => vec![node],
    }
}

/// Returns the text of a node, or the logical id that it refers to: `UsersRole` for `!GetAtt UsersRole.Arn`. The last
/// reference in a text counts: `!Sub arn:${AWS::Partition}:…:table/${ExistingKeysTable}` is the table that takes the place
/// of `KeysTable`.
fn name_of(node: &Yaml) -> Option<String> {
    let (plain, tag) = untagged(node);
    let text = plain.as_str().or_else(|| elements(plain).first()?.as_str())?;
    let name = match tag {
        Some("Ref" | "GetAtt") => text,
        Some("Sub") => text.rsplit("${").next()?,
        _ => return Some(text.to_owned()),
    };
    let name = name.split(['.', '}']).next()?;
    Some(name.strip_prefix("Existing").unwrap_or(name).to_owned())
}

/// Returns the action if it is one of DynamoDB or Secrets Manager. Lambda itself writes logs and traces, and reads the stream
/// of the table.
fn name_of_action(node: &Yaml) -> Option<String> {
    const OF_STREAMS: [&str; 4] = [
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
        "dynamodb:ListStreams",
    ];
    name_of(node).filter(|action| {
        (action.starts_with("dynamodb:") && !OF_STREAMS.contains(&action.as_str()))
            || action.starts_with("secretsmanager:")
    })
}
