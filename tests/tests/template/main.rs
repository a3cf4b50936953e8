//! `template.yaml`, and the templates nested in it, against what the code does.
//!
//! The template is read as it is, conditions and all: what a condition may leave out counts as being there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::too_many_lines, reason = "most lines are data: requests")]

mod gateway;
mod metrics;
mod permissions;
mod times;
mod wildcards;

use std::{collections::BTreeSet, fmt, fs, path::Path};

use saphyr::{LoadableYamlNode, Yaml};

/// An action of AWS on a resource of the template: `dynamodb:GetItem` on `ResourcesTable`.
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
    /// Its logical id, without `Function`.
    name: String,
    /// The paths of the gateway that lead to it.
    paths: Vec<String>,
    /// What its role allows.
    allowed: BTreeSet<Grant>,
}

/// The text of a template.
fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    fs::read_to_string(path).expect("a template")
}

/// The functions of the template.
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
        let role = member(resources, &name_of(member(properties, "Role")?)?).expect("the function's role");
        let mut allowed = BTreeSet::new();
        grants(role, &mut allowed);
        Some(Function { name, paths, allowed })
    };
    members(resources).into_iter().filter_map(function).collect()
}

/// Every action on every resource that is allowed anywhere below this.
fn grants(node: &Yaml, found: &mut BTreeSet<Grant>) {
    if let (Some(actions), Some(resources)) = (member(node, "Action"), member(node, "Resource")) {
        for action in each(actions).into_iter().filter_map(name_of_action) {
            for resource in each(resources).into_iter().filter_map(name_of) {
                found.insert(Grant { action: action.clone(), resource });
            }
        }
    }
    below(node).for_each(|node| grants(node, found));
}

/// The node without its tag, and the tag (`!If`) if it has one.
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

/// What those members lead to, one in the other.
fn at<'a, 'text>(node: &'a Yaml<'text>, path: &[&str]) -> &'a Yaml<'text> {
    path.iter().fold(node, |node, name| member(node, name).unwrap_or_else(|| panic!("no {name} in {path:?}")))
}

fn elements<'a, 'text>(node: &'a Yaml<'text>) -> Vec<&'a Yaml<'text>> {
    untagged(node).0.as_sequence().into_iter().flatten().collect()
}

/// What is directly below the node, whatever it is.
fn below<'a, 'text>(node: &'a Yaml<'text>) -> impl Iterator<Item = &'a Yaml<'text>> {
    members(node).into_iter().map(|(_, below)| below).chain(elements(node))
}

/// One or several; of a condition, both sides.
fn each<'a, 'text>(node: &'a Yaml<'text>) -> Vec<&'a Yaml<'text>> {
    match untagged(node) {
        (_, Some("If")) => elements(node).into_iter().skip(1).flat_map(each).collect(),
        (list, None) if list.is_sequence() => elements(node).into_iter().flat_map(each).collect(),
        _ => vec![node],
    }
}

/// What a text is, or the resource that it refers to: of `!GetAtt UsersRole.Arn`, `UsersRole`.
fn name_of(node: &Yaml) -> Option<String> {
    let (plain, tag) = untagged(node);
    let text = plain.as_str().or_else(|| elements(plain).first()?.as_str())?;
    let is_reference = matches!(tag, Some("Ref" | "GetAtt" | "Sub"));
    let name = if is_reference { text.trim_start_matches("${").split(['.', '}']).next()? } else { text };
    Some(name.to_owned())
}

/// Logs and traces are Lambda's own, and no call of the code.
fn name_of_action(node: &Yaml) -> Option<String> {
    name_of(node).filter(|action| action.starts_with("dynamodb:") || action.starts_with("secretsmanager:"))
}
