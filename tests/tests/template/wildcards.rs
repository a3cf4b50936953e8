//! Finds statements with wildcards and policies managed by AWS. Two exceptions are known.

use saphyr::{LoadableYamlNode, Yaml};

use super::{at, below, each, member, members, read, untagged};

/// Collects the statements with wildcards and the policies managed by AWS below the node.
fn wide(id: &str, node: &Yaml, found: &mut Vec<String>) {
    if let (Some(actions), Some(resources)) = (member(node, "Action"), member(node, "Resource")) {
        let is_wide = |node: &Yaml| untagged(node).0.as_str().is_some_and(|text| text.contains('*'));
        if each(actions).into_iter().chain(each(resources)).any(is_wide) {
            let sid = member(node, "Sid").and_then(Yaml::as_str).unwrap_or("a statement");
            found.push(format!("{sid} of {id}"));
        }
    }
    if member(node, "ManagedPolicyArns").is_some() {
        found.push(format!("managed policies of {id}"));
    }
    below(node).for_each(|node| wide(id, node, found));
}

#[test]
fn only_tracing_has_a_wildcard_resource() {
    let text = read("template.yaml");
    let template = &Yaml::load_from_str(&text).expect("YAML")[0];
    let mut found = Vec::new();
    for (id, resource) in members(at(template, &["Resources"])) {
        wide(id, resource, &mut found);
    }
    // API Gateway requires the managed policy to write the logs of the account. X-Ray actions allow no other resource.
    assert_eq!(found, ["managed policies of GatewayLogRole", "SendTraces of TracingUse"]);
}
