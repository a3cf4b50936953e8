//! No role may do something with everything, and none has a policy that AWS may change; but for two, which are known.

use saphyr::{LoadableYamlNode, Yaml};

use super::{at, below, each, member, members, read, untagged};

/// Statements about everything, and policies of AWS's own, anywhere below this.
fn wide(id: &str, node: &Yaml, found: &mut Vec<String>) {
    if let (Some(actions), Some(resources)) = (member(node, "Action"), member(node, "Resource")) {
        let is_wide = |node: &Yaml| untagged(node).0.as_str().is_some_and(|text| text.contains('*'));
        if each(actions).into_iter().chain(each(resources)).any(is_wide) {
            let sid = member(node, "Sid").and_then(Yaml::as_str).unwrap_or("a statement");
            found.push(format!("{sid} of {id}"));
        }
    }
    if member(node, "ManagedPolicyArns").is_some() {
        found.push(format!("a policy of AWS's own of {id}"));
    }
    below(node).for_each(|node| wide(id, node, found));
}

#[test]
fn no_role_may_do_something_with_everything_but_send_traces() {
    let text = read("template.yaml");
    let template = &Yaml::load_from_str(&text).expect("YAML")[0];
    let mut found = Vec::new();
    for (id, resource) in members(at(template, &["Resources"])) {
        wide(id, resource, &mut found);
    }
    // By the first, API Gateway writes the logs of a whole account; AWS demands just that policy. X-Ray has no resources.
    assert_eq!(found, ["a policy of AWS's own of GatewayLogRole", "SendTraces of TracingUse"]);
}
